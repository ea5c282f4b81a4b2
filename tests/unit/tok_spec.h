/* SPDX-License-Identifier: Apache-2.0
 * tokenizer.json texts put together part by part, for tests and fuzz targets. */
#ifndef TOK_SPEC_H
#define TOK_SPEC_H

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "tokenizers/pretok.h"
#include "tokenizers/utf8.h"

/* Parts of a tokenizer.json; a NULL part has the value of a good file. */
typedef struct tok_spec {
    const char *added;         /* list of added_tokens */
    const char *extra_vocab;   /* entries behind the 256 byte symbols, which have the ids 0..255: "\"ab\": 256, ..." */
    const char *merges;        /* list */
    const char *model;         /* other fields of the model */
    const char *normalizer;
    const char *pre_tokenizer;
    const char *post_processor;
    const char *decoder;
    const char *top;           /* more fields at the top: ", \"x\": 1" */
    int missing_byte;          /* another token in place of the symbol of this byte (-1 or 0 = none) */
    int keep_gaps;             /* 0: ids between those above are filled with tokens that no text has */
} tok_spec;

#define TOK_ADDED(id, text, special)                                                                           \
    "{\"id\": " #id ", \"content\": \"" text "\", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, "      \
    "\"normalized\": false, \"special\": " #special "}"

/* The pattern as a JSON string. */
static inline void tok_put_json_str(lfm2__str *s, const char *text)
{
    lfm2__str_puts(s, "\"");
    for (; *text != '\0'; text++) {
        if (*text == '\\' || *text == '"') lfm2__str_puts(s, "\\");
        lfm2__str_put(s, text, 1);
    }
    lfm2__str_puts(s, "\"");
}

static inline const char *tok_or(const char *part, const char *good)
{
    return part != NULL ? part : good;
}

static inline uint32_t tok_symbol(int b) /* character that stands for a byte */
{
    int i, n = 0;

    if ((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174) return (uint32_t)b;
    for (i = 0; i < b; i++) n += !((i >= 33 && i <= 126) || (i >= 161 && i <= 172) || i >= 174);
    return 256u + (uint32_t)n;
}

#define TOK_CAP_FILLED 4096

/* Mark the ids in a piece of JSON: numbers behind ": ". */
static inline void tok_mark_ids(const char *json, unsigned char *used)
{
    for (const char *at = json; at != NULL && (at = strstr(at, ": ")) != NULL; at += 2) {
        const unsigned long id = at[2] >= '0' && at[2] <= '9' ? strtoul(at + 2, NULL, 10) : TOK_CAP_FILLED;
        if (id < TOK_CAP_FILLED) used[id] = 1;
    }
}

static inline void tok_fill_gaps(lfm2__str *s, const char *added, const char *extra_vocab)
{
    unsigned char used[TOK_CAP_FILLED] = {0};
    int id, end = TOK_CAP_FILLED;

    tok_mark_ids(added, used);
    tok_mark_ids(extra_vocab, used);
    while (end > 256 && !used[end - 1]) end--;
    for (id = 256; id < end; id++)
        if (!used[id]) lfm2__str_printf(s, ", \"~~%d~~\": %d", id, id);
}

/* Append the tokenizer.json to s, whose status says whether that worked. */
static inline void tok_write(lfm2__str *s, const tok_spec *spec)
{
    const char *added = tok_or(spec->added, "[" TOK_ADDED(300, "<|im_start|>", true) ", " TOK_ADDED(301, "<|im_end|>", true) ", "
                                            TOK_ADDED(302, "<|startoftext|>", true) "]");
    int b;
    char utf8[4];

    lfm2__str_printf(s, "{\"version\": \"1.0\", \"truncation\": null, \"padding\": null, \"added_tokens\": %s, \"normalizer\": "
                        "%s, ",
                     added, tok_or(spec->normalizer, "null"));
    if (spec->pre_tokenizer != NULL) {
        lfm2__str_printf(s, "\"pre_tokenizer\": %s, ", spec->pre_tokenizer);
    } else {
        lfm2__str_puts(s, "\"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\", \"pattern\": "
                          "{\"Regex\": ");
        tok_put_json_str(s, lfm2__pretok_lfm2);
        lfm2__str_puts(s, "}, \"behavior\": \"Isolated\", \"invert\": false}, {\"type\": \"ByteLevel\", \"add_prefix_space\": "
                          "false, "
                          "\"trim_offsets\": true, \"use_regex\": false}]}, ");
    }
    lfm2__str_printf(s, "\"post_processor\": %s, \"decoder\": %s, \"model\": {%s, \"vocab\": {", tok_or(spec->post_processor,
        "null"),
                     tok_or(spec->decoder, "{\"type\": \"ByteLevel\"}"), tok_or(spec->model,
                                                                                "\"type\": \"BPE\", \"ignore_merges\": true"));
    for (b = 0; b < 256; b++) {
        lfm2__str_puts(s, b > 0 ? ", \"" : "\"");
        if (spec->missing_byte > 0 && b == spec->missing_byte) {
            lfm2__str_printf(s, "~~%d~~\": %d", b, b);
            continue;
        }
        if (b == '"' || b == '\\') lfm2__str_puts(s, "\\");
        lfm2__str_put(s, utf8, lfm2__utf8_encode(tok_symbol(b), utf8));
        lfm2__str_printf(s, "\": %d", b);
    }
    if (spec->extra_vocab != NULL) lfm2__str_printf(s, ", %s", spec->extra_vocab);
    if (!spec->keep_gaps) tok_fill_gaps(s, added, spec->extra_vocab);
    lfm2__str_printf(s, "}, \"merges\": %s}%s}", tok_or(spec->merges, "[]"), tok_or(spec->top, ""));
}

#endif
