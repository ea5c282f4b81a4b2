/* SPDX-License-Identifier: Apache-2.0
 * Merging byte pairs: a plain scan for short pieces, a heap for long ones. */
#include "tokenizers/bpe.h"

#include <string.h>

#include "base/runtime_impl.h"
#include "lfm2/status.h"

#define SHORT_PIECE 48
#define NO_RANK UINT32_MAX
#define MAX_PROBES 4096

static uint32_t hash_pair(int32_t left, int32_t right)
{
    uint64_t h = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9E3779B97F4A7C15u;

    h ^= h >> 31;
    h *= 0xD6E8FEB86659FD93u;
    return (uint32_t)(h >> 32);
}

int lfm2__bpe_init(lfm2__bpe *b, lfm2_runtime *rt, size_t n_merges)
{
    uint32_t cap = 16, i;

    memset(b, 0, sizeof(*b));
    b->rt = rt;
    if (n_merges > LFM2__MAX_MERGES) return LFM2_ERR_LIMIT;
    while (cap < 2 * n_merges) cap *= 2;
    b->cap_merges = (uint32_t)n_merges;
    b->slots = lfm2__alloc(rt, cap * sizeof(*b->slots));
    if (b->slots == NULL) goto fail;
    for (i = 0; i < cap; i++) b->slots[i].left = -1;
    b->mask = cap - 1;
    if (n_merges > 0) {
        b->merges = lfm2__calloc(rt, n_merges, sizeof(*b->merges));
        if (b->merges == NULL) goto fail;
    }
    return 0;
fail:
    lfm2__bpe_fini(b);
    return LFM2_ERR_NOMEM;
}

void lfm2__bpe_fini(lfm2__bpe *b)
{
    if (b->rt == NULL) return;
    lfm2__free(b->rt, b->merges);
    lfm2__free(b->rt, b->slots);
    memset(b, 0, sizeof(*b));
}

static const lfm2__merge_slot *find_merge(const lfm2__bpe *b, int32_t left, int32_t right)
{
    uint32_t i;

    for (i = hash_pair(left, right) & b->mask; b->slots[i].left >= 0; i = (i + 1) & b->mask)
        if (b->slots[i].left == left && b->slots[i].right == right) return &b->slots[i];
    return NULL;
}

int lfm2__bpe_add(lfm2__bpe *b, const lfm2__vocab *v, const char *left, size_t left_n, const char *right, size_t right_n,
                  const char **why)
{
    char bytes[2 * LFM2__MAX_TOKEN_BYTES];
    size_t n = 0, n2 = 0;
    int32_t l, r, id;
    uint32_t i, probes = 0;

    *why = "more merges than announced";
    if (b->n_merges == b->cap_merges) return LFM2_ERR_LIMIT;
    *why = "a part that is empty or longer than 1024 bytes";
    if (left_n == 0 || right_n == 0 || left_n > LFM2__MAX_TOKEN_BYTES || right_n > LFM2__MAX_TOKEN_BYTES) return LFM2_ERR_FORMAT;
    *why = "a part that is not in byte-level form";
    if (lfm2__bytes_from_text(left, left_n, bytes, &n) < 0) return LFM2_ERR_FORMAT;
    if (lfm2__bytes_from_text(right, right_n, bytes + n, &n2) < 0) return LFM2_ERR_FORMAT;
    *why = "a part that is no token";
    l = lfm2__vocab_find_merged(v, bytes, n);
    r = lfm2__vocab_find_merged(v, bytes + n, n2);
    if (l < 0 || r < 0) return LFM2_ERR_FORMAT;
    /* Both parts have bytes, so the product is longer than either: chains of merges cannot run in a circle. A special token is
     * never found here, so none can be made by merging. */
    *why = "what the parts make is no token, or a special one";
    id = lfm2__vocab_find_merged(v, bytes, n + n2);
    if (id < 0) return LFM2_ERR_FORMAT;
    for (i = hash_pair(l, r) & b->mask; b->slots[i].left >= 0; i = (i + 1) & b->mask) {
        *why = "the merge is there twice";
        if (b->slots[i].left == l && b->slots[i].right == r) return LFM2_ERR_FORMAT;
        *why = "too many merges with one hash value";
        if (++probes > MAX_PROBES) return LFM2_ERR_LIMIT;
    }
    b->slots[i] = (lfm2__merge_slot){l, r, b->n_merges, id};
    b->merges[b->n_merges] = (lfm2__merge){l, r};
    b->n_merges++;
    return 0;
}

int lfm2__bpe_finish(lfm2__bpe *b, const lfm2__vocab *v, int *missing)
{
    int i;

    for (i = 0; i < 256; i++) {
        char byte = (char)(unsigned char)i;

        b->byte_ids[i] = lfm2__vocab_find_merged(v, &byte, 1);
        if (b->byte_ids[i] < 0) {
            *missing = i;
            return LFM2_ERR_FORMAT;
        }
    }
    return 0;
}

