/* SPDX-License-Identifier: Apache-2.0
 * JSON: what is accepted, what is refused and how that is said, limits, typed fields, Python's text form. */
#include "base_testing.h"
#include "file_testing.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>

#include "base/json.h"
#include "base/runtime_impl.h"

static const lfm2__json_limits wide = {.max_bytes = (size_t)1 << 26, .max_depth = 1000, .max_values = 10000000};

typedef watched fixture;

static lfm2__json_doc *parse_n(fixture *f, const char *text, size_t n)
{
    lfm2__json_doc *doc = NULL;
    const int rc = lfm2__json_parse(f->rt, "label", text, n, &wide, &doc);
    if (rc != 0) fail_msg("%s", f->log.line);
    return doc;
}

static lfm2__json_doc *parse(fixture *f, const char *text)
{
    return parse_n(f, text, strlen(text));
}

static int status_of_n(fixture *f, const char *text, size_t n)
{
    /* A copy without a NUL behind it, so that reading past the end is seen. */
    char *copy = malloc(n > 0 ? n : 1);
    assert_non_null(copy);
    if (n > 0) memcpy(copy, text, n);
    lfm2__json_doc *doc = (lfm2__json_doc *)f;
    f->log.n_lines = 0;
    const int rc = lfm2__json_parse(f->rt, "label", copy, n, &wide, &doc);
    free(copy);
    if (rc == 0) {
        lfm2__json_free(doc);
    } else {
        assert_ptr_equal(doc, f); /* written only on success */
        assert_int_equal(f->log.n_lines, 1);
        assert_int_equal(f->log.level, LFM2_LOG_ERROR);
        assert_non_null(strstr(f->log.line, "label"));
    }
    return rc;
}

static int status_of(fixture *f, const char *text)
{
    return status_of_n(f, text, strlen(text));
}

/* --- parsing --- */

static void values_of_each_type(void **state)
{
    lfm2__json_doc *doc = parse(*state, " {\"i\": -7, \"r\": 2.5, \"s\": \"a\\u00e9\\n\", \"t\": true, \"f\": false, \"n\": null,\n"
                                        "  \"a\": [1, [], {}], \"o\": {\"k\": 1e3}, \"\": 0} ");
    const lfm2__json *root = lfm2__json_root(doc);
    assert_int_equal(lfm2__json_typeof(root), LFM2__JSON_OBJECT);
    assert_int_equal(lfm2__json_size(root), 9);

    const lfm2__json *v = lfm2__json_get(root, "i");
    assert_int_equal(lfm2__json_typeof(v), LFM2__JSON_INT);
    assert_int_equal(lfm2__json_int(v), -7);
    assert_true(lfm2__json_number(v) == -7);
    assert_int_equal(lfm2__json_bool(v), 0);
    assert_int_equal(lfm2__json_size(v), 0);
    assert_null(lfm2__json_str(v, NULL));
    assert_null(lfm2__json_at(v, 0));
    assert_null(lfm2__json_get(v, "x"));

    v = lfm2__json_get(root, "r");
    assert_int_equal(lfm2__json_typeof(v), LFM2__JSON_REAL);
    assert_true(lfm2__json_number(v) == 2.5);
    assert_int_equal(lfm2__json_int(v), 0);

    size_t n = 0;
    v = lfm2__json_get(root, "s");
    assert_int_equal(lfm2__json_typeof(v), LFM2__JSON_STRING);
    assert_string_equal(lfm2__json_str(v, &n), "a\xc3\xa9\n");
    assert_int_equal(n, 4);
    assert_true(lfm2__json_number(v) == 0);

    v = lfm2__json_get(root, "t");
    assert_int_equal(lfm2__json_typeof(v), LFM2__JSON_BOOL);
    assert_int_equal(lfm2__json_bool(v), 1);
    v = lfm2__json_get(root, "f");
    assert_int_equal(lfm2__json_typeof(v), LFM2__JSON_BOOL);
    assert_int_equal(lfm2__json_bool(v), 0);
    v = lfm2__json_get(root, "n");
    assert_non_null(v);
    assert_int_equal(lfm2__json_typeof(v), LFM2__JSON_NULL);

    v = lfm2__json_get(root, "a");
    assert_int_equal(lfm2__json_typeof(v), LFM2__JSON_ARRAY);
    assert_int_equal(lfm2__json_size(v), 3);
    assert_int_equal(lfm2__json_int(lfm2__json_at(v, 0)), 1);
    assert_int_equal(lfm2__json_typeof(lfm2__json_at(v, 2)), LFM2__JSON_OBJECT);
    assert_null(lfm2__json_at(v, 3));
    assert_null(lfm2__json_at(v, SIZE_MAX));
    assert_null(lfm2__json_get(v, "a"));
    v = lfm2__json_get(lfm2__json_get(root, "o"), "k");
    assert_int_equal(lfm2__json_typeof(v), LFM2__JSON_REAL);
    assert_true(lfm2__json_number(v) == 1000);
    assert_non_null(lfm2__json_get(root, ""));
    assert_null(lfm2__json_get(root, "absent"));
    lfm2__json_free(doc);
}

