/* SPDX-License-Identifier: Apache-2.0
 * What the commands share: finding the model, loading it, how to sample from it. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/common.h"
#include "tools/manifest.h"

/* --- finding it --- */

static int no_memory(tool *t)
{
    return tool_fail(t, TOOL_NOMEM, "model: %s", lfm2_strerror(LFM2_ERR_NOMEM));
}

static char *join(const char *folder, size_t n_folder, const char *name)
{
    const size_t n = n_folder + strlen(name) + 1;
    char *path = malloc(n);
    if (path) snprintf(path, n, "%.*s%s", (int)n_folder, folder, name);
    return path;
}

static int is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int is_gguf(const char *name)
{
    const size_t n = strlen(name);
    return n > 5 && strcasecmp(name + n - 5, ".gguf") == 0;
}

static int is_encoder_file(const char *name)
{
    return is_gguf(name) && strncasecmp(name, "mmproj", 6) == 0;
}

static int is_model_file(const char *name)
{
    return is_gguf(name) && strncasecmp(name, "mmproj", 6) != 0;
}

/* The one file of a kind in a folder (n_folder bytes, with its slash, or none for the present one). *path: NULL if there is none,
 * otherwise freed by the caller; *n_found: how many there are, *path being the first of them by name. */
static int find_one(tool *t, const char *folder, size_t n_folder, int (*wanted)(const char *name), char **path, int *n_found)
{
    char *shown = n_folder ? join(folder, n_folder, "") : strdup("."), *best = NULL;
    DIR *dir = shown ? opendir(shown) : NULL;
    const struct dirent *entry;
    int rc = 0;

    *path = NULL;
    *n_found = 0;
    if (!shown || (!dir && errno == ENOMEM)) rc = no_memory(t);
    else if (!dir) rc = tool_fail(t, TOOL_MODEL, "%s: %s", shown, strerror(errno));
    while (dir && rc == 0 && (entry = readdir(dir)) != NULL) {
        if (!wanted(entry->d_name)) continue;
        ++*n_found;
        if (best && strcmp(entry->d_name, best) >= 0) continue;
        free(best);
        best = strdup(entry->d_name);
        if (!best) rc = no_memory(t);
    }
    if (dir) closedir(dir);
    if (rc == 0 && best) {
        *path = join(folder, n_folder, best);
        if (!*path) rc = no_memory(t);
    }
    free(best);
    free(shown);
    return rc;
}

/* The model that came with the program: LFM2_DATA_FROM_BIN is the way from its folder to the data's. *path: NULL if there is
 * none. */
static int find_shipped(tool *t, char **path)
{
    static const char *const places[] = {LFM2_DATA_FROM_BIN "/model", "share/lfm2/model"}; /* installed; in the build folder */
    char self[4096];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self);
    size_t i, n_folder = n > 0 && (size_t)n < sizeof self ? (size_t)n : 0;

    *path = NULL;
    while (n_folder > 0 && self[n_folder - 1] != '/') n_folder--;
    for (i = 0; n_folder > 0 && i < sizeof places / sizeof places[0]; i++) {
        *path = join(self, n_folder, places[i]);
        if (!*path) return no_memory(t);
        if (is_folder(*path)) return 0;
        free(*path);
        *path = NULL;
    }
    return 0;
}

/* A folder that holds no safetensors but one .gguf beside the encoder's stands for that .gguf. */
static int look_into_folder(tool *t, char **path)
{
    static const char *const published[] = {"/model.safetensors", "/model.safetensors.index.json"};
    char *folder = *path, *found = NULL;
    int i, n_found = 0, rc = 0;

    for (i = 0; i < 2; i++) {
        struct stat st;
        char *file = join(folder, strlen(folder), published[i]);
        const int there = file && stat(file, &st) == 0;
        if (!file) return no_memory(t);
        free(file);
        if (there) return 0;
    }
    folder = join(folder, strlen(folder), "/");
    if (!folder) return no_memory(t);
    rc = find_one(t, folder, strlen(folder), is_model_file, &found, &n_found);
    free(folder);
    if (rc == 0 && n_found == 1) {
        free(*path);
        *path = found;
    } else {
        free(found); /* what is wrong with it, the loader says */
    }
    return rc;
}

int tool_model_path(tool *t, const char **path)
{
    const char *given = cli_text(&t->cli, "model");
    int rc = 0;

    if (!t->model_path) {
        if (given) {
            t->model_path = strdup(given);
            if (!t->model_path) return no_memory(t);
        } else {
            rc = find_shipped(t, &t->model_path);
            if (rc == 0 && !t->model_path) return tool_fail(t, TOOL_MODEL, "no model: give -m PATH, or set LFM2_MODEL");
        }
        if (rc == 0 && is_folder(t->model_path)) rc = look_into_folder(t, &t->model_path);
    }
    *path = t->model_path;
    return rc;
}

/* "folder/mmproj-name.gguf", which the converter writes for "folder/name.gguf". *path: NULL if there is none. */
static int find_own(tool *t, const char *model_path, size_t n_folder, char **path)
{
    const size_t n = strlen(model_path) + sizeof "mmproj-";
    struct stat st;

    *path = malloc(n);
    if (!*path) return no_memory(t);
    snprintf(*path, n, "%.*smmproj-%s", (int)n_folder, model_path, model_path + n_folder);
    if (stat(*path, &st) == 0) return 0;
    free(*path);
    *path = NULL;
    return 0;
}

