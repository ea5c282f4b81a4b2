/* SPDX-License-Identifier: Apache-2.0
 * Tokenizer from the keys of a GGUF file. */
#include <stdio.h>
#include <string.h>

#include "base/runtime_impl.h"
#include "tokenizers/tok_impl.h"
#include "weights/weights_impl.h"

#define MAX_TEMPLATE_BYTES ((size_t)1 << 20)

static int refuse(const lfm2_tokenizer *tok, int status, const char *key, const char *what)
{
    return lfm2__fail(tok->rt, status, "%s: %s: %s", tok->label, key, what);
}

static int is_text(const char *s, size_t n, const char *text)
{
    return n == strlen(text) && memcmp(s, text, n) == 0;
}

/* Names under which files have the family's pattern. */
static int is_known_pre(const char *s, size_t n)
{
    return is_text(s, n, "lfm2") || is_text(s, n, "llama3") || is_text(s, n, "llama-v3") || is_text(s, n, "llama-bpe");
}

static int read_kind_of_model(lfm2_tokenizer *tok, const lfm2_weights *w)
{
    const char *model = NULL, *pre = NULL;
    size_t model_n = 0, pre_n = 0;
    int rc;

    rc = lfm2__weights_kv_str(w, "tokenizer.ggml.model", &model, &model_n);
    if (rc == 0) rc = lfm2__weights_kv_str(w, "tokenizer.ggml.pre", &pre, &pre_n);
    if (rc < 0) return rc;
    if (model == NULL) return refuse(tok, LFM2_ERR_NOT_FOUND, "tokenizer.ggml.model", "the file has no tokenizer");
    if (!is_text(model, model_n, "gpt2"))
        return refuse(tok, LFM2_ERR_UNSUPPORTED, "tokenizer.ggml.model", "only gpt2 is supported");
    if (pre == NULL || !is_known_pre(pre, pre_n))
        return refuse(tok, LFM2_ERR_UNSUPPORTED, "tokenizer.ggml.pre", "only lfm2 and llama-bpe (llama3) are supported");
    tok->ignore_merges = 1; /* goes with these names */
    tok->std_pattern = 1;
    return lfm2__pretok_create(tok->rt, tok->label, "pre-tokeniser", lfm2__pretok_lfm2, strlen(lfm2__pretok_lfm2), &tok->pretok);
}

/* An array of strings (or of integers). */
static const lfm2__kv *find_array(const lfm2_weights *w, const char *key, int of_strings)
{
    const lfm2__kv *kv = lfm2__weights_find_kv(w, key);

    if (kv == NULL || kv->type != LFM2__KV_ARRAY) return NULL;
    return (of_strings ? kv->elem_type == LFM2__KV_STRING : lfm2__kv_is_int(kv->elem_type)) ? kv : NULL;
}

/* Next string of an array; its length is checked again, as the file may have been changed since it was opened. */
static const char *next_str(const lfm2__kv *kv, const unsigned char **cursor, size_t *n)
{
    const unsigned char *end = kv->data + kv->n_bytes;
    const char *s = (size_t)(end - *cursor) >= 8 ? lfm2__kv_next_str(kv, cursor, n) : NULL;

    return s != NULL && *n <= (size_t)(end - (const unsigned char *)s) ? s : NULL;
}

/* Rows beyond the vocabulary are named [PADn] with their number, by converters that do not mark them as unused, too. */
static int is_padding(const char *s, size_t n, uint64_t id)
{
    char name[32];
    int len = snprintf(name, sizeof(name), "[PAD%llu]", (unsigned long long)id);

    return (size_t)len == n && memcmp(s, name, n) == 0;
}

static int read_tokens(lfm2_tokenizer *tok, const lfm2_weights *w)
{
    const lfm2__kv *tokens = find_array(w, "tokenizer.ggml.tokens", 1), *types = find_array(w, "tokenizer.ggml.token_type", 0);
    const unsigned char *cursor;
    const char *text, *why = "";
    int32_t n_defined = 0;
    uint64_t i;
    size_t n = 0;
    int rc;

    if (tokens == NULL) return refuse(tok, LFM2_ERR_FORMAT, "tokenizer.ggml.tokens", "not a list of strings");
    if (types == NULL) return refuse(tok, LFM2_ERR_FORMAT, "tokenizer.ggml.token_type", "not a list of integers");
    if (tokens->n_elems == 0) return refuse(tok, LFM2_ERR_FORMAT, "tokenizer.ggml.tokens", "empty");
    if (tokens->n_elems > LFM2__MAX_IDS) return refuse(tok, LFM2_ERR_LIMIT, "tokenizer.ggml.tokens", "more than 1048576 tokens");
    if (types->n_elems != tokens->n_elems)
        return refuse(tok, LFM2_ERR_FORMAT, "tokenizer.ggml.token_type", "not as long as tokenizer.ggml.tokens");
    rc = lfm2__vocab_init(&tok->vocab, tok->rt, (int32_t)tokens->n_elems);
    for (i = 0, cursor = tokens->data; rc == 0 && i < tokens->n_elems; i++) {
        int64_t type = lfm2__kv_int_at(types, i);

        text = next_str(tokens, &cursor, &n);
        if (text == NULL) return refuse(tok, LFM2_ERR_IO, "tokenizer.ggml.tokens", "the file changed while it was read");
        if (type == LFM2__TOK_UNUSED || (type == LFM2__TOK_NORMAL && is_padding(text, n, i))) continue;
        if (type != LFM2__TOK_NORMAL && type != LFM2__TOK_CONTROL && type != LFM2__TOK_USER)
            return lfm2__fail(tok->rt, LFM2_ERR_UNSUPPORTED,
                              "%s: tokenizer.ggml.token_type[%d]: %lld, only 1, 3, 4, 5 are supported",
                              tok->label, (int)i, (long long)type);
        rc = lfm2__vocab_set(&tok->vocab, (int32_t)i, (lfm2__tok_kind)type, text, n, &why);
        if (rc < 0) return lfm2__fail(tok->rt, rc, "%s: tokenizer.ggml.tokens[%d]: %s", tok->label, (int)i, why);
        n_defined = (int32_t)i + 1;
    }
    if (rc == 0 && n_defined == 0) return refuse(tok, LFM2_ERR_FORMAT, "tokenizer.ggml.tokens", "nothing but unused tokens");
    if (rc == 0) tok->vocab.n_ids = n_defined;
    return rc;
}

