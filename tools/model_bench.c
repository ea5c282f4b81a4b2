/* SPDX-License-Identifier: Apache-2.0
 * lfm2-model bench: what a model costs on this machine. */
#include <stdlib.h>
#include <string.h>

#include "tools/manifest.h"
#include "tools/model_bench.h"
#include "tools/model_verbs.h"

#define MAX_BATCH_TOK 512 /* of one pass, as in real use */

typedef struct bench {
    tool *t;
    const char *path;  /* model, or shape */
    const char *shape; /* NULL = a model */
    int32_t n_prompt, n_gen, n_seqs, n_reps;
    lfm2_session *session;
    uint64_t session_bytes;
    int32_t *ids;      /* [n_seqs, n_prompt] made up */
    lfm2_span *spans;  /* [n_seqs] */
    float *logits;     /* [n_seqs, n_vocab] */
    double *load_ms, *prefill_ms, *decode_ms; /* [n_reps] */
    bench_media media;
} bench;

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

stat3 bench_stats(double *values, int32_t n)
{
    stat3 s;

    qsort(values, (size_t)n, sizeof *values, ascending);
    s.min = values[0];
    s.max = values[n - 1];
    s.median = n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
    return s;
}

/* Units a second from milliseconds for n units: the shortest time is the greatest rate. */
static stat3 rates(stat3 ms, double n)
{
    const stat3 r = {n * 1e3 / ms.max, n * 1e3 / ms.median, n * 1e3 / ms.min};
    return r;
}

/* Load once for each repetition; the last one stays. */
static int load(bench *b)
{
    tool *t = b->t;
    int32_t i;

    for (i = 0; i < b->n_reps; i++) {
        int64_t start_us = tool_now_us();
        int rc;
        lfm2_model_unload(t->model);
        t->model = NULL;
        if (b->shape) {
            rc = lfm2_model_create_random(t->rt, b->shape, lfm2_dtype_from_name(cli_text(&t->cli, "type")), BENCH_SEED, &t->model);
        } else {
            rc = lfm2_model_load(t->rt, b->path, &t->model);
        }
        if (rc < 0) return tool_fail_status(t, rc, TOOL_AT_MODEL, b->path);
        b->load_ms[i] = (double)(tool_now_us() - start_us) / 1e3;
    }
    if (!b->shape && cli_flag(&t->cli, "check-model")) {
        int rc = lfm2_weights_verify(lfm2_model_weights(t->model), NULL, NULL);
        if (rc < 0) return tool_fail_status(t, rc, TOOL_AT_MODEL, b->path);
    }
    return 0;
}

static int set_up(bench *b)
{
    tool *t = b->t;
    const lfm2_config *c = lfm2_model_config(t->model);
    lfm2_session_params sp = lfm2_session_params_default(t->model);
    size_t n_ids = (size_t)b->n_seqs * (size_t)b->n_prompt, i;
    uint32_t x = 12345;
    int rc;

    if ((int64_t)b->n_prompt + b->n_gen > c->n_ctx_max) {
        return tool_fail(t, TOOL_USAGE, "--prompt, --gen: %lld tokens together, but the model's context holds %d",
                         (long long)b->n_prompt + b->n_gen, (int)c->n_ctx_max);
    }
    sp.n_seqs = b->n_seqs;
    sp.cap_tok = b->n_prompt + b->n_gen;
    sp.cap_batch = b->n_seqs > MAX_BATCH_TOK ? b->n_seqs : MAX_BATCH_TOK;
    sp.cap_rewind = 0;
    b->session_bytes = lfm2_session_bytes(t->model, &sp);
    rc = lfm2_session_create(t->model, &sp, &b->session);
    if (rc < 0) return tool_fail_status(t, rc, TOOL_AT_RUN, "session");
    b->ids = malloc(n_ids * sizeof *b->ids);
    b->spans = calloc((size_t)b->n_seqs, sizeof *b->spans);
    b->logits = malloc((size_t)b->n_seqs * (size_t)c->n_vocab * sizeof *b->logits);
    if (!b->ids || !b->spans || !b->logits) return tool_fail(t, TOOL_NOMEM, "bench: %s", lfm2_strerror(LFM2_ERR_NOMEM));
    for (i = 0; i < n_ids; i++) {
        x = x * 1664525u + 1013904223u;
        b->ids[i] = (int32_t)((x >> 8) % (uint32_t)c->n_vocab);
    }
    return 0;
}

