/* SPDX-License-Identifier: Apache-2.0
 * The scheduler: in every step each sequence that decodes takes part with a token, and what room is left is for prompts. */
#include "lfm2/batch.h"

#include "base/runtime_impl.h"
#include "model/batch_impl.h"
#include "model/model_impl.h"

enum { MAX_PROMPT_SPANS = 64 }; /* in one step; more parts wait for the next */

/* ---- Life ---- */

int lfm2_batch_create(lfm2_session *s, int32_t first_seq, int32_t n_seqs, lfm2_batch **out)
{
    if (s == NULL || out == NULL) return LFM2_ERR_ARG;
    lfm2_runtime *rt = s->m->rt;
    if (first_seq < 0 || n_seqs < 1 || n_seqs > s->p.n_seqs || first_seq > s->p.n_seqs - n_seqs) {
        return lfm2__fail(rt, LFM2_ERR_ARG, "batch: the session has no sequences %d to %lld", (int)first_seq,
                          (long long)first_seq + n_seqs - 1);
    }
    const size_t n = (size_t)n_seqs, n_spans = n + MAX_PROMPT_SPANS;
    lfm2_batch *b = lfm2__calloc(rt, 1, sizeof(*b));
    if (b == NULL) return LFM2_ERR_NOMEM;
    b->s = s;
    b->first_seq = first_seq;
    b->n_seqs = n_seqs;
    b->cap_spans = (int32_t)n_spans;
    b->runs = lfm2__calloc(rt, n, sizeof(*b->runs));
    b->queue = lfm2__calloc(rt, n, sizeof(*b->queue));
    b->last_span = lfm2__calloc(rt, n, sizeof(*b->last_span));
    b->spans = lfm2__calloc(rt, n_spans, sizeof(*b->spans));
    b->nonfinite = lfm2__calloc(rt, n_spans, sizeof(*b->nonfinite));
    b->logits = lfm2__calloc(rt, n, (size_t)s->m->cfg.n_vocab * sizeof(float));
    if (!b->runs || !b->queue || !b->last_span || !b->spans || !b->nonfinite || !b->logits) {
        lfm2_batch_destroy(b);
        return lfm2__fail(rt, LFM2_ERR_NOMEM, "batch: no memory for %d sequences", (int)n_seqs);
    }
    *out = b;
    return 0;
}

void lfm2_batch_destroy(lfm2_batch *b)
{
    if (b == NULL) return;
    lfm2_runtime *rt = b->s->m->rt;
    lfm2__free(rt, b->logits);
    lfm2__free(rt, b->nonfinite);
    lfm2__free(rt, b->spans);
    lfm2__free(rt, b->last_span);
    lfm2__free(rt, b->queue);
    lfm2__free(rt, b->runs);
    lfm2__free(rt, b);
}

int32_t lfm2_batch_n_jobs(const lfm2_batch *b)
{
    return b == NULL ? 0 : b->n_jobs;
}

/* ---- Jobs in ---- */

static int is_busy(const lfm2_batch *b, int32_t i)
{
    return b->runs[i].job.sampler != NULL;
}

static int sampler_is_lent(const lfm2_batch *b, const lfm2_sampler *sampler)
{
    for (int32_t i = 0; i < b->n_seqs; i++) {
        if (b->runs[i].job.sampler == sampler) return 1;
    }
    return 0;
}

/* Index of the run that a job may have, or -1. */
static int32_t find_run(const lfm2_batch *b, const lfm2_job *job)
{
    if (job->seq >= 0) return is_busy(b, job->seq - b->first_seq) ? -1 : job->seq - b->first_seq;
    for (int32_t i = 0; i < b->n_seqs; i++) {
        if (!is_busy(b, i)) return i;
    }
    return -1;
}

int lfm2_batch_submit(lfm2_batch *b, const lfm2_job *job)
{
    const int64_t start_us = lfm2__now_us();
    int64_t n_prompt = 0;
    if (b == NULL || job == NULL) return LFM2_ERR_ARG;
    lfm2_runtime *rt = b->s->m->rt;
    if (b->in_step) return lfm2__fail(rt, LFM2_ERR_STATE, "batch: a job from within a step");
    if (job->seq < -1 || (job->seq >= 0 && (job->seq < b->first_seq || job->seq - b->first_seq >= b->n_seqs))) {
        return lfm2__fail(rt, LFM2_ERR_ARG, "generate: no sequence %d", (int)job->seq);
    }
    int rc = lfm2__job_check(b->s, job, &n_prompt);
    if (rc < 0) return rc;
    if (sampler_is_lent(b, job->sampler)) return lfm2__fail(rt, LFM2_ERR_ARG, "batch: another job has the sampler");
    const int32_t i = find_run(b, job);
    if (i < 0) return LFM2_AGAIN;
    const int32_t seq = b->first_seq + i;
    rc = lfm2__job_check_room(b->s, n_prompt, job->seq < 0 ? 0 : lfm2_session_n_tok(b->s, seq));
    if (rc < 0) return rc;
    if (job->seq < 0) (void)lfm2_session_clear(b->s, seq);
    lfm2__run_begin(&b->runs[i], b->s, job, seq, start_us);
    b->queue[b->n_jobs++] = i;
    return 0;
}

/* ---- Jobs out ---- */

static void finish(lfm2__run *r, int status)
{
    r->status = status;
    r->job.sampler = NULL;
    if (r->job.done != NULL) r->job.done(r->job.ctx, status, &r->g);
}

/* Close the gaps that finished jobs have left in the queue. */
static void close_ranks(lfm2_batch *b)
{
    int32_t n = 0;
    for (int32_t k = 0; k < b->n_jobs; k++) {
        if (is_busy(b, b->queue[k])) b->queue[n++] = b->queue[k];
    }
    b->n_jobs = n;
}

