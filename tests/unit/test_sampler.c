/* SPDX-License-Identifier: Apache-2.0
 * Sampler: parameters, filters against a naive reference, distributions by chi-square on fixed seeds, reproducibility. */
#include "base_testing.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

#include "lfm2/sampler.h"

#define N_VOCAB 40
#define N_DRAWS 20000

static test_heap heap;
static test_log lines;
static lfm2_runtime *rt;

static int setup(void **state)
{
    (void)state;
    rt = test_runtime(1, &heap, &lines);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lfm2_runtime_destroy(rt);
    assert_int_equal(heap.n_live, 0);
    return 0;
}

static lfm2_sampler *make(const lfm2_sampler_params *p, int32_t n_vocab, int (*allowed)(void *ctx, int32_t id))
{
    lfm2_sampler *s = NULL;
    assert_int_equal(lfm2_sampler_create(rt, p, n_vocab, allowed, NULL, &s), 0);
    assert_non_null(s);
    return s;
}

static int32_t next(lfm2_sampler *s, const float *logits)
{
    int32_t id = -1;
    assert_int_equal(lfm2_sampler_next(s, logits, &id, NULL), 0);
    return id;
}

/* Spread over about 8, with two equal pairs. */
static void some_logits(float *logits, int32_t n)
{
    uint32_t x = 12345;
    for (int32_t i = 0; i < n; i++) {
        x = x * 1664525u + 1013904223u;
        logits[i] = (float)(x >> 8) / 16777216.0f * 8.0f - 4.0f;
    }
    logits[7] = logits[3];
    logits[n - 1] = logits[n / 2];
}

static int third_is_not(void *ctx, int32_t id)
{
    (void)ctx;
    return id % 3 != 0;
}

static int none(void *ctx, int32_t id)
{
    (void)ctx;
    (void)id;
    return 0;
}

/* ---- parameters */

static void refuses_parameters_out_of_range(void **state)
{
    (void)state;
    static const struct {
        lfm2_sampler_params p;
        const char *field;
    } bad[] = {
        {{-0.1f, 0, 1.0f, 0.0f, 1.0f, 0}, "temperature"},   {{100.1f, 0, 1.0f, 0.0f, 1.0f, 0}, "temperature"},
        {{NAN, 0, 1.0f, 0.0f, 1.0f, 0}, "temperature"},     {{INFINITY, 0, 1.0f, 0.0f, 1.0f, 0}, "temperature"},
        {{1.0f, -1, 1.0f, 0.0f, 1.0f, 0}, "top_k"},         {{1.0f, 0, 0.0f, 0.0f, 1.0f, 0}, "top_p"},
        {{1.0f, 0, 1.01f, 0.0f, 1.0f, 0}, "top_p"},         {{1.0f, 0, NAN, 0.0f, 1.0f, 0}, "top_p"},
        {{1.0f, 0, -0.5f, 0.0f, 1.0f, 0}, "top_p"},         {{1.0f, 0, 1.0f, -0.01f, 1.0f, 0}, "min_p"},
        {{1.0f, 0, 1.0f, 1.01f, 1.0f, 0}, "min_p"},         {{1.0f, 0, 1.0f, NAN, 1.0f, 0}, "min_p"},
        {{1.0f, 0, 1.0f, 0.0f, 0.0f, 0}, "repeat_penalty"}, {{1.0f, 0, 1.0f, 0.0f, -1.0f, 0}, "repeat_penalty"},
        {{1.0f, 0, 1.0f, 0.0f, NAN, 0}, "repeat_penalty"},  {{1.0f, 0, 1.0f, 0.0f, INFINITY, 0}, "repeat_penalty"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        lfm2_sampler *s = NULL;
        lines.line[0] = '\0';
        assert_int_equal(lfm2_sampler_create(rt, &bad[i].p, 10, NULL, NULL, &s), LFM2_ERR_ARG);
        assert_null(s);
        assert_non_null(strstr(lines.line, bad[i].field));
    }
}

static void accepts_parameters_at_their_limits(void **state)
{
    (void)state;
    static const lfm2_sampler_params good[] = {
        {0.0f, 0, 1.0f, 0.0f, 1.0f, 0},
        {100.0f, INT32_MAX, FLT_MIN, 1.0f, 100.0f, UINT64_MAX},
        {FLT_TRUE_MIN, 1, 1.0f, 0.0f, 0.01f, 1},
    };
    float logits[N_VOCAB];
    some_logits(logits, N_VOCAB);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        lfm2_sampler *s = make(&good[i], N_VOCAB, NULL);
        int32_t id = next(s, logits);
        assert_in_range(id, 0, N_VOCAB - 1);
        lfm2_sampler_destroy(s);
    }
}

