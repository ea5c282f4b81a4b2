/* SPDX-License-Identifier: Apache-2.0
 * Conversion to GGUF: same names, keys and bytes as the reference converter, every type, every way to fail. */
#include "base_testing.h"
#include "file_testing.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernels/kernels_impl.h"
#include "lfm2/convert.h"
#include "lfm2/model.h"
#include "weights/weights_impl.h"

#define TEXT LFM2_TEST_DIR "/oracle/golden/text"
#define MOE LFM2_TEST_DIR "/oracle/fixtures/moe"
#define MOE_FUSED LFM2_TEST_DIR "/oracle/fixtures/moe-fused"
#define OWN_HEAD LFM2_TEST_DIR "/oracle/fixtures/dense-odd"
#define QUANT_K LFM2_TEST_DIR "/oracle/fixtures/quant-k/model.gguf"

static char folder[128]; /* of this run's files */
static char out[160];    /* the file that most tests write */

static void copy_file(const char *from, const char *to)
{
    size_t n;
    char *data = read_file(from, &n);
    write_file(to, data, n);
    free(data);
}

/* A folder in the test's own with a copy of a checkpoint in safetensors. */
static void copy_checkpoint(const char *from, char *to, size_t cap)
{
    static const char *const names[] = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"};
    char a[300], b[300];
    size_t i;

    snprintf(to, cap, "%s/copy", folder);
    assert_int_equal(mkdir(to, 0700), 0);
    for (i = 0; i < LFM2__COUNT_OF(names); i++) {
        snprintf(a, sizeof a, "%s/%s", from, names[i]);
        snprintf(b, sizeof b, "%s/%s", to, names[i]);
        copy_file(a, b);
    }
}

static void convert(lfm2_runtime *rt, const char *in, lfm2_dtype t, lfm2_dtype embed_t)
{
    assert_int_equal(lfm2_convert(rt, in, out, t, embed_t, NULL, NULL), 0);
}

static lfm2_weights *open_weights(lfm2_runtime *rt, const char *path)
{
    lfm2_weights *w = NULL;
    assert_int_equal(lfm2_weights_open(rt, path, &w), 0);
    return w;
}

static void assert_same_tensor(const lfm2_tensor *a, const lfm2_tensor *b)
{
    int32_t i;

    assert_non_null(b);
    if (a->dtype != b->dtype || a->n_dims != b->n_dims || a->n_bytes != b->n_bytes || memcmp(a->data, b->data, a->n_bytes) != 0) {
        fail_msg("%s differs", a->name);
    }
    for (i = 0; i < a->n_dims; i++) assert_int_equal(a->dims[i], b->dims[i]);
}

static void assert_same_kv(const lfm2__kv *a, const lfm2__kv *b)
{
    if (!b || a->type != b->type || a->n_elems != b->n_elems || a->n_bytes != b->n_bytes ||
        memcmp(a->data, b->data, a->n_bytes) != 0 || (a->type == LFM2__KV_ARRAY && a->elem_type != b->elem_type)) {
        fail_msg("%.*s differs", (int)a->key_n, a->key);
    }
}

static void assert_same_keys(const lfm2_weights *a, const lfm2_weights *b, const char *const *but)
{
    size_t i, k;

    for (i = 0; i < lfm2__weights_n_kv(a); i++) {
        const lfm2__kv *kv = lfm2__weights_kv(a, i);
        char key[128];
        int skip = 0;
        snprintf(key, sizeof key, "%.*s", (int)kv->key_n, kv->key);
        for (k = 0; but[k]; k++) skip |= strcmp(key, but[k]) == 0;
        if (!skip) assert_same_kv(kv, lfm2__weights_find_kv(b, key));
        else assert_non_null(lfm2__weights_find_kv(b, key));
    }
}

