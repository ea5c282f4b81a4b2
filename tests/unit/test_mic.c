/* SPDX-License-Identifier: Apache-2.0
 * Microphones without hardware: an input and a clock of the test's own, and a recording replayed by that clock. */
#include "base_testing.h"

#include <math.h>
#include <stdio.h>

#include "file_testing.h"
#include "oracle/audio_testing.h"
#include "pipeline/mic_impl.h"

#define WAV LFM2_TEST_DIR "/oracle/golden/audio/jfk.wav"

enum { CAP = 4096 };

/* Sleeping moves the clock, and while it moves the device gives sound. */
typedef struct world {
    int64_t now_us;
    lfm2__ring *ring;
    int32_t rate_hz, n_channels;
    int64_t n_given, gives_until_us;
    int alive, n_closed, start_status;
    int64_t n_dropped;
} world;

static int64_t now(void *ctx)
{
    return ((world *)ctx)->now_us;
}

static void give(world *w)
{
    const int64_t until = w->now_us < w->gives_until_us ? w->now_us : w->gives_until_us;
    for (const int64_t n_due = until * w->rate_hz / 1000000; w->n_given < n_due; w->n_given++) {
        const float v = (float)sin(0.02 * (double)w->n_given);
        const float frame[2] = { v, -v / 2 };
        lfm2__ring_push(w->ring, frame, (size_t)w->n_channels);
    }
}

static void sleep_us(void *ctx, int64_t us)
{
    world *w = ctx;
    w->now_us += us;
    if (w->ring) give(w);
}

static int start(void *ctx, lfm2__ring *ring)
{
    world *w = ctx;
    w->ring = ring;
    return w->start_status;
}

static int is_alive(void *ctx)
{
    return ((world *)ctx)->alive;
}

static int64_t n_dropped(void *ctx)
{
    return ((world *)ctx)->n_dropped;
}

static void close_input(void *ctx)
{
    ((world *)ctx)->n_closed++;
}

static lfm2__mic_input input_of(world *w)
{
    return (lfm2__mic_input){ .ctx = w, .rate_hz = w->rate_hz, .n_channels = w->n_channels, .start = start, .is_alive = is_alive,
                              .n_dropped = n_dropped, .close = close_input };
}

static world new_world(int32_t rate_hz, int32_t n_channels)
{
    return (world){ .rate_hz = rate_hz, .n_channels = n_channels, .gives_until_us = INT64_MAX, .alive = 1 };
}

static lfm2_mic *open_mic(lfm2_runtime *rt, world *w, const lfm2_mic_params *p)
{
    lfm2_mic *m = NULL;
    const lfm2__mic_input input = input_of(w);
    const lfm2__mic_clock clock = { now, sleep_us, w };
    assert_int_equal(lfm2__mic_create(rt, p, &input, &clock, &m), 0);
    return m;
}

static void test_sound_comes_through(void **state)
{
    (void)state;
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    const lfm2_mic_params p = lfm2_mic_params_default();
    world w = new_world(16000, 1);
    lfm2_mic *m = open_mic(rt, &w, &p);
    float x[CAP], *planes[] = { x };
    int32_t n = -7;
    int64_t at = 0;
    assert_int_equal(lfm2_mic_read(m, planes, CAP, 0, &n), LFM2_AGAIN);
    assert_int_equal(lfm2_mic_read(m, planes, CAP, 3000, &n), 0); /* 3 ms */
    assert_int_equal(n, 48);
    for (; at < n; at++) assert_true(x[at] == (float)sin(0.02 * (double)at));
    sleep_us(&w, 2000000); /* the reader was away */
    assert_int_equal(lfm2_mic_position_us(m), 2003000);
    while (at < 32048) {
        assert_int_equal(lfm2_mic_read(m, planes, CAP, 0, &n), 0);
        for (int32_t i = 0; i < n; i++, at++) assert_true(x[i] == (float)sin(0.02 * (double)at));
    }
    assert_int_equal(lfm2_mic_n_lost(m), 0);
    assert_int_equal(lfm2_mic_read(m, planes, CAP, 0, &n), LFM2_AGAIN);
    lfm2_mic_close(m);
    assert_int_equal(w.n_closed, 1);
    lfm2_runtime_destroy(rt);
}