static void refuses_bad_calls(void **state)
{
    (void)state;
    lfm2_sampler_params p = lfm2_sampler_params_default();
    lfm2_sampler *s = NULL;
    assert_int_equal(lfm2_sampler_create(NULL, &p, 10, NULL, NULL, &s), LFM2_ERR_ARG);
    assert_int_equal(lfm2_sampler_create(rt, NULL, 10, NULL, NULL, &s), LFM2_ERR_ARG);
    assert_int_equal(lfm2_sampler_create(rt, &p, 10, NULL, NULL, NULL), LFM2_ERR_ARG);
    assert_int_equal(lfm2_sampler_create(rt, &p, 0, NULL, NULL, &s), LFM2_ERR_ARG);
    assert_int_equal(lfm2_sampler_create(rt, &p, -5, NULL, NULL, &s), LFM2_ERR_ARG);
    assert_int_equal(lfm2_sampler_create(rt, &p, 10, none, NULL, &s), LFM2_ERR_ARG);
    assert_null(s);
    lfm2_sampler_destroy(NULL);

    float logits[4] = {0};
    int32_t id = 0;
    s = make(&p, 4, NULL);
    assert_int_equal(lfm2_sampler_next(NULL, logits, &id, NULL), LFM2_ERR_ARG);
    assert_int_equal(lfm2_sampler_next(s, NULL, &id, NULL), LFM2_ERR_ARG);
    assert_int_equal(lfm2_sampler_next(s, logits, NULL, NULL), LFM2_ERR_ARG);
    lfm2_sampler_destroy(s);
}

static void create_survives_allocation_failure(void **state)
{
    (void)state;
    lfm2_sampler_params p = lfm2_sampler_params_default();
    long k = 0;
    while (test_fail_next(&heap, &k)) {
        lfm2_sampler *s = NULL;
        int rc = lfm2_sampler_create(rt, &p, 100, NULL, NULL, &s);
        assert_int_equal(rc, test_has_failed(&heap) ? LFM2_ERR_NOMEM : 0);
        assert_true(rc == 0 ? s != NULL : s == NULL);
        lfm2_sampler_destroy(s);
    }
    assert_true(k > 3);
}

static void next_does_not_allocate(void **state)
{
    (void)state;
    lfm2_sampler_params p = {0.7f, 10, 0.9f, 0.05f, 1.1f, 1};
    float logits[N_VOCAB], logprob;
    int32_t id;
    some_logits(logits, N_VOCAB);
    lfm2_sampler *s = make(&p, N_VOCAB, NULL);
    long before = heap.n_calls;
    for (int i = 0; i < 100; i++) assert_int_equal(lfm2_sampler_next(s, logits, &id, &logprob), 0);
    assert_int_equal(heap.n_calls, before);
    lfm2_sampler_destroy(s);
}

/* ---- greedy */

static void greedy_takes_the_greatest_and_the_lower_id_of_equals(void **state)
{
    (void)state;
    lfm2_sampler_params p = lfm2_sampler_params_default();
    float logits[6] = {1.0f, 3.0f, -2.0f, 3.0f, 2.5f, 3.0f};
    lfm2_sampler *s = make(&p, 6, NULL);
    assert_int_equal(next(s, logits), 1);
    assert_int_equal(next(s, logits), 1); /* a penalty of 1 changes nothing */
    lfm2_sampler_destroy(s);

    s = make(&p, 6, third_is_not);
    logits[0] = 10.0f;
    logits[1] = -1.0f;
    assert_int_equal(next(s, logits), 5);
    lfm2_sampler_destroy(s);
}

