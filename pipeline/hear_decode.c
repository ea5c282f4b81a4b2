/* SPDX-License-Identifier: Apache-2.0
 * Takes to text: all are encoded in ragged passes, decoded in one ragged batch, and their words placed in time. */
#include <string.h>

#include "pipeline/hear_impl.h"

/* ---- Takes ---- */

void lfm2__hear_take_destroy(lfm2_hear *h, lfm2__hear_take *t)
{
    if (!t) return;
    lfm2__free(h->rt, t->mel);
    lfm2__free(h->rt, t->tokens);
    lfm2__free(h->rt, t);
}

static int32_t most_tokens(const lfm2_hear *h, int64_t n_samples)
{
    const int64_t by_length = 16 + 12 * n_samples / LFM2__HEAR_RATE_HZ;
    const int32_t most = h->p.max_tok > 0 ? h->p.max_tok : (int32_t)by_length;
    return most < h->cap_tok ? most : h->cap_tok;
}

int lfm2__hear_take_create(lfm2_hear *h, int32_t channel, int64_t from, int64_t to, lfm2__hear_take **out)
{
    const lfm2__hear_channel *c = &h->channels[channel];
    const int32_t n_frames = lfm2_mel_n_frames(to - from), n_mels = lfm2_audio_encoder_config(h->enc)->n_mels;
    const int64_t begun_us = lfm2__now_us();
    int32_t n = 0;
    *out = NULL;
    if (n_frames == 0 || from < c->first_sample || to > c->first_sample + c->n_sound) return 0;
    lfm2__hear_take *t = lfm2__calloc(h->rt, 1, sizeof(*t));
    if (!t) return LFM2_ERR_NOMEM;
    t->channel = channel;
    t->first_sample = t->start_sample = from;
    t->end_sample = to;
    t->n_samples = to - from;
    t->n_frames = n_frames;
    t->cap_tok = most_tokens(h, t->n_samples);
    t->mel = lfm2__calloc(h->rt, (size_t)n_frames, (size_t)n_mels * sizeof(float));
    t->tokens = lfm2__calloc(h->rt, (size_t)t->cap_tok, sizeof(*t->tokens));
    int rc = t->mel && t->tokens ? 0 : LFM2_ERR_NOMEM;
    if (rc == 0) rc = lfm2_mel_compute(h->mel, c->sound + (from - c->first_sample), t->n_samples, t->mel, n_frames, &n);
    if (rc < 0) {
        lfm2__hear_take_destroy(h, t);
        return rc;
    }
    h->stats.mel_us += lfm2__now_us() - begun_us;
    *out = t;
    return 0;
}

/* ---- Encoding ---- */

static int encode(lfm2_hear *h, lfm2__hear_take **takes, int32_t n)
{
    const lfm2_audio_config *cfg = lfm2_audio_encoder_config(h->enc);
    lfm2_audio_segment segments[LFM2__HEAR_MAX_SLOTS];
    const size_t ctc_row = (size_t)cfg->ctc_upsample * (size_t)cfg->n_ctc_classes;
    int64_t n_before = 0;
    int32_t i = 0;
    while (i < n) {
        const int32_t first = i;
        int32_t n_tok = 0, n_written = 0;
        float *embed = h->embed + (size_t)n_before * (size_t)cfg->d_out, *ctc = h->ctc ? h->ctc + (size_t)n_before * ctc_row : NULL;
        for (; i < n; i++) { /* as many as fit into the encoder together */
            const int32_t more = lfm2_audio_n_tok(takes[i]->n_frames);
            if (i > first && n_tok + more > h->cap_encode_tok) break;
            h->slots[i].embed = embed + (size_t)n_tok * (size_t)cfg->d_out;
            h->slots[i].ctc = ctc ? ctc + (size_t)n_tok * ctc_row : NULL;
            h->slots[i].n_audio_tok = more;
            segments[i - first] = (lfm2_audio_segment){.mel = takes[i]->mel, .n_frames = takes[i]->n_frames};
            n_tok += more;
        }
        int rc = lfm2_audio_encode_ctc(h->enc, segments, i - first, h->scratch, embed, ctc, n_tok, &n_written);
        if (rc < 0) return rc;
        n_before += n_tok;
    }
    return 0;
}

