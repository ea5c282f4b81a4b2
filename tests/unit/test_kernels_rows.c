/* SPDX-License-Identifier: Apache-2.0
 * Rows of activations on the pool: each step, in its order, over blocks of any shape; f32 copies of vectors. */
#include "base_testing.h"

#include "base/runtime_impl.h"
#include "kernels/rows.h"

enum { WIDE = 8200, N = 40000 };

typedef struct arrays {
    float x[N], add[N], gated[N], bias[WIDE], w[WIDE], b[WIDE];
} arrays;

static lfm2_runtime *threads_runtime(int32_t n_threads)
{
    lfm2_runtime_params p = lfm2_runtime_params_default();
    lfm2_runtime *rt = NULL;
    p.n_threads = n_threads;
    assert_int_equal(lfm2_runtime_create(&p, &rt), 0);
    return rt;
}

static arrays *make_arrays(void)
{
    arrays *a = malloc(sizeof(*a));
    assert_non_null(a);
    float *const parts[] = {a->x, a->add, a->gated, a->bias, a->w, a->b};
    const size_t sizes[] = {N, N, N, WIDE, WIDE, WIDE};
    for (size_t p = 0; p < LFM2__COUNT_OF(parts); p++)
        for (size_t i = 0; i < sizes[p]; i++) parts[p][i] = (float)((i * 37 + p * 11) % 101) / 16 - 3;
    return a;
}

/* What the pool makes of n_rows rows is what the kernels make of each, bit for bit; y may be another array, x or add. */
static void check_rows(lfm2_runtime *rt, const lfm2__kernels *k, int32_t n_rows, int32_t width, lfm2__activation act, int gate,
                       int has_b, int y_is)
{
    arrays *a = make_arrays(), *want = make_arrays();
    const lfm2__norm norm = {.w = {.data = a->w}, .b = {.data = has_b ? a->b : NULL}};
    float *other = calloc(N, sizeof(float)), *y = y_is == 0 ? other : y_is == 1 ? a->x : a->add;
    assert_non_null(other);
    assert_true((size_t)n_rows * (size_t)width <= N);
    const lfm2__rows rows = {.x = a->x, .add = a->add, .scale = 0.5f, .bias = a->bias, .act = act, .gated = gate ? a->gated : NULL,
                             .norm = &norm, .eps = 1e-5f, .y = y, .n_rows = n_rows, .width = width};
    for (int32_t r = 0; r < n_rows; r++) {
        const size_t at = (size_t)r * (size_t)width;
        float *x = want->x + at;
        k->axpy(x, 0.5f, want->add + at, width);
        k->add(x, want->bias, width);
        if (act == LFM2__ACT_RELU)
            for (int32_t i = 0; i < width; i++) x[i] = x[i] > 0 ? x[i] : 0;
        if (act == LFM2__ACT_SILU && gate) k->silu_mul(x, x, want->gated + at, width);
        if (act == LFM2__ACT_SILU && !gate) k->silu(x, x, width);
        if (act == LFM2__ACT_GELU_TANH) k->gelu_tanh(x, x, width);
        if (act == LFM2__ACT_GELU_ERF) k->gelu_erf(x, x, width);
        if (has_b) k->layer_norm(want->gated + at, x, want->w, want->b, width, 1e-5f);
        else k->rms_norm(want->gated + at, x, want->w, width, 1e-5f);
    }
    lfm2__rows_run(k, rt, &rows);
    const size_t bytes = (size_t)n_rows * (size_t)width * sizeof(float);
    assert_memory_equal(y, want->gated, bytes);
    if (y_is != 1) assert_memory_equal(a->x, want->x, bytes);
    assert_memory_equal(a->x + (size_t)n_rows * (size_t)width, want->x + (size_t)n_rows * (size_t)width, sizeof(a->x) - bytes);
    free(other);
    free(want);
    free(a);
}

