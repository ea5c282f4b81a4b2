/* SPDX-License-Identifier: Apache-2.0
 * Goals to shapes: what a schema says is put into the shape, keyword by keyword; what offers alternatives multiplies it. */
#include "pipeline/schema.h"

#include <string.h>

#include "base/runtime_impl.h"

enum { MAX_STEPS = 1000000, MAX_SHAPES = 512, MAX_DEPTH = 400 };

typedef struct choice choice;

typedef struct todo { /* what is still to be put in: a literal, a change of the shape, or a choice */
    lfm2__literal lit;
    const choice *choice;
    lfm2__key_rule *key;
    const struct todo *rest;
} todo;

struct choice { /* alternatives: each a list of things to do */
    const todo *what;
    const choice *rest;
};

typedef struct expansion {
    lfm2__schema *c;
    lfm2__shapes *shapes;
    int32_t n_shapes;
} expansion;

static const todo *do_literal(expansion *e, const lfm2__json *schema, int negated, const todo *rest)
{
    todo *t = lfm2__schema_alloc(e->c, sizeof(*t));
    if (t == NULL) return rest;
    t->lit = (lfm2__literal){schema, negated};
    t->rest = rest;
    return t;
}

static const todo *do_choice(expansion *e, const choice *alternatives, const todo *rest)
{
    todo *t = lfm2__schema_alloc(e->c, sizeof(*t));
    if (t == NULL) return rest;
    t->choice = alternatives;
    t->rest = rest;
    return t;
}

static const todo *do_key(expansion *e, const char *key, size_t n, int required, const lfm2__json *schema, int negated,
                          const todo *rest)
{
    todo *t = lfm2__schema_alloc(e->c, sizeof(*t));
    lfm2__key_rule *k = lfm2__schema_alloc(e->c, sizeof(*k));
    if (t == NULL || k == NULL) return rest;
    *k = (lfm2__key_rule){.key = key, .n = n, .required = required, .forbidden = !required, .lit = {schema, negated}};
    t->key = k;
    t->rest = rest;
    return t;
}

static const choice *either(expansion *e, const todo *what, const choice *rest)
{
    choice *a = lfm2__schema_alloc(e->c, sizeof(*a));
    if (a == NULL) return rest;
    a->what = what;
    a->rest = rest;
    return a;
}

static const choice *either_literal(expansion *e, const lfm2__json *schema, int negated, const choice *rest)
{
    return either(e, do_literal(e, schema, negated, NULL), rest);
}

static int unsupported(expansion *e, const lfm2__json *where, const char *what)
{
    return lfm2__schema_fail(e->c, LFM2_ERR_UNSUPPORTED, where, what);
}

/* ---- Types ---- */

static unsigned type_named(expansion *e, const lfm2__json *name)
{
    static const struct { const char *name; unsigned types; } known[] = {
        {"null", LFM2__T_NULL}, {"boolean", LFM2__T_BOOL}, {"integer", LFM2__T_INTEGER}, {"number", LFM2__T_NUMBER},
        {"string", LFM2__T_STRING}, {"array", LFM2__T_ARRAY}, {"object", LFM2__T_OBJECT},
    };
    const char *text = lfm2__json_str(name, NULL);
    for (size_t i = 0; text != NULL && i < LFM2__COUNT_OF(known); i++) {
        if (strcmp(text, known[i].name) == 0) return known[i].types;
    }
    (void)lfm2__schema_fail(e->c, LFM2_ERR_FORMAT, name, "no such type");
    return 0;
}

static unsigned types_of(expansion *e, const lfm2__json *type)
{
    unsigned types = 0;
    if (lfm2__json_typeof(type) != LFM2__JSON_ARRAY) return type_named(e, type);
    for (size_t i = 0; i < lfm2__json_size(type); i++) types |= type_named(e, lfm2__json_at(type, i));
    return types;
}

/* ---- Keywords that say something of one type. negated: the value is of that type, and the keyword does not hold. ---- */

typedef void keyword_fn(expansion *e, lfm2__shape *s, const lfm2__json *v, const lfm2__json *schema, int negated);

static int64_t count_of(expansion *e, const lfm2__json *v)
{
    const double d = lfm2__json_number(v);
    if (lfm2__json_typeof(v) != LFM2__JSON_INT && (lfm2__json_typeof(v) != LFM2__JSON_REAL || d != (double)(int64_t)d)) {
        (void)lfm2__schema_fail(e->c, LFM2_ERR_FORMAT, v, "not a whole number");
        return 0;
    }
    if (d < 0) (void)lfm2__schema_fail(e->c, LFM2_ERR_FORMAT, v, "negative");
    if (d > INT32_MAX) return INT32_MAX;
    return (int64_t)d;
}

static void meet_numbers(expansion *e, lfm2__shape *s, lfm2__dfa *d, int negated)
{
    if (negated) {
        s->types &= LFM2__T_NUMBER;
        s->numbers = lfm2__dfa_except(e->c, s->numbers != NULL ? s->numbers : lfm2__numbers_all(e->c, 0), d);
    } else {
        s->numbers = lfm2__dfa_meet(e->c, s->numbers, d);
    }
}

