/* SPDX-License-Identifier: Apache-2.0
 * The generation loop: prompt in, token by token out, until a named reason stops it. */
#include "lfm2/sampler.h"

#include <stddef.h>
#include <time.h>

#include "base/runtime_impl.h"
#include "model/loop_guard.h"
#include "model/model_impl.h"
#include "model/sampler_impl.h"

typedef struct job {
    lfm2_runtime *rt;
    lfm2_session *s;
    int32_t seq;
    int32_t cap_tok;
    lfm2_sampler *sampler;
    const lfm2_generate_params *p;
    float *logits;
    int64_t deadline_us; /* absolute; 0 = none */
} job;

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

static int64_t now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

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

/* Everything that could fail half-way through the prompt is found before its first token. */
static int check_prompt(const job *j, const int32_t *prompt, int32_t n_prompt)
{
    const int32_t n_vocab = lfm2__sampler_n_vocab(j->sampler);
    const int32_t n_held = lfm2_session_n_tok(j->s, j->seq);
    if (n_held < 0) return lfm2__fail(j->rt, LFM2_ERR_ARG, "generate: no sequence %d", (int)j->seq);
    if (prompt == NULL || n_prompt < 1) return lfm2__fail(j->rt, LFM2_ERR_ARG, "generate: the prompt is empty");
    if (n_prompt > j->cap_tok - n_held) {
        return lfm2__fail(j->rt, LFM2_ERR_RANGE,
                          "generate: the prompt has %d tokens, but the context has room for %d (%d tokens, %d of them taken)",
                          (int)n_prompt, (int)(j->cap_tok - n_held), (int)j->cap_tok, (int)n_held);
    }
    for (int32_t i = 0; i < n_prompt; i++) {
        if (prompt[i] < 0 || prompt[i] >= n_vocab) {
            return lfm2__fail(j->rt, LFM2_ERR_ARG, "generate: id at place %d of the prompt is not in 0..%d", (int)i,
                              (int)(n_vocab - 1));
        }
    }
    return 0;
}

static int deadline_passed(const job *j)
{
    return j->deadline_us > 0 && now_us() >= j->deadline_us;
}

static int append(const job *j, const int32_t *ids, int32_t n_tok, lfm2_logits which)
{
    lfm2_span span = {.seq = j->seq, .n_tok = n_tok, .ids = ids, .embed = NULL, .logits = which};
    return lfm2_session_forward(j->s, &span, 1, which == LFM2_LOGITS_NONE ? NULL : j->logits, which == LFM2_LOGITS_NONE ? 0 : 1);
}

/* In parts, so that a deadline need not wait for a long prompt. Returns 0 with *stopped set or not, or an error. */
static int read_prompt(const job *j, const int32_t *prompt, int32_t n_prompt, int32_t part_tok, int *stopped, lfm2_stop *stop)
{
    for (int32_t done = 0; done < n_prompt;) {
        int32_t n_tok = n_prompt - done < part_tok ? n_prompt - done : part_tok;
        if (deadline_passed(j)) {
            *stopped = 1;
            *stop = LFM2_STOP_DEADLINE;
            return 0;
        }
        int rc = append(j, prompt + done, n_tok, done + n_tok == n_prompt ? LFM2_LOGITS_LAST : LFM2_LOGITS_NONE);
        if (rc < 0) return rc;
        done += n_tok;
    }
    return 0;
}

static int is_end(const lfm2_generate_params *p, int32_t id)
{
    for (size_t i = 0; i < p->n_end_ids; i++) {
        if (p->end_ids[i] == id) return 1;
    }
    return 0;
}

