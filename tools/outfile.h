/* SPDX-License-Identifier: Apache-2.0
 * Results of a command: on standard output, in one file, or in a folder. Files appear under their name only when complete. */
#ifndef LFM2_TOOLS_OUTFILE_H
#define LFM2_TOOLS_OUTFILE_H

#include "tools/batch.h"

typedef struct tool_file {
    tool *t;
    int fd;     /* -1: standard output, through tool_write() */
    char *path; /* NULL: standard output */
    char *temp; /* NULL: written where it is (a device, a pipe) */
    int why;    /* errno of the first write that failed */
} tool_file;

/* Begin a result; path NULL or "-" = standard output. Returns 0 or an exit code. */
int tool_file_open(tool *t, const char *path, tool_file *f);
/* Write to it; f is a tool_file, so that the library's writers can be given this. Returns 0 or -1. */
int tool_file_write(void *f, const char *bytes, size_t n);
/* End it: keep = everything is there, the file gets its name; otherwise it goes. Returns 0 or an exit code; 0 for a zeroed one. */
int tool_file_close(tool_file *f, int keep);

typedef enum tool_output_kind { TOOL_TO_STDOUT, TOOL_TO_FILE, TOOL_TO_FOLDER } tool_output_kind;

/* What --output asks for, `formats` being the bits of --format. A folder that ends with / is made. Returns 0 or an exit code. */
int tool_output_kind_of(tool *t, int64_t formats, tool_output_kind *kind);

/* The path of one result in one format (`ending` without the dot) under --output; `name`: of the input, in a folder. Folders on the
 * way are made. *path: freed by the caller; NULL = standard output. Returns 0 or an exit code. */
int tool_output_path(tool *t, tool_output_kind kind, int64_t formats, const char *name, const char *ending, char **path);

/* Refuse what no command can do yet: --json-schema, --grammar, --jobs above 1. Returns 0 or an exit code. */
int tool_refuse_unbuilt(tool *t);

#endif
