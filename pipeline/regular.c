/* SPDX-License-Identifier: Apache-2.0
 * The algebra of regular languages: products, complements, minimal automata. */
#include "pipeline/regular.h"

#include <string.h>

#include "base/runtime_impl.h"
#include "base/utf8.h"
#include "pipeline/list.h"

#define N_CODE_POINTS 0x110000u

void lfm2__dfa_destroy(lfm2__dfa *d)
{
    if (d == NULL) return;
    lfm2__free(d->rt, d->bounds);
    lfm2__free(d->rt, d->next);
    lfm2__free(d->rt, d->accepts);
    lfm2__free(d->rt, d);
}

int lfm2__dfa_create(lfm2_runtime *rt, int64_t n_states, int64_t n_classes, lfm2__dfa **out)
{
    if (n_states > LFM2__DFA_MAX_CELLS / n_classes) return LFM2_ERR_LIMIT;
    lfm2__dfa *d = lfm2__calloc(rt, 1, sizeof(*d));
    if (d == NULL) return LFM2_ERR_NOMEM;
    d->rt = rt;
    d->n_states = (int32_t)n_states;
    d->n_classes = (int32_t)n_classes;
    d->bounds = lfm2__calloc(rt, (size_t)n_classes + 1, sizeof(*d->bounds));
    d->next = lfm2__calloc(rt, (size_t)(n_states * n_classes), sizeof(*d->next));
    d->accepts = lfm2__calloc(rt, (size_t)n_states, 1);
    if (d->bounds == NULL || d->next == NULL || d->accepts == NULL) {
        lfm2__dfa_destroy(d);
        return LFM2_ERR_NOMEM;
    }
    d->bounds[n_classes] = N_CODE_POINTS;
    *out = d;
    return 0;
}

int lfm2__dfa_from_length(lfm2_runtime *rt, int64_t min, int64_t max, lfm2__dfa **out)
{
    if (min < 0) min = 0;
    if (max >= 0 && max < min) {
        max = 0; /* nothing: the one state does not accept */
        min = 1;
    }
    const int64_t last = max < 0 ? min : max + 1; /* a state for each length; the last one is for all that are longer */
    if (last >= LFM2__DFA_MAX_CELLS) return LFM2_ERR_LIMIT;
    lfm2__dfa *d;
    int rc = lfm2__dfa_create(rt, last + 1, 1, &d);
    if (rc < 0) return rc;
    d->work = last;
    for (int64_t i = 0; i <= last; i++) {
        d->next[i] = (int32_t)(i < last ? i + 1 : last);
        d->accepts[i] = i >= min && (max < 0 || i <= max);
    }
    *out = d;
    return 0;
}

static int32_t class_of(const lfm2__dfa *d, uint32_t c)
{
    int32_t lo = 0, hi = d->n_classes;
    while (hi - lo > 1) {
        const int32_t mid = (lo + hi) / 2;
        if (d->bounds[mid] <= c) lo = mid;
        else hi = mid;
    }
    return lo;
}

/* Where the code points of some texts begin and end; returns how many code points there are, or LFM2_ERR_UTF8. */
static int64_t list_bounds(const lfm2__text *texts, int32_t n_texts, uint32_t *bounds)
{
    int64_t n = 0;
    for (int32_t i = 0; i < n_texts; i++) {
        for (size_t at = 0; at < texts[i].n; n++) {
            uint32_t c = 0;
            const size_t len = lfm2__utf8_decode(texts[i].s + at, texts[i].n - at, &c);
            if (len == 0) return LFM2_ERR_UTF8;
            at += len;
            bounds[2 * n] = c;
            bounds[2 * n + 1] = c + 1;
        }
    }
    return n;
}

/* A tree of the texts: state 0 the root, state 1 where nothing more fits. */
static int32_t enter_texts(lfm2__dfa *d, const lfm2__text *texts, int32_t n_texts)
{
    int32_t n = 2;
    for (int64_t i = 0; i < (int64_t)d->n_states * d->n_classes; i++) d->next[i] = 1;
    for (int32_t i = 0; i < n_texts; i++) {
        int32_t state = 0;
        for (size_t at = 0; at < texts[i].n;) {
            uint32_t c = 0;
            at += lfm2__utf8_decode(texts[i].s + at, texts[i].n - at, &c);
            int32_t *to = &d->next[(size_t)state * (size_t)d->n_classes + (size_t)class_of(d, c)];
            if (*to == 1) *to = n++;
            state = *to;
        }
        d->accepts[state] = 1;
    }
    return n;
}

