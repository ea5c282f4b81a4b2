/* SPDX-License-Identifier: Apache-2.0
 * Numbers as texts: "-"? (0 | [1-9][0-9]*) ("." [0-9]+)?, but not "-0" alone; no exponents. Bounds and multiples are automata over
 * their digits. */
#include "pipeline/schema.h"

#include <stdlib.h>
#include <string.h>

#include "base/runtime_impl.h"

enum { /* classes of the tables here */
    C_MINUS = 1, C_DOT = 2, C_DIGITS = 4, N_CLASSES = 15,
    START = 0, DEAD = 1,
    MAX_DIGITS = 400,
    MAX_STATES = 1 << 18
};

static const uint32_t bounds[N_CLASSES] = {0, '-', '.', '/', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ':'};

typedef struct table {
    int32_t *next;
    uint8_t *accepts;
    int32_t n;
} table;

static int table_create(lfm2__schema *c, table *t, int64_t n)
{
    *t = (table){.n = (int32_t)n};
    if (c->status < 0) return -1;
    if (n > MAX_STATES) {
        (void)lfm2__schema_fail(c, LFM2_ERR_LIMIT, c->root, "too fine a multipleOf");
        return -1;
    }
    t->next = lfm2__calloc(c->rt, (size_t)n * N_CLASSES, sizeof(*t->next));
    t->accepts = lfm2__calloc(c->rt, (size_t)n, 1);
    if (t->next == NULL || t->accepts == NULL) {
        lfm2__free(c->rt, t->next);
        lfm2__free(c->rt, t->accepts);
        c->status = LFM2_ERR_NOMEM;
        return -1;
    }
    for (int64_t i = 0; i < n * N_CLASSES; i++) t->next[i] = DEAD;
    return 0;
}

static void link_to(table *t, int32_t from, int class_no, int32_t to)
{
    t->next[from * N_CLASSES + class_no] = to;
}

static void link_digits(table *t, int32_t from, int lo, int hi, int32_t to)
{
    for (int d = lo; d <= hi; d++) link_to(t, from, C_DIGITS + d, to);
}

/* States that cannot be reached are left out, since an automaton must not have any. */
static lfm2__dfa *table_finish(lfm2__schema *c, table *t)
{
    lfm2__dfa *d = NULL;
    int32_t *number = lfm2__alloc(c->rt, (size_t)t->n * sizeof(*number));
    int32_t *order = lfm2__calloc(c->rt, (size_t)t->n, sizeof(*order));
    int rc = LFM2_ERR_NOMEM;
    int32_t n = 0;
    if (number != NULL && order != NULL) {
        memset(number, 0xff, (size_t)t->n * sizeof(*number));
        number[START] = n;
        order[n++] = START;
        for (int32_t i = 0; i < n; i++) {
            for (int k = 0; k < N_CLASSES; k++) {
                const int32_t to = t->next[order[i] * N_CLASSES + k];
                if (number[to] >= 0) continue;
                number[to] = n;
                order[n++] = to;
            }
        }
        int32_t *next = lfm2__calloc(c->rt, (size_t)n * N_CLASSES, sizeof(*next));
        uint8_t *accepts = lfm2__calloc(c->rt, (size_t)n, 1);
        if (next != NULL && accepts != NULL) {
            for (int32_t i = 0; i < n; i++) {
                accepts[i] = t->accepts[order[i]];
                for (int k = 0; k < N_CLASSES; k++) next[i * N_CLASSES + k] = number[t->next[order[i] * N_CLASSES + k]];
            }
            rc = lfm2__dfa_from_table(c->rt, n, N_CLASSES, bounds, next, accepts, &d);
        }
        lfm2__free(c->rt, next);
        lfm2__free(c->rt, accepts);
    }
    lfm2__free(c->rt, number);
    lfm2__free(c->rt, order);
    lfm2__free(c->rt, t->next);
    lfm2__free(c->rt, t->accepts);
    return lfm2__schema_keep(c, rc, d);
}

