/* SPDX-License-Identifier: Apache-2.0
 * Rows of activations on the pool. */
#include "kernels/rows.h"

#include <string.h>

#include "base/runtime_impl.h"

enum { TASK_FLOATS = 8192 }; /* some microseconds of work */

typedef struct rows_job {
    const lfm2__kernels *k;
    const lfm2__rows *rows;
    int32_t task_rows;
} rows_job;

static void activate(const lfm2__kernels *k, float *x, const float *gated, int32_t n, lfm2__activation act)
{
    switch (act) {
    case LFM2__ACT_NONE: break;
    case LFM2__ACT_RELU:
        for (int32_t i = 0; i < n; i++) x[i] = x[i] < 0 ? 0 : x[i]; /* what is no number stays so, and is found at the end */
        break;
    case LFM2__ACT_SILU:
        if (gated) k->silu_mul(x, x, gated, n);
        else k->silu(x, x, n);
        break;
    case LFM2__ACT_GELU_TANH: k->gelu_tanh(x, x, n); break;
    case LFM2__ACT_GELU_ERF: k->gelu_erf(x, x, n); break;
    }
}

static void do_rows(void *ctx, int32_t task, int32_t worker)
{
    const rows_job *job = ctx;
    const lfm2__rows *r = job->rows;
    const lfm2__kernels *k = job->k;
    const int32_t first = task * job->task_rows, n = r->n_rows - first < job->task_rows ? r->n_rows - first : job->task_rows;
    (void)worker;
    for (int32_t i = first; i < first + n; i++) {
        const size_t at = (size_t)i * (size_t)r->width;
        float *x = r->x + at;
        if (r->add) k->axpy(x, r->scale, r->add + at, r->width);
        if (r->bias) k->add(x, r->bias, r->width);
        activate(k, x, r->gated ? r->gated + at : NULL, r->width, r->act);
        if (r->norm && r->norm->b.data) k->layer_norm(r->y + at, x, r->norm->w.data, r->norm->b.data, r->width, r->eps);
        else if (r->norm) k->rms_norm(r->y + at, x, r->norm->w.data, r->width, r->eps);
    }
}

void lfm2__rows_run(const lfm2__kernels *k, lfm2_runtime *rt, const lfm2__rows *rows)
{
    rows_job job = { .k = k, .rows = rows, .task_rows = rows->width < TASK_FLOATS ? TASK_FLOATS / rows->width : 1 };
    if (rows->n_rows > 0) lfm2__pool_run(lfm2__runtime_pool(rt), do_rows, &job, (rows->n_rows - 1) / job.task_rows + 1);
}

int lfm2__linear_run(const lfm2__kernels *k, lfm2_runtime *rt, float *y, const float *x, int32_t n_rows, const lfm2__linear *l,
                     lfm2__activation act)
{
    const lfm2__rows rows = { .x = y, .bias = l->b.data, .act = act, .n_rows = n_rows, .width = (int32_t)l->w.n_rows };
    const int rc = lfm2__matmul_pieces(k, rt, y, x, n_rows, &l->w);
    if (rc == 0 && (rows.bias || act != LFM2__ACT_NONE)) lfm2__rows_run(k, rt, &rows);
    return rc;
}

int lfm2__vec_visit(void *walk, const lfm2__bind_row *row, int32_t layer, int32_t expert)
{
    lfm2__vec_walk *w = walk;
    lfm2__vec *v = lfm2__bind_vec(row);
    const lfm2__mat *src = row->dst;
    (void)layer;
    (void)expert;
    if (!v || !src->data) return 0;
    w->n += (size_t)src->n_rows * (size_t)src->n_cols;
    if (!w->at) return 0;
    v->data = w->at;
    for (int64_t r = 0; r < src->n_rows; r++, w->at += src->n_cols)
        w->k->dequant[src->dtype](w->at, (const char *)src->data + (size_t)r * src->row_bytes, (int32_t)src->n_cols);
    return 0;
}

void lfm2__transpose(float *m, size_t n, size_t n_cols, float *tmp)
{
    memcpy(tmp, m, n * n_cols * sizeof(float));
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n_cols; j++) m[j * n + i] = tmp[i * n_cols + j];
    }
}
