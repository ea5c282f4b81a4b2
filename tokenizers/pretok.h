/* SPDX-License-Identifier: Apache-2.0
 * Cutting text into pieces by the checkpoint's regular expression. PCRE2 is behind pretok.c only. */
#ifndef LFM2__PRETOK_H
#define LFM2__PRETOK_H

#include <stddef.h>

#include "base/compiler.h"
#include "lfm2/runtime.h"

typedef struct lfm2__pretok lfm2__pretok;             /* a compiled pattern; immutable */
typedef struct lfm2__pretok_match lfm2__pretok_match; /* scratch of one caller */

#define LFM2__MAX_PATTERN_BYTES 4096

/* The pattern of the family, as its tokenizer.json files have it. */
extern const char lfm2__pretok_lfm2[];

/* Compile a pattern in the syntax that tokenizer.json uses. label, field: for log lines.
 * Returns 0; LFM2_ERR_FORMAT (no regular expression); LFM2_ERR_LIMIT; LFM2_ERR_UNSUPPORTED (matches nothing at all, or a construct
 * that means something else here); LFM2_ERR_NOMEM. */
int lfm2__pretok_create(lfm2_runtime *rt, const char *label, const char *field, const char *pattern, size_t n,
                        lfm2__pretok **out) LFM2__NODISCARD;
void lfm2__pretok_destroy(lfm2__pretok *p);

/* Scratch for texts of at most max_bytes. Returns 0 or LFM2_ERR_NOMEM. */
int lfm2__pretok_match_create(const lfm2__pretok *p, size_t max_bytes, lfm2__pretok_match **out) LFM2__NODISCARD;
void lfm2__pretok_match_destroy(lfm2__pretok_match *m);

/* Called for each piece, in order; a negative value ends the split and is returned. */
typedef int lfm2__piece_fn(void *ctx, const char *piece, size_t n);

/* Cut valid UTF-8 into pieces: matches, and what lies between them. Returns 0; LFM2_ERR_LIMIT (the pattern took too many steps);
 * LFM2_ERR_ABORTED; LFM2_ERR_NOMEM; what fn returned. */
int lfm2__pretok_split(const lfm2__pretok *p, lfm2__pretok_match *m, const char *text, size_t n, lfm2__piece_fn *fn,
                       void *ctx) LFM2__NODISCARD;

#endif
