/* SPDX-License-Identifier: Apache-2.0
 * Slots filled: marks around and between the embeddings of an image, embeddings of a sound as they are. */
#include "lfm2/prompt.h"

#include <stdio.h>
#include <string.h>

#include "base/runtime_impl.h"
#include "tokenizers/tok_impl.h"

struct lfm2_prompt {
    lfm2_runtime *rt;
    lfm2_prompt_part *parts;
    int32_t *ids; /* as shown; parts of ids point into it */
    int32_t n_parts, n_ids, n_tok, n_media_tok;
};

/* The same walk counts, with an empty prompt, and writes. */
typedef struct writer {
    const lfm2_tokenizer *tok;
    lfm2_prompt *p;       /* parts and ids NULL: count */
    int64_t n_parts, n_ids, n_tok, n_media_tok;
    int64_t n_open;       /* ids since the last part */
    int32_t image_id;
} writer;

static void put_id(writer *w, int32_t id)
{
    if (w->p->ids != NULL) w->p->ids[w->n_ids] = id;
    w->n_ids++;
    w->n_tok++;
    w->n_open++;
}

/* The ids since the last part become a part. */
static void close_ids(writer *w)
{
    if (w->n_open == 0) return;
    if (w->p->parts != NULL) {
        w->p->parts[w->n_parts] = (lfm2_prompt_part){.n_tok = (int32_t)w->n_open, .ids = w->p->ids + w->n_ids - w->n_open};
    }
    w->n_parts++;
    w->n_open = 0;
}

/* n_shown: how often the image token stands for them in the ids. */
static void put_embed(writer *w, const float *embed, int32_t n_tok, int32_t n_shown)
{
    close_ids(w);
    if (w->p->parts != NULL) w->p->parts[w->n_parts] = (lfm2_prompt_part){.n_tok = n_tok, .embed = embed};
    w->n_parts++;
    for (int32_t i = 0; w->p->ids != NULL && i < n_shown; i++) w->p->ids[w->n_ids + i] = w->image_id;
    w->n_ids += n_shown;
    w->n_tok += n_tok;
    w->n_media_tok += n_tok;
}

/* Id of a mark. Returns 0 or LFM2_ERR_UNSUPPORTED. */
static int find_mark(const lfm2_tokenizer *tok, const char *text, int32_t *id)
{
    *id = lfm2_tokenizer_find(tok, text);
    if (*id >= 0 && lfm2_tokenizer_is_special(tok, *id)) return 0;
    return lfm2__fail(tok->rt, LFM2_ERR_UNSUPPORTED, "prompt: the vocabulary has no special token %s", text);
}

static int put_mark(writer *w, const char *text)
{
    int32_t id = -1;
    int rc = find_mark(w->tok, text, &id);
    if (rc == 0) put_id(w, id);
    return rc;
}

/* The mark before an input of an image in several pieces. */
static int put_input_mark(writer *w, const lfm2_vision_plan *plan, int32_t input)
{
    char text[64];
    if (plan->has_thumbnail && input == plan->n_inputs - 1) return put_mark(w, "<|img_thumbnail|>");
    const int32_t row = input / plan->tile_cols + 1, col = input % plan->tile_cols + 1;
    (void)snprintf(text, sizeof(text), "<|img_row_%d_col_%d|>", (int)row, (int)col);
    return put_mark(w, text);
}

static int put_image(writer *w, const lfm2_media *m)
{
    const lfm2_vision_plan *plan = m->plan;
    int rc = find_mark(w->tok, "<image>", &w->image_id);
    if (rc == 0) rc = put_mark(w, "<|image_start|>");
    for (int32_t i = 0; rc == 0 && i < plan->n_inputs; i++) {
        const lfm2_vision_grid *g = &plan->inputs[i];
        const int32_t n_tok = (g->n_rows / m->downsample) * (g->n_cols / m->downsample);
        if (plan->n_inputs > 1) rc = put_input_mark(w, plan, i);
        if (rc == 0) put_embed(w, m->embed[i], n_tok, n_tok);
    }
    return rc == 0 ? put_mark(w, "<|image_end|>") : rc;
}

