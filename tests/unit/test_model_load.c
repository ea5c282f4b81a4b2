/* SPDX-License-Identifier: Apache-2.0
 * Loading: every tensor removed, misshapen, of a wrong type or doubled is named; prefixes and other parts of a checkpoint; random
 * models. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/compiler.h"
#include "model_testing.h"

static test_heap heap;
static test_log lines;
static lfm2_runtime *rt;
static toy m;
static char dir[64];

static int setup(void **state)
{
    (void)state;
    rt = toy_runtime(1, 0, &heap, &lines);
    make_folder(dir, sizeof(dir));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    remove_folder(dir);
    lfm2_runtime_destroy(rt);
    return 0;
}

static int load(lfm2_model **out)
{
    lfm2_model *model = NULL;
    lines.line[0] = 0;
    int rc = lfm2_model_load(rt, dir, &model);
    if (rc < 0) assert_null(model);
    if (out && rc == 0)
        *out = model;
    else
        lfm2_model_unload(model);
    return rc;
}

static int load_toy(void)
{
    toy_save_with_config(rt, &m, dir);
    return load(NULL);
}

static void assert_named(const char *text)
{
    if (!strstr(lines.line, text)) fail_msg("\"%s\" does not name %s", lines.line, text);
}

/* --- every tensor --- */

typedef enum harm { REMOVED, WRONG_DIM, TRANSPOSED, EXTRA_DIM, EMPTY, WRONG_TYPE, RENAMED, N_HARMS } harm;

/* Harm one tensor; 0 if that makes no difference to it. */
static int do_harm(size_t i, harm h)
{
    toy_tensor *t = &m.t[i];
    float *grown;
    switch (h) {
    case REMOVED: toy_remove(&m, i); return 1;
    case WRONG_DIM: /* one row less */
        t->dims[0]--;
        return 1;
    case TRANSPOSED:
        if (t->n_dims < 2 || t->dims[0] == t->dims[t->n_dims - 1]) return 0;
        int64_t d = t->dims[0];
        t->dims[0] = t->dims[t->n_dims - 1];
        t->dims[t->n_dims - 1] = d;
        return 1;
    case EXTRA_DIM: /* twice the data, a dim of 2 in front */
        if (t->n_dims == 3) return 0;
        size_t n = 1;
        for (int j = 0; j < t->n_dims; j++) n *= (size_t)t->dims[j];
        grown = calloc(2 * n, sizeof(float));
        free(t->data);
        t->data = grown;
        memmove(t->dims + 1, t->dims, 2 * sizeof(t->dims[0]));
        t->dims[0] = 2;
        t->n_dims++;
        return 1;
    case EMPTY: t->dims[0] = 0; return 1;
    case WRONG_TYPE: t->dtype = LFM2_DTYPE_I32; return 1;
    case RENAMED: strcat(t->name, "x"); return 1;
    case N_HARMS: break;
    }
    return 0;
}

static void make_toy(const toy_spec *spec, int fused)
{
    toy_init(&m, spec);
    if (fused) toy_fuse_experts(&m);
}

static void test_every_tensor_harmed(void **state)
{
    (void)state;
    static const toy_spec specs[] = {
        { .layers = "ca", .d = 32, .heads = 2, .kv = 1, .ff = 24, .vocab = 40, .taps = 3, .untied = 1, .seed = 1 },
        { .layers = "ca", .d = 32, .heads = 2, .kv = 1, .ff = 24, .vocab = 40, .taps = 3, .experts = 3, .used = 2, .ffe = 20,
          .dense = 1, .seed = 2 },
    };
    for (size_t k = 0; k < LFM2__COUNT_OF(specs) * 2; k++) {
        const toy_spec *spec = &specs[k / 2];
        const int fused = k % 2 == 1;
        if (fused && spec->experts == 0) continue;
        make_toy(spec, fused);
        const size_t n = m.n;
        assert_true(n > 12);
        assert_int_equal(load_toy(), 0); /* unharmed */
        toy_fini(&m);
        for (size_t i = 0; i < n * N_HARMS; i++) {
            char name[96];
            make_toy(spec, fused);
            (void)snprintf(name, sizeof(name), "%s", m.t[i / N_HARMS].name);
            if (do_harm(i / N_HARMS, (harm)(i % N_HARMS))) {
                int rc = load_toy();
                if (rc != LFM2_ERR_FORMAT) fail_msg("%s, harm %zu: %d (%s)", name, i % N_HARMS, rc, lines.line);
                assert_named(name);
            }
            toy_fini(&m);
        }
    }
}

