/* SPDX-License-Identifier: Apache-2.0
 * Encoding and decoding: merges, whole pieces, added tokens, trust, bounds. */
#include "tok_testing.h"

typedef tok_fixture fixture;

/* Merges in a rank order that differs from the order in the text. "abcd" is a token that no merge makes. */
static const tok_spec small = {
    .extra_vocab = "\"bc\": 256, \"ab\": 257, \"abc\": 258, \"cd\": 259, \"aa\": 260, \"aaaa\": 261, \"abcd\": 262, \"\u0120a\": "
                   "263, \"py\": 264, "
                   "\"python\": 310",
    .merges = "[\"b c\", \"a b\", [\"a\", \"bc\"], \"c d\", \"a a\", \"aa aa\", \"\u0120 a\", \"p y\"]",
    .added = "[" TOK_ADDED(300, "<|im_start|>", true) ", " TOK_ADDED(301, "<|im_end|>", true) ", "
             TOK_ADDED(302, "<|im_end|>!", true) ", " TOK_ADDED(303, "<think>", true) ", " TOK_ADDED(310, "python", false) ", "
             TOK_ADDED(311, "na\u00EFve \u4F60", false) "]"};

static int setup(void **state)
{
    fixture *f = tok_begin(state);

    assert_int_equal(tok_load(f->x.rt, &small, &f->tok), 0);
    return 0;
}

static void merges_by_rank(void **state)
{
    fixture *f = *state;

    tok_check(f->tok, "", 0, -1);
    tok_check(f->tok, "a", 0, 'a', -1);
    tok_check(f->tok, "abc", 0, 258, -1);
    tok_check(f->tok, "xbcd", 0, 'x', 256, 'd', -1);       /* b c before c d */
    tok_check(f->tok, "xabce", 0, 'x', 258, 'e', -1);      /* b c, then a bc */
    tok_check(f->tok, "aaa", 0, 260, 'a', -1);             /* the left one first */
    tok_check(f->tok, "xaaaaa", 0, 'x', 261, 'a', -1);
    tok_check(f->tok, "a a", 0, 'a', 263, -1);
    tok_check(f->tok, "abx", 0, 257, 'x', -1);
}

static void whole_pieces_skip_merging(void **state)
{
    fixture *f = *state;
    tok_spec spec = small;
    lfm2_tokenizer *tok = NULL;

    tok_check(f->tok, "abcd", 0, 262, -1);
    tok_check(f->tok, "abcde", 0, 258, 'd', 'e', -1);
    spec.model = "\"type\": \"BPE\", \"ignore_merges\": false";
    assert_int_equal(tok_load(f->x.rt, &spec, &tok), 0);
    tok_check(tok, "abcd", 0, 258, 'd', -1);
    lfm2_tokenizer_unload(tok);
    spec.model = "\"type\": \"BPE\""; /* which is the default */
    assert_int_equal(tok_load(f->x.rt, &spec, &tok), 0);
    tok_check(tok, "abcd", 0, 258, 'd', -1);
    lfm2_tokenizer_unload(tok);
}

static void bytes_without_a_merge(void **state)
{
    fixture *f = *state;

    tok_check(f->tok, "\u00E9\n", 0, 0xC3, 0xA9, '\n', -1);
}

/* The definition, as slow as it is plain. */
static size_t merge_slowly(const lfm2_tokenizer *tok, const char *text, size_t n, int32_t *ids)
{
    static const char *const merges[][2] = {{"b", "c"}, {"a", "b"}, {"a", "bc"}, {"c", "d"}, {"a", "a"}, {"aa", "aa"}};
    size_t i, m;

    for (i = 0; i < n; i++) ids[i] = (unsigned char)text[i];
    for (m = 0; m < LFM2__COUNT_OF(merges); m++) {
        char both[8];
        const int32_t l = lfm2_tokenizer_find(tok, merges[m][0]), r = lfm2_tokenizer_find(tok, merges[m][1]);

        snprintf(both, sizeof(both), "%s%s", merges[m][0], merges[m][1]);
        for (i = 0; i + 1 < n; i++) {
            if (ids[i] != l || ids[i + 1] != r) continue;
            ids[i] = lfm2_tokenizer_find(tok, both);
            memmove(ids + i + 1, ids + i + 2, (n - i - 2) * sizeof(*ids));
            n--;
            m = (size_t)-1; /* a merge of lower rank may be possible now */
            break;
        }
    }
    return n;
}

