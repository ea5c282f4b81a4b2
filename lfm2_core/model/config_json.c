/* SPDX-License-Identifier: Apache-2.0
 * config.json, old and new schema, of text, image and audio checkpoints. */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "model/model_impl.h"

static const lfm2__json_limits CONFIG_LIMITS = { .max_bytes = 1 << 20, .max_depth = 32, .max_values = 100000 };

typedef struct source {
    lfm2_runtime *rt;
    const char *label;      /* file, and the object in it */
    const lfm2__json *obj;
    int moe;
} source;

static int present(const lfm2__json *obj, const char *key)
{
    return key && lfm2__json_typeof(lfm2__json_get(obj, key)) != LFM2__JSON_NULL;
}

static int is_str(const lfm2__json *v, const char *text)
{
    const char *s = lfm2__json_str(v, NULL);
    return s && strcmp(s, text) == 0;
}

static int unsupported_text(const source *src, const char *key, const lfm2__json *v)
{
    size_t n = 0;
    const char *s = lfm2__json_str(v, &n);
    return lfm2__fail(src->rt, LFM2_ERR_UNSUPPORTED, "%s: %s: \"%s\" is not supported", src->label, key,
                      s ? lfm2__config_text(s, n).s : lfm2__json_type_name(v));
}

/* Find the object that describes the backbone and what surrounds it. */
static int find_backbone(source *src, lfm2__str *label, lfm2__config_extra *extra)
{
    const lfm2__json *root = src->obj;
    if (lfm2__json_typeof(root) != LFM2__JSON_OBJECT)
        return lfm2__fail(src->rt, LFM2_ERR_FORMAT, "%s: an object is expected, not %s", src->label, lfm2__json_type_name(root));
    const lfm2__json *type = lfm2__json_get(root, "model_type");
    const char *inner = NULL;
    extra->family = LFM2__FAMILY_TEXT;
    if (is_str(type, "lfm2_vl") || is_str(type, "lfm2-vl")) {
        extra->family = LFM2__FAMILY_IMAGE;
        inner = "text_config";
    } else if (lfm2__json_typeof(type) == LFM2__JSON_NULL && lfm2__json_typeof(lfm2__json_get(root, "lfm")) == LFM2__JSON_OBJECT) {
        extra->family = LFM2__FAMILY_AUDIO;
        inner = "lfm";
    }
    if (inner) {
        src->obj = lfm2__json_get(root, inner);
        if (lfm2__json_typeof(src->obj) != LFM2__JSON_OBJECT)
            return lfm2__fail(src->rt, LFM2_ERR_FORMAT, "%s: %s: an object is expected", src->label, inner);
        lfm2__str_printf(label, "%s: %s", src->label, inner);
        if (label->status < 0) return label->status;
        src->label = label->data;
    }
    return 0;
}

static int check_architecture(source *src)
{
    const lfm2__json *type = lfm2__json_get(src->obj, "model_type");
    const lfm2__json *archs = lfm2__json_get(src->obj, "architectures");
    if (lfm2__json_typeof(type) == LFM2__JSON_NULL)
        return lfm2__fail(src->rt, LFM2_ERR_UNSUPPORTED, "%s: model_type: missing", src->label);
    src->moe = is_str(type, "lfm2_moe");
    if (!src->moe && !is_str(type, "lfm2")) return unsupported_text(src, "model_type", type);
    for (size_t i = 0; i < lfm2__json_size(archs); i++) {
        const char *s = lfm2__json_str(lfm2__json_at(archs, i), NULL);
        if (s && strstr(s, "Bidirectional")) return unsupported_text(src, "architectures", lfm2__json_at(archs, i));
    }
    int conv_bias = 0;
    int rc = lfm2__json_field_bool(src->rt, src->label, src->obj, "conv_bias", &conv_bias);
    if (rc < 0) return rc;
    if (conv_bias) return lfm2__fail(src->rt, LFM2_ERR_UNSUPPORTED, "%s: conv_bias: not supported", src->label);
    if (present(src->obj, "sliding_window"))
        return lfm2__fail(src->rt, LFM2_ERR_UNSUPPORTED, "%s: sliding_window: not supported", src->label);
    return 0;
}

/* One key of a numeric field. *v stays if it is absent. */
static int read_key(const source *src, const lfm2__config_field *f, const char *key, double *v)
{
    if (f->is_float) return lfm2__json_field_number(src->rt, src->label, src->obj, key, f->lo, f->hi, v);
    int64_t i = (int64_t)*v;
    int rc = lfm2__json_field_int(src->rt, src->label, src->obj, key, (int64_t)f->lo, (int64_t)f->hi, &i);
    if (rc == 0 && present(src->obj, key)) *v = (double)i;
    return rc;
}

