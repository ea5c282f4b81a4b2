/* SPDX-License-Identifier: Apache-2.0
 * The tokenizer.* keys of a GGUF file. */
#include <string.h>

#include "base/runtime_impl.h"
#include "base/str.h"
#include "tokenizers/tok_impl.h"
#include "weights/gguf_write.h"

/* Strings of an array key, written one behind the other. */
typedef struct str_list {
    lfm2_runtime *rt;
    lfm2__str text;
    size_t *ends; /* [n]: where each string ends in text */
    size_t n;
} str_list;

static int list_init(str_list *l, lfm2_runtime *rt, size_t cap)
{
    *l = (str_list){.rt = rt};
    lfm2__str_init(&l->text, rt);
    l->ends = lfm2__calloc(rt, cap > 0 ? cap : 1, sizeof(*l->ends));
    return l->ends != NULL ? 0 : LFM2_ERR_NOMEM;
}

static void list_fini(str_list *l)
{
    if (l->rt == NULL) return;
    lfm2__str_fini(&l->text);
    lfm2__free(l->rt, l->ends);
}

static void list_end_string(str_list *l)
{
    l->ends[l->n++] = l->text.n;
}

static int list_put(const str_list *l, lfm2__gguf_writer *g, const char *key)
{
    const char **strings = NULL;
    size_t *lens = NULL;
    size_t i, begin = 0;
    int rc = LFM2_ERR_NOMEM;

    if (l->text.status < 0) return l->text.status;
    strings = lfm2__calloc(l->rt, l->n + 1, sizeof(*strings));
    lens = lfm2__calloc(l->rt, l->n + 1, sizeof(*lens));
    if (strings == NULL || lens == NULL) goto done;
    for (i = 0; i < l->n; begin = l->ends[i++]) {
        strings[i] = l->text.data + begin;
        lens[i] = l->ends[i] - begin;
    }
    lfm2__gguf_put_str_array(g, key, strings, lens, l->n);
    rc = 0;
done:
    lfm2__free(l->rt, strings);
    lfm2__free(l->rt, lens);
    return rc;
}

static int put_tokens(const lfm2_tokenizer *tok, int32_t n_rows, lfm2__gguf_writer *g)
{
    int32_t *types = lfm2__calloc(tok->rt, (size_t)n_rows, sizeof(*types));
    str_list list = {0};
    int32_t id;
    int rc = LFM2_ERR_NOMEM;

    if (types == NULL || list_init(&list, tok->rt, (size_t)n_rows) < 0) goto done;
    for (id = 0; id < n_rows; id++) {
        types[id] = (int32_t)lfm2__vocab_kind(&tok->vocab, id);
        if (types[id] == LFM2__TOK_NONE) {
            types[id] = LFM2__TOK_UNUSED;
            lfm2__str_printf(&list.text, "[PAD%d]", (int)id);
        } else {
            lfm2__vocab_file_text(&tok->vocab, id, &list.text);
        }
        list_end_string(&list);
    }
    rc = list_put(&list, g, "tokenizer.ggml.tokens");
    if (rc == 0) lfm2__gguf_put_i32_array(g, "tokenizer.ggml.token_type", types, (size_t)n_rows);
done:
    list_fini(&list);
    lfm2__free(tok->rt, types);
    return rc;
}

static int put_merges(const lfm2_tokenizer *tok, lfm2__gguf_writer *g)
{
    str_list list = {0};
    uint32_t i;
    int rc = list_init(&list, tok->rt, tok->bpe.n_merges);

    for (i = 0; rc == 0 && i < tok->bpe.n_merges; i++) {
        lfm2__vocab_file_text(&tok->vocab, tok->bpe.merges[i].left, &list.text);
        lfm2__str_puts(&list.text, " ");
        lfm2__vocab_file_text(&tok->vocab, tok->bpe.merges[i].right, &list.text);
        list_end_string(&list);
    }
    if (rc == 0) rc = list_put(&list, g, "tokenizer.ggml.merges");
    list_fini(&list);
    return rc;
}

int lfm2__tokenizer_write_gguf(const lfm2_tokenizer *tok, int32_t n_rows, lfm2__gguf_writer *g)
{
    int rc;

    if (n_rows < tok->vocab.n_ids)
        return lfm2__fail(tok->rt, LFM2_ERR_RANGE, "%s: %d ids for a table of %d rows", tok->label, (int)tok->vocab.n_ids,
                          (int)n_rows);
    if (!tok->std_pattern || !tok->ignore_merges)
        return lfm2__fail(tok->rt, LFM2_ERR_UNSUPPORTED, "%s: a GGUF file cannot name this %s", tok->label,
                          tok->std_pattern ? "way of merging (ignore_merges off)" : "pre-tokeniser pattern");
    lfm2__gguf_put_str(g, "tokenizer.ggml.model", "gpt2", 4);
    lfm2__gguf_put_str(g, "tokenizer.ggml.pre", "lfm2", 4);
    rc = put_tokens(tok, n_rows, g);
    if (rc == 0) rc = put_merges(tok, g);
    if (rc < 0) return rc;
    if (tok->bos >= 0) lfm2__gguf_put_u32(g, "tokenizer.ggml.bos_token_id", (uint32_t)tok->bos);
    if (tok->eos >= 0) lfm2__gguf_put_u32(g, "tokenizer.ggml.eos_token_id", (uint32_t)tok->eos);
    if (tok->pad >= 0) lfm2__gguf_put_u32(g, "tokenizer.ggml.padding_token_id", (uint32_t)tok->pad);
    if (tok->adds_bos_known) lfm2__gguf_put_bool(g, "tokenizer.ggml.add_bos_token", tok->adds_bos);
    if (tok->chat_template != NULL) lfm2__gguf_put_str(g, "tokenizer.chat_template", tok->chat_template, tok->chat_template_n);
    return 0;
}