static void minimum(expansion *e, lfm2__shape *s, const lfm2__json *v, const lfm2__json *schema, int negated)
{
    (void)schema;
    meet_numbers(e, s, lfm2__numbers_from(e->c, v, 0), negated);
}

static void exclusive_minimum(expansion *e, lfm2__shape *s, const lfm2__json *v, const lfm2__json *schema, int negated)
{
    (void)schema;
    meet_numbers(e, s, lfm2__numbers_from(e->c, v, 1), negated);
}

static void at_most(expansion *e, lfm2__shape *s, const lfm2__json *v, int strictly, int negated)
{
    lfm2__dfa *above = lfm2__numbers_from(e->c, v, !strictly);
    if (!negated) {
        s->numbers = lfm2__dfa_except(e->c, s->numbers != NULL ? s->numbers : lfm2__numbers_all(e->c, 0), above);
        return;
    }
    s->types &= LFM2__T_NUMBER;
    s->numbers = lfm2__dfa_meet(e->c, s->numbers, above);
}

static void maximum(expansion *e, lfm2__shape *s, const lfm2__json *v, const lfm2__json *schema, int negated)
{
    (void)schema;
    at_most(e, s, v, 0, negated);
}

static void exclusive_maximum(expansion *e, lfm2__shape *s, const lfm2__json *v, const lfm2__json *schema, int negated)
{
    (void)schema;
    at_most(e, s, v, 1, negated);
}

static void multiple_of(expansion *e, lfm2__shape *s, const lfm2__json *v, const lfm2__json *schema, int negated)
{
    (void)schema;
    meet_numbers(e, s, lfm2__numbers_multiple(e->c, v), negated);
}

static void meet_strings(expansion *e, lfm2__shape *s, lfm2__dfa *d, int negated)
{
    if (e->c->status < 0 || d == NULL) return;
    if (negated) {
        s->types &= LFM2__T_STRING;
        s->strings = lfm2__dfa_except(e->c, s->strings, d);
    } else {
        s->strings = lfm2__dfa_meet(e->c, s->strings, d);
    }
}

static lfm2__dfa *length(expansion *e, int64_t min, int64_t max)
{
    lfm2__dfa *d = NULL;
    if (e->c->status < 0) return NULL;
    const int rc = lfm2__dfa_from_length(e->c->rt, min, max, &d);
    return lfm2__schema_keep(e->c, rc, d);
}

static void min_length(expansion *e, lfm2__shape *s, const lfm2__json *v, const lfm2__json *schema, int negated)
{
    (void)schema;
    meet_strings(e, s, length(e, count_of(e, v), -1), negated);
}

static void max_length(expansion *e, lfm2__shape *s, const lfm2__json *v, const lfm2__json *schema, int negated)
{
    (void)schema;
    meet_strings(e, s, length(e, 0, count_of(e, v)), negated);
}

typedef struct known_pattern {
    const char *text;
    size_t n;
    lfm2__dfa *dfa;
    struct known_pattern *rest;
} known_pattern;

lfm2__dfa *lfm2__schema_pattern(lfm2__schema *c, const lfm2__json *where, const char *text, size_t n)
{
    enum { N_BUCKETS = 256 };
    const char *what = "";
    uint32_t hash = 2166136261u;
    if (c->status == 0 && text == NULL) (void)lfm2__schema_fail(c, LFM2_ERR_FORMAT, where, "not a pattern");
    if (c->patterns == NULL) c->patterns = lfm2__schema_alloc(c, N_BUCKETS * sizeof(struct known_pattern *));
    if (c->status < 0) return NULL;
    for (size_t i = 0; i < n; i++) hash = (hash ^ (unsigned char)text[i]) * 16777619u;
    known_pattern **bucket = &c->patterns[(hash ^ hash >> 16) % N_BUCKETS];
    for (const known_pattern *p = *bucket; p != NULL; p = p->rest) {
        if (p->n == n && memcmp(p->text, text, n) == 0) return p->dfa;
    }
    known_pattern *p = lfm2__schema_alloc(c, sizeof(*p));
    if (p == NULL) return NULL;
    *p = (known_pattern){.text = text, .n = n, .rest = *bucket};
    const int rc = lfm2__dfa_from_pattern(c->rt, text, n, &p->dfa, &what);
    if (rc < 0 && rc != LFM2_ERR_NOMEM && rc != LFM2_ERR_ABORTED) {
        (void)lfm2__schema_fail(c, rc, where, what);
        return NULL;
    }
    p->dfa = lfm2__schema_keep(c, rc, p->dfa);
    if (p->dfa != NULL) *bucket = p;
    return p->dfa;
}

static void pattern(expansion *e, lfm2__shape *s, const lfm2__json *v, const lfm2__json *schema, int negated)
{
    size_t n = 0;
    const char *text = lfm2__json_str(v, &n);
    (void)schema;
    meet_strings(e, s, lfm2__schema_pattern(e->c, v, text, n), negated);
}

