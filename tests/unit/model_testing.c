/* SPDX-License-Identifier: Apache-2.0
 * Toy checkpoints and the plain double-precision backbone. */
#include "model_testing.h"

#include <math.h>

#include "weights/gguf_write.h"

const toy_spec TOY_DENSE = { .layers = "cacca", .d = 64, .heads = 4, .kv = 2, .ff = 96, .vocab = 101, .taps = 3, .seed = 1 };
const toy_spec TOY_MOE = { .layers = "cacac", .d = 64, .heads = 4, .kv = 2, .ff = 96, .vocab = 101, .taps = 3, .experts = 6,
                           .used = 3,
                           .ffe = 40, .dense = 2, .seed = 2 };

/* --- runtime --- */

lfm2_runtime *toy_runtime(int32_t n_threads, uint32_t cpu_mask, test_heap *heap, test_log *log)
{
    lfm2_runtime_params p = lfm2_runtime_params_default();
    p.n_threads = n_threads;
    p.cpu_mask = cpu_mask;
    *heap = (test_heap){ .fill = 0xff }; /* nothing may be read before it is written */
    memset(log, 0, sizeof(*log));
    return test_runtime_with(p, heap, log);
}

/* --- values --- */

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Uniform with mean 0 and spread 1. */
static float random_float(uint64_t *state)
{
    return (float)(((double)(next_random(state) >> 11) / 9007199254740992.0 - 0.5) * sqrt(12.0));
}

void toy_ids(int32_t *ids, int n, int vocab, uint64_t seed)
{
    for (int i = 0; i < n; i++) ids[i] = (int32_t)(next_random(&seed) % (uint64_t)vocab);
}

/* --- toy models --- */

static int64_t elems(const toy_tensor *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->n_dims; i++) n *= t->dims[i];
    return n;
}

toy_tensor *toy_add(toy *m, const char *name, int n_dims, int64_t d0, int64_t d1, int64_t d2)
{
    assert_true(m->n < TOY_MAX_TENSORS);
    toy_tensor *t = &m->t[m->n++];
    *t = (toy_tensor){ .n_dims = n_dims, .dims = { d0, d1, d2 }, .dtype = LFM2_DTYPE_F32 };
    (void)snprintf(t->name, sizeof(t->name), "%s", name);
    t->data = calloc((size_t)elems(t) + 1, sizeof(float));
    assert_non_null(t->data);
    int64_t fan = n_dims == 1 ? 0 : t->dims[n_dims - 1];
    uint64_t state = m->spec.seed + 1000 * m->n;
    int bias = strstr(name, "expert_bias") != NULL;
    for (int64_t i = 0; i < elems(t); i++) {
        float r = random_float(&state);
        t->data[i] = bias ? 0.2f * r : fan > 0 ? 1.3f * r / sqrtf((float)fan) : 1 + 0.2f * r;
    }
    return t;
}

