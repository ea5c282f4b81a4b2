/* SPDX-License-Identifier: Apache-2.0
 * One forward pass over a ragged batch: norms, residual sums, layers in order. */
#include <stdio.h>

#include "model/model_impl.h"

int lfm2__backbone_matmul(const lfm2_session *s, float *y, const float *x, int32_t n_tok, const lfm2__mat *w)
{
    return lfm2__matmul_pieces(&s->m->k, s->m->rt, y, x, n_tok, w);
}

/* x += add; y = norm(x). add may be NULL. */
static void add_norm(const lfm2_session *s, float *y, float *x, const float *add, const lfm2__norm *norm, int32_t n_tok)
{
    const lfm2_model *m = s->m;
    lfm2__rows_run(&m->k, m->rt, &(lfm2__rows){ .x = x, .add = add, .scale = 1, .norm = norm, .eps = m->cfg.norm_eps, .y = y,
                                                .n_rows = n_tok, .width = m->cfg.d_model });
}

static void probe(const lfm2_session *s, const char *point, const float *x, int32_t n_tok)
{
    if (s->probe) s->probe(s->probe_ctx, point, x, n_tok, s->m->cfg.d_model);
}

/* The operators leave their result in h; the residual sum is built together with the norm that follows it. */
int lfm2__backbone_pass(lfm2_session *s, const lfm2__batch *b, float *x, float *h)
{
    const lfm2_model *m = s->m;
    const float *pending = NULL;
    probe(s, "embed", x, b->n_tok);
    for (int32_t l = 0; l < m->cfg.n_layers; l++) {
        const lfm2__layer *layer = &m->layers[l];
        if (lfm2__aborted(m->rt)) return LFM2_ERR_ABORTED;
        add_norm(s, h, x, pending, &layer->operator_norm, b->n_tok);
        if (pending && s->probe) {
            char point[24];
            (void)snprintf(point, sizeof(point), "layer.%d", (int)(l - 1));
            probe(s, point, x, b->n_tok);
        }
        int conv = m->cfg.layer_kind[l] == LFM2_LAYER_CONV;
        int rc = conv ? lfm2__shortconv(s, l, b, h, h) : lfm2__attention(s, l, b, h, h);
        if (rc < 0) return rc;
        add_norm(s, h, x, h, &layer->ffn_norm, b->n_tok);
        rc = l < m->cfg.n_dense_layers ? lfm2__ffn(s, l, b->n_tok, h, h) : lfm2__moe(s, l, b->n_tok, h, h);
        if (rc < 0) return rc;
        pending = h;
    }
    add_norm(s, h, x, pending, &m->final_norm, b->n_tok);
    if (s->probe) {
        char point[24];
        (void)snprintf(point, sizeof(point), "layer.%d", (int)(m->cfg.n_layers - 1));
        probe(s, point, x, b->n_tok);
        probe(s, "norm", h, b->n_tok);
    }
    return 0;
}

size_t lfm2__backbone_scratch_bytes(const lfm2_model *m, int32_t n_tok, int32_t n_threads, int32_t cap_tok)
{
    const size_t ops[] = { m->n_conv > 0 ? lfm2__shortconv_scratch_bytes(m, n_tok, n_threads) : 0,
                           m->n_attn > 0 ? lfm2__attention_scratch_bytes(m, n_tok, n_threads, cap_tok) : 0,
                           m->cfg.n_dense_layers > 0 ? lfm2__ffn_scratch_bytes(m, n_tok) : 0,
                           m->cfg.n_dense_layers < m->cfg.n_layers ? lfm2__moe_scratch_bytes(m, n_tok) : 0 };
    size_t most = 0;
    for (size_t i = 0; i < LFM2__COUNT_OF(ops); i++) {
        if (ops[i] > most) most = ops[i];
    }
    return most;
}
