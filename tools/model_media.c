/* SPDX-License-Identifier: Apache-2.0
 * A picture or a recording on its way into a prompt: decode, preprocess, encode. */
#include <stdlib.h>
#include <string.h>

#include "tools/model_media.h"

#define MAX_SAMPLES ((int64_t)LFM2_AUDIO_MAX_TOK * 8 * LFM2_MEL_HOP_SAMPLES)
#define READ_SAMPLES 16384

static int no_memory(const model_media *m)
{
    return tool_fail(m->t, TOOL_NOMEM, "%s: %s", m->path, lfm2_strerror(LFM2_ERR_NOMEM));
}

int model_media_choose(tool *t, model_media *m)
{
    const char *image = cli_text(&t->cli, "image"), *audio = cli_text(&t->cli, "audio");

    m->t = t;
    m->path = image ? image : audio;
    m->slot = image ? LFM2_SLOT_IMAGE : audio ? LFM2_SLOT_AUDIO : 0;
    if (image && audio) return tool_fail(t, TOOL_USAGE, "--image and --audio exclude each other");
    return 0;
}

static int d_model_of(const model_media *m)
{
    return m->vision ? lfm2_vision_get_config(m->vision)->d_model : lfm2_audio_encoder_config(m->audio)->d_out;
}

int model_media_load(model_media *m, const char *model_path)
{
    char *path = NULL;
    int rc = tool_encoder_path(m->t, model_path, &path);

    if (rc) return rc;
    rc = m->slot == LFM2_SLOT_IMAGE ? lfm2_vision_load(m->t->rt, path, &m->vision)
                                    : lfm2_audio_encoder_load(m->t->rt, path, &m->audio);
    if (rc < 0) {
        rc = tool_fail_status(m->t, rc, TOOL_AT_MODEL, path);
    } else {
        m->d_model = d_model_of(m);
        if (m->d_model != lfm2_model_config(m->t->model)->d_model)
            rc = tool_fail(m->t, TOOL_MODEL, "%s: its embeddings have a width of %d, the model's %d", path, (int)m->d_model,
                           (int)lfm2_model_config(m->t->model)->d_model);
    }
    free(path);
    return rc;
}

int model_media_load_random(model_media *m, const char *config_path, lfm2_dtype type, uint64_t seed, int32_t d_model)
{
    const int is_plain = type == LFM2_DTYPE_F32 || type == LFM2_DTYPE_F16 || type == LFM2_DTYPE_BF16;
    const lfm2_dtype t = is_plain ? type : LFM2_DTYPE_Q8_0; /* as the converter writes them */
    const int rc = m->slot == LFM2_SLOT_IMAGE
                       ? lfm2_vision_create_random(m->t->rt, config_path, t, seed, d_model, &m->vision)
                       : lfm2_audio_encoder_create_random(m->t->rt, config_path, t, seed, d_model, &m->audio);

    m->d_model = d_model;
    return rc < 0 ? tool_fail_status(m->t, rc, TOOL_AT_MODEL, config_path) : 0;
}

/* --- sound --- */

/* Append the mean of all channels. */
static int append_mean(model_media *m, float *const *planes, int32_t n_channels, int32_t n)
{
    float *grown = realloc(m->samples, (size_t)(m->n_samples + n) * sizeof *grown);
    int32_t i, c;

    if (!grown) return no_memory(m);
    m->samples = grown;
    for (i = 0; i < n; i++) {
        double sum = 0;
        for (c = 0; c < n_channels; c++) sum += (double)planes[c][i];
        grown[m->n_samples + i] = (float)(sum / n_channels);
    }
    m->n_samples += n;
    return 0;
}

static int read_all(model_media *m, lfm2_audio_source *source)
{
    float *planes[LFM2_AUDIO_MAX_CHANNELS], *room;
    lfm2_audio_info info;
    int32_t n = 0, c;
    int rc = 0, code = 0;

    lfm2_audio_get_info(source, &info);
    room = malloc((size_t)info.n_channels * READ_SAMPLES * sizeof *room);
    if (!room) return no_memory(m);
    for (c = 0; c < info.n_channels; c++) planes[c] = room + (size_t)c * READ_SAMPLES;
    while (code == 0 && (rc = lfm2_audio_read(source, planes, READ_SAMPLES, &n)) == 0) {
        code = append_mean(m, planes, info.n_channels, n);
    }
    free(room);
    if (rc < 0) return tool_fail_status(m->t, rc, TOOL_AT_INPUT, m->path);
    return code;
}

static int decode_audio(model_media *m)
{
    lfm2_audio_params params = lfm2_audio_params_default();
    lfm2_audio_source *source = NULL;
    int rc;

    params.max_duration_us = MAX_SAMPLES * 1000000 / LFM2_MEL_RATE_HZ;
    rc = lfm2_audio_open(m->t->rt, m->path, &params, &source);
    if (rc < 0) return tool_fail_status(m->t, rc, TOOL_AT_INPUT, m->path);
    rc = read_all(m, source);
    lfm2_audio_close(source);
    return rc;
}

static int preprocess_audio(model_media *m)
{
    lfm2_mel *mel = NULL;
    int rc;

    m->n_input = lfm2_mel_n_frames(m->n_samples);
    m->input_width = lfm2_audio_encoder_config(m->audio)->n_mels;
    m->n_tok = lfm2_audio_n_tok(m->n_input);
    if (m->n_tok < 1 || m->n_tok > LFM2_AUDIO_MAX_TOK) {
        return tool_fail(m->t, TOOL_MALFORMED, "%s: %lld samples; the encoder takes %d to %lld at once", m->path,
                         (long long)m->n_samples, LFM2_MEL_MIN_SAMPLES, (long long)MAX_SAMPLES);
    }
    m->input = malloc((size_t)m->n_input * (size_t)m->input_width * sizeof *m->input);
    if (!m->input) return no_memory(m);
    rc = lfm2_mel_create(m->t->rt, m->input_width, &mel);
    if (rc == 0) rc = lfm2_mel_compute(mel, m->samples, m->n_samples, m->input, m->n_input, &m->n_input);
    lfm2_mel_destroy(mel);
    return rc < 0 ? tool_fail_status(m->t, rc, TOOL_AT_INPUT, m->path) : 0;
}

