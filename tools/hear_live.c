/* SPDX-License-Identifier: Apache-2.0
 * Live transcription: read what the microphone has, push it, give out what is finished, show what is not. */
#include "tools/hear_live.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WAIT_US 100000   /* so often signals are looked at */
#define MAX_LATENCIES 4096 /* the newest of them count */
#define MAX_COLUMNS 400

enum { PIECE = 16000, MAX_CHANNELS = 2 };

typedef struct live {
    tool *t;
    const hear_live_job *job;
    lfm2_mic *mic;
    int64_t n_samples;       /* pushed, silence in place of lost sound included */
    int64_t n_lost;          /* for which silence was pushed */
    int64_t begun_us;        /* the clock when the sound began */
    int64_t n_latencies, latency_max_us;
    int drawn;               /* a partial line stands on the terminal */
    char shown[2048];        /* the partial event written last */
    int64_t latencies[MAX_LATENCIES];
    float sound[MAX_CHANNELS][PIECE];
} live;

/* --- standard error, which the system's sound libraries write to --- */

static int silence(void)
{
    const int kept = dup(STDERR_FILENO), nothing = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nothing >= 0) {
        if (kept >= 0) (void)dup2(nothing, STDERR_FILENO);
        close(nothing);
    }
    return kept;
}

static void end_silence(int kept)
{
    if (kept < 0) return;
    (void)dup2(kept, STDERR_FILENO);
    close(kept);
}

/* --- what is shown --- */

static int n_columns(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20) return 79;
    return size.ws_col < MAX_COLUMNS ? size.ws_col - 1 : MAX_COLUMNS - 1;
}

static void wipe(live *l)
{
    if (l->drawn) fputs("\r\x1b[K", stderr);
    l->drawn = 0;
}

/* Where the last n code points of s begin. */
static const char *last_points(const char *s, int n)
{
    const char *at = s + strlen(s);
    while (at > s && n > 0) {
        at--;
        if (((unsigned char)*at & 0xC0) != 0x80) n--;
    }
    return at;
}

/* The end of the line: confirmed text as it is, the rest faint. */
static void draw(live *l, const char *confirmed, const char *tail)
{
    char firm[4 * MAX_COLUMNS], faint[4 * MAX_COLUMNS];
    const int columns = n_columns();
    const char *end = last_points(tail, columns / 2);
    wipe(l);
    cli_printable(end, faint, sizeof faint);
    cli_printable(last_points(confirmed, columns - (int)strlen(faint) > 0 ? columns - (int)strlen(faint) : 0), firm, sizeof firm);
    l->drawn = fprintf(stderr, "%s\x1b[2m%s\x1b[0m", firm, faint) > 8;
    fflush(stderr);
}

static double seconds(int64_t us)
{
    return (double)us / 1e6;
}

static int write_partial_event(live *l, int32_t channel, const char *confirmed, const char *tail)
{
    json_out j = {0};
    json_begin_object(&j, NULL);
    json_put_int(&j, "schema_version", 1);
    json_put_text(&j, "type", "partial");
    json_put_int(&j, "channel", channel);
    json_put_real(&j, "position", seconds(lfm2_mic_position_us(l->mic)));
    json_put_text(&j, "confirmed", confirmed);
    json_put_text(&j, "tail", tail);
    json_end_object(&j);
    return tool_write_json(l->t, &j);
}

static int show_partial(live *l, int32_t channel)
{
    const char *confirmed = "", *tail = "";
    char now[sizeof l->shown];
    const int rc = lfm2_hear_partial(l->job->hear, channel, l->job->partial_us, &confirmed, &tail);
    if (rc < 0) return tool_fail_status(l->t, rc, TOOL_AT_RUN, "partial text");
    snprintf(now, sizeof now, "%d %s|%s", (int)channel, confirmed, tail);
    if (strcmp(now, l->shown) == 0) return 0;
    memcpy(l->shown, now, sizeof now);
    if (l->job->terminal) draw(l, confirmed, tail);
    else if (l->job->events && (confirmed[0] || tail[0])) return write_partial_event(l, channel, confirmed, tail);
    return 0;
}

static int write_latency_event(live *l, const lfm2_segment *s, int64_t us)
{
    json_out j = {0};
    json_begin_object(&j, NULL);
    json_put_int(&j, "schema_version", 1);
    json_put_text(&j, "type", "latency");
    json_put_int(&j, "id", s->id);
    json_put_real(&j, "latency_ms", (double)us / 1e3);
    json_end_object(&j);
    return tool_write_json(l->t, &j);
}