static void test_gguf_tensors_harmed(void **state)
{
    (void)state;
    char path[96];
    (void)snprintf(path, sizeof(path), "%s/m.gguf", dir);
    static const struct {
        const char *name, *gguf;
    } tensors[] = { { "embed_tokens.weight", "token_embd.weight" }, { "embedding_norm.weight", "token_embd_norm.weight" },
                    { "layers.0.conv.conv.weight", "blk.0.shortconv.conv.weight" }, { "layers.1.self_attn.v_proj.weight",
                                                                                      "blk.1.attn_v.weight" },
                    { "layers.3.feed_forward.gate.weight", "blk.3.ffn_gate_inp.weight" },
                    { "layers.3.feed_forward.expert_bias", "blk.3.exp_probs_b.bias" } };
    for (size_t i = 0; i < LFM2__COUNT_OF(tensors); i++) {
        for (int h = 0; h < 2; h++) {
            lfm2_model *model = NULL;
            toy_init(&m, &TOY_MOE);
            toy_tensor *t = toy_find(&m, tensors[i].name);
            if (h == 0)
                toy_remove(&m, (size_t)(t - m.t));
            else
                t->dims[0]--;
            toy_save_gguf(rt, &m, path, NULL);
            assert_int_equal(lfm2_model_load(rt, path, &model), LFM2_ERR_FORMAT);
            assert_named(tensors[i].gguf);
            assert_named("m.gguf");
            toy_fini(&m);
        }
    }
    toy_init(&m, &TOY_DENSE);
    lfm2_model *model = NULL;
    (void)toy_add(&m, "blk.0.attn_qkv.weight", 2, 8, 8, 0);
    toy_save_gguf(rt, &m, path, NULL);
    assert_int_equal(lfm2_model_load(rt, path, &model), LFM2_ERR_FORMAT);
    assert_named("blk.0.attn_qkv.weight");
    toy_fini(&m);
    assert_int_equal(unlink(path), 0);
}

/* Tensors that nobody asked for; a leading slash stands for "no prefix". */
static void test_extra_tensors(void **state)
{
    (void)state;
    static const char *const names[] = { "layers.5.operator_norm.weight", "layers.0.conv.conv.bias", "layers.0.conv.in_proj.bias",
                                         "layers.1.self_attn.rotary.inv_freq", "vision_tower.x.weight", "/conformer.x.weight",
                                         "/stray",
                                         "/audio_adapter.model.0.weight", "/model.multi_modal_projector.linear_1.weight" };
    for (size_t i = 0; i < LFM2__COUNT_OF(names); i++) {
        toy_init(&m, &TOY_DENSE);
        (void)toy_add(&m, names[i], 2, 3, 4, 0);
        assert_int_equal(load_toy(), LFM2_ERR_FORMAT);
        assert_named(names[i] + (names[i][0] == '/'));
        toy_fini(&m);
    }
    /* Two prefixes that would mean the same tensor. */
    toy_init(&m, &TOY_DENSE);
    (void)toy_add(&m, "/lfm.embedding_norm.weight", 1, 64, 0, 0);
    assert_int_equal(load_toy(), LFM2_ERR_FORMAT);
    assert_named("lfm.embedding_norm.weight");
    toy_fini(&m);
}

static void nested_config(const char *form)
{
    static char inner[4096], text[4300];
    toy_config(&TOY_DENSE, NULL, NULL, inner, sizeof(inner));
    (void)snprintf(text, sizeof(text), form, inner);
    toy_write(dir, "config.json", text);
}

