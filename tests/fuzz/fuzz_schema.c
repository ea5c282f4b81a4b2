/* SPDX-License-Identifier: Apache-2.0
 * JSON Schemas: any bytes; of what is accepted, the shortest document is JSON, matches, and is as long as was said. */
#include "fuzz/fuzzing.h"

#include "base/json.h"
#include "fuzz/grammar_fuzzing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const lfm2__json_limits limits = {.max_bytes = 4096, .max_depth = 1000, .max_values = 4096, .ints_as_reals = 1};
    lfm2_runtime *rt = fuzz_runtime(1 << 14); /* a line has the path of a keyword */
    lfm2_grammar *g = NULL;
    char text[512];
    if (n > 4096) return 0;
    n_lines = 0;
    const int rc = lfm2_grammar_from_json_schema(rt, (const char *)data, n, &g);
    if (rc < 0) {
        CHECK(rc == LFM2_ERR_FORMAT || rc == LFM2_ERR_UNSUPPORTED || rc == LFM2_ERR_RANGE || rc == LFM2_ERR_LIMIT);
        CHECK(n_lines >= 1 && g == NULL);
        return 0;
    }
    const int64_t n_text = shortest_text(g, text, sizeof(text));
    CHECK(n_text != -2);
    if (n_text >= 0) {
        lfm2__json_doc *doc = NULL;
        CHECK(n_text == lfm2_grammar_min_bytes(g));
        CHECK(lfm2_grammar_matches(g, text, (size_t)n_text) == 1);
        const int parsed = lfm2__json_parse(rt, "fuzz", text, (size_t)n_text, &limits, &doc);
        /* a name that the schema leaves open may come twice: the only thing that a grammar does not see */
        CHECK(parsed == 0 || parsed == LFM2_ERR_FORMAT || parsed == LFM2_ERR_LIMIT);
        lfm2__json_free(doc);
    }
    lfm2_grammar_destroy(g);
    return 0;
}
