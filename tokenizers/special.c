/* SPDX-License-Identifier: Apache-2.0
 * Trie of added tokens. */
#include "tokenizers/special.h"

#include <string.h>

#include "base/runtime_impl.h"
#include "lfm2/status.h"

static int32_t new_node(lfm2__special *s, uint8_t byte)
{
    s->nodes[s->n_nodes] = (lfm2__trie_node){.id = -1, .byte = byte};
    return s->n_nodes++;
}

/* The child for a byte, made if it is not there. */
static int32_t child_of(lfm2__special *s, int32_t node, uint8_t byte)
{
    int32_t c;

    for (c = s->nodes[node].child; c != 0; c = s->nodes[c].sibling)
        if (s->nodes[c].byte == byte) return c;
    c = new_node(s, byte);
    s->nodes[c].sibling = s->nodes[node].child;
    s->nodes[node].child = c;
    return c;
}

int lfm2__special_init(lfm2__special *s, lfm2_runtime *rt, const lfm2__vocab *v)
{
    int32_t id, node;
    size_t i, n = 0;

    memset(s, 0, sizeof(*s));
    s->rt = rt;
    s->nodes = lfm2__calloc(rt, (size_t)v->n_added_bytes + 1, sizeof(*s->nodes));
    if (s->nodes == NULL) return LFM2_ERR_NOMEM;
    s->n_nodes = 1;
    for (id = 0; id < v->n_ids; id++) {
        const lfm2__tok_kind kind = lfm2__vocab_kind(v, id);
        const unsigned char *text;

        if (kind != LFM2__TOK_CONTROL && kind != LFM2__TOK_USER) continue;
        text = (const unsigned char *)lfm2__vocab_bytes(v, id, &n);
        if (s->first[text[0]] == 0) s->first[text[0]] = new_node(s, text[0]);
        node = s->first[text[0]];
        for (i = 1; i < n; i++) node = child_of(s, node, text[i]);
        s->nodes[node].id = id;
    }
    return 0;
}

void lfm2__special_fini(lfm2__special *s)
{
    if (s->rt == NULL) return;
    lfm2__free(s->rt, s->nodes);
    memset(s, 0, sizeof(*s));
}

int32_t lfm2__special_match(const lfm2__special *s, const char *text, size_t n, lfm2__special_ok_fn *ok, void *ctx, size_t *len)
{
    const unsigned char *u = (const unsigned char *)text;
    int32_t node = n > 0 ? s->first[u[0]] : 0, found = -1;
    size_t i = 1;

    while (node != 0) {
        if (s->nodes[node].id >= 0 && ok(ctx, s->nodes[node].id, i)) {
            found = s->nodes[node].id;
            *len = i;
        }
        if (i == n) break;
        for (node = s->nodes[node].child; node != 0 && s->nodes[node].byte != u[i];) node = s->nodes[node].sibling;
        i++;
    }
    return found;
}
