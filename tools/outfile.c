/* SPDX-License-Identifier: Apache-2.0
 * Results of a command: on standard output, in one file, or in a folder. */
#include "tools/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int no_memory(tool *t)
{
    return tool_fail(t, TOOL_NOMEM, "output: %s", lfm2_strerror(LFM2_ERR_NOMEM));
}

static int fail_at(tool *t, const char *path, int why)
{
    char shown[256];
    return why == ENOMEM ? no_memory(t)
                         : tool_fail(t, TOOL_OUTPUT, "%s: %s", cli_printable(path, shown, sizeof shown), strerror(why));
}

/* --- one file --- */

static int open_temp(tool_file *f)
{
    const size_t n = strlen(f->path) + sizeof ".XXXXXX";
    mode_t mask;

    f->temp = malloc(n);
    if (!f->temp) return no_memory(f->t);
    snprintf(f->temp, n, "%s.XXXXXX", f->path);
    f->fd = mkstemp(f->temp);
    if (f->fd < 0) {
        free(f->temp);
        f->temp = NULL;
        return fail_at(f->t, f->path, errno);
    }
    mask = umask(0);
    umask(mask);
    (void)fchmod(f->fd, 0666 & ~mask); /* as any file that is made; without it, only its owner reads it */
    return 0;
}

int tool_file_open(tool *t, const char *path, tool_file *f)
{
    struct stat st;
    int rc = 0;

    memset(f, 0, sizeof *f);
    f->t = t;
    f->fd = -1;
    if (!path || strcmp(path, "-") == 0) return 0;
    f->path = strdup(path);
    if (!f->path) return no_memory(t);
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        f->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        if (f->fd < 0) rc = fail_at(t, path, errno);
    } else {
        rc = open_temp(f);
    }
    if (rc) {
        free(f->path);
        memset(f, 0, sizeof *f);
    }
    return rc;
}

int tool_file_write(void *ctx, const char *bytes, size_t n)
{
    tool_file *f = ctx;

    if (!f->path) {
        tool_write(f->t, bytes, n);
        return f->t->stdout_failed ? -1 : 0;
    }
    while (n > 0 && !f->why) {
        const ssize_t done = write(f->fd, bytes, n);
        if (done < 0 && errno == EINTR && !tool_signal()) continue;
        if (done < 0) {
            f->why = errno;
        } else {
            bytes += done;
            n -= (size_t)done;
        }
    }
    return f->why ? -1 : 0;
}

/* So that the name is there after a power cut, too. */
static void sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strdup(path) : strdup(".");
    int fd;

    if (!folder) return;
    if (slash) folder[slash == path ? 1 : slash - path] = '\0';
    fd = open(folder, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    free(folder);
}

int tool_file_close(tool_file *f, int keep)
{
    int rc = 0;

    if (!f->t) return 0;
    if (!f->path) {
        rc = keep ? tool_flush(f->t) : 0;
        memset(f, 0, sizeof *f);
        return rc;
    }
    if (keep && f->temp && !f->why && fsync(f->fd) < 0) f->why = errno;
    if (close(f->fd) < 0 && !f->why) f->why = errno;
    if (keep && f->temp && !f->why && rename(f->temp, f->path) < 0) f->why = errno;
    if (f->temp && (!keep || f->why)) (void)unlink(f->temp);
    else if (f->temp) sync_folder(f->path);
    if (keep && f->why) rc = fail_at(f->t, f->path, f->why);
    free(f->temp);
    free(f->path);
    memset(f, 0, sizeof *f);
    return rc;
}

/* --- where results go --- */

static int several(int64_t formats)
{
    return (formats & (formats - 1)) != 0;
}

int tool_output_kind_of(tool *t, int64_t formats, tool_output_kind *kind)
{
    const char *path = cli_text(&t->cli, "output");
    const size_t n = path ? strlen(path) : 0;
    struct stat st;

    *kind = TOOL_TO_STDOUT;
    if (!path || strcmp(path, "-") == 0) {
        return several(formats) ? tool_fail(t, TOOL_USAGE, "--format: several formats need -o PATH") : 0;
    }
    if (n == 0) return tool_fail(t, TOOL_USAGE, "--output: empty");
    *kind = TOOL_TO_FOLDER;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return 0;
    if (path[n - 1] == '/') return mkdir(path, 0777) == 0 ? 0 : fail_at(t, path, errno);
    *kind = TOOL_TO_FILE;
    return 0;
}

/* The folders that lead to a file in `path`, from byte `from` on. */
static int make_folders(tool *t, char *path, size_t from)
{
    char *p;
    int rc = 0;

    for (p = strchr(path + from, '/'); rc == 0 && p; p = strchr(p + 1, '/')) {
        *p = '\0';
        if (mkdir(path, 0777) < 0 && errno != EEXIST) rc = fail_at(t, path, errno);
        *p = '/';
    }
    return rc;
}

int tool_output_path(tool *t, tool_output_kind kind, int64_t formats, const char *name, const char *ending, char **path)
{
    const char *to = cli_text(&t->cli, "output");
    size_t room;
    int rc = 0;

    *path = NULL;
    if (kind == TOOL_TO_STDOUT) return 0;
    if (kind == TOOL_TO_FILE) name = "";
    room = strlen(to) + strlen(name) + strlen(ending) + 3;
    *path = malloc(room);
    if (!*path) return no_memory(t);
    if (kind == TOOL_TO_FOLDER) {
        const size_t n = (size_t)snprintf(*path, room, "%s%s", to, to[strlen(to) - 1] == '/' ? "" : "/");
        snprintf(*path + n, room - n, "%s.%s", name, ending);
        rc = make_folders(t, *path, n);
    } else if (several(formats)) {
        snprintf(*path, room, "%s.%s", to, ending);
    } else {
        snprintf(*path, room, "%s", to);
    }
    if (rc) {
        free(*path);
        *path = NULL;
    }
    return rc;
}

int tool_refuse_unbuilt(tool *t)
{
    static const char *const constraints[] = {"json-schema", "grammar"};
    size_t i;

    for (i = 0; i < sizeof constraints / sizeof constraints[0]; i++) {
        if (!cli_text(&t->cli, constraints[i])) continue;
        return tool_fail(t, TOOL_SCHEMA, "--%s: text cannot be held to a schema or grammar yet", constraints[i]);
    }
    if (cli_int(&t->cli, "jobs") > 1) {
        return tool_fail(t, TOOL_USAGE, "--jobs: files are read one after another, each with all threads (-t); only 1 is possible");
    }
    return 0;
}
