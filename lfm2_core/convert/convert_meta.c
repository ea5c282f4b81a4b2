/* SPDX-License-Identifier: Apache-2.0
 * Metadata of a converted model. */
#include "convert/convert_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tokenizers/tok_impl.h"

#define QUANTIZATION_VERSION 2 /* of the block formats, as readers of the format expect it */
#define GATING_SIGMOID 2

/* Number that general.file_type gives a file of mostly that type. */
static uint32_t file_type(lfm2_dtype t)
{
    switch (t) {
    case LFM2_DTYPE_F16: return 1;
    case LFM2_DTYPE_Q4_0: return 2;
    case LFM2_DTYPE_Q8_0: return 7;
    case LFM2_DTYPE_Q4_K: return 14;
    case LFM2_DTYPE_Q6_K: return 18;
    case LFM2_DTYPE_BF16: return 32;
    default: return 0;
    }
}

/* Last part of the path, without slashes behind it or the ending of a file. */
void lfm2__convert_put_name(lfm2__gguf_writer *g, const char *path)
{
    char name[256 * 3 + 12];
    lfm2_utf8_stream utf8 = {.n_held = 0};
    size_t end = strlen(path), begin, n, n_tail;

    while (end > 0 && path[end - 1] == '/') end--;
    begin = end;
    while (begin > 0 && path[begin - 1] != '/') begin--;
    if (end - begin > 12 && memcmp(path + end - 12, ".safetensors", 12) == 0) end -= 12;
    if (end - begin > 255) end = begin + 255;
    lfm2_utf8_push(&utf8, path + begin, end - begin, name, &n);
    lfm2_utf8_finish(&utf8, name + n, &n_tail);
    n += n_tail;
    if (n == 0 || name[0] == '.') return; /* ".", "..": no name */
    lfm2__gguf_put_str(g, "general.name", name, n);
}

/* "1.2M", "350M", "8.3B": two digits at least. */
void lfm2__convert_put_size_label(lfm2__gguf_writer *g, uint64_t n_params)
{
    static const char suffix[] = "KMBT";
    double v = (double)n_params / 1e3;
    char label[32];
    int i = 0;

    while (v >= 1000 && i < 3) {
        v /= 1e3;
        i++;
    }
    int n = snprintf(label, sizeof label, "%.*f%c", v < 9.5 ? 1 : 0, v, suffix[i]);
    lfm2__gguf_put_str(g, "general.size_label", label, (size_t)n);
}

typedef struct key_text {
    char s[96];
} key_text;

static key_text key_of(const lfm2_config *cfg, const char *suffix)
{
    key_text k;
    snprintf(k.s, sizeof k.s, "%s.%s", cfg->arch, suffix);
    return k;
}

static void put_fields(const lfm2_config *cfg, lfm2__gguf_writer *g)
{
    for (size_t i = 0; i < lfm2__n_config_fields; i++) {
        const lfm2__config_field *f = &lfm2__config_fields[i];
        const char *at = (const char *)cfg + f->offset;
        if (!f->gguf || (f->moe && cfg->n_experts == 0)) continue;
        if (f->is_float) {
            float v;
            memcpy(&v, at, sizeof v);
            lfm2__gguf_put_f32(g, key_of(cfg, f->gguf).s, v);
        } else {
            int32_t v;
            memcpy(&v, at, sizeof v);
            lfm2__gguf_put_u32(g, key_of(cfg, f->gguf).s, (uint32_t)v);
        }
    }
}

static int put_config(const lfm2_model *m, lfm2__gguf_writer *g)
{
    const lfm2_config *cfg = &m->cfg;
    int32_t kv_heads[LFM2_MAX_LAYERS];

    if (cfg->n_experts > 0 && !cfg->norm_topk) {
        return lfm2__fail(m->rt, LFM2_ERR_UNSUPPORTED,
                          "convert: norm_topk_prob: GGUF cannot say that expert weights are not normalised");
    }
    put_fields(cfg, g);
    for (int32_t l = 0; l < cfg->n_layers; l++) kv_heads[l] = cfg->layer_kind[l] == LFM2_LAYER_ATTN ? cfg->n_kv_heads : 0;
    lfm2__gguf_put_i32_array(g, key_of(cfg, "attention.head_count_kv").s, kv_heads, (size_t)cfg->n_layers);
    lfm2__gguf_put_u32(g, key_of(cfg, "vocab_size").s, (uint32_t)cfg->n_vocab);
    if (cfg->head_dim != cfg->d_model / cfg->n_heads || cfg->d_model % cfg->n_heads != 0) {
        lfm2__gguf_put_u32(g, key_of(cfg, "attention.key_length").s, (uint32_t)cfg->head_dim);
        lfm2__gguf_put_u32(g, key_of(cfg, "attention.value_length").s, (uint32_t)cfg->head_dim);
    }
    if (cfg->n_experts > 0) {
        lfm2__gguf_put_u32(g, key_of(cfg, "expert_gating_func").s, GATING_SIGMOID);
        if (fabsf(cfg->routed_scale - 1.0f) > 0) lfm2__gguf_put_f32(g, key_of(cfg, "expert_weights_scale").s, cfg->routed_scale);
    }
    return 0;
}

