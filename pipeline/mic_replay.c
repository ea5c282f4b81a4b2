/* SPDX-License-Identifier: Apache-2.0
 * A file as if it were being spoken just now: its samples become due by the clock. There is no thread: whoever reads makes the
 * sound that has become due meanwhile, and what is more than the ring holds is lost, as with a device. */
#include "base/runtime_impl.h"
#include "pipeline/audio_impl.h"
#include "pipeline/mic_impl.h"

enum { PIECE = 1024 };

typedef struct replay {
    lfm2_runtime *rt;
    lfm2_audio_source *source;
    int32_t rate_hz, n_in, n_out; /* channels of the file and of what is pushed */
    int64_t start_us, n_given;    /* frames pushed */
    float planes[LFM2_AUDIO_MAX_CHANNELS][PIECE];
    float frames[PIECE * LFM2__MIC_MAX_CHANNELS];
} replay;

/* One channel: the mean of all; two: the first two. */
static void interleave(replay *r, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        if (r->n_out == 2) {
            for (int32_t c = 0; c < 2; c++) r->frames[2 * i + c] = r->planes[c][i];
            continue;
        }
        float sum = 0;
        for (int32_t c = 0; c < r->n_in; c++) sum += r->planes[c][i];
        r->frames[i] = sum / (float)r->n_in;
    }
}

static int fill(void *ctx, lfm2__ring *ring, int64_t now_us)
{
    replay *r = ctx;
    float *planes[LFM2_AUDIO_MAX_CHANNELS];
    const int64_t n_due = now_us > r->start_us ? lfm2__audio_us_to_samples(now_us - r->start_us, r->rate_hz) : 0;
    for (int32_t c = 0; c < LFM2_AUDIO_MAX_CHANNELS; c++) planes[c] = r->planes[c];
    while (r->n_given < n_due) {
        int32_t n = 0;
        const int32_t cap = n_due - r->n_given < PIECE ? (int32_t)(n_due - r->n_given) : PIECE;
        const int rc = lfm2_audio_read(r->source, planes, cap, &n);
        if (rc != 0) return rc;
        interleave(r, n);
        lfm2__ring_push(ring, r->frames, (size_t)n * (size_t)r->n_out);
        r->n_given += n;
    }
    return 0;
}

static void close_replay(void *ctx)
{
    replay *r = ctx;
    lfm2_audio_close(r->source);
    lfm2__free(r->rt, r);
}

int lfm2__mic_replay_open(lfm2_runtime *rt, const char *path, const lfm2_mic_params *params, int64_t start_us,
                          lfm2__mic_input *out)
{
    lfm2_audio_params p = lfm2_audio_params_default();
    lfm2_audio_info info;
    replay *r = lfm2__calloc(rt, 1, sizeof(*r));
    if (!r) return LFM2_ERR_NOMEM;
    r->rt = rt;
    p.rate_hz = params->rate_hz;
    const int rc = lfm2_audio_open(rt, path, &p, &r->source);
    if (rc < 0) {
        lfm2__free(rt, r);
        return rc;
    }
    lfm2_audio_get_info(r->source, &info);
    r->rate_hz = info.rate_hz;
    r->n_in = info.n_channels;
    r->n_out = params->n_channels == 2 && info.n_channels >= 2 ? 2 : 1;
    r->start_us = start_us;
    *out = (lfm2__mic_input){ .ctx = r, .rate_hz = r->rate_hz, .n_channels = r->n_out, .fill = fill, .close = close_replay };
    return 0;
}
