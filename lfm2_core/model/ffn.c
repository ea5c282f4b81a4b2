/* SPDX-License-Identifier: Apache-2.0
 * The dense feed-forward layer. */
#include "model/model_impl.h"

int lfm2__swiglu(const lfm2_session *s, const lfm2__mat *w1, const lfm2__mat *w3, const lfm2__mat *w2, int32_t n_tok,
                 const float *h, float *gate, float *up, float *out)
{
    int rc = lfm2__backbone_matmul(s, gate, h, n_tok, w1);
    if (rc == 0) rc = lfm2__backbone_matmul(s, up, h, n_tok, w3);
    if (rc < 0) return rc;
    lfm2__rows_run(&s->m->k, s->m->rt, &(lfm2__rows){ .x = gate, .act = LFM2__ACT_SILU, .gated = up, .n_rows = n_tok,
                                                      .width = (int32_t)w1->n_rows });
    return lfm2__backbone_matmul(s, out, gate, n_tok, w2);
}

int lfm2__ffn(lfm2_session *s, int32_t layer, int32_t n_tok, const float *h, float *out)
{
    const lfm2__layer *w = &s->m->layers[layer];
    const size_t n = (size_t)n_tok, row_bytes = (size_t)s->m->cfg.d_ff * sizeof(float);
    size_t mark = lfm2__arena_mark(&s->scratch);
    float *gate = lfm2__arena_alloc(&s->scratch, n, row_bytes);
    float *up = lfm2__arena_alloc(&s->scratch, n, row_bytes);
    int rc = lfm2__swiglu(s, &w->w1, &w->w3, &w->w2, n_tok, h, gate, up, out);
    lfm2__arena_release(&s->scratch, mark);
    return rc;
}

size_t lfm2__ffn_scratch_bytes(const lfm2_model *m, int32_t n_tok)
{
    size_t bytes = lfm2__arena_bytes((size_t)n_tok, (size_t)m->cfg.d_ff * sizeof(float));
    return lfm2__bytes_add(bytes, bytes);
}
