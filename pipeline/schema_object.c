/* SPDX-License-Identifier: Apache-2.0
 * Objects: the properties that are named, in the order of the schema, then all others. */
#include "pipeline/schema.h"

#include <string.h>

#include "base/runtime_impl.h"

enum { MAX_CELLS = 200000, MAX_CLASSES = 64, MAX_NAMED = 4000 };

/* ---- Which properties there are ---- */

static void add_named(lfm2__schema *c, lfm2__text *list, int32_t *n_list, const char *key, size_t n)
{
    lfm2__schema_work(c, *n_list);
    for (int32_t i = 0; i < *n_list; i++) {
        if (list[i].n == n && memcmp(list[i].s, key, n) == 0) return;
    }
    if (*n_list == MAX_NAMED) (void)lfm2__schema_fail(c, LFM2_ERR_LIMIT, c->root, "too many properties");
    else list[(*n_list)++] = (lfm2__text){key, n};
}

/* Rules are listed last first; names come in the order of the document. */
static void add_properties(lfm2__schema *c, const lfm2__object_rule *r, lfm2__text *list, int32_t *n_list)
{
    void *it = NULL;
    const char *key;
    size_t n;
    const lfm2__json *v;
    if (r == NULL) return;
    add_properties(c, r->rest, list, n_list);
    while (lfm2__json_next(r->properties, &it, &key, &n, &v)) add_named(c, list, n_list, key, n);
}

static void add_keys(lfm2__schema *c, const lfm2__key_rule *r, lfm2__text *list, int32_t *n_list)
{
    if (r == NULL) return;
    add_keys(c, r->rest, list, n_list);
    add_named(c, list, n_list, r->key, r->n);
}

static lfm2__text *list_names(lfm2__schema *c, const lfm2__shape *s, int32_t *n_list)
{
    size_t cap = 1;
    for (const lfm2__object_rule *r = s->objects; r != NULL; r = r->rest) cap += lfm2__json_size(r->properties);
    for (const lfm2__key_rule *k = s->keys; k != NULL; k = k->rest) cap++;
    lfm2__text *list = lfm2__schema_alloc(c, cap * sizeof(*list));
    *n_list = 0;
    if (list == NULL) return NULL;
    add_properties(c, s->objects, list, n_list);
    add_keys(c, s->keys, list, n_list);
    return list;
}

const lfm2__literals *lfm2__schema_key_goal(lfm2__schema *c, const lfm2__shape *s, const char *key, size_t n, int *state)
{
    const lfm2__literals *goal = NULL;
    *state = s->names != NULL && !lfm2__dfa_accepts(s->names, key, n) ? -1 : 0;
    for (const lfm2__object_rule *r = s->objects; r != NULL && c->status == 0; r = r->rest) {
        const lfm2__json *own = lfm2__json_get(r->properties, key), *inner;
        int known = own != NULL;
        void *it = NULL;
        const char *pattern;
        size_t m;
        if (own != NULL) goal = lfm2__literals_add(c, goal, (lfm2__literal){own, 0});
        while (lfm2__json_next(r->patterns, &it, &pattern, &m, &inner)) {
            const lfm2__dfa *d = lfm2__schema_pattern(c, inner, pattern, m);
            if (d == NULL || !lfm2__dfa_accepts(d, key, n)) continue;
            known = 1;
            goal = lfm2__literals_add(c, goal, (lfm2__literal){inner, 0});
        }
        if (!known && r->additional != NULL) goal = lfm2__literals_add(c, goal, (lfm2__literal){r->additional, 0});
    }
    int required = 0;
    for (const lfm2__key_rule *k = s->keys; k != NULL; k = k->rest) {
        lfm2__schema_work(c, 1);
        if (k->n != n || memcmp(k->key, key, n) != 0) continue;
        if (k->forbidden) *state = -1;
        required |= k->required;
        if (k->lit.schema != NULL) goal = lfm2__literals_add(c, goal, k->lit);
    }
    if (required && *state < 0) *state = -2; /* must and must not */
    else if (required) *state = 1;
    return goal;
}

/* ---- All other names, by what their values must be ---- */

typedef struct name_class {
    lfm2__dfa *names; /* NULL = all */
    const lfm2__literals *goal;
    int matched;      /* by a pattern of the rule at hand */
} name_class;

