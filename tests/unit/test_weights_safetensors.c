/* SPDX-License-Identifier: Apache-2.0
 * safetensors reader: what it accepts, and every way in which a header can lie. */
#include "weights_testing.h"

static void refuse_header(const char *header, size_t n_data, int status, const char *field)
{
    bytes b = st_file(header, n_data);
    refuse(&b, status, field);
}

/* One tensor "a" with that entry, 8 bytes of data. */
static void refuse_entry(const char *entry, int status, const char *field)
{
    char header[1024];
    snprintf(header, sizeof header, "{\"a\":%s}", entry);
    refuse_header(header, 8, status, field);
}

static void accepts_a_small_file(void **state)
{
    (void)state;
    watched x;
    watch_begin(&x);
    bytes b = st_file("{\"__metadata__\":{\"format\":\"pt\"},"
                      "\"late\":{\"dtype\":\"BF16\",\"shape\":[2,1,3],\"data_offsets\":[4,16]},"
                      "\"scalar\":{\"data_offsets\":[0,4],\"shape\":[],\"dtype\":\"I32\"}}   ",
                      16);
    lfm2_weights *w = accept_bytes(&x, &b);
    assert_int_equal(lfm2_weights_container(w), LFM2_CONTAINER_SAFETENSORS);
    assert_int_equal(lfm2_weights_n_tensors(w), 2);
    assert_string_equal(lfm2_weights_tensor(w, 0)->name, "scalar"); /* the order of the data */
    const lfm2_tensor *t = lfm2_weights_find(w, "late");
    assert_ptr_equal(t, lfm2_weights_tensor(w, 1));
    assert_int_equal(t->dtype, LFM2_DTYPE_BF16);
    assert_int_equal(t->n_dims, 3);
    assert_int_equal(t->dims[0], 2);
    assert_int_equal(t->dims[1], 1);
    assert_int_equal(t->dims[2], 3);
    assert_int_equal(t->n_bytes, 12);
    assert_ptr_equal(t->data, b.p + b.n - 12);
    assert_int_equal(lfm2_weights_find(w, "scalar")->n_dims, 0);
    assert_int_equal(lfm2_weights_find(w, "scalar")->n_bytes, 4);
    assert_int_equal(lfm2__weights_n_kv(w), 0);
    assert_null(lfm2__weights_find_kv(w, "format"));
    assert_null(lfm2_weights_find(w, "__metadata__"));
    lfm2_weights_close(w);
    watch_end(&x);
    free(b.p);
}

static void accepts_no_tensors(void **state)
{
    (void)state;
    watched x;
    watch_begin(&x);
    bytes b = st_file("{}", 0);
    lfm2_weights *w = accept_bytes(&x, &b);
    assert_int_equal(lfm2_weights_n_tensors(w), 0);
    assert_null(lfm2_weights_find(w, "a"));
    lfm2_weights_close(w);
    watch_end(&x);
    free(b.p);
}

static void accepts_empty_tensors_anywhere(void **state)
{
    (void)state;
    watched x;
    watch_begin(&x);
    bytes b = st_file("{\"z\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
                      "\"b2\":{\"dtype\":\"F32\",\"shape\":[3,0],\"data_offsets\":[0,0]},"
                      "\"b\":{\"dtype\":\"F32\",\"shape\":[3,0],\"data_offsets\":[0,0]},"
                      "\"c\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[4,4]}}",
                      4);
    lfm2_weights *w = accept_bytes(&x, &b);
    assert_string_equal(lfm2_weights_tensor(w, 0)->name, "b");
    assert_int_equal(lfm2_weights_tensor(w, 0)->n_bytes, 0);
    assert_string_equal(lfm2_weights_tensor(w, 1)->name, "b2");
    assert_string_equal(lfm2_weights_tensor(w, 2)->name, "z");
    assert_string_equal(lfm2_weights_tensor(w, 3)->name, "c");
    lfm2_weights_close(w);
    watch_end(&x);
    free(b.p);
}

