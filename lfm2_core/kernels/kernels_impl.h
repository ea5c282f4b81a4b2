/* SPDX-License-Identifier: Apache-2.0
 * The kernel table: formula, shapes and tolerance of every entry. Scalar versions are the definition; every other version
 * is compared to them by tests/checkkernels.
 *
 * All matrices are row-major, the last dimension contiguous. Weight rows may be unaligned. No kernel allocates.
 *
 * Invariance: own matrix kernels split rows, never the reduction, and the bits of y[t, r] depend on x[t, :] and row r
 * alone: not on n_tok, not on how rows are split among threads. (The BLAS entry does not promise this.)
 *
 * Precision of the scalar versions: sums (gemm, rms_norm, attention) and exponentials are carried in double and rounded once,
 * so that a scalar result is the true value but for its last rounding. Everything else is plain f32 without contraction.
 *
 * Tolerances against the scalar version; eps = 2^-24, S = sum of the magnitudes of the terms, tiny = 2^-149 (a rounding in
 * the subnormal range). They hold while n * max|x|^2 and S stay below 2^127.
 *   dequant:  bit for bit (a NaN equals any NaN).
 *   gemm:     4 * eps * (sqrt(n) + 8) * S + n * tiny. A sum over L >= 4 lanes makes m = n/L + 4 roundings in a row; as independent
 *             errors of at most eps * S each they exceed lambda * sqrt(m) * eps * S with a chance below 2 exp(-lambda^2 / 2).
 *             With L = 4 the stated bound is lambda = 8: 3e-14 for each result. n = 1024: a 160th of a bf16 rounding of S.
 *   rms_norm: relative 16 * eps, + tiny * (1 + |w|). Worst case, not chance: chunks of 128 terms are summed in f32 to a depth of at
 *             most 12 roundings, chunks in double; the root halves that; four roundings follow.
 *   silu_mul: 16 * eps * |up| * max(|silu|, eps): 4 eps of exp, one each of sum, quotient and product, with a reserve of 2.
 *   layer_norm: |w| * r * (dm + |x - m| * (16 * eps + (r * dm)^2)) + 4 * eps * |b| + tiny * (2 + |w| * (2 + 2 * r)), m the mean,
 *             r = 1 / sqrt(var + eps), dm = 14 * eps * mean |x|: 12 roundings of the sum as in rms_norm, one of the mean itself;
 *             an error dm of the centre adds dm^2 to the variance.
 *   silu:     as silu_mul with up = 1.
 *   gelu_tanh: (16 + 8 * |t|) * eps * max(|y|, eps * |x|) + tiny, t = 2 sqrt(2 / pi) (x + 0.044715 x^3): as silu, and the four
 *             roundings of t are relative errors of exp(t).
 *   gelu_erf: 8 * eps * |x| + tiny: the vector versions take erf from a formula that is within 1.5e-7 (2.6 eps) of it, of which
 *             half counts; the rest are roundings. An infinite x may give a NaN.
 *   softmax:  (8 * eps * max |scale * x| + 4 * eps * (sqrt(n) + 8)) * p + n * tiny: each exponent has four roundings, of it and
 *             of the greatest, and they count twice, in the exponential and in the sum.
 *   rope, add, axpy:  4 * eps * S + 2 * tiny: two versions with at most 2 roundings a term.
 *   shortconv: (n_taps + 2) * (2 * eps * S + tiny * (1 + |C|) * (1 + max|tap|)): n_taps + 2 roundings of each term in two versions.
 *   attend:   (2 * ds + 4 * eps * (sqrt(n_ctx) + 8)) * sum_t p[t] |V[t]| + n_ctx * tiny * (1 + max|V|),
 *             ds = max_t 4 * eps * (sqrt(head_dim) + 8) * scale * sum_i |q_i k_ti|: an error ds of the scores is a relative
 *             error ds of each exponential and of their sum. */
#ifndef LFM2__KERNELS_IMPL_H
#define LFM2__KERNELS_IMPL_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/pool.h"
#include "lfm2/weights.h"
#include "weights/bind.h"

/* y[t * ld_y + r] = sum_k x[t * ld_x + k] * W[r, k]   for t < n_tok, r < n_rows
 * x f32 [n_tok, n_cols], ld_x >= n_cols; w: n_rows consecutive rows of row_bytes; y f32, ld_y >= n_rows. */
typedef void lfm2__gemm_fn(float *y, size_t ld_y, const float *x, size_t ld_x, int32_t n_tok, const void *w,
                           size_t row_bytes, int32_t n_rows, int32_t n_cols);

/* y[i] = value of element i of one row; n is a multiple of the type's block. */
typedef void lfm2__dequant_fn(float *y, const void *row, int32_t n);

