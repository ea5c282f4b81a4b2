/* SPDX-License-Identifier: Apache-2.0
 * Configuration of the vision encoder and the parameters of its images: JSON files beside a checkpoint, keys of a GGUF file. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "encoders/vision_impl.h"

static const lfm2__json_limits LIMITS = { .max_bytes = 1 << 20, .max_depth = 32, .max_values = 100000 };

/* Integers of the tower: key in vision_config, key in GGUF. */
typedef struct field {
    const char *json, *gguf;
    size_t place;
    int32_t lo, hi, fallback;
} field;

#define PLACE(member) offsetof(lfm2_vision_config, member)
static const field FIELDS[] = {
    { "hidden_size", "clip.vision.embedding_length", PLACE(d_vision), 1, 8192, 768 },
    { "intermediate_size", "clip.vision.feed_forward_length", PLACE(d_ff), 1, 65536, 3072 },
    { "num_hidden_layers", "clip.vision.block_count", PLACE(n_layers), 1, LFM2__VISION_MAX_LAYERS, 12 },
    { "num_attention_heads", "clip.vision.attention.head_count", PLACE(n_heads), 1, 256, 12 },
    { "patch_size", "clip.vision.patch_size", PLACE(patch_px), 1, 64, 16 },
};

static int32_t *field_at(lfm2_vision_config *cfg, const field *f)
{
    return (int32_t *)(void *)((char *)cfg + f->place);
}

static int check(lfm2_runtime *rt, const char *label, const lfm2_vision_config *cfg)
{
    if (cfg->d_vision % cfg->n_heads == 0) return 0;
    return lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: a width of %d is no multiple of %d attention heads", label, (int)cfg->d_vision,
                      (int)cfg->n_heads);
}

/* A key that may only be absent or of this value. */
static int want_text(lfm2_runtime *rt, const char *label, const lfm2__json *obj, const char *key, const char *want)
{
    const lfm2__json *v = lfm2__json_get(obj, key);
    const char *s = lfm2__json_str(v, NULL);
    if (lfm2__json_typeof(v) == LFM2__JSON_NULL || (s && strcmp(s, want) == 0)) return 0;
    return lfm2__fail(rt, LFM2_ERR_UNSUPPORTED, "%s: %s: only \"%s\" is supported", label, key, want);
}

static int want_int(lfm2_runtime *rt, const char *label, const lfm2__json *obj, const char *key, int64_t want)
{
    int64_t v = want;
    const int rc = lfm2__json_field_int(rt, label, obj, key, INT32_MIN, INT32_MAX, &v);
    if (rc < 0 || v == want) return rc;
    return lfm2__fail(rt, LFM2_ERR_UNSUPPORTED, "%s: %s: only %lld is supported", label, key, (long long)want);
}

static int want_bool(lfm2_runtime *rt, const char *label, const lfm2__json *obj, const char *key, int want)
{
    int v = want;
    const int rc = lfm2__json_field_bool(rt, label, obj, key, &v);
    if (rc < 0 || v == want) return rc;
    return lfm2__fail(rt, LFM2_ERR_UNSUPPORTED, "%s: %s: only %s is supported", label, key, want ? "true" : "false");
}

/* Side of a square table of n positions, or 0. */
static int32_t square_side(int64_t n)
{
    int32_t side = 0;
    while ((int64_t)side * side < n) side++;
    return (int64_t)side * side == n ? side : 0;
}

int lfm2__vision_config_from_json(lfm2_runtime *rt, const char *label, const lfm2__json *root, lfm2_vision_config *cfg)
{
    const lfm2__json *vis = lfm2__json_get(root, "vision_config");
    if (lfm2__json_typeof(vis) != LFM2__JSON_OBJECT)
        return lfm2__fail(rt, LFM2_ERR_UNSUPPORTED, "%s: vision_config: missing: this checkpoint sees no images", label);
    int64_t n_positions = 256, downsample = 2;
    double eps = 1e-6;
    int rc = 0;
    memset(cfg, 0, sizeof *cfg);
    for (size_t i = 0; rc == 0 && i < LFM2__COUNT_OF(FIELDS); i++) {
        int64_t v = FIELDS[i].fallback;
        rc = lfm2__json_field_int(rt, label, vis, FIELDS[i].json, FIELDS[i].lo, FIELDS[i].hi, &v);
        *field_at(cfg, &FIELDS[i]) = (int32_t)v;
    }
    if (rc == 0) rc = lfm2__json_field_int(rt, label, vis, "num_patches", 1, 65536, &n_positions);
    if (rc == 0) rc = lfm2__json_field_number(rt, label, vis, "layer_norm_eps", 0, 1, &eps);
    if (rc == 0) rc = want_text(rt, label, vis, "hidden_act", "gelu_pytorch_tanh");
    if (rc == 0) rc = want_int(rt, label, vis, "num_channels", 3);
    if (rc == 0) rc = want_bool(rt, label, vis, "vision_use_head", 0);
    if (rc == 0) rc = lfm2__json_field_int(rt, label, root, "downsample_factor", 1, 8, &downsample);
    if (rc == 0) rc = want_text(rt, label, root, "projector_hidden_act", "gelu");
    if (rc == 0) rc = want_bool(rt, label, root, "projector_bias", 1);
    if (rc == 0) rc = want_int(rt, label, root, "vision_feature_layer", -1);
    if (rc < 0) return rc;
    cfg->table_side = square_side(n_positions);
    cfg->downsample = (int32_t)downsample;
    cfg->norm_eps = (float)eps;
    if (cfg->table_side == 0) return lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: num_patches: no square number", label);
    return check(rt, label, cfg);
}

