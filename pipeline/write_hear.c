/* SPDX-License-Identifier: Apache-2.0
 * Writing transcripts: JSON in one document or in lines, and what is common to all formats. */
#include <string.h>

#include "base/runtime_impl.h"
#include "pipeline/write_hear_impl.h"

/* --- JSON --- */

static void member_seconds(lfm2__str *s, const char *key, int64_t us)
{
    lfm2__member_fixed(s, key, us < 0 ? -1 : lfm2__hear_ms(us), 3);
}

static void members_of_speaker(lfm2__str *s, const lfm2_transcript_writer *w, int32_t channel)
{
    lfm2__member_int(s, "channel", channel);
    lfm2__member(s, "speaker");
    lfm2__str_puts(s, w->n_channels > 1 ? "\"" : "null");
    if (lfm2__put_speaker(s, w, channel)) lfm2__str_puts(s, "\"");
}

static void put_word(lfm2__str *s, const lfm2_transcript_writer *w, const lfm2_segment *segment, const lfm2_word *word,
                     int with_speaker)
{
    lfm2__str_puts(s, "{");
    lfm2__member_text(s, "word", word->text);
    member_seconds(s, "start", word->start_us);
    member_seconds(s, "end", word->end_us);
    lfm2__member_fixed(s, "confidence", lfm2__confidence_fixed(word->confidence, 4), 4);
    if (with_speaker) members_of_speaker(s, w, segment->channel);
    lfm2__str_puts(s, "}");
}

static int has_words(const lfm2_transcript_writer *w, const lfm2_segment *s)
{
    return w->want_words && s->times == LFM2_TIMES_WORD;
}

/* What is said of a segment, up to its stop reason. */
static void members_of_segment(lfm2__str *s, const lfm2_transcript_writer *w, const lfm2_segment *segment)
{
    lfm2__member_int(s, "id", segment->id);
    members_of_speaker(s, w, segment->channel);
    member_seconds(s, "start", segment->start_us);
    member_seconds(s, "end", segment->end_us);
    lfm2__member_text(s, "text", segment->text);
    lfm2__member_real(s, "avg_logprob", segment->avg_logprob, 4);
    lfm2__member_fixed(s, "confidence", lfm2__confidence_fixed(segment->confidence, 4), 4);
    lfm2__member_int(s, "n_tokens", segment->n_tok);
    lfm2__member_text(s, "times", has_words(w, segment) ? "word" : "segment");
    lfm2__member_text(s, "stop", lfm2_stop_name(segment->stop));
}

/* The end of both: about the whole recording. */
static void members_of_whole(lfm2__str *s, const lfm2_transcript_info *info)
{
    const lfm2_hear_stats *stats = &info->stats;
    lfm2__member_text(s, "stop", lfm2_stop_name(info->stop));
    lfm2__member_text(s, "damage", info->damage);
    lfm2__member(s, "timing_ms");
    lfm2__str_puts(s, "{");
    lfm2__member_fixed(s, "load", info->load_us, 3);
    lfm2__member_fixed(s, "decode", info->decode_us, 3);
    lfm2__member_fixed(s, "mel", stats->mel_us, 3);
    lfm2__member_fixed(s, "encode", stats->encode_us, 3);
    lfm2__member_fixed(s, "generate", stats->generate_us, 3);
    lfm2__member_fixed(s, "align", stats->align_us, 3);
    lfm2__str_puts(s, "}");
}

static void members_of_file(lfm2__str *s, const lfm2_transcript_info *info)
{
    lfm2__member_text(s, "file", info->file);
    lfm2__member_text(s, "task", "transcribe");
    lfm2__member_text(s, "language", info->language);
    member_seconds(s, "duration", info->duration_us);
    lfm2__member_int(s, "channels", info->n_channels);
}

