/* SPDX-License-Identifier: Apache-2.0
 * Values that the document itself gives, in "enum" and "const": whether they meet a schema, and how they are written. */
#include "pipeline/schema.h"

#include <math.h>
#include <string.h>

#include "base/runtime_impl.h"
#include "base/utf8.h"

enum { MAX_DEPTH = 200 };

static int is_number(const lfm2__json *v)
{
    return lfm2__json_typeof(v) == LFM2__JSON_INT || lfm2__json_typeof(v) == LFM2__JSON_REAL;
}

int lfm2__json_equal(const lfm2__json *a, const lfm2__json *b)
{
    const lfm2__json_type type = lfm2__json_typeof(a);
    if (is_number(a) && is_number(b)) {
        if (type == LFM2__JSON_INT && lfm2__json_typeof(b) == LFM2__JSON_INT) return lfm2__json_int(a) == lfm2__json_int(b);
        return lfm2__json_number(a) == lfm2__json_number(b);
    }
    if (type != lfm2__json_typeof(b)) return 0;
    if (type == LFM2__JSON_BOOL) return lfm2__json_bool(a) == lfm2__json_bool(b);
    if (type == LFM2__JSON_STRING) {
        size_t n = 0, m = 0;
        const char *s = lfm2__json_str(a, &n), *t = lfm2__json_str(b, &m);
        return n == m && memcmp(s, t, n) == 0;
    }
    if (lfm2__json_size(a) != lfm2__json_size(b)) return 0;
    if (type == LFM2__JSON_ARRAY) {
        for (size_t i = 0; i < lfm2__json_size(a); i++) {
            if (!lfm2__json_equal(lfm2__json_at(a, i), lfm2__json_at(b, i))) return 0;
        }
    }
    if (type == LFM2__JSON_OBJECT) {
        void *it = NULL;
        const char *key;
        size_t n;
        const lfm2__json *v;
        while (lfm2__json_next(a, &it, &key, &n, &v)) {
            const lfm2__json *other = lfm2__json_get(b, key);
            if (other == NULL || !lfm2__json_equal(v, other)) return 0;
        }
    }
    return 1;
}

void lfm2__schema_text(lfm2__schema *c, const lfm2__json *value, lfm2__text *out)
{
    lfm2__str s;
    lfm2__str_init(&s, c->rt);
    lfm2__json_put_plain(&s, value);
    if (s.status < 0 && c->status == 0) c->status = s.status;
    char *text = c->status < 0 ? NULL : lfm2__schema_alloc(c, s.n + 1);
    if (text != NULL) {
        memcpy(text, s.data, s.n);
        *out = (lfm2__text){text, s.n};
    }
    lfm2__str_fini(&s);
}

/* ---- Whether a value meets a schema ---- */

static int meets(lfm2__schema *c, const lfm2__json *v, const lfm2__json *schema, int depth);

static int has_type(const lfm2__json *v, const char *name)
{
    switch (lfm2__json_typeof(v)) {
    case LFM2__JSON_NULL: return strcmp(name, "null") == 0;
    case LFM2__JSON_BOOL: return strcmp(name, "boolean") == 0;
    case LFM2__JSON_INT: return strcmp(name, "integer") == 0 || strcmp(name, "number") == 0;
    case LFM2__JSON_REAL: {
        const double d = lfm2__json_number(v);
        return strcmp(name, "number") == 0 || (strcmp(name, "integer") == 0 && d == floor(d));
    }
    case LFM2__JSON_STRING: return strcmp(name, "string") == 0;
    case LFM2__JSON_ARRAY: return strcmp(name, "array") == 0;
    default: return strcmp(name, "object") == 0;
    }
}

static int meets_type(const lfm2__json *v, const lfm2__json *type)
{
    const char *name = lfm2__json_str(type, NULL);
    if (name != NULL) return has_type(v, name);
    for (size_t i = 0; i < lfm2__json_size(type); i++) {
        name = lfm2__json_str(lfm2__json_at(type, i), NULL);
        if (name != NULL && has_type(v, name)) return 1;
    }
    return 0;
}

