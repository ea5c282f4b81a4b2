/* SPDX-License-Identifier: Apache-2.0
 * What the files beside a tokenizer.json say: which tokens begin, end and pad, what ends a generation, the chat template. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/mapfile.h"
#include "base/runtime_impl.h"
#include "base/str.h"
#include "tokenizers/tok_impl.h"

#define MAX_CONFIG_BYTES ((size_t)16 << 20) /* old tokenizer_config.json files repeat all added tokens */
#define MAX_TEMPLATE_BYTES ((size_t)1 << 20)

static const lfm2__json_limits config_limits = {.max_bytes = MAX_CONFIG_BYTES, .max_depth = 32, .max_values = (size_t)4 << 20};
/* tokenizer_config.json has a model_max_length of 10^30 where there is no limit. */
static const lfm2__json_limits text_limits = {
    .max_bytes = MAX_CONFIG_BYTES, .max_depth = 32, .max_values = (size_t)4 << 20, .ints_as_reals = 1};

/* Path of a file in the folder, or *out = NULL if it is not there. */
static int optional_path(const lfm2_tokenizer *tok, const char *dir, const char *name, char **out)
{
    lfm2__str path;
    struct stat st;

    lfm2__str_init(&path, tok->rt);
    lfm2__str_puts(&path, dir);
    lfm2__str_puts(&path, name);
    if (path.status == 0 && stat(path.data, &st) != 0 && (errno == ENOENT || errno == ENOTDIR)) {
        lfm2__str_fini(&path);
        *out = NULL;
        return 0;
    }
    if (path.status < 0) {
        lfm2__str_fini(&path);
        return LFM2_ERR_NOMEM;
    }
    return lfm2__str_take(&path, out, NULL);
}

/* A JSON file that may be missing: *doc = NULL then. *path is freed by the caller. */
static int optional_json(const lfm2_tokenizer *tok, const char *dir, const char *name, const lfm2__json_limits *limits, char **path,
                         lfm2__json_doc **doc)
{
    int rc = optional_path(tok, dir, name, path);

    *doc = NULL;
    if (rc < 0 || *path == NULL) return rc;
    rc = lfm2__json_load(tok->rt, *path, limits, doc);
    if (rc == 0 && lfm2__json_typeof(lfm2__json_root(*doc)) != LFM2__JSON_OBJECT) {
        lfm2__json_free(*doc);
        *doc = NULL;
        return lfm2__fail(tok->rt, LFM2_ERR_FORMAT, "%s: not an object", *path);
    }
    return rc;
}

/* A token by its text, written as "text" or {"content": "text"}. An id that is known already stays. */
static int read_token(const lfm2_tokenizer *tok, const char *path, const lfm2__json *config, const char *key, int32_t *id)
{
    const lfm2__json *v = lfm2__json_get(config, key);
    const char *text;

    if (lfm2__json_typeof(v) == LFM2__JSON_OBJECT) v = lfm2__json_get(v, "content");
    if (*id >= 0 || lfm2__json_typeof(v) == LFM2__JSON_NULL) return 0;
    text = lfm2__json_str(v, NULL);
    if (text == NULL) return lfm2__fail(tok->rt, LFM2_ERR_FORMAT, "%s: %s: not a string", path, key);
    *id = lfm2_tokenizer_find(tok, text);
    if (*id < 0) return lfm2__fail(tok->rt, LFM2_ERR_FORMAT, "%s: %s: no such token in the vocabulary", path, key);
    return 0;
}

static int set_template(lfm2_tokenizer *tok, const char *path, const char *text, size_t n)
{
    if (n > MAX_TEMPLATE_BYTES)
        return lfm2__fail(tok->rt, LFM2_ERR_LIMIT, "%s: chat template of %zu bytes, allowed is 1 MiB", path, n);
    if (tok->chat_template != NULL) return 0;
    tok->chat_template = lfm2__strndup(tok->rt, text, n);
    if (tok->chat_template == NULL) return LFM2_ERR_NOMEM;
    tok->chat_template_n = n;
    return 0;
}

/* "chat_template": the text, or a list of {"name", "template"} of which "default" counts. */
static int read_template_field(lfm2_tokenizer *tok, const char *path, const lfm2__json *config)
{
    const lfm2__json *v = lfm2__json_get(config, "chat_template");
    const char *text, *name;
    size_t i, n = 0;

    for (i = 0; lfm2__json_typeof(v) == LFM2__JSON_ARRAY && i < lfm2__json_size(v); i++) {
        const lfm2__json *entry = lfm2__json_at(v, i);

        name = lfm2__json_str(lfm2__json_get(entry, "name"), NULL);
        if (name != NULL && strcmp(name, "default") == 0) v = lfm2__json_get(entry, "template");
    }
    if (lfm2__json_typeof(v) == LFM2__JSON_NULL) return 0;
    text = lfm2__json_str(v, &n);
    if (text == NULL) return lfm2__fail(tok->rt, LFM2_ERR_FORMAT, "%s: chat_template: not a string", path);
    return set_template(tok, path, text, n);
}

