/* SPDX-License-Identifier: Apache-2.0
 * Transcripts of any text and times, written in every format: JSON must be JSON, subtitles must have as many cues as segments say
 * something. */
#include "base/json.h"
#include "base/str.h"
#include "fuzz/fuzzing.h"
#include "lfm2/hear.h"

enum { MAX_SEGMENTS = 8 };

static int on_write(void *ctx, const char *bytes, size_t n)
{
    CHECK(n > 0);
    lfm2__str_put(ctx, bytes, n);
    return 0;
}

static void check_json(lfm2_runtime *rt, const char *text, size_t n)
{
    static const lfm2__json_limits limits = {.max_bytes = 1 << 24, .max_depth = 10, .max_values = 100000};
    lfm2__json_doc *doc;
    CHECK(lfm2__json_parse(rt, "written", text, n, &limits, &doc) == 0);
    lfm2__json_free(doc);
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *p = text; p != NULL && (p = strstr(p, what)) != NULL; p++) n++;
    return n;
}

static void check(lfm2_runtime *rt, lfm2_hear_format format, lfm2__str *s, size_t n_cues)
{
    if (format == LFM2_HEAR_FORMAT_JSON) check_json(rt, s->data, s->n);
    if (format == LFM2_HEAR_FORMAT_JSONL) {
        char *rest = NULL;
        for (char *line = strtok_r(s->data, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
            check_json(rt, line, strlen(line));
        }
    }
    if (format == LFM2_HEAR_FORMAT_SRT || format == LFM2_HEAR_FORMAT_VTT) {
        CHECK(count(s->data, "-->") == n_cues);
        CHECK(count(s->data, "\n\n") == n_cues + (format == LFM2_HEAR_FORMAT_VTT));
        CHECK(count(s->data, "\n\n\n") == 0);
    }
    if (format == LFM2_HEAR_FORMAT_CSV) CHECK(count(s->data, "\"") % 2 == 0);
}

/* Segments out of the bytes: what begins with a NUL or the start is 16 bytes of numbers, then text. */
static int32_t make_segments(char *bytes, size_t n, lfm2_segment *segments, lfm2_word *words)
{
    int32_t n_segments = 0;
    for (size_t at = 0; n_segments < MAX_SEGMENTS && at + 17 <= n; n_segments++) {
        int64_t begin, length;
        memcpy(&begin, bytes + at, 8);
        memcpy(&length, bytes + at + 8, 8);
        const unsigned char kind = (unsigned char)bytes[at + 16];
        char *text = bytes + at + 17; /* NUL behind all bytes */
        words[n_segments] = (lfm2_word){text, begin, length, (float)kind / 100};
        segments[n_segments] = (lfm2_segment){
            .id = n_segments, .channel = kind % 3, .start_us = begin, .end_us = length, .text = text,
            .stop = (lfm2_stop)(kind / 3 % 5), .avg_logprob = (double)begin / 1e6, .confidence = (float)kind / 128,
            .times = LFM2_TIMES_WORD, .words = &words[n_segments], .n_words = 1,
        };
        at += 17 + strlen(text) + 1;
    }
    return n_segments;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    lfm2_runtime *rt = fuzz_runtime(200);
    lfm2_segment segments[MAX_SEGMENTS];
    lfm2_word words[MAX_SEGMENTS];
    char *bytes = malloc(n + 1);
    CHECK(bytes != NULL);
    if (n > 0) memcpy(bytes, data, n);
    bytes[n] = '\0';
    const int32_t n_segments = make_segments(bytes, n, segments, words);
    size_t n_cues = 0;
    for (int32_t i = 0; i < n_segments; i++) {
        n_cues += segments[i].stop != LFM2_STOP_EOS || segments[i].text[strspn(segments[i].text, " \t\r\n")] != '\0';
    }
    const lfm2_transcript_info info = {.file = bytes, .language = bytes, .damage = bytes, .n_channels = 1 + (int32_t)(n % 2),
                                       .times = LFM2_TIMES_WORD, .duration_us = (int64_t)n};
    for (int format = 0; format <= LFM2_HEAR_FORMAT_CSV; format++) {
        lfm2_transcript_writer *w;
        lfm2__str s;
        lfm2__str_init(&s, rt);
        CHECK(lfm2_transcript_writer_create(rt, (lfm2_hear_format)format, on_write, &s, &w) == 0);
        CHECK(lfm2_transcript_begin(w, &info) == 0);
        for (int32_t i = 0; i < n_segments; i++) CHECK(lfm2_transcript_segment(w, &segments[i]) == 0);
        CHECK(lfm2_transcript_end(w, &info) == 0);
        lfm2_transcript_writer_destroy(w);
        CHECK(s.status == 0);
        check(rt, (lfm2_hear_format)format, &s, n_cues);
        lfm2__str_fini(&s);
    }
    free(bytes);
    return 0;
}
