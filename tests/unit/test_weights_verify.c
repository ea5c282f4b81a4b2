/* SPDX-License-Identifier: Apache-2.0
 * Finite check: every type, every field that makes a value infinite or NaN, and nothing else. */
#include "weights_testing.h"

typedef struct seen {
    int n_calls;
    uint64_t n_bad;
    char name[64];
} seen;

static void on_bad(void *ctx, const lfm2_tensor *t, uint64_t n_bad)
{
    seen *s = ctx;
    s->n_calls++;
    s->n_bad = n_bad;
    snprintf(s->name, sizeof s->name, "%s", t->name);
}

/* Three rows of two blocks (elements for scalar types) of type t; the first byte of data is at *data. */
static bytes of_type(lfm2_dtype t, size_t *data)
{
    const uint64_t ne[2] = {(uint64_t)lfm2_dtype_block_elems(t) * 2, 3};
    bytes b = {0};
    gguf_head(&b, 1, 0);
    gguf_tensor(&b, "some.weight", 2, ne, (uint32_t)lfm2__dtype_to_ggml(t), 0);
    gguf_pad(&b, 32);
    *data = b.n;
    put_zeros(&b, (size_t)lfm2_dtype_block_bytes(t) * 6);
    return b;
}

static int verify(const bytes *b, seen *s)
{
    watched x;
    memset(s, 0, sizeof *s);
    watch_begin(&x);
    lfm2_weights *w = accept_bytes(&x, b);
    int rc = lfm2_weights_verify(w, on_bad, s);
    assert_int_equal(lfm2_weights_verify(w, NULL, NULL), rc);
    assert_int_equal(x.log.n_lines, rc < 0 ? 2 : 0);
    if (rc < 0) assert_non_null(strstr(x.log.line, LABEL ": tensor some.weight: "));
    lfm2_weights_close(w);
    watch_end(&x);
    return rc;
}

/* Set bytes in block `block` at `at`, verify, and put zeros back. */
static void assert_found(bytes *b, lfm2_dtype t, size_t data, size_t block, size_t at, const char *value, size_t n)
{
    seen s;
    unsigned char *p = b->p + data + block * (size_t)lfm2_dtype_block_bytes(t) + at;
    memcpy(p, value, n);
    assert_int_equal(verify(b, &s), LFM2_ERR_NONFINITE);
    assert_int_equal(s.n_calls, 1);
    assert_int_equal(s.n_bad, lfm2_dtype_block_elems(t));
    assert_string_equal(s.name, "some.weight");
    memset(p, 0, n);
}

static void scales_of_blocks(void **state)
{
    (void)state;
    static const struct { lfm2_dtype t; int n; size_t at[2]; } cases[] = {
        {LFM2_DTYPE_Q8_0, 1, {0, 0}}, {LFM2_DTYPE_Q4_0, 1, {0, 0}}, {LFM2_DTYPE_Q4_1, 2, {0, 2}}, {LFM2_DTYPE_Q5_0, 1, {0, 0}},
        {LFM2_DTYPE_Q5_1, 2, {0, 2}}, {LFM2_DTYPE_Q4_K, 2, {0, 2}}, {LFM2_DTYPE_Q5_K, 2, {0, 2}}, {LFM2_DTYPE_Q6_K, 1, {208, 0}},
        {LFM2_DTYPE_IQ4_NL, 1, {0, 0}}};
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        size_t data;
        seen s;
        bytes b = of_type(cases[i].t, &data);
        for (int k = 0; k < cases[i].n; k++) {
            for (size_t block = 0; block < 6; block += 5) {
                assert_found(&b, cases[i].t, data, block, cases[i].at[k], "\x00\x7c", 2); /* inf */
                assert_found(&b, cases[i].t, data, block, cases[i].at[k], "\x00\xfc", 2); /* -inf */
                assert_found(&b, cases[i].t, data, block, cases[i].at[k], "\x01\x7e", 2); /* NaN */
            }
        }
        /* All other bytes may have any value; the scales are the largest finite ones. */
        size_t block_bytes = (size_t)lfm2_dtype_block_bytes(cases[i].t);
        memset(b.p + data, 0xff, 6 * block_bytes);
        for (size_t block = 0; block < 6; block++)
            for (int k = 0; k < cases[i].n; k++) memcpy(b.p + data + block * block_bytes + cases[i].at[k], "\xff\x7b", 2);
        assert_int_equal(verify(&b, &s), 0);
        assert_int_equal(s.n_calls, 0);
        free(b.p);
    }
}

