/* SPDX-License-Identifier: Apache-2.0
 * Tokenizer keys of GGUF files: read, refused, written. */
#include "tok_testing.h"
#include "weights_testing.h"

#include <sys/stat.h>
#include <unistd.h>

#include "weights/gguf_write.h"
#include "weights/weights_impl.h"

#define MAX_TOKENS 320

typedef struct fixture {
    watched x;
    char dir[64];
    char path[128];
    /* What write_checkpoint() writes; setup fills in a good file of 256 byte symbols and ten more tokens. */
    const char *model, *pre;
    char symbols[256][8];
    const char *tokens[MAX_TOKENS];
    int32_t types[MAX_TOKENS];
    size_t n_tokens, n_types;
    const char *merges[8];
    size_t n_merges;
    int32_t bos, eos, pad, eot; /* -1 = no such key */
    int adds_bos; /* -1 = no such key */
    const char *chat_template;
} fixture;

static void good(fixture *f)
{
    static const char *const more[] = {"ab", "\u0120ab", "abc", "<|startoftext|>", "<|im_start|>", "<|im_end|>", "py th",
                                       "[PAD263]", "[PAD264]",
                                       "python"};
    static const int32_t more_types[] = {1, 1, 1, 3, 3, 3, 4, 5, 1, 4};
    int i;

    for (i = 0; i < 256; i++) {
        memset(f->symbols[i], 0, sizeof(f->symbols[i]));
        lfm2__utf8_encode(tok_symbol(i), f->symbols[i]);
        f->tokens[i] = f->symbols[i];
        f->types[i] = 1;
    }
    for (i = 0; i < (int)LFM2__COUNT_OF(more); i++) {
        f->tokens[256 + i] = more[i];
        f->types[256 + i] = more_types[i];
    }
    f->n_tokens = f->n_types = 256 + LFM2__COUNT_OF(more);
    f->model = "gpt2";
    f->pre = "lfm2";
    f->merges[0] = "a b";
    f->merges[1] = "\u0120 ab";
    f->merges[2] = "ab c";
    f->n_merges = 3;
    f->bos = 259;
    f->eos = 261;
    f->pad = f->eot = f->adds_bos = -1;
    f->chat_template = NULL;
}

