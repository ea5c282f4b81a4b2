/* SPDX-License-Identifier: Apache-2.0
 * A page read line by line: lines are found, looked at in groups, and read many at once. */
#include <string.h>

#include "model/job.h"
#include "pipeline/see_impl.h"

/* Lines that wait for a free place, or are being read. */
typedef struct line_slot {
    struct lfm2__see_lines *m;
    lfm2_sampler *sampler;
    lfm2_prompt *prompt;
    lfm2__see_picture picture;
    lfm2__see_text text;
    int32_t line; /* -1 = free */
    int is_done;
    int status;
    lfm2_generation g;
} line_slot;

/* What reading takes, beside the conversation and without disturbing it. */
struct lfm2__see_lines {
    lfm2_session *session;
    lfm2_batch *batch;
    line_slot *slots; /* [n_slots] */
};

/* One page. */
typedef struct page {
    lfm2_see *s;
    const lfm2_see_request *request;
    lfm2__see_outcome *out;
    lfm2_layout *layout;
    lfm2_vision_params params; /* of a line */
    int32_t *ids;              /* prompt of every line, with one slot */
    size_t n_ids;
    int64_t begun_us;
    lfm2__see_times times;
    int32_t n_looked, n_read;  /* lines that came into a slot; lines in front that have been given out */
    uint8_t *is_read;          /* [n_lines] */
    double sum_logprob;
    lfm2__str text;
    int is_over;               /* called off: nothing new begins */
} page;

void lfm2__see_lines_destroy(lfm2_see *s)
{
    lfm2__see_lines *m = s->lines;

    if (m == NULL) return;
    lfm2_batch_destroy(m->batch);
    lfm2_session_destroy(m->session);
    lfm2__free(s->rt, m->slots);
    lfm2__free(s->rt, m);
    s->lines = NULL;
}

static int make_lines(lfm2_see *s)
{
    const int32_t n = s->params.n_slots;
    lfm2_session_params sp = lfm2_session_params_default(s->model);

    if (s->lines != NULL) return 0;
    s->lines = lfm2__calloc(s->rt, 1, sizeof *s->lines);
    if (s->lines == NULL) return LFM2_ERR_NOMEM;
    s->lines->slots = lfm2__calloc(s->rt, (size_t)n, sizeof *s->lines->slots);
    sp.n_seqs = n;
    sp.cap_tok = s->cap_tok;
    sp.cap_rewind = 0;
    int rc = s->lines->slots == NULL ? LFM2_ERR_NOMEM : lfm2_session_create(s->model, &sp, &s->lines->session);
    if (rc == 0) rc = lfm2_batch_create(s->lines->session, 0, n, &s->lines->batch);
    for (int32_t i = 0; rc == 0 && i < n; i++) s->lines->slots[i] = (line_slot){.m = s->lines, .line = -1};
    if (rc < 0) lfm2__see_lines_destroy(s);
    return rc;
}

static void empty_slot(lfm2_see *s, line_slot *slot)
{
    lfm2_prompt_destroy(slot->prompt);
    slot->prompt = NULL;
    lfm2__see_picture_fini(s, &slot->picture);
    lfm2__see_text_fini(&slot->text);
    slot->line = -1;
    slot->is_done = 0;
}

/* --- looking at a line --- */

/* As high as the model wants lines, or, where no plan can be made, no longer than an image may be. */
static int fit_line(const page *p, lfm2_image *image)
{
    const lfm2_vision_params *vp = &p->params;
    const int32_t token_px = vp->patch_px * vp->downsample;
    int32_t height = vp->line_height_px > 0 ? vp->line_height_px : image->height, width = image->width;
    lfm2_vision_plan plan;
    lfm2_image scaled;

    if (height != image->height) {
        const int64_t w = ((int64_t)width * height + image->height / 2) / image->height;
        width = w < 1 ? 1 : w > LFM2_MAX_IMAGE_SIDE_PX ? LFM2_MAX_IMAGE_SIDE_PX : (int32_t)w;
    }
    lfm2_vision_params tried = *vp;
    if (lfm2__see_try_plan(p->s, &tried, width, height, &plan) == LFM2_ERR_LIMIT) {
        width = width > height ? vp->max_image_tok * token_px : token_px;
        height = width > token_px ? token_px : vp->max_image_tok * token_px;
    }
    if (width == image->width && height == image->height) return 0;
    const int rc = lfm2__see_scale(p->s->rt, image, width, height, &scaled);
    if (rc < 0) return rc;
    lfm2_image_fini(image);
    *image = scaled;
    return 0;
}

