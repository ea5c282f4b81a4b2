/* SPDX-License-Identifier: Apache-2.0
 * Tokens of JSON text. */
#include "base/json_lex.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/runtime_impl.h"
#include "base/utf8.h"

int lfm2__json_lex_fail_at(lfm2__json_lexer *lex, size_t at, const char *what)
{
    size_t line = 1, line_start = 0;
    for (size_t i = 0; i < at; i++) {
        if (lex->text[i] == '\n') {
            line++;
            line_start = i + 1;
        }
    }
    return lfm2__fail(lex->rt, LFM2_ERR_FORMAT, "%s:%zu:%zu: JSON: %s", lex->label, line, at - line_start + 1, what);
}

int lfm2__json_lex_fail(lfm2__json_lexer *lex)
{
    return lfm2__json_lex_fail_at(lex, lex->at, lex->at < lex->n ? "syntax error" : "ends early");
}

int lfm2__json_lex_nomem(lfm2__json_lexer *lex)
{
    return lfm2__fail(lex->rt, LFM2_ERR_NOMEM, "%s: out of memory", lex->label);
}

char lfm2__json_lex_peek(lfm2__json_lexer *lex)
{
    while (lex->at < lex->n) {
        const char c = lex->text[lex->at];
        if (c != ' ' && c != '\n' && c != '\t' && c != '\r') return c;
        lex->at++;
    }
    return '\0';
}

