/* SPDX-License-Identifier: Apache-2.0
 * GGUF reader, versions 2 and 3, little-endian. Every count and length is held against the bytes that are left before it is
 * used, so a small file can never ask for much memory or time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mathsafe.h"
#include "base/runtime_impl.h"
#include "weights/container.h"

#define N_KV_TYPES 13u
#define MAX_GGUF_DIMS 4u
#define DEFAULT_ALIGNMENT 32u
#define MAX_ALIGNMENT 65536u
#define MIN_KV_BYTES (8u + 1u + 4u + 1u)          /* key of one byte, type, value of one byte */
#define MIN_TENSOR_BYTES (8u + 1u + 4u + 4u + 8u) /* name of one byte, no dimension, type, offset */

/* 0: the size depends on the value. */
static const unsigned char value_bytes[N_KV_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

typedef struct reader {
    lfm2_runtime *rt;
    const char *label;
    const unsigned char *base;
    size_t n;
    size_t at;
    const char *section; /* where we are, for log lines; NULL = in the header */
    size_t index;
    const char *name; /* name of the entry once it is known */
    size_t name_n;
} reader;

static int bad(const reader *r, int status, const char *field, const char *why)
{
    if (!r->section) return lfm2__fail(r->rt, status, "%s: header: %s: %s", r->label, field, why);
    if (!r->name) return lfm2__fail(r->rt, status, "%s: %s %zu: %s: %s", r->label, r->section, r->index, field, why);
    return lfm2__fail(r->rt, status, "%s: %s %.*s: %s: %s", r->label, r->section, (int)r->name_n, r->name, field, why);
}

static int bad_number(const reader *r, int status, const char *field, uint64_t number, const char *why)
{
    char text[128];

    snprintf(text, sizeof text, "%llu %s", (unsigned long long)number, why);
    return bad(r, status, field, text);
}

static size_t bytes_left(const reader *r)
{
    return r->n - r->at;
}

static int take(reader *r, size_t n, const char *field, const unsigned char **out)
{
    if (n > bytes_left(r)) return bad(r, LFM2_ERR_FORMAT, field, "the file ends before it does");
    *out = r->base + r->at;
    r->at += n;
    return 0;
}

static int take_u32(reader *r, const char *field, uint32_t *out)
{
    const unsigned char *p = NULL;
    int rc = take(r, 4, field, &p);

    if (rc < 0) return rc;
    *out = lfm2__ld_u32(p);
    return 0;
}

static int take_u64(reader *r, const char *field, uint64_t *out)
{
    const unsigned char *p = NULL;
    int rc = take(r, 8, field, &p);

    if (rc < 0) return rc;
    *out = lfm2__ld_u64(p);
    return 0;
}

/* A name (key or tensor) becomes the entry's name in log lines. */
static int take_name(reader *r, const char *field)
{
    uint64_t n;
    const unsigned char *p;
    int rc = take_u64(r, field, &n);

    if (rc < 0) return rc;
    if (n > bytes_left(r)) return bad_number(r, LFM2_ERR_FORMAT, field, n, "bytes are more than the file has left");
    if (n > LFM2__MAX_NAME_BYTES) return bad_number(r, LFM2_ERR_LIMIT, field, n, "bytes are over the limit of 1024");
    rc = take(r, (size_t)n, field, &p);
    if (rc < 0) return rc;
    if (!lfm2__name_ok((const char *)p, (size_t)n)) return bad(r, LFM2_ERR_FORMAT, field, "is empty or not printable ASCII");
    r->name = (const char *)p;
    r->name_n = (size_t)n;
    return 0;
}

static int take_count(reader *r, const char *field, size_t min_entry_bytes, size_t max, size_t *out)
{
    uint64_t n;
    int rc = take_u64(r, field, &n);

    if (rc < 0) return rc;
    if (n > bytes_left(r) / min_entry_bytes) return bad_number(r, LFM2_ERR_FORMAT, field, n, "is more than the file can hold");
    if (n > max) return bad_number(r, LFM2_ERR_LIMIT, field, n, "is over the limit of 65536");
    *out = (size_t)n;
    return 0;
}

static int skip_string(reader *r, const char *field)
{
    uint64_t n;
    int rc = take_u64(r, field, &n);

    if (rc < 0) return rc;
    if (n > bytes_left(r)) return bad_number(r, LFM2_ERR_FORMAT, field, n, "bytes are more than the file has left");
    r->at += (size_t)n;
    return 0;
}

static int skip_array(reader *r, lfm2__kv *kv)
{
    uint32_t type;
    int rc = take_u32(r, "array element type", &type);

    if (rc < 0) return rc;
    if (type >= N_KV_TYPES) return bad_number(r, LFM2_ERR_FORMAT, "array element type", type, "is unknown");
    if (type == LFM2__KV_ARRAY) return bad(r, LFM2_ERR_UNSUPPORTED, "array element type", "nested arrays are not supported");
    kv->elem_type = (lfm2__kv_type)type;
    rc = take_u64(r, "array length", &kv->n_elems);
    if (rc < 0) return rc;

    kv->data = r->base + r->at;
    size_t min_bytes = type == LFM2__KV_STRING ? 8 : value_bytes[type];
    if (kv->n_elems > bytes_left(r) / min_bytes)
        return bad_number(r, LFM2_ERR_FORMAT, "array length", kv->n_elems, "is more than the file can hold");
    if (type != LFM2__KV_STRING) {
        r->at += (size_t)kv->n_elems * min_bytes;
        return 0;
    }
    for (uint64_t i = 0; i < kv->n_elems; i++) {
        rc = skip_string(r, "length of a string in the array");
        if (rc < 0) return rc;
    }
    return 0;
}

static int read_kv(reader *r, lfm2__kv *kv)
{
    uint32_t type;
    const unsigned char *p;

    r->name = NULL;
    int rc = take_name(r, "key");
    if (rc < 0) return rc;
    kv->key = r->name;
    kv->key_n = r->name_n;
    rc = take_u32(r, "value type", &type);
    if (rc < 0) return rc;
    if (type >= N_KV_TYPES) return bad_number(r, LFM2_ERR_FORMAT, "value type", type, "is unknown");

    kv->type = (lfm2__kv_type)type;
    kv->elem_type = kv->type;
    kv->n_elems = 1;
    kv->data = r->base + r->at;
    if (type == LFM2__KV_ARRAY)
        rc = skip_array(r, kv);
    else if (type == LFM2__KV_STRING)
        rc = skip_string(r, "string length");
    else
        rc = take(r, value_bytes[type], "value", &p);
    if (rc < 0) return rc;
    kv->n_bytes = (size_t)(r->base + r->at - kv->data);
    return 0;
}

/* A key that decides how the rest is read. Absent: *out stays. */
static int early_uint(const reader *r, const lfm2__contents *c, const char *key, uint64_t *out)
{
    for (size_t i = 0; i < c->n_kv; i++) {
        const lfm2__kv *kv = &c->kvs[i];
        if (kv->key_n != strlen(key) || memcmp(kv->key, key, kv->key_n) != 0) continue;
        if (!lfm2__kv_is_int(kv->type)) return lfm2__fail(r->rt, LFM2_ERR_FORMAT, "%s: %s: is not an integer", r->label, key);
        *out = (uint64_t)lfm2__kv_int_at(kv, 0);
        return 0;
    }
    return 0;
}

static int read_alignment(const reader *r, const lfm2__contents *c, size_t *out)
{
    uint64_t alignment = DEFAULT_ALIGNMENT;
    int rc = early_uint(r, c, "general.alignment", &alignment);

    if (rc < 0) return rc;
    if (alignment == 0 || (alignment & (alignment - 1)) != 0)
        return lfm2__fail(r->rt, LFM2_ERR_FORMAT, "%s: general.alignment: %llu is not a power of two", r->label,
                          (unsigned long long)alignment);
    if (alignment > MAX_ALIGNMENT)
        return lfm2__fail(r->rt, LFM2_ERR_LIMIT, "%s: general.alignment: %llu is over the limit of %u", r->label,
                          (unsigned long long)alignment, MAX_ALIGNMENT);
    *out = (size_t)alignment;
    return 0;
}

static int refuse_split(const reader *r, const lfm2__contents *c)
{
    uint64_t n_files = 1;
    int rc = early_uint(r, c, "split.count", &n_files);

    if (rc < 0) return rc;
    if (n_files > 1)
        return lfm2__fail(r->rt, LFM2_ERR_UNSUPPORTED,
                          "%s: split.count: the model is split over %llu GGUF files; only a single file is supported", r->label,
                          (unsigned long long)n_files);
    return 0;
}

static int read_header(reader *r, size_t *n_tensors, size_t *n_kv)
{
    uint32_t version;
    const unsigned char *p = NULL;
    int rc = take(r, 4, "magic", &p);

    if (rc < 0) return rc;
    if (memcmp(p, "GGUF", 4) != 0) return bad(r, LFM2_ERR_FORMAT, "magic", "is not GGUF");
    rc = take_u32(r, "version", &version);
    if (rc < 0) return rc;
    if (version != 0 && (version & 0xffff) == 0) return bad(r, LFM2_ERR_UNSUPPORTED, "version", "the file is big-endian");
    if (version < 2 || version > 3) return bad_number(r, LFM2_ERR_UNSUPPORTED, "version", version, "is not 2 or 3");
    rc = take_count(r, "n_tensors", MIN_TENSOR_BYTES, LFM2__MAX_TENSORS, n_tensors);
    if (rc < 0) return rc;
    return take_count(r, "n_kv", MIN_KV_BYTES, LFM2__MAX_KVS, n_kv);
}

/* What is known of a tensor before it is known where the data begins. */
typedef struct pending {
    size_t name_n;
    uint64_t offset; /* in the data */
} pending;

static int read_dims(reader *r, lfm2_tensor *t)
{
    uint32_t n_dims;
    int rc = take_u32(r, "n_dims", &n_dims);

    if (rc < 0) return rc;
    if (n_dims > MAX_GGUF_DIMS) return bad_number(r, LFM2_ERR_FORMAT, "n_dims", n_dims, "is more than 4");
    t->n_dims = (int32_t)n_dims;
    for (uint32_t i = 0; i < n_dims; i++) {
        uint64_t ne;
        rc = take_u64(r, "dimension", &ne);
        if (rc < 0) return rc;
        if (ne == 0 || ne > INT64_MAX) return bad(r, LFM2_ERR_FORMAT, "dimension", "is not positive");
        t->dims[n_dims - 1 - i] = (int64_t)ne;
    }
    return 0;
}

static int read_tensor(reader *r, lfm2_tensor *t, pending *pend)
{
    uint32_t type;

    r->name = NULL;
    int rc = take_name(r, "name");
    if (rc < 0) return rc;
    t->name = r->name;
    pend->name_n = r->name_n;
    rc = read_dims(r, t);
    if (rc < 0) return rc;
    rc = take_u32(r, "type", &type);
    if (rc < 0) return rc;
    t->dtype = lfm2__dtype_from_ggml(type);
    if (t->dtype == LFM2_DTYPE_COUNT) return bad_number(r, LFM2_ERR_UNSUPPORTED, "type", type, "is not a supported ggml type");
    if (lfm2__tensor_bytes(t->dtype, t->n_dims, t->dims, &t->n_bytes) < 0)
        return bad(r, LFM2_ERR_FORMAT, "dimensions", "overflow, or the first is no multiple of the type's block");
    return take_u64(r, "offset", &pend->offset);
}

static int place_tensor(reader *r, lfm2_tensor *t, uint64_t offset, size_t alignment)
{
    if (offset % alignment != 0) return bad_number(r, LFM2_ERR_FORMAT, "offset", offset, "is not aligned");
    if (offset > bytes_left(r)) return bad_number(r, LFM2_ERR_FORMAT, "offset", offset, "is behind the end of the file");
    if (t->n_bytes > bytes_left(r) - (size_t)offset)
        return bad_number(r, LFM2_ERR_FORMAT, "size", t->n_bytes, "bytes run past the end of the file");
    t->data = r->base + r->at + offset;
    return 0;
}

/* Names lie in the file without a NUL: copy them. */
static int copy_names(reader *r, lfm2__contents *c, const pending *pendings)
{
    size_t n_bytes = 0;

    for (size_t i = 0; i < c->n_tensors; i++) n_bytes += pendings[i].name_n + 1;
    c->names = lfm2__alloc(r->rt, n_bytes);
    if (!c->names) return lfm2__fail(r->rt, LFM2_ERR_NOMEM, "%s: out of memory for tensor names", r->label);
    char *to = c->names;
    for (size_t i = 0; i < c->n_tensors; i++) {
        memcpy(to, c->tensors[i].name, pendings[i].name_n);
        to[pendings[i].name_n] = '\0';
        c->tensors[i].name = to;
        to += pendings[i].name_n + 1;
    }
    return 0;
}

static int compare_data(const void *pa, const void *pb)
{
    const unsigned char *a = (*(const lfm2_tensor *const *)pa)->data;
    const unsigned char *b = (*(const lfm2_tensor *const *)pb)->data;

    return (a > b) - (a < b);
}

static int refuse_overlap(reader *r, const lfm2__contents *c)
{
    int rc = 0;
    const lfm2_tensor **sorted = lfm2__calloc(r->rt, c->n_tensors, sizeof *sorted);

    if (!sorted) return lfm2__fail(r->rt, LFM2_ERR_NOMEM, "%s: out of memory for %zu tensors", r->label, c->n_tensors);
    for (size_t i = 0; i < c->n_tensors; i++) sorted[i] = &c->tensors[i];
    qsort(sorted, c->n_tensors, sizeof *sorted, compare_data);
    for (size_t i = 1; i < c->n_tensors && rc == 0; i++) {
        const unsigned char *end = (const unsigned char *)sorted[i - 1]->data + sorted[i - 1]->n_bytes;
        if (end > (const unsigned char *)sorted[i]->data)
            rc = lfm2__fail(r->rt, LFM2_ERR_FORMAT, "%s: tensor %s: offset: overlaps the data of tensor %s", r->label,
                            sorted[i]->name, sorted[i - 1]->name);
    }
    lfm2__free(r->rt, sorted);
    return rc;
}

static int read_kvs(reader *r, size_t n_kv, lfm2__contents *c)
{
    if (n_kv == 0) return 0;
    c->kvs = lfm2__calloc(r->rt, n_kv, sizeof *c->kvs);
    if (!c->kvs) return lfm2__fail(r->rt, LFM2_ERR_NOMEM, "%s: out of memory for %zu metadata entries", r->label, n_kv);
    r->section = "metadata entry";
    for (size_t i = 0; i < n_kv; i++) {
        r->index = i;
        int rc = read_kv(r, &c->kvs[i]);
        if (rc < 0) return rc;
        c->n_kv++;
    }
    return 0;
}

static int read_tensors(reader *r, size_t n_tensors, size_t alignment, lfm2__contents *c)
{
    int rc = 0;
    pending *pendings = NULL;

    if (n_tensors == 0) return 0;
    /* n_kv entries have been read since the count was checked. */
    r->section = "tensor";
    if (n_tensors > bytes_left(r) / MIN_TENSOR_BYTES)
        return lfm2__fail(r->rt, LFM2_ERR_FORMAT, "%s: header: n_tensors: %zu is more than the file can hold", r->label, n_tensors);
    c->tensors = lfm2__calloc(r->rt, n_tensors, sizeof *c->tensors);
    pendings = lfm2__calloc(r->rt, n_tensors, sizeof *pendings);
    if (!c->tensors || !pendings) {
        rc = lfm2__fail(r->rt, LFM2_ERR_NOMEM, "%s: out of memory for %zu tensors", r->label, n_tensors);
        goto done;
    }
    for (size_t i = 0; i < n_tensors; i++) {
        r->index = i;
        rc = read_tensor(r, &c->tensors[i], &pendings[i]);
        if (rc < 0) goto done;
        c->n_tensors++;
    }
    rc = copy_names(r, c, pendings);
    if (rc < 0) goto done;

    size_t blob;
    if (lfm2__align_size(r->at, alignment, &blob) < 0 || blob > r->n) blob = r->n;
    r->at = blob;
    for (size_t i = 0; i < n_tensors; i++) {
        r->name = c->tensors[i].name;
        r->name_n = pendings[i].name_n;
        rc = place_tensor(r, &c->tensors[i], pendings[i].offset, alignment);
        if (rc < 0) goto done;
    }
    rc = refuse_overlap(r, c);
done:
    lfm2__free(r->rt, pendings);
    return rc;
}

int lfm2__is_gguf(const unsigned char *bytes, size_t n)
{
    return n >= 4 && memcmp(bytes, "GGUF", 4) == 0;
}

int lfm2__gguf_parse(lfm2_runtime *rt, const char *label, const unsigned char *bytes, size_t n, lfm2__contents *out)
{
    size_t n_tensors = 0;
    size_t n_kv = 0;
    size_t alignment = DEFAULT_ALIGNMENT;
    lfm2__contents c = {0};
    reader r = {.rt = rt, .label = label, .base = bytes, .n = n};

    int rc = read_header(&r, &n_tensors, &n_kv);
    if (rc < 0) goto fail;
    rc = read_kvs(&r, n_kv, &c);
    if (rc < 0) goto fail;
    rc = refuse_split(&r, &c);
    if (rc < 0) goto fail;
    rc = read_alignment(&r, &c, &alignment);
    if (rc < 0) goto fail;
    rc = read_tensors(&r, n_tensors, alignment, &c);
    if (rc < 0) goto fail;
    *out = c;
    return 0;
fail:
    lfm2__contents_fini(rt, &c);
    return rc;
}
