/* SPDX-License-Identifier: Apache-2.0
 * Generation: every stop reason, refusals, what the sequence holds afterwards; the loop guard on made-up streams. */
#include "base_testing.h"

#include <stdio.h>
#include <time.h>

#include "lfm2/sampler.h"
#include "lfm2/tokenizer.h"
#include "model/loop_guard.h"

/* Its embedding table has more rows than its tokenizer has ids. */
#define CHECKPOINT LFM2_TEST_DIR "/oracle/fixtures/dense-odd"
#define N_IDS 470
#define N_VOCAB 500
#define CAP_TOK 400
#define N_PROMPT 20

static lfm2_runtime *rt;
static lfm2_model *model;
static test_log lines;

static int setup(void **state)
{
    (void)state;
    lfm2_runtime_params p = lfm2_runtime_params_default();
    p.n_threads = 1;
    p.cpu_mask = LFM2_CPU_MASK_ALL & ~(uint32_t)LFM2_CPU_BLAS; /* its sums depend on how a prompt is cut */
    rt = test_runtime_with(p, NULL, &lines);
    if (lfm2_model_load(rt, CHECKPOINT, &model) < 0) fprintf(stderr, "%s\n", lines.line);
    return model == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    lfm2_model_unload(model);
    lfm2_runtime_destroy(rt);
    return 0;
}

typedef struct bench {
    lfm2_session *s;
    lfm2_sampler *sampler;
    int32_t prompt[N_PROMPT];
    float logits[N_VOCAB];
    lfm2_generate_params p;
    lfm2_generation g;
    /* what the callback saw, and when it does something */
    int32_t ids[CAP_TOK];
    int32_t n_ids;
    double sum_logprob;
    int32_t call_off_at;
    int32_t abort_at;
    int32_t sleep_ms;
} bench;

static void open_bench_with(bench *b, int32_t cap_tok, int32_t cap_batch, const lfm2_sampler_params *sp,
                            int (*allowed)(void *ctx, int32_t id), void *ctx)
{
    memset(b, 0, sizeof(*b));
    lfm2_session_params p = lfm2_session_params_default(model);
    p.cap_tok = cap_tok;
    p.cap_batch = cap_batch;
    assert_int_equal(lfm2_session_create(model, &p, &b->s), 0);
    assert_int_equal(lfm2_sampler_create(rt, sp, N_VOCAB, allowed, ctx, &b->sampler), 0);
    for (int32_t i = 0; i < N_PROMPT; i++) b->prompt[i] = (i * 37 + 5) % N_IDS;
    b->p = lfm2_generate_params_default();
    b->g.n_tok = -77;
    lines.line[0] = '\0';
}

static void open_bench(bench *b)
{
    lfm2_sampler_params sp = lfm2_sampler_params_default();
    open_bench_with(b, CAP_TOK, 64, &sp, NULL, NULL);
}

static void close_bench(bench *b)
{
    lfm2_sampler_destroy(b->sampler);
    lfm2_session_destroy(b->s);
}

static int on_token(void *ctx, int32_t id, float logprob)
{
    bench *b = ctx;
    assert_in_range(b->n_ids, 0, CAP_TOK - 1);
    b->ids[b->n_ids++] = id;
    b->sum_logprob += (double)logprob;
    if (b->sleep_ms > 0) {
        struct timespec ts = {.tv_sec = 0, .tv_nsec = b->sleep_ms * 1000000L};
        nanosleep(&ts, NULL);
    }
    if (b->n_ids == b->abort_at) lfm2_runtime_abort(rt);
    return b->n_ids == b->call_off_at;
}

static int run(bench *b, int32_t n_prompt)
{
    return lfm2_generate(b->s, 0, b->prompt, n_prompt, b->sampler, &b->p, b->logits, on_token, b, &b->g);
}

static int32_t best_of(const float *logits)
{
    int32_t best = 0;
    for (int32_t i = 1; i < N_VOCAB; i++) {
        if (logits[i] > logits[best]) best = i;
    }
    return best;
}

