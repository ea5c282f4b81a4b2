/* SPDX-License-Identifier: Apache-2.0
 * The ring. Counters only grow; a value's place is its number modulo the size.
 *
 * The pushing thread first says up to where it is going to write (reserved), then writes, then says that it has (written). The
 * popping thread copies what was written and then looks at reserved again: what has meanwhile been overwritten, or may be just now,
 * it throws away. A value that comes from a later turn was stored with release and loaded with acquire, so that turn's reserved is
 * seen as well. */
#include <stdatomic.h>
#include <string.h>

#include "base/runtime_impl.h"
#include "pipeline/ring.h"

struct lfm2__ring {
    lfm2_runtime *rt;
    _Atomic(uint32_t) *bits; /* of f32; [mask + 1] */
    uint64_t mask;
    _Atomic(uint64_t) reserved, written;
    uint64_t n_read; /* the popping thread's */
    int64_t n_lost;
};

int lfm2__ring_create(lfm2_runtime *rt, int64_t cap_values, lfm2__ring **out)
{
    uint64_t size = 2; /* even: frames of two stay together */
    if (cap_values < 1 || cap_values > 1 << 30) return LFM2_ERR_ARG;
    while (size < (uint64_t)cap_values) size *= 2;
    lfm2__ring *r = lfm2__calloc(rt, 1, sizeof(*r));
    if (!r) return LFM2_ERR_NOMEM;
    r->rt = rt;
    r->mask = size - 1;
    r->bits = lfm2__calloc(rt, (size_t)size, sizeof(*r->bits));
    if (!r->bits) {
        lfm2__ring_destroy(r);
        return LFM2_ERR_NOMEM;
    }
    *out = r;
    return 0;
}

void lfm2__ring_destroy(lfm2__ring *r)
{
    if (!r) return;
    lfm2__free(r->rt, (void *)r->bits);
    lfm2__free(r->rt, r);
}

void lfm2__ring_push(lfm2__ring *r, const float *values, size_t n)
{
    const uint64_t at = atomic_load_explicit(&r->written, memory_order_relaxed);
    const size_t skip = n > r->mask + 1 ? n - (size_t)(r->mask + 1) : 0; /* would be overwritten by this very call */
    atomic_store_explicit(&r->reserved, at + n, memory_order_relaxed);
    for (size_t i = skip; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof(bits));
        atomic_store_explicit(&r->bits[(at + i) & r->mask], bits, memory_order_release);
    }
    atomic_store_explicit(&r->written, at + n, memory_order_release);
}

/* The oldest value that is still whole when so many were pushed. */
static uint64_t oldest(const lfm2__ring *r, uint64_t n_pushed)
{
    return n_pushed > r->mask + 1 ? n_pushed - (r->mask + 1) : 0;
}

size_t lfm2__ring_pop(lfm2__ring *r, float *values, size_t cap)
{
    const uint64_t end = atomic_load_explicit(&r->written, memory_order_acquire), whole = oldest(r, end);
    if (whole > r->n_read) {
        r->n_lost += (int64_t)(whole - r->n_read);
        r->n_read = whole;
    }
    size_t n = end - r->n_read < cap ? (size_t)(end - r->n_read) : cap, n_gone = 0;
    for (size_t i = 0; i < n; i++) {
        const uint32_t bits = atomic_load_explicit(&r->bits[(r->n_read + i) & r->mask], memory_order_acquire);
        memcpy(&values[i], &bits, sizeof(bits));
    }
    const uint64_t still = oldest(r, atomic_load_explicit(&r->reserved, memory_order_relaxed));
    if (still > r->n_read) n_gone = still - r->n_read < n ? (size_t)(still - r->n_read) : n;
    memmove(values, values + n_gone, (n - n_gone) * sizeof(*values));
    r->n_lost += (int64_t)n_gone;
    r->n_read += n;
    return n - n_gone;
}

int64_t lfm2__ring_n_pushed(const lfm2__ring *r)
{
    return (int64_t)atomic_load_explicit(&r->written, memory_order_acquire);
}

int64_t lfm2__ring_n_lost(const lfm2__ring *r)
{
    return r->n_lost;
}
