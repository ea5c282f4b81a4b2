/* SPDX-License-Identifier: Apache-2.0
 * Audio encoders of other shapes, the published one among them, against what the reference computed: mel, embeddings, CTC head, and
 * what the backbone makes of them. The weights come from a formula, see make_audio.py; they are written as either container first.
 * usage: test_audio_shapes FOLDER CASE MASK   MASK: as in test_oracle_audio */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "encoders/conformer_impl.h"
#include "oracle/audio_testing.h"
#include "oracle/oracle.h"
#include "weights/gguf_write.h"

#define MEL_MAX_ABS 1e-3
#define MIN_COSINE 0.9999
/* The head is one more product behind rows that are right to 1e-5 or so; log-probabilities of some -4. */
#define CTC_MAX_ABS 1e-3

enum { MAX_TENSORS = 1024 };

static int n_failed;

static void check(int ok, const char *what)
{
    if (ok) return;
    fprintf(stderr, "FAILED: %s\n", what);
    n_failed++;
}

static void *must(void *p)
{
    if (!p) exit(1);
    return p;
}

/* ---- Weights by formula ---- */

static int ends_with(const char *s, const char *end)
{
    const size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static uint32_t mixed(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    return x ^ x >> 16;
}

static uint32_t seed_of(const char *name)
{
    uint32_t seed = 2166136261u;
    for (const char *c = name; *c; c++) seed = (seed ^ (unsigned char)*c) * 16777619u;
    return seed;
}

typedef enum kind { KIND_VARIANCE, KIND_BIAS, KIND_NORM, KIND_MATRIX } kind;

static kind kind_of(const char *name, int32_t n_dims)
{
    static const char *const biases[] = { "bias", "running_mean", "pos_bias_u", "pos_bias_v" };
    if (ends_with(name, "running_var")) return KIND_VARIANCE;
    for (size_t i = 0; i < LFM2__COUNT_OF(biases); i++) {
        if (ends_with(name, biases[i])) return KIND_BIAS;
    }
    return n_dims == 1 ? KIND_NORM : KIND_MATRIX;
}

static float weight(kind k, uint32_t seed, uint32_t i, float scale)
{
    const uint32_t x = mixed(i * 0x9e3779b1u + seed);
    const float top4 = (float)(x >> 28), value = ((float)(x >> 24) - 127.5f) / 128.0f;
    switch (k) {
    case KIND_VARIANCE: return 0.5f + top4 / 16.0f;
    case KIND_BIAS: return value / 8.0f;
    case KIND_NORM: return 1.0f + (top4 - 8.0f) / 32.0f;
    case KIND_MATRIX: break;
    }
    return value * scale;
}

typedef struct formula {
    char name[96]; /* as in safetensors: what the values come from */
    kind k;
    uint32_t seed;
    float scale;
    size_t n;
} formula;

static void put_name(char *out, size_t cap, const char *pattern, int32_t layer)
{
    const char *at = strstr(pattern, "%d");
    if (at)
        snprintf(out, cap, "%.*s%d%s", (int)(at - pattern), pattern, (int)layer, at + 2);
    else
        snprintf(out, cap, "%s", pattern);
}

static formula formula_of(const lfm2__bind_row *row, int32_t layer)
{
    formula f = { .n = 1, .scale = 1 };
    put_name(f.name, sizeof(f.name), row->st_name, layer);
    f.k = kind_of(f.name, row->n_dims);
    f.seed = seed_of(f.name);
    size_t n_in = 1;
    for (int32_t i = 0; i < row->n_dims; i++) {
        f.n *= (size_t)row->dims[i];
        if (i > 0) n_in *= (size_t)row->dims[i];
    }
    while (f.scale * f.scale * (float)n_in > 3) f.scale /= 2;
    return f;
}

/* ---- The two containers ---- */

typedef struct file {
    lfm2_tensor t[MAX_TENSORS];
    formula f[MAX_TENSORS];
    size_t n;
    int gguf;
} file;

static int add_tensor(void *ctx, const lfm2__bind_row *row, int32_t layer, int32_t expert)
{
    file *out = ctx;
    const char *name = out->gguf ? row->gguf_name : row->st_name;
    (void)expert;
    if (!name || (row->flags & LFM2__BIND_UNREAD) != 0) return 0;
    if (out->n == MAX_TENSORS) exit(1);
    formula *f = &out->f[out->n];
    lfm2_tensor *t = &out->t[out->n++];
    *f = formula_of(row, layer);
    const int is_f32 = out->gguf && (row->flags & LFM2__BIND_F32) != 0;
    *t = (lfm2_tensor){ .dtype = is_f32 ? LFM2_DTYPE_F32 : LFM2_DTYPE_BF16, .n_dims = row->n_dims };
    char *text = must(malloc(128));
    put_name(text, 128, name, layer);
    t->name = text;
    memcpy(t->dims, row->dims, sizeof(row->dims));
    t->n_bytes = f->n * (t->dtype == LFM2_DTYPE_F32 ? 4 : 2);
    return 0;
}

/* GGUF has the batch norm's weight over its deviation, and its bias less the mean times that. */
static void fold(const formula *f, float *values)
{
    const int is_weight = ends_with(f->name, ".batch_norm.weight"), is_bias = ends_with(f->name, ".batch_norm.bias");
    if (!is_weight && !is_bias) return;
    char name[4][128];
    static const char *const parts[4] = { "weight", "bias", "running_mean", "running_var" };
    const int n_stem = (int)strlen(f->name) - (is_weight ? 6 : 4);
    for (int i = 0; i < 4; i++) snprintf(name[i], sizeof(name[i]), "%.*s%s", n_stem, f->name, parts[i]);
    for (uint32_t i = 0; i < f->n; i++) {
        const double w = (double)weight(KIND_NORM, seed_of(name[0]), i, 1), b = (double)weight(KIND_BIAS, seed_of(name[1]), i, 1);
        const double mean = (double)weight(KIND_BIAS, seed_of(name[2]), i, 1);
        const double scale = w / sqrt((double)weight(KIND_VARIANCE, seed_of(name[3]), i, 1) + 1e-5);
        values[i] = (float)(is_weight ? scale : b - mean * scale);
    }
}

/* What a tensor's bytes are; to be freed. */
static void *bytes_of(const lfm2_tensor *t, const formula *f)
{
    float *values = must(malloc(f->n * sizeof(float)));
    for (size_t i = 0; i < f->n; i++) values[i] = weight(f->k, f->seed, (uint32_t)i, f->scale);
    if (t->dtype == LFM2_DTYPE_F32) {
        fold(f, values);
        return values;
    }
    uint16_t *packed = must(malloc(f->n * sizeof(*packed)));
    for (size_t i = 0; i < f->n; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof(bits));
        if ((bits & 0xffff) != 0) exit(1); /* the formula gives nothing that BF16 has not */
        packed[i] = (uint16_t)(bits >> 16);
    }
    free(values);
    return packed;
}

