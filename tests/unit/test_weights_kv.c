/* SPDX-License-Identifier: Apache-2.0
 * Typed reads of GGUF metadata, and the table of element types. */
#include "weights_testing.h"

#include <math.h>

#define CONTAINERS LFM2_TEST_DIR "/oracle/containers/"

typedef struct opened {
    watched x;
    lfm2_weights *w;
} opened;

static void begin(opened *o, const char *name)
{
    char path[1024];
    watch_begin(&o->x);
    o->w = NULL;
    snprintf(path, sizeof path, CONTAINERS "%s", name);
    assert_int_equal(lfm2_weights_open(o->x.rt, path, &o->w), 0);
}

static void end(opened *o)
{
    lfm2_weights_close(o->w);
    watch_end(&o->x);
}

/* A refusal wrote one line and left *out alone; the next case starts clean. */
static void assert_refused(opened *o, int rc, const char *key)
{
    assert_int_equal(rc, LFM2_ERR_FORMAT);
    assert_one_line(&o->x.log, "types.gguf", key);
    o->x.log.n_lines = 0;
}

static void integers_of_every_width(void **state)
{
    (void)state;
    static const struct { const char *key; int64_t value; } want[] = {
        {"test.u8", 200},           {"test.i8", -100},           {"test.u16", 60000},      {"test.i16", -30000},
        {"test.u32", 4000000000},   {"test.i32", -2000000000},   {"test.u64", 9000000000}, {"test.i64", -9000000000}};
    opened o;
    begin(&o, "types.gguf");
    for (size_t i = 0; i < LFM2__COUNT_OF(want); i++) {
        int64_t v = 1;
        double d = 1;
        assert_int_equal(lfm2__weights_kv_int(o.w, want[i].key, INT64_MIN, INT64_MAX, &v), 0);
        assert_true(v == want[i].value);
        assert_int_equal(lfm2__weights_kv_int(o.w, want[i].key, v, v, &v), 0);
        assert_int_equal(lfm2__weights_kv_number(o.w, want[i].key, -1e10, 1e10, &d), 0);
        assert_true(d == (double)want[i].value);

        v = 1;
        assert_refused(&o, lfm2__weights_kv_int(o.w, want[i].key, want[i].value + 1, INT64_MAX, &v), want[i].key);
        assert_refused(&o, lfm2__weights_kv_int(o.w, want[i].key, INT64_MIN, want[i].value - 1, &v), want[i].key);
        assert_true(v == 1);
    }
    end(&o);
}

static void an_absent_key_changes_nothing(void **state)
{
    (void)state;
    opened o;
    begin(&o, "types.gguf");
    int64_t v = 7;
    double d = 8;
    int b = 9;
    const char *s = "same";
    size_t n = 4;
    assert_int_equal(lfm2__weights_kv_int(o.w, "test.none", 0, 1, &v), 0);
    assert_int_equal(lfm2__weights_kv_number(o.w, "test.none", 0, 1, &d), 0);
    assert_int_equal(lfm2__weights_kv_bool(o.w, "", &b), 0);
    assert_int_equal(lfm2__weights_kv_str(o.w, "test.u", &s, &n), 0);
    assert_true(v == 7 && d == 8 && b == 9 && n == 4);
    assert_string_equal(s, "same");
    assert_null(lfm2__weights_find_kv(o.w, "test.u"));
    assert_null(lfm2__weights_find_kv(o.w, "test.u8ss"));
    assert_null(lfm2__weights_find_kv(o.w, "zzz"));
    assert_int_equal(o.x.log.n_lines, 0);
    end(&o);
}

