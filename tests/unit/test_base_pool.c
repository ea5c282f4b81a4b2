/* SPDX-License-Identifier: Apache-2.0
 * Thread pool: every task once, any number of threads and tasks, several callers, failure to start. */
#include "base_testing.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/pool.h"
#include "base/runtime_impl.h"

#define MAX_TASKS 1000

typedef struct tally {
    int32_t n_threads;
    atomic_int n_run[MAX_TASKS];
    atomic_int in_use[16]; /* by worker: never two tasks at once on one */
    atomic_int n_faults;
} tally;

static void count(void *ctx, int32_t task, int32_t worker)
{
    tally *t = ctx;
    if (worker < 0 || worker >= t->n_threads) {
        atomic_fetch_add(&t->n_faults, 1);
        return;
    }
    if (atomic_fetch_add(&t->in_use[worker], 1) != 0) atomic_fetch_add(&t->n_faults, 1);
    atomic_fetch_add(&t->n_run[task], 1);
    atomic_fetch_sub(&t->in_use[worker], 1);
}

static void every_task_once(void **state)
{
    (void)state;
    static const int32_t threads[] = {1, 2, 7}, tasks[] = {0, -1, 1, 2, 3, 7, 100, MAX_TASKS};
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    static tally t;
    for (size_t i = 0; i < LFM2__COUNT_OF(threads); i++) {
        lfm2__pool *pool = NULL;
        assert_int_equal(lfm2__pool_create(rt, threads[i], &pool), 0);
        assert_int_equal(lfm2__pool_n_threads(pool), threads[i]);
        for (size_t j = 0; j < LFM2__COUNT_OF(tasks); j++) {
            memset(&t, 0, sizeof t);
            t.n_threads = threads[i];
            for (int round = 1; round <= 30; round++) {
                lfm2__pool_run(pool, count, &t, tasks[j]);
                for (int32_t k = 0; k < MAX_TASKS; k++) assert_int_equal(t.n_run[k], k < tasks[j] ? round : 0);
            }
            assert_int_equal(t.n_faults, 0);
        }
        lfm2__pool_destroy(pool);
    }
    lfm2__pool_destroy(NULL);
    lfm2_runtime_destroy(rt);
}

/* Plain memory, no atomics: what tasks write is there when run returns, and the next run sees it. */
static void add_one(void *ctx, int32_t task, int32_t worker)
{
    (void)worker;
    ((int *)ctx)[task]++;
}

static void results_are_visible(void **state)
{
    (void)state;
    lfm2_runtime *rt = test_runtime(7, NULL, NULL);
    int values[64] = {0};
    for (int round = 1; round <= 2000; round++) {
        lfm2__pool_run(lfm2__runtime_pool(rt), add_one, values, 64);
        if (round % 100 == 0) usleep(500); /* let workers fall asleep now and then */
        for (int i = 0; i < 64; i++) {
            if (values[i] != round) fail_msg("task %d ran %d times in %d runs", i, values[i], round);
        }
    }
    lfm2_runtime_destroy(rt);
}

/* All threads take part: each task waits until all have begun. */
static void rendezvous(void *ctx, int32_t task, int32_t worker)
{
    (void)task;
    (void)worker;
    atomic_int *n_begun = ctx;
    atomic_fetch_add(n_begun, 1);
    while (atomic_load(n_begun) < 4) LFM2__SPIN_PAUSE();
}

static void tasks_run_at_once(void **state)
{
    (void)state;
    lfm2_runtime *rt = test_runtime(4, NULL, NULL);
    for (int round = 0; round < 20; round++) {
        atomic_int n_begun = 0;
        lfm2__pool_run(lfm2__runtime_pool(rt), rendezvous, &n_begun, 4); /* would hang with fewer than 4 threads */
        assert_int_equal(n_begun, 4);
        if (round % 5 == 0) usleep(2000);
    }
    lfm2_runtime_destroy(rt);
}

