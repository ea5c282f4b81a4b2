/* SPDX-License-Identifier: Apache-2.0
 * Slots filled: the ids of the reference for images in one piece and in tiles, the parts behind them, and what does not fit. */
#include "tok_testing.h"

#include "lfm2/prompt.h"

#define GOLDEN LFM2_TEST_DIR "/oracle/golden/"

enum { CAP_IDS = 4096, I = LFM2_SLOT_IMAGE, A = LFM2_SLOT_AUDIO };

typedef tok_fixture fixture; /* with the tokenizer of the reference checkpoints */

static int setup(void **state)
{
    fixture *f = tok_begin(state);

    assert_int_equal(lfm2_tokenizer_load_json(f->x.rt, TOK_GOLDEN "/tokenizer.json", &f->tok), 0);
    return 0;
}

/* Rows that are only pointed to. */
static const float rows[LFM2_VISION_MAX_INPUTS];
static const float *embeds[LFM2_VISION_MAX_INPUTS];

static lfm2_media image_of(const lfm2_vision_params *params, int32_t width, int32_t height, lfm2_vision_plan *plan)
{
    for (int i = 0; i < LFM2_VISION_MAX_INPUTS; i++) embeds[i] = &rows[i];
    assert_int_equal(lfm2_vision_plan_image(params, width, height, plan), 0);
    return (lfm2_media){.slot = I, .plan = plan, .downsample = params->downsample, .embed = embeds};
}

static lfm2_media sound_of(int32_t n_tok)
{
    embeds[0] = rows;
    return (lfm2_media){.slot = A, .n_tok = n_tok, .embed = embeds};
}

/* Parts and shown ids must tell the same story. */
static void assert_consistent(const lfm2_prompt *p, int32_t image_id)
{
    int32_t n_parts = 0, n_ids = 0, n_tok = 0, n_embed = 0, at = 0;
    const lfm2_prompt_part *parts = lfm2_prompt_parts(p, &n_parts);
    const int32_t *ids = lfm2_prompt_ids(p, &n_ids);

    for (int32_t i = 0; i < n_parts; i++) {
        assert_true(parts[i].n_tok >= 1 && (parts[i].ids == NULL) != (parts[i].embed == NULL));
        assert_true(i == 0 || parts[i].ids == NULL || parts[i - 1].ids == NULL); /* ids are not cut */
        if (parts[i].ids != NULL) {
            assert_ptr_equal(parts[i].ids, ids + at);
            at += parts[i].n_tok;
        } else {
            for (int32_t k = 0; image_id >= 0 && k < parts[i].n_tok; k++) assert_int_equal(ids[at++], image_id);
            n_embed += parts[i].n_tok;
        }
        n_tok += parts[i].n_tok;
    }
    assert_int_equal(at, n_ids);
    assert_int_equal(n_tok, lfm2_prompt_n_tok(p));
    assert_int_equal(n_embed, lfm2_prompt_n_media_tok(p));
}

static void golden_ids(void **state)
{
    static const char json[] = "[{\"role\": \"user\", \"content\": [{\"type\": \"image\"}, {\"type\": \"text\", \"text\": \"What "
                               "is in this image?\"}]}]";
    const lfm2__json_limits limits = {.max_bytes = 1 << 20, .max_depth = 16, .max_values = 100000};
    const lfm2_chat_params chat = {LFM2_CHAT_VL, 1, 0};
    const lfm2_vision_params params = lfm2_vision_params_default();
    fixture *f = *state;
    lfm2__json_doc *doc = NULL;
    int32_t ids[64];
    size_t n = 0;

    assert_int_equal(lfm2_chat_encode(f->tok, json, strlen(json), &chat, LFM2_CHAT_MEDIA_SLOTS, ids, 64, &n), 0);
    assert_int_equal(lfm2__json_load(f->x.rt, GOLDEN "vl/cases.json", &limits, &doc), 0);
    for (size_t k = 0; k < lfm2__json_size(lfm2__json_root(doc)); k++) {
        const lfm2__json *c = lfm2__json_at(lfm2__json_root(doc), k), *size = lfm2__json_get(c, "size");
        const lfm2__json *want = lfm2__json_get(c, "ids");
        lfm2_vision_plan plan;
        lfm2_prompt *p = NULL;
        int32_t n_ids = 0;
        const lfm2_media m = image_of(&params, (int32_t)lfm2__json_int(lfm2__json_at(size, 0)),
                                      (int32_t)lfm2__json_int(lfm2__json_at(size, 1)), &plan);

        assert_int_equal(lfm2_prompt_create(f->tok, ids, n, &m, 1, &p), 0);
        assert_consistent(p, lfm2_tokenizer_find(f->tok, "<image>"));
        assert_int_equal(lfm2_prompt_n_media_tok(p), lfm2__json_int(lfm2__json_get(c, "n_image_tokens")));
        const int32_t *got = lfm2_prompt_ids(p, &n_ids);
        assert_int_equal(n_ids, lfm2__json_size(want));
        for (int32_t i = 0; i < n_ids; i++) assert_int_equal(got[i], lfm2__json_int(lfm2__json_at(want, (size_t)i)));
        lfm2_prompt_destroy(p);
    }
    lfm2__json_free(doc);
}

