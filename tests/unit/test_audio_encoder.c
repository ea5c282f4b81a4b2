/* SPDX-License-Identifier: Apache-2.0
 * The audio encoder on the reference checkpoint: batches, types of weights, threads, what is refused, allocations that fail.
 * What it computes is checked against the reference by the oracle tests. */
#include "base_testing.h"
#include "file_testing.h"

#include <math.h>
#include <unistd.h>

#include "base/utf8.h"
#include "encoders/conformer_impl.h"
#include "weights/gguf_write.h"

#define GOLDEN LFM2_TEST_DIR "/oracle/golden/audio"
#define MMPROJ GOLDEN "/mmproj-bf16.gguf"

enum { N_MELS = 128, D_OUT = 128, MAX_FRAMES = 320 };

static lfm2_runtime *runtime(int32_t n_threads, uint32_t mask, test_heap *heap, test_log *log)
{
    lfm2_runtime_params p = lfm2_runtime_params_default();
    p.n_threads = n_threads;
    p.cpu_mask = mask;
    return test_runtime_with(p, heap, log);
}

/* Frames that look like normalised ones. */
static float *make_frames(int32_t n, uint32_t seed)
{
    float *mel = test_malloc((size_t)n * N_MELS * sizeof(float));
    for (int32_t i = 0; i < n * N_MELS; i++) {
        seed = seed * 1664525u + 1013904223u;
        mel[i] = (float)(seed >> 8) / 4194304.0f - 2.0f;
    }
    return mel;
}

/* Embeddings of segments, to be freed. */
static float *encode(const lfm2_audio_encoder *enc, const lfm2_audio_segment *segs, int32_t n, int32_t cap_tok, int32_t *n_tok)
{
    lfm2_audio_scratch *s = NULL;
    float *out = test_malloc((size_t)cap_tok * D_OUT * sizeof(float));
    assert_int_equal(lfm2_audio_scratch_create(enc, cap_tok, &s), 0);
    assert_int_equal(lfm2_audio_encode(enc, segs, n, s, out, cap_tok, n_tok), 0);
    lfm2_audio_scratch_destroy(s);
    return out;
}

static void test_config(void **state)
{
    (void)state;
    static const char *const paths[] = { GOLDEN "/model.safetensors", MMPROJ };
    lfm2_runtime *rt = runtime(1, 0, NULL, NULL);
    for (size_t i = 0; i < LFM2__COUNT_OF(paths); i++) {
        lfm2_audio_encoder *enc = NULL;
        assert_int_equal(lfm2_audio_encoder_load(rt, paths[i], &enc), 0);
        const lfm2_audio_config *c = lfm2_audio_encoder_config(enc);
        const int32_t want[] = { 128, 7, 64, 4, 256, 9, 32, 128, 128 };
        const int32_t got[] = { c->n_mels, c->n_layers, c->d_model, c->n_heads, c->d_ff, c->n_taps, c->n_channels, c->d_adapter,
                                c->d_out };
        assert_memory_equal(got, want, sizeof(want));
        lfm2_audio_encoder_unload(enc);
    }
    lfm2_audio_encoder_unload(NULL);
    lfm2_audio_scratch_destroy(NULL);
    assert_null(lfm2_audio_encoder_config(NULL));
    lfm2_runtime_destroy(rt);
    static const int32_t n_tok[][2] = { { -1, 0 }, { 0, 0 }, { 1, 1 }, { 8, 1 }, { 9, 2 }, { 101, 13 }, { 1001, 126 } };
    for (size_t i = 0; i < LFM2__COUNT_OF(n_tok); i++) assert_int_equal(lfm2_audio_n_tok(n_tok[i][0]), n_tok[i][1]);
}

