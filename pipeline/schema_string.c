/* SPDX-License-Identifier: Apache-2.0
 * Strings in quotes, with the escapes that JSON needs and no others, and the formats that are enforced. */
#include "pipeline/schema.h"

#include <string.h>

#include "base/runtime_impl.h"

enum { MAX_HOSTNAME = 253 };

typedef struct char_rule { /* the rule of one code point of these ranges, escaped where it must be */
    lfm2__cp_range *ranges;
    int32_t n, rule;
    struct char_rule *rest;
} char_rule;

static int32_t escaped(lfm2_grammar *g, uint32_t cp, int32_t next)
{
    static const char named[] = "\"\"\\\\\bb\ff\nn\rr\tt"; /* pairs: the character, and what stands behind the backslash */
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i + 1 < sizeof(named); i += 2) {
        if ((uint32_t)named[i] == cp) {
            const char text[2] = {'\\', named[i + 1]};
            return lfm2__g_text(g, text, 2, next);
        }
    }
    const char text[6] = {'\\', 'u', '0', '0', hex[cp >> 4], hex[cp & 15]};
    return lfm2__g_text(g, text, 6, next);
}

static int32_t build_char(lfm2__schema *c, const lfm2__cp_range *ranges, int32_t n)
{
    static const lfm2__cp_range plain[] = {{0x20, 0x21}, {0x23, 0x5b}, {0x5d, 0x10ffff}};
    int32_t node = LFM2__FAIL, n_cut = 0;
    lfm2__cp_range *cut = lfm2__schema_alloc(c, 3 * (size_t)n * sizeof(*cut));
    if (cut == NULL) return LFM2__FAIL;
    for (int32_t i = 0; i < n; i++) {
        for (size_t k = 0; k < LFM2__COUNT_OF(plain); k++) {
            const uint32_t lo = ranges[i].lo > plain[k].lo ? ranges[i].lo : plain[k].lo;
            const uint32_t hi = ranges[i].hi < plain[k].hi ? ranges[i].hi : plain[k].hi;
            if (lo <= hi) cut[n_cut++] = (lfm2__cp_range){lo, hi};
        }
        for (uint32_t cp = ranges[i].lo; cp <= 0x5c && cp <= ranges[i].hi; cp++) {
            if (cp < 0x20 || cp == '"' || cp == '\\') node = lfm2__g_either(c->g, escaped(c->g, cp, LFM2__END), node);
        }
    }
    return lfm2__g_either(c->g, lfm2__g_class(c->g, cut, n_cut, 0, LFM2__END), node);
}

static int32_t char_node(void *ctx, lfm2_grammar *g, lfm2__cp_range *ranges, int32_t n, int32_t next)
{
    lfm2__schema *c = ctx;
    char_rule *r = c->char_rules;
    for (; r != NULL; r = r->rest) {
        if (r->n == n && memcmp(r->ranges, ranges, (size_t)n * sizeof(*ranges)) == 0) return lfm2__g_call(g, r->rule, next);
    }
    r = lfm2__schema_alloc(c, sizeof(*r));
    lfm2__cp_range *kept = lfm2__schema_alloc(c, (size_t)n * sizeof(*kept));
    if (r == NULL || kept == NULL) return LFM2__FAIL;
    memcpy(kept, ranges, (size_t)n * sizeof(*kept));
    *r = (char_rule){.ranges = kept, .n = n, .rule = lfm2__g_rule(g), .rest = c->char_rules};
    c->char_rules = r;
    lfm2__g_define(g, r->rule, build_char(c, kept, n));
    return lfm2__g_call(g, r->rule, next);
}

typedef struct dfa_rule {
    const lfm2__dfa *d;
    lfm2__class_fn *class_node;
    uint32_t hash;
    int32_t rule;
    struct dfa_rule *rest;
} dfa_rule;

static uint32_t hash_dfa(const lfm2__dfa *d)
{
    const size_t n = (size_t)d->n_states * (size_t)d->n_classes;
    uint64_t h = 0;
    for (size_t i = 0; i < n; i++) h = (h ^ (uint32_t)d->next[i]) * 0x9e3779b97f4a7c15u, h ^= h >> 29;
    return (uint32_t)(h >> 16);
}