lfm2__dfa *lfm2__numbers_all(lfm2__schema *c, int integers_only)
{
    enum { MINUS = 2, ZERO, MINUS_ZERO, INTEGER, DOT, FRACTION, N };
    table t;
    if (table_create(c, &t, N) < 0) return NULL;
    link_to(&t, START, C_MINUS, MINUS);
    link_digits(&t, START, 0, 0, ZERO);
    link_digits(&t, START, 1, 9, INTEGER);
    link_digits(&t, MINUS, 0, 0, MINUS_ZERO);
    link_digits(&t, MINUS, 1, 9, INTEGER);
    link_digits(&t, INTEGER, 0, 9, INTEGER);
    t.accepts[ZERO] = t.accepts[INTEGER] = 1;
    if (!integers_only) {
        link_to(&t, ZERO, C_DOT, DOT);
        link_to(&t, MINUS_ZERO, C_DOT, DOT);
        link_to(&t, INTEGER, C_DOT, DOT);
        link_digits(&t, DOT, 0, 9, FRACTION);
        link_digits(&t, FRACTION, 0, 9, FRACTION);
        t.accepts[FRACTION] = 1;
    }
    return table_finish(c, &t);
}

/* ---- Decimals of the document ---- */

typedef struct decimal { /* digits before and behind the point, without zeros at the outer ends */
    int negative;
    char whole[MAX_DIGITS + 1], part[MAX_DIGITS + 1];
    int n_whole, n_part;
} decimal;

static int read_decimal(lfm2__schema *c, const lfm2__json *v, decimal *d)
{
    char digits[2 * MAX_DIGITS + 1];
    char *text = NULL;
    size_t n = 0;
    int n_digits = 0, point = -1, exponent = 0;
    const lfm2__json_type type = lfm2__json_typeof(v);
    memset(d, 0, sizeof(*d));
    if (c->status < 0) return -1;
    if (type != LFM2__JSON_INT && type != LFM2__JSON_REAL) {
        (void)lfm2__schema_fail(c, LFM2_ERR_FORMAT, v, "not a number");
        return -1;
    }
    const int rc = lfm2__json_dumps(c->rt, v, &text, &n);
    if (rc < 0) {
        c->status = rc;
        return -1;
    }
    for (const char *s = text; *s != 0; s++) {
        if (*s == '-') d->negative = 1;
        else if (*s == '.') point = n_digits;
        else if (*s == 'e' || *s == 'E') {
            exponent = (int)strtol(s + 1, NULL, 10);
            break;
        } else if (*s >= '0' && *s <= '9' && n_digits < MAX_DIGITS) digits[n_digits++] = *s;
    }
    lfm2__free(c->rt, text);
    point = (point < 0 ? n_digits : point) + exponent;
    if (point > MAX_DIGITS || point < -MAX_DIGITS) {
        (void)lfm2__schema_fail(c, LFM2_ERR_LIMIT, v, "too long a number");
        return -1;
    }
    for (int i = point < 0 ? point : 0; i < n_digits || i < point; i++) {
        const char digit = i >= 0 && i < n_digits ? digits[i] : '0';
        if (i < point) {
            if (d->n_whole > 0 || digit != '0') d->whole[d->n_whole++] = digit;
        } else if (d->n_part < MAX_DIGITS) {
            d->part[d->n_part++] = digit;
        }
    }
    while (d->n_part > 0 && d->part[d->n_part - 1] == '0') d->n_part--;
    if (d->n_whole == 0 && d->n_part == 0) d->negative = 0;
    return 0;
}

/* ---- Bounds ----
 * The digits y of a number are compared with those of the bound, m. While the whole part is read, its length is not known: after k
 * digits they are less, equal or greater than the first k of m's; which decides only if there are as many in the end. */

enum { LESS, EQUAL, GREATER };

typedef struct comparison {
    const decimal *m;
    table *t;
    int32_t base; /* first state of this sign */
} comparison;

static int32_t whole_state(const comparison *x, int k, int cmp) /* 1 <= k <= n_whole */
{
    return x->base + 3 * (k - 1) + cmp;
}

static int32_t longer_state(const comparison *x)
{
    return x->base + 3 * x->m->n_whole;
}

static int32_t zero_state(const comparison *x)
{
    return longer_state(x) + 1;
}

static int32_t decided_state(const comparison *x, int cmp, int has_digit) /* behind the point, cmp LESS or GREATER */
{
    return longer_state(x) + 2 + (cmp == GREATER) + 2 * has_digit;
}

static int32_t part_state(const comparison *x, int j, int has_digit) /* equal up to j digits behind the point */
{
    return longer_state(x) + 6 + j + (x->m->n_part + 1) * has_digit;
}

static int32_t n_comparison_states(const decimal *m)
{
    return 3 * m->n_whole + 8 + 2 * m->n_part;
}

