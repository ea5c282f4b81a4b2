/* SPDX-License-Identifier: Apache-2.0
 * Bind tables: prefixes, squeezed dimensions, and every mismatch in one report. */
#include "weights_testing.h"

#include "weights/bind.h"

static const char *const prefixes[] = {"model.language_model.", "model.", "lfm.", "", NULL};
static const char *const strict_prefixes[] = {"model.", NULL};

typedef struct bound {
    watched x;
    bytes b;
    lfm2_weights *w;
    lfm2__binder *binder;
} bound;

/* --- files with tensors of F32 --- */

typedef struct shape {
    const char *name;
    const char *dims; /* "2,3" */
} shape;

static void begin_binder(bound *o, const char *const *st_prefixes)
{
    watch_begin(&o->x);
    o->w = accept_bytes(&o->x, &o->b);
    o->binder = NULL;
    assert_int_equal(lfm2__binder_create(o->w, st_prefixes, &o->binder), 0);
}

static int64_t count_elems(const char *dims)
{
    int64_t n = 1;
    for (const char *c = dims; *c; c = *c == ',' ? c + 1 : c) {
        char *end;
        n *= strtol(c, &end, 10);
        c = end;
    }
    return n;
}

static bytes st_with(const shape *shapes, size_t n)
{
    char header[65536] = "{";
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        size_t n_bytes = 4 * (size_t)count_elems(shapes[i].dims);
        size_t len = strlen(header);
        snprintf(header + len, sizeof header - len, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
                 i > 0 ? "," : "", shapes[i].name, shapes[i].dims, at, at + n_bytes);
        at += n_bytes;
    }
    strcat(header, "}");
    return st_file(header, at);
}

static void begin_st(bound *o, const shape *shapes, size_t n)
{
    o->b = st_with(shapes, n);
    begin_binder(o, prefixes);
}

static void end(bound *o)
{
    lfm2__binder_destroy(o->binder);
    lfm2_weights_close(o->w);
    watch_end(&o->x);
    free(o->b.p);
}

static void assert_finish(bound *o, int status, const char *what)
{
    int rc = lfm2__binder_finish(o->binder);
    if (rc != status) print_error("%s\n", o->x.log.line);
    assert_int_equal(rc, status);
    if (status < 0)
        assert_one_line(&o->x.log, LABEL, what);
    else
        assert_int_equal(o->x.log.n_lines, 0);
}

/* --- binding --- */

static void binds_safetensors(void **state)
{
    (void)state;
    static const shape shapes[] = {{"model.language_model.norm.weight", "8"},
                                   {"model.layers.11.conv.conv.weight", "4,1,3"},
                                   {"lfm.layers.2.w1.weight", "6,8"},
                                   {"lm_head.weight", "10,8"},
                                   {"layers.3.counter", "2,3"}};
    lfm2__mat norm = {0}, conv = {0}, w1 = {0}, head = {0}, none = {0};
    bound o;
    begin_st(&o, shapes, LFM2__COUNT_OF(shapes));
    const lfm2__bind_row rows[] = {{"norm.weight", "norm", 1, {8}, LFM2__BIND_F32, &norm},
                                   {"layers.%d.conv.conv.weight", "c", 3, {4, 1, 3}, LFM2__BIND_F32, &conv},
                                   {"layers.%d.w1.weight", "w", 2, {6, 8}, 0, &w1},
                                   {"lm_head.weight", "h", 2, {10, 8}, LFM2__BIND_OPTIONAL, &head},
                                   {"other.weight", "o", 2, {10, 8}, LFM2__BIND_OPTIONAL, &none},
                                   {NULL, "only.in.gguf", 2, {10, 8}, 0, &none},
                                   {"layers.%d.counter", "c", 0, {0}, LFM2__BIND_UNREAD, &none},
                                   {"layers.%d.counter", "c", 0, {0}, LFM2__BIND_UNREAD, &none}};
    static const int32_t layers[] = {-1, 11, 2, -1, -1, -1, 3, 4}; /* there is no counter of layer 4 */
    for (size_t i = 0; i < LFM2__COUNT_OF(rows); i++) assert_int_equal(lfm2__binder_add(o.binder, &rows[i], layers[i], -1), 0);
    assert_finish(&o, 0, NULL);

    assert_ptr_equal(norm.data, lfm2_weights_find(o.w, shapes[0].name)->data);
    assert_true(norm.n_rows == 1 && norm.n_cols == 8 && norm.row_bytes == 32 && norm.dtype == LFM2_DTYPE_F32);
    assert_ptr_equal(conv.data, lfm2_weights_find(o.w, shapes[1].name)->data);
    assert_true(conv.n_rows == 4 && conv.n_cols == 3 && conv.row_bytes == 12);
    assert_ptr_equal(w1.data, lfm2_weights_find(o.w, shapes[2].name)->data);
    assert_true(w1.n_rows == 6 && w1.n_cols == 8 && w1.row_bytes == 32);
    assert_ptr_equal(head.data, lfm2_weights_find(o.w, shapes[3].name)->data);
    assert_null(none.data);
    end(&o);
}

