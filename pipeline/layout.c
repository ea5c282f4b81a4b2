/* SPDX-License-Identifier: Apache-2.0
 * Finding the lines of a page, and cutting them out. */
#include <math.h>
#include <string.h>

#include "base/runtime_impl.h"
#include "pipeline/layout_impl.h"

#define DEGREES (3.14159265358979323846 / 180)
#define MARGIN 0.15        /* around a line that is cut out, in its height */
#define STRAIGHT_DEG 0.05  /* less is not worth the softening of turning */
#define MAX_SMALL 24       /* px of the grey page: larger pieces may be shades */
#define MIN_PANEL_W 40     /* px of the grey page: a smaller bar holds no letters */
#define MIN_PANEL_H 12

typedef struct found_line {
    lfm2_text_box box;
    double x0, y0, x1, y1; /* px of the page, set straight around its middle */
} found_line;

struct lfm2_layout {
    lfm2_runtime *rt;
    lfm2_image page; /* with a reference of its own */
    lfm2__turn turn; /* around the middle of the page */
    int32_t n_lines;
    found_line *lines;
};

lfm2_layout_params lfm2_layout_params_default(void)
{
    return (lfm2_layout_params){.min_line_px = 5, .max_lines = 5000, .max_skew_deg = 10};
}

/* --- setting straight --- */

lfm2__turn lfm2__turn_make(double skew_deg, int32_t w, int32_t h)
{
    return (lfm2__turn){skew_deg, cos(skew_deg * DEGREES), sin(skew_deg * DEGREES), w / 2.0, h / 2.0};
}

void lfm2__straighten(const lfm2__turn *t, lfm2__piece *p)
{
    const double w = p->box.x1 - p->box.x0, h = p->box.y1 - p->box.y0;
    const double dx = p->box.x0 + w / 2 - t->cx, dy = p->box.y0 + h / 2 - t->cy;
    const double x = dx * t->cos - dy * t->sin, y = dx * t->sin + dy * t->cos;
    /* the box of what was turned is larger than what was turned */
    const double s = fabs(t->sin), spread = t->cos * t->cos - s * s;
    double straight_w = w, straight_h = h;
    if (spread > 0.3) {
        straight_w = (w * t->cos - h * s) / spread;
        straight_h = (h * t->cos - w * s) / spread;
        if (straight_w < w / 2) straight_w = w / 2;
        if (straight_h < h / 2) straight_h = h / 2 < w ? h / 2 : h;
        if (straight_h < 1) straight_h = 1;
    }
    p->x0 = (float)(x - straight_w / 2);
    p->x1 = (float)(x + straight_w / 2);
    p->y0 = (float)(y - straight_h / 2);
    p->y1 = (float)(y + straight_h / 2);
}

#ifdef LFM2_HAVE_LEPT

/* --- pieces of ink --- */

typedef struct piece_list {
    lfm2__piece *pieces;
    int32_t n, cap;
} piece_list;

static int add_piece(lfm2_runtime *rt, piece_list *list, lfm2__piece piece)
{
    if (list->n == list->cap) {
        const int32_t cap = list->cap > 0 ? 2 * list->cap : 256;
        lfm2__piece *p = lfm2__grow(rt, list->pieces, (size_t)list->cap * sizeof *p, (size_t)cap * sizeof *p);
        if (p == NULL) return lfm2__fail(rt, LFM2_ERR_NOMEM, "layout: out of memory");
        list->pieces = p;
        list->cap = cap;
    }
    list->pieces[list->n++] = piece;
    return 0;
}