/* Each segment alone, in a batch, with any number of threads and more or less room: the same bits. */
static void batch_is_each_alone(uint32_t mask)
{
    static const int32_t lengths[] = { 101, 1, 8, 9, 17, 300, 16, 129 };
    enum { N = 8, CAP = 80 };
    float *mel[N], *alone[N], *first = NULL;
    lfm2_audio_segment segs[N];
    int32_t n_all = 0;
    for (int i = 0; i < N; i++) {
        mel[i] = make_frames(lengths[i], (uint32_t)i + 1);
        segs[i] = (lfm2_audio_segment){ mel[i], lengths[i] };
    }
    for (int32_t n_threads = 1; n_threads <= 3; n_threads += 2) {
        lfm2_runtime *rt = runtime(n_threads, mask, NULL, NULL);
        lfm2_audio_encoder *enc = NULL;
        assert_int_equal(lfm2_audio_encoder_load(rt, MMPROJ, &enc), 0);
        float *all = encode(enc, segs, N, CAP, &n_all), *at = all;
        for (int i = 0; i < N; i++) {
            int32_t n = 0;
            alone[i] = encode(enc, &segs[i], 1, lfm2_audio_n_tok(lengths[i]), &n);
            assert_int_equal(n, lfm2_audio_n_tok(lengths[i]));
            assert_memory_equal(alone[i], at, (size_t)n * D_OUT * sizeof(float));
            at += (size_t)n * D_OUT;
            test_free(alone[i]);
        }
        assert_ptr_equal(at, all + (size_t)n_all * D_OUT);
        if (first) assert_memory_equal(first, all, (size_t)n_all * D_OUT * sizeof(float));
        if (first) test_free(first);
        first = all;
        lfm2_audio_encoder_unload(enc);
        lfm2_runtime_destroy(rt);
    }
    test_free(first);
    for (int i = 0; i < N; i++) test_free(mel[i]);
}

static void test_batch_scalar(void **state)
{
    (void)state;
    batch_is_each_alone(0);
}

static void test_batch_all(void **state)
{
    (void)state;
    batch_is_each_alone(LFM2_CPU_MASK_ALL & ~(uint32_t)LFM2_CPU_BLAS);
}

/* Every frame reaches every token. */
static void test_each_frame_counts(void **state)
{
    (void)state;
    enum { T = 41 };
    lfm2_runtime *rt = runtime(1, LFM2_CPU_MASK_ALL, NULL, NULL);
    lfm2_audio_encoder *enc = NULL;
    int32_t n = 0;
    float *mel = make_frames(T, 5);
    const lfm2_audio_segment seg = { mel, T };
    assert_int_equal(lfm2_audio_encoder_load(rt, MMPROJ, &enc), 0);
    float *before = encode(enc, &seg, 1, 6, &n);
    for (int t = 0; t < T; t += 5) {
        for (int i = 0; i < N_MELS; i++) mel[t * N_MELS + i] += 3;
        float *after = encode(enc, &seg, 1, 6, &n);
        for (int i = 0; i < 6; i++)
            assert_memory_not_equal(before + (size_t)i * D_OUT, after + (size_t)i * D_OUT, D_OUT * sizeof(float));
        test_free(before);
        before = after;
    }
    test_free(before);
    test_free(mel);
    lfm2_audio_encoder_unload(enc);
    lfm2_runtime_destroy(rt);
}

/* A copy of the encoder file: matrices as type `t`, and one integer key with another value (NULL: none). */
static void copy_file(lfm2_runtime *rt, const char *path, lfm2_dtype t, const char *key, uint32_t value, const char *without)
{
    lfm2_weights *w = NULL;
    lfm2__gguf_writer *g = NULL;
    lfm2__kernels k;
    lfm2__kernels_init(&k, 0);
    assert_int_equal(lfm2_weights_open(rt, MMPROJ, &w), 0);
    assert_int_equal(lfm2__gguf_write_create(rt, path, &g), 0);
    for (size_t i = 0; i < lfm2__weights_n_kv(w); i++) {
        const lfm2__kv *kv = lfm2__weights_kv(w, i);
        const int is_key = key && kv->key_n == strlen(key) && memcmp(kv->key, key, kv->key_n) == 0;
        if (!is_key) lfm2__gguf_put_kv(g, kv);
    }
    if (key && value != UINT32_MAX) lfm2__gguf_put_u32(g, key, value);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < lfm2_weights_n_tensors(w); i++) {
            const lfm2_tensor *x = lfm2_weights_tensor(w, i);
            if (without && strcmp(x->name, without) == 0) continue;
            const int is_matrix = x->dtype == LFM2_DTYPE_BF16 && x->n_dims == 2;
            const lfm2_dtype type = is_matrix ? t : x->dtype;
            if (pass == 0) {
                assert_int_equal(lfm2__gguf_put_tensor(g, x->name, type, x->n_dims, x->dims), 0);
                continue;
            }
            if (!is_matrix) {
                assert_int_equal(lfm2__gguf_write_data(g, x->data, x->n_bytes), 0);
            } else {
                const int32_t n = (int32_t)x->dims[1];
                float row[2048];
                unsigned char packed[8192];
                for (int64_t r = 0; r < x->dims[0]; r++) {
                    k.dequant[x->dtype](row, (const char *)x->data + (size_t)r * (size_t)n * 2, n);
                    assert_int_equal(lfm2__quantize_row(type, packed, row, n), 0);
                    assert_int_equal(lfm2__gguf_write_data(g, packed, lfm2_dtype_row_bytes(type, n)), 0);
                }
            }
            assert_int_equal(lfm2__gguf_end_tensor(g), 0);
        }
    }
    assert_int_equal(lfm2__gguf_write_finish(g), 0);
    lfm2__gguf_write_destroy(g);
    lfm2_weights_close(w);
}

