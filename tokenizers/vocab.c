/* SPDX-License-Identifier: Apache-2.0
 * Vocabulary tables and the byte-level form of tokens. */
#include "tokenizers/vocab.h"

#include <string.h>

#include "base/runtime_impl.h"
#include "lfm2/status.h"
#include "tokenizers/utf8.h"

#define MAX_BLOB_BYTES (1u << 28)
#define MAX_PROBES 4096 /* a table of honest tokens stays far below; one made to collide would take hours */

/* Byte-level form: a byte that is a visible character of Latin-1 stands as itself, the other 68 as U+0100 and up, in order. */
static uint32_t char_of_byte(unsigned char b)
{
    if (b <= 32) return 256u + b;
    if (b >= 127 && b <= 160) return 256u + 33u + (b - 127u);
    if (b == 173) return 256u + 67u;
    return b;
}

static int byte_of_char(uint32_t cp)
{
    if (cp < 256) return cp <= 32 || (cp >= 127 && cp <= 160) || cp == 173 ? -1 : (int)cp;
    if (cp <= 256 + 32) return (int)(cp - 256);
    if (cp < 256 + 67) return (int)(cp - 256 - 33 + 127);
    return cp == 256 + 67 ? 173 : -1;
}

int lfm2__bytes_from_text(const char *text, size_t n, char *out, size_t *out_n)
{
    size_t i = 0, o = 0, len;
    uint32_t cp;
    int b;

    while (i < n) {
        len = lfm2__utf8_decode(text + i, n - i, &cp);
        if (len == 0) return -1;
        b = byte_of_char(cp);
        if (b < 0) return -1;
        out[o++] = (char)b;
        i += len;
    }
    *out_n = o;
    return 0;
}

static uint64_t mix(uint64_t h)
{
    h ^= h >> 32;
    h *= 0x9E3779B97F4A7C15u;
    return h ^ h >> 29;
}

static uint32_t hash_bytes(const char *s, size_t n)
{
    uint64_t h = n * 0xD6E8FEB86659FD93u, word;

    for (; n >= sizeof(word); s += sizeof(word), n -= sizeof(word)) {
        memcpy(&word, s, sizeof(word));
        h = mix(h ^ word);
    }
    word = 0;
    if (n > 0) memcpy(&word, s, n);
    h = mix(h ^ word);
    return (uint32_t)(h ^ h >> 32);
}

static int table_init(lfm2__vocab_table *t, lfm2_runtime *rt, uint32_t n)
{
    uint32_t cap = 16, i;

    while (cap < 2 * n) cap *= 2;
    t->slots = lfm2__calloc(rt, cap, sizeof(*t->slots));
    if (t->slots == NULL) return LFM2_ERR_NOMEM;
    t->mask = cap - 1;
    for (i = 0; i < cap; i++) t->slots[i].id = -1;
    return 0;
}

static int32_t table_find(const lfm2__vocab *v, const lfm2__vocab_table *t, const char *bytes, size_t n)
{
    uint32_t hash = hash_bytes(bytes, n), i;

    for (i = hash & t->mask; t->slots[i].id >= 0; i = (i + 1) & t->mask) {
        const lfm2__tok *tok;

        if (t->slots[i].hash != hash) continue;
        tok = &v->toks[t->slots[i].id];
        if (tok->n == n && memcmp(v->blob.data + tok->off, bytes, n) == 0) return t->slots[i].id;
    }
    return -1;
}

static int table_put(lfm2__vocab_table *t, const char *bytes, size_t n, int32_t id)
{
    uint32_t hash = hash_bytes(bytes, n), i, probes = 0;

    for (i = hash & t->mask; t->slots[i].id >= 0; i = (i + 1) & t->mask)
        if (++probes > MAX_PROBES) return LFM2_ERR_LIMIT;
    t->slots[i].hash = hash;
    t->slots[i].id = id;
    return 0;
}

int lfm2__vocab_init(lfm2__vocab *v, lfm2_runtime *rt, int32_t n_ids)
{
    memset(v, 0, sizeof(*v));
    v->rt = rt;
    v->n_ids = n_ids;
    lfm2__str_init(&v->blob, rt);
    v->toks = lfm2__calloc(rt, (size_t)n_ids, sizeof(*v->toks));
    if (v->toks == NULL) goto fail;
    if (table_init(&v->merged, rt, (uint32_t)n_ids) < 0) goto fail;
    if (table_init(&v->added, rt, n_ids < LFM2__MAX_ADDED ? (uint32_t)n_ids : LFM2__MAX_ADDED) < 0) goto fail;
    return 0;
fail:
    lfm2__vocab_fini(v);
    return LFM2_ERR_NOMEM;
}

void lfm2__vocab_fini(lfm2__vocab *v)
{
    if (v->rt == NULL) return;
    lfm2__free(v->rt, v->toks);
    lfm2__free(v->rt, v->merged.slots);
    lfm2__free(v->rt, v->added.slots);
    lfm2__str_fini(&v->blob);
    memset(v, 0, sizeof(*v));
}

static int is_plain_ascii(const char *s, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        if (s[i] < 33 || s[i] > 126) return 0;
    return 1;
}

