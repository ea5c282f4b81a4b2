/* SPDX-License-Identifier: Apache-2.0
 * safetensors reader: u64 header length, JSON header, data. As in the reference reader, the tensors must fill the data
 * exactly, without gap or overlap. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/runtime_impl.h"
#include "weights/container.h"

#define MAX_DEPTH 8 /* three are used: header, tensor, list */
/* name, object, three keys, dtype, two lists, dimensions, two offsets */
#define MAX_VALUES_PER_TENSOR (8 + LFM2_MAX_DIMS + 2)
#define MAX_METADATA_VALUES 65536

typedef struct source {
    lfm2_runtime *rt;
    const char *label;
    const unsigned char *data; /* first byte behind the header */
    size_t data_n;
} source;

static int bad(const source *s, int status, const char *name, const char *field, const char *why)
{
    return lfm2__fail(s->rt, status, "%s: tensor %s: %s: %s", s->label, name, field, why);
}

static int read_dtype(const source *s, const char *name, const lfm2__json *obj, lfm2_tensor *t)
{
    size_t n;
    const char *text = lfm2__json_str(lfm2__json_get(obj, "dtype"), &n);

    if (!text) return bad(s, LFM2_ERR_FORMAT, name, "dtype", "is missing or not a string");
    t->dtype = lfm2_dtype_from_name(text);
    if (t->dtype < LFM2_DTYPE_COUNT && lfm2_dtype_block_elems(t->dtype) == 1 && strcmp(text, lfm2_dtype_name(t->dtype)) == 0)
        return 0;
    if (n > 32 || !lfm2__name_ok(text, n)) return bad(s, LFM2_ERR_FORMAT, name, "dtype", "is not a type name");
    return lfm2__fail(s->rt, LFM2_ERR_UNSUPPORTED, "%s: tensor %s: dtype: %s is not supported", s->label, name, text);
}

static int read_shape(const source *s, const char *name, const lfm2__json *obj, lfm2_tensor *t)
{
    const lfm2__json *shape = lfm2__json_get(obj, "shape");

    if (lfm2__json_typeof(shape) != LFM2__JSON_ARRAY) return bad(s, LFM2_ERR_FORMAT, name, "shape", "is missing or not a list");
    if (lfm2__json_size(shape) > LFM2_MAX_DIMS) return bad(s, LFM2_ERR_LIMIT, name, "shape", "has more than 8 dimensions");
    t->n_dims = (int32_t)lfm2__json_size(shape);
    for (int32_t i = 0; i < t->n_dims; i++) {
        const lfm2__json *dim = lfm2__json_at(shape, (size_t)i);
        if (lfm2__json_typeof(dim) != LFM2__JSON_INT || lfm2__json_int(dim) < 0)
            return bad(s, LFM2_ERR_FORMAT, name, "shape", "has a dimension that is not an integer >= 0");
        t->dims[i] = lfm2__json_int(dim);
    }
    if (lfm2__tensor_bytes(t->dtype, t->n_dims, t->dims, &t->n_bytes) < 0)
        return bad(s, LFM2_ERR_FORMAT, name, "shape", "the number of bytes overflows");
    return 0;
}

static int read_offsets(const source *s, const char *name, const lfm2__json *obj, lfm2_tensor *t)
{
    static const char field[] = "data_offsets";
    const lfm2__json *offsets = lfm2__json_get(obj, field);
    const lfm2__json *from = lfm2__json_at(offsets, 0);
    const lfm2__json *to = lfm2__json_at(offsets, 1);

    if (lfm2__json_size(offsets) != 2 || lfm2__json_typeof(from) != LFM2__JSON_INT || lfm2__json_typeof(to) != LFM2__JSON_INT)
        return bad(s, LFM2_ERR_FORMAT, name, field, "is missing or not a list of two integers");
    int64_t begin = lfm2__json_int(from);
    int64_t end = lfm2__json_int(to);
    if (begin < 0 || end < begin) return bad(s, LFM2_ERR_FORMAT, name, field, "negative, or the end is before the begin");
    if ((uint64_t)end > s->data_n) return bad(s, LFM2_ERR_FORMAT, name, field, "the end is behind the end of the file");
    if ((uint64_t)(end - begin) != t->n_bytes) return bad(s, LFM2_ERR_FORMAT, name, field, "do not match dtype and shape");
    t->data = s->data + begin;
    return 0;
}