/* Everything in reference is in ours, byte for byte, and nothing else. */
static void assert_same_model(lfm2_runtime *rt, const char *reference, const char *const *but)
{
    lfm2_weights *a = open_weights(rt, reference), *b = open_weights(rt, out);
    size_t i;

    assert_int_equal(lfm2_weights_n_tensors(a), lfm2_weights_n_tensors(b));
    for (i = 0; i < lfm2_weights_n_tensors(a); i++) {
        const lfm2_tensor *t = lfm2_weights_tensor(a, i);
        assert_same_tensor(t, lfm2_weights_find(b, t->name));
    }
    assert_int_equal(lfm2__weights_n_kv(a), lfm2__weights_n_kv(b));
    assert_same_keys(a, b, but);
    lfm2_weights_close(a);
    lfm2_weights_close(b);
}

static int64_t int_key(lfm2_runtime *rt, const char *path, const char *key)
{
    lfm2_weights *w = open_weights(rt, path);
    int64_t v = -1;
    assert_int_equal(lfm2__weights_kv_int(w, key, 0, INT32_MAX, &v), 0);
    lfm2_weights_close(w);
    return v;
}

static void test_same_as_reference(void **state)
{
    static const char *const name[] = {"general.name", NULL};
    lfm2_runtime *rt = test_runtime(2, NULL, NULL);
    (void)state;

    convert(rt, TEXT, LFM2_DTYPE_BF16, LFM2_DTYPE_COUNT);
    assert_same_model(rt, TEXT "/model-bf16.gguf", name);
    lfm2_runtime_destroy(rt);
}

/* Values of a tensor, decoded. */
static float *decode(const lfm2_tensor *t, size_t *n)
{
    lfm2__kernels k;
    size_t n_cols = (size_t)t->dims[t->n_dims - 1], row_bytes = lfm2_dtype_row_bytes(t->dtype, t->dims[t->n_dims - 1]), r;
    float *v;

    lfm2__kernels_init(&k, 0);
    *n = t->n_bytes / row_bytes * n_cols;
    v = malloc(*n * sizeof *v);
    assert_non_null(v);
    for (r = 0; r < *n / n_cols; r++) {
        k.dequant[t->dtype](v + r * n_cols, (const unsigned char *)t->data + r * row_bytes, (int32_t)n_cols);
    }
    return v;
}

/* How far a value may be off: relative to itself, and to the greatest magnitude of the run of values that share a scale. */
typedef struct format_error {
    lfm2_dtype t;
    double relative;
    double of_greatest;
    size_t run;
} format_error;

static const format_error errors[] = {
    {LFM2_DTYPE_F32, 0, 0, 1},
    {LFM2_DTYPE_F16, 1.0 / 2048, 0x1p-25, 1},
    {LFM2_DTYPE_BF16, 1.0 / 256, 0, 1},
    {LFM2_DTYPE_Q8_0, 0, 0.5 / 127 + 1.0 / 2048, 32},
    {LFM2_DTYPE_Q4_0, 0, 1.0 / 8 + 1.0 / 2048, 32}, /* a step, at the end of the range that has one code less */
    {LFM2_DTYPE_Q6_K, 0, 1.0 / 32 + 1.0 / 127, 256},
    {LFM2_DTYPE_Q4_K, 0, 2.0 / 15 + 2.0 / 63, 256},
};

static void assert_close(const lfm2_tensor *a, const lfm2_tensor *b)
{
    size_t n, m, i, j, e = 0;
    float *x = decode(a, &n), *y = decode(b, &m);

    assert_int_equal(n, m);
    while (errors[e].t != b->dtype) e++;
    for (i = 0; i < n; i += errors[e].run) {
        double greatest = errors[e].run == 1 ? 1 : 0;
        size_t end = i + errors[e].run < n ? i + errors[e].run : n;
        for (j = i; j < end && errors[e].run > 1; j++) greatest = fmax(greatest, fabs((double)x[j]));
        for (j = i; j < end; j++) {
            double off = fabs((double)x[j] - (double)y[j]);
            if (!(off <= errors[e].relative * fabs((double)x[j]) + errors[e].of_greatest * greatest)) {
                fail_msg("%s as %s: element %zu: %g became %g", a->name, lfm2_dtype_name(b->dtype), j, (double)x[j], (double)y[j]);
            }
        }
    }
    free(x);
    free(y);
}

