/* SPDX-License-Identifier: Apache-2.0
 * lfm2-model info: the encoders that belong to a model. */
#include <stdlib.h>

#include "tools/model_verbs.h"

/* The file that holds them: the checkpoint itself, or an encoder file beside a .gguf, if there is one. *path: NULL if there is
 * none, otherwise freed by the caller. */
static int find_file(tool *t, const char *model_path, unsigned *has, char **path)
{
    lfm2_weights *w = NULL;
    int rc;

    *has = lfm2_encoders_of(lfm2_model_weights(t->model));
    tool_hold_errors(t);
    rc = tool_encoder_path(t, model_path, path);
    tool_release_errors(t, rc == TOOL_NOMEM || (rc && cli_text(&t->cli, "mmproj")));
    if (rc == TOOL_NOMEM) return rc;
    if (rc || *has) return 0;
    if (lfm2_weights_container(lfm2_model_weights(t->model)) != LFM2_CONTAINER_GGUF && !cli_text(&t->cli, "mmproj")) return 0;
    rc = lfm2_weights_open(t->rt, *path, &w);
    if (rc < 0) return tool_fail_status(t, rc, TOOL_AT_MODEL, *path);
    *has = lfm2_encoders_of(w);
    lfm2_weights_close(w);
    return 0;
}

static void put_image(json_out *j, const char *path, const lfm2_vision_config *c, const lfm2_vision_params *p)
{
    json_begin_object(j, NULL);
    json_put_text(j, "kind", "image");
    json_put_text(j, "file", path);
    json_put_int(j, "d_model", c->d_vision);
    json_put_int(j, "n_layers", c->n_layers);
    json_put_int(j, "n_heads", c->n_heads);
    json_put_int(j, "d_ff", c->d_ff);
    json_put_int(j, "patch_px", c->patch_px);
    json_put_int(j, "d_projector", c->d_projector);
    json_put_int(j, "d_out", c->d_model);
    json_put_int(j, "min_image_tokens", p->min_image_tok);
    json_put_int(j, "max_image_tokens", p->max_image_tok);
    json_put_int(j, "tile_px", p->tile_px);
    json_put_int(j, "max_tiles", p->do_split ? p->max_tiles : 1);
    json_put_bool(j, "thumbnail", p->use_thumbnail);
    json_end_object(j);
}

static void put_audio(json_out *j, const char *path, const lfm2_audio_config *c)
{
    json_begin_object(j, NULL);
    json_put_text(j, "kind", "audio");
    json_put_text(j, "file", path);
    json_put_int(j, "d_model", c->d_model);
    json_put_int(j, "n_layers", c->n_layers);
    json_put_int(j, "n_heads", c->n_heads);
    json_put_int(j, "d_ff", c->d_ff);
    json_put_int(j, "n_mels", c->n_mels);
    json_put_int(j, "n_taps", c->n_taps);
    json_put_int(j, "d_out", c->d_out);
    json_put_int(j, "ctc_classes", c->n_ctc_classes);
    json_end_object(j);
}

static void print_line(tool *t, const char *kind, const char *path, int32_t n_layers, int32_t width, int32_t n_heads, int32_t d_out)
{
    char line[512], shown[300];
    const int n = snprintf(line, sizeof line, "%-14s%d layers of width %d, %d heads, to %d (%s)\n", kind, (int)n_layers, (int)width,
                           (int)n_heads, (int)d_out, cli_printable(path, shown, sizeof shown));
    tool_write(t, line, (size_t)n);
}

static int show_image(tool *t, const char *path, json_out *j)
{
    lfm2_vision *v = NULL;
    const int rc = lfm2_vision_load(t->rt, path, &v);

    if (rc < 0) return tool_fail_status(t, rc, TOOL_AT_MODEL, path);
    const lfm2_vision_config *c = lfm2_vision_get_config(v);
    if (j) put_image(j, path, c, lfm2_vision_get_params(v));
    else print_line(t, "image encoder", path, c->n_layers, c->d_vision, c->n_heads, c->d_model);
    lfm2_vision_unload(v);
    return 0;
}

static int show_audio(tool *t, const char *path, json_out *j)
{
    lfm2_audio_encoder *enc = NULL;
    const int rc = lfm2_audio_encoder_load(t->rt, path, &enc);

    if (rc < 0) return tool_fail_status(t, rc, TOOL_AT_MODEL, path);
    const lfm2_audio_config *c = lfm2_audio_encoder_config(enc);
    if (j) put_audio(j, path, c);
    else print_line(t, "audio encoder", path, c->n_layers, c->d_model, c->n_heads, c->d_out);
    lfm2_audio_encoder_unload(enc);
    return 0;
}

int model_info_encoders(tool *t, const char *model_path, json_out *j)
{
    char *path = NULL;
    unsigned has = 0;
    int rc = find_file(t, model_path, &has, &path);

    if (j) json_begin_array(j, "encoders");
    if (rc == 0 && (has & LFM2_ENCODER_VISION)) rc = show_image(t, path, j);
    if (rc == 0 && (has & LFM2_ENCODER_AUDIO)) rc = show_audio(t, path, j);
    if (j) json_end_array(j);
    free(path);
    return rc;
}
