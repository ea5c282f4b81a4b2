/* SPDX-License-Identifier: Apache-2.0
 * The tensors of tower and projector: names of both containers side by side, and the f32 copies of small ones. */
#include <stddef.h>

#include "encoders/vision_impl.h"

static const char *const ST_PREFIXES[] = { "model.vision_tower.vision_model.", "model.vision_tower.", "vision_tower.vision_model.",
                                           "vision_tower.", "model.", "", NULL };

/* What else such a checkpoint holds. */
static const char *const OTHER_PARTS[] = { "model.language_model.", "language_model.", "lm_head.", "conformer.", "audio_adapter.",
                                           "ctc_head.", "a.", "mm.a.", NULL };

typedef enum dim { DIM_H, DIM_F, DIM_P, DIM_SIDE, DIM_RGB, DIM_TABLE, DIM_Z, DIM_PROJ, DIM_D, N_DIMS } dim;

#define MODEL(member) offsetof(lfm2_vision, member)
#define LAYER(member) offsetof(lfm2__vision_layer, member)
#define ST "encoder.layers.%d."
#define GG "v.blk.%d."
#define PJ "multi_modal_projector."

#define VEC(st, gg, d, place) { st, gg, 1, { d }, LFM2__BIND_F32, place }
#define NORM(st, gg, of, member)                                                                                     \
    VEC(st "weight", gg "weight", DIM_H, of(member.w.src)), VEC(st "bias", gg "bias", DIM_H, of(member.b.src))
#define LINEAR(st, gg, rows, cols, of, member)                                                                       \
    { st "weight", gg "weight", 2, { rows, cols }, 0, of(member.w) }, VEC(st "bias", gg "bias", rows, of(member.b.src))

static const lfm2__table_row MODEL_ROWS[] = {
    { "embeddings.patch_embedding.weight", NULL, 2, { DIM_H, DIM_P }, LFM2__BIND_F32, MODEL(patch_st.src) },
    { NULL, "v.patch_embd.weight", 4, { DIM_H, DIM_RGB, DIM_SIDE, DIM_SIDE }, LFM2__BIND_F32, MODEL(patch_gguf.src) },
    VEC("embeddings.patch_embedding.bias", "v.patch_embd.bias", DIM_H, MODEL(patch_b.src)),
    { "embeddings.position_embedding.weight", "v.position_embd.weight", 2, { DIM_TABLE, DIM_H }, LFM2__BIND_F32, MODEL(table.src) },
    NORM("post_layernorm.", "v.post_ln.", MODEL, post),
    { PJ "layer_norm.weight", "mm.input_norm.weight", 1, { DIM_Z }, LFM2__BIND_F32 | LFM2__BIND_OPTIONAL, MODEL(proj_norm.w.src) },
    { PJ "layer_norm.bias", "mm.input_norm.bias", 1, { DIM_Z }, LFM2__BIND_F32 | LFM2__BIND_OPTIONAL, MODEL(proj_norm.b.src) },
    LINEAR(PJ "linear_1.", "mm.1.", DIM_PROJ, DIM_Z, MODEL, proj1),
    LINEAR(PJ "linear_2.", "mm.2.", DIM_D, DIM_PROJ, MODEL, proj2),
};

static const lfm2__table_row LAYER_ROWS[] = {
    NORM(ST "layer_norm1.", GG "ln1.", LAYER, ln1),
    NORM(ST "layer_norm2.", GG "ln2.", LAYER, ln2),
    LINEAR(ST "self_attn.q_proj.", GG "attn_q.", DIM_H, DIM_H, LAYER, q),
    LINEAR(ST "self_attn.k_proj.", GG "attn_k.", DIM_H, DIM_H, LAYER, k),
    LINEAR(ST "self_attn.v_proj.", GG "attn_v.", DIM_H, DIM_H, LAYER, v),
    LINEAR(ST "self_attn.out_proj.", GG "attn_out.", DIM_H, DIM_H, LAYER, o),
    LINEAR(ST "mlp.fc1.", GG "ffn_up.", DIM_F, DIM_H, LAYER, up),
    LINEAR(ST "mlp.fc2.", GG "ffn_down.", DIM_H, DIM_F, LAYER, down),
};

