/* SPDX-License-Identifier: Apache-2.0
 * lfm2-model generate: text from a prompt, once or in turns. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/model_verbs.h"

#define MAX_LINE_BYTES ((size_t)1 << 20) /* of a turn on standard input */

typedef struct text_buffer {
    char *data;
    size_t n, cap;
    int failed;
} text_buffer;

typedef struct job {
    tool *t;
    lfm2_session *session;
    lfm2_sampler *sampler;
    float *logits; /* [n_vocab] */
    int32_t cap_tok;
    int as_json, show_special;

    int32_t *held; /* [cap_tok] ids known to be in the sequence */
    size_t n_held;

    /* of the present turn */
    size_t n_prompt, n_fed; /* ids of the prompt, and how many of them were not in the sequence already */
    size_t n_reply;         /* ids of the answer, at the end of held */
    int64_t start_us, first_us;
    lfm2_utf8_stream utf8;
    text_buffer text;
} job;

static void put_text(text_buffer *b, const char *bytes, size_t n)
{
    if (b->failed) return;
    if (n > b->cap - b->n) {
        size_t cap = 2 * (b->n + n) + 256;
        char *grown = realloc(b->data, cap);
        if (!grown) {
            b->failed = 1;
            return;
        }
        b->data = grown;
        b->cap = cap;
    }
    memcpy(b->data + b->n, bytes, n);
    b->n += n;
}

/* Whole characters: kept, and shown at once. */
static void show(job *j, const char *bytes, size_t n)
{
    if (n == 0) return;
    put_text(&j->text, bytes, n);
    if (j->as_json) return;
    tool_write(j->t, bytes, n);
    tool_flush(j->t);
}

static int on_token(void *ctx, int32_t id, float logprob)
{
    job *j = ctx;
    size_t n, n_out;
    const char *bytes = lfm2_tokenizer_bytes(j->t->tok, id, &n);
    char out[256 * 3 + 12];

    (void)logprob;
    if (!j->first_us) j->first_us = tool_now_us();
    if (j->n_held < (size_t)j->cap_tok) {
        j->held[j->n_held++] = id;
        j->n_reply++;
    }
    if (!bytes || (lfm2_tokenizer_is_special(j->t->tok, id) && !j->show_special)) return 0;
    while (n > 0) {
        size_t piece = n < 256 ? n : 256;
        lfm2_utf8_push(&j->utf8, bytes, piece, out, &n_out);
        show(j, out, n_out);
        bytes += piece;
        n -= piece;
    }
    return j->t->stdout_failed || j->text.failed;
}

/* --- set-up --- */

static int set_up(job *j)
{
    tool *t = j->t;
    const int32_t n_vocab = lfm2_model_config(t->model)->n_vocab;
    lfm2_session_params sp = lfm2_session_params_default(t->model);
    lfm2_sampler_params sampler = tool_sampling(t, 0);
    int rc = model_context(t, &sp.cap_tok);

    if (rc) return rc;
    j->cap_tok = sp.cap_tok;
    rc = lfm2_session_create(t->model, &sp, &j->session);
    if (rc == 0) rc = lfm2_sampler_create(t->rt, &sampler, n_vocab, tool_may_sample, t->tok, &j->sampler);
    if (rc < 0) return tool_fail_status(t, rc, TOOL_AT_RUN, "session");
    j->logits = malloc((size_t)n_vocab * sizeof *j->logits);
    j->held = malloc((size_t)j->cap_tok * sizeof *j->held);
    if (!j->logits || !j->held) return tool_fail(t, TOOL_NOMEM, "session: %s", lfm2_strerror(LFM2_ERR_NOMEM));
    return 0;
}

/* --- one turn --- */

static int print_json(job *j, const lfm2_generation *g, const char *stop, int64_t end_us)
{
    int64_t first_us = j->first_us ? j->first_us : end_us;
    json_out out = {0};

    json_begin_object(&out, NULL);
    json_put_int(&out, "schema_version", 1);
    json_put_text_n(&out, "text", j->text.n ? j->text.data : "", j->text.n);
    json_put_text(&out, "stop", stop);
    json_begin_object(&out, "tokens");
    json_put_int(&out, "prompt", (int64_t)j->n_prompt);
    json_put_int(&out, "output", g->n_tok);
    json_end_object(&out);
    if (g->n_tok) json_put_real(&out, "mean_logprob", g->sum_logprob / g->n_tok);
    else json_put_null(&out, "mean_logprob");
    json_begin_object(&out, "timing_ms");
    json_put_real(&out, "load", j->t->load_ms);
    json_put_real(&out, "prefill", (double)(first_us - j->start_us) / 1e3);
    json_put_real(&out, "generate", (double)(end_us - first_us) / 1e3);
    json_end_object(&out);
    json_end_object(&out);
    return tool_write_json(j->t, &out);
}