static int read_merges(lfm2_tokenizer *tok, const lfm2_weights *w)
{
    const lfm2__kv *merges = find_array(w, "tokenizer.ggml.merges", 1);
    const unsigned char *cursor;
    const char *text, *space, *why = "";
    uint64_t i;
    size_t n = 0, left_n;
    int rc;

    if (merges == NULL) return refuse(tok, LFM2_ERR_FORMAT, "tokenizer.ggml.merges", "not a list of strings");
    if (merges->n_elems > LFM2__MAX_MERGES) return refuse(tok, LFM2_ERR_LIMIT, "tokenizer.ggml.merges", "more than 4194304 merges");
    rc = lfm2__bpe_init(&tok->bpe, tok->rt, (size_t)merges->n_elems);
    for (i = 0, cursor = merges->data; rc == 0 && i < merges->n_elems; i++) {
        text = next_str(merges, &cursor, &n);
        if (text == NULL) return refuse(tok, LFM2_ERR_IO, "tokenizer.ggml.merges", "the file changed while it was read");
        space = n > 0 ? memchr(text, ' ', n) : NULL;
        if (space == NULL)
            return lfm2__fail(tok->rt, LFM2_ERR_FORMAT, "%s: tokenizer.ggml.merges[%d]: not a pair", tok->label, (int)i);
        left_n = (size_t)(space - text);
        rc = lfm2__bpe_add(&tok->bpe, &tok->vocab, text, left_n, space + 1, n - left_n - 1, &why);
        if (rc < 0) return lfm2__fail(tok->rt, rc, "%s: tokenizer.ggml.merges[%d]: %s", tok->label, (int)i, why);
    }
    return rc;
}

static int read_id(lfm2_tokenizer *tok, const lfm2_weights *w, const char *key, int32_t *id)
{
    int64_t v = -1;
    int rc = lfm2__weights_kv_int(w, key, 0, tok->vocab.n_ids - 1, &v);

    if (rc < 0 || v < 0) return rc;
    if (!lfm2_tokenizer_is_defined(tok, (int32_t)v)) return refuse(tok, LFM2_ERR_FORMAT, key, "a token that is not defined");
    *id = (int32_t)v;
    return 0;
}

static int read_template(lfm2_tokenizer *tok, const lfm2_weights *w)
{
    const char *text = NULL;
    size_t n = 0;
    int rc = lfm2__weights_kv_str(w, "tokenizer.chat_template", &text, &n);

    if (rc < 0 || text == NULL) return rc;
    if (n > MAX_TEMPLATE_BYTES) return refuse(tok, LFM2_ERR_LIMIT, "tokenizer.chat_template", "over 1 MiB");
    tok->chat_template = lfm2__strndup(tok->rt, text, n);
    tok->chat_template_n = n;
    return tok->chat_template != NULL ? 0 : LFM2_ERR_NOMEM;
}

int lfm2__tok_read_gguf(lfm2_tokenizer *tok, const lfm2_weights *w)
{
    int32_t turn_end = -1;
    int rc;

    rc = read_kind_of_model(tok, w);
    if (rc == 0) rc = read_tokens(tok, w);
    if (rc == 0) rc = read_merges(tok, w);
    if (rc == 0) rc = read_id(tok, w, "tokenizer.ggml.bos_token_id", &tok->bos);
    if (rc == 0) rc = read_id(tok, w, "tokenizer.ggml.eos_token_id", &tok->eos);
    if (rc == 0) rc = read_id(tok, w, "tokenizer.ggml.padding_token_id", &tok->pad);
    if (rc == 0) rc = read_id(tok, w, "tokenizer.ggml.eot_token_id", &turn_end);
    if (rc == 0) rc = lfm2__tok_add_end_id(tok, turn_end);
    if (rc == 0) rc = lfm2__weights_kv_bool(w, "tokenizer.ggml.add_bos_token", &tok->adds_bos);
    tok->adds_bos_known = lfm2__weights_find_kv(w, "tokenizer.ggml.add_bos_token") != NULL;
    if (rc == 0) rc = read_template(tok, w);
    return rc;
}
