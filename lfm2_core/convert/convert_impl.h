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

/* Append the rows of src in type t. name: for messages. Returns 0; LFM2_ERR_NONFINITE; LFM2_ERR_UNSUPPORTED; LFM2_ERR_IO;
 * LFM2_ERR_ABORTED. */
int lfm2__convert_rows(lfm2__row_job *job, const char *name, const lfm2__mat *src, lfm2_dtype t) LFM2__NODISCARD;

#endif