static void format(expansion *e, lfm2__shape *s, const lfm2__json *v, const lfm2__json *schema, int negated)
{
    (void)schema;
    lfm2__dfa *d = lfm2__strings_format(e->c, v);
    if (d != NULL) meet_strings(e, s, d, negated);
    else if (negated) s->types = 0; /* a format that says nothing cannot fail */
}

static void bound_items(lfm2__shape *s, int64_t min, int64_t max)
{
    if (min > s->min_items) s->min_items = min;
    if (max >= 0 && (s->max_items < 0 || max < s->max_items)) s->max_items = max;
    if (s->max_items >= 0 && s->min_items > s->max_items) s->types &= ~(unsigned)LFM2__T_ARRAY;
}

static void bound_properties(lfm2__shape *s, int64_t min, int64_t max)
{
    if (min > s->min_properties) s->min_properties = min;
    if (max >= 0 && (s->max_properties < 0 || max < s->max_properties)) s->max_properties = max;
    if (s->max_properties >= 0 && s->min_properties > s->max_properties) s->types &= ~(unsigned)LFM2__T_OBJECT;
}

/* At least n, or (negated) fewer; or at most n, or more. */
static void bound(lfm2__shape *s, unsigned type, int64_t n, int is_min, int negated,
                  void (*put)(lfm2__shape *s, int64_t min, int64_t max))
{
    if (negated) s->types &= type;
    if (is_min && negated && n == 0) s->types &= ~type;
    else if (is_min) put(s, negated ? 0 : n, negated ? n - 1 : -1);
    else put(s, negated ? n + 1 : 0, negated ? -1 : n);
}

static void min_items(expansion *e, lfm2__shape *s, const lfm2__json *v, const lfm2__json *schema, int negated)
{
    (void)schema;
    bound(s, LFM2__T_ARRAY, count_of(e, v), 1, negated, bound_items);
}

static void max_items(expansion *e, lfm2__shape *s, const lfm2__json *v, const lfm2__json *schema, int negated)
{
    (void)schema;
    bound(s, LFM2__T_ARRAY, count_of(e, v), 0, negated, bound_items);
}

static void min_properties(expansion *e, lfm2__shape *s, const lfm2__json *v, const lfm2__json *schema, int negated)
{
    (void)schema;
    bound(s, LFM2__T_OBJECT, count_of(e, v), 1, negated, bound_properties);
}

static void max_properties(expansion *e, lfm2__shape *s, const lfm2__json *v, const lfm2__json *schema, int negated)
{
    (void)schema;
    bound(s, LFM2__T_OBJECT, count_of(e, v), 0, negated, bound_properties);
}

static void unique_items(expansion *e, lfm2__shape *s, const lfm2__json *v, const lfm2__json *schema, int negated)
{
    (void)schema;
    if (!lfm2__json_bool(v)) {
        if (negated) s->types = 0;
    } else if (negated) {
        (void)unsupported(e, v, "the negation of uniqueItems");
    } else {
        s->unique_at = v;
    }
}

static void put_item(expansion *e, lfm2__shape *s, int32_t from, int32_t to, const lfm2__json *schema, int negated)
{
    lfm2__item_rule *r = lfm2__schema_alloc(e->c, sizeof(*r));
    if (r == NULL) return;
    *r = (lfm2__item_rule){.from = from, .to = to, .lit = {schema, negated}, .rest = s->items};
    s->items = r;
}

static void put_contains(expansion *e, lfm2__shape *s, const lfm2__json *schema, int negated, int64_t min, int64_t max)
{
    lfm2__contains *r = lfm2__schema_alloc(e->c, sizeof(*r));
    if (r == NULL) return;
    *r = (lfm2__contains){.lit = {schema, negated}, .min = min, .max = max, .rest = s->contains};
    s->contains = r;
}

static void contains(expansion *e, lfm2__shape *s, const lfm2__json *v, const lfm2__json *schema, int negated)
{
    const lfm2__json *min = lfm2__json_get(schema, "minContains"), *max = lfm2__json_get(schema, "maxContains");
    const int64_t n_min = min == NULL || e->c->draft7 ? 1 : count_of(e, min), n_max = max == NULL ||
        e->c->draft7 ? -1 : count_of(e, max);
    if (!negated) {
        put_contains(e, s, v, 0, n_min, n_max);
    } else if (n_min == 1 && n_max < 0) {
        s->types &= LFM2__T_ARRAY;
        put_item(e, s, 0, -1, v, 1);
    } else {
        (void)unsupported(e, v, "the negation of minContains or maxContains");
    }
}

/* Where "items" begins, and what it is: behind prefixItems, or in draft 7 behind an array of items. */
static void item_lists(const lfm2__schema *c, const lfm2__json *schema, const lfm2__json **prefix, const lfm2__json **others)
{
    const lfm2__json *items = lfm2__schema_other_items(schema);
    *prefix = lfm2__json_get(schema, "prefixItems");
    *others = items;
    if (lfm2__json_typeof(items) == LFM2__JSON_ARRAY) {
        *prefix = items;
        *others = lfm2__json_get(schema, "additionalItems");
    } else if (c->draft7) {
        *prefix = NULL;
    }
}