static void nothing_is_of_type_null(void **state)
{
    (void)state;
    assert_int_equal(lfm2__json_typeof(NULL), LFM2__JSON_NULL);
    assert_string_equal(lfm2__json_type_name(NULL), "null");
    assert_int_equal(lfm2__json_int(NULL), 0);
    assert_true(lfm2__json_number(NULL) == 0);
    assert_int_equal(lfm2__json_bool(NULL), 0);
    assert_null(lfm2__json_str(NULL, NULL));
    assert_int_equal(lfm2__json_size(NULL), 0);
    assert_null(lfm2__json_at(NULL, 0));
    assert_null(lfm2__json_get(NULL, "k"));
    void *it = NULL;
    const char *key;
    const lfm2__json *val;
    assert_int_equal(lfm2__json_next(NULL, &it, &key, NULL, &val), 0);
    lfm2__json_free(NULL);
}

static void type_names(void **state)
{
    lfm2__json_doc *doc = parse(*state, "[null, true, 1, 1.0, \"\", [], {}]");
    static const char *const names[] = {"null", "boolean", "integer", "number", "string", "array", "object"};
    for (size_t i = 0; i < LFM2__COUNT_OF(names); i++) {
        assert_string_equal(lfm2__json_type_name(lfm2__json_at(lfm2__json_root(doc), i)), names[i]);
    }
    lfm2__json_free(doc);
}

static void walks_in_order(void **state)
{
    lfm2__json_doc *doc = parse(*state, "{\"z\": 0, \"a\": 1, \"m\": 2, \"\\u00e9\": 3}");
    static const char *const keys[] = {"z", "a", "m", "\xc3\xa9"};
    const char *key;
    size_t key_n;
    const lfm2__json *val;
    int i = 0;
    for (void *it = NULL; lfm2__json_next(lfm2__json_root(doc), &it, &key, &key_n, &val); i++) {
        assert_string_equal(key, keys[i]);
        assert_int_equal(key_n, strlen(keys[i]));
        assert_int_equal(lfm2__json_int(val), i);
    }
    assert_int_equal(i, 4);
    lfm2__json_free(doc);
    doc = parse(*state, "[1]");
    void *it = NULL;
    assert_int_equal(lfm2__json_next(lfm2__json_root(doc), &it, &key, &key_n, &val), 0);
    lfm2__json_free(doc);
}

static void accepted(void **state)
{
    static const char *const texts[] = {
        "null", "0", "\"x\"", " [ ] ", "\t\r\n{}", "9223372036854775807", "-9223372036854775808", "1e308",
        "-1.7976931348623157e308", "5e-324", "1e-400", "-0", "0.5", "1E+2", "\"\\ud834\\udd1e\"",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"[{,:\"", "[[],[[]],{}]",
        "{\"a\":{\"a\":{\"a\":0}}}", "\"\x7f\"",
    };
    for (size_t i = 0; i < LFM2__COUNT_OF(texts); i++) {
        if (status_of(*state, texts[i]) != 0) fail_msg("refused: %s", texts[i]);
    }
}

