/* SPDX-License-Identifier: Apache-2.0
 * sgemm of OpenBLAS behind the f32 matrix product. The only file that includes cblas.
 *
 * Threads: lfm2__matmul() cuts the rows into blocks of a fixed size and calls sgemm once for each, from the pool's threads.
 * OpenBLAS must therefore run each call on the calling thread alone; otherwise its threads and the pool's would share the
 * cores, and its splits (so the bits) would follow the machine's core count. It offers only a setting for the whole process
 * for that: openblas_set_num_threads(1), made here whenever a table with BLAS is filled. An application that uses OpenBLAS
 * with threads of its own masks LFM2_CPU_BLAS. */
#include <cblas.h>

#include "kernels/kernels_impl.h"

static void gemm_blas(float *y, size_t ld_y, const float *x, size_t ld_x, int32_t n_tok, const void *w, size_t row_bytes,
                      int32_t n_rows, int32_t n_cols)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n_tok, n_rows, n_cols, 1.0f, x, (blasint)ld_x, w,
                (blasint)(row_bytes / sizeof(float)), 0.0f, y, (blasint)ld_y);
}

void lfm2__kernels_init_blas(lfm2__kernels *k)
{
    if (openblas_get_num_threads() != 1) openblas_set_num_threads(1);
    k->gemm_blas = gemm_blas;
}