/* 1 if some name is left. */
static int has_names(const lfm2__schema *c, const name_class *k)
{
    return c->status == 0 && (k->names == NULL || !lfm2__dfa_is_empty(k->names));
}

/* Every class in two: names that the pattern is found in, and others. */
static int32_t split(lfm2__schema *c, name_class *list, int32_t n, lfm2__dfa *pattern, const lfm2__json *schema)
{
    const int32_t n_before = n;
    int32_t n_kept = 0;
    for (int32_t i = 0; i < n_before && c->status == 0; i++) {
        name_class in = list[i], out = list[i];
        in.names = lfm2__dfa_meet(c, in.names, pattern);
        in.goal = lfm2__literals_add(c, in.goal, (lfm2__literal){schema, 0});
        in.matched = 1;
        out.names = lfm2__dfa_except(c, out.names, pattern);
        if (n == MAX_CLASSES) (void)lfm2__schema_fail(c, LFM2_ERR_LIMIT, schema, "too many patternProperties");
        else list[n++] = in;
        list[i] = out;
    }
    for (int32_t i = 0; i < n; i++) {
        if (has_names(c, &list[i])) list[n_kept++] = list[i];
    }
    return n_kept;
}

static int32_t list_classes(lfm2__schema *c, const lfm2__shape *s, const lfm2__text *known, int32_t n_known, name_class *list)
{
    int32_t n = 1, n_kept = 0;
    list[0] = (name_class){.names = s->names};
    if (n_known > 0) list[0].names = lfm2__dfa_except(c, s->names, lfm2__schema_texts(c, known, n_known));
    for (const lfm2__object_rule *r = s->objects; r != NULL && c->status == 0; r = r->rest) {
        void *it = NULL;
        const char *pattern;
        size_t m;
        const lfm2__json *inner;
        for (int32_t i = 0; i < n; i++) list[i].matched = 0;
        while (lfm2__json_next(r->patterns, &it, &pattern, &m, &inner) && c->status == 0) {
            n = split(c, list, n, lfm2__schema_pattern(c, inner, pattern, m), inner);
        }
        for (int32_t i = 0; i < n && r->additional != NULL; i++) {
            if (!list[i].matched) list[i].goal = lfm2__literals_add(c, list[i].goal, (lfm2__literal){r->additional, 0});
        }
    }
    for (int32_t i = 0; i < n && c->status == 0; i++) {
        if (has_names(c, &list[i]) && !lfm2__schema_is_dead(c, list[i].goal, LFM2__T_ANY)) list[n_kept++] = list[i];
    }
    return n_kept;
}

/* 1 if nothing can be said of names without listing the automaton of all the known ones: everything else is forbidden. */
static int is_closed(const lfm2__shape *s)
{
    for (const lfm2__object_rule *r = s->objects; r != NULL; r = r->rest) {
        const lfm2__json *a = r->additional;
        if (lfm2__json_size(r->patterns) == 0 && lfm2__json_typeof(a) == LFM2__JSON_BOOL && !lfm2__json_bool(a)) return 1;
    }
    return s->max_properties == 0;
}

/* ---- Building ---- */

typedef struct counts { /* of properties: states 0 .. top, where top stands for all that are as many or more */
    int64_t min, max;   /* max < 0: no bound */
    int32_t top;
} counts;

static int is_enough(const counts *k, int32_t count)
{
    return count >= k->min && (k->max < 0 || count <= k->max);
}

static int32_t one_more(const counts *k, int32_t count)
{
    return count < k->top ? count + 1 : count;
}

static int32_t comma(lfm2__schema *c, int32_t count, int32_t next)
{
    return count == 0 ? next : lfm2__g_text(c->g, ", ", 2, next);
}

