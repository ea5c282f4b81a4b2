/* SPDX-License-Identifier: Apache-2.0
 * Sessions: sizes and allocations, errors that change nothing, errors that clear, shortening, copying, saving. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/compiler.h"
#include "model_testing.h"

enum { VOCAB = 101, N_IDS = 40 };

typedef struct fixture {
    test_heap heap;
    test_log log;
    lfm2_runtime *rt;
    lfm2_model *m;
    int32_t ids[N_IDS];
} fixture;

static fixture dense, moe, conv, attn;

static const toy_spec CONV_ONLY = { .layers = "ccc", .d = 64, .heads = 4, .kv = 2, .ff = 96, .vocab = VOCAB, .taps = 4,
                                    .seed = 21 };
static const toy_spec ATTN_ONLY = { .layers = "aa", .d = 64, .heads = 4, .kv = 2, .ff = 96, .vocab = VOCAB, .taps = 3, .seed = 22 };

static void make_fixture(fixture *f, const toy_spec *spec)
{
    f->rt = toy_runtime(2, 0, &f->heap, &f->log);
    f->m = toy_load(f->rt, spec);
    toy_ids(f->ids, N_IDS, VOCAB, 1);
}

static void drop_fixture(fixture *f)
{
    lfm2_model_unload(f->m);
    lfm2_runtime_destroy(f->rt);
}

static int setup(void **state)
{
    (void)state;
    make_fixture(&dense, &TOY_DENSE);
    make_fixture(&moe, &TOY_MOE);
    make_fixture(&conv, &CONV_ONLY);
    make_fixture(&attn, &ATTN_ONLY);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    drop_fixture(&dense);
    drop_fixture(&moe);
    drop_fixture(&conv);
    drop_fixture(&attn);
    return 0;
}

static fixture *const ALL[] = { &dense, &moe, &conv, &attn };

static void assert_same_next(lfm2_session *a, int32_t seq_a, lfm2_session *b, int32_t seq_b, const int32_t *ids, int n)
{
    static float x[N_IDS * VOCAB], y[N_IDS * VOCAB];
    assert_int_equal(lfm2_session_n_tok(a, seq_a), lfm2_session_n_tok(b, seq_b));
    toy_forward(a, seq_a, ids, n, x);
    toy_forward(b, seq_b, ids, n, y);
    assert_memory_equal(x, y, (size_t)n * VOCAB * sizeof(float));
}

static void feed(lfm2_session *s, int32_t seq, const int32_t *ids, int n)
{
    static float logits[N_IDS * VOCAB];
    toy_forward(s, seq, ids, n, logits);
}

/* --- sizes --- */

static void test_bytes_are_what_is_allocated(void **state)
{
    (void)state;
    static const lfm2_session_params params[] = { { 1, 16, 8, 0 }, { 3, 100, 1, 5 }, { 7, 1, 33, 16 }, { 1, 4096, 512, 4096 } };
    for (size_t i = 0; i < LFM2__COUNT_OF(ALL); i++) {
        for (size_t k = 0; k < LFM2__COUNT_OF(params); k++) {
            fixture *f = ALL[i];
            lfm2_session *s = NULL;
            size_t before = f->heap.total_bytes;
            assert_int_equal(lfm2_session_create(f->m, &params[k], &s), 0);
            assert_int_equal(f->heap.total_bytes - before, lfm2_session_bytes(f->m, &params[k]));
            lfm2_session_destroy(s);
        }
    }
}

