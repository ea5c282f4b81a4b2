/* SPDX-License-Identifier: Apache-2.0
 * 200,000 strings in more than ten scripts against what Hugging Face tokenizers makes of them. The strings come from a small
 * generator that tests/oracle/make_tokenizer_hashes.py has, too; what it recorded are hashes over the ids of each block of 500
 * strings. */
#include "tok_testing.h"

#define N_STRINGS 200000
#define BLOCK 500
#define MAX_GROUPS 32
#define MAX_RANGES 16
#define MAX_LINES 64
#define MAX_STRING_BYTES 4096

typedef struct group {
    uint32_t lo[MAX_RANGES], hi[MAX_RANGES];
    int n;
} group;

typedef struct corpus {
    char *file;
    group groups[MAX_GROUPS];
    const char *words[MAX_LINES];
    const char *texts[MAX_LINES];
    int n_groups, n_words, n_texts;
} corpus;

static void read_group(corpus *c, char *line)
{
    group *g = &c->groups[c->n_groups++];

    while (*line != '\0') {
        assert_true(g->n < MAX_RANGES);
        g->lo[g->n] = (uint32_t)strtoul(line, &line, 16);
        assert_int_equal(*line++, '-');
        g->hi[g->n++] = (uint32_t)strtoul(line, &line, 16);
        while (*line == ' ') line++;
    }
}

static void read_corpus(corpus *c)
{
    size_t n = 0;
    char *line, *end;

    memset(c, 0, sizeof(*c));
    c->file = read_file(LFM2_TEST_DIR "/oracle/tokenizers/corpus.txt", &n);
    for (line = c->file; *line != '\0'; line = end + 1) {
        end = strchr(line, '\n');
        assert_non_null(end);
        *end = '\0';
        assert_true(c->n_groups < MAX_GROUPS && c->n_words < MAX_LINES && c->n_texts < MAX_LINES);
        if (strncmp(line, "group ", 6) == 0) read_group(c, line + 6);
        else if (strncmp(line, "word ", 5) == 0) c->words[c->n_words++] = line + 5;
        else if (strncmp(line, "text ", 5) == 0) c->texts[c->n_texts++] = line + 5;
    }
}

/* SplitMix64; the high half of a draw, modulo n. */
static uint32_t below(uint64_t *state, uint32_t n)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;

    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (uint32_t)((z ^ z >> 31) >> 32) % n;
}

static size_t n_code_points(const char *s, size_t n)
{
    size_t i, k = 0;

    for (i = 0; i < n; i++) k += ((unsigned char)s[i] & 0xC0) != 0x80;
    return k;
}

/* Bytes of the first k code points of s. */
static size_t prefix_n(const char *s, size_t k)
{
    size_t i = 0, len;
    uint32_t cp = 0;

    for (; k > 0 && s[i] != '\0'; k--, i += len) {
        len = lfm2__utf8_decode(s + i, strlen(s + i), &cp);
        assert_true(len > 0);
    }
    return i;
}

static size_t make_string(const corpus *c, uint64_t i, char *out)
{
    uint64_t state = i;
    uint32_t parts = 1 + below(&state, 5), k;
    size_t n = 0, len;

    for (; parts > 0; parts--) {
        const uint32_t kind = below(&state, 16);

        assert_true(n + 256 < MAX_STRING_BYTES);
        if (kind < 10) {
            const group *g = &c->groups[below(&state, (uint32_t)c->n_groups)];

            for (k = 1 + below(&state, 7); k > 0; k--) {
                const uint32_t r = below(&state, (uint32_t)g->n);

                n += lfm2__utf8_encode(g->lo[r] + below(&state, g->hi[r] - g->lo[r] + 1), out + n);
            }
        } else if (kind < 14) {
            const char *text = c->texts[below(&state, (uint32_t)c->n_texts)];

            text += prefix_n(text, below(&state, (uint32_t)n_code_points(text, strlen(text))));
            len = prefix_n(text, 1 + below(&state, 20));
            memcpy(out + n, text, len);
            n += len;
        } else {
            const char *word = c->words[below(&state, (uint32_t)c->n_words)];

            memcpy(out + n, word, strlen(word));
            n += strlen(word);
        }
    }
    return n;
}

