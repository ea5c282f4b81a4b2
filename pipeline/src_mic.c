/* SPDX-License-Identifier: Apache-2.0
 * Microphones through PortAudio. Its callback runs in a thread of its own and only pushes into the ring. Opening and closing
 * devices is for one thread at a time: PortAudio has one state for the whole process. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <portaudio.h>

#include "base/runtime_impl.h"
#include "pipeline/audio_impl.h"
#include "pipeline/mic_impl.h"

typedef struct device {
    lfm2_runtime *rt;
    PaStream *stream;
    PaStreamParameters params;
    double rate_hz;
    lfm2__ring *ring;
    double expected_s;            /* when the next buffer should have begun, by the device's clock; 0 = not known */
    _Atomic(int64_t) n_dropped;
} device;

static int fail(lfm2_runtime *rt, const char *what, PaError error)
{
    const int status = error == paInsufficientMemory ? LFM2_ERR_NOMEM : LFM2_ERR_IO;
    return lfm2__fail(rt, status, "microphone: %s: %s", what, Pa_GetErrorText(error));
}

static int on_sound(const void *input, void *output, unsigned long n_frames, const PaStreamCallbackTimeInfo *when,
                    PaStreamCallbackFlags flags, void *ctx)
{
    device *d = ctx;
    (void)output;
    if (!input) return paContinue;
    if ((flags & paInputOverflow) != 0) {
        const double gap_s = when->inputBufferAdcTime - d->expected_s;
        const int known = d->expected_s > 0 && gap_s > 0 && gap_s < 3600;
        atomic_fetch_add_explicit(&d->n_dropped, known ? (int64_t)(gap_s * d->rate_hz) + 1 : (int64_t)n_frames,
                                  memory_order_relaxed);
    }
    d->expected_s = when->inputBufferAdcTime > 0 ? when->inputBufferAdcTime + (double)n_frames / d->rate_hz : 0;
    lfm2__ring_push(d->ring, input, (size_t)n_frames * (size_t)d->params.channelCount);
    return paContinue;
}

static int start(void *ctx, lfm2__ring *ring)
{
    device *d = ctx;
    d->ring = ring;
    PaError error = Pa_OpenStream(&d->stream, &d->params, NULL, d->rate_hz, paFramesPerBufferUnspecified, paClipOff, on_sound, d);
    if (error != paNoError) d->stream = NULL;
    if (error == paNoError) error = Pa_StartStream(d->stream);
    return error == paNoError ? 0 : fail(d->rt, "cannot be opened", error);
}

static int is_alive(void *ctx)
{
    const device *d = ctx;
    return Pa_IsStreamActive(d->stream) == 1;
}

static int64_t n_dropped(void *ctx)
{
    device *d = ctx;
    return atomic_load_explicit(&d->n_dropped, memory_order_relaxed);
}

static void close_device(void *ctx)
{
    device *d = ctx;
    if (d->stream) (void)Pa_CloseStream(d->stream);
    (void)Pa_Terminate();
    lfm2__free(d->rt, d);
}

static int is_input(PaDeviceIndex i)
{
    const PaDeviceInfo *info = Pa_GetDeviceInfo(i);
    return info && info->maxInputChannels > 0;
}

/* By index, by its very name, or by the first that contains it. */
static PaDeviceIndex find_device(const char *name)
{
    const PaDeviceIndex n = Pa_GetDeviceCount();
    if (!name) return Pa_GetDefaultInputDevice();
    if (name[0] != '\0' && strspn(name, "0123456789") == strlen(name)) {
        const long i = strlen(name) <= 6 ? strtol(name, NULL, 10) : -1;
        return i >= 0 && i < n && is_input((PaDeviceIndex)i) ? (PaDeviceIndex)i : paNoDevice;
    }
    for (int whole = 1; whole >= 0; whole--) {
        for (PaDeviceIndex i = 0; i < n; i++) {
            if (!is_input(i)) continue;
            const char *is = Pa_GetDeviceInfo(i)->name;
            if (whole ? strcmp(is, name) == 0 : strstr(is, name) != NULL) return i;
        }
    }
    return paNoDevice;
}

/* As it is wanted if the device can, otherwise what the rest of the microphone can make that from. */
static int choose_format(device *d, const lfm2_mic_params *params)
{
    const PaDeviceInfo *info = Pa_GetDeviceInfo(d->params.device);
    const double rates[] = { params->rate_hz, info->defaultSampleRate };
    for (int r = 0; r < 2; r++) {
        for (int other = 0; other < 2; other++) {
            const int n_channels = other ? 3 - params->n_channels : params->n_channels;
            d->params.channelCount = n_channels;
            d->rate_hz = rates[r];
            if (n_channels > info->maxInputChannels || rates[r] < LFM2__AUDIO_MIN_HZ || rates[r] > LFM2__AUDIO_MAX_HZ) continue;
            if (Pa_IsFormatSupported(&d->params, NULL, rates[r]) == paFormatIsSupported) return 0;
        }
    }
    return lfm2__fail(d->rt, LFM2_ERR_IO, "microphone: device %d gives no sound in a usable form", (int)d->params.device);
}

int lfm2__mic_device_open(lfm2_runtime *rt, const lfm2_mic_params *params, lfm2__mic_input *out)
{
    const PaError error = Pa_Initialize();
    if (error != paNoError) return fail(rt, "PortAudio", error);
    int rc = LFM2_ERR_NOMEM;
    device *d = lfm2__calloc(rt, 1, sizeof(*d));
    if (!d) {
        (void)Pa_Terminate();
        return rc;
    }
    d->rt = rt;
    d->params = (PaStreamParameters){ .device = find_device(params->device), .sampleFormat = paFloat32 };
    rc = d->params.device == paNoDevice ? lfm2__fail(rt, LFM2_ERR_NOT_FOUND, "microphone: no such device") : 0;
    if (rc == 0) {
        d->params.suggestedLatency = Pa_GetDeviceInfo(d->params.device)->defaultLowInputLatency;
        rc = choose_format(d, params);
    }
    if (rc < 0) {
        close_device(d);
        return rc;
    }
    *out = (lfm2__mic_input){ .ctx = d, .rate_hz = (int32_t)d->rate_hz, .n_channels = d->params.channelCount, .start = start,
                              .is_alive = is_alive, .n_dropped = n_dropped, .close = close_device };
    return 0;
}

int lfm2__mic_device_list(lfm2_runtime *rt, void (*line)(void *ctx, int32_t index, const char *name, int32_t n_channels,
                                                         int32_t rate_hz), void *ctx)
{
    const PaError error = Pa_Initialize();
    if (error != paNoError) return fail(rt, "PortAudio", error);
    for (PaDeviceIndex i = 0; i < Pa_GetDeviceCount(); i++) {
        const PaDeviceInfo *info = Pa_GetDeviceInfo(i);
        if (is_input(i)) line(ctx, i, info->name, info->maxInputChannels, (int32_t)info->defaultSampleRate);
    }
    (void)Pa_Terminate();
    return 0;
}