static void add_layer(toy *m, int l)
{
    const toy_spec *c = &m->spec;
    const int64_t d = c->d, dh = c->head_dim ? c->head_dim : c->d / c->heads;
    char name[96];
#define ADD(n_dims, d0, d1, d2, ...)                     \
    do {                                                 \
        (void)snprintf(name, sizeof(name), __VA_ARGS__); \
        (void)toy_add(m, name, n_dims, d0, d1, d2);      \
    } while (0)
    ADD(1, d, 0, 0, "layers.%d.operator_norm.weight", l);
    ADD(1, d, 0, 0, "layers.%d.ffn_norm.weight", l);
    if (c->layers[l] == 'c') {
        ADD(2, 3 * d, d, 0, "layers.%d.conv.in_proj.weight", l);
        ADD(3, d, 1, c->taps, "layers.%d.conv.conv.weight", l);
        ADD(2, d, d, 0, "layers.%d.conv.out_proj.weight", l);
    } else {
        ADD(2, c->heads * dh, d, 0, "layers.%d.self_attn.q_proj.weight", l);
        ADD(2, c->kv * dh, d, 0, "layers.%d.self_attn.k_proj.weight", l);
        ADD(2, c->kv * dh, d, 0, "layers.%d.self_attn.v_proj.weight", l);
        ADD(2, d, c->heads * dh, 0, "layers.%d.self_attn.out_proj.weight", l);
        ADD(1, dh, 0, 0, "layers.%d.self_attn.q_layernorm.weight", l);
        ADD(1, dh, 0, 0, "layers.%d.self_attn.k_layernorm.weight", l);
    }
    if (c->experts == 0 || l < c->dense) {
        ADD(2, c->ff, d, 0, "layers.%d.feed_forward.w1.weight", l);
        ADD(2, c->ff, d, 0, "layers.%d.feed_forward.w3.weight", l);
        ADD(2, d, c->ff, 0, "layers.%d.feed_forward.w2.weight", l);
        return;
    }
    ADD(2, c->experts, d, 0, "layers.%d.feed_forward.gate.weight", l);
    if (!c->no_bias) ADD(1, c->experts, 0, 0, "layers.%d.feed_forward.expert_bias", l);
    for (int e = 0; e < c->experts; e++) {
        ADD(2, c->ffe, d, 0, "layers.%d.feed_forward.experts.%d.w1.weight", l, e);
        ADD(2, c->ffe, d, 0, "layers.%d.feed_forward.experts.%d.w3.weight", l, e);
        ADD(2, d, c->ffe, 0, "layers.%d.feed_forward.experts.%d.w2.weight", l, e);
    }
#undef ADD
}

void toy_init(toy *m, const toy_spec *spec)
{
    m->spec = *spec;
    m->n = 0;
    (void)toy_add(m, "embed_tokens.weight", 2, spec->vocab, spec->d, 0);
    (void)toy_add(m, "embedding_norm.weight", 1, spec->d, 0, 0);
    if (spec->untied) (void)toy_add(m, "lm_head.weight", 2, spec->vocab, spec->d, 0);
    for (int l = 0; l < (int)strlen(spec->layers); l++) add_layer(m, l);
}

void toy_fini(toy *m)
{
    for (size_t i = 0; i < m->n; i++) free(m->t[i].data);
    m->n = 0;
}

toy_tensor *toy_find(toy *m, const char *name)
{
    for (size_t i = 0; i < m->n; i++) {
        if (strcmp(m->t[i].name, name) == 0) return &m->t[i];
    }
    return NULL;
}

void toy_remove(toy *m, size_t i)
{
    free(m->t[i].data);
    memmove(&m->t[i], &m->t[i + 1], (m->n - i - 1) * sizeof(m->t[0]));
    m->n--;
}

static toy_tensor *expert_of(toy *m, int l, int e, int w)
{
    char name[96];
    (void)snprintf(name, sizeof(name), "layers.%d.feed_forward.experts.%d.w%d.weight", l, e, w);
    toy_tensor *t = toy_find(m, name);
    assert_non_null(t);
    return t;
}

void toy_fuse_experts(toy *m)
{
    const toy_spec *c = &m->spec;
    const size_t part = (size_t)c->ffe * (size_t)c->d;
    for (int l = c->dense; l < (int)strlen(c->layers); l++) {
        char name[96];
        (void)snprintf(name, sizeof(name), "layers.%d.feed_forward.experts.gate_up_proj", l);
        float *up = toy_add(m, name, 3, c->experts, 2 * c->ffe, c->d)->data;
        (void)snprintf(name, sizeof(name), "layers.%d.feed_forward.experts.down_proj", l);
        float *down = toy_add(m, name, 3, c->experts, c->d, c->ffe)->data;
        for (int e = 0; e < c->experts; e++) {
            memcpy(up + (size_t)e * 2 * part, expert_of(m, l, e, 1)->data, part * sizeof(float));
            memcpy(up + ((size_t)e * 2 + 1) * part, expert_of(m, l, e, 3)->data, part * sizeof(float));
            memcpy(down + (size_t)e * part, expert_of(m, l, e, 2)->data, part * sizeof(float));
            for (int w = 1; w <= 3; w++) toy_remove(m, (size_t)(expert_of(m, l, e, w) - m->t));
        }
    }
}

