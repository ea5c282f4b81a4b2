/* SPDX-License-Identifier: Apache-2.0
 * lfm2-model logits: one forward pass, its logits and the greedy continuation. */
#include <stdlib.h>
#include <string.h>

#include "tools/model_verbs.h"

typedef struct job {
    tool *t;
    int32_t *ids;
    size_t n_ids;
    int32_t n_greedy;
    int32_t *greedy; /* [n_greedy] */
    float *logits;   /* [n_vocab] of the last position */
    float *next;     /* [n_vocab] scratch */
    lfm2_session *session;
    lfm2_sampler *sampler;
} job;

static int defined(void *ctx, int32_t id)
{
    return lfm2_tokenizer_is_defined(ctx, id);
}

static int read_ids(job *j)
{
    tool *t = j->t;
    const char *list = cli_text(&t->cli, "ids");
    size_t cap = (size_t)lfm2_model_config(t->model)->n_ctx_max;
    model_turn turn = {0};
    json_out messages = {0};
    int rc;

    if (list) {
        rc = tool_parse_ids(t, list, &j->ids, &j->n_ids);
        if (rc == 0 && j->n_ids == 0) rc = tool_fail(t, TOOL_USAGE, "--ids: empty");
    } else {
        rc = tool_read_prompt(t, &turn.text, &turn.n);
        if (rc == 0) rc = model_messages(t, &turn, 1, &messages);
        if (rc == 0) rc = model_encode_messages(t, &messages, cap, &j->ids, &j->n_ids);
        json_fini(&messages);
        free(turn.text);
    }
    if (rc == 0 && j->n_ids + (size_t)j->n_greedy > cap) {
        rc = tool_fail(t, TOOL_MALFORMED, "prompt: %zu tokens and %d to come, but the context holds %zu", j->n_ids,
                       (int)j->n_greedy, cap);
    }
    return rc;
}

static int set_up(job *j)
{
    tool *t = j->t;
    const lfm2_config *c = lfm2_model_config(t->model);
    lfm2_session_params sp = lfm2_session_params_default(t->model);
    lfm2_sampler_params greedy = lfm2_sampler_params_default();
    int rc;
    size_t i;

    for (i = 0; i < j->n_ids; i++) {
        if (j->ids[i] >= c->n_vocab) {
            return tool_fail(t, TOOL_MALFORMED, "--ids: entry %zu is %d, but the model has ids 0 to %d", i + 1, (int)j->ids[i],
                             (int)c->n_vocab - 1);
        }
    }
    sp.cap_tok = (int32_t)j->n_ids + j->n_greedy;
    rc = lfm2_session_create(t->model, &sp, &j->session);
    if (rc == 0) rc = lfm2_sampler_create(t->rt, &greedy, c->n_vocab, defined, t->tok, &j->sampler);
    if (rc < 0) return tool_fail_status(t, rc, TOOL_AT_RUN, "session");
    j->logits = malloc((size_t)c->n_vocab * sizeof *j->logits);
    j->next = malloc((size_t)c->n_vocab * sizeof *j->next);
    j->greedy = malloc(((size_t)j->n_greedy + 1) * sizeof *j->greedy);
    if (!j->logits || !j->next || !j->greedy) return tool_fail(t, TOOL_NOMEM, "logits: %s", lfm2_strerror(LFM2_ERR_NOMEM));
    return 0;
}

static int forward(job *j, const int32_t *ids, size_t n, float *logits)
{
    lfm2_span span = {.n_tok = (int32_t)n, .ids = ids, .logits = LFM2_LOGITS_LAST};
    return lfm2_session_forward(j->session, &span, 1, logits, 1);
}

static int compute(job *j)
{
    tool *t = j->t;
    const float *logits = j->logits;
    int32_t i;
    int rc = forward(j, j->ids, j->n_ids, j->logits);

    for (i = 0; rc == 0 && i < j->n_greedy; i++) {
        rc = lfm2_sampler_next(j->sampler, logits, &j->greedy[i], NULL);
        if (rc == 0 && i + 1 < j->n_greedy) rc = forward(j, &j->greedy[i], 1, j->next);
        logits = j->next;
    }
    if (rc == LFM2_ERR_ABORTED && tool_deadline_passed()) rc = LFM2_ERR_DEADLINE;
    return rc < 0 ? tool_fail_status(t, rc, TOOL_AT_RUN, "logits") : 0;
}

static int save(job *j, const char *path)
{
    const lfm2_config *c = lfm2_model_config(j->t->model);
    lfm2_tensor tensor = {.name = "logits", .dtype = LFM2_DTYPE_F32, .n_dims = 1, .dims = {c->n_vocab}, .data = j->logits,
                          .n_bytes = (size_t)c->n_vocab * sizeof *j->logits};
    int rc = lfm2_safetensors_save(j->t->rt, path, &tensor, 1);

    return rc < 0 ? tool_fail_status(j->t, rc, TOOL_AT_OUTPUT, path) : 0;
}

/* What is to be printed is made first: once the file is there nothing but the printing itself can fail. */
static int save_and_print(job *j, const char *path)
{
    json_out out = {0};
    size_t i;
    int32_t k;
    int rc;

    json_begin_object(&out, NULL);
    json_begin_array(&out, "ids");
    for (i = 0; i < j->n_ids; i++) json_put_int(&out, NULL, j->ids[i]);
    json_end_array(&out);
    json_put_int(&out, "n_media_tokens", 0);
    json_begin_array(&out, "greedy");
    for (k = 0; k < j->n_greedy; k++) json_put_int(&out, NULL, j->greedy[k]);
    json_end_array(&out);
    json_end_object(&out);
    if (json_finish(&out) < 0) rc = tool_fail(j->t, TOOL_NOMEM, "result: %s", lfm2_strerror(LFM2_ERR_NOMEM));
    else rc = save(j, path);
    if (rc == 0) {
        tool_write(j->t, out.data, out.n);
        rc = tool_flush(j->t);
    }
    json_fini(&out);
    return rc;
}

int model_logits(tool *t)
{
    const char *path = cli_text(&t->cli, "output");
    job j = {.t = t, .n_greedy = (int32_t)cli_int(&t->cli, "max-tokens")};
    int rc;

    if (!path) return tool_fail(t, TOOL_USAGE, "no output: give -o OUT.safetensors");
    if (strcmp(path, "-") == 0) return tool_fail(t, TOOL_USAGE, "--output: the logits go to a file; standard output gets the ids");
    if (cli_text(&t->cli, "ids") && (cli_text(&t->cli, "prompt") || cli_text(&t->cli, "system"))) {
        return tool_fail(t, TOOL_USAGE, "--ids and --prompt or --system exclude each other");
    }
    if (!cli_text(&t->cli, "ids") && !cli_text(&t->cli, "prompt")) {
        return tool_fail(t, TOOL_USAGE, "no prompt: give --ids LIST or -p TEXT");
    }
    tool_start_deadline(t);
    rc = tool_open_model(t, NULL);
    if (rc == 0) rc = read_ids(&j);
    if (rc == 0) rc = set_up(&j);
    if (rc == 0) rc = compute(&j);
    if (rc == 0) rc = save_and_print(&j, path);
    lfm2_sampler_destroy(j.sampler);
    lfm2_session_destroy(j.session);
    free(j.greedy);
    free(j.next);
    free(j.logits);
    free(j.ids);
    return rc;
}
