/* SPDX-License-Identifier: Apache-2.0
 * Pages read line by line: order, boxes, slots that do not matter, height of lines, what is blank, stopping, refusals. */
#include "see_testing.h"

#include "base/compiler.h"
#include "pipeline/see_impl.h"

#define N_LINES 5

/* A white page with lines of little blocks, no two lines the same; after the third a wide gap. */
static lfm2_image text_page(lfm2_runtime *rt)
{
    lfm2_image page = see_picture(rt, 420, 330, 0);
    uint32_t rng = 7;

    see_fill(&page, 0, 0, 420, 330, 255);
    for (int line = 0; line < N_LINES; line++) {
        const int32_t top = 20 + 36 * line + (line > 2 ? 80 : 0);
        for (int32_t x = 20; x < 380;) {
            rng = rng * 1664525 + 1013904223;
            const int32_t w = 4 + (int32_t)(rng >> 28) % 5, up = (int32_t)(rng >> 24) % 5;
            see_fill(&page, x, top + up, w, 14 - up, 10);
            see_fill(&page, x + 1, top + up + 4, w - 2, 2, 255);
            x += w + ((rng >> 20) % 6 == 0 ? 12 : 3);
        }
    }
    return page;
}

static lfm2_see_request ocr_lines(int32_t n_tok)
{
    lfm2_see_request r = lfm2_see_request_default();
    r.task = LFM2_SEE_OCR;
    r.layout = LFM2_SEE_LINES;
    r.generate.max_tok = n_tok;
    return r;
}

static lfm2_see_params few_tokens(int32_t n_slots)
{
    lfm2_see_params p = lfm2_see_params_default();
    p.max_image_tok = 12;
    p.min_image_tok = 4;
    p.n_slots = n_slots;
    p.cap_tok = 256;
    return p;
}

static lfm2_see_result *read_page(lfm2_see *s, const lfm2_image *page, const lfm2_see_request *r)
{
    lfm2_see_result *result = NULL;
    const int rc = lfm2_see_run(s, page, 1, r, &result);
    if (rc == LFM2_ERR_UNSUPPORTED) skip(); /* built without leptonica */
    assert_int_equal(rc, 0);
    return result;
}

static void lines_come_in_order(void **state)
{
    see_fixture *f = *state;
    lfm2_image page = text_page(f->rt);
    const lfm2_see_request r = ocr_lines(4);
    char *first = NULL;
    const int32_t n_slots[] = {1, 2, 8};

    for (size_t k = 0; k < LFM2__COUNT_OF(n_slots); k++) {
        lfm2_see *s = see_make(f, few_tokens(n_slots[k]));
        lfm2_see_result *got = read_page(s, &page, &r);
        int64_t encoded;
        assert_int_equal(got->n_lines, N_LINES);
        assert_int_equal(got->blank, 0);
        assert_int_equal(got->layout, LFM2_SEE_LINES);
        assert_int_equal(got->stop, LFM2_STOP_LENGTH);
        assert_int_equal(got->n_output_tok, 4 * N_LINES);
        for (int i = 0; i < N_LINES; i++) {
            const lfm2_see_line *line = &got->lines[i];
            assert_in_range(line->box.y, 15 + 36 * i + (i > 2 ? 80 : 0), 25 + 36 * i + (i > 2 ? 80 : 0));
            assert_true(line->box.x >= 10 && line->box.x + line->box.w <= 400);
            assert_int_equal(line->n_tok, 4);
            assert_int_equal(line->stop, LFM2_STOP_LENGTH);
            assert_true(line->confidence > 0 && line->confidence <= 1);
            assert_null(strpbrk(line->text, "\r\n\t"));
            if (line->text[0] != '\0') assert_non_null(strstr(got->text, line->text));
        }
        assert_int_equal(got->n_images, 1);
        assert_int_equal(got->images[0].n_inputs, N_LINES);
        assert_in_range(got->images[0].n_tok, 4 * N_LINES, 12 * N_LINES);
        assert_int_equal(got->n_image_tok, got->images[0].n_tok);
        assert_true(got->confidence > 0);
        lfm2_see_counts(s, &encoded, NULL);
        assert_int_equal(encoded, N_LINES);
        if (first == NULL) first = strdup(got->text);
        assert_string_equal(got->text, first); /* how many are read together does not matter */
        lfm2_see_result_destroy(got);
        got = read_page(s, &page, &r);
        assert_int_equal(got->images[0].n_cached, N_LINES); /* known by now */
        assert_string_equal(got->text, first);
        lfm2_see_result_destroy(got);
        lfm2_see_destroy(s);
    }
    free(first);
    lfm2_image_fini(&page);
}