static void test_prefixes_and_parts(void **state)
{
    (void)state;
    static const struct {
        const char *config, *prefix, *part;
        int rc;
    } cases[] = {
        { "%s", "model.", NULL, 0 },
        { "%s", "", NULL, 0 },
        { "{\"model_type\": \"lfm2_vl\", \"text_config\": %s}", "model.language_model.", "/model.vision_tower.vision_model.a", 0 },
        { "{\"model_type\": \"lfm2_vl\", \"text_config\": %s}", "model.language_model.",
          "/model.multi_modal_projector.linear_1.bias", 0 },
        { "{\"model_type\": \"lfm2_vl\", \"text_config\": %s}", "language_model.model.", "/vision_tower.a", 0 },
        { "{\"model_type\": \"lfm2_vl\", \"text_config\": %s}", "language_model.model.", "/multi_modal_projector.linear_1.bias",
          0 },
        { "{\"model_type\": \"lfm2_vl\", \"text_config\": %s}", "model.language_model.", "/conformer.a", 0 },
        { "{\"model_type\": \"lfm2_vl\", \"text_config\": %s}", "model.language_model.", "/elsewhere.a", LFM2_ERR_FORMAT },
        { "%s", "model.", "/conformer.a", LFM2_ERR_FORMAT },
        { "{\"lfm\": %s}", "lfm.", "/ctc_head.weight", 0 },
        { "{\"lfm\": %s}", "lfm.", "/conformer.layers.0.a", 0 },
        { "{\"lfm\": %s}", "lfm.", "/audio_adapter.model.0.weight", 0 },
        { "{\"lfm\": %s}", "lfm.", "/audio_embedding.embedding.weight", 0 },
        { "{\"lfm\": %s}", "lfm.", "/depthformer.layers.0.a", 0 },
        { "{\"lfm\": %s}", "lfm.", "/depth_linear.bias", 0 },
        { "{\"lfm\": %s}", "lfm.", "/depth_embeddings.3.embedding.weight", 0 },
        { "{\"lfm\": %s}", "lfm.", "/codebook_offsets", 0 },
        { "{\"lfm\": %s}", "lfm.", "/audio_loss_weights", 0 },
        { "{\"lfm\": %s}", "lfm.", "/vision_tower.a", 0 },
        { "{\"lfm\": %s}", "lfm.", "/elsewhere.a", LFM2_ERR_FORMAT },
        { "%s", "other.", NULL, LFM2_ERR_FORMAT },
    };
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        toy_init(&m, &TOY_DENSE);
        if (cases[i].part) (void)toy_add(&m, cases[i].part, 1, 5, 0, 0);
        nested_config(cases[i].config);
        toy_save(rt, &m, dir, cases[i].prefix);
        int rc = load(NULL);
        if (rc != cases[i].rc) fail_msg("%s %s %s: %d (%s)", cases[i].config, cases[i].prefix, cases[i].part, rc, lines.line);
        if (rc < 0 && cases[i].part) assert_named(cases[i].part + 1);
        toy_fini(&m);
    }
}

/* A tied model may carry a head, which is not used; an untied one must. */
static void test_head(void **state)
{
    (void)state;
    toy_spec spec = TOY_DENSE;
    lfm2_model *plain = NULL, *with_head = NULL;
    toy_init(&m, &spec);
    toy_save_with_config(rt, &m, dir);
    assert_int_equal(load(&plain), 0);
    (void)toy_add(&m, "lm_head.weight", 2, spec.vocab, spec.d, 0);
    toy_save(rt, &m, dir, "model.");
    assert_int_equal(load(&with_head), 0);
    assert_int_equal(lfm2_model_n_params(plain), lfm2_model_n_params(with_head));
    assert_int_equal(lfm2_model_config(with_head)->tied_head, 1);
    float a[128], b[128];
    const int32_t id = 3;
    lfm2_session *s = toy_session(plain, 1, 4, 4, 0), *t = toy_session(with_head, 1, 4, 4, 0);
    toy_forward(s, 0, &id, 1, a);
    toy_forward(t, 0, &id, 1, b);
    assert_memory_equal(a, b, (size_t)spec.vocab * sizeof(float));
    lfm2_session_destroy(s);
    lfm2_session_destroy(t);
    lfm2_model_unload(plain);
    lfm2_model_unload(with_head);
    toy_fini(&m);
    spec.untied = 1;
    toy_init(&m, &spec);
    assert_int_equal(load_toy(), 0);
    toy_remove(&m, (size_t)(toy_find(&m, "lm_head.weight") - m.t));
    assert_int_equal(load_toy(), LFM2_ERR_FORMAT);
    assert_named("lm_head.weight is missing");
    toy_fini(&m);
}

static uint64_t count_params(void)
{
    uint64_t n = 0;
    for (size_t i = 0; i < m.n; i++) {
        uint64_t k = 1;
        for (int j = 0; j < m.t[i].n_dims; j++) k *= (uint64_t)m.t[i].dims[j];
        n += k;
    }
    return n;
}

static void count_line(void *ctx, const char *entry, const char *impl)
{
    assert_non_null(entry);
    assert_non_null(impl);
    ++*(int *)ctx;
}