/* Convert a GGUF source and compare what comes out with it. */
static void check_type(lfm2_runtime *rt, const char *in, lfm2_dtype t, lfm2_dtype embed_t, lfm2_dtype embed_expected,
                       int64_t file_type)
{
    lfm2_weights *a, *b;
    lfm2_model *m = NULL;
    size_t i;

    convert(rt, in, t, embed_t);
    a = open_weights(rt, in);
    b = open_weights(rt, out);
    for (i = 0; i < lfm2_weights_n_tensors(a); i++) {
        const lfm2_tensor *x = lfm2_weights_tensor(a, i), *y = lfm2_weights_find(b, x->name);
        int vector = x->n_dims == 1 || strstr(x->name, "shortconv.conv") || strstr(x->name, "ffn_gate_inp");
        lfm2_dtype expected = vector ? LFM2_DTYPE_F32 : strcmp(x->name, "token_embd.weight") == 0 ? embed_expected : t;
        assert_non_null(y);
        if (!vector && y->dtype == LFM2_DTYPE_F16) expected = LFM2_DTYPE_F16; /* see test_rows_that_fit_no_block */
        assert_int_equal(y->dtype, expected);
        assert_close(x, y);
    }
    lfm2_weights_close(a);
    lfm2_weights_close(b);
    assert_int_equal(int_key(rt, out, "general.file_type"), file_type);
    assert_int_equal(int_key(rt, out, "general.quantization_version"), 2);
    assert_int_equal(lfm2_model_load(rt, out, &m), 0);
    lfm2_model_unload(m);
}

static void test_every_type(void **state)
{
    lfm2_runtime *rt = test_runtime(2, NULL, NULL);
    (void)state;

    check_type(rt, TEXT "/model-bf16.gguf", LFM2_DTYPE_F32, LFM2_DTYPE_COUNT, LFM2_DTYPE_F32, 0);
    check_type(rt, TEXT "/model-bf16.gguf", LFM2_DTYPE_F16, LFM2_DTYPE_COUNT, LFM2_DTYPE_F16, 1);
    check_type(rt, TEXT "/model-bf16.gguf", LFM2_DTYPE_BF16, LFM2_DTYPE_COUNT, LFM2_DTYPE_BF16, 32);
    check_type(rt, TEXT "/model-bf16.gguf", LFM2_DTYPE_Q8_0, LFM2_DTYPE_COUNT, LFM2_DTYPE_Q8_0, 7);
    check_type(rt, TEXT "/model-bf16.gguf", LFM2_DTYPE_Q4_0, LFM2_DTYPE_Q8_0, LFM2_DTYPE_Q8_0, 2);
    check_type(rt, MOE "/model-bf16.gguf", LFM2_DTYPE_Q8_0, LFM2_DTYPE_F32, LFM2_DTYPE_F32, 7);
    /* a source in blocks, decoded row by row */
    check_type(rt, QUANT_K, LFM2_DTYPE_Q4_0, LFM2_DTYPE_COUNT, LFM2_DTYPE_Q6_K, 2);
    check_type(rt, QUANT_K, LFM2_DTYPE_Q4_K, LFM2_DTYPE_COUNT, LFM2_DTYPE_Q6_K, 14);
    check_type(rt, QUANT_K, LFM2_DTYPE_Q6_K, LFM2_DTYPE_COUNT, LFM2_DTYPE_Q6_K, 18);
    check_type(rt, QUANT_K, LFM2_DTYPE_F32, LFM2_DTYPE_COUNT, LFM2_DTYPE_F32, 0);
    lfm2_runtime_destroy(rt);
}

