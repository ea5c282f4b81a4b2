/* SPDX-License-Identifier: Apache-2.0
 * Audio encoder: one pass over segments, from mel frames to embeddings; its memory. */
#include <math.h>
#include <string.h>

#include "encoders/conformer_impl.h"

int32_t lfm2_audio_n_tok(int32_t n_frames)
{
    return n_frames < 1 ? 0 : (n_frames - 1) / 8 + 1;
}

/* The two residual rows of each token, and the widest of what comes between. */
static size_t arena_bytes(const lfm2_audio_encoder *enc, int32_t n_tok, int32_t n_threads)
{
    const size_t n = (size_t)n_tok, d = (size_t)enc->cfg.d_model * sizeof(float);
    const size_t ops[] = { lfm2__audio_subsample_bytes(enc), lfm2__audio_attention_bytes(enc, n_tok, n_threads),
                           lfm2__audio_conv_bytes(enc, n_tok), lfm2__arena_bytes(n, (size_t)enc->cfg.d_ff * sizeof(float)),
                           lfm2__arena_bytes(n, (size_t)enc->cfg.d_adapter * sizeof(float)) };
    size_t most = 0;
    for (size_t i = 0; i < LFM2__COUNT_OF(ops); i++) most = ops[i] > most ? ops[i] : most;
    return lfm2__bytes_add(most, lfm2__bytes_add(lfm2__arena_bytes(n, d), lfm2__arena_bytes(n, d)));
}

/* Row cap_tok - 1 - r: sin(r w_i), cos(r w_i) for i < d / 2, w_i = 10000^(-2i / d). */
static void fill_sinusoid(lfm2_audio_scratch *s)
{
    const int32_t d = s->enc->cfg.d_model;
    for (int32_t i = 0; i < d / 2; i++) {
        const double w = exp(-2.0 * i * log(10000.0) / d);
        for (int32_t r = 0; r < s->cap_tok; r++) {
            const float sine = (float)sin(r * w), cosine = (float)cos(r * w);
            float *past = s->sinusoid + (size_t)(s->cap_tok - 1 - r) * (size_t)d + 2 * (size_t)i;
            float *future = s->sinusoid + (size_t)(s->cap_tok - 1 + r) * (size_t)d + 2 * (size_t)i;
            future[0] = -sine;
            future[1] = cosine;
            past[0] = sine;
            past[1] = cosine;
        }
    }
}

int lfm2_audio_scratch_create(const lfm2_audio_encoder *enc, int32_t cap_tok, lfm2_audio_scratch **out)
{
    if (!enc || !out || cap_tok < 1 || cap_tok > LFM2_AUDIO_MAX_TOK) return LFM2_ERR_ARG;
    lfm2_audio_scratch *s = lfm2__calloc(enc->rt, 1, sizeof(*s));
    if (!s) return LFM2_ERR_NOMEM;
    s->enc = enc;
    s->cap_tok = cap_tok;
    s->n_threads = lfm2_runtime_n_threads(enc->rt);
    s->sinusoid = lfm2__calloc(enc->rt, 2 * (size_t)cap_tok - 1, (size_t)enc->cfg.d_model * sizeof(float));
    int rc = s->sinusoid ? lfm2__arena_init(&s->arena, enc->rt, arena_bytes(enc, cap_tok, s->n_threads)) : LFM2_ERR_NOMEM;
    if (rc < 0) {
        lfm2_audio_scratch_destroy(s);
        return rc;
    }
    fill_sinusoid(s);
    *out = s;
    return 0;
}

void lfm2_audio_scratch_destroy(lfm2_audio_scratch *s)
{
    if (!s) return;
    lfm2_runtime *rt = s->enc->rt;
    lfm2__arena_fini(&s->arena);
    lfm2__free(rt, s->sinusoid);
    lfm2__free(rt, s);
}

int64_t lfm2_audio_scratch_adapter_us(const lfm2_audio_scratch *s)
{
    return s ? s->adapter_us : 0;
}

/* x += scale * add; y = norm(x). add may be NULL; y may be x or add. */
static void add_norm(const lfm2_audio_encoder *enc, float *x, float scale, const float *add, const lfm2__norm *norm, float *y,
                     int32_t n_tok)
{
    lfm2__rows_run(&enc->k, enc->rt, &(lfm2__rows){ .x = x, .add = add, .scale = scale, .norm = norm, .eps = LFM2__AUDIO_EPS,
                                                    .y = y, .n_rows = n_tok, .width = enc->cfg.d_model });
}

/* h = ff(h) */
static int feed_forward(lfm2_audio_scratch *s, const lfm2__ff *ff, float *h, int32_t n_tok)
{
    const lfm2_audio_encoder *enc = s->enc;
    const size_t mark = lfm2__arena_mark(&s->arena);
    float *mid = lfm2__arena_alloc(&s->arena, (size_t)n_tok, (size_t)enc->cfg.d_ff * sizeof(float));
    int rc = lfm2__linear_run(&enc->k, enc->rt, mid, h, n_tok, &ff->up, LFM2__ACT_SILU);
    if (rc == 0) rc = lfm2__linear_run(&enc->k, enc->rt, h, mid, n_tok, &ff->down, LFM2__ACT_NONE);
    lfm2__arena_release(&s->arena, mark);
    return rc;
}

