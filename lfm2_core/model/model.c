/* SPDX-License-Identifier: Apache-2.0
 * The model: load, unload, and what it says of itself. */
#include <math.h>
#include <string.h>

#include "base/mathsafe.h"
#include "model/model_impl.h"

static const char *const ST_PREFIXES[] = { "model.language_model.", "language_model.model.", "language_model.", "model.", "lfm.",
                                           "", NULL };

/* Parts of image and audio checkpoints that are not the backbone's; one may be both. */
static const char *const MEDIA_PARTS[] = { "model.vision_tower.", "vision_tower.", "model.multi_modal_projector.",
                                           "multi_modal_projector.", "conformer.", "audio_adapter.", "ctc_head.",
                                           "audio_embedding.", "depthformer.", "depth_linear.", "depth_embeddings.",
                                           "codebook_offsets", "audio_loss_weight", NULL };

int lfm2__model_new(lfm2_runtime *rt, const lfm2_config *cfg, const lfm2__config_extra *extra, lfm2_model **out)
{
    lfm2_model *m = lfm2__calloc(rt, 1, sizeof(*m));
    if (!m) return LFM2_ERR_NOMEM;
    m->rt = rt;
    m->cfg = *cfg;
    m->extra = *extra;
    m->layers = lfm2__calloc(rt, (size_t)cfg->n_layers, sizeof(*m->layers));
    size_t n_moe = (size_t)(cfg->n_layers - cfg->n_dense_layers), n_experts = n_moe * (size_t)cfg->n_experts;
    if (n_experts > 0) m->experts = lfm2__calloc(rt, n_experts, sizeof(*m->experts));
    if (!m->layers || (n_experts > 0 && !m->experts)) {
        lfm2_model_unload(m);
        return LFM2_ERR_NOMEM;
    }
    for (int32_t l = 0; l < cfg->n_layers; l++) {
        int attn = cfg->layer_kind[l] == LFM2_LAYER_ATTN;
        m->layers[l].kind_index = attn ? m->n_attn++ : m->n_conv++;
        if (l >= cfg->n_dense_layers)
            m->layers[l].experts = m->experts + (size_t)(l - cfg->n_dense_layers) * (size_t)cfg->n_experts;
    }
    *out = m;
    return 0;
}

void lfm2_model_unload(lfm2_model *m)
{
    if (!m) return;
    lfm2__free(m->rt, m->inv_freq);
    lfm2__free(m->rt, m->vectors);
    lfm2__free(m->rt, m->random);
    lfm2__free(m->rt, m->experts);
    lfm2__free(m->rt, m->layers);
    lfm2_weights_close(m->w);
    lfm2__free(m->rt, m);
}

static lfm2__mat slice(const lfm2__mat *stack, int64_t first_row, int64_t n_rows)
{
    lfm2__mat s = *stack;
    s.data = (const char *)stack->data + (size_t)first_row * stack->row_bytes;
    s.n_rows = n_rows;
    return s;
}

static void slice_stacks(lfm2_model *m, lfm2__expert_layout layout)
{
    const int64_t d = m->cfg.d_model, fe = m->cfg.d_ff_expert;
    for (int32_t l = m->cfg.n_dense_layers; l < m->cfg.n_layers; l++) {
        lfm2__layer *layer = &m->layers[l];
        for (int32_t e = 0; e < m->cfg.n_experts; e++) {
            lfm2__expert *x = &layer->experts[e];
            if (layout == LFM2__EXPERTS_FUSED) {
                x->w1 = slice(&layer->stack[0], e * 2 * fe, fe);
                x->w3 = slice(&layer->stack[0], e * 2 * fe + fe, fe);
                x->w2 = slice(&layer->stack[1], e * d, d);
            } else if (layout == LFM2__EXPERTS_STACKED) {
                x->w1 = slice(&layer->stack[0], e * fe, fe);
                x->w3 = slice(&layer->stack[1], e * fe, fe);
                x->w2 = slice(&layer->stack[2], e * d, d);
            }
        }
    }
}

/* Sum up parameters, bytes and elements of vectors. */
static int count_tensor(void *ctx, const lfm2__bind_row *row, int32_t layer, int32_t expert)
{
    lfm2_model *m = ctx;
    (void)layer;
    (void)expert;
    if (!row->dst->data || (row->dst == &m->head && m->cfg.tied_head)) return 0;
    m->n_params += (uint64_t)row->dst->n_rows * (uint64_t)row->dst->n_cols;
    m->n_bytes += (uint64_t)row->dst->n_rows * (uint64_t)row->dst->row_bytes;
    if (row->n_dims == 2) m->dtypes |= 1u << row->dst->dtype;
    return 0;
}

