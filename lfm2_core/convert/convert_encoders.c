/* SPDX-License-Identifier: Apache-2.0
 * The encoders of a checkpoint to one GGUF file beside the language model's. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "convert/convert_impl.h"
#include "encoders/conformer_impl.h"
#include "encoders/vision_impl.h"

/* What a walk over all tensors does. */
typedef enum walk_mode { COUNT, ANNOUNCE, WRITE } walk_mode;

typedef struct plan {
    lfm2_runtime *rt;
    lfm2_weights *w;       /* the source, for its keys; the encoders have opened it themselves */
    lfm2_vision *vision;   /* NULL: it has none */
    lfm2_audio_encoder *audio;
    lfm2_dtype t;
    walk_mode mode;
    lfm2__row_job job;
    size_t max_row_bytes;
    uint64_t n_params;
    float *made;           /* a tensor that the source has in another form */
    size_t cap_made;       /* elements */
} plan;

/* One tensor of the file. */
typedef struct entry {
    char name[64];
    lfm2_dtype t;
    int32_t n_dims;
    int64_t dims[4];
    lfm2__mat src;
} entry;

static int starts_with(const char *s, const char *with)
{
    return strncmp(s, with, strlen(with)) == 0;
}

/* As llama.cpp's converter has it: vectors, tables and all convolutions in F32, and what does not fit into blocks in F16. */
static lfm2_dtype type_of(const plan *p, const lfm2__bind_row *row, const char *name)
{
    if (row->n_dims == 1 || (row->flags & LFM2__BIND_F32)) return LFM2_DTYPE_F32;
    if (starts_with(name, "a.conv1d.") || strstr(name, ".conv_pw") != NULL) return LFM2_DTYPE_F32;
    return lfm2_dtype_row_bytes(p->t, row->dims[row->n_dims - 1]) > 0 ? p->t : LFM2_DTYPE_F16;
}

/* Dims in the file: no ones within taps, ones behind what convolutions of the subsampling have. */
static void set_dims(entry *e, const lfm2__bind_row *row)
{
    const int is_taps = strstr(e->name, ".conv_dw.weight") != NULL, is_conv = starts_with(e->name, "a.conv1d.");
    const int32_t n_dims = !is_conv ? 0 : row->n_dims == 1 ? 3 : 4;
    for (int32_t i = 0; i < row->n_dims; i++) {
        if (!is_taps || row->dims[i] != 1 || i != 1) e->dims[e->n_dims++] = row->dims[i];
    }
    while (e->n_dims < n_dims) e->dims[e->n_dims++] = 1;
}

static int64_t n_elems(const entry *e)
{
    int64_t n = 1;
    for (int32_t i = 0; i < e->n_dims; i++) n *= e->dims[i];
    return n;
}

static int put_entry(plan *p, const entry *e)
{
    const size_t row_bytes = lfm2_dtype_row_bytes(e->t, e->src.n_cols);
    switch (p->mode) {
    case COUNT:
        p->n_params += (uint64_t)n_elems(e);
        p->job.total_bytes += (uint64_t)e->src.n_rows * e->src.row_bytes;
        if (e->src.n_cols > p->job.max_cols) p->job.max_cols = (int32_t)e->src.n_cols;
        if (row_bytes > p->max_row_bytes) p->max_row_bytes = row_bytes;
        return 0;
    case ANNOUNCE:
        if (e->t == LFM2_DTYPE_F16 && p->t != LFM2_DTYPE_F16)
            lfm2__log(p->rt, LFM2_LOG_WARN, "%s: rows of %lld do not fit blocks of %s: written as F16", e->name,
                      (long long)e->src.n_cols, lfm2_dtype_name(p->t));
        return lfm2__gguf_put_tensor(p->job.g, e->name, e->t, e->n_dims, e->dims);
    case WRITE: break;
    }
    int rc = lfm2__convert_rows(&p->job, e->name, &e->src, e->t);
    if (rc == 0) rc = lfm2__gguf_end_tensor(p->job.g);
    /* what a file cut short had in place of its data must not pass for weights */
    return rc < 0 ? rc : lfm2_weights_check(p->w);
}

