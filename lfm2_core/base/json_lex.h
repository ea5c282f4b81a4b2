/* SPDX-License-Identifier: Apache-2.0
 * Tokens of JSON text, for json.c: strings, numbers and white space, exactly as RFC 8259 has them. */
#ifndef LFM2__JSON_LEX_H
#define LFM2__JSON_LEX_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

typedef struct lfm2__json_lexer {
    lfm2_runtime *rt;
    const char *label; /* for log lines */
    const char *text;
    size_t n;
    size_t at;         /* next byte */
    lfm2__str scratch; /* a string with escapes, decoded; a real number */
} lfm2__json_lexer;

/* Log "label:line:column: JSON: what" - nothing of the text - and return LFM2_ERR_FORMAT. */
int lfm2__json_lex_fail_at(lfm2__json_lexer *lex, size_t at, const char *what);
int lfm2__json_lex_fail(lfm2__json_lexer *lex);  /* syntax error here, or the early end */
int lfm2__json_lex_nomem(lfm2__json_lexer *lex); /* log, and return LFM2_ERR_NOMEM */

/* The next byte that is no white space, not consumed; NUL (with which no token starts) at the end. */
char lfm2__json_lex_peek(lfm2__json_lexer *lex);

/* A string whose opening quote is next. *data is in the text, or in the scratch if there are escapes: valid until the next token.
 * Returns 0; LFM2_ERR_FORMAT (NUL in it, a surrogate alone and invalid UTF-8 included); LFM2_ERR_NOMEM. */
int lfm2__json_lex_string(lfm2__json_lexer *lex, const char **data, size_t *n);

/* A number whose first byte, a digit or minus, is next: *integer, or *real if it has a fraction or exponent or with always_real.
 * Returns 0; LFM2_ERR_FORMAT (beyond int64 or double included); LFM2_ERR_NOMEM. */
int lfm2__json_lex_number(lfm2__json_lexer *lex, int always_real, int *is_real, int64_t *integer, double *real);

#endif
