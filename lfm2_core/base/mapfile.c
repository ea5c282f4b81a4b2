/* SPDX-License-Identifier: Apache-2.0
 * Reading files: mapped, with a guard against files cut short while mapped, or whole into memory.
 *
 * The guard is the one place with process-wide mutable state, because what a signal does is a property of the process: the table
 * of guarded ranges and the previous handler. The table is fixed in size and all atomics, so that the handler may walk it. */
#include "base/mapfile.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/runtime_impl.h"

#define N_GUARDS 1024 /* files that can be guarded at once in a process */
#define GUARD_TAKEN 1 /* value of `begin` while a slot is being filled; no mapping starts there */

typedef struct guard {
    _Atomic uintptr_t begin; /* 0 = free */
    _Atomic uintptr_t end;   /* whole pages */
    atomic_int lost;         /* a read has faulted */
} guard;

struct lfm2__map {
    lfm2_runtime *rt;
    unsigned char *data;
    size_t n_bytes;
    int fd;
    guard *guard; /* NULL = none */
    char *path;
};

static guard guards[N_GUARDS];
static pthread_once_t guard_once = PTHREAD_ONCE_INIT;
static int guard_installed;
static uintptr_t guard_page_bytes;
static struct sigaction sigbus_before;

/* --- the guard --- */

/* Put zero pages from the faulting one to the end of its mapping: what is behind it in a file cut short is gone, too, and a
 * fault for each page would be slow. Returns 0 if the address is in no guarded range. mmap() is a plain system call here. */
static int patch_guarded(uintptr_t addr)
{
    for (size_t i = 0; i < N_GUARDS; i++) {
        guard *g = &guards[i];
        const uintptr_t begin = atomic_load(&g->begin), end = atomic_load(&g->end);
        if (begin <= GUARD_TAKEN || addr < begin || addr >= end) continue;
        const uintptr_t page = addr & ~(guard_page_bytes - 1);
        atomic_store(&g->lost, 1);
        return mmap((void *)page, end - page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
    }
    return 0;
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
    const int saved_errno = errno;
    const int from_fault = info->si_code > 0;
    if (from_fault && patch_guarded((uintptr_t)info->si_addr)) {
        errno = saved_errno;
        return;
    }
    if (sigbus_before.sa_flags & SA_SIGINFO) {
        sigbus_before.sa_sigaction(sig, info, context);
    } else if (sigbus_before.sa_handler != SIG_DFL && sigbus_before.sa_handler != SIG_IGN) {
        sigbus_before.sa_handler(sig);
    } else if (from_fault || sigbus_before.sa_handler == SIG_DFL) {
        /* Not ours and nobody else's: the default action, by faulting again on return or by the signal sent again. */
        struct sigaction dfl;
        memset(&dfl, 0, sizeof dfl);
        dfl.sa_handler = SIG_DFL;
        sigaction(sig, &dfl, NULL);
        if (!from_fault) raise(sig);
    }
    errno = saved_errno;
}

static void install_guard(void)
{
    const long page = sysconf(_SC_PAGESIZE);
    if (page <= 0) return;
    guard_page_bytes = (uintptr_t)page;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_sigbus;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGBUS, NULL, &sigbus_before) != 0) return;
    guard_installed = sigaction(SIGBUS, &action, NULL) == 0;
}

static guard *guard_add(const unsigned char *data, size_t n_bytes)
{
    if (pthread_once(&guard_once, install_guard) != 0 || !guard_installed) return NULL;
    for (size_t i = 0; i < N_GUARDS; i++) {
        guard *g = &guards[i];
        uintptr_t unused = 0;
        if (!atomic_compare_exchange_strong(&g->begin, &unused, GUARD_TAKEN)) continue;
        const uintptr_t begin = (uintptr_t)data;
        atomic_store(&g->lost, 0);
        atomic_store(&g->end, (begin + n_bytes + guard_page_bytes - 1) & ~(guard_page_bytes - 1));
        atomic_store(&g->begin, begin);
        return g;
    }
    return NULL;
}

/* --- files --- */

