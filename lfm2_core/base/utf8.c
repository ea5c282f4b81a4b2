/* SPDX-License-Identifier: Apache-2.0
 * UTF-8: what is well-formed, and code points in and out. */
#include "base/utf8.h"

#include <string.h>

size_t lfm2__utf8_sequence_n(unsigned char lead)
{
    if (lead < 0x80) return 1;
    if (lead < 0xC2 || lead > 0xF4) return 0;
    return lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

/* The second byte is where overlong forms, surrogates and code points that do not exist are ruled out. */
int lfm2__utf8_follows(unsigned char lead, size_t i, unsigned char b)
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
    len = lfm2__utf8_sequence_n(u[0]);
    if (len == 0 || len > n) return 0;
    c = len == 1 ? u[0] : u[0] & (0x7Fu >> len);
    for (i = 1; i < len; i++) {
        if (!lfm2__utf8_follows(u[0], i, u[i])) return 0;
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
