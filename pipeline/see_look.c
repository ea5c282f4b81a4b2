/* SPDX-License-Identifier: Apache-2.0
 * From images to embeddings: plan, patches, what is known already, and the rest through the encoder in one batch. */
#include <string.h>

#include "base/mathsafe.h"
#include "encoders/vision_impl.h"
#include "model/job.h"
#include "pipeline/see_impl.h"

/* --- plan --- */

static int fits(const lfm2_see *s, const lfm2_vision_plan *plan)
{
    return (s->params.max_image_tok == 0 || plan->n_tok <= s->params.max_image_tok) && plan->n_tok >= s->params.min_image_tok;
}

/* Tokens come in whole rows and columns, and rounding may lead out of the bounds that were asked for: look for inner bounds that
 * lead into them. */
static int fit_whole(const lfm2_see *s, lfm2_vision_params *p, int32_t width, int32_t height, lfm2_vision_plan *plan)
{
    const int32_t lo = p->min_image_tok, hi = p->max_image_tok, highest = hi < 2048 ? 2 * hi : 4096;

    p->do_split = 0;
    for (p->min_image_tok = lo; p->min_image_tok >= 1; p->min_image_tok--) {
        if (lfm2_vision_plan_image(p, width, height, plan) == 0 && fits(s, plan)) return 0;
    }
    p->min_image_tok = lo;
    for (p->max_image_tok = hi; p->max_image_tok <= highest; p->max_image_tok++) {
        if (lfm2_vision_plan_image(p, width, height, plan) == 0 && fits(s, plan)) return 0;
    }
    return LFM2_ERR_LIMIT;
}

int lfm2__see_try_plan(const lfm2_see *s, lfm2_vision_params *p, int32_t width, int32_t height, lfm2_vision_plan *plan)
{
    const int rc = lfm2_vision_plan_image(p, width, height, plan);

    if (rc == 0 && fits(s, plan)) return 0;
    if (rc == 0 || (rc == LFM2_ERR_LIMIT && s->params.max_image_tok > 0)) return fit_whole(s, p, width, height, plan);
    return rc;
}

int lfm2__see_plan(const lfm2_see *s, lfm2_vision_params *p, int32_t width, int32_t height, lfm2_vision_plan *plan)
{
    lfm2_vision_plan x;
    const int rc = lfm2__see_try_plan(s, p, width, height, &x);

    if (rc == LFM2_ERR_LIMIT && (s->params.min_image_tok > 0 || s->params.max_image_tok > 0)) {
        return lfm2__fail(s->rt, rc, "image of %d x %d pixels: cannot be made %d to %d tokens", (int)width, (int)height,
                          (int)s->image_params.min_image_tok, (int)s->image_params.max_image_tok);
    }
    if (rc == LFM2_ERR_LIMIT) {
        return lfm2__fail(s->rt, rc, "image of %d x %d pixels: too long and thin for the tokens of an image", (int)width,
                          (int)height);
    }
    if (rc < 0) return lfm2__fail(s->rt, rc, "image of %d x %d pixels: cannot be cut up", (int)width, (int)height);
    if (x.n_inputs > 1 && (x.tile_rows > LFM2__SEE_MAX_SIDE || x.tile_cols > LFM2__SEE_MAX_SIDE)) {
        return lfm2__fail(s->rt, LFM2_ERR_LIMIT, "image of %d x %d pixels: %d x %d tiles, but the model knows only %d in a row",
                          (int)width, (int)height, (int)x.tile_cols, (int)x.tile_rows, LFM2__SEE_MAX_SIDE);
    }
    *plan = x;
    return 0;
}

/* --- pending --- */

static int make_room(lfm2_runtime *rt, float **buffer, size_t *have_bytes, size_t n, size_t width, size_t keep)
{
    size_t bytes;
    if (lfm2__mul_size(n, width, &bytes) < 0 || lfm2__mul_size(bytes, sizeof(float), &bytes) < 0) return LFM2_ERR_NOMEM;
    if (bytes <= *have_bytes) return 0;
    float *grown = lfm2__grow(rt, *buffer, keep * width * sizeof(float), bytes);
    if (grown == NULL) return LFM2_ERR_NOMEM;
    *buffer = grown;
    *have_bytes = bytes;
    return 0;
}