/* Open a regular file without ever blocking. Returns 0 with *fd and *n_bytes, or an error that is in the log. */
static int open_regular(lfm2_runtime *rt, const char *path, int *fd_out, size_t *n_bytes)
{
    int fd;
    do {
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        const int missing = errno == ENOENT || errno == ENOTDIR;
        const int status = missing ? LFM2_ERR_NOT_FOUND : errno == ENOMEM ? LFM2_ERR_NOMEM : LFM2_ERR_IO;
        return lfm2__fail(rt, status, "%s: cannot open: %s", path, strerror(errno));
    }
    struct stat st;
    int rc = 0;
    if (fstat(fd, &st) != 0) {
        rc = lfm2__fail(rt, LFM2_ERR_IO, "%s: cannot stat: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        rc = lfm2__fail(rt, LFM2_ERR_IO, "%s: not a regular file", path);
    } else if (st.st_size < 0 || (uintmax_t)st.st_size > PTRDIFF_MAX) {
        rc = lfm2__fail(rt, LFM2_ERR_NOMEM, "%s: does not fit the address space", path);
    }
    if (rc < 0) {
        close(fd);
        return rc;
    }
    *fd_out = fd;
    *n_bytes = (size_t)st.st_size;
    return 0;
}

int lfm2__map_open(lfm2_runtime *rt, const char *path, lfm2__map **out)
{
    int rc = LFM2_ERR_NOMEM;
    lfm2__map *m = lfm2__calloc(rt, 1, sizeof *m);
    if (m == NULL) return lfm2__fail(rt, LFM2_ERR_NOMEM, "%s: out of memory", path);
    m->rt = rt;
    m->fd = -1;
    m->path = lfm2__strndup(rt, path, strlen(path));
    if (m->path == NULL) {
        (void)lfm2__fail(rt, rc, "%s: out of memory", path);
        goto fail;
    }
    rc = open_regular(rt, path, &m->fd, &m->n_bytes);
    if (rc < 0) goto fail;
    if (m->n_bytes > 0) {
        void *data = mmap(NULL, m->n_bytes, PROT_READ, MAP_PRIVATE, m->fd, 0);
        if (data == MAP_FAILED) {
            rc = errno == ENOMEM ? LFM2_ERR_NOMEM : LFM2_ERR_IO;
            (void)lfm2__fail(rt, rc, "%s: cannot map: %s", path, strerror(errno));
            goto fail;
        }
        m->data = data;
        if (lfm2__runtime_guards_mapped(rt)) {
            m->guard = guard_add(m->data, m->n_bytes);
            if (m->guard == NULL) {
                rc = lfm2__fail(rt, LFM2_ERR_NOMEM, "%s: no room for another guarded file", path);
                goto fail;
            }
        }
    }
    *out = m;
    return 0;

fail:
    lfm2__map_close(m);
    return rc;
}

void lfm2__map_close(lfm2__map *m)
{
    if (m == NULL) return;
    if (m->guard != NULL) atomic_store(&m->guard->begin, 0);
    if (m->data != NULL) munmap(m->data, m->n_bytes);
    if (m->fd >= 0) close(m->fd);
    lfm2__free(m->rt, m->path);
    lfm2__free(m->rt, m);
}

const unsigned char *lfm2__map_data(const lfm2__map *m)
{
    return m->data;
}

size_t lfm2__map_bytes(const lfm2__map *m)
{
    return m->n_bytes;
}

int lfm2__map_check(const lfm2__map *m)
{
    struct stat st;
    if (fstat(m->fd, &st) != 0) {
        return lfm2__fail(m->rt, LFM2_ERR_IO, "%s: cannot stat: %s", m->path, strerror(errno));
    }
    if (st.st_size < 0 || (uintmax_t)st.st_size < m->n_bytes) {
        return lfm2__fail(m->rt, LFM2_ERR_IO, "%s: was cut short while in use", m->path);
    }
    if (m->guard != NULL && atomic_load(&m->guard->lost)) {
        return lfm2__fail(m->rt, LFM2_ERR_IO, "%s: a part could not be read", m->path);
    }
    return 0;
}

int lfm2__file_read(lfm2_runtime *rt, const char *path, size_t max_bytes, char **out, size_t *out_n)
{
    int fd;
    size_t n_bytes, n = 0;
    int rc = open_regular(rt, path, &fd, &n_bytes);
    if (rc < 0) return rc;
    char *data = NULL;
    if (n_bytes > max_bytes) {
        rc = lfm2__fail(rt, LFM2_ERR_LIMIT, "%s: %zu bytes are over the limit of %zu", path, n_bytes, max_bytes);
        goto fail;
    }
    data = lfm2__alloc(rt, n_bytes + 1);
    if (data == NULL) {
        rc = lfm2__fail(rt, LFM2_ERR_NOMEM, "%s: no memory for %zu bytes", path, n_bytes);
        goto fail;
    }
    while (n < n_bytes) {
        const ssize_t got = read(fd, data + n, n_bytes - n);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            rc = lfm2__fail(rt, LFM2_ERR_IO, "%s: cannot read: %s", path, got < 0 ? strerror(errno) : "was cut short");
            goto fail;
        }
        n += (size_t)got;
    }
    close(fd);
    data[n] = '\0';
    *out = data;
    *out_n = n;
    return 0;

fail:
    lfm2__free(rt, data);
    close(fd);
    return rc;
}