/* --- files --- */

void toy_write(const char *dir, const char *name, const char *text)
{
    write_file_in(dir, name, text, strlen(text));
}

typedef struct text_out {
    char *s;
    size_t cap, n;
    const char *key, *value;
    int changed;
} text_out;

static void put_text(text_out *o, const char *s)
{
    assert_true(o->n + strlen(s) < o->cap);
    memcpy(o->s + o->n, s, strlen(s) + 1);
    o->n += strlen(s);
}

static void put_pair(text_out *o, const char *key, const char *value)
{
    if (o->key && strcmp(key, o->key) == 0 && value != o->value) {
        o->changed = 1;
        value = o->value;
    }
    if (!value) return;
    put_text(o, o->n > 1 ? ", \"" : "\"");
    put_text(o, key);
    put_text(o, "\": ");
    put_text(o, value);
}

static void put_int(text_out *o, const char *key, int v)
{
    char s[32];
    (void)snprintf(s, sizeof(s), "%d", v);
    put_pair(o, key, s);
}

void toy_config(const toy_spec *c, const char *key, const char *value, char *out, size_t cap)
{
    text_out o = { .s = out, .cap = cap, .key = key, .value = value };
    char types[2048] = "[";
    for (size_t l = 0; l < strlen(c->layers); l++) {
        strcat(types, l > 0 ? ", " : "");
        strcat(types, c->layers[l] == 'c' ? "\"conv\"" : "\"full_attention\"");
    }
    strcat(types, "]");
    put_text(&o, "{");
    put_pair(&o, "model_type", c->experts > 0 ? "\"lfm2_moe\"" : "\"lfm2\"");
    put_int(&o, "hidden_size", c->d);
    put_int(&o, "num_hidden_layers", (int)strlen(c->layers));
    put_int(&o, "num_attention_heads", c->heads);
    put_int(&o, "num_key_value_heads", c->kv);
    if (c->head_dim) put_int(&o, "head_dim", c->head_dim);
    put_int(&o, "intermediate_size", c->ff);
    put_int(&o, "vocab_size", c->vocab);
    put_int(&o, "max_position_embeddings", 4096);
    put_int(&o, "conv_L_cache", c->taps);
    put_pair(&o, "conv_bias", "false");
    put_pair(&o, "norm_eps", "1e-05");
    put_pair(&o, "rope_theta", "10000.0");
    put_pair(&o, "layer_types", types);
    put_pair(&o, "tie_word_embeddings", c->untied ? "false" : "true");
    if (c->experts == 0) {
        put_pair(&o, "block_auto_adjust_ff_dim", "false");
        put_int(&o, "block_multiple_of", 256);
        put_pair(&o, "block_ffn_dim_multiplier", "1.0");
    } else {
        put_int(&o, "num_experts", c->experts);
        put_int(&o, "num_experts_per_tok", c->used);
        put_int(&o, "moe_intermediate_size", c->ffe);
        put_int(&o, "num_dense_layers", c->dense);
        put_pair(&o, "routed_scaling_factor", "1.5");
        put_pair(&o, "norm_topk_prob", "true");
        put_pair(&o, "use_expert_bias", c->no_bias ? "false" : "true");
    }
    if (key && value && !o.changed) put_pair(&o, key, value);
    put_text(&o, "}");
}

void toy_save(lfm2_runtime *rt, const toy *m, const char *dir, const char *prefix)
{
    static lfm2_tensor list[TOY_MAX_TENSORS];
    static char names[TOY_MAX_TENSORS][160];
    char path[512];
    for (size_t i = 0; i < m->n; i++) {
        const toy_tensor *t = &m->t[i];
        const char *p = strncmp(t->name, "lm_head", 7) == 0 || t->name[0] == '/' ? "" : prefix;
        (void)snprintf(names[i], sizeof(names[i]), "%s%s", p, t->name[0] == '/' ? t->name + 1 : t->name);
        list[i] = (lfm2_tensor){ .name = names[i], .dtype = t->dtype, .n_dims = t->n_dims, .data = t->data,
                                 .n_bytes = (size_t)elems(t) * (size_t)lfm2_dtype_block_bytes(t->dtype) };
        memcpy(list[i].dims, t->dims, (size_t)t->n_dims * sizeof(t->dims[0]));
    }
    (void)snprintf(path, sizeof(path), "%s/model.safetensors", dir);
    assert_int_equal(lfm2_safetensors_save(rt, path, list, m->n), 0);
}