static void test_rows_that_fit_no_block(void **state)
{
    test_log log = {0};
    lfm2_runtime *rt = test_runtime(1, NULL, &log);
    lfm2_weights *w;
    (void)state;

    convert(rt, TEXT, LFM2_DTYPE_Q4_0, LFM2_DTYPE_COUNT); /* Q6_K by default, but rows are 128 wide */
    assert_int_equal(log.n_lines, 1);
    assert_int_equal(log.level, LFM2_LOG_WARN);
    assert_string_equal(log.line, "token_embd.weight: rows of 128 do not fit blocks of Q6_K: written as F16");
    w = open_weights(rt, out);
    assert_int_equal(lfm2_weights_find(w, "token_embd.weight")->dtype, LFM2_DTYPE_F16);
    assert_int_equal(lfm2_weights_find(w, "blk.0.ffn_up.weight")->dtype, LFM2_DTYPE_Q4_0);
    lfm2_weights_close(w);
    lfm2_runtime_destroy(rt);
}

/* Experts one by one, or fused, become stacks. */
static void test_experts(void **state)
{
    lfm2_runtime *rt = test_runtime(2, NULL, NULL);
    lfm2_weights *a, *b;
    size_t i;
    (void)state;

    convert(rt, MOE, LFM2_DTYPE_BF16, LFM2_DTYPE_COUNT);
    a = open_weights(rt, MOE "/model-bf16.gguf");
    b = open_weights(rt, out);
    assert_int_equal(lfm2_weights_n_tensors(a), lfm2_weights_n_tensors(b));
    for (i = 0; i < lfm2_weights_n_tensors(a); i++) {
        const lfm2_tensor *x = lfm2_weights_tensor(a, i), *y = lfm2_weights_find(b, x->name);
        assert_non_null(y);
        assert_int_equal(x->n_dims, y->n_dims);
        assert_close(x, y);
    }
    lfm2_weights_close(a);
    lfm2_weights_close(b);
    lfm2_runtime_destroy(rt);
}

static void test_weights_that_are_not_normalised(void **state)
{
    test_log log = {0};
    lfm2_runtime *rt = test_runtime(1, NULL, &log);
    (void)state;

    unlink(out);
    assert_int_equal(lfm2_convert(rt, MOE_FUSED, out, LFM2_DTYPE_BF16, LFM2_DTYPE_COUNT, NULL, NULL), LFM2_ERR_UNSUPPORTED);
    assert_non_null(strstr(log.line, "norm_topk_prob"));
    assert_int_equal(count_files(folder), 0);
    lfm2_runtime_destroy(rt);
}

static void test_head_of_its_own(void **state)
{
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    lfm2_weights *w;
    lfm2_model *m = NULL;
    (void)state;

    convert(rt, OWN_HEAD, LFM2_DTYPE_F16, LFM2_DTYPE_F32);
    w = open_weights(rt, out);
    assert_non_null(lfm2_weights_find(w, "output.weight"));
    assert_int_equal(lfm2_weights_find(w, "output.weight")->dtype, LFM2_DTYPE_F32);
    lfm2_weights_close(w);
    assert_int_equal(lfm2_model_load(rt, out, &m), 0);
    assert_false(lfm2_model_config(m)->tied_head);
    lfm2_model_unload(m);
    lfm2_runtime_destroy(rt);
}

/* What a GGUF source says of itself stays, also keys that are nothing to us. */
static void test_keys_of_a_gguf_source_stay(void **state)
{
    static const char *const but[] = {"general.file_type", NULL};
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    lfm2_weights *a, *b;
    (void)state;

    convert(rt, TEXT "/model-bf16.gguf", LFM2_DTYPE_Q8_0, LFM2_DTYPE_COUNT);
    a = open_weights(rt, TEXT "/model-bf16.gguf");
    b = open_weights(rt, out);
    assert_int_equal(lfm2__weights_n_kv(a), lfm2__weights_n_kv(b));
    assert_same_keys(a, b, but);
    lfm2_weights_close(a);
    lfm2_weights_close(b);
    lfm2_runtime_destroy(rt);
}

