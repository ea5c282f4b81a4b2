/* SPDX-License-Identifier: Apache-2.0
 * Growing byte string. Errors stick: append freely, look at the status once at the end. */
#ifndef LFM2__STR_H
#define LFM2__STR_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "lfm2/runtime.h"

typedef struct lfm2__str {
    lfm2_runtime *rt;
    char *data; /* NUL behind data[n] once anything was appended; NULL before */
    size_t n;
    size_t cap;
    int status; /* 0, or LFM2_ERR_NOMEM from the first append that failed; later appends do nothing */
} lfm2__str;

void lfm2__str_init(lfm2__str *s, lfm2_runtime *rt);
void lfm2__str_fini(lfm2__str *s); /* accepts a zeroed one */
void lfm2__str_put(lfm2__str *s, const char *bytes, size_t n);
void lfm2__str_puts(lfm2__str *s, const char *text);
void lfm2__str_printf(lfm2__str *s, const char *fmt, ...) LFM2__PRINTF(2, 3);

/* v / 10^n_decimals with so many decimals (0..18) and a point, whatever the locale: 1234, 3 gives "1.234". */
void lfm2__str_put_fixed(lfm2__str *s, int64_t v, int n_decimals);

/* Hand the bytes over (free with lfm2__free) and leave s empty. An empty string gives "". Returns s->status. */
int lfm2__str_take(lfm2__str *s, char **out, size_t *out_n) LFM2__NODISCARD;

#endif
