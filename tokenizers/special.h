/* SPDX-License-Identifier: Apache-2.0
 * Finding added tokens in a text: a trie over their bytes, longest match first. */
#ifndef LFM2__SPECIAL_H
#define LFM2__SPECIAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "lfm2/runtime.h"
#include "tokenizers/vocab.h"

typedef struct lfm2__trie_node {
    int32_t child;   /* first child, 0 = none */
    int32_t sibling; /* next child of the same parent, 0 = none */
    int32_t id;      /* token that ends here, -1 = none */
    uint8_t byte;
} lfm2__trie_node;

typedef struct lfm2__special {
    lfm2_runtime *rt;
    lfm2__trie_node *nodes; /* [n_nodes]; node 0 is no node */
    int32_t n_nodes;
    int32_t first[256]; /* node of each first byte, 0 = no token starts so */
} lfm2__special;

/* Build from the added tokens of v. fini accepts a zeroed one. Returns 0 or LFM2_ERR_NOMEM. */
int lfm2__special_init(lfm2__special *s, lfm2_runtime *rt, const lfm2__vocab *v) LFM2__NODISCARD;
void lfm2__special_fini(lfm2__special *s);

/* May this token be recognised when it would take n bytes from here? */
typedef int lfm2__special_ok_fn(void *ctx, int32_t id, size_t n);

/* The longest token that text starts with and that ok() allows: its id with *len, or -1. */
int32_t lfm2__special_match(const lfm2__special *s, const char *text, size_t n, lfm2__special_ok_fn *ok, void *ctx, size_t *len);

#endif
