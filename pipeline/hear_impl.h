/* SPDX-License-Identifier: Apache-2.0
 * Inside of lfm2_hear: channels that are cut into takes, takes that are decoded together, and words that come of their tokens. */
#ifndef LFM2__HEAR_IMPL_H
#define LFM2__HEAR_IMPL_H

#include "base/runtime_impl.h"
#include "base/str.h"
#include "lfm2/batch.h"
#include "lfm2/hear.h"
#include "pipeline/align.h"
#include "pipeline/confidence.h"

#define LFM2__HEAR_RATE_HZ LFM2_MEL_RATE_HZ
#define LFM2__HEAR_MAX_SLOTS 64

/* ---- Glossary ---- */

typedef struct lfm2__glossary lfm2__glossary;

/* How far one text has come with the entries of a glossary. Memory of its own, none of it shared. */
typedef struct lfm2__glossary_place {
    int32_t nodes[64]; /* entries that the last tokens are a part of */
    int32_t n_nodes;
    lfm2_bias *biases; /* for the next token */
    int32_t n_biases;
} lfm2__glossary_place;

/* text: one entry a line. Returns 0 with *out NULL if it holds none; LFM2_ERR_UTF8; LFM2_ERR_LIMIT (too many entries);
 * LFM2_ERR_NOMEM. */
int lfm2__glossary_create(lfm2_runtime *rt, const lfm2_tokenizer *tok, const char *text, double weight,
                          lfm2__glossary **out) LFM2__NODISCARD;
void lfm2__glossary_destroy(lfm2__glossary *g); /* NULL is allowed */
int lfm2__glossary_place_init(const lfm2__glossary *g, lfm2__glossary_place *p) LFM2__NODISCARD;
void lfm2__glossary_place_fini(const lfm2__glossary *g, lfm2__glossary_place *p);
/* The beginning of a text; then each of its tokens. Both write the biases of the next one. */
void lfm2__glossary_begin(const lfm2__glossary *g, lfm2__glossary_place *p);
void lfm2__glossary_step(const lfm2__glossary *g, lfm2__glossary_place *p, int32_t id);

/* ---- Takes ---- */

typedef struct lfm2__hear_token {
    int32_t id;
    float logprob;
} lfm2__hear_token;

/* A stretch of one channel that is read as a whole. */
typedef struct lfm2__hear_take {
    int32_t channel;
    int64_t first_sample;              /* of the sound that was kept, padding included */
    int64_t start_sample, end_sample;  /* of the speech in it */
    int64_t n_samples;
    float *mel;                        /* f32 [n_frames, n_mels], normalised */
    int32_t n_frames;
    lfm2__hear_token *tokens;          /* [cap_tok]; the first n_forced are given */
    int32_t n_tok, cap_tok, n_forced;
    int status;
    lfm2_stop stop;
} lfm2__hear_take;

void lfm2__hear_take_destroy(lfm2_hear *h, lfm2__hear_take *t); /* NULL is allowed */

/* ---- Channels ---- */

/* What live text has been promised of the take that is under way. */
typedef struct lfm2__hear_live {
    int64_t since_sample;              /* where its speech begins; -1 = nothing is promised */
    int64_t heard_sample;              /* up to which it was read last */
    lfm2__hear_token *confirmed, *last; /* [cap_tok]; last: the newest hypothesis, the confirmed part included */
    int32_t n_confirmed, n_last;
    lfm2__str confirmed_text, tail_text;
} lfm2__hear_live;

typedef struct lfm2__hear_channel {
    lfm2_vad *vad;                     /* NULL: cut by the clock */
    float *sound;                      /* [cap_sound] */
    int64_t first_sample, n_sound, cap_sound;
    lfm2__hear_live live;
} lfm2__hear_channel;

typedef struct lfm2__hear_slot {
    lfm2_hear *h;
    lfm2_sampler *sampler;
    lfm2__hear_take *take;
    lfm2__glossary_place place;
    lfm2__align_attn *align;           /* NULL: no times by attention */
    float *attention;                  /* f32 [heads of all layers, cap_audio_tok] */
    const float *embed, *ctc;
    int32_t n_audio_tok;
    lfm2_prompt_part parts[4];
    int32_t *forced;                   /* [cap_tok] */
} lfm2__hear_slot;

struct lfm2_hear {
    lfm2_runtime *rt;
    lfm2_model *model;
    const lfm2_tokenizer *tok;
    const lfm2_audio_encoder *enc;
    lfm2_hear_params p;
    lfm2__confidence confidence;
    int32_t *prompt;                   /* prefix, then suffix */
    int32_t n_prefix, n_suffix;
    int32_t cap_audio_tok, cap_tok;    /* of a take: embeddings, and text tokens */
    int32_t n_heads;                   /* of all attention layers together */
    lfm2_mel *mel;
    lfm2_audio_scratch *scratch;
    int32_t cap_encode_tok;            /* in one call of the encoder */
    float *embed, *ctc;                /* of all slots */
    lfm2_session *session;
    lfm2_batch *batch;
    lfm2__glossary *glossary;
    lfm2__hear_slot *slots;            /* [n_slots] */
    lfm2__hear_channel *channels;      /* [n_channels] */
    lfm2__hear_take **waiting;         /* [n_waiting <= cap_waiting], to be decoded */
    int32_t n_waiting, cap_waiting;
    lfm2_segment **ready;              /* [n_ready], in order; not all may go out yet */
    int32_t n_ready, cap_ready;
    int32_t next_id;
    int64_t n_samples;                 /* pushed, of each channel */
    int over;
    int status;                        /* of the failure that ended it */
    lfm2_hear_stats stats;
};

/* Decode takes, n <= n_slots of them, in one ragged batch. What becomes of each stands in it; an error concerns all. */
int lfm2__hear_decode(lfm2_hear *h, lfm2__hear_take **takes, int32_t n, lfm2_segment **segments) LFM2__NODISCARD;

/* Read samples [from, to) of a channel into a take: mel frames, room for tokens. *out NULL: too short to hold anything. */
int lfm2__hear_take_create(lfm2_hear *h, int32_t channel, int64_t from, int64_t to, lfm2__hear_take **out) LFM2__NODISCARD;

/* Text and words of tokens: a segment without times of its words. The take's tokens, times and stop are in it. */
int lfm2__hear_segment_create(lfm2_hear *h, const lfm2__hear_take *take, int32_t *word_of_tok, lfm2_segment **out) LFM2__NODISCARD;
/* Text of tokens alone, blanks at the beginning of the whole left out. */
int lfm2__hear_text(const lfm2_hear *h, const lfm2__hear_token *tokens, int32_t n_tok, lfm2__str *out) LFM2__NODISCARD;

/* A span of speech that is over: what was promised of it live binds the take. A promise that no span came of becomes a take, too:
 * *orphan, which may be NULL. */
int lfm2__hear_live_settle(lfm2_hear *h, int32_t channel, const lfm2_vad_span *span, lfm2__hear_take *take,
                           lfm2__hear_take **orphan) LFM2__NODISCARD;
int lfm2__hear_live_init(lfm2_hear *h, lfm2__hear_channel *c) LFM2__NODISCARD;
void lfm2__hear_live_fini(lfm2_hear *h, lfm2__hear_channel *c);

/* Decode all that waits. */
int lfm2__hear_flush(lfm2_hear *h) LFM2__NODISCARD;

static inline int64_t lfm2__hear_us(int64_t sample)
{
    return sample * 1000000 / LFM2__HEAR_RATE_HZ;
}

#endif