static void penalty_divides_positive_and_multiplies_negative_once(void **state)
{
    (void)state;
    lfm2_sampler_params p = lfm2_sampler_params_default();
    p.repeat_penalty = 2.0f;
    float logits[4] = {4.0f, 2.5f, -1.0f, 2.2f};
    lfm2_sampler *s = make(&p, 4, NULL);
    assert_int_equal(next(s, logits), 0); /* 4.0 becomes 2.0 */
    assert_int_equal(next(s, logits), 1); /* 2.5 becomes 1.25 */
    assert_int_equal(next(s, logits), 3); /* 2.2 becomes 1.1 */
    assert_int_equal(next(s, logits), 0); /* still 2.0, not 1.0 */
    lfm2_sampler_accept(s, 0);
    lfm2_sampler_accept(s, -1);
    lfm2_sampler_accept(s, 4);
    lfm2_sampler_accept(s, INT32_MAX);
    assert_int_equal(next(s, logits), 0);
    lfm2_sampler_reset(s);
    assert_int_equal(next(s, logits), 0);
    assert_int_equal(next(s, logits), 1);
    lfm2_sampler_destroy(s);

    float negative[3] = {-1.0f, -1.5f, -3.0f};
    s = make(&p, 3, NULL);
    lfm2_sampler_accept(s, 0); /* as a prompt would: -1 becomes -2 */
    assert_int_equal(next(s, negative), 1);
    assert_int_equal(next(s, negative), 0);
    lfm2_sampler_destroy(s);
}

/* ---- log-probability and values that are no numbers */

static void logprob_is_of_the_untouched_distribution(void **state)
{
    (void)state;
    static const lfm2_sampler_params params[] = {{0.0f, 0, 1.0f, 0.0f, 1.5f, 0}, {2.0f, 5, 0.9f, 0.1f, 1.5f, 3}};
    float logits[N_VOCAB];
    some_logits(logits, N_VOCAB);
    double sum = 0.0;
    for (int32_t i = 0; i < N_VOCAB; i++) sum += third_is_not(NULL, i) ? exp((double)logits[i]) : 0.0;
    for (size_t k = 0; k < 2; k++) {
        lfm2_sampler *s = make(&params[k], N_VOCAB, third_is_not);
        for (int i = 0; i < 50; i++) {
            int32_t id = -1;
            float logprob = 0.0f;
            assert_int_equal(lfm2_sampler_next(s, logits, &id, &logprob), 0);
            assert_true(fabs((double)logprob - log(exp((double)logits[id]) / sum)) < 1e-6);
        }
        lfm2_sampler_destroy(s);
    }
}

static void logprob_of_a_large_vocabulary(void **state)
{
    (void)state;
    enum { N_LARGE = 65536 + 7 };
    lfm2_sampler_params p = lfm2_sampler_params_default();
    float *logits = malloc(N_LARGE * sizeof(float));
    assert_non_null(logits);
    some_logits(logits, N_LARGE);
    logits[N_LARGE - 3] = 4.5f;
    double sum = 0.0;
    for (int32_t i = 0; i < N_LARGE; i++) sum += third_is_not(NULL, i) ? exp((double)logits[i]) : 0.0;
    lfm2_sampler *s = make(&p, N_LARGE, third_is_not);
    int32_t id = -1;
    float logprob = 0.0f;
    assert_int_equal(lfm2_sampler_next(s, logits, &id, &logprob), 0);
    assert_int_equal(id, N_LARGE - 3);
    assert_true(fabs((double)logprob - (4.5 - log(sum))) < 2e-6);
    lfm2_sampler_destroy(s);
    free(logits);
}

static void logprob_holds_at_the_ends_of_the_range(void **state)
{
    (void)state;
    lfm2_sampler_params p = lfm2_sampler_params_default();
    float logits[3] = {FLT_MAX, -FLT_MAX, -INFINITY}, logprob = 1.0f;
    int32_t id = -1;
    lfm2_sampler *s = make(&p, 3, NULL);
    assert_int_equal(lfm2_sampler_next(s, logits, &id, &logprob), 0);
    assert_int_equal(id, 0);
    assert_true(logprob >= 0.0f && logprob <= 0.0f);
    lfm2_sampler_destroy(s);

    p.temperature = 1.0f;
    p.repeat_penalty = 100.0f;
    s = make(&p, 3, NULL);
    lfm2_sampler_accept(s, 1); /* -FLT_MAX * 100 is no infinity here */
    assert_int_equal(next(s, logits), 0);
    lfm2_sampler_destroy(s);
}

