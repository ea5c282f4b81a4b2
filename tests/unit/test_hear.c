/* SPDX-License-Identifier: Apache-2.0
 * Hearing: prompts, text that does not depend on how sound is pushed, channels, order, glossary, live text, limits and failures. */
#include "base_testing.h"

#include <math.h>
#include <stdio.h>

#include "lfm2/lfm2.h"
#include "oracle/audio_testing.h"
#include "pipeline/hear_impl.h"

#define CHECKPOINT LFM2_TEST_DIR "/oracle/golden/audio"
#define RATE 16000

typedef struct ears {
    test_heap heap;
    test_log log;
    lfm2_runtime *rt;
    lfm2_model *model;
    lfm2_tokenizer *tok;
    lfm2_audio_encoder *enc;
    float *jfk, *other;
    int64_t n_jfk, n_other;
} ears;

static int setup(void **state)
{
    ears *e = test_calloc(1, sizeof *e);
    e->rt = test_runtime(1, &e->heap, &e->log);
    assert_int_equal(lfm2_model_load(e->rt, CHECKPOINT, &e->model), 0);
    assert_int_equal(lfm2_tokenizer_load_json(e->rt, LFM2_TEST_DIR "/oracle/golden/text/tokenizer.json", &e->tok), 0); /* of all */
    assert_int_equal(lfm2_audio_encoder_load(e->rt, CHECKPOINT, &e->enc), 0);
    e->jfk = read_wav(CHECKPOINT "/jfk.wav", &e->n_jfk);
    e->other = read_wav(CHECKPOINT "/8s_do_you_live_here.wav", &e->n_other);
    assert_non_null(e->jfk);
    assert_non_null(e->other);
    *state = e;
    return 0;
}

static int teardown(void **state)
{
    ears *e = *state;
    free(e->jfk);
    free(e->other);
    lfm2_audio_encoder_unload(e->enc);
    lfm2_tokenizer_unload(e->tok);
    lfm2_model_unload(e->model);
    lfm2_runtime_destroy(e->rt);
    assert_int_equal(e->heap.n_live, 0);
    test_free(e);
    return 0;
}

/* A few words of text for each segment: the weights are random, so it never ends by itself. */
static lfm2_hear_params few_words(void)
{
    lfm2_hear_params p = lfm2_hear_params_default();
    p.max_tok = 12;
    p.n_slots = 3;
    return p;
}

static lfm2_hear *make(ears *e, const lfm2_hear_params *p)
{
    lfm2_hear *h = NULL;
    assert_int_equal(lfm2_hear_create(e->model, e->tok, e->enc, p, &h), 0);
    return h;
}

/* All that came out, as text. */
typedef struct script {
    char text[16384];
    size_t n;
    int n_segments;
} script;

static void write_down(script *s, const lfm2_segment *seg)
{
    assert_int_equal(seg->id, s->n_segments++);
    s->n += (size_t)snprintf(s->text + s->n, sizeof s->text - s->n, "%d %lld %lld %s [%s] %.6f %d\n", (int)seg->channel,
                             (long long)seg->start_us, (long long)seg->end_us, lfm2_stop_name(seg->stop), seg->text,
                             (double)seg->confidence, (int)seg->n_tok);
    for (int32_t i = 0; i < seg->n_words; i++) {
        const lfm2_word *w = &seg->words[i];
        assert_true(w->start_us >= seg->start_us && w->end_us <= seg->end_us && w->start_us <= w->end_us);
        assert_true(w->confidence >= 0 && w->confidence <= 1);
        s->n += (size_t)snprintf(s->text + s->n, sizeof s->text - s->n, "  %s %lld %lld\n", w->text, (long long)w->start_us,
                                 (long long)w->end_us);
    }
    assert_true(s->n < sizeof s->text);
}

static void pull_all(lfm2_hear *h, script *s, int want)
{
    lfm2_segment *seg = NULL;
    int rc;
    while ((rc = lfm2_hear_pull(h, &seg)) == 0) {
        write_down(s, seg);
        lfm2_segment_destroy(seg);
    }
    assert_int_equal(rc, want);
}

static void hear_all(ears *e, const lfm2_hear_params *p, const float *const *planes, int64_t n, int64_t chunk, script *s)
{
    lfm2_hear *h = make(e, p);
    memset(s, 0, sizeof *s);
    for (int64_t i = 0; i < n; i += chunk) {
        const float *at[LFM2_AUDIO_MAX_CHANNELS];
        for (int32_t c = 0; c < p->n_channels; c++) at[c] = planes[c] + i;
        assert_int_equal(lfm2_hear_push(h, at, n - i < chunk ? n - i : chunk), 0);
        pull_all(h, s, LFM2_AGAIN);
    }
    assert_int_equal(lfm2_hear_push(h, NULL, 0), 0);
    pull_all(h, s, LFM2_EOF);
    assert_int_equal(lfm2_hear_push(h, NULL, 0), LFM2_ERR_STATE);
    lfm2_hear_destroy(h);
}

