/* SPDX-License-Identifier: Apache-2.0
 * Patterns of ECMAScript, the regular part of them: read into a tree, from it a nondeterministic automaton from its end to its
 * beginning, from that a table by following all its ways at once. */
#include "pipeline/regular.h"

#include <stdlib.h>
#include <string.h>

#include "base/runtime_impl.h"
#include "base/utf8.h"
#include "pipeline/list.h"

enum {
    MAX_PATTERN = 1 << 16,
    MAX_NODES = 1 << 17,
    MAX_DEPTH = 100,
    MAX_REPEAT = 10000,
    MAX_BUILDS = 1 << 20,
    MAX_SUBSETS = 1 << 16,
    MAX_MEMBERS = 1 << 21,
    MAX_WORK = 20000000,  /* steps to follow all ways: a tenth of a second */
    LAST_CP = 0x10ffff
};

typedef enum kind { EMPTY, SET, CAT, ALT, REPEAT, BEGIN, END } kind;

typedef struct tree {
    kind kind;
    int32_t a, b;     /* CAT, ALT: parts; REPEAT: a; SET: b ranges from a */
    int32_t min, max; /* REPEAT; max < 0: without end */
} tree;

typedef struct parser {
    lfm2_runtime *rt;
    const char *at, *end;
    lfm2__list trees, ranges;
    int32_t depth;
    int status;
    const char *what;
} parser;

static int fail(parser *p, int status, const char *what)
{
    if (p->status == 0) {
        p->status = status;
        p->what = what;
    }
    return p->status;
}

static int32_t append(parser *p, lfm2__list *l, const void *elem)
{
    if (p->status < 0) return 0;
    const int32_t i = lfm2__list_add(p->rt, l, elem);
    if (i < 0) (void)fail(p, i, i == LFM2_ERR_LIMIT ? "too large an automaton" : "out of memory");
    return i < 0 ? 0 : i;
}

static int32_t add_tree(parser *p, tree t)
{
    return append(p, &p->trees, &t);
}

static void add_range(parser *p, uint32_t lo, uint32_t hi)
{
    const lfm2__cp_range r = {lo, hi};
    (void)append(p, &p->ranges, &r);
}

