/* SPDX-License-Identifier: Apache-2.0
 * From a grammar over bytes to the tokens that may come next: the vocabulary in the order of its bytes is walked through the
 * automaton, and every branch is left where it dies. */
#include "lfm2/constrain.h"

#include <stdlib.h>
#include <string.h>

#include "base/runtime_impl.h"
#include "pipeline/grammar.h"

enum { N_MASKS = 64 }; /* kept of the states met last */

typedef struct item {
    int32_t id;
    uint32_t at;       /* of its bytes */
    uint32_t n;        /* bytes */
    uint32_t n_common; /* bytes that it shares with the item before */
} item;

struct lfm2_vocab_order {
    lfm2_runtime *rt;
    const lfm2_tokenizer *tok;
    item *items; /* by bytes; no end ids */
    int32_t n_items;
    uint8_t *bytes;
    uint32_t max_bytes;  /* of one item */
    int32_t n_words;     /* 64 ids each */
    int32_t *index;      /* [n_ids]: item of an id, or -1 */
};

/* ---- The vocabulary ---- */

static int is_end(const lfm2_tokenizer *tok, int32_t id)
{
    size_t n = 0;
    const int32_t *ends = lfm2_tokenizer_end_ids(tok, &n);
    for (size_t i = 0; i < n; i++) {
        if (ends[i] == id) return 1;
    }
    return 0;
}

