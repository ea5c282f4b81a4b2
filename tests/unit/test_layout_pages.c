/* SPDX-License-Identifier: Apache-2.0
 * How well lines are found: a hundred pages of text, turned by up to two degrees, light and dark, against the true box of each
 * line. A line is found if a box overlaps it with at least 0.8 of their union. */
#include "page_testing.h"

#include <math.h>
#include <stdio.h>

#include "lfm2/lfm2.h"

#define N_PAGES 100
#define FIRST_PAGE 1000 /* pages 0 to 299 were looked at while the layout was written; these were not */

#ifdef LFM2_HAVE_LEPT

typedef struct tally {
    int n_true, n_good, n_found, n_spurious;
    double worst_skew; /* degrees between the true and the found turn, of pages with five lines and more */
} tally;

static void measure(lfm2_runtime *rt, const page_font *fonts, uint64_t seed, tally *t)
{
    sheet s;
    page_look look;
    page_random r = {seed};
    lfm2_image page;
    lfm2_text_box truth[PAGE_MAX_LINES];
    char is_used[PAGE_MAX_LINES * 10] = {0};
    lfm2_layout *l = NULL;
    page_make(fonts, seed, &s, &look);
    sheet_photograph(rt, &s, &look, &r, &page, truth);
    assert_int_equal(lfm2_layout_find(rt, &page, NULL, &l), 0);
    const int n = lfm2_layout_n_lines(l);
    assert_in_range(n, 0, PAGE_MAX_LINES * 10);
    for (int i = 0; i < s.n_lines; i++) {
        for (int k = 0; k < n; k++) {
            if (page_iou(&truth[i], lfm2_layout_box(l, k)) < 0.8) continue;
            t->n_good++;
            is_used[k] = 1;
            break;
        }
    }
    for (int k = 0; k < n; k++) t->n_spurious += !is_used[k];
    if (s.n_lines >= 5) t->worst_skew = fmax(t->worst_skew, fabs(lfm2_layout_skew_deg(l) - look.turn_deg));
    t->n_true += s.n_lines;
    t->n_found += n;
    lfm2_layout_destroy(l);
    lfm2_image_fini(&page);
    sheet_fini(&s);
}

static void a_hundred_pages(void **state)
{
    watched *x = *state;
    page_font *fonts = page_fonts_load();
    tally t = {0};
    for (uint64_t i = 0; i < N_PAGES; i++) measure(x->rt, fonts, FIRST_PAGE + i, &t);
    page_fonts_free(fonts);
    print_message("%d lines on %d pages: %d found (%.2f %%), %d boxes, %d of them spurious (%.2f %%), turn within %.2f degrees\n",
                  t.n_true, N_PAGES, t.n_good, 100.0 * t.n_good / t.n_true, t.n_found, t.n_spurious,
                  100.0 * t.n_spurious / t.n_found, t.worst_skew);
    assert_true(t.n_true > 1500);
    assert_true(t.n_good >= 0.95 * t.n_true);
    assert_true(t.n_spurious <= 0.05 * t.n_found);
    assert_true(t.worst_skew <= 0.3); /* four pixels over 800: less than half of the lowest line */
}

#else

static void a_hundred_pages(void **state)
{
    (void)state;
    skip(); /* built without leptonica */
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(a_hundred_pages, watch_setup, watch_teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
