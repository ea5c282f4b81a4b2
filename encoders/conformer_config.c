/* SPDX-License-Identifier: Apache-2.0
 * Configuration of the audio encoder: config.json or the keys of a GGUF encoder file, and the widths that only tensors state. */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "encoders/conformer_impl.h"

#define MAX_WIDTH 16384
#define MAX_MELS 256
#define MAX_CHANNELS 4096

static const lfm2__json_limits CONFIG_LIMITS = { .max_bytes = 1 << 20, .max_depth = 32, .max_values = 100000 };

typedef struct source {
    lfm2_runtime *rt;
    const char *path;
    const lfm2__json *obj;
} source;

int32_t lfm2__audio_n_freq(const lfm2_audio_config *c, int i)
{
    int32_t n = c->n_mels;
    while (i-- > 0) n = (n + 1) / 2;
    return n;
}

static int missing(lfm2_runtime *rt, const char *path, const char *key)
{
    return lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: %s: missing", path, key);
}

static int need_int(const source *src, const char *key, int64_t lo, int64_t hi, int32_t *out)
{
    int64_t v = INT64_MIN;
    int rc = lfm2__json_field_int(src->rt, src->path, src->obj, key, lo, hi, &v);
    if (rc < 0) return rc;
    if (v == INT64_MIN) return missing(src->rt, src->path, key);
    *out = (int32_t)v;
    return 0;
}

typedef enum expected_kind { IS_TEXT, IS_NUMBER, IS_BOOL, IS_NULL, IS_FULL_CONTEXT } expected_kind;

/* What a key must say, or not be there; anything else computes something else. */
typedef struct expected {
    const char *key;
    expected_kind kind;
    const char *text;
    double number;
} expected;

static const expected ENCODER_SAYS[] = {
    { "subsampling", IS_TEXT, "dw_striding", 0 },
    { "subsampling_factor", IS_NUMBER, NULL, 8 },
    { "causal_downsampling", IS_BOOL, NULL, 0 },
    { "feat_out", IS_NUMBER, NULL, -1 },
    { "reduction", IS_NULL, NULL, 0 },
    { "reduction_factor", IS_NUMBER, NULL, 1 },
    { "self_attention_model", IS_TEXT, "rel_pos", 0 },
    { "att_context_size", IS_FULL_CONTEXT, NULL, 0 },
    { "xscaling", IS_BOOL, NULL, 0 },
    { "untie_biases", IS_BOOL, NULL, 1 },
    { "conv_norm_type", IS_TEXT, "batch_norm", 0 },
    { "conv_context_size", IS_NULL, NULL, 0 },
};

static const expected PREPROCESSOR_SAYS[] = {
    { "sample_rate", IS_NUMBER, NULL, LFM2_MEL_RATE_HZ },
    { "window_size", IS_NUMBER, NULL, 0.025 },
    { "window_stride", IS_NUMBER, NULL, 0.01 },
    { "window", IS_TEXT, "hann", 0 },
    { "n_fft", IS_NUMBER, NULL, 512 },
    { "normalize", IS_TEXT, "per_feature", 0 },
    { "log", IS_BOOL, NULL, 1 },
    { "frame_splicing", IS_NUMBER, NULL, 1 },
    { "pad_to", IS_NUMBER, NULL, 0 },
    { "preemph", IS_NUMBER, NULL, 0.97 },
    { "mag_power", IS_NUMBER, NULL, 2 },
    { "lowfreq", IS_NUMBER, NULL, 0 },
    { "highfreq", IS_NUMBER, NULL, 8000 },
    { "mel_norm", IS_TEXT, "slaney", 0 },
};

static int is_number(const lfm2__json *v, double want)
{
    const lfm2__json_type t = lfm2__json_typeof(v);
    return (t == LFM2__JSON_INT || t == LFM2__JSON_REAL) && fabs(lfm2__json_number(v) - want) <= 1e-9;
}

