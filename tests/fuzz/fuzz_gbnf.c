/* SPDX-License-Identifier: Apache-2.0
 * Grammars in GBNF: any bytes; of what is accepted, the shortest text is found and matches, and is as long as was said. */
#include "fuzz/fuzzing.h"

#include "fuzz/grammar_fuzzing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    lfm2_runtime *rt = fuzz_runtime(200);
    lfm2_grammar *g = NULL;
    char text[512];
    if (n > 4096) return 0;
    n_lines = 0;
    const int rc = lfm2_grammar_from_gbnf(rt, (const char *)data, n, &g);
    if (rc < 0) {
        CHECK(rc == LFM2_ERR_FORMAT || rc == LFM2_ERR_UNSUPPORTED || rc == LFM2_ERR_RANGE || rc == LFM2_ERR_LIMIT);
        CHECK(n_lines == 1 && g == NULL);
        return 0;
    }
    CHECK(rc == 0 && n_lines == 0);
    const int64_t n_text = shortest_text(g, text, sizeof(text));
    CHECK(n_text != -2);
    if (n_text >= 0) {
        CHECK(n_text == lfm2_grammar_min_bytes(g));
        CHECK(lfm2_grammar_matches(g, text, (size_t)n_text) == 1);
    }
    lfm2_grammar_destroy(g);
    return 0;
}
