/* SPDX-License-Identifier: Apache-2.0
 * GGUF reader: what it accepts, and every way in which a file can lie. */
#include "weights_testing.h"

static const uint64_t two[1] = {2};

/* A metadata entry or two, tensors "a" F32 [2] and "b" Q8_0 [3,32]; 8 bytes + padding + 102 bytes of data. */
static bytes small_file(void)
{
    static const uint64_t ne[2] = {32, 3};
    bytes b = {0};

    gguf_head(&b, 2, 2);
    gguf_key(&b, "general.architecture", LFM2__KV_STRING);
    gguf_str(&b, "lfm2");
    gguf_array(&b, "tokenizer.ggml.tokens", LFM2__KV_STRING, 2);
    gguf_str(&b, "x");
    gguf_str(&b, "");
    gguf_tensor(&b, "a", 1, two, 0, 0);
    gguf_tensor(&b, "b", 2, ne, 8, 32);
    gguf_pad(&b, 32);
    for (unsigned i = 0; i < 32 + 102; i++) put_u8(&b, i & 0x3f);
    return b;
}

/* One F32 tensor of two elements with its data, behind the metadata that the caller has put. */
static void finish_small(bytes *b, size_t alignment)
{
    gguf_tensor(b, "a", 1, two, 0, 0);
    gguf_pad(b, alignment);
    put_zeros(b, 8);
}

static void accepts_a_small_file(void **state)
{
    (void)state;
    watched x;
    watch_begin(&x);
    bytes b = small_file();
    lfm2_weights *w = accept_bytes(&x, &b);

    assert_int_equal(lfm2_weights_container(w), LFM2_CONTAINER_GGUF);
    assert_int_equal(lfm2_weights_n_tensors(w), 2);
    assert_int_equal(lfm2_weights_file_bytes(w), b.n);
    assert_string_equal(lfm2_weights_path(w), LABEL);
    const lfm2_tensor *t = lfm2_weights_find(w, "b");
    assert_ptr_equal(t, lfm2_weights_tensor(w, 1));
    assert_int_equal(t->dtype, LFM2_DTYPE_Q8_0);
    assert_int_equal(t->n_dims, 2);
    assert_int_equal(t->dims[0], 3); /* turned round */
    assert_int_equal(t->dims[1], 32);
    assert_int_equal(t->n_bytes, 102);
    assert_ptr_equal(t->data, b.p + b.n - 102);
    assert_null(lfm2_weights_find(w, "c"));
    assert_null(lfm2_weights_find(w, ""));
    assert_null(lfm2_weights_tensor(w, 2));
    assert_int_equal(lfm2_weights_check(w), 0);
    lfm2_weights_close(w);
    watch_end(&x);
    free(b.p);
}

static void accepts_version_2(void **state)
{
    (void)state;
    watched x;
    watch_begin(&x);
    bytes b = small_file();
    b.p[4] = 2;
    lfm2_weights *w = accept_bytes(&x, &b);
    assert_int_equal(lfm2_weights_n_tensors(w), 2);
    lfm2_weights_close(w);
    watch_end(&x);
    free(b.p);
}

static void accepts_no_tensors(void **state)
{
    (void)state;
    watched x;
    watch_begin(&x);
    bytes b = {0};
    gguf_head(&b, 0, 1);
    gguf_key(&b, "k", LFM2__KV_U8);
    put_u8(&b, 1);
    lfm2_weights *w = accept_bytes(&x, &b);
    assert_int_equal(lfm2_weights_n_tensors(w), 0);
    assert_int_equal(lfm2__weights_n_kv(w), 1);
    assert_null(lfm2_weights_find(w, "a"));
    assert_null(lfm2_weights_tensor(w, 0));
    lfm2_weights_close(w);
    watch_end(&x);
    free(b.p);
}