/* Greedy continuation by forward passes alone. */
static void continue_by_hand(const int32_t *prompt, int32_t n_prompt, int32_t *ids, int32_t n)
{
    lfm2_session_params p = lfm2_session_params_default(model);
    lfm2_session *s = NULL;
    float logits[N_VOCAB];
    p.cap_tok = CAP_TOK;
    assert_int_equal(lfm2_session_create(model, &p, &s), 0);
    lfm2_span span = {.seq = 0, .n_tok = n_prompt, .ids = prompt, .embed = NULL, .logits = LFM2_LOGITS_LAST};
    for (int32_t i = 0; i < n; i++) {
        assert_int_equal(lfm2_session_forward(s, &span, 1, logits, 1), 0);
        ids[i] = best_of(logits);
        span.ids = &ids[i];
        span.n_tok = 1;
    }
    lfm2_session_destroy(s);
}

/* ---- stop reasons */

static void stop_reasons_have_names(void **state)
{
    (void)state;
    assert_string_equal(lfm2_stop_name(LFM2_STOP_EOS), "eos");
    assert_string_equal(lfm2_stop_name(LFM2_STOP_LENGTH), "length");
    assert_string_equal(lfm2_stop_name(LFM2_STOP_LOOP), "loop");
    assert_string_equal(lfm2_stop_name(LFM2_STOP_DEADLINE), "deadline");
    assert_string_equal(lfm2_stop_name(LFM2_STOP_ABORT), "abort");
    assert_string_equal(lfm2_stop_name((lfm2_stop)99), "?");
}

static void max_tok_is_length(void **state)
{
    (void)state;
    bench b;
    int32_t expected[12];
    open_bench(&b);
    b.p.max_tok = 12;
    continue_by_hand(b.prompt, N_PROMPT, expected, 12);
    assert_int_equal(run(&b, N_PROMPT), 0);
    assert_int_equal(b.g.stop, LFM2_STOP_LENGTH);
    assert_int_equal(b.g.n_tok, 12);
    assert_int_equal(b.n_ids, 12);
    assert_memory_equal(b.ids, expected, sizeof(expected));
    assert_true(b.g.sum_logprob < 0.0 && b.g.sum_logprob - b.sum_logprob < 1e-9 && b.sum_logprob - b.g.sum_logprob < 1e-9);
    assert_int_equal(lfm2_session_n_tok(b.s, 0), N_PROMPT + 12);
    close_bench(&b);
}

static void an_end_id_is_eos_and_not_given_out(void **state)
{
    (void)state;
    bench b;
    int32_t expected[40];
    open_bench(&b);
    continue_by_hand(b.prompt, N_PROMPT, expected, 40);
    int32_t n = 5; /* the first token after five others that did not come before */
    for (int32_t i = 0; i < n; i++) {
        if (expected[i] != expected[n]) continue;
        n++;
        i = -1;
        assert_true(n < 40);
    }
    int32_t end_ids[2] = {N_IDS + 3, expected[n]};
    b.p.end_ids = end_ids;
    b.p.n_end_ids = 2;
    assert_int_equal(run(&b, N_PROMPT), 0);
    assert_int_equal(b.g.stop, LFM2_STOP_EOS);
    assert_int_equal(b.g.n_tok, n);
    assert_int_equal(b.n_ids, n);
    assert_memory_equal(b.ids, expected, (size_t)n * sizeof(expected[0]));
    assert_int_equal(lfm2_session_n_tok(b.s, 0), N_PROMPT + n + 1); /* the end token is in the sequence */
    close_bench(&b);
}

static void a_full_context_is_length(void **state)
{
    (void)state;
    bench b;
    lfm2_sampler_params sp = lfm2_sampler_params_default();
    for (int32_t room = 0; room <= 3; room++) {
        open_bench_with(&b, N_PROMPT + room, 64, &sp, NULL, NULL);
        assert_int_equal(run(&b, N_PROMPT), 0);
        assert_int_equal(b.g.stop, LFM2_STOP_LENGTH);
        assert_int_equal(b.g.n_tok, room);
        assert_int_equal(b.n_ids, room);
        assert_int_equal(lfm2_session_n_tok(b.s, 0), N_PROMPT + room);
        close_bench(&b);
    }
}

static int only_42(void *ctx, int32_t id)
{
    (void)ctx;
    return id == 42;
}

