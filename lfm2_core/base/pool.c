/* SPDX-License-Identifier: Apache-2.0
 * Thread pool. A run opens a job, wakes whoever sleeps, takes tasks itself from the shared counter, closes the job and waits
 * for the workers that had joined it. A worker that comes late finds the job closed: nobody waits for sleepers. */
#include "base/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/runtime_impl.h"

/* A forward pass runs job after job: a worker looks this often for the next one before it sleeps (some 10 us). */
#define N_SPINS 1000

struct lfm2__pool;

typedef struct worker {
    struct lfm2__pool *pool;
    int32_t index; /* 1..n_threads-1 */
    pthread_t thread;
} worker;

struct lfm2__pool {
    lfm2_runtime *rt;
    int32_t n_threads;
    int32_t n_workers; /* started */
    int n_inited;      /* of the four primitives below, in this order */
    pthread_mutex_t turn; /* held by the thread whose run it is */
    pthread_mutex_t sleep;
    pthread_cond_t wake; /* a job was opened, or the pool is stopping */
    pthread_cond_t done; /* the last worker has left the job */

    uint32_t last_job; /* under `turn` */
    lfm2__task_fn *fn; /* these three: written before the job opens, read only inside it */
    void *ctx;
    int32_t n_tasks;

    /* Sequentially consistent: each of the pairs (job, n_joined), (job, n_asleep), (n_joined, caller_waits) is written on one
     * side and then read on the other, and at least one side has to see the other's write. */
    _Atomic uint32_t job; /* number of the open job, 0 = none */
    _Atomic uint32_t next_task; /* runs past n_tasks by one for each thread: unsigned has the room */
    _Atomic int32_t n_joined;
    _Atomic int32_t n_asleep;
    _Atomic int caller_waits;
    _Atomic int stopping;

    worker workers[];
};

static void take_tasks(lfm2__pool *pool, int32_t index)
{
    for (;;) {
        const uint32_t task = atomic_fetch_add_explicit(&pool->next_task, 1, memory_order_relaxed);
        if (task >= (uint32_t)pool->n_tasks) return;
        pool->fn(pool->ctx, (int32_t)task, index);
    }
}

/* Wait for a job other than `seen`. Returns its number, 0 when the pool stops. */
static uint32_t wait_for_job(lfm2__pool *pool, uint32_t seen)
{
    for (int i = 0; i < N_SPINS; i++) {
        const uint32_t job = atomic_load(&pool->job);
        if (job != 0 && job != seen) return job;
        LFM2__SPIN_PAUSE();
    }
    uint32_t job;
    pthread_mutex_lock(&pool->sleep);
    atomic_fetch_add(&pool->n_asleep, 1);
    for (;;) {
        if (atomic_load(&pool->stopping)) {
            job = 0;
            break;
        }
        job = atomic_load(&pool->job);
        if (job != 0 && job != seen) break;
        pthread_cond_wait(&pool->wake, &pool->sleep);
    }
    atomic_fetch_sub(&pool->n_asleep, 1);
    pthread_mutex_unlock(&pool->sleep);
    return job;
}

static void leave_job(lfm2__pool *pool)
{
    if (atomic_fetch_sub(&pool->n_joined, 1) != 1 || !atomic_load(&pool->caller_waits)) return;
    pthread_mutex_lock(&pool->sleep);
    pthread_cond_signal(&pool->done);
    pthread_mutex_unlock(&pool->sleep);
}

static void *worker_main(void *arg)
{
    const worker *self = arg;
    lfm2__pool *pool = self->pool;
    uint32_t seen = 0;
    for (;;) {
        if (wait_for_job(pool, seen) == 0) return NULL;
        atomic_fetch_add(&pool->n_joined, 1);
        /* Only now that the caller would wait for this worker: is a job still open, and which? */
        const uint32_t job = atomic_load(&pool->job);
        if (job != 0) {
            take_tasks(pool, self->index);
            seen = job;
        }
        leave_job(pool);
    }
}

