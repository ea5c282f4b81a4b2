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

/* ---- K blocks: search for scales. Values are first divided by the largest magnitude, so that no sum can overflow. ---- */

/* Divide 256 values by their largest magnitude, which is returned; 0 if they are all zero or too small for a reciprocal. */
static float normalise(float *v, const float *x)
{
    float max = 0;
    for (int j = 0; j < 256; j++) max = fmaxf(max, fabsf(x[j]));
    const float scale = inverse(max);
    for (int j = 0; j < 256; j++) v[j] = x[j] * scale;
    return scale == 0.0f ? 0.0f : max;
}

/* Code of v = clamp, then the nearest whole number, ties to even: adding 1.5 * 2^23 leaves no room for a fraction. */
static float code_of(float v, float lo, float hi)
{
    v = v < lo ? lo : v;
    v = v > hi ? hi : v;
    return v + 0x1.8p23f - 0x1.8p23f;
}

/* Codes of (x[j] + ofs) * inv, j < n <= 32. A loop apart from the sums, so that compilers use vectors and no branches. */
static void codes_of(float *q, const float *x, int n, float ofs, float inv, float lo, float hi)
{
    for (int j = 0; j < n; j++) q[j] = code_of((x[j] + ofs) * inv, lo, hi);
}

typedef struct code_sums {
    float q, qq, xq; /* sums over the codes q of the values x */
} code_sums;

/* n is a multiple of 4: four lanes. */
static code_sums sum_codes(const float *x, int n, float ofs, float inv, float lo, float hi)
{
    float q[32], q_sum[4] = {0}, qq[4] = {0}, xq[4] = {0};
    codes_of(q, x, n, ofs, inv, lo, hi);
    for (int j = 0; j < n; j += 4) {
        for (int l = 0; l < 4; l++) {
            q_sum[l] += q[j + l];
            qq[l] += q[j + l] * q[j + l];
            xq[l] += x[j + l] * q[j + l];
        }
    }
    return (code_sums){q_sum[0] + q_sum[1] + q_sum[2] + q_sum[3], qq[0] + qq[1] + qq[2] + qq[3], xq[0] + xq[1] + xq[2] + xq[3]};
}

/* A scale s for 16 values as s * q, q = -32..31. For each of several first scales the codes are fixed; the best scale for
 * them is xq / qq, which takes xq^2 / qq off the squared error. What takes off most wins. */
static float search_scale_16(const float *x)
{
    float max = 0;
    for (int j = 0; j < 16; j++) {
        if (fabsf(x[j]) > fabsf(max)) max = x[j];
    }
    float best_gain = 0, best = 0;
    const float id = inverse(max);
    for (int step = 0; step < 20 && id != 0.0f; step++) { /* the largest takes the longer, negative side: codes -27.2 to -32.9 */
        const code_sums c = sum_codes(x, 16, 0, -(27.2f + 0.3f * (float)step) * id, -32, 31);
        if (c.qq > 0 && c.xq * c.xq > best_gain * c.qq) {
            best_gain = c.xq * c.xq / c.qq;
            best = c.xq / c.qq;
        }
    }
    return best;
}

static int pack_q6_k(uint8_t *dst, const float *x)
{
    float v[256], scales[16], max = 0;
    const float unit = normalise(v, x);
    for (int j = 0; j < 16; j++) {
        scales[j] = search_scale_16(v + 16 * j);
        if (fabsf(scales[j]) > fabsf(max)) max = scales[j];
    }
    const uint16_t h = lfm2__f32_to_f16((float)((double)max / -128 * (double)unit));
    if (!f16_is_finite(h)) return LFM2_ERR_NONFINITE;
    const float d = unit == 0.0f ? 0.0f : lfm2__f16_to_f32(h) / unit, id = inverse(d);

    memset(dst, 0, 192);
    put_u16(dst + 208, h);
    for (int j = 0; j < 16; j++) {
        const float scale = code_of(scales[j] * id, -128, 127), inv = inverse(d * scale);
        dst[192 + j] = (uint8_t)(int8_t)scale;
        for (int l = 0; l < 16; l++) {
            const int e = 16 * j + l, half = e / 128, group = e % 128 / 32, pos = e % 32;
            const int q = 32 + (int)code_of(v[e] * inv, -32, 31);
            dst[64 * half + 32 * (group & 1) + pos] |= (uint8_t)((q & 15) << 4 * (group / 2));
            dst[128 + 32 * half + pos] |= (uint8_t)((q >> 4) << 2 * group);
        }
    }
    return 0;
}

/* 32 values as s * q - m with q = 0..15, s >= 0, m >= 0. */
typedef struct affine {
    float s, m;
} affine;

/* Squared error with the best codes. */
static float affine_error(const float *x, affine a)
{
    float q[32], err[4] = {0};
    codes_of(q, x, 32, a.m, inverse(a.s), 0, 15);
    for (int j = 0; j < 32; j += 4) {
        for (int l = 0; l < 4; l++) {
            const float e = x[j + l] + a.m - a.s * q[j + l];
            err[l] += e * e;
        }
    }
    return err[0] + err[1] + err[2] + err[3];
}

