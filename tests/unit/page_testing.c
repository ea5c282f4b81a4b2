/* SPDX-License-Identifier: Apache-2.0
 * Pages of text made for tests. */
#include "page_testing.h"

#include <math.h>
#include <stdio.h>

#include "base/utf8.h"
#include "file_testing.h"

/* --- fonts --- */

static const char *const font_names[PAGE_N_FONTS] = {"sans", "sans-bold", "serif", "serif-italic", "mono", "roman", "grotesque",
                                                     "narrow"};

static void font_load(page_font *f, const char *name)
{
    char path[1024];
    size_t n;
    int at = 0;
    (void)snprintf(path, sizeof path, PAGE_FONTS "/%s.pbm", name);
    char *pbm = read_file(path, &n);
    assert_int_equal(sscanf(pbm, "P4 %d %d%n", &f->w, &f->h, &at), 2);
    f->row_bytes = ((size_t)f->w + 7) / 8;
    assert_int_equal(n, (size_t)at + 1 + f->row_bytes * (size_t)f->h);
    f->bits = malloc(f->row_bytes * (size_t)f->h);
    assert_non_null(f->bits);
    memcpy(f->bits, pbm + at + 1, f->row_bytes * (size_t)f->h);
    free(pbm);
    (void)snprintf(path, sizeof path, PAGE_FONTS "/%s.txt", name);
    char *text = read_file(path, &n), *rest = NULL;
    int height;
    assert_int_equal(sscanf(strtok_r(text, "\n", &rest), "%d %d %d", &height, &f->foot, &f->em), 3);
    assert_int_equal(height, f->h);
    for (char *line = strtok_r(NULL, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        page_glyph *g = &f->glyphs[f->n_glyphs++];
        assert_true(f->n_glyphs <= 160);
        assert_int_equal(sscanf(line, "%u %d %d %d %d", &g->code_point, &g->x, &g->w, &g->left, &g->advance), 5);
    }
    free(text);
}

page_font *page_fonts_load(void)
{
    page_font *fonts = calloc(PAGE_N_FONTS, sizeof *fonts);
    assert_non_null(fonts);
    for (int i = 0; i < PAGE_N_FONTS; i++) font_load(&fonts[i], font_names[i]);
    return fonts;
}

void page_fonts_free(page_font *fonts)
{
    for (int i = 0; i < PAGE_N_FONTS; i++) free(fonts[i].bits);
    free(fonts);
}

static const page_glyph *glyph_of(const page_font *f, uint32_t cp)
{
    for (int i = 0; i < f->n_glyphs; i++) {
        if (f->glyphs[i].code_point == cp) return &f->glyphs[i];
    }
    return NULL;
}

/* --- random --- */

uint32_t page_next(page_random *r)
{
    r->state = r->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(r->state >> 33);
}

int page_in(page_random *r, int lo, int hi)
{
    return lo + (int)(page_next(r) % (uint32_t)(hi - lo + 1));
}

double page_share(page_random *r)
{
    return page_next(r) / 2147483648.0;
}

/* --- writing --- */

void sheet_init(sheet *s, int w, int h)
{
    *s = (sheet){.w = w, .h = h};
    s->ink = calloc((size_t)w * (size_t)h, 1);
    s->of = calloc((size_t)w * (size_t)h, 1);
    assert_true(s->ink != NULL && s->of != NULL);
}

void sheet_fini(sheet *s)
{
    free(s->ink);
    free(s->of);
    memset(s, 0, sizeof *s);
}

/* Share, 0..255, of ink in [x0, x1) x [y0, y1) of the letter's bitmap. */
static int coverage(const page_font *f, const page_glyph *g, double x0, double y0, double x1, double y1)
{
    double sum = 0;
    for (int y = (int)floor(y0); y < y1; y++) {
        if (y < 0 || y >= f->h) continue;
        const double hy = fmin(y1, y + 1) - fmax(y0, y);
        for (int x = (int)floor(x0); x < x1; x++) {
            if (x < 0 || x >= g->w) continue;
            const int at = g->x + x;
            const int is_ink = f->bits[(size_t)y * f->row_bytes + (size_t)(at / 8)] >> (7 - at % 8) & 1;
            if (is_ink) sum += hy * (fmin(x1, x + 1) - fmax(x0, x));
        }
    }
    return (int)(255 * sum / ((x1 - x0) * (y1 - y0)) + 0.5);
}

static void draw(sheet *s, const page_font *f, const page_glyph *g, double em, double x, double y, int line)
{
    const double k = f->em / em, left = x + g->left / k, top = y - f->foot / k;
    for (int py = (int)floor(top); py < top + f->h / k + 1; py++) {
        for (int px = (int)floor(left); px < left + g->w / k + 1; px++) {
            if (px < 0 || py < 0 || px >= s->w || py >= s->h) continue;
            const int c = coverage(f, g, (px - left) * k, (py - top) * k, (px + 1 - left) * k, (py + 1 - top) * k);
            const size_t at = (size_t)py * (size_t)s->w + (size_t)px;
            if (c > s->ink[at]) s->ink[at] = (unsigned char)c;
            if (c >= 64 && line > 0) s->of[at] = (unsigned char)line;
        }
    }
}

static double run(sheet *s, const page_font *f, double em, double x, double y, const char *text, double word_gap, int line)
{
    const size_t n = strlen(text);
    uint32_t cp;
    for (size_t i = 0, step; i < n; i += step) {
        step = lfm2__utf8_decode(text + i, n - i, &cp);
        assert_true(step > 0);
        const page_glyph *g = glyph_of(f, cp);
        if (cp == ' ') {
            const page_glyph *narrow = glyph_of(f, 'i'), *wide = glyph_of(f, 'n');
            x += (narrow->advance + wide->advance) * em / f->em * 0.34 + word_gap;
            continue;
        }
        if (g == NULL) continue;
        if (s != NULL) draw(s, f, g, em, x, y, line);
        x += g->advance * em / f->em;
    }
    return x;
}

double sheet_write(sheet *s, const page_font *font, double em, double x, double y, const char *text, double word_gap, int line)
{
    if (line > s->n_lines) s->n_lines = line;
    assert_true(line <= PAGE_MAX_LINES);
    return run(s, font, em, x, y, text, word_gap, line);
}

double page_text_width(const page_font *font, double em, const char *text)
{
    return run(NULL, font, em, 0, 0, text, 0, 0);
}

void sheet_fill(sheet *s, int x, int y, int w, int h, int ink)
{
    for (int py = y; py < y + h; py++) {
        for (int px = x; px < x + w; px++) {
            if (px >= 0 && py >= 0 && px < s->w && py < s->h) s->ink[(size_t)py * (size_t)s->w + (size_t)px] = (unsigned char)ink;
        }
    }
}

static void add_word(page_random *r, char *word, size_t cap)
{
    static const char *const begins[] = {"b", "br", "d", "f", "g", "gl", "h", "j", "k", "l", "m", "n", "p", "pl", "qu", "r", "s",
                                         "st", "t", "th", "v", "w", "y", "z", "", "ch"};
    static const char *const middles[] = {"a", "e", "i", "o", "u", "ai", "ea", "ou", "ä", "é", "ö", "y", "ü", "e", "a", "i"};
    static const char *const ends[] = {"", "", "n", "r", "s", "t", "ll", "ng", "p", "ck", "d", "m", "gh", "x", "ß"};
    word[0] = '\0';
    if (page_in(r, 0, 11) == 0) {
        (void)snprintf(word, cap, "%d%s", page_in(r, 1, 2026), page_in(r, 0, 2) == 0 ? ".50" : "");
        return;
    }
    size_t n = 0;
    for (int k = page_in(r, 1, 3); k > 0; k--) {
        n += (size_t)snprintf(word + n, cap - n, "%s%s%s", begins[page_in(r, 0, 25)], middles[page_in(r, 0, 15)],
                              ends[page_in(r, 0, 14)]);
    }
    if (page_in(r, 0, 4) == 0 && word[0] >= 'a' && word[0] <= 'z') word[0] = (char)(word[0] - 'a' + 'A');
    static const char *const marks[] = {",", ".", ".", ";", ":", "!", "?", ")", "’"};
    if (page_in(r, 0, 6) == 0) (void)snprintf(word + n, cap - n, "%s", marks[page_in(r, 0, 7)]);
}

size_t page_words(page_random *r, const page_font *font, double em, double width, char *text, size_t cap)
{
    size_t n = 0;
    text[0] = '\0';
    for (;;) {
        char longer[512], word[64];
        add_word(r, word, sizeof word);
        (void)snprintf(longer, sizeof longer, "%s%s%s", text, n > 0 ? " " : "", word);
        if (strlen(longer) >= cap || (n > 0 && page_text_width(font, em, longer) > width)) return n;
        n = strlen(longer);
        memcpy(text, longer, n + 1);
        if (page_text_width(font, em, longer) > width) return n;
    }
}

/* --- photographing --- */

static double ink_at(const sheet *s, double x, double y)
{
    const double fx = floor(x), fy = floor(y), tx = x - fx, ty = y - fy;
    double v[4] = {0};
    for (int k = 0; k < 4; k++) {
        const double px = fx + (k & 1), py = fy + (k >> 1);
        if (px >= 0 && py >= 0 && px < s->w && py < s->h) v[k] = s->ink[(size_t)py * (size_t)s->w + (size_t)px];
    }
    return (v[0] + tx * (v[1] - v[0])) * (1 - ty) + (v[2] + tx * (v[3] - v[2])) * ty;
}

static void find_truth(const sheet *s, double c, double sn, lfm2_text_box *truth)
{
    double x0[PAGE_MAX_LINES + 1], y0[PAGE_MAX_LINES + 1], x1[PAGE_MAX_LINES + 1], y1[PAGE_MAX_LINES + 1];
    for (int i = 0; i <= PAGE_MAX_LINES; i++) x0[i] = y0[i] = 1e9, x1[i] = y1[i] = -1e9;
    for (int y = 0; y < s->h; y++) {
        for (int x = 0; x < s->w; x++) {
            const int i = s->of[(size_t)y * (size_t)s->w + (size_t)x];
            if (i == 0) continue;
            const double dx = x + 0.5 - s->w / 2.0, dy = y + 0.5 - s->h / 2.0;
            const double px = s->w / 2.0 + dx * c + dy * sn, py = s->h / 2.0 - dx * sn + dy * c;
            x0[i] = fmin(x0[i], px), y0[i] = fmin(y0[i], py), x1[i] = fmax(x1[i], px), y1[i] = fmax(y1[i], py);
        }
    }
    for (int i = 1; i <= s->n_lines; i++) {
        const int32_t x = (int32_t)floor(fmax(0, x0[i])), y = (int32_t)floor(fmax(0, y0[i]));
        truth[i - 1] = (lfm2_text_box){x, y, (int32_t)floor(fmin(x1[i], s->w - 1)) + 1 - x,
                                       (int32_t)floor(fmin(y1[i], s->h - 1)) + 1 - y, 0};
    }
}

/* What saving as JPEG does to one block: the cosine transform, coarsened. */
static void coarsen_block(double *v, int step)
{
    static double cosines[8][8];
    if (cosines[0][0] == 0) {
        for (int k = 0; k < 8; k++) {
            for (int i = 0; i < 8; i++) cosines[k][i] = cos((2 * i + 1) * k * 3.14159265358979 / 16) * (k == 0 ? sqrt(0.125) : 0.5);
        }
    }
    double a[64], b[64];
    for (int k = 0; k < 8; k++) {
        for (int y = 0; y < 8; y++) {
            a[k * 8 + y] = 0;
            for (int x = 0; x < 8; x++) a[k * 8 + y] += cosines[k][x] * v[y * 8 + x];
        }
    }
    for (int k = 0; k < 8; k++) {
        for (int j = 0; j < 8; j++) {
            double sum = 0;
            for (int y = 0; y < 8; y++) sum += cosines[j][y] * a[k * 8 + y];
            const double q = step * (1 + 0.4 * (j + k));
            b[j * 8 + k] = round(sum / q) * q;
        }
    }
    for (int j = 0; j < 8; j++) {
        for (int x = 0; x < 8; x++) {
            a[j * 8 + x] = 0;
            for (int k = 0; k < 8; k++) a[j * 8 + x] += cosines[k][x] * b[j * 8 + k];
        }
    }
    for (int y = 0; y < 8; y++) {
        for (int x = 0; x < 8; x++) {
            double sum = 0;
            for (int j = 0; j < 8; j++) sum += cosines[j][y] * a[j * 8 + x];
            v[y * 8 + x] = sum;
        }
    }
}

static void coarsen(double *px, int w, int h, int step)
{
    for (int y = 0; y + 8 <= h; y += 8) {
        for (int x = 0; x + 8 <= w; x += 8) {
            double block[64];
            for (int i = 0; i < 64; i++) block[i] = px[(y + i / 8) * w + x + i % 8];
            coarsen_block(block, step);
            for (int i = 0; i < 64; i++) px[(y + i / 8) * w + x + i % 8] = block[i];
        }
    }
}

lfm2_image page_plain(lfm2_runtime *rt, int w, int h, int red, int green, int blue)
{
    lfm2_image image = {.width = w, .height = h, .stride_bytes = (size_t)w * 3 + 5, .format = "png"};
    assert_int_equal(lfm2_buf_create(rt, image.stride_bytes * (size_t)h, &image.rgb), 0);
    unsigned char *px = lfm2_buf_data(image.rgb);
    memset(px, 0x5a, image.stride_bytes * (size_t)h);
    for (int y = 0; y < h; y++) {
        for (int x = 0; x < w; x++) {
            unsigned char *p = px + (size_t)y * image.stride_bytes + (size_t)x * 3;
            p[0] = (unsigned char)red, p[1] = (unsigned char)green, p[2] = (unsigned char)blue;
        }
    }
    return image;
}

void sheet_photograph(lfm2_runtime *rt, const sheet *s, const page_look *look, page_random *r, lfm2_image *out,
                      lfm2_text_box *truth)
{
    const double c = cos(look->turn_deg * 3.14159265358979 / 180), sn = sin(look->turn_deg * 3.14159265358979 / 180);
    double *cover = malloc((size_t)s->w * (size_t)s->h * sizeof *cover);
    assert_non_null(cover);
    for (int y = 0; y < s->h; y++) {
        for (int x = 0; x < s->w; x++) {
            const double dx = x + 0.5 - s->w / 2.0, dy = y + 0.5 - s->h / 2.0;
            cover[y * s->w + x] = ink_at(s, s->w / 2.0 + dx * c - dy * sn - 0.5, s->h / 2.0 + dx * sn + dy * c - 0.5);
        }
    }
    if (look->jpeg_step > 0) coarsen(cover, s->w, s->h, look->jpeg_step);
    *out = page_plain(rt, s->w, s->h, 0, 0, 0);
    unsigned char *px = lfm2_buf_data(out->rgb);
    for (int y = 0; y < s->h; y++) {
        for (int x = 0; x < s->w; x++) {
            double noise = -look->shade * (x + y) / (s->w + s->h);
            if (look->noise > 0) {
                for (int k = 0; k < 4; k++) noise += look->noise * (page_share(r) - 0.5) * sqrt(3);
            }
            for (int k = 0; k < 3; k++) {
                const double v = look->paper[k] + (look->ink[k] - look->paper[k]) * cover[y * s->w + x] / 255 + noise;
                px[(size_t)y * out->stride_bytes + (size_t)(x * 3 + k)] = (unsigned char)fmin(255, fmax(0, v + 0.5));
            }
        }
    }
    free(cover);
    if (truth != NULL) find_truth(s, c, sn, truth);
}

double page_iou(const lfm2_text_box *a, const lfm2_text_box *b)
{
    const double x0 = fmax(a->x, b->x), y0 = fmax(a->y, b->y);
    const double x1 = fmin(a->x + a->w, b->x + b->w), y1 = fmin(a->y + a->h, b->y + b->h);
    if (x1 <= x0 || y1 <= y0) return 0;
    const double common = (x1 - x0) * (y1 - y0);
    return common / ((double)a->w * a->h + (double)b->w * b->h - common);
}

/* --- the measured set --- */

/* Lines of one column from y down to the end; returns the number of the next line. */
static int set_column(sheet *s, page_random *r, const page_font *font, double em, double spacing, int x, int width, int y,
                      int n_lines, int line, int justified)
{
    int in_paragraph = page_in(r, 2, 8);
    double at = y;
    for (int k = 0; k < n_lines && at + em < s->h - 30; k++) {
        char text[400];
        const int is_last = --in_paragraph == 0;
        const double room = is_last ? width * (0.3 + 0.6 * page_share(r)) : width;
        if (page_words(r, font, em, room, text, sizeof text) == 0) break;
        const double w = page_text_width(font, em, text);
        if (w > width) break;
        int n_gaps = 0;
        for (const char *c = text; *c != '\0'; c++) n_gaps += *c == ' ';
        double gap = justified && !is_last && n_gaps > 2 ? (width - w) / n_gaps : 0;
        if (gap > 0.5 * em) gap = 0;
        (void)sheet_write(s, font, em, x, at + em * 0.8, text, gap, line++);
        at += em * spacing;
        if (is_last) {
            at += em * spacing * (page_in(r, 0, 1) ? 0.6 : 0);
            in_paragraph = page_in(r, 2, 8);
        }
    }
    return line;
}

void page_make(const page_font *fonts, uint64_t seed, sheet *s, page_look *look)
{
    static const int sizes[] = {10, 11, 12, 13, 14, 16, 18, 20, 24, 28, 34, 40, 48};
    static const int colours[][6] = {
        {0, 0, 0, 255, 255, 255},     {30, 30, 40, 250, 248, 240}, {60, 40, 20, 235, 220, 190}, {90, 90, 90, 255, 255, 255},
        {255, 255, 255, 0, 0, 0},     {230, 230, 230, 30, 34, 40}, {255, 240, 120, 20, 30, 90}, {160, 170, 180, 16, 16, 16},
    };
    page_random r = {seed * 7919 + 1};
    for (int i = 0; i < 10; i++) (void)page_next(&r);
    const double em = sizes[seed % 13];
    const page_font *font = &fonts[(seed / 2) % PAGE_N_FONTS];
    const int n_columns = em <= 20 && page_in(&r, 0, 2) == 0 ? 2 : 1;
    const int w = n_columns == 2 ? page_in(&r, 760, 900) : page_in(&r, 500, 800), n_lines = page_in(&r, 3, 40);
    const double spacing = 1.15 + 0.5 * page_share(&r);
    const int margin = 45;
    int h = (int)(2 * margin + em * 3 + em * spacing * n_lines * 1.15);
    if (h > 1100) h = 1100;
    sheet_init(s, w, h);
    int line = 1, y = margin;
    if (page_in(&r, 0, 2) == 0) { /* a heading */
        char text[400];
        const double large = em * (1.2 + 0.8 * page_share(&r));
        if (large < 50 && page_words(&r, font, large, (w - 2 * margin) * 0.8, text, sizeof text) > 0
            && page_text_width(font, large, text) < w - 2 * margin) {
            (void)sheet_write(s, font, large, margin, y + large * 0.8, text, 0, line++);
            y += (int)(large * 1.9);
        }
    }
    const int gutter = (int)(1.8 * em) + page_in(&r, 0, 20);
    const int width = n_columns == 2 ? (w - 2 * margin - gutter) / 2 : w - 2 * margin;
    const int justified = page_in(&r, 0, 1), n_each = n_columns == 2 ? (n_lines + 1) / 2 : n_lines;
    for (int c = 0; c < n_columns; c++) {
        line = set_column(s, &r, font, em, spacing, margin + c * (width + gutter), width, y, n_each, line, justified);
    }
    const int *colour = colours[seed % 2 == 0 ? page_in(&r, 0, 3) : page_in(&r, 4, 7)];
    *look = (page_look){.turn_deg = seed % 5 == 0 ? 0 : 4 * page_share(&r) - 2, .shade = seed % 3 == 0 ? 40 * page_share(&r) : 0,
                        .noise = seed % 4 < 2 ? 0 : 6 * page_share(&r), .jpeg_step = seed % 2 ? 0 : page_in(&r, 4, 14)};
    for (int k = 0; k < 3; k++) look->ink[k] = colour[k], look->paper[k] = colour[3 + k];
}
