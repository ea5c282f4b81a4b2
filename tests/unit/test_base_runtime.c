/* SPDX-License-Identifier: Apache-2.0
 * The runtime: parameters, memory, log lines, the abort flag, the CPU. */
#include "base_testing.h"

#include <stdio.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/pool.h"
#include "base/runtime_impl.h"

static void defaults(void **state)
{
    (void)state;
    const lfm2_runtime_params p = lfm2_runtime_params_default();
    assert_null(p.alloc);
    assert_null(p.free);
    assert_null(p.alloc_ctx);
    assert_null(p.log);
    assert_null(p.log_ctx);
    assert_int_equal(p.n_threads, 0);
    assert_true(p.cpu_mask == LFM2_CPU_MASK_ALL);
    assert_int_equal(p.guard_mapped, 0);
    for (size_t i = 0; i < LFM2__COUNT_OF(p.reserved); i++) assert_int_equal(p.reserved[i], 0);
}

static void created_from_null(void **state)
{
    (void)state;
    lfm2_runtime *rt = NULL;
    assert_int_equal(lfm2_runtime_create(NULL, &rt), 0);
    const int32_t n_cores = lfm2__cpu_n_cores();
    assert_int_equal(lfm2_runtime_n_threads(rt), n_cores < 256 ? n_cores : 256);
    assert_int_equal(lfm2__pool_n_threads(lfm2__runtime_pool(rt)), lfm2_runtime_n_threads(rt));
    assert_int_equal(lfm2_runtime_cpu_flags(rt), lfm2__cpu_detect());
    assert_int_equal(lfm2__runtime_guards_mapped(rt), 0);
    lfm2_runtime_destroy(rt);
    lfm2_runtime_destroy(NULL);
}

/* params must be refused, with a line that has `field` in it. */
static void assert_refused(lfm2_runtime_params params, const char *field)
{
    test_log log = {0};
    params.log = test_log_line;
    params.log_ctx = &log;
    lfm2_runtime *rt = (lfm2_runtime *)&log; /* must stay as it is */
    assert_int_equal(lfm2_runtime_create(&params, &rt), LFM2_ERR_ARG);
    assert_ptr_equal(rt, &log);
    assert_int_equal(log.n_lines, 1);
    assert_int_equal(log.level, LFM2_LOG_ERROR);
    assert_non_null(strstr(log.line, field));
}

static void bad_params(void **state)
{
    (void)state;
    lfm2_runtime_params p = lfm2_runtime_params_default();
    p.alloc = test_heap_alloc;
    assert_refused(p, "alloc");
    p = lfm2_runtime_params_default();
    p.free = test_heap_free;
    assert_refused(p, "free");
    static const int32_t threads[] = {-1, INT32_MIN, 257, INT32_MAX};
    for (size_t i = 0; i < LFM2__COUNT_OF(threads); i++) {
        p = lfm2_runtime_params_default();
        p.n_threads = threads[i];
        assert_refused(p, "n_threads");
    }
    static const int32_t guards[] = {-1, 2, INT32_MIN};
    for (size_t i = 0; i < LFM2__COUNT_OF(guards); i++) {
        p = lfm2_runtime_params_default();
        p.guard_mapped = guards[i];
        assert_refused(p, "guard_mapped");
    }
    for (size_t i = 0; i < LFM2__COUNT_OF(p.reserved); i++) {
        p = lfm2_runtime_params_default();
        p.reserved[i] = 1;
        assert_refused(p, "reserved");
    }
    assert_int_equal(lfm2_runtime_create(NULL, NULL), LFM2_ERR_ARG);
    test_log log = {0};
    p = lfm2_runtime_params_default();
    p.log = test_log_line;
    p.log_ctx = &log;
    assert_int_equal(lfm2_runtime_create(&p, NULL), LFM2_ERR_ARG);
    assert_non_null(strstr(log.line, "out"));
}

static void create_without_memory(void **state)
{
    (void)state;
    for (long k = 1;; k++) {
        test_heap heap = {.fail_at = k};
        test_log log = {0};
        const lfm2_runtime_params p = {.alloc = test_heap_alloc, .free = test_heap_free, .alloc_ctx = &heap,
                                       .log = test_log_line, .log_ctx = &log, .n_threads = 3};
        lfm2_runtime *rt = NULL;
        const int rc = lfm2_runtime_create(&p, &rt);
        if (rc == 0) {
            assert_true(k > 2);
            assert_int_equal(log.n_lines, 0);
            lfm2_runtime_destroy(rt);
            assert_int_equal(heap.n_live, 0);
            return;
        }
        assert_int_equal(rc, LFM2_ERR_NOMEM);
        assert_null(rt);
        assert_int_equal(heap.n_live, 0);
        assert_int_equal(log.n_lines, 1);
    }
}

