/* SPDX-License-Identifier: Apache-2.0
 * What models and encoders do with rows of activations between matrix products, and the vectors they do it with. */
#ifndef LFM2__ROWS_H
#define LFM2__ROWS_H

#include "kernels/kernels_impl.h"

typedef enum lfm2__activation {
    LFM2__ACT_NONE, LFM2__ACT_RELU, LFM2__ACT_SILU, LFM2__ACT_GELU_TANH, LFM2__ACT_GELU_ERF
} lfm2__activation;

/* A layer norm, or without b an RMS norm. */
typedef struct lfm2__norm {
    lfm2__vec w, b;
} lfm2__norm;

/* y = w x + b */
typedef struct lfm2__linear {
    lfm2__mat w;
    lfm2__vec b;
} lfm2__linear;

/* Each row: x += scale * add; x += bias; x = act(x); x *= gated (with silu alone); y = norm(x). What is NULL is left out. */
typedef struct lfm2__rows {
    float *x;           /* [n_rows, width] */
    const float *add;   /* [n_rows, width] */
    float scale;
    const float *bias;  /* [width] */
    lfm2__activation act;
    const float *gated; /* [n_rows, width] */
    const lfm2__norm *norm;
    float eps;
    float *y;           /* [n_rows, width]; may be x or add */
    int32_t n_rows, width;
} lfm2__rows;

/* On the pool; the bits of a row depend on nothing but that row. */
void lfm2__rows_run(const lfm2__kernels *k, lfm2_runtime *rt, const lfm2__rows *rows);

/* y [n_rows, rows of w] = act(w x + b). Returns 0 or LFM2_ERR_ABORTED. */
int lfm2__linear_run(const lfm2__kernels *k, lfm2_runtime *rt, float *y, const float *x, int32_t n_rows, const lfm2__linear *l,
                     lfm2__activation act) LFM2__NODISCARD;

/* The f32 copies of bound vectors, in two walks: with at NULL their elements are counted in n (each is one of a tensor in the file:
 * no overflow), otherwise they are copied to at, which moves on. */
typedef struct lfm2__vec_walk {
    const lfm2__kernels *k;
    float *at;
    size_t n;
} lfm2__vec_walk;
int lfm2__vec_visit(void *walk, const lfm2__bind_row *row, int32_t layer, int32_t expert); /* a lfm2__tensor_fn; always 0 */

/* In place, [n, n_cols] -> [n_cols, n]. tmp: as much room again. */
void lfm2__transpose(float *m, size_t n, size_t n_cols, float *tmp);

#endif
