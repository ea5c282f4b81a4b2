/* SPDX-License-Identifier: Apache-2.0
 * JSON results, written front to back into memory. */
#include "tools/json_out.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lfm2/tokenizer.h"

static void put(json_out *j, const char *bytes, size_t n)
{
    if (j->failed) return;
    if (n >= j->cap - j->n || j->cap == 0) {
        size_t cap = j->cap ? j->cap : 256;
        char *data;
        while (cap - j->n <= n) {
            if (cap > SIZE_MAX / 2) {
                j->failed = 1;
                return;
            }
            cap *= 2;
        }
        data = realloc(j->data, cap);
        if (!data) {
            j->failed = 1;
            return;
        }
        j->data = data;
        j->cap = cap;
    }
    memcpy(j->data + j->n, bytes, n);
    j->n += n;
    j->data[j->n] = '\0';
}

static void put_escaped(json_out *j, const char *s, size_t n)
{
    size_t i, plain = 0;

    for (i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        char esc[8];
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        put(j, s + plain, i - plain);
        plain = i + 1;
        switch (c) {
        case '"': put(j, "\\\"", 2); break;
        case '\\': put(j, "\\\\", 2); break;
        case '\n': put(j, "\\n", 2); break;
        case '\r': put(j, "\\r", 2); break;
        case '\t': put(j, "\\t", 2); break;
        default:
            snprintf(esc, sizeof esc, "\\u%04x", c);
            put(j, esc, 6);
        }
    }
    put(j, s + plain, n - plain);
}

/* A string in quotes, made valid UTF-8 piece by piece. */
static void put_string(json_out *j, const char *s, size_t n)
{
    lfm2_utf8_stream utf8 = {0};
    char piece[256 * 3 + 12];
    size_t i, n_piece;

    put(j, "\"", 1);
    for (i = 0; i < n; i += 256) {
        lfm2_utf8_push(&utf8, s + i, n - i < 256 ? n - i : 256, piece, &n_piece);
        put_escaped(j, piece, n_piece);
    }
    lfm2_utf8_finish(&utf8, piece, &n_piece);
    put_escaped(j, piece, n_piece);
    put(j, "\"", 1);
}

static void before_value(json_out *j, const char *key)
{
    if (j->has_items[j->depth]) put(j, ",", 1);
    j->has_items[j->depth] = 1;
    if (key) {
        put_string(j, key, strlen(key));
        put(j, ":", 1);
    }
}

static void begin(json_out *j, const char *key, const char *bracket)
{
    before_value(j, key);
    put(j, bracket, 1);
    if (j->depth + 1 >= JSON_OUT_MAX_DEPTH) {
        j->failed = 1;
        return;
    }
    j->has_items[++j->depth] = 0;
}

static void end(json_out *j, const char *bracket)
{
    put(j, bracket, 1);
    if (j->depth == 0) {
        j->failed = 1;
        return;
    }
    j->depth--;
}

void json_begin_object(json_out *j, const char *key)
{
    begin(j, key, "{");
}

void json_end_object(json_out *j)
{
    end(j, "}");
}

void json_begin_array(json_out *j, const char *key)
{
    begin(j, key, "[");
}

void json_end_array(json_out *j)
{
    end(j, "]");
}

void json_put_text_n(json_out *j, const char *key, const char *s, size_t n)
{
    if (!s) {
        json_put_null(j, key);
        return;
    }
    before_value(j, key);
    put_string(j, s, n);
}

void json_put_text(json_out *j, const char *key, const char *s)
{
    json_put_text_n(j, key, s, s ? strlen(s) : 0);
}

void json_put_raw(json_out *j, const char *key, const char *json, size_t n)
{
    before_value(j, key);
    put(j, json, n);
}

static void put_word(json_out *j, const char *key, const char *word)
{
    json_put_raw(j, key, word, strlen(word));
}

void json_put_int(json_out *j, const char *key, int64_t v)
{
    char num[32];
    snprintf(num, sizeof num, "%lld", (long long)v);
    put_word(j, key, num);
}

void json_put_real(json_out *j, const char *key, double v)
{
    char num[40];
    if (!isfinite(v)) {
        json_put_null(j, key);
        return;
    }
    snprintf(num, sizeof num, "%.7g", v);
    put_word(j, key, num);
}

void json_put_bool(json_out *j, const char *key, int v)
{
    put_word(j, key, v ? "true" : "false");
}

void json_put_null(json_out *j, const char *key)
{
    put_word(j, key, "null");
}

int json_finish(json_out *j)
{
    if (j->depth != 0) j->failed = 1;
    put(j, "\n", 1);
    return j->failed ? -1 : 0;
}

void json_fini(json_out *j)
{
    free(j->data);
    memset(j, 0, sizeof *j);
}