/* Both containers and any number of threads: the same weights, and for one source the same file. */
static void test_threads_and_containers(void **state)
{
    lfm2_runtime *one = test_runtime(1, NULL, NULL), *three = test_runtime(3, NULL, NULL);
    char other[200];
    char *a, *b;
    size_t n, m, i;
    lfm2_weights *x, *y;
    (void)state;

    snprintf(other, sizeof other, "%s/other.gguf", folder);
    assert_int_equal(lfm2_convert(one, TEXT, other, LFM2_DTYPE_Q4_0, LFM2_DTYPE_COUNT, NULL, NULL), 0);
    convert(three, TEXT, LFM2_DTYPE_Q4_0, LFM2_DTYPE_COUNT);
    a = read_file(other, &n);
    b = read_file(out, &m);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    free(a);
    free(b);

    convert(three, TEXT "/model-bf16.gguf", LFM2_DTYPE_Q4_0, LFM2_DTYPE_COUNT);
    x = open_weights(one, other);
    y = open_weights(one, out);
    for (i = 0; i < lfm2_weights_n_tensors(x); i++) {
        const lfm2_tensor *t = lfm2_weights_tensor(x, i);
        assert_same_tensor(t, lfm2_weights_find(y, t->name));
    }
    lfm2_weights_close(x);
    lfm2_weights_close(y);
    unlink(other);
    lfm2_runtime_destroy(one);
    lfm2_runtime_destroy(three);
}

typedef struct watcher {
    lfm2_runtime *abort_rt;  /* abort it at half */
    const char *shorten;     /* cut this file short at half */
    double last;
    int n;
} watcher;

static void watch(void *ctx, double share)
{
    watcher *w = ctx;

    assert_true(share > w->last && share <= 1);
    w->last = share;
    w->n++;
    if (share < 0.5) return;
    lfm2_runtime_abort(w->abort_rt);
    if (w->shorten) assert_int_equal(truncate(w->shorten, 4096), 0);
}

static void test_progress(void **state)
{
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    watcher w = {0};
    (void)state;

    assert_int_equal(lfm2_convert(rt, TEXT, out, LFM2_DTYPE_Q8_0, LFM2_DTYPE_COUNT, watch, &w), 0);
    assert_true(w.last >= 1);
    assert_true(w.n > 10);
    lfm2_runtime_destroy(rt);
}

static void test_abort_leaves_nothing(void **state)
{
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    watcher w = {.abort_rt = rt};
    (void)state;

    unlink(out);
    assert_int_equal(lfm2_convert(rt, TEXT, out, LFM2_DTYPE_Q8_0, LFM2_DTYPE_COUNT, watch, &w), LFM2_ERR_ABORTED);
    assert_true(w.last < 1);
    assert_int_equal(count_files(folder), 0);
    lfm2_runtime_destroy(rt);
}

static void test_source_cut_short(void **state)
{
    test_log log = {0};
    lfm2_runtime_params params = lfm2_runtime_params_default();
    lfm2_runtime *rt;
    char source[200];
    watcher w = {.shorten = source};
    (void)state;

    snprintf(source, sizeof source, "%s/source.gguf", folder);
    copy_file(TEXT "/model-bf16.gguf", source);
    unlink(out);
    params.guard_mapped = 1;
    rt = test_runtime_with(params, NULL, &log);
    assert_int_equal(lfm2_convert(rt, source, out, LFM2_DTYPE_Q8_0, LFM2_DTYPE_COUNT, watch, &w), LFM2_ERR_IO);
    assert_non_null(strstr(log.line, "source.gguf"));
    unlink(source);
    assert_int_equal(count_files(folder), 0);
    lfm2_runtime_destroy(rt);
}

