/* SPDX-License-Identifier: Apache-2.0
 * Hearing: channels of sound are cut into takes, takes wait until there is one for every slot, segments come out in order. */
#include "lfm2/hear.h"

#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "model/model_impl.h"
#include "pipeline/hear_impl.h"

#define MAX_GLOSSARY_WEIGHT 20.0
#define MAX_TEXT_TOK 4096
#define ENCODE_TOK 1024      /* of short takes that go through the encoder together */
#define PIECE LFM2__HEAR_RATE_HZ /* samples of a channel between two looks at what is over */
#define LATE_SAMPLES (4 * LFM2__HEAR_RATE_HZ) /* that the detector may still want beside the longest take */
#define MAX_READY 4096

/* ---- Parameters ---- */

lfm2_hear_params lfm2_hear_params_default(void)
{
    return (lfm2_hear_params){
        .n_channels = 1,
        .use_vad = 1,
        .vad = lfm2_vad_params_default(),
        .n_slots = 8,
        .times = LFM2_TIMES_WORD,
        .glossary_weight = 3.0,
        .sampler = lfm2_sampler_params_default(),
    };
}

static int check_params(lfm2_runtime *rt, const lfm2_hear_params *p)
{
    const struct {
        const char *name;
        int64_t value, lo, hi;
    } fields[] = {
        {"n_channels", p->n_channels, 1, LFM2_AUDIO_MAX_CHANNELS}, {"use_vad", p->use_vad, 0, 1},
        {"n_slots", p->n_slots, 1, LFM2__HEAR_MAX_SLOTS}, {"times", (int64_t)p->times, 0, LFM2_TIMES_WORD},
        {"max_tok", p->max_tok, 0, MAX_TEXT_TOK}, {"deadline_us", p->deadline_us, 0, INT64_MAX},
        {"max_segment_us", p->vad.max_segment_us, 1000000, 60000000},
    };
    for (size_t i = 0; i < LFM2__COUNT_OF(fields); i++) {
        if (fields[i].value >= fields[i].lo && fields[i].value <= fields[i].hi) continue;
        return lfm2__fail(rt, LFM2_ERR_ARG, "hear: %s is %lld, not in %lld..%lld", fields[i].name, (long long)fields[i].value,
                          (long long)fields[i].lo, (long long)fields[i].hi);
    }
    if (!(p->glossary_weight >= 0 && p->glossary_weight <= MAX_GLOSSARY_WEIGHT)) {
        return lfm2__fail(rt, LFM2_ERR_ARG, "hear: glossary_weight %g is not in 0..%g", p->glossary_weight, MAX_GLOSSARY_WEIGHT);
    }
    const char *texts[] = {p->system, p->prompt, p->glossary}, *names[] = {"system", "prompt", "glossary"};
    for (size_t i = 0; i < LFM2__COUNT_OF(texts); i++) {
        const size_t n = texts[i] ? strlen(texts[i]) : 0;
        if (n > 0 && lfm2__utf8_valid_n(texts[i], n) < n) {
            return lfm2__fail(rt, LFM2_ERR_UTF8, "hear: %s: not valid UTF-8", names[i]);
        }
    }
    return 0;
}

/* ---- The prompt ---- */

/* System text, a turn with the sound and perhaps a text: as JSON messages. */
static void put_messages(const lfm2_hear *h, lfm2__str *json)
{
    const char *system = h->p.system ? h->p.system : "Perform ASR.";
    lfm2__str_puts(json, "[{\"role\":\"system\",\"content\":");
    lfm2__json_put_string(json, system, strlen(system));
    lfm2__str_puts(json, "},{\"role\":\"user\",\"content\":[{\"type\":\"audio\"}");
    if (h->p.prompt) {
        lfm2__str_puts(json, ",{\"type\":\"text\",\"text\":");
        lfm2__json_put_string(json, h->p.prompt, strlen(h->p.prompt));
        lfm2__str_puts(json, "}");
    }
    lfm2__str_puts(json, "]}]");
}

