/* SPDX-License-Identifier: Apache-2.0
 * lfm2-model verify: hashes, finite weights, complete tensors. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/manifest.h"
#include "tools/model_verbs.h"

typedef struct verdict {
    tool *t;
    json_out bad; /* list of tensors with values that are not finite */
    uint64_t n_bad_tensors;
} verdict;

static void on_bad_tensor(void *ctx, const lfm2_tensor *tensor, uint64_t n_bad)
{
    verdict *v = ctx;

    tool_fail(v->t, TOOL_MODEL, "%s: %llu values are not finite", tensor->name, (unsigned long long)n_bad);
    v->n_bad_tensors++;
    json_begin_object(&v->bad, NULL);
    json_put_text(&v->bad, "name", tensor->name);
    json_put_int(&v->bad, "n_bad", (int64_t)n_bad);
    json_end_object(&v->bad);
}

/* The list to compare with: --manifest, or SHA256SUMS beside the files; *list NULL for none, freed by the caller. */
static int find_list(tool *t, const manifest *m, char **list)
{
    static const char name[] = "SHA256SUMS";
    const char *given = cli_text(&t->cli, "manifest");
    size_t n = strlen(m->folder) + sizeof name;

    *list = NULL;
    if (cli_flag(&t->cli, "no-verify")) return 0;
    *list = given ? strdup(given) : malloc(n);
    if (!*list) return tool_fail(t, TOOL_NOMEM, "list of hashes: %s", lfm2_strerror(LFM2_ERR_NOMEM));
    if (given) return 0;
    snprintf(*list, n, "%s%s", m->folder, name);
    if (access(*list, F_OK) != 0) {
        free(*list);
        *list = NULL;
    }
    return 0;
}

static int check_contents(tool *t, const char *path, verdict *v)
{
    int rc = lfm2_model_load(t->rt, path, &t->model);

    if (rc == 0) rc = lfm2_weights_verify(lfm2_model_weights(t->model), on_bad_tensor, v);
    return rc < 0 ? tool_fail_status(t, rc, TOOL_AT_MODEL, path) : tool_load_tokenizer(t, path);
}

static void put_files(json_out *j, const manifest *m)
{
    size_t i;

    json_begin_array(j, "files");
    for (i = 0; i < m->n_files; i++) {
        const manifest_file *f = &m->files[i];
        json_begin_object(j, NULL);
        json_put_text(j, "name", f->name);
        json_put_int(j, "bytes", (int64_t)f->n_bytes);
        json_put_text(j, "sha256", f->hex);
        if (f->match == MANIFEST_NOT_LISTED) json_put_null(j, "match");
        else json_put_bool(j, "match", f->match == MANIFEST_MATCHES);
        json_end_object(j);
    }
    json_end_array(j);
}

static int print_json(tool *t, const manifest *m, verdict *v, int rc)
{
    json_out j = {0};

    json_end_array(&v->bad);
    if (json_finish(&v->bad) < 0) return tool_fail(t, TOOL_NOMEM, "result: %s", lfm2_strerror(LFM2_ERR_NOMEM));
    json_begin_object(&j, NULL);
    json_put_int(&j, "schema_version", 1);
    json_put_bool(&j, "ok", rc == 0);
    put_files(&j, m);
    json_put_text(&j, "manifest", m->list_path);
    json_put_bool(&j, "complete", t->model != NULL); /* every tensor there, with its shape, and the tokenizer */
    if (t->model) json_put_int(&j, "tensors", (int64_t)lfm2_weights_n_tensors(lfm2_model_weights(t->model)));
    json_put_raw(&j, "not_finite", v->bad.data, v->bad.n - 1);
    json_end_object(&j);
    return tool_write_json(t, &j);
}

int model_verify(tool *t)
{
    const char *path = t->cli.n_args ? t->cli.args[0] : NULL;
    manifest m = {0};
    verdict v = {.t = t};
    char *list = NULL;
    size_t i;
    int rc = path ? 0 : tool_model_path(t, &path), printed = 0;

    json_begin_array(&v.bad, NULL);
    if (rc == 0) rc = tool_open_runtime(t);
    if (rc == 0) rc = manifest_hash(t, path, &m);
    if (rc) goto end;
    rc = find_list(t, &m, &list);
    if (rc) goto end;
    if (list) rc = manifest_compare(t, &m, list);
    else tool_note(t, 1, "%s: no list of hashes to compare with", path);
    free(list);
    if (rc == 0) rc = check_contents(t, path, &v);

    if (cli_flag(&t->cli, "json")) {
        printed = print_json(t, &m, &v, rc);
    } else {
        char line[LFM2_SHA256_HEX_BYTES + 2];
        for (i = 0; i < m.n_files; i++) {
            snprintf(line, sizeof line, "%s  ", m.files[i].hex);
            tool_write(t, line, strlen(line));
            tool_write(t, m.files[i].name, strlen(m.files[i].name));
            tool_write(t, "\n", 1);
        }
        printed = tool_flush(t);
    }
    if (rc == 0) rc = printed;
    if (rc == 0) {
        tool_note(t, 0, "%s: %zu files, %zu tensors: complete and finite%s", path, m.n_files,
                  lfm2_weights_n_tensors(lfm2_model_weights(t->model)), m.list_path ? ", hashes as listed" : "");
    }
end:
    json_fini(&v.bad);
    manifest_fini(&m);
    return rc;
}
