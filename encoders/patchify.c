/* SPDX-License-Identifier: Apache-2.0
 * From an image to normalised patches: the image is scaled onto a canvas (all tiles together, or the whole image), one row of
 * patches at a time, so that memory does not grow with the image. */
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "encoders/vision_impl.h"

typedef struct canvas {
    lfm2__resize_axis x, y;       /* from the image to where it lies */
    int32_t width, height;        /* px */
    int32_t left, top;            /* where the image lies; black around it */
    int32_t tile_rows, tile_cols; /* of patches: side of what is one input on this canvas */
    int32_t inputs_per_row;
    float *out;                   /* patches of its first input */
} canvas;

typedef struct patch_job {
    lfm2_runtime *rt;
    const canvas *c;
    const uint8_t *rgb;
    size_t stride_bytes;
    int32_t patch_px;
    float value[3][256]; /* of a byte of each channel */
    int32_t *sums;       /* [n_threads, patch_px, width, 3] */
    uint8_t *lines;      /* [n_threads, width, 3] */
} patch_job;

/* Patches of a band of the canvas from its sums. */
static void write_band(const patch_job *job, int32_t band, const int32_t *sums)
{
    const canvas *c = job->c;
    const int32_t p = job->patch_px, n_cols = c->width / p;
    const size_t width = (size_t)c->width * 3, patch_n = (size_t)p * (size_t)p * 3;
    for (int32_t col = 0; col < n_cols; col++) {
        const int32_t input = band / c->tile_rows * c->inputs_per_row + col / c->tile_cols;
        const int32_t at = band % c->tile_rows * c->tile_cols + col % c->tile_cols;
        float *out = c->out + ((size_t)input * (size_t)c->tile_rows * (size_t)c->tile_cols + (size_t)at) * patch_n;
        for (int32_t dy = 0; dy < p; dy++) {
            const int32_t *px = sums + (size_t)dy * width + (size_t)col * (size_t)p * 3;
            for (int32_t i = 0; i < 3 * p; i++) {
                const int32_t v = px[i] >> c->y.shift;
                *out++ = job->value[i % 3][v < 0 ? 0 : v > 255 ? 255 : v];
            }
        }
    }
}

/* Each source row is scaled along x once and added to the rows of the band that it reaches. */
static void make_band(void *ctx, int32_t task, int32_t worker)
{
    const patch_job *job = ctx;
    const canvas *c = job->c;
    const lfm2__resize_axis *y = &c->y;
    const int32_t p = job->patch_px, band_top = task * p - c->top; /* in rows of the scaled image */
    const int32_t from = band_top < 0 ? 0 : band_top, to = band_top + p < y->n_out ? band_top + p : y->n_out;
    const size_t width = (size_t)c->width * 3;
    int32_t *sums = job->sums + (size_t)worker * (size_t)p * width;
    uint8_t *line = job->lines + (size_t)worker * width; /* 0 beside the image */
    if (lfm2__aborted(job->rt)) return;
    for (size_t i = 0; i < (size_t)p * width; i++) sums[i] = (INT32_C(1) << y->shift) / 2;
    const int32_t end = from < to ? y->first[to - 1] + y->count[to - 1] : 0;
    for (int32_t j = from < to ? y->first[from] : 0; j < end; j++) {
        lfm2__resize_row(&c->x, job->rgb + (size_t)j * job->stride_bytes, line + (size_t)c->left * 3);
        for (int32_t row = from; row < to; row++) {
            const int32_t k = j - y->first[row];
            if (k < 0 || k >= y->count[row]) continue;
            const int32_t w = y->w[(size_t)row * (size_t)y->cap + (size_t)k];
            int32_t *sum = sums + (size_t)(row - band_top) * width;
            for (size_t i = 0; i < width; i++) sum[i] += w * line[i];
        }
    }
    write_band(job, task, sums);
}

/* Where the image lies on its canvas: all of it, or as large as its shape allows. In float, as the implementation has it that
 * this is to be equal to. */
