/* SPDX-License-Identifier: Apache-2.0
 * Byte-level BPE tokenizer and chat templates of the LFM2 family. Immutable after load; encode and decode are thread-safe. */
#ifndef LFM2_TOKENIZER_H
#define LFM2_TOKENIZER_H

#include "lfm2/weights.h"

LFM2_BEGIN_DECLS

typedef struct lfm2_tokenizer lfm2_tokenizer;

/* Load the tokenizer that belongs to opened weights: `tokenizer.json` (with tokenizer_config.json and chat_template.jinja
 * where present) beside safetensors, the tokenizer.* keys of a GGUF file. w may be closed afterwards. *out: written only on
 * success.
 * Returns 0; LFM2_ERR_NOT_FOUND; LFM2_ERR_IO; LFM2_ERR_FORMAT; LFM2_ERR_LIMIT; LFM2_ERR_UNSUPPORTED; LFM2_ERR_NOMEM. */
LFM2_API int lfm2_tokenizer_load(lfm2_runtime *rt, const lfm2_weights *w, lfm2_tokenizer **out);

/* The same from the path of a tokenizer.json (files beside it included). */
LFM2_API int lfm2_tokenizer_load_json(lfm2_runtime *rt, const char *path, lfm2_tokenizer **out);
LFM2_API void lfm2_tokenizer_unload(lfm2_tokenizer *tok);

/* Ids are 0..n_ids-1, in a GGUF file padding rows among them; a model may have more rows. Only lfm2_tokenizer_is_defined() ones are
 * ever to be sampled. */
LFM2_API int32_t lfm2_tokenizer_n_ids(const lfm2_tokenizer *tok);

/* Id of a token by its exact text ("<|im_end|>"), or -1. */
LFM2_API int32_t lfm2_tokenizer_find(const lfm2_tokenizer *tok, const char *text);

/* -1 where the tokenizer names none. */
LFM2_API int32_t lfm2_tokenizer_bos(const lfm2_tokenizer *tok);
LFM2_API int32_t lfm2_tokenizer_eos(const lfm2_tokenizer *tok);
LFM2_API int lfm2_tokenizer_adds_bos(const lfm2_tokenizer *tok); /* 1 if raw completion starts with BOS */

/* Ids that end a generation: eos, <|endoftext|>, and each eos_token_id of generation_config.json. Owned by tok; never NULL. */
LFM2_API const int32_t *lfm2_tokenizer_end_ids(const lfm2_tokenizer *tok, size_t *n);

/* 1 if id is defined (not a gap, not an unused padding row) and may be sampled. */
LFM2_API int lfm2_tokenizer_is_defined(const lfm2_tokenizer *tok, int32_t id);

/* Text of special tokens in the input becomes those tokens: for template text only, never for users'. */
#define LFM2_ENCODE_SPECIAL 1u

/* Encode n bytes of UTF-8; no BOS is added. ids: caller's [cap]; *n_ids: number of ids needed, also when it exceeds cap
 * (then LFM2_ERR_RANGE and ids are undefined; ids may be NULL with cap 0). Returns 0; LFM2_ERR_UTF8; LFM2_ERR_RANGE;
 * LFM2_ERR_LIMIT (over 2^30 bytes, or 4 MiB without any break between pieces); LFM2_ERR_NOMEM; LFM2_ERR_ABORTED. */
LFM2_API int lfm2_tokenizer_encode(const lfm2_tokenizer *tok, const char *text, size_t n, unsigned flags, int32_t *ids,
                                   size_t cap, size_t *n_ids);

/* Bytes of one id (mapped back from byte-level form; a special token's text is its name). Borrowed from tok, not NUL-terminated.
 * Returns NULL for an id that is not defined. May be part of a code point. */
LFM2_API const char *lfm2_tokenizer_bytes(const lfm2_tokenizer *tok, int32_t id, size_t *n);
LFM2_API int lfm2_tokenizer_is_special(const lfm2_tokenizer *tok, int32_t id);

/* Decode ids to a NUL-terminated string that the caller frees with lfm2_tokenizer_free_text(). Bytes that form no code point
 * become U+FFFD. Specials are skipped unless LFM2_DECODE_SPECIAL. n may be NULL. Returns 0; LFM2_ERR_RANGE (an id that is not
 * defined); LFM2_ERR_NOMEM. */