static void rows_are_what_kernels_make(void **state)
{
    static const int32_t shapes[][2] = {{1, 1}, {0, 5}, {1000, 33}, {17, 1024}, {4, 8192}, {3, WIDE}};
    static const int32_t threads[] = {1, 3};
    (void)state;
    for (size_t t = 0; t < LFM2__COUNT_OF(threads); t++) {
        lfm2_runtime *rt = threads_runtime(threads[t]);
        lfm2__kernels k;
        lfm2__kernels_init(&k, lfm2_runtime_cpu_flags(rt));
        for (size_t s = 0; s < LFM2__COUNT_OF(shapes); s++)
            for (int act = LFM2__ACT_NONE; act <= LFM2__ACT_GELU_ERF; act++)
                check_rows(rt, &k, shapes[s][0], shapes[s][1], (lfm2__activation)act, act == LFM2__ACT_SILU && s % 2, act % 2,
                           act % 3);
        lfm2_runtime_destroy(rt);
    }
}

/* What is not asked for is left out. */
static void nothing_asked_nothing_done(void **state)
{
    float x[3] = {1, -2, 3}, y[3] = {7, 8, 9};
    (void)state;
    lfm2_runtime *rt = threads_runtime(1);
    lfm2__kernels k;
    lfm2__kernels_init(&k, 0);
    lfm2__rows_run(&k, rt, &(lfm2__rows){.x = x, .y = y, .n_rows = 1, .width = 3});
    const float x_want[3] = {1, -2, 3}, y_want[3] = {7, 8, 9};
    assert_memory_equal(x, x_want, sizeof(x));
    assert_memory_equal(y, y_want, sizeof(y));
    lfm2_runtime_destroy(rt);
}

static void vectors_are_counted_then_copied(void **state)
{
    const float f32[6] = {1, 2, 3, 4, 5, 6};
    const uint16_t bf16[2] = {0x3f80, 0xc000};
    lfm2__vec absent = {.data = NULL};
    lfm2__vec a = {.src = {.data = f32, .dtype = LFM2_DTYPE_F32, .n_rows = 2, .n_cols = 3, .row_bytes = 12}};
    lfm2__vec b = {.src = {.data = bf16, .dtype = LFM2_DTYPE_BF16, .n_rows = 1, .n_cols = 2, .row_bytes = 4}};
    lfm2__mat plain = {.data = f32, .dtype = LFM2_DTYPE_F32, .n_rows = 1, .n_cols = 6, .row_bytes = 24};
    const lfm2__bind_row rows[] = {{.flags = LFM2__BIND_F32, .dst = &a.src}, {.flags = 0, .dst = &plain},
                                   {.flags = LFM2__BIND_F32, .dst = &absent.src}, {.flags = LFM2__BIND_F32, .dst = &b.src}};
    lfm2__kernels k;
    (void)state;
    lfm2__kernels_init(&k, 0);
    lfm2__vec_walk walk = {.k = &k};
    for (size_t i = 0; i < LFM2__COUNT_OF(rows); i++) assert_int_equal(lfm2__vec_visit(&walk, &rows[i], -1, -1), 0);
    assert_int_equal(walk.n, 8);
    float copies[8 + 6] = {0};
    walk.at = copies;
    for (size_t i = 0; i < LFM2__COUNT_OF(rows); i++) assert_int_equal(lfm2__vec_visit(&walk, &rows[i], -1, -1), 0);
    const float want[8] = {1, 2, 3, 4, 5, 6, 1, -2}, turned[6] = {1, 4, 2, 5, 3, 6};
    assert_memory_equal(copies, want, sizeof(want));
    assert_ptr_equal(a.data, copies);
    assert_ptr_equal(b.data, copies + 6);
    assert_null(absent.data);
    lfm2__transpose(a.data, 2, 3, walk.at);
    assert_memory_equal(a.data, turned, sizeof(turned));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_what_kernels_make),
        cmocka_unit_test(nothing_asked_nothing_done),
        cmocka_unit_test(vectors_are_counted_then_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
