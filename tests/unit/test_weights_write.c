/* SPDX-License-Identifier: Apache-2.0
 * Writers: what they write is read back, and a file that cannot be finished leaves nothing behind. */
#include "weights_testing.h"

#include <math.h>
#include <signal.h>
#include <sys/resource.h>

#include "weights/gguf_write.h"

#define CONTAINERS LFM2_TEST_DIR "/oracle/containers/"

typedef struct place {
    watched x;
    char folder[64];
    char path[128];
} place;

static void begin(place *p, const char *name)
{
    make_folder(p->folder, sizeof p->folder);
    snprintf(p->path, sizeof p->path, "%s/%s", p->folder, name);
    watch_begin(&p->x);
}

static void end(place *p)
{
    watch_end(&p->x);
    remove_folder(p->folder);
}

static lfm2__gguf_writer *start(place *p)
{
    lfm2__gguf_writer *g = NULL;
    assert_int_equal(lfm2__gguf_write_create(p->x.rt, p->path, &g), 0);
    return g;
}

static lfm2_weights *reopen(place *p)
{
    lfm2_weights *w = NULL;
    int rc = lfm2_weights_open(p->x.rt, p->path, &w);
    if (rc < 0) print_error("%s\n", p->x.log.line);
    assert_int_equal(rc, 0);
    return w;
}

/* --- GGUF --- */

static void put_all_kinds(lfm2__gguf_writer *g)
{
    static const int32_t numbers[] = {0, -1, INT32_MAX, INT32_MIN};
    static const char *const strings[] = {"one", "", "a\0b"};
    static const size_t lens[] = {3, 0, 3};
    lfm2__gguf_put_str(g, "general.architecture", "lfm2", 4);
    lfm2__gguf_put_u32(g, "k.u32", 4000000000u);
    lfm2__gguf_put_f32(g, "k.f32", 1e-5f);
    lfm2__gguf_put_bool(g, "k.true", 5);
    lfm2__gguf_put_bool(g, "k.false", 0);
    lfm2__gguf_put_i32_array(g, "k.numbers", numbers, LFM2__COUNT_OF(numbers));
    lfm2__gguf_put_i32_array(g, "k.none", NULL, 0);
    lfm2__gguf_put_str_array(g, "k.strings", strings, lens, LFM2__COUNT_OF(strings));
    lfm2__gguf_put_str_array(g, "k.terminated", strings, NULL, 2);
}

static void assert_all_kinds(const lfm2_weights *w)
{
    int64_t v = 0;
    double d = 0;
    int b = 9;
    size_t n = 0;
    assert_int_equal(lfm2__weights_n_kv(w), 9);
    assert_int_equal(lfm2__weights_kv_int(w, "k.u32", 0, INT64_MAX, &v), 0);
    assert_true(v == 4000000000);
    assert_int_equal(lfm2__weights_kv_number(w, "k.f32", 0, 1, &d), 0);
    assert_true(d == (double)1e-5f);
    assert_int_equal(lfm2__weights_kv_bool(w, "k.true", &b), 0);
    assert_int_equal(b, 1);
    assert_int_equal(lfm2__weights_kv_bool(w, "k.false", &b), 0);
    assert_int_equal(b, 0);
    const lfm2__kv *kv = lfm2__weights_find_kv(w, "k.numbers");
    assert_int_equal(kv->n_elems, 4);
    assert_true(lfm2__kv_int_at(kv, 1) == -1 && lfm2__kv_int_at(kv, 3) == INT32_MIN);
    assert_int_equal(lfm2__weights_find_kv(w, "k.none")->n_elems, 0);
    kv = lfm2__weights_find_kv(w, "k.strings");
    const unsigned char *cursor = kv->data;
    assert_memory_equal(lfm2__kv_next_str(kv, &cursor, &n), "one", 3);
    assert_non_null(lfm2__kv_next_str(kv, &cursor, &n));
    assert_int_equal(n, 0);
    assert_memory_equal(lfm2__kv_next_str(kv, &cursor, &n), "a\0b", 3);
    assert_int_equal(n, 3);
    assert_int_equal(lfm2__weights_find_kv(w, "k.terminated")->n_elems, 2);
}

