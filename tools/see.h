/* SPDX-License-Identifier: Apache-2.0
 * The parts of lfm2-see: set-up, inputs, questions, documents. All return 0 or an exit code, with the reason printed. */
#ifndef LFM2_TOOLS_SEE_H
#define LFM2_TOOLS_SEE_H

#include "tools/batch.h"
#include "tools/common.h"
#include "tools/outfile.h"

/* A result that waits to be written, with what its item points to. */
typedef struct see_entry {
    lfm2_see_item item;
    lfm2_see_result *result;
    char *file;
} see_entry;

/* A document in one format. */
typedef struct see_document {
    lfm2_see_format format;
    tool_file file;
    int is_open;
    int is_streamed; /* results are written as they come */
} see_document;

#define SEE_N_FORMATS 7

typedef struct see_output {
    tool *t;
    tool_output_kind kind;
    int64_t formats; /* bits of lfm2_see_format */
    see_document documents[SEE_N_FORMATS];
    see_entry *entries;
    size_t n, cap;
} see_output;

/* What --format and --output ask for. `is_ocr`: texts are pages. */
int see_output_open(see_output *o, tool *t, int is_ocr);
/* Results of one input begin; `name` is for a file in a folder. Documents that are one for all inputs are open already. */
int see_output_begin(see_output *o, const char *name);
/* Takes result over, also on failure. */
int see_output_add(see_output *o, const lfm2_see_item *item, lfm2_see_result *result);
/* The results of one input are complete; keep: 0 if it failed before the first one. */
int see_output_end(see_output *o, int keep);
/* All inputs are done. */
int see_output_close(see_output *o, int keep);
void see_output_fini(see_output *o); /* accepts a zeroed one */

typedef struct see_job {
    tool *t;
    lfm2_vision *vision;
    lfm2_see *see;
    lfm2_see_request request;
    lfm2_frames_params frames;
    char *prompt;     /* of --prompt */
    char **questions; /* lines of --prompts; they point into question_text */
    size_t n_questions;
    char *question_text;
    int together;     /* all images go into one turn */
    see_output out;
    tool_progress progress;
    size_t n_inputs, n_done;

    lfm2_image *images; /* of the turn being put together */
    size_t n_images, cap_images;
    char *names;        /* of their files */
    int64_t decode_us;
} see_job;

/* The request, the questions and the frames that the options ask for; before a model is loaded. */
int see_prepare(see_job *j);
/* One input (or --camera, in->path being the device): a tool_batch job. */
int see_input(void *job, const tool_input *in);
/* With all images in one turn: ask, after all inputs were taken. */
int see_ask_together(see_job *j);
void see_job_fini(see_job *j);

#endif