static int is_same(const lfm2__dfa *a, const lfm2__dfa *b)
{
    const size_t n = (size_t)a->n_states, k = (size_t)a->n_classes;
    return a == b || (a->n_states == b->n_states && a->n_classes == b->n_classes && memcmp(a->accepts, b->accepts, n) == 0 &&
                      memcmp(a->bounds, b->bounds, k * sizeof(*a->bounds)) == 0 &&
                          memcmp(a->next, b->next, n * k * sizeof(*a->next)) == 0);
}

int32_t lfm2__g_dfa_rule(lfm2__schema *c, const lfm2__dfa *d, lfm2__class_fn *class_node, int quoted, int32_t next)
{
    if (c->status < 0) return LFM2__FAIL;
    const uint32_t hash = hash_dfa(d);
    dfa_rule *r = c->dfa_rules;
    while (r != NULL && !(r->hash == hash && r->class_node == class_node && is_same(r->d, d))) r = r->rest;
    if (r == NULL) {
        r = lfm2__schema_alloc(c, sizeof(*r));
        if (r == NULL) return LFM2__FAIL;
        *r = (dfa_rule){d, class_node, hash, lfm2__g_rule(c->g), c->dfa_rules};
        c->dfa_rules = r;
        const int32_t end = quoted ? lfm2__g_text(c->g, "\"", 1, LFM2__END) : LFM2__END;
        const int32_t body = lfm2__g_dfa(c->g, d, class_node, c, end);
        lfm2__g_define(c->g, r->rule, quoted ? lfm2__g_text(c->g, "\"", 1, body) : body);
    }
    return lfm2__g_call(c->g, r->rule, next);
}

int32_t lfm2__g_key(lfm2__schema *c, const char *key, size_t n, int32_t next)
{
    lfm2__str s;
    lfm2__str_init(&s, c->rt);
    lfm2__json_put_string(&s, key, n);
    if (s.status < 0 && c->status == 0) c->status = s.status;
    const int32_t node = c->status < 0 ? LFM2__FAIL : lfm2__g_text(c->g, s.data, s.n, next);
    lfm2__str_fini(&s);
    return node;
}

int32_t lfm2__g_string(lfm2__schema *c, const lfm2__dfa *d, int32_t next)
{
    if (c->status < 0) return LFM2__FAIL;
    if (d != NULL) return lfm2__g_dfa_rule(c, d, char_node, 1, next);
    if (c->any_string < 0) {
        lfm2__cp_range all = {0, 0x10ffff};
        c->any_string = lfm2__g_rule(c->g);
        const int32_t loop = lfm2__g_loop(c->g, lfm2__g_text(c->g, "\"", 1, LFM2__END));
        lfm2__g_close_loop(c->g, loop, char_node(c, c->g, &all, 1, loop));
        lfm2__g_define(c->g, c->any_string, lfm2__g_text(c->g, "\"", 1, loop));
    }
    return lfm2__g_call(c->g, c->any_string, next);
}

int32_t lfm2__g_string_shape(lfm2__schema *c, const lfm2__shape *s, int32_t next)
{
    return lfm2__g_string(c, s->strings, next);
}

/* ---- Formats ---- */

#define DAY "(0[1-9]|1[0-9]|2[0-8])"
#define LEAP_YEAR "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)"
#define DATE "(([0-9]{4}-((0[1-9]|1[0-2])-" DAY "|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31))|" LEAP_YEAR "-02-29)"
#define OFFSET "([zZ]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
#define TIME "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]+)?" OFFSET
#define BYTE "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#define IPV4 BYTE "(\\." BYTE "){3}"
#define H16 "[0-9a-fA-F]{1,4}"
#define LS32 "(" H16 ":" H16 "|" IPV4 ")"
#define IPV6                                                                                                     \
    "((" H16 ":){6}" LS32 "|::(" H16 ":){5}" LS32 "|(" H16 ")?::(" H16 ":){4}" LS32                              \
    "|((" H16 ":){0,1}" H16 ")?::(" H16 ":){3}" LS32 "|((" H16 ":){0,2}" H16 ")?::(" H16 ":){2}" LS32            \
    "|((" H16 ":){0,3}" H16 ")?::" H16 ":" LS32 "|((" H16 ":){0,4}" H16 ")?::" LS32                              \
    "|((" H16 ":){0,5}" H16 ")?::" H16 "|((" H16 ":){0,6}" H16 ")?::)"