/* An all-F32 model: no word of types that it does not have. */
static void check_line(void *ctx, const char *entry, const char *impl)
{
    count_line(ctx, entry, impl);
    if (strncmp(entry, "gemm_", 5) == 0) assert_true(strcmp(entry, "gemm_f32") == 0 || strcmp(entry, "gemm_blas") == 0);
    if (strncmp(entry, "dequant_", 8) == 0) assert_string_equal(entry, "dequant_f32");
}

static void test_accessors(void **state)
{
    (void)state;
    const toy_spec *specs[] = { &TOY_DENSE, &TOY_MOE };
    for (size_t i = 0; i < LFM2__COUNT_OF(specs); i++) {
        lfm2_model *model = NULL;
        toy_init(&m, specs[i]);
        toy_save_with_config(rt, &m, dir);
        assert_int_equal(load(&model), 0);
        assert_int_equal(lfm2_model_n_params(model), count_params());
        assert_int_equal(lfm2_model_n_bytes(model), 4 * count_params());
        assert_int_equal(lfm2_weights_n_tensors(lfm2_model_weights(model)), m.n);
        int n = 0;
        lfm2_model_kernels(model, check_line, &n);
        assert_int_equal(n, 3 + 12);
        lfm2_model_unload(model);
        toy_fini(&m);
    }
    assert_null(lfm2_model_config(NULL));
    assert_null(lfm2_model_weights(NULL));
    assert_int_equal(lfm2_model_n_params(NULL), 0);
    assert_int_equal(lfm2_model_n_bytes(NULL), 0);
    lfm2_model_kernels(NULL, count_line, NULL);
    lfm2_model_unload(NULL);
}

static void test_load_arguments(void **state)
{
    (void)state;
    lfm2_model *model = NULL;
    assert_int_equal(lfm2_model_load(NULL, dir, &model), LFM2_ERR_ARG);
    assert_int_equal(lfm2_model_load(rt, NULL, &model), LFM2_ERR_ARG);
    assert_int_equal(lfm2_model_load(rt, dir, NULL), LFM2_ERR_ARG);
    assert_int_equal(lfm2_model_load(rt, "/nonexistent/x", &model), LFM2_ERR_NOT_FOUND);
    assert_null(model);
}

/* Every allocation on the way to the first token fails once: out of memory is said, nothing leaks, nothing is left behind. */
static void test_allocation_failures(void **state)
{
    (void)state;
    char gguf[96], shape[96];
    lfm2_runtime *r = toy_runtime(1, 0, &heap, &lines);
    toy_init(&m, &TOY_MOE);
    toy_save_with_config(rt, &m, dir);
    (void)snprintf(gguf, sizeof(gguf), "%s/m.gguf", dir);
    (void)snprintf(shape, sizeof(shape), "%s/config.json", dir);
    toy_save_gguf(rt, &m, gguf, NULL);
    toy_fini(&m);
    for (int form = 0; form < 3; form++) {
        long k = 0;
        while (test_fail_next(&heap, &k)) {
            lfm2_model *model = NULL;
            lfm2_session *s = NULL;
            int rc = form == 2 ? lfm2_model_create_random(r, shape, LFM2_DTYPE_F16, 1, &model)
                               : lfm2_model_load(r, form ? gguf : dir, &model);
            if (rc == 0) {
                const lfm2_session_params p = { 2, 16, 8, 2 };
                rc = lfm2_session_create(model, &p, &s);
            }
            assert_int_equal(rc, test_has_failed(&heap) ? LFM2_ERR_NOMEM : 0);
            lfm2_session_destroy(s);
            lfm2_model_unload(model);
        }
        assert_true(k > 9);
    }
    assert_int_equal(unlink(gguf), 0);
    lfm2_runtime_destroy(r);
}

/* --- random models --- */

static const char *config_path(const toy_spec *spec)
{
    static char path[96];
    char text[4096];
    toy_config(spec, NULL, NULL, text, sizeof(text));
    toy_write(dir, "shape.json", text);
    (void)snprintf(path, sizeof(path), "%s/shape.json", dir);
    return path;
}