static void encode_short(const lfm2__bpe *b, const char *piece, size_t n, lfm2__id_sink *out)
{
    int32_t ids[SHORT_PIECE], made[SHORT_PIECE];
    uint32_t rank[SHORT_PIECE]; /* of the pair (i, i + 1) */
    size_t i, best;

    for (i = 0; i < n; i++) ids[i] = b->byte_ids[(unsigned char)piece[i]];
    for (i = 0; i < n; i++) {
        const lfm2__merge_slot *m = i + 1 < n ? find_merge(b, ids[i], ids[i + 1]) : NULL;

        rank[i] = m != NULL ? m->rank : NO_RANK;
        made[i] = m != NULL ? m->id : -1;
    }
    for (;;) {
        for (i = 1, best = 0; i < n; i++)
            if (rank[i] < rank[best]) best = i;
        if (rank[best] == NO_RANK) break;
        ids[best] = made[best];
        n--;
        for (i = best + 1; i < n; i++) {
            ids[i] = ids[i + 1];
            rank[i] = rank[i + 1];
            made[i] = made[i + 1];
        }
        for (i = best > 0 ? best - 1 : 0; i <= best; i++) {
            const lfm2__merge_slot *m = i + 1 < n ? find_merge(b, ids[i], ids[i + 1]) : NULL;

            rank[i] = m != NULL ? m->rank : NO_RANK;
            made[i] = m != NULL ? m->id : -1;
        }
    }
    for (i = 0; i < n; i++) lfm2__id_sink_put(out, ids[i]);
}

typedef struct symbol {
    int32_t id; /* -1: merged into its left neighbour */
    int32_t prev, next; /* -1: none */
} symbol;

typedef struct candidate {
    uint32_t rank;
    int32_t pos; /* of the left symbol */
    int32_t left, right; /* ids when it was found: stale once they changed */
} candidate;

typedef struct candidate_heap {
    candidate *items;
    size_t n;
} candidate_heap;

static int before(const candidate *a, const candidate *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->pos < b->pos;
}

static void heap_push(candidate_heap *h, candidate c)
{
    size_t i = h->n++, parent;

    for (; i > 0; i = parent) {
        parent = (i - 1) / 2;
        if (!before(&c, &h->items[parent])) break;
        h->items[i] = h->items[parent];
    }
    h->items[i] = c;
}

static candidate heap_pop(candidate_heap *h)
{
    candidate top = h->items[0], last = h->items[--h->n];
    size_t i = 0, child;

    for (; (child = 2 * i + 1) < h->n; i = child) {
        if (child + 1 < h->n && before(&h->items[child + 1], &h->items[child])) child++;
        if (!before(&h->items[child], &last)) break;
        h->items[i] = h->items[child];
    }
    h->items[i] = last;
    return top;
}

static void push_pair(const lfm2__bpe *b, const symbol *s, int32_t pos, candidate_heap *h)
{
    const lfm2__merge_slot *m;

    if (pos < 0 || s[pos].next < 0) return;
    m = find_merge(b, s[pos].id, s[s[pos].next].id);
    if (m != NULL) heap_push(h, (candidate){m->rank, pos, m->left, m->right});
}

static int encode_long(const lfm2__bpe *b, const char *piece, size_t n, lfm2__id_sink *out)
{
    symbol *s = lfm2__alloc(b->rt, n * sizeof(*s));
    /* n - 1 pairs to start with; each merge takes one out and puts two in at most. */
    candidate_heap h = {lfm2__alloc(b->rt, 2 * n * sizeof(candidate)), 0};
    int32_t i, last = (int32_t)n - 1;
    int rc = LFM2_ERR_NOMEM;

    if (s == NULL || h.items == NULL) goto done;
    for (i = 0; i <= last; i++) s[i] = (symbol){b->byte_ids[(unsigned char)piece[i]], i - 1, i < last ? i + 1 : -1};
    for (i = 0; i < last; i++) push_pair(b, s, i, &h);
    while (h.n > 0) {
        candidate c = heap_pop(&h);
        int32_t right = s[c.pos].next;

        if (s[c.pos].id != c.left || right < 0 || s[right].id != c.right) continue;
        s[c.pos].id = find_merge(b, c.left, c.right)->id;
        s[c.pos].next = s[right].next;
        s[right].id = -1;
        if (s[right].next >= 0) s[s[right].next].prev = c.pos;
        push_pair(b, s, s[c.pos].prev, &h);
        push_pair(b, s, c.pos, &h);
    }
    for (i = 0; i >= 0; i = s[i].next) lfm2__id_sink_put(out, s[i].id);
    rc = 0;
done:
    lfm2__free(b->rt, h.items);
    lfm2__free(b->rt, s);
    return rc;
}

int lfm2__bpe_encode(const lfm2__bpe *b, const char *piece, size_t n, lfm2__id_sink *out)
{
    if (n == 0) return 0;
    if (n > LFM2__MAX_PIECE_BYTES) return LFM2_ERR_LIMIT;
    if (n > SHORT_PIECE) return encode_long(b, piece, n, out);
    encode_short(b, piece, n, out);
    return 0;
}
