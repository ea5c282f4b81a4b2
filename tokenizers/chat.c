/* SPDX-License-Identifier: Apache-2.0
 * The four chat templates of the family, written out. What a template itself contributes may hold special tokens; what comes from
 * the messages may not, except that an assistant message may hold the thinking and tool call marks its model wrote. */
#include <stdio.h>
#include <string.h>

#include "base/runtime_impl.h"
#include "tokenizers/chat.h"

#define NO_INDEX SIZE_MAX

static const lfm2__json_limits messages_limits = {.max_bytes = (size_t)256 << 20, .max_depth = 64, .max_values = (size_t)1 << 20};

typedef struct chat {
    const lfm2_tokenizer *tok;
    lfm2_chat_variant variant;
    lfm2_chat_params params;
    int media_slots;            /* LFM2_CHAT_MEDIA_SLOTS */
    const lfm2__json *messages; /* a list */
    const lfm2__json *tools;    /* a list with items, or NULL */
    size_t first;               /* message that follows the system text */
    size_t last_user, last_assistant; /* NO_INDEX = none */
    lfm2__prompt out;
} chat;

static int bad(const chat *c, int status, size_t i, const char *field, const char *what)
{
    return lfm2__fail(c->tok->rt, status, "messages[%zu]%s: %s", i, field, what);
}

static const lfm2__json *message(const chat *c, size_t i)
{
    return lfm2__json_at(c->messages, i);
}

/* NULL for a role that is none of the four. */
static const char *role_of(const chat *c, size_t i)
{
    static const char *const roles[] = {"system", "user", "assistant", "tool"};
    const char *role = lfm2__json_str(lfm2__json_get(message(c, i), "role"), NULL);
    size_t r;

    for (r = 0; role != NULL && r < LFM2__COUNT_OF(roles); r++)
        if (strcmp(role, roles[r]) == 0) return roles[r];
    return NULL;
}

static int is_role(const chat *c, size_t i, const char *role)
{
    return strcmp(role_of(c, i), role) == 0;
}

/* The slot of a type of content, or 0. */
static int32_t slot_of(const char *type)
{
    if (type != NULL && strcmp(type, "image") == 0) return LFM2_SLOT_IMAGE;
    return type != NULL && strcmp(type, "audio") == 0 ? LFM2_SLOT_AUDIO : 0;
}

/* One item of a content list (C and D; with media slots all). */
static int put_item(const chat *c, size_t i, size_t k, const lfm2__json *item, lfm2__trust trust, lfm2__prompt *out)
{
    const char *type = lfm2__json_str(lfm2__json_get(item, "type"), NULL), *text;
    char field[64];
    size_t n = 0;

    snprintf(field, sizeof(field), ".content[%zu]", k);
    if (c->media_slots && slot_of(type) != 0) {
        lfm2__prompt_put_slot(out, slot_of(type));
        return 0;
    }
    if (type != NULL && strcmp(type, "image") == 0) {
        lfm2__prompt_puts(out, "<image>", LFM2__TRUST_ALL);
        return 0;
    }
    if (type != NULL && strcmp(type, "text") == 0) {
        text = lfm2__json_str(lfm2__json_get(item, "text"), &n);
        if (text == NULL) return bad(c, LFM2_ERR_FORMAT, i, field, "text is not a string");
        lfm2__prompt_put(out, text, n, trust);
        return 0;
    }
    if (c->variant == LFM2_CHAT_LFM25_MOE) lfm2__put_dumps(out, item, trust);
    else return bad(c, LFM2_ERR_UNSUPPORTED, i, field, "only types text and image, as slots also audio, are supported");
    return 0;
}

/* Content of message i, before thinking is taken away. */
static int put_content(const chat *c, size_t i, lfm2__prompt *out)
{
    const lfm2__json *content = lfm2__json_get(message(c, i), "content");
    const lfm2__trust trust = is_role(c, i, "assistant") ? LFM2__TRUST_HISTORY : LFM2__TRUST_NONE;
    const char *text;
    size_t n = 0, k;
    int is_list, rc = 0;

    text = lfm2__json_str(content, &n);
    if (text != NULL) {
        lfm2__prompt_put(out, text, n, trust);
        return 0;
    }
    if (c->variant == LFM2_CHAT_LFM25_MOE && lfm2__json_typeof(content) == LFM2__JSON_NULL) return 0;
    if (content == NULL) return bad(c, LFM2_ERR_FORMAT, i, ".content", "missing");
    is_list = lfm2__json_typeof(content) == LFM2__JSON_ARRAY;
    if (!(c->media_slots && is_list) && (c->variant == LFM2_CHAT_LFM2 || c->variant == LFM2_CHAT_LFM25)) {
        lfm2__put_dumps(out, content, trust);
        return 0;
    }
    if (!is_list) return bad(c, LFM2_ERR_FORMAT, i, ".content", "not a string and not a list");
    for (k = 0; rc == 0 && k < lfm2__json_size(content); k++) rc = put_item(c, i, k, lfm2__json_at(content, k), trust, out);
    return rc;
}