static void test_prompt(void **state)
{
    static const int32_t prefix[] = {1, 6, 208, 1234, 324, 173, 386, 828, 483, 176, 175, 139, 7, 324, 6, 658, 386, 324};
    static const int32_t suffix[] = {7, 324, 6, 574, 208, 794, 518, 324};
    lfm2_hear *h = make(*state, NULL);
    assert_int_equal(h->n_prefix, LFM2__COUNT_OF(prefix));
    assert_int_equal(h->n_suffix, LFM2__COUNT_OF(suffix));
    assert_memory_equal(h->prompt, prefix, sizeof prefix);
    assert_memory_equal(h->prompt + h->n_prefix, suffix, sizeof suffix);
    lfm2_hear_destroy(h);
}

static void test_reference_text(void **state)
{
    ears *e = *state;
    static const int32_t greedy[] = {273, 1360, 1213, 264, 1404, 191};
    lfm2_hear_params p = few_words();
    script s;
    char *want = NULL, *text;
    p.use_vad = 0;
    p.max_tok = LFM2__COUNT_OF(greedy);
    hear_all(e, &p, (const float *const *)&e->jfk, e->n_jfk, e->n_jfk, &s);
    assert_int_equal(s.n_segments, 1);
    assert_int_equal(lfm2_tokenizer_decode(e->tok, greedy, LFM2__COUNT_OF(greedy), 0, &want, NULL), 0);
    for (text = want; *text == ' ';) text++;
    assert_non_null(strstr(s.text, text));
    assert_non_null(strstr(s.text, "0 0 11000000 length"));
    lfm2_tokenizer_free_text(e->tok, want);
}

static void test_chunks(void **state)
{
    ears *e = *state;
    static const int64_t chunk_ms[] = {10, 37, 160, 1000, 10000};
    const lfm2_hear_params p = few_words();
    script want, got;
    hear_all(e, &p, (const float *const *)&e->jfk, e->n_jfk, e->n_jfk, &want);
    assert_true(want.n_segments >= 3);
    for (size_t i = 0; i < LFM2__COUNT_OF(chunk_ms); i++) {
        hear_all(e, &p, (const float *const *)&e->jfk, e->n_jfk, chunk_ms[i] * RATE / 1000, &got);
        assert_string_equal(got.text, want.text);
    }
}

static void test_slots(void **state)
{
    ears *e = *state;
    lfm2_hear_params p = few_words();
    script want, got;
    hear_all(e, &p, (const float *const *)&e->jfk, e->n_jfk, RATE, &want);
    p.n_slots = 1;
    hear_all(e, &p, (const float *const *)&e->jfk, e->n_jfk, RATE, &got);
    assert_string_equal(got.text, want.text);
}

/* Both channels are what each is alone, and what comes first comes first. */
static void test_channels(void **state)
{
    ears *e = *state;
    lfm2_hear_params p = few_words();
    script both, one;
    const int64_t n = e->n_jfk > e->n_other ? e->n_jfk : e->n_other;
    float *planes[2] = {test_calloc((size_t)n, sizeof(float)), test_calloc((size_t)n, sizeof(float))};
    memcpy(planes[0], e->jfk, (size_t)e->n_jfk * sizeof(float));
    memcpy(planes[1], e->other, (size_t)e->n_other * sizeof(float));
    p.n_channels = 2;
    hear_all(e, &p, (const float *const *)planes, n, 4000, &both);
    p.n_channels = 1;
    for (int c = 0; c < 2; c++) {
        hear_all(e, &p, (const float *const *)&planes[c], n, 4000, &one);
        assert_true(one.n_segments > 0);
        for (char *line = strtok(one.text, "\n"); line; line = strtok(NULL, "\n")) {
            line += line[0] == '0' && line[1] == ' '; /* but for the number of the channel */
            assert_non_null(strstr(both.text, line));
        }
    }
    long long last = -1;
    for (char *line = strtok(both.text, "\n"); line; line = strtok(NULL, "\n")) {
        if (line[0] == ' ') continue;
        const long long start = strtoll(line + 2, NULL, 10);
        assert_true(start >= last);
        last = start;
    }
    test_free(planes[0]);
    test_free(planes[1]);
}

