/* SPDX-License-Identifier: Apache-2.0
 * A sequence as bytes; the layout is in MODEL.md. */
#include <string.h>

#include "base/mathsafe.h"
#include "model/model_impl.h"

static const unsigned char MAGIC[8] = "LFM2SEQ";
enum { VERSION = 1, N_FIELDS = 13, KINDS_BYTES = LFM2_MAX_LAYERS / 8,
       HEADER_BYTES = 8 + 4 + N_FIELDS * 4 + KINDS_BYTES + 4 + 4 + 8 };

static void put_u32(unsigned char **p, uint32_t v)
{
    for (int i = 0; i < 4; i++) *(*p)++ = (unsigned char)(v >> (8 * i));
}

static uint32_t get_u32(const unsigned char **p)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) v |= (uint32_t)*(*p)++ << (8 * i);
    return v;
}

static void put_floats(unsigned char **p, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t v;
        memcpy(&v, x + i, 4);
        put_u32(p, v);
    }
}

static void get_floats(const unsigned char **p, float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t v = get_u32(p);
        memcpy(x + i, &v, 4);
    }
}

static uint32_t float_bits(float f)
{
    uint32_t v;
    memcpy(&v, &f, 4);
    return v;
}

/* What must be the same in the model that reads: everything up to n_tok. */
static void put_shape(unsigned char **p, const lfm2_config *c)
{
    memcpy(*p, MAGIC, sizeof(MAGIC));
    *p += sizeof(MAGIC);
    put_u32(p, VERSION);
    const uint32_t fields[N_FIELDS] = { (uint32_t)c->d_model, (uint32_t)c->n_layers, (uint32_t)c->n_heads, (uint32_t)c->n_kv_heads,
                                        (uint32_t)c->head_dim, (uint32_t)c->d_ff, (uint32_t)c->n_vocab, (uint32_t)c->n_taps,
                                        (uint32_t)c->n_experts, (uint32_t)c->n_experts_used, (uint32_t)c->d_ff_expert,
                                        float_bits(c->norm_eps), float_bits(c->rope_theta) };
    for (int i = 0; i < N_FIELDS; i++) put_u32(p, fields[i]);
    memset(*p, 0, KINDS_BYTES);
    for (int32_t l = 0; l < c->n_layers; l++) {
        if (c->layer_kind[l] == LFM2_LAYER_ATTN) (*p)[l / 8] |= (unsigned char)(1u << (l % 8));
    }
    *p += KINDS_BYTES;
}

/* Bytes behind the header; SIZE_MAX on overflow. */
static size_t payload_bytes(const lfm2_model *m, size_t n_tok, size_t n_hist)
{
    size_t kv = 0, u = 0, n;
    const size_t row = (size_t)m->cfg.n_kv_heads * (size_t)m->cfg.head_dim;
    if (lfm2__mul_size(n_tok, 2 * (size_t)m->n_attn * row, &kv) < 0) return SIZE_MAX;
    if (lfm2__mul_size(n_hist, (size_t)m->n_conv * (size_t)m->cfg.d_model, &u) < 0) return SIZE_MAX;
    if (lfm2__add_size(kv, u, &n) < 0 || lfm2__mul_size(n, sizeof(float), &n) < 0) return SIZE_MAX;
    return n;
}

static size_t state_bytes(const lfm2_session *s, int32_t seq)
{
    const lfm2__seq *q = &s->seqs[seq];
    return lfm2__bytes_add(HEADER_BYTES, payload_bytes(s->m, (size_t)q->n_tok, (size_t)(q->n_tok - q->hist_from)));
}

size_t lfm2_session_save_bytes(const lfm2_session *s, int32_t seq)
{
    if (!s || seq < 0 || seq >= s->p.n_seqs) return 0;
    return state_bytes(s, seq);
}

