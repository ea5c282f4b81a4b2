/* SPDX-License-Identifier: Apache-2.0
 * One view of both containers: finding the file, the index by name, access. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mapfile.h"
#include "base/runtime_impl.h"
#include "base/str.h"
#include "weights/container.h"

int lfm2__name_ok(const char *name, size_t n)
{
    if (n == 0 || n > LFM2__MAX_NAME_BYTES) return 0;
    for (size_t i = 0; i < n; i++)
        if (name[i] < 0x20 || name[i] > 0x7e) return 0;
    return 1;
}

void lfm2__contents_fini(lfm2_runtime *rt, lfm2__contents *c)
{
    lfm2__free(rt, c->tensors);
    lfm2__free(rt, c->names);
    lfm2__free(rt, c->kvs);
    memset(c, 0, sizeof *c);
}

void lfm2_weights_close(lfm2_weights *w)
{
    if (!w) return;
    lfm2_runtime *rt = w->rt;
    for (size_t i = 0; i < w->n_files; i++) {
        lfm2__map_close(w->files[i].map);
        lfm2__free(rt, w->files[i].names);
    }
    lfm2__free(rt, w->files);
    lfm2__free(rt, w->tensors);
    lfm2__free(rt, w->by_name);
    lfm2__free(rt, w->kvs);
    lfm2__free(rt, w->by_key);
    lfm2__free(rt, w->path);
    lfm2__free(rt, w->file);
    lfm2__free(rt, w);
}

static int compare_tensors(const void *a, const void *b)
{
    return strcmp((*(const lfm2_tensor *const *)a)->name, (*(const lfm2_tensor *const *)b)->name);
}

static int compare_kvs(const void *pa, const void *pb)
{
    const lfm2__kv *a = *(const lfm2__kv *const *)pa;
    const lfm2__kv *b = *(const lfm2__kv *const *)pb;
    int order = memcmp(a->key, b->key, a->key_n < b->key_n ? a->key_n : b->key_n);

    if (order != 0) return order;
    return (a->key_n > b->key_n) - (a->key_n < b->key_n);
}

static int index_tensors(lfm2_weights *w)
{
    if (w->n_tensors == 0) return 0;
    w->by_name = lfm2__calloc(w->rt, w->n_tensors, sizeof *w->by_name);
    if (!w->by_name) return lfm2__fail(w->rt, LFM2_ERR_NOMEM, "%s: out of memory for the names", w->file);
    for (size_t i = 0; i < w->n_tensors; i++) w->by_name[i] = &w->tensors[i];
    qsort(w->by_name, w->n_tensors, sizeof *w->by_name, compare_tensors);
    for (size_t i = 1; i < w->n_tensors; i++)
        if (strcmp(w->by_name[i - 1]->name, w->by_name[i]->name) == 0)
            return lfm2__fail(w->rt, LFM2_ERR_FORMAT, "%s: tensor %s: name: occurs twice", w->file, w->by_name[i]->name);
    return 0;
}

static int index_kvs(lfm2_weights *w)
{
    if (w->n_kv == 0) return 0;
    w->by_key = lfm2__calloc(w->rt, w->n_kv, sizeof *w->by_key);
    if (!w->by_key) return lfm2__fail(w->rt, LFM2_ERR_NOMEM, "%s: out of memory for the keys", w->file);
    for (size_t i = 0; i < w->n_kv; i++) w->by_key[i] = &w->kvs[i];
    qsort(w->by_key, w->n_kv, sizeof *w->by_key, compare_kvs);
    for (size_t i = 1; i < w->n_kv; i++)
        if (compare_kvs(&w->by_key[i - 1], &w->by_key[i]) == 0)
            return lfm2__fail(w->rt, LFM2_ERR_FORMAT, "%s: metadata entry %.*s: key: occurs twice", w->file,
                              (int)w->by_key[i]->key_n, w->by_key[i]->key);
    return 0;
}

/* Parse the bytes of a model in one file into w, whose files[0] is there. */
static int read_single(lfm2_weights *w, const unsigned char *bytes, size_t n)
{
    lfm2__contents c = {0};
    int is_gguf = lfm2__is_gguf(bytes, n);
    int rc = is_gguf ? lfm2__gguf_parse(w->rt, w->file, bytes, n, &c) : lfm2__safetensors_parse(w->rt, w->file, bytes, n, &c);

    if (rc < 0) return rc;
    w->container = is_gguf ? LFM2_CONTAINER_GGUF : LFM2_CONTAINER_SAFETENSORS;
    w->file_bytes = n;
    w->files[0].names = c.names;
    w->tensors = c.tensors;
    w->n_tensors = c.n_tensors;
    w->kvs = c.kvs;
    w->n_kv = c.n_kv;
    return 0;
}

