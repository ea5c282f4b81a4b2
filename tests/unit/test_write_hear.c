/* SPDX-License-Identifier: Apache-2.0
 * Writing transcripts: the bytes of every format, hostile text, strict readers of SubRip and WebVTT, a round trip through ffmpeg,
 * writes and allocations that fail. */
#include "base_testing.h"
#include "paper_testing.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>

#include "base/json.h"
#include "base/str.h"
#include "file_testing.h"
#include "lfm2/hear.h"

/* --- transcripts --- */

static lfm2_word hello_words[] = {
    {"Hello,", 500000, 900499, 0.98764f},
    {"world.", 900500, 1499500, 1.5f},
};
static const lfm2_segment one[] = {
    {.id = 0, .start_us = 499600, .end_us = 1500400, .text = "Hello, world.", .avg_logprob = -0.12345, .confidence = 0.98f,
     .n_tok = 5, .times = LFM2_TIMES_WORD, .words = hello_words, .n_words = 2},
    {.id = 1, .start_us = 3599999600, .end_us = 3661500000, .text = " \"Fish & chips\" <b>", .stop = LFM2_STOP_LENGTH,
     .avg_logprob = -2.0, .confidence = -1, .n_tok = 9},
    {.id = 2, .start_us = 3700000000, .end_us = 3700100000, .text = "", .n_tok = 0},
};
static const lfm2_transcript_info one_begin = {.file = "a \"b\".wav", .n_channels = 1, .duration_us = -1, .times = LFM2_TIMES_WORD,
                                               .load_us = -1, .decode_us = -1};
static const lfm2_transcript_info one_end = {
    .file = "a \"b\".wav", .language = "en", .n_channels = 1, .duration_us = 3700100400, .times = LFM2_TIMES_WORD,
    .stop = LFM2_STOP_LENGTH, .load_us = 1500, .decode_us = -1, .stats = {.mel_us = 1, .encode_us = 20, .generate_us = 3000000},
    .damage = "ends early",
};

/* Two channels; the second begins to speak while the first does. */
static const lfm2_segment two[] = {
    {.id = 0, .channel = 0, .start_us = 0, .end_us = 2000000, .text = "Good morning.", .confidence = 1, .n_tok = 3},
    {.id = 1, .channel = 1, .start_us = 1500000, .end_us = 1500100, .text = "Morning.", .confidence = 0.5f, .n_tok = 2},
    {.id = 2, .start_us = 1500000, .end_us = 2500000, .text = "", .stop = LFM2_STOP_LOOP, .confidence = 0, .n_tok = 7},
};
static const lfm2_transcript_info two_info = {.file = "call.wav", .n_channels = 2, .duration_us = 2500000, .load_us = -1,
                                              .decode_us = -1, .stop = LFM2_STOP_LOOP};

/* --- writing into memory --- */

static int write_all(lfm2_runtime *rt, lfm2_hear_format format, const lfm2_transcript_info *begin, const lfm2_segment *segments,
                     size_t n_segments, const lfm2_transcript_info *end, paper *p)
{
    lfm2_transcript_writer *w = NULL;
    int rc = lfm2_transcript_writer_create(rt, format, on_write, p, &w);
    if (rc == 0) rc = lfm2_transcript_begin(w, begin);
    for (size_t i = 0; rc == 0 && i < n_segments; i++) rc = lfm2_transcript_segment(w, &segments[i]);
    if (rc == 0) rc = lfm2_transcript_end(w, end);
    lfm2_transcript_writer_destroy(w);
    return rc;
}

static void expect(lfm2_runtime *rt, lfm2_hear_format format, const lfm2_transcript_info *begin, const lfm2_segment *segments,
                   size_t n_segments, const lfm2_transcript_info *end, const char *want)
{
    paper p = {0};
    assert_int_equal(write_all(rt, format, begin, segments, n_segments, end, &p), 0);
    assert_string_equal(p.text, want);
    assert_int_equal(p.n, strlen(want));
}