static int kv_is(const lfm2_weights *w, const char *key, const char *want, int *is)
{
    const char *s = NULL;
    size_t n = 0;
    const int rc = lfm2__weights_kv_str(w, key, &s, &n);
    *is = s && n == strlen(want) && memcmp(s, want, n) == 0;
    return rc;
}

static int config_from_gguf(const lfm2_vision *v, lfm2_vision_config *cfg)
{
    const char *path = lfm2_weights_path(v->w);
    int is_clip = 0, is_lfm2 = 0, sees = 0, gelu = 0;
    int64_t factor = 2;
    double eps = 1e-6;
    int rc = kv_is(v->w, "general.architecture", "clip", &is_clip);
    if (rc == 0) rc = lfm2__weights_kv_bool(v->w, "clip.has_vision_encoder", &sees);
    const int is_common = lfm2__weights_find_kv(v->w, "clip.projector_type") != NULL;
    const char *type_key = is_common ? "clip.projector_type" : "clip.vision.projector_type";
    if (rc == 0) rc = kv_is(v->w, type_key, "lfm2", &is_lfm2);
    if (rc == 0 && (!is_clip || !sees || !is_lfm2))
        return lfm2__fail(v->rt, LFM2_ERR_UNSUPPORTED, "%s: clip.projector_type: no LFM2 image encoder in this file", path);
    if (rc == 0) rc = lfm2__weights_kv_bool(v->w, "clip.use_gelu", &gelu);
    if (rc == 0 && !gelu) return lfm2__fail(v->rt, LFM2_ERR_UNSUPPORTED, "%s: clip.use_gelu: only true is supported", path);
    for (size_t i = 0; rc == 0 && i < LFM2__COUNT_OF(FIELDS); i++) {
        int64_t x = 0;
        rc = lfm2__weights_kv_int(v->w, FIELDS[i].gguf, FIELDS[i].lo, FIELDS[i].hi, &x);
        if (rc == 0 && x == 0) return lfm2__fail(v->rt, LFM2_ERR_FORMAT, "%s: %s: missing", path, FIELDS[i].gguf);
        *field_at(cfg, &FIELDS[i]) = (int32_t)x;
    }
    if (rc == 0) rc = lfm2__weights_kv_number(v->w, "clip.vision.attention.layer_norm_epsilon", 0, 1, &eps);
    if (rc == 0) rc = lfm2__weights_kv_int(v->w, "clip.vision.projector.scale_factor", 1, 8, &factor);
    if (rc < 0) return rc;
    cfg->downsample = (int32_t)factor;
    cfg->norm_eps = (float)eps;
    const lfm2_tensor *table = lfm2_weights_find(v->w, "v.position_embd.weight");
    cfg->table_side = table && table->n_dims == 2 && table->dims[0] <= 65536 ? square_side(table->dims[0]) : 0;
    if (cfg->table_side == 0) return lfm2__fail(v->rt, LFM2_ERR_FORMAT, "%s: v.position_embd.weight: no square table", path);
    return check(v->rt, path, cfg);
}

/* ---- parameters of images ---- */

static int read_triple(lfm2_runtime *rt, const char *label, const lfm2__json *obj, const char *key, float *out)
{
    const lfm2__json *v = lfm2__json_get(obj, key);
    if (lfm2__json_typeof(v) == LFM2__JSON_NULL) return 0;
    for (size_t i = 0; i < 3; i++) {
        const lfm2__json *x = lfm2__json_at(v, i);
        const lfm2__json_type t = lfm2__json_typeof(x);
        const double d = lfm2__json_number(x);
        if (lfm2__json_size(v) != 3 || (t != LFM2__JSON_INT && t != LFM2__JSON_REAL) || !(d >= -1000 && d <= 1000))
            return lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: %s: a list of three numbers is expected", label, key);
        out[i] = (float)d;
    }
    return 0;
}

