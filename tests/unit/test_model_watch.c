/* SPDX-License-Identifier: Apache-2.0
 * Watching a sequence's attention: against plain double precision, and whatever else runs in the same pass. */
#include <math.h>

#include "base/compiler.h"
#include "model_testing.h"

enum { N_TOK = 21, CAP = 40, HEADS = 4, LAYERS = 2, D = 32, D_HEAD = D / HEADS };

static const toy_spec SPEC = { .layers = "aca", .d = D, .heads = HEADS, .kv = 2, .ff = 40, .vocab = 50, .taps = 3, .seed = 21 };

/* One head after its norm and the rotation of position pos. */
static void turned(const float *w, const float *norm, const double *x, int head, int pos, double *out)
{
    double q[D_HEAD], squares = 0;
    for (int e = 0; e < D_HEAD; e++) {
        q[e] = 0;
        for (int i = 0; i < D; i++) q[e] += (double)w[(head * D_HEAD + e) * D + i] * x[i];
        squares += q[e] * q[e];
    }
    for (int e = 0; e < D_HEAD; e++) q[e] *= (double)norm[e] / sqrt(squares / D_HEAD + 1e-5);
    for (int e = 0; e < D_HEAD / 2; e++) {
        const double angle = pos * pow(1e4, -2.0 * e / D_HEAD);
        out[e] = q[e] * cos(angle) - q[e + D_HEAD / 2] * sin(angle);
        out[e + D_HEAD / 2] = q[e + D_HEAD / 2] * cos(angle) + q[e] * sin(angle);
    }
}

/* What the last of n tokens attends to by one head of the first layer. */
static void reference(toy *m, const int32_t *ids, int n, int head, double *p)
{
    const float *embed = toy_find(m, "embed_tokens.weight")->data, *norm = toy_find(m, "layers.0.operator_norm.weight")->data;
    const float *wq = toy_find(m, "layers.0.self_attn.q_proj.weight")->data;
    const float *wk = toy_find(m, "layers.0.self_attn.k_proj.weight")->data;
    const float *nq = toy_find(m, "layers.0.self_attn.q_layernorm.weight")->data;
    const float *nk = toy_find(m, "layers.0.self_attn.k_layernorm.weight")->data;
    double q[D_HEAD], k[D_HEAD], x[D], sum = 0;
    for (int t = n - 1; t >= 0; t--) {
        double squares = 0;
        for (int i = 0; i < D; i++) squares += (double)embed[ids[t] * D + i] * (double)embed[ids[t] * D + i];
        for (int i = 0; i < D; i++) x[i] = (double)embed[ids[t] * D + i] * (double)norm[i] / sqrt(squares / D + 1e-5);
        if (t == n - 1) turned(wq, nq, x, head, t, q);
        turned(wk, nk, x, head / 2, t, k);
        p[t] = 0;
        for (int e = 0; e < D_HEAD; e++) p[t] += q[e] * k[e] / sqrt(D_HEAD);
    }
    for (int t = 0; t < n; t++) sum += p[t] = exp(p[t]);
    for (int t = 0; t < n; t++) p[t] /= sum;
}