static void endless_repetition_is_loop(void **state)
{
    (void)state;
    bench b;
    lfm2_sampler_params sp = lfm2_sampler_params_default();
    open_bench_with(&b, CAP_TOK, 64, &sp, only_42, NULL);
    b.p.loop_min_tok = 60;
    b.p.loop_min_reps = 8;
    b.p.loop_max_unit = 16;
    b.p.max_tok = 300;
    assert_int_equal(run(&b, N_PROMPT), 0);
    assert_int_equal(b.g.stop, LFM2_STOP_LOOP);
    assert_int_equal(b.g.n_tok, 60);
    assert_int_equal(lfm2_session_n_tok(b.s, 0), N_PROMPT + 60);

    b.p.loop_min_reps = 0; /* off */
    b.n_ids = 0;
    assert_int_equal(lfm2_session_clear(b.s, 0), 0);
    assert_int_equal(run(&b, N_PROMPT), 0);
    assert_int_equal(b.g.stop, LFM2_STOP_LENGTH);
    assert_int_equal(b.g.n_tok, 300);
    close_bench(&b);
}

static void a_deadline_stops(void **state)
{
    (void)state;
    bench b;
    open_bench(&b);
    b.p.deadline_us = 1; /* gone before or right after the prompt */
    assert_int_equal(run(&b, N_PROMPT), 0);
    assert_int_equal(b.g.stop, LFM2_STOP_DEADLINE);
    assert_true(b.g.n_tok <= 1);

    b.n_ids = 0;
    b.sleep_ms = 30;
    b.p.deadline_us = 25000; /* the first callback outlasts it */
    assert_int_equal(lfm2_session_clear(b.s, 0), 0);
    assert_int_equal(run(&b, N_PROMPT), 0);
    assert_int_equal(b.g.stop, LFM2_STOP_DEADLINE);
    assert_true(b.g.n_tok <= 1);

    b.n_ids = 0;
    b.sleep_ms = 0;
    b.p.max_tok = 3;
    b.p.deadline_us = INT64_MAX;
    assert_int_equal(lfm2_session_clear(b.s, 0), 0);
    assert_int_equal(run(&b, N_PROMPT), 0);
    assert_int_equal(b.g.stop, LFM2_STOP_LENGTH);
    close_bench(&b);
}

static void the_callback_can_call_off(void **state)
{
    (void)state;
    bench b;
    open_bench(&b);
    b.call_off_at = 3;
    b.p.max_tok = 3; /* called off comes before length */
    assert_int_equal(run(&b, N_PROMPT), 0);
    assert_int_equal(b.g.stop, LFM2_STOP_ABORT);
    assert_int_equal(b.g.n_tok, 3);
    assert_int_equal(lfm2_session_n_tok(b.s, 0), N_PROMPT + 3);
    close_bench(&b);
}

static void the_abort_flag_stops(void **state)
{
    (void)state;
    bench b;
    open_bench(&b);
    b.abort_at = 2;
    assert_int_equal(run(&b, N_PROMPT), 0);
    assert_int_equal(b.g.stop, LFM2_STOP_ABORT);
    assert_int_equal(b.g.n_tok, 2);

    assert_int_equal(lfm2_session_clear(b.s, 0), 0); /* the flag is still up: not even the prompt is read */
    assert_int_equal(run(&b, N_PROMPT), 0);
    assert_int_equal(b.g.stop, LFM2_STOP_ABORT);
    assert_int_equal(b.g.n_tok, 0);

    lfm2_runtime_clear_abort(rt);
    b.p.max_tok = 4;
    assert_int_equal(lfm2_session_clear(b.s, 0), 0);
    assert_int_equal(run(&b, N_PROMPT), 0);
    assert_int_equal(b.g.stop, LFM2_STOP_LENGTH);
    close_bench(&b);
}

/* ---- refusals: nothing is read, *out stays */

static void expect_refused(bench *b, int32_t n_prompt, int status)
{
    assert_int_equal(run(b, n_prompt), status);
    assert_int_equal(b->g.n_tok, -77);
    assert_int_equal(b->n_ids, 0);
    assert_int_equal(lfm2_session_n_tok(b->s, 0), 0);
}

static void a_prompt_beyond_the_context_is_refused_with_both_numbers(void **state)
{
    (void)state;
    bench b;
    lfm2_sampler_params sp = lfm2_sampler_params_default();
    open_bench_with(&b, 17, 64, &sp, NULL, NULL);
    expect_refused(&b, N_PROMPT, LFM2_ERR_RANGE);
    assert_non_null(strstr(lines.line, "20 tokens"));
    assert_non_null(strstr(lines.line, "17"));

    b.p.max_tok = 2; /* what the sequence holds already counts */
    assert_int_equal(run(&b, 10), 0);
    assert_int_equal(run(&b, 10), LFM2_ERR_RANGE);
    assert_non_null(strstr(lines.line, "10 tokens"));
    assert_non_null(strstr(lines.line, "room for 5"));
    assert_int_equal(lfm2_session_n_tok(b.s, 0), 12);
    close_bench(&b);
}

