/* SPDX-License-Identifier: Apache-2.0
 * Embeddings by content: what was used longest ago goes first. */
#include <string.h>

#include "base/mathsafe.h"
#include "pipeline/see_impl.h"

lfm2__see_tile *lfm2__see_tile_create(lfm2_runtime *rt, int32_t n_tok, int32_t d_model)
{
    lfm2__see_tile *tile;
    size_t n_bytes;

    if (lfm2__mul_size((size_t)n_tok, (size_t)d_model, &n_bytes) < 0) return NULL;
    if (lfm2__mul_size(n_bytes, sizeof(float), &n_bytes) < 0 || lfm2__add_size(n_bytes, sizeof *tile, &n_bytes) < 0) return NULL;
    tile = lfm2__alloc(rt, n_bytes);
    if (tile == NULL) return NULL;
    memset(tile, 0, sizeof *tile);
    tile->n_refs = 1;
    tile->n_tok = n_tok;
    tile->n_bytes = n_bytes;
    return tile;
}

void lfm2__see_tile_unref(lfm2_runtime *rt, lfm2__see_tile *tile)
{
    if (tile != NULL && --tile->n_refs == 0) lfm2__free(rt, tile);
}

void lfm2__see_cache_init(lfm2__see_cache *c, lfm2_runtime *rt, uint64_t cap_bytes)
{
    memset(c, 0, sizeof *c);
    c->rt = rt;
    c->cap_bytes = cap_bytes;
}

static lfm2__see_tile **bucket_of(lfm2__see_cache *c, const unsigned char *key)
{
    return &c->buckets[((size_t)key[0] << 8 | key[1]) % LFM2__SEE_N_BUCKETS]; /* a digest is spread evenly */
}

static void unlink_by_use(lfm2__see_cache *c, lfm2__see_tile *tile)
{
    if (tile->newer != NULL) tile->newer->older = tile->older;
    else c->newest = tile->older;
    if (tile->older != NULL) tile->older->newer = tile->newer;
    else c->oldest = tile->newer;
    tile->newer = tile->older = NULL;
}

static void link_newest(lfm2__see_cache *c, lfm2__see_tile *tile)
{
    tile->older = c->newest;
    if (c->newest != NULL) c->newest->newer = tile;
    c->newest = tile;
    if (c->oldest == NULL) c->oldest = tile;
}

static void drop_oldest(lfm2__see_cache *c)
{
    lfm2__see_tile *tile = c->oldest, **at = bucket_of(c, tile->key);

    while (*at != tile) at = &(*at)->next;
    *at = tile->next;
    unlink_by_use(c, tile);
    c->n_bytes -= tile->n_bytes;
    lfm2__see_tile_unref(c->rt, tile);
}

void lfm2__see_cache_fini(lfm2__see_cache *c)
{
    while (c->oldest != NULL) drop_oldest(c);
}

lfm2__see_tile *lfm2__see_cache_find(lfm2__see_cache *c, const unsigned char *key)
{
    lfm2__see_tile *tile = *bucket_of(c, key);

    while (tile != NULL && memcmp(tile->key, key, LFM2_SHA256_BYTES) != 0) tile = tile->next;
    if (tile == NULL) return NULL;
    unlink_by_use(c, tile);
    link_newest(c, tile);
    tile->n_refs++;
    return tile;
}

void lfm2__see_cache_put(lfm2__see_cache *c, lfm2__see_tile *tile)
{
    lfm2__see_tile **bucket = bucket_of(c, tile->key);

    if (tile->n_bytes > c->cap_bytes) return;
    while (c->n_bytes > c->cap_bytes - tile->n_bytes) drop_oldest(c);
    tile->next = *bucket;
    *bucket = tile;
    link_newest(c, tile);
    c->n_bytes += tile->n_bytes;
    tile->n_refs++;
}