static int says(const lfm2__json *v, const expected *e)
{
    const char *s = lfm2__json_str(v, NULL);
    switch (e->kind) {
    case IS_TEXT: return s && strcmp(s, e->text) == 0;
    case IS_NUMBER: return is_number(v, e->number);
    case IS_BOOL: return lfm2__json_typeof(v) == LFM2__JSON_BOOL && lfm2__json_bool(v) == (e->number != 0);
    case IS_NULL: return 0;
    case IS_FULL_CONTEXT:
        return lfm2__json_size(v) == 2 && is_number(lfm2__json_at(v, 0), -1) && is_number(lfm2__json_at(v, 1), -1);
    }
    return 0;
}

static int check_expected(const source *src, const char *section, const expected *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const lfm2__json *v = lfm2__json_get(src->obj, rows[i].key);
        if (lfm2__json_typeof(v) != LFM2__JSON_NULL && !says(v, &rows[i]))
            return lfm2__fail(src->rt, LFM2_ERR_UNSUPPORTED, "%s: %s: %s: this value is not supported", src->path, section,
                              rows[i].key);
    }
    return 0;
}

static int enter(source *src, const lfm2__json *root, const char *section)
{
    src->obj = lfm2__json_get(root, section);
    if (lfm2__json_typeof(src->obj) == LFM2__JSON_OBJECT) return 0;
    return lfm2__fail(src->rt, LFM2_ERR_UNSUPPORTED, "%s: %s: an object is expected: not an audio checkpoint", src->path, section);
}

static int read_value(source *src, const lfm2__json *root, lfm2_audio_config *cfg)
{
    int32_t expansion = 0, n_mels = 0;
    int rc = enter(src, root, "encoder");
    if (rc == 0) rc = check_expected(src, "encoder", ENCODER_SAYS, LFM2__COUNT_OF(ENCODER_SAYS));
    if (rc == 0) rc = need_int(src, "feat_in", 1, MAX_MELS, &cfg->n_mels);
    if (rc == 0) rc = need_int(src, "n_layers", 1, LFM2_AUDIO_MAX_LAYERS, &cfg->n_layers);
    if (rc == 0) rc = need_int(src, "d_model", 2, MAX_WIDTH, &cfg->d_model);
    if (rc == 0) rc = need_int(src, "n_heads", 1, 1024, &cfg->n_heads);
    if (rc == 0) rc = need_int(src, "ff_expansion_factor", 1, 64, &expansion);
    if (rc == 0) rc = need_int(src, "conv_kernel_size", 1, LFM2__AUDIO_MAX_TAPS, &cfg->n_taps);
    if (rc == 0) rc = need_int(src, "subsampling_conv_channels", 1, MAX_CHANNELS, &cfg->n_channels);
    cfg->d_ff = expansion * cfg->d_model;
    if (rc == 0) rc = enter(src, root, "preprocessor");
    if (rc == 0) rc = check_expected(src, "preprocessor", PREPROCESSOR_SAYS, LFM2__COUNT_OF(PREPROCESSOR_SAYS));
    if (rc == 0) rc = need_int(src, "features", 1, MAX_MELS, &n_mels);
    if (rc == 0 && n_mels != cfg->n_mels)
        rc = lfm2__fail(src->rt, LFM2_ERR_FORMAT, "%s: feat_in is %d, features is %d", src->path, (int)cfg->n_mels, (int)n_mels);
    return rc;
}

/* The CTC head is our own models': others have no `ctc`. */
static int read_ctc(source *src, const lfm2__json *root, lfm2_audio_config *cfg, uint32_t **alphabet)
{
    size_t n = 0;
    src->obj = lfm2__json_get(root, "ctc");
    if (lfm2__json_typeof(src->obj) == LFM2__JSON_NULL) return 0;
    int rc = need_int(src, "upsample", 1, LFM2__AUDIO_MAX_UPSAMPLE, &cfg->ctc_upsample);
    if (rc < 0) return rc;
    const char *text = lfm2__json_str(lfm2__json_get(src->obj, "alphabet"), &n);
    if (!text) return lfm2__fail(src->rt, LFM2_ERR_FORMAT, "%s: ctc: alphabet: a string is expected", src->path);
    return lfm2__audio_alphabet(src->rt, src->path, text, n, alphabet, &cfg->n_ctc_classes);
}

