/* SPDX-License-Identifier: Apache-2.0
 * tokenizer.json: what is read, and that everything else is refused with file and field and without content. */
#include "tok_testing.h"

#include <sys/stat.h>
#include <unistd.h>

typedef struct fixture {
    watched x;
    char dir[64];
} fixture;

static int setup(void **state)
{
    fixture *f = test_calloc(1, sizeof(*f));

    watch_begin(&f->x);
    make_folder(f->dir, sizeof(f->dir));
    *state = f;
    return 0;
}

static void path_of(const fixture *f, const char *name, char out[128])
{
    snprintf(out, 128, "%s/%s", f->dir, name);
}

static int teardown(void **state)
{
    fixture *f = *state;

    remove_folder(f->dir);
    watch_end(&f->x);
    test_free(f);
    return 0;
}

static void refused(fixture *f, const tok_spec *spec, int status, const char *what)
{
    lfm2_tokenizer *tok = NULL;

    f->x.log.line[0] = '\0';
    assert_int_equal(tok_load(f->x.rt, spec, &tok), status);
    assert_null(tok);
    assert_int_equal(f->x.log.level, LFM2_LOG_ERROR);
    if (strncmp(f->x.log.line, "tokenizer.json", 14) != 0 || strstr(f->x.log.line, what) == NULL) {
        fail_msg("log line: %s", f->x.log.line);
    }
    assert_null(strstr(f->x.log.line, "secret"));
}

static void good_file(void **state)
{
    fixture *f = *state;
    const tok_spec spec = {.extra_vocab = "\"ab\": 256, \"\u0120ab\": 257, \"abc\": 258, \"\u00E4\u00BD\u0142\": 259",
                           .merges = "[\"a b\", [\"\u0120\", \"ab\"], [\"ab\", \"c\"]]"};
    lfm2_tokenizer *tok = NULL;
    size_t n = 0;

    assert_int_equal(tok_load(f->x.rt, &spec, &tok), 0);
    assert_int_equal(lfm2_tokenizer_n_ids(tok), 303);
    assert_int_equal(lfm2_tokenizer_find(tok, "ab"), 256);
    assert_int_equal(lfm2_tokenizer_find(tok, " ab"), 257);
    assert_int_equal(lfm2_tokenizer_find(tok, "\u4F60"), 259); /* three bytes, each a character in the file */
    assert_int_equal(lfm2_tokenizer_find(tok, "<|im_end|>"), 301);
    assert_int_equal(lfm2_tokenizer_find(tok, "abcd"), -1);
    assert_int_equal(lfm2_tokenizer_find(tok, ""), -1);
    assert_int_equal(lfm2_tokenizer_bos(tok), 302);
    assert_int_equal(lfm2_tokenizer_eos(tok), 301);
    assert_true(lfm2_tokenizer_adds_bos(tok));
    assert_true(lfm2_tokenizer_is_special(tok, 300));
    assert_false(lfm2_tokenizer_is_special(tok, 256));
    assert_false(lfm2_tokenizer_is_special(tok, -1));
    assert_memory_equal(lfm2_tokenizer_bytes(tok, 257, &n), " ab", 3);
    assert_int_equal(n, 3);
    assert_memory_equal(lfm2_tokenizer_bytes(tok, 0, &n), "\0", 1);
    assert_int_equal(n, 1);
    assert_int_equal(*lfm2_tokenizer_end_ids(tok, &n), 301);
    assert_int_equal(n, 1);
    assert_int_equal(lfm2_tokenizer_chat_variant(tok), LFM2_CHAT_AUTO);
    tok_check(tok, "abc ab", 0, 258, 257, -1);
    lfm2_tokenizer_unload(tok);
    lfm2_tokenizer_unload(NULL);
}

/* Files of the family number their tokens without gaps: an id that is missing is a damaged file. */
static void id_gaps_are_refused(void **state)
{
    refused(*state, &(tok_spec){.extra_vocab = "\"ab\": 257", .keep_gaps = 1}, LFM2_ERR_FORMAT, "id 256");
    refused(*state, &(tok_spec){.extra_vocab = "\"ab\": 5000", .keep_gaps = 1}, LFM2_ERR_FORMAT, "id 256");
}

static void ids_that_are_not_there(void **state)
{
    fixture *f = *state;
    lfm2_tokenizer *tok = NULL;
    size_t n = 77;
    char *text = NULL;
    const int32_t id = 303;

    assert_int_equal(tok_load(f->x.rt, &(tok_spec){0}, &tok), 0);
    assert_int_equal(lfm2_tokenizer_n_ids(tok), 303);
    assert_true(lfm2_tokenizer_is_defined(tok, 302));
    assert_true(lfm2_tokenizer_is_defined(tok, 0));
    assert_false(lfm2_tokenizer_is_defined(tok, 303));
    assert_false(lfm2_tokenizer_is_defined(tok, -1));
    assert_false(lfm2_tokenizer_is_defined(tok, INT32_MIN));
    assert_null(lfm2_tokenizer_bytes(tok, 303, &n));
    assert_int_equal(lfm2_tokenizer_decode(tok, &id, 1, 0, &text, &n), LFM2_ERR_RANGE);
    assert_null(text);
    lfm2_tokenizer_unload(tok);
}

