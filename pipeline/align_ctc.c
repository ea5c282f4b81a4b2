/* SPDX-License-Identifier: Apache-2.0
 * Word times by CTC: the best path of frames through the transcript's characters with blanks between them. */
#include <math.h>
#include <string.h>

#include "base/mathsafe.h"
#include "base/runtime_impl.h"
#include "base/utf8.h"
#include "pipeline/align.h"

/* A CTC head speaks in peaks: a character's frame lies within its sound. By so much a word is longer on either side than its peaks,
 * at most half of what lies between it and its neighbour. */
#define EDGE_US 40000

enum { FRAMES_PER_POLL = 256 };

/* A character that the path has to pass. */
typedef struct target {
    int32_t class;
    int32_t word; /* -1: the blank between two words */
    int32_t first_frame, last_frame;
    float best; /* greatest log-probability in these frames */
} target;

typedef struct aligning {
    lfm2_runtime *rt;
    const lfm2__align_ctc_in *in;
    target *targets;
    int32_t n_targets;
    int32_t n_letters, n_known; /* letters and digits of the words; those of them that the alphabet has */
    unsigned char *moves;       /* [n_frames, row_bytes]: two bits for each state, by how many states the path came up */
    size_t row_bytes;
    double *before, *now;       /* [n_states] */
} aligning;

static int32_t class_of(const lfm2__align_ctc_in *in, uint32_t cp)
{
    for (int32_t i = 1; i < in->n_classes; i++) {
        if (in->alphabet[i] == cp) return i;
    }
    return -1;
}

/* Latin, Greek and Cyrillic letters of which the other case lies at a fixed distance; 0 for anything else. */
static uint32_t other_case(uint32_t cp)
{
    static const struct {
        uint32_t upper, n, distance;
    } ranges[] = { { 'A', 26, 32 }, { 0xC0, 23, 32 }, { 0xD8, 7, 32 }, { 0x391, 17, 32 }, { 0x3A3, 9, 32 }, { 0x410, 32, 32 },
                   { 0x400, 16, 80 } };
    for (size_t i = 0; i < LFM2__COUNT_OF(ranges); i++) {
        if (cp - ranges[i].upper < ranges[i].n) return cp + ranges[i].distance;
        if (cp - ranges[i].upper - ranges[i].distance < ranges[i].n) return cp - ranges[i].distance;
    }
    return 0;
}

static int is_letter(uint32_t cp)
{
    if (cp < 0x80) return (cp >= '0' && cp <= '9') || (cp >= 'A' && cp <= 'Z') || (cp >= 'a' && cp <= 'z');
    return cp >= 0xC0 && cp != 0xD7 && cp != 0xF7 && !(cp >= 0x2000 && cp < 0x2070) && !(cp >= 0x3000 && cp < 0x3040);
}

/* The targets of one word; a blank first if there is a word before it. */
static int add_word(aligning *a, const lfm2__align_word *word, int32_t index, int32_t blank)
{
    const int32_t n_before = a->n_targets;
    uint32_t cp = 0;
    for (size_t i = 0, n; i < word->n_bytes; i += n) {
        n = lfm2__utf8_decode(word->text + i, word->n_bytes - i, &cp);
        if (n == 0) return LFM2_ERR_UTF8;
        int32_t class = class_of(a->in, cp);
        if (class < 0 && other_case(cp)) class = class_of(a->in, other_case(cp));
        a->n_letters += is_letter(cp);
        if (class < 0) continue;
        a->n_known += is_letter(cp);
        if (a->n_targets == n_before && n_before > 0 && blank > 0)
            a->targets[a->n_targets++] = (target){ .class = blank, .word = -1, .last_frame = -1 };
        a->targets[a->n_targets++] = (target){ .class = class, .word = index, .last_frame = -1 };
    }
    return 0;
}

