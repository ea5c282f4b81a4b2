/* SPDX-License-Identifier: Apache-2.0
 * GGUF v3 writer. The file appears under its name only when lfm2__gguf_write_finish() has succeeded. */
#ifndef LFM2__GGUF_WRITE_H
#define LFM2__GGUF_WRITE_H

#include "weights/weights_impl.h"

typedef struct lfm2__gguf_writer lfm2__gguf_writer;

/* Start a file beside `path` under a temporary name. Returns 0; LFM2_ERR_IO; LFM2_ERR_NOMEM. */
int lfm2__gguf_write_create(lfm2_runtime *rt, const char *path, lfm2__gguf_writer **out) LFM2__NODISCARD;
void lfm2__gguf_write_destroy(lfm2__gguf_writer *g); /* without finish: the temporary file is removed */

/* Metadata, in order. Errors stick and come out of the next call that returns a status. */
void lfm2__gguf_put_u32(lfm2__gguf_writer *g, const char *key, uint32_t v);
void lfm2__gguf_put_f32(lfm2__gguf_writer *g, const char *key, float v);
void lfm2__gguf_put_bool(lfm2__gguf_writer *g, const char *key, int v);
void lfm2__gguf_put_str(lfm2__gguf_writer *g, const char *key, const char *s, size_t n);
void lfm2__gguf_put_f32_array(lfm2__gguf_writer *g, const char *key, const float *v, size_t n);
void lfm2__gguf_put_i32_array(lfm2__gguf_writer *g, const char *key, const int32_t *v, size_t n);
/* lens == NULL: the strings are NUL-terminated. */
void lfm2__gguf_put_str_array(lfm2__gguf_writer *g, const char *key, const char *const *s, const size_t *lens, size_t n);
/* Copy a value as it stands in another file. */
void lfm2__gguf_put_kv(lfm2__gguf_writer *g, const lfm2__kv *kv);

/* Announce a tensor: name, type, dims outermost first. All before the first lfm2__gguf_write_data(). */
int lfm2__gguf_put_tensor(lfm2__gguf_writer *g, const char *name, lfm2_dtype t, int32_t n_dims,
                          const int64_t *dims) LFM2__NODISCARD;

/* Bytes of the announced tensors, in that order, in pieces of any size. */
int lfm2__gguf_write_data(lfm2__gguf_writer *g, const void *data, size_t n_bytes) LFM2__NODISCARD;
/* All bytes of the present tensor were given: pad to the alignment. */
int lfm2__gguf_end_tensor(lfm2__gguf_writer *g) LFM2__NODISCARD;

/* Flush, fsync, rename to the final name. Returns 0; LFM2_ERR_IO; LFM2_ERR_STATE if tensors are missing bytes. */
int lfm2__gguf_write_finish(lfm2__gguf_writer *g) LFM2__NODISCARD;

#endif