/* One pass with n_tok tokens for every sequence, from place `at` of its made-up ids. */
static int pass(bench *b, int32_t at, int32_t n_tok)
{
    int32_t i;

    for (i = 0; i < b->n_seqs; i++) {
        lfm2_span *s = &b->spans[i];
        s->seq = i;
        s->n_tok = n_tok;
        s->ids = b->ids + (size_t)i * (size_t)b->n_prompt + at % b->n_prompt;
        s->embed = NULL;
        s->logits = LFM2_LOGITS_LAST;
    }
    return lfm2_session_forward(b->session, b->spans, b->n_seqs, b->logits, b->n_seqs);
}

static int measure_once(bench *b, double *prefill_ms, double *decode_ms)
{
    int64_t start_us;
    int32_t i;
    int rc = 0;

    for (i = 0; rc == 0 && i < b->n_seqs; i++) rc = lfm2_session_clear(b->session, i);
    start_us = tool_now_us();
    if (rc == 0) rc = pass(b, 0, b->n_prompt);
    *prefill_ms = (double)(tool_now_us() - start_us) / 1e3;
    start_us = tool_now_us();
    for (i = 0; rc == 0 && i < b->n_gen; i++) rc = pass(b, i, 1);
    *decode_ms = (double)(tool_now_us() - start_us) / 1e3;
    return rc;
}

/* A short run first, so that pages and caches are warm. */
static int measure(bench *b)
{
    int32_t i;
    int rc = pass(b, 0, b->n_prompt < 16 ? b->n_prompt : 16);

    for (i = 0; rc == 0 && i < b->n_reps; i++) rc = measure_once(b, &b->prefill_ms[i], &b->decode_ms[i]);
    return rc < 0 ? tool_fail_status(b->t, rc, TOOL_AT_RUN, "bench") : 0;
}

/* --- report --- */

void bench_put_stat(json_out *j, const char *key, stat3 s)
{
    json_begin_object(j, key);
    json_put_real(j, "min", s.min);
    json_put_real(j, "median", s.median);
    json_put_real(j, "max", s.max);
    json_end_object(j);
}

static void put_kernel(void *ctx, const char *entry, const char *impl)
{
    json_put_text(ctx, entry, impl);
}

static void put_step(json_out *j, const char *key, int64_t n_tok, stat3 ms, stat3 rate)
{
    json_begin_object(j, key);
    json_put_int(j, "tokens", n_tok);
    bench_put_stat(j, "ms", ms);
    bench_put_stat(j, "tokens_per_s", rate);
    json_end_object(j);
}

static void put_machine(json_out *j, const lfm2_runtime *rt)
{
    uint32_t flags = lfm2_runtime_cpu_flags(rt);
    int bit;

    json_put_int(j, "threads", lfm2_runtime_n_threads(rt));
    json_begin_array(j, "instruction_sets");
    for (bit = 0; bit < 32; bit++) {
        if (flags >> bit & 1u) json_put_text(j, NULL, lfm2_cpu_flag_name((uint32_t)1 << bit));
    }
    json_end_array(j);
}

typedef struct result {
    int64_t n_prefill, n_decode;
    stat3 load_ms, prefill_ms, prefill_rate, decode_ms, decode_rate;
} result;

static int print_json(bench *b, const result *r)
{
    tool *t = b->t;
    json_out j = {0};

    json_begin_object(&j, NULL);
    json_put_int(&j, "schema_version", 1);
    json_put_text(&j, b->shape ? "shape" : "file", b->path);
    if (b->shape) json_put_text(&j, "type", cli_text(&t->cli, "type"));
    json_put_text(&j, "architecture", lfm2_model_config(t->model)->arch);
    json_put_int(&j, "parameters", (int64_t)lfm2_model_n_params(t->model));
    put_machine(&j, t->rt);
    json_put_int(&j, "batch", b->n_seqs);
    json_put_int(&j, "reps", b->n_reps);
    bench_put_stat(&j, "load_ms", r->load_ms);
    put_step(&j, "prefill", r->n_prefill, r->prefill_ms, r->prefill_rate);
    put_step(&j, "decode", r->n_decode, r->decode_ms, r->decode_rate);
    bench_media_put(&b->media, &j);
    json_begin_object(&j, "memory");
    json_put_int(&j, "weights_bytes", (int64_t)lfm2_model_n_bytes(t->model));
    json_put_int(&j, "session_bytes", (int64_t)b->session_bytes);
    json_put_int(&j, "peak_bytes", (int64_t)tool_peak_bytes());
    json_end_object(&j);
    json_begin_object(&j, "kernels");
    lfm2_model_kernels(t->model, put_kernel, &j);
    json_end_object(&j);
    json_end_object(&j);
    return tool_write_json(t, &j);
}

static void print_kernel(void *ctx, const char *entry, const char *impl)
{
    char line[160];
    snprintf(line, sizeof line, "  %-16s %s\n", entry, impl);
    tool_write(ctx, line, strlen(line));
}

