/* SPDX-License-Identifier: Apache-2.0
 * lfm2-hear: live. Segments are written as they are over; a terminal also shows what is being said, JSON lines tell it. */
#include <string.h>
#include <unistd.h>

#include "tools/hear_live.h"
#include "tools/hear_tool.h"

#define PARTIAL_US 700000 /* of new sound before it is read again */

int hear_list_devices(tool *t)
{
    const int rc = tool_open_runtime(t);
    return rc ? rc : hear_live_list(t, 0);
}

static int write_segment(void *ctx, const lfm2_segment *s)
{
    return hear_script_segment(ctx, s);
}

static int listen(hear_tool *ht, lfm2_hear *h, hear_script *s, char *damage, size_t cap)
{
    const cli *c = &ht->t->cli;
    const int to_stdout = ht->kind == TOOL_TO_STDOUT;
    const hear_live_job job = {.hear = h, .n_channels = 1, .device = c->n_args > 0 ? c->args[0] : NULL,
                               .replay = cli_text(c, "replay"), .duration_us = ht->audio.duration_us, .partial_us = PARTIAL_US,
                               .events = to_stdout && (ht->formats >> LFM2_HEAR_FORMAT_JSONL & 1),
                               .terminal = isatty(STDERR_FILENO) && ht->t->verbosity >= 0, .segment = write_segment, .ctx = s};
    hear_live_report report;
    const int code = hear_live_run(ht->t, &job, &report);
    s->info.duration_us = report.sound_us;
    lfm2_hear_get_stats(h, &s->info.stats);
    if (report.n_lost > 0) {
        snprintf(damage, cap, "%.2f s of sound were lost", (double)report.n_lost / LFM2_MEL_RATE_HZ);
        s->info.damage = damage;
    }
    return code;
}

int hear_mic(hear_tool *ht)
{
    lfm2_transcript_info info = {.file = "microphone", .language = ht->language, .n_channels = 1, .times = ht->params.times,
                                 .duration_us = -1, .load_us = ht->load_us, .decode_us = -1};
    char damage[64];
    hear_script s = {0};
    lfm2_hear *h = NULL;

    ht->params.n_channels = 1;
    ht->params.n_slots = 1;
    const int rc = lfm2_hear_create(ht->t->model, ht->t->tok, ht->enc, &ht->params, &h);
    int code = rc < 0 ? tool_fail_status(ht->t, rc, TOOL_AT_MODEL, "model") : hear_script_open(ht, "microphone", &info, &s);
    const int begun = code == 0;
    if (begun) code = listen(ht, h, &s, damage, sizeof damage);
    const int closed = hear_script_close(&s, begun && code != TOOL_OUTPUT); /* the device may be gone, but not what it gave */
    lfm2_hear_destroy(h);
    return code ? code : closed;
}