static void wrong_types(void **state)
{
    (void)state;
    static const char *const not_int[] = {"test.f32", "test.f64", "test.true", "test.string", "test.i32s", "test.strings"};
    static const char *const not_number[] = {"test.true", "test.string", "test.i32s", "test.f32s"};
    static const char *const not_bool[] = {"test.u8", "test.string", "test.f32", "test.u8s"};
    static const char *const not_str[] = {"test.u8", "test.true", "test.strings", "test.u8s"};
    opened o;
    int64_t v = 7;
    double d = 8;
    int b = 9;
    const char *s = "same";
    size_t n = 4;
    begin(&o, "types.gguf");
    for (size_t i = 0; i < LFM2__COUNT_OF(not_int); i++)
        assert_refused(&o, lfm2__weights_kv_int(o.w, not_int[i], INT64_MIN, INT64_MAX, &v), not_int[i]);
    for (size_t i = 0; i < LFM2__COUNT_OF(not_number); i++)
        assert_refused(&o, lfm2__weights_kv_number(o.w, not_number[i], -1e308, 1e308, &d), not_number[i]);
    for (size_t i = 0; i < LFM2__COUNT_OF(not_bool); i++)
        assert_refused(&o, lfm2__weights_kv_bool(o.w, not_bool[i], &b), not_bool[i]);
    for (size_t i = 0; i < LFM2__COUNT_OF(not_str); i++)
        assert_refused(&o, lfm2__weights_kv_str(o.w, not_str[i], &s, &n), not_str[i]);
    assert_refused(&o, lfm2__weights_kv_int(o.w, "test.u64_max", INT64_MIN, INT64_MAX, &v), "test.u64_max");
    assert_true(v == 7 && d == 8 && b == 9 && n == 4);
    assert_string_equal(s, "same");
    end(&o);
}

static void numbers(void **state)
{
    (void)state;
    opened o;
    double d = 8;
    begin(&o, "types.gguf");
    assert_int_equal(lfm2__weights_kv_number(o.w, "test.f32", 0, 1, &d), 0);
    assert_true(d == (double)1e-5f);
    assert_int_equal(lfm2__weights_kv_number(o.w, "test.f64", 0, INFINITY, &d), 0);
    assert_true(d == 1e300);
    d = 8;
    assert_refused(&o, lfm2__weights_kv_number(o.w, "test.f64", 0, 1e299, &d), "test.f64");
    assert_refused(&o, lfm2__weights_kv_number(o.w, "test.f32", 1e-4, 1, &d), "test.f32");
    assert_refused(&o, lfm2__weights_kv_number(o.w, "test.f32_nan", -INFINITY, INFINITY, &d), "test.f32_nan");
    assert_refused(&o, lfm2__weights_kv_number(o.w, "test.f64_inf", -INFINITY, INFINITY, &d), "test.f64_inf");
    assert_true(d == 8);
    end(&o);
}

static void booleans_and_strings(void **state)
{
    (void)state;
    opened o;
    int b = 9;
    const char *s = NULL;
    size_t n = 0;
    begin(&o, "types.gguf");
    assert_int_equal(lfm2__weights_kv_bool(o.w, "test.true", &b), 0);
    assert_int_equal(b, 1);
    assert_int_equal(lfm2__weights_kv_bool(o.w, "test.false", &b), 0);
    assert_int_equal(b, 0);
    assert_int_equal(lfm2__weights_kv_str(o.w, "test.string", &s, &n), 0);
    assert_int_equal(n, 9);
    assert_memory_equal(s, "d\xc3\xa9j\xc3\xa0 vu", 9);
    end(&o);
}

static void a_boolean_of_two(void **state)
{
    (void)state;
    watched x;
    int v = 9;
    bytes b = {0};
    gguf_head(&b, 0, 1);
    gguf_key(&b, "a.flag", LFM2__KV_BOOL);
    put_u8(&b, 2);
    watch_begin(&x);
    lfm2_weights *w = accept_bytes(&x, &b);
    assert_int_equal(lfm2__weights_kv_bool(w, "a.flag", &v), LFM2_ERR_FORMAT);
    assert_one_line(&x.log, LABEL, "a.flag");
    assert_int_equal(v, 9);
    lfm2_weights_close(w);
    watch_end(&x);
    free(b.p);
}

