/* SPDX-License-Identifier: Apache-2.0
 * Word times: by CTC against all paths there are, and by attention patterns of which the truth is known. */
#include "base_testing.h"

#include <math.h>
#include <stdio.h>

#include "pipeline/align.h"

enum { FRAME_US = 20000 };

/* " abcdehlorw'ä4" behind the blank. */
static const uint32_t ALPHABET[] = { 0, ' ', 'a', 'b', 'c', 'd', 'e', 'h', 'l', 'o', 'r', 'w', '\'', 0xE4, '4' };
enum { N_CLASSES = (int)LFM2__COUNT_OF(ALPHABET) };

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static double uniform(uint32_t *seed)
{
    return (double)next_random(seed) / 16777216.0;
}

static int class_of(const uint32_t *alphabet, int n, uint32_t c)
{
    for (int i = 1; i < n; i++) {
        if (alphabet[i] == c) return i;
    }
    return 0;
}

/* Probability 0.9 for the class that each character of `path` names ('_' = blank), the rest for all others. */
static float *peaks(const char *path, int32_t *n_frames)
{
    *n_frames = (int32_t)strlen(path);
    float *logp = test_malloc((size_t)*n_frames * N_CLASSES * sizeof(float));
    for (int32_t t = 0; t < *n_frames; t++) {
        const int hot = class_of(ALPHABET, N_CLASSES, (unsigned char)path[t]);
        for (int c = 0; c < N_CLASSES; c++)
            logp[t * N_CLASSES + c] = logf(c == hot ? 0.9f : 0.1f / (float)(N_CLASSES - 1));
    }
    return logp;
}

static lfm2__align_word word(const char *text)
{
    return (lfm2__align_word){ .text = text, .n_bytes = strlen(text), .start_us = -7, .end_us = -7 };
}

static lfm2__align_ctc_in input(const float *logp, int32_t n_frames)
{
    return (lfm2__align_ctc_in){ logp, n_frames, N_CLASSES, ALPHABET, FRAME_US };
}

/* Peaks in frames f .. l: the word lies there, and by 40 ms (two frames) or half of the gap more on either side. */
static void test_ctc_times(void **state)
{
    (void)state;
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    int32_t n = 0;
    float *logp = peaks("____h_e_l_l_oo__ ___w_o_r_l_d_____", &n);
    lfm2__align_word words[] = { word("Hello,"), word("WORLD!") };
    lfm2__align_verdict v = { 0, 0 };
    const lfm2__align_ctc_in in = input(logp, n);
    assert_int_equal(lfm2__align_ctc(rt, &in, words, 2, &v), 0);
    assert_int_equal(v.reliable, 1);
    assert_true(fabsf(v.score - 0.9f) < 1e-5f);
    assert_int_equal(words[0].start_us, 2 * FRAME_US);
    assert_int_equal(words[0].end_us, 16 * FRAME_US);
    assert_int_equal(words[1].start_us, 18 * FRAME_US);
    assert_int_equal(words[1].end_us, 31 * FRAME_US);
    test_free(logp);
    lfm2_runtime_destroy(rt);
}

/* Characters that the alphabet has not; words without any, at the beginning, in the middle and at the end; case of non-ASCII. */
static void test_ctc_unknown_characters(void **state)
{
    (void)state;
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    int32_t n = 0;
    float *logp = peaks("__________a_b____________ _____cc_____\0", &n);
    logp[35 * N_CLASSES + 13] = logf(0.95f); /* ä at the end */
    lfm2__align_word words[] = { word("--"), word("aXb"), word("?"), word("!"), word("c\xc3\x84"), word("...") };
    lfm2__align_verdict v = { 0, 0 };
    const lfm2__align_ctc_in in = input(logp, n);
    assert_int_equal(lfm2__align_ctc(rt, &in, words, 6, &v), 0);
    assert_int_equal(v.reliable, 1);
    assert_int_equal(words[0].start_us, 0);
    assert_int_equal(words[0].end_us, 8 * FRAME_US);
    assert_int_equal(words[1].start_us, 8 * FRAME_US);
    assert_int_equal(words[1].end_us, 15 * FRAME_US);
    assert_int_equal(words[2].start_us, 15 * FRAME_US); /* two words share what lies between */
    assert_int_equal(words[3].end_us, words[4].start_us);
    assert_int_equal(words[2].end_us - words[2].start_us, words[3].end_us - words[3].start_us);
    assert_int_equal(words[4].start_us, 29 * FRAME_US);
    assert_int_equal(words[4].end_us, 38 * FRAME_US); /* up to the end of the sound: nothing is left for the last */
    assert_int_equal(words[5].start_us, words[4].end_us);
    assert_int_equal(words[5].end_us, (int64_t)n * FRAME_US);
    test_free(logp);
    lfm2_runtime_destroy(rt);
}