typedef struct caller {
    pthread_t thread;
    lfm2__pool *pool;
    int values[50];
} caller;

static void *call_often(void *arg)
{
    caller *c = arg;
    for (int i = 0; i < 300; i++) lfm2__pool_run(c->pool, add_one, c->values, i % 2 ? 50 : 1);
    return NULL;
}

static void concurrent_callers(void **state)
{
    (void)state;
    static const int32_t threads[] = {1, 2, 7};
    for (size_t i = 0; i < LFM2__COUNT_OF(threads); i++) {
        lfm2_runtime *rt = test_runtime(threads[i], NULL, NULL);
        static caller callers[4];
        memset(callers, 0, sizeof callers);
        for (size_t k = 0; k < LFM2__COUNT_OF(callers); k++) {
            callers[k].pool = lfm2__runtime_pool(rt);
            assert_int_equal(pthread_create(&callers[k].thread, NULL, call_often, &callers[k]), 0);
        }
        for (size_t k = 0; k < LFM2__COUNT_OF(callers); k++) {
            assert_int_equal(pthread_join(callers[k].thread, NULL), 0);
            assert_int_equal(callers[k].values[0], 300);
            for (int j = 1; j < 50; j++) assert_int_equal(callers[k].values[j], 150);
        }
        lfm2_runtime_destroy(rt);
    }
}

static void created_and_destroyed(void **state)
{
    (void)state;
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    for (int i = 0; i < 200; i++) { /* stop must reach workers in every phase of their life */
        lfm2__pool *pool = NULL;
        assert_int_equal(lfm2__pool_create(rt, 4, &pool), 0);
        int values[4] = {0};
        if (i % 3 == 0) lfm2__pool_run(pool, add_one, values, 4);
        if (i % 5 == 0) usleep(300);
        lfm2__pool_destroy(pool);
        assert_int_equal(values[3], i % 3 == 0);
    }
    lfm2_runtime_destroy(rt);
}

static void bad_arguments(void **state)
{
    (void)state;
    test_heap heap = {0};
    lfm2_runtime *rt = test_runtime(1, &heap, NULL);
    const long n_live = heap.n_live;
    lfm2__pool *pool = NULL;
    assert_int_equal(lfm2__pool_create(rt, 0, &pool), LFM2_ERR_ARG);
    assert_int_equal(lfm2__pool_create(rt, -5, &pool), LFM2_ERR_ARG);
    heap.fail_at = heap.n_calls + 1;
    assert_int_equal(lfm2__pool_create(rt, 2, &pool), LFM2_ERR_NOMEM);
    assert_null(pool);
    assert_int_equal(heap.n_live, n_live);
    lfm2_runtime_destroy(rt);
}

static void signals_seen_by_task(void *ctx, int32_t task, int32_t worker)
{
    (void)task;
    atomic_int *n_wrong = ctx;
    sigset_t now;
    pthread_sigmask(SIG_SETMASK, NULL, &now);
    const int term_blocked = sigismember(&now, SIGTERM), bus_blocked = sigismember(&now, SIGBUS);
    if (bus_blocked || (worker > 0 && !term_blocked) || (worker == 0 && term_blocked)) atomic_fetch_add(n_wrong, 1);
    usleep(100); /* so that workers get tasks, too */
}

static void workers_leave_signals_alone(void **state)
{
    (void)state;
    lfm2_runtime *rt = test_runtime(3, NULL, NULL);
    atomic_int n_wrong = 0;
    lfm2__pool_run(lfm2__runtime_pool(rt), signals_seen_by_task, &n_wrong, 50);
    assert_int_equal(n_wrong, 0);
    lfm2_runtime_destroy(rt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_once),    cmocka_unit_test(results_are_visible),   cmocka_unit_test(tasks_run_at_once),
        cmocka_unit_test(concurrent_callers), cmocka_unit_test(created_and_destroyed), cmocka_unit_test(bad_arguments),
        cmocka_unit_test(workers_leave_signals_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