void toy_save_with_config(lfm2_runtime *rt, const toy *m, const char *dir)
{
    char text[4096];
    toy_config(&m->spec, NULL, NULL, text, sizeof(text));
    toy_write(dir, "config.json", text);
    toy_save(rt, m, dir, "model.");
}

lfm2_model *toy_reload(lfm2_runtime *rt, const toy *m)
{
    char dir[64];
    lfm2_model *model = NULL;
    make_folder(dir, sizeof(dir));
    toy_save_with_config(rt, m, dir);
    assert_int_equal(lfm2_model_load(rt, dir, &model), 0);
    remove_folder(dir); /* the mapping stays */
    return model;
}

lfm2_model *toy_load(lfm2_runtime *rt, const toy_spec *spec)
{
    static toy m;
    toy_init(&m, spec);
    lfm2_model *model = toy_reload(rt, &m);
    toy_fini(&m);
    return model;
}

/* --- GGUF --- */

static void put_change(lfm2__gguf_writer *g, const char *key, const toy_kv *kv)
{
    switch (kv->kind) {
    case TOY_KV_ABSENT: break;
    case TOY_KV_U32: lfm2__gguf_put_u32(g, key, (uint32_t)kv->v); break;
    case TOY_KV_F32: lfm2__gguf_put_f32(g, key, (float)kv->v); break;
    case TOY_KV_BOOL: lfm2__gguf_put_bool(g, key, kv->v != 0); break;
    case TOY_KV_STR: lfm2__gguf_put_str(g, key, kv->s, strlen(kv->s)); break;
    case TOY_KV_I32S: lfm2__gguf_put_i32_array(g, key, kv->a, kv->n); break;
    }
}

static void put_kvs(lfm2__gguf_writer *g, const toy_spec *c, const toy_kv *change)
{
    const int L = (int)strlen(c->layers);
    int32_t kv_heads[LFM2_MAX_LAYERS];
    for (int l = 0; l < L; l++) kv_heads[l] = c->layers[l] == 'a' ? c->kv : 0;
    const char *arch = c->experts > 0 ? "lfm2moe" : "lfm2";
    const toy_kv kvs[] = {
        { .key = "general.architecture", .kind = TOY_KV_STR, .s = arch },
        { .key = "block_count", .kind = TOY_KV_U32, .v = L },
        { .key = "context_length", .kind = TOY_KV_U32, .v = 4096 },
        { .key = "embedding_length", .kind = TOY_KV_U32, .v = c->d },
        { .key = "feed_forward_length", .kind = TOY_KV_U32, .v = c->ff },
        { .key = "attention.head_count", .kind = TOY_KV_U32, .v = c->heads },
        { .key = "attention.head_count_kv", .kind = TOY_KV_I32S, .a = kv_heads, .n = (size_t)L },
        { .key = "attention.layer_norm_rms_epsilon", .kind = TOY_KV_F32, .v = 1e-5 },
        { .key = "rope.freq_base", .kind = TOY_KV_F32, .v = 10000 },
        { .key = "vocab_size", .kind = TOY_KV_U32, .v = c->vocab },
        { .key = "shortconv.l_cache", .kind = TOY_KV_U32, .v = c->taps },
        { .key = "attention.key_length", .kind = c->head_dim ? TOY_KV_U32 : TOY_KV_ABSENT, .v = c->head_dim },
        { .key = "expert_count", .kind = c->experts ? TOY_KV_U32 : TOY_KV_ABSENT, .v = c->experts },
        { .key = "expert_used_count", .kind = c->experts ? TOY_KV_U32 : TOY_KV_ABSENT, .v = c->used },
        { .key = "expert_feed_forward_length", .kind = c->experts ? TOY_KV_U32 : TOY_KV_ABSENT, .v = c->ffe },
        { .key = "leading_dense_block_count", .kind = c->experts ? TOY_KV_U32 : TOY_KV_ABSENT, .v = c->dense },
        { .key = "expert_gating_func", .kind = c->experts ? TOY_KV_U32 : TOY_KV_ABSENT, .v = 2 },
        { .key = "expert_weights_scale", .kind = c->experts ? TOY_KV_F32 : TOY_KV_ABSENT, .v = 1.5 },
    };
    int changed = 0;
    char key[96];
    for (size_t i = 0; i <= LFM2__COUNT_OF(kvs); i++) {
        const toy_kv *kv = i < LFM2__COUNT_OF(kvs) ? &kvs[i] : change;
        if (!kv || (kv == change && changed)) continue;
        if (change && kv != change && strcmp(kv->key, change->key) == 0) {
            kv = change;
            changed = 1;
        }
        int general = strncmp(kv->key, "general.", 8) == 0;
        (void)snprintf(key, sizeof(key), "%s%s%s", general ? "" : arch, general ? "" : ".", kv->key);
        put_change(g, key, kv);
    }
}

