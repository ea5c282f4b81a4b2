/* SPDX-License-Identifier: Apache-2.0
 * Opening by path: files made by the reference packages of both formats, folders, sharded checkpoints, things that are no file. */
#include "weights_testing.h"

#define CONTAINERS LFM2_TEST_DIR "/oracle/containers/"

static lfm2_weights *must_open(watched *x, const char *path)
{
    lfm2_weights *w = NULL;
    int rc = lfm2_weights_open(x->rt, path, &w);
    if (rc != 0) print_error("%s: %s\n", lfm2_err_name(rc), x->log.line);
    assert_int_equal(rc, 0);
    assert_string_equal(lfm2_weights_path(w), path);
    assert_int_equal(lfm2_weights_check(w), 0);
    return w;
}

static void refuse_path(const char *path, int status, const char *file, const char *field)
{
    watched x;
    lfm2_weights *w = NULL;
    watch_begin(&x);
    int rc = lfm2_weights_open(x.rt, path, &w);
    if (rc != status) print_error("%s instead of %s: %s\n", lfm2_err_name(rc), lfm2_err_name(status), x.log.line);
    assert_int_equal(rc, status);
    assert_null(w);
    assert_one_line(&x.log, file, field);
    watch_end(&x);
}

/* Byte i of tensor k in the files of make_containers.py. */
static void assert_pattern(const lfm2_tensor *t, size_t k)
{
    const unsigned char *p = t->data;
    for (size_t i = 0; i < t->n_bytes; i++) assert_int_equal(p[i], (5 * i + 3 * k) % 96);
}

/* --- files of the reference packages --- */

static void reads_every_gguf_type(void **state)
{
    (void)state;
    static const struct { const char *name; lfm2_dtype dtype; } want[] = {
        {"f32.weight", LFM2_DTYPE_F32},   {"f16.weight", LFM2_DTYPE_F16},   {"bf16.weight", LFM2_DTYPE_BF16},
        {"f64.weight", LFM2_DTYPE_F64},   {"i8.weight", LFM2_DTYPE_I8},     {"i16.weight", LFM2_DTYPE_I16},
        {"i32.weight", LFM2_DTYPE_I32},   {"i64.weight", LFM2_DTYPE_I64},   {"q8_0.weight", LFM2_DTYPE_Q8_0},
        {"q4_0.weight", LFM2_DTYPE_Q4_0}, {"q4_1.weight", LFM2_DTYPE_Q4_1}, {"q5_0.weight", LFM2_DTYPE_Q5_0},
        {"q5_1.weight", LFM2_DTYPE_Q5_1}, {"q4_k.weight", LFM2_DTYPE_Q4_K}, {"q5_k.weight", LFM2_DTYPE_Q5_K},
        {"q6_k.weight", LFM2_DTYPE_Q6_K}, {"iq4_nl.weight", LFM2_DTYPE_IQ4_NL}};
    watched x;
    watch_begin(&x);
    lfm2_weights *w = must_open(&x, CONTAINERS "types.gguf");
    assert_int_equal(lfm2_weights_n_tensors(w), LFM2__COUNT_OF(want));
    for (size_t k = 0; k < LFM2__COUNT_OF(want); k++) {
        const lfm2_tensor *t = lfm2_weights_tensor(w, k);
        assert_string_equal(t->name, want[k].name);
        assert_int_equal(t->dtype, want[k].dtype);
        assert_int_equal(t->n_dims, 2);
        assert_int_equal(t->dims[0], 3);
        assert_int_equal(t->dims[1], lfm2_dtype_block_elems(t->dtype) == 1 ? 5 : 256);
        assert_int_equal(t->n_bytes, 3 * lfm2_dtype_row_bytes(t->dtype, t->dims[1]));
        assert_pattern(t, k);
    }
    assert_int_equal(lfm2_weights_verify(w, NULL, NULL), 0);
    lfm2_weights_close(w);
    watch_end(&x);
}

