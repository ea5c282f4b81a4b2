/* SPDX-License-Identifier: Apache-2.0
 * For fit_vad.py: 16 kHz f32 samples on standard input; for each window that says anything one record on standard output, f32: the
 * frame it ends before, then its features. */
#include <stdio.h>

#include "pipeline/vad_impl.h"

static void put(void *ctx, int64_t end_frame, const float features[LFM2__VAD_N_FEATURES])
{
    const float end = (float)end_frame;
    (void)ctx;
    (void)fwrite(&end, sizeof end, 1, stdout);
    (void)fwrite(features, sizeof features[0], LFM2__VAD_N_FEATURES, stdout);
}

int main(void)
{
    static float samples[16000];
    lfm2_runtime *rt = NULL;
    lfm2_vad *v = NULL;
    lfm2_vad_span span;
    size_t n;

    if (lfm2_runtime_create(NULL, &rt) < 0 || lfm2_vad_create(rt, NULL, &v) < 0) return 1;
    lfm2__vad_probe(v, put, NULL);
    do {
        n = fread(samples, sizeof samples[0], sizeof samples / sizeof samples[0], stdin);
        int64_t n_taken = 0;
        for (int64_t i = 0; i < (int64_t)n || n == 0; i += n_taken) {
            if (lfm2_vad_push(v, n > 0 ? samples + i : NULL, (int64_t)n - i, &n_taken) < 0) return 1;
            while (lfm2_vad_pull(v, &span) == 0) continue;
            if (n == 0) break;
        }
    } while (n > 0);
    lfm2_vad_destroy(v);
    lfm2_runtime_destroy(rt);
    return fflush(stdout) == 0 ? 0 : 1;
}