static void ids_out_of_range(void **state)
{
    refused(*state, &(tok_spec){.extra_vocab = "\"secret\": 1048576"}, LFM2_ERR_LIMIT, "model.vocab: entry 256");
    refused(*state, &(tok_spec){.extra_vocab = "\"secret\": 4294967296"}, LFM2_ERR_LIMIT, "model.vocab");
    refused(*state, &(tok_spec){.extra_vocab = "\"secret\": -1"}, LFM2_ERR_FORMAT, "model.vocab");
    refused(*state, &(tok_spec){.extra_vocab = "\"secret\": 256.0"}, LFM2_ERR_FORMAT, "model.vocab");
    refused(*state, &(tok_spec){.extra_vocab = "\"secret\": \"256\""}, LFM2_ERR_FORMAT, "model.vocab");
    refused(*state, &(tok_spec){.added = "[" TOK_ADDED(1048576, "secret", true) "]"}, LFM2_ERR_LIMIT, "added_tokens: entry 0");
    refused(*state, &(tok_spec){.added = "[" TOK_ADDED(-1, "secret", true) "]"}, LFM2_ERR_FORMAT, "added_tokens: entry 0");
    refused(*state, &(tok_spec){.added = "[{\"content\": \"secret\"}]"}, LFM2_ERR_FORMAT, "added_tokens: entry 0");
}

static void duplicate_tokens(void **state)
{
    refused(*state, &(tok_spec){.extra_vocab = "\"secret\": 256, \"secret\": 257"}, LFM2_ERR_FORMAT, "duplicate key");
    refused(*state, &(tok_spec){.extra_vocab = "\"secret\": 256, \"terces\": 256"}, LFM2_ERR_FORMAT, "the id is taken");
    refused(*state, &(tok_spec){.added = "[" TOK_ADDED(300, "secret", true) ", " TOK_ADDED(301, "secret", true) "]"},
            LFM2_ERR_FORMAT,
            "added_tokens[1]: id 301: the same token");
    refused(*state, &(tok_spec){.added = "[" TOK_ADDED(300, "secret", true) ", " TOK_ADDED(300, "terces", true) "]"},
            LFM2_ERR_FORMAT,
            "added_tokens[1]: id 300: the id is taken");
    refused(*state, &(tok_spec){.added = "[" TOK_ADDED(300, "secret", true) ", " TOK_ADDED(301, "secret", false) "]"},
            LFM2_ERR_FORMAT,
            "added_tokens[1]");
    refused(*state, &(tok_spec){.extra_vocab = "\"secret\": 256", .added = "[" TOK_ADDED(300, "secret", true) "]"}, LFM2_ERR_FORMAT,
            "added_tokens[0]: the vocabulary has it with another id");
    refused(*state, &(tok_spec){.added = "[" TOK_ADDED(65, "secret", true) "]"}, LFM2_ERR_FORMAT,
            "model.vocab: id 65: the id is taken");
}

/* Ten megabytes, and where the limit lies. */
static void long_tokens_cve_2025_49847(void **state)
{
    fixture *f = *state;
    const size_t n = (size_t)10 << 20;
    char *vocab = malloc(n + 32);
    lfm2_tokenizer *tok = NULL;

    assert_non_null(vocab);
    vocab[0] = '"';
    memset(vocab + 1, 'a', n);
    strcpy(vocab + 1 + n, "\": 256");
    refused(f, &(tok_spec){.extra_vocab = vocab}, LFM2_ERR_LIMIT, "model.vocab: id 256: the token is longer than 1024 bytes");
    strcpy(vocab + 1 + 1025, "\": 256");
    refused(f, &(tok_spec){.extra_vocab = vocab}, LFM2_ERR_LIMIT, "1024 bytes");
    strcpy(vocab + 1 + 1024, "\": 256");
    assert_int_equal(tok_load(f->x.rt, &(tok_spec){.extra_vocab = vocab}, &tok), 0);
    lfm2_tokenizer_unload(tok);
    free(vocab);
}

static void long_added_tokens(void **state)
{
    fixture *f = *state;
    char text[300], added[600];
    lfm2_tokenizer *tok = NULL;

    memset(text, 'a', sizeof(text));
    text[257] = '\0';
    snprintf(added, sizeof(added), "[{\"id\": 300, \"content\": \"%s\", \"special\": true}]", text);
    refused(*state, &(tok_spec){.added = added}, LFM2_ERR_LIMIT,
            "added_tokens[0]: id 300: the added token is longer than 256 bytes");
    text[256] = '\0';
    snprintf(added, sizeof(added), "[{\"id\": 300, \"content\": \"%s\", \"special\": true}]", text);
    assert_int_equal(tok_load(f->x.rt, &(tok_spec){.added = added}, &tok), 0);
    lfm2_tokenizer_unload(tok);
}

