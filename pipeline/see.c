/* SPDX-License-Identifier: Apache-2.0
 * Seeing: parameters, requests, results, and which part does what. */
#include <string.h>

#include "base/utf8.h"
#include "encoders/vision_impl.h"
#include "model/job.h"
#include "pipeline/see_impl.h"

#define MAX_SLOTS 64
#define MIN_RUN_PATCHES 4096 /* taken through the encoder together */
#define MAX_RUN_PATCHES 65536
#define DEFAULT_CONTEXT_TOK 4096

/* --- parameters --- */

lfm2_see_params lfm2_see_params_default(void)
{
    return (lfm2_see_params){.n_slots = 8, .cache_bytes = UINT64_C(256) << 20};
}

lfm2_see_request lfm2_see_request_default(void)
{
    return (lfm2_see_request){.layout_params = lfm2_layout_params_default(), .sampler = lfm2_sampler_params_default(),
                              .generate = lfm2_generate_params_default()};
}

const char *lfm2_see_task_prompt(lfm2_see_task task, lfm2_see_caption caption)
{
    if (task == LFM2_SEE_OCR) return "Read the text in the image.";
    if (caption == LFM2_SEE_LONG) return "Describe the image in detail.";
    return caption == LFM2_SEE_ALT ? "Write alternative text for this image." : "Describe the image in one short sentence.";
}

static int check_params(lfm2_runtime *rt, const lfm2_see_params *p, int32_t n_ctx_max)
{
    const struct {
        const char *name;
        int64_t value, lo, hi;
    } fields[] = {
        {"min_image_tok", p->min_image_tok, 0, 4096}, {"max_image_tok", p->max_image_tok, 0, 4096},
        {"max_tiles", p->max_tiles, 0, LFM2_VISION_MAX_INPUTS - 1}, {"letterbox", p->letterbox, 0, 1},
        {"n_slots", p->n_slots, 1, MAX_SLOTS}, {"cap_tok", p->cap_tok, 0, n_ctx_max},
    };
    for (size_t i = 0; i < LFM2__COUNT_OF(fields); i++) {
        if (fields[i].value >= fields[i].lo && fields[i].value <= fields[i].hi) continue;
        return lfm2__fail(rt, LFM2_ERR_ARG, "see: %s is %lld, not in %lld..%lld", fields[i].name, (long long)fields[i].value,
                          (long long)fields[i].lo, (long long)fields[i].hi);
    }
    if (p->min_image_tok > 0 && p->max_image_tok > 0 && p->min_image_tok > p->max_image_tok) {
        return lfm2__fail(rt, LFM2_ERR_ARG, "see: no image has at least %d and at most %d tokens", (int)p->min_image_tok,
                          (int)p->max_image_tok);
    }
    return 0;
}

/* What is asked for goes before what the checkpoint has; a bound that it has gives way to one that was asked for. */
static int set_image_params(lfm2_see *s)
{
    lfm2_vision_params *p = &s->image_params;
    const lfm2_see_params *want = &s->params;
    const char *field;

    *p = *lfm2_vision_get_params(s->vision);
    if (want->min_image_tok > 0) p->min_image_tok = want->min_image_tok;
    if (want->max_image_tok > 0) p->max_image_tok = want->max_image_tok;
    if (p->min_image_tok > p->max_image_tok) {
        if (want->max_image_tok == 0) p->max_image_tok = p->min_image_tok;
        else p->min_image_tok = (p->max_image_tok + 3) / 4; /* some room for rounding */
    }
    if (want->max_tiles == 1) p->do_split = 0;
    if (want->max_tiles > 1) {
        p->max_tiles = want->max_tiles;
        if (p->min_tiles > p->max_tiles) p->min_tiles = p->max_tiles;
    }
    p->letterbox = want->letterbox;
    if (lfm2__vision_params_check(p, &field) == 0) return 0;
    return lfm2__fail(s->rt, LFM2_ERR_ARG, "see: %s: out of range", field);
}

/* --- create --- */

static int check_parts(const lfm2_see *s)
{
    static const char *const marks[] = {"<image>", "<|image_start|>", "<|image_end|>"};
    const int32_t d = lfm2_vision_get_config(s->vision)->d_model;

    if (d != s->d_model) {
        return lfm2__fail(s->rt, LFM2_ERR_UNSUPPORTED, "see: the encoder gives embeddings of %d values, the model takes %d", (int)d,
                          (int)s->d_model);
    }
    if (lfm2_tokenizer_n_ids(s->tok) > s->n_vocab) {
        return lfm2__fail(s->rt, LFM2_ERR_UNSUPPORTED, "see: the tokenizer has %d ids, the model only %d rows",
                          (int)lfm2_tokenizer_n_ids(s->tok), (int)s->n_vocab);
    }
    if (lfm2_tokenizer_chat_variant(s->tok) == LFM2_CHAT_AUTO) {
        return lfm2__fail(s->rt, LFM2_ERR_UNSUPPORTED, "see: the checkpoint has no chat template that is known");
    }
    for (size_t i = 0; i < LFM2__COUNT_OF(marks); i++) {
        if (lfm2_tokenizer_find(s->tok, marks[i]) >= 0) continue;
        return lfm2__fail(s->rt, LFM2_ERR_UNSUPPORTED, "see: the tokenizer has no token %s: not made for images", marks[i]);
    }
    return 0;
}