static void accepts_every_scalar_type(void **state)
{
    (void)state;
    for (int t = 0; t < LFM2_DTYPE_COUNT; t++) {
        char header[256];
        int32_t n = lfm2_dtype_block_bytes((lfm2_dtype)t) * 2;
        if (lfm2_dtype_block_elems((lfm2_dtype)t) != 1) continue;
        snprintf(header, sizeof header, "{\"a\":{\"dtype\":\"%s\",\"shape\":[2],\"data_offsets\":[0,%d]}}",
                 lfm2_dtype_name((lfm2_dtype)t), (int)n);
        watched x;
        watch_begin(&x);
        bytes b = st_file(header, (size_t)n);
        lfm2_weights *w = accept_bytes(&x, &b);
        assert_int_equal(lfm2_weights_tensor(w, 0)->dtype, t);
        lfm2_weights_close(w);
        watch_end(&x);
        free(b.p);
    }
}

static void test_st_truncated_at_every_byte(void **state)
{
    (void)state;
    bytes whole = st_file("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
                          "\"b\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[8,9]}}",
                          9);
    refuse_cut_short(&whole);
}

/* --- header length --- */

static void test_st_header_length(void **state)
{
    (void)state;
    static const struct { uint64_t n; int status; } cases[] = {
        {0, LFM2_ERR_FORMAT}, {1, LFM2_ERR_FORMAT}, {7, LFM2_ERR_FORMAT}, {93, LFM2_ERR_FORMAT}, {100000000, LFM2_ERR_FORMAT},
        {100000001, LFM2_ERR_LIMIT}, {UINT64_C(1) << 32, LFM2_ERR_LIMIT}, {UINT64_C(1) << 63, LFM2_ERR_LIMIT},
        {UINT64_MAX, LFM2_ERR_LIMIT}, {UINT64_MAX - 7, LFM2_ERR_LIMIT}};
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        bytes b = {0};
        put_u64(&b, cases[i].n);
        put(&b, "{\"a\":", 5);
        for (int k = 0; k < 87; k++) put(&b, " ", 1);
        refuse(&b, cases[i].status, cases[i].n == 7 ? "JSON" : "header length");
    }
    bytes b = {0};
    put_u64(&b, 0);
    refuse(&b, LFM2_ERR_FORMAT, "header length");
    put_u64(&b, UINT64_C(1) << 63);
    refuse(&b, LFM2_ERR_LIMIT, "header length");
    put(&b, "short", 5);
    refuse(&b, LFM2_ERR_FORMAT, "header length");
    refuse(&b, LFM2_ERR_FORMAT, "header length"); /* nothing at all */
}

static void test_st_another_kind_of_file(void **state)
{
    (void)state;
    static const char *const kinds[] = {"PK\3\4 a zip file of pickles", "#!/bin/sh\nrm -rf everything\n", "{\"a\": 1, \"b\": 2}",
                                        "<html><body>404</body></html>", "ggml\1\2\3 an old file", "gguf in small letters"};
    for (size_t i = 0; i < LFM2__COUNT_OF(kinds); i++) {
        bytes b = {0};
        put(&b, kinds[i], strlen(kinds[i]));
        refuse(&b, LFM2_ERR_FORMAT, "header: does not begin as a safetensors or GGUF file does");
    }
}

/* --- sheer size --- */

static bytes filled(size_t header_n)
{
    bytes b = {0};
    b.p = malloc(8 + header_n);
    assert_non_null(b.p);
    b.cap = 8 + header_n;
    put_u64(&b, header_n);
    memset(b.p + 8, ' ', header_n);
    b.n += header_n;
    return b;
}

static void test_st_100_mb_of_spaces(void **state)
{
    (void)state;
    bytes b = filled(100000000);
    refuse(&b, LFM2_ERR_FORMAT, "header");
    b = filled(100000000);
    b.p[8] = '{';
    refuse(&b, LFM2_ERR_FORMAT, "JSON");
}

static void test_st_spaces_behind_the_header(void **state)
{
    (void)state;
    watched x;
    watch_begin(&x);
    bytes b = filled(10000000);
    memcpy(b.p + 8, "{}", 2);
    lfm2_weights_close(accept_bytes(&x, &b));
    assert_true(x.heap.peak_bytes - x.bytes_before <= SMALL_BYTES);
    watch_end(&x);
    free(b.p);
}

