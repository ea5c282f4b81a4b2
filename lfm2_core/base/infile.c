/* SPDX-License-Identifier: Apache-2.0
 * Reading files piece by piece. */
#include "base/infile.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/runtime_impl.h"

#define POLL_MS 50 /* between looks at the abort flag */

struct lfm2__infile {
    lfm2_runtime *rt;
    char *name;
    const unsigned char *data; /* in memory; NULL: behind fd */
    int64_t n_bytes;           /* of data */
    int64_t at;                /* next byte */
    int64_t base;              /* where in the file descriptor byte 0 lies */
    const unsigned char *again; /* n_again bytes that come before all others */
    size_t n_again;
    int fd;
    int is_own;     /* fd is to be closed */
    int is_regular; /* can be sought in, and never blocks for long */
    int status;
};

static int create(lfm2_runtime *rt, const char *name, lfm2__infile **out)
{
    lfm2__infile *f = lfm2__calloc(rt, 1, sizeof *f);
    if (f != NULL) f->name = lfm2__strndup(rt, name, strlen(name));
    if (f == NULL || f->name == NULL) {
        lfm2__free(rt, f);
        return lfm2__fail(rt, LFM2_ERR_NOMEM, "%s: out of memory", name);
    }
    f->rt = rt;
    f->fd = -1;
    *out = f;
    return 0;
}

static int open_fd(lfm2__infile *f, const char *path)
{
    do {
        f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    } while (f->fd < 0 && errno == EINTR);
    if (f->fd < 0) {
        const int missing = errno == ENOENT || errno == ENOTDIR;
        const int status = missing ? LFM2_ERR_NOT_FOUND : errno == ENOMEM ? LFM2_ERR_NOMEM : LFM2_ERR_IO;
        return lfm2__fail(f->rt, status, "%s: cannot open: %s", path, strerror(errno));
    }
    f->is_own = 1;
    return 0;
}

int lfm2__infile_open(lfm2_runtime *rt, const char *path, lfm2__infile **out)
{
    const int is_stdin = strcmp(path, "-") == 0;
    struct stat st;
    lfm2__infile *f = NULL;
    int rc = create(rt, is_stdin ? "standard input" : path, &f);
    if (rc < 0) return rc;
    if (is_stdin) {
        f->fd = STDIN_FILENO;
    } else {
        rc = open_fd(f, path);
        if (rc < 0) goto fail;
    }
    if (fstat(f->fd, &st) != 0) {
        rc = lfm2__fail(rt, LFM2_ERR_IO, "%s: cannot stat: %s", f->name, strerror(errno));
    } else if (S_ISDIR(st.st_mode)) {
        rc = lfm2__fail(rt, LFM2_ERR_IO, "%s: is a folder", f->name);
    }
    if (rc < 0) goto fail;
    f->is_regular = S_ISREG(st.st_mode);
    if (f->is_regular) f->base = lseek(f->fd, 0, SEEK_CUR);
    if (f->base < 0) f->base = 0;
    *out = f;
    return 0;

fail:
    lfm2__infile_close(f);
    return rc;
}

int lfm2__infile_open_memory(lfm2_runtime *rt, const void *data, size_t n, const char *name, lfm2__infile **out)
{
    lfm2__infile *f = NULL;
    const int rc = create(rt, name, &f);
    if (rc < 0) return rc;
    f->data = data != NULL ? data : (const unsigned char *)"";
    f->n_bytes = (int64_t)n;
    *out = f;
    return 0;
}

void lfm2__infile_close(lfm2__infile *f)
{
    if (f == NULL) return;
    if (f->is_own) close(f->fd);
    lfm2__free(f->rt, f->name);
    lfm2__free(f->rt, f);
}

/* Wait until read() would not block. */
static int wait_for_input(lfm2__infile *f)
{
    for (;;) {
        struct pollfd p = {.fd = f->fd, .events = POLLIN};
        if (lfm2__aborted(f->rt)) return LFM2_ERR_ABORTED;
        const int n = poll(&p, 1, POLL_MS);
        if (n > 0) return 0; /* input, the end, or an error that read() will name */
        if (n < 0 && errno != EINTR) return lfm2__fail(f->rt, LFM2_ERR_IO, "%s: cannot wait: %s", f->name, strerror(errno));
    }
}

static int read_fd(lfm2__infile *f, void *out, size_t n, size_t *n_got)
{
    for (;;) {
        const int rc = f->is_regular ? 0 : wait_for_input(f);
        if (rc < 0) return rc;
        if (lfm2__aborted(f->rt)) return LFM2_ERR_ABORTED;
        const ssize_t got = read(f->fd, out, n);
        if (got > 0) {
            *n_got = (size_t)got;
            f->at += got;
            return 0;
        }
        if (got == 0) return LFM2_EOF;
        if (errno != EINTR && errno != EAGAIN) {
            return lfm2__fail(f->rt, LFM2_ERR_IO, "%s: cannot read: %s", f->name, strerror(errno));
        }
    }
}

int lfm2__infile_read(lfm2__infile *f, void *out, size_t n, size_t *n_got)
{
    int rc = f->status;
    if (rc < 0) return rc;
    if (f->n_again > 0) {
        *n_got = n < f->n_again ? n : f->n_again;
        memcpy(out, f->again, *n_got);
        f->again += *n_got;
        f->n_again -= *n_got;
        f->at += (int64_t)*n_got;
        return 0;
    }
    if (f->data == NULL) {
        rc = read_fd(f, out, n, n_got);
    } else if (lfm2__aborted(f->rt)) {
        rc = LFM2_ERR_ABORTED;
    } else if (f->at >= f->n_bytes) {
        rc = LFM2_EOF;
    } else {
        const size_t left = (size_t)(f->n_bytes - f->at);
        *n_got = n < left ? n : left;
        memcpy(out, f->data + f->at, *n_got);
        f->at += (int64_t)*n_got;
    }
    if (rc == LFM2_ERR_IO) f->status = rc;
    return rc;
}

int64_t lfm2__infile_bytes(const lfm2__infile *f)
{
    struct stat st;
    if (f->data != NULL) return f->n_bytes;
    if (!f->is_regular || fstat(f->fd, &st) != 0 || st.st_size < f->base) return -1;
    return st.st_size - f->base;
}

int lfm2__infile_seek(lfm2__infile *f, int64_t offset)
{
    const int64_t n_bytes = lfm2__infile_bytes(f);
    if (offset < 0 || offset > n_bytes) return LFM2_ERR_IO;
    if (f->data == NULL && lseek(f->fd, f->base + offset, SEEK_SET) < 0) return LFM2_ERR_IO;
    f->at = offset;
    return 0;
}

int lfm2__infile_unread(lfm2__infile *f, const void *data, size_t n)
{
    if (lfm2__infile_bytes(f) >= 0) return lfm2__infile_seek(f, f->at - (int64_t)n);
    f->again = data;
    f->n_again = n;
    f->at -= (int64_t)n;
    return 0;
}

int64_t lfm2__infile_tell(const lfm2__infile *f)
{
    return f->at;
}

int lfm2__infile_status(const lfm2__infile *f)
{
    return f->status;
}

const char *lfm2__infile_name(const lfm2__infile *f)
{
    return f->name;
}
