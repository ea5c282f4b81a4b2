/* SPDX-License-Identifier: Apache-2.0
 * JSON Schemas: what is produced, what is refused and how the log names it, and that hostile ones stay small. */
#include "base_testing.h"

#include <stdio.h>

#include "lfm2/constrain.h"

static int compile(lfm2_runtime *rt, const char *schema, lfm2_grammar **g)
{
    *g = NULL;
    return lfm2_grammar_from_json_schema(rt, schema, strlen(schema), g);
}

static lfm2_runtime *make_runtime(test_heap *heap, test_log *log)
{
    lfm2_runtime_params params = lfm2_runtime_params_default();
    params.n_threads = 1;
    return test_runtime_with(params, heap, log);
}

static void documents_match(void **state)
{
    static const struct {
        const char *schema, *text;
        int matches;
    } cases[] = {
        {"{\"const\": -2.0}", "-2", 1},
        {"{\"const\": 1e20}", "100000000000000000000", 1},
        {"{\"const\": 1.5e-7}", "0.00000015", 1},
        {"{\"const\": -0.25}", "-0.25", 1},
        {"{\"const\": 1e300}", "1e+300", 1},
        {"{\"const\": 0.0}", "0", 1},
        {"{\"const\": {\"b\": [1.0, null], \"a\": \"\\u00e9\\n\"}}", "{\"b\": [1, null], \"a\": \"\xc3\xa9\\n\"}", 1},
        {"{\"enum\": [1, \"1\", true]}", "\"1\"", 1},
        {"{\"enum\": [1, \"1\", true], \"type\": \"integer\"}", "\"1\"", 0},
        {"{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\"}, \"b\": {}}, \"required\": [\"a\"], "
         "\"additionalProperties\": false}",
         "{\"a\": 1, \"b\": [\"x\"]}", 1},
        {"{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\"}, \"b\": {}}, \"required\": [\"a\"], "
         "\"additionalProperties\": false}",
         "{\"b\": [\"x\"], \"a\": 1}", 0}, /* the schema's order */
        {"{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\"}}}", "{\"a\": 1, \"zz\": {}}", 1},
        {"{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\"}}}", "{\"zz\": {}, \"a\": \"x\"}", 0},
        {"{\"properties\": {\"a\": {}}, \"unevaluatedProperties\": false}", "{\"a\": 1}", 1},
        {"{\"properties\": {\"a\": {}}, \"unevaluatedProperties\": false}", "{\"b\": 1}", 0},
        {"{\"prefixItems\": [{\"type\": \"null\"}], \"unevaluatedItems\": {\"type\": \"boolean\"}}", "[null, true]", 1},
        {"{\"prefixItems\": [{\"type\": \"null\"}], \"unevaluatedItems\": {\"type\": \"boolean\"}}", "[null, 1]", 0},
        {"{\"propertyNames\": {\"enum\": [\"x\", \"y\"]}, \"type\": \"object\"}", "{\"x\": 1, \"y\": 2}", 1},
        {"{\"propertyNames\": {\"enum\": [\"x\", \"y\"]}, \"type\": \"object\"}", "{\"z\": 1}", 0},
        {"{\"items\": {\"type\": \"boolean\"}, \"uniqueItems\": true, \"type\": \"array\"}", "[true, false]", 1},
        {"{\"items\": {\"type\": \"boolean\"}, \"uniqueItems\": true, \"type\": \"array\"}", "[true, true]", 0},
        {"{\"prefixItems\": [{\"const\": 1}, {\"enum\": [1, 2]}], \"items\": false, \"uniqueItems\": true, \"type\": \"array\"}",
         "[1, 2]", 1},
        {"{\"prefixItems\": [{\"const\": 1}, {\"enum\": [1, 2]}], \"items\": false, \"uniqueItems\": true, \"type\": \"array\"}",
         "[1, 1]", 0},
        {"{\"prefixItems\": [{\"const\": 1}, {\"enum\": [1, 2]}], \"items\": false, \"uniqueItems\": true, \"type\": \"array\"}",
         "[1, 2, 1]", 0},
        {"{\"format\": \"uri\", \"type\": \"string\"}", "\"https://a.b:80/c-d?e=f#g\"", 1},
        {"{\"format\": \"uri\", \"type\": \"string\"}", "\"a b\"", 0},
        {"{\"format\": \"date\", \"type\": \"string\"}", "\"2023-02-29\"", 0},
        {"{\"format\": \"date\", \"type\": \"string\"}", "\"2024-02-29\"", 1},
        {"{\"format\": \"ipv6\", \"type\": \"string\"}", "\"fe80::1:2.3.4.5\"", 1},
        {"{\"format\": \"uuid\", \"type\": \"string\"}", "\"123e4567-e89b-12d3-a456-42661417400\"", 0},
        {"{\"minimum\": -1.5, \"exclusiveMaximum\": 10, \"multipleOf\": 0.5, \"type\": \"number\"}", "9.5", 1},
        {"{\"minimum\": -1.5, \"exclusiveMaximum\": 10, \"multipleOf\": 0.5, \"type\": \"number\"}", "10", 0},
        {"{\"minimum\": -1.5, \"exclusiveMaximum\": 10, \"multipleOf\": 0.5, \"type\": \"number\"}", "-1.75", 0},
        {"{\"type\": \"string\", \"minLength\": 2, \"maxLength\": 3, \"pattern\": \"^\\\\u00e9\"}", "\"\xc3\xa9x\"", 1},
        {"{\"type\": \"string\", \"minLength\": 2, \"maxLength\": 3, \"pattern\": \"^\\\\u00e9\"}", "\"\xc3\xa9\"", 0},
        {"{\"type\": \"string\", \"not\": {\"enum\": [\"a\", \"b\"]}}", "\"b\"", 0},
        {"{\"type\": \"string\", \"not\": {\"enum\": [\"a\", \"b\"]}}", "\"c\"", 1},
        {"{\"$defs\": {\"n\": {\"type\": [\"array\", \"null\"], \"items\": {\"$ref\": \"#/$defs/n\"}}}, \"$ref\": \"#/$defs/n\"}",
         "[[null], []]", 1},
        {"{\"$id\": \"http://x.y/a/b\", \"$ref\": \"../c\", \"$defs\": {\"z\": {\"$id\": \"/c\", \"type\": \"null\"}}}", "null", 1},
        {"{\"$id\": \"http://x.y/a/b\", \"$ref\": \"c#q\", \"$defs\": {\"z\": {\"$id\": \"c\", \"$defs\": {\"w\": {\"$anchor\": "
         "\"q\", \"const\": 3}}}}}", "3", 1},
        {"true", "{\"a\": [1, \"x\", null, false]}", 1},
        {"{\"enum\": [{\"a\": 5}, 5], \"properties\": {\"a\": {\"$ref\": \"#\"}}}", "{\"a\": 5}", 1},
        {"{\"enum\": [{\"a\": 6}, 5], \"properties\": {\"a\": {\"$ref\": \"#\"}}}", "{\"a\": 6}", 0},
    };
    test_heap heap = {0};
    test_log log = {0};
    lfm2_runtime *rt = make_runtime(&heap, &log);
    (void)state;
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        lfm2_grammar *g;
        const int rc = compile(rt, cases[i].schema, &g);
        if (rc != 0) fail_msg("%s: %d %s", cases[i].schema, rc, log.line);
        if (lfm2_grammar_matches(g, cases[i].text, strlen(cases[i].text)) != cases[i].matches) {
            fail_msg("%s and %s: not %d", cases[i].schema, cases[i].text, cases[i].matches);
        }
        lfm2_grammar_destroy(g);
    }
    lfm2_runtime_destroy(rt);
    assert_int_equal(heap.n_live, 0);
}