static void gguf_round_trip(void **state)
{
    (void)state;
    static const int64_t dims[3] = {2, 3, 64};
    static const int64_t vector[1] = {5};
    static const float values[5] = {1, 2, 3, 4, 5};
    unsigned char blocks[6 * 68];
    place p;
    begin(&p, "out.gguf");
    for (size_t i = 0; i < sizeof blocks; i++) blocks[i] = (unsigned char)(i % 96);
    lfm2__gguf_writer *g = start(&p);
    put_all_kinds(g);
    assert_int_equal(lfm2__gguf_put_tensor(g, "first", LFM2_DTYPE_F32, 1, vector), 0);
    assert_int_equal(lfm2__gguf_put_tensor(g, "second", LFM2_DTYPE_Q8_0, 3, dims), 0);
    assert_int_equal(lfm2__gguf_put_tensor(g, "scalar", LFM2_DTYPE_F32, 0, NULL), 0);
    assert_int_equal(lfm2__gguf_write_data(g, values, sizeof values), 0);
    assert_int_equal(lfm2__gguf_end_tensor(g), 0);
    for (size_t i = 0; i < sizeof blocks; i++) assert_int_equal(lfm2__gguf_write_data(g, blocks + i, 1), 0);
    assert_int_equal(lfm2__gguf_write_data(g, blocks, 0), 0);
    assert_int_equal(lfm2__gguf_end_tensor(g), 0);
    assert_int_equal(lfm2__gguf_write_data(g, values, 4), 0);
    assert_int_equal(lfm2__gguf_end_tensor(g), 0);
    assert_int_equal(access(p.path, F_OK), -1); /* not before it is complete */
    assert_int_equal(lfm2__gguf_write_finish(g), 0);
    lfm2__gguf_write_destroy(g);
    assert_int_equal(count_files(p.folder), 1);

    lfm2_weights *w = reopen(&p);
    assert_all_kinds(w);
    assert_int_equal(lfm2_weights_n_tensors(w), 3);
    const lfm2_tensor *t = lfm2_weights_find(w, "second");
    assert_int_equal(t->dtype, LFM2_DTYPE_Q8_0);
    assert_int_equal(t->n_dims, 3);
    assert_memory_equal(t->dims, dims, sizeof dims);
    assert_memory_equal(t->data, blocks, sizeof blocks);
    assert_int_equal((uintptr_t)t->data % 32, 0);
    assert_memory_equal(lfm2_weights_find(w, "first")->data, values, sizeof values);
    assert_int_equal(lfm2_weights_find(w, "scalar")->n_dims, 0);
    lfm2_weights_close(w);
    end(&p);
}

/* Everything in a file of the reference package, copied: the same tensors and values come out. */
static void gguf_copy_of_every_type(void **state)
{
    (void)state;
    place p;
    lfm2_weights *from = NULL;
    begin(&p, "copy.gguf");
    assert_int_equal(lfm2_weights_open(p.x.rt, CONTAINERS "types.gguf", &from), 0);
    lfm2__gguf_writer *g = start(&p);
    for (size_t i = 0; i < lfm2__weights_n_kv(from); i++) lfm2__gguf_put_kv(g, lfm2__weights_kv(from, i));
    for (size_t i = 0; i < lfm2_weights_n_tensors(from); i++) {
        const lfm2_tensor *t = lfm2_weights_tensor(from, i);
        assert_int_equal(lfm2__gguf_put_tensor(g, t->name, t->dtype, t->n_dims, t->dims), 0);
    }
    for (size_t i = 0; i < lfm2_weights_n_tensors(from); i++) {
        const lfm2_tensor *t = lfm2_weights_tensor(from, i);
        assert_int_equal(lfm2__gguf_write_data(g, t->data, t->n_bytes), 0);
        assert_int_equal(lfm2__gguf_end_tensor(g), 0);
    }
    assert_int_equal(lfm2__gguf_write_finish(g), 0);
    lfm2__gguf_write_destroy(g);

    lfm2_weights *to = reopen(&p);
    assert_int_equal(lfm2__weights_n_kv(to), lfm2__weights_n_kv(from));
    for (size_t i = 0; i < lfm2__weights_n_kv(from); i++) {
        assert_same_kv(lfm2__weights_kv(from, i), lfm2__weights_kv(to, i));
    }
    for (size_t i = 0; i < lfm2_weights_n_tensors(from); i++) {
        const lfm2_tensor *a = lfm2_weights_tensor(from, i);
        const lfm2_tensor *b = lfm2_weights_tensor(to, i);
        assert_string_equal(a->name, b->name);
        assert_int_equal(a->dtype, b->dtype);
        assert_memory_equal(a->dims, b->dims, sizeof a->dims);
        assert_int_equal(a->n_bytes, b->n_bytes);
        assert_memory_equal(a->data, b->data, a->n_bytes);
    }
    lfm2_weights_close(to);
    lfm2_weights_close(from);
    end(&p);
}

