/* SPDX-License-Identifier: Apache-2.0
 * What becomes of an image of a given size: against the reference for many sizes, parameters out of range, limits; and the
 * scaled pixels where they are known. */
#include "base_testing.h"

#include <math.h>
#include <stdio.h>

#include "encoders/vision_impl.h"

static lfm2_vision_params setting(int n)
{
    lfm2_vision_params p = lfm2_vision_params_default();
    if (n == 1) p.use_thumbnail = 0;
    if (n == 2) p.do_split = 0;
    if (n == 3) p.min_image_tok = 32, p.max_image_tok = 64;
    if (n == 4) p.min_image_tok = 16, p.max_image_tok = 128, p.max_tiles = 4;
    return p;
}

static void plans_are_the_references(void **state)
{
    (void)state;
    int w, h, set, cols, rows, n_inputs, last_rows, last_cols, n_tok, n = 0;
    FILE *f = fopen(LFM2_TEST_DIR "/oracle/vision_plan.txt", "r");
    assert_non_null(f);
    while (fscanf(f, "%d %d %d %d %d %d %d %d %d", &w, &h, &set, &cols, &rows, &n_inputs, &last_rows, &last_cols, &n_tok) == 9) {
        const lfm2_vision_params p = setting(set);
        lfm2_vision_plan plan;
        assert_int_equal(lfm2_vision_plan_image(&p, w, h, &plan), 0);
        const lfm2_vision_grid *last = &plan.inputs[plan.n_inputs - 1];
        if (plan.tile_cols != cols || plan.tile_rows != rows || plan.n_inputs != n_inputs || last->n_rows != last_rows
            || last->n_cols != last_cols || plan.n_tok != n_tok || plan.n_patches != 4 * n_tok)
            fail_msg("%d x %d, setting %d: %d x %d tiles, %d inputs, last %d x %d, %d tokens", w, h, set, (int)plan.tile_cols,
                     (int)plan.tile_rows, (int)plan.n_inputs, (int)last->n_rows, (int)last->n_cols, (int)plan.n_tok);
        for (int32_t i = 0; i + 1 < plan.n_inputs; i++) assert_true(plan.inputs[i].n_rows == 32 && plan.inputs[i].n_cols == 32);
        n++;
    }
    assert_true(feof(f));
    fclose(f);
    assert_true(n >= 300);
}

/* With one tile allowed, a grid of one is no tile: the whole image is encoded. */
static void one_tile_is_the_whole_image(void **state)
{
    (void)state;
    lfm2_vision_params p = lfm2_vision_params_default();
    lfm2_vision_plan plan;
    p.min_tiles = 1;
    assert_int_equal(lfm2_vision_plan_image(&p, 752, 688, &plan), 0);
    assert_int_equal(plan.n_inputs, 1);
    assert_false(plan.has_thumbnail);
    assert_int_equal(plan.n_tok, 240);
}

/* Sizes up to 2048: tiles as the reference would, 2 to 10 of them or none; a picture 31 wide and 4000 high, too. */
static void tiles_within_bounds(void **state)
{
    (void)state;
    const lfm2_vision_params p = lfm2_vision_params_default();
    for (int32_t w = 1; w <= 2048; w += w < 40 ? 3 : 61) {
        for (int32_t h = 1; h <= 2048; h += 59) {
            lfm2_vision_plan plan;
            assert_int_equal(lfm2_vision_plan_image(&p, w, h, &plan), 0);
            const int32_t n_tiles = plan.tile_cols * plan.tile_rows;
            assert_true(n_tiles == 1 || (n_tiles >= 2 && n_tiles <= 10));
            assert_true(plan.n_inputs == (n_tiles == 1 ? 1 : n_tiles + 1) && plan.n_tok >= 1);
        }
    }
    lfm2_vision_plan plan;
    assert_int_equal(lfm2_vision_plan_image(&p, 31, 4000, &plan), 0);
    assert_int_equal(plan.n_inputs, 1);
}

