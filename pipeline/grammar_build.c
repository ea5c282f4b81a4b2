/* SPDX-License-Identifier: Apache-2.0
 * Building grammars: nodes, sets, loops and repetitions. */
#include "pipeline/grammar.h"

#include <stdlib.h>
#include <string.h>

#include "base/runtime_impl.h"
#include "base/utf8.h"
#include "pipeline/list.h"

enum { FIRST_CAP = 64 };

static int32_t fail(lfm2_grammar *g, int status)
{
    if (g->status == 0) g->status = status;
    return LFM2__FAIL;
}

/* Room for one more element of an array. */
static int grow(lfm2_grammar *g, void **array, int32_t n, int32_t *cap, size_t elem_bytes)
{
    const int rc = lfm2__room(g->rt, array, n + 1, cap, elem_bytes);
    if (rc < 0) (void)fail(g, rc);
    return rc;
}

static int32_t add_node(lfm2_grammar *g, lfm2__node_kind kind, int32_t arg, int32_t next)
{
    if (g->status != 0) return LFM2__FAIL;
    if (g->n_nodes >= g->max_nodes) {
        if (g->status == 0) lfm2__log(g->rt, LFM2_LOG_ERROR, "grammar: more than %d nodes", (int)g->max_nodes);
        return fail(g, LFM2_ERR_LIMIT);
    }
    if (grow(g, (void **)&g->nodes, g->n_nodes, &g->cap_nodes, sizeof(*g->nodes)) < 0) return LFM2__FAIL;
    g->nodes[g->n_nodes] = (lfm2__node){.kind = (int32_t)kind, .next = next, .arg = arg};
    return g->n_nodes++;
}

int lfm2__grammar_create(lfm2_runtime *rt, int32_t max_nodes, lfm2_grammar **out)
{
    lfm2_grammar *g = lfm2__calloc(rt, 1, sizeof(*g));
    if (g == NULL) return LFM2_ERR_NOMEM;
    g->rt = rt;
    g->max_nodes = max_nodes;
    (void)add_node(g, LFM2__NODE_END, 0, 0);
    (void)add_node(g, LFM2__NODE_FAIL, 0, 0);
    if (g->status < 0) {
        lfm2_grammar_destroy(g);
        return LFM2_ERR_NOMEM;
    }
    *out = g;
    return 0;
}

void lfm2_grammar_destroy(lfm2_grammar *g)
{
    if (g == NULL) return;
    lfm2__free(g->rt, g->min_bytes);
    lfm2__free(g->rt, g->set_table);
    lfm2__free(g->rt, g->sets);
    lfm2__free(g->rt, g->rules);
    lfm2__free(g->rt, g->nodes);
    lfm2__free(g->rt, g);
}

/* ---- Sets ---- */

static uint32_t hash_set(const lfm2__byteset *s)
{
    uint64_t h = 0;
    for (int i = 0; i < 4; i++) h = (h ^ s->bits[i]) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(h >> 32);
}

static void enter_set(lfm2_grammar *g, int32_t index)
{
    const uint32_t mask = (uint32_t)g->cap_set_table - 1;
    uint32_t at = hash_set(&g->sets[index]) & mask;
    while (g->set_table[at] >= 0) at = (at + 1) & mask;
    g->set_table[at] = index;
}

static int grow_set_table(lfm2_grammar *g)
{
    if (g->n_sets * 2 < g->cap_set_table) return 0;
    const int32_t cap = g->cap_set_table == 0 ? FIRST_CAP : g->cap_set_table * 2;
    int32_t *table = lfm2__alloc(g->rt, (size_t)cap * sizeof(*table));
    if (table == NULL) {
        fail(g, LFM2_ERR_NOMEM);
        return -1;
    }
    memset(table, 0xff, (size_t)cap * sizeof(*table));
    lfm2__free(g->rt, g->set_table);
    g->set_table = table;
    g->cap_set_table = cap;
    for (int32_t i = 0; i < g->n_sets; i++) enter_set(g, i);
    return 0;
}