static void reads_every_safetensors_type(void **state)
{
    (void)state;
    static const struct { const char *name; lfm2_dtype dtype; } want[] = {
        {"float32.weight", LFM2_DTYPE_F32}, {"float16.weight", LFM2_DTYPE_F16}, {"bfloat16.weight", LFM2_DTYPE_BF16},
        {"float64.weight", LFM2_DTYPE_F64}, {"int8.weight", LFM2_DTYPE_I8},     {"int16.weight", LFM2_DTYPE_I16},
        {"int32.weight", LFM2_DTYPE_I32},   {"int64.weight", LFM2_DTYPE_I64},   {"uint8.weight", LFM2_DTYPE_U8},
        {"uint16.weight", LFM2_DTYPE_U16},  {"uint32.weight", LFM2_DTYPE_U32},  {"uint64.weight", LFM2_DTYPE_U64}};
    watched x;
    watch_begin(&x);
    lfm2_weights *w = must_open(&x, CONTAINERS "types.safetensors");
    assert_int_equal(lfm2_weights_n_tensors(w), LFM2__COUNT_OF(want) + 3);
    for (size_t k = 0; k < LFM2__COUNT_OF(want); k++) {
        const lfm2_tensor *t = lfm2_weights_find(w, want[k].name);
        assert_non_null(t);
        assert_int_equal(t->dtype, want[k].dtype);
        assert_int_equal(t->n_dims, 2);
        assert_int_equal(t->dims[0], 3);
        assert_int_equal(t->dims[1], 5);
        assert_pattern(t, k);
    }
    const lfm2_tensor *t = lfm2_weights_find(w, "bool.weight");
    assert_int_equal(t->dtype, LFM2_DTYPE_BOOL);
    assert_memory_equal(t->data, "\1\0\1", 3);
    t = lfm2_weights_find(w, "scalar");
    assert_int_equal(t->n_dims, 0);
    assert_memory_equal(t->data, "\7\0\0\0\0\0\0\0", 8);
    t = lfm2_weights_find(w, "empty");
    assert_int_equal(t->n_bytes, 0);
    assert_int_equal(t->dims[0], 0);
    for (size_t i = 1; i < lfm2_weights_n_tensors(w); i++) /* the order of the file */
        assert_true((const char *)lfm2_weights_tensor(w, i - 1)->data <= (const char *)lfm2_weights_tensor(w, i)->data);
    lfm2_weights_close(w);
    watch_end(&x);
}

/* The same tensors, BF16 in one and mostly F32 in the other container. */
static void both_containers_hold_the_same(void **state)
{
    (void)state;
    static const char *const names[][2] = {
        {"model.embedding_norm.weight", "token_embd_norm.weight"},
        {"model.layers.0.conv.conv.weight", "blk.0.shortconv.conv.weight"},
        {"model.layers.0.operator_norm.weight", "blk.0.attn_norm.weight"},
        {"model.layers.0.ffn_norm.weight", "blk.0.ffn_norm.weight"}};
    watched x;
    watch_begin(&x);
    lfm2_weights *st = must_open(&x, CONTAINERS "pair.safetensors");
    lfm2_weights *gg = must_open(&x, CONTAINERS "pair.gguf");
    assert_int_equal(lfm2_weights_container(st), LFM2_CONTAINER_SAFETENSORS);
    assert_int_equal(lfm2_weights_container(gg), LFM2_CONTAINER_GGUF);
    assert_int_equal(lfm2_weights_n_tensors(st), lfm2_weights_n_tensors(gg));
    for (size_t i = 0; i < LFM2__COUNT_OF(names); i++) {
        const lfm2_tensor *a = lfm2_weights_find(st, names[i][0]);
        const lfm2_tensor *b = lfm2_weights_find(gg, names[i][1]);
        assert_int_equal(a->dtype, LFM2_DTYPE_BF16);
        assert_int_equal(b->dtype, LFM2_DTYPE_F32);
        assert_int_equal(a->n_bytes * 2, b->n_bytes);
        assert_int_equal(a->dims[0], b->dims[0]);
        assert_int_equal(a->dims[a->n_dims - 1], b->dims[b->n_dims - 1]);
        for (size_t k = 0; k < a->n_bytes / 2; k++) {
            assert_int_equal(lfm2__ld_u16((const unsigned char *)b->data + 4 * k), 0);
            assert_int_equal(lfm2__ld_u16((const unsigned char *)a->data + 2 * k),
                             lfm2__ld_u16((const unsigned char *)b->data + 4 * k + 2));
        }
    }
    const lfm2_tensor *a = lfm2_weights_find(st, "model.layers.0.conv.out_proj.weight");
    const lfm2_tensor *b = lfm2_weights_find(gg, "blk.0.shortconv.out_proj.weight");
    assert_int_equal(b->dtype, LFM2_DTYPE_BF16);
    assert_int_equal(a->n_bytes, b->n_bytes);
    assert_int_equal(a->dims[0], b->dims[0]);
    assert_int_equal(a->dims[1], b->dims[1]);
    assert_memory_equal(a->data, b->data, a->n_bytes);
    lfm2_weights_close(st);
    lfm2_weights_close(gg);
    watch_end(&x);
}