typedef struct param_field {
    const char *key;
    size_t place;
    int is_bool;
} param_field;

#define PARAM(member) offsetof(lfm2_vision_params, member)
static const param_field PARAM_FIELDS[] = {
    { "encoder_patch_size", PARAM(patch_px), 0 },   { "downsample_factor", PARAM(downsample), 0 },
    { "min_image_tokens", PARAM(min_image_tok), 0 }, { "max_image_tokens", PARAM(max_image_tok), 0 },
    { "do_image_splitting", PARAM(do_split), 1 },    { "tile_size", PARAM(tile_px), 0 },
    { "min_tiles", PARAM(min_tiles), 0 },            { "max_tiles", PARAM(max_tiles), 0 },
    { "use_thumbnail", PARAM(use_thumbnail), 1 },    { "line_height_px", PARAM(line_height_px), 0 },
};

int lfm2__vision_params_from_json(lfm2_runtime *rt, const char *label, const lfm2__json *obj, lfm2_vision_params *p)
{
    lfm2_vision_params x = lfm2_vision_params_default();
    const char *bad = NULL;
    double rescale = 1.0 / 255.0;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < LFM2__COUNT_OF(PARAM_FIELDS); i++) {
        const param_field *f = &PARAM_FIELDS[i];
        int32_t *at = (int32_t *)(void *)((char *)&x + f->place);
        int64_t v = *at;
        int flag = *at;
        rc = f->is_bool ? lfm2__json_field_bool(rt, label, obj, f->key, &flag)
                        : lfm2__json_field_int(rt, label, obj, f->key, 0, INT32_MAX, &v);
        *at = f->is_bool ? flag : (int32_t)v;
    }
    if (rc == 0) rc = lfm2__json_field_number(rt, label, obj, "max_pixels_tolerance", 0, 1000, &x.max_pixels_tolerance);
    if (rc == 0) rc = lfm2__json_field_number(rt, label, obj, "rescale_factor", 0, 1, &rescale);
    if (rc == 0) rc = read_triple(rt, label, obj, "image_mean", x.mean);
    if (rc == 0) rc = read_triple(rt, label, obj, "image_std", x.std);
    if (rc == 0) rc = want_int(rt, label, obj, "resample", 2);
    if (rc == 0) rc = want_bool(rt, label, obj, "do_rescale", 1);
    if (rc == 0) rc = want_bool(rt, label, obj, "do_normalize", 1);
    if (rc < 0) return rc;
    if (rescale < 0.00392156 || rescale > 0.00392157)
        return lfm2__fail(rt, LFM2_ERR_UNSUPPORTED, "%s: rescale_factor: only 1/255 is supported", label);
    if (lfm2__vision_params_check(&x, &bad) < 0) return lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: %s: out of range", label, bad);
    *p = x;
    return 0;
}

static int triple_from_gguf(const lfm2_vision *v, const char *key, float *out)
{
    const lfm2__kv *kv = lfm2__weights_find_kv(v->w, key);
    if (!kv) return 0;
    for (uint64_t i = 0; i < 3; i++) {
        const int is_number = kv->type == LFM2__KV_ARRAY && kv->n_elems == 3 && kv->elem_type == LFM2__KV_F32;
        const double d = is_number ? lfm2__kv_number_at(kv, i) : NAN;
        if (!(d >= -1000 && d <= 1000))
            return lfm2__fail(v->rt, LFM2_ERR_FORMAT, "%s: %s: three f32 are expected", lfm2_weights_path(v->w), key);
        out[i] = (float)d;
    }
    return 0;
}