static int make_vectors(lfm2_model *m, lfm2__expert_layout layout)
{
    const lfm2_config *c = &m->cfg;
    const size_t d = (size_t)c->d_model, n_taps = (size_t)c->n_taps;
    lfm2__vec_walk walk = { .k = &m->k };
    int rc = lfm2__model_tensors(m, layout, lfm2__vec_visit, &walk);
    m->vectors = lfm2__calloc(m->rt, walk.n + d * n_taps, sizeof(float)); /* and a transpose in flight */
    m->inv_freq = lfm2__calloc(m->rt, (size_t)c->head_dim / 2, sizeof(float));
    if (!m->vectors || !m->inv_freq) return LFM2_ERR_NOMEM;
    for (int32_t i = 0; i < c->head_dim / 2; i++) m->inv_freq[i] = 1.0f / powf(c->rope_theta, (float)(2 * i) / (float)c->head_dim);
    walk.at = m->vectors;
    if (rc == 0) rc = lfm2__model_tensors(m, layout, lfm2__vec_visit, &walk);
    for (int32_t l = 0; rc == 0 && l < c->n_layers; l++) {
        if (c->layer_kind[l] == LFM2_LAYER_CONV) lfm2__transpose(m->layers[l].taps.data, d, n_taps, walk.at);
    }
    return rc;
}

int lfm2__model_finish(lfm2_model *m, lfm2__expert_layout layout)
{
    lfm2__kernels_init(&m->k, lfm2_runtime_cpu_flags(m->rt));
    if (m->cfg.tied_head) m->head = m->embed;
    int rc = lfm2__model_tensors(m, layout, count_tensor, m);
    slice_stacks(m, layout);
    return rc < 0 ? rc : make_vectors(m, layout);
}

/* How the experts of these weights are named: by any tensor of the fused kind. */
static lfm2__expert_layout expert_layout(const lfm2_model *m)
{
    if (lfm2_weights_container(m->w) == LFM2_CONTAINER_GGUF) return LFM2__EXPERTS_STACKED;
    for (size_t i = 0; i < lfm2_weights_n_tensors(m->w); i++) {
        const char *name = lfm2_weights_tensor(m->w, i)->name;
        if (strstr(name, ".experts.gate_up_proj") || strstr(name, ".experts.down_proj")) return LFM2__EXPERTS_FUSED;
    }
    return LFM2__EXPERTS_SINGLE;
}

static int bind(lfm2_model *m, lfm2__expert_layout layout)
{
    lfm2__binder *b = NULL;
    int rc = lfm2__binder_create(m->w, ST_PREFIXES, &b);
    if (rc < 0) return rc;
    if (m->extra.family != LFM2__FAMILY_TEXT) lfm2__binder_allow(b, MEDIA_PARTS);
    rc = lfm2__model_tensors(m, layout, lfm2__bind_tensor, b);
    if (rc == 0) rc = lfm2__binder_finish(b);
    lfm2__binder_destroy(b);
    return rc;
}

int lfm2_model_load(lfm2_runtime *rt, const char *path, lfm2_model **out)
{
    if (!rt || !path || !out) return LFM2_ERR_ARG;
    lfm2_weights *w = NULL;
    lfm2_model *m = NULL;
    lfm2_config cfg;
    lfm2__config_extra extra;
    lfm2__expert_layout layout;
    int rc = lfm2_weights_open(rt, path, &w);
    if (rc == 0) rc = lfm2__config_of_weights(w, &cfg, &extra);
    if (rc == 0) rc = lfm2__model_new(rt, &cfg, &extra, &m);
    if (rc < 0) goto fail;
    m->w = w;
    w = NULL;
    layout = expert_layout(m);
    rc = bind(m, layout);
    if (rc == 0) rc = lfm2__model_finish(m, layout);
    if (rc == 0) rc = lfm2_weights_check(m->w);
    if (rc < 0) goto fail;
    *out = m;
    return 0;
fail:
    lfm2_weights_close(w);
    lfm2_model_unload(m);
    return rc;
}

const lfm2_config *lfm2_model_config(const lfm2_model *m)
{
    return m ? &m->cfg : NULL;
}

const lfm2_weights *lfm2_model_weights(const lfm2_model *m)
{
    return m ? m->w : NULL;
}

uint64_t lfm2_model_n_params(const lfm2_model *m)
{
    return m ? m->n_params : 0;
}

uint64_t lfm2_model_n_bytes(const lfm2_model *m)
{
    return m ? m->n_bytes : 0;
}

void lfm2_model_kernels(const lfm2_model *m, void (*line)(void *ctx, const char *entry, const char *impl), void *ctx)
{
    if (m && line) lfm2__kernels_report(&m->k, m->dtypes, line, ctx);
}
