/* SPDX-License-Identifier: Apache-2.0
 * What the writers of transcripts share. */
#ifndef LFM2__WRITE_HEAR_IMPL_H
#define LFM2__WRITE_HEAR_IMPL_H

#include "lfm2/hear.h"
#include "pipeline/write_impl.h"

struct lfm2_transcript_writer {
    lfm2_runtime *rt;
    const struct lfm2__hear_format *format;
    lfm2__sink sink;
    int stage;           /* 0 created, 1 begun, 2 ended */
    int32_t n_channels;
    int want_words;
    char *file;
    int64_t n_cues;      /* written so far */
    int64_t last_ms;     /* begin of the last one */
    lfm2__str text, segments, words; /* of the JSON document */
};

/* How a format begins, takes a segment, ends; each appends to w->sink.s. */
typedef struct lfm2__hear_format {
    void (*begin)(lfm2_transcript_writer *w, const lfm2_transcript_info *info);
    void (*segment)(lfm2_transcript_writer *w, const lfm2_segment *s);
    void (*end)(lfm2_transcript_writer *w, const lfm2_transcript_info *info);
} lfm2__hear_format;

void lfm2__text_segment(lfm2_transcript_writer *w, const lfm2_segment *s);
void lfm2__srt_segment(lfm2_transcript_writer *w, const lfm2_segment *s);
void lfm2__vtt_begin(lfm2_transcript_writer *w, const lfm2_transcript_info *info);
void lfm2__vtt_segment(lfm2_transcript_writer *w, const lfm2_segment *s);
void lfm2__csv_begin(lfm2_transcript_writer *w, const lfm2_transcript_info *info);
void lfm2__csv_segment(lfm2_transcript_writer *w, const lfm2_segment *s);

/* Times are rounded once, to milliseconds: all formats show the same. */
int64_t lfm2__hear_ms(int64_t us);

/* "Speaker 1", where more than one channel is transcribed; otherwise nothing is put and 0 returned. */
int lfm2__put_speaker(lfm2__str *s, const lfm2_transcript_writer *w, int32_t channel);

#endif
