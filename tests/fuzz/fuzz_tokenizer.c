/* SPDX-License-Identifier: Apache-2.0
 * tokenizer.json: a whole file, or (where the input does not start with a brace) four lines that become the added tokens, the
 * vocabulary beyond the byte symbols, the merges and the pattern of a file. What is accepted must give every text back. */
#include "fuzz/fuzzing.h"

#include "base/runtime_impl.h"
#include "tokenizers/tok_impl.h"
#include "unit/tok_spec.h"

/* Encode, look at every id, decode. A wild pattern may give up. */
static void round_trip(const lfm2_tokenizer *tok, const char *text, size_t n, unsigned flags)
{
    int32_t *ids = malloc((n + 1) * sizeof(*ids));
    char *back = NULL;
    size_t n_ids = 0, i, back_n = 0;
    int rc;

    CHECK(ids != NULL);
    rc = lfm2_tokenizer_encode(tok, text, n, flags, ids, n, &n_ids);
    CHECK(rc == 0 || rc == LFM2_ERR_LIMIT || rc == LFM2_ERR_UTF8);
    if (rc == 0) {
        CHECK(n_ids <= n);
        for (i = 0; i < n_ids; i++) {
            CHECK(lfm2_tokenizer_is_defined(tok, ids[i]));
            CHECK(flags == LFM2_ENCODE_SPECIAL || !lfm2_tokenizer_is_special(tok, ids[i]));
        }
        CHECK(lfm2_tokenizer_decode(tok, ids, n_ids, LFM2_DECODE_SPECIAL, &back, &back_n) == 0);
        CHECK(back_n == n && memcmp(back, text, n) == 0);
        lfm2_tokenizer_free_text(tok, back);
    }
    free(ids);
}

static char *next_line(char **rest)
{
    char *line = *rest, *end = strchr(line, '\n');

    if (end != NULL) *end = '\0';
    *rest = end != NULL ? end + 1 : line + strlen(line);
    return *line != '\0' ? line : NULL;
}

static int load_lines(lfm2_runtime *rt, const uint8_t *data, size_t n, lfm2_tokenizer **tok)
{
    char *copy = lfm2__strndup(rt, (const char *)data, n), *rest = copy, *pattern;
    tok_spec spec = {0};
    lfm2__str text, pre;
    int rc;

    CHECK(copy != NULL);
    spec.added = next_line(&rest);
    spec.extra_vocab = next_line(&rest);
    spec.merges = next_line(&rest);
    pattern = next_line(&rest);
    lfm2__str_init(&text, rt);
    lfm2__str_init(&pre, rt);
    if (pattern != NULL) {
        lfm2__str_puts(&pre, "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\", \"pattern\": {\"Regex\": ");
        tok_put_json_str(&pre, pattern);
        lfm2__str_puts(&pre, "}, \"behavior\": \"Isolated\", \"invert\": false}, {\"type\": \"ByteLevel\", \"add_prefix_space\": "
                             "false, "
                             "\"use_regex\": false}]}");
        spec.pre_tokenizer = pre.data;
    }
    if (n > 0 && data[0] % 2) spec.model = "\"type\": \"BPE\"";
    tok_write(&text, &spec);
    CHECK(text.status == 0 && pre.status == 0);
    rc = lfm2__tokenizer_from_json(rt, "fuzz", text.data, text.n, tok);
    lfm2__str_fini(&text);
    lfm2__str_fini(&pre);
    lfm2__free(rt, copy);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char text[] = "Hello, w\u00F6rld!  don't <|im_start|>\n\n 12345\t\u4F60\u597D \xF0\x9F\xA7\xAD abababababab "
                               "python <think>";
    lfm2_runtime *rt = fuzz_runtime(1000);
    lfm2_tokenizer *tok = NULL;
    const size_t tail_n = n < 200 ? n : 200;
    int rc;

    n_lines = 0;
    if (n > 0 && data[0] == '{') rc = lfm2__tokenizer_from_json(rt, "fuzz", (const char *)data, n, &tok);
    else rc = load_lines(rt, data, n, &tok);
    CHECK(rc == 0 ? tok != NULL : tok == NULL && n_lines == 1);
    if (rc < 0) return 0;
    round_trip(tok, text, sizeof(text) - 1, 0);
    round_trip(tok, text, sizeof(text) - 1, LFM2_ENCODE_SPECIAL);
    round_trip(tok, (const char *)data + n - tail_n, tail_n, 0);
    round_trip(tok, (const char *)data + n - tail_n, tail_n, LFM2_ENCODE_SPECIAL);
    lfm2_tokenizer_unload(tok);
    return 0;
}