static void tiles_without_a_thumbnail(void **state)
{
    const fixture *f = *state;
    lfm2_vision_params params = lfm2_vision_params_default();
    lfm2_vision_plan plan;
    lfm2_prompt *p = NULL;
    const int32_t ids[] = {5, I, 6};
    int32_t n_parts = 0;

    params.use_thumbnail = 0;
    const lfm2_media m = image_of(&params, 1400, 900, &plan);
    assert_int_equal(plan.n_inputs, 6);
    assert_int_equal(lfm2_prompt_create(f->tok, ids, 3, &m, 1, &p), 0);
    assert_consistent(p, lfm2_tokenizer_find(f->tok, "<image>"));
    const lfm2_prompt_part *parts = lfm2_prompt_parts(p, &n_parts);
    assert_int_equal(n_parts, 13);
    for (int32_t i = 0; i < 6; i++) {
        assert_ptr_equal(parts[2 * i + 1].embed, &rows[i]);
        assert_int_equal(parts[2 * i + 1].n_tok, 256);
    }
    assert_int_equal(parts[0].n_tok, 3); /* 5, start, first tile */
    assert_int_equal(parts[12].n_tok, 2);
    assert_int_equal(parts[4].ids[0], lfm2_tokenizer_find(f->tok, "<|img_row_1_col_3|>"));
    assert_int_equal(parts[6].ids[0], lfm2_tokenizer_find(f->tok, "<|img_row_2_col_1|>"));
    lfm2_prompt_destroy(p);
}

static void sounds_and_images_in_their_order(void **state)
{
    const fixture *f = *state;
    const lfm2_vision_params params = lfm2_vision_params_default();
    lfm2_vision_plan plan;
    lfm2_prompt *p = NULL;
    const int32_t ids[] = {A, 5, I, A, A, 6, 7};
    const lfm2_media image = image_of(&params, 200, 120, &plan), media[] = {sound_of(3), image, sound_of(9), sound_of(1)};
    static const int32_t want[] = {3, 2, 77, 1, 9, 1, 2};
    int32_t n = 0;

    assert_int_equal(lfm2_prompt_create(f->tok, ids, 7, media, 4, &p), 0);
    const lfm2_prompt_part *parts = lfm2_prompt_parts(p, &n);
    assert_int_equal(n, 7);
    for (int32_t i = 0; i < 7; i++) {
        assert_int_equal(parts[i].n_tok, want[i]);
        assert_int_equal(parts[i].ids != NULL, i == 1 || i == 3 || i == 6);
    }
    assert_int_equal(lfm2_prompt_n_tok(p), 95);
    assert_int_equal(lfm2_prompt_n_media_tok(p), 90);
    const int32_t *shown = lfm2_prompt_ids(p, &n);
    assert_int_equal(n, 1 + 1 + 77 + 1 + 2);
    assert_int_equal(shown[0], 5);
    assert_int_equal(shown[n - 1], 7);
    lfm2_prompt_destroy(p);

    assert_int_equal(lfm2_prompt_create(f->tok, ids + 5, 2, NULL, 0, &p), 0); /* text alone */
    assert_consistent(p, -1);
    assert_int_equal(lfm2_prompt_n_media_tok(p), 0);
    lfm2_prompt_destroy(p);
    lfm2_prompt_destroy(NULL);
}

