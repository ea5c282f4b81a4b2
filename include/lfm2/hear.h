/* SPDX-License-Identifier: Apache-2.0
 * Hearing: sound in, transcripts with times out. Push channels of 16 kHz sound of any length, pull segments. */
#ifndef LFM2_HEAR_H
#define LFM2_HEAR_H

#include "lfm2/audio.h"
#include "lfm2/audio_encoder.h"
#include "lfm2/sampler.h"
#include "lfm2/tokenizer.h"
#include "lfm2/vad.h"

LFM2_BEGIN_DECLS

/* ---- What comes out ---- */

typedef struct lfm2_word {
    char *text;              /* UTF-8, with its punctuation, without blanks */
    int64_t start_us, end_us;
    float confidence;        /* 0..1, from the probabilities of its tokens */
} lfm2_word;

typedef enum lfm2_times {
    LFM2_TIMES_SEGMENT = 0,  /* only where the segment begins and ends */
    LFM2_TIMES_WORD = 1      /* and each word */
} lfm2_times;

typedef struct lfm2_segment {
    int32_t id;              /* 0.. in the order given out */
    int32_t channel;         /* 0.. of the pushed ones */
    int64_t start_us, end_us;
    char *text;              /* UTF-8 */
    lfm2_stop stop;          /* only EOS: all that was said */
    double avg_logprob;      /* of the tokens, natural log; 0 if there is none */
    float confidence;        /* 0..1 */
    int32_t n_tok;
    lfm2_times times;        /* what could be had: WORD only if the words were placed reliably */
    lfm2_word *words;
    int32_t n_words;
} lfm2_segment;

LFM2_API void lfm2_segment_destroy(lfm2_segment *s); /* NULL is allowed */

/* ---- Transcribing ---- */

typedef struct lfm2_hear_params {
    int32_t n_channels;      /* 1..LFM2_AUDIO_MAX_CHANNELS, each transcribed by itself */
    int32_t use_vad;         /* 0: the sound is cut every vad.max_segment_us, and all of it is read */
    lfm2_vad_params vad;
    int32_t n_slots;         /* segments decoded together, 1..64; they wait until there are so many: live, 1 */
    lfm2_times times;        /* what is wanted */
    const char *system;      /* UTF-8; NULL = "Perform ASR." */
    const char *prompt;      /* UTF-8, behind the sound; NULL = none */
    const char *glossary;    /* UTF-8, one word or phrase a line: more likely in every segment; NULL = none */
    double glossary_weight;  /* added to the logits of tokens that go on with one of them, a quarter of it to those that begin one;
                              * 0..20 */
    int32_t max_tok;         /* of a segment; 0 = by its length (16 + 12 a second) */
    int64_t deadline_us;     /* of a segment's generation; 0 = none */
    lfm2_sampler_params sampler;
} lfm2_hear_params;

/* One channel, VAD, 8 slots, word times, greedy. */
LFM2_API lfm2_hear_params lfm2_hear_params_default(void);

typedef struct lfm2_hear lfm2_hear;

/* model, tok and enc are borrowed while the lfm2_hear lives, the texts for this call only. Special tokens are never sampled, but
 * for those that end a text. Returns 0; LFM2_ERR_ARG; LFM2_ERR_UNSUPPORTED (encoder and backbone do not belong together);
 * LFM2_ERR_UTF8; LFM2_ERR_RANGE (system and prompt leave no room in the context); LFM2_ERR_LIMIT (more than 10,000 entries in the
 * glossary, or one longer than 256 bytes or 64 tokens); LFM2_ERR_NOMEM. */
LFM2_API int lfm2_hear_create(lfm2_model *model, const lfm2_tokenizer *tok, const lfm2_audio_encoder *enc,
                              const lfm2_hear_params *params, lfm2_hear **out);
LFM2_API void lfm2_hear_destroy(lfm2_hear *h); /* NULL is allowed */

/* planes: [n_channels] arrays of n_samples finite f32 at 16 kHz; NULL = the sound is over. Takes all or nothing: LFM2_AGAIN
 * means pull first.
 * Does the work of finished segments, as many at once as there are slots. Returns 0; LFM2_AGAIN; LFM2_ERR_ARG; LFM2_ERR_STATE (it
 * is over); LFM2_ERR_NONFINITE; LFM2_ERR_NOMEM; LFM2_ERR_IO; LFM2_ERR_ABORTED. After the last three and after LFM2_ERR_NONFINITE of
 * the model it is over; samples that are no numbers are refused and change nothing. */
