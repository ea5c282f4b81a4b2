/* SPDX-License-Identifier: Apache-2.0
 * For the tests of sound files: a whole source read into memory, samples compared, WAV files made. */
#ifndef SOUND_TESTING_H
#define SOUND_TESTING_H

#include "base_testing.h"

#include <math.h>
#include <stdio.h>

#include "file_testing.h"
#include "lfm2/audio.h"
#include "pipeline/audio_impl.h"

#define SOUNDS LFM2_TEST_DIR "/oracle/sounds"
#define SPEECH LFM2_TEST_DIR "/oracle/golden/audio/jfk.wav"
#ifdef LFM2_HAVE_LIBAV
#define HAS_LIBAV 1
#else
#define HAS_LIBAV 0
#endif

typedef struct sound {
    lfm2_audio_info info;
    lfm2_audio_damage damage;
    int rc;         /* of the read that gave nothing more: LFM2_EOF or an error */
    int64_t n;      /* samples of each channel */
    float *samples; /* [n_channels, cap] */
    int64_t cap;
} sound;

static inline const float *sound_plane(const sound *s, int32_t channel)
{
    return s->samples + channel * s->cap;
}

/* Read all there is in pieces of n_piece samples, and close. */
static inline void sound_take(lfm2_audio_source *a, int32_t n_piece, sound *s)
{
    memset(s, 0, sizeof *s);
    lfm2_audio_get_info(a, &s->info);
    s->cap = 1 << 16;
    s->samples = malloc((size_t)s->cap * (size_t)s->info.n_channels * sizeof(float));
    assert_non_null(s->samples);
    for (;;) {
        float *planes[LFM2_AUDIO_MAX_CHANNELS];
        int32_t n_got = 0;
        if (s->n + n_piece > s->cap) {
            float *more = malloc((size_t)s->cap * 2 * (size_t)s->info.n_channels * sizeof(float));
            assert_non_null(more);
            for (int32_t c = 0; c < s->info.n_channels; c++) {
                memcpy(more + c * s->cap * 2, sound_plane(s, c), (size_t)s->n * sizeof(float));
            }
            free(s->samples);
            s->samples = more;
            s->cap *= 2;
        }
        for (int32_t c = 0; c < s->info.n_channels; c++) planes[c] = s->samples + c * s->cap + s->n;
        s->rc = lfm2_audio_read(a, planes, n_piece, &n_got);
        if (s->rc != 0) break;
        assert_in_range(n_got, 1, n_piece);
        s->n += n_got;
    }
    lfm2_audio_get_damage(a, &s->damage);
    lfm2_audio_close(a);
}

/* Status of opening; *s is only filled, and to be freed, if that is 0. */
static inline int sound_read(lfm2_runtime *rt, const char *path, const lfm2_audio_params *params, sound *s)
{
    lfm2_audio_source *a;
    const int rc = lfm2_audio_open(rt, path, params, &a);
    if (rc == 0) sound_take(a, 4000, s);
    return rc;
}

static inline int sound_read_memory(lfm2_runtime *rt, const void *data, size_t n, const lfm2_audio_params *params, sound *s)
{
    const lfm2_audio_params defaults = lfm2_audio_params_default();
    lfm2_audio_source *a;
    const int rc = lfm2__audio_open_memory(rt, data, n, "memory", params != NULL ? params : &defaults, &a);
    if (rc == 0) sound_take(a, 4000, s);
    return rc;
}

static inline void sound_free(sound *s)
{
    free(s->samples);
    s->samples = NULL;
}

static inline void assert_undamaged(const sound *s)
{
    static const lfm2_audio_damage none = {0};
    assert_int_equal(s->rc, LFM2_EOF);
    assert_memory_equal(&s->damage, &none, sizeof none);
}

/* Correlation of a, moved `lag` samples earlier, with b. */
static inline double correlation(const float *a, int64_t n_a, const float *b, int64_t n_b, int64_t lag)
{
    double aa = 0, bb = 0, ab = 0;
    for (int64_t i = 0; i < n_b; i++) {
        if (i + lag < 0 || i + lag >= n_a) continue;
        const double x = (double)a[i + lag], y = (double)b[i];
        aa += x * x;
        bb += y * y;
        ab += x * y;
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

/* The lag of at most `about` from `around` at which they agree best. */
static inline int64_t best_lag(const float *a, int64_t n_a, const float *b, int64_t n_b, int64_t around, int64_t about)
{
    int64_t best = around;
    double most = -2;
    for (int64_t lag = around - about; lag <= around + about; lag++) {
        const double c = correlation(a, n_a, b, n_b, lag);
        if (c > most) {
            most = c;
            best = lag;
        }
    }
    return best;
}

/* --- files made here --- */

typedef struct bytes {
    unsigned char *data;
    size_t n, cap;
} bytes;

static inline void put_bytes(bytes *b, const void *data, size_t n)
{
    if (b->n + n > b->cap) {
        b->cap = (b->n + n) * 2;
        b->data = realloc(b->data, b->cap);
        assert_non_null(b->data);
    }
    if (n > 0) memcpy(b->data + b->n, data, n);
    b->n += n;
}

static inline void put_text(bytes *b, const char *text)
{
    put_bytes(b, text, strlen(text));
}

static inline void put_le(bytes *b, uint64_t v, int n_bytes)
{
    for (int i = 0; i < n_bytes; i++, v >>= 8) {
        const unsigned char byte = (unsigned char)v;
        put_bytes(b, &byte, 1);
    }
}

enum { WAV_PCM = 1, WAV_FLOAT = 3 };

/* A header as far as the content of `data`, which is said to have data_bytes. */
static inline void put_wav_header(bytes *b, int tag, int n_channels, int64_t rate_hz, int n_bits, uint64_t data_bytes)
{
    put_text(b, "RIFF");
    put_le(b, data_bytes > UINT32_MAX - 36 ? UINT32_MAX : data_bytes + 36, 4);
    put_text(b, "WAVEfmt ");
    put_le(b, 16, 4);
    put_le(b, (uint64_t)tag, 2);
    put_le(b, (uint64_t)n_channels, 2);
    put_le(b, (uint64_t)rate_hz, 4);
    put_le(b, (uint64_t)(rate_hz * n_channels * n_bits / 8), 4);
    put_le(b, (uint64_t)(n_channels * n_bits / 8), 2);
    put_le(b, (uint64_t)n_bits, 2);
    put_text(b, "data");
    put_le(b, data_bytes > UINT32_MAX ? UINT32_MAX : data_bytes, 4);
}

static inline void put_f32(bytes *b, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    put_le(b, bits, 4);
}

#endif
