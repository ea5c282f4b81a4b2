/* SPDX-License-Identifier: Apache-2.0
 * For the tests of the audio encoder: 16-bit mono WAV files of the fixtures, embeddings compared. */
#ifndef LFM2_TEST_AUDIO_H
#define LFM2_TEST_AUDIO_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Samples of a WAV file as the fixtures have them (16 kHz, mono, 16 bits), to be freed; NULL if it is none. */
static inline float *read_wav(const char *path, int64_t *n_samples)
{
    FILE *f = fopen(path, "rb");
    unsigned char head[12], chunk[8];
    float *samples = NULL;
    if (!f) return NULL;
    if (fread(head, 1, sizeof(head), f) != sizeof(head) || memcmp(head, "RIFF", 4) != 0) goto done;
    while (fread(chunk, 1, sizeof(chunk), f) == sizeof(chunk)) {
        const uint32_t n = chunk[4] | (uint32_t)chunk[5] << 8 | (uint32_t)chunk[6] << 16 | (uint32_t)chunk[7] << 24;
        if (memcmp(chunk, "data", 4) != 0) {
            if (fseek(f, (long)n, SEEK_CUR) != 0) break;
            continue;
        }
        unsigned char *raw = malloc(n);
        samples = malloc((size_t)n * 2);
        *n_samples = n / 2;
        if (raw && samples && fread(raw, 1, n, f) == n) {
            for (uint32_t i = 0; i < n / 2; i++) samples[i] = (float)(int16_t)(raw[2 * i] | raw[2 * i + 1] << 8) / 32768.0f;
        } else {
            free(samples);
            samples = NULL;
        }
        free(raw);
        break;
    }
done:
    fclose(f);
    return samples;
}

/* Of a - mean and b - mean. */
static inline double cosine(const float *a, const float *b, const double *mean, int32_t n)
{
    double ab = 0, aa = 0, bb = 0;
    for (int32_t i = 0; i < n; i++) {
        const double x = (double)a[i] - mean[i], y = (double)b[i] - mean[i];
        ab += x * y;
        aa += x * x;
        bb += y * y;
    }
    return ab / sqrt(aa * bb);
}

/* The lowest cosine of any token. All tokens of a random encoder are much alike (0.987 and more), so what they have in common is
 * taken off as well: a token in the wrong place would pass otherwise. */
static inline void worst_cosine(const float *got, const float *want, int32_t n_tok, int32_t d, double worst[2])
{
    double *mean = calloc((size_t)d, sizeof(double));
    if (!mean) exit(1);
    for (int pass = 0; pass < 2; pass++) {
        worst[pass] = 1;
        for (int32_t t = 0; t < n_tok; t++) {
            const double c = cosine(got + (size_t)t * (size_t)d, want + (size_t)t * (size_t)d, mean, d);
            if (!(c >= worst[pass])) worst[pass] = c;
        }
        for (int64_t i = 0; i < (int64_t)n_tok * d; i++) mean[i % d] += (double)want[i] / n_tok;
    }
    free(mean);
}

#endif
