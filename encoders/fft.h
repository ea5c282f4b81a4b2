/* SPDX-License-Identifier: Apache-2.0
 * Power spectrum of 512 real samples. */
#ifndef LFM2__FFT_H
#define LFM2__FFT_H

#define LFM2__FFT_SAMPLES 512
#define LFM2__FFT_BINS (LFM2__FFT_SAMPLES / 2 + 1)

typedef struct lfm2__fft {
    double cos[LFM2__FFT_SAMPLES / 2]; /* cos(2 pi k / 512) */
    double sin[LFM2__FFT_SAMPLES / 2];
} lfm2__fft;

void lfm2__fft_init(lfm2__fft *f);

/* power[k] = |sum_n x[n] exp(-2 pi i k n / 512)|^2 */
void lfm2__fft_power(const lfm2__fft *f, const double x[LFM2__FFT_SAMPLES], double power[LFM2__FFT_BINS]);

#endif