static int encode_messages(lfm2_hear *h, const lfm2__str *json, size_t *n_ids)
{
    lfm2_chat_params chat = {.variant = lfm2_tokenizer_chat_variant(h->tok), .add_generation_prompt = 1};
    if (chat.variant == LFM2_CHAT_AUTO) chat.variant = LFM2_CHAT_LFM2; /* speech checkpoints come without a template */
    int rc = lfm2_chat_encode(h->tok, json->data, json->n, &chat, LFM2_CHAT_MEDIA_SLOTS, NULL, 0, n_ids);
    if (rc != LFM2_ERR_RANGE) return rc < 0 ? rc : LFM2_ERR_FORMAT;
    h->prompt = lfm2__calloc(h->rt, *n_ids, sizeof(*h->prompt));
    if (!h->prompt) return LFM2_ERR_NOMEM;
    return lfm2_chat_encode(h->tok, json->data, json->n, &chat, LFM2_CHAT_MEDIA_SLOTS, h->prompt, *n_ids, n_ids);
}

static int make_prompt(lfm2_hear *h)
{
    lfm2__str json;
    size_t n_ids = 0, slot = 0;
    lfm2__str_init(&json, h->rt);
    put_messages(h, &json);
    int rc = json.status < 0 ? json.status : encode_messages(h, &json, &n_ids);
    lfm2__str_fini(&json);
    if (rc < 0) return rc;
    while (slot < n_ids && h->prompt[slot] != LFM2_SLOT_AUDIO) slot++;
    if (slot == n_ids || n_ids > (size_t)INT32_MAX) {
        return lfm2__fail(h->rt, LFM2_ERR_UNSUPPORTED, "hear: the chat template has no place for sound");
    }
    memmove(h->prompt + slot, h->prompt + slot + 1, (n_ids - slot - 1) * sizeof(*h->prompt));
    h->n_prefix = (int32_t)slot;
    h->n_suffix = (int32_t)(n_ids - slot - 1);
    return 0;
}

/* ---- Life ---- */

static int may_sample(void *ctx, int32_t id)
{
    const lfm2_hear *h = ctx;
    size_t n = 0;
    if (!lfm2_tokenizer_is_defined(h->tok, id)) return 0;
    if (!lfm2_tokenizer_is_special(h->tok, id)) return 1;
    const int32_t *ends = lfm2_tokenizer_end_ids(h->tok, &n);
    for (size_t i = 0; i < n; i++) {
        if (ends[i] == id) return 1;
    }
    return 0;
}

static int make_slot(lfm2_hear *h, lfm2__hear_slot *slot)
{
    slot->h = h;
    int rc = lfm2_sampler_create(h->rt, &h->p.sampler, lfm2_model_config(h->model)->n_vocab, may_sample, h, &slot->sampler);
    if (rc < 0) return rc;
    slot->forced = lfm2__calloc(h->rt, (size_t)h->cap_tok, sizeof(*slot->forced));
    if (!slot->forced) return LFM2_ERR_NOMEM;
    if (h->glossary && (rc = lfm2__glossary_place_init(h->glossary, &slot->place)) < 0) return rc;
    if (h->p.times != LFM2_TIMES_WORD || h->ctc || h->n_heads == 0) return 0;
    rc = lfm2__align_attn_create(h->rt, h->n_heads, h->cap_audio_tok, h->cap_tok, &slot->align);
    if (rc == LFM2_ERR_LIMIT) return 0; /* then words get no times */
    if (rc < 0) return rc;
    slot->attention = lfm2__calloc(h->rt, (size_t)h->n_heads, (size_t)h->cap_audio_tok * sizeof(float));
    return slot->attention ? 0 : LFM2_ERR_NOMEM;
}

static int make_channel(lfm2_hear *h, lfm2__hear_channel *c)
{
    int rc = h->p.use_vad ? lfm2_vad_create(h->rt, &h->p.vad, &c->vad) : 0;
    if (rc < 0) return rc;
    c->cap_sound = h->p.vad.max_segment_us * LFM2__HEAR_RATE_HZ / 1000000 + LATE_SAMPLES + PIECE;
    c->sound = lfm2__calloc(h->rt, (size_t)c->cap_sound, sizeof(float));
    return c->sound ? lfm2__hear_live_init(h, c) : LFM2_ERR_NOMEM;
}