static void test_st_1000000_entries(void **state)
{
    (void)state;
    static const char *const entries[] = {"{}", "{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,0]}"};
    for (size_t k = 0; k < LFM2__COUNT_OF(entries); k++) {
        bytes b = {0};
        put_u64(&b, 0);
        for (unsigned i = 0; i < 1000000; i++) {
            char entry[96];
            put(&b, entry, (size_t)snprintf(entry, sizeof entry, "%c\"%u\":%s", i > 0 ? ',' : '{', i, entries[k]));
        }
        put(&b, "}", 1);
        for (int i = 0; i < 8; i++) b.p[i] = (unsigned char)((b.n - 8) >> (8 * i));
        refuse(&b, LFM2_ERR_LIMIT, "JSON has more than");
    }
}

static void test_st_one_tensor_too_many(void **state)
{
    (void)state;
    for (unsigned n = 65536; n <= 65538; n++) {
        bytes b = {0};
        put_u64(&b, 0);
        put(&b, "{", 1);
        for (unsigned i = 0; i < n; i++) {
            char entry[96];
            put(&b, entry, (size_t)snprintf(entry, sizeof entry,
                                            "%s\"t%u\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%u,%u]}",
                                            i > 0 ? "," : "", i, i, i + 1));
        }
        put(&b, "}", 1);
        for (int i = 0; i < 8; i++) b.p[i] = (unsigned char)((b.n - 8) >> (8 * i));
        put_zeros(&b, n);
        if (n > 65536) {
            refuse(&b, LFM2_ERR_LIMIT, "tensors are over the limit");
            continue;
        }
        watched x;
        watch_begin(&x);
        lfm2_weights *w = accept_bytes(&x, &b);
        assert_int_equal(lfm2_weights_n_tensors(w), n);
        assert_string_equal(lfm2_weights_tensor(w, 65535)->name, "t65535");
        assert_ptr_equal(lfm2_weights_find(w, "t65535")->data, b.p + b.n - 1);
        lfm2_weights_close(w);
        watch_end(&x);
        free(b.p);
    }
}

static void test_st_depth_100000(void **state)
{
    (void)state;
    bytes b = {0};
    put_u64(&b, 5 + 200000 + 1);
    put(&b, "{\"a\":", 5);
    for (int i = 0; i < 100000; i++) put(&b, "[", 1);
    for (int i = 0; i < 100000; i++) put(&b, "]", 1);
    put(&b, "}", 1);
    refuse(&b, LFM2_ERR_LIMIT, "nested deeper");
}

/* --- what the header says --- */

static void test_st_not_an_object(void **state)
{
    (void)state;
    refuse_header("{", 0, LFM2_ERR_FORMAT, "header length");
    refuse_header("{]", 0, LFM2_ERR_FORMAT, "JSON");
    refuse_header("{} {}", 0, LFM2_ERR_FORMAT, "JSON");
    refuse_header("{\"a\":1,}", 0, LFM2_ERR_FORMAT, "JSON");
    refuse_header("[]", 0, LFM2_ERR_FORMAT, "header");
    refuse_entry("1", LFM2_ERR_FORMAT, "tensor a: entry");
    refuse_entry("null", LFM2_ERR_FORMAT, "tensor a: entry");
    refuse_entry("[]", LFM2_ERR_FORMAT, "tensor a: entry");
}

static void test_st_duplicate_keys(void **state)
{
    (void)state;
    refuse_header("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
                  "\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,8]}}",
                  8, LFM2_ERR_FORMAT, "duplicate key");
    refuse_entry("{\"dtype\":\"F32\",\"shape\":[2],\"shape\":[2],\"data_offsets\":[0,8]}", LFM2_ERR_FORMAT, "duplicate key");
}

static void test_st_metadata(void **state)
{
    (void)state;
    refuse_header("{\"__metadata__\":1}", 0, LFM2_ERR_FORMAT, "__metadata__");
    refuse_header("{\"__metadata__\":{\"a\":1}}", 0, LFM2_ERR_FORMAT, "__metadata__");
    refuse_header("{\"__metadata__\":{\"a\":{\"b\":\"c\"}}}", 0, LFM2_ERR_FORMAT, "__metadata__");
}