/* Lines are what the same pictures are, asked about one by one. */
static void a_line_is_read_as_a_small_image(void **state)
{
    see_fixture *f = *state;
    lfm2_image page = text_page(f->rt);
    lfm2_see *s = see_make(f, few_tokens(4));
    lfm2_see_request r = ocr_lines(4);
    lfm2_see_result *got = read_page(s, &page, &r);
    lfm2_layout *layout = NULL;

    assert_int_equal(lfm2_layout_find(f->rt, &page, &r.layout_params, &layout), 0);
    r.layout = LFM2_SEE_PAGE;
    for (int32_t i = 0; i < N_LINES; i++) {
        lfm2_image line;
        lfm2_see_result *alone = NULL;
        assert_int_equal(lfm2_layout_line_image(layout, i, &line), 0);
        assert_int_equal(lfm2_see_run(s, &line, 1, &r, &alone), 0);
        char *text = alone->text;
        while (*text == ' ' || *text == '\n') text++;
        assert_memory_equal(text, got->lines[i].text, strlen(got->lines[i].text) / 2); /* blanks are tidied */
        assert_true(alone->confidence == got->lines[i].confidence);
        lfm2_see_result_destroy(alone);
        lfm2_image_fini(&line);
    }
    lfm2_layout_destroy(layout);
    lfm2_see_result_destroy(got);
    lfm2_image_fini(&page);
    lfm2_see_destroy(s);
}

static void lines_get_the_height_that_the_model_wants(void **state)
{
    see_fixture *f = *state;
    lfm2_image page = text_page(f->rt), scaled;
    lfm2_see_params p = few_tokens(4);
    p.max_image_tok = 64;
    p.min_image_tok = 1;
    lfm2_see *s = see_make(f, p);
    const lfm2_see_request r = ocr_lines(2);

    s->image_params.line_height_px = 32;
    lfm2_see_result *got = read_page(s, &page, &r);
    for (int32_t i = 0; i < got->n_images; i++) assert_in_range(got->images[i].n_tok, 8 * N_LINES, 40 * N_LINES);
    lfm2_see_result_destroy(got);

    s->params.max_image_tok = s->image_params.max_image_tok = 3; /* fewer than their shape asks for: they are squeezed */
    got = read_page(s, &page, &r);
    assert_in_range(got->images[0].n_tok, N_LINES, 3 * N_LINES);
    lfm2_see_result_destroy(got);

    assert_int_equal(lfm2__see_scale(f->rt, &page, 77, 33, &scaled), 0);
    assert_int_equal(scaled.width, 77);
    assert_int_equal(scaled.height, 33);
    const uint8_t *px = lfm2_buf_data(scaled.rgb);
    assert_int_equal(px[0], 255); /* the margin stays white */
    lfm2_image_fini(&scaled);
    assert_int_equal(lfm2__see_scale(f->rt, &page, page.width, page.height, &scaled), 0);
    for (int32_t y = 0; y < page.height; y++) { /* nothing to do */
        assert_memory_equal((const uint8_t *)lfm2_buf_data(scaled.rgb) + (size_t)y * scaled.stride_bytes,
                            (const uint8_t *)lfm2_buf_data(page.rgb) + (size_t)y * page.stride_bytes, (size_t)page.width * 3);
    }
    lfm2_image_fini(&scaled);
    lfm2_image_fini(&page);
    lfm2_see_destroy(s);
}

/* Reading a page in the middle of a conversation does not disturb it. */
static void a_conversation_goes_on(void **state)
{
    see_fixture *f = *state;
    lfm2_image page = text_page(f->rt), image = see_picture(f->rt, 100, 100, 3);
    lfm2_see *s = see_make(f, few_tokens(2));
    lfm2_see_request ask = see_question("What?", 4), again = see_question("Why?", 4);
    const lfm2_see_request r = ocr_lines(2);
    char *want = NULL;

    again.keep = 1;
    for (int i = 0; i < 2; i++) {
        lfm2_see_result *got = NULL;
        assert_int_equal(lfm2_see_run(s, &image, 1, &ask, &got), 0);
        lfm2_see_result_destroy(got);
        if (i == 1) lfm2_see_result_destroy(read_page(s, &page, &r));
        assert_int_equal(lfm2_see_run(s, NULL, 0, &again, &got), 0);
        if (i == 0) want = strdup(got->text);
        else assert_string_equal(got->text, want);
        lfm2_see_result_destroy(got);
    }
    free(want);
    lfm2_image_fini(&image);
    lfm2_image_fini(&page);
    lfm2_see_destroy(s);
}

