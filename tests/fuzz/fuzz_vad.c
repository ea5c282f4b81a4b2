/* SPDX-License-Identifier: Apache-2.0
 * Voice activity: any samples and parameters, pushed in pieces of any size, give the same spans, in order, within the sound, and
 * never anything that was said to be settled.
 * Input: 6 bytes of parameters, size of pieces, kind of samples, loudness; then the samples, repeated up to some seconds. */
#include <math.h>

#include "fuzz/fuzzing.h"
#include "lfm2/vad.h"

enum { HEADER = 10, MAX_SPANS = 64, CAP = 40000 };

static lfm2_vad_params read_params(const uint8_t *d)
{
    lfm2_vad_params p = lfm2_vad_params_default();
    p.threshold = d[0] / 255.0;
    p.min_level_db = -120.0 + d[1] * 120.0 / 255.0;
    p.min_speech_us = d[2] * 5000;
    p.min_silence_us = 100000 + d[3] * 5000;
    p.max_segment_us = 1000000 + d[5] * 40000;
    p.pad_us = (int64_t)d[4] * 900;
    return p;
}

/* Kind 0: f32 that is finite; 1: s16 as it lies there; 2: pulses at a pitch that the bytes move, as a voice has it. */
static int64_t read_samples(const uint8_t *d, size_t n, int kind, double loud, float *samples)
{
    const size_t width = kind == 0 ? 4 : kind == 1 ? 2 : 1;
    const int64_t n_given = (int64_t)(n / width);
    int64_t n_samples = kind == 2 ? n_given * 160 : n_given * 8;
    double phase = 0, ring = 0, speed = 0;
    if (n_samples > CAP) n_samples = CAP;
    for (int64_t i = 0; i < n_samples; i++) {
        float v = 0;
        int16_t s = 0;
        if (kind == 0) {
            memcpy(&v, d + (size_t)(i % n_given) * 4, sizeof v);
            if (!(fabsf(v) <= 1e6f)) v = 0;
        } else if (kind == 1) {
            memcpy(&s, d + (size_t)(i % n_given) * 2, sizeof s);
            v = (float)(s / 32768.0 * loud);
        } else {
            const uint8_t b = d[i / 160];
            const double pull = (0.05 + 0.002 * (b & 63)) * ring;
            phase += (80 + (b >> 1)) / 16000.0;
            speed = 0.97 * speed - pull;
            if (phase >= 1) {
                phase -= 1;
                speed += b & 1 ? 1 : 0.2;
            }
            ring += speed;
            ring *= 0.995;
            v = (float)(0.1 * loud * ring);
        }
        samples[i] = v;
    }
    return n_samples;
}

static int run(lfm2_vad *v, const float *samples, int64_t n, int64_t piece, lfm2_vad_span *spans)
{
    int n_spans = 0, over = 0;
    int64_t settled = 0, end = 0, since = 0;
    for (int64_t i = 0, n_taken = 0; !over; i += n_taken) {
        lfm2_vad_span s;
        over = i == n;
        CHECK(lfm2_vad_push(v, over ? NULL : samples + i, n - i < piece ? n - i : piece, &n_taken) == 0);
        CHECK(n_taken >= 0 && n_taken <= n - i);
        while (lfm2_vad_pull(v, &s) == 0) {
            CHECK(s.start_sample >= settled && s.start_sample >= end && s.start_sample <= s.speech_start);
            CHECK(s.speech_start < s.speech_end && s.speech_end <= s.end_sample && s.end_sample <= i + n_taken);
            end = s.end_sample;
            if (n_spans < MAX_SPANS) spans[n_spans] = s;
            n_spans++;
        }
        CHECK(lfm2_vad_n_settled(v) >= settled && lfm2_vad_n_settled(v) <= i + n_taken);
        settled = lfm2_vad_n_settled(v);
        if (lfm2_vad_is_open(v, &since)) CHECK(since >= settled && since <= i + n_taken);
    }
    return n_spans;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static float samples[CAP];
    lfm2_vad_span whole[MAX_SPANS], pieces[MAX_SPANS];
    lfm2_vad *v = NULL;
    if (n < HEADER + 4) return 0;
    const lfm2_vad_params p = read_params(data);
    const int64_t piece = 1 + data[6] * (data[7] + 1);
    const int64_t n_samples = read_samples(data + HEADER, n - HEADER, data[8] % 3, data[9] / 64.0, samples);
    CHECK(lfm2_vad_create(fuzz_runtime(4096), &p, &v) == 0);
    const int n_whole = run(v, samples, n_samples, CAP, whole);
    lfm2_vad_reset(v);
    const int n_pieces = run(v, samples, n_samples, piece, pieces);
    CHECK(n_whole == n_pieces);
    CHECK(memcmp(whole, pieces, (size_t)(n_whole < MAX_SPANS ? n_whole : MAX_SPANS) * sizeof whole[0]) == 0);
    lfm2_vad_destroy(v);
    return 0;
}
