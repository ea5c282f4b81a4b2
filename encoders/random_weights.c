/* SPDX-License-Identifier: Apache-2.0
 * Encoders of a given shape with seeded random weights: mean 0, a spread of 1 / sqrt(columns), norms of 1, no biases. */
#include <math.h>
#include <string.h>

#include "base/mathsafe.h"
#include "base/pool.h"
#include "encoders/conformer_impl.h"
#include "encoders/vision_impl.h"

enum { ROWS_PER_TASK = 64 };

static const lfm2__json_limits LIMITS = { .max_bytes = 1 << 20, .max_depth = 32, .max_values = 100000 };

/* First walk: sizes (base NULL). Second walk: places and values. */
typedef struct maker {
    lfm2_runtime *rt;
    lfm2_dtype t;
    int use_st;           /* rows by their names in safetensors, otherwise in GGUF */
    unsigned char *base;
    size_t n_bytes;
    float *rows;          /* one for each worker */
    int64_t max_cols;
    uint64_t seed;
} maker;

typedef struct fill_job {
    maker *m;
    lfm2__mat mat;
    unsigned char *dst;
    uint64_t seed;
} fill_job;

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void fill_rows(void *ctx, int32_t task, int32_t worker)
{
    const fill_job *job = ctx;
    const lfm2__mat *mat = &job->mat;
    const double scale = sqrt(12.0 / (double)mat->n_cols) / 4294967296.0;
    float *row = job->m->rows + (size_t)worker * (size_t)job->m->max_cols;
    int64_t end = ((int64_t)task + 1) * ROWS_PER_TASK;
    if (end > mat->n_rows) end = mat->n_rows;
    for (int64_t r = (int64_t)task * ROWS_PER_TASK; r < end; r++) {
        uint64_t state = job->seed + (uint64_t)r * 0xd1342543de82ef95u;
        for (int64_t i = 0; i < mat->n_cols; i++)
            row[i] = (float)(((double)(next_random(&state) >> 32) - 2147483648.0) * scale);
        unsigned char *dst = job->dst + (size_t)r * mat->row_bytes;
        if (lfm2__quantize_row(mat->dtype, dst, row, (int32_t)mat->n_cols) < 0) memset(dst, 0, mat->row_bytes);
    }
}

static int make_tensor(void *ctx, const lfm2__bind_row *row, int32_t layer, int32_t expert)
{
    maker *m = ctx;
    const char *name = m->use_st ? row->st_name : row->gguf_name;
    lfm2__mat *mat = row->dst;
    (void)layer;
    (void)expert;
    if (!name || (row->flags & LFM2__BIND_UNREAD)) return 0;
    const int is_vector = row->n_dims == 1;
    mat->n_rows = 1;
    for (int32_t i = 0; i + 1 < row->n_dims; i++) mat->n_rows *= row->dims[i];
    mat->n_cols = row->dims[row->n_dims - 1];
    mat->dtype = is_vector || (row->flags & LFM2__BIND_F32) ? LFM2_DTYPE_F32 : m->t;
    if (lfm2_dtype_row_bytes(mat->dtype, mat->n_cols) == 0) mat->dtype = LFM2_DTYPE_F16;
    mat->row_bytes = lfm2_dtype_row_bytes(mat->dtype, mat->n_cols);
    size_t bytes, at = m->n_bytes;
    if (lfm2__mul_size((size_t)mat->n_rows, mat->row_bytes, &bytes) < 0 || lfm2__align_size(bytes, 64, &bytes) < 0 ||
        lfm2__add_size(m->n_bytes, bytes, &m->n_bytes) < 0)
        return lfm2__fail(m->rt, LFM2_ERR_NOMEM, "random encoder: too large for this machine");
    if (mat->n_cols > m->max_cols) m->max_cols = mat->n_cols;
    if (!m->base) return 0;
    if (lfm2__aborted(m->rt)) return LFM2_ERR_ABORTED;
    fill_job job = { .m = m, .mat = *mat, .dst = m->base + at, .seed = next_random(&m->seed) };
    mat->data = job.dst;
    if (is_vector) { /* norms are 1, biases 0 */
        const float v = strstr(name, "weight") ? 1.0f : 0.0f;
        for (int64_t i = 0; i < mat->n_cols; i++) memcpy(job.dst + i * 4, &v, 4);
        return 0;
    }
    lfm2__pool_run(lfm2__runtime_pool(m->rt), fill_rows, &job, (int32_t)((mat->n_rows + ROWS_PER_TASK - 1) / ROWS_PER_TASK));
    return 0;
}

/* Both walks over the tensors of v or a. *weights: the block they lie in. */
static int make_all(maker *m, lfm2_vision *v, lfm2_audio_encoder *a, void **weights)
{
    const size_t n_workers = (size_t)lfm2_runtime_n_threads(m->rt);
    int rc = v ? lfm2__vision_tensors(v, make_tensor, m) : lfm2__audio_tensors(a, make_tensor, m);
    if (rc < 0) return rc;
    m->base = lfm2__alloc(m->rt, m->n_bytes);
    m->rows = lfm2__calloc(m->rt, n_workers * (size_t)m->max_cols, sizeof(float));
    *weights = m->base;
    m->n_bytes = 0;
    rc = m->base && m->rows ? 0 : lfm2__fail(m->rt, LFM2_ERR_NOMEM, "random encoder: no memory for its weights");
    if (rc == 0) rc = v ? lfm2__vision_tensors(v, make_tensor, m) : lfm2__audio_tensors(a, make_tensor, m);
    lfm2__free(m->rt, m->rows);
    return rc;
}

