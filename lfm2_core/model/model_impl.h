/* SPDX-License-Identifier: Apache-2.0
 * Inside of the backbone: the loaded model, a session's caches and the operators of a pass. Letters as in MODEL.md. */
#ifndef LFM2__MODEL_IMPL_H
#define LFM2__MODEL_IMPL_H

#include "base/arena.h"
#include "base/mathsafe.h"
#include "base/json.h"
#include "base/runtime_impl.h"
#include "kernels/rows.h"
#include "lfm2/model.h"
#include "weights/bind.h"

#define LFM2__MAX_TAPS 16
#define LFM2__MAX_EXPERTS 512


/* What a checkpoint holds beside the backbone. */
typedef enum lfm2__family { LFM2__FAMILY_TEXT, LFM2__FAMILY_IMAGE, LFM2__FAMILY_AUDIO } lfm2__family;

/* What a configuration says that lfm2_config has no room for. */
typedef struct lfm2__config_extra {
    lfm2__family family;
    int expert_bias;  /* experts have a selection bias */
} lfm2__config_extra;

/* Configuration of opened weights. Returns as lfm2_config_load(). */
int lfm2__config_of_weights(const lfm2_weights *w, lfm2_config *cfg, lfm2__config_extra *extra) LFM2__NODISCARD;

/* The readers behind it: a config.json, its parsed text, and the keys of a GGUF file. The outputs are undefined after a failure. */
int lfm2__config_from_value(lfm2_runtime *rt, const char *label, const lfm2__json *root, lfm2_config *cfg,
                            lfm2__config_extra *extra) LFM2__NODISCARD;
int lfm2__config_from_json(lfm2_runtime *rt, const char *path, lfm2_config *cfg, lfm2__config_extra *extra) LFM2__NODISCARD;
int lfm2__config_from_gguf(const lfm2_weights *w, lfm2_config *cfg, lfm2__config_extra *extra) LFM2__NODISCARD;

/* Numeric fields that both containers state, see config.c. */
typedef struct lfm2__config_field {
    const char *json;      /* key in config.json */
    const char *json_old;  /* its name in older files, or NULL */
    const char *gguf;      /* key in GGUF, behind the architecture; NULL = read elsewhere */
    int moe;               /* only mixture models have it */
    double lo, hi;
    double fallback;       /* if absent; below lo: absent is an error */
    int is_float;          /* field is a float, otherwise an int32_t */
    size_t offset;         /* in lfm2_config */
} lfm2__config_field;

/* The rules that hold for both containers. label names the source. Returns 0 or LFM2_ERR_FORMAT. */
int lfm2__config_check(lfm2_runtime *rt, const char *label, const lfm2_config *cfg) LFM2__NODISCARD;

/* "%s"-safe copy of a short text out of a file, for messages: at most 40 bytes, '?' for what cannot be printed. */
typedef struct lfm2__short_text {
    char s[41];
} lfm2__short_text;
lfm2__short_text lfm2__config_text(const char *s, size_t n);

extern const lfm2__config_field lfm2__config_fields[];
extern const size_t lfm2__n_config_fields;

void lfm2__config_set(lfm2_config *cfg, const lfm2__config_field *f, double v);

typedef struct lfm2__expert {
    lfm2__mat w1, w3, w2;
} lfm2__expert;

typedef struct lfm2__layer {
    lfm2__norm operator_norm, ffn_norm; /* [d]; no b */
    lfm2__mat in_proj, conv_out;       /* convolution: [3d, d], [d, d] */
    lfm2__vec taps;                    /* src [d, K], data [K, d] */
    lfm2__mat wq, wk, wv, wo;          /* attention */
    lfm2__vec q_norm, k_norm;          /* [D] */
    lfm2__mat w1, w3, w2;              /* dense */
    lfm2__mat router;                  /* [E, d] */
    lfm2__vec expert_bias;             /* [E]; data NULL: none */
    lfm2__mat stack[3];                /* stacked experts as the file has them */
    lfm2__expert *experts;             /* [E] */
    int32_t kind_index;                /* how many layers of the same kind come before */
} lfm2__layer;

struct lfm2_model {
    lfm2_runtime *rt;
    lfm2_weights *w;        /* NULL for a random model */
    unsigned char *random;  /* weights of a random model */
    lfm2_config cfg;
    lfm2__config_extra extra;
    lfm2__kernels k;
    lfm2__layer *layers;    /* [L] */
    lfm2__expert *experts;  /* of all layers */
    float *vectors;         /* f32 copies */
    lfm2__mat embed, head;  /* head: the embedding when tied */
    lfm2__norm final_norm;
    float *inv_freq;        /* [D / 2] */
    int32_t n_conv, n_attn;
    uint64_t n_params, n_bytes;
    uint32_t dtypes; /* bit 1 << lfm2_dtype for each type that a matrix has */
};

/* Which names the experts go by. */
typedef enum lfm2__expert_layout { LFM2__EXPERTS_SINGLE, LFM2__EXPERTS_FUSED, LFM2__EXPERTS_STACKED } lfm2__expert_layout;

/* Call fn for every tensor of the model: a bind row with its dims and its place in m. Stops at the first status < 0. */
int lfm2__model_tensors(lfm2_model *m, lfm2__expert_layout layout, lfm2__tensor_fn *fn, void *ctx) LFM2__NODISCARD;

