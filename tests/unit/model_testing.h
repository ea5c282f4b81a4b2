/* SPDX-License-Identifier: Apache-2.0
 * For the tests of the backbone: toy checkpoints of any shape, written as either container, and the backbone once more in plain
 * double precision. */
#ifndef MODEL_TESTING_H
#define MODEL_TESTING_H

#include "base_testing.h"
#include "file_testing.h"

#include "lfm2/model.h"

/* A runtime whose allocations are counted, new memory being NaN, and whose log is kept. */
lfm2_runtime *toy_runtime(int32_t n_threads, uint32_t cpu_mask, test_heap *heap, test_log *log);

typedef struct toy_spec {
    const char *layers; /* 'c' convolution, 'a' attention */
    int d, heads, kv, ff, vocab, taps;
    int head_dim;       /* 0 = d / heads */
    int experts, used, ffe, dense; /* experts 0 = a dense model */
    int no_bias;        /* experts without a selection bias */
    int untied;
    uint64_t seed;
} toy_spec;

extern const toy_spec TOY_DENSE, TOY_MOE;

typedef struct toy_tensor {
    char name[96]; /* as in safetensors, without prefix */
    int n_dims;
    int64_t dims[3];
    float *data;
    lfm2_dtype dtype; /* F32, or an integer type to be refused */
} toy_tensor;

enum { TOY_MAX_TENSORS = 512 };

typedef struct toy {
    toy_spec spec;
    toy_tensor t[TOY_MAX_TENSORS];
    size_t n;
} toy;

void toy_init(toy *m, const toy_spec *spec);
void toy_fini(toy *m);
toy_tensor *toy_find(toy *m, const char *name);
void toy_remove(toy *m, size_t i);
toy_tensor *toy_add(toy *m, const char *name, int n_dims, int64_t d0, int64_t d1, int64_t d2);
/* Experts one by one become the fused pair of matrices. */
void toy_fuse_experts(toy *m);

void toy_write(const char *dir, const char *name, const char *text);

/* config.json of a spec; with `key` (may be NULL) set to the JSON text `value`, or left out if value is NULL. */
void toy_config(const toy_spec *spec, const char *key, const char *value, char *out, size_t cap);

void toy_save(lfm2_runtime *rt, const toy *m, const char *dir, const char *prefix);       /* model.safetensors */
void toy_save_with_config(lfm2_runtime *rt, const toy *m, const char *dir);              /* and config.json, prefix "model." */

/* One GGUF value that replaces (or adds) a key. */
typedef enum toy_kv_kind { TOY_KV_ABSENT, TOY_KV_U32, TOY_KV_F32, TOY_KV_BOOL, TOY_KV_STR, TOY_KV_I32S } toy_kv_kind;
typedef struct toy_kv {
    const char *key; /* behind the architecture, or a "general." one */
    toy_kv_kind kind;
    double v;
    const char *s;
    const int32_t *a;
    size_t n;
} toy_kv;
void toy_save_gguf(lfm2_runtime *rt, const toy *m, const char *path, const toy_kv *change);

/* Save and load; asserts success. */
lfm2_model *toy_reload(lfm2_runtime *rt, const toy *m);
lfm2_model *toy_load(lfm2_runtime *rt, const toy_spec *spec);

/* logits [n, V] of ids (or rows of embed [n, d]) in double precision. */
void toy_reference(toy *m, const int32_t *ids, const float *embed, int n, double *logits);

void toy_ids(int32_t *ids, int n, int vocab, uint64_t seed);
double toy_nmse(const float *x, const double *want, size_t n);
/* One span through forward with logits of all positions; asserts success. */
void toy_forward(lfm2_session *s, int32_t seq, const int32_t *ids, int n, float *logits);
lfm2_session *toy_session(lfm2_model *m, int32_t n_seqs, int32_t cap_tok, int32_t cap_batch, int32_t cap_rewind);

#endif
