/* SPDX-License-Identifier: Apache-2.0
 * Reference checks: what the oracle tests share. */
#ifndef LFM2_TEST_ORACLE_H
#define LFM2_TEST_ORACLE_H

#include <stdint.h>

#include "base/json.h"
#include "lfm2/model.h"
#include "lfm2/tokenizer.h"

typedef struct oracle_diff {
    double nmse;       /* sum (a - b)^2 / sum b^2; infinite if a value is not finite */
    double max_abs;
    int64_t first_bad; /* first element that alone is off by more than ten times the allowed root mean square; -1 = none */
} oracle_diff;

/* got against want; limit: greatest NMSE that passes. */
oracle_diff oracle_compare(const float *got, const float *want, int64_t n, double limit);

double oracle_cosine(const float *a, const float *b, int64_t n);

/* A runtime that prints its errors to stderr; ends the program if there is none. */
lfm2_runtime *oracle_runtime(uint32_t cpu_mask);

/* Logits of the last position of a prompt, f32 [n_vocab], to be freed; NULL (said on stderr) on failure. */
float *oracle_last_logits(lfm2_model *m, const int32_t *ids, int32_t n_ids);

/* "dir/name" in a static buffer of its own for each call in turn (4 of them). */
const char *oracle_path(const char *dir, const char *name);

/* cases.json of a folder; NULL (said on stderr) on failure. */
lfm2__json_doc *oracle_cases(lfm2_runtime *rt, const char *dir);

/* Integers of an array, to be freed; *n is their number. */
int32_t *oracle_ids(const lfm2__json *array, int32_t *n);

#endif
