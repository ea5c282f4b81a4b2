/* SPDX-License-Identifier: Apache-2.0
 * Configurations: any config.json, and any GGUF file's keys. What is accepted keeps the promises on which every later size
 * rests. */
#include "fuzz/weights_fuzzing.h"
#include "model/model_impl.h"

static void check_config(const lfm2_config *c)
{
    CHECK(strcmp(c->arch, "lfm2") == 0 || strcmp(c->arch, "lfm2moe") == 0);
    CHECK(c->d_model >= 1 && c->d_model <= 65536 && c->n_layers >= 1 && c->n_layers <= LFM2_MAX_LAYERS);
    CHECK(c->n_heads >= 1 && c->n_heads <= 1024 && c->n_kv_heads >= 1 && c->n_heads % c->n_kv_heads == 0);
    CHECK(c->head_dim >= 2 && c->head_dim <= 1024 && c->head_dim % 2 == 0);
    CHECK(c->d_ff >= 1 && c->d_ff <= 1 << 20 && c->n_vocab >= 1 && c->n_vocab <= 1 << 24 && c->n_ctx_max >= 1 &&
          c->n_ctx_max <= 1 << 24);
    CHECK(c->n_taps >= 1 && c->n_taps <= LFM2__MAX_TAPS);
    CHECK(c->n_dense_layers >= 0 && c->n_dense_layers <= c->n_layers);
    CHECK(c->n_experts >= 0 && c->n_experts <= LFM2__MAX_EXPERTS && c->n_experts_used <= c->n_experts);
    if (c->n_dense_layers < c->n_layers) CHECK(c->n_experts_used >= 1 && c->d_ff_expert >= 1 && c->d_ff_expert <= 1 << 20);
    CHECK(c->norm_eps > 0 && c->norm_eps < 1 && c->rope_theta >= 1 && c->rope_theta < 1e13f && c->routed_scale > 0);
    for (int32_t l = 0; l < c->n_layers; l++) CHECK(c->layer_kind[l] <= LFM2_LAYER_ATTN);
}

static int from_json(lfm2_runtime *rt, const uint8_t *data, size_t n, lfm2_config *cfg)
{
    const lfm2__json_limits limits = { .max_bytes = 1 << 16, .max_depth = 16, .max_values = 1 << 12 };
    lfm2__config_extra extra;
    lfm2__json_doc *doc = NULL;
    int rc = lfm2__json_parse(rt, "fuzz", (const char *)data, n, &limits, &doc);
    if (rc < 0) return rc;
    rc = lfm2__config_from_value(rt, "fuzz", lfm2__json_root(doc), cfg, &extra);
    lfm2__json_free(doc);
    return rc;
}

static int from_gguf(lfm2_runtime *rt, const uint8_t *data, size_t n, lfm2_config *cfg)
{
    lfm2_weights *w = NULL;
    int rc = lfm2__weights_open_bytes(rt, "fuzz", data, n, &w);
    if (rc < 0) return rc;
    rc = lfm2_config_load(rt, w, cfg);
    lfm2_weights_close(w);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    lfm2_runtime *rt = fuzz_runtime(0);
    lfm2_config cfg;
    n_lines = 0;
    int rc = lfm2__is_gguf(data, n) ? from_gguf(rt, data, n, &cfg) : from_json(rt, data, n, &cfg);
    CHECK(rc == 0 || rc == LFM2_ERR_FORMAT || rc == LFM2_ERR_LIMIT || rc == LFM2_ERR_UNSUPPORTED);
    CHECK(n_lines == (rc < 0));
    if (rc == 0) check_config(&cfg);
    return 0;
}
