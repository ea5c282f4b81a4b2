/* SPDX-License-Identifier: Apache-2.0
 * The audio encoder: load, unload, f32 copies of what is small, the batch norm multiplied into the taps. */
#include <math.h>

#include "encoders/conformer_impl.h"

static const char *const ST_PREFIXES[] = { "", NULL };

/* Parts of audio checkpoints and encoder files that are not the encoder's. */
static const char *const OTHER_PARTS[] = { "lfm.", "audio_embedding.", "depthformer.", "depth_linear.", "depth_embeddings.",
                                           "codebook_offsets", "audio_loss_weight", "a.position_embd", "a.embd_to_logits", "v.",
                                           "mm.", "model.", "language_model.", "lm_head.", "vision_tower.",
                                           "multi_modal_projector.", NULL };

static int bind(lfm2_audio_encoder *enc)
{
    lfm2__binder *b = NULL;
    int rc = lfm2__binder_create(enc->w, ST_PREFIXES, &b);
    if (rc < 0) return rc;
    lfm2__binder_allow(b, OTHER_PARTS);
    rc = lfm2__audio_tensors(enc, lfm2__bind_tensor, b);
    if (rc == 0) rc = lfm2__binder_finish(b);
    lfm2__binder_destroy(b);
    return rc;
}

/* The norm comes right behind the depthwise convolution and is as linear as that. taps: [K, d] already. */
static int fold_batch_norm(lfm2_audio_encoder *enc, lfm2__conformer_layer *layer)
{
    const int32_t d = enc->cfg.d_model;
    for (int32_t c = 0; c < d; c++) {
        double scale = (double)layer->bn_weight.data[c], shift = (double)layer->bn_bias.data[c];
        if (layer->bn_var.data) {
            scale /= sqrt((double)layer->bn_var.data[c] + (double)LFM2__AUDIO_EPS);
            shift -= (double)layer->bn_mean.data[c] * scale;
        }
        if (!isfinite(scale) || !isfinite(shift))
            return lfm2__fail(enc->rt, LFM2_ERR_NONFINITE, "%s: layer %d: the batch norm of channel %d is not finite",
                              lfm2_weights_path(enc->w), (int)(layer - enc->layers), (int)c);
        for (int32_t j = 0; j < enc->cfg.n_taps; j++) {
            float *tap = &layer->taps.data[(size_t)j * (size_t)d + (size_t)c];
            *tap = (float)((double)*tap * scale);
        }
        layer->taps_bias.data[c] = (float)((double)layer->taps_bias.data[c] * scale + shift);
    }
    return 0;
}

int lfm2__audio_make_vectors(lfm2_audio_encoder *enc)
{
    const size_t n_channels = (size_t)enc->cfg.n_channels, d = (size_t)enc->cfg.d_model, n_taps = (size_t)enc->cfg.n_taps;
    const size_t n_sub = n_channels * 9, n_tmp = n_sub > d * n_taps ? n_sub : d * n_taps;
    lfm2__vec_walk walk = { .k = &enc->k };
    int rc = lfm2__audio_tensors(enc, lfm2__vec_visit, &walk);
    enc->vectors = lfm2__calloc(enc->rt, walk.n + n_tmp, sizeof(float)); /* and a transpose in flight */
    if (!enc->vectors) return LFM2_ERR_NOMEM;
    walk.at = enc->vectors;
    if (rc == 0) rc = lfm2__audio_tensors(enc, lfm2__vec_visit, &walk);
    for (size_t i = 0; rc == 0 && i < LFM2__COUNT_OF(enc->sub); i++) lfm2__transpose(enc->sub[i].taps.data, n_channels, 9, walk.at);
    for (int32_t l = 0; rc == 0 && l < enc->cfg.n_layers; l++) {
        lfm2__transpose(enc->layers[l].taps.data, d, n_taps, walk.at);
        rc = fold_batch_norm(enc, &enc->layers[l]);
    }
    return rc;
}

int lfm2__audio_encoder_of_weights(lfm2_weights *w, lfm2_audio_encoder **out)
{
    lfm2_runtime *rt = lfm2__weights_runtime(w);
    lfm2_audio_encoder *enc = lfm2__calloc(rt, 1, sizeof(*enc));
    if (!enc) {
        lfm2_weights_close(w);
        return LFM2_ERR_NOMEM;
    }
    enc->rt = rt;
    enc->w = w;
    lfm2__kernels_init(&enc->k, lfm2_runtime_cpu_flags(rt));
    int rc = lfm2__audio_config_of_weights(enc->w, &enc->cfg, &enc->alphabet);
    if (rc < 0) goto fail;
    enc->layers = lfm2__calloc(rt, (size_t)enc->cfg.n_layers, sizeof(*enc->layers));
    if (!enc->layers) {
        rc = LFM2_ERR_NOMEM;
        goto fail;
    }
    rc = bind(enc);
    if (rc == 0) rc = lfm2__audio_make_vectors(enc);
    if (rc == 0) rc = lfm2_weights_check(enc->w);
    if (rc < 0) goto fail;
    *out = enc;
    return 0;
fail:
    lfm2_audio_encoder_unload(enc);
    return rc;
}

int lfm2_audio_encoder_load(lfm2_runtime *rt, const char *path, lfm2_audio_encoder **out)
{
    lfm2_weights *w = NULL;
    if (!rt || !path || !out) return LFM2_ERR_ARG;
    int rc = lfm2_weights_open(rt, path, &w);
    return rc == 0 ? lfm2__audio_encoder_of_weights(w, out) : rc;
}

void lfm2_audio_encoder_unload(lfm2_audio_encoder *enc)
{
    if (!enc) return;
    lfm2__free(enc->rt, enc->alphabet);
    lfm2__free(enc->rt, enc->vectors);
    lfm2__free(enc->rt, enc->random);
    lfm2__free(enc->rt, enc->layers);
    lfm2_weights_close(enc->w);
    lfm2__free(enc->rt, enc);
}

const lfm2_audio_config *lfm2_audio_encoder_config(const lfm2_audio_encoder *enc)
{
    return enc ? &enc->cfg : NULL;
}