static void test_st_names(void **state)
{
    (void)state;
    static const char entry[] = ":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}";
    static const char *const names[] = {"\"\"", "\"a\\nb\"", "\"\\u001b[2J\"", "\"caf\\u00e9\""};
    char header[4096];
    for (size_t i = 0; i < LFM2__COUNT_OF(names); i++) {
        snprintf(header, sizeof header, "{%s%s", names[i], entry);
        refuse_header(header, 0, LFM2_ERR_FORMAT, "name of tensor 0");
    }
    memset(header, 'n', sizeof header);
    memcpy(header, "{\"", 2);
    snprintf(header + 2 + 1025, 200, "\"%s", entry);
    refuse_header(header, 0, LFM2_ERR_LIMIT, "name of tensor 0");
    refuse_header("{\"a\\u0000b\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, LFM2_ERR_FORMAT, "JSON");
}

static void test_st_dtype(void **state)
{
    (void)state;
    static const char *const unsupported[] = {"F8_E4M3", "F8_E5M2", "C64", "Q8_0", "Q4_K", "f32", "FP32", "F4"};
    char entry[200];
    for (size_t i = 0; i < LFM2__COUNT_OF(unsupported); i++) {
        char field[64];
        snprintf(entry, sizeof entry, "{\"dtype\":\"%s\",\"shape\":[2],\"data_offsets\":[0,8]}", unsupported[i]);
        snprintf(field, sizeof field, "tensor a: dtype: %s ", unsupported[i]);
        refuse_entry(entry, LFM2_ERR_UNSUPPORTED, field);
    }
    refuse_entry("{\"shape\":[2],\"data_offsets\":[0,8]}", LFM2_ERR_FORMAT, "tensor a: dtype");
    refuse_entry("{\"dtype\":7,\"shape\":[2],\"data_offsets\":[0,8]}", LFM2_ERR_FORMAT, "tensor a: dtype");
    refuse_entry("{\"dtype\":\"\",\"shape\":[2],\"data_offsets\":[0,8]}", LFM2_ERR_FORMAT, "tensor a: dtype");
    refuse_entry("{\"dtype\":\"\\u001b[31m\",\"shape\":[2],\"data_offsets\":[0,8]}", LFM2_ERR_FORMAT, "tensor a: dtype");
    refuse_entry("{\"dtype\":\"F32F32F32F32F32F32F32F32F32F32F32F32\",\"shape\":[2],\"data_offsets\":[0,8]}", LFM2_ERR_FORMAT,
                 "tensor a: dtype");
}

static void test_st_shape(void **state)
{
    (void)state;
    static const struct { const char *shape; int status; } cases[] = {
        {"3", LFM2_ERR_FORMAT}, {"null", LFM2_ERR_FORMAT}, {"\"2\"", LFM2_ERR_FORMAT}, {"[-2]", LFM2_ERR_FORMAT},
        {"[-1,-2]", LFM2_ERR_FORMAT}, {"[2.0]", LFM2_ERR_FORMAT}, {"[2e0]", LFM2_ERR_FORMAT}, {"[\"2\"]", LFM2_ERR_FORMAT},
        {"[null]", LFM2_ERR_FORMAT}, {"[[2]]", LFM2_ERR_FORMAT}, {"[true]", LFM2_ERR_FORMAT},
        {"[9223372036854775807,2]", LFM2_ERR_FORMAT}, {"[4294967296,4294967296]", LFM2_ERR_FORMAT},
        {"[4611686018427387905]", LFM2_ERR_FORMAT}, {"[4611686018427387904,4,0]", LFM2_ERR_FORMAT},
        {"[1048576,4398046511105]", LFM2_ERR_FORMAT}, {"[1,1,1,1,1,1,1,1,2]", LFM2_ERR_LIMIT}};
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        char entry[200];
        snprintf(entry, sizeof entry, "{\"dtype\":\"F32\",\"shape\":%s,\"data_offsets\":[0,8]}", cases[i].shape);
        refuse_entry(entry, cases[i].status, "tensor a: shape");
    }
    refuse_entry("{\"dtype\":\"F32\",\"data_offsets\":[0,8]}", LFM2_ERR_FORMAT, "tensor a: shape");
    refuse_entry("{\"dtype\":\"F32\",\"shape\":[9223372036854775808],\"data_offsets\":[0,8]}", LFM2_ERR_FORMAT, "JSON");
}

