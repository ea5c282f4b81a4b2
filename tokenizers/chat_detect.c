/* SPDX-License-Identifier: Apache-2.0
 * Which of the known chat templates a checkpoint's is, told by what its text contains. Only what is certain counts: a template that
 * shows a feature none of the known ones has is unknown. */
#include <stdio.h>
#include <string.h>

#include "base/runtime_impl.h"
#include "tokenizers/chat.h"

static const char *const names[] = {"auto", "lfm2", "lfm2.5", "lfm2.5-moe", "vl"};

const char *lfm2_chat_variant_name(lfm2_chat_variant v)
{
    return (unsigned)v < LFM2__COUNT_OF(names) ? names[v] : "?";
}

int lfm2_chat_variant_from_name(const char *name)
{
    int i;

    for (i = 0; i < (int)LFM2__COUNT_OF(names); i++)
        if (strcmp(name, names[i]) == 0) return i;
    return -1;
}

lfm2_chat_variant lfm2_tokenizer_chat_variant(const lfm2_tokenizer *tok)
{
    return tok->chat_variant;
}

static int has(const lfm2_tokenizer *tok, const char *needle)
{
    const char *s = tok->chat_template, *end = s + tok->chat_template_n;
    size_t n = strlen(needle);

    for (; (size_t)(end - s) >= n; s++) {
        s = memchr(s, needle[0], (size_t)(end - s) - n + 1);
        if (s == NULL) return 0;
        if (memcmp(s, needle, n) == 0) return 1;
    }
    return 0;
}

static lfm2_chat_variant variant_of(const lfm2_tokenizer *tok)
{
    int tools_plain = has(tok, "List of tools: "), thinking = has(tok, "</think>"), calls = has(tok, "tool_calls");

    if (!has(tok, "<|im_start|>") || !has(tok, "<|im_end|>")) return LFM2_CHAT_AUTO;
    if (!has(tok, "bos_token") && !has(tok, "<|startoftext|>")) return LFM2_CHAT_AUTO;
    if (tools_plain && has(tok, "<|tool_list_start|>")) return thinking || calls ? LFM2_CHAT_AUTO : LFM2_CHAT_LFM2;
    /* The flag by which past thinking is kept has another name in each of the two. */
    if (tools_plain && thinking && calls) return has(tok, "preserve_thinking") ? LFM2_CHAT_LFM25_MOE : LFM2_CHAT_AUTO;
    if (tools_plain && thinking) return has(tok, "preserve_thinking") ? LFM2_CHAT_AUTO : LFM2_CHAT_LFM25;
    /* No tools and no thinking: a loop over the messages, with or without images. A template that mentions a role by name other
     * than the one it asks an answer from may treat it in a way of its own. */
    if (tools_plain || thinking || has(tok, "tool") || has(tok, "think") || has(tok, "system") || has(tok, "You are"))
        return LFM2_CHAT_AUTO;
    return LFM2_CHAT_VL;
}

void lfm2__chat_detect(lfm2_tokenizer *tok)
{
    tok->chat_variant = LFM2_CHAT_AUTO;
    tok->chat_dated_tools = 0;
    if (tok->chat_template == NULL) return;
    tok->chat_variant = variant_of(tok);
    if (!has(tok, "strftime_now")) return;
    /* A date beside the tool list leaves prompts without tools as they are; anywhere else it is unknown what it does. */
    if (tok->chat_variant == LFM2_CHAT_LFM25_MOE) tok->chat_dated_tools = 1;
    else tok->chat_variant = LFM2_CHAT_AUTO;
}