static void accepts_a_scalar_and_unordered_offsets(void **state)
{
    (void)state;
    watched x;
    watch_begin(&x);
    bytes b = {0};
    gguf_head(&b, 2, 0);
    gguf_tensor(&b, "late", 1, two, 0, 32);
    gguf_tensor(&b, "scalar", 0, NULL, 0, 0);
    gguf_pad(&b, 32);
    put_zeros(&b, 40);
    lfm2_weights *w = accept_bytes(&x, &b);
    assert_string_equal(lfm2_weights_tensor(w, 0)->name, "late");
    assert_int_equal(lfm2_weights_find(w, "scalar")->n_dims, 0);
    assert_int_equal(lfm2_weights_find(w, "scalar")->n_bytes, 4);
    lfm2_weights_close(w);
    watch_end(&x);
    free(b.p);
}

static void accepts_other_alignments(void **state)
{
    (void)state;
    static const uint32_t alignments[] = {1, 8, 64, 65536};
    for (size_t i = 0; i < LFM2__COUNT_OF(alignments); i++) {
        watched x;
        watch_begin(&x);
        bytes b = {0};
        gguf_head(&b, 1, 1);
        gguf_key(&b, "general.alignment", LFM2__KV_U32);
        put_u32(&b, alignments[i]);
        finish_small(&b, alignments[i]);
        lfm2_weights *w = accept_bytes(&x, &b);
        assert_ptr_equal(lfm2_weights_tensor(w, 0)->data, b.p + b.n - 8);
        lfm2_weights_close(w);
        watch_end(&x);
        free(b.p);
    }
}

static void test_gguf_truncated_at_every_byte(void **state)
{
    (void)state;
    bytes whole = small_file();
    refuse_cut_short(&whole);
}

/* Every byte of the structure set to the values that hurt: whatever comes out, it is clean. */
static void test_gguf_every_byte_changed(void **state)
{
    (void)state;
    static const unsigned char values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    bytes whole = small_file();
    for (size_t at = 0; at < whole.n - 134; at++) {
        for (size_t v = 0; v < LFM2__COUNT_OF(values); v++) {
            watched x;
            lfm2_weights *w = NULL;
            unsigned char *exact = malloc(whole.n);
            assert_non_null(exact);
            memcpy(exact, whole.p, whole.n);
            exact[at] = values[v];
            watch_begin(&x);
            int rc = lfm2__weights_open_bytes(x.rt, LABEL, exact, whole.n, &w);
            if (rc < 0)
                assert_one_line(&x.log, LABEL, ": ");
            else
                assert_int_equal(x.log.n_lines, 0);
            lfm2_weights_close(w);
            watch_end(&x);
            free(exact);
        }
    }
    free(whole.p);
}

static void test_gguf_version(void **state)
{
    (void)state;
    static const uint32_t versions[] = {0, 1, 4, 99, 0xffffffff};
    for (size_t i = 0; i < LFM2__COUNT_OF(versions); i++) {
        bytes b = small_file();
        for (int k = 0; k < 4; k++) b.p[4 + k] = (unsigned char)(versions[i] >> (8 * k));
        refuse(&b, LFM2_ERR_UNSUPPORTED, "version");
    }
}

static void test_gguf_big_endian(void **state)
{
    (void)state;
    bytes b = small_file();
    memcpy(b.p + 4, "\0\0\0\3", 4);
    refuse(&b, LFM2_ERR_UNSUPPORTED, "big-endian");
}

/* --- counts --- */

static const uint64_t huge[] = {65537, 1u << 31, UINT64_C(1) << 32, UINT64_C(1) << 62, INT64_MAX, UINT64_C(1) << 63, UINT64_MAX};

static void test_gguf_n_tensors_huge_cve_2024_21836(void **state)
{
    (void)state;
    for (size_t i = 0; i < LFM2__COUNT_OF(huge); i++) {
        bytes b = {0};
        gguf_head(&b, huge[i], 0);
        put_zeros(&b, 1000);
        refuse(&b, LFM2_ERR_FORMAT, "n_tensors");
    }
}

