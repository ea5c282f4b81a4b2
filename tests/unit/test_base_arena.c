/* SPDX-License-Identifier: Apache-2.0
 * Arena: alignment, full, overflow, mark and release. */
#include "base_testing.h"

#include "base/arena.h"

static void sizes(void **state)
{
    (void)state;
    assert_int_equal(lfm2__arena_bytes(0, 4), 0);
    assert_int_equal(lfm2__arena_bytes(4, 0), 0);
    assert_int_equal(lfm2__arena_bytes(1, 1), 64);
    assert_int_equal(lfm2__arena_bytes(16, 4), 64);
    assert_int_equal(lfm2__arena_bytes(17, 4), 128);
    assert_true(lfm2__arena_bytes(SIZE_MAX, 2) == SIZE_MAX);
    assert_true(lfm2__arena_bytes(SIZE_MAX, 1) == SIZE_MAX);
    assert_true(lfm2__arena_bytes(SIZE_MAX - 62, 1) == SIZE_MAX);
}

static void filled_to_the_last_byte(void **state)
{
    (void)state;
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    lfm2__arena a;
    const size_t need = lfm2__arena_bytes(3, 4) + lfm2__arena_bytes(100, 8) + lfm2__arena_bytes(1, 1);
    assert_int_equal(lfm2__arena_init(&a, rt, need), 0);
    int32_t *p = lfm2__arena_alloc(&a, 3, 4);
    double *q = lfm2__arena_alloc(&a, 100, 8);
    char *r = lfm2__arena_alloc(&a, 1, 1);
    assert_non_null(p);
    assert_non_null(q);
    assert_non_null(r);
    assert_int_equal((uintptr_t)p % 64, 0);
    assert_int_equal((uintptr_t)q % 64, 0);
    assert_int_equal((uintptr_t)r % 64, 0);
    memset(p, 1, 3 * sizeof *p);
    memset(q, 2, 100 * sizeof *q);
    *r = 3;
    assert_int_equal(((char *)p)[11], 1);
    assert_int_equal(((char *)q)[799], 2);
    assert_int_equal(a.used_bytes, need);
    assert_int_equal(a.peak_bytes, need);
    assert_null(lfm2__arena_alloc(&a, 1, 1));
    assert_int_equal(a.used_bytes, need);
    lfm2__arena_fini(&a);
    assert_null(a.base);
    lfm2__arena_fini(&a); /* zeroed */
    lfm2_runtime_destroy(rt);
}

static void refused(void **state)
{
    (void)state;
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    lfm2__arena a;
    assert_int_equal(lfm2__arena_init(&a, rt, 256), 0);
    assert_null(lfm2__arena_alloc(&a, 257, 1));
    assert_null(lfm2__arena_alloc(&a, SIZE_MAX, 1));
    assert_null(lfm2__arena_alloc(&a, SIZE_MAX / 4, 8));
    assert_null(lfm2__arena_alloc(&a, SIZE_MAX / 2, 2)); /* SIZE_MAX - 1: the rounding overflows */
    assert_non_null(lfm2__arena_alloc(&a, 193, 1));
    assert_null(lfm2__arena_alloc(&a, 1, 1));
    lfm2__arena_fini(&a);
    lfm2_runtime_destroy(rt);
}

static void mark_and_release(void **state)
{
    (void)state;
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    lfm2__arena a;
    assert_int_equal(lfm2__arena_init(&a, rt, 1024), 0);
    void *first = lfm2__arena_alloc(&a, 64, 1);
    assert_non_null(first);
    const size_t mark = lfm2__arena_mark(&a);
    void *second = lfm2__arena_alloc(&a, 500, 1);
    assert_non_null(second);
    const size_t later = lfm2__arena_mark(&a);
    lfm2__arena_release(&a, mark);
    assert_int_equal(a.used_bytes, 64);
    assert_int_equal(a.peak_bytes, 64 + 512);
    lfm2__arena_release(&a, later); /* not forwards */
    assert_int_equal(a.used_bytes, 64);
    assert_ptr_equal(lfm2__arena_alloc(&a, 960, 1), second);
    lfm2__arena_release(&a, 0);
    assert_ptr_equal(lfm2__arena_alloc(&a, 1024, 1), first);
    assert_int_equal(a.peak_bytes, 1024);
    lfm2__arena_fini(&a);
    lfm2_runtime_destroy(rt);
}

static void empty(void **state)
{
    (void)state;
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    lfm2__arena a;
    assert_int_equal(lfm2__arena_init(&a, rt, 0), 0);
    assert_null(lfm2__arena_alloc(&a, 1, 1));
    assert_null(lfm2__arena_alloc(&a, 0, 1));
    lfm2__arena_fini(&a);
    lfm2_runtime_destroy(rt);
}

static void without_memory(void **state)
{
    (void)state;
    test_heap heap = {0};
    lfm2_runtime *rt = test_runtime(1, &heap, NULL);
    lfm2__arena a;
    memset(&a, 0xff, sizeof a);
    heap.fail_at = heap.n_calls + 1;
    assert_int_equal(lfm2__arena_init(&a, rt, 64), LFM2_ERR_NOMEM);
    assert_null(a.base);
    assert_null(lfm2__arena_alloc(&a, 1, 1));
    lfm2__arena_fini(&a);
    lfm2_runtime_destroy(rt);
    assert_int_equal(heap.n_live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),            cmocka_unit_test(filled_to_the_last_byte), cmocka_unit_test(refused),
        cmocka_unit_test(mark_and_release), cmocka_unit_test(empty),                   cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
