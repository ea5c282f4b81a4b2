/* SPDX-License-Identifier: Apache-2.0
 * Audio encoder: three strided convolutions over time and frequency, which make one token of eight frames. Some tokens at a time,
 * so that memory does not grow with the sound: the rows at a border are computed twice. */
#include <string.h>

#include "encoders/conformer_impl.h"

enum { PIECE_TOK = 16, CAP_ROWS_2 = 2 * PIECE_TOK + 1, CAP_ROWS_1 = 2 * CAP_ROWS_2 + 1 };

/* Rows of one stage: times first .. first + n - 1 of all that there are, [n, n_freq, n_channels]. */
typedef struct stage {
    int32_t first, n, n_all, n_freq, n_channels;
} stage;

typedef struct conv_job {
    const stage *in, *out;
    const float *x;
    float *y;
    const float *taps, *bias; /* [9, C], [C] */
    int relu;
} conv_job;

/* out[c] += in[c] taps[c], where a single input channel serves all outputs. */
static void add_tap(float *out, const float *in, int32_t n_in, const float *taps, int32_t n)
{
    if (n_in == 1) {
        for (int32_t c = 0; c < n; c++) out[c] += in[0] * taps[c];
    } else {
        for (int32_t c = 0; c < n; c++) out[c] += in[c] * taps[c];
    }
}

/* One time of the output: 3 x 3 taps, stride 2, a border of zeros. */
static void conv_row(void *ctx, int32_t task, int32_t worker)
{
    const conv_job *job = ctx;
    const stage *in = job->in, *out = job->out;
    const int32_t n_c = out->n_channels, t = out->first + task;
    (void)worker;
    for (int32_t f = 0; f < out->n_freq; f++) {
        float *y = job->y + ((size_t)task * (size_t)out->n_freq + (size_t)f) * (size_t)n_c;
        memcpy(y, job->bias, (size_t)n_c * sizeof(float));
        for (int32_t tap = 0; tap < 9; tap++) {
            const int32_t ti = 2 * t + tap / 3 - 1, fi = 2 * f + tap % 3 - 1;
            if (ti < 0 || ti >= in->n_all || fi < 0 || fi >= in->n_freq) continue;
            const size_t at = (size_t)(ti - in->first) * (size_t)in->n_freq + (size_t)fi;
            add_tap(y, job->x + at * (size_t)in->n_channels, in->n_channels, job->taps + (size_t)tap * (size_t)n_c, n_c);
        }
        for (int32_t c = 0; job->relu && c < n_c; c++) y[c] = y[c] < 0 ? 0 : y[c];
    }
}

/* The rows that the next stage's rows first .. first + n - 1 look at. */
static void set_range(stage *s, int32_t next_first, int32_t next_n)
{
    s->first = 2 * next_first - 1 > 0 ? 2 * next_first - 1 : 0;
    const int32_t end = 2 * (next_first + next_n - 1) + 2;
    s->n = (end < s->n_all ? end : s->n_all) - s->first;
}

typedef struct buffers {
    float *a, *b, *flat;
} buffers;

/* [C of F] -> [F of C], as the linear layer wants them. */
static void flatten(const stage *s, const float *rows, float *flat)
{
    const size_t n_f = (size_t)s->n_freq, n_c = (size_t)s->n_channels;
    for (size_t t = 0; t < (size_t)s->n; t++) {
        const float *x = rows + t * n_f * n_c;
        float *y = flat + t * n_f * n_c;
        for (size_t f = 0; f < n_f; f++) {
            for (size_t c = 0; c < n_c; c++) y[c * n_f + f] = x[f * n_c + c];
        }
    }
}

/* Tokens first .. first + n - 1 of a segment into x [n, d]. */
static int piece(const lfm2_audio_encoder *enc, const lfm2_audio_segment *seg, const buffers *buf, int32_t first, int32_t n,
                 float *x)
{
    lfm2__pool *pool = lfm2__runtime_pool(enc->rt);
    stage stages[4] = { { .n_all = seg->n_frames, .n_freq = enc->cfg.n_mels, .n_channels = 1 } };
    for (int i = 1; i < 4; i++)
        stages[i] = (stage){ .n_all = (stages[i - 1].n_all + 1) / 2, .n_freq = lfm2__audio_n_freq(&enc->cfg, i),
                             .n_channels = enc->cfg.n_channels };
    stages[3].first = first;
    stages[3].n = n;
    set_range(&stages[2], first, n);
    set_range(&stages[1], stages[2].first, stages[2].n);
    for (int i = 1; i < 4; i++) {
        const stage *out = &stages[i];
        conv_job job = { .in = &stages[i - 1], .out = out, .x = i == 1 ? seg->mel : buf->a, .y = i == 1 ? buf->a : buf->b,
                         .taps = enc->sub[i - 1].taps.data, .bias = enc->sub[i - 1].bias.data, .relu = i == 1 };
        lfm2__pool_run(pool, conv_row, &job, out->n);
        if (i == 1) continue;
        int rc = lfm2__linear_run(&enc->k, enc->rt, buf->a, buf->b, out->n * out->n_freq, &enc->point[i - 2], LFM2__ACT_RELU);
        if (rc < 0) return rc;
    }
    flatten(&stages[3], buf->a, buf->flat);
    return lfm2__linear_run(&enc->k, enc->rt, x, buf->flat, n, &enc->sub_out, LFM2__ACT_NONE);
}

int lfm2__audio_subsample(lfm2_audio_scratch *s, const lfm2__audio_batch *b, float *x)
{
    const lfm2_audio_encoder *enc = s->enc;
    const size_t row_1 = (size_t)lfm2__audio_n_freq(&enc->cfg, 1) * (size_t)enc->cfg.n_channels * sizeof(float);
    const size_t row_2 = (size_t)lfm2__audio_n_freq(&enc->cfg, 2) * (size_t)enc->cfg.n_channels * sizeof(float);
    const size_t mark = lfm2__arena_mark(&s->arena);
    const buffers buf = { .a = lfm2__arena_alloc(&s->arena, CAP_ROWS_1, row_1),
                          .b = lfm2__arena_alloc(&s->arena, CAP_ROWS_2, row_2),
                          .flat = lfm2__arena_alloc(&s->arena, PIECE_TOK, row_2) };
    int rc = 0;
    for (int32_t i = 0; rc == 0 && i < b->n_segments; i++) {
        const int32_t n_tok = lfm2_audio_n_tok(b->segments[i].n_frames);
        for (int32_t t = 0; rc == 0 && t < n_tok; t += PIECE_TOK) {
            const int32_t n = n_tok - t < PIECE_TOK ? n_tok - t : PIECE_TOK;
            rc = piece(enc, &b->segments[i], &buf, t, n, x);
            x += (size_t)n * (size_t)enc->cfg.d_model;
        }
    }
    lfm2__arena_release(&s->arena, mark);
    return rc;
}

size_t lfm2__audio_subsample_bytes(const lfm2_audio_encoder *enc)
{
    const size_t row_1 = (size_t)lfm2__audio_n_freq(&enc->cfg, 1) * (size_t)enc->cfg.n_channels * sizeof(float);
    const size_t row_2 = (size_t)lfm2__audio_n_freq(&enc->cfg, 2) * (size_t)enc->cfg.n_channels * sizeof(float);
    return lfm2__bytes_add(lfm2__arena_bytes(CAP_ROWS_1, row_1),
                           lfm2__bytes_add(lfm2__arena_bytes(CAP_ROWS_2, row_2), lfm2__arena_bytes(PIECE_TOK, row_2)));
}
