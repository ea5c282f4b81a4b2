/* SPDX-License-Identifier: Apache-2.0
 * A conversation about images: each turn reads what is new only, so that images are neither encoded nor read again. */
#include <string.h>

#include "model/job.h"
#include "pipeline/see_impl.h"

void lfm2__see_talk_reset(lfm2_see *s)
{
    lfm2__str_fini(&s->talk.messages);
    lfm2__free(s->rt, s->talk.ids);
    memset(&s->talk, 0, sizeof s->talk);
    if (s->session != NULL) (void)lfm2_session_clear(s->session, 0);
}

static int is_end(const lfm2_see *s, int32_t id)
{
    size_t n;
    const int32_t *ends = lfm2_tokenizer_end_ids(s->tok, &n);
    for (size_t i = 0; i < n; i++) {
        if (ends[i] == id) return 1;
    }
    return 0;
}

/* What the sequence lacks of `ids`, the whole conversation without its answers. */
static int find_new(const lfm2_see *s, const int32_t *ids, size_t n_ids, size_t *first)
{
    const lfm2__see_talk *t = &s->talk;
    size_t n = 0;

    if (t->is_under_way) {
        while (n < t->n_ids && n < n_ids && ids[n] == t->ids[n]) n++;
        if (n < t->n_ids || n == n_ids) {
            return lfm2__fail(s->rt, LFM2_ERR_UNSUPPORTED, "conversation: the chat template changes earlier turns");
        }
        if (t->has_ended && is_end(s, ids[n]) && n + 1 < n_ids) n++; /* the model wrote that itself */
    }
    *first = n;
    return 0;
}

/* --- pictures of a turn --- */

/* Before anything is computed: is there room for n_ids and the images? The batch counts again, with the marks. */
static int check_room(const lfm2_see *s, const lfm2_image *images, int32_t n, size_t n_ids)
{
    const int32_t n_held = lfm2_session_n_tok(s->session, 0);
    int64_t n_tok = (int64_t)n_ids;
    int rc = 0;

    for (int32_t i = 0; rc == 0 && i < n; i++) {
        lfm2_vision_params used = s->image_params;
        lfm2_vision_plan plan;
        rc = lfm2__see_plan(s, &used, images[i].width, images[i].height, &plan);
        if (rc == 0) n_tok += plan.n_tok;
    }
    if (rc < 0 || n_tok <= s->cap_tok - n_held) return rc;
    return lfm2__fail(s->rt, LFM2_ERR_RANGE, "see: images and prompt have %lld tokens, but the context has room for %d (%d tokens, "
                      "%d of them taken)", (long long)n_tok, (int)(s->cap_tok - n_held), (int)s->cap_tok, (int)n_held);
}

static int look_at_all(lfm2_see *s, const lfm2_image *images, int32_t n, lfm2__see_picture *pictures, lfm2__see_times *times)
{
    int rc = 0;

    for (int32_t i = 0; rc == 0 && i < n; i++) {
        rc = lfm2__see_look(s, &s->image_params, &images[i], &pictures[i], times);
        if (rc == 0) rc = lfm2__see_encode(s, times); /* all inputs of one image together; of many they would fill the memory */
    }
    if (rc < 0) lfm2__see_drop_pending(s);
    return rc;
}

static int describe(lfm2__see_outcome *out, const lfm2_image *images, const lfm2__see_picture *pictures, int32_t n)
{
    if (n == 0) return 0;
    out->r.images = lfm2__calloc(out->rt, (size_t)n, sizeof *out->r.images);
    if (out->r.images == NULL) return LFM2_ERR_NOMEM;
    out->r.n_images = n;
    for (int32_t i = 0; i < n; i++) {
        const lfm2_vision_plan *plan = &pictures[i].plan;
        out->r.images[i] = (lfm2_see_image_info){.width = images[i].width, .height = images[i].height, .tile_cols = plan->tile_cols,
                                                 .tile_rows = plan->tile_rows, .n_tok = plan->n_tok, .n_inputs = plan->n_inputs,
                                                 .n_cached = pictures[i].n_cached, .partial = images[i].partial};
        out->r.n_image_tok += plan->n_tok;
    }
    return 0;
}

/* --- writing --- */

typedef struct answer {
    lfm2__see_text text;
    int64_t first_us;
    int status;
    lfm2_generation g;
} answer;

static int on_token(void *ctx, int32_t id, float logprob)
{
    answer *a = ctx;
    (void)logprob;
    if (a->first_us == 0) a->first_us = lfm2__now_us();
    return lfm2__see_text_token(&a->text, id);
}

static void on_done(void *ctx, int status, const lfm2_generation *g)
{
    answer *a = ctx;
    a->status = status;
    a->g = *g;
}

