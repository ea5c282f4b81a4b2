/* SPDX-License-Identifier: Apache-2.0
 * Sessions: sizes, life, and the call that appends tokens to sequences. */
#include <math.h>
#include <string.h>

#include "model/model_impl.h"

enum { MAX_SEQS = 1024, MAX_BATCH = 8192, MAX_REWIND = 4096 };

/* Scratch of a pass beside that of the operators. */
typedef struct pass {
    lfm2__batch b;
    float *x, *h;   /* [T, d] */
    int32_t *want;  /* [T] rows that want logits */
    int32_t *asker; /* [T] and the span of each of them */
    int32_t n_want;
} pass;

/* Where in the spans the next pass begins. */
typedef struct cursor {
    int32_t span;
    int32_t offset;
} cursor;

lfm2_session_params lfm2_session_params_default(const lfm2_model *m)
{
    int32_t n_ctx = m ? m->cfg.n_ctx_max : 4096;
    return (lfm2_session_params){ .n_seqs = 1, .cap_tok = n_ctx < 4096 ? n_ctx : 4096, .cap_batch = 512, .cap_rewind = 16 };
}

/* Name of the field that is out of range, or NULL. */
static const char *bad_param(const lfm2_model *m, const lfm2_session_params *p)
{
    if (p->n_seqs < 1 || p->n_seqs > MAX_SEQS) return "n_seqs";
    if (p->cap_tok < 1 || p->cap_tok > m->cfg.n_ctx_max) return "cap_tok";
    if (p->cap_batch < 1 || p->cap_batch > MAX_BATCH) return "cap_batch";
    if (p->cap_rewind < 0 || p->cap_rewind > MAX_REWIND) return "cap_rewind";
    return NULL;
}

static size_t scratch_bytes(const lfm2_model *m, const lfm2_session_params *p, int32_t n_threads)
{
    const size_t n = (size_t)p->cap_batch, d = (size_t)m->cfg.d_model, half = (size_t)(m->cfg.head_dim / 2);
    const size_t widths[] = { d, d, 1, 1, 1, 1, 1, half, half };
    size_t bytes = lfm2__backbone_scratch_bytes(m, p->cap_batch, n_threads, p->cap_tok);
    for (size_t i = 0; i < LFM2__COUNT_OF(widths); i++)
        bytes = lfm2__bytes_add(bytes, lfm2__arena_bytes(n, widths[i] * sizeof(float)));
    return bytes;
}

static void pass_init(pass *a, lfm2_session *s)
{
    const size_t n = (size_t)s->p.cap_batch, row = (size_t)s->m->cfg.d_model * sizeof(float);
    const size_t half = (size_t)(s->m->cfg.head_dim / 2) * sizeof(float);
    memset(a, 0, sizeof(*a));
    a->x = lfm2__arena_alloc(&s->scratch, n, row);
    a->h = lfm2__arena_alloc(&s->scratch, n, row);
    a->want = lfm2__arena_alloc(&s->scratch, n, sizeof(int32_t));
    a->asker = lfm2__arena_alloc(&s->scratch, n, sizeof(int32_t));
    a->b.seq = lfm2__arena_alloc(&s->scratch, n, sizeof(int32_t));
    a->b.pos = lfm2__arena_alloc(&s->scratch, n, sizeof(int32_t));
    a->b.first = lfm2__arena_alloc(&s->scratch, n, sizeof(int32_t));
    a->b.cos = lfm2__arena_alloc(&s->scratch, n, half);
    a->b.sin = lfm2__arena_alloc(&s->scratch, n, half);
}

uint64_t lfm2_session_bytes(const lfm2_model *m, const lfm2_session_params *p)
{
    if (!m || !p || bad_param(m, p)) return 0;
    size_t bytes = sizeof(lfm2_session) + (size_t)p->n_seqs * (sizeof(lfm2__seq) + sizeof(lfm2__watch));
    bytes = lfm2__bytes_add(bytes, lfm2__cache_kv_bytes(m, p));
    bytes = lfm2__bytes_add(bytes, lfm2__cache_hist_bytes(m, p));
    bytes = lfm2__bytes_add(bytes, scratch_bytes(m, p, lfm2_runtime_n_threads(m->rt)));
    return bytes;
}