static int finish_turn(job *j, const lfm2_generation *g)
{
    tool *t = j->t;
    int64_t end_us = tool_now_us();
    int late = g->stop == LFM2_STOP_DEADLINE || (g->stop == LFM2_STOP_ABORT && tool_deadline_passed());
    const char *stop = late ? lfm2_stop_name(LFM2_STOP_DEADLINE) : lfm2_stop_name(g->stop);
    char tail[12];
    size_t n_tail;
    int rc;

    lfm2_utf8_finish(&j->utf8, tail, &n_tail);
    show(j, tail, n_tail);
    if (j->text.failed) return tool_fail(t, TOOL_NOMEM, "text: %s", lfm2_strerror(LFM2_ERR_NOMEM));
    if (!j->as_json) tool_write(t, "\n", 1);
    rc = j->as_json ? print_json(j, g, stop, end_us) : tool_flush(t);
    tool_note(t, 1, "stop: %s; tokens: %zu prompt (%zu new), %d output", stop, j->n_prompt, j->n_fed, (int)g->n_tok);
    if (rc) return rc;
    if (late) return tool_fail(t, TOOL_DEADLINE, "generate: %s", lfm2_strerror(LFM2_ERR_DEADLINE));
    return g->stop == LFM2_STOP_ABORT ? tool_fail(t, TOOL_DEADLINE, "generate: %s", lfm2_strerror(LFM2_ERR_ABORTED)) : 0;
}

/* Shorten the sequence to what it has in common with the prompt, which is what need not be computed again. */
static int keep_common(job *j, const int32_t *ids, size_t n_ids)
{
    size_t n = 0;
    int rc;

    while (n < j->n_held && n + 1 < n_ids && j->held[n] == ids[n]) n++;
    rc = lfm2_session_truncate(j->session, 0, (int32_t)n);
    if (rc == LFM2_ERR_STATE) {
        n = 0;
        rc = lfm2_session_clear(j->session, 0);
    }
    j->n_held = n;
    return rc;
}

static int run_turn(job *j, const int32_t *ids, size_t n_ids)
{
    tool *t = j->t;
    lfm2_generate_params p = lfm2_generate_params_default();
    lfm2_generation g;
    int rc = keep_common(j, ids, n_ids);

    p.max_tok = (int32_t)cli_int(&t->cli, "max-tokens");
    p.end_ids = lfm2_tokenizer_end_ids(t->tok, &p.n_end_ids);
    p.deadline_us = tool_deadline_left_us(t);
    j->n_prompt = n_ids;
    j->n_fed = n_ids - j->n_held;
    j->n_reply = 0;
    j->text.n = 0;
    j->first_us = 0;
    j->start_us = tool_now_us();
    memset(&j->utf8, 0, sizeof j->utf8);
    if (rc == 0) {
        const int32_t *fed = ids + j->n_held;
        memcpy(j->held, ids, n_ids * sizeof *ids);
        j->n_held = n_ids;
        rc = lfm2_generate(j->session, 0, fed, (int32_t)j->n_fed, j->sampler, &p, j->logits, on_token, j, &g);
    }
    return rc < 0 ? tool_fail_status(t, rc, TOOL_AT_RUN, "generate") : finish_turn(j, &g);
}

static int run_raw(job *j)
{
    char *text = NULL;
    int32_t *ids = NULL;
    size_t n, n_ids;
    int rc = tool_read_prompt(j->t, &text, &n);

    if (rc == 0) rc = model_encode_raw(j->t, text, n, (size_t)j->cap_tok, &ids, &n_ids);
    if (rc == 0) rc = run_turn(j, ids, n_ids);
    free(ids);
    free(text);
    return rc;
}

/* --- several turns --- */

typedef struct talk {
    model_turn *turns; /* user, assistant, user, ... */
    size_t n, cap;
} talk;

static int add_turn(tool *t, talk *k, char *text, size_t n)
{
    if (k->n == k->cap) {
        size_t cap = k->cap ? 2 * k->cap : 16;
        model_turn *grown = realloc(k->turns, cap * sizeof *grown);
        if (!grown) {
            free(text);
            return tool_fail(t, TOOL_NOMEM, "turns: %s", lfm2_strerror(LFM2_ERR_NOMEM));
        }
        k->turns = grown;
        k->cap = cap;
    }
    k->turns[k->n++] = (model_turn){.text = text, .n = n};
    return 0;
}

