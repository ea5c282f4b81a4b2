/* SPDX-License-Identifier: Apache-2.0
 * Lines of text on pages of every kind: blank, dark, turned, in columns, ruled, tiny, huge; what is no text; failures. */
#include "page_testing.h"

#include <math.h>
#include <stdio.h>

#ifdef LFM2_HAVE_LEPT
#include <leptonica/allheaders.h>
#endif

#include "lfm2/lfm2.h"

/* --- arguments --- */

static void arguments(void **state)
{
    watched *x = *state;
    lfm2_layout *l = NULL;
    lfm2_image page = page_plain(x->rt, 20, 10, 255, 255, 255);
    lfm2_layout_params p = lfm2_layout_params_default();
    assert_int_equal(p.min_line_px, 5);
    assert_int_equal(p.max_lines, 5000);
    assert_true(p.max_skew_deg == 10);
    assert_int_equal(lfm2_layout_find(NULL, &page, NULL, &l), LFM2_ERR_ARG);
    assert_int_equal(lfm2_layout_find(x->rt, NULL, NULL, &l), LFM2_ERR_ARG);
    assert_int_equal(lfm2_layout_find(x->rt, &page, NULL, NULL), LFM2_ERR_ARG);
    static const double bad_skews[] = {-0.1, 45.1, NAN, INFINITY};
    for (size_t i = 0; i < LFM2__COUNT_OF(bad_skews); i++) {
        p = lfm2_layout_params_default();
        p.max_skew_deg = bad_skews[i];
        assert_int_equal(lfm2_layout_find(x->rt, &page, &p, &l), LFM2_ERR_ARG);
        assert_non_null(strstr(x->log.line, "max_skew_deg"));
    }
    p = lfm2_layout_params_default();
    p.min_line_px = 0;
    assert_int_equal(lfm2_layout_find(x->rt, &page, &p, &l), LFM2_ERR_ARG);
    assert_non_null(strstr(x->log.line, "min_line_px"));
    p = lfm2_layout_params_default();
    p.max_lines = 0;
    assert_int_equal(lfm2_layout_find(x->rt, &page, &p, &l), LFM2_ERR_ARG);
    assert_non_null(strstr(x->log.line, "max_lines"));
    lfm2_image bad = page;
    bad.width = 0;
    assert_int_equal(lfm2_layout_find(x->rt, &bad, NULL, &l), LFM2_ERR_ARG);
    bad = page;
    bad.height = 11;
    assert_int_equal(lfm2_layout_find(x->rt, &bad, NULL, &l), LFM2_ERR_ARG);
    bad = page;
    bad.stride_bytes = 59;
    assert_int_equal(lfm2_layout_find(x->rt, &bad, NULL, &l), LFM2_ERR_ARG);
    bad = page;
    bad.rgb = NULL;
    assert_int_equal(lfm2_layout_find(x->rt, &bad, NULL, &l), LFM2_ERR_ARG);
    assert_null(l);
    lfm2_layout_destroy(NULL);
    lfm2_image_fini(&page);
}

#ifndef LFM2_HAVE_LEPT