static void test_nothing(void **state)
{
    ears *e = *state;
    lfm2_hear_params p = few_words();
    script s;
    float *silence = test_calloc(20 * RATE, sizeof(float));
    hear_all(e, &p, (const float *const *)&silence, 20 * RATE, RATE, &s);
    assert_int_equal(s.n_segments, 0);
    hear_all(e, &p, (const float *const *)&silence, 0, RATE, &s);
    assert_int_equal(s.n_segments, 0);
    hear_all(e, &p, (const float *const *)&silence, 1, RATE, &s);
    assert_int_equal(s.n_segments, 0);
    p.use_vad = 0; /* too short for a frame */
    hear_all(e, &p, (const float *const *)&silence, 319, RATE, &s);
    assert_int_equal(s.n_segments, 0);
    test_free(silence);
}

/* Without a detector all is read, in pieces of the greatest length. */
static void test_by_clock(void **state)
{
    ears *e = *state;
    lfm2_hear_params p = few_words();
    script want, got;
    p.use_vad = 0;
    p.vad.max_segment_us = 4000000;
    hear_all(e, &p, (const float *const *)&e->jfk, e->n_jfk, e->n_jfk, &want);
    assert_int_equal(want.n_segments, 3);
    assert_non_null(strstr(want.text, "0 8000000 11000000 length"));
    hear_all(e, &p, (const float *const *)&e->jfk, e->n_jfk, 777, &got);
    assert_string_equal(got.text, want.text);
}

static void expect_bias(const lfm2__glossary_place *place, int32_t id, float add)
{
    float sum = 0;
    for (int32_t i = 0; i < place->n_biases; i++) sum += place->biases[i].id == id ? place->biases[i].add : 0;
    assert_float_equal(sum, add, 0);
}

/* Beginnings get a quarter, all that goes on with them the whole; without a blank only the first token begins one. */
static void test_glossary_steps(void **state)
{
    ears *e = *state;
    lfm2__glossary *g = NULL;
    lfm2__glossary_place place = {0};
    int32_t blank[16], first[16];
    size_t n_blank = 0, n_first = 0;
    assert_int_equal(lfm2_tokenizer_encode(e->tok, " Quixotic Zebra", 15, 0, blank, 16, &n_blank), 0);
    assert_int_equal(lfm2_tokenizer_encode(e->tok, "Quixotic Zebra", 14, 0, first, 16, &n_first), 0);
    assert_true(n_blank > 2 && n_first > 2 && blank[0] != first[0]);
    assert_int_equal(lfm2__glossary_create(e->rt, e->tok, "\n  Quixotic Zebra \r\n", 4, &g), 0);
    assert_int_equal(lfm2__glossary_place_init(g, &place), 0);
    lfm2__glossary_begin(g, &place);
    assert_int_equal(place.n_biases, 2);
    expect_bias(&place, blank[0], 1);
    expect_bias(&place, first[0], 1);
    for (size_t i = 0; i + 1 < n_first; i++) {
        lfm2__glossary_step(g, &place, first[i]);
        expect_bias(&place, first[i + 1], first[i + 1] == blank[0] ? 5 : 4);
        expect_bias(&place, blank[0], first[i + 1] == blank[0] ? 5 : 1);
    }
    lfm2__glossary_step(g, &place, first[n_first - 1]); /* said: from the beginning */
    assert_int_equal(place.n_biases, 1);
    expect_bias(&place, blank[0], 1);
    lfm2__glossary_step(g, &place, first[0]); /* no beginning of a word any more */
    assert_int_equal(place.n_biases, 1);
    lfm2__glossary_step(g, &place, blank[0]);
    expect_bias(&place, blank[1], 4);
    lfm2__glossary_place_fini(g, &place);
    lfm2__glossary_destroy(g);
    g = NULL;
    assert_int_equal(lfm2__glossary_create(e->rt, e->tok, " \n\r\n", 4, &g), 0);
    assert_null(g);
}

static void test_glossary_limits(void **state)
{
    ears *e = *state;
    lfm2__glossary *g = NULL;
    char *text = test_calloc(40000, 1);
    memset(text, 'x', 257);
    assert_int_equal(lfm2__glossary_create(e->rt, e->tok, text, 4, &g), LFM2_ERR_LIMIT);
    for (int i = 0; i < 100; i++) memcpy(text + 2 * i, "7 ", 3);
    assert_int_equal(lfm2__glossary_create(e->rt, e->tok, text, 4, &g), LFM2_ERR_LIMIT); /* too many tokens */
    for (int i = 0; i < 10001; i++) memcpy(text + 2 * i, "a\n", 3);
    assert_int_equal(lfm2__glossary_create(e->rt, e->tok, text, 4, &g), LFM2_ERR_LIMIT);
    assert_null(g);
    test_free(text);
}

