/* SPDX-License-Identifier: Apache-2.0
 * A picture or a recording on its way into a prompt, one step after the other. */
#ifndef LFM2_TOOLS_MODEL_MEDIA_H
#define LFM2_TOOLS_MODEL_MEDIA_H

#include "tools/common.h"

/* Steps, in their order. */
typedef enum media_step { MEDIA_DECODE, MEDIA_PREPROCESS, MEDIA_ENCODE, MEDIA_PROJECT, MEDIA_N_STEPS } media_step;

typedef struct model_media {
    tool *t;
    const char *path;               /* of --image or --audio */
    int32_t slot;                   /* LFM2_SLOT_IMAGE or LFM2_SLOT_AUDIO; 0 = neither was given, and there is nothing else */
    lfm2_vision *vision;
    lfm2_audio_encoder *audio;
    lfm2_image image;
    lfm2_vision_plan plan;
    float *samples;                 /* [n_samples] of the recording, one channel, 16 kHz */
    int64_t n_samples;
    float *input;                   /* [n_input, input_width]: patches or mel frames */
    int32_t n_input, input_width;
    float *embed;                   /* [n_tok, d_model] */
    int32_t n_tok, d_model;
    const float *embeds[LFM2_VISION_MAX_INPUTS];
    int64_t us[MEDIA_N_STEPS];      /* time of each step; encode without project */
} model_media;

/* Which of --image and --audio is given. Returns 0 or an exit code. */
int model_media_choose(tool *t, model_media *m);
/* Load the encoder that belongs to the model of that path; or make one up from a config.json, for a model of d_model. Return 0 or
 * an exit code, and so below. */
int model_media_load(model_media *m, const char *model_path);
int model_media_load_random(model_media *m, const char *config_path, lfm2_dtype type, uint64_t seed, int32_t d_model);
/* From the file to embeddings; may be called again. */
int model_media_compute(model_media *m);
/* What lfm2_prompt_create() is to be given. */
lfm2_media model_media_slot(model_media *m);
void model_media_fini(model_media *m); /* accepts a zeroed one */

#endif