typedef struct lfm2__kernels {
    lfm2__gemm_fn *gemm[LFM2_DTYPE_N_COMPUTE];
    lfm2__gemm_fn *gemm_blas; /* f32 only, from LFM2__BLAS_MIN_TOK tokens; NULL where not built, masked, or outdone by vectors */
    lfm2__dequant_fn *dequant[LFM2_DTYPE_N_COMPUTE];

    /* y[i] = w[i] * x[i] / sqrt(mean_j x[j]^2 + eps); y may be x. */
    void (*rms_norm)(float *y, const float *x, const float *w, int32_t n, float eps);

    /* y[i] = silu(gate[i]) * up[i], silu(v) = v / (1 + exp(-v)); y may be gate or up. */
    void (*silu_mul)(float *y, const float *gate, const float *up, int32_t n);

    /* y[i] = w[i] * (x[i] - m) / sqrt(mean_j (x[j] - m)^2 + eps) + b[i], m = mean_j x[j]; y may be x. */
    void (*layer_norm)(float *y, const float *x, const float *w, const float *b, int32_t n, float eps);

    /* y[i] = silu(x[i]); y may be x. */
    void (*silu)(float *y, const float *x, int32_t n);

    /* y[i] = x[i] / 2 * (1 + tanh(sqrt(2 / pi) * (x[i] + 0.044715 x[i]^3))); y may be x. */
    void (*gelu_tanh)(float *y, const float *x, int32_t n);

    /* y[i] = x[i] / 2 * (1 + erf(x[i] / sqrt(2))); y may be x. */
    void (*gelu_erf)(float *y, const float *x, int32_t n);

    /* x[i] = exp(scale * x[i]) / sum_j exp(scale * x[j]); n >= 1. */
    void (*softmax)(float *x, int32_t n, float scale);

    /* y[i] += x[i] */
    void (*add)(float *y, const float *x, int32_t n);

    /* y[i] += a * x[i] */
    void (*axpy)(float *y, float a, const float *x, int32_t n);

    /* One head, half-rotate: m = head_dim / 2; for i < m: (x[i], x[i+m]) = (x[i]*c[i] - x[i+m]*s[i], x[i+m]*c[i] + x[i]*s[i]).
     * cos, sin: f32 [m] of this position. */
    void (*rope)(float *x, const float *cos, const float *sin, int32_t head_dim);

    /* Gated short convolution of one token. bcx f32 [3, d] = B | C | X;
     * u[c] = B[c] * X[c];  y[c] = C[c] * (sum_{j < n_taps-1} taps[j, c] * hist[j][c] + taps[n_taps-1, c] * u[c])
     * taps f32 [n_taps, d]; hist[j]: f32 [d], u of token t - (n_taps-1) + j; y f32 [d], u f32 [d] (written for the next token). */
    void (*shortconv)(float *y, float *u, const float *bcx, const float *const *hist, const float *taps, int32_t d, int32_t n_taps);

    /* One query head over a KV range: p = softmax(scale * K q); out = sum_t p[t] * V[t].
     * q, out f32 [head_dim]; k, v: row t at k + t * stride (in floats); n_ctx >= 1.
     * scores: f32 [n_ctx], in the end exp(scale * (K q)[t] - greatest): p but for the division by their sum. */
    void (*attend)(float *out, const float *q, const float *k, const float *v, size_t stride, int32_t n_ctx, int32_t head_dim,
                   float scale, float *scores);
} lfm2__kernels;

#define LFM2__BLAS_MIN_TOK 8

/* Fill the table: scalar, then each instruction set of cpu_flags (bits of lfm2_cpu_flag) in ascending order, or else BLAS. */
void lfm2__kernels_init(lfm2__kernels *k, uint32_t cpu_flags);

/* The scalar dequantisers, for lfm2__kernels_init_scalar. */
void lfm2__dequant_init(lfm2__kernels *k);

/* Per-ISA parts of lfm2__kernels_init: each overrides the entries that it has. Present only where built. */
void lfm2__kernels_init_scalar(lfm2__kernels *k);
void lfm2__kernels_init_avx2(lfm2__kernels *k);
void lfm2__kernels_init_avx512(lfm2__kernels *k);
void lfm2__kernels_init_neon(lfm2__kernels *k);
void lfm2__kernels_init_blas(lfm2__kernels *k);

/* Name of the implementation chosen for each entry, one call per entry: ("gemm_q4_0", "avx512"). dtypes: a bit 1 << lfm2_dtype
 * for each type whose products and dequantisation are of interest. */
void lfm2__kernels_report(const lfm2__kernels *k, uint32_t dtypes, void (*line)(void *ctx, const char *entry, const char *impl),
                          void *ctx);

/* y = x * W^T on the pool. x f32 [n_tok, n_cols] packed, y f32 [n_tok, n_rows] packed.
 * Work is cut into row blocks whose borders do not depend on the thread count. */
void lfm2__matmul(const lfm2__kernels *k, lfm2__pool *pool, float *y, const float *x, int32_t n_tok, const void *w,
                  lfm2_dtype t, size_t row_bytes, int32_t n_rows, int32_t n_cols);

/* Multiply-adds between two looks at the abort flag: a few tens of milliseconds on a small machine. */
#define LFM2__PIECE_MACS (INT64_C(1) << 29)

/* The same with a bound matrix, in pieces of tokens between which the abort flag is looked at. x f32 [n_tok, w->n_cols],
 * y f32 [n_tok, w->n_rows]. Returns 0 or LFM2_ERR_ABORTED. */
int lfm2__matmul_pieces(const lfm2__kernels *k, lfm2_runtime *rt, float *y, const float *x, int32_t n_tok,
                        const lfm2__mat *w) LFM2__NODISCARD;

/* Pack one row of n elements (n a multiple of the block) from f32, bit-exact with the reference quantiser for
 * F32 F16 BF16 Q8_0 Q4_0; Q4_K and Q6_K by our own search, which leaves at most 5.0e-3 and 2.9e-4 of the squared magnitude of
 * gaussian values as squared error (Q4_0: 7.6e-3, Q8_0: 3.0e-5). Returns 0; LFM2_ERR_UNSUPPORTED for a type without a writer;
 * LFM2_ERR_NONFINITE for an element that is not finite, or too large for the type or its block scale; then dst is undefined. */
int lfm2__quantize_row(lfm2_dtype t, void *dst, const float *x, int32_t n) LFM2__NODISCARD;

/* binary16 and bfloat16, round to nearest even, NaN kept quiet. */
float lfm2__f16_to_f32(uint16_t h);
uint16_t lfm2__f32_to_f16(float f);
uint16_t lfm2__f32_to_bf16(float f);

#endif
