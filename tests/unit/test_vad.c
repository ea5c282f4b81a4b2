/* SPDX-License-Identifier: Apache-2.0
 * Voice activity: silence, noise, tones and music open nothing, speech is found where it is, borders against generated truth, cuts,
 * pieces of any size, hostile samples, no memory. */
#include "base_testing.h"

#include <math.h>
#include <stdio.h>

#include "lfm2/vad.h"
#include "oracle/audio_testing.h"

#define RATE 16000
#define SECONDS 12
#define N (SECONDS * RATE)
#define TURN 6.283185307179586

/* ---- sounds ---- */

static double noise(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (double)(*state >> 8) / 8388608.0 - 1.0;
}

static void white(float *x, uint32_t seed, double level)
{
    for (int i = 0; i < N; i++) x[i] = (float)(level * noise(&seed));
}

/* A sum of first-order low-passes falls by 3 dB an octave. */
static void pink(float *x, uint32_t seed, double level)
{
    double a = 0, b = 0, c = 0;
    for (int i = 0; i < N; i++) {
        const double w = noise(&seed);
        a = 0.99765 * a + w * 0.0990460;
        b = 0.96300 * b + w * 0.2965164;
        c = 0.57000 * c + w * 1.0526913;
        x[i] = (float)(level * 0.3 * (a + b + c + w * 0.1848));
    }
}

static void brown(float *x, uint32_t seed, double level)
{
    double a = 0;
    for (int i = 0; i < N; i++) {
        a = 0.995 * a + 0.1 * noise(&seed);
        x[i] = (float)(level * a);
    }
}

static double hz_of(int key)
{
    return 440.0 * pow(2.0, (key - 69) / 12.0);
}

/* A note with harmonics that fall by `dull` each and die away after `decay` seconds; vibrato in semitones. */
static void note(float *x, double from, double to, double hz, double level, double dull, double decay, double vibrato)
{
    double phase = 0;
    const int first = (int)(from * RATE), end = to * RATE < N ? (int)(to * RATE) : N;
    for (int i = first; i < end; i++) {
        const double t = (double)(i - first) / RATE, left = (double)(end - i) / RATE;
        double sum = 0, amplitude = 1;
        phase += TURN * hz * pow(2.0, vibrato / 12.0 * sin(TURN * 5.5 * t)) / RATE;
        for (int k = 1; k < 16 && k * hz < 7500; k++, amplitude *= dull) sum += amplitude * sin(k * phase);
        x[i] += (float)(level * sum * exp(-t / decay) * fmin(1, t / 0.01) * fmin(1, left / 0.03));
    }
}

static void chords(float *x)
{
    static const int roots[] = {48, 53, 55, 45};
    for (int i = 0; i < SECONDS / 2 + 1; i++) {
        for (int k = 0; k < 3; k++) note(x, i * 2, i * 2 + 2, hz_of(roots[i % 4] + (k == 0 ? 0 : k == 1 ? 4 : 7)), 0.1, 0.6, 3, 0);
    }
}

static void arpeggio(float *x)
{
    static const int steps[] = {0, 4, 7, 12, 7, 4};
    for (int i = 0; i * 0.22 < SECONDS; i++) note(x, i * 0.22, i * 0.22 + 0.4, hz_of(52 + steps[i % 6]), 0.2, 0.5, 0.3, 0);
}

static void melody(float *x, double vibrato)
{
    static const int keys[] = {60, 64, 62, 67, 65, 64, 60, 59, 62};
    for (int i = 0; i * 0.6 < SECONDS; i++) note(x, i * 0.6, i * 0.6 + 0.5, hz_of(keys[i % 9]), 0.25, 0.7, 2, vibrato);
}

static void drums(float *x)
{
    uint32_t seed = 5;
    for (int i = 0; i < N; i++) {
        const double t = fmod((double)i / RATE, 1.0), h = fmod(t, 0.25), s = t < 0.5 ? 9 : t - 0.5;
        x[i] += (float)(0.5 * sin(TURN * 55 * t) * exp(-t / 0.12) + noise(&seed) * (0.15 * exp(-h / 0.03) + 0.4 * exp(-s / 0.08)));
    }
}