static void invalid_utf8_in_a_token(void **state)
{
    refused(*state, &(tok_spec){.extra_vocab = "\"secret\xFF\": 256"}, LFM2_ERR_FORMAT, "not valid UTF-8");
    refused(*state, &(tok_spec){.extra_vocab = "\"secret\xED\xA0\x80\": 256"}, LFM2_ERR_FORMAT, "");
    refused(*state, &(tok_spec){.added = "[" TOK_ADDED(300, "secret\xC0\x80", true) "]"}, LFM2_ERR_FORMAT, "not valid UTF-8");
    refused(*state, &(tok_spec){.extra_vocab = "\"a b\": 256"}, LFM2_ERR_FORMAT, "not in byte-level form");
    refused(*state, &(tok_spec){.extra_vocab = "\"\u4F60\": 256"}, LFM2_ERR_FORMAT, "not in byte-level form");
    refused(*state, &(tok_spec){.extra_vocab = "\"\": 256"}, LFM2_ERR_FORMAT, "the token is empty");
    refused(*state, &(tok_spec){.added = "[" TOK_ADDED(300, "", true) "]"}, LFM2_ERR_FORMAT, "the token is empty");
}

/* llama.cpp #25969: a token of this form became the index -1. */
static void byte_fallback_token_minus_one_25969(void **state)
{
    refused(*state, &(tok_spec){.extra_vocab = "\"<0x-1>\": 256"}, LFM2_ERR_UNSUPPORTED,
            "model.vocab: id 256: a byte-fallback token");
    refused(*state, &(tok_spec){.extra_vocab = "\"<0x0A>\": 256"}, LFM2_ERR_UNSUPPORTED, "a byte-fallback token");
    refused(*state, &(tok_spec){.added = "[" TOK_ADDED(300, "<0x-1>", true) "]"}, LFM2_ERR_UNSUPPORTED, "a byte-fallback token");
}

static void every_byte_has_a_symbol(void **state)
{
    refused(*state, &(tok_spec){.missing_byte = 0x0A}, LFM2_ERR_FORMAT, "no token for byte 0x0A");
    refused(*state, &(tok_spec){.missing_byte = 0xFF}, LFM2_ERR_FORMAT, "no token for byte 0xFF");
    /* A special token of that text does not stand in for it: it would be made by merging. */
    refused(*state, &(tok_spec){.missing_byte = 'z', .added = "[" TOK_ADDED(300, "z", true) "]"}, LFM2_ERR_FORMAT,
            "no token for byte 0x7A");
}

static void merges_to_unknown_tokens(void **state)
{
    const char *vocab = "\"ab\": 256";

    refused(*state, &(tok_spec){.extra_vocab = vocab, .merges = "[\"a b\", \"ab secret\"]"}, LFM2_ERR_FORMAT,
            "model.merges[1]: a part that is no token");
    refused(*state, &(tok_spec){.extra_vocab = vocab, .merges = "[[\"a\", \"c\"]]"}, LFM2_ERR_FORMAT,
            "model.merges[0]: what the parts make is no token");
    refused(*state, &(tok_spec){.extra_vocab = vocab, .merges = "[\"a b c\"]"}, LFM2_ERR_FORMAT,
            "model.merges[0]: a part that is not in byte-level");
    refused(*state, &(tok_spec){.extra_vocab = vocab, .merges = "[\"ab\"]"}, LFM2_ERR_FORMAT, "model.merges[0]: not a pair");
    refused(*state, &(tok_spec){.extra_vocab = vocab, .merges = "[[\"a\"]]"}, LFM2_ERR_FORMAT, "not a pair");
    refused(*state, &(tok_spec){.extra_vocab = vocab, .merges = "[[\"a\", \"b\", \"c\"]]"}, LFM2_ERR_FORMAT, "not a pair");
    refused(*state, &(tok_spec){.extra_vocab = vocab, .merges = "[[\"a\", 7]]"}, LFM2_ERR_FORMAT, "not a pair");
    refused(*state, &(tok_spec){.extra_vocab = vocab, .merges = "[7]"}, LFM2_ERR_FORMAT, "not a pair");
    refused(*state, &(tok_spec){.extra_vocab = vocab, .merges = "[\"a b\", \"a b\"]"}, LFM2_ERR_FORMAT,
            "model.merges[1]: the merge is there twice");
    refused(*state, &(tok_spec){.extra_vocab = vocab, .merges = "{}"}, LFM2_ERR_FORMAT, "model.merges: object where a list");
}

/* What a merge makes is longer than its parts, so a circle needs an empty part. */
static void cyclic_merges(void **state)
{
    refused(*state, &(tok_spec){.merges = "[[\"\", \"a\"]]"}, LFM2_ERR_FORMAT, "model.merges[0]: a part that is empty");
    refused(*state, &(tok_spec){.merges = "[\"a \"]"}, LFM2_ERR_FORMAT, "model.merges[0]: a part that is empty");
    refused(*state, &(tok_spec){.merges = "[\" \"]"}, LFM2_ERR_FORMAT, "a part that is empty");
}

