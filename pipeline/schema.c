/* SPDX-License-Identifier: Apache-2.0
 * The schema compiler: its memory, its errors, references, and the rule of each goal. */
#include "pipeline/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/runtime_impl.h"
#include "base/str.h"

enum {
    MAX_BYTES = 4 << 20,
    MAX_JSON_DEPTH = 200,
    MAX_VALUES = 250000,
    MAX_NODES = 1 << 19,
    MAX_GOALS = 20000,
    MAX_MEMORY = 24 << 20,
    MAX_WORK = 100000000, /* a second at the most */
    CHUNK_BYTES = 1 << 16,
    DEAD_DEPTH = 4,
    N_BUCKETS = 1024
};

typedef struct chunk {
    struct chunk *rest;
    size_t used, cap;
} chunk;

typedef struct owned_dfa {
    lfm2__dfa *dfa;
    struct owned_dfa *rest;
} owned_dfa;

typedef struct goal {
    lfm2__literal *lits; /* sorted */
    int32_t n, rule;
    struct goal *rest;
} goal;

/* ---- Memory ---- */

void *lfm2__schema_alloc(lfm2__schema *c, size_t n_bytes)
{
    const size_t head = (sizeof(chunk) + 15) & ~(size_t)15;
    n_bytes = (n_bytes + 15) & ~(size_t)15;
    if (c->status < 0) return NULL;
    if (c->chunks == NULL || c->chunks->cap - c->chunks->used < n_bytes) {
        const size_t cap = n_bytes > CHUNK_BYTES ? n_bytes : CHUNK_BYTES;
        c->n_bytes += cap;
        chunk *fresh = c->n_bytes > MAX_MEMORY ? NULL : lfm2__alloc(c->rt, head + cap);
        if (fresh == NULL) {
            if (c->n_bytes > MAX_MEMORY) (void)lfm2__schema_fail(c, LFM2_ERR_LIMIT, c->root, "too much to expand");
            else c->status = LFM2_ERR_NOMEM;
            return NULL;
        }
        *fresh = (chunk){.rest = c->chunks, .used = 0, .cap = cap};
        c->chunks = fresh;
    }
    void *p = (char *)c->chunks + head + c->chunks->used;
    c->chunks->used += n_bytes;
    return memset(p, 0, n_bytes);
}

void lfm2__schema_work(lfm2__schema *c, int64_t n)
{
    c->work += n;
    if (c->work > MAX_WORK) (void)lfm2__schema_fail(c, LFM2_ERR_LIMIT, c->root, "too much to work out");
}

lfm2__dfa *lfm2__schema_keep(lfm2__schema *c, int rc, lfm2__dfa *d)
{
    if (rc == 0) {
        lfm2__schema_work(c, d->work + 100);
        c->n_bytes += (size_t)d->n_states * (size_t)d->n_classes * sizeof(*d->next);
        if (c->n_bytes > MAX_MEMORY)
            (void)lfm2__schema_fail(c, LFM2_ERR_LIMIT, c->root, "too large automata for strings or numbers");
    }
    owned_dfa *o = rc < 0 ? NULL : lfm2__schema_alloc(c, sizeof(*o));
    if (rc < 0 && c->status == 0) {
        if (rc == LFM2_ERR_LIMIT) (void)lfm2__schema_fail(c, rc, c->root, "too large an automaton for strings or numbers");
        else c->status = rc;
    }
    if (o == NULL) {
        if (rc >= 0) lfm2__dfa_destroy(d);
        return NULL;
    }
    *o = (owned_dfa){d, c->dfas};
    c->dfas = o;
    return d;
}

lfm2__dfa *lfm2__dfa_meet(lfm2__schema *c, lfm2__dfa *a, lfm2__dfa *b)
{
    lfm2__dfa *d = NULL;
    if (c->status < 0) return NULL;
    if (a == NULL || b == NULL) return a == NULL ? b : a;
    const int rc = lfm2__dfa_and(a, b, &d);
    return lfm2__schema_keep(c, rc, d);
}