/* Index of a set, which is entered if it is new; -1 without memory. */
static int32_t find_set(lfm2_grammar *g, const lfm2__byteset *set)
{
    if (grow_set_table(g) < 0) return -1;
    const uint32_t mask = (uint32_t)g->cap_set_table - 1;
    for (uint32_t at = hash_set(set) & mask; g->set_table[at] >= 0; at = (at + 1) & mask) {
        if (memcmp(&g->sets[g->set_table[at]], set, sizeof(*set)) == 0) return g->set_table[at];
    }
    if (grow(g, (void **)&g->sets, g->n_sets, &g->cap_sets, sizeof(*g->sets)) < 0) return -1;
    g->sets[g->n_sets] = *set;
    enter_set(g, g->n_sets);
    return g->n_sets++;
}

/* ---- Nodes ---- */

int32_t lfm2__g_set(lfm2_grammar *g, const lfm2__byteset *set, int32_t next)
{
    if (g->status != 0 || next == LFM2__FAIL) return LFM2__FAIL;
    if ((set->bits[0] | set->bits[1] | set->bits[2] | set->bits[3]) == 0) return LFM2__FAIL;
    const int32_t index = find_set(g, set);
    return index < 0 ? LFM2__FAIL : add_node(g, LFM2__NODE_BYTES, index, next);
}

int32_t lfm2__g_range(lfm2_grammar *g, uint8_t lo, uint8_t hi, int32_t next)
{
    lfm2__byteset set = {{0}};
    lfm2__byteset_add(&set, lo, hi);
    return lfm2__g_set(g, &set, next);
}

int32_t lfm2__g_text(lfm2_grammar *g, const char *text, size_t n, int32_t next)
{
    while (n-- > 0) next = lfm2__g_range(g, (uint8_t)text[n], (uint8_t)text[n], next);
    return next;
}

static int compare_texts(const void *pa, const void *pb)
{
    const lfm2__text *a = pa, *b = pb;
    const int diff = memcmp(a->s, b->s, a->n < b->n ? a->n : b->n);
    return diff != 0 ? diff : a->n < b->n ? -1 : a->n > b->n;
}

static size_t n_common(const lfm2__text *a, const lfm2__text *b)
{
    size_t n = 0;
    while (n < a->n && n < b->n && a->s[n] == b->s[n]) n++;
    return n;
}

/* A tree, so that what begins alike is one way: from the last text to the first, and each from its end to where it parts from the
 * one before it. open[d]: what there is so far behind the first d bytes of the text at hand. */
int32_t lfm2__g_texts(lfm2_grammar *g, lfm2__text *texts, int32_t n, int32_t next)
{
    size_t longest = 0;
    for (int32_t i = 0; i < n; i++) longest = texts[i].n > longest ? texts[i].n : longest;
    int32_t *open = g->status < 0 ? NULL : lfm2__alloc(g->rt, (longest + 1) * sizeof(*open));
    if (open == NULL) return fail(g, LFM2_ERR_NOMEM);
    for (size_t d = 0; d <= longest; d++) open[d] = LFM2__FAIL;
    if (n > 1) qsort(texts, (size_t)n, sizeof(*texts), compare_texts);
    for (int32_t i = n; i-- > 0 && g->status == 0;) {
        const lfm2__text *t = &texts[i];
        const size_t shared = i > 0 ? n_common(t, t - 1) : 0;
        if (i > 0 && compare_texts(t, t - 1) == 0) continue;
        open[t->n] = lfm2__g_either(g, next, open[t->n]);
        for (size_t d = t->n; d > shared; d--) {
            open[d - 1] = lfm2__g_either(g, lfm2__g_text(g, t->s + d - 1, 1, open[d]), open[d - 1]);
            open[d] = LFM2__FAIL;
        }
    }
    const int32_t first = open[0];
    lfm2__free(g->rt, open);
    return first;
}

int32_t lfm2__g_token(lfm2_grammar *g, int32_t id, int32_t next)
{
    const char text[LFM2__TOKEN_BYTES] = {(char)LFM2__TOKEN_LEAD, (char)(id >> 16 & 0xff), (char)(id >> 8 & 0xff),
                                          (char)(id & 0xff)};
    return lfm2__g_text(g, text, sizeof(text), next);
}