/* Otherwise user text could make it. */
static void merges_to_a_special_token(void **state)
{
    refused(*state, &(tok_spec){.added = "[" TOK_ADDED(300, "ab", true) "]", .extra_vocab = "\"ab\": 300", .merges = "[\"a b\"]"},
            LFM2_ERR_FORMAT,
            "model.merges[0]: what the parts make is no token, or a special one");
    refused(*state, &(tok_spec){.added = "[" TOK_ADDED(300, "ab", true) "]", .extra_vocab = "\"ab\": 300, \"abc\": 301", .merges =
                                "[\"ab c\"]"},
            LFM2_ERR_FORMAT, "model.merges[0]: a part that is no token");
}

static void other_models(void **state)
{
    refused(*state, &(tok_spec){.model = "\"type\": \"Unigram\""}, LFM2_ERR_UNSUPPORTED, "model.type");
    refused(*state, &(tok_spec){.model = "\"dropout\": null"}, LFM2_ERR_UNSUPPORTED, "model.type");
    refused(*state, &(tok_spec){.model = "\"type\": 7"}, LFM2_ERR_UNSUPPORTED, "model.type");
    refused(*state, &(tok_spec){.model = "\"type\": \"BPE\", \"byte_fallback\": true"}, LFM2_ERR_UNSUPPORTED,
            "model.byte_fallback");
    refused(*state, &(tok_spec){.model = "\"type\": \"BPE\", \"byte_fallback\": 0"}, LFM2_ERR_UNSUPPORTED, "model.byte_fallback");
    refused(*state, &(tok_spec){.model = "\"type\": \"BPE\", \"dropout\": 0.1"}, LFM2_ERR_UNSUPPORTED, "model.dropout");
    refused(*state, &(tok_spec){.model = "\"type\": \"BPE\", \"unk_token\": \"secret\""}, LFM2_ERR_UNSUPPORTED, "model.unk_token");
    refused(*state, &(tok_spec){.model = "\"type\": \"BPE\", \"continuing_subword_prefix\": \"##\""}, LFM2_ERR_UNSUPPORTED,
            "model.continuing_subword_prefix");
    refused(*state, &(tok_spec){.model = "\"type\": \"BPE\", \"end_of_word_suffix\": \"</w>\""}, LFM2_ERR_UNSUPPORTED,
            "model.end_of_word_suffix");
    refused(*state, &(tok_spec){.model = "\"type\": \"BPE\", \"ignore_merges\": 1"}, LFM2_ERR_FORMAT, "ignore_merges");
    refused(*state, &(tok_spec){.model = "\"type\": \"BPE\", \"max_input_chars\": 1"}, LFM2_ERR_UNSUPPORTED,
            "model: unknown field max_input_chars");
    refused(*state, &(tok_spec){.model = "\"type\": \"BPE\", \"a\\nsecret\": 1"}, LFM2_ERR_UNSUPPORTED, "model: unknown field ");
}

static void other_stages(void **state)
{
    refused(*state, &(tok_spec){.normalizer = "{\"type\": \"NFC\"}"}, LFM2_ERR_UNSUPPORTED, "normalizer");
    refused(*state, &(tok_spec){.decoder = "null"}, LFM2_ERR_UNSUPPORTED, "decoder");
    refused(*state, &(tok_spec){.decoder = "{\"type\": \"WordPiece\"}"}, LFM2_ERR_UNSUPPORTED, "decoder");
    refused(*state, &(tok_spec){.post_processor = "{\"type\": \"BertProcessing\"}"}, LFM2_ERR_UNSUPPORTED, "post_processor");
    refused(*state, &(tok_spec){.post_processor = "{\"type\": \"Sequence\", \"processors\": [{\"type\": \"ByteLevel\"}, "
                                                  "{\"type\": \"X\"}]}"},
            LFM2_ERR_UNSUPPORTED, "post_processor");
    refused(*state, &(tok_spec){.post_processor = "{\"type\": \"Sequence\", \"processors\": [{\"type\": \"Sequence\", "
                                                  "\"processors\": []}]}"},
            LFM2_ERR_UNSUPPORTED, "post_processor");
    refused(*state, &(tok_spec){.post_processor = "{\"type\": \"Sequence\"}"}, LFM2_ERR_UNSUPPORTED, "post_processor");
    refused(*state, &(tok_spec){.top = ", \"pre_processor\": 1"}, LFM2_ERR_UNSUPPORTED, "top level: unknown field pre_processor");
    refused(*state, &(tok_spec){.added = "{}"}, LFM2_ERR_FORMAT, "added_tokens: object where a list");
}

