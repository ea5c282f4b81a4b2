/* SPDX-License-Identifier: Apache-2.0
 * For tests of writers: what they write goes into memory, and any of their writes can be made to fail. */
#ifndef PAPER_TESTING_H
#define PAPER_TESTING_H

#include "base_testing.h"

#include <string.h>

typedef struct paper {
    char text[65536];
    size_t n;
    int n_writes, fail_at; /* the write that fails, from 1; 0 = none */
} paper;

static inline int on_write(void *ctx, const char *bytes, size_t n)
{
    paper *p = ctx;
    assert_true(n > 0);
    if (++p->n_writes == p->fail_at) return 1;
    assert_true(p->n + n < sizeof p->text);
    memcpy(p->text + p->n, bytes, n);
    p->n += n;
    p->text[p->n] = '\0';
    return 0;
}

#endif