static void test_st_offsets(void **state)
{
    (void)state;
    static const char *const offsets[] = {"8",      "null",     "[]",      "[0]",    "[0,8,8]",  "[8,0]",   "[-8,0]", "[0,-8]",
                                          "[0.0,8.0]", "[\"0\",\"8\"]", "{\"0\":0,\"1\":8}", "[0,7]", "[0,4]", "[0,9]", "[1,9]",
                                          "[0,9223372036854775807]", "[9223372036854775799,9223372036854775807]", "[[0],[8]]"};
    for (size_t i = 0; i < LFM2__COUNT_OF(offsets); i++) {
        char entry[200];
        snprintf(entry, sizeof entry, "{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":%s}", offsets[i]);
        refuse_entry(entry, LFM2_ERR_FORMAT, "tensor a: data_offsets");
    }
    refuse_entry("{\"dtype\":\"F32\",\"shape\":[2]}", LFM2_ERR_FORMAT, "tensor a: data_offsets");
    refuse_entry("{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}", LFM2_ERR_FORMAT, "tensor a: data_offsets");
    refuse_entry("{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,8]}", LFM2_ERR_FORMAT, "tensor a: data_offsets");
}

static void test_st_gaps_and_overlaps(void **state)
{
    (void)state;
    static const struct { int a, a_end, b, b_end; const char *field; } cases[] = {
        {0, 4, 5, 9, "tensor b: data_offsets: leave a gap"}, {1, 5, 5, 9, "tensor a: data_offsets: leave a gap"},
        {0, 5, 4, 9, "tensor b: data_offsets: overlap"},     {0, 9, 3, 5, "tensor b: data_offsets: overlap"},
        {4, 9, 0, 5, "tensor a: data_offsets: overlap"},     {0, 4, 0, 9, "tensor b: data_offsets: overlap"},
        {0, 4, 4, 8, "data: 1 bytes"},                       {4, 8, 0, 4, "data: 1 bytes"}};
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        char header[300];
        snprintf(header, sizeof header,
                 "{\"a\":{\"dtype\":\"U8\",\"shape\":[%d],\"data_offsets\":[%d,%d]},"
                 "\"b\":{\"dtype\":\"I8\",\"shape\":[%d],\"data_offsets\":[%d,%d]}}",
                 cases[i].a_end - cases[i].a, cases[i].a, cases[i].a_end, cases[i].b_end - cases[i].b, cases[i].b, cases[i].b_end);
        refuse_header(header, 9, LFM2_ERR_FORMAT, cases[i].field);
    }
    refuse_header("{}", 1, LFM2_ERR_FORMAT, "data: 1 bytes");
}

static void test_st_out_of_memory_at_every_call(void **state)
{
    (void)state;
    bytes b = st_file("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8);
    fail_each_allocation(open_bytes, &b, LABEL, "out of memory");
    free(b.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_a_small_file),
        cmocka_unit_test(accepts_no_tensors),
        cmocka_unit_test(accepts_empty_tensors_anywhere),
        cmocka_unit_test(accepts_every_scalar_type),
        cmocka_unit_test(test_st_truncated_at_every_byte),
        cmocka_unit_test(test_st_header_length),
        cmocka_unit_test(test_st_another_kind_of_file),
        cmocka_unit_test(test_st_100_mb_of_spaces),
        cmocka_unit_test(test_st_spaces_behind_the_header),
        cmocka_unit_test(test_st_1000000_entries),
        cmocka_unit_test(test_st_one_tensor_too_many),
        cmocka_unit_test(test_st_depth_100000),
        cmocka_unit_test(test_st_not_an_object),
        cmocka_unit_test(test_st_duplicate_keys),
        cmocka_unit_test(test_st_metadata),
        cmocka_unit_test(test_st_names),
        cmocka_unit_test(test_st_dtype),
        cmocka_unit_test(test_st_shape),
        cmocka_unit_test(test_st_offsets),
        cmocka_unit_test(test_st_gaps_and_overlaps),
        cmocka_unit_test(test_st_out_of_memory_at_every_call),
    };
    return cmocka_run_group_tests_name("weights_safetensors", tests, NULL, NULL);
}