static void refused(void **state)
{
    static const char *const texts[] = {
        "", " ", "{", "}", "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "{\"a\"", "{\"a\":", "{\"a\":1",
        "{\"a\":1,", "{\"a\":1,}", "{a:1}", "{1:1}", "{\"a\" 1}", "{\"a\":1 \"b\":2}", "[}", "{]", "tru", "truex", "True", "nul",
        "nan", "NaN",
        "Infinity", "-",
        "+1", "01", "-01", "1.", ".5", "1e", "1e+", "0x10", "'a'", "\"", "\"\\\"", "\"\\", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"",
        "\"\\ud800\"", "\"\\ud800abcdefg\"", "\"\\ud800\\nabcde\"", "\"\\ud800\\ue000\"", "\"\\ud800\\ud80\"",
        "\"\\ud800\\udc0g\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"\t\"", "\"a\nb\"", "[1] 2", "{} {}", "[]]",
        "1 //c", "/* c */ 1",
        "\xef\xbb\xbf[]", "9223372036854775808", "-9223372036854775809", "18446744073709551616", "1e309", "-1e309",
        "{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}", "{\"\":1,\"\":1}", "{\"o\":{\"k\":0,\"j\":0,\"k\":0}}",
        "\"\\u0000\"", "{\"\\u0000\":1}", "{\"a\\u0000b\":1}",
        "\"\x80\"", "\"\xc3\"", "\"\xc3(\"", "\"\xc0\x80\"", "\"\xc1\xbf\"", "\"\xe0\x80\x80\"", "\"\xed\xa0\x80\"",
        "\"\xf5\x80\x80\x80\"",
        "\"\xf4\x90\x80\x80\"", "\"\xf0\x80\x80\x80\"", "\"\xff\"", "{\"\xff\":1}", "\xff", "[\xc3\xa9]",
    };
    fixture *f = *state;
    for (size_t i = 0; i < LFM2__COUNT_OF(texts); i++) {
        if (status_of(f, texts[i]) != LFM2_ERR_FORMAT) fail_msg("not refused: %s", texts[i]);
    }
    assert_int_equal(status_of_n(f, "\0", 1), LFM2_ERR_FORMAT);
    assert_int_equal(status_of_n(f, "[1]\0", 4), LFM2_ERR_FORMAT);
    assert_int_equal(status_of_n(f, "\"a\0b\"", 5), LFM2_ERR_FORMAT);
    assert_int_equal(status_of_n(f, "[1,\0 2]", 7), LFM2_ERR_FORMAT);
}

static void reasons_are_named_but_not_quoted(void **state)
{
    static const struct {
        const char *text, *line;
    } cases[] = {
        {"[\n  secret", "label:2:"},
        {"{\"secret\":1,\n\"secret\":2}", "duplicate key"},
        {"{\"secret\":1e999}", "number out of range"},
        {"[\"secret\\u0000\"]", "NUL in a string"},
        {"[\"secret\xff\"]", "not valid UTF-8"},
        {"[\"secret\"", "ends early"},
        {"[\"secret\"] secret", "something follows its end"},
        {"[\"secret\" secret]", "syntax error"},
        {"{\"\\u0000secret\":1}", "NUL in a string"},
    };
    fixture *f = *state;
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        assert_int_equal(status_of(f, cases[i].text), LFM2_ERR_FORMAT);
        if (strstr(f->log.line, cases[i].line) == NULL) fail_msg("%s is not in: %s", cases[i].line, f->log.line);
        assert_null(strstr(f->log.line, "secret"));
        int line, column;
        assert_int_equal(sscanf(f->log.line, "label:%d:%d: JSON: ", &line, &column), 2);
        assert_true(line >= 1 && column >= 0);
    }
    assert_int_equal(status_of(f, "[1,\n 2,\n x]"), LFM2_ERR_FORMAT);
    assert_non_null(strstr(f->log.line, "label:3:2:"));
}

static const char sample[] = "{\"architectures\": [\"A\\n\\u00e9\xe2\x82\xac\"], \"n\": -12, \"eps\": 1.5e-05,\n"
                             " \"t\": true, \"o\": {\"x\": [null, false, \"\\\\\\\"\"]}}";

