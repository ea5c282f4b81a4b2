/* SPDX-License-Identifier: Apache-2.0
 * Command lines from one option table: parsing, help, nearest names, environment, config file, shell completion.
 *
 * A value comes from the first of: the flag, LFM2_ARG_NAME in the environment, the config file, the option's own
 * variable (`env`), the default. A bad name or value from any of them is an error; nothing is clipped or ignored. */
#ifndef LFM2_TOOLS_CLI_H
#define LFM2_TOOLS_CLI_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef enum cli_kind {
    CLI_FLAG, /* no value on the command line; may be repeated, and counts; "true" or "false" elsewhere */
    CLI_TEXT,
    CLI_INT,
    CLI_REAL,
    CLI_ENUM, /* one of `choices`, any case */
    CLI_LIST  /* one or several of `choices` with commas between, any case */
} cli_kind;

#define CLI_ABOVE_LO 1u /* CLI_REAL: lo itself is not allowed */
#define CLI_NO_ENV 2u   /* only as a flag: --help, --version, ... */

typedef struct cli_option {
    const char *name;    /* long name without dashes */
    char letter;         /* 0 = none */
    cli_kind kind;
    const char *arg;     /* how help calls the value */
    double lo, hi;       /* CLI_INT and CLI_REAL, both allowed; whole numbers below 2^53 for CLI_INT */
    const char *choices; /* CLI_ENUM; CLI_LIST (at most 32): words with one space between */
    const char *def;     /* default, or NULL = not set */
    const char *env;     /* variable that gives the default, or NULL */
    unsigned flags;
    uint32_t verbs;      /* bit i: verb i takes it; 0 = all do. Rows of one name must not share a verb */
    const char *help;
} cli_option;

typedef struct cli_verb {
    const char *name;
    const char *args; /* how help calls its arguments */
    int min_args, max_args;
    const char *help;  /* one line */
    const char *notes; /* more for its own help page, or NULL */
} cli_verb;

typedef struct cli_spec {
    const char *tool;
    const char *summary;
    const cli_verb *verbs;
    int n_verbs; /* <= 32 */
    const cli_option *options;
    int n_options;
    const char *notes; /* end of the help page, or NULL */
    const char *args;  /* of a command without verbs: how help calls its arguments */
} cli_spec;

/* Weakest first. */
typedef enum cli_origin {
    CLI_UNSET,
    CLI_FROM_DEFAULT,
    CLI_FROM_VARIABLE,
    CLI_FROM_CONFIG,
    CLI_FROM_ENV,
    CLI_FROM_FLAG
} cli_origin;

typedef struct cli_value {
    const char *text;
    int64_t integer; /* CLI_INT; CLI_FLAG: how often; CLI_ENUM: index of the choice; CLI_LIST: bit i for choice i */
    double real;     /* CLI_REAL */
    cli_origin origin;
} cli_value;

typedef struct cli {
    const cli_spec *spec;
    int verb;               /* -1: none given */
    cli_value *values;      /* [n_options] */
    const char **args;      /* [n_args], borrowed from argv */
    int n_args;
    char *config;           /* text of the config file, which values may point into */
    const char *config_path; /* NULL = none was read */
    char *default_path;
    char error[512];        /* why cli_parse() failed, for the user */
} cli;

typedef enum cli_result {
    CLI_OK = 0,
    CLI_HELP,
    CLI_VERSION,
    CLI_PRINT_CONFIG,
    CLI_COMPLETION,
    CLI_ERROR,
    CLI_NO_MEMORY
} cli_result;

/* Parse. The table must have the options help, version, print-config, completion and config. argv is borrowed until cli_fini().
 * Returns what the user asked for; with CLI_ERROR `error` says why. */
cli_result cli_parse(cli *c, const cli_spec *spec, int argc, char **argv);
void cli_fini(cli *c); /* accepts a zeroed one */

/* Values by option name; the option must belong to the verb. */
const char *cli_text(const cli *c, const char *name); /* NULL = not set */
int64_t cli_int(const cli *c, const char *name);
double cli_real(const cli *c, const char *name);
int cli_flag(const cli *c, const char *name);
int cli_is_set(const cli *c, const char *name); /* by anything but the default of the table */

/* Write to f; the stream's error flag says whether it worked. */
void cli_print_help(const cli *c, FILE *f);
void cli_print_config(const cli *c, FILE *f);
void cli_print_completion(const cli_spec *spec, FILE *f); /* a bash script */

/* The word of a list (one space between) that is nearest to `word`: copied to out. */
void cli_nearest(const char *word, const char *words, char *out, size_t cap);

/* Index of `word` in a list, any case, or -1. */
int cli_find_word(const char *word, size_t n, const char *words);

/* Whole number or number, all of text. Return 0, or -1 for anything else (not finite, blanks, out of int64). */
int cli_scan_int(const char *text, int64_t *out);
int cli_scan_real(const char *text, double *out);

/* Copy of text fit for one line of a terminal: control bytes become '?', a long one is cut. Returns out. */
const char *cli_printable(const char *text, char *out, size_t cap);

#endif
