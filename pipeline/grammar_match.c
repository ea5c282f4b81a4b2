/* SPDX-License-Identifier: Apache-2.0
 * Matching. A place in a grammar is a node and the stack of nodes to return to; a state is a set of places. Stacks and states are
 * kept once each, so that equal ones have equal numbers and a step is looked up where it was made before. */
#include "pipeline/grammar.h"

#include <stdlib.h>
#include <string.h>

#include "base/runtime_impl.h"
#include "pipeline/list.h"

enum {
    /* of a state: a very ambiguous grammar loses what is beyond them, but never its shortest end: what may come is narrowed,
     * never widened */
    MAX_PLACES = 4096,
    MAX_FOLLOWED = 1 << 18, /* steps without a byte to make one state */
    TRIM_STATES = 4096,  /* beyond them trim() forgets */
    TRIM_FRAMES = 1 << 18,
    TRIM_PLACES = 1 << 20,
    FIRST_CAP = 256
};

typedef struct frame {
    int32_t node, parent; /* where to go on, and with which stack after that; frame 0 is the bottom */
    int32_t min_bytes;    /* from here to the end of everything */
} frame;

typedef struct place {
    int32_t node, frame; /* a BYTES node, or END on frame 0: complete */
} place;

typedef struct state {
    int32_t first, n;    /* of its places */
    int32_t min_bytes;
    int32_t *next;       /* [n_classes]: state behind each class of bytes; -1 = not known yet. NULL = none asked for */
} state;

typedef struct table { /* numbers by hash; -1 = free */
    int32_t *slots;
    int32_t cap, n;
} table;

struct lfm2__matcher {
    const lfm2_grammar *g;
    lfm2_runtime *rt;
    frame *frames;
    int32_t n_frames, cap_frames;
    place *places;
    int32_t n_places, cap_places;
    state *states;
    int32_t n_states, cap_states;
    table frame_table, state_table;
    uint8_t class_of[256]; /* bytes that no set of the grammar tells apart are of one class */
    int32_t n_classes;
    int32_t start;
    place *fresh; /* [MAX_PLACES]: of the state that is being made */
    int32_t n_fresh, n_followed;
    int32_t least; /* min_bytes of the best of them */
    place *todo;  /* places that are still to be followed */
    int32_t n_todo, cap_todo;
    place *seen;  /* hash set of SPLIT and CALL places followed, marked by seen_mark */
    uint32_t *seen_marks;
    int32_t cap_seen, n_seen;
    uint32_t seen_mark;
    int failed;
};

/* ---- Growing ---- */

static uint32_t mix(uint32_t h, uint32_t v)
{
    h = (h ^ v) * 0x9e3779b1u;
    return h ^ h >> 15;
}

static uint32_t hash_frame(const lfm2__matcher *m, int32_t i)
{
    return mix(mix(1, (uint32_t)m->frames[i].node), (uint32_t)m->frames[i].parent);
}

static uint32_t hash_places(const place *p, int32_t n)
{
    uint32_t h = (uint32_t)n;
    for (int32_t i = 0; i < n; i++) h = mix(mix(h, (uint32_t)p[i].node), (uint32_t)p[i].frame);
    return h;
}

static uint32_t hash_state(const lfm2__matcher *m, int32_t i)
{
    return hash_places(m->places + m->states[i].first, m->states[i].n);
}

static void enter(const lfm2__matcher *m, table *t, int32_t i, uint32_t (*hash)(const lfm2__matcher *m, int32_t i))
{
    uint32_t at = hash(m, i) & ((uint32_t)t->cap - 1);
    while (t->slots[at] >= 0) at = (at + 1) & ((uint32_t)t->cap - 1);
    t->slots[at] = i;
}

/* Room in a table for one number more. */
static int table_room(lfm2__matcher *m, table *t, uint32_t (*hash)(const lfm2__matcher *m, int32_t i))
{
    if ((t->n + 1) * 2 <= t->cap) {
        t->n++;
        return 0;
    }
    const int32_t cap = t->cap == 0 ? FIRST_CAP : t->cap * 2;
    int32_t *slots = lfm2__alloc(m->rt, (size_t)cap * sizeof(*slots));
    if (slots == NULL) return -1;
    memset(slots, 0xff, (size_t)cap * sizeof(*slots));
    lfm2__free(m->rt, t->slots);
    t->slots = slots;
    t->cap = cap;
    for (int32_t i = 0; i < t->n; i++) enter(m, t, i, hash);
    t->n++;
    return 0;
}