static void refusals_name_the_keyword(void **state)
{
    static const struct {
        const char *schema;
        int status;
        const char *where;
    } cases[] = {
        {"{", LFM2_ERR_FORMAT, "json schema"},
        {"3", LFM2_ERR_FORMAT, "#: not a schema"},
        {"false", LFM2_ERR_RANGE, "no document"},
        {"{\"type\": \"strin\"}", LFM2_ERR_FORMAT, "#/type"},
        {"{\"minLength\": -1}", LFM2_ERR_FORMAT, "#/minLength"},
        {"{\"minItems\": 1.5}", LFM2_ERR_FORMAT, "#/minItems"},
        {"{\"minimum\": \"x\"}", LFM2_ERR_FORMAT, "#/minimum"},
        {"{\"multipleOf\": 0}", LFM2_ERR_FORMAT, "#/multipleOf"},
        {"{\"enum\": 3}", LFM2_ERR_FORMAT, "#/enum"},
        {"{\"required\": [1]}", LFM2_ERR_FORMAT, "#/required"},
        {"{\"properties\": {\"a/b\": {\"items\": 3}}}", LFM2_ERR_FORMAT, "#/properties/a~1b/items"},
        {"{\"pattern\": \"(\"}", LFM2_ERR_FORMAT, "#/pattern"},
        {"{\"pattern\": 1}", LFM2_ERR_FORMAT, "#/pattern"},
        {"{\"pattern\": \"(?=a)\"}", LFM2_ERR_UNSUPPORTED, "#/pattern: look"},
        {"{\"patternProperties\": {\"\\\\bx\": {}}}", LFM2_ERR_UNSUPPORTED, "#/patternProperties/"},
        {"{\"format\": \"regex\"}", LFM2_ERR_UNSUPPORTED, "#/format"},
        {"{\"format\": 1}", LFM2_ERR_FORMAT, "#/format"},
        {"{\"$ref\": 1}", LFM2_ERR_FORMAT, "#/$ref"},
        {"{\"$ref\": \"#/$defs/x\"}", LFM2_ERR_FORMAT, "#/$ref: this reference leads nowhere"},
        {"{\"$ref\": \"#nowhere\"}", LFM2_ERR_FORMAT, "#/$ref"},
        {"{\"$ref\": \"http://else.where/x\"}", LFM2_ERR_UNSUPPORTED, "#/$ref: a reference to another document"},
        {"{\"$dynamicRef\": \"#x\"}", LFM2_ERR_UNSUPPORTED, "#/$dynamicRef"},
        {"{\"items\": {\"allOf\": [{}], \"unevaluatedProperties\": false}}", LFM2_ERR_UNSUPPORTED, "#/items/unevaluatedProperties"},
        {"{\"contains\": {}, \"unevaluatedItems\": false}", LFM2_ERR_UNSUPPORTED, "#/unevaluatedItems"},
        {"{\"uniqueItems\": true}", LFM2_ERR_UNSUPPORTED, "#/uniqueItems"},
        {"{\"not\": {\"uniqueItems\": true}}", LFM2_ERR_UNSUPPORTED, "#/not/uniqueItems"},
        {"{\"not\": {\"patternProperties\": {\"a\": {}}}}", LFM2_ERR_UNSUPPORTED, "#/not/patternProperties"},
        {"{\"not\": {\"const\": {}}}", LFM2_ERR_UNSUPPORTED, "#/not/const"},
        {"{\"allOf\": [{\"contains\": {\"const\": 1}}, {\"contains\": {\"const\": 2}}]}", LFM2_ERR_UNSUPPORTED, "contains"},
        {"{\"minProperties\": 3}", LFM2_ERR_UNSUPPORTED, "minProperties"},
        {"{\"type\": \"string\", \"minLength\": 3, \"maxLength\": 2}", LFM2_ERR_RANGE, "no document"},
        {"{\"minItems\": 1000000, \"type\": \"array\"}", LFM2_ERR_LIMIT, "array"},
        {"{\"pattern\": \"(a|b)*a(a|b){20}\"}", LFM2_ERR_LIMIT, "#/pattern"},
    };
    test_heap heap = {0};
    test_log log = {0};
    lfm2_runtime *rt = make_runtime(&heap, &log);
    lfm2_grammar *g;
    (void)state;
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        log.line[0] = '\0';
        const int rc = compile(rt, cases[i].schema, &g);
        if (rc != cases[i].status || strstr(log.line, cases[i].where) == NULL) fail_msg("%s: %d %s", cases[i].schema, rc, log.line);
        assert_null(g);
    }
    assert_int_equal(lfm2_grammar_from_json_schema(NULL, "{}", 2, &g), LFM2_ERR_ARG);
    assert_int_equal(lfm2_grammar_from_json_schema(rt, NULL, 2, &g), LFM2_ERR_ARG);
    assert_int_equal(lfm2_grammar_from_json_schema(rt, "{}", 2, NULL), LFM2_ERR_ARG);
    lfm2_runtime_destroy(rt);
    assert_int_equal(heap.n_live, 0);
}

