/* SPDX-License-Identifier: Apache-2.0
 * tokenizer.json: the model, the added tokens, and a check that every stage in the file is one that is reproduced here. */
#include <string.h>

#include "base/json.h"
#include "base/runtime_impl.h"
#include "tokenizers/tok_impl.h"

static int refuse(const lfm2_tokenizer *tok, const char *field, const char *what)
{
    return lfm2__fail(tok->rt, LFM2_ERR_UNSUPPORTED, "%s: %s: %s", tok->label, field, what);
}

static int wrong_type(const lfm2_tokenizer *tok, const char *field, const lfm2__json *v, const char *want)
{
    return lfm2__fail(tok->rt, LFM2_ERR_FORMAT, "%s: %s: %s where %s is expected", tok->label, field, lfm2__json_type_name(v),
                      want);
}

/* Keys are names of fields, but a hostile file may put anything there. */
static int is_name(const char *key, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        if (!((key[i] >= 'a' && key[i] <= 'z') || (key[i] >= 'A' && key[i] <= 'Z') || key[i] == '_')) return 0;
    return n > 0 && n <= 40;
}

/* obj is an object with no other keys than those of the list. */
static int check_keys(const lfm2_tokenizer *tok, const char *field, const lfm2__json *obj, const char *const *known, size_t n_known)
{
    const lfm2__json *val = NULL;
    const char *key = NULL;
    size_t key_n = 0, i;
    void *it = NULL;

    if (lfm2__json_typeof(obj) != LFM2__JSON_OBJECT) return wrong_type(tok, field, obj, "an object");
    while (lfm2__json_next(obj, &it, &key, &key_n, &val)) {
        for (i = 0; i < n_known; i++)
            if (strcmp(key, known[i]) == 0) break;
        if (i == n_known)
            return lfm2__fail(tok->rt, LFM2_ERR_UNSUPPORTED, "%s: %s: unknown field %s", tok->label, field,
                              is_name(key, key_n) ? key : "");
    }
    return 0;
}

static int is_type(const lfm2__json *obj, const char *type)
{
    const char *s = lfm2__json_str(lfm2__json_get(obj, "type"), NULL);

    return s != NULL && strcmp(s, type) == 0;
}

/* The field must be there as that bool, or be absent where `absent` is the same. */
static int expect_bool(const lfm2_tokenizer *tok, const char *field, const lfm2__json *obj, const char *key, int want, int absent)
{
    const lfm2__json *v = lfm2__json_get(obj, key);

    if (v == NULL ? absent == want : lfm2__json_typeof(v) == LFM2__JSON_BOOL && lfm2__json_bool(v) == want) return 0;
    return lfm2__fail(tok->rt, LFM2_ERR_UNSUPPORTED, "%s: %s.%s: only %s is supported", tok->label, field, key,
                      want ? "true" : "false");
}

static int read_split(lfm2_tokenizer *tok, const lfm2__json *split)
{
    static const char *const keys[] = {"type", "pattern", "behavior", "invert"};
    static const char field[] = "pre_tokenizer.pretokenizers[0]";
    const char *behavior, *regex;
    size_t n = 0;
    int rc;

    rc = check_keys(tok, field, split, keys, LFM2__COUNT_OF(keys));
    if (rc < 0) return rc;
    if (!is_type(split, "Split")) return refuse(tok, field, "only a Split is supported");
    behavior = lfm2__json_str(lfm2__json_get(split, "behavior"), NULL);
    if (behavior == NULL || strcmp(behavior, "Isolated") != 0)
        return refuse(tok, "pre_tokenizer behavior", "only Isolated is supported");
    rc = expect_bool(tok, field, split, "invert", 0, 0);
    if (rc < 0) return rc;
    regex = lfm2__json_str(lfm2__json_get(lfm2__json_get(split, "pattern"), "Regex"), &n);
    if (regex == NULL) return refuse(tok, "pre_tokenizer pattern", "only a Regex is supported");
    tok->std_pattern = strcmp(regex, lfm2__pretok_lfm2) == 0;
    return lfm2__pretok_create(tok->rt, tok->label, "pre_tokenizer pattern", regex, n, &tok->pretok);
}

