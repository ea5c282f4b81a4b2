/* SPDX-License-Identifier: Apache-2.0
 * The forward pass against plain double precision, and the equivalences that must hold bit for bit. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "model_testing.h"

enum { N_TOK = 37, MAX_VOCAB = 128 };

/* Every value passes some 100 roundings of 2^-24 in a row, and norms and softmax may amplify what came before tenfold:
 * (2^-24 * sqrt(100) * 10)^2 = 4e-11. */
#define REFERENCE_NMSE 1e-10

/* Two orders of summation, per matrix product at most 4 eps (sqrt(n) + 8) sum|x w| (n = 96 and sum|x w| about sqrt(n) |y| here),
 * from some 40 products in a row as independent errors: sqrt(40) * 4 * 2^-24 * 18 * 10 = 2.7e-4 of the spread of the logits. */
#define MASK_TOLERANCE 2.7e-4

typedef struct fixture {
    test_heap heap;
    test_log log;
    lfm2_runtime *rt;
} fixture;

static const struct {
    const char *name;
    toy_spec spec;
} SPECS[] = {
    { "mixed", { .layers = "ccacac", .d = 64, .heads = 4, .kv = 2, .ff = 96, .vocab = 101, .taps = 3, .seed = 3 } },
    { "convolutions only", { .layers = "cccc", .d = 64, .heads = 4, .kv = 2, .ff = 96, .vocab = 101, .taps = 3, .seed = 4 } },
    { "attention only", { .layers = "aaa", .d = 64, .heads = 4, .kv = 2, .ff = 96, .vocab = 101, .taps = 3, .seed = 5 } },
    { "attention first, one kv head", { .layers = "acca", .d = 64, .heads = 4, .kv = 1, .ff = 96, .vocab = 101, .taps = 3,
                                        .seed = 6 } },
    { "one layer", { .layers = "c", .d = 64, .heads = 1, .kv = 1, .ff = 96, .vocab = 101, .taps = 3, .seed = 7 } },
    { "no sharing of heads, wide heads", { .layers = "ca", .d = 64, .heads = 2, .kv = 2, .head_dim = 48, .ff = 33, .vocab = 99,
                                           .taps = 3, .seed = 8 } },
    { "one tap", { .layers = "cac", .d = 32, .heads = 2, .kv = 1, .ff = 40, .vocab = 50, .taps = 1, .seed = 9 } },
    { "five taps, untied", { .layers = "cac", .d = 32, .heads = 2, .kv = 1, .ff = 40, .vocab = 50, .taps = 5, .untied = 1,
                             .seed = 10 } },
    { "experts", { .layers = "cacac", .d = 64, .heads = 4, .kv = 2, .ff = 96, .vocab = 101, .taps = 3, .experts = 6, .used = 3,
                   .ffe = 40,
                   .dense = 2, .seed = 11 } },
    { "experts everywhere, no bias", { .layers = "ca", .d = 64, .heads = 4, .kv = 2, .ff = 96, .vocab = 101, .taps = 3,
                                       .experts = 4,
                                       .used = 4, .ffe = 24, .dense = 0, .no_bias = 1, .seed = 12 } },
};

static void assert_same_bits(const float *a, const float *b, size_t n)
{
    assert_memory_equal(a, b, n * sizeof(float));
}

static void assert_near(const float *a, const float *b, size_t n)
{
    double spread = 0;
    for (size_t i = 0; i < n; i++) spread += (double)b[i] * (double)b[i];
    spread = sqrt(spread / (double)n);
    for (size_t i = 0; i < n; i++) {
        if (fabs((double)a[i] - (double)b[i]) > MASK_TOLERANCE * spread)
            fail_msg("element %zu: %g and %g, spread %g", i, (double)a[i], (double)b[i], spread);
    }
}

static void test_against_double(void **state)
{
    (void)state;
    static toy m;
    static float logits[N_TOK * MAX_VOCAB];
    static double want[N_TOK * MAX_VOCAB];
    for (size_t i = 0; i < LFM2__COUNT_OF(SPECS); i++) {
        const toy_spec *spec = &SPECS[i].spec;
        int32_t ids[N_TOK];
        toy_ids(ids, N_TOK, spec->vocab, i);
        toy_init(&m, spec);
        toy_reference(&m, ids, NULL, N_TOK, want);
        toy_fini(&m);
        for (int full = 0; full < 2; full++) {
            fixture f;
            f.rt = toy_runtime(2, full ? LFM2_CPU_MASK_ALL : 0, &f.heap, &f.log);
            lfm2_model *model = toy_load(f.rt, spec);
            lfm2_session *s = toy_session(model, 1, N_TOK, 64, 0);
            toy_forward(s, 0, ids, N_TOK, logits);
            double nmse = toy_nmse(logits, want, (size_t)(N_TOK * spec->vocab));
            print_message("%s, %s: NMSE %.2e\n", SPECS[i].name, full ? "all instruction sets" : "scalar", nmse);
            assert_true(nmse <= REFERENCE_NMSE);
            lfm2_session_destroy(s);
            lfm2_model_unload(model);
            lfm2_runtime_destroy(f.rt);
        }
    }
}

