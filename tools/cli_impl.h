/* SPDX-License-Identifier: Apache-2.0
 * Shared by the parts of the option engine. */
#ifndef LFM2_TOOLS_CLI_IMPL_H
#define LFM2_TOOLS_CLI_IMPL_H

#include "tools/cli.h"

/* Put the reason into c->error and return CLI_ERROR. */
cli_result cli__fail(cli *c, const char *fmt, ...);

/* Row of the option of that name (n bytes) that the verb takes, or -1. */
int cli__find_option(const cli_spec *spec, int verb, const char *name, size_t n);

/* Does this verb (-1 = none given) take row i? */
int cli__takes(const cli_spec *spec, int verb, int i);

/* Check text and store it as the value of row i, unless a stronger origin has set it. label names the source in messages. */
cli_result cli__set(cli *c, int i, const char *text, cli_origin origin, const char *label);

/* "LFM2_ARG_MAX_TOKENS" of "max-tokens". */
void cli__env_name(const char *name, char *out, size_t cap);

/* Names of all options of the verb, one space between, for cli_nearest(). NULL = no memory; freed by the caller. */
char *cli__option_words(const cli_spec *spec, int verb);

/* Read the config file (an explicit path must exist) and set what it says. */
cli_result cli__read_config(cli *c, const char *path, int must_exist);

#endif
