/* SPDX-License-Identifier: Apache-2.0
 * One generation: its arguments, its tokens, and the named reasons to stop. */
#include "model/job.h"

#include <string.h>

#include "base/runtime_impl.h"
#include "model/model_impl.h"
#include "model/sampler_impl.h"

static int check_params(lfm2_runtime *rt, const lfm2_generate_params *p)
{
    if (p->max_tok < 1) return lfm2__fail(rt, LFM2_ERR_ARG, "generate: max_tok %d is below 1", (int)p->max_tok);
    if (p->deadline_us < 0) return lfm2__fail(rt, LFM2_ERR_ARG, "generate: deadline_us is negative");
    if (p->loop_min_reps < 0 || p->loop_min_reps == 1) {
        return lfm2__fail(rt, LFM2_ERR_ARG, "generate: loop_min_reps %d is neither 0 nor above 1", (int)p->loop_min_reps);
    }
    if (p->loop_min_reps > 0 && (p->loop_max_unit < 1 || p->loop_max_unit > LFM2__LOOP_MAX_UNIT)) {
        return lfm2__fail(rt, LFM2_ERR_ARG, "generate: loop_max_unit %d is not in 1..%d", (int)p->loop_max_unit,
                          LFM2__LOOP_MAX_UNIT);
    }
    if (p->loop_min_tok < 0) return lfm2__fail(rt, LFM2_ERR_ARG, "generate: loop_min_tok %d is negative", (int)p->loop_min_tok);
    if (p->n_end_ids > 0 && p->end_ids == NULL) return lfm2__fail(rt, LFM2_ERR_ARG, "generate: end_ids is missing");
    return 0;
}

/* Part i of a prompt; n_before tokens are in those before it. */
static int check_part(lfm2_runtime *rt, const lfm2_prompt_part *part, int32_t i, int64_t n_before, int32_t n_vocab)
{
    if (part->n_tok < 1 || (part->ids != NULL) == (part->embed != NULL)) {
        return lfm2__fail(rt, LFM2_ERR_ARG, "generate: part %d of the prompt is empty, or not one of ids and embeddings", (int)i);
    }
    for (int32_t j = 0; part->ids != NULL && j < part->n_tok; j++) {
        if (part->ids[j] < 0 || part->ids[j] >= n_vocab) {
            return lfm2__fail(rt, LFM2_ERR_ARG, "generate: id at place %lld of the prompt is not in 0..%d",
                              (long long)(n_before + j),
                              (int)(n_vocab - 1));
        }
    }
    return 0;
}

int lfm2__job_check(const lfm2_session *s, const lfm2_job *job, int64_t *n_prompt)
{
    lfm2_runtime *rt = s->m->rt;
    const int32_t n_vocab = s->m->cfg.n_vocab;
    int64_t n = 0;
    if (job->sampler == NULL) return lfm2__fail(rt, LFM2_ERR_ARG, "generate: no sampler");
    if (lfm2__sampler_n_vocab(job->sampler) != n_vocab) {
        return lfm2__fail(rt, LFM2_ERR_ARG, "generate: the sampler is for %d ids, the model has %d",
                          (int)lfm2__sampler_n_vocab(job->sampler), (int)n_vocab);
    }
    int rc = check_params(rt, &job->params);
    if (rc == 0 && (job->parts == NULL || job->n_parts < 1)) rc = lfm2__fail(rt, LFM2_ERR_ARG, "generate: the prompt is empty");
    for (int32_t i = 0; rc == 0 && i < job->n_parts; i++) {
        rc = check_part(rt, &job->parts[i], i, n, n_vocab);
        n += job->parts[i].n_tok;
    }
    if (rc == 0) *n_prompt = n;
    return rc;
}

int lfm2__job_check_room(const lfm2_session *s, int64_t n_prompt, int32_t n_held)
{
    const int32_t cap_tok = s->p.cap_tok;
    if (n_prompt <= cap_tok - n_held) return 0;
    return lfm2__fail(s->m->rt, LFM2_ERR_RANGE,
                      "generate: the prompt has %lld tokens, but the context has room for %d (%d tokens, %d of them taken)",
                      (long long)n_prompt, (int)(cap_tok - n_held), (int)cap_tok, (int)n_held);
}

void lfm2__run_begin(lfm2__run *r, const lfm2_session *s, const lfm2_job *job, int32_t seq, int64_t start_us)
{
    const lfm2_generate_params *p = &job->params;
    memset(r, 0, sizeof(*r));
    r->job = *job;
    r->seq = seq;
    r->cap_tok = s->p.cap_tok;
    r->stop = -1;
    r->g.stop = LFM2_STOP_ABORT;
    if (p->deadline_us > 0) r->deadline_us = p->deadline_us > INT64_MAX - start_us ? INT64_MAX : start_us + p->deadline_us;
    lfm2__loop_guard_init(&r->guard, p->loop_min_tok, p->loop_min_reps, p->loop_max_unit);
    for (int32_t i = 0; i < job->n_parts; i++) {
        for (int32_t j = 0; job->parts[i].ids != NULL && j < job->parts[i].n_tok; j++) {
            lfm2_sampler_accept(job->sampler, job->parts[i].ids[j]);
        }
    }
}

int lfm2__run_is_late(const lfm2__run *r)
{
    return r->deadline_us > 0 && lfm2__now_us() >= r->deadline_us;
}

static int is_end(const lfm2_generate_params *p, int32_t id)
{
    for (size_t i = 0; i < p->n_end_ids; i++) {
        if (p->end_ids[i] == id) return 1;
    }
    return 0;
}

/* Why to stop after a token that was given out; -1 to go on. */
static int stop_after(const lfm2__run *r, const lfm2_session *s, int called_off, int looping)
{
    if (called_off || lfm2__aborted(s->m->rt)) return LFM2_STOP_ABORT;
    if (looping) return LFM2_STOP_LOOP;
    if (r->g.n_tok >= r->job.params.max_tok) return LFM2_STOP_LENGTH;
    if (lfm2_session_n_tok(s, r->seq) + 1 >= r->cap_tok) return LFM2_STOP_LENGTH; /* the token itself takes the last place */
    if (lfm2__run_is_late(r)) return LFM2_STOP_DEADLINE;
    return -1;
}

int lfm2__run_sample(lfm2__run *r, const lfm2_session *s, const float *logits)
{
    float logprob = 0.0f;
    if (lfm2_session_n_tok(s, r->seq) >= r->cap_tok) {
        r->g.stop = LFM2_STOP_LENGTH;
        return LFM2__TURN_FULL;
    }
    int rc = lfm2_sampler_next(r->job.sampler, logits, &r->id, &logprob);
    if (rc < 0) return rc;
    r->stop = LFM2_STOP_EOS;
    if (!is_end(&r->job.params, r->id)) {
        r->g.n_tok++;
        r->g.sum_logprob += (double)logprob;
        int looping = lfm2__loop_guard_push(&r->guard, r->id);
        int called_off = r->job.fn != NULL && r->job.fn(r->job.ctx, r->id, logprob) != 0;
        r->stop = stop_after(r, s, called_off, looping);
    }
    if (r->stop >= 0) r->g.stop = (lfm2_stop)r->stop;
    return LFM2__TURN_TOKEN;
}
