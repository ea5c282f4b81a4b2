/* SPDX-License-Identifier: Apache-2.0
 * The incremental stream that never lets half a code point out, and what a blank is. */
#include "tokenizers/utf8.h"

#include <string.h>

#include "lfm2/tokenizer.h"

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
            else if (lfm2__utf8_sequence_n(b) == 0) o += put_replacement(out + o);
            else s->held[s->n_held++] = b;
            i++;
            continue;
        }
        /* a maximal bad part ends before b, which may start something itself */
        if (!lfm2__utf8_follows(s->held[0], s->n_held, b)) {
            o += put_replacement(out + o);
            s->n_held = 0;
            continue;
        }
        s->held[s->n_held++] = b;
        i++;
        if (s->n_held == lfm2__utf8_sequence_n(s->held[0])) {
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
