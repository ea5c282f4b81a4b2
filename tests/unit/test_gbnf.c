/* SPDX-License-Identifier: Apache-2.0
 * Grammars in GBNF and lists of choices: what they match, and what is refused, with its place. */
#include "base_testing.h"

#include <stdio.h>

#include "fuzz/grammar_fuzzing.h"
#include "lfm2/constrain.h"

static int compile(test_heap *heap, test_log *log, const char *text, lfm2_runtime **rt, lfm2_grammar **g)
{
    lfm2_runtime_params params = lfm2_runtime_params_default();
    params.n_threads = 1;
    *rt = test_runtime_with(params, heap, log);
    *g = NULL;
    return lfm2_grammar_from_gbnf(*rt, text, strlen(text), g);
}

static void texts_match(void **state)
{
    static const struct {
        const char *grammar, *text;
        int matches;
    } cases[] = {
        {"root ::= \"a\" \"b\"", "ab", 1},
        {"root ::= \"a\" \"b\"", "a", 0},
        {"root ::= \"a\" \"b\"", "abb", 0},
        {"root ::= \"a\" |\n  \"b\"\n  | \"c\"\n# end", "c", 1},
        {"root ::= \"a\"\n  x\nx ::= \"b\"", "ab", -1},
        {"root ::= (\"a\"\n  x)\nx ::= \"b\"", "ab", 1},
        {"root ::= x* \"!\"\nx ::= [a-c]", "abcabc!", 1},
        {"root ::= x* \"!\"\nx ::= [a-c]", "abd!", 0},
        {"root ::= x+\nx ::= [^a-c]", "def", 1},
        {"root ::= x+\nx ::= [^a-c]", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 1},
        {"root ::= x+\nx ::= [^a-c]", "\xed\xa0\x80", 0}, /* a surrogate is no code point */
        {"root ::= x+\nx ::= [^a-c]", "\xc3", 0},
        {"root ::= .", "\xf4\x8f\xbf\xbf", 1},
        {"root ::= .", "\xf4\x90\x80\x80", 0},
        {"root ::= [\\u00e0-\\u00ff]{2}", "\xc3\xa9\xc3\xbf", 1},
        {"root ::= [\\u00e0-\\u00ff]{2}", "\xc3\xa9", 0},
        {"root ::= [\\x41\\U0001F600]+", "A\xf0\x9f\x98\x80", 1},
        {"root ::= [a\\-\\]-]+", "a-]", 1},
        {"root ::= \"\\\"\\\\\\n\\t\\r\"", "\"\\\n\t\r", 1},
        {"root ::= \"a\"{2,3}", "a", 0},
        {"root ::= \"a\"{2,3}", "aaa", 1},
        {"root ::= \"a\"{2,3}", "aaaa", 0},
        {"root ::= \"a\"{2,}", "aaaaa", 1},
        {"root ::= (\"a\" | \"bc\"){0,2} \"d\"?", "bca", 1},
        {"root ::= (\"a\" | \"bc\"){0,2} \"d\"?", "", 1},
        {"root ::= (\"a\" | ) \"b\"", "b", 1},
        {"root ::= \"\" (\"x\" | \"y\") \"\" | \"z\"", "y", 1},
        {"root ::= \"[\" (root (\",\" root)*)? \"]\"", "[[],[[]]]", 1},
        {"root ::= \"[\" (root (\",\" root)*)? \"]\"", "[[],[[]]", 0},
        {"root ::= (\"a\"*)* \"b\"", "aaab", 1},
        {"root ::= (\"a\"?){5000} \"b\"", "aab", 1},
    };
    (void)state;
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        test_heap heap = {0};
        test_log log = {0};
        lfm2_runtime *rt;
        lfm2_grammar *g;
        const int rc = compile(&heap, &log, cases[i].grammar, &rt, &g);
        if (cases[i].matches < 0) {
            assert_int_equal(rc, LFM2_ERR_FORMAT);
        } else {
            if (rc != 0) fail_msg("%s: %d %s", cases[i].grammar, rc, log.line);
            if (lfm2_grammar_matches(g, cases[i].text, strlen(cases[i].text)) != cases[i].matches) {
                fail_msg("%s and %s: not %d", cases[i].grammar, cases[i].text, cases[i].matches);
            }
        }
        lfm2_grammar_destroy(g);
        lfm2_runtime_destroy(rt);
        assert_int_equal(heap.n_live, 0);
    }
}

