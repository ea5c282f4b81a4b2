/* SPDX-License-Identifier: Apache-2.0
 * Regular languages over code points, as complete tables of deterministic automata: patterns, lengths, and their boolean algebra.
 * Strings of a JSON Schema are held to several of these at once. */
#ifndef LFM2__REGULAR_H
#define LFM2__REGULAR_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "pipeline/grammar.h"

/* State 0 is the first; every state has a successor for every code point. Immutable once made. */
typedef struct lfm2__dfa {
    lfm2_runtime *rt;
    int32_t n_states, n_classes;
    uint32_t *bounds; /* [n_classes + 1], rising from 0 to 0x110000: class k holds code points bounds[k] <= c < bounds[k + 1] */
    int32_t *next;    /* [n_states, n_classes] */
    uint8_t *accepts; /* [n_states] */
    int64_t work;     /* steps that it took to make it: who makes many can tell when they are too many */
} lfm2__dfa;

#define LFM2__DFA_MAX_CELLS (1 << 21) /* of the table */

/* A table to be filled; its first bound is 0, its last one is set. Returns 0; LFM2_ERR_LIMIT; LFM2_ERR_NOMEM. */
int lfm2__dfa_create(lfm2_runtime *rt, int64_t n_states, int64_t n_classes, lfm2__dfa **out) LFM2__NODISCARD;

/* The minimal automaton of one whose states are all reached. Takes d over, also on failure. Returns 0; LFM2_ERR_NOMEM;
 * LFM2_ERR_ABORTED. */
int lfm2__dfa_minimize(lfm2__dfa *d, lfm2__dfa **out) LFM2__NODISCARD;

void lfm2__dfa_destroy(lfm2__dfa *d); /* NULL is allowed */

/* Texts in which the pattern is found (anywhere, unless it is anchored): the regular part of ECMAScript's patterns with the u flag.
 * Returns 0; LFM2_ERR_FORMAT (not a pattern); LFM2_ERR_UNSUPPORTED (back references, look-around, \b, \p; *what says which);
 * LFM2_ERR_LIMIT (too large an automaton); LFM2_ERR_NOMEM; LFM2_ERR_ABORTED. *what (never NULL afterwards, static storage): why. */
int lfm2__dfa_from_pattern(lfm2_runtime *rt, const char *pattern, size_t n, lfm2__dfa **out, const char **what) LFM2__NODISCARD;

/* The minimal automaton of a table, whose states are all reached; arrays as in lfm2__dfa, borrowed. Returns 0; LFM2_ERR_LIMIT;
 * LFM2_ERR_NOMEM; LFM2_ERR_ABORTED. */
int lfm2__dfa_from_table(lfm2_runtime *rt, int32_t n_states, int32_t n_classes, const uint32_t *bounds, const int32_t *next,
                         const uint8_t *accepts, lfm2__dfa **out) LFM2__NODISCARD;

/* Exactly these texts; texts of min..max code points (max < 0: without end). Return 0; LFM2_ERR_UTF8; LFM2_ERR_LIMIT;
 * LFM2_ERR_NOMEM;
 * LFM2_ERR_ABORTED. */
int lfm2__dfa_from_texts(lfm2_runtime *rt, const lfm2__text *texts, int32_t n_texts, lfm2__dfa **out) LFM2__NODISCARD;
int lfm2__dfa_from_length(lfm2_runtime *rt, int64_t min, int64_t max, lfm2__dfa **out) LFM2__NODISCARD;

/* What both accept, what either accepts, what a does not accept; minimal automata. Return 0; LFM2_ERR_LIMIT; LFM2_ERR_NOMEM;
 * LFM2_ERR_ABORTED. */
int lfm2__dfa_and(const lfm2__dfa *a, const lfm2__dfa *b, lfm2__dfa **out) LFM2__NODISCARD;
int lfm2__dfa_or(const lfm2__dfa *a, const lfm2__dfa *b, lfm2__dfa **out) LFM2__NODISCARD;
int lfm2__dfa_not(const lfm2__dfa *a, lfm2__dfa **out) LFM2__NODISCARD;

int lfm2__dfa_accepts(const lfm2__dfa *d, const char *text, size_t n);
int lfm2__dfa_is_empty(const lfm2__dfa *d); /* 1 if it accepts nothing */

/* The language as a grammar, from its first node; next comes behind. class_node() makes the node of one code point out of n
 * ranges. */
typedef int32_t lfm2__class_fn(void *ctx, lfm2_grammar *g, lfm2__cp_range *ranges, int32_t n, int32_t next);
int32_t lfm2__g_dfa(lfm2_grammar *g, const lfm2__dfa *d, lfm2__class_fn *class_node, void *ctx, int32_t next);

#endif
