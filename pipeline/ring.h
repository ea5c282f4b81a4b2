/* SPDX-License-Identifier: Apache-2.0
 * Sound from one thread to another without a lock: one pushes and is never kept waiting, one pops. When it is full the oldest is
 * overwritten, and who pops learns how much. */
#ifndef LFM2__RING_H
#define LFM2__RING_H

#include "base/compiler.h"
#include "lfm2/runtime.h"

typedef struct lfm2__ring lfm2__ring;

/* For at least cap_values samples (1 .. 2^30, rounded up to a power of two). Returns 0; LFM2_ERR_ARG; LFM2_ERR_NOMEM. */
int lfm2__ring_create(lfm2_runtime *rt, int64_t cap_values, lfm2__ring **out) LFM2__NODISCARD;
void lfm2__ring_destroy(lfm2__ring *r); /* NULL is allowed */

/* The pushing thread only. Allocates nothing, waits for nothing. */
void lfm2__ring_push(lfm2__ring *r, const float *values, size_t n);

/* The popping thread only: up to cap values in order; returns how many. Channels that were pushed interleaved, two at most, in
 * whole frames and are popped in whole frames stay in step. */
size_t lfm2__ring_pop(lfm2__ring *r, float *values, size_t cap);

/* Any thread: values pushed so far. */
int64_t lfm2__ring_n_pushed(const lfm2__ring *r);

/* The popping thread only: values overwritten before they were popped. */
int64_t lfm2__ring_n_lost(const lfm2__ring *r);

#endif