LFM2_API int lfm2_hear_push(lfm2_hear *h, const float *const *planes, int64_t n_samples);

/* The next segment, by start time, then channel, as soon as no other channel can give an earlier one. One in which nothing was said
 * is left out. *out: the caller destroys it. Returns 0; LFM2_AGAIN (push more); LFM2_EOF. */
LFM2_API int lfm2_hear_pull(lfm2_hear *h, lfm2_segment **out);

/* Live: what is known of the segment that is being spoken in a channel. Transcribes what was pushed since, if it is at least
 * min_new_us more than last time. *confirmed: text that will not be taken back any more (a beginning of the segment to come);
 * *tail: the rest, which may change. Borrowed until the next call on h; "" where nobody speaks.
 * Returns 0; LFM2_ERR_ARG; as lfm2_hear_push(). */
LFM2_API int lfm2_hear_partial(lfm2_hear *h, int32_t channel, int64_t min_new_us, const char **confirmed, const char **tail);

typedef struct lfm2_hear_stats {
    int64_t sound_us;        /* pushed, of one channel */
    int64_t speech_us;       /* in segments, of all channels */
    int64_t n_segments;
    int64_t mel_us, encode_us, generate_us, align_us;
} lfm2_hear_stats;
LFM2_API void lfm2_hear_get_stats(const lfm2_hear *h, lfm2_hear_stats *out);

/* ---- Writing it down ---- */

#define LFM2_HEAR_FORMAT_MAP(X) X(TEXT, "text") X(SRT, "srt") X(VTT, "vtt") X(JSON, "json") X(JSONL, "jsonl") X(CSV, "csv")

typedef enum lfm2_hear_format {
#define LFM2_HEAR_FORMAT_ENUM(name, text) LFM2_HEAR_FORMAT_##name,
    LFM2_HEAR_FORMAT_MAP(LFM2_HEAR_FORMAT_ENUM)
#undef LFM2_HEAR_FORMAT_ENUM
} lfm2_hear_format;

/* About a recording; fixed fields of the JSON formats. */
typedef struct lfm2_transcript_info {
    const char *file;        /* as the user named it */
    const char *language;    /* "en"; NULL = not known */
    int32_t n_channels;      /* transcribed by themselves: more than one makes speakers */
    int64_t duration_us;     /* -1 = not known (yet) */
    lfm2_times times;        /* wanted */
    lfm2_stop stop;          /* the worst of all segments; known at the end */
    int64_t load_us, decode_us;  /* -1 = not measured */
    lfm2_hear_stats stats;
    const char *damage;      /* a sentence about what was wrong with the file; NULL = nothing */
} lfm2_transcript_info;

typedef struct lfm2_transcript_writer lfm2_transcript_writer;

/* A writer of one format: segments go through as they come (text, srt, vtt, jsonl, csv) or are collected up to the end (json).
 * write() gets bytes and returns 0, or non-zero to fail with LFM2_ERR_IO. Returns 0; LFM2_ERR_ARG; LFM2_ERR_NOMEM. */
LFM2_API int lfm2_transcript_writer_create(lfm2_runtime *rt, lfm2_hear_format format,
                                           int (*write)(void *ctx, const char *bytes, size_t n), void *ctx,
                                           lfm2_transcript_writer **out);
LFM2_API void lfm2_transcript_writer_destroy(lfm2_transcript_writer *w); /* NULL is allowed */

/* Once before the first segment (headers; info as far as known), for each segment, and at the end. Return 0; LFM2_ERR_IO;
 * LFM2_ERR_NOMEM;
 * LFM2_ERR_STATE (wrong order). */
LFM2_API int lfm2_transcript_begin(lfm2_transcript_writer *w, const lfm2_transcript_info *info);
LFM2_API int lfm2_transcript_segment(lfm2_transcript_writer *w, const lfm2_segment *s);
LFM2_API int lfm2_transcript_end(lfm2_transcript_writer *w, const lfm2_transcript_info *info);

LFM2_END_DECLS

#endif