/* A tensor that is made here: room for n values, of which `n_cols` make a row. NULL while nothing is written. */
static float *make(plan *p, entry *e, int64_t n_rows, int64_t n_cols)
{
    e->src = (lfm2__mat){.data = p->made, .dtype = LFM2_DTYPE_F32, .n_rows = n_rows, .n_cols = n_cols,
                         .row_bytes = (size_t)n_cols * sizeof(float)};
    if (p->mode == COUNT && (size_t)(n_rows * n_cols) > p->cap_made) p->cap_made = (size_t)(n_rows * n_cols);
    return p->mode == WRITE ? p->made : NULL;
}

/* dy, dx, c -> c, dy, dx */
static void make_patch(plan *p, entry *e)
{
    const lfm2_vision *v = p->vision;
    const size_t area = (size_t)v->cfg.patch_px * (size_t)v->cfg.patch_px;
    float *out = make(p, e, v->cfg.d_vision, 3 * (int64_t)area);
    for (int32_t r = 0; out && r < v->cfg.d_vision; r++) {
        for (size_t i = 0; i < 3 * area; i++) *out++ = v->patch_w[(size_t)r * 3 * area + i % area * 3 + i / area];
    }
}

/* The batch norm of a layer with its statistics multiplied in. */
static void make_batch_norm(plan *p, entry *e, const lfm2__conformer_layer *l, int is_bias)
{
    float *out = make(p, e, 1, p->audio->cfg.d_model);
    for (int32_t c = 0; out && c < p->audio->cfg.d_model; c++) {
        const double scale = (double)l->bn_weight.data[c] / sqrt((double)l->bn_var.data[c] + (double)LFM2__AUDIO_EPS);
        out[c] = (float)(is_bias ? (double)l->bn_bias.data[c] - (double)l->bn_mean.data[c] * scale : scale);
    }
}

static int visit_vision(void *ctx, const lfm2__bind_row *row, int32_t layer, int32_t expert)
{
    plan *p = ctx;
    entry e = {.n_dims = 0};
    (void)expert;
    if (row->gguf_name == NULL) return 0;
    (void)snprintf(e.name, sizeof e.name, row->gguf_name, (int)layer);
    e.src = *row->dst;
    e.t = type_of(p, row, e.name);
    set_dims(&e, row);
    if (row->dst == &p->vision->patch_gguf.src) make_patch(p, &e);
    else if (row->dst->data == NULL) return 0; /* the norm of a projector that has none */
    return put_entry(p, &e);
}

static int visit_audio(void *ctx, const lfm2__bind_row *row, int32_t layer, int32_t expert)
{
    plan *p = ctx;
    entry e = {.n_dims = 0};
    (void)expert;
    if (row->gguf_name == NULL || (row->flags & LFM2__BIND_UNREAD)) return 0;
    (void)snprintf(e.name, sizeof e.name, row->gguf_name, (int)layer);
    e.src = *row->dst;
    e.t = type_of(p, row, e.name);
    set_dims(&e, row);
    const lfm2__conformer_layer *l = layer >= 0 ? &p->audio->layers[layer] : NULL;
    const int is_bias = l != NULL && row->dst == &l->bn_bias.src;
    if (l != NULL && l->bn_var.data != NULL && (is_bias || row->dst == &l->bn_weight.src)) make_batch_norm(p, &e, l, is_bias);
    return put_entry(p, &e);
}

static int walk(plan *p, walk_mode mode)
{
    int rc = 0;
    p->mode = mode;
    if (p->vision) rc = lfm2__vision_tensors(p->vision, visit_vision, p);
    if (rc == 0 && p->audio) rc = lfm2__audio_tensors(p->audio, visit_audio, p);
    return rc;
}

/* ---- keys ---- */

