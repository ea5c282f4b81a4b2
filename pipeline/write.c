/* SPDX-License-Identifier: Apache-2.0
 * Text made safe for each format, and the way out to the caller. */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/runtime_impl.h"
#include "base/utf8.h"
#include "pipeline/write_impl.h"

#define REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

/* The code point at text, and how many bytes it takes; 0xFFFD and 1 byte for one that begins no well-formed sequence. */
static size_t next(const char *text, size_t n, uint32_t *cp)
{
    const size_t n_bytes = lfm2__utf8_decode(text, n, cp);
    if (n_bytes > 0) return n_bytes;
    *cp = 0xFFFD;
    return 1;
}

/* Code points with which a terminal may be steered, and those that are none. */
static int is_control(uint32_t cp)
{
    return cp < 0x20 || (cp >= 0x7F && cp <= 0x9F);
}

/* What stands in for a code point: NULL = itself. */
typedef const char *substitute_fn(uint32_t cp);

static const char *plain_substitute(uint32_t cp)
{
    if (cp == '\n' || cp == '\t') return NULL;
    if (cp == '\r') return "";
    return is_control(cp) || cp == 0xFFFD ? REPLACEMENT : NULL;
}

static const char *cell_substitute(uint32_t cp)
{
    if (cp == '\n' || cp == '\t' || cp == '\r') return " ";
    return plain_substitute(cp);
}

static const char *utf8_substitute(uint32_t cp)
{
    return cp == 0xFFFD ? REPLACEMENT : NULL;
}

static const char *xml_substitute(uint32_t cp)
{
    switch (cp) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    case '\t': return "&#9;";
    case '\n': return "&#10;";
    case '\r': return "&#13;";
    default: return is_control(cp) || cp == 0xFFFD || cp == 0xFFFE || cp == 0xFFFF ? REPLACEMENT : NULL;
    }
}

static void put(lfm2__str *s, const char *text, size_t n, substitute_fn *substitute)
{
    if (n == 0) return;
    size_t from = 0, n_bytes;
    for (size_t i = 0; i < n; i += n_bytes) {
        uint32_t cp;
        n_bytes = next(text + i, n - i, &cp);
        const char *other = substitute(cp);
        if (other == NULL) continue;
        lfm2__str_put(s, text + from, i - from);
        lfm2__str_puts(s, other);
        from = i + n_bytes;
    }
    lfm2__str_put(s, text + from, n - from);
}

void lfm2__put_plain(lfm2__str *s, const char *text, size_t n)
{
    put(s, text, n, plain_substitute);
}

void lfm2__put_cell(lfm2__str *s, const char *text, size_t n)
{
    put(s, text, n, cell_substitute);
}

void lfm2__put_xml(lfm2__str *s, const char *text, size_t n)
{
    put(s, text, n, xml_substitute);
}

void lfm2__put_json(lfm2__str *s, const char *text, size_t n)
{
    if (lfm2__utf8_valid_n(text, n) == n) {
        lfm2__json_put_string(s, text, n);
        return;
    }
    lfm2__str valid;
    lfm2__str_init(&valid, s->rt);
    put(&valid, text, n, utf8_substitute);
    if (valid.status < 0) {
        s->status = valid.status;
    } else {
        lfm2__json_put_string(s, valid.data, valid.n);
    }
    lfm2__str_fini(&valid);
}

void lfm2__member(lfm2__str *s, const char *key)
{
    lfm2__str_printf(s, "%s\"%s\":", s->n > 0 && s->data[s->n - 1] == '{' ? "" : ",", key);
}

void lfm2__member_text(lfm2__str *s, const char *key, const char *text)
{
    lfm2__member(s, key);
    if (text == NULL) {
        lfm2__str_puts(s, "null");
    } else {
        lfm2__put_json(s, text, strlen(text));
    }
}

void lfm2__member_int(lfm2__str *s, const char *key, int64_t v)
{
    lfm2__member(s, key);
    lfm2__str_printf(s, "%lld", (long long)v);
}

void lfm2__member_true(lfm2__str *s, const char *key)
{
    lfm2__member(s, key);
    lfm2__str_puts(s, "true");
}

void lfm2__member_fixed(lfm2__str *s, const char *key, int64_t v, int n_decimals)
{
    lfm2__member(s, key);
    if (v < 0) {
        lfm2__str_puts(s, "null");
    } else {
        lfm2__str_put_fixed(s, v, n_decimals);
    }
}

static double power_of_ten(int n)
{
    double one = 1;
    while (n-- > 0) one *= 10;
    return one;
}

void lfm2__member_real(lfm2__str *s, const char *key, double v, int n_decimals)
{
    lfm2__member(s, key);
    if (!(fabs(v) <= 1e9)) { /* NaN, too */
        lfm2__str_puts(s, "null");
    } else {
        lfm2__str_put_fixed(s, (int64_t)llround(v * power_of_ten(n_decimals)), n_decimals);
    }
}

int64_t lfm2__confidence_fixed(float confidence, int n_decimals)
{
    if (!(confidence >= 0)) return -1; /* NaN, too */
    return (int64_t)llround(fmin((double)confidence, 1) * power_of_ten(n_decimals));
}

void lfm2__sink_init(lfm2__sink *sink, lfm2_runtime *rt, int (*write)(void *ctx, const char *bytes, size_t n), void *ctx)
{
    lfm2__str_init(&sink->s, rt);
    sink->write = write;
    sink->ctx = ctx;
}

void lfm2__sink_fini(lfm2__sink *sink)
{
    lfm2__str_fini(&sink->s);
}

int lfm2__sink_flush(lfm2__sink *sink)
{
    if (sink->s.status < 0) return lfm2__fail(sink->s.rt, sink->s.status, "writing: out of memory");
    const size_t n = sink->s.n;
    if (n == 0) return 0;
    sink->s.n = 0;
    if (sink->write(sink->ctx, sink->s.data, n) != 0) {
        return lfm2__fail(sink->s.rt, LFM2_ERR_IO, "writing: the caller could not write %zu bytes", n);
    }
    return 0;
}