static void test_limits(void **state)
{
    (void)state;
    static const struct {
        lfm2_session_params p;
        const char *field; /* NULL: fine */
    } cases[] = {
        { { 0, 16, 8, 0 }, "n_seqs" }, { { -1, 16, 8, 0 }, "n_seqs" }, { { 1025, 16, 8, 0 }, "n_seqs" },
        { { 1, 0, 8, 0 }, "cap_tok" }, { { 1, -5, 8, 0 }, "cap_tok" }, { { 1, 4097, 8, 0 },
                                                                         "cap_tok" }, /* the toy's context is 4096 */
        { { 1, 16, 0, 0 }, "cap_batch" }, { { 1, 16, 8193, 0 }, "cap_batch" }, { { 1, 16, 8, -1 }, "cap_rewind" },
        { { 1, 16, 8, 4097 }, "cap_rewind" }, { { 1, 1, 1, 0 }, NULL }, { { 1024, 1, 1, 0 }, NULL },
    };
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        lfm2_session *s = NULL;
        int rc = lfm2_session_create(dense.m, &cases[i].p, &s);
        assert_int_equal(rc, cases[i].field ? LFM2_ERR_ARG : 0);
        assert_int_equal(lfm2_session_bytes(dense.m, &cases[i].p) == 0, cases[i].field != NULL);
        if (cases[i].field) {
            assert_null(s);
            assert_non_null(strstr(dense.log.line, cases[i].field));
        }
        lfm2_session_destroy(s);
    }
    lfm2_session_params p = lfm2_session_params_default(dense.m);
    lfm2_session *s = NULL;
    assert_true(p.n_seqs == 1 && p.cap_tok == 4096 && p.cap_batch == 512 && p.cap_rewind == 16);
    assert_int_equal(lfm2_session_create(NULL, &p, &s), LFM2_ERR_ARG);
    assert_int_equal(lfm2_session_create(dense.m, NULL, &s), LFM2_ERR_ARG);
    assert_int_equal(lfm2_session_create(dense.m, &p, NULL), LFM2_ERR_ARG);
    assert_int_equal(lfm2_session_bytes(NULL, &p), 0);
    assert_int_equal(lfm2_session_bytes(dense.m, NULL), 0);
    lfm2_session_destroy(NULL);
}

static void test_no_allocation_in_forward(void **state)
{
    (void)state;
    static float logits[N_IDS * VOCAB];
    for (size_t i = 0; i < LFM2__COUNT_OF(ALL); i++) {
        fixture *f = ALL[i];
        lfm2_session *s = toy_session(f->m, 3, 64, 16, 4);
        lfm2_span spans[3] = { { .seq = 2, .n_tok = 20, .ids = f->ids, .logits = LFM2_LOGITS_LAST },
                               { .seq = 0, .n_tok = 1, .ids = f->ids, .logits = LFM2_LOGITS_NONE },
                               { .seq = 1, .n_tok = 5, .ids = f->ids, .logits = LFM2_LOGITS_ALL } };
        long before = f->heap.n_calls;
        for (int k = 0; k < 3; k++) assert_int_equal(lfm2_session_forward(s, spans, 3, logits, N_IDS), 0);
        assert_int_equal(lfm2_session_clone(s, 2, 0), 0);
        assert_int_equal(lfm2_session_truncate(s, 0, 58), 0);
        assert_int_equal(lfm2_session_clear(s, 0), 0);
        assert_int_equal(f->heap.n_calls, before);
        lfm2_session_destroy(s);
    }
}

/* --- errors --- */

static void assert_refused(lfm2_session *s, const lfm2_span *spans, int32_t n_spans, float *logits, int64_t cap_rows, int want,
                           const char *named)
{
    int32_t before[4];
    for (int32_t q = 0; q < 4; q++) before[q] = lfm2_session_n_tok(s, q);
    dense.log.line[0] = 0;
    assert_int_equal(lfm2_session_forward(s, spans, n_spans, logits, cap_rows), want);
    if (named && !strstr(dense.log.line, named)) fail_msg("\"%s\" does not name %s", dense.log.line, named);
    for (int32_t q = 0; q < 4; q++) assert_int_equal(lfm2_session_n_tok(s, q), before[q]);
}