/* The same model through every way of naming its tensors gives the same bits. */
static void test_containers_agree(void **state)
{
    (void)state;
    static toy m;
    static float first[N_TOK * MAX_VOCAB], logits[N_TOK * MAX_VOCAB];
    const toy_spec *specs[] = { &SPECS[0].spec, &SPECS[8].spec, &SPECS[5].spec };
    for (size_t i = 0; i < LFM2__COUNT_OF(specs); i++) {
        fixture f;
        f.rt = toy_runtime(1, 0, &f.heap, &f.log);
        int32_t ids[N_TOK];
        toy_ids(ids, N_TOK, specs[i]->vocab, 1);
        for (int form = 0; form < 3; form++) {
            if (form == 2 && specs[i]->experts == 0) continue;
            char dir[64], path[96];
            lfm2_model *model = NULL;
            toy_init(&m, specs[i]);
            make_folder(dir, sizeof(dir));
            (void)snprintf(path, sizeof(path), "%s%s", dir, form == 1 ? "/m.gguf" : "");
            if (form == 2) toy_fuse_experts(&m);
            if (form == 1)
                toy_save_gguf(f.rt, &m, path, NULL);
            else
                toy_save_with_config(f.rt, &m, dir);
            assert_int_equal(lfm2_model_load(f.rt, path, &model), 0);
            remove_folder(dir);
            toy_fini(&m);
            lfm2_session *s = toy_session(model, 1, N_TOK, 64, 0);
            toy_forward(s, 0, ids, N_TOK, form == 0 ? first : logits);
            if (form > 0) assert_same_bits(logits, first, (size_t)(N_TOK * specs[i]->vocab));
            lfm2_session_destroy(s);
            lfm2_model_unload(model);
        }
        lfm2_runtime_destroy(f.rt);
    }
}

/* Prefill, token by token, in pieces, cut by cap_batch: the same logits. */
static void test_prefill_is_stepping(void **state)
{
    (void)state;
    static float whole[N_TOK * MAX_VOCAB], parts[N_TOK * MAX_VOCAB];
    static const int pieces[] = { 1, 2, 5, 16, 17 };
    for (size_t i = 0; i < LFM2__COUNT_OF(SPECS); i++) {
        for (int full = 0; full < 2; full++) {
            const size_t vocab = (size_t)SPECS[i].spec.vocab;
            fixture f;
            f.rt = toy_runtime(2, full ? LFM2_CPU_MASK_ALL : 0, &f.heap, &f.log);
            lfm2_model *model = toy_load(f.rt, &SPECS[i].spec);
            lfm2_session *s = toy_session(model, 1, N_TOK, 64, 0), *cut = toy_session(model, 1, N_TOK, 3, 4);
            int32_t ids[N_TOK];
            toy_ids(ids, N_TOK, (int)vocab, 2);
            toy_forward(s, 0, ids, N_TOK, whole);
            for (size_t k = 0; k <= LFM2__COUNT_OF(pieces); k++) {
                memset(parts, 0, sizeof(parts));
                if (k == LFM2__COUNT_OF(pieces)) {
                    toy_forward(cut, 0, ids, N_TOK, parts);
                } else {
                    assert_int_equal(lfm2_session_clear(s, 0), 0);
                    for (int t = 0, n; t < N_TOK; t += n) {
                        n = N_TOK - t < pieces[k] ? N_TOK - t : pieces[k];
                        toy_forward(s, 0, ids + t, n, parts + (size_t)t * vocab);
                    }
                }
                if (full)
                    assert_near(parts, whole, N_TOK * vocab);
                else
                    assert_same_bits(parts, whole, N_TOK * vocab);
            }
            lfm2_session_destroy(cut);
            lfm2_session_destroy(s);
            lfm2_model_unload(model);
            lfm2_runtime_destroy(f.rt);
        }
    }
}