static int encode_audio(model_media *m)
{
    const lfm2_audio_segment segment = {.mel = m->input, .n_frames = m->n_input};
    lfm2_audio_scratch *scratch = NULL;
    int rc = lfm2_audio_scratch_create(m->audio, m->n_tok, &scratch);

    if (rc == 0) rc = lfm2_audio_encode(m->audio, &segment, 1, scratch, m->embed, m->n_tok, &m->n_tok);
    m->us[MEDIA_PROJECT] = rc == 0 ? lfm2_audio_scratch_adapter_us(scratch) : 0;
    lfm2_audio_scratch_destroy(scratch);
    return rc < 0 ? tool_fail_status(m->t, rc, TOOL_AT_RUN, m->path) : 0;
}

/* --- pictures --- */

static int decode_image(model_media *m)
{
    const int rc = lfm2_image_decode_file(m->t->rt, m->path, NULL, &m->image);

    if (rc < 0) return tool_fail_status(m->t, rc, TOOL_AT_INPUT, m->path);
    if (m->image.partial) tool_note(m->t, 0, "%s: the file is damaged or cut short; some of the picture is missing", m->path);
    return 0;
}

static int preprocess_image(model_media *m)
{
    const lfm2_vision_params *p = lfm2_vision_get_params(m->vision);
    int rc = lfm2_vision_plan_image(p, m->image.width, m->image.height, &m->plan);

    if (rc < 0) return tool_fail_status(m->t, rc, TOOL_AT_INPUT, m->path);
    m->n_input = m->plan.n_patches;
    m->input_width = p->patch_px * p->patch_px * 3;
    m->n_tok = m->plan.n_tok;
    m->input = malloc((size_t)m->n_input * (size_t)m->input_width * sizeof *m->input);
    if (!m->input) return no_memory(m);
    rc = lfm2_vision_patches(m->t->rt, p, &m->plan, lfm2_buf_data(m->image.rgb), m->image.stride_bytes, m->input, m->n_input);
    return rc < 0 ? tool_fail_status(m->t, rc, TOOL_AT_RUN, m->path) : 0;
}

/* All inputs of a picture in one group: tiles are alike, and a batch of them reads the weights once. */
static int encode_image(model_media *m)
{
    lfm2_vision_run *run = NULL;
    int rc = lfm2_vision_run_create(m->vision, m->n_input, &run);

    if (rc == 0) rc = lfm2_vision_encode(run, m->input, m->plan.inputs, m->plan.n_inputs, m->embed, m->n_tok, NULL);
    m->us[MEDIA_PROJECT] = rc == 0 ? lfm2_vision_run_project_us(run) : 0;
    lfm2_vision_run_destroy(run);
    return rc < 0 ? tool_fail_status(m->t, rc, TOOL_AT_RUN, m->path) : 0;
}

/* Where the embeddings of each input begin. */
static void place_embeds(model_media *m)
{
    const int32_t f = m->vision ? lfm2_vision_get_config(m->vision)->downsample : 1;
    const float *at = m->embed;
    int32_t i;

    m->embeds[0] = at;
    for (i = 0; m->vision && i < m->plan.n_inputs; i++) {
        m->embeds[i] = at;
        at += (size_t)(m->plan.inputs[i].n_rows / f) * (size_t)(m->plan.inputs[i].n_cols / f) * (size_t)m->d_model;
    }
}

/* --- both --- */

static void drop_result(model_media *m)
{
    lfm2_image_fini(&m->image);
    free(m->samples);
    free(m->input);
    free(m->embed);
    m->samples = m->input = m->embed = NULL;
    m->n_samples = 0;
}

int model_media_compute(model_media *m)
{
    const int is_image = m->slot == LFM2_SLOT_IMAGE;
    int64_t at[4];
    int rc;

    drop_result(m);
    at[0] = tool_now_us();
    rc = is_image ? decode_image(m) : decode_audio(m);
    at[1] = tool_now_us();
    if (rc == 0) rc = is_image ? preprocess_image(m) : preprocess_audio(m);
    at[2] = tool_now_us();
    if (rc) return rc;
    m->embed = malloc((size_t)m->n_tok * (size_t)m->d_model * sizeof *m->embed);
    if (!m->embed) return no_memory(m);
    rc = is_image ? encode_image(m) : encode_audio(m);
    at[3] = tool_now_us();
    m->us[MEDIA_DECODE] = at[1] - at[0];
    m->us[MEDIA_PREPROCESS] = at[2] - at[1];
    m->us[MEDIA_ENCODE] = at[3] - at[2] - m->us[MEDIA_PROJECT];
    place_embeds(m);
    return rc;
}

lfm2_media model_media_slot(model_media *m)
{
    lfm2_media media = {.slot = m->slot, .n_tok = m->n_tok, .embed = m->embeds};

    if (m->vision) {
        media.plan = &m->plan;
        media.downsample = lfm2_vision_get_config(m->vision)->downsample;
    }
    return media;
}

void model_media_fini(model_media *m)
{
    drop_result(m);
    lfm2_vision_unload(m->vision);
    lfm2_audio_encoder_unload(m->audio);
    m->vision = NULL;
    m->audio = NULL;
}
