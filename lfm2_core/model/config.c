/* SPDX-License-Identifier: Apache-2.0
 * Configuration: the numeric fields of both containers in one table, and the rules that hold for both. */
#include <stddef.h>
#include <stdio.h>

#include "model/model_impl.h"

#define INT(json, old, gguf, moe, lo, hi, fallback, member) \
    { json, old, gguf, moe, lo, hi, fallback, 0, offsetof(lfm2_config, member) }
#define FLOAT(json, old, gguf, moe, lo, hi, fallback, member) \
    { json, old, gguf, moe, lo, hi, fallback, 1, offsetof(lfm2_config, member) }
#define REQUIRED (-1.0)

/* The old name wins where it is the only one, except for block_ff_dim and tie_embedding (see config_json.c). */
const lfm2__config_field lfm2__config_fields[] = {
    INT("hidden_size", "block_dim", "embedding_length", 0, 1, 65536, REQUIRED, d_model),
    INT("num_hidden_layers", NULL, "block_count", 0, 1, LFM2_MAX_LAYERS, REQUIRED, n_layers),
    INT("num_attention_heads", "num_heads", "attention.head_count", 0, 1, 1024, REQUIRED, n_heads),
    INT("num_key_value_heads", NULL, NULL, 0, 1, 1024, REQUIRED, n_kv_heads),
    INT("vocab_size", NULL, NULL, 0, 1, 1 << 24, REQUIRED, n_vocab),
    INT("max_position_embeddings", NULL, "context_length", 0, 1, 1 << 24, 128000, n_ctx_max),
    INT("conv_L_cache", NULL, "shortconv.l_cache", 0, 1, LFM2__MAX_TAPS, 3, n_taps),
    INT("intermediate_size", "block_ff_dim", "feed_forward_length", 0, 1, 1 << 20, REQUIRED, d_ff),
    FLOAT("norm_eps", "block_norm_eps", "attention.layer_norm_rms_epsilon", 0, 1e-12, 0.1, 1e-5, norm_eps),
    FLOAT("rope_theta", "theta", "rope.freq_base", 0, 1, 1e9, 1e6, rope_theta),
    INT("num_experts", NULL, "expert_count", 1, 1, LFM2__MAX_EXPERTS, REQUIRED, n_experts),
    INT("num_experts_per_tok", NULL, "expert_used_count", 1, 1, LFM2__MAX_EXPERTS, REQUIRED, n_experts_used),
    INT("moe_intermediate_size", NULL, "expert_feed_forward_length", 1, 1, 1 << 20, REQUIRED, d_ff_expert),
    INT("num_dense_layers", NULL, "leading_dense_block_count", 1, 0, LFM2_MAX_LAYERS, 2, n_dense_layers),
    FLOAT("routed_scaling_factor", NULL, NULL, 1, 1e-6, 1000, 1, routed_scale),
};
const size_t lfm2__n_config_fields = LFM2__COUNT_OF(lfm2__config_fields);

void lfm2__config_set(lfm2_config *cfg, const lfm2__config_field *f, double v)
{
    void *dst = (char *)cfg + f->offset;
    if (f->is_float)
        *(float *)dst = (float)v;
    else
        *(int32_t *)dst = (int32_t)v;
}

int lfm2__config_check(lfm2_runtime *rt, const char *label, const lfm2_config *cfg)
{
    if (cfg->n_heads % cfg->n_kv_heads != 0)
        return lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: %d attention heads cannot share %d key/value heads", label, (int)cfg->n_heads,
                          (int)cfg->n_kv_heads);
    if (cfg->head_dim < 2 || cfg->head_dim > 1024 || cfg->head_dim % 2 != 0)
        return lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: head width %d is not an even number from 2 to 1024", label, (int)cfg->head_dim);
    if (cfg->n_experts_used > cfg->n_experts)
        return lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: %d of %d experts used", label, (int)cfg->n_experts_used, (int)cfg->n_experts);
    if (cfg->n_dense_layers > cfg->n_layers)
        return lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: %d of %d layers dense", label, (int)cfg->n_dense_layers, (int)cfg->n_layers);
    return 0;
}

/* The width of dense layers, if w1, w3 and w2 of layer 0 agree on one; otherwise 0. */
static int64_t width_of_tensors(const lfm2_weights *w, int64_t d)
{
    static const char *const prefixes[] = { "model.language_model.", "language_model.model.", "model.", "lfm.", "" };
    for (size_t i = 0; i < LFM2__COUNT_OF(prefixes); i++) {
        const lfm2_tensor *t[3];
        static const char *const names[3] = { "w1", "w3", "w2" };
        int found = 1;
        for (int j = 0; j < 3; j++) {
            char name[128];
            (void)snprintf(name, sizeof(name), "%slayers.0.feed_forward.%s.weight", prefixes[i], names[j]);
            t[j] = lfm2_weights_find(w, name);
            if (!t[j] || t[j]->n_dims != 2) found = 0;
        }
        if (!found) continue;
        int64_t width = t[0]->dims[0];
        int agree = t[0]->dims[1] == d && t[1]->dims[0] == width && t[1]->dims[1] == d;
        agree = agree && t[2]->dims[0] == d && t[2]->dims[1] == width;
        return agree && width >= 1 && width <= 1 << 20 ? width : 0;
    }
    return 0;
}

int lfm2__config_of_weights(const lfm2_weights *w, lfm2_config *cfg, lfm2__config_extra *extra)
{
    lfm2_runtime *rt = lfm2__weights_runtime(w);
    if (lfm2_weights_container(w) == LFM2_CONTAINER_GGUF) return lfm2__config_from_gguf(w, cfg, extra);
    char *path = NULL;
    int rc = lfm2__weights_sibling(w, "config.json", &path);
    if (rc < 0) return rc;
    lfm2_config c;
    rc = lfm2__config_from_json(rt, path, &c, extra);
    if (rc == 0) {
        int64_t width = c.n_dense_layers > 0 ? width_of_tensors(w, c.d_model) : 0;
        if (width > 0 && width != c.d_ff) {
            lfm2__log(rt, LFM2_LOG_WARN, "%s: feed-forward width %d by its rule, %d in the tensors: the tensors are believed", path,
                      (int)c.d_ff, (int)width);
            c.d_ff = (int32_t)width;
        }
        *cfg = c;
    }
    lfm2__free(rt, path);
    return rc;
}

int lfm2_config_load(lfm2_runtime *rt, const lfm2_weights *w, lfm2_config *out)
{
    if (!rt || !w || !out) return LFM2_ERR_ARG;
    lfm2_config cfg;
    lfm2__config_extra extra;
    int rc = lfm2__config_of_weights(w, &cfg, &extra);
    if (rc == 0) *out = cfg;
    return rc;
}

lfm2__short_text lfm2__config_text(const char *s, size_t n)
{
    lfm2__short_text t = { { 0 } };
    if (n > sizeof(t.s) - 1) n = sizeof(t.s) - 1;
    for (size_t i = 0; i < n; i++) t.s[i] = s[i] >= 0x20 && s[i] < 0x7f ? s[i] : '?';
    return t;
}