/* Pieces on both sides of the length from which on the heap is used. */
static void long_pieces_merge_like_short_ones(void **state)
{
    fixture *f = *state;
    char text[200];
    int32_t want[200], ids[200];
    size_t n, i, k = 0, want_n;
    uint32_t seed = 1;

    for (n = 5; n <= sizeof(text); n += 3) {
        for (i = 0; i < n; i++) {
            seed = seed * 1664525u + 1013904223u;
            text[i] = (char)('a' + (seed >> 24) % 4);
        }
        want_n = merge_slowly(f->tok, text, n, want);
        assert_int_equal(lfm2_tokenizer_encode(f->tok, text, n, 0, ids, LFM2__COUNT_OF(ids), &k), 0);
        assert_int_equal(k, want_n);
        assert_memory_equal(ids, want, k * sizeof(*ids));
    }
}

static void special_tokens_only_when_asked(void **state)
{
    fixture *f = *state;

    tok_check(f->tok, "a<|im_end|>a", LFM2_ENCODE_SPECIAL, 'a', 301, 'a', -1);
    tok_check(f->tok, "a<|im_end|>a", 0, 'a', '<', '|', 'i', 'm', '_', 'e', 'n', 'd', '|', '>', 'a', -1);
    tok_check(f->tok, "<|im_end|>!", LFM2_ENCODE_SPECIAL, 302, -1);        /* the longest */
    tok_check(f->tok, "<|im_end|>?", LFM2_ENCODE_SPECIAL, 301, '?', -1);
    tok_check(f->tok, "<|im_end", LFM2_ENCODE_SPECIAL, '<', '|', 'i', 'm', '_', 'e', 'n', 'd', -1);
    tok_check(f->tok, "<|im_<|im_start|>", LFM2_ENCODE_SPECIAL, '<', '|', 'i', 'm', '_', 300, -1);
    tok_check(f->tok, "<|im_start|><|im_start|>", LFM2_ENCODE_SPECIAL, 300, 300, -1);
    tok_check(f->tok, " <|im_start|> ", LFM2_ENCODE_SPECIAL, ' ', 300, ' ', -1);
}

static void user_defined_tokens_always(void **state)
{
    fixture *f = *state;

    tok_check(f->tok, "python", 0, 310, -1);
    tok_check(f->tok, "apythonpy", 0, 'a', 310, 264, -1);
    tok_check(f->tok, "apythonpy", LFM2_ENCODE_SPECIAL, 'a', 310, 264, -1);
    tok_check(f->tok, "a na\u00EFve \u4F60", 0, 'a', ' ', 311, -1);
}

static int encode_ranges(fixture *f, const char *text, const lfm2__trust_range *ranges, size_t n_ranges, int32_t *ids, size_t *n)
{
    return lfm2__tok_encode_ranges(f->tok, text, strlen(text), ranges, n_ranges, ids, 64, n);
}

/* A token counts only where it lies in trusted text from its first byte to its last. */
static void trust_is_by_range(void **state)
{
    fixture *f = *state;
    static const char text[] = "<|im_end|>!<think>";
    const lfm2__trust_range first = {0, 10, LFM2__TRUST_ALL}, cut = {0, 9, LFM2__TRUST_ALL}, late = {1, 11, LFM2__TRUST_ALL};
    const lfm2__trust_range history = {0, 18, LFM2__TRUST_HISTORY};
    const lfm2__trust_range two[] = {{0, 5, LFM2__TRUST_ALL}, {11, 18, LFM2__TRUST_ALL}};
    int32_t ids[64];
    size_t n = 0;

    assert_int_equal(encode_ranges(f, text, &first, 1, ids, &n), 0);
    assert_int_equal(ids[0], 301); /* not 302, which reaches beyond */
    assert_int_equal(n, 1 + 1 + 7);
    assert_int_equal(encode_ranges(f, text, &cut, 1, ids, &n), 0);
    assert_int_equal(n, 18);
    assert_int_equal(encode_ranges(f, text, &late, 1, ids, &n), 0);
    assert_int_equal(n, 18);
    assert_int_equal(encode_ranges(f, text, &history, 1, ids, &n), 0);
    assert_int_equal(n, 12); /* <think> is what an answer may hold, <|im_end|> is not */
    assert_int_equal(ids[11], 303);
    assert_int_equal(encode_ranges(f, text, two, 2, ids, &n), 0);
    assert_int_equal(n, 12);
    assert_int_equal(ids[11], 303);
}

