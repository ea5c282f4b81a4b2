/* SPDX-License-Identifier: Apache-2.0
 * Audio encoder: attention within each segment, with positions by their distance.
 * Query i and key j meet the projected sinusoid of distance i - j, and the table runs from great distances to small ones: the
 * rows that a query needs for keys 0, 1, 2 ... follow each other, and a block of queries needs one product for all of them. */
#include <math.h>

#include "encoders/conformer_impl.h"

enum { BLOCK_TOK = 16 };

typedef struct attn_job {
    const lfm2_audio_encoder *enc;
    const lfm2__conformer_layer *layer;
    const float *q, *k; /* [N, d] of the batch */
    float *v, *vt;      /* [N, d]: values, later the result; [d, N]: the values again */
    const float *pos;   /* [2 longest - 1, d]: row longest - 1 - r is distance r */
    float *scratch;     /* [n_threads, scratch_n] */
    size_t scratch_n;
    int32_t n_batch, longest;
    int32_t seg_first, seg_n; /* the present segment */
    int32_t block_first;      /* first block of this piece */
} attn_job;

/* Floats that one thread needs for segments of n tokens. */
static size_t worker_floats(const lfm2_audio_encoder *enc, int32_t n_tok)
{
    const size_t d_head = (size_t)(enc->cfg.d_model / enc->cfg.n_heads), n = (size_t)n_tok;
    return BLOCK_TOK * (2 * d_head + n + (n + BLOCK_TOK - 1));
}

/* One head of one block of queries. */
static void attend(void *ctx, int32_t task, int32_t worker)
{
    const attn_job *job = ctx;
    const lfm2_audio_config *c = &job->enc->cfg;
    lfm2__gemm_fn *gemm = job->enc->k.gemm[LFM2_DTYPE_F32];
    const int32_t d_head = c->d_model / c->n_heads, head = task % c->n_heads, n_ctx = job->seg_n;
    const int32_t first = (job->block_first + task / c->n_heads) * BLOCK_TOK;
    const int32_t n = n_ctx - first < BLOCK_TOK ? n_ctx - first : BLOCK_TOK, n_pos = n_ctx + n - 1;
    const size_t d = (size_t)c->d_model, at = (size_t)head * (size_t)d_head, row_bytes = d * sizeof(float);
    const size_t seg = (size_t)job->seg_first * d + at;
    float *qu = job->scratch + (size_t)worker * job->scratch_n, *qv = qu + (size_t)n * (size_t)d_head;
    float *scores = qv + (size_t)n * (size_t)d_head, *bias = scores + (size_t)n * (size_t)n_ctx;
    for (int32_t i = 0; i < n; i++) {
        const float *q = job->q + seg + (size_t)(first + i) * d;
        for (int32_t e = 0; e < d_head; e++) {
            qu[i * d_head + e] = q[e] + job->layer->pos_u.data[at + (size_t)e];
            qv[i * d_head + e] = q[e] + job->layer->pos_v.data[at + (size_t)e];
        }
    }
    const float *pos = job->pos + (size_t)(job->longest - first - n) * d + at; /* the last query's greatest distance */
    gemm(scores, (size_t)n_ctx, qu, (size_t)d_head, n, job->k + seg, row_bytes, n_ctx, d_head);
    gemm(bias, (size_t)n_pos, qv, (size_t)d_head, n, pos, row_bytes, n_pos, d_head);
    for (int32_t i = 0; i < n; i++) {
        float *row = scores + (size_t)i * (size_t)n_ctx;
        job->enc->k.add(row, bias + (size_t)i * (size_t)n_pos + (size_t)(n - 1 - i), n_ctx);
        job->enc->k.softmax(row, n_ctx, 1.0f / sqrtf((float)d_head));
    }
    gemm(job->v + seg + (size_t)first * d, d, scores, (size_t)n_ctx, n, job->vt + at * (size_t)job->n_batch + job->seg_first,
         (size_t)job->n_batch * sizeof(float), d_head, n_ctx);
}

/* Values of one head: [N, D] -> [D, N] */
static void transpose_head(void *ctx, int32_t task, int32_t worker)
{
    const attn_job *job = ctx;
    const size_t d = (size_t)job->enc->cfg.d_model, d_head = d / (size_t)job->enc->cfg.n_heads, n = (size_t)job->n_batch;
    (void)worker;
    for (size_t e = (size_t)task * d_head; e < ((size_t)task + 1) * d_head; e++) {
        for (size_t t = 0; t < n; t++) job->vt[e * n + t] = job->v[t * d + e];
    }
}