static int is_one_of(lfm2__schema *c, const lfm2__json *v, const lfm2__json *values)
{
    if (values == c->taken_from && v == c->taken) return 1;
    lfm2__schema_work(c, 4 * (int64_t)lfm2__json_size(values)); /* a comparison costs more than most steps */
    for (size_t i = 0; i < lfm2__json_size(values); i++) {
        if (lfm2__json_equal(v, lfm2__json_at(values, i))) return 1;
    }
    return 0;
}

static int meets_numbers(lfm2__schema *c, const lfm2__json *v, const lfm2__json *schema)
{
    const double d = lfm2__json_number(v);
    const lfm2__json *k;
    (void)c;
    if ((k = lfm2__json_get(schema, "minimum")) != NULL && d < lfm2__json_number(k)) return 0;
    if ((k = lfm2__json_get(schema, "maximum")) != NULL && d > lfm2__json_number(k)) return 0;
    if (is_number(k = lfm2__json_get(schema, "exclusiveMinimum")) && d <= lfm2__json_number(k)) return 0;
    if (is_number(k = lfm2__json_get(schema, "exclusiveMaximum")) && d >= lfm2__json_number(k)) return 0;
    if ((k = lfm2__json_get(schema, "multipleOf")) != NULL) {
        const double of = lfm2__json_number(k);
        if (lfm2__json_typeof(v) == LFM2__JSON_INT && lfm2__json_typeof(k) == LFM2__JSON_INT && lfm2__json_int(k) > 0) {
            return lfm2__json_int(v) % lfm2__json_int(k) == 0;
        }
        const double q = of > 0 ? d / of : 0.5;
        return fabs(q - nearbyint(q)) <= 1e-9 * (fabs(q) > 1 ? fabs(q) : 1);
    }
    return 1;
}

static int64_t n_code_points(const char *s, size_t n)
{
    int64_t count = 0;
    for (size_t i = 0; i < n; i++) count += ((unsigned char)s[i] & 0xc0) != 0x80;
    return count;
}

static int meets_strings(lfm2__schema *c, const char *s, size_t n, const lfm2__json *schema)
{
    const double len = (double)n_code_points(s, n);
    const lfm2__json *k;
    if ((k = lfm2__json_get(schema, "minLength")) != NULL && len < lfm2__json_number(k)) return 0;
    if ((k = lfm2__json_get(schema, "maxLength")) != NULL && len > lfm2__json_number(k)) return 0;
    if ((k = lfm2__json_get(schema, "pattern")) != NULL) {
        size_t m = 0;
        const char *pattern = lfm2__json_str(k, &m);
        const lfm2__dfa *d = lfm2__schema_pattern(c, k, pattern, m);
        if (d != NULL && !lfm2__dfa_accepts(d, s, n)) return 0;
    }
    if ((k = lfm2__json_get(schema, "format")) != NULL) {
        const lfm2__dfa *d = lfm2__strings_format(c, k);
        if (d != NULL && !lfm2__dfa_accepts(d, s, n)) return 0;
    }
    return 1;
}