int32_t lfm2__g_either(lfm2_grammar *g, int32_t a, int32_t b)
{
    if (a == LFM2__FAIL || a == b) return b;
    if (b == LFM2__FAIL) return a;
    return add_node(g, LFM2__NODE_SPLIT, b, a);
}

int32_t lfm2__g_call(lfm2_grammar *g, int32_t rule, int32_t next)
{
    return next == LFM2__FAIL ? LFM2__FAIL : add_node(g, LFM2__NODE_CALL, rule, next);
}

int32_t lfm2__g_loop(lfm2_grammar *g, int32_t next)
{
    return add_node(g, LFM2__NODE_SPLIT, LFM2__FAIL, next);
}

void lfm2__g_close_loop(lfm2_grammar *g, int32_t loop, int32_t body)
{
    if (g->status == 0) g->nodes[loop].arg = body;
}

int32_t lfm2__g_rule(lfm2_grammar *g)
{
    if (g->status != 0 || grow(g, (void **)&g->rules, g->n_rules, &g->cap_rules, sizeof(*g->rules)) < 0) return 0;
    g->rules[g->n_rules] = -1;
    return g->n_rules++;
}

void lfm2__g_define(lfm2_grammar *g, int32_t rule, int32_t first)
{
    if (g->status == 0) g->rules[rule] = first;
}

int32_t lfm2__g_repeat(lfm2_grammar *g, int32_t rule, int32_t min, int32_t max, int32_t next)
{
    int32_t node = next;
    if (next == LFM2__FAIL) return LFM2__FAIL; /* and no long way there */
    if (max < 0) {
        node = lfm2__g_loop(g, next);
        lfm2__g_close_loop(g, node, lfm2__g_call(g, rule, node));
    }
    for (int32_t i = min; i < max && g->status == 0; i++) node = lfm2__g_either(g, lfm2__g_call(g, rule, node), next);
    for (int32_t i = 0; i < min && g->status == 0; i++) node = lfm2__g_call(g, rule, node);
    return node;
}

/* ---- Code points ---- */

/* Byte strings of one length from lo to hi: those that share lo's first byte, those between, those that share hi's. */
static int32_t between(lfm2_grammar *g, const uint8_t *lo, const uint8_t *hi, size_t n, int32_t next)
{
    static const uint8_t least[3] = {0x80, 0x80, 0x80}, most[3] = {0xbf, 0xbf, 0xbf};
    if (n == 1) return lfm2__g_range(g, lo[0], hi[0], next);
    if (lo[0] == hi[0]) return lfm2__g_range(g, lo[0], lo[0], between(g, lo + 1, hi + 1, n - 1, next));
    const int whole_lo = memcmp(lo + 1, least, n - 1) == 0;
    const int whole_hi = memcmp(hi + 1, most, n - 1) == 0;
    const int from = whole_lo ? lo[0] : lo[0] + 1, to = whole_hi ? hi[0] : hi[0] - 1;
    int32_t node = LFM2__FAIL;
    if (!whole_hi) node = lfm2__g_range(g, hi[0], hi[0], between(g, least, hi + 1, n - 1, next));
    if (from <= to) {
        node = lfm2__g_either(g, lfm2__g_range(g, (uint8_t)from, (uint8_t)to, between(g, least, most, n - 1, next)), node);
    }
    if (!whole_lo) node = lfm2__g_either(g, lfm2__g_range(g, lo[0], lo[0], between(g, lo + 1, most, n - 1, next)), node);
    return node;
}

/* UTF-8 of lo..hi, nothing of it ASCII. */
static int32_t wide(lfm2_grammar *g, uint32_t lo, uint32_t hi, int32_t next)
{
    static const struct { uint32_t first, last; } lengths[] = { /* of two, three (twice) and four bytes */
        {0x80, 0x7ff}, {0x800, 0xd7ff}, {0xe000, 0xffff}, {0x10000, 0x10ffff},
    };
    int32_t node = LFM2__FAIL;
    for (size_t i = 0; i < LFM2__COUNT_OF(lengths); i++) {
        const uint32_t from = lo > lengths[i].first ? lo : lengths[i].first, to = hi < lengths[i].last ? hi : lengths[i].last;
        if (from > to) continue;
        char a[4], b[4];
        const size_t n = lfm2__utf8_encode(from, a);
        (void)lfm2__utf8_encode(to, b);
        node = lfm2__g_either(g, between(g, (const uint8_t *)a, (const uint8_t *)b, n, next), node);
    }
    return node;
}

