/* SPDX-License-Identifier: Apache-2.0
 * Configurations: both schemas, every numeric key with values that must be refused by name, other families. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "model_testing.h"

typedef struct fixture {
    test_heap heap;
    test_log log;
    lfm2_runtime *rt;
    char dir[64];
    toy m;
} fixture;

static fixture dense, moe;

static void make_fixture(fixture *f, const toy_spec *spec)
{
    f->rt = toy_runtime(1, 0, &f->heap, &f->log);
    toy_init(&f->m, spec);
    make_folder(f->dir, sizeof(f->dir));
    toy_save_with_config(f->rt, &f->m, f->dir);
}

static void drop_fixture(fixture *f)
{
    remove_folder(f->dir);
    toy_fini(&f->m);
    lfm2_runtime_destroy(f->rt);
}

static int setup(void **state)
{
    (void)state;
    make_fixture(&dense, &TOY_DENSE);
    make_fixture(&moe, &TOY_MOE);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    drop_fixture(&dense);
    drop_fixture(&moe);
    return 0;
}

/* Load the folder; on success cfg is filled. */
static int load(fixture *f, lfm2_config *cfg)
{
    lfm2_model *m = NULL;
    f->log.line[0] = 0;
    int rc = lfm2_model_load(f->rt, f->dir, &m);
    if (rc == 0 && cfg) *cfg = *lfm2_model_config(m);
    if (rc < 0) assert_null(m);
    lfm2_model_unload(m);
    return rc;
}

static int load_text(fixture *f, const char *text, lfm2_config *cfg)
{
    toy_write(f->dir, "config.json", text);
    return load(f, cfg);
}

static int load_changed(fixture *f, const char *key, const char *value, lfm2_config *cfg)
{
    char text[4096];
    toy_config(&f->m.spec, key, value, text, sizeof(text));
    return load_text(f, text, cfg);
}

static void assert_named(const fixture *f, const char *a, const char *b)
{
    if (!strstr(f->log.line, a) || (b && !strstr(f->log.line, b)))
        fail_msg("\"%s\" names neither %s nor %s", f->log.line, a, b ? b : "");
}

/* --- every numeric key, twelve bad values --- */

enum { ZERO_OK = 1, HALF_OK = 2, OPTIONAL = 4, FLOAT = 8 };

static const struct numeric_key {
    const char *name;
    int moe;
    unsigned flags; /* values that this key allows, though they are odd */
} KEYS[] = {
    { "hidden_size", 0, 0 }, { "block_dim", 0, OPTIONAL }, { "num_hidden_layers", 0, 0 }, { "num_attention_heads", 0, 0 },
    { "num_heads", 0, OPTIONAL }, { "num_key_value_heads", 0, 0 }, { "head_dim", 0, OPTIONAL }, { "vocab_size", 0, 0 },
    { "max_position_embeddings", 0, OPTIONAL }, { "conv_L_cache", 0, OPTIONAL }, { "conv_dim", 0, OPTIONAL },
    { "conv_dim_out", 0, OPTIONAL }, { "intermediate_size", 0, 0 }, { "block_ff_dim", 0, OPTIONAL },
    { "block_multiple_of", 0, OPTIONAL }, { "block_ffn_dim_multiplier", 0, OPTIONAL | FLOAT | HALF_OK },
    { "norm_eps", 0, OPTIONAL | FLOAT }, { "block_norm_eps", 0, OPTIONAL | FLOAT }, { "rope_theta", 0, OPTIONAL | FLOAT },
    { "theta", 0, OPTIONAL | FLOAT }, { "num_experts", 1, 0 }, { "num_experts_per_tok", 1, 0 }, { "moe_intermediate_size", 1, 0 },
    { "num_dense_layers", 1, OPTIONAL | ZERO_OK }, { "routed_scaling_factor", 1, OPTIONAL | FLOAT | HALF_OK },
};