#define EXPECT_ONE(format, want) expect(rt, LFM2_HEAR_FORMAT_##format, &one_begin, one, 3, &one_end, want)
#define EXPECT_TWO(format, want) expect(rt, LFM2_HEAR_FORMAT_##format, &two_info, two, 3, &two_info, want)
#define EXPECT_NONE(format, want) expect(rt, LFM2_HEAR_FORMAT_##format, &two_info, NULL, 0, &two_info, want)

/* --- the bytes --- */

static void text_bytes(void **state)
{
    lfm2_runtime *rt = ((watched *)*state)->rt;
    EXPECT_ONE(TEXT, "Hello, world.\n\"Fish & chips\" <b> [incomplete: length]\n");
    EXPECT_TWO(TEXT, "Speaker 1: Good morning.\nSpeaker 2: Morning.\nSpeaker 1: [incomplete: loop]\n");
    EXPECT_NONE(TEXT, "");
}

static void srt_bytes(void **state)
{
    lfm2_runtime *rt = ((watched *)*state)->rt;
    EXPECT_ONE(SRT, "1\n00:00:00,500 --> 00:00:01,500\nHello, world.\n\n"
                    "2\n01:00:00,000 --> 01:01:01,500\n\"Fish & chips\" <b> [incomplete: length]\n\n");
    EXPECT_TWO(SRT, "1\n00:00:00,000 --> 00:00:02,000\nSpeaker 1: Good morning.\n\n"
                    "2\n00:00:01,500 --> 00:00:01,501\nSpeaker 2: Morning.\n\n"
                    "3\n00:00:01,500 --> 00:00:02,500\nSpeaker 1: [incomplete: loop]\n\n");
    EXPECT_NONE(SRT, "");
}

static void vtt_bytes(void **state)
{
    lfm2_runtime *rt = ((watched *)*state)->rt;
    EXPECT_ONE(VTT, "WEBVTT\n\n00:00:00.500 --> 00:00:01.500\nHello, world.\n\n"
                    "01:00:00.000 --> 01:01:01.500\n\"Fish &amp; chips\" &lt;b&gt; [incomplete: length]\n\n");
    EXPECT_TWO(VTT, "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\n<v Speaker 1>Good morning.\n\n"
                    "00:00:01.500 --> 00:00:01.501\n<v Speaker 2>Morning.\n\n"
                    "00:00:01.500 --> 00:00:02.500\n<v Speaker 1>[incomplete: loop]\n\n");
    EXPECT_NONE(VTT, "WEBVTT\n\n");
}

static void csv_bytes(void **state)
{
    lfm2_runtime *rt = ((watched *)*state)->rt;
    EXPECT_ONE(CSV, "start,end,channel,speaker,text,confidence,stop\n"
                    "0.500,1.500,0,,\"Hello, world.\",0.9800,eos\n"
                    "3600.000,3661.500,0,,\"\"\"Fish & chips\"\" <b>\",,length\n"
                    "3700.000,3700.100,0,,\"\",0.0000,eos\n");
    EXPECT_TWO(CSV, "start,end,channel,speaker,text,confidence,stop\n"
                    "0.000,2.000,0,Speaker 1,\"Good morning.\",1.0000,eos\n"
                    "1.500,1.500,1,Speaker 2,\"Morning.\",0.5000,eos\n"
                    "1.500,2.500,0,Speaker 1,\"\",0.0000,loop\n");
    EXPECT_NONE(CSV, "start,end,channel,speaker,text,confidence,stop\n");
}

#define TWO_TIMING "\"timing_ms\":{\"load\":null,\"decode\":null,\"mel\":0.000,\"encode\":0.000,\"generate\":0.000," \
    "\"align\":0.000}}\n"

