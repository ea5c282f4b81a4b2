/* SPDX-License-Identifier: Apache-2.0
 * Grammars as recursive transition networks over bytes: how they are built, and what is known of them once they are sealed.
 *
 * A rule is a graph of nodes that ends in the node END. Graphs are built from their end to their beginning: every builder takes
 * the node that comes behind and returns the node to begin with, so that a sequence is written from right to left.
 * Ids of special tokens are bytes, too: LFM2__TOKEN_LEAD, which no UTF-8 text contains, and three bytes of the id. */
#ifndef LFM2__GRAMMAR_H
#define LFM2__GRAMMAR_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "lfm2/constrain.h"

#define LFM2__TOKEN_LEAD 0xffu
#define LFM2__TOKEN_BYTES 4

typedef struct lfm2__byteset {
    uint64_t bits[4]; /* byte b: bit b % 64 of word b / 64 */
} lfm2__byteset;

typedef struct lfm2__text {
    const char *s;
    size_t n;
} lfm2__text;

typedef enum lfm2__node_kind {
    LFM2__NODE_BYTES, /* one byte of set arg, then next */
    LFM2__NODE_CALL,  /* rule arg, then next */
    LFM2__NODE_SPLIT, /* next or arg */
    LFM2__NODE_END,   /* of the rule */
    LFM2__NODE_FAIL   /* nothing */
} lfm2__node_kind;

typedef struct lfm2__node {
    int32_t kind, next, arg;
} lfm2__node;

#define LFM2__END 0  /* nodes of every grammar */
#define LFM2__FAIL 1
#define LFM2__NEVER INT32_MAX /* min_bytes of what cannot be completed */

struct lfm2_grammar {
    lfm2_runtime *rt;
    lfm2__node *nodes;
    int32_t n_nodes, cap_nodes, max_nodes;
    int32_t *rules; /* first node of each; -1 = not defined yet */
    int32_t n_rules, cap_rules;
    lfm2__byteset *sets; /* all different */
    int32_t n_sets, cap_sets;
    int32_t *set_table; /* hash of sets; -1 = free */
    int32_t cap_set_table;
    int32_t *min_bytes; /* [n_nodes]: to the end of the rule; once sealed */
    int32_t start;      /* rule */
    int status;         /* 0, or why building has failed; later calls do nothing and return LFM2__FAIL */
};

/* ---- Building. Errors stick in g->status: build on, look at it at the end. Node and rule numbers that a call returns are valid.
 * ---- */

int lfm2__grammar_create(lfm2_runtime *rt, int32_t max_nodes, lfm2_grammar **out) LFM2__NODISCARD;

int32_t lfm2__g_set(lfm2_grammar *g, const lfm2__byteset *set, int32_t next);
int32_t lfm2__g_range(lfm2_grammar *g, uint8_t lo, uint8_t hi, int32_t next);
int32_t lfm2__g_text(lfm2_grammar *g, const char *text, size_t n, int32_t next);
int32_t lfm2__g_texts(lfm2_grammar *g, lfm2__text *texts, int32_t n, int32_t next); /* one of them; sorted by this call */
int32_t lfm2__g_token(lfm2_grammar *g, int32_t id, int32_t next);        /* a special token */
int32_t lfm2__g_either(lfm2_grammar *g, int32_t a, int32_t b);           /* LFM2__FAIL on one side gives the other */
int32_t lfm2__g_call(lfm2_grammar *g, int32_t rule, int32_t next);

typedef struct lfm2__cp_range {
    uint32_t lo, hi; /* code points, lo <= hi */
} lfm2__cp_range;

/* UTF-8 of one code point of (or, negated, outside of) n ranges, which are sorted by this call; surrogates are left out. */
int32_t lfm2__g_class(lfm2_grammar *g, lfm2__cp_range *ranges, int32_t n, int negated, int32_t next);

/* A loop: `int32_t loop = lfm2__g_loop(g, next); body = ...(g, ..., loop); lfm2__g_close_loop(g, loop, body);` begins at loop, and
 * is
 * the body any number of times. */
int32_t lfm2__g_loop(lfm2_grammar *g, int32_t next);
void lfm2__g_close_loop(lfm2_grammar *g, int32_t loop, int32_t body);

int32_t lfm2__g_rule(lfm2_grammar *g);                           /* a new one, to be defined once */
void lfm2__g_define(lfm2_grammar *g, int32_t rule, int32_t first);

/* A body that is a rule, min to max times (max < 0: without end). */
int32_t lfm2__g_repeat(lfm2_grammar *g, int32_t rule, int32_t min, int32_t max, int32_t next);

/* Errors of a matcher's first state, before anybody relies on the grammar. */
int lfm2__grammar_try(const lfm2_grammar *g) LFM2__NODISCARD;

/* Check and finish. Returns g->status; LFM2_ERR_FORMAT (a rule was never defined); LFM2_ERR_UNSUPPORTED (left recursion, a loop
 * over nothing);
 * LFM2_ERR_RANGE (the start matches nothing); LFM2_ERR_NOMEM. *rule (may be NULL): the one that is at fault, or -1. */
int lfm2__grammar_seal(lfm2_grammar *g, int32_t start, int32_t *rule) LFM2__NODISCARD;

static inline int lfm2__byteset_has(const lfm2__byteset *s, uint8_t b)
{
    return (int)(s->bits[b >> 6] >> (b & 63) & 1);
}

static inline void lfm2__byteset_add(lfm2__byteset *s, uint8_t lo, uint8_t hi)
{
    for (int b = lo; b <= hi; b++) s->bits[b >> 6] |= (uint64_t)1 << (b & 63);
}

/* ---- Matching: a deterministic automaton made as it is needed. A state is everything that may come next. ---- */

typedef struct lfm2__matcher lfm2__matcher;

#define LFM2__DEAD 0 /* the state from which nothing can be completed */

/* Returns 0; LFM2_ERR_LIMIT (too many ways to go on at one place); LFM2_ERR_NOMEM; so do the calls that make states. */
int lfm2__matcher_create(const lfm2_grammar *g, lfm2__matcher **out) LFM2__NODISCARD;
void lfm2__matcher_destroy(lfm2__matcher *m);

/* The first state; the state behind a byte. State numbers stay valid until lfm2__matcher_trim(). */
int32_t lfm2__matcher_start(lfm2__matcher *m) LFM2__NODISCARD;
int32_t lfm2__matcher_next(lfm2__matcher *m, int32_t state, uint8_t byte) LFM2__NODISCARD;

/* Bytes of the shortest way to the end: 0 = complete; LFM2__NEVER for the dead state. */
int32_t lfm2__matcher_min_bytes(const lfm2__matcher *m, int32_t state);

/* 1 if any byte may follow. */
int lfm2__matcher_goes_on(const lfm2__matcher *m, int32_t state);

/* Forget all states but one, if they have become too many. *state: its new number. Returns 1 if it did, 0 if not. */
int lfm2__matcher_trim(lfm2__matcher *m, int32_t *state) LFM2__NODISCARD;

#endif