/* Eight sequences of different lengths in one pass, in several rounds, give what each gives alone. */
static void ragged(const toy_spec *spec, uint32_t mask, int32_t cap_batch)
{
    enum { N_SEQS = 8, ROUNDS = 3, CAP = 64 };
    static float got[N_SEQS * CAP * MAX_VOCAB], alone[CAP * MAX_VOCAB];
    const size_t vocab = (size_t)spec->vocab;
    fixture f;
    f.rt = toy_runtime(2, mask, &f.heap, &f.log);
    lfm2_model *model = toy_load(f.rt, spec);
    lfm2_session *s = toy_session(model, N_SEQS, CAP, cap_batch, 2), *one = toy_session(model, 1, CAP, CAP, 0);
    int32_t ids[ROUNDS][N_SEQS][16];
    for (int r = 0; r < ROUNDS; r++) {
        lfm2_span spans[N_SEQS];
        int64_t n_rows = 0;
        for (int q = 0; q < N_SEQS; q++) {
            int seq = (q * 3 + r) % N_SEQS, n = 1 + (q * 5 + r * 7) % 16;
            toy_ids(ids[r][seq], 16, spec->vocab, (uint64_t)(r * 100 + q));
            spans[q] = (lfm2_span){ .seq = seq, .n_tok = n, .ids = ids[r][seq], .logits = (lfm2_logits)(q % 3) };
            n_rows += spans[q].logits == LFM2_LOGITS_ALL ? n : spans[q].logits == LFM2_LOGITS_LAST;
        }
        assert_int_equal(lfm2_session_forward(s, spans, N_SEQS, got, n_rows), 0);
        const float *row = got;
        for (int q = 0; q < N_SEQS; q++) {
            const int seq = spans[q].seq;
            assert_int_equal(lfm2_session_clear(one, 0), 0);
            for (int past = 0; past < r; past++)
                toy_forward(one, 0, ids[past][seq], 1 + (((seq - past + 16) * 3 % 8) * 5 + past * 7) % 16, alone);
            toy_forward(one, 0, spans[q].ids, spans[q].n_tok, alone);
            assert_int_equal(lfm2_session_n_tok(s, seq), lfm2_session_n_tok(one, 0));
            size_t n = spans[q].logits == LFM2_LOGITS_ALL ? (size_t)spans[q].n_tok : spans[q].logits == LFM2_LOGITS_LAST;
            const float *want = alone + ((size_t)spans[q].n_tok - n) * vocab;
            if (mask == 0)
                assert_same_bits(row, want, n * vocab);
            else
                assert_near(row, want, n * vocab);
            row += n * vocab;
        }
    }
    lfm2_session_destroy(one);
    lfm2_session_destroy(s);
    lfm2_model_unload(model);
    lfm2_runtime_destroy(f.rt);
}

static void test_ragged(void **state)
{
    (void)state;
    ragged(&SPECS[0].spec, 0, 512);
    ragged(&SPECS[0].spec, 0, 7);
    ragged(&SPECS[8].spec, 0, 512);
    ragged(&SPECS[7].spec, 0, 512);
    ragged(&SPECS[0].spec, LFM2_CPU_MASK_ALL, 512);
    ragged(&SPECS[8].spec, LFM2_CPU_MASK_ALL, 512);
}

/* Bits do not depend on the thread count. */
static void test_threads(void **state)
{
    (void)state;
    static float first[N_TOK * MAX_VOCAB], logits[N_TOK * MAX_VOCAB];
    static const int32_t threads[] = { 1, 2, 5 };
    const toy_spec *specs[] = { &SPECS[0].spec, &SPECS[8].spec };
    for (size_t i = 0; i < LFM2__COUNT_OF(specs); i++) {
        for (int full = 0; full < 2; full++) {
            for (size_t k = 0; k < LFM2__COUNT_OF(threads); k++) {
                fixture f;
                f.rt = toy_runtime(threads[k], full ? LFM2_CPU_MASK_ALL : 0, &f.heap, &f.log);
                lfm2_model *model = toy_load(f.rt, specs[i]);
                lfm2_session *s = toy_session(model, 1, N_TOK + 1, 64, 0);
                int32_t ids[N_TOK + 1];
                toy_ids(ids, N_TOK + 1, specs[i]->vocab, 3);
                float *out = k == 0 ? first : logits;
                toy_forward(s, 0, ids, N_TOK - 1, out);
                toy_forward(s, 0, ids + N_TOK - 1, 1, out + (size_t)(N_TOK - 1) * (size_t)specs[i]->vocab);
                if (k > 0) assert_same_bits(logits, first, (size_t)(N_TOK * specs[i]->vocab));
                lfm2_session_destroy(s);
                lfm2_model_unload(model);
                lfm2_runtime_destroy(f.rt);
            }
        }
    }
}

