/* SPDX-License-Identifier: Apache-2.0
 * The init ladder and its report: which implementation each mask gives, and when BLAS takes part. */
#include "base_testing.h"

#include "base/cpu.h"
#include "base/runtime_impl.h"
#include "kernels/kernels_impl.h"

typedef struct seen {
    int n_entries, n_gemm, n_blas;
    const char *impl; /* expected of every entry but gemm_blas */
    const char *blas; /* expected of gemm_blas */
} seen;

static void check_line(void *ctx, const char *entry, const char *impl)
{
    seen *s = ctx;
    s->n_entries++;
    if (strncmp(entry, "gemm_", 5) == 0) s->n_gemm++;
    if (strcmp(entry, "gemm_blas") == 0) {
        s->n_blas++;
        assert_string_equal(impl, s->blas);
    } else {
        assert_string_equal(impl, s->impl);
    }
}

static void expect_report(uint32_t flags, const char *impl, const char *blas)
{
    lfm2__kernels k;
    seen s = {.impl = impl, .blas = blas};
    lfm2__kernels_init(&k, flags);
    lfm2__kernels_report(&k, UINT32_MAX, check_line, &s);
    assert_int_equal(s.n_blas, 1);
    assert_int_equal(s.n_gemm, LFM2_DTYPE_N_COMPUTE + 1);
    assert_int_equal(s.n_entries, 2 * LFM2_DTYPE_N_COMPUTE + 1 + 12);
}

static void report_follows_the_mask(void **state)
{
    (void)state;
    const uint32_t found = lfm2__cpu_detect();
    expect_report(0, "scalar", "none");
    if (found & LFM2_CPU_AVX2) expect_report(LFM2_CPU_AVX2, "avx2", "none");
    if (found & LFM2_CPU_AVX512) expect_report(LFM2_CPU_AVX512, "avx512", "none");
    if (found & LFM2_CPU_AVX512) expect_report(LFM2_CPU_AVX2 | LFM2_CPU_AVX512 | LFM2_CPU_AVX512VNNI, "avx512", "none");
    if (found & LFM2_CPU_NEON) expect_report(LFM2_CPU_NEON, "neon", "none");
}

/* OpenBLAS stands in for vector kernels; it does not replace them. */
static void blas_only_without_vectors(void **state)
{
    (void)state;
    const uint32_t found = lfm2__cpu_detect();
    if (!(found & LFM2_CPU_BLAS)) skip();
    expect_report(LFM2_CPU_BLAS, "scalar", "blas");
    if (found & LFM2_CPU_AVX2) expect_report(LFM2_CPU_AVX2 | LFM2_CPU_BLAS, "avx2", "none");
    if (found & LFM2_CPU_NEON) expect_report(LFM2_CPU_NEON | LFM2_CPU_BLAS, "neon", "none");
}

/* ---- which kernel lfm2__matmul() takes: stand-ins that leave a mark ---- */

static void mark(float *y, size_t ld_y, int32_t n_tok, int32_t n_rows, float value)
{
    for (int32_t t = 0; t < n_tok; t++) {
        for (int32_t r = 0; r < n_rows; r++) y[(size_t)t * ld_y + (size_t)r] += value;
    }
}

static void own_gemm(float *y, size_t ld_y, const float *x, size_t ld_x, int32_t n_tok, const void *w, size_t row_bytes,
                     int32_t n_rows, int32_t n_cols)
{
    (void)x, (void)ld_x, (void)w, (void)row_bytes, (void)n_cols;
    mark(y, ld_y, n_tok, n_rows, 1);
}

static void blas_gemm(float *y, size_t ld_y, const float *x, size_t ld_x, int32_t n_tok, const void *w, size_t row_bytes,
                      int32_t n_rows, int32_t n_cols)
{
    (void)x, (void)ld_x, (void)w, (void)row_bytes, (void)n_cols;
    mark(y, ld_y, n_tok, n_rows, 2);
}

