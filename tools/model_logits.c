/* SPDX-License-Identifier: Apache-2.0
 * lfm2-model logits: one forward pass, its logits and the greedy continuation. */
#include <stdlib.h>
#include <string.h>

#include "tools/model_media.h"
#include "tools/model_verbs.h"

typedef struct job {
    tool *t;
    model_media media;
    int32_t *ids;          /* of --ids, or of the chat template, with a slot for the medium */
    size_t n_ids;
    lfm2_prompt *prompt;
    lfm2_span *spans;      /* of the prompt's parts */
    int32_t n_greedy;
    int32_t *greedy; /* [n_greedy] */
    float *logits;   /* [n_vocab] of the last position */
    float *next;     /* [n_vocab] scratch */
    lfm2_session *session;
    lfm2_sampler *sampler;
} job;

/* The user's turn (and the system's) as ids. A recording alone is there to be transcribed. */
static int read_turn(job *j, size_t cap)
{
    tool *t = j->t;
    const char *system = cli_text(&t->cli, "system");
    model_turn turn = {.slot = j->media.slot};
    json_out messages = {0};
    int rc = 0;

    if (cli_text(&t->cli, "prompt")) rc = tool_read_prompt(t, &turn.text, &turn.n);
    else if (j->media.slot == LFM2_SLOT_AUDIO && !system) system = "Perform ASR.";
    if (rc == 0) rc = model_messages(t, system, &turn, 1, &messages);
    if (rc == 0) rc = model_encode_messages(t, &messages, cap, &j->ids, &j->n_ids);
    json_fini(&messages);
    free(turn.text);
    return rc;
}

static int read_ids(job *j)
{
    tool *t = j->t;
    const char *list = cli_text(&t->cli, "ids");
    const int32_t cap = lfm2_model_config(t->model)->n_ctx_max, n_vocab = lfm2_model_config(t->model)->n_vocab;
    lfm2_media media;
    size_t i;
    int rc;

    if (list) {
        rc = tool_parse_ids(t, list, &j->ids, &j->n_ids);
        if (rc == 0 && j->n_ids == 0) rc = tool_fail(t, TOOL_USAGE, "--ids: empty");
    } else {
        rc = read_turn(j, (size_t)cap);
    }
    for (i = 0; rc == 0 && i < j->n_ids; i++) {
        if (j->ids[i] >= n_vocab) {
            rc = tool_fail(t, TOOL_MALFORMED, "--ids: entry %zu is %d, but the model has ids 0 to %d", i + 1, (int)j->ids[i],
                           (int)n_vocab - 1);
        }
    }
    if (rc == 0 && j->media.slot) rc = model_media_compute(&j->media);
    if (rc) return rc;
    media = model_media_slot(&j->media);
    rc = lfm2_prompt_create(t->tok, j->ids, j->n_ids, &media, j->media.slot ? 1 : 0, &j->prompt);
    if (rc < 0) return tool_fail_status(t, rc, TOOL_AT_MODEL, "prompt");
    if (lfm2_prompt_n_tok(j->prompt) > cap - j->n_greedy) {
        return tool_fail(t, TOOL_MALFORMED, "prompt: %d tokens and %d to come, but the context holds %d",
                         (int)lfm2_prompt_n_tok(j->prompt), (int)j->n_greedy, (int)cap);
    }
    return 0;
}

static int set_up(job *j)
{
    tool *t = j->t;
    const lfm2_config *c = lfm2_model_config(t->model);
    lfm2_session_params sp = lfm2_session_params_default(t->model);
    lfm2_sampler_params greedy = lfm2_sampler_params_default();
    int32_t n_parts = 0;
    int rc;

    (void)lfm2_prompt_parts(j->prompt, &n_parts);
    sp.cap_tok = lfm2_prompt_n_tok(j->prompt) + j->n_greedy;
    rc = lfm2_session_create(t->model, &sp, &j->session);
    if (rc == 0) rc = lfm2_sampler_create(t->rt, &greedy, c->n_vocab, tool_may_sample, t->tok, &j->sampler);
    if (rc < 0) return tool_fail_status(t, rc, TOOL_AT_RUN, "session");
    j->logits = malloc((size_t)c->n_vocab * sizeof *j->logits);
    j->next = malloc((size_t)c->n_vocab * sizeof *j->next);
    j->greedy = malloc(((size_t)j->n_greedy + 1) * sizeof *j->greedy);
    j->spans = calloc((size_t)n_parts, sizeof *j->spans);
    if (!j->logits || !j->next || !j->greedy || !j->spans) {
        return tool_fail(t, TOOL_NOMEM, "logits: %s", lfm2_strerror(LFM2_ERR_NOMEM));
    }
    return 0;
}

/* The prompt in one pass. */
static int read_prompt(job *j)
{
    int32_t n_parts = 0, i;
    const lfm2_prompt_part *parts = lfm2_prompt_parts(j->prompt, &n_parts);

    for (i = 0; i < n_parts; i++) {
        j->spans[i].n_tok = parts[i].n_tok;
        j->spans[i].ids = parts[i].ids;
        j->spans[i].embed = parts[i].embed;
        j->spans[i].logits = i + 1 < n_parts ? LFM2_LOGITS_NONE : LFM2_LOGITS_LAST;
    }
    return lfm2_session_forward(j->session, j->spans, n_parts, j->logits, 1);
}

