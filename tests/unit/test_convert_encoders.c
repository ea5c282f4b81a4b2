/* SPDX-License-Identifier: Apache-2.0
 * Encoders to GGUF: the reference converter's tensors and keys, our own keys, every type of weights through both encoders, one
 * checkpoint with everything, every way to fail. */
#include "base_testing.h"
#include "file_testing.h"

#include <math.h>
#include <stdio.h>

#include "base/json.h"
#include "base/runtime_impl.h"
#include "base/str.h"
#include "lfm2/audio_encoder.h"
#include "lfm2/convert.h"
#include "lfm2/encoders.h"
#include "lfm2/model.h"
#include "weights/weights_impl.h"

#define GOLDEN LFM2_TEST_DIR "/oracle/golden/"
#define ALPHABET "ab\xc3\xa9\xe2\x82\xac" /* a, b, and code points of two and three bytes */

enum { N_CLASSES = 5, UPSAMPLE = 4, D_AUDIO = 64, D_MODEL = 128 };

static char folder[128], out[160];
static test_heap heap;
static test_log lines;
static lfm2_runtime *rt;

static int setup(void **state)
{
    lfm2_runtime_params p = lfm2_runtime_params_default();

    (void)state;
    p.n_threads = 2;
    p.cpu_mask = LFM2_CPU_MASK_ALL & ~(uint32_t)LFM2_CPU_BLAS;
    rt = test_runtime_with(p, &heap, &lines);
    make_folder(folder, sizeof folder);
    snprintf(out, sizeof out, "%s/out.gguf", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    remove_folder(folder);
    lfm2_runtime_destroy(rt);
    assert_int_equal(heap.n_live, 0);
    return 0;
}

static const char *in_folder(const char *name)
{
    static char paths[4][200];
    static int next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void convert(const char *in, const char *to, lfm2_dtype t)
{
    if (lfm2_convert_encoders(rt, in, to, t, NULL, NULL) < 0) fail_msg("log line: %s", lines.line);
}

static lfm2_weights *open_weights(const char *path)
{
    lfm2_weights *w = NULL;

    assert_int_equal(lfm2_weights_open(rt, path, &w), 0);
    return w;
}

/* ---- the file ---- */

static void assert_same_tensor(const lfm2_tensor *got, const lfm2_tensor *want)
{
    const int is_folded = strstr(want->name, ".conv_norm.") != NULL; /* computed here in double, there in single precision */

    if (!got || got->dtype != want->dtype || got->n_dims != want->n_dims || got->n_bytes != want->n_bytes)
        fail_msg("%s: missing, or of another kind", want->name);
    for (int32_t i = 0; i < want->n_dims; i++) assert_int_equal(got->dims[i], want->dims[i]);
    if (!is_folded && memcmp(got->data, want->data, want->n_bytes) != 0) fail_msg("%s differs", want->name);
    for (size_t i = 0; is_folded && i < want->n_bytes / sizeof(float); i++) {
        const float a = ((const float *)got->data)[i], b = ((const float *)want->data)[i];
        if (!(fabsf(a - b) <= 4e-7f * (fabsf(b) + 1))) fail_msg("%s: value %zu", want->name, i);
    }
}

static void the_reference_converter_writes_the_same(void **state)
{
    static const struct {
        const char *in, *want;
        uint64_t n_more_keys;
    } cases[] = {{GOLDEN "vl", GOLDEN "vl/mmproj-bf16.gguf", 10}, {GOLDEN "audio", GOLDEN "audio/mmproj-bf16.gguf", 0}};

    (void)state;
    for (size_t k = 0; k < LFM2__COUNT_OF(cases); k++) {
        convert(cases[k].in, out, LFM2_DTYPE_BF16);
        lfm2_weights *got = open_weights(out), *want = open_weights(cases[k].want);
        assert_int_equal(lfm2_weights_n_tensors(got), lfm2_weights_n_tensors(want));
        for (size_t i = 0; i < lfm2_weights_n_tensors(want); i++) {
            const lfm2_tensor *t = lfm2_weights_tensor(want, i);
            assert_same_tensor(lfm2_weights_find(got, t->name), t);
        }
        assert_int_equal(lfm2__weights_n_kv(got), lfm2__weights_n_kv(want) + (k == 0 ? cases[k].n_more_keys - 1 : 0));
        for (size_t i = 0; i < lfm2__weights_n_kv(want); i++) {
            const lfm2__kv *a = lfm2__weights_kv(want, i), *b;
            char key[100];

            assert_true(a->key_n < sizeof key);
            memcpy(key, a->key, a->key_n);
            key[a->key_n] = '\0';
            b = lfm2__weights_find_kv(got, key);
            if (!b || b->type != a->type || b->n_elems != a->n_elems) fail_msg("%s: missing, or of another type", key);
            if (strcmp(key, "general.name") == 0) continue; /* that of the folder */
            if (a->n_bytes != b->n_bytes || memcmp(a->data, b->data, a->n_bytes) != 0) fail_msg("%s differs", key);
        }
        lfm2_weights_close(got);
        lfm2_weights_close(want);
    }
}

static void types_of_tensors(void **state)
{
    static const lfm2_dtype asked[] = {LFM2_DTYPE_F32, LFM2_DTYPE_F16, LFM2_DTYPE_Q8_0, LFM2_DTYPE_Q4_0, LFM2_DTYPE_Q4_K,
                                       LFM2_DTYPE_Q6_K};

    (void)state;
    for (size_t k = 0; k < LFM2__COUNT_OF(asked); k++) {
        const lfm2_dtype want = k < 2 ? asked[k] : LFM2_DTYPE_Q8_0;
        for (int hears = 0; hears < 2; hears++) {
            size_t n_matrices = 0;
            convert(hears ? GOLDEN "audio" : GOLDEN "vl", out, asked[k]);
            lfm2_weights *w = open_weights(out);
            for (size_t i = 0; i < lfm2_weights_n_tensors(w); i++) {
                const lfm2_tensor *t = lfm2_weights_tensor(w, i);
                const int plain = t->n_dims != 2 || strstr(t->name, "conv") || strstr(t->name, "embd") ||
                                  strstr(t->name, "pos_bias");
                assert_int_equal(t->dtype, plain ? LFM2_DTYPE_F32 : want);
                n_matrices += !plain;
            }
            assert_int_equal(n_matrices, hears ? 7 * 9 + 3 : 3 * 6 + 2);
            lfm2_weights_close(w);
        }
    }
}

/* ---- through the encoders ---- */

static double worst_cosine(const float *a, const float *b, int64_t n_rows, int64_t n_cols)
{
    double worst = 1;

    for (int64_t r = 0; r < n_rows; r++, a += n_cols, b += n_cols) {
        double ab = 0, aa = 0, bb = 0;
        for (int64_t i = 0; i < n_cols; i++) {
            ab += (double)a[i] * (double)b[i];
            aa += (double)a[i] * (double)a[i];
            bb += (double)b[i] * (double)b[i];
        }
        if (!(ab / sqrt(aa * bb) >= worst)) worst = ab / sqrt(aa * bb);
    }
    return worst;
}

enum { IMAGE_TOK = 16, SOUND_FRAMES = 801, SOUND_TOK = 101 };

/* 8 x 8 patches of a reference picture. */
static void see(const char *path, const lfm2_weights *expected, float *embed)
{
    const lfm2_vision_grid grid = {8, 8};
    lfm2_vision *v = NULL;
    lfm2_vision_run *run = NULL;

    assert_int_equal(lfm2_vision_load(rt, path, &v), 0);
    assert_int_equal(lfm2_vision_run_create(v, 64, &run), 0);
    assert_int_equal(lfm2_vision_encode(run, lfm2_weights_find(expected, "patches.1")->data, &grid, 1, embed, IMAGE_TOK, NULL), 0);
    assert_true(lfm2_vision_run_project_us(run) >= 0);
    lfm2_vision_run_destroy(run);
    lfm2_vision_unload(v);
}

static void hear(const char *path, const lfm2_weights *expected, float *embed)
{
    const lfm2_audio_segment segment = {.mel = lfm2_weights_find(expected, "mel.1")->data, .n_frames = SOUND_FRAMES};
    lfm2_audio_encoder *enc = NULL;
    lfm2_audio_scratch *scratch = NULL;
    int32_t n_tok = 0;

    assert_int_equal(lfm2_audio_encoder_load(rt, path, &enc), 0);
    assert_int_equal(lfm2_audio_scratch_create(enc, SOUND_TOK, &scratch), 0);
    assert_int_equal(lfm2_audio_encode(enc, &segment, 1, scratch, embed, SOUND_TOK, &n_tok), 0);
    assert_int_equal(n_tok, SOUND_TOK);
    assert_true(lfm2_audio_scratch_adapter_us(scratch) >= 0);
    lfm2_audio_scratch_destroy(scratch);
    lfm2_audio_encoder_unload(enc);
}

/* Weights of a type, and what the same weights give when they are written out in F32. */
static void every_type_computes_what_its_values_say(void **state)
{
    static const struct {
        lfm2_dtype t;
        double cosine;       /* with the F32 copy of the same values */
        double to_reference; /* with the reference: what the type loses */
    } types[] = {{LFM2_DTYPE_F32, 0.999999, 0.9999},
                 {LFM2_DTYPE_BF16, 0.999999, 0.9999},
                 {LFM2_DTYPE_F16, 0.999999, 0.9999},
                 {LFM2_DTYPE_Q8_0, 0.9999, 0.999}};
    lfm2_weights *vl = open_weights(GOLDEN "vl/expected.safetensors"), *audio = open_weights(GOLDEN "audio/expected.safetensors");
    static float a[SOUND_TOK * D_MODEL], b[SOUND_TOK * D_MODEL], ref[IMAGE_TOK * D_MODEL];

    (void)state;
    see(GOLDEN "vl", vl, ref);
    for (size_t k = 0; k < LFM2__COUNT_OF(types); k++) {
        const char *plain = in_folder("plain.gguf");
        convert(GOLDEN "vl", out, types[k].t);
        convert(out, plain, LFM2_DTYPE_F32);
        see(out, vl, a);
        see(plain, vl, b);
        assert_true(worst_cosine(a, b, IMAGE_TOK, D_MODEL) >= types[k].cosine);
        assert_true(worst_cosine(a, ref, IMAGE_TOK, D_MODEL) >= types[k].to_reference);
        convert(GOLDEN "audio", out, types[k].t);
        convert(out, plain, LFM2_DTYPE_F32);
        hear(out, audio, a);
        hear(plain, audio, b);
        assert_true(worst_cosine(a, b, SOUND_TOK, D_MODEL) >= types[k].cosine);
        assert_true(worst_cosine(a, lfm2_weights_find(audio, "embed.1")->data, SOUND_TOK, D_MODEL) >= types[k].to_reference);
        assert_int_equal(remove(plain), 0);
    }
    lfm2_weights_close(vl);
    lfm2_weights_close(audio);
}

/* ---- one checkpoint with everything ---- */

static lfm2__json_doc *load_json(const char *path)
{
    const lfm2__json_limits limits = {.max_bytes = 1 << 20, .max_depth = 32, .max_values = 100000};
    lfm2__json_doc *doc = NULL;

    assert_int_equal(lfm2__json_load(rt, path, &limits, &doc), 0);
    return doc;
}

static void put_member(lfm2__str *s, const lfm2__json *root, const char *key)
{
    char *text = NULL;

    assert_int_equal(lfm2__json_dumps(rt, lfm2__json_get(root, key), &text, NULL), 0);
    lfm2__str_printf(s, "\"%s\": %s, ", key, text);
    lfm2__free(rt, text);
}

/* The config of the image model with the keys of the audio model, a CTC head and calibration. */
static void write_config(const char *confidence)
{
    lfm2__json_doc *vl = load_json(GOLDEN "vl/config.json"), *audio = load_json(GOLDEN "audio/config.json");
    lfm2__str s;
    char *text = NULL, *settings;
    size_t n = 0;

    lfm2__str_init(&s, rt);
    lfm2__str_puts(&s, "{");
    put_member(&s, lfm2__json_root(audio), "encoder");
    put_member(&s, lfm2__json_root(audio), "preprocessor");
    lfm2__str_printf(&s, "\"ctc\": {\"upsample\": %d, \"alphabet\": \"%s\"}, ", UPSAMPLE, ALPHABET);
    lfm2__str_printf(&s, "\"lfm2_confidence\": %s, ", confidence);
    assert_int_equal(lfm2__json_dumps(rt, lfm2__json_root(vl), &text, &n), 0);
    lfm2__str_put(&s, text + 1, n - 1);
    assert_int_equal(s.status, 0);
    write_file_in(folder, "config.json", s.data, s.n);
    lfm2__str_fini(&s);
    lfm2__free(rt, text);
    lfm2__json_free(vl);
    lfm2__json_free(audio);

    settings = read_file(GOLDEN "vl/processor_config.json", &n);
    char *nested = strstr(settings, "\"image_processor\": {");
    assert_non_null(nested);
    nested += strlen("\"image_processor\": {");
    lfm2__str_init(&s, rt);
    lfm2__str_put(&s, settings, (size_t)(nested - settings));
    lfm2__str_puts(&s, "\"line_height_px\": 32,");
    lfm2__str_puts(&s, nested);
    write_file_in(folder, "processor_config.json", s.data, s.n);
    lfm2__str_fini(&s);
    free(settings);
}

static void copy_into(const char *from, const char *name)
{
    size_t n;
    char path[300], *data;

    snprintf(path, sizeof path, "%s/%s", from, name);
    data = read_file(path, &n);
    write_file_in(folder, name, data, n);
    free(data);
}

static void write_combined(const char *confidence)
{
    lfm2_weights *vl = open_weights(GOLDEN "vl"), *audio = open_weights(GOLDEN "audio");
    static float head[UPSAMPLE * N_CLASSES * D_AUDIO];
    lfm2_tensor tensors[1000];
    size_t n = 0;

    for (size_t i = 0; i < LFM2__COUNT_OF(head); i++) head[i] = (float)((int)(i * 37 % 101) - 50) / 100;
    for (size_t i = 0; i < lfm2_weights_n_tensors(vl); i++) tensors[n++] = *lfm2_weights_tensor(vl, i);
    for (size_t i = 0; i < lfm2_weights_n_tensors(audio); i++) {
        if (strncmp(lfm2_weights_tensor(audio, i)->name, "lfm.", 4) != 0) tensors[n++] = *lfm2_weights_tensor(audio, i);
        assert_true(n + 2 < LFM2__COUNT_OF(tensors));
    }
    tensors[n++] = (lfm2_tensor){.name = "ctc_head.weight", .dtype = LFM2_DTYPE_F32, .n_dims = 2, .data = head,
                                 .dims = {UPSAMPLE * N_CLASSES, D_AUDIO}, .n_bytes = sizeof head};
    tensors[n++] = (lfm2_tensor){.name = "ctc_head.bias", .dtype = LFM2_DTYPE_F32, .n_dims = 1, .data = head,
                                 .dims = {UPSAMPLE * N_CLASSES}, .n_bytes = UPSAMPLE * N_CLASSES * sizeof(float)};
    assert_int_equal(lfm2_safetensors_save(rt, in_folder("model.safetensors"), tensors, n), 0);
    lfm2_weights_close(vl);
    lfm2_weights_close(audio);
    write_config(confidence);
    copy_into(GOLDEN "text", "tokenizer.json");
    copy_into(GOLDEN "text", "tokenizer_config.json");
}

static void assert_pair(const lfm2_weights *w, const char *key, double a, double b)
{
    const lfm2__kv *kv = lfm2__weights_find_kv(w, key);

    assert_non_null(kv);
    assert_true(kv->type == LFM2__KV_ARRAY && kv->elem_type == LFM2__KV_F32 && kv->n_elems == 2);
    assert_true(fabs(lfm2__kv_number_at(kv, 0) - a) < 1e-6 && fabs(lfm2__kv_number_at(kv, 1) - b) < 1e-6);
}

static void check_loaders(const char *model, const char *encoders)
{
    static const uint32_t alphabet[N_CLASSES] = {0, 'a', 'b', 0xe9, 0x20ac};
    lfm2_model *m = NULL;
    lfm2_vision *v = NULL;
    lfm2_audio_encoder *enc = NULL;

    if (lfm2_model_load(rt, model, &m) < 0) fail_msg("log line: %s", lines.line);
    if (lfm2_vision_load(rt, encoders, &v) < 0) fail_msg("log line: %s", lines.line);
    if (lfm2_audio_encoder_load(rt, encoders, &enc) < 0) fail_msg("log line: %s", lines.line);
    assert_int_equal(lfm2_vision_get_params(v)->line_height_px, 32);
    const lfm2_audio_config *c = lfm2_audio_encoder_config(enc);
    assert_int_equal(c->n_ctc_classes, N_CLASSES);
    assert_int_equal(c->ctc_upsample, UPSAMPLE);
    assert_memory_equal(lfm2_audio_ctc_alphabet(enc), alphabet, sizeof alphabet);
    lfm2_model_unload(m);
    lfm2_vision_unload(v);
    lfm2_audio_encoder_unload(enc);
}

static void one_checkpoint_sees_and_hears(void **state)
{
    lfm2_weights *vl = open_weights(GOLDEN "vl/expected.safetensors"), *audio = open_weights(GOLDEN "audio/expected.safetensors");
    static float a[SOUND_TOK * D_MODEL], b[IMAGE_TOK * D_MODEL], c[IMAGE_TOK * D_MODEL];

    (void)state;
    write_combined("{\"see\": [1.5, -0.25], \"hear\": [2, 3]}");
    check_loaders(folder, folder);
    assert_int_equal(lfm2_convert(rt, folder, in_folder("model.gguf"), LFM2_DTYPE_BF16, LFM2_DTYPE_COUNT, NULL, NULL), 0);
    convert(folder, out, LFM2_DTYPE_BF16);
    check_loaders(in_folder("model.gguf"), out);

    lfm2_weights *files[2] = {open_weights(out), open_weights(in_folder("model.gguf"))};
    assert_int_equal(lfm2_encoders_of(files[0]), LFM2_ENCODER_VISION | LFM2_ENCODER_AUDIO);
    assert_int_equal(lfm2_encoders_of(files[1]), 0);
    for (int i = 0; i < 2; i++) {
        assert_pair(files[i], "lfm2.confidence.see", 1.5, -0.25);
        assert_pair(files[i], "lfm2.confidence.hear", 2, 3);
        lfm2_weights_close(files[i]);
    }
    hear(out, audio, a);
    assert_true(worst_cosine(a, lfm2_weights_find(audio, "embed.1")->data, SOUND_TOK, D_MODEL) >= 0.9999);
    see(out, vl, b);
    see(GOLDEN "vl", vl, c);
    assert_true(worst_cosine(b, c, IMAGE_TOK, D_MODEL) >= 0.999999);
    lfm2_weights_close(vl);
    lfm2_weights_close(audio);
    empty_folder(folder);
}

static void bad_calibration_is_refused(void **state)
{
    static const char *const bad[] = {"{\"see\": [1]}", "{\"see\": [1, 2, 3]}", "{\"hear\": [1, \"x\"]}", "{\"see\": {}}",
                                      "{\"see\": [1e300, 0]}"};

    (void)state;
    for (size_t i = 0; i < LFM2__COUNT_OF(bad); i++) {
        write_combined(bad[i]);
        assert_int_equal(lfm2_convert_encoders(rt, folder, out, LFM2_DTYPE_F16, NULL, NULL), LFM2_ERR_FORMAT);
        assert_non_null(strstr(lines.line, "lfm2_confidence"));
        assert_int_equal(lfm2_convert(rt, folder, out, LFM2_DTYPE_F16, LFM2_DTYPE_COUNT, NULL, NULL), LFM2_ERR_FORMAT);
        empty_folder(folder);
    }
}

/* ---- failures ---- */

static void refuse(const char *in, lfm2_dtype t, int status, const char *why)
{
    lines.line[0] = '\0';
    assert_int_equal(lfm2_convert_encoders(rt, in, out, t, NULL, NULL), status);
    if (why && !strstr(lines.line, why)) fail_msg("log line: %s", lines.line);
    assert_int_equal(count_files(folder), 0);
}

static void what_cannot_be_converted(void **state)
{
    (void)state;
    refuse(NULL, LFM2_DTYPE_F16, LFM2_ERR_ARG, NULL);
    assert_int_equal(lfm2_convert_encoders(NULL, GOLDEN "vl", out, LFM2_DTYPE_F16, NULL, NULL), LFM2_ERR_ARG);
    assert_int_equal(lfm2_convert_encoders(rt, GOLDEN "vl", NULL, LFM2_DTYPE_F16, NULL, NULL), LFM2_ERR_ARG);
    refuse(GOLDEN "vl", LFM2_DTYPE_Q5_K, LFM2_ERR_ARG, "no writer for Q5_K");
    refuse(GOLDEN "vl", LFM2_DTYPE_COUNT, LFM2_ERR_ARG, "no writer");
    refuse(GOLDEN "text", LFM2_DTYPE_F16, LFM2_ERR_UNSUPPORTED, "no encoder in it");
    refuse(GOLDEN "text/model-bf16.gguf", LFM2_DTYPE_F16, LFM2_ERR_UNSUPPORTED, "no encoder in it");
    refuse(GOLDEN "none", LFM2_DTYPE_F16, LFM2_ERR_NOT_FOUND, NULL);
    assert_int_equal(lfm2_encoders_of(NULL), 0);
    lfm2_runtime_abort(rt);
    refuse(GOLDEN "vl", LFM2_DTYPE_F16, LFM2_ERR_ABORTED, NULL);
    refuse(GOLDEN "audio", LFM2_DTYPE_F16, LFM2_ERR_ABORTED, NULL);
    lfm2_runtime_clear_abort(rt);
}

static void weights_that_are_not_finite_are_named(void **state)
{
    lfm2_weights *w = open_weights(GOLDEN "vl/mmproj-bf16.gguf");
    const char *path = in_folder("bad.gguf");
    const lfm2_tensor *t = lfm2_weights_find(w, "v.blk.1.ffn_up.weight");
    size_t n;
    char *data = read_file(GOLDEN "vl/mmproj-bf16.gguf", &n);
    size_t at = 0;

    (void)state;
    assert_non_null(t);
    while (memcmp(data + at, t->data, 64) != 0) assert_true(++at + 64 < n);
    data[at] = (char)0xc0;
    data[at + 1] = 0x7f;
    write_file(path, data, n);
    free(data);
    lfm2_weights_close(w);
    assert_int_equal(lfm2_convert_encoders(rt, path, out, LFM2_DTYPE_Q8_0, NULL, NULL), LFM2_ERR_NONFINITE);
    assert_non_null(strstr(lines.line, "v.blk.1.ffn_up.weight"));
    assert_int_equal(count_files(folder), 1);
    assert_int_equal(remove(path), 0);
}

static void show(void *ctx, double share)
{
    double *last = ctx;

    assert_true(share >= *last && share <= 1 + 1e-9);
    *last = share;
}

static void progress_ends_at_all(void **state)
{
    double last = 0;

    (void)state;
    assert_int_equal(lfm2_convert_encoders(rt, GOLDEN "audio", out, LFM2_DTYPE_Q8_0, show, &last), 0);
    assert_true(last > 1 - 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_reference_converter_writes_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(types_of_tensors, setup, teardown),
        cmocka_unit_test_setup_teardown(every_type_computes_what_its_values_say, setup, teardown),
        cmocka_unit_test_setup_teardown(one_checkpoint_sees_and_hears, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_calibration_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_converted, setup, teardown),
        cmocka_unit_test_setup_teardown(weights_that_are_not_finite_are_named, setup, teardown),
        cmocka_unit_test_setup_teardown(progress_ends_at_all, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
