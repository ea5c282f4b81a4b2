/* SPDX-License-Identifier: Apache-2.0
 * Constraints: whatever is chosen among the ids that are allowed, the text is valid when it ends, also when its ids run out. */
#include "base_testing.h"

#include "lfm2/constrain.h"

typedef struct fixture {
    test_heap heap;
    test_log log;
    lfm2_runtime *rt;
    lfm2_tokenizer *tok;
    lfm2_vocab_order *order;
    int32_t n_ids;
    size_t n_words;
    uint64_t *allow;
    uint32_t seed;
} fixture;

static int setup(void **state)
{
    fixture *f = test_calloc(1, sizeof(*f));
    lfm2_runtime_params params = lfm2_runtime_params_default();
    params.n_threads = 1;
    f->rt = test_runtime_with(params, &f->heap, &f->log);
    assert_int_equal(lfm2_tokenizer_load_json(f->rt, LFM2_TEST_DIR "/oracle/golden/text/tokenizer.json", &f->tok), 0);
    assert_int_equal(lfm2_vocab_order_create(f->rt, f->tok, &f->order), 0);
    f->n_ids = lfm2_tokenizer_n_ids(f->tok);
    f->n_words = (size_t)f->n_ids / 64 + 1;
    f->allow = test_calloc(f->n_words, sizeof(*f->allow));
    f->seed = 1;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    lfm2_vocab_order_destroy(f->order);
    lfm2_tokenizer_unload(f->tok);
    lfm2_runtime_destroy(f->rt);
    assert_int_equal(f->heap.n_live, 0);
    test_free(f->allow);
    test_free(f);
    return 0;
}

static int is_allowed(const fixture *f, int32_t id)
{
    return (int)(f->allow[id / 64] >> (id % 64) & 1);
}

static int is_end(const fixture *f, int32_t id)
{
    size_t n = 0;
    const int32_t *ends = lfm2_tokenizer_end_ids(f->tok, &n);
    for (size_t i = 0; i < n; i++) {
        if (ends[i] == id) return 1;
    }
    return 0;
}

/* One of the allowed ids, all as likely as each other; -1 if there is none. */
static int32_t choose(fixture *f)
{
    int32_t n = 0;
    for (int32_t id = 0; id < f->n_ids; id++) n += is_allowed(f, id);
    if (n == 0) return -1;
    f->seed = f->seed * 1103515245u + 12345u;
    n = (int32_t)((f->seed >> 8) % (uint32_t)n);
    for (int32_t id = 0;; id++) {
        if (is_allowed(f, id) && n-- == 0) return id;
    }
}

/* One generation of at most `budget` ids; the text's length. Checks that it is valid. */
static size_t walk(fixture *f, const lfm2_grammar *g, lfm2_constraint *c, int32_t budget, char *out, size_t cap)
{
    size_t n = 0;
    lfm2_constraint_reset(c);
    for (int32_t left = budget; left > 0; left--) {
        size_t n_bytes = 0;
        int can_go_on = -1;
        memset(f->allow, 0xff, f->n_words * sizeof(*f->allow));
        assert_int_equal(lfm2_constraint_allow(c, left, f->allow, f->n_words), 0);
        const int32_t id = choose(f);
        const int is_complete = lfm2_constraint_is_complete(c, &can_go_on);
        if (id < 0) { /* possible only where the last id would have to be two */
            assert_true(is_complete);
            break;
        }
        if (is_end(f, id)) {
            assert_true(is_complete);
            assert_int_equal(lfm2_constraint_accept(c, id), 0);
            break;
        }
        assert_true(can_go_on);
        assert_int_equal(lfm2_constraint_accept(c, id), 0);
        const char *bytes = lfm2_tokenizer_bytes(f->tok, id, &n_bytes);
        assert_true(n + n_bytes <= cap);
        memcpy(out + n, bytes, n_bytes);
        n += n_bytes;
    }
    assert_true(lfm2_constraint_is_complete(c, NULL));
    if (lfm2_grammar_matches(g, out, n) != 1) fail_msg("not valid: %.*s", (int)n, out);
    return n;
}

