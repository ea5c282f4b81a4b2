/* SPDX-License-Identifier: Apache-2.0
 * Text of JSON values, as Python writes it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/runtime_impl.h"
#include "base/str.h"

void lfm2__json_put_string(lfm2__str *s, const char *text, size_t n)
{
    lfm2__str_put(s, "\"", 1);
    size_t from = 0;
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        lfm2__str_put(s, text + from, i - from);
        from = i + 1;
        switch (c) {
        case '"': lfm2__str_puts(s, "\\\""); break;
        case '\\': lfm2__str_puts(s, "\\\\"); break;
        case '\n': lfm2__str_puts(s, "\\n"); break;
        case '\r': lfm2__str_puts(s, "\\r"); break;
        case '\t': lfm2__str_puts(s, "\\t"); break;
        case '\f': lfm2__str_puts(s, "\\f"); break;
        case '\b': lfm2__str_puts(s, "\\b"); break;
        default: lfm2__str_printf(s, "\\u%04x", (unsigned)c);
        }
    }
    lfm2__str_put(s, text + from, n - from);
    lfm2__str_put(s, "\"", 1);
}

/* Does the number in text read back as x, as it is or with its last digit one up? (Above a power of two the next double is twice as
 * far away as below: there the nearest decimal may be out of reach and the one above it not.) Leaves the right one in text. */
static int reads_back(char *text, double x)
{
    if (strtod(text, NULL) == x) return 1;
    char *last = strchr(text, 'e') - 1;
    if (*last == '9') return 0; /* then the one above has fewer digits and has been tried */
    ++*last;
    if (strtod(text, NULL) == x) return 1;
    --*last;
    return 0;
}

/* The shortest digits that read back as x: digits[0] . digits[1..] * 10^*exponent. Works under any LC_NUMERIC, because the decimal
 * point is skipped whatever it is. Returns the number of digits. */
static int shortest_digits(double x, char digits[20], int *exponent)
{
    char text[40];
    for (int n = 1; n <= 17; n++) {
        (void)snprintf(text, sizeof text, "%.*e", n - 1, x);
        if (n == 17 || reads_back(text, x)) break;
    }
    int n_digits = 0;
    const char *c = text;
    for (; *c != 'e'; c++) {
        if (*c >= '0' && *c <= '9') digits[n_digits++] = *c;
    }
    *exponent = (int)strtol(c + 1, NULL, 10);
    return n_digits;
}

/* As Python's repr(): plain notation for exponents -4..15, and always a point or an exponent. */
static void put_real(lfm2__str *s, double x)
{
    char digits[20];
    int exponent;
    if (signbit(x)) lfm2__str_put(s, "-", 1);
    const int n = shortest_digits(fabs(x), digits, &exponent);
    if (exponent < -4 || exponent > 15) {
        lfm2__str_put(s, digits, 1);
        if (n > 1) lfm2__str_put(s, ".", 1);
        lfm2__str_put(s, digits + 1, (size_t)n - 1);
        lfm2__str_printf(s, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
    } else if (exponent < 0) {
        lfm2__str_put(s, "0.000", (size_t)(1 - exponent)); /* the zero, the point, -exponent-1 zeros */
        lfm2__str_put(s, digits, (size_t)n);
    } else {
        for (int i = 0; i <= exponent; i++) lfm2__str_put(s, i < n ? &digits[i] : "0", 1);
        lfm2__str_put(s, ".", 1);
        if (n > exponent + 1) {
            lfm2__str_put(s, digits + exponent + 1, (size_t)(n - exponent - 1));
        } else {
            lfm2__str_put(s, "0", 1);
        }
    }
}

/* Without an exponent where that is short, and whole numbers as integers. */
static void put_plain(lfm2__str *s, double x)
{
    char digits[20];
    int exponent;
    const int n = shortest_digits(fabs(x), digits, &exponent), whole = n <= exponent + 1;
    if (x == 0) {
        lfm2__str_put(s, "0", 1);
    } else if (exponent < -30 || exponent > 30 || (!whole && exponent >= -4)) {
        put_real(s, x);
    } else {
        lfm2__str_puts(s, x < 0 ? "-" : "");
        lfm2__str_puts(s, exponent < 0 ? "0." : "");
        for (int i = -1; i > exponent; i--) lfm2__str_put(s, "0", 1);
        lfm2__str_put(s, digits, (size_t)n);
        for (int i = n; i <= exponent; i++) lfm2__str_put(s, "0", 1);
    }
}

static void put_value(lfm2__str *s, const lfm2__json *v, int plain);

static void put_array(lfm2__str *s, const lfm2__json *v, int plain)
{
    lfm2__str_put(s, "[", 1);
    const size_t n = lfm2__json_size(v);
    for (size_t i = 0; i < n; i++) {
        if (i > 0) lfm2__str_put(s, ", ", 2);
        put_value(s, lfm2__json_at(v, i), plain);
    }
    lfm2__str_put(s, "]", 1);
}

static void put_object(lfm2__str *s, const lfm2__json *v, int plain)
{
    lfm2__str_put(s, "{", 1);
    const char *key;
    size_t key_n;
    const lfm2__json *val;
    int first = 1;
    for (void *it = NULL; lfm2__json_next(v, &it, &key, &key_n, &val); first = 0) {
        if (!first) lfm2__str_put(s, ", ", 2);
        lfm2__json_put_string(s, key, key_n);
        lfm2__str_put(s, ": ", 2);
        put_value(s, val, plain);
    }
    lfm2__str_put(s, "}", 1);
}

/* Recursion is bounded by the parser's: every value comes from a document. */
static void put_value(lfm2__str *s, const lfm2__json *v, int plain)
{
    size_t n = 0;
    const char *text;
    switch (lfm2__json_typeof(v)) {
    case LFM2__JSON_NULL: lfm2__str_puts(s, "null"); break;
    case LFM2__JSON_BOOL: lfm2__str_puts(s, lfm2__json_bool(v) ? "true" : "false"); break;
    case LFM2__JSON_INT: lfm2__str_printf(s, "%lld", (long long)lfm2__json_int(v)); break;
    case LFM2__JSON_REAL: (plain ? put_plain : put_real)(s, lfm2__json_number(v)); break;
    case LFM2__JSON_STRING:
        text = lfm2__json_str(v, &n);
        lfm2__json_put_string(s, text, n);
        break;
    case LFM2__JSON_ARRAY: put_array(s, v, plain); break;
    case LFM2__JSON_OBJECT: put_object(s, v, plain); break;
    }
}

void lfm2__json_put_plain(lfm2__str *s, const lfm2__json *v)
{
    put_value(s, v, 1);
}

int lfm2__json_dumps(lfm2_runtime *rt, const lfm2__json *v, char **out, size_t *out_n)
{
    lfm2__str s;
    lfm2__str_init(&s, rt);
    put_value(&s, v, 0);
    const int rc = lfm2__str_take(&s, out, out_n);
    return rc == 0 ? 0 : lfm2__fail(rt, rc, "JSON text: out of memory");
}