static void binds_gguf(void **state)
{
    (void)state;
    static const uint64_t conv_ne[2] = {3, 4};
    static const uint64_t experts_ne[3] = {64, 5, 2};
    static const uint64_t vector_ne[1] = {4};
    bound o;
    memset(&o, 0, sizeof o);
    gguf_head(&o.b, 3, 0);
    gguf_tensor(&o.b, "blk.7.conv.weight", 2, conv_ne, 0, 0);
    gguf_tensor(&o.b, "blk.7.experts.weight", 3, experts_ne, 8, 64);
    gguf_tensor(&o.b, "blk.7.norm.weight", 1, vector_ne, 30, 768);
    gguf_pad(&o.b, 32);
    put_zeros(&o.b, 776);
    begin_binder(&o, prefixes);
    lfm2__mat conv = {0}, experts = {0}, norm = {0}, none = {0};
    const lfm2__bind_row rows[] = {{"c", "blk.%d.conv.weight", 3, {4, 1, 3}, LFM2__BIND_F32, &conv},
                                   {"e", "blk.%d.experts.weight", 3, {2, 5, 64}, 0, &experts},
                                   {"n", "blk.%d.norm.weight", 2, {4, 1}, LFM2__BIND_F32, &norm},
                                   {"only.in.safetensors", NULL, 1, {4}, 0, &none}};
    for (size_t i = 0; i < LFM2__COUNT_OF(rows); i++) assert_int_equal(lfm2__binder_add(o.binder, &rows[i], 7, -1), 0);
    assert_finish(&o, 0, NULL);
    assert_true(conv.n_rows == 4 && conv.n_cols == 3 && conv.dtype == LFM2_DTYPE_F32);
    assert_true(experts.n_rows == 10 && experts.n_cols == 64 && experts.row_bytes == 68 && experts.dtype == LFM2_DTYPE_Q8_0);
    assert_true(norm.n_rows == 4 && norm.n_cols == 1 && norm.row_bytes == 2 && norm.dtype == LFM2_DTYPE_BF16);
    assert_null(none.data);
    end(&o);
}

static void two_numbers_in_a_name(void **state)
{
    (void)state;
    static const shape shapes[] = {{"layers.12.experts.31.w1.weight", "2,2"}, {"layers.1.experts.2.w1.weight", "2,2"}};
    lfm2__mat a = {0}, b = {0};
    bound o;
    begin_st(&o, shapes, LFM2__COUNT_OF(shapes));
    lfm2__bind_row row = {"layers.%d.experts.%d.w1.weight", "x", 2, {2, 2}, 0, &a};
    assert_int_equal(lfm2__binder_add(o.binder, &row, 12, 31), 0);
    row.dst = &b;
    assert_int_equal(lfm2__binder_add(o.binder, &row, 1, 2), 0);
    assert_finish(&o, 0, NULL);
    assert_ptr_equal(a.data, lfm2_weights_find(o.w, shapes[0].name)->data);
    assert_ptr_equal(b.data, lfm2_weights_find(o.w, shapes[1].name)->data);
    end(&o);
}

