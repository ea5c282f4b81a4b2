/* SPDX-License-Identifier: Apache-2.0
 * Word times by attention, for checkpoints without a CTC head.
 *
 * A head counts if, over the tokens of words, all of this holds:
 *   - on average at least MIN_MASS of its attention goes to the sound;
 *   - it points: the share of that within two frames of its peak is on average, of the way from what an even spread would have to
 *     1, at least MIN_POINTED;
 *   - its peaks run forward with the tokens: their correlation r with the tokens' order is at least MIN_ORDER, and too great to be
 *     the luckiest of some hundred heads: r^2 >= T^2 / (T^2 + n - 2), T = 6;
 *   - its peaks span at least half of the sound. (One that looks back by a fixed distance spans as many frames as it has tokens.)
 * The MAX_CHOSEN heads with the greatest r * pointedness are averaged, each row divided by its attention to the sound. Dynamic time
 * warping gives each frame to one word: the path through tokens x frames with the greatest sum. In the frames of a token those with
 * at least EDGE_SHARE of its greatest weight there are its time.
 * Score: the mean share of the tokens' attention that lies within one frame of their own frames, again of the way from an even
 * spread to 1. Reliable: at least one head counts, there are at least MIN_TOK tokens, and the score is at least MIN_SCORE. */
#include <math.h>
#include <string.h>

#include "base/mathsafe.h"
#include "base/runtime_impl.h"
#include "pipeline/align.h"

#define MIN_MASS 0.05
#define MIN_POINTED 0.3
#define MIN_ORDER 0.7
#define ORDER_T2 36.0
#define MIN_SPAN 0.5
#define MIN_SCORE 0.4f
#define EDGE_SHARE 0.25f

enum { MAX_CHOSEN = 8, MIN_TOK = 8, NEAR = 2 };

struct lfm2__align_attn {
    lfm2_runtime *rt;
    int32_t n_heads, n_frames, cap_frames, cap_tok, n_tok;
    unsigned char *weights; /* [n_tok, n_heads, n_frames]: 255 * sqrt(weight) */
};

int lfm2__align_attn_create(lfm2_runtime *rt, int32_t n_heads, int32_t n_frames, int32_t cap_tok, lfm2__align_attn **out)
{
    size_t n = 0;
    if (n_heads < 1 || n_frames < 1 || cap_tok < 1) return LFM2_ERR_ARG;
    if (lfm2__mul_size((size_t)n_heads, (size_t)n_frames, &n) < 0 || lfm2__mul_size(n, (size_t)cap_tok, &n) < 0 ||
        n > LFM2__ALIGN_MAX_WEIGHTS)
        return LFM2_ERR_LIMIT;
    lfm2__align_attn *a = lfm2__calloc(rt, 1, sizeof(*a));
    if (!a) return LFM2_ERR_NOMEM;
    *a = (lfm2__align_attn){ .rt = rt, .n_heads = n_heads, .n_frames = n_frames, .cap_frames = n_frames, .cap_tok = cap_tok };
    a->weights = lfm2__alloc(rt, n);
    if (!a->weights) {
        lfm2__align_attn_destroy(a);
        return LFM2_ERR_NOMEM;
    }
    *out = a;
    return 0;
}

void lfm2__align_attn_destroy(lfm2__align_attn *a)
{
    if (!a) return;
    lfm2__free(a->rt, a->weights);
    lfm2__free(a->rt, a);
}

void lfm2__align_attn_reset(lfm2__align_attn *a, int32_t n_frames)
{
    a->n_tok = 0;
    a->n_frames = n_frames < 1 ? 1 : n_frames > a->cap_frames ? a->cap_frames : n_frames;
}

int lfm2__align_attn_push(lfm2__align_attn *a, const float *weights)
{
    if (a->n_tok == a->cap_tok) return LFM2_ERR_RANGE;
    const size_t n = (size_t)a->n_heads * (size_t)a->n_frames;
    unsigned char *row = a->weights + n * (size_t)a->n_tok++;
    for (size_t i = 0; i < n; i++) row[i] = weights[i] > 0 ? (unsigned char)(255.0f * sqrtf(fminf(weights[i], 1)) + 0.5f) : 0;
    return 0;
}

/* Tokens of words only; F frames. */
typedef struct placing {
    const lfm2__align_attn *a;
    int32_t n;              /* tokens */
    const int32_t *word;    /* [n] */
    const int32_t *tok;     /* [n] index among those pushed */
    float *mean;            /* [n, F] of the chosen heads */
    double *sum;            /* [F] of the best path to the present row, one row behind the other: [2, F] */
    unsigned char *moves;   /* [n, F] */
    int32_t *first, *end;   /* [n] frames of each token */
} placing;

static double weight_at(const placing *p, int32_t i, int32_t head, int32_t frame)
{
    const size_t row = (size_t)p->tok[i] * (size_t)p->a->n_heads + (size_t)head;
    const double w = (double)p->a->weights[row * (size_t)p->a->n_frames + (size_t)frame] / 255.0;
    return w * w;
}