/* Two channels from one and one from two. */
static void test_channels(void **state)
{
    (void)state;
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    for (int32_t want = 1; want <= 2; want++) {
        for (int32_t have = 1; have <= 2; have++) {
            lfm2_mic_params p = lfm2_mic_params_default();
            world w = new_world(16000, have);
            float a[CAP], b[CAP], *planes[] = { a, b };
            int32_t n = 0;
            p.n_channels = want;
            lfm2_mic *m = open_mic(rt, &w, &p);
            assert_int_equal(lfm2_mic_read(m, planes, CAP, 5000, &n), 0);
            for (int32_t i = 0; i < n; i++) {
                const float v = (float)sin(0.02 * i);
                assert_true(a[i] == (want == 1 && have == 2 ? (v + -v / 2) / 2 : v));
                if (want == 2) assert_true(b[i] == (have == 2 ? -v / 2 : v));
            }
            lfm2_mic_close(m);
        }
    }
    lfm2_runtime_destroy(rt);
}

/* 48 kHz to 16: as many samples as time has passed, of the same sine but for the filter's beginning. */
static void test_resampled(void **state)
{
    (void)state;
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    const lfm2_mic_params p = lfm2_mic_params_default();
    world w = new_world(48000, 1);
    lfm2_mic *m = NULL;
    const lfm2__mic_input input = input_of(&w);
    const lfm2__mic_clock clock = { now, sleep_us, &w };
    const int rc = lfm2__mic_create(rt, &p, &input, &clock, &m);
    if (rc == LFM2_ERR_UNSUPPORTED) { /* a build without libav */
        assert_int_equal(w.n_closed, 1);
        lfm2_runtime_destroy(rt);
        skip();
    }
    assert_int_equal(rc, 0);
    float x[CAP], *planes[] = { x };
    int64_t at = 0;
    while (w.now_us < 1000000) {
        int32_t n = 0;
        assert_int_equal(lfm2_mic_read(m, planes, CAP, 20000, &n), 0);
        for (int32_t i = 0; i < n; i++, at++) {
            if (at >= 64) assert_true(fabs((double)x[i] - sin(0.06 * (double)at)) < 1e-3);
        }
    }
    assert_in_range(at, 15900, 16000);
    lfm2_mic_close(m);
    lfm2_runtime_destroy(rt);
}

static void test_overrun(void **state)
{
    (void)state;
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    lfm2_mic_params p = lfm2_mic_params_default();
    world w = new_world(16000, 1);
    float x[CAP], *planes[] = { x };
    int32_t n = 0;
    int64_t n_read = 0;
    p.buffer_us = 100000; /* 1,600 samples, a ring of 2,048 */
    lfm2_mic *m = open_mic(rt, &w, &p);
    sleep_us(&w, 1000000);
    assert_int_equal(lfm2_mic_n_lost(m), 0); /* not known before somebody reads */
    while (lfm2_mic_read(m, planes, CAP, 0, &n) == 0) {
        if (n_read == 0) assert_true(x[0] == (float)sin(0.02 * (16000 - 2048))); /* the oldest went */
        n_read += n;
    }
    assert_int_equal(n_read, 2048);
    assert_int_equal(lfm2_mic_n_lost(m), 16000 - 2048);
    w.n_dropped = 80; /* by the device itself */
    assert_int_equal(lfm2_mic_n_lost(m), 16000 - 2048 + 80);
    assert_int_equal(lfm2_mic_position_us(m), (int64_t)(16000 + 80) * 1000000 / 16000);
    lfm2_mic_close(m);
    lfm2_runtime_destroy(rt);
}

