/* SPDX-License-Identifier: Apache-2.0
 * lfm2-model tokenize, detokenize, template; and prompts for the verbs that run a model. */
#include <stdlib.h>
#include <string.h>

#include "tools/model_verbs.h"

#define MAX_MESSAGES_BYTES ((size_t)64 << 20)

static int no_memory(tool *t, const char *what)
{
    return tool_fail(t, TOOL_NOMEM, "%s: %s", what, lfm2_strerror(LFM2_ERR_NOMEM));
}

int model_tokenize(tool *t)
{
    unsigned flags = cli_flag(&t->cli, "special") ? LFM2_ENCODE_SPECIAL : 0;
    json_out j = {0};
    char *text = NULL;
    int32_t *ids = NULL;
    size_t n = 0, n_ids = 0, i;
    int rc = tool_read_prompt(t, &text, &n);

    if (rc == 0) rc = tool_open_tokenizer(t);
    if (rc) goto end;
    ids = malloc((n + 1) * sizeof *ids); /* a token has one byte at least */
    if (!ids) {
        rc = no_memory(t, "ids");
        goto end;
    }
    rc = lfm2_tokenizer_encode(t->tok, text, n, flags, ids, n + 1, &n_ids);
    if (rc < 0) {
        rc = tool_fail_status(t, rc, TOOL_AT_INPUT, "prompt");
        goto end;
    }
    json_begin_object(&j, NULL);
    json_begin_array(&j, "ids");
    for (i = 0; i < n_ids; i++) json_put_int(&j, NULL, ids[i]);
    json_end_array(&j);
    json_end_object(&j);
    rc = tool_write_json(t, &j);
end:
    free(ids);
    free(text);
    return rc;
}

static int print_text(tool *t, const char *text, size_t n)
{
    json_out j = {0};

    json_begin_object(&j, NULL);
    json_put_text_n(&j, "text", text, n);
    json_end_object(&j);
    return tool_write_json(t, &j);
}

int model_detokenize(tool *t)
{
    const char *list = cli_text(&t->cli, "ids");
    unsigned flags = cli_flag(&t->cli, "skip-special") ? 0 : LFM2_DECODE_SPECIAL;
    int32_t *ids = NULL;
    char *text = NULL;
    size_t n_ids, n;
    int rc;

    if (cli_flag(&t->cli, "special") && !flags) return tool_fail(t, TOOL_USAGE, "--special and --skip-special exclude each other");
    if (!list) return tool_fail(t, TOOL_USAGE, "no ids: give --ids LIST");
    rc = tool_parse_ids(t, list, &ids, &n_ids);
    if (rc == 0) rc = tool_open_tokenizer(t);
    if (rc == 0) {
        rc = lfm2_tokenizer_decode(t->tok, ids, n_ids, flags, &text, &n);
        rc = rc < 0 ? tool_fail_status(t, rc, TOOL_AT_INPUT, "--ids") : print_text(t, text, n);
    }
    lfm2_tokenizer_free_text(t->tok, text);
    free(ids);
    return rc;
}

int model_chat_params(tool *t, lfm2_chat_params *out)
{
    const char *name = cli_text(&t->cli, "chat-template");

    memset(out, 0, sizeof *out);
    out->add_generation_prompt = 1;
    out->keep_thinking = cli_flag(&t->cli, "keep-thinking");
    if (name) {
        out->variant = (lfm2_chat_variant)((int)LFM2_CHAT_LFM2 + (int)cli_int(&t->cli, "chat-template"));
    } else if (lfm2_tokenizer_chat_variant(t->tok) == LFM2_CHAT_AUTO) {
        return tool_fail(t, TOOL_MODEL, "the model has no chat template, or an unknown one; choose one with --chat-template (lfm2, "
                                        "lfm2.5, lfm2.5-moe or vl)");
    }
    return 0;
}