/* Bytes that stand for an id; 0 if it is never to be written. out: NULL, or where they go. */
static uint32_t spell(const lfm2_tokenizer *tok, int32_t id, uint8_t *out)
{
    if (!lfm2_tokenizer_is_defined(tok, id) || is_end(tok, id)) return 0;
    if (lfm2_tokenizer_is_special(tok, id)) {
        const uint8_t name[LFM2__TOKEN_BYTES] = {LFM2__TOKEN_LEAD, (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};
        if (out != NULL) memcpy(out, name, sizeof(name));
        return sizeof(name);
    }
    size_t n = 0;
    const char *bytes = lfm2_tokenizer_bytes(tok, id, &n);
    if (bytes == NULL || n == 0 || n > UINT16_MAX || (n > 1 && (uint8_t)bytes[0] == LFM2__TOKEN_LEAD)) return 0;
    if (out != NULL) memcpy(out, bytes, n);
    return (uint32_t)n;
}

/* Bottom-up merge sort: equal bytes stay in the order of their ids, and no context is needed as qsort() would. */
static int before(const uint8_t *bytes, const item *a, const item *b)
{
    const uint32_t n = a->n < b->n ? a->n : b->n;
    const int diff = memcmp(bytes + a->at, bytes + b->at, n);
    return diff < 0 || (diff == 0 && a->n <= b->n);
}

static int sort_items(lfm2_vocab_order *v)
{
    const int32_t n = v->n_items;
    item *spare = lfm2__calloc(v->rt, (size_t)n, sizeof(*spare));
    if (spare == NULL) return LFM2_ERR_NOMEM;
    item *from = v->items, *to = spare;
    for (int32_t width = 1; width < n; width *= 2) {
        for (int32_t lo = 0; lo < n; lo += 2 * width) {
            const int32_t mid = n - lo < width ? n : lo + width, hi = n - lo < 2 * width ? n : lo + 2 * width;
            int32_t a = lo, b = mid;
            for (int32_t k = lo; k < hi; k++) to[k] = a < mid && (b >= hi || before(v->bytes, &from[a], &from[b]))
                ? from[a++] : from[b++];
        }
        item *swap = from;
        from = to;
        to = swap;
    }
    lfm2__free(v->rt, to);
    v->items = from;
    return 0;
}

static void compare_neighbours(lfm2_vocab_order *v)
{
    for (int32_t i = 0; i < v->n_items; i++) {
        item *it = &v->items[i];
        v->index[it->id] = i;
        if (i == 0) continue;
        const item *prev = it - 1;
        const uint32_t n = it->n < prev->n ? it->n : prev->n;
        while (it->n_common < n && v->bytes[it->at + it->n_common] == v->bytes[prev->at + it->n_common]) it->n_common++;
    }
}

/* Whether each byte that UTF-8 can hold is a token, so that any text can be written to its end. */
static int writes_all_bytes(const lfm2_vocab_order *v)
{
    uint8_t has[256] = {0};
    for (int32_t i = 0; i < v->n_items; i++) {
        if (v->items[i].n == 1) has[v->bytes[v->items[i].at]] = 1;
    }
    for (int b = 0; b <= 0xf4; b++) {
        if (!has[b] && b != 0xc0 && b != 0xc1) return 0;
    }
    return 1;
}

int lfm2_vocab_order_create(lfm2_runtime *rt, const lfm2_tokenizer *tok, lfm2_vocab_order **out)
{
    if (rt == NULL || tok == NULL || out == NULL) return LFM2_ERR_ARG;
    const int32_t n_ids = lfm2_tokenizer_n_ids(tok);
    int rc = LFM2_ERR_NOMEM;
    size_t n_bytes = 0;
    lfm2_vocab_order *v = lfm2__calloc(rt, 1, sizeof(*v));
    if (v == NULL) return LFM2_ERR_NOMEM;
    v->rt = rt;
    v->tok = tok;
    v->n_words = n_ids / 64 + 1;
    for (int32_t id = 0; id < n_ids; id++) n_bytes += spell(tok, id, NULL);
    v->items = lfm2__calloc(rt, (size_t)n_ids, sizeof(*v->items));
    v->index = lfm2__alloc(rt, (size_t)n_ids * sizeof(*v->index));
    v->bytes = lfm2__calloc(rt, n_bytes, 1);
    if (v->items == NULL || v->index == NULL || v->bytes == NULL || n_bytes > UINT32_MAX) goto fail;
    memset(v->index, 0xff, (size_t)n_ids * sizeof(*v->index));
    uint32_t at = 0;
    for (int32_t id = 0; id < n_ids; id++) {
        const uint32_t n = spell(tok, id, v->bytes + at);
        if (n == 0) continue;
        v->items[v->n_items++] = (item){.id = id, .at = at, .n = n};
        if (n > v->max_bytes) v->max_bytes = n;
        at += n;
    }
    rc = sort_items(v);
    if (rc < 0) goto fail;
    compare_neighbours(v);
    if (!writes_all_bytes(v)) {
        rc = lfm2__fail(rt, LFM2_ERR_UNSUPPORTED,
                        "constraint: the tokenizer has no token for some byte, so that not every text can be ended");
        goto fail;
    }
    *out = v;
    return 0;

fail:
    lfm2_vocab_order_destroy(v);
    return rc;
}

void lfm2_vocab_order_destroy(lfm2_vocab_order *v)
{
    if (v == NULL) return;
    lfm2__free(v->rt, v->items);
    lfm2__free(v->rt, v->index);
    lfm2__free(v->rt, v->bytes);
    lfm2__free(v->rt, v);
}

/* ---- Constraints ---- */

typedef struct mask {
    int32_t state;         /* -1 = free */
    int32_t max_min_bytes; /* the longest way to the end behind any of its ids: with that many left, all of them may come */
    uint64_t last_use;
    uint64_t *bits;        /* [n_words] */
} mask;

struct lfm2_constraint {
    lfm2_runtime *rt;
    const lfm2_grammar *g;
    const lfm2_vocab_order *v;
    lfm2__matcher *m;
    int32_t state;
    int32_t *path; /* [max_bytes + 1]: states along the item that is being walked */
    mask masks[N_MASKS];
    uint64_t *narrow; /* [n_words]: mask that is not worth keeping */
    uint64_t n_uses;
};

int lfm2_constraint_create(const lfm2_grammar *g, const lfm2_vocab_order *v, lfm2_constraint **out)
{
    if (g == NULL || v == NULL || out == NULL || g->status != 0) return LFM2_ERR_ARG;
    lfm2_constraint *c = lfm2__calloc(g->rt, 1, sizeof(*c));
    if (c == NULL) return LFM2_ERR_NOMEM;
    c->rt = g->rt;
    c->g = g;
    c->v = v;
    for (int i = 0; i < N_MASKS; i++) c->masks[i].state = -1;
    c->path = lfm2__calloc(c->rt, (size_t)v->max_bytes + 1, sizeof(*c->path));
    c->narrow = lfm2__calloc(c->rt, (size_t)v->n_words, sizeof(*c->narrow));
    const int rc = c->path == NULL || c->narrow == NULL ? LFM2_ERR_NOMEM : lfm2__matcher_create(g, &c->m);
    if (rc < 0) {
        lfm2_constraint_destroy(c);
        return rc;
    }
    c->state = lfm2__matcher_start(c->m);
    *out = c;
    return 0;
}

void lfm2_constraint_destroy(lfm2_constraint *c)
{
    if (c == NULL) return;
    for (int i = 0; i < N_MASKS; i++) lfm2__free(c->rt, c->masks[i].bits);
    lfm2__matcher_destroy(c->m);
    lfm2__free(c->rt, c->path);
    lfm2__free(c->rt, c->narrow);
    lfm2__free(c->rt, c);
}

void lfm2_constraint_reset(lfm2_constraint *c)
{
    c->state = lfm2__matcher_start(c->m);
}

/* Set the bits of all items that lead from the present state to one from which the end is at most max_left bytes away. */
static int walk(lfm2_constraint *c, int32_t max_left, uint64_t *bits, int32_t *max_min_bytes)
{
    const lfm2_vocab_order *v = c->v;
    uint32_t n_alive = UINT32_MAX; /* bytes of the last item up to which path[] is alive */
    memset(bits, 0, (size_t)v->n_words * sizeof(*bits));
    *max_min_bytes = 0;
    c->path[0] = c->state;
    for (int32_t i = 0; i < v->n_items; i++) {
        const item *it = &v->items[i];
        if (it->n_common > n_alive) continue; /* begins with what has died before */
        uint32_t k = it->n_common;
        while (k < it->n) {
            const int32_t to = lfm2__matcher_next(c->m, c->path[k], v->bytes[it->at + k]);
            if (to < 0) return to;
            if (to == LFM2__DEAD) break;
            c->path[++k] = to;
        }
        n_alive = k;
        if (k < it->n) continue;
        const int32_t left = lfm2__matcher_min_bytes(c->m, c->path[k]);
        if (left > max_left) continue;
        if (left > *max_min_bytes) *max_min_bytes = left;
        bits[it->id >> 6] |= (uint64_t)1 << (it->id & 63);
    }
    return 0;
}

/* The kept mask of the present state, or the one that is to be replaced by it. */
static mask *find_mask(lfm2_constraint *c)
{
    mask *oldest = &c->masks[0];
    for (int i = 0; i < N_MASKS; i++) {
        if (c->masks[i].state == c->state) return &c->masks[i];
        if (c->masks[i].last_use < oldest->last_use) oldest = &c->masks[i];
    }
    return oldest;
}

/* All ids that may come however long the end is then. */
static int full_mask(lfm2_constraint *c, mask **out)
{
    mask *m = find_mask(c);
    if (m->state != c->state) {
        if (m->bits == NULL) m->bits = lfm2__calloc(c->rt, (size_t)c->v->n_words, sizeof(*m->bits));
        if (m->bits == NULL) return LFM2_ERR_NOMEM;
        m->state = -1;
        int rc = walk(c, LFM2__NEVER - 1, m->bits, &m->max_min_bytes);
        if (rc < 0) return rc;
        m->state = c->state;
    }
    m->last_use = ++c->n_uses;
    *out = m;
    return 0;
}

static void allow_ends(const lfm2_constraint *c, uint64_t *allow, size_t n_words)
{
    size_t n = 0;
    const int32_t *ends = lfm2_tokenizer_end_ids(c->v->tok, &n);
    for (size_t i = 0; i < n; i++) {
        if (ends[i] >= 0 && (size_t)(ends[i] >> 6) < n_words) allow[ends[i] >> 6] |= (uint64_t)1 << (ends[i] & 63);
    }
}

int lfm2_constraint_allow(lfm2_constraint *c, int32_t n_left, uint64_t *allow, size_t n_words)
{
    mask *m = NULL;
    if (c == NULL || allow == NULL || n_left < 0) return LFM2_ERR_ARG;
    const int32_t here = lfm2__matcher_min_bytes(c->m, c->state);
    if (here > n_left) {
        return lfm2__fail(c->rt, LFM2_ERR_RANGE, "constraint: the shortest end is %d bytes away, but only %d tokens are left",
                          (int)here,
                          (int)n_left);
    }
    int rc = full_mask(c, &m);
    if (rc < 0) return rc;
    const uint64_t *bits = m->bits;
    if (m->max_min_bytes > n_left - 1) {
        int32_t unused;
        rc = walk(c, n_left - 1, c->narrow, &unused);
        if (rc < 0) return rc;
        bits = c->narrow;
    }
    const size_t n = n_words < (size_t)c->v->n_words ? n_words : (size_t)c->v->n_words;
    memcpy(allow, bits, n * sizeof(*allow));
    memset(allow + n, 0, (n_words - n) * sizeof(*allow));
    if (here == 0) allow_ends(c, allow, n_words);
    return 0;
}

static void forget_masks(lfm2_constraint *c)
{
    for (int i = 0; i < N_MASKS; i++) c->masks[i].state = -1;
}

int lfm2_constraint_accept(lfm2_constraint *c, int32_t id)
{
    if (c == NULL || id < 0 || id >= lfm2_tokenizer_n_ids(c->v->tok)) return LFM2_ERR_ARG;
    if (is_end(c->v->tok, id)) return lfm2__matcher_min_bytes(c->m, c->state) == 0 ? 0 : LFM2_ERR_ARG;
    if (c->v->index[id] < 0) return LFM2_ERR_ARG;
    const item *it = &c->v->items[c->v->index[id]];
    int32_t at = c->state;
    for (uint32_t k = 0; k < it->n; k++) {
        at = lfm2__matcher_next(c->m, at, c->v->bytes[it->at + k]);
        if (at < 0) return at;
        if (at == LFM2__DEAD) return LFM2_ERR_ARG;
    }
    int rc = lfm2__matcher_trim(c->m, &at);
    if (rc < 0) return rc;
    if (rc > 0) forget_masks(c);
    c->state = at;
    return 0;
}

int lfm2_constraint_is_complete(const lfm2_constraint *c, int *can_go_on)
{
    if (c == NULL) return 0;
    if (can_go_on != NULL) *can_go_on = lfm2__matcher_goes_on(c->m, c->state);
    return lfm2__matcher_min_bytes(c->m, c->state) == 0;
}
