/* SPDX-License-Identifier: Apache-2.0
 * Where somebody speaks: voice activity, and segments of bounded length that are cut at pauses. Sound in, spans of samples out. */
#ifndef LFM2_VAD_H
#define LFM2_VAD_H

#include "lfm2/runtime.h"

LFM2_BEGIN_DECLS

#define LFM2_VAD_RATE_HZ 16000

typedef struct lfm2_vad_params {
    double threshold;         /* how much like speech a frame must be, 0..1; higher finds less */
    double min_level_db;      /* quieter frames are never speech; dB of full scale, -120..0 */
    int64_t min_speech_us;    /* shorter bursts are not speech; up to 5 s */
    int64_t min_silence_us;   /* a shorter pause does not end a segment; 0.1..10 s */
    int64_t pad_us;           /* kept before and behind what was found; up to 1 s and a quarter of max_segment_us */
    int64_t max_segment_us;   /* longer speech is cut at its best pause; with padding; 1..60 s */
} lfm2_vad_params;

/* 0.5, -55 dB, 0.1 s of speech, 0.5 s of silence, 0.15 s of padding, 30 s. */
LFM2_API lfm2_vad_params lfm2_vad_params_default(void);

typedef struct lfm2_vad_span {
    int64_t start_sample, end_sample;   /* [start, end) from the first sample pushed; spans do not overlap and come in order */
    int64_t speech_start, speech_end;   /* the same without padding */
    int32_t cut_before, cut_behind;     /* 1: cut because it was too long: the speech goes on across the border */
} lfm2_vad_span;

typedef struct lfm2_vad lfm2_vad;

/* Returns 0; LFM2_ERR_ARG (a field out of range, named in the log); LFM2_ERR_NOMEM. Nothing after create allocates; the bits do not
 * depend on how the sound was cut into pieces. */
LFM2_API int lfm2_vad_create(lfm2_runtime *rt, const lfm2_vad_params *params, lfm2_vad **out);
LFM2_API void lfm2_vad_destroy(lfm2_vad *v); /* NULL is allowed */

/* Push mono 16 kHz samples (finite). Takes all it is given up to the first finished span; *n_taken tells how many: pull, then go
 * on. While there is a span to pull it takes nothing. samples NULL: the sound is over. Returns 0; LFM2_ERR_ARG; LFM2_ERR_STATE
 * (after the end). */
LFM2_API int lfm2_vad_push(lfm2_vad *v, const float *samples, int64_t n_samples, int64_t *n_taken);

/* A finished span. Returns 0; LFM2_AGAIN (needs sound); LFM2_EOF (all was given). */
LFM2_API int lfm2_vad_pull(lfm2_vad *v, lfm2_vad_span *out);

/* Samples before this one will belong to no span to come: the caller may forget them. */
LFM2_API int64_t lfm2_vad_n_settled(const lfm2_vad *v);

/* 1 while it believes that somebody is speaking, and since which sample (may be NULL). */
LFM2_API int lfm2_vad_is_open(const lfm2_vad *v, int64_t *since_sample);

LFM2_API void lfm2_vad_reset(lfm2_vad *v);

LFM2_END_DECLS

#endif
