/* SPDX-License-Identifier: Apache-2.0
 * Sampler. Every decision is made with IEEE double addition, multiplication and comparison in a fixed order (this file is
 * compiled without contraction), so that a seed gives the same ids from the same logits on every machine. */
#include "lfm2/sampler.h"

#include <math.h>
#include <string.h>

#include "base/runtime_impl.h"
#include "model/sampler_impl.h"

#define FLAG_ALLOWED 1u
#define FLAG_SEEN 2u

#define REPEAT_PENALTY_MIN 0.01f
#define REPEAT_PENALTY_MAX 100.0f

typedef struct candidate {
    double v; /* logit, later weight relative to the greatest, which is 1 */
    int32_t id;
} candidate;

struct lfm2_sampler {
    lfm2_runtime *rt;
    lfm2_sampler_params p;
    int32_t n_vocab;
    int32_t n_allowed;
    uint64_t rng;
    uint8_t *flags;   /* [n_vocab] */
    candidate *cands; /* [n_allowed] */
    const lfm2_bias *biases;
    int32_t n_biases;
};

lfm2_sampler_params lfm2_sampler_params_default(void)
{
    lfm2_sampler_params p = {.temperature = 0.0f, .top_k = 0, .top_p = 1.0f, .min_p = 0.0f, .repeat_penalty = 1.0f, .seed = 0};
    return p;
}

/* Written so that NaN is out of every range. */
static int check_params(lfm2_runtime *rt, const lfm2_sampler_params *p)
{
    if (!(p->temperature >= 0.0f && p->temperature <= 100.0f)) {
        return lfm2__fail(rt, LFM2_ERR_ARG, "sampler: temperature %g is not in 0..100", (double)p->temperature);
    }
    if (p->top_k < 0) return lfm2__fail(rt, LFM2_ERR_ARG, "sampler: top_k %d is negative", (int)p->top_k);
    if (!(p->top_p > 0.0f && p->top_p <= 1.0f)) {
        return lfm2__fail(rt, LFM2_ERR_ARG, "sampler: top_p %g is not above 0 and at most 1", (double)p->top_p);
    }
    if (!(p->min_p >= 0.0f && p->min_p <= 1.0f)) {
        return lfm2__fail(rt, LFM2_ERR_ARG, "sampler: min_p %g is not in 0..1", (double)p->min_p);
    }
    if (!(p->repeat_penalty >= REPEAT_PENALTY_MIN && p->repeat_penalty <= REPEAT_PENALTY_MAX)) {
        return lfm2__fail(rt, LFM2_ERR_ARG, "sampler: repeat_penalty %g is not in %g..%g", (double)p->repeat_penalty,
                          (double)REPEAT_PENALTY_MIN, (double)REPEAT_PENALTY_MAX);
    }
    return 0;
}

int lfm2_sampler_create(lfm2_runtime *rt, const lfm2_sampler_params *p, int32_t n_vocab,
                        int (*allowed)(void *ctx, int32_t id), void *ctx, lfm2_sampler **out)
{
    lfm2_sampler *s = NULL;
    int rc = LFM2_ERR_ARG;

    if (rt == NULL || out == NULL) return LFM2_ERR_ARG;
    if (p == NULL || n_vocab < 1) {
        return lfm2__fail(rt, LFM2_ERR_ARG, "sampler: no parameters, or a vocabulary of %d ids", (int)n_vocab);
    }
    rc = check_params(rt, p);
    if (rc < 0) return rc;

    rc = LFM2_ERR_NOMEM;
    s = lfm2__calloc(rt, 1, sizeof(*s));
    if (s == NULL) goto fail;
    s->rt = rt;
    s->p = *p;
    s->n_vocab = n_vocab;
    s->flags = lfm2__calloc(rt, (size_t)n_vocab, sizeof(s->flags[0]));
    if (s->flags == NULL) goto fail;
    for (int32_t id = 0; id < n_vocab; id++) {
        if (allowed != NULL && !allowed(ctx, id)) continue;
        s->flags[id] = FLAG_ALLOWED;
        s->n_allowed++;
    }
    if (s->n_allowed == 0) {
        rc = lfm2__fail(rt, LFM2_ERR_ARG, "sampler: none of %d ids is allowed", (int)n_vocab);
        goto fail;
    }
    s->cands = lfm2__calloc(rt, (size_t)s->n_allowed, sizeof(s->cands[0]));
    if (s->cands == NULL) goto fail;
    lfm2_sampler_reset(s);
    *out = s;
    return 0;

fail:
    lfm2_sampler_destroy(s);
    return rc;
}