int lfm2_session_create(lfm2_model *m, const lfm2_session_params *p, lfm2_session **out)
{
    if (!m || !p || !out) return LFM2_ERR_ARG;
    const char *bad = bad_param(m, p);
    if (bad) return lfm2__fail(m->rt, LFM2_ERR_ARG, "session: %s is out of range", bad);
    if (lfm2_session_bytes(m, p) >= SIZE_MAX) return lfm2__fail(m->rt, LFM2_ERR_NOMEM, "session: larger than the address space");
    lfm2_session *s = lfm2__calloc(m->rt, 1, sizeof(*s));
    if (!s) return LFM2_ERR_NOMEM;
    s->m = m;
    s->p = *p;
    s->n_hist = lfm2__cache_n_hist(m, p);
    s->n_threads = lfm2_runtime_n_threads(m->rt);
    const size_t kv_bytes = lfm2__cache_kv_bytes(m, p), hist_bytes = lfm2__cache_hist_bytes(m, p);
    s->seqs = lfm2__calloc(m->rt, (size_t)p->n_seqs, sizeof(*s->seqs));
    s->watches = lfm2__calloc(m->rt, (size_t)p->n_seqs, sizeof(*s->watches));
    if (kv_bytes > 0) s->kv = lfm2__alloc(m->rt, kv_bytes);
    if (hist_bytes > 0) s->hist = lfm2__alloc(m->rt, hist_bytes);
    int rc = lfm2__arena_init(&s->scratch, m->rt, scratch_bytes(m, p, s->n_threads));
    if (rc < 0 || !s->seqs || !s->watches || (kv_bytes > 0 && !s->kv) || (hist_bytes > 0 && !s->hist)) {
        rc = lfm2__fail(m->rt, LFM2_ERR_NOMEM, "session: no %llu bytes", (unsigned long long)lfm2_session_bytes(m, p));
        lfm2_session_destroy(s);
        return rc;
    }
    *out = s;
    return 0;
}

void lfm2_session_destroy(lfm2_session *s)
{
    if (!s) return;
    lfm2_runtime *rt = s->m->rt;
    lfm2__arena_fini(&s->scratch);
    lfm2__free(rt, s->hist);
    lfm2__free(rt, s->kv);
    lfm2__free(rt, s->watches);
    lfm2__free(rt, s->seqs);
    lfm2__free(rt, s);
}

void lfm2_session_probe(lfm2_session *s, lfm2_probe_fn *fn, void *ctx)
{
    if (!s) return;
    s->probe = fn;
    s->probe_ctx = ctx;
}

int lfm2_session_watch_attention(lfm2_session *s, int32_t seq, int32_t first_pos, int32_t n_pos, float *weights)
{
    if (!s || seq < 0 || seq >= s->p.n_seqs) return LFM2_ERR_ARG;
    if (weights && (first_pos < 0 || n_pos < 1 || n_pos > s->p.cap_tok - first_pos)) return LFM2_ERR_ARG;
    s->watches[seq] = (lfm2__watch){ .first_pos = first_pos, .n_pos = n_pos, .weights = weights };
    return 0;
}

/* Whether span i goes on with the sequence of the one before it. */
static int goes_on(const lfm2_span *spans, int32_t i)
{
    return i > 0 && spans[i - 1].seq == spans[i].seq;
}

static int check_span(const lfm2_session *s, const lfm2_span *spans, int32_t i)
{
    const lfm2_span *span = &spans[i];
    lfm2_runtime *rt = s->m->rt;
    if (span->seq < 0 || span->seq >= s->p.n_seqs)
        return lfm2__fail(rt, LFM2_ERR_ARG, "span %d: no sequence %d", (int)i, (int)span->seq);
    if (span->n_tok < 1) return lfm2__fail(rt, LFM2_ERR_ARG, "span %d: n_tok is %d", (int)i, (int)span->n_tok);
    if ((span->ids != NULL) == (span->embed != NULL))
        return lfm2__fail(rt, LFM2_ERR_ARG, "span %d: one of ids and embed is needed", (int)i);
    if ((int)span->logits < LFM2_LOGITS_NONE || span->logits > LFM2_LOGITS_ALL)
        return lfm2__fail(rt, LFM2_ERR_ARG, "span %d: logits is %d", (int)i, (int)span->logits);
    if (!goes_on(spans, i) && s->seqs[span->seq].stamp == s->stamp)
        return lfm2__fail(rt, LFM2_ERR_ARG, "span %d: sequence %d has spans before others already", (int)i, (int)span->seq);
    for (int32_t j = 0; span->ids && j < span->n_tok; j++) {
        if (span->ids[j] < 0 || span->ids[j] >= s->m->cfg.n_vocab)
            return lfm2__fail(rt, LFM2_ERR_ARG, "span %d: id %d of %d is outside the vocabulary of %d", (int)i, (int)j,
                              (int)span->n_tok,
                              (int)s->m->cfg.n_vocab);
    }
    return 0;
}

