/* SPDX-License-Identifier: Apache-2.0
 * lfm2-hear: live. Segments are written as they are over; a terminal also shows what is being said, the part that may still change
 * in brackets. */
#include <string.h>
#include <unistd.h>

#include "tools/hear_tool.h"

#define PIECE 1600           /* samples of a channel, 100 ms */
#define WAIT_US 100000
#define PARTIAL_US 700000    /* of new sound before it is read again */
#define SHOWN_BYTES 240

static void print_device(void *ctx, int32_t index, const char *name, int32_t n_channels, int32_t rate_hz)
{
    char line[512], shown[256];
    const int n = snprintf(line, sizeof line, "%d\t%s\t%d channels\t%d Hz\n", (int)index, cli_printable(name, shown, sizeof shown),
                           (int)n_channels, (int)rate_hz);
    tool_write(ctx, line, (size_t)n);
}

int hear_list_devices(tool *t)
{
    int rc = tool_open_runtime(t);
    if (rc) return rc;
    rc = lfm2_mic_list(t->rt, print_device, t);
    return rc < 0 ? tool_fail_status(t, rc, TOOL_AT_INPUT, "devices") : 0;
}

static int open_mic(hear_tool *ht, lfm2_mic **mic)
{
    const cli *c = &ht->t->cli;
    const char *replay = cli_text(c, "replay");
    lfm2_mic_params p = lfm2_mic_params_default();

    p.device = !replay && c->n_args > 0 ? c->args[0] : NULL;
    const int rc = replay ? lfm2_mic_open_replay(ht->t->rt, replay, &p, mic) : lfm2_mic_open(ht->t->rt, &p, mic);
    return rc < 0 ? tool_fail_status(ht->t, rc, TOOL_AT_INPUT, replay ? replay : "microphone") : 0;
}

/* The last bytes of a text that fit, from the beginning of a character. */
static const char *end_of(const char *text, size_t room)
{
    const size_t n = strlen(text);
    const char *at = n > room ? text + n - room : text;
    while (at > text && ((unsigned char)*at & 0xc0) == 0x80) at++;
    return at;
}

static int show_partial(hear_tool *ht, lfm2_hear *h)
{
    const char *confirmed = NULL, *tail = NULL;
    const int rc = lfm2_hear_partial(h, 0, PARTIAL_US, &confirmed, &tail);
    if (rc < 0) return tool_fail_status(ht->t, rc, TOOL_AT_RUN, "live text");
    if (confirmed[0] || tail[0]) fprintf(stderr, "\r\033[K%s [%s]", end_of(confirmed, SHOWN_BYTES), end_of(tail, SHOWN_BYTES));
    return 0;
}

static int listen(hear_tool *ht, lfm2_mic *mic, lfm2_hear *h, hear_script *s, int shows)
{
    float samples[PIECE], *plane = samples;
    int64_t n_lost = 0;
    int code = 0;

    while (code == 0) {
        int32_t n = 0;
        int rc = lfm2_mic_read(mic, &plane, PIECE, WAIT_US, &n);
        if (rc == LFM2_EOF) return 0;
        if (rc < 0) return tool_fail_status(ht->t, rc, TOOL_AT_INPUT, "microphone");
        if (rc == 0) {
            rc = lfm2_hear_push(h, (const float *const *)&plane, n);
            if (rc < 0) return tool_fail_status(ht->t, rc, TOOL_AT_RUN, "live");
            s->info.duration_us += (int64_t)n * 1000000 / LFM2_MEL_RATE_HZ;
        }
        if (shows) code = show_partial(ht, h);
        if (shows && code == 0 && h) fflush(stderr);
        if (code == 0) code = hear_pull_all(ht, h, s);
        if (code == 0 && ht->kind == TOOL_TO_STDOUT) code = tool_flush(ht->t);
        if (lfm2_mic_n_lost(mic) > n_lost) {
            n_lost = lfm2_mic_n_lost(mic);
            tool_note(ht->t, 0, "%lld samples lost: the machine is too slow", (long long)n_lost);
        }
    }
    return code;
}

int hear_mic(hear_tool *ht)
{
    const int shows = isatty(STDERR_FILENO) && ht->t->verbosity >= 0;
    lfm2_transcript_info info = {.file = "microphone", .language = ht->language, .n_channels = 1, .times = ht->params.times,
                                 .load_us = ht->load_us, .decode_us = -1};
    hear_script s = {0};
    lfm2_mic *mic = NULL;
    lfm2_hear *h = NULL;

    ht->params.n_channels = 1;
    ht->params.n_slots = 1;
    int rc = lfm2_hear_create(ht->t->model, ht->t->tok, ht->enc, &ht->params, &h);
    int code = rc < 0 ? tool_fail_status(ht->t, rc, TOOL_AT_MODEL, "model") : open_mic(ht, &mic);
    if (code == 0) code = hear_script_open(ht, "microphone", &info, &s);
    const int begun = code == 0;
    if (begun) code = listen(ht, mic, h, &s, shows);
    lfm2_mic_close(mic);
    if (begun && (code == 0 || code == TOOL_INPUT)) { /* the device is gone, but not what it gave */
        rc = lfm2_hear_push(h, NULL, 0);
        int ended = rc < 0 ? tool_fail_status(ht->t, rc, TOOL_AT_RUN, "live") : hear_pull_all(ht, h, &s);
        if (code == 0) code = ended;
    }
    const int closed = hear_script_close(&s, begun && code != TOOL_OUTPUT);
    lfm2_hear_destroy(h);
    return code ? code : closed;
}