/* All other properties, any number of times, and the end; into nodes[] for each count. */
static void build_others(lfm2__schema *c, const name_class *list, int32_t n, const counts *k, int32_t *nodes, int32_t end)
{
    const int32_t close = lfm2__g_text(c->g, "}", 1, end);
    int32_t rules[MAX_CLASSES];
    for (int32_t i = 0; i < n && c->status == 0; i++) { /* a rule for each class: its name and value */
        const int32_t value = lfm2__schema_rule(c, list[i].goal);
        rules[i] = lfm2__g_rule(c->g);
        const int32_t behind = lfm2__g_text(c->g, ": ", 2, lfm2__g_call(c->g, value, LFM2__END));
        lfm2__g_define(c->g, rules[i], lfm2__g_string(c, list[i].names, behind));
    }
    for (int32_t m = 0; m <= k->top; m++) nodes[m] = lfm2__g_loop(c->g, is_enough(k, m) ? close : LFM2__FAIL);
    for (int32_t m = 0; m <= k->top && c->status == 0; m++) {
        int32_t body = LFM2__FAIL;
        if (k->max >= 0 && m >= k->max) continue;
        for (int32_t i = 0; i < n; i++) body = lfm2__g_either(c->g, lfm2__g_call(c->g, rules[i], nodes[one_more(k, m)]), body);
        lfm2__g_close_loop(c->g, nodes[m], comma(c, m, body));
    }
}

/* The named ones, from the last to the first. nodes[]: what comes behind, for each count; in the end what begins. */
static void build_named(lfm2__schema *c, const lfm2__shape *s, const lfm2__text *list, int32_t n, const counts *k, int32_t *nodes)
{
    for (int32_t i = n; i-- > 0 && c->status == 0;) {
        int state;
        const lfm2__literals *goal = lfm2__schema_key_goal(c, s, list[i].s, list[i].n, &state);
        if (state == -1) continue;
        if (state == -2) {
            for (int32_t m = 0; m <= k->top; m++) nodes[m] = LFM2__FAIL;
            return;
        }
        const int32_t value = lfm2__schema_rule(c, goal), pair = lfm2__g_rule(c->g);
        if (c->status < 0) return;
        const int32_t behind = lfm2__g_text(c->g, ": ", 2, lfm2__g_call(c->g, value, LFM2__END));
        lfm2__g_define(c->g, pair, lfm2__g_key(c, list[i].s, list[i].n, behind));
        for (int32_t m = 0; m <= k->top; m++) { /* upwards: nodes[m + 1] is still that behind this property */
            const int full = k->max >= 0 && m >= k->max;
            const int32_t with = full ? LFM2__FAIL : comma(c, m, lfm2__g_call(c->g, pair, nodes[one_more(k, m)]));
            nodes[m] = state == 1 ? with : lfm2__g_either(c->g, with, nodes[m]);
        }
    }
}

int32_t lfm2__g_object(lfm2__schema *c, const lfm2__shape *s, int32_t next)
{
    int32_t n = 0, n_classes = 0, n_required = 0;
    name_class *classes = lfm2__schema_alloc(c, MAX_CLASSES * sizeof(*classes));
    lfm2__text *list = list_names(c, s, &n);
    counts k = {.min = s->min_properties, .max = s->max_properties};
    if (c->status < 0) return LFM2__FAIL;
    if (!is_closed(s)) n_classes = list_classes(c, s, list, n, classes);
    for (int32_t i = 0; i < n; i++) {
        int state;
        (void)lfm2__schema_key_goal(c, s, list[i].s, list[i].n, &state);
        n_required += state == 1;
    }
    /* Names that are not known are not remembered, so that one may come twice: they can be counted on for one property only. */
    if (n_classes > 0 && k.min > n_required + 1) {
        (void)lfm2__schema_fail(c, LFM2_ERR_UNSUPPORTED, c->root, "minProperties of properties without names");
    }
    if (k.max > MAX_CELLS) k.max = -1; /* longer than any document that is written here */
    const int64_t top = k.max >= 0 ? k.max + 1 : k.min > 1 ? k.min : 1;
    if (top * (n + 1) > MAX_CELLS) (void)lfm2__schema_fail(c, LFM2_ERR_LIMIT, c->root, "too many properties to be counted");
    if (c->status < 0) return LFM2__FAIL;
    k.top = (int32_t)top;
    int32_t *nodes = lfm2__schema_alloc(c, ((size_t)k.top + 1) * sizeof(*nodes));
    if (nodes == NULL) return LFM2__FAIL;
    build_others(c, classes, n_classes, &k, nodes, next);
    build_named(c, s, list, n, &k, nodes);
    return c->status < 0 ? LFM2__FAIL : lfm2__g_text(c->g, "{", 1, nodes[0]);
}