static void refuses_logits_that_are_no_numbers(void **state)
{
    (void)state;
    static const float temperatures[] = {0.0f, 1.0f};
    for (size_t t = 0; t < 2; t++) {
        lfm2_sampler_params p = lfm2_sampler_params_default();
        p.temperature = temperatures[t];
        lfm2_sampler *s = make(&p, 6, third_is_not);
        float logits[6] = {0.0f, 1.0f, 2.0f, 0.0f, 1.0f, 2.0f};
        int32_t id = 77;
        float logprob = 77.0f;

        logits[4] = NAN;
        assert_int_equal(lfm2_sampler_next(s, logits, &id, &logprob), LFM2_ERR_NONFINITE);
        logits[4] = INFINITY;
        assert_int_equal(lfm2_sampler_next(s, logits, &id, &logprob), LFM2_ERR_NONFINITE);
        for (int i = 0; i < 6; i++) logits[i] = i % 3 == 0 ? 5.0f : -INFINITY;
        assert_int_equal(lfm2_sampler_next(s, logits, &id, &logprob), LFM2_ERR_NONFINITE);
        assert_int_equal(id, 77);
        assert_true(logprob >= 77.0f && logprob <= 77.0f);

        logits[0] = NAN; /* not allowed: no influence */
        logits[3] = INFINITY;
        logits[2] = -1.0f; /* the only one left */
        assert_int_equal(lfm2_sampler_next(s, logits, &id, &logprob), 0);
        assert_int_equal(id, 2);
        assert_true(logprob >= 0.0f && logprob <= 0.0f);
        lfm2_sampler_destroy(s);
    }
}

/* ---- distributions against a naive reference */

typedef struct weighted {
    double p;
    int32_t id;
} weighted;