int lfm2__vision_tensors(lfm2_vision *v, lfm2__tensor_fn *fn, void *ctx)
{
    const lfm2_vision_config *c = &v->cfg;
    const int64_t dims[N_DIMS] = {
        [DIM_H] = c->d_vision, [DIM_F] = c->d_ff, [DIM_P] = 3 * (int64_t)c->patch_px * c->patch_px, [DIM_SIDE] = c->patch_px,
        [DIM_RGB] = 3, [DIM_TABLE] = (int64_t)c->table_side * c->table_side,
        [DIM_Z] = (int64_t)c->downsample * c->downsample * c->d_vision, [DIM_PROJ] = c->d_projector, [DIM_D] = c->d_model,
    };
    const lfm2__table_walk w = { .dims = dims, .fn = fn, .ctx = ctx };
    int rc = LFM2__WALK_TABLE(&w, MODEL_ROWS, v, -1, -1);
    for (int32_t l = 0; rc == 0 && l < c->n_layers; l++) rc = LFM2__WALK_TABLE(&w, LAYER_ROWS, &v->layers[l], l, -1);
    return rc;
}

/* The projector's widths are stated nowhere but in its shapes. */
static int read_widths(lfm2_vision *v)
{
    static const char *const names[2][3] = { { "model." PJ "linear_1.weight", PJ "linear_1.weight", "mm.1.weight" },
                                             { "model." PJ "linear_2.weight", PJ "linear_2.weight", "mm.2.weight" } };
    int32_t *const widths[2] = { &v->cfg.d_projector, &v->cfg.d_model };
    for (int i = 0; i < 2; i++) {
        const lfm2_tensor *t = NULL;
        for (int j = 0; j < 3 && !t; j++) t = lfm2_weights_find(v->w, names[i][j]);
        if (!t || t->n_dims != 2 || t->dims[0] < 1 || t->dims[0] > 65536)
            return lfm2__fail(v->rt, LFM2_ERR_FORMAT, "%s: %s: missing, or no matrix", lfm2_weights_path(v->w), names[i][1]);
        *widths[i] = (int32_t)t->dims[0];
    }
    return 0;
}

static int bind(lfm2_vision *v)
{
    lfm2__binder *b = NULL;
    int rc = lfm2__binder_create(v->w, ST_PREFIXES, &b);
    if (rc < 0) return rc;
    lfm2__binder_allow(b, OTHER_PARTS);
    rc = lfm2__vision_tensors(v, lfm2__bind_tensor, b);
    if (rc == 0) rc = lfm2__binder_finish(b);
    lfm2__binder_destroy(b);
    if (rc < 0) return rc;
    if (!v->proj_norm.w.src.data != !v->proj_norm.b.src.data)
        return lfm2__fail(v->rt, LFM2_ERR_FORMAT, "%s: " PJ "layer_norm: half of it is missing", lfm2_weights_path(v->w));
    v->cfg.has_projector_norm = v->proj_norm.w.src.data != NULL;
    return 0;
}

int lfm2__vision_bind(lfm2_vision *v)
{
    int rc = read_widths(v);
    if (rc < 0) return rc;
    v->layers = lfm2__calloc(v->rt, (size_t)v->cfg.n_layers, sizeof *v->layers);
    if (!v->layers) return LFM2_ERR_NOMEM;
    rc = bind(v);
    return rc == 0 ? lfm2__vision_finish(v) : rc;
}

int lfm2__vision_finish(lfm2_vision *v)
{
    const size_t area = (size_t)v->cfg.patch_px * (size_t)v->cfg.patch_px, row = 3 * area;
    lfm2__vec_walk walk = { .k = &v->k };
    int rc = lfm2__vision_tensors(v, lfm2__vec_visit, &walk);
    v->vectors = lfm2__calloc(v->rt, walk.n + row, sizeof(float)); /* and a transpose in flight */
    if (!v->vectors) return LFM2_ERR_NOMEM;
    walk.at = v->vectors;
    if (rc == 0) rc = lfm2__vision_tensors(v, lfm2__vec_visit, &walk);
    v->patch_w = v->patch_st.data;
    if (rc < 0 || v->patch_st.data) return rc;
    for (size_t i = 0; i < (size_t)v->cfg.d_vision; i++) /* c, dy, dx -> dy, dx, c */
        lfm2__transpose(v->patch_gguf.data + i * row, 3, area, walk.at);
    v->patch_w = v->patch_gguf.data;
    return rc;
}