static void bad_arguments_are_refused(void **state)
{
    (void)state;
    static const struct {
        int32_t max_tok, loop_min_tok, loop_min_reps, loop_max_unit;
        int64_t deadline_us;
        size_t n_end_ids;
        const char *field;
    } bad[] = {
        {0, 384, 24, 96, 0, 0, "max_tok"},        {-1, 384, 24, 96, 0, 0, "max_tok"},       {5, 384, 24, 96, -1, 0, "deadline_us"},
        {5, 384, -1, 96, 0, 0, "loop_min_reps"},  {5, 384, 1, 96, 0, 0, "loop_min_reps"},   {5, 384, 24, 0, 0, 0, "loop_max_unit"},
        {5, 384, 24, 513, 0, 0, "loop_max_unit"}, {5, -1, 24, 96, 0, 0, "loop_min_tok"},    {5, 384, 24, 96, 0, 1, "end_ids"},
    };
    bench b;
    open_bench(&b);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        lfm2_generate_params p = {bad[i].max_tok, bad[i].deadline_us, bad[i].loop_min_tok, bad[i].loop_min_reps,
                                  bad[i].loop_max_unit, NULL, bad[i].n_end_ids};
        b.p = p;
        expect_refused(&b, N_PROMPT, LFM2_ERR_ARG);
        assert_non_null(strstr(lines.line, bad[i].field));
    }
    b.p = lfm2_generate_params_default();
    expect_refused(&b, 0, LFM2_ERR_ARG);
    expect_refused(&b, -3, LFM2_ERR_ARG);
    b.prompt[7] = N_VOCAB;
    expect_refused(&b, N_PROMPT, LFM2_ERR_ARG);
    b.prompt[7] = -1;
    expect_refused(&b, N_PROMPT, LFM2_ERR_ARG);
    b.prompt[7] = 7;

    assert_int_equal(lfm2_generate(b.s, 1, b.prompt, 4, b.sampler, &b.p, b.logits, NULL, NULL, &b.g), LFM2_ERR_ARG);
    assert_int_equal(lfm2_generate(b.s, -1, b.prompt, 4, b.sampler, &b.p, b.logits, NULL, NULL, &b.g), LFM2_ERR_ARG);
    assert_int_equal(lfm2_generate(NULL, 0, b.prompt, 4, b.sampler, &b.p, b.logits, NULL, NULL, &b.g), LFM2_ERR_ARG);
    assert_int_equal(lfm2_generate(b.s, 0, NULL, 4, b.sampler, &b.p, b.logits, NULL, NULL, &b.g), LFM2_ERR_ARG);
    assert_int_equal(lfm2_generate(b.s, 0, b.prompt, 4, NULL, &b.p, b.logits, NULL, NULL, &b.g), LFM2_ERR_ARG);
    assert_int_equal(lfm2_generate(b.s, 0, b.prompt, 4, b.sampler, NULL, b.logits, NULL, NULL, &b.g), LFM2_ERR_ARG);
    assert_int_equal(lfm2_generate(b.s, 0, b.prompt, 4, b.sampler, &b.p, NULL, NULL, NULL, &b.g), LFM2_ERR_ARG);
    assert_int_equal(lfm2_generate(b.s, 0, b.prompt, 4, b.sampler, &b.p, b.logits, NULL, NULL, NULL), LFM2_ERR_ARG);

    lfm2_sampler *other = NULL;
    lfm2_sampler_params sp = lfm2_sampler_params_default();
    assert_int_equal(lfm2_sampler_create(rt, &sp, N_VOCAB - 1, NULL, NULL, &other), 0);
    assert_int_equal(lfm2_generate(b.s, 0, b.prompt, 4, other, &b.p, b.logits, NULL, NULL, &b.g), LFM2_ERR_ARG);
    lfm2_sampler_destroy(other);

    b.p.max_tok = 2; /* no callback is fine */
    assert_int_equal(lfm2_generate(b.s, 0, b.prompt, 4, b.sampler, &b.p, b.logits, NULL, NULL, &b.g), 0);
    assert_int_equal(b.g.n_tok, 2);
    close_bench(&b);
}

/* ---- what comes out */

