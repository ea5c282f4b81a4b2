/* SPDX-License-Identifier: Apache-2.0
 * The audio front end and encoder against what the reference computed, from both containers.
 * usage: test_oracle_audio FOLDER MASK   MASK: 0 = scalar, all, or a number as in --cpumask */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lfm2/audio_encoder.h"
#include "oracle/audio_testing.h"
#include "oracle/oracle.h"

#define MEL_MAX_ABS 1e-3
#define MIN_COSINE 0.9999

static int n_failed;

static void check(int ok, const char *what)
{
    if (ok) return;
    fprintf(stderr, "FAILED: %s\n", what);
    n_failed++;
}

/* An F32 matrix of expected.safetensors. */
static float *expected(const lfm2_weights *w, const lfm2__json *name, int64_t rows, int64_t cols)
{
    const char *s = lfm2__json_str(name, NULL);
    const lfm2_tensor *t = s ? lfm2_weights_find(w, s) : NULL;
    if (!t || t->dtype != LFM2_DTYPE_F32 || t->n_dims != 2 || t->dims[0] != rows || t->dims[1] != cols) {
        fprintf(stderr, "no tensor %s of shape %lld x %lld\n", s ? s : "?", (long long)rows, (long long)cols);
        exit(1);
    }
    float *copy = malloc(t->n_bytes);
    if (!copy) exit(1);
    memcpy(copy, t->data, t->n_bytes);
    return copy;
}

static void check_mel(const float *mel, const float *want, int32_t n_frames, int32_t n_mels, const char *file)
{
    double worst = 0;
    for (int64_t i = 0; i < (int64_t)n_frames * n_mels; i++) {
        const double e = fabs((double)mel[i] - (double)want[i]);
        if (!(e <= worst)) worst = e;
    }
    printf("%s: %d frames, worst mel error %.3g\n", file, (int)n_frames, worst);
    check(worst <= MEL_MAX_ABS, "mel");
}

static void check_embed(const lfm2_audio_encoder *enc, const float *mel, int32_t n_frames, const float *want, int32_t n_want)
{
    const int32_t d = lfm2_audio_encoder_config(enc)->d_out;
    const lfm2_audio_segment seg = { mel, n_frames };
    lfm2_audio_scratch *s = NULL;
    float *out = malloc((size_t)n_want * (size_t)d * sizeof(float));
    int32_t n_tok = 0;
    int rc = out ? lfm2_audio_scratch_create(enc, n_want, &s) : LFM2_ERR_NOMEM;
    if (rc == 0) rc = lfm2_audio_encode(enc, &seg, 1, s, out, n_want, &n_tok);
    check(rc == 0 && n_tok == n_want, lfm2_err_name(rc));
    if (rc == 0) {
        double worst[2];
        worst_cosine(out, want, n_tok, d, worst);
        printf("    %d tokens, worst cosine 1 - %.3g, without the mean 1 - %.3g, nmse %.3g\n", (int)n_tok, 1 - worst[0],
               1 - worst[1], oracle_compare(out, want, (int64_t)n_tok * d, 1e-6).nmse);
        check(worst[0] >= MIN_COSINE && worst[1] >= MIN_COSINE, "cosine");
    }
    free(out);
    lfm2_audio_scratch_destroy(s);
}

static void run_case(lfm2_runtime *rt, const lfm2_audio_encoder *enc, const char *dir, const lfm2__json *c, const lfm2_weights *w)
{
    const lfm2_audio_config *cfg = lfm2_audio_encoder_config(enc);
    const char *file = lfm2__json_str(lfm2__json_get(c, "file"), NULL);
    const int32_t n_frames = (int32_t)lfm2__json_int(lfm2__json_get(c, "mel_frames"));
    const int32_t n_want = (int32_t)lfm2__json_int(lfm2__json_get(c, "n_audio_tokens"));
    float *want_mel = expected(w, lfm2__json_get(c, "mel"), n_frames, cfg->n_mels);
    float *want = expected(w, lfm2__json_get(c, "embed"), n_want, cfg->d_out);
    int64_t n_samples = 0;
    float *samples = read_wav(oracle_path(dir, file), &n_samples);
    float *mel = malloc((size_t)n_frames * (size_t)cfg->n_mels * sizeof(float));
    lfm2_mel *front = NULL;
    int32_t n = 0;
    if (!samples || !mel || lfm2_mel_create(rt, cfg->n_mels, &front) < 0) exit(1);
    check(lfm2_mel_n_frames(n_samples) == n_frames && lfm2_audio_n_tok(n_frames) == n_want, "counts");
    check(lfm2_mel_compute(front, samples, n_samples, mel, n_frames, &n) == 0 && n == n_frames, "lfm2_mel_compute");
    check_mel(mel, want_mel, n_frames, cfg->n_mels, file);
    check_embed(enc, mel, n_frames, want, n_want);
    lfm2_mel_destroy(front);
    free(mel);
    free(samples);
    free(want);
    free(want_mel);
}

int main(int argc, char **argv)
{
    static const char *const files[] = { "model.safetensors", "mmproj-bf16.gguf" };
    if (argc != 3) {
        fprintf(stderr, "usage: test_oracle_audio FOLDER MASK\n");
        return 1;
    }
    lfm2_runtime *rt = oracle_runtime(strcmp(argv[2], "all") == 0 ? LFM2_CPU_MASK_ALL : (uint32_t)strtoul(argv[2], NULL, 0));
    lfm2_weights *w = NULL;
    lfm2__json_doc *doc = oracle_cases(rt, argv[1]);
    int n_cases = 0;
    if (!doc || lfm2_weights_open(rt, oracle_path(argv[1], "expected.safetensors"), &w) < 0) return 1;
    for (size_t f = 0; f < LFM2__COUNT_OF(files); f++) {
        lfm2_audio_encoder *enc = NULL;
        if (lfm2_audio_encoder_load(rt, oracle_path(argv[1], files[f]), &enc) < 0) return 1;
        printf("%s\n", files[f]);
        for (size_t i = 0; i < lfm2__json_size(lfm2__json_root(doc)); i++) {
            const lfm2__json *c = lfm2__json_at(lfm2__json_root(doc), i);
            const char *kind = lfm2__json_str(lfm2__json_get(c, "kind"), NULL);
            if (!kind || strcmp(kind, "audio") != 0) continue;
            run_case(rt, enc, argv[1], c, w);
            n_cases++;
        }
        lfm2_audio_encoder_unload(enc);
    }
    check(n_cases > 0, "no cases");
    lfm2_weights_close(w);
    lfm2__json_free(doc);
    lfm2_runtime_destroy(rt);
    return n_failed > 0;
}
