/* SPDX-License-Identifier: Apache-2.0
 * Arrays: what stands at each place, how many, which of them must be contained, and none twice. */
#include "pipeline/schema.h"

#include <string.h>

#include "base/runtime_impl.h"

enum { MAX_PLACES = 100000, MAX_UNIQUE = 10 };

/* Everything that is said of place i. */
static const lfm2__literals *goal_at(lfm2__schema *c, const lfm2__shape *s, int64_t i)
{
    const lfm2__literals *goal = NULL;
    for (const lfm2__item_rule *r = s->items; r != NULL; r = r->rest) {
        if (i >= r->from && (r->to < 0 || i < r->to)) goal = lfm2__literals_add(c, goal, r->lit);
    }
    return goal;
}

/* From this place on all places are alike. */
static int64_t n_different(const lfm2__shape *s)
{
    int64_t n = 0;
    for (const lfm2__item_rule *r = s->items; r != NULL; r = r->rest) {
        if (r->from > n) n = r->from;
        if (r->to > n) n = r->to;
    }
    return n;
}

static int32_t item(lfm2__schema *c, int first, const lfm2__literals *goal, int32_t next)
{
    const int32_t rule = lfm2__schema_rule(c, goal);
    const int32_t node = c->status < 0 ? LFM2__FAIL : lfm2__g_call(c->g, rule, next);
    return first ? node : lfm2__g_text(c->g, ", ", 2, node);
}

/* Counts of what is contained: states 0 .. top; counted items go one up, others stay where they are. */
typedef struct counting {
    const lfm2__contains *what; /* NULL = nothing is counted */
    int64_t min, max;           /* max < 0: no bound; states above min are one */
    int32_t top;
} counting;

static int count_is_good(const counting *k, int32_t count)
{
    return k->what == NULL || (count >= k->min && (k->max < 0 || count <= k->max));
}

/* The ways on from a place with a count: behind[] are the nodes behind the next item, for each count. */
static int32_t ways(lfm2__schema *c, const lfm2__shape *s, const counting *k, int64_t place, int first, int32_t count,
                    const int32_t *behind)
{
    const lfm2__literals *goal = goal_at(c, s, place);
    if (k->what == NULL) return item(c, first, goal, behind[0]);
    lfm2__literal yes = k->what->lit, no = k->what->lit;
    no.negated = !no.negated;
    const int32_t up = count < k->top ? count + 1 : k->max < 0 ? count : -1;
    /* with a bound above, what is not counted must not count; without one it may be anything */
    int32_t node = item(c, first, k->max < 0 ? goal : lfm2__literals_add(c, goal, no), behind[count]);
    if (up > count) node = lfm2__g_either(c->g, item(c, first, lfm2__literals_add(c, goal, yes), behind[up]), node);
    return node;
}

/* The nodes behind i items, for each count, from the last place down to the first. */
static int32_t build_places(lfm2__schema *c, const lfm2__shape *s, const counting *k, int32_t end)
{
    const int64_t n_diff = n_different(s);
    int64_t last = n_diff > s->min_items ? n_diff : s->min_items;
    if (last < 1) last = 1;
    if (s->max_items >= 0 && s->max_items < last + MAX_PLACES) last = s->max_items;
    const int endless = s->max_items < 0;
    if (last > MAX_PLACES || last * (k->top + 1) > MAX_PLACES || (!endless && s->max_items > last)) {
        (void)lfm2__schema_fail(c, LFM2_ERR_LIMIT, c->root, "too many places in an array");
        return LFM2__FAIL;
    }
    const size_t n = (size_t)k->top + 1;
    int32_t *behind = lfm2__schema_alloc(c, 2 * n * sizeof(*behind)), *here = behind == NULL ? NULL : behind + n;
    if (behind == NULL) return LFM2__FAIL;
    const int32_t close = lfm2__g_text(c->g, "]", 1, end);
    for (int32_t m = k->top; m >= 0; m--) {
        const int32_t stop = count_is_good(k, m) ? close : LFM2__FAIL;
        behind[m] = endless ? lfm2__g_loop(c->g, stop) : stop;
    }
    for (int32_t m = k->top; m >= 0 && endless && c->status == 0; m--)
        lfm2__g_close_loop(c->g, behind[m], ways(c, s, k, last, 0, m, behind));
    for (int64_t i = last - 1; i >= 1 && c->status == 0; i--) {
        for (int32_t m = 0; m <= k->top; m++) {
            here[m] = ways(c, s, k, i, 0, m, behind);
            if (i >= s->min_items && count_is_good(k, m)) here[m] = lfm2__g_either(c->g, here[m], close);
        }
        memcpy(behind, here, n * sizeof(*here));
    }
    int32_t first = last >= 1 ? ways(c, s, k, 0, 1, 0, behind) : LFM2__FAIL;
    if (s->min_items == 0 && count_is_good(k, 0)) first = lfm2__g_either(c->g, first, close);
    return lfm2__g_text(c->g, "[", 1, first);
}

/* ---- None twice: possible where there are few values, by remembering which of them have been ---- */

typedef struct few {
    lfm2__text values[MAX_UNIQUE];
    int32_t n;
    int too_many;
} few;

