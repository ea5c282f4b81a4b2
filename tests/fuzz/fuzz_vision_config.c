/* SPDX-License-Identifier: Apache-2.0
 * Configuration of the vision encoder and of its images: any config.json, and any GGUF file's keys. What is accepted keeps the
 * promises on which every later size rests. */
#include "encoders/vision_impl.h"
#include "fuzz/weights_fuzzing.h"

static void check_config(const lfm2_vision_config *c)
{
    CHECK(c->d_vision >= 1 && c->d_vision <= 8192 && c->d_ff >= 1 && c->d_ff <= 65536);
    CHECK(c->n_layers >= 1 && c->n_layers <= LFM2__VISION_MAX_LAYERS && c->n_heads >= 1 && c->d_vision % c->n_heads == 0);
    CHECK(c->table_side >= 1 && c->table_side <= 256 && c->patch_px >= 1 && c->patch_px <= 64);
    CHECK(c->downsample >= 1 && c->downsample <= 8 && c->norm_eps >= 0 && c->norm_eps <= 1);
}

/* Every plan of accepted parameters keeps within the plan's bounds. */
static void check_params(const lfm2_vision_params *p, const uint8_t *data, size_t n)
{
    static const int32_t sides[] = {1, 33, 1000, 100000};
    const char *bad;
    CHECK(lfm2__vision_params_check(p, &bad) == 0);
    for (size_t i = 0; i < 16; i++) {
        lfm2_vision_plan plan;
        const int32_t extra = n > i ? data[n - 1 - i] : 0;
        const int rc = lfm2_vision_plan_image(p, sides[i / 4] + extra, sides[i % 4], &plan);
        CHECK(rc == 0 || rc == LFM2_ERR_LIMIT);
        if (rc < 0) continue;
        CHECK(plan.n_inputs >= 1 && plan.n_inputs <= LFM2_VISION_MAX_INPUTS && plan.n_tok >= 1);
        CHECK(plan.n_patches == plan.n_tok * p->downsample * p->downsample);
    }
}

static void from_json(lfm2_runtime *rt, const uint8_t *data, size_t n)
{
    const lfm2__json_limits limits = {.max_bytes = 1 << 16, .max_depth = 16, .max_values = 1 << 12};
    lfm2_vision_config cfg;
    lfm2_vision_params p;
    lfm2__json_doc *doc = NULL;
    if (lfm2__json_parse(rt, "fuzz", (const char *)data, n, &limits, &doc) < 0) return;
    n_lines = 0;
    int rc = lfm2__vision_config_from_json(rt, "fuzz", lfm2__json_root(doc), &cfg);
    CHECK(n_lines == (rc < 0));
    if (rc == 0) check_config(&cfg);
    n_lines = 0;
    rc = lfm2__vision_params_from_json(rt, "fuzz", lfm2__json_root(doc), &p);
    CHECK(n_lines == (rc < 0));
    if (rc == 0) check_params(&p, data, n);
    lfm2__json_free(doc);
}

static void from_gguf(lfm2_runtime *rt, const uint8_t *data, size_t n)
{
    lfm2_vision v = {.rt = rt};
    if (lfm2__weights_open_bytes(rt, "fuzz", data, n, &v.w) < 0) return;
    n_lines = 0;
    int rc = lfm2__vision_read_config(&v);
    if (rc == 0) rc = lfm2__vision_read_params(&v);
    CHECK(rc == 0 || rc == LFM2_ERR_FORMAT || rc == LFM2_ERR_UNSUPPORTED);
    CHECK(n_lines == (rc < 0));
    if (rc == 0) {
        check_config(&v.cfg);
        check_params(&v.params, data, n);
    }
    lfm2_weights_close(v.w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    lfm2_runtime *rt = fuzz_runtime(0);
    if (lfm2__is_gguf(data, n)) from_gguf(rt, data, n);
    else from_json(rt, data, n);
    return 0;
}