static void json_bytes(void **state)
{
    lfm2_runtime *rt = ((watched *)*state)->rt;
    EXPECT_ONE(JSON,
               "{\"schema_version\":1,\"file\":\"a \\\"b\\\".wav\",\"task\":\"transcribe\",\"language\":\"en\","
               "\"duration\":3700.100,"
               "\"channels\":1,\"text\":\"Hello, world.  \\\"Fish & chips\\\" <b>\",\"segments\":[\n"
               "{\"id\":0,\"channel\":0,\"speaker\":null,\"start\":0.500,\"end\":1.500,\"text\":\"Hello, world.\","
               "\"avg_logprob\":-0.1235,\"confidence\":0.9800,\"n_tokens\":5,\"times\":\"word\",\"stop\":\"eos\"},\n"
               "{\"id\":1,\"channel\":0,\"speaker\":null,\"start\":3600.000,\"end\":3661.500,"
               "\"text\":\" \\\"Fish & chips\\\" <b>\","
               "\"avg_logprob\":-2.0000,\"confidence\":null,\"n_tokens\":9,\"times\":\"segment\",\"stop\":\"length\"},\n"
               "{\"id\":2,\"channel\":0,\"speaker\":null,\"start\":3700.000,\"end\":3700.100,\"text\":\"\","
               "\"avg_logprob\":0.0000,\"confidence\":0.0000,\"n_tokens\":0,\"times\":\"segment\",\"stop\":\"eos\"}],\"words\":[\n"
               "{\"word\":\"Hello,\",\"start\":0.500,\"end\":0.900,\"confidence\":0.9876,\"channel\":0,\"speaker\":null},\n"
               "{\"word\":\"world.\",\"start\":0.901,\"end\":1.500,\"confidence\":1.0000,\"channel\":0,\"speaker\":null}],"
               "\"stop\":\"length\",\"damage\":\"ends early\","
               "\"timing_ms\":{\"load\":1.500,\"decode\":null,\"mel\":0.001,\"encode\":0.020,\"generate\":3000.000,"
               "\"align\":0.000}}\n");
    EXPECT_TWO(JSON,
               "{\"schema_version\":1,\"file\":\"call.wav\",\"task\":\"transcribe\",\"language\":null,\"duration\":2.500,"
               "\"channels\":2,"
               "\"text\":\"Speaker 1: Good morning.\\nSpeaker 2: Morning.\",\"segments\":[\n"
               "{\"id\":0,\"channel\":0,\"speaker\":\"Speaker 1\",\"start\":0.000,\"end\":2.000,\"text\":\"Good morning.\","
               "\"avg_logprob\":0.0000,\"confidence\":1.0000,\"n_tokens\":3,\"times\":\"segment\",\"stop\":\"eos\"},\n"
               "{\"id\":1,\"channel\":1,\"speaker\":\"Speaker 2\",\"start\":1.500,\"end\":1.500,\"text\":\"Morning.\","
               "\"avg_logprob\":0.0000,\"confidence\":0.5000,\"n_tokens\":2,\"times\":\"segment\",\"stop\":\"eos\"},\n"
               "{\"id\":2,\"channel\":0,\"speaker\":\"Speaker 1\",\"start\":1.500,\"end\":2.500,\"text\":\"\","
               "\"avg_logprob\":0.0000,\"confidence\":0.0000,\"n_tokens\":7,\"times\":\"segment\",\"stop\":\"loop\"}],"
               "\"stop\":\"loop\",\"damage\":null," TWO_TIMING);
    EXPECT_NONE(JSON, "{\"schema_version\":1,\"file\":\"call.wav\",\"task\":\"transcribe\",\"language\":null,\"duration\":2.500,"
                      "\"channels\":2,\"text\":\"\",\"segments\":[],\"stop\":\"loop\",\"damage\":null," TWO_TIMING);
}

