/* SPDX-License-Identifier: Apache-2.0
 * The vision encoder: hostile configuration, missing files, batches, threads, abort, errors of its calls. */
#include "base_testing.h"

#include <math.h>

#include "base/json.h"
#include "encoders/vision_impl.h"
#include "file_testing.h"
#include "weights/container.h"

#define GOLDEN LFM2_TEST_DIR "/oracle/golden/vl"

static lfm2_runtime *rt;
static test_log lines;

static int parse(const char *text, int is_params, lfm2_vision_config *cfg, lfm2_vision_params *p)
{
    static const lfm2__json_limits limits = {.max_bytes = 1 << 16, .max_depth = 16, .max_values = 1000};
    lfm2__json_doc *doc = NULL;
    assert_int_equal(lfm2__json_parse(rt, "c.json", text, strlen(text), &limits, &doc), 0);
    const lfm2__json *root = lfm2__json_root(doc);
    const int rc = is_params ? lfm2__vision_params_from_json(rt, "c.json", root, p)
                             : lfm2__vision_config_from_json(rt, "c.json", root, cfg);
    lfm2__json_free(doc);
    return rc;
}

static void config_defaults_and_hostile_values(void **state)
{
    (void)state;
    lfm2_vision_config cfg;
    assert_int_equal(parse("{\"vision_config\": {}}", 0, &cfg, NULL), 0);
    assert_true(cfg.d_vision == 768 && cfg.d_ff == 3072 && cfg.n_layers == 12 && cfg.n_heads == 12 && cfg.table_side == 16);
    assert_true(cfg.patch_px == 16 && cfg.downsample == 2 && cfg.norm_eps == 1e-6f);
    static const struct {
        const char *text, *named;
        int rc;
    } bad[] = {
        {"{}", "vision_config", LFM2_ERR_UNSUPPORTED},
        {"{\"vision_config\": 3}", "vision_config", LFM2_ERR_UNSUPPORTED},
        {"{\"vision_config\": {\"hidden_size\": 0}}", "hidden_size", LFM2_ERR_FORMAT},
        {"{\"vision_config\": {\"hidden_size\": 999999999999}}", "hidden_size", LFM2_ERR_FORMAT},
        {"{\"vision_config\": {\"hidden_size\": 700}}", "heads", LFM2_ERR_FORMAT},
        {"{\"vision_config\": {\"intermediate_size\": -1}}", "intermediate_size", LFM2_ERR_FORMAT},
        {"{\"vision_config\": {\"num_hidden_layers\": 129}}", "num_hidden_layers", LFM2_ERR_FORMAT},
        {"{\"vision_config\": {\"num_attention_heads\": 0}}", "num_attention_heads", LFM2_ERR_FORMAT},
        {"{\"vision_config\": {\"num_patches\": 255}}", "num_patches", LFM2_ERR_FORMAT},
        {"{\"vision_config\": {\"num_patches\": 100000}}", "num_patches", LFM2_ERR_FORMAT},
        {"{\"vision_config\": {\"patch_size\": 65}}", "patch_size", LFM2_ERR_FORMAT},
        {"{\"vision_config\": {\"layer_norm_eps\": -1}}", "layer_norm_eps", LFM2_ERR_FORMAT},
        {"{\"vision_config\": {\"hidden_act\": \"relu\"}}", "hidden_act", LFM2_ERR_UNSUPPORTED},
        {"{\"vision_config\": {\"num_channels\": 4}}", "num_channels", LFM2_ERR_UNSUPPORTED},
        {"{\"vision_config\": {\"vision_use_head\": true}}", "vision_use_head", LFM2_ERR_UNSUPPORTED},
        {"{\"vision_config\": {}, \"downsample_factor\": 9}", "downsample_factor", LFM2_ERR_FORMAT},
        {"{\"vision_config\": {}, \"projector_hidden_act\": \"gelu_new\"}", "projector_hidden_act", LFM2_ERR_UNSUPPORTED},
        {"{\"vision_config\": {}, \"projector_bias\": false}", "projector_bias", LFM2_ERR_UNSUPPORTED},
        {"{\"vision_config\": {}, \"vision_feature_layer\": -2}", "vision_feature_layer", LFM2_ERR_UNSUPPORTED},
    };
    for (size_t i = 0; i < LFM2__COUNT_OF(bad); i++) {
        assert_int_equal(parse(bad[i].text, 0, &cfg, NULL), bad[i].rc);
        assert_non_null(strstr(lines.line, bad[i].named));
        assert_non_null(strstr(lines.line, "c.json"));
    }
}