/* How much text and sound a sequence holds. */
static int set_room(lfm2_hear *h)
{
    const lfm2_config *cfg = lfm2_model_config(h->model);
    const int64_t longest = h->p.vad.max_segment_us * LFM2__HEAR_RATE_HZ / 1000000;
    h->cap_audio_tok = lfm2_audio_n_tok(lfm2_mel_n_frames(longest + 1));
    const int64_t given = (int64_t)h->n_prefix + h->n_suffix + h->cap_audio_tok, room = cfg->n_ctx_max - given;
    const int64_t want = h->p.max_tok > 0 ? h->p.max_tok : 16 + 12 * h->p.vad.max_segment_us / 1000000;
    if (room < 16) {
        return lfm2__fail(h->rt, LFM2_ERR_RANGE, "hear: prompt and sound take %lld tokens of a context of %d", (long long)given,
                          (int)cfg->n_ctx_max);
    }
    h->cap_tok = (int32_t)(want < room - 1 ? want : room - 1);
    h->cap_encode_tok = h->cap_audio_tok > ENCODE_TOK ? h->cap_audio_tok : ENCODE_TOK;
    for (int32_t i = 0; i < cfg->n_layers; i++) h->n_heads += cfg->layer_kind[i] == LFM2_LAYER_ATTN ? cfg->n_heads : 0;
    return 0;
}

/* Everything of which the size is known by now. */
static int make_parts(lfm2_hear *h)
{
    const lfm2_audio_config *cfg = lfm2_audio_encoder_config(h->enc);
    const size_t n_slots = (size_t)h->p.n_slots, n_embed = n_slots * (size_t)h->cap_audio_tok;
    lfm2_session_params sp = lfm2_session_params_default(h->model);
    sp.n_seqs = h->p.n_slots;
    sp.cap_tok = h->n_prefix + h->cap_audio_tok + h->n_suffix + h->cap_tok + 1;
    sp.cap_rewind = 0;
    int rc = lfm2_mel_create(h->rt, cfg->n_mels, &h->mel);
    if (rc == 0) rc = lfm2_audio_scratch_create(h->enc, h->cap_encode_tok, &h->scratch);
    if (rc == 0) rc = lfm2_session_create(h->model, &sp, &h->session);
    if (rc == 0) rc = lfm2_batch_create(h->session, 0, h->p.n_slots, &h->batch);
    if (rc == 0 && h->p.glossary) rc = lfm2__glossary_create(h->rt, h->tok, h->p.glossary, h->p.glossary_weight, &h->glossary);
    if (rc < 0) return rc;
    h->embed = lfm2__calloc(h->rt, n_embed, (size_t)cfg->d_out * sizeof(float));
    h->slots = lfm2__calloc(h->rt, n_slots, sizeof(*h->slots));
    h->channels = lfm2__calloc(h->rt, (size_t)h->p.n_channels, sizeof(*h->channels));
    if (!h->embed || !h->slots || !h->channels) return LFM2_ERR_NOMEM;
    if (cfg->n_ctc_classes > 0 && h->p.times == LFM2_TIMES_WORD) {
        h->ctc = lfm2__calloc(h->rt, n_embed * (size_t)cfg->ctc_upsample, (size_t)cfg->n_ctc_classes * sizeof(float));
        if (!h->ctc) return LFM2_ERR_NOMEM;
    }
    for (int32_t i = 0; rc == 0 && i < h->p.n_slots; i++) rc = make_slot(h, &h->slots[i]);
    for (int32_t i = 0; rc == 0 && i < h->p.n_channels; i++) rc = make_channel(h, &h->channels[i]);
    return rc;
}

int lfm2_hear_create(lfm2_model *model, const lfm2_tokenizer *tok, const lfm2_audio_encoder *enc, const lfm2_hear_params *params,
                     lfm2_hear **out)
{
    if (!model || !tok || !enc || !out) return LFM2_ERR_ARG;
    lfm2_runtime *rt = model->rt;
    lfm2_hear *h = lfm2__calloc(rt, 1, sizeof(*h));
    if (!h) return LFM2_ERR_NOMEM;
    h->rt = rt;
    h->model = model;
    h->tok = tok;
    h->enc = enc;
    h->p = params ? *params : lfm2_hear_params_default();
    int rc = check_params(rt, &h->p);
    const int32_t d_model = lfm2_model_config(model)->d_model, d_out = lfm2_audio_encoder_config(enc)->d_out;
    if (rc == 0 && d_model != d_out) {
        rc = lfm2__fail(rt, LFM2_ERR_UNSUPPORTED, "hear: the encoder gives embeddings of %d, the model has %d", (int)d_out,
                        (int)d_model);
    }
    if (rc == 0) rc = lfm2__confidence_load(lfm2_model_weights(model), "hear", &h->confidence);
    if (rc == 0) rc = make_prompt(h);
    if (rc == 0) rc = set_room(h);
    if (rc == 0) rc = make_parts(h);
    if (rc < 0) {
        lfm2_hear_destroy(h);
        return rc;
    }
    h->p.system = h->p.prompt = h->p.glossary = NULL; /* they were borrowed for this call */
    *out = h;
    return 0;
}