/* All sequences of classes that collapse to the target: the best one's frames. */
static void best_of_all(const float *logp, int n_frames, int n_classes, const int *target, int n_target, int *first, int *last)
{
    double best = -INFINITY;
    int path[8], n_paths = 1;
    for (int t = 0; t < n_frames; t++) n_paths *= n_classes;
    for (int k = 0; k < n_paths; k++) {
        int at = -1, ok = 1, from[8], to[8];
        double sum = 0;
        for (int t = 0, rest = k; t < n_frames; t++, rest /= n_classes) {
            path[t] = rest % n_classes;
            sum += (double)logp[t * n_classes + path[t]];
        }
        for (int t = 0; ok && t < n_frames; t++) {
            if (path[t] == 0) continue;
            if (t > 0 && path[t] == path[t - 1]) {
                to[at] = t;
                continue;
            }
            ok = ++at < n_target && path[t] == target[at];
            if (ok) from[at] = to[at] = t;
        }
        if (!ok || at + 1 != n_target || sum <= best) continue;
        best = sum;
        memcpy(first, from, sizeof(from));
        memcpy(last, to, sizeof(to));
    }
}

static void test_ctc_is_the_best_path(void **state)
{
    (void)state;
    enum { CLASSES = 4, FRAMES = 7 };
    static const uint32_t abc[CLASSES] = { 0, 'a', 'b', 'c' };
    static const char *const texts[] = { "a", "ab", "aa", "aab", "abca", "aaa", "abcabca", "aaaa" };
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    uint32_t seed = 5;
    for (int round = 0; round < 40; round++) {
        const char *text = texts[round % 8];
        float logp[FRAMES * CLASSES];
        int target[8], first[8] = { 0 }, last[8] = { 0 };
        const int n = (int)strlen(text);
        for (int t = 0; t < FRAMES; t++) {
            double sum = 0;
            for (int c = 0; c < CLASSES; c++) sum += logp[t * CLASSES + c] = (float)exp(3 * uniform(&seed));
            for (int c = 0; c < CLASSES; c++) logp[t * CLASSES + c] = logf(logp[t * CLASSES + c] / (float)sum);
        }
        for (int i = 0; i < n; i++) target[i] = text[i] - 'a' + 1;
        best_of_all(logp, FRAMES, CLASSES, target, n, first, last);
        double score = 0;
        for (int i = 0; i < n; i++) {
            double most = -INFINITY;
            for (int t = first[i]; t <= last[i]; t++) most = fmax(most, (double)logp[t * CLASSES + target[i]]);
            score += exp(most) / n;
        }
        const lfm2__align_ctc_in in = { logp, FRAMES, CLASSES, abc, 1000000 }; /* a frame is much longer than the edges */
        lfm2__align_word words[] = { word(text) };
        lfm2__align_verdict v = { 0, 0 };
        assert_int_equal(lfm2__align_ctc(rt, &in, words, 1, &v), 0);
        assert_true(fabs((double)v.score - score) < 1e-6);
        assert_int_equal(v.reliable, score >= (double)LFM2__ALIGN_CTC_MIN);
        if (!v.reliable) continue;
        assert_int_equal((words[0].start_us + 500000) / 1000000, first[0]);
        assert_int_equal((words[0].end_us + 500000) / 1000000, last[n - 1] + 1);
    }
    lfm2_runtime_destroy(rt);
}