int lfm2__dfa_from_texts(lfm2_runtime *rt, const lfm2__text *texts, int32_t n_texts, lfm2__dfa **out)
{
    size_t n_bytes = 0;
    int32_t n_classes = 0;
    lfm2__dfa *d = NULL;
    for (int32_t i = 0; i < n_texts; i++) n_bytes += texts[i].n;
    if (n_bytes > LFM2__DFA_MAX_CELLS) return LFM2_ERR_LIMIT;
    uint32_t *bounds = lfm2__calloc(rt, 2 * n_bytes + 1, sizeof(*bounds));
    if (bounds == NULL) return LFM2_ERR_NOMEM;
    const int64_t n_cp = list_bounds(texts, n_texts, bounds);
    const int32_t n_bounds = n_cp < 0 ? 0 : 2 * (int32_t)n_cp + 1;
    int rc = n_cp < 0 ? (int)n_cp : 0;
    if (rc == 0) { /* the last bound is the 0 at which the first class begins */
        lfm2__sort_u32(bounds, n_bounds);
        for (int32_t i = 0; i < n_bounds; i++) {
            if ((i == 0 || bounds[i] != bounds[i - 1]) && bounds[i] < N_CODE_POINTS) bounds[n_classes++] = bounds[i];
        }
        rc = lfm2__dfa_create(rt, n_cp + 2, n_classes, &d);
    }
    if (rc == 0) {
        memcpy(d->bounds, bounds, (size_t)n_classes * sizeof(*bounds));
        d->n_states = enter_texts(d, texts, n_texts); /* texts that begin alike share states */
        rc = lfm2__dfa_minimize(d, out);
    }
    lfm2__free(rt, bounds);
    return rc;
}

int lfm2__dfa_from_table(lfm2_runtime *rt, int32_t n_states, int32_t n_classes, const uint32_t *bounds, const int32_t *next,
                         const uint8_t *accepts, lfm2__dfa **out)
{
    lfm2__dfa *d;
    int rc = lfm2__dfa_create(rt, n_states, n_classes, &d);
    if (rc < 0) return rc;
    memcpy(d->bounds, bounds, (size_t)n_classes * sizeof(*bounds));
    memcpy(d->next, next, (size_t)n_states * (size_t)n_classes * sizeof(*next));
    memcpy(d->accepts, accepts, (size_t)n_states);
    return lfm2__dfa_minimize(d, out);
}

/* ---- Products ---- */

typedef struct pair {
    int32_t a, b;
} pair;

typedef struct product {
    const lfm2__dfa *a, *b;
    pair *pairs;    /* [cap] in the order in which they were met */
    int32_t n, cap;
    int32_t *slots; /* hash of pairs; -1 = free */
    uint32_t mask;
    int32_t max;
} product;

static uint32_t hash_pair(pair p)
{
    uint64_t h = ((uint64_t)(uint32_t)p.a << 32 | (uint32_t)p.b) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(h >> 32) ^ (uint32_t)(h >> 16);
}

static int product_grow(product *p)
{
    if (p->n < p->cap) return 0;
    lfm2_runtime *rt = p->a->rt;
    const int32_t cap = p->cap == 0 ? 256 : p->cap * 2;
    pair *pairs = lfm2__grow(rt, p->pairs, (size_t)p->cap * sizeof(*pairs), (size_t)cap * sizeof(*pairs));
    if (pairs == NULL) return LFM2_ERR_NOMEM;
    p->pairs = pairs;
    p->cap = cap;
    int32_t *slots = lfm2__alloc(rt, 4 * (size_t)cap * sizeof(*slots));
    if (slots == NULL) return LFM2_ERR_NOMEM;
    lfm2__free(rt, p->slots);
    p->slots = slots;
    p->mask = 4 * (uint32_t)cap - 1;
    memset(slots, 0xff, 4 * (size_t)cap * sizeof(*slots));
    for (int32_t i = 0; i < p->n; i++) {
        uint32_t at = hash_pair(p->pairs[i]) & p->mask;
        while (slots[at] >= 0) at = (at + 1) & p->mask;
        slots[at] = i;
    }
    return 0;
}