/* --- which file a path means --- */

static void the_content_decides_not_the_name(void **state)
{
    (void)state;
    char folder[64], path[1024];
    watched x;
    make_folder(folder, sizeof folder);
    bytes b = read_bytes(CONTAINERS "types.gguf");
    write_bytes(folder, "model.safetensors", &b);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    watch_begin(&x);
    lfm2_weights *w = must_open(&x, path);
    assert_int_equal(lfm2_weights_container(w), LFM2_CONTAINER_GGUF);
    lfm2_weights_close(w);
    watch_end(&x);
    remove_folder(folder);
}

static void folders(void **state)
{
    (void)state;
    char folder[64], slash[80], path[1024];
    watched x;
    char *sibling = NULL;
    make_folder(folder, sizeof folder);
    refuse_path(folder, LFM2_ERR_NOT_FOUND, folder, "no model.safetensors");

    bytes b = read_bytes(CONTAINERS "types.gguf");
    write_bytes(folder, "some.gguf", &b);
    watch_begin(&x);
    lfm2_weights *w = must_open(&x, folder);
    assert_int_equal(lfm2_weights_container(w), LFM2_CONTAINER_GGUF);
    assert_int_equal(lfm2__weights_sibling(w, "config.json", &sibling), 0);
    snprintf(path, sizeof path, "%s/config.json", folder);
    assert_string_equal(sibling, path);
    lfm2__free(x.rt, sibling);
    assert_ptr_equal(lfm2__weights_runtime(w), x.rt);
    lfm2_weights_close(w);

    snprintf(slash, sizeof slash, "%s/", folder);
    w = must_open(&x, slash);
    assert_int_equal(lfm2__weights_sibling(w, "config.json", &sibling), 0);
    assert_string_equal(sibling, path);
    lfm2__free(x.rt, sibling);
    lfm2_weights_close(w);

    b = read_bytes(CONTAINERS "types.gguf");
    write_bytes(folder, "other.gguf", &b);
    refuse_path(folder, LFM2_ERR_NOT_FOUND, folder, "2 .gguf files");

    b = read_bytes(CONTAINERS "types.safetensors"); /* goes before any GGUF */
    write_bytes(folder, "model.safetensors", &b);
    w = must_open(&x, folder);
    assert_int_equal(lfm2_weights_container(w), LFM2_CONTAINER_SAFETENSORS);
    assert_int_equal(lfm2_weights_n_tensors(w), 15);
    lfm2_weights_close(w);
    watch_end(&x);
    remove_folder(folder);
}

static void a_file_in_the_current_folder(void **state)
{
    (void)state;
    char folder[64], before[1024];
    char *sibling = NULL;
    watched x;
    assert_non_null(getcwd(before, sizeof before));
    make_folder(folder, sizeof folder);
    bytes b = read_bytes(CONTAINERS "types.gguf");
    write_bytes(folder, "some.gguf", &b);
    assert_int_equal(chdir(folder), 0);
    watch_begin(&x);
    lfm2_weights *w = must_open(&x, "some.gguf");
    assert_int_equal(lfm2__weights_sibling(w, "config.json", &sibling), 0);
    assert_string_equal(sibling, "config.json");
    lfm2__free(x.rt, sibling);
    lfm2_weights_close(w);
    watch_end(&x);
    assert_int_equal(chdir(before), 0);
    remove_folder(folder);
}

