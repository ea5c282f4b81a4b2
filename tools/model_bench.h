/* SPDX-License-Identifier: Apache-2.0
 * Measuring: statistics and how they are printed; the steps of a picture or recording. */
#ifndef LFM2_TOOLS_MODEL_BENCH_H
#define LFM2_TOOLS_MODEL_BENCH_H

#include "tools/model_media.h"

#define BENCH_SEED 1

typedef struct stat3 {
    double min, median, max;
} stat3;

/* Sorts the values. */
stat3 bench_stats(double *values, int32_t n);
void bench_put_stat(json_out *j, const char *key, stat3 s);
void bench_print_stat(tool *t, const char *name, stat3 s, const char *unit);

enum { BENCH_N_STEPS = MEDIA_N_STEPS + 1 }; /* and prefill */

/* What --image or --audio costs, step by step. */
typedef struct bench_media {
    model_media media;
    double *ms[BENCH_N_STEPS]; /* [n_reps] */
    int32_t n_reps;
    stat3 stats[BENCH_N_STEPS];
} bench_media;

/* Of the loaded model: from `path`, or made up from the config.json `shape` with weights of `type`. Nothing without a medium; so
 * below. Returns 0 or an exit code. */
int bench_media_run(bench_media *b, const char *path, const char *shape, lfm2_dtype type, int32_t n_reps);
void bench_media_put(const bench_media *b, json_out *j);
void bench_media_print(const bench_media *b);
void bench_media_fini(bench_media *b); /* accepts a zeroed one */

#endif