/* ---- Hostile schemas: our own memory stays within bounds; ctest's limit is the clock. ---- */

static char *repeat(const char *begin, const char *part, int n, const char *end)
{
    const size_t cap = strlen(begin) + strlen(end) + (size_t)n * (strlen(part) + 12) + 1;
    char *text = malloc(cap);
    assert_non_null(text);
    size_t at = (size_t)snprintf(text, cap, "%s", begin);
    for (int i = 0; i < n; i++) {
        at += (size_t)(i > 0 ? snprintf(text + at, cap - at, ",") : 0);
        for (const char *c = part; *c != '\0'; c++)
            at += (size_t)(*c == '#' ? snprintf(text + at, cap - at, "%d", i) : snprintf(text + at, cap - at, "%c", *c));
    }
    (void)snprintf(text + at, cap - at, "%s", end);
    return text;
}

static void hostile_schemas_stay_small(void **state)
{
    static const struct {
        const char *begin, *part;
        int n;
        const char *end;
        int is_taken; /* 0: perhaps */
    } cases[] = {
        {"{\"enum\": [", "\"v#\"", 100000, "]}", 1},
        {"{\"allOf\": [{\"enum\": [", "#", 50000, "]}, {\"enum\": [1.5, \"x\", 7]}]}", 1},
        {"{\"properties\": {", "\"p#\": {\"type\": \"string\"}", 3000, "}}", 1},
        {"{\"properties\": {", "\"p#\": {\"type\": \"string\"}", 30000, "}}", 0},
        {"{\"required\": [", "\"p#\"", 30000, "]}", 0},
        {"{\"allOf\": [", "{\"minimum\": #}", 20000, "]}", 0},
        {"{\"allOf\": [", "{\"pattern\": \"(a|b)*a(a|b){9}#\"}", 200, "]}", 0},
        {"{\"allOf\": [", "{\"anyOf\": [{\"required\": [\"a#\"]}, {\"required\": [\"b#\"]}]}", 30, "]}", 0},
        {"{\"oneOf\": [", "{\"properties\": {\"k#\": {\"type\": \"string\"}}}", 64, "]}", 0},
        {"{\"type\": \"object\", \"oneOf\": [", "{\"properties\": {\"k\": {\"const\": #}}, \"required\": [\"k\"]}", 64, "]}", 1},
        {"{\"patternProperties\": {", "\"(a|b)*a(a|b){8}#\": {}", 60, "}}", 0},
        {"{\"not\": {\"enum\": [", "\"value #\"", 10000, "]}, \"type\": \"string\"}", 0},
        {"{\"$defs\": {\"a\": {\"$anchor\": \"z\"}}, \"anyOf\": [", "{\"$ref\": \"#z\"}", 400, "]}", 0},
        {"{\"$ref\": \"#/$defs/a0\", \"$defs\": {", "\"a#\": {\"$ref\": \"#/$defs/a0\"}", 5000, "}}", 0},
        {"{\"maxLength\": 400000000, \"enum\": [", "1", 1, "]}", 0},
    };
    test_heap heap = {0};
    test_log log = {0};
    lfm2_runtime *rt = make_runtime(&heap, &log);
    (void)state;
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        lfm2_grammar *g;
        char *schema = repeat(cases[i].begin, cases[i].part, cases[i].n, cases[i].end);
        heap.peak_bytes = heap.live_bytes;
        const int rc = compile(rt, schema, &g);
        if (cases[i].is_taken && rc != 0) fail_msg("%s: %d %s", cases[i].part, rc, log.line);
        assert_true(rc == 0 || rc == LFM2_ERR_LIMIT || rc == LFM2_ERR_UNSUPPORTED || rc == LFM2_ERR_RANGE || rc == LFM2_ERR_FORMAT);
        assert_true(heap.peak_bytes < (size_t)64 << 20);
        lfm2_grammar_destroy(g);
        free(schema);
    }
    lfm2_runtime_destroy(rt);
    assert_int_equal(heap.n_live, 0);
}

