/* SPDX-License-Identifier: Apache-2.0
 * The gated short convolution over a ragged batch. */
#include <string.h>

#include "model/model_impl.h"

enum { ROWS_PER_TASK = 16 };

typedef struct conv_job {
    const lfm2_session *s;
    int32_t layer;
    const lfm2__batch *b;
    const float *bcx; /* [T, 3d] */
    float *u;         /* [T, d] */
    float *y;         /* [T, d] */
    float *edge;      /* [n_threads, K - 1, d] */
    const float *zero; /* [d] */
} conv_job;

/* u of a row, as the kernel computes it: one product, rounded once. */
static void gate_row(float *u, const float *bcx, int32_t d)
{
    for (int32_t c = 0; c < d; c++) u[c] = bcx[c] * bcx[2 * d + c];
}

/* Rows of a task may need u of up to K - 1 rows before it, which another task is computing meanwhile: it is computed again. */
static void conv_rows(void *ctx, int32_t task, int32_t worker)
{
    const conv_job *job = ctx;
    const lfm2_session *s = job->s;
    const lfm2__batch *b = job->b;
    const int32_t d = s->m->cfg.d_model, n_past = s->m->cfg.n_taps - 1;
    const size_t row = (size_t)d;
    const int32_t start = task * ROWS_PER_TASK;
    int32_t end = start + ROWS_PER_TASK;
    if (end > b->n_tok) end = b->n_tok;
    float *edge = job->edge + (size_t)worker * (size_t)n_past * row; /* row start - n_past + j in slot j */
    for (int32_t r = start - n_past; r < start; r++) {
        if (r >= b->first[start]) gate_row(edge + (size_t)(r - start + n_past) * row, job->bcx + (size_t)r * 3 * row, d);
    }
    for (int32_t t = start; t < end; t++) {
        const float *hist[LFM2__MAX_TAPS] = { 0 };
        for (int32_t j = 0; j < n_past; j++) {
            int32_t r = t - n_past + j, pos = b->pos[t] - n_past + j;
            if (pos < 0)
                hist[j] = job->zero;
            else if (r < b->first[t])
                hist[j] = lfm2__cache_u(s, job->layer, b->seq[t], pos);
            else
                hist[j] = r >= start ? job->u + (size_t)r * row : edge + (size_t)(r - start + n_past) * row;
        }
        s->m->k.shortconv(job->y + (size_t)t * row, job->u + (size_t)t * row, job->bcx + (size_t)t * 3 * row, hist,
                          s->m->layers[job->layer].taps.data, d, s->m->cfg.n_taps);
    }
}

/* Keep u of the newest R positions of each sequence. */
static void remember(const conv_job *job)
{
    const lfm2__batch *b = job->b;
    const size_t d = (size_t)job->s->m->cfg.d_model;
    for (int32_t t = 0, end; t < b->n_tok; t = end) {
        for (end = t + 1; end < b->n_tok && b->first[end] == t;) end++;
        for (int32_t r = end - t > job->s->n_hist ? end - job->s->n_hist : t; r < end; r++)
            memcpy(lfm2__cache_u(job->s, job->layer, b->seq[r], b->pos[r]), job->u + (size_t)r * d, d * sizeof(float));
    }
}

int lfm2__shortconv(lfm2_session *s, int32_t layer, const lfm2__batch *b, const float *h, float *out)
{
    const lfm2_model *m = s->m;
    const size_t d = (size_t)m->cfg.d_model, n = (size_t)b->n_tok;
    const size_t n_edge = (size_t)s->n_threads * (size_t)(m->cfg.n_taps - 1) + 1; /* the last row is the one of zeros */
    size_t mark = lfm2__arena_mark(&s->scratch);
    float *bcx = lfm2__arena_alloc(&s->scratch, n, 3 * d * sizeof(float));
    float *u = lfm2__arena_alloc(&s->scratch, n, d * sizeof(float));
    float *y = lfm2__arena_alloc(&s->scratch, n, d * sizeof(float));
    float *edge = lfm2__arena_alloc(&s->scratch, n_edge, d * sizeof(float));
    float *zero = edge + (n_edge - 1) * d;
    memset(zero, 0, d * sizeof(float));
    int rc = lfm2__backbone_matmul(s, bcx, h, b->n_tok, &m->layers[layer].in_proj);
    if (rc == 0) {
        conv_job job = { .s = s, .layer = layer, .b = b, .bcx = bcx, .u = u, .y = y, .edge = edge, .zero = zero };
        lfm2__pool_run(lfm2__runtime_pool(m->rt), conv_rows, &job, (b->n_tok + ROWS_PER_TASK - 1) / ROWS_PER_TASK);
        if (s->n_hist > 0) remember(&job);
        rc = lfm2__backbone_matmul(s, out, y, b->n_tok, &m->layers[layer].conv_out);
    }
    lfm2__arena_release(&s->scratch, mark);
    return rc;
}

size_t lfm2__shortconv_scratch_bytes(const lfm2_model *m, int32_t n_tok, int32_t n_threads)
{
    const size_t d = (size_t)m->cfg.d_model, n = (size_t)n_tok;
    const size_t n_edge = (size_t)n_threads * (size_t)(m->cfg.n_taps - 1) + 1;
    size_t bytes = lfm2__arena_bytes(n, 3 * d * sizeof(float));
    for (int i = 0; i < 2; i++) bytes = lfm2__bytes_add(bytes, lfm2__arena_bytes(n, d * sizeof(float)));
    return lfm2__bytes_add(bytes, lfm2__arena_bytes(n_edge, d * sizeof(float)));
}