static void thread_counts(void **state)
{
    (void)state;
    static const int32_t counts[] = {1, 2, 7, 256};
    for (size_t i = 0; i < LFM2__COUNT_OF(counts); i++) {
        lfm2_runtime *rt = test_runtime(counts[i], NULL, NULL);
        assert_int_equal(lfm2_runtime_n_threads(rt), counts[i]);
        lfm2_runtime_destroy(rt);
    }
}

/* --- memory --- */

static void check_memory(lfm2_runtime *rt)
{
    static const size_t sizes[] = {1, 15, 16, 63, 64, 65, 4096, 131072, 1048577};
    for (size_t i = 0; i < LFM2__COUNT_OF(sizes); i++) {
        unsigned char *p = lfm2__alloc(rt, sizes[i]);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        memset(p, 0x5a, sizes[i]);
        unsigned char *z = lfm2__calloc(rt, sizes[i], 3);
        assert_non_null(z);
        assert_int_equal((uintptr_t)z % 64, 0);
        for (size_t j = 0; j < 3 * sizes[i]; j++) {
            if (z[j] != 0) fail_msg("byte %zu of a zeroed block is not zero", j);
        }
        memset(z, 0x5a, 3 * sizes[i]); /* so that a recycled block is not zero by chance */
        lfm2__free(rt, p);
        lfm2__free(rt, z);
    }
    assert_null(lfm2__alloc(rt, 0));
    assert_null(lfm2__calloc(rt, 0, 8));
    assert_null(lfm2__calloc(rt, 8, 0));
    assert_null(lfm2__calloc(rt, SIZE_MAX / 8 + 1, 8));
    assert_null(lfm2__alloc(rt, SIZE_MAX));
    assert_null(lfm2__alloc(rt, SIZE_MAX - 63));
    assert_null(lfm2__alloc(rt, (size_t)PTRDIFF_MAX + 1));
    lfm2__free(rt, NULL);
}

static void grow(lfm2_runtime *rt)
{
    unsigned char *p = lfm2__grow(rt, NULL, 0, 10);
    assert_non_null(p);
    for (int i = 0; i < 10; i++) p[i] = (unsigned char)i;
    unsigned char *q = lfm2__grow(rt, p, 10, 100000);
    assert_non_null(q);
    for (int i = 0; i < 10; i++) assert_int_equal(q[i], i);
    q = lfm2__grow(rt, q, 100000, 5);
    assert_non_null(q);
    for (int i = 0; i < 5; i++) assert_int_equal(q[i], i);
    assert_null(lfm2__grow(rt, q, 5, SIZE_MAX));
    assert_null(lfm2__grow(rt, q, 5, 0));
    for (int i = 0; i < 5; i++) assert_int_equal(q[i], i); /* still there */
    lfm2__free(rt, q);
}

static void duplicates(lfm2_runtime *rt)
{
    char *s = lfm2__strndup(rt, "abcdef", 3);
    assert_string_equal(s, "abc");
    lfm2__free(rt, s);
    s = lfm2__strndup(rt, NULL, 0);
    assert_string_equal(s, "");
    lfm2__free(rt, s);
    s = lfm2__strndup(rt, "a\0b", 3);
    assert_memory_equal(s, "a\0b", 4);
    lfm2__free(rt, s);
    assert_null(lfm2__strndup(rt, "x", SIZE_MAX));
}

static void memory_of_libc(void **state)
{
    (void)state;
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    check_memory(rt);
    grow(rt);
    duplicates(rt);
    lfm2_runtime_destroy(rt);
}

static void memory_of_the_caller(void **state)
{
    (void)state;
    test_heap heap = {0};
    lfm2_runtime *rt = test_runtime(1, &heap, NULL);
    const long n_live = heap.n_live;
    check_memory(rt);
    grow(rt);
    duplicates(rt);
    assert_int_equal(heap.n_live, n_live);
    heap.fail_at = heap.n_calls + 1;
    assert_null(lfm2__alloc(rt, 1));
    heap.fail_at = heap.n_calls + 1;
    assert_null(lfm2__calloc(rt, 1, 1));
    heap.fail_at = heap.n_calls + 1;
    assert_null(lfm2__strndup(rt, "x", 1));
    char *p = lfm2__strndup(rt, "keep", 4);
    heap.fail_at = heap.n_calls + 1;
    assert_null(lfm2__grow(rt, p, 5, 50));
    assert_string_equal(p, "keep");
    lfm2__free(rt, p);
    lfm2_runtime_destroy(rt);
    assert_int_equal(heap.n_live, 0);
}

static long resident_pages(void)
{
    long total, resident = -1;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL) return -1;
    if (fscanf(f, "%ld %ld", &total, &resident) != 2) resident = -1;
    fclose(f);
    return resident;
}

