/* SPDX-License-Identifier: Apache-2.0
 * The vector interface of the generic bodies (layers.inc, gemm.inc) on AArch64 Advanced SIMD: 4 floats. */
#ifndef LFM2__VEC_NEON_H
#define LFM2__VEC_NEON_H

#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"

typedef float32x4_t vf;
#define VF_N 4
#define VF_REG "w"
#define VF_W (32 / VF_N) /* registers that hold 32 weights */

/* Tile of the matrix product: 24 sums, 3 of x, 1 of w in 32 registers. */
#define TILE_ROWS 8
#define TILE_TOK 3

LFM2__ALWAYS_INLINE vf vf_set1(float a) { return vdupq_n_f32(a); }
LFM2__ALWAYS_INLINE vf vf_load(const void *p) { return vreinterpretq_f32_u8(vld1q_u8((const uint8_t *)p)); }
LFM2__ALWAYS_INLINE void vf_store(float *p, vf a) { vst1q_f32(p, a); }
LFM2__ALWAYS_INLINE vf vf_add(vf a, vf b) { return vaddq_f32(a, b); }
LFM2__ALWAYS_INLINE vf vf_sub(vf a, vf b) { return vsubq_f32(a, b); }
LFM2__ALWAYS_INLINE vf vf_mul(vf a, vf b) { return vmulq_f32(a, b); }
LFM2__ALWAYS_INLINE vf vf_div(vf a, vf b) { return vdivq_f32(a, b); }
LFM2__ALWAYS_INLINE vf vf_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
/* A NaN in b comes out. */
LFM2__ALWAYS_INLINE vf vf_min(vf a, vf b) { return vminq_f32(a, b); }
LFM2__ALWAYS_INLINE vf vf_max(vf a, vf b) { return vmaxq_f32(a, b); }
LFM2__ALWAYS_INLINE vf vf_round(vf a) { return vrndnq_f32(a); }

/* The first n < VF_N elements; the rest is zero, and is not read. */
LFM2__ALWAYS_INLINE vf vf_load_n(const float *p, int n)
{
    float t[VF_N] = {0};
    memcpy(t, p, (size_t)n * sizeof t[0]);
    return vld1q_f32(t);
}

LFM2__ALWAYS_INLINE void vf_store_n(float *p, vf a, int n)
{
    float t[VF_N];
    vst1q_f32(t, a);
    memcpy(p, t, (size_t)n * sizeof t[0]);
}

LFM2__ALWAYS_INLINE float vf_sum(vf a) { return vaddvq_f32(a); }

/* p * 2^n for whole n in -160..160, with gradual underflow. */
LFM2__ALWAYS_INLINE vf vf_scale2(vf p, vf n)
{
    const int32x4_t i = vcvtnq_s32_f32(n), half = vshrq_n_s32(i, 1), bias = vdupq_n_s32(127);
    const int32x4_t a = vshlq_n_s32(vaddq_s32(half, bias), 23);
    const int32x4_t b = vshlq_n_s32(vaddq_s32(vsubq_s32(i, half), bias), 23);
    return vmulq_f32(vmulq_f32(p, vreinterpretq_f32_s32(a)), vreinterpretq_f32_s32(b));
}

/* 32 weights from memory. */
LFM2__ALWAYS_INLINE void w_f32(vf *w, const uint8_t *p)
{
    for (int i = 0; i < VF_W; i++) w[i] = vf_load(p + 16 * i);
}

LFM2__ALWAYS_INLINE void w_f16(vf *w, const uint8_t *p)
{
    for (int i = 0; i < VF_W; i++) w[i] = vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p + 8 * i)));
}

LFM2__ALWAYS_INLINE void w_bf16(vf *w, const uint8_t *p)
{
    for (int i = 0; i < VF_W; i++) w[i] = vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(vld1_u8(p + 8 * i)), 16));
}

/* Codes of 32 weights. */
typedef struct vq {
    uint8x16_t lo, hi;
} vq;

/* 16 bytes: low nibbles to elements 0..15, high nibbles to 16..31. */
LFM2__ALWAYS_INLINE vq vq_nib16(const uint8_t *p)
{
    const uint8x16_t b = vld1q_u8(p);
    return (vq){vandq_u8(b, vdupq_n_u8(15)), vshrq_n_u8(b, 4)};
}

LFM2__ALWAYS_INLINE uint8x16_t shift_down(const uint8_t *p, int shift)
{
    return vshlq_u8(vld1q_u8(p), vdupq_n_s8((int8_t)-shift));
}

/* 32 bytes: the low (shift 0) or high (shift 4) nibble of each. */
LFM2__ALWAYS_INLINE vq vq_nib32(const uint8_t *p, int shift)
{
    const uint8x16_t mask = vdupq_n_u8(15);
    return (vq){vandq_u8(shift_down(p, shift), mask), vandq_u8(shift_down(p + 16, shift), mask)};
}