static void test_ctc_unreliable(void **state)
{
    (void)state;
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    int32_t n = 0;
    float *logp = peaks("__h_e_l_l_o__ __w_o_r_l_d___", &n);
    static const struct {
        const char *text;
        int32_t n_frames;
        int reliable;
    } cases[] = { { "hello", 13, 1 }, { "abcabc", 28, 0 }, { "hello", 5, 0 }, { "hello", 6, 0 }, { "?!", 28, 0 },
                  { "hXYZQV", 28, 0 }, { "", 28, 0 }, { "hello", 0, 0 } };
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        const lfm2__align_ctc_in in = input(logp, cases[i].n_frames);
        lfm2__align_word w = word(cases[i].text);
        lfm2__align_verdict v = { -1, -1 };
        assert_int_equal(lfm2__align_ctc(rt, &in, &w, 1, &v), 0);
        assert_int_equal(v.reliable, cases[i].reliable);
        if (v.reliable) continue;
        assert_int_equal(w.start_us, -7); /* nothing was written */
        assert_int_equal(w.end_us, -7);
    }
    const lfm2__align_ctc_in in = input(logp, n);
    lfm2__align_verdict v = { -1, -1 };
    assert_int_equal(lfm2__align_ctc(rt, &in, NULL, 0, &v), 0);
    assert_int_equal(v.reliable, 0);
    for (int32_t i = 0; i < n * N_CLASSES; i++) logp[i] = -logf(N_CLASSES); /* a head that knows nothing */
    lfm2__align_word words[] = { word("hello"), word("world") };
    assert_int_equal(lfm2__align_ctc(rt, &in, words, 2, &v), 0);
    assert_int_equal(v.reliable, 0);
    test_free(logp);
    lfm2_runtime_destroy(rt);
}

static void test_ctc_errors(void **state)
{
    (void)state;
    test_heap heap = { 0 };
    lfm2_runtime *rt = test_runtime(1, &heap, NULL);
    int32_t n = 0;
    float *logp = peaks("__h_e_l_l_o_____", &n);
    lfm2__align_ctc_in in = input(logp, n);
    lfm2__align_word bad = word("h\xff"), huge = { .text = "h", .n_bytes = SIZE_MAX }, w = word("hello");
    lfm2__align_verdict v = { -1, -1 };
    assert_int_equal(lfm2__align_ctc(rt, &in, &bad, 1, &v), LFM2_ERR_UTF8);
    assert_int_equal(lfm2__align_ctc(rt, &in, &huge, 1, &v), LFM2_ERR_LIMIT);
    in.n_frames = INT32_MAX; /* never read: refused by its size */
    assert_int_equal(lfm2__align_ctc(rt, &in, &w, 1, &v), LFM2_ERR_LIMIT);
    in.n_frames = n;
    lfm2_runtime_abort(rt);
    assert_int_equal(lfm2__align_ctc(rt, &in, &w, 1, &v), LFM2_ERR_ABORTED);
    lfm2_runtime_clear_abort(rt);
    assert_int_equal(v.reliable, -1);
    for (long k = 0; test_fail_next(&heap, &k);) {
        const int rc = lfm2__align_ctc(rt, &in, &w, 1, &v);
        assert_int_equal(rc, test_has_failed(&heap) ? LFM2_ERR_NOMEM : 0);
    }
    assert_int_equal(v.reliable, 1);
    test_free(logp);
    lfm2_runtime_destroy(rt);
    assert_int_equal(heap.n_live, 0);
}

/* A minute of a thousand characters: its table has 3,000 x 2,399 states of two bits. */
static void test_ctc_long(void **state)
{
    (void)state;
    enum { FRAMES = 3000, WORDS = 200 };
    test_heap heap = { 0 };
    lfm2_runtime *rt = test_runtime(1, &heap, NULL);
    char *path = test_malloc(FRAMES + 1);
    lfm2__align_word words[WORDS];
    int32_t n = 0;
    memset(path, '_', FRAMES);
    path[FRAMES] = '\0';
    for (int i = 0; i < WORDS; i++) {
        words[i] = word("abcde");
        memcpy(path + 15 * i + 2, "abcde", 5);
        path[15 * i + 14] = ' ';
    }
    float *logp = peaks(path, &n);
    lfm2__align_verdict v = { 0, 0 };
    const lfm2__align_ctc_in in = input(logp, n);
    heap.peak_bytes = heap.live_bytes;
    assert_int_equal(lfm2__align_ctc(rt, &in, words, WORDS, &v), 0);
    assert_int_equal(v.reliable, 1);
    assert_in_range(heap.peak_bytes, 3000 * 2399 / 4, 2 << 20);
    for (int i = 0; i < WORDS; i++) {
        assert_int_equal(words[i].start_us, 15 * i * FRAME_US);
        assert_int_equal(words[i].end_us, (15 * i + 9) * FRAME_US);
    }
    test_free(logp);
    test_free(path);
    lfm2_runtime_destroy(rt);
}

