/* SPDX-License-Identifier: Apache-2.0
 * The tensors of tower and projector: names of both containers side by side, and the f32 copies of small ones. */
#include <stddef.h>
#include <string.h>

#include "encoders/vision_impl.h"

static const char *const ST_PREFIXES[] = { "model.vision_tower.vision_model.", "model.vision_tower.", "vision_tower.vision_model.",
                                           "vision_tower.", "model.", "", NULL };

/* What else such a checkpoint holds. */
static const char *const OTHER_PARTS[] = { "model.language_model.", "language_model.", "lm_head.", "conformer.", "audio_adapter.",
                                           "ctc_head.", "a.", "mm.a.", NULL };

typedef enum dim { DIM_H, DIM_F, DIM_P, DIM_SIDE, DIM_RGB, DIM_TABLE, DIM_Z, DIM_PROJ, DIM_D, N_DIMS } dim;

typedef struct tensor_row {
    const char *st_name, *gguf_name;
    int32_t n_dims;
    dim dims[4];
    unsigned flags;
    size_t place;
} tensor_row;

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

static const tensor_row MODEL_ROWS[] = {
    { "embeddings.patch_embedding.weight", NULL, 2, { DIM_H, DIM_P }, LFM2__BIND_F32, MODEL(patch_st) },
    { NULL, "v.patch_embd.weight", 4, { DIM_H, DIM_RGB, DIM_SIDE, DIM_SIDE }, LFM2__BIND_F32, MODEL(patch_gguf) },
    VEC("embeddings.patch_embedding.bias", "v.patch_embd.bias", DIM_H, MODEL(patch_b.src)),
    { "embeddings.position_embedding.weight", "v.position_embd.weight", 2, { DIM_TABLE, DIM_H }, LFM2__BIND_F32, MODEL(table.src) },
    NORM("post_layernorm.", "v.post_ln.", MODEL, post),
    { PJ "layer_norm.weight", "mm.input_norm.weight", 1, { DIM_Z }, LFM2__BIND_F32 | LFM2__BIND_OPTIONAL, MODEL(proj_norm.w.src) },
    { PJ "layer_norm.bias", "mm.input_norm.bias", 1, { DIM_Z }, LFM2__BIND_F32 | LFM2__BIND_OPTIONAL, MODEL(proj_norm.b.src) },
    LINEAR(PJ "linear_1.", "mm.1.", DIM_PROJ, DIM_Z, MODEL, proj1),
    LINEAR(PJ "linear_2.", "mm.2.", DIM_D, DIM_PROJ, MODEL, proj2),
};

static const tensor_row LAYER_ROWS[] = {
    NORM(ST "layer_norm1.", GG "ln1.", LAYER, ln1),
    NORM(ST "layer_norm2.", GG "ln2.", LAYER, ln2),
    LINEAR(ST "self_attn.q_proj.", GG "attn_q.", DIM_H, DIM_H, LAYER, q),
    LINEAR(ST "self_attn.k_proj.", GG "attn_k.", DIM_H, DIM_H, LAYER, k),
    LINEAR(ST "self_attn.v_proj.", GG "attn_v.", DIM_H, DIM_H, LAYER, v),
    LINEAR(ST "self_attn.out_proj.", GG "attn_out.", DIM_H, DIM_H, LAYER, o),
    LINEAR(ST "mlp.fc1.", GG "ffn_up.", DIM_F, DIM_H, LAYER, up),
    LINEAR(ST "mlp.fc2.", GG "ffn_down.", DIM_H, DIM_F, LAYER, down),
};

static int visit_rows(const int64_t *dims, const tensor_row *rows, size_t n, void *base, int32_t layer, lfm2__vision_tensor_fn *fn,
                      void *ctx)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        lfm2__bind_row row = { .st_name = rows[i].st_name, .gguf_name = rows[i].gguf_name, .n_dims = rows[i].n_dims,
                               .flags = rows[i].flags, .dst = (lfm2__mat *)(void *)((char *)base + rows[i].place) };
        for (int32_t j = 0; j < row.n_dims; j++) row.dims[j] = dims[rows[i].dims[j]];
        rc = fn(ctx, &row, layer);
    }
    return rc;
}