static void jsonl_bytes(void **state)
{
    lfm2_runtime *rt = ((watched *)*state)->rt;
    EXPECT_ONE(JSONL,
               "{\"schema_version\":1,\"type\":\"segment\",\"file\":\"a \\\"b\\\".wav\",\"id\":0,\"channel\":0,\"speaker\":null,"
               "\"start\":0.500,\"end\":1.500,\"text\":\"Hello, world.\",\"avg_logprob\":-0.1235,\"confidence\":0.9800,"
               "\"n_tokens\":5,"
               "\"times\":\"word\",\"stop\":\"eos\",\"words\":[{\"word\":\"Hello,\",\"start\":0.500,\"end\":0.900,"
               "\"confidence\":0.9876},{\"word\":\"world.\",\"start\":0.901,\"end\":1.500,\"confidence\":1.0000}]}\n"
               "{\"schema_version\":1,\"type\":\"segment\",\"file\":\"a \\\"b\\\".wav\",\"id\":1,\"channel\":0,\"speaker\":null,"
               "\"start\":3600.000,\"end\":3661.500,\"text\":\" \\\"Fish & chips\\\" <b>\",\"avg_logprob\":-2.0000,"
               "\"confidence\":null,\"n_tokens\":9,\"times\":\"segment\",\"stop\":\"length\"}\n"
               "{\"schema_version\":1,\"type\":\"segment\",\"file\":\"a \\\"b\\\".wav\",\"id\":2,\"channel\":0,\"speaker\":null,"
               "\"start\":3700.000,\"end\":3700.100,\"text\":\"\",\"avg_logprob\":0.0000,\"confidence\":0.0000,\"n_tokens\":0,"
               "\"times\":\"segment\",\"stop\":\"eos\"}\n"
               "{\"schema_version\":1,\"type\":\"transcript\",\"file\":\"a \\\"b\\\".wav\",\"task\":\"transcribe\","
               "\"language\":\"en\","
               "\"duration\":3700.100,\"channels\":1,\"stop\":\"length\",\"damage\":\"ends early\","
               "\"timing_ms\":{\"load\":1.500,\"decode\":null,\"mel\":0.001,\"encode\":0.020,\"generate\":3000.000,"
               "\"align\":0.000}}\n");
    EXPECT_NONE(JSONL, "{\"schema_version\":1,\"type\":\"transcript\",\"file\":\"call.wav\",\"task\":\"transcribe\","
                       "\"language\":null,\"duration\":2.500,\"channels\":2,\"stop\":\"loop\",\"damage\":null," TWO_TIMING);
}

/* Words that nobody asked for stay out; cues that come out of order still begin in order. */
static void without_words(void **state)
{
    lfm2_runtime *rt = ((watched *)*state)->rt;
    lfm2_transcript_info info = one_begin;
    info.times = LFM2_TIMES_SEGMENT;
    paper p = {0};
    assert_int_equal(write_all(rt, LFM2_HEAR_FORMAT_JSONL, &info, one, 1, &info, &p), 0);
    assert_null(strstr(p.text, "words"));
    assert_non_null(strstr(p.text, "\"times\":\"segment\""));
    const lfm2_segment back[] = {one[1], one[0]};
    expect(rt, LFM2_HEAR_FORMAT_SRT, &info, back, 2, &info,
           "1\n01:00:00,000 --> 01:01:01,500\n\"Fish & chips\" <b> [incomplete: length]\n\n"
           "2\n01:00:00,000 --> 01:00:00,001\nHello, world.\n\n");
}

/* --- hostile text --- */

static const char *const hostile[] = {
    "a\n\nb\r\n\r\nc", "2\n00:00:09,000 --> 00:00:10,000\nforged", "-->", "--->", "WEBVTT\n\nNOTE x", "<v Mallory>&lt;&amp;",
    "\x1b[2Jq\x07", "bad \xff\xc0\xaf utf-8", "\"\"\"", "'\\\"", "=1+1,2\n3", "\xe2\x80\xae right to left",
    "{\"a\":1}\",\"b\":[]", "\xed\xa0\x80 surrogate", " ", "\n", "&", "<00:00:01.000>",
};

/* Times of a cue: HH:MM:SS, point, mmm. -1 if it is anything else. */
static int64_t clock_ms(const char **at, char point)
{
    const char *p = *at;
    int64_t v[4] = {0};
    for (int part = 0; part < 4; part++) {
        const char *begin = p;
        while (*p >= '0' && *p <= '9') v[part] = v[part] * 10 + (*p++ - '0');
        const long n = (long)(p - begin);
        if (part == 0 ? n < 2 : part == 3 ? n != 3 : n != 2) return -1;
        if (part < 3 && *p++ != (part < 2 ? ':' : point)) return -1;
    }
    *at = p;
    return v[1] < 60 && v[2] < 60 ? ((v[0] * 60 + v[1]) * 60 + v[2]) * 1000 + v[3] : -1;
}

