/* SPDX-License-Identifier: Apache-2.0
 * From the log-probabilities of tokens to a confidence: calibrated where the checkpoint says how. */
#ifndef LFM2__CONFIDENCE_H
#define LFM2__CONFIDENCE_H

#include "base/compiler.h"
#include "lfm2/weights.h"

typedef struct lfm2__confidence {
    int is_calibrated;
    double a, b; /* 1 / (1 + exp(-(a * mean log-probability + b))) */
} lfm2__confidence;

/* The pair that a checkpoint holds for `task` ("see", "hear"): lfm2_confidence of config.json, or lfm2.confidence.TASK of a GGUF
 * file. Neither there, or w NULL: not calibrated. Returns 0; LFM2_ERR_FORMAT (not two finite numbers of moderate size);
 * LFM2_ERR_NOMEM; LFM2_ERR_IO. */
int lfm2__confidence_load(const lfm2_weights *w, const char *task, lfm2__confidence *out) LFM2__NODISCARD;

/* 0..1 from the sum over n_tok tokens; -1 if there is none. Not calibrated: exp of the mean, what a token was worth on average. */
float lfm2__confidence_of(const lfm2__confidence *c, double sum_logprob, int32_t n_tok);

#endif
