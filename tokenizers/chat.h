/* SPDX-License-Identifier: Apache-2.0
 * Inside of the chat templates: the prompt under construction, and what is shared between the files. */
#ifndef LFM2__CHAT_H
#define LFM2__CHAT_H

#include "base/json.h"
#include "base/str.h"
#include "tokenizers/tok_impl.h"

/* A place in a text where embeddings come in. */
typedef struct lfm2__slot {
    size_t at;  /* before that byte */
    int32_t id; /* LFM2_SLOT_* */
} lfm2__slot;

/* Text with the ranges in which special tokens may be recognised, and slots. Errors stick, as in lfm2__str. */
typedef struct lfm2__prompt {
    lfm2__str text;
    lfm2__trust_range *ranges;
    size_t n_ranges;
    size_t cap_ranges;
    lfm2__slot *slots; /* in ascending order */
    size_t n_slots;
    size_t cap_slots;
} lfm2__prompt;

void lfm2__prompt_init(lfm2__prompt *p, lfm2_runtime *rt);
void lfm2__prompt_fini(lfm2__prompt *p); /* accepts a zeroed one */
void lfm2__prompt_put(lfm2__prompt *p, const char *text, size_t n, lfm2__trust trust);
void lfm2__prompt_puts(lfm2__prompt *p, const char *text, lfm2__trust trust);
void lfm2__prompt_put_slot(lfm2__prompt *p, int32_t id);
/* Append bytes begin..end of another prompt, its ranges and slots included. */
void lfm2__prompt_append(lfm2__prompt *p, const lfm2__prompt *from, size_t begin, size_t end);

/* ids, cap, n_ids and status as lfm2_tokenizer_encode(); a slot is an id. trust_all: all special tokens are recognised. */
int lfm2__prompt_encode(const lfm2_tokenizer *tok, const lfm2__prompt *p, int trust_all, int32_t *ids, size_t cap,
                        size_t *n_ids) LFM2__NODISCARD;

/* What is left of a past answer when its thinking is taken away: the part behind the last </think>, without white space around it;
 * all of it if there is none. */
void lfm2__strip_thinking(const char *text, size_t n, size_t *begin, size_t *end);

/* Text of a value as Python's str() writes it, appended with that trust. */
void lfm2__py_str(lfm2__prompt *out, const lfm2__json *v, lfm2__trust trust);

/* The calls of an assistant message as the template of LFM2.5-8B-A1B writes them. field: place of the list, for log lines.
 * Returns 0 or LFM2_ERR_FORMAT. */
int lfm2__put_tool_calls(lfm2_runtime *rt, const char *field, const lfm2__json *calls, lfm2__prompt *out) LFM2__NODISCARD;

/* Append json.dumps() of a value. */
void lfm2__put_dumps(lfm2__prompt *out, const lfm2__json *v, lfm2__trust trust);

/* Recognise the template of tok: sets chat_variant and chat_dated_tools. */
void lfm2__chat_detect(lfm2_tokenizer *tok);

#endif
