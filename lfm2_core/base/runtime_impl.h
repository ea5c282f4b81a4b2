/* SPDX-License-Identifier: Apache-2.0
 * What the library's own files may do with a runtime: allocate, log, poll the abort flag, reach the pool. */
#ifndef LFM2__RUNTIME_IMPL_H
#define LFM2__RUNTIME_IMPL_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "lfm2/runtime.h"

struct lfm2__pool;

/* Uninitialised memory, 64-byte aligned; NULL on failure or n_bytes == 0. */
void *lfm2__alloc(lfm2_runtime *rt, size_t n_bytes) LFM2__NODISCARD;

/* Zeroed array of n elements of elem_bytes; NULL on failure, on overflow, or if it would be empty. */
void *lfm2__calloc(lfm2_runtime *rt, size_t n, size_t elem_bytes) LFM2__NODISCARD;

/* Grow p from old_bytes to new_bytes, keeping its content; on failure returns NULL and p stays valid. p may be NULL. */
void *lfm2__grow(lfm2_runtime *rt, void *p, size_t old_bytes, size_t new_bytes) LFM2__NODISCARD;

/* Free what the functions above gave; NULL is allowed. */
void lfm2__free(lfm2_runtime *rt, void *p);

/* Microseconds of a clock that only goes forward. */
int64_t lfm2__now_us(void);

/* Copy of n bytes with a NUL behind it; NULL on failure. */
char *lfm2__strndup(lfm2_runtime *rt, const char *s, size_t n) LFM2__NODISCARD;

/* Send one line to the log callback. Never pass content: no prompt, no transcript, no token text. */
void lfm2__log(lfm2_runtime *rt, lfm2_log_level level, const char *fmt, ...) LFM2__PRINTF(3, 4);

/* Log why (at LFM2_LOG_ERROR) and return status, so that a failing function ends in one statement:
 * `return lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: %s: ...", file, field);` */
int lfm2__fail(lfm2_runtime *rt, int status, const char *fmt, ...) LFM2__PRINTF(3, 4);

/* 1 once lfm2_runtime_abort() was called. Cheap; computing loops poll it at least every 50 ms. */
int lfm2__aborted(const lfm2_runtime *rt);

struct lfm2__pool *lfm2__runtime_pool(lfm2_runtime *rt);
int lfm2__runtime_guards_mapped(const lfm2_runtime *rt);

#endif
