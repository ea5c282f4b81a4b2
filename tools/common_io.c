/* SPDX-License-Identifier: Apache-2.0
 * Signals and deadlines, input and output of the commands. */
#include "tools/common.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#define MAX_PROMPT_BYTES ((size_t)256 << 20)
#define GRACE_US 900000 /* from a signal to the end, whatever is going on */

/* --- signals: the one place with globals, because handlers take no context --- */

static lfm2_runtime *volatile abort_rt;
static volatile sig_atomic_t caught;
static volatile sig_atomic_t deadline_passed;

static void start_timer(int64_t us)
{
    struct itimerval timer;

    memset(&timer, 0, sizeof timer);
    timer.it_value.tv_sec = (time_t)(us / 1000000);
    timer.it_value.tv_usec = (suseconds_t)(us % 1000000);
    setitimer(ITIMER_REAL, &timer, NULL);
}

static void on_signal(int sig)
{
    if (caught) _exit(128 + caught); /* asked twice */
    caught = sig;
    lfm2_runtime_abort(abort_rt);
    start_timer(GRACE_US);
}

static void on_alarm(int sig)
{
    (void)sig;
    if (caught) _exit(128 + caught); /* something did not end in time */
    deadline_passed = 1;
    lfm2_runtime_abort(abort_rt);
}

void tool_setup_process(void)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
    const struct rlimit no_core = {0, 0};
    struct sigaction action;
    size_t i;

    setrlimit(RLIMIT_CORE, &no_core);
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
    sigaction(SIGXFSZ, &action, NULL); /* a file too large for the limits is an error of write() */
    action.sa_handler = on_alarm;
    sigaction(SIGALRM, &action, NULL);
    action.sa_handler = on_signal; /* without SA_RESTART: a read that waits ends */
    for (i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        struct sigaction before;
        if (sigaction(ends[i], NULL, &before) == 0 && before.sa_handler == SIG_IGN) continue; /* nohup */
        sigaction(ends[i], &action, NULL);
    }
}

void tool_setup_abort(lfm2_runtime *rt)
{
    abort_rt = rt;
    if (caught || deadline_passed) lfm2_runtime_abort(rt);
}

int tool_signal(void)
{
    return caught;
}

void tool_start_deadline(tool *t)
{
    int64_t left = tool_deadline_left_us(t);
    if (left > 0) start_timer(left);
}

int tool_deadline_passed(void)
{
    return deadline_passed;
}

int64_t tool_deadline_left_us(const tool *t)
{
    int64_t left;

    if (!cli_is_set(&t->cli, "deadline")) return 0;
    left = (int64_t)(cli_real(&t->cli, "deadline") * 1e6) - (tool_now_us() - t->start_us);
    return left > 1 ? left : 1;
}

/* --- input --- */

static int read_fd(tool *t, int fd, const char *label, size_t max_bytes, char **out, size_t *n_out)
{
    size_t n = 0, cap = 65536;
    char *data = malloc(cap + 1);

    while (data) {
        ssize_t got = read(fd, data + n, cap - n);
        if (got < 0 && errno == EINTR && !caught && !deadline_passed) continue;
        if (got < 0) {
            free(data);
            if (caught) return 128 + caught;
            if (deadline_passed) return tool_fail(t, TOOL_DEADLINE, "%s: %s", label, lfm2_strerror(LFM2_ERR_DEADLINE));
            return tool_fail(t, TOOL_INPUT, "%s: %s", label, strerror(errno));
        }
        if (got == 0) {
            data[n] = '\0';
            *out = data;
            *n_out = n;
            return 0;
        }
        n += (size_t)got;
        if (n > max_bytes) {
            free(data);
            return tool_fail(t, TOOL_MALFORMED, "%s: more than the limit of %zu bytes", label, max_bytes);
        }
        if (n == cap) {
            char *grown = realloc(data, 2 * cap + 1);
            if (!grown) free(data);
            data = grown;
            cap *= 2;
        }
    }
    return tool_fail(t, TOOL_NOMEM, "%s: %s", label, lfm2_strerror(LFM2_ERR_NOMEM));
}

int tool_read(tool *t, const char *path, size_t max_bytes, char **out, size_t *n)
{
    char shown[256];
    struct stat st;
    int fd, rc;

    if (strcmp(path, "-") == 0) return read_fd(t, STDIN_FILENO, "standard input", max_bytes, out, n);
    cli_printable(path, shown, sizeof shown);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) return tool_fail(t, TOOL_INPUT, "%s: %s", shown, strerror(errno));
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return tool_fail(t, TOOL_INPUT, "%s: not a regular file; give - for standard input", shown);
    }
    rc = read_fd(t, fd, shown, max_bytes, out, n);
    close(fd);
    return rc;
}

int tool_is_utf8(const char *s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s, *end = p + n;

    while (p < end) {
        uint32_t cp = *p++;
        int more = cp < 0x80 ? 0 : cp < 0xc2 ? -1 : cp < 0xe0 ? 1 : cp < 0xf0 ? 2 : cp < 0xf5 ? 3 : -1;
        static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
        int i;
        if (more < 0 || end - p < more) return 0;
        cp &= more == 0 ? 0x7f : 0x3fu >> more;
        for (i = 0; i < more; i++) {
            if ((*p & 0xc0) != 0x80) return 0;
            cp = cp << 6 | (*p++ & 0x3f);
        }
        if (cp < least[more] || cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000)) return 0;
    }
    return 1;
}

