/* SPDX-License-Identifier: Apache-2.0
 * Pieces of prompts: text with trusted ranges, thinking taken away, values in Python's spelling, tool calls. */
#include <stdio.h>
#include <string.h>

#include "base/runtime_impl.h"
#include "tokenizers/chat.h"
#include "tokenizers/utf8.h"

void lfm2__prompt_init(lfm2__prompt *p, lfm2_runtime *rt)
{
    memset(p, 0, sizeof(*p));
    lfm2__str_init(&p->text, rt);
}

void lfm2__prompt_fini(lfm2__prompt *p)
{
    if (p->text.rt == NULL) return;
    lfm2__free(p->text.rt, p->slots);
    lfm2__free(p->text.rt, p->ranges);
    lfm2__str_fini(&p->text);
}

/* A list of n with room for one more; after a failure, which sticks, the list as it is. */
static void *grow_list(lfm2__prompt *p, void *list, size_t n, size_t *cap, size_t elem_bytes)
{
    const size_t new_cap = *cap == 0 ? 16 : 2 * *cap;
    void *grown;

    if (n < *cap) return list;
    grown = lfm2__grow(p->text.rt, list, n * elem_bytes, new_cap * elem_bytes);
    if (grown == NULL) {
        p->text.status = LFM2_ERR_NOMEM;
        return list;
    }
    *cap = new_cap;
    return grown;
}

/* A range at the end of the text; one that continues the last is joined to it, as a token may reach over both. */
static void add_range(lfm2__prompt *p, size_t begin, size_t end, lfm2__trust trust)
{
    lfm2__trust_range *last = p->n_ranges > 0 ? &p->ranges[p->n_ranges - 1] : NULL;

    if (p->text.status < 0 || begin == end || trust == LFM2__TRUST_NONE) return;
    if (last != NULL && last->end == begin && last->trust == trust) {
        last->end = end;
        return;
    }
    p->ranges = grow_list(p, p->ranges, p->n_ranges, &p->cap_ranges, sizeof(*p->ranges));
    if (p->text.status == 0) p->ranges[p->n_ranges++] = (lfm2__trust_range){begin, end, trust};
}

void lfm2__prompt_put(lfm2__prompt *p, const char *text, size_t n, lfm2__trust trust)
{
    size_t begin = p->text.n;

    lfm2__str_put(&p->text, text, n);
    add_range(p, begin, p->text.n, trust);
}

void lfm2__prompt_puts(lfm2__prompt *p, const char *text, lfm2__trust trust)
{
    lfm2__prompt_put(p, text, strlen(text), trust);
}

static void add_slot(lfm2__prompt *p, size_t at, int32_t id)
{
    if (p->text.status < 0) return;
    p->slots = grow_list(p, p->slots, p->n_slots, &p->cap_slots, sizeof(*p->slots));
    if (p->text.status == 0) p->slots[p->n_slots++] = (lfm2__slot){at, id};
}

void lfm2__prompt_put_slot(lfm2__prompt *p, int32_t id)
{
    add_slot(p, p->text.n, id);
}

void lfm2__prompt_append(lfm2__prompt *p, const lfm2__prompt *from, size_t begin, size_t end)
{
    size_t base = p->text.n, i;

    if (from->text.status < 0 && p->text.status == 0) p->text.status = from->text.status;
    if (p->text.status < 0) return;
    for (i = 0; i < from->n_slots; i++)
        if (from->slots[i].at >= begin && from->slots[i].at <= end)
            add_slot(p, base + from->slots[i].at - begin, from->slots[i].id);
    if (begin == end) return;
    lfm2__str_put(&p->text, from->text.data + begin, end - begin);
    for (i = 0; i < from->n_ranges; i++) {
        const lfm2__trust_range *r = &from->ranges[i];
        size_t b = r->begin > begin ? r->begin : begin, e = r->end < end ? r->end : end;

        if (b < e) add_range(p, base + b - begin, base + e - begin, r->trust);
    }
}

