/* SPDX-License-Identifier: Apache-2.0
 * The tensors of the backbone: names of both containers side by side, shapes in letters, and where they go. */
#include <stddef.h>

#include "model/model_impl.h"

typedef enum dim { DIM_ONE, DIM_D, DIM_3D, DIM_V, DIM_K, DIM_HD, DIM_GD, DIM_HEAD, DIM_F, DIM_E, DIM_FE, DIM_2FE, N_DIMS } dim;

#define MODEL(member) offsetof(lfm2_model, member)
#define LAYER(member) offsetof(lfm2__layer, member)
#define EXPERT(member) offsetof(lfm2__expert, member)
#define ST "layers.%d."
#define GG "blk.%d."

static const lfm2__table_row MODEL_ROWS[] = {
    { "embed_tokens.weight", "token_embd.weight", 2, { DIM_V, DIM_D }, 0, MODEL(embed) },
    { "embedding_norm.weight", "token_embd_norm.weight", 1, { DIM_D }, LFM2__BIND_F32, MODEL(final_norm.w.src) },
};

static const lfm2__table_row HEAD_ROW = { "lm_head.weight", "output.weight", 2, { DIM_V, DIM_D }, 0, MODEL(head) };

static const lfm2__table_row LAYER_ROWS[] = {
    { ST "operator_norm.weight", GG "attn_norm.weight", 1, { DIM_D }, LFM2__BIND_F32, LAYER(operator_norm.w.src) },
    { ST "ffn_norm.weight", GG "ffn_norm.weight", 1, { DIM_D }, LFM2__BIND_F32, LAYER(ffn_norm.w.src) },
};

static const lfm2__table_row CONV_ROWS[] = {
    { ST "conv.in_proj.weight", GG "shortconv.in_proj.weight", 2, { DIM_3D, DIM_D }, 0, LAYER(in_proj) },
    { ST "conv.conv.weight", GG "shortconv.conv.weight", 3, { DIM_D, DIM_ONE, DIM_K }, LFM2__BIND_F32, LAYER(taps.src) },
    { ST "conv.out_proj.weight", GG "shortconv.out_proj.weight", 2, { DIM_D, DIM_D }, 0, LAYER(conv_out) },
};

static const lfm2__table_row ATTN_ROWS[] = {
    { ST "self_attn.q_proj.weight", GG "attn_q.weight", 2, { DIM_HD, DIM_D }, 0, LAYER(wq) },
    { ST "self_attn.k_proj.weight", GG "attn_k.weight", 2, { DIM_GD, DIM_D }, 0, LAYER(wk) },
    { ST "self_attn.v_proj.weight", GG "attn_v.weight", 2, { DIM_GD, DIM_D }, 0, LAYER(wv) },
    { ST "self_attn.out_proj.weight", GG "attn_output.weight", 2, { DIM_D, DIM_HD }, 0, LAYER(wo) },
    { ST "self_attn.q_layernorm.weight", GG "attn_q_norm.weight", 1, { DIM_HEAD }, LFM2__BIND_F32, LAYER(q_norm.src) },
    { ST "self_attn.k_layernorm.weight", GG "attn_k_norm.weight", 1, { DIM_HEAD }, LFM2__BIND_F32, LAYER(k_norm.src) },
};

static const lfm2__table_row DENSE_ROWS[] = {
    { ST "feed_forward.w1.weight", GG "ffn_gate.weight", 2, { DIM_F, DIM_D }, 0, LAYER(w1) },
    { ST "feed_forward.w3.weight", GG "ffn_up.weight", 2, { DIM_F, DIM_D }, 0, LAYER(w3) },
    { ST "feed_forward.w2.weight", GG "ffn_down.weight", 2, { DIM_D, DIM_F }, 0, LAYER(w2) },
};

static const lfm2__table_row ROUTER_ROW = { ST "feed_forward.gate.weight", GG "ffn_gate_inp.weight", 2, { DIM_E, DIM_D }, 0,
                                       LAYER(router) };
static const lfm2__table_row BIAS_ROW = { ST "feed_forward.expert_bias", GG "exp_probs_b.bias", 1, { DIM_E }, LFM2__BIND_F32,
                                     LAYER(expert_bias.src) };