static void expect_mark(lfm2__pool *pool, float value, int with_blas, int32_t n_tok, int32_t n_rows, const uint8_t *w,
                        lfm2_dtype t, size_t row_bytes)
{
    lfm2__kernels k = {.gemm_blas = with_blas ? blas_gemm : NULL};
    k.gemm[LFM2_DTYPE_F32] = own_gemm;
    k.gemm[LFM2_DTYPE_F16] = own_gemm;
    const size_t n = (size_t)n_tok * (size_t)n_rows;
    float *y = calloc(n + 1, sizeof *y), x[4] = {0};
    assert_non_null(y);
    lfm2__matmul(&k, pool, y, x, n_tok, w, t, row_bytes, n_rows, 4);
    for (size_t i = 0; i < n; i++) assert_true(y[i] == value); /* each element once */
    assert_true(y[n] == 0);
    free(y);
}

static void matmul_chooses_blas(void **state)
{
    (void)state;
    static const float weights[8] = {0};
    const uint8_t *w = (const uint8_t *)weights;
    lfm2_runtime *rt = test_runtime(2, NULL, NULL);
    lfm2__pool *pool = lfm2__runtime_pool(rt);
    static const int32_t row_counts[] = {1, 63, 64, 65, 256, 257, 1000};
    for (size_t i = 0; i < LFM2__COUNT_OF(row_counts); i++) {
        const int32_t n = row_counts[i];
        expect_mark(pool, 1, 1, 1, n, w, LFM2_DTYPE_F32, 16);
        expect_mark(pool, 1, 1, LFM2__BLAS_MIN_TOK - 1, n, w, LFM2_DTYPE_F32, 16);
        expect_mark(pool, 2, 1, LFM2__BLAS_MIN_TOK, n, w, LFM2_DTYPE_F32, 16);
        expect_mark(pool, 1, 0, LFM2__BLAS_MIN_TOK, n, w, LFM2_DTYPE_F32, 16);     /* none built */
        expect_mark(pool, 1, 1, LFM2__BLAS_MIN_TOK, n, w, LFM2_DTYPE_F16, 8);      /* another type */
        expect_mark(pool, 1, 1, LFM2__BLAS_MIN_TOK, n, w + 1, LFM2_DTYPE_F32, 16); /* unaligned */
        expect_mark(pool, 1, 1, LFM2__BLAS_MIN_TOK, n, w, LFM2_DTYPE_F32, 17);
    }
    lfm2_runtime_destroy(rt);
}

/* Leaves the size of the block that it was given. */
static void border_gemm(float *y, size_t ld_y, const float *x, size_t ld_x, int32_t n_tok, const void *w, size_t row_bytes,
                        int32_t n_rows, int32_t n_cols)
{
    (void)x, (void)ld_x, (void)w, (void)row_bytes, (void)n_cols;
    mark(y, ld_y, n_tok, n_rows, (float)n_rows);
}

/* Where rows are cut depends on nothing but the number of rows and the kernel. */
static void borders_do_not_follow_the_threads(void **state)
{
    (void)state;
    enum { N_ROWS = 700, N_TOK = LFM2__BLAS_MIN_TOK };
    static float w[4 * N_ROWS], x[4 * N_TOK], first[N_ROWS * N_TOK], y[N_ROWS * N_TOK];
    for (int with_blas = 0; with_blas < 2; with_blas++) {
        for (int32_t n_threads = 1; n_threads <= 5; n_threads++) {
            lfm2_runtime *rt = test_runtime(n_threads, NULL, NULL);
            lfm2__kernels k = {.gemm_blas = with_blas ? border_gemm : NULL};
            k.gemm[LFM2_DTYPE_F32] = border_gemm;
            memset(y, 0, sizeof y);
            lfm2__matmul(&k, lfm2__runtime_pool(rt), y, x, N_TOK, w, LFM2_DTYPE_F32, 16, N_ROWS, 4);
            if (n_threads == 1) memcpy(first, y, sizeof y);
            assert_memory_equal(y, first, sizeof y);
            assert_true(y[0] > 0 && y[N_ROWS * N_TOK - 1] > 0);
            lfm2_runtime_destroy(rt);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(report_follows_the_mask),
        cmocka_unit_test(blas_only_without_vectors),
        cmocka_unit_test(matmul_chooses_blas),
        cmocka_unit_test(borders_do_not_follow_the_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