static void a_second_turn_continues_the_first(void **state)
{
    (void)state;
    bench b;
    int32_t whole[N_PROMPT + 6 + 3], expected[6];
    open_bench(&b);
    b.p.max_tok = 6;
    assert_int_equal(run(&b, N_PROMPT), 0);
    memcpy(whole, b.prompt, sizeof(b.prompt));
    memcpy(whole + N_PROMPT, b.ids, 6 * sizeof(int32_t));
    memcpy(whole + N_PROMPT + 6, b.prompt, 3 * sizeof(int32_t));
    continue_by_hand(whole, N_PROMPT + 6 + 3, expected, 6);
    assert_int_equal(run(&b, 3), 0);
    assert_memory_equal(b.ids + 6, expected, sizeof(expected));
    close_bench(&b);
}

static void a_prompt_read_in_parts_gives_the_same(void **state)
{
    (void)state;
    bench b;
    int32_t expected[10];
    lfm2_sampler_params sp = lfm2_sampler_params_default();
    open_bench_with(&b, CAP_TOK, 3, &sp, NULL, NULL);
    b.p.max_tok = 10;
    continue_by_hand(b.prompt, N_PROMPT, expected, 10);
    assert_int_equal(run(&b, N_PROMPT), 0);
    assert_memory_equal(b.ids, expected, sizeof(expected));
    close_bench(&b);
}

static void the_prompt_counts_for_the_repetition_penalty(void **state)
{
    (void)state;
    bench b;
    int32_t expected[1];
    lfm2_sampler_params sp = lfm2_sampler_params_default();
    sp.repeat_penalty = 100.0f;
    open_bench_with(&b, CAP_TOK, 64, &sp, NULL, NULL);
    continue_by_hand(b.prompt, N_PROMPT, expected, 1);
    b.prompt[0] = expected[0]; /* now in the prompt: its logit shrinks to nothing, whichever id would have won */
    b.p.max_tok = 1;
    int32_t unpenalised[1];
    continue_by_hand(b.prompt, N_PROMPT, unpenalised, 1);
    int32_t in_prompt = 0;
    assert_int_equal(run(&b, N_PROMPT), 0);
    for (int32_t i = 0; i < N_PROMPT; i++) in_prompt |= b.ids[0] == b.prompt[i];
    assert_int_equal(in_prompt, 0);
    close_bench(&b);
}

static int defined(void *ctx, int32_t id)
{
    return lfm2_tokenizer_is_defined(ctx, id);
}

static void rows_beyond_the_tokenizer_are_never_sampled(void **state)
{
    (void)state;
    bench b;
    lfm2_tokenizer *tok = NULL;
    lfm2_sampler_params sp = lfm2_sampler_params_default();
    sp.temperature = 100.0f;
    sp.seed = 5;
    assert_int_equal(lfm2_tokenizer_load(rt, lfm2_model_weights(model), &tok), 0);
    assert_int_equal(lfm2_tokenizer_n_ids(tok), N_IDS);
    for (int guarded = 0; guarded < 2; guarded++) {
        open_bench_with(&b, CAP_TOK, 64, &sp, guarded ? defined : NULL, tok);
        b.p.max_tok = 300;
        int32_t n_beyond = 0;
        assert_int_equal(run(&b, N_PROMPT), 0);
        assert_int_equal(b.g.n_tok, 300);
        for (int32_t i = 0; i < b.n_ids; i++) n_beyond += b.ids[i] >= N_IDS;
        if (guarded) assert_int_equal(n_beyond, 0);
        else assert_true(n_beyond > 0); /* they would have come */
        close_bench(&b);
    }
    lfm2_tokenizer_unload(tok);
}

/* ---- loop guard */

/* Push the stream unit(i) for n tokens; the number of the token at which a loop was called, or 0. */
static int32_t push_stream(lfm2__loop_guard *g, int32_t (*token)(int32_t i), int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        if (lfm2__loop_guard_push(g, token(i))) return i + 1;
    }
    return 0;
}

static int32_t unit_1(int32_t i)
{
    (void)i;
    return 9;
}

static int32_t unit_10(int32_t i)
{
    return i % 10 == 3 ? i % 10 + 1 : i % 10; /* with a repeat inside the unit */
}

static int32_t unit_96(int32_t i)
{
    return 1000 + i % 96;
}

static int32_t unit_97(int32_t i)
{
    return 1000 + i % 97;
}

static int32_t prose(int32_t i)
{
    return (int32_t)((uint32_t)i * 2654435761u >> 20);
}

