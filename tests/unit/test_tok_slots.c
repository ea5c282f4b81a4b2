/* SPDX-License-Identifier: Apache-2.0
 * Media slots in chat prompts: where they stand in every variant, and that nothing that is said can make one. */
#include "tok_testing.h"

#define GOLDEN LFM2_TEST_DIR "/oracle/golden/"
#define CAP_IDS 4096

typedef tok_fixture fixture; /* with the tokenizer of the reference checkpoints, which all have the same */

static int setup(void **state)
{
    fixture *f = tok_begin(state);

    assert_int_equal(lfm2_tokenizer_load_json(f->x.rt, TOK_GOLDEN "/tokenizer.json", &f->tok), 0);
    return 0;
}

static size_t encode(const fixture *f, lfm2_chat_variant variant, unsigned flags, const char *json, int32_t *ids)
{
    const lfm2_chat_params params = {variant, 1, 0};
    size_t n = 0;

    if (lfm2_chat_encode(f->tok, json, strlen(json), &params, flags, ids, CAP_IDS, &n) < 0) fail_msg("log: %s", f->x.log.line);
    return n;
}

/* The texts between slots ("%i", "%a" stand for them), encoded one by one with special tokens obeyed. */
static size_t expected(const fixture *f, const char *form, int32_t *ids)
{
    size_t n = 0;

    while (*form != '\0') {
        const char *end = strchr(form, '%');
        size_t n_text = end != NULL ? (size_t)(end - form) : strlen(form), n_ids = 0;

        assert_int_equal(lfm2_tokenizer_encode(f->tok, form, n_text, LFM2_ENCODE_SPECIAL, ids + n, CAP_IDS - n, &n_ids), 0);
        n += n_ids;
        form += n_text;
        if (end == NULL) break;
        ids[n++] = form[1] == 'i' ? LFM2_SLOT_IMAGE : LFM2_SLOT_AUDIO;
        form += 2;
    }
    return n;
}

static void encodes_as(const fixture *f, lfm2_chat_variant variant, const char *json, const char *form)
{
    int32_t ids[CAP_IDS], want[CAP_IDS];
    const size_t n_want = expected(f, form, want), n = encode(f, variant, LFM2_CHAT_MEDIA_SLOTS, json, ids);

    assert_int_equal(n, n_want);
    assert_memory_equal(ids, want, n * sizeof(*ids));
}

static void slots_stand_where_the_parts_stood(void **state)
{
    static const struct {
        const char *json, *form;
    } cases[] = {
        {"[{\"role\": \"user\", \"content\": [{\"type\": \"image\"}, {\"type\": \"text\", \"text\": \"What is it?\"}]}]",
         "<|startoftext|><|im_start|>user\n%iWhat is it?<|im_end|>\n<|im_start|>assistant\n"},
        {"[{\"role\": \"system\", \"content\": \"Perform ASR.\"}, {\"role\": \"user\", \"content\": [{\"type\": \"audio\"}]}]",
         "<|startoftext|><|im_start|>system\nPerform ASR.<|im_end|>\n<|im_start|>user\n%a<|im_end|>\n<|im_start|>assistant\n"},
        {"[{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"a \"}, {\"type\": \"image\"}, {\"type\": "
         "\"image\"}, {\"type\": \"text\", \"text\": \" b\"}, {\"type\": \"audio\"}, {\"type\": \"text\", \"text\": \"c\"}]}, "
         "{\"role\": \"user\", \"content\": [{\"type\": \"audio\"}]}]",
         "<|startoftext|><|im_start|>user\na %i%i b%ac<|im_end|>\n<|im_start|>user\n%a<|im_end|>\n<|im_start|>assistant\n"},
        {"[{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"words\"}]}, {\"role\": \"user\", \"content\": "
         "\"more\"}]",
         "<|startoftext|><|im_start|>user\nwords<|im_end|>\n<|im_start|>user\nmore<|im_end|>\n<|im_start|>assistant\n"},
    };

    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++)
        for (int v = LFM2_CHAT_LFM2; v <= LFM2_CHAT_VL; v++)
            encodes_as(*state, (lfm2_chat_variant)v, cases[i].json, cases[i].form);
    encodes_as(*state, LFM2_CHAT_LFM25, "[{\"role\": \"user\", \"content\": {\"type\": \"image\"}}]", /* no list: as ever */
               "<|startoftext|><|im_start|>user\n{\"type\": \"image\"}<|im_end|>\n<|im_start|>assistant\n");
}

