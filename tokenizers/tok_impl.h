/* SPDX-License-Identifier: Apache-2.0
 * Inside of the tokenizer: its parts, and what the converter may ask of it. */
#ifndef LFM2__TOK_IMPL_H
#define LFM2__TOK_IMPL_H

#include "lfm2/tokenizer.h"
#include "tokenizers/bpe.h"
#include "tokenizers/pretok.h"
#include "tokenizers/special.h"
#include "tokenizers/vocab.h"

#define LFM2__TOK_MAX_END_IDS 64

struct lfm2__gguf_writer;

struct lfm2_tokenizer {
    lfm2_runtime *rt;
    char *label; /* path, for log lines */
    lfm2__vocab vocab;
    lfm2__bpe bpe;
    lfm2__special special;
    lfm2__pretok *pretok;
    int ignore_merges; /* 1: a piece that is a token as a whole is taken without merging */
    int std_pattern;   /* 1: the pre-tokeniser pattern is lfm2__pretok_lfm2 */
    int32_t bos, eos, pad; /* -1 = none */
    int adds_bos;
    int adds_bos_known; /* 0: the files do not say, adds_bos is the family's default */
    int32_t end_ids[LFM2__TOK_MAX_END_IDS];
    size_t n_end_ids;
    /* <think> </think> and the tool call marks: what an assistant message of a history may hold; -1 = none */
    int32_t history_ids[4];
    char *chat_template; /* NULL = none */
    size_t chat_template_n;
    lfm2_chat_variant chat_variant;
    int chat_dated_tools; /* 1: the template writes the date beside a tool list, which is not reproduced here */
};

/* The tokenizer of a tokenizer.json held in memory, without any file beside it. label names it in log lines. */
int lfm2__tokenizer_from_json(lfm2_runtime *rt, const char *label, const char *text, size_t n,
                              lfm2_tokenizer **out) LFM2__NODISCARD;

/* Loading in two steps, for the loaders: an empty tokenizer; and once its tables are filled, what follows from them (bytes,
 * matcher, end ids, chat variant). Both log what is wrong. */
int lfm2__tok_create(lfm2_runtime *rt, const char *label, lfm2_tokenizer **out) LFM2__NODISCARD;
int lfm2__tok_finish(lfm2_tokenizer *tok) LFM2__NODISCARD;
/* One more id that ends a generation; one that is there already, or not defined, is left out. LFM2_ERR_LIMIT when full. */
int lfm2__tok_add_end_id(lfm2_tokenizer *tok, int32_t id) LFM2__NODISCARD;

/* Fill vocabulary and merges from a tokenizer.json document / from the keys of a GGUF file. */
struct lfm2__json;
int lfm2__tok_read_json(lfm2_tokenizer *tok, const struct lfm2__json *root) LFM2__NODISCARD;
int lfm2__tok_read_gguf(lfm2_tokenizer *tok, const lfm2_weights *w) LFM2__NODISCARD;
/* tokenizer_config.json, special_tokens_map.json, chat_template.jinja, generation_config.json, config.json in folder `dir`
 * (with its slash, "" = current), each where present. */
int lfm2__tok_read_siblings(lfm2_tokenizer *tok, const char *dir) LFM2__NODISCARD;

/* Part of a text and which special tokens may be recognised in it; what no range covers holds none. */
typedef enum lfm2__trust { LFM2__TRUST_NONE, LFM2__TRUST_HISTORY, LFM2__TRUST_ALL } lfm2__trust;

typedef struct lfm2__trust_range {
    size_t begin, end; /* bytes */
    lfm2__trust trust;
} lfm2__trust_range;

/* Encode a text with ranges in ascending order, none overlapping. ids, cap, n_ids and status as lfm2_tokenizer_encode(). */
int lfm2__tok_encode_ranges(const lfm2_tokenizer *tok, const char *text, size_t n, const lfm2__trust_range *ranges, size_t n_ranges,
                            int32_t *ids, size_t cap, size_t *n_ids) LFM2__NODISCARD;

/* ---- for the converter ---- */

/* Write the tokenizer.* keys (model, pre, tokens, token_type, merges, bos/eos/padding ids, add_bos_token where the source says,
 * chat_template where there is one) for a table of n_rows rows: ids that are not defined become "[PADn]" of type 5.
 * Returns 0; LFM2_ERR_RANGE if n_rows is below the number of ids; LFM2_ERR_UNSUPPORTED if the file could not say what this
 * tokenizer does (another pre-tokeniser pattern, ignore_merges off); LFM2_ERR_NOMEM. What the writer reports sticks in the
 * writer. */
int lfm2__tokenizer_write_gguf(const lfm2_tokenizer *tok, int32_t n_rows, struct lfm2__gguf_writer *g) LFM2__NODISCARD;

#endif
