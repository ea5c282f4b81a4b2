/* SPDX-License-Identifier: Apache-2.0
 * Byte-pair merging: the table of merges and the encoding of one piece. */
#ifndef LFM2__BPE_H
#define LFM2__BPE_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "lfm2/runtime.h"
#include "tokenizers/vocab.h"

#define LFM2__MAX_MERGES (1 << 22)
#define LFM2__MAX_PIECE_BYTES (1 << 22) /* merging a long run needs some 50 bytes for each byte of it */

typedef struct lfm2__merge {
    int32_t left, right;
} lfm2__merge;

typedef struct lfm2__merge_slot {
    int32_t left, right; /* left == -1: free */
    uint32_t rank;
    int32_t id; /* what the pair becomes */
} lfm2__merge_slot;

typedef struct lfm2__bpe {
    lfm2_runtime *rt;
    lfm2__merge *merges; /* [n_merges], index = rank */
    uint32_t n_merges;
    uint32_t cap_merges;
    lfm2__merge_slot *slots; /* [mask + 1], at most half full */
    uint32_t mask;
    int32_t byte_ids[256]; /* id of each single byte */
} lfm2__bpe;

/* Room for n_merges merges (0 is allowed). fini accepts a zeroed one. Returns 0; LFM2_ERR_LIMIT; LFM2_ERR_NOMEM. */
int lfm2__bpe_init(lfm2__bpe *b, lfm2_runtime *rt, size_t n_merges) LFM2__NODISCARD;
void lfm2__bpe_fini(lfm2__bpe *b);

/* Append the merge of the next rank, in byte-level text. *why as lfm2__vocab_set(). Returns 0; LFM2_ERR_FORMAT; LFM2_ERR_LIMIT. */
int lfm2__bpe_add(lfm2__bpe *b, const lfm2__vocab *v, const char *left, size_t left_n, const char *right, size_t right_n,
                  const char **why) LFM2__NODISCARD;

/* Look up the id of every byte. Returns 0, or LFM2_ERR_FORMAT with the first byte that has none in *missing. */
int lfm2__bpe_finish(lfm2__bpe *b, const lfm2__vocab *v, int *missing) LFM2__NODISCARD;

/* Growing ids that may be counted only: n goes on beyond cap. */
typedef struct lfm2__id_sink {
    int32_t *ids;
    size_t cap;
    size_t n;
} lfm2__id_sink;

static inline void lfm2__id_sink_put(lfm2__id_sink *s, int32_t id)
{
    if (s->n < s->cap) s->ids[s->n] = id;
    s->n++;
}

/* Merge the bytes of one piece, lowest rank first, leftmost first among equals. Returns 0; LFM2_ERR_LIMIT; LFM2_ERR_NOMEM. */
int lfm2__bpe_encode(const lfm2__bpe *b, const char *piece, size_t n, lfm2__id_sink *out) LFM2__NODISCARD;

#endif