/* ---- Stacks ---- */

static int32_t push_frame(lfm2__matcher *m, int32_t node, int32_t parent)
{
    if (node == LFM2__END) return parent; /* nothing to come back for */
    const table *t = &m->frame_table;
    const uint32_t h = mix(mix(1, (uint32_t)node), (uint32_t)parent);
    for (uint32_t at = h & ((uint32_t)t->cap - 1); t->cap > 0 && t->slots[at] >= 0; at = (at + 1) & ((uint32_t)t->cap - 1)) {
        const frame *f = &m->frames[t->slots[at]];
        if (f->node == node && f->parent == parent) return t->slots[at];
    }
    if (lfm2__room(m->rt, (void **)&m->frames, m->n_frames + 1, &m->cap_frames, sizeof(*m->frames)) < 0 ||
        table_room(m, &m->frame_table, hash_frame) < 0) {
        m->failed = 1;
        return 0;
    }
    const int32_t here = m->g->min_bytes[node], below = m->frames[parent].min_bytes;
    m->frames[m->n_frames] = (frame){node, parent, here > LFM2__NEVER - below ? LFM2__NEVER : here + below};
    enter(m, &m->frame_table, m->n_frames, hash_frame);
    return m->n_frames++;
}

/* ---- From places to states ---- */

/* 1 if the place is met for the first time in this state. */
static int is_new(lfm2__matcher *m, place p)
{
    if ((m->n_seen + 1) * 2 > m->cap_seen) {
        const int32_t cap = m->cap_seen == 0 ? FIRST_CAP : m->cap_seen * 2;
        place *seen = lfm2__calloc(m->rt, (size_t)cap, sizeof(*seen));
        uint32_t *marks = lfm2__calloc(m->rt, (size_t)cap, sizeof(*marks));
        if (seen == NULL || marks == NULL) {
            lfm2__free(m->rt, seen);
            lfm2__free(m->rt, marks);
            m->failed = 1;
            return 0;
        }
        for (int32_t i = 0; i < m->cap_seen; i++) {
            if (m->seen_marks[i] != m->seen_mark) continue;
            uint32_t at = hash_places(&m->seen[i], 1) & ((uint32_t)cap - 1);
            while (marks[at] == m->seen_mark) at = (at + 1) & ((uint32_t)cap - 1);
            seen[at] = m->seen[i];
            marks[at] = m->seen_mark;
        }
        lfm2__free(m->rt, m->seen);
        lfm2__free(m->rt, m->seen_marks);
        m->seen = seen;
        m->seen_marks = marks;
        m->cap_seen = cap;
    }
    uint32_t at = hash_places(&p, 1) & ((uint32_t)m->cap_seen - 1);
    for (; m->seen_marks[at] == m->seen_mark; at = (at + 1) & ((uint32_t)m->cap_seen - 1)) {
        if (m->seen[at].node == p.node && m->seen[at].frame == p.frame) return 0;
    }
    m->seen[at] = p;
    m->seen_marks[at] = m->seen_mark;
    m->n_seen++;
    return 1;
}

static void put_off(lfm2__matcher *m, int32_t node, int32_t frame_no)
{
    if (m->g->min_bytes[node] == LFM2__NEVER) return;
    if (lfm2__room(m->rt, (void **)&m->todo, m->n_todo + 1, &m->cap_todo, sizeof(*m->todo)) < 0) {
        m->failed = 1;
        return;
    }
    m->todo[m->n_todo++] = (place){node, frame_no};
}

static int32_t way(const lfm2__matcher *m, place p)
{
    const int32_t here = m->g->min_bytes[p.node], below = m->frames[p.frame].min_bytes;
    return here > LFM2__NEVER - below ? LFM2__NEVER : here + below;
}

static void keep(lfm2__matcher *m, place p)
{
    const int32_t left = way(m, p);
    if (m->n_fresh < MAX_PLACES) m->fresh[m->n_fresh++] = p;
    else if (left < m->least) m->fresh[MAX_PLACES - 1] = p;
    if (left < m->least) m->least = left;
}

