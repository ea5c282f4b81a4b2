/* SPDX-License-Identifier: Apache-2.0
 * Between the two container readers and the common view: what a reader makes of one file's bytes, and the limits of both. */
#ifndef LFM2__CONTAINER_H
#define LFM2__CONTAINER_H

#include "weights/weights_impl.h"

#define LFM2__MAX_TENSORS 65536u
#define LFM2__MAX_KVS 65536u
#define LFM2__MAX_NAME_BYTES 1024u
#define LFM2__MAX_ST_HEADER_BYTES 100000000u
#define LFM2__MAX_SHARDS 1024u
#define LFM2__ST_METADATA "__metadata__" /* the one key of a safetensors header that is no tensor */

/* What one file holds, tensors in file order. Keys, values and tensor data are borrowed from the bytes that were read. */
typedef struct lfm2__contents {
    lfm2_tensor *tensors;
    size_t n_tensors;
    char *names; /* the tensors' names, one after the other */
    lfm2__kv *kvs;
    size_t n_kv;
} lfm2__contents;

/* One file under an opened model. map is NULL where the bytes are the caller's. */
typedef struct lfm2__weights_file {
    lfm2__map *map;
    char *names;
} lfm2__weights_file;

struct lfm2_weights {
    lfm2_runtime *rt;
    char *path; /* as given to open */
    char *file; /* the file that was opened for it: the label of log lines */
    lfm2_container container;
    lfm2__weights_file *files;
    size_t n_files;
    uint64_t file_bytes;
    lfm2_tensor *tensors;
    size_t n_tensors;
    const lfm2_tensor **by_name; /* sorted by name */
    lfm2__kv *kvs;
    size_t n_kv;
    const lfm2__kv **by_key; /* sorted by key */
};

/* Read the structure of n bytes; label names the file in log lines. *out: written only on success, given back with
 * lfm2__contents_fini(). Duplicate names are left for the index over all files to find. Tensor data is not touched.
 * Returns 0; LFM2_ERR_FORMAT; LFM2_ERR_LIMIT; LFM2_ERR_UNSUPPORTED; LFM2_ERR_NOMEM. */
int lfm2__safetensors_parse(lfm2_runtime *rt, const char *label, const unsigned char *bytes, size_t n,
                            lfm2__contents *out) LFM2__NODISCARD;
int lfm2__gguf_parse(lfm2_runtime *rt, const char *label, const unsigned char *bytes, size_t n,
                     lfm2__contents *out) LFM2__NODISCARD;
void lfm2__contents_fini(lfm2_runtime *rt, lfm2__contents *c);

/* 1 if the bytes begin as a GGUF file does. */
int lfm2__is_gguf(const unsigned char *bytes, size_t n);

/* Fill files, tensors and file_bytes of w from a sharded safetensors index. What was filled by then stays on failure and
 * goes with lfm2_weights_close(). */
int lfm2__shards_open(lfm2_weights *w, const char *index_path) LFM2__NODISCARD;

/* Open n bytes in the caller's memory, which must outlive *out, as if they were a file called label. */
int lfm2__weights_open_bytes(lfm2_runtime *rt, const char *label, const void *bytes, size_t n, lfm2_weights **out) LFM2__NODISCARD;

/* Check a tensor's name or a metadata key: 1 to LFM2__MAX_NAME_BYTES of printable ASCII, so that it can stand in a log line. */
int lfm2__name_ok(const char *name, size_t n);

/* ggml's number of a type, -1 if it has none; and back, LFM2_DTYPE_COUNT for a number that is not in the table. */
int32_t lfm2__dtype_to_ggml(lfm2_dtype t);
lfm2_dtype lfm2__dtype_from_ggml(uint32_t ggml);

/* Bytes of a tensor of that shape, outermost dimension first. Dimensions of 0 are allowed. Returns 0, or -1 if a dimension is
 * negative, the last one is no multiple of the type's block, or the number of elements or bytes overflows. */
int lfm2__tensor_bytes(lfm2_dtype t, int32_t n_dims, const int64_t *dims, size_t *out) LFM2__NODISCARD;

static inline uint16_t lfm2__ld_u16(const unsigned char *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t lfm2__ld_u32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t lfm2__ld_u64(const unsigned char *p)
{
    return lfm2__ld_u32(p) | (uint64_t)lfm2__ld_u32(p + 4) << 32;
}

#endif
