/* SPDX-License-Identifier: Apache-2.0
 * Thread pool: runs n tasks on the caller's thread and the workers, returns when all are done. */
#ifndef LFM2__POOL_H
#define LFM2__POOL_H

#include <stdint.h>

#include "base/compiler.h"
#include "lfm2/runtime.h"

typedef struct lfm2__pool lfm2__pool;

/* A task must not call lfm2__pool_run() on the same pool, allocate, or log.
 * worker: 0..n_threads-1, constant during the task; 0 is the caller of lfm2__pool_run(). For per-thread scratch only:
 * the result of a task must not depend on it. */
typedef void lfm2__task_fn(void *ctx, int32_t task, int32_t worker);

/* n_threads >= 1, the caller's included: n_threads - 1 workers are started. Returns 0 or LFM2_ERR_NOMEM. */
int lfm2__pool_create(lfm2_runtime *rt, int32_t n_threads, lfm2__pool **out) LFM2__NODISCARD;
void lfm2__pool_destroy(lfm2__pool *pool);

int32_t lfm2__pool_n_threads(const lfm2__pool *pool);

/* Run fn for every task 0..n_tasks-1, in no stated order. Calls from several threads take turns. */
void lfm2__pool_run(lfm2__pool *pool, lfm2__task_fn *fn, void *ctx, int32_t n_tasks);

#endif