int tool_read_prompt(tool *t, char **out, size_t *n)
{
    const char *text = cli_text(&t->cli, "prompt");
    int rc = 0;

    *out = NULL;
    if (!text) return tool_fail(t, TOOL_USAGE, "no prompt: give -p TEXT, or -p - to read it from standard input");
    if (strcmp(text, "-") == 0) {
        rc = tool_read(t, text, MAX_PROMPT_BYTES, out, n);
    } else {
        *n = strlen(text);
        *out = malloc(*n + 1);
        if (!*out) return tool_fail(t, TOOL_NOMEM, "prompt: %s", lfm2_strerror(LFM2_ERR_NOMEM));
        memcpy(*out, text, *n + 1);
    }
    if (rc == 0 && !tool_is_utf8(*out, *n)) {
        rc = tool_fail(t, TOOL_MALFORMED, "prompt: %s", lfm2_strerror(LFM2_ERR_UTF8));
        free(*out);
        *out = NULL;
    }
    return rc;
}

int tool_parse_ids(tool *t, const char *text, int32_t **ids, size_t *n)
{
    const char *p = text;
    size_t cap = strlen(text) / 2 + 1; /* a digit and what divides it from the next */
    int bracket;

    *n = 0;
    *ids = malloc(cap * sizeof **ids);
    if (!*ids) return tool_fail(t, TOOL_NOMEM, "--ids: %s", lfm2_strerror(LFM2_ERR_NOMEM));
    p += strspn(p, " \t\n");
    bracket = *p == '[';
    p += bracket;
    for (;;) {
        long long v;
        char *end;
        p += strspn(p, " \t\n");
        if (*p == '\0' || *p == ']') break;
        errno = 0;
        v = *p >= '0' && *p <= '9' ? strtoll(p, &end, 10) : -1;
        if (v < 0 || v > INT32_MAX || errno || *n >= cap) goto bad;
        (*ids)[(*n)++] = (int32_t)v;
        p = end + strspn(end, " \t\n");
        if (*p == ',') {
            p++;
            p += strspn(p, " \t\n");
            if (*p == '\0' || *p == ']') goto bad;
        } else if (p == end && *p && *p != ']') {
            goto bad;
        }
    }
    if (bracket) {
        if (*p++ != ']') goto bad;
        p += strspn(p, " \t\n");
    }
    if (*p) goto bad;
    return 0;
bad:
    tool_fail(t, TOOL_USAGE, "--ids: entry %zu is not an id; give whole numbers from 0, with commas between", *n + 1);
    free(*ids);
    *ids = NULL;
    return TOOL_USAGE;
}

/* --- output --- */

void tool_write(tool *t, const char *bytes, size_t n)
{
    if (n > 0 && fwrite(bytes, 1, n, stdout) != n && !t->stdout_failed) t->stdout_failed = errno ? errno : EIO;
}

int tool_flush(tool *t)
{
    if (fflush(stdout) != 0 && !t->stdout_failed) t->stdout_failed = errno ? errno : EIO;
    if (!t->stdout_failed) return 0;
    if (t->stdout_failed == EPIPE) {
        t->n_errors++; /* whoever read has gone: nothing to say */
        return TOOL_OUTPUT;
    }
    return tool_fail(t, TOOL_OUTPUT, "standard output: %s", strerror(t->stdout_failed));
}

int tool_write_json(tool *t, json_out *j)
{
    int rc = 0;

    if (json_finish(j) == 0) tool_write(t, j->data, j->n);
    else rc = tool_fail(t, TOOL_NOMEM, "result: %s", lfm2_strerror(LFM2_ERR_NOMEM));
    json_fini(j);
    return rc ? rc : tool_flush(t);
}

/* --- progress --- */

enum { PROGRESS_AUTO, PROGRESS_NONE, PROGRESS_PLAIN, PROGRESS_JSONL }; /* order of the choices of --progress */

#define PROGRESS_QUIET_US 2000000

void tool_progress_start(tool_progress *p, const tool *t, const char *job)
{
    p->t = t;
    p->job = job;
    p->style = (int)cli_int(&t->cli, "progress");
    p->last = -1;
    p->drawn = 0;
    p->quiet_until_us = 0;
    if (t->verbosity < 0) {
        p->style = PROGRESS_NONE;
    } else if (p->style == PROGRESS_AUTO && !isatty(STDERR_FILENO)) {
        p->style = PROGRESS_PLAIN;
        p->quiet_until_us = tool_now_us() + PROGRESS_QUIET_US;
    }
}

/* A line for programs. The job may be the name of a file, and a name may hold anything. */
static void show_jsonl(const tool_progress *p, int percent)
{
    json_out j = {0};
    json_begin_object(&j, NULL);
    json_put_text(&j, "job", p->job);
    json_put_int(&j, "percent", percent);
    json_end_object(&j);
    if (json_finish(&j) == 0) fwrite(j.data, 1, j.n, stderr);
    json_fini(&j);
}

void tool_progress_show(void *ctx, double share)
{
    tool_progress *p = ctx;
    int percent = share >= 1 ? 100 : share > 0 ? (int)(share * 100) : 0;

    if (p->style == PROGRESS_NONE || percent <= p->last) return;
    if (p->style != PROGRESS_AUTO && p->last >= 0 && percent / 10 == p->last / 10) return;
    if (p->quiet_until_us > 0 && tool_now_us() < p->quiet_until_us) return;
    p->last = percent;
    char job[256];
    if (p->style == PROGRESS_AUTO) {
        fprintf(stderr, "\r%s: %3d %%", cli_printable(p->job, job, sizeof(job)), percent);
        fflush(stderr);
        p->drawn = 1;
    } else if (p->style == PROGRESS_JSONL) {
        show_jsonl(p, percent);
    } else {
        fprintf(stderr, "%s: %s: %d %%\n", p->t->cli.spec->tool, cli_printable(p->job, job, sizeof(job)), percent);
    }
}

void tool_progress_end(tool_progress *p)
{
    if (p->drawn) fputc('\n', stderr);
    p->drawn = 0;
}