static void what_does_not_agree_is_refused(void **state)
{
    fixture *f = *state;
    const lfm2_vision_params params = lfm2_vision_params_default();
    lfm2_vision_plan plan;
    lfm2_prompt *p = NULL;
    const int32_t one_image[] = {4, I, 5}, one_sound[] = {4, A, 5}, strange[] = {4, -3, 5}, none[] = {4, 5};
    const lfm2_media image = image_of(&params, 200, 120, &plan), sound = sound_of(3), both[] = {image, sound};
    lfm2_media bad;

    assert_int_equal(lfm2_prompt_create(f->tok, one_image, 3, both, 2, &p), LFM2_ERR_ARG);
    assert_non_null(strstr(f->x.log.line, "2 media, but 1 slots"));
    assert_int_equal(lfm2_prompt_create(f->tok, one_image, 3, &sound, 1, &p), LFM2_ERR_ARG);
    assert_non_null(strstr(f->x.log.line, "slot 0"));
    assert_int_equal(lfm2_prompt_create(f->tok, one_sound, 3, &image, 1, &p), LFM2_ERR_ARG);
    assert_int_equal(lfm2_prompt_create(f->tok, one_image, 3, NULL, 0, &p), LFM2_ERR_ARG);
    assert_int_equal(lfm2_prompt_create(f->tok, none, 2, &image, 1, &p), LFM2_ERR_ARG);
    bad = image;
    bad.slot = -3;
    assert_int_equal(lfm2_prompt_create(f->tok, strange, 3, &bad, 1, &p), LFM2_ERR_ARG);
    bad = image;
    bad.plan = NULL;
    assert_int_equal(lfm2_prompt_create(f->tok, one_image, 3, &bad, 1, &p), LFM2_ERR_ARG);
    bad = image;
    bad.downsample = 0;
    assert_int_equal(lfm2_prompt_create(f->tok, one_image, 3, &bad, 1, &p), LFM2_ERR_ARG);
    bad.downsample = 64; /* not a token */
    assert_int_equal(lfm2_prompt_create(f->tok, one_image, 3, &bad, 1, &p), LFM2_ERR_ARG);
    bad = image;
    bad.embed = NULL;
    assert_int_equal(lfm2_prompt_create(f->tok, one_image, 3, &bad, 1, &p), LFM2_ERR_ARG);
    bad = sound;
    bad.n_tok = 0;
    assert_int_equal(lfm2_prompt_create(f->tok, one_sound, 3, &bad, 1, &p), LFM2_ERR_ARG);
    bad.n_tok = INT32_MAX;
    assert_int_equal(lfm2_prompt_create(f->tok, one_sound, 3, &bad, 1, &p), LFM2_ERR_RANGE);
    assert_int_equal(lfm2_prompt_create(NULL, one_sound, 3, &sound, 1, &p), LFM2_ERR_ARG);
    assert_int_equal(lfm2_prompt_create(f->tok, NULL, 3, &sound, 1, &p), LFM2_ERR_ARG);
    assert_int_equal(lfm2_prompt_create(f->tok, one_sound, 0, &sound, 1, &p), LFM2_ERR_ARG);
    assert_int_equal(lfm2_prompt_create(f->tok, one_sound, 3, NULL, 1, &p), LFM2_ERR_ARG);
    assert_int_equal(lfm2_prompt_create(f->tok, one_sound, 3, &sound, -1, &p), LFM2_ERR_ARG);
    assert_int_equal(lfm2_prompt_create(f->tok, one_sound, 3, &sound, 1, NULL), LFM2_ERR_ARG);
    assert_null(p);
}

static void grids_without_marks_are_refused(void **state)
{
    fixture *f = *state;
    lfm2_vision_params params = lfm2_vision_params_default();
    lfm2_vision_plan plan;
    lfm2_prompt *p = NULL;
    const int32_t ids[] = {I};

    params.min_tiles = params.max_tiles = 12;
    const lfm2_media m = image_of(&params, 30000, 1200, &plan);
    assert_int_equal(plan.tile_cols, 12);
    assert_int_equal(lfm2_prompt_create(f->tok, ids, 1, &m, 1, &p), LFM2_ERR_UNSUPPORTED);
    assert_non_null(strstr(f->x.log.line, "<|img_row_1_col_11|>"));
    assert_null(p);
}

static void memory_runs_out(void **state)
{
    fixture *f = *state;
    const lfm2_vision_params params = lfm2_vision_params_default();
    lfm2_vision_plan plan;
    const int32_t ids[] = {4, I, 5};
    const lfm2_media m = image_of(&params, 1400, 900, &plan);
    long k = 0;
    int rc = LFM2_ERR_NOMEM;

    while (test_fail_next(&f->x.heap, &k)) {
        lfm2_prompt *p = NULL;

        rc = lfm2_prompt_create(f->tok, ids, 3, &m, 1, &p);
        assert_true(rc == 0 ? p != NULL : rc == LFM2_ERR_NOMEM && p == NULL);
        lfm2_prompt_destroy(p);
    }
    assert_int_equal(rc, 0);
    assert_int_equal(k, 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, tok_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(golden_ids),
        TEST(tiles_without_a_thumbnail),
        TEST(sounds_and_images_in_their_order),
        TEST(what_does_not_agree_is_refused),
        TEST(grids_without_marks_are_refused),
        TEST(memory_runs_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