static int32_t product_find(product *p, int32_t a, int32_t b)
{
    const pair wanted = {a, b};
    int rc = product_grow(p);
    if (rc < 0) return rc;
    uint32_t at = hash_pair(wanted) & p->mask;
    for (; p->slots[at] >= 0; at = (at + 1) & p->mask) {
        if (p->pairs[p->slots[at]].a == a && p->pairs[p->slots[at]].b == b) return p->slots[at];
    }
    if (p->n >= p->max) return LFM2_ERR_LIMIT;
    p->pairs[p->n] = wanted;
    p->slots[at] = p->n;
    return p->n++;
}

/* The classes of both: for each of them the class of a and that of b. */
static int32_t join_classes(const lfm2__dfa *a, const lfm2__dfa *b, uint32_t *bounds, pair *classes)
{
    int32_t n = 0;
    for (int32_t i = 0, j = 0; i < a->n_classes && j < b->n_classes; n++) {
        bounds[n] = a->bounds[i] > b->bounds[j] ? a->bounds[i] : b->bounds[j];
        classes[n] = (pair){i, j};
        const uint32_t end_a = a->bounds[i + 1], end_b = b->bounds[j + 1];
        i += end_a <= end_b;
        j += end_b <= end_a;
    }
    return n;
}

static int combine(const lfm2__dfa *a, const lfm2__dfa *b, int want_both, lfm2__dfa **out)
{
    lfm2_runtime *rt = a->rt;
    const size_t max_classes = (size_t)a->n_classes + (size_t)b->n_classes;
    uint32_t *bounds = lfm2__calloc(rt, max_classes, sizeof(*bounds));
    pair *classes = lfm2__calloc(rt, max_classes, sizeof(*classes));
    int32_t *next = NULL;
    uint8_t *accepts = NULL;
    product p = {.a = a, .b = b};
    int rc = LFM2_ERR_NOMEM;
    int32_t cap_next = 0;
    if (bounds == NULL || classes == NULL) goto done;
    const int32_t k = join_classes(a, b, bounds, classes);
    p.max = LFM2__DFA_MAX_CELLS / k;
    rc = product_find(&p, 0, 0);
    for (int32_t i = 0; i < p.n && rc >= 0; i++) {
        if (i % 256 == 0 && lfm2__aborted(rt)) rc = LFM2_ERR_ABORTED;
        if (i >= cap_next && rc >= 0) {
            const int32_t cap = p.cap;
            int32_t *grown = lfm2__grow(rt, next, (size_t)cap_next * (size_t)k * sizeof(*next),
                                        (size_t)cap * (size_t)k * sizeof(*next));
            if (grown == NULL) rc = LFM2_ERR_NOMEM;
            else next = grown, cap_next = cap;
        }
        for (int32_t c = 0; c < k && rc >= 0; c++) {
            const pair at = p.pairs[i];
            rc = product_find(&p, a->next[at.a * a->n_classes + classes[c].a], b->next[at.b * b->n_classes + classes[c].b]);
            if (rc >= 0) next[(size_t)i * (size_t)k + (size_t)c] = rc;
        }
    }
    if (rc >= 0) {
        accepts = lfm2__calloc(rt, (size_t)p.n, 1);
        rc = accepts == NULL ? LFM2_ERR_NOMEM : 0;
    }
    if (rc < 0) goto done;
    for (int32_t i = 0; i < p.n; i++) {
        const int in_a = a->accepts[p.pairs[i].a], in_b = b->accepts[p.pairs[i].b];
        accepts[i] = want_both ? in_a && in_b : in_a || in_b;
    }
    rc = lfm2__dfa_from_table(rt, p.n, k, bounds, next, accepts, out);

done:
    lfm2__free(rt, p.pairs);
    lfm2__free(rt, p.slots);
    lfm2__free(rt, accepts);
    lfm2__free(rt, next);
    lfm2__free(rt, classes);
    lfm2__free(rt, bounds);
    return rc;
}

