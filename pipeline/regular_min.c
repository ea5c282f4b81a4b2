/* SPDX-License-Identifier: Apache-2.0
 * Minimal automata: states that no text tells apart are merged, by splitting sets of states until each set is of one kind
 * (Hopcroft,
 * "An n log n algorithm for minimizing states in a finite automaton", 1971), and classes that no state tells apart are joined. */
#include <string.h>

#include "base/runtime_impl.h"
#include "pipeline/regular.h"

/* States in sets: those of set s are members[first[s]] up to members[end[s]]; the marked ones stand first. */
typedef struct partition {
    const lfm2__dfa *d;
    int32_t *members, *place, *set_of; /* [n_states] */
    int32_t *first, *end, *n_marked;   /* [n_states]: of each set */
    int32_t *touched, *waiting, *splitter; /* [n_states] */
    int32_t *from, *sources; /* states from which class c leads to q: sources[from[c * (n + 1) + q]] up to that of q + 1 */
    uint8_t *is_waiting;
    int32_t n_sets, n_touched, n_waiting;
} partition;

static void list_sources(partition *p)
{
    const int32_t n = p->d->n_states, k = p->d->n_classes;
    for (int32_t c = 0; c < k; c++) {
        int32_t *from = p->from + (size_t)c * ((size_t)n + 1);
        for (int32_t i = 0; i < n; i++) from[p->d->next[(size_t)i * (size_t)k + (size_t)c]]++;
        int32_t total = c * n;
        for (int32_t q = 0; q <= n; q++) { /* ends first; filling turns them into beginnings */
            total += q < n ? from[q] : 0;
            from[q] = total;
        }
        for (int32_t i = 0; i < n; i++) p->sources[--from[p->d->next[(size_t)i * (size_t)k + (size_t)c]]] = i;
    }
}

static void wait_for(partition *p, int32_t set)
{
    if (p->is_waiting[set]) return;
    p->is_waiting[set] = 1;
    p->waiting[p->n_waiting++] = set;
}

static void mark(partition *p, int32_t state)
{
    const int32_t set = p->set_of[state], to = p->first[set] + p->n_marked[set], at = p->place[state];
    if (at < to) return; /* is marked */
    if (p->n_marked[set]++ == 0) p->touched[p->n_touched++] = set;
    p->members[at] = p->members[to];
    p->place[p->members[at]] = at;
    p->members[to] = state;
    p->place[state] = to;
}

/* The marked part of a set becomes a set of its own. */
static void split(partition *p, int32_t set)
{
    const int32_t n_marked = p->n_marked[set], n = p->end[set] - p->first[set];
    p->n_marked[set] = 0;
    if (n_marked == n) return;
    const int32_t fresh = p->n_sets++;
    p->first[fresh] = p->first[set];
    p->end[fresh] = p->first[set] += n_marked;
    for (int32_t i = p->first[fresh]; i < p->end[fresh]; i++) p->set_of[p->members[i]] = fresh;
    wait_for(p, p->is_waiting[set] || n_marked <= n - n_marked ? fresh : set);
}

static void split_all(partition *p)
{
    while (p->n_touched > 0) split(p, p->touched[--p->n_touched]);
}

static int refine(partition *p)
{
    const int32_t n = p->d->n_states, k = p->d->n_classes;
    for (int32_t i = 0; i < n; i++) p->members[i] = p->place[i] = i;
    p->end[0] = n;
    p->n_sets = 1;
    for (int32_t i = 0; i < n; i++) {
        if (p->d->accepts[i]) mark(p, i);
    }
    split_all(p);
    wait_for(p, 0);
    while (p->n_waiting > 0) {
        const int32_t set = p->waiting[--p->n_waiting], n_in = p->end[set] - p->first[set];
        p->is_waiting[set] = 0;
        if (lfm2__aborted(p->d->rt)) return LFM2_ERR_ABORTED;
        memcpy(p->splitter, p->members + p->first[set], (size_t)n_in * sizeof(int32_t)); /* the set itself may be split meanwhile */
        for (int32_t c = 0; c < k; c++) {
            const int32_t *from = p->from + (size_t)c * ((size_t)n + 1);
            for (int32_t i = 0; i < n_in; i++) {
                for (int32_t s = from[p->splitter[i]]; s < from[p->splitter[i] + 1]; s++) mark(p, p->sources[s]);
            }
            split_all(p);
        }
    }
    return 0;
}

/* One state for each set, in the order in which the sets' first states come, so that the first state stays the first. */
static int merge(partition *p, lfm2__dfa **out)
{
    const lfm2__dfa *d = p->d;
    const int32_t n = d->n_states, k = d->n_classes;
    int32_t *number = p->touched, *member = p->waiting, n_numbers = 0;
    lfm2__dfa *small;
    int rc = lfm2__dfa_create(d->rt, p->n_sets, k, &small);
    if (rc < 0) return rc;
    memset(number, 0xff, (size_t)n * sizeof(*number));
    for (int32_t i = 0; i < n; i++) {
        if (number[p->set_of[i]] >= 0) continue;
        member[n_numbers] = i;
        small->accepts[n_numbers] = d->accepts[i];
        number[p->set_of[i]] = n_numbers++;
    }
    small->n_classes = 0;
    for (int32_t c = 0; c < k; c++) { /* a class that leads everywhere where the one before it does is joined to it */
        int same = c > 0;
        for (int32_t i = 0; i < n_numbers && same; i++) {
            const int32_t *row = d->next + (size_t)member[i] * (size_t)k;
            same = p->set_of[row[c]] == p->set_of[row[c - 1]];
        }
        if (!same) p->splitter[small->n_classes] = c, small->bounds[small->n_classes++] = d->bounds[c];
    }
    small->bounds[small->n_classes] = d->bounds[k];
    for (int32_t i = 0; i < n_numbers; i++) {
        for (int32_t c = 0; c < small->n_classes; c++) {
            small->next[(size_t)i * (size_t)small->n_classes + (size_t)c] =
                number[p->set_of[d->next[(size_t)member[i] * (size_t)k + (size_t)p->splitter[c]]]];
        }
    }
    small->work = d->work + (int64_t)n * k;
    *out = small;
    return 0;
}

int lfm2__dfa_minimize(lfm2__dfa *d, lfm2__dfa **out)
{
    const size_t n = (size_t)d->n_states, k = (size_t)d->n_classes, most = n > k ? n : k;
    partition p = {.d = d};
    int32_t *ints = lfm2__calloc(d->rt, 8 * n + most, sizeof(*ints)), *at = ints;
    int rc = LFM2_ERR_NOMEM;
    p.from = lfm2__calloc(d->rt, k * (n + 1), sizeof(*p.from));
    p.sources = lfm2__calloc(d->rt, k * n, sizeof(*p.sources));
    p.is_waiting = lfm2__calloc(d->rt, n, 1);
    if (ints != NULL && p.from != NULL && p.sources != NULL && p.is_waiting != NULL) {
        int32_t **const parts[] = {&p.members, &p.place, &p.set_of, &p.first, &p.end, &p.n_marked, &p.touched, &p.waiting,
                                   &p.splitter};
        for (size_t i = 0; i < LFM2__COUNT_OF(parts); i++, at += n) *parts[i] = at;
        list_sources(&p);
        rc = refine(&p);
        if (rc == 0) rc = merge(&p, out);
    }
    lfm2__free(d->rt, p.is_waiting);
    lfm2__free(d->rt, p.sources);
    lfm2__free(d->rt, p.from);
    lfm2__free(d->rt, ints);
    lfm2__dfa_destroy(d);
    return rc;
}
