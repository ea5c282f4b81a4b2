/* SPDX-License-Identifier: Apache-2.0
 * What becomes of an image of a given size: scaled size, tiles, thumbnail, numbers of patches and tokens.
 * All in double, rounding half to even, as the reference has it. */
#include <math.h>
#include <string.h>

#include "encoders/vision_impl.h"

#define MAX_LINE_HEIGHT_PX 4096

lfm2_vision_params lfm2_vision_params_default(void)
{
    return (lfm2_vision_params){
        .patch_px = 16, .downsample = 2, .min_image_tok = 64, .max_image_tok = 256, .do_split = 1, .tile_px = 512,
        .min_tiles = 2, .max_tiles = 10, .use_thumbnail = 1, .max_pixels_tolerance = 2.0,
        .mean = { 0.5f, 0.5f, 0.5f }, .std = { 0.5f, 0.5f, 0.5f },
    };
}

static int in_range(int32_t v, int32_t lo, int32_t hi)
{
    return v >= lo && v <= hi;
}

int lfm2__vision_params_check(const lfm2_vision_params *p, const char **field)
{
    *field = NULL;
    if (!in_range(p->patch_px, 1, 64)) *field = "encoder_patch_size";
    else if (!in_range(p->downsample, 1, 8)) *field = "downsample_factor";
    else if (!in_range(p->max_image_tok, 1, 4096)) *field = "max_image_tokens";
    else if (!in_range(p->min_image_tok, 1, p->max_image_tok)) *field = "min_image_tokens";
    else if (!in_range(p->tile_px, 1, 128 * p->patch_px) || p->tile_px % (p->patch_px * p->downsample) != 0) *field = "tile_size";
    else if (!in_range(p->max_tiles, 1, LFM2_VISION_MAX_INPUTS - 1)) *field = "max_tiles";
    else if (!in_range(p->min_tiles, 1, p->max_tiles)) *field = "min_tiles";
    else if (!in_range(p->letterbox, 0, 1)) *field = "letterbox";
    else if (!in_range(p->line_height_px, 0, MAX_LINE_HEIGHT_PX)) *field = "line_height_px";
    else if (!(p->max_pixels_tolerance >= 0 && p->max_pixels_tolerance <= 1000)) *field = "max_pixels_tolerance";
    for (int c = 0; c < 3 && !*field; c++) {
        if (!(fabsf(p->mean[c]) <= 1000)) *field = "image_mean";
        if (!(p->std[c] >= 1e-3f && p->std[c] <= 1000)) *field = "image_std";
    }
    return *field ? LFM2_ERR_ARG : 0;
}

/* To the nearest multiple of f, halves to the even one; at least lo. rint() would follow the rounding mode. */
static double round_to(double v, double f, double lo)
{
    const double q = v / f, down = floor(q), rest = q - down;
    const int up = rest > 0.5 || (rest == 0.5 && fmod(down, 2) != 0);
    return fmax(lo, (down + up) * f);
}

/* The size at which the whole image is encoded. */
static void smart_size(const lfm2_vision_params *p, double w, double h, double *out_w, double *out_h)
{
    const double f = p->patch_px * p->downsample;
    const double min_px = p->min_image_tok * f * f, max_px = p->max_image_tok * f * f;
    double wb = round_to(w, f, f), hb = round_to(h, f, f);
    if (hb * wb > max_px) { /* the decision by the rounded area, the scale by the true one */
        const double beta = sqrt(h * w / max_px);
        hb = fmax(f, floor(h / beta / f) * f);
        wb = fmax(f, floor(w / beta / f) * f);
    } else if (hb * wb < min_px) {
        const double beta = sqrt(min_px / (h * w));
        hb = ceil(h * beta / f) * f;
        wb = ceil(w * beta / f) * f;
    }
    *out_w = wb;
    *out_h = hb;
}

static int is_large(const lfm2_vision_params *p, double w, double h)
{
    const double f = p->patch_px * p->downsample;
    const double area = round_to(h, f, p->patch_px) * round_to(w, f, p->patch_px); /* at least a patch, not a token */
    return area > p->max_image_tok * f * f * p->max_pixels_tolerance;
}

/* The grid whose shape is nearest to the image's; of two as near, the larger if the image has pixels for half of it. */
static void choose_grid(const lfm2_vision_params *p, double w, double h, int32_t *cols, int32_t *rows)
{
    const double aspect = w / h, tile_px = p->tile_px;
    double best = INFINITY;
    *cols = *rows = 1;
    for (int32_t n = p->min_tiles; n <= p->max_tiles; n++) {
        for (int32_t gw = 1; gw <= n; gw++) {
            if (n % gw != 0) continue;
            const double diff = fabs(aspect - (double)gw / (double)(n / gw));
            if (diff < best || (diff == best && w * h > 0.5 * tile_px * tile_px * n)) {
                best = diff;
                *cols = gw;
                *rows = n / gw;
            }
        }
    }
}

static void add_input(lfm2_vision_plan *plan, const lfm2_vision_params *p, int32_t width_px, int32_t height_px)
{
    lfm2_vision_grid *g = &plan->inputs[plan->n_inputs++];
    g->n_cols = width_px / p->patch_px;
    g->n_rows = height_px / p->patch_px;
    plan->n_patches += g->n_rows * g->n_cols;
    plan->n_tok += (g->n_rows / p->downsample) * (g->n_cols / p->downsample);
}

int lfm2_vision_plan_image(const lfm2_vision_params *p, int32_t width_px, int32_t height_px, lfm2_vision_plan *plan)
{
    const char *field;
    if (!p || !plan || width_px < 1 || height_px < 1 || lfm2__vision_params_check(p, &field) < 0) return LFM2_ERR_ARG;
    if (width_px > LFM2_MAX_IMAGE_SIDE_PX || height_px > LFM2_MAX_IMAGE_SIDE_PX) return LFM2_ERR_LIMIT;
    lfm2_vision_plan x;
    memset(&x, 0, sizeof x);
    x.width_px = width_px;
    x.height_px = height_px;
    x.tile_cols = x.tile_rows = 1;

    double w, h;
    smart_size(p, width_px, height_px, &w, &h);
    const int can_split = p->do_split && !(p->min_tiles == 1 && p->max_tiles == 1);
    if (can_split && is_large(p, width_px, height_px)) choose_grid(p, width_px, height_px, &x.tile_cols, &x.tile_rows);
    const int32_t n_tiles = x.tile_cols * x.tile_rows;
    const int needs_smart = n_tiles == 1 || p->use_thumbnail;
    const double side = p->tile_px / p->patch_px, most = fmax(p->max_image_tok * p->downsample * p->downsample, side * side);
    if (needs_smart && w * h > 2 * most * p->patch_px * p->patch_px) return LFM2_ERR_LIMIT;
    if (w > INT32_MAX || h > INT32_MAX) return LFM2_ERR_LIMIT;
    x.smart_width_px = (int32_t)w;
    x.smart_height_px = (int32_t)h;
    x.has_thumbnail = n_tiles > 1 && p->use_thumbnail;
    for (int32_t i = 0; i < n_tiles && n_tiles > 1; i++) add_input(&x, p, p->tile_px, p->tile_px);
    if (needs_smart) add_input(&x, p, x.smart_width_px, x.smart_height_px);
    *plan = x;
    return 0;
}