/* Once the model has said the beginning by itself, it goes on with the entry. */
static void test_glossary(void **state)
{
    ears *e = *state;
    lfm2_hear_params p = few_words();
    script s;
    p.use_vad = 0;
    p.max_tok = 8;
    p.glossary = "An Zebra"; /* it says \" An\" by itself, see test_reference_text() */
    p.glossary_weight = 20;
    hear_all(e, &p, (const float *const *)&e->jfk, e->n_jfk, e->n_jfk, &s);
    assert_non_null(strstr(s.text, "Zebra"));
    p.glossary_weight = 0;
    hear_all(e, &p, (const float *const *)&e->jfk, e->n_jfk, e->n_jfk, &s);
    assert_null(strstr(s.text, "Zebra"));
}

/* What is confirmed stays, up to the segment that comes of it. */
static void test_live(void **state)
{
    ears *e = *state;
    lfm2_hear_params p = few_words();
    char promised[4096] = "";
    int n_open = 0, n_promised = 0, n_kept = 0;
    p.n_slots = 1;
    p.max_tok = 24;
    lfm2_hear *h = make(e, &p);
    for (int64_t i = 0; i < e->n_jfk; i += 1600) {
        const char *confirmed = NULL, *tail = NULL;
        const float *at = e->jfk + i;
        lfm2_segment *seg = NULL;
        assert_int_equal(lfm2_hear_push(h, &at, e->n_jfk - i < 1600 ? e->n_jfk - i : 1600), 0);
        while (lfm2_hear_pull(h, &seg) == 0) {
            assert_int_equal(strncmp(seg->text, promised, strlen(promised)), 0);
            n_kept += promised[0] != '\0';
            promised[0] = '\0';
            lfm2_segment_destroy(seg);
        }
        assert_int_equal(lfm2_hear_partial(h, 0, 200000, &confirmed, &tail), 0);
        if (confirmed[0] == '\0' && tail[0] == '\0') continue;
        n_open++;
        assert_int_equal(strncmp(confirmed, promised, strlen(promised)), 0);
        n_promised += strlen(confirmed) > strlen(promised);
        snprintf(promised, sizeof promised, "%s", confirmed);
    }
    assert_int_equal(lfm2_hear_push(h, NULL, 0), 0);
    lfm2_segment *seg = NULL;
    while (lfm2_hear_pull(h, &seg) == 0) {
        n_kept += promised[0] != '\0' && strncmp(seg->text, promised, strlen(promised)) == 0;
        promised[0] = '\0';
        lfm2_segment_destroy(seg);
    }
    assert_true(n_open > 5);
    assert_true(n_promised > 0 && n_kept > 0);
    lfm2_hear_destroy(h);
}

static void test_bad_arguments(void **state)
{
    ears *e = *state;
    const char *text = NULL;
    lfm2_hear *h = NULL;
    lfm2_segment *seg = NULL;
#define REFUSED(code, field, value)                                                       \
    do {                                                                                  \
        lfm2_hear_params p = lfm2_hear_params_default();                                  \
        p.field = (value);                                                                \
        assert_int_equal(lfm2_hear_create(e->model, e->tok, e->enc, &p, &h), code);       \
    } while (0)
    REFUSED(LFM2_ERR_ARG, n_channels, 0);
    REFUSED(LFM2_ERR_ARG, n_channels, LFM2_AUDIO_MAX_CHANNELS + 1);
    REFUSED(LFM2_ERR_ARG, n_slots, 0);
    REFUSED(LFM2_ERR_ARG, n_slots, 65);
    REFUSED(LFM2_ERR_ARG, max_tok, -1);
    REFUSED(LFM2_ERR_ARG, deadline_us, -1);
    REFUSED(LFM2_ERR_ARG, glossary_weight, NAN);
    REFUSED(LFM2_ERR_ARG, glossary_weight, 21);
    REFUSED(LFM2_ERR_ARG, vad.threshold, 2);
    REFUSED(LFM2_ERR_ARG, vad.max_segment_us, 60000001);
    REFUSED(LFM2_ERR_ARG, sampler.top_p, 0);
    REFUSED(LFM2_ERR_UTF8, system, "\xff");
    REFUSED(LFM2_ERR_UTF8, prompt, "a\xc3");
    REFUSED(LFM2_ERR_UTF8, glossary, "a\xc3");
#undef REFUSED
    assert_int_equal(lfm2_hear_create(NULL, e->tok, e->enc, NULL, &h), LFM2_ERR_ARG);
    assert_null(h);
    h = make(e, NULL);
    const float bad = NAN, *plane = &bad, *none = NULL;
    assert_int_equal(lfm2_hear_push(h, &plane, 1), LFM2_ERR_NONFINITE);
    assert_int_equal(lfm2_hear_push(h, &none, 1), LFM2_ERR_ARG);
    assert_int_equal(lfm2_hear_push(h, &plane, -1), LFM2_ERR_ARG);
    assert_int_equal(lfm2_hear_pull(h, NULL), LFM2_ERR_ARG);
    assert_int_equal(lfm2_hear_pull(h, &seg), LFM2_AGAIN);
    assert_int_equal(lfm2_hear_partial(h, 1, 0, &text, &text), LFM2_ERR_ARG);
    lfm2_hear_destroy(h);
    lfm2_hear_destroy(NULL);
    lfm2_segment_destroy(NULL);
}

