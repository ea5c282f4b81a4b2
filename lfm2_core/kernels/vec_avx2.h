/* SPDX-License-Identifier: Apache-2.0
 * The vector interface of the generic bodies (layers.inc, gemm.inc) on AVX2 + FMA + F16C: 8 floats. */
#ifndef LFM2__VEC_AVX2_H
#define LFM2__VEC_AVX2_H

#include "kernels/vec_x86.h"

typedef __m256 vf;
#define VF_N 8
#define VF_REG "x"
#define VF_W (32 / VF_N) /* registers that hold 32 weights */

/* Tile of the matrix product: 12 sums, 3 of x, 1 of w in 16 registers. */
#define TILE_ROWS 4
#define TILE_TOK 3

LFM2__ALWAYS_INLINE vf vf_set1(float a) { return _mm256_set1_ps(a); }
LFM2__ALWAYS_INLINE vf vf_load(const void *p) { return _mm256_loadu_ps((const float *)p); }
LFM2__ALWAYS_INLINE void vf_store(float *p, vf a) { _mm256_storeu_ps(p, a); }
LFM2__ALWAYS_INLINE vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
LFM2__ALWAYS_INLINE vf vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
LFM2__ALWAYS_INLINE vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
LFM2__ALWAYS_INLINE vf vf_div(vf a, vf b) { return _mm256_div_ps(a, b); }
LFM2__ALWAYS_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
/* A NaN in b comes out. */
LFM2__ALWAYS_INLINE vf vf_min(vf a, vf b) { return _mm256_min_ps(a, b); }
LFM2__ALWAYS_INLINE vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); }
LFM2__ALWAYS_INLINE vf vf_round(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }

/* The first n < VF_N elements; the rest is zero, and is not read. */
LFM2__ALWAYS_INLINE vf vf_load_n(const float *p, int n)
{
    float t[VF_N] = {0};
    memcpy(t, p, (size_t)n * sizeof t[0]);
    return vf_load(t);
}

LFM2__ALWAYS_INLINE void vf_store_n(float *p, vf a, int n)
{
    float t[VF_N];
    vf_store(t, a);
    memcpy(p, t, (size_t)n * sizeof t[0]);
}

LFM2__ALWAYS_INLINE float vf_sum(vf a)
{
    __m128 v = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    v = _mm_add_ps(v, _mm_movehl_ps(v, v));
    return _mm_cvtss_f32(_mm_add_ss(v, _mm_movehdup_ps(v)));
}

/* p * 2^n for whole n in -160..160, with gradual underflow. */
LFM2__ALWAYS_INLINE vf vf_scale2(vf p, vf n)
{
    const __m256i i = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(i, 1), bias = _mm256_set1_epi32(127);
    const __m256i a = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
    const __m256i b = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(i, half), bias), 23);
    return _mm256_mul_ps(_mm256_mul_ps(p, _mm256_castsi256_ps(a)), _mm256_castsi256_ps(b));
}

/* 32 weights from memory. */
LFM2__ALWAYS_INLINE void w_f32(vf *w, const uint8_t *p)
{
    for (int i = 0; i < VF_W; i++) w[i] = vf_load(p + 32 * i);
}

LFM2__ALWAYS_INLINE void w_f16(vf *w, const uint8_t *p)
{
    for (int i = 0; i < VF_W; i++) w[i] = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i)));
}

LFM2__ALWAYS_INLINE void w_bf16(vf *w, const uint8_t *p)
{
    for (int i = 0; i < VF_W; i++) {
        const __m128i h = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
        w[i] = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
    }
}

/* 32 weights s * q from signed codes; the first and the last 16 have a scale each. */
LFM2__ALWAYS_INLINE void w_codes(vf *w, vq q, float s_lo, float s_hi)
{
    const __m128i lo = _mm256_castsi256_si128(q), hi = _mm256_extracti128_si256(q, 1);
    const vf a = vf_set1(s_lo), b = vf_set1(s_hi);
    w[0] = vf_mul(a, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(lo)));
    w[1] = vf_mul(a, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(lo, 8))));
    w[2] = vf_mul(b, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(hi)));
    w[3] = vf_mul(b, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(hi, 8))));
}

LFM2__ALWAYS_INLINE void w_i8(vf *w, const uint8_t *p, float s)
{
    const vf a = vf_set1(s);
    for (int i = 0; i < VF_W; i++) {
        const __m128i b = _mm_loadl_epi64((const __m128i *)(const void *)(p + 8 * i));
        w[i] = vf_mul(a, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(b)));
    }
}

#endif
