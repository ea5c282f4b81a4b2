/* SPDX-License-Identifier: Apache-2.0
 * Log-mel features. There is one way to a frame, the incremental one, so that whole files and live sound give the same bits. */
#include <math.h>
#include <string.h>

#include "base/compiler.h"
#include "base/runtime_impl.h"
#include "encoders/fft.h"
#include "lfm2/audio_encoder.h"

#define MAX_MELS 256
#define HOP LFM2_MEL_HOP_SAMPLES
#define WINDOW_SAMPLES 400
#define CENTRE (LFM2__FFT_SAMPLES / 2)
#define PREEMPHASIS 0.97f
#define LOG_GUARD 0x1p-24
#define STD_GUARD 1e-5
#define MAX_HZ 8000.0
#define MAX_SAMPLE 1e30f /* differences of such samples are finite in f32 */
#define COMPUTE_PIECE_FRAMES 1024 /* between two looks at the abort flag */

typedef struct filter {
    int32_t first_bin, n_bins;
    const float *weight; /* [n_bins] */
} filter;

struct lfm2_mel {
    lfm2_runtime *rt;
    lfm2__fft fft;
    float window[LFM2__FFT_SAMPLES]; /* zero outside of the middle 400 */
    int32_t n_mels;
    filter filters[MAX_MELS];
    float *weights;
    /* The sound so far, after pre-emphasis. Frame i covers samples 160 i - 256 .. 160 i + 255, zeros outside of the sound. */
    float line[LFM2__FFT_SAMPLES]; /* samples from the start of frame n_done on */
    int32_t n_line;
    float last;                    /* raw sample */
    int64_t n_samples;
    int32_t n_done;                /* frames given out */
};

static double mel_of_hz(double hz)
{
    return hz < 1000.0 ? 3.0 * hz / 200.0 : 15.0 + log(hz / 1000.0) * 27.0 / log(6.4);
}

static double hz_of_mel(double mel)
{
    return mel < 15.0 ? 200.0 * mel / 3.0 : 1000.0 * exp((mel - 15.0) * log(6.4) / 27.0);
}

/* Triangles of equal area on the Slaney scale. A triangle narrower than a bin may hold none: then it has no weight. */
static int make_filters(lfm2_mel *mel)
{
    const double bin_hz = (double)LFM2_MEL_RATE_HZ / LFM2__FFT_SAMPLES, step = mel_of_hz(MAX_HZ) / (mel->n_mels + 1);
    const size_t cap = 2 * LFM2__FFT_BINS; /* no bin is inside of more than two triangles */
    mel->weights = lfm2__calloc(mel->rt, cap, sizeof(float));
    if (!mel->weights) return LFM2_ERR_NOMEM;
    float *at = mel->weights;
    for (int32_t m = 0; m < mel->n_mels; m++) {
        const double f0 = hz_of_mel(m * step), f1 = hz_of_mel((m + 1) * step), f2 = hz_of_mel((m + 2) * step);
        filter *f = &mel->filters[m];
        f->weight = at;
        for (int32_t k = 0; k < LFM2__FFT_BINS; k++) {
            const double up = (k * bin_hz - f0) / (f1 - f0), down = (f2 - k * bin_hz) / (f2 - f1);
            const double weight = (up < down ? up : down) * 2.0 / (f2 - f0);
            if (weight <= 0 || (size_t)(at - mel->weights) == cap) continue;
            if (f->n_bins++ == 0) f->first_bin = k;
            *at++ = (float)weight;
        }
    }
    return 0;
}