/* F32 holds BF16 exactly, and F16 holds it but for tiny values; a block type is an approximation that must be near. */
static void test_types_of_weights(void **state)
{
    (void)state;
    static const struct {
        lfm2_dtype t;
        double limit; /* of the squared error against the squared embeddings */
    } types[] = { { LFM2_DTYPE_F32, 0 }, { LFM2_DTYPE_F16, 1e-6 }, { LFM2_DTYPE_Q8_0, 1e-3 } };
    lfm2_runtime *rt = runtime(1, 0, NULL, NULL);
    char folder[64], path[128];
    int32_t n = 0;
    float *mel = make_frames(65, 8);
    const lfm2_audio_segment seg = { mel, 65 };
    make_folder(folder, sizeof(folder));
    snprintf(path, sizeof(path), "%s/enc.gguf", folder);
    lfm2_audio_encoder *enc = NULL;
    assert_int_equal(lfm2_audio_encoder_load(rt, MMPROJ, &enc), 0);
    float *want = encode(enc, &seg, 1, 9, &n);
    lfm2_audio_encoder_unload(enc);
    for (size_t i = 0; i < LFM2__COUNT_OF(types); i++) {
        copy_file(rt, path, types[i].t, NULL, 0, NULL);
        assert_int_equal(lfm2_audio_encoder_load(rt, path, &enc), 0);
        float *got = encode(enc, &seg, 1, 9, &n);
        double error = 0, energy = 0;
        for (int32_t j = 0; j < n * D_OUT; j++) {
            error += ((double)got[j] - (double)want[j]) * ((double)got[j] - (double)want[j]);
            energy += (double)want[j] * (double)want[j];
        }
        assert_true(error <= types[i].limit * energy);
        test_free(got);
        lfm2_audio_encoder_unload(enc);
    }
    test_free(want);
    test_free(mel);
    remove_folder(folder);
    lfm2_runtime_destroy(rt);
}

static void test_hostile_gguf(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        uint32_t value; /* UINT32_MAX: the key is not there */
        const char *without; /* a tensor that is not there */
        int rc;
    } cases[] = {
        { "clip.audio.block_count", 0, NULL, LFM2_ERR_FORMAT },
        { "clip.audio.block_count", 129, NULL, LFM2_ERR_FORMAT },
        { "clip.audio.block_count", 8, NULL, LFM2_ERR_FORMAT },
        { "clip.audio.block_count", 6, NULL, LFM2_ERR_FORMAT },
        { "clip.audio.block_count", UINT32_MAX, NULL, LFM2_ERR_FORMAT },
        { "clip.audio.embedding_length", 1, NULL, LFM2_ERR_FORMAT },
        { "clip.audio.embedding_length", 63, NULL, LFM2_ERR_FORMAT },
        { "clip.audio.embedding_length", 128, NULL, LFM2_ERR_FORMAT },
        { "clip.audio.embedding_length", 4000000000u, NULL, LFM2_ERR_FORMAT },
        { "clip.audio.attention.head_count", 0, NULL, LFM2_ERR_FORMAT },
        { "clip.audio.attention.head_count", 3, NULL, LFM2_ERR_FORMAT },
        { "clip.audio.attention.head_count", 8, NULL, LFM2_ERR_FORMAT },
        { "clip.audio.num_mel_bins", 0, NULL, LFM2_ERR_FORMAT },
        { "clip.audio.num_mel_bins", 80, NULL, LFM2_ERR_FORMAT },
        { "clip.audio.num_mel_bins", 257, NULL, LFM2_ERR_FORMAT },
        { "clip.audio.num_mel_bins", UINT32_MAX, NULL, LFM2_ERR_FORMAT },
        { "clip.audio.projection_dim", 64, NULL, LFM2_ERR_FORMAT },
        { "clip.audio.attention.layer_norm_epsilon", 1, NULL, LFM2_ERR_UNSUPPORTED },
        { "clip.audio.attention.layer_norm_epsilon", 2, NULL, LFM2_ERR_FORMAT },
        { "clip.has_audio_encoder", UINT32_MAX, NULL, LFM2_ERR_UNSUPPORTED },
        { "lfm2.audio.ctc.upsample", 4, NULL, LFM2_ERR_FORMAT }, /* without an alphabet */
        { "lfm2.audio.ctc.upsample", 17, NULL, LFM2_ERR_FORMAT },
        { "lfm2.audio.ctc.alphabet", 4, NULL, LFM2_ERR_FORMAT }, /* no string */
        { "clip.projector_type", UINT32_MAX, NULL, LFM2_ERR_UNSUPPORTED },
        { "general.architecture", UINT32_MAX, NULL, LFM2_ERR_UNSUPPORTED },
        { NULL, 0, "a.blk.0.ffn_up.weight", LFM2_ERR_FORMAT },
        { NULL, 0, "a.blk.0.conv_dw.weight", LFM2_ERR_FORMAT },
        { NULL, 0, "a.conv1d.0.weight", LFM2_ERR_FORMAT },
        { NULL, 0, "mm.a.mlp.3.weight", LFM2_ERR_FORMAT },
        { NULL, 0, "a.blk.6.conv_norm.bias", LFM2_ERR_FORMAT },
    };
    test_log log = { 0 };
    lfm2_runtime *rt = runtime(1, 0, NULL, &log);
    char folder[64], path[128];
    make_folder(folder, sizeof(folder));
    snprintf(path, sizeof(path), "%s/enc.gguf", folder);
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        lfm2_audio_encoder *enc = NULL;
        copy_file(rt, path, LFM2_DTYPE_BF16, cases[i].key, cases[i].value, cases[i].without);
        log.n_lines = 0;
        assert_int_equal(lfm2_audio_encoder_load(rt, path, &enc), cases[i].rc);
        assert_null(enc);
        assert_int_equal(log.n_lines, 1);
        assert_non_null(strstr(log.line, path));
        const char *name = cases[i].without;
        if (name) assert_non_null(strstr(log.line, name));
    }
    remove_folder(folder);
    lfm2_runtime_destroy(rt);
}