static void destroy_slot(lfm2_hear *h, lfm2__hear_slot *slot)
{
    lfm2_sampler_destroy(slot->sampler);
    lfm2__glossary_place_fini(h->glossary, &slot->place);
    lfm2__align_attn_destroy(slot->align);
    lfm2__free(h->rt, slot->attention);
    lfm2__free(h->rt, slot->forced);
}

void lfm2_hear_destroy(lfm2_hear *h)
{
    if (!h) return;
    for (int32_t i = 0; i < h->n_waiting; i++) lfm2__hear_take_destroy(h, h->waiting[i]);
    for (int32_t i = 0; i < h->n_ready; i++) lfm2_segment_destroy(h->ready[i]);
    lfm2_batch_destroy(h->batch);
    for (int32_t i = 0; h->slots && i < h->p.n_slots; i++) destroy_slot(h, &h->slots[i]);
    for (int32_t i = 0; h->channels && i < h->p.n_channels; i++) {
        lfm2__hear_channel *c = &h->channels[i];
        lfm2_vad_destroy(c->vad);
        lfm2__free(h->rt, c->sound);
        lfm2__hear_live_fini(h, c);
    }
    lfm2_session_destroy(h->session);
    lfm2_audio_scratch_destroy(h->scratch);
    lfm2_mel_destroy(h->mel);
    lfm2__glossary_destroy(h->glossary);
    lfm2__free(h->rt, h->slots);
    lfm2__free(h->rt, h->channels);
    lfm2__free(h->rt, h->embed);
    lfm2__free(h->rt, h->ctc);
    lfm2__free(h->rt, h->prompt);
    lfm2__free(h->rt, h->waiting);
    lfm2__free(h->rt, h->ready);
    lfm2__free(h->rt, h);
}

/* ---- Segments out ---- */

static int before(const lfm2_segment *a, const lfm2_segment *b)
{
    return a->start_us < b->start_us || (a->start_us == b->start_us && a->channel < b->channel);
}

/* Room for n pointers. */
static int reserve(lfm2_hear *h, void *list, int32_t *cap, int32_t n)
{
    void **p = list;
    if (n <= *cap) return 0;
    const int32_t more = n > 2 * *cap ? n + 16 : 2 * *cap;
    void *grown = lfm2__grow(h->rt, *p, (size_t)*cap * sizeof(void *), (size_t)more * sizeof(void *));
    if (!grown) return LFM2_ERR_NOMEM;
    *p = grown;
    *cap = more;
    return 0;
}

/* Takes s over, also on failure. One in which nothing was said is nothing. */
static int keep_segment(lfm2_hear *h, lfm2_segment *s)
{
    int rc = 0;
    if (s->n_words == 0 && s->stop == LFM2_STOP_EOS) {
        lfm2_segment_destroy(s);
        return 0;
    }
    void *list = h->ready;
    rc = reserve(h, &list, &h->cap_ready, h->n_ready + 1);
    h->ready = list;
    if (rc < 0) {
        lfm2_segment_destroy(s);
        return rc;
    }
    int32_t at = h->n_ready++;
    for (; at > 0 && before(s, h->ready[at - 1]); at--) h->ready[at] = h->ready[at - 1];
    h->ready[at] = s;
    return 0;
}

/* Decode the first n that wait. */
static int decode_some(lfm2_hear *h, int32_t n)
{
    lfm2_segment *segments[LFM2__HEAR_MAX_SLOTS] = {0};
    int rc = lfm2__hear_decode(h, h->waiting, n, segments);
    for (int32_t i = 0; i < n; i++) {
        lfm2__hear_take *t = h->waiting[i];
        if (rc == 0) {
            h->stats.n_segments++;
            h->stats.speech_us += lfm2__hear_us(t->end_sample) - lfm2__hear_us(t->start_sample);
            rc = keep_segment(h, segments[i]);
        } else {
            lfm2_segment_destroy(segments[i]);
        }
        lfm2__hear_take_destroy(h, t);
    }
    h->n_waiting -= n;
    memmove(h->waiting, h->waiting + n, (size_t)h->n_waiting * sizeof(*h->waiting));
    return rc;
}