static lfm2__cp_range *range_at(const parser *p, int32_t i)
{
    return (lfm2__cp_range *)p->ranges.data + i;
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

/* ---- Sets ---- */

static int compare_ranges(const void *pa, const void *pb)
{
    const lfm2__cp_range *a = pa, *b = pb;
    return a->lo < b->lo ? -1 : a->lo > b->lo;
}

/* Put in the place of the ranges from `from` on what they leave out. */
static void negate(parser *p, int32_t from)
{
    const int32_t n = p->ranges.n - from;
    uint32_t behind = 0;
    if (p->status < 0) return;
    if (n > 1) qsort(range_at(p, from), (size_t)n, sizeof(lfm2__cp_range), compare_ranges);
    for (int32_t i = 0; i < n; i++) { /* written behind the ranges first, since it may be one more than they are */
        const lfm2__cp_range r = *range_at(p, from + i);
        if (r.lo > behind) add_range(p, behind, r.lo - 1);
        if (r.hi + 1 > behind) behind = r.hi + 1;
    }
    if (behind <= LAST_CP) add_range(p, behind, LAST_CP);
    if (p->status < 0) return;
    const int32_t n_new = p->ranges.n - from - n;
    memmove(range_at(p, from), range_at(p, from + n), (size_t)n_new * sizeof(lfm2__cp_range));
    p->ranges.n = from + n_new;
}

/* \d \w \s and their opposites: 1 if c names one, whose ranges are then added. */
static int add_named_set(parser *p, int c)
{
    static const lfm2__cp_range digits[] = {{'0', '9'}}, words[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
    static const lfm2__cp_range spaces[] = {{9, 13}, {32, 32}, {0xa0, 0xa0}, {0x1680, 0x1680}, {0x2000, 0x200a}, {0x2028, 0x2029},
                                            {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}, {0xfeff, 0xfeff}};
    static const struct { char name; const lfm2__cp_range *ranges; size_t n; } sets[] = {
        {'d', digits, LFM2__COUNT_OF(digits)}, {'w', words, LFM2__COUNT_OF(words)}, {'s', spaces, LFM2__COUNT_OF(spaces)},
    };
    const int32_t from = p->ranges.n;
    for (size_t i = 0; i < LFM2__COUNT_OF(sets); i++) {
        if (c != sets[i].name && c != sets[i].name - 'a' + 'A') continue;
        for (size_t k = 0; k < sets[i].n; k++) add_range(p, sets[i].ranges[k].lo, sets[i].ranges[k].hi);
        if (c != sets[i].name) negate(p, from);
        return 1;
    }
    return 0;
}

static uint32_t read_hex(parser *p, int n_digits)
{
    uint32_t v = 0;
    for (int i = 0; i < n_digits; i++) {
        const int c = peek(p);
        const int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (digit < 0) {
            (void)fail(p, LFM2_ERR_FORMAT, "a hexadecimal digit is missing");
            return 0;
        }
        v = v << 4 | (uint32_t)digit;
        p->at++;
    }
    return v;
}

/* Behind "\u": four digits (perhaps two surrogates), or digits in braces. */
static uint32_t read_unicode(parser *p)
{
    uint32_t v = 0;
    if (take(p, '{')) {
        int n = 0;
        while (p->status == 0 && !take(p, '}')) {
            v = v << 4 | read_hex(p, 1);
            if (++n > 6) (void)fail(p, LFM2_ERR_FORMAT, "not a code point");
        }
        if (n == 0) (void)fail(p, LFM2_ERR_FORMAT, "not a code point");
    } else {
        v = read_hex(p, 4);
        if (v >= 0xd800 && v <= 0xdbff && p->end - p->at >= 6 && p->at[0] == '\\' && p->at[1] == 'u') {
            p->at += 2;
            const uint32_t low = read_hex(p, 4);
            v = low >= 0xdc00 && low <= 0xdfff ? 0x10000 + ((v - 0xd800) << 10) + (low - 0xdc00) : LAST_CP + 1;
        }
    }
    if (v > LAST_CP || (v >= 0xd800 && v <= 0xdfff)) (void)fail(p, LFM2_ERR_FORMAT, "not a code point");
    return v;
}

/* One code point behind a backslash. */
static uint32_t read_escape(parser *p)
{
    const int c = peek(p);
    p->at += c >= 0;
    switch (c) {
    case 't': return '\t';
    case 'n': return '\n';
    case 'v': return '\v';
    case 'f': return '\f';
    case 'r': return '\r';
    case '0':
        if (peek(p) >= '0' && peek(p) <= '9') (void)fail(p, LFM2_ERR_FORMAT, "an octal escape");
        return 0;
    case 'x': return read_hex(p, 2);
    case 'u': return read_unicode(p);
    case 'c':
        if ((peek(p) | 32) >= 'a' && (peek(p) | 32) <= 'z') return (uint32_t)*p->at++ & 31;
        (void)fail(p, LFM2_ERR_FORMAT, "not a control escape");
        return 0;
    case 'b': case 'B': (void)fail(p, LFM2_ERR_UNSUPPORTED, "word boundaries"); return 0;
    case 'p': case 'P': (void)fail(p, LFM2_ERR_UNSUPPORTED, "\\p classes"); return 0;
    case 'k': (void)fail(p, LFM2_ERR_UNSUPPORTED, "back references"); return 0;
    default:
        if (c >= '1' && c <= '9') (void)fail(p, LFM2_ERR_UNSUPPORTED, "back references");
        else if (c < 0 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80)
            (void)fail(p, LFM2_ERR_FORMAT, "not an escape");
        return c < 0 ? 0 : (uint32_t)c;
    }
}

static uint32_t read_char(parser *p)
{
    uint32_t c = 0;
    if (take(p, '\\')) return read_escape(p);
    const size_t n = lfm2__utf8_decode(p->at, (size_t)(p->end - p->at), &c);
    if (n == 0) (void)fail(p, LFM2_ERR_FORMAT, "it ends too early, or is not UTF-8");
    p->at += n;
    return c;
}

/* One end of a range in brackets. 1 if it was a named set, which is then added. */
static int read_set_item(parser *p, uint32_t *c)
{
    if (peek(p) == '\\' && p->end - p->at > 1) {
        if (p->at[1] == 'b') { /* in brackets a backspace */
            p->at += 2;
            *c = '\b';
            return 0;
        }
        if (p->at[1] == '-') {
            p->at += 2;
            *c = '-';
            return 0;
        }
        if (add_named_set(p, (unsigned char)p->at[1])) {
            p->at += 2;
            return 1;
        }
    }
    *c = read_char(p);
    return 0;
}

static int32_t read_set(parser *p)
{
    const int32_t from = p->ranges.n;
    const int negated = take(p, '^');
    while (p->status == 0 && !take(p, ']')) {
        uint32_t lo = 0, hi = 0;
        const int named = read_set_item(p, &lo);
        const int is_range = peek(p) == '-' && p->end - p->at > 1 && p->at[1] != ']';
        if (named && is_range) (void)fail(p, LFM2_ERR_FORMAT, "a range that ends in a set");
        if (named) continue;
        hi = lo;
        if (is_range) {
            p->at++;
            if (read_set_item(p, &hi) || hi < lo) (void)fail(p, LFM2_ERR_FORMAT, "a range that runs backwards");
        }
        add_range(p, lo, hi);
    }
    if (negated) negate(p, from);
    return add_tree(p, (tree){.kind = SET, .a = from, .b = p->ranges.n - from});
}

/* ---- Terms ---- */

static int32_t read_alternatives(parser *p);

static int32_t read_group(parser *p)
{
    if (take(p, '?')) {
        if (take(p, '<')) {
            if (peek(p) == '=' || peek(p) == '!') (void)fail(p, LFM2_ERR_UNSUPPORTED, "look-behind");
            while (p->status == 0 && !take(p, '>')) { /* the name of a group means nothing without back references */
                if (peek(p) < 0 || peek(p) == ')') (void)fail(p, LFM2_ERR_FORMAT, "a group's name without end");
                else p->at++;
            }
        } else if (!take(p, ':')) {
            const int c = peek(p);
            (void)fail(p, c == '=' || c == '!' ? LFM2_ERR_UNSUPPORTED : LFM2_ERR_FORMAT, c == '=' ||
                       c == '!' ? "look-ahead" : "not a group");
        }
    }
    if (++p->depth > MAX_DEPTH) (void)fail(p, LFM2_ERR_LIMIT, "it is nested too deeply");
    const int32_t inner = p->status == 0 ? read_alternatives(p) : 0;
    p->depth--;
    if (!take(p, ')')) (void)fail(p, LFM2_ERR_FORMAT, "a ')' is missing");
    return inner;
}

static int32_t read_atom(parser *p)
{
    const int32_t from = p->ranges.n;
    if (take(p, '(')) return read_group(p);
    if (take(p, '[')) return read_set(p);
    if (take(p, '^')) return add_tree(p, (tree){.kind = BEGIN});
    if (take(p, '$')) return add_tree(p, (tree){.kind = END});
    if (take(p, '.')) {
        add_range(p, '\n', '\n');
        add_range(p, '\r', '\r');
        add_range(p, 0x2028, 0x2029);
        negate(p, from);
    } else if (peek(p) == '\\' && p->end - p->at > 1 && add_named_set(p, (unsigned char)p->at[1])) {
        p->at += 2;
    } else {
        if (peek(p) >= 0 && strchr("*+?{}])", peek(p)) != NULL)
            (void)fail(p, LFM2_ERR_FORMAT, "nothing to repeat, or a bracket too many");
        const uint32_t c = read_char(p);
        add_range(p, c, c);
    }
    return add_tree(p, (tree){.kind = SET, .a = from, .b = p->ranges.n - from});
}

static int32_t read_number(parser *p)
{
    int32_t v = 0;
    if (peek(p) < '0' || peek(p) > '9') (void)fail(p, LFM2_ERR_FORMAT, "a number is missing in braces");
    while (peek(p) >= '0' && peek(p) <= '9') {
        v = v * 10 + (*p->at++ - '0');
        if (v > MAX_REPEAT) {
            (void)fail(p, LFM2_ERR_LIMIT, "too many repetitions");
            return 0;
        }
    }
    return v;
}

static int32_t read_times(parser *p, int32_t atom)
{
    tree t = {.kind = REPEAT, .a = atom, .min = 0, .max = -1};
    if (take(p, '+')) t.min = 1;
    else if (take(p, '?')) t.max = 1;
    else if (take(p, '{')) {
        t.min = t.max = read_number(p);
        if (take(p, ',')) t.max = peek(p) == '}' ? -1 : read_number(p);
        if (!take(p, '}')) (void)fail(p, LFM2_ERR_FORMAT, "a '}' is missing");
        if (t.max >= 0 && t.max < t.min) (void)fail(p, LFM2_ERR_FORMAT, "at most fewer than at least");
    } else if (!take(p, '*')) {
        return atom;
    }
    if (p->status == 0) {
        const kind k = ((tree *)p->trees.data + atom)->kind;
        if (k == BEGIN || k == END) (void)fail(p, LFM2_ERR_FORMAT, "an anchor cannot be repeated");
    }
    (void)take(p, '?'); /* as few as possible: the same language */
    return add_tree(p, t);
}

static int32_t read_row(parser *p)
{
    int32_t row = -1;
    while (p->status == 0 && peek(p) >= 0 && peek(p) != '|' && peek(p) != ')') {
        const int32_t term = read_times(p, read_atom(p));
        row = row < 0 ? term : add_tree(p, (tree){.kind = CAT, .a = row, .b = term});
    }
    return row < 0 ? add_tree(p, (tree){.kind = EMPTY}) : row;
}

static int32_t read_alternatives(parser *p)
{
    int32_t all = read_row(p);
    while (p->status == 0 && take(p, '|')) {
        const int32_t row = read_row(p);
        all = add_tree(p, (tree){.kind = ALT, .a = all, .b = row});
    }
    return all;
}

/* ---- The nondeterministic automaton ---- */

typedef struct node {
    enum { N_SET, N_SPLIT, N_BEGIN, N_END, N_FINAL } kind;
    int32_t next, other; /* SPLIT: both */
    int32_t from, n;     /* SET: ranges */
} node;

typedef struct nfa {
    parser *p;
    lfm2__list nodes;
    int32_t n_builds;
} nfa;

static node *node_at(const nfa *a, int32_t i)
{
    return (node *)a->nodes.data + i;
}

static int32_t add_node(nfa *a, node n)
{
    return append(a->p, &a->nodes, &n);
}

static int32_t build(nfa *a, int32_t tree_no, int32_t next);

static int32_t build_repeat(nfa *a, const tree *t, int32_t next)
{
    int32_t at = next;
    if (t->max < 0) {
        at = add_node(a, (node){.kind = N_SPLIT, .next = next, .other = next});
        const int32_t body = build(a, t->a, at);
        if (a->p->status == 0) node_at(a, at)->other = body;
    }
    for (int32_t i = t->min; i < t->max && a->p->status == 0; i++) {
        const int32_t body = build(a, t->a, at);
        at = add_node(a, (node){.kind = N_SPLIT, .next = next, .other = body});
    }
    for (int32_t i = 0; i < t->min && a->p->status == 0; i++) at = build(a, t->a, at);
    return at;
}

/* Rows and alternatives lean to the left: going down a's, only b's and repetitions are calls. */
static int32_t build(nfa *a, int32_t tree_no, int32_t next)
{
    if (a->p->status < 0) return 0;
    /* of nothing, which makes no nodes */
    if (++a->n_builds > MAX_BUILDS) return fail(a->p, LFM2_ERR_LIMIT, "too many repetitions"), 0;
    const tree t = ((tree *)a->p->trees.data)[tree_no];
    switch (t.kind) {
    case SET: return add_node(a, (node){.kind = N_SET, .next = next, .from = t.a, .n = t.b});
    case CAT: {
        int32_t at = next, i = tree_no;
        while (a->p->status == 0 && ((tree *)a->p->trees.data)[i].kind == CAT) {
            const tree cat = ((tree *)a->p->trees.data)[i];
            at = build(a, cat.b, at);
            i = cat.a;
        }
        return build(a, i, at);
    }
    case ALT: {
        int32_t others = build(a, t.b, next), i = t.a;
        while (a->p->status == 0 && ((tree *)a->p->trees.data)[i].kind == ALT) {
            const tree alt = ((tree *)a->p->trees.data)[i];
            others = add_node(a, (node){.kind = N_SPLIT, .next = build(a, alt.b, next), .other = others});
            i = alt.a;
        }
        const int32_t first = build(a, i, next);
        return add_node(a, (node){.kind = N_SPLIT, .next = first, .other = others});
    }
    case REPEAT: return build_repeat(a, &t, next);
    case BEGIN: return add_node(a, (node){.kind = N_BEGIN, .next = next});
    case END: return add_node(a, (node){.kind = N_END, .next = next});
    default: return next;
    }
}

/* ---- All ways at once ---- */

#define AT_BEGIN 1u /* '^' holds here */
#define AT_END 2u   /* '$' holds here */

typedef struct subsets {
    nfa *a;
    lfm2_runtime *rt;
    uint32_t *bounds; /* where some range begins or ends, rising; [n_classes + 1] */
    int32_t n_classes;
    int32_t *members; /* of all states, one after another: SET nodes, and the FINAL one */
    int32_t n_members, cap_members;
    lfm2__list states, cells; /* struct subset, and n_classes successors of each */
    int32_t *slots;
    uint32_t mask;
    int32_t *fresh, n_fresh, *todo;
    uint32_t *seen, mark; /* seen[i] == mark: node i is in hand */
    int64_t work;
} subsets;

typedef struct subset {
    int32_t first, n;
    uint8_t accepts, is_first;
} subset;

static subset *subset_at(const subsets *s, int32_t i)
{
    return (subset *)s->states.data + i;
}

/* Everything that can be reached from node i without a code point. */
static void follow(subsets *s, int32_t i, unsigned where)
{
    int32_t n_todo = 0;
    s->todo[n_todo++] = i;
    while (n_todo > 0) {
        i = s->todo[--n_todo];
        if (s->seen[i] == s->mark) continue;
        s->seen[i] = s->mark;
        s->work++;
        const node *n = node_at(s->a, i);
        if (n->kind == N_SET || n->kind == N_FINAL) s->fresh[s->n_fresh++] = i;
        if (n->kind == N_END) s->fresh[s->n_fresh++] = i; /* waits: it holds if the text ends here */
        if (n->kind == N_SPLIT) {
            s->todo[n_todo++] = n->next;
            s->todo[n_todo++] = n->other;
        }
        if ((n->kind == N_BEGIN && (where & AT_BEGIN)) || (n->kind == N_END && (where & AT_END))) s->todo[n_todo++] = n->next;
    }
}

static int compare_ints(const void *pa, const void *pb)
{
    const int32_t a = *(const int32_t *)pa, b = *(const int32_t *)pb;
    return a < b ? -1 : a > b;
}

/* 1 if the text may end in what was gathered: FINAL is there, or behind an END. */
static int may_end(subsets *s, int32_t n, unsigned where)
{
    for (int32_t i = 0; i < n; i++) {
        if (node_at(s->a, s->fresh[i])->kind == N_FINAL) return 1;
    }
    const int32_t n_own = s->n_fresh;
    int found = 0;
    s->mark++;
    for (int32_t i = 0; i < n; i++) {
        if (node_at(s->a, s->fresh[i])->kind == N_END) follow(s, node_at(s->a, s->fresh[i])->next, where | AT_END);
    }
    for (int32_t i = n_own; i < s->n_fresh; i++) found |= node_at(s->a, s->fresh[i])->kind == N_FINAL;
    s->n_fresh = n_own;
    return found;
}

static uint32_t hash_ints(const int32_t *v, int32_t n, uint32_t h)
{
    for (int32_t i = 0; i < n; i++) h = (h ^ (uint32_t)v[i]) * 0x9e3779b1u, h ^= h >> 15;
    return h;
}

/* The state of what was gathered; is_first: at the beginning of the text, where anchors hold, which no other state equals. */
static int32_t find_subset(subsets *s, int is_first)
{
    parser *p = s->a->p;
    if (s->n_fresh > 1) qsort(s->fresh, (size_t)s->n_fresh, sizeof(*s->fresh), compare_ints);
    uint32_t at = hash_ints(s->fresh, s->n_fresh, (uint32_t)is_first) & s->mask;
    for (; s->slots[at] >= 0; at = (at + 1) & s->mask) {
        const subset *known = subset_at(s, s->slots[at]);
        if (known->is_first == is_first && known->n == s->n_fresh &&
            memcmp(s->members + known->first, s->fresh, (size_t)known->n * sizeof(int32_t)) == 0) {
            return s->slots[at];
        }
    }
    if (s->n_members + s->n_fresh > s->cap_members) {
        const int32_t cap = 2 * (s->cap_members + s->n_fresh);
        if (cap > MAX_MEMBERS) return fail(p, LFM2_ERR_LIMIT, "too large an automaton");
        int32_t *members = lfm2__grow(s->rt, s->members, (size_t)s->cap_members * sizeof(*members), (size_t)cap * sizeof(*members));
        if (members == NULL) return fail(p, LFM2_ERR_NOMEM, "out of memory");
        s->members = members;
        s->cap_members = cap;
    }
    if (s->n_fresh > 0) memcpy(s->members + s->n_members, s->fresh, (size_t)s->n_fresh * sizeof(int32_t));
    const subset fresh = {.first = s->n_members, .n = s->n_fresh, .is_first = (uint8_t)is_first,
                          .accepts = (uint8_t)may_end(s, s->n_fresh, is_first ? AT_BEGIN : 0)};
    s->n_members += s->n_fresh;
    const int32_t index = append(p, &s->states, &fresh);
    if (p->status < 0) return p->status;
    s->slots[at] = index;
    return index;
}

static void begin(subsets *s)
{
    s->mark++; /* never comes round: each costs a step of the work that is limited */
    s->n_fresh = 0;
}

static int range_has(const parser *p, const node *n, uint32_t c)
{
    for (int32_t i = 0; i < n->n; i++) {
        const lfm2__cp_range *r = range_at(p, n->from + i);
        if (r->lo <= c && c <= r->hi) return 1;
    }
    return 0;
}

static int32_t step(subsets *s, int32_t from, uint32_t c)
{
    const subset sub = *subset_at(s, from);
    begin(s);
    s->work += sub.n + 8;
    if (s->work > MAX_WORK) return fail(s->a->p, LFM2_ERR_LIMIT, "too large an automaton");
    for (int32_t i = 0; i < sub.n; i++) {
        const node *n = node_at(s->a, s->members[sub.first + i]);
        if (n->kind == N_FINAL) follow(s, s->members[sub.first + i], 0); /* found: whatever follows */
        s->work += n->kind == N_SET ? n->n : 0;
        if (n->kind == N_SET && range_has(s->a->p, n, c)) follow(s, n->next, 0);
    }
    return find_subset(s, 0);
}

static int list_bounds(subsets *s)
{
    const parser *p = s->a->p;
    int32_t n = 0;
    s->bounds = lfm2__calloc(s->rt, 2 * (size_t)p->ranges.n + 2, sizeof(*s->bounds));
    if (s->bounds == NULL) return LFM2_ERR_NOMEM;
    s->bounds[n++] = 0;
    for (int32_t i = 0; i < p->ranges.n; i++) {
        s->bounds[n++] = range_at(p, i)->lo;
        s->bounds[n++] = range_at(p, i)->hi + 1;
    }
    lfm2__sort_u32(s->bounds, n);
    for (int32_t i = 0; i < n; i++) {
        if (s->bounds[i] <= LAST_CP && (i == 0 || s->bounds[i] != s->bounds[i - 1])) s->bounds[s->n_classes++] = s->bounds[i];
    }
    return 0;
}

/* All states and where each class leads. */
static int explore(subsets *s, int32_t start)
{
    parser *p = s->a->p;
    const int32_t max_states = LFM2__DFA_MAX_CELLS / s->n_classes;
    begin(s);
    follow(s, start, AT_BEGIN);
    (void)find_subset(s, 1);
    for (int32_t i = 0; i < s->states.n && p->status == 0; i++) {
        if (i >= max_states) return fail(p, LFM2_ERR_LIMIT, "too large an automaton");
        if (i % 64 == 0 && lfm2__aborted(s->rt)) return fail(p, LFM2_ERR_ABORTED, "aborted");
        for (int32_t k = 0; k < s->n_classes && p->status == 0; k++) {
            const int32_t to = step(s, i, s->bounds[k]);
            (void)append(p, &s->cells, &to);
        }
    }
    return p->status;
}

/* Any text, then the pattern: it may be found anywhere. What follows it is left open by step(). */
static int32_t build_search(nfa *a, int32_t tree_no)
{
    parser *p = a->p;
    const int32_t all = p->ranges.n;
    add_range(p, 0, LAST_CP);
    const int32_t final = add_node(a, (node){.kind = N_FINAL});
    const int32_t first = build(a, tree_no, final);
    const int32_t any = add_node(a, (node){.kind = N_SET, .from = all, .n = 1});
    const int32_t loop = add_node(a, (node){.kind = N_SPLIT, .next = first, .other = any});
    if (p->status == 0) node_at(a, any)->next = loop;
    return loop;
}

static int make_table(parser *p, nfa *a, int32_t start, lfm2__dfa **out)
{
    subsets s = {.a = a, .rt = p->rt, .states = {.elem_bytes = sizeof(subset), .max = MAX_SUBSETS},
                 .cells = {.elem_bytes = sizeof(int32_t), .max = LFM2__DFA_MAX_CELLS}, .mask = 2 * MAX_SUBSETS - 1};
    const size_t n = (size_t)a->nodes.n;
    uint8_t *accepts = NULL;
    s.slots = lfm2__alloc(p->rt, ((size_t)s.mask + 1) * sizeof(*s.slots));
    s.fresh = lfm2__calloc(p->rt, 2 * n, sizeof(*s.fresh)); /* those of a state, and those behind its ENDs */
    s.todo = lfm2__calloc(p->rt, 2 * n + 2, sizeof(*s.todo));
    s.seen = lfm2__calloc(p->rt, n, sizeof(*s.seen));
    if (s.slots == NULL || s.fresh == NULL || s.todo == NULL || s.seen == NULL || list_bounds(&s) < 0) {
        (void)fail(p, LFM2_ERR_NOMEM, "out of memory");
    } else {
        memset(s.slots, 0xff, ((size_t)s.mask + 1) * sizeof(*s.slots));
        (void)explore(&s, start);
    }
    if (p->status == 0) {
        accepts = lfm2__calloc(p->rt, (size_t)s.states.n, 1);
        if (accepts == NULL) (void)fail(p, LFM2_ERR_NOMEM, "out of memory");
    }
    for (int32_t i = 0; i < s.states.n && p->status == 0; i++) accepts[i] = subset_at(&s, i)->accepts;
    if (p->status == 0) {
        const int rc = lfm2__dfa_from_table(p->rt, s.states.n, s.n_classes, s.bounds, s.cells.data, accepts, out);
        if (rc < 0) (void)fail(p, rc, "too large an automaton");
        else (*out)->work += s.work;
    }
    lfm2__free(p->rt, accepts);
    lfm2__free(p->rt, s.bounds);
    lfm2__free(p->rt, s.members);
    lfm2__free(p->rt, s.states.data);
    lfm2__free(p->rt, s.cells.data);
    lfm2__free(p->rt, s.slots);
    lfm2__free(p->rt, s.fresh);
    lfm2__free(p->rt, s.todo);
    lfm2__free(p->rt, s.seen);
    return p->status;
}

int lfm2__dfa_from_pattern(lfm2_runtime *rt, const char *pattern, size_t n, lfm2__dfa **out, const char **what)
{
    parser p = {.rt = rt, .at = pattern, .end = pattern + n, .trees = {.elem_bytes = sizeof(tree), .max = MAX_NODES},
                .ranges = {.elem_bytes = sizeof(lfm2__cp_range), .max = MAX_NODES}, .what = ""};
    nfa a = {.p = &p, .nodes = {.elem_bytes = sizeof(node), .max = MAX_NODES}};
    if (n > MAX_PATTERN) (void)fail(&p, LFM2_ERR_LIMIT, "it is too long");
    const int32_t root = p.status == 0 ? read_alternatives(&p) : 0;
    if (p.at < p.end) (void)fail(&p, LFM2_ERR_FORMAT, "a ')' too many");
    const int32_t start = p.status == 0 ? build_search(&a, root) : 0;
    if (p.status == 0) (void)make_table(&p, &a, start, out);
    lfm2__free(rt, a.nodes.data);
    lfm2__free(rt, p.trees.data);
    lfm2__free(rt, p.ranges.data);
    *what = p.what;
    return p.status;
}
