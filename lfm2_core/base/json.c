/* SPDX-License-Identifier: Apache-2.0
 * JSON documents on top of jansson. Size, depth and number of values are checked by a linear scan first, so that what the parser
 * allocates and how deep it recurses is bounded by the limits.
 *
 * jansson keeps using malloc(): its allocator hook is process-wide, and the application may use jansson as well. */
#include "base/json.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mapfile.h"
#include "base/runtime_impl.h"
#include "base/str.h"

#define MAX_DEPTH 1000 /* below jansson's own limit, and safe to recurse over */

struct lfm2__json_doc {
    lfm2_runtime *rt;
    json_t *root;
};

/* lfm2__json is never defined: a pointer to one is a json_t pointer. */
static const json_t *of(const lfm2__json *v)
{
    return (const json_t *)(const void *)v;
}

static const lfm2__json *wrap(const json_t *v)
{
    return (const lfm2__json *)(const void *)v;
}

/* --- parsing --- */

/* Position behind the string that starts at text[i], the opening quote. */
static size_t skip_string(const char *text, size_t n, size_t i)
{
    for (i++; i < n && text[i] != '"'; i++) {
        if (text[i] == '\\') i++;
    }
    return i < n ? i + 1 : n;
}

static int ends_scalar(char c)
{
    return c == ',' || c == ']' || c == '}' || c == ':' || c == '"' || c == '[' || c == '{' || c == ' ' || c == '\t' || c == '\n' ||
           c == '\r';
}

/* Count values and measure depth without building anything. Malformed text is left to the parser: until it stops at the fault it
 * cannot have seen more than was counted here. */
static int check_limits(lfm2_runtime *rt, const char *label, const char *text, size_t n, const lfm2__json_limits *limits)
{
    if (n > limits->max_bytes) {
        return lfm2__fail(rt, LFM2_ERR_LIMIT, "%s: %zu bytes of JSON are over the limit of %zu", label, n, limits->max_bytes);
    }
    const int32_t max_depth = limits->max_depth < MAX_DEPTH ? limits->max_depth : MAX_DEPTH;
    size_t n_values = 0;
    int32_t depth = 0;
    for (size_t i = 0; i < n;) {
        const char c = text[i];
        if (c == '"') {
            n_values++;
            i = skip_string(text, n, i);
        } else if (c == '{' || c == '[') {
            n_values++;
            i++;
            if (++depth > max_depth) {
                return lfm2__fail(rt, LFM2_ERR_LIMIT, "%s: JSON is nested deeper than %d", label, (int)max_depth);
            }
        } else if (ends_scalar(c)) {
            i++;
            if ((c == '}' || c == ']') && depth > 0) depth--;
        } else {
            n_values++;
            while (i < n && !ends_scalar(text[i])) i++;
        }
        if (n_values > limits->max_values) {
            return lfm2__fail(rt, LFM2_ERR_LIMIT, "%s: JSON has more than %zu values", label, limits->max_values);
        }
    }
    return 0;
}

/* Our own words for what jansson found: its text quotes the document. */
static const char *describe(enum json_error_code code)
{
    switch (code) {
    case json_error_premature_end_of_input: return "ends early";
    case json_error_end_of_input_expected: return "something follows its end";
    case json_error_invalid_utf8: return "not valid UTF-8";
    case json_error_null_byte_in_key:
    case json_error_null_character: return "NUL in a string";
    case json_error_duplicate_key: return "duplicate key";
    case json_error_numeric_overflow: return "number out of range";
    default: return "syntax error";
    }
}

int lfm2__json_parse(lfm2_runtime *rt, const char *label, const char *text, size_t n, const lfm2__json_limits *limits,
                     lfm2__json_doc **out)
{
    const int rc = check_limits(rt, label, text, n, limits);
    if (rc < 0) return rc;
    lfm2__json_doc *doc = lfm2__alloc(rt, sizeof *doc);
    if (doc == NULL) return lfm2__fail(rt, LFM2_ERR_NOMEM, "%s: out of memory", label);
    doc->rt = rt;
    json_error_t error;
    errno = 0;
    doc->root = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (doc->root == NULL) {
        const int no_memory = errno == ENOMEM; /* jansson itself reports a failed allocation as a syntax error */
        lfm2__free(rt, doc);
        if (no_memory) return lfm2__fail(rt, LFM2_ERR_NOMEM, "%s: out of memory", label);
        return lfm2__fail(rt, LFM2_ERR_FORMAT, "%s:%d:%d: JSON: %s", label, error.line, error.column,
                          describe(json_error_code(&error)));
    }
    *out = doc;
    return 0;
}