/* Attention of one token to the sound: all of it, its peak (over 2 NEAR + 1 frames), and the share that lies there. */
static double mass_of(const placing *p, int32_t i, int32_t head, int32_t *peak, double *share)
{
    const int32_t n_frames = p->a->n_frames;
    double all = 0, window = 0, most = -1;
    for (int32_t t = 0; t < n_frames + NEAR; t++) {
        if (t < n_frames) all += weight_at(p, i, head, t);
        if (t < n_frames) window += weight_at(p, i, head, t);
        if (t > 2 * NEAR) window -= weight_at(p, i, head, t - 2 * NEAR - 1);
        if (t >= NEAR && window > most) {
            most = window;
            *peak = t - NEAR;
        }
    }
    *share = all > 0 ? most / all : 0;
    return all;
}

/* Of the way from `even` to 1. */
static double beyond(double share, double even)
{
    return even < 1 ? (share - even) / (1 - even) : 0;
}

/* How well a head follows the words; 0: it does not count. */
static double rate_head(const placing *p, int32_t head)
{
    const double n = p->n, n_frames = p->a->n_frames;
    double mass = 0, shares = 0, si = 0, sk = 0, sii = 0, skk = 0, sik = 0;
    int32_t lowest = INT32_MAX, highest = -1;
    for (int32_t i = 0; i < p->n; i++) {
        int32_t peak = 0;
        double share = 0;
        mass += mass_of(p, i, head, &peak, &share);
        shares += share;
        if (peak < lowest) lowest = peak;
        if (peak > highest) highest = peak;
        si += i;
        sk += peak;
        sii += (double)i * i;
        skk += (double)peak * peak;
        sik += (double)i * peak;
    }
    const double vi = sii - si * si / n, vk = skk - sk * sk / n, pointed = beyond(shares / n, (2 * NEAR + 1) / n_frames);
    if (mass / n < MIN_MASS || pointed < MIN_POINTED || highest - lowest < MIN_SPAN * n_frames || vk <= 0) return 0;
    const double r = (sik - si * sk / n) / sqrt(vi * vk);
    if (r < MIN_ORDER || r * r < ORDER_T2 / (ORDER_T2 + n - 2)) return 0;
    return r * pointed;
}

static int32_t choose_heads(const placing *p, int32_t chosen[MAX_CHOSEN])
{
    double rates[MAX_CHOSEN];
    int32_t n = 0;
    for (int32_t head = 0; head < p->a->n_heads; head++) {
        const double rate = rate_head(p, head);
        if (rate <= 0 || (n == MAX_CHOSEN && rate <= rates[n - 1])) continue;
        int32_t at = n < MAX_CHOSEN ? n++ : n - 1;
        for (; at > 0 && rates[at - 1] < rate; at--) {
            rates[at] = rates[at - 1];
            chosen[at] = chosen[at - 1];
        }
        rates[at] = rate;
        chosen[at] = head;
    }
    return n;
}

static void average(placing *p, const int32_t *chosen, int32_t n_chosen)
{
    const int32_t n_frames = p->a->n_frames;
    for (int32_t i = 0; i < p->n; i++) {
        float *row = p->mean + (size_t)i * (size_t)n_frames;
        memset(row, 0, (size_t)n_frames * sizeof(*row));
        for (int32_t h = 0; h < n_chosen; h++) {
            double mass = 0;
            for (int32_t t = 0; t < n_frames; t++) mass += weight_at(p, i, chosen[h], t);
            for (int32_t t = 0; mass > 0 && t < n_frames; t++) row[t] += (float)(weight_at(p, i, chosen[h], t) / (mass * n_chosen));
        }
    }
}

/* Moves to (token, frame): along the frames; to the next token in the next frame; to the next token of the word in the same. */
enum { ALONG = 0, ON = 1, WITHIN = 2 };

/* Returns 0 if there are more words than frames. */
static int warp(placing *p)
{
    const int32_t n_frames = p->a->n_frames;
    double *before = p->sum, *now = p->sum + n_frames;
    for (int32_t i = 0; i < p->n; i++) {
        const float *row = p->mean + (size_t)i * (size_t)n_frames;
        unsigned char *moves = p->moves + (size_t)i * (size_t)n_frames;
        for (int32_t t = 0; t < n_frames; t++) {
            double best = t > 0 ? now[t - 1] : i == 0 ? 0 : -INFINITY;
            moves[t] = ALONG;
            if (i > 0 && t > 0 && before[t - 1] > best) {
                best = before[t - 1];
                moves[t] = ON;
            }
            if (i > 0 && p->word[i] == p->word[i - 1] && before[t] > best) {
                best = before[t];
                moves[t] = WITHIN;
            }
            now[t] = best + (double)row[t];
        }
        double *swap = before;
        before = now;
        now = swap;
    }
    if (before[n_frames - 1] == -INFINITY) return 0;
    int32_t i = p->n - 1, t = n_frames - 1;
    for (p->end[i] = n_frames;;) {
        const int move = p->moves[(size_t)i * (size_t)n_frames + (size_t)t];
        if (i == 0 && t == 0) break;
        if (move == ALONG) {
            t--;
            continue;
        }
        p->first[i--] = t;
        if (move == ON) t--;
        p->end[i] = t + 1;
    }
    p->first[0] = 0;
    return 1;
}