/* A token such as <0x0A> stands for a byte in vocabularies of another kind; here it would be text that nothing can produce. */
static int is_byte_fallback(const char *s, size_t n)
{
    return n >= 4 && n <= 8 && memcmp(s, "<0x", 3) == 0 && s[n - 1] == '>';
}

static int refuse(const char **why, int status, const char *text)
{
    *why = text;
    return status;
}

int lfm2__vocab_set(lfm2__vocab *v, int32_t id, lfm2__tok_kind kind, const char *text, size_t n, const char **why)
{
    char bytes[LFM2__MAX_TOKEN_BYTES];
    size_t bytes_n = n;
    int rc, is_added = kind == LFM2__TOK_CONTROL || kind == LFM2__TOK_USER, ascii;

    if (id < 0 || id >= v->n_ids) return refuse(why, LFM2_ERR_FORMAT, "the id is out of range");
    if (v->toks[id].kind != LFM2__TOK_NONE) return refuse(why, LFM2_ERR_FORMAT, "the id is taken by another token");
    if (n == 0) return refuse(why, LFM2_ERR_FORMAT, "the token is empty");
    if (n > LFM2__MAX_TOKEN_BYTES) return refuse(why, LFM2_ERR_LIMIT, "the token is longer than 1024 bytes");
    if (is_byte_fallback(text, n)) return refuse(why, LFM2_ERR_UNSUPPORTED, "a byte-fallback token in a byte-level vocabulary");
    if (is_added) {
        if (n > LFM2__MAX_ADDED_BYTES) return refuse(why, LFM2_ERR_LIMIT, "the added token is longer than 256 bytes");
        if (v->n_added >= LFM2__MAX_ADDED) return refuse(why, LFM2_ERR_LIMIT, "more than 65536 added tokens");
        if (lfm2__utf8_valid_n(text, n) != n) return refuse(why, LFM2_ERR_FORMAT, "the token is not valid UTF-8");
        memcpy(bytes, text, n);
    } else if (lfm2__bytes_from_text(text, n, bytes, &bytes_n) < 0) {
        return refuse(why, LFM2_ERR_FORMAT, "the token is not in byte-level form");
    }

    /* Added tokens in plain ASCII have the same text in both forms, so the two tables must not both hold it. */
    ascii = is_plain_ascii(text, n);
    if (((is_added || ascii) && table_find(v, &v->added, bytes, bytes_n) >= 0) ||
        ((!is_added || ascii) && table_find(v, &v->merged, bytes, bytes_n) >= 0))
        return refuse(why, LFM2_ERR_FORMAT, "the same token has another id already");
    if (v->blob.n + bytes_n > MAX_BLOB_BYTES) return refuse(why, LFM2_ERR_LIMIT, "the tokens have more than 256 MiB of text");

    *why = "out of memory";
    v->toks[id].off = (uint32_t)v->blob.n;
    lfm2__str_put(&v->blob, bytes, bytes_n);
    if (v->blob.status < 0) return v->blob.status;
    v->toks[id].n = (uint16_t)bytes_n;
    *why = "too many tokens with one hash value";
    rc = 0;
    if (is_added) rc = table_put(&v->added, bytes, bytes_n, id);
    if (rc == 0 && (kind == LFM2__TOK_NORMAL || (kind == LFM2__TOK_USER && ascii))) rc = table_put(&v->merged, bytes, bytes_n, id);
    if (rc < 0) return rc;
    v->toks[id].kind = (uint8_t)kind;
    if (is_added) {
        v->n_added++;
        v->n_added_bytes += (int32_t)n;
    }
    return 0;
}

int32_t lfm2__vocab_find_merged(const lfm2__vocab *v, const char *bytes, size_t n)
{
    return table_find(v, &v->merged, bytes, n);
}

int32_t lfm2__vocab_find_added(const lfm2__vocab *v, const char *text, size_t n)
{
    return table_find(v, &v->added, text, n);
}

lfm2__tok_kind lfm2__vocab_kind(const lfm2__vocab *v, int32_t id)
{
    return id < 0 || id >= v->n_ids ? LFM2__TOK_NONE : (lfm2__tok_kind)v->toks[id].kind;
}

const char *lfm2__vocab_bytes(const lfm2__vocab *v, int32_t id, size_t *n)
{
    if (lfm2__vocab_kind(v, id) == LFM2__TOK_NONE) return NULL;
    *n = v->toks[id].n;
    return v->blob.data + v->toks[id].off;
}

void lfm2__vocab_file_text(const lfm2__vocab *v, int32_t id, lfm2__str *out)
{
    size_t n = 0, i, len;
    const char *bytes = lfm2__vocab_bytes(v, id, &n);
    char utf8[4];

    if (lfm2__vocab_kind(v, id) != LFM2__TOK_NORMAL) {
        lfm2__str_put(out, bytes, n);
        return;
    }
    for (i = 0; i < n; i++) {
        len = lfm2__utf8_encode(char_of_byte((unsigned char)bytes[i]), utf8);
        lfm2__str_put(out, utf8, len);
    }
}
