/* SPDX-License-Identifier: Apache-2.0
 * The projector: blocks of neighbouring patches become tokens of the language model's width. */
#include <string.h>

#include "encoders/vision_impl.h"

#define PROJ_NORM_EPS 1e-5f /* PyTorch's own default; not the tower's */

/* z of token (i, j): the features of its block, row by row. */
static float *unshuffle(const lfm2_vision *v, const lfm2_vision_grid *g, const float *x, float *z)
{
    const int32_t f = v->cfg.downsample;
    const size_t h = (size_t)v->cfg.d_vision;
    for (int32_t i = 0; i < g->n_rows / f; i++) {
        for (int32_t j = 0; j < g->n_cols / f; j++) {
            for (int32_t dy = 0; dy < f; dy++, z += (size_t)f * h) {
                const size_t at = (size_t)(i * f + dy) * (size_t)g->n_cols + (size_t)j * (size_t)f;
                memcpy(z, x + at * h, (size_t)f * h * sizeof(float));
            }
        }
    }
    return z;
}

int lfm2__vision_project(lfm2_vision_run *r, const lfm2__vision_batch *b, const float *x, float *out)
{
    const lfm2_vision *v = r->v;
    const int32_t f2 = v->cfg.downsample * v->cfg.downsample, n = b->n_patches / f2, width = v->cfg.d_vision * f2;
    const size_t mark = lfm2__arena_mark(&r->scratch);
    float *z = lfm2__arena_alloc(&r->scratch, (size_t)n, (size_t)width * sizeof(float)), *end = z;
    float *mid = lfm2__arena_alloc(&r->scratch, (size_t)n, (size_t)v->cfg.d_projector * sizeof(float));
    for (int32_t i = 0; i < b->n_inputs; i++) {
        end = unshuffle(v, &b->inputs[i], x, end);
        x += (size_t)b->inputs[i].n_rows * (size_t)b->inputs[i].n_cols * (size_t)v->cfg.d_vision;
    }
    if (v->cfg.has_projector_norm)
        lfm2__rows_run(&v->k, v->rt, &(lfm2__rows){ .x = z, .norm = &v->proj_norm, .eps = PROJ_NORM_EPS, .y = z, .n_rows = n,
                                                    .width = width });
    int rc = lfm2__linear_run(&v->k, v->rt, mid, z, n, &v->proj1, LFM2__ACT_GELU_ERF);
    if (rc == 0) rc = lfm2__linear_run(&v->k, v->rt, out, mid, n, &v->proj2, LFM2__ACT_NONE);
    lfm2__arena_release(&r->scratch, mark);
    return rc;
}

size_t lfm2__vision_project_bytes(const lfm2_vision *v, int32_t n_patches)
{
    const int32_t f2 = v->cfg.downsample * v->cfg.downsample;
    const size_t n = (size_t)(n_patches / f2);
    return lfm2__arena_bytes(n, (size_t)v->cfg.d_vision * (size_t)f2 * sizeof(float))
           + lfm2__arena_bytes(n, (size_t)v->cfg.d_projector * sizeof(float));
}
