/* SPDX-License-Identifier: Apache-2.0
 * The mixture of experts: tokens are sorted by expert, each expert runs once over its tokens. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "model/model_impl.h"

/* [T, k]: chosen experts of each token, ascending, and their weights. */
typedef struct routing {
    int32_t *expert;
    float *weight;
} routing;

/* Take the best expert that is not taken yet; equal scores: the lower index. score[e] = -INFINITY marks a taken one. A score that
 * is no number is never better, so that the first free expert stands for it. */
static int32_t take_best(float *score, int32_t n_experts)
{
    int32_t best = -1;
    for (int32_t e = 0; e < n_experts; e++) {
        if (score[e] == -INFINITY) continue;
        if (best < 0 || score[e] > score[best]) best = e;
    }
    score[best] = -INFINITY;
    return best;
}

/* logits [E] of one token become gates; score: scratch [E]. */
static void route(const lfm2_model *m, const float *bias, float *logits, float *score, int32_t *expert, float *weight)
{
    const lfm2_config *c = &m->cfg;
    for (int32_t e = 0; e < c->n_experts; e++) {
        logits[e] = 1.0f / (1.0f + expf(-logits[e]));
        score[e] = bias ? logits[e] + bias[e] : logits[e];
        if (score[e] == -INFINITY) score[e] = -FLT_MAX;
    }
    for (int32_t i = 0; i < c->n_experts_used; i++) (void)take_best(score, c->n_experts);
    float sum = 0;
    int32_t n = 0;
    for (int32_t e = 0; e < c->n_experts; e++) {
        if (score[e] != -INFINITY) continue;
        expert[n] = e;
        weight[n++] = logits[e];
        sum += logits[e];
    }
    for (int32_t i = 0; i < n; i++) weight[i] = (c->norm_topk ? weight[i] / (sum + 1e-6f) : weight[i]) * c->routed_scale;
}

typedef struct moe_scratch {
    float *sum, *gathered, *result; /* [T, d] */
    float *gate, *up;               /* [T, Fe] */
    float *logits;                  /* [T + 1, E]; the last row is scratch of route() */
    routing r;                      /* [T, k] */
    int32_t *rows;                  /* [T] tokens of the present expert */
    float *weights;                 /* [T] and their weights */
} moe_scratch;

/* Tokens that chose expert e. */
static int32_t gather(const lfm2_model *m, const moe_scratch *x, int32_t e, int32_t n_tok, const float *h)
{
    const int32_t n_used = m->cfg.n_experts_used;
    const size_t d = (size_t)m->cfg.d_model;
    int32_t n = 0;
    for (int32_t i = 0; i < n_tok * n_used; i++) {
        if (x->r.expert[i] != e) continue;
        x->rows[n] = i / n_used;
        x->weights[n] = x->r.weight[i];
        memcpy(x->gathered + (size_t)n * d, h + (size_t)x->rows[n] * d, d * sizeof(float));
        n++;
    }
    return n;
}

static int run_experts(lfm2_session *s, int32_t layer, int32_t n_tok, const float *h, const moe_scratch *x)
{
    const lfm2_model *m = s->m;
    const size_t d = (size_t)m->cfg.d_model;
    memset(x->sum, 0, (size_t)n_tok * d * sizeof(float));
    for (int32_t e = 0; e < m->cfg.n_experts; e++) {
        const lfm2__expert *w = &m->layers[layer].experts[e];
        int32_t n = gather(m, x, e, n_tok, h);
        if (n == 0) continue;
        int rc = lfm2__swiglu(s, &w->w1, &w->w3, &w->w2, n, x->gathered, x->gate, x->up, x->result);
        if (rc < 0) return rc;
        for (int32_t i = 0; i < n; i++)
            m->k.axpy(x->sum + (size_t)x->rows[i] * d, x->weights[i], x->result + (size_t)i * d, m->cfg.d_model);
    }
    return 0;
}

int lfm2__moe(lfm2_session *s, int32_t layer, int32_t n_tok, const float *h, float *out)
{
    const lfm2_model *m = s->m;
    const lfm2__layer *w = &m->layers[layer];
    const size_t n = (size_t)n_tok, d = (size_t)m->cfg.d_model, fe = (size_t)m->cfg.d_ff_expert;
    const size_t n_experts = (size_t)m->cfg.n_experts, n_used = (size_t)m->cfg.n_experts_used;
    size_t mark = lfm2__arena_mark(&s->scratch);
    moe_scratch x = { .sum = lfm2__arena_alloc(&s->scratch, n, d * sizeof(float)) };
    x.gathered = lfm2__arena_alloc(&s->scratch, n, d * sizeof(float));
    x.result = lfm2__arena_alloc(&s->scratch, n, d * sizeof(float));
    x.gate = lfm2__arena_alloc(&s->scratch, n, fe * sizeof(float));
    x.up = lfm2__arena_alloc(&s->scratch, n, fe * sizeof(float));
    x.logits = lfm2__arena_alloc(&s->scratch, n + 1, n_experts * sizeof(float));
    x.r.expert = lfm2__arena_alloc(&s->scratch, n, n_used * sizeof(int32_t));
    x.r.weight = lfm2__arena_alloc(&s->scratch, n, n_used * sizeof(float));
    x.rows = lfm2__arena_alloc(&s->scratch, n, sizeof(int32_t));
    x.weights = lfm2__arena_alloc(&s->scratch, n, sizeof(float));
    int rc = lfm2__backbone_matmul(s, x.logits, h, n_tok, &w->router);
    for (size_t t = 0; rc == 0 && t < n; t++)
        route(m, w->expert_bias.data, x.logits + t * n_experts, x.logits + n * n_experts, x.r.expert + t * n_used,
              x.r.weight + t * n_used);
    if (rc == 0) rc = run_experts(s, layer, n_tok, h, &x);
    if (rc == 0) memcpy(out, x.sum, n * d * sizeof(float));
    lfm2__arena_release(&s->scratch, mark);
    return rc;
}

size_t lfm2__moe_scratch_bytes(const lfm2_model *m, int32_t n_tok)
{
    const size_t n = (size_t)n_tok, d = (size_t)m->cfg.d_model, fe = (size_t)m->cfg.d_ff_expert;
    const size_t widths[] = { d, d, d, fe, fe, (size_t)m->cfg.n_experts_used, (size_t)m->cfg.n_experts_used, 1, 1 };
    size_t bytes = lfm2__arena_bytes(n + 1, (size_t)m->cfg.n_experts * sizeof(float));
    for (size_t i = 0; i < LFM2__COUNT_OF(widths); i++)
        bytes = lfm2__bytes_add(bytes, lfm2__arena_bytes(n, widths[i] * sizeof(float)));
    return bytes;
}