static int compare_digit(int digit, char other)
{
    return digit < other - '0' ? LESS : digit > other - '0' ? GREATER : EQUAL;
}

static void link_point(const comparison *x, int32_t from, int cmp)
{
    link_to(x->t, from, C_DOT, cmp == EQUAL ? part_state(x, 0, 0) : decided_state(x, cmp, 0));
}

/* Links and outcomes of all states of one sign; wanted[cmp]: whether that outcome is accepted. */
static void compare(const comparison *x, int32_t first, const uint8_t wanted[3], int minus_zero_alone)
{
    const decimal *m = x->m;
    const int n = m->n_whole;
    const int zero_cmp = n > 0 ? LESS : EQUAL;               /* of the whole part "0" */
    const int zero_is = n > 0 || m->n_part > 0 ? LESS : EQUAL; /* of the number "0" */
    for (int d = 1; d <= 9; d++)
        link_digits(x->t, first, d, d, n == 0 ? longer_state(x) : whole_state(x, 1, compare_digit(d, m->whole[0])));
    link_digits(x->t, first, 0, 0, zero_state(x));
    link_point(x, zero_state(x), zero_cmp);
    x->t->accepts[zero_state(x)] = minus_zero_alone ? wanted[zero_is] : 0;
    for (int k = 1; k <= n; k++) {
        for (int cmp = LESS; cmp <= GREATER; cmp++) {
            const int32_t s = whole_state(x, k, cmp);
            const int whole_cmp = k < n ? LESS : cmp;
            for (int d = 0; d <= 9; d++) {
                const int then = cmp == EQUAL && k < n ? compare_digit(d, m->whole[k]) : cmp;
                link_digits(x->t, s, d, d, k == n ? longer_state(x) : whole_state(x, k + 1, then));
            }
            link_point(x, s, whole_cmp);
            x->t->accepts[s] = wanted[whole_cmp == EQUAL && m->n_part > 0 ? LESS : whole_cmp];
        }
    }
    link_digits(x->t, longer_state(x), 0, 9, longer_state(x));
    link_point(x, longer_state(x), GREATER);
    x->t->accepts[longer_state(x)] = wanted[GREATER];
    for (int h = 0; h <= 1; h++) {
        for (int cmp = LESS; cmp <= GREATER; cmp += 2) {
            link_digits(x->t, decided_state(x, cmp, h), 0, 9, decided_state(x, cmp, 1));
            x->t->accepts[decided_state(x, cmp, h)] = h && wanted[cmp];
        }
        for (int j = 0; j <= m->n_part; j++) {
            const int32_t s = part_state(x, j, h);
            for (int d = 0; d <= 9; d++) {
                const int cmp = compare_digit(d, j < m->n_part ? m->part[j] : '0');
                link_digits(x->t, s, d, d, cmp == EQUAL ? part_state(x, j < m->n_part ? j + 1 : j, 1) : decided_state(x, cmp, 1));
            }
            x->t->accepts[s] = h && wanted[j < m->n_part ? LESS : EQUAL];
        }
    }
}

lfm2__dfa *lfm2__numbers_from(lfm2__schema *c, const lfm2__json *v, int strictly)
{
    decimal m;
    table t;
    const uint8_t equal = !strictly;
    if (read_decimal(c, v, &m) < 0 || table_create(c, &t, 3 + 2 * (int64_t)n_comparison_states(&m)) < 0) return NULL;
    const int is_zero = m.n_whole == 0 && m.n_part == 0;
    const uint8_t above[3] = {(uint8_t)m.negative, m.negative || equal, 1};                /* of y */
    const uint8_t below[3] = {(uint8_t)m.negative, (m.negative || is_zero) && equal, 0};   /* of -y, by comparing y with |m| */
    const comparison plus = {&m, &t, 3}, minus = {&m, &t, 3 + n_comparison_states(&m)};
    link_to(&t, START, C_MINUS, 2);
    compare(&plus, START, above, 1);
    compare(&minus, 2, below, 0);
    return table_finish(c, &t);
}

lfm2__dfa *lfm2__numbers_equal(lfm2__schema *c, const lfm2__json *v)
{
    return lfm2__dfa_except(c, lfm2__numbers_from(c, v, 0), lfm2__numbers_from(c, v, 1));
}

/* ---- Multiples ----
 * of = p / 10^d: the remainder of the digits read so far by p, and how many of them were behind the point. */