static void cut_at_every_byte(void **state)
{
    for (size_t n = 0; n < sizeof sample - 1; n++) {
        if (status_of_n(*state, sample, n) != LFM2_ERR_FORMAT) fail_msg("accepted when cut to %zu bytes", n);
    }
    assert_int_equal(status_of_n(*state, sample, sizeof sample - 1), 0);
}

/* No byte value at any place may do worse than be refused. */
static void every_byte_replaced(void **state)
{
    fixture *f = *state;
    char text[sizeof sample];
    for (size_t i = 0; i < sizeof sample - 1; i++) {
        for (int c = 0; c < 256; c += 3) {
            memcpy(text, sample, sizeof sample);
            text[i] = (char)c;
            const int rc = status_of_n(f, text, sizeof sample - 1);
            assert_true(rc == 0 || rc == LFM2_ERR_FORMAT);
        }
    }
}

/* --- limits --- */

static int limited(fixture *f, const char *text, size_t max_bytes, int32_t max_depth, size_t max_values)
{
    const lfm2__json_limits limits = {.max_bytes = max_bytes, .max_depth = max_depth, .max_values = max_values};
    lfm2__json_doc *doc = NULL;
    const int rc = lfm2__json_parse(f->rt, "label", text, strlen(text), &limits, &doc);
    if (rc == 0) lfm2__json_free(doc);
    return rc;
}

static void limit_of_bytes(void **state)
{
    assert_int_equal(limited(*state, "[1, 2]", 6, 10, 10), 0);
    assert_int_equal(limited(*state, "[1, 2]", 5, 10, 10), LFM2_ERR_LIMIT);
    assert_int_equal(limited(*state, "      ", 5, 10, 10), LFM2_ERR_LIMIT);
}

static void limit_of_values(void **state)
{
    static const struct {
        const char *text;
        size_t n_values;
    } cases[] = {
        {"1", 1}, {"[]", 1}, {"[1, 2]", 3}, {"{\"a\": 1}", 3}, {"{\"a\": {\"b\": [true, null]}}", 7}, {"[\"x,y\", \"\\\"[\"]", 3},
        {"[[[[]]]]", 4}, {"[-1.5e3,null]", 3},
    };
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        assert_int_equal(limited(*state, cases[i].text, 100, 10, cases[i].n_values), 0);
        assert_int_equal(limited(*state, cases[i].text, 100, 10, cases[i].n_values - 1), LFM2_ERR_LIMIT);
    }
}

static void limit_of_depth(void **state)
{
    fixture *f = *state;
    assert_int_equal(limited(f, "[{\"a\": [1]}, [[]]]", 100, 3, 100), 0);
    assert_int_equal(limited(f, "[{\"a\": [1]}, [[]]]", 100, 2, 100), LFM2_ERR_LIMIT);
    assert_int_equal(limited(f, "[\"[[[[[[\"]", 100, 1, 100), 0); /* brackets in a string are none */
    assert_int_equal(limited(f, "1", 100, 0, 100), 0);
    assert_int_equal(limited(f, "[]", 100, 0, 100), LFM2_ERR_LIMIT);

    enum { MAX_DEPTH = 100000 };
    char *text = malloc(2 * MAX_DEPTH + 1);
    assert_non_null(text);
    static const struct {
        int32_t depth, limit;
        int rc;
    } cases[] = {
        {1000, 1000, 0}, {1001, 1000, LFM2_ERR_LIMIT}, {1001, INT32_MAX, LFM2_ERR_LIMIT}, /* a limit above 1000 counts as 1000 */
        {MAX_DEPTH, INT32_MAX, LFM2_ERR_LIMIT}, {1000, 999, LFM2_ERR_LIMIT},
    };
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        memset(text, '[', (size_t)cases[i].depth);
        memset(text + cases[i].depth, ']', (size_t)cases[i].depth);
        text[2 * cases[i].depth] = '\0';
        assert_int_equal(limited(f, text, SIZE_MAX, cases[i].limit, SIZE_MAX), cases[i].rc);
    }
    memset(text, '[', MAX_DEPTH);
    assert_int_equal(status_of_n(f, text, MAX_DEPTH), LFM2_ERR_LIMIT); /* never closed */
    memset(text, ']', MAX_DEPTH);
    assert_int_equal(status_of_n(f, text, MAX_DEPTH), LFM2_ERR_FORMAT);
    for (int i = 0; i + 5 <= MAX_DEPTH; i += 5) memcpy(text + i, "{\"a\":", 5);
    assert_int_equal(status_of_n(f, text, MAX_DEPTH), LFM2_ERR_LIMIT);
    free(text);
}

