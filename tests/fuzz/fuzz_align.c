/* SPDX-License-Identifier: Apache-2.0
 * Word alignment: any probabilities, any attention and any words give times that are in order, inside of the sound, or none.
 * Input: kind, classes or heads, frames or words, length of the text; the text (words between blanks); then the values. */
#include "fuzz/fuzzing.h"
#include "pipeline/align.h"

enum { HEADER = 4, MAX_WORDS = 64, MAX_VALUES = 1 << 15 };

static int32_t split(const char *text, size_t n, lfm2__align_word *words)
{
    int32_t n_words = 0;
    for (size_t i = 0, from = 0; i <= n && n_words < MAX_WORDS; i++) {
        if (i < n && text[i] != ' ') continue;
        if (i > from)
            words[n_words++] = (lfm2__align_word){ .text = text + from, .n_bytes = i - from, .start_us = -9, .end_us = -9 };
        from = i + 1;
    }
    return n_words;
}

static void check_times(const lfm2__align_word *words, int32_t n_words, const lfm2__align_verdict *v, int64_t total_us)
{
    int64_t at = 0;
    CHECK(v->score >= 0 && v->score <= 1.001f && (v->reliable == 0 || v->reliable == 1));
    for (int32_t i = 0; i < n_words; i++) {
        if (!v->reliable) {
            CHECK(words[i].start_us == -9 && words[i].end_us == -9);
            continue;
        }
        CHECK(words[i].start_us >= at && words[i].end_us >= words[i].start_us && words[i].end_us <= total_us);
        at = words[i].end_us;
    }
}

static void by_ctc(const uint8_t *values, size_t n, int32_t n_classes, lfm2__align_word *words, int32_t n_words)
{
    static float logp[MAX_VALUES];
    uint32_t alphabet[64] = { 0, ' ' };
    lfm2__align_verdict v = { -1, -1 };
    n = n < MAX_VALUES ? n : MAX_VALUES;
    for (int32_t i = 2; i < n_classes; i++) alphabet[i] = i < 40 ? 'a' + (uint32_t)i - 2 : 0xE0 + (uint32_t)i;
    for (size_t i = 0; i < n; i++) logp[i] = -(float)values[i] / 16;
    const lfm2__align_ctc_in in = { logp, (int32_t)n / n_classes, n_classes, alphabet, 20000 };
    const int rc = lfm2__align_ctc(fuzz_runtime(4096), &in, words, n_words, &v);
    CHECK(rc == 0 || rc == LFM2_ERR_UTF8);
    if (rc == 0) check_times(words, n_words, &v, in.n_frames * in.frame_us);
}

static void by_attention(const uint8_t *values, size_t n, int32_t n_heads, int32_t n_frames, lfm2__align_word *words,
                         int32_t n_words)
{
    static float weights[64 * 256];
    int32_t word_of[256];
    lfm2__align_attn *a = NULL;
    lfm2__align_verdict v = { -1, -1 };
    const size_t row = (size_t)n_heads * (size_t)n_frames, n_tok = n / row < 256 ? n / row : 256;
    CHECK(lfm2__align_attn_create(fuzz_runtime(4096), n_heads, n_frames, 256, &a) == 0);
    for (size_t t = 0; t < n_tok; t++) {
        for (size_t i = 0; i < row; i++) weights[i] = (float)values[t * row + i] / 64; /* up to 4, which no softmax gives */
        CHECK(lfm2__align_attn_push(a, weights) == 0);
        word_of[t] = n_words == 0 || values[t * row] == 255 ? -1 : (int32_t)(t * (size_t)n_words / n_tok);
    }
    CHECK(lfm2__align_attn_finish(a, word_of, 80000, words, n_words, &v) == 0);
    check_times(words, n_words, &v, n_frames * (int64_t)80000);
    lfm2__align_attn_destroy(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    lfm2__align_word words[MAX_WORDS];
    if (n < HEADER || n - HEADER < data[3]) return 0;
    const int32_t n_words = split((const char *)data + HEADER, data[3], words);
    const uint8_t *values = data + HEADER + data[3];
    n -= HEADER + (size_t)data[3];
    if (data[0] % 2 == 0)
        by_ctc(values, n, 2 + data[1] % 62, words, n_words);
    else
        by_attention(values, n, 1 + data[1] % 8, 1 + data[2], words, n_words);
    return 0;
}