static int forward(job *j, const int32_t *id)
{
    const lfm2_span span = {.n_tok = 1, .ids = id, .logits = LFM2_LOGITS_LAST};
    return lfm2_session_forward(j->session, &span, 1, j->next, 1);
}

static int compute(job *j)
{
    tool *t = j->t;
    const float *logits = j->logits;
    int32_t i;
    int rc = read_prompt(j);

    for (i = 0; rc == 0 && i < j->n_greedy; i++) {
        rc = lfm2_sampler_next(j->sampler, logits, &j->greedy[i], NULL);
        if (rc == 0 && i + 1 < j->n_greedy) rc = forward(j, &j->greedy[i]);
        logits = j->next;
    }
    if (rc == LFM2_ERR_ABORTED && tool_deadline_passed()) rc = LFM2_ERR_DEADLINE;
    return rc < 0 ? tool_fail_status(t, rc, TOOL_AT_RUN, "logits") : 0;
}

static lfm2_tensor matrix(const char *name, const float *data, int32_t n_rows, int32_t n_cols)
{
    const lfm2_tensor t = {.name = name, .dtype = LFM2_DTYPE_F32, .n_dims = 2, .dims = {n_rows, n_cols}, .data = data,
                           .n_bytes = (size_t)n_rows * (size_t)n_cols * sizeof *data};
    return t;
}

static int save(job *j, const char *path)
{
    const model_media *m = &j->media;
    const int32_t n_vocab = lfm2_model_config(j->t->model)->n_vocab;
    lfm2_tensor tensors[3] = {matrix("logits", j->logits, 1, n_vocab)};
    int rc;

    tensors[0].n_dims = 1;
    tensors[0].dims[0] = n_vocab;
    if (m->slot) {
        tensors[1] = matrix("embed", m->embed, m->n_tok, m->d_model);
        tensors[2] = matrix(m->vision ? "patches" : "mel", m->input, m->n_input, m->input_width);
    }
    rc = lfm2_safetensors_save(j->t->rt, path, tensors, m->slot ? 3 : 1);
    return rc < 0 ? tool_fail_status(j->t, rc, TOOL_AT_OUTPUT, path) : 0;
}

/* What is to be printed is made first: once the file is there nothing but the printing itself can fail. */
static int save_and_print(job *j, const char *path)
{
    json_out out = {0};
    int32_t n_ids = 0, i, k;
    const int32_t *ids = lfm2_prompt_ids(j->prompt, &n_ids);
    int rc;

    json_begin_object(&out, NULL);
    json_begin_array(&out, "ids");
    for (i = 0; i < n_ids; i++) json_put_int(&out, NULL, ids[i]);
    json_end_array(&out);
    json_put_int(&out, "n_media_tokens", lfm2_prompt_n_media_tok(j->prompt));
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

static int check_options(job *j, const char *path)
{
    tool *t = j->t;
    const cli *c = &t->cli;
    const int rc = model_media_choose(t, &j->media);

    if (rc) return rc;
    if (!path) return tool_fail(t, TOOL_USAGE, "no output: give -o OUT.safetensors");
    if (strcmp(path, "-") == 0) return tool_fail(t, TOOL_USAGE, "--output: the logits go to a file; standard output gets the ids");
    if (cli_text(c, "ids") && (cli_text(c, "prompt") || cli_text(c, "system") || j->media.slot)) {
        return tool_fail(t, TOOL_USAGE, "--ids and --prompt, --system, --image or --audio exclude each other");
    }
    if (!cli_text(c, "ids") && !cli_text(c, "prompt") && !j->media.slot) {
        return tool_fail(t, TOOL_USAGE, "no prompt: give --ids LIST, -p TEXT, --image FILE or --audio FILE");
    }
    return 0;
}

int model_logits(tool *t)
{
    const char *path = cli_text(&t->cli, "output"), *model_path = NULL;
    job j = {.t = t, .n_greedy = (int32_t)cli_int(&t->cli, "max-tokens")};
    int rc = check_options(&j, path);

    if (rc) return rc;
    tool_start_deadline(t);
    rc = tool_model_path(t, &model_path);
    if (rc == 0) rc = tool_open_model(t, model_path);
    if (rc == 0 && j.media.slot) rc = model_media_load(&j.media, model_path);
    if (rc == 0) rc = read_ids(&j);
    if (rc == 0) rc = set_up(&j);
    if (rc == 0) rc = compute(&j);
    if (rc == 0) rc = save_and_print(&j, path);
    lfm2_sampler_destroy(j.sampler);
    lfm2_session_destroy(j.session);
    lfm2_prompt_destroy(j.prompt);
    model_media_fini(&j.media);
    free(j.spans);
    free(j.greedy);
    free(j.next);
    free(j.logits);
    free(j.ids);
    return rc;
}
