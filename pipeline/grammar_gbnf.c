/* SPDX-License-Identifier: Apache-2.0
 * Grammars in GBNF, llama.cpp's dialect of BNF: read into a tree, then built from its end to its beginning.
 *
 *   rule   ::= name "::=" either          name: letters, digits, '-', '_'
 *   either ::= row ("|" row)*             row: terms one after another, perhaps none
 *   term   ::= ("text" | [set] | [^set] | . | name | "(" either ")") ("*" | "+" | "?" | "{m}" | "{m,}" | "{m,n}")?
 * A rule ends at the end of its line, but for brackets that are open and '|'. '#' begins a comment. */
#include "lfm2/constrain.h"

#include <string.h>

#include "base/runtime_impl.h"
#include "base/utf8.h"
#include "pipeline/grammar.h"
#include "pipeline/list.h"

enum {
    MAX_TEXT = 1 << 20,
    MAX_NODES = 1 << 18,
    MAX_RULES = 1 << 17,
    MAX_DEPTH = 200,     /* of brackets */
    MAX_REPEAT = 100000
};

typedef enum kind { EMPTY, TEXT, SET, NAME, ROW, EITHER, REPEAT } kind;

typedef struct tree {
    kind kind;
    /* ROW, EITHER: both parts; REPEAT: a; TEXT: a bytes at offset b of `text`; SET: b ranges from a; NAME: rule a */
    int32_t a, b;
    int32_t min, max;  /* REPEAT; SET: min 1 = negated */
} tree;

typedef struct name {
    const char *text;
    size_t n;
    const char *where; /* first met */
    int32_t body;      /* tree; -1 = not defined yet */
} name;

typedef struct parser {
    lfm2_runtime *rt;
    const char *begin, *at, *end;
    lfm2__list trees, ranges, names, text;
    int32_t *name_slots; /* hash of names; -1 = free */
    uint32_t name_mask;
    int32_t depth;
    int status;
} parser;

/* ---- Tools of the reader ---- */

static int fail_at(parser *p, int status, const char *where, const char *what)
{
    int line = 1, column = 1;
    if (p->status < 0) return p->status;
    for (const char *c = p->begin; c < where; c++) {
        column++;
        if (*c == '\n') {
            line++;
            column = 1;
        }
    }
    p->status = lfm2__fail(p->rt, status, "grammar: line %d, column %d: %s", line, column, what);
    return p->status;
}

/* One more element at the end of a list; its index, or -1. */
static int32_t append(parser *p, lfm2__list *l, const void *elem)
{
    if (p->status < 0) return -1;
    const int32_t i = lfm2__list_add(p->rt, l, elem);
    if (i >= 0) return i;
    if (i == LFM2_ERR_LIMIT) return fail_at(p, i, p->at, "too large a grammar"), -1;
    p->status = i;
    return -1;
}

static int32_t add_tree(parser *p, tree t)
{
    return append(p, &p->trees, &t);
}

static tree *tree_at(const parser *p, int32_t i)
{
    return (tree *)p->trees.data + i;
}

static int peek(const parser *p)
{
    return p->at < p->end ? (unsigned char)*p->at : -1;
}

static int take(parser *p, char c)
{
    if (peek(p) != (unsigned char)c) return 0;
    p->at++;
    return 1;
}

/* Blanks and comments, and line ends where they mean nothing. */
static void skip(parser *p, int lines_too)
{
    for (;;) {
        const int c = peek(p);
        if (c == '#') {
            while (p->at < p->end && *p->at != '\n' && *p->at != '\r') p->at++;
        } else if (c == ' ' || c == '\t' || (lines_too && (c == '\n' || c == '\r'))) {
            p->at++;
        } else {
            return;
        }
    }
}

static int is_name(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static uint32_t hash_name(const char *s, size_t n)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)s[i]) * 16777619u;
    return h ^ h >> 15;
}

static int grow_names(parser *p)
{
    const uint32_t cap = p->name_mask == 0 ? 256 : 2 * (p->name_mask + 1);
    int32_t *slots = lfm2__alloc(p->rt, cap * sizeof(*slots));
    if (slots == NULL) return p->status = LFM2_ERR_NOMEM;
    memset(slots, 0xff, cap * sizeof(*slots));
    lfm2__free(p->rt, p->name_slots);
    p->name_slots = slots;
    p->name_mask = cap - 1;
    for (int32_t i = 0; i < p->names.n; i++) {
        const name *known = (const name *)p->names.data + i;
        uint32_t at = hash_name(known->text, known->n) & p->name_mask;
        while (slots[at] >= 0) at = (at + 1) & p->name_mask;
        slots[at] = i;
    }
    return 0;
}

