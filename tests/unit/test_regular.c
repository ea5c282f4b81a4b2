/* SPDX-License-Identifier: Apache-2.0
 * Regular languages: patterns as ECMAScript reads them, and the algebra of their automata. */
#include "base_testing.h"

#include "pipeline/regular.h"

static lfm2_runtime *make_runtime(test_heap *heap)
{
    lfm2_runtime_params params = lfm2_runtime_params_default();
    params.n_threads = 1;
    return test_runtime_with(params, heap, NULL);
}

static void patterns_are_found(void **state)
{
    static const struct {
        const char *pattern, *text;
        int found;
    } cases[] = {
        {"", "", 1}, {"", "x", 1}, {"b", "abc", 1}, {"^b", "abc", 0}, {"b$", "abc", 0}, {"^abc$", "abc", 1}, {"^$", "", 1},
        {"^$", "a", 0},
        {"^a|b$", "ax", 1}, {"^a|b$", "xb", 1}, {"^(a|b)$", "xb", 0}, {"^a*$", "aaa", 1}, {"^a+$", "", 0}, {"^a?b$", "b", 1},
        {"^a{2}$", "aa", 1}, {"^a{2}$", "aaa", 0}, {"^a{2,}$", "aaaa", 1}, {"^a{1,2}?$", "aa", 1}, {"^.$", "\n", 0},
        {"^.$", "\xe2\x80\xa8", 0},
        {"^.$", "\xf0\x9f\x98\x80", 1}, {"^[^a-c]$", "d", 1}, {"^[^a-c]$", "b", 0}, {"^[\\w-]+$", "a_-9", 1}, {"^\\d+$", "12", 1},
        {"^\\D$", "1", 0}, {"^\\s$", "\xc2\xa0", 1}, {"^\\S$", " ", 0}, {"^\\W$", "_", 0}, {"^\\u00e9$", "\xc3\xa9", 1},
        {"^\\u{1F600}$", "\xf0\x9f\x98\x80", 1},
        {"^\\ud83d\\ude00$", "\xf0\x9f\x98\x80", 1}, {"^\\x41\\cJ\\0$", "A\n", 0}, {"^\\t\\n\\v\\f\\r$", "\t\n\v\f\r", 1},
        {"^[\\b]$", "\b", 1},
        {"^(?:ab)+$", "abab", 1}, {"^(?<name>a)$", "a", 1}, {"a^b", "ab", 0}, {"(^|x)a", "a", 1}, {"(^|x)a", "ya", 0},
        {"(^|x)a", "xa", 1},
        {"a($|x)", "ba", 1}, {"^[]$", "a", 0}, {"^[^]$", "a", 1}, {"^\\/\\.\\-$", "/.-", 1},
        {"^(a+)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", 0},
    };
    test_heap heap = {0};
    lfm2_runtime *rt = make_runtime(&heap);
    (void)state;
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        lfm2__dfa *d = NULL;
        const char *what = NULL;
        const int rc = lfm2__dfa_from_pattern(rt, cases[i].pattern, strlen(cases[i].pattern), &d, &what);
        if (rc != 0) fail_msg("%s: %d %s", cases[i].pattern, rc, what);
        if (lfm2__dfa_accepts(d, cases[i].text, strlen(cases[i].text)) != cases[i].found)
            fail_msg("%s: not %d", cases[i].pattern, cases[i].found);
        lfm2__dfa_destroy(d);
    }
    lfm2_runtime_destroy(rt);
    assert_int_equal(heap.n_live, 0);
}

static void patterns_are_refused(void **state)
{
    static const struct {
        const char *pattern;
        int status;
    } cases[] = {
        {"(", LFM2_ERR_FORMAT}, {")", LFM2_ERR_FORMAT}, {"[a", LFM2_ERR_FORMAT}, {"[b-a]", LFM2_ERR_FORMAT}, {"*", LFM2_ERR_FORMAT},
        {"a{2,1}", LFM2_ERR_FORMAT}, {"a{", LFM2_ERR_FORMAT}, {"\\", LFM2_ERR_FORMAT}, {"\\x4", LFM2_ERR_FORMAT},
        {"\\u{}", LFM2_ERR_FORMAT},
        {"\\u{110000}", LFM2_ERR_FORMAT}, {"\\ud800", LFM2_ERR_FORMAT}, {"\\01", LFM2_ERR_FORMAT}, {"\\c1", LFM2_ERR_FORMAT},
        {"\\a", LFM2_ERR_FORMAT},
        {"^*", LFM2_ERR_FORMAT}, {"\xff", LFM2_ERR_FORMAT}, {"\\bx", LFM2_ERR_UNSUPPORTED}, {"\\p{L}", LFM2_ERR_UNSUPPORTED},
        {"(a)\\1", LFM2_ERR_UNSUPPORTED}, {"\\k<a>", LFM2_ERR_UNSUPPORTED}, {"(?=a)", LFM2_ERR_UNSUPPORTED},
        {"(?!a)", LFM2_ERR_UNSUPPORTED},
        {"(?<=a)", LFM2_ERR_UNSUPPORTED}, {"a{10001}", LFM2_ERR_LIMIT}, {"(x{1000}){1000}", LFM2_ERR_LIMIT},
        {"(((){10000}){10000}){10000}", LFM2_ERR_LIMIT},
        {"(a|b)*a(a|b){20}", LFM2_ERR_LIMIT},
    };
    test_heap heap = {0};
    lfm2_runtime *rt = make_runtime(&heap);
    (void)state;
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        lfm2__dfa *d = NULL;
        const char *what = NULL;
        const int rc = lfm2__dfa_from_pattern(rt, cases[i].pattern, strlen(cases[i].pattern), &d, &what);
        if (rc != cases[i].status) fail_msg("%s: %d", cases[i].pattern, rc);
        assert_non_null(what);
        assert_true(what[0] != '\0');
        assert_null(d);
    }
    assert_true(heap.peak_bytes < (size_t)48 << 20);
    lfm2_runtime_destroy(rt);
    assert_int_equal(heap.n_live, 0);
}

