/* SPDX-License-Identifier: Apache-2.0
 * Arrays that grow, for the compilers of grammars, patterns and schemas. */
#ifndef LFM2__LIST_H
#define LFM2__LIST_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "lfm2/runtime.h"

/* Room for at least n elements in an array of *cap, which doubles. Returns 0 or LFM2_ERR_NOMEM. */
int lfm2__room(lfm2_runtime *rt, void **array, int32_t n, int32_t *cap, size_t elem_bytes) LFM2__NODISCARD;

typedef struct lfm2__list {
    void *data;
    int32_t n, cap, max; /* elements; max: how many there may ever be */
    size_t elem_bytes;
} lfm2__list;

/* Append a copy. Returns its index; LFM2_ERR_LIMIT; LFM2_ERR_NOMEM. */
int32_t lfm2__list_add(lfm2_runtime *rt, lfm2__list *l, const void *elem) LFM2__NODISCARD;

/* Into rising order. */
void lfm2__sort_u32(uint32_t *v, int32_t n);

#endif