static int read_tensor(const source *s, const char *name, const lfm2__json *obj, lfm2_tensor *t)
{
    t->name = name;
    if (lfm2__json_typeof(obj) != LFM2__JSON_OBJECT) return bad(s, LFM2_ERR_FORMAT, name, "entry", "is not an object");
    int rc = read_dtype(s, name, obj, t);
    if (rc < 0) return rc;
    rc = read_shape(s, name, obj, t);
    if (rc < 0) return rc;
    return read_offsets(s, name, obj, t);
}

static int check_metadata(const source *s, const lfm2__json *metadata)
{
    const char *key;
    size_t key_n;
    const lfm2__json *val;

    if (lfm2__json_typeof(metadata) != LFM2__JSON_OBJECT)
        return lfm2__fail(s->rt, LFM2_ERR_FORMAT, "%s: " LFM2__ST_METADATA ": is not an object", s->label);
    for (void *it = NULL; lfm2__json_next(metadata, &it, &key, &key_n, &val);)
        if (lfm2__json_typeof(val) != LFM2__JSON_STRING)
            return lfm2__fail(s->rt, LFM2_ERR_FORMAT, "%s: " LFM2__ST_METADATA ": has a value that is not a string", s->label);
    return 0;
}

/* Count tensors and the bytes of their names, and check what is no tensor. The header began with '{': root is an object. */
static int measure(const source *s, const lfm2__json *root, size_t *n_tensors, size_t *names_n)
{
    const char *key;
    size_t key_n;
    const lfm2__json *val;
    size_t n_entries = lfm2__json_size(root);

    if (n_entries > LFM2__MAX_TENSORS + 1)
        return lfm2__fail(s->rt, LFM2_ERR_LIMIT, "%s: header: %zu tensors are over the limit of %u", s->label, n_entries,
                          LFM2__MAX_TENSORS);
    *n_tensors = 0;
    *names_n = 0;
    for (void *it = NULL; lfm2__json_next(root, &it, &key, &key_n, &val);) {
        if (strcmp(key, LFM2__ST_METADATA) == 0) {
            int rc = check_metadata(s, val);
            if (rc < 0) return rc;
            continue;
        }
        if (key_n > LFM2__MAX_NAME_BYTES)
            return lfm2__fail(s->rt, LFM2_ERR_LIMIT, "%s: header: name of tensor %zu: %zu bytes are over the limit of %u", s->label,
                              *n_tensors, key_n, LFM2__MAX_NAME_BYTES);
        if (!lfm2__name_ok(key, key_n))
            return lfm2__fail(s->rt, LFM2_ERR_FORMAT, "%s: header: name of tensor %zu: is empty or not printable ASCII", s->label,
                              *n_tensors);
        *n_tensors += 1;
        *names_n += key_n + 1;
    }
    if (*n_tensors > LFM2__MAX_TENSORS)
        return lfm2__fail(s->rt, LFM2_ERR_LIMIT, "%s: header: %zu tensors are over the limit of %u", s->label, *n_tensors,
                          LFM2__MAX_TENSORS);
    return 0;
}

/* Empty tensors sort before the one that begins where they do. */
static int compare_place(const void *pa, const void *pb)
{
    const lfm2_tensor *a = pa;
    const lfm2_tensor *b = pb;

    if (a->data != b->data) return (const unsigned char *)a->data < (const unsigned char *)b->data ? -1 : 1;
    if (a->n_bytes != b->n_bytes) return a->n_bytes < b->n_bytes ? -1 : 1;
    return strcmp(a->name, b->name);
}