static void every_walk_is_valid(void **state)
{
    static const char *const schemas[] = {
        "{\"type\": \"object\", \"properties\": {\"number\": {\"type\": \"string\", \"pattern\": \"^[A-Z]{2}-[0-9]{4}$\"}, "
        "\"lines\": {\"type\": "
        "\"array\", \"minItems\": 1, \"items\": {\"type\": \"object\", \"properties\": {\"text\": {\"type\": \"string\"}, "
        "\"price\": {\"type\": "
        "\"number\", \"multipleOf\": 0.01}}, \"required\": [\"text\", \"price\"], \"additionalProperties\": false}}}, "
        "\"required\": [\"number\", "
        "\"lines\"], \"additionalProperties\": false}",
        "{\"$defs\": {\"n\": {\"type\": [\"array\", \"null\"], \"items\": {\"$ref\": \"#/$defs/n\"}}}, \"$ref\": \"#/$defs/n\"}",
        "true",
        "{\"enum\": [\"a\", \"ab\", 12, null, {\"x\": [1, 2]}]}",
        "{\"type\": \"string\", \"format\": \"date-time\"}",
        "{\"type\": \"string\", \"minLength\": 30, \"maxLength\": 40}",
    };
    fixture *f = *state;
    static char out[1 << 16];
    for (size_t i = 0; i < LFM2__COUNT_OF(schemas); i++) {
        lfm2_grammar *g = NULL;
        lfm2_constraint *c = NULL;
        assert_int_equal(lfm2_grammar_from_json_schema(f->rt, schemas[i], strlen(schemas[i]), &g), 0);
        assert_int_equal(lfm2_constraint_create(g, f->order, &c), 0);
        const int32_t least = (int32_t)lfm2_grammar_min_bytes(g);
        for (int k = 0; k < 12; k++) (void)walk(f, g, c, least + k * k * 2, out, sizeof(out)); /* from just enough to plenty */
        lfm2_constraint_reset(c);
        assert_int_equal(lfm2_constraint_allow(c, least - 1, f->allow, f->n_words), LFM2_ERR_RANGE);
        lfm2_constraint_destroy(c);
        lfm2_grammar_destroy(g);
    }
}

/* A budget of exactly the shortest text is always enough, at each place that any budget leads to. */
static void the_end_stays_in_reach(void **state)
{
    static const char grammar[] = "root ::= \"{\" (root | \"xyz\" [a-c\\u00e9]*)? \"}\"";
    fixture *f = *state;
    lfm2_grammar *g = NULL;
    lfm2_constraint *c = NULL;
    char out[4096];
    assert_int_equal(lfm2_grammar_from_gbnf(f->rt, grammar, sizeof(grammar) - 1, &g), 0);
    assert_int_equal(lfm2_constraint_create(g, f->order, &c), 0);
    for (int32_t budget = 2; budget < 40; budget++) (void)walk(f, g, c, budget, out, sizeof(out));
    lfm2_constraint_destroy(c);
    lfm2_grammar_destroy(g);
}

static void ids_that_are_not_allowed_are_refused(void **state)
{
    static const char *const choices[] = {"yes", "no"};
    fixture *f = *state;
    lfm2_grammar *g = NULL;
    lfm2_constraint *c = NULL;
    size_t n_ends = 0;
    int can_go_on = -1, n_refused = 0;
    const int32_t *ends = lfm2_tokenizer_end_ids(f->tok, &n_ends);
    assert_true(n_ends > 0);
    assert_int_equal(lfm2_grammar_from_choices(f->rt, choices, 2, &g), 0);
    assert_int_equal(lfm2_constraint_create(g, f->order, &c), 0);
    assert_int_equal(lfm2_constraint_allow(c, 10, f->allow, f->n_words), 0);
    for (int32_t id = 0; id < f->n_ids; id++) {
        lfm2_constraint_reset(c);
        const int rc = lfm2_constraint_accept(c, id);
        assert_int_equal(rc, is_allowed(f, id) ? 0 : LFM2_ERR_ARG);
        n_refused += rc != 0;
    }
    assert_true(n_refused > 0);
    lfm2_constraint_reset(c);
    assert_int_equal(lfm2_constraint_accept(c, ends[0]), LFM2_ERR_ARG);
    assert_int_equal(lfm2_constraint_accept(c, -1), LFM2_ERR_ARG);
    assert_int_equal(lfm2_constraint_accept(c, f->n_ids), LFM2_ERR_ARG);
    assert_int_equal(lfm2_constraint_accept(NULL, 0), LFM2_ERR_ARG);
    assert_int_equal(lfm2_constraint_allow(c, -1, f->allow, f->n_words), LFM2_ERR_ARG);
    assert_int_equal(lfm2_constraint_allow(c, 1, NULL, 1), LFM2_ERR_ARG);
    assert_int_equal(lfm2_constraint_allow(NULL, 1, f->allow, 1), LFM2_ERR_ARG);
    assert_int_equal(lfm2_constraint_is_complete(c, &can_go_on), 0);
    assert_int_equal(can_go_on, 1);
    for (;;) { /* to its end, where only end ids may come */
        assert_int_equal(lfm2_constraint_allow(c, 10, f->allow, f->n_words), 0);
        const int32_t id = choose(f);
        assert_int_equal(lfm2_constraint_accept(c, id), 0);
        if (is_end(f, id)) break;
    }
    assert_int_equal(lfm2_constraint_is_complete(c, &can_go_on), 1);
    assert_int_equal(can_go_on, 0);
    for (int32_t id = 0; id < f->n_ids; id++) assert_int_equal(is_allowed(f, id), is_end(f, id));
    assert_int_equal(lfm2_constraint_is_complete(NULL, NULL), 0);
    assert_int_equal(lfm2_constraint_create(NULL, f->order, &c), LFM2_ERR_ARG);
    assert_int_equal(lfm2_constraint_create(g, NULL, &c), LFM2_ERR_ARG);
    assert_int_equal(lfm2_constraint_create(g, f->order, NULL), LFM2_ERR_ARG);
    lfm2_constraint_destroy(c);
    lfm2_constraint_destroy(NULL);
    lfm2_grammar_destroy(g);
}