static void items(expansion *e, lfm2__shape *s, const lfm2__json *schema)
{
    const lfm2__json *prefix, *others;
    item_lists(e->c, schema, &prefix, &others);
    const size_t n = lfm2__json_size(prefix);
    if (n > 1000) (void)lfm2__schema_fail(e->c, LFM2_ERR_LIMIT, prefix, "more than 1000 places");
    for (size_t i = 0; i < n && e->c->status == 0; i++) put_item(e, s, (int32_t)i, (int32_t)i + 1, lfm2__json_at(prefix, i), 0);
    if (others != NULL) put_item(e, s, (int32_t)n, -1, others, 0);
}

static void put_object_rule(expansion *e, lfm2__shape *s, const lfm2__json *schema)
{
    lfm2__object_rule *r = lfm2__schema_alloc(e->c, sizeof(*r));
    if (r == NULL) return;
    r->properties = lfm2__json_get(schema, "properties");
    r->patterns = lfm2__json_get(schema, "patternProperties");
    r->additional = lfm2__schema_other_properties(schema);
    r->rest = s->objects;
    if (r->properties != NULL || r->patterns != NULL || r->additional != NULL) s->objects = r;
}

static const struct {
    const char *name;
    unsigned types; /* of which it speaks: to others it does not apply, so its negation is of these */
    keyword_fn *put;
} keywords[] = {
    {"minimum", LFM2__T_NUMBER, minimum},
    {"exclusiveMinimum", LFM2__T_NUMBER, exclusive_minimum},
    {"maximum", LFM2__T_NUMBER, maximum},
    {"exclusiveMaximum", LFM2__T_NUMBER, exclusive_maximum},
    {"multipleOf", LFM2__T_NUMBER, multiple_of},
    {"minLength", LFM2__T_STRING, min_length},
    {"maxLength", LFM2__T_STRING, max_length},
    {"pattern", LFM2__T_STRING, pattern},
    {"format", LFM2__T_STRING, format},
    {"minItems", LFM2__T_ARRAY, min_items},
    {"maxItems", LFM2__T_ARRAY, max_items},
    {"uniqueItems", LFM2__T_ARRAY, unique_items},
    {"contains", LFM2__T_ARRAY, contains},
    {"minProperties", LFM2__T_OBJECT, min_properties},
    {"maxProperties", LFM2__T_OBJECT, max_properties},
};

/* ---- A schema that holds ---- */

static void choose(expansion *e, lfm2__shape *s, const lfm2__json *values, int is_const)
{
    if (!is_const && lfm2__json_typeof(values) != LFM2__JSON_ARRAY) {
        (void)lfm2__schema_fail(e->c, LFM2_ERR_FORMAT, values, "not an array");
    }
    if (s->choices != NULL) return; /* the first list is enough: its values are tried against all that the goal says */
    s->choices = values;
    s->is_const = is_const;
}

static void property_names(expansion *e, lfm2__shape *s, const lfm2__json *schema);

/* Keys that need others: either the key is not there, or what it needs is. */
static const todo *dependencies(expansion *e, const lfm2__json *table, const todo *rest)
{
    void *it = NULL;
    const char *key;
    size_t n;
    const lfm2__json *needs;
    while (lfm2__json_next(table, &it, &key, &n, &needs)) {
        const todo *holds = NULL;
        if (lfm2__json_typeof(needs) == LFM2__JSON_ARRAY) {
            for (size_t i = 0; i < lfm2__json_size(needs); i++) {
                size_t m = 0;
                const char *other = lfm2__json_str(lfm2__json_at(needs, i), &m);
                if (other == NULL) (void)lfm2__schema_fail(e->c, LFM2_ERR_FORMAT, needs, "not a list of names");
                else holds = do_key(e, other, m, 1, NULL, 0, holds);
            }
        } else {
            holds = do_literal(e, needs, 0, NULL);
        }
        holds = do_key(e, key, n, 1, NULL, 0, holds); /* the alternatives exclude each other: the key is there, or not */
        rest = do_choice(e, either(e, do_key(e, key, n, 0, NULL, 0, NULL), either(e, holds, NULL)), rest);
    }
    return rest;
}

/* Exactly one of them: one holds, the others do not. Where two cannot hold together anyway, nothing needs to be negated. */
static const choice *one_of(expansion *e, const lfm2__json *list, unsigned types)
{
    const choice *all = NULL;
    const size_t n = lfm2__json_size(list);
    if (n > 64) (void)lfm2__schema_fail(e->c, LFM2_ERR_LIMIT, list, "more than 64 alternatives");
    for (size_t i = n; i-- > 0 && e->c->status == 0;) {
        const todo *what = NULL;
        const lfm2__literal own = {lfm2__json_at(list, i), 0};
        for (size_t k = 0; k < n && e->c->status == 0; k++) {
            const lfm2__literal other = {lfm2__json_at(list, k), 0};
            if (k == i) continue;
            const lfm2__literals *both = lfm2__literals_add(e->c, lfm2__literals_add(e->c, NULL, own), other);
            if (!lfm2__schema_is_dead(e->c, both, types)) what = do_literal(e, other.schema, 1, what);
        }
        all = either(e, do_literal(e, own.schema, 0, what), all);
    }
    return all;
}

