/* SPDX-License-Identifier: Apache-2.0
 * Output that obeys: a JSON Schema, a grammar or a list of choices, compiled to an automaton over bytes that decides before each
 * token which ones may come next. What such a generation writes is valid whenever it ends, also when its tokens run out. */
#ifndef LFM2_CONSTRAIN_H
#define LFM2_CONSTRAIN_H

#include "lfm2/sampler.h"
#include "lfm2/tokenizer.h"

LFM2_BEGIN_DECLS

/* ---- What is allowed ---- */

typedef struct lfm2_grammar lfm2_grammar; /* immutable; shared by any number of constraints */

/* From the text of a JSON Schema, draft 2020-12 or 07. Properties come in the schema's order, without white space but one blank
 * behind ':' and ','. What cannot be honoured is refused: the log names the keyword and its path ("/properties/a/not").
 * *out: written only on success. Returns 0; LFM2_ERR_ARG; LFM2_ERR_FORMAT (not JSON, not a schema); LFM2_ERR_UNSUPPORTED (a
 * keyword that
 * cannot be honoured); LFM2_ERR_RANGE (no document can be valid); LFM2_ERR_LIMIT (too large an automaton); LFM2_ERR_NOMEM;
 * LFM2_ERR_ABORTED. */
LFM2_API int lfm2_grammar_from_json_schema(lfm2_runtime *rt, const char *schema, size_t n, lfm2_grammar **out);

/* From a grammar in GBNF, whose start is the rule "root". Returns 0; LFM2_ERR_ARG; LFM2_ERR_FORMAT (line and column in the log; a
 * rule that
 * is not defined); LFM2_ERR_UNSUPPORTED (left recursion); LFM2_ERR_RANGE (nothing matches); LFM2_ERR_LIMIT; LFM2_ERR_NOMEM. */
LFM2_API int lfm2_grammar_from_gbnf(lfm2_runtime *rt, const char *text, size_t n, lfm2_grammar **out);

/* One of the given texts, n_choices >= 1, none empty. Returns 0; LFM2_ERR_ARG; LFM2_ERR_UTF8; LFM2_ERR_LIMIT; LFM2_ERR_NOMEM. */
LFM2_API int lfm2_grammar_from_choices(lfm2_runtime *rt, const char *const *choices, int32_t n_choices, lfm2_grammar **out);
LFM2_API void lfm2_grammar_destroy(lfm2_grammar *g); /* NULL is allowed */

/* Bytes of the shortest text that the grammar accepts. */
LFM2_API int64_t lfm2_grammar_min_bytes(const lfm2_grammar *g);

/* 1 if the n bytes are a whole text of the grammar; 0 if not; negative: LFM2_ERR_ARG; LFM2_ERR_LIMIT (too many ways to go on at one
 * place of an ambiguous grammar); LFM2_ERR_NOMEM. */
LFM2_API int lfm2_grammar_matches(const lfm2_grammar *g, const char *text, size_t n);

/* ---- Holding a generation to it ---- */

/* The ids of a tokenizer in the order of their bytes. Made once for each tokenizer; immutable. */
typedef struct lfm2_vocab_order lfm2_vocab_order;

/* Returns 0; LFM2_ERR_ARG; LFM2_ERR_UNSUPPORTED (the tokenizer lacks a token for some byte, so that not everything can be written);
 * LFM2_ERR_NOMEM. tok is borrowed. */
LFM2_API int lfm2_vocab_order_create(lfm2_runtime *rt, const lfm2_tokenizer *tok, lfm2_vocab_order **out);
LFM2_API void lfm2_vocab_order_destroy(lfm2_vocab_order *v); /* NULL is allowed */

typedef struct lfm2_constraint lfm2_constraint; /* one generation */

/* grammar and order are borrowed while it lives; it is for one thread at a time. Returns 0; LFM2_ERR_ARG; LFM2_ERR_LIMIT;
 * LFM2_ERR_NOMEM. */
LFM2_API int lfm2_constraint_create(const lfm2_grammar *grammar, const lfm2_vocab_order *order, lfm2_constraint **out);
LFM2_API void lfm2_constraint_destroy(lfm2_constraint *c); /* NULL is allowed */

/* Back to the beginning; what was learnt about the grammar stays. */
LFM2_API void lfm2_constraint_reset(lfm2_constraint *c);

/* Which ids may come next if at most n_left more ids, this one included and an end id not, may be written: bit id % 64 of
 * allow[id / 64], n_words of them, all written. The ids of end_ids are allowed where the text is complete. Afterwards the shortest
 * end
 * can always be reached, if it could before. Returns 0; LFM2_ERR_RANGE (n_left ids do not suffice for the shortest end);
 * LFM2_ERR_LIMIT as above; LFM2_ERR_NOMEM. What is learnt of the grammar is kept, so that calls take memory, within bounds. */
LFM2_API int lfm2_constraint_allow(lfm2_constraint *c, int32_t n_left, uint64_t *allow, size_t n_words);

/* An id was written. Returns 0; LFM2_ERR_ARG if it was not allowed; LFM2_ERR_LIMIT; LFM2_ERR_NOMEM. */
LFM2_API int lfm2_constraint_accept(lfm2_constraint *c, int32_t id);

/* 1 if the text so far is complete; *can_go_on (may be NULL): 1 if more may follow. */
LFM2_API int lfm2_constraint_is_complete(const lfm2_constraint *c, int *can_go_on);

LFM2_END_DECLS

#endif