static void test_gguf_n_kv_huge_cve_2024_23605(void **state)
{
    (void)state;
    for (size_t i = 0; i < LFM2__COUNT_OF(huge); i++) {
        bytes b = {0};
        gguf_head(&b, 0, huge[i]);
        put_zeros(&b, 1000);
        refuse(&b, LFM2_ERR_FORMAT, "n_kv");
    }
}

/* A count times the size of an entry is never computed with another size than the one that was checked. */
static void test_gguf_n_tensors_times_overhead_wraps_15711(void **state)
{
    (void)state;
    for (uint64_t size = 2; size <= 512; size++) {
        bytes b = {0};
        gguf_head(&b, UINT64_MAX / size + 1, 0);
        put_zeros(&b, 100);
        refuse(&b, LFM2_ERR_FORMAT, "n_tensors");
    }
}

static void test_gguf_n_tensors_over_limit(void **state)
{
    (void)state;
    bytes b = {0};
    gguf_head(&b, 65537, 0);
    put_zeros(&b, 65537 * 25);
    refuse(&b, LFM2_ERR_LIMIT, "n_tensors");
}

static void test_gguf_n_kv_over_limit(void **state)
{
    (void)state;
    bytes b = {0};
    gguf_head(&b, 0, 65537);
    put_zeros(&b, 65537 * 14);
    refuse(&b, LFM2_ERR_LIMIT, "n_kv");
}

/* What the metadata has used up cannot hold tensors as well. */
static void test_gguf_n_tensors_behind_metadata(void **state)
{
    (void)state;
    bytes b = {0};
    gguf_head(&b, 400, 1);
    gguf_array(&b, "k", LFM2__KV_U8, 9900);
    put_zeros(&b, 9950);
    refuse(&b, LFM2_ERR_FORMAT, "n_tensors");
}

/* --- strings and arrays --- */

static void test_gguf_string_length_huge_cve_2024_23496(void **state)
{
    (void)state;
    for (size_t i = 0; i < LFM2__COUNT_OF(huge); i++) {
        bytes b = {0};
        gguf_head(&b, 1, 1);
        gguf_key(&b, "a.string", LFM2__KV_STRING);
        put_u64(&b, huge[i]);
        finish_small(&b, 32);
        refuse(&b, LFM2_ERR_FORMAT, "a.string: string length");
    }
}

static void test_gguf_key_length(void **state)
{
    (void)state;
    for (size_t i = 0; i < LFM2__COUNT_OF(huge); i++) {
        bytes b = {0};
        gguf_head(&b, 0, 1);
        put_u64(&b, huge[i]);
        put_zeros(&b, 100);
        refuse(&b, LFM2_ERR_FORMAT, "metadata entry 0: key");
    }
    bytes b = {0};
    gguf_head(&b, 0, 1);
    put_u64(&b, 1025);
    for (int i = 0; i < 1100; i++) put(&b, "k", 1);
    refuse(&b, LFM2_ERR_LIMIT, "metadata entry 0: key");
}

static void test_gguf_key_bytes(void **state)
{
    (void)state;
    static const char *const keys[] = {"", "line\nbreak", "\x1b[31m", "caf\xc3\xa9", "\x7f"};
    for (size_t i = 0; i < LFM2__COUNT_OF(keys); i++) {
        bytes b = {0};
        gguf_head(&b, 0, 1);
        gguf_key(&b, keys[i], LFM2__KV_U32);
        put_u32(&b, 1);
        refuse(&b, LFM2_ERR_FORMAT, "metadata entry 0: key");
    }
}

static void test_gguf_array_length_huge_cve_2024_21825(void **state)
{
    (void)state;
    static const uint32_t types[] = {LFM2__KV_U8, LFM2__KV_I32, LFM2__KV_F64, LFM2__KV_STRING, LFM2__KV_BOOL};
    for (size_t t = 0; t < LFM2__COUNT_OF(types); t++) {
        for (size_t i = 0; i < LFM2__COUNT_OF(huge); i++) {
            bytes b = {0};
            gguf_head(&b, 1, 1);
            gguf_array(&b, "an.array", types[t], huge[i]);
            finish_small(&b, 32);
            refuse(&b, LFM2_ERR_FORMAT, "an.array: array length");
        }
    }
}

