/* SPDX-License-Identifier: Apache-2.0
 * The log-mel front end: known values, the transform against its definition, every way to cut a sound, what is refused. */
#include "base_testing.h"

#include <math.h>

#include "encoders/fft.h"
#include "lfm2/audio_encoder.h"

enum { N_MELS = 128 };

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static float *noise(int64_t n, uint32_t seed)
{
    float *x = test_malloc((size_t)n * sizeof(float));
    for (int64_t i = 0; i < n; i++) x[i] = (float)next_random(&seed) / 8388608.0f - 1.0f;
    return x;
}

static void test_power_is_the_transform(void **state)
{
    (void)state;
    lfm2__fft f;
    double x[LFM2__FFT_SAMPLES], power[LFM2__FFT_BINS];
    uint32_t seed = 7;
    lfm2__fft_init(&f);
    for (int i = 0; i < LFM2__FFT_SAMPLES; i++) x[i] = (double)next_random(&seed) / 8388608.0 - 1.0;
    lfm2__fft_power(&f, x, power);
    for (int k = 0; k < LFM2__FFT_BINS; k++) {
        double re = 0, im = 0;
        for (int n = 0; n < LFM2__FFT_SAMPLES; n++) {
            const double angle = 2.0 * acos(-1.0) * (double)(k * n % LFM2__FFT_SAMPLES) / LFM2__FFT_SAMPLES;
            re += x[n] * cos(angle);
            im -= x[n] * sin(angle);
        }
        assert_true(fabs(power[k] - (re * re + im * im)) < 1e-9);
    }
}

/* What an independent computation of the same formulas in double precision gives for this sound. */
static void test_known_values(void **state)
{
    watched *w = *state;
    enum { N = 16077, T = 101 };
    const double turn = 2.0 * acos(-1.0);
    float *x = test_malloc(N * sizeof(float)), *mel = test_malloc(T * N_MELS * sizeof(float));
    lfm2_mel *m = NULL;
    int32_t n = 0;
    for (int i = 0; i < N; i++) x[i] = (float)(0.3 * sin(turn * 440 * i / 16000) + 0.1 * sin(turn * 3000 * i / 16000));
    assert_int_equal(lfm2_mel_n_frames(N), T);
    assert_int_equal(lfm2_mel_create(w->rt, N_MELS, &m), 0);
    assert_int_equal(lfm2_mel_compute(m, x, N, mel, T, &n), 0);
    assert_int_equal(n, T);
    assert_true(fabs((double)mel[0] - 8.869659) < 1e-4);
    assert_true(fabs((double)mel[N_MELS] - 2.582654) < 1e-4);
    assert_true(fabs((double)mel[2 * N_MELS] - 0.345372) < 1e-4);
    assert_true(fabs((double)mel[50 * N_MELS + 60] + 0.126863) < 1e-4);
    for (int i = 0; i < N_MELS; i++) assert_true(mel[(T - 1) * N_MELS + i] == 0);
    lfm2_mel_destroy(m);
    test_free(x);
    test_free(mel);
}

/* Push in pieces of `piece`, each time with just the room that is needed. */
static void run_in_pieces(lfm2_mel *m, const float *x, int64_t n_samples, int64_t piece, float *mel)
{
    int32_t n_done = 0, n = -1;
    const int32_t all = lfm2_mel_n_frames(n_samples);
    for (int64_t i = 0; i < n_samples; i += piece) {
        const int64_t take = n_samples - i < piece ? n_samples - i : piece;
        const int32_t ready = lfm2_mel_n_ready(m, take);
        assert_int_equal(lfm2_mel_push(m, x + i, take, mel + (size_t)n_done * N_MELS, ready, &n), 0);
        assert_int_equal(n, ready);
        n_done += n;
    }
    assert_in_range(all - n_done, 1, 2);
    assert_int_equal(lfm2_mel_finish(m, mel + (size_t)n_done * N_MELS, all - n_done, &n), 0);
    assert_int_equal(n_done + n, all);
    assert_int_equal(lfm2_mel_normalize(mel, all, N_MELS), 0);
}