#define CODEBOOKS "\"codebooks\": 8,"

/* Each: a piece of config.json, what stands there instead, the status, and what the log names. */
static void test_hostile_json(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
        int rc;
        const char *named;
    } cases[] = {
        { "\"n_layers\": 7", "\"n_layers\": 0", LFM2_ERR_FORMAT, "n_layers" },
        { "\"n_layers\": 7", "\"n_layers\": 1000000000000", LFM2_ERR_FORMAT, "n_layers" },
        { "\"n_layers\": 7", "\"n_layers\": \"7\"", LFM2_ERR_FORMAT, "n_layers" },
        { "\"n_layers\": 7", "\"n_layers\": 8", LFM2_ERR_FORMAT, "conformer.layers.7." },
        { "\"n_layers\": 7,", "", LFM2_ERR_FORMAT, "n_layers" },
        { "\"d_model\": 64", "\"d_model\": -64", LFM2_ERR_FORMAT, "d_model" },
        { "\"d_model\": 64", "\"d_model\": 128", LFM2_ERR_FORMAT, "instead of" },
        { "\"d_model\": 64", "\"d_model\": 16385", LFM2_ERR_FORMAT, "d_model" },
        { "\"n_heads\": 4", "\"n_heads\": 5", LFM2_ERR_FORMAT, "heads" },
        { "\"n_heads\": 4", "\"n_heads\": 0", LFM2_ERR_FORMAT, "n_heads" },
        { "\"ff_expansion_factor\": 4", "\"ff_expansion_factor\": 65", LFM2_ERR_FORMAT, "ff_expansion_factor" },
        { "\"ff_expansion_factor\": 4", "\"ff_expansion_factor\": 3", LFM2_ERR_FORMAT, "instead of" },
        { "\"conv_kernel_size\": 9", "\"conv_kernel_size\": 8", LFM2_ERR_FORMAT, "taps" },
        { "\"conv_kernel_size\": 9", "\"conv_kernel_size\": 65", LFM2_ERR_FORMAT, "conv_kernel_size" },
        { "\"subsampling_conv_channels\": 32", "\"subsampling_conv_channels\": 4097", LFM2_ERR_FORMAT, "channels" },
        { "\"feat_in\": 128", "\"feat_in\": 257", LFM2_ERR_FORMAT, "feat_in" },
        { "\"feat_in\": 128", "\"feat_in\": 80", LFM2_ERR_FORMAT, "features" },
        { "\"feat_out\": -1", "\"feat_out\": 64", LFM2_ERR_UNSUPPORTED, "feat_out" },
        { "\"dw_striding\"", "\"striding\"", LFM2_ERR_UNSUPPORTED, "subsampling" },
        { "\"subsampling_factor\": 8", "\"subsampling_factor\": 4", LFM2_ERR_UNSUPPORTED, "subsampling_factor" },
        { "\"causal_downsampling\": false", "\"causal_downsampling\": true", LFM2_ERR_UNSUPPORTED, "causal_downsampling" },
        { "\"reduction\": null", "\"reduction\": \"pooling\"", LFM2_ERR_UNSUPPORTED, "reduction" },
        { "\"rel_pos\"", "\"abs_pos\"", LFM2_ERR_UNSUPPORTED, "self_attention_model" },
        { "\"att_context_size\": [\n   -1,", "\"att_context_size\": [\n   70,", LFM2_ERR_UNSUPPORTED, "att_context_size" },
        { "\"xscaling\": false", "\"xscaling\": true", LFM2_ERR_UNSUPPORTED, "xscaling" },
        { "\"untie_biases\": true", "\"untie_biases\": false", LFM2_ERR_UNSUPPORTED, "untie_biases" },
        { "\"batch_norm\"", "\"layer_norm\"", LFM2_ERR_UNSUPPORTED, "conv_norm_type" },
        { "\"conv_context_size\": null", "\"conv_context_size\": \"causal\"", LFM2_ERR_UNSUPPORTED, "conv_context_size" },
        { "\"sample_rate\": 16000", "\"sample_rate\": 8000", LFM2_ERR_UNSUPPORTED, "sample_rate" },
        { "\"normalize\": \"per_feature\"", "\"normalize\": \"all_features\"", LFM2_ERR_UNSUPPORTED, "normalize" },
        { "\"n_fft\": 512", "\"n_fft\": 1024", LFM2_ERR_UNSUPPORTED, "n_fft" },
        { "\"window_size\": 0.025", "\"window_size\": 0.02", LFM2_ERR_UNSUPPORTED, "window_size" },
        { "\"encoder\":", "\"encoders\":", LFM2_ERR_UNSUPPORTED, "encoder" },
        { "\"preprocessor\":", "\"processor\":", LFM2_ERR_UNSUPPORTED, "preprocessor" },
        { CODEBOOKS, CODEBOOKS " \"ctc\": {\"upsample\": 4, \"alphabet\": \" ab\"},", LFM2_ERR_FORMAT, "ctc_head.weight" },
        { CODEBOOKS, CODEBOOKS " \"ctc\": {\"upsample\": 0, \"alphabet\": \" ab\"},", LFM2_ERR_FORMAT, "upsample" },
        { CODEBOOKS, CODEBOOKS " \"ctc\": {\"upsample\": 17, \"alphabet\": \" ab\"},", LFM2_ERR_FORMAT, "upsample" },
        { CODEBOOKS, CODEBOOKS " \"ctc\": {\"alphabet\": \" ab\"},", LFM2_ERR_FORMAT, "upsample" },
        { CODEBOOKS, CODEBOOKS " \"ctc\": {\"upsample\": 4},", LFM2_ERR_FORMAT, "alphabet" },
        { CODEBOOKS, CODEBOOKS " \"ctc\": {\"upsample\": 4, \"alphabet\": 7},", LFM2_ERR_FORMAT, "alphabet" },
        { CODEBOOKS, CODEBOOKS " \"ctc\": {\"upsample\": 4, \"alphabet\": \"\"},", LFM2_ERR_FORMAT, "alphabet" },
        { CODEBOOKS, CODEBOOKS " \"ctc\": {\"upsample\": 4, \"alphabet\": \"abca\"},", LFM2_ERR_FORMAT, "class 4 is" },
        { CODEBOOKS, CODEBOOKS " \"ctc\": [4],", LFM2_ERR_FORMAT, "upsample" },
        { "\"codebooks\": 8,", "\"codebooks\": 8", LFM2_ERR_FORMAT, "config.json" },
    };
    test_log log = { 0 };
    lfm2_runtime *rt = runtime(1, 0, NULL, &log);
    char folder[64], path[128];
    size_t n = 0;
    char *json = read_file(GOLDEN "/config.json", &n);
    make_folder(folder, sizeof(folder));
    snprintf(path, sizeof(path), "%s/model.safetensors", folder);
    assert_int_equal(symlink(GOLDEN "/model.safetensors", path), 0);
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        lfm2_audio_encoder *enc = NULL;
        char text[8192];
        const char *at = strstr(json, cases[i].from);
        assert_non_null(at);
        const int len = snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - json), json, cases[i].to, at + strlen(cases[i].from));
        assert_in_range(len, 1, sizeof(text) - 1);
        write_file_in(folder, "config.json", text, (size_t)len);
        log.line[0] = '\0';
        assert_int_equal(lfm2_audio_encoder_load(rt, folder, &enc), cases[i].rc);
        assert_null(enc);
        assert_non_null(strstr(log.line, cases[i].named));
    }
    free(json);
    remove_folder(folder);
    lfm2_runtime_destroy(rt);
}