static int by_rank(const void *a, const void *b)
{
    const weighted *x = a, *y = b;
    if (x->p > y->p || x->p < y->p) return x->p > y->p ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

static void scale_to_one(weighted *w, int32_t n)
{
    double sum = 0.0;
    for (int32_t i = 0; i < n; i++) sum += w[i].p;
    for (int32_t i = 0; i < n; i++) w[i].p /= sum;
}

/* Probability of every id: sort, cut, scale to one, step after step. */
static void naive(const lfm2_sampler_params *p, const float *logits, const int *seen, double *prob)
{
    weighted w[N_VOCAB];
    int32_t n = N_VOCAB;
    for (int32_t i = 0; i < n; i++) {
        double v = (double)logits[i];
        if (seen[i]) v = v > 0.0 ? v / (double)p->repeat_penalty : v * (double)p->repeat_penalty;
        w[i].p = exp(v / (double)p->temperature);
        w[i].id = i;
        prob[i] = 0.0;
    }
    qsort(w, (size_t)n, sizeof(w[0]), by_rank);
    if (p->top_k > 0 && p->top_k < n) n = p->top_k;
    scale_to_one(w, n);
    if (p->top_p < 1.0f) {
        double cum = 0.0;
        int32_t n_kept = 0;
        while (n_kept < n && cum < (double)p->top_p) cum += w[n_kept++].p;
        n = n_kept;
        scale_to_one(w, n);
    }
    int32_t n_kept = 0;
    while (n_kept < n && w[n_kept].p >= (double)p->min_p * w[0].p) n_kept++;
    scale_to_one(w, n_kept);
    for (int32_t i = 0; i < n_kept; i++) prob[w[i].id] = w[i].p;
}

/* Upper 0.1 % point of chi-square (Wilson and Hilferty). */
static double chi_square_limit(int32_t df)
{
    double a = 2.0 / (9.0 * df);
    double b = 1.0 - a + 3.0902 * sqrt(a);
    return df * b * b * b;
}

static void check_distribution(const lfm2_sampler_params *p)
{
    float logits[N_VOCAB];
    int seen[N_VOCAB] = {0};
    int32_t count[N_VOCAB] = {0};
    double prob[N_VOCAB];
    some_logits(logits, N_VOCAB);
    for (int32_t i = 0; i < N_VOCAB; i += 4) seen[i] = 1;
    naive(p, logits, seen, prob);

    lfm2_sampler *s = make(p, N_VOCAB, NULL);
    lfm2_sampler_params fresh = *p;
    for (int32_t k = 0; k < N_DRAWS; k++) {
        if (p->repeat_penalty > 1.0f) { /* each draw with the same ids seen, and with a seed of its own */
            lfm2_sampler_destroy(s);
            fresh.seed = p->seed + (uint64_t)k;
            s = make(&fresh, N_VOCAB, NULL);
            for (int32_t i = 0; i < N_VOCAB; i += 4) lfm2_sampler_accept(s, i);
        }
        count[next(s, logits)]++;
    }
    lfm2_sampler_destroy(s);

    double chi = 0.0, rest_p = 0.0;
    int32_t n_cells = 0, rest = 0;
    for (int32_t i = 0; i < N_VOCAB; i++) {
        double expected = prob[i] * N_DRAWS;
        if (prob[i] <= 0.0) {
            assert_int_equal(count[i], 0);
        } else if (expected < 10.0) { /* small cells together */
            rest_p += prob[i];
            rest += count[i];
        } else {
            chi += (count[i] - expected) * (count[i] - expected) / expected;
            n_cells++;
        }
    }
    if (rest_p * N_DRAWS > 1.0) {
        double expected = rest_p * N_DRAWS;
        chi += (rest - expected) * (rest - expected) / expected;
        n_cells++;
    }
    if (n_cells > 1) assert_true(chi < chi_square_limit(n_cells - 1));
}

static void draws_follow_the_naive_reference(void **state)
{
    (void)state;
    static const lfm2_sampler_params params[] = {
        {1.0f, 0, 1.0f, 0.0f, 1.0f, 1},    {0.3f, 0, 1.0f, 0.0f, 1.0f, 2},   {5.0f, 0, 1.0f, 0.0f, 1.0f, 3},
        {100.0f, 0, 1.0f, 0.0f, 1.0f, 4},  {1.0f, 1, 1.0f, 0.0f, 1.0f, 5},   {2.0f, 5, 1.0f, 0.0f, 1.0f, 6},
        {2.0f, 40, 1.0f, 0.0f, 1.0f, 7},   {2.0f, 1000, 1.0f, 0.0f, 1.0f, 8}, {2.0f, 0, 0.7f, 0.0f, 1.0f, 9},
        {1.0f, 0, 0.05f, 0.0f, 1.0f, 10},  {2.0f, 0, 0.999f, 0.0f, 1.0f, 11}, {2.0f, 0, 1.0f, 0.1f, 1.0f, 12},
        {2.0f, 0, 1.0f, 1.0f, 1.0f, 13},   {2.0f, 12, 0.8f, 0.0f, 1.0f, 14},  {2.0f, 12, 0.8f, 0.3f, 1.0f, 15},
        {3.0f, 0, 0.9f, 0.2f, 1.0f, 16},   {1.0f, 0, 1.0f, 0.0f, 1.5f, 1000}, {2.0f, 8, 0.9f, 0.05f, 1.3f, 2000},
    };
    for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++) check_distribution(&params[i]);
}

/* The check itself notices a wrong distribution. */
static void chi_square_notices_a_difference(void **state)
{
    (void)state;
    lfm2_sampler_params p = {1.0f, 0, 1.0f, 0.0f, 1.0f, 1};
    float logits[2] = {0.0f, 0.1f};
    int32_t count = 0;
    lfm2_sampler *s = make(&p, 2, NULL);
    for (int32_t k = 0; k < N_DRAWS; k++) count += next(s, logits);
    lfm2_sampler_destroy(s);
    double off = count - N_DRAWS / 2.0; /* as if both were equal */
    assert_true(2.0 * off * off / (N_DRAWS / 2.0) > chi_square_limit(1));
}