/* Is the thinking in message i history that the template leaves out? */
static int strips(const chat *c, size_t i)
{
    if (c->params.keep_thinking || !is_role(c, i, "assistant")) return 0;
    if (c->variant == LFM2_CHAT_LFM25) return i != c->last_assistant;
    return c->variant == LFM2_CHAT_LFM25_MOE && c->last_user != NO_INDEX && i <= c->last_user;
}

/* What the template of LFM2.5-8B-A1B puts around the content of an assistant message. */
static int put_thinking(chat *c, size_t i)
{
    const lfm2__json *thinking = lfm2__json_get(message(c, i), "thinking");
    const char *text;
    size_t n = 0;

    if (lfm2__json_typeof(thinking) == LFM2__JSON_NULL || strips(c, i)) return 0;
    text = lfm2__json_str(thinking, &n);
    if (text == NULL) return bad(c, LFM2_ERR_FORMAT, i, ".thinking", "not a string");
    lfm2__prompt_puts(&c->out, "<think>", LFM2__TRUST_ALL);
    lfm2__prompt_put(&c->out, text, n, LFM2__TRUST_NONE);
    lfm2__prompt_puts(&c->out, "</think>", LFM2__TRUST_ALL);
    return 0;
}

static int put_calls(chat *c, size_t i)
{
    const lfm2__json *calls = lfm2__json_get(message(c, i), "tool_calls");
    char field[64];

    if (lfm2__json_typeof(calls) == LFM2__JSON_NULL) return 0;
    snprintf(field, sizeof(field), "messages[%zu].tool_calls", i);
    return lfm2__put_tool_calls(c->tok->rt, field, calls, &c->out);
}

/* Content as it stands in the prompt. */
static int put_body(chat *c, size_t i)
{
    const int wraps = c->variant == LFM2_CHAT_LFM2 && is_role(c, i, "tool");
    lfm2__prompt part;
    size_t begin = 0, end;
    int rc;

    lfm2__prompt_init(&part, c->tok->rt);
    rc = put_content(c, i, &part);
    end = part.text.n;
    if (rc == 0 && end > 0 && strips(c, i)) lfm2__strip_thinking(part.text.data, part.text.n, &begin, &end);
    if (wraps) lfm2__prompt_puts(&c->out, "<|tool_response_start|>", LFM2__TRUST_ALL);
    if (rc == 0) lfm2__prompt_append(&c->out, &part, begin, end);
    if (wraps) lfm2__prompt_puts(&c->out, "<|tool_response_end|>", LFM2__TRUST_ALL);
    lfm2__prompt_fini(&part);
    return rc;
}

static int put_message(chat *c, size_t i)
{
    const int is_moe_answer = c->variant == LFM2_CHAT_LFM25_MOE && is_role(c, i, "assistant");
    int rc = 0;

    lfm2__prompt_puts(&c->out, "<|im_start|>", LFM2__TRUST_ALL);
    lfm2__prompt_puts(&c->out, role_of(c, i), LFM2__TRUST_ALL);
    lfm2__prompt_puts(&c->out, "\n", LFM2__TRUST_ALL);
    if (is_moe_answer) rc = put_thinking(c, i);
    if (rc == 0) rc = put_body(c, i);
    if (rc == 0 && is_moe_answer) rc = put_calls(c, i);
    lfm2__prompt_puts(&c->out, "<|im_end|>\n", LFM2__TRUST_ALL);
    return rc;
}

static void put_tools(const chat *c, lfm2__prompt *out)
{
    const int wraps = c->variant == LFM2_CHAT_LFM2;
    size_t i, n = 0;

    if (out->text.n > 0) lfm2__prompt_puts(out, "\n", LFM2__TRUST_ALL);
    lfm2__prompt_puts(out, wraps ? "List of tools: <|tool_list_start|>[" : "List of tools: [", LFM2__TRUST_ALL);
    for (i = 0; i < lfm2__json_size(c->tools); i++) {
        const char *text = lfm2__json_str(lfm2__json_at(c->tools, i), &n);

        if (i > 0) lfm2__prompt_puts(out, ", ", LFM2__TRUST_ALL);
        if (text != NULL) lfm2__prompt_put(out, text, n, LFM2__TRUST_NONE);
        else lfm2__put_dumps(out, lfm2__json_at(c->tools, i), LFM2__TRUST_NONE);
    }
    lfm2__prompt_puts(out, wraps ? "]<|tool_list_end|>" : "]", LFM2__TRUST_ALL);
}

