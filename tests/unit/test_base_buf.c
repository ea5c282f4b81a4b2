/* SPDX-License-Identifier: Apache-2.0
 * Reference-counted buffers, also from several threads at once. */
#include "base_testing.h"

#include <pthread.h>

#include "lfm2/media.h"

static void create_and_unref(void **state)
{
    (void)state;
    test_heap heap = {0};
    lfm2_runtime *rt = test_runtime(1, &heap, NULL);
    const long n_live = heap.n_live;
    static const size_t sizes[] = {1, 64, 100000};
    for (size_t i = 0; i < LFM2__COUNT_OF(sizes); i++) {
        lfm2_buf *buf = NULL;
        assert_int_equal(lfm2_buf_create(rt, sizes[i], &buf), 0);
        assert_int_equal(lfm2_buf_bytes(buf), sizes[i]);
        assert_int_equal((uintptr_t)lfm2_buf_data(buf) % 64, 0);
        memset(lfm2_buf_data(buf), 7, sizes[i]);
        assert_int_equal(lfm2_buf_is_unique(buf), 1);
        lfm2_buf *second = lfm2_buf_ref(buf);
        assert_ptr_equal(second, buf);
        assert_int_equal(lfm2_buf_is_unique(buf), 0);
        lfm2_buf_unref(&second);
        assert_null(second);
        assert_int_equal(lfm2_buf_is_unique(buf), 1);
        assert_int_equal(((char *)lfm2_buf_data(buf))[sizes[i] - 1], 7);
        lfm2_buf_unref(&buf);
        assert_null(buf);
        lfm2_buf_unref(&buf);
        assert_int_equal(heap.n_live, n_live);
    }
    lfm2_buf_unref(NULL);
    lfm2_runtime_destroy(rt);
}

typedef struct released {
    int n;
    void *data;
} released;

static void on_release(void *ctx, void *data)
{
    released *r = ctx;
    r->n++;
    r->data = data;
}

static void wrap(void **state)
{
    (void)state;
    test_heap heap = {0};
    lfm2_runtime *rt = test_runtime(1, &heap, NULL);
    const long n_live = heap.n_live;
    char data[10] = "123456789";
    released r = {0};
    lfm2_buf *buf = NULL;
    assert_int_equal(lfm2_buf_wrap(rt, data, sizeof data, on_release, &r, &buf), 0);
    assert_ptr_equal(lfm2_buf_data(buf), data);
    assert_int_equal(lfm2_buf_bytes(buf), sizeof data);
    lfm2_buf *second = lfm2_buf_ref(buf);
    lfm2_buf_unref(&buf);
    assert_int_equal(r.n, 0);
    lfm2_buf_unref(&second);
    assert_int_equal(r.n, 1);
    assert_ptr_equal(r.data, data);
    assert_int_equal(lfm2_buf_wrap(rt, data, sizeof data, NULL, NULL, &buf), 0);
    lfm2_buf_unref(&buf);
    assert_string_equal(data, "123456789");
    assert_int_equal(heap.n_live, n_live);
    lfm2_runtime_destroy(rt);
}

static void bad_arguments(void **state)
{
    (void)state;
    test_log log = {0};
    lfm2_runtime *rt = test_runtime(1, NULL, &log);
    char byte = 0;
    released r = {0};
    lfm2_buf *buf = NULL;
    assert_int_equal(lfm2_buf_create(NULL, 1, &buf), LFM2_ERR_ARG);
    assert_int_equal(lfm2_buf_create(rt, 0, &buf), LFM2_ERR_ARG);
    assert_int_equal(lfm2_buf_create(rt, 1, NULL), LFM2_ERR_ARG);
    assert_int_equal(lfm2_buf_wrap(NULL, &byte, 1, on_release, &r, &buf), LFM2_ERR_ARG);
    assert_int_equal(lfm2_buf_wrap(rt, NULL, 1, on_release, &r, &buf), LFM2_ERR_ARG);
    assert_int_equal(lfm2_buf_wrap(rt, &byte, 0, on_release, &r, &buf), LFM2_ERR_ARG);
    assert_int_equal(lfm2_buf_wrap(rt, &byte, 1, on_release, &r, NULL), LFM2_ERR_ARG);
    assert_int_equal(log.n_lines, 5); /* all that had a runtime to log to */
    assert_int_equal(r.n, 0);
    assert_null(buf);
    lfm2_runtime_destroy(rt);
}

