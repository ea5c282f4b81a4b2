/* SPDX-License-Identifier: Apache-2.0
 * lfm2-hear: a transcript in several formats at once. */
#include <stdlib.h>
#include <string.h>

#include "tools/hear_tool.h"

static const char *const endings[HEAR_MAX_FORMATS] = {"txt", "srt", "vtt", "json", "jsonl", "csv"};

/* Which of the writer's failures it was: the file knows why it could not be written. */
static int failed(hear_script *s, int i, int rc)
{
    tool *t = s->ht->t;
    if (rc != LFM2_ERR_IO) return tool_fail_status(t, rc, TOOL_AT_OUTPUT, "transcript");
    if (s->files[i].why) return tool_file_close(&s->files[i], 1);
    return tool_fail(t, TOOL_OUTPUT, "standard output cannot be written");
}

int hear_script_open(hear_tool *ht, const char *name, const lfm2_transcript_info *info, hear_script *s)
{
    int f, rc = 0;

    memset(s, 0, sizeof *s);
    s->ht = ht;
    s->info = *info;
    for (f = 0; rc == 0 && f < HEAR_MAX_FORMATS; f++) {
        char *path = NULL;
        if (!(ht->formats >> f & 1)) continue;
        const int i = s->n++;
        rc = tool_output_path(ht->t, ht->kind, ht->formats, name, endings[f], &path);
        if (rc == 0) rc = tool_file_open(ht->t, path, &s->files[i]);
        free(path);
        if (rc) break;
        rc = lfm2_transcript_writer_create(ht->t->rt, (lfm2_hear_format)f, tool_file_write, &s->files[i], &s->writers[i]);
        if (rc == 0) rc = lfm2_transcript_begin(s->writers[i], info);
        if (rc < 0) rc = failed(s, i, rc);
    }
    if (rc) hear_script_close(s, 0);
    return rc;
}

int hear_script_segment(hear_script *s, const lfm2_segment *segment)
{
    int i;

    if (segment->stop > s->info.stop) s->info.stop = segment->stop; /* worse ones have greater numbers */
    for (i = 0; i < s->n; i++) {
        const int rc = lfm2_transcript_segment(s->writers[i], segment);
        if (rc < 0) return failed(s, i, rc);
    }
    return 0;
}

int hear_script_close(hear_script *s, int keep)
{
    int i, rc = 0;

    for (i = 0; i < s->n; i++) {
        if (keep && rc == 0 && s->writers[i]) {
            rc = lfm2_transcript_end(s->writers[i], &s->info);
            if (rc < 0) rc = failed(s, i, rc);
        }
        lfm2_transcript_writer_destroy(s->writers[i]);
        const int closed = tool_file_close(&s->files[i], keep && rc == 0);
        if (rc == 0) rc = closed;
    }
    memset(s, 0, sizeof *s);
    return rc;
}

int hear_pull_all(hear_tool *ht, lfm2_hear *h, hear_script *s)
{
    lfm2_segment *segment = NULL;
    int rc;

    while ((rc = lfm2_hear_pull(h, &segment)) == 0) {
        rc = hear_script_segment(s, segment);
        lfm2_segment_destroy(segment);
        if (rc) return rc;
    }
    lfm2_hear_get_stats(h, &s->info.stats);
    return rc < 0 ? tool_fail_status(ht->t, rc, TOOL_AT_RUN, "transcript") : 0;
}
