/* SPDX-License-Identifier: Apache-2.0
 * From colours to ink: a pixel is ink where it differs from the colour that most of its surroundings have, be it darker or lighter.
 * So light on dark, shadows and coloured paper need no decision about the whole page. */
#include <stdlib.h>
#include <string.h>

#include "base/runtime_impl.h"
#include "pipeline/layout_impl.h"

#define MAX_PX ((int64_t)12 << 20) /* of the grey page: an A4 sheet at 350 dpi */
#define MAX_SIDE 100000
#define MIN_WINDOW 48      /* px of the surroundings' side: several lines of small letters */
#define MAX_WINDOW 256
#define SAMPLES_A_SIDE 32  /* looked at in each window */
#define EDGE_PX 3          /* within these ... */
#define EDGE_CONTRAST 12   /* ... an edge of ink goes over so many grey levels; shading does not */
#define MIN_CONTRAST 20    /* grey levels */
#define UNREST_FACTOR 8    /* ink differs by so many times what a quarter of the pixels around stays below: 2.5 deviations */
#define NOISE_FACTOR 7     /* and by so many times what half of them does, where the page is quietest: five deviations */
#define INK_SHARE 0.3f     /* and by so much of the contrast of the strongest ink around */

/* --- grey --- */

static int32_t least_reduction(int32_t w, int32_t h)
{
    int32_t k = 1;
    while (k < INT32_MAX / 2 && ((int64_t)(w / k + 1) * (h / k + 1) > MAX_PX || w / k > MAX_SIDE || h / k > MAX_SIDE)) k++;
    return k;
}

/* Mean brightness of a row of the reduced page. */
static void grey_row(const lfm2_image *page, const lfm2__grey *g, int32_t y, uint32_t *sums)
{
    const unsigned char *rgb = lfm2_buf_data(page->rgb);
    const int32_t k = g->reduction;
    const int32_t y0 = y * k, y1 = y0 + k < page->height ? y0 + k : page->height;
    memset(sums, 0, (size_t)g->w * sizeof *sums);
    for (int32_t py = y0; py < y1; py++) {
        const unsigned char *p = rgb + (size_t)py * page->stride_bytes;
        int32_t x = 0, in_cell = 0;
        for (int32_t px = 0; px < page->width; px++, p += 3) {
            sums[x] += (77u * p[0] + 150u * p[1] + 29u * p[2]) >> 8;
            if (++in_cell == k) in_cell = 0, x++;
        }
    }
    uint8_t *out = g->px + (size_t)y * (size_t)g->w;
    for (int32_t x = 0; x < g->w; x++) {
        const int32_t x1 = (x + 1) * (int64_t)k < page->width ? k : page->width - x * k;
        out[x] = (uint8_t)(sums[x] / (uint32_t)(x1 * (y1 - y0)));
    }
}

int lfm2__grey_create(lfm2_runtime *rt, const lfm2_image *page, lfm2__grey *out)
{
    lfm2__grey g = {.reduction = least_reduction(page->width, page->height)};
    g.w = (page->width - 1) / g.reduction + 1;
    g.h = (page->height - 1) / g.reduction + 1;
    if (g.reduction > 4000) return lfm2__fail(rt, LFM2_ERR_LIMIT, "layout: the page is too large"); /* sums would overflow */
    uint32_t *sums = lfm2__calloc(rt, (size_t)g.w, sizeof *sums);
    g.px = lfm2__alloc(rt, (size_t)g.w * (size_t)g.h);
    int rc = sums == NULL || g.px == NULL ? lfm2__fail(rt, LFM2_ERR_NOMEM, "layout: out of memory") : 0;
    for (int32_t y = 0; rc == 0 && y < g.h; y++) {
        grey_row(page, &g, y, sums);
        if (lfm2__aborted(rt)) rc = LFM2_ERR_ABORTED;
    }
    lfm2__free(rt, sums);
    if (rc < 0) {
        lfm2__free(rt, g.px);
    } else {
        *out = g;
    }
    return rc;
}

