/* SPDX-License-Identifier: Apache-2.0
 * Models of a given shape with seeded random weights, written in the block format itself: nothing is quantised, so that a shape of
 * many gigabytes is ready in seconds. Values of a matrix have mean 0 and a spread of 1 / sqrt(columns), which keeps activations
 * sane. */
#include <math.h>
#include <string.h>

#include "base/mathsafe.h"
#include "model/model_impl.h"

/* One matrix: what is not random in a block. */
typedef struct filler {
    uint16_t head[2];            /* F16 scale, and minimum where the type has one */
    unsigned char table[256][4]; /* scalar types: 256 values, chosen by a random byte */
} filler;

typedef struct fill_job {
    const filler *f;
    lfm2__mat mat;
    unsigned char *dst;
    uint64_t seed;
} fill_job;

enum { ROWS_PER_TASK = 64 };

/* splitmix64: the i-th number of a stream. */
static uint64_t random_at(uint64_t seed, uint64_t i)
{
    uint64_t z = seed + (i + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void random_bytes(unsigned char *dst, size_t n, uint64_t seed)
{
    uint64_t i = 0, v;
    for (; n >= 8; n -= 8, dst += 8) {
        v = random_at(seed, i++);
        memcpy(dst, &v, 8);
    }
    v = random_at(seed, i);
    memcpy(dst, &v, n);
}

/* Spread of the quanta of a type, by which the block scale is divided. */
static double quantum_spread(lfm2_dtype t)
{
    switch (t) {
    case LFM2_DTYPE_Q8_0: return 256 / sqrt(12.0);
    case LFM2_DTYPE_Q4_0:
    case LFM2_DTYPE_Q4_1: return 16 / sqrt(12.0);
    case LFM2_DTYPE_Q4_K: return 5 * 16 / sqrt(12.0); /* sub-block scales are 5 */
    case LFM2_DTYPE_Q5_0:
    case LFM2_DTYPE_Q5_1: return 32 / sqrt(12.0);
    case LFM2_DTYPE_Q5_K: return 5 * 32 / sqrt(12.0);
    case LFM2_DTYPE_Q6_K: return 16 * 64 / sqrt(12.0); /* sub-block scales are 16 */
    case LFM2_DTYPE_IQ4_NL: return 70;
    default: return 1;
    }
}

static void filler_init(filler *f, lfm2_dtype t, double spread)
{
    memset(f, 0, sizeof(*f));
    f->head[0] = lfm2__f32_to_f16((float)(spread / quantum_spread(t)));
    float d = lfm2__f16_to_f32(f->head[0]);
    if (t == LFM2_DTYPE_Q4_1) f->head[1] = lfm2__f32_to_f16(-7.5f * d);
    if (t == LFM2_DTYPE_Q5_1) f->head[1] = lfm2__f32_to_f16(-15.5f * d);
    if (t == LFM2_DTYPE_Q4_K) f->head[1] = lfm2__f32_to_f16(7.5f * d);
    if (t == LFM2_DTYPE_Q5_K) f->head[1] = lfm2__f32_to_f16(15.5f * d);
    for (int i = 0; i < 256; i++) {
        float v = (float)(spread * sqrt(12.0) * (i - 127.5) / 256);
        uint16_t h = t == LFM2_DTYPE_F16 ? lfm2__f32_to_f16(v) : lfm2__f32_to_bf16(v);
        if (t == LFM2_DTYPE_F32)
            memcpy(f->table[i], &v, 4);
        else
            memcpy(f->table[i], &h, 2);
    }
}

/* Put the scales over the random bytes of a block. Half of the blocks get negative ones: the quanta of most types have not quite
 * the mean 0, and a bias that all elements share would add up from layer to layer. */
static void set_scales(const filler *f, lfm2_dtype t, unsigned char *block)
{
    static const unsigned char sub_scales[12] = { 5, 5, 5, 5, 5, 5, 5, 5, 0x55, 0x55, 0x55, 0x55 };
    int k_quant = t == LFM2_DTYPE_Q4_K || t == LFM2_DTYPE_Q5_K;
    int n_words = k_quant || t == LFM2_DTYPE_Q4_1 || t == LFM2_DTYPE_Q5_1 ? 2 : 1;
    unsigned char *words = block;
    if (k_quant) memcpy(block + 4, sub_scales, sizeof(sub_scales));
    if (t == LFM2_DTYPE_Q6_K) {
        memset(block + 192, 16, 16);
        words = block + 208;
    }
    unsigned sign = words[1] & 0x80u;
    for (int i = 0; i < n_words; i++) {
        words[2 * i] = (unsigned char)(f->head[i] & 0xffu);
        words[2 * i + 1] = (unsigned char)((unsigned)(f->head[i] >> 8) ^ sign);
    }
}

static void fill_scalars(const filler *f, unsigned char *dst, int64_t n, size_t elem_bytes, uint64_t seed)
{
    unsigned char bytes[256];
    for (int64_t i = 0; i < n; i += 256) {
        size_t part = n - i < 256 ? (size_t)(n - i) : 256;
        random_bytes(bytes, part, random_at(seed, (uint64_t)i));
        for (size_t j = 0; j < part; j++, dst += elem_bytes) memcpy(dst, f->table[bytes[j]], elem_bytes);
    }
}

static void fill_rows(void *ctx, int32_t task, int32_t worker)
{
    const fill_job *job = ctx;
    const lfm2__mat *mat = &job->mat;
    const size_t block = (size_t)lfm2_dtype_block_bytes(mat->dtype);
    int64_t end = ((int64_t)task + 1) * ROWS_PER_TASK;
    if (end > mat->n_rows) end = mat->n_rows;
    (void)worker;
    for (int64_t r = (int64_t)task * ROWS_PER_TASK; r < end; r++) {
        unsigned char *row = job->dst + (size_t)r * mat->row_bytes;
        uint64_t seed = random_at(job->seed, (uint64_t)r);
        if (lfm2_dtype_block_elems(mat->dtype) == 1) {
            fill_scalars(job->f, row, mat->n_cols, block, seed);
            continue;
        }
        random_bytes(row, mat->row_bytes, seed);
        for (size_t at = 0; at < mat->row_bytes; at += block) set_scales(job->f, mat->dtype, row + at);
    }
}

/* First walk: types, row sizes and the sum of bytes. Second walk: places and values. */
typedef struct random_walk {
    lfm2_model *m;
    lfm2_dtype t;
    uint64_t seed;
    const char *label;
    size_t n_bytes;
    size_t at;
    uint64_t index;
} random_walk;

static int measure(void *ctx, const lfm2__bind_row *row, int32_t layer, int32_t expert)
{
    random_walk *w = ctx;
    lfm2__mat *mat = row->dst;
    (void)layer;
    (void)expert;
    if (row->flags & LFM2__BIND_OPTIONAL) return 0;
    mat->dtype = row->flags & LFM2__BIND_F32 ? LFM2_DTYPE_F32 : w->t;
    mat->n_rows = 1;
    for (int32_t i = 0; i + 1 < row->n_dims; i++) mat->n_rows *= row->dims[i];
    mat->n_cols = row->dims[row->n_dims - 1];
    mat->row_bytes = lfm2_dtype_row_bytes(mat->dtype, mat->n_cols);
    if (mat->row_bytes == 0)
        return lfm2__fail(w->m->rt, LFM2_ERR_RANGE, "%s: a width of %lld is no multiple of a block of %s", w->label,
                          (long long)mat->n_cols, lfm2_dtype_name(mat->dtype));
    size_t bytes;
    if (lfm2__mul_size((size_t)mat->n_rows, mat->row_bytes, &bytes) < 0 || lfm2__align_size(bytes, 64, &bytes) < 0 ||
        lfm2__add_size(w->n_bytes, bytes, &w->n_bytes) < 0)
        return lfm2__fail(w->m->rt, LFM2_ERR_NOMEM, "%s: the model is too large for this machine", w->label);
    return 0;
}

static int fill(void *ctx, const lfm2__bind_row *row, int32_t layer, int32_t expert)
{
    random_walk *w = ctx;
    lfm2__mat *mat = row->dst;
    (void)expert;
    if (row->flags & LFM2__BIND_OPTIONAL) return 0;
    if (lfm2__aborted(w->m->rt)) return LFM2_ERR_ABORTED;
    fill_job job = { .mat = *mat, .dst = w->m->random + w->at, .seed = random_at(w->seed, w->index++) };
    filler f;
    mat->data = job.dst;
    w->at += ((size_t)mat->n_rows * mat->row_bytes + 63) & ~(size_t)63;
    if (row->n_dims == 1) { /* norms are 1, selection biases 0 */
        int bias = layer >= w->m->cfg.n_dense_layers && mat == &w->m->layers[layer].expert_bias.src;
        const float v = bias ? 0.0f : 1.0f;
        for (int64_t i = 0; i < mat->n_cols; i++) memcpy(job.dst + i * 4, &v, 4);
        return 0;
    }
    filler_init(&f, mat->dtype, 1 / sqrt((double)mat->n_cols));
    job.f = &f;
    lfm2__pool_run(lfm2__runtime_pool(w->m->rt), fill_rows, &job, (int32_t)((mat->n_rows + ROWS_PER_TASK - 1) / ROWS_PER_TASK));
    return 0;
}

int lfm2_model_create_random(lfm2_runtime *rt, const char *config_path, lfm2_dtype t, uint64_t seed, lfm2_model **out)
{
    if (!rt || !config_path || !out) return LFM2_ERR_ARG;
    if ((int)t < 0 || t >= LFM2_DTYPE_N_COMPUTE) return lfm2__fail(rt, LFM2_ERR_ARG, "random model: no type to compute with");
    lfm2_config cfg;
    lfm2__config_extra extra;
    lfm2_model *m = NULL;
    int rc = lfm2__config_from_json(rt, config_path, &cfg, &extra);
    if (rc == 0) rc = lfm2__model_new(rt, &cfg, &extra, &m);
    if (rc < 0) return rc;
    random_walk w = { .m = m, .t = t, .seed = seed, .label = config_path };
    rc = lfm2__model_tensors(m, LFM2__EXPERTS_SINGLE, measure, &w);
    if (rc < 0) goto fail;
    m->random = lfm2__alloc(rt, w.n_bytes);
    if (!m->random) {
        rc = lfm2__fail(rt, LFM2_ERR_NOMEM, "%s: no %zu bytes for random weights", config_path, w.n_bytes);
        goto fail;
    }
    rc = lfm2__model_tensors(m, LFM2__EXPERTS_SINGLE, fill, &w);
    if (rc == 0) rc = lfm2__model_finish(m, LFM2__EXPERTS_SINGLE);
    if (rc < 0) goto fail;
    *out = m;
    return 0;
fail:
    lfm2_model_unload(m);
    return rc;
}