static void cuts_among_equals_keep_the_lower_ids(void **state)
{
    (void)state;
    static const struct {
        lfm2_sampler_params p;
        int32_t n_kept;
    } cases[] = {
        {{1.0f, 3, 1.0f, 0.0f, 1.0f, 1}, 3},
        {{1.0f, 0, 0.5f, 0.0f, 1.0f, 2}, 4},
        {{1.0f, 4, 0.5f, 0.0f, 1.0f, 3}, 2},
        {{1.0f, 0, 1.0f, 1.0f, 1.0f, 4}, 8},
    };
    float logits[8];
    for (int i = 0; i < 8; i++) logits[i] = 0.25f;
    for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
        int32_t count[8] = {0};
        lfm2_sampler *s = make(&cases[k].p, 8, NULL);
        for (int i = 0; i < 1000; i++) count[next(s, logits)]++;
        lfm2_sampler_destroy(s);
        for (int32_t i = 0; i < 8; i++) {
            if (i < cases[k].n_kept) assert_true(count[i] > 0);
            else assert_int_equal(count[i], 0);
        }
    }
}

static void ids_that_are_not_allowed_never_appear(void **state)
{
    (void)state;
    lfm2_sampler_params p = {100.0f, 0, 1.0f, 0.0f, 1.0f, 99};
    float logits[N_VOCAB];
    int32_t count[N_VOCAB] = {0};
    some_logits(logits, N_VOCAB);
    logits[0] = 50.0f;
    lfm2_sampler *s = make(&p, N_VOCAB, third_is_not);
    for (int32_t k = 0; k < 100000; k++) count[next(s, logits)]++;
    lfm2_sampler_destroy(s);
    for (int32_t i = 0; i < N_VOCAB; i++) {
        if (third_is_not(NULL, i)) assert_true(count[i] > 3000);
        else assert_int_equal(count[i], 0);
    }
}

/* ---- reproducibility */

static void the_same_seed_gives_the_same_ids(void **state)
{
    (void)state;
    lfm2_sampler_params p = {1.5f, 0, 0.95f, 0.01f, 1.1f, 42};
    float logits[N_VOCAB];
    int32_t first[64], other[64];
    some_logits(logits, N_VOCAB);
    lfm2_sampler *a = make(&p, N_VOCAB, NULL), *b = make(&p, N_VOCAB, NULL);
    for (int i = 0; i < 64; i++) {
        first[i] = next(a, logits);
        assert_int_equal(next(b, logits), first[i]);
    }
    lfm2_sampler_reset(a);
    for (int i = 0; i < 64; i++) assert_int_equal(next(a, logits), first[i]);
    lfm2_sampler_destroy(a);
    lfm2_sampler_destroy(b);

    p.seed = 43;
    a = make(&p, N_VOCAB, NULL);
    for (int i = 0; i < 64; i++) other[i] = next(a, logits);
    assert_memory_not_equal(first, other, sizeof(first));
    lfm2_sampler_destroy(a);
}

/* These ids are the contract: they are the same on every machine and in every version. */
static void ids_of_a_seed_are_pinned(void **state)
{
    (void)state;
    static const struct {
        lfm2_sampler_params p;
        int32_t ids[12];
    } pinned[] = {
        {{1.0f, 0, 1.0f, 0.0f, 1.0f, 0}, {39, 19, 4, 39, 9, 17, 12, 35, 12, 39, 19, 35}},
        {{0.8f, 20, 0.9f, 0.02f, 1.05f, 7}, {35, 29, 20, 12, 19, 19, 12, 35, 4, 12, 4, 39}},
    };
    float logits[N_VOCAB];
    some_logits(logits, N_VOCAB);
    for (size_t k = 0; k < sizeof(pinned) / sizeof(pinned[0]); k++) {
        lfm2_sampler *s = make(&pinned[k].p, N_VOCAB, NULL);
        for (int i = 0; i < 12; i++) assert_int_equal(next(s, logits), pinned[k].ids[i]);
        lfm2_sampler_destroy(s);
    }
}

/* ---- biases */