static void test_bad_numbers(void **state)
{
    (void)state;
    static const char *const values[] = { "0", "-1", "2147483648", "1e309", "NaN", "\"3\"", "true", "[4]", "{}",
                                          "9223372036854775807",
                                          "1e18", "0.5", "-0.0001" };
    for (size_t k = 0; k < LFM2__COUNT_OF(KEYS); k++) {
        fixture *f = KEYS[k].moe ? &moe : &dense;
        int n_refused = 0;
        for (size_t v = 0; v < LFM2__COUNT_OF(values); v++) {
            if ((KEYS[k].flags & HALF_OK) && strcmp(values[v], "0.5") == 0) continue;
            /* a mixture with no dense layer is a valid shape, though not that of these tensors */
            int zero = (KEYS[k].flags & ZERO_OK) && strcmp(values[v], "0") == 0;
            int rc = load_changed(f, KEYS[k].name, values[v], NULL);
            if (rc != LFM2_ERR_FORMAT) fail_msg("%s: %s gave %d (%s)", KEYS[k].name, values[v], rc, f->log.line);
            int broken = strcmp(values[v], "NaN") == 0 || strcmp(values[v], "1e309") == 0; /* no JSON: file and place are named */
            if (!zero) assert_named(f, "config.json", broken ? ":1:" : KEYS[k].name);
            n_refused++;
        }
        assert_true(n_refused >= 12);
        /* null and absence: the default, or an error that says what is missing */
        for (int absent = 0; absent < 2; absent++) {
            int rc = load_changed(f, KEYS[k].name, absent ? NULL : "null", NULL);
            if (!(KEYS[k].flags & OPTIONAL)) {
                assert_int_equal(rc, LFM2_ERR_FORMAT);
                assert_named(f, "config.json", KEYS[k].name);
            } else if (rc != 0) {
                fail_msg("%s: %s gave %d (%s)", KEYS[k].name, absent ? "absence" : "null", rc, f->log.line);
            }
        }
    }
}

static void test_rope_parameters(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value;
        int rc;
        float theta;
    } cases[] = {
        { "rope_parameters", "{\"rope_theta\": 5000000.0, \"rope_type\": \"default\"}", 0, 5e6f },
        { "rope_parameters", "{\"rope_theta\": 1000000, \"type\": \"default\"}", 0, 1e6f },
        { "rope_parameters", "{}", 0, 1e4f },
        { "rope_parameters", "null", 0, 1e4f },
        { "rope_scaling", "null", 0, 1e4f },
        { "rope_parameters", "{\"rope_theta\": 0}", LFM2_ERR_FORMAT, 0 },
        { "rope_parameters", "{\"rope_theta\": \"x\"}", LFM2_ERR_FORMAT, 0 },
        { "rope_parameters", "[1]", LFM2_ERR_FORMAT, 0 },
        { "rope_parameters", "{\"rope_type\": \"yarn\"}", LFM2_ERR_UNSUPPORTED, 0 },
        { "rope_parameters", "{\"rope_type\": 3}", LFM2_ERR_UNSUPPORTED, 0 },
        { "rope_parameters", "{\"full_attention\": {\"rope_theta\": 10000}}", LFM2_ERR_UNSUPPORTED, 0 },
        { "rope_parameters", "{\"rope_theta\": 10000, \"partial_rotary_factor\": 0.5}", LFM2_ERR_UNSUPPORTED, 0 },
        { "rope_scaling", "{\"type\": \"linear\", \"factor\": 2}", LFM2_ERR_UNSUPPORTED, 0 },
    };
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        lfm2_config cfg;
        int rc = load_changed(&dense, cases[i].key, cases[i].value, &cfg);
        if (rc != cases[i].rc) fail_msg("%s: %s gave %d", cases[i].key, cases[i].value, rc);
        if (rc == 0)
            assert_true(cfg.rope_theta == cases[i].theta);
        else
            assert_named(&dense, "config.json", rc == LFM2_ERR_UNSUPPORTED ? NULL : "rope_");
    }
}