/* Index of the rule that is called what stands here; it may be defined later. */
static int32_t read_name(parser *p)
{
    const char *from = p->at;
    while (is_name(peek(p))) p->at++;
    const size_t n = (size_t)(p->at - from);
    if (n == 0) return fail_at(p, LFM2_ERR_FORMAT, from, "the name of a rule should stand here"), -1;
    if (2 * (uint32_t)p->names.n >= p->name_mask && grow_names(p) < 0) return -1;
    uint32_t at = hash_name(from, n) & p->name_mask;
    for (; p->name_slots[at] >= 0; at = (at + 1) & p->name_mask) {
        const name *known = (const name *)p->names.data + p->name_slots[at];
        if (known->n == n && memcmp(known->text, from, n) == 0) return p->name_slots[at];
    }
    const name fresh = {.text = from, .n = n, .where = from, .body = -1};
    p->name_slots[at] = append(p, &p->names, &fresh);
    return p->name_slots[at];
}

/* n_digits hexadecimal digits. */
static uint32_t read_hex(parser *p, int n_digits)
{
    uint32_t v = 0;
    for (int i = 0; i < n_digits; i++) {
        const int c = peek(p);
        const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' &&
            c <= 'F' ? c - 'A' + 10 : -1;
        if (digit < 0) {
            fail_at(p, LFM2_ERR_FORMAT, p->at, "a hexadecimal digit should stand here");
            return 0;
        }
        v = v << 4 | (uint32_t)digit;
        p->at++;
    }
    return v;
}

static uint32_t read_escape(parser *p)
{
    const char *from = p->at;
    const int c = peek(p);
    uint32_t v = 0;
    p->at += c >= 0;
    switch (c) {
    case 'x': return read_hex(p, 2);
    case 'u': v = read_hex(p, 4); break;
    case 'U': v = read_hex(p, 8); break;
    case 't': return '\t';
    case 'r': return '\r';
    case 'n': return '\n';
    case '\\': case '"': case '[': case ']': case '-': case '^': return (uint32_t)c;
    default: fail_at(p, LFM2_ERR_FORMAT, from, "not an escape"); return 0;
    }
    if (v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff)) fail_at(p, LFM2_ERR_FORMAT, from, "not a code point");
    return v;
}

/* A code point, escaped or not. The text as a whole is UTF-8, as was checked before. */
static uint32_t read_char(parser *p)
{
    if (p->at >= p->end) {
        fail_at(p, LFM2_ERR_FORMAT, p->at, "ends within a text or a set");
        return 0;
    }
    if (take(p, '\\')) return read_escape(p);
    uint32_t c = 0;
    p->at += lfm2__utf8_decode(p->at, (size_t)(p->end - p->at), &c);
    return c;
}

static int32_t read_number(parser *p)
{
    const char *from = p->at;
    int32_t v = 0;
    while (peek(p) >= '0' && peek(p) <= '9') {
        v = v * 10 + (*p->at++ - '0');
        if (v > MAX_REPEAT) return fail_at(p, LFM2_ERR_LIMIT, from, "too many repetitions"), 0;
    }
    if (p->at == from) fail_at(p, LFM2_ERR_FORMAT, from, "a number should stand here");
    return v;
}

/* ---- Terms ---- */

static int32_t read_text(parser *p)
{
    tree t = {.kind = TEXT, .b = p->text.n};
    while (p->status == 0 && !take(p, '"')) {
        char bytes[4];
        const size_t n = lfm2__utf8_encode(read_char(p), bytes);
        for (size_t i = 0; i < n; i++) (void)append(p, &p->text, &bytes[i]);
    }
    t.a = p->text.n - t.b;
    return add_tree(p, t);
}

static int32_t read_set(parser *p)
{
    tree t = {.kind = SET, .a = p->ranges.n};
    t.min = take(p, '^');
    while (p->status == 0 && !take(p, ']')) {
        const char *from = p->at;
        lfm2__cp_range r;
        r.lo = r.hi = read_char(p);
        if (peek(p) == '-' && p->at + 1 < p->end && p->at[1] != ']') {
            p->at++;
            r.hi = read_char(p);
            if (r.hi < r.lo) fail_at(p, LFM2_ERR_FORMAT, from, "a range that runs backwards");
        }
        (void)append(p, &p->ranges, &r);
    }
    t.b = p->ranges.n - t.a;
    return add_tree(p, t);
}

