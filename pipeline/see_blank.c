/* SPDX-License-Identifier: Apache-2.0
 * Is there anything to see? A sheet of one colour is told from a page by means over small cells, which noise hardly moves and a
 * stroke of a letter does. */
#include <math.h>

#include "pipeline/see_impl.h"

#define CELL 4          /* px */
#define N_STEPS 64      /* of the spread inside cells, of 1 level each */
#define LEAST_RANGE 8.0 /* levels: what a scanner's lamp or a JPEG does to a blank sheet */
#define MOST_NOISE 10.0 /* levels; rougher than that is structure */

typedef struct cells {
    double lo, hi;        /* of the means */
    int64_t n;
    int64_t by_spread[N_STEPS]; /* standard deviations inside cells, the last step being everything above */
} cells;

static void add_cell(cells *c, const uint8_t *px, size_t stride_bytes, int32_t width, int32_t height, int channel)
{
    double sum = 0, squares = 0;
    const double n = (double)width * height;

    for (int32_t y = 0; y < height; y++) {
        for (int32_t x = 0; x < width; x++) {
            const double v = px[(size_t)y * stride_bytes + (size_t)x * 3 + (size_t)channel];
            sum += v;
            squares += v * v;
        }
    }
    const double mean = sum / n, spread = sqrt(fmax(0, squares / n - mean * mean));
    c->lo = fmin(c->lo, mean);
    c->hi = fmax(c->hi, mean);
    c->by_spread[spread < N_STEPS - 1 ? (int)spread : N_STEPS - 1]++;
    c->n++;
}

/* The spread that nine in ten cells exceed: noise is everywhere, strokes are not. */
static double noise_of(const cells *c)
{
    int64_t seen = 0;
    int i;

    for (i = 0; i < N_STEPS - 1; i++) {
        seen += c->by_spread[i];
        if (seen * 10 > c->n) break;
    }
    return fmin(i, MOST_NOISE);
}

int lfm2__see_is_blank(const lfm2_image *image)
{
    const uint8_t *rgb = lfm2_buf_data(image->rgb);

    for (int channel = 0; channel < 3; channel++) {
        cells c = {.lo = INFINITY, .hi = -INFINITY};
        for (int32_t y = 0; y < image->height; y += CELL) {
            const int32_t height = image->height - y < CELL ? image->height - y : CELL;
            for (int32_t x = 0; x < image->width; x += CELL) {
                const int32_t width = image->width - x < CELL ? image->width - x : CELL;
                add_cell(&c, rgb + (size_t)y * image->stride_bytes + (size_t)x * 3, image->stride_bytes, width, height, channel);
            }
        }
        if (c.hi - c.lo > LEAST_RANGE + 3 * noise_of(&c)) return 0;
    }
    return 1;
}
