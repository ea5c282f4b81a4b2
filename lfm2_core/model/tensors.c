/* SPDX-License-Identifier: Apache-2.0
 * The tensors of the backbone: names of both containers side by side, shapes in letters, and where they go. */
#include <stddef.h>

#include "model/model_impl.h"

typedef enum dim { DIM_ONE, DIM_D, DIM_3D, DIM_V, DIM_K, DIM_HD, DIM_GD, DIM_HEAD, DIM_F, DIM_E, DIM_FE, DIM_2FE, N_DIMS } dim;

typedef struct tensor_row {
    const char *st_name, *gguf_name; /* the name of the other container is never asked for where experts differ */
    int32_t n_dims;
    dim dims[3];
    unsigned flags;
    size_t place; /* of the lfm2__mat in lfm2_model, lfm2__layer or lfm2__expert */
} tensor_row;

#define MODEL(member) offsetof(lfm2_model, member)
#define LAYER(member) offsetof(lfm2__layer, member)
#define EXPERT(member) offsetof(lfm2__expert, member)
#define ST "layers.%d."
#define GG "blk.%d."

static const tensor_row MODEL_ROWS[] = {
    { "embed_tokens.weight", "token_embd.weight", 2, { DIM_V, DIM_D }, 0, MODEL(embed) },
    { "embedding_norm.weight", "token_embd_norm.weight", 1, { DIM_D }, LFM2__BIND_F32, MODEL(final_norm.src) },
};

static const tensor_row HEAD_ROW = { "lm_head.weight", "output.weight", 2, { DIM_V, DIM_D }, 0, MODEL(head) };

static const tensor_row LAYER_ROWS[] = {
    { ST "operator_norm.weight", GG "attn_norm.weight", 1, { DIM_D }, LFM2__BIND_F32, LAYER(operator_norm.src) },
    { ST "ffn_norm.weight", GG "ffn_norm.weight", 1, { DIM_D }, LFM2__BIND_F32, LAYER(ffn_norm.src) },
};

static const tensor_row CONV_ROWS[] = {
    { ST "conv.in_proj.weight", GG "shortconv.in_proj.weight", 2, { DIM_3D, DIM_D }, 0, LAYER(in_proj) },
    { ST "conv.conv.weight", GG "shortconv.conv.weight", 3, { DIM_D, DIM_ONE, DIM_K }, LFM2__BIND_F32, LAYER(taps.src) },
    { ST "conv.out_proj.weight", GG "shortconv.out_proj.weight", 2, { DIM_D, DIM_D }, 0, LAYER(conv_out) },
};

static const tensor_row ATTN_ROWS[] = {
    { ST "self_attn.q_proj.weight", GG "attn_q.weight", 2, { DIM_HD, DIM_D }, 0, LAYER(wq) },
    { ST "self_attn.k_proj.weight", GG "attn_k.weight", 2, { DIM_GD, DIM_D }, 0, LAYER(wk) },
    { ST "self_attn.v_proj.weight", GG "attn_v.weight", 2, { DIM_GD, DIM_D }, 0, LAYER(wv) },
    { ST "self_attn.out_proj.weight", GG "attn_output.weight", 2, { DIM_D, DIM_HD }, 0, LAYER(wo) },
    { ST "self_attn.q_layernorm.weight", GG "attn_q_norm.weight", 1, { DIM_HEAD }, LFM2__BIND_F32, LAYER(q_norm.src) },
    { ST "self_attn.k_layernorm.weight", GG "attn_k_norm.weight", 1, { DIM_HEAD }, LFM2__BIND_F32, LAYER(k_norm.src) },
};

static const tensor_row DENSE_ROWS[] = {
    { ST "feed_forward.w1.weight", GG "ffn_gate.weight", 2, { DIM_F, DIM_D }, 0, LAYER(w1) },
    { ST "feed_forward.w3.weight", GG "ffn_up.weight", 2, { DIM_F, DIM_D }, 0, LAYER(w3) },
    { ST "feed_forward.w2.weight", GG "ffn_down.weight", 2, { DIM_D, DIM_F }, 0, LAYER(w2) },
};

static const tensor_row ROUTER_ROW = { ST "feed_forward.gate.weight", GG "ffn_gate_inp.weight", 2, { DIM_E, DIM_D }, 0,
                                       LAYER(router) };
static const tensor_row BIAS_ROW = { ST "feed_forward.expert_bias", GG "exp_probs_b.bias", 1, { DIM_E }, LFM2__BIND_F32,
                                     LAYER(expert_bias.src) };

static const tensor_row SINGLE_ROWS[] = {
    { ST "feed_forward.experts.%d.w1.weight", NULL, 2, { DIM_FE, DIM_D }, 0, EXPERT(w1) },
    { ST "feed_forward.experts.%d.w3.weight", NULL, 2, { DIM_FE, DIM_D }, 0, EXPERT(w3) },
    { ST "feed_forward.experts.%d.w2.weight", NULL, 2, { DIM_D, DIM_FE }, 0, EXPERT(w2) },
};