/* Letters on a bar: pieces of the other polarity inside a box that is mostly ink. */
static int add_panel(lfm2_runtime *rt, const lfm2__grey *grey, lfm2__rect box, lfm2__polarity polarity, const lfm2__turn *turn,
                     piece_list *list)
{
    lfm2__mask m;
    lfm2__rect *boxes = NULL;
    int32_t n = 0;
    const int32_t w = box.x1 - box.x0, h = box.y1 - box.y0;
    int rc = lfm2__panel_ink(rt, grey, box, polarity, &m);
    if (rc < 0) return rc;
    rc = lfm2__find_boxes(rt, &m, &boxes, &n);
    for (int32_t i = 0; rc == 0 && i < n; i++) {
        const lfm2__rect b = boxes[i];
        if (b.x0 == 0 || b.y0 == 0 || b.x1 == w || b.y1 == h) continue;
        lfm2__piece p = {.polarity = polarity, .line = -1, .n_ink = lfm2__mask_count(&m, b)};
        p.box = (lfm2__rect){b.x0 + box.x0, b.y0 + box.y0, b.x1 + box.x0, b.y1 + box.y0};
        lfm2__straighten(turn, &p);
        rc = add_piece(rt, list, p);
    }
    lfm2__free(rt, boxes);
    lfm2__mask_fini(rt, &m);
    return rc;
}

static int add_pieces(lfm2_runtime *rt, const lfm2__grey *grey, const lfm2__ink *ink, lfm2__polarity polarity,
                      const lfm2__turn *turn, piece_list *list)
{
    lfm2__rect *boxes = NULL;
    int32_t n = 0;
    const lfm2__mask *m = &ink->mask[polarity];
    int rc = lfm2__find_boxes(rt, m, &boxes, &n);
    for (int32_t i = 0; rc == 0 && i < n; i++) {
        const lfm2__rect b = boxes[i];
        const int32_t w = b.x1 - b.x0, h = b.y1 - b.y0, n_ink = lfm2__mask_count(m, b);
        if (lfm2__aborted(rt)) rc = LFM2_ERR_ABORTED;
        if ((w >= MAX_SMALL || h >= MAX_SMALL) && !lfm2__is_sharp(grey, b)) continue;
        if (rc == 0 && w >= MIN_PANEL_W && h >= MIN_PANEL_H && n_ink > w * (h / 2)) {
            rc = add_panel(rt, grey, b, polarity == LFM2__DARK ? LFM2__LIGHT : LFM2__DARK, turn, list);
        }
        lfm2__piece p = {.box = b, .n_ink = n_ink, .polarity = polarity, .line = -1};
        lfm2__straighten(turn, &p);
        if (rc == 0) rc = add_piece(rt, list, p);
    }
    lfm2__free(rt, boxes);
    return rc;
}

/* --- finding --- */

static int32_t at_most(int64_t v, int32_t hi)
{
    return v < hi ? (int32_t)v : hi;
}

/* Lines of the grey page become those of the page. */
static int take_lines(lfm2_layout *l, const lfm2__grey *grey, const lfm2__line *lines, int32_t n)
{
    const int32_t k = grey->reduction;
    if (n == 0) return 0;
    l->lines = lfm2__calloc(l->rt, (size_t)n, sizeof *l->lines);
    if (l->lines == NULL) return lfm2__fail(l->rt, LFM2_ERR_NOMEM, "layout: out of memory");
    const double dx = (double)grey->w * k / 2 - l->turn.cx, dy = (double)grey->h * k / 2 - l->turn.cy; /* between the middles */
    const double shift_x = dx * l->turn.cos - dy * l->turn.sin, shift_y = dx * l->turn.sin + dy * l->turn.cos;
    for (int32_t i = 0; i < n; i++) {
        const lfm2__rect b = lines[i].box;
        found_line *f = &l->lines[i];
        f->box = (lfm2_text_box){b.x0 * k, b.y0 * k, 0, 0, lines[i].block};
        f->box.w = at_most((int64_t)b.x1 * k, l->page.width) - f->box.x;
        f->box.h = at_most((int64_t)b.y1 * k, l->page.height) - f->box.y;
        f->x0 = (double)lines[i].x0 * k + shift_x;
        f->x1 = (double)lines[i].x1 * k + shift_x;
        f->y0 = (double)lines[i].y0 * k + shift_y;
        f->y1 = (double)lines[i].y1 * k + shift_y;
    }
    l->n_lines = n;
    return 0;
}

