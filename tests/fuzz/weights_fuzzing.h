/* SPDX-License-Identifier: Apache-2.0
 * For the fuzz targets of both containers: a walk over everything a file gave. */
#ifndef WEIGHTS_FUZZING_H
#define WEIGHTS_FUZZING_H

#include "fuzz/fuzzing.h"
#include "weights/container.h"

static inline void walk_kv(const lfm2_weights *w, const lfm2__kv *kv, uint64_t *sum)
{
    char key[LFM2__MAX_NAME_BYTES + 1];
    int64_t v = 0;
    double d = 0;
    int b = 0;
    const char *s = NULL;
    size_t n = 0;

    memcpy(key, kv->key, kv->key_n);
    key[kv->key_n] = '\0';
    CHECK(lfm2__weights_find_kv(w, key) == kv);
    n_lines = 0;
    int n_refused = 0;
    n_refused += lfm2__weights_kv_int(w, key, INT64_MIN, INT64_MAX, &v) < 0;
    n_refused += lfm2__weights_kv_number(w, key, -1e30, 1e30, &d) < 0;
    n_refused += lfm2__weights_kv_bool(w, key, &b) < 0;
    n_refused += lfm2__weights_kv_str(w, key, &s, &n) < 0;
    CHECK(n_lines == n_refused && n_refused >= 2);
    for (size_t i = 0; s && i < n; i++) *sum += (unsigned char)s[i];
    if (kv->elem_type == LFM2__KV_STRING && kv->type == LFM2__KV_ARRAY) {
        const unsigned char *cursor = kv->data;
        uint64_t n_strings = 0;
        for (s = lfm2__kv_next_str(kv, &cursor, &n); s; s = lfm2__kv_next_str(kv, &cursor, &n), n_strings++)
            for (size_t i = 0; i < n; i++) *sum += (unsigned char)s[i];
        CHECK(n_strings == kv->n_elems);
    } else if (kv->elem_type != LFM2__KV_STRING) {
        for (uint64_t i = 0; i < kv->n_elems; i++) {
            if (lfm2__kv_is_int(kv->elem_type)) *sum += (uint64_t)lfm2__kv_int_at(kv, i);
            double number = lfm2__kv_number_at(kv, i);
            *sum += number > 0;
        }
    }
    for (size_t i = 0; i < kv->n_bytes; i++) *sum += kv->data[i];
}

static inline void walk_tensor(const lfm2_weights *w, const lfm2_tensor *t, const uint8_t *data, size_t n, uint64_t *sum)
{
    const uint8_t *p = t->data;
    size_t n_bytes = 0;

    CHECK(lfm2_weights_find(w, t->name) == t);
    CHECK(t->n_dims >= 0 && t->n_dims <= LFM2_MAX_DIMS);
    CHECK(lfm2__tensor_bytes(t->dtype, t->n_dims, t->dims, &n_bytes) == 0 && n_bytes == t->n_bytes);
    CHECK(p >= data && p <= data + n && t->n_bytes <= (size_t)(data + n - p));
    for (size_t i = 0; i < t->n_bytes; i++) *sum += p[i];
}

/* Open, look at everything, close. Returns the status. */
static inline int fuzz_weights(const uint8_t *data, size_t n)
{
    lfm2_runtime *rt = fuzz_runtime(0);
    lfm2_weights *w = NULL;
    uint64_t sum = 0;

    n_lines = 0;
    int rc = lfm2__weights_open_bytes(rt, "fuzz", data, n, &w);
    CHECK(n_lines == (rc < 0));
    if (rc < 0) {
        CHECK(!w);
        CHECK(rc == LFM2_ERR_FORMAT || rc == LFM2_ERR_LIMIT || rc == LFM2_ERR_UNSUPPORTED);
        return rc;
    }
    for (size_t i = 0; i < lfm2__weights_n_kv(w); i++) walk_kv(w, lfm2__weights_kv(w, i), &sum);
    for (size_t i = 0; i < lfm2_weights_n_tensors(w); i++) walk_tensor(w, lfm2_weights_tensor(w, i), data, n, &sum);
    n_lines = 0;
    rc = lfm2_weights_verify(w, NULL, NULL);
    CHECK(rc == 0 || (rc == LFM2_ERR_NONFINITE && n_lines == 1));
    lfm2_weights_close(w);
    volatile uint64_t sink = sum; /* so that the reads stay */
    (void)sink;
    return 0;
}

#endif