static void test_refused_calls_change_nothing(void **state)
{
    (void)state;
    static float logits[N_IDS * VOCAB], embed[2 * 64];
    lfm2_session *s = toy_session(dense.m, 4, 32, 8, 4), *same = toy_session(dense.m, 4, 32, 8, 4);
    for (int32_t q = 0; q < 4; q++) {
        feed(s, q, dense.ids, 5 + q);
        feed(same, q, dense.ids, 5 + q);
    }
    const lfm2_span good = { .seq = 0, .n_tok = 3, .ids = dense.ids, .logits = LFM2_LOGITS_LAST };
    lfm2_span two[2] = { good, good };
    lfm2_span apart[3] = { good, { .seq = 1, .n_tok = 1, .ids = dense.ids }, good };
    assert_refused(NULL, &good, 1, logits, 1, LFM2_ERR_ARG, NULL);
    assert_refused(s, NULL, 1, logits, 1, LFM2_ERR_ARG, NULL);
    assert_refused(s, &good, 0, logits, 1, LFM2_ERR_ARG, NULL);
    assert_refused(s, &good, -1, logits, 1, LFM2_ERR_ARG, NULL);
    assert_refused(s, apart, 3, logits, 2, LFM2_ERR_ARG, "span 2"); /* a sequence twice, not side by side */
    two[0].n_tok = 20;
    two[1].n_tok = 8; /* each would fit */
    assert_refused(s, two, 2, logits, 2, LFM2_ERR_RANGE, "5 tokens and 28 more do not fit its 32");
#define BAD(status, named, ...)                                    \
    do {                                                           \
        two[0] = good;                                             \
        two[1] = (lfm2_span){ __VA_ARGS__ };                       \
        assert_refused(s, two, 2, logits, N_IDS, status, named);   \
    } while (0)
    int32_t ids[3] = { 1, -1, 2 };
    BAD(LFM2_ERR_ARG, "span 1", .seq = 4, .n_tok = 1, .ids = dense.ids);
    BAD(LFM2_ERR_ARG, "span 1", .seq = -1, .n_tok = 1, .ids = dense.ids);
    BAD(LFM2_ERR_ARG, "n_tok", .seq = 1, .n_tok = 0, .ids = dense.ids);
    BAD(LFM2_ERR_ARG, "n_tok", .seq = 1, .n_tok = -3, .ids = dense.ids);
    BAD(LFM2_ERR_ARG, "ids and embed", .seq = 1, .n_tok = 1);
    BAD(LFM2_ERR_ARG, "ids and embed", .seq = 1, .n_tok = 1, .ids = dense.ids, .embed = embed);
    BAD(LFM2_ERR_ARG, "logits", .seq = 1, .n_tok = 1, .ids = dense.ids, .logits = (lfm2_logits)3);
    BAD(LFM2_ERR_ARG, "vocabulary of 101", .seq = 1, .n_tok = 3, .ids = ids);
    ids[1] = VOCAB;
    BAD(LFM2_ERR_ARG, "id 1 of 3", .seq = 1, .n_tok = 3, .ids = ids);
    BAD(LFM2_ERR_RANGE, "6 tokens and 27 more do not fit its 32", .seq = 1, .n_tok = 27, .ids = dense.ids);
    BAD(LFM2_ERR_RANGE, NULL, .seq = 1, .n_tok = INT32_MAX, .embed = embed);
    assert_refused(s, &good, 1, NULL, 1, LFM2_ERR_ARG, "no place");
    assert_refused(s, &good, 1, logits, 0, LFM2_ERR_RANGE, "1 rows");
    assert_refused(s, &good, 1, logits, -1, LFM2_ERR_RANGE, NULL);
    two[1] = (lfm2_span){ .seq = 1, .n_tok = 4, .ids = dense.ids, .logits = LFM2_LOGITS_ALL };
    assert_refused(s, two, 2, logits, 4, LFM2_ERR_RANGE, "5 rows");
    for (int32_t q = 0; q < 4; q++) assert_same_next(s, q, same, q, dense.ids + 9, 4);
    /* the log names places, never ids */
    ids[1] = 77777;
    BAD(LFM2_ERR_ARG, NULL, .seq = 1, .n_tok = 3, .ids = ids);
    assert_null(strstr(dense.log.line, "77777"));
#undef BAD
    lfm2_session_destroy(s);
    lfm2_session_destroy(same);
}

static void test_without_logits(void **state)
{
    (void)state;
    lfm2_session *s = toy_session(dense.m, 2, 32, 8, 4);
    lfm2_span span = { .seq = 0, .n_tok = 20, .ids = dense.ids };
    assert_int_equal(lfm2_session_forward(s, &span, 1, NULL, 0), 0);
    feed(s, 1, dense.ids, 20);
    assert_same_next(s, 0, s, 1, dense.ids + 20, 3);
    lfm2_session_destroy(s);
}