/* Two tones, on for `on` of every `period` seconds. */
static void tones(float *x, double a_hz, double b_hz, double on, double period)
{
    for (int i = 0; i < N; i++) {
        const double t = (double)i / RATE;
        if (fmod(t, period) < on) x[i] = (float)(0.25 * (sin(TURN * a_hz * t) + sin(TURN * b_hz * t)));
    }
}

static void dial(float *x)
{
    static const double rows[] = {697, 770, 852, 941}, columns[] = {1209, 1336, 1477, 1633};
    for (int i = 0; i < N; i++) {
        const double t = (double)i / RATE;
        const int key = (int)(t / 0.2) * 7 % 16;
        if (fmod(t, 0.2) < 0.1) x[i] = (float)(0.25 * (sin(TURN * rows[key / 4] * t) + sin(TURN * columns[key % 4] * t)));
    }
}

static void hum(float *x)
{
    for (int i = 0; i < N; i++) {
        for (int k = 1; k < 12; k++) x[i] += (float)(0.2 / k * sin(TURN * 50 * k * i / RATE + k));
    }
}

/* ---- running it ---- */

static lfm2_runtime *rt;

static int setup(void **state)
{
    (void)state;
    rt = test_runtime(1, NULL, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lfm2_runtime_destroy(rt);
    return 0;
}

typedef struct found {
    lfm2_vad_span spans[256];
    int n;
} found;

static void run(const lfm2_vad_params *p, const float *x, int64_t n, int64_t chunk, found *f)
{
    lfm2_vad *v = NULL;
    int64_t taken = 0, settled = 0;
    int rc;
    f->n = 0;
    assert_int_equal(lfm2_vad_create(rt, p, &v), 0);
    for (int64_t i = 0, over = 0; !over;) {
        const int64_t left = n - i;
        over = left == 0;
        assert_int_equal(lfm2_vad_push(v, over ? NULL : x + i, left < chunk ? left : chunk, &taken), 0);
        assert_true(taken >= 0 && taken <= chunk);
        i += taken;
        while ((rc = lfm2_vad_pull(v, &f->spans[f->n])) == 0) {
            const lfm2_vad_span *s = &f->spans[f->n++];
            assert_true(s->start_sample >= settled); /* what was let go stays away */
            assert_true(s->start_sample <= s->speech_start && s->speech_start < s->speech_end && s->speech_end <= s->end_sample);
            assert_true(s->end_sample <= i);
            assert_true(f->n == 1 || s->start_sample >= f->spans[f->n - 2].end_sample);
            assert_true(f->n < 256);
        }
        assert_int_equal(rc, over ? LFM2_EOF : LFM2_AGAIN);
        assert_true(lfm2_vad_n_settled(v) >= settled);
        settled = lfm2_vad_n_settled(v);
    }
    assert_int_equal(lfm2_vad_push(v, x, 1, &taken), LFM2_ERR_STATE);
    lfm2_vad_destroy(v);
}

static void expect_nothing(const char *what, const float *x)
{
    found f;
    run(NULL, x, N, N, &f);
    if (f.n > 0) print_message("%s: speech at %.2f s\n", what, (double)f.spans[0].speech_start / RATE);
    assert_int_equal(f.n, 0);
}

static void noise_is_no_speech(void **state)
{
    (void)state;
    float *x = test_calloc(N, sizeof *x);
    expect_nothing("silence", x);
    white(x, 1, 0.3);
    expect_nothing("white", x);
    white(x, 2, 0.01);
    expect_nothing("quiet white", x);
    pink(x, 3, 0.3);
    expect_nothing("pink", x);
    brown(x, 4, 0.3);
    expect_nothing("brown", x);
    test_free(x);
}

static void tones_are_no_speech(void **state)
{
    (void)state;
    static const double pairs[][4] = {{350, 440, 1, 1}, {440, 480, 2, 6}, {425, 425, 0.5, 1}, {480, 620, 0.5, 1},
                                      {1000, 1000, 1, 1}};
    float *x = test_calloc(N, sizeof *x);
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        memset(x, 0, N * sizeof *x);
        tones(x, pairs[i][0], pairs[i][1], pairs[i][2], pairs[i][3]);
        expect_nothing("tones", x);
    }
    for (int i = 0; i < 3; i++) { /* sirens */
        double phase = 0;
        for (int k = 0; k < N; k++) {
            phase += TURN * (600 + 300 * sin(TURN * (0.4 + 2.5 * i) * k / RATE)) / RATE;
            x[k] = (float)(0.3 * sin(phase));
        }
        expect_nothing("siren", x);
    }
    memset(x, 0, N * sizeof *x);
    dial(x);
    expect_nothing("DTMF", x);
    memset(x, 0, N * sizeof *x);
    hum(x);
    expect_nothing("hum", x);
    test_free(x);
}

