/* SPDX-License-Identifier: Apache-2.0
 * Matrix product on the pool: row blocks of a fixed size are the tasks, so that the bits do not depend on the thread count. */
#include "base/runtime_impl.h"
#include "kernels/kernels_impl.h"

#define ROWS_OWN 64   /* some 50 us of one thread's work at one token and 2048 columns */
#define ROWS_BLAS 256 /* sgemm packs x anew for each block */
#define MIN_PIECE_TOK 16

typedef struct matmul_job {
    lfm2__gemm_fn *gemm;
    float *y;
    const float *x;
    const uint8_t *w;
    size_t row_bytes;
    int32_t n_tok, n_rows, n_cols, block_rows;
} matmul_job;

static void run_block(void *ctx, int32_t task, int32_t worker)
{
    const matmul_job *job = ctx;
    (void)worker;
    const int32_t first = task * job->block_rows;
    const int32_t n = job->n_rows - first < job->block_rows ? job->n_rows - first : job->block_rows;
    job->gemm(job->y + first, (size_t)job->n_rows, job->x, (size_t)job->n_cols, job->n_tok,
              job->w + (size_t)first * job->row_bytes, job->row_bytes, n, job->n_cols);
}

/* sgemm wants aligned floats at a distance of whole floats. */
static int fits_blas(const void *w, size_t row_bytes)
{
    return ((uintptr_t)w | row_bytes) % sizeof(float) == 0;
}

void lfm2__matmul(const lfm2__kernels *k, lfm2__pool *pool, float *y, const float *x, int32_t n_tok, const void *w,
                  lfm2_dtype t, size_t row_bytes, int32_t n_rows, int32_t n_cols)
{
    if (n_tok <= 0 || n_rows <= 0) return;
    const int blas = t == LFM2_DTYPE_F32 && n_tok >= LFM2__BLAS_MIN_TOK && k->gemm_blas && fits_blas(w, row_bytes);
    matmul_job job = {
        .gemm = blas ? k->gemm_blas : k->gemm[t],
        .y = y,
        .x = x,
        .w = w,
        .row_bytes = row_bytes,
        .n_tok = n_tok,
        .n_rows = n_rows,
        .n_cols = n_cols,
        .block_rows = blas ? ROWS_BLAS : ROWS_OWN,
    };
    const int32_t n_tasks = (n_rows - 1) / job.block_rows + 1;
    if (n_tasks == 1) {
        run_block(&job, 0, 0);
    } else {
        lfm2__pool_run(pool, run_block, &job, n_tasks);
    }
}

int lfm2__matmul_pieces(const lfm2__kernels *k, lfm2_runtime *rt, float *y, const float *x, int32_t n_tok, const lfm2__mat *w)
{
    const int64_t row_macs = w->n_rows * w->n_cols;
    int32_t piece = n_tok;
    if (row_macs * n_tok > LFM2__PIECE_MACS) {
        piece = (int32_t)(LFM2__PIECE_MACS / row_macs) / MIN_PIECE_TOK * MIN_PIECE_TOK;
        if (piece < MIN_PIECE_TOK) piece = MIN_PIECE_TOK;
    }
    for (int32_t t = 0; t < n_tok; t += piece) {
        if (lfm2__aborted(rt)) return LFM2_ERR_ABORTED;
        const int32_t n = n_tok - t < piece ? n_tok - t : piece;
        lfm2__matmul(k, lfm2__runtime_pool(rt), y + (size_t)t * (size_t)w->n_rows, x + (size_t)t * (size_t)w->n_cols, n, w->data,
                     w->dtype, w->row_bytes, (int32_t)w->n_rows, (int32_t)w->n_cols);
    }
    return 0;
}