/* Every type gives finite logits that depend on the seed alone, and the parameters of the shape. */
static void test_random_models(void **state)
{
    (void)state;
    const toy_spec spec = { .layers = "cac", .d = 256, .heads = 4, .kv = 2, .ff = 256, .vocab = 300, .taps = 3, .experts = 3,
                            .used = 2,
                            .ffe = 256, .dense = 1, .seed = 1 };
    static const int32_t ids[] = { 5, 299, 0, 17 };
    static float a[4 * 300], b[4 * 300];
    lfm2_runtime *two = toy_runtime(2, 0, &heap, &lines);
    toy_init(&m, &spec);
    const uint64_t n_params = count_params();
    toy_fini(&m);
    for (int t = 0; t < LFM2_DTYPE_N_COMPUTE; t++) {
        for (int k = 0; k < 3; k++) {
            lfm2_model *model = NULL;
            assert_int_equal(lfm2_model_create_random(k == 1 ? two : rt, config_path(&spec), (lfm2_dtype)t, k == 2 ? 8 : 7,
                                                      &model), 0);
            assert_int_equal(lfm2_model_n_params(model), n_params);
            assert_null(lfm2_model_weights(model));
            lfm2_session *s = toy_session(model, 1, 8, 8, 0);
            toy_forward(s, 0, ids, 4, k == 0 ? a : b);
            double sum = 0;
            for (int i = 0; i < 4 * 300; i++) sum += (double)(k == 0 ? a : b)[i] * (double)(k == 0 ? a : b)[i];
            /* logits of a unit-norm row and a matrix of spread 1 / sqrt(d) have spread 1 */
            if (!(sum > 0.5 * 1200 && sum < 2 * 1200)) fail_msg("%s: spread^2 %g", lfm2_dtype_name((lfm2_dtype)t), sum / 1200);
            if (k == 1) assert_memory_equal(a, b, sizeof(a));
            if (k == 2) assert_memory_not_equal(a, b, sizeof(a));
            lfm2_session_destroy(s);
            lfm2_model_unload(model);
        }
    }
    lfm2_runtime_destroy(two);
}

static void test_random_arguments(void **state)
{
    (void)state;
    lfm2_model *model = NULL;
    const toy_spec narrow = { .layers = "ca", .d = 96, .heads = 4, .kv = 2, .ff = 64, .vocab = 30, .taps = 3 };
    assert_int_equal(lfm2_model_create_random(rt, config_path(&narrow), LFM2_DTYPE_Q4_K, 1, &model), LFM2_ERR_RANGE);
    assert_named("96");
    assert_int_equal(lfm2_model_create_random(rt, config_path(&narrow), LFM2_DTYPE_I32, 1, &model), LFM2_ERR_ARG);
    assert_int_equal(lfm2_model_create_random(rt, config_path(&narrow), LFM2_DTYPE_COUNT, 1, &model), LFM2_ERR_ARG);
    assert_int_equal(lfm2_model_create_random(NULL, config_path(&narrow), LFM2_DTYPE_F32, 1, &model), LFM2_ERR_ARG);
    assert_int_equal(lfm2_model_create_random(rt, NULL, LFM2_DTYPE_F32, 1, &model), LFM2_ERR_ARG);
    assert_int_equal(lfm2_model_create_random(rt, config_path(&narrow), LFM2_DTYPE_F32, 1, NULL), LFM2_ERR_ARG);
    assert_int_equal(lfm2_model_create_random(rt, "/nonexistent/config.json", LFM2_DTYPE_F32, 1, &model), LFM2_ERR_NOT_FOUND);
    toy_write(dir, "shape.json", "{\"model_type\": \"gpt\"}");
    char path[96];
    (void)snprintf(path, sizeof(path), "%s/shape.json", dir);
    assert_int_equal(lfm2_model_create_random(rt, path, LFM2_DTYPE_F32, 1, &model), LFM2_ERR_UNSUPPORTED);
    assert_null(model);
    lfm2_runtime_abort(rt);
    assert_int_equal(lfm2_model_create_random(rt, config_path(&narrow), LFM2_DTYPE_F32, 1, &model), LFM2_ERR_ABORTED);
    lfm2_runtime_clear_abort(rt);
    assert_null(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_tensor_harmed), cmocka_unit_test(test_gguf_tensors_harmed),
        cmocka_unit_test(test_extra_tensors), cmocka_unit_test(test_prefixes_and_parts), cmocka_unit_test(test_head),
        cmocka_unit_test(test_accessors), cmocka_unit_test(test_load_arguments), cmocka_unit_test(test_allocation_failures),
        cmocka_unit_test(test_random_models), cmocka_unit_test(test_random_arguments),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
