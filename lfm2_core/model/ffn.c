/* SPDX-License-Identifier: Apache-2.0
 * The dense feed-forward layer. */
#include "model/model_impl.h"

enum { ROWS_PER_TASK = 4 };

typedef struct silu_job {
    const lfm2_model *m;
    float *gate;
    const float *up;
    int32_t n_tok, width;
} silu_job;

static void silu_rows(void *ctx, int32_t task, int32_t worker)
{
    const silu_job *job = ctx;
    int32_t end = (task + 1) * ROWS_PER_TASK;
    if (end > job->n_tok) end = job->n_tok;
    (void)worker;
    for (int32_t t = task * ROWS_PER_TASK; t < end; t++) {
        size_t at = (size_t)t * (size_t)job->width;
        job->m->k.silu_mul(job->gate + at, job->gate + at, job->up + at, job->width);
    }
}

int lfm2__swiglu(const lfm2_session *s, const lfm2__mat *w1, const lfm2__mat *w3, const lfm2__mat *w2, int32_t n_tok,
                 const float *h, float *gate, float *up, float *out)
{
    int rc = lfm2__backbone_matmul(s, gate, h, n_tok, w1);
    if (rc == 0) rc = lfm2__backbone_matmul(s, up, h, n_tok, w3);
    if (rc < 0) return rc;
    silu_job job = { .m = s->m, .gate = gate, .up = up, .n_tok = n_tok, .width = (int32_t)w1->n_rows };
    lfm2__pool_run(lfm2__runtime_pool(s->m->rt), silu_rows, &job, (n_tok + ROWS_PER_TASK - 1) / ROWS_PER_TASK);
    return lfm2__backbone_matmul(s, out, gate, n_tok, w2);
}

int lfm2__ffn(lfm2_session *s, int32_t layer, int32_t n_tok, const float *h, float *out)
{
    const lfm2__layer *w = &s->m->layers[layer];
    const size_t n = (size_t)n_tok, row_bytes = (size_t)s->m->cfg.d_ff * sizeof(float);
    size_t mark = lfm2__arena_mark(&s->scratch);
    float *gate = lfm2__arena_alloc(&s->scratch, n, row_bytes);
    float *up = lfm2__arena_alloc(&s->scratch, n, row_bytes);
    int rc = lfm2__swiglu(s, &w->w1, &w->w3, &w->w2, n_tok, h, gate, up, out);
    lfm2__arena_release(&s->scratch, mark);
    return rc;
}

size_t lfm2__ffn_scratch_bytes(const lfm2_model *m, int32_t n_tok)
{
    size_t bytes = lfm2__arena_bytes((size_t)n_tok, (size_t)m->cfg.d_ff * sizeof(float));
    return lfm2__bytes_add(bytes, bytes);
}
