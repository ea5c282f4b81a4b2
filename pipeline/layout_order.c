/* SPDX-License-Identifier: Apache-2.0
 * Reading order: lines that go over several columns part the page into bands; in a band the columns are read from left to right,
 * each from top to bottom. Tables and forms, whose columns are narrow, are read row by row. */
#include <stdlib.h>
#include <string.h>

#include "base/runtime_impl.h"
#include "pipeline/layout_impl.h"

#define MAX_DEPTH 12
#define MIN_COLUMN_LINES 3
#define MIN_COLUMN_SHAPE 5.0f /* width of a column's lines, in heights: narrower ones are those of a table */
#define ALLEY_SHARE 0.1f      /* of the lines may go over an alley */

typedef struct ordering {
    lfm2__line *lines;
    lfm2__line *scratch; /* [n] */
    float *values;       /* f32 [n] */
} ordering;

static int by_top(const void *a, const void *b)
{
    const lfm2__line *x = a, *y = b;
    const float dy = (x->top + x->bottom) - (y->top + y->bottom);
    if (dy != 0) return dy < 0 ? -1 : 1;
    return x->x0 < y->x0 ? -1 : x->x0 > y->x0;
}

static int by_left(const void *a, const void *b)
{
    const lfm2__line *x = a, *y = b;
    if (x->x0 != y->x0) return x->x0 < y->x0 ? -1 : 1;
    return by_top(a, b);
}

static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

static float median(float *values, int32_t n)
{
    qsort(values, (size_t)n, sizeof *values, by_value);
    return values[n / 2];
}

static float usual_height(const ordering *o, int32_t from, int32_t to)
{
    for (int32_t i = from; i < to; i++) o->values[i - from] = o->lines[i].height;
    return median(o->values, to - from);
}

/* Lines of [from, to) that end before x, begin behind it, or go over it; and the usual width of those on the sides. */
typedef struct alley {
    float x, width;
    int32_t n_left, n_right, n_over;
} alley;

static int is_between_columns(const ordering *o, int32_t from, int32_t to, const alley *a, float h)
{
    if (a->n_left < MIN_COLUMN_LINES || a->n_right < MIN_COLUMN_LINES) return 0;
    int32_t n[2] = {0, 0};
    float y0[2] = {0, 0}, y1[2] = {0, 0};
    for (int side = 0; side < 2; side++) {
        for (int32_t i = from; i < to; i++) {
            const lfm2__line *l = &o->lines[i];
            if (side == 0 ? l->x1 > a->x : l->x0 < a->x) continue;
            if (n[side] == 0 || l->top < y0[side]) y0[side] = l->top;
            if (n[side] == 0 || l->bottom > y1[side]) y1[side] = l->bottom;
            o->values[n[side]++] = l->x1 - l->x0;
        }
        if (median(o->values, n[side]) < MIN_COLUMN_SHAPE * h) return 0;
    }
    return y0[0] < y1[1] && y0[1] < y1[0]; /* beside each other */
}

/* The widest alley between columns. Lines in [from, to) are sorted by their left edges. Returns 0 if there is none. */
static int find_alley(const ordering *o, int32_t from, int32_t to, alley *best)
{
    const int32_t n = to - from;
    const float h = usual_height(o, from, to);
    int found = 0;
    if (n < 2 * MIN_COLUMN_LINES) return 0;
    /* candidates: just before each left edge, if most of what is left of it ends there */
    for (int32_t i = from + MIN_COLUMN_LINES; i < to; i++) {
        const float x = o->lines[i].x0 - 0.1f * h;
        if (o->lines[i].x0 == o->lines[i - 1].x0) continue;
        alley a = {.x = x};
        float reach = o->lines[from].x0;
        for (int32_t k = from; k < to; k++) {
            const lfm2__line *l = &o->lines[k];
            if (l->x0 >= x) {
                a.n_right++;
            } else if (l->x1 <= x) {
                a.n_left++;
                if (l->x1 > reach) reach = l->x1;
            } else {
                a.n_over++;
            }
        }
        a.width = o->lines[i].x0 - reach;
        if (a.width < 0.9f * h || (float)a.n_over > ALLEY_SHARE * (float)n + 2) continue;
        if ((!found || a.width > best->width) && is_between_columns(o, from, to, &a, h)) {
            *best = a;
            found = 1;
        }
    }
    return found;
}