static const char *expect_literal(const char *p, const char *want)
{
    assert_memory_equal(p, want, strlen(want));
    return p + strlen(want);
}

/* Text of a cue in WebVTT: no marks but a voice at its begin, no entities but the three. */
static void check_vtt_text(const char *line, size_t n)
{
    size_t i = 0;
    if (n > 0 && line[0] == '<') {
        (void)expect_literal(line, "<v Speaker ");
        i = (size_t)(strchr(line, '>') - line) + 1;
        assert_true(i < n);
    }
    for (; i < n; i++) {
        assert_true(line[i] != '<' && line[i] != '>');
        if (line[i] != '&') continue;
        assert_true(strncmp(line + i, "&amp;", 5) == 0 || strncmp(line + i, "&lt;", 4) == 0 || strncmp(line + i, "&gt;", 4) == 0);
    }
}

/* Read subtitles strictly; returns the number of cues. */
static int read_cues(const char *p, int is_vtt)
{
    int n_cues = 0;
    int64_t last = 0;
    if (is_vtt) p = expect_literal(p, "WEBVTT\n\n");
    while (*p != '\0') {
        char number[16];
        n_cues++;
        (void)snprintf(number, sizeof number, "%d\n", n_cues);
        if (!is_vtt) p = expect_literal(p, number);
        const int64_t begin = clock_ms(&p, is_vtt ? '.' : ',');
        p = expect_literal(p, " --> ");
        const int64_t end = clock_ms(&p, is_vtt ? '.' : ',');
        p = expect_literal(p, "\n");
        assert_true(begin >= last && end > begin);
        last = begin;
        const size_t n = strcspn(p, "\n");
        assert_true(n > 0);
        for (size_t i = 0; i < n; i++) assert_true((unsigned char)p[i] >= 0x20);
        assert_true(strstr(p, "-->") == NULL || strstr(p, "-->") >= p + n);
        if (is_vtt) check_vtt_text(p, n);
        p = expect_literal(p + n, "\n\n");
    }
    return n_cues;
}

/* Read fields of CSV strictly; returns the number of lines, each of which must have seven fields. */
static int read_csv(const char *p)
{
    int n_lines = 0;
    while (*p != '\0') {
        int n_fields = 1;
        for (; *p != '\n'; p++) {
            if (*p == ',') n_fields++;
            if (*p != '"') continue;
            for (p++; *p != '"' || p[1] == '"'; p++) {
                assert_true((unsigned char)*p >= 0x20);
                if (*p == '"') p++;
            }
        }
        assert_int_equal(n_fields, 7);
        n_lines++;
        p++;
    }
    return n_lines;
}

static const lfm2__json_limits limits = {.max_bytes = 1 << 20, .max_depth = 10, .max_values = 10000};

