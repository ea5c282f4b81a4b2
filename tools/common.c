/* SPDX-License-Identifier: Apache-2.0
 * What the commands share: exit codes, messages, runtime, main(). */
#include "tools/common.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int tool_exit_of(int status, tool_stage stage)
{
    if (status >= 0) return TOOL_DONE;
    if (status == LFM2_ERR_NOMEM) return TOOL_NOMEM;
    if (status == LFM2_ERR_DEADLINE || status == LFM2_ERR_ABORTED) return TOOL_DEADLINE;
    switch (stage) {
    case TOOL_AT_SETUP: return TOOL_USAGE;
    case TOOL_AT_MODEL: return TOOL_MODEL;
    case TOOL_AT_INPUT: return status == LFM2_ERR_NOT_FOUND || status == LFM2_ERR_IO ? TOOL_INPUT : TOOL_MALFORMED;
    case TOOL_AT_OUTPUT: return status == LFM2_ERR_ARG ? TOOL_USAGE : TOOL_OUTPUT;
    case TOOL_AT_RUN: break;
    }
    if (status == LFM2_ERR_RANGE || status == LFM2_ERR_LIMIT || status == LFM2_ERR_UTF8) return TOOL_MALFORMED;
    return status == LFM2_ERR_ARG || status == LFM2_ERR_STATE ? TOOL_USAGE : TOOL_MODEL; /* cut short meanwhile, not finite */
}

static void print_line(const char *tool_name, const char *line)
{
    fprintf(stderr, "%s: %s\n", tool_name, line);
}

/* The first reason for a failure always, further ones if they are wanted. */
static void give_reason(tool *t, const char *line, int further)
{
    if (t->hold_errors) {
        if (!t->held[0]) snprintf(t->held, sizeof t->held, "%s", line);
    } else if (t->n_errors++ == 0 || further) {
        print_line(t->cli.spec->tool, line);
    }
}

int tool_fail(tool *t, int code, const char *fmt, ...)
{
    char line[1024];
    va_list ap;

    if (tool_signal()) return code;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    give_reason(t, line, 0);
    return code;
}

void tool_hold_errors(tool *t)
{
    t->hold_errors = 1;
    t->held[0] = '\0';
}

void tool_release_errors(tool *t, int wanted)
{
    t->hold_errors = 0;
    if (wanted && t->held[0]) give_reason(t, t->held, 0);
}

int tool_fail_status(tool *t, int status, tool_stage stage, const char *what)
{
    return tool_fail(t, tool_exit_of(status, stage), "%s: %s", what, lfm2_strerror(status));
}

void tool_note(const tool *t, int level, const char *fmt, ...)
{
    char line[1024];
    va_list ap;

    if (t->verbosity < level) return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    print_line(t->cli.spec->tool, line);
}

/* Log lines of the library. */
static void on_log(void *ctx, lfm2_log_level level, const char *line)
{
    tool *t = ctx;

    if (tool_signal() != 0) return; /* asked to end: not a failure to explain */
    switch (level) {
    case LFM2_LOG_ERROR: give_reason(t, line, t->verbosity > 0); break;
    case LFM2_LOG_WARN: tool_note(t, 0, "%s", line); break;
    case LFM2_LOG_INFO: tool_note(t, 1, "%s", line); break;
    case LFM2_LOG_DEBUG: tool_note(t, 2, "%s", line); break;
    }
}

int64_t tool_now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

uint64_t tool_peak_bytes(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    uint64_t kib = 0;

    if (!f) return 0;
    while (kib == 0 && fgets(line, sizeof line, f)) {
        if (strncmp(line, "VmHWM:", 6) == 0) kib = strtoull(line + 6, NULL, 10);
    }
    fclose(f);
    return kib * 1024;
}

/* --- runtime --- */

#define N_CPU_BITS 32

/* "avx2 avx512 ..." */
static void cpu_names(char *out, size_t cap)
{
    size_t n = 0;
    int bit;

    out[0] = '\0';
    for (bit = 0; bit < N_CPU_BITS; bit++) {
        const char *name = lfm2_cpu_flag_name((uint32_t)1 << bit);
        if (name && n < cap) n += (size_t)snprintf(out + n, cap - n, "%s%s", n ? " " : "", name);
    }
}

static int find_cpu_name(const char *word, size_t n, uint32_t *mask)
{
    int bit;

    if (cli_find_word(word, n, "all") == 0) {
        *mask = LFM2_CPU_MASK_ALL;
        return 0;
    }
    if (cli_find_word(word, n, "scalar") == 0) return 0;
    for (bit = 0; bit < N_CPU_BITS; bit++) {
        const char *name = lfm2_cpu_flag_name((uint32_t)1 << bit);
        if (!name || cli_find_word(word, n, name) != 0) continue;
        *mask |= (uint32_t)1 << bit;
        return 0;
    }
    return -1;
}