void lfm2__convert_put_format(lfm2__gguf_writer *g, lfm2_dtype t)
{
    lfm2__gguf_put_u32(g, "general.file_type", file_type(t));
    lfm2__gguf_put_u32(g, "general.quantization_version", QUANTIZATION_VERSION);
}

static int key_is(const lfm2__kv *kv, const char *key)
{
    return kv->key_n == strlen(key) && memcmp(kv->key, key, kv->key_n) == 0;
}

/* Everything that a GGUF source says, but what belongs to its own layout. */
void lfm2__convert_copy_meta(const lfm2_weights *w, lfm2_dtype t, lfm2__gguf_writer *g)
{
    for (size_t i = 0; i < lfm2__weights_n_kv(w); i++) {
        const lfm2__kv *kv = lfm2__weights_kv(w, i);
        int ours = key_is(kv, "general.file_type") || key_is(kv, "general.quantization_version");
        int split = kv->key_n >= 6 && memcmp(kv->key, "split.", 6) == 0;
        if (ours || split) continue;
        lfm2__gguf_put_kv(g, kv);
    }
    lfm2__convert_put_format(g, t);
}

static int put_pair(lfm2_runtime *rt, const char *path, const lfm2__json *both, const char *task, lfm2__gguf_writer *g)
{
    const lfm2__json *pair = lfm2__json_get(both, task);
    float v[2];
    char key[64];

    if (lfm2__json_typeof(pair) == LFM2__JSON_NULL) return 0;
    for (size_t i = 0; i < 2; i++) {
        const lfm2__json *x = lfm2__json_at(pair, i);
        const int is_number = lfm2__json_typeof(x) == LFM2__JSON_INT || lfm2__json_typeof(x) == LFM2__JSON_REAL;
        v[i] = (float)lfm2__json_number(x);
        if (lfm2__json_size(pair) != 2 || !is_number || !isfinite(v[i]))
            return lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: lfm2_confidence.%s: two numbers are expected", path, task);
    }
    snprintf(key, sizeof key, "lfm2.confidence.%s", task);
    lfm2__gguf_put_f32_array(g, key, v, 2);
    return 0;
}

int lfm2__convert_put_confidence(const lfm2_weights *w, lfm2__gguf_writer *g)
{
    static const lfm2__json_limits limits = {.max_bytes = 1 << 20, .max_depth = 32, .max_values = 100000};
    lfm2_runtime *rt = lfm2__weights_runtime(w);
    lfm2__json_doc *doc = NULL;
    char *path = NULL;
    int rc = lfm2__weights_sibling(w, "config.json", &path);

    if (rc == 0) rc = lfm2__json_load(rt, path, &limits, &doc);
    if (rc == 0) rc = put_pair(rt, path, lfm2__json_get(lfm2__json_root(doc), "lfm2_confidence"), "see", g);
    if (rc == 0) rc = put_pair(rt, path, lfm2__json_get(lfm2__json_root(doc), "lfm2_confidence"), "hear", g);
    lfm2__json_free(doc);
    lfm2__free(rt, path);
    return rc;
}

int lfm2__convert_meta(const lfm2_model *m, const char *in_path, lfm2_dtype t, lfm2__gguf_writer *g)
{
    lfm2_tokenizer *tok = NULL;

    if (lfm2_weights_container(m->w) == LFM2_CONTAINER_GGUF) {
        lfm2__convert_copy_meta(m->w, t, g);
        return 0;
    }
    int rc = lfm2_tokenizer_load(m->rt, m->w, &tok);
    if (rc < 0) return rc;
    lfm2__gguf_put_str(g, "general.architecture", m->cfg.arch, strlen(m->cfg.arch));
    lfm2__gguf_put_str(g, "general.type", "model", 5);
    lfm2__convert_put_name(g, in_path);
    lfm2__convert_put_size_label(g, m->n_params);
    rc = put_config(m, g);
    if (rc == 0) rc = lfm2__convert_put_confidence(m->w, g);
    if (rc == 0) {
        lfm2__convert_put_format(g, t);
        rc = lfm2__tokenizer_write_gguf(tok, m->cfg.n_vocab, g);
    }
    lfm2_tokenizer_unload(tok);
    return rc;
}