/* States: blank, target 0, blank, target 1, ... blank. */
static int prepare(aligning *a, const lfm2__align_word *words, int32_t n_words)
{
    size_t cap = 0, n_bytes = 0;
    for (int32_t i = 0; i < n_words; i++) cap = lfm2__bytes_add(cap, lfm2__bytes_add(words[i].n_bytes, 1));
    if (cap > LFM2__ALIGN_MAX_CELLS) return LFM2_ERR_LIMIT;
    a->targets = lfm2__calloc(a->rt, cap + 1, sizeof(*a->targets));
    if (!a->targets) return LFM2_ERR_NOMEM;
    const int32_t blank = class_of(a->in, ' ');
    for (int32_t i = 0; i < n_words; i++) {
        int rc = add_word(a, &words[i], i, blank);
        if (rc < 0) return rc;
    }
    const size_t n_states = 2 * (size_t)a->n_targets + 1;
    if (n_states > LFM2__ALIGN_MAX_CELLS / (size_t)a->in->n_frames) return LFM2_ERR_LIMIT;
    a->row_bytes = n_states / 4 + 1;
    if (lfm2__mul_size((size_t)a->in->n_frames, a->row_bytes, &n_bytes) < 0) return LFM2_ERR_LIMIT;
    a->moves = lfm2__calloc(a->rt, n_bytes, 1);
    a->before = lfm2__calloc(a->rt, 2 * n_states, sizeof(double));
    if (!a->moves || !a->before) return LFM2_ERR_NOMEM;
    a->now = a->before + n_states;
    for (size_t s = 0; s < 2 * n_states; s++) a->before[s] = -INFINITY;
    return 0;
}

static int32_t class_at(const aligning *a, int32_t state)
{
    return state % 2 == 0 ? 0 : a->targets[state / 2].class;
}

/* Frame t from frame t - 1, for the states that can be reached from the beginning and from which the end can be reached. */
static void step(aligning *a, int32_t t)
{
    const int32_t n_states = 2 * a->n_targets + 1;
    const int64_t up = 2 * (int64_t)t + 2, down = n_states - 2 * ((int64_t)a->in->n_frames - t);
    const int32_t hi = up < n_states ? (int32_t)up : n_states;
    const float *logp = a->in->logp + (size_t)t * (size_t)a->in->n_classes;
    unsigned char *moves = a->moves + (size_t)t * a->row_bytes;
    for (int32_t s = down > 0 ? (int32_t)down : 0; s < hi; s++) {
        const int32_t class = class_at(a, s);
        double best = a->before[s];
        unsigned move = 0;
        if (s >= 1 && a->before[s - 1] > best) {
            best = a->before[s - 1];
            move = 1;
        }
        if (s >= 2 && class != 0 && class != class_at(a, s - 2) && a->before[s - 2] > best) {
            best = a->before[s - 2];
            move = 2;
        }
        a->now[s] = best + (double)logp[class];
        moves[s / 4] |= (unsigned char)(move << (s % 4 * 2));
    }
}

/* Returns 0; LFM2_AGAIN: no path fits into so few frames; LFM2_ERR_ABORTED. */
static int find_path(aligning *a)
{
    const int32_t n_states = 2 * a->n_targets + 1, n_frames = a->in->n_frames;
    a->before[0] = 0; /* before the first frame: the first step goes to state 0 or 1 */
    for (int32_t t = 0; t < n_frames; t++) {
        if (t % FRAMES_PER_POLL == 0 && lfm2__aborted(a->rt)) return LFM2_ERR_ABORTED;
        step(a, t);
        double *swap = a->before;
        a->before = a->now;
        a->now = swap;
        if (t == 0) a->now[0] = -INFINITY;
    }
    int32_t s = n_states - 1;
    if (a->before[s - 1] > a->before[s]) s--;
    if (a->before[s] == -INFINITY) return LFM2_AGAIN;
    for (int32_t t = n_frames - 1; t >= 0; t--) {
        if (s % 2 == 1) {
            target *x = &a->targets[s / 2];
            const float logp = a->in->logp[(size_t)t * (size_t)a->in->n_classes + (size_t)x->class];
            if (x->last_frame < 0) x->last_frame = t;
            if (x->last_frame == t || logp > x->best) x->best = logp;
            x->first_frame = t;
        }
        s -= a->moves[(size_t)t * a->row_bytes + (size_t)(s / 4)] >> (s % 4 * 2) & 3;
    }
    return 0;
}