static void without_memory(void **state)
{
    (void)state;
    test_heap heap = {0};
    lfm2_runtime *rt = test_runtime(1, &heap, NULL);
    char byte = 0;
    released r = {0};
    lfm2_buf *buf = NULL;
    heap.fail_at = heap.n_calls + 1;
    assert_int_equal(lfm2_buf_create(rt, 1, &buf), LFM2_ERR_NOMEM);
    heap.fail_at = heap.n_calls + 1;
    assert_int_equal(lfm2_buf_wrap(rt, &byte, 1, on_release, &r, &buf), LFM2_ERR_NOMEM);
    heap.fail_at = 0;
    assert_int_equal(lfm2_buf_create(rt, SIZE_MAX, &buf), LFM2_ERR_NOMEM);
    assert_int_equal(lfm2_buf_create(rt, SIZE_MAX - 64, &buf), LFM2_ERR_NOMEM);
    assert_int_equal(r.n, 0);
    assert_null(buf);
    lfm2_runtime_destroy(rt);
    assert_int_equal(heap.n_live, 0);
}

#define N_HOLDERS 4
#define N_ROUNDS 2000

static void *holder(void *arg)
{
    lfm2_buf *mine = arg;
    unsigned sum = 0;
    for (int i = 0; i < N_ROUNDS; i++) {
        lfm2_buf *again = lfm2_buf_ref(mine);
        sum += ((unsigned char *)lfm2_buf_data(again))[i % 64];
        if (lfm2_buf_is_unique(again)) sum += 1u << 30; /* never: two references are held here */
        lfm2_buf_unref(&again);
    }
    lfm2_buf_unref(&mine);
    return sum < 1u << 30 ? NULL : arg;
}

/* The last of the threads frees; each of them may be the last. */
static void many_threads(void **state)
{
    (void)state;
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    released r = {0};
    static unsigned char data[64];
    for (int round = 0; round < 20; round++) {
        lfm2_buf *buf = NULL;
        assert_int_equal(lfm2_buf_wrap(rt, data, sizeof data, on_release, &r, &buf), 0);
        pthread_t threads[N_HOLDERS];
        for (int i = 0; i < N_HOLDERS; i++) {
            assert_int_equal(pthread_create(&threads[i], NULL, holder, lfm2_buf_ref(buf)), 0);
        }
        lfm2_buf_unref(&buf);
        for (int i = 0; i < N_HOLDERS; i++) {
            void *result = &r;
            assert_int_equal(pthread_join(threads[i], &result), 0);
            assert_null(result);
        }
        assert_int_equal(r.n, round + 1);
    }
    lfm2_runtime_destroy(rt);
}

/* Writing after is_unique() must be ordered behind the reads of those that let go. */
static void *reader(void *arg)
{
    lfm2_buf *mine = arg;
    const int value = *(int *)lfm2_buf_data(mine);
    lfm2_buf_unref(&mine);
    return value == 1 ? NULL : arg;
}

static void unique_then_write(void **state)
{
    (void)state;
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    for (int round = 0; round < 50; round++) {
        lfm2_buf *buf = NULL;
        assert_int_equal(lfm2_buf_create(rt, sizeof(int), &buf), 0);
        *(int *)lfm2_buf_data(buf) = 1;
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, reader, lfm2_buf_ref(buf)), 0);
        while (!lfm2_buf_is_unique(buf)) {
        }
        *(int *)lfm2_buf_data(buf) = 2;
        void *result = buf;
        assert_int_equal(pthread_join(thread, &result), 0);
        assert_null(result);
        lfm2_buf_unref(&buf);
    }
    lfm2_runtime_destroy(rt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create_and_unref), cmocka_unit_test(wrap),         cmocka_unit_test(bad_arguments),
        cmocka_unit_test(without_memory),   cmocka_unit_test(many_threads), cmocka_unit_test(unique_then_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