static void test_abort(void **state)
{
    (void)state;
    float logits[VOCAB];
    lfm2_session *s = toy_session(dense.m, 3, 32, 8, 4);
    for (int32_t q = 0; q < 3; q++) feed(s, q, dense.ids, 5);
    lfm2_span spans[2] = { { .seq = 0, .n_tok = 3, .ids = dense.ids },
                           { .seq = 2, .n_tok = 3, .ids = dense.ids, .logits = LFM2_LOGITS_LAST } };
    lfm2_runtime_abort(dense.rt);
    assert_int_equal(lfm2_session_forward(s, spans, 2, logits, 1), LFM2_ERR_ABORTED);
    lfm2_runtime_clear_abort(dense.rt);
    assert_int_equal(lfm2_session_n_tok(s, 0), 0);
    assert_int_equal(lfm2_session_n_tok(s, 1), 5);
    assert_int_equal(lfm2_session_n_tok(s, 2), 0);
    assert_int_equal(lfm2_session_forward(s, spans, 2, logits, 1), 0);
    lfm2_session_destroy(s);
}

typedef struct abort_at {
    lfm2_runtime *rt;
    const char *point;
    int n_other;
} abort_at;

static void abort_there(void *ctx, const char *point, const float *x, int32_t n_tok, int32_t d_model)
{
    abort_at *a = ctx;
    (void)x;
    (void)n_tok;
    (void)d_model;
    if (strcmp(point, a->point) == 0)
        lfm2_runtime_abort(a->rt);
    else
        a->n_other++;
}

/* Set in the middle of a pass: no further layer is computed. */
static void test_abort_inside(void **state)
{
    (void)state;
    static const char *const points[] = { "embed", "layer.0", "layer.3", "norm" };
    for (size_t i = 0; i < LFM2__COUNT_OF(points); i++) {
        for (size_t k = 0; k < 2; k++) {
            fixture *f = k ? &moe : &dense;
            float logits[VOCAB];
            lfm2_session *s = toy_session(f->m, 1, 32, 8, 4);
            abort_at a = { f->rt, points[i], 0 };
            lfm2_span span = { .seq = 0, .n_tok = 20, .ids = f->ids, .logits = LFM2_LOGITS_LAST };
            lfm2_session_probe(s, abort_there, &a);
            assert_int_equal(lfm2_session_forward(s, &span, 1, logits, 1), LFM2_ERR_ABORTED);
            lfm2_runtime_clear_abort(f->rt);
            assert_int_equal(a.n_other, i == 0 ? 0 : i == 1 ? 1 : i == 2 ? 4 : 6);
            assert_int_equal(lfm2_session_n_tok(s, 0), 0);
            lfm2_session_destroy(s);
        }
    }
}

static void test_not_finite(void **state)
{
    (void)state;
    static toy m;
    static const char *const names[] = { "layers.0.conv.conv.weight", "layers.1.self_attn.k_proj.weight",
                                         "layers.2.feed_forward.w2.weight",
                                         "embedding_norm.weight" };
    test_heap heap;
    test_log log;
    lfm2_runtime *rt = toy_runtime(1, 0, &heap, &log);
    for (size_t i = 0; i < LFM2__COUNT_OF(names); i++) {
        float logits[VOCAB];
        toy_init(&m, &TOY_DENSE);
        toy_find(&m, names[i])->data[1] = i % 2 ? INFINITY : NAN;
        lfm2_model *model = toy_reload(rt, &m);
        lfm2_session *s = toy_session(model, 2, 16, 8, 0);
        lfm2_span span = { .seq = 1, .n_tok = 4, .ids = dense.ids, .logits = LFM2_LOGITS_LAST };
        assert_int_equal(lfm2_session_forward(s, &span, 1, logits, 1), LFM2_ERR_NONFINITE);
        assert_int_equal(lfm2_session_n_tok(s, 1), 0);
        lfm2_session_destroy(s);
        lfm2_model_unload(model);
        toy_fini(&m);
    }
    lfm2_runtime_destroy(rt);
}

