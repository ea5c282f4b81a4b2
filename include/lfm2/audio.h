/* SPDX-License-Identifier: Apache-2.0
 * Sound out of files: any container and codec that FFmpeg's libraries read, or raw samples, as f32 channels on one time line. */
#ifndef LFM2_AUDIO_H
#define LFM2_AUDIO_H

#include "lfm2/runtime.h"

LFM2_BEGIN_DECLS

#define LFM2_AUDIO_MAX_CHANNELS 64

typedef enum lfm2_pcm_format { LFM2_PCM_NONE = 0, LFM2_PCM_S16LE, LFM2_PCM_F32LE, LFM2_PCM_MULAW, LFM2_PCM_ALAW } lfm2_pcm_format;

typedef struct lfm2_audio_params {
    int32_t rate_hz;         /* of what comes out; 0 = as it is in the file; otherwise 1,000..384,000 */
    int64_t start_us;        /* skip so much of the beginning; >= 0 */
    int64_t duration_us;     /* then take so much; -1 = all */
    int64_t max_duration_us; /* a longer recording ends with LFM2_ERR_LIMIT; >= 1 */
    int64_t max_gap_us;      /* a hole in the time stamps is filled with silence up to this length; a longer one is damage, and
                              * shortened to it; >= 0 */
    lfm2_pcm_format pcm;     /* not NONE: there is no container, the bytes are samples: */
    int32_t pcm_rate_hz, pcm_channels;
} lfm2_audio_params;

/* 16 kHz, everything, at most 7 days, gaps to 2 hours, with a container. */
LFM2_API lfm2_audio_params lfm2_audio_params_default(void);

typedef struct lfm2_audio_info {
    int32_t n_channels;      /* of what comes out, 1..LFM2_AUDIO_MAX_CHANNELS */
    int32_t rate_hz;         /* of what comes out */
    int32_t source_rate_hz;
    int64_t duration_us;     /* as the container says; -1 = it does not. A hint, not a promise */
    const char *container;   /* "wav", "mp3", ...; static storage */
    const char *codec;       /* "pcm_s16le", "opus", ... */
} lfm2_audio_info;

/* What was wrong with it, so far. */
typedef struct lfm2_audio_damage {
    int64_t n_bad_packets;   /* that would not decode; silence stands in their place */
    int64_t n_bad_samples;   /* NaN, infinite or beyond +-16: set to 0 or clipped to +-1, before resampling */
    int64_t n_gaps, gap_us;  /* holes in the time stamps that were filled; not the time before the first sound of a film */
    int64_t n_backwards;     /* time stamps that ran backwards or that the next one contradicts: taken as continuous */
    int32_t truncated;       /* the file ends before its container said so, or cannot be read to its end */
} lfm2_audio_damage;

typedef struct lfm2_audio_source lfm2_audio_source;

/* Open a file ("-" = standard input). Of several sound streams the default one is taken; pictures are ignored. Memory does not grow
 * with length. No other file and no network address is ever opened, whatever the file asks for.
 * Returns 0; LFM2_ERR_ARG; LFM2_ERR_NOT_FOUND; LFM2_ERR_IO; LFM2_ERR_FORMAT; LFM2_ERR_LIMIT (channels; a rate in the file below
 * 1,000 or over 384,000); LFM2_ERR_UNSUPPORTED (no sound in it, not a kind of file or a codec that is read here, a playlist,
 * encrypted; built without libav: all but raw samples); LFM2_ERR_NOMEM; LFM2_ERR_ABORTED. */
LFM2_API int lfm2_audio_open(lfm2_runtime *rt, const char *path, const lfm2_audio_params *params, lfm2_audio_source **out);
LFM2_API void lfm2_audio_close(lfm2_audio_source *a); /* NULL is allowed */

LFM2_API void lfm2_audio_get_info(const lfm2_audio_source *a, lfm2_audio_info *out);
LFM2_API void lfm2_audio_get_damage(const lfm2_audio_source *a, lfm2_audio_damage *out);

/* The next samples. planes: caller's [n_channels] arrays, each f32 [cap_samples], in -1..1; *n_samples of each are written.
 * Sample k of all that was ever read lies at k / rate_hz seconds after start_us, whatever gaps the file has. Should the file change
 * its channels on the way: one goes into all, all are averaged into one, otherwise each keeps its number. Gives what is there
 * without waiting for more, so that standard input may be live.
 * Returns 0 (*n_samples >= 1); LFM2_EOF; LFM2_ERR_LIMIT; LFM2_ERR_IO; LFM2_ERR_FORMAT (nothing could be decoded at all, a rate of
 * 0); LFM2_ERR_UNSUPPORTED (encrypted); LFM2_ERR_NOMEM; LFM2_ERR_ABORTED (may be tried again). LFM2_EOF and errors stay. */
LFM2_API int lfm2_audio_read(lfm2_audio_source *a, float *const *planes, int32_t cap_samples, int32_t *n_samples);

/* ---- Channels ---- */

typedef enum lfm2_channels {
    LFM2_CHANNELS_MIX = 0,   /* the mean of all */
    LFM2_CHANNELS_SPLIT = 1, /* each by itself */
    LFM2_CHANNELS_AUTO = 2   /* two that differ are two speakers; the same sound twice is read once; more than two are mixed */
} lfm2_channels;

/* Whether two channels are one and the same sound (also at another level or some samples apart), from the samples of both that were
 * pushed so far. Plain memory, zero it to start. */
typedef struct lfm2_dual_mono {
    double sum_aa, sum_bb, sum_ab[33]; /* products at lags -16..16 */
    float tail_a[16], tail_b[16];
    int64_t n_samples, n_active;
} lfm2_dual_mono;

LFM2_API void lfm2_dual_mono_push(lfm2_dual_mono *d, const float *a, const float *b, int64_t n_samples);

/* 1: the same sound (correlation of at least 0.98 over the active samples at levels up to 20 dB apart, or one channel silent): read
 * the louder one (sum_aa < sum_bb: the second), as the mean of two that are upside down is nothing; 0: they differ;
 * -1: not enough active sound to tell (less than 1 s). */
LFM2_API int lfm2_dual_mono_decide(const lfm2_dual_mono *d, int32_t rate_hz);

LFM2_END_DECLS

#endif