static int give_segment(live *l, const lfm2_segment *s)
{
    const int64_t us = tool_now_us() - l->begun_us - s->end_us;
    int rc;
    wipe(l);
    rc = l->job->segment(l->job->ctx, s);
    l->latencies[l->n_latencies++ % MAX_LATENCIES] = us;
    if (us > l->latency_max_us) l->latency_max_us = us;
    if (rc == 0 && l->job->events) rc = write_latency_event(l, s, us);
    else if (rc == 0) tool_note(l->t, 2, "segment %d: text %.2f s after its end", (int)s->id, seconds(us));
    return rc == 0 ? tool_flush(l->t) : rc; /* who reads it is waiting */
}

/* --- the loop --- */

static int give_segments(live *l)
{
    for (;;) {
        lfm2_segment *s = NULL;
        const int rc = lfm2_hear_pull(l->job->hear, &s);
        if (rc == LFM2_AGAIN || rc == LFM2_EOF) return 0;
        if (rc < 0) return tool_fail_status(l->t, rc, TOOL_AT_RUN, "transcript");
        const int code = give_segment(l, s);
        lfm2_segment_destroy(s);
        if (code) return code;
    }
}

/* planes NULL: the sound is over. */
static int push(live *l, const float *const *planes, int64_t n)
{
    int rc, code = 0;
    while ((rc = lfm2_hear_push(l->job->hear, planes, n)) == LFM2_AGAIN && code == 0) code = give_segments(l);
    if (code) return code;
    return rc < 0 ? tool_fail_status(l->t, rc, TOOL_AT_RUN, "transcription") : give_segments(l);
}

/* Samples up to the end of --duration. */
static int64_t n_left(const live *l)
{
    return l->job->duration_us < 0 ? INT64_MAX : l->job->duration_us * 16 / 1000 - l->n_samples;
}

/* Where sound was lost silence stands, so that times stay true. */
static int fill_gap(live *l)
{
    static const float nothing[PIECE];
    const float *const silence_of[MAX_CHANNELS] = {nothing, nothing};
    int code = 0;
    while (code == 0 && l->n_lost < lfm2_mic_n_lost(l->mic) && n_left(l) >= PIECE && !tool_signal()) {
        const int64_t missing = lfm2_mic_n_lost(l->mic) - l->n_lost, n = missing < PIECE ? missing : PIECE;
        l->n_lost += n;
        l->n_samples += n;
        code = push(l, silence_of, n);
    }
    return code;
}

/* *over = 1: there is no more to come. */
static int step(live *l, int *over)
{
    float *planes[MAX_CHANNELS] = {l->sound[0], l->sound[1]};
    const float *const sound[MAX_CHANNELS] = {l->sound[0], l->sound[1]};
    int32_t n = 0, cap = PIECE, c;
    int code = 0, rc;
    if (n_left(l) < cap) cap = (int32_t)n_left(l);
    *over = cap <= 0;
    if (*over) return 0;
    rc = lfm2_mic_read(l->mic, planes, cap, WAIT_US, &n);
    *over = rc == LFM2_EOF;
    if (rc == LFM2_AGAIN || rc == LFM2_EOF) return 0;
    if (rc < 0) return tool_fail_status(l->t, rc, TOOL_AT_INPUT, "microphone");
    if (tool_now_us() - lfm2_mic_position_us(l->mic) < l->begun_us) l->begun_us = tool_now_us() - lfm2_mic_position_us(l->mic);
    code = fill_gap(l);
    l->n_samples += n;
    if (code == 0) code = push(l, sound, n);
    for (c = 0; code == 0 && n < cap && l->job->partial_us > 0 && c < l->job->n_channels; c++) code = show_partial(l, c);
    return code ? code : tool_flush(l->t);
}

