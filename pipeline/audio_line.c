/* SPDX-License-Identifier: Apache-2.0
 * The time line of a recording: holes in its time stamps become silence, sound is never dropped, and a single stamp that its
 * neighbours contradict moves nothing. */
#include <math.h>

#include "pipeline/audio_impl.h"

#define NEAR_S 0.04   /* containers round their stamps and jitter; less than this moves nothing */
#define FIRST_S 0.002 /* the first stamp has no jitter, only rounding */
#define RESTART_S 1.0 /* stamps this far back, two in a row: the clock has been set back */

void lfm2__audio_line_init(lfm2__audio_line *line, double offset_s, int64_t max_gap_us, lfm2_audio_damage *damage)
{
    *line = (lfm2__audio_line){offset_s, NAN, (double)max_gap_us / 1e6, damage};
}

/* Whether the stamp jumps although the frames before and behind it are where they should be. */
static int is_contradicted(const lfm2__audio_line *line, double at_s, double stamp_s, double frame_s, double next_s)
{
    if (isnan(next_s)) return 0;
    if (fabs(next_s - line->offset_s - at_s - frame_s) <= NEAR_S) return 1;
    return stamp_s > line->offset_s + at_s && next_s < stamp_s;
}

/* The first frame: a film's sound may begin later than its picture; otherwise the line begins with it. */
static double place_first(lfm2__audio_line *line, double ahead)
{
    const double fill = ahead > FIRST_S ? fmin(ahead, line->max_gap_s) : 0;
    line->offset_s += ahead - fill;
    return fill;
}

static double place(lfm2__audio_line *line, double at_s, double stamp_s, double frame_s, double next_s)
{
    const double ahead = stamp_s - line->offset_s - at_s;
    if (isnan(line->expected_s)) return place_first(line, ahead);
    if (fabs(ahead) <= NEAR_S) return 0;
    if (is_contradicted(line, at_s, stamp_s, frame_s, next_s)) {
        line->damage->n_backwards++;
        return 0;
    }
    if (stamp_s < line->expected_s - NEAR_S) line->damage->n_backwards++;
    if (ahead < 0) {
        const int agrees = isnan(next_s) || fabs(next_s - stamp_s - frame_s) <= NEAR_S;
        if (ahead < -RESTART_S && agrees) line->offset_s += ahead;
        return 0;
    }
    const double fill = fmin(ahead, line->max_gap_s);
    line->offset_s += ahead - fill;
    line->damage->n_gaps++;
    line->damage->gap_us += llround(fill * 1e6);
    return fill;
}

double lfm2__audio_line_place(lfm2__audio_line *line, double at_s, double stamp_s, double frame_s, double next_s)
{
    if (isnan(stamp_s)) {
        line->expected_s += frame_s;
        return 0;
    }
    const double fill = place(line, at_s, stamp_s, frame_s, next_s);
    line->expected_s = stamp_s + frame_s;
    return fill;
}