static void test_not_finite_experts(void **state)
{
    (void)state;
    static toy m;
    test_heap heap;
    test_log log;
    lfm2_runtime *rt = toy_runtime(1, 0, &heap, &log);
    float logits[VOCAB];
    toy_init(&m, &TOY_MOE);
    for (int i = 0; i < TOY_MOE.experts * TOY_MOE.d; i++) toy_find(&m, "layers.2.feed_forward.gate.weight")->data[i] = NAN;
    lfm2_model *model = toy_reload(rt, &m);
    lfm2_session *s = toy_session(model, 1, 16, 8, 0);
    lfm2_span span = { .seq = 0, .n_tok = 4, .ids = dense.ids, .logits = LFM2_LOGITS_LAST };
    assert_int_equal(lfm2_session_forward(s, &span, 1, logits, 1), LFM2_ERR_NONFINITE);
    lfm2_session_destroy(s);
    lfm2_model_unload(model);
    toy_fini(&m);
    lfm2_runtime_destroy(rt);
}

/* Not a number in the rows that the caller gives. */
static void test_not_finite_embeddings(void **state)
{
    (void)state;
    float logits[VOCAB], embed[64] = { 0 };
    lfm2_session *s = toy_session(dense.m, 1, 16, 8, 0);
    lfm2_span span = { .seq = 0, .n_tok = 1, .embed = embed, .logits = LFM2_LOGITS_LAST };
    assert_int_equal(lfm2_session_forward(s, &span, 1, logits, 1), 0); /* all zeros are fine */
    embed[3] = NAN;
    assert_int_equal(lfm2_session_forward(s, &span, 1, logits, 1), LFM2_ERR_NONFINITE);
    assert_int_equal(lfm2_session_n_tok(s, 0), 0);
    lfm2_session_destroy(s);
}

static void test_file_cut_short(void **state)
{
    (void)state;
    static toy m;
    test_heap heap;
    test_log log;
    lfm2_runtime *rt = toy_runtime(1, 0, &heap, &log);
    char dir[64], path[96];
    float logits[VOCAB];
    lfm2_model *model = NULL;
    toy_init(&m, &TOY_DENSE);
    make_folder(dir, sizeof(dir));
    toy_save_with_config(rt, &m, dir);
    (void)snprintf(path, sizeof(path), "%s/model.safetensors", dir);
    assert_int_equal(lfm2_model_load(rt, dir, &model), 0);
    lfm2_session *s = toy_session(model, 1, 16, 8, 0);
    lfm2_span span = { .seq = 0, .n_tok = 4, .ids = dense.ids, .logits = LFM2_LOGITS_LAST };
    assert_int_equal(lfm2_session_forward(s, &span, 1, logits, 1), 0);
    assert_int_equal(truncate(path, 4096), 0);
    span.n_tok = 1;
    /* The embedding row may itself lie beyond the new end, so rows of our own are given. */
    float embed[64] = { 1 };
    span.ids = NULL;
    span.embed = embed;
    assert_int_equal(lfm2_session_forward(s, &span, 1, logits, 1), LFM2_ERR_IO);
    assert_non_null(strstr(log.line, "model.safetensors"));
    assert_int_equal(lfm2_session_n_tok(s, 0), 0);
    lfm2_session_destroy(s);
    lfm2_model_unload(model);
    remove_folder(dir);
    toy_fini(&m);
    lfm2_runtime_destroy(rt);
}

/* --- shortening, emptying, copying --- */

static void test_truncate(void **state)
{
    (void)state;
    for (size_t i = 0; i < LFM2__COUNT_OF(ALL); i++) {
        fixture *f = ALL[i];
        for (int32_t off = 0; off <= 5; off++) {
            lfm2_session *s = toy_session(f->m, 2, 64, 7, 5);
            feed(s, 0, f->ids, 20);
            feed(s, 1, f->ids, 20 - off);
            assert_int_equal(lfm2_session_truncate(s, 0, 20 - off), 0);
            assert_same_next(s, 0, s, 1, f->ids + 30, 4);
            /* once more, after new tokens */
            assert_int_equal(lfm2_session_truncate(s, 0, 23 - off), 0);
            assert_int_equal(lfm2_session_truncate(s, 1, 22 - off), 0);
            feed(s, 1, f->ids + 32, 1);
            assert_same_next(s, 0, s, 1, f->ids + 10, 3);
            lfm2_session_destroy(s);
        }
    }
}