static int compare_ranges(const void *pa, const void *pb)
{
    const lfm2__cp_range *a = pa, *b = pb;
    return a->lo < b->lo ? -1 : a->lo > b->lo;
}

/* One range more: what of it is ASCII goes into a set, so that all of that is one node. */
static int32_t add_range(lfm2_grammar *g, lfm2__byteset *ascii, int64_t lo, int64_t hi, int32_t next, int32_t node)
{
    if (lo > hi) return node;
    if (lo < 0x80) lfm2__byteset_add(ascii, (uint8_t)lo, (uint8_t)(hi < 0x7f ? hi : 0x7f));
    if (hi < 0x80) return node;
    return lfm2__g_either(g, wide(g, (uint32_t)(lo < 0x80 ? 0x80 : lo), (uint32_t)hi, next), node);
}

int32_t lfm2__g_class(lfm2_grammar *g, lfm2__cp_range *ranges, int32_t n, int negated, int32_t next)
{
    lfm2__byteset ascii = {{0}};
    int32_t node = LFM2__FAIL;
    int64_t behind = 0; /* the first code point behind all ranges so far */
    if (g->status != 0 || next == LFM2__FAIL) return LFM2__FAIL;
    if (n > 1) qsort(ranges, (size_t)n, sizeof(*ranges), compare_ranges);
    for (int32_t i = 0; i < n; i++) {
        const int64_t lo = ranges[i].lo > behind ? ranges[i].lo : behind, hi = ranges[i].hi;
        if (negated) node = add_range(g, &ascii, behind, (int64_t)ranges[i].lo - 1, next, node);
        else node = add_range(g, &ascii, lo, hi, next, node);
        if (hi >= behind) behind = hi + 1;
    }
    if (negated) node = add_range(g, &ascii, behind, 0x10ffff, next, node);
    return lfm2__g_either(g, lfm2__g_set(g, &ascii, next), node);
}

/* ---- Choices ---- */

int lfm2_grammar_from_choices(lfm2_runtime *rt, const char *const *choices, int32_t n_choices, lfm2_grammar **out)
{
    enum { MAX_NODES = 1 << 20 };
    lfm2_grammar *g = NULL;
    if (rt == NULL || choices == NULL || n_choices < 1 || out == NULL) return LFM2_ERR_ARG;
    int rc = lfm2__grammar_create(rt, MAX_NODES, &g);
    if (rc < 0) return rc;
    const int32_t rule = lfm2__g_rule(g);
    lfm2__text *texts = lfm2__calloc(rt, (size_t)n_choices, sizeof(*texts));
    if (texts == NULL) rc = LFM2_ERR_NOMEM;
    for (int32_t i = 0; i < n_choices && rc == 0; i++) {
        texts[i] = (lfm2__text){choices[i], choices[i] == NULL ? 0 : strlen(choices[i])};
        if (texts[i].n == 0) rc = lfm2__fail(rt, LFM2_ERR_ARG, "choices: number %d is empty", (int)i + 1);
        else if (lfm2__utf8_valid_n(texts[i].s, texts[i].n) < texts[i].n)
            rc = lfm2__fail(rt, LFM2_ERR_UTF8, "choices: number %d is not UTF-8", (int)i + 1);
    }
    if (rc == 0) lfm2__g_define(g, rule, lfm2__g_texts(g, texts, n_choices, LFM2__END));
    lfm2__free(rt, texts);
    if (rc == 0) rc = lfm2__grammar_seal(g, rule, NULL);
    if (rc < 0) {
        lfm2_grammar_destroy(g);
        return rc;
    }
    *out = g;
    return 0;
}