/* Number of a value, which is entered if it is new. Equal values have one text. */
static int32_t value_number(few *f, lfm2__text t)
{
    for (int32_t i = 0; i < f->n; i++) {
        if (f->values[i].n == t.n && memcmp(f->values[i].s, t.s, t.n) == 0) return i;
    }
    if (f->n == MAX_UNIQUE) f->too_many = 1;
    else f->values[f->n++] = t;
    return f->n - 1;
}

/* The values that may stand at a place, as bits. */
static unsigned values_at(lfm2__schema *c, const lfm2__shape *s, int64_t place, few *f)
{
    static const struct { unsigned type; lfm2__text text; } words[] = {
        {LFM2__T_NULL, {"null", 4}}, {LFM2__T_FALSE, {"false", 5}}, {LFM2__T_TRUE, {"true", 4}},
    };
    const lfm2__literals *goal = goal_at(c, s, place);
    unsigned bits = 0;
    for (lfm2__shapes *a = lfm2__schema_expand(c, goal); a != NULL && c->status == 0 && !f->too_many; a = a->rest) {
        const size_t n = a->shape.choices == NULL ? 0 : a->shape.is_const ? 1 : lfm2__json_size(a->shape.choices);
        if (a->shape.choices == NULL) lfm2__schema_exclude(c, &a->shape);
        if (a->shape.choices == NULL && (a->shape.types & ~(unsigned)(LFM2__T_NULL | LFM2__T_BOOL)) != 0) f->too_many = 1;
        for (size_t i = 0; i < LFM2__COUNT_OF(words) && a->shape.choices == NULL; i++) {
            if (a->shape.types & words[i].type) bits |= 1u << value_number(f, words[i].text);
        }
        for (size_t i = 0; i < n && c->status == 0 && !f->too_many; i++) {
            const lfm2__json *v = a->shape.is_const ? a->shape.choices : lfm2__json_at(a->shape.choices, i);
            lfm2__text text;
            int wanted = 1;
            for (const lfm2__literals *l = goal; l != NULL && wanted; l = l->rest) wanted = lfm2__schema_meets(c, v, l->lit) > 0;
            if (wanted) lfm2__schema_text(c, v, &text);
            if (wanted && c->status == 0) bits |= 1u << value_number(f, text);
        }
    }
    return bits;
}

static int32_t build_unique(lfm2__schema *c, const lfm2__shape *s, int32_t end)
{
    few f = {.n = 0};
    const int64_t n_diff = n_different(s), n_places = s->max_items >= 0 && s->max_items < MAX_UNIQUE ? s->max_items : MAX_UNIQUE;
    unsigned at[MAX_UNIQUE]; /* place i: which values */
    for (int64_t i = 0; i < n_places; i++) {
        if (i > n_diff) at[i] = at[i - 1];
        /* behind a place for nothing there is none */
        else at[i] = f.too_many || (i > 0 && at[i - 1] == 0) ? 0 : values_at(c, s, i, &f);
    }
    if (c->status < 0) return LFM2__FAIL;
    if (f.too_many || s->contains != NULL || n_diff > MAX_UNIQUE) {
        (void)lfm2__schema_fail(c, LFM2_ERR_UNSUPPORTED, s->unique_at, "uniqueItems of more than a few given values");
        return LFM2__FAIL;
    }
    int32_t *behind = lfm2__schema_alloc(c, sizeof(*behind) << f.n); /* the node behind each set of values */
    if (behind == NULL) return LFM2__FAIL;
    const int32_t close = lfm2__g_text(c->g, "]", 1, end);
    for (int32_t set = (1 << f.n) - 1; set >= 0; set--) {
        int32_t count = 0;
        for (int32_t k = 0; k < f.n; k++) count += set >> k & 1;
        behind[set] = count >= s->min_items && (s->max_items < 0 || count <= s->max_items) ? close : LFM2__FAIL;
        for (int32_t k = 0; k < f.n && count < n_places; k++) {
            if ((set >> k & 1) || !(at[count] >> k & 1)) continue;
            const int32_t one = lfm2__g_text(c->g, f.values[k].s, f.values[k].n, behind[set | 1 << k]);
            behind[set] = lfm2__g_either(c->g, set == 0 ? one : lfm2__g_text(c->g, ", ", 2, one), behind[set]);
        }
    }
    return lfm2__g_text(c->g, "[", 1, behind[0]);
}

int32_t lfm2__g_array(lfm2__schema *c, const lfm2__shape *s, int32_t next)
{
    counting k = {.max = -1};
    if (c->status < 0) return LFM2__FAIL;
    if (s->unique_at != NULL && (s->max_items < 0 || s->max_items > 1)) return build_unique(c, s, next);
    if (s->contains != NULL) {
        k.what = s->contains;
        k.min = s->contains->min;
        k.max = s->contains->max;
        if (s->contains->rest != NULL)
            (void)lfm2__schema_fail(c, LFM2_ERR_UNSUPPORTED, s->contains->lit.schema, "contains beside another one");
        if (k.min > MAX_PLACES || k.max > MAX_PLACES)
            (void)lfm2__schema_fail(c, LFM2_ERR_LIMIT, s->contains->lit.schema, "too many to be contained");
        k.top = (int32_t)(k.max >= 0 ? k.max : k.min);
        if (k.max >= 0 && k.min > k.max) return LFM2__FAIL;
    }
    return c->status < 0 ? LFM2__FAIL : build_places(c, s, &k, next);
}