/* Caches are sized for the longest context: what is not used must not become resident. */
static void large_blocks_stay_untouched(void **state)
{
    (void)state;
    const long before = resident_pages();
    if (before < 0 || TEST_HAS_SHADOW) skip();
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    const size_t n_bytes = (size_t)256 << 20;
    char *zeroed = lfm2__calloc(rt, n_bytes, 1);
    char *plain = lfm2__alloc(rt, n_bytes);
    assert_non_null(zeroed);
    assert_non_null(plain);
    zeroed[n_bytes - 1] = 1;
    plain[n_bytes - 1] = 1;
    const long grown_bytes = (resident_pages() - before) * sysconf(_SC_PAGESIZE);
    assert_true(grown_bytes < (long)(n_bytes / 4));
    assert_int_equal(zeroed[n_bytes / 2], 0);
    lfm2__free(rt, zeroed);
    lfm2__free(rt, plain);
    lfm2_runtime_destroy(rt);
}

/* --- log --- */

static void log_reaches_the_callback(void **state)
{
    (void)state;
    test_log log = {0};
    lfm2_runtime *rt = test_runtime(1, NULL, &log);
    lfm2__log(rt, LFM2_LOG_INFO, "%s: %d", "name", 5);
    assert_int_equal(log.n_lines, 1);
    assert_int_equal(log.level, LFM2_LOG_INFO);
    assert_string_equal(log.line, "name: 5");
    assert_int_equal(lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: broken", "file"), LFM2_ERR_FORMAT);
    assert_int_equal(log.n_lines, 2);
    assert_int_equal(log.level, LFM2_LOG_ERROR);
    assert_string_equal(log.line, "file: broken");
    lfm2_runtime_destroy(rt);
}

static void log_without_callback(void **state)
{
    (void)state;
    lfm2_runtime *rt = test_runtime(1, NULL, NULL);
    lfm2__log(rt, LFM2_LOG_ERROR, "%d", 1);
    assert_int_equal(lfm2__fail(rt, -5, "%d", 1), -5);
    lfm2_runtime_destroy(rt);
}

static void log_is_one_line(void **state)
{
    (void)state;
    test_log log = {0};
    lfm2_runtime *rt = test_runtime(1, NULL, &log);
    for (int c = 1; c < 256; c++) {
        const char name[2] = {(char)c, '\0'};
        lfm2__log(rt, LFM2_LOG_WARN, "a%sb", name);
        assert_int_equal(strlen(log.line), 3);
        const int control = c < 0x20 || c == 0x7f;
        assert_int_equal((unsigned char)log.line[1], control ? '?' : c);
    }
    lfm2__log(rt, LFM2_LOG_WARN, "%s", "x\nERROR forged\r\x1b[2J\x7fy");
    assert_string_equal(log.line, "x?ERROR forged??[2J?y");
    lfm2__log(rt, LFM2_LOG_WARN, "%s", "a\xc2\x9b" "31m\xc2\xa9\xc3\xa9"); /* CSI as one code point; (c), e-acute stay */
    assert_string_equal(log.line, "a??31m\xc2\xa9\xc3\xa9");
    lfm2_runtime_destroy(rt);
}

static void log_is_bounded(void **state)
{
    (void)state;
    test_log log = {0};
    lfm2_runtime *rt = test_runtime(1, NULL, &log);
    static char text[10000];
    for (size_t n = 2040; n < 2056; n++) {
        memset(text, 'a', n);
        text[n] = '\0';
        lfm2__log(rt, LFM2_LOG_WARN, "%s", text);
        if (n < 2048) {
            assert_string_equal(log.line, text);
        } else {
            assert_int_equal(strlen(log.line), 2047);
            assert_string_equal(log.line + 2044, "...");
        }
    }
    for (size_t shift = 0; shift < 3; shift++) { /* three-byte code points, cut at each place */
        memset(text, 'a', shift);
        for (size_t i = shift; i + 3 < sizeof text; i += 3) memcpy(text + i, "\xe2\x82\xac", 4);
        lfm2__log(rt, LFM2_LOG_WARN, "%s", text);
        const size_t n = strlen(log.line);
        assert_true(n <= 2047 && n >= 2044);
        assert_string_equal(log.line + n - 3, "...");
        assert_int_equal((n - 3 - shift) % 3, 0);
    }
    memset(text, '\x80', sizeof text - 1); /* nothing but trailing bytes */
    lfm2__log(rt, LFM2_LOG_WARN, "%s", text);
    assert_string_equal(log.line, "...");
    lfm2_runtime_destroy(rt);
}

/* --- abort, CPU --- */

static void abort_flag(void **state)
{
    (void)state;
    lfm2_runtime *rt = test_runtime(2, NULL, NULL);
    assert_int_equal(lfm2__aborted(rt), 0);
    lfm2_runtime_abort(rt);
    assert_int_equal(lfm2__aborted(rt), 1);
    lfm2_runtime_abort(rt);
    assert_int_equal(lfm2__aborted(rt), 1);
    lfm2_runtime_clear_abort(rt);
    assert_int_equal(lfm2__aborted(rt), 0);
    lfm2_runtime_abort(NULL);
    lfm2_runtime_clear_abort(NULL);
    lfm2_runtime_destroy(rt);
}

static void cpu_mask(void **state)
{
    (void)state;
    const uint32_t found = lfm2__cpu_detect();
    lfm2_runtime_params p = lfm2_runtime_params_default();
    p.n_threads = 1;
    for (int bit = -1; bit < 32; bit++) {
        p.cpu_mask = bit < 0 ? 0 : (uint32_t)1 << bit;
        lfm2_runtime *rt = NULL;
        assert_int_equal(lfm2_runtime_create(&p, &rt), 0);
        assert_int_equal(lfm2_runtime_cpu_flags(rt), found & p.cpu_mask);
        lfm2_runtime_destroy(rt);
    }
}

static void cpu_flags_are_consistent(void **state)
{
    (void)state;
    const uint32_t found = lfm2__cpu_detect();
    for (int bit = 0; bit < 32; bit++) { /* only bits that have a name */
        const uint32_t flag = (uint32_t)1 << bit;
        if (found & flag) assert_non_null(lfm2_cpu_flag_name(flag));
    }
    if (found & LFM2_CPU_AVX512) assert_true(found & LFM2_CPU_AVX2);
    if (found & (LFM2_CPU_AVX512VNNI | LFM2_CPU_AVX512BF16)) assert_true(found & LFM2_CPU_AVX512);
    if (found & (LFM2_CPU_DOTPROD | LFM2_CPU_I8MM)) assert_true(found & LFM2_CPU_NEON);
    assert_false((found & LFM2_CPU_AVX2) && (found & LFM2_CPU_NEON));
    assert_int_equal(found, lfm2__cpu_detect());
    assert_true(lfm2__cpu_n_cores() >= 1);
#if defined(LFM2_HAVE_OPENBLAS)
    assert_true(found & LFM2_CPU_BLAS);
#else
    assert_false(found & LFM2_CPU_BLAS);
#endif
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_cpu_init(); /* the compiler's own run-time detection must agree */
    const int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const int avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    const int vnni = avx512 && __builtin_cpu_supports("avx512vnni");
    assert_int_equal((found & LFM2_CPU_AVX2) != 0, avx2);
    assert_int_equal((found & LFM2_CPU_AVX512) != 0, avx512);
    assert_int_equal((found & LFM2_CPU_AVX512VNNI) != 0, vnni);
#endif
}

static void cpu_names(void **state)
{
    (void)state;
    assert_string_equal(lfm2_cpu_flag_name(LFM2_CPU_AVX2), "avx2");
    assert_string_equal(lfm2_cpu_flag_name(LFM2_CPU_AVX512), "avx512");
    assert_string_equal(lfm2_cpu_flag_name(LFM2_CPU_AVX512VNNI), "avx512vnni");
    assert_string_equal(lfm2_cpu_flag_name(LFM2_CPU_AVX512BF16), "avx512bf16");
    assert_string_equal(lfm2_cpu_flag_name(LFM2_CPU_NEON), "neon");
    assert_string_equal(lfm2_cpu_flag_name(LFM2_CPU_DOTPROD), "dotprod");
    assert_string_equal(lfm2_cpu_flag_name(LFM2_CPU_I8MM), "i8mm");
    assert_string_equal(lfm2_cpu_flag_name(LFM2_CPU_BLAS), "blas");
    assert_null(lfm2_cpu_flag_name(0));
    assert_null(lfm2_cpu_flag_name(3));
    assert_null(lfm2_cpu_flag_name((uint32_t)1 << 31));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(created_from_null),
        cmocka_unit_test(bad_params),
        cmocka_unit_test(create_without_memory),
        cmocka_unit_test(thread_counts),
        cmocka_unit_test(memory_of_libc),
        cmocka_unit_test(memory_of_the_caller),
        cmocka_unit_test(large_blocks_stay_untouched),
        cmocka_unit_test(log_reaches_the_callback),
        cmocka_unit_test(log_without_callback),
        cmocka_unit_test(log_is_one_line),
        cmocka_unit_test(log_is_bounded),
        cmocka_unit_test(abort_flag),
        cmocka_unit_test(cpu_mask),
        cmocka_unit_test(cpu_flags_are_consistent),
        cmocka_unit_test(cpu_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
