/* SPDX-License-Identifier: Apache-2.0
 * Pre-tokeniser over PCRE2. tokenizer.json patterns are written for another engine (Oniguruma), so only constructs that mean the
 * same in both are let through, and the white-space escapes are spelled out. What is a letter or a number is as PCRE2 knows it:
 * characters newer than its Unicode version (14 in PCRE2 10.42) are neither, and may be cut elsewhere than by the reference. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "tokenizers/pretok.h"

#include <pcre2.h>
#include <string.h>

#include "base/runtime_impl.h"
#include "base/str.h"
#include "lfm2/status.h"

/* Unicode White_Space. PCRE2's own \s adds U+180E, which lost that property. */
#define SPACES "\\t-\\r\\x20\\x85\\xA0\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}"

#define POLL_PIECES 4096 /* pieces between looks at the abort flag */

const char lfm2__pretok_lfm2[] = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|"
                                 " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

struct lfm2__pretok {
    lfm2_runtime *rt;
    pcre2_general_context *general;
    pcre2_code *code;
    int has_jit;
};

struct lfm2__pretok_match {
    const lfm2__pretok *p;
    pcre2_match_data *data;
    pcre2_match_context *context;
};

static void *pcre_alloc(size_t n, void *rt)
{
    return lfm2__alloc(rt, n);
}

static void pcre_free(void *p, void *rt)
{
    lfm2__free(rt, p);
}

/* One general category in braces: {L}, {Nd}. Returns its length, 0 for anything else. */
static size_t category_n(const char *s, size_t n)
{
    static const char majors[] = "CLMNPSZ";

    if (n < 3 || s[0] != '{' || memchr(majors, s[1], sizeof(majors) - 1) == NULL) return 0;
    if (s[2] == '}') return 3;
    return n >= 4 && s[2] >= 'a' && s[2] <= 'z' && s[3] == '}' ? 4 : 0;
}

/* An escape behind its backslash: appends what PCRE2 is to see. Returns the length taken, 0 for one that is not let through. */
static size_t put_escape(lfm2__str *out, const char *s, size_t n, int in_class)
{
    size_t len;

    if (n == 0) return 0;
    if (s[0] == 's') {
        lfm2__str_puts(out, in_class ? SPACES : "[" SPACES "]");
        return 1;
    }
    if (s[0] == 'S' && !in_class) {
        lfm2__str_puts(out, "[^" SPACES "]");
        return 1;
    }
    if (s[0] == 'd') {
        lfm2__str_puts(out, "\\p{Nd}");
        return 1;
    }
    if (s[0] == 'p' || s[0] == 'P') {
        len = category_n(s + 1, n - 1);
        if (len == 0) return 0;
        lfm2__str_put(out, s - 1, len + 2);
        return len + 1;
    }
    if (strchr("rnt.|()[]{}?*+^$/\\-'\"", s[0]) == NULL || s[0] == '\0') return 0;
    lfm2__str_put(out, s - 1, 2);
    return 1;
}