/* Each residual sum is built together with the norm that follows it. */
static int run_layer(lfm2_audio_scratch *s, const lfm2__conformer_layer *layer, const lfm2__audio_batch *b, float *x, float *h)
{
    const lfm2_audio_encoder *enc = s->enc;
    add_norm(enc, x, 0, NULL, &layer->ff[0].norm, h, b->n_tok);
    int rc = feed_forward(s, &layer->ff[0], h, b->n_tok);
    if (rc < 0) return rc;
    add_norm(enc, x, 0.5f, h, &layer->norm_attn, h, b->n_tok);
    rc = lfm2__audio_attention(s, layer, b, h, h);
    if (rc < 0) return rc;
    add_norm(enc, x, 1, h, &layer->norm_conv, h, b->n_tok);
    rc = lfm2__audio_conv(s, layer, b, h, h);
    if (rc < 0) return rc;
    add_norm(enc, x, 1, h, &layer->ff[1].norm, h, b->n_tok);
    rc = feed_forward(s, &layer->ff[1], h, b->n_tok);
    if (rc == 0) add_norm(enc, x, 0.5f, h, &layer->norm_out, x, b->n_tok);
    return rc;
}

static int adapt(lfm2_audio_scratch *s, int32_t n_tok, float *x, float *h, float *out)
{
    const lfm2_audio_encoder *enc = s->enc;
    const size_t mark = lfm2__arena_mark(&s->arena);
    float *mid = lfm2__arena_alloc(&s->arena, (size_t)n_tok, (size_t)enc->cfg.d_adapter * sizeof(float));
    add_norm(enc, x, 0, NULL, &enc->adapter_norm, h, n_tok);
    int rc = lfm2__linear_run(&enc->k, enc->rt, mid, h, n_tok, &enc->adapter[0], LFM2__ACT_GELU_ERF);
    if (rc == 0) rc = lfm2__linear_run(&enc->k, enc->rt, out, mid, n_tok, &enc->adapter[1], LFM2__ACT_NONE);
    lfm2__arena_release(&s->arena, mark);
    return rc;
}

static int run(lfm2_audio_scratch *s, const lfm2__audio_batch *b, float *out, float *ctc)
{
    const lfm2_audio_encoder *enc = s->enc;
    const size_t n = (size_t)b->n_tok, d = (size_t)enc->cfg.d_model, mark = lfm2__arena_mark(&s->arena);
    float *x = lfm2__arena_alloc(&s->arena, n, d * sizeof(float)), *h = lfm2__arena_alloc(&s->arena, n, d * sizeof(float));
    int rc = lfm2__audio_subsample(s, b, x);
    for (int32_t l = 0; rc == 0 && l < enc->cfg.n_layers; l++) rc = run_layer(s, &enc->layers[l], b, x, h);
    const int64_t start_us = lfm2__now_us();
    if (rc == 0) rc = adapt(s, b->n_tok, x, h, out);
    s->adapter_us = lfm2__now_us() - start_us;
    if (rc == 0 && ctc) rc = lfm2__audio_ctc(enc, x, b->n_tok, ctc);
    lfm2__arena_release(&s->arena, mark);
    if (rc == 0 && enc->w) rc = lfm2_weights_check(enc->w); /* of a file cut short meanwhile, zeros or worse were read */
    for (size_t i = 0; rc == 0 && i < n * (size_t)enc->cfg.d_out; i++) {
        if (!isfinite(out[i])) rc = lfm2__fail(enc->rt, LFM2_ERR_NONFINITE, "audio embeddings are not finite");
    }
    return rc;
}

int lfm2_audio_encode_ctc(const lfm2_audio_encoder *enc, const lfm2_audio_segment *segments, int32_t n_segments,
                          lfm2_audio_scratch *scratch, float *out, float *ctc, int32_t cap_tok, int32_t *n_tok)
{
    if (!enc || !segments || n_segments < 1 || !scratch || scratch->enc != enc || !out || !n_tok) return LFM2_ERR_ARG;
    lfm2__audio_batch b = { .segments = segments, .n_segments = n_segments };
    for (int32_t i = 0; i < n_segments; i++) {
        const int32_t n = lfm2_audio_n_tok(segments[i].n_frames);
        if (!segments[i].mel || n == 0) return LFM2_ERR_ARG;
        if (n > cap_tok - b.n_tok || n > scratch->cap_tok - b.n_tok) return LFM2_ERR_RANGE;
        b.n_tok += n;
        if (n > b.longest) b.longest = n;
    }
    if (ctc && enc->cfg.n_ctc_classes == 0)
        return lfm2__fail(enc->rt, LFM2_ERR_UNSUPPORTED, "%s: the encoder has no CTC head", lfm2_weights_path(enc->w));
    int rc = enc->w ? lfm2_weights_check(enc->w) : 0;
    if (rc == 0) rc = run(scratch, &b, out, ctc);
    if (rc == 0) *n_tok = b.n_tok;
    return rc;
}

int lfm2_audio_encode(const lfm2_audio_encoder *enc, const lfm2_audio_segment *segments, int32_t n_segments,
                      lfm2_audio_scratch *scratch, float *out, int32_t cap_tok, int32_t *n_tok)
{
    return lfm2_audio_encode_ctc(enc, segments, n_segments, scratch, out, NULL, cap_tok, n_tok);
}
