/* SPDX-License-Identifier: Apache-2.0
 * Allocation failure. Each scenario is run once to count what it asks the system for - memory, mappings, threads, locks - and then
 * once for every k, with request number k failing, and once more with all requests from k on failing. Every such run must end with
 * LFM2_ERR_NOMEM and a log line, and leave no block, mapping, thread, file descriptor or file behind.
 *
 * The linker sends the library's calls here (--wrap); jansson, which allocates by itself, is sent by its hook.
 * usage: alloc_fail FIXTURES SCENARIO [K], in a folder where it may write */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/mapfile.h"
#include "base/pool.h"
#include "base/runtime_impl.h"
#include "base/str.h"
#include "lfm2/lfm2.h"

/* --- requests --- */

static atomic_long n_requests;  /* so far in this run */
static atomic_long fail_from;   /* requests fail_from..fail_to fail; 0 = none */
static atomic_long fail_to;
static atomic_long n_failed;
static atomic_long n_blocks, n_maps, n_threads; /* alive */

/* Is this the request that fails? */
static int refuse(void)
{
    const long k = atomic_fetch_add(&n_requests, 1) + 1;
    if (atomic_load(&fail_from) == 0 || k < atomic_load(&fail_from) || k > atomic_load(&fail_to)) return 0;
    atomic_fetch_add(&n_failed, 1);
    errno = ENOMEM;
    return 1;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t bytes);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
void *__real_mmap(void *at, size_t n, int prot, int flags, int fd, off_t from);
int __real_munmap(void *at, size_t n);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
int __real_pthread_join(pthread_t thread, void **result);
int __real_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attr);
int __real_pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr);
DIR *__real_opendir(const char *name);

void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_realloc(void *p, size_t n);
void __wrap_free(void *p);
void *__wrap_mmap(void *at, size_t n, int prot, int flags, int fd, off_t from);
int __wrap_munmap(void *at, size_t n);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
int __wrap_pthread_join(pthread_t thread, void **result);
int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attr);
int __wrap_pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr);
DIR *__wrap_opendir(const char *name);

void *__wrap_malloc(size_t n)
{
    void *p = refuse() ? NULL : __real_malloc(n);
    if (p != NULL) atomic_fetch_add(&n_blocks, 1);
    return p;
}

void *__wrap_calloc(size_t n, size_t bytes)
{
    void *p = refuse() ? NULL : __real_calloc(n, bytes);
    if (p != NULL) atomic_fetch_add(&n_blocks, 1);
    return p;
}

void *__wrap_realloc(void *p, size_t n)
{
    void *q = refuse() ? NULL : __real_realloc(p, n);
    if (q != NULL && p == NULL) atomic_fetch_add(&n_blocks, 1);
    return q;
}

void __wrap_free(void *p)
{
    if (p != NULL) atomic_fetch_sub(&n_blocks, 1);
    __real_free(p);
}

void *__wrap_mmap(void *at, size_t n, int prot, int flags, int fd, off_t from)
{
    if (refuse()) return MAP_FAILED;
    void *p = __real_mmap(at, n, prot, flags, fd, from);
    if (p != MAP_FAILED) atomic_fetch_add(&n_maps, 1);
    return p;
}

int __wrap_munmap(void *at, size_t n)
{
    atomic_fetch_sub(&n_maps, 1);
    return __real_munmap(at, n);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
    if (refuse()) return EAGAIN;
    const int failed = __real_pthread_create(thread, attr, fn, arg);
    if (!failed) atomic_fetch_add(&n_threads, 1);
    return failed;
}

int __wrap_pthread_join(pthread_t thread, void **result)
{
    atomic_fetch_sub(&n_threads, 1);
    return __real_pthread_join(thread, result);
}

int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attr)
{
    return refuse() ? ENOMEM : __real_pthread_mutex_init(mutex, attr);
}

int __wrap_pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr)
{
    return refuse() ? ENOMEM : __real_pthread_cond_init(cond, attr);
}

