/* SPDX-License-Identifier: Apache-2.0
 * Inside of the converter: metadata, and the rows of one tensor. */
#ifndef LFM2__CONVERT_IMPL_H
#define LFM2__CONVERT_IMPL_H

#include "lfm2/convert.h"
#include "model/model_impl.h"
#include "weights/gguf_write.h"

/* Write the metadata of a GGUF file that holds m with matrices of type t: taken over from a GGUF source as it stands, made from
 * config and tokenizer otherwise. in_path gives the name. Returns 0; what the tokenizer's loader returns; LFM2_ERR_UNSUPPORTED
 * (something that the keys cannot say); LFM2_ERR_NOMEM. What the writer reports sticks in the writer. */
int lfm2__convert_meta(const lfm2_model *m, const char *in_path, lfm2_dtype t, lfm2__gguf_writer *g) LFM2__NODISCARD;

/* Pieces of it. name: the last part of a path; size_label: "406K". */
void lfm2__convert_put_name(lfm2__gguf_writer *g, const char *path);
void lfm2__convert_put_size_label(lfm2__gguf_writer *g, uint64_t n_params);
void lfm2__convert_put_format(lfm2__gguf_writer *g, lfm2_dtype t);
void lfm2__convert_copy_meta(const lfm2_weights *w, lfm2_dtype t, lfm2__gguf_writer *g);
/* lfm2_confidence of the config.json beside w, if it has any. Returns 0; LFM2_ERR_FORMAT; what reading it returns. */
int lfm2__convert_put_confidence(const lfm2_weights *w, lfm2__gguf_writer *g) LFM2__NODISCARD;

/* Whether matrices can be written in that type. */
int lfm2__convert_has_writer(lfm2_dtype t);

/* A converter of rows, with its buffers. */
typedef struct lfm2__row_job {
    lfm2_runtime *rt;
    const lfm2__kernels *k;
    lfm2__gguf_writer *g;
    unsigned char *out; /* rows of one batch */
    size_t out_bytes;
    float *rows;        /* one row for each worker */
    int32_t max_cols;
    lfm2_progress_fn *progress;
    void *progress_ctx;
    uint64_t done_bytes, total_bytes; /* of the source */
} lfm2__row_job;

/* The buffers of a job whose rt and max_cols are set, for rows of at most max_row_bytes. Returns 0 or LFM2_ERR_NOMEM. */
int lfm2__convert_buffers(lfm2__row_job *job, size_t max_row_bytes) LFM2__NODISCARD;
void lfm2__convert_drop_buffers(lfm2__row_job *job);

/* Append the rows of src in type t. name: for messages. Returns 0; LFM2_ERR_NONFINITE; LFM2_ERR_UNSUPPORTED; LFM2_ERR_IO;
 * LFM2_ERR_ABORTED. */
int lfm2__convert_rows(lfm2__row_job *job, const char *name, const lfm2__mat *src, lfm2_dtype t) LFM2__NODISCARD;

#endif