static void test_pieces_give_the_same_bits(void **state)
{
    watched *w = *state;
    static const int64_t lengths[] = { 320, 321, 479, 480, 511, 512, 513, 16000, 40007 };
    static const int64_t pieces[] = { 1, 2, 7, 159, 160, 161, 255, 256, 257, 400, 512, 1600, 16000, 40007 };
    lfm2_mel *m = NULL;
    assert_int_equal(lfm2_mel_create(w->rt, N_MELS, &m), 0);
    float *x = noise(40007, 3);
    const size_t cap = (size_t)lfm2_mel_n_frames(40007) * N_MELS;
    float *want = test_malloc(cap * sizeof(float)), *got = test_malloc(cap * sizeof(float));
    const long n_calls = w->heap.n_calls;
    for (size_t i = 0; i < LFM2__COUNT_OF(lengths); i++) {
        int32_t n = 0;
        const int32_t all = lfm2_mel_n_frames(lengths[i]);
        assert_int_equal(lfm2_mel_compute(m, x, lengths[i], want, all, &n), 0);
        for (size_t j = 0; j < LFM2__COUNT_OF(pieces); j++) {
            memset(got, 0xff, cap * sizeof(float));
            run_in_pieces(m, x, lengths[i], pieces[j], got);
            assert_memory_equal(got, want, (size_t)all * N_MELS * sizeof(float));
        }
    }
    assert_int_equal(w->heap.n_calls, n_calls); /* nothing was allocated */
    lfm2_mel_destroy(m);
    test_free(x);
    test_free(want);
    test_free(got);
}

static void test_normalised(void **state)
{
    watched *w = *state;
    lfm2_mel *m = NULL;
    float *x = noise(16000, 9), mel[101 * 20];
    int32_t n = 0;
    assert_int_equal(lfm2_mel_create(w->rt, 20, &m), 0);
    assert_int_equal(lfm2_mel_compute(m, x, 16000, mel, 101, &n), 0);
    for (int i = 0; i < 20; i++) {
        double sum = 0, squares = 0;
        for (int t = 0; t < 100; t++) {
            sum += (double)mel[t * 20 + i];
            squares += (double)mel[t * 20 + i] * (double)mel[t * 20 + i];
        }
        assert_true(fabs(sum / 100) < 1e-5);
        assert_true(fabs(squares / 99 - 1) < 1e-3);
        assert_true(mel[100 * 20 + i] == 0);
    }
    lfm2_mel_destroy(m);
    test_free(x);
}

/* Silence: every frame is alike, and nothing is divided by zero. Loud: as far as samples may go. */
static void test_silence_and_noise_without_end(void **state)
{
    watched *w = *state;
    static float x[1600], mel[11 * N_MELS];
    lfm2_mel *m = NULL;
    int32_t n = 0;
    assert_int_equal(lfm2_mel_create(w->rt, N_MELS, &m), 0);
    assert_int_equal(lfm2_mel_compute(m, x, 1600, mel, 11, &n), 0);
    for (size_t i = 0; i < LFM2__COUNT_OF(mel); i++) assert_true(mel[i] == 0);
    for (int i = 0; i < 1600; i++) x[i] = i % 3 == 0 ? 1e30f : -1e30f;
    assert_int_equal(lfm2_mel_compute(m, x, 1600, mel, 11, &n), 0);
    for (size_t i = 0; i < LFM2__COUNT_OF(mel); i++) assert_true(isfinite(mel[i]));
    lfm2_mel_destroy(m);
}

static void test_counts(void **state)
{
    (void)state;
    assert_int_equal(lfm2_mel_n_frames(-1), 0);
    assert_int_equal(lfm2_mel_n_frames(319), 0);
    assert_int_equal(lfm2_mel_n_frames(320), 3);
    assert_int_equal(lfm2_mel_n_frames(16000), 101);
    assert_int_equal(lfm2_mel_n_frames((int64_t)LFM2_MEL_MAX_FRAMES * 160 - 1), LFM2_MEL_MAX_FRAMES);
    assert_int_equal(lfm2_mel_n_frames((int64_t)LFM2_MEL_MAX_FRAMES * 160), 0);
    assert_int_equal(lfm2_mel_n_frames(INT64_MAX), 0);
    assert_int_equal(lfm2_mel_n_ready(NULL, 1000), 0);
}