void lfm2__grey_fini(lfm2_runtime *rt, lfm2__grey *g)
{
    lfm2__free(rt, g->px);
    *g = (lfm2__grey){0};
}

/* --- masks --- */

int lfm2__mask_create(lfm2_runtime *rt, int32_t w, int32_t h, lfm2__mask *out)
{
    lfm2__mask m = {w, h, (w + 31) / 32, NULL};
    m.bits = lfm2__calloc(rt, (size_t)m.wpl * (size_t)h, sizeof *m.bits);
    if (m.bits == NULL) return lfm2__fail(rt, LFM2_ERR_NOMEM, "layout: out of memory");
    *out = m;
    return 0;
}

void lfm2__mask_fini(lfm2_runtime *rt, lfm2__mask *m)
{
    lfm2__free(rt, m->bits);
    *m = (lfm2__mask){0};
}

static int32_t n_bits(uint32_t v)
{
    v -= v >> 1 & 0x55555555u;
    v = (v & 0x33333333u) + (v >> 2 & 0x33333333u);
    return (int32_t)(((v + (v >> 4)) & 0x0f0f0f0fu) * 0x01010101u >> 24);
}

int32_t lfm2__mask_count(const lfm2__mask *m, lfm2__rect box)
{
    int32_t n = 0;
    if (box.x0 >= box.x1) return 0;
    const int32_t first = box.x0 >> 5, last = (box.x1 - 1) >> 5;
    const uint32_t left = 0xffffffffu >> (box.x0 & 31), right = 0xffffffffu << (31 - ((box.x1 - 1) & 31));
    for (int32_t y = box.y0; y < box.y1; y++) {
        const uint32_t *row = m->bits + (size_t)y * (size_t)m->wpl;
        for (int32_t i = first; i <= last; i++) {
            uint32_t v = row[i];
            if (i == first) v &= left;
            if (i == last) v &= right;
            n += n_bits(v);
        }
    }
    return n;
}

static void mask_set(lfm2__mask *m, int32_t x, int32_t y)
{
    m->bits[(size_t)y * (size_t)m->wpl + (size_t)(x >> 5)] |= 1u << (31 - (x & 31));
}

/* --- surroundings --- */

/* Colour and unrest of the surroundings at points that are step apart, from the corner on. */
typedef struct surroundings {
    int32_t window, step, nx, ny;
    float *colour;    /* f32 [ny, nx] */
    float *threshold; /* f32 [ny, nx]: how much ink differs at least */
} surroundings;

/* Where in a histogram of n values the share of them is reached. */
static int32_t quantile(const int32_t histogram[256], int32_t n, double share)
{
    int32_t seen = 0;
    for (int32_t v = 0; v < 256; v++) {
        seen += histogram[v];
        if (seen > share * n) return v;
    }
    return 255;
}

/* Value at a pixel, from the four points around it. */
static float between(const surroundings *s, const float *values, int32_t x, int32_t y)
{
    const float fx = (float)x / (float)s->step, fy = (float)y / (float)s->step;
    int32_t ix = (int32_t)fx, iy = (int32_t)fy;
    if (ix > s->nx - 2) ix = s->nx - 2;
    if (iy > s->ny - 2) iy = s->ny - 2;
    const float tx = fx - (float)ix, ty = fy - (float)iy;
    const float *v = values + (size_t)iy * (size_t)s->nx + (size_t)ix;
    const float upper = v[0] + tx * (v[1] - v[0]), lower = v[s->nx] + tx * (v[s->nx + 1] - v[s->nx]);
    return upper + ty * (lower - upper);
}