static void integers_as_reals(void **state)
{
    fixture *f = *state;
    lfm2__json_limits limits = wide;
    limits.ints_as_reals = 1;
    static const char text[] = "[1000000000000000019884624838656, -7]";
    lfm2__json_doc *doc = NULL;
    assert_int_equal(lfm2__json_parse(f->rt, "label", text, strlen(text), &limits, &doc), 0);
    const lfm2__json *v = lfm2__json_at(lfm2__json_root(doc), 0);
    assert_int_equal(lfm2__json_typeof(v), LFM2__JSON_REAL);
    assert_true(lfm2__json_number(v) == 1e30);
    v = lfm2__json_at(lfm2__json_root(doc), 1);
    assert_int_equal(lfm2__json_typeof(v), LFM2__JSON_REAL);
    assert_true(lfm2__json_number(v) == -7);
    lfm2__json_free(doc);
    assert_int_equal(status_of(f, text), LFM2_ERR_FORMAT); /* otherwise they must fit */
}

static void without_memory(void **state)
{
    fixture *f = *state;
    lfm2__json_doc *doc = NULL;
    f->heap.fail_at = f->heap.n_calls + 1;
    assert_int_equal(lfm2__json_parse(f->rt, "label", "[]", 2, &wide, &doc), LFM2_ERR_NOMEM);
    assert_null(doc);
    static const char *const texts[] = {"\"\\n\"", "1.5", "{\"a\":1}"}; /* the second request is for the scratch, or for the key */
    for (size_t i = 0; i < LFM2__COUNT_OF(texts); i++) {
        f->heap.fail_at = f->heap.n_calls + 2;
        f->log.n_lines = 0;
        assert_int_equal(lfm2__json_parse(f->rt, "label", texts[i], strlen(texts[i]), &wide, &doc), LFM2_ERR_NOMEM);
        assert_null(doc);
        assert_int_equal(f->log.n_lines, 1);
    }
}

/* --- files --- */

static void files(void **state)
{
    fixture *f = *state;
    char dir[32], path[64];
    make_folder(dir, sizeof dir);
    (void)snprintf(path, sizeof path, "%s/a.json", dir);
    lfm2__json_doc *doc = NULL;
    assert_int_equal(lfm2__json_load(f->rt, path, &wide, &doc), LFM2_ERR_NOT_FOUND);
    assert_non_null(strstr(f->log.line, path));
    assert_int_equal(lfm2__json_load(f->rt, dir, &wide, &doc), LFM2_ERR_IO);

    write_file(path, "{\"a\": [1, 2]}", 13);
    assert_int_equal(lfm2__json_load(f->rt, path, &wide, &doc), 0);
    assert_int_equal(lfm2__json_size(lfm2__json_get(lfm2__json_root(doc), "a")), 2);
    lfm2__json_free(doc);
    doc = NULL;
    const lfm2__json_limits tight = {.max_bytes = 12, .max_depth = 10, .max_values = 10};
    assert_int_equal(lfm2__json_load(f->rt, path, &tight, &doc), LFM2_ERR_LIMIT);
    const lfm2__json_limits few = {.max_bytes = 13, .max_depth = 10, .max_values = 4};
    assert_int_equal(lfm2__json_load(f->rt, path, &few, &doc), LFM2_ERR_LIMIT);
    for (int k = 1; k <= 2; k++) { /* the text, the document */
        f->heap.fail_at = f->heap.n_calls + k;
        assert_int_equal(lfm2__json_load(f->rt, path, &wide, &doc), LFM2_ERR_NOMEM);
    }
    write_file(path, "{\"a\":\n x}", 9);
    assert_int_equal(lfm2__json_load(f->rt, path, &wide, &doc), LFM2_ERR_FORMAT);
    char where[80];
    (void)snprintf(where, sizeof where, "%s:2:", path);
    assert_non_null(strstr(f->log.line, where));
    assert_null(doc);
    remove_folder(dir);
}