static void json_text(lfm2_transcript_writer *w, const lfm2_segment *segment)
{
    if (segment->text[0] == '\0') return;
    lfm2__str *s = &w->text;
    if (s->n > 0) lfm2__str_puts(s, w->n_channels > 1 ? "\n" : " ");
    if (lfm2__put_speaker(s, w, segment->channel)) lfm2__str_puts(s, ": ");
    lfm2__str_puts(s, segment->text);
}

static void json_segment(lfm2_transcript_writer *w, const lfm2_segment *segment)
{
    json_text(w, segment);
    lfm2__str_puts(&w->segments, w->segments.n > 0 ? ",\n{" : "\n{");
    members_of_segment(&w->segments, w, segment);
    lfm2__str_puts(&w->segments, "}");
    for (int32_t i = 0; has_words(w, segment) && i < segment->n_words; i++) {
        lfm2__str_puts(&w->words, w->words.n > 0 ? ",\n" : "\n");
        put_word(&w->words, w, segment, &segment->words[i], 1);
    }
}

static void put_list(lfm2__str *s, const char *key, lfm2__str *list)
{
    if (list->status < 0) s->status = list->status;
    lfm2__member(s, key);
    lfm2__str_puts(s, "[");
    if (list->n > 0) lfm2__str_put(s, list->data, list->n);
    lfm2__str_puts(s, "]");
    lfm2__str_fini(list);
}

static void json_end(lfm2_transcript_writer *w, const lfm2_transcript_info *info)
{
    lfm2__str *s = &w->sink.s;
    lfm2__str_puts(s, "{\"schema_version\":1");
    members_of_file(s, info);
    if (w->text.status < 0) s->status = w->text.status;
    lfm2__member_text(s, "text", w->text.n > 0 ? w->text.data : "");
    lfm2__str_fini(&w->text);
    put_list(s, "segments", &w->segments);
    if (w->want_words) put_list(s, "words", &w->words);
    members_of_whole(s, info);
    lfm2__str_puts(s, "}\n");
}

/* --- lines of JSON --- */

static void jsonl_segment(lfm2_transcript_writer *w, const lfm2_segment *segment)
{
    lfm2__str *s = &w->sink.s;
    lfm2__str_puts(s, "{\"schema_version\":1,\"type\":\"segment\"");
    lfm2__member_text(s, "file", w->file);
    members_of_segment(s, w, segment);
    if (has_words(w, segment)) {
        lfm2__member(s, "words");
        lfm2__str_puts(s, "[");
        for (int32_t i = 0; i < segment->n_words; i++) {
            if (i > 0) lfm2__str_puts(s, ",");
            put_word(s, w, segment, &segment->words[i], 0);
        }
        lfm2__str_puts(s, "]");
    }
    lfm2__str_puts(s, "}\n");
}

static void jsonl_end(lfm2_transcript_writer *w, const lfm2_transcript_info *info)
{
    lfm2__str *s = &w->sink.s;
    lfm2__str_puts(s, "{\"schema_version\":1,\"type\":\"transcript\"");
    members_of_file(s, info);
    members_of_whole(s, info);
    lfm2__str_puts(s, "}\n");
}

/* --- all of them --- */

static const lfm2__hear_format formats[] = {
    [LFM2_HEAR_FORMAT_TEXT] = {NULL, lfm2__text_segment, NULL},
    [LFM2_HEAR_FORMAT_SRT] = {NULL, lfm2__srt_segment, NULL},
    [LFM2_HEAR_FORMAT_VTT] = {lfm2__vtt_begin, lfm2__vtt_segment, NULL},
    [LFM2_HEAR_FORMAT_JSON] = {NULL, json_segment, json_end},
    [LFM2_HEAR_FORMAT_JSONL] = {NULL, jsonl_segment, jsonl_end},
    [LFM2_HEAR_FORMAT_CSV] = {lfm2__csv_begin, lfm2__csv_segment, NULL},
};