static int open_single(lfm2_weights *w)
{
    lfm2__map *map = NULL;
    int rc = lfm2__map_open(w->rt, w->file, &map);

    if (rc < 0) return rc;
    w->files = lfm2__calloc(w->rt, 1, sizeof *w->files);
    if (!w->files) {
        lfm2__map_close(map);
        return lfm2__fail(w->rt, LFM2_ERR_NOMEM, "%s: out of memory", w->file);
    }
    w->files[0].map = map;
    w->n_files = 1;
    return read_single(w, lfm2__map_data(map), lfm2__map_bytes(map));
}

static int ends_with(const char *text, const char *end)
{
    size_t n = strlen(text);
    size_t end_n = strlen(end);

    return n >= end_n && strcmp(text + n - end_n, end) == 0;
}

/* The one .gguf file of a folder. */
static int find_gguf(lfm2_runtime *rt, const char *folder, lfm2__str *file)
{
    size_t n_found = 0;
    size_t folder_n = file->n;
    DIR *dir = opendir(folder);

    if (!dir) {
        int rc = errno == ENOMEM ? LFM2_ERR_NOMEM : LFM2_ERR_IO;
        return lfm2__fail(rt, rc, "%s: cannot list the folder: %s", folder, strerror(errno));
    }
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        if (!ends_with(e->d_name, ".gguf")) continue;
        if (n_found++ == 0) lfm2__str_puts(file, e->d_name);
    }
    closedir(dir);
    if (n_found == 1) return file->status;
    file->n = folder_n;
    if (n_found == 0)
        return lfm2__fail(rt, LFM2_ERR_NOT_FOUND,
                          "%s: no model.safetensors, model.safetensors.index.json or .gguf file in the folder", folder);
    return lfm2__fail(rt, LFM2_ERR_NOT_FOUND, "%s: %zu .gguf files in the folder; name one of them", folder, n_found);
}

/* The file that stands for a folder: file holds the folder with its slash and gets the name put behind. */
static int find_in_folder(lfm2_runtime *rt, const char *folder, lfm2__str *file)
{
    static const char *const names[] = {"model.safetensors.index.json", "model.safetensors"};

    size_t folder_n = file->n;
    for (size_t i = 0; i < LFM2__COUNT_OF(names); i++) {
        struct stat st;
        lfm2__str_puts(file, names[i]);
        if (file->status < 0) return file->status;
        if (stat(file->data, &st) == 0) return 0;
        file->n = folder_n;
    }
    return find_gguf(rt, folder, file);
}

/* Which file a path means: itself, or one in the folder that it names. */
static int resolve(lfm2_runtime *rt, const char *path, char **out)
{
    struct stat st;
    lfm2__str file;
    int rc = 0;

    lfm2__str_init(&file, rt);
    lfm2__str_puts(&file, path);
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        if (!ends_with(path, "/")) lfm2__str_puts(&file, "/");
        rc = file.status < 0 ? file.status : find_in_folder(rt, path, &file);
    }
    if (rc == 0) rc = lfm2__str_take(&file, out, NULL);
    lfm2__str_fini(&file);
    return rc == LFM2_ERR_NOMEM ? lfm2__fail(rt, rc, "%s: out of memory", path) : rc;
}

