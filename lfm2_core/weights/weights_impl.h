/* SPDX-License-Identifier: Apache-2.0
 * Inside of the weights layer: what the two container readers fill, and typed access to GGUF metadata. */
#ifndef LFM2__WEIGHTS_IMPL_H
#define LFM2__WEIGHTS_IMPL_H

#include "base/compiler.h"
#include "base/json.h"
#include "base/mapfile.h"
#include "lfm2/weights.h"

/* GGUF value types, numbered as in the file. */
typedef enum lfm2__kv_type {
    LFM2__KV_U8, LFM2__KV_I8, LFM2__KV_U16, LFM2__KV_I16, LFM2__KV_U32, LFM2__KV_I32, LFM2__KV_F32, LFM2__KV_BOOL,
    LFM2__KV_STRING, LFM2__KV_ARRAY, LFM2__KV_U64, LFM2__KV_I64, LFM2__KV_F64
} lfm2__kv_type;

typedef struct lfm2__kv {
    const char *key; /* not NUL-terminated, key_n bytes, in the mapped file */
    size_t key_n;
    lfm2__kv_type type;
    lfm2__kv_type elem_type;   /* of an array */
    uint64_t n_elems;          /* of an array; 1 otherwise */
    const unsigned char *data; /* first byte of the value (of the first element), unaligned, in the mapped file */
    size_t n_bytes;            /* of all elements, length prefixes of strings included; checked to be inside the file */
} lfm2__kv;

/* Metadata of a GGUF file; NULL/0 for safetensors. */
size_t lfm2__weights_n_kv(const lfm2_weights *w);
const lfm2__kv *lfm2__weights_kv(const lfm2_weights *w, size_t i);
const lfm2__kv *lfm2__weights_find_kv(const lfm2_weights *w, const char *key);

/* Typed reads; any integer width is accepted for an integer. Absent: *out stays, 0 is returned (use find_kv to tell).
 * Wrong type, or out of [lo, hi], or not finite: LFM2_ERR_FORMAT, logged as "file: key: ...". */
int lfm2__weights_kv_int(const lfm2_weights *w, const char *key, int64_t lo, int64_t hi, int64_t *out) LFM2__NODISCARD;
int lfm2__weights_kv_number(const lfm2_weights *w, const char *key, double lo, double hi, double *out) LFM2__NODISCARD;
int lfm2__weights_kv_bool(const lfm2_weights *w, const char *key, int *out) LFM2__NODISCARD;
/* *out borrowed from the mapping, NOT NUL-terminated. */
int lfm2__weights_kv_str(const lfm2_weights *w, const char *key, const char **out, size_t *out_n) LFM2__NODISCARD;

/* Element i of an integer array (any width); the caller has checked type and n_elems. What is above INT64_MAX comes as that. */
int64_t lfm2__kv_int_at(const lfm2__kv *kv, uint64_t i);
double lfm2__kv_number_at(const lfm2__kv *kv, uint64_t i);
int lfm2__kv_is_int(lfm2__kv_type t);
/* Strings of an array, in order: start with *cursor = kv->data; lengths were checked at open. */
const char *lfm2__kv_next_str(const lfm2__kv *kv, const unsigned char **cursor, size_t *n);

lfm2_runtime *lfm2__weights_runtime(const lfm2_weights *w);

/* Folder of the model file (for config.json, tokenizer.json beside it): written with a trailing slash, "" for the current
 * one. Returns 0 or LFM2_ERR_NOMEM; *out is freed by lfm2__free(). */
int lfm2__weights_sibling(const lfm2_weights *w, const char *file_name, char **out) LFM2__NODISCARD;

#endif