/* Room for the largest input of the largest image. */
static int32_t run_patches(const lfm2_vision_params *p)
{
    const int64_t side = p->tile_px / p->patch_px, tile = side * side;
    const int64_t image = (int64_t)p->max_image_tok * p->downsample * p->downsample;
    const int64_t most = 2 * (tile > image ? tile : image);
    return (int32_t)(most < MIN_RUN_PATCHES ? MIN_RUN_PATCHES : most > MAX_RUN_PATCHES ? MAX_RUN_PATCHES : most);
}

int lfm2_see_create(lfm2_model *model, const lfm2_tokenizer *tok, const lfm2_vision *vision, const lfm2_see_params *params,
                    lfm2_see **out)
{
    if (model == NULL || tok == NULL || vision == NULL || out == NULL) return LFM2_ERR_ARG;
    lfm2_runtime *rt = vision->rt;
    const lfm2_config *config = lfm2_model_config(model);
    lfm2_session_params sp = lfm2_session_params_default(model);
    lfm2_see *s = lfm2__calloc(rt, 1, sizeof *s);
    if (s == NULL) return LFM2_ERR_NOMEM;

    s->rt = rt;
    s->model = model;
    s->tok = tok;
    s->vision = vision;
    s->params = params != NULL ? *params : lfm2_see_params_default();
    s->d_model = config->d_model;
    s->n_vocab = config->n_vocab;
    lfm2__see_cache_init(&s->cache, rt, s->params.cache_bytes);
    int rc = check_params(rt, &s->params, config->n_ctx_max);
    if (rc < 0) goto fail;
    s->cap_tok = s->params.cap_tok;
    if (s->cap_tok == 0) s->cap_tok = config->n_ctx_max < DEFAULT_CONTEXT_TOK ? config->n_ctx_max : DEFAULT_CONTEXT_TOK;
    if ((rc = set_image_params(s)) < 0 || (rc = check_parts(s)) < 0) goto fail;
    if ((rc = lfm2__confidence_load(lfm2_model_weights(model), "see", &s->confidence)) < 0) goto fail;
    sp.cap_tok = s->cap_tok;
    sp.cap_rewind = 0;
    if ((rc = lfm2_session_create(model, &sp, &s->session)) < 0) goto fail;
    if ((rc = lfm2_batch_create(s->session, 0, 1, &s->batch)) < 0) goto fail;
    if ((rc = lfm2_vision_run_create(vision, run_patches(&s->image_params), &s->run)) < 0) goto fail;
    *out = s;
    return 0;
fail:
    lfm2_see_destroy(s);
    return rc;
}

void lfm2_see_destroy(lfm2_see *s)
{
    if (s == NULL) return;
    lfm2__see_lines_destroy(s);
    lfm2__see_talk_reset(s);
    lfm2_batch_destroy(s->batch);
    lfm2_session_destroy(s->session);
    lfm2_vision_run_destroy(s->run);
    lfm2__see_pending_fini(s);
    lfm2__see_cache_fini(&s->cache);
    lfm2__free(s->rt, s);
}

void lfm2_see_reset(lfm2_see *s)
{
    if (s != NULL) lfm2__see_talk_reset(s);
}

void lfm2_see_counts(const lfm2_see *s, int64_t *n_encoded, int64_t *n_cached)
{
    if (n_encoded != NULL) *n_encoded = s->n_encoded;
    if (n_cached != NULL) *n_cached = s->n_cached;
}

const lfm2_vision_params *lfm2_see_image_params(const lfm2_see *s)
{
    return &s->image_params;
}

int lfm2_see_is_calibrated(const lfm2_see *s)
{
    return s->confidence.is_calibrated;
}

/* --- requests --- */

static int may_sample(void *ctx, int32_t id)
{
    const lfm2_see *s = ctx;
    return lfm2_tokenizer_is_defined(s->tok, id);
}

int lfm2__see_sampler(lfm2_see *s, const lfm2_see_request *request, lfm2_sampler **out)
{
    return lfm2_sampler_create(s->rt, &request->sampler, s->n_vocab, may_sample, s, out);
}

