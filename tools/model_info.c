/* SPDX-License-Identifier: Apache-2.0
 * lfm2-model info: what a model is. */
#include <stdarg.h>
#include <string.h>

#include "tools/model_verbs.h"

typedef struct type_count {
    size_t n_tensors;
    uint64_t n_bytes;
} type_count;

static void count_types(const lfm2_weights *w, type_count *counts)
{
    size_t i;
    for (i = 0; i < lfm2_weights_n_tensors(w); i++) {
        const lfm2_tensor *tensor = lfm2_weights_tensor(w, i);
        counts[tensor->dtype].n_tensors++;
        counts[tensor->dtype].n_bytes += tensor->n_bytes;
    }
}

static const char *container_name(const lfm2_weights *w)
{
    return lfm2_weights_container(w) == LFM2_CONTAINER_GGUF ? "gguf" : "safetensors";
}

static const char *variant_name(const lfm2_tokenizer *tok)
{
    lfm2_chat_variant v = lfm2_tokenizer_chat_variant(tok);
    return v == LFM2_CHAT_AUTO ? NULL : lfm2_chat_variant_name(v);
}

static void put_shapes(json_out *j, const lfm2_config *c)
{
    int32_t i;

    json_begin_object(j, "shapes");
    json_put_int(j, "d_model", c->d_model);
    json_put_int(j, "n_layers", c->n_layers);
    json_put_int(j, "n_heads", c->n_heads);
    json_put_int(j, "n_kv_heads", c->n_kv_heads);
    json_put_int(j, "head_dim", c->head_dim);
    json_put_int(j, "d_ff", c->d_ff);
    json_put_int(j, "n_vocab", c->n_vocab);
    json_put_int(j, "n_ctx_max", c->n_ctx_max);
    json_put_int(j, "n_taps", c->n_taps);
    json_put_int(j, "n_experts", c->n_experts);
    json_put_int(j, "n_experts_used", c->n_experts_used);
    json_put_int(j, "d_ff_expert", c->d_ff_expert);
    json_put_int(j, "n_dense_layers", c->n_dense_layers);
    json_put_real(j, "norm_eps", (double)c->norm_eps);
    json_put_real(j, "rope_theta", (double)c->rope_theta);
    json_put_bool(j, "tied_head", c->tied_head);
    json_begin_array(j, "layers");
    for (i = 0; i < c->n_layers; i++) json_put_text(j, NULL, c->layer_kind[i] == LFM2_LAYER_ATTN ? "attention" : "conv");
    json_end_array(j);
    json_end_object(j);
}

static void put_id(json_out *j, const char *key, int32_t id)
{
    if (id < 0) json_put_null(j, key);
    else json_put_int(j, key, id);
}

static void put_tokens(json_out *j, const lfm2_tokenizer *tok)
{
    size_t n, i;
    const int32_t *ends = lfm2_tokenizer_end_ids(tok, &n);

    json_begin_object(j, "tokens");
    json_put_int(j, "n_ids", lfm2_tokenizer_n_ids(tok));
    put_id(j, "bos", lfm2_tokenizer_bos(tok));
    put_id(j, "eos", lfm2_tokenizer_eos(tok));
    json_put_bool(j, "adds_bos", lfm2_tokenizer_adds_bos(tok));
    json_begin_array(j, "end_ids");
    for (i = 0; i < n; i++) json_put_int(j, NULL, ends[i]);
    json_end_array(j);
    json_put_text(j, "chat_template", variant_name(tok));
    json_end_object(j);
}

static int print_json(tool *t, const char *path, const lfm2_session_params *sp)
{
    const lfm2_weights *w = lfm2_model_weights(t->model);
    const lfm2_config *c = lfm2_model_config(t->model);
    type_count counts[LFM2_DTYPE_COUNT] = {{0}};
    json_out j = {0};
    int i, rc;

    count_types(w, counts);
    json_begin_object(&j, NULL);
    json_put_int(&j, "schema_version", 1);
    json_put_text(&j, "file", path);
    json_put_text(&j, "container", container_name(w));
    json_put_text(&j, "architecture", c->arch);
    json_put_int(&j, "parameters", (int64_t)lfm2_model_n_params(t->model));
    json_put_int(&j, "tensors", (int64_t)lfm2_weights_n_tensors(w));
    put_shapes(&j, c);
    json_begin_object(&j, "quantisation");
    for (i = 0; i < LFM2_DTYPE_COUNT; i++) {
        if (!counts[i].n_tensors) continue;
        json_begin_object(&j, lfm2_dtype_name((lfm2_dtype)i));
        json_put_int(&j, "tensors", (int64_t)counts[i].n_tensors);
        json_put_int(&j, "bytes", (int64_t)counts[i].n_bytes);
        json_end_object(&j);
    }
    json_end_object(&j);
    put_tokens(&j, t->tok);
    rc = model_info_encoders(t, path, &j);
    json_begin_object(&j, "memory");
    json_put_int(&j, "file_bytes", (int64_t)lfm2_weights_file_bytes(w));
    json_put_int(&j, "weights_bytes", (int64_t)lfm2_model_n_bytes(t->model));
    json_put_int(&j, "context", sp->cap_tok);
    json_put_int(&j, "session_bytes", (int64_t)lfm2_session_bytes(t->model, sp));
    json_end_object(&j);
    json_end_object(&j);
    if (rc == 0) return tool_write_json(t, &j);
    json_fini(&j);
    return rc;
}

