/* SPDX-License-Identifier: Apache-2.0
 * Another sample rate, through libswresample. */
#include <libavutil/opt.h>
#include <libswresample/swresample.h>

#include "base/runtime_impl.h"
#include "pipeline/audio_impl.h"

/* Of the windowed sinc: taps at the lower of both rates, and where it begins to fall. Speech over the telephone goes up to 3.4 of
 * 4 kHz and must come through whole, while its mirror images above 4.6 kHz must not come through. */
#define N_TAPS 64
#define CUTOFF 0.95
#define KAISER_BETA 9
#define PHASE_SHIFT 10 /* up to 2^10 positions between two samples are exact, which is enough for the usual pairs of rates */

struct lfm2__resampler {
    lfm2_runtime *rt;
    struct SwrContext *swr;
};

static int set_up(lfm2__resampler *r, int32_t n_channels, int32_t from_hz, int32_t to_hz)
{
    /* No named layout: channels are nothing but numbered, and none is mixed into another. */
    AVChannelLayout layout = {.order = AV_CHANNEL_ORDER_UNSPEC, .nb_channels = n_channels};
    int status = swr_alloc_set_opts2(&r->swr, &layout, AV_SAMPLE_FMT_FLTP, to_hz, &layout, AV_SAMPLE_FMT_FLTP, from_hz, 0, NULL);
    if (status < 0) return status;
    int32_t a = from_hz, b = to_hz;
    while (b != 0) {
        const int32_t rest = a % b;
        a = b;
        b = rest;
    }
    const int is_exact = to_hz / a <= 1 << PHASE_SHIFT;
    av_opt_set_int(r->swr, "filter_size", N_TAPS, 0);
    av_opt_set_int(r->swr, "phase_shift", PHASE_SHIFT, 0);
    av_opt_set_int(r->swr, "exact_rational", 1, 0);
    av_opt_set_int(r->swr, "linear_interp", !is_exact, 0);
    av_opt_set_int(r->swr, "filter_type", SWR_FILTER_TYPE_KAISER, 0);
    av_opt_set_double(r->swr, "kaiser_beta", KAISER_BETA, 0);
    av_opt_set_double(r->swr, "cutoff", CUTOFF, 0);
    return swr_init(r->swr);
}

int lfm2__resampler_create(lfm2_runtime *rt, int32_t n_channels, int32_t from_hz, int32_t to_hz, lfm2__resampler **out)
{
    lfm2__resampler *r = lfm2__calloc(rt, 1, sizeof *r);
    if (r == NULL) return lfm2__fail(rt, LFM2_ERR_NOMEM, "resampler: out of memory");
    r->rt = rt;
    if (set_up(r, n_channels, from_hz, to_hz) < 0) {
        lfm2__resampler_destroy(r);
        return lfm2__fail(rt, LFM2_ERR_NOMEM, "resampler: cannot be made for %d channels from %d to %d Hz", (int)n_channels,
                          (int)from_hz, (int)to_hz);
    }
    *out = r;
    return 0;
}

void lfm2__resampler_destroy(lfm2__resampler *r)
{
    if (r == NULL) return;
    swr_free(&r->swr);
    lfm2__free(r->rt, r);
}

int lfm2__resampler_run(lfm2__resampler *r, const float *const *in, int32_t n_in, float *const *out, int32_t cap, int32_t *n_out)
{
    /* Its prototype has changed in what it calls const, and wants bytes. */
    const int status = swr_convert(r->swr, (void *)(uintptr_t)out, cap, (void *)(uintptr_t)in, n_in);
    if (status < 0) return lfm2__fail(r->rt, LFM2_ERR_NOMEM, "resampler: out of memory");
    *n_out = status;
    return 0;
}