/* The system text and the tools, in a block of their own if there is anything to say (A to C). */
static int put_system(chat *c)
{
    lfm2__prompt part;
    int rc = 0;

    lfm2__prompt_init(&part, c->tok->rt);
    if (is_role(c, 0, "system")) {
        c->first = 1;
        if (c->variant != LFM2_CHAT_LFM25_MOE && lfm2__json_typeof(lfm2__json_get(message(c, 0), "content")) != LFM2__JSON_STRING)
            rc = bad(c, LFM2_ERR_FORMAT, 0, ".content", "a system text is a string");
        if (rc == 0) rc = put_content(c, 0, &part);
    }
    if (rc == 0 && c->tools != NULL) put_tools(c, &part);
    if (rc == 0 && part.text.status < 0) rc = part.text.status;
    if (rc == 0 && (part.text.n > 0 || part.n_slots > 0)) {
        lfm2__prompt_puts(&c->out, "<|im_start|>system\n", LFM2__TRUST_ALL);
        lfm2__prompt_append(&c->out, &part, 0, part.text.n);
        lfm2__prompt_puts(&c->out, "<|im_end|>\n", LFM2__TRUST_ALL);
    }
    lfm2__prompt_fini(&part);
    return rc;
}

static int check_messages(chat *c)
{
    size_t i;

    c->last_user = c->last_assistant = NO_INDEX;
    for (i = 0; i < lfm2__json_size(c->messages); i++) {
        const lfm2__json *m = message(c, i);

        if (lfm2__json_typeof(m) != LFM2__JSON_OBJECT) return bad(c, LFM2_ERR_FORMAT, i, "", "not an object");
        if (role_of(c, i) == NULL)
            return bad(c, LFM2_ERR_UNSUPPORTED, i, ".role", "only system, user, assistant, tool are supported");
        if (is_role(c, i, "user")) c->last_user = i;
        if (is_role(c, i, "assistant")) c->last_assistant = i;
        if (c->variant != LFM2_CHAT_LFM25_MOE && lfm2__json_typeof(lfm2__json_get(m, "tool_calls")) != LFM2__JSON_NULL)
            lfm2__log(c->tok->rt, LFM2_LOG_WARN,
                      "messages[%zu].tool_calls: the chat template %s leaves them out; put the calls into content", i,
                      lfm2_chat_variant_name(c->variant));
    }
    return 0;
}

static int render(chat *c)
{
    size_t i, n = 0;
    const char *bos = lfm2__vocab_bytes(&c->tok->vocab, c->tok->bos, &n);
    int rc = check_messages(c);

    if (rc < 0) return rc;
    if (bos != NULL) lfm2__prompt_put(&c->out, bos, n, LFM2__TRUST_ALL);
    if (c->variant != LFM2_CHAT_VL) rc = put_system(c);
    for (i = c->first; rc == 0 && i < lfm2__json_size(c->messages); i++) rc = put_message(c, i);
    if (rc < 0) return rc;
    if (c->params.add_generation_prompt) lfm2__prompt_puts(&c->out, "<|im_start|>assistant\n", LFM2__TRUST_ALL);
    return c->out.text.status;
}

/* FNV-1a: names a template without showing it. */
static uint64_t fingerprint(const char *s, size_t n)
{
    uint64_t h = 0xCBF29CE484222325u;
    size_t i;

    for (i = 0; i < n; i++) h = (h ^ (unsigned char)s[i]) * 0x100000001B3u;
    return h;
}

static int choose_variant(chat *c)
{
    const lfm2_tokenizer *tok = c->tok;

    if ((int)c->params.variant < 0 || c->params.variant > LFM2_CHAT_VL) return LFM2_ERR_ARG;
    c->variant = c->params.variant == LFM2_CHAT_AUTO ? tok->chat_variant : c->params.variant;
    if (c->variant != LFM2_CHAT_AUTO) return 0;
    if (tok->chat_template == NULL)
        return lfm2__fail(tok->rt, LFM2_ERR_UNSUPPORTED, "%s: chat template: none; name one of lfm2, lfm2.5, lfm2.5-moe, vl",
                          tok->label);
    return lfm2__fail(tok->rt, LFM2_ERR_UNSUPPORTED,
                      "%s: chat template: %zu bytes with FNV-1a %016llx are none of the known ones; name one of lfm2, lfm2.5, "
                      "lfm2.5-moe, vl",
                      tok->label, tok->chat_template_n, (unsigned long long)fingerprint(tok->chat_template, tok->chat_template_n));
}

