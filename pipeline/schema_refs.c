/* SPDX-License-Identifier: Apache-2.0
 * References: the schemas of a document that have names ($id, $anchor), and from which of them each reference is read. */
#include "pipeline/schema.h"

#include <stdlib.h>
#include <string.h>

#include "base/runtime_impl.h"

enum { N_BUCKETS = 1024, MAX_URI = 2048 };

typedef struct resource { /* a schema with an $id, and the document itself */
    const char *uri;      /* absolute as far as that is known, without a fragment */
    const lfm2__json *schema;
    struct resource *rest;
} resource;

typedef struct anchor {
    const char *name;
    const resource *in;
    const lfm2__json *schema;
    struct anchor *rest;
} anchor;

typedef struct ref { /* a value that is a reference */
    const lfm2__json *value;
    const resource *in;
    struct ref *rest;
} ref;

struct references {
    resource *resources;
    anchor *anchors[N_BUCKETS];
    ref *refs[N_BUCKETS];
};

/* ---- Names ---- */

static size_t scheme_n(const char *s) /* with its ':'; 0 = none */
{
    size_t n = 0;
    if (!((s[0] | 32) >= 'a' && (s[0] | 32) <= 'z')) return 0;
    while ((s[n] >= '0' && s[n] <= '9') || ((s[n] | 32) >= 'a' && (s[n] | 32) <= 'z') || s[n] == '+' || s[n] == '-' || s[n] == '.')
        n++;
    return s[n] == ':' ? n + 1 : 0;
}

/* Up to the path: scheme and authority. */
static size_t root_n(const char *s)
{
    const size_t n = scheme_n(s);
    return s[n] == '/' && s[n + 1] == '/' ? n + 2 + strcspn(s + n + 2, "/?") : n;
}

/* "a/b/../c" and "a/./c": the dots go. */
static void remove_dots(char *path)
{
    char *out = path;
    for (const char *s = path; *s != 0;) {
        const size_t n = strcspn(s + 1, "/") + 1; /* a piece with the '/' before it */
        const int up = n == 3 && memcmp(s, "/..", 3) == 0, same = n == 2 && memcmp(s, "/.", 2) == 0;
        if (up) {
            while (out > path && *--out != '/') {}
        } else if (!same) {
            memmove(out, s, n);
            out += n;
        }
        s += n;
        if ((up || same) && *s == 0) *out++ = '/';
    }
    *out = 0;
}

/* A reference (its part before '#') as it is read within base; NULL after an error. */
static const char *join_uri(lfm2__schema *c, const char *base, const char *s)
{
    const size_t n = strcspn(s, "#"), n_base = strlen(base), n_root = root_n(base);
    size_t keep = 0;
    if (n + n_base > MAX_URI) {
        (void)lfm2__schema_fail(c, LFM2_ERR_LIMIT, c->root, "too long a name of a schema");
        return NULL;
    }
    if (n == 0) return base;
    char *out = lfm2__schema_alloc(c, n + n_base + 3);
    if (out == NULL) return NULL;
    if (scheme_n(s) == 0) {
        if (s[0] == '/' && s[1] == '/') keep = scheme_n(base);
        else if (s[0] == '/') keep = n_root;
        else {
            for (keep = n_base; keep > n_root && base[keep - 1] != '/'; keep--) {}
        }
    }
    memcpy(out, base, keep);
    if (keep > 0 && keep == n_root && s[0] != '/' && root_n(base) > scheme_n(base)) out[keep++] = '/';
    memcpy(out + keep, s, n);
    out[keep + n] = 0;
    if (out[root_n(out)] == '/') remove_dots(out + root_n(out));
    return out;
}

/* ---- Going through the document once ---- */

static size_t bucket_of(const void *p)
{
    return (size_t)(((uint64_t)(uintptr_t)p * 0x9e3779b97f4a7c15u) >> 40) % N_BUCKETS;
}

static size_t bucket_of_name(const char *s)
{
    uint32_t h = 2166136261u;
    while (*s != 0) h = (h ^ (unsigned char)*s++) * 16777619u;
    return (h ^ h >> 15) % N_BUCKETS;
}

static void add_anchor(lfm2__schema *c, const char *name, const resource *in, const lfm2__json *schema)
{
    anchor *a = lfm2__schema_alloc(c, sizeof(*a));
    if (a == NULL || name == NULL) return;
    anchor **at = &c->references->anchors[bucket_of_name(name)];
    *a = (anchor){name, in, schema, *at};
    *at = a;
}

static void add_ref(lfm2__schema *c, const lfm2__json *value, const resource *in)
{
    ref *r = value == NULL ? NULL : lfm2__schema_alloc(c, sizeof(*r));
    if (r == NULL) return;
    ref **at = &c->references->refs[bucket_of(value)];
    *r = (ref){value, in, *at};
    *at = r;
}

static const resource *add_resource(lfm2__schema *c, const char *uri, const lfm2__json *schema)
{
    resource *r = uri == NULL ? NULL : lfm2__schema_alloc(c, sizeof(*r));
    if (r == NULL) return NULL;
    *r = (resource){uri, schema, c->references->resources};
    c->references->resources = r;
    return r;
}

static void collect(lfm2__schema *c, const lfm2__json *v, const resource *in);

/* Schemas by names of any sort. */
static void collect_table(lfm2__schema *c, const lfm2__json *table, const resource *in)
{
    void *it = NULL;
    const char *key;
    size_t n;
    const lfm2__json *v;
    while (lfm2__json_next(table, &it, &key, &n, &v) && c->status == 0) collect(c, v, in);
}

