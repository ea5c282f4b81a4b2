/* SPDX-License-Identifier: Apache-2.0
 * Typed access to GGUF metadata. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/runtime_impl.h"
#include "weights/container.h"

size_t lfm2__weights_n_kv(const lfm2_weights *w)
{
    return w->n_kv;
}

const lfm2__kv *lfm2__weights_kv(const lfm2_weights *w, size_t i)
{
    return i < w->n_kv ? &w->kvs[i] : NULL;
}

static int compare_key(const void *pkey, const void *pkv)
{
    const char *key = pkey;
    const lfm2__kv *kv = *(const lfm2__kv *const *)pkv;
    size_t n = strlen(key);
    int order = memcmp(key, kv->key, n < kv->key_n ? n : kv->key_n);

    if (order != 0) return order;
    return (n > kv->key_n) - (n < kv->key_n);
}

const lfm2__kv *lfm2__weights_find_kv(const lfm2_weights *w, const char *key)
{
    if (w->n_kv == 0) return NULL;
    const lfm2__kv *const *found = bsearch(key, w->by_key, w->n_kv, sizeof *w->by_key, compare_key);
    return found ? *found : NULL;
}

int lfm2__kv_is_int(lfm2__kv_type t)
{
    switch (t) {
    case LFM2__KV_U8:
    case LFM2__KV_I8:
    case LFM2__KV_U16:
    case LFM2__KV_I16:
    case LFM2__KV_U32:
    case LFM2__KV_I32:
    case LFM2__KV_U64:
    case LFM2__KV_I64:
        return 1;
    default:
        return 0;
    }
}

int64_t lfm2__kv_int_at(const lfm2__kv *kv, uint64_t i)
{
    const unsigned char *p = kv->data;

    switch (kv->elem_type) {
    case LFM2__KV_U8: return p[i];
    case LFM2__KV_I8: return (int8_t)p[i];
    case LFM2__KV_U16: return lfm2__ld_u16(p + 2 * i);
    case LFM2__KV_I16: return (int16_t)lfm2__ld_u16(p + 2 * i);
    case LFM2__KV_U32: return lfm2__ld_u32(p + 4 * i);
    case LFM2__KV_I32: return (int32_t)lfm2__ld_u32(p + 4 * i);
    case LFM2__KV_U64: {
        uint64_t v = lfm2__ld_u64(p + 8 * i);
        return v > INT64_MAX ? INT64_MAX : (int64_t)v;
    }
    case LFM2__KV_I64: return (int64_t)lfm2__ld_u64(p + 8 * i);
    default: return 0;
    }
}

double lfm2__kv_number_at(const lfm2__kv *kv, uint64_t i)
{
    if (kv->elem_type == LFM2__KV_F32) {
        uint32_t bits = lfm2__ld_u32(kv->data + 4 * i);
        float v;
        memcpy(&v, &bits, sizeof v);
        return (double)v;
    }
    if (kv->elem_type == LFM2__KV_F64) {
        uint64_t bits = lfm2__ld_u64(kv->data + 8 * i);
        double v;
        memcpy(&v, &bits, sizeof v);
        return v;
    }
    return (double)lfm2__kv_int_at(kv, i);
}

const char *lfm2__kv_next_str(const lfm2__kv *kv, const unsigned char **cursor, size_t *n)
{
    const unsigned char *p = *cursor;

    if (kv->elem_type != LFM2__KV_STRING || p >= kv->data + kv->n_bytes) return NULL;
    *n = (size_t)lfm2__ld_u64(p);
    *cursor = p + 8 + *n;
    return (const char *)p + 8;
}

static int wrong(const lfm2_weights *w, const char *key, const char *why)
{
    return lfm2__fail(w->rt, LFM2_ERR_FORMAT, "%s: %s: %s", w->file, key, why);
}

int lfm2__weights_kv_int(const lfm2_weights *w, const char *key, int64_t lo, int64_t hi, int64_t *out)
{
    const lfm2__kv *kv = lfm2__weights_find_kv(w, key);

    if (!kv) return 0;
    if (!lfm2__kv_is_int(kv->type)) return wrong(w, key, "is not an integer");
    int64_t v = lfm2__kv_int_at(kv, 0);
    if (kv->type == LFM2__KV_U64 && lfm2__ld_u64(kv->data) > INT64_MAX) return wrong(w, key, "is too large");
    if (v < lo || v > hi)
        return lfm2__fail(w->rt, LFM2_ERR_FORMAT, "%s: %s: %lld is not in %lld..%lld", w->file, key, (long long)v, (long long)lo,
                          (long long)hi);
    *out = v;
    return 0;
}

int lfm2__weights_kv_number(const lfm2_weights *w, const char *key, double lo, double hi, double *out)
{
    const lfm2__kv *kv = lfm2__weights_find_kv(w, key);

    if (!kv) return 0;
    if (!lfm2__kv_is_int(kv->type) && kv->type != LFM2__KV_F32 && kv->type != LFM2__KV_F64)
        return wrong(w, key, "is not a number");
    double v = lfm2__kv_number_at(kv, 0);
    if (!isfinite(v)) return wrong(w, key, "is not finite");
    if (v < lo || v > hi) return lfm2__fail(w->rt, LFM2_ERR_FORMAT, "%s: %s: %g is not in %g..%g", w->file, key, v, lo, hi);
    *out = v;
    return 0;
}

int lfm2__weights_kv_bool(const lfm2_weights *w, const char *key, int *out)
{
    const lfm2__kv *kv = lfm2__weights_find_kv(w, key);

    if (!kv) return 0;
    if (kv->type != LFM2__KV_BOOL || kv->data[0] > 1) return wrong(w, key, "is not a boolean");
    *out = kv->data[0];
    return 0;
}

int lfm2__weights_kv_str(const lfm2_weights *w, const char *key, const char **out, size_t *out_n)
{
    const lfm2__kv *kv = lfm2__weights_find_kv(w, key);

    if (!kv) return 0;
    if (kv->type != LFM2__KV_STRING) return wrong(w, key, "is not a string");
    *out = (const char *)kv->data + 8;
    *out_n = kv->n_bytes - 8;
    return 0;
}
