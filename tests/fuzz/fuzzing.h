/* SPDX-License-Identifier: Apache-2.0
 * For the fuzz targets: a check that stops with a report, and a runtime whose log is looked at. */
#ifndef FUZZING_H
#define FUZZING_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lfm2/runtime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define CHECK(what)                                                            \
    do {                                                                       \
        if (!(what)) {                                                         \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);         \
            abort();                                                           \
        }                                                                      \
    } while (0)

static int n_lines; /* of the log */

/* For targets that call their data "fuzz": every line is an error in it. */
static inline void count_line(void *ctx, lfm2_log_level level, const char *line)
{
    (void)ctx;
    CHECK(level == LFM2_LOG_ERROR);
    CHECK(strncmp(line, "fuzz:", 5) == 0);
    n_lines++;
}

/* For targets whose calls have other labels too: a line has places and counts, no content, so it is short. */
static inline void count_short_line(void *ctx, lfm2_log_level level, const char *line)
{
    const size_t *max_bytes = ctx;
    (void)level;
    CHECK(strlen(line) < *max_bytes);
    n_lines++;
}

/* One for the whole run; max_line_bytes: 0 = lines as count_line() wants them. */
static inline lfm2_runtime *fuzz_runtime(size_t max_line_bytes)
{
    static size_t max_bytes;
    static lfm2_runtime *rt;
    if (rt == NULL) {
        lfm2_runtime_params params = lfm2_runtime_params_default();
        max_bytes = max_line_bytes;
        params.n_threads = 1;
        params.log = max_line_bytes > 0 ? count_short_line : count_line;
        params.log_ctx = &max_bytes;
        CHECK(lfm2_runtime_create(&params, &rt) == 0);
    }
    return rt;
}

#endif