static int check_args(lfm2_runtime *rt, const char *config_path, lfm2_dtype t, int32_t d_model, const void *out)
{
    if (!rt || !config_path || !out) return LFM2_ERR_ARG;
    if (t != LFM2_DTYPE_F32 && t != LFM2_DTYPE_F16 && t != LFM2_DTYPE_BF16 && t != LFM2_DTYPE_Q8_0)
        return lfm2__fail(rt, LFM2_ERR_ARG, "random encoder: the type is none of F32, F16, BF16, Q8_0");
    if (d_model < 1 || d_model > 65536) return lfm2__fail(rt, LFM2_ERR_ARG, "random encoder: a width of %d", (int)d_model);
    return 0;
}

static int shape_of_vision(lfm2_vision *v, const char *path, const lfm2__json *root)
{
    int64_t width = 2560;
    int rc = lfm2__vision_config_from_json(v->rt, path, root, &v->cfg);
    if (rc == 0) rc = lfm2__vision_params_from_json(v->rt, path, root, &v->params);
    if (rc == 0) rc = lfm2__json_field_int(v->rt, path, root, "projector_hidden_size", 1, 65536, &width);
    v->cfg.d_projector = (int32_t)width;
    v->params.patch_px = v->cfg.patch_px;
    v->params.downsample = v->cfg.downsample;
    return rc;
}

int lfm2_vision_create_random(lfm2_runtime *rt, const char *config_path, lfm2_dtype t, uint64_t seed, int32_t d_model,
                              lfm2_vision **out)
{
    lfm2__json_doc *doc = NULL;
    int rc = check_args(rt, config_path, t, d_model, out);
    if (rc == 0) rc = lfm2__json_load(rt, config_path, &LIMITS, &doc);
    if (rc < 0) return rc;
    maker m = { .rt = rt, .t = t, .use_st = 1, .seed = seed };
    lfm2_vision *v = lfm2__calloc(rt, 1, sizeof *v);
    rc = v ? 0 : LFM2_ERR_NOMEM;
    if (rc == 0) {
        v->rt = rt;
        lfm2__kernels_init(&v->k, lfm2_runtime_cpu_flags(rt));
        rc = shape_of_vision(v, config_path, lfm2__json_root(doc));
    }
    if (rc == 0) {
        v->cfg.d_model = d_model;
        v->cfg.has_projector_norm = 1;
        v->layers = lfm2__calloc(rt, (size_t)v->cfg.n_layers, sizeof *v->layers);
        rc = v->layers ? make_all(&m, v, NULL, &v->random) : LFM2_ERR_NOMEM;
    }
    if (rc == 0) rc = lfm2__vision_finish(v);
    lfm2__json_free(doc);
    if (rc < 0) lfm2_vision_unload(v);
    else *out = v;
    return rc;
}

int lfm2_audio_encoder_create_random(lfm2_runtime *rt, const char *config_path, lfm2_dtype t, uint64_t seed, int32_t d_model,
                                     lfm2_audio_encoder **out)
{
    lfm2__json_doc *doc = NULL;
    int rc = check_args(rt, config_path, t, d_model, out);
    if (rc == 0) rc = lfm2__json_load(rt, config_path, &LIMITS, &doc);
    if (rc < 0) return rc;
    maker m = { .rt = rt, .t = t, .seed = seed };
    lfm2_audio_encoder *a = lfm2__calloc(rt, 1, sizeof *a);
    rc = a ? 0 : LFM2_ERR_NOMEM;
    if (rc == 0) {
        a->rt = rt;
        lfm2__kernels_init(&a->k, lfm2_runtime_cpu_flags(rt));
        rc = lfm2__audio_config_from_value(rt, config_path, lfm2__json_root(doc), &a->cfg, &a->alphabet);
    }
    if (rc == 0 && (a->cfg.d_model % 2 != 0 || a->cfg.d_model % a->cfg.n_heads != 0 || a->cfg.n_taps % 2 == 0))
        rc = lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: encoder: width, heads or taps do not go together", config_path);
    if (rc == 0) {
        a->cfg.d_adapter = a->cfg.d_out = d_model;
        a->layers = lfm2__calloc(rt, (size_t)a->cfg.n_layers, sizeof *a->layers);
        rc = a->layers ? make_all(&m, NULL, a, &a->random) : LFM2_ERR_NOMEM;
    }
    if (rc == 0) rc = lfm2__audio_make_vectors(a);
    lfm2__json_free(doc);
    if (rc < 0) lfm2_audio_encoder_unload(a);
    else *out = a;
    return rc;
}
