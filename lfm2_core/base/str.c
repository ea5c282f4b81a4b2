/* SPDX-License-Identifier: Apache-2.0
 * Growing byte string with sticking errors. */
#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mathsafe.h"
#include "base/runtime_impl.h"

#define FIRST_CAP_BYTES 64

void lfm2__str_init(lfm2__str *s, lfm2_runtime *rt)
{
    memset(s, 0, sizeof *s);
    s->rt = rt;
}

void lfm2__str_fini(lfm2__str *s)
{
    if (s->data != NULL) lfm2__free(s->rt, s->data);
    lfm2__str_init(s, s->rt);
}

/* Room for n more bytes and the NUL. Returns the status. */
static int reserve(lfm2__str *s, size_t n)
{
    if (s->status < 0) return s->status;
    size_t need;
    if (lfm2__add_size(s->n, n, &need) < 0 || lfm2__add_size(need, 1, &need) < 0) return s->status = LFM2_ERR_NOMEM;
    if (need <= s->cap) return 0;
    size_t cap = s->cap < FIRST_CAP_BYTES ? FIRST_CAP_BYTES : s->cap;
    while (cap < need) {
        if (lfm2__mul_size(cap, 2, &cap) < 0) cap = need;
    }
    char *data = lfm2__grow(s->rt, s->data, s->n, cap);
    if (data == NULL) return s->status = LFM2_ERR_NOMEM;
    s->data = data;
    s->cap = cap;
    return 0;
}

void lfm2__str_put(lfm2__str *s, const char *bytes, size_t n)
{
    if (reserve(s, n) < 0) return;
    if (n > 0) memcpy(s->data + s->n, bytes, n);
    s->n += n;
    s->data[s->n] = '\0';
}

void lfm2__str_puts(lfm2__str *s, const char *text)
{
    lfm2__str_put(s, text, strlen(text));
}

void lfm2__str_printf(lfm2__str *s, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0) {
        if (s->status == 0) s->status = LFM2_ERR_NOMEM; /* longer than INT_MAX: nothing else can fail here */
    } else if (reserve(s, (size_t)n) == 0) {
        (void)vsnprintf(s->data + s->n, (size_t)n + 1, fmt, again);
        s->n += (size_t)n;
    }
    va_end(again);
}

void lfm2__str_put_fixed(lfm2__str *s, int64_t v, int n_decimals)
{
    uint64_t rest = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    char text[24]; /* 19 digits, point, sign */
    size_t at = sizeof text;
    int n = 0;
    do {
        if (n > 0 && n == n_decimals) text[--at] = '.';
        text[--at] = (char)('0' + rest % 10);
        rest /= 10;
        n++;
    } while (rest > 0 || n <= n_decimals);
    if (v < 0) text[--at] = '-';
    lfm2__str_put(s, text + at, sizeof text - at);
}

int lfm2__str_take(lfm2__str *s, char **out, size_t *out_n)
{
    if (s->data == NULL) lfm2__str_put(s, "", 0);
    const int status = s->status;
    if (status == 0) {
        *out = s->data;
        if (out_n != NULL) *out_n = s->n;
        s->data = NULL;
    }
    lfm2__str_fini(s);
    return status;
}