static int same_params(const lfm2_vision_params *a, const lfm2_vision_params *b)
{
    return memcmp(a, b, offsetof(lfm2_vision_params, use_thumbnail)) == 0 && a->use_thumbnail == b->use_thumbnail
           && a->max_pixels_tolerance == b->max_pixels_tolerance && memcmp(a->mean, b->mean, sizeof a->mean) == 0
           && memcmp(a->std, b->std, sizeof a->std) == 0;
}

static void params_defaults_and_hostile_values(void **state)
{
    (void)state;
    lfm2_vision_params p, before;
    assert_int_equal(parse("{}", 1, NULL, &p), 0);
    const lfm2_vision_params d = lfm2_vision_params_default();
    assert_true(same_params(&p, &d));
    static const char changed[] =
        "{\"use_thumbnail\": false, \"line_height_px\": 32, "
        "\"min_tiles\": 1, \"image_mean\": [0, 0.25, 1], \"max_image_tokens\": 128}";
    assert_int_equal(parse(changed, 1, NULL, &p), 0);
    assert_true(!p.use_thumbnail && p.min_tiles == 1 && p.mean[1] == 0.25f && p.max_image_tok == 128 && p.line_height_px == 32);
    static const struct {
        const char *text, *named;
        int rc;
    } bad[] = {
        {"{\"encoder_patch_size\": 0}", "encoder_patch_size", LFM2_ERR_FORMAT},
        {"{\"downsample_factor\": 1000}", "downsample_factor", LFM2_ERR_FORMAT},
        {"{\"min_image_tokens\": 257}", "min_image_tokens", LFM2_ERR_FORMAT},
        {"{\"max_image_tokens\": 99999999999}", "max_image_tokens", LFM2_ERR_FORMAT},
        {"{\"max_image_tokens\": 5000}", "max_image_tokens", LFM2_ERR_FORMAT},
        {"{\"tile_size\": 33}", "tile_size", LFM2_ERR_FORMAT},
        {"{\"max_tiles\": 65}", "max_tiles", LFM2_ERR_FORMAT},
        {"{\"min_tiles\": \"2\"}", "min_tiles", LFM2_ERR_FORMAT},
        {"{\"max_pixels_tolerance\": -0.5}", "max_pixels_tolerance", LFM2_ERR_FORMAT},
        {"{\"image_std\": [0.5, 0, 0.5]}", "image_std", LFM2_ERR_FORMAT},
        {"{\"image_std\": [0.5, 0.5]}", "image_std", LFM2_ERR_FORMAT},
        {"{\"image_mean\": 0.5}", "image_mean", LFM2_ERR_FORMAT},
        {"{\"line_height_px\": -1}", "line_height_px", LFM2_ERR_FORMAT},
        {"{\"line_height_px\": 99999}", "line_height_px", LFM2_ERR_FORMAT},
        {"{\"image_mean\": [1e300, 0, 0]}", "image_mean", LFM2_ERR_FORMAT},
        {"{\"resample\": 3}", "resample", LFM2_ERR_UNSUPPORTED},
        {"{\"rescale_factor\": 0.5}", "rescale_factor", LFM2_ERR_UNSUPPORTED},
        {"{\"do_normalize\": false}", "do_normalize", LFM2_ERR_UNSUPPORTED},
        {"{\"do_image_splitting\": 1}", "do_image_splitting", LFM2_ERR_FORMAT},
    };
    before = p;
    for (size_t i = 0; i < LFM2__COUNT_OF(bad); i++) {
        assert_int_equal(parse(bad[i].text, 1, NULL, &p), bad[i].rc);
        assert_non_null(strstr(lines.line, bad[i].named));
        assert_true(same_params(&p, &before));
    }
}