/* CVE-2025-52566 was an overflow by a prompt with more tokens than a 32-bit comparison could see. */
static void room_for_ids_is_never_overrun(void **state)
{
    fixture *f = *state;
    int32_t ids[8];
    size_t n = 0, cap;

    for (cap = 0; cap <= 6; cap++) {
        memset(ids, 0x55, sizeof(ids));
        assert_int_equal(lfm2_tokenizer_encode(f->tok, "x y z", 5, 0, ids, cap, &n), cap < 5 ? LFM2_ERR_RANGE : 0);
        assert_int_equal(n, 5);
        assert_int_equal(ids[cap], 0x55555555);
    }
    n = 0;
    assert_int_equal(lfm2_tokenizer_encode(f->tok, "x y z", 5, 0, NULL, SIZE_MAX, &n), LFM2_ERR_RANGE); /* counting only */
    assert_int_equal(n, 5);
    assert_int_equal(lfm2_tokenizer_encode(f->tok, "", 0, 0, NULL, 0, &n), 0);
    assert_int_equal(n, 0);
    assert_int_equal(lfm2_tokenizer_encode(f->tok, NULL, 0, 0, NULL, 0, &n), 0);
}

static void texts_over_a_limit(void **state)
{
    fixture *f = *state;
    const size_t wide = LFM2__MAX_PIECE_BYTES + 1;
    char *text = malloc(wide);
    size_t n = 0;

    assert_non_null(text);
    memset(text, 'a', wide);
    /* The length is looked at before the text, which here is far shorter. */
    assert_int_equal(lfm2_tokenizer_encode(f->tok, text, ((size_t)1 << 30) + 1, 0, NULL, 0, &n), LFM2_ERR_LIMIT);
    assert_int_equal(lfm2_tokenizer_encode(f->tok, text, SIZE_MAX, 0, NULL, 0, &n), LFM2_ERR_LIMIT);
    assert_int_equal(lfm2_tokenizer_encode(f->tok, text, wide, 0, NULL, 0, &n), LFM2_ERR_LIMIT);
    assert_non_null(strstr(f->x.log.line, "4194305 bytes without a break"));
    assert_int_equal(n, 0);
    memset(text, 'x', wide);
    assert_int_equal(lfm2_tokenizer_encode(f->tok, text, wide - 1, 0, NULL, 0, &n), LFM2_ERR_RANGE);
    assert_int_equal(n, wide - 1);
    free(text);
}

/* A million special tokens typed by a user stay text. */
static void many_special_tokens_as_text(void **state)
{
    fixture *f = *state;
    const size_t times = 100000;
    char *text = malloc(times * 10);
    int32_t *ids = malloc(times * 10 * sizeof(*ids));
    size_t n = 0, i;

    assert_non_null(text);
    assert_non_null(ids);
    for (i = 0; i < times; i++) memcpy(text + 10 * i, "<|im_end|>", 10);
    assert_int_equal(lfm2_tokenizer_encode(f->tok, text, times * 10, 0, ids, times * 10, &n), 0);
    assert_int_equal(n, times * 10);
    for (i = 0; i < n; i++) assert_true(ids[i] < 256);
    assert_int_equal(lfm2_tokenizer_encode(f->tok, text, times * 10, LFM2_ENCODE_SPECIAL, ids, times * 10, &n), 0);
    assert_int_equal(n, times);
    free(text);
    free(ids);
}

