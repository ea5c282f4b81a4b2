/* SPDX-License-Identifier: Apache-2.0
 * Mapped files: what is refused, files that shrink with and without the SIGBUS guard, reading whole files. */
#include "base_testing.h"
#include "file_testing.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mapfile.h"
#include "base/pool.h"
#include "base/runtime_impl.h"

static lfm2_runtime *guarded_runtime(file_fixture *f)
{
    lfm2_runtime_params params = lfm2_runtime_params_default();
    params.n_threads = 2;
    params.guard_mapped = 1;
    lfm2_runtime *rt = test_runtime_with(params, NULL, &f->x.log);
    assert_int_equal(lfm2__runtime_guards_mapped(rt), 1);
    return rt;
}

/* n bytes, byte i being i % 251. */
static void write_count(const char *path, size_t n)
{
    unsigned char *data = malloc(n > 0 ? n : 1);
    assert_non_null(data);
    for (size_t i = 0; i < n; i++) data[i] = (unsigned char)(i % 251);
    write_file(path, data, n);
    free(data);
}

static int n_open_files(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++) n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void maps_the_whole_file(void **state)
{
    file_fixture *f = *state;
    static const size_t sizes[] = {1, 4095, 4096, 4097, 100000};
    const int n_files = n_open_files();
    for (size_t i = 0; i < LFM2__COUNT_OF(sizes); i++) {
        write_count(f->path, sizes[i]);
        lfm2__map *m = NULL;
        assert_int_equal(lfm2__map_open(f->x.rt, f->path, &m), 0);
        assert_int_equal(lfm2__map_bytes(m), sizes[i]);
        for (size_t j = 0; j < sizes[i]; j++) {
            if (lfm2__map_data(m)[j] != j % 251) fail_msg("byte %zu is wrong", j);
        }
        assert_int_equal(lfm2__map_check(m), 0);
        lfm2__map_close(m);
    }
    lfm2__map_close(NULL);
    assert_int_equal(n_open_files(), n_files);
    assert_int_equal(f->x.log.n_lines, 0);
}

static void empty_file(void **state)
{
    file_fixture *f = *state;
    write_count(f->path, 0);
    lfm2__map *m = NULL;
    assert_int_equal(lfm2__map_open(f->x.rt, f->path, &m), 0);
    assert_int_equal(lfm2__map_bytes(m), 0);
    assert_null(lfm2__map_data(m));
    assert_int_equal(lfm2__map_check(m), 0);
    lfm2__map_close(m);
    char *data = NULL;
    size_t n = 9;
    assert_int_equal(lfm2__file_read(f->x.rt, f->path, 0, &data, &n), 0);
    assert_int_equal(n, 0);
    assert_string_equal(data, "");
    lfm2__free(f->x.rt, data);
}

/* Both ways of opening refuse path with status and a line that names it; nothing stays open. */
static void assert_refused(file_fixture *f, const char *path, int status)
{
    const int n_files = n_open_files();
    lfm2__map *m = (lfm2__map *)f;
    f->x.log.n_lines = 0;
    assert_int_equal(lfm2__map_open(f->x.rt, path, &m), status);
    assert_ptr_equal(m, f);
    assert_int_equal(f->x.log.n_lines, 1);
    assert_non_null(strstr(f->x.log.line, path));
    char *data = f->dir;
    size_t n = 5;
    assert_int_equal(lfm2__file_read(f->x.rt, path, 1000, &data, &n), status);
    assert_ptr_equal(data, f->dir);
    assert_int_equal(n, 5);
    assert_int_equal(f->x.log.n_lines, 2);
    assert_non_null(strstr(f->x.log.line, path));
    assert_int_equal(n_open_files(), n_files);
}

static void refused(void **state)
{
    file_fixture *f = *state;
    assert_refused(f, f->path, LFM2_ERR_NOT_FOUND);
    assert_refused(f, f->dir, LFM2_ERR_IO);
    assert_refused(f, "/dev/null", LFM2_ERR_IO);
    assert_refused(f, "", LFM2_ERR_NOT_FOUND);
    char path[256];
    (void)snprintf(path, sizeof path, "%s/below", f->path);
    write_count(f->path, 10);
    assert_refused(f, path, LFM2_ERR_NOT_FOUND); /* a file is no folder */
    assert_int_equal(unlink(f->path), 0);

    assert_int_equal(mkfifo(f->path, 0600), 0); /* without a writer: must not block */
    assert_refused(f, f->path, LFM2_ERR_IO);
    assert_int_equal(unlink(f->path), 0);

    assert_int_equal(symlink("file", f->path), 0); /* to itself */
    assert_refused(f, f->path, LFM2_ERR_IO);
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(symlink("nowhere", f->path), 0);
    assert_refused(f, f->path, LFM2_ERR_NOT_FOUND);
    assert_int_equal(unlink(f->path), 0);

    static char longest[5000];
    memset(longest, 'a', sizeof longest - 1);
    lfm2__map *m = NULL;
    assert_int_equal(lfm2__map_open(f->x.rt, longest, &m), LFM2_ERR_IO);
}