static void hostile_text(void **state)
{
    watched *x = *state;
    lfm2_segment segments[LFM2__COUNT_OF(hostile)];
    const size_t n = LFM2__COUNT_OF(hostile);
    for (size_t i = 0; i < n; i++) {
        segments[i] = (lfm2_segment){.id = (int32_t)i, .channel = i % 2, .start_us = (int64_t)i * 400, .end_us = (int64_t)i * 400,
                                     .text = (char *)(uintptr_t)hostile[i]};
    }
    static paper p;
    for (int32_t n_channels = 1; n_channels <= 2; n_channels++) {
        lfm2_transcript_info info = two_info;
        info.n_channels = n_channels;
        p.n = 0;
        assert_int_equal(write_all(x->rt, LFM2_HEAR_FORMAT_SRT, &info, segments, n, &info, &p), 0);
        assert_int_equal(read_cues(p.text, 0), n - 2); /* two are blank */
        p.n = 0;
        assert_int_equal(write_all(x->rt, LFM2_HEAR_FORMAT_VTT, &info, segments, n, &info, &p), 0);
        assert_int_equal(read_cues(p.text, 1), n - 2);
        p.n = 0;
        assert_int_equal(write_all(x->rt, LFM2_HEAR_FORMAT_CSV, &info, segments, n, &info, &p), 0);
        assert_int_equal(read_csv(p.text), n + 1);
        p.n = 0;
        assert_int_equal(write_all(x->rt, LFM2_HEAR_FORMAT_TEXT, &info, segments, n, &info, &p), 0);
        size_t n_lines = 0;
        for (size_t i = 0; i < p.n; i++) {
            n_lines += p.text[i] == '\n';
            assert_true((unsigned char)p.text[i] >= 0x20 || p.text[i] == '\n');
        }
        assert_int_equal(n_lines, n - 2);
        p.n = 0;
        assert_int_equal(write_all(x->rt, LFM2_HEAR_FORMAT_JSON, &info, segments, n, &info, &p), 0);
        lfm2__json_doc *doc;
        assert_int_equal(lfm2__json_parse(x->rt, "json", p.text, p.n, &limits, &doc), 0);
        const lfm2__json *list = lfm2__json_get(lfm2__json_root(doc), "segments");
        assert_int_equal(lfm2__json_size(list), n);
        assert_string_equal(lfm2__json_str(lfm2__json_get(lfm2__json_at(list, 1), "text"), NULL), hostile[1]);
        lfm2__json_free(doc);
        p.n = 0;
        assert_int_equal(write_all(x->rt, LFM2_HEAR_FORMAT_JSONL, &info, segments, n, &info, &p), 0);
        char *rest = NULL;
        size_t n_objects = 0;
        for (char *line = strtok_r(p.text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest), n_objects++) {
            assert_int_equal(lfm2__json_parse(x->rt, "jsonl", line, strlen(line), &limits, &doc), 0);
            lfm2__json_free(doc);
        }
        assert_int_equal(n_objects, n + 1);
    }
}

static void odd_numbers(void **state)
{
    watched *x = *state;
    const lfm2_segment odd = {.start_us = -5, .end_us = INT64_MAX, .text = "x", .avg_logprob = NAN, .confidence = NAN};
    paper p = {0};
    assert_int_equal(write_all(x->rt, LFM2_HEAR_FORMAT_JSON, &one_begin, &odd, 1, &one_begin, &p), 0);
    lfm2__json_doc *doc;
    assert_int_equal(lfm2__json_parse(x->rt, "json", p.text, p.n, &limits, &doc), 0);
    lfm2__json_free(doc);
    assert_non_null(strstr(p.text, "\"start\":null,\"end\":9223372036854.776,"));
    assert_non_null(strstr(p.text, "\"avg_logprob\":null,\"confidence\":null"));
    expect(x->rt, LFM2_HEAR_FORMAT_VTT, &one_begin, &odd, 1, &one_begin,
           "WEBVTT\n\n00:00:00.000 --> 2562047788:00:54.776\nx\n\n");
}

static void another_locale(void **state)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "tr_TR.UTF-8"};
    const char *found = NULL;
    for (size_t i = 0; found == NULL && i < LFM2__COUNT_OF(names); i++) found = setlocale(LC_ALL, names[i]);
    if (found == NULL) {
        print_message("skipped: no locale with a decimal comma\n");
        skip();
    }
    csv_bytes(state);
    json_bytes(state);
    (void)setlocale(LC_ALL, "C");
}

/* --- round trip --- */

static int run_ffmpeg(const char *folder, const char *from, const char *to)
{
    char command[512];
    (void)snprintf(command, sizeof command, "ffmpeg -v error -nostdin -i %s/%s %s/%s >%s/log 2>&1", folder, from, folder, to,
                   folder);
    return system(command);
}