static void nesting_is_bounded(void **state)
{
    enum { N = 100000 };
    static const char open[] = "{\"items\":", not_open[] = "{\"not\":";
    test_heap heap = {0};
    lfm2_runtime *rt = make_runtime(&heap, NULL);
    char *text = malloc((size_t)N * 10 + 3);
    lfm2_grammar *g = NULL;
    (void)state;
    assert_non_null(text);
    for (int way = 0; way < 2; way++) {
        for (int depth = 150; depth <= N; depth += N - 150) {
            const char *part = way == 0 ? open : not_open;
            size_t n = 0;
            for (int i = 0; i < depth; i++, n += strlen(part)) memcpy(text + n, part, strlen(part));
            memcpy(text + n, "{}", 2);
            n += 2;
            for (int i = 0; i < depth; i++) text[n++] = '}';
            const int rc = lfm2_grammar_from_json_schema(rt, text, n, &g);
            if (depth > 150) assert_int_equal(rc, LFM2_ERR_LIMIT);
            else assert_int_equal(rc, 0); /* an even number of negations: everything */
            lfm2_grammar_destroy(g);
            g = NULL;
        }
    }
    free(text);
    lfm2_runtime_destroy(rt);
    assert_int_equal(heap.n_live, 0);
}

static void every_allocation_may_fail(void **state)
{
    static const char schema[] =
        "{\"type\": \"object\", \"properties\": {\"a\": {\"enum\": [\"x\", 1.5]}, \"b\": {\"type\": \"string\", \"pattern\": "
        "\"^[a-c]+$\", "
        "\"maxLength\": 4}, \"c\": {\"$ref\": \"#/$defs/n\"}, \"d\": {\"type\": \"array\", \"items\": {\"type\": \"boolean\"}, "
        "\"uniqueItems\": true}}, "
        "\"required\": [\"a\"], \"patternProperties\": {\"^p\": {\"minimum\": 3}}, \"$defs\": {\"n\": {\"$anchor\": \"n\", "
        "\"type\": \"null\"}}}";
    test_heap heap = {0};
    lfm2_runtime *rt = make_runtime(&heap, NULL);
    (void)state;
    for (long k = 1, n = 0; k == 1 || k <= n; k += k < 200 ? 1 : 37) { /* there are thousands */
        lfm2_grammar *g;
        const long n_live = heap.n_live, before = heap.n_calls;
        heap.fail_at = before + k;
        int rc = compile(rt, schema, &g);
        if (rc == 0) rc = lfm2_grammar_matches(g, "{\"a\": \"x\", \"d\": [true]}", 23);
        assert_int_equal(rc, test_has_failed(&heap) ? LFM2_ERR_NOMEM : 1);
        lfm2_grammar_destroy(g);
        assert_int_equal(heap.n_live, n_live);
        if (k == 1) {
            heap.fail_at = 0;
            const long from = heap.n_calls;
            assert_int_equal(compile(rt, schema, &g), 0);
            lfm2_grammar_destroy(g);
            n = heap.n_calls - from + 20;
        }
    }
    heap.fail_at = 0;
    lfm2_runtime_destroy(rt);
    assert_int_equal(heap.n_live, 0);
}

static void it_can_be_aborted(void **state)
{
    lfm2_runtime *rt = make_runtime(NULL, NULL);
    lfm2_grammar *g;
    (void)state;
    lfm2_runtime_abort(rt);
    assert_int_equal(compile(rt, "{\"type\": \"string\", \"pattern\": \"a\"}", &g), LFM2_ERR_ABORTED);
    assert_null(g);
    lfm2_runtime_destroy(rt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_match),    cmocka_unit_test(refusals_name_the_keyword),
        cmocka_unit_test(hostile_schemas_stay_small),
        cmocka_unit_test(nesting_is_bounded), cmocka_unit_test(every_allocation_may_fail), cmocka_unit_test(it_can_be_aborted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
