/* SPDX-License-Identifier: Apache-2.0
 * Loop guard: for each unit length, how long the newest tokens have been repeating with that period. */
#include "model/loop_guard.h"

#include <string.h>

void lfm2__loop_guard_init(lfm2__loop_guard *g, int32_t min_tok, int32_t min_reps, int32_t max_unit)
{
    memset(g, 0, sizeof(*g));
    g->min_tok = min_tok;
    g->min_reps = min_reps;
    g->max_unit = max_unit;
}

int lfm2__loop_guard_push(lfm2__loop_guard *g, int32_t id)
{
    if (g->min_reps == 0) return 0;
    int loop = 0;
    int64_t t = g->n_tok;
    for (int32_t u = 1; u <= g->max_unit && u <= t; u++) {
        int64_t *run = &g->run[u - 1];
        if (g->ring[(t - u) % LFM2__LOOP_MAX_UNIT] != id) {
            *run = 0;
            continue;
        }
        (*run)++;
        /* The first unit repeats nothing but belongs to the stretch. */
        int64_t stretch_tok = *run + u;
        if (stretch_tok >= g->min_tok && stretch_tok / u >= g->min_reps) loop = 1;
    }
    g->ring[t % LFM2__LOOP_MAX_UNIT] = id;
    g->n_tok++;
    return loop;
}
