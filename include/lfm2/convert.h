/* SPDX-License-Identifier: Apache-2.0
 * Writing model files: safetensors to GGUF, and requantisation. */
#ifndef LFM2_CONVERT_H
#define LFM2_CONVERT_H

#include "lfm2/weights.h"

LFM2_BEGIN_DECLS

/* Called now and then with the share done, 0..1. May be NULL. */
typedef void lfm2_progress_fn(void *ctx, double share);

/* Write the text backbone and tokenizer of a checkpoint (any container) as GGUF: matrices in type t (F32 F16 BF16 Q8_0 Q4_0 Q4_K
 * Q6_K), vectors and convolution taps in F32, the embedding table in `embed_t` (LFM2_DTYPE_COUNT = Q6_K for Q4_0 and Q4_K as
 * published files have it, otherwise t). A row that is no multiple of the block falls back to F16, said in the log.
 * out_path appears only when complete. Returns 0; LFM2_ERR_ARG (type without a writer); LFM2_ERR_NONFINITE (tensor named);
 * what loading returns; LFM2_ERR_IO; LFM2_ERR_ABORTED. */
LFM2_API int lfm2_convert(lfm2_runtime *rt, const char *in_path, const char *out_path, lfm2_dtype t, lfm2_dtype embed_t,
                          lfm2_progress_fn *progress, void *ctx);

/* Write the encoders of a checkpoint, or of such a file, as one GGUF file (mmproj): projections in type t (F32, F16, BF16, Q8_0;
 * any other type with a writer gives Q8_0), rows that are no multiple of the block in F16, said in the log, and all else in F32.
 * Keys are those of llama.cpp's converter, and lfm2.* ones for what it has no place for: settings of the image processor, the CTC
 * head, calibration. Returns 0; LFM2_ERR_UNSUPPORTED (no encoder in it); otherwise as lfm2_convert(). */
LFM2_API int lfm2_convert_encoders(lfm2_runtime *rt, const char *in_path, const char *out_path, lfm2_dtype t,
                                   lfm2_progress_fn *progress, void *ctx);

LFM2_END_DECLS

#endif