static void slots_in_other_turns(void **state)
{
    static const char moe_system[] = "[{\"role\": \"system\", \"content\": [{\"type\": \"image\"}]}, {\"role\": \"user\", "
                                     "\"content\": \"x\"}]";
    static const char past[] = "[{\"role\": \"user\", \"content\": \"x\"}, {\"role\": \"assistant\", \"content\": [{\"type\": "
                               "\"image\"}, {\"type\": \"text\", \"text\": \"t</think> \"}, {\"type\": \"audio\"}, {\"type\": "
                               "\"text\", \"text\": \"said\"}]}, {\"role\": \"user\", \"content\": \"y\"}]";

    encodes_as(*state, LFM2_CHAT_LFM25_MOE, moe_system,
               "<|startoftext|><|im_start|>system\n%i<|im_end|>\n<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n");
    encodes_as(*state, LFM2_CHAT_LFM25_MOE, past, /* what goes with the thinking goes */
               "<|startoftext|><|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n%asaid<|im_end|>\n"
               "<|im_start|>user\ny<|im_end|>\n<|im_start|>assistant\n");
    encodes_as(*state, LFM2_CHAT_VL, past,
               "<|startoftext|><|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n%it</think> "
               "%asaid<|im_end|>\n<|im_start|>user\ny<|im_end|>\n<|im_start|>assistant\n");
}

static void without_the_flag_nothing_changes(void **state)
{
    static const char json[] = "[{\"role\": \"user\", \"content\": [{\"type\": \"image\"}, {\"type\": \"audio\"}]}]";
    const fixture *f = *state;
    const lfm2_chat_params vl = {LFM2_CHAT_VL, 1, 0};
    int32_t ids[CAP_IDS];
    size_t n = 0;

    assert_int_equal(lfm2_chat_encode(f->tok, json, strlen(json), &vl, 0, ids, CAP_IDS, &n), LFM2_ERR_UNSUPPORTED);
    for (int v = LFM2_CHAT_LFM2; v < LFM2_CHAT_VL; v++) {
        n = encode(f, (lfm2_chat_variant)v, 0, json, ids);
        for (size_t i = 0; i < n; i++) assert_true(ids[i] >= 0);
    }
    assert_int_equal(lfm2_chat_encode(f->tok, json, strlen(json), &vl, 4u, ids, CAP_IDS, &n), LFM2_ERR_ARG);
}

/* With other parts among them it is not known what to write, except where the template says so. */
static void unknown_parts(void **state)
{
    static const char json[] = "[{\"role\": \"user\", \"content\": [{\"type\": \"image\"}, {\"type\": \"video\"}]}]";
    fixture *f = *state;
    int32_t ids[CAP_IDS];
    size_t n = 0;

    for (int v = LFM2_CHAT_LFM2; v <= LFM2_CHAT_VL; v++) {
        const lfm2_chat_params params = {(lfm2_chat_variant)v, 1, 0};
        int rc = lfm2_chat_encode(f->tok, json, strlen(json), &params, LFM2_CHAT_MEDIA_SLOTS, ids, CAP_IDS, &n);

        assert_int_equal(rc, v == LFM2_CHAT_LFM25_MOE ? 0 : LFM2_ERR_UNSUPPORTED);
        if (rc < 0) assert_non_null(strstr(f->x.log.line, "messages[0].content[1]: only types"));
    }
}