#define LFM2_DECODE_SPECIAL 1u
LFM2_API int lfm2_tokenizer_decode(const lfm2_tokenizer *tok, const int32_t *ids, size_t n_ids, unsigned flags, char **text,
                                   size_t *n);
LFM2_API void lfm2_tokenizer_free_text(const lfm2_tokenizer *tok, char *text);

/* Incremental decoding: bytes come out as soon as they form whole code points. Plain memory, zero it to start. */
typedef struct lfm2_utf8_stream {
    uint8_t held[4];
    uint8_t n_held;
} lfm2_utf8_stream;

/* Push n bytes; out: caller's [n * 3 + 12], *n_out bytes of valid UTF-8 are written (bad bytes as U+FFFD, each maximal
 * bad part once, as the Unicode standard recommends). */
LFM2_API void lfm2_utf8_push(lfm2_utf8_stream *s, const char *bytes, size_t n, char *out, size_t *n_out);
/* End of stream: a held incomplete sequence comes out as U+FFFD. out: caller's [12]. */
LFM2_API void lfm2_utf8_finish(lfm2_utf8_stream *s, char *out, size_t *n_out);

/* Chat templates, known by name; the checkpoint's own is recognised by what its text contains. */
typedef enum lfm2_chat_variant {
    LFM2_CHAT_AUTO = 0,  /* the one recognised in the checkpoint */
    LFM2_CHAT_LFM2,      /* A: tool list and tool responses in special tokens, thinking kept */
    LFM2_CHAT_LFM25,     /* B: plain tool list, thinking stripped from all but the last assistant turn */
    LFM2_CHAT_LFM25_MOE, /* C: as B up to the last user turn; renders tool_calls */
    LFM2_CHAT_VL         /* D: images as <image>, no tools */
} lfm2_chat_variant;

/* Name for flags and messages: "lfm2", "lfm2.5", "lfm2.5-moe", "vl"; from_name gives -1 for none. */
LFM2_API const char *lfm2_chat_variant_name(lfm2_chat_variant v);
LFM2_API int lfm2_chat_variant_from_name(const char *name);

/* What the checkpoint's template is: a variant; LFM2_CHAT_AUTO if it has no template or an unknown one. */
LFM2_API lfm2_chat_variant lfm2_tokenizer_chat_variant(const lfm2_tokenizer *tok);

typedef struct lfm2_chat_params {
    lfm2_chat_variant variant; /* AUTO: an unknown or missing template gives LFM2_ERR_UNSUPPORTED, named in the log */
    int add_generation_prompt;
    int keep_thinking;         /* 1: no thinking is stripped */
} lfm2_chat_params;

/* Render a JSON list of messages {role, content[, tool_calls, thinking]} - or an object {"messages": [...], "tools": [...]} -
 * to the prompt text. params: NULL = AUTO with a generation prompt. text_n may be NULL. Free with lfm2_tokenizer_free_text().
 * For showing; to run it, use lfm2_chat_encode().
 * Returns 0; LFM2_ERR_FORMAT; LFM2_ERR_UNSUPPORTED; LFM2_ERR_LIMIT; LFM2_ERR_NOMEM. */
LFM2_API int lfm2_chat_render(const lfm2_tokenizer *tok, const char *messages_json, size_t n, const lfm2_chat_params *params,
                              char **text, size_t *text_n);

#define LFM2_CHAT_TRUST_CONTENT 1u /* text of special tokens inside message content is obeyed; default: it stays text */
#define LFM2_CHAT_MEDIA_SLOTS 2u   /* {"type": "image"} and {"type": "audio"} in content lists, in every variant, become slots */

/* Slots: where embeddings come in among the ids. No text makes one. */
#define LFM2_SLOT_IMAGE (-1)
#define LFM2_SLOT_AUDIO (-2)

/* Render and encode in one step: the template's own special tokens become tokens, message content cannot forge any
 * (unless LFM2_CHAT_TRUST_CONTENT); assistant messages may hold the marks that a model writes itself, <think>, </think>,
 * <|tool_call_start|> and <|tool_call_end|>. ids as in lfm2_tokenizer_encode(). Images in content lists become the token <image>,
 * or slots. Status as lfm2_chat_render() and lfm2_tokenizer_encode(). */
LFM2_API int lfm2_chat_encode(const lfm2_tokenizer *tok, const char *messages_json, size_t n, const lfm2_chat_params *params,
                              unsigned flags, int32_t *ids, size_t cap, size_t *n_ids);

LFM2_END_DECLS

#endif
