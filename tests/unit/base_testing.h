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

#if defined(__has_include)
#if __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>
#endif
#endif
#ifndef ASAN_POISON_MEMORY_REGION
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

/* Starts as zeroes; every field may be set at any time. */
typedef struct test_heap {
    long n_calls; /* of alloc */
    long fail_at; /* the alloc call that fails, counted from 1; 0 = none */
    long n_live;
    size_t live_bytes, peak_bytes, total_bytes; /* total: ever given out */
    unsigned char fill;   /* of new memory, as nobody may count on zeroes; 0 = a pattern that is no special value */
    long n_live_at_turn;  /* test_fail_next()'s */
} test_heap;

/* What the library asks for everywhere, and room before each block for its size. */
#define TEST_ALIGN 64

static inline void *test_heap_alloc(void *ctx, size_t n_bytes, size_t align)
{
    test_heap *heap = ctx;
    void *block = NULL;
    assert_int_equal(align, TEST_ALIGN);
    if (++heap->n_calls == heap->fail_at) return NULL;
    if (posix_memalign(&block, align, TEST_ALIGN + n_bytes) != 0) return NULL;
    unsigned char *p = (unsigned char *)block + TEST_ALIGN;
    memcpy(block, &n_bytes, sizeof n_bytes);
    memset(p, heap->fill != 0 ? heap->fill : 0xa5, n_bytes);
    ASAN_POISON_MEMORY_REGION(block, TEST_ALIGN);
    heap->n_live++;
    heap->total_bytes += n_bytes;
    heap->live_bytes += n_bytes;
    if (heap->live_bytes > heap->peak_bytes) heap->peak_bytes = heap->live_bytes;
    return p;
}

static inline void test_heap_free(void *ctx, void *p)
{
    test_heap *heap = ctx;
    size_t n_bytes;
    if (p == NULL) return;
    void *block = (unsigned char *)p - TEST_ALIGN;
    ASAN_UNPOISON_MEMORY_REGION(block, TEST_ALIGN);
    memcpy(&n_bytes, block, sizeof n_bytes);
    heap->n_live--;
    heap->live_bytes -= n_bytes;
    free(block);
}

/* For a loop in which allocation 1, 2, .. of what its body does fails: sets up the next failure, false behind the turn that did
 * not get as far as it. Checks that no turn leaks. *k: number of the turn, 0 before the first. */
static inline int test_fail_next(test_heap *heap, long *k)
{
    const int was_last = *k > 0 && heap->n_calls < heap->fail_at;
    if (*k > 0) assert_int_equal(heap->n_live, heap->n_live_at_turn);
    heap->n_live_at_turn = heap->n_live;
    if (!was_last) ++*k;
    heap->fail_at = was_last ? 0 : heap->n_calls + *k;
    return !was_last;
}

/* Whether the failure that was set up has happened. */
static inline int test_has_failed(const test_heap *heap)
{
    return heap->fail_at > 0 && heap->n_calls >= heap->fail_at;
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

/* A runtime with a counting heap and a log; either may be NULL. */
static inline lfm2_runtime *test_runtime_with(lfm2_runtime_params params, test_heap *heap, test_log *log)
{
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

static inline lfm2_runtime *test_runtime(int32_t n_threads, test_heap *heap, test_log *log)
{
    lfm2_runtime_params params = lfm2_runtime_params_default();
    params.n_threads = n_threads;
    return test_runtime_with(params, heap, log);
}

/* A runtime of one thread that must be left as it was. */
typedef struct watched {
    lfm2_runtime *rt;
    test_log log;
    test_heap heap;
    long n_live_before;
    size_t bytes_before;
} watched;

static inline void watch_begin(watched *x)
{
    memset(x, 0, sizeof *x);
    x->rt = test_runtime(1, &x->heap, &x->log);
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

/* The same as fixture of a test. */
static inline int watch_setup(void **state)
{
    watched *x = test_malloc(sizeof *x);
    watch_begin(x);
    *state = x;
    return 0;
}

static inline int watch_teardown(void **state)
{
    watch_end(*state);
    test_free(*state);
    return 0;
}

#endif
