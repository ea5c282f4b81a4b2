/* SPDX-License-Identifier: Apache-2.0
 * One generation under way: what it is at, and what each new row of logits makes of it. */
#ifndef LFM2__JOB_H
#define LFM2__JOB_H

#include "base/compiler.h"
#include "lfm2/batch.h"
#include "model/loop_guard.h"

/* A job that is under way. */
typedef struct lfm2__run {
    lfm2_job job;
    int32_t seq;
    int32_t cap_tok;       /* of the sequence */
    int64_t deadline_us;   /* on the monotonic clock; 0 = none */
    int32_t part, offset;  /* how far the prompt has been read; part == n_parts: all of it */
    int32_t id;            /* the token that was sampled last */
    int32_t stop;          /* why it ends with that token; -1: it does not */
    int status;            /* once it has ended */
    lfm2__loop_guard guard;
    lfm2_generation g;
} lfm2__run;

/* Whether a job may be submitted. Returns 0; LFM2_ERR_ARG, named in the log. *n_prompt: tokens of its prompt. */
int lfm2__job_check(const lfm2_session *s, const lfm2_job *job, int64_t *n_prompt) LFM2__NODISCARD;
/* And whether its prompt fits behind n_held tokens: 0 or LFM2_ERR_RANGE, with the numbers in the log. */
int lfm2__job_check_room(const lfm2_session *s, int64_t n_prompt, int32_t n_held) LFM2__NODISCARD;

/* A job that was checked begins: the sampler learns the ids of the prompt. start_us: from when the deadline counts. */
void lfm2__run_begin(lfm2__run *r, const lfm2_session *s, const lfm2_job *job, int32_t seq, int64_t start_us);

/* What became of the token behind the rows that were read. */
typedef enum lfm2__turn {
    LFM2__TURN_FULL,  /* no token has room any more: g is complete */
    LFM2__TURN_TOKEN  /* id is to be appended; then, if stop >= 0, g is complete */
} lfm2__turn;

/* Take the next token from logits and give it out. Returns an lfm2__turn, or an error. */
int lfm2__run_sample(lfm2__run *r, const lfm2_session *s, const float *logits) LFM2__NODISCARD;

int lfm2__run_is_late(const lfm2__run *r);

#endif