static void stages_that_change_nothing(void **state)
{
    static const char *const posts[] = {
        "{\"type\": \"ByteLevel\", \"trim_offsets\": false}",
        "{\"type\": \"TemplateProcessing\", \"single\": []}",
        "{\"type\": \"Sequence\", \"processors\": [{\"type\": \"ByteLevel\"}, {\"type\": \"TemplateProcessing\"}]}",
    };
    fixture *f = *state;
    lfm2_tokenizer *tok = NULL;
    size_t i;

    for (i = 0; i < LFM2__COUNT_OF(posts); i++) {
        assert_int_equal(tok_load(f->x.rt, &(tok_spec){.post_processor = posts[i]}, &tok), 0);
        lfm2_tokenizer_unload(tok);
    }
    assert_int_equal(tok_load(f->x.rt, &(tok_spec){.added = "[]"}, &tok), 0);
    assert_int_equal(lfm2_tokenizer_bos(tok), -1);
    assert_int_equal(lfm2_tokenizer_eos(tok), -1);
    assert_false(lfm2_tokenizer_adds_bos(tok));
    lfm2_tokenizer_unload(tok);
}

static void other_pre_tokenizers(void **state)
{
#define SPLIT(behavior, invert, pattern)                                                                                 \
    "{\"type\": \"Split\", \"pattern\": " pattern ", \"behavior\": \"" behavior "\", \"invert\": " invert "}"
#define SEQUENCE(a, b) "{\"type\": \"Sequence\", \"pretokenizers\": [" a ", " b "]}"
#define BYTE_LEVEL(prefix, regex) "{\"type\": \"ByteLevel\", \"add_prefix_space\": " prefix ", \"use_regex\": " regex "}"
    static const struct {
        const char *pre, *what;
        int status;
    } cases[] = {
        {"null", "pre_tokenizer:", LFM2_ERR_UNSUPPORTED},
        {"[]", "pre_tokenizer:", LFM2_ERR_UNSUPPORTED},
        {BYTE_LEVEL("false", "true"), "pre_tokenizer:", LFM2_ERR_UNSUPPORTED},
        {"{\"type\": \"Sequence\", \"pretokenizers\": [{}]}", "pre_tokenizer:", LFM2_ERR_UNSUPPORTED},
        {"{\"type\": \"Sequence\", \"x\": 1, \"pretokenizers\": [{}, {}]}", "unknown field x", LFM2_ERR_UNSUPPORTED},
        {SEQUENCE("7", "7"), "pretokenizers[0]: integer where an object", LFM2_ERR_FORMAT},
        {SEQUENCE("{\"type\": \"Digits\"}", "{}"), "pretokenizers[0]: only a Split", LFM2_ERR_UNSUPPORTED},
        {SEQUENCE(SPLIT("Removed", "false", "{\"Regex\": \"a\"}"), BYTE_LEVEL("false", "false")), "behavior", LFM2_ERR_UNSUPPORTED},
        {SEQUENCE(SPLIT("Isolated", "true", "{\"Regex\": \"a\"}"), BYTE_LEVEL("false", "false")), "invert", LFM2_ERR_UNSUPPORTED},
        {SEQUENCE(SPLIT("Isolated", "false", "{\"String\": \"a\"}"), BYTE_LEVEL("false", "false")), "pattern",
         LFM2_ERR_UNSUPPORTED},
        {SEQUENCE(SPLIT("Isolated", "false", "{\"Regex\": \"a(\"}"), BYTE_LEVEL("false", "false")), "pattern", LFM2_ERR_FORMAT},
        {SEQUENCE(SPLIT("Isolated", "false", "{\"Regex\": \"a*\"}"), BYTE_LEVEL("false", "false")), "pattern",
         LFM2_ERR_UNSUPPORTED},
        {SEQUENCE(SPLIT("Isolated", "false", "{\"Regex\": \"a\"}"), "{\"type\": \"Digits\"}"), "pretokenizers[1]",
         LFM2_ERR_UNSUPPORTED},
        {SEQUENCE(SPLIT("Isolated", "false", "{\"Regex\": \"a\"}"), "{\"type\": \"ByteLevel\"}"), "add_prefix_space",
         LFM2_ERR_UNSUPPORTED},
        {SEQUENCE(SPLIT("Isolated", "false", "{\"Regex\": \"a\"}"), BYTE_LEVEL("true", "false")), "add_prefix_space",
         LFM2_ERR_UNSUPPORTED},
        {SEQUENCE(SPLIT("Isolated", "false", "{\"Regex\": \"a\"}"), BYTE_LEVEL("false", "true")), "use_regex",
         LFM2_ERR_UNSUPPORTED},
    };
    size_t i;

    for (i = 0; i < LFM2__COUNT_OF(cases); i++)
        refused(*state, &(tok_spec){.pre_tokenizer = cases[i].pre}, cases[i].status, cases[i].what);
}

/* The checkpoint's own pattern is the one that is used. */
static void own_pattern(void **state)
{
    fixture *f = *state;
    const tok_spec spec = {.pre_tokenizer = SEQUENCE(SPLIT("Isolated", "false", "{\"Regex\": \"b\"}"), BYTE_LEVEL("false",
        "false")),
                           .extra_vocab = "\"ab\": 256, \"aa\": 257",
                           .merges = "[\"a b\", \"a a\"]"};
    lfm2_tokenizer *tok = NULL;

    assert_int_equal(tok_load(f->x.rt, &spec, &tok), 0);
    tok_check(tok, "aab", 0, 257, 'b', -1); /* not ab */
    lfm2_tokenizer_unload(tok);
}

