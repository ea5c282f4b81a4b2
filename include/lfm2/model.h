/* SPDX-License-Identifier: Apache-2.0
 * The LFM2 backbone: model (immutable weights, shared) and session (caches of many sequences, one forward pass for all). */
#ifndef LFM2_MODEL_H
#define LFM2_MODEL_H

#include "lfm2/weights.h"

LFM2_BEGIN_DECLS

#define LFM2_MAX_LAYERS 256

typedef enum lfm2_layer_kind { LFM2_LAYER_CONV = 0, LFM2_LAYER_ATTN = 1 } lfm2_layer_kind;

typedef struct lfm2_config {
    char arch[16];             /* "lfm2" or "lfm2moe" */
    int32_t d_model;
    int32_t n_layers;
    int32_t n_heads;
    int32_t n_kv_heads;
    int32_t head_dim;
    int32_t d_ff;              /* width of dense SwiGLU layers, after the width rule */
    int32_t n_vocab;           /* rows of the embedding table; may exceed the tokenizer's ids */
    int32_t n_ctx_max;         /* max_position_embeddings / context_length */
    int32_t n_taps;            /* conv_L_cache: taps of the short convolution */
    int32_t n_experts;         /* 0 = dense */
    int32_t n_experts_used;
    int32_t d_ff_expert;
    int32_t n_dense_layers;    /* leading layers without experts; == n_layers when dense */
    int32_t norm_topk;         /* 1: expert weights are normalised by their sum */
    float routed_scale;
    float norm_eps;
    float rope_theta;
    int32_t tied_head;         /* 1: logits by the embedding table */
    uint8_t layer_kind[LFM2_MAX_LAYERS]; /* lfm2_layer_kind of each layer */
} lfm2_config;

typedef struct lfm2_model lfm2_model;
typedef struct lfm2_session lfm2_session;

/* Load the text backbone of a checkpoint (see lfm2_weights_open for path; LFM2-VL and LFM2-Audio checkpoints too).
 * The files stay mapped until unload. *out: written only on success. Returns 0; LFM2_ERR_NOT_FOUND; LFM2_ERR_IO; LFM2_ERR_FORMAT;
 * LFM2_ERR_LIMIT; LFM2_ERR_UNSUPPORTED (another architecture, named in the log); LFM2_ERR_NOMEM. */
LFM2_API int lfm2_model_load(lfm2_runtime *rt, const char *path, lfm2_model **out);

/* A model of the shape in a config.json with seeded random weights of type t (norms F32): for measuring what a shape costs.
 * Also LFM2_ERR_RANGE if a width is no multiple of the type's block. */
LFM2_API int lfm2_model_create_random(lfm2_runtime *rt, const char *config_path, lfm2_dtype t, uint64_t seed, lfm2_model **out);
LFM2_API void lfm2_model_unload(lfm2_model *m);

LFM2_API const lfm2_config *lfm2_model_config(const lfm2_model *m);
/* The opened files; NULL for a random model. Owned by m. */
LFM2_API const lfm2_weights *lfm2_model_weights(const lfm2_model *m);
/* Parameters of the backbone, and bytes of its weights. */
LFM2_API uint64_t lfm2_model_n_params(const lfm2_model *m);
LFM2_API uint64_t lfm2_model_n_bytes(const lfm2_model *m);

/* Which implementation each kernel of the library uses with this model: line("gemm_q4_0", "avx512") for each entry; of the
 * matrix products those of the types that the model has. */
LFM2_API void lfm2_model_kernels(const lfm2_model *m, void (*line)(void *ctx, const char *entry, const char *impl), void *ctx);

/* Read a config only (config.json, or the keys of a GGUF file), without binding tensors: for `info`. */
LFM2_API int lfm2_config_load(lfm2_runtime *rt, const lfm2_weights *w, lfm2_config *out);

typedef struct lfm2_session_params {
    int32_t n_seqs;     /* sequences that can live at once, 1..1024 */
    int32_t cap_tok;    /* tokens each sequence can hold, 1..n_ctx_max */
    int32_t cap_batch;  /* most tokens in one forward pass, over all spans, 1..8192; longer spans are cut inside */
    int32_t cap_rewind; /* tokens by which a sequence can be shortened exactly, 0..4096; each costs n_conv * d_model floats for
                         * every sequence */
} lfm2_session_params;

/* 1 sequence, cap_tok = min(n_ctx_max, 4096), cap_batch = 512, cap_rewind = 16. */
LFM2_API lfm2_session_params lfm2_session_params_default(const lfm2_model *m);

/* Bytes of caches and scratch that a session takes; 0 if a field is out of range. Cache pages are touched only as tokens arrive. */
LFM2_API uint64_t lfm2_session_bytes(const lfm2_model *m, const lfm2_session_params *p);

