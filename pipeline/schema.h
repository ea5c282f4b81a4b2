/* SPDX-License-Identifier: Apache-2.0
 * From a JSON Schema to a grammar.
 *
 * A goal is a set of schemas that a value must all meet (some of them negated: must not meet). It becomes a rule of the grammar.
 * First it is expanded: references are followed, conjunctions joined, alternatives taken apart, negations pushed inwards, until it
 * is a list of shapes, each of which says plainly what a value of each type must be. Then each shape is written as grammar; items
 * and properties are goals again. Goals are known by their schemas, so that recursion ends at a rule that exists. */
#ifndef LFM2__SCHEMA_H
#define LFM2__SCHEMA_H

#include "base/json.h"
#include "pipeline/grammar.h"
#include "pipeline/regular.h"

typedef struct lfm2__literal {
    const lfm2__json *schema;
    int negated;
} lfm2__literal;

typedef struct lfm2__literals { /* a list; never changed once made, so that shapes can share its tail */
    lfm2__literal lit;
    const struct lfm2__literals *rest;
} lfm2__literals;

enum { /* types a value may have */
    LFM2__T_NULL = 1, LFM2__T_FALSE = 2, LFM2__T_TRUE = 4, LFM2__T_INTEGER = 8, LFM2__T_FRACTION = 16, LFM2__T_STRING = 32,
    LFM2__T_ARRAY = 64, LFM2__T_OBJECT = 128, LFM2__T_NUMBER = 24, LFM2__T_BOOL = 6, LFM2__T_ANY = 255
};

typedef struct lfm2__item_rule { /* of arrays: what stands at some places */
    int32_t from, to; /* places [from, to); to < 0: without end */
    lfm2__literal lit;
    const struct lfm2__item_rule *rest;
} lfm2__item_rule;

typedef struct lfm2__contains {
    lfm2__literal lit;
    int64_t min, max; /* max < 0: no bound */
    const struct lfm2__contains *rest;
} lfm2__contains;

typedef struct lfm2__object_rule { /* properties, patternProperties, additionalProperties of one schema: they belong together */
    const lfm2__json *properties, *patterns, *additional; /* NULL = absent */
    const struct lfm2__object_rule *rest;
} lfm2__object_rule;

typedef struct lfm2__key_rule { /* what one property must be, beside what the object rules say */
    const char *key;
    size_t n;
    int required, forbidden;
    lfm2__literal lit; /* schema NULL = anything */
    const struct lfm2__key_rule *rest;
} lfm2__key_rule;

typedef struct lfm2__values { /* values taken out */
    const lfm2__json *value;
    const struct lfm2__values *rest;
} lfm2__values;

typedef struct lfm2__shape {
    unsigned types;
    const lfm2__json *choices;      /* not NULL: an array of values, one of which it must be, ... */
    int is_const;                   /* ... or a single value */
    const lfm2__literals *met;      /* literals it was made of */
    lfm2__dfa *numbers, *strings;   /* NULL = all; owned by the compiler */
    const lfm2__item_rule *items;
    const lfm2__contains *contains;
    int64_t min_items, max_items;   /* max < 0: no bound */
    const lfm2__json *unique_at;    /* not NULL: no item twice; where it says so */
    const lfm2__object_rule *objects;
    const lfm2__key_rule *keys;
    lfm2__dfa *names;               /* of properties */
    int64_t min_properties, max_properties;
    const lfm2__values *excluded;
} lfm2__shape;

typedef struct lfm2__schema lfm2__schema; /* the compiler */

struct lfm2__schema {
    lfm2_runtime *rt;
    const lfm2__json *root;
    lfm2_grammar *g;
    struct chunk *chunks;    /* memory that goes when the compiler does */
    size_t n_bytes;          /* of it */
    struct owned_dfa *dfas;
    struct goal **goals;     /* with their rules, by hash */
    int32_t n_goals, n_steps, depth, dead_depth;
    int draft7;
    int64_t work;
    struct references *references;
    struct known_pattern **patterns; /* by hash */
    struct dfa_rule *dfa_rules;
    const lfm2__json *taken, *taken_from; /* a value that is looked at, and the list it is from: not to be searched for it */
    int status;
    int32_t any_value, any_string; /* rules; -1 = not made yet */
    struct char_rule *char_rules;  /* rules of code points in strings */
};

/* ---- schema.c: memory, errors, references, goals ---- */

void *lfm2__schema_alloc(lfm2__schema *c, size_t n_bytes); /* zeroed, never NULL while status is 0; lives as long as the compiler */
lfm2__dfa *lfm2__schema_keep(lfm2__schema *c, int rc, lfm2__dfa *d); /* takes a dfa over, and the status of the call that made it */

void lfm2__schema_work(lfm2__schema *c, int64_t n); /* n steps were made; too many in all are an error */
lfm2__dfa *lfm2__schema_texts(lfm2__schema *c, const lfm2__text *texts, int32_t n); /* NULL after an error */