static void elements_of_scalar_types(void **state)
{
    (void)state;
    static const struct { lfm2_dtype t; size_t n; const char *bad[3]; const char *good[3]; } cases[] = {
        {LFM2_DTYPE_F16, 2, {"\x00\x7c", "\x00\xfc", "\xff\xff"}, {"\xff\x7b", "\xff\xfb", "\x01\x00"}},
        {LFM2_DTYPE_BF16, 2, {"\x80\x7f", "\x80\xff", "\xc0\x7f"}, {"\x7f\x7f", "\x7f\xff", "\x01\x00"}},
        {LFM2_DTYPE_F32, 4, {"\x00\x00\x80\x7f", "\x00\x00\x80\xff", "\x01\x00\x80\x7f"},
         {"\xff\xff\x7f\x7f", "\xff\xff\x7f\xff", "\x01\x00\x00\x00"}}};
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        size_t data;
        seen s;
        bytes b = of_type(cases[i].t, &data);
        for (size_t k = 0; k < 3; k++) {
            assert_found(&b, cases[i].t, data, 0, 0, cases[i].bad[k], cases[i].n);
            assert_found(&b, cases[i].t, data, 5, 0, cases[i].bad[k], cases[i].n);
            memcpy(b.p + data + k * cases[i].n, cases[i].good[k], cases[i].n);
        }
        assert_int_equal(verify(&b, &s), 0);
        memcpy(b.p + data, cases[i].bad[0], cases[i].n);
        memcpy(b.p + data + 2 * cases[i].n, cases[i].bad[1], cases[i].n);
        assert_int_equal(verify(&b, &s), LFM2_ERR_NONFINITE);
        assert_int_equal(s.n_bad, 2);
        free(b.p);
    }
}

static void types_that_are_only_carried(void **state)
{
    (void)state;
    static const lfm2_dtype types[] = {LFM2_DTYPE_F64, LFM2_DTYPE_I8, LFM2_DTYPE_I16, LFM2_DTYPE_I32, LFM2_DTYPE_I64};
    for (size_t i = 0; i < LFM2__COUNT_OF(types); i++) {
        size_t data;
        seen s;
        bytes b = of_type(types[i], &data);
        memset(b.p + data, 0xff, b.n - data);
        assert_int_equal(verify(&b, &s), 0);
        free(b.p);
    }
}

/* More than one chunk, the bad ones around the seams. */
static void large_tensors(void **state)
{
    (void)state;
    static const size_t at[] = {0, 524287, 524288, 1048575, 1048576, 1100000};
    static const uint64_t ne[1] = {1100001};
    bytes b = {0};
    seen s;
    gguf_head(&b, 1, 0);
    gguf_tensor(&b, "some.weight", 1, ne, 1, 0);
    gguf_pad(&b, 32);
    size_t data = b.n;
    put_zeros(&b, 2 * 1100001);
    assert_int_equal(verify(&b, &s), 0);
    for (size_t i = 0; i < LFM2__COUNT_OF(at); i++) b.p[data + 2 * at[i] + 1] = 0x7c;
    assert_int_equal(verify(&b, &s), LFM2_ERR_NONFINITE);
    assert_int_equal(s.n_bad, LFM2__COUNT_OF(at));
    free(b.p);
}

static void every_bad_tensor_is_reported(void **state)
{
    (void)state;
    watched x;
    seen s = {0};
    bytes b = st_file("{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]},"
                      "\"b\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[4,8]},"
                      "\"c\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[8,12]},"
                      "\"e\":{\"dtype\":\"F16\",\"shape\":[0,2],\"data_offsets\":[12,12]}}",
                      12);
    memset(b.p + b.n - 12, 0xff, 4);
    memset(b.p + b.n - 4, 0xff, 4);
    watch_begin(&x);
    lfm2_weights *w = accept_bytes(&x, &b);
    assert_int_equal(lfm2_weights_verify(w, on_bad, &s), LFM2_ERR_NONFINITE);
    assert_int_equal(s.n_calls, 2);
    assert_string_equal(s.name, "c");
    assert_int_equal(s.n_bad, 2);
    assert_one_line(&x.log, LABEL, "tensor a: ");
    lfm2_weights_close(w);
    watch_end(&x);
    free(b.p);
}

static void abort_ends_it(void **state)
{
    (void)state;
    size_t data;
    watched x;
    bytes b = of_type(LFM2_DTYPE_F32, &data);
    watch_begin(&x);
    lfm2_weights *w = accept_bytes(&x, &b);
    lfm2_runtime_abort(x.rt);
    assert_int_equal(lfm2_weights_verify(w, NULL, NULL), LFM2_ERR_ABORTED);
    lfm2_runtime_clear_abort(x.rt);
    assert_int_equal(lfm2_weights_verify(w, NULL, NULL), 0);
    lfm2_weights_close(w);
    watch_end(&x);
    free(b.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scales_of_blocks),
        cmocka_unit_test(elements_of_scalar_types),
        cmocka_unit_test(types_that_are_only_carried),
        cmocka_unit_test(large_tensors),
        cmocka_unit_test(every_bad_tensor_is_reported),
        cmocka_unit_test(abort_ends_it),
    };
    return cmocka_run_group_tests_name("weights_verify", tests, NULL, NULL);
}
