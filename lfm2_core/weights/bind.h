/* SPDX-License-Identifier: Apache-2.0
 * Bind tables: which tensor of which container goes where, with which shape. Every mismatch is reported at once. */
#ifndef LFM2__BIND_H
#define LFM2__BIND_H

#include "weights/weights_impl.h"

/* A bound matrix or vector. data is unaligned in general. */
typedef struct lfm2__mat {
    const void *data;
    lfm2_dtype dtype;
    int64_t n_rows;   /* outer dimension (1 for vectors; experts * rows for stacked experts) */
    int64_t n_cols;   /* inner, contiguous dimension */
    size_t row_bytes;
} lfm2__mat;

/* A vector that is copied to f32 at load; data NULL: there is none. */
typedef struct lfm2__vec {
    lfm2__mat src;
    float *data;
} lfm2__vec;

typedef struct lfm2__bind_row {
    const char *st_name;   /* name in safetensors, prefix stripped; "%d" stands for the layer, a second "%d" for the expert */
    const char *gguf_name; /* name in GGUF; a NULL name: that container has no such tensor, the row does nothing */
    int32_t n_dims;
    int64_t dims[4];       /* outermost first; a dim of 1 in the file may be absent or present ([d,1,K] ~ [d,K]) */
    unsigned flags;        /* LFM2__BIND_* */
    lfm2__mat *dst;
} lfm2__bind_row;

#define LFM2__BIND_OPTIONAL 1u /* absent: dst->data stays NULL */
#define LFM2__BIND_F32 2u      /* must be a scalar float type (F32, F16, BF16), not a block type */
#define LFM2__BIND_UNREAD 4u   /* belongs to the model, but nobody reads it: may be there, of any shape and type; dst stays */

/* A row of a model's table: shapes in letters, and where the tensor goes. */
typedef struct lfm2__table_row {
    const char *st_name, *gguf_name;
    int32_t n_dims;
    int32_t dims[4]; /* letters */
    unsigned flags;
    size_t place;    /* in the object of the layer: of a lfm2__mat; with LFM2__BIND_F32 of the src of a lfm2__vec */
} lfm2__table_row;

/* What is done with each tensor of a model. Below 0: stop. */
typedef int lfm2__tensor_fn(void *ctx, const lfm2__bind_row *row, int32_t layer, int32_t expert);

typedef struct lfm2__table_walk {
    const int64_t *dims; /* of each letter */
    lfm2__tensor_fn *fn;
    void *ctx;
} lfm2__table_walk;

/* fn for every row of a table, with its dims and its place in base. Stops at the first status < 0, and returns it. */
int lfm2__walk_table(const lfm2__table_walk *walk, const lfm2__table_row *rows, size_t n, void *base, int32_t layer,
                     int32_t expert) LFM2__NODISCARD;
#define LFM2__WALK_TABLE(walk, rows, base, layer, expert) \
    lfm2__walk_table(walk, rows, LFM2__COUNT_OF(rows), base, layer, expert)

/* The vector of a table's row; NULL if it is that of a matrix. */
lfm2__vec *lfm2__bind_vec(const lfm2__bind_row *row);

typedef struct lfm2__binder lfm2__binder;

/* st_prefixes: NULL-terminated list of accepted leading parts of safetensors names, tried in order for each tensor
 * ("model.language_model.", "model.", "lfm.", ""). Returns 0 or LFM2_ERR_NOMEM. */
int lfm2__binder_create(const lfm2_weights *w, const char *const *st_prefixes, lfm2__binder **out) LFM2__NODISCARD;

/* Bind one row for a layer (and expert; pass -1 where the name has no %d). A mismatch is remembered, not returned.
 * Returns 0 or LFM2_ERR_NOMEM. */
int lfm2__binder_add(lfm2__binder *b, const lfm2__bind_row *row, int32_t layer, int32_t expert) LFM2__NODISCARD;

/* The same as a lfm2__tensor_fn. */
int lfm2__bind_tensor(void *binder, const lfm2__bind_row *row, int32_t layer, int32_t expert) LFM2__NODISCARD;

/* Tensors whose names, with or without the stripped prefix, start with one of these belong to other parts of the checkpoint
 * and may stay unbound. prefixes: NULL-terminated, borrowed until finish; another call replaces them. */
void lfm2__binder_allow(lfm2__binder *b, const char *const *prefixes);

/* Report: every missing tensor, wrong shape, wrong type, and every tensor that nobody asked for, in one log line
 * (the first 20 named, the rest counted). Returns 0 or LFM2_ERR_FORMAT. */
int lfm2__binder_finish(lfm2__binder *b) LFM2__NODISCARD;
void lfm2__binder_destroy(lfm2__binder *b);

#endif
