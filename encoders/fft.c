/* SPDX-License-Identifier: Apache-2.0
 * Power spectrum of 512 real samples: a radix-2 transform of 256 complex numbers, untangled.
 * Our own, because one size is all that is needed, and in double precision it costs less than the mel bank's logarithms; a
 * library would be one more thing to install, and its f32 would be the greatest error of the front end. */
#include "encoders/fft.h"

#include <math.h>

#define HALF (LFM2__FFT_SAMPLES / 2)
#define HALF_BITS 8

void lfm2__fft_init(lfm2__fft *f)
{
    const double turn = 2.0 * acos(-1.0);
    for (int k = 0; k < HALF; k++) {
        f->cos[k] = cos(turn * k / LFM2__FFT_SAMPLES);
        f->sin[k] = sin(turn * k / LFM2__FFT_SAMPLES);
    }
}

static int reversed(int i)
{
    int r = 0;
    for (int b = 0; b < HALF_BITS; b++) r |= (i >> b & 1) << (HALF_BITS - 1 - b);
    return r;
}

/* In place, from bit-reversed order. */
static void transform(const lfm2__fft *f, double *re, double *im)
{
    for (int n = 2; n <= HALF; n *= 2) {
        const int step = LFM2__FFT_SAMPLES / n;
        for (int first = 0; first < HALF; first += n) {
            for (int k = 0; k < n / 2; k++) {
                const int a = first + k, b = a + n / 2;
                const double c = f->cos[k * step], s = f->sin[k * step];
                const double x = re[b] * c + im[b] * s, y = im[b] * c - re[b] * s;
                re[b] = re[a] - x;
                im[b] = im[a] - y;
                re[a] += x;
                im[a] += y;
            }
        }
    }
}

void lfm2__fft_power(const lfm2__fft *f, const double x[LFM2__FFT_SAMPLES], double power[LFM2__FFT_BINS])
{
    double re[HALF], im[HALF];
    for (int i = 0; i < HALF; i++) {
        const int from = reversed(i);
        re[i] = x[2 * from];
        im[i] = x[2 * from + 1];
    }
    transform(f, re, im);
    power[0] = (re[0] + im[0]) * (re[0] + im[0]);
    power[HALF] = (re[0] - im[0]) * (re[0] - im[0]);
    for (int k = 1; k < HALF; k++) { /* even samples went in as the real part, odd ones as the imaginary part */
        const double even_re = (re[k] + re[HALF - k]) / 2, even_im = (im[k] - im[HALF - k]) / 2;
        const double odd_re = (im[k] + im[HALF - k]) / 2, odd_im = (re[HALF - k] - re[k]) / 2;
        const double c = f->cos[k], s = f->sin[k];
        const double a = even_re + odd_re * c + odd_im * s, b = even_im + odd_im * c - odd_re * s;
        power[k] = a * a + b * b;
    }
}