/* All of them, because of what concerns all. A job that had only its last token to append is complete nevertheless. */
static void finish_all(lfm2_batch *b, int status)
{
    for (int32_t k = 0; k < b->n_jobs; k++) {
        lfm2__run *r = &b->runs[b->queue[k]];
        (void)lfm2_session_clear(b->s, r->seq);
        finish(r, status == LFM2_ERR_ABORTED ? 0 : status);
    }
}

/* ---- A step ---- */

static int reads_prompt(const lfm2__run *r)
{
    return r->part < r->job.n_parts;
}

/* Sequences that decode: one token each, whatever else there is to do. Returns the number of spans. */
static int32_t gather_tokens(lfm2_batch *b)
{
    int32_t n = 0;
    for (int32_t k = 0; k < b->n_jobs; k++) {
        const int32_t i = b->queue[k];
        const lfm2__run *r = &b->runs[i];
        b->last_span[i] = -1;
        if (reads_prompt(r)) continue;
        b->last_span[i] = n;
        b->spans[n++] = (lfm2_span){.seq = r->seq, .n_tok = 1, .ids = &r->id,
                                    .logits = r->stop < 0 ? LFM2_LOGITS_LAST : LFM2_LOGITS_NONE};
    }
    return n;
}

/* The next tokens of one prompt, at most room. Returns how many. */
static int32_t gather_prompt(lfm2_batch *b, int32_t i, int32_t room, int32_t *n_spans)
{
    lfm2__run *r = &b->runs[i];
    const size_t d = (size_t)b->s->m->cfg.d_model;
    int32_t n_taken = 0;
    while (n_taken < room && reads_prompt(r) && *n_spans < b->cap_spans) {
        const lfm2_prompt_part *part = &r->job.parts[r->part];
        lfm2_span *span = &b->spans[*n_spans];
        int32_t n_tok = part->n_tok - r->offset;
        if (n_tok > room - n_taken) n_tok = room - n_taken;
        *span = (lfm2_span){.seq = r->seq, .n_tok = n_tok, .logits = LFM2_LOGITS_NONE};
        if (part->ids != NULL) span->ids = part->ids + r->offset;
        else span->embed = part->embed + (size_t)r->offset * d;
        b->last_span[i] = (*n_spans)++;
        n_taken += n_tok;
        r->offset += n_tok;
        if (r->offset < part->n_tok) continue;
        r->part++;
        r->offset = 0;
        if (!reads_prompt(r)) span->logits = LFM2_LOGITS_LAST;
    }
    return n_taken;
}

/* Prompts in the order in which they came, as many tokens as still fit the pass. */
static int32_t gather_prompts(lfm2_batch *b, int32_t n_spans)
{
    int32_t room = b->s->p.cap_batch - n_spans % b->s->p.cap_batch;
    for (int32_t k = 0; k < b->n_jobs && room > 0; k++) {
        const int32_t i = b->queue[k];
        if (reads_prompt(&b->runs[i])) room -= gather_prompt(b, i, room, &n_spans);
    }
    return n_spans;
}

/* Prompts whose time is up are read no further. */
static void drop_late(lfm2_batch *b)
{
    for (int32_t k = 0; k < b->n_jobs; k++) {
        lfm2__run *r = &b->runs[b->queue[k]];
        if (!reads_prompt(r) || !lfm2__run_is_late(r)) continue;
        r->g.stop = LFM2_STOP_DEADLINE;
        finish(r, 0);
    }
    close_ranks(b);
}

/* What a run makes of its part of a pass. */
static void take_row(lfm2_batch *b, lfm2__run *r, int32_t span, const float *logits)
{
    if (b->spans[span].logits == LFM2_LOGITS_NONE) {
        if (r->stop >= 0) finish(r, 0);
        return;
    }
    if (b->nonfinite[span]) {
        finish(r, LFM2_ERR_NONFINITE);
        return;
    }
    int turn = lfm2__run_sample(r, b->s, logits);
    if (turn < 0) finish(r, turn);
    else if (turn == LFM2__TURN_FULL) finish(r, 0);
    else if (r->stop >= 0 && r->job.seq < 0) finish(r, 0); /* nobody will go on with this sequence */
}

/* Rows of logits stand in the order of the spans, and those in the order of the queue: first who decodes, then prompts. */
static void take_rows(lfm2_batch *b, int32_t n_spans)
{
    const size_t n_vocab = (size_t)b->s->m->cfg.n_vocab;
    const float *logits = b->logits;
    for (int32_t n = 0; n < n_spans; n++) {
        const lfm2_span *span = &b->spans[n];
        const int32_t i = span->seq - b->first_seq;
        if (b->last_span[i] != n) continue;
        const int asked = span->logits != LFM2_LOGITS_NONE;
        take_row(b, &b->runs[i], n, logits);
        if (asked) logits += n_vocab;
    }
}

int lfm2_batch_step(lfm2_batch *b)
{
    if (b == NULL) return LFM2_ERR_ARG;
    if (b->in_step) return lfm2__fail(b->s->m->rt, LFM2_ERR_STATE, "batch: a step from within a step");
    int rc = 0;
    b->in_step = 1;
    drop_late(b);
    const int32_t n_spans = gather_prompts(b, gather_tokens(b));
    if (n_spans > 0) rc = lfm2__session_append(b->s, b->spans, n_spans, b->logits, b->n_seqs, b->nonfinite);
    if (rc < 0) finish_all(b, rc);
    else take_rows(b, n_spans);
    close_ranks(b);
    b->in_step = 0;
    if (rc < 0 && rc != LFM2_ERR_ABORTED) return rc;
    return b->n_jobs > 0 ? 0 : LFM2_EOF;
}
