/* SPDX-License-Identifier: Apache-2.0
 * The algebra of regular languages: products, complements, minimal automata. */
#include "pipeline/regular.h"

#include <stdlib.h>
#include <string.h>

#include "base/runtime_impl.h"
#include "base/utf8.h"

#define N_CODE_POINTS 0x110000u

void lfm2__dfa_destroy(lfm2__dfa *d)
{
    if (d == NULL) return;
    lfm2__free(d->rt, d->bounds);
    lfm2__free(d->rt, d->next);
    lfm2__free(d->rt, d->accepts);
    lfm2__free(d->rt, d);
}

/* A table to be filled; *out is NULL on failure. */
static int create(lfm2_runtime *rt, int64_t n_states, int64_t n_classes, lfm2__dfa **out)
{
    *out = NULL;
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
    int rc = create(rt, last + 1, 1, &d);
    if (rc < 0) return rc;
    for (int64_t i = 0; i <= last; i++) {
        d->next[i] = (int32_t)(i < last ? i + 1 : last);
        d->accepts[i] = i >= min && (max < 0 || i <= max);
    }
    *out = d;
    return 0;
}

static int compare_u32(const void *pa, const void *pb)
{
    const uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;
    return a < b ? -1 : a > b;
}

int lfm2__dfa_from_text(lfm2_runtime *rt, const char *text, size_t n, lfm2__dfa **out)
{
    int32_t n_cp = 0, n_bounds = 0;
    int rc = 0;
    lfm2__dfa *d = NULL;
    if (n > LFM2__DFA_MAX_CELLS / 4) return LFM2_ERR_LIMIT;
    uint32_t *cps = lfm2__calloc(rt, 3 * n + 2, sizeof(*cps)), *bounds = cps + n;
    if (cps == NULL) return LFM2_ERR_NOMEM;
    for (size_t at = 0; at < n;) {
        const size_t len = lfm2__utf8_decode(text + at, n - at, &cps[n_cp]);
        if (len == 0) {
            rc = LFM2_ERR_UTF8;
            goto done;
        }
        at += len;
        bounds[n_bounds++] = cps[n_cp];
        bounds[n_bounds++] = cps[n_cp++] + 1;
    }
    bounds[n_bounds++] = 0;
    qsort(bounds, (size_t)n_bounds, sizeof(*bounds), compare_u32);
    int32_t n_classes = 0;
    for (int32_t i = 0; i < n_bounds; i++) {
        if ((i == 0 || bounds[i] != bounds[i - 1]) && bounds[i] < N_CODE_POINTS) bounds[n_classes++] = bounds[i];
    }
    rc = create(rt, (int64_t)n_cp + 2, n_classes, &d);
    if (rc < 0) goto done;
    memcpy(d->bounds, bounds, (size_t)n_classes * sizeof(*bounds));
    for (int32_t s = 0; s < n_cp + 2; s++) {
        for (int32_t k = 0; k < n_classes; k++) {
            const int fits = s < n_cp && d->bounds[k] == cps[s];
            d->next[s * n_classes + k] = fits ? s + 1 : n_cp + 1;
        }
    }
    d->accepts[n_cp] = 1;
    *out = d;

done:
    lfm2__free(rt, cps);
    return rc;
}

/* ---- Minimal automata ---- */

/* Numbers for rows of ints that are equal: a hash table of row numbers. */
typedef struct row_table {
    const int32_t *rows;
    int32_t width, n;
    int32_t *slots;
    uint32_t mask;
} row_table;

static uint32_t hash_row(const int32_t *row, int32_t n)
{
    uint64_t h = 0;
    for (int32_t i = 0; i < n; i++) h = (h ^ (uint32_t)row[i]) * 0x9e3779b97f4a7c15u, h ^= h >> 29;
    return (uint32_t)(h >> 16);
}

/* Number of the first row that equals row i, which is entered if it is the first. */
static int32_t find_row(row_table *t, int32_t i)
{
    const int32_t *row = t->rows + (size_t)i * (size_t)t->width;
    uint32_t at = hash_row(row, t->width) & t->mask;
    for (; t->slots[at] >= 0; at = (at + 1) & t->mask) {
        const int32_t *other = t->rows + (size_t)t->slots[at] * (size_t)t->width;
        if (memcmp(row, other, (size_t)t->width * sizeof(*row)) == 0) return t->slots[at];
    }
    t->slots[at] = i;
    return i;
}

/* Merge states that cannot be told apart (Moore: split by acceptance, then by where each class leads, until nothing splits), and
 * classes that no state tells apart. Consumes d, also on failure. */