static void errors_have_a_place(void **state)
{
    static const struct {
        const char *grammar;
        int status;
        const char *where;
    } cases[] = {
        {"", LFM2_ERR_FORMAT, "root"},
        {"a ::= \"b\"", LFM2_ERR_FORMAT, "root"},
        {"root ::= a", LFM2_ERR_FORMAT, "line 1, column 10: this rule is not defined"},
        {"root := a", LFM2_ERR_FORMAT, "line 1, column 6"},
        {"root ::= \"a\nb", LFM2_ERR_FORMAT, "line 2, column 2"},
        {"root ::= [a", LFM2_ERR_FORMAT, "line 1, column 12"},
        {"root ::= [z-a]", LFM2_ERR_FORMAT, "backwards"},
        {"root ::= \"\\q\"", LFM2_ERR_FORMAT, "not an escape"},
        {"root ::= \"\\x4g\"", LFM2_ERR_FORMAT, "hexadecimal"},
        {"root ::= \"\\ud800\"", LFM2_ERR_FORMAT, "code point"},
        {"root ::= \"\\U00110000\"", LFM2_ERR_FORMAT, "code point"},
        {"root ::= (\"a\"", LFM2_ERR_FORMAT, "')'"},
        {"root ::= \"a\"{", LFM2_ERR_FORMAT, "number"},
        {"root ::= \"a\"{2", LFM2_ERR_FORMAT, "'}'"},
        {"root ::= \"a\"{3,2}", LFM2_ERR_FORMAT, "fewer"},
        {"root ::= \"a\"{100001}", LFM2_ERR_LIMIT, "repetitions"},
        {"root ::= \"a\" )", LFM2_ERR_FORMAT, "nothing like this"},
        {"root ::= \"a\"\nroot ::= \"b\"", LFM2_ERR_FORMAT, "line 2, column 1: this rule was defined before"},
        {"root ::= a \"x\"\na ::= root | \"y\"", LFM2_ERR_UNSUPPORTED, "begins with itself"},
        {"root ::= \"a\"? root", LFM2_ERR_RANGE, "nothing can match"},
        {"root ::= \"a\"? root | \"b\"", LFM2_ERR_UNSUPPORTED, "begins with itself"},
        {"root ::= \"a\" root", LFM2_ERR_RANGE, "nothing can match"},
        {"root ::= []", LFM2_ERR_RANGE, "nothing can match"},
        {"root ::= \"\xff\"", LFM2_ERR_FORMAT, "UTF-8"},
        {"root ::= \"a\"{100000} \"a\"{100000} \"a\"{100000}", LFM2_ERR_LIMIT, "nodes"},
        {"root ::= (((\"a\"?){1000}){1000}){1000}", LFM2_ERR_LIMIT, "too many ways"},
    };
    (void)state;
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        test_heap heap = {0};
        test_log log = {0};
        lfm2_runtime *rt;
        lfm2_grammar *g;
        const int rc = compile(&heap, &log, cases[i].grammar, &rt, &g);
        if (rc != cases[i].status || strstr(log.line, cases[i].where) == NULL)
            fail_msg("%s: %d %s", cases[i].grammar, rc, log.line);
        assert_int_equal(log.n_lines, 1);
        assert_null(g);
        lfm2_runtime_destroy(rt);
        assert_int_equal(heap.n_live, 0);
    }
}

static void long_grammars_are_refused_or_read(void **state)
{
    enum { N = 1 << 20 };
    test_heap heap = {0};
    test_log log = {0};
    lfm2_runtime_params params = lfm2_runtime_params_default();
    lfm2_grammar *g = NULL;
    char *text = malloc(N + 2);
    (void)state;
    assert_non_null(text);
    params.n_threads = 1;
    lfm2_runtime *rt = test_runtime_with(params, &heap, &log);
    memset(text, ' ', N + 1);
    assert_int_equal(lfm2_grammar_from_gbnf(rt, text, N + 1, &g), LFM2_ERR_LIMIT);
    memset(text, '(', N);
    memcpy(text, "root ::= ", 9);
    assert_int_equal(lfm2_grammar_from_gbnf(rt, text, N, &g), LFM2_ERR_LIMIT);
    for (size_t i = 0; i + 10 <= N; i += 10) snprintf(text + i, 11, "r%06u=  ", (unsigned)(i / 10)); /* many names, none defined */
    memcpy(text, "root ::=  ", 10);
    assert_int_equal(lfm2_grammar_from_gbnf(rt, text, N, &g), LFM2_ERR_FORMAT);
    assert_true(heap.peak_bytes < (size_t)64 << 20);
    free(text);
    lfm2_runtime_destroy(rt);
    assert_int_equal(heap.n_live, 0);
}

