/* SPDX-License-Identifier: Apache-2.0
 * Reference checks: comparison, loading of cases. */
#include "oracle/oracle.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

oracle_diff oracle_compare(const float *got, const float *want, int64_t n, double limit)
{
    oracle_diff d = {.nmse = 0.0, .max_abs = 0.0, .first_bad = -1};
    double error = 0.0, energy = 0.0;
    for (int64_t i = 0; i < n; i++) energy += (double)want[i] * (double)want[i];
    const double bad = 10.0 * sqrt(limit * energy / (double)n);
    for (int64_t i = 0; i < n; i++) {
        double e = fabs((double)got[i] - (double)want[i]);
        if (!(e <= bad) && d.first_bad < 0) d.first_bad = i;
        if (!(e <= d.max_abs)) d.max_abs = e;
        error += e * e;
    }
    d.nmse = isfinite(error) && energy > 0.0 ? error / energy : INFINITY;
    return d;
}

static void print_error(void *ctx, lfm2_log_level level, const char *line)
{
    (void)ctx;
    if (level <= LFM2_LOG_WARN) fprintf(stderr, "%s\n", line);
}

double oracle_cosine(const float *a, const float *b, int64_t n)
{
    double ab = 0, aa = 0, bb = 0;
    for (int64_t i = 0; i < n; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return ab / sqrt(aa * bb);
}

lfm2_runtime *oracle_runtime(uint32_t cpu_mask)
{
    lfm2_runtime_params p = lfm2_runtime_params_default();
    lfm2_runtime *rt = NULL;
    p.cpu_mask = cpu_mask;
    p.n_threads = 2;
    p.log = print_error;
    if (lfm2_runtime_create(&p, &rt) < 0) {
        fprintf(stderr, "no runtime\n");
        exit(1);
    }
    return rt;
}

float *oracle_last_logits(lfm2_model *m, const int32_t *ids, int32_t n_ids)
{
    lfm2_session_params p = lfm2_session_params_default(m);
    lfm2_span span = {.seq = 0, .n_tok = n_ids, .ids = ids, .embed = NULL, .logits = LFM2_LOGITS_LAST};
    lfm2_session *s = NULL;
    float *logits = calloc((size_t)lfm2_model_config(m)->n_vocab, sizeof(float));
    int rc = logits == NULL ? LFM2_ERR_NOMEM : lfm2_session_create(m, &p, &s);
    if (rc == 0) rc = lfm2_session_forward(s, &span, 1, logits, 1);
    lfm2_session_destroy(s);
    if (rc == 0) return logits;
    fprintf(stderr, "forward pass: %s\n", lfm2_strerror(rc));
    free(logits);
    return NULL;
}

const char *oracle_path(const char *dir, const char *name)
{
    static char paths[4][1024];
    static unsigned turn;
    char *p = paths[turn++ % 4];
    int n = snprintf(p, sizeof(paths[0]), "%s/%s", dir, name);
    if (n < 0 || (size_t)n >= sizeof(paths[0])) {
        fprintf(stderr, "path too long\n");
        exit(1);
    }
    return p;
}

lfm2__json_doc *oracle_cases(lfm2_runtime *rt, const char *dir)
{
    static const lfm2__json_limits limits = {.max_bytes = 1 << 22, .max_depth = 20, .max_values = 1 << 18};
    lfm2__json_doc *doc = NULL;
    if (lfm2__json_load(rt, oracle_path(dir, "cases.json"), &limits, &doc) < 0) return NULL;
    return doc;
}

int32_t *oracle_ids(const lfm2__json *array, int32_t *n)
{
    size_t size = lfm2__json_size(array);
    int32_t *ids = calloc(size + 1, sizeof(*ids));
    if (ids == NULL) exit(1);
    for (size_t i = 0; i < size; i++) ids[i] = (int32_t)lfm2__json_int(lfm2__json_at(array, i));
    *n = (int32_t)size;
    return ids;
}