/* The window around point ix, iy as far as it is on the page. */
static lfm2__rect window_at(const surroundings *s, const lfm2__grey *g, int32_t ix, int32_t iy)
{
    lfm2__rect r = {ix * s->step - s->window / 2, iy * s->step - s->window / 2, 0, 0};
    r.x1 = r.x0 + s->window < g->w ? r.x0 + s->window : g->w;
    r.y1 = r.y0 + s->window < g->h ? r.y0 + s->window : g->h;
    if (r.x0 > r.x1 - s->window) r.x0 = r.x1 - s->window;
    if (r.y0 > r.y1 - s->window) r.y0 = r.y1 - s->window;
    if (r.x0 < 0) r.x0 = 0;
    if (r.y0 < 0) r.y0 = 0;
    return r;
}

/* Histogram of the window: of grey values, or of how far they are from the colour already known. Returns how many there are. */
static int32_t sample(const surroundings *s, const lfm2__grey *g, int32_t ix, int32_t iy, int differences, int32_t histogram[256])
{
    const lfm2__rect r = window_at(s, g, ix, iy);
    const int32_t dx = (r.x1 - r.x0 - 1) / SAMPLES_A_SIDE + 1, dy = (r.y1 - r.y0 - 1) / SAMPLES_A_SIDE + 1;
    int32_t n = 0, row = 0;
    memset(histogram, 0, 256 * sizeof *histogram);
    for (int32_t y = r.y0; y < r.y1; y += dy, row++) {
        for (int32_t x = r.x0 + row % dx; x < r.x1; x += dx, n++) { /* askew, so that no grid of the page is missed */
            int32_t v = g->px[(size_t)y * (size_t)g->w + (size_t)x];
            if (differences) v = abs(v - (int32_t)between(s, s->colour, x, y));
            histogram[v > 255 ? 255 : v]++;
        }
    }
    return n;
}

static void surroundings_fini(lfm2_runtime *rt, surroundings *s)
{
    lfm2__free(rt, s->colour);
    lfm2__free(rt, s->threshold);
}

static float at_least(float v, float least)
{
    return v < least ? least : v;
}

static int surroundings_init(lfm2_runtime *rt, const lfm2__grey *g, surroundings *s)
{
    const int32_t side = g->w < g->h ? g->w : g->h;
    *s = (surroundings){.window = side / 2};
    if (s->window < MIN_WINDOW) s->window = MIN_WINDOW;
    if (s->window > MAX_WINDOW) s->window = MAX_WINDOW;
    s->step = s->window / 4;
    s->nx = (g->w - 1) / s->step + 2;
    s->ny = (g->h - 1) / s->step + 2;
    const size_t n = (size_t)s->nx * (size_t)s->ny;
    s->colour = lfm2__calloc(rt, n, sizeof *s->colour);
    s->threshold = lfm2__calloc(rt, n, sizeof *s->threshold);
    if (s->colour == NULL || s->threshold == NULL) {
        surroundings_fini(rt, s);
        return lfm2__fail(rt, LFM2_ERR_NOMEM, "layout: out of memory");
    }
    int32_t unrest[256] = {0};
    for (int differences = 0; differences <= 1; differences++) {
        for (int32_t iy = 0; iy < s->ny; iy++) {
            for (int32_t ix = 0; ix < s->nx; ix++) {
                int32_t histogram[256];
                const int32_t n_px = sample(s, g, ix, iy, differences, histogram);
                const size_t at = (size_t)iy * (size_t)s->nx + (size_t)ix;
                if (!differences) {
                    s->colour[at] = (float)quantile(histogram, n_px, 0.5);
                    continue;
                }
                unrest[quantile(histogram, n_px, 0.5)]++;
                s->threshold[at] = at_least((float)(UNREST_FACTOR * quantile(histogram, n_px, 0.25)),
                                            INK_SHARE * (float)quantile(histogram, n_px, 0.97));
            }
            if (lfm2__aborted(rt)) {
                surroundings_fini(rt, s);
                return LFM2_ERR_ABORTED;
            }
        }
    }
    const float least = at_least(MIN_CONTRAST, (float)(NOISE_FACTOR * quantile(unrest, (int32_t)n, 0.25)));
    for (size_t i = 0; i < n; i++) s->threshold[i] = at_least(s->threshold[i], least);
    return 0;
}

