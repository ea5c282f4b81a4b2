/* SPDX-License-Identifier: Apache-2.0
 * What is worked out about a finished grammar: the shortest way from each node to the end of its rule, and that no rule begins
 * with itself. */
#include "pipeline/grammar.h"

#include <string.h>

#include "base/runtime_impl.h"

#define MAX_MIN_BYTES (1 << 30) /* longer is as good as never */

/* ---- Shortest ends ----
 * The least value of all is final; so is the next least that follows from the final ones, and so on (Knuth, "A generalization of
 * Dijkstra's algorithm", 1977). */

typedef struct entry {
    int32_t value, node;
} entry;

typedef struct search {
    lfm2_grammar *g;
    int32_t *ends;  /* [n_nodes + 2]: the users of node x are users[ends[x + 1]] up to users[ends[x + 2]] */
    int32_t *users; /* nodes whose value depends on it */
    entry *heap;
    int32_t n_heap, cap_heap;
} search;

/* Nodes on which node i depends: 0 to 2 of them. */
static int inputs(const lfm2_grammar *g, int32_t i, int32_t in[2])
{
    const lfm2__node *n = &g->nodes[i];
    if (n->kind == LFM2__NODE_END || n->kind == LFM2__NODE_FAIL) return 0;
    in[0] = n->next;
    if (n->kind == LFM2__NODE_BYTES) return 1;
    in[1] = n->kind == LFM2__NODE_CALL ? g->rules[n->arg] : n->arg;
    return 2;
}

static void list_users(search *s)
{
    const lfm2_grammar *g = s->g;
    int32_t in[2];
    for (int32_t i = 0; i < g->n_nodes; i++) {
        for (int k = inputs(g, i, in); k-- > 0;) s->ends[in[k] + 1]++;
    }
    for (int32_t i = 0; i < g->n_nodes; i++) s->ends[i + 1] += s->ends[i];
    s->ends[g->n_nodes + 1] = s->ends[g->n_nodes];
    for (int32_t i = 0; i < g->n_nodes; i++) { /* each list from its back: ends[x + 1] arrives at its front */
        for (int k = inputs(g, i, in); k-- > 0;) s->users[--s->ends[in[k] + 1]] = i;
    }
}