static void no_files_left(void **state)
{
    file_fixture *f = *state;
    write_count(f->path, 10);
    struct rlimit before, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    lfm2__map *m = NULL;
    const int rc = lfm2__map_open(f->x.rt, f->path, &m);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(rc, LFM2_ERR_IO);
    assert_null(m);
}

static void larger_than_the_address_space(void **state)
{
    file_fixture *f = *state;
    if (TEST_HAS_SHADOW) skip();
    write_count(f->path, 10);
    if (truncate(f->path, (off_t)1 << 43) != 0) skip(); /* sparse, where the file system can */
    struct rlimit before, tight;
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    tight = before;
    tight.rlim_cur = (rlim_t)1 << 40;
    assert_int_equal(setrlimit(RLIMIT_AS, &tight), 0);
    lfm2__map *m = NULL;
    const int rc = lfm2__map_open(f->x.rt, f->path, &m);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    assert_int_equal(rc, LFM2_ERR_NOMEM);
    assert_null(m);
}

static void without_memory(void **state)
{
    file_fixture *f = *state;
    write_count(f->path, 10);
    const int n_files = n_open_files();
    for (int k = 1;; k++) {
        lfm2__map *m = NULL;
        f->x.log.n_lines = 0;
        f->x.heap.fail_at = f->x.heap.n_calls + k;
        const int rc = lfm2__map_open(f->x.rt, f->path, &m);
        if (rc == 0) {
            assert_int_equal(k, 3); /* the struct and the path can fail */
            lfm2__map_close(m);
            break;
        }
        assert_int_equal(rc, LFM2_ERR_NOMEM);
        assert_null(m);
        assert_int_equal(f->x.log.n_lines, 1);
    }
    char *data = NULL;
    size_t n = 0;
    f->x.heap.fail_at = f->x.heap.n_calls + 1;
    assert_int_equal(lfm2__file_read(f->x.rt, f->path, 10, &data, &n), LFM2_ERR_NOMEM);
    assert_null(data);
    assert_int_equal(n_open_files(), n_files);
}

static void read_whole(void **state)
{
    file_fixture *f = *state;
    write_count(f->path, 100000);
    char *data = NULL;
    size_t n = 0;
    assert_int_equal(lfm2__file_read(f->x.rt, f->path, 99999, &data, &n), LFM2_ERR_LIMIT);
    assert_null(data);
    assert_int_equal(lfm2__file_read(f->x.rt, f->path, 100000, &data, &n), 0);
    assert_int_equal(n, 100000);
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)data[i] != i % 251) fail_msg("byte %zu is wrong", i);
    }
    assert_int_equal(data[n], 0);
    lfm2__free(f->x.rt, data);
}

static void check_sees_the_cut(void **state)
{
    file_fixture *f = *state;
    write_count(f->path, 10000);
    lfm2__map *m = NULL;
    assert_int_equal(lfm2__map_open(f->x.rt, f->path, &m), 0);
    assert_int_equal(truncate(f->path, 20000), 0); /* longer is harmless */
    assert_int_equal(lfm2__map_check(m), 0);
    assert_int_equal(truncate(f->path, 9999), 0);
    assert_int_equal(lfm2__map_check(m), LFM2_ERR_IO);
    assert_non_null(strstr(f->x.log.line, f->path));
    assert_int_equal(truncate(f->path, 10000), 0);
    assert_int_equal(lfm2__map_check(m), 0); /* nothing was read meanwhile */
    assert_int_equal(unlink(f->path), 0); /* gone from the folder, not from the map */
    assert_int_equal(lfm2__map_check(m), 0);
    assert_int_equal(lfm2__map_data(m)[250], 250);
    lfm2__map_close(m);
}

/* --- the guard ---
 * Every case runs in a process of its own, because cmocka sets a SIGBUS handler before each test, while the guard sets its own only
 * once. In a child a failed check is a line on stderr and the exit code 1. */

#define CHECK(condition)                                                      \
    do {                                                                      \
        if (!(condition)) {                                                   \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);           \
            _exit(1);                                                         \
        }                                                                     \
    } while (0)

