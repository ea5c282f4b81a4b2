/* SPDX-License-Identifier: Apache-2.0
 * The runtime: allocation, log lines, the abort flag. */
#include "base/runtime_impl.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cpu.h"
#include "base/mathsafe.h"
#include "base/pool.h"

#define ALIGN_BYTES 64
#define MAX_THREADS 256
#define LOG_LINE_BYTES 2048

struct lfm2_runtime {
    lfm2_runtime_params params; /* params.alloc NULL: the C library */
    atomic_int aborted;
    uint32_t cpu_flags;
    int32_t n_threads;
    lfm2__pool *pool;
};

/* --- memory --- */

/* malloc() and calloc() align to 16 bytes; the block is moved up to the next 64 and the distance (1..64) is kept in the byte
 * before it. Unlike aligned_alloc() and memset() this leaves the pages of a large zeroed block untouched. */
static void *libc_alloc(size_t n_bytes, int zeroed)
{
    size_t whole;
    if (lfm2__add_size(n_bytes, ALIGN_BYTES, &whole) < 0) return NULL;
    unsigned char *raw = zeroed ? calloc(1, whole) : malloc(whole);
    if (raw == NULL) return NULL;
    const size_t shift = ALIGN_BYTES - (uintptr_t)raw % ALIGN_BYTES;
    raw[shift - 1] = (unsigned char)shift;
    return raw + shift;
}

static void libc_free(void *p)
{
    unsigned char *block = p;
    free(block - block[-1]);
}

static void *alloc_block(const lfm2_runtime_params *params, size_t n_bytes, int zeroed)
{
    if (n_bytes == 0 || n_bytes > PTRDIFF_MAX) return NULL;
    if (params->alloc == NULL) return libc_alloc(n_bytes, zeroed);
    void *p = params->alloc(params->alloc_ctx, n_bytes, ALIGN_BYTES);
    if (p != NULL && zeroed) memset(p, 0, n_bytes);
    return p;
}

static void free_block(const lfm2_runtime_params *params, void *p)
{
    if (p == NULL) return;
    if (params->free == NULL) {
        libc_free(p);
    } else {
        params->free(params->alloc_ctx, p);
    }
}

void *lfm2__alloc(lfm2_runtime *rt, size_t n_bytes)
{
    return alloc_block(&rt->params, n_bytes, 0);
}

void *lfm2__calloc(lfm2_runtime *rt, size_t n, size_t elem_bytes)
{
    size_t bytes;
    if (lfm2__mul_size(n, elem_bytes, &bytes) < 0) return NULL;
    return alloc_block(&rt->params, bytes, 1);
}

void *lfm2__grow(lfm2_runtime *rt, void *p, size_t old_bytes, size_t new_bytes)
{
    void *q = lfm2__alloc(rt, new_bytes);
    if (q == NULL) return NULL;
    if (p != NULL) {
        memcpy(q, p, old_bytes < new_bytes ? old_bytes : new_bytes);
        lfm2__free(rt, p);
    }
    return q;
}

void lfm2__free(lfm2_runtime *rt, void *p)
{
    free_block(&rt->params, p);
}