static int meets_array(lfm2__schema *c, const lfm2__json *v, const lfm2__json *schema, int depth)
{
    const size_t n = lfm2__json_size(v);
    const lfm2__json *k, *others = lfm2__schema_other_items(schema),
    *prefix = c->draft7 ? NULL : lfm2__json_get(schema, "prefixItems");
    if (lfm2__json_typeof(others) == LFM2__JSON_ARRAY) {
        prefix = others;
        others = lfm2__json_get(schema, "additionalItems");
    }
    if ((k = lfm2__json_get(schema, "minItems")) != NULL && (double)n < lfm2__json_number(k)) return 0;
    if ((k = lfm2__json_get(schema, "maxItems")) != NULL && (double)n > lfm2__json_number(k)) return 0;
    for (size_t i = 0; i < n; i++) {
        const lfm2__json *item = i < lfm2__json_size(prefix) ? lfm2__json_at(prefix, i) : others;
        if (item != NULL && !meets(c, lfm2__json_at(v, i), item, depth)) return 0;
    }
    if (lfm2__json_bool(lfm2__json_get(schema, "uniqueItems"))) {
        for (size_t i = 0; i < n; i++) {
            for (size_t j = 0; j < i; j++) {
                if (lfm2__json_equal(lfm2__json_at(v, i), lfm2__json_at(v, j))) return 0;
            }
        }
    }
    if ((k = lfm2__json_get(schema, "contains")) != NULL) {
        const lfm2__json *min = c->draft7 ? NULL : lfm2__json_get(schema, "minContains"),
        *max = c->draft7 ? NULL : lfm2__json_get(schema, "maxContains");
        double count = 0;
        for (size_t i = 0; i < n; i++) count += meets(c, lfm2__json_at(v, i), k, depth);
        if (count < (min == NULL ? 1 : lfm2__json_number(min)) || (max != NULL && count > lfm2__json_number(max))) return 0;
    }
    return 1;
}

static int meets_dependencies(lfm2__schema *c, const lfm2__json *v, const lfm2__json *table, int depth)
{
    void *it = NULL;
    const char *key;
    size_t n;
    const lfm2__json *needs;
    while (lfm2__json_next(table, &it, &key, &n, &needs)) {
        if (lfm2__json_get(v, key) == NULL) continue;
        if (lfm2__json_typeof(needs) != LFM2__JSON_ARRAY) {
            if (!meets(c, v, needs, depth)) return 0;
            continue;
        }
        for (size_t i = 0; i < lfm2__json_size(needs); i++) {
            const char *other = lfm2__json_str(lfm2__json_at(needs, i), NULL);
            if (other == NULL || lfm2__json_get(v, other) == NULL) return 0;
        }
    }
    return 1;
}

/* One property against properties, patternProperties and additionalProperties. */
static int meets_property(lfm2__schema *c, const char *key, size_t n, const lfm2__json *value, const lfm2__json *schema, int depth)
{
    const lfm2__json *own = lfm2__json_get(lfm2__json_get(schema, "properties"), key);
    const lfm2__json *patterns = lfm2__json_get(schema, "patternProperties"), *others = lfm2__schema_other_properties(schema);
    int known = own != NULL;
    if (own != NULL && !meets(c, value, own, depth)) return 0;
    void *it = NULL;
    const char *pattern;
    size_t m;
    const lfm2__json *inner;
    while (lfm2__json_next(patterns, &it, &pattern, &m, &inner)) {
        const lfm2__dfa *d = lfm2__schema_pattern(c, inner, pattern, m);
        if (d == NULL || !lfm2__dfa_accepts(d, key, n)) continue;
        known = 1;
        if (!meets(c, value, inner, depth)) return 0;
    }
    return known || others == NULL || meets(c, value, others, depth);
}

static int meets_object(lfm2__schema *c, const lfm2__json *v, const lfm2__json *schema, int depth)
{
    const size_t n_keys = lfm2__json_size(v);
    const lfm2__json *k, *names = lfm2__json_get(schema, "propertyNames"), *required = lfm2__json_get(schema, "required");
    void *it = NULL;
    const char *key;
    size_t n;
    const lfm2__json *value;
    if ((k = lfm2__json_get(schema, "minProperties")) != NULL && (double)n_keys < lfm2__json_number(k)) return 0;
    if ((k = lfm2__json_get(schema, "maxProperties")) != NULL && (double)n_keys > lfm2__json_number(k)) return 0;
    for (size_t i = 0; i < lfm2__json_size(required); i++) {
        key = lfm2__json_str(lfm2__json_at(required, i), NULL);
        if (key == NULL || lfm2__json_get(v, key) == NULL) return 0;
    }
    if (names != NULL && n_keys > 0) {
        (void)lfm2__schema_fail(c, LFM2_ERR_UNSUPPORTED, names, "propertyNames beside an object that is given");
        return 0;
    }
    while (lfm2__json_next(v, &it, &key, &n, &value)) {
        if (!meets_property(c, key, n, value, schema, depth)) return 0;
    }
    return meets_dependencies(c, v, lfm2__json_get(schema, "dependentRequired"), depth) &&
           meets_dependencies(c, v, lfm2__json_get(schema, "dependentSchemas"), depth) &&
           meets_dependencies(c, v, lfm2__json_get(schema, "dependencies"), depth);
}