static int find(lfm2_layout *l, const lfm2_layout_params *params, const lfm2__grey *grey, lfm2__ink *ink)
{
    lfm2_runtime *rt = l->rt;
    piece_list list = {0};
    lfm2__line *lines = NULL;
    int32_t n_lines = 0;
    double skew = 0;
    int rc = lfm2__find_skew(rt, ink, params->max_skew_deg, &skew);
    const lfm2__turn turn = lfm2__turn_make(skew, grey->w, grey->h);
    l->turn = lfm2__turn_make(skew, l->page.width, l->page.height);
    for (int p = 0; rc == 0 && p < 2; p++) {
        rc = lfm2__remove_rules(rt, &ink->mask[p], skew);
        if (rc == 0) rc = add_pieces(rt, grey, ink, (lfm2__polarity)p, &turn, &list);
    }
    const float min_height = (float)params->min_line_px / (float)grey->reduction;
    if (rc == 0) rc = lfm2__group_lines(rt, list.pieces, list.n, min_height, &lines, &n_lines);
    if (rc == 0 && n_lines > params->max_lines) {
        rc = lfm2__fail(rt, LFM2_ERR_LIMIT, "layout: %d lines, over the limit of %d", n_lines, params->max_lines);
    }
    if (rc == 0) rc = lfm2__order_lines(rt, lines, n_lines);
    if (rc == 0) rc = take_lines(l, grey, lines, n_lines);
    lfm2__free(rt, list.pieces);
    lfm2__free(rt, lines);
    return rc;
}

static int find_on_page(lfm2_layout *l, const lfm2_layout_params *params)
{
    lfm2__grey grey;
    lfm2__ink ink;
    int rc = lfm2__grey_create(l->rt, &l->page, &grey);
    if (rc < 0) return rc;
    rc = lfm2__ink_create(l->rt, &grey, &ink);
    if (rc == 0) {
        rc = find(l, params, &grey, &ink);
        lfm2__ink_fini(l->rt, &ink);
    }
    lfm2__grey_fini(l->rt, &grey);
    return rc;
}

#else

static int find_on_page(lfm2_layout *l, const lfm2_layout_params *params)
{
    (void)params;
    return lfm2__fail(l->rt, LFM2_ERR_UNSUPPORTED, "layout: built without leptonica");
}

#endif

static int check_params(lfm2_runtime *rt, const lfm2_layout_params *p)
{
    if (p->min_line_px < 1) return lfm2__fail(rt, LFM2_ERR_ARG, "layout: min_line_px is %d, less than 1", p->min_line_px);
    if (p->max_lines < 1) return lfm2__fail(rt, LFM2_ERR_ARG, "layout: max_lines is %d, less than 1", p->max_lines);
    if (!(p->max_skew_deg >= 0 && p->max_skew_deg <= 45)) {
        return lfm2__fail(rt, LFM2_ERR_ARG, "layout: max_skew_deg is not within 0..45");
    }
    return 0;
}

static int is_image(const lfm2_image *page)
{
    if (page->width < 1 || page->height < 1 || page->rgb == NULL || page->stride_bytes / 3 < (size_t)page->width) return 0;
    return lfm2_buf_bytes(page->rgb) / page->stride_bytes >= (size_t)page->height;
}

int lfm2_layout_find(lfm2_runtime *rt, const lfm2_image *page, const lfm2_layout_params *params, lfm2_layout **out)
{
    const lfm2_layout_params defaults = lfm2_layout_params_default();
    if (rt == NULL || page == NULL || out == NULL) return LFM2_ERR_ARG;
    if (params == NULL) params = &defaults;
    int rc = check_params(rt, params);
    if (rc < 0) return rc;
    if (!is_image(page)) return lfm2__fail(rt, LFM2_ERR_ARG, "layout: the page is no image");
    lfm2_layout *l = lfm2__calloc(rt, 1, sizeof *l);
    if (l == NULL) return lfm2__fail(rt, LFM2_ERR_NOMEM, "layout: out of memory");
    l->rt = rt;
    l->page = *page;
    l->page.rgb = lfm2_buf_ref(page->rgb);
    rc = find_on_page(l, params);
    if (rc < 0) {
        lfm2_layout_destroy(l);
        return rc;
    }
    *out = l;
    return 0;
}