static int minimize(lfm2__dfa *d, lfm2__dfa **out)
{
    const int32_t n = d->n_states, k = d->n_classes;
    uint32_t mask = 15;
    while (mask < 4u * (uint32_t)n) mask = 2 * mask + 1;
    lfm2_runtime *rt = d->rt;
    int32_t *group = lfm2__calloc(rt, (size_t)n, sizeof(*group));
    int32_t *rows = lfm2__calloc(rt, (size_t)n * ((size_t)k + 1), sizeof(*rows));
    int32_t *slots = lfm2__alloc(rt, ((size_t)mask + 1) * sizeof(*slots));
    int32_t *number = lfm2__calloc(rt, (size_t)n, sizeof(*number));
    lfm2__dfa *small = NULL;
    int rc = LFM2_ERR_NOMEM;
    int32_t n_groups = 0;
    if (group == NULL || rows == NULL || slots == NULL || number == NULL) goto done;
    for (int32_t i = 0; i < n; i++) group[i] = d->accepts[i];
    for (int32_t before = -1; before != n_groups;) {
        row_table t = {.rows = rows, .width = k + 1, .n = n, .slots = slots, .mask = mask};
        before = n_groups;
        n_groups = 0;
        rc = LFM2_ERR_ABORTED;
        if (lfm2__aborted(rt)) goto done;
        memset(slots, 0xff, ((size_t)mask + 1) * sizeof(*slots));
        for (int32_t i = 0; i < n; i++) {
            int32_t *row = rows + (size_t)i * ((size_t)k + 1);
            row[0] = group[i];
            for (int32_t c = 0; c < k; c++) row[c + 1] = group[d->next[(size_t)i * (size_t)k + (size_t)c]];
        }
        for (int32_t i = 0; i < n; i++) {
            const int32_t first = find_row(&t, i);
            if (first == i) number[i] = n_groups++;
            group[i] = number[first];
        }
    }
    rc = create(rt, n_groups, k, &small);
    if (rc < 0) goto done;
    small->n_classes = 0;
    for (int32_t i = 0; i < n; i++) small->accepts[group[i]] = d->accepts[i];
    for (int32_t c = 0; c < k; c++) { /* a class whose column equals the one before it is joined to it */
        int same = c > 0;
        for (int32_t i = 0; i < n && same; i++) {
            same = group[d->next[(size_t)i * (size_t)k + (size_t)c]] == group[d->next[(size_t)i * (size_t)k + (size_t)c - 1]];
        }
        if (!same) small->bounds[small->n_classes++] = d->bounds[c];
    }
    small->bounds[small->n_classes] = N_CODE_POINTS;
    for (int32_t i = 0; i < n; i++) {
        for (int32_t c = 0, to = -1; c < k; c++) {
            if (to + 1 < small->n_classes && small->bounds[to + 1] == d->bounds[c]) to++;
            small->next[(size_t)group[i] * (size_t)small->n_classes + (size_t)to] = group[d->next[(size_t)i * (size_t)k + (size_t)c]];
        }
    }
    /* the numbers go by the first member of a group, and state 0 is the first of all: it stays 0 */
    *out = small;
    rc = 0;

done:
    lfm2__free(rt, group);
    lfm2__free(rt, rows);
    lfm2__free(rt, slots);
    lfm2__free(rt, number);
    lfm2__dfa_destroy(d);
    return rc;
}

int lfm2__dfa_from_table(lfm2_runtime *rt, int32_t n_states, int32_t n_classes, const uint32_t *bounds, const int32_t *next,
                         const uint8_t *accepts, lfm2__dfa **out)
{
    lfm2__dfa *d;
    int rc = create(rt, n_states, n_classes, &d);
    if (rc < 0) return rc;
    memcpy(d->bounds, bounds, (size_t)n_classes * sizeof(*bounds));
    memcpy(d->next, next, (size_t)n_states * (size_t)n_classes * sizeof(*next));
    memcpy(d->accepts, accepts, (size_t)n_states);
    return minimize(d, out);
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
        uint32_t at = hash_row(&p->pairs[i].a, 2) & p->mask;
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
    uint32_t at = hash_row(&wanted.a, 2) & p->mask;
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
            int32_t *grown = lfm2__grow(rt, next, (size_t)cap_next * (size_t)k * sizeof(*next), (size_t)cap * (size_t)k * sizeof(*next));
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
static int32_t edges(lfm2_grammar *g, const lfm2__dfa *d, int32_t state, const int32_t *nodes, lfm2__cp_range *ranges, uint8_t *done,
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