static void test_refused(void **state)
{
    (void)state;
    test_heap heap = { 0 };
    lfm2_runtime *rt = runtime(2, LFM2_CPU_MASK_ALL, &heap, NULL);
    lfm2_audio_encoder *enc = NULL, *other = NULL;
    lfm2_audio_scratch *s = NULL;
    float *mel = make_frames(64, 2), *out = test_malloc(8 * D_OUT * sizeof(float));
    lfm2_audio_segment seg = { mel, 64 };
    int32_t n = -7;
    assert_int_equal(lfm2_audio_encoder_load(NULL, MMPROJ, &enc), LFM2_ERR_ARG);
    assert_int_equal(lfm2_audio_encoder_load(rt, NULL, &enc), LFM2_ERR_ARG);
    assert_int_equal(lfm2_audio_encoder_load(rt, MMPROJ, NULL), LFM2_ERR_ARG);
    assert_int_equal(lfm2_audio_encoder_load(rt, GOLDEN "/none.gguf", &enc), LFM2_ERR_NOT_FOUND);
    assert_int_equal(lfm2_audio_encoder_load(rt, GOLDEN "/jfk.wav", &enc), LFM2_ERR_FORMAT);
    assert_int_equal(lfm2_audio_encoder_load(rt, LFM2_TEST_DIR "/oracle/golden/text/model-bf16.gguf", &enc), LFM2_ERR_UNSUPPORTED);
    assert_int_equal(lfm2_audio_encoder_load(rt, LFM2_TEST_DIR "/oracle/golden/text", &enc), LFM2_ERR_UNSUPPORTED);
    assert_null(enc);
    assert_int_equal(lfm2_audio_encoder_load(rt, MMPROJ, &enc), 0);
    assert_int_equal(lfm2_audio_encoder_load(rt, MMPROJ, &other), 0);
    assert_int_equal(lfm2_audio_scratch_create(NULL, 8, &s), LFM2_ERR_ARG);
    assert_int_equal(lfm2_audio_scratch_create(enc, 0, &s), LFM2_ERR_ARG);
    assert_int_equal(lfm2_audio_scratch_create(enc, LFM2_AUDIO_MAX_TOK + 1, &s), LFM2_ERR_ARG);
    assert_int_equal(lfm2_audio_scratch_create(enc, 8, NULL), LFM2_ERR_ARG);
    assert_int_equal(lfm2_audio_scratch_create(enc, 8, &s), 0);
    const long n_calls = heap.n_calls;
    assert_int_equal(lfm2_audio_encode(NULL, &seg, 1, s, out, 8, &n), LFM2_ERR_ARG);
    assert_int_equal(lfm2_audio_encode(enc, NULL, 1, s, out, 8, &n), LFM2_ERR_ARG);
    assert_int_equal(lfm2_audio_encode(enc, &seg, 0, s, out, 8, &n), LFM2_ERR_ARG);
    assert_int_equal(lfm2_audio_encode(enc, &seg, 1, NULL, out, 8, &n), LFM2_ERR_ARG);
    assert_int_equal(lfm2_audio_encode(other, &seg, 1, s, out, 8, &n), LFM2_ERR_ARG);
    assert_int_equal(lfm2_audio_encode(enc, &seg, 1, s, NULL, 8, &n), LFM2_ERR_ARG);
    assert_int_equal(lfm2_audio_encode(enc, &seg, 1, s, out, 8, NULL), LFM2_ERR_ARG);
    assert_int_equal(lfm2_audio_encode(enc, &seg, 1, s, out, 7, &n), LFM2_ERR_RANGE);
    const lfm2_audio_segment bad[][2] = { { { NULL, 8 }, { mel, 8 } }, { { mel, 0 }, { mel, 8 } }, { { mel, -8 }, { mel, 8 } },
                                          { { mel, 8 }, { mel, INT32_MAX } }, { { mel, 8 }, { mel, 64 } } };
    for (size_t i = 0; i < LFM2__COUNT_OF(bad); i++)
        assert_int_equal(lfm2_audio_encode(enc, bad[i], 2, s, out, 1 << 20, &n), i < 3 ? LFM2_ERR_ARG : LFM2_ERR_RANGE);
    lfm2_runtime_abort(rt);
    assert_int_equal(lfm2_audio_encode(enc, &seg, 1, s, out, 8, &n), LFM2_ERR_ABORTED);
    lfm2_runtime_clear_abort(rt);
    mel[77] = NAN;
    assert_int_equal(lfm2_audio_encode(enc, &seg, 1, s, out, 8, &n), LFM2_ERR_NONFINITE);
    mel[77] = 0;
    assert_int_equal(n, -7);
    assert_int_equal(lfm2_audio_encode(enc, &seg, 1, s, out, 8, &n), 0);
    assert_int_equal(n, 8);
    assert_int_equal(heap.n_calls, n_calls); /* none of it allocated */
    lfm2_audio_scratch_destroy(s);
    lfm2_audio_encoder_unload(other);
    lfm2_audio_encoder_unload(enc);
    lfm2_runtime_destroy(rt);
    assert_int_equal(heap.n_live, 0);
    test_free(mel);
    test_free(out);
}