static void test_truncate_limits(void **state)
{
    (void)state;
    lfm2_session *s = toy_session(dense.m, 2, 64, 16, 5);
    feed(s, 0, dense.ids, 20);
    assert_int_equal(lfm2_session_truncate(NULL, 0, 1), LFM2_ERR_ARG);
    assert_int_equal(lfm2_session_truncate(s, 2, 1), LFM2_ERR_ARG);
    assert_int_equal(lfm2_session_truncate(s, -1, 1), LFM2_ERR_ARG);
    assert_int_equal(lfm2_session_truncate(s, 0, -1), LFM2_ERR_ARG);
    assert_int_equal(lfm2_session_truncate(s, 0, 21), LFM2_ERR_ARG);
    assert_int_equal(lfm2_session_truncate(s, 0, 14), LFM2_ERR_STATE);
    assert_int_equal(lfm2_session_n_tok(s, 0), 20);
    assert_int_equal(lfm2_session_truncate(s, 0, 20), 0);
    assert_int_equal(lfm2_session_truncate(s, 0, 17), 0);
    assert_int_equal(lfm2_session_truncate(s, 0, 15), 0);
    /* the history has been used up, though the step is small */
    assert_int_equal(lfm2_session_truncate(s, 0, 14), LFM2_ERR_STATE);
    assert_int_equal(lfm2_session_n_tok(s, 0), 15);
    feed(s, 1, dense.ids, 15);
    assert_same_next(s, 0, s, 1, dense.ids + 20, 5);
    /* to nothing is always possible */
    assert_int_equal(lfm2_session_truncate(s, 0, 0), 0);
    assert_int_equal(lfm2_session_clear(s, 1), 0);
    assert_same_next(s, 0, s, 1, dense.ids, 9);
    /* a sequence shorter than the history can go back to any length within cap_rewind */
    assert_int_equal(lfm2_session_clear(s, 0), 0);
    feed(s, 0, dense.ids, 5);
    assert_int_equal(lfm2_session_truncate(s, 0, 1), 0);
    assert_int_equal(lfm2_session_clear(s, 1), 0);
    feed(s, 1, dense.ids, 1);
    assert_same_next(s, 0, s, 1, dense.ids + 7, 5);
    lfm2_session_destroy(s);
    s = toy_session(dense.m, 1, 64, 16, 0);
    feed(s, 0, dense.ids, 5);
    assert_int_equal(lfm2_session_truncate(s, 0, 4), LFM2_ERR_STATE);
    assert_int_equal(lfm2_session_truncate(s, 0, 0), 0);
    lfm2_session_destroy(s);
}

static void test_clear_and_n_tok(void **state)
{
    (void)state;
    lfm2_session *s = toy_session(dense.m, 2, 64, 16, 5);
    assert_int_equal(lfm2_session_clear(NULL, 0), LFM2_ERR_ARG);
    assert_int_equal(lfm2_session_clear(s, 2), LFM2_ERR_ARG);
    assert_int_equal(lfm2_session_clear(s, -1), LFM2_ERR_ARG);
    assert_int_equal(lfm2_session_n_tok(NULL, 0), -1);
    assert_int_equal(lfm2_session_n_tok(s, 2), -1);
    assert_int_equal(lfm2_session_n_tok(s, -1), -1);
    assert_int_equal(lfm2_session_n_tok(s, 0), 0);
    feed(s, 0, dense.ids, 30);
    assert_int_equal(lfm2_session_n_tok(s, 0), 30);
    assert_int_equal(lfm2_session_clear(s, 0), 0);
    assert_same_next(s, 0, s, 1, dense.ids, 12); /* nothing of the old content is seen */
    lfm2_session_destroy(s);
    lfm2_session_probe(NULL, NULL, NULL);
}