int lfm2__json_load(lfm2_runtime *rt, const char *path, const lfm2__json_limits *limits, lfm2__json_doc **out)
{
    char *text;
    size_t n;
    int rc = lfm2__file_read(rt, path, limits->max_bytes, &text, &n);
    if (rc < 0) return rc;
    rc = lfm2__json_parse(rt, path, text, n, limits, out);
    lfm2__free(rt, text);
    return rc;
}

void lfm2__json_free(lfm2__json_doc *doc)
{
    if (doc == NULL) return;
    json_decref(doc->root);
    lfm2__free(doc->rt, doc);
}

const lfm2__json *lfm2__json_root(const lfm2__json_doc *doc)
{
    return wrap(doc->root);
}

/* --- reading --- */

lfm2__json_type lfm2__json_typeof(const lfm2__json *v)
{
    if (v == NULL) return LFM2__JSON_NULL;
    switch (json_typeof(of(v))) {
    case JSON_OBJECT: return LFM2__JSON_OBJECT;
    case JSON_ARRAY: return LFM2__JSON_ARRAY;
    case JSON_STRING: return LFM2__JSON_STRING;
    case JSON_INTEGER: return LFM2__JSON_INT;
    case JSON_REAL: return LFM2__JSON_REAL;
    case JSON_TRUE:
    case JSON_FALSE: return LFM2__JSON_BOOL;
    case JSON_NULL: break;
    }
    return LFM2__JSON_NULL;
}

const char *lfm2__json_type_name(const lfm2__json *v)
{
    static const char *const names[] = {"null", "boolean", "integer", "number", "string", "array", "object"};
    return names[lfm2__json_typeof(v)];
}

int64_t lfm2__json_int(const lfm2__json *v)
{
    return json_integer_value(of(v)); /* all of these give 0 for another type and for NULL */
}

double lfm2__json_number(const lfm2__json *v)
{
    return json_number_value(of(v));
}

int lfm2__json_bool(const lfm2__json *v)
{
    return json_is_true(of(v)) ? 1 : 0;
}

const char *lfm2__json_str(const lfm2__json *v, size_t *n)
{
    const char *s = json_string_value(of(v));
    if (s != NULL && n != NULL) *n = json_string_length(of(v));
    return s;
}

size_t lfm2__json_size(const lfm2__json *v)
{
    return json_is_object(of(v)) ? json_object_size(of(v)) : json_array_size(of(v));
}

const lfm2__json *lfm2__json_at(const lfm2__json *v, size_t i)
{
    return wrap(json_array_get(of(v), i));
}

const lfm2__json *lfm2__json_get(const lfm2__json *v, const char *k)
{
    return wrap(json_object_get(of(v), k));
}

int lfm2__json_next(const lfm2__json *obj, void **it, const char **key, size_t *key_n, const lfm2__json **val)
{
    json_t *o = (json_t *)(void *)(uintptr_t)obj; /* jansson's iterators want it non-const; nothing is changed */
    *it = *it == NULL ? json_object_iter(o) : json_object_iter_next(o, *it);
    if (*it == NULL) return 0;
    *key = json_object_iter_key(*it);
    if (key_n != NULL) *key_n = strlen(*key); /* no NUL can be in a key */
    *val = wrap(json_object_iter_value(*it));
    return 1;
}