static int read_tokenizer_config(lfm2_tokenizer *tok, const char *path, const lfm2__json *config)
{
    int rc;

    rc = read_token(tok, path, config, "bos_token", &tok->bos);
    if (rc == 0) rc = read_token(tok, path, config, "eos_token", &tok->eos);
    if (rc == 0) rc = read_token(tok, path, config, "pad_token", &tok->pad);
    if (rc == 0) rc = read_template_field(tok, path, config);
    if (rc < 0) return rc;
    tok->adds_bos_known = tok->adds_bos_known || lfm2__json_typeof(lfm2__json_get(config, "add_bos_token")) == LFM2__JSON_BOOL;
    return lfm2__json_field_bool(tok->rt, path, config, "add_bos_token", &tok->adds_bos);
}

static int add_end_id(lfm2_tokenizer *tok, const char *path, const lfm2__json *v)
{
    if (lfm2__json_typeof(v) != LFM2__JSON_INT || lfm2__json_int(v) < 0 || lfm2__json_int(v) >= LFM2__MAX_IDS)
        return lfm2__fail(tok->rt, LFM2_ERR_FORMAT, "%s: eos_token_id: not an id", path);
    return lfm2__tok_add_end_id(tok, (int32_t)lfm2__json_int(v));
}

/* "eos_token_id": an id or a list of them. */
static int read_end_ids(lfm2_tokenizer *tok, const char *path, const lfm2__json *config)
{
    const lfm2__json *v = lfm2__json_get(config, "eos_token_id");
    size_t i;
    int rc = 0;

    if (lfm2__json_typeof(v) == LFM2__JSON_NULL) return 0;
    if (lfm2__json_typeof(v) != LFM2__JSON_ARRAY) return add_end_id(tok, path, v);
    for (i = 0; rc == 0 && i < lfm2__json_size(v); i++) rc = add_end_id(tok, path, lfm2__json_at(v, i));
    return rc;
}

/* config.json of a model that sees or hears has the language model's part inside. */
static int read_model_config(lfm2_tokenizer *tok, const char *path, const lfm2__json *config)
{
    int rc = read_end_ids(tok, path, config);

    return rc < 0 ? rc : read_end_ids(tok, path, lfm2__json_get(config, "text_config"));
}

typedef int read_fn(lfm2_tokenizer *tok, const char *path, const lfm2__json *config);

static int read_optional(lfm2_tokenizer *tok, const char *dir, const char *name, const lfm2__json_limits *limits, read_fn *read)
{
    lfm2__json_doc *doc = NULL;
    char *path = NULL;
    int rc = optional_json(tok, dir, name, limits, &path, &doc);

    if (rc == 0 && doc != NULL) rc = read(tok, path, lfm2__json_root(doc));
    lfm2__json_free(doc);
    lfm2__free(tok->rt, path);
    return rc;
}

static int read_template_file(lfm2_tokenizer *tok, const char *dir)
{
    char *path = NULL, *text = NULL;
    size_t n = 0;
    int rc = optional_path(tok, dir, "chat_template.jinja", &path);

    if (rc == 0 && path != NULL) rc = lfm2__file_read(tok->rt, path, MAX_TEMPLATE_BYTES, &text, &n);
    if (rc == 0 && path != NULL) rc = set_template(tok, path, text, n);
    lfm2__free(tok->rt, text);
    lfm2__free(tok->rt, path);
    return rc;
}

int lfm2__tok_read_siblings(lfm2_tokenizer *tok, const char *dir)
{
    int rc = read_template_file(tok, dir);

    if (rc == 0) rc = read_optional(tok, dir, "chat_template.json", &text_limits, read_template_field);
    if (rc == 0) rc = read_optional(tok, dir, "tokenizer_config.json", &text_limits, read_tokenizer_config);
    if (rc == 0) rc = read_optional(tok, dir, "special_tokens_map.json", &text_limits, read_tokenizer_config);
    if (rc == 0) rc = read_optional(tok, dir, "generation_config.json", &config_limits, read_end_ids);
    if (rc == 0) rc = read_optional(tok, dir, "config.json", &config_limits, read_model_config);
    return rc;
}