/* Bit e of 32 bits to bit 4 of element e. */
LFM2__ALWAYS_INLINE vq vq_bits(const uint8_t *p)
{
    static const uint8_t one[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const uint8x16_t bit = vld1q_u8(one), value = vdupq_n_u8(16);
    const uint8x16_t lo = vcombine_u8(vdup_n_u8(p[0]), vdup_n_u8(p[1]));
    const uint8x16_t hi = vcombine_u8(vdup_n_u8(p[2]), vdup_n_u8(p[3]));
    return (vq){vandq_u8(vtstq_u8(lo, bit), value), vandq_u8(vtstq_u8(hi, bit), value)};
}

/* `mask` bits of 32 bytes, shifted down by `shift`, to bit 4 and up of each element. */
LFM2__ALWAYS_INLINE vq vq_plane(const uint8_t *p, int shift, int mask)
{
    const uint8x16_t m = vdupq_n_u8((uint8_t)mask);
    return (vq){vshlq_n_u8(vandq_u8(shift_down(p, shift), m), 4), vshlq_n_u8(vandq_u8(shift_down(p + 16, shift), m), 4)};
}

LFM2__ALWAYS_INLINE vq vq_or(vq a, vq b)
{
    return (vq){vorrq_u8(a.lo, b.lo), vorrq_u8(a.hi, b.hi)};
}

LFM2__ALWAYS_INLINE vq vq_sub(vq a, int n)
{
    const uint8x16_t v = vdupq_n_u8((uint8_t)n);
    return (vq){vsubq_u8(a.lo, v), vsubq_u8(a.hi, v)};
}

/* Look 16 signed bytes up by elements 0..15. */
LFM2__ALWAYS_INLINE vq vq_lookup(vq index, const int8_t *table)
{
    const uint8x16_t t = vreinterpretq_u8_s8(vld1q_s8(table));
    return (vq){vqtbl1q_u8(t, index.lo), vqtbl1q_u8(t, index.hi)};
}

LFM2__ALWAYS_INLINE void i8x16_to_w(vf *w, int8x16_t q, vf s)
{
    const int16x8_t lo = vmovl_s8(vget_low_s8(q)), hi = vmovl_s8(vget_high_s8(q));
    w[0] = vmulq_f32(s, vcvtq_f32_s32(vmovl_s16(vget_low_s16(lo))));
    w[1] = vmulq_f32(s, vcvtq_f32_s32(vmovl_s16(vget_high_s16(lo))));
    w[2] = vmulq_f32(s, vcvtq_f32_s32(vmovl_s16(vget_low_s16(hi))));
    w[3] = vmulq_f32(s, vcvtq_f32_s32(vmovl_s16(vget_high_s16(hi))));
}

/* 32 weights s * q from signed codes; the first and the last 16 have a scale each. */
LFM2__ALWAYS_INLINE void w_codes(vf *w, vq q, float s_lo, float s_hi)
{
    i8x16_to_w(w, vreinterpretq_s8_u8(q.lo), vf_set1(s_lo));
    i8x16_to_w(w + 4, vreinterpretq_s8_u8(q.hi), vf_set1(s_hi));
}

LFM2__ALWAYS_INLINE void w_i8(vf *w, const uint8_t *p, float s)
{
    w_codes(w, (vq){vld1q_u8(p), vld1q_u8(p + 16)}, s, s);
}

LFM2__ALWAYS_INLINE float f16_to_f32(const uint8_t *p)
{
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(h))), 0);
}

/* Eight f16 to f32. */
LFM2__ALWAYS_INLINE void f16x8_to_f32(float *y, const uint8_t *const *p)
{
    for (int i = 0; i < 8; i++) y[i] = f16_to_f32(p[i]);
}

/* y[i] = scale * u8[i], eight of them from the bytes of an integer. */
LFM2__ALWAYS_INLINE void u8x8_scaled(float *y, uint64_t bytes, float scale)
{
    const uint16x8_t v = vmovl_u8(vcreate_u8(bytes));
    vst1q_f32(y, vmulq_n_f32(vcvtq_f32_u32(vmovl_u16(vget_low_u16(v))), scale));
    vst1q_f32(y + 4, vmulq_n_f32(vcvtq_f32_u32(vmovl_u16(vget_high_u16(v))), scale));
}

/* y[i] = scale * i8[i], 16 of them. */
LFM2__ALWAYS_INLINE void i8x16_scaled(float *y, const uint8_t *p, float scale)
{
    vf w[4];
    i8x16_to_w(w, vreinterpretq_s8_u8(vld1q_u8(p)), vf_set1(scale));
    for (int i = 0; i < 4; i++) vst1q_f32(y + 4 * i, w[i]);
}

#endif
