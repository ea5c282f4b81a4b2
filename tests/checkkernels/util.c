/* SPDX-License-Identifier: Apache-2.0
 * checkkernels: random values, guarded buffers, failures. */
#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkkernels/checkkernels.h"

#define N_GUARD 64
#define GUARD_BITS 0x7fa5a5a5u /* a NaN that no kernel makes */
#define MAX_MESSAGES 40

static void *must_alloc(size_t n_bytes)
{
    void *p = malloc(n_bytes ? n_bytes : 1);
    if (!p) {
        fprintf(stderr, "checkkernels: out of memory\n");
        exit(6);
    }
    return p;
}

void ck_begin(ck *c, const char *entry, const char *impl)
{
    uint64_t h = c->seed * 0x9e3779b97f4a7c15u;
    for (const char *s = entry; *s; s++) h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    for (const char *s = impl; *s; s++) h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    c->rng = h;
    c->entry = entry;
    c->impl = impl;
}

uint32_t ck_u32(ck *c)
{
    uint64_t z = c->rng += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ (z >> 31)) >> 32);
}

int32_t ck_below(ck *c, int32_t n)
{
    return (int32_t)(((uint64_t)ck_u32(c) * (uint64_t)(uint32_t)n) >> 32);
}

/* In [-1, 1). */
static double uniform(ck *c)
{
    return (double)ck_u32(c) * 0x1p-31 - 1.0;
}

float ck_value(ck *c, ck_mode mode)
{
    switch (mode) {
    case CK_ZERO: return ck_u32(c) & 1 ? 0.0f : -0.0f;
    case CK_DENORMAL: return (float)(uniform(c) * 0x1p-130);
    case CK_LARGE: return (float)(uniform(c) * 0x1p50);
    case CK_MIXED: return (float)ldexp(uniform(c), ck_below(c, 40) - 20);
    default: return (float)(uniform(c) + uniform(c) + uniform(c));
    }
}

void ck_values(ck *c, float *x, size_t n, ck_mode mode)
{
    for (size_t i = 0; i < n; i++) x[i] = ck_value(c, mode);
}

static void put_u16(uint8_t *p, uint16_t v)
{
    memcpy(p, &v, sizeof v);
}

static float scale_value(ck *c, ck_mode mode)
{
    const float u = (float)uniform(c);
    switch (mode) {
    case CK_ZERO: return 0;
    case CK_DENORMAL: return u * 0x1p-15f; /* of f16 */
    case CK_LARGE: return u * 60000.0f;
    default: return u * 0.02f;
    }
}

void ck_weights(ck *c, uint8_t *w, lfm2_dtype t, int32_t n_elems, ck_mode mode, int raw)
{
    const int32_t block = lfm2_dtype_block_elems(t), block_bytes = lfm2_dtype_block_bytes(t);
    const int two_scales = t == LFM2_DTYPE_Q4_1 || t == LFM2_DTYPE_Q5_1 || t == LFM2_DTYPE_Q4_K || t == LFM2_DTYPE_Q5_K;
    for (int32_t i = 0; i < n_elems; i += block, w += block_bytes) {
        for (int32_t b = 0; b < block_bytes; b++) w[b] = (uint8_t)ck_u32(c);
        if (raw) continue;
        if (block == 1) {
            const float v = ck_value(c, mode == CK_LARGE ? CK_NORMAL : mode);
            if (t == LFM2_DTYPE_F32) memcpy(w, &v, sizeof v);
            if (t == LFM2_DTYPE_F16) put_u16(w, lfm2__f32_to_f16(mode == CK_MIXED ? v / 32 : v));
            if (t == LFM2_DTYPE_BF16) put_u16(w, lfm2__f32_to_bf16(v));
            continue;
        }
        put_u16(w + (t == LFM2_DTYPE_Q6_K ? 208 : 0), lfm2__f32_to_f16(scale_value(c, mode)));
        if (two_scales) put_u16(w + 2, lfm2__f32_to_f16(scale_value(c, mode)));
    }
}

float *ck_floats(size_t n)
{
    return must_alloc(n * sizeof(float));
}

float *ck_guarded(size_t n)
{
    const uint32_t bits = GUARD_BITS;
    float *p = must_alloc((n + 2 * N_GUARD) * sizeof(float));
    for (size_t i = 0; i < n + 2 * N_GUARD; i++) memcpy(p + i, &bits, sizeof bits);
    return p + N_GUARD;
}

static int is_guard(const float *p)
{
    uint32_t bits;
    memcpy(&bits, p, sizeof bits);
    return bits == GUARD_BITS;
}

void ck_guards(ck *c, const float *p, size_t n, const char *what)
{
    for (size_t i = 0; i < N_GUARD; i++) {
        ck_expect(c, is_guard(p - 1 - i), "%s: wrote %zu before the start", what, i + 1);
        ck_expect(c, is_guard(p + n + i), "%s: wrote %zu behind the end", what, i);
    }
}

void ck_free_guarded(float *p)
{
    free(p - N_GUARD);
}

void ck_expect(ck *c, int ok, const char *fmt, ...)
{
    c->n_checks++;
    if (ok) return;
    if (c->n_failed++ >= MAX_MESSAGES) return;
    va_list args;
    va_start(args, fmt);
    printf("FAILED %s %s (--seed %llu): ", c->entry, c->impl, (unsigned long long)c->seed);
    vprintf(fmt, args);
    printf("\n");
    va_end(args);
}

void ck_near(ck *c, float got, float want, double tol, const char *what, int64_t index)
{
    const int ok = fabs((double)got - (double)want) <= tol || (isnan(got) && isnan(want)) || got == want;
    ck_expect(c, ok, "%s [%lld]: %.9g, reference %.9g, off by %.3g, allowed %.3g", what, (long long)index, (double)got,
              (double)want, fabs((double)got - (double)want), tol);
}

int ck_same(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

const char *ck_dtype(lfm2_dtype t, const char *op, char *buf, size_t n)
{
    (void)snprintf(buf, n, "%s_%s", op, lfm2_dtype_name(t));
    for (char *s = buf; *s; s++) *s = (char)tolower((unsigned char)*s);
    return buf;
}