lfm2_generate_params lfm2__see_generation(const lfm2_see *s, const lfm2_see_request *request, int64_t start_us)
{
    lfm2_generate_params p = request->generate;

    if (p.end_ids == NULL) p.end_ids = lfm2_tokenizer_end_ids(s->tok, &p.n_end_ids);
    if (p.deadline_us > 0) {
        const int64_t spent_us = lfm2__now_us() - start_us;
        p.deadline_us = p.deadline_us > spent_us ? p.deadline_us - spent_us : 1;
    }
    return p;
}

static int check_text(lfm2_runtime *rt, const char *name, const char *text)
{
    const size_t n = text != NULL ? strlen(text) : 0;
    if (text == NULL || lfm2__utf8_valid_n(text, n) == n) return 0;
    return lfm2__fail(rt, LFM2_ERR_UTF8, "see: %s: not valid UTF-8", name);
}

static int is_image(const lfm2_image *image)
{
    return image->rgb != NULL && image->width > 0 && image->height > 0 && image->stride_bytes / 3 >= (size_t)image->width &&
           lfm2_buf_bytes(image->rgb) / image->stride_bytes >= (size_t)image->height;
}

static int check_request(lfm2_see *s, const lfm2_image *images, int32_t n_images, const lfm2_see_request *r)
{
    const char *why = NULL;
    int rc;

    if (n_images < 0 || (n_images > 0 && images == NULL)) why = "images";
    else if (r->task > LFM2_SEE_ASK || r->caption > LFM2_SEE_ALT || r->layout > LFM2_SEE_LINES) why = "task, caption or layout";
    else if (r->task == LFM2_SEE_ASK && r->prompt == NULL) why = "a question without a prompt";
    else if (r->layout == LFM2_SEE_LINES && (r->task != LFM2_SEE_OCR || n_images != 1)) why = "lines are read in one image";
    else if (n_images == 0 && !(r->keep && s->talk.is_under_way)) why = "no image, and none before";
    else if (r->generate.deadline_us < 0) why = "deadline_us";
    for (int32_t i = 0; why == NULL && i < n_images; i++) {
        if (!is_image(&images[i])) why = "an image without pixels";
    }
    if (why != NULL) return lfm2__fail(s->rt, LFM2_ERR_ARG, "see: %s", why);
    rc = check_text(s->rt, "prompt", r->prompt);
    return rc == 0 ? check_text(s->rt, "system", r->system) : rc;
}

/* A page with nothing on it: nobody is asked. */
static int set_blank(const lfm2_image *image, lfm2__see_outcome *out)
{
    out->r.blank = 1;
    out->r.text = lfm2__strndup(out->rt, "", 0);
    out->r.images = lfm2__calloc(out->rt, 1, sizeof *out->r.images);
    if (out->r.text == NULL || out->r.images == NULL) return LFM2_ERR_NOMEM;
    out->r.n_images = 1;
    out->r.images[0] = (lfm2_see_image_info){.width = image->width, .height = image->height, .tile_cols = 1, .tile_rows = 1,
                                             .partial = image->partial};
    return 0;
}

int lfm2_see_run(lfm2_see *s, const lfm2_image *images, int32_t n_images, const lfm2_see_request *request, lfm2_see_result **out)
{
    if (s == NULL || request == NULL || out == NULL) return LFM2_ERR_ARG;
    int rc = check_request(s, images, n_images, request);
    if (rc < 0) return rc;
    lfm2__see_outcome *o = lfm2__calloc(s->rt, 1, sizeof *o);
    if (o == NULL) return LFM2_ERR_NOMEM;
    o->rt = s->rt;
    o->r.task = request->task;
    o->r.layout = request->layout;
    o->r.stop = LFM2_STOP_EOS;
    o->r.confidence = -1;
    const int reads_page = request->task == LFM2_SEE_OCR && n_images == 1 && !request->keep;
    if (reads_page && lfm2__see_is_blank(&images[0])) rc = set_blank(&images[0], o);
    else if (request->layout == LFM2_SEE_LINES) rc = lfm2__see_run_lines(s, &images[0], request, o);
    else rc = lfm2__see_run_talk(s, images, n_images, request, o);
    if (rc < 0) {
        lfm2_see_result_destroy(&o->r);
        return rc;
    }
    *out = &o->r;
    return 0;
}

void lfm2_see_result_destroy(lfm2_see_result *r)
{
    lfm2__see_outcome *o = (lfm2__see_outcome *)(void *)r; /* its first member */

    if (r == NULL) return;
    for (int32_t i = 0; r->lines != NULL && i < r->n_lines; i++) lfm2__free(o->rt, r->lines[i].text);
    lfm2__free(o->rt, r->lines);
    lfm2__free(o->rt, r->images);
    lfm2__free(o->rt, r->text);
    lfm2__free(o->rt, o);
}
