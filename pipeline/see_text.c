/* SPDX-License-Identifier: Apache-2.0
 * Text: messages and prompts going in, text coming out token by token. */
#include <string.h>

#include "base/json.h"
#include "pipeline/see_impl.h"

/* --- prompts --- */

int lfm2__see_prompt(const lfm2_see *s, const int32_t *ids, size_t n_ids, const lfm2__see_picture *pictures, int32_t n_pictures,
                     lfm2_prompt **out)
{
    lfm2_media *media = NULL;

    if (n_pictures > 0) {
        media = lfm2__calloc(s->rt, (size_t)n_pictures, sizeof *media);
        if (media == NULL) return LFM2_ERR_NOMEM;
    }
    for (int32_t i = 0; i < n_pictures; i++) {
        media[i] = (lfm2_media){.slot = LFM2_SLOT_IMAGE, .plan = &pictures[i].plan, .downsample = s->image_params.downsample,
                                .embed = pictures[i].embed};
    }
    const int rc = lfm2_prompt_create(s->tok, ids, n_ids, media, n_pictures, out);
    lfm2__free(s->rt, media);
    return rc;
}

/* --- messages --- */

const char *lfm2__see_prompt_text(const lfm2_see_request *request)
{
    return request->prompt != NULL ? request->prompt : lfm2_see_task_prompt(request->task, request->caption);
}

static void put_message(lfm2__str *json, const char *role)
{
    if (json->n > 0) lfm2__str_puts(json, ",");
    lfm2__str_puts(json, "{\"role\":\"");
    lfm2__str_puts(json, role);
    lfm2__str_puts(json, "\",\"content\":");
}

void lfm2__see_put_system(lfm2__str *json, const char *text)
{
    put_message(json, "system");
    lfm2__json_put_string(json, text, strlen(text));
    lfm2__str_puts(json, "}");
}

void lfm2__see_put_user(lfm2__str *json, int32_t n_images, const char *text)
{
    put_message(json, "user");
    lfm2__str_puts(json, "[");
    for (int32_t i = 0; i < n_images; i++) lfm2__str_puts(json, "{\"type\":\"image\"},");
    lfm2__str_puts(json, "{\"type\":\"text\",\"text\":");
    lfm2__json_put_string(json, text, strlen(text));
    lfm2__str_puts(json, "}]}");
}

int lfm2__see_encode_messages(const lfm2_see *s, const lfm2__str *messages, int32_t **ids, size_t *n_ids)
{
    const unsigned flags = LFM2_CHAT_MEDIA_SLOTS;
    const lfm2_chat_params chat = {.variant = LFM2_CHAT_AUTO, .add_generation_prompt = 1};
    lfm2__str list;
    int32_t *out = NULL;
    size_t n = 0;

    lfm2__str_init(&list, s->rt);
    lfm2__str_puts(&list, "[");
    lfm2__str_put(&list, messages->data, messages->n);
    lfm2__str_puts(&list, "]");
    int rc = messages->status < 0 ? messages->status : list.status;
    if (rc == 0) rc = lfm2_chat_encode(s->tok, list.data, list.n, &chat, flags, NULL, 0, &n);
    if (rc == LFM2_ERR_RANGE) {
        out = lfm2__calloc(s->rt, n, sizeof *out);
        rc = out == NULL ? LFM2_ERR_NOMEM : lfm2_chat_encode(s->tok, list.data, list.n, &chat, flags, out, n, &n);
    } else if (rc == 0) {
        rc = lfm2__fail(s->rt, LFM2_ERR_UNSUPPORTED, "prompt: the chat template makes no tokens");
    }
    lfm2__str_fini(&list);
    if (rc < 0) {
        lfm2__free(s->rt, out);
        return rc;
    }
    *ids = out;
    *n_ids = n;
    return 0;
}

/* --- text --- */

void lfm2__see_text_init(lfm2__see_text *t, lfm2_runtime *rt, const lfm2_tokenizer *tok)
{
    memset(t, 0, sizeof *t);
    t->tok = tok;
    lfm2__str_init(&t->str, rt);
}

void lfm2__see_text_fini(lfm2__see_text *t)
{
    lfm2__str_fini(&t->str);
}

static void give(lfm2__see_text *t, const char *text, size_t n)
{
    lfm2__str_put(&t->str, text, n);
    if (n > 0 && t->on_text != NULL && !t->called_off && t->on_text(t->ctx, text, n) != 0) t->called_off = 1;
}

#define PIECE 256

int lfm2__see_text_token(lfm2__see_text *t, int32_t id)
{
    size_t n = 0, n_out;
    const char *bytes = lfm2_tokenizer_bytes(t->tok, id, &n);
    char out[PIECE * 3 + 12];

    if (bytes == NULL || lfm2_tokenizer_is_special(t->tok, id)) return t->called_off;
    while (n > 0) {
        const size_t piece = n < PIECE ? n : PIECE;
        lfm2_utf8_push(&t->utf8, bytes, piece, out, &n_out);
        give(t, out, n_out);
        bytes += piece;
        n -= piece;
    }
    return t->called_off || t->str.status < 0;
}

void lfm2__see_text_finish(lfm2__see_text *t)
{
    char out[12];
    size_t n_out;

    lfm2_utf8_finish(&t->utf8, out, &n_out);
    give(t, out, n_out);
}
