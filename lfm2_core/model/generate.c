/* SPDX-License-Identifier: Apache-2.0
 * One generation from ids to its end: the scheduler with a single job. */
#include "lfm2/sampler.h"

#include <stddef.h>

#include "base/compiler.h"
#include "model/batch_impl.h"
#include "model/model_impl.h"

static const char *const stop_names[] = {
#define STOP_NAME(name, text) text,
    LFM2_STOP_MAP(STOP_NAME)
#undef STOP_NAME
};

const char *lfm2_stop_name(lfm2_stop stop)
{
    size_t i = (size_t)stop;
    return i < LFM2__COUNT_OF(stop_names) ? stop_names[i] : "?";
}

lfm2_generate_params lfm2_generate_params_default(void)
{
    lfm2_generate_params p = {
        .max_tok = 512,
        .deadline_us = 0,
        .loop_min_tok = 384,
        .loop_min_reps = 24,
        .loop_max_unit = 96,
        .end_ids = NULL,
        .n_end_ids = 0,
    };
    return p;
}

int lfm2_generate(lfm2_session *s, int32_t seq, const int32_t *prompt, int32_t n_prompt, lfm2_sampler *sampler,
                  const lfm2_generate_params *p, float *logits, lfm2_token_fn *fn, void *ctx, lfm2_generation *out)
{
    if (s == NULL || sampler == NULL || p == NULL || logits == NULL || out == NULL) return LFM2_ERR_ARG;
    if (lfm2_session_n_tok(s, seq) < 0) return lfm2__fail(s->m->rt, LFM2_ERR_ARG, "generate: no sequence %d", (int)seq);
    lfm2__run run = {.stop = -1};
    lfm2_span span;
    int32_t queue = 0, last_span = -1;
    uint8_t nonfinite = 0;
    lfm2_batch b = {
        .s = s,
        .first_seq = seq,
        .n_seqs = 1,
        .runs = &run,
        .queue = &queue,
        .spans = &span,
        .last_span = &last_span,
        .nonfinite = &nonfinite,
        .cap_spans = 1,
        .logits = logits,
    };
    const lfm2_prompt_part part = {.n_tok = n_prompt, .ids = prompt};
    const lfm2_job job = {.seq = seq, .parts = &part, .n_parts = 1, .sampler = sampler, .params = *p, .fn = fn, .ctx = ctx};
    int rc = lfm2_batch_submit(&b, &job);
    while (rc == 0) rc = lfm2_batch_step(&b);
    if (rc == LFM2_EOF) rc = run.status;
    if (rc < 0) return rc;
    *out = run.g;
    return 0;
}
