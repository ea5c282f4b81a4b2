/* SPDX-License-Identifier: Apache-2.0
 * Voice activity: which frames stand out of the background, whether they are speech, and the spans that come of it. Works in blocks
 * of 100 ms, each of which is decided when some sound behind it is known. */
#include "lfm2/vad.h"

#include <math.h>
#include <string.h>

#include "base/runtime_impl.h"
#include "pipeline/vad_impl.h"

#define HOP LFM2__VAD_HOP_SAMPLES
#define BLOCK 10             /* frames */
#define AHEAD_BLOCKS 3       /* that must be known behind a block before it is decided */
#define FIRST_BLOCKS 15      /* the first ones wait for so many, so that there is a background to compare with */
#define BACK_BLOCKS 25       /* the background is the quietest of these before a block and of all that are known behind it */
#define RING_BLOCKS 48
#define RING (RING_BLOCKS * BLOCK)
#define SMOOTH 5             /* frames of which a band's level is the mean */
#define EXCESS_DB 3.0f       /* of a band over its background before it counts */
#define ACTIVE_DB 6.0f       /* root of the mean square over the bands */
#define QUIET_DB (-75.0f)    /* no band's background is taken for quieter */
#define LOOK_BACK 200        /* frames before the decided ones in which a span may still begin */
#define CAP_SPANS 16
#define MIN_SILENCE_US 100000

/* Evidence for speech: log odds of each block, summed up and slowly forgotten. */
#define KEEP 0.97
#define MAX_ODDS 4.0
#define MAX_EVIDENCE 20.0
#define MIN_EVIDENCE (-8.0)
#define OPEN_EVIDENCE 14.0
#define SPAN_ODDS 16.0 /* sum over the blocks of a whole span, without which it is none */
#define CLOSE_EVIDENCE (-6.0)

struct lfm2_vad {
    lfm2_runtime *rt;
    lfm2_vad_params p;
    int64_t silence_frames, speech_frames, max_frames; /* of min_silence_us, min_speech_us, max_segment_us without padding */
    int64_t pad_samples;
    double odds_shift;     /* of p.threshold */
    lfm2__vad_front front;
    float hop[HOP];
    int32_t n_hop;
    int64_t n_samples;
    int64_t n_hops;
    int64_t n_frames;      /* measured */
    int64_t n_blocks;      /* of which the background is known */
    int64_t n_decided;     /* blocks */
    lfm2__vad_frame frames[RING];
    lfm2__vad_mark marks[RING];
    float quiet[RING_BLOCKS][LFM2__VAD_N_BANDS]; /* least smoothed level in a block */
    float *level_db;       /* [cap_level] of the frames of a span, to find its best pause */
    int64_t cap_level;
    /* The run of active frames that is under way, with the pauses in it. */
    int64_t run_start;     /* frame; -1 = none */
    int64_t last_active;
    int64_t n_active;
    int64_t like_since;    /* frame from which on the blocks speak for speech; -1 = the last one did not */
    int64_t last_like;     /* frame behind the last block that did */
    double evidence;
    double run_odds;       /* of all blocks since the run began to be like speech */
    int32_t open;          /* it is speech */
    int32_t cut_before;
    int64_t last_end;      /* sample at which the last span ended */
    lfm2_vad_span spans[CAP_SPANS];
    int32_t first_span, n_spans;
    int32_t over;
    lfm2__vad_probe_fn *probe;
    void *probe_ctx;
};

lfm2_vad_params lfm2_vad_params_default(void)
{
    lfm2_vad_params p = {
        .threshold = 0.5,
        .min_level_db = -55.0,
        .min_speech_us = 100000,
        .min_silence_us = 500000,
        .pad_us = 150000,
        .max_segment_us = 30000000,
    };
    return p;
}

static int check(lfm2_runtime *rt, const char *name, double value, double lo, double hi)
{
    if (value >= lo && value <= hi) return 0; /* no number is in no range */
    return lfm2__fail(rt, LFM2_ERR_ARG, "vad: %s %.9g is not in %.9g..%.9g", name, value, lo, hi);
}

static int check_params(lfm2_runtime *rt, const lfm2_vad_params *p)
{
    if (check(rt, "threshold", p->threshold, 0, 1) < 0 || check(rt, "min_level_db", p->min_level_db, -120, 0) < 0 ||
        check(rt, "min_speech_us", (double)p->min_speech_us, 0, 5e6) < 0 ||
        check(rt, "min_silence_us", (double)p->min_silence_us, MIN_SILENCE_US, 10e6) < 0 ||
        check(rt, "max_segment_us", (double)p->max_segment_us, 1e6, 60e6) < 0 ||
        check(rt, "pad_us", (double)p->pad_us, 0, (double)p->max_segment_us / 4) < 0 ||
        check(rt, "pad_us", (double)p->pad_us, 0, 1e6) < 0)
        return LFM2_ERR_ARG;
    return 0;
}