static int create(lfm2_runtime *rt, const char *path, lfm2_weights **out)
{
    lfm2_weights *w = lfm2__calloc(rt, 1, sizeof *w);

    if (!w) return lfm2__fail(rt, LFM2_ERR_NOMEM, "%s: out of memory", path);
    w->rt = rt;
    w->path = lfm2__strndup(rt, path, strlen(path));
    if (!w->path) {
        lfm2_weights_close(w);
        return lfm2__fail(rt, LFM2_ERR_NOMEM, "%s: out of memory", path);
    }
    *out = w;
    return 0;
}

static int finish(lfm2_weights *w, int rc, lfm2_weights **out)
{
    if (rc == 0) rc = index_tensors(w);
    if (rc == 0) rc = index_kvs(w);
    if (rc < 0) {
        lfm2_weights_close(w);
        return rc;
    }
    *out = w;
    return 0;
}

int lfm2_weights_open(lfm2_runtime *rt, const char *path, lfm2_weights **out)
{
    lfm2_weights *w = NULL;

    if (!path || path[0] == '\0') return lfm2__fail(rt, LFM2_ERR_NOT_FOUND, "model path: is empty");
    int rc = create(rt, path, &w);
    if (rc < 0) return rc;
    rc = resolve(rt, path, &w->file);
    if (rc == 0) rc = ends_with(w->file, ".json") ? lfm2__shards_open(w, w->file) : open_single(w);
    return finish(w, rc, out);
}

int lfm2__weights_open_bytes(lfm2_runtime *rt, const char *label, const void *bytes, size_t n, lfm2_weights **out)
{
    lfm2_weights *w = NULL;
    int rc = create(rt, label, &w);

    if (rc < 0) return rc;
    w->file = lfm2__strndup(rt, label, strlen(label));
    w->files = lfm2__calloc(rt, 1, sizeof *w->files);
    if (w->file && w->files) {
        w->n_files = 1;
        rc = read_single(w, bytes, n);
    } else {
        rc = lfm2__fail(rt, LFM2_ERR_NOMEM, "%s: out of memory", label);
    }
    return finish(w, rc, out);
}

lfm2_container lfm2_weights_container(const lfm2_weights *w)
{
    return w->container;
}

const char *lfm2_weights_path(const lfm2_weights *w)
{
    return w->path;
}

size_t lfm2_weights_n_tensors(const lfm2_weights *w)
{
    return w->n_tensors;
}

uint64_t lfm2_weights_file_bytes(const lfm2_weights *w)
{
    return w->file_bytes;
}

const lfm2_tensor *lfm2_weights_tensor(const lfm2_weights *w, size_t i)
{
    return i < w->n_tensors ? &w->tensors[i] : NULL;
}

static int compare_name(const void *name, const void *t)
{
    return strcmp(name, (*(const lfm2_tensor *const *)t)->name);
}

const lfm2_tensor *lfm2_weights_find(const lfm2_weights *w, const char *name)
{
    if (w->n_tensors == 0) return NULL;
    const lfm2_tensor *const *found = bsearch(name, w->by_name, w->n_tensors, sizeof *w->by_name, compare_name);
    return found ? *found : NULL;
}

int lfm2_weights_check(const lfm2_weights *w)
{
    for (size_t i = 0; i < w->n_files; i++) {
        int rc = w->files[i].map ? lfm2__map_check(w->files[i].map) : 0;
        if (rc < 0) return rc;
    }
    return 0;
}

lfm2_runtime *lfm2__weights_runtime(const lfm2_weights *w)
{
    return w->rt;
}

int lfm2__weights_sibling(const lfm2_weights *w, const char *file_name, char **out)
{
    const char *slash = strrchr(w->file, '/');
    lfm2__str s;

    lfm2__str_init(&s, w->rt);
    lfm2__str_put(&s, w->file, slash ? (size_t)(slash - w->file) + 1 : 0);
    lfm2__str_puts(&s, file_name);
    int rc = lfm2__str_take(&s, out, NULL);
    lfm2__str_fini(&s);
    return rc < 0 ? lfm2__fail(w->rt, rc, "%s: out of memory", w->file) : 0;
}
