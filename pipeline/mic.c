/* SPDX-License-Identifier: Apache-2.0
 * A microphone, whatever is behind it: the ring, the wanted rate and channels, waiting, and when a device counts as gone. */
#include <string.h>
#include <time.h>

#include "base/runtime_impl.h"
#include "pipeline/audio_impl.h"
#include "pipeline/mic_impl.h"

#define POLL_US 5000

enum { PIECE_FRAMES = 1024 };

struct lfm2_mic {
    lfm2_runtime *rt;
    lfm2_mic_params p;
    lfm2__mic_input in;
    lfm2__mic_clock clock;
    lfm2__ring *ring;
    lfm2__resampler *resampler; /* NULL: the input has the wanted rate */
    int64_t last_sound_us;      /* when the ring last had something */
    int ended;                  /* 0, or what fill said when it said that there is no more */
    float frames[PIECE_FRAMES * LFM2__MIC_MAX_CHANNELS];
    float planes[LFM2__MIC_MAX_CHANNELS][PIECE_FRAMES];
};

lfm2_mic_params lfm2_mic_params_default(void)
{
    return (lfm2_mic_params){ .rate_hz = 16000, .n_channels = 1, .buffer_us = 10000000 };
}

static int64_t real_now_us(void *ctx)
{
    (void)ctx;
    return lfm2__now_us();
}

static void real_sleep_us(void *ctx, int64_t us)
{
    const struct timespec time = { .tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000 * 1000) };
    (void)ctx;
    (void)nanosleep(&time, NULL);
}

const lfm2__mic_clock lfm2__mic_real_clock = { real_now_us, real_sleep_us, NULL };

int lfm2__mic_check(lfm2_runtime *rt, const lfm2_mic_params *params)
{
    if (params->rate_hz < LFM2__AUDIO_MIN_HZ || params->rate_hz > LFM2__AUDIO_MAX_HZ)
        return lfm2__fail(rt, LFM2_ERR_ARG, "microphone: rate_hz is %d", (int)params->rate_hz);
    if (params->n_channels < 1 || params->n_channels > LFM2__MIC_MAX_CHANNELS)
        return lfm2__fail(rt, LFM2_ERR_ARG, "microphone: n_channels is %d", (int)params->n_channels);
    if (params->buffer_us < 100000 || params->buffer_us > 600000000)
        return lfm2__fail(rt, LFM2_ERR_ARG, "microphone: buffer_us is %lld", (long long)params->buffer_us);
    return 0;
}

int lfm2__mic_create(lfm2_runtime *rt, const lfm2_mic_params *params, const lfm2__mic_input *input, const lfm2__mic_clock *clock,
                     lfm2_mic **out)
{
    int rc = LFM2_ERR_NOMEM;
    lfm2_mic *m = lfm2__calloc(rt, 1, sizeof(*m));
    if (!m) {
        input->close(input->ctx);
        return rc;
    }
    m->rt = rt;
    m->p = *params;
    m->in = *input;
    m->clock = *clock;
    rc = lfm2__ring_create(rt, lfm2__audio_us_to_samples(params->buffer_us, input->rate_hz) * input->n_channels, &m->ring);
    if (rc == 0 && input->rate_hz != params->rate_hz)
        rc = lfm2__resampler_create(rt, params->n_channels, input->rate_hz, params->rate_hz, &m->resampler);
    if (rc == 0 && input->start) rc = input->start(input->ctx, m->ring);
    if (rc < 0) {
        lfm2_mic_close(m);
        return rc;
    }
    m->last_sound_us = m->clock.now_us(m->clock.ctx);
    *out = m;
    return 0;
}

int lfm2_mic_open(lfm2_runtime *rt, const lfm2_mic_params *params, lfm2_mic **out)
{
    lfm2__mic_input input;
    if (!rt || !params || !out) return LFM2_ERR_ARG;
    int rc = lfm2__mic_check(rt, params);
    if (rc == 0) rc = lfm2__mic_device_open(rt, params, &input);
    return rc == 0 ? lfm2__mic_create(rt, params, &input, &lfm2__mic_real_clock, out) : rc;
}

int lfm2_mic_open_replay(lfm2_runtime *rt, const char *path, const lfm2_mic_params *params, lfm2_mic **out)
{
    lfm2__mic_input input;
    if (!rt || !path || !params || !out) return LFM2_ERR_ARG;
    int rc = lfm2__mic_check(rt, params);
    if (rc == 0) rc = lfm2__mic_replay_open(rt, path, params, lfm2__now_us(), &input);
    return rc == 0 ? lfm2__mic_create(rt, params, &input, &lfm2__mic_real_clock, out) : rc;
}

int lfm2_mic_list(lfm2_runtime *rt, void (*line)(void *ctx, int32_t index, const char *name, int32_t n_channels, int32_t rate_hz),
                  void *ctx)
{
    if (!rt || !line) return LFM2_ERR_ARG;
    return lfm2__mic_device_list(rt, line, ctx);
}

void lfm2_mic_close(lfm2_mic *m)
{
    if (!m) return;
    m->in.close(m->in.ctx);
    lfm2__resampler_destroy(m->resampler);
    lfm2__ring_destroy(m->ring);
    lfm2__free(m->rt, m);
}

