/* SPDX-License-Identifier: Apache-2.0
 * Encoders of a shape with random weights: they compute, the same seed gives the same, and what is refused. */
#include "base_testing.h"

#include <math.h>

#include "lfm2/audio_encoder.h"
#include "lfm2/encoders.h"

#define VL LFM2_TEST_DIR "/oracle/golden/vl/config.json"
#define AUDIO LFM2_TEST_DIR "/oracle/golden/audio/config.json"
#define TEXT LFM2_TEST_DIR "/oracle/golden/text/config.json"

enum { D = 96, N_PATCHES = 16, PATCH = 768, N_FRAMES = 20, N_MELS = 128, N_TOK = 4 };

static test_heap heap;
static test_log lines;
static lfm2_runtime *rt;

static int setup(void **state)
{
    (void)state;
    rt = test_runtime(2, &heap, &lines);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lfm2_runtime_destroy(rt);
    assert_int_equal(heap.n_live, 0);
    return 0;
}

static void see(lfm2_dtype t, uint64_t seed, float *out)
{
    const lfm2_vision_grid grid = {4, 4};
    static float patches[N_PATCHES * PATCH];
    lfm2_vision *v = NULL;
    lfm2_vision_run *run = NULL;

    for (int i = 0; i < N_PATCHES * PATCH; i++) patches[i] = (float)(i * 29 % 255) / 127.5f - 1;
    assert_int_equal(lfm2_vision_create_random(rt, VL, t, seed, D, &v), 0);
    assert_int_equal(lfm2_vision_get_config(v)->d_model, D);
    assert_int_equal(lfm2_vision_get_config(v)->d_projector, 160);
    assert_int_equal(lfm2_vision_run_create(v, N_PATCHES, &run), 0);
    assert_int_equal(lfm2_vision_encode(run, patches, &grid, 1, out, N_TOK, NULL), 0);
    lfm2_vision_run_destroy(run);
    lfm2_vision_unload(v);
}

static void hear(lfm2_dtype t, uint64_t seed, float *out)
{
    static float mel[N_FRAMES * N_MELS];
    const lfm2_audio_segment segment = {.mel = mel, .n_frames = N_FRAMES};
    lfm2_audio_encoder *enc = NULL;
    lfm2_audio_scratch *scratch = NULL;
    int32_t n_tok = 0;

    for (int i = 0; i < N_FRAMES * N_MELS; i++) mel[i] = (float)(i * 31 % 101) / 50 - 1;
    assert_int_equal(lfm2_audio_encoder_create_random(rt, AUDIO, t, seed, D, &enc), 0);
    assert_int_equal(lfm2_audio_encoder_config(enc)->d_out, D);
    assert_int_equal(lfm2_audio_scratch_create(enc, N_TOK, &scratch), 0);
    assert_int_equal(lfm2_audio_encode(enc, &segment, 1, scratch, out, N_TOK, &n_tok), 0);
    assert_int_equal(n_tok, 3);
    lfm2_audio_scratch_destroy(scratch);
    lfm2_audio_encoder_unload(enc);
}

static void the_same_seed_gives_the_same(void **state)
{
    static const lfm2_dtype types[] = {LFM2_DTYPE_F32, LFM2_DTYPE_F16, LFM2_DTYPE_BF16, LFM2_DTYPE_Q8_0};
    static void (*const compute[])(lfm2_dtype t, uint64_t seed, float *out) = {see, hear};
    float a[N_TOK * D], b[N_TOK * D], c[N_TOK * D];

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
            const size_t n = (k == 0 ? 4 : 3) * D;
            double sum = 0;

            compute[k](types[i], 7, a);
            compute[k](types[i], 7, b);
            compute[k](types[i], 8, c);
            assert_memory_equal(a, b, n * sizeof(float));
            assert_memory_not_equal(a, c, n * sizeof(float));
            for (size_t j = 0; j < n; j++) sum += (double)a[j] * (double)a[j];
            assert_true(sum > 1e-6 && sum < 1e6); /* neither dying out nor growing */
        }
    }
}

static void what_is_refused(void **state)
{
    lfm2_vision *v = NULL;
    lfm2_audio_encoder *enc = NULL;

    (void)state;
    assert_int_equal(lfm2_vision_create_random(NULL, VL, LFM2_DTYPE_F16, 1, D, &v), LFM2_ERR_ARG);
    assert_int_equal(lfm2_vision_create_random(rt, NULL, LFM2_DTYPE_F16, 1, D, &v), LFM2_ERR_ARG);
    assert_int_equal(lfm2_vision_create_random(rt, VL, LFM2_DTYPE_F16, 1, D, NULL), LFM2_ERR_ARG);
    assert_int_equal(lfm2_vision_create_random(rt, VL, LFM2_DTYPE_Q4_0, 1, D, &v), LFM2_ERR_ARG);
    assert_int_equal(lfm2_vision_create_random(rt, VL, LFM2_DTYPE_F16, 1, 0, &v), LFM2_ERR_ARG);
    assert_int_equal(lfm2_vision_create_random(rt, VL, LFM2_DTYPE_F16, 1, 65537, &v), LFM2_ERR_ARG);
    assert_int_equal(lfm2_vision_create_random(rt, TEXT, LFM2_DTYPE_F16, 1, D, &v), LFM2_ERR_UNSUPPORTED);
    assert_int_equal(lfm2_vision_create_random(rt, "/nonexistent", LFM2_DTYPE_F16, 1, D, &v), LFM2_ERR_IO);
    assert_int_equal(lfm2_audio_encoder_create_random(rt, AUDIO, LFM2_DTYPE_Q4_K, 1, D, &enc), LFM2_ERR_ARG);
    assert_true(lfm2_audio_encoder_create_random(rt, TEXT, LFM2_DTYPE_F16, 1, D, &enc) < 0);
    lfm2_runtime_abort(rt);
    assert_int_equal(lfm2_vision_create_random(rt, VL, LFM2_DTYPE_F16, 1, D, &v), LFM2_ERR_ABORTED);
    assert_int_equal(lfm2_audio_encoder_create_random(rt, AUDIO, LFM2_DTYPE_F16, 1, D, &enc), LFM2_ERR_ABORTED);
    lfm2_runtime_clear_abort(rt);
    assert_null(v);
    assert_null(enc);
}

static void memory_runs_out(void **state)
{
    int rc = 0;

    (void)state;
    for (long k = 0; test_fail_next(&heap, &k);) {
        lfm2_vision *v = NULL;
        rc = lfm2_vision_create_random(rt, VL, LFM2_DTYPE_F16, 1, D, &v);
        assert_true(rc == 0 ? v != NULL : rc == LFM2_ERR_NOMEM && v == NULL);
        lfm2_vision_unload(v);
    }
    assert_int_equal(rc, 0);
    for (long k = 0; test_fail_next(&heap, &k);) {
        lfm2_audio_encoder *enc = NULL;
        rc = lfm2_audio_encoder_create_random(rt, AUDIO, LFM2_DTYPE_F16, 1, D, &enc);
        assert_true(rc == 0 ? enc != NULL : rc == LFM2_ERR_NOMEM && enc == NULL);
        lfm2_audio_encoder_unload(enc);
    }
    assert_int_equal(rc, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_same_seed_gives_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_runs_out, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
