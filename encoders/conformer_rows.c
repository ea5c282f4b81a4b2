/* SPDX-License-Identifier: Apache-2.0
 * Audio encoder: linear layers, norms and sums, which know no segments. */
#include "encoders/conformer_impl.h"

enum { ROWS_PER_TASK = 8 };

typedef struct act_job {
    const lfm2_audio_encoder *enc;
    float *y;
    const float *bias;
    int32_t n_tok, n_rows;
    lfm2__activation act;
} act_job;

static void activate(const lfm2__kernels *k, float *y, int32_t n, lfm2__activation act)
{
    switch (act) {
    case LFM2__ACT_NONE: break;
    case LFM2__ACT_RELU:
        for (int32_t i = 0; i < n; i++) y[i] = y[i] < 0 ? 0 : y[i]; /* what is no number stays so, and is found at the end */
        break;
    case LFM2__ACT_SILU: k->silu(y, y, n); break;
    case LFM2__ACT_GELU: k->gelu_erf(y, y, n); break;
    }
}

static void activate_rows(void *ctx, int32_t task, int32_t worker)
{
    const act_job *job = ctx;
    int32_t end = (task + 1) * ROWS_PER_TASK;
    if (end > job->n_tok) end = job->n_tok;
    (void)worker;
    for (int32_t t = task * ROWS_PER_TASK; t < end; t++) {
        float *y = job->y + (size_t)t * (size_t)job->n_rows;
        if (job->bias) job->enc->k.add(y, job->bias, job->n_rows);
        activate(&job->enc->k, y, job->n_rows, job->act);
    }
}

int lfm2__audio_linear(const lfm2_audio_encoder *enc, float *y, const float *x, int32_t n_tok, const lfm2__linear *w,
                       lfm2__activation act)
{
    act_job job = { .enc = enc, .y = y, .bias = w->bias.data, .n_tok = n_tok, .n_rows = (int32_t)w->w.n_rows, .act = act };
    int rc = lfm2__matmul_pieces(&enc->k, enc->rt, y, x, n_tok, &w->w);
    if (rc == 0 && (job.bias || act != LFM2__ACT_NONE))
        lfm2__pool_run(lfm2__runtime_pool(enc->rt), activate_rows, &job, (n_tok + ROWS_PER_TASK - 1) / ROWS_PER_TASK);
    return rc;
}

typedef struct rows_job {
    const lfm2_audio_encoder *enc;
    float *y;
    const float *x;
    const lfm2__layer_norm *norm;
    float scale;
    int32_t n_tok;
} rows_job;

static void each_row(void *ctx, int32_t task, int32_t worker)
{
    const rows_job *job = ctx;
    const int32_t d = job->enc->cfg.d_model;
    int32_t end = (task + 1) * ROWS_PER_TASK;
    if (end > job->n_tok) end = job->n_tok;
    (void)worker;
    for (int32_t t = task * ROWS_PER_TASK; t < end; t++) {
        const size_t at = (size_t)t * (size_t)d;
        if (job->norm)
            job->enc->k.layer_norm(job->y + at, job->x + at, job->norm->weight.data, job->norm->bias.data, d, LFM2__AUDIO_EPS);
        else
            job->enc->k.axpy(job->y + at, job->scale, job->x + at, d);
    }
}

static void run_rows(rows_job *job)
{
    lfm2__pool_run(lfm2__runtime_pool(job->enc->rt), each_row, job, (job->n_tok + ROWS_PER_TASK - 1) / ROWS_PER_TASK);
}

void lfm2__audio_norm(const lfm2_audio_encoder *enc, float *y, const float *x, int32_t n_tok, const lfm2__layer_norm *w)
{
    rows_job job = { .enc = enc, .y = y, .x = x, .norm = w, .n_tok = n_tok };
    run_rows(&job);
}

void lfm2__audio_add(const lfm2_audio_encoder *enc, float *x, float scale, const float *y, int32_t n_tok)
{
    rows_job job = { .enc = enc, .y = x, .x = y, .scale = scale, .n_tok = n_tok };
    run_rows(&job);
}
