/* SPDX-License-Identifier: Apache-2.0
 * lfm2-hear: one recording. */
#include <stdlib.h>
#include <string.h>

#include "tools/hear_tool.h"

#define PIECE 16000                  /* samples of a channel that are read at a time */
#define UNDECIDED_SAMPLES (60 * PIECE) /* of the beginning, in which two channels are compared */

typedef struct recording {
    hear_tool *ht;
    const tool_input *in;
    lfm2_audio_source *source;
    lfm2_audio_info info;
    lfm2_hear *hear;
    hear_script script;
    tool_progress progress;
    float *samples;       /* [n_channels, PIECE] */
    float *planes[LFM2_AUDIO_MAX_CHANNELS];
    int n_heard;          /* channels that are transcribed; 0 = not decided */
    int first_heard;
    float *held[2];       /* of the beginning, until it is decided */
    int64_t n_held;
    lfm2_dual_mono dual;
    int64_t n_samples, decode_us;
    char damage[512];
} recording;

static void close_recording(recording *r)
{
    lfm2_hear_destroy(r->hear);
    lfm2_audio_close(r->source);
    free(r->samples);
    free(r->held[0]);
    free(r->held[1]);
}

static int no_memory(recording *r)
{
    return tool_fail(r->ht->t, TOOL_NOMEM, "sound: %s", lfm2_strerror(LFM2_ERR_NOMEM));
}

/* What cannot be opened because it is no recording is left out, if it was found in a folder. */
static int open_source(recording *r)
{
    tool *t = r->ht->t;
    const int found = r->in->depth > 0;
    int c;

    if (found) tool_hold_errors(t);
    int rc = lfm2_audio_open(t->rt, r->in->path, &r->ht->audio, &r->source);
    const int skip = found && (rc == LFM2_ERR_UNSUPPORTED || rc == LFM2_ERR_FORMAT);
    int code = rc < 0 && !skip ? tool_fail_status(t, rc, TOOL_AT_INPUT, r->in->path) : 0;
    if (found) tool_release_errors(t, !skip);
    if (skip) return TOOL_SKIP;
    if (code) return code;
    lfm2_audio_get_info(r->source, &r->info);
    r->samples = malloc((size_t)r->info.n_channels * PIECE * sizeof *r->samples);
    if (!r->samples) return no_memory(r);
    for (c = 0; c < r->info.n_channels; c++) r->planes[c] = r->samples + (size_t)c * PIECE;
    return 0;
}

/* ---- channels ---- */

static int begin(recording *r, int n_heard, int first_heard)
{
    lfm2_hear_params p = r->ht->params;
    lfm2_transcript_info info = {.file = r->in->path, .language = r->ht->language, .duration_us = r->info.duration_us};

    r->n_heard = n_heard;
    r->first_heard = first_heard;
    p.n_channels = n_heard;
    info.n_channels = n_heard;
    info.times = p.times;
    info.load_us = r->ht->load_us;
    info.decode_us = -1;
    int rc = lfm2_hear_create(r->ht->t->model, r->ht->t->tok, r->ht->enc, &p, &r->hear);
    if (rc < 0) return tool_fail_status(r->ht->t, rc, rc == LFM2_ERR_NOMEM ? TOOL_AT_RUN : TOOL_AT_MODEL, "model");
    return hear_script_open(r->ht, r->in->name, &info, &r->script);
}

/* More than two, or those that are to be mixed, become one; in place. */
static void mix(recording *r, int32_t n)
{
    int32_t i, c;
    for (i = 0; i < n; i++) {
        double sum = 0;
        for (c = 0; c < r->info.n_channels; c++) sum += (double)r->planes[c][i];
        r->planes[0][i] = (float)(sum / r->info.n_channels);
    }
}

static int push(recording *r, const float *const *planes, int64_t n)
{
    int rc;
    do {
        rc = lfm2_hear_push(r->hear, planes, n);
        int code = rc < 0 ? tool_fail_status(r->ht->t, rc, TOOL_AT_RUN, r->in->path) : 0;
        if (code == 0) code = hear_pull_all(r->ht, r->hear, &r->script);
        if (code) return code;
    } while (rc == LFM2_AGAIN);
    return 0;
}

/* The verdict about two channels is in, or has to be: what was held goes on. */
static int decide(recording *r, int verdict)
{
    const int one = verdict == 1, second = one && r->dual.sum_aa < r->dual.sum_bb;
    const float *planes[2] = {r->held[second], r->held[1]};

    tool_note(r->ht->t, 1, "%s: two channels, %s", r->in->path,
              one ? "the same sound: read once" : verdict == 0 ? "that differ: two speakers" : "too quiet to compare: read both");
    int rc = begin(r, one ? 1 : 2, second);
    if (rc == 0 && r->n_held > 0) rc = push(r, planes, r->n_held);
    free(r->held[0]);
    free(r->held[1]);
    r->held[0] = r->held[1] = NULL;
    return rc;
}

