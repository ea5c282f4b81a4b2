/* SPDX-License-Identifier: Apache-2.0
 * From the log-probabilities of tokens to a confidence. */
#include "pipeline/confidence.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/runtime_impl.h"
#include "weights/weights_impl.h"

#define MAX_COEFFICIENT 1e6

static const lfm2__json_limits limits = {.max_bytes = 1 << 20, .max_depth = 32, .max_values = 100000};

static int bad_pair(lfm2_runtime *rt, const char *label, const char *key)
{
    return lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: %s: two numbers are expected", label, key);
}

static int set_pair(double a, double b, lfm2__confidence *out)
{
    if (!(fabs(a) <= MAX_COEFFICIENT && fabs(b) <= MAX_COEFFICIENT)) return -1;
    *out = (lfm2__confidence){.is_calibrated = 1, .a = a, .b = b};
    return 0;
}

static int from_gguf(const lfm2_weights *w, const char *task, lfm2__confidence *out)
{
    lfm2_runtime *rt = lfm2__weights_runtime(w);
    char key[64];
    snprintf(key, sizeof key, "lfm2.confidence.%s", task);
    const lfm2__kv *kv = lfm2__weights_find_kv(w, key);
    if (kv == NULL) return 0;
    const int is_pair = kv->type == LFM2__KV_ARRAY && kv->n_elems == 2 && kv->elem_type == LFM2__KV_F32;
    if (!is_pair || set_pair(lfm2__kv_number_at(kv, 0), lfm2__kv_number_at(kv, 1), out) < 0)
        return bad_pair(rt, lfm2_weights_path(w), key);
    return 0;
}

static int is_number(const lfm2__json *v)
{
    return lfm2__json_typeof(v) == LFM2__JSON_INT || lfm2__json_typeof(v) == LFM2__JSON_REAL;
}

static int from_json(lfm2_runtime *rt, const char *path, const lfm2__json *root, const char *task, lfm2__confidence *out)
{
    const lfm2__json *both = lfm2__json_get(root, "lfm2_confidence"), *pair = lfm2__json_get(both, task);
    if (lfm2__json_typeof(pair) == LFM2__JSON_NULL) return 0;
    const lfm2__json *a = lfm2__json_at(pair, 0), *b = lfm2__json_at(pair, 1);
    const int is_pair = lfm2__json_size(pair) == 2 && is_number(a) && is_number(b);
    if (!is_pair || set_pair(lfm2__json_number(a), lfm2__json_number(b), out) < 0) return bad_pair(rt, path, "lfm2_confidence");
    return 0;
}

int lfm2__confidence_load(const lfm2_weights *w, const char *task, lfm2__confidence *out)
{
    lfm2__confidence c = {0};
    lfm2__json_doc *doc = NULL;
    char *path = NULL;
    int rc = 0;

    if (w == NULL) {
        *out = c;
        return 0;
    }
    lfm2_runtime *rt = lfm2__weights_runtime(w);
    if (lfm2_weights_container(w) == LFM2_CONTAINER_GGUF) {
        rc = from_gguf(w, task, &c);
    } else {
        rc = lfm2__weights_sibling(w, "config.json", &path);
        if (rc == 0) rc = lfm2__json_load(rt, path, &limits, &doc);
        if (rc == 0) rc = from_json(rt, path, lfm2__json_root(doc), task, &c);
        if (rc == LFM2_ERR_NOT_FOUND) rc = 0; /* a model can be made without one */
        lfm2__json_free(doc);
        lfm2__free(rt, path);
    }
    if (rc == 0) *out = c;
    return rc;
}

float lfm2__confidence_of(const lfm2__confidence *c, double sum_logprob, int32_t n_tok)
{
    if (n_tok < 1) return -1;
    const double mean = sum_logprob / n_tok;
    const double p = c->is_calibrated ? 1 / (1 + exp(-(c->a * mean + c->b))) : exp(mean);
    return (float)fmin(fmax(p, 0), 1);
}