static int setup(void **state)
{
    fixture *f = test_calloc(1, sizeof(*f));

    watch_begin(&f->x);
    make_folder(f->dir, sizeof(f->dir));
    snprintf(f->path, sizeof(f->path), "%s/model.gguf", f->dir);
    good(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    remove_folder(f->dir);
    watch_end(&f->x);
    test_free(f);
    return 0;
}

static lfm2__gguf_writer *begin_file(fixture *f)
{
    lfm2__gguf_writer *g = NULL;

    assert_int_equal(lfm2__gguf_write_create(f->x.rt, f->path, &g), 0);
    lfm2__gguf_put_str(g, "general.architecture", "lfm2", 4);
    return g;
}

/* A GGUF file needs a tensor. */
static void end_file(lfm2__gguf_writer *g)
{
    const int64_t dims[1] = {1};
    const float one = 1.0f;

    assert_int_equal(lfm2__gguf_put_tensor(g, "t", LFM2_DTYPE_F32, 1, dims), 0);
    assert_int_equal(lfm2__gguf_write_data(g, &one, sizeof(one)), 0);
    assert_int_equal(lfm2__gguf_end_tensor(g), 0);
    assert_int_equal(lfm2__gguf_write_finish(g), 0);
    lfm2__gguf_write_destroy(g);
}

static void write_checkpoint(fixture *f)
{
    lfm2__gguf_writer *g = begin_file(f);

    if (f->model != NULL) lfm2__gguf_put_str(g, "tokenizer.ggml.model", f->model, strlen(f->model));
    if (f->pre != NULL) lfm2__gguf_put_str(g, "tokenizer.ggml.pre", f->pre, strlen(f->pre));
    if (f->n_tokens != SIZE_MAX) lfm2__gguf_put_str_array(g, "tokenizer.ggml.tokens", f->tokens, NULL, f->n_tokens);
    if (f->n_types != SIZE_MAX) lfm2__gguf_put_i32_array(g, "tokenizer.ggml.token_type", f->types, f->n_types);
    if (f->n_merges != SIZE_MAX) lfm2__gguf_put_str_array(g, "tokenizer.ggml.merges", f->merges, NULL, f->n_merges);
    if (f->bos != -1) lfm2__gguf_put_u32(g, "tokenizer.ggml.bos_token_id", (uint32_t)f->bos);
    if (f->eos != -1) lfm2__gguf_put_u32(g, "tokenizer.ggml.eos_token_id", (uint32_t)f->eos);
    if (f->pad != -1) lfm2__gguf_put_u32(g, "tokenizer.ggml.padding_token_id", (uint32_t)f->pad);
    if (f->eot != -1) lfm2__gguf_put_u32(g, "tokenizer.ggml.eot_token_id", (uint32_t)f->eot);
    if (f->adds_bos != -1) lfm2__gguf_put_bool(g, "tokenizer.ggml.add_bos_token", f->adds_bos);
    if (f->chat_template != NULL) lfm2__gguf_put_str(g, "tokenizer.chat_template", f->chat_template, strlen(f->chat_template));
    end_file(g);
}

static int load_path(fixture *f, const char *path, lfm2_tokenizer **tok)
{
    lfm2_weights *w = NULL;
    int rc;

    assert_int_equal(lfm2_weights_open(f->x.rt, path, &w), 0);
    f->x.log.line[0] = '\0';
    rc = lfm2_tokenizer_load(f->x.rt, w, tok);
    lfm2_weights_close(w);
    return rc;
}

static int load(fixture *f, lfm2_tokenizer **tok)
{
    write_checkpoint(f);
    return load_path(f, f->path, tok);
}

static void refused(fixture *f, int status, const char *what)
{
    lfm2_tokenizer *tok = NULL;

    assert_int_equal(load(f, &tok), status);
    assert_null(tok);
    if (strstr(f->x.log.line, "model.gguf") == NULL || strstr(f->x.log.line, what) == NULL) fail_msg("log line: %s", f->x.log.line);
    assert_null(strstr(f->x.log.line, "secret"));
    good(f);
}

static void good_file(void **state)
{
    fixture *f = *state;
    lfm2_tokenizer *tok = NULL;
    size_t n = 0;

    f->eot = 97;
    f->chat_template = "{{bos_token}}<|im_start|><|im_end|>";
    assert_int_equal(load(f, &tok), 0);
    assert_int_equal(lfm2_tokenizer_n_ids(tok), 266);
    assert_int_equal(lfm2_tokenizer_bos(tok), 259);
    assert_int_equal(lfm2_tokenizer_eos(tok), 261);
    assert_int_equal(tok->pad, -1);
    assert_true(lfm2_tokenizer_adds_bos(tok));
    assert_false(tok->adds_bos_known);
    assert_false(lfm2_tokenizer_is_defined(tok, 263)); /* type 5 */
    assert_false(lfm2_tokenizer_is_defined(tok, 264)); /* a padding row by its name */
    assert_true(lfm2_tokenizer_is_defined(tok, 265));
    assert_true(lfm2_tokenizer_is_special(tok, 260));
    assert_false(lfm2_tokenizer_is_special(tok, 262));
    assert_int_equal(lfm2_tokenizer_end_ids(tok, &n)[0], 97);
    assert_int_equal(n, 2);
    assert_int_equal(lfm2_tokenizer_chat_variant(tok), LFM2_CHAT_VL);
    tok_check(tok, "abc ab<|im_end|>", LFM2_ENCODE_SPECIAL, 258, 257, 261, -1);
    tok_check(tok, "apy thonpythona", 0, 'a', 262, 'o', 'n', 265, 'a', -1);
    lfm2_tokenizer_unload(tok);
}

/* Rows behind the last token belong to the model, not to the tokenizer. */
static void trailing_padding(void **state)
{
    fixture *f = *state;
    lfm2_tokenizer *tok = NULL;

    f->types[265] = 5;
    f->tokens[265] = "[PAD265]";
    assert_int_equal(load(f, &tok), 0);
    assert_int_equal(lfm2_tokenizer_n_ids(tok), 263);
    lfm2_tokenizer_unload(tok);
    good(f);
    f->tokens[264] = "[PAD7]"; /* not its own number: a token like any other */
    assert_int_equal(load(f, &tok), 0);
    assert_true(lfm2_tokenizer_is_defined(tok, 264));
    lfm2_tokenizer_unload(tok);
}

static void other_names_of_the_pattern(void **state)
{
    static const char *const names[] = {"llama3", "llama-v3", "llama-bpe"};
    fixture *f = *state;
    lfm2_tokenizer *tok = NULL;
    size_t i;

    for (i = 0; i < LFM2__COUNT_OF(names); i++) {
        f->pre = names[i];
        assert_int_equal(load(f, &tok), 0);
        tok_check(tok, "1234abc", 0, '1', '2', '3', '4', 258, -1);
        lfm2_tokenizer_unload(tok);
    }
}

static void other_tokenizers(void **state)
{
    fixture *f = *state;

    f->model = NULL;
    refused(f, LFM2_ERR_NOT_FOUND, "tokenizer.ggml.model");
    f->model = "llama";
    refused(f, LFM2_ERR_UNSUPPORTED, "tokenizer.ggml.model");
    f->model = "gpt2secret";
    refused(f, LFM2_ERR_UNSUPPORTED, "tokenizer.ggml.model");
    f->pre = NULL;
    refused(f, LFM2_ERR_UNSUPPORTED, "tokenizer.ggml.pre");
    f->pre = "default";
    refused(f, LFM2_ERR_UNSUPPORTED, "tokenizer.ggml.pre");
}

static void bad_lists(void **state)
{
    fixture *f = *state;

    f->n_tokens = SIZE_MAX;
    refused(f, LFM2_ERR_FORMAT, "tokenizer.ggml.tokens");
    f->n_types = SIZE_MAX;
    refused(f, LFM2_ERR_FORMAT, "tokenizer.ggml.token_type");
    f->n_merges = SIZE_MAX;
    refused(f, LFM2_ERR_FORMAT, "tokenizer.ggml.merges");
    f->n_tokens = f->n_types = 0;
    refused(f, LFM2_ERR_FORMAT, "tokenizer.ggml.tokens");
    f->n_types--;
    refused(f, LFM2_ERR_FORMAT, "tokenizer.ggml.token_type: not as long");
    f->n_types++;
    f->types[266] = 1;
    refused(f, LFM2_ERR_FORMAT, "tokenizer.ggml.token_type: not as long");
    memset(f->types, 0, sizeof(f->types));
    refused(f, LFM2_ERR_UNSUPPORTED, "tokenizer.ggml.token_type[0]");
}

static void bad_tokens(void **state)
{
    static const struct {
        size_t i;
        const char *text;
        int32_t type;
        int status;
        const char *what;
    } cases[] = {
        {256, "<0x-1>", 1, LFM2_ERR_UNSUPPORTED, "tokens[256]: a byte-fallback token"},
        {256, "<0x0A>", 6, LFM2_ERR_UNSUPPORTED, "token_type[256]: 6"},
        {256, "secret", 2, LFM2_ERR_UNSUPPORTED, "token_type[256]: 2"},
        {256, "secret", 7, LFM2_ERR_UNSUPPORTED, "token_type[256]: 7"},
        {256, "secret", -1, LFM2_ERR_UNSUPPORTED, "token_type[256]: -1"},
        {256, "", 1, LFM2_ERR_FORMAT, "tokens[256]: the token is empty"},
        {256, "secret\xFF", 1, LFM2_ERR_FORMAT, "tokens[256]: the token is not in byte-level form"},
        {256, "secret\xFF", 3, LFM2_ERR_FORMAT, "tokens[256]: the token is not valid UTF-8"},
        {256, "secret token", 1, LFM2_ERR_FORMAT, "tokens[256]: the token is not in byte-level form"},
        {256, "abc", 1, LFM2_ERR_FORMAT, "tokens[258]: the same token"},
        {260, "<|im_end|>", 3, LFM2_ERR_FORMAT, "tokens[261]: the same token"},
        {256, "<|im_end|>", 1, LFM2_ERR_FORMAT, "tokens[261]: the same token"},
        {10, "ab", 1, LFM2_ERR_FORMAT, "tokens[256]: the same token"},
        {10, "\u00FF\u00FF", 1, LFM2_ERR_FORMAT, "no token for byte 0x0A"},
        {258, "abd", 1, LFM2_ERR_FORMAT, "merges[2]: what the parts make is no token"},
        {258, "abc", 3, LFM2_ERR_FORMAT, "merges[2]: what the parts make is no token"},
        {256, "ba", 1, LFM2_ERR_FORMAT, "merges[0]: what the parts make is no token"},
    };
    fixture *f = *state;
    size_t i;

    for (i = 0; i < LFM2__COUNT_OF(cases); i++) {
        f->tokens[cases[i].i] = cases[i].text;
        f->types[cases[i].i] = cases[i].type;
        refused(f, cases[i].status, cases[i].what);
    }
}

static void bad_merges(void **state)
{
    static const struct {
        const char *merge, *what;
    } cases[] = {
        {"ab", "merges[1]: not a pair"},          {"", "merges[1]: not a pair"},
        {"a  b", "merges[1]: a part that is not"}, {" a", "merges[1]: a part that is empty"},
        {"a ", "merges[1]: a part that is empty"}, {"a b", "merges[1]: the merge is there twice"},
        {"secret a", "merges[1]: a part that is no token"}, {"b c", "merges[1]: what the parts make is no token"},
        {"a \xFF", "merges[1]: a part that is not in byte-level form"},
    };
    fixture *f = *state;
    size_t i;

    for (i = 0; i < LFM2__COUNT_OF(cases); i++) {
        f->merges[1] = cases[i].merge;
        refused(f, LFM2_ERR_FORMAT, cases[i].what);
    }
}

/* M6: ids beyond the vocabulary. */
static void bad_ids(void **state)
{
    fixture *f = *state;

    f->bos = 266;
    refused(f, LFM2_ERR_FORMAT, "tokenizer.ggml.bos_token_id");
    f->eos = INT32_MIN; /* 2^31 in the file */
    refused(f, LFM2_ERR_FORMAT, "tokenizer.ggml.eos_token_id");
    f->pad = 263;
    refused(f, LFM2_ERR_FORMAT, "tokenizer.ggml.padding_token_id: a token that is not defined");
    f->eot = 100000;
    refused(f, LFM2_ERR_FORMAT, "tokenizer.ggml.eot_token_id");
}

static void long_token_and_template(void **state)
{
    fixture *f = *state;
    const size_t n = (size_t)10 << 20;
    char *text = malloc(n + 1);

    assert_non_null(text);
    memset(text, 'x', n);
    text[n] = '\0';
    f->tokens[256] = text;
    refused(f, LFM2_ERR_LIMIT, "tokenizer.ggml.tokens[256]: the token is longer than 1024 bytes");
    f->chat_template = text;
    refused(f, LFM2_ERR_LIMIT, "tokenizer.chat_template");
    free(text);
}

static void wrong_value_types(void **state)
{
    static const char *const keys[] = {"tokenizer.ggml.model", "tokenizer.ggml.pre", "tokenizer.ggml.tokens",
                                       "tokenizer.ggml.token_type",
                                       "tokenizer.ggml.merges"};
    fixture *f = *state;
    size_t i, k;

    for (i = 0; i < LFM2__COUNT_OF(keys); i++) {
        lfm2__gguf_writer *g = begin_file(f);
        lfm2_tokenizer *tok = NULL;

        for (k = 0; k < LFM2__COUNT_OF(keys); k++) {
            if (k == i) lfm2__gguf_put_f32(g, keys[k], 1.0f);
            else if (k == 0) lfm2__gguf_put_str(g, keys[k], "gpt2", 4);
            else if (k == 1) lfm2__gguf_put_str(g, keys[k], "lfm2", 4);
            else if (k == 3) lfm2__gguf_put_i32_array(g, keys[k], f->types, f->n_types);
            else if (k == 2) lfm2__gguf_put_str_array(g, keys[k], f->tokens, NULL, f->n_tokens);
            else lfm2__gguf_put_str_array(g, keys[k], f->merges, NULL, f->n_merges);
        }
        end_file(g);
        assert_int_equal(load_path(f, f->path, &tok), LFM2_ERR_FORMAT);
        assert_non_null(strstr(f->x.log.line, keys[i]));
    }
}

/* Both containers of the reference checkpoint hold the same tokenizer. */
static void golden_gguf_equals_json(void **state)
{
    fixture *f = *state;
    lfm2_tokenizer *a = NULL, *b = NULL;
    int32_t id;
    size_t n_a = 0, n_b = 0;

    assert_int_equal(load_path(f, TOK_GOLDEN "/model-bf16.gguf", &a), 0);
    assert_int_equal(load_path(f, TOK_GOLDEN, &b), 0);
    assert_int_equal(lfm2_tokenizer_n_ids(a), lfm2_tokenizer_n_ids(b));
    for (id = 0; id < lfm2_tokenizer_n_ids(a); id++) {
        const char *bytes_a = lfm2_tokenizer_bytes(a, id, &n_a), *bytes_b = lfm2_tokenizer_bytes(b, id, &n_b);

        assert_int_equal(n_a, n_b);
        assert_memory_equal(bytes_a, bytes_b, n_a);
        assert_int_equal(lfm2_tokenizer_is_special(a, id), lfm2_tokenizer_is_special(b, id));
    }
    assert_int_equal(a->bpe.n_merges, b->bpe.n_merges);
    assert_memory_equal(a->bpe.merges, b->bpe.merges, a->bpe.n_merges * sizeof(*a->bpe.merges));
    assert_int_equal(a->bos, b->bos);
    assert_int_equal(a->eos, b->eos);
    assert_int_equal(a->pad, b->pad);
    assert_int_equal(lfm2_tokenizer_adds_bos(a), lfm2_tokenizer_adds_bos(b));
    assert_int_equal(lfm2_tokenizer_chat_variant(a), LFM2_CHAT_VL);
    assert_int_equal(lfm2_tokenizer_chat_variant(b), LFM2_CHAT_VL);
    assert_int_equal(a->chat_template_n, b->chat_template_n);
    assert_memory_equal(a->chat_template, b->chat_template, a->chat_template_n);
    lfm2_tokenizer_unload(a);
    lfm2_tokenizer_unload(b);
}

static int is_tokenizer_key(const lfm2__kv *kv)
{
    return kv->key_n > 10 && memcmp(kv->key, "tokenizer.", 10) == 0;
}

/* The keys that are written for the reference checkpoint are those of llama.cpp's converter, byte for byte and in its order. */
static void written_keys_equal_the_converters(void **state)
{
    fixture *f = *state;
    lfm2_tokenizer *tok = NULL;
    lfm2_weights *want = NULL, *got = NULL;
    lfm2__gguf_writer *g;
    size_t i = 0, k = 0, n = 0;

    assert_int_equal(load_path(f, TOK_GOLDEN, &tok), 0);
    g = begin_file(f);
    assert_int_equal(lfm2__tokenizer_write_gguf(tok, 1600, g), 0);
    end_file(g);
    lfm2_tokenizer_unload(tok);
    assert_int_equal(lfm2_weights_open(f->x.rt, TOK_GOLDEN "/model-bf16.gguf", &want), 0);
    assert_int_equal(lfm2_weights_open(f->x.rt, f->path, &got), 0);
    for (;; i++, k++, n++) {
        const lfm2__kv *a, *b;

        while (i < lfm2__weights_n_kv(want) && !is_tokenizer_key(lfm2__weights_kv(want, i))) i++;
        while (k < lfm2__weights_n_kv(got) && !is_tokenizer_key(lfm2__weights_kv(got, k))) k++;
        a = lfm2__weights_kv(want, i);
        b = lfm2__weights_kv(got, k);
        if (a == NULL || b == NULL) break;
        assert_same_kv(a, b);
    }
    assert_int_equal(n, 9);
    assert_int_equal(i, lfm2__weights_n_kv(want));
    assert_int_equal(k, lfm2__weights_n_kv(got));
    lfm2_weights_close(want);
    lfm2_weights_close(got);
}

/* What is read, written with more rows and read again is the same; rows beyond the ids are padding. */
static void written_with_more_rows(void **state)
{
    fixture *f = *state;
    lfm2_tokenizer *a = NULL, *b = NULL;
    const lfm2__kv *tokens, *types;
    const unsigned char *cursor;
    lfm2_weights *w = NULL;
    lfm2__gguf_writer *g;
    int32_t id;
    size_t n_a = 0, n_b = 0;
    uint64_t i;
    const char *text = NULL;

    f->adds_bos = 0;
    f->pad = 97;
    f->chat_template = "secret";
    assert_int_equal(load(f, &a), 0);
    g = begin_file(f);
    assert_int_equal(lfm2__tokenizer_write_gguf(a, 265, g), LFM2_ERR_RANGE);
    assert_int_equal(lfm2__tokenizer_write_gguf(a, 300, g), 0);
    end_file(g);
    assert_int_equal(load_path(f, f->path, &b), 0);
    assert_int_equal(lfm2_tokenizer_n_ids(b), 266);
    for (id = 0; id < 266; id++) {
        const char *x = lfm2_tokenizer_bytes(a, id, &n_a), *y = lfm2_tokenizer_bytes(b, id, &n_b);

        assert_int_equal(lfm2__vocab_kind(&a->vocab, id), lfm2__vocab_kind(&b->vocab, id));
        if (x == NULL) continue;
        assert_int_equal(n_a, n_b);
        assert_memory_equal(x, y, n_a);
    }
    assert_int_equal(b->pad, 97);
    assert_true(b->adds_bos_known);
    assert_false(b->adds_bos);
    assert_string_equal(b->chat_template, "secret");
    lfm2_tokenizer_unload(a);
    lfm2_tokenizer_unload(b);

    assert_int_equal(lfm2_weights_open(f->x.rt, f->path, &w), 0);
    tokens = lfm2__weights_find_kv(w, "tokenizer.ggml.tokens");
    types = lfm2__weights_find_kv(w, "tokenizer.ggml.token_type");
    assert_int_equal(tokens->n_elems, 300);
    for (i = 0, cursor = tokens->data; i < 300; i++) text = lfm2__kv_next_str(tokens, &cursor, &n_a);
    assert_int_equal(n_a, 8);
    assert_memory_equal(text, "[PAD299]", 8);
    assert_int_equal(lfm2__kv_int_at(types, 299), 5);
    assert_int_equal(lfm2__kv_int_at(types, 263), 5);
    assert_int_equal(lfm2__kv_int_at(types, 262), 4);
    assert_int_equal(lfm2__kv_int_at(types, 261), 3);
    assert_int_equal(lfm2__kv_int_at(types, 0), 1);
    lfm2_weights_close(w);
}

static void what_gguf_cannot_say_is_refused(void **state)
{
    fixture *f = *state;
    lfm2_tokenizer *tok = NULL;
    lfm2__gguf_writer *g = begin_file(f);

    assert_int_equal(tok_load(f->x.rt, &(tok_spec){.model = "\"type\": \"BPE\", \"ignore_merges\": false"}, &tok), 0);
    assert_int_equal(lfm2__tokenizer_write_gguf(tok, 400, g), LFM2_ERR_UNSUPPORTED);
    assert_non_null(strstr(f->x.log.line, "ignore_merges"));
    tok->ignore_merges = 1;
    tok->std_pattern = 0;
    assert_int_equal(lfm2__tokenizer_write_gguf(tok, 400, g), LFM2_ERR_UNSUPPORTED);
    assert_non_null(strstr(f->x.log.line, "pattern"));
    lfm2_tokenizer_unload(tok);
    lfm2__gguf_write_destroy(g);
}

static int load_weights(lfm2_runtime *rt, const void *source, lfm2_tokenizer **out)
{
    return lfm2_tokenizer_load(rt, source, out);
}

static void memory_runs_out(void **state)
{
    fixture *f = *state;
    lfm2_weights *w = NULL;

    write_checkpoint(f);
    assert_int_equal(lfm2_weights_open(f->x.rt, f->path, &w), 0);
    assert_true(tok_fail_each_allocation(&f->x, load_weights, w) > 8);
    lfm2_weights_close(w);
}

static void memory_runs_out_while_writing(void **state)
{
    fixture *f = *state;
    lfm2_tokenizer *tok = NULL;
    long k = 0;
    int rc;

    assert_int_equal(load(f, &tok), 0);
    do {
        lfm2__gguf_writer *g = begin_file(f);
        const long live = f->x.heap.n_live;

        f->x.heap.fail_at = f->x.heap.n_calls + ++k;
        rc = lfm2__tokenizer_write_gguf(tok, 300, g);
        assert_true(rc == 0 || rc == LFM2_ERR_NOMEM);
        assert_true(f->x.heap.n_live >= live); /* the writer keeps what it was given */
        lfm2__gguf_write_destroy(g);
    } while (f->x.heap.n_calls >= f->x.heap.fail_at);
    f->x.heap.fail_at = 0;
    assert_true(k > 5);
    lfm2_tokenizer_unload(tok);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(good_file),
        TEST(trailing_padding),
        TEST(other_names_of_the_pattern),
        TEST(other_tokenizers),
        TEST(bad_lists),
        TEST(bad_tokens),
        TEST(bad_merges),
        TEST(bad_ids),
        TEST(long_token_and_template),
        TEST(wrong_value_types),
        TEST(golden_gguf_equals_json),
        TEST(written_keys_equal_the_converters),
        TEST(written_with_more_rows),
        TEST(what_gguf_cannot_say_is_refused),
        TEST(memory_runs_out),
        TEST(memory_runs_out_while_writing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
