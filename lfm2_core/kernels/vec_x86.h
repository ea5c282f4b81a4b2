/* SPDX-License-Identifier: Apache-2.0
 * 32 bytes in one register, with AVX2: the codes of 32 weights. Included by vec_avx2.h and vec_avx512.h only. */
#ifndef LFM2__VEC_X86_H
#define LFM2__VEC_X86_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"

typedef __m256i vq;

/* 16 bytes: low nibbles to elements 0..15, high nibbles to 16..31. */
LFM2__ALWAYS_INLINE vq vq_nib16(const uint8_t *p)
{
    const __m128i b = _mm_loadu_si128((const __m128i *)(const void *)p);
    const __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(b), _mm_srli_epi16(b, 4), 1);
    return _mm256_and_si256(both, _mm256_set1_epi8(15));
}

/* 32 bytes: the low (shift 0) or high (shift 4) nibble of each. */
LFM2__ALWAYS_INLINE vq vq_nib32(const uint8_t *p, int shift)
{
    const __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)p);
    return _mm256_and_si256(_mm256_srli_epi16(b, shift), _mm256_set1_epi8(15));
}

/* Bit e of 32 bits to bit 4 of element e. */
LFM2__ALWAYS_INLINE vq vq_bits(const uint8_t *p)
{
    int32_t bits;
    memcpy(&bits, p, sizeof bits);
    const __m256i spread = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1,
                                            2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3);
    const __m256i one = _mm256_set1_epi64x((long long)0x8040201008040201ull);
    const __m256i b = _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32(bits), spread), one);
    return _mm256_and_si256(_mm256_cmpeq_epi8(b, one), _mm256_set1_epi8(16));
}

/* `mask` bits of 32 bytes, shifted down by `shift`, to bit 4 and up of each element. */
LFM2__ALWAYS_INLINE vq vq_plane(const uint8_t *p, int shift, int mask)
{
    const __m256i b = _mm256_srli_epi16(_mm256_loadu_si256((const __m256i *)(const void *)p), shift);
    return _mm256_slli_epi16(_mm256_and_si256(b, _mm256_set1_epi8((char)mask)), 4);
}

LFM2__ALWAYS_INLINE vq vq_or(vq a, vq b)
{
    return _mm256_or_si256(a, b);
}

LFM2__ALWAYS_INLINE vq vq_sub(vq a, int n)
{
    return _mm256_sub_epi8(a, _mm256_set1_epi8((char)n));
}

/* Look 16 signed bytes up by elements 0..15. */
LFM2__ALWAYS_INLINE vq vq_lookup(vq index, const int8_t *table)
{
    const __m128i t = _mm_loadu_si128((const __m128i *)(const void *)table);
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(t), index);
}

/* Eight f16 to f32. */
LFM2__ALWAYS_INLINE void f16x8_to_f32(float *y, const uint8_t *const *p)
{
    uint16_t h[8];
    for (int i = 0; i < 8; i++) memcpy(&h[i], p[i], sizeof h[i]);
    const __m128i v = _mm_setr_epi16((short)h[0], (short)h[1], (short)h[2], (short)h[3], (short)h[4], (short)h[5],
                                     (short)h[6], (short)h[7]);
    _mm256_storeu_ps(y, _mm256_cvtph_ps(v));
}

LFM2__ALWAYS_INLINE float f16_to_f32(const uint8_t *p)
{
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(h)));
}

/* y[i] = scale * u8[i], eight of them from the bytes of an integer. */
LFM2__ALWAYS_INLINE void u8x8_scaled(float *y, uint64_t bytes, float scale)
{
    const __m256i v = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)bytes));
    _mm256_storeu_ps(y, _mm256_mul_ps(_mm256_set1_ps(scale), _mm256_cvtepi32_ps(v)));
}

/* y[i] = scale * i8[i], 16 of them. */
LFM2__ALWAYS_INLINE void i8x16_scaled(float *y, const uint8_t *p, float scale)
{
    const __m128i b = _mm_loadu_si128((const __m128i *)(const void *)p);
    const __m256 s = _mm256_set1_ps(scale);
    _mm256_storeu_ps(y, _mm256_mul_ps(s, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(b))));
    _mm256_storeu_ps(y + 8, _mm256_mul_ps(s, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(b, 8)))));
}

#endif