static int look_at_line(page *p, int32_t line, line_slot *slot)
{
    lfm2_image image;
    const int64_t start_us = lfm2__now_us();
    int rc = lfm2_layout_line_image(p->layout, line, &image);

    if (rc < 0) return rc;
    rc = fit_line(p, &image);
    p->times.preprocess_us += lfm2__now_us() - start_us;
    if (rc == 0) rc = lfm2__see_look(p->s, &p->params, &image, &slot->picture, &p->times);
    lfm2_image_fini(&image);
    if (rc < 0) return rc;
    lfm2__see_text_init(&slot->text, p->s->rt, p->s->tok);
    slot->line = line;
    lfm2_see_image_info *info = &p->out->r.images[0];
    info->n_tok += slot->picture.plan.n_tok;
    info->n_inputs += slot->picture.plan.n_inputs;
    info->n_cached += slot->picture.n_cached;
    p->out->r.n_image_tok += slot->picture.plan.n_tok;
    return 0;
}

/* --- reading --- */

static int on_token(void *ctx, int32_t id, float logprob)
{
    line_slot *slot = ctx;
    (void)logprob;
    return lfm2__see_text_token(&slot->text, id);
}

static void on_done(void *ctx, int status, const lfm2_generation *g)
{
    line_slot *slot = ctx;
    slot->is_done = 1;
    slot->status = status;
    slot->g = *g;
}

static int submit(page *p, line_slot *slot)
{
    lfm2_job job = {.seq = -1, .sampler = slot->sampler, .params = lfm2__see_generation(p->s, p->request, p->begun_us),
                    .fn = on_token, .done = on_done, .ctx = slot};
    int rc = lfm2__see_prompt(p->s, p->ids, p->n_ids, &slot->picture, 1, &slot->prompt);

    if (rc < 0) return rc;
    lfm2_sampler_reset(slot->sampler); /* so that the neighbours of a line do not matter */
    job.parts = lfm2_prompt_parts(slot->prompt, &job.n_parts);
    p->out->r.n_prompt_tok += lfm2_prompt_n_tok(slot->prompt);
    return lfm2_batch_submit(p->s->lines->batch, &job);
}

/* Fill the free slots with the next lines: looked at together, then read. */
static int begin_lines(page *p)
{
    lfm2__see_lines *m = p->s->lines;
    const int32_t n_slots = p->s->params.n_slots;
    int32_t i;
    int rc = 0;

    if (p->is_over) return 0;
    for (i = 0; rc == 0 && i < n_slots && p->n_looked < p->out->r.n_lines; i++) {
        if (m->slots[i].line < 0) rc = look_at_line(p, p->n_looked, &m->slots[i]);
        if (rc == 0 && m->slots[i].line == p->n_looked) p->n_looked++;
    }
    if (rc == 0) rc = lfm2__see_encode(p->s, &p->times);
    for (i = 0; rc == 0 && i < n_slots; i++) {
        if (m->slots[i].line >= 0 && m->slots[i].prompt == NULL) rc = submit(p, &m->slots[i]);
    }
    if (rc < 0) lfm2__see_drop_pending(p->s);
    return rc;
}

