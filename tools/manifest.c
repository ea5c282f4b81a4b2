/* SPDX-License-Identifier: Apache-2.0
 * Hashes of a model's files, and the list to compare them with. */
#include "tools/manifest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK_BYTES ((size_t)1 << 20)
#define MAX_LIST_BYTES ((size_t)1 << 20)
#define MAX_FILES 4096

static int no_memory(tool *t)
{
    return tool_fail(t, TOOL_NOMEM, "hashes: %s", lfm2_strerror(LFM2_ERR_NOMEM));
}

static int ends_with(const char *name, const char *ending)
{
    size_t n = strlen(name), m = strlen(ending);
    return n > m && strcmp(name + n - m, ending) == 0;
}

static int holds_weights(const char *name)
{
    return ends_with(name, ".safetensors") || ends_with(name, ".gguf");
}

static int belongs_to_model(const char *name)
{
    return name[0] != '.' && (holds_weights(name) || ends_with(name, ".json") || ends_with(name, ".jinja"));
}

static char *join(const char *folder, const char *name)
{
    size_t n = strlen(folder) + strlen(name) + 2;
    char *path = malloc(n);
    if (path) snprintf(path, n, "%s%s", folder, name);
    return path;
}

void manifest_fini(manifest *m)
{
    size_t i;
    for (i = 0; i < m->n_files; i++) free(m->files[i].name);
    free(m->files);
    free(m->folder);
    free(m->list_path);
    memset(m, 0, sizeof *m);
}

static int add_file(tool *t, manifest *m, const char *name)
{
    manifest_file *grown;

    if (m->n_files >= MAX_FILES) return tool_fail(t, TOOL_MODEL, "%s: more than %d files", m->folder, MAX_FILES);
    grown = realloc(m->files, (m->n_files + 1) * sizeof *grown);
    if (!grown) return no_memory(t);
    m->files = grown;
    memset(&m->files[m->n_files], 0, sizeof *grown);
    m->files[m->n_files].match = MANIFEST_NOT_LISTED;
    m->files[m->n_files].name = strdup(name);
    if (!m->files[m->n_files].name) return no_memory(t);
    m->n_files++;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const manifest_file *)a)->name, ((const manifest_file *)b)->name);
}

static int list_folder(tool *t, manifest *m)
{
    DIR *dir = opendir(m->folder[0] ? m->folder : ".");
    struct dirent *entry;
    int rc = 0;

    if (!dir) return tool_fail(t, errno == ENOMEM ? TOOL_NOMEM : TOOL_MODEL, "%s: %s", m->folder, strerror(errno));
    while (rc == 0 && (entry = readdir(dir)) != NULL) {
        if (belongs_to_model(entry->d_name)) rc = add_file(t, m, entry->d_name);
    }
    closedir(dir);
    if (rc == 0 && m->n_files > 1) qsort(m->files, m->n_files, sizeof *m->files, by_name);
    return rc;
}

static int find_files(tool *t, const char *path, manifest *m)
{
    struct stat st;
    size_t n = strlen(path);

    if (stat(path, &st) < 0) return tool_fail(t, TOOL_MODEL, "%s: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode)) {
        m->folder = join(path, n > 0 && path[n - 1] == '/' ? "" : "/");
        return m->folder ? list_folder(t, m) : no_memory(t);
    }
    while (n > 0 && path[n - 1] != '/') n--;
    m->folder = strdup(path);
    if (!m->folder) return no_memory(t);
    m->folder[n] = '\0';
    return ends_with(path, ".gguf") ? add_file(t, m, path + n) : list_folder(t, m);
}

static int hash_file(tool *t, const char *path, manifest_file *f, unsigned char *chunk)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    unsigned char digest[LFM2_SHA256_BYTES];
    lfm2_sha256 hash;
    int rc = 0;

    if (fd < 0) return tool_fail(t, TOOL_MODEL, "%s: %s", path, strerror(errno));
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return tool_fail(t, TOOL_MODEL, "%s: not a regular file", path);
    }
    if (lfm2_sha256_init(&hash) < 0) {
        close(fd);
        return no_memory(t);
    }
    while (rc == 0) {
        ssize_t got = read(fd, chunk, CHUNK_BYTES);
        if (tool_signal()) rc = 128 + tool_signal();
        else if (got < 0 && errno != EINTR) rc = tool_fail(t, TOOL_MODEL, "%s: %s", path, strerror(errno));
        else if (got == 0) break;
        else if (got > 0) {
            if (lfm2_sha256_add(&hash, chunk, (size_t)got) < 0) rc = no_memory(t);
            f->n_bytes += (uint64_t)got;
        }
    }
    close(fd);
    if (lfm2_sha256_finish(&hash, digest) == 0) lfm2_sha256_hex(digest, f->hex);
    else if (rc == 0) rc = no_memory(t);
    return rc;
}