static void test_fill(void **state)
{
    (void)state;
    lfm2__align_word w[5] = { { .start_us = -1 }, { .start_us = -1 }, { .start_us = 10, .end_us = 20 }, { .start_us = -1 },
                              { .start_us = -1 } };
    lfm2__align_fill(w, 5, 41);
    const int64_t want[] = { 0, 5, 5, 10, 10, 20, 20, 30, 30, 41 };
    for (int i = 0; i < 5; i++) {
        assert_int_equal(w[i].start_us, want[2 * i]);
        assert_int_equal(w[i].end_us, want[2 * i + 1]);
    }
    w[0].start_us = -1;
    lfm2__align_fill(w, 1, 41);
    assert_int_equal(w[0].start_us, 0);
    assert_int_equal(w[0].end_us, 41);
}

/* ---- Attention ---- */

enum { HEADS = 24, FRAMES = 60, TOKENS = 20, AUDIO_US = 80000 };

/* Every weight at random, a head's total on the sound being `mass`. */
static void noise_row(float *row, double mass, int power, uint32_t *seed)
{
    double sum = 0;
    for (int t = 0; t < FRAMES; t++) sum += row[t] = powf((float)uniform(seed), (float)power);
    for (int t = 0; t < FRAMES; t++) row[t] *= (float)(mass / sum);
}

/* Token i of word i / 2 looks at frames 3 i and 3 i + 1 by heads 5 and 17; the other heads are noise. */
static void pattern(float *weights, int i, uint32_t *seed)
{
    for (int h = 0; h < HEADS; h++) {
        float *row = weights + h * FRAMES;
        noise_row(row, 0.3, 1 + 20 * (h % 2), seed);
        if (h != 5 && h != 17) continue;
        for (int t = 0; t < FRAMES; t++) row[t] = 0.002f;
        row[3 * i + 1] = 0.4f;
        row[3 * i] = 0.3f;
    }
}

static void test_attention_exact(void **state)
{
    (void)state;
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    lfm2__align_attn *a = NULL;
    static float weights[HEADS * FRAMES];
    lfm2__align_word words[TOKENS / 2 + 1];
    int32_t word_of[TOKENS + 1];
    lfm2__align_verdict v = { 0, 0 };
    uint32_t seed = 3;
    assert_int_equal(lfm2__align_attn_create(rt, HEADS, FRAMES, TOKENS + 1, &a), 0);
    for (int turn = 0; turn < 2; turn++) {
        for (int i = 0; i < TOKENS; i++) {
            pattern(weights, i, &seed);
            assert_int_equal(lfm2__align_attn_push(a, weights), 0);
            word_of[i] = i / 2 + (i >= 10); /* word 5 has no token */
        }
        noise_row(weights, 0.5, 1, &seed);
        assert_int_equal(lfm2__align_attn_push(a, weights), 0);
        word_of[TOKENS] = -1;
        assert_int_equal(lfm2__align_attn_push(a, weights), LFM2_ERR_RANGE);
        assert_int_equal(lfm2__align_attn_finish(a, word_of, AUDIO_US, words, TOKENS / 2 + 1, &v), 0);
        assert_int_equal(v.reliable, 1);
        assert_true(v.score > 0.8f);
        for (int w = 0; w < TOKENS / 2; w++) {
            const lfm2__align_word *x = &words[w + (w >= 5)];
            assert_int_equal(x->start_us, 6 * w * AUDIO_US);
            assert_int_equal(x->end_us, (6 * w + 5) * AUDIO_US);
        }
        assert_int_equal(words[5].start_us, words[4].end_us);
        assert_int_equal(words[5].end_us, words[6].start_us);
        lfm2__align_attn_reset(a, FRAMES);
    }
    lfm2__align_attn_destroy(a);
    lfm2_runtime_destroy(rt);
}

typedef enum bad_kind { EVEN, NOISE, PEAKS, ALWAYS_FIRST, FIXED_DISTANCE, BACKWARDS, NO_MASS, SHORT_TEXT, N_BAD } bad_kind;

static void bad_row(float *row, bad_kind kind, int i, uint32_t *seed)
{
    int at = -1;
    noise_row(row, kind == NO_MASS ? 0.01 : 0.4, kind == NOISE ? 3 : kind == PEAKS ? 100 : 0, seed);
    if (kind == ALWAYS_FIRST) at = 0;
    if (kind == FIXED_DISTANCE) at = 10 + i;
    if (kind == BACKWARDS) at = FRAMES - 1 - 3 * i;
    if (kind == NO_MASS || kind == SHORT_TEXT) at = 3 * i;
    if (at >= 0) row[at] += kind == NO_MASS ? 0.03f : 0.4f;
}