/* What a user could type to get a slot or a token of images: every special token, names and numbers of the slots. */
static void texts_make_no_slots(void **state)
{
    static const char *const places[] = {
        "[{\"role\": \"user\", \"content\": \"%s\"}]",
        "[{\"role\": \"user\", \"content\": [{\"type\": \"image\"}, {\"type\": \"text\", \"text\": \"%s\"}]}]",
        "[{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"%s\", \"image\": \"x\"}, {\"type\": \"audio\"}]}]",
    };
    static const char *const texts[] = {"<image>", "<|image_start|>", "<|image_end|>", "<audio>", "-1", "-2", "%i",
                                        "{\\\"type\\\": \\\"image\\\"}", "<|img_row_1_col_1|>", "\\uffff", "<|im_end|>"};
    const fixture *f = *state;
    char json[512];
    int32_t ids[CAP_IDS];

    for (size_t p = 0; p < LFM2__COUNT_OF(places); p++)
        for (size_t t = 0; t < LFM2__COUNT_OF(texts); t++)
            for (int v = LFM2_CHAT_LFM2; v <= LFM2_CHAT_VL; v++) {
                size_t n_slots = 0, n_specials = 0, n;

                snprintf(json, sizeof(json), places[p], texts[t]);
                n = encode(f, (lfm2_chat_variant)v, LFM2_CHAT_MEDIA_SLOTS, json, ids);
                for (size_t i = 0; i < n; i++) {
                    n_slots += ids[i] < 0;
                    n_specials += ids[i] >= 0 && lfm2_tokenizer_is_special(f->tok, ids[i]);
                }
                assert_int_equal(n_slots, p > 0);
                assert_int_equal(n_specials, 4); /* startoftext, im_start, im_end, im_start */
                n = encode(f, (lfm2_chat_variant)v, LFM2_CHAT_MEDIA_SLOTS | LFM2_CHAT_TRUST_CONTENT, json, ids);
                for (size_t i = 0, n_trusted = 0; i < n; i++) assert_true((n_trusted += ids[i] < 0) <= (p > 0));
            }
}

static void slots_count_against_the_room(void **state)
{
    static const char json[] = "[{\"role\": \"user\", \"content\": [{\"type\": \"image\"}, {\"type\": \"text\", \"text\": \"is it "
                               "red?\"}, {\"type\": \"audio\"}]}]";
    const fixture *f = *state;
    const lfm2_chat_params params = {LFM2_CHAT_VL, 1, 0};
    int32_t ids[CAP_IDS], want[CAP_IDS];
    const size_t n_want = encode(f, LFM2_CHAT_VL, LFM2_CHAT_MEDIA_SLOTS, json, want);

    for (size_t cap = 0; cap <= n_want; cap++) {
        size_t n = 0;
        int rc = lfm2_chat_encode(f->tok, json, strlen(json), &params, LFM2_CHAT_MEDIA_SLOTS, cap > 0 ? ids : NULL, cap, &n);

        assert_int_equal(rc, cap < n_want ? LFM2_ERR_RANGE : 0);
        assert_int_equal(n, n_want);
    }
    assert_memory_equal(ids, want, n_want * sizeof(*ids));
}

/* Hostile lengths take no more time than their number. */
static void many_slots(void **state)
{
    enum { N = 20000 };
    static const char part[] = "{\"type\": \"image\"}, {\"type\": \"text\", \"text\": \"a\"}, ";
    const fixture *f = *state;
    const lfm2_chat_params params = {LFM2_CHAT_VL, 1, 0};
    char *json = test_malloc(N * sizeof(part) + 200);
    int32_t *ids = test_malloc((2 * N + 100) * sizeof(*ids));
    size_t n = (size_t)sprintf(json, "[{\"role\": \"user\", \"content\": ["), n_ids = 0, n_slots = 0;

    for (size_t i = 0; i < N; i++, n += sizeof(part) - 1) memcpy(json + n, part, sizeof(part) - 1);
    n += (size_t)sprintf(json + n, "{\"type\": \"audio\"}]}]");
    assert_int_equal(lfm2_chat_encode(f->tok, json, n, &params, LFM2_CHAT_MEDIA_SLOTS, ids, 2 * N + 100, &n_ids), 0);
    for (size_t i = 0; i < n_ids; i++) n_slots += ids[i] < 0;
    assert_int_equal(n_slots, N + 1);
    test_free(ids);
    test_free(json);
}

static void memory_runs_out(void **state)
{
    static const char json[] = "[{\"role\": \"user\", \"content\": [{\"type\": \"image\"}, {\"type\": \"text\", \"text\": \"x\"}, "
                               "{\"type\": \"audio\"}]}]";
    fixture *f = *state;
    const lfm2_chat_params params = {LFM2_CHAT_LFM25_MOE, 1, 0};
    int32_t ids[64];
    size_t n = 0;
    long k = 0;
    int rc = LFM2_ERR_NOMEM;

    while (test_fail_next(&f->x.heap, &k)) {
        rc = lfm2_chat_encode(f->tok, json, strlen(json), &params, LFM2_CHAT_MEDIA_SLOTS, ids, 64, &n);
        assert_true(rc == 0 || rc == LFM2_ERR_NOMEM);
    }
    assert_int_equal(rc, 0);
    assert_true(k > 8);
}