static void test_clone(void **state)
{
    (void)state;
    for (size_t i = 0; i < LFM2__COUNT_OF(ALL); i++) {
        fixture *f = ALL[i];
        static const int lengths[] = { 0, 1, 2, 19 };
        for (size_t k = 0; k < LFM2__COUNT_OF(lengths); k++) {
            lfm2_session *s = toy_session(f->m, 3, 64, 16, 5);
            feed(s, 2, f->ids + 3, 25);
            if (lengths[k] > 0) feed(s, 0, f->ids, lengths[k]);
            assert_int_equal(lfm2_session_clone(s, 0, 2), 0);
            assert_same_next(s, 0, s, 2, f->ids + 20, 6);
            assert_int_equal(lfm2_session_truncate(s, 0, lengths[k] + 3), 0); /* its history came along */
            assert_int_equal(lfm2_session_truncate(s, 2, lengths[k] + 3), 0);
            assert_same_next(s, 0, s, 2, f->ids + 10, 2);
            assert_int_equal(lfm2_session_clone(s, 2, 2), 0);
            assert_same_next(s, 0, s, 2, f->ids + 15, 2);
            assert_int_equal(lfm2_session_clone(s, 3, 0), LFM2_ERR_ARG);
            assert_int_equal(lfm2_session_clone(s, 0, -1), LFM2_ERR_ARG);
            assert_int_equal(lfm2_session_clone(NULL, 0, 1), LFM2_ERR_ARG);
            lfm2_session_destroy(s);
        }
    }
}

/* --- saving --- */

static unsigned char saved[1 << 20];

static void test_save_restore(void **state)
{
    (void)state;
    static const int lengths[] = { 0, 1, 2, 19 };
    for (size_t i = 0; i < LFM2__COUNT_OF(ALL); i++) {
        fixture *f = ALL[i];
        for (size_t k = 0; k < LFM2__COUNT_OF(lengths); k++) {
            lfm2_session *s = toy_session(f->m, 2, 64, 16, 9), *t = toy_session(f->m, 3, 40, 5, k % 2 ? 2 : 12);
            size_t n = 1;
            feed(s, 1, f->ids + 3, 25);
            assert_int_equal(lfm2_session_clear(s, 1), 0);
            if (lengths[k] > 0) feed(s, 1, f->ids, lengths[k]);
            feed(t, 2, f->ids + 7, 11);
            const size_t need = lfm2_session_save_bytes(s, 1);
            assert_true(need <= sizeof(saved));
            assert_int_equal(lfm2_session_save(s, 1, saved, need - 1, &n), LFM2_ERR_RANGE);
            assert_int_equal(n, 1);
            assert_int_equal(lfm2_session_save(s, 1, saved, need, &n), 0);
            assert_int_equal(n, need);
            assert_int_equal(lfm2_session_restore(t, 2, saved, n), 0);
            assert_int_equal(lfm2_session_truncate(s, 1, lengths[k] > 2 ? lengths[k] - 2 : lengths[k]), 0);
            assert_int_equal(lfm2_session_truncate(t, 2, lengths[k] > 2 ? lengths[k] - 2 : lengths[k]), 0);
            assert_same_next(s, 1, t, 2, f->ids + 20, 6);
            lfm2_session_destroy(s);
            lfm2_session_destroy(t);
        }
    }
}