/* --- fields --- */

static void field_int(void **state)
{
    fixture *f = *state;
    lfm2__json_doc *doc = parse(f, "{\"n\": 5, \"null\": null, \"s\": \"5\", \"r\": 5.0, \"b\": true,"
                                      " \"max\": 9223372036854775807}");
    const lfm2__json *o = lfm2__json_root(doc);
    int64_t x = -1;
    assert_int_equal(lfm2__json_field_int(f->rt, "label", o, "absent", 0, 9, &x), 0);
    assert_int_equal(lfm2__json_field_int(f->rt, "label", o, "null", 0, 9, &x), 0);
    assert_int_equal(lfm2__json_field_int(f->rt, "label", NULL, "n", 0, 9, &x), 0);
    assert_int_equal(x, -1);
    assert_int_equal(f->log.n_lines, 0);
    static const char *const wrong[] = {"s", "r", "b"};
    for (size_t i = 0; i < LFM2__COUNT_OF(wrong); i++) {
        assert_int_equal(lfm2__json_field_int(f->rt, "label", o, wrong[i], 0, 9, &x), LFM2_ERR_FORMAT);
    }
    assert_int_equal(lfm2__json_field_int(f->rt, "label", o, "n", 6, 9, &x), LFM2_ERR_FORMAT);
    assert_non_null(strstr(f->log.line, "label: n: "));
    assert_int_equal(lfm2__json_field_int(f->rt, "label", o, "n", 0, 4, &x), LFM2_ERR_FORMAT);
    assert_int_equal(x, -1);
    assert_int_equal(lfm2__json_field_int(f->rt, "label", o, "n", 5, 5, &x), 0);
    assert_int_equal(x, 5);
    assert_int_equal(lfm2__json_field_int(f->rt, "label", o, "max", INT64_MIN, INT64_MAX, &x), 0);
    assert_true(x == INT64_MAX);
    lfm2__json_free(doc);
}

static void field_number(void **state)
{
    fixture *f = *state;
    lfm2__json_doc *doc = parse(f, "{\"n\": 5, \"r\": 0.25, \"null\": null, \"s\": \"5\", \"a\": []}");
    const lfm2__json *o = lfm2__json_root(doc);
    double x = -1;
    assert_int_equal(lfm2__json_field_number(f->rt, "label", o, "absent", 0, 9, &x), 0);
    assert_int_equal(lfm2__json_field_number(f->rt, "label", o, "null", 0, 9, &x), 0);
    assert_int_equal(lfm2__json_field_number(f->rt, "label", o, "s", 0, 9, &x), LFM2_ERR_FORMAT);
    assert_int_equal(lfm2__json_field_number(f->rt, "label", o, "a", 0, 9, &x), LFM2_ERR_FORMAT);
    assert_int_equal(lfm2__json_field_number(f->rt, "label", o, "r", 0.26, 9, &x), LFM2_ERR_FORMAT);
    assert_int_equal(lfm2__json_field_number(f->rt, "label", o, "r", 0, 0.24, &x), LFM2_ERR_FORMAT);
    assert_non_null(strstr(f->log.line, "label: r: "));
    assert_true(x == -1);
    assert_int_equal(lfm2__json_field_number(f->rt, "label", o, "r", 0.25, 0.25, &x), 0);
    assert_true(x == 0.25);
    assert_int_equal(lfm2__json_field_number(f->rt, "label", o, "n", 0, 9, &x), 0);
    assert_true(x == 5);
    lfm2__json_free(doc);
}

