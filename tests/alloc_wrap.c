/* SPDX-License-Identifier: Apache-2.0
 * Counts and refuses requests. The linker sends calls of NAME here as __wrap_NAME and takes __real_NAME for the true one. */
#include "alloc_wrap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

static atomic_long n_requests;
static atomic_long fail_from, fail_to; /* 0 = none */
static atomic_long n_blocks, n_maps, n_threads; /* alive */

/* Is this a request that fails? */
static int refuse(void)
{
    const long k = atomic_fetch_add(&n_requests, 1) + 1;
    if (atomic_load(&fail_from) == 0 || k < atomic_load(&fail_from) || k > atomic_load(&fail_to)) return 0;
    errno = ENOMEM;
    return 1;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t bytes);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
char *__real_strdup(const char *text);
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
char *__wrap_strdup(const char *text);
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

char *__wrap_strdup(const char *text)
{
    char *p = refuse() ? NULL : __real_strdup(text);
    if (p != NULL) atomic_fetch_add(&n_blocks, 1);
    return p;
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

void alloc_wrap_start(long from, long to)
{
    json_set_alloc_funcs(__wrap_malloc, __wrap_free);
    atomic_store(&n_requests, 0);
    atomic_store(&fail_from, from);
    atomic_store(&fail_to, to);
}

long alloc_wrap_stop(void)
{
    atomic_store(&fail_from, 0);
    return atomic_load(&n_requests);
}

alloc_alive alloc_wrap_alive(void)
{
    alloc_alive alive = {.blocks = atomic_exchange(&n_blocks, 0), .maps = atomic_exchange(&n_maps, 0),
                         .threads = atomic_exchange(&n_threads, 0), .files = 0};
    for (int fd = 0; fd < 64; fd++) alive.files += fcntl(fd, F_GETFD) >= 0;
    return alive;
}