lfm2__dfa *lfm2__dfa_except(lfm2__schema *c, lfm2__dfa *a, lfm2__dfa *b)
{
    lfm2__dfa *d = NULL;
    if (c->status < 0 || b == NULL) return NULL;
    const int rc = lfm2__dfa_not(b, &d);
    return lfm2__dfa_meet(c, a, lfm2__schema_keep(c, rc, d));
}

lfm2__dfa *lfm2__schema_texts(lfm2__schema *c, const lfm2__text *texts, int32_t n)
{
    lfm2__dfa *d = NULL;
    if (c->status < 0) return NULL;
    const int rc = lfm2__dfa_from_texts(c->rt, texts, n, &d);
    return lfm2__schema_keep(c, rc, d);
}

/* ---- Errors ---- */

static void put_key(lfm2__str *path, const char *key, size_t n)
{
    lfm2__str_puts(path, "/");
    for (size_t i = 0; i < n && i < 64; i++) {
        if (key[i] == '~') lfm2__str_puts(path, "~0");
        else if (key[i] == '/') lfm2__str_puts(path, "~1");
        else lfm2__str_printf(path, "%c", (unsigned char)key[i] < 32 ? '?' : key[i]);
    }
}

/* Append the way from v to the value that is looked for; 1 if it was found. */
static int find_path(const lfm2__json *v, const lfm2__json *wanted, lfm2__str *path)
{
    const size_t here = path->n;
    if (v == wanted) return 1;
    if (lfm2__json_typeof(v) == LFM2__JSON_ARRAY) {
        for (size_t i = 0; i < lfm2__json_size(v); i++) {
            lfm2__str_printf(path, "/%zu", i);
            if (find_path(lfm2__json_at(v, i), wanted, path)) return 1;
            path->n = here < path->n ? here : path->n;
        }
    } else if (lfm2__json_typeof(v) == LFM2__JSON_OBJECT) {
        void *it = NULL;
        const char *key;
        size_t n;
        const lfm2__json *inner;
        while (lfm2__json_next(v, &it, &key, &n, &inner)) {
            put_key(path, key, n);
            if (find_path(inner, wanted, path)) return 1;
            path->n = here < path->n ? here : path->n;
        }
    }
    return 0;
}

int lfm2__schema_fail(lfm2__schema *c, int status, const lfm2__json *where, const char *what)
{
    if (c->status < 0) return c->status;
    lfm2__str path;
    lfm2__str_init(&path, c->rt);
    lfm2__str_puts(&path, "#");
    (void)find_path(c->root, where, &path);
    lfm2__log(c->rt, LFM2_LOG_ERROR, "json schema: %.*s: %s%s", path.status == 0 ? (int)path.n : 1,
              path.status == 0 ? path.data : "?", what,
              status == LFM2_ERR_UNSUPPORTED ? " cannot be honoured" : "");
    lfm2__str_fini(&path);
    c->status = status;
    return status;
}

/* ---- Goals ---- */

const lfm2__literals *lfm2__literals_add(lfm2__schema *c, const lfm2__literals *list, lfm2__literal lit)
{
    lfm2__literals *l = lfm2__schema_alloc(c, sizeof(*l));
    if (l == NULL) return list;
    l->lit = lit;
    l->rest = list;
    return l;
}

static int compare_literals(const void *pa, const void *pb)
{
    const lfm2__literal *a = pa, *b = pb;
    if (a->schema != b->schema) return (uintptr_t)a->schema < (uintptr_t)b->schema ? -1 : 1;
    return (a->negated > b->negated) - (a->negated < b->negated);
}

/* Sorted, each once. */
static goal make_goal(lfm2__schema *c, const lfm2__literals *list)
{
    goal g = {0};
    int32_t n = 0;
    for (const lfm2__literals *l = list; l != NULL; l = l->rest) n++;
    g.lits = lfm2__schema_alloc(c, ((size_t)n + 1) * sizeof(*g.lits));
    if (g.lits == NULL) return g;
    for (n = 0; list != NULL; list = list->rest) {
        if (lfm2__json_typeof(list->lit.schema) == LFM2__JSON_BOOL && lfm2__json_bool(list->lit.schema) && !list->lit.negated)
            continue;
        g.lits[n++] = list->lit;
    }
    if (n > 1) qsort(g.lits, (size_t)n, sizeof(*g.lits), compare_literals);
    for (int32_t i = 0; i < n; i++) {
        if (i == 0 || compare_literals(&g.lits[i], &g.lits[i - 1]) != 0) g.lits[g.n++] = g.lits[i];
    }
    return g;
}