static int64_t int_of(const lfm2__json *obj, const char *key)
{
    return lfm2__json_int(lfm2__json_get(obj, key));
}

static void write_safetensors(lfm2_runtime *rt, file *x, const lfm2__json *config, const char *folder)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = must(fopen(oracle_path(folder, "config.json"), "wb"));
    if (lfm2__json_dumps(rt, config, &text, &n) < 0 || fwrite(text, 1, n, f) != n || fclose(f) != 0) exit(1);
    lfm2__free(rt, text);
    for (size_t i = 0; i < x->n; i++) x->t[i].data = bytes_of(&x->t[i], &x->f[i]);
    if (lfm2_safetensors_save(rt, oracle_path(folder, "model.safetensors"), x->t, x->n) < 0) exit(1);
    for (size_t i = 0; i < x->n; i++) free((void *)(uintptr_t)x->t[i].data);
}

static void write_gguf(lfm2_runtime *rt, file *x, const lfm2__json *config, const lfm2_audio_config *c, const char *folder)
{
    lfm2__gguf_writer *g = NULL;
    const lfm2__json *ctc = lfm2__json_get(config, "ctc");
    int rc = lfm2__gguf_write_create(rt, oracle_path(folder, "encoder.gguf"), &g);
    if (rc < 0) exit(1);
    lfm2__gguf_put_str(g, "general.architecture", "clip", 4);
    lfm2__gguf_put_bool(g, "clip.has_audio_encoder", 1);
    lfm2__gguf_put_str(g, "clip.projector_type", "lfm2a", 5);
    lfm2__gguf_put_u32(g, "clip.audio.num_mel_bins", (uint32_t)c->n_mels);
    lfm2__gguf_put_u32(g, "clip.audio.block_count", (uint32_t)c->n_layers);
    lfm2__gguf_put_u32(g, "clip.audio.embedding_length", (uint32_t)c->d_model);
    lfm2__gguf_put_u32(g, "clip.audio.feed_forward_length", (uint32_t)c->d_model); /* wrong, as in published files */
    lfm2__gguf_put_u32(g, "clip.audio.attention.head_count", (uint32_t)c->n_heads);
    lfm2__gguf_put_f32(g, "clip.audio.attention.layer_norm_epsilon", 1e-5f);
    lfm2__gguf_put_u32(g, "clip.audio.projection_dim", (uint32_t)c->d_out);
    if (lfm2__json_typeof(ctc) == LFM2__JSON_OBJECT) {
        size_t n = 0;
        const char *alphabet = lfm2__json_str(lfm2__json_get(ctc, "alphabet"), &n);
        lfm2__gguf_put_u32(g, "lfm2.audio.ctc.upsample", (uint32_t)c->ctc_upsample);
        lfm2__gguf_put_str(g, "lfm2.audio.ctc.alphabet", alphabet, n);
    }
    for (size_t i = 0; rc == 0 && i < x->n; i++)
        rc = lfm2__gguf_put_tensor(g, x->t[i].name, x->t[i].dtype, x->t[i].n_dims, x->t[i].dims);
    for (size_t i = 0; rc == 0 && i < x->n; i++) {
        void *bytes = bytes_of(&x->t[i], &x->f[i]);
        rc = lfm2__gguf_write_data(g, bytes, x->t[i].n_bytes);
        if (rc == 0) rc = lfm2__gguf_end_tensor(g);
        free(bytes);
    }
    if (rc < 0 || lfm2__gguf_write_finish(g) < 0) exit(1);
    lfm2__gguf_write_destroy(g);
}

