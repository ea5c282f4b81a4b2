/* SPDX-License-Identifier: Apache-2.0
 * Transcripts segment by segment: plain text, SubRip, WebVTT, CSV. */
#include <string.h>

#include "pipeline/write_hear_impl.h"

int64_t lfm2__hear_ms(int64_t us)
{
    return us < 0 ? 0 : us / 1000 + (us % 1000 >= 500);
}

int lfm2__put_speaker(lfm2__str *s, const lfm2_transcript_writer *w, int32_t channel)
{
    if (w->n_channels <= 1) return 0;
    lfm2__str_printf(s, "Speaker %lld", (long long)channel + 1);
    return 1;
}

/* The text on one line, without blanks around it. */
static void put_line(lfm2__str *s, const char *text)
{
    size_t n = strlen(text);
    while (n > 0 && strchr(" \t\r\n", text[n - 1]) != NULL) n--;
    const size_t n_blanks = strspn(text, " \t\r\n");
    if (n_blanks < n) lfm2__put_cell(s, text + n_blanks, n - n_blanks);
}

/* The text of a segment and, if that is not all that was said, why it ends. */
static void put_text(lfm2__str *s, const lfm2_segment *segment)
{
    const size_t n_before = s->n;
    put_line(s, segment->text);
    if (segment->stop == LFM2_STOP_EOS) return;
    lfm2__str_printf(s, "%s[incomplete: %s]", s->n > n_before ? " " : "", lfm2_stop_name(segment->stop));
}

/* A segment in which nothing was said is no cue. */
static int is_empty(const lfm2_segment *s)
{
    return s->stop == LFM2_STOP_EOS && s->text[strspn(s->text, " \t\r\n")] == '\0';
}

void lfm2__text_segment(lfm2_transcript_writer *w, const lfm2_segment *s)
{
    if (is_empty(s)) return;
    lfm2__str *out = &w->sink.s;
    if (lfm2__put_speaker(out, w, s->channel)) lfm2__str_puts(out, ": ");
    put_text(out, s);
    lfm2__str_puts(out, "\n");
}

/* --- subtitles --- */

static void put_clock(lfm2__str *s, int64_t ms, char point)
{
    const long long hours = ms / 3600000, minutes = ms / 60000 % 60, seconds = ms / 1000 % 60;
    lfm2__str_printf(s, "%02lld:%02lld:%02lld%c%03lld", hours, minutes, seconds, point, (long long)(ms % 1000));
}

/* Cues begin in order, and none is shorter than what can be said of it. */
static void put_times(lfm2_transcript_writer *w, const lfm2_segment *s, char point)
{
    int64_t begin = lfm2__hear_ms(s->start_us), end = lfm2__hear_ms(s->end_us);
    if (begin < w->last_ms) begin = w->last_ms;
    if (end <= begin) end = begin + 1;
    put_clock(&w->sink.s, begin, point);
    lfm2__str_puts(&w->sink.s, " --> ");
    put_clock(&w->sink.s, end, point);
    lfm2__str_puts(&w->sink.s, "\n");
    w->last_ms = begin;
    w->n_cues++;
}

/* SubRip knows no escapes: the arrow of the line of times becomes another one. */
static void put_srt_text(lfm2__str *s, const lfm2_segment *segment)
{
    lfm2__str line;
    lfm2__str_init(&line, s->rt);
    put_text(&line, segment);
    if (line.status < 0) s->status = line.status;
    for (size_t i = 0; i < line.n; i++) {
        if (line.n - i >= 3 && memcmp(line.data + i, "-->", 3) == 0) {
            lfm2__str_puts(s, "\xE2\x86\x92"); /* U+2192 */
            i += 2;
        } else {
            lfm2__str_put(s, line.data + i, 1);
        }
    }
    lfm2__str_fini(&line);
}

void lfm2__srt_segment(lfm2_transcript_writer *w, const lfm2_segment *s)
{
    if (is_empty(s)) return;
    lfm2__str *out = &w->sink.s;
    lfm2__str_printf(out, "%lld\n", (long long)w->n_cues + 1);
    put_times(w, s, ',');
    if (lfm2__put_speaker(out, w, s->channel)) lfm2__str_puts(out, ": ");
    put_srt_text(out, s);
    lfm2__str_puts(out, "\n\n");
}

void lfm2__vtt_begin(lfm2_transcript_writer *w, const lfm2_transcript_info *info)
{
    (void)info;
    lfm2__str_puts(&w->sink.s, "WEBVTT\n\n");
}

static void put_vtt_text(lfm2__str *s, const lfm2_segment *segment)
{
    lfm2__str line;
    lfm2__str_init(&line, s->rt);
    put_text(&line, segment);
    if (line.status < 0) s->status = line.status;
    for (size_t i = 0; i < line.n; i++) {
        switch (line.data[i]) {
        case '&': lfm2__str_puts(s, "&amp;"); break;
        case '<': lfm2__str_puts(s, "&lt;"); break;
        case '>': lfm2__str_puts(s, "&gt;"); break;
        default: lfm2__str_put(s, line.data + i, 1); break;
        }
    }
    lfm2__str_fini(&line);
}

void lfm2__vtt_segment(lfm2_transcript_writer *w, const lfm2_segment *s)
{
    if (is_empty(s)) return;
    lfm2__str *out = &w->sink.s;
    put_times(w, s, '.');
    if (w->n_channels > 1) {
        lfm2__str_puts(out, "<v ");
        (void)lfm2__put_speaker(out, w, s->channel);
        lfm2__str_puts(out, ">");
    }
    put_vtt_text(out, s);
    lfm2__str_puts(out, "\n\n");
}

/* --- CSV, RFC 4180 with plain line feeds --- */

void lfm2__csv_begin(lfm2_transcript_writer *w, const lfm2_transcript_info *info)
{
    (void)info;
    lfm2__str_puts(&w->sink.s, "start,end,channel,speaker,text,confidence,stop\n");
}

static void put_quoted(lfm2__str *s, const char *text)
{
    lfm2__str line;
    lfm2__str_init(&line, s->rt);
    put_line(&line, text);
    if (line.status < 0) s->status = line.status;
    lfm2__str_puts(s, "\"");
    for (size_t i = 0; i < line.n; i++) lfm2__str_put(s, line.data[i] == '"' ? "\"\"" : line.data + i, line.data[i] == '"' ? 2 : 1);
    lfm2__str_puts(s, "\"");
    lfm2__str_fini(&line);
}

void lfm2__csv_segment(lfm2_transcript_writer *w, const lfm2_segment *s)
{
    lfm2__str *out = &w->sink.s;
    const int64_t confidence = lfm2__confidence_fixed(s->confidence, 4);
    lfm2__str_put_fixed(out, lfm2__hear_ms(s->start_us), 3);
    lfm2__str_puts(out, ",");
    lfm2__str_put_fixed(out, lfm2__hear_ms(s->end_us), 3);
    lfm2__str_printf(out, ",%d,", (int)s->channel);
    (void)lfm2__put_speaker(out, w, s->channel);
    lfm2__str_puts(out, ",");
    put_quoted(out, s->text);
    lfm2__str_puts(out, ",");
    if (confidence >= 0) lfm2__str_put_fixed(out, confidence, 4);
    lfm2__str_printf(out, ",%s\n", lfm2_stop_name(s->stop));
}
