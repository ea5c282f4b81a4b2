/* SPDX-License-Identifier: Apache-2.0
 * Where a session keeps keys, values and convolution history; shortening, copying and emptying sequences. */
#include <string.h>

#include "base/mathsafe.h"
#include "model/model_impl.h"

static size_t product(size_t a, size_t b)
{
    return lfm2__mul_size(a, b, &a) < 0 ? SIZE_MAX : a;
}

static size_t kv_width(const lfm2_model *m)
{
    return (size_t)m->cfg.n_kv_heads * (size_t)m->cfg.head_dim;
}

int32_t lfm2__cache_n_hist(const lfm2_model *m, const lfm2_session_params *p)
{
    return m->cfg.n_taps - 1 + p->cap_rewind;
}

size_t lfm2__cache_kv_bytes(const lfm2_model *m, const lfm2_session_params *p)
{
    size_t rows = product(product((size_t)m->n_attn * 2, (size_t)p->n_seqs), (size_t)p->cap_tok);
    return product(product(rows, kv_width(m)), sizeof(float));
}

size_t lfm2__cache_hist_bytes(const lfm2_model *m, const lfm2_session_params *p)
{
    size_t rows = product(product((size_t)m->n_conv, (size_t)p->n_seqs), (size_t)lfm2__cache_n_hist(m, p));
    return product(product(rows, (size_t)m->cfg.d_model), sizeof(float));
}

float *lfm2__cache_k(const lfm2_session *s, int32_t layer, int32_t seq)
{
    size_t block = (size_t)s->m->layers[layer].kind_index * (size_t)s->p.n_seqs + (size_t)seq;
    return s->kv + block * 2 * (size_t)s->p.cap_tok * kv_width(s->m);
}

float *lfm2__cache_v(const lfm2_session *s, int32_t layer, int32_t seq)
{
    return lfm2__cache_k(s, layer, seq) + (size_t)s->p.cap_tok * kv_width(s->m);
}

float *lfm2__cache_u(const lfm2_session *s, int32_t layer, int32_t seq, int32_t pos)
{
    size_t block = (size_t)s->m->layers[layer].kind_index * (size_t)s->p.n_seqs + (size_t)seq;
    return s->hist + (block * (size_t)s->n_hist + (size_t)(pos % s->n_hist)) * (size_t)s->m->cfg.d_model;
}

int32_t lfm2__cache_hist_from(const lfm2_session *s, int32_t from, int32_t n_tok)
{
    int32_t oldest = n_tok > s->n_hist ? n_tok - s->n_hist : 0;
    return from > oldest ? from : oldest;
}

static int bad_seq(const lfm2_session *s, int32_t seq)
{
    return !s || seq < 0 || seq >= s->p.n_seqs;
}

int32_t lfm2_session_n_tok(const lfm2_session *s, int32_t seq)
{
    return bad_seq(s, seq) ? -1 : s->seqs[seq].n_tok;
}

int lfm2_session_clear(lfm2_session *s, int32_t seq)
{
    if (bad_seq(s, seq)) return LFM2_ERR_ARG;
    s->seqs[seq].n_tok = 0;
    s->seqs[seq].hist_from = 0;
    return 0;
}

int lfm2_session_truncate(lfm2_session *s, int32_t seq, int32_t n_tok)
{
    if (bad_seq(s, seq) || n_tok < 0 || n_tok > s->seqs[seq].n_tok) return LFM2_ERR_ARG;
    lfm2__seq *q = &s->seqs[seq];
    if (n_tok == q->n_tok) return 0;
    if (n_tok == 0) return lfm2_session_clear(s, seq);
    int32_t needed = n_tok - (s->m->cfg.n_taps - 1);
    if (needed < 0) needed = 0;
    if (q->n_tok - n_tok > s->p.cap_rewind || needed < q->hist_from)
        return lfm2__fail(s->m->rt, LFM2_ERR_STATE, "sequence %d cannot be shortened from %d to %d tokens: cap_rewind is %d",
                          (int)seq,
                          (int)q->n_tok, (int)n_tok, (int)s->p.cap_rewind);
    q->n_tok = n_tok;
    return 0;
}

int lfm2_session_clone(lfm2_session *s, int32_t src, int32_t dst)
{
    if (bad_seq(s, src) || bad_seq(s, dst)) return LFM2_ERR_ARG;
    if (src == dst) return 0;
    const lfm2_model *m = s->m;
    const lfm2__seq *from = &s->seqs[src];
    const size_t kv_bytes = (size_t)from->n_tok * kv_width(m) * sizeof(float);
    for (int32_t l = 0; l < m->cfg.n_layers; l++) {
        if (m->cfg.layer_kind[l] == LFM2_LAYER_ATTN) {
            memcpy(lfm2__cache_k(s, l, dst), lfm2__cache_k(s, l, src), kv_bytes);
            memcpy(lfm2__cache_v(s, l, dst), lfm2__cache_v(s, l, src), kv_bytes);
            continue;
        }
        for (int32_t pos = from->hist_from; pos < from->n_tok; pos++)
            memcpy(lfm2__cache_u(s, l, dst, pos), lfm2__cache_u(s, l, src, pos), (size_t)m->cfg.d_model * sizeof(float));
    }
    s->seqs[dst].n_tok = from->n_tok;
    s->seqs[dst].hist_from = from->hist_from;
    return 0;
}
