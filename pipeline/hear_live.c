/* SPDX-License-Identifier: Apache-2.0
 * Live text of a take that is still being spoken. Words on which two readings in a row agree are confirmed: from then on every
 * reading, the last one included, begins with them, so that nothing confirmed is ever taken back. */
#include <string.h>

#include "pipeline/hear_impl.h"

int lfm2__hear_live_init(lfm2_hear *h, lfm2__hear_channel *c)
{
    c->live.since_sample = -1;
    lfm2__str_init(&c->live.confirmed_text, h->rt);
    lfm2__str_init(&c->live.tail_text, h->rt);
    c->live.confirmed = lfm2__calloc(h->rt, (size_t)h->cap_tok, sizeof(lfm2__hear_token));
    c->live.last = lfm2__calloc(h->rt, (size_t)h->cap_tok, sizeof(lfm2__hear_token));
    return c->live.confirmed && c->live.last ? 0 : LFM2_ERR_NOMEM;
}

void lfm2__hear_live_fini(lfm2_hear *h, lfm2__hear_channel *c)
{
    lfm2__str_fini(&c->live.confirmed_text);
    lfm2__str_fini(&c->live.tail_text);
    lfm2__free(h->rt, c->live.confirmed);
    lfm2__free(h->rt, c->live.last);
}

static void forget(lfm2__hear_live *l)
{
    l->since_sample = -1;
    l->heard_sample = 0;
    l->n_confirmed = l->n_last = 0;
    l->confirmed_text.n = l->tail_text.n = 0;
}

/* The confirmed tokens go before all that the take will say. */
static void bind(const lfm2__hear_live *l, lfm2__hear_take *t)
{
    t->n_forced = l->n_confirmed < t->cap_tok ? l->n_confirmed : t->cap_tok;
    if (t->n_forced > 0) memcpy(t->tokens, l->confirmed, (size_t)t->n_forced * sizeof(*t->tokens));
}

static int64_t begin_of(const lfm2_hear *h, const lfm2__hear_channel *c, int64_t since)
{
    const int64_t padded = since - h->p.vad.pad_us * LFM2__HEAR_RATE_HZ / 1000000;
    return padded < c->first_sample ? c->first_sample : padded;
}

int lfm2__hear_live_settle(lfm2_hear *h, int32_t channel, const lfm2_vad_span *span, lfm2__hear_take *take,
                           lfm2__hear_take **orphan)
{
    lfm2__hear_channel *c = &h->channels[channel];
    lfm2__hear_live *l = &c->live;
    int64_t since = -1;
    int rc = 0;
    *orphan = NULL;
    if (l->since_sample < 0) return 0;
    if (span ? span->speech_start < l->since_sample : lfm2_vad_is_open(c->vad, &since) && since == l->since_sample) return 0;
    if (span && take && span->speech_start == l->since_sample) {
        bind(l, take);
    } else if (l->n_confirmed > 0) { /* it was no speech after all, but what was said stands */
        rc = lfm2__hear_take_create(h, channel, begin_of(h, c, l->since_sample), l->heard_sample, orphan);
        if (*orphan) {
            bind(l, *orphan);
            (*orphan)->start_sample = l->since_sample;
        }
    }
    forget(l);
    return rc;
}

/* Tokens at the beginning on which both readings agree, up to the end of a word that has another one behind it. */
static int32_t agreed(const lfm2_hear *h, const lfm2__hear_live *l, const lfm2__hear_take *t)
{
    const int32_t most = l->n_last < t->n_tok ? l->n_last : t->n_tok;
    int32_t best = l->n_confirmed;
    for (int32_t i = 0; i < most && l->last[i].id == t->tokens[i].id; i++) {
        size_t n = 0;
        const char *bytes = lfm2_tokenizer_bytes(h->tok, t->tokens[i].id, &n);
        if (bytes && n > 0 && bytes[0] == ' ' && i > best) best = i;
    }
    return best;
}

/* What the newest reading makes of it. */
static int take_in(lfm2_hear *h, lfm2__hear_live *l, const lfm2__hear_take *t)
{
    const int32_t n = agreed(h, l, t);
    memcpy(l->confirmed, t->tokens, (size_t)n * sizeof(*t->tokens));
    l->n_confirmed = n;
    memcpy(l->last, t->tokens, (size_t)t->n_tok * sizeof(*t->tokens));
    l->n_last = t->n_tok;
    int rc = lfm2__hear_text(h, l->confirmed, n, &l->confirmed_text);
    return rc == 0 ? lfm2__hear_text(h, l->last + n, l->n_last - n, &l->tail_text) : rc;
}

static int read_on(lfm2_hear *h, int32_t channel, int64_t since, int64_t now)
{
    lfm2__hear_channel *c = &h->channels[channel];
    lfm2__hear_take *t = NULL;
    lfm2_segment *s = NULL;
    const int64_t from = begin_of(h, c, since), most = h->p.vad.max_segment_us * LFM2__HEAR_RATE_HZ / 1000000;
    int rc = lfm2__hear_take_create(h, channel, from, now - from > most ? from + most : now, &t);
    if (rc == 0 && t) {
        bind(&c->live, t);
        rc = lfm2__hear_decode(h, &t, 1, &s);
    }
    if (rc == 0 && t) {
        c->live.since_sample = since;
        c->live.heard_sample = now;
        rc = take_in(h, &c->live, t);
    }
    lfm2_segment_destroy(s);
    lfm2__hear_take_destroy(h, t);
    return rc;
}

int lfm2_hear_partial(lfm2_hear *h, int32_t channel, int64_t min_new_us, const char **confirmed, const char **tail)
{
    int64_t since = 0;
    if (!h || channel < 0 || channel >= h->p.n_channels || min_new_us < 0 || !confirmed || !tail) return LFM2_ERR_ARG;
    if (h->status < 0) return LFM2_ERR_STATE;
    lfm2__hear_channel *c = &h->channels[channel];
    int rc = lfm2__hear_flush(h);
    if (rc == 0 && !h->over && c->vad && lfm2_vad_is_open(c->vad, &since)) {
        const int64_t now = c->first_sample + c->n_sound, heard = c->live.since_sample == since ? c->live.heard_sample : since;
        if (c->live.since_sample != since) forget(&c->live);
        if (lfm2__hear_us(now - heard) >= min_new_us) rc = read_on(h, channel, since, now);
    }
    if (rc < 0) return h->status = rc;
    *confirmed = c->live.confirmed_text.n > 0 ? c->live.confirmed_text.data : "";
    *tail = c->live.tail_text.n > 0 ? c->live.tail_text.data : "";
    return 0;
}