void lfm2_layout_destroy(lfm2_layout *l)
{
    if (l == NULL) return;
    lfm2_buf_unref(&l->page.rgb);
    lfm2__free(l->rt, l->lines);
    lfm2__free(l->rt, l);
}

int32_t lfm2_layout_n_lines(const lfm2_layout *l)
{
    return l->n_lines;
}

const lfm2_text_box *lfm2_layout_box(const lfm2_layout *l, int32_t line)
{
    return line >= 0 && line < l->n_lines ? &l->lines[line].box : NULL;
}

double lfm2_layout_skew_deg(const lfm2_layout *l)
{
    return l->turn.skew_deg;
}

/* --- cutting out --- */

/* Colour at a place between pixels; beyond the page it goes on as at its rim. */
static void colour_at(const lfm2_image *page, double x, double y, unsigned char out[3])
{
    const double right = page->width - 1, bottom = page->height - 1;
    x = x < 0 ? 0 : x > right ? right : x;
    y = y < 0 ? 0 : y > bottom ? bottom : y;
    const int32_t ix = (int32_t)x, iy = (int32_t)y;
    const double tx = x - ix, ty = y - iy;
    const size_t next_x = ix < page->width - 1 ? 3u : 0u, next_y = iy < page->height - 1 ? page->stride_bytes : 0;
    const unsigned char *p = (const unsigned char *)lfm2_buf_data(page->rgb) + (size_t)iy * page->stride_bytes + (size_t)ix * 3;
    for (size_t c = 0; c < 3; c++) {
        const double upper = p[c] + tx * (p[c + next_x] - p[c]);
        const double lower = p[c + next_y] + tx * (p[c + next_y + next_x] - p[c + next_y]);
        out[c] = (unsigned char)(upper + ty * (lower - upper) + 0.5);
    }
}

int lfm2_layout_line_image(const lfm2_layout *l, int32_t line, lfm2_image *out)
{
    if (l == NULL || out == NULL || line < 0 || line >= l->n_lines) return LFM2_ERR_ARG;
    const found_line *f = &l->lines[line];
    lfm2__turn t = l->turn;
    double margin = MARGIN * (f->y1 - f->y0);
    if (margin < 2) margin = 2;
    if (fabs(t.skew_deg) < STRAIGHT_DEG) { /* pixels stay what they are */
        t.cos = 1;
        t.sin = 0;
        margin = floor(margin);
    }
    double x0 = f->x0 - margin, y0 = f->y0 - margin, x1 = f->x1 + margin, y1 = f->y1 + margin;
    if (t.sin == 0) { /* not beyond the page, where there is nothing to see */
        x0 = fmax(x0, -t.cx);
        y0 = fmax(y0, -t.cy);
        x1 = fmin(x1, l->page.width - t.cx);
        y1 = fmin(y1, l->page.height - t.cy);
    }
    lfm2_image image = {.width = (int32_t)fmax(1, ceil(x1 - x0 - 1e-6)), .height = (int32_t)fmax(1, ceil(y1 - y0 - 1e-6))};
    image.stride_bytes = (size_t)image.width * 3;
    image.format = l->page.format;
    image.partial = l->page.partial;
    const int rc = lfm2_buf_create(l->rt, image.stride_bytes * (size_t)image.height, &image.rgb);
    if (rc < 0) return rc;
    unsigned char *px = lfm2_buf_data(image.rgb);
    for (int32_t y = 0; y < image.height; y++) {
        for (int32_t x = 0; x < image.width; x++, px += 3) {
            const double sx = x0 + x + 0.5, sy = y0 + y + 0.5;
            colour_at(&l->page, t.cx + sx * t.cos + sy * t.sin - 0.5, t.cy - sx * t.sin + sy * t.cos - 0.5, px);
        }
    }
    *out = image;
    return 0;
}