static void watched_values(uint32_t mask)
{
    static toy m;
    int32_t ids[N_TOK], others[7];
    float w[LAYERS * HEADS * CAP], part[LAYERS * HEADS * 6], logits[7 * 50];
    double want[N_TOK];
    test_heap heap = { 0 };
    test_log log = { 0 };
    lfm2_runtime *rt = toy_runtime(2, mask, &heap, &log);
    toy_init(&m, &SPEC);
    toy_ids(ids, N_TOK, SPEC.vocab, 1);
    toy_ids(others, 7, SPEC.vocab, 2);
    lfm2_model *model = toy_reload(rt, &m);
    lfm2_session *s = toy_session(model, 3, CAP, 8, 0); /* longer spans are cut in three */
    assert_int_equal(lfm2_session_watch_attention(s, 1, 0, CAP, w), 0);
    assert_int_equal(lfm2_session_watch_attention(s, 2, 5, 6, part), 0);
    const long n_calls = heap.n_calls;
    for (int cut = 1; cut <= 5; cut += 4) { /* the prompt at once or in parts, then tokens one by one beside other sequences */
        for (int seq = 0; seq < 3; seq++) assert_int_equal(lfm2_session_clear(s, seq), 0);
        for (int n = cut == 1 ? N_TOK - 2 : 5, at = 0; at < N_TOK; at += n, n = 1) {
            const lfm2_span spans[] = { { .seq = 1, .n_tok = n, .ids = ids + at }, { .seq = 0, .n_tok = 1, .ids = others },
                                        { .seq = 2, .n_tok = n, .ids = ids + at } };
            for (int i = 0; i < LAYERS * HEADS * CAP; i++) w[i] = NAN;
            assert_int_equal(lfm2_session_forward(s, spans, 3, NULL, 0), 0);
            for (int row = 0; row < LAYERS * HEADS; row++) {
                double sum = 0;
                if (row < HEADS) reference(&m, ids, at + n, row, want);
                for (int t = 0; t < CAP; t++) {
                    const double p = (double)w[row * CAP + t];
                    sum += p;
                    if (t >= at + n) assert_true(p == 0); /* the future */
                    else if (row < HEADS) assert_true(fabs(p - want[t]) <= 1e-5);
                }
                assert_true(fabs(sum - 1) <= 1e-5);
                for (int t = 0; t < 6; t++) assert_true(part[row * 6 + t] == w[row * CAP + 5 + t]);
            }
        }
    }
    for (int i = 0; i < LAYERS * HEADS * CAP; i++) w[i] = 7;
    assert_int_equal(lfm2_session_watch_attention(s, 1, 0, 0, NULL), 0); /* off */
    assert_int_equal(lfm2_session_clear(s, 1), 0);
    toy_forward(s, 1, others, 7, logits);
    for (int i = 0; i < LAYERS * HEADS * CAP; i++) assert_true(w[i] == 7);
    assert_int_equal(heap.n_calls, n_calls);
    toy_fini(&m);
    lfm2_session_destroy(s);
    lfm2_model_unload(model);
    lfm2_runtime_destroy(rt);
}

static void test_scalar(void **state)
{
    (void)state;
    watched_values(0);
}

static void test_all(void **state)
{
    (void)state;
    watched_values(LFM2_CPU_MASK_ALL);
}

static void test_refused(void **state)
{
    (void)state;
    float w[1];
    test_heap heap = { 0 };
    test_log log = { 0 };
    lfm2_runtime *rt = toy_runtime(1, 0, &heap, &log);
    lfm2_model *model = toy_load(rt, &SPEC);
    lfm2_session *s = toy_session(model, 2, CAP, 8, 0);
    assert_int_equal(lfm2_session_watch_attention(NULL, 0, 0, 1, w), LFM2_ERR_ARG);
    assert_int_equal(lfm2_session_watch_attention(s, -1, 0, 1, w), LFM2_ERR_ARG);
    assert_int_equal(lfm2_session_watch_attention(s, 2, 0, 1, w), LFM2_ERR_ARG);
    assert_int_equal(lfm2_session_watch_attention(s, 0, -1, 1, w), LFM2_ERR_ARG);
    assert_int_equal(lfm2_session_watch_attention(s, 0, 0, 0, w), LFM2_ERR_ARG);
    assert_int_equal(lfm2_session_watch_attention(s, 0, 0, CAP + 1, w), LFM2_ERR_ARG);
    assert_int_equal(lfm2_session_watch_attention(s, 0, INT32_MAX, INT32_MAX, w), LFM2_ERR_ARG);
    assert_int_equal(lfm2_session_watch_attention(s, 0, CAP - 1, 1, w), 0);
    lfm2_session_destroy(s);
    lfm2_model_unload(model);
    lfm2_runtime_destroy(rt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalar),
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests_name("model_watch", tests, NULL, NULL);
}