static void music_is_no_speech(void **state)
{
    (void)state;
    float *x = test_calloc(N, sizeof *x);
    chords(x);
    expect_nothing("chords", x);
    drums(x);
    expect_nothing("chords and drums", x);
    melody(x, 0.3);
    expect_nothing("chords, drums, melody", x);
    memset(x, 0, N * sizeof *x);
    arpeggio(x);
    expect_nothing("arpeggio", x);
    memset(x, 0, N * sizeof *x);
    melody(x, 0);
    expect_nothing("melody", x);
    memset(x, 0, N * sizeof *x);
    melody(x, 0.4);
    expect_nothing("vibrato", x);
    memset(x, 0, N * sizeof *x);
    drums(x);
    expect_nothing("drums", x);
    test_free(x);
}

/* ---- speech ---- */

static float *speech(const char *name, int64_t *n)
{
    char path[512];
    snprintf(path, sizeof path, "%s/oracle/golden/audio/%s", LFM2_TEST_DIR, name);
    float *x = read_wav(path, n);
    assert_non_null(x);
    return x;
}

static int covered(const found *f, double from_s, double to_s)
{
    for (int i = 0; i < f->n; i++) {
        const double from = (double)f->spans[i].start_sample / RATE, to = (double)f->spans[i].end_sample / RATE;
        if (from <= from_s && to >= to_s) return 1;
    }
    return 0;
}

static void real_speech_is_found(void **state)
{
    (void)state;
    static const double sentences[][2] = {{0.4, 2.2}, {3.4, 4.4}, {5.5, 7.5}, {8.3, 10.4}};
    found f;
    int64_t n = 0;
    float *x = speech("jfk.wav", &n);
    run(NULL, x, n, n, &f);
    for (int i = 0; i < 4; i++) assert_true(covered(&f, sentences[i][0], sentences[i][1]));
    free(x);
    x = speech("8s_do_you_live_here.wav", &n);
    run(NULL, x, n, n, &f);
    assert_true(covered(&f, 4.1, 5.3));
    free(x);
}