/* The first prefix that fits is taken, so the rest of a name may begin with another one. */
static void prefixes_in_order(void **state)
{
    (void)state;
    static const shape shapes[] = {{"model.language_model.a", "2"}, {"model.lfm.b", "2"}, {"c", "2"}};
    static const char *const names[] = {"a", "lfm.b", "c"};
    bound o;
    begin_st(&o, shapes, LFM2__COUNT_OF(shapes));
    for (size_t i = 0; i < LFM2__COUNT_OF(names); i++) {
        lfm2__mat m = {0};
        const lfm2__bind_row row = {names[i], "x", 1, {2}, 0, &m};
        assert_int_equal(lfm2__binder_add(o.binder, &row, -1, -1), 0);
        assert_ptr_equal(m.data, lfm2_weights_find(o.w, shapes[i].name)->data);
    }
    assert_finish(&o, 0, NULL);
    end(&o);
}

static void a_name_without_its_prefix_is_not_found(void **state)
{
    (void)state;
    static const shape shapes[] = {{"model.a", "2"}, {"b", "2"}};
    lfm2__mat a = {0}, b = {0};
    bound o;
    o.b = st_with(shapes, LFM2__COUNT_OF(shapes));
    begin_binder(&o, strict_prefixes);
    const lfm2__bind_row row_a = {"a", "x", 1, {2}, 0, &a};
    const lfm2__bind_row row_b = {"b", "x", 1, {2}, 0, &b};
    assert_int_equal(lfm2__binder_add(o.binder, &row_a, -1, -1), 0);
    assert_int_equal(lfm2__binder_add(o.binder, &row_b, -1, -1), 0);
    assert_non_null(a.data);
    assert_null(b.data);
    assert_finish(&o, LFM2_ERR_FORMAT, "2 problems (0 of them not shown): b is missing; b is not a tensor of this model");
    end(&o);
}

/* --- mismatches --- */

static void every_mismatch_in_one_line(void **state)
{
    (void)state;
    static const shape shapes[] = {{"model.good", "2,3"},      {"model.turned", "3,2"}, {"model.short", "2"},
                                   {"model.deep", "2,3,2"},    {"model.extra", "1"},    {"vision.tower", "4"},
                                   {"model.vision.old", "4"}};
    static const char *const allowed[] = {"vision.", NULL};
    static const char *const want[] = {"6 problems (0 of them not shown): ",
                                       "model.turned: shape [3,2] instead of [2,3]",
                                       "model.short: shape [2] instead of [2,3]",
                                       "model.deep: shape [2,3,2] instead of [2,3]",
                                       "layers.3.gone is missing",
                                       "other.gone is missing",
                                       "model.extra is not a tensor of this model"};
    lfm2__mat good = {0}, bad = {0};
    bound o;
    begin_st(&o, shapes, LFM2__COUNT_OF(shapes));
    const lfm2__bind_row rows[] = {{"good", "x", 2, {2, 3}, 0, &good},  {"turned", "x", 2, {2, 3}, 0, &bad},
                                   {"short", "x", 2, {2, 3}, 0, &bad},  {"deep", "x", 2, {2, 3}, 0, &bad},
                                   {"layers.%d.gone", "x", 2, {2, 3}, 0, &bad}, {"other.gone", "x", 2, {2, 3}, 0, &bad}};
    for (size_t i = 0; i < LFM2__COUNT_OF(rows); i++) assert_int_equal(lfm2__binder_add(o.binder, &rows[i], 3, -1), 0);
    lfm2__binder_allow(o.binder, allowed);
    assert_finish(&o, LFM2_ERR_FORMAT, want[0]);
    for (size_t i = 0; i < LFM2__COUNT_OF(want); i++) assert_non_null(strstr(o.x.log.line, want[i]));
    assert_null(strstr(o.x.log.line, "good"));
    assert_null(strstr(o.x.log.line, "vision"));
    assert_non_null(good.data);
    assert_null(bad.data);
    end(&o);
}

