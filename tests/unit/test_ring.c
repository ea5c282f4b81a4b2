/* SPDX-License-Identifier: Apache-2.0
 * The ring between two threads: order, what is overwritten, and (under the thread sanitizer) that nothing races. */
#include "base_testing.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "pipeline/ring.h"

static lfm2__ring *make(lfm2_runtime *rt, int64_t cap)
{
    lfm2__ring *r = NULL;
    assert_int_equal(lfm2__ring_create(rt, cap, &r), 0);
    return r;
}

static void push_numbers(lfm2__ring *r, int from, int n)
{
    float x[64];
    assert_in_range(n, 0, 64);
    for (int i = 0; i < n; i++) x[i] = (float)(from + i);
    lfm2__ring_push(r, x, (size_t)n);
}

static void test_order(void **state)
{
    (void)state;
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    lfm2__ring *r = make(rt, 16);
    float x[64];
    int in = 0, out = 0;
    assert_int_equal(lfm2__ring_pop(r, x, 64), 0);
    for (int i = 0; i < 100; i++) {
        push_numbers(r, in, i % 9);
        in += i % 9;
        const size_t n = lfm2__ring_pop(r, x, (size_t)(i % 2 ? 64 : 3));
        for (size_t j = 0; j < n; j++) assert_true(x[j] == (float)out++);
    }
    assert_int_equal(lfm2__ring_n_lost(r), 0);
    assert_int_equal(lfm2__ring_n_pushed(r), in);
    lfm2__ring_destroy(r);
    lfm2_runtime_destroy(rt);
}

/* The oldest go; what is left stays in order; the sum is right. */
static void test_overwritten(void **state)
{
    (void)state;
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    lfm2__ring *r = make(rt, 9); /* becomes 16 */
    float x[64];
    push_numbers(r, 0, 10);
    push_numbers(r, 10, 10);
    assert_int_equal(lfm2__ring_pop(r, x, 5), 5);
    assert_true(x[0] == 4 && x[4] == 8);
    assert_int_equal(lfm2__ring_n_lost(r), 4);
    push_numbers(r, 20, 64); /* more than it holds, at once */
    assert_int_equal(lfm2__ring_pop(r, x, 64), 16);
    assert_true(x[0] == 68 && x[15] == 83);
    assert_int_equal(lfm2__ring_n_lost(r), 4 + 59);
    assert_int_equal(lfm2__ring_pop(r, x, 64), 0);
    assert_int_equal(lfm2__ring_n_pushed(r), 84);
    lfm2__ring_destroy(r);
    lfm2_runtime_destroy(rt);
}

static void test_refused(void **state)
{
    (void)state;
    test_heap heap = { 0 };
    lfm2_runtime *rt = test_runtime(1, &heap, NULL);
    lfm2__ring *r = NULL;
    assert_int_equal(lfm2__ring_create(rt, 0, &r), LFM2_ERR_ARG);
    assert_int_equal(lfm2__ring_create(rt, ((int64_t)1 << 30) + 1, &r), LFM2_ERR_ARG);
    lfm2__ring_destroy(NULL);
    for (long k = 0; test_fail_next(&heap, &k);) {
        const int rc = lfm2__ring_create(rt, 100, &r);
        assert_int_equal(rc, test_has_failed(&heap) ? LFM2_ERR_NOMEM : 0);
        lfm2__ring_destroy(r);
        r = NULL;
    }
    lfm2_runtime_destroy(rt);
    assert_int_equal(heap.n_live, 0);
}

typedef struct producer {
    lfm2__ring *r;
    int n_rounds;
    _Atomic(int) done;
} producer;

enum { FRAME = 2, PIECE = 10 };

/* Frames of two channels: n and -n. */
static void *produce(void *ctx)
{
    producer *p = ctx;
    float x[FRAME * PIECE];
    int at = 0;
    for (int i = 0; i < p->n_rounds; i++) {
        const int n = 1 + i % PIECE;
        for (int j = 0; j < n; j++, at++) {
            x[2 * j] = (float)at;
            x[2 * j + 1] = (float)-at;
        }
        lfm2__ring_push(p->r, x, (size_t)(FRAME * n));
        if (i % 7 == 0) (void)sched_yield();
    }
    atomic_store(&p->done, 1);
    return NULL;
}

/* One thread pushes as fast as it can, the other pops: every value pops once, in order, whole frames, or is counted as lost. */
static void run_threads(int64_t cap, int n_rounds)
{
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    producer p = { .r = make(rt, cap), .n_rounds = n_rounds };
    pthread_t thread;
    float x[FRAME * 32];
    int64_t n_popped = 0;
    int last = -1, done = 0;
    assert_int_equal(pthread_create(&thread, NULL, produce, &p), 0);
    for (size_t n = 1; !done || n > 0;) {
        done = atomic_load(&p.done);
        n = lfm2__ring_pop(p.r, x, LFM2__COUNT_OF(x));
        assert_int_equal(n % FRAME, 0);
        for (size_t i = 0; i < n; i += FRAME) {
            assert_true((int)x[i] > last && x[i + 1] == -x[i]);
            last = (int)x[i];
        }
        n_popped += (int64_t)n;
        if (n == 0) (void)sched_yield();
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(n_popped + lfm2__ring_n_lost(p.r), lfm2__ring_n_pushed(p.r));
    assert_int_equal(last, lfm2__ring_n_pushed(p.r) / FRAME - 1); /* the newest is never lost */
    lfm2__ring_destroy(p.r);
    lfm2_runtime_destroy(rt);
}

static void test_threads(void **state)
{
    (void)state;
    run_threads(1 << 20, 20000); /* nothing need be lost */
    run_threads(64, 20000);      /* much is overwritten, some of it while it is being read */
    run_threads(16, 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_overwritten),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