static void what_is_no_image_encoder(void **state)
{
    (void)state;
    lfm2_vision *v = NULL;
    assert_int_equal(lfm2_vision_load(NULL, GOLDEN, &v), LFM2_ERR_ARG);
    assert_int_equal(lfm2_vision_load(rt, NULL, &v), LFM2_ERR_ARG);
    assert_int_equal(lfm2_vision_load(rt, GOLDEN, NULL), LFM2_ERR_ARG);
    assert_int_equal(lfm2_vision_load(rt, "/nowhere/at/all", &v), LFM2_ERR_NOT_FOUND);
    assert_int_equal(lfm2_vision_load(rt, LFM2_TEST_DIR "/oracle/golden/text/model.safetensors", &v), LFM2_ERR_UNSUPPORTED);
    assert_int_equal(lfm2_vision_load(rt, LFM2_TEST_DIR "/oracle/golden/text/model-bf16.gguf", &v), LFM2_ERR_UNSUPPORTED);
    assert_null(v);
    lfm2_vision_unload(NULL);
    lfm2_vision_run_destroy(NULL);
    assert_null(lfm2_vision_get_config(NULL));
    assert_null(lfm2_vision_get_params(NULL));
    assert_int_equal(lfm2_vision_run_bytes(NULL, 10), 0);
}

/* Image settings of a GGUF file: its own keys over the defaults, each checked. */
static void params_of_a_gguf_file(void **state)
{
    (void)state;
    static const char path[] = LFM2_TEST_DIR "/fuzz/corpus/vision_config/full.gguf";
    lfm2_vision v = {.rt = rt};
    assert_int_equal(lfm2_weights_open(rt, path, &v.w), 0);
    assert_int_equal(lfm2__vision_read_config(&v), 0);
    assert_int_equal(lfm2__vision_read_params(&v), 0);
    const lfm2_vision_params *p = &v.params;
    assert_true(p->patch_px == 4 && p->downsample == 2 && p->min_image_tok == 4 && p->max_image_tok == 16 && p->tile_px == 32);
    assert_true(p->min_tiles == 1 && p->max_tiles == 4 && p->do_split == 1 && p->use_thumbnail == 0 && p->line_height_px == 32);
    assert_true(p->max_pixels_tolerance == 1.5 && p->mean[2] == 0.5f && p->std[0] == 0.5f && p->letterbox == 0);
    lfm2_weights_close(v.w);

    size_t n;
    char *data = read_file(path, &n);
    static const char *const keys[] = {"lfm2.vision.min_image_tokens", "lfm2.vision.max_image_tokens", "lfm2.vision.tile_size",
                                       "lfm2.vision.min_tiles", "lfm2.vision.max_tiles", "lfm2.vision.line_height_px"};
    for (size_t i = 0; i < LFM2__COUNT_OF(keys); i++) { /* behind the key: type, u32 value */
        size_t at = 0;
        while (memcmp(data + at, keys[i], strlen(keys[i])) != 0) at++;
        at += strlen(keys[i]) + 4;
        char before[4];
        memcpy(before, data + at, 4);
        static const unsigned char values[2][4] = {{0xff, 0xff, 0xff, 0x7f}, {0xff, 0xff, 0xff, 0xff}};
        for (size_t k = 0; k < 2; k++) {
            memcpy(data + at, values[k], 4);
            lfm2_vision bad = {.rt = rt};
            assert_int_equal(lfm2__weights_open_bytes(rt, "v.gguf", data, n, &bad.w), 0);
            assert_int_equal(lfm2__vision_read_config(&bad), 0);
            assert_int_equal(lfm2__vision_read_params(&bad), LFM2_ERR_FORMAT);
            assert_non_null(strstr(lines.line, "lfm2.vision."));
            lfm2_weights_close(bad.w);
        }
        memcpy(data + at, before, 4);
    }
    free(data);
}