static int write_answer(lfm2_see *s, const lfm2_prompt *prompt, lfm2_sampler *sampler, const lfm2_see_request *request,
                        int64_t begun_us, lfm2__see_outcome *out)
{
    answer a = {0};
    const int64_t start_us = lfm2__now_us();
    lfm2_job job = {.seq = 0, .sampler = sampler, .params = lfm2__see_generation(s, request, begun_us), .fn = on_token,
                    .done = on_done, .ctx = &a};

    job.parts = lfm2_prompt_parts(prompt, &job.n_parts);
    lfm2__see_text_init(&a.text, s->rt, s->tok);
    a.text.on_text = request->on_text;
    a.text.ctx = request->ctx;
    int rc = lfm2_batch_submit(s->batch, &job);
    if (rc == 0) {
        do {
            rc = lfm2_batch_step(s->batch);
        } while (rc == 0);
        if (rc == LFM2_EOF) rc = a.status;
        if (rc < 0) lfm2__see_talk_reset(s); /* what the sequence holds now is not said */
    }
    const int64_t end_us = lfm2__now_us(), first_us = a.first_us != 0 ? a.first_us : end_us;
    lfm2__see_text_finish(&a.text);
    if (rc == 0) rc = lfm2__str_take(&a.text.str, &out->r.text, NULL);
    if (rc == 0) {
        out->r.stop = a.g.stop;
        out->r.n_output_tok = a.g.n_tok;
        out->r.n_prompt_tok = lfm2_prompt_n_tok(prompt);
        out->r.confidence = lfm2__confidence_of(&s->confidence, a.g.sum_logprob, a.g.n_tok);
        out->r.prefill_us = first_us - start_us;
        out->r.generate_us = end_us - first_us;
    }
    lfm2__see_text_fini(&a.text);
    return rc;
}

/* --- a turn --- */

/* The conversation with one turn more. */
static void put_turn(const lfm2_see *s, int32_t n_images, const lfm2_see_request *request, lfm2__str *messages)
{
    if (s->talk.is_under_way) {
        lfm2__str_put(messages, s->talk.messages.data, s->talk.messages.n);
        lfm2__str_puts(messages, ",{\"role\":\"assistant\",\"content\":\"\"}");
    } else if (request->system != NULL) {
        lfm2__see_put_system(messages, request->system);
    }
    lfm2__see_put_user(messages, n_images, lfm2__see_prompt_text(request));
}

/* The turn has been read and answered: it is part of the conversation now. Takes messages and ids over. */
static void keep_turn(lfm2_see *s, lfm2__str *messages, int32_t **ids, size_t n_ids, lfm2_stop stop)
{
    lfm2__see_talk *t = &s->talk;

    if (lfm2_session_n_tok(s->session, 0) == 0) { /* called off */
        lfm2__see_talk_reset(s);
        return;
    }
    lfm2__str_fini(&t->messages);
    lfm2__free(s->rt, t->ids);
    t->messages = *messages;
    memset(messages, 0, sizeof *messages);
    t->ids = *ids;
    *ids = NULL;
    t->n_ids = n_ids;
    t->is_under_way = 1;
    t->has_ended = stop == LFM2_STOP_EOS;
}

int lfm2__see_run_talk(lfm2_see *s, const lfm2_image *images, int32_t n_images, const lfm2_see_request *request,
                       lfm2__see_outcome *out)
{
    const int64_t begun_us = lfm2__now_us();
    lfm2__see_picture *pictures = NULL;
    lfm2_prompt *prompt = NULL;
    lfm2__str messages;
    lfm2_sampler *sampler = NULL;
    lfm2__see_times times = {0};
    int32_t *ids = NULL;
    size_t n_ids = 0, first = 0;

    lfm2__str_init(&messages, s->rt);
    if (!request->keep) lfm2__see_talk_reset(s);
    put_turn(s, n_images, request, &messages);
    int rc = lfm2__see_encode_messages(s, &messages, &ids, &n_ids);
    if (rc == 0) rc = find_new(s, ids, n_ids, &first);
    if (rc == 0) rc = check_room(s, images, n_images, n_ids - first);
    if (rc == 0) rc = lfm2__see_sampler(s, request, &sampler);
    if (rc == 0 && n_images > 0) {
        pictures = lfm2__calloc(s->rt, (size_t)n_images, sizeof *pictures);
        rc = pictures == NULL ? LFM2_ERR_NOMEM : look_at_all(s, images, n_images, pictures, &times);
    }
    if (rc == 0) rc = describe(out, images, pictures, n_images);
    if (rc == 0) rc = lfm2__see_prompt(s, ids + first, n_ids - first, pictures, n_images, &prompt);
    if (rc == 0) rc = write_answer(s, prompt, sampler, request, begun_us, out);
    if (rc == 0) keep_turn(s, &messages, &ids, n_ids, out->r.stop);
    out->r.preprocess_us = times.preprocess_us;
    out->r.encode_us = times.encode_us;
    for (int32_t i = 0; pictures != NULL && i < n_images; i++) lfm2__see_picture_fini(s, &pictures[i]);
    lfm2__free(s->rt, pictures);
    lfm2_sampler_destroy(sampler);
    lfm2_prompt_destroy(prompt);
    lfm2__str_fini(&messages);
    lfm2__free(s->rt, ids);
    return rc;
}
