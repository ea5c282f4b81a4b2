/* SPDX-License-Identifier: Apache-2.0
 * The verbs of lfm2-model. Each returns an exit code, with the reason printed on stderr if it is not 0. */
#ifndef LFM2_TOOLS_MODEL_VERBS_H
#define LFM2_TOOLS_MODEL_VERBS_H

#include "tools/common.h"

/* In the order of the table in lfm2-model.c. */
int model_info(tool *t);
int model_tokenize(tool *t);
int model_detokenize(tool *t);
int model_template(tool *t);
int model_logits(tool *t);
int model_generate(tool *t);
int model_convert(tool *t);
int model_quantize(tool *t);
int model_bench(tool *t);
int model_verify(tool *t);

/* Template to use: --chat-template, or the checkpoint's own. Returns 0 or an exit code. */
int model_chat_params(tool *t, lfm2_chat_params *out);

/* JSON list of messages: `system` if not NULL, then n_turns turns, by user and assistant in turn. Freed by json_fini().
 * Returns 0 or an exit code. */
typedef struct model_turn {
    char *text;   /* may be NULL if there is a slot */
    size_t n;
    int32_t slot; /* LFM2_SLOT_* of what comes before the text; 0 = nothing */
} model_turn;
int model_messages(tool *t, const char *system, const model_turn *turns, size_t n_turns, json_out *out);

/* Encode with BOS where the tokenizer wants it (raw), or messages through the template. *ids: freed by the caller. At most cap ids:
 * more are refused with both numbers. Media become slots. Return 0 or an exit code. */
int model_encode_raw(tool *t, const char *text, size_t n, size_t cap, int32_t **ids, size_t *n_ids);
int model_encode_messages(tool *t, const json_out *messages, size_t cap, int32_t **ids, size_t *n_ids);

/* --context, checked against the model: tokens of a session. Returns 0 or an exit code. */
int model_context(tool *t, int32_t *cap_tok);

/* What encoders belong to the loaded model of that path: a list "encoders" in j, or lines of text if j is NULL. Returns 0 or an
 * exit code. */
int model_info_encoders(tool *t, const char *model_path, json_out *j);

#endif
