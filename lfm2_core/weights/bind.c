/* SPDX-License-Identifier: Apache-2.0
 * Binding of tensors to the places where a model wants them. */
#include "weights/bind.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/runtime_impl.h"
#include "base/str.h"
#include "weights/container.h"

#define MAX_NAMED 20 /* problems named in the log line; the rest is counted */
#define MAX_KEY_BYTES 256

lfm2__vec *lfm2__bind_vec(const lfm2__bind_row *row)
{
    return row->flags & LFM2__BIND_F32 ? (lfm2__vec *)(void *)((char *)row->dst - offsetof(lfm2__vec, src)) : NULL;
}

int lfm2__walk_table(const lfm2__table_walk *walk, const lfm2__table_row *rows, size_t n, void *base, int32_t layer, int32_t expert)
{
    for (size_t i = 0; i < n; i++) {
        lfm2__bind_row row = { .st_name = rows[i].st_name, .gguf_name = rows[i].gguf_name, .n_dims = rows[i].n_dims,
                               .flags = rows[i].flags, .dst = (lfm2__mat *)(void *)((char *)base + rows[i].place) };
        for (int32_t j = 0; j < row.n_dims; j++) row.dims[j] = walk->dims[rows[i].dims[j]];
        const int rc = walk->fn(walk->ctx, &row, layer, expert);
        if (rc < 0) return rc;
    }
    return 0;
}

typedef struct entry {
    const char *key; /* name without its prefix; NULL if no prefix fits */
    const lfm2_tensor *t;
    int used;
} entry;

struct lfm2__binder {
    const lfm2_weights *w;
    entry *entries; /* sorted by key */
    size_t n_entries;
    const char *const *allowed;
    lfm2__str report;
    size_t n_problems;
};

static int starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static const char *strip_prefix(const char *name, const char *const *prefixes)
{
    for (; *prefixes; prefixes++)
        if (starts_with(name, *prefixes)) return name + strlen(*prefixes);
    return NULL;
}

/* Entries without a key come last. */
static int compare_entries(const void *pa, const void *pb)
{
    const entry *a = pa;
    const entry *b = pb;

    if (!a->key || !b->key) return (a->key == NULL) - (b->key == NULL);
    int order = strcmp(a->key, b->key);
    return order != 0 ? order : strcmp(a->t->name, b->t->name);
}

/* Start the next problem in the report; 0 if it is only counted. */
static int begin_problem(lfm2__binder *b)
{
    if (++b->n_problems > MAX_NAMED) return 0;
    lfm2__str_puts(&b->report, b->n_problems > 1 ? "; " : "");
    return 1;
}

int lfm2__binder_create(const lfm2_weights *w, const char *const *st_prefixes, lfm2__binder **out)
{
    lfm2__binder *b = lfm2__calloc(w->rt, 1, sizeof *b);

    if (!b) return lfm2__fail(w->rt, LFM2_ERR_NOMEM, "%s: out of memory", w->file);
    b->w = w;
    lfm2__str_init(&b->report, w->rt);
    b->n_entries = w->n_tensors;
    if (b->n_entries > 0) {
        b->entries = lfm2__calloc(w->rt, b->n_entries, sizeof *b->entries);
        if (!b->entries) {
            lfm2__binder_destroy(b);
            return lfm2__fail(w->rt, LFM2_ERR_NOMEM, "%s: out of memory for %zu tensors", w->file, w->n_tensors);
        }
        for (size_t i = 0; i < b->n_entries; i++) {
            const char *name = w->tensors[i].name;
            b->entries[i].key = w->container == LFM2_CONTAINER_GGUF ? name : strip_prefix(name, st_prefixes);
            b->entries[i].t = &w->tensors[i];
        }
        qsort(b->entries, b->n_entries, sizeof *b->entries, compare_entries);
    }
    *out = b;
    return 0;
}

void lfm2__binder_destroy(lfm2__binder *b)
{
    if (!b) return;
    lfm2_runtime *rt = b->w->rt;
    lfm2__str_fini(&b->report);
    lfm2__free(rt, b->entries);
    lfm2__free(rt, b);
}

/* First entry of that key, or NULL. */
static entry *find_entry(lfm2__binder *b, const char *key)
{
    size_t lo = 0;
    size_t hi = b->n_entries;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const char *mid_key = b->entries[mid].key;
        if (mid_key && strcmp(mid_key, key) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == b->n_entries || !b->entries[lo].key || strcmp(b->entries[lo].key, key) != 0) return NULL;
    return &b->entries[lo];
}

/* Two names that mean the same, with different prefixes: which one is right cannot be told. */
static void refuse_ambiguous(lfm2__binder *b, const entry *first)
{
    for (entry *e = b->entries + (first - b->entries) + 1; e < b->entries + b->n_entries && e->key; e++) {
        if (strcmp(e->key, first->key) != 0) break;
        if (!e->used && begin_problem(b))
            lfm2__str_printf(&b->report, "%.64s and %.64s stand for the same tensor", first->t->name, e->t->name);
        e->used = 1;
    }
}

/* Write out a name with its "%d" filled in. */
static int expand_name(lfm2__str *s, const char *name, int32_t layer, int32_t expert)
{
    int32_t numbers[2] = {layer, expert};
    size_t n_used = 0;

    for (const char *mark = strstr(name, "%d"); mark && n_used < LFM2__COUNT_OF(numbers); mark = strstr(name, "%d")) {
        lfm2__str_put(s, name, (size_t)(mark - name));
        lfm2__str_printf(s, "%d", (int)numbers[n_used++]);
        name = mark + 2;
    }
    lfm2__str_puts(s, name);
    return s->status;
}