static void test_switches_and_lists(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value;
        int rc;
    } cases[] = {
        { "conv_bias", "true", LFM2_ERR_UNSUPPORTED },
        { "conv_bias", "1", LFM2_ERR_FORMAT },
        { "sliding_window", "30", LFM2_ERR_UNSUPPORTED },
        { "sliding_window", "null", 0 },
        { "tie_word_embeddings", "3", LFM2_ERR_FORMAT },
        { "tie_embedding", "\"yes\"", LFM2_ERR_FORMAT },
        { "block_auto_adjust_ff_dim", "0", LFM2_ERR_FORMAT },
        { "layer_types", "[\"conv\"]", LFM2_ERR_FORMAT },
        { "layer_types", "\"conv\"", LFM2_ERR_FORMAT },
        { "layer_types", "[\"conv\", \"full_attention\", \"conv\", \"conv\", 3]", LFM2_ERR_FORMAT },
        { "layer_types", "[\"conv\", \"full_attention\", \"conv\", \"conv\", \"sliding_attention\"]", LFM2_ERR_UNSUPPORTED },
        { "architectures", "[\"Lfm2BidirectionalModel\"]", LFM2_ERR_UNSUPPORTED },
        { "architectures", "[\"Lfm2ForCausalLM\"]", 0 },
        { "num_attention_heads", "5", LFM2_ERR_FORMAT },
        { "num_key_value_heads", "3", LFM2_ERR_FORMAT },
        { "conv_dim", "32", LFM2_ERR_UNSUPPORTED },
        { "head_dim", "17", LFM2_ERR_FORMAT },
    };
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        int rc = load_changed(&dense, cases[i].key, cases[i].value, NULL);
        if (rc != cases[i].rc) fail_msg("%s: %s gave %d (%s)", cases[i].key, cases[i].value, rc, dense.log.line);
        if (rc != 0) assert_named(&dense, "config.json", NULL);
    }
    assert_int_equal(load_changed(&moe, "num_experts_per_tok", "7", NULL), LFM2_ERR_FORMAT);
    assert_int_equal(load_changed(&moe, "num_dense_layers", "6", NULL), LFM2_ERR_FORMAT);
    assert_int_equal(load_changed(&moe, "norm_topk_prob", "2", NULL), LFM2_ERR_FORMAT);
    assert_int_equal(load_changed(&moe, "use_expert_bias", "[]", NULL), LFM2_ERR_FORMAT);
}

static void test_attention_indices(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        int rc;
    } cases[] = { { "[1, 4]", 0 }, { "[4, 1, 1]", 0 }, { "[1, 5]", LFM2_ERR_FORMAT }, { "[-1]", LFM2_ERR_FORMAT },
                  { "[1.0]", LFM2_ERR_FORMAT },
                  { "3", LFM2_ERR_FORMAT }, { "[\"1\"]", LFM2_ERR_FORMAT } };
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        char text[4096], with[4200];
        lfm2_config cfg;
        toy_config(&TOY_DENSE, "layer_types", NULL, text, sizeof(text));
        (void)snprintf(with, sizeof(with), "%.*s, \"full_attn_idxs\": %s}", (int)strlen(text) - 1, text, cases[i].value);
        int rc = load_text(&dense, with, &cfg);
        if (rc != cases[i].rc) fail_msg("%s gave %d (%s)", cases[i].value, rc, dense.log.line);
        if (rc == 0) assert_int_equal(cfg.layer_kind[1] + cfg.layer_kind[4], 2 * LFM2_LAYER_ATTN);
        if (rc < 0) assert_named(&dense, "config.json", "full_attn_idxs");
    }
    /* With neither list every layer is attention, which these tensors are not. */
    assert_int_equal(load_changed(&dense, "layer_types", NULL, NULL), LFM2_ERR_FORMAT);
    assert_named(&dense, "layers.0.self_attn.q_proj.weight is missing", NULL);
}

/* --- schemas --- */