static const tensor_row FUSED_ROWS[] = {
    { ST "feed_forward.experts.gate_up_proj", NULL, 3, { DIM_E, DIM_2FE, DIM_D }, 0, LAYER(stack[0]) },
    { ST "feed_forward.experts.down_proj", NULL, 3, { DIM_E, DIM_D, DIM_FE }, 0, LAYER(stack[1]) },
};

static const tensor_row STACKED_ROWS[] = {
    { NULL, GG "ffn_gate_exps.weight", 3, { DIM_E, DIM_FE, DIM_D }, 0, LAYER(stack[0]) },
    { NULL, GG "ffn_up_exps.weight", 3, { DIM_E, DIM_FE, DIM_D }, 0, LAYER(stack[1]) },
    { NULL, GG "ffn_down_exps.weight", 3, { DIM_E, DIM_D, DIM_FE }, 0, LAYER(stack[2]) },
};

typedef struct visit {
    int64_t dims[N_DIMS];
    lfm2__tensor_fn *fn;
    void *ctx;
} visit;

static int visit_rows(const visit *v, const tensor_row *rows, size_t n, void *base, unsigned flags, int32_t layer, int32_t expert)
{
    for (size_t i = 0; i < n; i++) {
        lfm2__bind_row row = { .st_name = rows[i].st_name, .gguf_name = rows[i].gguf_name, .n_dims = rows[i].n_dims,
                               .flags = rows[i].flags | flags, .dst = (lfm2__mat *)(void *)((char *)base + rows[i].place) };
        for (int32_t j = 0; j < row.n_dims; j++) row.dims[j] = v->dims[rows[i].dims[j]];
        int rc = v->fn(v->ctx, &row, layer, expert);
        if (rc < 0) return rc;
    }
    return 0;
}

#define VISIT(v, rows, base, flags, layer, expert) visit_rows(v, rows, LFM2__COUNT_OF(rows), base, flags, layer, expert)

static int visit_experts(const visit *v, lfm2_model *m, lfm2__expert_layout layout, int32_t l)
{
    lfm2__layer *layer = &m->layers[l];
    int rc = visit_rows(v, &ROUTER_ROW, 1, layer, 0, l, -1);
    if (rc == 0 && m->extra.expert_bias) rc = visit_rows(v, &BIAS_ROW, 1, layer, 0, l, -1);
    if (rc == 0 && layout == LFM2__EXPERTS_FUSED) rc = VISIT(v, FUSED_ROWS, layer, 0, l, -1);
    if (rc == 0 && layout == LFM2__EXPERTS_STACKED) rc = VISIT(v, STACKED_ROWS, layer, 0, l, -1);
    if (layout != LFM2__EXPERTS_SINGLE) return rc;
    for (int32_t e = 0; rc == 0 && e < m->cfg.n_experts; e++)
        rc = VISIT(v, SINGLE_ROWS, &layer->experts[e], 0, l, e);
    return rc;
}

int lfm2__model_tensors(lfm2_model *m, lfm2__expert_layout layout, lfm2__tensor_fn *fn, void *ctx)
{
    const lfm2_config *c = &m->cfg;
    const visit v = {
        .dims = { [DIM_ONE] = 1, [DIM_D] = c->d_model, [DIM_3D] = 3 * (int64_t)c->d_model, [DIM_V] = c->n_vocab,
                  [DIM_K] = c->n_taps,
                  [DIM_HD] = (int64_t)c->n_heads * c->head_dim, [DIM_GD] = (int64_t)c->n_kv_heads * c->head_dim,
                  [DIM_HEAD] = c->head_dim, [DIM_F] = c->d_ff, [DIM_E] = c->n_experts, [DIM_FE] = c->d_ff_expert,
                  [DIM_2FE] = 2 * (int64_t)c->d_ff_expert },
        .fn = fn, .ctx = ctx };
    int rc = VISIT(&v, MODEL_ROWS, m, 0, -1, -1);
    if (rc == 0) rc = visit_rows(&v, &HEAD_ROW, 1, m, c->tied_head ? LFM2__BIND_OPTIONAL : 0, -1, -1);
    for (int32_t l = 0; rc == 0 && l < c->n_layers; l++) {
        lfm2__layer *layer = &m->layers[l];
        rc = VISIT(&v, LAYER_ROWS, layer, 0, l, -1);
        if (rc == 0 && c->layer_kind[l] == LFM2_LAYER_CONV) rc = VISIT(&v, CONV_ROWS, layer, 0, l, -1);
        if (rc == 0 && c->layer_kind[l] == LFM2_LAYER_ATTN) rc = VISIT(&v, ATTN_ROWS, layer, 0, l, -1);
        if (rc == 0 && l < c->n_dense_layers) rc = VISIT(&v, DENSE_ROWS, layer, 0, l, -1);
        if (rc == 0 && l >= c->n_dense_layers) rc = visit_experts(&v, m, layout, l);
    }
    return rc;
}