/* The head of a small encoder: probabilities, the very embeddings of a pass without it, each segment as if it were alone. */
static void test_ctc(void **state)
{
    (void)state;
    enum { MELS = 8, OUT = 4, CLASSES = 4, UP = 2, CAP = 16 };
    static const int32_t lengths[] = { 41, 9, 64 };
    static const uint32_t alphabet[CLASSES] = { 0, ' ', 'a', 0xE4 };
    lfm2_runtime *rt = runtime(2, 0, NULL, NULL);
    lfm2_audio_encoder *enc = NULL, *without = NULL;
    lfm2_audio_scratch *s = NULL;
    lfm2_audio_segment segs[3];
    float out[CAP * OUT], again[CAP * OUT], ctc[CAP * UP * CLASSES], alone[CAP * UP * CLASSES];
    int32_t n = 0, at = 0;
    assert_int_equal(lfm2_audio_encoder_load(rt, LFM2_TEST_DIR "/fuzz/corpus/audio_config/ctc.gguf", &enc), 0);
    assert_int_equal(lfm2_audio_encoder_config(enc)->n_ctc_classes, CLASSES);
    assert_int_equal(lfm2_audio_encoder_config(enc)->ctc_upsample, UP);
    assert_memory_equal(lfm2_audio_ctc_alphabet(enc), alphabet, sizeof(alphabet));
    assert_int_equal(lfm2_audio_scratch_create(enc, CAP, &s), 0);
    for (int i = 0; i < 3; i++) segs[i] = (lfm2_audio_segment){ make_frames(64, (uint32_t)i), lengths[i] }; /* wider than needed */
    assert_int_equal(lfm2_audio_encode_ctc(enc, segs, 3, s, out, ctc, CAP, &n), 0);
    assert_int_equal(n, 6 + 2 + 8);
    for (int r = 0; r < n * UP; r++) {
        double sum = 0;
        for (int c = 0; c < CLASSES; c++) sum += exp((double)ctc[r * CLASSES + c]);
        assert_true(fabs(sum - 1) < 1e-6);
    }
    assert_int_equal(lfm2_audio_encode(enc, segs, 3, s, again, CAP, &n), 0);
    assert_memory_equal(out, again, sizeof(out));
    for (int i = 0; i < 3; i++, at += n) {
        assert_int_equal(lfm2_audio_encode_ctc(enc, &segs[i], 1, s, again, alone, CAP, &n), 0);
        assert_memory_equal(alone, ctc + at * UP * CLASSES, (size_t)(n * UP * CLASSES) * sizeof(float));
    }
    lfm2_audio_scratch_destroy(s);
    lfm2_audio_encoder_unload(enc);
    assert_int_equal(lfm2_audio_encoder_load(rt, MMPROJ, &without), 0);
    assert_null(lfm2_audio_ctc_alphabet(without));
    assert_null(lfm2_audio_ctc_alphabet(NULL));
    assert_int_equal(lfm2_audio_encoder_config(without)->n_ctc_classes, 0);
    assert_int_equal(lfm2_audio_encoder_config(without)->ctc_upsample, 0);
    assert_int_equal(lfm2_audio_scratch_create(without, CAP, &s), 0);
    assert_int_equal(lfm2_audio_encode_ctc(without, segs, 1, s, out, ctc, CAP, &n), LFM2_ERR_UNSUPPORTED);
    lfm2_audio_scratch_destroy(s);
    lfm2_audio_encoder_unload(without);
    for (int i = 0; i < 3; i++) test_free((void *)(uintptr_t)segs[i].mel);
    lfm2_runtime_destroy(rt);
}

