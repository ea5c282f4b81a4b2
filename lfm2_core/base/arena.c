/* SPDX-License-Identifier: Apache-2.0
 * Arena: a bump allocator over one block. */
#include "base/arena.h"

#include <string.h>

#include "base/mathsafe.h"
#include "base/runtime_impl.h"

#define ARENA_ALIGN 64

int lfm2__arena_init(lfm2__arena *a, lfm2_runtime *rt, size_t cap_bytes)
{
    memset(a, 0, sizeof *a);
    if (cap_bytes == 0) return 0;
    unsigned char *base = lfm2__alloc(rt, cap_bytes);
    if (base == NULL) return LFM2_ERR_NOMEM;
    a->rt = rt;
    a->base = base;
    a->cap_bytes = cap_bytes;
    return 0;
}

void lfm2__arena_fini(lfm2__arena *a)
{
    if (a->base != NULL) lfm2__free(a->rt, a->base);
    memset(a, 0, sizeof *a);
}

size_t lfm2__arena_bytes(size_t n, size_t elem_bytes)
{
    size_t bytes;
    if (lfm2__mul_size(n, elem_bytes, &bytes) < 0 || lfm2__align_size(bytes, ARENA_ALIGN, &bytes) < 0) return SIZE_MAX;
    return bytes;
}

void *lfm2__arena_alloc(lfm2__arena *a, size_t n, size_t elem_bytes)
{
    const size_t bytes = lfm2__arena_bytes(n, elem_bytes);
    if (a->base == NULL || bytes > a->cap_bytes - a->used_bytes) return NULL;
    void *p = a->base + a->used_bytes;
    a->used_bytes += bytes;
    if (a->used_bytes > a->peak_bytes) a->peak_bytes = a->used_bytes;
    return p;
}

size_t lfm2__arena_mark(const lfm2__arena *a)
{
    return a->used_bytes;
}

void lfm2__arena_release(lfm2__arena *a, size_t mark)
{
    if (mark < a->used_bytes) a->used_bytes = mark;
}