/* Consume bytes of a string up to a quote or a backslash. */
static int skip_plain(lfm2__json_lexer *lex)
{
    uint32_t code_point;
    while (lex->at < lex->n) {
        const unsigned char c = (unsigned char)lex->text[lex->at];
        if (c == '"' || c == '\\') return 0;
        if (c < 0x20) return lfm2__json_lex_fail_at(lex, lex->at, c == 0 ? "NUL in a string" : "control character in a string");
        const size_t length = c < 0x80 ? 1 : lfm2__utf8_decode(lex->text + lex->at, lex->n - lex->at, &code_point);
        if (length == 0) return lfm2__json_lex_fail_at(lex, lex->at, "not valid UTF-8");
        lex->at += length;
    }
    return lfm2__json_lex_fail(lex);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Four hexadecimal digits; -1 if they are not there. */
static int32_t hex4(const lfm2__json_lexer *lex, size_t at)
{
    int32_t value = 0;
    if (lex->n - at < 4) return -1;
    for (size_t i = at; i < at + 4; i++) {
        const int digit = hex_digit(lex->text[i]);
        if (digit < 0) return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* \uXXXX, lex->at behind the u; a surrogate needs its other half. */
static int read_unicode_escape(lfm2__json_lexer *lex)
{
    int32_t c = lex->at < lex->n ? hex4(lex, lex->at) : -1;
    if (c < 0) return lfm2__json_lex_fail(lex);
    if (c == 0) return lfm2__json_lex_fail_at(lex, lex->at, "NUL in a string");
    lex->at += 4;
    if (c >= 0xd800 && c <= 0xdfff) {
        const int has_more = c < 0xdc00 && lex->n - lex->at >= 6 && lex->text[lex->at] == '\\' && lex->text[lex->at + 1] == 'u';
        const int32_t low = has_more ? hex4(lex, lex->at + 2) : -1;
        if (low < 0xdc00 || low > 0xdfff) return lfm2__json_lex_fail_at(lex, lex->at, "half of a surrogate pair");
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        lex->at += 6;
    }
    char bytes[4];
    lfm2__str_put(&lex->scratch, bytes, lfm2__utf8_encode((uint32_t)c, bytes));
    return 0;
}

/* What follows a backslash. */
static int read_escape(lfm2__json_lexer *lex)
{
    static const char names[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
    if (lex->at >= lex->n) return lfm2__json_lex_fail(lex);
    const char c = lex->text[lex->at];
    const char *name = c == '\0' ? NULL : strchr(names, c);
    if (c != 'u' && name == NULL) return lfm2__json_lex_fail(lex);
    lex->at++;
    if (c == 'u') return read_unicode_escape(lex);
    lfm2__str_put(&lex->scratch, &bytes[name - names], 1);
    return 0;
}

int lfm2__json_lex_string(lfm2__json_lexer *lex, const char **data, size_t *n)
{
    size_t from = ++lex->at;
    int rc = skip_plain(lex);
    if (rc < 0) return rc;
    if (lex->text[lex->at] == '"') {
        *data = lex->text + from;
        *n = lex->at++ - from;
        return 0;
    }
    lex->scratch.n = 0;
    for (;;) {
        lfm2__str_put(&lex->scratch, lex->text + from, lex->at - from);
        if (lex->text[lex->at++] == '"') break;
        rc = read_escape(lex);
        if (rc < 0) return rc;
        from = lex->at;
        rc = skip_plain(lex);
        if (rc < 0) return rc;
    }
    if (lex->scratch.status < 0) return lfm2__json_lex_nomem(lex);
    *data = lex->scratch.data;
    *n = lex->scratch.n;
    return 0;
}

static size_t skip_digits(const lfm2__json_lexer *lex, size_t at)
{
    while (at < lex->n && lex->text[at] >= '0' && lex->text[at] <= '9') at++;
    return at;
}

/* Position behind a number that starts at lex->at, or lex->at and a fault position in *bad. */
static size_t scan_number(const lfm2__json_lexer *lex, int *is_real, size_t *bad)
{
    size_t at = lex->at, start;
    *is_real = 0;
    if (lex->text[at] == '-') at++;
    start = at;
    at = at < lex->n && lex->text[at] == '0' ? at + 1 : skip_digits(lex, at);
    if (at == start) goto fail;
    if (at < lex->n && lex->text[at] == '.') {
        *is_real = 1;
        start = ++at;
        at = skip_digits(lex, at);
        if (at == start) goto fail;
    }
    if (at < lex->n && (lex->text[at] == 'e' || lex->text[at] == 'E')) {
        *is_real = 1;
        at++;
        if (at < lex->n && (lex->text[at] == '+' || lex->text[at] == '-')) at++;
        start = at;
        at = skip_digits(lex, at);
        if (at == start) goto fail;
    }
    return at;

fail:
    *bad = at;
    return lex->at;
}

/* strtod() wants the decimal point of the program's locale; how that looks is seen in what printf() writes. */
static int read_real(lfm2__json_lexer *lex, size_t end, double *out)
{
    char sample[16];
    (void)snprintf(sample, sizeof sample, "%.1f", 0.5);
    lex->scratch.n = 0;
    const char *from = lex->text + lex->at, *point = memchr(from, '.', end - lex->at);
    if (point != NULL) {
        lfm2__str_put(&lex->scratch, from, (size_t)(point - from));
        lfm2__str_put(&lex->scratch, sample + 1, strlen(sample) - 2); /* between the 0 and the 5 */
        from = point + 1;
    }
    lfm2__str_put(&lex->scratch, from, (size_t)(lex->text + end - from));
    if (lex->scratch.status < 0) return lfm2__json_lex_nomem(lex);
    *out = strtod(lex->scratch.data, NULL);
    return 0;
}

/* Returns -1 if it does not fit. */
static int read_integer(const char *text, size_t n, int64_t *out)
{
    const int negative = text[0] == '-';
    int64_t x = 0; /* negative, because that range is larger by one */
    for (size_t i = (size_t)negative; i < n; i++) {
        const int digit = text[i] - '0';
        if (x < (INT64_MIN + digit) / 10) return -1;
        x = x * 10 - digit;
    }
    if (!negative && x == INT64_MIN) return -1;
    *out = negative ? x : -x;
    return 0;
}

int lfm2__json_lex_number(lfm2__json_lexer *lex, int always_real, int *is_real, int64_t *integer, double *real)
{
    size_t bad = 0;
    int has_fraction;
    const size_t end = scan_number(lex, &has_fraction, &bad);
    if (end == lex->at) {
        lex->at = bad;
        return lfm2__json_lex_fail(lex);
    }
    double x = 0;
    int64_t i = 0;
    const int real_wanted = has_fraction || always_real;
    const int rc = real_wanted ? read_real(lex, end, &x) : 0;
    if (rc < 0) return rc;
    if (real_wanted ? !isfinite(x) : read_integer(lex->text + lex->at, end - lex->at, &i) < 0) {
        return lfm2__json_lex_fail_at(lex, lex->at, "number out of range");
    }
    lex->at = end;
    *is_real = real_wanted;
    *integer = i;
    *real = x;
    return 0;
}