/* Interleaved frames of the input to as many planes as are wanted. */
static void to_planes(const lfm2_mic *m, int32_t n, float *const *planes)
{
    const float *x = m->frames;
    for (int32_t i = 0; i < n; i++) {
        if (m->in.n_channels == m->p.n_channels) {
            for (int32_t c = 0; c < m->p.n_channels; c++) planes[c][i] = x[i * m->p.n_channels + c];
        } else if (m->p.n_channels == 1) {
            planes[0][i] = (x[2 * i] + x[2 * i + 1]) / 2;
        } else {
            planes[0][i] = planes[1][i] = x[i];
        }
    }
}

static int32_t pop_frames(lfm2_mic *m, int32_t cap)
{
    if (cap > PIECE_FRAMES) cap = PIECE_FRAMES;
    const size_t n = lfm2__ring_pop(m->ring, m->frames, (size_t)(cap * m->in.n_channels));
    if (n > 0) m->last_sound_us = m->clock.now_us(m->clock.ctx);
    return (int32_t)(n / (size_t)m->in.n_channels);
}

/* What is there, without waiting. */
static int take(lfm2_mic *m, float *const *planes, int32_t cap, int32_t *n)
{
    if (!m->resampler) {
        *n = pop_frames(m, cap);
        to_planes(m, *n, planes);
        return 0;
    }
    float *const own[] = { m->planes[0], m->planes[1] };
    const float *const in[] = { m->planes[0], m->planes[1] };
    int rc = lfm2__resampler_run(m->resampler, in, 0, planes, cap, n); /* what is left over from before */
    while (rc == 0 && *n == 0) {
        const int32_t n_in = pop_frames(m, PIECE_FRAMES);
        if (n_in == 0) break;
        to_planes(m, n_in, own);
        rc = lfm2__resampler_run(m->resampler, in, n_in, planes, cap, n);
    }
    if (rc == 0 && *n == 0 && m->ended) rc = lfm2__resampler_run(m->resampler, NULL, 0, planes, cap, n);
    return rc;
}

int lfm2_mic_read(lfm2_mic *m, float *const *planes, int32_t cap_samples, int64_t wait_us, int32_t *n_samples)
{
    if (!m || !planes || cap_samples < 1 || wait_us < 0 || !n_samples) return LFM2_ERR_ARG;
    for (int32_t c = 0; c < m->p.n_channels; c++) {
        if (!planes[c]) return LFM2_ERR_ARG;
    }
    for (const int64_t begun_us = m->clock.now_us(m->clock.ctx);;) {
        const int64_t now_us = m->clock.now_us(m->clock.ctx);
        int32_t n = 0;
        if (lfm2__aborted(m->rt)) return LFM2_ERR_ABORTED;
        const int alive = !m->in.is_alive || m->in.is_alive(m->in.ctx); /* asked first: what it gave before is there to be taken */
        if (m->in.fill && !m->ended) m->ended = m->in.fill(m->in.ctx, m->ring, now_us);
        const int rc = take(m, planes, cap_samples, &n);
        if (rc < 0) return rc;
        if (n > 0) {
            *n_samples = n;
            return 0;
        }
        if (m->ended) return m->ended;
        if (!alive) return lfm2__fail(m->rt, LFM2_ERR_IO, "microphone: the device is gone");
        if (!m->in.fill && now_us - m->last_sound_us >= LFM2__MIC_SILENT_US)
            return lfm2__fail(m->rt, LFM2_ERR_IO, "microphone: no sound for %d s", LFM2__MIC_SILENT_US / 1000000);
        const int64_t left_us = begun_us + wait_us - now_us;
        if (left_us <= 0) return LFM2_AGAIN;
        m->clock.sleep_us(m->clock.ctx, left_us < POLL_US ? left_us : POLL_US);
    }
}

static int64_t n_dropped(const lfm2_mic *m)
{
    return m->in.n_dropped ? m->in.n_dropped(m->in.ctx) : 0;
}

int64_t lfm2_mic_n_lost(const lfm2_mic *m)
{
    if (!m) return 0;
    const int64_t n = lfm2__ring_n_lost(m->ring) / m->in.n_channels + n_dropped(m);
    return (int64_t)((double)n * m->p.rate_hz / m->in.rate_hz);
}

int64_t lfm2_mic_position_us(const lfm2_mic *m)
{
    return m ? lfm2__audio_samples_to_us(lfm2__ring_n_pushed(m->ring) / m->in.n_channels + n_dropped(m), m->in.rate_hz) : 0;
}

#ifndef LFM2_HAVE_PORTAUDIO
int lfm2__mic_device_open(lfm2_runtime *rt, const lfm2_mic_params *params, lfm2__mic_input *out)
{
    (void)params, (void)out;
    return lfm2__fail(rt, LFM2_ERR_UNSUPPORTED, "microphone: this build is without PortAudio");
}

int lfm2__mic_device_list(lfm2_runtime *rt, void (*line)(void *ctx, int32_t index, const char *name, int32_t n_channels,
                                                         int32_t rate_hz), void *ctx)
{
    (void)line, (void)ctx;
    return lfm2__fail(rt, LFM2_ERR_UNSUPPORTED, "microphone: this build is without PortAudio");
}
#endif