static void parameters_are_checked(void **state)
{
    (void)state;
    lfm2_vision_plan plan;
    memset(&plan, 0x5a, sizeof plan);
    const lfm2_vision_plan before = plan;
#define BAD(change)                                                                                                  \
    do {                                                                                                             \
        lfm2_vision_params p = lfm2_vision_params_default();                                                         \
        change;                                                                                                      \
        assert_int_equal(lfm2_vision_plan_image(&p, 640, 480, &plan), LFM2_ERR_ARG);                                 \
    } while (0)
    static const int32_t hostile[] = {0, -1, INT32_MIN, INT32_MAX, 100000};
    for (size_t i = 0; i < LFM2__COUNT_OF(hostile); i++) {
        BAD(p.patch_px = hostile[i]);
        BAD(p.downsample = hostile[i]);
        BAD(p.min_image_tok = hostile[i]);
        BAD(p.max_image_tok = hostile[i]);
        BAD(p.tile_px = hostile[i]);
        BAD(p.min_tiles = hostile[i]);
        BAD(p.max_tiles = hostile[i]);
    }
    BAD(p.tile_px = 500);
    BAD(p.max_pixels_tolerance = NAN);
    BAD(p.max_pixels_tolerance = -1);
    BAD(p.max_pixels_tolerance = 1e9);
    BAD(p.std[1] = 0);
    BAD(p.std[2] = NAN);
    BAD(p.mean[0] = INFINITY);
    BAD(p.min_image_tok = 257);
    BAD(p.min_tiles = 11);
    BAD(p.letterbox = 2);
    BAD(p.letterbox = -1);
    BAD(p.line_height_px = -1);
    BAD(p.line_height_px = 4097);
#undef BAD
    const lfm2_vision_params p = lfm2_vision_params_default();
    static const int32_t sides[] = {0, -1, INT32_MIN};
    for (size_t i = 0; i < LFM2__COUNT_OF(sides); i++) {
        assert_int_equal(lfm2_vision_plan_image(&p, sides[i], 5, &plan), LFM2_ERR_ARG);
        assert_int_equal(lfm2_vision_plan_image(&p, 5, sides[i], &plan), LFM2_ERR_ARG);
    }
    assert_int_equal(lfm2_vision_plan_image(NULL, 5, 5, &plan), LFM2_ERR_ARG);
    assert_int_equal(lfm2_vision_plan_image(&p, 5, 5, NULL), LFM2_ERR_ARG);
    assert_int_equal(lfm2_vision_plan_image(&p, LFM2_MAX_IMAGE_SIDE_PX + 1, 5, &plan), LFM2_ERR_LIMIT);
    assert_int_equal(lfm2_vision_plan_image(&p, 5, INT32_MAX, &plan), LFM2_ERR_LIMIT);
    assert_int_equal(lfm2_vision_plan_image(&p, LFM2_MAX_IMAGE_SIDE_PX, 1, &plan), LFM2_ERR_LIMIT); /* 32768 patches wide */
    assert_memory_equal(&plan, &before, sizeof plan);
}

/* The largest plans that the ranges allow stay within the plan's arrays and int32. */
static void extremes_fit(void **state)
{
    (void)state;
    static const int32_t sides[] = {1, 2, 1000, 40000, LFM2_MAX_IMAGE_SIDE_PX};
    for (int k = 0; k < 4; k++) {
        lfm2_vision_params p = lfm2_vision_params_default();
        p.max_tiles = 64;
        p.min_tiles = k & 1 ? 64 : 1;
        if (k & 2) p.tile_px = 2048, p.max_image_tok = 4096;
        for (size_t i = 0; i < LFM2__COUNT_OF(sides) * LFM2__COUNT_OF(sides); i++) {
            lfm2_vision_plan plan;
            const int rc = lfm2_vision_plan_image(&p, sides[i / 5], sides[i % 5], &plan);
            assert_true(rc == 0 || rc == LFM2_ERR_LIMIT);
            if (rc < 0) continue;
            int64_t patches = 0;
            assert_in_range(plan.n_inputs, 1, LFM2_VISION_MAX_INPUTS);
            for (int32_t j = 0; j < plan.n_inputs; j++) {
                assert_true(plan.inputs[j].n_rows > 0 && plan.inputs[j].n_rows % 2 == 0);
                assert_true(plan.inputs[j].n_cols > 0 && plan.inputs[j].n_cols % 2 == 0);
                patches += (int64_t)plan.inputs[j].n_rows * plan.inputs[j].n_cols;
            }
            assert_int_equal(plan.n_patches, patches);
        }
    }
}

static float value_at(const float *patches, int32_t n_cols, int32_t x, int32_t y, int32_t ch)
{
    return patches[((size_t)(y / 16) * (size_t)n_cols + (size_t)(x / 16)) * 768 + (size_t)((y % 16 * 16 + x % 16) * 3 + ch)];
}