int lfm2_mel_create(lfm2_runtime *rt, int32_t n_mels, lfm2_mel **out)
{
    if (!rt || !out || n_mels < 1 || n_mels > MAX_MELS) return LFM2_ERR_ARG;
    lfm2_mel *mel = lfm2__calloc(rt, 1, sizeof(*mel));
    if (!mel) return LFM2_ERR_NOMEM;
    mel->rt = rt;
    mel->n_mels = n_mels;
    int rc = make_filters(mel);
    if (rc < 0) {
        lfm2_mel_destroy(mel);
        return rc;
    }
    lfm2__fft_init(&mel->fft);
    const double turn = 2.0 * acos(-1.0);
    for (int i = 0; i < WINDOW_SAMPLES; i++)
        mel->window[(LFM2__FFT_SAMPLES - WINDOW_SAMPLES) / 2 + i] = (float)(0.5 - 0.5 * cos(turn * i / (WINDOW_SAMPLES - 1)));
    lfm2_mel_reset(mel);
    *out = mel;
    return 0;
}

void lfm2_mel_destroy(lfm2_mel *mel)
{
    if (!mel) return;
    lfm2__free(mel->rt, mel->weights);
    lfm2__free(mel->rt, mel);
}

void lfm2_mel_reset(lfm2_mel *mel)
{
    if (!mel) return;
    memset(mel->line, 0, sizeof(mel->line));
    mel->n_line = CENTRE; /* the zeros before the sound */
    mel->last = 0;
    mel->n_samples = 0;
    mel->n_done = 0;
}

/* Frames of which all samples are there once the sound has n_samples. */
static int64_t n_complete(int64_t n_samples)
{
    return n_samples < CENTRE ? 0 : (n_samples - CENTRE) / HOP + 1;
}

/* One frame from a full line, which then moves on by a hop. */
static void emit(lfm2_mel *mel, float *frame)
{
    double x[LFM2__FFT_SAMPLES], power[LFM2__FFT_BINS];
    for (int i = 0; i < LFM2__FFT_SAMPLES; i++) x[i] = (double)mel->line[i] * (double)mel->window[i];
    lfm2__fft_power(&mel->fft, x, power);
    for (int32_t m = 0; m < mel->n_mels; m++) {
        const filter *f = &mel->filters[m];
        double sum = 0;
        for (int32_t k = 0; k < f->n_bins; k++) sum += (double)f->weight[k] * power[f->first_bin + k];
        frame[m] = (float)log(sum + LOG_GUARD);
    }
    mel->n_line -= HOP;
    memmove(mel->line, mel->line + HOP, (size_t)mel->n_line * sizeof(float));
    mel->n_done++;
}

int32_t lfm2_mel_n_frames(int64_t n_samples)
{
    if (n_samples < LFM2_MEL_MIN_SAMPLES || n_samples / HOP >= LFM2_MEL_MAX_FRAMES) return 0;
    return (int32_t)(n_samples / HOP) + 1;
}

int32_t lfm2_mel_n_ready(const lfm2_mel *mel, int64_t n_samples)
{
    const int64_t most = (int64_t)LFM2_MEL_MAX_FRAMES * HOP;
    if (!mel || n_samples < 0) return 0;
    if (n_samples > most - mel->n_samples) n_samples = most - mel->n_samples; /* push refuses more than that */
    return (int32_t)(n_complete(mel->n_samples + n_samples) - mel->n_done);
}

/* The pre-emphasis is rounded as the reference rounds it, to f32 after each operation. */
static int32_t push(lfm2_mel *mel, const float *samples, int64_t n_samples, float *frames)
{
    int32_t n = 0;
    for (int64_t i = 0; i < n_samples; i++) {
        const float before = PREEMPHASIS * mel->last;
        mel->line[mel->n_line++] = samples[i] - before;
        mel->last = samples[i];
        if (mel->n_line == LFM2__FFT_SAMPLES) emit(mel, frames + (size_t)n++ * (size_t)mel->n_mels);
    }
    mel->n_samples += n_samples;
    return n;
}