int lfm2_transcript_writer_create(lfm2_runtime *rt, lfm2_hear_format format, int (*write)(void *ctx, const char *bytes, size_t n),
                                  void *ctx, lfm2_transcript_writer **out)
{
    if (rt == NULL) return LFM2_ERR_ARG;
    if (write == NULL || out == NULL || (size_t)format >= LFM2__COUNT_OF(formats)) {
        return lfm2__fail(rt, LFM2_ERR_ARG, "transcript: write or out is NULL, or format %d does not exist", (int)format);
    }
    lfm2_transcript_writer *w = lfm2__calloc(rt, 1, sizeof *w);
    if (w == NULL) return lfm2__fail(rt, LFM2_ERR_NOMEM, "transcript: out of memory");
    w->rt = rt;
    w->format = &formats[format];
    lfm2__sink_init(&w->sink, rt, write, ctx);
    lfm2__str_init(&w->text, rt);
    lfm2__str_init(&w->segments, rt);
    lfm2__str_init(&w->words, rt);
    *out = w;
    return 0;
}

void lfm2_transcript_writer_destroy(lfm2_transcript_writer *w)
{
    if (w == NULL) return;
    lfm2__sink_fini(&w->sink);
    lfm2__str_fini(&w->text);
    lfm2__str_fini(&w->segments);
    lfm2__str_fini(&w->words);
    lfm2__free(w->rt, w->file);
    lfm2__free(w->rt, w);
}

static int check_info(const lfm2_transcript_writer *w, const lfm2_transcript_info *info, int stage)
{
    if (w->stage != stage) return lfm2__fail(w->rt, LFM2_ERR_STATE, "transcript: begin, segments, end: out of order");
    if (info == NULL || info->file == NULL || info->n_channels < 1 || (unsigned)info->stop > LFM2_STOP_ABORT) {
        return lfm2__fail(w->rt, LFM2_ERR_ARG, "transcript: info: file, n_channels or stop");
    }
    return 0;
}

int lfm2_transcript_begin(lfm2_transcript_writer *w, const lfm2_transcript_info *info)
{
    if (w == NULL) return LFM2_ERR_ARG;
    const int rc = check_info(w, info, 0);
    if (rc < 0) return rc;
    char *file = lfm2__strndup(w->rt, info->file, strlen(info->file));
    if (file == NULL) return lfm2__fail(w->rt, LFM2_ERR_NOMEM, "transcript: out of memory");
    w->file = file;
    w->stage = 1;
    w->n_channels = info->n_channels;
    w->want_words = info->times == LFM2_TIMES_WORD;
    if (w->format->begin != NULL) w->format->begin(w, info);
    return lfm2__sink_flush(&w->sink);
}

static int is_valid(const lfm2_segment *s)
{
    if (s == NULL || s->text == NULL || (unsigned)s->stop > LFM2_STOP_ABORT || s->n_words < 0) return 0;
    if (s->n_words > 0 && s->words == NULL) return 0;
    for (int32_t i = 0; i < s->n_words; i++) {
        if (s->words[i].text == NULL) return 0;
    }
    return s->channel >= 0;
}

int lfm2_transcript_segment(lfm2_transcript_writer *w, const lfm2_segment *s)
{
    if (w == NULL) return LFM2_ERR_ARG;
    if (w->stage != 1) return lfm2__fail(w->rt, LFM2_ERR_STATE, "transcript: begin, segments, end: out of order");
    if (!is_valid(s)) return lfm2__fail(w->rt, LFM2_ERR_ARG, "transcript: a segment of which a part is missing");
    w->format->segment(w, s);
    if (w->text.status < 0 || w->segments.status < 0 || w->words.status < 0) {
        return lfm2__fail(w->rt, LFM2_ERR_NOMEM, "transcript: out of memory");
    }
    return lfm2__sink_flush(&w->sink);
}

int lfm2_transcript_end(lfm2_transcript_writer *w, const lfm2_transcript_info *info)
{
    if (w == NULL) return LFM2_ERR_ARG;
    const int rc = check_info(w, info, 1);
    if (rc < 0) return rc;
    w->stage = 2;
    if (w->format->end != NULL) w->format->end(w, info);
    return lfm2__sink_flush(&w->sink);
}