static int read_fields(const source *src, lfm2_config *cfg)
{
    for (size_t i = 0; i < lfm2__n_config_fields; i++) {
        const lfm2__config_field *f = &lfm2__config_fields[i];
        if (f->moe && !src->moe) continue;
        double v = f->fallback, old = f->fallback;
        int rc = read_key(src, f, f->json, &v);
        if (rc == 0 && f->json_old) rc = read_key(src, f, f->json_old, &old);
        if (rc < 0) return rc;
        int old_wins = !present(src->obj, f->json) || (f->json_old && strcmp(f->json_old, "block_ff_dim") == 0);
        if (old_wins && present(src->obj, f->json_old)) v = old;
        if (v < f->lo) return lfm2__fail(src->rt, LFM2_ERR_FORMAT, "%s: %s: missing", src->label, f->json);
        lfm2__config_set(cfg, f, v);
    }
    return 0;
}

/* rope_parameters (or rope_scaling, its older form). *theta stays if not stated. */
static int read_rope(const source *src, const char *key, double *theta)
{
    const lfm2__json *rope = lfm2__json_get(src->obj, key);
    if (lfm2__json_typeof(rope) == LFM2__JSON_NULL) return 0;
    if (lfm2__json_typeof(rope) != LFM2__JSON_OBJECT)
        return lfm2__fail(src->rt, LFM2_ERR_FORMAT, "%s: %s: an object is expected, not %s", src->label, key,
                          lfm2__json_type_name(rope));
    void *it = NULL;
    const char *name;
    size_t name_n;
    const lfm2__json *v;
    while (lfm2__json_next(rope, &it, &name, &name_n, &v)) {
        int is_type = strcmp(name, "rope_type") == 0 || strcmp(name, "type") == 0;
        if ((is_type && !is_str(v, "default")) || lfm2__json_typeof(v) == LFM2__JSON_OBJECT) return unsupported_text(src, key, v);
    }
    double partial = 1;
    int rc = lfm2__json_field_number(src->rt, src->label, rope, "partial_rotary_factor", 0, 1, &partial);
    if (rc == 0 && partial < 1)
        rc = lfm2__fail(src->rt, LFM2_ERR_UNSUPPORTED, "%s: partial_rotary_factor: not supported", src->label);
    return rc < 0 ? rc : lfm2__json_field_number(src->rt, src->label, rope, "rope_theta", 1, 1e9, theta);
}

/* The width rule of dense models, see MODEL.md. */
static int adjust_width(const source *src, lfm2_config *cfg)
{
    static const char multiplier_key[] = "block_ffn_dim_multiplier";
    int adjust = 1;
    int64_t multiple = 256;
    double multiplier = 1.0;
    int rc = lfm2__json_field_bool(src->rt, src->label, src->obj, "block_auto_adjust_ff_dim", &adjust);
    if (rc == 0) rc = lfm2__json_field_int(src->rt, src->label, src->obj, "block_multiple_of", 1, 65536, &multiple);
    if (rc == 0) rc = lfm2__json_field_number(src->rt, src->label, src->obj, multiplier_key, 1e-3, 64, &multiplier);
    if (rc < 0 || src->moe || !adjust) return rc;
    int64_t width = 2 * (int64_t)cfg->d_ff / 3;
    const lfm2__json *stated = lfm2__json_get(src->obj, multiplier_key);
    if (!stated || lfm2__json_typeof(stated) != LFM2__JSON_NULL) {
        width = (int64_t)floor(multiplier * (double)width);
        width = (width + multiple - 1) / multiple * multiple;
    }
    if (width < 1 || width > 1 << 20)
        return lfm2__fail(src->rt, LFM2_ERR_FORMAT, "%s: intermediate_size: its width rule gives %lld", src->label,
                          (long long)width);
    cfg->d_ff = (int32_t)width;
    return 0;
}

static int read_layer_types(const source *src, const lfm2__json *types, lfm2_config *cfg)
{
    if (lfm2__json_typeof(types) != LFM2__JSON_ARRAY || lfm2__json_size(types) != (size_t)cfg->n_layers)
        return lfm2__fail(src->rt, LFM2_ERR_FORMAT, "%s: layer_types: a list of %d is expected", src->label, (int)cfg->n_layers);
    for (int32_t l = 0; l < cfg->n_layers; l++) {
        const lfm2__json *v = lfm2__json_at(types, (size_t)l);
        int attn = is_str(v, "full_attention") || is_str(v, "attention");
        if (!attn && !is_str(v, "conv")) {
            if (lfm2__json_typeof(v) == LFM2__JSON_STRING) return unsupported_text(src, "layer_types", v);
            return lfm2__fail(src->rt, LFM2_ERR_FORMAT, "%s: layer_types: entry %d is no string", src->label, (int)l);
        }
        cfg->layer_kind[l] = attn ? LFM2_LAYER_ATTN : LFM2_LAYER_CONV;
    }
    return 0;
}