/* Run fn in a child. Returns its wait status. */
static int in_child(file_fixture *f, void (*fn)(file_fixture *f))
{
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const struct rlimit no_core = {0, 0};
        CHECK(setrlimit(RLIMIT_CORE, &no_core) == 0);
        CHECK(signal(SIGBUS, SIG_DFL) != SIG_ERR);
        fn(f);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static unsigned sum_bytes(const unsigned char *data, size_t n)
{
    unsigned sum = 0;
    for (size_t i = 0; i < n; i++) sum += ((const volatile unsigned char *)data)[i];
    return sum;
}

static void read_behind_the_cut(file_fixture *f)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), n_bytes = 8 * page + 100;
    lfm2_runtime *rt = guarded_runtime(f);
    for (int round = 0; round < 3; round++) { /* slots are used again */
        write_count(f->path, n_bytes);
        lfm2__map *m = NULL, *other = NULL;
        CHECK(lfm2__map_open(rt, f->path, &m) == 0);
        CHECK(lfm2__map_open(rt, f->path, &other) == 0);
        CHECK(lfm2__map_check(m) == 0);
        const unsigned before = sum_bytes(lfm2__map_data(m), 2 * page);
        CHECK(truncate(f->path, (off_t)(2 * page)) == 0);
        CHECK(lfm2__map_check(m) == LFM2_ERR_IO);
        /* Real faults, of which each patches from its page on: zeroes are read, nothing dies. */
        CHECK(sum_bytes(lfm2__map_data(m) + 4 * page, n_bytes - 4 * page) == 0);
        CHECK(sum_bytes(lfm2__map_data(m) + 2 * page, 2 * page) == 0);
        CHECK(sum_bytes(lfm2__map_data(m), 2 * page) == before);
        /* As long as it was again: what has been read is still not to be trusted. */
        CHECK(truncate(f->path, (off_t)n_bytes) == 0);
        f->x.log.n_lines = 0;
        CHECK(lfm2__map_check(m) == LFM2_ERR_IO);
        CHECK(f->x.log.n_lines == 1);
        CHECK(strstr(f->x.log.line, f->path) != NULL);
        CHECK(lfm2__map_check(other) == 0); /* it has faulted nowhere */
        lfm2__map_close(m);
        lfm2__map_close(other);
    }
    lfm2_runtime_destroy(rt);
}

static void guard_turns_sigbus_into_an_error(void **state)
{
    assert_int_equal(in_child(*state, read_behind_the_cut), 0);
}

typedef struct reading {
    const lfm2__map *map;
    unsigned sums[16];
} reading;

static void read_part(void *ctx, int32_t task, int32_t worker)
{
    (void)worker;
    reading *r = ctx;
    const size_t part = lfm2__map_bytes(r->map) / 16;
    r->sums[task] = sum_bytes(lfm2__map_data(r->map) + (size_t)task * part, part);
}

static void read_in_workers(file_fixture *f)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    lfm2_runtime *rt = guarded_runtime(f);
    for (int round = 0; round < 10; round++) {
        write_count(f->path, 16 * page);
        reading r = {0};
        lfm2__map *m = NULL;
        CHECK(lfm2__map_open(rt, f->path, &m) == 0);
        r.map = m;
        CHECK(truncate(f->path, 0) == 0);
        lfm2__pool_run(lfm2__runtime_pool(rt), read_part, &r, 16);
        for (int i = 0; i < 16; i++) CHECK(r.sums[i] == 0);
        CHECK(lfm2__map_check(m) == LFM2_ERR_IO);
        lfm2__map_close(m);
    }
    lfm2_runtime_destroy(rt);
}

static void guard_in_the_workers(void **state)
{
    if (TEST_HAS_TSAN) skip(); /* takes the mmap() in the handler for a write to what the other threads read */
    assert_int_equal(in_child(*state, read_in_workers), 0);
}

enum { N_GUARDS = 1024 };

static void fill_the_table(file_fixture *f)
{
    static lfm2__map *maps[N_GUARDS];
    lfm2_runtime *rt = guarded_runtime(f);
    write_count(f->path, 10);
    for (int i = 0; i < N_GUARDS; i++) CHECK(lfm2__map_open(rt, f->path, &maps[i]) == 0);
    lfm2__map *m = NULL;
    CHECK(lfm2__map_open(rt, f->path, &m) == LFM2_ERR_NOMEM);
    CHECK(strstr(f->x.log.line, "guard") != NULL);
    CHECK(m == NULL);
    lfm2__map_close(maps[500]);
    CHECK(lfm2__map_open(rt, f->path, &maps[500]) == 0);
    CHECK(truncate(f->path, 0) == 0);
    CHECK(sum_bytes(lfm2__map_data(maps[N_GUARDS - 1]), 10) == 0);
    CHECK(lfm2__map_check(maps[N_GUARDS - 1]) == LFM2_ERR_IO);
    for (int i = 0; i < N_GUARDS; i++) lfm2__map_close(maps[i]);
    lfm2_runtime_destroy(rt);
}

