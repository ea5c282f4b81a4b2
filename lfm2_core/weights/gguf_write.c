/* SPDX-License-Identifier: Apache-2.0
 * GGUF v3 writer. Metadata and tensor entries are gathered in memory; the first byte of data sends them to the file. */
#include "weights/gguf_write.h"

#include <string.h>

#include "base/mathsafe.h"
#include "base/runtime_impl.h"
#include "base/str.h"
#include "weights/container.h"
#include "weights/outfile.h"

#define ALIGNMENT 32u
#define VERSION 3u
#define MAX_GGUF_DIMS 4
#define MAX_GGUF_NAME_BYTES 63u /* what the format's other readers accept */

struct lfm2__gguf_writer {
    lfm2_runtime *rt;
    char *path;
    lfm2__outfile *file;
    int status; /* first error of a put */
    lfm2__str kvs;
    uint64_t n_kv;
    lfm2__str infos;
    size_t *tensor_bytes;
    size_t n_tensors;
    size_t cap_tensors;
    size_t next_offset; /* in the data, for the next tensor to be announced */
    int started;        /* header written */
    size_t present;     /* tensor that is being given its data */
    size_t present_n;   /* bytes of it so far */
};

int lfm2__gguf_write_create(lfm2_runtime *rt, const char *path, lfm2__gguf_writer **out)
{
    lfm2__gguf_writer *g = lfm2__calloc(rt, 1, sizeof *g);

    if (!g) return lfm2__fail(rt, LFM2_ERR_NOMEM, "%s: out of memory", path);
    g->rt = rt;
    lfm2__str_init(&g->kvs, rt);
    lfm2__str_init(&g->infos, rt);
    g->path = lfm2__strndup(rt, path, strlen(path));
    int rc = g->path ? lfm2__outfile_create(rt, path, &g->file) : lfm2__fail(rt, LFM2_ERR_NOMEM, "%s: out of memory", path);
    if (rc < 0) {
        lfm2__gguf_write_destroy(g);
        return rc;
    }
    *out = g;
    return 0;
}

void lfm2__gguf_write_destroy(lfm2__gguf_writer *g)
{
    if (!g) return;
    lfm2_runtime *rt = g->rt;
    lfm2__outfile_destroy(g->file);
    lfm2__str_fini(&g->kvs);
    lfm2__str_fini(&g->infos);
    lfm2__free(rt, g->tensor_bytes);
    lfm2__free(rt, g->path);
    lfm2__free(rt, g);
}

static int refuse(lfm2__gguf_writer *g, int status, const char *name, const char *why)
{
    g->status = lfm2__fail(g->rt, status, "%s: %.200s: %s", g->path, name, why);
    return g->status;
}

/* --- little-endian pieces --- */

static void put_le(lfm2__str *s, uint64_t v, size_t n_bytes)
{
    char bytes[8];

    for (size_t i = 0; i < n_bytes; i++) bytes[i] = (char)(v >> (8 * i) & 0xff);
    lfm2__str_put(s, bytes, n_bytes);
}

static void put_text(lfm2__str *s, const char *text, size_t n)
{
    put_le(s, n, 8);
    lfm2__str_put(s, text, n);
}

/* Key and type of the next value; 0 if it may follow. */
static int begin_kv(lfm2__gguf_writer *g, const char *key, size_t key_n, lfm2__kv_type type)
{
    if (g->status < 0) return -1;
    if (g->started) {
        refuse(g, LFM2_ERR_STATE, "metadata", "comes after tensor data");
        return -1;
    }
    if (!lfm2__name_ok(key, key_n)) {
        refuse(g, LFM2_ERR_ARG, "metadata key", "is empty, too long or not printable ASCII");
        return -1;
    }
    put_text(&g->kvs, key, key_n);
    put_le(&g->kvs, (uint64_t)type, 4);
    g->n_kv++;
    return 0;
}

void lfm2__gguf_put_u32(lfm2__gguf_writer *g, const char *key, uint32_t v)
{
    if (begin_kv(g, key, strlen(key), LFM2__KV_U32) == 0) put_le(&g->kvs, v, 4);
}

