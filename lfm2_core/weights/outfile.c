/* SPDX-License-Identifier: Apache-2.0
 * Files that appear under their name only when complete. */
#include "weights/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/runtime_impl.h"
#include "base/str.h"

#define BUFFER_BYTES (256u << 10)
#define MAX_TEMP_NAMES 100
#define MAX_NAME_PART 200 /* of the target's name in the temporary one: file systems end at 255 */

struct lfm2__outfile {
    lfm2_runtime *rt;
    char *path;
    char *folder; /* of path; "." where it names none */
    char *temp; /* NULL once it has got its name */
    int fd;
    int status;
    size_t buffered_n;
    unsigned char *buffer;
};

static int io_error(lfm2__outfile *f, const char *what)
{
    f->status = lfm2__fail(f->rt, LFM2_ERR_IO, "%s: %s: %s", f->path, what, strerror(errno));
    return f->status;
}

static size_t folder_bytes(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

/* O_EXCL makes the name ours; the number only has to be new, not secret. */
static int open_temp(lfm2__outfile *f)
{
    const char *name = f->path + folder_bytes(f->path);
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    uint32_t number = (uint32_t)now.tv_nsec ^ (uint32_t)getpid() << 16;
    for (int i = 0; i < MAX_TEMP_NAMES; i++) {
        lfm2__str s;
        lfm2__str_init(&s, f->rt);
        lfm2__str_put(&s, f->path, folder_bytes(f->path));
        lfm2__str_printf(&s, ".%.*s.%06x", MAX_NAME_PART, name, (unsigned)((number + 0x9e3779u * (uint32_t)i) & 0xffffff));
        int rc = lfm2__str_take(&s, &f->temp, NULL);
        if (rc < 0) return lfm2__fail(f->rt, rc, "%s: out of memory", f->path);
        f->fd = open(f->temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (f->fd >= 0) return 0;
        lfm2__free(f->rt, f->temp);
        f->temp = NULL;
        if (errno != EEXIST) break;
    }
    return io_error(f, "cannot create a file beside it");
}

int lfm2__outfile_create(lfm2_runtime *rt, const char *path, lfm2__outfile **out)
{
    lfm2__outfile *f = lfm2__calloc(rt, 1, sizeof *f);

    if (!f) return lfm2__fail(rt, LFM2_ERR_NOMEM, "%s: out of memory", path);
    f->rt = rt;
    f->fd = -1;
    f->path = lfm2__strndup(rt, path, strlen(path));
    size_t folder_n = folder_bytes(path);
    f->folder = lfm2__strndup(rt, folder_n > 0 ? path : ".", folder_n > 0 ? folder_n : 1);
    f->buffer = lfm2__alloc(rt, BUFFER_BYTES);
    int rc = f->path && f->folder && f->buffer ? open_temp(f) : lfm2__fail(rt, LFM2_ERR_NOMEM, "%s: out of memory", path);
    if (rc < 0) {
        lfm2__outfile_destroy(f);
        return rc;
    }
    *out = f;
    return 0;
}

static int write_all(lfm2__outfile *f, const unsigned char *p, size_t n)
{
    while (n > 0) {
        ssize_t written = write(f->fd, p, n);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return io_error(f, "cannot write");
        p += written;
        n -= (size_t)written;
    }
    return 0;
}

static int flush(lfm2__outfile *f)
{
    size_t n = f->buffered_n;

    f->buffered_n = 0;
    return write_all(f, f->buffer, n);
}

int lfm2__outfile_write(lfm2__outfile *f, const void *data, size_t n)
{
    if (f->status < 0) return f->status;
    if (n > BUFFER_BYTES - f->buffered_n) {
        int rc = flush(f);
        if (rc < 0) return rc;
    }
    if (n > BUFFER_BYTES) return write_all(f, data, n);
    if (n > 0) memcpy(f->buffer + f->buffered_n, data, n);
    f->buffered_n += n;
    return 0;
}

int lfm2__outfile_commit(lfm2__outfile *f)
{
    if (f->status < 0) return f->status;
    int rc = flush(f);
    if (rc < 0) return rc;
    if (fsync(f->fd) < 0) return io_error(f, "cannot write to the disk");
    int closed = close(f->fd);
    f->fd = -1;
    if (closed < 0) return io_error(f, "cannot close");
    if (rename(f->temp, f->path) < 0) return io_error(f, "cannot rename to this name");
    lfm2__free(f->rt, f->temp);
    f->temp = NULL;

    /* The name is on the disk only when its folder is. Some file systems cannot sync a folder: then there is nothing to do. */
    int folder = open(f->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0) {
        (void)fsync(folder);
        (void)close(folder);
    }
    return 0;
}

void lfm2__outfile_destroy(lfm2__outfile *f)
{
    if (!f) return;
    lfm2_runtime *rt = f->rt;
    if (f->fd >= 0) (void)close(f->fd);
    if (f->temp) (void)unlink(f->temp);
    lfm2__free(rt, f->temp);
    lfm2__free(rt, f->folder);
    lfm2__free(rt, f->path);
    lfm2__free(rt, f->buffer);
    lfm2__free(rt, f);
}