static float score_of(const placing *p)
{
    const int32_t n_frames = p->a->n_frames;
    double shares = 0, even = 0;
    for (int32_t i = 0; i < p->n; i++) {
        const int32_t from = p->first[i] > 0 ? p->first[i] - 1 : 0, to = p->end[i] < n_frames ? p->end[i] + 1 : n_frames;
        for (int32_t t = from; t < to; t++) shares += (double)p->mean[(size_t)i * (size_t)n_frames + (size_t)t];
        even += (double)(to - from) / n_frames;
    }
    const double score = beyond(shares / p->n, even / p->n);
    return score > 0 ? (float)score : 0;
}

static void set_times(const placing *p, int64_t frame_us, lfm2__align_word *words, int32_t n_words)
{
    const int32_t n_frames = p->a->n_frames;
    for (int32_t i = 0; i < n_words; i++) words[i].start_us = words[i].end_us = -1;
    for (int32_t i = 0; i < p->n; i++) {
        const float *row = p->mean + (size_t)i * (size_t)n_frames;
        lfm2__align_word *w = &words[p->word[i]];
        float most = 0;
        int32_t from = p->first[i], to = p->end[i];
        for (int32_t t = from; t < to; t++) most = row[t] > most ? row[t] : most;
        while (from + 1 < to && row[from] < EDGE_SHARE * most) from++;
        while (to - 1 > from && row[to - 1] < EDGE_SHARE * most) to--;
        if (w->start_us < 0 || from * frame_us < w->start_us) w->start_us = from * frame_us;
        if (to * frame_us > w->end_us) w->end_us = to * frame_us;
    }
    lfm2__align_fill(words, n_words, n_frames * frame_us);
}

/* Into words, if they can be placed. */
static lfm2__align_verdict place(placing *p, int64_t frame_us, lfm2__align_word *words, int32_t n_words)
{
    lfm2__align_verdict v = { 0, 0 };
    int32_t chosen[MAX_CHOSEN];
    if (p->n < MIN_TOK) return v;
    const int32_t n_chosen = choose_heads(p, chosen);
    if (n_chosen == 0) return v;
    average(p, chosen, n_chosen);
    if (!warp(p)) return v;
    v.score = score_of(p);
    v.reliable = v.score >= MIN_SCORE;
    if (v.reliable) set_times(p, frame_us, words, n_words);
    return v;
}

int lfm2__align_attn_finish(lfm2__align_attn *a, const int32_t *word_of_tok, int64_t frame_us, lfm2__align_word *words,
                            int32_t n_words, lfm2__align_verdict *verdict)
{
    const size_t n_tok = (size_t)a->n_tok, n_frames = (size_t)a->n_frames;
    int32_t last = 0;
    for (int32_t i = 0; i < a->n_tok; i++) {
        if (word_of_tok[i] < 0) continue;
        if (word_of_tok[i] < last || word_of_tok[i] >= n_words) return LFM2_ERR_ARG;
        last = word_of_tok[i];
    }
    if (a->n_tok == 0) {
        *verdict = (lfm2__align_verdict){ 0, 0 };
        return 0;
    }
    int32_t *ints = lfm2__calloc(a->rt, n_tok, 4 * sizeof(*ints));
    placing p = { .a = a, .word = ints, .tok = ints + n_tok, .first = ints + 2 * n_tok, .end = ints + 3 * n_tok };
    p.mean = lfm2__calloc(a->rt, n_tok, n_frames * sizeof(*p.mean));
    p.sum = lfm2__calloc(a->rt, n_frames, 2 * sizeof(*p.sum));
    p.moves = lfm2__calloc(a->rt, n_tok, n_frames);
    const int rc = ints && p.mean && p.sum && p.moves ? 0 : LFM2_ERR_NOMEM;
    for (int32_t i = 0; rc == 0 && i < a->n_tok; i++) {
        if (word_of_tok[i] < 0) continue;
        ints[p.n] = word_of_tok[i];
        ints[n_tok + (size_t)p.n++] = i;
    }
    if (rc == 0) *verdict = place(&p, frame_us, words, n_words);
    lfm2__free(a->rt, p.moves);
    lfm2__free(a->rt, p.sum);
    lfm2__free(a->rt, p.mean);
    lfm2__free(a->rt, ints);
    return rc;
}