lfm2__dfa *lfm2__numbers_multiple(lfm2__schema *c, const lfm2__json *of)
{
    decimal m;
    table t;
    if (read_decimal(c, of, &m) < 0) return NULL;
    int64_t p = 0;
    for (int i = 0; i < m.n_whole + m.n_part && p <= MAX_STATES; i++)
        p = p * 10 + ((i < m.n_whole ? m.whole[i] : m.part[i - m.n_whole]) - '0');
    const int d = m.n_part;
    if (p == 0 || m.negative) {
        (void)lfm2__schema_fail(c, LFM2_ERR_FORMAT, of, "not above 0");
        return NULL;
    }
    if (p > MAX_STATES || table_create(c, &t, 4 + p * (d + 2)) < 0) {
        if (c->status == 0) (void)lfm2__schema_fail(c, LFM2_ERR_LIMIT, of, "too fine a multipleOf");
        return NULL;
    }
    enum { MINUS = 2, ZERO = 3, FIRST = 4 };
    /* FIRST + r: in the whole part; FIRST + p + r: at the point; FIRST + (1 + j) * p + r: behind j digits, j = 1 .. d.
     * With d = 0 digits behind the point are zeros, and stay at FIRST + p once there was one; the point alone is no end. */
    const int32_t q = (int32_t)p;
    link_to(&t, START, C_MINUS, MINUS);
    for (int digit = 0; digit <= 9; digit++) {
        const int32_t to = digit == 0 ? ZERO : FIRST + digit % q;
        link_digits(&t, START, digit, digit, to);
        link_digits(&t, MINUS, digit, digit, to);
    }
    t.accepts[ZERO] = 1;
    link_to(&t, ZERO, C_DOT, FIRST + q);
    for (int32_t r = 0; r < q; r++) {
        int64_t scaled = r;
        for (int i = 0; i < d; i++) scaled = scaled * 10 % p;
        t.accepts[FIRST + r] = scaled == 0;
        link_to(&t, FIRST + r, C_DOT, FIRST + q + r);
        for (int digit = 0; digit <= 9; digit++)
            link_digits(&t, FIRST + r, digit, digit, FIRST + (int32_t)(((int64_t)r * 10 + digit) % p));
        for (int j = 0; j <= d; j++) { /* behind j digits */
            const int32_t s = FIRST + (1 + j) * q + r;
            for (int digit = 0; digit <= 9 && j < d; digit++) {
                link_digits(&t, s, digit, digit, FIRST + (2 + j) * q + (int32_t)(((int64_t)r * 10 + digit) % p));
            }
            if (j == d) link_digits(&t, s, 0, 0, s);
            scaled = r;
            for (int i = j; i < d; i++) scaled = scaled * 10 % p;
            t.accepts[s] = scaled == 0;
        }
    }
    return lfm2__dfa_meet(c, table_finish(c, &t), lfm2__numbers_all(c, 0)); /* which also knows that a point needs a digit */
}

static int32_t plain_class(void *ctx, lfm2_grammar *g, lfm2__cp_range *ranges, int32_t n, int32_t next)
{
    (void)ctx;
    return lfm2__g_class(g, ranges, n, 0, next);
}

/* A number whose fraction is zero is an integer. */
static lfm2__dfa *integral(lfm2__schema *c)
{
    static const char one[] = "1";
    lfm2__json_doc *doc = NULL;
    const lfm2__json_limits limits = {.max_bytes = 8, .max_depth = 1, .max_values = 1};
    if (c->status == 0) c->status = lfm2__json_parse(c->rt, "one", one, 1, &limits, &doc);
    lfm2__dfa *d = c->status == 0 ? lfm2__numbers_multiple(c, lfm2__json_root(doc)) : NULL;
    lfm2__json_free(doc);
    return d;
}

int32_t lfm2__g_number(lfm2__schema *c, const lfm2__shape *s, int32_t next)
{
    const unsigned types = s->types & LFM2__T_NUMBER;
    lfm2__dfa *d = lfm2__numbers_all(c, types == LFM2__T_INTEGER);
    if (types == LFM2__T_FRACTION) d = lfm2__dfa_except(c, d, integral(c));
    d = lfm2__dfa_meet(c, d, s->numbers);
    return c->status < 0 ? LFM2__FAIL : lfm2__g_dfa_rule(c, d, plain_class, 0, next);
}