static goal *find_goal(lfm2__schema *c, const goal *wanted, size_t *bucket)
{
    uint64_t h = 0;
    for (int32_t i = 0; i < wanted->n; i++) {
        h = (h ^ (uint64_t)(uintptr_t)wanted->lits[i].schema ^ (uint64_t)(unsigned)wanted->lits[i].negated) * 0x9e3779b97f4a7c15u;
    }
    *bucket = (size_t)(h >> 40) % N_BUCKETS;
    for (goal *g = c->goals[*bucket]; g != NULL; g = g->rest) {
        if (g->n == wanted->n && (g->n == 0 || memcmp(g->lits, wanted->lits, (size_t)g->n * sizeof(*g->lits)) == 0)) return g;
    }
    return NULL;
}

static int meets_all(lfm2__schema *c, const lfm2__json *value, const goal *g)
{
    int meets = 1;
    for (int32_t i = 0; i < g->n && meets > 0; i++) meets = lfm2__schema_meets(c, value, g->lits[i]);
    return meets > 0;
}

static int32_t build_choices(lfm2__schema *c, const goal *g, const lfm2__shape *s)
{
    const size_t n = s->is_const ? 1 : lfm2__json_size(s->choices);
    lfm2__text *texts = lfm2__schema_alloc(c, (n + 1) * sizeof(*texts));
    int32_t n_texts = 0;
    c->taken_from = s->choices;
    for (size_t i = 0; i < n && c->status == 0; i++) {
        const lfm2__json *v = s->is_const ? s->choices : lfm2__json_at(s->choices, i);
        if (meets_all(c, v, g)) lfm2__schema_text(c, v, &texts[n_texts++]);
    }
    c->taken_from = NULL;
    return c->status < 0 || n_texts == 0 ? LFM2__FAIL : lfm2__g_texts(c->g, texts, n_texts, LFM2__END);
}

/* Constants are excluded from their type where that can be said; of arrays and objects it cannot. */
void lfm2__schema_exclude(lfm2__schema *c, lfm2__shape *s)
{
    size_t n_values = 0;
    int32_t n_strings = 0;
    for (const lfm2__values *x = s->excluded; x != NULL; x = x->rest) n_values++;
    lfm2__text *strings = n_values == 0 ? NULL : lfm2__schema_alloc(c, n_values * sizeof(*strings));
    for (const lfm2__values *x = s->excluded; x != NULL && c->status == 0; x = x->rest) {
        size_t n = 0;
        const char *text = lfm2__json_str(x->value, &n);
        switch (lfm2__json_typeof(x->value)) {
        case LFM2__JSON_NULL: s->types &= ~(unsigned)LFM2__T_NULL; break;
        case LFM2__JSON_BOOL: s->types &= ~(unsigned)(lfm2__json_bool(x->value) ? LFM2__T_TRUE : LFM2__T_FALSE); break;
        case LFM2__JSON_STRING:
            if (!(s->types & LFM2__T_STRING)) break;
            strings[n_strings++] = (lfm2__text){text, n};
            break;
        case LFM2__JSON_INT:
        case LFM2__JSON_REAL:
            if (!(s->types & LFM2__T_NUMBER)) break;
            s->numbers = lfm2__dfa_except(c, s->numbers != NULL ? s->numbers : lfm2__numbers_all(c, 0),
                                          lfm2__numbers_equal(c, x->value));
            break;
        default:
            if (s->types & (lfm2__json_typeof(x->value) == LFM2__JSON_ARRAY ? LFM2__T_ARRAY : LFM2__T_OBJECT)) {
                (void)lfm2__schema_fail(c, LFM2_ERR_UNSUPPORTED, x->value, "an array or object that is not allowed");
            }
        }
    }
    if (n_strings > 0) s->strings = lfm2__dfa_except(c, s->strings, lfm2__schema_texts(c, strings, n_strings));
}

