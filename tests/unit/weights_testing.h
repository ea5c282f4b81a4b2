/* SPDX-License-Identifier: Apache-2.0
 * For the tests of the weights layer: files built byte by byte, what must be refused. */
#ifndef WEIGHTS_TESTING_H
#define WEIGHTS_TESTING_H

#include "base_testing.h"
#include "file_testing.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/runtime_impl.h"
#include "weights/container.h"

/* --- bytes --- */

typedef struct bytes {
    unsigned char *p;
    size_t n;
    size_t cap;
} bytes;

static inline void put(bytes *b, const void *data, size_t n)
{
    if (b->n + n > b->cap) {
        b->cap = 2 * (b->n + n) + 64;
        b->p = realloc(b->p, b->cap);
        assert_non_null(b->p);
    }
    if (n > 0) memcpy(b->p + b->n, data, n);
    b->n += n;
}

static inline void put_le(bytes *b, uint64_t v, size_t n)
{
    unsigned char le[8];
    for (size_t i = 0; i < n; i++) le[i] = (unsigned char)(v >> (8 * i));
    put(b, le, n);
}

static inline void put_u8(bytes *b, unsigned v) { put_le(b, v, 1); }
static inline void put_u32(bytes *b, uint64_t v) { put_le(b, v, 4); }
static inline void put_u64(bytes *b, uint64_t v) { put_le(b, v, 8); }

static inline void put_zeros(bytes *b, size_t n)
{
    for (size_t i = 0; i < n; i++) put_u8(b, 0);
}

/* --- pieces of GGUF --- */

static inline void gguf_head(bytes *b, uint64_t n_tensors, uint64_t n_kv)
{
    put(b, "GGUF", 4);
    put_u32(b, 3);
    put_u64(b, n_tensors);
    put_u64(b, n_kv);
}

static inline void gguf_str(bytes *b, const char *s)
{
    put_u64(b, strlen(s));
    put(b, s, strlen(s));
}

static inline void gguf_key(bytes *b, const char *key, uint32_t type)
{
    gguf_str(b, key);
    put_u32(b, type);
}

static inline void gguf_array(bytes *b, const char *key, uint32_t elem_type, uint64_t n)
{
    gguf_key(b, key, LFM2__KV_ARRAY);
    put_u32(b, elem_type);
    put_u64(b, n);
}

/* ne: fastest first, as in the file */
static inline void gguf_tensor(bytes *b, const char *name, uint32_t n_dims, const uint64_t *ne, uint32_t type, uint64_t offset)
{
    gguf_str(b, name);
    put_u32(b, n_dims);
    for (uint32_t i = 0; i < n_dims; i++) put_u64(b, ne[i]);
    put_u32(b, type);
    put_u64(b, offset);
}

static inline void gguf_pad(bytes *b, size_t alignment)
{
    while (b->n % alignment != 0) put_u8(b, 0);
}

/* --- pieces of safetensors --- */

static inline bytes st_file(const char *header, size_t n_data)
{
    bytes b = {0};
    put_u64(&b, strlen(header));
    put(&b, header, strlen(header));
    for (size_t i = 0; i < n_data; i++) put_u8(&b, (unsigned)i & 0x3f);
    return b;
}

/* --- what must be refused or accepted --- */

/* One line, at error level, that names file and field. */
static inline void assert_one_line(const test_log *log, const char *file, const char *field)
{
    if (log->n_lines != 1 || !strstr(log->line, file) || !strstr(log->line, field))
        print_error("%d lines, the last one: %s\n", log->n_lines, log->line);
    assert_int_equal(log->n_lines, 1);
    assert_int_equal(log->level, LFM2_LOG_ERROR);
    assert_non_null(strstr(log->line, file));
    assert_non_null(strstr(log->line, field));
}

#define LABEL "some/model.file"
#define SMALL_BYTES 8192 /* more than a refusal of a small file ever needs */

