/* SPDX-License-Identifier: Apache-2.0
 * A glossary as biases on the next token: the entries' tokens form a tree, and a text walks down all branches that it matches.
 * An entry begins with a blank before it anywhere, and without one at the beginning of the text. To begin one gets a quarter of the
 * weight, to go on with it all: names are not put where nobody said them, but those begun are finished. */
#include <string.h>

#include "base/utf8.h"
#include "pipeline/hear_impl.h"

#define MAX_ENTRIES 10000
#define MAX_ENTRY_BYTES 256
#define MAX_ENTRY_TOK 64
#define BEGIN_SHARE 0.25f

enum { ROOT_BLANK, ROOT_FIRST, N_ROOTS };

typedef struct node {
    int32_t id;
    int32_t child, sibling; /* nodes; 0 = none (a root is nobody's child) */
} node;

struct lfm2__glossary {
    lfm2_runtime *rt;
    float weight;
    node *nodes;
    int32_t n_nodes, cap_nodes;
    int32_t n_begin; /* children of both roots */
    int32_t max_biases;
};

static int32_t find_child(const lfm2__glossary *g, int32_t parent, int32_t id)
{
    int32_t i = g->nodes[parent].child;
    while (i != 0 && g->nodes[i].id != id) i = g->nodes[i].sibling;
    return i;
}

static int add_path(lfm2__glossary *g, int32_t root, const int32_t *ids, size_t n)
{
    int32_t at = root;
    for (size_t k = 0; k < n; k++) {
        int32_t next = find_child(g, at, ids[k]);
        if (next == 0) {
            if (g->n_nodes == g->cap_nodes) {
                const size_t old = (size_t)g->cap_nodes * sizeof(node);
                node *grown = lfm2__grow(g->rt, g->nodes, old, 2 * old);
                if (!grown) return LFM2_ERR_NOMEM;
                g->nodes = grown;
                g->cap_nodes *= 2;
            }
            next = g->n_nodes++;
            g->nodes[next] = (node){.id = ids[k], .sibling = g->nodes[at].child};
            g->nodes[at].child = next;
        }
        at = next;
    }
    return 0;
}

/* line: n bytes; text[0] is a blank, the entry stands behind it. */
static int add_entry(lfm2__glossary *g, const lfm2_tokenizer *tok, const char *line, size_t n)
{
    char text[MAX_ENTRY_BYTES + 1] = " ";
    int32_t ids[MAX_ENTRY_TOK];
    size_t n_ids = 0;
    int rc = 0;
    if (n > MAX_ENTRY_BYTES) {
        return lfm2__fail(g->rt, LFM2_ERR_LIMIT, "glossary: an entry is longer than %d bytes", MAX_ENTRY_BYTES);
    }
    memcpy(text + 1, line, n);
    for (int root = 0; rc == 0 && root < N_ROOTS; root++) {
        rc = lfm2_tokenizer_encode(tok, text + root, n + 1 - (size_t)root, 0, ids, MAX_ENTRY_TOK, &n_ids);
        if (rc == LFM2_ERR_RANGE) {
            rc = lfm2__fail(g->rt, LFM2_ERR_LIMIT, "glossary: an entry has more than %d tokens", MAX_ENTRY_TOK);
        }
        if (rc == 0) rc = add_path(g, root, ids, n_ids);
    }
    return rc;
}

static int is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static int add_all(lfm2__glossary *g, const lfm2_tokenizer *tok, const char *text)
{
    int32_t n_entries = 0;
    int rc = 0;
    for (const char *line = text; rc == 0 && *line != '\0';) {
        size_t n = strcspn(line, "\n");
        const char *next = line + n + (line[n] == '\n');
        while (n > 0 && is_blank(line[n - 1])) n--;
        while (n > 0 && is_blank(*line)) {
            line++;
            n--;
        }
        if (n > 0 && ++n_entries > MAX_ENTRIES) {
            return lfm2__fail(g->rt, LFM2_ERR_LIMIT, "glossary: more than %d entries", MAX_ENTRIES);
        }
        if (n > 0) rc = add_entry(g, tok, line, n);
        line = next;
    }
    return rc;
}