/* No sound for 2 s, or a device that says that it is gone: what it gave before is still given. */
static void test_device_loss(void **state)
{
    (void)state;
    test_log log = { 0 };
    lfm2_runtime *rt = test_runtime(1, NULL, &log);
    const lfm2_mic_params p = lfm2_mic_params_default();
    for (int says_so = 0; says_so < 2; says_so++) {
        world w = new_world(16000, 1);
        lfm2_mic *m = open_mic(rt, &w, &p);
        float x[CAP], *planes[] = { x };
        int32_t n = 0;
        w.gives_until_us = 100000;
        sleep_us(&w, 100000);
        if (says_so) w.alive = 0;
        assert_int_equal(lfm2_mic_read(m, planes, 1000, 0, &n), 0);
        assert_int_equal(lfm2_mic_read(m, planes, 1000, 0, &n), 0);
        assert_int_equal(n, 600);
        if (!says_so) assert_int_equal(lfm2_mic_read(m, planes, 1000, 1900000, &n), LFM2_AGAIN);
        const int64_t before_us = w.now_us;
        log.n_lines = 0;
        assert_int_equal(lfm2_mic_read(m, planes, 1000, 60000000, &n), LFM2_ERR_IO);
        assert_int_equal(log.n_lines, 1);
        assert_true(w.now_us - before_us <= 100000 + 5000);
        assert_int_equal(lfm2_mic_read(m, planes, 1000, 0, &n), LFM2_ERR_IO);
        lfm2_mic_close(m);
    }
    lfm2_runtime_destroy(rt);
}

static void test_refused(void **state)
{
    (void)state;
    test_heap heap = { 0 };
    lfm2_runtime *rt = test_runtime(1, &heap, NULL);
    const lfm2_mic_params good = lfm2_mic_params_default();
    lfm2_mic_params bad[6];
    lfm2_mic *m = NULL;
    for (int i = 0; i < 6; i++) bad[i] = good;
    bad[0].rate_hz = 999;
    bad[1].rate_hz = 384001;
    bad[2].n_channels = 0;
    bad[3].n_channels = 3;
    bad[4].buffer_us = 99999;
    bad[5].buffer_us = 600000001;
    for (int i = 0; i < 6; i++) {
        assert_int_equal(lfm2_mic_open(rt, &bad[i], &m), LFM2_ERR_ARG);
        assert_int_equal(lfm2_mic_open_replay(rt, WAV, &bad[i], &m), LFM2_ERR_ARG);
    }
    assert_int_equal(lfm2_mic_open(NULL, &good, &m), LFM2_ERR_ARG);
    assert_int_equal(lfm2_mic_open(rt, NULL, &m), LFM2_ERR_ARG);
    assert_int_equal(lfm2_mic_open(rt, &good, NULL), LFM2_ERR_ARG);
    assert_int_equal(lfm2_mic_open_replay(rt, NULL, &good, &m), LFM2_ERR_ARG);
    assert_int_equal(lfm2_mic_list(rt, NULL, NULL), LFM2_ERR_ARG);
    lfm2_mic_close(NULL);
    assert_int_equal(lfm2_mic_n_lost(NULL), 0);
    assert_int_equal(lfm2_mic_position_us(NULL), 0);

    world w = new_world(16000, 1);
    const lfm2__mic_input input = input_of(&w);
    const lfm2__mic_clock clock = { now, sleep_us, &w };
    w.start_status = LFM2_ERR_IO;
    assert_int_equal(lfm2__mic_create(rt, &good, &input, &clock, &m), LFM2_ERR_IO);
    assert_int_equal(w.n_closed, 1);
    w.start_status = 0;
    for (long k = 0; test_fail_next(&heap, &k);) {
        w.n_closed = 0;
        const int rc = lfm2__mic_create(rt, &good, &input, &clock, &m);
        assert_int_equal(rc, test_has_failed(&heap) ? LFM2_ERR_NOMEM : 0);
        lfm2_mic_close(m);
        assert_int_equal(w.n_closed, 1); /* also after a failure */
        m = NULL;
    }
    m = open_mic(rt, &w, &good);
    float x[4], *planes[] = { x }, *none[] = { NULL };
    int32_t n = 0;
    assert_int_equal(lfm2_mic_read(NULL, planes, 4, 0, &n), LFM2_ERR_ARG);
    assert_int_equal(lfm2_mic_read(m, NULL, 4, 0, &n), LFM2_ERR_ARG);
    assert_int_equal(lfm2_mic_read(m, none, 4, 0, &n), LFM2_ERR_ARG);
    assert_int_equal(lfm2_mic_read(m, planes, 0, 0, &n), LFM2_ERR_ARG);
    assert_int_equal(lfm2_mic_read(m, planes, 4, -1, &n), LFM2_ERR_ARG);
    assert_int_equal(lfm2_mic_read(m, planes, 4, 0, NULL), LFM2_ERR_ARG);
    lfm2_runtime_abort(rt);
    assert_int_equal(lfm2_mic_read(m, planes, 4, 1000, &n), LFM2_ERR_ABORTED);
    lfm2_mic_close(m);
    lfm2_runtime_destroy(rt);
    assert_int_equal(heap.n_live, 0);
}

