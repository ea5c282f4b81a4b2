/* SPDX-License-Identifier: Apache-2.0
 * Reference kernels: the definition of every entry. Kept simple for ever; compiled without contraction. */
#include <math.h>

#include "kernels/kernels_impl.h"

#define CHUNK 256 /* columns decoded at a time: a multiple of every block */

static void gemm(float *y, size_t ld_y, const float *x, size_t ld_x, int32_t n_tok, const uint8_t *w, size_t row_bytes,
                 int32_t n_rows, int32_t n_cols, lfm2_dtype t)
{
    lfm2__kernels k;
    lfm2__dequant_init(&k);
    const int32_t block = lfm2_dtype_block_elems(t), block_bytes = lfm2_dtype_block_bytes(t);
    for (int32_t i = 0; i < n_tok; i++) {
        for (int32_t r = 0; r < n_rows; r++) {
            const uint8_t *row = w + (size_t)r * row_bytes;
            double sum = 0;
            for (int32_t c = 0; c < n_cols; c += CHUNK) {
                float buf[CHUNK];
                const int32_t n = n_cols - c < CHUNK ? n_cols - c : CHUNK;
                k.dequant[t](buf, row + (size_t)(c / block) * (size_t)block_bytes, n);
                for (int32_t j = 0; j < n; j++) sum += (double)x[(size_t)i * ld_x + (size_t)(c + j)] * (double)buf[j];
            }
            y[(size_t)i * ld_y + (size_t)r] = (float)sum;
        }
    }
}

#define GEMM(name, op)                                                                                               \
    static void gemm_##op(float *y, size_t ld_y, const float *x, size_t ld_x, int32_t n_tok, const void *w,          \
                          size_t row_bytes, int32_t n_rows, int32_t n_cols)                                          \
    {                                                                                                                \
        gemm(y, ld_y, x, ld_x, n_tok, w, row_bytes, n_rows, n_cols, LFM2_DTYPE_##name);                              \
    }
GEMM(F32, f32)
GEMM(F16, f16)
GEMM(BF16, bf16)
GEMM(Q8_0, q8_0)
GEMM(Q4_0, q4_0)
GEMM(Q4_1, q4_1)
GEMM(Q5_0, q5_0)
GEMM(Q5_1, q5_1)
GEMM(Q4_K, q4_k)
GEMM(Q5_K, q5_k)
GEMM(Q6_K, q6_k)
GEMM(IQ4_NL, iq4_nl)

static void rms_norm(float *y, const float *x, const float *w, int32_t n, float eps)
{
    double sum = 0;
    for (int32_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    const double scale = 1.0 / sqrt(sum / n + (double)eps);
    for (int32_t i = 0; i < n; i++) y[i] = (float)((double)w[i] * (double)x[i] * scale);
}

static void silu_mul(float *y, const float *gate, const float *up, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        const double v = gate[i];
        y[i] = (float)(v / (1.0 + exp(-v)) * (double)up[i]);
    }
}

static void layer_norm(float *y, const float *x, const float *w, const float *b, int32_t n, float eps)
{
    double sum = 0, squares = 0;
    for (int32_t i = 0; i < n; i++) sum += (double)x[i];
    const double mean = sum / n;
    for (int32_t i = 0; i < n; i++) squares += ((double)x[i] - mean) * ((double)x[i] - mean);
    const double scale = 1.0 / sqrt(squares / n + (double)eps);
    for (int32_t i = 0; i < n; i++) y[i] = (float)((double)w[i] * ((double)x[i] - mean) * scale + (double)b[i]);
}

static void silu(float *y, const float *x, int32_t n)
{
    for (int32_t i = 0; i < n; i++) y[i] = (float)((double)x[i] / (1.0 + exp(-(double)x[i])));
}

/* (1 + tanh(u)) / 2 = 1 / (1 + exp(-2u)) */
static void gelu_tanh(float *y, const float *x, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        const double v = x[i];
        y[i] = (float)(v / (1.0 + exp(-2.0 * 0.79788456080286536 * (v + 0.044715 * v * v * v))));
    }
}

/* 1 + erf(z) = erfc(-z), which keeps its digits where erf is near -1. */
static void gelu_erf(float *y, const float *x, int32_t n)
{
    for (int32_t i = 0; i < n; i++) y[i] = (float)(0.5 * (double)x[i] * erfc(-(double)x[i] * 0.70710678118654752));
}

