/* SPDX-License-Identifier: Apache-2.0
 * Bilinear resampling with antialiasing: a triangle of half-width max(1, in / out) about the centre of each output pixel. Bytes
 * are scaled with 16-bit weights and rounded behind each of the two passes, as torchvision does it. */
#include <math.h>
#include <string.h>

#include "encoders/vision_impl.h"

#define MAX_SHIFT 22

static double support_of(int32_t n_in, int32_t n_out)
{
    return fmax(1.0, (double)n_in / (double)n_out);
}

int32_t lfm2__filter_cap(int32_t n_in, int32_t n_out)
{
    return 2 * (int32_t)ceil(support_of(n_in, n_out)) + 1;
}

int32_t lfm2__filter(int32_t i, int32_t n_in, int32_t n_out, int32_t *first, double *w)
{
    const double support = support_of(n_in, n_out), centre = ((double)i + 0.5) * ((double)n_in / (double)n_out);
    const double from = centre - support + 0.5, to = centre + support + 0.5;
    const int32_t lo = from > 0 ? (int32_t)from : 0, hi = to < n_in ? (int32_t)to : n_in;
    double sum = 0;
    for (int32_t j = lo; j < hi; j++) {
        w[j - lo] = fmax(0.0, 1.0 - fabs(((double)j - centre + 0.5) / support));
        sum += w[j - lo];
    }
    for (int32_t j = lo; j < hi; j++) w[j - lo] /= sum;
    *first = lo;
    return hi - lo;
}

void lfm2__resize_axis_fini(lfm2__resize_axis *a, lfm2_runtime *rt)
{
    lfm2__free(rt, a->first);
    lfm2__free(rt, a->count);
    lfm2__free(rt, a->w);
    memset(a, 0, sizeof *a);
}

/* The greatest shift at which the greatest weight still fits 16 bits. */
static int32_t shift_for(double greatest)
{
    int32_t shift = 0;
    while (shift < MAX_SHIFT && 0.5 + greatest * (double)(INT32_C(1) << (shift + 1)) < 32768.0) shift++;
    return shift;
}

int lfm2__resize_axis_init(lfm2__resize_axis *a, lfm2_runtime *rt, int32_t n_in, int32_t n_out)
{
    const int32_t cap = lfm2__filter_cap(n_in, n_out);
    double greatest = 0;
    memset(a, 0, sizeof *a);
    double *w = lfm2__calloc(rt, (size_t)cap, sizeof *w);
    a->first = lfm2__calloc(rt, (size_t)n_out, sizeof *a->first);
    a->count = lfm2__calloc(rt, (size_t)n_out, sizeof *a->count);
    a->w = lfm2__calloc(rt, (size_t)n_out, (size_t)cap * sizeof *a->w);
    if (!w || !a->first || !a->count || !a->w) {
        lfm2__free(rt, w);
        lfm2__resize_axis_fini(a, rt);
        return LFM2_ERR_NOMEM;
    }
    a->n_in = n_in;
    a->n_out = n_out;
    a->cap = cap;
    for (int32_t i = 0; i < n_out; i++) {
        a->count[i] = lfm2__filter(i, n_in, n_out, &a->first[i], w);
        for (int32_t j = 0; j < a->count[i]; j++) greatest = fmax(greatest, w[j]);
    }
    a->shift = shift_for(greatest);
    for (int32_t i = 0; i < n_out; i++) {
        const int32_t n = lfm2__filter(i, n_in, n_out, &a->first[i], w);
        for (int32_t j = 0; j < n; j++) a->w[(size_t)i * (size_t)cap + (size_t)j] = (int16_t)(0.5 + w[j] * (double)(1 << a->shift));
    }
    lfm2__free(rt, w);
    return 0;
}

static uint8_t to_byte(int32_t v, int32_t shift)
{
    v >>= shift;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

void lfm2__resize_row(const lfm2__resize_axis *a, const uint8_t *row, uint8_t *out)
{
    if (a->n_in == a->n_out) {
        memcpy(out, row, (size_t)a->n_out * 3);
        return;
    }
    const int32_t half = (INT32_C(1) << a->shift) / 2;
    for (int32_t i = 0; i < a->n_out; i++) {
        const int16_t *w = a->w + (size_t)i * (size_t)a->cap;
        const uint8_t *px = row + (size_t)a->first[i] * 3;
        int32_t r = half, g = half, b = half;
        for (int32_t j = 0; j < a->count[i]; j++, px += 3) {
            r += w[j] * px[0];
            g += w[j] * px[1];
            b += w[j] * px[2];
        }
        out[(size_t)i * 3] = to_byte(r, a->shift);
        out[(size_t)i * 3 + 1] = to_byte(g, a->shift);
        out[(size_t)i * 3 + 2] = to_byte(b, a->shift);
    }
}