static int32_t n_children(const lfm2__glossary *g, int32_t at)
{
    int32_t n = 0;
    for (int32_t i = g->nodes[at].child; i != 0; i = g->nodes[i].sibling) n++;
    return n;
}

int lfm2__glossary_create(lfm2_runtime *rt, const lfm2_tokenizer *tok, const char *text, double weight, lfm2__glossary **out)
{
    if (lfm2__utf8_valid_n(text, strlen(text)) < strlen(text)) return lfm2__fail(rt, LFM2_ERR_UTF8, "glossary: not valid UTF-8");
    lfm2__glossary *g = lfm2__calloc(rt, 1, sizeof(*g));
    if (!g) return LFM2_ERR_NOMEM;
    g->rt = rt;
    g->weight = (float)weight;
    g->cap_nodes = 256;
    g->nodes = lfm2__calloc(rt, (size_t)g->cap_nodes, sizeof(node));
    g->n_nodes = N_ROOTS;
    int rc = g->nodes ? add_all(g, tok, text) : LFM2_ERR_NOMEM;
    if (rc < 0 || g->n_nodes == N_ROOTS) {
        lfm2__glossary_destroy(g);
        if (rc == 0) *out = NULL;
        return rc;
    }
    g->n_begin = n_children(g, ROOT_BLANK) + n_children(g, ROOT_FIRST);
    /* all nodes of one depth at most, for each depth that is open at a time: never more than there are nodes */
    g->max_biases = g->n_begin + g->n_nodes;
    *out = g;
    return 0;
}

void lfm2__glossary_destroy(lfm2__glossary *g)
{
    if (!g) return;
    lfm2__free(g->rt, g->nodes);
    lfm2__free(g->rt, g);
}

int lfm2__glossary_place_init(const lfm2__glossary *g, lfm2__glossary_place *p)
{
    p->biases = lfm2__calloc(g->rt, (size_t)g->max_biases, sizeof(*p->biases));
    return p->biases ? 0 : LFM2_ERR_NOMEM;
}

void lfm2__glossary_place_fini(const lfm2__glossary *g, lfm2__glossary_place *p)
{
    if (!g) return;
    lfm2__free(g->rt, p->biases);
    p->biases = NULL;
}

static void put_children(const lfm2__glossary *g, lfm2__glossary_place *p, int32_t at, float add)
{
    for (int32_t i = g->nodes[at].child; i != 0; i = g->nodes[i].sibling)
        p->biases[p->n_biases++] = (lfm2_bias){.id = g->nodes[i].id, .add = add};
}

static void put_biases(const lfm2__glossary *g, lfm2__glossary_place *p, int at_first)
{
    p->n_biases = 0;
    put_children(g, p, ROOT_BLANK, g->weight * BEGIN_SHARE);
    if (at_first) put_children(g, p, ROOT_FIRST, g->weight * BEGIN_SHARE);
    for (int32_t i = 0; i < p->n_nodes; i++) put_children(g, p, p->nodes[i], g->weight);
}

void lfm2__glossary_begin(const lfm2__glossary *g, lfm2__glossary_place *p)
{
    p->n_nodes = -1; /* the first token may begin an entry without a blank */
    put_biases(g, p, 1);
}

void lfm2__glossary_step(const lfm2__glossary *g, lfm2__glossary_place *p, int32_t id)
{
    int32_t n = 0;
    const int at_first = p->n_nodes < 0;
    for (int32_t i = 0; i < p->n_nodes; i++) { /* one token further, or out */
        const int32_t next = find_child(g, p->nodes[i], id);
        if (next != 0) p->nodes[n++] = next;
    }
    for (int root = 0; root < (at_first ? N_ROOTS : ROOT_FIRST); root++) {
        const int32_t next = find_child(g, root, id);
        if (next != 0 && n < (int32_t)(sizeof(p->nodes) / sizeof(p->nodes[0]))) p->nodes[n++] = next;
    }
    p->n_nodes = n;
    put_biases(g, p, 0);
}