static lfm2_audio_config config_of_case(lfm2_runtime *rt, const lfm2__json *c)
{
    lfm2_audio_config cfg = { 0 };
    uint32_t *alphabet = NULL;
    if (lfm2__audio_config_from_value(rt, "case", lfm2__json_get(c, "config"), &cfg, &alphabet) < 0) exit(1);
    lfm2__free(rt, alphabet);
    cfg.d_adapter = (int32_t)int_of(c, "d_adapter");
    cfg.d_out = (int32_t)int_of(c, "d_out");
    return cfg;
}

/* Into a new file below folder; returns its path. */
static const char *write_encoder(lfm2_runtime *rt, const lfm2__json *c, const char *folder, int gguf)
{
    static file x;
    struct lfm2_audio_encoder shape = { .cfg = config_of_case(rt, c) };
    shape.layers = must(calloc((size_t)shape.cfg.n_layers, sizeof(*shape.layers)));
    x.n = 0;
    x.gguf = gguf;
    if (lfm2__audio_tensors(&shape, add_tensor, &x) < 0) exit(1);
    if (gguf)
        write_gguf(rt, &x, lfm2__json_get(c, "config"), &shape.cfg, folder);
    else
        write_safetensors(rt, &x, lfm2__json_get(c, "config"), folder);
    for (size_t i = 0; i < x.n; i++) free((void *)(uintptr_t)x.t[i].name);
    free(shape.layers);
    return oracle_path(folder, gguf ? "encoder.gguf" : "model.safetensors");
}

/* ---- Comparing ---- */

/* f32 [rows, cols] of expected.safetensors. */
static const float *expected(const lfm2_weights *w, const char *name, const char *part, int64_t rows, int64_t cols)
{
    char full[64];
    snprintf(full, sizeof(full), "%s.%s", name, part);
    const lfm2_tensor *t = lfm2_weights_find(w, full);
    if (!t || t->dtype != LFM2_DTYPE_F32 || t->n_dims != 2 || t->dims[0] != rows || t->dims[1] != cols) {
        fprintf(stderr, "no tensor %s of shape %lld x %lld\n", full, (long long)rows, (long long)cols);
        exit(1);
    }
    float *copy = must(malloc(t->n_bytes));
    memcpy(copy, t->data, t->n_bytes);
    return copy;
}

static double worst_difference(const float *got, int64_t stride, const float *want, int64_t n)
{
    double worst = 0;
    for (int64_t i = 0; i < n; i++) {
        const double e = fabs((double)got[i * stride] - (double)want[i]);
        if (!(e <= worst)) worst = e;
    }
    return worst;
}