static void biases_move_the_choice_and_not_the_logprob(void **state)
{
    (void)state;
    lfm2_sampler_params p = lfm2_sampler_params_default();
    const float logits[6] = {0.0f, 1.0f, 2.0f, 3.0f, -1.0f, 0.5f};
    lfm2_bias biases[] = {{1, 1.5f}, {1, 1.0f}, {2, 0.5f}, {0, 50.0f}, {-1, 9.0f}, {6, 9.0f}};
    lfm2_sampler *s = make(&p, 6, third_is_not); /* neither 0 nor 3 */
    float plain = 0.0f, biased = 0.0f;
    int32_t id = -1;

    assert_int_equal(lfm2_sampler_next(s, logits, &id, NULL), 0);
    assert_int_equal(id, 2);
    lfm2_sampler_set_biases(s, biases, 6);
    assert_int_equal(lfm2_sampler_next(s, logits, &id, &biased), 0);
    assert_int_equal(id, 1); /* both of its biases count: 3.5 against 2.5 */
    biases[1].add = 0.0f;    /* borrowed: 2.5 against 2.5, the lower id */
    assert_int_equal(next(s, logits), 1);
    biases[2].add = 0.75f;
    assert_int_equal(next(s, logits), 2);
    lfm2_sampler_set_biases(s, biases, 0);
    assert_int_equal(next(s, logits), 2);
    lfm2_sampler_set_biases(s, biases, 1);
    lfm2_sampler_reset(s);
    assert_int_equal(next(s, logits), 2);
    const float only_one[6] = {0.0f, 1.0f, -INFINITY, 3.0f, -1.0f, 0.5f};
    assert_int_equal(lfm2_sampler_next(s, only_one, &id, NULL), 0);
    lfm2_sampler_set_biases(NULL, biases, 1);
    lfm2_sampler_destroy(s);

    s = make(&p, 6, third_is_not); /* id 1 without any bias, from the same logits */
    const float favours[6] = {0.0f, 1.0f, 2.0f, 3.0f, -1.0f, 0.5f};
    lfm2_bias small = {1, 1.5f};
    lfm2_sampler_set_biases(s, &small, 1);
    assert_int_equal(lfm2_sampler_next(s, favours, &id, &plain), 0);
    assert_int_equal(id, 1);
    assert_float_equal(plain, biased, 0.0f);
    lfm2_sampler_destroy(s);
}

static void biases_go_before_the_penalty(void **state)
{
    (void)state;
    lfm2_sampler_params p = lfm2_sampler_params_default();
    p.repeat_penalty = 2.0f;
    const float logits[3] = {2.0f, 3.0f, -9.0f};
    const lfm2_bias bias = {1, 0.5f};
    lfm2_sampler *s = make(&p, 3, NULL);
    lfm2_sampler_accept(s, 1);
    lfm2_sampler_set_biases(s, &bias, 1);
    assert_int_equal(next(s, logits), 0); /* (3 + 0.5) / 2 < 2 */
    lfm2_sampler_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_parameters_out_of_range),
        cmocka_unit_test(accepts_parameters_at_their_limits),
        cmocka_unit_test(refuses_bad_calls),
        cmocka_unit_test(create_survives_allocation_failure),
        cmocka_unit_test(next_does_not_allocate),
        cmocka_unit_test(greedy_takes_the_greatest_and_the_lower_id_of_equals),
        cmocka_unit_test(penalty_divides_positive_and_multiplies_negative_once),
        cmocka_unit_test(logprob_is_of_the_untouched_distribution),
        cmocka_unit_test(logprob_of_a_large_vocabulary),
        cmocka_unit_test(logprob_holds_at_the_ends_of_the_range),
        cmocka_unit_test(refuses_logits_that_are_no_numbers),
        cmocka_unit_test(draws_follow_the_naive_reference),
        cmocka_unit_test(chi_square_notices_a_difference),
        cmocka_unit_test(cuts_among_equals_keep_the_lower_ids),
        cmocka_unit_test(ids_that_are_not_allowed_never_appear),
        cmocka_unit_test(the_same_seed_gives_the_same_ids),
        cmocka_unit_test(ids_of_a_seed_are_pinned),
        cmocka_unit_test(biases_move_the_choice_and_not_the_logprob),
        cmocka_unit_test(biases_go_before_the_penalty),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