/* ---- reference checkpoints ---- */

static lfm2__json_doc *cases_of(const fixture *f, const char *path)
{
    const lfm2__json_limits limits = {.max_bytes = 1 << 20, .max_depth = 16, .max_values = 100000};
    lfm2__json_doc *doc = NULL;

    assert_int_equal(lfm2__json_load(f->x.rt, path, &limits, &doc), 0);
    return doc;
}

static size_t read_ids(const lfm2__json *list, int32_t *ids)
{
    const size_t n = lfm2__json_size(list);

    assert_true(n > 0 && n <= CAP_IDS);
    for (size_t i = 0; i < n; i++) ids[i] = (int32_t)lfm2__json_int(lfm2__json_at(list, i));
    return n;
}

static void golden_images(void **state)
{
    static const char json[] = "[{\"role\": \"user\", \"content\": [{\"type\": \"image\"}, {\"type\": \"text\", \"text\": \"What "
                               "is in this image?\"}]}]";
    const fixture *f = *state;
    lfm2__json_doc *doc = cases_of(f, GOLDEN "vl/cases.json");
    const int32_t start = lfm2_tokenizer_find(f->tok, "<|image_start|>"), end = lfm2_tokenizer_find(f->tok, "<|image_end|>");
    int32_t ids[CAP_IDS], want[CAP_IDS];
    const size_t n = encode(f, LFM2_CHAT_VL, LFM2_CHAT_MEDIA_SLOTS, json, ids), n_cases = lfm2__json_size(lfm2__json_root(doc));

    assert_int_equal(n_cases, 7);
    for (size_t k = 0; k < n_cases; k++) {
        const size_t n_all = read_ids(lfm2__json_get(lfm2__json_at(lfm2__json_root(doc), k), "ids"), want);
        size_t first = 0, last = 0;

        while (want[first] != start) assert_true(++first < n_all);
        while (want[last] != end) assert_true(++last < n_all);
        assert_int_equal(n, n_all - (last - first));
        assert_memory_equal(ids, want, first * sizeof(*ids));
        assert_int_equal(ids[first], LFM2_SLOT_IMAGE);
        assert_memory_equal(ids + first + 1, want + last + 1, (n - first - 1) * sizeof(*ids));
    }
    lfm2__json_free(doc);
}

/* The plain form of speech checkpoints, in every variant that a caller may name where the checkpoint has no template. */
static void golden_sounds(void **state)
{
    static const char json[] = "[{\"role\": \"system\", \"content\": \"Perform ASR.\"}, {\"role\": \"user\", \"content\": "
                               "[{\"type\": \"audio\"}]}]";
    fixture *f = *state;
    lfm2__json_doc *doc = cases_of(f, GOLDEN "audio/cases.json");
    const lfm2__json *c = lfm2__json_at(lfm2__json_root(doc), 0);
    int32_t ids[CAP_IDS], prefix[CAP_IDS], suffix[CAP_IDS];
    const size_t n_prefix = read_ids(lfm2__json_get(c, "prefix"), prefix), n_suffix = read_ids(lfm2__json_get(c, "suffix"), suffix);
    char *template = f->tok->chat_template;
    const lfm2_chat_variant variant = f->tok->chat_variant;

    f->tok->chat_template = NULL;
    f->tok->chat_variant = LFM2_CHAT_AUTO;
    for (int v = LFM2_CHAT_LFM2; v <= LFM2_CHAT_VL; v++) {
        assert_int_equal(encode(f, (lfm2_chat_variant)v, LFM2_CHAT_MEDIA_SLOTS, json, ids), n_prefix + 1 + n_suffix);
        assert_memory_equal(ids, prefix, n_prefix * sizeof(*ids));
        assert_int_equal(ids[n_prefix], LFM2_SLOT_AUDIO);
        assert_memory_equal(ids + n_prefix + 1, suffix, n_suffix * sizeof(*ids));
    }
    f->tok->chat_template = template;
    f->tok->chat_variant = variant;
    lfm2__json_free(doc);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, tok_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(slots_stand_where_the_parts_stood),
        TEST(slots_in_other_turns),
        TEST(without_the_flag_nothing_changes),
        TEST(unknown_parts),
        TEST(texts_make_no_slots),
        TEST(slots_count_against_the_room),
        TEST(many_slots),
        TEST(memory_runs_out),
        TEST(golden_images),
        TEST(golden_sounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
