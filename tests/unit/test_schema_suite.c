/* SPDX-License-Identifier: Apache-2.0
 * JSON Schemas of a public suite: what a schema accepts can be written, what it rejects cannot; how many schemas are taken. */
#include "base_testing.h"

#include <stdio.h>

#include "lfm2/constrain.h"

/* Keywords that are refused unless they stand alone, and documents that are elsewhere: not counted in the share, but held to the
 * rest. */
static const char *const uncounted[] = {"unevaluatedItems", "unevaluatedProperties", "dynamicRef", "refRemote"};

typedef struct tally {
    char keyword[64];
    int n, n_taken, is_counted;
} tally;

static char *read_suite(size_t *n)
{
    FILE *f = fopen(LFM2_TEST_DIR "/oracle/schema_suite.list", "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *n = (size_t)ftell(f);
    rewind(f);
    char *text = malloc(*n + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, *n, f), *n);
    text[*n] = '\0';
    fclose(f);
    return text;
}

static tally *tally_of(tally *list, int *n, const char *group)
{
    const int len = (int)strcspn(group, " ");
    for (int i = 0; i < *n; i++) {
        if ((int)strlen(list[i].keyword) == len && strncmp(list[i].keyword, group, (size_t)len) == 0) return &list[i];
    }
    assert_true(*n < 100);
    tally *t = &list[(*n)++];
    (void)snprintf(t->keyword, sizeof(t->keyword), "%.*s", len, group);
    t->is_counted = 1;
    for (size_t i = 0; i < LFM2__COUNT_OF(uncounted); i++) t->is_counted &= strcmp(strchr(t->keyword, '/') + 1, uncounted[i]) != 0;
    return t;
}

/* 1 if one of the spellings, with "<|>" between them, matches. */
static int is_producible(const lfm2_grammar *g, char *spellings)
{
    int found = 0;
    while (!found && spellings != NULL) {
        char *behind = strstr(spellings, "<|>");
        if (behind != NULL) *behind = '\0';
        const int rc = lfm2_grammar_matches(g, spellings, strlen(spellings));
        assert_true(rc >= 0);
        found = rc;
        spellings = behind == NULL ? NULL : behind + 3;
    }
    return found;
}

static void suite_holds(void **state)
{
    size_t n = 0;
    char *text = read_suite(&n), *line = text;
    const char *group = "";
    lfm2_runtime_params params = lfm2_runtime_params_default();
    lfm2_runtime *rt = NULL;
    lfm2_grammar *g = NULL;
    tally tallies[100] = {{{0}, 0, 0, 0}}, *t = NULL;
    int n_tallies = 0, rc = 0, n_wrong = 0, n_all = 0, n_taken = 0, n_empty = 0;
    (void)state;
    params.n_threads = 1;
    assert_int_equal(lfm2_runtime_create(&params, &rt), 0);
    while (*line != '\0') {
        char *end = strchr(line, '\n'), *rest = line + 2;
        *end = '\0';
        if (*line == 'G') {
            group = rest;
        } else if (*line == 'S') {
            lfm2_grammar_destroy(g);
            g = NULL;
            t = tally_of(tallies, &n_tallies, group);
            rc = lfm2_grammar_from_json_schema(rt, rest, strlen(rest), &g);
            /* FORMAT: texts with NUL, which our JSON refuses, and references to nowhere */
            assert_true(rc == 0 || rc == LFM2_ERR_UNSUPPORTED || rc == LFM2_ERR_RANGE || rc == LFM2_ERR_LIMIT ||
                        rc == LFM2_ERR_FORMAT);
            t->n++;
            t->n_taken += rc == 0 || rc == LFM2_ERR_RANGE;
            n_empty += rc == LFM2_ERR_RANGE;
        } else if (rc == 0 || rc == LFM2_ERR_RANGE) {
            const int is_valid = *line == 'V';
            if ((rc == 0 && is_producible(g, rest)) == is_valid) {
                line = end + 1;
                continue;
            }
            print_error("%s: a%s instance is%s producible\n", group, is_valid ? " valid" : "n invalid", is_valid ? " not" : "");
            n_wrong++;
        }
        line = end + 1;
    }
    for (int i = 0; i < n_tallies; i++) {
        if (tallies[i].n_taken < tallies[i].n)
            print_message("%s: %d of %d groups\n", tallies[i].keyword, tallies[i].n_taken, tallies[i].n);
        n_all += tallies[i].is_counted ? tallies[i].n : 0;
        n_taken += tallies[i].is_counted ? tallies[i].n_taken : 0;
    }
    print_message("taken: %d of %d groups, %d of them without any valid document\n", n_taken, n_all, n_empty);
    assert_int_equal(n_wrong, 0);
    assert_true(n_all > 400);
    assert_true(n_taken * 100 >= n_all * 85);
    lfm2_grammar_destroy(g);
    lfm2_runtime_destroy(rt);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(suite_holds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