/* ---- Generating ---- */

static int on_token(void *ctx, int32_t id, float logprob)
{
    lfm2__hear_slot *slot = ctx;
    lfm2__hear_take *t = slot->take;
    lfm2_hear *h = slot->h;
    if (t->n_tok == t->cap_tok) return 1;
    t->tokens[t->n_tok++] = (lfm2__hear_token){.id = id, .logprob = logprob};
    if (slot->align && t->n_forced == 0 && lfm2__align_attn_push(slot->align, slot->attention) < 0) return 1;
    if (h->glossary) {
        lfm2__glossary_step(h->glossary, &slot->place, id);
        lfm2_sampler_set_biases(slot->sampler, slot->place.biases, slot->place.n_biases);
    }
    return 0;
}

static void on_done(void *ctx, int status, const lfm2_generation *g)
{
    lfm2__hear_slot *slot = ctx;
    slot->take->status = status;
    slot->take->stop = g->stop;
}

/* What is given of the text goes behind the prompt, and the glossary has seen it. */
static void begin_text(lfm2_hear *h, lfm2__hear_slot *slot)
{
    const lfm2__hear_take *t = slot->take;
    lfm2_sampler_reset(slot->sampler);
    if (h->glossary) lfm2__glossary_begin(h->glossary, &slot->place);
    for (int32_t i = 0; i < t->n_forced; i++) {
        slot->forced[i] = t->tokens[i].id;
        if (h->glossary) lfm2__glossary_step(h->glossary, &slot->place, t->tokens[i].id);
    }
    if (h->glossary) lfm2_sampler_set_biases(slot->sampler, slot->place.biases, slot->place.n_biases);
}

static int submit(lfm2_hear *h, int32_t i)
{
    lfm2__hear_slot *slot = &h->slots[i];
    lfm2__hear_take *t = slot->take;
    int32_t n_parts = 0;
    t->n_tok = t->n_forced;
    begin_text(h, slot);
    if (h->n_prefix > 0) slot->parts[n_parts++] = (lfm2_prompt_part){.n_tok = h->n_prefix, .ids = h->prompt};
    slot->parts[n_parts++] = (lfm2_prompt_part){.n_tok = slot->n_audio_tok, .embed = slot->embed};
    if (h->n_suffix > 0) slot->parts[n_parts++] = (lfm2_prompt_part){.n_tok = h->n_suffix, .ids = h->prompt + h->n_prefix};
    if (t->n_forced > 0) slot->parts[n_parts++] = (lfm2_prompt_part){.n_tok = t->n_forced, .ids = slot->forced};

    lfm2_job job = {.seq = i, .parts = slot->parts, .n_parts = n_parts, .sampler = slot->sampler,
                    .params = lfm2_generate_params_default(), .fn = on_token, .done = on_done, .ctx = slot};
    job.params.max_tok = t->cap_tok - t->n_forced;
    job.params.deadline_us = h->p.deadline_us;
    job.params.end_ids = lfm2_tokenizer_end_ids(h->tok, &job.params.n_end_ids);
    if (job.params.max_tok < 1) { /* all that may be said is given */
        t->stop = LFM2_STOP_LENGTH;
        return 0;
    }
    int rc = lfm2_session_clear(h->session, i);
    if (slot->align) {
        const int watches = t->n_forced == 0;
        lfm2__align_attn_reset(slot->align, slot->n_audio_tok);
        if (rc == 0) {
            rc = lfm2_session_watch_attention(h->session, i, h->n_prefix, slot->n_audio_tok, watches ? slot->attention : NULL);
        }
    }
    return rc == 0 ? lfm2_batch_submit(h->batch, &job) : rc;
}

static int generate(lfm2_hear *h, int32_t n)
{
    int rc = 0;
    for (int32_t i = 0; rc == 0 && i < n; i++) rc = submit(h, i);
    while (rc == 0) rc = lfm2_batch_step(h->batch);
    if (lfm2__aborted(h->rt)) return LFM2_ERR_ABORTED;
    if (rc < 0) return rc;
    for (int32_t i = 0; i < n; i++) {
        if (h->slots[i].take->status < 0) return h->slots[i].take->status;
    }
    return 0;
}

/* ---- Times ---- */