static void test_open_no_regular_file(void **state)
{
    (void)state;
    char folder[64], path[1024];
    make_folder(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/missing.gguf", folder);
    refuse_path(path, LFM2_ERR_NOT_FOUND, "missing.gguf", "");
    snprintf(path, sizeof path, "%s/fifo.gguf", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    refuse_path(path, LFM2_ERR_IO, "fifo.gguf", "");
    snprintf(path, sizeof path, "%s/loop.gguf", folder);
    assert_int_equal(symlink(path, path), 0);
    refuse_path(path, LFM2_ERR_IO, "loop.gguf", "");
    snprintf(path, sizeof path, "%s/model.safetensors", folder); /* a folder where a file should be */
    assert_int_equal(mkdir(path, 0700), 0);
    refuse_path(folder, LFM2_ERR_IO, "model.safetensors", "");
    refuse_path("/dev/zero", LFM2_ERR_IO, "/dev/zero", "");
    write_file_in(folder, "empty.gguf", "", 0);
    snprintf(path, sizeof path, "%s/empty.gguf", folder);
    refuse_path(path, LFM2_ERR_FORMAT, "empty.gguf", "header length");
    refuse_path("", LFM2_ERR_NOT_FOUND, "model path", "empty");
    remove_folder(folder);
}

static void test_file_cut_short_while_open(void **state)
{
    (void)state;
    char folder[64], path[1024];
    watched x;
    make_folder(folder, sizeof folder);
    bytes b = read_bytes(CONTAINERS "types.gguf");
    write_bytes(folder, "some.gguf", &b);
    snprintf(path, sizeof path, "%s/some.gguf", folder);
    watch_begin(&x);
    lfm2_weights *w = must_open(&x, path);
    assert_int_equal(truncate(path, 100), 0);
    assert_int_equal(lfm2_weights_check(w), LFM2_ERR_IO);
    assert_one_line(&x.log, "some.gguf", "");
    assert_int_equal(lfm2_weights_verify(w, NULL, NULL), LFM2_ERR_IO);
    lfm2_weights_close(w);
    watch_end(&x);
    remove_folder(folder);
}

/* --- sharded --- */

#define SHARD_1 "model-00001-of-00002.safetensors"
#define SHARD_2 "model-00002-of-00002.safetensors"
#define RIGHT_INDEX                                                            \
    "{\"weight_map\":{\"c.weight\":\"" SHARD_2 "\",\"a.weight\":\"" SHARD_1 "\",\"b.weight\":\"" SHARD_1 "\"}}"

static void assert_sharded(watched *x, const char *path)
{
    lfm2_weights *w = must_open(x, path);
    assert_int_equal(lfm2_weights_container(w), LFM2_CONTAINER_SAFETENSORS);
    assert_int_equal(lfm2_weights_n_tensors(w), 3);
    assert_string_equal(lfm2_weights_tensor(w, 2)->name, "c.weight");
    assert_pattern(lfm2_weights_find(w, "a.weight"), 0);
    assert_pattern(lfm2_weights_find(w, "b.weight"), 1);
    assert_pattern(lfm2_weights_find(w, "c.weight"), 2);
    assert_int_equal(lfm2_weights_find(w, "c.weight")->dtype, LFM2_DTYPE_F16);
    assert_int_equal(lfm2_weights_file_bytes(w), 258 + 134);
    lfm2_weights_close(w);
}

static void reads_a_sharded_checkpoint(void **state)
{
    (void)state;
    watched x;
    watch_begin(&x);
    assert_sharded(&x, CONTAINERS "sharded");
    assert_sharded(&x, CONTAINERS "sharded/");
    assert_sharded(&x, CONTAINERS "sharded/model.safetensors.index.json");
    watch_end(&x);
}

static void make_sharded(char *folder, size_t cap)
{
    make_folder(folder, cap);
    bytes b = read_bytes(CONTAINERS "sharded/" SHARD_1);
    write_bytes(folder, SHARD_1, &b);
    b = read_bytes(CONTAINERS "sharded/" SHARD_2);
    write_bytes(folder, SHARD_2, &b);
}

static void write_index(const char *folder, const char *text)
{
    write_file_in(folder, "model.safetensors.index.json", text, strlen(text));
}

static void the_index_goes_before_a_single_file(void **state)
{
    (void)state;
    char folder[64];
    watched x;
    make_sharded(folder, sizeof folder);
    bytes b = read_bytes(CONTAINERS "types.safetensors");
    write_bytes(folder, "model.safetensors", &b);
    write_index(folder, RIGHT_INDEX);
    watch_begin(&x);
    assert_sharded(&x, folder);
    watch_end(&x);
    remove_folder(folder);
}

static void refuse_index(const char *text, int status, const char *file, const char *field)
{
    char folder[64];
    make_sharded(folder, sizeof folder);
    write_index(folder, text);
    refuse_path(folder, status, file, field);
    remove_folder(folder);
}

static void test_index_malformed(void **state)
{
    (void)state;
    static const char file[] = "model.safetensors.index.json";
    refuse_index("", LFM2_ERR_FORMAT, file, "");
    refuse_index("{", LFM2_ERR_FORMAT, file, "JSON");
    refuse_index("[]", LFM2_ERR_FORMAT, file, "weight_map");
    refuse_index("{}", LFM2_ERR_FORMAT, file, "weight_map");
    refuse_index("{\"weight_map\":{}}", LFM2_ERR_FORMAT, file, "weight_map");
    refuse_index("{\"weight_map\":[\"a\"]}", LFM2_ERR_FORMAT, file, "weight_map");
    refuse_index("{\"weight_map\":{\"a.weight\":1}}", LFM2_ERR_FORMAT, file, "weight_map: a.weight");
    refuse_index("{\"weight_map\":{\"a.weight\":null}}", LFM2_ERR_FORMAT, file, "weight_map: a.weight");
    refuse_index("{\"weight_map\":{\"\":\"x\"}}", LFM2_ERR_FORMAT, file, "weight_map: tensor name 0");
    refuse_index("{\"weight_map\":{\"a\\n\":\"x\"}}", LFM2_ERR_FORMAT, file, "weight_map: tensor name 0");
    refuse_index("{\"weight_map\":{\"a\":\"x\",\"a\":\"x\"}}", LFM2_ERR_FORMAT, file, "duplicate key");
}

static void test_index_names_that_leave_the_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"", ".", "..", "../" SHARD_1, "/etc/passwd", "sub/" SHARD_1, "a..b", "sub\\\\x", "a\\nb",
                                        "\\u0000"};
    char text[1024];
    for (size_t i = 0; i < LFM2__COUNT_OF(names); i++) {
        snprintf(text, sizeof text, "{\"weight_map\":{\"a.weight\":\"%s\"}}", names[i]);
        refuse_index(text, LFM2_ERR_FORMAT, "model.safetensors.index.json",
                     strcmp(names[i], "\\u0000") == 0 ? "JSON" : "weight_map: a.weight: is not a plain file name");
    }
    char long_name[257];
    memset(long_name, 'n', 256);
    long_name[256] = '\0';
    snprintf(text, sizeof text, "{\"weight_map\":{\"a.weight\":\"%s\"}}", long_name);
    refuse_index(text, LFM2_ERR_FORMAT, "model.safetensors.index.json", "weight_map: a.weight: is not a plain file name");
}