/* GGUF name of a tensor; 0 for an expert, which is stacked. */
static int gguf_name(const char *name, char out[96])
{
    static const char *const map[][2] = {
        { "operator_norm.weight", "attn_norm.weight" }, { "ffn_norm.weight", "ffn_norm.weight" },
        { "conv.in_proj.weight", "shortconv.in_proj.weight" }, { "conv.conv.weight", "shortconv.conv.weight" },
        { "conv.out_proj.weight", "shortconv.out_proj.weight" }, { "self_attn.q_proj.weight", "attn_q.weight" },
        { "self_attn.k_proj.weight", "attn_k.weight" }, { "self_attn.v_proj.weight", "attn_v.weight" },
        { "self_attn.out_proj.weight", "attn_output.weight" }, { "self_attn.q_layernorm.weight", "attn_q_norm.weight" },
        { "self_attn.k_layernorm.weight", "attn_k_norm.weight" }, { "feed_forward.w1.weight", "ffn_gate.weight" },
        { "feed_forward.w3.weight", "ffn_up.weight" }, { "feed_forward.w2.weight", "ffn_down.weight" },
        { "feed_forward.gate.weight", "ffn_gate_inp.weight" }, { "feed_forward.expert_bias", "exp_probs_b.bias" },
    };
    int l = 0, n = 0;
    if (strstr(name, ".experts.")) return 0;
    if (sscanf(name, "layers.%d.%n", &l, &n) != 1) {
        const char *top = strcmp(name, "embed_tokens.weight") == 0 ? "token_embd.weight"
                          : strcmp(name, "embedding_norm.weight") == 0 ? "token_embd_norm.weight"
                          : strcmp(name, "lm_head.weight") == 0 ? "output.weight" : name;
        (void)snprintf(out, 96, "%s", top);
        return 1;
    }
    for (size_t i = 0; i < LFM2__COUNT_OF(map); i++) {
        if (strcmp(name + n, map[i][0]) == 0) {
            (void)snprintf(out, 96, "blk.%d.%s", l, map[i][1]);
            return 1;
        }
    }
    (void)snprintf(out, 96, "%s", name);
    return 1;
}

typedef struct gguf_part {
    char name[96];
    int n_dims;
    int64_t dims[3];
    const float *data[64];
    int n_data;
} gguf_part;

