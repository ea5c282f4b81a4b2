/* SPDX-License-Identifier: Apache-2.0
 * Many inputs in one run. */
#include "tools/batch.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_INPUTS ((size_t)1000000)
#define MAX_DEPTH 64

static int no_memory(tool *t)
{
    return tool_fail(t, TOOL_NOMEM, "inputs: %s", lfm2_strerror(LFM2_ERR_NOMEM));
}

void tool_batch_fini(tool_batch *b)
{
    size_t i;
    for (i = 0; i < b->n; i++) {
        free(b->inputs[i].path);
        free(b->inputs[i].name);
    }
    free(b->inputs);
    memset(b, 0, sizeof *b);
}

/* Takes path over. n_base: bytes of it that lead to the place names are relative to. */
static int add(tool *t, tool_batch *b, char *path, size_t n_base, size_t depth)
{
    tool_input *in;

    if (b->n >= MAX_INPUTS) {
        free(path);
        return tool_fail(t, TOOL_MALFORMED, "more than %zu files", MAX_INPUTS);
    }
    if (b->n == b->cap) {
        const size_t cap = b->cap ? 2 * b->cap : 16;
        tool_input *grown = realloc(b->inputs, cap * sizeof *grown);
        if (!grown) {
            free(path);
            return no_memory(t);
        }
        b->inputs = grown;
        b->cap = cap;
    }
    in = &b->inputs[b->n++];
    in->path = path;
    in->depth = depth;
    in->name = strdup(strcmp(path, "-") == 0 ? "stdin" : path + n_base);
    return in->name ? 0 : no_memory(t);
}

/* --- folders --- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names in a folder, sorted, without hidden ones. *names: freed with its strings by the caller, also on failure. */
static int list_names(tool *t, const char *path, char ***names, size_t *n)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    char shown[256];
    size_t cap = 0;
    int rc = 0;

    if (!dir) {
        const int why = errno;
        cli_printable(path, shown, sizeof shown);
        return why == ENOMEM ? no_memory(t) : tool_fail(t, TOOL_INPUT, "%s: %s", shown, strerror(why));
    }
    while (rc == 0 && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.') continue;
        if (*n == cap) {
            char **grown = realloc(*names, (cap = cap ? 2 * cap : 64) * sizeof *grown);
            if (!grown) {
                rc = no_memory(t);
                break;
            }
            *names = grown;
        }
        (*names)[*n] = strdup(entry->d_name);
        if (!(*names)[*n]) rc = no_memory(t);
        else if (++*n > MAX_INPUTS) rc = tool_fail(t, TOOL_MALFORMED, "more than %zu files", MAX_INPUTS);
    }
    closedir(dir);
    if (*n > 1) qsort(*names, *n, sizeof **names, by_text);
    return rc;
}

static char *join(const char *folder, const char *name)
{
    const size_t n = strlen(folder), room = n + strlen(name) + 2;
    char *path = malloc(room);
    if (path) snprintf(path, room, "%s%s%s", folder, n > 0 && folder[n - 1] == '/' ? "" : "/", name);
    return path;
}

static int add_folder(tool *t, tool_batch *b, const char *path, size_t n_base, size_t depth)
{
    char **names = NULL;
    size_t n = 0, i;
    int rc = depth > MAX_DEPTH ? tool_fail(t, TOOL_MALFORMED, "folders nested deeper than %d", MAX_DEPTH)
                               : list_names(t, path, &names, &n);

    for (i = 0; i < n; i++) {
        char *inner = rc ? NULL : join(path, names[i]);
        struct stat st;
        free(names[i]);
        if (rc) continue;
        if (!inner) rc = no_memory(t);
        else if (lstat(inner, &st) == 0 && S_ISDIR(st.st_mode)) rc = add_folder(t, b, inner, n_base, depth + 1);
        else if (stat(inner, &st) == 0 && S_ISREG(st.st_mode)) {
            rc = add(t, b, inner, n_base, depth);
            inner = NULL;
        }
        free(inner);
    }
    free(names);
    return rc;
}

/* --- names of results --- */