#define OLD_SCHEMA                                                                                                             \
    "\"block_dim\": 64, \"conv_dim\": 64, \"num_hidden_layers\": 5, \"num_heads\": 4, \"num_key_value_heads\": 2, "            \
    "\"block_ff_dim\": 96, \"block_auto_adjust_ff_dim\": false, \"block_norm_eps\": 1e-06, \"theta\": 20000.0, "               \
    "\"full_attn_idxs\": [1, 4], \"conv_L_cache\": 3, \"vocab_size\": 101, \"tie_embedding\": true"

static void test_old_schema(void **state)
{
    (void)state;
    lfm2_config cfg;
    assert_int_equal(load_text(&dense, "{\"model_type\": \"lfm2\", " OLD_SCHEMA "}", &cfg), 0);
    assert_string_equal(cfg.arch, "lfm2");
    assert_int_equal(cfg.d_model, 64);
    assert_int_equal(cfg.n_heads, 4);
    assert_int_equal(cfg.head_dim, 16);
    assert_int_equal(cfg.d_ff, 96);
    assert_int_equal(cfg.n_ctx_max, 128000);
    assert_int_equal(cfg.n_dense_layers, 5);
    assert_int_equal(cfg.tied_head, 1);
    assert_true(cfg.norm_eps == 1e-6f && cfg.rope_theta == 20000.0f && cfg.routed_scale == 1.0f);
    assert_int_equal(cfg.layer_kind[4], LFM2_LAYER_ATTN);
    assert_int_equal(cfg.layer_kind[3], LFM2_LAYER_CONV);
}

static void test_nested_schemas(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
    } cases[] = {
        { "{\"model_type\": \"lfm2_vl\", \"text_config\": {\"model_type\": \"lfm2\", " OLD_SCHEMA "}}", 0 },
        { "{\"model_type\": \"lfm2-vl\", \"text_config\": {\"model_type\": \"lfm2\", " OLD_SCHEMA "}}", 0 },
        { "{\"architectures\": [\"Lfm2AudioForConditionalGeneration\"], \"lfm\": {\"model_type\": \"lfm2\", " OLD_SCHEMA "}}", 0 },
        { "{\"model_type\": \"lfm2_vl\", " OLD_SCHEMA "}", LFM2_ERR_FORMAT },
        { "{\"model_type\": \"lfm2_vl\", \"text_config\": {" OLD_SCHEMA "}}", LFM2_ERR_UNSUPPORTED },
        { "{\"model_type\": \"lfm2_vl\", \"text_config\": {\"model_type\": \"llama\", " OLD_SCHEMA "}}", LFM2_ERR_UNSUPPORTED },
        { "{\"lfm\": [], " OLD_SCHEMA "}", LFM2_ERR_UNSUPPORTED },
        { "[]", LFM2_ERR_FORMAT },
        { "{", LFM2_ERR_FORMAT },
        { "", LFM2_ERR_FORMAT },
    };
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        int rc = load_text(&dense, cases[i].text, NULL);
        if (rc != cases[i].rc) fail_msg("%s gave %d (%s)", cases[i].text, rc, dense.log.line);
        if (rc != 0) assert_named(&dense, "config.json", NULL);
    }
    /* A bad number inside is named with the object that it is in. */
    static const char bad[] = "{\"model_type\": \"lfm2_vl\", \"text_config\": {\"model_type\": \"lfm2\", \"hidden_size\": -3}}";
    assert_int_equal(load_text(&dense, bad, NULL), LFM2_ERR_FORMAT);
    assert_named(&dense, "text_config", "hidden_size");
}