/* The other file's alignment is not this one's. */
static void gguf_alignment_is_not_copied(void **state)
{
    (void)state;
    place p;
    bytes b = {0};
    static const int64_t vector[1] = {2};
    static const float values[2] = {1, 2};
    begin(&p, "out.gguf");
    gguf_head(&b, 0, 1);
    gguf_key(&b, "general.alignment", LFM2__KV_U32);
    put_u32(&b, 4096);
    lfm2_weights *from = accept_bytes(&p.x, &b);
    lfm2__gguf_writer *g = start(&p);
    lfm2__gguf_put_kv(g, lfm2__weights_kv(from, 0));
    assert_int_equal(lfm2__gguf_put_tensor(g, "a", LFM2_DTYPE_F32, 1, vector), 0);
    assert_int_equal(lfm2__gguf_write_data(g, values, sizeof values), 0);
    assert_int_equal(lfm2__gguf_end_tensor(g), 0);
    assert_int_equal(lfm2__gguf_write_finish(g), 0);
    lfm2__gguf_write_destroy(g);
    lfm2_weights_close(from);
    free(b.p);
    lfm2_weights *w = reopen(&p);
    assert_int_equal(lfm2__weights_n_kv(w), 0);
    assert_memory_equal(lfm2_weights_find(w, "a")->data, values, sizeof values);
    lfm2_weights_close(w);
    end(&p);
}

static void gguf_refuses_bad_tensors(void **state)
{
    (void)state;
    static const int64_t dims[5] = {2, 2, 2, 2, 32};
    static const int64_t zero[1] = {0};
    static const int64_t huge[2] = {INT64_MAX, 2};
    static const char long_name[] = "a name of sixty-four bytes is one more than other readers take..";
    static const struct { const char *name; lfm2_dtype t; int32_t n_dims; const int64_t *dims; } bad[] = {
        {"", LFM2_DTYPE_F32, 1, dims},       {long_name, LFM2_DTYPE_F32, 1, dims}, {"a\nb", LFM2_DTYPE_F32, 1, dims},
        {"a", LFM2_DTYPE_U8, 1, dims},       {"a", LFM2_DTYPE_COUNT, 1, dims},     {"a", LFM2_DTYPE_F32, 5, dims},
        {"a", LFM2_DTYPE_F32, -1, dims},     {"a", LFM2_DTYPE_F32, 1, zero},       {"a", LFM2_DTYPE_F32, 2, huge},
        {"a", LFM2_DTYPE_Q8_0, 1, dims},     {"a", LFM2_DTYPE_Q4_K, 4, dims + 1}};
    for (size_t i = 0; i < LFM2__COUNT_OF(bad); i++) {
        place p;
        begin(&p, "out.gguf");
        lfm2__gguf_writer *g = start(&p);
        assert_int_equal(lfm2__gguf_put_tensor(g, bad[i].name, bad[i].t, bad[i].n_dims, bad[i].dims), LFM2_ERR_ARG);
        assert_one_line(&p.x.log, "out.gguf", "");
        assert_int_equal(lfm2__gguf_write_finish(g), LFM2_ERR_ARG); /* it sticks */
        lfm2__gguf_write_destroy(g);
        assert_int_equal(count_files(p.folder), 0);
        end(&p);
    }
}