/* All signals that are not about the thread's own instructions go to the application's threads. */
static int start_worker(worker *w)
{
    sigset_t blocked, before;
    sigfillset(&blocked);
    sigdelset(&blocked, SIGBUS);
    sigdelset(&blocked, SIGSEGV);
    sigdelset(&blocked, SIGFPE);
    sigdelset(&blocked, SIGILL);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    const int failed = pthread_create(&w->thread, NULL, worker_main, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed ? -1 : 0;
}

static int init_primitives(lfm2__pool *pool)
{
    if (pthread_mutex_init(&pool->turn, NULL) != 0) return -1;
    pool->n_inited++;
    if (pthread_mutex_init(&pool->sleep, NULL) != 0) return -1;
    pool->n_inited++;
    if (pthread_cond_init(&pool->wake, NULL) != 0) return -1;
    pool->n_inited++;
    if (pthread_cond_init(&pool->done, NULL) != 0) return -1;
    pool->n_inited++;
    return 0;
}

int lfm2__pool_create(lfm2_runtime *rt, int32_t n_threads, lfm2__pool **out)
{
    if (n_threads < 1) return lfm2__fail(rt, LFM2_ERR_ARG, "pool: n_threads: %d is not positive", (int)n_threads);
    const size_t bytes = sizeof(lfm2__pool) + (size_t)(n_threads - 1) * sizeof(worker);
    lfm2__pool *pool = lfm2__calloc(rt, 1, bytes);
    if (pool == NULL) return lfm2__fail(rt, LFM2_ERR_NOMEM, "pool: out of memory");
    pool->rt = rt;
    pool->n_threads = n_threads;
    atomic_init(&pool->job, 0);
    atomic_init(&pool->next_task, 0);
    atomic_init(&pool->n_joined, 0);
    atomic_init(&pool->n_asleep, 0);
    atomic_init(&pool->caller_waits, 0);
    atomic_init(&pool->stopping, 0);
    if (init_primitives(pool) < 0) goto fail;
    for (int32_t i = 0; i < n_threads - 1; i++) {
        pool->workers[i].pool = pool;
        pool->workers[i].index = i + 1;
        if (start_worker(&pool->workers[i]) < 0) goto fail;
        pool->n_workers++;
    }
    *out = pool;
    return 0;

fail:
    (void)lfm2__fail(rt, LFM2_ERR_NOMEM, "pool: cannot start %d threads", (int)n_threads);
    lfm2__pool_destroy(pool);
    return LFM2_ERR_NOMEM;
}

void lfm2__pool_destroy(lfm2__pool *pool)
{
    if (pool == NULL) return;
    if (pool->n_workers > 0) {
        pthread_mutex_lock(&pool->sleep);
        atomic_store(&pool->stopping, 1);
        pthread_cond_broadcast(&pool->wake);
        pthread_mutex_unlock(&pool->sleep);
        for (int32_t i = 0; i < pool->n_workers; i++) pthread_join(pool->workers[i].thread, NULL);
    }
    if (pool->n_inited > 3) pthread_cond_destroy(&pool->done);
    if (pool->n_inited > 2) pthread_cond_destroy(&pool->wake);
    if (pool->n_inited > 1) pthread_mutex_destroy(&pool->sleep);
    if (pool->n_inited > 0) pthread_mutex_destroy(&pool->turn);
    lfm2__free(pool->rt, pool);
}

int32_t lfm2__pool_n_threads(const lfm2__pool *pool)
{
    return pool->n_threads;
}

static void wait_for_joined(lfm2__pool *pool)
{
    for (int i = 0; i < N_SPINS; i++) {
        if (atomic_load(&pool->n_joined) == 0) return;
        LFM2__SPIN_PAUSE();
    }
    pthread_mutex_lock(&pool->sleep);
    atomic_store(&pool->caller_waits, 1);
    while (atomic_load(&pool->n_joined) != 0) pthread_cond_wait(&pool->done, &pool->sleep);
    atomic_store(&pool->caller_waits, 0);
    pthread_mutex_unlock(&pool->sleep);
}

static void run_shared(lfm2__pool *pool)
{
    atomic_store_explicit(&pool->next_task, 0, memory_order_relaxed);
    if (++pool->last_job == 0) pool->last_job = 1;
    atomic_store(&pool->job, pool->last_job);
    if (atomic_load(&pool->n_asleep) > 0) {
        pthread_mutex_lock(&pool->sleep);
        pthread_cond_broadcast(&pool->wake);
        pthread_mutex_unlock(&pool->sleep);
    }
    take_tasks(pool, 0);
    atomic_store(&pool->job, 0);
    wait_for_joined(pool);
}

void lfm2__pool_run(lfm2__pool *pool, lfm2__task_fn *fn, void *ctx, int32_t n_tasks)
{
    if (n_tasks <= 0) return;
    pthread_mutex_lock(&pool->turn);
    if (n_tasks == 1 || pool->n_workers == 0) {
        for (int32_t i = 0; i < n_tasks; i++) fn(ctx, i, 0);
    } else {
        pool->fn = fn;
        pool->ctx = ctx;
        pool->n_tasks = n_tasks;
        run_shared(pool);
    }
    pthread_mutex_unlock(&pool->turn);
}