static int64_t frames_of_us(int64_t us)
{
    return us * LFM2_VAD_RATE_HZ / 1000000 / HOP;
}

int lfm2_vad_create(lfm2_runtime *rt, const lfm2_vad_params *params, lfm2_vad **out)
{
    if (!rt || !out) return LFM2_ERR_ARG;
    const lfm2_vad_params p = params ? *params : lfm2_vad_params_default();
    int rc = check_params(rt, &p);
    if (rc < 0) return rc;
    lfm2_vad *v = lfm2__calloc(rt, 1, sizeof(*v));
    if (!v) return LFM2_ERR_NOMEM;
    v->rt = rt;
    v->p = p;
    v->silence_frames = frames_of_us(p.min_silence_us);
    v->speech_frames = frames_of_us(p.min_speech_us);
    v->max_frames = frames_of_us(p.max_segment_us - 2 * p.pad_us);
    v->pad_samples = p.pad_us * LFM2_VAD_RATE_HZ / 1000000;
    const double likely = p.threshold < 0.001 ? 0.001 : p.threshold > 0.999 ? 0.999 : p.threshold;
    v->odds_shift = log(likely / (1.0 - likely));
    v->cap_level = v->max_frames + LOOK_BACK + RING;
    v->level_db = lfm2__calloc(rt, (size_t)v->cap_level, sizeof(float));
    if (!v->level_db) {
        lfm2_vad_destroy(v);
        return LFM2_ERR_NOMEM;
    }
    lfm2__vad_front_init(&v->front);
    lfm2_vad_reset(v);
    *out = v;
    return 0;
}

void lfm2_vad_destroy(lfm2_vad *v)
{
    if (!v) return;
    lfm2__free(v->rt, v->level_db);
    lfm2__free(v->rt, v);
}

void lfm2_vad_reset(lfm2_vad *v)
{
    if (!v) return;
    lfm2__vad_front_reset(&v->front);
    memset(v->marks, 0, sizeof(v->marks));
    v->n_hop = 0;
    v->n_samples = v->n_hops = v->n_frames = v->n_blocks = v->n_decided = 0;
    v->run_start = v->like_since = -1;
    v->last_active = v->n_active = v->last_like = v->last_end = 0;
    v->evidence = v->run_odds = 0;
    v->open = v->cut_before = v->over = 0;
    v->first_span = v->n_spans = 0;
}

/* ---- Spans ---- */

/* The sample at which the time of a frame begins. */
static int64_t sample_of(const lfm2_vad *v, int64_t frame)
{
    const int64_t sample = frame * HOP + LFM2__VAD_CENTRE_SAMPLES - HOP / 2;
    return sample < v->n_samples ? sample : v->n_samples;
}

static int64_t run_start_sample(const lfm2_vad *v)
{
    const int64_t sample = v->run_start == 0 ? 0 : sample_of(v, v->run_start); /* the first frame looks back to the beginning */
    return sample < v->last_end ? v->last_end : sample;
}

static void emit(lfm2_vad *v, int64_t to, int cut_behind)
{
    lfm2_vad_span s = {
        .speech_start = run_start_sample(v),
        .speech_end = sample_of(v, to),
        .cut_before = v->cut_before,
        .cut_behind = cut_behind,
    };
    if (s.speech_end <= s.speech_start) return;
    s.start_sample = s.cut_before ? s.speech_start : s.speech_start - v->pad_samples;
    if (s.start_sample < v->last_end) s.start_sample = v->last_end;
    s.end_sample = cut_behind ? s.speech_end : s.speech_end + v->pad_samples;
    if (s.end_sample > v->n_samples) s.end_sample = v->n_samples;
    v->last_end = s.end_sample;
    v->spans[(v->first_span + v->n_spans++) % CAP_SPANS] = s;
}

/* The last place is for the run that the end of the sound ends. */
static int has_room(const lfm2_vad *v)
{
    return v->n_spans < CAP_SPANS - 1;
}

static void end_run(lfm2_vad *v, int64_t end)
{
    if (v->open && v->n_active >= v->speech_frames && v->run_odds >= SPAN_ODDS) emit(v, end, 0);
    v->run_start = -1;
    v->open = v->cut_before = 0;
}

/* The frame in the last two fifths of a span at which it is quietest. */
static int64_t best_pause(const lfm2_vad *v, int64_t start, int64_t end)
{
    int64_t best = end - 1;
    float least = INFINITY;
    for (int64_t t = start + (end - start) * 3 / 5; t + 3 < end; t++) {
        float sum = 0;
        for (int64_t i = t - 3; i <= t + 3; i++) sum += v->level_db[i % v->cap_level];
        if (sum > least) continue;
        least = sum;
        best = t;
    }
    return best;
}