static void other_added_tokens(void **state)
{
    static const char *const flags[] = {"single_word", "lstrip", "rstrip"};
    char added[200], what[64];
    size_t i;

    for (i = 0; i < LFM2__COUNT_OF(flags); i++) {
        snprintf(added, sizeof(added), "[{\"id\": 300, \"content\": \"secret\", \"%s\": true}]", flags[i]);
        snprintf(what, sizeof(what), "added_tokens.%s: only false", flags[i]);
        refused(*state, &(tok_spec){.added = added}, LFM2_ERR_UNSUPPORTED, what);
    }
    refused(*state, &(tok_spec){.added = "[{\"id\": 300, \"content\": 7}]"}, LFM2_ERR_FORMAT, "added_tokens content: integer");
    refused(*state, &(tok_spec){.added = "[{\"id\": 300, \"content\": \"secret\", \"special\": 1}]"}, LFM2_ERR_FORMAT, "special");
    refused(*state, &(tok_spec){.added = "[{\"id\": 300, \"content\": \"secret\", \"x\": 1}]"}, LFM2_ERR_UNSUPPORTED,
            "added_tokens: unknown field x");
    refused(*state, &(tok_spec){.added = "[7]"}, LFM2_ERR_FORMAT, "added_tokens: entry 0");
}

static void not_a_tokenizer_at_all(void **state)
{
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        {"", LFM2_ERR_FORMAT},
        {"7", LFM2_ERR_FORMAT},
        {"[]", LFM2_ERR_FORMAT},
        {"{}", LFM2_ERR_FORMAT},
        {"{\"model\": null}", LFM2_ERR_FORMAT},
        {"{\"model\": {\"type\": \"BPE\"}}", LFM2_ERR_FORMAT},
        {"{\"model\": {\"type\": \"BPE\", \"vocab\": []}}", LFM2_ERR_FORMAT},
        {"{\"model\": {\"type\": \"BPE\", \"vocab\": {}}}", LFM2_ERR_FORMAT},
        {"{\"a\": 1", LFM2_ERR_FORMAT},
        {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", LFM2_ERR_LIMIT},
    };
    fixture *f = *state;
    lfm2_tokenizer *tok = NULL;
    size_t i;

    for (i = 0; i < LFM2__COUNT_OF(cases); i++)
        assert_int_equal(lfm2__tokenizer_from_json(f->x.rt, "tokenizer.json", cases[i].text, strlen(cases[i].text), &tok),
                         cases[i].status);
    assert_null(tok);
}

static int load_text(lfm2_runtime *rt, const void *source, lfm2_tokenizer **out)
{
    const lfm2__str *text = source;

    return lfm2__tokenizer_from_json(rt, "tokenizer.json", text->data, text->n, out);
}

static int load_path(lfm2_runtime *rt, const void *source, lfm2_tokenizer **out)
{
    return lfm2_tokenizer_load_json(rt, source, out);
}

static void memory_runs_out(void **state)
{
    fixture *f = *state;
    lfm2__str text;

    lfm2__str_init(&text, f->x.rt);
    tok_write(&text, &(tok_spec){.extra_vocab = "\"ab\": 256", .merges = "[\"a b\"]"});
    assert_int_equal(text.status, 0);
    assert_true(tok_fail_each_allocation(&f->x, load_text, &text) > 20);
    lfm2__str_fini(&text);
}

/* ---- the files beside it ---- */

static void put_file(const fixture *f, const char *name, const char *text)
{
    write_file_in(f->dir, name, text, strlen(text));
}

/* A good tokenizer.json with <|a|>.. besides the usual tokens, in an empty folder. */
static void put_tokenizer(const fixture *f)
{
    lfm2__str s;

    empty_folder(f->dir);
    lfm2__str_init(&s, f->x.rt);
    tok_write(&s, &(tok_spec){.added = "[" TOK_ADDED(300, "<|im_end|>", true) ", " TOK_ADDED(301, "<|startoftext|>", true) ", "
                                       TOK_ADDED(302, "<|a|>", true) ", " TOK_ADDED(303, "<|b|>", true) ", " TOK_ADDED(304,
                                           "<|endoftext|>", true) "]"});
    put_file(f, "tokenizer.json", s.data);
    lfm2__str_fini(&s);
}

static int load(fixture *f, lfm2_tokenizer **tok)
{
    char path[128];

    path_of(f, "tokenizer.json", path);
    f->x.log.line[0] = '\0';
    return lfm2_tokenizer_load_json(f->x.rt, path, tok);
}

