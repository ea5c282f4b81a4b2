/* SPDX-License-Identifier: Apache-2.0
 * Grouped-query attention over a ragged batch and the sequences' caches. */
#include <math.h>
#include <string.h>

#include "model/model_impl.h"

enum { ROWS_PER_TASK = 4 };

typedef struct attn_job {
    const lfm2_session *s;
    int32_t layer;
    const lfm2__batch *b;
    float *q, *k, *v; /* [T, H D], [T, G D], [T, G D] */
    float *o;         /* [T, H D] */
    float *scores;    /* [n_threads, cap_tok] */
    int32_t first_tok; /* of the present piece */
} attn_job;

static void norm_and_turn(const lfm2_model *m, float *x, int32_t n_heads, const float *w, const float *cos, const float *sin)
{
    for (int32_t i = 0; i < n_heads; i++, x += m->cfg.head_dim) {
        m->k.rms_norm(x, x, w, m->cfg.head_dim, m->cfg.norm_eps);
        m->k.rope(x, cos, sin, m->cfg.head_dim);
    }
}

/* Queries and keys of some tokens: norm, rotation; keys and values go into the cache. */
static void prepare_rows(void *ctx, int32_t task, int32_t worker)
{
    const attn_job *job = ctx;
    const lfm2_model *m = job->s->m;
    const lfm2__layer *layer = &m->layers[job->layer];
    const lfm2__batch *b = job->b;
    const size_t gd = (size_t)m->cfg.n_kv_heads * (size_t)m->cfg.head_dim, hd = (size_t)m->cfg.n_heads * (size_t)m->cfg.head_dim;
    const size_t half = (size_t)m->cfg.head_dim / 2;
    int32_t end = (task + 1) * ROWS_PER_TASK;
    if (end > b->n_tok) end = b->n_tok;
    (void)worker;
    for (int32_t t = task * ROWS_PER_TASK; t < end; t++) {
        const float *cos = b->cos + (size_t)t * half, *sin = b->sin + (size_t)t * half;
        float *k = job->k + (size_t)t * gd;
        norm_and_turn(m, job->q + (size_t)t * hd, m->cfg.n_heads, layer->q_norm.data, cos, sin);
        norm_and_turn(m, k, m->cfg.n_kv_heads, layer->k_norm.data, cos, sin);
        size_t at = (size_t)b->pos[t] * gd;
        memcpy(lfm2__cache_k(job->s, job->layer, b->seq[t]) + at, k, gd * sizeof(float));
        memcpy(lfm2__cache_v(job->s, job->layer, b->seq[t]) + at, job->v + (size_t)t * gd, gd * sizeof(float));
    }
}

/* For whoever watches: what the newest token of a sequence attends to. scores: exponentials, not divided by their sum. */
static void keep_weights(const attn_job *job, int32_t t, int32_t head, const float *scores)
{
    const lfm2__batch *b = job->b;
    const lfm2__watch *w = &job->s->watches[b->seq[t]];
    const int32_t n_ctx = b->pos[t] + 1;
    if (!w->weights || (t + 1 < b->n_tok && b->seq[t + 1] == b->seq[t])) return;
    const size_t row = (size_t)job->s->m->layers[job->layer].kind_index * (size_t)job->s->m->cfg.n_heads + (size_t)head;
    float *out = w->weights + row * (size_t)w->n_pos;
    double sum = 0;
    for (int32_t i = 0; i < n_ctx; i++) sum += (double)scores[i];
    for (int32_t i = 0; i < w->n_pos; i++) out[i] = w->first_pos + i < n_ctx ? (float)((double)scores[w->first_pos + i] / sum) : 0;
}

/* One query head of one token. */
static void attend_head(void *ctx, int32_t task, int32_t worker)
{
    const attn_job *job = ctx;
    const lfm2_config *c = &job->s->m->cfg;
    const int32_t t = job->first_tok + task / c->n_heads, head = task % c->n_heads;
    const int32_t kv_head = head / (c->n_heads / c->n_kv_heads);
    const size_t d_head = (size_t)c->head_dim, gd = (size_t)c->n_kv_heads * d_head;
    const size_t at = ((size_t)t * (size_t)c->n_heads + (size_t)head) * d_head;
    const float *k = lfm2__cache_k(job->s, job->layer, job->b->seq[t]) + (size_t)kv_head * d_head;
    const float *v = lfm2__cache_v(job->s, job->layer, job->b->seq[t]) + (size_t)kv_head * d_head;
    float *scores = job->scores + (size_t)worker * (size_t)job->s->p.cap_tok;
    job->s->m->k.attend(job->o + at, job->q + at, k, v, gd, job->b->pos[t] + 1, c->head_dim, 1.0f / sqrtf((float)c->head_dim),
                        scores);
    keep_weights(job, t, head, scores);
}

