/* SPDX-License-Identifier: Apache-2.0
 * Model files: one view of safetensors (one file or a sharded index) and GGUF v3. The files are mapped, not copied. */
#ifndef LFM2_WEIGHTS_H
#define LFM2_WEIGHTS_H

#include "lfm2/runtime.h"

LFM2_BEGIN_DECLS

#define LFM2_MAX_DIMS 8

/* X(name, ggml number or -1, elements in a block, bytes of a block, text): the element types.
 * F32..IQ4_NL can be computed with; the rest are carried (counted, listed, verified) but not computed with. */
#define LFM2_DTYPE_MAP(X)                                                      \
    X(F32, 0, 1, 4, "F32")                                                     \
    X(F16, 1, 1, 2, "F16")                                                     \
    X(BF16, 30, 1, 2, "BF16")                                                  \
    X(Q8_0, 8, 32, 34, "Q8_0")                                                 \
    X(Q4_0, 2, 32, 18, "Q4_0")                                                 \
    X(Q4_1, 3, 32, 20, "Q4_1")                                                 \
    X(Q5_0, 6, 32, 22, "Q5_0")                                                 \
    X(Q5_1, 7, 32, 24, "Q5_1")                                                 \
    X(Q4_K, 12, 256, 144, "Q4_K")                                              \
    X(Q5_K, 13, 256, 176, "Q5_K")                                              \
    X(Q6_K, 14, 256, 210, "Q6_K")                                              \
    X(IQ4_NL, 20, 32, 18, "IQ4_NL")                                            \
    X(F64, 28, 1, 8, "F64")                                                    \
    X(I8, 24, 1, 1, "I8")                                                      \
    X(I16, 25, 1, 2, "I16")                                                    \
    X(I32, 26, 1, 4, "I32")                                                    \
    X(I64, 27, 1, 8, "I64")                                                    \
    X(U8, -1, 1, 1, "U8")                                                      \
    X(U16, -1, 1, 2, "U16")                                                    \
    X(U32, -1, 1, 4, "U32")                                                    \
    X(U64, -1, 1, 8, "U64")                                                    \
    X(BOOL, -1, 1, 1, "BOOL")

typedef enum lfm2_dtype {
#define LFM2_DTYPE_ENUM(name, ggml, elems, bytes, text) LFM2_DTYPE_##name,
    LFM2_DTYPE_MAP(LFM2_DTYPE_ENUM)
#undef LFM2_DTYPE_ENUM
    LFM2_DTYPE_COUNT
} lfm2_dtype;

#define LFM2_DTYPE_N_COMPUTE (LFM2_DTYPE_IQ4_NL + 1) /* types below this one can be computed with */

/* Name of a type, e.g. "Q4_K"; "?" for a value that is none. Static storage. */
LFM2_API const char *lfm2_dtype_name(lfm2_dtype t);

/* The type of that name, any case; LFM2_DTYPE_COUNT if there is none. */
LFM2_API lfm2_dtype lfm2_dtype_from_name(const char *name);

/* Elements and bytes of one block (1 element for scalar types). */
LFM2_API int32_t lfm2_dtype_block_elems(lfm2_dtype t);
LFM2_API int32_t lfm2_dtype_block_bytes(lfm2_dtype t);

/* Bytes of a row of n elements; 0 if n is not a positive multiple of the block or the size overflows. */
LFM2_API size_t lfm2_dtype_row_bytes(lfm2_dtype t, int64_t n);

typedef struct lfm2_tensor {
    const char *name; /* NUL-terminated, owned by the lfm2_weights */
    lfm2_dtype dtype;
    int32_t n_dims;               /* 0..LFM2_MAX_DIMS; 0 = a scalar */
    int64_t dims[LFM2_MAX_DIMS];  /* outermost first, as PyTorch writes shapes; the last one is contiguous. For GGUF the
                                   * file's order (fastest first) has been turned round. */
    const void *data;             /* the mapped bytes; alignment NOT guaranteed (safetensors); dangling after close */
    size_t n_bytes;
} lfm2_tensor;

typedef struct lfm2_weights lfm2_weights;

typedef enum lfm2_container { LFM2_CONTAINER_SAFETENSORS, LFM2_CONTAINER_GGUF } lfm2_container;

/* Open a model's weights. path: a `.gguf` or `.safetensors` file (told apart by content), a `*.safetensors.index.json`,
 * or a folder with `model.safetensors.index.json` or `model.safetensors` (or, with neither, exactly one `.gguf`).
 * Every size in the file is checked against the file before it is used. *out: written only on success.
 * Returns 0; LFM2_ERR_NOT_FOUND; LFM2_ERR_IO (not a regular file, unreadable); LFM2_ERR_FORMAT; LFM2_ERR_LIMIT;
 * LFM2_ERR_UNSUPPORTED; LFM2_ERR_NOMEM. The log line names the file and the field. */
LFM2_API int lfm2_weights_open(lfm2_runtime *rt, const char *path, lfm2_weights **out);
LFM2_API void lfm2_weights_close(lfm2_weights *w);

LFM2_API lfm2_container lfm2_weights_container(const lfm2_weights *w);
LFM2_API const char *lfm2_weights_path(const lfm2_weights *w); /* as given to open */
LFM2_API size_t lfm2_weights_n_tensors(const lfm2_weights *w);
LFM2_API uint64_t lfm2_weights_file_bytes(const lfm2_weights *w); /* of all shards together */

/* Tensor i in file order, i < n_tensors; NULL otherwise. Owned by w. */
LFM2_API const lfm2_tensor *lfm2_weights_tensor(const lfm2_weights *w, size_t i);

/* The tensor of that exact name, or NULL. Owned by w. */
LFM2_API const lfm2_tensor *lfm2_weights_find(const lfm2_weights *w, const char *name);

/* Check that no file under w was cut short since it was opened. Returns 0 or LFM2_ERR_IO (file named in the log). */
LFM2_API int lfm2_weights_check(const lfm2_weights *w);

/* Write tensors (F32 or integer data in the caller's memory) as one safetensors file; it appears under its name only when
 * complete. Returns 0; LFM2_ERR_ARG; LFM2_ERR_IO; LFM2_ERR_NOMEM. */
LFM2_API int lfm2_safetensors_save(lfm2_runtime *rt, const char *path, const lfm2_tensor *tensors, size_t n_tensors);

/* Check all of a model's data: every element of every compute tensor is finite (block scales included).
 * report (may be NULL) is called for each tensor that is not, with the number of bad elements.
 * Returns 0; LFM2_ERR_NONFINITE; LFM2_ERR_ABORTED; LFM2_ERR_IO (cut short meanwhile). */
LFM2_API int lfm2_weights_verify(const lfm2_weights *w, void (*report)(void *ctx, const lfm2_tensor *t, uint64_t n_bad),
                                 void *report_ctx);

LFM2_END_DECLS

#endif