static int place(lfm2_hear *h, const lfm2__hear_slot *slot, const int32_t *word_of_tok, lfm2__align_word *words, int32_t n_words,
                 lfm2__align_verdict *verdict)
{
    const lfm2_audio_config *cfg = lfm2_audio_encoder_config(h->enc);
    const int64_t embed_us = 80000;
    if (slot->ctc) {
        const lfm2__align_ctc_in in = {
            .logp = slot->ctc,
            .n_frames = slot->n_audio_tok * cfg->ctc_upsample,
            .n_classes = cfg->n_ctc_classes,
            .alphabet = lfm2_audio_ctc_alphabet(h->enc),
            .frame_us = embed_us / cfg->ctc_upsample,
        };
        return lfm2__align_ctc(h->rt, &in, words, n_words, verdict);
    }
    if (slot->align && slot->take->n_forced == 0)
        return lfm2__align_attn_finish(slot->align, word_of_tok, embed_us, words, n_words, verdict);
    return 0;
}

static int64_t within(int64_t v, int64_t lo, int64_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

/* Times of the words of a segment, if they can be had. */
static int time_words(lfm2_hear *h, const lfm2__hear_slot *slot, const int32_t *word_of_tok, lfm2_segment *s)
{
    lfm2__align_verdict verdict = {0};
    if (h->p.times != LFM2_TIMES_WORD || s->n_words == 0) return 0;
    lfm2__align_word *words = lfm2__calloc(h->rt, (size_t)s->n_words, sizeof(*words));
    if (!words) return LFM2_ERR_NOMEM;
    for (int32_t i = 0; i < s->n_words; i++) {
        words[i] = (lfm2__align_word){.text = s->words[i].text, .n_bytes = strlen(s->words[i].text)};
    }
    int rc = place(h, slot, word_of_tok, words, s->n_words, &verdict);
    if (rc == LFM2_ERR_LIMIT) rc = 0; /* too much to be placed */
    else if (rc == 0 && verdict.reliable) s->times = LFM2_TIMES_WORD;
    const int64_t from_us = lfm2__hear_us(slot->take->first_sample);
    for (int32_t i = 0; i < s->n_words; i++) {
        const int placed = s->times == LFM2_TIMES_WORD;
        s->words[i].start_us = placed ? within(from_us + words[i].start_us, s->start_us, s->end_us) : s->start_us;
        s->words[i].end_us = placed ? within(from_us + words[i].end_us, s->start_us, s->end_us) : s->end_us;
    }
    lfm2__free(h->rt, words);
    return rc;
}

static int make_segment(lfm2_hear *h, const lfm2__hear_slot *slot, lfm2_segment **out)
{
    const lfm2__hear_take *t = slot->take;
    lfm2_segment *s = NULL;
    int32_t *word_of_tok = lfm2__calloc(h->rt, (size_t)t->n_tok + 1, sizeof(*word_of_tok));
    if (!word_of_tok) return LFM2_ERR_NOMEM;
    int rc = lfm2__hear_segment_create(h, t, word_of_tok, &s);
    if (rc == 0) rc = time_words(h, slot, word_of_tok, s);
    lfm2__free(h->rt, word_of_tok);
    if (rc < 0) lfm2_segment_destroy(s);
    else *out = s;
    return rc;
}

int lfm2__hear_decode(lfm2_hear *h, lfm2__hear_take **takes, int32_t n, lfm2_segment **segments)
{
    const int64_t begun_us = lfm2__now_us();
    for (int32_t i = 0; i < n; i++) {
        h->slots[i].take = takes[i];
        segments[i] = NULL;
    }
    int rc = encode(h, takes, n);
    const int64_t encoded_us = lfm2__now_us();
    if (rc == 0) rc = generate(h, n);
    const int64_t generated_us = lfm2__now_us();
    for (int32_t i = 0; rc == 0 && i < n; i++) rc = make_segment(h, &h->slots[i], &segments[i]);
    for (int32_t i = 0; rc < 0 && i < n; i++) {
        lfm2_segment_destroy(segments[i]);
        segments[i] = NULL;
    }
    h->stats.encode_us += encoded_us - begun_us;
    h->stats.generate_us += generated_us - encoded_us;
    h->stats.align_us += lfm2__now_us() - generated_us;
    return rc;
}