static void test_width_rule(void **state)
{
    (void)state;
    /* 96 is what the tensors have; 144 -> 96 by the rule, rounded to 32. */
    static const char *const fields[] = {
        "\"intermediate_size\": 144, \"block_multiple_of\": 32",
        "\"intermediate_size\": 7, \"block_ff_dim\": 144, \"block_multiple_of\": 32",
        "\"intermediate_size\": 144, \"block_ffn_dim_multiplier\": null",
        "\"intermediate_size\": 96, \"block_ffn_dim_multiplier\": 1.5, \"block_multiple_of\": 32",
        "\"intermediate_size\": 10752, \"block_multiple_of\": 32", /* 7168 by the rule: the tensors know better */
        "\"intermediate_size\": 1", /* floor(2 / 3) rounded up to a multiple of 256 is 0: refused */
    };
    for (size_t i = 0; i < LFM2__COUNT_OF(fields); i++) {
        char text[1024];
        lfm2_config cfg;
        (void)snprintf(text, sizeof(text),
                       "{\"model_type\": \"lfm2\", \"hidden_size\": 64, \"num_hidden_layers\": 5, \"num_attention_heads\": 4, "
                       "\"num_key_value_heads\": 2, \"full_attn_idxs\": [1, 4], \"vocab_size\": 101, %s}", fields[i]);
        int rc = load_text(&dense, text, &cfg);
        if (i + 1 == LFM2__COUNT_OF(fields)) {
            assert_int_equal(rc, LFM2_ERR_FORMAT);
            assert_named(&dense, "intermediate_size", NULL);
            continue;
        }
        if (rc != 0) fail_msg("%s gave %d (%s)", fields[i], rc, dense.log.line);
        assert_int_equal(cfg.d_ff, 96);
    }
}

/* The published shapes, without their tensors. */
static void test_published_widths(void **state)
{
    (void)state;
    static const int widths[][2] = { { 6656, 4608 }, { 10240, 6912 }, { 12288, 8192 }, { 3840, 2560 } };
    for (size_t i = 0; i < LFM2__COUNT_OF(widths); i++) {
        char text[1024], path[128];
        lfm2_model *m = NULL;
        (void)snprintf(text, sizeof(text),
                       "{\"model_type\": \"lfm2\", \"hidden_size\": 32, \"num_hidden_layers\": 1, \"num_attention_heads\": 1, "
                       "\"num_key_value_heads\": 1, \"intermediate_size\": %d, \"vocab_size\": 10, \"block_multiple_of\": 256, "
                       "\"block_auto_adjust_ff_dim\": true}", widths[i][0]);
        toy_write(dense.dir, "shape.json", text);
        (void)snprintf(path, sizeof(path), "%s/shape.json", dense.dir);
        assert_int_equal(lfm2_model_create_random(dense.rt, path, LFM2_DTYPE_BF16, 1, &m), 0);
        assert_int_equal(lfm2_model_config(m)->d_ff, widths[i][1]);
        lfm2_model_unload(m);
    }
}

/* --- other families --- */

static void test_other_families_json(void **state)
{
    (void)state;
    static const char *const types[] = { "lfm3", "llama", "lfm", "lfm2_moe2", "qwen3", "LFM2", "clip", "siglip2" };
    for (size_t i = 0; i < LFM2__COUNT_OF(types); i++) {
        char value[32];
        (void)snprintf(value, sizeof(value), "\"%s\"", types[i]);
        assert_int_equal(load_changed(&dense, "model_type", value, NULL), LFM2_ERR_UNSUPPORTED);
        assert_named(&dense, "model_type", value);
    }
    assert_int_equal(load_changed(&dense, "model_type", "7", NULL), LFM2_ERR_UNSUPPORTED);
    assert_int_equal(load_changed(&dense, "model_type", "\"\\u0007\\n\"", NULL), LFM2_ERR_UNSUPPORTED);
    assert_named(&dense, "\"??\"", NULL);
    assert_int_equal(load_changed(&dense, "model_type", NULL, NULL), LFM2_ERR_UNSUPPORTED);
    assert_named(&dense, "model_type: missing", NULL);
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/config.json", dense.dir);
    assert_int_equal(remove(path), 0);
    assert_int_equal(load(&dense, NULL), LFM2_ERR_NOT_FOUND);
    assert_named(&dense, "config.json", NULL);
}

/* --- GGUF --- */

static int load_gguf(fixture *f, const toy_kv *change, lfm2_config *cfg)
{
    char path[96];
    lfm2_model *m = NULL;
    (void)snprintf(path, sizeof(path), "%s/m.gguf", f->dir);
    toy_save_gguf(f->rt, &f->m, path, change);
    f->log.line[0] = 0;
    int rc = lfm2_model_load(f->rt, path, &m);
    if (rc == 0 && cfg) *cfg = *lfm2_model_config(m);
    lfm2_model_unload(m);
    assert_int_equal(remove(path), 0);
    return rc;
}