/* Returns 0; LFM2_ERR_ARG (a field out of range, named in the log); LFM2_ERR_NOMEM. A session is not thread-safe; many sessions may
 * share a model. */
LFM2_API int lfm2_session_create(lfm2_model *m, const lfm2_session_params *p, lfm2_session **out);
LFM2_API void lfm2_session_destroy(lfm2_session *s);

typedef enum lfm2_logits { LFM2_LOGITS_NONE = 0, LFM2_LOGITS_LAST = 1, LFM2_LOGITS_ALL = 2 } lfm2_logits;

/* Tokens to append to one sequence. Prefill is a long span, decoding a span of one token. Several spans of a sequence (ids, then
 * embeddings, then ids) stand side by side in a call and are appended in that order. */
typedef struct lfm2_span {
    int32_t seq;          /* 0..n_seqs-1 */
    int32_t n_tok;        /* >= 1 */
    const int32_t *ids;   /* [n_tok], or NULL with embed */
    const float *embed;   /* f32 [n_tok, d_model] in place of token embeddings, or NULL with ids */
    lfm2_logits logits;   /* which positions get logits */
} lfm2_span;

/* Append all spans in one ragged forward pass. logits: caller's f32 [n_rows, n_vocab], rows in span order (1 row for LAST, n_tok
 * for ALL); cap_rows: rows it has room for. May be NULL if no span asks.
 * All or nothing: on failure no sequence has changed, except after LFM2_ERR_ABORTED, LFM2_ERR_IO and LFM2_ERR_NONFINITE, which
 * leave the sequences named in the call cleared (length 0). No heap allocation.
 * Returns 0; LFM2_ERR_ARG (bad span, id out of range); LFM2_ERR_RANGE (a sequence would outgrow cap_tok, or cap_rows);
 * LFM2_ERR_NONFINITE; LFM2_ERR_IO (model file cut short); LFM2_ERR_ABORTED. */
LFM2_API int lfm2_session_forward(lfm2_session *s, const lfm2_span *spans, int32_t n_spans, float *logits, int64_t cap_rows);

/* Tokens that a sequence holds; -1 for a bad index. */
LFM2_API int32_t lfm2_session_n_tok(const lfm2_session *s, int32_t seq);

/* Empty a sequence. Returns 0 or LFM2_ERR_ARG. */
LFM2_API int lfm2_session_clear(lfm2_session *s, int32_t seq);

/* Shorten a sequence to n_tok tokens, exactly as if the rest had never been there. Convolution state reaches back, so this works
 * for n_tok = 0 and for at most cap_rewind tokens taken off; otherwise LFM2_ERR_STATE and nothing changes. LFM2_ERR_ARG. */
LFM2_API int lfm2_session_truncate(lfm2_session *s, int32_t seq, int32_t n_tok);

/* Make dst an exact copy of src. Returns 0 or LFM2_ERR_ARG. */
LFM2_API int lfm2_session_clone(lfm2_session *s, int32_t src, int32_t dst);

/* State of one sequence as bytes, for a file or another session of the same model. */
LFM2_API size_t lfm2_session_save_bytes(const lfm2_session *s, int32_t seq);
/* Returns 0; LFM2_ERR_ARG; LFM2_ERR_RANGE (cap too small). *n_bytes written on success. */
LFM2_API int lfm2_session_save(const lfm2_session *s, int32_t seq, void *dst, size_t cap, size_t *n_bytes);
/* Every field is checked; on failure seq is as before. Returns 0; LFM2_ERR_FORMAT (not a state, or of another shape);
 * LFM2_ERR_RANGE (longer than cap_tok). */
LFM2_API int lfm2_session_restore(lfm2_session *s, int32_t seq, const void *src, size_t n_bytes);

/* See inside a forward pass: called with "embed", "layer.0" .. "layer.N-1", "norm" and the hidden states f32 [n_tok, d_model] of
 * the tokens of this pass (or of this part of it, when spans were cut). For tests and debugging; NULL = off. */
typedef void lfm2_probe_fn(void *ctx, const char *point, const float *x, int32_t n_tok, int32_t d_model);
LFM2_API void lfm2_session_probe(lfm2_session *s, lfm2_probe_fn *fn, void *ctx);

/* Watch what a sequence looks at: each forward pass with tokens of it writes how the last of them attended to positions
 * first_pos .. first_pos + n_pos - 1 of it, for every head of every attention layer (in order), after softmax over all positions.
 * weights: caller's f32 [attention layers, n_heads, n_pos], borrowed until it is replaced; NULL = off, which costs nothing.
 * Returns 0 or LFM2_ERR_ARG (positions beyond cap_tok). */
LFM2_API int lfm2_session_watch_attention(lfm2_session *s, int32_t seq, int32_t first_pos, int32_t n_pos, float *weights);

LFM2_END_DECLS

#endif
