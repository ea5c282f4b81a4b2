/* SPDX-License-Identifier: Apache-2.0
 * Inside of the scheduler, so that one generation can be run on memory of its caller. */
#ifndef LFM2__BATCH_IMPL_H
#define LFM2__BATCH_IMPL_H

#include "model/job.h"

struct lfm2_batch {
    lfm2_session *s;
    int32_t first_seq, n_seqs;
    lfm2__run *runs;     /* [n_seqs] of each sequence; job.sampler NULL = none under way */
    int32_t *queue;      /* [n_seqs] indices of the n_jobs runs under way, in the order in which they came */
    int32_t n_jobs;
    lfm2_span *spans;    /* [cap_spans] */
    int32_t *last_span;  /* [n_seqs] of a run in this step; -1: it takes no part */
    uint8_t *nonfinite;  /* [cap_spans] */
    int32_t cap_spans;   /* >= n_seqs */
    float *logits;       /* [n_seqs, n_vocab] */
    int32_t in_step;
};

#endif