static int compare_us(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void report_on(live *l, hear_live_report *r)
{
    const size_t n = (size_t)(l->n_latencies < MAX_LATENCIES ? l->n_latencies : MAX_LATENCIES);
    *r = (hear_live_report){.sound_us = l->n_samples * 1000 / 16, .n_lost = lfm2_mic_n_lost(l->mic),
                            .n_segments = (int32_t)l->n_latencies, .latency_p50_us = -1, .latency_p95_us = -1,
                            .latency_max_us = -1};
    if (n == 0) return;
    qsort(l->latencies, n, sizeof *l->latencies, compare_us);
    r->latency_p50_us = l->latencies[n / 2];
    r->latency_p95_us = l->latencies[n * 95 / 100];
    r->latency_max_us = l->latency_max_us;
}

static int write_report(tool *t, const hear_live_job *job, const hear_live_report *r)
{
    json_out j = {0};
    if (!job->events) {
        if (r->n_lost > 0) tool_note(t, 0, "%.2f s of sound were lost", (double)r->n_lost / 16000);
        if (r->n_segments > 0)
            tool_note(t, 1, "text %.2f s (half of the segments), %.2f s (95 %%), %.2f s (at most) after the end of its sound",
                      seconds(r->latency_p50_us), seconds(r->latency_p95_us), seconds(r->latency_max_us));
        return 0;
    }
    json_begin_object(&j, NULL);
    json_put_int(&j, "schema_version", 1);
    json_put_text(&j, "type", "live");
    json_put_real(&j, "duration", seconds(r->sound_us));
    json_put_int(&j, "n_segments", r->n_segments);
    json_put_int(&j, "n_lost", r->n_lost);
    json_begin_object(&j, "latency_ms");
    json_put_real(&j, "p50", (double)r->latency_p50_us / 1e3);
    json_put_real(&j, "p95", (double)r->latency_p95_us / 1e3);
    json_put_real(&j, "max", (double)r->latency_max_us / 1e3);
    json_end_object(&j);
    json_end_object(&j);
    return tool_write_json(t, &j);
}

static int open_mic(live *l)
{
    const hear_live_job *job = l->job;
    lfm2_mic_params p = lfm2_mic_params_default();
    int rc, kept;
    p.device = job->device;
    p.n_channels = job->n_channels;
    tool_hold_errors(l->t);
    kept = job->replay ? -1 : silence();
    rc = job->replay ? lfm2_mic_open_replay(l->t->rt, job->replay, &p, &l->mic) : lfm2_mic_open(l->t->rt, &p, &l->mic);
    end_silence(kept);
    tool_release_errors(l->t, rc < 0);
    return rc < 0 ? tool_fail_status(l->t, rc, TOOL_AT_INPUT, job->replay ? job->replay : "microphone") : 0;
}

int hear_live_run(tool *t, const hear_live_job *job, hear_live_report *report)
{
    live *l = calloc(1, sizeof *l);
    int code, finish, over = 0;
    *report = (hear_live_report){.latency_p50_us = -1, .latency_p95_us = -1, .latency_max_us = -1};
    if (!l) return tool_fail(t, TOOL_NOMEM, "live: %s", lfm2_strerror(LFM2_ERR_NOMEM));
    l->t = t;
    l->job = job;
    code = open_mic(l);
    if (code == 0) {
        l->begun_us = tool_now_us();
        tool_setup_abort(NULL); /* the first signal ends the sound, not the text of what was said */
        while (code == 0 && !over && !tool_signal() && !tool_deadline_passed()) code = step(l, &over);
        finish = code == 0 || code == TOOL_INPUT; /* a device that is gone takes nothing back */
        if (finish) {
            const int last = push(l, NULL, 0);
            if (code == 0) code = last;
        }
        wipe(l);
        report_on(l, report);
        if (code == 0 && tool_deadline_passed()) code = tool_fail(t, TOOL_DEADLINE, "the deadline has passed");
        if (finish && write_report(t, job, report) != 0 && code == 0) code = TOOL_OUTPUT;
        tool_setup_abort(t->rt);
    }
    lfm2_mic_close(l->mic);
    free(l);
    return code;
}

/* --- devices --- */

typedef struct listing {
    tool *t;
    json_out *j; /* NULL: lines */
} listing;

static void list_device(void *ctx, int32_t index, const char *name, int32_t n_channels, int32_t rate_hz)
{
    const listing *x = ctx;
    char line[512], printable[400];
    if (x->j) {
        json_begin_object(x->j, NULL);
        json_put_int(x->j, "index", index);
        json_put_text(x->j, "name", name);
        json_put_int(x->j, "channels", n_channels);
        json_put_int(x->j, "rate_hz", rate_hz);
        json_end_object(x->j);
        return;
    }
    snprintf(line, sizeof line, "%-3d %s (%d channels, %d Hz)\n", (int)index, cli_printable(name, printable, sizeof printable),
             (int)n_channels, (int)rate_hz);
    tool_write(x->t, line, strlen(line));
}

int hear_live_list(tool *t, int json)
{
    json_out j = {0};
    listing x = {.t = t, .j = json ? &j : NULL};
    int rc, kept, code = 0;
    json_begin_object(&j, NULL);
    json_put_int(&j, "schema_version", 1);
    json_begin_array(&j, "devices");
    tool_hold_errors(t);
    kept = silence();
    rc = lfm2_mic_list(t->rt, list_device, &x);
    end_silence(kept);
    tool_release_errors(t, rc < 0);
    json_end_array(&j);
    json_end_object(&j);
    if (rc < 0) code = tool_fail_status(t, rc, TOOL_AT_INPUT, "microphones");
    else if (json) code = tool_write_json(t, &j);
    json_fini(&j);
    return code;
}