static void not_built(void **state)
{
    watched *x = *state;
    lfm2_layout *l = NULL;
    lfm2_image page = page_plain(x->rt, 20, 10, 255, 255, 255);
    assert_int_equal(lfm2_layout_find(x->rt, &page, NULL, &l), LFM2_ERR_UNSUPPORTED);
    assert_non_null(strstr(x->log.line, "leptonica"));
    assert_null(l);
    lfm2_image_fini(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(arguments, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(not_built, watch_setup, watch_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static const page_look plain = {.ink = {0, 0, 0}, .paper = {255, 255, 255}};
static const page_look dark = {.ink = {240, 240, 240}, .paper = {20, 24, 30}};

/* Find lines and check what holds for all: boxes on the page, blocks in ascending order, pictures of lines that can be had. */
static lfm2_layout *find(lfm2_runtime *rt, const lfm2_image *page, const lfm2_layout_params *params)
{
    lfm2_layout *l = NULL;
    assert_int_equal(lfm2_layout_find(rt, page, params, &l), 0);
    assert_non_null(l);
    const int32_t n = lfm2_layout_n_lines(l);
    assert_null(lfm2_layout_box(l, -1));
    assert_null(lfm2_layout_box(l, n));
    int32_t block = 0;
    for (int32_t i = 0; i < n; i++) {
        const lfm2_text_box *b = lfm2_layout_box(l, i);
        assert_true(b->x >= 0 && b->y >= 0 && b->w >= 1 && b->h >= 1);
        assert_true(b->x + b->w <= page->width && b->y + b->h <= page->height);
        assert_true(b->block == block || (i > 0 && b->block == block + 1));
        block = b->block;
        lfm2_image line = {0};
        assert_int_equal(lfm2_layout_line_image(l, i, &line), 0);
        assert_true(line.width >= 1 && line.height >= 1 && line.stride_bytes >= (size_t)line.width * 3);
        lfm2_image_fini(&line);
    }
    lfm2_image none;
    assert_int_equal(lfm2_layout_line_image(l, n, &none), LFM2_ERR_ARG);
    assert_int_equal(lfm2_layout_line_image(l, -1, &none), LFM2_ERR_ARG);
    return l;
}

static int32_t count_lines(lfm2_runtime *rt, lfm2_image *page)
{
    lfm2_layout *l = find(rt, page, NULL);
    const int32_t n = lfm2_layout_n_lines(l);
    lfm2_layout_destroy(l);
    lfm2_image_fini(page);
    return n;
}

/* Photograph a sheet and expect its lines in this order, `blocks` of them (0: as it comes), and nothing else. */
static void expect_lines(lfm2_runtime *rt, sheet *s, const page_look *look, int n_blocks)
{
    page_random r = {1};
    lfm2_image page;
    lfm2_text_box truth[PAGE_MAX_LINES];
    sheet_photograph(rt, s, look, &r, &page, truth);
    lfm2_layout *l = find(rt, &page, NULL);
    assert_int_equal(lfm2_layout_n_lines(l), s->n_lines);
    for (int i = 0; i < s->n_lines; i++) {
        const lfm2_text_box *b = lfm2_layout_box(l, i);
        if (page_iou(&truth[i], b) < 0.8) {
            fail_msg("line %d is at %d,%d %dx%d and was found at %d,%d %dx%d", i + 1, truth[i].x, truth[i].y, truth[i].w,
                     truth[i].h, b->x, b->y, b->w, b->h);
        }
    }
    if (n_blocks > 0) assert_int_equal(lfm2_layout_box(l, s->n_lines - 1)->block, n_blocks - 1);
    assert_true(fabs(lfm2_layout_skew_deg(l) - look->turn_deg) < 0.3);
    lfm2_layout_destroy(l);
    lfm2_image_fini(&page);
    sheet_fini(s);
}

/* --- nothing there --- */

static void blank_pages(void **state)
{
    watched *x = *state;
    static const int colours[][3] = {{255, 255, 255}, {0, 0, 0}, {128, 128, 128}, {200, 30, 30}};
    for (size_t i = 0; i < LFM2__COUNT_OF(colours); i++) {
        lfm2_image page = page_plain(x->rt, 400, 300, colours[i][0], colours[i][1], colours[i][2]);
        assert_int_equal(count_lines(x->rt, &page), 0);
    }
    sheet s;
    page_random r = {7};
    static const double noises[] = {2, 6, 12, 25, 60};
    for (size_t i = 0; i < LFM2__COUNT_OF(noises); i++) {
        lfm2_image page;
        sheet_init(&s, 500, 400);
        const page_look look = {.paper = {230, 228, 220}, .noise = noises[i], .shade = 30};
        sheet_photograph(x->rt, &s, &look, &r, &page, NULL);
        assert_int_equal(count_lines(x->rt, &page), 0);
        sheet_fini(&s);
    }
}

/* A slope from black to white, a vignette, a sheet whose edge and shadow are in the picture. */
static void light_that_changes(void **state)
{
    watched *x = *state;
    for (int kind = 0; kind < 4; kind++) {
        lfm2_image page = page_plain(x->rt, 600, 450, 0, 0, 0);
        unsigned char *px = lfm2_buf_data(page.rgb);
        for (int py = 0; py < page.height; py++) {
            for (int px_x = 0; px_x < page.width; px_x++) {
                const double dx = px_x - 300, dy = py - 225;
                double v = 255.0 * px_x / 599;
                if (kind == 1) v = 255 - 180 * (dx * dx + dy * dy) / (300 * 300 + 225 * 225);
                if (kind == 2) v = px_x < 60 + py / 20 ? 60 : 240;
                if (kind == 3) v = 255.0 * py / 449;
                for (int c = 0; c < 3; c++) px[(size_t)py * page.stride_bytes + (size_t)(px_x * 3 + c)] = (unsigned char)v;
            }
        }
        const int32_t n = count_lines(x->rt, &page);
        if (n != 0) fail_msg("kind %d: %d lines", kind, n);
    }
}

/* Clouds and shapes: a picture may look like a line here and there, but not like a page of them. */
static void pictures(void **state)
{
    watched *x = *state;
    int32_t n_lines = 0;
    for (uint64_t seed = 0; seed < 4; seed++) {
        page_random r = {seed + 100};
        lfm2_image page = page_plain(x->rt, 480, 360, 0, 0, 0);
        unsigned char *px = lfm2_buf_data(page.rgb);
        double waves[24][4];
        for (int k = 0; k < 24; k++) {
            const double length = 8 * pow(1.2, k);
            waves[k][0] = 6.283 * (page_share(&r) - 0.5) / length * 2, waves[k][1] = 6.283 * (page_share(&r) - 0.5) / length * 2;
            waves[k][2] = 6.283 * page_share(&r), waves[k][3] = 6 + length / 10;
        }
        for (int py = 0; py < page.height; py++) {
            for (int px_x = 0; px_x < page.width; px_x++) {
                double v = 128 + 8 * (page_share(&r) - 0.5);
                for (int k = 0; k < 24; k++) v += waves[k][3] * sin(waves[k][0] * px_x + waves[k][1] * py + waves[k][2]);
                for (int c = 0; c < 3; c++) {
                    px[(size_t)py * page.stride_bytes + (size_t)(px_x * 3 + c)] = (unsigned char)fmin(255, fmax(0, v));
                }
            }
        }
        n_lines += count_lines(x->rt, &page);
    }
    assert_in_range(n_lines, 0, 8);
}

static void odd_sizes(void **state)
{
    watched *x = *state;
    static const int sizes[][2] = {{1, 1}, {1, 2}, {2, 1}, {1, 300}, {300, 1}, {3, 3}, {15, 15}, {16, 16}, {31, 33}, {20000, 3},
                                   {3, 20000}, {20000, 40}, {64, 20000}};
    for (size_t i = 0; i < LFM2__COUNT_OF(sizes); i++) {
        for (int pattern = 0; pattern < 3; pattern++) {
            lfm2_image page = page_plain(x->rt, sizes[i][0], sizes[i][1], 255, 255, 255);
            unsigned char *px = lfm2_buf_data(page.rgb);
            page_random r = {i + 1};
            for (size_t k = 0; pattern > 0 && k < lfm2_buf_bytes(page.rgb); k++) {
                px[k] = pattern == 1 ? (unsigned char)page_next(&r) : (unsigned char)(k / page.stride_bytes % 7 < 3 ? 0 : 255);
            }
            (void)count_lines(x->rt, &page);
        }
    }
}

/* --- text --- */

static void write_lines(sheet *s, const page_font *font, double em, int x, int y, double spacing, int n, int first)
{
    static const char *const texts[] = {"The quick brown fox jumps over", "the lazy dog, and again it does",
                                        "Äpfel und Öl gibt es für 3.50 €", "(all of them) by the yellow pig"};
    for (int i = 0; i < n; i++) (void)sheet_write(s, font, em, x, y + i * em * spacing, texts[i % 4], 0, first + i);
}

static void one_line(void **state)
{
    watched *x = *state;
    page_font *fonts = page_fonts_load();
    static const char *const texts[] = {"A short line", "42", "Word", "yes, g-j (q) \"quoted\"", "ÄÖÜ éàç"};
    for (size_t i = 0; i < LFM2__COUNT_OF(texts); i++) {
        for (int em = 12; em <= 80; em += 17) {
            for (int is_dark = 0; is_dark < 2; is_dark++) {
                sheet s;
                const int w = (int)page_text_width(&fonts[0], em, texts[i]) + 12;
                sheet_init(&s, w, em * 4 / 3 + 4); /* cut closely */
                (void)sheet_write(&s, &fonts[0], em, 6, em * 1.0 + 2, texts[i], 0, 1);
                expect_lines(x->rt, &s, is_dark ? &dark : &plain, 1);
            }
        }
    }
    page_fonts_free(fonts);
}

static void columns_and_headings(void **state)
{
    watched *x = *state;
    page_font *fonts = page_fonts_load();
    for (int look = 0; look < 2; look++) {
        sheet s;
        sheet_init(&s, 800, 520);
        (void)sheet_write(&s, &fonts[1], 30, 50, 60, "A heading over both of the columns", 0, 1);
        write_lines(&s, &fonts[0], 16, 50, 120, 1.4, 6, 2);
        write_lines(&s, &fonts[0], 16, 50, 280, 1.4, 5, 8); /* a paragraph */
        write_lines(&s, &fonts[0], 16, 430, 120, 1.4, 6, 13);
        write_lines(&s, &fonts[0], 16, 430, 280, 1.4, 5, 19);
        (void)sheet_write(&s, &fonts[0], 16, 50, 460, "A line at the foot of the page, which goes over both columns, too", 0, 24);
        page_look turned = look == 0 ? plain : dark;
        turned.turn_deg = look == 0 ? 0 : -1.5;
        expect_lines(x->rt, &s, &turned, 6);
    }
    page_fonts_free(fonts);
}

/* Rules, frames and underlines are no text; cells are lines by themselves, read row by row. */
static void ruled_table(void **state)
{
    watched *x = *state;
    static const char *const cells[] = {"Item",  "Count", "Price", "Apples", "12", "3.50",
                                        "Pears", "7",     "18.20", "Sum",    "19", "21.70"};
    page_font *fonts = page_fonts_load();
    for (int turned = 0; turned < 2; turned++) {
        sheet s;
        sheet_init(&s, 620, 330);
        sheet_fill(&s, 2, 2, 616, 3, 255);
        sheet_fill(&s, 2, 325, 616, 3, 255);
        sheet_fill(&s, 2, 2, 3, 326, 255);
        sheet_fill(&s, 615, 2, 3, 326, 255);
        for (int row = 0; row < 4; row++) {
            for (int column = 0; column < 3; column++) {
                const int cell = row * 3 + column;
                (void)sheet_write(&s, &fonts[0], 20, 60 + column * 180, 85 + row * 50, cells[cell], 0, cell + 1);
            }
        }
        for (int i = 0; i < 5; i++) sheet_fill(&s, 40, 50 + i * 50, 540, 2, 255);
        for (int i = 0; i < 4; i++) sheet_fill(&s, 40 + i * 180, 50, 2, 202, 255);
        page_look look = plain;
        look.turn_deg = turned * 1.2;
        expect_lines(x->rt, &s, &look, 0);
    }
    page_fonts_free(fonts);
}

/* White letters on a black bar, on a page that is white otherwise. */
static void panels(void **state)
{
    watched *x = *state;
    page_font *fonts = page_fonts_load();
    sheet s, bar;
    sheet_init(&s, 560, 300);
    sheet_init(&bar, 560, 300);
    (void)sheet_write(&bar, &fonts[1], 22, 60, 46, "Invoice number 2026", 0, 1);
    (void)sheet_write(&s, &fonts[1], 22, 60, 46, "Invoice number 2026", 0, 1);
    sheet_fill(&s, 30, 20, 500, 40, 255);
    for (int i = 0; i < 560 * 300; i++) {
        if (bar.of[i] != 0 || bar.ink[i] != 0) s.ink[i] = (unsigned char)(255 - bar.ink[i]);
    }
    sheet_fini(&bar);
    write_lines(&s, &fonts[0], 18, 40, 110, 1.5, 6, 2);
    expect_lines(x->rt, &s, &plain, 0);
    page_fonts_free(fonts);
}

static void sizes_together(void **state)
{
    watched *x = *state;
    page_font *fonts = page_fonts_load();
    for (int is_dark = 0; is_dark < 2; is_dark++) {
        sheet s;
        sheet_init(&s, 760, 460);
        (void)sheet_write(&s, &fonts[1], 60, 40, 80, "Große Qualität", 0, 1);
        (void)sheet_write(&s, &fonts[5], 34, 40, 150, "for jugglers (beginning)", 0, 2);
        write_lines(&s, &fonts[2], 18, 40, 210, 1.4, 4, 3);
        write_lines(&s, &fonts[6], 10, 40, 350, 1.5, 4, 7);
        expect_lines(x->rt, &s, is_dark ? &dark : &plain, 4);
    }
    page_fonts_free(fonts);
}

static void turned_far(void **state)
{
    watched *x = *state;
    page_font *fonts = page_fonts_load();
    static const double turns[] = {-9, -4, 4, 9};
    for (size_t i = 0; i < LFM2__COUNT_OF(turns); i++) {
        sheet s;
        sheet_init(&s, 700, 600);
        write_lines(&s, &fonts[0], 20, 150, 180, 1.6, 8, 1);
        page_look look = plain;
        look.turn_deg = turns[i];
        expect_lines(x->rt, &s, &look, 1);
    }
    /* beyond what is allowed, and not looked for at all */
    sheet s;
    page_random r = {1};
    lfm2_image page;
    page_look look = plain;
    lfm2_layout_params p = lfm2_layout_params_default();
    sheet_init(&s, 700, 600);
    write_lines(&s, &fonts[0], 20, 150, 180, 1.6, 8, 1);
    look.turn_deg = 4;
    sheet_photograph(x->rt, &s, &look, &r, &page, NULL);
    for (int k = 0; k < 3; k++) {
        p.max_skew_deg = k == 0 ? 0 : k == 1 ? 2 : 45;
        lfm2_layout *l = find(x->rt, &page, &p);
        if (k < 2) assert_true(fabs(lfm2_layout_skew_deg(l)) <= p.max_skew_deg);
        if (k == 2) assert_true(fabs(lfm2_layout_skew_deg(l) - 4) < 0.3);
        lfm2_layout_destroy(l);
    }
    lfm2_image_fini(&page);
    sheet_fini(&s);
    page_fonts_free(fonts);
}

/* --- pictures of lines --- */

/* Of a straight page the pixels are those of the page; nothing is left out and the page may go before its layout. */
static void straight_pictures(void **state)
{
    watched *x = *state;
    page_font *fonts = page_fonts_load();
    sheet s;
    page_random r = {1};
    lfm2_image page, line;
    sheet_init(&s, 500, 200);
    write_lines(&s, &fonts[0], 20, 40, 60, 1.6, 3, 1);
    sheet_photograph(x->rt, &s, &plain, &r, &page, NULL);
    lfm2_layout_params p = lfm2_layout_params_default();
    p.max_skew_deg = 0;
    lfm2_layout *l = find(x->rt, &page, &p);
    assert_int_equal(lfm2_layout_n_lines(l), 3);
    const lfm2_text_box b = *lfm2_layout_box(l, 1);
    assert_int_equal(lfm2_layout_line_image(l, 1, &line), 0);
    const int mx = (line.width - b.w) / 2, my = (line.height - b.h) / 2;
    assert_in_range(mx, 2, b.h / 3);
    assert_in_range(my, 2, b.h / 3);
    const unsigned char *from = lfm2_buf_data(page.rgb), *to = lfm2_buf_data(line.rgb);
    for (int y = 0; y < line.height; y++) {
        assert_memory_equal(to + (size_t)y * line.stride_bytes,
                            from + (size_t)(b.y - my + y) * page.stride_bytes + (size_t)(b.x - mx) * 3, (size_t)line.width * 3);
    }
    assert_string_equal(line.format, "png");
    lfm2_image_fini(&line);
    lfm2_image_fini(&page);
    assert_int_equal(lfm2_layout_line_image(l, 0, &line), 0);
    lfm2_image_fini(&line);
    lfm2_layout_destroy(l);
    sheet_fini(&s);
    page_fonts_free(fonts);
}

/* Of a turned page they are set straight: as high as the line is, with ink at both of its ends. */
static void straightened_pictures(void **state)
{
    watched *x = *state;
    page_font *fonts = page_fonts_load();
    sheet s;
    page_random r = {1};
    lfm2_image page, line;
    page_look look = dark;
    look.turn_deg = 5;
    sheet_init(&s, 700, 500);
    write_lines(&s, &fonts[0], 24, 150, 150, 1.8, 6, 1);
    sheet_photograph(x->rt, &s, &look, &r, &page, NULL);
    lfm2_layout *l = find(x->rt, &page, NULL);
    assert_int_equal(lfm2_layout_n_lines(l), 6);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(lfm2_layout_line_image(l, i, &line), 0);
        assert_in_range(line.height, 20, 48);
        assert_true(line.height < lfm2_layout_box(l, i)->h); /* the upright box holds a turned line */
        const unsigned char *px = lfm2_buf_data(line.rgb);
        for (int side = 0; side < 2; side++) {
            int brightest = 0;
            for (int y = 0; y < line.height; y++) {
                for (int k = 0; k < line.width / 10; k++) {
                    const int at = side == 0 ? k : line.width - 1 - k;
                    const int v = px[(size_t)y * line.stride_bytes + (size_t)at * 3];
                    if (v > brightest) brightest = v;
                }
            }
            assert_true(brightest > 150);
        }
        for (int k = 0; k < line.width; k++) assert_true(px[k * 3] < 120); /* no ink touches the upper rim */
        lfm2_image_fini(&line);
    }
    lfm2_layout_destroy(l);
    lfm2_image_fini(&page);
    sheet_fini(&s);
    page_fonts_free(fonts);
}

/* --- limits --- */

/* A page too large to be looked at as it is: boxes are those of the page all the same. */
static void huge_page(void **state)
{
    watched *x = *state;
    page_font *fonts = page_fonts_load();
    sheet s;
    sheet_init(&s, 5200, 4200);
    write_lines(&s, &fonts[0], 120, 400, 700, 1.7, 10, 1);
    x->heap.peak_bytes = 0;
    expect_lines(x->rt, &s, &plain, 1);
    page_fonts_free(fonts);
}

static void limits(void **state)
{
    watched *x = *state;
    page_font *fonts = page_fonts_load();
    sheet s;
    page_random r = {1};
    lfm2_image page;
    lfm2_layout *l = NULL;
    lfm2_layout_params p = lfm2_layout_params_default();
    sheet_init(&s, 600, 400);
    write_lines(&s, &fonts[0], 20, 40, 60, 1.6, 8, 1);
    sheet_photograph(x->rt, &s, &plain, &r, &page, NULL);
    p.max_lines = 8;
    l = find(x->rt, &page, &p);
    assert_int_equal(lfm2_layout_n_lines(l), 8);
    lfm2_layout_destroy(l);
    l = NULL;
    p.max_lines = 7;
    assert_int_equal(lfm2_layout_find(x->rt, &page, &p, &l), LFM2_ERR_LIMIT);
    assert_null(l);
    p = lfm2_layout_params_default();
    p.min_line_px = 40; /* higher than any of them */
    l = find(x->rt, &page, &p);
    assert_int_equal(lfm2_layout_n_lines(l), 0);
    lfm2_layout_destroy(l);
    l = NULL;
    lfm2_runtime_abort(x->rt);
    assert_int_equal(lfm2_layout_find(x->rt, &page, NULL, &l), LFM2_ERR_ABORTED);
    assert_null(l);
    lfm2_runtime_clear_abort(x->rt);
    lfm2_image_fini(&page);
    sheet_fini(&s);
    page_fonts_free(fonts);
}

static void failing_allocations(void **state)
{
    watched *x = *state;
    page_font *fonts = page_fonts_load();
    sheet s;
    page_random r = {1};
    lfm2_image page;
    sheet_init(&s, 400, 200);
    write_lines(&s, &fonts[0], 18, 40, 50, 1.6, 4, 1);
    sheet_fill(&s, 40, 150, 300, 30, 255); /* a bar, which is looked into */
    sheet_photograph(x->rt, &s, &plain, &r, &page, NULL);
    for (long k = 0; test_fail_next(&x->heap, &k);) {
        lfm2_layout *l = NULL;
        lfm2_image line = {0};
        int rc = lfm2_layout_find(x->rt, &page, NULL, &l);
        if (rc == 0) rc = lfm2_layout_line_image(l, 0, &line);
        assert_int_equal(rc, test_has_failed(&x->heap) ? LFM2_ERR_NOMEM : 0);
        lfm2_image_fini(&line);
        lfm2_layout_destroy(l);
    }
    lfm2_image_fini(&page);
    sheet_fini(&s);
    page_fonts_free(fonts);
}

/* leptonica's pictures come from the C library; here they do not. (Its other blocks cannot be reached.) */
static long n_pictures, picture_that_fails;

static void *give_picture(size_t n_bytes)
{
    return ++n_pictures == picture_that_fails ? NULL : malloc(n_bytes);
}

static void failing_pictures(void **state)
{
    watched *x = *state;
    page_font *fonts = page_fonts_load();
    sheet s;
    page_random r = {1};
    lfm2_image page;
    page_look look = plain;
    int n_failed = 0;
    look.turn_deg = 1;
    sheet_init(&s, 400, 200);
    write_lines(&s, &fonts[0], 18, 40, 50, 1.6, 4, 1);
    sheet_fill(&s, 20, 150, 300, 2, 255); /* a rule, which is taken out */
    sheet_photograph(x->rt, &s, &look, &r, &page, NULL);
    setPixMemoryManager(give_picture, free);
    for (long k = 1;; k++) {
        lfm2_layout *l = NULL;
        n_pictures = 0;
        picture_that_fails = k;
        const int rc = lfm2_layout_find(x->rt, &page, NULL, &l);
        if (rc != 0) { /* the turn it finds without a picture is none; all else is an error */
            assert_int_equal(rc, LFM2_ERR_NOMEM);
            assert_null(l);
            n_failed++;
        }
        lfm2_layout_destroy(l);
        if (n_pictures < k) break;
    }
    setPixMemoryManager(malloc, free);
    assert_true(n_failed >= 8);
    lfm2_image_fini(&page);
    sheet_fini(&s);
    page_fonts_free(fonts);
}

int main(void)
{
#define WATCHED(test) cmocka_unit_test_setup_teardown(test, watch_setup, watch_teardown)
    const struct CMUnitTest tests[] = {
        WATCHED(arguments),     WATCHED(blank_pages),          WATCHED(light_that_changes),  WATCHED(pictures),
        WATCHED(odd_sizes),     WATCHED(one_line),             WATCHED(columns_and_headings), WATCHED(ruled_table),
        WATCHED(panels),        WATCHED(sizes_together),       WATCHED(turned_far),           WATCHED(straight_pictures),
        WATCHED(huge_page),     WATCHED(straightened_pictures), WATCHED(limits),               WATCHED(failing_allocations),
        WATCHED(failing_pictures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
