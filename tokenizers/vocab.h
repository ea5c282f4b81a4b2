/* SPDX-License-Identifier: Apache-2.0
 * Vocabulary: ids and their bytes, found by bytes. Files write ordinary tokens in byte-level form (one printable character for
 * each byte); here they are bytes. Added tokens (special or user-defined) are written as plain text. */
#ifndef LFM2__VOCAB_H
#define LFM2__VOCAB_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"
#include "lfm2/runtime.h"

#define LFM2__MAX_IDS (1 << 20)
#define LFM2__MAX_TOKEN_BYTES 1024 /* as written in the file */
#define LFM2__MAX_ADDED_BYTES 256  /* of an added token */
#define LFM2__MAX_ADDED 65536      /* added tokens */

/* Numbered as GGUF's token types. */
typedef enum lfm2__tok_kind {
    LFM2__TOK_NONE = 0,    /* an id without a token: a padding row of a GGUF file */
    LFM2__TOK_NORMAL = 1,
    LFM2__TOK_CONTROL = 3, /* special: recognised only where the caller allows it */
    LFM2__TOK_USER = 4,    /* added but not special: cut out of any text */
    LFM2__TOK_UNUSED = 5   /* padding row; written only, never in a vocabulary */
} lfm2__tok_kind;

typedef struct lfm2__tok {
    uint32_t off;
    uint16_t n;
    uint8_t kind; /* lfm2__tok_kind */
} lfm2__tok;

typedef struct lfm2__vocab_slot {
    uint32_t hash;
    int32_t id; /* -1 = free */
} lfm2__vocab_slot;

typedef struct lfm2__vocab_table {
    lfm2__vocab_slot *slots; /* [mask + 1], at most half full */
    uint32_t mask;
} lfm2__vocab_table;

typedef struct lfm2__vocab {
    lfm2_runtime *rt;
    lfm2__tok *toks; /* [n_ids] */
    int32_t n_ids;
    int32_t n_added;
    int32_t n_added_bytes;
    lfm2__str blob;           /* bytes of all tokens */
    lfm2__vocab_table merged; /* what merging may use and give: NORMAL, and USER in plain ASCII */
    lfm2__vocab_table added;  /* CONTROL and USER */
} lfm2__vocab;

/* n_ids: 1..LFM2__MAX_IDS. fini accepts a zeroed one. Returns 0 or LFM2_ERR_NOMEM. */
int lfm2__vocab_init(lfm2__vocab *v, lfm2_runtime *rt, int32_t n_ids) LFM2__NODISCARD;
void lfm2__vocab_fini(lfm2__vocab *v);

/* Define id (0..n_ids-1) by the text of the file. *why: what is wrong, without content, on failure. Returns 0; LFM2_ERR_FORMAT
 * (empty, not UTF-8, not byte-level form, id or text taken); LFM2_ERR_LIMIT; LFM2_ERR_UNSUPPORTED (byte-fallback token);
 * LFM2_ERR_NOMEM. */
int lfm2__vocab_set(lfm2__vocab *v, int32_t id, lfm2__tok_kind kind, const char *text, size_t n, const char **why) LFM2__NODISCARD;

/* Id by bytes, or -1: among what merging uses; among added tokens. */
int32_t lfm2__vocab_find_merged(const lfm2__vocab *v, const char *bytes, size_t n);
int32_t lfm2__vocab_find_added(const lfm2__vocab *v, const char *text, size_t n);

/* Kind of an id; NONE outside 0..n_ids-1, too. Bytes of a defined id, otherwise NULL. */
lfm2__tok_kind lfm2__vocab_kind(const lfm2__vocab *v, int32_t id);
const char *lfm2__vocab_bytes(const lfm2__vocab *v, int32_t id, size_t *n);

/* Append the text that a file has for a defined id: byte-level form for ordinary tokens, plain for added ones. */
void lfm2__vocab_file_text(const lfm2__vocab *v, int32_t id, lfm2__str *out);

/* Byte-level form to bytes. out: caller's [n]. Returns 0, or -1 if text is not UTF-8 or holds a character that stands for no
 * byte. */
int lfm2__bytes_from_text(const char *text, size_t n, char *out, size_t *out_n);

#endif