/* The bytes must be refused with that status, one line naming the field, little memory, no leak. Frees them. */
static inline void refuse_within(bytes *b, int status, const char *field, size_t max_bytes)
{
    watched x;
    lfm2_weights *w = NULL;
    unsigned char *exact = malloc(b->n > 0 ? b->n : 1); /* so that a read behind the end is seen */

    assert_non_null(exact);
    if (b->n > 0) memcpy(exact, b->p, b->n);
    free(b->p);
    watch_begin(&x);
    int rc = lfm2__weights_open_bytes(x.rt, LABEL, exact, b->n, &w);
    if (rc != status) print_error("%s instead of %s: %s\n", lfm2_err_name(rc), lfm2_err_name(status), x.log.line);
    assert_int_equal(rc, status);
    assert_null(w);
    assert_one_line(&x.log, LABEL, field);
    if (x.heap.peak_bytes - x.bytes_before > max_bytes) print_error("%zu bytes\n", x.heap.peak_bytes - x.bytes_before);
    assert_true(x.heap.peak_bytes - x.bytes_before <= max_bytes);
    watch_end(&x);
    free(exact);
    memset(b, 0, sizeof *b);
}

static inline void refuse(bytes *b, int status, const char *field)
{
    refuse_within(b, status, field, SMALL_BYTES);
}

/* A file must be refused wherever it is cut short. Frees it. */
static inline void refuse_cut_short(bytes *whole)
{
    for (size_t n = 0; n < whole->n; n++) {
        bytes b = {0};
        put(&b, whole->p, n);
        refuse(&b, LFM2_ERR_FORMAT, ": ");
    }
    free(whole->p);
}

/* The bytes must be accepted; they must outlive the result. */
static inline lfm2_weights *accept_bytes(watched *x, const bytes *b)
{
    lfm2_weights *w = NULL;
    int rc = lfm2__weights_open_bytes(x->rt, LABEL, b->p, b->n, &w);
    if (rc != 0) print_error("%s: %s\n", lfm2_err_name(rc), x->log.line);
    assert_int_equal(rc, 0);
    assert_int_equal(x->log.n_lines, 0);
    return w;
}

typedef int weights_opener(lfm2_runtime *rt, const void *source, lfm2_weights **out);

static inline int open_bytes(lfm2_runtime *rt, const void *source, lfm2_weights **out)
{
    const bytes *b = source;
    return lfm2__weights_open_bytes(rt, LABEL, b->p, b->n, out);
}

/* Failing at each allocation: no crash, no leak, the right status, one line with `label` and `field`. */
static inline void fail_each_allocation(weights_opener *open, const void *source, const char *label, const char *field)
{
    watched x;
    long k = 0;
    watch_begin(&x);
    while (test_fail_next(&x.heap, &k)) {
        lfm2_weights *w = NULL;
        x.log.n_lines = 0;
        int rc = open(x.rt, source, &w);
        const int failed = test_has_failed(&x.heap);
        assert_int_equal(rc, failed ? LFM2_ERR_NOMEM : 0);
        if (failed) assert_one_line(&x.log, label, field);
        else assert_int_equal(x.log.n_lines, 0);
        lfm2_weights_close(w);
        assert_true(k < 100);
    }
    watch_end(&x);
}

static inline void assert_same_kv(const lfm2__kv *a, const lfm2__kv *b)
{
    assert_int_equal(a->key_n, b->key_n);
    assert_memory_equal(a->key, b->key, a->key_n);
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->elem_type, b->elem_type);
    assert_int_equal(a->n_elems, b->n_elems);
    assert_int_equal(a->n_bytes, b->n_bytes);
    assert_memory_equal(a->data, b->data, a->n_bytes);
}

/* --- files --- */

static inline void write_bytes(const char *folder, const char *name, bytes *b)
{
    write_file_in(folder, name, b->p, b->n);
    free(b->p);
    memset(b, 0, sizeof *b);
}

static inline bytes read_bytes(const char *path)
{
    bytes b = {0};
    b.p = (unsigned char *)read_file(path, &b.n);
    return b;
}

#endif