/* Depth: that of the document, which is limited. */
static void collect(lfm2__schema *c, const lfm2__json *v, const resource *in)
{
    static const char *const tables[] = {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas",
                                         "dependencies"};
    void *it = NULL;
    const char *key;
    size_t n;
    const lfm2__json *inner;
    if (lfm2__json_typeof(v) == LFM2__JSON_ARRAY) {
        for (size_t i = 0; i < lfm2__json_size(v) && c->status == 0; i++) collect(c, lfm2__json_at(v, i), in);
        return;
    }
    const char *id = lfm2__json_str(lfm2__json_get(v, "$id"), NULL), *name = lfm2__json_str(lfm2__json_get(v, "$anchor"), NULL);
    const int is_only_ref = c->draft7 && lfm2__json_get(v, "$ref") != NULL; /* what stands beside it means nothing */
    if (id != NULL && id[0] == '#') add_anchor(c, id + 1, in, v);
    else if (id != NULL && !is_only_ref) in = add_resource(c, join_uri(c, in->uri, id), v);
    if (in == NULL) return;
    if (name != NULL) add_anchor(c, name, in, v);
    add_ref(c, lfm2__json_get(v, "$ref"), in);
    while (lfm2__json_next(v, &it, &key, &n, &inner) && c->status == 0) {
        int is_table = 0;
        if (strcmp(key, "enum") == 0 || strcmp(key, "const") == 0) continue;
        for (size_t i = 0; i < LFM2__COUNT_OF(tables); i++) is_table |= strcmp(key, tables[i]) == 0;
        if (is_table && lfm2__json_typeof(inner) == LFM2__JSON_OBJECT) collect_table(c, inner, in);
        else collect(c, inner, in);
    }
}

void lfm2__schema_collect_refs(lfm2__schema *c)
{
    c->references = lfm2__schema_alloc(c, sizeof(*c->references));
    const resource *whole = c->references == NULL ? NULL : add_resource(c, "", c->root);
    if (whole != NULL) collect(c, c->root, whole);
}

/* ---- Following one ---- */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* One step of a JSON pointer: its text, without escapes, into out. */
static size_t unescape(const char *s, size_t n, char *out)
{
    size_t n_plain = 0, m = 0;
    for (size_t i = 0; i < n; i++) {
        char ch = s[i];
        if (ch == '%' && i + 2 < n && hex_digit(s[i + 1]) >= 0 && hex_digit(s[i + 2]) >= 0) {
            ch = (char)(hex_digit(s[i + 1]) << 4 | hex_digit(s[i + 2]));
            i += 2;
        }
        out[n_plain++] = ch;
    }
    for (size_t i = 0; i < n_plain; i++) {
        if (out[i] == '~' && i + 1 < n_plain && (out[i + 1] == '0' || out[i + 1] == '1')) out[m++] = out[++i] == '0' ? '~' : '/';
        else out[m++] = out[i];
    }
    out[m] = 0;
    return m;
}

static const lfm2__json *follow_pointer(lfm2__schema *c, const char *s, const lfm2__json *v)
{
    while (*s == '/' && v != NULL) {
        const size_t n = strcspn(++s, "/");
        char *key = lfm2__schema_alloc(c, n + 1);
        if (key == NULL) return NULL;
        const size_t m = unescape(s, n, key);
        s += n;
        if (lfm2__json_typeof(v) == LFM2__JSON_ARRAY) {
            const int is_index = m > 0 && m < 10 && strspn(key, "0123456789") == m;
            v = is_index ? lfm2__json_at(v, (size_t)strtoul(key, NULL, 10)) : NULL;
        } else {
            v = lfm2__json_get(v, key);
        }
    }
    return *s == 0 ? v : NULL;
}

static const lfm2__json *find_anchor(lfm2__schema *c, const char *name, const resource *in)
{
    for (const anchor *a = c->references->anchors[bucket_of_name(name)]; a != NULL; a = a->rest) {
        if (a->in == in && strcmp(a->name, name) == 0) return a->schema;
    }
    return NULL;
}

const lfm2__json *lfm2__schema_resolve(lfm2__schema *c, const lfm2__json *value)
{
    const char *s = lfm2__json_str(value, NULL);
    const resource *in = NULL;
    if (c->status < 0) return NULL;
    if (s == NULL) {
        (void)lfm2__schema_fail(c, LFM2_ERR_FORMAT, value, "not a reference");
        return NULL;
    }
    for (const ref *r = c->references->refs[bucket_of(value)]; r != NULL && in == NULL; r = r->rest) {
        if (r->value == value) in = r->in;
    }
    const char *uri = in == NULL ? NULL : join_uri(c, in->uri, s);
    const resource *to = s[0] == '#' || s[0] == 0 ? in : uri == NULL ? NULL : c->references->resources;
    while (to != NULL && strcmp(to->uri, uri) != 0) to = to->rest;
    if (to == NULL) {
        (void)lfm2__schema_fail(c, LFM2_ERR_UNSUPPORTED, value, "a reference to another document");
        return NULL;
    }
    s += strcspn(s, "#");
    s += *s == '#';
    const lfm2__json *found = *s == '/' || *s == 0 ? follow_pointer(c, s, to->schema) : find_anchor(c, s, to);
    if (found == NULL) (void)lfm2__schema_fail(c, LFM2_ERR_FORMAT, value, "this reference leads nowhere");
    return found;
}
