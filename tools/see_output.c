/* SPDX-License-Identifier: Apache-2.0
 * Documents of lfm2-see: one for each format, and in a folder one for each input, too. */
#include <stdlib.h>
#include <string.h>

#include "tools/see.h"

static const char *const endings[SEE_N_FORMATS] = {"txt", "json", "jsonl", "md", "hocr", "xml", "tsv"};

static int fail_write(tool *t, const see_document *d, int status)
{
    if (status == LFM2_ERR_IO && t->stdout_failed) return tool_flush(t); /* knows why */
    if (status == LFM2_ERR_IO && d->file.why) return 0; /* said when the file is closed */
    return tool_fail_status(t, status, TOOL_AT_OUTPUT, "output");
}

static int open_documents(see_output *o, const char *name)
{
    int f, rc = 0;

    for (f = 0; rc == 0 && f < SEE_N_FORMATS; f++) {
        see_document *d = &o->documents[f];
        char *path = NULL;
        if (!(o->formats >> f & 1)) continue;
        rc = tool_output_path(o->t, o->kind, o->formats, name, endings[f], &path);
        if (rc == 0) rc = tool_file_open(o->t, path, &d->file);
        d->is_open = rc == 0;
        free(path);
    }
    return rc;
}

static int write_entries(see_output *o, see_document *d, size_t from)
{
    const size_t n = o->n - from;
    lfm2_see_item *items = calloc(n + 1, sizeof *items);
    size_t i;
    int rc;

    if (!items) return tool_fail(o->t, TOOL_NOMEM, "output: %s", lfm2_strerror(LFM2_ERR_NOMEM));
    for (i = 0; i < n; i++) items[i] = o->entries[from + i].item;
    rc = lfm2_see_write(o->t->rt, d->format, items, (int32_t)n, tool_file_write, &d->file);
    free(items);
    return rc < 0 ? fail_write(o->t, d, rc) : 0;
}

static void drop_entries(see_output *o)
{
    size_t i;
    for (i = 0; i < o->n; i++) {
        lfm2_see_result_destroy(o->entries[i].result);
        free(o->entries[i].file);
    }
    o->n = 0;
}

static int close_documents(see_output *o, int keep)
{
    int f, rc = 0;

    for (f = 0; f < SEE_N_FORMATS; f++) {
        see_document *d = &o->documents[f];
        int closed;
        if (!d->is_open) continue;
        if (keep && rc == 0 && !d->is_streamed) rc = write_entries(o, d, 0);
        closed = tool_file_close(&d->file, keep && rc == 0);
        if (rc == 0) rc = closed;
        d->is_open = 0;
    }
    drop_entries(o);
    return rc;
}

int see_output_open(see_output *o, tool *t, int is_ocr)
{
    int f, rc;

    o->t = t;
    o->formats = cli_int(&t->cli, "format");
    rc = tool_output_kind_of(t, o->formats, &o->kind);
    for (f = 0; f < SEE_N_FORMATS; f++) {
        o->documents[f].format = (lfm2_see_format)f;
        o->documents[f].is_streamed = f == LFM2_SEE_FORMAT_JSONL || (f == LFM2_SEE_FORMAT_TEXT && !is_ocr);
    }
    return rc == 0 && o->kind != TOOL_TO_FOLDER ? open_documents(o, NULL) : rc;
}

int see_output_begin(see_output *o, const char *name)
{
    return o->kind == TOOL_TO_FOLDER ? open_documents(o, name) : 0;
}

int see_output_add(see_output *o, const lfm2_see_item *item, lfm2_see_result *result)
{
    see_entry *e;
    int f, rc = 0;

    if (o->n == o->cap) {
        const size_t cap = o->cap ? 2 * o->cap : 16;
        see_entry *grown = realloc(o->entries, cap * sizeof *grown);
        if (!grown) {
            lfm2_see_result_destroy(result);
            return tool_fail(o->t, TOOL_NOMEM, "output: %s", lfm2_strerror(LFM2_ERR_NOMEM));
        }
        o->entries = grown;
        o->cap = cap;
    }
    e = &o->entries[o->n++];
    e->item = *item;
    e->result = result;
    e->item.result = result;
    e->file = strdup(item->file);
    e->item.file = e->file;
    if (!e->file) rc = tool_fail(o->t, TOOL_NOMEM, "output: %s", lfm2_strerror(LFM2_ERR_NOMEM));
    int n_waiting = 0;
    for (f = 0; rc == 0 && f < SEE_N_FORMATS; f++) {
        see_document *d = &o->documents[f];
        if (!d->is_open) continue;
        if (d->is_streamed) rc = write_entries(o, d, o->n - 1);
        else n_waiting++;
    }
    if (rc == 0 && o->kind == TOOL_TO_STDOUT) rc = tool_flush(o->t);
    if (n_waiting == 0) drop_entries(o); /* so that a camera can go on for ever */
    return rc;
}

int see_output_end(see_output *o, int keep)
{
    return o->kind == TOOL_TO_FOLDER ? close_documents(o, keep) : 0;
}

int see_output_close(see_output *o, int keep)
{
    return o->kind != TOOL_TO_FOLDER ? close_documents(o, keep) : 0;
}

void see_output_fini(see_output *o)
{
    if (!o->t) return;
    (void)close_documents(o, 0);
    free(o->entries);
    memset(o, 0, sizeof *o);
}