/* White, black, one pixel, a long thin strip: all of it finite. */
static void plain_pictures(void **state)
{
    (void)state;
    static const int32_t sizes[][2] = {{1, 1}, {31, 4000}, {300, 200}};
    lfm2_vision *v = NULL;
    lfm2_vision_run *r = NULL;
    assert_int_equal(lfm2_vision_load(rt, GOLDEN, &v), 0);
    assert_int_equal(lfm2_vision_run_create(v, 1024, &r), 0);
    for (size_t i = 0; i < 2 * LFM2__COUNT_OF(sizes); i++) {
        const int32_t w = sizes[i / 2][0], h = sizes[i / 2][1];
        lfm2_vision_plan plan;
        assert_int_equal(lfm2_vision_plan_image(lfm2_vision_get_params(v), w, h, &plan), 0);
        uint8_t *rgb = malloc((size_t)w * (size_t)h * 3);
        float *patches = malloc((size_t)plan.n_patches * 768 * sizeof *patches),
            *out = malloc((size_t)plan.n_tok * 128 * sizeof *out);
        assert_true(rgb && patches && out);
        memset(rgb, i % 2 ? 255 : 0, (size_t)w * (size_t)h * 3);
        assert_int_equal(lfm2_vision_patches(rt, lfm2_vision_get_params(v), &plan, rgb, (size_t)w * 3, patches, plan.n_patches), 0);
        for (int32_t k = 0; k < plan.n_patches * 768; k++) assert_true(patches[k] == (i % 2 ? 1.0f : -1.0f));
        int32_t n_tok = 0;
        assert_int_equal(lfm2_vision_encode(r, patches, plan.inputs, plan.n_inputs, out, plan.n_tok, &n_tok), 0);
        assert_int_equal(n_tok, plan.n_tok);
        free(rgb);
        free(patches);
        free(out);
    }
    lfm2_vision_run_destroy(r);
    lfm2_vision_unload(v);
}

/* Three inputs of different shapes: together, in groups, one by one, with 1 and 3 threads: the same bits. */
static void batches_and_threads(void **state)
{
    (void)state;
    static const lfm2_vision_grid grids[3] = {{4, 6}, {2, 2}, {8, 2}};
    enum { N_PATCHES = 24 + 4 + 16, N_TOK = N_PATCHES / 4, D = 128 };
    static float patches[N_PATCHES * 768], first[N_TOK * D], out[N_TOK * D];
    for (size_t i = 0; i < LFM2__COUNT_OF(patches); i++) patches[i] = sinf((float)i * 0.37f);
    static const int32_t caps[] = {1024, N_PATCHES, 28, 24};
    for (int32_t threads = 1; threads <= 3; threads += 2) {
        lfm2_runtime *own = test_runtime(threads, NULL, NULL);
        lfm2_vision *v = NULL;
        assert_int_equal(lfm2_vision_load(own, GOLDEN "/mmproj-bf16.gguf", &v), 0);
        assert_int_equal(lfm2_vision_get_config(v)->d_model, D);
        for (size_t i = 0; i < LFM2__COUNT_OF(caps); i++) {
            lfm2_vision_run *r = NULL;
            int32_t n_tok = 0;
            assert_int_equal(lfm2_vision_run_create(v, caps[i], &r), 0);
            memset(out, 0, sizeof out);
            assert_int_equal(lfm2_vision_encode(r, patches, grids, 3, out, N_TOK, &n_tok), 0);
            assert_int_equal(n_tok, N_TOK);
            if (threads == 1 && i == 0) memcpy(first, out, sizeof out);
            assert_memory_equal(out, first, sizeof out);
            assert_int_equal(lfm2_vision_encode(r, patches + 24 * 768, &grids[1], 1, out, 1, NULL), 0);
            assert_memory_equal(out, first + 6 * D, D * sizeof *out);
            lfm2_vision_run_destroy(r);
        }
        lfm2_vision_unload(v);
        lfm2_runtime_destroy(own);
    }
}

