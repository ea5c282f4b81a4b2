/* SPDX-License-Identifier: Apache-2.0
 * Whether two channels are one and the same sound. */
#include <math.h>
#include <string.h>

#include "pipeline/audio_impl.h"

#define N_LAGS 16         /* either way */
#define ACTIVE 0.001f     /* samples below, 60 dB under full scale, in both channels say nothing */
#define MIN_ACTIVE_S 1.0  /* of sound, to tell */
#define SAME 0.98         /* correlation */
#define SAME_LEVEL 0.01   /* power of the softer over that of the louder: softer still (20 dB) is crosstalk, not a copy */
#define SILENT 0.000316   /* and 35 dB is silence */
#define SILENT_POWER 1e-6 /* a mean square of this is silence beside anything */

/* Sample i - lag, which may lie before the ones that were pushed now; tail: the last N_LAGS of before. */
static double behind(const float *x, const float *tail, int64_t i, int64_t lag)
{
    return i >= lag ? (double)x[i - lag] : (double)tail[N_LAGS + i - lag];
}

static void keep_tail(float *tail, const float *x, int64_t n)
{
    const size_t n_new = n < N_LAGS ? (size_t)n : N_LAGS;
    memmove(tail, tail + n_new, (N_LAGS - n_new) * sizeof *tail);
    memcpy(tail + N_LAGS - n_new, x + n - (int64_t)n_new, n_new * sizeof *tail);
}

void lfm2_dual_mono_push(lfm2_dual_mono *d, const float *a, const float *b, int64_t n_samples)
{
    for (int64_t i = 0; i < n_samples; i++) {
        if (fabsf(a[i]) < ACTIVE && fabsf(b[i]) < ACTIVE) continue;
        const double va = (double)a[i], vb = (double)b[i];
        d->sum_aa += va * va;
        d->sum_bb += vb * vb;
        for (int lag = 0; lag <= N_LAGS; lag++) d->sum_ab[N_LAGS + lag] += va * behind(b, d->tail_b, i, lag);
        for (int lag = 1; lag <= N_LAGS; lag++) d->sum_ab[N_LAGS - lag] += vb * behind(a, d->tail_a, i, lag);
        d->n_active++;
    }
    if (n_samples <= 0) return;
    keep_tail(d->tail_a, a, n_samples);
    keep_tail(d->tail_b, b, n_samples);
    d->n_samples += n_samples;
}

int lfm2_dual_mono_decide(const lfm2_dual_mono *d, int32_t rate_hz)
{
    if (d->n_active == 0 || (double)d->n_active < MIN_ACTIVE_S * rate_hz) return -1;
    const double louder = fmax(d->sum_aa, d->sum_bb), softer = fmin(d->sum_aa, d->sum_bb);
    if (softer < SILENT * louder || softer < SILENT_POWER * (double)d->n_active) return 1;
    if (softer < SAME_LEVEL * louder) return 0;
    double most = 0;
    for (int i = 0; i <= 2 * N_LAGS; i++) most = fmax(most, fabs(d->sum_ab[i])); /* also upside down */
    return most >= SAME * sqrt(louder) * sqrt(softer);
}
