/* SPDX-License-Identifier: Apache-2.0
 * Two channels: one sound or two. Real speech, levels, delays, noise, crosstalk. */
#include "sound_testing.h"

#define RATE_HZ 16000
#define N 80000 /* 5 s */

typedef struct fixture {
    watched x;
    float *speech; /* [2 N]: two stretches that differ */
    float *a, *b;
    unsigned seed;
} fixture;

static int set_up(void **state)
{
    fixture *f = test_malloc(sizeof *f);
    lfm2_audio_params params = lfm2_audio_params_default();
    size_t n;
    sound s;
    watch_begin(&f->x);
    char *data = read_file(SPEECH, &n); /* 16 bit, mono, 16 kHz behind a header */
    params.pcm = LFM2_PCM_S16LE;
    params.pcm_rate_hz = RATE_HZ;
    params.pcm_channels = 1;
    assert_int_equal(sound_read_memory(f->x.rt, data + n - 4 * N, 4 * N, &params, &s), 0);
    assert_int_equal(s.n, 2 * N);
    f->speech = s.samples;
    f->a = malloc(N * sizeof(float));
    f->b = malloc(N * sizeof(float));
    f->seed = 1;
    free(data);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    free(f->speech);
    free(f->a);
    free(f->b);
    watch_end(&f->x);
    test_free(f);
    return 0;
}

static float noise(fixture *f, double level_db)
{
    f->seed = f->seed * 1664525u + 1013904223u;
    return (float)(pow(10, level_db / 20) * ((double)(f->seed >> 8) / (1 << 23) - 1) * sqrt(3));
}

/* The decision for the first n samples, pushed in pieces of n_piece. */
static int decide(fixture *f, int64_t n, int64_t n_piece)
{
    lfm2_dual_mono d;
    memset(&d, 0, sizeof d);
    for (int64_t at = 0; at < n; at += n_piece) {
        lfm2_dual_mono_push(&d, f->a + at, f->b + at, n - at < n_piece ? n - at : n_piece);
    }
    assert_int_equal(d.n_samples, n);
    assert_in_range(d.n_active, 0, n);
    return lfm2_dual_mono_decide(&d, RATE_HZ);
}

/* b: gain times a, `lag` samples later, with noise of its own in both. */
static int decide_copy(fixture *f, double gain, int lag, double noise_db)
{
    for (int i = 0; i < N; i++) {
        f->a[i] = f->speech[i + 20] + noise(f, noise_db);
        f->b[i] = (float)(gain * (double)f->speech[i + 20 - lag]) + noise(f, noise_db);
    }
    return decide(f, N, 1000);
}

static void copies(void **state)
{
    fixture *f = *state;
    assert_int_equal(decide_copy(f, 1, 0, -200), 1);
    assert_int_equal(decide_copy(f, 0.5, 0, -200), 1);
    assert_int_equal(decide_copy(f, 0.125, 0, -200), 1);
    assert_int_equal(decide_copy(f, 2, 0, -60), 1);
    assert_int_equal(decide_copy(f, -1, 0, -200), 1); /* upside down */
    for (int lag = -16; lag <= 16; lag += 4) assert_int_equal(decide_copy(f, 0.7, lag, -60), 1);
    assert_int_equal(decide_copy(f, 1, 0, -45), 1);   /* each line has its own hiss */
    assert_int_equal(decide_copy(f, 1, 0, -20), 0);   /* of which most is */
    assert_int_equal(decide_copy(f, 1, 20, -200), 0); /* further apart than is looked at */
}

static void one_silent(void **state)
{
    fixture *f = *state;
    assert_int_equal(decide_copy(f, 0, 0, -200), 1);
    assert_int_equal(decide_copy(f, 0, 0, -72), 1); /* but for its noise floor */
    for (int i = 0; i < N; i++) { /* the other one */
        f->a[i] = noise(f, -75);
        f->b[i] = f->speech[i];
    }
    assert_int_equal(decide(f, N, N), 1);
}

static void two_speakers(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < N; i++) { /* at once */
        f->a[i] = f->speech[i];
        f->b[i] = f->speech[N + i];
    }
    assert_int_equal(decide(f, N, 777), 0);
    for (int i = 0; i < N; i++) { /* by turns, each heard in the other's channel 26 dB softer */
        const int first = i / 8000 % 2 == 0;
        f->a[i] = f->speech[i] * (first ? 1 : 0.05f);
        f->b[i] = f->speech[i] * (first ? 0.05f : 1);
    }
    assert_int_equal(decide(f, N, 777), 0);
    assert_int_equal(decide_copy(f, 0.05, 0, -200), 0); /* only the first has spoken so far: crosstalk is no copy */
    for (int i = 0; i < N; i++) { /* hiss of two lines */
        f->a[i] = noise(f, -40);
        f->b[i] = noise(f, -40);
    }
    assert_int_equal(decide(f, N, 777), 0);
}

static void too_little(void **state)
{
    fixture *f = *state;
    lfm2_dual_mono d;
    memset(&d, 0, sizeof d);
    assert_int_equal(lfm2_dual_mono_decide(&d, RATE_HZ), -1);
    for (int i = 0; i < N; i++) { /* both quiet */
        f->a[i] = noise(f, -75);
        f->b[i] = noise(f, -75);
    }
    assert_int_equal(decide(f, N, 100), -1);
    for (int i = 0; i < N; i++) f->a[i] = f->b[i] = f->speech[i];
    assert_int_equal(decide(f, 8000, 100), -1);
    assert_int_equal(decide(f, N, 100), 1);
}

/* The same bits however it is cut. */
static void pieces(void **state)
{
    fixture *f = *state;
    (void)decide_copy(f, 0.7, 5, -50);
    static const int64_t sizes[] = {1, 7, 15, 16, 17, 1000, N};
    lfm2_dual_mono whole, cut;
    memset(&whole, 0, sizeof whole);
    lfm2_dual_mono_push(&whole, f->a, f->b, N);
    lfm2_dual_mono_push(&whole, f->a, f->b, 0);
    for (size_t i = 0; i < LFM2__COUNT_OF(sizes); i++) {
        memset(&cut, 0, sizeof cut);
        for (int64_t at = 0; at < N; at += sizes[i]) {
            lfm2_dual_mono_push(&cut, f->a + at, f->b + at, N - at < sizes[i] ? N - at : sizes[i]);
        }
        assert_memory_equal(&cut, &whole, sizeof whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(copies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_silent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_speakers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_little, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pieces, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
