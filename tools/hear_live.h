/* SPDX-License-Identifier: Apache-2.0
 * Transcribing while somebody speaks: from a microphone, or a recording replayed in real time, through lfm2_hear. */
#ifndef LFM2_TOOLS_HEAR_LIVE_H
#define LFM2_TOOLS_HEAR_LIVE_H

#include "tools/common.h"

typedef struct hear_live_job {
    lfm2_hear *hear;
    int32_t n_channels;   /* of it: 1 or 2 */
    const char *device;   /* as in lfm2_mic_params; NULL = the system's */
    const char *replay;   /* a recording in place of a device; NULL = none */
    int64_t duration_us;  /* ends after so much sound; -1 = when the sound ends or a signal comes */
    int64_t partial_us;   /* new sound after which text that is not finished is looked at again; 0 = never */
    int events;           /* JSON lines on standard output: partial text, latency of each segment, a summary */
    int terminal;         /* partial text on standard error's last line: firm what stays, faint what may change */
    int (*segment)(void *ctx, const lfm2_segment *s); /* a finished segment; returns 0 or an exit code */
    void *ctx;
} hear_live_job;

typedef struct hear_live_report {
    int64_t sound_us;     /* that was read */
    int64_t n_lost;       /* samples */
    int32_t n_segments;
    int64_t latency_p50_us, latency_p95_us, latency_max_us; /* from the end of a segment's sound to its text; -1 = no segment */
} hear_live_report;

/* Until the sound, the duration or the deadline ends, the device is gone, or a signal comes; what was heard by then is finished and
 * given out first. The report is written in any case. Returns 0 or an exit code. */
int hear_live_run(tool *t, const hear_live_job *job, hear_live_report *report);

/* The input devices, a line each; with `json` one JSON document. Returns 0 or an exit code. */
int hear_live_list(tool *t, int json);

#endif