static void texts_that_are_not_utf8(void **state)
{
    static const char *const bad[] = {"a\xFF", "\xC0\x80", "\xED\xA0\x80", "abc\xE4\xBD", "\xF4\x90\x80\x80"};
    fixture *f = *state;
    int32_t ids[8];
    size_t n = 77, i;

    for (i = 0; i < LFM2__COUNT_OF(bad); i++)
        assert_int_equal(lfm2_tokenizer_encode(f->tok, bad[i], strlen(bad[i]), 0, ids, 8, &n), LFM2_ERR_UTF8);
    assert_int_equal(n, 77);
    assert_non_null(strstr(f->x.log.line, "byte 0"));
    assert_int_equal(lfm2_tokenizer_encode(f->tok, "a\0b", 3, 0, ids, 8, &n), 0); /* NUL is a character like any other */
    assert_int_equal(n, 3);
    assert_int_equal(ids[1], 0);
}

static void wrong_arguments(void **state)
{
    fixture *f = *state;
    int32_t ids[8] = {0};
    size_t n = 0;
    char *text = NULL;

    assert_int_equal(lfm2_tokenizer_encode(NULL, "a", 1, 0, ids, 8, &n), LFM2_ERR_ARG);
    assert_int_equal(lfm2_tokenizer_encode(f->tok, NULL, 1, 0, ids, 8, &n), LFM2_ERR_ARG);
    assert_int_equal(lfm2_tokenizer_encode(f->tok, "a", 1, 2, ids, 8, &n), LFM2_ERR_ARG);
    assert_int_equal(lfm2_tokenizer_encode(f->tok, "a", 1, 0, ids, 8, NULL), LFM2_ERR_ARG);
    assert_int_equal(lfm2_tokenizer_decode(NULL, ids, 1, 0, &text, &n), LFM2_ERR_ARG);
    assert_int_equal(lfm2_tokenizer_decode(f->tok, NULL, 1, 0, &text, &n), LFM2_ERR_ARG);
    assert_int_equal(lfm2_tokenizer_decode(f->tok, ids, 1, 2, &text, &n), LFM2_ERR_ARG);
    assert_int_equal(lfm2_tokenizer_decode(f->tok, ids, 1, 0, NULL, &n), LFM2_ERR_ARG);
    lfm2_tokenizer_free_text(NULL, NULL);
    lfm2_tokenizer_free_text(f->tok, NULL);
}

static void decode_is(fixture *f, const int32_t *ids, size_t n, unsigned flags, const char *want)
{
    char *text = NULL;
    size_t text_n = 0;

    assert_int_equal(lfm2_tokenizer_decode(f->tok, ids, n, flags, &text, &text_n), 0);
    assert_int_equal(text_n, strlen(want));
    assert_string_equal(text, want);
    lfm2_tokenizer_free_text(f->tok, text);
}

static void decoding(void **state)
{
    fixture *f = *state;
    const int32_t ids[] = {300, 258, 263, 301, 310}, split[] = {0xE4, 0xBD, 301, 0xA0}, bad[] = {'a', 0xE4, 0xBD, 'b', 0xFF, 0xC3};
    const int32_t beyond[] = {'a', 312}, negative[] = {-1};
    char *text = NULL;
    size_t n = 0;

    decode_is(f, NULL, 0, 0, "");
    decode_is(f, ids, 5, 0, "abc apython");
    decode_is(f, ids, 5, LFM2_DECODE_SPECIAL, "<|im_start|>abc a<|im_end|>python");
    decode_is(f, split, 4, 0, "\u4F60"); /* a skipped token leaves no trace */
    decode_is(f, split, 4, LFM2_DECODE_SPECIAL, "\uFFFD<|im_end|>\uFFFD");
    decode_is(f, bad, 6, 0, "a\uFFFD" "b\uFFFD\uFFFD");
    assert_int_equal(lfm2_tokenizer_decode(f->tok, beyond, 2, 0, &text, &n), LFM2_ERR_RANGE);
    assert_non_null(strstr(f->x.log.line, "ids[1] is 312"));
    assert_int_equal(lfm2_tokenizer_decode(f->tok, negative, 1, 0, &text, &n), LFM2_ERR_RANGE);
    assert_null(text);
}