static void place(canvas *c, const lfm2_vision_plan *plan, int letterbox, int32_t *width, int32_t *height)
{
    *width = c->width;
    *height = c->height;
    if (!letterbox) return;
    const float scale = fminf((float)c->width / (float)plan->width_px, (float)c->height / (float)plan->height_px);
    *width = (int32_t)fminf(ceilf((float)plan->width_px * scale), (float)c->width);
    *height = (int32_t)fminf(ceilf((float)plan->height_px * scale), (float)c->height);
    c->left = (c->width - *width) / 2;
    c->top = (c->height - *height) / 2;
}

static int draw(patch_job *job, canvas *c, const lfm2_vision_plan *plan, int letterbox)
{
    const size_t n_threads = (size_t)lfm2_runtime_n_threads(job->rt), width = (size_t)c->width * 3;
    int32_t inner_width, inner_height;
    place(c, plan, letterbox, &inner_width, &inner_height);
    int rc = lfm2__resize_axis_init(&c->x, job->rt, plan->width_px, inner_width);
    if (rc == 0) rc = lfm2__resize_axis_init(&c->y, job->rt, plan->height_px, inner_height);
    if (rc == 0) {
        job->c = c;
        job->sums = lfm2__calloc(job->rt, n_threads * (size_t)job->patch_px, width * sizeof *job->sums);
        job->lines = lfm2__calloc(job->rt, n_threads, width);
        if (!job->sums || !job->lines) rc = LFM2_ERR_NOMEM;
    }
    if (rc == 0) lfm2__pool_run(lfm2__runtime_pool(job->rt), make_band, job, c->height / job->patch_px);
    if (rc == 0 && lfm2__aborted(job->rt)) rc = LFM2_ERR_ABORTED;
    lfm2__free(job->rt, job->lines);
    lfm2__free(job->rt, job->sums);
    lfm2__resize_axis_fini(&c->y, job->rt);
    lfm2__resize_axis_fini(&c->x, job->rt);
    return rc;
}

int lfm2_vision_patches(lfm2_runtime *rt, const lfm2_vision_params *p, const lfm2_vision_plan *plan, const uint8_t *rgb,
                        size_t stride_bytes, float *out, int32_t cap_patches)
{
    lfm2_vision_plan again;
    if (!rt || !p || !plan || !rgb || !out) return LFM2_ERR_ARG;
    if (lfm2_vision_plan_image(p, plan->width_px, plan->height_px, &again) < 0 || memcmp(&again, plan, sizeof again) != 0)
        return lfm2__fail(rt, LFM2_ERR_ARG, "patches: the plan is not of these parameters");
    if (stride_bytes < (size_t)plan->width_px * 3) return lfm2__fail(rt, LFM2_ERR_ARG, "patches: stride_bytes is too small");
    if (cap_patches < plan->n_patches) return LFM2_ERR_RANGE;

    patch_job job = { .rt = rt, .rgb = rgb, .stride_bytes = stride_bytes, .patch_px = p->patch_px };
    for (int ch = 0; ch < 3; ch++) {
        for (int v = 0; v < 256; v++) job.value[ch][v] = ((float)v - p->mean[ch] * 255.0f) / (p->std[ch] * 255.0f);
    }
    const int32_t n_tiles = plan->tile_cols * plan->tile_rows, side = p->tile_px / p->patch_px;
    int rc = 0;
    if (n_tiles > 1) {
        canvas tiles = { .width = plan->tile_cols * p->tile_px, .height = plan->tile_rows * p->tile_px, .tile_rows = side,
                         .tile_cols = side, .inputs_per_row = plan->tile_cols, .out = out };
        rc = draw(&job, &tiles, plan, p->letterbox);
        out += (size_t)n_tiles * (size_t)side * (size_t)side * (size_t)p->patch_px * (size_t)p->patch_px * 3;
    }
    if (rc == 0 && (n_tiles == 1 || plan->has_thumbnail)) {
        const lfm2_vision_grid *g = &plan->inputs[plan->n_inputs - 1];
        canvas whole = { .width = plan->smart_width_px, .height = plan->smart_height_px, .tile_rows = g->n_rows,
                         .tile_cols = g->n_cols, .inputs_per_row = 1, .out = out };
        rc = draw(&job, &whole, plan, 0);
    }
    return rc;
}