static size_t n_met(lfm2__schema *c, const lfm2__json *v, const lfm2__json *list, int depth)
{
    size_t count = 0;
    for (size_t i = 0; i < lfm2__json_size(list); i++) count += (size_t)meets(c, v, lfm2__json_at(list, i), depth);
    return count;
}

static int meets_parts(lfm2__schema *c, const lfm2__json *v, const lfm2__json *schema, int depth)
{
    const lfm2__json *k;
    if ((k = lfm2__json_get(schema, "allOf")) != NULL && n_met(c, v, k, depth) != lfm2__json_size(k)) return 0;
    if ((k = lfm2__json_get(schema, "anyOf")) != NULL && n_met(c, v, k, depth) == 0) return 0;
    if ((k = lfm2__json_get(schema, "oneOf")) != NULL && n_met(c, v, k, depth) != 1) return 0;
    if ((k = lfm2__json_get(schema, "not")) != NULL && meets(c, v, k, depth)) return 0;
    if ((k = lfm2__json_get(schema, "if")) != NULL) {
        k = lfm2__json_get(schema, meets(c, v, k, depth) ? "then" : "else");
        if (k != NULL && !meets(c, v, k, depth)) return 0;
    }
    return 1;
}

static int meets(lfm2__schema *c, const lfm2__json *v, const lfm2__json *schema, int depth)
{
    const lfm2__json *k;
    size_t n = 0;
    lfm2__schema_work(c, 10);
    if (c->status < 0) return 0;
    if (++depth > MAX_DEPTH) {
        (void)lfm2__schema_fail(c, LFM2_ERR_LIMIT, schema, "nested too deeply");
        return 0;
    }
    if (lfm2__json_typeof(schema) == LFM2__JSON_BOOL) return lfm2__json_bool(schema);
    if (lfm2__json_typeof(schema) != LFM2__JSON_OBJECT) {
        (void)lfm2__schema_fail(c, LFM2_ERR_FORMAT, schema, "not a schema");
        return 0;
    }
    if ((k = lfm2__json_get(schema, "$ref")) != NULL) {
        const lfm2__json *to = lfm2__schema_resolve(c, k);
        if (to == NULL || !meets(c, v, to, depth)) return 0;
        if (c->draft7) return 1;
    }
    if ((k = lfm2__json_get(schema, "type")) != NULL && !meets_type(v, k)) return 0;
    if ((k = lfm2__json_get(schema, "enum")) != NULL && !is_one_of(c, v, k)) return 0;
    if ((k = lfm2__json_get(schema, "const")) != NULL && !lfm2__json_equal(v, k)) return 0;
    if (is_number(v) && !meets_numbers(c, v, schema)) return 0;
    const char *text = lfm2__json_str(v, &n);
    if (text != NULL && !meets_strings(c, text, n, schema)) return 0;
    if (lfm2__json_typeof(v) == LFM2__JSON_ARRAY && !meets_array(c, v, schema, depth)) return 0;
    if (lfm2__json_typeof(v) == LFM2__JSON_OBJECT && !meets_object(c, v, schema, depth)) return 0;
    return meets_parts(c, v, schema, depth);
}

int lfm2__schema_meets(lfm2__schema *c, const lfm2__json *value, lfm2__literal lit)
{
    c->taken = value;
    const int met = meets(c, value, lit.schema, 0);
    if (c->status < 0) return -1;
    return met != (lit.negated != 0);
}