static void arrays(void **state)
{
    (void)state;
    opened o;
    size_t n;
    begin(&o, "types.gguf");
    const lfm2__kv *kv = lfm2__weights_find_kv(o.w, "test.i32s");
    assert_int_equal(kv->type, LFM2__KV_ARRAY);
    assert_int_equal(kv->elem_type, LFM2__KV_I32);
    assert_int_equal(kv->n_elems, 3);
    assert_int_equal(kv->n_bytes, 12);
    assert_true(lfm2__kv_int_at(kv, 0) == 0 && lfm2__kv_int_at(kv, 1) == -1 && lfm2__kv_int_at(kv, 2) == 2147483647);
    assert_true(lfm2__kv_number_at(kv, 1) == -1.0);

    kv = lfm2__weights_find_kv(o.w, "test.u64s");
    assert_true(lfm2__kv_int_at(kv, 0) == 1 && lfm2__kv_int_at(kv, 1) == INT64_MAX);
    kv = lfm2__weights_find_kv(o.w, "test.f32s");
    assert_true(lfm2__kv_number_at(kv, 0) == 0.5 && lfm2__kv_number_at(kv, 1) == -2.0);

    kv = lfm2__weights_find_kv(o.w, "test.strings");
    const unsigned char *cursor = kv->data;
    const char *s = lfm2__kv_next_str(kv, &cursor, &n);
    assert_int_equal(n, 3);
    assert_memory_equal(s, "one", 3);
    s = lfm2__kv_next_str(kv, &cursor, &n);
    assert_int_equal(n, 9);
    assert_memory_equal(s, "two words", 9);
    s = lfm2__kv_next_str(kv, &cursor, &n);
    assert_int_equal(n, 2);
    assert_memory_equal(s, "\xc3\xbc", 2);
    assert_null(lfm2__kv_next_str(kv, &cursor, &n));
    assert_null(lfm2__kv_next_str(kv, &cursor, &n));

    kv = lfm2__weights_find_kv(o.w, "test.i32s");
    cursor = kv->data;
    assert_null(lfm2__kv_next_str(kv, &cursor, &n));
    end(&o);
}

/* The declared element type decides how many bytes are read, whatever the caller hoped for. */
static void test_gguf_array_of_u8_read_as_i32_26690(void **state)
{
    (void)state;
    opened o;
    begin(&o, "types.gguf");
    const lfm2__kv *kv = lfm2__weights_find_kv(o.w, "test.u8s");
    assert_int_equal(kv->elem_type, LFM2__KV_U8);
    assert_int_equal(kv->n_bytes, 3);
    assert_true(lfm2__kv_int_at(kv, 0) == 1 && lfm2__kv_int_at(kv, 1) == 2 && lfm2__kv_int_at(kv, 2) == 255);
    end(&o);

    /* At the very end of the file, where the wrong width reads behind it. */
    watched x;
    bytes b = {0};
    gguf_head(&b, 0, 1);
    gguf_array(&b, "k", LFM2__KV_U8, 4);
    put(&b, "\1\2\3\4", 4);
    unsigned char *exact = malloc(b.n);
    assert_non_null(exact);
    memcpy(exact, b.p, b.n);
    lfm2_weights *w = NULL;
    watch_begin(&x);
    assert_int_equal(lfm2__weights_open_bytes(x.rt, LABEL, exact, b.n, &w), 0);
    kv = lfm2__weights_find_kv(w, "k");
    for (uint64_t i = 0; i < kv->n_elems; i++) assert_true(lfm2__kv_int_at(kv, i) == (int64_t)i + 1);
    lfm2_weights_close(w);
    watch_end(&x);
    free(exact);
    free(b.p);
}

static void walk_in_file_order(void **state)
{
    (void)state;
    opened o;
    begin(&o, "types.gguf");
    size_t n = lfm2__weights_n_kv(o.w);
    assert_int_equal(n, 23);
    const lfm2__kv *kv = lfm2__weights_kv(o.w, 0);
    assert_int_equal(kv->key_n, strlen("general.architecture"));
    assert_memory_equal(kv->key, "general.architecture", kv->key_n);
    assert_null(lfm2__weights_kv(o.w, n));
    for (size_t i = 0; i < n; i++) {
        char key[64];
        kv = lfm2__weights_kv(o.w, i);
        snprintf(key, sizeof key, "%.*s", (int)kv->key_n, kv->key);
        assert_ptr_equal(lfm2__weights_find_kv(o.w, key), kv);
    }
    end(&o);
}

static void integer_types(void **state)
{
    (void)state;
    static const int is_int[] = {1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 0};
    for (size_t i = 0; i < LFM2__COUNT_OF(is_int); i++) assert_int_equal(lfm2__kv_is_int((lfm2__kv_type)i), is_int[i]);
    assert_int_equal(lfm2__kv_is_int((lfm2__kv_type)13), 0);
}

/* --- element types --- */

