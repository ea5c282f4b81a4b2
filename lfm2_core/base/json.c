/* SPDX-License-Identifier: Apache-2.0
 * JSON documents: our parser, which builds a tree of jansson's values, and reading from that tree.
 *
 * The parser is ours because jansson's (2.14) does not survive failed allocations: when the buffer of the token it is reading
 * cannot grow, it drops the byte and later runs past the end of the buffer. It also counts nothing, while here the limits on size,
 * depth and number of values bound what is allocated and how deep is recursed.
 *
 * jansson keeps using malloc(): its allocator hook is process-wide, and the application may use jansson as well. */
#include "base/json.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/json_lex.h"
#include "base/mapfile.h"
#include "base/runtime_impl.h"

#define MAX_DEPTH 1000 /* safe to recurse over */

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

typedef struct parser {
    lfm2__json_lexer lex;
    const lfm2__json_limits *limits;
    size_t n_values; /* so far, keys included */
    int32_t depth;   /* open arrays and objects */
} parser;

static int count_value(parser *p)
{
    if (++p->n_values <= p->limits->max_values) return 0;
    return lfm2__fail(p->lex.rt, LFM2_ERR_LIMIT, "%s: JSON has more than %zu values", p->lex.label, p->limits->max_values);
}

static int parse_number(parser *p, json_t **out)
{
    int is_real = 0;
    int64_t integer = 0;
    double real = 0;
    const int rc = lfm2__json_lex_number(&p->lex, p->limits->ints_as_reals, &is_real, &integer, &real);
    if (rc < 0) return rc;
    *out = is_real ? json_real(real) : json_integer(integer);
    return *out != NULL ? 0 : lfm2__json_lex_nomem(&p->lex);
}

static int parse_word(parser *p, const char *word, json_t *value, json_t **out)
{
    for (; *word != '\0'; word++, p->lex.at++) {
        if (p->lex.at >= p->lex.n || p->lex.text[p->lex.at] != *word) return lfm2__json_lex_fail(&p->lex);
    }
    *out = value; /* one of the three constants, which are not counted */
    return 0;
}

static int parse_value(parser *p, json_t **out);

/* Consume an opening bracket. */
static int enter(parser *p)
{
    const int32_t max_depth = p->limits->max_depth < MAX_DEPTH ? p->limits->max_depth : MAX_DEPTH;
    if (p->depth >= max_depth) {
        return lfm2__fail(p->lex.rt, LFM2_ERR_LIMIT, "%s: JSON is nested deeper than %d", p->lex.label, (int)max_depth);
    }
    p->depth++;
    p->lex.at++;
    return 0;
}

/* Behind an element: 1 if another one follows, 0 if the container ends here, or an error. */
static int has_next(parser *p, char closing)
{
    const char c = lfm2__json_lex_peek(&p->lex);
    if (c != ',' && c != closing) return lfm2__json_lex_fail(&p->lex);
    p->lex.at++;
    if (c == closing) p->depth--;
    return c == ',';
}

static int parse_array(parser *p, json_t **out)
{
    int rc = enter(p);
    if (rc < 0) return rc;
    json_t *array = json_array();
    if (array == NULL) return lfm2__json_lex_nomem(&p->lex);
    rc = lfm2__json_lex_peek(&p->lex) == ']' ? has_next(p, ']') : 1;
    while (rc == 1) {
        json_t *value = NULL;
        rc = parse_value(p, &value);
        /* json_..._new() takes the value in any case. */
        if (rc == 0 && json_array_append_new(array, value) != 0) rc = lfm2__json_lex_nomem(&p->lex);
        if (rc == 0) rc = has_next(p, ']');
    }
    if (rc < 0) {
        json_decref(array);
        return rc;
    }
    *out = array;
    return 0;
}

/* "key": value */
static int parse_member(parser *p, json_t *object)
{
    const char *data;
    size_t n;
    if (lfm2__json_lex_peek(&p->lex) != '"') return lfm2__json_lex_fail(&p->lex);
    const size_t key_at = p->lex.at;
    int rc = count_value(p);
    if (rc == 0) rc = lfm2__json_lex_string(&p->lex, &data, &n);
    if (rc < 0) return rc;
    char *key = lfm2__strndup(p->lex.rt, data, n);
    if (key == NULL) return lfm2__json_lex_nomem(&p->lex);
    json_t *value = NULL;
    if (json_object_get(object, key) != NULL) {
        rc = lfm2__json_lex_fail_at(&p->lex, key_at, "duplicate key");
    } else if (lfm2__json_lex_peek(&p->lex) != ':') {
        rc = lfm2__json_lex_fail(&p->lex);
    } else {
        p->lex.at++;
        rc = parse_value(p, &value);
    }
    if (rc == 0 && json_object_set_new_nocheck(object, key, value) != 0) rc = lfm2__json_lex_nomem(&p->lex);
    lfm2__free(p->lex.rt, key);
    return rc;
}

static int parse_object(parser *p, json_t **out)
{
    int rc = enter(p);
    if (rc < 0) return rc;
    json_t *object = json_object();
    if (object == NULL) return lfm2__json_lex_nomem(&p->lex);
    rc = lfm2__json_lex_peek(&p->lex) == '}' ? has_next(p, '}') : 1;
    while (rc == 1) {
        rc = parse_member(p, object);
        if (rc == 0) rc = has_next(p, '}');
    }
    if (rc < 0) {
        json_decref(object);
        return rc;
    }
    *out = object;
    return 0;
}

static int parse_value(parser *p, json_t **out)
{
    const char *data;
    size_t n;
    const char c = lfm2__json_lex_peek(&p->lex);
    int rc = count_value(p);
    if (rc < 0) return rc;
    switch (c) {
    case '{': return parse_object(p, out);
    case '[': return parse_array(p, out);
    case 't': return parse_word(p, "true", json_true(), out);
    case 'f': return parse_word(p, "false", json_false(), out);
    case 'n': return parse_word(p, "null", json_null(), out);
    case '"':
        rc = lfm2__json_lex_string(&p->lex, &data, &n);
        if (rc < 0) return rc;
        *out = json_stringn_nocheck(data, n);
        return *out != NULL ? 0 : lfm2__json_lex_nomem(&p->lex);
    default: return c == '-' || (c >= '0' && c <= '9') ? parse_number(p, out) : lfm2__json_lex_fail(&p->lex);
    }
}

int lfm2__json_parse(lfm2_runtime *rt, const char *label, const char *text, size_t n, const lfm2__json_limits *limits,
                     lfm2__json_doc **out)
{
    if (n > limits->max_bytes) {
        return lfm2__fail(rt, LFM2_ERR_LIMIT, "%s: %zu bytes of JSON are over the limit of %zu", label, n, limits->max_bytes);
    }
    parser p = {.lex = {.rt = rt, .label = label, .text = text, .n = n}, .limits = limits};
    lfm2__str_init(&p.lex.scratch, rt);
    json_t *root = NULL;
    lfm2__json_doc *doc = lfm2__alloc(rt, sizeof *doc);
    int rc = doc == NULL ? lfm2__json_lex_nomem(&p.lex) : parse_value(&p, &root);
    if (rc == 0) {
        (void)lfm2__json_lex_peek(&p.lex); /* white space may follow */
        if (p.lex.at < n) rc = lfm2__json_lex_fail_at(&p.lex, p.lex.at, "something follows its end");
    }
    lfm2__str_fini(&p.lex.scratch);
    if (rc < 0) {
        json_decref(root);
        lfm2__free(rt, doc);
        return rc;
    }
    doc->rt = rt;
    doc->root = root;
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
