/* SPDX-License-Identifier: Apache-2.0
 * Log-mel frames: any samples, pushed in pieces of any size, give the very bits of the whole, or the same refusal.
 * Input: n_mels - 1, kind of samples, size of pieces (3 bytes, by turns), then the samples. */
#include <math.h>

#include "fuzz/fuzzing.h"
#include "lfm2/audio_encoder.h"

enum { HEADER = 5, MAX_SAMPLES = 1 << 15 };

/* Kind 0: f32 as it lies there, with all that is no number; otherwise s16. */
static int32_t read_samples(const uint8_t *data, size_t n, int kind, float *samples)
{
    const size_t width = kind == 0 ? sizeof(float) : sizeof(int16_t);
    const size_t n_samples = n / width < MAX_SAMPLES ? n / width : MAX_SAMPLES;
    if (kind == 0) memcpy(samples, data, n_samples * sizeof(float));
    for (size_t i = 0; kind != 0 && i < n_samples; i++) {
        int16_t v;
        memcpy(&v, data + i * sizeof(v), sizeof(v));
        samples[i] = (float)v / 32768;
    }
    return (int32_t)n_samples;
}

/* Frames of the pieces, not normalised; the status of the first call that fails. */
static int stream(lfm2_mel *mel, const float *samples, int32_t n_samples, const uint8_t sizes[3], float *frames, int32_t cap,
                  int32_t n_mels, int32_t *n_frames)
{
    int32_t n = 0, n_done = 0;
    for (int32_t i = 0, turn = 0, take; i < n_samples; i += take, turn++) {
        const int32_t size = sizes[turn % 3] * (turn % 2 ? 1 : 37);
        take = size < n_samples - i ? size : n_samples - i;
        if (take == 0 && sizes[0] + sizes[1] + sizes[2] == 0) take = 1;
        const int32_t n_ready = lfm2_mel_n_ready(mel, take);
        CHECK(n_ready >= 0 && n_ready <= cap - n_done);
        const int rc = lfm2_mel_push(mel, samples + i, take, frames + (size_t)n_done * (size_t)n_mels, cap - n_done, &n);
        if (rc < 0) return rc;
        CHECK(n == n_ready);
        n_done += n;
    }
    const int rc = lfm2_mel_finish(mel, frames + (size_t)n_done * (size_t)n_mels, cap - n_done, &n);
    if (rc == 0) *n_frames = n_done + n;
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static float samples[MAX_SAMPLES], whole[(MAX_SAMPLES / 160 + 1) * 256], pieces[(MAX_SAMPLES / 160 + 1) * 256];
    if (n < HEADER) return 0;
    const int32_t n_mels = data[0] + 1, n_samples = read_samples(data + HEADER, n - HEADER, data[1] % 4, samples);
    const int32_t cap = n_samples / 160 + 1;
    int32_t n_whole = -1, n_pieces = -1;
    lfm2_mel *mel = NULL;
    CHECK(lfm2_mel_create(fuzz_runtime(4096), n_mels, &mel) == 0);
    const int rc = lfm2_mel_compute(mel, samples, n_samples, whole, cap, &n_whole);
    int streamed = stream(mel, samples, n_samples, data + 2, pieces, cap, n_mels, &n_pieces);
    if (lfm2_mel_n_frames(n_samples) == 0) {
        CHECK(rc == LFM2_ERR_RANGE && streamed < 0);
    } else {
        CHECK(rc == streamed && (rc == 0 || rc == LFM2_ERR_NONFINITE));
    }
    if (rc == 0) {
        CHECK(n_whole == lfm2_mel_n_frames(n_samples) && n_pieces == n_whole);
        CHECK(lfm2_mel_normalize(pieces, n_pieces, n_mels) == 0);
        CHECK(memcmp(whole, pieces, (size_t)n_whole * (size_t)n_mels * sizeof(float)) == 0);
        for (size_t i = 0; i < (size_t)n_whole * (size_t)n_mels; i++) CHECK(isfinite(whole[i]));
    }
    lfm2_mel_destroy(mel);
    return 0;
}