void bench_print_stat(tool *t, const char *name, stat3 s, const char *unit)
{
    char line[200];
    snprintf(line, sizeof line, "%-10s %10.2f %10.2f %10.2f  %s\n", name, s.min, s.median, s.max, unit);
    tool_write(t, line, strlen(line));
}

static double mib(uint64_t n_bytes)
{
    return (double)n_bytes / (1024.0 * 1024.0);
}

static int print_text(bench *b, const result *r)
{
    tool *t = b->t;
    char line[512], shown[256];

    cli_printable(b->path, shown, sizeof shown);
    snprintf(line, sizeof line, "%s: %s, %llu parameters, %.1f MiB weights\n", shown, lfm2_model_config(t->model)->arch,
             (unsigned long long)lfm2_model_n_params(t->model), mib(lfm2_model_n_bytes(t->model)));
    tool_write(t, line, strlen(line));
    snprintf(line, sizeof line, "%d threads, batch %d, %d repetitions\n\n%-10s %10s %10s %10s\n",
             (int)lfm2_runtime_n_threads(t->rt), (int)b->n_seqs, (int)b->n_reps, "", "min", "median", "max");
    tool_write(t, line, strlen(line));
    bench_print_stat(t, "load", r->load_ms, "ms");
    bench_print_stat(t, "prefill", r->prefill_rate, "tokens/s");
    bench_print_stat(t, "", r->prefill_ms, "ms");
    bench_print_stat(t, "decode", r->decode_rate, "tokens/s");
    bench_print_stat(t, "", r->decode_ms, "ms");
    bench_media_print(&b->media);
    snprintf(line, sizeof line, "\nmemory: %.1f MiB at most; session %.1f MiB\nkernels:\n", mib(tool_peak_bytes()),
             mib(b->session_bytes));
    tool_write(t, line, strlen(line));
    lfm2_model_kernels(t->model, print_kernel, t);
    return tool_flush(t);
}

static int report(bench *b)
{
    result r;

    r.n_prefill = (int64_t)b->n_seqs * b->n_prompt;
    r.n_decode = (int64_t)b->n_seqs * b->n_gen;
    r.load_ms = bench_stats(b->load_ms, b->n_reps);
    r.prefill_ms = bench_stats(b->prefill_ms, b->n_reps);
    r.decode_ms = bench_stats(b->decode_ms, b->n_reps);
    r.prefill_rate = rates(r.prefill_ms, (double)r.n_prefill);
    r.decode_rate = rates(r.decode_ms, (double)r.n_decode);
    return cli_flag(&b->t->cli, "json") ? print_json(b, &r) : print_text(b, &r);
}

static int prepare(bench *b)
{
    tool *t = b->t;
    size_t n = (size_t)b->n_reps;
    int rc;

    b->load_ms = calloc(n, sizeof *b->load_ms);
    b->prefill_ms = calloc(n, sizeof *b->prefill_ms);
    b->decode_ms = calloc(n, sizeof *b->decode_ms);
    if (!b->load_ms || !b->prefill_ms || !b->decode_ms) {
        return tool_fail(t, TOOL_NOMEM, "bench: %s", lfm2_strerror(LFM2_ERR_NOMEM));
    }
    rc = tool_open_runtime(t);
    if (rc == 0 && !b->shape) rc = tool_check_manifest(t, b->path);
    return rc;
}

int model_bench(tool *t)
{
    bench b = {.t = t};
    int rc = 0;

    b.shape = cli_text(&t->cli, "shape");
    b.path = b.shape;
    b.n_prompt = (int32_t)cli_int(&t->cli, "prompt");
    b.n_gen = (int32_t)cli_int(&t->cli, "gen");
    b.n_seqs = (int32_t)cli_int(&t->cli, "batch");
    b.n_reps = (int32_t)cli_int(&t->cli, "reps");
    if (!b.shape && cli_is_set(&t->cli, "type")) return tool_fail(t, TOOL_USAGE, "--type is for --shape; a model has its own");
    rc = model_media_choose(t, &b.media.media);
    if (rc == 0 && !b.shape) rc = tool_model_path(t, &b.path);
    if (rc == 0) rc = prepare(&b);
    if (rc == 0) rc = load(&b);
    if (rc == 0) rc = set_up(&b);
    if (rc == 0) rc = measure(&b);
    if (rc == 0) {
        rc = bench_media_run(&b.media, b.path, b.shape, lfm2_dtype_from_name(cli_text(&t->cli, "type")), b.n_reps);
    }
    if (rc == 0) rc = report(&b);
    bench_media_fini(&b.media);
    lfm2_session_destroy(b.session);
    free(b.logits);
    free(b.spans);
    free(b.ids);
    free(b.decode_ms);
    free(b.prefill_ms);
    free(b.load_ms);
    return rc;
}