static void test_alphabet(void **state)
{
    (void)state;
    test_log log = { 0 };
    lfm2_runtime *rt = runtime(1, 0, NULL, &log);
    uint32_t *alphabet = NULL;
    int32_t n = -7;
    char *many = test_malloc(4 * LFM2__AUDIO_MAX_CLASSES + 4);
    size_t n_many = 0;
    for (uint32_t cp = 0x10000; cp < 0x10000 + LFM2__AUDIO_MAX_CLASSES; cp++) n_many += lfm2__utf8_encode(cp, many + n_many);
    assert_int_equal(lfm2__audio_alphabet(rt, "x", many, n_many - 4, &alphabet, &n), 0);
    assert_int_equal(n, LFM2__AUDIO_MAX_CLASSES);
    lfm2__free(rt, alphabet);
    alphabet = NULL;
    n = -7;
    const struct {
        const char *text;
        size_t n;
    } bad[] = { { "", 0 }, { "a\xff", 2 }, { "a\xc3", 2 }, { "a\0b", 3 }, { "\xc3\xa4 \xc3\xa4", 5 }, { many, n_many },
                { many, n_many + 4 } };
    for (size_t i = 0; i < LFM2__COUNT_OF(bad); i++) {
        log.n_lines = 0;
        assert_int_equal(lfm2__audio_alphabet(rt, "x", bad[i].text, bad[i].n, &alphabet, &n), LFM2_ERR_FORMAT);
        assert_int_equal(log.n_lines, 1);
        assert_null(alphabet);
        assert_int_equal(n, -7);
    }
    test_free(many);
    lfm2_runtime_destroy(rt);
}

