/* SPDX-License-Identifier: Apache-2.0
 * What the voice activity detector measures in each frame: levels of Bark bands, and pitch by normalised cross-correlation. */
#include <math.h>
#include <string.h>

#include "pipeline/vad_impl.h"

#define HOP LFM2__VAD_HOP_SAMPLES
#define MIN_LAG 20 /* 400 Hz at half the rate */
#define MAX_LAG 133
#define PITCH_SPAN 256   /* half-rate samples that are compared with those a lag later */
#define QUIET_POWER 1e-8 /* mean square below which nobody looks for a pitch: -80 dB */
#define PASS_HZ 1500.0
#define LOW_CENTRE 220     /* the half-rate sample that lies nearest to the frame's centre */

static const float band_edges_hz[LFM2__VAD_N_BANDS + 1] = {
    100, 200, 300, 400, 510, 630, 770, 920, 1080, 1270, 1480, 1720, 2000, 2320, 2700, 3150, 3700};

void lfm2__vad_front_init(lfm2__vad_front *f)
{
    const double pi = acos(-1.0), turn = 2.0 * pi;
    lfm2__fft_init(&f->fft);
    for (int i = 0; i < LFM2__FFT_SAMPLES; i++) f->window[i] = (float)(0.5 - 0.5 * cos(turn * (i + 0.5) / LFM2__FFT_SAMPLES));
    const double cut = 2.0 * PASS_HZ / LFM2_VAD_RATE_HZ;
    for (int i = 0; i <= LFM2__VAD_HALF_TAPS; i++) {
        const double sinc = i == 0 ? cut : sin(pi * cut * i) / (pi * i);
        f->taps[i] = (float)(sinc * (0.5 + 0.5 * cos(pi * i / (LFM2__VAD_HALF_TAPS + 1))));
    }
    lfm2__vad_front_reset(f);
}

void lfm2__vad_front_reset(lfm2__vad_front *f)
{
    memset(f->line, 0, sizeof(f->line));
    memset(f->low, 0, sizeof(f->low));
}

static float decibel(double power)
{
    return (float)(10.0 * log10(power + 1e-12));
}

static void measure_bands(const lfm2__vad_front *f, const float *samples, lfm2__vad_frame *out)
{
    const double bin_hz = (double)LFM2_VAD_RATE_HZ / LFM2__FFT_SAMPLES;
    /* a Hann window has a mean square of 3/8; both halves of the spectrum count */
    const double scale = 2.0 / (0.375 * LFM2__FFT_SAMPLES * LFM2__FFT_SAMPLES);
    double x[LFM2__FFT_SAMPLES], power[LFM2__FFT_BINS], all = 0;
    for (int i = 0; i < LFM2__FFT_SAMPLES; i++) x[i] = (double)samples[i] * (double)f->window[i];
    lfm2__fft_power(&f->fft, x, power);
    int k = 0;
    while (k * bin_hz < (double)band_edges_hz[0]) k++;
    for (int b = 0; b < LFM2__VAD_N_BANDS; b++) {
        double sum = 0;
        for (; k * bin_hz < (double)band_edges_hz[b + 1]; k++) sum += power[k];
        all += sum;
        out->band_db[b] = decibel(sum * scale);
    }
    out->level_db = decibel(all * scale);
}

/* Sum of products in a fixed order that compilers can make vectors of. */
static float dot(const float *a, const float *b)
{
    float lanes[16] = {0}, sum = 0;
    for (int i = 0; i < PITCH_SPAN; i += 16) {
        for (int j = 0; j < 16; j++) lanes[j] += a[i + j] * b[i + j];
    }
    for (int j = 0; j < 16; j++) sum += lanes[j];
    return sum;
}

/* How alike two stretches are that lie a lag apart around the frame's centre. squares[i]: sum of those before x[i]. */
static float likeness(const float *x, const double *squares, int lag)
{
    const int a = LOW_CENTRE - (PITCH_SPAN + lag) / 2, b = a + lag;
    const double energy = (squares[a + PITCH_SPAN] - squares[a]) * (squares[b + PITCH_SPAN] - squares[b]);
    return energy > 0 ? dot(x + a, x + b) / (float)sqrt(energy) : 0;
}

static void measure_pitch(const lfm2__vad_front *f, lfm2__vad_frame *out)
{
    float x[LFM2__VAD_LOW], r[MAX_LAG + 2] = {0}, best = 0;
    double mean = 0, squares[LFM2__VAD_LOW + 1] = {0};
    out->periodicity = 0;
    out->pitch_oct = 0;
    for (int i = 0; i < LFM2__VAD_LOW; i++) mean += (double)f->low[i];
    mean /= LFM2__VAD_LOW;
    for (int i = 0; i < LFM2__VAD_LOW; i++) {
        x[i] = f->low[i] - (float)mean;
        squares[i + 1] = squares[i] + (double)x[i] * (double)x[i];
    }
    if (squares[LFM2__VAD_LOW] < QUIET_POWER * LFM2__VAD_LOW) return;
    for (int lag = MIN_LAG - 1; lag <= MAX_LAG + 1; lag++) r[lag] = likeness(x, squares, lag);
    for (int lag = MIN_LAG; lag <= MAX_LAG; lag++) best = r[lag] > best ? r[lag] : best;
    for (int lag = MIN_LAG; lag <= MAX_LAG; lag++) { /* the shortest of the good periods: its multiples are as good */
        if (r[lag] < r[lag - 1] || r[lag] < r[lag + 1] || r[lag] < 0.9f * best || r[lag] <= 0) continue;
        const float bend = r[lag - 1] - 2 * r[lag] + r[lag + 1];
        const float shift = bend < 0 ? 0.5f * (r[lag - 1] - r[lag + 1]) / bend : 0;
        out->periodicity = r[lag] < 1 ? r[lag] : 1;
        out->pitch_oct = log2f((float)LFM2_VAD_RATE_HZ / 2 / ((float)lag + shift));
        return;
    }
}

void lfm2__vad_front_step(lfm2__vad_front *f, const float hop[HOP], lfm2__vad_frame *out)
{
    const int n_line = (int)(sizeof(f->line) / sizeof(f->line[0])), n_new = HOP / 2;
    memmove(f->line, f->line + HOP, (size_t)(n_line - HOP) * sizeof(float));
    memcpy(f->line + n_line - HOP, hop, HOP * sizeof(float));

    /* half the rate: the newest n_new samples whose taps all lie in the line */
    memmove(f->low, f->low + n_new, (size_t)(LFM2__VAD_LOW - n_new) * sizeof(float));
    for (int i = 0; i < n_new; i++) {
        const float *at = f->line + n_line - LFM2__VAD_HALF_TAPS - HOP + 2 * i;
        float sum = f->taps[0] * at[0];
        for (int k = 1; k <= LFM2__VAD_HALF_TAPS; k++) sum += f->taps[k] * (at[k] + at[-k]);
        f->low[LFM2__VAD_LOW - n_new + i] = sum;
    }
    measure_bands(f, f->line + n_line - LFM2__VAD_LINE, out);
    measure_pitch(f, out);
}