/* One place: kept if it waits for a byte, replaced by what it leads to otherwise. */
static void follow(lfm2__matcher *m, place p)
{
    const lfm2__node *n = &m->g->nodes[p.node];
    if (!is_new(m, p)) return;
    if (n->kind == LFM2__NODE_BYTES || (n->kind == LFM2__NODE_END && p.frame == 0)) {
        keep(m, p);
    } else if (n->kind == LFM2__NODE_END) {
        put_off(m, m->frames[p.frame].node, m->frames[p.frame].parent);
    } else if (n->kind == LFM2__NODE_SPLIT) {
        put_off(m, n->arg, p.frame);
        put_off(m, n->next, p.frame);
    } else if (n->kind == LFM2__NODE_CALL && m->g->min_bytes[n->next] != LFM2__NEVER) {
        put_off(m, m->g->rules[n->arg], push_frame(m, n->next, p.frame));
    }
}

static void begin(lfm2__matcher *m)
{
    m->n_fresh = m->n_todo = m->n_seen = m->n_followed = 0;
    m->least = LFM2__NEVER;
    if (++m->seen_mark == 0) { /* once in 2^32 states the old marks have to go */
        if (m->seen_marks != NULL) memset(m->seen_marks, 0, (size_t)m->cap_seen * sizeof(*m->seen_marks));
        m->seen_mark = 1;
    }
}

static int compare_places(const void *pa, const void *pb)
{
    const place *a = pa, *b = pb;
    if (a->node != b->node) return a->node < b->node ? -1 : 1;
    return a->frame < b->frame ? -1 : a->frame > b->frame;
}

static int32_t shortest(const lfm2__matcher *m, const place *p, int32_t n)
{
    int32_t best = LFM2__NEVER;
    for (int32_t i = 0; i < n; i++) {
        const int32_t left = way(m, p[i]);
        if (left < best) best = left;
    }
    return best;
}

static int32_t add_state(lfm2__matcher *m, const place *p, int32_t n)
{
    if (lfm2__room(m->rt, (void **)&m->states, m->n_states + 1, &m->cap_states, sizeof(*m->states)) < 0 ||
        /* + 1: the dead state has no place, but the array it points into is to exist */
        lfm2__room(m->rt, (void **)&m->places, m->n_places + n + 1, &m->cap_places, sizeof(*m->places)) < 0 ||
        table_room(m, &m->state_table, hash_state) < 0) {
        return LFM2_ERR_NOMEM;
    }
    if (n > 0) memcpy(m->places + m->n_places, p, (size_t)n * sizeof(*p));
    m->states[m->n_states] = (state){.first = m->n_places, .n = n, .min_bytes = shortest(m, p, n)};
    m->n_places += n;
    enter(m, &m->state_table, m->n_states, hash_state);
    return m->n_states++;
}

/* Follow what was put off, and find or make the state of what waits for a byte. */
static int32_t finish(lfm2__matcher *m)
{
    while (m->n_todo > 0 && !m->failed) {
        if (++m->n_followed > MAX_FOLLOWED)
            return lfm2__fail(m->rt, LFM2_ERR_LIMIT, "grammar: too many ways to go on at one place");
        follow(m, m->todo[--m->n_todo]);
    }
    if (m->failed) {
        m->failed = 0;
        return LFM2_ERR_NOMEM;
    }
    if (m->n_fresh > 1) qsort(m->fresh, (size_t)m->n_fresh, sizeof(*m->fresh), compare_places);
    const table *t = &m->state_table;
    const uint32_t mask = (uint32_t)t->cap - 1;
    for (uint32_t at = hash_places(m->fresh, m->n_fresh) & mask; t->cap > 0 && t->slots[at] >= 0; at = (at + 1) & mask) {
        const state *s = &m->states[t->slots[at]];
        if (s->n == m->n_fresh && memcmp(m->places + s->first, m->fresh, (size_t)s->n * sizeof(place)) == 0) return t->slots[at];
    }
    return add_state(m, m->fresh, m->n_fresh);
}