static void put_setting(void *g, const char *key, int is_bool, int32_t value)
{
    if (is_bool) lfm2__gguf_put_bool(g, key, value);
    else lfm2__gguf_put_u32(g, key, (uint32_t)value);
}

static void put_text(lfm2__gguf_writer *g, const char *key, const char *text)
{
    lfm2__gguf_put_str(g, key, text, strlen(text));
}

static void put_vision(const lfm2_vision *v, lfm2__gguf_writer *g)
{
    const lfm2_vision_config *c = &v->cfg;
    lfm2__gguf_put_u32(g, "clip.vision.projection_dim", (uint32_t)c->d_model);
    lfm2__gguf_put_u32(g, "clip.vision.image_size", (uint32_t)(c->table_side * c->patch_px));
    lfm2__gguf_put_u32(g, "clip.vision.patch_size", (uint32_t)c->patch_px);
    lfm2__gguf_put_u32(g, "clip.vision.embedding_length", (uint32_t)c->d_vision);
    lfm2__gguf_put_u32(g, "clip.vision.feed_forward_length", (uint32_t)c->d_ff);
    lfm2__gguf_put_u32(g, "clip.vision.block_count", (uint32_t)c->n_layers);
    lfm2__gguf_put_u32(g, "clip.vision.attention.head_count", (uint32_t)c->n_heads);
    lfm2__gguf_put_f32_array(g, "clip.vision.image_mean", v->params.mean, 3);
    lfm2__gguf_put_f32_array(g, "clip.vision.image_std", v->params.std, 3);
    lfm2__gguf_put_f32(g, "clip.vision.attention.layer_norm_epsilon", c->norm_eps);
    lfm2__gguf_put_u32(g, "clip.vision.projector.scale_factor", (uint32_t)c->downsample);
    lfm2__gguf_put_bool(g, "clip.use_gelu", 1);
    lfm2__vision_settings(&v->params, put_setting, g);
    lfm2__gguf_put_f32(g, "lfm2.vision.max_pixels_tolerance", (float)v->params.max_pixels_tolerance);
}

static int put_ctc(const lfm2_audio_encoder *a, lfm2__gguf_writer *g)
{
    lfm2__str text;
    char bytes[4];
    lfm2__str_init(&text, a->rt);
    for (int32_t i = 1; i < a->cfg.n_ctc_classes; i++) lfm2__str_put(&text, bytes, lfm2__utf8_encode(a->alphabet[i], bytes));
    if (text.status == 0) lfm2__gguf_put_str(g, "lfm2.audio.ctc.alphabet", text.data, text.n);
    lfm2__gguf_put_u32(g, "lfm2.audio.ctc.upsample", (uint32_t)a->cfg.ctc_upsample);
    const int rc = text.status;
    lfm2__str_fini(&text);
    return rc;
}

static int put_audio(const lfm2_audio_encoder *a, lfm2__gguf_writer *g)
{
    const lfm2_audio_config *c = &a->cfg;
    lfm2__gguf_put_u32(g, "clip.audio.projection_dim", (uint32_t)c->d_out);
    lfm2__gguf_put_u32(g, "clip.audio.embedding_length", (uint32_t)c->d_model);
    /* The same number, as in all such files: readers take the width from the tensors. */
    lfm2__gguf_put_u32(g, "clip.audio.feed_forward_length", (uint32_t)c->d_model);
    lfm2__gguf_put_u32(g, "clip.audio.block_count", (uint32_t)c->n_layers);
    lfm2__gguf_put_u32(g, "clip.audio.attention.head_count", (uint32_t)c->n_heads);
    lfm2__gguf_put_u32(g, "clip.audio.num_mel_bins", (uint32_t)c->n_mels);
    lfm2__gguf_put_f32(g, "clip.audio.attention.layer_norm_epsilon", LFM2__AUDIO_EPS);
    return c->n_ctc_classes > 0 ? put_ctc(a, g) : 0;
}