static void choices_are_one_of_them(void **state)
{
    static const char *const choices[] = {"yes", "no", "yesterday", "ja", "j\xc3\xa4", "no"};
    static const char *const others[] = {"", "y", "yest", "nono", "j\xc3"};
    static const char *const with_empty[] = {"a", ""}, *const with_null[] = {"a", NULL}, *const not_utf8[] = {"a", "\xff"};
    test_heap heap = {0};
    test_log log = {0};
    lfm2_runtime_params params = lfm2_runtime_params_default();
    lfm2_grammar *g = NULL;
    (void)state;
    params.n_threads = 1;
    lfm2_runtime *rt = test_runtime_with(params, &heap, &log);
    assert_int_equal(lfm2_grammar_from_choices(rt, choices, 6, &g), 0);
    assert_int_equal(lfm2_grammar_min_bytes(g), 2);
    for (size_t i = 0; i < LFM2__COUNT_OF(choices); i++)
        assert_int_equal(lfm2_grammar_matches(g, choices[i], strlen(choices[i])), 1);
    for (size_t i = 0; i < LFM2__COUNT_OF(others); i++) assert_int_equal(lfm2_grammar_matches(g, others[i], strlen(others[i])), 0);
    assert_int_equal(lfm2_grammar_matches(g, NULL, 1), LFM2_ERR_ARG);
    assert_int_equal(lfm2_grammar_matches(NULL, "", 0), LFM2_ERR_ARG);
    lfm2_grammar_destroy(g);
    g = NULL;
    assert_int_equal(lfm2_grammar_from_choices(rt, with_empty, 2, &g), LFM2_ERR_ARG);
    assert_int_equal(lfm2_grammar_from_choices(rt, with_null, 2, &g), LFM2_ERR_ARG);
    assert_int_equal(lfm2_grammar_from_choices(rt, not_utf8, 2, &g), LFM2_ERR_UTF8);
    assert_int_equal(lfm2_grammar_from_choices(rt, choices, 0, &g), LFM2_ERR_ARG);
    assert_int_equal(lfm2_grammar_from_choices(NULL, choices, 1, &g), LFM2_ERR_ARG);
    assert_int_equal(lfm2_grammar_from_choices(rt, NULL, 1, &g), LFM2_ERR_ARG);
    assert_int_equal(lfm2_grammar_from_choices(rt, choices, 1, NULL), LFM2_ERR_ARG);
    assert_int_equal(lfm2_grammar_from_gbnf(NULL, "", 0, &g), LFM2_ERR_ARG);
    assert_int_equal(lfm2_grammar_from_gbnf(rt, NULL, 0, &g), LFM2_ERR_ARG);
    assert_int_equal(lfm2_grammar_from_gbnf(rt, "", 0, NULL), LFM2_ERR_ARG);
    assert_null(g);
    lfm2_grammar_destroy(NULL);
    lfm2_runtime_destroy(rt);
    assert_int_equal(heap.n_live, 0);
}

/* The shortest text is as long as was said, however ambiguous the grammar. */
static void shortest_text_is_found(void **state)
{
    static const char *const grammars[] = {
        "root ::= (\"a\"?){5000} \"bc\"", "root ::= \"x\"{7} | \"y\"{6} z\nz ::= \"1\"?",
        "root ::= \"(\" root \")\" | \"[\" root \"]\" | \"ab\"",
    };
    static const int64_t lengths[] = {2, 6, 2};
    (void)state;
    for (size_t i = 0; i < LFM2__COUNT_OF(grammars); i++) {
        char text[64];
        lfm2_runtime *rt;
        lfm2_grammar *g;
        assert_int_equal(compile(NULL, NULL, grammars[i], &rt, &g), 0);
        assert_int_equal(lfm2_grammar_min_bytes(g), lengths[i]);
        assert_int_equal(shortest_text(g, text, sizeof(text)), lengths[i]);
        assert_int_equal(lfm2_grammar_matches(g, text, (size_t)lengths[i]), 1);
        lfm2_grammar_destroy(g);
        lfm2_runtime_destroy(rt);
    }
}

static void every_allocation_may_fail(void **state)
{
    static const char text[] = "root ::= \"a\" ([b-d\\u00e9]{2,3} x | \"q\")* \"e\"\nx ::= \"(\" root? \")\"\n";
    test_heap heap = {0};
    lfm2_runtime_params params = lfm2_runtime_params_default();
    long k = 0;
    (void)state;
    params.n_threads = 1;
    lfm2_runtime *rt = test_runtime_with(params, &heap, NULL);
    while (test_fail_next(&heap, &k)) {
        lfm2_grammar *g = NULL;
        int rc = lfm2_grammar_from_gbnf(rt, text, sizeof(text) - 1, &g);
        if (rc == 0) rc = lfm2_grammar_matches(g, "abc(ae)qe", 9);
        assert_int_equal(rc, test_has_failed(&heap) ? LFM2_ERR_NOMEM : 1);
        lfm2_grammar_destroy(g);
    }
    assert_true(k > 10);
    lfm2_runtime_destroy(rt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_match),
        cmocka_unit_test(errors_have_a_place),
        cmocka_unit_test(long_grammars_are_refused_or_read),
        cmocka_unit_test(choices_are_one_of_them),
        cmocka_unit_test(shortest_text_is_found),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
