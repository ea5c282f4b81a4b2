/* SPDX-License-Identifier: Apache-2.0
 * safetensors writer. */
#include <stdlib.h>
#include <string.h>

#include "base/mathsafe.h"
#include "base/runtime_impl.h"
#include "base/str.h"
#include "weights/container.h"
#include "weights/outfile.h"

#define HEADER_ALIGNMENT 8u

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_tensor(lfm2_runtime *rt, const char *path, const lfm2_tensor *t)
{
    size_t n_bytes;

    if (!t->name || !lfm2__name_ok(t->name, strlen(t->name)) || strcmp(t->name, LFM2__ST_METADATA) == 0)
        return lfm2__fail(rt, LFM2_ERR_ARG, "%s: tensor name: is empty, too long, reserved or not printable ASCII", path);
    if (lfm2_dtype_block_elems(t->dtype) != 1)
        return lfm2__fail(rt, LFM2_ERR_ARG, "%s: tensor %s: dtype: safetensors has no such element type", path, t->name);
    if (t->n_dims < 0 || t->n_dims > LFM2_MAX_DIMS || lfm2__tensor_bytes(t->dtype, t->n_dims, t->dims, &n_bytes) < 0 ||
        n_bytes != t->n_bytes || (n_bytes > 0 && !t->data))
        return lfm2__fail(rt, LFM2_ERR_ARG, "%s: tensor %s: shape and data do not fit together", path, t->name);
    return 0;
}

static int check_names(lfm2_runtime *rt, const char *path, const lfm2_tensor *tensors, size_t n_tensors)
{
    int rc = 0;

    if (n_tensors < 2) return 0;
    const char **names = lfm2__calloc(rt, n_tensors, sizeof *names);
    if (!names) return lfm2__fail(rt, LFM2_ERR_NOMEM, "%s: out of memory", path);
    for (size_t i = 0; i < n_tensors; i++) names[i] = tensors[i].name;
    qsort(names, n_tensors, sizeof *names, compare_names);
    for (size_t i = 1; i < n_tensors && rc == 0; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            rc = lfm2__fail(rt, LFM2_ERR_ARG, "%s: tensor %s: name: occurs twice", path, names[i]);
    lfm2__free(rt, names);
    return rc;
}

/* Names are printable ASCII: only two characters need an escape. */
static void put_name(lfm2__str *s, const char *name)
{
    for (const char *c = name; *c; c++) {
        if (*c == '"' || *c == '\\') lfm2__str_put(s, "\\", 1);
        lfm2__str_put(s, c, 1);
    }
}

static int make_header(lfm2_runtime *rt, const char *path, const lfm2_tensor *tensors, size_t n_tensors, lfm2__str *s)
{
    size_t at = 0;

    lfm2__str_puts(s, "{");
    for (size_t i = 0; i < n_tensors; i++) {
        const lfm2_tensor *t = &tensors[i];
        size_t end;
        if (lfm2__add_size(at, t->n_bytes, &end) < 0)
            return lfm2__fail(rt, LFM2_ERR_ARG, "%s: tensor %s: the file's size overflows", path, t->name);
        lfm2__str_puts(s, i > 0 ? ",\"" : "\"");
        put_name(s, t->name);
        lfm2__str_printf(s, "\":{\"dtype\":\"%s\",\"shape\":[", lfm2_dtype_name(t->dtype));
        for (int32_t d = 0; d < t->n_dims; d++) lfm2__str_printf(s, d > 0 ? ",%lld" : "%lld", (long long)t->dims[d]);
        lfm2__str_printf(s, "],\"data_offsets\":[%zu,%zu]}", at, end);
        at = end;
    }
    lfm2__str_puts(s, "}");
    while (s->status == 0 && s->n % HEADER_ALIGNMENT != 0) lfm2__str_puts(s, " ");
    if (s->status < 0) return lfm2__fail(rt, s->status, "%s: out of memory", path);
    return 0;
}

static int write_file(lfm2_runtime *rt, const char *path, const lfm2__str *header, const lfm2_tensor *tensors, size_t n_tensors)
{
    unsigned char header_n[8];
    lfm2__outfile *f = NULL;
    int rc = lfm2__outfile_create(rt, path, &f);

    if (rc < 0) return rc;
    for (size_t i = 0; i < sizeof header_n; i++) header_n[i] = (unsigned char)((uint64_t)header->n >> (8 * i) & 0xff);
    rc = lfm2__outfile_write(f, header_n, sizeof header_n);
    if (rc == 0) rc = lfm2__outfile_write(f, header->data, header->n);
    for (size_t i = 0; i < n_tensors && rc == 0; i++) rc = lfm2__outfile_write(f, tensors[i].data, tensors[i].n_bytes);
    if (rc == 0) rc = lfm2__outfile_commit(f);
    lfm2__outfile_destroy(f);
    return rc;
}

int lfm2_safetensors_save(lfm2_runtime *rt, const char *path, const lfm2_tensor *tensors, size_t n_tensors)
{
    lfm2__str header;

    for (size_t i = 0; i < n_tensors; i++) {
        int rc = check_tensor(rt, path, &tensors[i]);
        if (rc < 0) return rc;
    }
    int rc = check_names(rt, path, tensors, n_tensors);
    if (rc < 0) return rc;
    lfm2__str_init(&header, rt);
    rc = make_header(rt, path, tensors, n_tensors, &header);
    if (rc == 0) rc = write_file(rt, path, &header, tensors, n_tensors);
    lfm2__str_fini(&header);
    return rc;
}