static int32_t build_shape(lfm2__schema *c, const goal *g, lfm2__shape *s)
{
    int32_t node = LFM2__FAIL;
    if (s->choices != NULL) return build_choices(c, g, s);
    lfm2__schema_exclude(c, s);
    if (c->status < 0) return LFM2__FAIL;
    if (s->types & LFM2__T_OBJECT) node = lfm2__g_object(c, s, LFM2__END);
    if (s->types & LFM2__T_ARRAY) node = lfm2__g_either(c->g, lfm2__g_array(c, s, LFM2__END), node);
    if (s->types & LFM2__T_NUMBER) node = lfm2__g_either(c->g, lfm2__g_number(c, s, LFM2__END), node);
    if (s->types & LFM2__T_STRING) node = lfm2__g_either(c->g, lfm2__g_string_shape(c, s, LFM2__END), node);
    if (s->types & LFM2__T_FALSE) node = lfm2__g_either(c->g, lfm2__g_text(c->g, "false", 5, LFM2__END), node);
    if (s->types & LFM2__T_TRUE) node = lfm2__g_either(c->g, lfm2__g_text(c->g, "true", 4, LFM2__END), node);
    if (s->types & LFM2__T_NULL) node = lfm2__g_either(c->g, lfm2__g_text(c->g, "null", 4, LFM2__END), node);
    return node;
}

int32_t lfm2__schema_rule(lfm2__schema *c, const lfm2__literals *list)
{
    size_t bucket;
    const goal wanted = make_goal(c, list);
    if (c->status < 0) return 0;
    goal *g = find_goal(c, &wanted, &bucket);
    if (g != NULL) return g->rule;
    g = lfm2__schema_alloc(c, sizeof(*g));
    if (g == NULL) return 0;
    *g = wanted;
    g->rule = lfm2__g_rule(c->g);
    g->rest = c->goals[bucket];
    c->goals[bucket] = g;
    if (++c->n_goals > MAX_GOALS) (void)lfm2__schema_fail(c, LFM2_ERR_LIMIT, c->root, "too large a schema");
    if (++c->depth > MAX_JSON_DEPTH) (void)lfm2__schema_fail(c, LFM2_ERR_LIMIT, c->root, "nested too deeply");
    const lfm2__literals *sorted = NULL;
    for (int32_t i = 0; i < g->n; i++) sorted = lfm2__literals_add(c, sorted, g->lits[i]);
    int32_t node = LFM2__FAIL;
    for (lfm2__shapes *s = lfm2__schema_expand(c, sorted); s != NULL && c->status == 0; s = s->rest) {
        node = lfm2__g_either(c->g, build_shape(c, g, &s->shape), node);
    }
    c->depth--;
    if (c->g->status < 0 && c->status == 0) c->status = c->g->status;
    lfm2__g_define(c->g, g->rule, node);
    return g->rule;
}

static int is_dead_shape(lfm2__schema *c, lfm2__shape *s, unsigned types)
{
    if (s->choices != NULL) {
        int alive = 0;
        const lfm2__json *before = c->taken_from;
        c->taken_from = s->choices;
        for (size_t i = 0; !alive && c->status == 0 && i < (s->is_const ? 1 : lfm2__json_size(s->choices)); i++) {
            const lfm2__json *v = s->is_const ? s->choices : lfm2__json_at(s->choices, i);
            alive = 1;
            for (const lfm2__literals *l = s->met; alive && l != NULL; l = l->rest) {
                if (l->lit.negated == 0 || l->lit.negated == 1) alive = lfm2__schema_meets(c, v, l->lit) > 0;
            }
        }
        c->taken_from = before;
        return !alive;
    }
    types &= s->types;
    if ((types & LFM2__T_STRING) && s->strings != NULL && lfm2__dfa_is_empty(s->strings)) types &= ~(unsigned)LFM2__T_STRING;
    if ((types & LFM2__T_NUMBER) && s->numbers != NULL && lfm2__dfa_is_empty(s->numbers)) types &= ~(unsigned)LFM2__T_NUMBER;
    if (types & LFM2__T_OBJECT) {
        for (const lfm2__key_rule *k = s->keys; k != NULL && c->status == 0; k = k->rest) {
            int state;
            if (!k->required) continue;
            const lfm2__literals *value = lfm2__schema_key_goal(c, s, k->key, k->n, &state);
            if (state < 0 || lfm2__schema_is_dead(c, value, LFM2__T_ANY)) {
                types &= ~(unsigned)LFM2__T_OBJECT;
                break;
            }
        }
    }
    return types == 0;
}