static int fits_slot(const lfm2_media *m, int32_t slot)
{
    if (m->slot != slot || m->embed == NULL) return 0;
    if (slot == LFM2_SLOT_AUDIO) return m->n_tok > 0 && m->embed[0] != NULL;
    if (slot != LFM2_SLOT_IMAGE || m->plan == NULL || m->downsample < 1) return 0;
    const lfm2_vision_plan *plan = m->plan;
    if (plan->n_inputs < 1 || plan->n_inputs > LFM2_VISION_MAX_INPUTS || plan->tile_cols < 1) return 0;
    for (int32_t i = 0; i < plan->n_inputs; i++) {
        if (m->embed[i] == NULL || plan->inputs[i].n_rows < m->downsample || plan->inputs[i].n_cols < m->downsample) return 0;
    }
    return 1;
}

static int walk(writer *w, const int32_t *ids, size_t n_ids, const lfm2_media *media, int32_t n_media)
{
    int32_t k = 0;
    for (size_t i = 0; i < n_ids; i++) {
        if (ids[i] >= 0) {
            put_id(w, ids[i]);
            continue;
        }
        if (k >= n_media || !fits_slot(&media[k], ids[i])) {
            return lfm2__fail(w->tok->rt, LFM2_ERR_ARG, "prompt: no medium for slot %d, or not one of its kind", (int)k);
        }
        if (ids[i] == LFM2_SLOT_AUDIO) {
            put_embed(w, media[k].embed[0], media[k].n_tok, 0);
        } else {
            int rc = put_image(w, &media[k]);
            if (rc < 0) return rc;
        }
        k++;
        if (w->n_tok > INT32_MAX) return lfm2__fail(w->tok->rt, LFM2_ERR_RANGE, "prompt: more than 2^31 - 1 tokens");
    }
    close_ids(w);
    if (k < n_media) return lfm2__fail(w->tok->rt, LFM2_ERR_ARG, "prompt: %d media, but %d slots", (int)n_media, (int)k);
    if (w->n_tok > INT32_MAX) return lfm2__fail(w->tok->rt, LFM2_ERR_RANGE, "prompt: more than 2^31 - 1 tokens");
    return 0;
}

int lfm2_prompt_create(const lfm2_tokenizer *tok, const int32_t *ids, size_t n_ids, const lfm2_media *media, int32_t n_media,
                       lfm2_prompt **out)
{
    if (tok == NULL || ids == NULL || n_ids == 0 || out == NULL) return LFM2_ERR_ARG;
    if (n_media < 0 || (media == NULL && n_media > 0)) return LFM2_ERR_ARG;
    lfm2_runtime *rt = tok->rt;
    lfm2_prompt *p = lfm2__calloc(rt, 1, sizeof(*p));
    if (p == NULL) return LFM2_ERR_NOMEM;
    p->rt = rt;
    writer count = {.tok = tok, .p = p};
    int rc = walk(&count, ids, n_ids, media, n_media);
    if (rc < 0) goto fail;
    p->parts = lfm2__calloc(rt, (size_t)count.n_parts, sizeof(*p->parts));
    p->ids = lfm2__calloc(rt, (size_t)count.n_ids + 1, sizeof(*p->ids));
    rc = p->parts == NULL || p->ids == NULL ? LFM2_ERR_NOMEM : 0;
    if (rc < 0) goto fail;
    writer write = {.tok = tok, .p = p};
    rc = walk(&write, ids, n_ids, media, n_media);
    if (rc < 0) goto fail;
    p->n_parts = (int32_t)write.n_parts;
    p->n_ids = (int32_t)write.n_ids;
    p->n_tok = (int32_t)write.n_tok;
    p->n_media_tok = (int32_t)write.n_media_tok;
    *out = p;
    return 0;
fail:
    lfm2_prompt_destroy(p);
    return rc;
}

void lfm2_prompt_destroy(lfm2_prompt *p)
{
    if (p == NULL) return;
    lfm2__free(p->rt, p->ids);
    lfm2__free(p->rt, p->parts);
    lfm2__free(p->rt, p);
}

const lfm2_prompt_part *lfm2_prompt_parts(const lfm2_prompt *p, int32_t *n_parts)
{
    *n_parts = p->n_parts;
    return p->parts;
}

int32_t lfm2_prompt_n_tok(const lfm2_prompt *p)
{
    return p->n_tok;
}

int32_t lfm2_prompt_n_media_tok(const lfm2_prompt *p)
{
    return p->n_media_tok;
}

const int32_t *lfm2_prompt_ids(const lfm2_prompt *p, int32_t *n_ids)
{
    *n_ids = p->n_ids;
    return p->ids;
}
