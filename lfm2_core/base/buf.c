/* SPDX-License-Identifier: Apache-2.0
 * Reference-counted byte buffers. */
#include <stdatomic.h>

#include "base/mathsafe.h"
#include "base/runtime_impl.h"
#include "lfm2/media.h"

#define DATA_OFFSET_BYTES 64 /* own data starts here, so that it is as aligned as the block */

struct lfm2_buf {
    lfm2_runtime *rt;
    unsigned char *data;
    size_t n_bytes;
    void (*release)(void *ctx, void *data); /* wrapped memory only */
    void *release_ctx;
    atomic_size_t n_refs;
};

_Static_assert(sizeof(struct lfm2_buf) <= DATA_OFFSET_BYTES, "the header must fit before the data");

int lfm2_buf_create(lfm2_runtime *rt, size_t n_bytes, lfm2_buf **out)
{
    if (rt == NULL) return LFM2_ERR_ARG;
    if (n_bytes == 0 || out == NULL) return lfm2__fail(rt, LFM2_ERR_ARG, "buffer: empty, or out is NULL");
    size_t whole;
    if (lfm2__add_size(n_bytes, DATA_OFFSET_BYTES, &whole) < 0) whole = SIZE_MAX; /* refused below */
    lfm2_buf *buf = lfm2__alloc(rt, whole);
    if (buf == NULL) return lfm2__fail(rt, LFM2_ERR_NOMEM, "buffer: no memory for %zu bytes", n_bytes);
    buf->rt = rt;
    buf->data = (unsigned char *)buf + DATA_OFFSET_BYTES;
    buf->n_bytes = n_bytes;
    buf->release = NULL;
    buf->release_ctx = NULL;
    atomic_init(&buf->n_refs, 1);
    *out = buf;
    return 0;
}

int lfm2_buf_wrap(lfm2_runtime *rt, void *data, size_t n_bytes, void (*release)(void *ctx, void *data), void *release_ctx,
                  lfm2_buf **out)
{
    if (rt == NULL) return LFM2_ERR_ARG;
    if (data == NULL || n_bytes == 0 || out == NULL) {
        return lfm2__fail(rt, LFM2_ERR_ARG, "buffer: empty, or data or out is NULL");
    }
    lfm2_buf *buf = lfm2__alloc(rt, sizeof *buf);
    if (buf == NULL) return lfm2__fail(rt, LFM2_ERR_NOMEM, "buffer: no memory for its header");
    buf->rt = rt;
    buf->data = data;
    buf->n_bytes = n_bytes;
    buf->release = release;
    buf->release_ctx = release_ctx;
    atomic_init(&buf->n_refs, 1);
    *out = buf;
    return 0;
}

lfm2_buf *lfm2_buf_ref(lfm2_buf *buf)
{
    atomic_fetch_add_explicit(&buf->n_refs, 1, memory_order_relaxed);
    return buf;
}

void lfm2_buf_unref(lfm2_buf **buf)
{
    if (buf == NULL || *buf == NULL) return;
    lfm2_buf *b = *buf;
    *buf = NULL;
    /* Release: what this holder wrote is visible to the one that frees. Acquire: to that one, all of it. */
    if (atomic_fetch_sub_explicit(&b->n_refs, 1, memory_order_acq_rel) != 1) return;
    if (b->release != NULL) b->release(b->release_ctx, b->data);
    lfm2__free(b->rt, b);
}

void *lfm2_buf_data(lfm2_buf *buf)
{
    return buf->data;
}

size_t lfm2_buf_bytes(const lfm2_buf *buf)
{
    return buf->n_bytes;
}

int lfm2_buf_is_unique(const lfm2_buf *buf)
{
    return atomic_load_explicit(&buf->n_refs, memory_order_acquire) == 1;
}
