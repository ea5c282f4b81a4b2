/* SPDX-License-Identifier: Apache-2.0
 * What audio.c, the readers behind it and the resampler share. */
#ifndef LFM2__AUDIO_IMPL_H
#define LFM2__AUDIO_IMPL_H

#include "base/compiler.h"
#include "base/infile.h"
#include "lfm2/audio.h"

#define LFM2__AUDIO_PIECE 1024 /* most samples that a reader gives at once */
#define LFM2__AUDIO_MIN_HZ 1000
#define LFM2__AUDIO_MAX_HZ 384000

/* Samples of all channels, valid until the reader's next call. Pieces follow each other without holes; the rate may change. */
typedef struct lfm2__audio_piece {
    const float *planes[LFM2_AUDIO_MAX_CHANNELS];
    int32_t n_samples; /* 1..LFM2__AUDIO_PIECE */
    int32_t rate_hz;   /* LFM2__AUDIO_MIN_HZ..LFM2__AUDIO_MAX_HZ */
} lfm2__audio_piece;

/* One that gives a file's sound at its own rate. next: 0; LFM2_EOF; errors of lfm2_audio_read(). */
typedef struct lfm2__audio_reader {
    void *ctx;
    int (*next)(void *ctx, lfm2__audio_piece *out);
    void (*close)(void *ctx);
} lfm2__audio_reader;

/* How a reader is opened. damage outlives it and is counted up by it. */
typedef struct lfm2__audio_from {
    lfm2_runtime *rt;
    lfm2__infile *file; /* borrowed */
    const lfm2_audio_params *params;
    lfm2_audio_damage *damage;
} lfm2__audio_from;

/* Each fills info, its rate_hz excepted, with what the file says. Errors of lfm2_audio_open(). */
int lfm2__audio_pcm_open(const lfm2__audio_from *from, lfm2_audio_info *info, lfm2__audio_reader *out) LFM2__NODISCARD;
int lfm2__audio_av_open(const lfm2__audio_from *from, lfm2_audio_info *info, lfm2__audio_reader *out) LFM2__NODISCARD;

/* Samples of a rate nearest to a time, and the other way round; nothing overflows for times >= 0 and rates as above. */
int64_t lfm2__audio_us_to_samples(int64_t us, int32_t rate_hz);
int64_t lfm2__audio_samples_to_us(int64_t n_samples, int32_t rate_hz);

/* Whether a file that can be sought in is shorter than its first bytes say. It is not read on after that. */
int lfm2__audio_is_cut(lfm2__infile *file);

/* NaN becomes 0, what is beyond +-16 becomes +-1, each counted; all else stays. */
void lfm2__audio_clean(float *x, int32_t n, int64_t *n_bad);

/* --- the time line: where on it a frame of sound belongs --- */

typedef struct lfm2__audio_line {
    double offset_s;   /* subtracted from time stamps */
    double expected_s; /* stamp behind the last frame; NaN before the first */
    double max_gap_s;
    lfm2_audio_damage *damage;
} lfm2__audio_line;

void lfm2__audio_line_init(lfm2__audio_line *line, double offset_s, int64_t max_gap_us, lfm2_audio_damage *damage);

/* Seconds of silence to put before a frame. at_s: where the line stands; stamp_s: of the frame, NaN = none; next_s: of the frame
 * behind it, less the silence that is known to lie between them, NaN = none. A stamp that the next one contradicts counts for
 * nothing. */
double lfm2__audio_line_place(lfm2__audio_line *line, double at_s, double stamp_s, double frame_s, double next_s);

/* --- the resampler --- */

typedef struct lfm2__resampler lfm2__resampler;

/* Returns 0; LFM2_ERR_UNSUPPORTED (this build has none); LFM2_ERR_NOMEM. */
int lfm2__resampler_create(lfm2_runtime *rt, int32_t n_channels, int32_t from_hz, int32_t to_hz, lfm2__resampler **out)
    LFM2__NODISCARD;
void lfm2__resampler_destroy(lfm2__resampler *r); /* NULL is allowed */

/* Takes all of n_in samples, gives up to cap; again with n_in = 0 until it gives none. in == NULL: there will be no more. Sample k
 * that comes out lies at the time k / to_hz of what went in. Returns 0 or LFM2_ERR_NOMEM. */
int lfm2__resampler_run(lfm2__resampler *r, const float *const *in, int32_t n_in, float *const *out, int32_t cap, int32_t *n_out)
    LFM2__NODISCARD;

/* For tests and fuzzing: lfm2_audio_open() over bytes that stay the caller's. */
int lfm2__audio_open_memory(lfm2_runtime *rt, const void *data, size_t n, const char *name, const lfm2_audio_params *params,
                            lfm2_audio_source **out) LFM2__NODISCARD;

#endif
