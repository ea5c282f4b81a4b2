/* SPDX-License-Identifier: Apache-2.0
 * Sound as it happens: a microphone through PortAudio, or a file as if it were being spoken just now. Between the device's
 * thread and yours lies a single-producer, single-consumer ring without locks. */
#ifndef LFM2_LIVE_H
#define LFM2_LIVE_H

#include "lfm2/runtime.h"

LFM2_BEGIN_DECLS

typedef struct lfm2_mic lfm2_mic;

typedef struct lfm2_mic_params {
    const char *device;      /* name, part of one, or index as lfm2_mic_list() gives it; NULL = the system's */
    int32_t rate_hz;         /* of what comes out, resampled from what the device has; 1,000..384,000 */
    int32_t n_channels;      /* 1..2; mixed or doubled if the device has others */
    int64_t buffer_us;       /* that the ring holds, 100,000..600,000,000; when it is full the oldest is dropped and counted */
} lfm2_mic_params;

LFM2_API lfm2_mic_params lfm2_mic_params_default(void); /* the system's, 16 kHz, 1 channel, 10 s */

/* Call line(ctx, index, name, channels, rate) for each input device. Returns 0; LFM2_ERR_ARG; LFM2_ERR_UNSUPPORTED (built
 * without PortAudio); LFM2_ERR_IO; LFM2_ERR_NOMEM. Devices are listed, opened and closed by one thread at a time: PortAudio has
 * one state for the whole process. The system's libraries may write to standard error meanwhile. */
LFM2_API int lfm2_mic_list(lfm2_runtime *rt, void (*line)(void *ctx, int32_t index, const char *name, int32_t n_channels,
                                                          int32_t rate_hz), void *ctx);

/* Returns 0; LFM2_ERR_ARG; LFM2_ERR_UNSUPPORTED; LFM2_ERR_NOT_FOUND (no such device); LFM2_ERR_IO (cannot be opened);
 * LFM2_ERR_NOMEM. */
LFM2_API int lfm2_mic_open(lfm2_runtime *rt, const lfm2_mic_params *params, lfm2_mic **out);

/* A recording (see lfm2_audio_open()) as a microphone: its samples become due by the clock, from now on; who reads too late
 * loses some. params->device counts for nothing. Returns as lfm2_audio_open(). */
LFM2_API int lfm2_mic_open_replay(lfm2_runtime *rt, const char *path, const lfm2_mic_params *params, lfm2_mic **out);
LFM2_API void lfm2_mic_close(lfm2_mic *m); /* NULL is allowed */

/* The next samples, waiting up to wait_us for at least one. planes as lfm2_audio_read(). Returns 0; LFM2_AGAIN (nothing yet);
 * LFM2_EOF (of a replayed file); LFM2_ERR_IO (the device is gone or has given nothing for 2 s: close it); errors of
 * lfm2_audio_read() of a replayed file; LFM2_ERR_ARG; LFM2_ERR_ABORTED. */
LFM2_API int lfm2_mic_read(lfm2_mic *m, float *const *planes, int32_t cap_samples, int64_t wait_us, int32_t *n_samples);

/* Samples lost since open, because nobody read them or the device dropped them. */
LFM2_API int64_t lfm2_mic_n_lost(const lfm2_mic *m);

/* How much sound the device has given since open, read, lost or still waiting: where "now" lies on the time line of the sound. */
LFM2_API int64_t lfm2_mic_position_us(const lfm2_mic *m);

LFM2_END_DECLS

#endif
