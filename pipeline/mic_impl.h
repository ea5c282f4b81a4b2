/* SPDX-License-Identifier: Apache-2.0
 * What mic.c and the inputs behind it share. */
#ifndef LFM2__MIC_IMPL_H
#define LFM2__MIC_IMPL_H

#include "base/compiler.h"
#include "lfm2/live.h"
#include "pipeline/ring.h"

#define LFM2__MIC_SILENT_US 2000000 /* a device that gives nothing for so long is gone */
#define LFM2__MIC_MAX_CHANNELS 2

/* Something that gives sound: a device, a file played in real time, a test. It pushes interleaved frames. */
typedef struct lfm2__mic_input {
    void *ctx;
    int32_t rate_hz, n_channels; /* of what it pushes; set by open */
    /* Start pushing into ring, which outlives it. NULL: nothing to start. */
    int (*start)(void *ctx, lfm2__ring *ring);
    /* Called by the reader: push what is due by now. Returns 0; LFM2_EOF (that was all); an error. NULL: it pushes by itself. */
    int (*fill)(void *ctx, lfm2__ring *ring, int64_t now_us);
    int (*is_alive)(void *ctx);       /* 0: there will be no more. NULL: as long as sound comes */
    int64_t (*n_dropped)(void *ctx);  /* frames that the device lost itself. NULL: none */
    void (*close)(void *ctx);         /* no push happens any more once it returns */
} lfm2__mic_input;

/* The clock of a microphone; tests have one of their own. */
typedef struct lfm2__mic_clock {
    int64_t (*now_us)(void *ctx);
    void (*sleep_us)(void *ctx, int64_t us);
    void *ctx;
} lfm2__mic_clock;
extern const lfm2__mic_clock lfm2__mic_real_clock;

/* Check params, as lfm2_mic_open(). */
int lfm2__mic_check(lfm2_runtime *rt, const lfm2_mic_params *params) LFM2__NODISCARD;

/* Takes the input, also after a failure. Returns as lfm2_mic_open(). */
int lfm2__mic_create(lfm2_runtime *rt, const lfm2_mic_params *params, const lfm2__mic_input *input, const lfm2__mic_clock *clock,
                     lfm2_mic **out) LFM2__NODISCARD;

/* src_mic.c: a device, opened but not started. Returns as lfm2_mic_open(). */
int lfm2__mic_device_open(lfm2_runtime *rt, const lfm2_mic_params *params, lfm2__mic_input *out) LFM2__NODISCARD;
/* as lfm2_mic_list() */
int lfm2__mic_device_list(lfm2_runtime *rt, void (*line)(void *ctx, int32_t index, const char *name, int32_t n_channels,
                                                         int32_t rate_hz), void *ctx) LFM2__NODISCARD;

/* mic_replay.c: a file in real time from start_us of the clock on. Returns as lfm2_mic_open_replay(). */
int lfm2__mic_replay_open(lfm2_runtime *rt, const char *path, const lfm2_mic_params *params, int64_t start_us,
                          lfm2__mic_input *out) LFM2__NODISCARD;

#endif