/* On one line, without blanks at its ends. */
static void tidy(char *text)
{
    size_t n = 0, i = 0;

    while (text[i] == ' ' || text[i] == '\n' || text[i] == '\r' || text[i] == '\t') i++;
    for (; text[i] != '\0'; i++) text[n++] = (char)(text[i] == '\n' || text[i] == '\r' || text[i] == '\t' ? ' ' : text[i]);
    while (n > 0 && text[n - 1] == ' ') n--;
    text[n] = '\0';
}

static int end_line(page *p, line_slot *slot)
{
    lfm2_see_line *line = &p->out->r.lines[slot->line];

    if (slot->status < 0) return slot->status;
    lfm2__see_text_finish(&slot->text);
    const int rc = lfm2__str_take(&slot->text.str, &line->text, NULL);
    if (rc < 0) return rc;
    tidy(line->text);
    line->stop = slot->g.stop;
    line->n_tok = slot->g.n_tok;
    line->confidence = lfm2__confidence_of(&p->s->confidence, slot->g.sum_logprob, slot->g.n_tok);
    p->out->r.n_output_tok += slot->g.n_tok;
    p->sum_logprob += slot->g.sum_logprob;
    p->is_read[slot->line] = 1;
    if (slot->g.stop == LFM2_STOP_ABORT) p->is_over = 1;
    empty_slot(p->s, slot);
    return 0;
}

/* Whole lines in their order, as far as they are there; an empty one between blocks. */
static void give_out(page *p)
{
    const lfm2_see_result *r = &p->out->r;

    for (; p->n_read < r->n_lines && p->is_read[p->n_read]; p->n_read++) {
        const lfm2_see_line *line = &r->lines[p->n_read];
        const size_t from = p->text.n;
        if (line->text[0] == '\0') continue;
        if (from > 0) {
            int32_t before = p->n_read - 1;
            while (before > 0 && r->lines[before].text[0] == '\0') before--;
            lfm2__str_puts(&p->text, line->box.block != r->lines[before].box.block ? "\n\n" : "\n");
        }
        lfm2__str_puts(&p->text, line->text);
        if (p->text.status < 0 || p->is_over || p->request->on_text == NULL) continue;
        if (p->request->on_text(p->request->ctx, p->text.data + from, p->text.n - from) != 0) p->is_over = 1;
    }
}

static int read_all(page *p)
{
    lfm2__see_lines *m = p->s->lines;
    const int64_t start_us = lfm2__now_us(), looked_us = p->times.preprocess_us + p->times.encode_us;
    int rc = begin_lines(p);

    while (rc == 0 && lfm2_batch_n_jobs(m->batch) > 0) {
        rc = lfm2_batch_step(m->batch);
        if (rc == LFM2_EOF) rc = 0;
        int n_ended = 0;
        for (int32_t i = 0; rc == 0 && i < p->s->params.n_slots; i++) {
            if (!m->slots[i].is_done) continue;
            rc = end_line(p, &m->slots[i]);
            n_ended++;
        }
        if (rc == 0) give_out(p);
        if (rc == 0 && p->is_over) break;
        /* A few at once, so that the encoder gets more than one line; but never let the batch run empty. */
        const int32_t n_jobs = lfm2_batch_n_jobs(m->batch);
        if (rc == 0 && n_ended > 0 && (n_jobs == 0 || 2 * n_jobs <= p->s->params.n_slots)) rc = begin_lines(p);
        if (rc == LFM2_ERR_ABORTED && p->out->r.n_output_tok > 0) {
            p->is_over = 1; /* while looking at later lines: what has been read stands */
            rc = 0;
        }
    }
    p->out->r.generate_us = lfm2__now_us() - start_us - (p->times.preprocess_us + p->times.encode_us - looked_us);
    return rc;
}

/* --- the page --- */