static int hold(recording *r, int32_t n)
{
    int c;
    for (c = 0; c < 2; c++) {
        if (!r->held[c]) r->held[c] = malloc((UNDECIDED_SAMPLES + PIECE) * sizeof *r->held[c]);
        if (!r->held[c]) return no_memory(r);
        memcpy(r->held[c] + r->n_held, r->planes[c], (size_t)n * sizeof *r->held[c]);
    }
    r->n_held += n;
    lfm2_dual_mono_push(&r->dual, r->planes[0], r->planes[1], n);
    const int verdict = lfm2_dual_mono_decide(&r->dual, LFM2_MEL_RATE_HZ);
    return verdict >= 0 || r->n_held >= UNDECIDED_SAMPLES ? decide(r, verdict) : 0;
}

static int begin_channels(recording *r)
{
    const int n = r->info.n_channels;
    if (r->ht->channels == LFM2_CHANNELS_SPLIT) return begin(r, n, 0);
    return r->ht->channels == LFM2_CHANNELS_AUTO && n == 2 ? 0 : begin(r, 1, 0);
}

static int take(recording *r, int32_t n)
{
    if (r->n_heard == 0) return hold(r, n);
    if (r->n_heard == 1 && r->info.n_channels > 1 && !(r->ht->channels == LFM2_CHANNELS_AUTO && r->info.n_channels == 2)) mix(r, n);
    return push(r, (const float *const *)&r->planes[r->first_heard], n);
}

/* ---- from the beginning to the end ---- */

static void describe_damage(recording *r)
{
    lfm2_audio_damage d;
    size_t n = 0;

    lfm2_audio_get_damage(r->source, &d);
#define DAMAGE(condition, ...)                                                                                          \
    if ((condition) && n < sizeof r->damage) {                                                                          \
        n += (size_t)snprintf(r->damage + n, sizeof r->damage - n, n > 0 ? "; " : "");                                  \
        if (n < sizeof r->damage) n += (size_t)snprintf(r->damage + n, sizeof r->damage - n, __VA_ARGS__);              \
    }
    DAMAGE(d.truncated, "the file ends early")
    DAMAGE(d.n_bad_packets > 0, "%lld packets could not be decoded", (long long)d.n_bad_packets)
    DAMAGE(d.n_bad_samples > 0, "%lld samples were no numbers or far too great", (long long)d.n_bad_samples)
    DAMAGE(d.n_gaps > 0, "%lld gaps, %lld ms in all", (long long)d.n_gaps, (long long)d.gap_us / 1000)
    DAMAGE(d.n_backwards > 0, "time ran backwards %lld times", (long long)d.n_backwards)
#undef DAMAGE
    if (n == 0) return;
    r->script.info.damage = r->damage;
    tool_note(r->ht->t, 0, "%s: %s", r->in->path, r->damage);
}

static int read_all(recording *r)
{
    tool *t = r->ht->t;

    for (;;) {
        int32_t n = 0;
        const int64_t begun_us = tool_now_us();
        const int rc = lfm2_audio_read(r->source, r->planes, PIECE, &n);
        r->decode_us += tool_now_us() - begun_us;
        if (rc == LFM2_EOF) return 0;
        int code = rc < 0 ? tool_fail_status(t, rc, TOOL_AT_INPUT, r->in->path) : take(r, n);
        if (code) return code;
        r->n_samples += n;
        const int64_t done_us = r->n_samples * 1000000 / LFM2_MEL_RATE_HZ;
        if (r->info.duration_us > 0) {
            tool_progress_show(&r->progress, done_us < r->info.duration_us ? (double)done_us / (double)r->info.duration_us : 1);
        }
    }
}

int hear_file(void *ctx, const tool_input *in)
{
    recording r;

    memset(&r, 0, sizeof r);
    r.ht = ctx;
    r.in = in;
    int code = open_source(&r);
    if (code == 0) code = begin_channels(&r);
    if (code == 0) {
        tool_progress_start(&r.progress, r.ht->t, in->path);
        code = read_all(&r);
        if (code == 0 && r.n_heard == 0) code = decide(&r, lfm2_dual_mono_decide(&r.dual, LFM2_MEL_RATE_HZ));
        if (code == 0) code = push(&r, NULL, 0);
        tool_progress_end(&r.progress);
    }
    if (code == 0) {
        r.script.info.duration_us = r.n_samples * 1000000 / LFM2_MEL_RATE_HZ;
        r.script.info.decode_us = r.decode_us;
        describe_damage(&r);
        if (r.script.info.stats.n_segments == 0) tool_note(r.ht->t, 0, "%s: no speech found", in->path);
        tool_note(r.ht->t, 1, "%s: %.1f s, %lld segments with %.1f s of speech", in->path, (double)r.script.info.duration_us / 1e6,
                  (long long)r.script.info.stats.n_segments, (double)r.script.info.stats.speech_us / 1e6);
    }
    const int closed = hear_script_close(&r.script, code == 0);
    close_recording(&r);
    return code ? code : closed;
}