static int make_room_for_inputs(lfm2_runtime *rt, lfm2__see_pending *p, int32_t n)
{
    if (n <= p->cap - p->n) return 0;
    const size_t was = (size_t)p->cap, cap = 2 * (was + (size_t)n);
    lfm2_vision_grid *grids = lfm2__grow(rt, p->grids, was * sizeof *grids, cap * sizeof *grids);
    if (grids == NULL) return LFM2_ERR_NOMEM;
    p->grids = grids;
    lfm2__see_tile **tiles = lfm2__grow(rt, p->tiles, was * sizeof *tiles, cap * sizeof *tiles);
    if (tiles == NULL) return LFM2_ERR_NOMEM;
    p->tiles = tiles;
    p->cap = (int32_t)cap;
    return 0;
}

void lfm2__see_drop_pending(lfm2_see *s)
{
    for (int32_t i = 0; i < s->pending.n; i++) lfm2__see_tile_unref(s->rt, s->pending.tiles[i]);
    s->pending.n = s->pending.n_patches = s->pending.n_tok = 0;
}

void lfm2__see_pending_fini(lfm2_see *s)
{
    lfm2__see_drop_pending(s);
    lfm2__free(s->rt, s->pending.patches);
    lfm2__free(s->rt, s->pending.embed);
    lfm2__free(s->rt, s->pending.grids);
    lfm2__free(s->rt, s->pending.tiles);
    memset(&s->pending, 0, sizeof s->pending);
}

/* --- looking --- */

static int hash_input(const float *patches, size_t n, const lfm2_vision_grid *grid, unsigned char *key)
{
    lfm2_sha256 hash;
    const int32_t shape[2] = {grid->n_rows, grid->n_cols};
    int rc = lfm2_sha256_init(&hash);
    if (rc < 0) return rc;
    rc = lfm2_sha256_add(&hash, shape, sizeof shape);
    if (rc == 0) rc = lfm2_sha256_add(&hash, patches, n * sizeof *patches);
    const int finished = lfm2_sha256_finish(&hash, key);
    return rc < 0 ? rc : finished;
}

/* One that waits for the encoder already: equal tiles of one page are seen once. */
static lfm2__see_tile *find_pending(const lfm2_see *s, const unsigned char *key)
{
    for (int32_t i = 0; i < s->pending.n; i++) {
        if (memcmp(s->pending.tiles[i]->key, key, LFM2_SHA256_BYTES) != 0) continue;
        s->pending.tiles[i]->n_refs++;
        return s->pending.tiles[i];
    }
    return NULL;
}

/* An input whose patches stand at `from`, at or behind the end of the pending ones. *tile gets a reference; *is_known: 1 if
 * nothing has to be encoded for it. */
static int take_input(lfm2_see *s, const float *from, const lfm2_vision_grid *grid, lfm2__see_tile **tile, int *is_known)
{
    lfm2__see_pending *p = &s->pending;
    const size_t patch = (size_t)s->image_params.patch_px * (size_t)s->image_params.patch_px * 3;
    const int32_t n_patches = grid->n_rows * grid->n_cols, d = s->image_params.downsample;
    unsigned char key[LFM2_SHA256_BYTES];
    int rc = hash_input(from, (size_t)n_patches * patch, grid, key);

    if (rc < 0) return rc;
    *tile = lfm2__see_cache_find(&s->cache, key);
    if (*tile == NULL) *tile = find_pending(s, key);
    *is_known = *tile != NULL;
    if (*is_known) return 0;
    *tile = lfm2__see_tile_create(s->rt, (grid->n_rows / d) * (grid->n_cols / d), s->d_model);
    if (*tile == NULL) return LFM2_ERR_NOMEM;
    memcpy((*tile)->key, key, sizeof key);
    (*tile)->n_refs++;
    memmove(p->patches + (size_t)p->n_patches * patch, from, (size_t)n_patches * patch * sizeof *from);
    p->grids[p->n] = *grid;
    p->tiles[p->n++] = *tile;
    p->n_patches += n_patches;
    p->n_tok += (*tile)->n_tok;
    return 0;
}

