/* SPDX-License-Identifier: Apache-2.0
 * Pages of text made for tests: set from bitmaps of letters, turned, lit unevenly, with noise - and the true box of every line. */
#ifndef PAGE_TESTING_H
#define PAGE_TESTING_H

#include "base_testing.h"

#include "lfm2/layout.h"

#define PAGE_FONTS LFM2_TEST_DIR "/unit/fixtures/fonts"
#define PAGE_MAX_LINES 120
#define PAGE_N_FONTS 8

typedef struct page_glyph {
    uint32_t code_point;
    int x, w, left, advance; /* px of the font's bitmap */
} page_glyph;

typedef struct page_font {
    int w, h, foot, em;
    size_t row_bytes;
    unsigned char *bits;
    page_glyph glyphs[160];
    int n_glyphs;
} page_font;

/* *fonts: PAGE_N_FONTS of them, page_fonts_free(). */
page_font *page_fonts_load(void);
void page_fonts_free(page_font *fonts);

/* Random numbers, the same everywhere. */
typedef struct page_random {
    uint64_t state;
} page_random;

uint32_t page_next(page_random *r);
int page_in(page_random *r, int lo, int hi);      /* lo..hi */
double page_share(page_random *r);                /* [0, 1) */

/* A sheet that is written on. */
typedef struct sheet {
    int w, h;
    unsigned char *ink; /* u8 [h, w]: how much of the pixel is covered */
    unsigned char *of;  /* u8 [h, w]: number of the line it is of, 1..; 0 = none */
    int n_lines;
} sheet;

void sheet_init(sheet *s, int w, int h);
void sheet_fini(sheet *s);

/* Write text (UTF-8) with its foot at y and letters of so many px an em; `line`: number of the line, 1.. (0: no line, as in
 * pictures). word_gap: added to each blank. Returns where the pen is. */
double sheet_write(sheet *s, const page_font *font, double em, double x, double y, const char *text, double word_gap, int line);
double page_text_width(const page_font *font, double em, const char *text);

/* A rectangle of ink that is of no line. */
void sheet_fill(sheet *s, int x, int y, int w, int h, int ink);

/* Words to fill at most `width` px with; returns how many bytes of text. */
size_t page_words(page_random *r, const page_font *font, double em, double width, char *text, size_t cap);

/* How a sheet becomes an image. */
typedef struct page_look {
    double turn_deg;      /* counter-clockwise */
    int ink[3], paper[3]; /* colours */
    double shade;         /* grey levels by which the lower right corner is darker */
    double noise;         /* standard deviation, grey levels */
    int jpeg_step;        /* quantisation of 8x8 blocks; 0 = none */
} page_look;

/* *out: lfm2_image_fini(). truth: boxes of the lines 1.. of the sheet, [s->n_lines]. */
void sheet_photograph(lfm2_runtime *rt, const sheet *s, const page_look *look, page_random *r, lfm2_image *out,
                      lfm2_text_box *truth);

/* An image of one colour. */
lfm2_image page_plain(lfm2_runtime *rt, int w, int h, int red, int green, int blue);

double page_iou(const lfm2_text_box *a, const lfm2_text_box *b);

/* Page number `seed` of the measured set, and its look: fonts, sizes of 10 to 48 px, 3 to 40 lines, one or two columns. */
void page_make(const page_font *fonts, uint64_t seed, sheet *s, page_look *look);

#endif