int lfm2__dfa_and(const lfm2__dfa *a, const lfm2__dfa *b, lfm2__dfa **out)
{
    return combine(a, b, 1, out);
}

int lfm2__dfa_or(const lfm2__dfa *a, const lfm2__dfa *b, lfm2__dfa **out)
{
    return combine(a, b, 0, out);
}

int lfm2__dfa_not(const lfm2__dfa *a, lfm2__dfa **out)
{
    uint8_t *accepts = lfm2__calloc(a->rt, (size_t)a->n_states, 1);
    if (accepts == NULL) return LFM2_ERR_NOMEM;
    for (int32_t i = 0; i < a->n_states; i++) accepts[i] = !a->accepts[i];
    const int rc = lfm2__dfa_from_table(a->rt, a->n_states, a->n_classes, a->bounds, a->next, accepts, out);
    lfm2__free(a->rt, accepts);
    return rc;
}

/* ---- Asking ---- */

int lfm2__dfa_accepts(const lfm2__dfa *d, const char *text, size_t n)
{
    int32_t state = 0;
    for (size_t at = 0; at < n;) {
        uint32_t c;
        const size_t len = lfm2__utf8_decode(text + at, n - at, &c);
        if (len == 0) return 0;
        at += len;
        state = d->next[state * d->n_classes + class_of(d, c)];
    }
    return d->accepts[state];
}

int lfm2__dfa_is_empty(const lfm2__dfa *d)
{
    for (int32_t i = 0; i < d->n_states; i++) {
        if (d->accepts[i]) return 0; /* every state of a minimal automaton is reached */
    }
    return 1;
}

/* ---- Into a grammar ---- */

/* The ways out of a state: all classes that lead to the same state are one class. */
static int32_t edges(lfm2_grammar *g, const lfm2__dfa *d, int32_t state, const int32_t *nodes, lfm2__cp_range *ranges,
                     uint8_t *done,
                     lfm2__class_fn *class_node, void *ctx)
{
    const int32_t *next = d->next + (size_t)state * (size_t)d->n_classes;
    int32_t node = LFM2__FAIL;
    memset(done, 0, (size_t)d->n_classes);
    for (int32_t c = 0; c < d->n_classes; c++) {
        int32_t n = 0;
        if (done[c] || nodes[next[c]] == LFM2__FAIL) continue;
        for (int32_t k = c; k < d->n_classes; k++) {
            if (next[k] != next[c]) continue;
            done[k] = 1;
            ranges[n++] = (lfm2__cp_range){d->bounds[k], d->bounds[k + 1] - 1};
        }
        node = lfm2__g_either(g, class_node(ctx, g, ranges, n, nodes[next[c]]), node);
    }
    return node;
}

int32_t lfm2__g_dfa(lfm2_grammar *g, const lfm2__dfa *d, lfm2__class_fn *class_node, void *ctx, int32_t next)
{
    int32_t *nodes = lfm2__calloc(d->rt, (size_t)d->n_states, sizeof(*nodes));
    lfm2__cp_range *ranges = lfm2__calloc(d->rt, (size_t)d->n_classes, sizeof(*ranges));
    uint8_t *done = lfm2__calloc(d->rt, (size_t)d->n_classes, 1);
    int32_t first = LFM2__FAIL;
    if (nodes == NULL || ranges == NULL || done == NULL) {
        if (g->status == 0) g->status = LFM2_ERR_NOMEM;
    } else {
        for (int32_t i = 0; i < d->n_states; i++) nodes[i] = lfm2__g_loop(g, d->accepts[i] ? next : LFM2__FAIL);
        for (int32_t i = 0; i < d->n_states && g->status == 0; i++) {
            lfm2__g_close_loop(g, nodes[i], edges(g, d, i, nodes, ranges, done, class_node, ctx));
        }
        first = nodes[0];
    }
    lfm2__free(d->rt, done);
    lfm2__free(d->rt, ranges);
    lfm2__free(d->rt, nodes);
    return g->status == 0 ? first : LFM2__FAIL;
}