static int16_t of_mulaw(unsigned char byte)
{
    const int u = ~byte & 0xff, magnitude = (((u & 15) << 3) + 132) << (u >> 4 & 7);
    return (int16_t)(u & 128 ? 132 - magnitude : magnitude - 132);
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sentences of five synthetic voices with pauses between them, 8 kHz G.711: the file and what was where are written by
 * make_vad_speech.py. */
static void borders_are_near_the_truth(void **state)
{
    (void)state;
    const char *base = LFM2_TEST_DIR "/unit/fixtures/vad/telephone";
    char path[512];
    static unsigned char bytes[400000];
    double errors[200];
    int n_errors = 0;
    long from = 0, to = 0;
    found f;

    snprintf(path, sizeof path, "%s.ulaw", base);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    const size_t n = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    float *x = test_calloc(2 * n, sizeof *x);
    for (size_t i = 0; i < n; i++) { /* twice the rate: linear is enough */
        const float a = (float)of_mulaw(bytes[i]) / 32768.0f, b = i + 1 < n ? (float)of_mulaw(bytes[i + 1]) / 32768.0f : a;
        x[2 * i] = a;
        x[2 * i + 1] = (a + b) / 2;
    }
    run(NULL, x, 2 * (int64_t)n, 4000, &f);
    snprintf(path, sizeof path, "%s.txt", base);
    file = fopen(path, "r");
    assert_non_null(file);
    while (fscanf(file, "%ld %ld", &from, &to) == 2) { /* in samples at 8 kHz */
        double start = 9, end = 9;
        for (int i = 0; i < f.n; i++) {
            start = fmin(start, fabs((double)f.spans[i].speech_start / RATE - (double)from / 8000));
            end = fmin(end, fabs((double)f.spans[i].speech_end / RATE - (double)to / 8000));
        }
        assert_true(n_errors + 2 <= 200);
        errors[n_errors++] = start;
        errors[n_errors++] = end;
    }
    fclose(file);
    assert_true(n_errors >= 20);
    qsort(errors, (size_t)n_errors, sizeof errors[0], by_size);
    print_message("borders: p50 %.0f ms, p95 %.0f ms, most %.0f ms\n", errors[n_errors / 2] * 1e3,
                  errors[n_errors * 95 / 100] * 1e3, errors[n_errors - 1] * 1e3);
    assert_true(errors[n_errors * 95 / 100] <= 0.15);
    test_free(x);
}

static void pieces_of_any_size(void **state)
{
    (void)state;
    static const int64_t chunks[] = {160, 592, 2560, 16000, 160000};
    found want, got;
    int64_t n = 0;
    float *x = speech("jfk.wav", &n);
    run(NULL, x, n, n, &want);
    assert_true(want.n >= 3);
    for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
        run(NULL, x, n, chunks[i], &got);
        assert_int_equal(got.n, want.n);
        assert_memory_equal(got.spans, want.spans, (size_t)want.n * sizeof want.spans[0]);
    }
    run(NULL, x, 40001, 1, &got);
    run(NULL, x, 40001, 40001, &want);
    assert_int_equal(got.n, want.n);
    assert_memory_equal(got.spans, want.spans, (size_t)want.n * sizeof want.spans[0]);
    free(x);
}

/* Speech without pauses is cut, without a gap and near where it is quietest. */
static void long_speech_is_cut(void **state)
{
    (void)state;
    lfm2_vad_params p = lfm2_vad_params_default();
    found f;
    int64_t n = 0;
    int n_cuts = 0;
    float *x = speech("jfk.wav", &n);
    p.min_silence_us = 2000000;
    p.max_segment_us = 4000000;
    run(&p, x, n, n, &f);
    assert_true(f.n >= 3);
    for (int i = 0; i < f.n; i++) {
        assert_true(f.spans[i].end_sample - f.spans[i].start_sample <= 4 * RATE + 320);
        if (!f.spans[i].cut_behind) continue;
        n_cuts++;
        assert_true(i + 1 < f.n && f.spans[i + 1].cut_before);
        assert_int_equal(f.spans[i].end_sample, f.spans[i + 1].start_sample);
        double power = 0, all = 0;
        for (int64_t k = 0; k < 800; k++) power += pow((double)x[f.spans[i].end_sample - 400 + k], 2) / 800;
        for (int64_t k = 0; k < n; k++) all += pow((double)x[k], 2) / (double)n;
        assert_true(power < all / 10);
    }
    assert_true(n_cuts >= 1);
    free(x);
}

static void open_while_somebody_speaks(void **state)
{
    (void)state;
    lfm2_vad *v = NULL;
    lfm2_vad_span s;
    int64_t n = 0, taken = 0, since = -1, told = -1;
    int n_kept = 0;
    float *x = speech("jfk.wav", &n);
    assert_int_equal(lfm2_vad_create(rt, NULL, &v), 0);
    assert_false(lfm2_vad_is_open(v, &since));
    for (int64_t i = 0; i < n; i += taken) {
        assert_int_equal(lfm2_vad_push(v, x + i, n - i < 1600 ? n - i : 1600, &taken), 0);
        while (lfm2_vad_pull(v, &s) == 0) {
            n_kept += told == s.speech_start; /* what was said of it while it was open holds */
            assert_true(told == s.speech_start || told < 0);
            told = -1;
        }
        if (lfm2_vad_is_open(v, &since)) told = since;
    }
    assert_true(n_kept >= 2);
    lfm2_vad_reset(v);
    assert_false(lfm2_vad_is_open(v, NULL));
    assert_int_equal(lfm2_vad_n_settled(v), 0);
    lfm2_vad_destroy(v);
    free(x);
}