static void names_of_types(void **state)
{
    (void)state;
    for (int t = 0; t < LFM2_DTYPE_COUNT; t++) {
        assert_int_equal(lfm2_dtype_from_name(lfm2_dtype_name((lfm2_dtype)t)), t);
        int32_t ggml = lfm2__dtype_to_ggml((lfm2_dtype)t);
        if (ggml >= 0) assert_int_equal(lfm2__dtype_from_ggml((uint32_t)ggml), t);
    }
    assert_int_equal(lfm2_dtype_from_name("q4_k"), LFM2_DTYPE_Q4_K);
    assert_int_equal(lfm2_dtype_from_name("bf16"), LFM2_DTYPE_BF16);
    assert_int_equal(lfm2_dtype_from_name("Q4"), LFM2_DTYPE_COUNT);
    assert_int_equal(lfm2_dtype_from_name(""), LFM2_DTYPE_COUNT);
    assert_int_equal(lfm2_dtype_from_name(NULL), LFM2_DTYPE_COUNT);
    assert_string_equal(lfm2_dtype_name(LFM2_DTYPE_COUNT), "?");
    assert_string_equal(lfm2_dtype_name((lfm2_dtype)-1), "?");
    assert_int_equal(lfm2__dtype_to_ggml(LFM2_DTYPE_U8), -1);
    assert_int_equal(lfm2__dtype_to_ggml(LFM2_DTYPE_COUNT), -1);
    assert_int_equal(lfm2__dtype_from_ggml(0xffffffff), LFM2_DTYPE_COUNT);
    assert_int_equal(lfm2_dtype_block_elems(LFM2_DTYPE_COUNT), 0);
    assert_int_equal(lfm2_dtype_block_bytes((lfm2_dtype)99), 0);
}

static void sizes_of_rows(void **state)
{
    (void)state;
    assert_int_equal(lfm2_dtype_row_bytes(LFM2_DTYPE_F32, 3), 12);
    assert_int_equal(lfm2_dtype_row_bytes(LFM2_DTYPE_Q8_0, 64), 68);
    assert_int_equal(lfm2_dtype_row_bytes(LFM2_DTYPE_Q6_K, 512), 420);
    assert_int_equal(lfm2_dtype_row_bytes(LFM2_DTYPE_Q8_0, 33), 0);
    assert_int_equal(lfm2_dtype_row_bytes(LFM2_DTYPE_Q4_K, 128), 0);
    assert_int_equal(lfm2_dtype_row_bytes(LFM2_DTYPE_F32, 0), 0);
    assert_int_equal(lfm2_dtype_row_bytes(LFM2_DTYPE_F32, -4), 0);
    assert_int_equal(lfm2_dtype_row_bytes(LFM2_DTYPE_F32, INT64_MAX), 0);
    assert_int_equal(lfm2_dtype_row_bytes(LFM2_DTYPE_COUNT, 4), 0);
}

static void sizes_of_tensors(void **state)
{
    (void)state;
    static const int64_t dims[3] = {2, 3, 64};
    static const int64_t huge[3] = {INT64_C(1) << 40, INT64_C(1) << 20, 64};
    static const int64_t negative[1] = {-1};
    size_t n = 5;
    assert_int_equal(lfm2__tensor_bytes(LFM2_DTYPE_Q8_0, 3, dims, &n), 0);
    assert_int_equal(n, 6 * 68);
    assert_int_equal(lfm2__tensor_bytes(LFM2_DTYPE_F16, 0, NULL, &n), 0);
    assert_int_equal(n, 2);
    assert_int_equal(lfm2__tensor_bytes(LFM2_DTYPE_Q8_0, 0, NULL, &n), -1);
    assert_int_equal(lfm2__tensor_bytes(LFM2_DTYPE_Q8_0, 2, dims, &n), -1);
    assert_int_equal(lfm2__tensor_bytes(LFM2_DTYPE_F32, 3, huge, &n), -1);
    assert_int_equal(lfm2__tensor_bytes(LFM2_DTYPE_F32, 1, negative, &n), -1);
    assert_int_equal(lfm2__tensor_bytes(LFM2_DTYPE_COUNT, 3, dims, &n), -1);
    assert_int_equal(n, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_of_every_width),
        cmocka_unit_test(an_absent_key_changes_nothing),
        cmocka_unit_test(wrong_types),
        cmocka_unit_test(numbers),
        cmocka_unit_test(booleans_and_strings),
        cmocka_unit_test(a_boolean_of_two),
        cmocka_unit_test(arrays),
        cmocka_unit_test(test_gguf_array_of_u8_read_as_i32_26690),
        cmocka_unit_test(walk_in_file_order),
        cmocka_unit_test(integer_types),
        cmocka_unit_test(names_of_types),
        cmocka_unit_test(sizes_of_rows),
        cmocka_unit_test(sizes_of_tensors),
    };
    return cmocka_run_group_tests_name("weights_kv", tests, NULL, NULL);
}