/* Every byte of the header is checked, every length, and a refusal changes nothing. */
static void test_restore_refuses(void **state)
{
    (void)state;
    enum { HEADER = 112 };
    lfm2_session *s = toy_session(dense.m, 2, 64, 16, 9), *same = toy_session(dense.m, 2, 64, 16, 9);
    size_t n = 0;
    feed(s, 0, dense.ids, 19);
    assert_int_equal(lfm2_session_save(s, 0, saved, sizeof(saved), &n), 0);
    assert_memory_equal(saved, "LFM2SEQ", 8);
    feed(s, 1, dense.ids + 4, 7);
    feed(same, 1, dense.ids + 4, 7);
    unsigned char *copy = malloc(n + 1);
    assert_non_null(copy);
    for (size_t at = 0; at < HEADER; at++) {
        for (int bit = 0; bit < 8; bit++) {
            memcpy(copy, saved, n);
            copy[at] ^= (unsigned char)(1 << bit);
            int rc = lfm2_session_restore(s, 1, copy, n);
            if (rc != LFM2_ERR_FORMAT) fail_msg("byte %zu, bit %d: %d", at, bit, rc);
        }
    }
    memcpy(copy, saved, n);
    for (size_t cut = 0; cut < n; cut += cut < 2 * HEADER ? 1 : 97)
        assert_int_equal(lfm2_session_restore(s, 1, copy, cut), LFM2_ERR_FORMAT);
    assert_int_equal(lfm2_session_restore(s, 1, copy, n + 1), LFM2_ERR_FORMAT);
    free(copy);
    assert_int_equal(lfm2_session_n_tok(s, 1), 7);
    assert_same_next(s, 1, same, 1, dense.ids, 8);

    lfm2_session *small = toy_session(dense.m, 1, 18, 16, 9), *other = toy_session(moe.m, 1, 64, 16, 9);
    assert_int_equal(lfm2_session_restore(small, 0, saved, n), LFM2_ERR_RANGE);
    assert_int_equal(lfm2_session_restore(other, 0, saved, n), LFM2_ERR_FORMAT);
    assert_int_equal(lfm2_session_restore(NULL, 0, saved, n), LFM2_ERR_ARG);
    assert_int_equal(lfm2_session_restore(s, 2, saved, n), LFM2_ERR_ARG);
    assert_int_equal(lfm2_session_restore(s, 0, NULL, n), LFM2_ERR_ARG);
    assert_int_equal(lfm2_session_save(NULL, 0, saved, sizeof(saved), &n), LFM2_ERR_ARG);
    assert_int_equal(lfm2_session_save(s, -1, saved, sizeof(saved), &n), LFM2_ERR_ARG);
    assert_int_equal(lfm2_session_save(s, 0, NULL, sizeof(saved), &n), LFM2_ERR_ARG);
    assert_int_equal(lfm2_session_save(s, 0, saved, sizeof(saved), NULL), LFM2_ERR_ARG);
    assert_int_equal(lfm2_session_save_bytes(NULL, 0), 0);
    assert_int_equal(lfm2_session_save_bytes(s, 2), 0);
    lfm2_session_destroy(s);
    lfm2_session_destroy(same);
    lfm2_session_destroy(small);
    lfm2_session_destroy(other);
}

/* The context is used to its last token. */
static void test_full_context(void **state)
{
    (void)state;
    float logits[VOCAB];
    lfm2_session *s = toy_session(dense.m, 2, 20, 8, 4);
    feed(s, 0, dense.ids, 19);
    feed(s, 0, dense.ids + 19, 1);
    lfm2_span span = { .seq = 0, .n_tok = 1, .ids = dense.ids, .logits = LFM2_LOGITS_LAST };
    assert_int_equal(lfm2_session_forward(s, &span, 1, logits, 1), LFM2_ERR_RANGE);
    assert_int_equal(lfm2_session_n_tok(s, 0), 20);
    assert_int_equal(lfm2_session_truncate(s, 0, 19), 0);
    feed(s, 1, dense.ids, 19);
    assert_same_next(s, 0, s, 1, dense.ids + 5, 1);
    lfm2_session_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_are_what_is_allocated), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_no_allocation_in_forward), cmocka_unit_test(test_refused_calls_change_nothing),
        cmocka_unit_test(test_without_logits), cmocka_unit_test(test_abort), cmocka_unit_test(test_abort_inside),
        cmocka_unit_test(test_not_finite), cmocka_unit_test(test_not_finite_experts),
        cmocka_unit_test(test_not_finite_embeddings), cmocka_unit_test(test_file_cut_short), cmocka_unit_test(test_truncate),
        cmocka_unit_test(test_truncate_limits), cmocka_unit_test(test_clear_and_n_tok), cmocka_unit_test(test_clone),
        cmocka_unit_test(test_save_restore), cmocka_unit_test(test_restore_refuses), cmocka_unit_test(test_full_context),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