static void stopping(void **state)
{
    see_fixture *f = *state;
    lfm2_image page = text_page(f->rt);
    lfm2_see *s = see_make(f, few_tokens(2));
    listener l = {.rt = f->rt};
    lfm2_see_request r = ocr_lines(3);
    r.on_text = listen;
    r.ctx = &l;
    lfm2_see_result *whole = read_page(s, &page, &r);
    assert_string_equal(l.text, whole->text); /* whole lines, in order, with what stands between them */

    for (int aborts = 0; aborts < 2; aborts++) {
        l = (listener){.rt = f->rt, .stop_at = aborts ? 0 : 1, .abort_at = aborts ? 1 : 0};
        lfm2_see_result *got = read_page(s, &page, &r);
        assert_int_equal(got->stop, LFM2_STOP_ABORT);
        assert_int_equal(got->n_lines, N_LINES);
        assert_non_null(got->lines[N_LINES - 1].text);
        assert_int_equal(got->lines[N_LINES - 1].stop, LFM2_STOP_ABORT);
        assert_memory_equal(got->text, whole->text, strlen(got->text));
        lfm2_see_result_destroy(got);
        lfm2_runtime_clear_abort(f->rt);
        l = (listener){.rt = f->rt};
        got = read_page(s, &page, &r); /* and it can begin again */
        assert_string_equal(got->text, whole->text);
        lfm2_see_result_destroy(got);
    }
    lfm2_see_result *none = NULL;
    lfm2_runtime_abort(f->rt);
    assert_int_equal(lfm2_see_run(s, &page, 1, &r, &none), LFM2_ERR_ABORTED);
    lfm2_runtime_clear_abort(f->rt);
    r.generate.deadline_us = 1;
    lfm2_see_result *late = read_page(s, &page, &r);
    assert_int_equal(late->stop, LFM2_STOP_DEADLINE);
    lfm2_see_result_destroy(late);
    lfm2_see_result_destroy(whole);
    lfm2_image_fini(&page);
    lfm2_see_destroy(s);
}

static void pages_without_lines(void **state)
{
    see_fixture *f = *state;
    lfm2_see *s = see_make(f, few_tokens(2));
    lfm2_image shade = see_picture(f->rt, 200, 200, 1); /* not of one colour, but no text either */
    for (int32_t y = 0; y < 200; y++) see_fill(&shade, 0, y, 200, 1, (uint8_t)(150 + y / 2));
    const lfm2_see_request r = ocr_lines(2);
    int64_t encoded;

    assert_int_equal(lfm2__see_is_blank(&shade), 0);
    lfm2_see_result *got = read_page(s, &shade, &r);
    assert_int_equal(got->blank, 1);
    assert_int_equal(got->n_lines, 0);
    assert_string_equal(got->text, "");
    lfm2_see_counts(s, &encoded, NULL);
    assert_int_equal(encoded, 0);
    lfm2_see_result_destroy(got);
    lfm2_image_fini(&shade);
    lfm2_see_destroy(s);
}

static void refusals(void **state)
{
    see_fixture *f = *state;
    lfm2_image page = text_page(f->rt);
    lfm2_see_params p = few_tokens(2);
    lfm2_see *s = see_make(f, p);
    lfm2_see_request r = ocr_lines(2);
    lfm2_see_result *result = NULL;
    const lfm2_image two[2] = {page, page};

    lfm2_see_result_destroy(read_page(s, &page, &r));
    assert_int_equal(lfm2_see_run(s, two, 2, &r, &result), LFM2_ERR_ARG);
    r.layout_params.max_lines = 1;
    assert_int_equal(lfm2_see_run(s, &page, 1, &r, &result), LFM2_ERR_LIMIT);
    r.layout_params.max_lines = 0;
    assert_int_equal(lfm2_see_run(s, &page, 1, &r, &result), LFM2_ERR_ARG);
    lfm2_see_destroy(s);
    p.cap_tok = 16; /* a line and its prompt need more */
    s = see_make(f, p);
    r = ocr_lines(2);
    assert_int_equal(lfm2_see_run(s, &page, 1, &r, &result), LFM2_ERR_RANGE);
    assert_null(result);
    lfm2_see_destroy(s);
    lfm2_image_fini(&page);
}

static void failing_allocations(void **state)
{
    see_fixture *f = *state;
    lfm2_image page = text_page(f->rt);
    const lfm2_see_request r = ocr_lines(1);
    int n_done = 0;

    for (long k = 0; test_fail_next(&f->heap, &k);) {
        lfm2_see_params p = few_tokens(2);
        lfm2_see *s = NULL;
        lfm2_see_result *result = NULL;
        int rc = lfm2_see_create(f->model, f->tok, f->vision, &p, &s);
        if (rc == 0) rc = lfm2_see_run(s, &page, 1, &r, &result);
        if (rc == 0) n_done++;
        else assert_true(rc == LFM2_ERR_NOMEM || rc == LFM2_ERR_UNSUPPORTED);
        lfm2_see_result_destroy(result);
        lfm2_see_destroy(s);
    }
    assert_in_range(n_done, 0, 1);
    lfm2_image_fini(&page);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_come_in_order, see_setup, see_teardown),
        cmocka_unit_test_setup_teardown(a_line_is_read_as_a_small_image, see_setup, see_teardown),
        cmocka_unit_test_setup_teardown(lines_get_the_height_that_the_model_wants, see_setup, see_teardown),
        cmocka_unit_test_setup_teardown(a_conversation_goes_on, see_setup, see_teardown),
        cmocka_unit_test_setup_teardown(stopping, see_setup, see_teardown),
        cmocka_unit_test_setup_teardown(pages_without_lines, see_setup, see_teardown),
        cmocka_unit_test_setup_teardown(refusals, see_setup, see_teardown),
        cmocka_unit_test_setup_teardown(failing_allocations, see_setup, see_teardown),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