static void memory_runs_out(void **state)
{
    fixture *f = *state;
    char piece[100], *text;
    int32_t ids[100];
    size_t n;
    long k = 0, k_decode = 0;
    int rc = LFM2_ERR_NOMEM;

    memset(piece, 'a', sizeof(piece));
    while (test_fail_next(&f->x.heap, &k)) {
        rc = lfm2_tokenizer_encode(f->tok, piece, sizeof(piece), 0, ids, 100, &n);
        assert_true(rc == 0 || rc == LFM2_ERR_NOMEM);
    }
    assert_int_equal(rc, 0);
    assert_true(k > 5); /* scratch of the matcher, and of the long piece */
    while (test_fail_next(&f->x.heap, &k_decode)) {
        text = NULL;
        rc = lfm2_tokenizer_decode(f->tok, ids, n, 0, &text, NULL);
        assert_true(rc == 0 || (rc == LFM2_ERR_NOMEM && text == NULL));
        lfm2_tokenizer_free_text(f->tok, text);
    }
    assert_int_equal(rc, 0);
    assert_true(k_decode > 1);
}

/* ids and texts of the reference checkpoint. */
static void golden_cases(void **state)
{
    fixture *f = *state;
    const lfm2__json_limits limits = {.max_bytes = 1 << 20, .max_depth = 16, .max_values = 100000};
    lfm2__json_doc *doc = NULL;
    lfm2_tokenizer *tok = NULL;
    size_t i, k, n = 0, text_n = 0, n_cases = 0;
    int32_t ids[512];
    char *back = NULL;

    assert_int_equal(lfm2_tokenizer_load_json(f->x.rt, TOK_GOLDEN "/tokenizer.json", &tok), 0);
    assert_int_equal(lfm2_tokenizer_n_ids(tok), 1600);
    assert_int_equal(lfm2_tokenizer_bos(tok), 1);
    assert_int_equal(lfm2_tokenizer_eos(tok), 7);
    assert_int_equal(tok->pad, 0);
    assert_int_equal(lfm2__json_load(f->x.rt, TOK_GOLDEN "/cases.json", &limits, &doc), 0);
    for (i = 0; i < lfm2__json_size(lfm2__json_root(doc)); i++) {
        const lfm2__json *c = lfm2__json_at(lfm2__json_root(doc), i), *want = lfm2__json_get(c, "ids");
        const char *text;

        if (strcmp(lfm2__json_str(lfm2__json_get(c, "kind"), NULL), "tokenize") != 0) continue;
        text = lfm2__json_str(lfm2__json_get(c, "text"), &text_n);
        assert_int_equal(lfm2_tokenizer_encode(tok, text, text_n, LFM2_ENCODE_SPECIAL, ids, LFM2__COUNT_OF(ids), &n), 0);
        assert_int_equal(n, lfm2__json_size(want));
        for (k = 0; k < n; k++) assert_int_equal(ids[k], lfm2__json_int(lfm2__json_at(want, k)));
        assert_int_equal(lfm2_tokenizer_decode(tok, ids, n, LFM2_DECODE_SPECIAL, &back, NULL), 0);
        assert_string_equal(back, lfm2__json_str(lfm2__json_get(c, "decoded"), NULL));
        lfm2_tokenizer_free_text(tok, back);
        n_cases++;
    }
    assert_int_equal(n_cases, 9);
    lfm2__json_free(doc);
    lfm2_tokenizer_unload(tok);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, tok_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(merges_by_rank),
        TEST(whole_pieces_skip_merging),
        TEST(bytes_without_a_merge),
        TEST(long_pieces_merge_like_short_ones),
        TEST(special_tokens_only_when_asked),
        TEST(user_defined_tokens_always),
        TEST(trust_is_by_range),
        TEST(room_for_ids_is_never_overrun),
        TEST(texts_over_a_limit),
        TEST(many_special_tokens_as_text),
        TEST(texts_that_are_not_utf8),
        TEST(wrong_arguments),
        TEST(decoding),
        TEST(memory_runs_out),
        TEST(golden_cases),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