int lfm2__audio_config_from_value(lfm2_runtime *rt, const char *path, const lfm2__json *root, lfm2_audio_config *cfg,
                                  uint32_t **alphabet)
{
    source src = { .rt = rt, .path = path };
    int rc = read_value(&src, root, cfg);
    return rc == 0 ? read_ctc(&src, root, cfg, alphabet) : rc;
}

static int read_json(const lfm2_weights *w, lfm2_audio_config *cfg, uint32_t **alphabet)
{
    lfm2_runtime *rt = lfm2__weights_runtime(w);
    char *path = NULL;
    lfm2__json_doc *doc = NULL;
    int rc = lfm2__weights_sibling(w, "config.json", &path);
    if (rc == 0) rc = lfm2__json_load(rt, path, &CONFIG_LIMITS, &doc);
    if (rc == 0) rc = lfm2__audio_config_from_value(rt, path, lfm2__json_root(doc), cfg, alphabet);
    lfm2__json_free(doc);
    lfm2__free(rt, path);
    return rc;
}

static int kv_is_text(const lfm2_weights *w, const char *key, const char *want, int *is)
{
    const char *s = NULL;
    size_t n = 0;
    int rc = lfm2__weights_kv_str(w, key, &s, &n);
    if (rc == 0) *is = s && n == strlen(want) && memcmp(s, want, n) == 0;
    return rc;
}

static int check_gguf_kind(const lfm2_weights *w)
{
    int clip = 0, has_audio = 0, own_type = 0, common_type = 0;
    int rc = kv_is_text(w, "general.architecture", "clip", &clip);
    if (rc == 0) rc = lfm2__weights_kv_bool(w, "clip.has_audio_encoder", &has_audio);
    if (rc == 0) rc = kv_is_text(w, "clip.audio.projector_type", "lfm2a", &own_type);
    if (rc == 0) rc = kv_is_text(w, "clip.projector_type", "lfm2a", &common_type);
    if (rc < 0) return rc;
    if (clip && has_audio && (own_type || common_type)) return 0;
    return lfm2__fail(lfm2__weights_runtime(w), LFM2_ERR_UNSUPPORTED, "%s: not an encoder file for lfm2 audio",
                      lfm2_weights_path(w));
}

static int need_kv(const lfm2_weights *w, const char *key, int64_t lo, int64_t hi, int32_t *out)
{
    int64_t v = INT64_MIN;
    int rc = lfm2__weights_kv_int(w, key, lo, hi, &v);
    if (rc < 0) return rc;
    if (v == INT64_MIN) return missing(lfm2__weights_runtime(w), lfm2_weights_path(w), key);
    *out = (int32_t)v;
    return 0;
}

/* Dimension `dim` of a tensor, from the outermost (0) or, if negative, the innermost (-1). */
static int dim_of(const lfm2_weights *w, const char *st_name, const char *gguf_name, int dim, int64_t hi, int32_t *out)
{
    const char *name = lfm2_weights_container(w) == LFM2_CONTAINER_GGUF ? gguf_name : st_name;
    const lfm2_tensor *t = lfm2_weights_find(w, name);
    if (!t || t->n_dims < 2) return lfm2__fail(lfm2__weights_runtime(w), LFM2_ERR_FORMAT, "%s: %s: missing or no matrix",
                                               lfm2_weights_path(w), name);
    const int64_t v = t->dims[dim < 0 ? t->n_dims + dim : dim];
    if (v < 1 || v > hi)
        return lfm2__fail(lfm2__weights_runtime(w), LFM2_ERR_FORMAT, "%s: %s: a width of %lld is not between 1 and %lld",
                          lfm2_weights_path(w), name, (long long)v, (long long)hi);
    *out = (int32_t)v;
    return 0;
}

static int read_gguf_ctc(const lfm2_weights *w, lfm2_audio_config *cfg, uint32_t **alphabet)
{
    const char *text = NULL;
    size_t n = 0;
    int64_t upsample = 0;
    int rc = lfm2__weights_kv_str(w, "lfm2.audio.ctc.alphabet", &text, &n);
    if (rc == 0) rc = lfm2__weights_kv_int(w, "lfm2.audio.ctc.upsample", 1, LFM2__AUDIO_MAX_UPSAMPLE, &upsample);
    if (rc < 0 || (!text && upsample == 0)) return rc;
    if (!text || upsample == 0)
        return missing(lfm2__weights_runtime(w), lfm2_weights_path(w),
                       text ? "lfm2.audio.ctc.upsample" : "lfm2.audio.ctc.alphabet");
    cfg->ctc_upsample = (int32_t)upsample;
    return lfm2__audio_alphabet(lfm2__weights_runtime(w), lfm2_weights_path(w), text, n, alphabet, &cfg->n_ctc_classes);
}