static void hostile_samples(void **state)
{
    (void)state;
    static const float values[] = {1e6f, -1e6f, 1e-40f, 0, 1, -1, 1e-20f};
    float *x = test_calloc(N, sizeof *x);
    uint32_t seed = 9;
    found f;
    for (int i = 0; i < N; i++) x[i] = values[(int)(3.5 * (noise(&seed) + 1)) % 7];
    run(NULL, x, N, 1000, &f);
    for (int i = 0; i < N; i++) x[i] = 1;
    expect_nothing("direct current", x);
    for (int i = 0; i < N; i++) x[i] = i % 8000 == 0 ? 1.0f : 0.0f;
    expect_nothing("clicks", x);
    test_free(x);
}

static void limits(void **state)
{
    (void)state;
    lfm2_vad *v = NULL;
    int64_t taken = 0;
    const float x = 0;
#define REFUSED(field, value)                                         \
    do {                                                              \
        lfm2_vad_params p = lfm2_vad_params_default();                \
        p.field = (value);                                            \
        assert_int_equal(lfm2_vad_create(rt, &p, &v), LFM2_ERR_ARG);  \
    } while (0)
    REFUSED(threshold, -0.01);
    REFUSED(threshold, 1.01);
    REFUSED(threshold, NAN);
    REFUSED(min_level_db, -121);
    REFUSED(min_level_db, 0.5);
    REFUSED(min_speech_us, -1);
    REFUSED(min_speech_us, 5000001);
    REFUSED(min_silence_us, 99999);
    REFUSED(min_silence_us, 10000001);
    REFUSED(max_segment_us, 999999);
    REFUSED(max_segment_us, 60000001);
    REFUSED(pad_us, -1);
    REFUSED(pad_us, 1000001);
#undef REFUSED
    lfm2_vad_params p = lfm2_vad_params_default();
    p.max_segment_us = 1000000;
    p.pad_us = 250001;
    assert_int_equal(lfm2_vad_create(rt, &p, &v), LFM2_ERR_ARG);
    assert_int_equal(lfm2_vad_create(NULL, &p, &v), LFM2_ERR_ARG);
    assert_int_equal(lfm2_vad_create(rt, &p, NULL), LFM2_ERR_ARG);
    assert_null(v);
    assert_int_equal(lfm2_vad_create(rt, NULL, &v), 0);
    assert_int_equal(lfm2_vad_push(v, &x, -1, &taken), LFM2_ERR_ARG);
    assert_int_equal(lfm2_vad_push(v, &x, 1, NULL), LFM2_ERR_ARG);
    assert_int_equal(lfm2_vad_push(NULL, &x, 1, &taken), LFM2_ERR_ARG);
    assert_int_equal(lfm2_vad_pull(v, NULL), LFM2_ERR_ARG);
    lfm2_vad_destroy(v);
    lfm2_vad_destroy(NULL);
}

static void no_memory(void **state)
{
    (void)state;
    test_heap heap = {0};
    lfm2_runtime *poor = test_runtime(1, &heap, NULL);
    long k = 0;
    float *x = test_calloc(N, sizeof *x);
    while (test_fail_next(&heap, &k)) {
        lfm2_vad *v = NULL;
        const int rc = lfm2_vad_create(poor, NULL, &v);
        assert_int_equal(rc, test_has_failed(&heap) ? LFM2_ERR_NOMEM : 0);
        if (rc == 0) { /* nothing behind create asks for any */
            const long n_calls = heap.n_calls;
            int64_t taken = 0;
            white(x, 3, 0.1);
            assert_int_equal(lfm2_vad_push(v, x, N, &taken), 0);
            assert_int_equal(heap.n_calls, n_calls);
        }
        lfm2_vad_destroy(v);
    }
    test_free(x);
    lfm2_runtime_destroy(poor);
    assert_int_equal(heap.n_live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(noise_is_no_speech),
        cmocka_unit_test(tones_are_no_speech),
        cmocka_unit_test(music_is_no_speech),
        cmocka_unit_test(real_speech_is_found),
        cmocka_unit_test(borders_are_near_the_truth),
        cmocka_unit_test(pieces_of_any_size),
        cmocka_unit_test(long_speech_is_cut),
        cmocka_unit_test(open_while_somebody_speaks),
        cmocka_unit_test(hostile_samples),
        cmocka_unit_test(limits),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