int32_t lfm2__matcher_next(lfm2__matcher *m, int32_t from, uint8_t byte)
{
    if (from >= m->n_states) return LFM2_ERR_NOMEM; /* lost when there was no memory to trim */
    state *s = &m->states[from];
    if (s->next == NULL) {
        s->next = lfm2__alloc(m->rt, (size_t)m->n_classes * sizeof(*s->next));
        if (s->next == NULL) return LFM2_ERR_NOMEM;
        memset(s->next, 0xff, (size_t)m->n_classes * sizeof(*s->next));
    }
    const uint8_t class_no = m->class_of[byte];
    if (s->next[class_no] >= 0) return s->next[class_no];
    begin(m);
    for (int32_t i = 0; i < s->n; i++) {
        const place p = m->places[s->first + i];
        const lfm2__node *n = &m->g->nodes[p.node];
        if (n->kind == LFM2__NODE_BYTES && lfm2__byteset_has(&m->g->sets[n->arg], byte)) put_off(m, n->next, p.frame);
    }
    const int32_t to = finish(m);
    if (to >= 0) m->states[from].next[class_no] = to; /* the array may have moved */
    return to;
}

int32_t lfm2__matcher_min_bytes(const lfm2__matcher *m, int32_t i)
{
    return i < m->n_states ? m->states[i].min_bytes : LFM2__NEVER;
}

int lfm2__matcher_goes_on(const lfm2__matcher *m, int32_t i)
{
    if (i >= m->n_states) return 0;
    const state *s = &m->states[i];
    for (int32_t k = 0; k < s->n; k++) {
        if (m->g->nodes[m->places[s->first + k].node].kind == LFM2__NODE_BYTES) return 1;
    }
    return 0;
}

/* ---- Life ---- */

/* Split the classes by each set, until none has both bytes that are in it and bytes that are not. */
static void sort_bytes(lfm2__matcher *m)
{
    m->n_classes = 1;
    for (int32_t i = 0; i < m->g->n_sets && m->n_classes < 256; i++) {
        int32_t in[256], n = m->n_classes; /* new class of those in the set; -1 = not met yet */
        int32_t n_in[256] = {0}, n_all[256] = {0};
        for (int b = 0; b < 256; b++) {
            n_all[m->class_of[b]]++;
            n_in[m->class_of[b]] += lfm2__byteset_has(&m->g->sets[i], (uint8_t)b);
        }
        for (int32_t k = 0; k < m->n_classes; k++) in[k] = n_in[k] > 0 && n_in[k] < n_all[k] ? n++ : k;
        for (int b = 0; b < 256; b++) {
            if (lfm2__byteset_has(&m->g->sets[i], (uint8_t)b)) m->class_of[b] = (uint8_t)in[m->class_of[b]];
        }
        m->n_classes = n;
    }
}

/* The bottom frame, the dead state and the first one. */
static int set_up(lfm2__matcher *m)
{
    if (lfm2__room(m->rt, (void **)&m->frames, 1, &m->cap_frames, sizeof(*m->frames)) < 0 ||
        table_room(m, &m->frame_table, hash_frame) < 0) {
        return LFM2_ERR_NOMEM;
    }
    m->frames[0] = (frame){LFM2__END, 0, 0};
    enter(m, &m->frame_table, 0, hash_frame);
    m->n_frames = 1;
    const int32_t dead = add_state(m, NULL, 0);
    if (dead < 0) return dead;
    begin(m);
    put_off(m, m->g->rules[m->g->start], 0);
    m->start = finish(m);
    return m->start < 0 ? m->start : 0;
}

int lfm2__matcher_create(const lfm2_grammar *g, lfm2__matcher **out)
{
    lfm2__matcher *m = lfm2__calloc(g->rt, 1, sizeof(*m));
    if (m == NULL) return LFM2_ERR_NOMEM;
    m->g = g;
    m->rt = g->rt;
    sort_bytes(m);
    m->fresh = lfm2__calloc(g->rt, MAX_PLACES, sizeof(*m->fresh));
    const int rc = m->fresh == NULL ? LFM2_ERR_NOMEM : set_up(m);
    if (rc < 0) {
        lfm2__matcher_destroy(m);
        return rc;
    }
    *out = m;
    return 0;
}