static int read_pre_tokenizer(lfm2_tokenizer *tok, const lfm2__json *pre)
{
    static const char *const keys[] = {"type", "pretokenizers"};
    static const char *const byte_level_keys[] = {"type", "add_prefix_space", "trim_offsets", "use_regex"};
    static const char field[] = "pre_tokenizer.pretokenizers[1]";
    const lfm2__json *list = lfm2__json_get(pre, "pretokenizers"), *byte_level = lfm2__json_at(list, 1);
    int rc;

    if (pre == NULL || !is_type(pre, "Sequence") || lfm2__json_size(list) != 2)
        return refuse(tok, "pre_tokenizer", "only a Sequence of Split and ByteLevel is supported");
    rc = check_keys(tok, "pre_tokenizer", pre, keys, LFM2__COUNT_OF(keys));
    if (rc == 0) rc = read_split(tok, lfm2__json_at(list, 0));
    if (rc == 0) rc = check_keys(tok, field, byte_level, byte_level_keys, LFM2__COUNT_OF(byte_level_keys));
    if (rc == 0 && !is_type(byte_level, "ByteLevel")) rc = refuse(tok, field, "only ByteLevel is supported");
    if (rc == 0) rc = expect_bool(tok, field, byte_level, "add_prefix_space", 0, 1);
    if (rc == 0) rc = expect_bool(tok, field, byte_level, "use_regex", 0, 1);
    return rc;
}

/* What may follow encoding: stages that only add special tokens around the whole text, which is the caller's choice here. */
static int check_post_processor(const lfm2_tokenizer *tok, const lfm2__json *post, int depth)
{
    const lfm2__json *list = lfm2__json_get(post, "processors");
    size_t i;
    int rc = 0;

    if (lfm2__json_typeof(post) == LFM2__JSON_NULL || is_type(post, "ByteLevel") || is_type(post, "TemplateProcessing")) return 0;
    if (depth > 0 || !is_type(post, "Sequence") || lfm2__json_typeof(list) != LFM2__JSON_ARRAY)
        return refuse(tok, "post_processor", "only TemplateProcessing, ByteLevel and a Sequence of them are supported");
    for (i = 0; rc == 0 && i < lfm2__json_size(list); i++) rc = check_post_processor(tok, lfm2__json_at(list, i), depth + 1);
    return rc;
}

static int check_model(lfm2_tokenizer *tok, const lfm2__json *model)
{
    static const char *const keys[] = {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
                                       "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges"};
    static const char *const absent[] = {"dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix"};
    size_t i, n = 0;
    int rc;

    rc = check_keys(tok, "model", model, keys, LFM2__COUNT_OF(keys));
    if (rc < 0) return rc;
    if (!is_type(model, "BPE")) return refuse(tok, "model.type", "only BPE is supported");
    for (i = 0; i < LFM2__COUNT_OF(absent); i++) {
        const lfm2__json *v = lfm2__json_get(model, absent[i]);

        if (lfm2__json_typeof(v) == LFM2__JSON_NULL || (lfm2__json_str(v, &n) != NULL && n == 0)) continue;
        return lfm2__fail(tok->rt, LFM2_ERR_UNSUPPORTED, "%s: model.%s: only null is supported", tok->label, absent[i]);
    }
    rc = expect_bool(tok, "model", model, "byte_fallback", 0, 0);
    if (rc < 0) return rc;
    rc = lfm2__json_field_bool(tok->rt, tok->label, model, "ignore_merges", &tok->ignore_merges);
    if (rc < 0) return rc;
    if (lfm2__json_typeof(lfm2__json_get(model, "vocab")) != LFM2__JSON_OBJECT)
        return wrong_type(tok, "model.vocab", lfm2__json_get(model, "vocab"), "an object");
    if (lfm2__json_typeof(lfm2__json_get(model, "merges")) != LFM2__JSON_ARRAY)
        return wrong_type(tok, "model.merges", lfm2__json_get(model, "merges"), "a list");
    return 0;
}

/* An id, and room for it in *n_ids. */
static int count_id(const lfm2_tokenizer *tok, const char *field, size_t i, const lfm2__json *v, int32_t *n_ids)
{
    if (lfm2__json_typeof(v) != LFM2__JSON_INT || lfm2__json_int(v) < 0)
        return lfm2__fail(tok->rt, LFM2_ERR_FORMAT, "%s: %s: entry %zu: the id is not a number from 0", tok->label, field, i);
    if (lfm2__json_int(v) >= LFM2__MAX_IDS)
        return lfm2__fail(tok->rt, LFM2_ERR_LIMIT, "%s: %s: entry %zu: the id is beyond %d", tok->label, field, i,
                          LFM2__MAX_IDS - 1);
    if (lfm2__json_int(v) >= *n_ids) *n_ids = (int32_t)lfm2__json_int(v) + 1;
    return 0;
}

