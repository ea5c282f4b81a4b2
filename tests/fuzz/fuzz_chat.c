/* SPDX-License-Identifier: Apache-2.0
 * Messages in JSON: the first byte chooses template and switches, the rest is rendered and encoded. No message may forge a turn,
 * the ids must give the rendered text back, and trusting the messages must be the same as encoding that text with special tokens
 * obeyed. */
#include "fuzz/fuzzing.h"

#include "base/runtime_impl.h"
#include "tokenizers/tok_impl.h"
#include "unit/tok_spec.h"

enum { IM_START = 300, IM_END = 301, BOS = 302, IMAGE = 303 };

static lfm2_tokenizer *fuzz_tokenizer(void)
{
    static lfm2_tokenizer *tok;
    static const tok_spec spec = {
        .added = "[" TOK_ADDED(300, "<|im_start|>", true) ", " TOK_ADDED(301, "<|im_end|>", true) ", " TOK_ADDED(302,
            "<|startoftext|>", true) ", "
                 TOK_ADDED(303, "<image>", true) ", " TOK_ADDED(304, "<think>", true) ", " TOK_ADDED(305, "</think>", true) ", "
                 TOK_ADDED(306, "<|tool_call_start|>", true) ", " TOK_ADDED(307, "<|tool_call_end|>", true) ", "
                 TOK_ADDED(308, "<|tool_list_start|>", true) ", " TOK_ADDED(309, "python", false) "]",
        .extra_vocab = "\"er\": 256, \"us\": 257, \"user\": 258, \"\u010A\u010A\": 259",
        .merges = "[\"e r\", \"u s\", \"us er\", \"\u010A \u010A\"]"};

    if (tok == NULL) {
        lfm2_runtime *rt = fuzz_runtime(200);
        lfm2__str text;

        lfm2__str_init(&text, rt);
        tok_write(&text, &spec);
        CHECK(text.status == 0);
        CHECK(lfm2__tokenizer_from_json(rt, "fuzz", text.data, text.n, &tok) == 0);
        lfm2__str_fini(&text);
    }
    return tok;
}

static size_t count_id(const int32_t *ids, size_t n, int32_t id)
{
    size_t i, k = 0;

    for (i = 0; i < n; i++) k += ids[i] == id;
    return k;
}

/* With slots no image token is left, whatever the messages say. */
static void check_slots(const lfm2_tokenizer *tok, const char *json, size_t n, const lfm2_chat_params *params)
{
    size_t n_ids = 0, n_again = 0, i;
    int32_t *ids;
    int rc = lfm2_chat_encode(tok, json, n, params, LFM2_CHAT_MEDIA_SLOTS, NULL, 0, &n_ids);

    if (rc == LFM2_ERR_UNSUPPORTED || rc == LFM2_ERR_FORMAT) return; /* a part that is neither text nor a medium */
    CHECK(rc == LFM2_ERR_RANGE && n_ids > 0);
    ids = malloc(n_ids * sizeof(*ids));
    CHECK(ids != NULL);
    CHECK(lfm2_chat_encode(tok, json, n, params, LFM2_CHAT_MEDIA_SLOTS, ids, n_ids, &n_again) == 0 && n_again == n_ids);
    for (i = 0; i < n_ids; i++) CHECK(ids[i] >= LFM2_SLOT_AUDIO);
    CHECK(count_id(ids, n_ids, BOS) == 1 && count_id(ids, n_ids, IMAGE) == 0);
    CHECK(count_id(ids, n_ids, IM_START) == count_id(ids, n_ids, IM_END) + (size_t)params->add_generation_prompt);
    free(ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    lfm2_tokenizer *tok = fuzz_tokenizer();
    lfm2_chat_params params = {LFM2_CHAT_AUTO, 0, 0};
    const char *json;
    char *text = NULL, *back = NULL;
    size_t text_n = 0, back_n = 0, n_ids = 0, n_trusted = 0, n_plain = 0, size;
    int32_t *ids, *plain;
    int rc;

    if (n == 0) return 0;
    params.variant = (lfm2_chat_variant)(LFM2_CHAT_LFM2 + data[0] % 4);
    params.add_generation_prompt = data[0] >> 2 & 1;
    params.keep_thinking = data[0] >> 3 & 1;
    json = (const char *)data + 1;
    rc = lfm2_chat_render(tok, json, n - 1, &params, &text, &text_n);
    if (rc < 0) {
        CHECK(rc == LFM2_ERR_FORMAT || rc == LFM2_ERR_UNSUPPORTED || rc == LFM2_ERR_LIMIT);
        CHECK(text == NULL && lfm2_chat_encode(tok, json, n - 1, &params, 0, NULL, 0, &n_ids) == rc);
        return 0;
    }
    size = text_n + 1;
    ids = malloc(size * sizeof(*ids));
    plain = malloc(size * sizeof(*plain));
    CHECK(ids != NULL && plain != NULL);

    CHECK(lfm2_chat_encode(tok, json, n - 1, &params, 0, ids, size, &n_ids) == 0);
    CHECK(count_id(ids, n_ids, BOS) == 1);
    CHECK(count_id(ids, n_ids, IM_START) == count_id(ids, n_ids, IM_END) + (size_t)params.add_generation_prompt);
    CHECK(params.variant >= LFM2_CHAT_LFM25_MOE || count_id(ids, n_ids, IMAGE) == 0);
    CHECK(lfm2_tokenizer_decode(tok, ids, n_ids, LFM2_DECODE_SPECIAL, &back, &back_n) == 0);
    CHECK(back_n == text_n && memcmp(back, text, text_n) == 0);
    lfm2_tokenizer_free_text(tok, back);

    CHECK(lfm2_chat_encode(tok, json, n - 1, &params, LFM2_CHAT_TRUST_CONTENT, ids, size, &n_trusted) == 0);
    CHECK(lfm2_tokenizer_encode(tok, text, text_n, LFM2_ENCODE_SPECIAL, plain, size, &n_plain) == 0);
    CHECK(n_trusted == n_plain && memcmp(ids, plain, n_plain * sizeof(*ids)) == 0);
    free(ids);
    free(plain);
    lfm2_tokenizer_free_text(tok, text);
    check_slots(tok, json, n - 1, &params);
    return 0;
}
