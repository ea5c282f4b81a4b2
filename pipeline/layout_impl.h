/* SPDX-License-Identifier: Apache-2.0
 * What the steps of finding lines share: grey page -> ink -> pieces of ink -> lines -> reading order. */
#ifndef LFM2__LAYOUT_IMPL_H
#define LFM2__LAYOUT_IMPL_H

#include "base/compiler.h"
#include "lfm2/layout.h"

/* A page as it is looked at: grey, scaled down by a whole number so that work and memory stay bounded. */
typedef struct lfm2__grey {
    int32_t w, h;      /* px, each >= 1 */
    int32_t reduction; /* a pixel stands for reduction * reduction pixels of the page */
    uint8_t *px;       /* u8 [h, w] */
} lfm2__grey;

/* One bit for each pixel: rows of wpl words, the leftmost pixel in the highest bit; bits behind w are 0. */
typedef struct lfm2__mask {
    int32_t w, h, wpl;
    uint32_t *bits; /* u32 [h, wpl] */
} lfm2__mask;

/* What differs from its surroundings. */
typedef enum lfm2__polarity { LFM2__DARK = 0, LFM2__LIGHT = 1 } lfm2__polarity;

typedef struct lfm2__ink {
    lfm2__mask mask[2]; /* by polarity */
} lfm2__ink;

/* Pixels [x0, x1) x [y0, y1). */
typedef struct lfm2__rect {
    int32_t x0, y0, x1, y1;
} lfm2__rect;

/* A connected piece of ink: a letter, a part of one, several that touch, or dirt. */
typedef struct lfm2__piece {
    lfm2__rect box;       /* of the grey page */
    float x0, y0, x1, y1; /* the same on the page set straight (lfm2__straighten()) */
    int32_t n_ink;        /* pixels of ink in the box */
    lfm2__polarity polarity;
    int32_t line;         /* number of the line it belongs to; -1 = none */
} lfm2__piece;

/* A line of text: on the page set straight, and the upright box around its pieces. */
typedef struct lfm2__line {
    float x0, y0, x1, y1;
    float top, bottom; /* of most of its letters: ascenders, descenders and accents are beyond */
    float height;      /* of its higher letters */
    lfm2__rect box;    /* of the grey page */
    int32_t n_pieces;
    int64_t n_ink;
    lfm2__polarity polarity;
    int32_t block;
} lfm2__line;

/* How the page is turned: the straight page has its origin in the middle of the grey one. */
typedef struct lfm2__turn {
    double skew_deg; /* counter-clockwise */
    double cos, sin;
    double cx, cy;
} lfm2__turn;

lfm2__turn lfm2__turn_make(double skew_deg, int32_t w, int32_t h);

/* Set x0..y1 of a piece from its box. */
void lfm2__straighten(const lfm2__turn *t, lfm2__piece *p);

/* --- layout_ink.c --- */

int lfm2__grey_create(lfm2_runtime *rt, const lfm2_image *page, lfm2__grey *out) LFM2__NODISCARD;
void lfm2__grey_fini(lfm2_runtime *rt, lfm2__grey *g);

int lfm2__ink_create(lfm2_runtime *rt, const lfm2__grey *grey, lfm2__ink *out) LFM2__NODISCARD;
void lfm2__ink_fini(lfm2_runtime *rt, lfm2__ink *ink);

/* The ink of this polarity inside a box that is mostly of one colour (white letters on a black bar); what touches the rim of the
 * box may be none. out: a mask of the box's size. */
int lfm2__panel_ink(lfm2_runtime *rt, const lfm2__grey *grey, lfm2__rect box, lfm2__polarity polarity, lfm2__mask *out)
    LFM2__NODISCARD;

/* Is there an edge in the box? There is none in what is only shade. */
int lfm2__is_sharp(const lfm2__grey *grey, lfm2__rect box);

int lfm2__mask_create(lfm2_runtime *rt, int32_t w, int32_t h, lfm2__mask *out) LFM2__NODISCARD;
void lfm2__mask_fini(lfm2_runtime *rt, lfm2__mask *m);
int32_t lfm2__mask_count(const lfm2__mask *m, lfm2__rect box);

/* --- layout_lines.c: leptonica --- */

/* How far the lines are turned, degrees counter-clockwise, at most max_deg to either side; 0 where nothing shows it. */
int lfm2__find_skew(lfm2_runtime *rt, const lfm2__ink *ink, double max_deg, double *skew_deg) LFM2__NODISCARD;

/* Take rules, frames and underlines out of a mask. */
int lfm2__remove_rules(lfm2_runtime *rt, lfm2__mask *m, double skew_deg) LFM2__NODISCARD;

/* Boxes of the connected pieces of a mask. *out: lfm2__free(). Returns 0; LFM2_ERR_NOMEM; LFM2_ERR_LIMIT. */
int lfm2__find_boxes(lfm2_runtime *rt, const lfm2__mask *m, lfm2__rect **out, int32_t *n_out) LFM2__NODISCARD;

/* --- layout_group.c --- */

/* Put pieces together to lines. *out: lfm2__free(). pieces[].line is set. Returns 0; LFM2_ERR_NOMEM; LFM2_ERR_ABORTED. */
int lfm2__group_lines(lfm2_runtime *rt, lfm2__piece *pieces, int32_t n_pieces, float min_height, lfm2__line **out, int32_t *n_out)
    LFM2__NODISCARD;

/* --- layout_order.c --- */

/* Sort lines into reading order and number their blocks. Returns 0 or LFM2_ERR_NOMEM. */
int lfm2__order_lines(lfm2_runtime *rt, lfm2__line *lines, int32_t n) LFM2__NODISCARD;

#endif