static const int32_t SHORT_LIST[] = { 1, 2 }, UNEVEN[] = { 0, 2, 0, 0, 1 }, NEGATIVE[] = { 0, -2, 0, 0, 2 }, LARGE[] = { 0, 5, 0,
                                                                                                                         0, 5 };

/* llama.cpp #25821: more layers than its fixed array had places for; #24085: a division by the number of heads. */
static void test_gguf_block_count_over_limit_25821(void **state)
{
    (void)state;
    const double counts[] = { LFM2_MAX_LAYERS + 1, 513, 65536 };
    for (size_t i = 0; i < LFM2__COUNT_OF(counts); i++) {
        const toy_kv change = { .key = "block_count", .kind = TOY_KV_U32, .v = counts[i] };
        assert_int_equal(load_gguf(&dense, &change, NULL), LFM2_ERR_FORMAT);
        assert_named(&dense, "m.gguf", "block_count");
    }
}

static void test_gguf_head_count_zero_24085(void **state)
{
    (void)state;
    const toy_kv change = { .key = "attention.head_count", .kind = TOY_KV_U32, .v = 0 };
    assert_int_equal(load_gguf(&dense, &change, NULL), LFM2_ERR_FORMAT);
    assert_named(&dense, "m.gguf", "attention.head_count");
}

static void test_gguf_bad_numbers(void **state)
{
    (void)state;
    static const struct numeric_key keys[] = {
        { "block_count", 0, 0 }, { "context_length", 0, OPTIONAL }, { "embedding_length", 0, 0 }, { "feed_forward_length", 0, 0 },
        { "attention.head_count", 0, 0 }, { "attention.head_count_kv", 0, 0 },
        { "attention.layer_norm_rms_epsilon", 0, OPTIONAL | FLOAT }, { "rope.freq_base", 0, OPTIONAL | FLOAT },
        { "vocab_size", 0, OPTIONAL }, { "shortconv.l_cache", 0, OPTIONAL }, { "attention.key_length", 0, OPTIONAL },
        { "attention.value_length", 0, OPTIONAL }, { "rope.dimension_count", 0, OPTIONAL }, { "expert_count", 1, 0 },
        { "expert_used_count", 1, 0 }, { "expert_feed_forward_length", 1, 0 }, { "leading_dense_block_count", 1, ZERO_OK },
        { "expert_gating_func", 1, OPTIONAL }, { "expert_weights_scale", 1, OPTIONAL | FLOAT | ZERO_OK | HALF_OK },
    };
    const toy_kv values[] = {
        { .kind = TOY_KV_U32, .v = 0 }, { .kind = TOY_KV_U32, .v = 4294967295.0 }, { .kind = TOY_KV_U32, .v = 2147483648.0 },
        { .kind = TOY_KV_F32, .v = 0.5 }, { .kind = TOY_KV_F32, .v = -1 }, { .kind = TOY_KV_F32, .v = (double)NAN },
        { .kind = TOY_KV_F32, .v = (double)INFINITY }, { .kind = TOY_KV_F32, .v = 1e30 }, { .kind = TOY_KV_BOOL, .v = 1 },
        { .kind = TOY_KV_STR, .s = "3" }, { .kind = TOY_KV_I32S, .a = SHORT_LIST, .n = 2 }, { .kind = TOY_KV_I32S, .a = NEGATIVE,
                                                                                              .n = 5 },
        { .kind = TOY_KV_F32, .v = 0 },
    };
    for (size_t k = 0; k < LFM2__COUNT_OF(keys); k++) {
        fixture *f = keys[k].moe ? &moe : &dense;
        for (size_t v = 0; v < LFM2__COUNT_OF(values); v++) {
            toy_kv change = values[v];
            change.key = keys[k].name;
            int zero = change.v == 0 && (change.kind == TOY_KV_U32 || change.kind == TOY_KV_F32);
            if (zero && (keys[k].flags & ZERO_OK) && (change.kind == TOY_KV_U32 || (keys[k].flags & FLOAT))) continue;
            if (change.kind == TOY_KV_F32 && change.v == 0.5 && (keys[k].flags & HALF_OK)) continue;
            int rc = load_gguf(f, &change, NULL);
            /* a gating function that is a number but not ours is another model, not a broken one */
            int other = strcmp(keys[k].name, "expert_gating_func") == 0 && rc == LFM2_ERR_UNSUPPORTED;
            if (rc != LFM2_ERR_FORMAT && !other) fail_msg("%s: value %zu gave %d (%s)", keys[k].name, v, rc, f->log.line);
            assert_named(f, "m.gguf", keys[k].name);
        }
        const toy_kv absent = { .key = keys[k].name, .kind = TOY_KV_ABSENT };
        int rc = load_gguf(f, &absent, NULL);
        if (rc != (keys[k].flags & OPTIONAL ? 0 : LFM2_ERR_FORMAT))
            fail_msg("%s absent gave %d (%s)", keys[k].name, rc, f->log.line);
        if (rc != 0) assert_named(f, keys[k].name, "missing");
    }
    const int32_t *lists[] = { UNEVEN, NEGATIVE, LARGE };
    for (size_t i = 0; i < LFM2__COUNT_OF(lists); i++) {
        const toy_kv change = { .key = "attention.head_count_kv", .kind = TOY_KV_I32S, .a = lists[i], .n = 5 };
        assert_int_equal(load_gguf(&dense, &change, NULL), LFM2_ERR_FORMAT);
        assert_named(&dense, "attention.head_count_kv", NULL);
    }
}