static void siblings_may_all_be_missing(void **state)
{
    fixture *f = *state;
    lfm2_tokenizer *tok = NULL;
    size_t n = 0;

    put_tokenizer(f);
    f->x.log.n_lines = 0;
    assert_int_equal(load(f, &tok), 0);
    assert_int_equal(f->x.log.n_lines, 0); /* and that is no reason to complain */
    assert_int_equal(lfm2_tokenizer_bos(tok), 301);
    assert_int_equal(lfm2_tokenizer_eos(tok), 300);
    assert_true(lfm2_tokenizer_adds_bos(tok));
    assert_false(tok->adds_bos_known);
    (void)lfm2_tokenizer_end_ids(tok, &n);
    assert_int_equal(n, 2);
    lfm2_tokenizer_unload(tok);
}

static void siblings_are_read(void **state)
{
    fixture *f = *state;
    lfm2_tokenizer *tok = NULL;
    const int32_t *ends;
    size_t n = 0;

    put_tokenizer(f);
    put_file(f, "tokenizer_config.json",
             "{\"bos_token\": {\"content\": \"<|a|>\", \"lstrip\": false}, \"eos_token\": \"<|b|>\", \"pad_token\": null, "
             "\"add_bos_token\": false, \"model_max_length\": 1000000000000000019884624838656, \"chat_template\": \"not this "
             "one\"}");
    put_file(f, "special_tokens_map.json", "{\"eos_token\": \"<|a|>\", \"pad_token\": \"<|startoftext|>\"}");
    put_file(f, "generation_config.json", "{\"eos_token_id\": [300, 303, 300, 999]}");
    put_file(f, "config.json", "{\"eos_token_id\": 302, \"text_config\": {\"eos_token_id\": 65}}");
    put_file(f, "chat_template.jinja", "{{- bos_token -}}<|im_start|>x<|im_end|>");
    assert_int_equal(load(f, &tok), 0);
    assert_int_equal(lfm2_tokenizer_bos(tok), 302);
    assert_int_equal(lfm2_tokenizer_eos(tok), 303);
    assert_int_equal(tok->pad, 301);
    assert_false(lfm2_tokenizer_adds_bos(tok));
    assert_true(tok->adds_bos_known);
    assert_string_equal(tok->chat_template, "{{- bos_token -}}<|im_start|>x<|im_end|>");
    assert_int_equal(lfm2_tokenizer_chat_variant(tok), LFM2_CHAT_VL);
    ends = lfm2_tokenizer_end_ids(tok, &n);
    assert_int_equal(n, 5);
    assert_int_equal(ends[0], 300);
    assert_int_equal(ends[1], 303);
    assert_int_equal(ends[2], 302);
    assert_int_equal(ends[3], 65);
    assert_int_equal(ends[4], 304);
    lfm2_tokenizer_unload(tok);
}

static void template_in_other_places(void **state)
{
    fixture *f = *state;
    lfm2_tokenizer *tok = NULL;

    put_tokenizer(f);
    put_file(f, "tokenizer_config.json", "{\"chat_template\": [{\"name\": \"tool_use\", \"template\": \"x\"}, {\"name\": "
                                         "\"default\", \"template\": \"y\"}]}");
    assert_int_equal(load(f, &tok), 0);
    assert_string_equal(tok->chat_template, "y");
    lfm2_tokenizer_unload(tok);
    put_file(f, "chat_template.json", "{\"chat_template\": \"z\"}");
    assert_int_equal(load(f, &tok), 0);
    assert_string_equal(tok->chat_template, "z");
    lfm2_tokenizer_unload(tok);
}

static void sibling_refused(fixture *f, const char *name, const char *text, int status, const char *what)
{
    lfm2_tokenizer *tok = NULL;

    put_tokenizer(f);
    put_file(f, name, text);
    assert_int_equal(load(f, &tok), status);
    assert_null(tok);
    if (strstr(f->x.log.line, name) == NULL || strstr(f->x.log.line, what) == NULL) fail_msg("log line: %s", f->x.log.line);
    assert_null(strstr(f->x.log.line, "secret"));
}

