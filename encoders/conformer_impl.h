/* SPDX-License-Identifier: Apache-2.0
 * Inside of the audio encoder. Letters as in MODEL.md. */
#ifndef LFM2__CONFORMER_IMPL_H
#define LFM2__CONFORMER_IMPL_H

#include "base/arena.h"
#include "base/json.h"
#include "base/mathsafe.h"
#include "base/runtime_impl.h"
#include "kernels/rows.h"
#include "lfm2/audio_encoder.h"
#include "weights/bind.h"

#define LFM2__AUDIO_MAX_TAPS 63
#define LFM2__AUDIO_EPS 1e-5f /* of all norms */
#define LFM2__AUDIO_MAX_CLASSES 8192 /* of the CTC head, the blank included */
#define LFM2__AUDIO_MAX_UPSAMPLE 16

typedef struct lfm2__ff {
    lfm2__norm norm;
    lfm2__linear up, down;
} lfm2__ff;

typedef struct lfm2__conformer_layer {
    lfm2__ff ff[2];
    lfm2__norm norm_attn, norm_conv, norm_out;
    lfm2__linear q, k, v, out;
    lfm2__mat pos;                  /* [d, d], no bias */
    lfm2__vec pos_u, pos_v;         /* [H, D] */
    lfm2__linear conv_in, conv_out; /* [2d, d], [d, d] */
    lfm2__vec taps;                 /* src [d, K], data [K, d]; the batch norm is multiplied in */
    lfm2__vec taps_bias;            /* [d]; the same */
    lfm2__vec bn_weight, bn_bias, bn_mean, bn_var; /* [d]; in GGUF mean and variance are multiplied in */
    lfm2__mat bn_count;             /* never read */
} lfm2__conformer_layer;

struct lfm2_audio_encoder {
    lfm2_runtime *rt;
    lfm2_weights *w;
    lfm2_audio_config cfg;
    lfm2__kernels k;
    struct {
        lfm2__vec taps;             /* src [C, 9], data [9, C]; tap 3 * time + frequency */
        lfm2__vec bias;             /* [C] */
    } sub[3];                       /* convolutions of 3 x 3: the first over one channel, then depthwise */
    lfm2__linear point[2];          /* [C, C] behind sub[1] and sub[2] */
    lfm2__linear sub_out;           /* [d, C F3] */
    lfm2__conformer_layer *layers;
    lfm2__norm adapter_norm;
    lfm2__linear adapter[2];        /* [A, d], [O, A] */
    lfm2__linear ctc;               /* [U Z, d]; not there if n_ctc_classes is 0 */
    uint32_t *alphabet;             /* [Z]; NULL without the head */
    float *vectors;                 /* all f32 copies */
    void *random;                   /* weights of a random encoder, which has no w */
};

/* Frequencies after i of the three halvings. */
int32_t lfm2__audio_n_freq(const lfm2_audio_config *c, int i);

/* conformer_config.c: from opened weights, with the widths that only tensors state. *alphabet: as in lfm2_audio_encoder, the
 * caller frees it, also after a failure. Returns as lfm2_audio_encoder_load(). */
int lfm2__audio_config_of_weights(const lfm2_weights *w, lfm2_audio_config *cfg, uint32_t **alphabet) LFM2__NODISCARD;

/* The part of it that a config.json states; d_adapter and d_out stay. */
int lfm2__audio_config_from_value(lfm2_runtime *rt, const char *path, const lfm2__json *root, lfm2_audio_config *cfg,
                                  uint32_t **alphabet) LFM2__NODISCARD;

/* conformer_load.c: lfm2_audio_encoder_load() from opened weights, which are closed with the encoder, also after a failure. */
int lfm2__audio_encoder_of_weights(lfm2_weights *w, lfm2_audio_encoder **out) LFM2__NODISCARD;

/* The f32 copies, once matrices are in their places. Returns 0; LFM2_ERR_NOMEM; LFM2_ERR_NONFINITE. */
int lfm2__audio_make_vectors(lfm2_audio_encoder *enc) LFM2__NODISCARD;

/* conformer_ctc.c: the classes of n bytes of UTF-8, to be freed. Returns 0; LFM2_ERR_FORMAT; LFM2_ERR_NOMEM. */
int lfm2__audio_alphabet(lfm2_runtime *rt, const char *path, const char *text, size_t n, uint32_t **out,
                         int32_t *n_classes) LFM2__NODISCARD;

/* What the head makes of rows x [n_tok, d] in front of the adapter. ctc: f32 [n_tok U, Z]. Returns 0; LFM2_ERR_ABORTED;
 * LFM2_ERR_NONFINITE. */
int lfm2__audio_ctc(const lfm2_audio_encoder *enc, const float *x, int32_t n_tok, float *ctc) LFM2__NODISCARD;

/* conformer_tensors.c: fn for every tensor. Stops at the first status < 0. */
int lfm2__audio_tensors(lfm2_audio_encoder *enc, lfm2__tensor_fn *fn, void *ctx) LFM2__NODISCARD;

struct lfm2_audio_scratch {
    const lfm2_audio_encoder *enc;
    int32_t cap_tok, n_threads;
    int64_t adapter_us;             /* of the last call */
    float *sinusoid;                /* f32 [2 cap_tok - 1, d]: row cap_tok - 1 - r is distance r */
    lfm2__arena arena;
};

/* One call. */
typedef struct lfm2__audio_batch {
    const lfm2_audio_segment *segments;
    int32_t n_segments;
    int32_t n_tok;                  /* of all */
    int32_t longest;                /* tokens of the longest segment */
} lfm2__audio_batch;

/* Operators: out of normed rows h [n_tok, d] into out [n_tok, d], which may be h; scratch from s->arena of the size that the
 * function beside them says (SIZE_MAX on overflow). Return 0 or LFM2_ERR_ABORTED. */
int lfm2__audio_subsample(lfm2_audio_scratch *s, const lfm2__audio_batch *b, float *x) LFM2__NODISCARD;
size_t lfm2__audio_subsample_bytes(const lfm2_audio_encoder *enc); /* the embeddings of all segments into x */
int lfm2__audio_attention(lfm2_audio_scratch *s, const lfm2__conformer_layer *layer, const lfm2__audio_batch *b, const float *h,
                          float *out) LFM2__NODISCARD;
size_t lfm2__audio_attention_bytes(const lfm2_audio_encoder *enc, int32_t n_tok, int32_t n_threads);
int lfm2__audio_conv(lfm2_audio_scratch *s, const lfm2__conformer_layer *layer, const lfm2__audio_batch *b, const float *h,
                     float *out) LFM2__NODISCARD;
size_t lfm2__audio_conv_bytes(const lfm2_audio_encoder *enc, int32_t n_tok);

#endif