int lfm2__vision_tensors(lfm2_vision *v, lfm2__vision_tensor_fn *fn, void *ctx)
{
    const lfm2_vision_config *c = &v->cfg;
    const int64_t dims[N_DIMS] = {
        [DIM_H] = c->d_vision, [DIM_F] = c->d_ff, [DIM_P] = 3 * (int64_t)c->patch_px * c->patch_px, [DIM_SIDE] = c->patch_px,
        [DIM_RGB] = 3, [DIM_TABLE] = (int64_t)c->table_side * c->table_side,
        [DIM_Z] = (int64_t)c->downsample * c->downsample * c->d_vision, [DIM_PROJ] = c->d_projector, [DIM_D] = c->d_model,
    };
    int rc = visit_rows(dims, MODEL_ROWS, LFM2__COUNT_OF(MODEL_ROWS), v, -1, fn, ctx);
    for (int32_t l = 0; rc == 0 && l < c->n_layers; l++)
        rc = visit_rows(dims, LAYER_ROWS, LFM2__COUNT_OF(LAYER_ROWS), &v->layers[l], l, fn, ctx);
    return rc;
}

static int add_to_binder(void *ctx, const lfm2__bind_row *row, int32_t layer)
{
    return lfm2__binder_add(ctx, row, layer, -1);
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
    rc = lfm2__vision_tensors(v, add_to_binder, b);
    if (rc == 0) rc = lfm2__binder_finish(b);
    lfm2__binder_destroy(b);
    if (rc < 0) return rc;
    if (!v->proj_norm.w.src.data != !v->proj_norm.b.src.data)
        return lfm2__fail(v->rt, LFM2_ERR_FORMAT, "%s: " PJ "layer_norm: half of it is missing", lfm2_weights_path(v->w));
    v->cfg.has_projector_norm = v->proj_norm.w.src.data != NULL;
    return 0;
}

static void copy_mat(const lfm2_vision *v, const lfm2__mat *m, float *out)
{
    for (int64_t r = 0; r < m->n_rows; r++)
        v->k.dequant[m->dtype](out + r * m->n_cols, (const char *)m->data + (size_t)r * m->row_bytes, (int32_t)m->n_cols);
}

/* f32 copy at *at, which moves on. With *at == NULL only counts in *n. */
static void copy_vec(const lfm2_vision *v, lfm2__vision_vec *vec, float **at, size_t *n)
{
    if (!vec->src.data) return;
    const size_t len = (size_t)vec->src.n_rows * (size_t)vec->src.n_cols;
    *n += len;
    if (!*at) return;
    copy_mat(v, &vec->src, *at);
    vec->data = *at;
    *at += len;
}

static void copy_norm(const lfm2_vision *v, lfm2__vision_norm *norm, float **at, size_t *n)
{
    copy_vec(v, &norm->w, at, n);
    copy_vec(v, &norm->b, at, n);
}

/* c, dy, dx -> dy, dx, c */
static void permute_patch(const lfm2_vision *v, const float *src, float *dst)
{
    const size_t area = (size_t)v->cfg.patch_px * (size_t)v->cfg.patch_px;
    for (int32_t r = 0; r < v->cfg.d_vision; r++, src += 3 * area, dst += 3 * area) {
        for (size_t i = 0; i < area; i++) {
            for (size_t ch = 0; ch < 3; ch++) dst[3 * i + ch] = src[ch * area + i];
        }
    }
}

static void copy_all(lfm2_vision *v, float *at, size_t *n)
{
    copy_vec(v, &v->patch_b, &at, n);
    copy_vec(v, &v->table, &at, n);
    copy_norm(v, &v->post, &at, n);
    copy_norm(v, &v->proj_norm, &at, n);
    copy_vec(v, &v->proj1.b, &at, n);
    copy_vec(v, &v->proj2.b, &at, n);
    for (int32_t l = 0; l < v->cfg.n_layers; l++) {
        lfm2__vision_layer *layer = &v->layers[l];
        lfm2__vision_linear *const linears[] = { &layer->q, &layer->k, &layer->v, &layer->o, &layer->up, &layer->down };
        copy_norm(v, &layer->ln1, &at, n);
        copy_norm(v, &layer->ln2, &at, n);
        for (size_t i = 0; i < LFM2__COUNT_OF(linears); i++) copy_vec(v, &linears[i]->b, &at, n);
    }
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
    const size_t patch_n = (size_t)v->cfg.d_vision * 3 * (size_t)v->cfg.patch_px * (size_t)v->cfg.patch_px;
    const int permute = v->patch_gguf.data != NULL;
    size_t n = 0, ignored = 0;
    copy_all(v, NULL, &n);
    v->vectors = lfm2__calloc(v->rt, n + 2 * patch_n, sizeof(float));
    if (!v->vectors) return LFM2_ERR_NOMEM;
    float *patch = v->vectors + n;
    copy_all(v, v->vectors, &ignored);
    copy_mat(v, permute ? &v->patch_gguf : &v->patch_st, patch);
    if (permute) permute_patch(v, patch, patch + patch_n);
    v->patch_w = permute ? patch + patch_n : patch;
    return 0;
}