static const choice *any_of(expansion *e, const lfm2__json *list, int negated)
{
    const choice *all = NULL;
    for (size_t i = lfm2__json_size(list); i-- > 0;) all = either_literal(e, lfm2__json_at(list, i), negated, all);
    return all;
}

static const todo *conditional(expansion *e, const lfm2__json *schema, int negated, const todo *rest)
{
    const lfm2__json *cond = lfm2__json_get(schema, "if");
    const lfm2__json *then = lfm2__json_get(schema, "then"), *otherwise = lfm2__json_get(schema, "else");
    if (cond == NULL || (then == NULL && otherwise == NULL)) return rest;
    const todo *yes = then != NULL ? do_literal(e, then, negated, NULL) : NULL;
    const todo *no = otherwise != NULL ? do_literal(e, otherwise, negated, NULL) : NULL;
    const choice *both = NULL;
    if (!negated || otherwise != NULL) both = either(e, do_literal(e, cond, 1, no), both);
    if (!negated || then != NULL) both = either(e, do_literal(e, cond, 0, yes), both);
    return do_choice(e, both, rest);
}

/* What is evaluated by the keywords of the same schema only, so that nothing else has to be asked. */
static int evaluates_alone(const lfm2__json *schema, int of_items)
{
    static const char *const others[] = {"$ref", "allOf", "anyOf", "oneOf", "if", "not", "dependentSchemas", "$dynamicRef",
                                         "$recursiveRef"};
    for (size_t i = 0; i < LFM2__COUNT_OF(others); i++) {
        if (lfm2__json_get(schema, others[i]) != NULL) return 0;
    }
    return !of_items || lfm2__json_get(schema, "contains") == NULL;
}

const lfm2__json *lfm2__schema_other_properties(const lfm2__json *schema)
{
    const lfm2__json *others = lfm2__json_get(schema, "additionalProperties");
    return others != NULL ? others : evaluates_alone(schema, 0) ? lfm2__json_get(schema, "unevaluatedProperties") : NULL;
}

const lfm2__json *lfm2__schema_other_items(const lfm2__json *schema)
{
    const lfm2__json *others = lfm2__json_get(schema, "items");
    return others != NULL ? others : evaluates_alone(schema, 1) ? lfm2__json_get(schema, "unevaluatedItems") : NULL;
}

static void refuse_unknown(expansion *e, const lfm2__json *schema)
{
    static const struct { const char *name, *covered; int alone; } refused[] = {
        {"unevaluatedProperties", "additionalProperties", 1}, {"unevaluatedItems", "items", 2}, {"$dynamicRef", NULL, 0},
        {"$recursiveRef", NULL, 0},
    };
    for (size_t i = 0; i < LFM2__COUNT_OF(refused); i++) {
        const lfm2__json *v = lfm2__json_get(schema, refused[i].name);
        if (v == NULL || (lfm2__json_typeof(v) == LFM2__JSON_BOOL && lfm2__json_bool(v))) continue;
        /* everything is evaluated */
        if (refused[i].covered != NULL && lfm2__json_get(schema, refused[i].covered) != NULL) continue;
        if (refused[i].alone > 0 && evaluates_alone(schema, refused[i].alone == 2)) continue;
        (void)unsupported(e, v, "this keyword");
    }
}

