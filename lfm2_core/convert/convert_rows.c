/* SPDX-License-Identifier: Apache-2.0
 * Rows of a tensor from any type to any other that has a writer, in batches of bounded memory, on the pool. */
#include "convert/convert_impl.h"

#include <math.h>
#include <string.h>

#define BATCH_BYTES ((size_t)1 << 20) /* rows converted before they are written, at least one; the abort flag is polled between */

int lfm2__convert_buffers(lfm2__row_job *job, size_t max_row_bytes)
{
    const size_t n_workers = (size_t)lfm2_runtime_n_threads(job->rt);
    job->out_bytes = max_row_bytes > BATCH_BYTES ? max_row_bytes : BATCH_BYTES;
    job->out = lfm2__alloc(job->rt, job->out_bytes);
    job->rows = lfm2__calloc(job->rt, n_workers * (size_t)job->max_cols, sizeof(float));
    if (job->out && job->rows) return 0;
    return lfm2__fail(job->rt, LFM2_ERR_NOMEM, "convert: no memory for a batch of rows");
}

void lfm2__convert_drop_buffers(lfm2__row_job *job)
{
    lfm2__free(job->rt, job->rows);
    lfm2__free(job->rt, job->out);
}

typedef struct batch {
    const lfm2__row_job *job;
    const lfm2__mat *src;
    lfm2_dtype t;
    int64_t first; /* row of the source */
    size_t row_bytes;
    int32_t n_rows, rows_per_task;
    int status[64]; /* of each task */
} batch;

#define MAX_TASKS ((int32_t)LFM2__COUNT_OF(((batch *)0)->status))

static int convert_row(const batch *b, float *values, const unsigned char *src, unsigned char *dst)
{
    int32_t n = (int32_t)b->src->n_cols;

    b->job->k->dequant[b->src->dtype](values, src, n);
    if (b->src->dtype != b->t) return lfm2__quantize_row(b->t, dst, values, n);
    for (int32_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) return LFM2_ERR_NONFINITE;
    }
    memcpy(dst, src, b->row_bytes);
    return 0;
}

static void convert_task(void *ctx, int32_t task, int32_t worker)
{
    batch *b = ctx;
    float *values = b->job->rows + (size_t)worker * (size_t)b->job->max_cols;
    int32_t first = task * b->rows_per_task, last = first + b->rows_per_task;

    if (last > b->n_rows) last = b->n_rows;
    b->status[task] = 0;
    for (int32_t r = first; r < last && b->status[task] == 0; r++) {
        const unsigned char *src = (const unsigned char *)b->src->data + (size_t)(b->first + r) * b->src->row_bytes;
        b->status[task] = convert_row(b, values, src, b->job->out + (size_t)r * b->row_bytes);
    }
}

static int run_batch(batch *b, const char *name)
{
    lfm2_runtime *rt = b->job->rt;
    int32_t n_tasks = b->n_rows < MAX_TASKS ? b->n_rows : MAX_TASKS;

    b->rows_per_task = (b->n_rows + n_tasks - 1) / n_tasks;
    n_tasks = (b->n_rows + b->rows_per_task - 1) / b->rows_per_task;
    lfm2__pool_run(lfm2__runtime_pool(rt), convert_task, b, n_tasks);
    for (int32_t i = 0; i < n_tasks; i++) {
        if (b->status[i] == LFM2_ERR_NONFINITE) {
            return lfm2__fail(rt, LFM2_ERR_NONFINITE, "%s: a value is not finite, or too great for %s", name,
                              lfm2_dtype_name(b->t));
        }
        if (b->status[i] < 0) return lfm2__fail(rt, b->status[i], "%s: cannot be written as %s", name, lfm2_dtype_name(b->t));
    }
    return 0;
}

int lfm2__convert_rows(lfm2__row_job *job, const char *name, const lfm2__mat *src, lfm2_dtype t)
{
    batch b = {.job = job, .src = src, .t = t, .row_bytes = lfm2_dtype_row_bytes(t, src->n_cols)};
    if (b.row_bytes == 0 || b.row_bytes > job->out_bytes || src->n_cols > job->max_cols) {
        return lfm2__fail(job->rt, LFM2_ERR_RANGE, "%s: rows of %lld cannot be %s", name, (long long)src->n_cols,
                          lfm2_dtype_name(t));
    }
    int64_t cap = (int64_t)(job->out_bytes / b.row_bytes);
    if (cap > INT32_MAX / 2) cap = INT32_MAX / 2;

    for (b.first = 0; b.first < src->n_rows; b.first += b.n_rows) {
        b.n_rows = (int32_t)(src->n_rows - b.first < cap ? src->n_rows - b.first : cap);
        if (lfm2__aborted(job->rt)) return LFM2_ERR_ABORTED;
        int rc = run_batch(&b, name);
        if (rc == 0) rc = lfm2__gguf_write_data(job->g, job->out, (size_t)b.n_rows * b.row_bytes);
        if (rc < 0) return rc;
        job->done_bytes += (uint64_t)b.n_rows * src->row_bytes;
        if (job->progress) job->progress(job->progress_ctx, (double)job->done_bytes / (double)job->total_bytes);
    }
    return 0;
}
