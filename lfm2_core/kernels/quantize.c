/* SPDX-License-Identifier: Apache-2.0
 * Packing of one row. F16, BF16, Q8_0 and Q4_0 give the bits of the reference quantiser; Q4_K and Q6_K search for the
 * scales that leave the smallest squared error. */
#include <math.h>
#include <string.h>

#include "kernels/kernels_impl.h"
#include "lfm2/status.h"

static void put_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v & 255);
    p[1] = (uint8_t)(v >> 8);
}

static int f16_is_finite(uint16_t h)
{
    return (h & 0x7c00u) != 0x7c00u;
}

static double clamp(double v, double lo, double hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

/* 1 / d, or 0 where that does not exist: then the f16 scale is zero as well and the codes do not matter. */
static float inverse(float d)
{
    const float id = d == 0.0f ? 0.0f : 1.0f / d;
    return isfinite(id) ? id : 0.0f;
}

/* One block each: x of its element count to dst of its byte count. */

static int pack_f32(uint8_t *dst, const float *x)
{
    memcpy(dst, x, sizeof *x);
    return 0;
}

static int pack_f16(uint8_t *dst, const float *x)
{
    const uint16_t h = lfm2__f32_to_f16(*x);
    put_u16(dst, h);
    return f16_is_finite(h) ? 0 : LFM2_ERR_NONFINITE;
}

static int pack_bf16(uint8_t *dst, const float *x)
{
    const uint16_t h = lfm2__f32_to_bf16(*x);
    put_u16(dst, h);
    return (h & 0x7f80u) != 0x7f80u ? 0 : LFM2_ERR_NONFINITE;
}

static int pack_q8_0(uint8_t *dst, const float *x)
{
    float max = 0;
    for (int j = 0; j < 32; j++) max = fmaxf(max, fabsf(x[j]));
    const float d = max / 127.0f, id = inverse(d);
    const uint16_t h = lfm2__f32_to_f16(d);
    if (!f16_is_finite(h)) return LFM2_ERR_NONFINITE;
    put_u16(dst, h);
    for (int j = 0; j < 32; j++) dst[2 + j] = (uint8_t)(int8_t)clamp(roundf(x[j] * id), -128, 127);
    return 0;
}

static int pack_q4_0(uint8_t *dst, const float *x)
{
    float max = x[0]; /* the first element of the largest magnitude, with its sign: it becomes -8 */
    for (int j = 1; j < 32; j++) {
        if (fabsf(x[j]) > fabsf(max)) max = x[j];
    }
    const float d = max / -8.0f, id = inverse(d);
    const uint16_t h = lfm2__f32_to_f16(d);
    if (!f16_is_finite(h)) return LFM2_ERR_NONFINITE;
    put_u16(dst, h);
    for (int j = 0; j < 16; j++) {
        const int lo = (int)clamp(x[j] * id + 8.5f, 0, 15);
        const int hi = (int)clamp(x[j + 16] * id + 8.5f, 0, 15);
        dst[2 + j] = (uint8_t)(lo | hi << 4);
    }
    return 0;
}

/* A scale s for 16 elements, so that s * q with q = clamp(nearest(x / s), -32, 31) is near them. For each of several
 * first scales the codes are fixed and the scale that is best for them is sum(xq) / sum(qq), which takes
 * sum(xq)^2 / sum(qq) off the squared error; the scale that takes off most wins. */
static double search_scale_16(const float *x)
{
    double max = 0;
    for (int j = 0; j < 16; j++) {
        if (fabs((double)x[j]) > fabs(max)) max = x[j];
    }
    if (max == 0) return 0;

    double best_gain = 0, best = 0;
    for (int step = -10; step <= 10; step++) {
        const double inv = -(32.0 + 0.125 * step) / max; /* the largest takes the longer, negative side */
        double xq = 0, qq = 0;
        for (int j = 0; j < 16; j++) {
            const double q = clamp(nearbyint((double)x[j] * inv), -32, 31);
            xq += (double)x[j] * q;
            qq += q * q;
        }
        if (qq > 0 && xq * xq > best_gain * qq) {
            best_gain = xq * xq / qq;
            best = xq / qq;
        }
    }
    return best;
}

static int pack_q6_k(uint8_t *dst, const float *x)
{
    double scales[16], max = 0;
    for (int j = 0; j < 16; j++) {
        scales[j] = search_scale_16(x + 16 * j);
        if (fabs(scales[j]) > fabs(max)) max = scales[j];
    }
    const uint16_t h = lfm2__f32_to_f16((float)(max / -128.0));
    if (!f16_is_finite(h)) return LFM2_ERR_NONFINITE;
    const double d = (double)lfm2__f16_to_f32(h);

    memset(dst, 0, 192);
    put_u16(dst + 208, h);
    for (int j = 0; j < 16; j++) {
        const int scale = d == 0 ? 0 : (int)clamp(nearbyint(scales[j] / d), -128, 127);
        const double s = d * scale;
        dst[192 + j] = (uint8_t)(int8_t)scale;
        for (int l = 0; l < 16; l++) {
            const int e = 16 * j + l, half = e / 128, group = e % 128 / 32, pos = e % 32;
            const int q = 32 + (s == 0 ? 0 : (int)clamp(nearbyint((double)x[e] / s), -32, 31));
            dst[64 * half + 32 * (group & 1) + pos] |= (uint8_t)((q & 15) << 4 * (group / 2));
            dst[128 + 32 * half + pos] |= (uint8_t)((q >> 4) << 2 * group);
        }
    }
    return 0;
}

/* Squared error of 32 elements as s * q - m with the best codes 0..15. */
static double affine_error(const float *x, double s, double m)
{
    const double inv = s > 0 ? 1.0 / s : 0;
    double err = 0;
    for (int j = 0; j < 32; j++) {
        const double q = clamp(nearbyint(((double)x[j] + m) * inv), 0, 15);
        const double e = (double)x[j] + m - s * q;
        err += e * e;
    }
    return err;
}

/* Scale s >= 0 and minimum m >= 0 for 32 elements as s * q - m, q = 0..15: for each of several first scales the codes are
 * fixed, the line through (q, x) is fitted by least squares, and the fit of the smallest error wins. */
static void search_affine_32(const float *x, double *s_out, double *m_out)
{
    double lo = 0, hi = (double)x[0], sum_x = 0;
    for (int j = 0; j < 32; j++) {
        lo = fmin(lo, (double)x[j]);
        hi = fmax(hi, (double)x[j]);
        sum_x += (double)x[j];
    }
    double best_s = fmax(hi - lo, 0) / 15, best_m = -lo;
    if (best_s > 0) {
        double best_err = affine_error(x, best_s, best_m);
        for (int step = -8; step <= 14; step++) {
            const double inv = (15.0 + 0.2 * step) / (hi - lo);
            double sum_q = 0, qq = 0, xq = 0;
            for (int j = 0; j < 32; j++) {
                const double q = clamp(nearbyint(((double)x[j] - lo) * inv), 0, 15);
                sum_q += q;
                qq += q * q;
                xq += (double)x[j] * q;
            }
            const double det = 32 * qq - sum_q * sum_q;
            if (!(det > 0)) continue;
            double s = (32 * xq - sum_x * sum_q) / det, m = (s * sum_q - sum_x) / 32;
            if (m < 0) { /* the format has no positive offset */
                m = 0;
                s = xq / qq;
            }
            const double err = s > 0 ? affine_error(x, s, m) : best_err;
            if (err < best_err) {
                best_err = err;
                best_s = s;
                best_m = m;
            }
        }
    }
    *s_out = best_s;
    *m_out = best_m;
}

/* The 6-bit pair next to (s / d, m / dmin) with the smallest error. */
static void round_affine_32(const float *x, double s, double m, double d, double dmin, int *scale, int *min)
{
    const int s0 = d > 0 ? (int)clamp(nearbyint(s / d), 0, 63) : 0;
    const int m0 = dmin > 0 ? (int)clamp(nearbyint(m / dmin), 0, 63) : 0;
    double best = INFINITY;
    for (int i = s0 > 0 ? s0 - 1 : 0; i <= s0 + 1 && i <= 63; i++) {
        for (int j = m0 > 0 ? m0 - 1 : 0; j <= m0 + 1 && j <= 63; j++) {
            const double err = affine_error(x, d * i, dmin * j);
            if (err < best) {
                best = err;
                *scale = i;
                *min = j;
            }
        }
    }
}

static int pack_q4_k(uint8_t *dst, const float *x)
{
    double s[8], m[8], max_s = 0, max_m = 0;
    for (int j = 0; j < 8; j++) {
        search_affine_32(x + 32 * j, &s[j], &m[j]);
        max_s = fmax(max_s, s[j]);
        max_m = fmax(max_m, m[j]);
    }
    const uint16_t h_d = lfm2__f32_to_f16((float)(max_s / 63)), h_min = lfm2__f32_to_f16((float)(max_m / 63));
    if (!f16_is_finite(h_d) || !f16_is_finite(h_min)) return LFM2_ERR_NONFINITE;
    const double d = (double)lfm2__f16_to_f32(h_d), dmin = (double)lfm2__f16_to_f32(h_min);

    memset(dst, 0, 144);
    put_u16(dst, h_d);
    put_u16(dst + 2, h_min);
    for (int j = 0; j < 8; j++) {
        int scale = 0, min = 0;
        round_affine_32(x + 32 * j, s[j], m[j], d, dmin, &scale, &min);
        uint8_t *packed = dst + 4; /* the layout is told in quant.c */
        if (j < 4) {
            packed[j] |= (uint8_t)scale;
            packed[j + 4] |= (uint8_t)min;
        } else {
            packed[j + 4] = (uint8_t)((scale & 15) | (min & 15) << 4);
            packed[j - 4] |= (uint8_t)((scale >> 4) << 6);
            packed[j] |= (uint8_t)((min >> 4) << 6);
        }
        const double step = d * scale, ofs = dmin * min;
        for (int l = 0; l < 32; l++) {
            const int q = step > 0 ? (int)clamp(nearbyint(((double)x[32 * j + l] + ofs) / step), 0, 15) : 0;
            dst[16 + 32 * (j / 2) + l] |= (uint8_t)(q << 4 * (j & 1));
        }
    }
    return 0;
}

int lfm2__quantize_row(lfm2_dtype t, void *dst, const float *x, int32_t n)
{
    typedef int pack_fn(uint8_t *block, const float *x);
    pack_fn *pack;
    switch (t) {
    case LFM2_DTYPE_F32: pack = pack_f32; break;
    case LFM2_DTYPE_F16: pack = pack_f16; break;
    case LFM2_DTYPE_BF16: pack = pack_bf16; break;
    case LFM2_DTYPE_Q8_0: pack = pack_q8_0; break;
    case LFM2_DTYPE_Q4_0: pack = pack_q4_0; break;
    case LFM2_DTYPE_Q4_K: pack = pack_q4_k; break;
    case LFM2_DTYPE_Q6_K: pack = pack_q6_k; break;
    default: return LFM2_ERR_UNSUPPORTED;
    }
    for (int32_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) return LFM2_ERR_NONFINITE;
    }
    const int32_t block = lfm2_dtype_block_elems(t);
    const size_t block_bytes = (size_t)lfm2_dtype_block_bytes(t);
    uint8_t *p = dst;
    for (int32_t i = 0; i < n; i += block, p += block_bytes) {
        const int rc = pack(p, x + i);
        if (rc < 0) return rc;
    }
    return 0;
}
