/* SPDX-License-Identifier: Apache-2.0
 * Reference-counted byte buffers: how data passes between stages without a copy. */
#ifndef LFM2_MEDIA_H
#define LFM2_MEDIA_H

#include "lfm2/runtime.h"

LFM2_BEGIN_DECLS

typedef struct lfm2_buf lfm2_buf;

/* Make a buffer of n_bytes (> 0), 64-byte aligned, contents undefined, with one reference.
 * *out: written only on success. Returns 0; LFM2_ERR_ARG; LFM2_ERR_NOMEM. */
LFM2_API int lfm2_buf_create(lfm2_runtime *rt, size_t n_bytes, lfm2_buf **out);

/* Make a buffer around the caller's memory, with one reference. release(release_ctx, data) is called when the last
 * reference goes (release may be NULL); on failure it is not called and the memory stays the caller's.
 * Returns 0; LFM2_ERR_ARG; LFM2_ERR_NOMEM. */
LFM2_API int lfm2_buf_wrap(lfm2_runtime *rt, void *data, size_t n_bytes, void (*release)(void *ctx, void *data),
                           void *release_ctx, lfm2_buf **out);

/* Take one more reference; returns buf. Thread-safe. */
LFM2_API lfm2_buf *lfm2_buf_ref(lfm2_buf *buf);

/* Give one reference back and set *buf to NULL; the last one frees. NULL and *buf == NULL are allowed. Thread-safe. */
LFM2_API void lfm2_buf_unref(lfm2_buf **buf);

/* The bytes; writable only while lfm2_buf_is_unique(). Valid while a reference is held. */
LFM2_API void *lfm2_buf_data(lfm2_buf *buf);
LFM2_API size_t lfm2_buf_bytes(const lfm2_buf *buf);

/* 1 if this is the only reference, so that writing disturbs nobody. */
LFM2_API int lfm2_buf_is_unique(const lfm2_buf *buf);

LFM2_END_DECLS

#endif
