/* SPDX-License-Identifier: Apache-2.0
 * From pieces of ink to lines of text, on a page that is set straight. Letters beside each other make words, words of equal height
 * make lines, dots and accents go to the line that they are nearest to, and what does not behave as text is left out. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/runtime_impl.h"
#include "pipeline/layout_impl.h"

#define ROW_PX 16             /* height of the rows into which pieces are sorted, to find neighbours */
#define LIKE_HEIGHT 0.42f     /* letters of one word: the lower one is at least so high, compared with the higher one */
#define LETTER_GAP 0.9f       /* between letters and ordinary words, in heights of the higher letter */
#define WORD_GAP 3.0f         /* between words of a line, in heights of its letters */
#define ALLEY_WIDTH 1.3f      /* of the white between columns, in heights */
#define ALLEY_LENGTH 4.0f     /* above and below a gap that is looked at, in heights */
#define DIRT_SHARE 0.06f      /* dots of a line are larger than this share of its height */
#define MAX_LETTER_SHAPE 14   /* higher compared to its width it is a rule */
#define MAX_WORD_SHAPE 30     /* wider compared to its height it is a rule */
#define MAX_TILT 0.25f        /* of letters against their line's foot, in heights */

/* Pieces sorted by rows of the page, and in each row from left to right. */
typedef struct piece_grid {
    lfm2__piece *pieces;
    int32_t *order;      /* i32 [n] */
    int32_t *row_begins; /* i32 [n_rows + 1] */
    int32_t n, n_rows;
    float y0;
} piece_grid;

static float height_of(const lfm2__piece *p)
{
    return p->y1 - p->y0;
}

static float larger(float a, float b)
{
    return a > b ? a : b;
}

static float smaller(float a, float b)
{
    return a < b ? a : b;
}

static int32_t row_of(const piece_grid *g, float y)
{
    const int32_t row = (int32_t)((y - g->y0) / ROW_PX);
    return row < 0 ? 0 : row >= g->n_rows ? g->n_rows - 1 : row;
}

/* --- sorting --- */

typedef struct sort_key {
    float major, minor;
    int32_t index;
} sort_key;

