/* SPDX-License-Identifier: Apache-2.0
 * Configuration from the keys of a GGUF file. */
#include <stdio.h>
#include <string.h>

#include "model/model_impl.h"

typedef struct source {
    lfm2_runtime *rt;
    const lfm2_weights *w;
    const char *path;
    const char *arch;
} source;

typedef struct key_text {
    char s[96];
} key_text;

static key_text key_of(const source *src, const char *suffix)
{
    key_text k;
    (void)snprintf(k.s, sizeof(k.s), "%s.%s", src->arch, suffix);
    return k;
}

static int present(const source *src, const char *suffix)
{
    return lfm2__weights_find_kv(src->w, key_of(src, suffix).s) != NULL;
}

static int read_architecture(source *src, int *moe)
{
    const char *s = NULL;
    size_t n = 0;
    int rc = lfm2__weights_kv_str(src->w, "general.architecture", &s, &n);
    if (rc < 0) return rc;
    if (!s) return lfm2__fail(src->rt, LFM2_ERR_FORMAT, "%s: general.architecture: missing", src->path);
    *moe = n == 7 && memcmp(s, "lfm2moe", 7) == 0;
    if (!*moe && !(n == 4 && memcmp(s, "lfm2", 4) == 0)) {
        int clip = n == 4 && memcmp(s, "clip", 4) == 0;
        return lfm2__fail(src->rt, LFM2_ERR_UNSUPPORTED, "%s: general.architecture: \"%s\" is not supported%s", src->path,
                          lfm2__config_text(s, n).s, clip ? " as a language model (this is an encoder file)" : "");
    }
    src->arch = *moe ? "lfm2moe" : "lfm2";
    return 0;
}

/* Keys of variants that compute something else. */
static int refuse_variants(const source *src)
{
    int causal = 1;
    int rc = lfm2__weights_kv_bool(src->w, key_of(src, "attention.causal").s, &causal);
    if (rc < 0) return rc;
    if (!causal)
        return lfm2__fail(src->rt, LFM2_ERR_UNSUPPORTED, "%s: %s.attention.causal: false is not supported", src->path, src->arch);
    static const char *const keys[] = { "attention.sliding_window", "embedding_length_out", "pooling_type" };
    for (size_t i = 0; i < LFM2__COUNT_OF(keys); i++) {
        int64_t v = 0;
        rc = lfm2__weights_kv_int(src->w, key_of(src, keys[i]).s, 0, INT32_MAX, &v);
        if (rc < 0) return rc;
        if (v != 0) return lfm2__fail(src->rt, LFM2_ERR_UNSUPPORTED, "%s: %s.%s: not supported", src->path, src->arch, keys[i]);
    }
    const char *s = NULL;
    size_t n = 0;
    rc = lfm2__weights_kv_str(src->w, key_of(src, "rope.scaling.type").s, &s, &n);
    if (rc < 0) return rc;
    if (s && !(n == 4 && memcmp(s, "none", 4) == 0))
        return lfm2__fail(src->rt, LFM2_ERR_UNSUPPORTED, "%s: %s.rope.scaling.type: \"%s\" is not supported", src->path, src->arch,
                          lfm2__config_text(s, n).s);
    return 0;
}

static int read_fields(const source *src, int moe, lfm2_config *cfg)
{
    for (size_t i = 0; i < lfm2__n_config_fields; i++) {
        const lfm2__config_field *f = &lfm2__config_fields[i];
        if (!f->gguf || (f->moe && !moe)) continue;
        key_text key = key_of(src, f->gguf);
        double v = f->fallback;
        int rc;
        if (f->is_float) {
            rc = lfm2__weights_kv_number(src->w, key.s, f->lo, f->hi, &v);
        } else {
            int64_t n = 0;
            rc = lfm2__weights_kv_int(src->w, key.s, (int64_t)f->lo, (int64_t)f->hi, &n);
            if (rc == 0 && present(src, f->gguf)) v = (double)n;
        }
        if (rc < 0) return rc;
        if (v < f->lo || (f->moe && !present(src, f->gguf)))
            return lfm2__fail(src->rt, LFM2_ERR_FORMAT, "%s: %s: missing", src->path, key.s);
        lfm2__config_set(cfg, f, v);
    }
    return 0;
}

