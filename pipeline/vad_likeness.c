/* SPDX-License-Identifier: Apache-2.0
 * How much a stretch of sound is like speech: voiced parts whose pitch glides, a spectrum that never stands still, syllables.
 * Notes stand still or jump, noise has no pitch. The features are weighed by a small network of one hidden layer. */
#include <math.h>
#include <string.h>

#include "pipeline/vad_impl.h"
#include "pipeline/vad_weights.h"

#define N_BANDS LFM2__VAD_N_BANDS
#define FLOOR_DB (-80.0f)
#define VOICED 0.75f      /* periodicity */
#define MAX_STEP_OCT 0.08f /* between two frames; more is a jump */
#define MIN_ACTIVE 8
#define LONE_SHARE 0.99f  /* of the power, in a band and its neighbours */
#define MAX_LONE 0.6f     /* of the active frames */

static float mean_of(const float *x, int from, int to)
{
    float sum = 0;
    for (int i = from; i < to; i++) sum += x[i];
    return sum / (float)(to - from);
}

/* Even the purest vowel has more than one formant; a sine has not. */
static int is_lone(const float band_db[N_BANDS])
{
    float power[N_BANDS + 2] = {0}, all = 0;
    int top = 1;
    for (int b = 1; b <= N_BANDS; b++) {
        power[b] = powf(10, band_db[b - 1] / 10);
        all += power[b];
        if (power[b] > power[top]) top = b;
    }
    return power[top - 1] + power[top] + power[top + 1] > LONE_SHARE * all;
}

void lfm2__vad_mark_frame(const lfm2__vad_frame *frame, const lfm2__vad_mark *const before[4], lfm2__vad_mark *out)
{
    float band[N_BANDS], sum = 0;
    for (int b = 0; b < N_BANDS; b++) band[b] = frame->band_db[b] > FLOOR_DB ? frame->band_db[b] : FLOOR_DB;
    const float mean = mean_of(band, 0, N_BANDS);
    memset(out, 0, sizeof(*out));
    out->level_db = frame->level_db;
    out->periodicity = frame->periodicity;
    out->pitch_oct = frame->pitch_oct;
    out->voiced = frame->periodicity > VOICED;
    out->lone = (uint8_t)is_lone(band);
    for (int b = 0; b < N_BANDS; b++) {
        out->shape_db[b] = band[b] - mean;
        const float d = out->shape_db[b] - before[0]->shape_db[b];
        sum += d * d;
    }
    out->change_db = sqrtf(sum / N_BANDS);
    out->tilt_db = mean_of(band, 9, 16) - mean_of(band, 1, 7);
    out->bulge_db = mean_of(band, 5, 11) - 0.5f * (mean_of(band, 0, 4) + mean_of(band, 12, 16));
    if (!out->voiced || !before[1]->voiced || !before[2]->voiced || !before[3]->voiced) return;
    const float pitch[4] = {before[1]->pitch_oct, before[2]->pitch_oct, before[3]->pitch_oct, out->pitch_oct};
    for (int i = 0; i < 3; i++) {
        if (fabsf(pitch[i + 1] - pitch[i]) >= MAX_STEP_OCT) out->jumps = 1;
    }
    out->in_line = !out->jumps;
    out->glide_oct = pitch[3] - pitch[0];
}

/* Running mean and deviation. */
typedef struct spread {
    int32_t n;
    double sum, squares;
} spread;

static void add(spread *s, float x)
{
    s->n++;
    s->sum += (double)x;
    s->squares += (double)x * (double)x;
}

static double mean(const spread *s)
{
    return s->n > 0 ? s->sum / s->n : 0;
}

static double deviation(const spread *s)
{
    const double m = mean(s), v = s->n > 0 ? s->squares / s->n - m * m : 0;
    return v > 0 ? sqrt(v) : 0;
}

/* Sort a few numbers. */
static void sort(float *x, int32_t n)
{
    for (int32_t i = 1; i < n; i++) {
        const float v = x[i];
        int32_t j = i;
        for (; j > 0 && x[j - 1] > v; j--) x[j] = x[j - 1];
        x[j] = v;
    }
}