static void test_index_and_shards_disagree(void **state)
{
    (void)state;
    static const char file[] = "model.safetensors.index.json";
    refuse_index("{\"weight_map\":{\"a.weight\":\"gone.safetensors\"}}", LFM2_ERR_NOT_FOUND, "gone.safetensors", "");
    refuse_index("{\"weight_map\":{\"a.weight\":\"model.safetensors.index.json\"}}", LFM2_ERR_FORMAT, file, "header");
    refuse_index("{\"weight_map\":{\"a.weight\":\"" SHARD_1 "\"}}", LFM2_ERR_FORMAT, file,
                 "tensor b.weight of " SHARD_1 " is not listed");
    refuse_index("{\"weight_map\":{\"a.weight\":\"" SHARD_1 "\",\"b.weight\":\"" SHARD_2 "\",\"c.weight\":\"" SHARD_2 "\"}}",
                 LFM2_ERR_FORMAT, file, "tensor b.weight is in " SHARD_1 " but listed for " SHARD_2);
    refuse_index("{\"weight_map\":{\"a.weight\":\"" SHARD_1 "\",\"b.weight\":\"" SHARD_1 "\",\"d.weight\":\"" SHARD_1 "\"}}",
                 LFM2_ERR_FORMAT, file, "tensor d.weight is not in " SHARD_1);
}