int lfm2_session_save(const lfm2_session *s, int32_t seq, void *dst, size_t cap, size_t *n_bytes)
{
    if (!s || seq < 0 || seq >= s->p.n_seqs || !dst || !n_bytes) return LFM2_ERR_ARG;
    const lfm2_model *m = s->m;
    const lfm2__seq *q = &s->seqs[seq];
    const size_t need = state_bytes(s, seq), row = (size_t)m->cfg.n_kv_heads * (size_t)m->cfg.head_dim;
    if (cap < need) return lfm2__fail(m->rt, LFM2_ERR_RANGE, "a saved sequence of %zu bytes does not fit %zu", need, cap);
    unsigned char *p = dst;
    put_shape(&p, &m->cfg);
    put_u32(&p, (uint32_t)q->n_tok);
    put_u32(&p, (uint32_t)(q->n_tok - q->hist_from));
    put_u32(&p, (uint32_t)((need - HEADER_BYTES) & 0xffffffffu));
    put_u32(&p, (uint32_t)((uint64_t)(need - HEADER_BYTES) >> 32));
    for (int32_t l = 0; l < m->cfg.n_layers; l++) {
        if (m->cfg.layer_kind[l] == LFM2_LAYER_ATTN) {
            put_floats(&p, lfm2__cache_k(s, l, seq), (size_t)q->n_tok * row);
            put_floats(&p, lfm2__cache_v(s, l, seq), (size_t)q->n_tok * row);
            continue;
        }
        for (int32_t pos = q->hist_from; pos < q->n_tok; pos++)
            put_floats(&p, lfm2__cache_u(s, l, seq, pos), (size_t)m->cfg.d_model);
    }
    *n_bytes = need;
    return 0;
}

/* Read and check the header. */
static int check_state(const lfm2_session *s, const unsigned char *src, size_t n_bytes, uint32_t *n_tok, uint32_t *n_hist)
{
    const lfm2_model *m = s->m;
    unsigned char shape[HEADER_BYTES], *end = shape;
    if (n_bytes < HEADER_BYTES || memcmp(src, MAGIC, sizeof(MAGIC)) != 0)
        return lfm2__fail(m->rt, LFM2_ERR_FORMAT, "saved sequence: not one");
    put_shape(&end, &m->cfg);
    if (memcmp(src, shape, (size_t)(end - shape)) != 0)
        return lfm2__fail(m->rt, LFM2_ERR_FORMAT, "saved sequence: of another version or a model of another shape");
    const unsigned char *p = src + (end - shape);
    *n_tok = get_u32(&p);
    *n_hist = get_u32(&p);
    uint64_t stated = get_u32(&p);
    stated |= (uint64_t)get_u32(&p) << 32;
    const uint32_t n_past = (uint32_t)m->cfg.n_taps - 1, needed = *n_tok < n_past ? *n_tok : n_past;
    if (*n_hist > *n_tok || *n_hist < needed)
        return lfm2__fail(m->rt, LFM2_ERR_FORMAT, "saved sequence: %u convolution inputs for %u tokens", *n_hist, *n_tok);
    size_t payload = payload_bytes(m, *n_tok, *n_hist);
    if (payload == SIZE_MAX || stated != payload || n_bytes - HEADER_BYTES != payload)
        return lfm2__fail(m->rt, LFM2_ERR_FORMAT, "saved sequence: %zu bytes, not what %u tokens take", n_bytes, *n_tok);
    if (*n_tok > (uint32_t)s->p.cap_tok)
        return lfm2__fail(m->rt, LFM2_ERR_RANGE, "saved sequence: %u tokens do not fit %d", *n_tok, (int)s->p.cap_tok);
    return 0;
}

int lfm2_session_restore(lfm2_session *s, int32_t seq, const void *src, size_t n_bytes)
{
    if (!s || seq < 0 || seq >= s->p.n_seqs || !src) return LFM2_ERR_ARG;
    const lfm2_model *m = s->m;
    uint32_t n_tok = 0, n_hist = 0;
    int rc = check_state(s, src, n_bytes, &n_tok, &n_hist);
    if (rc < 0) return rc;
    const size_t row = (size_t)m->cfg.n_kv_heads * (size_t)m->cfg.head_dim, d = (size_t)m->cfg.d_model;
    const unsigned char *p = (const unsigned char *)src + HEADER_BYTES;
    const int32_t stored_from = (int32_t)(n_tok - n_hist), from = lfm2__cache_hist_from(s, stored_from, (int32_t)n_tok);
    for (int32_t l = 0; l < m->cfg.n_layers; l++) {
        if (m->cfg.layer_kind[l] == LFM2_LAYER_ATTN) {
            get_floats(&p, lfm2__cache_k(s, l, seq), (size_t)n_tok * row);
            get_floats(&p, lfm2__cache_v(s, l, seq), (size_t)n_tok * row);
            continue;
        }
        p += (size_t)(from - stored_from) * d * sizeof(float);
        for (int32_t pos = from; pos < (int32_t)n_tok; pos++) get_floats(&p, lfm2__cache_u(s, l, seq, pos), d);
    }
    s->seqs[seq].n_tok = (int32_t)n_tok;
    s->seqs[seq].hist_from = from;
    return 0;
}