static void field_bool(void **state)
{
    fixture *f = *state;
    lfm2__json_doc *doc = parse(f, "{\"t\": true, \"f\": false, \"null\": null, \"n\": 1, \"s\": \"true\"}");
    const lfm2__json *o = lfm2__json_root(doc);
    int x = 7;
    assert_int_equal(lfm2__json_field_bool(f->rt, "label", o, "absent", &x), 0);
    assert_int_equal(lfm2__json_field_bool(f->rt, "label", o, "null", &x), 0);
    assert_int_equal(lfm2__json_field_bool(f->rt, "label", o, "n", &x), LFM2_ERR_FORMAT);
    assert_int_equal(lfm2__json_field_bool(f->rt, "label", o, "s", &x), LFM2_ERR_FORMAT);
    assert_non_null(strstr(f->log.line, "label: s: "));
    assert_int_equal(x, 7);
    assert_int_equal(lfm2__json_field_bool(f->rt, "label", o, "t", &x), 0);
    assert_int_equal(x, 1);
    assert_int_equal(lfm2__json_field_bool(f->rt, "label", o, "f", &x), 0);
    assert_int_equal(x, 0);
    lfm2__json_free(doc);
}

/* --- writing --- */

/* Expected texts are those of Python 3: json.dumps(json.loads(in), ensure_ascii=False). */
static const struct {
    const char *in, *out;
} dumped[] = {
    {"null", "null"},
    {"[true,false]", "[true, false]"},
    {"[]", "[]"},
    {"{}", "{}"},
    {"[[],{},[{}]]", "[[], {}, [{}]]"},
    {"{\"b\":1,\"a\":[2,{\"c\":null}]}", "{\"b\": 1, \"a\": [2, {\"c\": null}]}"},
    {"[0,-0,-1,9223372036854775807,-9223372036854775808]", "[0, 0, -1, 9223372036854775807, -9223372036854775808]"},
    {"\"\\u00e9\\u20ac\\ud834\\udd1e\"", "\"\xc3\xa9\xe2\x82\xac\xf0\x9d\x84\x9e\""},
    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\\"\\\\/\\b\\f\\n\\r\\t\""},
    {"\"\\u0001\\u001f\\u007f\\u0080\\u2028\"", "\"\\u0001\\u001f\x7f\xc2\x80\xe2\x80\xa8\""},
    {"\"\"", "\"\""},
    {"{\"\\n\\\"\":\"<tool>\"}", "{\"\\n\\\"\": \"<tool>\"}"},
    {"1.0", "1.0"},
    {"-0.0", "-0.0"},
    {"0.1", "0.1"},
    {"0.5", "0.5"},
    {"100.0", "100.0"},
    {"123.456", "123.456"},
    {"-2.50", "-2.5"},
    {"1e5", "100000.0"},
    {"1e-4", "0.0001"},
    {"0.00012345", "0.00012345"},
    {"1e-05", "1e-05"},
    {"1.5e-5", "1.5e-05"},
    {"1e15", "1000000000000000.0"},
    {"1e16", "1e+16"},
    {"9999999999999998.0", "9999999999999998.0"},
    {"12345678901234567.0", "1.2345678901234568e+16"},
    {"1e22", "1e+22"},
    {"1e100", "1e+100"},
    {"1e-400", "0.0"},
    {"5e-324", "5e-324"},
    {"2.2250738585072014e-308", "2.2250738585072014e-308"},
    {"1.7976931348623157e308", "1.7976931348623157e+308"},
    {"0.30000000000000004", "0.30000000000000004"},
    {"3.141592653589793", "3.141592653589793"},
    {"5.684341886080802e-14", "5.684341886080802e-14"}, /* 2^-44: the nearest with 16 digits reads back as another */
    {"5.960464477539063e-08", "5.960464477539063e-08"}, /* 2^-24 */
    {"6.189700196426902e+26", "6.189700196426902e+26"}, /* 2^89 */
};