/* Keys of our converter; there is no standard place for them. Patch and factor are the encoder's. */
static int params_from_gguf(const lfm2_vision *v, lfm2_vision_params *p)
{
    lfm2_vision_params x = *p;
    const char *bad = NULL;
    char key[64];
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < LFM2__COUNT_OF(PARAM_FIELDS); i++) {
        const param_field *f = &PARAM_FIELDS[i];
        int32_t *at = (int32_t *)(void *)((char *)&x + f->place);
        int64_t n = *at;
        int flag = *at;
        if (f->place == PARAM(patch_px) || f->place == PARAM(downsample)) continue;
        (void)snprintf(key, sizeof key, "lfm2.vision.%s", f->key);
        rc = f->is_bool ? lfm2__weights_kv_bool(v->w, key, &flag) : lfm2__weights_kv_int(v->w, key, 0, INT32_MAX, &n);
        *at = f->is_bool ? flag : (int32_t)n;
    }
    if (rc == 0) rc = lfm2__weights_kv_number(v->w, "lfm2.vision.max_pixels_tolerance", 0, 1000, &x.max_pixels_tolerance);
    if (rc == 0) rc = triple_from_gguf(v, "clip.vision.image_mean", x.mean);
    if (rc == 0) rc = triple_from_gguf(v, "clip.vision.image_std", x.std);
    if (rc < 0) return rc;
    if (lfm2__vision_params_check(&x, &bad) < 0)
        return lfm2__fail(v->rt, LFM2_ERR_FORMAT, "%s: lfm2.vision.%s: out of range", lfm2_weights_path(v->w), bad);
    *p = x;
    return 0;
}

void lfm2__vision_settings(const lfm2_vision_params *p, lfm2__vision_setting_fn *fn, void *ctx)
{
    for (size_t i = 0; i < LFM2__COUNT_OF(PARAM_FIELDS); i++) {
        const param_field *f = &PARAM_FIELDS[i];
        char key[64];
        int32_t value;
        if (f->place == PARAM(patch_px) || f->place == PARAM(downsample)) continue;
        memcpy(&value, (const char *)p + f->place, sizeof value);
        (void)snprintf(key, sizeof key, "lfm2.vision.%s", f->key);
        fn(ctx, key, f->is_bool, value);
    }
}

/* Load a file beside the weights; *doc stays NULL if there is none. */
static int load_beside(const lfm2_vision *v, const char *name, char **path, lfm2__json_doc **doc)
{
    int rc = lfm2__weights_sibling(v->w, name, path);
    if (rc < 0) return rc;
    rc = lfm2__json_load(v->rt, *path, &LIMITS, doc);
    if (rc == 0 && lfm2__json_typeof(lfm2__json_root(*doc)) != LFM2__JSON_OBJECT)
        rc = lfm2__fail(v->rt, LFM2_ERR_FORMAT, "%s: an object is expected", *path);
    return rc;
}

/* Files that may hold the parameters, in the order of precedence. A file counts only if it has the key. */
static const struct {
    const char *file, *nested;
} PARAM_FILES[] = { { "processor_config.json", "image_processor" }, { "preprocessor_config.json", NULL }, { "config.json", NULL } };

int lfm2__vision_read_params(lfm2_vision *v)
{
    v->params = lfm2_vision_params_default();
    v->params.patch_px = v->cfg.patch_px;
    v->params.downsample = v->cfg.downsample;
    if (lfm2_weights_container(v->w) == LFM2_CONTAINER_GGUF) return params_from_gguf(v, &v->params);
    for (size_t i = 0; i < LFM2__COUNT_OF(PARAM_FILES); i++) {
        char *path = NULL;
        lfm2__json_doc *doc = NULL;
        int rc = load_beside(v, PARAM_FILES[i].file, &path, &doc), found = 0;
        if (rc == LFM2_ERR_NOT_FOUND) rc = 0;
        if (rc == 0 && doc) {
            const lfm2__json *obj = lfm2__json_root(doc);
            if (PARAM_FILES[i].nested) obj = lfm2__json_get(obj, PARAM_FILES[i].nested);
            found = lfm2__json_get(obj, "max_image_tokens") != NULL;
            if (found) rc = lfm2__vision_params_from_json(v->rt, path, obj, &v->params);
        }
        if (rc == 0 && found && (v->params.patch_px != v->cfg.patch_px || v->params.downsample != v->cfg.downsample))
            rc = lfm2__fail(v->rt, LFM2_ERR_FORMAT, "%s: encoder_patch_size, downsample_factor: not the encoder's", path);
        lfm2__json_free(doc);
        lfm2__free(v->rt, path);
        if (rc < 0 || found) return rc;
    }
    return 0;
}

int lfm2__vision_read_config(lfm2_vision *v)
{
    if (lfm2_weights_container(v->w) == LFM2_CONTAINER_GGUF) return config_from_gguf(v, &v->cfg);
    char *path = NULL;
    lfm2__json_doc *doc = NULL;
    int rc = load_beside(v, "config.json", &path, &doc);
    if (rc == 0) rc = lfm2__vision_config_from_json(v->rt, path, lfm2__json_root(doc), &v->cfg);
    lfm2__json_free(doc);
    lfm2__free(v->rt, path);
    return rc;
}