int lfm2__hear_flush(lfm2_hear *h)
{
    int rc = 0;
    while (rc == 0 && h->n_waiting > 0) rc = decode_some(h, h->n_waiting < h->p.n_slots ? h->n_waiting : h->p.n_slots);
    return rc;
}

/* The sample before which nothing will begin any more that this channel has still to give. */
static int64_t earliest(const lfm2_hear *h, int32_t channel)
{
    const lfm2__hear_channel *c = &h->channels[channel];
    int64_t sample = c->vad ? lfm2_vad_n_settled(c->vad) : c->first_sample;
    if (h->over) sample = INT64_MAX;
    for (int32_t i = 0; i < h->n_waiting; i++) {
        const lfm2__hear_take *t = h->waiting[i];
        if (t->channel == channel && t->start_sample < sample) sample = t->start_sample;
    }
    return sample;
}

static int may_go(const lfm2_hear *h, const lfm2_segment *s)
{
    for (int32_t i = 0; i < h->p.n_channels; i++) {
        if (i == s->channel) continue;
        const int64_t sample = earliest(h, i);
        const int64_t us = sample == INT64_MAX ? INT64_MAX : lfm2__hear_us(sample);
        if (us < s->start_us || (us == s->start_us && i < s->channel)) return 0;
    }
    return 1;
}

int lfm2_hear_pull(lfm2_hear *h, lfm2_segment **out)
{
    if (!h || !out) return LFM2_ERR_ARG;
    if (h->n_ready == 0) return h->over ? LFM2_EOF : LFM2_AGAIN;
    if (!may_go(h, h->ready[0])) return LFM2_AGAIN;
    *out = h->ready[0];
    (*out)->id = h->next_id++;
    h->n_ready--;
    memmove(h->ready, h->ready + 1, (size_t)h->n_ready * sizeof(*h->ready));
    return 0;
}

/* ---- Sound in ---- */

/* Takes t over, also on failure; NULL is nothing. */
static int wait_in_line(lfm2_hear *h, lfm2__hear_take *t)
{
    if (!t) return 0;
    void *list = h->waiting;
    int rc = reserve(h, &list, &h->cap_waiting, h->n_waiting + 1);
    h->waiting = list;
    if (rc < 0) lfm2__hear_take_destroy(h, t);
    else h->waiting[h->n_waiting++] = t;
    return rc;
}

static int take_span(lfm2_hear *h, int32_t channel, const lfm2_vad_span *span)
{
    lfm2__hear_take *t = NULL, *orphan = NULL;
    int rc = lfm2__hear_take_create(h, channel, span->start_sample, span->end_sample, &t);
    if (rc == 0) rc = lfm2__hear_live_settle(h, channel, span, t, &orphan);
    if (rc < 0) {
        lfm2__hear_take_destroy(h, t);
        return rc;
    }
    if (t) {
        t->start_sample = span->speech_start;
        t->end_sample = span->speech_end;
    }
    rc = wait_in_line(h, orphan);
    if (rc < 0) {
        lfm2__hear_take_destroy(h, t);
        return rc;
    }
    return wait_in_line(h, t);
}

/* Spans that the detector has finished, and live text that no span came of. */
static int take_spans(lfm2_hear *h, int32_t channel)
{
    lfm2__hear_channel *c = &h->channels[channel];
    lfm2_vad_span span;
    int rc;
    while ((rc = lfm2_vad_pull(c->vad, &span)) == 0) {
        rc = take_span(h, channel, &span);
        if (rc < 0) return rc;
    }
    lfm2__hear_take *orphan = NULL;
    rc = lfm2__hear_live_settle(h, channel, NULL, NULL, &orphan);
    return rc == 0 ? wait_in_line(h, orphan) : rc;
}