/* The answer with its special tokens, as the template wants it in later turns. */
static int add_reply(job *j, talk *k)
{
    tool *t = j->t;
    char *text, *copy;
    size_t n;
    int rc = lfm2_tokenizer_decode(t->tok, j->held + (j->n_held - j->n_reply), j->n_reply, LFM2_DECODE_SPECIAL, &text, &n);

    if (rc < 0) return tool_fail_status(t, rc, TOOL_AT_RUN, "text");
    copy = malloc(n + 1);
    if (copy) memcpy(copy, text, n + 1);
    lfm2_tokenizer_free_text(t->tok, text);
    return copy ? add_turn(t, k, copy, n) : tool_fail(t, TOOL_NOMEM, "text: %s", lfm2_strerror(LFM2_ERR_NOMEM));
}

static int answer(job *j, talk *k, char *text, size_t n)
{
    json_out messages = {0};
    int32_t *ids = NULL;
    size_t n_ids;
    int rc = add_turn(j->t, k, text, n);

    if (rc) return rc;
    if (!tool_is_utf8(text, n)) return tool_fail(j->t, TOOL_MALFORMED, "prompt: %s", lfm2_strerror(LFM2_ERR_UTF8));
    rc = model_messages(j->t, cli_text(&j->t->cli, "system"), k->turns, k->n, &messages);
    if (rc == 0) rc = model_encode_messages(j->t, &messages, (size_t)j->cap_tok, &ids, &n_ids);
    if (rc == 0) rc = run_turn(j, ids, n_ids);
    if (rc == 0) rc = add_reply(j, k);
    free(ids);
    json_fini(&messages);
    return rc;
}

/* A line of standard input without its end, or *out NULL at the end of input. */
static int read_line(tool *t, char **out, size_t *n_out)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;

    *out = NULL;
    if (t->verbosity >= 0 && isatty(STDIN_FILENO) && isatty(STDERR_FILENO)) fputs("> ", stderr);
    errno = 0;
    n = getline(&line, &cap, stdin);
    if (n < 0) {
        int why = errno;
        free(line);
        if (tool_signal()) return 128 + tool_signal();
        if (tool_deadline_passed()) return tool_fail(t, TOOL_DEADLINE, "standard input: %s", lfm2_strerror(LFM2_ERR_DEADLINE));
        if (feof(stdin)) return 0;
        return tool_fail(t, why == ENOMEM ? TOOL_NOMEM : TOOL_INPUT, "standard input: %s", strerror(why));
    }
    while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r')) n--;
    if ((size_t)n > MAX_LINE_BYTES) {
        free(line);
        return tool_fail(t, TOOL_MALFORMED, "standard input: a line of %zd bytes, over the limit of %zu", n, MAX_LINE_BYTES);
    }
    line[n] = '\0';
    *out = line;
    *n_out = (size_t)n;
    return 0;
}

static int run_chat(job *j)
{
    talk k = {0};
    lfm2_chat_params unused;
    char *text;
    size_t n, i;
    int rc = model_chat_params(j->t, &unused); /* before the first turn is asked for */

    if (rc == 0 && cli_text(&j->t->cli, "prompt")) {
        rc = tool_read_prompt(j->t, &text, &n);
        if (rc == 0) rc = answer(j, &k, text, n);
    } else {
        while (rc == 0) {
            rc = read_line(j->t, &text, &n);
            if (rc || !text) break;
            if (n == 0) free(text);
            else rc = answer(j, &k, text, n);
        }
    }
    for (i = 0; i < k.n; i++) free(k.turns[i].text);
    free(k.turns);
    return rc;
}

int model_generate(tool *t)
{
    job j = {.t = t};
    int rc, chat = cli_flag(&t->cli, "chat");

    if (!chat && !cli_text(&t->cli, "prompt")) {
        return tool_fail(t, TOOL_USAGE, "no prompt: give -p TEXT, -p - for standard input, or --chat");
    }
    if (!chat && (cli_text(&t->cli, "system") || cli_text(&t->cli, "chat-template"))) {
        return tool_fail(t, TOOL_USAGE, "--system and --chat-template need --chat");
    }
    j.as_json = cli_flag(&t->cli, "json");
    j.show_special = cli_flag(&t->cli, "special");
    tool_start_deadline(t);
    rc = tool_open_model(t, NULL);
    if (rc == 0) rc = set_up(&j);
    if (rc == 0) rc = chat ? run_chat(&j) : run_raw(&j);
    lfm2_sampler_destroy(j.sampler);
    lfm2_session_destroy(j.session);
    free(j.text.data);
    free(j.held);
    free(j.logits);
    return rc;
}