int lfm2_mel_push(lfm2_mel *mel, const float *samples, int64_t n_samples, float *frames, int32_t cap_frames, int32_t *n_frames)
{
    if (!mel || (n_samples > 0 && !samples) || n_samples < 0 || cap_frames < 0 || (cap_frames > 0 && !frames) || !n_frames)
        return LFM2_ERR_ARG;
    if (n_samples >= (int64_t)LFM2_MEL_MAX_FRAMES * HOP - mel->n_samples || lfm2_mel_n_ready(mel, n_samples) > cap_frames)
        return LFM2_ERR_RANGE;
    for (int64_t i = 0; i < n_samples; i++) {
        if (!(fabsf(samples[i]) <= MAX_SAMPLE)) return LFM2_ERR_NONFINITE;
    }
    *n_frames = push(mel, samples, n_samples, frames);
    return 0;
}

int lfm2_mel_finish(lfm2_mel *mel, float *frames, int32_t cap_frames, int32_t *n_frames)
{
    if (!mel || cap_frames < 0 || (cap_frames > 0 && !frames) || !n_frames) return LFM2_ERR_ARG;
    const int32_t all = lfm2_mel_n_frames(mel->n_samples), n = all - mel->n_done;
    if (all == 0 || n > cap_frames) return LFM2_ERR_RANGE;
    for (int32_t i = 0; i < n; i++) {
        memset(mel->line + mel->n_line, 0, (size_t)(LFM2__FFT_SAMPLES - mel->n_line) * sizeof(float));
        mel->n_line = LFM2__FFT_SAMPLES;
        emit(mel, frames + (size_t)i * (size_t)mel->n_mels);
    }
    lfm2_mel_reset(mel);
    *n_frames = n;
    return 0;
}

int lfm2_mel_normalize(float *frames, int32_t n_frames, int32_t n_mels)
{
    if (!frames || n_frames < 3 || n_mels < 1) return LFM2_ERR_ARG;
    const int32_t n = n_frames - 1;
    const size_t width = (size_t)n_mels;
    for (size_t m = 0; m < width; m++) {
        double sum = 0, squares = 0;
        for (int32_t t = 0; t < n; t++) sum += (double)frames[(size_t)t * width + m];
        const double mean = sum / n;
        for (int32_t t = 0; t < n; t++) {
            const double v = (double)frames[(size_t)t * width + m] - mean;
            squares += v * v;
        }
        const double scale = 1.0 / (sqrt(squares / (n - 1)) + STD_GUARD);
        for (int32_t t = 0; t < n; t++) {
            float *v = &frames[(size_t)t * width + m];
            *v = (float)(((double)*v - mean) * scale);
        }
        frames[(size_t)n * width + m] = 0;
    }
    return 0;
}

int lfm2_mel_compute(lfm2_mel *mel, const float *samples, int64_t n_samples, float *frames, int32_t cap_frames, int32_t *n_frames)
{
    if (!mel || !samples || n_samples < 0 || cap_frames < 0 || !frames || !n_frames) return LFM2_ERR_ARG;
    const int32_t all = lfm2_mel_n_frames(n_samples);
    if (all == 0 || all > cap_frames) return LFM2_ERR_RANGE;
    int rc = 0;
    int32_t n_done = 0, n = 0;
    lfm2_mel_reset(mel);
    for (int64_t i = 0; rc == 0 && i < n_samples; i += (int64_t)COMPUTE_PIECE_FRAMES * HOP) {
        const int64_t left = n_samples - i, piece = (int64_t)COMPUTE_PIECE_FRAMES * HOP;
        if (lfm2__aborted(mel->rt)) rc = LFM2_ERR_ABORTED;
        if (rc == 0)
            rc = lfm2_mel_push(mel, samples + i, left < piece ? left : piece, frames + (size_t)n_done * (size_t)mel->n_mels,
                               all - n_done, &n);
        if (rc == 0) n_done += n;
    }
    if (rc == 0) rc = lfm2_mel_finish(mel, frames + (size_t)n_done * (size_t)mel->n_mels, all - n_done, &n);
    if (rc == 0) rc = lfm2_mel_normalize(frames, all, mel->n_mels);
    if (rc < 0)
        lfm2_mel_reset(mel);
    else
        *n_frames = all;
    return rc;
}