/* Without a detector: cut by the clock. */
static int take_by_clock(lfm2_hear *h, int32_t channel, int at_end)
{
    lfm2__hear_channel *c = &h->channels[channel];
    const int64_t longest = h->p.vad.max_segment_us * LFM2__HEAR_RATE_HZ / 1000000;
    int rc = 0;
    while (rc == 0 && (c->n_sound >= longest || (at_end && c->n_sound > 0))) {
        const int64_t n = c->n_sound < longest ? c->n_sound : longest;
        lfm2__hear_take *t = NULL;
        rc = lfm2__hear_take_create(h, channel, c->first_sample, c->first_sample + n, &t);
        if (rc == 0) rc = wait_in_line(h, t);
        c->first_sample += n;
        c->n_sound -= n;
        memmove(c->sound, c->sound + n, (size_t)c->n_sound * sizeof(float));
    }
    return rc;
}

static void forget_settled(lfm2__hear_channel *c)
{
    int64_t n = lfm2_vad_n_settled(c->vad) - c->first_sample;
    if (n > c->n_sound) n = c->n_sound;
    if (n <= 0) return;
    c->first_sample += n;
    c->n_sound -= n;
    memmove(c->sound, c->sound + n, (size_t)c->n_sound * sizeof(float));
}

static int feed(lfm2_hear *h, int32_t channel, const float *samples, int64_t n)
{
    lfm2__hear_channel *c = &h->channels[channel];
    if (c->n_sound + n > c->cap_sound && c->vad) forget_settled(c);
    if (c->n_sound + n > c->cap_sound) return LFM2_ERR_STATE; /* our own mistake: the detector keeps more than it may */
    memcpy(c->sound + c->n_sound, samples, (size_t)n * sizeof(float));
    c->n_sound += n;
    if (!c->vad) return take_by_clock(h, channel, 0);
    int rc = 0;
    for (int64_t i = 0, n_taken = 0; rc == 0 && i < n; i += n_taken) {
        rc = lfm2_vad_push(c->vad, samples + i, n - i, &n_taken);
        if (rc == 0) rc = take_spans(h, channel);
    }
    return rc;
}

static int finish(lfm2_hear *h)
{
    int rc = 0;
    for (int32_t i = 0; rc == 0 && i < h->p.n_channels; i++) {
        int64_t n_taken = 0;
        lfm2_vad *vad = h->channels[i].vad;
        rc = vad ? lfm2_vad_push(vad, NULL, 0, &n_taken) : take_by_clock(h, i, 1);
        if (rc == 0 && vad) rc = take_spans(h, i);
    }
    if (rc == 0) rc = lfm2__hear_flush(h);
    if (rc == 0) h->over = 1;
    return rc;
}

static int check_samples(lfm2_runtime *rt, const float *const *planes, int32_t n_planes, int64_t n)
{
    for (int32_t c = 0; c < n_planes; c++) {
        if (!planes[c]) return LFM2_ERR_ARG;
        for (int64_t i = 0; i < n; i++) {
            if (!(fabsf(planes[c][i]) <= 1e6f)) {
                return lfm2__fail(rt, LFM2_ERR_NONFINITE, "hear: sample %lld of channel %d is no number, or beyond 1e6",
                                  (long long)i, (int)c);
            }
        }
    }
    return 0;
}

int lfm2_hear_push(lfm2_hear *h, const float *const *planes, int64_t n_samples)
{
    if (!h || n_samples < 0) return LFM2_ERR_ARG;
    if (h->over || h->status < 0) return LFM2_ERR_STATE;
    if (h->n_ready > MAX_READY && may_go(h, h->ready[0])) return LFM2_AGAIN;
    if (!planes) {
        int rc = finish(h);
        if (rc < 0) h->status = rc;
        return rc;
    }
    int rc = check_samples(h->rt, planes, h->p.n_channels, n_samples);
    if (rc < 0) return rc;
    for (int64_t i = 0; rc == 0 && i < n_samples;) {
        const int64_t n = n_samples - i < PIECE ? n_samples - i : PIECE;
        if (lfm2__aborted(h->rt)) rc = LFM2_ERR_ABORTED;
        for (int32_t c = 0; rc == 0 && c < h->p.n_channels; c++) rc = feed(h, c, planes[c] + i, n);
        i += n;
        h->n_samples += n;
        while (rc == 0 && h->n_waiting >= h->p.n_slots) rc = decode_some(h, h->p.n_slots);
    }
    h->stats.sound_us = lfm2__hear_us(h->n_samples);
    if (rc < 0) h->status = rc;
    return rc;
}

void lfm2_hear_get_stats(const lfm2_hear *h, lfm2_hear_stats *out)
{
    *out = h->stats;
}
