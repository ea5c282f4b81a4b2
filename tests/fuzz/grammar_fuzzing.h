/* SPDX-License-Identifier: Apache-2.0
 * For the fuzz targets and tests of grammars: the shortest text that a grammar accepts, found by the matcher. */
#ifndef GRAMMAR_FUZZING_H
#define GRAMMAR_FUZZING_H

#include <string.h>

#include "pipeline/grammar.h"

/* Its length; -1 if it is longer than cap, -2 if a way that was promised is not there, -3 after an error. */
static inline int64_t shortest_text(const lfm2_grammar *g, char *out, size_t cap)
{
    lfm2__matcher *m = NULL;
    int64_t n = 0;
    if (lfm2_grammar_min_bytes(g) > (int64_t)cap) return -1;
    if (lfm2__matcher_create(g, &m) < 0) return -3;
    int32_t at = lfm2__matcher_start(m);
    while (n >= 0 && lfm2__matcher_min_bytes(m, at) > 0) {
        int found = 0;
        const int32_t left = lfm2__matcher_min_bytes(m, at);
        for (int b = 0; b < 256 && !found && n >= 0; b++) {
            const int32_t to = lfm2__matcher_next(m, at, (uint8_t)b);
            if (to < 0) n = -3;
            if (to < 0 || lfm2__matcher_min_bytes(m, to) != left - 1) continue;
            out[n++] = (char)b;
            at = to;
            found = 1;
        }
        if (!found && n >= 0) n = -2;
    }
    lfm2__matcher_destroy(m);
    return n;
}

#endif