/* A list of messages, or {"messages", "tools"}. */
static int read_request(chat *c, const lfm2__json *root)
{
    lfm2_runtime *rt = c->tok->rt;
    const lfm2__json *val = NULL;
    const char *key = NULL;
    size_t key_n = 0;
    void *it = NULL;

    c->messages = root;
    if (lfm2__json_typeof(root) == LFM2__JSON_OBJECT) {
        while (lfm2__json_next(root, &it, &key, &key_n, &val))
            if (strcmp(key, "messages") != 0 && strcmp(key, "tools") != 0)
                return lfm2__fail(rt, LFM2_ERR_FORMAT, "messages: a field beside messages and tools");
        c->messages = lfm2__json_get(root, "messages");
        c->tools = lfm2__json_get(root, "tools");
    }
    if (lfm2__json_typeof(c->messages) != LFM2__JSON_ARRAY || lfm2__json_size(c->messages) == 0)
        return lfm2__fail(rt, LFM2_ERR_FORMAT, "messages: not a list with messages in it");
    if (lfm2__json_typeof(c->tools) != LFM2__JSON_NULL && lfm2__json_typeof(c->tools) != LFM2__JSON_ARRAY)
        return lfm2__fail(rt, LFM2_ERR_FORMAT, "tools: not a list");
    if (lfm2__json_size(c->tools) == 0) c->tools = NULL;
    if (c->tools != NULL && c->variant == LFM2_CHAT_VL)
        return lfm2__fail(rt, LFM2_ERR_UNSUPPORTED, "tools: the chat template vl knows none");
    if (c->tools != NULL && c->tok->chat_dated_tools && c->params.variant == LFM2_CHAT_AUTO)
        return lfm2__fail(rt, LFM2_ERR_UNSUPPORTED,
                          "%s: chat template: it puts today's date beside tools, which is not reproduced; name lfm2.5-moe",
                          c->tok->label);
    return 0;
}

/* Parse and render; c->out is the caller's to fini, also on failure. */
static int render_json(chat *c, const lfm2_tokenizer *tok, const char *json, size_t n, const lfm2_chat_params *params,
                       unsigned flags)
{
    lfm2__json_doc *doc = NULL;
    int rc;

    memset(c, 0, sizeof(*c));
    c->tok = tok;
    c->media_slots = (flags & LFM2_CHAT_MEDIA_SLOTS) != 0;
    c->params = params != NULL ? *params : (lfm2_chat_params){LFM2_CHAT_AUTO, 1, 0};
    lfm2__prompt_init(&c->out, tok->rt);
    rc = choose_variant(c);
    if (rc < 0) return rc;
    rc = lfm2__json_parse(tok->rt, "messages", json, n, &messages_limits, &doc);
    if (rc == 0) rc = read_request(c, lfm2__json_root(doc));
    if (rc == 0) rc = render(c);
    lfm2__json_free(doc);
    return rc;
}

int lfm2_chat_render(const lfm2_tokenizer *tok, const char *messages_json, size_t n, const lfm2_chat_params *params, char **text,
                     size_t *text_n)
{
    chat c;
    int rc;

    if (tok == NULL || messages_json == NULL || text == NULL) return LFM2_ERR_ARG;
    rc = render_json(&c, tok, messages_json, n, params, 0);
    if (rc == 0) rc = lfm2__str_take(&c.out.text, text, text_n);
    lfm2__prompt_fini(&c.out);
    return rc;
}

/* Without these tokens a prompt would be encoded as text and nobody would notice. */
static int check_marks(const lfm2_tokenizer *tok)
{
    static const char *const marks[] = {"<|im_start|>", "<|im_end|>"};
    size_t i;

    for (i = 0; i < LFM2__COUNT_OF(marks); i++)
        if (!lfm2_tokenizer_is_special(tok, lfm2__vocab_find_added(&tok->vocab, marks[i], strlen(marks[i]))))
            return lfm2__fail(tok->rt, LFM2_ERR_UNSUPPORTED, "%s: chat: the vocabulary has no special token %s", tok->label,
                              marks[i]);
    return 0;
}

int lfm2_chat_encode(const lfm2_tokenizer *tok, const char *messages_json, size_t n, const lfm2_chat_params *params, unsigned flags,
                     int32_t *ids, size_t cap, size_t *n_ids)
{
    const unsigned known = LFM2_CHAT_TRUST_CONTENT | LFM2_CHAT_MEDIA_SLOTS;
    chat c;
    int rc;

    if (tok == NULL || messages_json == NULL || n_ids == NULL || (flags & ~known) != 0) return LFM2_ERR_ARG;
    rc = check_marks(tok);
    if (rc < 0) return rc;
    rc = render_json(&c, tok, messages_json, n, params, flags);
    if (rc == 0) rc = lfm2__prompt_encode(tok, &c.out, (flags & LFM2_CHAT_TRUST_CONTENT) != 0, ids, cap, n_ids);
    lfm2__prompt_fini(&c.out);
    return rc;
}