/* Tokens from first_tok on whose attention is at most LFM2__PIECE_MACS of work; at least one. */
static int32_t piece_of(const attn_job *job)
{
    const lfm2_config *c = &job->s->m->cfg;
    int64_t macs = 0;
    int32_t n = 0;
    while (job->first_tok + n < job->b->n_tok && macs < LFM2__PIECE_MACS) {
        macs += 2 * ((int64_t)job->b->pos[job->first_tok + n] + 1) * c->n_heads * c->head_dim;
        n++;
    }
    return n;
}

static int attend_all(attn_job *job)
{
    const lfm2_model *m = job->s->m;
    lfm2__pool *pool = lfm2__runtime_pool(m->rt);
    lfm2__pool_run(pool, prepare_rows, job, (job->b->n_tok + ROWS_PER_TASK - 1) / ROWS_PER_TASK);
    for (int32_t n; job->first_tok < job->b->n_tok; job->first_tok += n) {
        if (lfm2__aborted(m->rt)) return LFM2_ERR_ABORTED;
        n = piece_of(job);
        lfm2__pool_run(pool, attend_head, job, n * m->cfg.n_heads);
    }
    return 0;
}

int lfm2__attention(lfm2_session *s, int32_t layer, const lfm2__batch *b, const float *h, float *out)
{
    const lfm2_model *m = s->m;
    const lfm2__layer *w = &m->layers[layer];
    const size_t n = (size_t)b->n_tok, d_head = (size_t)m->cfg.head_dim;
    const size_t hd = (size_t)m->cfg.n_heads * d_head, gd = (size_t)m->cfg.n_kv_heads * d_head;
    size_t mark = lfm2__arena_mark(&s->scratch);
    attn_job job = { .s = s, .layer = layer, .b = b };
    job.q = lfm2__arena_alloc(&s->scratch, n, hd * sizeof(float));
    job.k = lfm2__arena_alloc(&s->scratch, n, gd * sizeof(float));
    job.v = lfm2__arena_alloc(&s->scratch, n, gd * sizeof(float));
    job.o = lfm2__arena_alloc(&s->scratch, n, hd * sizeof(float));
    job.scores = lfm2__arena_alloc(&s->scratch, (size_t)s->n_threads, (size_t)s->p.cap_tok * sizeof(float));
    int rc = lfm2__backbone_matmul(s, job.q, h, b->n_tok, &w->wq);
    if (rc == 0) rc = lfm2__backbone_matmul(s, job.k, h, b->n_tok, &w->wk);
    if (rc == 0) rc = lfm2__backbone_matmul(s, job.v, h, b->n_tok, &w->wv);
    if (rc == 0) rc = attend_all(&job);
    if (rc == 0) rc = lfm2__backbone_matmul(s, out, job.o, b->n_tok, &w->wo);
    lfm2__arena_release(&s->scratch, mark);
    return rc;
}

size_t lfm2__attention_scratch_bytes(const lfm2_model *m, int32_t n_tok, int32_t n_threads, int32_t cap_tok)
{
    const size_t n = (size_t)n_tok, d_head = (size_t)m->cfg.head_dim;
    const size_t hd = (size_t)m->cfg.n_heads * d_head, gd = (size_t)m->cfg.n_kv_heads * d_head;
    size_t bytes = lfm2__arena_bytes((size_t)n_threads, (size_t)cap_tok * sizeof(float));
    for (int i = 0; i < 2; i++) {
        bytes = lfm2__bytes_add(bytes, lfm2__arena_bytes(n, hd * sizeof(float)));
        bytes = lfm2__bytes_add(bytes, lfm2__arena_bytes(n, gd * sizeof(float)));
    }
    return bytes;
}
