/* SPDX-License-Identifier: Apache-2.0
 * Overflow-checked size arithmetic: those with an *out return 0 and write it, or return -1 and leave it alone. */
#ifndef LFM2__MATHSAFE_H
#define LFM2__MATHSAFE_H

#include <stddef.h>
#include <stdint.h>

static inline int lfm2__mul_size(size_t a, size_t b, size_t *out)
{
    if (b != 0 && a > SIZE_MAX / b) return -1;
    *out = a * b;
    return 0;
}

static inline int lfm2__add_size(size_t a, size_t b, size_t *out)
{
    if (a > SIZE_MAX - b) return -1;
    *out = a + b;
    return 0;
}

/* Sum of sizes that sticks at SIZE_MAX, for sums that are looked at once at their end. */
static inline size_t lfm2__bytes_add(size_t a, size_t b)
{
    return a > SIZE_MAX - b ? SIZE_MAX : a + b;
}

/* Round up to a multiple of align, a power of two. */
static inline int lfm2__align_size(size_t a, size_t align, size_t *out)
{
    if (lfm2__add_size(a, align - 1, &a) < 0) return -1;
    *out = a & ~(align - 1);
    return 0;
}

#endif