int lfm2__schema_is_dead(lfm2__schema *c, const lfm2__literals *list, unsigned types)
{
    int dead = 1;
    if (c->status < 0 || c->dead_depth >= DEAD_DEPTH) return 0;
    c->dead_depth++;
    for (lfm2__shapes *s = lfm2__schema_expand(c, list); s != NULL && dead && c->status == 0; s = s->rest)
        dead = is_dead_shape(c, &s->shape, types);
    c->dead_depth--;
    return dead && c->status == 0;
}

/* ---- The whole ---- */

static int compile(lfm2__schema *c, lfm2_grammar **out)
{
    const char *dialect = lfm2__json_str(lfm2__json_get(c->root, "$schema"), NULL);
    const lfm2__literal whole = {c->root, 0};
    c->draft7 = dialect != NULL && (strstr(dialect, "draft-07") != NULL || strstr(dialect, "draft-06") != NULL ||
                                    strstr(dialect, "draft-04") != NULL);
    lfm2__schema_collect_refs(c);
    c->goals = lfm2__schema_alloc(c, N_BUCKETS * sizeof(struct goal *));
    if (c->status == 0) c->status = lfm2__grammar_create(c->rt, MAX_NODES, &c->g);
    if (c->status < 0) return c->status;
    const int32_t start = lfm2__schema_rule(c, lfm2__literals_add(c, NULL, whole));
    if (c->status == 0) c->status = c->g->status;
    if (c->status == LFM2_ERR_LIMIT && c->g->status == LFM2_ERR_LIMIT)
        lfm2__log(c->rt, LFM2_LOG_ERROR, "json schema: #: too large an automaton");
    if (c->status == 0) {
        c->status = lfm2__grammar_seal(c->g, start, NULL);
        if (c->status == LFM2_ERR_RANGE) lfm2__log(c->rt, LFM2_LOG_ERROR, "json schema: #: no document can be valid");
        if (c->status == 0) c->status = lfm2__grammar_try(c->g);
    }
    if (c->status < 0) return c->status;
    *out = c->g;
    c->g = NULL;
    return 0;
}

int lfm2_grammar_from_json_schema(lfm2_runtime *rt, const char *schema, size_t n, lfm2_grammar **out)
{
    static const lfm2__json_limits limits = {.max_bytes = MAX_BYTES, .max_depth = MAX_JSON_DEPTH, .max_values = MAX_VALUES};
    lfm2__json_doc *doc = NULL;
    if (rt == NULL || schema == NULL || out == NULL) return LFM2_ERR_ARG;
    int rc = lfm2__json_parse(rt, "json schema", schema, n, &limits, &doc);
    if (rc < 0) return rc;
    lfm2__schema c = {.rt = rt, .root = lfm2__json_root(doc), .any_value = -1, .any_string = -1};
    rc = compile(&c, out);
    lfm2_grammar_destroy(c.g);
    while (c.dfas != NULL) {
        lfm2__dfa_destroy(c.dfas->dfa);
        c.dfas = c.dfas->rest;
    }
    while (c.chunks != NULL) {
        chunk *gone = c.chunks;
        c.chunks = gone->rest;
        lfm2__free(rt, gone);
    }
    lfm2__json_free(doc);
    return rc;
}
