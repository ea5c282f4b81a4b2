/* SPDX-License-Identifier: Apache-2.0
 * Inside of the vision encoder. Letters and formulas: MODEL.md. */
#ifndef LFM2__VISION_IMPL_H
#define LFM2__VISION_IMPL_H

#include "base/arena.h"
#include "base/runtime_impl.h"
#include "kernels/rows.h"
#include "lfm2/encoders.h"
#include "weights/bind.h"

#define LFM2__VISION_MAX_LAYERS 128
#define LFM2__VISION_MAX_RUN_PATCHES 65536

typedef struct lfm2__vision_layer {
    lfm2__norm ln1, ln2;
    lfm2__linear q, k, v, o, up, down;
} lfm2__vision_layer;

struct lfm2_vision {
    lfm2_runtime *rt;
    lfm2_weights *w;
    lfm2_vision_config cfg;
    lfm2_vision_params params;
    lfm2__kernels k;
    lfm2__vec patch_st, patch_gguf;   /* the patch weight as the file has it: [h, P] or [h, 3, p, p] */
    const float *patch_w;             /* one of them, [h, P], order dy, dx, channel */
    lfm2__vec patch_b, table;         /* [h]; [side^2, h] */
    lfm2__norm post, proj_norm;
    lfm2__linear proj1, proj2;
    lfm2__vision_layer *layers;
    float *vectors;                   /* what all data pointers point into */
    void *random;                     /* weights of a random encoder, which has no w */
};

struct lfm2_vision_run {
    const lfm2_vision *v;
    int32_t cap_patches, n_threads;
    int64_t project_us; /* of the last call */
    lfm2__arena scratch;
};

/* A group of inputs that goes through the tower together. */
typedef struct lfm2__vision_batch {
    const lfm2_vision_grid *inputs;
    int32_t n_inputs, n_patches;
} lfm2__vision_batch;

/* Bilinear weights with antialiasing of output element i, when n_in elements become n_out: *first and the returned number of
 * them; w: room for lfm2__filter_cap(n_in, n_out). They sum to 1. */
int32_t lfm2__filter(int32_t i, int32_t n_in, int32_t n_out, int32_t *first, double *w);
int32_t lfm2__filter_cap(int32_t n_in, int32_t n_out);

/* One axis of a resize of bytes: fixed-point weights for each output element. */
typedef struct lfm2__resize_axis {
    int32_t n_in, n_out, cap, shift; /* cap weights for each output; they are scaled by 2^shift */
    int32_t *first, *count;          /* [n_out] */
    int16_t *w;                      /* [n_out, cap] */
} lfm2__resize_axis;

/* Returns 0 or LFM2_ERR_NOMEM. fini accepts a zeroed axis. */
int lfm2__resize_axis_init(lfm2__resize_axis *a, lfm2_runtime *rt, int32_t n_in, int32_t n_out) LFM2__NODISCARD;
void lfm2__resize_axis_fini(lfm2__resize_axis *a, lfm2_runtime *rt);

/* One row of RGB pixels scaled along x: out u8 [n_out, 3]. */
void lfm2__resize_row(const lfm2__resize_axis *a, const uint8_t *row, uint8_t *out);

/* 0 or LFM2_ERR_ARG; *field names what is out of range. */
int lfm2__vision_params_check(const lfm2_vision_params *p, const char **field) LFM2__NODISCARD;

/* Configuration of the files under v->w into v->cfg and v->params. */
int lfm2__vision_read_config(lfm2_vision *v) LFM2__NODISCARD;
int lfm2__vision_read_params(lfm2_vision *v) LFM2__NODISCARD;
/* The same from parsed JSON; label names it in log lines. */
int lfm2__vision_config_from_json(lfm2_runtime *rt, const char *label, const lfm2__json *root,
                                  lfm2_vision_config *cfg) LFM2__NODISCARD;
int lfm2__vision_params_from_json(lfm2_runtime *rt, const char *label, const lfm2__json *obj,
                                  lfm2_vision_params *p) LFM2__NODISCARD;

/* Call fn for every tensor: a bind row with its dims and its place in v. Stops at the first status < 0. */
int lfm2__vision_tensors(lfm2_vision *v, lfm2__tensor_fn *fn, void *ctx) LFM2__NODISCARD;

/* Call fn for every setting that GGUF has no standard place for, but our key lfm2.vision.NAME. */
typedef void lfm2__vision_setting_fn(void *ctx, const char *key, int is_bool, int32_t value);
void lfm2__vision_settings(const lfm2_vision_params *p, lfm2__vision_setting_fn *fn, void *ctx);

/* Bind every tensor and make the f32 copies. */
int lfm2__vision_bind(lfm2_vision *v) LFM2__NODISCARD;
/* The copies alone: matrices are in their places. Returns 0 or LFM2_ERR_NOMEM. */
int lfm2__vision_finish(lfm2_vision *v) LFM2__NODISCARD;

/* Tower: patches f32 [n, P] to features x f32 [n, h], behind the last norm. */
int lfm2__vision_tower(lfm2_vision_run *r, const lfm2__vision_batch *b, const float *patches, float *x) LFM2__NODISCARD;
size_t lfm2__vision_tower_bytes(const lfm2_vision *v, int32_t n_patches, int32_t n_threads);

/* Self-attention of a layer: h f32 [n, h_width] in, what is added to the residual (without the bias of o) out. */
int lfm2__vision_attention(lfm2_vision_run *r, const lfm2__vision_layer *layer, const lfm2__vision_batch *b, const float *h,
                           float *out) LFM2__NODISCARD;
size_t lfm2__vision_attention_bytes(const lfm2_vision *v, int32_t n_patches, int32_t n_threads);

/* Projector: features x to out f32 [tokens, d]. */
int lfm2__vision_project(lfm2_vision_run *r, const lfm2__vision_batch *b, const float *x, float *out) LFM2__NODISCARD;
size_t lfm2__vision_project_bytes(const lfm2_vision *v, int32_t n_patches);

#endif
