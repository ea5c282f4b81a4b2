/* SPDX-License-Identifier: Apache-2.0
 * The config file: `key = value` lines as TOML writes them, and one [section] for each tool.
 *
 * Lines before any section hold options that all verbs share. A tool reads its own section, skips those of its
 * siblings ([lfm2-...]), and refuses whatever it does not know. */
#include "tools/cli_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_CONFIG_BYTES (1 << 20)

static cli_result read_all(cli *c, int fd, const char *path, size_t n)
{
    size_t have = 0;

    c->config = malloc(n + 1);
    if (!c->config) return CLI_NO_MEMORY;
    while (have < n) {
        ssize_t got = read(fd, c->config + have, n - have);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return cli__fail(c, "%s: %s", path, strerror(errno));
        if (got == 0) break;
        have += (size_t)got;
    }
    c->config[have] = '\0';
    if (strlen(c->config) != have) return cli__fail(c, "%s: holds a NUL byte", path);
    return CLI_OK;
}

static char *skip_blank(char *p)
{
    while (*p == ' ' || *p == '\t') p++;
    return p;
}

/* Nothing but blanks and a comment may follow a value. */
static int at_end(char *p)
{
    p = skip_blank(p);
    return *p == '\0' || *p == '#';
}

/* "text" with escapes, decoded in place. Returns the place behind the closing quote, or NULL. */
static char *scan_quoted(char *p)
{
    char *w = p;

    for (;; p++) {
        if (*p == '"') {
            p++;
            *w = '\0'; /* w is at most at the quote */
            return p;
        }
        if (*p == '\0') return NULL;
        if (*p != '\\') {
            *w++ = *p;
            continue;
        }
        p++;
        if (*p == 'n') *w++ = '\n';
        else if (*p == 't') *w++ = '\t';
        else if (*p == '"' || *p == '\\') *w++ = *p;
        else return NULL;
    }
}

/* The value of a line, NUL-terminated in place, or NULL. */
static char *scan_value(char *p)
{
    char *end;

    if (*p == '"') {
        end = scan_quoted(p + 1);
        return end && at_end(end) ? p + 1 : NULL;
    }
    if (*p == '\'') {
        end = strchr(p + 1, '\'');
        if (!end || !at_end(end + 1)) return NULL;
        *end = '\0';
        return p + 1;
    }
    end = p + strcspn(p, " \t#\"'[]{},");
    if (end == p || !at_end(end)) return NULL;
    *end = '\0';
    return p;
}

/* Is `name` an option of any verb? For keys that the present verb has no use for. */
static int known_elsewhere(const cli_spec *spec, const char *name, size_t n)
{
    int v;
    for (v = 0; v < spec->n_verbs; v++) {
        if (cli__find_option(spec, v, name, n) >= 0) return 1;
    }
    return 0;
}

static cli_result read_pair(cli *c, char *p, const char *path, int line)
{
    char label[160], shown[96], near[64], *name = p, *value, *words, *q;
    size_t n = strcspn(p, " \t=");
    int i;

    for (q = name; q < name + n; q++) {
        if (*q == '_') *q = '-';
    }
    p = skip_blank(p + n);
    if (n == 0 || *p != '=') return cli__fail(c, "%s: line %d: not `key = value`", path, line);
    value = scan_value(skip_blank(p + 1));
    if (!value) return cli__fail(c, "%s: line %d: the value is neither a word, a number nor a quoted text", path, line);
    name[n] = '\0';
    i = cli__find_option(c->spec, c->verb, name, n);
    if (i >= 0 && !(c->spec->options[i].flags & CLI_NO_ENV)) {
        snprintf(label, sizeof label, "%.80s: line %d: %.40s", path, line, name);
        return cli__set(c, i, value, CLI_FROM_CONFIG, label);
    }
    if (i < 0 && known_elsewhere(c->spec, name, n)) return CLI_OK;
    words = cli__option_words(c->spec, c->verb);
    if (!words) return CLI_NO_MEMORY;
    cli_nearest(name, words, near, sizeof near);
    free(words);
    cli_printable(name, shown, sizeof shown);
    return cli__fail(c, "%s: line %d: unknown option '%s'; the nearest is '%s'", path, line, shown, near);
}

/* Returns 1 if the section is this tool's, 0 if it is a sibling's, -1 for anything else. */
static int scan_section(const cli *c, char *p)
{
    char *end = strchr(p, ']');

    if (!end || !at_end(end + 1)) return -1;
    *end = '\0';
    if (strcmp(p + 1, c->spec->tool) == 0) return 1;
    return strncmp(p + 1, "lfm2-", 5) == 0 ? 0 : -1;
}

static cli_result read_lines(cli *c, const char *path)
{
    char *p = c->config, *next;
    int line, ours = 1;

    for (line = 1; p; line++, p = next) {
        cli_result rc;
        size_t n;
        next = strchr(p, '\n');
        if (next) *next++ = '\0';
        n = strlen(p);
        if (n && p[n - 1] == '\r') p[n - 1] = '\0';
        p = skip_blank(p);
        if (at_end(p)) continue;
        if (*p == '[') {
            ours = scan_section(c, p);
            if (ours < 0) return cli__fail(c, "%s: line %d: unknown section; ours is [%s]", path, line, c->spec->tool);
            continue;
        }
        if (!ours) continue;
        rc = read_pair(c, p, path, line);
        if (rc != CLI_OK) return rc;
    }
    return CLI_OK;
}

cli_result cli__read_config(cli *c, const char *path, int must_exist)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    char shown[200];
    cli_result rc;

    cli_printable(path, shown, sizeof shown);
    if (fd < 0) {
        if (!must_exist && (errno == ENOENT || errno == ENOTDIR || errno == EACCES)) return CLI_OK;
        return cli__fail(c, "%s: %s", shown, strerror(errno));
    }
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        rc = cli__fail(c, "%s: not a regular file", shown);
    } else if (st.st_size > MAX_CONFIG_BYTES) {
        rc = cli__fail(c, "%s: %lld bytes, over the limit of %d", shown, (long long)st.st_size, MAX_CONFIG_BYTES);
    } else {
        rc = read_all(c, fd, shown, (size_t)st.st_size);
    }
    close(fd);
    c->config_path = path;
    return rc == CLI_OK ? read_lines(c, shown) : rc;
}
