/* SPDX-License-Identifier: Apache-2.0
 * Sharded safetensors: the index says which tensor is in which file, and both sides must agree exactly. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mapfile.h"
#include "base/runtime_impl.h"
#include "base/str.h"
#include "weights/container.h"

#define MAX_INDEX_BYTES (32u << 20)
#define MAX_FILE_NAME_BYTES 255u

typedef struct index_file {
    lfm2_weights *w;
    const char *path;
    size_t dir_n; /* leading bytes of path that name its folder, slash included */
    const lfm2__json *map;
    const char **shards; /* file names, sorted, each once */
    size_t n_shards;
} index_file;

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A name in the index must stay inside the model's folder. */
static int is_plain_file_name(const char *name, size_t n)
{
    return n <= MAX_FILE_NAME_BYTES && lfm2__name_ok(name, n) && !strpbrk(name, "/\\") && !strstr(name, "..") &&
           strcmp(name, ".") != 0;
}

static int list_shards(index_file *x)
{
    lfm2_runtime *rt = x->w->rt;
    const char *key;
    size_t key_n;
    const lfm2__json *val;
    size_t n = 0;

    x->shards = lfm2__calloc(rt, lfm2__json_size(x->map), sizeof *x->shards);
    if (!x->shards) return lfm2__fail(rt, LFM2_ERR_NOMEM, "%s: out of memory for the index", x->path);
    for (void *it = NULL; lfm2__json_next(x->map, &it, &key, &key_n, &val); n++) {
        size_t name_n = 0;
        const char *name = lfm2__json_str(val, &name_n);
        if (!lfm2__name_ok(key, key_n))
            return lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: weight_map: tensor name %zu is empty, too long or not printable ASCII",
                              x->path, n);
        if (!name || !is_plain_file_name(name, name_n))
            return lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: weight_map: %s: is not a plain file name", x->path, key);
        x->shards[n] = name;
    }
    qsort(x->shards, n, sizeof *x->shards, compare_text);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(x->shards[i], x->shards[x->n_shards - 1]) != 0) x->shards[x->n_shards++] = x->shards[i];
    if (x->n_shards > LFM2__MAX_SHARDS)
        return lfm2__fail(rt, LFM2_ERR_LIMIT, "%s: weight_map: %zu files are over the limit of %u", x->path, x->n_shards,
                          LFM2__MAX_SHARDS);
    return 0;
}

/* Every tensor of a shard must be listed, and listed for this shard: so none can be in two. */
static int add_tensors(index_file *x, const char *shard, const lfm2__contents *c)
{
    lfm2_weights *w = x->w;

    for (size_t i = 0; i < c->n_tensors; i++) {
        const char *name = c->tensors[i].name;
        const char *listed = lfm2__json_str(lfm2__json_get(x->map, name), NULL);
        if (!listed)
            return lfm2__fail(w->rt, LFM2_ERR_FORMAT, "%s: weight_map: tensor %s of %s is not listed", x->path, name, shard);
        if (strcmp(listed, shard) != 0)
            return lfm2__fail(w->rt, LFM2_ERR_FORMAT, "%s: weight_map: tensor %s is in %s but listed for %s", x->path, name, shard,
                              listed);
    }
    /* The shard's names are unique (its JSON keys) and all listed, so the room for the index's entries is enough. */
    if (c->n_tensors > 0) memcpy(w->tensors + w->n_tensors, c->tensors, c->n_tensors * sizeof *c->tensors);
    w->n_tensors += c->n_tensors;
    return 0;
}