/* The line through (q, x) by least squares; s = 0 if there is none. */
static affine fit_line(code_sums c, float sum_x)
{
    const float det = 32 * c.qq - c.q * c.q;
    if (!(det > 0)) return (affine){0, 0};
    affine a;
    a.s = (32 * c.xq - sum_x * c.q) / det;
    a.m = (a.s * c.q - sum_x) / 32;
    if (a.m < 0) { /* the format has no positive offset */
        a.m = 0;
        a.s = c.xq / c.qq;
    }
    return a;
}

/* For each of several first scales the codes are fixed and a line is fitted, which takes s * xq - m * sum(x) off the squared
 * error. The best of them starts the improvement of codes and line in turn. */
static affine search_affine_32(const float *x)
{
    float lo = 0, hi = x[0], sum_x = 0;
    for (int j = 0; j < 32; j++) {
        lo = fminf(lo, x[j]);
        hi = fmaxf(hi, x[j]);
        sum_x += x[j];
    }
    affine best = {(hi - lo) / 15, -lo};
    const float id = inverse(hi - lo);
    if (!(best.s > 0) || id == 0.0f) return (affine){0, -lo};

    affine first = best;
    float best_gain = -INFINITY;
    for (int step = -4; step <= 8; step++) {
        const code_sums c = sum_codes(x, 32, -lo, (15.0f + 0.35f * (float)step) * id, 0, 15);
        const affine a = fit_line(c, sum_x);
        const float gain = a.s > 0 ? a.s * c.xq - a.m * sum_x : -INFINITY;
        if (gain > best_gain) {
            best_gain = gain;
            first = a;
        }
    }
    float best_err = affine_error(x, best);
    for (int turn = 0; turn < 4; turn++) {
        const float err = affine_error(x, first);
        if (!(err < best_err)) break;
        best_err = err;
        best = first;
        first = fit_line(sum_codes(x, 32, best.m, inverse(best.s), 0, 15), sum_x);
        if (!(first.s > 0)) break;
    }
    return best;
}

/* The 6-bit scale and minimum next to a, in units of d and dmin, with the smallest error. */
static void round_affine_32(const float *x, affine a, float d, float dmin, int *scale, int *min)
{
    const int s0 = (int)code_of(a.s * inverse(d), 0, 63), m0 = (int)code_of(a.m * inverse(dmin), 0, 63);
    float best = INFINITY;
    for (int i = s0 > 0 ? s0 - 1 : 0; i <= s0 + 1 && i <= 63; i++) {
        for (int j = m0 > 0 ? m0 - 1 : 0; j <= m0 + 1 && j <= 63; j++) {
            const float err = affine_error(x, (affine){d * (float)i, dmin * (float)j});
            if (err < best) {
                best = err;
                *scale = i;
                *min = j;
            }
        }
    }
}

/* Put the 6-bit scale and minimum of sub-block j into the 12 bytes that quant.c takes apart. */
static void put_k_scale(uint8_t *packed, int j, int scale, int min)
{
    if (j < 4) {
        packed[j] |= (uint8_t)scale;
        packed[j + 4] |= (uint8_t)min;
    } else {
        packed[j + 4] = (uint8_t)((scale & 15) | (min & 15) << 4);
        packed[j - 4] |= (uint8_t)((scale >> 4) << 6);
        packed[j] |= (uint8_t)((min >> 4) << 6);
    }
}

static int pack_q4_k(uint8_t *dst, const float *x)
{
    affine fit[8];
    float v[256], max_s = 0, max_m = 0;
    const float unit = normalise(v, x);
    for (int j = 0; j < 8; j++) {
        fit[j] = search_affine_32(v + 32 * j);
        max_s = fmaxf(max_s, fit[j].s);
        max_m = fmaxf(max_m, fit[j].m);
    }
    const uint16_t h_d = lfm2__f32_to_f16((float)((double)max_s / 63 * (double)unit));
    const uint16_t h_min = lfm2__f32_to_f16((float)((double)max_m / 63 * (double)unit));
    if (!f16_is_finite(h_d) || !f16_is_finite(h_min)) return LFM2_ERR_NONFINITE;
    const float d = unit == 0.0f ? 0.0f : lfm2__f16_to_f32(h_d) / unit;
    const float dmin = unit == 0.0f ? 0.0f : lfm2__f16_to_f32(h_min) / unit;

    memset(dst, 0, 144);
    put_u16(dst, h_d);
    put_u16(dst + 2, h_min);
    for (int j = 0; j < 8; j++) {
        int scale = 0, min = 0;
        round_affine_32(v + 32 * j, fit[j], d, dmin, &scale, &min);
        put_k_scale(dst + 4, j, scale, min);
        const float inv = inverse(d * (float)scale), ofs = dmin * (float)min;
        for (int l = 0; l < 32; l++) {
            const int q = (int)code_of((v[32 * j + l] + ofs) * inv, 0, 15);
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