static const lfm2__table_row SINGLE_ROWS[] = {
    { ST "feed_forward.experts.%d.w1.weight", NULL, 2, { DIM_FE, DIM_D }, 0, EXPERT(w1) },
    { ST "feed_forward.experts.%d.w3.weight", NULL, 2, { DIM_FE, DIM_D }, 0, EXPERT(w3) },
    { ST "feed_forward.experts.%d.w2.weight", NULL, 2, { DIM_D, DIM_FE }, 0, EXPERT(w2) },
};

static const lfm2__table_row FUSED_ROWS[] = {
    { ST "feed_forward.experts.gate_up_proj", NULL, 3, { DIM_E, DIM_2FE, DIM_D }, 0, LAYER(stack[0]) },
    { ST "feed_forward.experts.down_proj", NULL, 3, { DIM_E, DIM_D, DIM_FE }, 0, LAYER(stack[1]) },
};

static const lfm2__table_row STACKED_ROWS[] = {
    { NULL, GG "ffn_gate_exps.weight", 3, { DIM_E, DIM_FE, DIM_D }, 0, LAYER(stack[0]) },
    { NULL, GG "ffn_up_exps.weight", 3, { DIM_E, DIM_FE, DIM_D }, 0, LAYER(stack[1]) },
    { NULL, GG "ffn_down_exps.weight", 3, { DIM_E, DIM_D, DIM_FE }, 0, LAYER(stack[2]) },
};

static int visit_experts(const lfm2__table_walk *w, lfm2_model *m, lfm2__expert_layout layout, int32_t l)
{
    lfm2__layer *layer = &m->layers[l];
    int rc = lfm2__walk_table(w, &ROUTER_ROW, 1, layer, l, -1);
    if (rc == 0 && m->extra.expert_bias) rc = lfm2__walk_table(w, &BIAS_ROW, 1, layer, l, -1);
    if (rc == 0 && layout == LFM2__EXPERTS_FUSED) rc = LFM2__WALK_TABLE(w, FUSED_ROWS, layer, l, -1);
    if (rc == 0 && layout == LFM2__EXPERTS_STACKED) rc = LFM2__WALK_TABLE(w, STACKED_ROWS, layer, l, -1);
    if (layout != LFM2__EXPERTS_SINGLE) return rc;
    for (int32_t e = 0; rc == 0 && e < m->cfg.n_experts; e++)
        rc = LFM2__WALK_TABLE(w, SINGLE_ROWS, &layer->experts[e], l, e);
    return rc;
}

int lfm2__model_tensors(lfm2_model *m, lfm2__expert_layout layout, lfm2__tensor_fn *fn, void *ctx)
{
    const lfm2_config *c = &m->cfg;
    const int64_t dims[N_DIMS] = { [DIM_ONE] = 1, [DIM_D] = c->d_model, [DIM_3D] = 3 * (int64_t)c->d_model, [DIM_V] = c->n_vocab,
                  [DIM_K] = c->n_taps,
                  [DIM_HD] = (int64_t)c->n_heads * c->head_dim, [DIM_GD] = (int64_t)c->n_kv_heads * c->head_dim,
                  [DIM_HEAD] = c->head_dim, [DIM_F] = c->d_ff, [DIM_E] = c->n_experts, [DIM_FE] = c->d_ff_expert,
                  [DIM_2FE] = 2 * (int64_t)c->d_ff_expert };
    const lfm2__table_walk w = { .dims = dims, .fn = fn, .ctx = ctx };
    lfm2__table_row head = HEAD_ROW;
    if (c->tied_head) head.flags = LFM2__BIND_OPTIONAL;
    int rc = LFM2__WALK_TABLE(&w, MODEL_ROWS, m, -1, -1);
    if (rc == 0) rc = lfm2__walk_table(&w, &head, 1, m, -1, -1);
    for (int32_t l = 0; rc == 0 && l < c->n_layers; l++) {
        lfm2__layer *layer = &m->layers[l];
        rc = LFM2__WALK_TABLE(&w, LAYER_ROWS, layer, l, -1);
        if (rc == 0 && c->layer_kind[l] == LFM2_LAYER_CONV) rc = LFM2__WALK_TABLE(&w, CONV_ROWS, layer, l, -1);
        if (rc == 0 && c->layer_kind[l] == LFM2_LAYER_ATTN) rc = LFM2__WALK_TABLE(&w, ATTN_ROWS, layer, l, -1);
        if (rc == 0 && l < c->n_dense_layers) rc = LFM2__WALK_TABLE(&w, DENSE_ROWS, layer, l, -1);
        if (rc == 0 && l >= c->n_dense_layers) rc = visit_experts(&w, m, layout, l);
    }
    return rc;
}