void lfm2__gguf_put_f32(lfm2__gguf_writer *g, const char *key, float v)
{
    uint32_t bits;

    memcpy(&bits, &v, sizeof bits);
    if (begin_kv(g, key, strlen(key), LFM2__KV_F32) == 0) put_le(&g->kvs, bits, 4);
}

void lfm2__gguf_put_bool(lfm2__gguf_writer *g, const char *key, int v)
{
    if (begin_kv(g, key, strlen(key), LFM2__KV_BOOL) == 0) put_le(&g->kvs, v != 0, 1);
}

void lfm2__gguf_put_str(lfm2__gguf_writer *g, const char *key, const char *s, size_t n)
{
    if (begin_kv(g, key, strlen(key), LFM2__KV_STRING) == 0) put_text(&g->kvs, s, n);
}

static int begin_array(lfm2__gguf_writer *g, const char *key, lfm2__kv_type elem_type, size_t n)
{
    if (begin_kv(g, key, strlen(key), LFM2__KV_ARRAY) < 0) return -1;
    put_le(&g->kvs, (uint64_t)elem_type, 4);
    put_le(&g->kvs, n, 8);
    return 0;
}

void lfm2__gguf_put_f32_array(lfm2__gguf_writer *g, const char *key, const float *v, size_t n)
{
    if (begin_array(g, key, LFM2__KV_F32, n) < 0) return;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &v[i], sizeof bits);
        put_le(&g->kvs, bits, 4);
    }
}

void lfm2__gguf_put_i32_array(lfm2__gguf_writer *g, const char *key, const int32_t *v, size_t n)
{
    if (begin_array(g, key, LFM2__KV_I32, n) < 0) return;
    for (size_t i = 0; i < n; i++) put_le(&g->kvs, (uint32_t)v[i], 4);
}

void lfm2__gguf_put_str_array(lfm2__gguf_writer *g, const char *key, const char *const *s, const size_t *lens, size_t n)
{
    if (begin_array(g, key, LFM2__KV_STRING, n) < 0) return;
    for (size_t i = 0; i < n; i++) put_text(&g->kvs, s[i], lens ? lens[i] : strlen(s[i]));
}

void lfm2__gguf_put_kv(lfm2__gguf_writer *g, const lfm2__kv *kv)
{
    static const char alignment[] = "general.alignment";

    /* This file has the default alignment, whatever the other one has. */
    if (kv->key_n == sizeof alignment - 1 && memcmp(kv->key, alignment, kv->key_n) == 0) return;
    if (begin_kv(g, kv->key, kv->key_n, kv->type) < 0) return;
    if (kv->type == LFM2__KV_ARRAY) {
        put_le(&g->kvs, (uint64_t)kv->elem_type, 4);
        put_le(&g->kvs, kv->n_elems, 8);
    }
    lfm2__str_put(&g->kvs, (const char *)kv->data, kv->n_bytes);
}

/* --- tensors --- */

static int grow_tensors(lfm2__gguf_writer *g)
{
    size_t cap = g->cap_tensors > 0 ? 2 * g->cap_tensors : 64;
    size_t *grown = lfm2__grow(g->rt, g->tensor_bytes, g->cap_tensors * sizeof *grown, cap * sizeof *grown);

    if (!grown) return refuse(g, LFM2_ERR_NOMEM, "tensors", "out of memory");
    g->tensor_bytes = grown;
    g->cap_tensors = cap;
    return 0;
}