/* A reader and writer that is not ours gives our bytes back. */
static void through_ffmpeg(void **state)
{
    watched *x = *state;
    if (system("ffmpeg -version >/dev/null 2>&1") != 0) {
        print_message("skipped: no ffmpeg here\n");
        skip();
    }
    const lfm2_segment segments[] = {
        {.start_us = 1234567, .end_us = 2000000, .text = "It's \"fish & chips\", 100 % right?"},
        {.start_us = 2000000, .end_us = 4321000, .channel = 1, .text = "Größe: 5 µm, 漢字."},
        {.start_us = 36000000000, .end_us = 36001999500, .text = "Ten hours later.", .stop = LFM2_STOP_LENGTH},
    };
    char folder[64], path[128];
    make_folder(folder, sizeof folder);
    lfm2_transcript_info info = two_info;
    for (info.n_channels = 1; info.n_channels <= 2; info.n_channels++) {
        paper srt = {0}, vtt = {0};
        size_t n;
        assert_int_equal(write_all(x->rt, LFM2_HEAR_FORMAT_SRT, &info, segments, 3, &info, &srt), 0);
        write_file_in(folder, "a.srt", srt.text, srt.n);
        assert_int_equal(run_ffmpeg(folder, "a.srt", "b.vtt"), 0);
        assert_int_equal(run_ffmpeg(folder, "b.vtt", "c.srt"), 0);
        (void)snprintf(path, sizeof path, "%s/c.srt", folder);
        char *back = read_file(path, &n);
        assert_string_equal(back, srt.text);
        free(back);
        assert_int_equal(write_all(x->rt, LFM2_HEAR_FORMAT_VTT, &info, segments, 3, &info, &vtt), 0);
        assert_int_equal(read_cues(vtt.text, 1), 3);
        write_file_in(folder, "d.vtt", vtt.text, vtt.n);
        assert_int_equal(run_ffmpeg(folder, "d.vtt", "e.srt"), 0);
        (void)snprintf(path, sizeof path, "%s/e.srt", folder);
        back = read_file(path, &n);
        assert_int_equal(read_cues(back, 0), 3);
        assert_non_null(strstr(back, "00:00:01,235 --> 00:00:02,000\n"));
        assert_non_null(strstr(back, "It's \"fish & chips\", 100 % right?"));
        assert_non_null(strstr(back, "Größe: 5 µm, 漢字."));
        free(back);
        empty_folder(folder);
    }
    remove_folder(folder);
}

/* --- what fails --- */

static void misused(void **state)
{
    watched *x = *state;
    paper p = {0};
    lfm2_transcript_writer *w = NULL;
    assert_int_equal(lfm2_transcript_writer_create(NULL, LFM2_HEAR_FORMAT_SRT, on_write, &p, &w), LFM2_ERR_ARG);
    assert_int_equal(lfm2_transcript_writer_create(x->rt, LFM2_HEAR_FORMAT_SRT, NULL, &p, &w), LFM2_ERR_ARG);
    assert_int_equal(lfm2_transcript_writer_create(x->rt, (lfm2_hear_format)6, on_write, &p, &w), LFM2_ERR_ARG);
    assert_null(w);
    lfm2_transcript_writer_destroy(NULL);
    assert_int_equal(lfm2_transcript_begin(NULL, &one_begin), LFM2_ERR_ARG);
    assert_int_equal(lfm2_transcript_segment(NULL, one), LFM2_ERR_ARG);
    assert_int_equal(lfm2_transcript_end(NULL, &one_end), LFM2_ERR_ARG);

    assert_int_equal(lfm2_transcript_writer_create(x->rt, LFM2_HEAR_FORMAT_SRT, on_write, &p, &w), 0);
    assert_int_equal(lfm2_transcript_segment(w, one), LFM2_ERR_STATE);
    assert_int_equal(lfm2_transcript_end(w, &one_end), LFM2_ERR_STATE);
    lfm2_transcript_info bad = one_begin;
    bad.file = NULL;
    assert_int_equal(lfm2_transcript_begin(w, &bad), LFM2_ERR_ARG);
    bad = one_begin;
    bad.n_channels = 0;
    assert_int_equal(lfm2_transcript_begin(w, &bad), LFM2_ERR_ARG);
    assert_int_equal(lfm2_transcript_begin(w, &one_begin), 0);
    assert_int_equal(lfm2_transcript_begin(w, &one_begin), LFM2_ERR_STATE);
    lfm2_segment wrong = one[0];
    wrong.text = NULL;
    assert_int_equal(lfm2_transcript_segment(w, &wrong), LFM2_ERR_ARG);
    wrong = one[0];
    wrong.words = NULL;
    assert_int_equal(lfm2_transcript_segment(w, &wrong), LFM2_ERR_ARG);
    wrong = one[0];
    wrong.stop = (lfm2_stop)99;
    assert_int_equal(lfm2_transcript_segment(w, &wrong), LFM2_ERR_ARG);
    wrong = one[0];
    wrong.channel = -1;
    assert_int_equal(lfm2_transcript_segment(w, &wrong), LFM2_ERR_ARG);
    assert_int_equal(p.n, 0);
    assert_int_equal(lfm2_transcript_end(w, &one_end), 0);
    assert_int_equal(lfm2_transcript_segment(w, one), LFM2_ERR_STATE);
    assert_int_equal(lfm2_transcript_end(w, &one_end), LFM2_ERR_STATE);
    lfm2_transcript_writer_destroy(w);
}

