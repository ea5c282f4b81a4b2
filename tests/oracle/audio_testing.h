/* SPDX-License-Identifier: Apache-2.0
 * For the tests of the audio encoder: 16-bit mono WAV files of the fixtures. */
#ifndef LFM2_TEST_AUDIO_H
#define LFM2_TEST_AUDIO_H

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

#endif