static void gguf_order_of_calls(void **state)
{
    (void)state;
    static const int64_t vector[1] = {2};
    static const float values[3] = {1, 2, 3};
    for (int what = 0; what < 8; what++) {
        place p;
        begin(&p, "out.gguf");
        lfm2__gguf_writer *g = start(&p);
        int rc = 0;
        assert_int_equal(lfm2__gguf_put_tensor(g, "a", LFM2_DTYPE_F32, 1, vector), 0);
        if (what > 0) assert_int_equal(lfm2__gguf_write_data(g, values, 4), 0);
        switch (what) {
        case 0: rc = lfm2__gguf_write_finish(g); break;
        case 1: rc = lfm2__gguf_write_finish(g); break;
        case 2: rc = lfm2__gguf_end_tensor(g); break;
        case 3: rc = lfm2__gguf_write_data(g, values, 8); break;
        case 4: rc = lfm2__gguf_put_tensor(g, "b", LFM2_DTYPE_F32, 1, vector); break;
        case 5:
            lfm2__gguf_put_u32(g, "late", 1);
            rc = lfm2__gguf_write_data(g, values, 4);
            break;
        case 6:
            assert_int_equal(lfm2__gguf_write_data(g, values, 4), 0);
            assert_int_equal(lfm2__gguf_end_tensor(g), 0);
            rc = lfm2__gguf_end_tensor(g);
            break;
        case 7:
            assert_int_equal(lfm2__gguf_write_data(g, values, 4), 0);
            assert_int_equal(lfm2__gguf_end_tensor(g), 0);
            rc = lfm2__gguf_write_data(g, values, 4);
            break;
        }
        assert_int_equal(rc, LFM2_ERR_STATE);
        assert_one_line(&p.x.log, "out.gguf", "");
        assert_int_equal(lfm2__gguf_write_finish(g), LFM2_ERR_STATE);
        lfm2__gguf_write_destroy(g);
        assert_int_equal(count_files(p.folder), 0);
        end(&p);
    }
}

static void gguf_bad_key(void **state)
{
    (void)state;
    place p;
    begin(&p, "out.gguf");
    lfm2__gguf_writer *g = start(&p);
    lfm2__gguf_put_u32(g, "", 1);
    lfm2__gguf_put_u32(g, "fine", 1);
    assert_int_equal(lfm2__gguf_write_finish(g), LFM2_ERR_ARG);
    assert_one_line(&p.x.log, "out.gguf", "metadata key");
    lfm2__gguf_write_destroy(g);
    lfm2__gguf_write_destroy(NULL);
    end(&p);
}

static void gguf_replaces_only_at_the_end(void **state)
{
    (void)state;
    place p;
    begin(&p, "out.gguf");
    write_file_in(p.folder, "out.gguf", "old", 3);
    lfm2__gguf_writer *g = start(&p);
    lfm2__gguf_put_u32(g, "k", 1);
    lfm2__gguf_write_destroy(g); /* given up */
    bytes b = read_bytes(p.path);
    assert_int_equal(b.n, 3);
    assert_memory_equal(b.p, "old", 3);
    free(b.p);
    assert_int_equal(count_files(p.folder), 1);

    g = start(&p);
    lfm2__gguf_put_u32(g, "k", 1);
    assert_int_equal(lfm2__gguf_write_finish(g), 0);
    lfm2__gguf_write_destroy(g);
    assert_int_equal(count_files(p.folder), 1);
    lfm2_weights *w = reopen(&p);
    assert_int_equal(lfm2__weights_n_kv(w), 1);
    lfm2_weights_close(w);
    end(&p);
}