static float share(int32_t part, int32_t of)
{
    return of > 0 ? (float)part / (float)of : 0;
}

int lfm2__vad_describe(const lfm2__vad_mark *const *marks, int32_t n_marks, float features[LFM2__VAD_N_FEATURES])
{
    float change[LFM2__VAD_WINDOW_FRAMES], voiced_change[LFM2__VAD_WINDOW_FRAMES], top_db = -200;
    spread shape[N_BANDS], periodicity = {0}, tilt = {0}, bulge = {0}, level = {0}, pitch = {0};
    int32_t n = 0, n_voiced = 0, n_line = 0, n_jump = 0, n_glide = 0, n_mid = 0, n_still = 0, n_unvoiced = 0, n_pure = 0, n_low = 0;
    int32_t n_lone = 0;

    memset(shape, 0, sizeof(shape));
    for (int32_t i = 0; i < n_marks; i++) {
        const lfm2__vad_mark *m = marks[i];
        if (!m->active) continue;
        if (m->level_db > top_db) top_db = m->level_db;
        change[n++] = m->change_db;
        if (m->voiced) voiced_change[n_voiced++] = m->change_db;
        add(&periodicity, m->periodicity);
        add(&tilt, m->tilt_db);
        add(&bulge, m->bulge_db);
        add(&level, m->level_db);
        for (int b = 0; b < N_BANDS; b++) add(&shape[b], m->shape_db[b]);
        n_unvoiced += m->periodicity < 0.5f;
        n_pure += m->periodicity > 0.95f;
        n_jump += m->jumps;
        n_lone += m->lone;
        if (!m->in_line) continue;
        const float glide = fabsf(m->glide_oct);
        add(&pitch, m->pitch_oct);
        n_line++;
        n_glide += glide > 0.008f;
        n_mid += glide > 0.015f && glide < 0.12f;
        n_still += glide < 0.004f;
    }
    if (n < MIN_ACTIVE) return 0;
    if (share(n_lone, n) > MAX_LONE) return -1;
    for (int32_t i = 0; i < n_marks; i++) n_low += marks[i]->active && marks[i]->level_db < top_db - 15;
    sort(change, n);
    sort(voiced_change, n_voiced);
    double shapes = 0;
    for (int b = 0; b < N_BANDS; b++) shapes += deviation(&shape[b]) / N_BANDS;

    float *f = features;
    *f++ = share(n, LFM2__VAD_WINDOW_FRAMES);
    *f++ = share(n_voiced, n);
    *f++ = (float)mean(&periodicity);
    *f++ = n_line > 2 ? share(n_glide, n_line) : 0;
    *f++ = n_line > 2 ? share(n_mid, n_line) : 0;
    *f++ = share(n_still, n);
    *f++ = share(n_jump, n);
    *f++ = change[n / 2] / 10;
    *f++ = change[n / 4] / 10;
    *f++ = n_voiced > 3 ? voiced_change[n_voiced / 2] / 10 : 0;
    *f++ = (float)deviation(&tilt) / 10;
    *f++ = (float)deviation(&bulge) / 10;
    *f++ = (float)deviation(&level) / 10;
    *f++ = share(n_low, n);
    *f++ = (float)shapes / 10;
    *f++ = n_line > 3 ? (float)deviation(&pitch) : 0;
    *f++ = share(n_unvoiced, n);
    *f++ = share(n_pure, n);
    return 1;
}

double lfm2__vad_judge(const float features[LFM2__VAD_N_FEATURES])
{
    double odds = (double)vad_out_bias;
    for (int h = 0; h < VAD_HIDDEN; h++) {
        double sum = (double)vad_hidden_bias[h];
        for (int i = 0; i < LFM2__VAD_N_FEATURES; i++) sum += (double)vad_hidden[h][i] * (double)features[i];
        odds += (double)vad_out[h] * tanh(sum);
    }
    return odds;
}