int lfm2__gguf_put_tensor(lfm2__gguf_writer *g, const char *name, lfm2_dtype t, int32_t n_dims, const int64_t *dims)
{
    size_t n_bytes;
    size_t next;
    size_t name_n = strlen(name);

    if (g->status < 0) return g->status;
    if (g->started) return refuse(g, LFM2_ERR_STATE, "tensor", "is announced after tensor data");
    if (name_n > MAX_GGUF_NAME_BYTES || !lfm2__name_ok(name, name_n))
        return refuse(g, LFM2_ERR_ARG, "tensor name", "is empty, over 63 bytes or not printable ASCII");
    if (lfm2__dtype_to_ggml(t) < 0) return refuse(g, LFM2_ERR_ARG, name, "GGUF has no such element type");
    if (n_dims < 0 || n_dims > MAX_GGUF_DIMS) return refuse(g, LFM2_ERR_ARG, name, "GGUF has at most 4 dimensions");
    if (lfm2__tensor_bytes(t, n_dims, dims, &n_bytes) < 0 || n_bytes == 0)
        return refuse(g, LFM2_ERR_ARG, name, "the shape is empty, overflows or does not suit the type's block");
    if (lfm2__add_size(g->next_offset, n_bytes, &next) < 0 || lfm2__align_size(next, ALIGNMENT, &next) < 0)
        return refuse(g, LFM2_ERR_ARG, name, "the file's size overflows");
    if (g->n_tensors == g->cap_tensors && grow_tensors(g) < 0) return g->status;

    put_text(&g->infos, name, name_n);
    put_le(&g->infos, (uint64_t)n_dims, 4);
    for (int32_t i = n_dims - 1; i >= 0; i--) put_le(&g->infos, (uint64_t)dims[i], 8);
    put_le(&g->infos, (uint64_t)lfm2__dtype_to_ggml(t), 4);
    put_le(&g->infos, g->next_offset, 8);
    g->tensor_bytes[g->n_tensors++] = n_bytes;
    g->next_offset = next;
    return 0;
}

/* --- file --- */

static int write_padding(lfm2__gguf_writer *g, size_t n_before)
{
    static const unsigned char zeros[ALIGNMENT];

    return lfm2__outfile_write(g->file, zeros, (ALIGNMENT - n_before % ALIGNMENT) % ALIGNMENT);
}

static int write_header(lfm2__gguf_writer *g)
{
    lfm2__str head;

    g->started = 1;
    lfm2__str_init(&head, g->rt);
    lfm2__str_put(&head, "GGUF", 4);
    put_le(&head, VERSION, 4);
    put_le(&head, g->n_tensors, 8);
    put_le(&head, g->n_kv, 8);
    int rc = 0;
    if (head.status < 0 || g->kvs.status < 0 || g->infos.status < 0) rc = refuse(g, LFM2_ERR_NOMEM, "header", "out of memory");
    if (rc == 0) rc = lfm2__outfile_write(g->file, head.data, head.n);
    if (rc == 0) rc = lfm2__outfile_write(g->file, g->kvs.data, g->kvs.n);
    if (rc == 0) rc = lfm2__outfile_write(g->file, g->infos.data, g->infos.n);
    if (rc == 0) rc = write_padding(g, head.n + g->kvs.n + g->infos.n);
    lfm2__str_fini(&head);
    if (rc < 0) g->status = rc;
    return rc;
}

int lfm2__gguf_write_data(lfm2__gguf_writer *g, const void *data, size_t n_bytes)
{
    if (g->status < 0) return g->status;
    if (!g->started && write_header(g) < 0) return g->status;
    if (g->present >= g->n_tensors || n_bytes > g->tensor_bytes[g->present] - g->present_n)
        return refuse(g, LFM2_ERR_STATE, "tensor data", "more bytes than were announced");
    g->present_n += n_bytes;
    g->status = lfm2__outfile_write(g->file, data, n_bytes);
    return g->status;
}

int lfm2__gguf_end_tensor(lfm2__gguf_writer *g)
{
    if (g->status < 0) return g->status;
    if (g->present >= g->n_tensors || g->present_n != g->tensor_bytes[g->present])
        return refuse(g, LFM2_ERR_STATE, "tensor data", "fewer bytes than were announced");
    g->status = write_padding(g, g->present_n);
    g->present++;
    g->present_n = 0;
    return g->status;
}

int lfm2__gguf_write_finish(lfm2__gguf_writer *g)
{
    if (g->status < 0) return g->status;
    if (g->present != g->n_tensors) return refuse(g, LFM2_ERR_STATE, "tensor data", "tensors were announced but not written");
    if (!g->started && write_header(g) < 0) return g->status;
    g->status = lfm2__outfile_commit(g->file);
    return g->status;
}