int lfm2__json_field_int(lfm2_runtime *rt, const char *label, const lfm2__json *obj, const char *key, int64_t lo, int64_t hi,
                         int64_t *out)
{
    const lfm2__json *v = lfm2__json_get(obj, key);
    const lfm2__json_type type = lfm2__json_typeof(v);
    if (type == LFM2__JSON_NULL) return 0;
    if (type != LFM2__JSON_INT) {
        return lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: %s: is of type %s, not integer", label, key, lfm2__json_type_name(v));
    }
    const int64_t x = lfm2__json_int(v);
    if (x < lo || x > hi) {
        return lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: %s: %lld is not in %lld..%lld", label, key, (long long)x, (long long)lo,
                          (long long)hi);
    }
    *out = x;
    return 0;
}

int lfm2__json_field_number(lfm2_runtime *rt, const char *label, const lfm2__json *obj, const char *key, double lo, double hi,
                            double *out)
{
    const lfm2__json *v = lfm2__json_get(obj, key);
    const lfm2__json_type type = lfm2__json_typeof(v);
    if (type == LFM2__JSON_NULL) return 0;
    if (type != LFM2__JSON_INT && type != LFM2__JSON_REAL) {
        return lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: %s: is of type %s, not number", label, key, lfm2__json_type_name(v));
    }
    const double x = lfm2__json_number(v);
    if (!isfinite(x) || x < lo || x > hi) {
        return lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: %s: %g is not in %g..%g", label, key, x, lo, hi);
    }
    *out = x;
    return 0;
}

int lfm2__json_field_bool(lfm2_runtime *rt, const char *label, const lfm2__json *obj, const char *key, int *out)
{
    const lfm2__json *v = lfm2__json_get(obj, key);
    const lfm2__json_type type = lfm2__json_typeof(v);
    if (type == LFM2__JSON_NULL) return 0;
    if (type != LFM2__JSON_BOOL) {
        return lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: %s: is of type %s, not boolean", label, key, lfm2__json_type_name(v));
    }
    *out = lfm2__json_bool(v);
    return 0;
}

/* --- writing --- */

static void put_string(lfm2__str *s, const char *text, size_t n)
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

static void put_value(lfm2__str *s, const lfm2__json *v);

static void put_array(lfm2__str *s, const lfm2__json *v)
{
    lfm2__str_put(s, "[", 1);
    const size_t n = lfm2__json_size(v);
    for (size_t i = 0; i < n; i++) {
        if (i > 0) lfm2__str_put(s, ", ", 2);
        put_value(s, lfm2__json_at(v, i));
    }
    lfm2__str_put(s, "]", 1);
}

static void put_object(lfm2__str *s, const lfm2__json *v)
{
    lfm2__str_put(s, "{", 1);
    const char *key;
    size_t key_n;
    const lfm2__json *val;
    int first = 1;
    for (void *it = NULL; lfm2__json_next(v, &it, &key, &key_n, &val); first = 0) {
        if (!first) lfm2__str_put(s, ", ", 2);
        put_string(s, key, key_n);
        lfm2__str_put(s, ": ", 2);
        put_value(s, val);
    }
    lfm2__str_put(s, "}", 1);
}

/* Recursion is bounded by MAX_DEPTH: every value comes from a parsed document. */
static void put_value(lfm2__str *s, const lfm2__json *v)
{
    size_t n = 0;
    const char *text;
    switch (lfm2__json_typeof(v)) {
    case LFM2__JSON_NULL: lfm2__str_puts(s, "null"); break;
    case LFM2__JSON_BOOL: lfm2__str_puts(s, lfm2__json_bool(v) ? "true" : "false"); break;
    case LFM2__JSON_INT: lfm2__str_printf(s, "%lld", (long long)lfm2__json_int(v)); break;
    case LFM2__JSON_REAL: put_real(s, lfm2__json_number(v)); break;
    case LFM2__JSON_STRING:
        text = lfm2__json_str(v, &n);
        put_string(s, text, n);
        break;
    case LFM2__JSON_ARRAY: put_array(s, v); break;
    case LFM2__JSON_OBJECT: put_object(s, v); break;
    }
}

int lfm2__json_dumps(lfm2_runtime *rt, const lfm2__json *v, char **out, size_t *out_n)
{
    lfm2__str s;
    lfm2__str_init(&s, rt);
    put_value(&s, v);
    return lfm2__str_take(&s, out, out_n);
}