static int put_keys(plan *p, const char *in_path)
{
    lfm2__gguf_writer *g = p->job.g;
    if (lfm2_weights_container(p->w) == LFM2_CONTAINER_GGUF) {
        lfm2__convert_copy_meta(p->w, p->t, g);
        return 0;
    }
    const int both = p->vision != NULL && p->audio != NULL;
    put_text(g, "general.architecture", "clip");
    put_text(g, "general.type", "mmproj");
    lfm2__convert_put_name(g, in_path);
    lfm2__convert_put_size_label(g, p->n_params);
    lfm2__convert_put_format(g, p->t);
    if (p->vision) lfm2__gguf_put_bool(g, "clip.has_vision_encoder", 1);
    if (p->audio) lfm2__gguf_put_bool(g, "clip.has_audio_encoder", 1);
    if (p->vision) put_text(g, both ? "clip.vision.projector_type" : "clip.projector_type", "lfm2");
    if (p->audio) put_text(g, both ? "clip.audio.projector_type" : "clip.projector_type", "lfm2a");
    if (p->vision) put_vision(p->vision, g);
    const int rc = p->audio ? put_audio(p->audio, g) : 0;
    return rc == 0 ? lfm2__convert_put_confidence(p->w, g) : rc;
}

/* ---- the file ---- */

static int write_file(plan *p, const char *in_path, const char *out_path)
{
    int rc = walk(p, COUNT);
    if (rc == 0) rc = lfm2__convert_buffers(&p->job, p->max_row_bytes);
    if (rc < 0) return rc;
    p->made = lfm2__calloc(p->rt, p->cap_made + 1, sizeof(float));
    if (p->made == NULL) return lfm2__fail(p->rt, LFM2_ERR_NOMEM, "convert: no memory for a tensor");
    rc = lfm2__gguf_write_create(p->rt, out_path, &p->job.g);
    if (rc == 0) rc = put_keys(p, in_path);
    if (rc == 0) rc = walk(p, ANNOUNCE);
    if (rc == 0) rc = walk(p, WRITE);
    return rc == 0 ? lfm2__gguf_write_finish(p->job.g) : rc;
}

int lfm2_convert_encoders(lfm2_runtime *rt, const char *in_path, const char *out_path, lfm2_dtype t, lfm2_progress_fn *progress,
                          void *ctx)
{
    if (!rt || !in_path || !out_path) return LFM2_ERR_ARG;
    if (!lfm2__convert_has_writer(t))
        return lfm2__fail(rt, LFM2_ERR_ARG, "convert: type: there is no writer for %s", lfm2_dtype_name(t));
    const int is_plain = t == LFM2_DTYPE_F32 || t == LFM2_DTYPE_F16 || t == LFM2_DTYPE_BF16;
    plan p = {.rt = rt, .t = is_plain ? t : LFM2_DTYPE_Q8_0};
    p.job.rt = rt;
    p.job.progress = progress;
    p.job.progress_ctx = ctx;
    int rc = lfm2_weights_open(rt, in_path, &p.w);
    const unsigned has = rc == 0 ? lfm2_encoders_of(p.w) : 0;
    if (rc == 0 && has == 0) rc = lfm2__fail(rt, LFM2_ERR_UNSUPPORTED, "%s: there is no encoder in it", in_path);
    if (rc == 0 && (has & LFM2_ENCODER_VISION)) rc = lfm2_vision_load(rt, in_path, &p.vision);
    if (rc == 0 && (has & LFM2_ENCODER_AUDIO)) rc = lfm2_audio_encoder_load(rt, in_path, &p.audio);
    p.job.k = p.vision ? &p.vision->k : p.audio ? &p.audio->k : NULL;
    if (rc == 0) rc = write_file(&p, in_path, out_path);
    lfm2__gguf_write_destroy(p.job.g);
    lfm2__free(rt, p.made);
    lfm2__convert_drop_buffers(&p.job);
    lfm2_audio_encoder_unload(p.audio);
    lfm2_vision_unload(p.vision);
    lfm2_weights_close(p.w);
    return rc;
}