static const todo *put_schema(expansion *e, lfm2__shape *s, const lfm2__json *schema, const todo *rest)
{
    const lfm2__json *v;
    refuse_unknown(e, schema);
    if ((v = lfm2__json_get(schema, "$ref")) != NULL) {
        rest = do_literal(e, lfm2__schema_resolve(e->c, v), 0, rest);
        if (e->c->draft7) return rest; /* there, what stands beside a reference means nothing */
    }
    if ((v = lfm2__json_get(schema, "type")) != NULL) s->types &= types_of(e, v);
    if ((v = lfm2__json_get(schema, "enum")) != NULL) choose(e, s, v, 0);
    if ((v = lfm2__json_get(schema, "const")) != NULL) choose(e, s, v, 1);
    for (size_t i = 0; i < LFM2__COUNT_OF(keywords); i++) {
        if ((v = lfm2__json_get(schema, keywords[i].name)) != NULL && (s->types & keywords[i].types) && e->c->status == 0) {
            keywords[i].put(e, s, v, schema, 0);
        }
    }
    items(e, s, schema);
    put_object_rule(e, s, schema);
    if ((v = lfm2__json_get(schema, "propertyNames")) != NULL) property_names(e, s, v);
    v = lfm2__json_get(schema, "required");
    for (size_t i = lfm2__json_size(v); i-- > 0;) {
        size_t n = 0;
        const char *key = lfm2__json_str(lfm2__json_at(v, i), &n);
        if (key == NULL) (void)lfm2__schema_fail(e->c, LFM2_ERR_FORMAT, v, "not a list of names");
        else if (s->types & LFM2__T_OBJECT) rest = do_key(e, key, n, 1, NULL, 0, rest);
    }
    rest = dependencies(e, lfm2__json_get(schema, "dependentRequired"), rest);
    rest = dependencies(e, lfm2__json_get(schema, "dependentSchemas"), rest);
    rest = dependencies(e, lfm2__json_get(schema, "dependencies"), rest);
    rest = conditional(e, schema, 0, rest);
    if ((v = lfm2__json_get(schema, "oneOf")) != NULL) rest = do_choice(e, one_of(e, v, s->types), rest);
    if ((v = lfm2__json_get(schema, "anyOf")) != NULL) rest = do_choice(e, any_of(e, v, 0), rest);
    if ((v = lfm2__json_get(schema, "not")) != NULL) rest = do_literal(e, v, 1, rest);
    v = lfm2__json_get(schema, "allOf");
    for (size_t i = lfm2__json_size(v); i-- > 0;) rest = do_literal(e, lfm2__json_at(v, i), 0, rest);
    return rest;
}

/* ---- A schema that does not hold: one of its keywords does not ---- */

/* A schema of one keyword cannot be taken out of the document, so what fails is marked by a literal whose schema is the whole and
 * which says by `negated` which keyword it is: 2 + index of the keyword; see put_failure(). */
enum { F_TYPE = 2, F_ENUM, F_CONST, F_NAMES, F_ITEMS, F_KEYWORDS };

static const choice *key_fails(expansion *e, const lfm2__json *schema, const choice *all)
{
    void *it = NULL;
    const char *key;
    size_t n;
    const lfm2__json *v;
    const lfm2__json *required = lfm2__json_get(schema, "required");
    for (size_t i = 0; i < lfm2__json_size(required); i++) {
        key = lfm2__json_str(lfm2__json_at(required, i), &n);
        if (key != NULL) all = either(e, do_key(e, key, n, 0, NULL, 0, NULL), all);
    }
    const lfm2__json *properties = lfm2__json_get(schema, "properties");
    while (lfm2__json_next(properties, &it, &key, &n, &v)) all = either(e, do_key(e, key, n, 1, v, 1, NULL), all);
    const lfm2__json *dependent = lfm2__json_get(schema, "dependentRequired");
    for (it = NULL; lfm2__json_next(dependent, &it, &key, &n, &v);) {
        for (size_t i = 0; i < lfm2__json_size(v); i++) {
            size_t m = 0;
            const char *other = lfm2__json_str(lfm2__json_at(v, i), &m);
            if (other != NULL) all = either(e, do_key(e, key, n, 1, NULL, 0, do_key(e, other, m, 0, NULL, 0, NULL)), all);
        }
    }
    static const char *const hard[] = {"patternProperties", "propertyNames", "dependentSchemas", "dependencies"};
    for (size_t i = 0; i < LFM2__COUNT_OF(hard); i++) {
        v = lfm2__json_get(schema, hard[i]);
        if (lfm2__json_size(v) > 0) (void)unsupported(e, v, "the negation of this keyword");
    }
    v = lfm2__schema_other_properties(schema);
    if (v != NULL && !(lfm2__json_typeof(v) == LFM2__JSON_BOOL && lfm2__json_bool(v))) {
        (void)unsupported(e, v, "the negation of additionalProperties");
    }
    return all;
}

static const choice *one_of_fails(expansion *e, const lfm2__json *list, const choice *all)
{
    const size_t n = lfm2__json_size(list);
    const todo *none = NULL;
    if (n > 8) (void)unsupported(e, list, "the negation of so many alternatives");
    for (size_t i = 0; i < n; i++) {
        none = do_literal(e, lfm2__json_at(list, i), 1, none);
        for (size_t k = i + 1; k < n; k++) {
            all = either(e, do_literal(e, lfm2__json_at(list, i), 0, do_literal(e, lfm2__json_at(list, k), 0, NULL)), all);
        }
    }
    return either(e, none, all);
}