/* A file size limit stands for a full disk: writes come back short, then fail. */
static int write_over_limit(place *p, int with_gguf)
{
    static const int64_t vector[1] = {300000};
    float *values = calloc(300000, sizeof *values);
    struct rlimit before, limit;
    int rc;
    assert_non_null(values);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 700001; /* in the middle of a buffer */
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    if (with_gguf) {
        lfm2__gguf_writer *g = NULL;
        rc = lfm2__gguf_write_create(p->x.rt, p->path, &g);
        if (rc == 0) rc = lfm2__gguf_put_tensor(g, "a", LFM2_DTYPE_F32, 1, vector);
        for (size_t i = 0; i < 300000 && rc == 0; i += 1000) rc = lfm2__gguf_write_data(g, values + i, 4000);
        if (rc == 0) rc = lfm2__gguf_end_tensor(g);
        if (rc == 0) rc = lfm2__gguf_write_finish(g);
        if (g && rc < 0) assert_int_equal(lfm2__gguf_write_finish(g), rc);
        lfm2__gguf_write_destroy(g);
    } else {
        const lfm2_tensor t = {
            .name = "a", .dtype = LFM2_DTYPE_F32, .n_dims = 1, .dims = {300000}, .data = values, .n_bytes = 1200000};
        rc = lfm2_safetensors_save(p->x.rt, p->path, &t, 1);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    free(values);
    return rc;
}

static void test_disk_full_leaves_nothing_behind(void **state)
{
    (void)state;
    for (int with_gguf = 0; with_gguf < 2; with_gguf++) {
        place p;
        begin(&p, "out.file");
        write_file_in(p.folder, "out.file", "old", 3);
        assert_int_equal(write_over_limit(&p, with_gguf), LFM2_ERR_IO);
        assert_one_line(&p.x.log, "out.file", "cannot write");
        assert_int_equal(count_files(p.folder), 1);
        bytes b = read_bytes(p.path);
        assert_int_equal(b.n, 3);
        free(b.p);
        end(&p);
    }
}

static void test_target_that_cannot_be(void **state)
{
    (void)state;
    place p;
    lfm2__gguf_writer *g = NULL;
    begin(&p, "no/such/folder/out.gguf");
    assert_int_equal(lfm2__gguf_write_create(p.x.rt, p.path, &g), LFM2_ERR_IO);
    assert_null(g);
    assert_one_line(&p.x.log, "out.gguf", "cannot create");
    p.x.log.n_lines = 0;

    snprintf(p.path, sizeof p.path, "%s/folder", p.folder); /* a folder stands there */
    assert_int_equal(mkdir(p.path, 0700), 0);
    g = start(&p);
    assert_int_equal(lfm2__gguf_write_finish(g), LFM2_ERR_IO);
    assert_one_line(&p.x.log, "folder", "cannot rename");
    lfm2__gguf_write_destroy(g);
    assert_int_equal(count_files(p.folder), 1);
    end(&p);
}

static void test_long_file_name(void **state)
{
    (void)state;
    place p;
    char name[256], path[400];
    memset(name, 'n', 255);
    name[255] = '\0';
    begin(&p, "x");
    snprintf(path, sizeof path, "%s/%s", p.folder, name);
    assert_int_equal(lfm2_safetensors_save(p.x.rt, path, NULL, 0), 0);
    assert_int_equal(count_files(p.folder), 1);
    assert_int_equal(access(path, R_OK), 0);
    end(&p);
}

static void write_something(place *p, int *rc)
{
    static const int64_t vector[1] = {2};
    static const float values[2] = {1, 2};
    lfm2__gguf_writer *g = NULL;
    *rc = lfm2__gguf_write_create(p->x.rt, p->path, &g);
    if (*rc < 0) {
        assert_null(g);
        return;
    }
    put_all_kinds(g);
    for (int i = 0; i < 70 && *rc == 0; i++) { /* more than the first room for tensors */
        char name[16];
        snprintf(name, sizeof name, "t%d", i);
        *rc = lfm2__gguf_put_tensor(g, name, LFM2_DTYPE_F32, 1, vector);
    }
    for (int i = 0; i < 70 && *rc == 0; i++) {
        *rc = lfm2__gguf_write_data(g, values, sizeof values);
        if (*rc == 0) *rc = lfm2__gguf_end_tensor(g);
    }
    if (*rc == 0) *rc = lfm2__gguf_write_finish(g);
    lfm2__gguf_write_destroy(g);
}

static void test_gguf_write_out_of_memory_at_every_call(void **state)
{
    (void)state;
    int done = 0;
    for (long k = 1; !done; k++) {
        place p;
        int rc;
        begin(&p, "out.gguf");
        p.x.heap.fail_at = k;
        write_something(&p, &rc);
        done = p.x.heap.n_calls < k;
        /* The last call may be the one for syncing the folder, when the file has its name already. */
        if (rc == 0) {
            assert_int_equal(count_files(p.folder), 1);
        } else {
            assert_int_equal(rc, LFM2_ERR_NOMEM);
            assert_one_line(&p.x.log, "out.gguf", "out of memory");
            assert_int_equal(count_files(p.folder), 0);
        }
        assert_true(!done || rc == 0);
        end(&p);
        assert_true(k < 200);
    }
}

/* --- safetensors --- */

static void safetensors_round_trip(void **state)
{
    (void)state;
    static const float f[6] = {1, -2, 3.5f, 0, 1e30f, -0.0f};
    static const int64_t ids[2] = {-1, INT64_MAX};
    static const unsigned char bit[1] = {1};
    const lfm2_tensor tensors[] = {
        {.name = "logits", .dtype = LFM2_DTYPE_F32, .n_dims = 2, .dims = {2, 3}, .data = f, .n_bytes = sizeof f},
        {.name = "quote\" and \\", .dtype = LFM2_DTYPE_I64, .n_dims = 1, .dims = {2}, .data = ids, .n_bytes = sizeof ids},
        {.name = "empty", .dtype = LFM2_DTYPE_F32, .n_dims = 2, .dims = {0, 7}},
        {.name = "scalar", .dtype = LFM2_DTYPE_BOOL, .data = bit, .n_bytes = 1}};
    place p;
    begin(&p, "out.safetensors");
    write_file_in(p.folder, "out.safetensors", "old", 3);
    assert_int_equal(lfm2_safetensors_save(p.x.rt, p.path, tensors, LFM2__COUNT_OF(tensors)), 0);
    assert_int_equal(count_files(p.folder), 1);
    lfm2_weights *w = reopen(&p);
    assert_int_equal(lfm2_weights_n_tensors(w), 4);
    for (size_t i = 0; i < LFM2__COUNT_OF(tensors); i++) {
        const lfm2_tensor *t = lfm2_weights_find(w, tensors[i].name);
        assert_non_null(t);
        assert_int_equal(t->dtype, tensors[i].dtype);
        assert_int_equal(t->n_dims, tensors[i].n_dims);
        assert_memory_equal(t->dims, tensors[i].dims, sizeof t->dims);
        assert_int_equal(t->n_bytes, tensors[i].n_bytes);
        if (t->n_bytes > 0) assert_memory_equal(t->data, tensors[i].data, t->n_bytes);
    }
    assert_int_equal((uintptr_t)lfm2_weights_find(w, "logits")->data % 8, 0);
    lfm2_weights_close(w);
    end(&p);
}

static void safetensors_refuses_bad_tensors(void **state)
{
    (void)state;
    static const float f[4] = {0};
    static const lfm2_tensor bad[] = {
        {.name = NULL, .dtype = LFM2_DTYPE_F32, .n_dims = 1, .dims = {4}, .data = f, .n_bytes = 16},
        {.name = "", .dtype = LFM2_DTYPE_F32, .n_dims = 1, .dims = {4}, .data = f, .n_bytes = 16},
        {.name = "__metadata__", .dtype = LFM2_DTYPE_F32, .n_dims = 1, .dims = {4}, .data = f, .n_bytes = 16},
        {.name = "a\n", .dtype = LFM2_DTYPE_F32, .n_dims = 1, .dims = {4}, .data = f, .n_bytes = 16},
        {.name = "a", .dtype = LFM2_DTYPE_Q8_0, .n_dims = 1, .dims = {32}, .data = f, .n_bytes = 34},
        {.name = "a", .dtype = LFM2_DTYPE_COUNT, .n_dims = 1, .dims = {4}, .data = f, .n_bytes = 16},
        {.name = "a", .dtype = LFM2_DTYPE_F32, .n_dims = 1, .dims = {5}, .data = f, .n_bytes = 16},
        {.name = "a", .dtype = LFM2_DTYPE_F32, .n_dims = 1, .dims = {-4}, .data = f, .n_bytes = 16},
        {.name = "a", .dtype = LFM2_DTYPE_F32, .n_dims = 9, .dims = {4, 1, 1, 1, 1, 1, 1, 1}, .data = f, .n_bytes = 16},
        {.name = "a", .dtype = LFM2_DTYPE_F32, .n_dims = -1, .dims = {4}, .data = f, .n_bytes = 16},
        {.name = "a", .dtype = LFM2_DTYPE_F32, .n_dims = 2, .dims = {INT64_MAX, 4}, .data = f, .n_bytes = 16},
        {.name = "a", .dtype = LFM2_DTYPE_F32, .n_dims = 1, .dims = {4}, .data = NULL, .n_bytes = 16}};
    for (size_t i = 0; i < LFM2__COUNT_OF(bad); i++) {
        place p;
        begin(&p, "out.safetensors");
        assert_int_equal(lfm2_safetensors_save(p.x.rt, p.path, &bad[i], 1), LFM2_ERR_ARG);
        assert_one_line(&p.x.log, "out.safetensors", "");
        assert_int_equal(count_files(p.folder), 0);
        end(&p);
    }
    const lfm2_tensor same = {.name = "same", .dtype = LFM2_DTYPE_F32, .n_dims = 1, .dims = {4}, .data = f, .n_bytes = 16};
    const lfm2_tensor twice[2] = {same, same};
    place p;
    begin(&p, "out.safetensors");
    assert_int_equal(lfm2_safetensors_save(p.x.rt, p.path, twice, 2), LFM2_ERR_ARG);
    assert_one_line(&p.x.log, "out.safetensors", "tensor same: name");
    end(&p);
}

static void test_safetensors_write_out_of_memory_at_every_call(void **state)
{
    (void)state;
    static const float f[2] = {1, 2};
    const lfm2_tensor tensors[2] = {
        {.name = "a", .dtype = LFM2_DTYPE_F32, .n_dims = 1, .dims = {2}, .data = f, .n_bytes = sizeof f},
        {.name = "b", .dtype = LFM2_DTYPE_F32, .n_dims = 1, .dims = {2}, .data = f, .n_bytes = sizeof f}};
    int done = 0;
    for (long k = 1; !done; k++) {
        place p;
        begin(&p, "out.safetensors");
        p.x.heap.fail_at = k;
        int rc = lfm2_safetensors_save(p.x.rt, p.path, tensors, 2);
        done = p.x.heap.n_calls < k;
        if (rc < 0) {
            assert_int_equal(rc, LFM2_ERR_NOMEM);
            assert_one_line(&p.x.log, "out.safetensors", "out of memory");
        }
        assert_int_equal(count_files(p.folder), rc == 0);
        assert_true(!done || rc == 0);
        end(&p);
        assert_true(k < 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gguf_round_trip),
        cmocka_unit_test(gguf_copy_of_every_type),
        cmocka_unit_test(gguf_alignment_is_not_copied),
        cmocka_unit_test(gguf_refuses_bad_tensors),
        cmocka_unit_test(gguf_order_of_calls),
        cmocka_unit_test(gguf_bad_key),
        cmocka_unit_test(gguf_replaces_only_at_the_end),
        cmocka_unit_test(test_disk_full_leaves_nothing_behind),
        cmocka_unit_test(test_target_that_cannot_be),
        cmocka_unit_test(test_long_file_name),
        cmocka_unit_test(test_gguf_write_out_of_memory_at_every_call),
        cmocka_unit_test(safetensors_round_trip),
        cmocka_unit_test(safetensors_refuses_bad_tensors),
        cmocka_unit_test(test_safetensors_write_out_of_memory_at_every_call),
    };
    return cmocka_run_group_tests_name("weights_write", tests, NULL, NULL);
}