/* A recording by the clock of the test: never ahead of it, all of it in the end, the same samples as in the file. */
static void test_replay(void **state)
{
    (void)state;
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    const lfm2_mic_params p = lfm2_mic_params_default();
    world w = new_world(16000, 1);
    lfm2__mic_input input;
    const lfm2__mic_clock clock = { now, sleep_us, &w };
    lfm2_mic *m = NULL;
    int64_t n_file = 0, at = 0;
    float x[CAP], *planes[] = { x };
    w.now_us = 5000000;
    const int opened = lfm2__mic_replay_open(rt, WAV, &p, w.now_us, &input);
    if (opened == LFM2_ERR_UNSUPPORTED) { /* a build without libav */
        lfm2_runtime_destroy(rt);
        skip();
    }
    assert_int_equal(opened, 0);
    assert_int_equal(lfm2__mic_create(rt, &p, &input, &clock, &m), 0);
    float *file = read_wav(WAV, &n_file);
    assert_non_null(file);
    for (int rc = 0; rc == 0;) {
        int32_t n = 0;
        rc = lfm2_mic_read(m, planes, CAP, 20000, &n);
        if (rc == LFM2_EOF) break;
        assert_int_equal(rc, 0);
        assert_true(at + n <= n_file && memcmp(x, file + at, (size_t)n * sizeof(float)) == 0);
        at += n;
        assert_true(at <= (w.now_us - 5000000) * 16 / 1000 + 1);
    }
    assert_int_equal(at, n_file);
    assert_in_range(w.now_us - 5000000, n_file * 1000 / 16, n_file * 1000 / 16 + 20000);
    assert_int_equal(lfm2_mic_n_lost(m), 0);
    assert_int_equal(lfm2_mic_position_us(m), n_file * 1000000 / 16000);
    lfm2_mic_close(m);

    lfm2_mic_params small = p; /* a reader that comes back after a second finds the last tenth, about */
    int32_t n = 0;
    small.buffer_us = 100000;
    assert_int_equal(lfm2__mic_replay_open(rt, WAV, &small, w.now_us, &input), 0);
    assert_int_equal(lfm2__mic_create(rt, &small, &input, &clock, &m), 0);
    w.now_us += 1000000;
    assert_int_equal(lfm2_mic_read(m, planes, CAP, 0, &n), 0);
    assert_true(memcmp(x, file + 16000 - 2048, (size_t)n * sizeof(float)) == 0);
    assert_int_equal(lfm2_mic_n_lost(m), 16000 - 2048);
    lfm2_mic_close(m);
    assert_int_equal(lfm2_mic_open_replay(rt, LFM2_TEST_DIR "/none.wav", &p, &m), LFM2_ERR_NOT_FOUND);
    free(file);
    lfm2_runtime_destroy(rt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound_comes_through),
        cmocka_unit_test(test_channels),
        cmocka_unit_test(test_resampled),
        cmocka_unit_test(test_overrun),
        cmocka_unit_test(test_device_loss),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_replay),
    };
    return cmocka_run_group_tests_name("mic", tests, NULL, NULL);
}