/* Frames of the case's piece of sound, whole and in pieces of 10 ms to 10 s: the same bits. */
static float *mel_of_case(lfm2_runtime *rt, const char *dir, const lfm2__json *c, const lfm2_weights *w, const char *name,
                          int32_t *n_frames)
{
    static const int64_t pieces[] = { 160, 1000, 16001, 160000 };
    const int32_t n_mels = config_of_case(rt, c).n_mels, want_frames = (int32_t)int_of(c, "mel_frames");
    const int64_t n_samples = int_of(c, "n_samples"), stride = int_of(c, "mel_stride");
    const size_t n_values = (size_t)want_frames * (size_t)n_mels;
    int64_t n_file = 0;
    char path[512];
    snprintf(path, sizeof(path), "%s/../%s", dir, lfm2__json_str(lfm2__json_get(c, "file"), NULL));
    float *samples = must(read_wav(path, &n_file)), *at = samples + int_of(c, "first_sample");
    float *mel = must(malloc(n_values * sizeof(float))), *again = must(malloc(n_values * sizeof(float)));
    lfm2_mel *front = NULL;
    if (int_of(c, "first_sample") + n_samples > n_file || lfm2_mel_create(rt, n_mels, &front) < 0) exit(1);
    check(lfm2_mel_compute(front, at, n_samples, mel, want_frames, n_frames) == 0 && *n_frames == want_frames, "mel");
    for (size_t p = 0; p < LFM2__COUNT_OF(pieces); p++) {
        int32_t n = 0, n_done = 0;
        for (int64_t i = 0; i < n_samples; i += pieces[p], n_done += n) {
            const int64_t take = n_samples - i < pieces[p] ? n_samples - i : pieces[p];
            if (lfm2_mel_push(front, at + i, take, again + (size_t)n_done * (size_t)n_mels, want_frames - n_done, &n) < 0) exit(1);
        }
        check(lfm2_mel_finish(front, again + (size_t)n_done * (size_t)n_mels, want_frames - n_done, &n) == 0, "mel in pieces");
        check(lfm2_mel_normalize(again, want_frames, n_mels) == 0, "mel in pieces");
        check(memcmp(mel, again, n_values * sizeof(float)) == 0, "mel in pieces: other bits");
    }
    const float *want = expected(w, name, "mel", want_frames, n_mels / stride);
    const double worst = worst_difference(mel, stride, want, (int64_t)n_values / stride);
    printf("%s: %d frames, worst mel error %.3g\n", name, (int)want_frames, worst);
    check(worst <= MEL_MAX_ABS, "mel");
    free((void *)(uintptr_t)want);
    free(again);
    free(samples);
    lfm2_mel_destroy(front);
    return mel;
}

/* What golden/audio's backbone says to the embeddings. */
static void check_greedy(lfm2_runtime *rt, const char *dir, const lfm2__json *c, const float *embed, int32_t n_tok)
{
    char path[512];
    int32_t n_prefix = 0, n_suffix = 0, n_want = 0, n_same = 0;
    int32_t *prefix = oracle_ids(lfm2__json_get(c, "prefix"), &n_prefix);
    int32_t *suffix = oracle_ids(lfm2__json_get(c, "suffix"), &n_suffix);
    int32_t *want = oracle_ids(lfm2__json_get(c, "greedy"), &n_want), id = 0;
    lfm2_model *m = NULL;
    lfm2_session *s = NULL;
    snprintf(path, sizeof(path), "%s/../golden/audio", dir);
    if (lfm2_model_load(rt, path, &m) < 0) exit(1);
    const lfm2_session_params p = lfm2_session_params_default(m);
    float *logits = must(malloc((size_t)lfm2_model_config(m)->n_vocab * sizeof(float)));
    const lfm2_span prompt[] = { { .n_tok = n_prefix, .ids = prefix }, { .n_tok = n_tok, .embed = embed },
                                 { .n_tok = n_suffix, .ids = suffix, .logits = LFM2_LOGITS_LAST } };
    const lfm2_span next = { .n_tok = 1, .ids = &id, .logits = LFM2_LOGITS_LAST };
    int rc = lfm2_session_create(m, &p, &s);
    if (rc == 0) rc = lfm2_session_forward(s, prompt, 3, logits, 1);
    for (; rc == 0 && n_same < n_want; n_same++) {
        id = 0;
        for (int32_t i = 1; i < lfm2_model_config(m)->n_vocab; i++) id = logits[i] > logits[id] ? i : id;
        if (id != want[n_same]) break;
        rc = lfm2_session_forward(s, &next, 1, logits, 1);
    }
    printf("    %d of %d greedy ids\n", (int)n_same, (int)n_want);
    check(rc == 0 && n_want >= 6 && n_same == n_want, "greedy ids");
    lfm2_session_destroy(s);
    lfm2_model_unload(m);
    free(logits);
    free(want);
    free(suffix);
    free(prefix);
}