/* Everything that can be refused is refused here, before a sequence changes. */
static int check_call(lfm2_session *s, const lfm2_span *spans, int32_t n_spans, const float *logits, int64_t cap_rows)
{
    lfm2_runtime *rt = s->m->rt;
    int64_t n_rows = 0, n_new = 0;
    s->stamp++;
    for (int32_t i = 0; i < n_spans; i++) {
        int rc = check_span(s, spans, i);
        if (rc < 0) return rc;
        s->seqs[spans[i].seq].stamp = s->stamp;
        n_rows += spans[i].logits == LFM2_LOGITS_ALL ? spans[i].n_tok : spans[i].logits == LFM2_LOGITS_LAST;
    }
    for (int32_t i = 0; i < n_spans; i++) {
        int32_t held = s->seqs[spans[i].seq].n_tok;
        n_new = (goes_on(spans, i) ? n_new : 0) + spans[i].n_tok;
        if (n_new > s->p.cap_tok - held)
            return lfm2__fail(rt, LFM2_ERR_RANGE, "sequence %d: %d tokens and %lld more do not fit its %d", (int)spans[i].seq,
                              (int)held, (long long)n_new, (int)s->p.cap_tok);
    }
    if (n_rows > 0 && !logits) return lfm2__fail(rt, LFM2_ERR_ARG, "logits are asked for but there is no place for them");
    if (n_rows > cap_rows)
        return lfm2__fail(rt, LFM2_ERR_RANGE, "%lld rows of logits are asked for, there is room for %lld", (long long)n_rows,
                          (long long)cap_rows);
    return 0;
}

/* Put the next n tokens of a span into the pass. */
static void add_rows(const lfm2_session *s, pass *a, const lfm2_span *span, const cursor *at, int32_t n)
{
    const lfm2_model *m = s->m;
    const size_t d = (size_t)m->cfg.d_model;
    const int32_t half = m->cfg.head_dim / 2, from = a->b.n_tok, offset = at->offset;
    const int on = from > 0 && a->b.seq[from - 1] == span->seq; /* behind another span of the sequence */
    const int32_t first = on ? a->b.first[from - 1] : from, first_pos = on ? a->b.pos[from - 1] + 1 : s->seqs[span->seq].n_tok;
    for (int32_t i = 0; i < n; i++) {
        const int32_t t = from + i, pos = first_pos + i;
        float *x = a->x + (size_t)t * d, *cos = a->b.cos + (size_t)t * (size_t)half, *sin = a->b.sin + (size_t)t * (size_t)half;
        a->b.seq[t] = span->seq;
        a->b.pos[t] = pos;
        a->b.first[t] = first;
        if (span->embed)
            memcpy(x, span->embed + (size_t)(offset + i) * d, d * sizeof(float));
        else
            m->k.dequant[m->embed.dtype](x, (const char *)m->embed.data + (size_t)span->ids[offset + i] * m->embed.row_bytes,
                                         m->cfg.d_model);
        for (int32_t j = 0; j < half; j++) {
            float angle = (float)pos * m->inv_freq[j];
            cos[j] = cosf(angle);
            sin[j] = sinf(angle);
        }
        int last = offset + i + 1 == span->n_tok;
        if (span->logits == LFM2_LOGITS_ALL || (span->logits == LFM2_LOGITS_LAST && last)) {
            a->asker[a->n_want] = at->span;
            a->want[a->n_want++] = t;
        }
    }
    a->b.n_tok += n;
}