/* Length times element size wraps to a small number. */
static void test_gguf_array_bytes_wrap(void **state)
{
    (void)state;
    bytes b = {0};
    gguf_head(&b, 1, 1);
    gguf_array(&b, "an.array", LFM2__KV_U64, (UINT64_C(1) << 61) + 1);
    finish_small(&b, 32);
    refuse(&b, LFM2_ERR_FORMAT, "an.array: array length");
}

static void test_gguf_array_of_strings_past_the_end_cve_2024_21825(void **state)
{
    (void)state;
    for (size_t i = 0; i < LFM2__COUNT_OF(huge); i++) {
        bytes b = {0};
        gguf_head(&b, 1, 1);
        gguf_array(&b, "an.array", LFM2__KV_STRING, 3);
        gguf_str(&b, "first");
        put_u64(&b, huge[i]);
        finish_small(&b, 32);
        refuse(&b, LFM2_ERR_FORMAT, "an.array: length of a string");
    }
}

static void test_gguf_nested_array(void **state)
{
    (void)state;
    bytes b = {0};
    gguf_head(&b, 1, 1);
    gguf_array(&b, "an.array", LFM2__KV_ARRAY, 1);
    put_u32(&b, LFM2__KV_U8);
    put_u64(&b, 1);
    put_u8(&b, 1);
    finish_small(&b, 32);
    refuse(&b, LFM2_ERR_UNSUPPORTED, "an.array: array element type");
}

static void test_gguf_unknown_value_type(void **state)
{
    (void)state;
    static const uint32_t types[] = {13, 99, 0x80000000, 0xffffffff};
    for (size_t i = 0; i < LFM2__COUNT_OF(types); i++) {
        bytes b = {0};
        gguf_head(&b, 1, 1);
        gguf_key(&b, "a.key", types[i]);
        finish_small(&b, 32);
        refuse(&b, LFM2_ERR_FORMAT, "a.key: value type");
        gguf_head(&b, 1, 1);
        gguf_array(&b, "a.key", types[i], 1);
        finish_small(&b, 32);
        refuse(&b, LFM2_ERR_FORMAT, "a.key: array element type");
    }
}

static void test_gguf_duplicate_key(void **state)
{
    (void)state;
    bytes b = {0};
    gguf_head(&b, 1, 3);
    gguf_key(&b, "a.key", LFM2__KV_U8);
    put_u8(&b, 1);
    gguf_key(&b, "a.key.longer", LFM2__KV_U8);
    put_u8(&b, 1);
    gguf_key(&b, "a.key", LFM2__KV_U8);
    put_u8(&b, 1);
    finish_small(&b, 32);
    refuse(&b, LFM2_ERR_FORMAT, "a.key: key: occurs twice");
}

/* --- keys that steer the reader --- */

static void test_gguf_alignment_80000000_24997(void **state)
{
    (void)state;
    static const struct { uint32_t alignment; int status; } cases[] = {
        {0, LFM2_ERR_FORMAT}, {3, LFM2_ERR_FORMAT}, {33, LFM2_ERR_FORMAT}, {0xffffffff, LFM2_ERR_FORMAT},
        {0x80000000, LFM2_ERR_LIMIT}, {131072, LFM2_ERR_LIMIT}};
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        bytes b = {0};
        gguf_head(&b, 1, 1);
        gguf_key(&b, "general.alignment", LFM2__KV_U32);
        put_u32(&b, cases[i].alignment);
        finish_small(&b, 32);
        refuse(&b, cases[i].status, "general.alignment");
    }
}