static int attend_segment(attn_job *job)
{
    const lfm2_audio_config *c = &job->enc->cfg;
    const int32_t n_blocks = (job->seg_n + BLOCK_TOK - 1) / BLOCK_TOK;
    int64_t piece = LFM2__PIECE_MACS / (3 * (int64_t)BLOCK_TOK * job->seg_n * c->d_model);
    if (piece < 1) piece = 1;
    for (job->block_first = 0; job->block_first < n_blocks; job->block_first += (int32_t)piece) {
        if (lfm2__aborted(job->enc->rt)) return LFM2_ERR_ABORTED;
        const int32_t n = n_blocks - job->block_first < piece ? n_blocks - job->block_first : (int32_t)piece;
        lfm2__pool_run(lfm2__runtime_pool(job->enc->rt), attend, job, n * c->n_heads);
        if (n < piece) break;
    }
    return 0;
}

int lfm2__audio_attention(lfm2_audio_scratch *s, const lfm2__conformer_layer *layer, const lfm2__audio_batch *b, const float *h,
                          float *out)
{
    const lfm2_audio_encoder *enc = s->enc;
    const size_t d = (size_t)enc->cfg.d_model, n = (size_t)b->n_tok, mark = lfm2__arena_mark(&s->arena);
    const int32_t n_pos = 2 * b->longest - 1;
    float *q = lfm2__arena_alloc(&s->arena, n, d * sizeof(float)), *k = lfm2__arena_alloc(&s->arena, n, d * sizeof(float));
    float *v = lfm2__arena_alloc(&s->arena, n, d * sizeof(float)), *vt = lfm2__arena_alloc(&s->arena, n, d * sizeof(float));
    float *pos = lfm2__arena_alloc(&s->arena, (size_t)n_pos, d * sizeof(float));
    const size_t scratch_n = worker_floats(enc, b->longest);
    float *scratch = lfm2__arena_alloc(&s->arena, (size_t)s->n_threads, scratch_n * sizeof(float));
    attn_job job = { .enc = enc, .layer = layer, .q = q, .k = k, .v = v, .vt = vt, .pos = pos, .scratch = scratch,
                     .scratch_n = scratch_n, .n_batch = b->n_tok, .longest = b->longest };
    int rc = lfm2__linear_run(&enc->k, enc->rt, q, h, b->n_tok, &layer->q, LFM2__ACT_NONE);
    if (rc == 0) rc = lfm2__linear_run(&enc->k, enc->rt, k, h, b->n_tok, &layer->k, LFM2__ACT_NONE);
    if (rc == 0) rc = lfm2__linear_run(&enc->k, enc->rt, v, h, b->n_tok, &layer->v, LFM2__ACT_NONE);
    if (rc == 0)
        rc = lfm2__matmul_pieces(&enc->k, enc->rt, pos, s->sinusoid + (size_t)(s->cap_tok - b->longest) * d, n_pos, &layer->pos);
    if (rc == 0) lfm2__pool_run(lfm2__runtime_pool(enc->rt), transpose_head, &job, enc->cfg.n_heads);
    for (int32_t i = 0; rc == 0 && i < b->n_segments; i++) {
        job.seg_n = lfm2_audio_n_tok(b->segments[i].n_frames);
        rc = attend_segment(&job); /* into v, which lives on in vt */
        job.seg_first += job.seg_n;
    }
    if (rc == 0) rc = lfm2__linear_run(&enc->k, enc->rt, out, v, b->n_tok, &layer->out, LFM2__ACT_NONE);
    lfm2__arena_release(&s->arena, mark);
    return rc;
}

size_t lfm2__audio_attention_bytes(const lfm2_audio_encoder *enc, int32_t n_tok, int32_t n_threads)
{
    const size_t row_bytes = (size_t)enc->cfg.d_model * sizeof(float);
    size_t bytes = lfm2__arena_bytes(2 * (size_t)n_tok - 1, row_bytes);
    for (int i = 0; i < 4; i++) bytes = lfm2__bytes_add(bytes, lfm2__arena_bytes((size_t)n_tok, row_bytes));
    return lfm2__bytes_add(bytes, lfm2__arena_bytes((size_t)n_threads, worker_floats(enc, n_tok) * sizeof(float)));
}