/* Copy dims without the ones; returns how many are left. */
static int32_t squeeze(const int64_t *dims, int32_t n_dims, int64_t *out)
{
    int32_t n = 0;

    for (int32_t i = 0; i < n_dims; i++)
        if (dims[i] != 1) out[n++] = dims[i];
    return n;
}

static int same_shape(const lfm2__bind_row *row, const lfm2_tensor *t)
{
    int64_t want[LFM2_MAX_DIMS];
    int64_t have[LFM2_MAX_DIMS];
    int32_t n_want = squeeze(row->dims, row->n_dims, want);
    int32_t n_have = squeeze(t->dims, t->n_dims, have);

    return n_want == n_have && memcmp(want, have, (size_t)n_want * sizeof *want) == 0;
}

static void put_shape(lfm2__str *s, const int64_t *dims, int32_t n_dims)
{
    lfm2__str_puts(s, "[");
    for (int32_t i = 0; i < n_dims; i++) lfm2__str_printf(s, i > 0 ? ",%lld" : "%lld", (long long)dims[i]);
    lfm2__str_puts(s, "]");
}

static void report_shape(lfm2__binder *b, const lfm2__bind_row *row, const lfm2_tensor *t)
{
    if (!begin_problem(b)) return;
    lfm2__str_printf(&b->report, "%.64s: shape ", t->name);
    put_shape(&b->report, t->dims, t->n_dims);
    lfm2__str_puts(&b->report, " instead of ");
    put_shape(&b->report, row->dims, row->n_dims);
}

static int is_scalar_float(lfm2_dtype t)
{
    return t == LFM2_DTYPE_F32 || t == LFM2_DTYPE_F16 || t == LFM2_DTYPE_BF16;
}

static void bind_entry(lfm2__binder *b, const lfm2__bind_row *row, const lfm2_tensor *t)
{
    lfm2__mat m = {.data = t->data, .dtype = t->dtype, .n_rows = 1, .n_cols = 1};

    if (!same_shape(row, t)) {
        report_shape(b, row, t);
        return;
    }
    /* The shape is that of a tensor in the file: its product does not overflow. */
    for (int32_t i = 0; i + 1 < row->n_dims; i++) m.n_rows *= row->dims[i];
    if (row->n_dims > 0) m.n_cols = row->dims[row->n_dims - 1];
    m.row_bytes = lfm2_dtype_row_bytes(t->dtype, m.n_cols);
    int wanted = row->flags & LFM2__BIND_F32 ? is_scalar_float(t->dtype) : (int)t->dtype < LFM2_DTYPE_N_COMPUTE;
    if (!wanted || m.row_bytes == 0) {
        if (begin_problem(b))
            lfm2__str_printf(&b->report, "%.64s: type %s does not fit here", t->name, lfm2_dtype_name(t->dtype));
        return;
    }
    *row->dst = m;
}

int lfm2__binder_add(lfm2__binder *b, const lfm2__bind_row *row, int32_t layer, int32_t expert)
{
    const char *name = b->w->container == LFM2_CONTAINER_GGUF ? row->gguf_name : row->st_name;
    lfm2__str key;

    if (!name) return 0;
    lfm2__str_init(&key, b->w->rt);
    int rc = expand_name(&key, name, layer, expert);
    if (rc == 0) {
        entry *e = find_entry(b, key.data);
        if (e) {
            refuse_ambiguous(b, e);
            e->used = 1;
            if (!(row->flags & LFM2__BIND_UNREAD)) bind_entry(b, row, e->t);
        } else if (!(row->flags & (LFM2__BIND_OPTIONAL | LFM2__BIND_UNREAD)) && begin_problem(b)) {
            lfm2__str_printf(&b->report, "%.64s is missing", key.data);
        }
    }
    lfm2__str_fini(&key);
    if (rc == 0) rc = b->report.status;
    return rc < 0 ? lfm2__fail(b->w->rt, rc, "%s: out of memory", b->w->file) : 0;
}

int lfm2__bind_tensor(void *binder, const lfm2__bind_row *row, int32_t layer, int32_t expert)
{
    return lfm2__binder_add(binder, row, layer, expert);
}

void lfm2__binder_allow(lfm2__binder *b, const char *const *prefixes)
{
    b->allowed = prefixes;
}

static int is_allowed(const lfm2__binder *b, const entry *e)
{
    for (const char *const *p = b->allowed; p && *p; p++)
        if (starts_with(e->t->name, *p) || (e->key && starts_with(e->key, *p))) return 1;
    return 0;
}

int lfm2__binder_finish(lfm2__binder *b)
{
    for (size_t i = 0; i < b->n_entries; i++) {
        const entry *e = &b->entries[i];
        if (!e->used && !is_allowed(b, e) && begin_problem(b))
            lfm2__str_printf(&b->report, "%.64s is not a tensor of this model", e->t->name);
    }
    if (b->n_problems == 0) return 0;
    if (b->report.status < 0) return lfm2__fail(b->w->rt, LFM2_ERR_NOMEM, "%s: out of memory", b->w->file);
    size_t n_more = b->n_problems > MAX_NAMED ? b->n_problems - MAX_NAMED : 0;
    return lfm2__fail(b->w->rt, LFM2_ERR_FORMAT, "%s: tensors: %zu problems (%zu of them not shown): %s", b->w->file, b->n_problems,
                      n_more, b->report.data);
}
