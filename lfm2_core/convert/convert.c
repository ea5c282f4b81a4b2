/* SPDX-License-Identifier: Apache-2.0
 * From a checkpoint in any container to one GGUF file. */
#include "lfm2/convert.h"

#include <stdio.h>
#include <string.h>

#include "convert/convert_impl.h"

typedef struct plan {
    lfm2_model *m;
    lfm2_dtype t, embed_t;
    lfm2__row_job job;
    int announcing; /* 1: tell the writer names and shapes; 0: write the data */
    size_t max_row_bytes;
} plan;

int lfm2__convert_has_writer(lfm2_dtype t)
{
    switch (t) {
    case LFM2_DTYPE_F32:
    case LFM2_DTYPE_F16:
    case LFM2_DTYPE_BF16:
    case LFM2_DTYPE_Q8_0:
    case LFM2_DTYPE_Q4_0:
    case LFM2_DTYPE_Q4_K:
    case LFM2_DTYPE_Q6_K: return 1;
    default: return 0;
    }
}

/* Dims without the ones of a convolution [d, 1, K]. */
static int32_t file_dims(const lfm2__bind_row *row, int64_t *dims)
{
    int32_t n = 0;
    for (int32_t i = 0; i < row->n_dims; i++) {
        if ((row->flags & LFM2__BIND_F32) && i == 1 && row->dims[i] == 1) continue;
        dims[n++] = row->dims[i];
    }
    return n;
}

/* Type asked for: vectors, taps and routers are F32 whatever the rest is. */
static lfm2_dtype asked_type(const plan *p, const lfm2__bind_row *row, int32_t layer)
{
    if (row->n_dims == 1 || (row->flags & LFM2__BIND_F32)) return LFM2_DTYPE_F32;
    if (layer >= 0 && row->dst == &p->m->layers[layer].router) return LFM2_DTYPE_F32;
    return row->dst == &p->m->embed || row->dst == &p->m->head ? p->embed_t : p->t;
}

static int announce(plan *p, const char *name, const lfm2__bind_row *row, lfm2_dtype asked, lfm2_dtype t)
{
    int64_t dims[4];
    int32_t n_dims = file_dims(row, dims);
    int64_t n_cols = dims[n_dims - 1];
    size_t row_bytes = lfm2_dtype_row_bytes(t, n_cols);

    if (t != asked) {
        lfm2__log(p->m->rt, LFM2_LOG_WARN, "%s: rows of %lld do not fit blocks of %s: written as F16", name, (long long)n_cols,
                  lfm2_dtype_name(asked));
    }
    if (n_cols > p->job.max_cols) p->job.max_cols = (int32_t)n_cols;
    if (row_bytes > p->max_row_bytes) p->max_row_bytes = row_bytes;
    return lfm2__gguf_put_tensor(p->job.g, name, t, n_dims, dims);
}

static int write_zeros(plan *p, const lfm2__bind_row *row)
{
    static const float zeros[LFM2__MAX_EXPERTS];
    return lfm2__gguf_write_data(p->job.g, zeros, (size_t)row->dims[0] * sizeof(float));
}

/* The data of one tensor of the file: one of ours, or the experts of a layer one after the other. */
static int write_tensor(plan *p, const char *name, const lfm2__bind_row *row, int32_t layer, lfm2_dtype t)
{
    int rc = 0;

    if (row->n_dims == 3 && !(row->flags & LFM2__BIND_F32)) {
        const lfm2__layer *l = &p->m->layers[layer];
        for (int32_t e = 0; rc == 0 && e < p->m->cfg.n_experts; e++) {
            const lfm2__expert *x = &l->experts[e];
            const lfm2__mat *src = row->dst == &l->stack[0] ? &x->w1 : row->dst == &l->stack[1] ? &x->w3 : &x->w2;
            rc = lfm2__convert_rows(&p->job, name, src, t);
        }
    } else if (row->dst->data) {
        rc = lfm2__convert_rows(&p->job, name, row->dst, t);
    } else {
        rc = write_zeros(p, row); /* a selection bias that the source does not have, but the format must */
    }
    if (rc == 0) rc = lfm2__gguf_end_tensor(p->job.g);
    /* what a file cut short had in place of its data must not pass for weights */
    return rc < 0 ? rc : lfm2_weights_check(p->m->w);
}

static int visit(void *ctx, const lfm2__bind_row *row, int32_t layer, int32_t expert)
{
    plan *p = ctx;
    char name[64];
    lfm2_dtype asked, t;

    (void)expert;
    if (row->dst == &p->m->head && p->m->cfg.tied_head) return 0;
    asked = asked_type(p, row, layer);
    t = lfm2_dtype_row_bytes(asked, row->dims[row->n_dims - 1]) ? asked : LFM2_DTYPE_F16;
    snprintf(name, sizeof name, row->gguf_name, (int)layer);
    return p->announcing ? announce(p, name, row, asked, t) : write_tensor(p, name, row, layer, t);
}

static int write_all(plan *p)
{

    p->announcing = 1;
    int rc = lfm2__model_tensors(p->m, LFM2__EXPERTS_STACKED, visit, p);
    if (rc == 0) rc = lfm2__convert_buffers(&p->job, p->max_row_bytes);
    if (rc < 0) return rc;
    p->announcing = 0;
    rc = lfm2__model_tensors(p->m, LFM2__EXPERTS_STACKED, visit, p);
    return rc < 0 ? rc : lfm2__gguf_write_finish(p->job.g);
}

static lfm2_dtype default_embed_type(lfm2_dtype t)
{
    return t == LFM2_DTYPE_Q4_0 || t == LFM2_DTYPE_Q4_K ? LFM2_DTYPE_Q6_K : t;
}

int lfm2_convert(lfm2_runtime *rt, const char *in_path, const char *out_path, lfm2_dtype t, lfm2_dtype embed_t,
                 lfm2_progress_fn *progress, void *ctx)
{
    plan p;
    int rc;

    if (!rt || !in_path || !out_path) return LFM2_ERR_ARG;
    if (embed_t == LFM2_DTYPE_COUNT) embed_t = default_embed_type(t);
    if (!lfm2__convert_has_writer(t)) {
        return lfm2__fail(rt, LFM2_ERR_ARG, "convert: type: there is no writer for %s", lfm2_dtype_name(t));
    }
    if (!lfm2__convert_has_writer(embed_t)) {
        return lfm2__fail(rt, LFM2_ERR_ARG, "convert: embedding type: there is no writer for %s", lfm2_dtype_name(embed_t));
    }
    memset(&p, 0, sizeof p);
    p.t = t;
    p.embed_t = embed_t;
    rc = lfm2_model_load(rt, in_path, &p.m);
    if (rc < 0) return rc;
    p.m->extra.expert_bias = 1; /* GGUF models have one */
    p.job.rt = rt;
    p.job.k = &p.m->k;
    p.job.progress = progress;
    p.job.progress_ctx = ctx;
    p.job.total_bytes = lfm2_model_n_bytes(p.m);
    rc = lfm2__gguf_write_create(rt, out_path, &p.job.g);
    if (rc == 0) rc = lfm2__convert_meta(p.m, in_path, t, p.job.g);
    if (rc == 0) rc = write_all(&p);
    lfm2__gguf_write_destroy(p.job.g);
    lfm2__convert_drop_buffers(&p.job);
    lfm2_model_unload(p.m);
    return rc;
}