static void write_fails(void **state)
{
    static const int n_writes[] = {2, 2, 3, 1, 4, 4}; /* a begin, each segment that shows, an end */
    watched *x = *state;
    for (int format = 0; format <= LFM2_HEAR_FORMAT_CSV; format++) {
        int fail_at = 1;
        for (;; fail_at++) {
            paper p = {.fail_at = fail_at};
            const int rc = write_all(x->rt, (lfm2_hear_format)format, &one_begin, one, 3, &one_end, &p);
            if (p.n_writes < fail_at) {
                assert_int_equal(rc, 0);
                break;
            }
            assert_int_equal(rc, LFM2_ERR_IO);
            assert_non_null(strstr(x->log.line, "could not write"));
        }
        assert_int_equal(fail_at - 1, n_writes[format]);
    }
}

static void without_memory(void **state)
{
    watched *x = *state;
    for (int format = 0; format <= LFM2_HEAR_FORMAT_CSV; format++) {
        for (long k = 0; test_fail_next(&x->heap, &k);) {
            paper p = {0};
            const int rc = write_all(x->rt, (lfm2_hear_format)format, &two_info, two, 3, &two_info, &p);
            assert_int_equal(rc, test_has_failed(&x->heap) ? LFM2_ERR_NOMEM : 0);
        }
    }
}

/* All but JSON hold one segment at a time. */
static int throw_away(void *ctx, const char *bytes, size_t n)
{
    (void)bytes;
    *(size_t *)ctx += n;
    return 0;
}

static void long_transcript(void **state)
{
    watched *x = *state;
    for (int format = 0; format <= LFM2_HEAR_FORMAT_CSV; format++) {
        lfm2_transcript_writer *w;
        size_t n_bytes = 0, after_few = 0;
        assert_int_equal(lfm2_transcript_writer_create(x->rt, (lfm2_hear_format)format, throw_away, &n_bytes, &w), 0);
        assert_int_equal(lfm2_transcript_begin(w, &one_begin), 0);
        for (int i = 0; i < 5000; i++) {
            assert_int_equal(lfm2_transcript_segment(w, &one[0]), 0);
            if (i == 10) after_few = x->heap.live_bytes;
        }
        if (format != LFM2_HEAR_FORMAT_JSON) assert_int_equal(x->heap.live_bytes, after_few);
        assert_int_equal(lfm2_transcript_end(w, &one_end), 0);
        assert_true(n_bytes > (size_t)5000 * strlen(one[0].text));
        lfm2_transcript_writer_destroy(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(text_bytes, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(srt_bytes, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(vtt_bytes, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(csv_bytes, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(json_bytes, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(jsonl_bytes, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(without_words, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(hostile_text, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(odd_numbers, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(another_locale, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(through_ffmpeg, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(misused, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(write_fails, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(without_memory, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(long_transcript, watch_setup, watch_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
