/* SPDX-License-Identifier: Apache-2.0
 * The pre-tokeniser: where text is cut, which patterns are let through, and that a wild one cannot run for ever. */
#include "tok_testing.h"

typedef watched fixture;

/* Pieces joined by '|'. */
typedef struct pieces {
    char text[512];
    size_t n;
    int stop_at; /* piece at which the callback gives up, 0 = never */
} pieces;

static int take(void *ctx, const char *piece, size_t n)
{
    pieces *p = ctx;

    assert_true(n > 0 && p->n + n + 1 < sizeof(p->text));
    memcpy(p->text + p->n, piece, n);
    p->n += n;
    p->text[p->n++] = '|';
    p->text[p->n] = '\0';
    return p->stop_at != 0 && --p->stop_at == 0 ? LFM2_ERR_LIMIT : 0;
}

static int split(lfm2_runtime *rt, const char *pattern, const char *text, size_t n, pieces *out)
{
    lfm2__pretok *p = NULL;
    lfm2__pretok_match *m = NULL;
    int rc = lfm2__pretok_create(rt, "file", "pattern", pattern, strlen(pattern), &p);

    if (rc == 0) rc = lfm2__pretok_match_create(p, n, &m);
    if (rc == 0) rc = lfm2__pretok_split(p, m, text, n, take, out);
    lfm2__pretok_match_destroy(m);
    lfm2__pretok_destroy(p);
    return rc;
}

static void check(fixture *f, const char *pattern, const char *text, const char *want)
{
    pieces p = {.n = 0};

    assert_int_equal(split(f->rt, pattern, text, strlen(text), &p), 0);
    assert_string_equal(p.text, want);
}

static void family_pattern(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"", ""},
        {"Hello, world!", "Hello|,| world|!|"},
        {"don't WE'LL o'clock", "don|'t| WE|'LL| o|'clock|"},
        {"1234567", "123|456|7|"},
        {"a  b", "a| | b|"},
        {"a   1", "a|  | |1|"},
        {"x \n\n  y", "x| \n\n| | y|"},
        {"end  ", "end|  |"},
        {"\t\tif", "\t|\tif|"},
        {"!!\r\n!", "!!\r\n|!|"},
        {" $ 5", " $| |5|"},
        {"\u4F60\u597D\u3002a", "\u4F60\u597D|\u3002a|"},
        {"e\u0301a", "e|\u0301a|"},
        {"\u00A0\u3000x", "\u00A0|\u3000x|"},
        {"\u180E\u180E1", "\u180E\u180E|1|"},             /* not white space since Unicode 6.3 */
        {"\xC2\x85\xC2\x85" "1", "\xC2\x85|\xC2\x85|1|"},
        {"a'\u017F", "a|'\u017F|"},                       /* folds to 's */
        {"\u00BD\u0663\u2166\u00B2", "\u00BD\u0663\u2166|\u00B2|"},
    };
    size_t i;

    for (i = 0; i < LFM2__COUNT_OF(cases); i++) check(*state, lfm2__pretok_lfm2, cases[i].text, cases[i].want);
}

static void text_between_matches_is_a_piece(void **state)
{
    check(*state, "b+", "aabbbacb", "aa|bbb|ac|b|");
    check(*state, "b+", "xyz", "xyz|");
    check(*state, "(b)(?=c)", "abcb", "a|b|cb|");
}

static void constructs_that_are_let_through(void **state)
{
    check(*state, "\\d+", "a12\u0663b", "a|12\u0663|b|");
    check(*state, "[\\s]+", "a\u2003 b", "a|\u2003 |b|");
    check(*state, "\\S+", "ab \u180Ec", "ab| |\u180Ec|");
    check(*state, "a{2}|b{1,}|\\p{Lu}|\\P{L}", "aabbA1", "aa|bb|A|1|");
    check(*state, "(?<=x)a|(?<!y)b|(?:c)|(?>d)|\\\\|\\.|\\[", "xayb\\", "x|a|yb|\\|");
}

static void refused(fixture *f, const char *pattern, int status, const char *what)
{
    lfm2__pretok *p = NULL;

    f->log.line[0] = '\0';
    assert_int_equal(lfm2__pretok_create(f->rt, "file", "pattern", pattern, strlen(pattern), &p), status);
    assert_null(p);
    assert_non_null(strstr(f->log.line, "file: pattern"));
    assert_non_null(strstr(f->log.line, what));
}

static void constructs_that_mean_something_else_are_refused(void **state)
{
    static const char *const bad[] = {"^a", "a$", "a.", "\\h", "\\w", "\\b", "\\R", "\\X", "\\C", "\\x41", "\\u0041", "\\1",
                                      "(a)\\1", "(?i)a",
                                      "(?R)", "(?1)", "(*UTF)a", "(*LIMIT_MATCH=1)a", "(?P<x>a)", "(?#c)a", "(?m:a)", "[a[b]]",
                                          "[a&&b]", "[]a]",
                                      "[^]a]", "[[:alpha:]]", "\\p{Greek}", "\\p{^L}", "\\pL", "a{,3}", "a{1}+", "a{b}", "a}",
                                          "[\\S]", "\\", "a\\",
                                      "\\Qa\\E", "\\K"};
    size_t i;

    for (i = 0; i < LFM2__COUNT_OF(bad); i++) refused(*state, bad[i], LFM2_ERR_UNSUPPORTED, "not supported");
}

