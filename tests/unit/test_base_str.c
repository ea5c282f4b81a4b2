/* SPDX-License-Identifier: Apache-2.0
 * Growing byte string: growth, formatting, sticking errors, hand-over. */
#include "base_testing.h"

#include "base/runtime_impl.h"
#include "base/str.h"

static void appends(void **state)
{
    (void)state;
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    lfm2__str s;
    lfm2__str_init(&s, rt);
    assert_null(s.data);
    lfm2__str_puts(&s, "");
    assert_string_equal(s.data, "");
    lfm2__str_puts(&s, "ab");
    lfm2__str_put(&s, "c\0d", 3);
    lfm2__str_put(&s, NULL, 0);
    lfm2__str_printf(&s, "%d-%s", 12, "e");
    assert_int_equal(s.n, 9);
    assert_memory_equal(s.data, "abc\0d12-e", 10);
    assert_int_equal(s.status, 0);
    lfm2__str_fini(&s);
    assert_null(s.data);
    assert_int_equal(s.n, 0);
    lfm2__str_puts(&s, "again"); /* usable once more */
    assert_string_equal(s.data, "again");
    lfm2__str_fini(&s);
    lfm2__str_fini(&s);
    lfm2__str zeroed = {0};
    lfm2__str_fini(&zeroed);
    lfm2_runtime_destroy(rt);
}

static void fixed_point(void **state)
{
    (void)state;
    static const struct {
        int64_t v;
        int n_decimals;
        const char *want;
    } cases[] = {{0, 0, "0"}, {7, 0, "7"}, {-7, 0, "-7"}, {1234, 3, "1.234"}, {234, 3, "0.234"}, {4, 3, "0.004"}, {0, 4, "0.0000"},
                 {-4, 3, "-0.004"}, {1000, 3, "1.000"}, {INT64_MAX, 6, "9223372036854.775807"},
                 {INT64_MIN, 6, "-9223372036854.775808"}, {INT64_MIN, 18, "-9.223372036854775808"},
                 {5, 18, "0.000000000000000005"}};
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        lfm2__str s;
        lfm2__str_init(&s, rt);
        lfm2__str_put_fixed(&s, cases[i].v, cases[i].n_decimals);
        assert_string_equal(s.data, cases[i].want);
        lfm2__str_fini(&s);
    }
    lfm2_runtime_destroy(rt);
}

static void grows(void **state)
{
    (void)state;
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    lfm2__str s;
    lfm2__str_init(&s, rt);
    for (int i = 0; i < 10000; i++) lfm2__str_printf(&s, "%04d", i);
    assert_int_equal(s.status, 0);
    assert_int_equal(s.n, 40000);
    assert_memory_equal(s.data + 4 * 1234, "1234", 4);
    static char big[100000];
    memset(big, 'x', sizeof big);
    lfm2__str_put(&s, big, sizeof big);
    assert_int_equal(s.n, 140000);
    assert_int_equal(s.data[139999], 'x');
    assert_int_equal(s.data[140000], 0);
    lfm2__str_fini(&s);
    for (size_t n = 60; n < 70; n++) { /* around the first capacity */
        lfm2__str_put(&s, big, n);
        assert_int_equal(s.n, n);
        assert_int_equal(s.data[n], 0);
        lfm2__str_fini(&s);
    }
    lfm2_runtime_destroy(rt);
}

static void take(void **state)
{
    (void)state;
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    lfm2__str s;
    lfm2__str_init(&s, rt);
    char *text = NULL;
    size_t n = 99;
    assert_int_equal(lfm2__str_take(&s, &text, &n), 0);
    assert_string_equal(text, "");
    assert_int_equal(n, 0);
    lfm2__free(rt, text);
    lfm2__str_puts(&s, "hello");
    assert_int_equal(lfm2__str_take(&s, &text, &n), 0);
    assert_string_equal(text, "hello");
    assert_int_equal(n, 5);
    assert_null(s.data);
    assert_int_equal(s.n, 0);
    lfm2__free(rt, text);
    lfm2__str_puts(&s, "x");
    assert_int_equal(lfm2__str_take(&s, &text, NULL), 0);
    assert_string_equal(text, "x");
    lfm2__free(rt, text);
    lfm2_runtime_destroy(rt);
}

static void errors_stick(void **state)
{
    (void)state;
    test_heap heap = {0};
    lfm2_runtime *rt = test_runtime(1, &heap, NULL);
    lfm2__str s;
    lfm2__str_init(&s, rt);
    lfm2__str_puts(&s, "kept");
    static char big[1000];
    heap.fail_at = heap.n_calls + 1;
    lfm2__str_put(&s, big, sizeof big);
    assert_int_equal(s.status, LFM2_ERR_NOMEM);
    const long n_calls = heap.n_calls;
    lfm2__str_puts(&s, "a");
    lfm2__str_put(&s, big, sizeof big);
    lfm2__str_printf(&s, "%d", 5);
    assert_int_equal(heap.n_calls, n_calls); /* not even tried */
    assert_string_equal(s.data, "kept");
    char *text = big;
    size_t n = 77;
    assert_int_equal(lfm2__str_take(&s, &text, &n), LFM2_ERR_NOMEM);
    assert_ptr_equal(text, big);
    assert_int_equal(n, 77);
    assert_null(s.data);

    for (int k = 0; k < 3; k++) { /* the first append of each kind fails */
        lfm2__str_init(&s, rt);
        heap.fail_at = heap.n_calls + 1;
        if (k == 0) lfm2__str_puts(&s, "a");
        if (k == 1) lfm2__str_printf(&s, "%d", 1);
        assert_int_equal(lfm2__str_take(&s, &text, &n), LFM2_ERR_NOMEM);
    }
    lfm2__str_init(&s, rt);
    lfm2__str_puts(&s, "a");
    lfm2__str_put(&s, big, SIZE_MAX);
    assert_int_equal(s.status, LFM2_ERR_NOMEM);
    lfm2__str_fini(&s);
    assert_int_equal(s.status, 0);
    lfm2__str_puts(&s, "a");
    lfm2__str_put(&s, big, SIZE_MAX - 1);
    assert_int_equal(s.status, LFM2_ERR_NOMEM);
    lfm2__str_fini(&s);
    lfm2__str_puts(&s, "a");
    lfm2__str_put(&s, big, SIZE_MAX / 2 + 10); /* doubling would overflow */
    assert_int_equal(s.status, LFM2_ERR_NOMEM);
    lfm2__str_fini(&s);
    lfm2_runtime_destroy(rt);
    assert_int_equal(heap.n_live, 0);
}

static void printf_that_fails(void **state)
{
    (void)state;
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    lfm2__str s;
    lfm2__str_init(&s, rt);
    lfm2__str_puts(&s, "a");
    lfm2__str_printf(&s, "b%ls", L"\x20ac"); /* no such character in the C locale: vsnprintf() gives -1 */
    assert_int_equal(s.status, LFM2_ERR_NOMEM);
    assert_string_equal(s.data, "a");
    lfm2__str_fini(&s);
    lfm2_runtime_destroy(rt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends), cmocka_unit_test(fixed_point),  cmocka_unit_test(grows),
        cmocka_unit_test(take),    cmocka_unit_test(errors_stick), cmocka_unit_test(printf_that_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