static void test_gguf_alignment_of_wrong_type_26318(void **state)
{
    (void)state;
    bytes b = {0};
    gguf_head(&b, 1, 1);
    gguf_key(&b, "general.alignment", LFM2__KV_STRING);
    gguf_str(&b, "32");
    finish_small(&b, 32);
    refuse(&b, LFM2_ERR_FORMAT, "general.alignment: is not an integer");
    gguf_head(&b, 1, 1);
    gguf_key(&b, "general.alignment", LFM2__KV_F32);
    put_u32(&b, 32);
    finish_small(&b, 32);
    refuse(&b, LFM2_ERR_FORMAT, "general.alignment: is not an integer");
    gguf_head(&b, 1, 1);
    gguf_array(&b, "general.alignment", LFM2__KV_U32, 1);
    put_u32(&b, 32);
    finish_small(&b, 32);
    refuse(&b, LFM2_ERR_FORMAT, "general.alignment: is not an integer");
}

static void test_gguf_negative_alignment(void **state)
{
    (void)state;
    bytes b = {0};
    gguf_head(&b, 1, 1);
    gguf_key(&b, "general.alignment", LFM2__KV_I64);
    put_u64(&b, UINT64_C(1) << 63);
    finish_small(&b, 32);
    refuse(&b, LFM2_ERR_LIMIT, "general.alignment");
    gguf_head(&b, 1, 1);
    gguf_key(&b, "general.alignment", LFM2__KV_I32);
    put_u32(&b, (uint32_t)-32);
    finish_small(&b, 32);
    refuse(&b, LFM2_ERR_FORMAT, "general.alignment");
}

static void test_gguf_split_file(void **state)
{
    (void)state;
    bytes b = {0};
    gguf_head(&b, 1, 1);
    gguf_key(&b, "split.count", LFM2__KV_U16);
    put_le(&b, 2, 2);
    finish_small(&b, 32);
    refuse(&b, LFM2_ERR_UNSUPPORTED, "split.count: the model is split over 2 GGUF files");
    gguf_head(&b, 1, 1);
    gguf_key(&b, "split.count", LFM2__KV_BOOL);
    put_u8(&b, 1);
    finish_small(&b, 32);
    refuse(&b, LFM2_ERR_FORMAT, "split.count");

    watched x;
    watch_begin(&x);
    gguf_head(&b, 1, 1);
    gguf_key(&b, "split.count", LFM2__KV_U16);
    put_le(&b, 1, 2);
    finish_small(&b, 32);
    lfm2_weights_close(accept_bytes(&x, &b));
    watch_end(&x);
    free(b.p);
}

/* --- tensors --- */

static bytes one_tensor(uint32_t n_dims, const uint64_t *ne, uint32_t type, uint64_t offset, size_t n_data)
{
    bytes b = {0};
    gguf_head(&b, 1, 0);
    gguf_tensor(&b, "some.weight", n_dims, ne, type, offset);
    gguf_pad(&b, 32);
    put_zeros(&b, n_data);
    return b;
}

static void test_gguf_dimension_not_positive(void **state)
{
    (void)state;
    static const uint64_t bad[] = {0, UINT64_C(1) << 63, UINT64_MAX};
    for (size_t i = 0; i < LFM2__COUNT_OF(bad); i++) {
        const uint64_t first[2] = {bad[i], 4};
        const uint64_t second[2] = {4, bad[i]};
        bytes b = one_tensor(2, first, 0, 0, 64);
        refuse(&b, LFM2_ERR_FORMAT, "some.weight: dimension");
        b = one_tensor(2, second, 0, 0, 64);
        refuse(&b, LFM2_ERR_FORMAT, "some.weight: dimension");
    }
}