static int open_shard(index_file *x, const char *shard)
{
    lfm2_weights *w = x->w;
    lfm2__weights_file *file = &w->files[w->n_files];
    lfm2__str path;
    lfm2__contents c = {0};

    lfm2__str_init(&path, w->rt);
    lfm2__str_put(&path, x->path, x->dir_n);
    lfm2__str_puts(&path, shard);
    int rc = path.status;
    if (rc < 0) {
        rc = lfm2__fail(w->rt, rc, "%s: out of memory", x->path);
        goto done;
    }
    rc = lfm2__map_open(w->rt, path.data, &file->map);
    if (rc < 0) goto done;
    w->n_files++;
    w->file_bytes += lfm2__map_bytes(file->map);
    rc = lfm2__safetensors_parse(w->rt, path.data, lfm2__map_data(file->map), lfm2__map_bytes(file->map), &c);
    if (rc < 0) goto done;
    file->names = c.names;
    c.names = NULL;
    rc = add_tensors(x, shard, &c);
done:
    lfm2__contents_fini(w->rt, &c);
    lfm2__str_fini(&path);
    return rc;
}

/* All of every shard is listed; now all that is listed must have been found. */
static int refuse_missing(const index_file *x)
{
    lfm2_weights *w = x->w;
    const char *key;
    size_t key_n;
    const lfm2__json *val;
    int rc = 0;

    if (w->n_tensors == lfm2__json_size(x->map)) return 0;
    const char **found = lfm2__calloc(w->rt, w->n_tensors + 1, sizeof *found);
    if (!found) return lfm2__fail(w->rt, LFM2_ERR_NOMEM, "%s: out of memory for the index", x->path);
    for (size_t i = 0; i < w->n_tensors; i++) found[i] = w->tensors[i].name;
    qsort(found, w->n_tensors, sizeof *found, compare_text);
    for (void *it = NULL; rc == 0 && lfm2__json_next(x->map, &it, &key, &key_n, &val);)
        if (!bsearch(&key, found, w->n_tensors, sizeof *found, compare_text))
            rc = lfm2__fail(w->rt, LFM2_ERR_FORMAT, "%s: weight_map: tensor %s is not in %s", x->path, key,
                            lfm2__json_str(val, NULL));
    lfm2__free(w->rt, found);
    return rc;
}

static int open_all(index_file *x)
{
    lfm2_weights *w = x->w;
    size_t n_listed = lfm2__json_size(x->map);

    if (lfm2__json_typeof(x->map) != LFM2__JSON_OBJECT || n_listed == 0)
        return lfm2__fail(w->rt, LFM2_ERR_FORMAT, "%s: weight_map: is missing, empty or not an object", x->path);
    if (n_listed > LFM2__MAX_TENSORS)
        return lfm2__fail(w->rt, LFM2_ERR_LIMIT, "%s: weight_map: %zu tensors are over the limit of %u", x->path, n_listed,
                          LFM2__MAX_TENSORS);
    int rc = list_shards(x);
    if (rc < 0) return rc;
    w->files = lfm2__calloc(w->rt, x->n_shards, sizeof *w->files);
    w->tensors = lfm2__calloc(w->rt, n_listed, sizeof *w->tensors);
    if (!w->files || !w->tensors)
        return lfm2__fail(w->rt, LFM2_ERR_NOMEM, "%s: out of memory for %zu tensors", x->path, n_listed);
    for (size_t i = 0; i < x->n_shards; i++) {
        rc = open_shard(x, x->shards[i]);
        if (rc < 0) return rc;
    }
    return refuse_missing(x);
}

int lfm2__shards_open(lfm2_weights *w, const char *index_path)
{
    static const lfm2__json_limits limits = {.max_bytes = MAX_INDEX_BYTES, .max_depth = 16, .max_values = 4u * LFM2__MAX_TENSORS};
    lfm2__json_doc *doc = NULL;
    const char *slash = strrchr(index_path, '/');

    int rc = lfm2__json_load(w->rt, index_path, &limits, &doc);
    if (rc < 0) return rc;
    index_file x = {.w = w, .path = index_path, .map = lfm2__json_get(lfm2__json_root(doc), "weight_map")};
    x.dir_n = slash ? (size_t)(slash - index_path) + 1 : 0;
    w->container = LFM2_CONTAINER_SAFETENSORS;
    rc = open_all(&x);
    lfm2__free(w->rt, x.shards);
    lfm2__json_free(doc);
    return rc;
}