static int check_places(const source *s, const lfm2__contents *c)
{
    const unsigned char *at = s->data;

    for (size_t i = 0; i < c->n_tensors; i++) {
        const lfm2_tensor *t = &c->tensors[i];
        if ((const unsigned char *)t->data < at) return bad(s, LFM2_ERR_FORMAT, t->name, "data_offsets", "overlap another tensor");
        if ((const unsigned char *)t->data > at) return bad(s, LFM2_ERR_FORMAT, t->name, "data_offsets", "leave a gap before it");
        at += t->n_bytes;
    }
    if (at != s->data + s->data_n)
        return lfm2__fail(s->rt, LFM2_ERR_FORMAT, "%s: data: %zu bytes at the end belong to no tensor", s->label,
                          (size_t)(s->data + s->data_n - at));
    return 0;
}

static int read_tensors(const source *s, const lfm2__json *root, lfm2__contents *c)
{
    size_t n_tensors = 0;
    size_t names_n = 0;
    const char *key;
    size_t key_n;
    const lfm2__json *val;

    int rc = measure(s, root, &n_tensors, &names_n);
    if (rc < 0) return rc;
    if (n_tensors > 0) {
        c->tensors = lfm2__calloc(s->rt, n_tensors, sizeof *c->tensors);
        c->names = lfm2__alloc(s->rt, names_n);
        if (!c->tensors || !c->names)
            return lfm2__fail(s->rt, LFM2_ERR_NOMEM, "%s: out of memory for %zu tensors", s->label, n_tensors);
    }
    char *to = c->names;
    for (void *it = NULL; lfm2__json_next(root, &it, &key, &key_n, &val);) {
        if (strcmp(key, LFM2__ST_METADATA) == 0) continue;
        memcpy(to, key, key_n + 1);
        rc = read_tensor(s, to, val, &c->tensors[c->n_tensors]);
        if (rc < 0) return rc;
        c->n_tensors++;
        to += key_n + 1;
    }
    if (n_tensors > 0) qsort(c->tensors, n_tensors, sizeof *c->tensors, compare_place);
    return check_places(s, c);
}

/* Length of the header, checked against limit and file. */
static int read_header_n(lfm2_runtime *rt, const char *label, const unsigned char *bytes, size_t n, size_t *out)
{
    if (n < 8) return lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: header length: the file has only %zu bytes", label, n);
    uint64_t header_n = lfm2__ld_u64(bytes);
    if (n > 8 && bytes[8] != '{')
        return lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: header: does not begin as a safetensors or GGUF file does", label);
    if (header_n > LFM2__MAX_ST_HEADER_BYTES)
        return lfm2__fail(rt, LFM2_ERR_LIMIT, "%s: header length: %llu bytes are over the limit of %u", label,
                          (unsigned long long)header_n, LFM2__MAX_ST_HEADER_BYTES);
    if (header_n > n - 8)
        return lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: header length: %llu bytes are more than the file has", label,
                          (unsigned long long)header_n);
    if (header_n < 2)
        return lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: header length: %llu bytes are too few", label, (unsigned long long)header_n);
    *out = (size_t)header_n;
    return 0;
}

int lfm2__safetensors_parse(lfm2_runtime *rt, const char *label, const unsigned char *bytes, size_t n, lfm2__contents *out)
{
    static const lfm2__json_limits limits = {
        .max_bytes = LFM2__MAX_ST_HEADER_BYTES,
        .max_depth = MAX_DEPTH,
        .max_values = (size_t)LFM2__MAX_TENSORS * MAX_VALUES_PER_TENSOR + MAX_METADATA_VALUES,
    };
    size_t header_n = 0;
    lfm2__json_doc *doc = NULL;
    lfm2__contents c = {0};

    int rc = read_header_n(rt, label, bytes, n, &header_n);
    if (rc < 0) return rc;
    rc = lfm2__json_parse(rt, label, (const char *)bytes + 8, header_n, &limits, &doc);
    if (rc < 0) return rc;
    source s = {.rt = rt, .label = label, .data = bytes + 8 + header_n, .data_n = n - 8 - header_n};
    rc = read_tensors(&s, lfm2__json_root(doc), &c);
    lfm2__json_free(doc);
    if (rc < 0) {
        lfm2__contents_fini(rt, &c);
        return rc;
    }
    *out = c;
    return 0;
}