static void add_stacks(const toy *m, gguf_part *parts, size_t *n)
{
    static const char *const names[3] = { "gate", "up", "down" };
    static const int w[3] = { 1, 3, 2 };
    const toy_spec *c = &m->spec;
    if (c->experts == 0) return;
    for (int l = c->dense; l < (int)strlen(c->layers); l++) {
        for (int k = 0; k < 3; k++) {
            gguf_part *p = &parts[(*n)++];
            (void)snprintf(p->name, sizeof(p->name), "blk.%d.ffn_%s_exps.weight", l, names[k]);
            p->n_dims = 3;
            for (int e = 0; e < c->experts; e++) {
                const toy_tensor *t = expert_of((toy *)(uintptr_t)m, l, e, w[k]);
                p->dims[0] = c->experts;
                p->dims[1] = t->dims[0];
                p->dims[2] = t->dims[1];
                p->data[p->n_data++] = t->data;
            }
        }
    }
}

void toy_save_gguf(lfm2_runtime *rt, const toy *m, const char *path, const toy_kv *change)
{
    static gguf_part parts[TOY_MAX_TENSORS];
    size_t n = 0;
    memset(parts, 0, sizeof(parts));
    for (size_t i = 0; i < m->n; i++) {
        const toy_tensor *t = &m->t[i];
        gguf_part *p = &parts[n];
        if (!gguf_name(t->name, p->name)) continue;
        for (int j = 0; j < t->n_dims; j++) {
            if (t->n_dims < 3 || t->dims[j] != 1) p->dims[p->n_dims++] = t->dims[j];
        }
        p->data[p->n_data++] = t->data;
        n++;
    }
    add_stacks(m, parts, &n);
    lfm2__gguf_writer *g = NULL;
    assert_int_equal(lfm2__gguf_write_create(rt, path, &g), 0);
    put_kvs(g, &m->spec, change);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(lfm2__gguf_put_tensor(g, parts[i].name, LFM2_DTYPE_F32, parts[i].n_dims, parts[i].dims), 0);
    for (size_t i = 0; i < n; i++) {
        size_t bytes = sizeof(float);
        for (int j = 0; j < parts[i].n_dims; j++) bytes *= (size_t)parts[i].dims[j];
        for (int j = 0; j < parts[i].n_data; j++)
            assert_int_equal(lfm2__gguf_write_data(g, parts[i].data[j], bytes / (size_t)parts[i].n_data), 0);
        assert_int_equal(lfm2__gguf_end_tensor(g), 0);
    }
    assert_int_equal(lfm2__gguf_write_finish(g), 0);
    lfm2__gguf_write_destroy(g);
}

/* --- the backbone in double precision --- */

static const float *weights_of(toy *m, int l, const char *suffix)
{
    char name[96];
    (void)snprintf(name, sizeof(name), "layers.%d.%s", l, suffix);
    toy_tensor *t = toy_find(m, name);
    assert_non_null(t);
    return t->data;
}

static void mat_vec(double *y, const float *w, const double *x, int rows, int cols)
{
    for (int r = 0; r < rows; r++) {
        y[r] = 0;
        for (int c = 0; c < cols; c++) y[r] += (double)w[(size_t)r * (size_t)cols + (size_t)c] * x[c];
    }
}

static void rms(double *y, const double *x, const float *w, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += x[i] * x[i];
    double s = 1 / sqrt(sum / n + 1e-5);
    for (int i = 0; i < n; i++) y[i] = x[i] * s * (double)w[i];
}

static void ref_conv(toy *m, int l, const double *h, double *out, int n)
{
    const int d = m->spec.d, K = m->spec.taps;
    const float *taps = weights_of(m, l, "conv.conv.weight");
    double *bcx = calloc((size_t)(n * 3 * d), sizeof(double)), *y = calloc((size_t)d, sizeof(double));
    for (int t = 0; t < n; t++) {
        double *row = bcx + (size_t)t * 3 * (size_t)d;
        mat_vec(row, weights_of(m, l, "conv.in_proj.weight"), h + (size_t)t * (size_t)d, 3 * d, d);
        for (int c = 0; c < d; c++) row[c] *= row[2 * d + c]; /* u in the place of B */
        for (int c = 0; c < d; c++) {
            double v = 0;
            for (int j = 0; j < K; j++) {
                int s = t - (K - 1) + j;
                if (s >= 0) v += (double)taps[c * K + j] * bcx[(size_t)s * 3 * (size_t)d + (size_t)c];
            }
            y[c] = row[d + c] * v;
        }
        mat_vec(out + (size_t)t * (size_t)d, weights_of(m, l, "conv.out_proj.weight"), y, d, d);
    }
    free(bcx);
    free(y);
}

