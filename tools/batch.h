/* SPDX-License-Identifier: Apache-2.0
 * Many inputs in one run: what the arguments name, each by itself, and what becomes of those that fail. */
#ifndef LFM2_TOOLS_BATCH_H
#define LFM2_TOOLS_BATCH_H

#include "tools/common.h"

typedef struct tool_input {
    char *path;   /* "-" = standard input */
    char *name;   /* for a result beside others in a folder: relative, without ending, with no other input's name */
    size_t depth; /* 0: named by the user; otherwise found in a folder, so deep */
} tool_input;

typedef struct tool_batch {
    tool_input *inputs;
    size_t n, cap;
} tool_batch;

/* The arguments of the command, in their order; folders give the files in and below them by name, without hidden ones and without
 * going through symbolic links to folders. Two results of one name are refused if `separate`. Returns 0 or an exit code; release
 * with tool_batch_fini() in any case. */
int tool_batch_expand(tool *t, int separate, tool_batch *b);
void tool_batch_fini(tool_batch *b); /* accepts a zeroed one */

#define TOOL_SKIP (-1) /* from a job: this file of a folder is nothing for us */

/* Call job for each input. It returns 0, TOOL_SKIP, or an exit code with the reason printed; then the others go on, except when the
 * output cannot be written or time is up. Returns 0, the code of the only input, or TOOL_SOME. */
int tool_batch_run(tool *t, const tool_batch *b, int (*job)(void *ctx, const tool_input *in), void *ctx);

#endif