static void set_times(const aligning *a, lfm2__align_word *words, int32_t n_words)
{
    for (int32_t i = 0; i < n_words; i++) words[i].start_us = words[i].end_us = -1;
    for (int32_t i = 0; i < a->n_targets; i++) {
        const target *x = &a->targets[i];
        if (x->word < 0) continue;
        if (words[x->word].start_us < 0) words[x->word].start_us = x->first_frame * a->in->frame_us;
        words[x->word].end_us = (x->last_frame + 1) * a->in->frame_us;
    }
    int64_t *last_end = NULL, border = 0;
    for (int32_t i = 0; i < n_words; i++) {
        if (words[i].start_us < 0) continue;
        const int64_t gap = words[i].start_us - border, room = last_end ? gap / 2 : gap, by = room < EDGE_US ? room : EDGE_US;
        border = words[i].end_us;
        if (last_end) *last_end += by;
        words[i].start_us -= by;
        last_end = &words[i].end_us;
    }
    const int64_t total_us = a->in->n_frames * a->in->frame_us;
    if (last_end) *last_end = total_us - *last_end < EDGE_US ? total_us : *last_end + EDGE_US;
    lfm2__align_fill(words, n_words, total_us);
}

static lfm2__align_verdict judge(const aligning *a)
{
    double sum = 0;
    int32_t n = 0;
    for (int32_t i = 0; i < a->n_targets; i++) {
        if (a->targets[i].word < 0) continue;
        sum += exp((double)a->targets[i].best);
        n++;
    }
    const float score = n > 0 ? (float)(sum / n) : 0;
    return (lfm2__align_verdict){ .reliable = score >= LFM2__ALIGN_CTC_MIN && 2 * a->n_known >= a->n_letters, .score = score };
}

int lfm2__align_ctc(lfm2_runtime *rt, const lfm2__align_ctc_in *in, lfm2__align_word *words, int32_t n_words,
                    lfm2__align_verdict *verdict)
{
    const lfm2__align_verdict unreliable = { 0, 0 };
    aligning a = { .rt = rt, .in = in };
    double *states = NULL;
    if (n_words < 1 || in->n_frames < 1) {
        *verdict = unreliable;
        return 0;
    }
    int rc = prepare(&a, words, n_words);
    states = a.before;
    if (rc == 0) rc = a.n_targets == 0 ? LFM2_AGAIN : find_path(&a);
    if (rc == 0) {
        *verdict = judge(&a);
        if (verdict->reliable) set_times(&a, words, n_words);
    } else if (rc == LFM2_AGAIN) {
        *verdict = unreliable;
        rc = 0;
    }
    lfm2__free(rt, states);
    lfm2__free(rt, a.moves);
    lfm2__free(rt, a.targets);
    return rc;
}

void lfm2__align_fill(lfm2__align_word *words, int32_t n_words, int64_t total_us)
{
    int64_t from = 0;
    for (int32_t i = 0, end; i < n_words; i = end) {
        end = i + 1;
        if (words[i].start_us >= 0) {
            from = words[i].end_us;
            continue;
        }
        while (end < n_words && words[end].start_us < 0) end++;
        const int64_t room = (end < n_words ? words[end].start_us : total_us) - from, n = end - i;
        for (int32_t j = i; j < end; j++) {
            words[j].start_us = from + room * (j - i) / n;
            words[j].end_us = from + room * (j - i + 1) / n;
        }
    }
}