static uint64_t fnv(uint64_t h, const void *data, size_t n)
{
    const unsigned char *p = data;

    for (; n > 0; n--) h = (h ^ *p++) * 0x100000001B3u;
    return h;
}

static uint64_t fnv_ids(uint64_t h, const int32_t *ids, size_t n)
{
    size_t i;

    for (i = 0; i <= n; i++) {
        const uint32_t v = i < n ? (uint32_t)ids[i] : UINT32_MAX;
        const unsigned char le[4] = {(unsigned char)v, (unsigned char)(v >> 8), (unsigned char)(v >> 16), (unsigned char)(v >> 24)};

        h = fnv(h, le, sizeof(le));
    }
    return h;
}

typedef struct fixture {
    lfm2_runtime *rt;
    lfm2_tokenizer *toks[2];
    corpus corpus;
} fixture;

static int setup(void **state)
{
    fixture *f = test_calloc(1, sizeof(*f));

    f->rt = test_runtime(1, NULL, NULL);
    assert_int_equal(lfm2_tokenizer_load_json(f->rt, TOK_GOLDEN "/tokenizer.json", &f->toks[0]), 0);
    assert_int_equal(lfm2_tokenizer_load_json(f->rt, LFM2_TEST_DIR "/oracle/tokenizers/tok8k.json", &f->toks[1]), 0);
    read_corpus(&f->corpus);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    free(f->corpus.file);
    lfm2_tokenizer_unload(f->toks[0]);
    lfm2_tokenizer_unload(f->toks[1]);
    lfm2_runtime_destroy(f->rt);
    test_free(f);
    return 0;
}

static void ids_equal_reference(void **state)
{
    const fixture *f = *state;
    FILE *hashes = fopen(LFM2_TEST_DIR "/oracle/tokenizers/hashes.txt", "r");
    char text[MAX_STRING_BYTES];
    int32_t ids[MAX_STRING_BYTES];
    size_t text_n, n = 0;
    int b, i, t;

    assert_non_null(hashes);
    for (b = 0; b < N_STRINGS; b += BLOCK) {
        uint64_t h[3] = {0xCBF29CE484222325u, 0xCBF29CE484222325u, 0xCBF29CE484222325u};
        unsigned long long want[3];

        assert_int_equal(fscanf(hashes, "%llx %llx %llx", &want[0], &want[1], &want[2]), 3);
        for (i = b; i < b + BLOCK; i++) {
            text_n = make_string(&f->corpus, (uint64_t)i, text);
            h[0] = fnv(fnv(h[0], text, text_n), "", 1);
            for (t = 0; t < 2; t++) {
                assert_int_equal(lfm2_tokenizer_encode(f->toks[t], text, text_n, i % 2 ? LFM2_ENCODE_SPECIAL : 0, ids,
                                                       MAX_STRING_BYTES, &n),
                                 0);
                h[1 + t] = fnv_ids(h[1 + t], ids, n);
            }
        }
        for (t = 0; t < 3; t++)
            if (h[t] != want[t]) fail_msg("strings %d..%d: %s", b, b + BLOCK - 1, t == 0 ? "the generators differ" : "ids differ");
    }
    fclose(hashes);
}

/* The text comes back whole from any of the strings. */
static void decodes_to_the_same(void **state)
{
    const fixture *f = *state;
    char text[MAX_STRING_BYTES], *back = NULL;
    int32_t ids[MAX_STRING_BYTES];
    size_t text_n, n = 0, back_n = 0;
    int i;

    for (i = 0; i < N_STRINGS; i += 20) {
        const lfm2_tokenizer *tok = f->toks[i / 20 % 2];

        text_n = make_string(&f->corpus, (uint64_t)i, text);
        assert_int_equal(lfm2_tokenizer_encode(tok, text, text_n, LFM2_ENCODE_SPECIAL, ids, MAX_STRING_BYTES, &n), 0);
        assert_int_equal(lfm2_tokenizer_decode(tok, ids, n, LFM2_DECODE_SPECIAL, &back, &back_n), 0);
        assert_int_equal(back_n, text_n);
        assert_memory_equal(back, text, text_n);
        lfm2_tokenizer_free_text(tok, back);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_equal_reference),
        cmocka_unit_test(decodes_to_the_same),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
