/* SPDX-License-Identifier: Apache-2.0
 * checkkernels: matrix products and dequantisation, against the scalar version and against themselves. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/runtime_impl.h"
#include "checkkernels/checkkernels.h"

static const int32_t cols_1[] = {1, 3, 15, 16, 17, 31, 33, 100, 255, 257, 300, 513};
static const int32_t cols_32[] = {32, 64, 96, 224, 256, 288, 544};
static const int32_t cols_256[] = {256, 512, 768};
static const int32_t toks[] = {1, 2, 3, 4, 7, 49, 97};
static const int32_t row_counts[] = {1, 2, 3, 4, 5, 7, 8, 9, 17};

static size_t column_list(lfm2_dtype t, const int32_t **cols)
{
    switch (lfm2_dtype_block_elems(t)) {
    case 1: *cols = cols_1; return LFM2__COUNT_OF(cols_1);
    case 32: *cols = cols_32; return LFM2__COUNT_OF(cols_32);
    default: *cols = cols_256; return LFM2__COUNT_OF(cols_256);
    }
}

/* One product: operands, and the shape as the kernels take it. */
typedef struct product {
    lfm2_dtype t;
    int32_t n_tok, n_rows, n_cols;
    size_t ld_x, ld_y, row_bytes, w_ofs;
    float *x;
    uint8_t *w_base;
    const uint8_t *w;
} product;

/* align: distance of the weights from an aligned address and between rows is a multiple of this. */
static product make_product(ck *c, lfm2_dtype t, int32_t n_tok, int32_t n_rows, int32_t n_cols, ck_mode mode, size_t align)
{
    product p = {.t = t, .n_tok = n_tok, .n_rows = n_rows, .n_cols = n_cols};
    p.ld_x = (size_t)(n_cols + ck_below(c, 4));
    p.ld_y = (size_t)(n_rows + ck_below(c, 4));
    p.row_bytes = lfm2_dtype_row_bytes(t, n_cols) + align * (size_t)ck_below(c, 4);
    p.w_ofs = align * (size_t)ck_below(c, 8);
    p.x = ck_floats((size_t)(n_tok - 1) * p.ld_x + (size_t)n_cols);
    ck_values(c, p.x, (size_t)(n_tok - 1) * p.ld_x + (size_t)n_cols, mode);
    const size_t n_bytes = (size_t)(n_rows - 1) * p.row_bytes + lfm2_dtype_row_bytes(t, n_cols);
    p.w_base = (uint8_t *)ck_floats((p.w_ofs + n_bytes + 3) / 4);
    for (size_t i = 0; i < p.w_ofs + n_bytes; i++) p.w_base[i] = (uint8_t)ck_u32(c);
    p.w = p.w_base + p.w_ofs;
    for (int32_t r = 0; r < n_rows; r++) ck_weights(c, p.w_base + p.w_ofs + (size_t)r * p.row_bytes, t, n_cols, mode, 0);
    return p;
}

static void free_product(product *p)
{
    free(p->x);
    free(p->w_base);
}

static float *run(ck *c, lfm2__gemm_fn *gemm, const product *p)
{
    const size_t n = (size_t)(p->n_tok - 1) * p->ld_y + (size_t)p->n_rows;
    float *y = ck_guarded(n), *untouched = ck_guarded(1);
    gemm(y, p->ld_y, p->x, p->ld_x, p->n_tok, p->w, p->row_bytes, p->n_rows, p->n_cols);
    ck_guards(c, y, n, "y");
    for (size_t i = 0; i < n; i++) {
        if (i % p->ld_y >= (size_t)p->n_rows) ck_expect(c, memcmp(y + i, untouched, sizeof *y) == 0, "wrote between rows of y");
    }
    ck_free_guarded(untouched);
    return y;
}

static void compare(ck *c, const ck_impl *impl, const product *p, const float *got, const float *want, ck_mode mode)
{
    float *w = ck_floats((size_t)p->n_cols);
    for (int32_t r = 0; r < p->n_rows; r++) {
        impl->ref->dequant[p->t](w, p->w + (size_t)r * p->row_bytes, p->n_cols);
        for (int32_t t = 0; t < p->n_tok; t++) {
            double sum = 0;
            for (int32_t k = 0; k < p->n_cols; k++) sum += fabs((double)p->x[(size_t)t * p->ld_x + (size_t)k] * (double)w[k]);
            const double n = p->n_cols, tol = 4 * CK_EPS * (sqrt(n) + 8) * sum + n * CK_TINY;
            char what[96];
            (void)snprintf(what, sizeof what, "[%d, %d] x [%d, %d] mode %d, row %d token", p->n_tok, p->n_cols, p->n_rows,
                           p->n_cols, (int)mode, r);
            ck_near(c, got[(size_t)t * p->ld_y + (size_t)r], want[(size_t)t * p->ld_y + (size_t)r], tol, what, t);
        }
    }
    free(w);
}