static void turn(double *x, int dh, int pos)
{
    for (int i = 0; i < dh / 2; i++) {
        double a = pos * pow(10000.0, -2.0 * i / dh), p = x[i], q = x[i + dh / 2];
        x[i] = p * cos(a) - q * sin(a);
        x[i + dh / 2] = q * cos(a) + p * sin(a);
    }
}

static void ref_attn(toy *m, int l, const double *h, double *out, int n)
{
    const toy_spec *c = &m->spec;
    const int d = c->d, dh = c->head_dim ? c->head_dim : d / c->heads, hd = c->heads * dh, gd = c->kv * dh;
    double *q = calloc((size_t)(n * hd), sizeof(double)), *k = calloc((size_t)(n * gd), sizeof(double));
    double *v = calloc((size_t)(n * gd), sizeof(double)), *o = calloc((size_t)hd, sizeof(double)), *p = calloc((size_t)n,
                                                                                                               sizeof(double));
    for (int t = 0; t < n; t++) {
        const double *x = h + (size_t)t * (size_t)d;
        mat_vec(q + t * hd, weights_of(m, l, "self_attn.q_proj.weight"), x, hd, d);
        mat_vec(k + t * gd, weights_of(m, l, "self_attn.k_proj.weight"), x, gd, d);
        mat_vec(v + t * gd, weights_of(m, l, "self_attn.v_proj.weight"), x, gd, d);
        for (int i = 0; i < c->heads + c->kv; i++) {
            double *head = i < c->heads ? q + t * hd + i * dh : k + t * gd + (i - c->heads) * dh;
            rms(head, head, weights_of(m, l, i < c->heads ? "self_attn.q_layernorm.weight" : "self_attn.k_layernorm.weight"), dh);
            turn(head, dh, t);
        }
        for (int i = 0; i < c->heads; i++) {
            const int g = i / (c->heads / c->kv);
            double sum = 0;
            for (int s = 0; s <= t; s++) {
                double dot = 0;
                for (int j = 0; j < dh; j++) dot += q[t * hd + i * dh + j] * k[s * gd + g * dh + j];
                sum += p[s] = exp(dot / sqrt(dh));
            }
            for (int j = 0; j < dh; j++) {
                o[i * dh + j] = 0;
                for (int s = 0; s <= t; s++) o[i * dh + j] += p[s] / sum * v[s * gd + g * dh + j];
            }
        }
        mat_vec(out + (size_t)t * (size_t)d, weights_of(m, l, "self_attn.out_proj.weight"), o, d, hd);
    }
    free(q);
    free(k);
    free(v);
    free(o);
    free(p);
}

static void swiglu(const float *w1, const float *w3, const float *w2, const double *h, double *out, int d, int ff)
{
    double *a = calloc((size_t)ff, sizeof(double)), *b = calloc((size_t)ff, sizeof(double));
    mat_vec(a, w1, h, ff, d);
    mat_vec(b, w3, h, ff, d);
    for (int i = 0; i < ff; i++) a[i] = a[i] / (1 + exp(-a[i])) * b[i];
    mat_vec(out, w2, a, d, ff);
    free(a);
    free(b);
}

static void ref_moe(toy *m, int l, const double *h, double *out)
{
    const toy_spec *c = &m->spec;
    double s[64], key[64], y[512], sum = 0;
    int taken[64] = { 0 };
    mat_vec(s, weights_of(m, l, "feed_forward.gate.weight"), h, c->experts, c->d);
    for (int e = 0; e < c->experts; e++) {
        s[e] = 1 / (1 + exp(-s[e]));
        key[e] = s[e] + (c->no_bias ? 0 : (double)weights_of(m, l, "feed_forward.expert_bias")[e]);
    }
    for (int i = 0; i < c->used; i++) {
        int best = -1;
        for (int e = 0; e < c->experts; e++) {
            if (!taken[e] && (best < 0 || key[e] > key[best])) best = e;
        }
        taken[best] = 1;
        sum += s[best];
    }
    memset(out, 0, (size_t)c->d * sizeof(double));
    for (int e = 0; e < c->experts; e++) {
        if (!taken[e]) continue;
        swiglu(expert_of(m, l, e, 1)->data, expert_of(m, l, e, 3)->data, expert_of(m, l, e, 2)->data, h, y, c->d, c->ffe);
        for (int i = 0; i < c->d; i++) out[i] += s[e] / (sum + 1e-6) * 1.5 * y[i];
    }
}

