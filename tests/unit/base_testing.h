/* SPDX-License-Identifier: Apache-2.0
 * For the tests of the base layer: cmocka, a heap that fails on demand and counts, a log that remembers. */
#ifndef BASE_TESTING_H
#define BASE_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "lfm2/runtime.h"

/* 1 under the thread sanitizer; 1 under any whose shadow memory upsets what is said about sizes of the process. */
#if defined(__has_feature)
#define TEST_HAS_TSAN __has_feature(thread_sanitizer)
#define TEST_HAS_SHADOW (TEST_HAS_TSAN || __has_feature(address_sanitizer) || __has_feature(memory_sanitizer))
#else
#if defined(__SANITIZE_THREAD__)
#define TEST_HAS_TSAN 1
#else
#define TEST_HAS_TSAN 0
#endif
#if defined(__SANITIZE_ADDRESS__)
#define TEST_HAS_SHADOW 1
#else
#define TEST_HAS_SHADOW TEST_HAS_TSAN
#endif
#endif

typedef struct test_heap {
    long n_calls; /* of alloc */
    long fail_at; /* the alloc call that fails, counted from 1; 0 = none */
    long n_live;
    size_t last_align;
} test_heap;

static inline void *test_heap_alloc(void *ctx, size_t n_bytes, size_t align)
{
    test_heap *heap = ctx;
    heap->last_align = align;
    if (++heap->n_calls == heap->fail_at) return NULL;
    void *p = aligned_alloc(align, (n_bytes + align - 1) / align * align);
    if (p != NULL) {
        memset(p, 0xa5, n_bytes); /* nobody may count on zeroes */
        heap->n_live++;
    }
    return p;
}

static inline void test_heap_free(void *ctx, void *p)
{
    test_heap *heap = ctx;
    if (p != NULL) heap->n_live--;
    free(p);
}

typedef struct test_log {
    int n_lines;
    lfm2_log_level level; /* of the last line */
    char line[4096];
} test_log;

static inline void test_log_line(void *ctx, lfm2_log_level level, const char *line)
{
    test_log *log = ctx;
    log->n_lines++;
    log->level = level;
    assert_true(strlen(line) < sizeof log->line);
    strcpy(log->line, line);
}

/* A runtime of n_threads with a counting heap and a log; either may be NULL. */
static inline lfm2_runtime *test_runtime(int32_t n_threads, test_heap *heap, test_log *log)
{
    lfm2_runtime_params params = lfm2_runtime_params_default();
    params.n_threads = n_threads;
    if (heap != NULL) {
        params.alloc = test_heap_alloc;
        params.free = test_heap_free;
        params.alloc_ctx = heap;
    }
    if (log != NULL) {
        params.log = test_log_line;
        params.log_ctx = log;
    }
    lfm2_runtime *rt = NULL;
    assert_int_equal(lfm2_runtime_create(&params, &rt), 0);
    assert_non_null(rt);
    return rt;
}

#endif
