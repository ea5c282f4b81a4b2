/* SPDX-License-Identifier: Apache-2.0
 * Notices that a generation has fallen into endless repetition. */
#ifndef LFM2__LOOP_GUARD_H
#define LFM2__LOOP_GUARD_H

#include <stdint.h>

#define LFM2__LOOP_MAX_UNIT 512

/* Plain memory; init before use. */
typedef struct lfm2__loop_guard {
    int32_t min_tok;
    int32_t min_reps; /* 0 = never a loop */
    int32_t max_unit;
    int64_t n_tok;                    /* tokens pushed so far */
    int32_t ring[LFM2__LOOP_MAX_UNIT]; /* token i at i % LFM2__LOOP_MAX_UNIT */
    int64_t run[LFM2__LOOP_MAX_UNIT];  /* [u - 1]: newest tokens in a row that equal the one u places before them */
} lfm2__loop_guard;

/* min_tok >= 0, min_reps >= 0, 1 <= max_unit <= LFM2__LOOP_MAX_UNIT (max_unit is not looked at while min_reps is 0). */
void lfm2__loop_guard_init(lfm2__loop_guard *g, int32_t min_tok, int32_t min_reps, int32_t max_unit);

/* Take one more token. Returns 1 if the newest tokens, at least min_tok of them, are at least min_reps whole repetitions of
 * one unit of at most max_unit tokens; otherwise 0. O(max_unit). */
int lfm2__loop_guard_push(lfm2__loop_guard *g, int32_t id);

#endif
