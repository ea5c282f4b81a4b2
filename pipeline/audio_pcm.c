/* SPDX-License-Identifier: Apache-2.0
 * Raw samples without a container. */
#include <string.h>

#include "base/runtime_impl.h"
#include "pipeline/audio_impl.h"

typedef struct pcm_reader {
    lfm2__audio_from from;
    int32_t n_channels, rate_hz;
    size_t sample_bytes, frame_bytes;
    unsigned char *bytes; /* of a piece */
    float *samples;       /* f32 [n_channels, LFM2__AUDIO_PIECE] */
} pcm_reader;

static const struct {
    const char *name;
    size_t bytes;
} formats[] = {[LFM2_PCM_NONE] = {"", 0},
               [LFM2_PCM_S16LE] = {"pcm_s16le", 2},
               [LFM2_PCM_F32LE] = {"pcm_f32le", 4},
               [LFM2_PCM_MULAW] = {"pcm_mulaw", 1},
               [LFM2_PCM_ALAW] = {"pcm_alaw", 1}};

static float from_s16(unsigned v)
{
    return (float)((int32_t)v - ((v & 0x8000) != 0 ? 0x10000 : 0)) / 32768.0f;
}

/* G.711: sign, exponent, mantissa; all bits turned over in mu-law, every second in A-law. */
static float from_mulaw(unsigned v)
{
    v = ~v & 0xff;
    const int32_t magnitude = (int32_t)(((v & 0x0f) << 3) + 0x84) << (v >> 4 & 7);
    return (float)((v & 0x80) != 0 ? 0x84 - magnitude : magnitude - 0x84) / 32768.0f;
}

static float from_alaw(unsigned v)
{
    v ^= 0x55;
    const unsigned exponent = v >> 4 & 7;
    int32_t magnitude = (int32_t)((v & 0x0f) << 4) + 8;
    if (exponent > 0) magnitude = (magnitude + 0x100) << (exponent - 1);
    return (float)((v & 0x80) != 0 ? magnitude : -magnitude) / 32768.0f;
}

static float from_f32(const unsigned char *p)
{
    const uint32_t bits = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void convert(const pcm_reader *r, int32_t channel, int32_t n, float *out)
{
    const unsigned char *p = r->bytes + (size_t)channel * r->sample_bytes;
    for (int32_t i = 0; i < n; i++, p += r->frame_bytes) {
        switch (r->from.params->pcm) {
        case LFM2_PCM_S16LE: out[i] = from_s16((unsigned)p[0] | (unsigned)p[1] << 8); break;
        case LFM2_PCM_F32LE: out[i] = from_f32(p); break;
        case LFM2_PCM_MULAW: out[i] = from_mulaw(p[0]); break;
        case LFM2_PCM_ALAW: out[i] = from_alaw(p[0]); break;
        case LFM2_PCM_NONE: out[i] = 0; break;
        }
    }
}

/* Fill r->bytes with whole frames: as many as there are without waiting for more, one at least. */
static int read_frames(pcm_reader *r, int32_t *n_frames)
{
    size_t n = 0;
    do {
        const size_t wanted = n == 0 ? r->frame_bytes * LFM2__AUDIO_PIECE : r->frame_bytes - n % r->frame_bytes;
        size_t n_got = 0;
        const int rc = lfm2__infile_read(r->from.file, r->bytes + n, wanted, &n_got);
        if (rc < 0) return rc;
        if (rc == LFM2_EOF && n % r->frame_bytes != 0) r->from.damage->truncated = 1;
        if (rc == LFM2_EOF) break;
        n += n_got;
    } while (n % r->frame_bytes != 0);
    *n_frames = (int32_t)(n / r->frame_bytes);
    return *n_frames > 0 ? 0 : LFM2_EOF;
}

static int pcm_next(void *ctx, lfm2__audio_piece *out)
{
    pcm_reader *r = ctx;
    int32_t n = 0;
    const int rc = read_frames(r, &n);
    if (rc != 0) return rc;
    for (int32_t c = 0; c < r->n_channels; c++) {
        float *plane = r->samples + (size_t)c * LFM2__AUDIO_PIECE;
        convert(r, c, n, plane);
        if (r->from.params->pcm == LFM2_PCM_F32LE) lfm2__audio_clean(plane, n, &r->from.damage->n_bad_samples);
        out->planes[c] = plane;
    }
    out->n_samples = n;
    out->rate_hz = r->rate_hz;
    return 0;
}

static void pcm_close(void *ctx)
{
    pcm_reader *r = ctx;
    if (r == NULL) return;
    lfm2__free(r->from.rt, r->bytes);
    lfm2__free(r->from.rt, r->samples);
    lfm2__free(r->from.rt, r);
}

int lfm2__audio_pcm_open(const lfm2__audio_from *from, lfm2_audio_info *info, lfm2__audio_reader *out)
{
    const lfm2_audio_params *p = from->params;
    const size_t n_channels = (size_t)p->pcm_channels;
    pcm_reader *r = lfm2__calloc(from->rt, 1, sizeof *r);
    if (r == NULL) return lfm2__fail(from->rt, LFM2_ERR_NOMEM, "%s: out of memory", lfm2__infile_name(from->file));
    r->from = *from;
    r->n_channels = p->pcm_channels;
    r->rate_hz = p->pcm_rate_hz;
    r->sample_bytes = formats[p->pcm].bytes;
    r->frame_bytes = r->sample_bytes * n_channels;
    r->bytes = lfm2__alloc(from->rt, r->frame_bytes * LFM2__AUDIO_PIECE);
    r->samples = lfm2__calloc(from->rt, n_channels * LFM2__AUDIO_PIECE, sizeof(float));
    if (r->bytes == NULL || r->samples == NULL) {
        pcm_close(r);
        return lfm2__fail(from->rt, LFM2_ERR_NOMEM, "%s: out of memory", lfm2__infile_name(from->file));
    }
    const int64_t n_bytes = lfm2__infile_bytes(from->file);
    *info = (lfm2_audio_info){
        .n_channels = p->pcm_channels, .source_rate_hz = p->pcm_rate_hz, .container = "raw", .codec = formats[p->pcm].name,
        .duration_us = n_bytes < 0 ? -1 : lfm2__audio_samples_to_us(n_bytes / (int64_t)r->frame_bytes, p->pcm_rate_hz),
    };
    *out = (lfm2__audio_reader){r, pcm_next, pcm_close};
    return 0;
}