static void many_guarded_files(void **state)
{
    struct rlimit before, files;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    files = before;
    files.rlim_cur = N_GUARDS + 100;
    if (files.rlim_cur > files.rlim_max) skip();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    const int status = in_child(*state, fill_the_table);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(status, 0);
}

/* A SIGBUS that is not ours goes where it would have gone. */
static void exit_30(int sig)
{
    _exit(sig == SIGBUS ? 30 : 31);
}

static void exit_40(int sig, siginfo_t *info, void *context)
{
    _exit(sig == SIGBUS && info != NULL && context != NULL ? 40 : 41);
}

/* Map a guarded file after `before` has been made the action for SIGBUS. */
static void guard_over(file_fixture *f, void (*before)(int sig))
{
    CHECK(signal(SIGBUS, before) != SIG_ERR);
    lfm2__map *m = NULL;
    CHECK(lfm2__map_open(guarded_runtime(f), f->path, &m) == 0);
}

/* Fault in a mapping of the application's own. */
static void fault_elsewhere(file_fixture *f)
{
    const int fd = open(f->path, O_RDONLY);
    const unsigned char *data = mmap(NULL, 100, PROT_READ, MAP_PRIVATE, fd, 0);
    CHECK(data != MAP_FAILED);
    CHECK(truncate(f->path, 0) == 0);
    CHECK(sum_bytes(data, 1) == 12345); /* must not get here, nor be true */
}

static void fault_default(file_fixture *f)
{
    guard_over(f, SIG_DFL);
    fault_elsewhere(f);
}

static void fault_ignored(file_fixture *f)
{
    guard_over(f, SIG_IGN);
    fault_elsewhere(f);
}

static void fault_handled(file_fixture *f)
{
    guard_over(f, exit_30);
    fault_elsewhere(f);
}

static void fault_handled_with_info(file_fixture *f)
{
    struct sigaction before;
    memset(&before, 0, sizeof before);
    before.sa_sigaction = exit_40;
    before.sa_flags = SA_SIGINFO;
    CHECK(sigaction(SIGBUS, &before, NULL) == 0);
    lfm2__map *m = NULL;
    CHECK(lfm2__map_open(guarded_runtime(f), f->path, &m) == 0);
    fault_elsewhere(f);
}

static void fault_in_a_map_without_guard(file_fixture *f)
{
    guard_over(f, SIG_DFL);
    lfm2__map *m = NULL;
    CHECK(lfm2__map_open(f->x.rt, f->path, &m) == 0);
    CHECK(truncate(f->path, 0) == 0);
    CHECK(sum_bytes(lfm2__map_data(m), 1) == 12345);
}

static void fault_in_a_closed_map(file_fixture *f)
{
    lfm2__map *m = NULL;
    CHECK(lfm2__map_open(guarded_runtime(f), f->path, &m) == 0);
    void *at = (void *)(uintptr_t)lfm2__map_data(m);
    lfm2__map_close(m);
    const int fd = open(f->path, O_RDONLY);
    CHECK(mmap(at, 100, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) == at);
    CHECK(truncate(f->path, 0) == 0);
    CHECK(sum_bytes(at, 1) == 12345);
}

static void sent_default(file_fixture *f)
{
    guard_over(f, SIG_DFL);
    raise(SIGBUS);
}

static void sent_ignored(file_fixture *f)
{
    guard_over(f, SIG_IGN);
    raise(SIGBUS);
}

static void sent_handled(file_fixture *f)
{
    guard_over(f, exit_30);
    raise(SIGBUS);
}

static void foreign_signals_are_passed_on(void **state)
{
    file_fixture *f = *state;
    static const struct {
        void (*fn)(file_fixture *f);
        int signal, code;
    } cases[] = {
        {fault_default, SIGBUS, 0},  {fault_ignored, SIGBUS, 0},
        {fault_handled, 0, 30},      {fault_handled_with_info, 0, 40},
        {sent_default, SIGBUS, 0},   {fault_in_a_map_without_guard, SIGBUS, 0},
        {sent_ignored, 0, 0},        {fault_in_a_closed_map, SIGBUS, 0},
        {sent_handled, 0, 30},
    };
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        write_count(f->path, 100);
        const int status = in_child(f, cases[i].fn);
        const int signal_seen = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        if (signal_seen != cases[i].signal || WEXITSTATUS(status) != cases[i].code) {
            fail_msg("case %zu: wait status %x", i, (unsigned)status);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, file_set_up, file_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(maps_the_whole_file),
        TEST(empty_file),
        TEST(refused),
        TEST(no_files_left),
        TEST(larger_than_the_address_space),
        TEST(without_memory),
        TEST(read_whole),
        TEST(check_sees_the_cut),
        TEST(guard_turns_sigbus_into_an_error),
        TEST(guard_in_the_workers),
        TEST(many_guarded_files),
        TEST(foreign_signals_are_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
