/* SPDX-License-Identifier: Apache-2.0
 * lfm2-model convert and quantize. */
#include <string.h>

#include "tools/manifest.h"
#include "tools/model_verbs.h"

/* The library says LFM2_ERR_IO for both ends: whether the source is still whole tells them apart. */
static tool_stage stage_of(tool *t, int status)
{
    if (status == LFM2_ERR_ARG) return TOOL_AT_SETUP;
    if (status != LFM2_ERR_IO) return TOOL_AT_MODEL;
    return lfm2_weights_check(lfm2_model_weights(t->model)) < 0 ? TOOL_AT_MODEL : TOOL_AT_OUTPUT;
}

static int convert(tool *t, const char *in, const char *out, const char *type)
{
    const char *embed = cli_text(&t->cli, "embed-type");
    lfm2_dtype embed_type = embed ? lfm2_dtype_from_name(embed) : LFM2_DTYPE_COUNT;
    tool_progress progress;
    int rc;

    if (strcmp(out, "-") == 0) return tool_fail(t, TOOL_USAGE, "the model goes to a file, not to standard output");
    rc = tool_open_runtime(t);
    if (rc == 0) rc = tool_check_manifest(t, in);
    if (rc) return rc;
    rc = lfm2_model_load(t->rt, in, &t->model);
    if (rc < 0) return tool_fail_status(t, rc, TOOL_AT_MODEL, in);
    tool_progress_start(&progress, t, "convert");
    rc = lfm2_convert(t->rt, in, out, lfm2_dtype_from_name(type), embed_type, tool_progress_show, &progress);
    tool_progress_end(&progress);
    return rc < 0 ? tool_fail_status(t, rc, stage_of(t, rc), out) : 0;
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