void lfm2__strip_thinking(const char *text, size_t n, size_t *begin, size_t *end)
{
    static const char mark[] = "</think>";
    const size_t mark_n = sizeof(mark) - 1;
    size_t b = 0, e = n, i, len;
    uint32_t cp = 0;

    *begin = 0;
    *end = n;
    if (n < mark_n) return;
    for (i = n - mark_n;; i--) {
        if (memcmp(text + i, mark, mark_n) == 0) break;
        if (i == 0) return;
    }
    for (b = i + mark_n; b < e; b += len) {
        len = lfm2__utf8_decode(text + b, e - b, &cp);
        if (len == 0 || !lfm2__is_py_space(cp)) break;
    }
    while (e > b) {
        for (i = e - 1; i > b && ((unsigned char)text[i] & 0xC0) == 0x80; i--) {}
        len = lfm2__utf8_decode(text + i, e - i, &cp);
        if (len == 0 || !lfm2__is_py_space(cp)) break;
        e = i;
    }
    *begin = b;
    *end = e;
}

void lfm2__put_dumps(lfm2__prompt *out, const lfm2__json *v, lfm2__trust trust)
{
    char *text = NULL;
    size_t n = 0;

    if (out->text.status < 0) return;
    out->text.status = lfm2__json_dumps(out->text.rt, v, &text, &n);
    if (out->text.status < 0) return;
    lfm2__prompt_put(out, text, n, trust);
    lfm2__free(out->text.rt, text);
}

/* What Python's repr() writes as an escape: controls, invisible formatting, spaces other than the ASCII one, private and
 * reserved characters. Unassigned ones elsewhere are taken as printable. */
static int is_py_printable(uint32_t cp)
{
    static const uint32_t hidden[][2] = {
        {0x0000, 0x001F},   {0x007F, 0x00A0},   {0x00AD, 0x00AD},   {0x0600, 0x0605},   {0x061C, 0x061C},   {0x06DD, 0x06DD},
        {0x070F, 0x070F},   {0x0890, 0x0891},   {0x08E2, 0x08E2},   {0x1680, 0x1680},   {0x180E, 0x180E},   {0x2000, 0x200F},
        {0x2028, 0x202F},   {0x205F, 0x206F},   {0x3000, 0x3000},   {0xD800, 0xF8FF},   {0xFEFF, 0xFEFF},   {0xFFF0, 0xFFFB},
        {0xFFFE, 0xFFFF},   {0x110BD, 0x110BD}, {0x110CD, 0x110CD}, {0x13430, 0x1343F}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A},
        {0xE0000, 0xE00FF}, {0xE01F0, 0xE0FFF}, {0xF0000, 0x10FFFF}};
    size_t i;

    for (i = 0; i < LFM2__COUNT_OF(hidden); i++)
        if (cp >= hidden[i][0] && cp <= hidden[i][1]) return 0;
    return 1;
}

static void py_repr_str(lfm2__prompt *out, const char *s, size_t n, lfm2__trust trust)
{
    const char quote = memchr(s, '\'', n) != NULL && memchr(s, '"', n) == NULL ? '"' : '\'';
    char escape[16];
    size_t i = 0, len;
    uint32_t cp = 0;

    lfm2__prompt_put(out, &quote, 1, trust);
    for (; i < n; i += len) {
        len = lfm2__utf8_decode(s + i, n - i, &cp);
        if (len == 0) len = 1; /* JSON strings are valid, so this is never so */
        escape[0] = '\0';
        if (cp == '\\' || cp == (uint32_t)quote) snprintf(escape, sizeof(escape), "\\%c", (int)cp);
        else if (cp == '\n') snprintf(escape, sizeof(escape), "\\n");
        else if (cp == '\r') snprintf(escape, sizeof(escape), "\\r");
        else if (cp == '\t') snprintf(escape, sizeof(escape), "\\t");
        else if (is_py_printable(cp)) escape[0] = '\0';
        else if (cp < 0x100) snprintf(escape, sizeof(escape), "\\x%02x", (unsigned)cp);
        else if (cp < 0x10000) snprintf(escape, sizeof(escape), "\\u%04x", (unsigned)cp);
        else snprintf(escape, sizeof(escape), "\\U%08x", (unsigned)cp);
        if (escape[0] != '\0') lfm2__prompt_puts(out, escape, trust);
        else lfm2__prompt_put(out, s + i, len, trust);
    }
    lfm2__prompt_put(out, &quote, 1, trust);
}

