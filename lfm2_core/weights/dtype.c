/* SPDX-License-Identifier: Apache-2.0
 * Element types: names, block sizes, sizes of rows and tensors. */
#include <strings.h>

#include "base/mathsafe.h"
#include "weights/container.h"

typedef struct dtype_info {
    const char *name;
    int32_t ggml;
    int32_t block_elems;
    int32_t block_bytes;
} dtype_info;

static const dtype_info infos[LFM2_DTYPE_COUNT] = {
#define DTYPE_INFO(name, ggml, elems, bytes, text) [LFM2_DTYPE_##name] = {text, ggml, elems, bytes},
    LFM2_DTYPE_MAP(DTYPE_INFO)
#undef DTYPE_INFO
};

static int is_dtype(lfm2_dtype t)
{
    return (unsigned)t < LFM2_DTYPE_COUNT;
}

const char *lfm2_dtype_name(lfm2_dtype t)
{
    return is_dtype(t) ? infos[t].name : "?";
}

lfm2_dtype lfm2_dtype_from_name(const char *name)
{
    for (int t = 0; name && t < LFM2_DTYPE_COUNT; t++)
        if (strcasecmp(name, infos[t].name) == 0) return (lfm2_dtype)t;
    return LFM2_DTYPE_COUNT;
}

int32_t lfm2_dtype_block_elems(lfm2_dtype t)
{
    return is_dtype(t) ? infos[t].block_elems : 0;
}

int32_t lfm2_dtype_block_bytes(lfm2_dtype t)
{
    return is_dtype(t) ? infos[t].block_bytes : 0;
}

size_t lfm2_dtype_row_bytes(lfm2_dtype t, int64_t n)
{
    size_t n_bytes;

    if (!is_dtype(t) || n <= 0 || n % infos[t].block_elems != 0) return 0;
    int64_t n_blocks = n / infos[t].block_elems;
    if ((uint64_t)n_blocks > SIZE_MAX) return 0;
    if (lfm2__mul_size((size_t)n_blocks, (size_t)infos[t].block_bytes, &n_bytes) < 0) return 0;
    return n_bytes;
}

int32_t lfm2__dtype_to_ggml(lfm2_dtype t)
{
    return is_dtype(t) ? infos[t].ggml : -1;
}

lfm2_dtype lfm2__dtype_from_ggml(uint32_t ggml)
{
    for (int t = 0; t < LFM2_DTYPE_COUNT; t++)
        if (infos[t].ggml >= 0 && (uint32_t)infos[t].ggml == ggml) return (lfm2_dtype)t;
    return LFM2_DTYPE_COUNT;
}

int lfm2__tensor_bytes(lfm2_dtype t, int32_t n_dims, const int64_t *dims, size_t *out)
{
    size_t n_elems = 1;
    size_t n_bytes;

    if (!is_dtype(t)) return -1;
    for (int32_t i = 0; i < n_dims; i++) {
        if (dims[i] < 0 || (uint64_t)dims[i] > SIZE_MAX) return -1;
        if (lfm2__mul_size(n_elems, (size_t)dims[i], &n_elems) < 0) return -1;
    }
    size_t block = (size_t)infos[t].block_elems;
    if ((n_dims > 0 ? (uint64_t)dims[n_dims - 1] : 1) % block != 0) return -1;
    if (lfm2__mul_size(n_elems / block, (size_t)infos[t].block_bytes, &n_bytes) < 0) return -1;
    *out = n_bytes;
    return 0;
}
