/* SPDX-License-Identifier: Apache-2.0
 * Arrays that grow. */
#include "pipeline/list.h"

#include <stdlib.h>
#include <string.h>

#include "base/runtime_impl.h"

enum { FIRST_CAP = 64 };

int lfm2__room(lfm2_runtime *rt, void **array, int32_t n, int32_t *cap, size_t elem_bytes)
{
    if (n <= *cap) return 0;
    int32_t new_cap = *cap == 0 ? FIRST_CAP : *cap;
    while (new_cap < n) {
        if (new_cap > INT32_MAX / 2) return LFM2_ERR_NOMEM;
        new_cap *= 2;
    }
    void *p = lfm2__grow(rt, *array, (size_t)*cap * elem_bytes, (size_t)new_cap * elem_bytes);
    if (p == NULL) return LFM2_ERR_NOMEM;
    *array = p;
    *cap = new_cap;
    return 0;
}

int32_t lfm2__list_add(lfm2_runtime *rt, lfm2__list *l, const void *elem)
{
    if (l->n >= l->max) return LFM2_ERR_LIMIT;
    const int rc = lfm2__room(rt, &l->data, l->n + 1, &l->cap, l->elem_bytes);
    if (rc < 0) return rc;
    memcpy((char *)l->data + (size_t)l->n * l->elem_bytes, elem, l->elem_bytes);
    return l->n++;
}

static int compare_u32(const void *pa, const void *pb)
{
    const uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;
    return a < b ? -1 : a > b;
}

void lfm2__sort_u32(uint32_t *v, int32_t n)
{
    if (n > 1) qsort(v, (size_t)n, sizeof(*v), compare_u32);
}