/* No scaling: each byte stands where it belongs, v / 127.5 - 1. Rows may be further apart than they are long. */
static void exact_pixels(void **state)
{
    lfm2_runtime *rt = *state;
    enum { W = 256, H = 288, STRIDE = W * 3 + 13 };
    static uint8_t rgb[STRIDE * H];
    for (size_t i = 0; i < sizeof rgb; i++) rgb[i] = (uint8_t)(i * 37 + i / 251);
    const lfm2_vision_params p = lfm2_vision_params_default();
    lfm2_vision_plan plan;
    assert_int_equal(lfm2_vision_plan_image(&p, W, H, &plan), 0);
    assert_int_equal(plan.n_patches, W / 16 * (H / 16));
    const size_t n = (size_t)plan.n_patches * 768;
    float *out = malloc(n * sizeof *out);
    assert_non_null(out);
    assert_int_equal(lfm2_vision_patches(rt, &p, &plan, rgb, STRIDE, out, plan.n_patches), 0);
    for (int32_t y = 0; y < H; y++) {
        for (int32_t x = 0; x < W; x++) {
            for (int32_t ch = 0; ch < 3; ch++) {
                const float want = ((float)rgb[y * STRIDE + x * 3 + ch] - 127.5f) / 127.5f;
                assert_true(value_at(out, W / 16, x, y, ch) == want);
            }
        }
    }
    free(out);
}

/* A tiled picture keeps its shape: where it fills the tiles one way without scaling, its pixels are the picture's and all others
 * black; the thumbnail is the same with and without. */
static void letterbox(void **state)
{
    lfm2_runtime *rt = *state;
    enum { W = 1024, H = 900, TOP = 62, SIDE = 32 };
    uint8_t *rgb = malloc((size_t)W * H * 3);
    assert_non_null(rgb);
    for (size_t i = 0; i < (size_t)W * H * 3; i++) rgb[i] = (uint8_t)(i * 29 + i / 777);
    lfm2_vision_params p = lfm2_vision_params_default();
    lfm2_vision_plan plan;
    assert_int_equal(lfm2_vision_plan_image(&p, W, H, &plan), 0);
    assert_true(plan.tile_cols == 2 && plan.tile_rows == 2 && plan.has_thumbnail);
    const size_t n = (size_t)plan.n_patches * 768, n_tiles = (size_t)4 * SIDE * SIDE * 768;
    float *boxed = malloc(n * sizeof *boxed), *stretched = malloc(n * sizeof *boxed);
    assert_true(boxed && stretched);
    assert_int_equal(lfm2_vision_patches(rt, &p, &plan, rgb, (size_t)W * 3, stretched, plan.n_patches), 0);
    p.letterbox = 1;
    assert_int_equal(lfm2_vision_patches(rt, &p, &plan, rgb, (size_t)W * 3, boxed, plan.n_patches), 0);
    assert_memory_equal(boxed + n_tiles, stretched + n_tiles, (n - n_tiles) * sizeof *boxed);
    assert_true(memcmp(boxed, stretched, n_tiles * sizeof *boxed) != 0);
    for (int32_t y = 0; y < 1024; y++) {
        for (int32_t i = 0; i < W * 3; i++) {
            const int32_t x = i / 3, tile = y / 512 * 2 + x / 512, inside = y >= TOP && y < TOP + H;
            const float got = value_at(boxed + (size_t)tile * SIDE * SIDE * 768, SIDE, x % 512, y % 512, i % 3);
            const float want = inside ? ((float)rgb[(size_t)(y - TOP) * W * 3 + (size_t)i] - 127.5f) / 127.5f : -1.0f;
            if (got != want) fail_msg("row %d, byte %d: %g, not %g", y, i, (double)got, (double)want);
        }
    }
    free(rgb);
    free(boxed);
    free(stretched);
}

/* One colour stays that colour at any scale, and 1, 2 or 5 threads give the same bits. */
static void colours_and_threads(void **state)
{
    (void)state;
    static const int32_t sizes[][2] = {{1, 1}, {3, 700}, {1400, 900}, {2000, 40}};
    const lfm2_vision_params p = lfm2_vision_params_default();
    for (size_t s = 0; s < LFM2__COUNT_OF(sizes); s++) {
        const int32_t w = sizes[s][0], h = sizes[s][1];
        lfm2_vision_plan plan;
        assert_int_equal(lfm2_vision_plan_image(&p, w, h, &plan), 0);
        const size_t n = (size_t)plan.n_patches * 768, n_px = (size_t)w * (size_t)h;
        uint8_t *rgb = malloc(n_px * 3);
        float *out = malloc(n * sizeof *out), *first = malloc(n * sizeof *out);
        assert_true(rgb && out && first);
        for (int flat = 0; flat < 2; flat++) {
            for (size_t i = 0; i < n_px * 3; i++) rgb[i] = (uint8_t)(flat ? 250 - 100 * (i % 3) : i * 97 + i / 7);
            for (int32_t threads = 1; threads <= 5; threads += threads == 1 ? 1 : 3) {
                lfm2_runtime *rt = test_runtime(threads, NULL, NULL);
                assert_int_equal(lfm2_vision_patches(rt, &p, &plan, rgb, (size_t)w * 3, out, plan.n_patches), 0);
                lfm2_runtime_destroy(rt);
                if (threads == 1) memcpy(first, out, n * sizeof *out);
                assert_memory_equal(first, out, n * sizeof *out);
            }
            for (size_t i = 0; i < n && flat; i++) {
                const float want = (float)(250 - 100 * (i % 3)) / 127.5f - 1;
                assert_true(fabsf(out[i] - want) <= 1 / 127.0f);
            }
        }
        free(rgb);
        free(out);
        free(first);
    }
}