static void softmax(float *x, int32_t n, float scale)
{
    double max = -INFINITY, sum = 0;
    for (int32_t i = 0; i < n; i++) max = fmax(max, (double)x[i] * (double)scale);
    for (int32_t i = 0; i < n; i++) sum += exp((double)x[i] * (double)scale - max);
    for (int32_t i = 0; i < n; i++) x[i] = (float)(exp((double)x[i] * (double)scale - max) / sum);
}

static void add(float *y, const float *x, int32_t n)
{
    for (int32_t i = 0; i < n; i++) y[i] += x[i];
}

static void axpy(float *y, float a, const float *x, int32_t n)
{
    for (int32_t i = 0; i < n; i++) y[i] += a * x[i];
}

static void rope(float *x, const float *cos, const float *sin, int32_t head_dim)
{
    const int32_t m = head_dim / 2;
    for (int32_t i = 0; i < m; i++) {
        const float a = x[i], b = x[i + m];
        x[i] = a * cos[i] - b * sin[i];
        x[i + m] = b * cos[i] + a * sin[i];
    }
}

static void shortconv(float *y, float *u, const float *bcx, const float *const *hist, const float *taps, int32_t d, int32_t n_taps)
{
    const float *b = bcx, *c = bcx + d, *x = bcx + 2 * (size_t)d;
    for (int32_t i = 0; i < d; i++) {
        float sum = 0;
        u[i] = b[i] * x[i];
        for (int32_t j = 0; j < n_taps - 1; j++) sum += taps[(size_t)j * (size_t)d + (size_t)i] * hist[j][i];
        sum += taps[(size_t)(n_taps - 1) * (size_t)d + (size_t)i] * u[i];
        y[i] = c[i] * sum;
    }
}

static void attend(float *out, const float *q, const float *k, const float *v, size_t stride, int32_t n_ctx, int32_t head_dim,
                   float scale, float *scores)
{
    float max = -INFINITY;
    for (int32_t t = 0; t < n_ctx; t++) {
        double dot = 0;
        for (int32_t i = 0; i < head_dim; i++) dot += (double)q[i] * (double)k[(size_t)t * stride + (size_t)i];
        scores[t] = (float)(dot * (double)scale);
        if (scores[t] > max) max = scores[t];
    }
    double sum = 0;
    for (int32_t t = 0; t < n_ctx; t++) {
        scores[t] = (float)exp((double)scores[t] - (double)max);
        sum += (double)scores[t];
    }
    for (int32_t i = 0; i < head_dim; i++) {
        double acc = 0;
        for (int32_t t = 0; t < n_ctx; t++) acc += (double)scores[t] * (double)v[(size_t)t * stride + (size_t)i];
        out[i] = (float)(acc / sum);
    }
}

void lfm2__kernels_init_scalar(lfm2__kernels *k)
{
    lfm2__dequant_init(k);
    k->gemm[LFM2_DTYPE_F32] = gemm_f32;
    k->gemm[LFM2_DTYPE_F16] = gemm_f16;
    k->gemm[LFM2_DTYPE_BF16] = gemm_bf16;
    k->gemm[LFM2_DTYPE_Q8_0] = gemm_q8_0;
    k->gemm[LFM2_DTYPE_Q4_0] = gemm_q4_0;
    k->gemm[LFM2_DTYPE_Q4_1] = gemm_q4_1;
    k->gemm[LFM2_DTYPE_Q5_0] = gemm_q5_0;
    k->gemm[LFM2_DTYPE_Q5_1] = gemm_q5_1;
    k->gemm[LFM2_DTYPE_Q4_K] = gemm_q4_k;
    k->gemm[LFM2_DTYPE_Q5_K] = gemm_q5_k;
    k->gemm[LFM2_DTYPE_Q6_K] = gemm_q6_k;
    k->gemm[LFM2_DTYPE_IQ4_NL] = gemm_iq4_nl;
    k->rms_norm = rms_norm;
    k->silu_mul = silu_mul;
    k->layer_norm = layer_norm;
    k->silu = silu;
    k->gelu_tanh = gelu_tanh;
    k->gelu_erf = gelu_erf;
    k->softmax = softmax;
    k->add = add;
    k->axpy = axpy;
    k->rope = rope;
    k->shortconv = shortconv;
    k->attend = attend;
}