/* Why to stop after a token that was given out; -1 to go on. */
static int stop_after(const job *j, const lfm2_generation *g, int called_off, int looping)
{
    if (called_off || lfm2__aborted(j->rt)) return LFM2_STOP_ABORT;
    if (looping) return LFM2_STOP_LOOP;
    if (g->n_tok >= j->p->max_tok) return LFM2_STOP_LENGTH;
    if (lfm2_session_n_tok(j->s, j->seq) + 1 >= j->cap_tok) return LFM2_STOP_LENGTH; /* the token itself takes the last place */
    if (deadline_passed(j)) return LFM2_STOP_DEADLINE;
    return -1;
}

/* From the logits of the prompt's last token to the end. */
static int sample_all(const job *j, lfm2_token_fn *fn, void *ctx, lfm2_generation *g)
{
    lfm2__loop_guard guard;
    lfm2__loop_guard_init(&guard, j->p->loop_min_tok, j->p->loop_min_reps, j->p->loop_max_unit);

    if (lfm2_session_n_tok(j->s, j->seq) >= j->cap_tok) {
        g->stop = LFM2_STOP_LENGTH;
        return 0;
    }
    for (;;) {
        int32_t id = 0;
        float logprob = 0.0f;
        int rc = lfm2_sampler_next(j->sampler, j->logits, &id, &logprob);
        if (rc < 0) return rc;
        int stop = LFM2_STOP_EOS;
        if (!is_end(j->p, id)) {
            g->n_tok++;
            g->sum_logprob += (double)logprob;
            int looping = lfm2__loop_guard_push(&guard, id);
            int called_off = fn != NULL && fn(ctx, id, logprob) != 0;
            stop = stop_after(j, g, called_off, looping);
        }
        rc = append(j, &id, 1, stop < 0 ? LFM2_LOGITS_LAST : LFM2_LOGITS_NONE);
        if (rc < 0 && !(stop >= 0 && rc == LFM2_ERR_ABORTED)) return rc;
        if (stop < 0) continue;
        g->stop = (lfm2_stop)stop;
        return 0;
    }
}

int lfm2_generate(lfm2_session *s, int32_t seq, const int32_t *prompt, int32_t n_prompt, lfm2_sampler *sampler,
                  const lfm2_generate_params *p, float *logits, lfm2_token_fn *fn, void *ctx, lfm2_generation *out)
{
    const int64_t start_us = now_us();
    if (s == NULL || sampler == NULL || p == NULL || logits == NULL || out == NULL) return LFM2_ERR_ARG;
    job j = {
        .rt = lfm2__sampler_runtime(sampler),
        .s = s,
        .seq = seq,
        .cap_tok = s->p.cap_tok,
        .sampler = sampler,
        .p = p,
        .logits = logits,
    };
    const int32_t n_vocab = s->m->cfg.n_vocab;
    if (lfm2__sampler_n_vocab(sampler) != n_vocab) {
        return lfm2__fail(j.rt, LFM2_ERR_ARG, "generate: the sampler is for %d ids, the model has %d",
                          (int)lfm2__sampler_n_vocab(sampler), (int)n_vocab);
    }
    int rc = check_params(j.rt, p);
    if (rc == 0) rc = check_prompt(&j, prompt, n_prompt);
    if (rc < 0) return rc;
    if (p->deadline_us > 0) j.deadline_us = p->deadline_us > INT64_MAX - start_us ? INT64_MAX : start_us + p->deadline_us;

    lfm2_generation g = {.stop = LFM2_STOP_ABORT, .n_tok = 0, .sum_logprob = 0.0};
    int stopped = 0;
    for (int32_t i = 0; i < n_prompt; i++) lfm2_sampler_accept(sampler, prompt[i]);
    rc = read_prompt(&j, prompt, n_prompt, s->p.cap_batch, &stopped, &g.stop);
    if (rc == 0 && !stopped) rc = sample_all(&j, fn, ctx, &g);
    if (rc == LFM2_ERR_ABORTED) {
        g.stop = LFM2_STOP_ABORT;
        rc = 0;
    }
    if (rc < 0) return rc;
    *out = g;
    return 0;
}