static const todo *put_negation(expansion *e, const lfm2__json *schema, const todo *rest)
{
    const choice *all = NULL;
    const lfm2__json *v, *prefix, *others;
    refuse_unknown(e, schema);
    if ((v = lfm2__json_get(schema, "$ref")) != NULL) {
        all = either_literal(e, lfm2__schema_resolve(e->c, v), 1, all);
        if (e->c->draft7) return do_choice(e, all, rest);
    }
    if (lfm2__json_get(schema, "type") != NULL) all = either_literal(e, schema, F_TYPE, all);
    if (lfm2__json_get(schema, "enum") != NULL) all = either_literal(e, schema, F_ENUM, all);
    if (lfm2__json_get(schema, "const") != NULL) all = either_literal(e, schema, F_CONST, all);
    for (size_t i = 0; i < LFM2__COUNT_OF(keywords); i++) {
        if (lfm2__json_get(schema, keywords[i].name) != NULL) all = either_literal(e, schema, F_KEYWORDS + (int)i, all);
    }
    item_lists(e->c, schema, &prefix, &others);
    for (size_t i = 0; i <= lfm2__json_size(prefix) && (prefix != NULL || others != NULL); i++) {
        if (i < lfm2__json_size(prefix) || others != NULL) all = either_literal(e, schema, -1 - (int)i, all);
    }
    all = key_fails(e, schema, all);
    if (lfm2__json_get(schema, "if") != NULL) {
        const todo *t = conditional(e, schema, 1, NULL);
        if (t != NULL) all = either(e, t, all);
    }
    if ((v = lfm2__json_get(schema, "oneOf")) != NULL) all = one_of_fails(e, v, all);
    if ((v = lfm2__json_get(schema, "anyOf")) != NULL) {
        const todo *none = NULL;
        for (size_t i = lfm2__json_size(v); i-- > 0;) none = do_literal(e, lfm2__json_at(v, i), 1, none);
        all = either(e, none, all);
    }
    if ((v = lfm2__json_get(schema, "not")) != NULL) all = either_literal(e, v, 0, all);
    v = lfm2__json_get(schema, "allOf");
    for (size_t i = 0; i < lfm2__json_size(v); i++) all = either_literal(e, lfm2__json_at(v, i), 1, all);
    return do_choice(e, all, rest); /* none: the schema holds for everything, and its negation for nothing */
}

static void exclude(expansion *e, lfm2__shape *s, const lfm2__json *value)
{
    lfm2__values *x = lfm2__schema_alloc(e->c, sizeof(*x));
    if (x == NULL) return;
    *x = (lfm2__values){value, s->excluded};
    s->excluded = x;
}

/* One keyword that fails, as put_negation() has marked it. */
static void put_failure(expansion *e, lfm2__shape *s, const lfm2__json *schema, int which)
{
    const lfm2__json *prefix, *others;
    if (which < 0) {
        const int32_t at = -1 - which;
        item_lists(e->c, schema, &prefix, &others);
        s->types &= LFM2__T_ARRAY;
        if ((size_t)at < lfm2__json_size(prefix)) {
            put_item(e, s, at, at + 1, lfm2__json_at(prefix, (size_t)at), 1);
            bound_items(s, at + 1, -1);
        } else if (at == 0) {
            put_contains(e, s, others, 1, 1, -1);
        } else {
            (void)unsupported(e, others, "the negation of items behind other items");
        }
    } else if (which == F_TYPE) {
        s->types &= ~types_of(e, lfm2__json_get(schema, "type"));
    } else if (which == F_ENUM) {
        const lfm2__json *values = lfm2__json_get(schema, "enum");
        for (size_t i = 0; i < lfm2__json_size(values); i++) exclude(e, s, lfm2__json_at(values, i));
    } else if (which == F_CONST) {
        exclude(e, s, lfm2__json_get(schema, "const"));
    } else {
        const size_t i = (size_t)(which - F_KEYWORDS);
        s->types &= keywords[i].types;
        if (s->types != 0) keywords[i].put(e, s, lfm2__json_get(schema, keywords[i].name), schema, 1);
    }
}

/* ---- The whole goal ---- */

static int was_met(expansion *e, const lfm2__literals *met, lfm2__literal lit)
{
    for (; met != NULL; met = met->rest) {
        lfm2__schema_work(e->c, 1);
        if (met->lit.schema == lit.schema && met->lit.negated == lit.negated) return 1;
    }
    return 0;
}

static const todo *put_literal(expansion *e, lfm2__shape *s, lfm2__literal lit, const todo *rest)
{
    const lfm2__json_type type = lfm2__json_typeof(lit.schema);
    if (e->c->status < 0 || was_met(e, s->met, lit)) return rest;
    s->met = lfm2__literals_add(e->c, s->met, lit);
    if (type == LFM2__JSON_BOOL) {
        if (lfm2__json_bool(lit.schema) == (lit.negated != 0)) s->types = 0;
        return rest;
    }
    if (type != LFM2__JSON_OBJECT) {
        (void)lfm2__schema_fail(e->c, LFM2_ERR_FORMAT, lit.schema, "not a schema");
        return rest;
    }
    if (lit.negated == 0) return put_schema(e, s, lit.schema, rest);
    if (lit.negated == 1) return put_negation(e, lit.schema, rest);
    put_failure(e, s, lit.schema, lit.negated);
    return rest;
}

static void add_shape(expansion *e, const lfm2__shape *s)
{
    lfm2__shapes *more;
    if (s->types == 0) return;
    if (++e->n_shapes > MAX_SHAPES) {
        (void)lfm2__schema_fail(e->c, LFM2_ERR_LIMIT, e->c->root, "too many alternatives");
        return;
    }
    more = lfm2__schema_alloc(e->c, sizeof(*more));
    if (more == NULL) return;
    more->shape = *s;
    more->rest = e->shapes;
    e->shapes = more;
}