static void no_pattern_at_all(void **state)
{
    char *wide = malloc(LFM2__MAX_PATTERN_BYTES + 2);

    assert_non_null(wide);
    memset(wide, 'a', LFM2__MAX_PATTERN_BYTES + 1);
    wide[LFM2__MAX_PATTERN_BYTES + 1] = '\0';
    refused(*state, "", LFM2_ERR_LIMIT, "0 bytes");
    refused(*state, wide, LFM2_ERR_LIMIT, "4097 bytes");
    free(wide);
    refused(*state, "a)", LFM2_ERR_FORMAT, "not a regular expression");
    refused(*state, "(a", LFM2_ERR_FORMAT, "not a regular expression");
    refused(*state, "[a", LFM2_ERR_FORMAT, "not a regular expression");
    refused(*state, "*a", LFM2_ERR_FORMAT, "not a regular expression");
    refused(*state, "\xFF", LFM2_ERR_FORMAT, "not a regular expression");
    refused(*state, "\\p{Lx}", LFM2_ERR_FORMAT, "not a regular expression");
    refused(*state, "a*", LFM2_ERR_UNSUPPORTED, "nothing at all");
    refused(*state, "a|", LFM2_ERR_UNSUPPORTED, "nothing at all");
    refused(*state, "(((((((((((((((((((((((((((((((((((((((((((((((((((a)))))))))))))))))))))))))))))))))))))))))))))))))))",
            LFM2_ERR_FORMAT,
            "not a regular expression");
}

static void catastrophic_pattern_ends(void **state)
{
    fixture *f = *state;
    char text[64];
    pieces p = {.n = 0};

    memset(text, 'a', sizeof(text));
    assert_int_equal(split(f->rt, "(a+)+b|(a|aa)+c", text, sizeof(text), &p), LFM2_ERR_LIMIT);
    assert_non_null(strstr(f->log.line, "too many steps"));
}

/* A run of white space is walked back once for each alternative: megabytes of it stay within the steps. */
static int count(void *ctx, const char *piece, size_t n)
{
    (void)piece;
    *(size_t *)ctx += n;
    return 0;
}

static void long_runs_are_no_trouble(void **state)
{
    fixture *f = *state;
    const size_t n = (size_t)4 << 20;
    static const char fill[] = {' ', 'x', '\n', '!', '7'};
    char *text = malloc(n);
    lfm2__pretok *p = NULL;
    lfm2__pretok_match *m = NULL;
    size_t i, total;

    assert_non_null(text);
    assert_int_equal(lfm2__pretok_create(f->rt, "file", "pattern", lfm2__pretok_lfm2, strlen(lfm2__pretok_lfm2), &p), 0);
    assert_int_equal(lfm2__pretok_match_create(p, n, &m), 0);
    for (i = 0; i < sizeof(fill); i++) {
        memset(text, fill[i], n);
        total = 0;
        assert_int_equal(lfm2__pretok_split(p, m, text, n, count, &total), 0);
        assert_int_equal(total, n);
    }
    lfm2__pretok_match_destroy(m);
    lfm2__pretok_destroy(p);
    free(text);
}

static void the_callback_can_end_it(void **state)
{
    fixture *f = *state;
    pieces p = {.stop_at = 2};

    assert_int_equal(split(f->rt, "b", "abab", 4, &p), LFM2_ERR_LIMIT);
    assert_string_equal(p.text, "a|b|");
    p = (pieces){.stop_at = 1};
    assert_int_equal(split(f->rt, "b", "aaa", 3, &p), LFM2_ERR_LIMIT);
}

static void abort_ends_it(void **state)
{
    fixture *f = *state;
    char text[20000];
    size_t total = 0;
    lfm2__pretok *p = NULL;
    lfm2__pretok_match *m = NULL;

    memset(text, 'a', sizeof(text));
    assert_int_equal(lfm2__pretok_create(f->rt, "file", "pattern", "a", 1, &p), 0);
    assert_int_equal(lfm2__pretok_match_create(p, sizeof(text), &m), 0);
    lfm2_runtime_abort(f->rt);
    assert_int_equal(lfm2__pretok_split(p, m, text, sizeof(text), count, &total), LFM2_ERR_ABORTED);
    assert_true(total < 5000);
    lfm2_runtime_clear_abort(f->rt);
    lfm2__pretok_match_destroy(m);
    lfm2__pretok_destroy(p);
}

static void memory_runs_out(void **state)
{
    fixture *f = *state;
    pieces p;
    long k = 0;
    int rc = LFM2_ERR_NOMEM;

    while (test_fail_next(&f->heap, &k)) {
        p = (pieces){.n = 0};
        rc = split(f->rt, lfm2__pretok_lfm2, "a b", 3, &p);
        if (rc == 0) assert_string_equal(p.text, "a| b|"); /* without the compiled form of the pattern, too */
        else assert_int_equal(rc, LFM2_ERR_NOMEM);
    }
    assert_int_equal(rc, 0);
    assert_true(k > 7);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, watch_setup, watch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(family_pattern),
        TEST(text_between_matches_is_a_piece),
        TEST(constructs_that_are_let_through),
        TEST(constructs_that_mean_something_else_are_refused),
        TEST(no_pattern_at_all),
        TEST(catastrophic_pattern_ends),
        TEST(long_runs_are_no_trouble),
        TEST(the_callback_can_end_it),
        TEST(abort_ends_it),
        TEST(memory_runs_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
