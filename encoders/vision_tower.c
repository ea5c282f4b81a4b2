/* SPDX-License-Identifier: Apache-2.0
 * The vision tower: patch embedding, interpolated position table, layers, last norm. */

#include "base/pool.h"
#include "encoders/vision_impl.h"

enum { MAX_TAPS = 2 * 256 + 1 };

typedef struct table_job {
    const lfm2_vision *v;
    lfm2_vision_grid grid;
    float *x; /* of this input */
} table_job;

/* One row of patches: the table, scaled to the grid, is added. */
static void add_table_row(void *ctx, int32_t task, int32_t worker)
{
    const table_job *job = ctx;
    const int32_t side = job->v->cfg.table_side, h = job->v->cfg.d_vision;
    double wy[MAX_TAPS], wx[MAX_TAPS];
    int32_t y0, x0;
    const int32_t ny = lfm2__filter(task, side, job->grid.n_rows, &y0, wy);
    float *x = job->x + (size_t)task * (size_t)job->grid.n_cols * (size_t)h;
    (void)worker;
    for (int32_t col = 0; col < job->grid.n_cols; col++, x += h) {
        const int32_t nx = lfm2__filter(col, side, job->grid.n_cols, &x0, wx);
        for (int32_t i = 0; i < ny; i++) {
            const float *row = job->v->table.data + ((size_t)(y0 + i) * (size_t)side + (size_t)x0) * (size_t)h;
            for (int32_t j = 0; j < nx; j++) job->v->k.axpy(x, (float)(wy[i] * wx[j]), row + (size_t)j * (size_t)h, h);
        }
    }
}

static int embed(const lfm2_vision *v, const lfm2__vision_batch *b, const float *patches, float *x)
{
    const int64_t patch_n = 3 * (int64_t)v->cfg.patch_px * v->cfg.patch_px;
    const lfm2__linear patch = { .w = { .data = v->patch_w, .dtype = LFM2_DTYPE_F32, .n_rows = v->cfg.d_vision, .n_cols = patch_n,
                                        .row_bytes = (size_t)patch_n * sizeof(float) }, .b = v->patch_b };
    const int rc = lfm2__linear_run(&v->k, v->rt, x, patches, b->n_patches, &patch, LFM2__ACT_NONE);
    if (rc < 0) return rc;
    for (int32_t i = 0; i < b->n_inputs; i++) {
        table_job job = { .v = v, .grid = b->inputs[i], .x = x };
        lfm2__pool_run(lfm2__runtime_pool(v->rt), add_table_row, &job, job.grid.n_rows);
        x += (size_t)job.grid.n_rows * (size_t)job.grid.n_cols * (size_t)v->cfg.d_vision;
    }
    return 0;
}

/* The bias of down is left out, as that of o: both are added together with what they belong to. */
static int feed_forward(lfm2_vision_run *r, const lfm2__vision_layer *layer, int32_t n, const float *h, float *out)
{
    const lfm2_vision *v = r->v;
    const size_t mark = lfm2__arena_mark(&r->scratch);
    float *wide = lfm2__arena_alloc(&r->scratch, (size_t)n, (size_t)v->cfg.d_ff * sizeof(float));
    int rc = lfm2__linear_run(&v->k, v->rt, wide, h, n, &layer->up, LFM2__ACT_GELU_TANH);
    if (rc == 0) rc = lfm2__matmul_pieces(&v->k, v->rt, out, wide, n, &layer->down.w);
    lfm2__arena_release(&r->scratch, mark);
    return rc;
}

int lfm2__vision_tower(lfm2_vision_run *r, const lfm2__vision_batch *b, const float *patches, float *x)
{
    const lfm2_vision *v = r->v;
    const size_t mark = lfm2__arena_mark(&r->scratch);
    const int32_t n = b->n_patches, n_layers = v->cfg.n_layers;
    float *h = lfm2__arena_alloc(&r->scratch, (size_t)n, (size_t)v->cfg.d_vision * sizeof(float));
    lfm2__rows next = { .x = x, .scale = 1, .y = h, .n_rows = n, .width = v->cfg.d_vision, .eps = v->cfg.norm_eps };
    int rc = embed(v, b, patches, x);
    next.norm = &v->layers[0].ln1;
    if (rc == 0) lfm2__rows_run(&v->k, v->rt, &next);
    next.add = h;
    for (int32_t l = 0; rc == 0 && l < n_layers; l++) {
        const lfm2__vision_layer *layer = &v->layers[l];
        rc = lfm2__vision_attention(r, layer, b, h, h);
        next.bias = layer->o.b.data;
        next.norm = &layer->ln2;
        if (rc == 0) lfm2__rows_run(&v->k, v->rt, &next);
        if (rc == 0) rc = feed_forward(r, layer, n, h, h);
        next.bias = layer->down.b.data;
        next.norm = l + 1 < n_layers ? &v->layers[l + 1].ln1 : &v->post;
        if (l + 1 == n_layers) next.y = x;
        if (rc == 0) lfm2__rows_run(&v->k, v->rt, &next);
    }
    lfm2__arena_release(&r->scratch, mark);
    return rc;
}

size_t lfm2__vision_tower_bytes(const lfm2_vision *v, int32_t n_patches, int32_t n_threads)
{
    const size_t n = (size_t)n_patches, attn = lfm2__vision_attention_bytes(v, n_patches, n_threads);
    const size_t ffn = lfm2__arena_bytes(n, (size_t)v->cfg.d_ff * sizeof(float));
    return lfm2__arena_bytes(n, (size_t)v->cfg.d_vision * sizeof(float)) + (attn > ffn ? attn : ffn);
}