static int32_t read_either(parser *p, int in_brackets);

static int32_t read_brackets(parser *p)
{
    if (++p->depth > MAX_DEPTH) return fail_at(p, LFM2_ERR_LIMIT, p->at, "brackets too deep"), -1;
    const int32_t inner = read_either(p, 1);
    skip(p, 1);
    if (!take(p, ')')) fail_at(p, LFM2_ERR_FORMAT, p->at, "')' should stand here");
    p->depth--;
    return inner;
}

static int32_t read_one(parser *p)
{
    if (take(p, '"')) return read_text(p);
    if (take(p, '[')) return read_set(p);
    if (take(p, '.')) return add_tree(p, (tree){.kind = SET, .a = p->ranges.n, .b = 0, .min = 1});
    if (take(p, '(')) return read_brackets(p);
    return add_tree(p, (tree){.kind = NAME, .a = read_name(p)});
}

/* What may stand behind a term. */
static int32_t read_times(parser *p, int32_t term)
{
    tree t = {.kind = REPEAT, .a = term, .min = 0, .max = -1};
    const char *from = p->at;
    if (take(p, '*')) return add_tree(p, t);
    if (take(p, '+')) t.min = 1;
    else if (take(p, '?')) t.max = 1;
    else if (take(p, '{')) {
        skip(p, 0);
        t.min = t.max = read_number(p);
        skip(p, 0);
        if (take(p, ',')) {
            skip(p, 0);
            t.max = peek(p) == '}' ? -1 : read_number(p);
            skip(p, 0);
        }
        if (!take(p, '}')) fail_at(p, LFM2_ERR_FORMAT, p->at, "'}' should stand here");
        if (t.max >= 0 && t.max < t.min) fail_at(p, LFM2_ERR_FORMAT, from, "at most fewer than at least");
    } else {
        return term;
    }
    return add_tree(p, t);
}

static int begins_term(int c)
{
    return c == '"' || c == '[' || c == '.' || c == '(' || is_name(c);
}

static int32_t read_row(parser *p, int in_brackets)
{
    int32_t row = -1;
    for (skip(p, in_brackets); p->status == 0 && begins_term(peek(p)); skip(p, in_brackets)) {
        const int32_t term = read_times(p, read_one(p));
        row = row < 0 ? term : add_tree(p, (tree){.kind = ROW, .a = row, .b = term});
    }
    return row >= 0 ? row : add_tree(p, (tree){.kind = EMPTY});
}

static int32_t read_either(parser *p, int in_brackets)
{
    int32_t either = read_row(p, in_brackets);
    for (;;) {
        const char *line_end = p->at;
        skip(p, 1); /* '|' may begin the next line */
        if (p->status < 0 || !take(p, '|')) {
            if (!in_brackets) p->at = line_end;
            return either;
        }
        skip(p, 1);
        const int32_t row = read_row(p, in_brackets);
        either = add_tree(p, (tree){.kind = EITHER, .a = either, .b = row});
    }
}

static void read_rules(parser *p)
{
    for (skip(p, 1); p->status == 0 && p->at < p->end; skip(p, 1)) {
        const char *from = p->at;
        const int32_t rule = read_name(p);
        skip(p, 0);
        if (p->status < 0) return;
        if (p->end - p->at < 3 || memcmp(p->at, "::=", 3) != 0) {
            fail_at(p, LFM2_ERR_FORMAT, p->at, "'::=' should stand here");
            return;
        }
        p->at += 3;
        skip(p, 1);
        const int32_t body = read_either(p, 0);
        if (p->status < 0) return;
        skip(p, 0);
        if (p->at < p->end && *p->at != '\n' && *p->at != '\r') {
            fail_at(p, LFM2_ERR_FORMAT, p->at, "nothing like this can stand here");
            return;
        }
        name *n = (name *)p->names.data + rule;
        if (n->body >= 0) {
            fail_at(p, LFM2_ERR_FORMAT, from, "this rule was defined before");
            return;
        }
        n->body = body;
    }
}

/* ---- Building ---- */

static int32_t build(parser *p, lfm2_grammar *g, int32_t i, int32_t next);

/* A body that is repeated becomes a rule, so that each time costs one node. */
static int32_t build_repeat(parser *p, lfm2_grammar *g, const tree *t, int32_t next)
{
    const int32_t rule = lfm2__g_rule(g);
    lfm2__g_define(g, rule, build(p, g, t->a, LFM2__END));
    return lfm2__g_repeat(g, rule, t->min, t->max, next);
}