static void encode_refuses_bad_arguments(void **state)
{
    (void)state;
    static float patches[16 * 768], out[4 * 128];
    lfm2_vision *v = NULL;
    lfm2_vision_run *r = NULL;
    int32_t n_tok = -7;
    const lfm2_vision_grid good = {4, 4};
    assert_int_equal(lfm2_vision_load(rt, GOLDEN, &v), 0);
    assert_int_equal(lfm2_vision_run_create(NULL, 16, &r), LFM2_ERR_ARG);
    assert_int_equal(lfm2_vision_run_create(v, 16, NULL), LFM2_ERR_ARG);
    static const int32_t caps[] = {0, -1, INT32_MAX, 65537};
    for (size_t i = 0; i < LFM2__COUNT_OF(caps); i++) {
        assert_int_equal(lfm2_vision_run_create(v, caps[i], &r), LFM2_ERR_ARG);
        assert_int_equal(lfm2_vision_run_bytes(v, caps[i]), 0);
    }
    assert_null(r);
    assert_true(lfm2_vision_run_bytes(v, 16) > 16 * 96 * sizeof(float));
    assert_int_equal(lfm2_vision_run_create(v, 16, &r), 0);
    assert_int_equal(lfm2_vision_encode(NULL, patches, &good, 1, out, 4, &n_tok), LFM2_ERR_ARG);
    assert_int_equal(lfm2_vision_encode(r, NULL, &good, 1, out, 4, &n_tok), LFM2_ERR_ARG);
    assert_int_equal(lfm2_vision_encode(r, patches, NULL, 1, out, 4, &n_tok), LFM2_ERR_ARG);
    assert_int_equal(lfm2_vision_encode(r, patches, &good, 0, out, 4, &n_tok), LFM2_ERR_ARG);
    assert_int_equal(lfm2_vision_encode(r, patches, &good, 1, NULL, 4, &n_tok), LFM2_ERR_ARG);
    assert_int_equal(lfm2_vision_encode(r, patches, &good, 1, out, 3, &n_tok), LFM2_ERR_RANGE);
    static const lfm2_vision_grid odd[] = {{0, 4}, {4, 0}, {-2, -2}, {3, 4}, {4, 5}, {INT32_MIN, 2}};
    for (size_t i = 0; i < LFM2__COUNT_OF(odd); i++)
        assert_int_equal(lfm2_vision_encode(r, patches, &odd[i], 1, out, 4, &n_tok), LFM2_ERR_ARG);
    static const lfm2_vision_grid big[] = {{4, 6}, {65536, 65536}, {INT32_MAX - 1, INT32_MAX - 1}};
    for (size_t i = 0; i < LFM2__COUNT_OF(big); i++)
        assert_int_equal(lfm2_vision_encode(r, patches, &big[i], 1, out, INT32_MAX, &n_tok), LFM2_ERR_RANGE);
    lfm2_runtime_abort(rt);
    assert_int_equal(lfm2_vision_encode(r, patches, &good, 1, out, 4, &n_tok), LFM2_ERR_ABORTED);
    lfm2_runtime_clear_abort(rt);
    patches[700] = NAN;
    assert_int_equal(lfm2_vision_encode(r, patches, &good, 1, out, 4, &n_tok), LFM2_ERR_NONFINITE);
    assert_int_equal(n_tok, -7);
    patches[700] = 0;
    assert_int_equal(lfm2_vision_encode(r, patches, &good, 1, out, 4, &n_tok), 0); /* the run is unharmed */
    assert_int_equal(n_tok, 4);
    lfm2_vision_run_destroy(r);
    lfm2_vision_unload(v);
}

static void loading_survives_failing_allocations(void **state)
{
    (void)state;
    test_heap heap = {0};
    long k = 0;
    lfm2_runtime *own = test_runtime(1, &heap, NULL);
    while (test_fail_next(&heap, &k)) {
        lfm2_vision *v = NULL;
        lfm2_vision_run *r = NULL;
        int rc = lfm2_vision_load(own, GOLDEN "/mmproj-bf16.gguf", &v);
        if (rc == 0) rc = lfm2_vision_run_create(v, 64, &r);
        assert_int_equal(rc, test_has_failed(&heap) ? LFM2_ERR_NOMEM : 0);
        lfm2_vision_run_destroy(r);
        lfm2_vision_unload(v);
    }
    assert_true(k > 10);
    lfm2_runtime_destroy(own);
}

static int setup(void **state)
{
    (void)state;
    rt = test_runtime(2, NULL, &lines);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lfm2_runtime_destroy(rt);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_defaults_and_hostile_values), cmocka_unit_test(params_defaults_and_hostile_values),
        cmocka_unit_test(what_is_no_image_encoder),           cmocka_unit_test(batches_and_threads),
        cmocka_unit_test(params_of_a_gguf_file), cmocka_unit_test(plain_pictures),
        cmocka_unit_test(encode_refuses_bad_arguments),       cmocka_unit_test(loading_survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