int lfm2__grammar_try(const lfm2_grammar *g)
{
    lfm2__matcher *m = NULL;
    const int rc = lfm2__matcher_create(g, &m);
    lfm2__matcher_destroy(m);
    return rc < 0 ? rc : 0;
}

static void forget(lfm2__matcher *m)
{
    for (int32_t i = 0; i < m->n_states; i++) lfm2__free(m->rt, m->states[i].next);
    m->n_states = m->n_places = m->n_frames = 0;
    m->frame_table.n = m->state_table.n = 0;
    if (m->frame_table.slots != NULL) memset(m->frame_table.slots, 0xff, (size_t)m->frame_table.cap * sizeof(int32_t));
    if (m->state_table.slots != NULL) memset(m->state_table.slots, 0xff, (size_t)m->state_table.cap * sizeof(int32_t));
}

void lfm2__matcher_destroy(lfm2__matcher *m)
{
    if (m == NULL) return;
    forget(m);
    lfm2__free(m->rt, m->frames);
    lfm2__free(m->rt, m->places);
    lfm2__free(m->rt, m->states);
    lfm2__free(m->rt, m->frame_table.slots);
    lfm2__free(m->rt, m->state_table.slots);
    lfm2__free(m->rt, m->fresh);
    lfm2__free(m->rt, m->todo);
    lfm2__free(m->rt, m->seen);
    lfm2__free(m->rt, m->seen_marks);
    lfm2__free(m->rt, m);
}

int32_t lfm2__matcher_start(lfm2__matcher *m)
{
    return m->start;
}

/* ---- Forgetting ---- */

/* The stacks of a state's places, written out from top to bottom: for each place its node, its depth and the nodes to return to. */
static int32_t *write_out(const lfm2__matcher *m, const state *s, size_t *n_ints)
{
    size_t n = 0;
    for (int32_t i = 0; i < s->n; i++) {
        n += 2;
        for (int32_t f = m->places[s->first + i].frame; f != 0; f = m->frames[f].parent) n++;
    }
    int32_t *ints = lfm2__alloc(m->rt, (n + 1) * sizeof(*ints)); /* + 1: never empty */
    if (ints == NULL) return NULL;
    int32_t *at = ints;
    for (int32_t i = 0; i < s->n; i++) {
        const place p = m->places[s->first + i];
        *at++ = p.node;
        int32_t *depth = at++;
        *depth = 0;
        for (int32_t f = p.frame; f != 0; f = m->frames[f].parent) {
            *at++ = m->frames[f].node;
            ++*depth;
        }
    }
    *n_ints = n;
    return ints;
}

int lfm2__matcher_trim(lfm2__matcher *m, int32_t *kept)
{
    if (m->n_states < TRIM_STATES && m->n_frames < TRIM_FRAMES && m->n_places < TRIM_PLACES) return 0;
    size_t n = 0;
    int32_t *ints = write_out(m, &m->states[*kept], &n);
    if (ints == NULL) return LFM2_ERR_NOMEM;
    forget(m);
    int rc = set_up(m);
    if (rc == 0) {
        begin(m);
        for (const int32_t *at = ints; at < ints + n; at += 2 + at[1]) {
            int32_t frame_no = 0;
            for (int32_t k = at[1]; k-- > 0;) frame_no = push_frame(m, at[2 + k], frame_no);
            put_off(m, at[0], frame_no);
        }
        *kept = finish(m);
        rc = *kept < 0 ? *kept : 1;
    }
    lfm2__free(m->rt, ints);
    return rc;
}

int lfm2_grammar_matches(const lfm2_grammar *g, const char *text, size_t n)
{
    lfm2__matcher *m = NULL;
    if (g == NULL || (text == NULL && n > 0)) return LFM2_ERR_ARG;
    int rc = lfm2__matcher_create(g, &m);
    if (rc < 0) return rc;
    int32_t at = lfm2__matcher_start(m);
    for (size_t i = 0; i < n && at > LFM2__DEAD; i++) {
        rc = lfm2__matcher_trim(m, &at);
        at = rc < 0 ? rc : lfm2__matcher_next(m, at, (uint8_t)text[i]);
    }
    rc = at < 0 ? at : lfm2__matcher_min_bytes(m, at) == 0;
    lfm2__matcher_destroy(m);
    return rc;
}