char *lfm2__strndup(lfm2_runtime *rt, const char *s, size_t n)
{
    size_t bytes;
    if (lfm2__add_size(n, 1, &bytes) < 0) return NULL;
    char *copy = lfm2__alloc(rt, bytes);
    if (copy == NULL) return NULL;
    if (n > 0) memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

/* --- log --- */

/* Names in a line come from files: whatever could break the line or steer a terminal becomes '?'. */
static void make_printable(char *line)
{
    for (unsigned char *c = (unsigned char *)line; *c != '\0'; c++) {
        if (*c < 0x20 || *c == 0x7f) {
            *c = '?';
        } else if (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0) { /* U+0080..U+009F in UTF-8 */
            *c = '?';
            *++c = '?';
        }
    }
}

/* Shorten a full buffer to whole code points and mark it. */
static void mark_cut(char *line, size_t cap)
{
    static const char mark[] = "...";
    size_t end = cap - sizeof mark;
    while (end > 0 && ((unsigned char)line[end] & 0xc0) == 0x80) end--;
    memcpy(line + end, mark, sizeof mark);
}

static void log_line(const lfm2_runtime_params *params, lfm2_log_level level, const char *fmt, va_list args)
{
    if (params->log == NULL) return;
    char line[LOG_LINE_BYTES];
    const int n = vsnprintf(line, sizeof line, fmt, args);
    if (n < 0) return;
    if ((size_t)n >= sizeof line) mark_cut(line, sizeof line);
    make_printable(line);
    params->log(params->log_ctx, level, line);
}

void lfm2__log(lfm2_runtime *rt, lfm2_log_level level, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    log_line(&rt->params, level, fmt, args);
    va_end(args);
}

int lfm2__fail(lfm2_runtime *rt, int status, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    log_line(&rt->params, LFM2_LOG_ERROR, fmt, args);
    va_end(args);
    return status;
}

/* The same where there is no runtime yet. */
static int fail_params(const lfm2_runtime_params *params, int status, const char *fmt, ...) LFM2__PRINTF(3, 4);

static int fail_params(const lfm2_runtime_params *params, int status, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    log_line(params, LFM2_LOG_ERROR, fmt, args);
    va_end(args);
    return status;
}

/* --- life --- */

lfm2_runtime_params lfm2_runtime_params_default(void)
{
    const lfm2_runtime_params params = {.cpu_mask = LFM2_CPU_MASK_ALL};
    return params;
}

static int check_params(const lfm2_runtime_params *p)
{
    if ((p->alloc == NULL) != (p->free == NULL)) {
        return fail_params(p, LFM2_ERR_ARG, "runtime: alloc and free: only one of them is set");
    }
    if (p->n_threads < 0 || p->n_threads > MAX_THREADS) {
        return fail_params(p, LFM2_ERR_ARG, "runtime: n_threads: %d is not in 0..%d", (int)p->n_threads, MAX_THREADS);
    }
    if (p->guard_mapped != 0 && p->guard_mapped != 1) {
        return fail_params(p, LFM2_ERR_ARG, "runtime: guard_mapped: %d is not 0 or 1", (int)p->guard_mapped);
    }
    for (size_t i = 0; i < LFM2__COUNT_OF(p->reserved); i++) {
        if (p->reserved[i] != 0) return fail_params(p, LFM2_ERR_ARG, "runtime: reserved: not zero");
    }
    return 0;
}

int lfm2_runtime_create(const lfm2_runtime_params *params, lfm2_runtime **out)
{
    const lfm2_runtime_params defaults = lfm2_runtime_params_default();
    if (params == NULL) params = &defaults;
    if (out == NULL) return fail_params(params, LFM2_ERR_ARG, "runtime: out: NULL");
    int rc = check_params(params);
    if (rc < 0) return rc;

    lfm2_runtime *rt = alloc_block(params, sizeof *rt, 1);
    if (rt == NULL) return fail_params(params, LFM2_ERR_NOMEM, "runtime: out of memory");
    rt->params = *params;
    atomic_init(&rt->aborted, 0);
    rt->cpu_flags = lfm2__cpu_detect() & params->cpu_mask;
    rt->n_threads = params->n_threads > 0 ? params->n_threads : lfm2__cpu_n_cores();
    if (rt->n_threads > MAX_THREADS) rt->n_threads = MAX_THREADS;
    rc = lfm2__pool_create(rt, rt->n_threads, &rt->pool);
    if (rc < 0) {
        lfm2_runtime_destroy(rt);
        return rc;
    }
    *out = rt;
    return 0;
}

void lfm2_runtime_destroy(lfm2_runtime *rt)
{
    if (rt == NULL) return;
    lfm2__pool_destroy(rt->pool);
    const lfm2_runtime_params params = rt->params;
    free_block(&params, rt);
}

void lfm2_runtime_abort(lfm2_runtime *rt)
{
    if (rt != NULL) atomic_store_explicit(&rt->aborted, 1, memory_order_relaxed);
}

void lfm2_runtime_clear_abort(lfm2_runtime *rt)
{
    if (rt != NULL) atomic_store_explicit(&rt->aborted, 0, memory_order_relaxed);
}

int64_t lfm2__now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int lfm2__aborted(const lfm2_runtime *rt)
{
    return atomic_load_explicit(&rt->aborted, memory_order_relaxed);
}

int32_t lfm2_runtime_n_threads(const lfm2_runtime *rt)
{
    return rt->n_threads;
}

uint32_t lfm2_runtime_cpu_flags(const lfm2_runtime *rt)
{
    return rt->cpu_flags;
}

const char *lfm2_cpu_flag_name(uint32_t flag)
{
    switch (flag) {
    case LFM2_CPU_AVX2: return "avx2";
    case LFM2_CPU_AVX512: return "avx512";
    case LFM2_CPU_AVX512VNNI: return "avx512vnni";
    case LFM2_CPU_AVX512BF16: return "avx512bf16";
    case LFM2_CPU_NEON: return "neon";
    case LFM2_CPU_DOTPROD: return "dotprod";
    case LFM2_CPU_I8MM: return "i8mm";
    case LFM2_CPU_BLAS: return "blas";
    default: return NULL;
    }
}

struct lfm2__pool *lfm2__runtime_pool(lfm2_runtime *rt)
{
    return rt->pool;
}

int lfm2__runtime_guards_mapped(const lfm2_runtime *rt)
{
    return rt->params.guard_mapped;
}