static int compare_keys(const void *a, const void *b)
{
    const sort_key *x = a, *y = b;
    if (x->major != y->major) return x->major < y->major ? -1 : 1;
    if (x->minor != y->minor) return x->minor < y->minor ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

static int grid_init(lfm2_runtime *rt, piece_grid *g, lfm2__piece *pieces, int32_t n)
{
    *g = (piece_grid){.pieces = pieces, .n = n, .y0 = pieces[0].y0};
    float y1 = pieces[0].y1;
    for (int32_t i = 0; i < n; i++) {
        g->y0 = smaller(g->y0, pieces[i].y0);
        y1 = larger(y1, pieces[i].y1);
    }
    g->n_rows = (int32_t)((y1 - g->y0) / ROW_PX) + 1;
    sort_key *keys = lfm2__calloc(rt, (size_t)n, sizeof *keys);
    g->order = lfm2__calloc(rt, (size_t)n, sizeof *g->order);
    g->row_begins = lfm2__calloc(rt, (size_t)g->n_rows + 1, sizeof *g->row_begins);
    if (keys == NULL || g->order == NULL || g->row_begins == NULL) {
        lfm2__free(rt, keys);
        return lfm2__fail(rt, LFM2_ERR_NOMEM, "layout: out of memory");
    }
    for (int32_t i = 0; i < n; i++) {
        const int32_t row = row_of(g, (pieces[i].y0 + pieces[i].y1) / 2);
        keys[i] = (sort_key){(float)row, pieces[i].x0, i};
        g->row_begins[row + 1]++;
    }
    qsort(keys, (size_t)n, sizeof *keys, compare_keys);
    for (int32_t i = 0; i < n; i++) g->order[i] = keys[i].index;
    for (int32_t row = 0; row < g->n_rows; row++) g->row_begins[row + 1] += g->row_begins[row];
    lfm2__free(rt, keys);
    return 0;
}

static void grid_fini(lfm2_runtime *rt, piece_grid *g)
{
    lfm2__free(rt, g->order);
    lfm2__free(rt, g->row_begins);
}

/* Place in g->order, within [from, to), of the first piece that begins at x or behind it. */
static int32_t first_from(const piece_grid *g, int32_t from, int32_t to, float x)
{
    while (from < to) {
        const int32_t middle = from + (to - from) / 2;
        if (g->pieces[g->order[middle]].x0 < x) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

/* --- words --- */

static int32_t root_of(int32_t *parent, int32_t i)
{
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
}

static void join(int32_t *parent, int32_t a, int32_t b)
{
    a = root_of(parent, a);
    b = root_of(parent, b);
    if (a < b) {
        parent[b] = a;
    } else {
        parent[a] = b;
    }
}

/* Could the piece be a letter, or letters that touch? Not on its own looks: rules, frames, contours. */
static int is_letter_like(const lfm2__piece *p)
{
    const float w = p->x1 - p->x0, h = height_of(p);
    if (h > MAX_LETTER_SHAPE * w && h > 24) return 0;
    if (w > MAX_WORD_SHAPE * h && w > 60) return 0;
    const float area = (float)(p->box.x1 - p->box.x0) * (float)(p->box.y1 - p->box.y0);
    return area < 400 || (float)p->n_ink > 0.05f * area;
}

static int are_neighbours(const lfm2__piece *a, const lfm2__piece *b)
{
    const float ha = height_of(a), hb = height_of(b), low = smaller(ha, hb), high = larger(ha, hb);
    if (a->polarity != b->polarity || low < LIKE_HEIGHT * high) return 0;
    if (b->x0 - a->x1 > LETTER_GAP * high) return 0;
    return smaller(a->y1, b->y1) - larger(a->y0, b->y0) >= 0.5f * low;
}

/* parent: each piece its own root before; after it pieces of one word have one root. */
static int join_letters(lfm2_runtime *rt, const piece_grid *g, int32_t *parent)
{
    for (int32_t i = 0; i < g->n; i++) {
        const lfm2__piece *a = &g->pieces[i];
        if ((i & 1023) == 0 && lfm2__aborted(rt)) return LFM2_ERR_ABORTED;
        if (!is_letter_like(a)) continue;
        const float h = height_of(a), reach = h / LIKE_HEIGHT, middle = (a->y0 + a->y1) / 2;
        const int32_t last_row = row_of(g, middle + reach);
        for (int32_t row = row_of(g, middle - reach); row <= last_row; row++) {
            const int32_t end = g->row_begins[row + 1];
            for (int32_t k = first_from(g, g->row_begins[row], end, a->x0); k < end; k++) {
                const lfm2__piece *b = &g->pieces[g->order[k]];
                if (b->x0 > a->x1 + LETTER_GAP * reach) break;
                if (a != b && is_letter_like(b) && are_neighbours(a, b)) join(parent, i, g->order[k]);
            }
        }
    }
    return 0;
}

/* --- lines --- */

static int compare_floats(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

static float sorted_at(float *values, int32_t n, float share)
{
    qsort(values, (size_t)n, sizeof *values, compare_floats);
    return values[(int32_t)(share * (float)(n - 1) + 0.5f)];
}

/* Grow a line by a piece. */
static void include(lfm2__line *l, const lfm2__piece *p)
{
    if (l->n_pieces == 0) {
        *l = (lfm2__line){.x0 = p->x0, .y0 = p->y0, .x1 = p->x1, .y1 = p->y1, .box = p->box, .polarity = p->polarity};
    }
    l->x0 = smaller(l->x0, p->x0);
    l->y0 = smaller(l->y0, p->y0);
    l->x1 = larger(l->x1, p->x1);
    l->y1 = larger(l->y1, p->y1);
    if (p->box.x0 < l->box.x0) l->box.x0 = p->box.x0;
    if (p->box.y0 < l->box.y0) l->box.y0 = p->box.y0;
    if (p->box.x1 > l->box.x1) l->box.x1 = p->box.x1;
    if (p->box.y1 > l->box.y1) l->box.y1 = p->box.y1;
    l->n_pieces++;
    l->n_ink += p->n_ink;
}

/* What most of the letters of a line say about it; dots and accents are not asked. values: scratch f32 [n]. */
static void measure(lfm2__line *l, const lfm2__piece *pieces, const int32_t *members, int32_t n, float *values)
{
    for (int32_t k = 0; k < n; k++) values[k] = height_of(&pieces[members[k]]);
    l->height = sorted_at(values, n, 0.8f);
    for (int is_bottom = 0; is_bottom <= 1; is_bottom++) {
        int32_t n_letters = 0;
        for (int32_t k = 0; k < n; k++) {
            const lfm2__piece *p = &pieces[members[k]];
            if (height_of(p) >= 0.5f * l->height) values[n_letters++] = is_bottom ? p->y1 : p->y0;
        }
        *(is_bottom ? &l->bottom : &l->top) = sorted_at(values, n_letters, 0.5f);
    }
}

/* Lines from the groups of `line`, which number pieces (-1: none) in any way; numbers become 0, 1, ... and lines are measured.
 * *lines: of n_pieces at most. */
static int collect_lines(lfm2_runtime *rt, lfm2__piece *pieces, int32_t n_pieces, lfm2__line *lines, int32_t *n_lines)
{
    sort_key *keys = lfm2__calloc(rt, (size_t)n_pieces, sizeof *keys);
    int32_t *members = lfm2__calloc(rt, (size_t)n_pieces, sizeof *members);
    float *values = lfm2__calloc(rt, (size_t)n_pieces, sizeof *values);
    int32_t n = 0, n_found = 0;
    const int rc = keys == NULL || members == NULL || values == NULL ? lfm2__fail(rt, LFM2_ERR_NOMEM, "layout: out of memory") : 0;
    for (int32_t i = 0; rc == 0 && i < n_pieces; i++) {
        if (pieces[i].line >= 0) keys[n++] = (sort_key){(float)(pieces[i].line >> 12), (float)(pieces[i].line & 4095), i};
    }
    if (n > 0) qsort(keys, (size_t)n, sizeof *keys, compare_keys);
    for (int32_t from = 0, to; from < n; from = to) {
        lfm2__line line = {0};
        const int32_t group = pieces[keys[from].index].line;
        for (to = from; to < n && pieces[keys[to].index].line == group; to++) {
            members[to - from] = keys[to].index;
            include(&line, &pieces[keys[to].index]);
        }
        measure(&line, pieces, members, to - from, values);
        for (int32_t k = 0; k < to - from; k++) pieces[members[k]].line = -2 - n_found; /* apart from the groups yet to come */
        lines[n_found++] = line;
    }
    for (int32_t i = 0; rc == 0 && i < n_pieces; i++) pieces[i].line = pieces[i].line == -1 ? -1 : -2 - pieces[i].line;
    lfm2__free(rt, keys);
    lfm2__free(rt, members);
    lfm2__free(rt, values);
    *n_lines = n_found;
    return rc;
}

static int on_one_line(const lfm2__line *a, const lfm2__line *b)
{
    const float high = larger(a->height, b->height), low = smaller(a->height, b->height);
    if (a->polarity != b->polarity || low < 0.5f * high) return 0;
    const float common = smaller(a->bottom, b->bottom) - larger(a->top, b->top);
    return common >= 0.5f * smaller(a->bottom - a->top, b->bottom - b->top);
}

/* Is the gap between two words a part of a white alley that runs down the page, between columns? It is if two lines above it, or
 * two below, leave enough of it white. */
static int is_alley(const lfm2__line *lines, int32_t n, const lfm2__line *left, const lfm2__line *right)
{
    const float h = larger(left->height, right->height);
    const float y0 = smaller(left->top, right->top), y1 = larger(left->bottom, right->bottom);
    float begin[2] = {left->x1, left->x1}, end[2] = {right->x0, right->x0}; /* of the white: above, below */
    int n_near[2] = {0, 0};
    for (int32_t i = 0; i < n; i++) {
        const lfm2__line *l = &lines[i];
        if (l == left || l == right || l->height < 0.5f * h || l->height > 2 * h) continue;
        if (l->bottom < y0 - ALLEY_LENGTH * h || l->top > y1 + ALLEY_LENGTH * h) continue;
        if (l->bottom > y0 + 0.5f * h && l->top < y1 - 0.5f * h) continue; /* of the same line */
        if (l->x1 < left->x1 - 8 * h || l->x0 > right->x0 + 8 * h) continue;
        const int side = l->top > y0;
        n_near[side]++;
        if (l->x1 <= begin[side] || l->x0 >= end[side]) continue;
        if (l->x1 >= end[side]) {
            end[side] = l->x0;
        } else {
            begin[side] = l->x1;
        }
    }
    for (int side = 0; side < 2; side++) {
        if (n_near[side] >= 2 && end[side] - begin[side] >= ALLEY_WIDTH * h) return 1;
    }
    return 0;
}

/* May two pieces of a line be joined over what is between them? */
static int are_joined(const lfm2__line *lines, int32_t n, const lfm2__line *left, const lfm2__line *right)
{
    const float gap = right->x0 - left->x1, h = larger(left->height, right->height);
    return gap <= LETTER_GAP * h || (gap <= WORD_GAP * h && !is_alley(lines, n, left, right));
}

/* Put words of one line together. parent: scratch i32 [n]. */
static int join_words(lfm2_runtime *rt, const lfm2__line *lines, int32_t n, int32_t *parent, sort_key *keys)
{
    for (int32_t i = 0; i < n; i++) {
        parent[i] = i;
        keys[i] = (sort_key){lines[i].x0, lines[i].y0, i};
    }
    qsort(keys, (size_t)n, sizeof *keys, compare_keys);
    for (int32_t i = 0; i < n; i++) {
        const lfm2__line *a = &lines[keys[i].index];
        const lfm2__line *nearest = NULL, *word = NULL; /* the latter: no mark by itself */
        if ((i & 63) == 0 && lfm2__aborted(rt)) return LFM2_ERR_ABORTED;
        for (int32_t k = i + 1; k < n && word == NULL; k++) {
            const lfm2__line *b = &lines[keys[k].index];
            if (b->x0 - a->x1 > WORD_GAP * 2 * a->height) break;
            if (!on_one_line(a, b) || b->x1 <= a->x1) continue;
            if (nearest == NULL) nearest = b;
            if (b->n_pieces > 1 || b->height >= 0.75f * a->height) word = b;
        }
        if (nearest != NULL && are_joined(lines, n, a, nearest)) join(parent, keys[i].index, (int32_t)(nearest - lines));
        if (word != NULL && word != nearest && are_joined(lines, n, a, word)) {
            join(parent, keys[i].index, (int32_t)(word - lines));
        }
    }
    return 0;
}

/* --- dots, accents, quotation marks --- */

/* How far a small piece is from the letters of line l around it; a great number if it is not one of its marks. */
static float mark_distance(const piece_grid *g, const lfm2__line *l, int32_t line, const lfm2__piece *p)
{
    const float h = l->height, middle = (p->y0 + p->y1) / 2;
    if (p->polarity != l->polarity || height_of(p) > 0.75f * h || p->x1 - p->x0 > 4 * h) return HUGE_VALF;
    if (larger(height_of(p), p->x1 - p->x0) < DIRT_SHARE * h) return HUGE_VALF;
    if (p->x1 < l->x0 - 0.8f * h || p->x0 > l->x1 + 0.8f * h) return HUGE_VALF;
    if (middle < l->bottom - 1.6f * h || middle > l->bottom + 0.5f * h) return HUGE_VALF;
    float nearest = HUGE_VALF;
    const int32_t last_row = row_of(g, l->bottom + h);
    for (int32_t row = row_of(g, l->bottom - 2 * h); row <= last_row; row++) {
        const int32_t end = g->row_begins[row + 1];
        for (int32_t k = first_from(g, g->row_begins[row], end, p->x0 - 4 * h); k < end; k++) {
            const lfm2__piece *b = &g->pieces[g->order[k]];
            if (b->x0 > p->x1 + h) break;
            if (b->line != line) continue;
            const float dx = larger(0, larger(b->x0 - p->x1, p->x0 - b->x1)), dy = larger(0, larger(b->y0 - p->y1, p->y0 - b->y1));
            nearest = smaller(nearest, dx + dy);
        }
    }
    return nearest < h ? nearest : HUGE_VALF;
}

/* Give pieces of no line, and those of lines that are nothing but marks, to the line that they are nearest to. */
static int attach_marks(lfm2_runtime *rt, const piece_grid *g, const lfm2__line *lines, int32_t n_lines, int32_t *to)
{
    for (int32_t i = 0; i < g->n; i++) {
        const lfm2__piece *p = &g->pieces[i];
        const float own = p->line >= 0 ? lines[p->line].height : height_of(p);
        float nearest = HUGE_VALF;
        to[i] = p->line;
        if ((i & 63) == 0 && lfm2__aborted(rt)) return LFM2_ERR_ABORTED;
        if (p->line >= 0 && lines[p->line].n_pieces > 3 && lines[p->line].x1 - lines[p->line].x0 > 6 * own) continue;
        for (int32_t k = 0; k < n_lines; k++) {
            if (k == p->line || own > 0.75f * lines[k].height || lines[k].n_pieces < 2) continue;
            const float distance = mark_distance(g, &lines[k], k, p);
            if (distance < nearest) nearest = distance, to[i] = k;
        }
    }
    return 0;
}

/* --- what is text --- */

/* Share of the letters of each line that stand on its foot. n_letters: scratch [n_lines], zeroes. */
static void share_on_foot(const lfm2__piece *pieces, int32_t n_pieces, const lfm2__line *lines, int32_t n_lines, int32_t *n_letters,
                          float *share)
{
    for (int32_t i = 0; i < n_pieces; i++) {
        const lfm2__piece *p = &pieces[i];
        if (p->line < 0 || height_of(p) < 0.5f * lines[p->line].height) continue;
        n_letters[p->line]++;
        if (fabsf(p->y1 - lines[p->line].bottom) <= MAX_TILT * lines[p->line].height) share[p->line] += 1;
    }
    for (int32_t i = 0; i < n_lines; i++) share[i] /= n_letters[i] > 0 ? (float)n_letters[i] : 1;
}

static int is_text(const lfm2__line *l, float on_foot, float min_height, float usual_height, int32_t n_strong)
{
    const float w = l->x1 - l->x0, h = l->y1 - l->y0;
    if (h < min_height || l->height < 0.6f * min_height) return 0;
    const float area = (float)(l->box.x1 - l->box.x0) * (float)(l->box.y1 - l->box.y0);
    if (l->n_pieces < 3 && (float)l->n_ink > (w > 1.3f * h ? 0.75f : 0.9f) * area) return 0; /* a bar */
    if (h > 2.6f * l->height && l->n_pieces > 3) return 0;          /* a heap */
    if (l->n_pieces >= 4) return on_foot >= 0.4f;
    if (n_strong == 0) return w > 0.3f * h;
    const float ratio = l->height / usual_height;
    return ratio > 0.5f && ratio < 2.5f && (l->n_pieces > 1 || ratio < 1.8f);
}

/* Take lines out that are no text. */
static int drop_what_is_no_text(lfm2_runtime *rt, const lfm2__piece *pieces, int32_t n_pieces, lfm2__line *lines, int32_t *n,
                                float min_height)
{
    float *on_foot = lfm2__calloc(rt, (size_t)*n, sizeof *on_foot), *heights = lfm2__calloc(rt, (size_t)*n, sizeof *heights);
    int32_t *n_letters = lfm2__calloc(rt, (size_t)*n, sizeof *n_letters);
    int32_t n_strong = 0, n_kept = 0, n_weak = 0;
    if (on_foot == NULL || heights == NULL || n_letters == NULL) {
        lfm2__free(rt, on_foot);
        lfm2__free(rt, heights);
        lfm2__free(rt, n_letters);
        return lfm2__fail(rt, LFM2_ERR_NOMEM, "layout: out of memory");
    }
    share_on_foot(pieces, n_pieces, lines, *n, n_letters, on_foot);
    for (int32_t i = 0; i < *n; i++) {
        if (lines[i].n_pieces >= 4 && on_foot[i] >= 0.5f) heights[n_strong++] = lines[i].height;
        if (lines[i].n_pieces < 4) n_weak++;
    }
    const float usual = n_strong > 0 ? sorted_at(heights, n_strong, 0.5f) : 0;
    const int is_scatter = n_strong == 0 ? n_weak > 12 : n_weak > 20 * n_strong; /* a picture */
    for (int32_t i = 0; i < *n; i++) {
        if (is_scatter && lines[i].n_pieces < 6) continue;
        if (is_text(&lines[i], on_foot[i], min_height, usual, n_strong)) lines[n_kept++] = lines[i];
    }
    lfm2__free(rt, on_foot);
    lfm2__free(rt, heights);
    lfm2__free(rt, n_letters);
    *n = n_kept;
    return 0;
}

/* Is b a bar, with letters on it, rather than a word? */
static int is_bar_under(const lfm2__line *b, const lfm2__line *letters)
{
    const float w = b->x1 - b->x0, h = b->y1 - b->y0;
    return letters->polarity != b->polarity && letters->n_pieces > 3 && letters->n_pieces > 2 * b->n_pieces && w > 3 * h
           && letters->y1 - letters->y0 < h && (float)b->n_ink > 0.4f * w * h;
}

/* Ink of one polarity that lies in a line of the other: the insides and the spaces of its letters. The one with more ink stays, but
 * of a bar with letters on it these do. */
static void drop_insides(lfm2__line *lines, int32_t *n)
{
    int32_t n_kept = 0;
    for (int32_t i = 0; i < *n; i++) lines[i].block = 0;
    for (int32_t i = 0; i < *n; i++) {
        lfm2__line *a = &lines[i];
        for (int32_t k = 0; k < *n; k++) {
            lfm2__line *b = &lines[k];
            const float w = smaller(a->x1, b->x1) - larger(a->x0, b->x0), h = smaller(a->y1, b->y1) - larger(a->y0, b->y0);
            if (k == i || w <= 0 || h <= 0 || w * h < 0.5f * (a->x1 - a->x0) * (a->y1 - a->y0)) continue;
            if (is_bar_under(b, a)) {
                b->block = 1;
            } else if (!is_bar_under(a, b) && (a->n_ink < b->n_ink || (a->n_ink == b->n_ink && i > k))) {
                a->block = 1;
            }
        }
    }
    for (int32_t i = 0; i < *n; i++) {
        if (lines[i].block == 0) lines[n_kept++] = lines[i];
    }
    *n = n_kept;
}

/* --- all of it --- */

typedef struct group_scratch {
    int32_t *numbers; /* i32 [n_pieces] */
    sort_key *keys;   /* [n_pieces] */
    lfm2__line *lines;
} group_scratch;

static int group(lfm2_runtime *rt, const piece_grid *g, group_scratch *s, float min_height, int32_t *n_lines)
{
    for (int32_t i = 0; i < g->n; i++) s->numbers[i] = i;
    int rc = join_letters(rt, g, s->numbers);
    if (rc < 0) return rc;
    for (int32_t i = 0; i < g->n; i++) g->pieces[i].line = is_letter_like(&g->pieces[i]) ? root_of(s->numbers, i) : -1;
    rc = collect_lines(rt, g->pieces, g->n, s->lines, n_lines);
    if (rc == 0) rc = join_words(rt, s->lines, *n_lines, s->numbers, s->keys);
    if (rc < 0) return rc;
    for (int32_t i = 0; i < g->n; i++) {
        if (g->pieces[i].line >= 0) g->pieces[i].line = root_of(s->numbers, g->pieces[i].line);
    }
    rc = collect_lines(rt, g->pieces, g->n, s->lines, n_lines);
    if (rc == 0) rc = attach_marks(rt, g, s->lines, *n_lines, s->numbers);
    if (rc < 0) return rc;
    for (int32_t i = 0; i < g->n; i++) g->pieces[i].line = s->numbers[i];
    rc = collect_lines(rt, g->pieces, g->n, s->lines, n_lines);
    if (rc == 0 && *n_lines > 0) rc = drop_what_is_no_text(rt, g->pieces, g->n, s->lines, n_lines, min_height);
    if (rc == 0) drop_insides(s->lines, n_lines);
    return rc;
}

int lfm2__group_lines(lfm2_runtime *rt, lfm2__piece *pieces, int32_t n_pieces, float min_height, lfm2__line **out, int32_t *n_out)
{
    piece_grid g = {0};
    group_scratch s = {0};
    *out = NULL;
    *n_out = 0;
    if (n_pieces == 0) return 0;
    int rc = grid_init(rt, &g, pieces, n_pieces);
    s.numbers = lfm2__calloc(rt, (size_t)n_pieces, sizeof *s.numbers);
    s.keys = lfm2__calloc(rt, (size_t)n_pieces, sizeof *s.keys);
    s.lines = lfm2__calloc(rt, (size_t)n_pieces, sizeof *s.lines);
    if (rc == 0 && (s.numbers == NULL || s.keys == NULL || s.lines == NULL)) {
        rc = lfm2__fail(rt, LFM2_ERR_NOMEM, "layout: out of memory");
    }
    int32_t n_lines = 0;
    if (rc == 0) rc = group(rt, &g, &s, min_height, &n_lines);
    grid_fini(rt, &g);
    lfm2__free(rt, s.numbers);
    lfm2__free(rt, s.keys);
    if (rc < 0) {
        lfm2__free(rt, s.lines);
        return rc;
    }
    *out = s.lines;
    *n_out = n_lines;
    return 0;
}