static void check_dumps(fixture *f)
{
    for (size_t i = 0; i < LFM2__COUNT_OF(dumped); i++) {
        lfm2__json_doc *doc = parse(f, dumped[i].in);
        char *text = NULL;
        size_t n = 0;
        assert_int_equal(lfm2__json_dumps(f->rt, lfm2__json_root(doc), &text, &n), 0);
        assert_string_equal(text, dumped[i].out);
        assert_int_equal(n, strlen(dumped[i].out));
        lfm2__free(f->rt, text);
        lfm2__json_free(doc);
    }
}

static void dumps_as_python(void **state)
{
    check_dumps(*state);
    char *text = NULL;
    size_t n = 0;
    assert_int_equal(lfm2__json_dumps(((fixture *)*state)->rt, NULL, &text, &n), 0);
    assert_string_equal(text, "null");
    lfm2__free(((fixture *)*state)->rt, text);
}

/* A decimal comma in the program's locale changes nothing. */
static void dumps_in_another_locale(void **state)
{
    static const char *const locales[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "tr_TR.UTF-8"};
    const char *found = NULL;
    for (size_t i = 0; i < LFM2__COUNT_OF(locales) && found == NULL; i++) found = setlocale(LC_ALL, locales[i]);
    if (found == NULL) skip();
    check_dumps(*state);
    setlocale(LC_ALL, "C");
}

static void dumps_the_deepest(void **state)
{
    fixture *f = *state;
    static char in[2001];
    memset(in, '[', 1000);
    memset(in + 1000, ']', 1000);
    lfm2__json_doc *doc = parse(f, in);
    char *text = NULL;
    size_t n = 0;
    assert_int_equal(lfm2__json_dumps(f->rt, lfm2__json_root(doc), &text, &n), 0);
    assert_string_equal(text, in);
    lfm2__free(f->rt, text);
    lfm2__json_free(doc);
}

static void dumps_without_memory(void **state)
{
    fixture *f = *state;
    lfm2__json_doc *doc = parse(f, "[\"0123456789012345678901234567890123456789012345678901234567890123456789\","
                                   " 1.5, 7, {\"a\": \"\\u0001\"}]");
    for (int k = 1;; k++) {
        char *text = NULL;
        size_t n = 55;
        f->heap.fail_at = f->heap.n_calls + k;
        const int rc = lfm2__json_dumps(f->rt, lfm2__json_root(doc), &text, &n);
        if (rc == 0) {
            assert_true(k > 2);
            lfm2__free(f->rt, text);
            break;
        }
        assert_int_equal(rc, LFM2_ERR_NOMEM);
        assert_null(text);
        assert_int_equal(n, 55);
    }
    lfm2__json_free(doc);
}

/* The size of a real tokenizer file: nothing here is quadratic (a test run would not end). */
static void large_document(void **state)
{
    fixture *f = *state;
    enum { N = 130000 };
    char *text = malloc(N * 24 + 3);
    assert_non_null(text);
    size_t n = 0;
    text[n++] = '{';
    for (int i = 0; i < N; i++) n += (size_t)sprintf(text + n, "%s\"t%d\":%d", i ? "," : "", i, i);
    text[n++] = '}';
    lfm2__json_doc *doc = parse_n(f, text, n);
    free(text);
    assert_int_equal(lfm2__json_size(lfm2__json_root(doc)), N);
    assert_int_equal(lfm2__json_int(lfm2__json_get(lfm2__json_root(doc), "t129999")), N - 1);
    lfm2__json_free(doc);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, watch_setup, watch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(values_of_each_type),
        TEST(nothing_is_of_type_null),
        TEST(type_names),
        TEST(walks_in_order),
        TEST(accepted),
        TEST(refused),
        TEST(reasons_are_named_but_not_quoted),
        TEST(cut_at_every_byte),
        TEST(every_byte_replaced),
        TEST(limit_of_bytes),
        TEST(limit_of_values),
        TEST(limit_of_depth),
        TEST(integers_as_reals),
        TEST(without_memory),
        TEST(files),
        TEST(field_int),
        TEST(field_number),
        TEST(field_bool),
        TEST(dumps_as_python),
        TEST(dumps_in_another_locale),
        TEST(dumps_the_deepest),
        TEST(dumps_without_memory),
        TEST(large_document),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