/* A negative variance, which no training gives: refused by name. */
static void test_impossible_variance(void **state)
{
    (void)state;
    test_log log = { 0 };
    lfm2_runtime *rt = runtime(1, 0, NULL, &log);
    char folder[64], path[128];
    size_t n = 0, n_config = 0;
    char *config = read_file(GOLDEN "/config.json", &n_config), *file = read_file(GOLDEN "/model.safetensors", &n);
    lfm2_weights *w = NULL;
    lfm2_audio_encoder *enc = NULL;
    make_folder(folder, sizeof(folder));
    snprintf(path, sizeof(path), "%s/model.safetensors", folder);
    assert_int_equal(lfm2_weights_open(rt, GOLDEN "/model.safetensors", &w), 0);
    const lfm2_tensor *var = lfm2_weights_find(w, "conformer.layers.2.conv.batch_norm.running_var");
    assert_non_null(var);
    char *at = NULL;
    for (size_t i = 0; i + var->n_bytes <= n && !at; i++) {
        if (memcmp(file + i, var->data, var->n_bytes) == 0) at = file + i;
    }
    assert_non_null(at);
    lfm2_weights_close(w);
    at[3] = (char)0xbf; /* the second element becomes negative */
    write_file(path, file, n);
    write_file_in(folder, "config.json", config, n_config);
    assert_int_equal(lfm2_audio_encoder_load(rt, folder, &enc), LFM2_ERR_NONFINITE);
    assert_null(enc);
    assert_non_null(strstr(log.line, "layer 2"));
    free(config);
    free(file);
    remove_folder(folder);
    lfm2_runtime_destroy(rt);
}

static void test_no_memory(void **state)
{
    (void)state;
    test_heap heap = { 0 };
    lfm2_runtime *rt = runtime(1, 0, &heap, NULL);
    for (long k = 0; test_fail_next(&heap, &k);) {
        lfm2_audio_encoder *enc = NULL;
        lfm2_audio_scratch *s = NULL;
        int rc = lfm2_audio_encoder_load(rt, MMPROJ, &enc);
        if (rc == 0) rc = lfm2_audio_scratch_create(enc, 4, &s);
        assert_int_equal(rc, test_has_failed(&heap) ? LFM2_ERR_NOMEM : 0);
        lfm2_audio_scratch_destroy(s);
        lfm2_audio_encoder_unload(enc);
    }
    lfm2_runtime_destroy(rt);
    assert_int_equal(heap.n_live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_batch_scalar),
        cmocka_unit_test(test_batch_all),
        cmocka_unit_test(test_each_frame_counts),
        cmocka_unit_test(test_types_of_weights),
        cmocka_unit_test(test_hostile_gguf),
        cmocka_unit_test(test_hostile_json),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_ctc),
        cmocka_unit_test(test_alphabet),
        cmocka_unit_test(test_impossible_variance),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests_name("audio_encoder", tests, NULL, NULL);
}