static void patches_refuse_bad_arguments(void **state)
{
    lfm2_runtime *rt = *state;
    static uint8_t rgb[64 * 64 * 3];
    lfm2_vision_params p = lfm2_vision_params_default();
    lfm2_vision_plan plan;
    assert_int_equal(lfm2_vision_plan_image(&p, 64, 64, &plan), 0);
    float *out = malloc((size_t)plan.n_patches * 768 * sizeof *out);
    assert_non_null(out);
    assert_int_equal(lfm2_vision_patches(NULL, &p, &plan, rgb, 192, out, plan.n_patches), LFM2_ERR_ARG);
    assert_int_equal(lfm2_vision_patches(rt, NULL, &plan, rgb, 192, out, plan.n_patches), LFM2_ERR_ARG);
    assert_int_equal(lfm2_vision_patches(rt, &p, NULL, rgb, 192, out, plan.n_patches), LFM2_ERR_ARG);
    assert_int_equal(lfm2_vision_patches(rt, &p, &plan, NULL, 192, out, plan.n_patches), LFM2_ERR_ARG);
    assert_int_equal(lfm2_vision_patches(rt, &p, &plan, rgb, 192, NULL, plan.n_patches), LFM2_ERR_ARG);
    assert_int_equal(lfm2_vision_patches(rt, &p, &plan, rgb, 191, out, plan.n_patches), LFM2_ERR_ARG);
    assert_int_equal(lfm2_vision_patches(rt, &p, &plan, rgb, 192, out, plan.n_patches - 1), LFM2_ERR_RANGE);
    lfm2_vision_plan other = plan;
    other.n_patches--; /* a plan that was tampered with */
    assert_int_equal(lfm2_vision_patches(rt, &p, &other, rgb, 192, out, 4096), LFM2_ERR_ARG);
    p.min_image_tok = 100;
    assert_int_equal(lfm2_vision_patches(rt, &p, &plan, rgb, 192, out, 4096), LFM2_ERR_ARG);
    p.min_image_tok = 64;
    lfm2_runtime_abort(rt);
    assert_int_equal(lfm2_vision_patches(rt, &p, &plan, rgb, 192, out, plan.n_patches), LFM2_ERR_ABORTED);
    lfm2_runtime_clear_abort(rt);
    free(out);
}

static void patches_survive_failing_allocations(void **state)
{
    (void)state;
    static uint8_t rgb[64 * 64 * 3];
    test_heap heap = {0};
    long k = 0;
    lfm2_runtime *rt = test_runtime(1, &heap, NULL);
    const lfm2_vision_params p = lfm2_vision_params_default();
    lfm2_vision_plan plan;
    assert_int_equal(lfm2_vision_plan_image(&p, 64, 64, &plan), 0);
    float *out = malloc((size_t)plan.n_patches * 768 * sizeof *out);
    assert_non_null(out);
    while (test_fail_next(&heap, &k)) {
        const int rc = lfm2_vision_patches(rt, &p, &plan, rgb, 192, out, plan.n_patches);
        assert_int_equal(rc, test_has_failed(&heap) ? LFM2_ERR_NOMEM : 0);
    }
    assert_true(k > 5);
    free(out);
    lfm2_runtime_destroy(rt);
}

static int setup(void **state)
{
    *state = test_runtime(2, NULL, NULL);
    return 0;
}

static int teardown(void **state)
{
    lfm2_runtime_destroy(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_are_the_references),      cmocka_unit_test(one_tile_is_the_whole_image),
        cmocka_unit_test(tiles_within_bounds),           cmocka_unit_test(letterbox),
        cmocka_unit_test(parameters_are_checked),        cmocka_unit_test(extremes_fit),
        cmocka_unit_test(exact_pixels),                  cmocka_unit_test(colours_and_threads),
        cmocka_unit_test(patches_refuse_bad_arguments),  cmocka_unit_test(patches_survive_failing_allocations),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
