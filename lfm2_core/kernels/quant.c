/* SPDX-License-Identifier: Apache-2.0
 * Dequantisation of one row, scalar: the definition of every block format. The order of the float operations matters. */
#include <string.h>

#include "kernels/kernels_impl.h"

static float f32_from_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static uint32_t bits_from_f32(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

float lfm2__f16_to_f32(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    const uint32_t exp = (h >> 10) & 31u;
    const uint32_t frac = h & 0x3ffu;
    if (exp == 31) return f32_from_bits(sign | 0x7f800000u | (frac << 13) | (frac ? 0x400000u : 0));
    if (exp == 0) { /* zero or subnormal: frac * 2^-24, exact in f32 */
        const float f = (float)frac * 0x1p-24f;
        return f32_from_bits(sign | bits_from_f32(f));
    }
    return f32_from_bits(sign | ((exp + 112u) << 23) | (frac << 13));
}

uint16_t lfm2__f32_to_f16(float f)
{
    const uint32_t bits = bits_from_f32(f);
    const uint32_t sign = (bits >> 16) & 0x8000u;
    const uint32_t mag = bits & 0x7fffffffu;
    if (mag > 0x7f800000u) return (uint16_t)(sign | 0x7e00u | ((mag >> 13) & 0x3ffu));
    if (mag >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* 65520 and above round to infinity */
    if (mag < 0x33000000u) return (uint16_t)sign;              /* below 2^-25: zero */

    uint32_t kept, rest, half;
    if (mag < 0x38800000u) { /* below 2^-14: subnormal, in steps of 2^-24 */
        const uint32_t shift = 126u - (mag >> 23);
        const uint32_t frac = (mag & 0x7fffffu) | 0x800000u;
        kept = frac >> shift;
        rest = frac & ((1u << shift) - 1u);
        half = 1u << (shift - 1u);
    } else {
        kept = (mag - 0x38000000u) >> 13;
        rest = mag & 0x1fffu;
        half = 0x1000u;
    }
    if (rest > half || (rest == half && (kept & 1u))) kept++; /* a carry into the exponent is right as it is */
    return (uint16_t)(sign | kept);
}

uint16_t lfm2__f32_to_bf16(float f)
{
    const uint32_t bits = bits_from_f32(f);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)((bits >> 16) | 0x40u);
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

static uint16_t u16_at(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t u32_at(const uint8_t *p)
{
    return (uint32_t)u16_at(p) | (uint32_t)u16_at(p + 2) << 16;
}

static float f16_at(const uint8_t *p)
{
    return lfm2__f16_to_f32(u16_at(p));
}

static void dequant_f32(float *y, const void *row, int32_t n)
{
    memcpy(y, row, (size_t)n * sizeof(float));
}

static void dequant_f16(float *y, const void *row, int32_t n)
{
    const uint8_t *p = row;
    for (int32_t i = 0; i < n; i++) y[i] = f16_at(p + 2 * (size_t)i);
}

static void dequant_bf16(float *y, const void *row, int32_t n)
{
    const uint8_t *p = row;
    for (int32_t i = 0; i < n; i++) y[i] = f32_from_bits((uint32_t)u16_at(p + 2 * (size_t)i) << 16);
}

static void dequant_q8_0(float *y, const void *row, int32_t n)
{
    const uint8_t *p = row;
    for (int32_t i = 0; i < n; i += 32, p += 34) {
        const float d = f16_at(p);
        for (int j = 0; j < 32; j++) y[i + j] = (float)(int8_t)p[2 + j] * d;
    }
}

static void dequant_q4_0(float *y, const void *row, int32_t n)
{
    const uint8_t *p = row;
    for (int32_t i = 0; i < n; i += 32, p += 18) {
        const float d = f16_at(p);
        for (int j = 0; j < 16; j++) {
            y[i + j] = d * (float)((p[2 + j] & 15) - 8);
            y[i + j + 16] = d * (float)((p[2 + j] >> 4) - 8);
        }
    }
}

static void dequant_q4_1(float *y, const void *row, int32_t n)
{
    const uint8_t *p = row;
    for (int32_t i = 0; i < n; i += 32, p += 20) {
        const float d = f16_at(p), m = f16_at(p + 2);
        for (int j = 0; j < 16; j++) {
            y[i + j] = d * (float)(p[4 + j] & 15) + m;
            y[i + j + 16] = d * (float)(p[4 + j] >> 4) + m;
        }
    }
}

static void dequant_q5_0(float *y, const void *row, int32_t n)
{
    const uint8_t *p = row;
    for (int32_t i = 0; i < n; i += 32, p += 22) {
        const float d = f16_at(p);
        const uint32_t high = u32_at(p + 2);
        for (int j = 0; j < 16; j++) {
            const int lo = (p[6 + j] & 15) | (int)(high >> j & 1u) << 4;
            const int hi = (p[6 + j] >> 4) | (int)(high >> (j + 16) & 1u) << 4;
            y[i + j] = d * (float)(lo - 16);
            y[i + j + 16] = d * (float)(hi - 16);
        }
    }
}

static void dequant_q5_1(float *y, const void *row, int32_t n)
{
    const uint8_t *p = row;
    for (int32_t i = 0; i < n; i += 32, p += 24) {
        const float d = f16_at(p), m = f16_at(p + 2);
        const uint32_t high = u32_at(p + 4);
        for (int j = 0; j < 16; j++) {
            const int lo = (p[8 + j] & 15) | (int)(high >> j & 1u) << 4;
            const int hi = (p[8 + j] >> 4) | (int)(high >> (j + 16) & 1u) << 4;
            y[i + j] = d * (float)lo + m;
            y[i + j + 16] = d * (float)hi + m;
        }
    }
}

/* Eight scales and eight minima of 6 bits in 12 bytes: the low 6 bits of bytes 0..7 hold the first four of each; the
 * nibbles of bytes 8..11 with the top 2 bits of bytes 0..7 hold the last four. */
static int k_scale(const uint8_t *s, int j)
{
    return j < 4 ? s[j] & 63 : (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
}

static int k_min(const uint8_t *s, int j)
{
    return j < 4 ? s[j + 4] & 63 : (s[j + 4] >> 4) | (s[j] >> 6) << 4;
}

static void dequant_q4_k(float *y, const void *row, int32_t n)
{
    const uint8_t *p = row;
    for (int32_t i = 0; i < n; i += 256, p += 144) {
        const float d = f16_at(p), dmin = f16_at(p + 2);
        for (int j = 0; j < 8; j++) {
            const float s = d * (float)k_scale(p + 4, j), m = dmin * (float)k_min(p + 4, j);
            const uint8_t *q = p + 16 + 32 * (j / 2);
            const int shift = 4 * (j & 1);
            for (int l = 0; l < 32; l++) y[i + 32 * j + l] = s * (float)((q[l] >> shift) & 15) - m;
        }
    }
}

static void dequant_q5_k(float *y, const void *row, int32_t n)
{
    const uint8_t *p = row;
    for (int32_t i = 0; i < n; i += 256, p += 176) {
        const float d = f16_at(p), dmin = f16_at(p + 2);
        const uint8_t *high = p + 16;
        for (int j = 0; j < 8; j++) {
            const float s = d * (float)k_scale(p + 4, j), m = dmin * (float)k_min(p + 4, j);
            const uint8_t *q = p + 48 + 32 * (j / 2);
            const int shift = 4 * (j & 1);
            for (int l = 0; l < 32; l++) {
                const int v = ((q[l] >> shift) & 15) | (high[l] >> j & 1) << 4;
                y[i + 32 * j + l] = s * (float)v - m;
            }
        }
    }
}

static void dequant_q6_k(float *y, const void *row, int32_t n)
{
    const uint8_t *p = row;
    for (int32_t i = 0; i < n; i += 256, p += 210) {
        const uint8_t *scales = p + 192;
        const float d = f16_at(p + 208);
        for (int j = 0; j < 8; j++) { /* 32 elements each: two halves of 128, four groups in a half */
            const int half = j / 4, group = j % 4;
            const uint8_t *ql = p + 64 * half + 32 * (group & 1);
            const uint8_t *qh = p + 128 + 32 * half;
            for (int l = 0; l < 32; l++) {
                const float s = d * (float)(int8_t)scales[2 * j + l / 16];
                const int q = ((ql[l] >> 4 * (group / 2)) & 15) | ((qh[l] >> 2 * group) & 3) << 4;
                y[i + 32 * j + l] = s * (float)(q - 32);
            }
        }
    }
}

static void dequant_iq4_nl(float *y, const void *row, int32_t n)
{
    static const int8_t values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
    const uint8_t *p = row;
    for (int32_t i = 0; i < n; i += 32, p += 18) {
        const float d = f16_at(p);
        for (int j = 0; j < 16; j++) {
            y[i + j] = d * (float)values[p[2 + j] & 15];
            y[i + j + 16] = d * (float)values[p[2 + j] >> 4];
        }
    }
}

void lfm2__dequant_init(lfm2__kernels *k)
{
    k->dequant[LFM2_DTYPE_F32] = dequant_f32;
    k->dequant[LFM2_DTYPE_F16] = dequant_f16;
    k->dequant[LFM2_DTYPE_BF16] = dequant_bf16;
    k->dequant[LFM2_DTYPE_Q8_0] = dequant_q8_0;
    k->dequant[LFM2_DTYPE_Q4_0] = dequant_q4_0;
    k->dequant[LFM2_DTYPE_Q4_1] = dequant_q4_1;
    k->dequant[LFM2_DTYPE_Q5_0] = dequant_q5_0;
    k->dequant[LFM2_DTYPE_Q5_1] = dequant_q5_1;
    k->dequant[LFM2_DTYPE_Q4_K] = dequant_q4_k;
    k->dequant[LFM2_DTYPE_Q5_K] = dequant_q5_k;
    k->dequant[LFM2_DTYPE_Q6_K] = dequant_q6_k;
    k->dequant[LFM2_DTYPE_IQ4_NL] = dequant_iq4_nl;
}