static void put_line(tool *t, const char *name, const char *fmt, ...)
{
    char line[512];
    size_t n = (size_t)snprintf(line, sizeof line, "%-14s", name);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line + n, sizeof line - n, fmt, ap);
    va_end(ap);
    tool_write(t, line, strlen(line));
    tool_write(t, "\n", 1);
}

static double mib(uint64_t n_bytes)
{
    return (double)n_bytes / (1024.0 * 1024.0);
}

static void print_layers(tool *t, const lfm2_config *c)
{
    char kinds[LFM2_MAX_LAYERS + 1];
    int32_t i, n_attn = 0;

    for (i = 0; i < c->n_layers; i++) {
        kinds[i] = c->layer_kind[i] == LFM2_LAYER_ATTN ? 'A' : 'c';
        n_attn += c->layer_kind[i] == LFM2_LAYER_ATTN;
    }
    kinds[i] = '\0';
    put_line(t, "layers", "%d convolution, %d attention (%s)", (int)(c->n_layers - n_attn), (int)n_attn, kinds);
}

static int print_text(tool *t, const char *path, const lfm2_session_params *sp)
{
    const lfm2_weights *w = lfm2_model_weights(t->model);
    const lfm2_config *c = lfm2_model_config(t->model);
    const char *variant = variant_name(t->tok);
    type_count counts[LFM2_DTYPE_COUNT] = {{0}};
    char shown[300];
    json_out probe = {0};
    int i, rc;

    json_begin_object(&probe, NULL);
    rc = model_info_encoders(t, path, &probe); /* nothing is printed before it is certain that all can be */
    json_fini(&probe);
    if (rc) return rc;
    put_line(t, "file", "%s (%s)", cli_printable(path, shown, sizeof shown), container_name(w));
    put_line(t, "architecture", "%s", c->arch);
    put_line(t, "parameters", "%llu", (unsigned long long)lfm2_model_n_params(t->model));
    print_layers(t, c);
    put_line(t, "width", "%d, feed-forward %d", (int)c->d_model, (int)c->d_ff);
    put_line(t, "heads", "%d of %d, %d for keys and values", (int)c->n_heads, (int)c->head_dim, (int)c->n_kv_heads);
    if (c->n_experts) {
        put_line(t, "experts", "%d of width %d, %d used, from layer %d", (int)c->n_experts, (int)c->d_ff_expert,
                 (int)c->n_experts_used, (int)c->n_dense_layers);
    }
    put_line(t, "vocabulary", "%d rows, %d ids", (int)c->n_vocab, (int)lfm2_tokenizer_n_ids(t->tok));
    put_line(t, "tokens", "bos %d, eos %d, chat template %s", (int)lfm2_tokenizer_bos(t->tok), (int)lfm2_tokenizer_eos(t->tok),
             variant ? variant : "unknown");
    count_types(w, counts);
    for (i = 0; i < LFM2_DTYPE_COUNT; i++) {
        if (!counts[i].n_tensors) continue;
        put_line(t, lfm2_dtype_name((lfm2_dtype)i), "%zu tensors, %.1f MiB", counts[i].n_tensors, mib(counts[i].n_bytes));
    }
    rc = model_info_encoders(t, path, NULL);
    if (rc) return rc;
    put_line(t, "context", "%d at most", (int)c->n_ctx_max);
    put_line(t, "memory", "%.1f MiB weights, %.1f MiB for %d tokens", mib(lfm2_model_n_bytes(t->model)),
             mib(lfm2_session_bytes(t->model, sp)), (int)sp->cap_tok);
    return tool_flush(t);
}

int model_context(tool *t, int32_t *cap_tok)
{
    const lfm2_config *c = lfm2_model_config(t->model);
    int64_t asked;

    *cap_tok = lfm2_session_params_default(t->model).cap_tok;
    if (!cli_is_set(&t->cli, "context")) return 0;
    asked = cli_int(&t->cli, "context");
    if (asked > c->n_ctx_max) {
        return tool_fail(t, TOOL_USAGE, "--context: %lld is more than the model's %d", (long long)asked, (int)c->n_ctx_max);
    }
    *cap_tok = (int32_t)asked;
    return 0;
}

int model_info(tool *t)
{
    const char *path = t->cli.n_args ? t->cli.args[0] : NULL;
    lfm2_session_params sp;
    int rc = path ? 0 : tool_model_path(t, &path);

    if (rc == 0) rc = tool_open_model(t, path);
    if (rc) return rc;
    sp = lfm2_session_params_default(t->model);
    rc = model_context(t, &sp.cap_tok);
    if (rc) return rc;
    return cli_flag(&t->cli, "json") ? print_json(t, path, &sp) : print_text(t, path, &sp);
}