/* What one alternative asks for, before the rest. */
static const todo *join(expansion *e, const todo *what, const todo *rest)
{
    for (; what != NULL; what = what->rest) {
        todo *copy = lfm2__schema_alloc(e->c, sizeof(*copy));
        if (copy == NULL) return rest;
        *copy = *what;
        copy->rest = rest;
        rest = copy;
    }
    return rest;
}

static void put_key(expansion *e, lfm2__shape *s, const lfm2__key_rule *key)
{
    lfm2__key_rule *k = lfm2__schema_alloc(e->c, sizeof(*k)); /* a copy: branches share what they have in common */
    if (k == NULL) return;
    *k = *key;
    k->rest = s->keys;
    s->keys = k;
    if (k->forbidden || k->lit.schema != NULL) s->types &= LFM2__T_OBJECT;
}

static void run(expansion *e, lfm2__shape s, const todo *list, int depth)
{
    if (depth > MAX_DEPTH) (void)lfm2__schema_fail(e->c, LFM2_ERR_LIMIT, e->c->root, "alternatives nested too deeply");
    while (list != NULL && e->c->status == 0 && s.types != 0) {
        const todo *t = list;
        list = t->rest;
        if (++e->c->n_steps > MAX_STEPS) (void)lfm2__schema_fail(e->c, LFM2_ERR_LIMIT, e->c->root, "too much to expand");
        if (lfm2__aborted(e->c->rt)) e->c->status = LFM2_ERR_ABORTED;
        if (t->key != NULL) {
            put_key(e, &s, t->key);
        } else if (t->choice != NULL || t->lit.schema == NULL) {
            for (const choice *a = t->choice; a != NULL && e->c->status == 0; a = a->rest) {
                run(e, s, join(e, a->what, list), depth + 1);
            }
            return;
        } else {
            list = put_literal(e, &s, t->lit, list);
        }
    }
    if (list == NULL && e->c->status == 0) add_shape(e, &s);
}

lfm2__shapes *lfm2__schema_expand(lfm2__schema *c, const lfm2__literals *goal)
{
    expansion e = {.c = c};
    const lfm2__shape all = {.types = LFM2__T_ANY, .max_items = -1, .max_properties = -1};
    const todo *list = NULL;
    for (; goal != NULL; goal = goal->rest) list = do_literal(&e, goal->lit.schema, goal->lit.negated, list);
    run(&e, all, list, 0);
    return c->status == 0 ? e.shapes : NULL;
}

/* The strings among the values of a shape. */
static lfm2__dfa *given_names(expansion *e, const lfm2__shape *s)
{
    const size_t n = s->is_const ? 1 : lfm2__json_size(s->choices);
    lfm2__text *texts = lfm2__schema_alloc(e->c, (n + 1) * sizeof(*texts));
    int32_t n_texts = 0;
    for (size_t i = 0; i < n && e->c->status == 0; i++) {
        const lfm2__json *v = s->is_const ? s->choices : lfm2__json_at(s->choices, i);
        int good = lfm2__json_typeof(v) == LFM2__JSON_STRING;
        for (const lfm2__literals *l = s->met; l != NULL && good; l = l->rest) {
            if (l->lit.negated == 0 || l->lit.negated == 1) good = lfm2__schema_meets(e->c, v, l->lit) > 0;
        }
        if (good) texts[n_texts].s = lfm2__json_str(v, &texts[n_texts].n), n_texts++;
    }
    return e->c->status < 0 ? NULL : lfm2__schema_texts(e->c, texts, n_texts);
}

/* Names are strings: each alternative of the schema says which. */
static void property_names(expansion *e, lfm2__shape *s, const lfm2__json *schema)
{
    const lfm2__literal lit = {schema, 0};
    lfm2__dfa *all = NULL;
    int any = 0;
    for (lfm2__shapes *a = lfm2__schema_expand(e->c, lfm2__literals_add(e->c, NULL, lit)); a != NULL &&
         e->c->status == 0; a = a->rest) {
        if (!(a->shape.types & LFM2__T_STRING)) continue;
        if (a->shape.choices == NULL) lfm2__schema_exclude(e->c, &a->shape);
        lfm2__dfa *d = a->shape.choices != NULL ? given_names(e, &a->shape) : a->shape.strings;
        if (e->c->status < 0) return;
        if (d == NULL) any = 1;
        else if (all == NULL) all = d;
        else {
            lfm2__dfa *both = NULL;
            const int rc = lfm2__dfa_or(all, d, &both);
            all = lfm2__schema_keep(e->c, rc, both);
        }
    }
    if (e->c->status < 0 || any) return;
    if (all == NULL) bound_properties(s, 0, 0); /* no name is possible */
    else s->names = lfm2__dfa_meet(e->c, s->names, all);
}