/* A number (0x for hexadecimal), or names with commas between. */
static int parse_cpumask(tool *t, const char *text, uint32_t *mask)
{
    char names[256], words[300], word[32], near[32], shown[32], *end;
    unsigned long long v;

    *mask = 0;
    if (text[0] >= '0' && text[0] <= '9') {
        v = strtoull(text, &end, 0);
        if (*end || v > LFM2_CPU_MASK_ALL) {
            cli_printable(text, shown, sizeof shown);
            return tool_fail(t, TOOL_USAGE, "--cpumask: '%s' is no mask of 32 bits (0 to 0xffffffff)", shown);
        }
        *mask = (uint32_t)v;
        return 0;
    }
    cpu_names(names, sizeof names);
    for (;;) {
        size_t n = strcspn(text, ",");
        if (n == 0 || find_cpu_name(text, n, mask) < 0) {
            snprintf(word, sizeof word, "%.*s", (int)(n < sizeof word ? n : sizeof word - 1), text);
            snprintf(words, sizeof words, "%s scalar all", names);
            cli_nearest(word, words, near, sizeof near);
            cli_printable(word, shown, sizeof shown);
            return tool_fail(t, TOOL_USAGE, "--cpumask: '%s' is none of: %s; the nearest is %s", shown, words, near);
        }
        if (!text[n]) return 0;
        text += n + 1;
    }
}

int tool_open_runtime(tool *t)
{
    lfm2_runtime_params p = lfm2_runtime_params_default();
    const char *mask = cli_text(&t->cli, "cpumask");
    int rc;

    if (mask) {
        rc = parse_cpumask(t, mask, &p.cpu_mask);
        if (rc) return rc;
    }
    p.log = on_log;
    p.log_ctx = t;
    p.n_threads = (int32_t)cli_int(&t->cli, "threads");
    p.guard_mapped = 1;
    rc = lfm2_runtime_create(&p, &t->rt);
    if (rc < 0) return tool_fail_status(t, rc, TOOL_AT_SETUP, "runtime");
    tool_setup_abort(t->rt);
    return 0;
}

void tool_close(tool *t)
{
    tool_setup_abort(NULL);
    lfm2_tokenizer_unload(t->tok);
    lfm2_model_unload(t->model);
    lfm2_runtime_destroy(t->rt);
    t->tok = NULL;
    t->model = NULL;
    t->rt = NULL;
    free(t->model_path);
    t->model_path = NULL;
    cli_fini(&t->cli);
}

/* --- main --- */

static int print_version(tool *t)
{
    static const char *const names[] = {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"};
    uint32_t flags;
    size_t i;
    int bit, rc;

    printf("%s %s\n", t->cli.spec->tool, lfm2_version());
    if (t->verbosity < 1) return 0;
    rc = tool_open_runtime(t);
    if (rc) return rc;
    flags = lfm2_runtime_cpu_flags(t->rt);
    printf("threads: %d\ninstruction sets:", (int)lfm2_runtime_n_threads(t->rt));
    for (bit = 0; bit < 32; bit++) {
        if (flags >> bit & 1u) printf(" %s", lfm2_cpu_flag_name((uint32_t)1 << bit));
    }
    printf("\n");
    for (i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = getenv(names[i]);
        printf("%s: %s\n", names[i], value ? value : "not set");
    }
    return 0;
}

static int parse_and_run(tool *t, int argc, char **argv, const cli_spec *spec, int (*run)(tool *t))
{
    cli_result parsed = cli_parse(&t->cli, spec, argc, argv);
    int code = TOOL_DONE;

    if (parsed == CLI_ERROR) return tool_fail(t, TOOL_USAGE, "%s", t->cli.error);
    if (parsed == CLI_NO_MEMORY) return tool_fail(t, TOOL_NOMEM, "options: %s", lfm2_strerror(LFM2_ERR_NOMEM));
    if (parsed != CLI_HELP) t->verbosity = cli_flag(&t->cli, "quiet") ? -1 : cli_flag(&t->cli, "verbose");
    switch (parsed) {
    case CLI_HELP: cli_print_help(&t->cli, stdout); break;
    case CLI_VERSION: code = print_version(t); break;
    case CLI_PRINT_CONFIG: cli_print_config(&t->cli, stdout); break;
    case CLI_COMPLETION: cli_print_completion(spec, stdout); break;
    case CLI_OK: code = run(t); break;
    case CLI_ERROR:
    case CLI_NO_MEMORY: break;
    }
    return code;
}

int tool_main(int argc, char **argv, const cli_spec *spec, int (*run)(tool *t))
{
    tool t;
    int code, flushed;

    memset(&t, 0, sizeof t);
    t.start_us = tool_now_us();
    tool_setup_process();
    code = parse_and_run(&t, argc, argv, spec, run);
    flushed = tool_flush(&t);
    if (code == TOOL_DONE) code = flushed;
    if (tool_signal()) code = 128 + tool_signal();
    tool_close(&t);
    return code;
}