/* Depth is that of the parsed document. */
static void py_repr(lfm2__prompt *out, const lfm2__json *v, lfm2__trust trust)
{
    const lfm2__json *val = NULL;
    const char *s = NULL;
    size_t n = 0, i;
    void *it = NULL;
    int first = 1;

    switch (lfm2__json_typeof(v)) {
    case LFM2__JSON_NULL: lfm2__prompt_puts(out, "None", trust); break;
    case LFM2__JSON_BOOL: lfm2__prompt_puts(out, lfm2__json_bool(v) ? "True" : "False", trust); break;
    case LFM2__JSON_INT:
    case LFM2__JSON_REAL: lfm2__put_dumps(out, v, trust); break; /* the same in both languages */
    case LFM2__JSON_STRING:
        s = lfm2__json_str(v, &n);
        py_repr_str(out, s, n, trust);
        break;
    case LFM2__JSON_ARRAY:
        lfm2__prompt_puts(out, "[", trust);
        for (i = 0; i < lfm2__json_size(v); i++) {
            if (i > 0) lfm2__prompt_puts(out, ", ", trust);
            py_repr(out, lfm2__json_at(v, i), trust);
        }
        lfm2__prompt_puts(out, "]", trust);
        break;
    case LFM2__JSON_OBJECT:
        lfm2__prompt_puts(out, "{", trust);
        for (; lfm2__json_next(v, &it, &s, &n, &val); first = 0) {
            if (!first) lfm2__prompt_puts(out, ", ", trust);
            py_repr_str(out, s, n, trust);
            lfm2__prompt_puts(out, ": ", trust);
            py_repr(out, val, trust);
        }
        lfm2__prompt_puts(out, "}", trust);
        break;
    }
}

void lfm2__py_str(lfm2__prompt *out, const lfm2__json *v, lfm2__trust trust)
{
    size_t n = 0;
    const char *s = lfm2__json_str(v, &n);

    if (s != NULL) lfm2__prompt_put(out, s, n, trust);
    else py_repr(out, v, trust);
}

/* One argument value: strings in quotes without any escape, objects as JSON, the rest as Python writes it. */
static void put_arg(lfm2__prompt *out, const lfm2__json *v)
{
    const int is_str = lfm2__json_typeof(v) == LFM2__JSON_STRING;

    if (is_str) lfm2__prompt_puts(out, "'", LFM2__TRUST_NONE);
    if (lfm2__json_typeof(v) == LFM2__JSON_OBJECT) lfm2__put_dumps(out, v, LFM2__TRUST_NONE);
    else lfm2__py_str(out, v, LFM2__TRUST_NONE);
    if (is_str) lfm2__prompt_puts(out, "'", LFM2__TRUST_NONE);
}

int lfm2__put_tool_calls(lfm2_runtime *rt, const char *field, const lfm2__json *calls, lfm2__prompt *out)
{
    size_t i, key_n = 0, name_n = 0;

    if (lfm2__json_typeof(calls) != LFM2__JSON_ARRAY) return lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: not a list", field);
    lfm2__prompt_puts(out, "<|tool_call_start|>", LFM2__TRUST_ALL);
    lfm2__prompt_puts(out, "[", LFM2__TRUST_NONE);
    for (i = 0; i < lfm2__json_size(calls); i++) {
        const lfm2__json *function = lfm2__json_get(lfm2__json_at(calls, i), "function"), *val = NULL;
        const lfm2__json *args = lfm2__json_get(function, "arguments");
        const char *name = lfm2__json_str(lfm2__json_get(function, "name"), &name_n), *key = NULL;
        void *it = NULL;
        int first = 1;

        if (name == NULL) return lfm2__fail(rt, LFM2_ERR_FORMAT, "%s[%zu].function.name: not a string", field, i);
        if (lfm2__json_typeof(args) != LFM2__JSON_OBJECT)
            return lfm2__fail(rt, LFM2_ERR_FORMAT, "%s[%zu].function.arguments: not an object", field, i);
        if (i > 0) lfm2__prompt_puts(out, ", ", LFM2__TRUST_NONE);
        lfm2__prompt_put(out, name, name_n, LFM2__TRUST_NONE);
        lfm2__prompt_puts(out, "(", LFM2__TRUST_NONE);
        for (; lfm2__json_next(args, &it, &key, &key_n, &val); first = 0) {
            if (!first) lfm2__prompt_puts(out, ", ", LFM2__TRUST_NONE);
            lfm2__prompt_put(out, key, key_n, LFM2__TRUST_NONE);
            lfm2__prompt_puts(out, "=", LFM2__TRUST_NONE);
            put_arg(out, val);
        }
        lfm2__prompt_puts(out, ")", LFM2__TRUST_NONE);
    }
    lfm2__prompt_puts(out, "]", LFM2__TRUST_NONE);
    lfm2__prompt_puts(out, "<|tool_call_end|>", LFM2__TRUST_ALL);
    return 0;
}