/* Layer kinds and G: an array with one entry a layer, or one number for all layers. */
static int read_kv_heads(const source *src, lfm2_config *cfg)
{
    key_text key = key_of(src, "attention.head_count_kv");
    const lfm2__kv *kv = lfm2__weights_find_kv(src->w, key.s);
    if (!kv) return lfm2__fail(src->rt, LFM2_ERR_FORMAT, "%s: %s: missing", src->path, key.s);
    int array = kv->type == LFM2__KV_ARRAY;
    if (array && (!lfm2__kv_is_int(kv->elem_type) || kv->n_elems != (uint64_t)cfg->n_layers))
        return lfm2__fail(src->rt, LFM2_ERR_FORMAT, "%s: %s: %d integers are expected", src->path, key.s, (int)cfg->n_layers);
    int64_t all = 0;
    int rc = array ? 0 : lfm2__weights_kv_int(src->w, key.s, 1, cfg->n_heads, &all);
    if (rc < 0) return rc;
    cfg->n_kv_heads = 0;
    for (int32_t l = 0; l < cfg->n_layers; l++) {
        int64_t n = array ? lfm2__kv_int_at(kv, (uint64_t)l) : all;
        if (n < 0 || n > cfg->n_heads || (n > 0 && cfg->n_kv_heads > 0 && n != cfg->n_kv_heads))
            return lfm2__fail(src->rt, LFM2_ERR_FORMAT, "%s: %s: entry %d is out of range or unlike the others", src->path, key.s,
                              (int)l);
        cfg->layer_kind[l] = n > 0 ? LFM2_LAYER_ATTN : LFM2_LAYER_CONV;
        if (n > 0) cfg->n_kv_heads = (int32_t)n;
    }
    if (cfg->n_kv_heads == 0) cfg->n_kv_heads = cfg->n_heads; /* no attention at all: any valid number will do */
    return 0;
}

static int read_head_dim(const source *src, lfm2_config *cfg)
{
    int64_t d_head = 0;
    int rc = lfm2__weights_kv_int(src->w, key_of(src, "attention.key_length").s, 2, 1024, &d_head);
    if (rc < 0) return rc;
    if (d_head == 0) {
        if (cfg->d_model % cfg->n_heads != 0)
            return lfm2__fail(src->rt, LFM2_ERR_FORMAT, "%s: %s.embedding_length: %d is no multiple of %d attention heads",
                              src->path,
                              src->arch, (int)cfg->d_model, (int)cfg->n_heads);
        d_head = cfg->d_model / cfg->n_heads;
    }
    cfg->head_dim = (int32_t)d_head;
    static const char *const same[] = { "attention.value_length", "rope.dimension_count" };
    for (size_t i = 0; i < LFM2__COUNT_OF(same); i++) {
        int64_t v = d_head;
        rc = lfm2__weights_kv_int(src->w, key_of(src, same[i]).s, 1, 1024, &v);
        if (rc < 0) return rc;
        if (v != d_head)
            return lfm2__fail(src->rt, LFM2_ERR_UNSUPPORTED, "%s: %s.%s: only the width of a head (%d) is supported", src->path,
                              src->arch, same[i], (int)d_head);
    }
    return 0;
}

static int read_vocab(const source *src, lfm2_config *cfg)
{
    int64_t n = 0;
    int rc = lfm2__weights_kv_int(src->w, key_of(src, "vocab_size").s, 1, 1 << 24, &n);
    if (rc < 0) return rc;
    if (n == 0) {
        const lfm2_tensor *t = lfm2_weights_find(src->w, "token_embd.weight");
        if (t && t->n_dims == 2) n = t->dims[0];
        if (n < 1 || n > 1 << 24) return lfm2__fail(src->rt, LFM2_ERR_FORMAT, "%s: %s.vocab_size: missing", src->path, src->arch);
    }
    cfg->n_vocab = (int32_t)n;
    return 0;
}

static int read_moe(const source *src, lfm2_config *cfg)
{
    int64_t gating = 2;
    int rc = lfm2__weights_kv_int(src->w, key_of(src, "expert_gating_func").s, 0, 255, &gating);
    if (rc < 0) return rc;
    if (gating != 2)
        return lfm2__fail(src->rt, LFM2_ERR_UNSUPPORTED, "%s: %s.expert_gating_func: only 2 (sigmoid) is supported", src->path,
                          src->arch);
    double scale = 0;
    rc = lfm2__weights_kv_number(src->w, key_of(src, "expert_weights_scale").s, 0, 1000, &scale);
    cfg->routed_scale = scale > 0 ? (float)scale : 1.0f;
    return rc;
}

int lfm2__config_from_gguf(const lfm2_weights *w, lfm2_config *cfg, lfm2__config_extra *extra)
{
    source src = { .rt = lfm2__weights_runtime(w), .w = w, .path = lfm2_weights_path(w) };
    int moe = 0;
    int rc = read_architecture(&src, &moe);
    if (rc == 0) rc = refuse_variants(&src);
    if (rc < 0) return rc;
    memset(cfg, 0, sizeof(*cfg));
    memcpy(cfg->arch, src.arch, strlen(src.arch) + 1);
    *extra = (lfm2__config_extra){ .family = LFM2__FAMILY_TEXT, .expert_bias = 1 };
    rc = read_fields(&src, moe, cfg);
    if (rc == 0) rc = read_kv_heads(&src, cfg);
    if (rc == 0) rc = read_head_dim(&src, cfg);
    if (rc == 0) rc = read_vocab(&src, cfg);
    if (rc < 0) return rc;
    cfg->norm_topk = 1;
    cfg->routed_scale = 1;
    cfg->tied_head = lfm2_weights_find(w, "output.weight") == NULL;
    if (!moe)
        cfg->n_dense_layers = cfg->n_layers;
    else
        rc = read_moe(&src, cfg);
    return rc == 0 ? lfm2__config_check(src.rt, src.path, cfg) : rc;
}