static void push(search *s, int32_t value, int32_t node)
{
    int32_t at = s->n_heap++;
    while (at > 0 && s->heap[(at - 1) / 2].value > value) {
        s->heap[at] = s->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    s->heap[at] = (entry){value, node};
}

static entry pop(search *s)
{
    const entry top = s->heap[0], moving = s->heap[--s->n_heap];
    int32_t at = 0;
    for (;;) {
        int32_t child = 2 * at + 1;
        if (child >= s->n_heap) break;
        if (child + 1 < s->n_heap && s->heap[child + 1].value < s->heap[child].value) child++;
        if (s->heap[child].value >= moving.value) break;
        s->heap[at] = s->heap[child];
        at = child;
    }
    s->heap[at] = moving;
    return top;
}

/* What is known of node i by now. */
static int32_t value_of(const lfm2_grammar *g, int32_t i)
{
    const lfm2__node *n = &g->nodes[i];
    const int32_t *v = g->min_bytes;
    switch (n->kind) {
    case LFM2__NODE_END: return 0;
    case LFM2__NODE_BYTES: return v[n->next] >= MAX_MIN_BYTES ? LFM2__NEVER : v[n->next] + 1;
    case LFM2__NODE_SPLIT: return v[n->next] < v[n->arg] ? v[n->next] : v[n->arg];
    case LFM2__NODE_CALL: {
        const int32_t body = v[g->rules[n->arg]];
        if (body >= MAX_MIN_BYTES || v[n->next] >= MAX_MIN_BYTES) return LFM2__NEVER;
        return body + v[n->next] >= MAX_MIN_BYTES ? LFM2__NEVER : body + v[n->next];
    }
    default: return LFM2__NEVER;
    }
}

static void settle(search *s)
{
    lfm2_grammar *g = s->g;
    for (int32_t i = 0; i < g->n_nodes; i++) g->min_bytes[i] = LFM2__NEVER;
    push(s, 0, LFM2__END);
    while (s->n_heap > 0) {
        const entry e = pop(s);
        if (g->min_bytes[e.node] != LFM2__NEVER) continue;
        g->min_bytes[e.node] = e.value;
        for (int32_t k = s->ends[e.node + 1]; k < s->ends[e.node + 2]; k++) {
            const int32_t user = s->users[k];
            const int32_t value = value_of(g, user);
            if (value != LFM2__NEVER && g->min_bytes[user] == LFM2__NEVER) push(s, value, user);
        }
    }
}

static int find_shortest(lfm2_grammar *g)
{
    const size_t n = (size_t)g->n_nodes;
    search s = {.g = g};
    int rc = LFM2_ERR_NOMEM;
    g->min_bytes = lfm2__calloc(g->rt, n, sizeof(int32_t));
    s.ends = lfm2__calloc(g->rt, n + 2, sizeof(int32_t));
    s.users = lfm2__calloc(g->rt, 2 * n, sizeof(int32_t));
    s.heap = lfm2__calloc(g->rt, 2 * n + 1, sizeof(entry)); /* each input of a node pushes it once at most */
    if (g->min_bytes != NULL && s.ends != NULL && s.users != NULL && s.heap != NULL) {
        list_users(&s);
        settle(&s);
        rc = 0;
    }
    lfm2__free(g->rt, s.heap);
    lfm2__free(g->rt, s.users);
    lfm2__free(g->rt, s.ends);
    return rc;
}

/* ---- Left recursion ----
 * A rule that comes back to its own beginning before any byte would be called for ever. Such calls lie on a cycle of the steps
 * that need no byte; cycles without a call (a loop whose body may be empty) do no harm. */

typedef struct walk {
    const lfm2_grammar *g;
    int32_t *order; /* [n_nodes]: when a node was met, from 1; 0 = not yet */
    int32_t *low;   /* the earliest node on the stack that it leads to */
    int32_t *stack, *path, *branch;
    uint8_t *on_stack;
    int32_t n_stack, n_path, n_met;
} walk;

/* Where one gets from node i without a byte, among what can be completed. */
static int silent_steps(const lfm2_grammar *g, int32_t i, int32_t to[2])
{
    const lfm2__node *n = &g->nodes[i];
    int n_to = 0;
    if (g->min_bytes[i] == LFM2__NEVER) return 0;
    if (n->kind == LFM2__NODE_SPLIT) {
        to[n_to++] = n->next;
        to[n_to++] = n->arg;
    } else if (n->kind == LFM2__NODE_CALL) {
        to[n_to++] = g->rules[n->arg];
        if (g->min_bytes[g->rules[n->arg]] == 0) to[n_to++] = n->next;
    }
    return n_to;
}

static void meet(walk *w, int32_t i)
{
    w->order[i] = w->low[i] = ++w->n_met;
    w->stack[w->n_stack++] = i;
    w->on_stack[i] = 1;
    w->branch[w->n_path] = 0;
    w->path[w->n_path++] = i;
}

/* A component is complete: its nodes get the number of its root in low. */
static void close_component(walk *w, int32_t root)
{
    int32_t i;
    do {
        i = w->stack[--w->n_stack];
        w->on_stack[i] = 0;
        w->low[i] = w->order[root];
    } while (i != root);
}

/* Tarjan's strongly connected components, with a stack of our own. */
static void find_components(walk *w, int32_t from)
{
    meet(w, from);
    while (w->n_path > 0) {
        const int32_t i = w->path[w->n_path - 1];
        int32_t to[2];
        const int n_to = silent_steps(w->g, i, to);
        if (w->branch[w->n_path - 1] < n_to) {
            const int32_t next = to[w->branch[w->n_path - 1]++];
            if (w->order[next] == 0) meet(w, next);
            else if (w->on_stack[next] && w->order[next] < w->low[i]) w->low[i] = w->order[next];
            continue;
        }
        w->n_path--;
        const int32_t low = w->low[i];
        if (low == w->order[i]) close_component(w, i);
        if (w->n_path > 0 && low < w->low[w->path[w->n_path - 1]] && w->on_stack[i]) w->low[w->path[w->n_path - 1]] = low;
    }
}

/* The rule that a left-recursive call calls, or -1; -2 without memory. */
static int32_t find_left_recursion(lfm2_grammar *g)
{
    const size_t n = (size_t)g->n_nodes;
    int32_t found = -2;
    int32_t *ints = lfm2__calloc(g->rt, 5 * n, sizeof(int32_t));
    uint8_t *on_stack = lfm2__calloc(g->rt, n, 1);
    if (ints != NULL && on_stack != NULL) {
        walk w = {.g = g, .order = ints, .low = ints + n, .stack = ints + 2 * n, .path = ints + 3 * n, .branch = ints + 4 * n,
                  .on_stack = on_stack};
        for (int32_t i = 0; i < g->n_nodes; i++) {
            if (w.order[i] == 0) find_components(&w, i);
        }
        found = -1;
        for (int32_t i = 0; i < g->n_nodes && found == -1; i++) {
            const lfm2__node *node = &g->nodes[i];
            if (node->kind == LFM2__NODE_CALL && g->min_bytes[i] != LFM2__NEVER && w.low[i] == w.low[g->rules[node->arg]]) {
                found = node->arg;
            }
        }
    }
    lfm2__free(g->rt, on_stack);
    lfm2__free(g->rt, ints);
    return found;
}

int lfm2__grammar_seal(lfm2_grammar *g, int32_t start, int32_t *rule)
{
    int32_t at_fault = -1;
    if (rule != NULL) *rule = -1;
    if (g->status < 0) return g->status;
    for (int32_t i = 0; i < g->n_rules && at_fault < 0; i++) {
        if (g->rules[i] < 0) at_fault = i;
    }
    if (at_fault >= 0) {
        g->status = LFM2_ERR_FORMAT;
    } else {
        g->start = start;
        g->status = find_shortest(g);
        if (g->status == 0) at_fault = find_left_recursion(g);
        if (at_fault == -2) g->status = LFM2_ERR_NOMEM;
        else if (at_fault >= 0) g->status = LFM2_ERR_UNSUPPORTED;
        else if (g->status == 0 && g->min_bytes[g->rules[start]] == LFM2__NEVER) g->status = LFM2_ERR_RANGE;
    }
    if (rule != NULL && at_fault >= 0) *rule = at_fault;
    return g->status;
}

int64_t lfm2_grammar_min_bytes(const lfm2_grammar *g)
{
    return g == NULL ? 0 : g->min_bytes[g->rules[g->start]];
}