static int read_layer_kinds(const source *src, lfm2_config *cfg)
{
    const lfm2__json *types = lfm2__json_get(src->obj, "layer_types");
    if (lfm2__json_typeof(types) != LFM2__JSON_NULL) return read_layer_types(src, types, cfg);
    const lfm2__json *idxs = lfm2__json_get(src->obj, "full_attn_idxs");
    int all = lfm2__json_typeof(idxs) == LFM2__JSON_NULL;
    if (!all && lfm2__json_typeof(idxs) != LFM2__JSON_ARRAY)
        return lfm2__fail(src->rt, LFM2_ERR_FORMAT, "%s: full_attn_idxs: a list is expected, not %s", src->label,
                          lfm2__json_type_name(idxs));
    for (int32_t l = 0; l < cfg->n_layers; l++) cfg->layer_kind[l] = all ? LFM2_LAYER_ATTN : LFM2_LAYER_CONV;
    for (size_t i = 0; i < lfm2__json_size(idxs); i++) {
        const lfm2__json *v = lfm2__json_at(idxs, i);
        int64_t l = lfm2__json_int(v);
        if (lfm2__json_typeof(v) != LFM2__JSON_INT || l < 0 || l >= cfg->n_layers)
            return lfm2__fail(src->rt, LFM2_ERR_FORMAT, "%s: full_attn_idxs: entry %zu is no layer", src->label, i);
        cfg->layer_kind[l] = LFM2_LAYER_ATTN;
    }
    return 0;
}

static int read_head_dim(const source *src, lfm2_config *cfg)
{
    int64_t head_dim = 0;
    int rc = lfm2__json_field_int(src->rt, src->label, src->obj, "head_dim", 2, 1024, &head_dim);
    if (rc < 0) return rc;
    if (head_dim == 0) {
        if (cfg->d_model % cfg->n_heads != 0)
            return lfm2__fail(src->rt, LFM2_ERR_FORMAT, "%s: hidden_size: %d is no multiple of %d attention heads", src->label,
                              (int)cfg->d_model, (int)cfg->n_heads);
        head_dim = cfg->d_model / cfg->n_heads;
    }
    cfg->head_dim = (int32_t)head_dim;
    static const char *const conv_dims[] = { "conv_dim", "conv_dim_out" };
    for (size_t i = 0; i < LFM2__COUNT_OF(conv_dims); i++) {
        int64_t v = cfg->d_model;
        rc = lfm2__json_field_int(src->rt, src->label, src->obj, conv_dims[i], 1, 65536, &v);
        if (rc < 0) return rc;
        if (v != cfg->d_model)
            return lfm2__fail(src->rt, LFM2_ERR_UNSUPPORTED, "%s: %s: only the model's width is supported", src->label,
                              conv_dims[i]);
    }
    return 0;
}

static int read_switches(const source *src, lfm2_config *cfg, lfm2__config_extra *extra)
{
    int tied = 1, norm_topk = 1;
    extra->expert_bias = 1;
    int rc = lfm2__json_field_bool(src->rt, src->label, src->obj, "tie_word_embeddings", &tied);
    if (rc == 0) rc = lfm2__json_field_bool(src->rt, src->label, src->obj, "tie_embedding", &tied);
    if (rc == 0) rc = lfm2__json_field_bool(src->rt, src->label, src->obj, "norm_topk_prob", &norm_topk);
    if (rc == 0) rc = lfm2__json_field_bool(src->rt, src->label, src->obj, "use_expert_bias", &extra->expert_bias);
    cfg->tied_head = tied;
    cfg->norm_topk = norm_topk;
    return rc;
}

static int read_backbone(const source *src, lfm2_config *cfg, lfm2__config_extra *extra)
{
    memset(cfg, 0, sizeof(*cfg));
    memcpy(cfg->arch, src->moe ? "lfm2moe" : "lfm2", src->moe ? 8 : 5);
    int rc = read_fields(src, cfg);
    if (rc < 0) return rc;
    if (!src->moe) {
        cfg->n_dense_layers = cfg->n_layers;
        cfg->routed_scale = 1;
    }
    double theta = (double)cfg->rope_theta;
    rc = read_rope(src, "rope_scaling", &theta);
    if (rc == 0) rc = read_rope(src, "rope_parameters", &theta);
    cfg->rope_theta = (float)theta;
    if (rc == 0) rc = adjust_width(src, cfg);
    if (rc == 0) rc = read_layer_kinds(src, cfg);
    if (rc == 0) rc = read_head_dim(src, cfg);
    if (rc == 0) rc = read_switches(src, cfg, extra);
    return rc == 0 ? lfm2__config_check(src->rt, src->label, cfg) : rc;
}

int lfm2__config_from_value(lfm2_runtime *rt, const char *label, const lfm2__json *root, lfm2_config *cfg,
                            lfm2__config_extra *extra)
{
    lfm2__str inner;
    lfm2__str_init(&inner, rt);
    source src = { .rt = rt, .label = label, .obj = root };
    int rc = find_backbone(&src, &inner, extra);
    if (rc == 0) rc = check_architecture(&src);
    if (rc == 0) rc = read_backbone(&src, cfg, extra);
    lfm2__str_fini(&inner);
    return rc;
}

int lfm2__config_from_json(lfm2_runtime *rt, const char *path, lfm2_config *cfg, lfm2__config_extra *extra)
{
    lfm2__json_doc *doc = NULL;
    int rc = lfm2__json_load(rt, path, &CONFIG_LIMITS, &doc);
    if (rc < 0) return rc;
    rc = lfm2__config_from_value(rt, path, lfm2__json_root(doc), cfg, extra);
    lfm2__json_free(doc);
    return rc;
}