DIR *__wrap_opendir(const char *name)
{
    return refuse() ? NULL : __real_opendir(name);
}

static int n_open_files(void)
{
    int n = 0;
    for (int fd = 0; fd < 64; fd++) n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* --- scenarios --- */

typedef struct run {
    const char *fixtures;
    lfm2_runtime *rt;
    int n_lines;     /* of the log, at LFM2_LOG_ERROR */
    char line[2048]; /* the last one */
    char path[1024]; /* scratch of fixture() */
} run;

static void keep_line(void *ctx, lfm2_log_level level, const char *line)
{
    run *r = ctx;
    if (level != LFM2_LOG_ERROR) return;
    r->n_lines++;
    (void)snprintf(r->line, sizeof r->line, "%s", line);
}

static const char *fixture(run *r, const char *name)
{
    (void)snprintf(r->path, sizeof r->path, "%s/%s", r->fixtures, name);
    return r->path;
}

/* Only the runtime, which every scenario begins with. */
static int nothing(run *r)
{
    (void)r;
    return 0;
}

static int base_json(run *r)
{
    static const lfm2__json_limits limits = {.max_bytes = 100000, .max_depth = 50, .max_values = 10000};
    lfm2__json_doc *doc = NULL;
    char *text = NULL;
    size_t n = 0;
    int rc = lfm2__json_load(r->rt, fixture(r, "vl-wrapper/config.json"), &limits, &doc);
    if (rc == 0) rc = lfm2__json_dumps(r->rt, lfm2__json_root(doc), &text, &n);
    lfm2__json_free(doc);
    lfm2__free(r->rt, text);
    if (rc < 0) return rc;
    /* Every kind of value and of number, and keys enough to make the table grow. */
    static const char sample[] = "{\"a\":1,\"b\":-2.5e-3,\"c\":\"\\u00e9\\n\",\"d\":[true,false,null,[]],\"e\":{\"f\":{}},\"g\":0,\"h\":0,"
                                 "\"i\":0,\"j\":0,\"k\":0,\"l\":0,\"m\":0,\"n\":[1,2,3,4,5,6,7,8,9,10]}";
    rc = lfm2__json_parse(r->rt, "sample", sample, sizeof sample - 1, &limits, &doc);
    if (rc == 0) lfm2__json_free(doc);
    return rc;
}

static int base_files(run *r)
{
    lfm2__map *map = NULL;
    char *data = NULL;
    size_t n = 0;
    int rc = lfm2__map_open(r->rt, fixture(r, "vl-wrapper/config.json"), &map);
    if (rc == 0) rc = lfm2__file_read(r->rt, r->path, 100000, &data, &n);
    lfm2__map_close(map);
    lfm2__free(r->rt, data);
    return rc;
}

static int base_memory(run *r)
{
    lfm2__arena arena = {0};
    lfm2_buf *own = NULL, *wrapped = NULL;
    lfm2__pool *pool = NULL;
    lfm2__str s;
    char byte = 0, *text = NULL;
    size_t n = 0;
    lfm2__str_init(&s, r->rt);
    for (int i = 0; i < 100; i++) lfm2__str_printf(&s, "%d ", i);
    int rc = lfm2__str_take(&s, &text, &n);
    lfm2__free(r->rt, text);
    if (rc == 0) rc = lfm2__arena_init(&arena, r->rt, 1000);
    if (rc == 0) rc = lfm2_buf_create(r->rt, 1000, &own);
    if (rc == 0) rc = lfm2_buf_wrap(r->rt, &byte, 1, NULL, NULL, &wrapped);
    if (rc == 0) rc = lfm2__pool_create(r->rt, 4, &pool);
    lfm2__arena_fini(&arena);
    lfm2_buf_unref(&own);
    lfm2_buf_unref(&wrapped);
    lfm2__pool_destroy(pool);
    /* These two say no more than their status: whoever calls them says why. */
    if (rc < 0 && r->n_lines == 0) r->n_lines = 1;
    return rc;
}

typedef struct scenario {
    const char *name;
    int (*fn)(run *r);
} scenario;

static const scenario scenarios[] = {
    {"runtime", nothing}, {"json", base_json}, {"files", base_files}, {"memory", base_memory},
};

/* --- the loop --- */

/* Returns the status of one run; *r holds its log. */
static int run_once(const scenario *s, run *r)
{
    lfm2_runtime_params params = lfm2_runtime_params_default();
    params.n_threads = 2;
    params.log = keep_line;
    params.log_ctx = r;
    r->rt = NULL;
    r->n_lines = 0;
    r->line[0] = '\0';
    atomic_store(&n_requests, 0);
    atomic_store(&n_failed, 0);
    int rc = lfm2_runtime_create(&params, &r->rt);
    if (rc == 0) rc = s->fn(r);
    lfm2_runtime_destroy(r->rt);
    return rc;
}

/* One run with failures. Returns the number of faults found. */
static int check_run(const scenario *s, run *r, long from, long to, int n_files)
{
    atomic_store(&fail_from, from);
    atomic_store(&fail_to, to);
    const int rc = run_once(s, r);
    atomic_store(&fail_from, 0);
    int n_faults = 0;
    const char *mode = from == to ? "request" : "requests from";
    if (rc != LFM2_ERR_NOMEM) {
        fprintf(stderr, "%s: %s %ld failed: status %s\n", s->name, mode, from, lfm2_err_name(rc));
        n_faults++;
    } else if (r->n_lines == 0) {
        fprintf(stderr, "%s: %s %ld failed: nothing in the log\n", s->name, mode, from);
        n_faults++;
    }
    if (atomic_load(&n_failed) == 0) {
        fprintf(stderr, "%s: %s %ld: not reached\n", s->name, mode, from);
        n_faults++;
    }
    const long blocks = atomic_load(&n_blocks), maps = atomic_load(&n_maps), threads = atomic_load(&n_threads);
    const int files = n_open_files() - n_files;
    if (blocks != 0 || maps != 0 || threads != 0 || files != 0) {
        fprintf(stderr, "%s: %s %ld failed: left %ld blocks, %ld mappings, %ld threads, %d files\n", s->name, mode, from, blocks, maps,
                threads, files);
        n_faults++;
        atomic_store(&n_blocks, 0);
        atomic_store(&n_maps, 0);
        atomic_store(&n_threads, 0);
    }
    if (n_faults > 0) fprintf(stderr, "    last line of the log: %s\n", r->line);
    return n_faults;
}

static int check_scenario(const scenario *s, const char *fixtures, long only)
{
    run r = {.fixtures = fixtures};
    const int n_files = n_open_files();
    const int rc = run_once(s, &r); /* also lets the C library allocate what it keeps */
    if (rc != 0) {
        fprintf(stderr, "%s: without failures: %s: %s\n", s->name, lfm2_err_name(rc), r.line);
        return 1;
    }
    const long n = atomic_load(&n_requests);
    if (atomic_load(&n_blocks) != 0 || atomic_load(&n_maps) != 0 || atomic_load(&n_threads) != 0 || n_open_files() != n_files) {
        fprintf(stderr, "%s: without failures: leaves something behind\n", s->name);
        return 1;
    }
    int n_faults = 0;
    for (long k = only > 0 ? only : 1; k <= (only > 0 ? only : n) && n_faults < 20; k++) {
        n_faults += check_run(s, &r, k, k, n_files);
        n_faults += check_run(s, &r, k, n + 1000000, n_files);
    }
    printf("%s: %ld requests, %d faults\n", s->name, n, n_faults);
    return n_faults > 0;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: alloc_fail FIXTURES SCENARIO [K]\n");
        return 2;
    }
    json_set_alloc_funcs(__wrap_malloc, __wrap_free);
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        if (strcmp(argv[2], scenarios[i].name) == 0) return check_scenario(&scenarios[i], argv[1], argc > 3 ? atol(argv[3]) : 0);
    }
    fprintf(stderr, "no scenario %s\n", argv[2]);
    return 2;
}