static int read_gguf(const lfm2_weights *w, lfm2_audio_config *cfg, uint32_t **alphabet)
{
    double eps = (double)LFM2__AUDIO_EPS;
    int rc = check_gguf_kind(w);
    if (rc == 0) rc = need_kv(w, "clip.audio.num_mel_bins", 1, MAX_MELS, &cfg->n_mels);
    if (rc == 0) rc = need_kv(w, "clip.audio.block_count", 1, LFM2_AUDIO_MAX_LAYERS, &cfg->n_layers);
    if (rc == 0) rc = need_kv(w, "clip.audio.embedding_length", 2, MAX_WIDTH, &cfg->d_model);
    if (rc == 0) rc = need_kv(w, "clip.audio.attention.head_count", 1, 1024, &cfg->n_heads);
    if (rc == 0) rc = lfm2__weights_kv_number(w, "clip.audio.attention.layer_norm_epsilon", 0, 1, &eps);
    if (rc == 0 && fabs(eps - 1e-5) > 1e-7)
        rc = lfm2__fail(lfm2__weights_runtime(w), LFM2_ERR_UNSUPPORTED,
                        "%s: clip.audio.attention.layer_norm_epsilon: only 1e-5 is supported", lfm2_weights_path(w));
    /* clip.audio.feed_forward_length is wrong in published files: the tensor says. */
    if (rc == 0) rc = dim_of(w, NULL, "a.blk.0.ffn_up.weight", 0, 64 * MAX_WIDTH, &cfg->d_ff);
    if (rc == 0) rc = dim_of(w, NULL, "a.blk.0.conv_dw.weight", -1, LFM2__AUDIO_MAX_TAPS, &cfg->n_taps);
    if (rc == 0) rc = dim_of(w, NULL, "a.conv1d.0.weight", 0, MAX_CHANNELS, &cfg->n_channels);
    if (rc == 0) rc = read_gguf_ctc(w, cfg, alphabet);
    return rc;
}

static int check(const lfm2_weights *w, const lfm2_audio_config *cfg)
{
    lfm2_runtime *rt = lfm2__weights_runtime(w);
    const char *path = lfm2_weights_path(w);
    int64_t d_out = cfg->d_out;
    int rc = lfm2__weights_kv_int(w, "clip.audio.projection_dim", 1, MAX_WIDTH, &d_out); /* nothing in safetensors */
    if (rc < 0) return rc;
    if (d_out != cfg->d_out)
        return lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: clip.audio.projection_dim: %d, but the adapter has %d", path, (int)d_out,
                          (int)cfg->d_out);
    if (cfg->d_model % 2 != 0 || cfg->d_model % cfg->n_heads != 0)
        return lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: a width of %d is odd, or no multiple of %d heads", path, (int)cfg->d_model,
                          (int)cfg->n_heads);
    if (cfg->n_taps % 2 == 0)
        return lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: %d taps of the convolution: an odd number is expected", path, (int)cfg->n_taps);
    return 0;
}

int lfm2__audio_config_of_weights(const lfm2_weights *w, lfm2_audio_config *cfg, uint32_t **alphabet)
{
    memset(cfg, 0, sizeof(*cfg));
    int rc = lfm2_weights_container(w) == LFM2_CONTAINER_GGUF ? read_gguf(w, cfg, alphabet) : read_json(w, cfg, alphabet);
    if (rc == 0) rc = dim_of(w, "audio_adapter.model.1.weight", "mm.a.mlp.1.weight", 0, MAX_WIDTH, &cfg->d_adapter);
    if (rc == 0) rc = dim_of(w, "audio_adapter.model.3.weight", "mm.a.mlp.3.weight", 0, MAX_WIDTH, &cfg->d_out);
    return rc == 0 ? check(w, cfg) : rc;
}