/* Row by row: lines side by side from left to right. */
static void order_rows(const ordering *o, int32_t from, int32_t to)
{
    lfm2__line *l = o->lines;
    qsort(l + from, (size_t)(to - from), sizeof *l, by_top);
    for (int32_t first = from, end; first < to; first = end) {
        const float middle = (l[first].top + l[first].bottom) / 2;
        for (end = first + 1; end < to && l[end].top < middle; end++) continue;
        qsort(l + first, (size_t)(end - first), sizeof *l, by_left);
    }
}

/* Blocks end where the way to the next line is longer than usual, or where the size of the letters changes. */
static int32_t number_blocks(const ordering *o, int32_t from, int32_t to, int32_t block)
{
    lfm2__line *l = o->lines;
    int32_t n = 0;
    for (int32_t i = from + 1; i < to; i++) {
        if (l[i].top > l[i - 1].bottom) o->values[n++] = l[i].bottom - l[i - 1].bottom;
    }
    const float usual = n > 0 ? median(o->values, n) : 0;
    for (int32_t i = from; i < to; i++) {
        if (i > from) {
            const float way = l[i].bottom - l[i - 1].bottom, a = l[i].height, b = l[i - 1].height;
            const int is_far = way > 1.35f * usual + 0.2f * b || way < -2 * b;
            if (is_far || a > 1.5f * b || b > 1.5f * a) block++;
        }
        l[i].block = block;
    }
    return block + 1;
}

static int32_t order_part(const ordering *o, int32_t from, int32_t to, int32_t block, int depth);

/* Sort [from, to) into what is left of the alley, then right of it; lines over it are not among them. */
static int32_t order_columns(const ordering *o, int32_t from, int32_t to, float x, int32_t block, int depth)
{
    int32_t n = 0;
    for (int side = 0; side < 2; side++) {
        for (int32_t i = from; i < to; i++) {
            if ((o->lines[i].x0 >= x) == side) o->scratch[n++] = o->lines[i];
        }
    }
    int32_t middle = from;
    for (int32_t i = from; i < to; i++) middle += o->lines[i].x0 < x;
    memcpy(o->lines + from, o->scratch, (size_t)n * sizeof *o->lines);
    block = order_part(o, from, middle, block, depth + 1);
    return order_part(o, middle, to, block, depth + 1);
}

/* Order [from, to) and number its blocks from `block` on; returns the next number. */
static int32_t order_part(const ordering *o, int32_t from, int32_t to, int32_t block, int depth)
{
    alley a;
    if (from == to) return block;
    qsort(o->lines + from, (size_t)(to - from), sizeof *o->lines, by_left);
    if (depth >= MAX_DEPTH || !find_alley(o, from, to, &a)) {
        order_rows(o, from, to);
        return number_blocks(o, from, to, block);
    }
    qsort(o->lines + from, (size_t)(to - from), sizeof *o->lines, by_top);
    for (int32_t first = from, end; first < to; first = end) {
        for (end = first; end < to && !(o->lines[end].x0 < a.x && o->lines[end].x1 > a.x); end++) continue;
        block = order_columns(o, first, end, a.x, block, depth);
        if (end == to) break;
        first = end;
        while (end < to && o->lines[end].x0 < a.x && o->lines[end].x1 > a.x) end++;
        order_rows(o, first, end);
        block = number_blocks(o, first, end, block);
    }
    return block;
}

int lfm2__order_lines(lfm2_runtime *rt, lfm2__line *lines, int32_t n)
{
    if (n == 0) return 0;
    ordering o = {.lines = lines};
    o.scratch = lfm2__calloc(rt, (size_t)n, sizeof *o.scratch);
    o.values = lfm2__calloc(rt, (size_t)n, sizeof *o.values);
    const int rc = o.scratch == NULL || o.values == NULL ? lfm2__fail(rt, LFM2_ERR_NOMEM, "layout: out of memory") : 0;
    if (rc == 0) (void)order_part(&o, 0, n, 0, 0);
    lfm2__free(rt, o.scratch);
    lfm2__free(rt, o.values);
    return rc;
}
