/* SPDX-License-Identifier: Apache-2.0
 * The vector interface of the generic bodies (layers.inc, gemm.inc) on AVX-512 F, BW, DQ, VL: 16 floats. */
#ifndef LFM2__VEC_AVX512_H
#define LFM2__VEC_AVX512_H

#include "kernels/vec_x86.h"

typedef __m512 vf;
#define VF_N 16
#define VF_REG "v"
#define VF_W (32 / VF_N) /* registers that hold 32 weights */

/* Tile of the matrix product: 24 sums, 3 of x, 1 of w in 32 registers. */
#define TILE_ROWS 8
#define TILE_TOK 3

LFM2__ALWAYS_INLINE vf vf_set1(float a) { return _mm512_set1_ps(a); }
LFM2__ALWAYS_INLINE vf vf_load(const void *p) { return _mm512_loadu_ps(p); }
LFM2__ALWAYS_INLINE void vf_store(float *p, vf a) { _mm512_storeu_ps(p, a); }
LFM2__ALWAYS_INLINE vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
LFM2__ALWAYS_INLINE vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
LFM2__ALWAYS_INLINE vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
LFM2__ALWAYS_INLINE vf vf_div(vf a, vf b) { return _mm512_div_ps(a, b); }
LFM2__ALWAYS_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
/* A NaN in b comes out. */
LFM2__ALWAYS_INLINE vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); }
LFM2__ALWAYS_INLINE vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }
/* For |a| < 2^31. Through integers, since gcc 12 warns of its own roundscale macro when it does not optimise. */
LFM2__ALWAYS_INLINE vf vf_round(vf a) { return _mm512_cvtepi32_ps(_mm512_cvtps_epi32(a)); }

LFM2__ALWAYS_INLINE __mmask16 first_n(int n)
{
    return (__mmask16)((1u << n) - 1u);
}

/* The first n < VF_N elements; the rest is zero, and is not read. */
LFM2__ALWAYS_INLINE vf vf_load_n(const float *p, int n) { return _mm512_maskz_loadu_ps(first_n(n), p); }
LFM2__ALWAYS_INLINE void vf_store_n(float *p, vf a, int n) { _mm512_mask_storeu_ps(p, first_n(n), a); }

LFM2__ALWAYS_INLINE float vf_sum(vf a)
{
    const __m256 b = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 v = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    v = _mm_add_ps(v, _mm_movehl_ps(v, v));
    return _mm_cvtss_f32(_mm_add_ss(v, _mm_movehdup_ps(v)));
}

/* p * 2^n for whole n in -160..160, with gradual underflow. */
LFM2__ALWAYS_INLINE vf vf_scale2(vf p, vf n) { return _mm512_scalef_ps(p, n); }

/* 32 weights from memory. */
LFM2__ALWAYS_INLINE void w_f32(vf *w, const uint8_t *p)
{
    w[0] = vf_load(p);
    w[1] = vf_load(p + 64);
}

LFM2__ALWAYS_INLINE void w_f16(vf *w, const uint8_t *p)
{
    w[0] = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
    w[1] = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)(p + 32)));
}

LFM2__ALWAYS_INLINE vf bf16_to_vf(const uint8_t *p)
{
    const __m256i h = _mm256_loadu_si256((const __m256i *)(const void *)p);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

LFM2__ALWAYS_INLINE void w_bf16(vf *w, const uint8_t *p)
{
    w[0] = bf16_to_vf(p);
    w[1] = bf16_to_vf(p + 32);
}

/* 32 weights s * q from signed codes; the first and the last 16 have a scale each. */
LFM2__ALWAYS_INLINE void w_codes(vf *w, vq q, float s_lo, float s_hi)
{
    w[0] = vf_mul(vf_set1(s_lo), _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm256_castsi256_si128(q))));
    w[1] = vf_mul(vf_set1(s_hi), _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm256_extracti128_si256(q, 1))));
}

LFM2__ALWAYS_INLINE void w_i8(vf *w, const uint8_t *p, float s)
{
    const __m128i lo = _mm_loadu_si128((const __m128i *)(const void *)p);
    const __m128i hi = _mm_loadu_si128((const __m128i *)(const void *)(p + 16));
    w[0] = vf_mul(vf_set1(s), _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(lo)));
    w[1] = vf_mul(vf_set1(s), _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(hi)));
}

/* Sixteen weights fit one register: 4-bit codes are looked up in a table that the caller has scaled. The lookup uses the
 * low 4 bits of each index alone. */
#define VF_HAS_LOOKUP16 1
LFM2__ALWAYS_INLINE void w_lookup_nib16(vf *w, const uint8_t *p, vf table)
{
    const __m512i i = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
    w[0] = _mm512_permutexvar_ps(i, table);
    w[1] = _mm512_permutexvar_ps(_mm512_srli_epi32(i, 4), table);
}

LFM2__ALWAYS_INLINE void w_lookup_nib32(vf *w, const uint8_t *p, int shift, vf table)
{
    const __m512i a = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
    const __m512i b = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(p + 16)));
    w[0] = _mm512_permutexvar_ps(shift ? _mm512_srli_epi32(a, 4) : a, table);
    w[1] = _mm512_permutexvar_ps(shift ? _mm512_srli_epi32(b, 4) : b, table);
}

#endif
