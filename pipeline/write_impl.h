/* SPDX-License-Identifier: Apache-2.0
 * What the writers of results share: text made safe for each format, and the way out to the caller. */
#ifndef LFM2__WRITE_IMPL_H
#define LFM2__WRITE_IMPL_H

#include "base/compiler.h"
#include "base/str.h"

/* Text may hold anything that somebody has put into a picture or a recording. What is no UTF-8 becomes U+FFFD everywhere. */

/* For terminals and editors: control characters could steer a terminal and become U+FFFD, but tabs and line
 * breaks stay (those of DOS lose their carriage return). */
void lfm2__put_plain(lfm2__str *s, const char *text, size_t n);

/* The same on one line: tabs and line breaks become blanks. */
void lfm2__put_cell(lfm2__str *s, const char *text, size_t n);

/* A JSON string in quotes. */
void lfm2__put_json(lfm2__str *s, const char *text, size_t n);

/* Members of a JSON object that is open at the end of s, with a comma before all but its first: `"key":`, or with its value. */
void lfm2__member(lfm2__str *s, const char *key);
void lfm2__member_text(lfm2__str *s, const char *key, const char *text);              /* NULL: null */
void lfm2__member_int(lfm2__str *s, const char *key, int64_t v);
void lfm2__member_true(lfm2__str *s, const char *key);
void lfm2__member_fixed(lfm2__str *s, const char *key, int64_t v, int n_decimals);    /* v / 10^n_decimals; negative: null */
void lfm2__member_real(lfm2__str *s, const char *key, double v, int n_decimals);      /* rounded; not finite or over 1e9: null */

/* Share of 1 in units of 10^-n_decimals, rounded; -1 if there is none. */
int64_t lfm2__confidence_fixed(float confidence, int n_decimals);

/* For XML's content and attributes: what XML cannot hold becomes U+FFFD; tabs and line breaks are written so that they stay. */
void lfm2__put_xml(lfm2__str *s, const char *text, size_t n);

/* Bytes that gather in s until they are flushed. */
typedef struct lfm2__sink {
    lfm2__str s;
    int (*write)(void *ctx, const char *bytes, size_t n);
    void *ctx;
} lfm2__sink;

void lfm2__sink_init(lfm2__sink *sink, lfm2_runtime *rt, int (*write)(void *ctx, const char *bytes, size_t n), void *ctx);
void lfm2__sink_fini(lfm2__sink *sink); /* unwritten bytes are dropped; accepts a zeroed one */

/* Hand what has gathered to write(), unless it is nothing. Returns 0; LFM2_ERR_NOMEM (text is missing); LFM2_ERR_IO. Logged. */
int lfm2__sink_flush(lfm2__sink *sink) LFM2__NODISCARD;

#endif