static int32_t counting_rows(int32_t i)
{
    return i % 10 == 9 ? 100000 + i / 10 : i % 10; /* equal but for a number that goes up */
}

static int32_t counting_digits(int32_t i)
{
    static const int32_t unit[3] = {1, 2, 3};
    int32_t row = i / 5, place = i % 5;
    return place < 3 ? unit[place] : place == 3 ? 10 + row / 10 % 10 : 10 + row % 10;
}

static void default_guard(lfm2__loop_guard *g)
{
    lfm2_generate_params p = lfm2_generate_params_default();
    lfm2__loop_guard_init(g, p.loop_min_tok, p.loop_min_reps, p.loop_max_unit);
}

static void guard_leaves_true_repeats_alone(void **state)
{
    (void)state;
    lfm2__loop_guard g;
    default_guard(&g);
    assert_int_equal(push_stream(&g, prose, 500), 0);
    assert_int_equal(push_stream(&g, unit_10, 200), 0); /* 20 equal rows */
    assert_int_equal(push_stream(&g, prose, 500), 0);
    assert_int_equal(push_stream(&g, unit_1, 300), 0); /* "no no no" a hundred times */
    assert_int_equal(push_stream(&g, prose, 500), 0);
    assert_int_equal(push_stream(&g, unit_96, 96 * 23), 0);
    assert_int_equal(push_stream(&g, prose, 5000), 0);
    assert_int_equal(push_stream(&g, counting_rows, 5000), 0);
    assert_int_equal(push_stream(&g, counting_digits, 5000), 0);
}

static void guard_stops_endless_repetition_at_the_stated_length(void **state)
{
    (void)state;
    lfm2__loop_guard g;
    default_guard(&g);
    assert_int_equal(push_stream(&g, unit_1, 1000), 384);
    default_guard(&g);
    assert_int_equal(push_stream(&g, unit_10, 1000), 384);
    default_guard(&g);
    assert_int_equal(push_stream(&g, unit_96, 5000), 96 * 24);
    default_guard(&g);
    assert_int_equal(push_stream(&g, unit_97, 20000), 0); /* longer than max_unit */
    default_guard(&g);
    assert_int_equal(push_stream(&g, prose, 777), 0);
    assert_int_equal(push_stream(&g, unit_10, 1000), 384); /* wherever it starts */
}

static void guard_starts_again_after_one_different_token(void **state)
{
    (void)state;
    lfm2__loop_guard g;
    lfm2__loop_guard_init(&g, 20, 5, 4);
    assert_int_equal(push_stream(&g, unit_1, 19), 0);
    assert_int_equal(lfm2__loop_guard_push(&g, 1), 0);
    assert_int_equal(push_stream(&g, unit_1, 19), 0);
    assert_int_equal(lfm2__loop_guard_push(&g, 9), 1);
}

static void guard_works_at_its_limits(void **state)
{
    (void)state;
    lfm2__loop_guard g;
    lfm2__loop_guard_init(&g, 0, 2, LFM2__LOOP_MAX_UNIT);
    assert_int_equal(push_stream(&g, unit_97, 1000), 194);
    lfm2__loop_guard_init(&g, 0, 0, 96);
    assert_int_equal(push_stream(&g, unit_1, 5000), 0); /* off */
    lfm2__loop_guard_init(&g, 0, 2, 1);
    assert_int_equal(push_stream(&g, unit_1, 10), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stop_reasons_have_names),
        cmocka_unit_test(max_tok_is_length),
        cmocka_unit_test(an_end_id_is_eos_and_not_given_out),
        cmocka_unit_test(a_full_context_is_length),
        cmocka_unit_test(endless_repetition_is_loop),
        cmocka_unit_test(a_deadline_stops),
        cmocka_unit_test(the_callback_can_call_off),
        cmocka_unit_test(the_abort_flag_stops),
        cmocka_unit_test(a_prompt_beyond_the_context_is_refused_with_both_numbers),
        cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(a_second_turn_continues_the_first),
        cmocka_unit_test(a_prompt_read_in_parts_gives_the_same),
        cmocka_unit_test(the_prompt_counts_for_the_repetition_penalty),
        cmocka_unit_test(rows_beyond_the_tokenizer_are_never_sampled),
        cmocka_unit_test(guard_leaves_true_repeats_alone),
        cmocka_unit_test(guard_stops_endless_repetition_at_the_stated_length),
        cmocka_unit_test(guard_starts_again_after_one_different_token),
        cmocka_unit_test(guard_works_at_its_limits),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