static int count_ids(const lfm2_tokenizer *tok, const lfm2__json *vocab, const lfm2__json *added, int32_t *n_ids)
{
    const lfm2__json *val = NULL;
    const char *key = NULL;
    size_t key_n = 0, i = 0;
    void *it = NULL;
    int rc = 0;

    while (rc == 0 && lfm2__json_next(vocab, &it, &key, &key_n, &val)) rc = count_id(tok, "model.vocab", i++, val, n_ids);
    for (i = 0; rc == 0 && i < lfm2__json_size(added); i++)
        rc = count_id(tok, "added_tokens", i, lfm2__json_get(lfm2__json_at(added, i), "id"), n_ids);
    if (rc == 0 && *n_ids == 0) rc = lfm2__fail(tok->rt, LFM2_ERR_FORMAT, "%s: model.vocab: no tokens", tok->label);
    return rc;
}

static int read_added_token(lfm2_tokenizer *tok, size_t i, const lfm2__json *t, const lfm2__json *vocab)
{
    static const char *const keys[] = {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"};
    const lfm2__json *in_vocab;
    const char *text, *why = "";
    int rc, special = 0;
    size_t n = 0;
    int32_t id;

    rc = check_keys(tok, "added_tokens", t, keys, LFM2__COUNT_OF(keys));
    if (rc == 0) rc = expect_bool(tok, "added_tokens", t, "single_word", 0, 0);
    if (rc == 0) rc = expect_bool(tok, "added_tokens", t, "lstrip", 0, 0);
    if (rc == 0) rc = expect_bool(tok, "added_tokens", t, "rstrip", 0, 0);
    /* "normalized" says on which side of the normaliser the token is looked for; there is none, so either is the same. */
    if (rc == 0) rc = lfm2__json_field_bool(tok->rt, tok->label, t, "special", &special);
    if (rc < 0) return rc;
    text = lfm2__json_str(lfm2__json_get(t, "content"), &n);
    if (text == NULL) return wrong_type(tok, "added_tokens content", lfm2__json_get(t, "content"), "a string");
    id = (int32_t)lfm2__json_int(lfm2__json_get(t, "id"));
    in_vocab = lfm2__json_get(vocab, text);
    if (in_vocab != NULL && lfm2__json_int(in_vocab) != id)
        return lfm2__fail(tok->rt, LFM2_ERR_FORMAT, "%s: added_tokens[%zu]: the vocabulary has it with another id", tok->label, i);
    rc = lfm2__vocab_set(&tok->vocab, id, special ? LFM2__TOK_CONTROL : LFM2__TOK_USER, text, n, &why);
    if (rc < 0) return lfm2__fail(tok->rt, rc, "%s: added_tokens[%zu]: id %d: %s", tok->label, i, (int)id, why);
    return 0;
}

/* Vocabulary entries that are added tokens have been set as such. */
static int read_vocab(lfm2_tokenizer *tok, const lfm2__json *vocab)
{
    const lfm2__json *val = NULL;
    const char *key = NULL, *why = "";
    size_t key_n = 0;
    void *it = NULL;
    int rc;

    while (lfm2__json_next(vocab, &it, &key, &key_n, &val)) {
        int32_t id = (int32_t)lfm2__json_int(val);

        if (lfm2__vocab_kind(&tok->vocab, id) != LFM2__TOK_NONE && lfm2__vocab_find_added(&tok->vocab, key, key_n) == id) continue;
        rc = lfm2__vocab_set(&tok->vocab, id, LFM2__TOK_NORMAL, key, key_n, &why);
        if (rc < 0) return lfm2__fail(tok->rt, rc, "%s: model.vocab: id %d: %s", tok->label, (int)id, why);
    }
    return 0;
}

/* "left right" or ["left", "right"]. Returns 0, or -1 if it is neither. */
/* Files of this family number their tokens without gaps. */
static int check_gaps(const lfm2_tokenizer *tok, int32_t n_ids)
{
    int32_t id;

    for (id = 0; id < n_ids; id++)
        if (lfm2__vocab_kind(&tok->vocab, id) == LFM2__TOK_NONE)
            return lfm2__fail(tok->rt, LFM2_ERR_FORMAT, "%s: model.vocab: no token has id %d of %d", tok->label, (int)id,
                              (int)n_ids);
    return 0;
}

static int merge_parts(const lfm2__json *v, const char **left, size_t *left_n, const char **right, size_t *right_n)
{
    const char *space;
    size_t n = 0;

    if (lfm2__json_typeof(v) == LFM2__JSON_ARRAY && lfm2__json_size(v) == 2) {
        *left = lfm2__json_str(lfm2__json_at(v, 0), left_n);
        *right = lfm2__json_str(lfm2__json_at(v, 1), right_n);
        return *left != NULL && *right != NULL ? 0 : -1;
    }
    *left = lfm2__json_str(v, &n);
    space = *left != NULL ? memchr(*left, ' ', n) : NULL;
    if (space == NULL) return -1;
    *left_n = (size_t)(space - *left);
    *right = space + 1;
    *right_n = n - *left_n - 1;
    return 0;
}

static int read_merges(lfm2_tokenizer *tok, const lfm2__json *merges)
{
    const char *left = NULL, *right = NULL, *why = "";
    size_t i, left_n = 0, right_n = 0, n = lfm2__json_size(merges);
    int rc;

    rc = lfm2__bpe_init(&tok->bpe, tok->rt, n);
    if (rc == LFM2_ERR_LIMIT) return lfm2__fail(tok->rt, rc, "%s: model.merges: more than %d", tok->label, LFM2__MAX_MERGES);
    for (i = 0; rc == 0 && i < n; i++) {
        if (merge_parts(lfm2__json_at(merges, i), &left, &left_n, &right, &right_n) < 0)
            return lfm2__fail(tok->rt, LFM2_ERR_FORMAT, "%s: model.merges[%zu]: not a pair", tok->label, i);
        rc = lfm2__bpe_add(&tok->bpe, &tok->vocab, left, left_n, right, right_n, &why);
        if (rc < 0) return lfm2__fail(tok->rt, rc, "%s: model.merges[%zu]: %s", tok->label, i, why);
    }
    return rc;
}

int lfm2__tok_read_json(lfm2_tokenizer *tok, const lfm2__json *root)
{
    static const char *const keys[] = {"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
                                       "post_processor", "decoder", "model"};
    const lfm2__json *model = lfm2__json_get(root, "model"), *added = lfm2__json_get(root, "added_tokens");
    const lfm2__json *vocab = lfm2__json_get(model, "vocab");
    int32_t n_ids = 0;
    size_t i;
    int rc;

    rc = check_keys(tok, "top level", root, keys, LFM2__COUNT_OF(keys));
    if (rc == 0) rc = check_model(tok, model);
    if (rc < 0) return rc;
    if (lfm2__json_typeof(lfm2__json_get(root, "normalizer")) != LFM2__JSON_NULL)
        return refuse(tok, "normalizer", "only null is supported");
    if (!is_type(lfm2__json_get(root, "decoder"), "ByteLevel")) return refuse(tok, "decoder", "only ByteLevel is supported");
    if (added != NULL && lfm2__json_typeof(added) != LFM2__JSON_ARRAY) return wrong_type(tok, "added_tokens", added, "a list");
    rc = check_post_processor(tok, lfm2__json_get(root, "post_processor"), 0);
    if (rc == 0) rc = read_pre_tokenizer(tok, lfm2__json_get(root, "pre_tokenizer"));
    if (rc == 0) rc = count_ids(tok, vocab, added, &n_ids);
    if (rc == 0) rc = lfm2__vocab_init(&tok->vocab, tok->rt, n_ids);
    for (i = 0; rc == 0 && i < lfm2__json_size(added); i++) rc = read_added_token(tok, i, lfm2__json_at(added, i), vocab);
    if (rc == 0) rc = read_vocab(tok, vocab);
    if (rc == 0) rc = check_gaps(tok, n_ids);
    if (rc == 0) rc = read_merges(tok, lfm2__json_get(model, "merges"));
    return rc;
}