static void test_prompt_too_long(void **state)
{
    ears *e = *state;
    lfm2_hear *h = NULL;
    const int32_t n = 4 * lfm2_model_config(e->model)->n_ctx_max;
    char *text = test_calloc((size_t)n * 2 + 1, 1);
    for (int32_t i = 0; i < n; i++) memcpy(text + 2 * i, "1 ", 2);
    lfm2_hear_params p = few_words();
    p.system = text;
    assert_int_equal(lfm2_hear_create(e->model, e->tok, e->enc, &p, &h), LFM2_ERR_RANGE);
    test_free(text);
}

static void test_other_width(void **state)
{
    ears *e = *state;
    lfm2_hear *h = NULL;
    lfm2_model *model = NULL;
    assert_int_equal(lfm2_model_load(e->rt, LFM2_TEST_DIR "/oracle/fixtures/dense-odd", &model), 0);
    assert_int_equal(lfm2_hear_create(model, e->tok, e->enc, NULL, &h), LFM2_ERR_UNSUPPORTED);
    lfm2_model_unload(model);
}

static void test_abort(void **state)
{
    ears *e = *state;
    const lfm2_hear_params p = few_words();
    lfm2_hear *h = make(e, &p);
    lfm2_runtime_abort(e->rt);
    assert_int_equal(lfm2_hear_push(h, (const float *const *)&e->jfk, e->n_jfk), LFM2_ERR_ABORTED);
    lfm2_runtime_clear_abort(e->rt);
    assert_int_equal(lfm2_hear_push(h, (const float *const *)&e->jfk, 1), LFM2_ERR_STATE);
    lfm2_hear_destroy(h);
}

static void test_deadline(void **state)
{
    ears *e = *state;
    lfm2_hear_params p = few_words();
    script s;
    p.deadline_us = 1;
    hear_all(e, &p, (const float *const *)&e->jfk, e->n_jfk, RATE, &s);
    assert_true(s.n_segments > 0);
    assert_non_null(strstr(s.text, "deadline"));
}

static void test_no_memory(void **state)
{
    ears *e = *state;
    lfm2_hear_params p = few_words();
    long k = 0;
    p.glossary = "one\ntwo words";
    p.use_vad = 0; /* which has a test of its own */
    p.vad.max_segment_us = 1000000;
    p.max_tok = 2;
    while (test_fail_next(&e->heap, &k)) {
        lfm2_hear *h = NULL;
        script s = {0};
        int rc = lfm2_hear_create(e->model, e->tok, e->enc, &p, &h);
        if (rc == 0) rc = lfm2_hear_push(h, (const float *const *)&e->jfk, 20000);
        if (rc == 0) rc = lfm2_hear_push(h, NULL, 0);
        if (rc == 0) pull_all(h, &s, LFM2_EOF);
        assert_int_equal(rc, test_has_failed(&e->heap) ? LFM2_ERR_NOMEM : 0);
        lfm2_hear_destroy(h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prompt),
        cmocka_unit_test(test_reference_text),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_slots),
        cmocka_unit_test(test_channels),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_by_clock),
        cmocka_unit_test(test_glossary_steps),
        cmocka_unit_test(test_glossary_limits),
        cmocka_unit_test(test_glossary),
        cmocka_unit_test(test_live),
        cmocka_unit_test(test_bad_arguments),
        cmocka_unit_test(test_prompt_too_long),
        cmocka_unit_test(test_other_width),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