/* The scalar version is the exact sum but for the last rounding. */
static void check_scalar_precision(ck *c, const ck_impl *impl, const product *p, const float *y)
{
    float *w = ck_floats((size_t)p->n_cols);
    for (int32_t r = 0; r < p->n_rows; r++) {
        impl->ref->dequant[p->t](w, p->w + (size_t)r * p->row_bytes, p->n_cols);
        for (int32_t t = 0; t < p->n_tok; t++) {
            long double sum = 0, mag = 0;
            for (int32_t k = 0; k < p->n_cols; k++) {
                const long double term = (long double)p->x[(size_t)t * p->ld_x + (size_t)k] * (long double)w[k];
                sum += term;
                mag += fabsl(term);
            }
            const double tol = CK_EPS * fabs((double)sum) + p->n_cols * 0x1p-53 * (double)mag + CK_TINY;
            ck_near(c, y[(size_t)t * p->ld_y + (size_t)r], (float)sum, tol * 1.0001, "exact sum, token", t);
        }
    }
    free(w);
}

static void check_against_reference(ck *c, const ck_impl *impl, lfm2_dtype t, lfm2__gemm_fn *gemm, size_t align)
{
    const int32_t *cols;
    const size_t n_cols = column_list(t, &cols);
    int i_case = 0;
    for (size_t i = 0; i < n_cols; i++) {
        for (size_t j = 0; j < LFM2__COUNT_OF(toks); j++) {
            const ck_mode mode = (ck_mode)(i_case++ % CK_N_MODES);
            const int32_t n_rows = row_counts[ck_below(c, (int32_t)LFM2__COUNT_OF(row_counts))];
            product p = make_product(c, t, toks[j], n_rows, cols[i], mode, align);
            float *got = run(c, gemm, &p), *want = run(c, impl->ref->gemm[t], &p);
            compare(c, impl, &p, got, want, mode);
            if (impl->flags == 0) check_scalar_precision(c, impl, &p, want);
            ck_free_guarded(got);
            ck_free_guarded(want);
            free_product(&p);
        }
    }
}

/* y[t, r] has the same bits alone, in a batch, and with the rows split anywhere. */
static void check_invariance(ck *c, const ck_impl *impl, lfm2_dtype t)
{
    const int32_t *cols;
    const size_t n_cols = column_list(t, &cols);
    for (size_t i = 0; i < n_cols; i++) {
        product p = make_product(c, t, i % 2 ? 7 : 53, 11, cols[i], CK_MIXED, 1);
        float *all = run(c, impl->k.gemm[t], &p);
        for (int32_t tok = 0; tok < p.n_tok; tok++) {
            product one = p;
            one.n_tok = 1;
            one.x = p.x + (size_t)tok * p.ld_x;
            float *y = run(c, impl->k.gemm[t], &one);
            for (int32_t r = 0; r < p.n_rows; r++) {
                ck_expect(c, ck_same(y[r], all[(size_t)tok * p.ld_y + (size_t)r]),
                          "n_cols %d: token %d of %d, row %d differs when alone", p.n_cols, tok, p.n_tok, r);
            }
            ck_free_guarded(y);
        }
        const int32_t cut = 1 + ck_below(c, p.n_rows - 1);
        product part = p;
        part.w = p.w + (size_t)cut * p.row_bytes;
        part.n_rows = p.n_rows - cut;
        float *y = run(c, impl->k.gemm[t], &part);
        for (int32_t tok = 0; tok < p.n_tok; tok++) {
            for (int32_t r = 0; r < part.n_rows; r++) {
                ck_expect(c, ck_same(y[(size_t)tok * p.ld_y + (size_t)r], all[(size_t)tok * p.ld_y + (size_t)(r + cut)]),
                          "n_cols %d: rows cut at %d: token %d, row %d differs", p.n_cols, cut, tok, r + cut);
            }
        }
        ck_free_guarded(y);
        ck_free_guarded(all);
        free_product(&p);
    }
}

void ck_check_gemm(ck *c, const ck_impl *impl)
{
    for (int t = 0; t < LFM2_DTYPE_N_COMPUTE; t++) {
        char name[32];
        ck_begin(c, ck_dtype((lfm2_dtype)t, "gemm", name, sizeof name), impl->name);
        check_against_reference(c, impl, (lfm2_dtype)t, impl->k.gemm[t], 1);
        check_invariance(c, impl, (lfm2_dtype)t);
    }
}

void ck_check_blas(ck *c, const ck_impl *impl)
{
    if (!impl->k.gemm_blas) return;
    ck_begin(c, "gemm_blas", impl->name);
    check_against_reference(c, impl, LFM2_DTYPE_F32, impl->k.gemm_blas, sizeof(float));
}