/* Errors stick. where: the value at fault, whose path goes to the log with `what`. */
int lfm2__schema_fail(lfm2__schema *c, int status, const lfm2__json *where, const char *what);

/* The rule of a goal. */
int32_t lfm2__schema_rule(lfm2__schema *c, const lfm2__literals *goal);

/* Put the values that are taken out of a shape into its types and automata. */
void lfm2__schema_exclude(lfm2__schema *c, lfm2__shape *s);

/* 1 if certainly no value of these types meets the goal; looks a few levels deep only. */
int lfm2__schema_is_dead(lfm2__schema *c, const lfm2__literals *goal, unsigned types);

const lfm2__literals *lfm2__literals_add(lfm2__schema *c, const lfm2__literals *list, lfm2__literal lit);

/* ---- schema_refs.c ---- */

void lfm2__schema_collect_refs(lfm2__schema *c);                                /* once, before the first call of the next one */
const lfm2__json *lfm2__schema_resolve(lfm2__schema *c, const lfm2__json *ref); /* target of a $ref; NULL after an error */

/* ---- schema_expand.c ---- */

typedef struct lfm2__shapes {
    lfm2__shape shape;
    struct lfm2__shapes *rest;
} lfm2__shapes;

lfm2__shapes *lfm2__schema_expand(lfm2__schema *c, const lfm2__literals *goal);

/* What holds for properties and items that no other keyword of the schema speaks of; NULL = anything. */
const lfm2__json *lfm2__schema_other_properties(const lfm2__json *schema);
const lfm2__json *lfm2__schema_other_items(const lfm2__json *schema);

/* ---- schema_value.c: given values ---- */

int lfm2__json_equal(const lfm2__json *a, const lfm2__json *b);

/* 1 if the value meets the literal, 0 if not, -1 after an error (what cannot be decided is UNSUPPORTED). */
int lfm2__schema_meets(lfm2__schema *c, const lfm2__json *value, lfm2__literal lit);

/* A value as we write JSON; the text lives as long as the compiler. */
void lfm2__schema_text(lfm2__schema *c, const lfm2__json *value, lfm2__text *out);

/* ---- schema_number.c ---- */

/* The decimals that are numbers as we write them: all, or those that are integers. */
lfm2__dfa *lfm2__numbers_all(lfm2__schema *c, int integers_only);
/* Those >= bound (or >). */
lfm2__dfa *lfm2__numbers_from(lfm2__schema *c, const lfm2__json *bound, int strictly);
lfm2__dfa *lfm2__numbers_multiple(lfm2__schema *c, const lfm2__json *of);
lfm2__dfa *lfm2__numbers_equal(lfm2__schema *c, const lfm2__json *value);
int32_t lfm2__g_number(lfm2__schema *c, const lfm2__shape *s, int32_t next);

/* ---- schema_string.c ---- */

lfm2__dfa *lfm2__strings_format(lfm2__schema *c, const lfm2__json *format); /* NULL: a format that says nothing, or an error */
int32_t lfm2__g_string(lfm2__schema *c, const lfm2__dfa *d, int32_t next);  /* quoted; NULL = any */
int32_t lfm2__g_key(lfm2__schema *c, const char *key, size_t n, int32_t next); /* quoted */
int32_t lfm2__g_string_shape(lfm2__schema *c, const lfm2__shape *s, int32_t next);

/* ---- schema_array.c, schema_object.c ---- */

int32_t lfm2__g_array(lfm2__schema *c, const lfm2__shape *s, int32_t next);
int32_t lfm2__g_object(lfm2__schema *c, const lfm2__shape *s, int32_t next);

/* All that the property `key` must meet in this shape; *state: 1 = it must be there, -1 = it must not, 0 = it may. */
const lfm2__literals *lfm2__schema_key_goal(lfm2__schema *c, const lfm2__shape *s, const char *key, size_t n, int *state);

/* A pattern of the document, made once for all equal ones; NULL after an error. */
lfm2__dfa *lfm2__schema_pattern(lfm2__schema *c, const lfm2__json *where, const char *text, size_t n);

/* A language as a rule, made once for all equal automata; class_node as in lfm2__g_dfa(), which tells kinds of rules apart.
 * quoted: in '"'. */
int32_t lfm2__g_dfa_rule(lfm2__schema *c, const lfm2__dfa *d, lfm2__class_fn *class_node, int quoted, int32_t next);

/* Conjunctions that keep the result: NULL stands for everything. */
lfm2__dfa *lfm2__dfa_meet(lfm2__schema *c, lfm2__dfa *a, lfm2__dfa *b);
lfm2__dfa *lfm2__dfa_except(lfm2__schema *c, lfm2__dfa *a, lfm2__dfa *b);

#endif