int model_template(tool *t)
{
    const char *path = cli_text(&t->cli, "messages");
    lfm2_chat_params params;
    char *messages = NULL, *text = NULL;
    size_t n_messages, n;
    int rc;

    if (!path) return tool_fail(t, TOOL_USAGE, "no messages: give --messages FILE, or - for standard input");
    rc = tool_read(t, path, MAX_MESSAGES_BYTES, &messages, &n_messages);
    if (rc == 0) rc = tool_open_tokenizer(t);
    if (rc == 0) rc = model_chat_params(t, &params);
    if (rc == 0) {
        rc = lfm2_chat_render(t->tok, messages, n_messages, &params, &text, &n);
        rc = rc < 0 ? tool_fail_status(t, rc, TOOL_AT_INPUT, "messages") : print_text(t, text, n);
    }
    lfm2_tokenizer_free_text(t->tok, text);
    free(messages);
    return rc;
}

/* --- prompts --- */

static void put_message(json_out *j, const char *role, const char *text, size_t n)
{
    json_begin_object(j, NULL);
    json_put_text(j, "role", role);
    json_put_text_n(j, "content", text, n);
    json_end_object(j);
}

/* A message with a medium before its text. */
static void put_media_message(json_out *j, const char *role, const model_turn *turn)
{
    json_begin_object(j, NULL);
    json_put_text(j, "role", role);
    json_begin_array(j, "content");
    json_begin_object(j, NULL);
    json_put_text(j, "type", turn->slot == LFM2_SLOT_IMAGE ? "image" : "audio");
    json_end_object(j);
    if (turn->text) {
        json_begin_object(j, NULL);
        json_put_text(j, "type", "text");
        json_put_text_n(j, "text", turn->text, turn->n);
        json_end_object(j);
    }
    json_end_array(j);
    json_end_object(j);
}

int model_messages(tool *t, const char *sys, const model_turn *turns, size_t n_turns, json_out *out)
{
    size_t i;

    if (sys && !tool_is_utf8(sys, strlen(sys))) return tool_fail(t, TOOL_MALFORMED, "--system: %s", lfm2_strerror(LFM2_ERR_UTF8));
    json_begin_array(out, NULL);
    if (sys) put_message(out, "system", sys, strlen(sys));
    for (i = 0; i < n_turns; i++) {
        const char *role = i % 2 ? "assistant" : "user";
        if (turns[i].slot) put_media_message(out, role, &turns[i]);
        else put_message(out, role, turns[i].text, turns[i].n);
    }
    json_end_array(out);
    return json_finish(out) < 0 ? no_memory(t, "messages") : 0;
}

static int refuse_length(tool *t, size_t n_ids, size_t cap)
{
    return tool_fail(t, TOOL_MALFORMED, "prompt: %zu tokens, but the context holds %zu", n_ids, cap);
}

int model_encode_raw(tool *t, const char *text, size_t n, size_t cap, int32_t **ids, size_t *n_ids)
{
    unsigned flags = cli_flag(&t->cli, "special") ? LFM2_ENCODE_SPECIAL : 0;
    int32_t bos = lfm2_tokenizer_bos(t->tok);
    size_t first = lfm2_tokenizer_adds_bos(t->tok) && bos >= 0;
    int rc;

    *ids = malloc((cap + 1) * sizeof **ids);
    if (!*ids) return no_memory(t, "prompt");
    (*ids)[0] = bos;
    rc = lfm2_tokenizer_encode(t->tok, text, n, flags, *ids + first, cap - first, n_ids);
    if (rc == LFM2_ERR_RANGE) return refuse_length(t, *n_ids + first, cap);
    if (rc < 0) return tool_fail_status(t, rc, TOOL_AT_INPUT, "prompt");
    *n_ids += first;
    return *n_ids ? 0 : tool_fail(t, TOOL_MALFORMED, "prompt: empty");
}

int model_encode_messages(tool *t, const json_out *messages, size_t cap, int32_t **ids, size_t *n_ids)
{
    const unsigned flags = LFM2_CHAT_MEDIA_SLOTS | (cli_flag(&t->cli, "special") ? LFM2_CHAT_TRUST_CONTENT : 0);
    lfm2_chat_params params;
    int rc = model_chat_params(t, &params);

    if (rc) return rc;
    *ids = malloc((cap + 1) * sizeof **ids);
    if (!*ids) return no_memory(t, "prompt");
    rc = lfm2_chat_encode(t->tok, messages->data, messages->n, &params, flags, *ids, cap, n_ids);
    if (rc == LFM2_ERR_RANGE) return refuse_length(t, *n_ids, cap);
    return rc < 0 ? tool_fail_status(t, rc, TOOL_AT_INPUT, "prompt") : 0;
}
