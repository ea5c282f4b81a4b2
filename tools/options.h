/* SPDX-License-Identifier: Apache-2.0
 * Rows of the option tables that commands share. `v`: the verbs that take a row, 0 = all, or a command without verbs. */
#ifndef LFM2_TOOLS_OPTIONS_H
#define LFM2_TOOLS_OPTIONS_H

#include "tools/cli.h"

#define MAX_CONTEXT (1 << 24)
#define MAX_SEED 9007199254740992.0 /* 2^53 */

#define TOOL_OPTION_MODEL(v, help_text)                                                                                          \
    {"model", 'm', CLI_TEXT, "PATH", 0, 0, NULL, NULL, "LFM2_MODEL", 0, v, help_text}

#define TOOL_OPTION_MMPROJ(v)                                                                                                    \
    {"mmproj", 0, CLI_TEXT, "FILE", 0, 0, NULL, NULL, NULL, 0, v,                                                                \
     "The encoder's file beside a .gguf; mmproj*.gguf in the same folder, when not given."}

#define TOOL_OPTION_CHECK_MODEL(v)                                                                                               \
    {"check-model", 0, CLI_FLAG, NULL, 0, 0, NULL, NULL, NULL, 0, v, "Refuse a model with weights that are not finite."}

#define TOOL_OPTION_SYSTEM(v)                                                                                                    \
    {"system", 0, CLI_TEXT, "TEXT", 0, 0, NULL, NULL, NULL, 0, v, "System message before the first turn."}

/* See tool_sampling(). */
#define TOOL_OPTIONS_SAMPLING(v)                                                                                                 \
    {"temp", 0, CLI_REAL, "T", 0, 100, NULL, NULL, NULL, 0, v, "Temperature; 0 is greedy."},                                     \
    {"top-k", 0, CLI_INT, "K", 0, MAX_CONTEXT, NULL, NULL, NULL, 0, v, "Sample among the K likeliest; 0 is off."},               \
    {"top-p", 0, CLI_REAL, "P", 0, 1, NULL, NULL, NULL, CLI_ABOVE_LO, v,                                                         \
     "Sample among the likeliest that reach P; 1 is off."},                                                                      \
    {"min-p", 0, CLI_REAL, "P", 0, 1, NULL, NULL, NULL, 0, v,                                                                    \
     "Sample among those with P times the greatest probability; 0 is off."},                                                     \
    {"repeat-penalty", 0, CLI_REAL, "X", 0.01, 100, NULL, NULL, NULL, 0, v, "Penalty for tokens seen before; 1 is off."},        \
    {"seed", 0, CLI_INT, "N", 0, MAX_SEED, NULL, "0", NULL, 0, v, "Seed of sampling: the same seed gives the same text."}

#define TOOL_OPTION_DEADLINE(v)                                                                                                  \
    {"deadline", 0, CLI_REAL, "SECONDS", 0, 1e9, NULL, NULL, NULL, CLI_ABOVE_LO, v,                                              \
     "Stop after that long, loading included: exit code 8."}

#define TOOL_OPTION_PROGRESS(v)                                                                                                  \
    {"progress", 0, CLI_ENUM, "HOW", 0, 0, "auto none plain jsonl", "auto", NULL, 0, v, "Progress on standard error."}

/* Of the commands that take files in batches: see tools/batch.h and tools/outfile.h. `formats`: words with one space between. */
#define TOOL_OPTIONS_BATCH(v, formats)                                                                                           \
    {"format", 0, CLI_LIST, "LIST", 0, 0, formats, "text", NULL, 0, v, "What to write, one or several with commas between."},    \
    {"output", 'o', CLI_TEXT, "PATH", 0, 0, NULL, NULL, NULL, 0, v,                                                              \
     "Where to write: a file, or a folder (which exists, or ends with /) that gets a file for each input; - is standard "        \
     "output, as when not given. With several formats a file gets each of their endings."},                                      \
    {"jobs", 'j', CLI_INT, "N", 1, 1024, NULL, "1", NULL, 0, v,                                                                  \
     "Files at once. Only 1 so far: each file has all the threads."},                                                            \
    {"json-schema", 0, CLI_TEXT, "FILE", 0, 0, NULL, NULL, NULL, 0, v,                                                           \
     "Text that fits a JSON schema. Not possible yet: refused with exit code 10."},                                              \
    {"grammar", 0, CLI_TEXT, "FILE", 0, 0, NULL, NULL, NULL, 0, v,                                                               \
     "Text that fits a grammar. Not possible yet: refused with exit code 10."}

/* What every command has. */
#define TOOL_OPTIONS_PROCESS                                                                                                     \
    {"manifest", 0, CLI_TEXT, "FILE", 0, 0, NULL, NULL, NULL, 0, 0,                                                              \
     "Refuse model files whose sha256 is not the one in this list."},                                                            \
    {"no-verify", 0, CLI_FLAG, NULL, 0, 0, NULL, NULL, NULL, 0, 0, "Do not compare with a list of hashes."},                     \
    {"threads", 't', CLI_INT, "N", 0, 256, NULL, "0", "LFM2_THREADS", 0, 0, "Compute threads; 0 is one for each core."},         \
    {"cpumask", 0, CLI_TEXT, "MASK", 0, 0, NULL, NULL, NULL, 0, 0,                                                               \
     "Instruction sets that may be used: a number (0 is none, 0x for hexadecimal), or names with commas between, `scalar`, "     \
     "`all`."},                                                                                                                  \
    {"config", 0, CLI_TEXT, "FILE", 0, 0, NULL, NULL, NULL, 0, 0, "Config file, in place of $XDG_CONFIG_HOME/lfm2/config.toml."}, \
    {"print-config", 0, CLI_FLAG, NULL, 0, 0, NULL, NULL, NULL, CLI_NO_ENV, 0, "Print every setting and where it comes from."},  \
    {"completion", 0, CLI_ENUM, "SHELL", 0, 0, "bash", NULL, NULL, CLI_NO_ENV, 0, "Print a completion script."},                 \
    {"quiet", 'q', CLI_FLAG, NULL, 0, 0, NULL, NULL, NULL, 0, 0, "Print errors only."},                                          \
    {"verbose", 'v', CLI_FLAG, NULL, 0, 0, NULL, NULL, NULL, 0, 0, "Say more; twice for details."},                              \
    {"version", 'V', CLI_FLAG, NULL, 0, 0, NULL, NULL, NULL, CLI_NO_ENV, 0,                                                      \
     "Print the version; with -v also what this machine offers."},                                                               \
    {"help", 'h', CLI_FLAG, NULL, 0, 0, NULL, NULL, NULL, CLI_NO_ENV, 0, "Print this page."}

#define TOOL_NOTES_SETTINGS                                                                                                      \
    "A value comes from the flag, or LFM2_ARG_NAME in the environment, or the config file, or the default, in this order.\n"

#endif
