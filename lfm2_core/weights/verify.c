/* SPDX-License-Identifier: Apache-2.0
 * Finite check of a whole model, on the stored bits: nothing is dequantised. A block whose scale or minimum is not finite
 * counts with all its elements. */
#include "base/runtime_impl.h"
#include "weights/container.h"

#define CHUNK_BYTES (1u << 20) /* between two looks at the abort flag */

/* Exponent bits of an element or scale are all ones: infinity or NaN. */
static int bad_f16(const unsigned char *p)
{
    return (p[1] & 0x7c) == 0x7c;
}

static int bad_bf16(const unsigned char *p)
{
    return (lfm2__ld_u16(p) & 0x7f80) == 0x7f80;
}

static int bad_f32(const unsigned char *p)
{
    return (lfm2__ld_u32(p) & 0x7f800000) == 0x7f800000;
}

static uint64_t count_f16(const unsigned char *p, size_t n)
{
    uint64_t n_bad = 0;
    for (size_t i = 0; i < n; i++) n_bad += (unsigned)bad_f16(p + 2 * i);
    return n_bad;
}

static uint64_t count_bf16(const unsigned char *p, size_t n)
{
    uint64_t n_bad = 0;
    for (size_t i = 0; i < n; i++) n_bad += (unsigned)bad_bf16(p + 2 * i);
    return n_bad;
}

static uint64_t count_f32(const unsigned char *p, size_t n)
{
    uint64_t n_bad = 0;
    for (size_t i = 0; i < n; i++) n_bad += (unsigned)bad_f32(p + 4 * i);
    return n_bad;
}

/* Blocks with one F16 at `first` and, if two is set, another behind it. */
static uint64_t count_blocks(const unsigned char *p, size_t n, size_t block_bytes, size_t first, int two)
{
    uint64_t n_bad = 0;

    for (size_t i = 0; i < n; i++, p += block_bytes) n_bad += (unsigned)(bad_f16(p + first) || (two && bad_f16(p + first + 2)));
    return n_bad;
}

/* Bad blocks (elements, for scalar types) among n. */
static uint64_t count_bad(lfm2_dtype t, const unsigned char *p, size_t n)
{
    size_t block_bytes = (size_t)lfm2_dtype_block_bytes(t);

    switch (t) {
    case LFM2_DTYPE_F32: return count_f32(p, n);
    case LFM2_DTYPE_F16: return count_f16(p, n);
    case LFM2_DTYPE_BF16: return count_bf16(p, n);
    case LFM2_DTYPE_Q8_0:
    case LFM2_DTYPE_Q4_0:
    case LFM2_DTYPE_Q5_0:
    case LFM2_DTYPE_IQ4_NL: return count_blocks(p, n, block_bytes, 0, 0);
    case LFM2_DTYPE_Q4_1:
    case LFM2_DTYPE_Q5_1:
    case LFM2_DTYPE_Q4_K:
    case LFM2_DTYPE_Q5_K: return count_blocks(p, n, block_bytes, 0, 1);
    case LFM2_DTYPE_Q6_K: return count_blocks(p, n, block_bytes, block_bytes - 2, 0);
    default: return 0;
    }
}

static int verify_tensor(const lfm2_weights *w, const lfm2_tensor *t, uint64_t *n_bad)
{
    size_t block_bytes = (size_t)lfm2_dtype_block_bytes(t->dtype);
    size_t n_blocks = t->n_bytes / block_bytes;
    size_t chunk = CHUNK_BYTES / block_bytes;
    uint64_t bad_blocks = 0;

    if ((int)t->dtype >= LFM2_DTYPE_N_COMPUTE) n_blocks = 0;
    for (size_t at = 0; at < n_blocks; at += chunk) {
        if (lfm2__aborted(w->rt)) return LFM2_ERR_ABORTED;
        size_t n = n_blocks - at < chunk ? n_blocks - at : chunk;
        bad_blocks += count_bad(t->dtype, (const unsigned char *)t->data + at * block_bytes, n);
    }
    *n_bad = bad_blocks * (uint64_t)lfm2_dtype_block_elems(t->dtype);
    return 0;
}

int lfm2_weights_verify(const lfm2_weights *w, void (*report)(void *ctx, const lfm2_tensor *t, uint64_t n_bad), void *report_ctx)
{
    const lfm2_tensor *first_bad = NULL;
    size_t n_bad_tensors = 0;

    for (size_t i = 0; i < w->n_tensors; i++) {
        const lfm2_tensor *t = &w->tensors[i];
        uint64_t n_bad = 0;
        int rc = lfm2_weights_check(w);
        if (rc == 0) rc = verify_tensor(w, t, &n_bad);
        if (rc < 0) return rc;
        if (n_bad == 0) continue;
        if (n_bad_tensors++ == 0) first_bad = t;
        if (report) report(report_ctx, t, n_bad);
    }
    int rc = lfm2_weights_check(w);
    if (rc < 0) return rc;
    if (first_bad)
        return lfm2__fail(w->rt, LFM2_ERR_NONFINITE, "%s: tensor %s: has elements that are not finite (%zu such tensors)", w->file,
                          first_bad->name, n_bad_tensors);
    return 0;
}