static void check_encoder(lfm2_runtime *rt, const char *path, const char *dir, const lfm2__json *c, const lfm2_weights *w,
                          const char *name, const float *mel, int32_t n_frames)
{
    lfm2_audio_encoder *enc = NULL;
    lfm2_audio_scratch *s = NULL;
    const int32_t n_want = (int32_t)int_of(c, "n_audio_tokens");
    const lfm2_audio_segment seg = { mel, n_frames };
    int32_t n_tok = 0;
    if (lfm2_audio_encoder_load(rt, path, &enc) < 0 || lfm2_audio_scratch_create(enc, n_want, &s) < 0) exit(1);
    const lfm2_audio_config *cfg = lfm2_audio_encoder_config(enc);
    const int32_t n_rows = n_want * cfg->ctc_upsample;
    float *out = must(malloc((size_t)n_want * (size_t)cfg->d_out * sizeof(float)));
    float *ctc = n_rows > 0 ? must(malloc((size_t)n_rows * (size_t)cfg->n_ctc_classes * sizeof(float))) : NULL;
    const int rc = lfm2_audio_encode_ctc(enc, &seg, 1, s, out, ctc, n_want, &n_tok);
    check(rc == 0 && n_tok == n_want, lfm2_err_name(rc));
    const float *want = expected(w, name, "embed", n_want, cfg->d_out);
    double worst[2];
    worst_cosine(out, want, n_want, cfg->d_out, worst);
    printf("%s: %d layers of %d\n    %d tokens, worst cosine 1 - %.3g, without the mean 1 - %.3g\n", path, (int)cfg->n_layers,
           (int)cfg->d_model, (int)n_tok, 1 - worst[0], 1 - worst[1]);
    check(worst[0] >= MIN_COSINE && worst[1] >= MIN_COSINE, "cosine");
    if (ctc) {
        const float *want_ctc = expected(w, name, "ctc", n_rows, cfg->n_ctc_classes);
        const double e = worst_difference(ctc, 1, want_ctc, (int64_t)n_rows * cfg->n_ctc_classes);
        printf("    %d CTC frames of %d classes, worst error %.3g\n", (int)n_rows, (int)cfg->n_ctc_classes, e);
        check(e <= CTC_MAX_ABS, "CTC");
        free((void *)(uintptr_t)want_ctc);
    }
    check_greedy(rt, dir, c, out, n_tok);
    free((void *)(uintptr_t)want);
    free(ctc);
    free(out);
    lfm2_audio_scratch_destroy(s);
    lfm2_audio_encoder_unload(enc);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: test_audio_shapes FOLDER CASE MASK\n");
        return 1;
    }
    const char *dir = argv[1], *name = argv[2];
    lfm2_runtime *rt = oracle_runtime(strcmp(argv[3], "all") == 0 ? LFM2_CPU_MASK_ALL : (uint32_t)strtoul(argv[3], NULL, 0));
    lfm2_weights *w = NULL;
    lfm2__json_doc *doc = oracle_cases(rt, dir);
    const lfm2__json *c = NULL;
    char folder[] = "/tmp/lfm2-test-XXXXXX";
    int32_t n_frames = 0;
    if (!doc || lfm2_weights_open(rt, oracle_path(dir, "expected.safetensors"), &w) < 0 || !mkdtemp(folder)) return 1;
    for (size_t i = 0; i < lfm2__json_size(lfm2__json_root(doc)); i++) {
        const lfm2__json *x = lfm2__json_at(lfm2__json_root(doc), i);
        const char *is = lfm2__json_str(lfm2__json_get(x, "name"), NULL);
        if (is && strcmp(is, name) == 0) c = x;
    }
    check(c != NULL, "no such case");
    float *mel = c ? mel_of_case(rt, dir, c, w, name, &n_frames) : NULL;
    for (int gguf = 0; c && gguf < 2; gguf++) {
        const char *path = write_encoder(rt, c, folder, gguf);
        check_encoder(rt, path, dir, c, w, name, mel, n_frames);
        unlink(oracle_path(folder, gguf ? "encoder.gguf" : "model.safetensors"));
    }
    unlink(oracle_path(folder, "config.json"));
    check(rmdir(folder) == 0, "files are left");
    free(mel);
    lfm2_weights_close(w);
    lfm2__json_free(doc);
    lfm2_runtime_destroy(rt);
    return n_failed > 0;
}