static void test_gguf_variants(void **state)
{
    (void)state;
    static const struct {
        toy_kv kv;
        int rc;
    } cases[] = {
        { { .key = "general.architecture", .kind = TOY_KV_STR, .s = "llama" }, LFM2_ERR_UNSUPPORTED },
        { { .key = "general.architecture", .kind = TOY_KV_STR, .s = "lfm3" }, LFM2_ERR_UNSUPPORTED },
        { { .key = "general.architecture", .kind = TOY_KV_STR, .s = "clip" }, LFM2_ERR_UNSUPPORTED },
        { { .key = "general.architecture", .kind = TOY_KV_STR, .s = "" }, LFM2_ERR_UNSUPPORTED },
        { { .key = "general.architecture", .kind = TOY_KV_U32, .v = 3 }, LFM2_ERR_FORMAT },
        { { .key = "general.architecture", .kind = TOY_KV_ABSENT }, LFM2_ERR_FORMAT },
        { { .key = "attention.causal", .kind = TOY_KV_BOOL, .v = 0 }, LFM2_ERR_UNSUPPORTED },
        { { .key = "attention.causal", .kind = TOY_KV_BOOL, .v = 1 }, 0 },
        { { .key = "attention.causal", .kind = TOY_KV_STR, .s = "no" }, LFM2_ERR_FORMAT },
        { { .key = "attention.sliding_window", .kind = TOY_KV_U32, .v = 30 }, LFM2_ERR_UNSUPPORTED },
        { { .key = "attention.sliding_window", .kind = TOY_KV_U32, .v = 0 }, 0 },
        { { .key = "embedding_length_out", .kind = TOY_KV_U32, .v = 1282 }, LFM2_ERR_UNSUPPORTED },
        { { .key = "pooling_type", .kind = TOY_KV_U32, .v = 2 }, LFM2_ERR_UNSUPPORTED },
        { { .key = "rope.scaling.type", .kind = TOY_KV_STR, .s = "yarn" }, LFM2_ERR_UNSUPPORTED },
        { { .key = "rope.scaling.type", .kind = TOY_KV_STR, .s = "none" }, 0 },
        { { .key = "rope.dimension_count", .kind = TOY_KV_U32, .v = 8 }, LFM2_ERR_UNSUPPORTED },
        { { .key = "rope.dimension_count", .kind = TOY_KV_U32, .v = 16 }, 0 },
        { { .key = "attention.value_length", .kind = TOY_KV_U32, .v = 32 }, LFM2_ERR_UNSUPPORTED },
        { { .key = "attention.head_count", .kind = TOY_KV_U32, .v = 5 }, LFM2_ERR_FORMAT },
    };
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        int rc = load_gguf(&dense, &cases[i].kv, NULL);
        if (rc != cases[i].rc) fail_msg("%s, case %zu gave %d (%s)", cases[i].kv.key, i, rc, dense.log.line);
        if (rc == LFM2_ERR_UNSUPPORTED) assert_named(&dense, "m.gguf", cases[i].kv.key);
        if (rc == LFM2_ERR_UNSUPPORTED && cases[i].kv.s && cases[i].kv.s[0]) assert_named(&dense, cases[i].kv.s, NULL);
    }
}

