/* SPDX-License-Identifier: Apache-2.0
 * Audio encoder: the convolution module. The batch norm is in the taps. */
#include <math.h>
#include <string.h>

#include "encoders/conformer_impl.h"

enum { ROWS_PER_TASK = 8 };

typedef struct conv_job {
    const lfm2_audio_encoder *enc;
    const lfm2__conformer_layer *layer;
    const float *gated; /* [N, 2 d] */
    float *g, *y;       /* [N, d] */
    int32_t first, n;   /* tokens first .. first + n - 1: all, or those of one segment */
} conv_job;

static void glu_rows(void *ctx, int32_t task, int32_t worker)
{
    const conv_job *job = ctx;
    const size_t d = (size_t)job->enc->cfg.d_model;
    const int32_t end = (task + 1) * ROWS_PER_TASK < job->n ? (task + 1) * ROWS_PER_TASK : job->n;
    (void)worker;
    for (int32_t t = task * ROWS_PER_TASK; t < end; t++) {
        const float *x = job->gated + (size_t)t * 2 * d, *gate = x + d;
        float *g = job->g + (size_t)t * d;
        for (size_t c = 0; c < d; c++) g[c] = x[c] / (1.0f + expf(-gate[c]));
    }
}

/* Depthwise over the tokens of the segment, zeros around them, then silu. */
static void conv_rows(void *ctx, int32_t task, int32_t worker)
{
    const conv_job *job = ctx;
    const int32_t n_taps = job->enc->cfg.n_taps;
    const size_t d = (size_t)job->enc->cfg.d_model;
    const int32_t end = (task + 1) * ROWS_PER_TASK < job->n ? (task + 1) * ROWS_PER_TASK : job->n;
    (void)worker;
    for (int32_t t = task * ROWS_PER_TASK; t < end; t++) {
        float *y = job->y + (size_t)(job->first + t) * d;
        memcpy(y, job->layer->taps_bias.data, d * sizeof(float));
        for (int32_t k = 0; k < n_taps; k++) {
            const int32_t from = t + k - n_taps / 2;
            if (from < 0 || from >= job->n) continue;
            const float *g = job->g + (size_t)(job->first + from) * d, *taps = job->layer->taps.data + (size_t)k * d;
            for (size_t c = 0; c < d; c++) y[c] += g[c] * taps[c];
        }
        job->enc->k.silu(y, y, job->enc->cfg.d_model);
    }
}

int lfm2__audio_conv(lfm2_audio_scratch *s, const lfm2__conformer_layer *layer, const lfm2__audio_batch *b, const float *h,
                     float *out)
{
    const lfm2_audio_encoder *enc = s->enc;
    lfm2__pool *pool = lfm2__runtime_pool(enc->rt);
    const size_t d = (size_t)enc->cfg.d_model, n = (size_t)b->n_tok, mark = lfm2__arena_mark(&s->arena);
    float *gated = lfm2__arena_alloc(&s->arena, n, 2 * d * sizeof(float));
    conv_job job = { .enc = enc, .layer = layer, .gated = gated, .n = b->n_tok };
    job.g = lfm2__arena_alloc(&s->arena, n, d * sizeof(float));
    job.y = gated; /* no longer needed by then */
    int rc = lfm2__linear_run(&enc->k, enc->rt, gated, h, b->n_tok, &layer->conv_in, LFM2__ACT_NONE);
    if (rc == 0) {
        lfm2__pool_run(pool, glu_rows, &job, (job.n + ROWS_PER_TASK - 1) / ROWS_PER_TASK);
        for (int32_t i = 0; i < b->n_segments; i++) {
            job.n = lfm2_audio_n_tok(b->segments[i].n_frames);
            lfm2__pool_run(pool, conv_rows, &job, (job.n + ROWS_PER_TASK - 1) / ROWS_PER_TASK);
            job.first += job.n;
        }
        rc = lfm2__linear_run(&enc->k, enc->rt, out, job.y, b->n_tok, &layer->conv_out, LFM2__ACT_NONE);
    }
    lfm2__arena_release(&s->arena, mark);
    return rc;
}

size_t lfm2__audio_conv_bytes(const lfm2_audio_encoder *enc, int32_t n_tok)
{
    const size_t d = (size_t)enc->cfg.d_model, n = (size_t)n_tok;
    return lfm2__bytes_add(lfm2__arena_bytes(n, 2 * d * sizeof(float)), lfm2__arena_bytes(n, d * sizeof(float)));
}
