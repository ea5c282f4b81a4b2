/* SPDX-License-Identifier: Apache-2.0
 * Sound as it happens: a microphone through PortAudio, and a single-producer, single-consumer ring between its thread and yours. */
#ifndef LFM2_LIVE_H
#define LFM2_LIVE_H

#include "lfm2/runtime.h"

LFM2_BEGIN_DECLS

typedef struct lfm2_mic lfm2_mic;

typedef struct lfm2_mic_params {
    const char *device;      /* name, part of one, or index as lfm2_mic_list() gives it; NULL = the system's */
    int32_t rate_hz;         /* of what comes out, resampled from what the device has; 16,000 */
    int32_t n_channels;      /* 1..2 */
    int64_t buffer_us;       /* that the ring holds; when it is full the oldest is dropped and counted */
} lfm2_mic_params;

LFM2_API lfm2_mic_params lfm2_mic_params_default(void); /* the system's, 16 kHz, 1 channel, 10 s */

/* Call line(ctx, index, name, channels, rate) for each input device. Returns 0; LFM2_ERR_UNSUPPORTED (built without PortAudio);
 * LFM2_ERR_IO. */
LFM2_API int lfm2_mic_list(lfm2_runtime *rt, void (*line)(void *ctx, int32_t index, const char *name, int32_t n_channels, int32_t
    rate_hz),
                           void *ctx);

/* Returns 0; LFM2_ERR_ARG; LFM2_ERR_UNSUPPORTED; LFM2_ERR_NOT_FOUND (no such device); LFM2_ERR_IO (cannot be opened);
 * LFM2_ERR_NOMEM. */
LFM2_API int lfm2_mic_open(lfm2_runtime *rt, const lfm2_mic_params *params, lfm2_mic **out);
LFM2_API void lfm2_mic_close(lfm2_mic *m); /* NULL is allowed */

/* The next samples, waiting up to wait_us for at least one. planes as lfm2_audio_read(). Returns 0; LFM2_AGAIN (nothing yet);
 * LFM2_ERR_IO (the device is gone or has given nothing for 2 s: close it); LFM2_ERR_ABORTED. */
LFM2_API int lfm2_mic_read(lfm2_mic *m, float *const *planes, int32_t cap_samples, int64_t wait_us, int32_t *n_samples);

/* Samples lost since open, because nobody read them or the device dropped them. */
LFM2_API int64_t lfm2_mic_n_lost(const lfm2_mic *m);

LFM2_END_DECLS

#endif
