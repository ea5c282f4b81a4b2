/* SPDX-License-Identifier: Apache-2.0
 * For the tests of the weights layer: files built byte by byte, a heap that meters, temporary folders. */
#ifndef WEIGHTS_TESTING_H
#define WEIGHTS_TESTING_H

#include "base_testing.h"

#include <dirent.h>
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

/* --- a runtime that is watched --- */

typedef struct meter {
    size_t live_bytes;
    size_t peak_bytes;
    long n_live;
    long n_calls;
    long fail_at; /* the call that fails, from 1; 0 = none */
} meter;

#define METER_HEAD 64

static inline void *meter_alloc(void *ctx, size_t n_bytes, size_t align)
{
    meter *m = ctx;
    if (++m->n_calls == m->fail_at) return NULL;
    assert_true(align == METER_HEAD);
    unsigned char *p = aligned_alloc(align, METER_HEAD + (n_bytes + align - 1) / align * align);
    if (!p) return NULL;
    memcpy(p, &n_bytes, sizeof n_bytes);
    memset(p + METER_HEAD, 0xa5, n_bytes);
    m->n_live++;
    m->live_bytes += n_bytes;
    if (m->live_bytes > m->peak_bytes) m->peak_bytes = m->live_bytes;
    return p + METER_HEAD;
}

static inline void meter_free(void *ctx, void *p)
{
    meter *m = ctx;
    size_t n_bytes;
    if (!p) return;
    memcpy(&n_bytes, (unsigned char *)p - METER_HEAD, sizeof n_bytes);
    m->n_live--;
    m->live_bytes -= n_bytes;
    free((unsigned char *)p - METER_HEAD);
}

typedef struct watched {
    lfm2_runtime *rt;
    test_log log;
    meter heap;
    long n_live_before;
    size_t bytes_before;
} watched;

static inline void watch_begin(watched *x)
{
    memset(x, 0, sizeof *x);
    lfm2_runtime_params params = lfm2_runtime_params_default();
    params.n_threads = 1;
    params.alloc = meter_alloc;
    params.free = meter_free;
    params.alloc_ctx = &x->heap;
    params.log = test_log_line;
    params.log_ctx = &x->log;
    assert_int_equal(lfm2_runtime_create(&params, &x->rt), 0);
    x->n_live_before = x->heap.n_live;
    x->bytes_before = x->heap.live_bytes;
    x->heap.peak_bytes = x->heap.live_bytes;
    x->heap.n_calls = 0;
}

static inline void watch_end(watched *x)
{
    assert_int_equal(x->heap.n_live, x->n_live_before);
    lfm2_runtime_destroy(x->rt);
    assert_int_equal(x->heap.n_live, 0);
}

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

/* --- folders --- */

static inline void make_folder(char *path, size_t cap)
{
    snprintf(path, cap, "/tmp/lfm2-test-weights-XXXXXX");
    assert_non_null(mkdtemp(path));
}

/* With all files in it. */
static inline void remove_folder(const char *path)
{
    char file[1024];
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        assert_int_equal(remove(file), 0);
    }
    closedir(dir);
    assert_int_equal(rmdir(path), 0);
}

static inline size_t count_files(const char *path)
{
    size_t n = 0;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) n++;
    closedir(dir);
    return n - 2;
}

static inline void write_file(const char *folder, const char *name, const void *data, size_t n)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static inline void write_bytes(const char *folder, const char *name, bytes *b)
{
    write_file(folder, name, b->p, b->n);
    free(b->p);
    memset(b, 0, sizeof *b);
}

static inline bytes read_file(const char *path)
{
    bytes b = {0};
    unsigned char part[4096];
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    for (size_t n = fread(part, 1, sizeof part, f); n > 0; n = fread(part, 1, sizeof part, f)) put(&b, part, n);
    fclose(f);
    return b;
}

#endif
