/* SPDX-License-Identifier: Apache-2.0
 * Bidirectional attention of the vision tower: each input attends to itself. Scores and sums are matrix products: a task is one
 * head and a block of queries of one input, so that the bits depend on neither the threads nor the other inputs. */
#include <math.h>

#include "base/pool.h"
#include "encoders/vision_impl.h"

enum { QUERIES = 48 };

typedef struct attn_job {
    const lfm2_vision_run *r;
    float *q, *k, *v; /* [n, h] */
    float *vt;        /* of each input [h, its patches] */
    float *out;       /* [n, h] */
    float *scores;    /* [n_threads, QUERIES, greatest input] */
    int32_t max_patches;
    int32_t first, n; /* patches of the present input */
} attn_job;

static void transpose_head(void *ctx, int32_t task, int32_t worker)
{
    const attn_job *job = ctx;
    const lfm2_vision_config *c = &job->r->v->cfg;
    const size_t h = (size_t)c->d_vision, n = (size_t)job->n, head_dim = h / (size_t)c->n_heads;
    const float *v = job->v + (size_t)job->first * h + (size_t)task * head_dim;
    float *vt = job->vt + (size_t)job->first * h + (size_t)task * head_dim * n;
    (void)worker;
    for (size_t t = 0; t < n; t++) {
        for (size_t i = 0; i < head_dim; i++) vt[i * n + t] = v[t * h + i];
    }
}

static void attend_block(void *ctx, int32_t task, int32_t worker)
{
    const attn_job *job = ctx;
    const lfm2_vision *v = job->r->v;
    const int32_t head = task % v->cfg.n_heads, q0 = task / v->cfg.n_heads * QUERIES, head_dim = v->cfg.d_vision / v->cfg.n_heads;
    const int32_t n_q = job->n - q0 < QUERIES ? job->n - q0 : QUERIES;
    const size_t h = (size_t)v->cfg.d_vision, n = (size_t)job->n, at = (size_t)job->first * h + (size_t)head * (size_t)head_dim;
    float *scores = job->scores + (size_t)worker * QUERIES * (size_t)job->max_patches;
    lfm2__gemm_fn *gemm = v->k.gemm[LFM2_DTYPE_F32];
    gemm(scores, n, job->q + at + (size_t)q0 * h, h, n_q, job->k + at, h * sizeof(float), job->n, head_dim);
    for (int32_t i = 0; i < n_q; i++) v->k.softmax(scores + (size_t)i * n, job->n, 1.0f / sqrtf((float)head_dim));
    gemm(job->out + at + (size_t)q0 * h, h, scores, n, n_q, job->vt + (size_t)job->first * h + (size_t)head * (size_t)head_dim * n,
         n * sizeof(float), head_dim, job->n);
}

static int attend_all(attn_job *job, const lfm2__vision_batch *b)
{
    const lfm2_vision *v = job->r->v;
    lfm2__pool *pool = lfm2__runtime_pool(v->rt);
    for (int32_t i = 0; i < b->n_inputs; i++, job->first += job->n) {
        if (lfm2__aborted(v->rt)) return LFM2_ERR_ABORTED;
        job->n = b->inputs[i].n_rows * b->inputs[i].n_cols;
        lfm2__pool_run(pool, transpose_head, job, v->cfg.n_heads);
        lfm2__pool_run(pool, attend_block, job, (job->n + QUERIES - 1) / QUERIES * v->cfg.n_heads);
    }
    return 0;
}

int lfm2__vision_attention(lfm2_vision_run *r, const lfm2__vision_layer *layer, const lfm2__vision_batch *b, const float *h,
                           float *out)
{
    const size_t mark = lfm2__arena_mark(&r->scratch), n = (size_t)b->n_patches, row = (size_t)r->v->cfg.d_vision * sizeof(float);
    const lfm2__kernels *k = &r->v->k;
    lfm2_runtime *rt = r->v->rt;
    const int32_t n_patches = b->n_patches;
    attn_job job = { .r = r, .max_patches = r->cap_patches };
    job.q = lfm2__arena_alloc(&r->scratch, n, row);
    job.k = lfm2__arena_alloc(&r->scratch, n, row);
    job.v = lfm2__arena_alloc(&r->scratch, n, row);
    job.vt = lfm2__arena_alloc(&r->scratch, n, row);
    job.scores = lfm2__arena_alloc(&r->scratch, (size_t)r->n_threads * QUERIES, (size_t)r->cap_patches * sizeof(float));
    int rc = lfm2__linear_run(k, rt, job.q, h, n_patches, &layer->q, LFM2__ACT_NONE);
    if (rc == 0) rc = lfm2__linear_run(k, rt, job.k, h, n_patches, &layer->k, LFM2__ACT_NONE);
    if (rc == 0) rc = lfm2__linear_run(k, rt, job.v, h, n_patches, &layer->v, LFM2__ACT_NONE);
    job.out = job.q; /* of a block and head, queries are read before their results are written over them */
    if (rc == 0) rc = attend_all(&job, b);
    if (rc == 0) rc = lfm2__matmul_pieces(k, rt, out, job.out, n_patches, &layer->o.w);
    lfm2__arena_release(&r->scratch, mark);
    return rc;
}

size_t lfm2__vision_attention_bytes(const lfm2_vision *v, int32_t n_patches, int32_t n_threads)
{
    const size_t rows = lfm2__arena_bytes((size_t)n_patches, (size_t)v->cfg.d_vision * sizeof(float));
    return 4 * rows + lfm2__arena_bytes((size_t)n_threads * QUERIES, (size_t)n_patches * sizeof(float));
}
