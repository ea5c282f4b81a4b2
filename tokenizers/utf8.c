/* SPDX-License-Identifier: Apache-2.0
 * UTF-8 checks, and the incremental stream that never lets half a code point out. */
#include "tokenizers/utf8.h"

#include <string.h>

#include "lfm2/tokenizer.h"

/* Bytes of the sequence that a lead byte announces; 0 for a byte that starts none. */
static size_t sequence_n(unsigned char lead)
{
    if (lead < 0x80) return 1;
    if (lead < 0xC2 || lead > 0xF4) return 0;
    return lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

/* May byte b follow the lead as byte number i (1..3)? The second byte is where overlong forms, surrogates and code points that do
 * not exist are ruled out. */
static int follows(unsigned char lead, size_t i, unsigned char b)
{
    unsigned char lo = 0x80, hi = 0xBF;

    if (i == 1) {
        if (lead == 0xE0) lo = 0xA0;
        if (lead == 0xED) hi = 0x9F;
        if (lead == 0xF0) lo = 0x90;
        if (lead == 0xF4) hi = 0x8F;
    }
    return b >= lo && b <= hi;
}

size_t lfm2__utf8_decode(const char *s, size_t n, uint32_t *cp)
{
    const unsigned char *u = (const unsigned char *)s;
    size_t len, i;
    uint32_t c;

    if (n == 0) return 0;
    len = sequence_n(u[0]);
    if (len == 0 || len > n) return 0;
    c = len == 1 ? u[0] : u[0] & (0x7Fu >> len);
    for (i = 1; i < len; i++) {
        if (!follows(u[0], i, u[i])) return 0;
        c = c << 6 | (u[i] & 0x3Fu);
    }
    *cp = c;
    return len;
}

size_t lfm2__utf8_encode(uint32_t cp, char out[4])
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (char)(0xC0 | cp >> 6);
        out[1] = (char)(0x80 | (cp & 0x3F));
        return 2;
    }
    if (cp < 0x10000) {
        out[0] = (char)(0xE0 | cp >> 12);
        out[1] = (char)(0x80 | (cp >> 6 & 0x3F));
        out[2] = (char)(0x80 | (cp & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | cp >> 18);
    out[1] = (char)(0x80 | (cp >> 12 & 0x3F));
    out[2] = (char)(0x80 | (cp >> 6 & 0x3F));
    out[3] = (char)(0x80 | (cp & 0x3F));
    return 4;
}

size_t lfm2__utf8_valid_n(const char *s, size_t n)
{
    size_t i = 0, len;
    uint64_t eight;
    uint32_t cp;

    while (i < n) {
        if (n - i >= sizeof(eight)) {
            memcpy(&eight, s + i, sizeof(eight));
            if ((eight & 0x8080808080808080u) == 0) {
                i += sizeof(eight);
                continue;
            }
        }
        len = lfm2__utf8_decode(s + i, n - i, &cp);
        if (len == 0) break;
        i += len;
    }
    return i;
}

int lfm2__is_py_space(uint32_t cp)
{
    if (cp < 0x80) return (cp >= 0x09 && cp <= 0x0D) || (cp >= 0x1C && cp <= 0x20);
    return cp == 0x85 || cp == 0xA0 || cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200A) || cp == 0x2028 || cp == 0x2029 ||
           cp == 0x202F || cp == 0x205F || cp == 0x3000;
}

static size_t put_replacement(char *out)
{
    memcpy(out, "\xEF\xBF\xBD", 3);
    return 3;
}

void lfm2_utf8_push(lfm2_utf8_stream *s, const char *bytes, size_t n, char *out, size_t *n_out)
{
    size_t i = 0, o = 0;

    if (s->n_held > 3) s->n_held = 0; /* never zeroed by the caller: better nothing than a read beyond held[] */
    while (i < n) {
        unsigned char b = (unsigned char)bytes[i];

        if (s->n_held == 0) {
            if (b < 0x80) out[o++] = (char)b;
            else if (sequence_n(b) == 0) o += put_replacement(out + o);
            else s->held[s->n_held++] = b;
            i++;
            continue;
        }
        if (!follows(s->held[0], s->n_held, b)) { /* a maximal bad part ends before b, which may start something itself */
            o += put_replacement(out + o);
            s->n_held = 0;
            continue;
        }
        s->held[s->n_held++] = b;
        i++;
        if (s->n_held == sequence_n(s->held[0])) {
            memcpy(out + o, s->held, s->n_held);
            o += s->n_held;
            s->n_held = 0;
        }
    }
    *n_out = o;
}

void lfm2_utf8_finish(lfm2_utf8_stream *s, char *out, size_t *n_out)
{
    *n_out = s->n_held != 0 ? put_replacement(out) : 0;
    s->n_held = 0;
}