static void bad_siblings(void **state)
{
    fixture *f = *state;
    char *wide = malloc(((size_t)1 << 20) + 32), path[128];
    lfm2_tokenizer *tok = NULL;

    sibling_refused(f, "tokenizer_config.json", "[]", LFM2_ERR_FORMAT, "not an object");
    sibling_refused(f, "tokenizer_config.json", "{", LFM2_ERR_FORMAT, "JSON");
    sibling_refused(f, "tokenizer_config.json", "{\"bos_token\": 7}", LFM2_ERR_FORMAT, "bos_token: not a string");
    sibling_refused(f, "tokenizer_config.json", "{\"eos_token\": \"secret\"}", LFM2_ERR_FORMAT, "eos_token: no such token");
    sibling_refused(f, "tokenizer_config.json", "{\"add_bos_token\": \"yes\"}", LFM2_ERR_FORMAT, "add_bos_token");
    sibling_refused(f, "tokenizer_config.json", "{\"chat_template\": 7}", LFM2_ERR_FORMAT, "chat_template");
    sibling_refused(f, "tokenizer_config.json", "{\"chat_template\": [{\"name\": \"default\", \"template\": 7}]}",
                    LFM2_ERR_FORMAT, "chat_template");
    sibling_refused(f, "generation_config.json", "{\"eos_token_id\": \"7\"}", LFM2_ERR_FORMAT, "eos_token_id");
    sibling_refused(f, "generation_config.json", "{\"eos_token_id\": -1}", LFM2_ERR_FORMAT, "eos_token_id");
    sibling_refused(f, "generation_config.json", "{\"eos_token_id\": [1, 2147483648]}", LFM2_ERR_FORMAT, "eos_token_id");
    sibling_refused(f, "config.json", "{\"eos_token_id\": 1.5}", LFM2_ERR_FORMAT, "eos_token_id");
    sibling_refused(f, "config.json", "{\"text_config\": {\"eos_token_id\": true}}", LFM2_ERR_FORMAT, "eos_token_id");
    assert_non_null(wide);
    memset(wide, 'x', ((size_t)1 << 20) + 32);
    wide[((size_t)1 << 20) + 1] = '\0';
    sibling_refused(f, "chat_template.jinja", wide, LFM2_ERR_LIMIT, "limit");
    memcpy(wide, "{\"chat_template\": \"", 19);
    wide[((size_t)1 << 20) + 1] = 'x';
    strcpy(wide + 19 + ((size_t)1 << 20) + 1, "\"}");
    sibling_refused(f, "tokenizer_config.json", wide, LFM2_ERR_LIMIT, "allowed is 1 MiB");
    free(wide);

    put_tokenizer(f); /* a folder in the place of a file */
    path_of(f, "generation_config.json", path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(load(f, &tok), LFM2_ERR_IO);
    assert_null(tok);
    assert_int_equal(rmdir(path), 0);
}

static void too_many_end_ids(void **state)
{
    fixture *f = *state;
    char text[1024] = "{\"eos_token_id\": [0";
    int i;

    for (i = 1; i <= LFM2__TOK_MAX_END_IDS; i++) sprintf(text + strlen(text), ", %d", i);
    strcat(text, "]}");
    put_tokenizer(f);
    put_file(f, "generation_config.json", text);
    {
        lfm2_tokenizer *tok = NULL;

        assert_int_equal(load(f, &tok), LFM2_ERR_LIMIT);
        assert_null(tok);
        assert_non_null(strstr(f->x.log.line, "end tokens"));
    }
}

static void memory_runs_out_with_siblings(void **state)
{
    fixture *f = *state;
    char path[128];

    put_tokenizer(f);
    put_file(f, "tokenizer_config.json", "{\"bos_token\": {\"content\": \"<|a|>\"}, \"chat_template\": \"x\"}");
    put_file(f, "generation_config.json", "{\"eos_token_id\": [300, 303]}");
    put_file(f, "chat_template.jinja", "x");
    path_of(f, "tokenizer.json", path);
    assert_true(tok_fail_each_allocation(&f->x, load_path, path) > 20);
}

static void wrong_arguments(void **state)
{
    fixture *f = *state;
    lfm2_tokenizer *tok = NULL;

    assert_int_equal(lfm2_tokenizer_load_json(NULL, "x", &tok), LFM2_ERR_ARG);
    assert_int_equal(lfm2_tokenizer_load_json(f->x.rt, NULL, &tok), LFM2_ERR_ARG);
    assert_int_equal(lfm2_tokenizer_load_json(f->x.rt, "x", NULL), LFM2_ERR_ARG);
    assert_int_equal(lfm2_tokenizer_load(f->x.rt, NULL, &tok), LFM2_ERR_ARG);
    assert_int_equal(lfm2_tokenizer_load_json(f->x.rt, "/nowhere/tokenizer.json", &tok), LFM2_ERR_NOT_FOUND);
    assert_null(tok);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(good_file),
        TEST(id_gaps_are_refused),
        TEST(ids_that_are_not_there),
        TEST(ids_out_of_range),
        TEST(duplicate_tokens),
        TEST(long_tokens_cve_2025_49847),
        TEST(long_added_tokens),
        TEST(invalid_utf8_in_a_token),
        TEST(byte_fallback_token_minus_one_25969),
        TEST(every_byte_has_a_symbol),
        TEST(merges_to_unknown_tokens),
        TEST(cyclic_merges),
        TEST(merges_to_a_special_token),
        TEST(other_models),
        TEST(other_stages),
        TEST(stages_that_change_nothing),
        TEST(other_pre_tokenizers),
        TEST(own_pattern),
        TEST(other_added_tokens),
        TEST(not_a_tokenizer_at_all),
        TEST(memory_runs_out),
        TEST(siblings_may_all_be_missing),
        TEST(siblings_are_read),
        TEST(template_in_other_places),
        TEST(bad_siblings),
        TEST(too_many_end_ids),
        TEST(memory_runs_out_with_siblings),
        TEST(wrong_arguments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