/* A model with its configuration set and everything else empty. Returns 0 or LFM2_ERR_NOMEM; then *out is untouched. */
int lfm2__model_new(lfm2_runtime *rt, const lfm2_config *cfg, const lfm2__config_extra *extra, lfm2_model **out) LFM2__NODISCARD;
/* After the matrices are in place: slices of stacks, f32 copies, kernels, counts. Returns 0; LFM2_ERR_NOMEM. */
int lfm2__model_finish(lfm2_model *m, lfm2__expert_layout layout) LFM2__NODISCARD;

/* One sequence. */
typedef struct lfm2__seq {
    int32_t n_tok;
    int32_t hist_from; /* u is known for positions hist_from .. n_tok - 1 */
    uint64_t stamp;    /* of the last call that named it */
} lfm2__seq;

/* Where the attention of a sequence's newest token goes. */
typedef struct lfm2__watch {
    int32_t first_pos, n_pos;
    float *weights; /* caller's f32 [n_attn, H, n_pos]; NULL: off */
} lfm2__watch;

struct lfm2_session {
    lfm2_model *m;
    lfm2_session_params p;
    int32_t n_hist;     /* R */
    int32_t n_threads;
    uint64_t stamp;
    lfm2__seq *seqs;    /* [n_seqs] */
    lfm2__watch *watches; /* [n_seqs] */
    float *kv;          /* [n_attn, n_seqs, 2, cap_tok, G D]; NULL if empty */
    float *hist;        /* [n_conv, n_seqs, R, d]; NULL if empty */
    lfm2__arena scratch;
    lfm2_probe_fn *probe;
    void *probe_ctx;
};

/* Tokens of one pass. */
typedef struct lfm2__batch {
    int32_t n_tok;
    int32_t *seq;   /* [T] */
    int32_t *pos;   /* [T] */
    int32_t *first; /* [T] row of the first token of the same sequence in this pass */
    float *cos, *sin; /* [T, D / 2] */
} lfm2__batch;

/* lfm2_session_forward(), but with nonfinite [n_spans] (not NULL) logits that are not finite concern their sequence alone: its
 * spans that asked for them are marked, the sequence is cleared, and the call goes on and succeeds. */
int lfm2__session_append(lfm2_session *s, const lfm2_span *spans, int32_t n_spans, float *logits, int64_t cap_rows,
                         uint8_t *nonfinite) LFM2__NODISCARD;

/* cache.c: rows of the caches. */
float *lfm2__cache_k(const lfm2_session *s, int32_t layer, int32_t seq); /* [cap_tok, G D] */
float *lfm2__cache_v(const lfm2_session *s, int32_t layer, int32_t seq);
float *lfm2__cache_u(const lfm2_session *s, int32_t layer, int32_t seq, int32_t pos); /* [d] */
size_t lfm2__cache_kv_bytes(const lfm2_model *m, const lfm2_session_params *p); /* SIZE_MAX on overflow; so below */
size_t lfm2__cache_hist_bytes(const lfm2_model *m, const lfm2_session_params *p);
int32_t lfm2__cache_n_hist(const lfm2_model *m, const lfm2_session_params *p);
/* First position whose u is in a ring of R when a sequence that knew it from `from` has grown to n_tok. */
int32_t lfm2__cache_hist_from(const lfm2_session *s, int32_t from, int32_t n_tok);

/* backbone.c: one pass over rows that are ready in x [T, d]; leaves the final norm of every row in h [T, d].
 * Returns 0 or LFM2_ERR_ABORTED. */
int lfm2__backbone_pass(lfm2_session *s, const lfm2__batch *b, float *x, float *h) LFM2__NODISCARD;
/* Scratch of the widest operator; SIZE_MAX on overflow. */
size_t lfm2__backbone_scratch_bytes(const lfm2_model *m, int32_t n_tok, int32_t n_threads, int32_t cap_tok);

/* y [n_tok, rows] = x [n_tok, cols] W^T, cut into pieces between which the abort flag is polled. Returns 0 or LFM2_ERR_ABORTED. */
int lfm2__backbone_matmul(const lfm2_session *s, float *y, const float *x, int32_t n_tok, const lfm2__mat *w) LFM2__NODISCARD;

/* Operators: out [T, d] = op(h [T, d]), out may be h; scratch from s->scratch, of the size that the function beside them says
 * (SIZE_MAX on overflow). Return 0 or LFM2_ERR_ABORTED. */
int lfm2__shortconv(lfm2_session *s, int32_t layer, const lfm2__batch *b, const float *h, float *out) LFM2__NODISCARD;
int lfm2__attention(lfm2_session *s, int32_t layer, const lfm2__batch *b, const float *h, float *out) LFM2__NODISCARD;
int lfm2__ffn(lfm2_session *s, int32_t layer, int32_t n_tok, const float *h, float *out) LFM2__NODISCARD;
int lfm2__moe(lfm2_session *s, int32_t layer, int32_t n_tok, const float *h, float *out) LFM2__NODISCARD;
size_t lfm2__shortconv_scratch_bytes(const lfm2_model *m, int32_t n_tok, int32_t n_threads);
size_t lfm2__attention_scratch_bytes(const lfm2_model *m, int32_t n_tok, int32_t n_threads, int32_t cap_tok);
size_t lfm2__ffn_scratch_bytes(const lfm2_model *m, int32_t n_tok);
size_t lfm2__moe_scratch_bytes(const lfm2_model *m, int32_t n_tok);

/* out [n_tok, d] = W2 (silu(W1 h) * W3 h); gate and up: scratch [n_tok, width of w1]. */
int lfm2__swiglu(const lfm2_session *s, const lfm2__mat *w1, const lfm2__mat *w3, const lfm2__mat *w2, int32_t n_tok,
                 const float *h, float *gate, float *up, float *out) LFM2__NODISCARD;

#endif