static lfm2__dfa *pattern(lfm2_runtime *rt, const char *text)
{
    lfm2__dfa *d = NULL;
    const char *what = NULL;
    assert_int_equal(lfm2__dfa_from_pattern(rt, text, strlen(text), &d, &what), 0);
    return d;
}

static int accepts(const lfm2__dfa *d, const char *text)
{
    return lfm2__dfa_accepts(d, text, strlen(text));
}

/* All texts of up to 7 letters of "abc": what is said of each automaton holds for what is made of them. */
static void algebra_holds(void **state)
{
    static const char *const patterns[] = {"^(a|b)*c$", "ab", "^.{2,5}$", "^[^b]*$", "^(aa|bb|cc)+$", "a.*b.*c"};
    enum { N = LFM2__COUNT_OF(patterns) };
    test_heap heap = {0};
    lfm2_runtime *rt = make_runtime(&heap);
    (void)state;
    for (int i = 0; i < N * N; i++) {
        lfm2__dfa *a = pattern(rt, patterns[i / N]), *b = pattern(rt, patterns[i % N]), *both = NULL, *either = NULL, *not_a = NULL;
        assert_int_equal(lfm2__dfa_and(a, b, &both), 0);
        assert_int_equal(lfm2__dfa_or(a, b, &either), 0);
        assert_int_equal(lfm2__dfa_not(a, &not_a), 0);
        for (int n = 0, total = 1; n <= 7; n++, total *= 3) {
            for (int k = 0; k < total; k++) {
                char text[8] = {0};
                for (int c = 0, rest = k; c < n; c++, rest /= 3) text[c] = (char)('a' + rest % 3);
                const int in_a = accepts(a, text), in_b = accepts(b, text);
                assert_int_equal(accepts(both, text), in_a && in_b);
                assert_int_equal(accepts(either, text), in_a || in_b);
                assert_int_equal(accepts(not_a, text), !in_a);
            }
        }
        lfm2__dfa_destroy(a);
        lfm2__dfa_destroy(b);
        lfm2__dfa_destroy(both);
        lfm2__dfa_destroy(either);
        lfm2__dfa_destroy(not_a);
    }
    lfm2_runtime_destroy(rt);
    assert_int_equal(heap.n_live, 0);
}

static void automata_are_minimal(void **state)
{
    test_heap heap = {0};
    lfm2_runtime *rt = make_runtime(&heap);
    lfm2__dfa *a = pattern(rt, "^(abc|adc|ae{0,1}c)$"), *d = NULL, *length = NULL;
    static const lfm2__text texts[] = {{"car", 3}, {"bar", 3}, {"cat", 3}, {"", 0}};
    (void)state;
    assert_int_equal(a->n_states, 5); /* "", "a", what needs "c" yet, all of it, and where nothing fits any more */
    lfm2__dfa_destroy(a);
    assert_int_equal(lfm2__dfa_from_texts(rt, texts, 4, &d), 0);
    assert_true(accepts(d, "car") && accepts(d, "bar") && accepts(d, "cat") && accepts(d, ""));
    assert_false(accepts(d, "ca") || accepts(d, "bat") || accepts(d, "carx"));
    lfm2__dfa_destroy(d);
    assert_int_equal(lfm2__dfa_from_length(rt, 60000, 65535, &length), 0);
    assert_int_equal(lfm2__dfa_not(length, &d), 0); /* long chains take no time that grows with their square */
    assert_int_equal(d->n_states, length->n_states);
    assert_true(accepts(d, "abc"));
    assert_false(lfm2__dfa_is_empty(d));
    lfm2__dfa_destroy(d);
    lfm2__dfa_destroy(length);
    assert_int_equal(lfm2__dfa_from_length(rt, 3, 2, &length), 0);
    assert_true(lfm2__dfa_is_empty(length));
    lfm2__dfa_destroy(length);
    assert_int_equal(lfm2__dfa_from_length(rt, INT32_MAX, -1, &length), LFM2_ERR_LIMIT);
    lfm2_runtime_destroy(rt);
    assert_int_equal(heap.n_live, 0);
}

static void every_allocation_may_fail(void **state)
{
    static const lfm2__text texts[] = {{"one", 3}, {"two", 3}};
    test_heap heap = {0};
    lfm2_runtime *rt = make_runtime(&heap);
    long k = 0;
    (void)state;
    while (test_fail_next(&heap, &k)) {
        lfm2__dfa *a = NULL, *b = NULL, *both = NULL;
        const char *what = NULL;
        int rc = lfm2__dfa_from_pattern(rt, "^[a-z]+(o|e)$", 13, &a, &what);
        if (rc == 0) rc = lfm2__dfa_from_texts(rt, texts, 2, &b);
        if (rc == 0) rc = lfm2__dfa_and(a, b, &both);
        assert_int_equal(rc, test_has_failed(&heap) ? LFM2_ERR_NOMEM : 0);
        lfm2__dfa_destroy(a);
        lfm2__dfa_destroy(b);
        lfm2__dfa_destroy(both);
    }
    assert_true(k > 20);
    lfm2_runtime_destroy(rt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_are_found),   cmocka_unit_test(patterns_are_refused),      cmocka_unit_test(algebra_holds),
        cmocka_unit_test(automata_are_minimal), cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