#define LABEL "[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
#define HOST LABEL "(\\." LABEL ")*"
#define ATOM "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+"
#define PCT "%[0-9a-fA-F]{2}"
#define UNRESERVED "a-zA-Z0-9._~!$&'()*+,;=\\-"
#define PCHAR "([" UNRESERVED ":@]|" PCT ")"
#define AUTHORITY "(([" UNRESERVED ":]|" PCT ")*@)?(\\[" IPV6 "\\]|([" UNRESERVED "]|" PCT ")*)(:[0-9]*)?"
#define PATH_ABEMPTY "(/" PCHAR "*)*"
#define TAIL "(\\?(" PCHAR "|[/?])*)?(#(" PCHAR "|[/?])*)?"
#define URI "[a-zA-Z][a-zA-Z0-9+.-]*:(//" AUTHORITY PATH_ABEMPTY "|/(" PCHAR "+" PATH_ABEMPTY ")?|" PCHAR "+" PATH_ABEMPTY "|)" TAIL

static const struct {
    const char *name, *pattern;
} formats[] = {
    {"date", "^" DATE "$"},
    {"time", "^" TIME "$"},
    {"date-time", "^" DATE "[tT]" TIME "$"},
    {"duration", "^P([0-9]+W|([0-9]+Y)?([0-9]+M)?[0-9]+D(T([0-9]+H([0-9]+M([0-9]+S)?)?|[0-9]+M([0-9]+S)?|[0-9]+S))?|([0-9]+Y)"
                 "?[0-9]+M"
                 "(T([0-9]+H([0-9]+M([0-9]+S)?)?|[0-9]+M([0-9]+S)?|[0-9]+S))?|[0-9]+Y(T([0-9]+H([0-9]+M([0-9]+S)?)"
                 "?|[0-9]+M([0-9]+S)?|[0-9]+S))?|"
                 "T([0-9]+H([0-9]+M([0-9]+S)?)?|[0-9]+M([0-9]+S)?|[0-9]+S))$"},
    {"email", "^" ATOM "(\\." ATOM ")*@" HOST "$"},
    {"hostname", "^" HOST "$"},
    {"ipv4", "^" IPV4 "$"},
    {"ipv6", "^" IPV6 "$"},
    {"uuid", "^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$"},
    {"uri", "^" URI "$"},
    {"json-pointer", "^(/([^~/]|~[01])*)*$"},
};

/* Of the standard, but not enforced here: refused, so that nobody relies on them. Names that are not of the standard are notes. */
static const char *const unknown[] = {"idn-email", "idn-hostname", "uri-reference", "iri", "iri-reference", "uri-template",
                                      "relative-json-pointer", "regex"};

lfm2__dfa *lfm2__strings_format(lfm2__schema *c, const lfm2__json *format)
{
    const char *name = lfm2__json_str(format, NULL);
    if (name == NULL) {
        (void)lfm2__schema_fail(c, LFM2_ERR_FORMAT, format, "not the name of a format");
        return NULL;
    }
    for (size_t i = 0; i < LFM2__COUNT_OF(formats); i++) {
        if (strcmp(name, formats[i].name) != 0) continue;
        lfm2__dfa *d = lfm2__schema_pattern(c, format, formats[i].pattern, strlen(formats[i].pattern)), *length = NULL;
        if (strcmp(name, "hostname") != 0 || d == NULL) return d;
        const int rc = lfm2__dfa_from_length(c->rt, 1, MAX_HOSTNAME, &length);
        return lfm2__dfa_meet(c, d, lfm2__schema_keep(c, rc, length));
    }
    for (size_t i = 0; i < LFM2__COUNT_OF(unknown); i++) {
        if (strcmp(name, unknown[i]) == 0) (void)lfm2__schema_fail(c, LFM2_ERR_UNSUPPORTED, format, "this format");
    }
    if (c->status == 0) lfm2__log(c->rt, LFM2_LOG_WARN, "json schema: a format that no standard names is taken as a note");
    return NULL;
}