/* What may follow an opening parenthesis besides a plain group. Returns the length to copy, 0 if it is not let through. */
static size_t group_n(const char *s, size_t n)
{
    static const char *const heads[] = {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?i:", "(?>"};
    size_t i;

    if (n < 2 || (s[1] != '?' && s[1] != '*')) return 1;
    for (i = 0; i < LFM2__COUNT_OF(heads); i++)
        if (strlen(heads[i]) <= n && memcmp(s, heads[i], strlen(heads[i])) == 0) return strlen(heads[i]);
    return 0;
}

/* Length of {n}, {n,} or {n,m}, 0 for anything else. */
static size_t bound_n(const char *s, size_t n)
{
    size_t i = 1;

    while (i < n && s[i] >= '0' && s[i] <= '9') i++;
    if (i == 1) return 0;
    if (i < n && s[i] == ',') i++;
    while (i < n && s[i] >= '0' && s[i] <= '9') i++;
    if (i == n || s[i] != '}' || (i + 1 < n && s[i + 1] == '+')) return 0;
    return i + 1;
}

/* Rewrite the pattern for PCRE2. Returns 0, or -1 with *bad at the construct that is not let through. */
static int rewrite(const char *s, size_t n, lfm2__str *out, size_t *bad)
{
    int in_class = 0;
    size_t i = 0, len;

    while (i < n) {
        *bad = i;
        len = 1;
        if (s[i] == '\\') {
            len = put_escape(out, s + i + 1, n - i - 1, in_class);
            if (len == 0) return -1;
            i += len + 1;
            continue;
        }
        if (in_class) {
            if (s[i] == '[' || (s[i] == '&' && i + 1 < n && s[i + 1] == '&')) return -1;
            in_class = s[i] != ']';
        } else if (s[i] == '[') {
            in_class = 1;
            if (i + 1 < n && s[i + 1] == '^') len = 2;
            if (i + len < n && s[i + len] == ']') return -1;
        } else if (s[i] == '(') {
            len = group_n(s + i, n - i);
            if (len == 0) return -1;
        } else if (s[i] == '{') { /* {,n} and a + behind the bound mean something else there */
            len = bound_n(s + i, n - i);
            if (len == 0) return -1;
        } else if (s[i] == '^' || s[i] == '$' || s[i] == '.' || s[i] == '}' || s[i] == '\0') {
            return -1;
        }
        lfm2__str_put(out, s + i, len);
        i += len;
    }
    return 0;
}

static int compile(lfm2__pretok *p, const char *label, const char *field, const lfm2__str *text)
{
    pcre2_compile_context *context = pcre2_compile_context_create(p->general);
    PCRE2_SIZE where = 0;
    uint32_t matches_empty = 0;
    int error = 0;

    if (context == NULL) return LFM2_ERR_NOMEM;
    pcre2_set_parens_nest_limit(context, 50);
    p->code = pcre2_compile((PCRE2_SPTR)text->data, text->n, PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &where,
                            context);
    pcre2_compile_context_free(context);
    if (p->code == NULL) {
        if (error == PCRE2_ERROR_HEAP_FAILED) return LFM2_ERR_NOMEM;
        return lfm2__fail(p->rt, LFM2_ERR_FORMAT, "%s: %s: not a regular expression (PCRE2 error %d)", label, field, error);
    }
    (void)pcre2_pattern_info(p->code, PCRE2_INFO_MATCHEMPTY, &matches_empty);
    if (matches_empty) return lfm2__fail(p->rt, LFM2_ERR_UNSUPPORTED, "%s: %s: the pattern can match nothing at all", label, field);
    p->has_jit = pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE) == 0; /* without it the interpreter does the work */
    return 0;
}

int lfm2__pretok_create(lfm2_runtime *rt, const char *label, const char *field, const char *pattern, size_t n, lfm2__pretok **out)
{
    lfm2__pretok *p = NULL;
    lfm2__str text;
    size_t bad = 0;
    int rc;

    lfm2__str_init(&text, rt);
    if (n == 0 || n > LFM2__MAX_PATTERN_BYTES)
        return lfm2__fail(rt, LFM2_ERR_LIMIT, "%s: %s: %zu bytes, allowed are 1 to %d", label, field, n, LFM2__MAX_PATTERN_BYTES);
    if (rewrite(pattern, n, &text, &bad) < 0) {
        rc = lfm2__fail(rt, LFM2_ERR_UNSUPPORTED, "%s: %s: a construct at byte %zu that is not supported", label, field, bad);
        goto fail;
    }
    rc = LFM2_ERR_NOMEM;
    if (text.status < 0) goto fail;
    p = lfm2__calloc(rt, 1, sizeof(*p));
    if (p == NULL) goto fail;
    p->rt = rt;
    p->general = pcre2_general_context_create(pcre_alloc, pcre_free, rt);
    if (p->general == NULL) goto fail;
    rc = compile(p, label, field, &text);
    if (rc < 0) goto fail;
    lfm2__str_fini(&text);
    *out = p;
    return 0;
fail:
    lfm2__str_fini(&text);
    lfm2__pretok_destroy(p);
    return rc;
}

void lfm2__pretok_destroy(lfm2__pretok *p)
{
    if (p == NULL) return;
    pcre2_code_free(p->code);
    pcre2_general_context_free(p->general);
    lfm2__free(p->rt, p);
}

int lfm2__pretok_match_create(const lfm2__pretok *p, size_t max_bytes, lfm2__pretok_match **out)
{
    lfm2__pretok_match *m = lfm2__calloc(p->rt, 1, sizeof(*m));
    /* A run of white space is walked back once, so a step or two for each byte are honest; far more are a pattern gone wild. */
    uint32_t steps = max_bytes > (UINT32_MAX - 1000000u) / 8 ? UINT32_MAX : 1000000u + 8 * (uint32_t)max_bytes;

    if (m == NULL) return LFM2_ERR_NOMEM;
    m->p = p;
    m->data = pcre2_match_data_create(1, p->general);
    m->context = pcre2_match_context_create(p->general);
    if (m->data == NULL || m->context == NULL) {
        lfm2__pretok_match_destroy(m);
        return LFM2_ERR_NOMEM;
    }
    pcre2_set_match_limit(m->context, steps);
    pcre2_set_depth_limit(m->context, 1000000);
    pcre2_set_heap_limit(m->context, 64 * 1024); /* KiB */
    *out = m;
    return 0;
}

void lfm2__pretok_match_destroy(lfm2__pretok_match *m)
{
    if (m == NULL) return;
    pcre2_match_data_free(m->data);
    pcre2_match_context_free(m->context);
    lfm2__free(m->p->rt, m);
}

/* Next match at or behind `at`. Returns PCRE2's code: positive for a match. */
static int next_match(const lfm2__pretok *p, lfm2__pretok_match *m, const char *text, size_t n, size_t at)
{
    int rc = PCRE2_ERROR_JIT_STACKLIMIT;

    if (p->has_jit) rc = pcre2_jit_match(p->code, (PCRE2_SPTR)text, n, at, 0, m->data, m->context);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(p->code, (PCRE2_SPTR)text, n, at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, m->data, m->context);
    return rc == 0 ? 1 : rc; /* 0: more groups than room for them, which nobody reads */
}

static int match_failed(const lfm2__pretok *p, int rc)
{
    if (rc == PCRE2_ERROR_NOMEMORY) return LFM2_ERR_NOMEM;
    return lfm2__fail(p->rt, LFM2_ERR_LIMIT, "pre-tokeniser: the pattern took too many steps (PCRE2 error %d)", rc);
}

int lfm2__pretok_split(const lfm2__pretok *p, lfm2__pretok_match *m, const char *text, size_t n, lfm2__piece_fn *fn, void *ctx)
{
    const PCRE2_SIZE *where = pcre2_get_ovector_pointer(m->data);
    size_t at = 0, n_pieces = 0;
    int rc;

    while (at < n) {
        if (++n_pieces % POLL_PIECES == 0 && lfm2__aborted(p->rt)) return LFM2_ERR_ABORTED;
        rc = next_match(p, m, text, n, at);
        if (rc == PCRE2_ERROR_NOMATCH) return fn(ctx, text + at, n - at);
        if (rc < 0) return match_failed(p, rc);
        if (where[0] < at || where[1] <= where[0] || where[1] > n)
            return lfm2__fail(p->rt, LFM2_ERR_UNSUPPORTED, "pre-tokeniser: the pattern matched out of order");
        if (where[0] > at) {
            rc = fn(ctx, text + at, where[0] - at);
            if (rc < 0) return rc;
        }
        rc = fn(ctx, text + where[0], where[1] - where[0]);
        if (rc < 0) return rc;
        at = where[1];
    }
    return 0;
}