static void test_gguf_n_dims_cve_2024_21802(void **state)
{
    (void)state;
    static const uint64_t ne[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    static const uint32_t n_dims[] = {5, 9, 0x80000000, 0xffffffff};
    for (size_t i = 0; i < LFM2__COUNT_OF(n_dims); i++) {
        bytes b = {0};
        gguf_head(&b, 1, 0);
        gguf_str(&b, "some.weight");
        put_u32(&b, n_dims[i]);
        put(&b, ne, sizeof ne);
        put_zeros(&b, 64);
        refuse(&b, LFM2_ERR_FORMAT, "some.weight: n_dims");
    }
}

static void test_gguf_dims_product_wraps_cve_2026_27940(void **state)
{
    (void)state;
    static const uint64_t shapes[][4] = {
        {UINT64_C(1) << 32, UINT64_C(1) << 32, 1, 1}, {UINT64_C(1) << 62, 4, 1, 1}, {INT64_MAX, INT64_MAX, 1, 1},
        {65536, 65536, 65536, 65536}, {UINT64_C(0x5555555555555556), 3, 1, 1}, {INT64_MAX, 2, 1, 1}};
    for (size_t i = 0; i < LFM2__COUNT_OF(shapes); i++) {
        bytes b = one_tensor(4, shapes[i], 0, 0, 64);
        refuse(&b, LFM2_ERR_FORMAT, "some.weight: dimensions");
    }
}

/* The number of elements fits, the number of bytes wraps. */
static void test_gguf_dim_times_stride_wraps_to_small_18674(void **state)
{
    (void)state;
    static const uint64_t shapes[][2] = {{(UINT64_C(1) << 62) + 1, 1}, {1, (UINT64_C(1) << 62) + 1},
                                         {UINT64_C(1) << 20, (UINT64_C(1) << 42) + 1}};
    for (size_t i = 0; i < LFM2__COUNT_OF(shapes); i++) {
        bytes b = one_tensor(2, shapes[i], 0, 0, 64);
        refuse(&b, LFM2_ERR_FORMAT, "some.weight: dimensions");
    }
    static const uint64_t blocks[2] = {256, UINT64_C(1) << 57}; /* Q6_K: 210 bytes each */
    bytes b = one_tensor(2, blocks, 14, 0, 64);
    refuse(&b, LFM2_ERR_FORMAT, "some.weight: dimensions");
}

/* Each size is possible by itself, their sum wraps. */
static void test_gguf_sum_of_sizes_wraps_cve_2025_53630(void **state)
{
    (void)state;
    static const uint64_t ne[1] = {UINT64_C(1) << 61}; /* 2^63 bytes of F32 */
    bytes b = {0};
    gguf_head(&b, 3, 0);
    gguf_tensor(&b, "a", 1, ne, 0, 0);
    gguf_tensor(&b, "b", 1, ne, 0, UINT64_C(1) << 63);
    gguf_tensor(&b, "c", 1, two, 0, 0);
    gguf_pad(&b, 32);
    put_zeros(&b, 64);
    refuse(&b, LFM2_ERR_FORMAT, "tensor a: size");
}

static void test_gguf_tensor_larger_than_file_cve_2026_7482(void **state)
{
    (void)state;
    static const uint64_t ne[2] = {32, 4};
    bytes b = one_tensor(2, ne, 8, 0, 4 * 34 - 1);
    refuse(&b, LFM2_ERR_FORMAT, "some.weight: size");
    b = one_tensor(2, ne, 8, 32, 4 * 34);
    refuse(&b, LFM2_ERR_FORMAT, "some.weight: size");
}

static void test_gguf_offset(void **state)
{
    (void)state;
    bytes b = one_tensor(1, two, 0, 4, 64);
    refuse(&b, LFM2_ERR_FORMAT, "some.weight: offset");
    b = one_tensor(1, two, 0, 96, 64);
    refuse(&b, LFM2_ERR_FORMAT, "some.weight: offset");
    b = one_tensor(1, two, 0, UINT64_MAX - 31, 64);
    refuse(&b, LFM2_ERR_FORMAT, "some.weight: offset");
    b = one_tensor(1, two, 0, UINT64_C(1) << 63, 64);
    refuse(&b, LFM2_ERR_FORMAT, "some.weight: offset");
    b = one_tensor(1, two, 0, 64, 64);
    refuse(&b, LFM2_ERR_FORMAT, "some.weight: size");
}

static void test_gguf_overlap(void **state)
{
    (void)state;
    static const uint64_t ne[1] = {16};
    bytes b = {0};
    gguf_head(&b, 3, 0);
    gguf_tensor(&b, "a", 1, ne, 0, 64);
    gguf_tensor(&b, "b", 1, ne, 0, 0);
    gguf_tensor(&b, "c", 1, two, 0, 96);
    gguf_pad(&b, 32);
    put_zeros(&b, 128);
    refuse(&b, LFM2_ERR_FORMAT, "tensor c: offset: overlaps the data of tensor a");
}

static void test_gguf_row_not_a_multiple_of_the_block(void **state)
{
    (void)state;
    static const uint64_t ne[2] = {33, 32};
    bytes b = one_tensor(2, ne, 8, 0, 4096);
    refuse(&b, LFM2_ERR_FORMAT, "some.weight: dimensions");
    static const uint64_t half[2] = {128, 2};
    b = one_tensor(2, half, 12, 0, 4096);
    refuse(&b, LFM2_ERR_FORMAT, "some.weight: dimensions");
    b = one_tensor(0, NULL, 8, 0, 4096);
    refuse(&b, LFM2_ERR_FORMAT, "some.weight: dimensions");
}

static void test_gguf_unsupported_type_is_named(void **state)
{
    (void)state;
    static const uint32_t types[] = {4, 5, 9, 10, 11, 15, 16, 23, 29, 31, 39, 40, 1000, 0xffffffff};
    static const uint64_t ne[1] = {256};
    for (size_t i = 0; i < LFM2__COUNT_OF(types); i++) {
        char field[64];
        snprintf(field, sizeof field, "some.weight: type: %u ", (unsigned)types[i]);
        bytes b = one_tensor(1, ne, types[i], 0, 4096);
        refuse(&b, LFM2_ERR_UNSUPPORTED, field);
    }
}

static void test_gguf_tensor_name(void **state)
{
    (void)state;
    static const char *const names[] = {"", "a\nb", "a\x1b[2J", "\xff\xfe"};
    for (size_t i = 0; i < LFM2__COUNT_OF(names); i++) {
        bytes b = {0};
        gguf_head(&b, 1, 0);
        gguf_tensor(&b, names[i], 1, two, 0, 0);
        gguf_pad(&b, 32);
        put_zeros(&b, 64);
        refuse(&b, LFM2_ERR_FORMAT, "tensor 0: name");
    }
    for (size_t i = 0; i < LFM2__COUNT_OF(huge); i++) {
        bytes b = {0};
        gguf_head(&b, 1, 0);
        put_u64(&b, huge[i]);
        put_zeros(&b, 100);
        refuse(&b, LFM2_ERR_FORMAT, "tensor 0: name");
    }
    bytes b = {0};
    gguf_head(&b, 1, 0);
    put_u64(&b, 1025);
    for (int i = 0; i < 2000; i++) put(&b, "n", 1);
    refuse(&b, LFM2_ERR_LIMIT, "tensor 0: name");
    gguf_head(&b, 1, 0); /* a NUL inside */
    put_u64(&b, 3);
    put(&b, "a\0b", 3);
    put_zeros(&b, 100);
    refuse(&b, LFM2_ERR_FORMAT, "tensor 0: name");
}

static void test_gguf_duplicate_tensor(void **state)
{
    (void)state;
    bytes b = {0};
    gguf_head(&b, 3, 0);
    gguf_tensor(&b, "same", 1, two, 0, 0);
    gguf_tensor(&b, "other", 1, two, 0, 32);
    gguf_tensor(&b, "same", 1, two, 0, 64);
    gguf_pad(&b, 32);
    put_zeros(&b, 96);
    refuse(&b, LFM2_ERR_FORMAT, "tensor same: name: occurs twice");
}

static void test_gguf_as_many_tensors_as_allowed(void **state)
{
    (void)state;
    watched x;
    bytes b = {0};
    gguf_head(&b, 65536, 0);
    for (unsigned i = 0; i < 65536; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%u", 65535 - i);
        gguf_tensor(&b, name, 1, two, 0, (uint64_t)i * 32);
    }
    gguf_pad(&b, 32);
    put_zeros(&b, 65536 * 32);
    watch_begin(&x);
    lfm2_weights *w = accept_bytes(&x, &b);
    for (unsigned i = 0; i < 65536; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%u", 65535 - i);
        assert_ptr_equal(lfm2_weights_find(w, name), lfm2_weights_tensor(w, i));
    }
    lfm2_weights_close(w);
    watch_end(&x);
    free(b.p);
}

static void test_gguf_out_of_memory_at_every_call(void **state)
{
    (void)state;
    bytes b = small_file();
    fail_each_allocation(open_bytes, &b, LABEL, "out of memory");
    free(b.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_a_small_file),
        cmocka_unit_test(accepts_version_2),
        cmocka_unit_test(accepts_no_tensors),
        cmocka_unit_test(accepts_a_scalar_and_unordered_offsets),
        cmocka_unit_test(accepts_other_alignments),
        cmocka_unit_test(test_gguf_truncated_at_every_byte),
        cmocka_unit_test(test_gguf_every_byte_changed),
        cmocka_unit_test(test_gguf_version),
        cmocka_unit_test(test_gguf_big_endian),
        cmocka_unit_test(test_gguf_n_tensors_huge_cve_2024_21836),
        cmocka_unit_test(test_gguf_n_kv_huge_cve_2024_23605),
        cmocka_unit_test(test_gguf_n_tensors_times_overhead_wraps_15711),
        cmocka_unit_test(test_gguf_n_tensors_over_limit),
        cmocka_unit_test(test_gguf_n_kv_over_limit),
        cmocka_unit_test(test_gguf_n_tensors_behind_metadata),
        cmocka_unit_test(test_gguf_string_length_huge_cve_2024_23496),
        cmocka_unit_test(test_gguf_key_length),
        cmocka_unit_test(test_gguf_key_bytes),
        cmocka_unit_test(test_gguf_array_length_huge_cve_2024_21825),
        cmocka_unit_test(test_gguf_array_bytes_wrap),
        cmocka_unit_test(test_gguf_array_of_strings_past_the_end_cve_2024_21825),
        cmocka_unit_test(test_gguf_nested_array),
        cmocka_unit_test(test_gguf_unknown_value_type),
        cmocka_unit_test(test_gguf_duplicate_key),
        cmocka_unit_test(test_gguf_alignment_80000000_24997),
        cmocka_unit_test(test_gguf_alignment_of_wrong_type_26318),
        cmocka_unit_test(test_gguf_negative_alignment),
        cmocka_unit_test(test_gguf_split_file),
        cmocka_unit_test(test_gguf_dimension_not_positive),
        cmocka_unit_test(test_gguf_n_dims_cve_2024_21802),
        cmocka_unit_test(test_gguf_dims_product_wraps_cve_2026_27940),
        cmocka_unit_test(test_gguf_dim_times_stride_wraps_to_small_18674),
        cmocka_unit_test(test_gguf_sum_of_sizes_wraps_cve_2025_53630),
        cmocka_unit_test(test_gguf_tensor_larger_than_file_cve_2026_7482),
        cmocka_unit_test(test_gguf_offset),
        cmocka_unit_test(test_gguf_overlap),
        cmocka_unit_test(test_gguf_row_not_a_multiple_of_the_block),
        cmocka_unit_test(test_gguf_unsupported_type_is_named),
        cmocka_unit_test(test_gguf_tensor_name),
        cmocka_unit_test(test_gguf_duplicate_tensor),
        cmocka_unit_test(test_gguf_as_many_tensors_as_allowed),
        cmocka_unit_test(test_gguf_out_of_memory_at_every_call),
    };
    return cmocka_run_group_tests_name("weights_gguf", tests, NULL, NULL);
}