static void test_gguf_fields(void **state)
{
    (void)state;
    lfm2_config a, b;
    const char *const names[] = { "dense", "mixture" };
    fixture *f[] = { &dense, &moe };
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(load_gguf(f[i], NULL, &a), 0);
        assert_int_equal(load_changed(f[i], NULL, NULL, &b), 0);
        if (memcmp(&a, &b, sizeof(a)) != 0) fail_msg("%s: the two containers state different configurations", names[i]);
    }
    /* One number of key/value heads for all layers means that all are attention. */
    const toy_kv all = { .key = "attention.head_count_kv", .kind = TOY_KV_U32, .v = 2 };
    assert_int_equal(load_gguf(&dense, &all, NULL), LFM2_ERR_FORMAT);
    assert_named(&dense, "blk.0.attn_q.weight is missing", NULL);
    const toy_kv unset = { .key = "expert_weights_scale", .kind = TOY_KV_F32, .v = 0 };
    assert_int_equal(load_gguf(&moe, &unset, &a), 0);
    assert_true(a.routed_scale == 1.0f);
}

static void test_config_load(void **state)
{
    (void)state;
    lfm2_weights *w = NULL;
    lfm2_config cfg = { .d_model = 7 };
    assert_int_equal(load_changed(&dense, NULL, NULL, NULL), 0);
    assert_int_equal(lfm2_weights_open(dense.rt, dense.dir, &w), 0);
    assert_int_equal(lfm2_config_load(NULL, w, &cfg), LFM2_ERR_ARG);
    assert_int_equal(lfm2_config_load(dense.rt, NULL, &cfg), LFM2_ERR_ARG);
    assert_int_equal(lfm2_config_load(dense.rt, w, NULL), LFM2_ERR_ARG);
    toy_write(dense.dir, "config.json", "{}");
    assert_int_equal(lfm2_config_load(dense.rt, w, &cfg), LFM2_ERR_UNSUPPORTED);
    assert_int_equal(cfg.d_model, 7);
    char text[4096];
    toy_config(&TOY_DENSE, NULL, NULL, text, sizeof(text));
    toy_write(dense.dir, "config.json", text);
    assert_int_equal(lfm2_config_load(dense.rt, w, &cfg), 0);
    assert_int_equal(cfg.d_model, 64);
    lfm2_weights_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_numbers), cmocka_unit_test(test_rope_parameters), cmocka_unit_test(test_switches_and_lists),
        cmocka_unit_test(test_attention_indices), cmocka_unit_test(test_old_schema), cmocka_unit_test(test_nested_schemas),
        cmocka_unit_test(test_width_rule), cmocka_unit_test(test_published_widths), cmocka_unit_test(test_other_families_json),
        cmocka_unit_test(test_gguf_block_count_over_limit_25821), cmocka_unit_test(test_gguf_head_count_zero_24085),
        cmocka_unit_test(test_gguf_bad_numbers), cmocka_unit_test(test_gguf_variants), cmocka_unit_test(test_gguf_fields),
        cmocka_unit_test(test_config_load),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