static void test_refused(void **state)
{
    watched *w = *state;
    static float x[1600], mel[11 * N_MELS];
    lfm2_mel *m = NULL;
    int32_t n = -5;
    assert_int_equal(lfm2_mel_create(NULL, N_MELS, &m), LFM2_ERR_ARG);
    assert_int_equal(lfm2_mel_create(w->rt, 0, &m), LFM2_ERR_ARG);
    assert_int_equal(lfm2_mel_create(w->rt, 257, &m), LFM2_ERR_ARG);
    assert_int_equal(lfm2_mel_create(w->rt, N_MELS, NULL), LFM2_ERR_ARG);
    assert_null(m);
    assert_int_equal(lfm2_mel_create(w->rt, N_MELS, &m), 0);
    assert_int_equal(lfm2_mel_compute(NULL, x, 1600, mel, 11, &n), LFM2_ERR_ARG);
    assert_int_equal(lfm2_mel_compute(m, NULL, 1600, mel, 11, &n), LFM2_ERR_ARG);
    assert_int_equal(lfm2_mel_compute(m, x, -1, mel, 11, &n), LFM2_ERR_ARG);
    assert_int_equal(lfm2_mel_compute(m, x, 1600, NULL, 11, &n), LFM2_ERR_ARG);
    assert_int_equal(lfm2_mel_compute(m, x, 1600, mel, 11, NULL), LFM2_ERR_ARG);
    assert_int_equal(lfm2_mel_compute(m, x, 1600, mel, 10, &n), LFM2_ERR_RANGE);
    assert_int_equal(lfm2_mel_compute(m, x, 319, mel, 11, &n), LFM2_ERR_RANGE);
    assert_int_equal(lfm2_mel_compute(m, x, INT64_MAX, mel, 11, &n), LFM2_ERR_RANGE);
    assert_int_equal(lfm2_mel_push(m, x, INT64_MAX, mel, 11, &n), LFM2_ERR_RANGE);
    assert_int_equal(lfm2_mel_push(m, x, 1600, mel, 8, &n), LFM2_ERR_RANGE);
    assert_int_equal(lfm2_mel_push(m, NULL, 1600, mel, 11, &n), LFM2_ERR_ARG);
    assert_int_equal(lfm2_mel_push(m, x, -1, mel, 11, &n), LFM2_ERR_ARG);
    assert_int_equal(lfm2_mel_push(m, x, 1600, NULL, 11, &n), LFM2_ERR_ARG);
    assert_int_equal(lfm2_mel_finish(m, mel, 11, &n), LFM2_ERR_RANGE); /* nothing was pushed */
    assert_int_equal(lfm2_mel_normalize(NULL, 11, N_MELS), LFM2_ERR_ARG);
    assert_int_equal(lfm2_mel_normalize(mel, 2, N_MELS), LFM2_ERR_ARG);
    assert_int_equal(lfm2_mel_normalize(mel, 11, 0), LFM2_ERR_ARG);
    static const float bad[] = { NAN, INFINITY, -INFINITY, 2e30f, -3e38f };
    for (size_t i = 0; i < LFM2__COUNT_OF(bad); i++) {
        x[1599] = bad[i];
        assert_int_equal(lfm2_mel_compute(m, x, 1600, mel, 11, &n), LFM2_ERR_NONFINITE);
        assert_int_equal(lfm2_mel_push(m, x, 1600, mel, 11, &n), LFM2_ERR_NONFINITE);
        assert_int_equal(lfm2_mel_n_ready(m, 1600), 9); /* as if nothing had come */
    }
    x[1599] = 0;
    lfm2_runtime_abort(w->rt);
    assert_int_equal(lfm2_mel_compute(m, x, 1600, mel, 11, &n), LFM2_ERR_ABORTED);
    lfm2_runtime_clear_abort(w->rt);
    assert_int_equal(n, -5);
    assert_int_equal(lfm2_mel_push(m, NULL, 0, NULL, 0, &n), 0);
    assert_int_equal(n, 0);
    assert_int_equal(lfm2_mel_compute(m, x, 1600, mel, 11, &n), 0);
    lfm2_mel_destroy(m);
    lfm2_mel_destroy(NULL);
    lfm2_mel_reset(NULL);
}

static void test_no_memory(void **state)
{
    watched *w = *state;
    for (long k = 0; test_fail_next(&w->heap, &k);) {
        lfm2_mel *m = NULL;
        int rc = lfm2_mel_create(w->rt, N_MELS, &m);
        assert_int_equal(rc, test_has_failed(&w->heap) ? LFM2_ERR_NOMEM : 0);
        assert_true((m == NULL) == (rc < 0));
        lfm2_mel_destroy(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power_is_the_transform),
        cmocka_unit_test_setup_teardown(test_known_values, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(test_pieces_give_the_same_bits, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(test_normalised, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(test_silence_and_noise_without_end, watch_setup, watch_teardown),
        cmocka_unit_test(test_counts),
        cmocka_unit_test_setup_teardown(test_refused, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(test_no_memory, watch_setup, watch_teardown),
    };
    return cmocka_run_group_tests_name("mel", tests, NULL, NULL);
}
