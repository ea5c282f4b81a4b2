/* SPDX-License-Identifier: Apache-2.0
 * UTF-8: what is well-formed, and the stream that never lets half a code point out. */
#include "base_testing.h"

#include "lfm2/tokenizer.h"
#include "tokenizers/utf8.h"

static void every_code_point_survives(void **state)
{
    char bytes[4];
    uint32_t cp, back = 0;
    size_t n;

    (void)state;
    for (cp = 0; cp < 0x110000; cp++) {
        if (cp >= 0xD800 && cp < 0xE000) continue;
        n = lfm2__utf8_encode(cp, bytes);
        assert_int_equal(lfm2__utf8_decode(bytes, n, &back), n);
        assert_int_equal(back, cp);
        assert_int_equal(lfm2__utf8_decode(bytes, n - 1, &back), 0);
        assert_int_equal(lfm2__utf8_valid_n(bytes, n), n);
    }
}

static void bad_sequences_are_not_valid(void **state)
{
    static const char *const bad[] = {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2\x41", "\xE0\x80\x80", "\xE0\x9F\xBF",
                                      "\xED\xA0\x80", "\xED\xBF\xBF", "\xE1\x80", "\xE1\x80\x41", "\xF0\x80\x80\x80",
                                          "\xF0\x8F\xBF\xBF",
                                      "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xF1\x80\x80", "\xFE", "\xFF"};
    char text[64];
    size_t i;
    uint32_t cp = 0;

    (void)state;
    for (i = 0; i < LFM2__COUNT_OF(bad); i++) {
        assert_int_equal(lfm2__utf8_decode(bad[i], strlen(bad[i]), &cp), 0);
        strcpy(text, "thirteen ASCII");
        strcat(text, bad[i]);
        assert_int_equal(lfm2__utf8_valid_n(text, strlen(text)), 14);
    }
    assert_int_equal(lfm2__utf8_decode("", 0, &cp), 0);
    assert_int_equal(lfm2__utf8_valid_n("", 0), 0);
    assert_int_equal(lfm2__utf8_valid_n("a\0b", 3), 3);
}

/* All of a text through a stream, cut after the bytes of `cuts` whose bit is set. */
static size_t stream_all(const char *bytes, size_t n, uint32_t cuts, char *out)
{
    lfm2_utf8_stream s = {{0}, 0};
    size_t begin = 0, i, o = 0, k = 0;

    for (i = 0; i < n; i++) {
        if (i + 1 < n && !(cuts >> i & 1)) continue;
        lfm2_utf8_push(&s, bytes + begin, i + 1 - begin, out + o, &k);
        assert_int_equal(lfm2__utf8_valid_n(out + o, k), k); /* nothing but whole code points at any time */
        o += k;
        begin = i + 1;
    }
    lfm2_utf8_finish(&s, out + o, &k);
    assert_int_equal(s.n_held, 0);
    return o + k;
}

static void any_split_gives_the_same(void **state)
{
    static const char text[] = "a\xC3\xA9\xE4\xBD\xA0\xF0\x9F\xA7\xAD z\xCC\x81"; /* 1, 2, 3, 4, 1, 1, 2 bytes */
    const size_t n = sizeof(text) - 1;
    char out[3 * sizeof(text) + 12];
    uint32_t cuts;

    (void)state;
    for (cuts = 0; cuts < 1u << (n - 1); cuts++) {
        assert_int_equal(stream_all(text, n, cuts, out), n);
        assert_memory_equal(out, text, n);
    }
}

static void bad_parts_are_replaced_once_each(void **state)
{
    /* The example of the Unicode standard for maximal subparts, and the ends of text. */
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"a\xF1\x80\x80\xE1\x80\xC2" "b\x80" "c\x80\xBF" "d", "a\uFFFD\uFFFD\uFFFD" "b\uFFFD" "c\uFFFD\uFFFD" "d"},
        {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD" "A"},
        {"\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD"},
        {"\xE1\x80", "\uFFFD"},
        {"\xF0\x9F\x92", "\uFFFD"},
        {"x\xC3", "x\uFFFD"},
        {"\xF4\x90\x80\x80z", "\uFFFD\uFFFD\uFFFD\uFFFDz"},
        {"\xE2\x82\xE2\x82\xAC", "\uFFFD\u20AC"},
    };
    char out[128];
    uint32_t cuts;
    size_t i, n;

    (void)state;
    for (i = 0; i < LFM2__COUNT_OF(cases); i++)
        for (cuts = 0; cuts < 1u << (strlen(cases[i].in) - 1); cuts++) {
            n = stream_all(cases[i].in, strlen(cases[i].in), cuts, out);
            assert_int_equal(n, strlen(cases[i].out));
            assert_memory_equal(out, cases[i].out, n);
        }
}

static void nothing_is_held_back_longer_than_needed(void **state)
{
    lfm2_utf8_stream s = {{0}, 0};
    char out[24];
    size_t n = 99;

    (void)state;
    lfm2_utf8_push(&s, "\xF0\x9F", 2, out, &n);
    assert_int_equal(n, 0);
    lfm2_utf8_push(&s, NULL, 0, out, &n);
    assert_int_equal(n, 0);
    lfm2_utf8_push(&s, "\x92", 1, out, &n);
    assert_int_equal(n, 0);
    lfm2_utf8_push(&s, "\x9B!", 2, out, &n);
    assert_int_equal(n, 5);
    assert_memory_equal(out, "\xF0\x9F\x92\x9B!", 5);
    lfm2_utf8_finish(&s, out, &n);
    assert_int_equal(n, 0);
}

/* A stream that was never zeroed must not be read beyond its end. */
static void garbage_in_the_stream_is_harmless(void **state)
{
    lfm2_utf8_stream s = {{0xF0, 0x9F, 0x92, 0x9B}, 200};
    char out[24];
    size_t n = 99;

    (void)state;
    lfm2_utf8_push(&s, "ok", 2, out, &n);
    assert_int_equal(n, 2);
    assert_memory_equal(out, "ok", 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_survives),
        cmocka_unit_test(bad_sequences_are_not_valid),
        cmocka_unit_test(any_split_gives_the_same),
        cmocka_unit_test(bad_parts_are_replaced_once_each),
        cmocka_unit_test(nothing_is_held_back_longer_than_needed),
        cmocka_unit_test(garbage_in_the_stream_is_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