int manifest_hash(tool *t, const char *model_path, manifest *m)
{
    unsigned char *chunk = malloc(CHUNK_BYTES);
    size_t i;
    int rc = chunk ? find_files(t, model_path, m) : no_memory(t);

    if (rc == 0 && m->n_files == 0) rc = tool_fail(t, TOOL_MODEL, "%s: no model files in this folder", model_path);
    for (i = 0; rc == 0 && i < m->n_files; i++) {
        char *path = join(m->folder, m->files[i].name);
        rc = path ? hash_file(t, path, &m->files[i], chunk) : no_memory(t);
        free(path);
    }
    free(chunk);
    return rc;
}

/* --- the list --- */

/* One line: 64 hex digits, a blank, a blank or star, the name. Returns the name, or NULL. */
static char *scan_line(char *line)
{
    char *name = line + 66;

    if (strlen(line) < 67 || strspn(line, "0123456789abcdefABCDEF") != 64) return NULL;
    if (line[64] != ' ' || (line[65] != ' ' && line[65] != '*')) return NULL;
    return strncmp(name, "./", 2) == 0 ? name + 2 : name;
}

static int compare_entry(tool *t, manifest *m, const char *hex, const char *name)
{
    size_t i, digit;

    for (i = 0; i < m->n_files; i++) {
        if (strcmp(m->files[i].name, name) != 0) continue;
        for (digit = 0; digit < 64; digit++) {
            int want = hex[digit] >= 'A' && hex[digit] <= 'F' ? hex[digit] - 'A' + 'a' : hex[digit];
            if (want != m->files[i].hex[digit]) break;
        }
        m->files[i].match = digit == 64 ? MANIFEST_MATCHES : MANIFEST_DIFFERS;
        if (digit < 64) return tool_fail(t, TOOL_MODEL, "%s%s: sha256 is not the one in %s", m->folder, name, m->list_path);
        return 0;
    }
    return 0;
}

/* A listed file that is not there; files of other kinds, of other folders, or beside a single .gguf are not looked at. */
static int check_missing(tool *t, const manifest *m, const char *name)
{
    size_t i;
    char *path;
    struct stat st;
    int rc = 0;

    if (strchr(name, '/') || !belongs_to_model(name)) return 0;
    for (i = 0; i < m->n_files; i++) {
        if (strcmp(m->files[i].name, name) == 0) return 0;
    }
    path = join(m->folder, name);
    if (!path) return no_memory(t);
    if (stat(path, &st) < 0) rc = tool_fail(t, TOOL_MODEL, "%s: listed in %s but missing", path, m->list_path);
    free(path);
    return rc;
}

int manifest_compare(tool *t, manifest *m, const char *list_path)
{
    char *text = NULL, *line, *next;
    size_t n, i;
    int number, rc = tool_read(t, list_path, MAX_LIST_BYTES, &text, &n), first = 0;

    if (rc) return rc;
    m->list_path = strdup(list_path);
    if (!m->list_path) rc = no_memory(t);
    for (line = text, number = 1; rc == 0 && line; line = next, number++) {
        char *name;
        next = strchr(line, '\n');
        if (next) *next++ = '\0';
        line[strcspn(line, "\r")] = '\0';
        if (!*line || *line == '#') continue;
        name = scan_line(line);
        if (!name) {
            rc = tool_fail(t, TOOL_MALFORMED, "%s: line %d: not `sha256  name`", list_path, number);
            break;
        }
        rc = compare_entry(t, m, line, name);
        if (rc == TOOL_DONE) rc = check_missing(t, m, name);
        if (rc == TOOL_MODEL) { /* go on: every file gets its verdict */
            first = rc;
            rc = 0;
        }
    }
    free(text);
    if (rc == 0) rc = first;
    for (i = 0; rc == 0 && i < m->n_files; i++) {
        if (m->files[i].match == MANIFEST_NOT_LISTED && holds_weights(m->files[i].name)) {
            rc = tool_fail(t, TOOL_MODEL, "%s%s: not listed in %s", m->folder, m->files[i].name, list_path);
        }
    }
    return rc;
}

int tool_check_manifest(tool *t, const char *model_path)
{
    const char *list = cli_text(&t->cli, "manifest");
    manifest m = {0};
    int rc;

    if (!list || cli_flag(&t->cli, "no-verify")) return 0;
    rc = manifest_hash(t, model_path, &m);
    if (rc == 0) rc = manifest_compare(t, &m, list);
    manifest_fini(&m);
    return rc;
}