static void test_tensor_in_two_shards(void **state)
{
    (void)state;
    char folder[64];
    make_sharded(folder, sizeof folder);
    bytes b = read_bytes(CONTAINERS "sharded/" SHARD_2);
    write_bytes(folder, "third.safetensors", &b);
    write_index(folder, "{\"weight_map\":{\"c.weight\":\"" SHARD_2 "\",\"a.weight\":\"" SHARD_1 "\",\"b.weight\":\"" SHARD_1
                        "\",\"d.weight\":\"third.safetensors\"}}");
    refuse_path(folder, LFM2_ERR_FORMAT, "model.safetensors.index.json", "tensor c.weight is in third.safetensors");
    remove_folder(folder);
}

static void test_damaged_shard(void **state)
{
    (void)state;
    char folder[64];
    make_sharded(folder, sizeof folder);
    bytes b = read_bytes(CONTAINERS "sharded/" SHARD_2);
    b.n--;
    write_bytes(folder, SHARD_2, &b);
    write_index(folder, RIGHT_INDEX);
    refuse_path(folder, LFM2_ERR_FORMAT, SHARD_2, "c.weight: data_offsets");
    remove_folder(folder);
}

static void test_too_many_shards(void **state)
{
    (void)state;
    bytes b = {0};
    put(&b, "{\"weight_map\":{", 15);
    for (int i = 0; i < 1025; i++) {
        char entry[64];
        put(&b, entry, (size_t)snprintf(entry, sizeof entry, "%s\"t%d\":\"shard-%d\"", i > 0 ? "," : "", i, i));
    }
    put(&b, "}}", 3); /* the NUL as well */
    refuse_index((const char *)b.p, LFM2_ERR_LIMIT, "model.safetensors.index.json", "weight_map: 1025 files");
    free(b.p);
}

static void test_too_many_tensors_in_the_index(void **state)
{
    (void)state;
    bytes b = {0};
    put(&b, "{\"weight_map\":{", 15);
    for (int i = 0; i < 65537; i++) {
        char entry[64];
        put(&b, entry, (size_t)snprintf(entry, sizeof entry, "%s\"t%d\":\"" SHARD_1 "\"", i > 0 ? "," : "", i));
    }
    put(&b, "}}", 3);
    refuse_index((const char *)b.p, LFM2_ERR_LIMIT, "model.safetensors.index.json", "weight_map: 65537 tensors");
    free(b.p);
}

static int open_path(lfm2_runtime *rt, const void *source, lfm2_weights **out)
{
    return lfm2_weights_open(rt, source, out);
}

static void test_open_out_of_memory_at_every_call(void **state)
{
    (void)state;
    fail_each_allocation(open_path, CONTAINERS "sharded", "sharded", "memory");
    fail_each_allocation(open_path, CONTAINERS "types.gguf", "types.gguf", "memory");
    fail_each_allocation(open_path, CONTAINERS "types.safetensors", "types.safetensors", "memory");
}

static void close_null(void **state)
{
    (void)state;
    lfm2_weights_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_gguf_type),
        cmocka_unit_test(reads_every_safetensors_type),
        cmocka_unit_test(both_containers_hold_the_same),
        cmocka_unit_test(the_content_decides_not_the_name),
        cmocka_unit_test(folders),
        cmocka_unit_test(a_file_in_the_current_folder),
        cmocka_unit_test(test_open_no_regular_file),
        cmocka_unit_test(test_file_cut_short_while_open),
        cmocka_unit_test(reads_a_sharded_checkpoint),
        cmocka_unit_test(the_index_goes_before_a_single_file),
        cmocka_unit_test(test_index_malformed),
        cmocka_unit_test(test_index_names_that_leave_the_folder),
        cmocka_unit_test(test_index_and_shards_disagree),
        cmocka_unit_test(test_tensor_in_two_shards),
        cmocka_unit_test(test_damaged_shard),
        cmocka_unit_test(test_too_many_shards),
        cmocka_unit_test(test_too_many_tensors_in_the_index),
        cmocka_unit_test(test_open_out_of_memory_at_every_call),
        cmocka_unit_test(close_null),
    };
    return cmocka_run_group_tests_name("weights_open", tests, NULL, NULL);
}
