/* SPDX-License-Identifier: Apache-2.0
 * Let a checkpoint answer a conversation: ask CHECKPOINT '[{"role": "user", "content": "Hello"}]' */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lfm2/lfm2.h>

#define CAP_PROMPT 1024

static int print_token(void *tok, int32_t id, float logprob)
{
    size_t n = 0;
    const char *bytes = lfm2_tokenizer_bytes(tok, id, &n);
    (void)logprob;
    return fwrite(bytes, 1, n, stdout) != n; /* non-zero stops the generation */
}

static int can_be_sampled(void *tok, int32_t id)
{
    return lfm2_tokenizer_is_defined(tok, id);
}

static void log_line(void *ctx, lfm2_log_level level, const char *line)
{
    (void)ctx;
    if (level <= LFM2_LOG_WARN) fprintf(stderr, "%s\n", line);
}

int main(int argc, char **argv)
{
    lfm2_runtime *rt = NULL;
    lfm2_model *model = NULL;
    lfm2_tokenizer *tok = NULL;
    lfm2_session *session = NULL;
    lfm2_sampler *sampler = NULL;
    float *logits = NULL;
    int32_t prompt[CAP_PROMPT];
    size_t n_prompt = 0;
    lfm2_generation done;
    int rc;

    if (argc != 3) {
        fprintf(stderr, "usage: ask CHECKPOINT MESSAGES_JSON\n");
        return 1;
    }
    lfm2_runtime_params how = lfm2_runtime_params_default();
    how.log = log_line;
    if ((rc = lfm2_runtime_create(&how, &rt)) < 0) goto end;
    if ((rc = lfm2_model_load(rt, argv[1], &model)) < 0) goto end;
    if ((rc = lfm2_tokenizer_load(rt, lfm2_model_weights(model), &tok)) < 0) goto end;

    const int32_t n_vocab = lfm2_model_config(model)->n_vocab;
    const lfm2_session_params room = lfm2_session_params_default(model);
    const lfm2_sampler_params greedy = lfm2_sampler_params_default();
    if ((rc = lfm2_session_create(model, &room, &session)) < 0) goto end;
    if ((rc = lfm2_sampler_create(rt, &greedy, n_vocab, can_be_sampled, tok, &sampler)) < 0) goto end;

    const lfm2_chat_params chat_params = {.variant = LFM2_CHAT_AUTO, .add_generation_prompt = 1};
    rc = lfm2_chat_encode(tok, argv[2], strlen(argv[2]), &chat_params, 0, prompt, CAP_PROMPT, &n_prompt);
    if (rc < 0) goto end;

    lfm2_generate_params until = lfm2_generate_params_default();
    until.max_tok = 64;
    until.end_ids = lfm2_tokenizer_end_ids(tok, &until.n_end_ids);
    rc = LFM2_ERR_NOMEM;
    if (!(logits = malloc((size_t)n_vocab * sizeof *logits))) goto end;
    rc = lfm2_generate(session, 0, prompt, (int32_t)n_prompt, sampler, &until, logits, print_token, tok, &done);
    if (rc == 0) printf("\n[%d tokens, stopped by %s]\n", (int)done.n_tok, lfm2_stop_name(done.stop));

end:
    if (rc < 0) fprintf(stderr, "ask: %s\n", lfm2_strerror(rc));
    free(logits);
    lfm2_sampler_destroy(sampler);
    lfm2_session_destroy(session);
    lfm2_tokenizer_unload(tok);
    lfm2_model_unload(model);
    lfm2_runtime_destroy(rt);
    return rc < 0;
}
