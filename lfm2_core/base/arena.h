/* SPDX-License-Identifier: Apache-2.0
 * Arena: one block, handed out front to back, given back by mark and release. For scratch of a forward pass. */
#ifndef LFM2__ARENA_H
#define LFM2__ARENA_H

#include <stddef.h>

#include "base/compiler.h"
#include "lfm2/runtime.h"

typedef struct lfm2__arena {
    lfm2_runtime *rt;
    unsigned char *base;
    size_t cap_bytes;
    size_t used_bytes;
    size_t peak_bytes; /* most ever used at once */
} lfm2__arena;

/* Returns 0 or LFM2_ERR_NOMEM; then the arena is zeroed. fini accepts a zeroed arena. */
int lfm2__arena_init(lfm2__arena *a, lfm2_runtime *rt, size_t cap_bytes) LFM2__NODISCARD;
void lfm2__arena_fini(lfm2__arena *a);

/* n * elem_bytes, 64-byte aligned, contents undefined; NULL if the arena is full or the size overflows. */
void *lfm2__arena_alloc(lfm2__arena *a, size_t n, size_t elem_bytes) LFM2__NODISCARD;

/* Bytes that lfm2__arena_alloc(n, elem_bytes) takes, to size an arena; SIZE_MAX on overflow. */
size_t lfm2__arena_bytes(size_t n, size_t elem_bytes);

size_t lfm2__arena_mark(const lfm2__arena *a);
void lfm2__arena_release(lfm2__arena *a, size_t mark);

#endif