int tool_encoder_path(tool *t, const char *model_path, char **path)
{
    const char *given = cli_text(&t->cli, "mmproj");
    size_t n = strlen(model_path);
    int n_found = 0, rc = 0;

    *path = NULL;
    if (given || !is_gguf(model_path)) {
        *path = strdup(given ? given : model_path);
        return *path ? 0 : no_memory(t);
    }
    while (n > 0 && model_path[n - 1] != '/') n--;
    rc = find_own(t, model_path, n, path);
    if (rc || *path) return rc;
    rc = find_one(t, model_path, n, is_encoder_file, path, &n_found);
    if (rc == 0 && n_found == 0) rc = tool_fail(t, TOOL_MODEL, "%s: no mmproj*.gguf beside it; give --mmproj FILE", model_path);
    if (rc == 0 && n_found > 1) {
        rc = tool_fail(t, TOOL_MODEL, "%s: %d mmproj*.gguf beside it; give --mmproj FILE", model_path, n_found);
    }
    if (rc) {
        free(*path);
        *path = NULL;
    }
    return rc;
}

/* --- loading it --- */

static void report_nonfinite(void *ctx, const lfm2_tensor *tensor, uint64_t n_bad)
{
    tool_fail(ctx, TOOL_MODEL, "%s: %llu values are not finite", tensor->name, (unsigned long long)n_bad);
}

int tool_load_tokenizer(tool *t, const char *path)
{
    int rc = lfm2_tokenizer_load(t->rt, lfm2_model_weights(t->model), &t->tok);

    if (rc < 0) return tool_fail_status(t, rc, TOOL_AT_MODEL, path);
    const int n_ids = (int)lfm2_tokenizer_n_ids(t->tok), n_rows = (int)lfm2_model_config(t->model)->n_vocab;
    if (n_ids > n_rows) {
        return tool_fail(t, TOOL_MODEL, "%s: the tokenizer has %d ids, the model only %d rows", path, n_ids, n_rows);
    }
    return 0;
}

int tool_open_model(tool *t, const char *path)
{
    int64_t start_us = tool_now_us();
    int rc = path ? 0 : tool_model_path(t, &path);

    if (rc == 0) rc = tool_open_runtime(t);
    if (rc == 0) rc = tool_check_manifest(t, path);
    if (rc) return rc;
    rc = lfm2_model_load(t->rt, path, &t->model);
    if (rc < 0) return tool_fail_status(t, rc, TOOL_AT_MODEL, path);
    if (cli_flag(&t->cli, "check-model")) {
        rc = lfm2_weights_verify(lfm2_model_weights(t->model), report_nonfinite, t);
        if (rc < 0) return tool_fail_status(t, rc, TOOL_AT_MODEL, path);
    }
    rc = tool_load_tokenizer(t, path);
    if (rc) return rc;
    t->load_ms = (double)(tool_now_us() - start_us) / 1e3;
    return 0;
}

int tool_open_tokenizer(tool *t)
{
    const char *path;
    lfm2_weights *w = NULL;
    size_t n;
    int rc = tool_model_path(t, &path);

    if (rc == 0) rc = tool_open_runtime(t);
    if (rc == 0) rc = tool_check_manifest(t, path);
    if (rc) return rc;
    n = strlen(path);
    if (n >= 14 && strcmp(path + n - 14, "tokenizer.json") == 0) {
        rc = lfm2_tokenizer_load_json(t->rt, path, &t->tok);
    } else {
        rc = lfm2_weights_open(t->rt, path, &w);
        if (rc == 0) rc = lfm2_tokenizer_load(t->rt, w, &t->tok);
        lfm2_weights_close(w);
    }
    return rc < 0 ? tool_fail_status(t, rc, TOOL_AT_MODEL, path) : 0;
}

/* --- sampling --- */

int tool_may_sample(void *tok, int32_t id)
{
    return lfm2_tokenizer_is_defined(tok, id);
}

/* What the model cards advise for the family that a chat template belongs to. */
static lfm2_sampler_params card_advice(const lfm2_tokenizer *tok)
{
    lfm2_sampler_params p = lfm2_sampler_params_default();

    p.repeat_penalty = 1.05f;
    switch (lfm2_tokenizer_chat_variant(tok)) {
    case LFM2_CHAT_LFM25:
        p.temperature = 0.1f;
        p.top_k = 50;
        p.top_p = 0.1f;
        break;
    case LFM2_CHAT_LFM25_MOE:
        p.temperature = 0.2f;
        p.top_k = 80;
        break;
    case LFM2_CHAT_VL:
        p.temperature = 0.1f;
        p.min_p = 0.15f;
        break;
    case LFM2_CHAT_AUTO:
    case LFM2_CHAT_LFM2:
        p.temperature = 0.3f;
        p.min_p = 0.15f;
        break;
    }
    return p;
}

lfm2_sampler_params tool_sampling(const tool *t, int greedy)
{
    const cli *c = &t->cli;
    int plain = cli_is_set(c, "temp") ? cli_real(c, "temp") <= 0 : greedy;
    lfm2_sampler_params p = plain ? lfm2_sampler_params_default() : card_advice(t->tok);

    if (cli_is_set(c, "temp")) p.temperature = (float)cli_real(c, "temp");
    if (cli_is_set(c, "top-k")) p.top_k = (int32_t)cli_int(c, "top-k");
    if (cli_is_set(c, "top-p")) p.top_p = (float)cli_real(c, "top-p");
    if (cli_is_set(c, "min-p")) p.min_p = (float)cli_real(c, "min-p");
    if (cli_is_set(c, "repeat-penalty")) p.repeat_penalty = (float)cli_real(c, "repeat-penalty");
    p.seed = (uint64_t)cli_int(c, "seed");
    tool_note(t, 1, "sampling: temp %.7g, top-k %d, top-p %.7g, min-p %.7g, repeat-penalty %.7g, seed %llu", (double)p.temperature,
              (int)p.top_k, (double)p.top_p, (double)p.min_p, (double)p.repeat_penalty, (unsigned long long)p.seed);
    return p;
}