void lfm2_sampler_destroy(lfm2_sampler *s)
{
    if (s == NULL) return;
    lfm2__free(s->rt, s->flags);
    lfm2__free(s->rt, s->cands);
    lfm2__free(s->rt, s);
}

void lfm2_sampler_accept(lfm2_sampler *s, int32_t id)
{
    if (id >= 0 && id < s->n_vocab) s->flags[id] |= FLAG_SEEN;
}

void lfm2_sampler_reset(lfm2_sampler *s)
{
    for (int32_t id = 0; id < s->n_vocab; id++) s->flags[id] &= FLAG_ALLOWED;
    s->rng = s->p.seed;
    s->n_biases = 0;
}

void lfm2_sampler_set_biases(lfm2_sampler *s, const lfm2_bias *biases, int32_t n)
{
    if (s == NULL) return;
    s->biases = biases;
    s->n_biases = biases != NULL && n > 0 ? n : 0;
}

int32_t lfm2__sampler_n_vocab(const lfm2_sampler *s)
{
    return s->n_vocab;
}

/* SplitMix64: 64 bits of state, and any seed is a good one. */
static uint64_t next_u64(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Uniform in [0, 1), a multiple of 2^-53. */
static double next_unit(uint64_t *state)
{
    return (double)(next_u64(state) >> 11) * 0x1p-53;
}

/* e^x for x <= 0: exactly 1 at 0; 0 below the normal range. The C library's exp differs in its last bit between systems;
 * this one cannot. x = n * ln 2 + r with |r| <= 0.35, then the Taylor series of e^r (rest below 2^-56), then the exponent. */
static double exp_neg(double x)
{
    static const double inv_factorial[] = {
        1.0, 1.0, 1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040, 1.0 / 40320, 1.0 / 362880, 1.0 / 3628800,
        1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800.0,
    };
    if (x < -708.0) return 0.0;
    int64_t n = (int64_t)(x * 1.4426950408889634 - 0.5); /* toward zero is upward here: n = round(x / ln 2) */
    double r = x - (double)n * 0x1.62e42fee00000p-1;     /* ln 2 in two parts: the upper one times n is exact */
    r -= (double)n * 0x1.a39ef35793c76p-33;
    double y = inv_factorial[13];
    for (int i = 12; i >= 0; i--) y = y * r + inv_factorial[i];
    uint64_t bits = (uint64_t)(n + 1023) << 52;
    double scale;
    memcpy(&scale, &bits, sizeof(scale));
    return y * scale;
}

/* The same to about 1e-7 and at least e^-87, in float and without a branch, so that a loop over it becomes vector code.
 * For log-probabilities, which decide nothing. */
static float exp_neg_fast(float x)
{
    const float round = 12582912.0f; /* 1.5 * 2^23: adding it leaves no room for a fraction */
    x = x < -87.0f ? -87.0f : x;
    float n = (x * 1.44269504f + round) - round;
    float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
    float y = 1.0f / 720;
    y = y * r + 1.0f / 120;
    y = y * r + 1.0f / 24;
    y = y * r + 1.0f / 6;
    y = y * r + 0.5f;
    y = y * r + 1.0f;
    y = y * r + 1.0f;
    uint32_t bits = (uint32_t)((int32_t)n + 127) << 23;
    float scale;
    memcpy(&scale, &bits, sizeof(scale));
    return y * scale;
}

/* Log of the sum of e^(logit - max) over the allowed ids. */
static double log_sum(const lfm2_sampler *s, const float *logits, float max)
{
    float lanes[16] = {0};
    double sum = 0.0;
    for (int32_t from = 0; from < s->n_vocab; from += 256) { /* 16 terms in a float lane round no worse than one of them */
        const int32_t n = s->n_vocab - from < 256 ? s->n_vocab - from : 256;
        const float *x = logits + from;
        const uint8_t *flags = s->flags + from;
        int32_t i = 0;
        for (; i + 16 <= n; i += 16) {
            for (int32_t j = 0; j < 16; j++) {
                lanes[j] += exp_neg_fast(flags[i + j] & FLAG_ALLOWED ? x[i + j] - max : -INFINITY);
            }
        }
        for (; i < n; i++) {
            if (flags[i] & FLAG_ALLOWED) sum += (double)exp_neg_fast(x[i] - max);
        }
        for (int32_t j = 0; j < 16; j++) {
            sum += (double)lanes[j];
            lanes[j] = 0.0f;
        }
    }
    return log(sum);
}

/* What the biases add to an id. They are few against the ids, so each is looked up among the candidates, which are in order. */
static void add_biases(const lfm2_sampler *s, int32_t n_cand)
{
    for (int32_t i = 0; i < s->n_biases; i++) {
        int32_t lo = 0, hi = n_cand;
        while (lo < hi) {
            const int32_t mid = lo + (hi - lo) / 2;
            if (s->cands[mid].id < s->biases[i].id) lo = mid + 1;
            else hi = mid;
        }
        if (lo < n_cand && s->cands[lo].id == s->biases[i].id) s->cands[lo].v += (double)s->biases[i].add;
    }
}

/* Repetition penalty on logits to which biases were added. */
static void penalise(const lfm2_sampler *s, int32_t n_cand)
{
    const double penalty = (double)s->p.repeat_penalty;
    for (int32_t i = 0; i < n_cand; i++) {
        candidate *c = &s->cands[i];
        if (s->flags[c->id] & FLAG_SEEN) c->v = c->v > 0.0 ? c->v / penalty : c->v * penalty;
    }
}

/* Candidates in id order with biased and penalised logits. *max: greatest untouched logit. */
static int collect(lfm2_sampler *s, const float *logits, int32_t *n_cand, float *max)
{
    int32_t n = 0;
    float top = -INFINITY;
    for (int32_t id = 0; id < s->n_vocab; id++) {
        if (!(s->flags[id] & FLAG_ALLOWED)) continue;
        double v = (double)logits[id];
        if (!(v < INFINITY)) return lfm2__fail(s->rt, LFM2_ERR_NONFINITE, "sampler: the logit of id %d is not a number", (int)id);
        if (logits[id] > top) top = logits[id];
        s->cands[n].v = v;
        s->cands[n].id = id;
        n++;
    }
    if (!(top > -INFINITY)) return lfm2__fail(s->rt, LFM2_ERR_NONFINITE, "sampler: no id has a finite logit");
    add_biases(s, n);
    if (s->p.repeat_penalty != 1.0f) penalise(s, n);
    *n_cand = n;
    *max = top;
    return 0;
}

static int32_t argmax(const candidate *c, int32_t n)
{
    int32_t best = 0;
    for (int32_t i = 1; i < n; i++) {
        if (c[i].v > c[best].v) best = i;
    }
    return best;
}

/* 1 if a comes before b: the greater weight, among equals the lower id. */
static int before(const candidate *a, const candidate *b)
{
    return a->v > b->v || (a->v == b->v && a->id < b->id);
}

static void sift_down(candidate *c, int32_t i, int32_t n)
{
    candidate moving = c[i];
    for (;;) {
        if (i > (n - 2) / 2) break;
        int32_t child = 2 * i + 1;
        if (child + 1 < n && before(&c[child + 1], &c[child])) child++;
        if (!before(&c[child], &moving)) break;
        c[i] = c[child];
        i = child;
    }
    c[i] = moving;
}

/* Turn c into a heap whose root comes first. */
static void make_heap(candidate *c, int32_t n)
{
    for (int32_t i = n / 2 - 1; i >= 0; i--) sift_down(c, i, n);
}

/* Move the first n_pop in order out of the heap, to c[n - 1] downward. */
static void pop_heap(candidate *c, int32_t n, int32_t n_pop)
{
    for (int32_t last = n - 1; last >= n - n_pop && last > 0; last--) {
        candidate root = c[0];
        c[0] = c[last];
        c[last] = root;
        sift_down(c, 0, last);
    }
}

static double sum_weights(const candidate *c, int32_t n)
{
    double sum = 0.0;
    for (int32_t i = 0; i < n; i++) sum += c[i].v;
    return sum;
}

/* Logits to weights relative to the greatest, which gets exactly 1. */
static void weigh(const lfm2_sampler *s, candidate *c, int32_t n, double greatest)
{
    const double temperature = (double)s->p.temperature;
    for (int32_t i = 0; i < n; i++) c[i].v = exp_neg((c[i].v - greatest) / temperature);
}

/* The shortest part of c, from the greatest weight on, that reaches top_p of the sum. In order already, or a heap. */
static int32_t keep_top_p(const lfm2_sampler *s, candidate *c, int32_t n, int in_order)
{
    const double target = (double)s->p.top_p * sum_weights(c, n);
    double cum = 0.0;
    int32_t n_kept = 0;
    while (n_kept < n && (n_kept == 0 || cum < target)) {
        if (!in_order) pop_heap(c, n - n_kept, 1);
        n_kept++;
        cum += c[n - n_kept].v;
    }
    return n_kept;
}

/* Index of the chosen candidate. Weights are >= 0 with at least one above. */
static int32_t draw(lfm2_sampler *s, const candidate *c, int32_t n)
{
    const double target = next_unit(&s->rng) * sum_weights(c, n);
    double cum = 0.0;
    int32_t chosen = 0;
    for (int32_t i = 0; i < n; i++) {
        if (c[i].v <= 0.0) continue;
        cum += c[i].v;
        chosen = i; /* stays at the last possible one if rounding keeps the sum at the target */
        if (cum > target) break;
    }
    return chosen;
}

static int32_t choose(lfm2_sampler *s, candidate *c, int32_t n)
{
    const double greatest = c[argmax(c, n)].v;
    const int cut_k = s->p.top_k > 0 && s->p.top_k < n;
    if (cut_k) { /* before the weights: the order is the same, and only k of them are needed */
        make_heap(c, n);
        pop_heap(c, n, s->p.top_k);
        c += n - s->p.top_k;
        n = s->p.top_k;
    }
    weigh(s, c, n, greatest);
    if (s->p.top_p < 1.0f) {
        if (!cut_k) make_heap(c, n);
        int32_t n_kept = keep_top_p(s, c, n, cut_k);
        c += n - n_kept;
        n = n_kept;
    }
    int32_t n_kept = 0;
    for (int32_t i = 0; i < n; i++) {
        if (c[i].v >= (double)s->p.min_p) c[n_kept++] = c[i];
    }
    return c[draw(s, c, n_kept)].id;
}

int lfm2_sampler_next(lfm2_sampler *s, const float *logits, int32_t *id, float *logprob)
{
    if (s == NULL || logits == NULL || id == NULL) return LFM2_ERR_ARG;
    int32_t n = 0;
    float max = 0.0f;
    int rc = collect(s, logits, &n, &max);
    if (rc < 0) return rc;

    int32_t chosen = s->p.temperature > 0.0f ? choose(s, s->cands, n) : s->cands[argmax(s->cands, n)].id;
    if (logprob != NULL) *logprob = (float)((double)logits[chosen] - (double)max - log_sum(s, logits, max));
    lfm2_sampler_accept(s, chosen);
    *id = chosen;
    return 0;
}