/* Where the ending begins: the last dot of the last part, unless that begins with it. */
static size_t before_ending(const char *name)
{
    const char *part = strrchr(name, '/'), *dot;
    part = part ? part + 1 : name;
    dot = strrchr(part, '.');
    return dot && dot != part ? (size_t)(dot - name) : strlen(name);
}

typedef struct stem {
    const char *name;
    size_t n, i; /* bytes, input */
} stem;

static int by_stem(const void *a, const void *b)
{
    const stem *x = a, *y = b;
    const int order = memcmp(x->name, y->name, x->n < y->n ? x->n : y->n);
    if (order) return order;
    return x->n != y->n ? (x->n < y->n ? -1 : 1) : x->i < y->i ? -1 : x->i > y->i;
}

static int same_stem(const stem *x, const stem *y)
{
    return x->n == y->n && memcmp(x->name, y->name, x->n) == 0;
}

/* Endings go where the names stay different without them. */
static int make_names(tool *t, tool_batch *b)
{
    stem *stems = calloc(b->n, sizeof *stems);
    char one[256], two[256];
    size_t i;
    int rc = 0;

    if (!stems) return no_memory(t);
    for (i = 0; i < b->n; i++) stems[i] = (stem){b->inputs[i].name, strlen(b->inputs[i].name), i};
    qsort(stems, b->n, sizeof *stems, by_stem);
    for (i = 1; rc == 0 && i < b->n; i++) {
        if (!same_stem(&stems[i - 1], &stems[i])) continue;
        cli_printable(b->inputs[stems[i - 1].i].path, one, sizeof one);
        cli_printable(b->inputs[stems[i].i].path, two, sizeof two);
        rc = tool_fail(t, TOOL_USAGE, "the results of %s and %s would have the same name", one, two);
    }
    for (i = 0; i < b->n; i++) stems[i] = (stem){b->inputs[i].name, before_ending(b->inputs[i].name), i};
    qsort(stems, b->n, sizeof *stems, by_stem);
    for (i = 0; rc == 0 && i < b->n; i++) {
        if (i > 0 && same_stem(&stems[i - 1], &stems[i])) continue;
        if (i + 1 < b->n && same_stem(&stems[i], &stems[i + 1])) continue;
        b->inputs[stems[i].i].name[stems[i].n] = '\0';
    }
    free(stems);
    return rc;
}

int tool_batch_expand(tool *t, int separate, tool_batch *b)
{
    int i, rc = 0;

    for (i = 0; rc == 0 && i < t->cli.n_args; i++) {
        const char *arg = t->cli.args[i], *slash = strrchr(arg, '/');
        struct stat st;
        if (strcmp(arg, "-") != 0 && stat(arg, &st) == 0 && S_ISDIR(st.st_mode)) {
            const size_t n = strlen(arg);
            rc = add_folder(t, b, arg, n + (n > 0 && arg[n - 1] != '/'), 1);
        } else {
            char *path = strdup(arg);
            rc = path ? add(t, b, path, slash ? (size_t)(slash + 1 - arg) : 0, 0) : no_memory(t);
        }
    }
    return rc == 0 && separate && b->n > 0 ? make_names(t, b) : rc;
}

int tool_batch_run(tool *t, const tool_batch *b, int (*job)(void *ctx, const tool_input *in), void *ctx)
{
    size_t i, n_failed = 0, n_done = 0;
    int code = 0;

    for (i = 0; i < b->n; i++) {
        const int rc = job(ctx, &b->inputs[i]);
        if (rc == TOOL_SKIP) continue;
        n_done++;
        if (rc == 0) continue;
        code = rc;
        n_failed++;
        if (rc == TOOL_OUTPUT || rc == TOOL_DEADLINE || tool_signal() || tool_deadline_passed()) return rc;
        t->n_errors = 0; /* the next one has reasons of its own */
    }
    if (n_failed == 0 || n_done == 1) return code;
    tool_fail(t, TOOL_SOME, "%zu of %zu files failed", n_failed, n_done);
    return TOOL_SOME;
}