static void cut_run(lfm2_vad *v, int64_t end)
{
    const int64_t at = best_pause(v, v->run_start, end);
    emit(v, at, 1);
    v->run_start = at;
    v->cut_before = 1;
}

/* ---- Decisions ---- */

static void find_active(lfm2_vad *v, int64_t block)
{
    float background[LFM2__VAD_N_BANDS];
    const int64_t from = block > BACK_BLOCKS ? block - BACK_BLOCKS : 0;
    for (int b = 0; b < LFM2__VAD_N_BANDS; b++) {
        float least = INFINITY;
        for (int64_t k = from; k < v->n_blocks; k++) least = fminf(least, v->quiet[k % RING_BLOCKS][b]);
        background[b] = (least > QUIET_DB ? least : QUIET_DB) + EXCESS_DB;
    }
    for (int64_t t = block * BLOCK; t < (block + 1) * BLOCK && t < v->n_frames; t++) {
        float sum = 0;
        const int64_t first = t < SMOOTH / 2 ? 0 : t - SMOOTH / 2;
        const int64_t behind = t + SMOOTH / 2 + 1 < v->n_frames ? t + SMOOTH / 2 + 1 : v->n_frames;
        for (int b = 0; b < LFM2__VAD_N_BANDS; b++) {
            float level = 0;
            for (int64_t i = first; i < behind; i++) level += v->frames[i % RING].band_db[b];
            const float excess = level / (float)(behind - first) - background[b];
            if (excess > 0) sum += excess * excess;
        }
        lfm2__vad_mark *m = &v->marks[t % RING];
        m->active = sqrtf(sum / LFM2__VAD_N_BANDS) > ACTIVE_DB && (double)m->level_db > v->p.min_level_db;
    }
}

/* What the marks up to the end of a block say about speech. */
static void weigh(lfm2_vad *v, int64_t end)
{
    const lfm2__vad_mark *marks[LFM2__VAD_WINDOW_FRAMES];
    float features[LFM2__VAD_N_FEATURES];
    int32_t n = 0;
    const int64_t first = end < LFM2__VAD_WINDOW_FRAMES ? 0 : end - LFM2__VAD_WINDOW_FRAMES;
    for (int64_t t = first; t < end; t++) marks[n++] = &v->marks[t % RING];
    v->evidence *= KEEP;
    const int known = lfm2__vad_describe(marks, n, features);
    if (known == 0) {
        v->like_since = -1;
        return;
    }
    if (known > 0 && v->probe) v->probe(v->probe_ctx, end, features);
    double odds = known > 0 ? lfm2__vad_judge(features) - v->odds_shift : -MAX_ODDS;
    odds = odds > MAX_ODDS ? MAX_ODDS : odds < -MAX_ODDS ? -MAX_ODDS : odds;
    v->evidence += odds;
    v->run_odds += odds;
    if (v->evidence > MAX_EVIDENCE) v->evidence = MAX_EVIDENCE;
    if (v->evidence < MIN_EVIDENCE) v->evidence = MIN_EVIDENCE;
    if (odds <= 0) {
        v->like_since = -1;
        return;
    }
    if (v->like_since < 0) {
        v->like_since = end - BLOCK;
        if (!v->open) v->run_odds = odds;
    }
    v->last_like = end;
}

/* Of a run that turns out to be speech: its beginning, unless something else went before. */
static int64_t speech_begin(const lfm2_vad *v, int64_t now)
{
    int64_t start = v->run_start;
    const int64_t like = v->like_since - LFM2__VAD_WINDOW_FRAMES / 2, earliest = now - LOOK_BACK;
    if (start < like) start = like;
    return start < earliest ? earliest : start;
}

static void follow(lfm2_vad *v, int64_t block)
{
    const int64_t behind = (block + 1) * BLOCK < v->n_frames ? (block + 1) * BLOCK : v->n_frames;
    for (int64_t t = block * BLOCK; t < behind; t++) {
        const lfm2__vad_mark *m = &v->marks[t % RING];
        v->level_db[t % v->cap_level] = m->level_db;
        if (m->active) {
            if (v->run_start < 0) {
                v->run_start = t;
                v->n_active = 0;
            }
            v->last_active = t;
            v->n_active++;
        } else if (v->run_start >= 0 && t - v->last_active >= v->silence_frames && has_room(v)) {
            end_run(v, v->last_active + 1);
        }
        if (v->open && t + 1 - v->run_start >= v->max_frames && has_room(v)) cut_run(v, t + 1);
    }
    weigh(v, behind);
    if (v->run_start < 0) return;
    if (!v->open && v->evidence >= OPEN_EVIDENCE && v->like_since >= 0) {
        v->run_start = speech_begin(v, behind);
        v->open = 1;
    } else if (v->open && v->evidence <= CLOSE_EVIDENCE && has_room(v)) {
        const int64_t last = v->last_active + 1;
        end_run(v, v->last_like < last ? v->last_like : last); /* something else goes on */
        v->run_start = last == behind ? behind - 1 : -1;
        v->n_active = 0;
    }
}