int lfm2__see_look(lfm2_see *s, const lfm2_vision_params *params, const lfm2_image *image, lfm2__see_picture *picture,
                   lfm2__see_times *times)
{
    const int64_t start_us = lfm2__now_us();
    lfm2__see_pending *p = &s->pending;
    const size_t patch = (size_t)params->patch_px * (size_t)params->patch_px * 3;
    lfm2_vision_params used = *params;

    memset(picture, 0, sizeof *picture);
    int rc = lfm2__see_plan(s, &used, image->width, image->height, &picture->plan);
    if (rc < 0) return rc;
    const lfm2_vision_plan *plan = &picture->plan;
    const size_t n = (size_t)p->n_patches + (size_t)plan->n_patches;
    if (n > INT32_MAX) return lfm2__fail(s->rt, LFM2_ERR_LIMIT, "image: too many patches at once");
    rc = make_room(s->rt, &p->patches, &p->patches_bytes, n, patch, (size_t)p->n_patches);
    if (rc == 0) rc = make_room_for_inputs(s->rt, p, plan->n_inputs);
    float *at = p->patches + (size_t)p->n_patches * patch;
    if (rc == 0) rc = lfm2_vision_patches(s->rt, &used, plan, lfm2_buf_data(image->rgb), image->stride_bytes, at, plan->n_patches);
    for (int32_t i = 0; rc == 0 && i < plan->n_inputs; i++) {
        int is_known = 0;
        rc = take_input(s, at, &plan->inputs[i], &picture->tiles[i], &is_known);
        at += (size_t)plan->inputs[i].n_rows * (size_t)plan->inputs[i].n_cols * patch;
        if (rc == 0) picture->embed[i] = picture->tiles[i]->embed;
        picture->n_cached += is_known;
    }
    if (rc == 0) s->n_cached += picture->n_cached;
    else lfm2__see_picture_fini(s, picture);
    times->preprocess_us += lfm2__now_us() - start_us;
    return rc;
}

int lfm2__see_encode(lfm2_see *s, lfm2__see_times *times)
{
    lfm2__see_pending *p = &s->pending;
    const int64_t start_us = lfm2__now_us();

    if (p->n == 0) return 0;
    int rc = make_room(s->rt, &p->embed, &p->embed_bytes, (size_t)p->n_tok, (size_t)s->d_model, 0);
    if (rc == 0) rc = lfm2_vision_encode(s->run, p->patches, p->grids, p->n, p->embed, p->n_tok, NULL);
    const float *from = p->embed;
    for (int32_t i = 0; rc == 0 && i < p->n; i++) {
        const size_t n = (size_t)p->tiles[i]->n_tok * (size_t)s->d_model;
        memcpy(p->tiles[i]->embed, from, n * sizeof *from);
        from += n;
        lfm2__see_cache_put(&s->cache, p->tiles[i]);
    }
    if (rc == 0) s->n_encoded += p->n;
    lfm2__see_drop_pending(s);
    times->encode_us += lfm2__now_us() - start_us;
    return rc;
}

void lfm2__see_picture_fini(lfm2_see *s, lfm2__see_picture *picture)
{
    for (int32_t i = 0; i < picture->plan.n_inputs; i++) lfm2__see_tile_unref(s->rt, picture->tiles[i]);
    memset(picture, 0, sizeof *picture);
}

/* --- scaling --- */

int lfm2__see_scale(lfm2_runtime *rt, const lfm2_image *image, int32_t width, int32_t height, lfm2_image *out)
{
    lfm2__resize_axis x = {0}, y = {0};
    lfm2_image scaled = {.width = width, .height = height, .stride_bytes = (size_t)width * 3, .format = image->format,
                         .partial = image->partial};
    const uint8_t *src = lfm2_buf_data(image->rgb);
    uint8_t *rows = NULL;
    size_t n_bytes;
    int rc = lfm2__resize_axis_init(&x, rt, image->width, width);

    if (rc == 0) rc = lfm2__resize_axis_init(&y, rt, image->height, height);
    if (rc == 0 && lfm2__mul_size(scaled.stride_bytes, (size_t)image->height, &n_bytes) < 0) rc = LFM2_ERR_NOMEM;
    if (rc == 0) rows = lfm2__alloc(rt, n_bytes);
    if (rc == 0 && rows == NULL) rc = LFM2_ERR_NOMEM;
    if (rc == 0) rc = lfm2_buf_create(rt, scaled.stride_bytes * (size_t)height, &scaled.rgb);
    for (int32_t j = 0; rc == 0 && j < image->height; j++) {
        lfm2__resize_row(&x, src + (size_t)j * image->stride_bytes, rows + (size_t)j * scaled.stride_bytes);
    }
    for (int32_t i = 0; rc == 0 && i < height; i++) {
        uint8_t *to = (uint8_t *)lfm2_buf_data(scaled.rgb) + (size_t)i * scaled.stride_bytes;
        const int16_t *w = y.w + (size_t)i * (size_t)y.cap;
        for (size_t k = 0; k < scaled.stride_bytes; k++) {
            int32_t sum = (INT32_C(1) << y.shift) / 2;
            for (int32_t j = 0; j < y.count[i]; j++) sum += w[j] * rows[(size_t)(y.first[i] + j) * scaled.stride_bytes + k];
            const int32_t v = sum >> y.shift;
            to[k] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
        }
    }
    lfm2__free(rt, rows);
    lfm2__resize_axis_fini(&y, rt);
    lfm2__resize_axis_fini(&x, rt);
    if (rc == 0) *out = scaled;
    return rc;
}