int lfm2__ink_create(lfm2_runtime *rt, const lfm2__grey *grey, lfm2__ink *out)
{
    surroundings s;
    lfm2__ink ink = {0};
    int rc = surroundings_init(rt, grey, &s);
    if (rc < 0) return rc;
    for (int p = 0; rc == 0 && p < 2; p++) rc = lfm2__mask_create(rt, grey->w, grey->h, &ink.mask[p]);
    for (int32_t y = 0; rc == 0 && y < grey->h; y++) {
        for (int32_t x = 0; x < grey->w; x++) {
            const float difference = (float)grey->px[(size_t)y * (size_t)grey->w + (size_t)x] - between(&s, s.colour, x, y);
            if (difference < MIN_CONTRAST && difference > -MIN_CONTRAST) continue;
            const float threshold = between(&s, s.threshold, x, y);
            if (difference < -threshold) mask_set(&ink.mask[LFM2__DARK], x, y);
            if (difference > threshold) mask_set(&ink.mask[LFM2__LIGHT], x, y);
        }
        if (lfm2__aborted(rt)) rc = LFM2_ERR_ABORTED;
    }
    surroundings_fini(rt, &s);
    if (rc < 0) {
        lfm2__ink_fini(rt, &ink);
    } else {
        *out = ink;
    }
    return rc;
}

void lfm2__ink_fini(lfm2_runtime *rt, lfm2__ink *ink)
{
    for (int p = 0; p < 2; p++) lfm2__mask_fini(rt, &ink->mask[p]);
}

int lfm2__is_sharp(const lfm2__grey *grey, lfm2__rect box)
{
    for (int32_t y = box.y0; y < box.y1; y++) {
        const uint8_t *row = grey->px + (size_t)y * (size_t)grey->w;
        for (int32_t x = box.x0; x < box.x1; x++) {
            const int32_t right = x + EDGE_PX < grey->w ? x + EDGE_PX : grey->w - 1;
            const size_t below = (size_t)(y + EDGE_PX < grey->h ? EDGE_PX : grey->h - 1 - y) * (size_t)grey->w;
            if (abs(row[x] - row[right]) >= EDGE_CONTRAST || abs(row[x] - row[(size_t)x + below]) >= EDGE_CONTRAST) return 1;
        }
    }
    return 0;
}

int lfm2__panel_ink(lfm2_runtime *rt, const lfm2__grey *grey, lfm2__rect box, lfm2__polarity polarity, lfm2__mask *out)
{
    lfm2__mask m;
    int32_t histogram[256] = {0}, n = 0;
    const int rc = lfm2__mask_create(rt, box.x1 - box.x0, box.y1 - box.y0, &m);
    if (rc < 0) return rc;
    for (int32_t y = box.y0; y < box.y1; y++) {
        for (int32_t x = box.x0; x < box.x1; x++, n++) histogram[grey->px[(size_t)y * (size_t)grey->w + (size_t)x]]++;
    }
    const int32_t colour = quantile(histogram, n, 0.5);
    const int32_t far_off = quantile(histogram, n, polarity == LFM2__DARK ? 0.03 : 0.97);
    int32_t threshold = abs(far_off - colour) * 3 / 10;
    if (threshold < MIN_CONTRAST) threshold = MIN_CONTRAST;
    for (int32_t y = box.y0; y < box.y1; y++) {
        for (int32_t x = box.x0; x < box.x1; x++) {
            const int32_t difference = grey->px[(size_t)y * (size_t)grey->w + (size_t)x] - colour;
            if ((polarity == LFM2__DARK ? -difference : difference) > threshold) mask_set(&m, x - box.x0, y - box.y0);
        }
    }
    *out = m;
    return 0;
}
