/* SPDX-License-Identifier: Apache-2.0
 * lfm2-hear: one transcript in all formats, recordings and microphones. */
#ifndef LFM2_TOOLS_HEAR_TOOL_H
#define LFM2_TOOLS_HEAR_TOOL_H

#include "tools/outfile.h"

#define HEAR_MAX_FORMATS 6
#define HEAR_FORMATS "text srt vtt json jsonl csv"

typedef struct hear_tool {
    tool *t;
    lfm2_audio_encoder *enc;
    lfm2_hear_params params;
    lfm2_audio_params audio;
    lfm2_channels channels;
    const char *language;
    int64_t formats;
    tool_output_kind kind;
    int64_t load_us;
    char *glossary;
} hear_tool;

/* One transcript on its way into files of all formats. */
typedef struct hear_script {
    hear_tool *ht;
    lfm2_transcript_info info;
    int n;
    tool_file files[HEAR_MAX_FORMATS];
    lfm2_transcript_writer *writers[HEAR_MAX_FORMATS];
} hear_script;

/* name: of the results in a folder. info: what is known before the first segment; its texts are borrowed until the end. These
 * return 0 or an exit code. */
int hear_script_open(hear_tool *ht, const char *name, const lfm2_transcript_info *info, hear_script *s);
int hear_script_segment(hear_script *s, const lfm2_segment *segment);
/* End it; keep = everything that could be heard is in it. Accepts a zeroed one. */
int hear_script_close(hear_script *s, int keep);

/* All segments that are there go into the script. */
int hear_pull_all(hear_tool *ht, lfm2_hear *h, hear_script *s);

/* A job of tool_batch_run(); ctx: a hear_tool. */
int hear_file(void *ctx, const tool_input *in);

/* The microphone that the argument names, or the system's; or --replay. */
int hear_mic(hear_tool *ht);
int hear_list_devices(tool *t);

#endif
