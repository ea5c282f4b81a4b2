/* SPDX-License-Identifier: Apache-2.0
 * What the commands share: exit codes, messages, runtime, model, input, output, signals. */
#ifndef LFM2_TOOLS_COMMON_H
#define LFM2_TOOLS_COMMON_H

#include "lfm2/lfm2.h"
#include "tools/cli.h"
#include "tools/json_out.h"

/* Exit codes of every command. 130 and 143 are SIGINT and SIGTERM. */
typedef enum tool_exit {
    TOOL_DONE = 0,
    TOOL_USAGE = 1,     /* a bad option or value */
    TOOL_MODEL = 2,     /* model missing or invalid */
    TOOL_INPUT = 3,     /* input missing or unreadable */
    TOOL_MALFORMED = 4, /* input malformed or over a limit */
    TOOL_OUTPUT = 5,    /* output cannot be written */
    TOOL_NOMEM = 6,
    TOOL_SOME = 7,      /* some files of a batch failed */
    TOOL_DEADLINE = 8,  /* deadline passed or cancelled */
    TOOL_SCHEMA = 10    /* a schema or grammar that cannot be honoured */
} tool_exit;

/* Whose fault a failure is: decides between exit codes of one status. */
typedef enum tool_stage {
    TOOL_AT_SETUP,  /* making the runtime: what was asked for */
    TOOL_AT_MODEL,  /* reading the model */
    TOOL_AT_INPUT,  /* reading a prompt, messages, ids */
    TOOL_AT_RUN,    /* computing */
    TOOL_AT_OUTPUT  /* writing a file */
} tool_stage;

typedef struct tool {
    cli cli;
    lfm2_runtime *rt;
    lfm2_model *model;
    lfm2_tokenizer *tok;
    int verbosity;       /* -1 quiet, 0, 1, 2 */
    int n_errors;        /* reasons printed so far: one failure prints one line */
    int hold_errors;     /* see tool_hold_errors() */
    char held[1024];
    int64_t start_us;    /* of the command */
    double load_ms;      /* model and tokenizer */
    int stdout_failed;
    char *model_path;    /* of tool_model_path() */
} tool;

/* The main() of a command: parse, run what is asked for, flush, clean up. run() returns an exit code. */
int tool_main(int argc, char **argv, const cli_spec *spec, int (*run)(tool *t));

/* The one place where a status becomes an exit code. */
int tool_exit_of(int status, tool_stage stage);

/* Print "lfm2-see: ..." (the tool's name) on stderr, unless a reason was printed already; return the code. */
int tool_fail(tool *t, int code, const char *fmt, ...);
/* For a library call that failed, which has usually logged why: `what` names it if not. Returns the exit code. */
int tool_fail_status(tool *t, int status, tool_stage stage, const char *what);
/* From here on reasons are kept instead of printed, and not counted; tool_release_errors() prints the kept one, if it is wanted,
 * and ends that. */
void tool_hold_errors(tool *t);
void tool_release_errors(tool *t, int wanted);
/* Notes on stderr at verbosity >= level. */
void tool_note(const tool *t, int level, const char *fmt, ...);

/* No core files, quiet SIGPIPE and SIGXFSZ, SIGINT/SIGTERM/SIGHUP that end the present call within a second. */
void tool_setup_process(void);
/* The runtime that signals and deadlines are to abort; NULL = none. */
void tool_setup_abort(lfm2_runtime *rt);
/* The signal that asked for the end, or 0. */
int tool_signal(void);

/* Make the runtime from --threads and --cpumask. These return 0 or an exit code, with the reason printed. */
int tool_open_runtime(tool *t);
/* Load model and tokenizer of --model (or `path` if not NULL), after --manifest, with --check-model. */
int tool_open_model(tool *t, const char *path);
/* The tokenizer that belongs to the loaded model of that path, which must have a row for each of its ids. */
int tool_load_tokenizer(tool *t, const char *path);
/* The tokenizer alone. */
int tool_open_tokenizer(tool *t);
/* --model, or the model that came with the program, or the reason why there is none. Owned by t. */
int tool_model_path(tool *t, const char **path);
/* The file that holds the encoder of that model: --mmproj; beside NAME.gguf mmproj-NAME.gguf, or the only mmproj*.gguf; or the
 * model itself. *path: freed by the caller. */
int tool_encoder_path(tool *t, const char *model_path, char **path);
/* How to sample: what the options say; where they are silent, greedy or what the model's card advises. Needs the tokenizer. */
lfm2_sampler_params tool_sampling(const tool *t, int greedy);
/* Whether an id may be sampled; ctx: the lfm2_tokenizer. For lfm2_sampler_create(). */
int tool_may_sample(void *tok, int32_t id);
void tool_close(tool *t);

/* Start the clock of --deadline: when it runs out, computing calls end with LFM2_ERR_ABORTED. */
void tool_start_deadline(tool *t);
int tool_deadline_passed(void);
/* Time left, for lfm2_generate_params; 0 = no deadline. */
int64_t tool_deadline_left_us(const tool *t);

/* Read a whole file, or stdin for "-". *out is NUL-terminated and freed by the caller. */
int tool_read(tool *t, const char *path, size_t max_bytes, char **out, size_t *n);
/* The text of --prompt, from stdin for "-", checked to be UTF-8. */
int tool_read_prompt(tool *t, char **out, size_t *n);
int tool_is_utf8(const char *s, size_t n);

/* Results, to stdout. tool_flush() tells whether all of them arrived. */
void tool_write(tool *t, const char *bytes, size_t n);
int tool_flush(tool *t);
/* Finish j and write it. */
int tool_write_json(tool *t, json_out *j);

/* Parse "1,2,3" or "[1, 2, 3]" or blanks between; every id 0..max_id. *ids: freed by the caller. */
int tool_parse_ids(tool *t, const char *text, int32_t **ids, size_t *n);

int64_t tool_now_us(void);
/* Most memory this process ever had resident, in bytes. */
uint64_t tool_peak_bytes(void);

/* Progress of a long job on stderr, as --progress wants it. */
typedef struct tool_progress {
    const tool *t;
    const char *job;
    int style;     /* index in the choices of --progress */
    int last;      /* per cent shown last, -1 = none */
    int64_t quiet_until_us; /* no line before: a short job has nothing to say on a stream that nobody may be watching */
    int drawn;
} tool_progress;
void tool_progress_start(tool_progress *p, const tool *t, const char *job);
void tool_progress_show(void *p, double share); /* an lfm2_progress_fn */
void tool_progress_end(tool_progress *p);

#endif