/* Rows of the embedding table given as embeddings are those ids; other rows give what the reference gives. */
static void test_embeddings(void **state)
{
    (void)state;
    static toy m;
    static float by_id[N_TOK * MAX_VOCAB], by_row[N_TOK * MAX_VOCAB], rows[N_TOK * 64];
    static double want[N_TOK * MAX_VOCAB];
    const toy_spec *spec = &SPECS[0].spec;
    fixture f;
    f.rt = toy_runtime(1, 0, &f.heap, &f.log);
    lfm2_model *model = toy_load(f.rt, spec);
    lfm2_session *s = toy_session(model, 2, N_TOK, 64, 0);
    int32_t ids[N_TOK];
    toy_ids(ids, N_TOK, spec->vocab, 4);
    toy_init(&m, spec);
    for (int t = 0; t < N_TOK; t++)
        memcpy(rows + t * 64, toy_find(&m, "embed_tokens.weight")->data + ids[t] * 64, 64 * sizeof(float));
    toy_forward(s, 0, ids, N_TOK, by_id);
    lfm2_span span = { .seq = 1, .n_tok = N_TOK, .embed = rows, .logits = LFM2_LOGITS_ALL };
    assert_int_equal(lfm2_session_forward(s, &span, 1, by_row, N_TOK), 0);
    assert_same_bits(by_row, by_id, (size_t)(N_TOK * spec->vocab));
    for (int i = 0; i < N_TOK * 64; i++) rows[i] = sinf((float)i);
    assert_int_equal(lfm2_session_clear(s, 1), 0);
    assert_int_equal(lfm2_session_forward(s, &span, 1, by_row, N_TOK), 0);
    toy_reference(&m, NULL, rows, N_TOK, want);
    assert_true(toy_nmse(by_row, want, (size_t)(N_TOK * spec->vocab)) <= REFERENCE_NMSE);
    toy_fini(&m);
    lfm2_session_destroy(s);
    lfm2_model_unload(model);
    lfm2_runtime_destroy(f.rt);
}

typedef struct seen {
    int n_points;
    char points[16][16];
    int32_t n_tok;
    float last[N_TOK * 64];
} seen;

static void see(void *ctx, const char *point, const float *x, int32_t n_tok, int32_t d_model)
{
    seen *v = ctx;
    assert_int_equal(d_model, 64);
    (void)snprintf(v->points[v->n_points++ % 16], 16, "%s", point);
    v->n_tok = n_tok;
    memcpy(v->last, x, (size_t)n_tok * 64 * sizeof(float));
}

static void test_probe(void **state)
{
    (void)state;
    static seen v;
    static float logits[N_TOK * MAX_VOCAB], plain[N_TOK * MAX_VOCAB];
    static const char *const want[] = { "embed", "layer.0", "layer.1", "layer.2", "layer.3", "layer.4", "norm" };
    fixture f;
    f.rt = toy_runtime(1, 0, &f.heap, &f.log);
    lfm2_model *model = toy_load(f.rt, &TOY_DENSE);
    lfm2_session *s = toy_session(model, 2, N_TOK, 64, 0);
    int32_t ids[N_TOK];
    toy_ids(ids, N_TOK, TOY_DENSE.vocab, 5);
    toy_forward(s, 0, ids, N_TOK, plain);
    lfm2_session_probe(s, see, &v);
    toy_forward(s, 1, ids, N_TOK, logits);
    assert_same_bits(logits, plain, (size_t)(N_TOK * TOY_DENSE.vocab));
    assert_int_equal(v.n_points, LFM2__COUNT_OF(want));
    for (size_t i = 0; i < LFM2__COUNT_OF(want); i++) assert_string_equal(v.points[i], want[i]);
    assert_int_equal(v.n_tok, N_TOK);
    lfm2_session_probe(s, NULL, NULL);
    assert_int_equal(lfm2_session_clear(s, 1), 0);
    toy_forward(s, 1, ids, 1, logits);
    assert_int_equal(v.n_points, LFM2__COUNT_OF(want));
    lfm2_session_destroy(s);
    lfm2_model_unload(model);
    lfm2_runtime_destroy(f.rt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_double), cmocka_unit_test(test_containers_agree),
        cmocka_unit_test(test_prefill_is_stepping), cmocka_unit_test(test_ragged), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_embeddings), cmocka_unit_test(test_probe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