/* Overwrite one BF16 element of a tensor of the copy. */
static void poison(lfm2_runtime *rt, const char *checkpoint, const char *tensor, uint16_t value)
{
    char path[300];
    lfm2_weights *w;
    const lfm2_tensor *t;
    char *data;
    size_t n, i;

    snprintf(path, sizeof path, "%s/model.safetensors", checkpoint);
    w = open_weights(rt, path);
    t = lfm2_weights_find(w, tensor);
    assert_non_null(t);
    data = read_file(path, &n);
    for (i = 0; i + t->n_bytes <= n; i++) {
        if (memcmp(data + i, t->data, t->n_bytes) == 0) break;
    }
    assert_true(i + t->n_bytes <= n);
    data[i + 2] = (char)(value & 255);
    data[i + 3] = (char)(value >> 8);
    lfm2_weights_close(w);
    write_file(path, data, n);
    free(data);
}

static void test_not_finite(void **state)
{
    static const lfm2_dtype types[] = {LFM2_DTYPE_F32, LFM2_DTYPE_F16, LFM2_DTYPE_BF16, LFM2_DTYPE_Q8_0, LFM2_DTYPE_Q4_0};
    static const char tensor[] = "model.layers.1.feed_forward.w3.weight";
    test_log log = {0};
    lfm2_runtime *rt = test_runtime(1, NULL, &log);
    char checkpoint[200];
    size_t i;
    (void)state;

    unlink(out);
    copy_checkpoint(TEXT, checkpoint, sizeof checkpoint);
    poison(rt, checkpoint, tensor, 0x7fc0);
    for (i = 0; i < LFM2__COUNT_OF(types); i++) {
        assert_int_equal(lfm2_convert(rt, checkpoint, out, types[i], types[i], NULL, NULL), LFM2_ERR_NONFINITE);
        assert_int_equal(log.level, LFM2_LOG_ERROR);
        assert_non_null(strstr(log.line, "blk.1.ffn_up.weight"));
        assert_int_equal(count_files(folder), 1);
    }
    poison(rt, checkpoint, tensor, 0x7f00); /* finite, but beyond F16 */
    assert_int_equal(lfm2_convert(rt, checkpoint, out, LFM2_DTYPE_F16, LFM2_DTYPE_F16, NULL, NULL), LFM2_ERR_NONFINITE);
    assert_int_equal(count_files(folder), 1);
    assert_int_equal(lfm2_convert(rt, checkpoint, out, LFM2_DTYPE_BF16, LFM2_DTYPE_F16, NULL, NULL), 0);
    unlink(out);
    remove_folder(checkpoint);
    lfm2_runtime_destroy(rt);
}

static void test_refusals(void **state)
{
    static const lfm2_dtype no_writer[] = {LFM2_DTYPE_Q4_1, LFM2_DTYPE_Q5_0, LFM2_DTYPE_Q5_1, LFM2_DTYPE_Q5_K,
                                           LFM2_DTYPE_IQ4_NL, LFM2_DTYPE_F64, LFM2_DTYPE_I8, LFM2_DTYPE_COUNT};
    test_log log = {0};
    lfm2_runtime *rt = test_runtime(1, NULL, &log);
    char path[300];
    size_t i;
    (void)state;

    unlink(out);
    for (i = 0; i < LFM2__COUNT_OF(no_writer); i++) {
        assert_int_equal(lfm2_convert(rt, TEXT, out, no_writer[i], LFM2_DTYPE_F32, NULL, NULL), LFM2_ERR_ARG);
        assert_non_null(strstr(log.line, "there is no writer for"));
    }
    assert_int_equal(lfm2_convert(rt, TEXT, out, LFM2_DTYPE_F32, LFM2_DTYPE_Q5_0, NULL, NULL), LFM2_ERR_ARG);
    assert_non_null(strstr(log.line, "embedding type: there is no writer for Q5_0"));
    assert_int_equal(lfm2_convert(NULL, TEXT, out, LFM2_DTYPE_F32, LFM2_DTYPE_F32, NULL, NULL), LFM2_ERR_ARG);
    assert_int_equal(lfm2_convert(rt, NULL, out, LFM2_DTYPE_F32, LFM2_DTYPE_F32, NULL, NULL), LFM2_ERR_ARG);
    assert_int_equal(lfm2_convert(rt, TEXT, NULL, LFM2_DTYPE_F32, LFM2_DTYPE_F32, NULL, NULL), LFM2_ERR_ARG);

    snprintf(path, sizeof path, "%s/none", folder);
    assert_int_equal(lfm2_convert(rt, path, out, LFM2_DTYPE_F32, LFM2_DTYPE_F32, NULL, NULL), LFM2_ERR_NOT_FOUND);
    snprintf(path, sizeof path, "%s/none/out.gguf", folder);
    assert_int_equal(lfm2_convert(rt, TEXT, path, LFM2_DTYPE_F32, LFM2_DTYPE_F32, NULL, NULL), LFM2_ERR_IO);
    assert_int_equal(lfm2_convert(rt, TEXT, folder, LFM2_DTYPE_F32, LFM2_DTYPE_F32, NULL, NULL), LFM2_ERR_IO); /* a folder */
    assert_int_equal(count_files(folder), 0);
    lfm2_runtime_destroy(rt);
}