static int prepare(page *p, const lfm2_image *image)
{
    lfm2_see *s = p->s;
    const lfm2_see_request *request = p->request;
    lfm2__str messages;

    p->params = s->image_params;
    p->params.do_split = 0;
    p->out->r.images[0] = (lfm2_see_image_info){.width = image->width, .height = image->height, .tile_cols = 1, .tile_rows = 1,
                                                .partial = image->partial};
    p->out->r.n_images = 1;
    lfm2__str_init(&messages, s->rt);
    if (request->system != NULL) lfm2__see_put_system(&messages, request->system);
    lfm2__see_put_user(&messages, 1, lfm2__see_prompt_text(request));
    int rc = lfm2__see_encode_messages(s, &messages, &p->ids, &p->n_ids);
    lfm2__str_fini(&messages);
    if (rc == 0) rc = make_lines(s);
    for (int32_t i = 0; rc == 0 && i < s->params.n_slots; i++) rc = lfm2__see_sampler(s, request, &s->lines->slots[i].sampler);
    return rc;
}

static int find_lines(page *p, const lfm2_image *image)
{
    lfm2_see_result *r = &p->out->r;
    const int64_t start_us = lfm2__now_us();
    int rc = lfm2_layout_find(p->s->rt, image, &p->request->layout_params, &p->layout);

    p->times.preprocess_us += lfm2__now_us() - start_us;
    if (rc < 0) return rc;
    const int32_t n = lfm2_layout_n_lines(p->layout);
    if (n == 0) return 0;
    r->lines = lfm2__calloc(p->s->rt, (size_t)n, sizeof *r->lines);
    p->is_read = lfm2__calloc(p->s->rt, (size_t)n, 1);
    if (r->lines == NULL || p->is_read == NULL) return LFM2_ERR_NOMEM;
    r->n_lines = n;
    for (int32_t i = 0; i < n; i++) {
        r->lines[i].box = *lfm2_layout_box(p->layout, i);
        r->lines[i].stop = LFM2_STOP_ABORT; /* until it has been read */
        r->lines[i].confidence = -1;
    }
    return 0;
}

/* The whole from its lines. */
static int finish(page *p)
{
    lfm2_see_result *r = &p->out->r;

    for (int32_t i = 0; i < r->n_lines; i++) {
        if (r->lines[i].text == NULL) r->lines[i].text = lfm2__strndup(p->s->rt, "", 0);
        if (r->lines[i].text == NULL) return LFM2_ERR_NOMEM;
        if (r->lines[i].stop > r->stop) r->stop = r->lines[i].stop;
    }
    r->blank = r->n_lines == 0;
    r->confidence = lfm2__confidence_of(&p->s->confidence, p->sum_logprob, r->n_output_tok);
    return lfm2__str_take(&p->text, &r->text, NULL);
}

int lfm2__see_run_lines(lfm2_see *s, const lfm2_image *image, const lfm2_see_request *request, lfm2__see_outcome *out)
{
    page p = {.s = s, .request = request, .out = out, .begun_us = lfm2__now_us()};
    int rc;

    lfm2__str_init(&p.text, s->rt);
    out->r.images = lfm2__calloc(s->rt, 1, sizeof *out->r.images);
    rc = out->r.images == NULL ? LFM2_ERR_NOMEM : prepare(&p, image);
    if (rc == 0) rc = find_lines(&p, image);
    if (rc == 0) rc = read_all(&p);
    if (rc == 0) rc = finish(&p);
    out->r.preprocess_us = p.times.preprocess_us;
    out->r.encode_us = p.times.encode_us;
    for (int32_t i = 0; s->lines != NULL && i < s->params.n_slots; i++) {
        empty_slot(s, &s->lines->slots[i]);
        lfm2_sampler_destroy(s->lines->slots[i].sampler);
        s->lines->slots[i].sampler = NULL;
    }
    if (s->lines != NULL && lfm2_batch_n_jobs(s->lines->batch) > 0) lfm2__see_lines_destroy(s); /* jobs that nobody waits for */
    lfm2__str_fini(&p.text);
    lfm2__free(s->rt, p.is_read);
    lfm2__free(s->rt, p.ids);
    lfm2_layout_destroy(p.layout);
    return rc;
}