static void types_that_do_not_fit(void **state)
{
    (void)state;
    static const uint64_t ne[1] = {32};
    static const struct { uint32_t ggml; unsigned flags; int fits; } cases[] = {
        {0, 0, 1},  {0, LFM2__BIND_F32, 1},  {1, LFM2__BIND_F32, 1}, {30, LFM2__BIND_F32, 1}, {8, LFM2__BIND_F32, 0},
        {8, 0, 1},  {20, 0, 1},              {24, 0, 0},             {28, LFM2__BIND_F32, 0}, {26, LFM2__BIND_F32, 0}};
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        bound o;
        lfm2__mat m = {0};
        memset(&o, 0, sizeof o);
        gguf_head(&o.b, 1, 0);
        gguf_tensor(&o.b, "a", 1, ne, cases[i].ggml, 0);
        gguf_pad(&o.b, 32);
        put_zeros(&o.b, 256);
        begin_binder(&o, prefixes);
        const lfm2__bind_row row = {"x", "a", 1, {32}, cases[i].flags, &m};
        assert_int_equal(lfm2__binder_add(o.binder, &row, -1, -1), 0);
        assert_finish(&o, cases[i].fits ? 0 : LFM2_ERR_FORMAT, "does not fit here");
        assert_int_equal(m.data != NULL, cases[i].fits);
        end(&o);
    }
}

/* A block type whose rows, as wanted here, would not be whole blocks. */
static void blocks_across_rows(void **state)
{
    (void)state;
    static const uint64_t ne[1] = {32};
    bound o;
    lfm2__mat m = {0};
    memset(&o, 0, sizeof o);
    gguf_head(&o.b, 1, 0);
    gguf_tensor(&o.b, "a", 1, ne, 8, 0);
    gguf_pad(&o.b, 32);
    put_zeros(&o.b, 34);
    begin_binder(&o, prefixes);
    const lfm2__bind_row row = {"x", "a", 2, {32, 1}, 0, &m};
    assert_int_equal(lfm2__binder_add(o.binder, &row, -1, -1), 0);
    assert_finish(&o, LFM2_ERR_FORMAT, "a: type Q8_0 does not fit here");
    assert_null(m.data);
    end(&o);
}

static void two_names_for_one_tensor(void **state)
{
    (void)state;
    static const shape shapes[] = {{"model.a", "2"}, {"lfm.a", "2"}, {"model.b", "2"}};
    lfm2__mat m = {0};
    bound o;
    begin_st(&o, shapes, LFM2__COUNT_OF(shapes));
    const lfm2__bind_row rows[] = {{"a", "x", 1, {2}, 0, &m}, {"b", "x", 1, {2}, 0, &m}};
    for (size_t i = 0; i < 2; i++) assert_int_equal(lfm2__binder_add(o.binder, &rows[i], -1, -1), 0);
    assert_finish(&o, LFM2_ERR_FORMAT, "1 problems (0 of them not shown): lfm.a and model.a stand for the same tensor");
    end(&o);
}

static void the_first_twenty_are_named(void **state)
{
    (void)state;
    static const shape shapes[] = {{"a", "2"}};
    lfm2__mat m = {0};
    bound o;
    begin_st(&o, shapes, 1);
    const lfm2__bind_row row = {"layers.%d.w", "x", 1, {2}, 0, &m};
    for (int32_t i = 0; i < 30; i++) assert_int_equal(lfm2__binder_add(o.binder, &row, i, -1), 0);
    assert_finish(&o, LFM2_ERR_FORMAT, "31 problems (11 of them not shown): layers.0.w is missing; ");
    assert_non_null(strstr(o.x.log.line, "layers.19.w is missing"));
    assert_null(strstr(o.x.log.line, "layers.20.w"));
    end(&o);
}