static void ref_layer(toy *m, int l, double *x, int n)
{
    const toy_spec *c = &m->spec;
    const size_t d = (size_t)c->d, all = (size_t)n * d;
    double *h = calloc(all, sizeof(double)), *o = calloc(all, sizeof(double));
    for (int t = 0; t < n; t++) rms(h + (size_t)t * d, x + (size_t)t * d, weights_of(m, l, "operator_norm.weight"), c->d);
    if (c->layers[l] == 'c')
        ref_conv(m, l, h, o, n);
    else
        ref_attn(m, l, h, o, n);
    for (size_t i = 0; i < all; i++) x[i] += o[i];
    for (int t = 0; t < n; t++) {
        rms(h, x + (size_t)t * d, weights_of(m, l, "ffn_norm.weight"), c->d);
        if (c->experts > 0 && l >= c->dense)
            ref_moe(m, l, h, o);
        else
            swiglu(weights_of(m, l, "feed_forward.w1.weight"), weights_of(m, l, "feed_forward.w3.weight"),
                   weights_of(m, l, "feed_forward.w2.weight"), h, o, c->d, c->ff);
        for (size_t i = 0; i < d; i++) x[(size_t)t * d + i] += o[i];
    }
    free(h);
    free(o);
}

void toy_reference(toy *m, const int32_t *ids, const float *embed, int n, double *logits)
{
    const toy_spec *c = &m->spec;
    const size_t d = (size_t)c->d;
    const float *table = toy_find(m, "embed_tokens.weight")->data, *head = c->untied ? toy_find(m, "lm_head.weight")->data : table;
    double *x = calloc((size_t)n * d, sizeof(double));
    for (int t = 0; t < n; t++) {
        const float *row = embed ? embed + (size_t)t * d : table + (size_t)ids[t] * d;
        for (size_t i = 0; i < d; i++) x[(size_t)t * d + i] = (double)row[i];
    }
    for (int l = 0; l < (int)strlen(c->layers); l++) ref_layer(m, l, x, n);
    for (int t = 0; t < n; t++) {
        rms(x + (size_t)t * d, x + (size_t)t * d, toy_find(m, "embedding_norm.weight")->data, c->d);
        mat_vec(logits + (size_t)t * (size_t)c->vocab, head, x + (size_t)t * d, c->vocab, c->d);
    }
    free(x);
}

double toy_nmse(const float *x, const double *want, size_t n)
{
    double e = 0, s = 0;
    for (size_t i = 0; i < n; i++) {
        e += ((double)x[i] - want[i]) * ((double)x[i] - want[i]);
        s += want[i] * want[i];
    }
    return e / s;
}

/* --- sessions --- */

lfm2_session *toy_session(lfm2_model *m, int32_t n_seqs, int32_t cap_tok, int32_t cap_batch, int32_t cap_rewind)
{
    lfm2_session *s = NULL;
    lfm2_session_params p = { .n_seqs = n_seqs, .cap_tok = cap_tok, .cap_batch = cap_batch, .cap_rewind = cap_rewind };
    assert_int_equal(lfm2_session_create(m, &p, &s), 0);
    return s;
}

void toy_forward(lfm2_session *s, int32_t seq, const int32_t *ids, int n, float *logits)
{
    lfm2_span span = { .seq = seq, .n_tok = n, .ids = ids, .logits = LFM2_LOGITS_ALL };
    assert_int_equal(lfm2_session_forward(s, &span, 1, logits, n), 0);
}