static void test_source_without_tokenizer(void **state)
{
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    char checkpoint[200], path[300];
    (void)state;

    unlink(out);
    copy_checkpoint(TEXT, checkpoint, sizeof checkpoint);
    snprintf(path, sizeof path, "%s/tokenizer.json", checkpoint);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(lfm2_convert(rt, checkpoint, out, LFM2_DTYPE_F16, LFM2_DTYPE_F16, NULL, NULL), LFM2_ERR_NOT_FOUND);
    assert_int_equal(count_files(folder), 1);
    write_file(path, "{}", 2);
    remove_folder(checkpoint);
    lfm2_runtime_destroy(rt);
}

/* The source may be the target: it stays mapped while its name goes to the new file. */
static void test_onto_itself(void **state)
{
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    (void)state;

    copy_file(TEXT "/model-bf16.gguf", out);
    assert_int_equal(lfm2_convert(rt, out, out, LFM2_DTYPE_Q8_0, LFM2_DTYPE_Q8_0, NULL, NULL), 0);
    assert_int_equal(int_key(rt, out, "general.file_type"), 7);
    lfm2_runtime_destroy(rt);
}

/* Each allocation fails in turn, for both kinds of source. */
static void fail_each_allocation(const char *in)
{
    watched x;
    long k = 0;
    int rc = LFM2_ERR_NOMEM;

    watch_begin(&x);
    while (test_fail_next(&x.heap, &k)) {
        unlink(out);
        rc = lfm2_convert(x.rt, in, out, LFM2_DTYPE_Q8_0, LFM2_DTYPE_F16, NULL, NULL);
        if (rc != 0) {
            assert_int_equal(rc, LFM2_ERR_NOMEM);
            assert_int_equal(count_files(folder), 0);
        }
    }
    assert_int_equal(rc, 0);
    assert_true(k > 20);
    watch_end(&x);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    fail_each_allocation(MOE);
    fail_each_allocation(MOE "/model-bf16.gguf");
}

static int setup(void **state)
{
    (void)state;
    make_folder(folder, sizeof folder);
    snprintf(out, sizeof out, "%s/out.gguf", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(out);
    return rmdir(folder); /* every test removes what it made */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_as_reference),
        cmocka_unit_test(test_every_type),
        cmocka_unit_test(test_rows_that_fit_no_block),
        cmocka_unit_test(test_experts),
        cmocka_unit_test(test_weights_that_are_not_normalised),
        cmocka_unit_test(test_head_of_its_own),
        cmocka_unit_test(test_keys_of_a_gguf_source_stay),
        cmocka_unit_test(test_threads_and_containers),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_abort_leaves_nothing),
        cmocka_unit_test(test_source_cut_short),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_source_without_tokenizer),
        cmocka_unit_test(test_onto_itself),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests_name("convert", tests, setup, teardown);
}