/* The next cap_batch tokens, in span order. */
static void gather_pass(const lfm2_session *s, pass *a, const lfm2_span *spans, int32_t n_spans, cursor *at)
{
    a->b.n_tok = a->n_want = 0;
    while (at->span < n_spans && a->b.n_tok < s->p.cap_batch) {
        const lfm2_span *span = &spans[at->span];
        int32_t n = span->n_tok - at->offset, room = s->p.cap_batch - a->b.n_tok;
        if (n > room) n = room;
        add_rows(s, a, span, at, n);
        at->offset += n;
        if (at->offset == span->n_tok) *at = (cursor){ .span = at->span + 1 };
    }
}

static int all_finite(const float *x, size_t n)
{
    uint32_t bad = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof(bits));
        bad |= (uint32_t)((bits & 0x7f800000u) == 0x7f800000u);
    }
    return bad == 0;
}

/* Returns 0, or LFM2_ERR_NONFINITE if there is no place to say which spans are to blame. */
static int check_logits(const lfm2_session *s, const pass *a, const float *logits, uint8_t *nonfinite)
{
    const size_t n_vocab = (size_t)s->m->cfg.n_vocab;
    for (int32_t i = 0; i < a->n_want; i++) {
        if (all_finite(logits + (size_t)i * n_vocab, n_vocab)) continue;
        (void)lfm2__fail(s->m->rt, LFM2_ERR_NONFINITE, "sequence %d: logits are not finite", (int)a->b.seq[a->want[i]]);
        if (!nonfinite) return LFM2_ERR_NONFINITE;
        nonfinite[a->asker[i]] = 1;
    }
    return 0;
}

static int run_pass(lfm2_session *s, pass *a, float *logits, uint8_t *nonfinite)
{
    const lfm2_model *m = s->m;
    const size_t d = (size_t)m->cfg.d_model;
    int rc = m->w ? lfm2_weights_check(m->w) : 0;
    if (rc == 0) rc = lfm2__backbone_pass(s, &a->b, a->x, a->h);
    if (rc < 0) return rc;
    for (int32_t i = 0; i < a->n_want; i++) memmove(a->h + (size_t)i * d, a->h + (size_t)a->want[i] * d, d * sizeof(float));
    if (a->n_want > 0) rc = lfm2__backbone_matmul(s, logits, a->h, a->n_want, &m->head);
    /* Reading a file that was cut short gives zeros or worse: only now is it certain that all was there. */
    if (rc == 0 && m->w) rc = lfm2_weights_check(m->w);
    if (rc == 0) rc = check_logits(s, a, logits, nonfinite);
    if (rc < 0) return rc;
    for (int32_t t = 0; t < a->b.n_tok; t++) {
        lfm2__seq *q = &s->seqs[a->b.seq[t]];
        q->n_tok = a->b.pos[t] + 1;
        q->hist_from = lfm2__cache_hist_from(s, q->hist_from, q->n_tok);
    }
    return 0;
}

int lfm2__session_append(lfm2_session *s, const lfm2_span *spans, int32_t n_spans, float *logits, int64_t cap_rows,
                         uint8_t *nonfinite)
{
    if (!s || !spans || n_spans < 1) return LFM2_ERR_ARG;
    int rc = check_call(s, spans, n_spans, logits, cap_rows);
    if (rc < 0) return rc;
    pass a;
    cursor at = { 0 };
    size_t mark = lfm2__arena_mark(&s->scratch);
    pass_init(&a, s);
    if (nonfinite) memset(nonfinite, 0, (size_t)n_spans);
    while (rc == 0 && at.span < n_spans) {
        gather_pass(s, &a, spans, n_spans, &at);
        rc = lfm2__aborted(s->m->rt) ? LFM2_ERR_ABORTED : run_pass(s, &a, logits, nonfinite);
        if (a.n_want > 0) logits += (size_t)a.n_want * (size_t)s->m->cfg.n_vocab;
    }
    lfm2__arena_release(&s->scratch, mark);
    for (int32_t i = 0; i < n_spans; i++) {
        if (rc < 0 || (nonfinite && nonfinite[i])) (void)lfm2_session_clear(s, spans[i].seq);
    }
    return rc;
}

int lfm2_session_forward(lfm2_session *s, const lfm2_span *spans, int32_t n_spans, float *logits, int64_t cap_rows)
{
    return lfm2__session_append(s, spans, n_spans, logits, cap_rows, NULL);
}
