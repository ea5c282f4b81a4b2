/* SPDX-License-Identifier: Apache-2.0
 * JSON: any bytes within tight limits; what is accepted is walked, written, read again and must come out the same. */
#include "fuzz/fuzzing.h"

#include "base/json.h"
#include "base/runtime_impl.h"

/* Values and keys under v. */
static size_t count_values(const lfm2__json *v)
{
    size_t n_values = 1, n = 0;
    const char *key;
    const lfm2__json *val;
    if (lfm2__json_typeof(v) == LFM2__JSON_STRING) CHECK(strlen(lfm2__json_str(v, &n)) == n);
    if (lfm2__json_typeof(v) == LFM2__JSON_ARRAY) {
        for (size_t i = 0; i < lfm2__json_size(v); i++) n_values += count_values(lfm2__json_at(v, i));
    }
    for (void *it = NULL; lfm2__json_next(v, &it, &key, &n, &val);) {
        CHECK(lfm2__json_get(v, key) == val);
        n_values += 1 + count_values(val);
    }
    return n_values;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const lfm2__json_limits limits = {.max_bytes = 4096, .max_depth = 20, .max_values = 500};
    static const lfm2__json_limits wide = {.max_bytes = (size_t)1 << 20, .max_depth = 20, .max_values = 500};
    lfm2_runtime *rt = fuzz_runtime(0);
    lfm2__json_doc *doc = NULL, *again = NULL;
    char *text = NULL, *text_again = NULL;
    size_t text_n = 0, again_n = 0;
    n_lines = 0;
    const int rc = lfm2__json_parse(rt, "fuzz", (const char *)data, n, &limits, &doc);
    if (rc < 0) {
        CHECK(rc == LFM2_ERR_FORMAT || rc == LFM2_ERR_LIMIT);
        CHECK(n_lines == 1 && doc == NULL);
        return 0;
    }
    CHECK(rc == 0 && n_lines == 0);
    CHECK(count_values(lfm2__json_root(doc)) <= limits.max_values);
    CHECK(lfm2__json_dumps(rt, lfm2__json_root(doc), &text, &text_n) == 0);
    CHECK(lfm2__json_parse(rt, "fuzz", text, text_n, &wide, &again) == 0);
    CHECK(lfm2__json_dumps(rt, lfm2__json_root(again), &text_again, &again_n) == 0);
    CHECK(text_n == again_n && memcmp(text, text_again, text_n) == 0);
    lfm2__free(rt, text);
    lfm2__free(rt, text_again);
    lfm2__json_free(doc);
    lfm2__json_free(again);
    return 0;
}
