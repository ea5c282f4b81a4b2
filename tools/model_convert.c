/* SPDX-License-Identifier: Apache-2.0
 * lfm2-model convert and quantize. */
#include <stdlib.h>
#include <string.h>

#include "tools/manifest.h"
#include "tools/model_verbs.h"

typedef struct job {
    tool *t;
    const char *in, *out;
    lfm2_dtype type, embed_type;
    lfm2_weights *source;
    unsigned encoders; /* that it holds */
} job;

/* The library says LFM2_ERR_IO for both ends: whether the source is still whole tells them apart. */
static tool_stage stage_of(const job *j, int status)
{
    if (status == LFM2_ERR_ARG) return TOOL_AT_SETUP;
    if (status != LFM2_ERR_IO) return TOOL_AT_MODEL;
    return lfm2_weights_check(j->source) < 0 ? TOOL_AT_MODEL : TOOL_AT_OUTPUT;
}

static int convert_model(job *j)
{
    tool_progress progress;
    int rc;

    tool_progress_start(&progress, j->t, "convert");
    rc = lfm2_convert(j->t->rt, j->in, j->out, j->type, j->embed_type, tool_progress_show, &progress);
    tool_progress_end(&progress);
    return rc < 0 ? tool_fail_status(j->t, rc, stage_of(j, rc), j->out) : 0;
}

static int convert_encoders(job *j, const char *out)
{
    static const char *const names[] = {"", "image encoder", "audio encoder", "image and audio encoder"};
    tool_progress progress;
    int rc;

    tool_progress_start(&progress, j->t, "convert encoders");
    rc = lfm2_convert_encoders(j->t->rt, j->in, out, j->type, tool_progress_show, &progress);
    tool_progress_end(&progress);
    if (rc < 0) return tool_fail_status(j->t, rc, stage_of(j, rc), out);
    tool_note(j->t, 0, "%s: %s", out, names[j->encoders]);
    return 0;
}

/* "folder/name.gguf" becomes "folder/mmproj-name.gguf". Freed by the caller; NULL without memory. */
static char *encoder_path_of(const char *out)
{
    static const char prefix[] = "mmproj-";
    const char *slash = strrchr(out, '/');
    const size_t n_folder = slash ? (size_t)(slash - out) + 1 : 0, n = strlen(out) + sizeof prefix;
    char *path = malloc(n);

    if (path) snprintf(path, n, "%.*s%s%s", (int)n_folder, out, prefix, out + n_folder);
    return path;
}

/* The language model, and beside it the encoders; of an encoder file these alone. */
static int convert_all(job *j)
{
    const int is_gguf = lfm2_weights_container(j->source) == LFM2_CONTAINER_GGUF;
    char *beside;
    int rc;

    if (is_gguf && j->encoders) return convert_encoders(j, j->out);
    rc = convert_model(j);
    if (rc || !j->encoders) return rc;
    beside = encoder_path_of(j->out);
    rc = beside ? convert_encoders(j, beside) : tool_fail(j->t, TOOL_NOMEM, "convert: %s", lfm2_strerror(LFM2_ERR_NOMEM));
    free(beside);
    return rc;
}

static int convert(tool *t, const char *in, const char *out, const char *type)
{
    const char *embed = cli_text(&t->cli, "embed-type");
    job j = {.t = t, .in = in, .out = out, .type = lfm2_dtype_from_name(type)};
    int rc;

    j.embed_type = embed ? lfm2_dtype_from_name(embed) : LFM2_DTYPE_COUNT;

    if (strcmp(out, "-") == 0) return tool_fail(t, TOOL_USAGE, "the model goes to a file, not to standard output");
    rc = tool_open_runtime(t);
    if (rc == 0) rc = tool_check_manifest(t, in);
    if (rc) return rc;
    rc = lfm2_weights_open(t->rt, in, &j.source);
    if (rc < 0) return tool_fail_status(t, rc, TOOL_AT_MODEL, in);
    j.encoders = lfm2_encoders_of(j.source);
    rc = convert_all(&j);
    lfm2_weights_close(j.source);
    return rc;
}

int model_convert(tool *t)
{
    const char *type = cli_text(&t->cli, "type");

    if (!type) return tool_fail(t, TOOL_USAGE, "no type: give --type TYPE (F32 F16 BF16 Q8_0 Q4_0 Q4_K Q6_K)");
    return convert(t, t->cli.args[0], t->cli.args[1], type);
}

int model_quantize(tool *t)
{
    static const char types[] = "F32 F16 BF16 Q8_0 Q4_0 Q4_K Q6_K";
    const char *type = t->cli.args[2];
    char near[16], shown[32];

    if (cli_find_word(type, strlen(type), types) < 0) {
        cli_nearest(type, types, near, sizeof near);
        cli_printable(type, shown, sizeof shown);
        return tool_fail(t, TOOL_USAGE, "type: '%s' is none of: %s; the nearest is %s", shown, types, near);
    }
    return convert(t, t->cli.args[0], t->cli.args[1], type);
}