static void test_attention_unreliable(void **state)
{
    (void)state;
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    static float weights[HEADS * FRAMES];
    uint32_t seed = 4;
    for (int round = 0; round < 20; round++) {
        for (int kind = 0; kind < N_BAD; kind++) {
            lfm2__align_attn *a = NULL;
            lfm2__align_word words[TOKENS] = { { .start_us = -7 } };
            int32_t word_of[TOKENS];
            lfm2__align_verdict v = { -1, -1 };
            const int n = kind == SHORT_TEXT ? 7 : TOKENS;
            assert_int_equal(lfm2__align_attn_create(rt, HEADS, FRAMES, TOKENS, &a), 0);
            for (int i = 0; i < n; i++) {
                for (int h = 0; h < HEADS; h++) bad_row(weights + h * FRAMES, (bad_kind)kind, i, &seed);
                word_of[i] = i;
                assert_int_equal(lfm2__align_attn_push(a, weights), 0);
            }
            assert_int_equal(lfm2__align_attn_finish(a, word_of, AUDIO_US, words, n, &v), 0);
            if (v.reliable != 0) fail_msg("kind %d, round %d: score %g", kind, round, (double)v.score);
            assert_int_equal(words[0].start_us, -7);
            lfm2__align_attn_destroy(a);
        }
    }
    lfm2_runtime_destroy(rt);
}

static void test_attention_errors(void **state)
{
    (void)state;
    test_heap heap = { 0 };
    lfm2_runtime *rt = test_runtime(1, &heap, NULL);
    lfm2__align_attn *a = NULL;
    static float weights[HEADS * FRAMES];
    lfm2__align_word words[2];
    lfm2__align_verdict v = { -1, -1 };
    assert_int_equal(lfm2__align_attn_create(rt, 1 << 20, 1 << 20, 1 << 20, &a), LFM2_ERR_LIMIT);
    assert_int_equal(lfm2__align_attn_create(rt, 1 << 10, 1 << 10, 65, &a), LFM2_ERR_LIMIT);
    assert_int_equal(lfm2__align_attn_create(rt, 0, 1, 1, &a), LFM2_ERR_ARG);
    assert_null(a);
    lfm2__align_attn_destroy(NULL);
    for (long k = 0; test_fail_next(&heap, &k);) {
        int rc = lfm2__align_attn_create(rt, HEADS, FRAMES, 4, &a);
        for (int i = 0; rc == 0 && i < 3; i++) rc = lfm2__align_attn_push(a, weights);
        if (rc == 0) rc = lfm2__align_attn_finish(a, (const int32_t[]){ 0, -1, 1 }, AUDIO_US, words, 2, &v);
        assert_int_equal(rc, test_has_failed(&heap) ? LFM2_ERR_NOMEM : 0);
        lfm2__align_attn_destroy(a);
        a = NULL;
    }
    assert_int_equal(lfm2__align_attn_create(rt, HEADS, FRAMES, 4, &a), 0);
    assert_int_equal(lfm2__align_attn_finish(a, NULL, AUDIO_US, words, 2, &v), 0);
    assert_int_equal(v.reliable, 0);
    for (int i = 0; i < 2; i++) assert_int_equal(lfm2__align_attn_push(a, weights), 0);
    assert_int_equal(lfm2__align_attn_finish(a, (const int32_t[]){ 1, 0 }, AUDIO_US, words, 2, &v), LFM2_ERR_ARG);
    assert_int_equal(lfm2__align_attn_finish(a, (const int32_t[]){ 0, 2 }, AUDIO_US, words, 2, &v), LFM2_ERR_ARG);
    lfm2__align_attn_destroy(a);
    lfm2_runtime_destroy(rt);
    assert_int_equal(heap.n_live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ctc_times),
        cmocka_unit_test(test_ctc_unknown_characters),
        cmocka_unit_test(test_ctc_is_the_best_path),
        cmocka_unit_test(test_ctc_unreliable),
        cmocka_unit_test(test_ctc_errors),
        cmocka_unit_test(test_ctc_long),
        cmocka_unit_test(test_fill),
        cmocka_unit_test(test_attention_exact),
        cmocka_unit_test(test_attention_unreliable),
        cmocka_unit_test(test_attention_errors),
    };
    return cmocka_run_group_tests_name("align", tests, NULL, NULL);
}