static void decide(lfm2_vad *v, int64_t block)
{
    find_active(v, block);
    follow(v, block);
    v->n_decided = block + 1;
}

/* Least smoothed level of each band in a block. */
static void note_quiet(lfm2_vad *v, int64_t block)
{
    for (int b = 0; b < LFM2__VAD_N_BANDS; b++) {
        float least = INFINITY;
        for (int64_t t = block * BLOCK; t < (block + 1) * BLOCK && t < v->n_frames; t++) {
            float sum = 0;
            const int64_t first = t < SMOOTH - 1 ? 0 : t - SMOOTH + 1;
            for (int64_t i = first; i <= t; i++) sum += v->frames[i % RING].band_db[b];
            least = fminf(least, sum / (float)(t - first + 1));
        }
        v->quiet[block % RING_BLOCKS][b] = least;
    }
    v->n_blocks = block + 1;
}

static void step(lfm2_vad *v)
{
    lfm2__vad_frame frame;
    lfm2__vad_front_step(&v->front, v->hop, &frame);
    v->n_hop = 0;
    if (v->n_hops++ < LFM2__VAD_LATE_FRAMES) return; /* a frame from before the sound */
    const int64_t t = v->n_frames++;
    const lfm2__vad_mark *before[4];
    for (int64_t i = 0; i < 4; i++) before[i] = &v->marks[(t + RING - 4 + i) % RING];
    v->frames[t % RING] = frame;
    lfm2__vad_mark_frame(&frame, before, &v->marks[t % RING]);
    if (v->n_frames % BLOCK != 0) return;
    note_quiet(v, t / BLOCK);
    if (v->n_blocks < FIRST_BLOCKS) return;
    while (v->n_decided + AHEAD_BLOCKS < v->n_blocks) decide(v, v->n_decided);
}

static void finish(lfm2_vad *v)
{
    const int64_t n_frames = (v->n_samples + HOP - 1) / HOP; /* as many as begin in the sound */
    while (v->n_frames < n_frames) {
        memset(v->hop + v->n_hop, 0, (size_t)(HOP - v->n_hop) * sizeof(float));
        step(v);
    }
    const int64_t n_blocks = (v->n_frames + BLOCK - 1) / BLOCK;
    if (v->n_blocks < n_blocks) note_quiet(v, n_blocks - 1);
    while (v->n_decided < v->n_blocks) decide(v, v->n_decided);
    if (v->run_start >= 0) end_run(v, v->last_active + 1);
    v->over = 1;
}

void lfm2__vad_probe(lfm2_vad *v, lfm2__vad_probe_fn *fn, void *ctx)
{
    v->probe = fn;
    v->probe_ctx = ctx;
}

int lfm2_vad_push(lfm2_vad *v, const float *samples, int64_t n_samples, int64_t *n_taken)
{
    if (!v || n_samples < 0 || !n_taken) return LFM2_ERR_ARG;
    if (v->over) return LFM2_ERR_STATE;
    if (!samples) finish(v);
    int64_t i = 0;
    while (samples && i < n_samples && v->n_spans == 0) {
        const int64_t room = HOP - v->n_hop, left = n_samples - i;
        const int64_t n = left < room ? left : room;
        memcpy(v->hop + v->n_hop, samples + i, (size_t)n * sizeof(float));
        v->n_hop += (int32_t)n;
        v->n_samples += n;
        i += n;
        if (v->n_hop == HOP) step(v);
    }
    *n_taken = i;
    return 0;
}

int lfm2_vad_pull(lfm2_vad *v, lfm2_vad_span *out)
{
    if (!v || !out) return LFM2_ERR_ARG;
    if (v->n_spans == 0) return v->over ? LFM2_EOF : LFM2_AGAIN;
    *out = v->spans[v->first_span];
    v->first_span = (v->first_span + 1) % CAP_SPANS;
    v->n_spans--;
    return 0;
}

int64_t lfm2_vad_n_settled(const lfm2_vad *v)
{
    if (!v) return 0;
    int64_t frame = v->n_decided * BLOCK - LOOK_BACK;
    if (v->open && v->run_start < frame) frame = v->run_start;
    if (v->n_spans > 0) return v->spans[v->first_span].start_sample;
    int64_t settled = frame * HOP - v->pad_samples;
    if (settled < v->last_end) settled = v->last_end;
    return settled;
}

int lfm2_vad_is_open(const lfm2_vad *v, int64_t *since_sample)
{
    if (!v || !v->open) return 0;
    if (since_sample) *since_sample = run_start_sample(v);
    return 1;
}