/* Special tokens stand for nothing that is written: no text allows them, however they are spelt. */
static void special_tokens_are_not_allowed(void **state)
{
    fixture *f = *state;
    lfm2_grammar *g = NULL;
    lfm2_constraint *c = NULL;
    int n_special = 0;
    assert_int_equal(lfm2_grammar_from_gbnf(f->rt, "root ::= .*", 11, &g), 0);
    assert_int_equal(lfm2_constraint_create(g, f->order, &c), 0);
    assert_int_equal(lfm2_constraint_allow(c, 1000, f->allow, f->n_words), 0);
    for (int32_t id = 0; id < f->n_ids; id++) {
        if (!lfm2_tokenizer_is_defined(f->tok, id) || !lfm2_tokenizer_is_special(f->tok, id) || is_end(f, id)) continue;
        assert_false(is_allowed(f, id));
        n_special++;
    }
    assert_true(n_special > 0);
    lfm2_constraint_destroy(c);
    lfm2_grammar_destroy(g);
}

/* States are forgotten when they have become many, in the midst of a text. */
static void long_texts_take_bounded_memory(void **state)
{
    static const char grammar[] = "root ::= \"[\" (root (\",\" root)*)? \"]\"";
    fixture *f = *state;
    lfm2_grammar *g = NULL;
    lfm2_constraint *c = NULL;
    static char out[1 << 18];
    assert_int_equal(lfm2_grammar_from_gbnf(f->rt, grammar, sizeof(grammar) - 1, &g), 0);
    assert_int_equal(lfm2_constraint_create(g, f->order, &c), 0);
    f->heap.peak_bytes = f->heap.live_bytes;
    const size_t before = f->heap.live_bytes;
    (void)walk(f, g, c, 6000, out, sizeof(out));
    assert_true(f->heap.peak_bytes - before < (size_t)64 << 20);
    lfm2_constraint_destroy(c);
    lfm2_grammar_destroy(g);
}

static void every_allocation_may_fail(void **state)
{
    fixture *f = *state;
    lfm2_grammar *g = NULL;
    static const char schema[] = "{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\"}}, \"required\": [\"a\"]}";
    long k = 0;
    assert_int_equal(lfm2_grammar_from_json_schema(f->rt, schema, sizeof(schema) - 1, &g), 0);
    while (test_fail_next(&f->heap, &k)) {
        lfm2_vocab_order *order = NULL;
        lfm2_constraint *c = NULL;
        int rc = lfm2_vocab_order_create(f->rt, f->tok, &order);
        if (rc == 0) rc = lfm2_constraint_create(g, order, &c);
        f->seed = 5;
        for (int32_t left = 30; left > 20 && rc == 0; left--) {
            rc = lfm2_constraint_allow(c, left, f->allow, f->n_words);
            if (rc == 0) rc = lfm2_constraint_accept(c, choose(f));
        }
        assert_int_equal(rc, test_has_failed(&f->heap) ? LFM2_ERR_NOMEM : 0);
        lfm2_constraint_destroy(c);
        lfm2_vocab_order_destroy(order);
    }
    assert_true(k > 20);
    assert_int_equal(lfm2_vocab_order_create(NULL, f->tok, NULL), LFM2_ERR_ARG);
    lfm2_vocab_order_destroy(NULL);
    lfm2_grammar_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_walk_is_valid, setup, teardown),
        cmocka_unit_test_setup_teardown(the_end_stays_in_reach, setup, teardown),
        cmocka_unit_test_setup_teardown(ids_that_are_not_allowed_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(special_tokens_are_not_allowed, setup, teardown),
        cmocka_unit_test_setup_teardown(long_texts_take_bounded_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(every_allocation_may_fail, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