static void no_tensors_at_all(void **state)
{
    (void)state;
    lfm2__mat m = {0};
    bound o;
    begin_st(&o, NULL, 0);
    const lfm2__bind_row row = {"a", "x", 1, {2}, 0, &m};
    assert_int_equal(lfm2__binder_add(o.binder, &row, -1, -1), 0);
    assert_finish(&o, LFM2_ERR_FORMAT, "1 problems (0 of them not shown): a is missing");
    end(&o);
    lfm2__binder_destroy(NULL);
}

static void seven_thousand_tensors(void **state)
{
    (void)state;
    bound o;
    memset(&o, 0, sizeof o);
    put_u64(&o.b, 0);
    for (unsigned i = 0; i < 7680; i++) {
        char entry[160];
        put(&o.b, entry, (size_t)snprintf(entry, sizeof entry,
                                          "%c\"model.layers.%u.experts.%u.w\":{\"dtype\":\"F16\",\"shape\":[1,1],"
                                          "\"data_offsets\":[%u,%u]}",
                                          i > 0 ? ',' : '{', i / 192, i % 192, 2 * i, 2 * i + 2));
    }
    put(&o.b, "}", 1);
    for (int i = 0; i < 8; i++) o.b.p[i] = (unsigned char)((o.b.n - 8) >> (8 * i));
    put_zeros(&o.b, 2 * 7680);
    begin_binder(&o, prefixes);
    for (int32_t i = 0; i < 7680; i++) {
        lfm2__mat m = {0};
        const lfm2__bind_row row = {"layers.%d.experts.%d.w", "x", 2, {1, 1}, 0, &m};
        assert_int_equal(lfm2__binder_add(o.binder, &row, i / 192, i % 192), 0);
        assert_ptr_equal(m.data, o.b.p + o.b.n - 2 * (7680 - i));
    }
    assert_finish(&o, 0, NULL);
    end(&o);
}

static void test_bind_out_of_memory_at_every_call(void **state)
{
    (void)state;
    static const shape shapes[] = {{"a", "2"}, {"extra", "2"}};
    int done = 0;
    for (long k = 1; !done; k++) {
        bound o;
        lfm2__mat m = {0};
        const lfm2__bind_row row = {"gone.for.%d", "x", 1, {2}, 0, &m};
        o.b = st_with(shapes, LFM2__COUNT_OF(shapes));
        watch_begin(&o.x);
        o.w = accept_bytes(&o.x, &o.b);
        o.binder = NULL;
        o.x.heap.n_calls = 0;
        o.x.heap.fail_at = k;
        int rc = lfm2__binder_create(o.w, prefixes, &o.binder);
        if (rc < 0) assert_null(o.binder);
        for (int32_t i = 0; i < 10 && rc == 0; i++) rc = lfm2__binder_add(o.binder, &row, i, -1);
        if (rc == 0) rc = lfm2__binder_finish(o.binder);
        done = o.x.heap.n_calls < k;
        assert_int_equal(rc, done ? LFM2_ERR_FORMAT : LFM2_ERR_NOMEM);
        assert_one_line(&o.x.log, LABEL, done ? "12 problems" : "out of memory");
        end(&o);
        assert_true(k < 200);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(binds_safetensors),
        cmocka_unit_test(binds_gguf),
        cmocka_unit_test(two_numbers_in_a_name),
        cmocka_unit_test(prefixes_in_order),
        cmocka_unit_test(a_name_without_its_prefix_is_not_found),
        cmocka_unit_test(every_mismatch_in_one_line),
        cmocka_unit_test(types_that_do_not_fit),
        cmocka_unit_test(blocks_across_rows),
        cmocka_unit_test(two_names_for_one_tensor),
        cmocka_unit_test(the_first_twenty_are_named),
        cmocka_unit_test(no_tensors_at_all),
        cmocka_unit_test(seven_thousand_tensors),
        cmocka_unit_test(test_bind_out_of_memory_at_every_call),
    };
    return cmocka_run_group_tests_name("weights_bind", tests, NULL, NULL);
}
