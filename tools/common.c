/* SPDX-License-Identifier: Apache-2.0
 * What the commands share: exit codes, messages, runtime, model. */
#include "tools/common.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/manifest.h"

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

int tool_fail(tool *t, int code, const char *fmt, ...)
{
    char line[1024];
    va_list ap;

    if (tool_signal() || t->n_errors++ > 0) return code;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    print_line(t->cli.spec->tool, line);
    return code;
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

/* Log lines of the library: the first reason for a failure always, further ones only under -v. */
static void on_log(void *ctx, lfm2_log_level level, const char *line)
{
    tool *t = ctx;

    if (tool_signal() != 0) return; /* asked to end: not a failure to explain */
    switch (level) {
    case LFM2_LOG_ERROR:
        if (t->n_errors++ == 0 || t->verbosity > 0) print_line(t->cli.spec->tool, line);
        break;
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
    cli_fini(&t->cli);
}

/* --- model --- */

int tool_model_path(tool *t, const char **path)
{
    *path = cli_text(&t->cli, "model");
    if (!*path) return tool_fail(t, TOOL_USAGE, "no model: give -m PATH, or set LFM2_MODEL");
    return 0;
}

static void report_nonfinite(void *ctx, const lfm2_tensor *tensor, uint64_t n_bad)
{
    tool_fail(ctx, TOOL_MODEL, "%s: %llu values are not finite", tensor->name, (unsigned long long)n_bad);
}

int tool_load_tokenizer(tool *t, const char *path)
{
    int rc = lfm2_tokenizer_load(t->rt, lfm2_model_weights(t->model), &t->tok);

    if (rc < 0) return tool_fail_status(t, rc, TOOL_AT_MODEL, path);
    const int n_ids = (int)lfm2_tokenizer_n_ids(t->tok), n_rows = (int)lfm2_model_config(t->model)->n_vocab;
    if (n_ids > n_rows) {
        return tool_fail(t, TOOL_MODEL, "%s: the tokenizer has %d ids, the model only %d rows", path, n_ids, n_rows);
    }
    return 0;
}

int tool_open_model(tool *t, const char *path)
{
    int64_t start_us = tool_now_us();
    int rc = path ? 0 : tool_model_path(t, &path);

    if (rc == 0) rc = tool_open_runtime(t);
    if (rc == 0) rc = tool_check_manifest(t, path);
    if (rc) return rc;
    rc = lfm2_model_load(t->rt, path, &t->model);
    if (rc < 0) return tool_fail_status(t, rc, TOOL_AT_MODEL, path);
    if (cli_flag(&t->cli, "check-model")) {
        rc = lfm2_weights_verify(lfm2_model_weights(t->model), report_nonfinite, t);
        if (rc < 0) return tool_fail_status(t, rc, TOOL_AT_MODEL, path);
    }
    rc = tool_load_tokenizer(t, path);
    if (rc) return rc;
    t->load_ms = (double)(tool_now_us() - start_us) / 1e3;
    return 0;
}

int tool_open_tokenizer(tool *t)
{
    const char *path;
    lfm2_weights *w = NULL;
    size_t n;
    int rc = tool_model_path(t, &path);

    if (rc == 0) rc = tool_open_runtime(t);
    if (rc == 0) rc = tool_check_manifest(t, path);
    if (rc) return rc;
    n = strlen(path);
    if (n >= 14 && strcmp(path + n - 14, "tokenizer.json") == 0) {
        rc = lfm2_tokenizer_load_json(t->rt, path, &t->tok);
    } else {
        rc = lfm2_weights_open(t->rt, path, &w);
        if (rc == 0) rc = lfm2_tokenizer_load(t->rt, w, &t->tok);
        lfm2_weights_close(w);
    }
    return rc < 0 ? tool_fail_status(t, rc, TOOL_AT_MODEL, path) : 0;
}