/* Rows and alternatives lean to the left, so their length is no depth; only brackets and repetitions are. */
static int32_t build(parser *p, lfm2_grammar *g, int32_t i, int32_t next)
{
    int32_t node = next, others = LFM2__FAIL;
    while (g->status == 0) {
        const tree *t = tree_at(p, i);
        if (t->kind == ROW) {
            node = build(p, g, t->b, node);
            i = t->a;
            continue;
        }
        if (t->kind == EITHER && node == next) {
            others = lfm2__g_either(g, build(p, g, t->b, next), others);
            i = t->a;
            continue;
        }
        switch (t->kind) {
        case TEXT: node = t->a == 0 ? node : lfm2__g_text(g, (const char *)p->text.data + t->b, (size_t)t->a, node); break;
        case SET:
            node = lfm2__g_class(g, t->b == 0 ? NULL : (lfm2__cp_range *)p->ranges.data + t->a, t->b, t->min, node);
            break;
        case NAME: node = lfm2__g_call(g, t->a, node); break;
        case REPEAT: node = build_repeat(p, g, t, node); break;
        case EITHER: node = build(p, g, i, node); break; /* in brackets, with something behind it */
        default: break;
        }
        return lfm2__g_either(g, node, others);
    }
    return LFM2__FAIL;
}

/* The rule that is at fault, for the log. */
static int blame(parser *p, int status, int32_t rule)
{
    const name *n = rule >= 0 && rule < p->names.n ? (const name *)p->names.data + rule : NULL;
    if (n == NULL || status == LFM2_ERR_NOMEM) return status;
    p->status = 0;
    return fail_at(p, status, n->where, status == LFM2_ERR_FORMAT ? "this rule is not defined" : "this rule begins with itself");
}

static int build_rules(parser *p, lfm2_grammar *g)
{
    int32_t start = -1, at_fault = -1;
    for (int32_t i = 0; i < p->names.n; i++) (void)lfm2__g_rule(g); /* rules have the numbers of their names */
    for (int32_t i = 0; i < p->names.n && g->status == 0; i++) {
        const name *n = (const name *)p->names.data + i;
        if (n->n == 4 && memcmp(n->text, "root", 4) == 0) start = i;
        if (n->body < 0) return blame(p, LFM2_ERR_FORMAT, i);
        lfm2__g_define(g, i, build(p, g, n->body, LFM2__END));
    }
    if (start < 0 && g->status == 0) return lfm2__fail(p->rt, LFM2_ERR_FORMAT, "grammar: it has no rule \"root\"");
    const int rc = lfm2__grammar_seal(g, start, &at_fault);
    if (rc == LFM2_ERR_RANGE) return lfm2__fail(p->rt, rc, "grammar: nothing can match the rule \"root\"");
    return rc < 0 ? blame(p, rc, at_fault) : lfm2__grammar_try(g);
}

int lfm2_grammar_from_gbnf(lfm2_runtime *rt, const char *text, size_t n, lfm2_grammar **out)
{
    lfm2_grammar *g = NULL;
    if (rt == NULL || text == NULL || out == NULL) return LFM2_ERR_ARG;
    if (n > MAX_TEXT) return lfm2__fail(rt, LFM2_ERR_LIMIT, "grammar: longer than %d bytes", MAX_TEXT);
    parser p = {.rt = rt, .begin = text, .at = text, .end = text + n, .trees = {.elem_bytes = sizeof(tree), .max = MAX_NODES},
                .ranges = {.elem_bytes = sizeof(lfm2__cp_range), .max = MAX_TEXT},
                .names = {.elem_bytes = sizeof(name), .max = MAX_RULES},
                .text = {.elem_bytes = 1, .max = 4 * MAX_TEXT}};
    const size_t n_valid = lfm2__utf8_valid_n(text, n);
    int rc = n_valid < n ? fail_at(&p, LFM2_ERR_FORMAT, text + n_valid, "not UTF-8") : 0;
    if (rc == 0) {
        read_rules(&p);
        rc = p.status;
    }
    if (rc == 0) rc = lfm2__grammar_create(rt, MAX_NODES, &g);
    if (rc == 0) rc = build_rules(&p, g);
    lfm2__free(rt, p.trees.data);
    lfm2__free(rt, p.ranges.data);
    lfm2__free(rt, p.names.data);
    lfm2__free(rt, p.name_slots);
    lfm2__free(rt, p.text.data);
    if (rc < 0) {
        lfm2_grammar_destroy(g);
        return rc;
    }
    *out = g;
    return 0;
}