void ck_check_dequant(ck *c, const ck_impl *impl)
{
    for (int t = 0; t < LFM2_DTYPE_N_COMPUTE; t++) {
        char name[32];
        const int32_t *cols;
        const size_t n_cols = column_list((lfm2_dtype)t, &cols);
        ck_begin(c, ck_dtype((lfm2_dtype)t, "dequant", name, sizeof name), impl->name);
        for (size_t i = 0; i < 4 * n_cols; i++) {
            const int32_t n = cols[i % n_cols];
            const size_t n_bytes = lfm2_dtype_row_bytes((lfm2_dtype)t, n), ofs = (size_t)ck_below(c, 5);
            uint8_t *w = (uint8_t *)ck_floats((ofs + n_bytes + 3) / 4);
            ck_weights(c, w + ofs, (lfm2_dtype)t, n, (ck_mode)(i % CK_N_MODES), i % 2 == 0);
            float *got = ck_guarded((size_t)n), *want = ck_guarded((size_t)n);
            impl->k.dequant[t](got, w + ofs, n);
            impl->ref->dequant[t](want, w + ofs, n);
            ck_guards(c, got, (size_t)n, "y");
            for (int32_t j = 0; j < n; j++) {
                ck_expect(c, ck_same(got[j], want[j]), "n %d [%d]: %.9g, reference %.9g", n, j, (double)got[j], (double)want[j]);
            }
            ck_free_guarded(got);
            ck_free_guarded(want);
            free(w);
        }
    }
}

/* ---- through lfm2__matmul(): thread counts, BLAS or not ---- */

static void check_threads(ck *c, const lfm2__kernels *k, lfm2__pool *const *pools, int n_pools, lfm2_dtype t, int32_t n_tok)
{
    const int32_t n_rows = 600, n_cols = 256;
    product p = make_product(c, t, n_tok, n_rows, n_cols, CK_NORMAL, 4);
    float *x = ck_floats((size_t)n_tok * (size_t)n_cols), *first = NULL;
    for (int32_t i = 0; i < n_tok; i++) {
        memcpy(x + (size_t)i * (size_t)n_cols, p.x + (size_t)i * p.ld_x, (size_t)n_cols * sizeof *x);
    }
    const size_t n = (size_t)n_tok * (size_t)n_rows;
    for (int i = 0; i < n_pools; i++) {
        float *y = ck_guarded(n);
        lfm2__matmul(k, pools[i], y, x, n_tok, p.w, t, p.row_bytes, n_rows, n_cols);
        ck_guards(c, y, n, "y");
        if (!first) {
            first = y;
            continue;
        }
        ck_expect(c, memcmp(y, first, n * sizeof *y) == 0, "n_tok %d: %d threads and 1 thread differ", n_tok,
                  lfm2__pool_n_threads(pools[i]));
        ck_free_guarded(y);
    }
    if (t != LFM2_DTYPE_F32 || n_tok < LFM2__BLAS_MIN_TOK || !k->gemm_blas) { /* and the kernel called directly */
        float *y = ck_guarded(n);
        k->gemm[t](y, (size_t)n_rows, x, (size_t)n_cols, n_tok, p.w, p.row_bytes, n_rows, n_cols);
        ck_expect(c, memcmp(y, first, n * sizeof *y) == 0, "n_tok %d: row blocks change the bits", n_tok);
        ck_free_guarded(y);
    }
    ck_free_guarded(first);
    free(x);
    free_product(&p);
}

int ck_check_matmul(ck *c, const ck_impl *impl)
{
    static const int32_t n_threads[] = {1, 2, 3};
    lfm2__pool *pools[LFM2__COUNT_OF(n_threads)] = {NULL};
    lfm2_runtime *rt = NULL;
    lfm2_runtime_params params = lfm2_runtime_params_default();
    params.n_threads = 1;
    int rc = lfm2_runtime_create(&params, &rt);
    for (size_t i = 0; i < LFM2__COUNT_OF(n_threads) && rc == 0; i++) rc = lfm2__pool_create(rt, n_threads[i], &pools[i]);
    for (int t = 0; t < LFM2_DTYPE_N_COMPUTE && rc == 0; t++) {
        char name[32];
        ck_begin(c, ck_dtype((lfm2_dtype)t, "matmul", name, sizeof name), impl->name);
        const int n_pools = (int)LFM2__COUNT_OF(pools);
        check_threads(c, &impl->k, pools, n_pools, (lfm2_dtype)t, 1);
        if (t <= LFM2_DTYPE_Q8_0) check_threads(c, &impl->k, pools, n_pools, (lfm2_dtype)t, LFM2__BLAS_MIN_TOK + 1);
    }
    for (size_t i = 0; i < LFM2__COUNT_OF(n_threads); i++) lfm2__pool_destroy(pools[i]);
    lfm2_runtime_destroy(rt);
    return rc;
}
