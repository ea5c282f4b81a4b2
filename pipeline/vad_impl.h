/* SPDX-License-Identifier: Apache-2.0
 * Inside of the voice activity detector. Three steps, a file each: what is measured in a frame of 10 ms (front), how much the last
 * one and a half seconds are like speech (likeness), and where a span begins and ends (vad). */
#ifndef LFM2__VAD_IMPL_H
#define LFM2__VAD_IMPL_H

#include "encoders/fft.h"
#include "lfm2/vad.h"

#define LFM2__VAD_HOP_SAMPLES 160 /* a frame every 10 ms */
#define LFM2__VAD_N_BANDS 16      /* Bark bands from 100 to 3700 Hz: what a telephone lets through, too */
#define LFM2__VAD_LATE_FRAMES 4   /* a frame is measured so many hops after the one in which it begins */
#define LFM2__VAD_CENTRE_SAMPLES 256 /* what a frame measures lies around this sample of it */

typedef struct lfm2__vad_frame {
    float level_db;                     /* of the bands together; a sine of full scale has -3 */
    float band_db[LFM2__VAD_N_BANDS];
    float periodicity;                  /* how well the sound repeats itself at a period of 60..400 Hz: 0..1 */
    float pitch_oct;                    /* log2 of that frequency in Hz */
} lfm2__vad_frame;

/* ---- vad_front.c ---- */

#define LFM2__VAD_LINE (LFM2__VAD_HOP_SAMPLES * (LFM2__VAD_LATE_FRAMES + 1))
#define LFM2__VAD_HALF_TAPS 24
#define LFM2__VAD_LOW 480 /* half-rate samples that the pitch looks at, and a hop */

typedef struct lfm2__vad_front {
    lfm2__fft fft;
    float window[LFM2__FFT_SAMPLES];
    float taps[LFM2__VAD_HALF_TAPS + 1]; /* of the low-pass, from the middle out */
    float line[2 * LFM2__VAD_HALF_TAPS + LFM2__VAD_LINE];
    float low[LFM2__VAD_LOW];
} lfm2__vad_front;

void lfm2__vad_front_init(lfm2__vad_front *f);
void lfm2__vad_front_reset(lfm2__vad_front *f);

/* Take the next hop and measure the frame that begins LFM2__VAD_LATE_FRAMES before it. */
void lfm2__vad_front_step(lfm2__vad_front *f, const float hop[LFM2__VAD_HOP_SAMPLES], lfm2__vad_frame *out);

/* ---- vad_likeness.c ---- */

#define LFM2__VAD_WINDOW_FRAMES 150
#define LFM2__VAD_N_FEATURES 18

/* What can be said about one frame from those before it. */
typedef struct lfm2__vad_mark {
    float level_db;
    float shape_db[LFM2__VAD_N_BANDS]; /* bands without their mean */
    float periodicity, pitch_oct;
    float glide_oct;   /* change of pitch in 30 ms, if it is one line */
    float change_db;   /* of the shape in 40 ms */
    float tilt_db, bulge_db; /* upper against lower bands; middle against outer ones */
    uint8_t voiced, in_line, jumps, lone, active; /* lone: all in one band and its neighbours */
} lfm2__vad_mark;

/* before: the four marks before this one, the newest last. */
void lfm2__vad_mark_frame(const lfm2__vad_frame *frame, const lfm2__vad_mark *const before[4], lfm2__vad_mark *out);

/* Features of the active ones among n_marks <= LFM2__VAD_WINDOW_FRAMES. Returns 1; 0 where they are too few to say anything; -1 if
 * they are a whistle, a siren or another lone tone, however it moves. */
int lfm2__vad_describe(const lfm2__vad_mark *const *marks, int32_t n_marks, float features[LFM2__VAD_N_FEATURES]);

/* Log odds that what has these features is speech. */
double lfm2__vad_judge(const float features[LFM2__VAD_N_FEATURES]);

/* ---- vad.c ---- */

/* For fitting: called with each window's features and the frame that it ends before. NULL = off. */
typedef void lfm2__vad_probe_fn(void *ctx, int64_t end_frame, const float features[LFM2__VAD_N_FEATURES]);
void lfm2__vad_probe(lfm2_vad *v, lfm2__vad_probe_fn *fn, void *ctx);

#endif
