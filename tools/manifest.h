/* SPDX-License-Identifier: Apache-2.0
 * Hashes of a model's files, and the list (as `sha256sum` writes it) to compare them with. */
#ifndef LFM2_TOOLS_MANIFEST_H
#define LFM2_TOOLS_MANIFEST_H

#include "tools/common.h"

typedef enum manifest_match { MANIFEST_NOT_LISTED = -1, MANIFEST_DIFFERS = 0, MANIFEST_MATCHES = 1 } manifest_match;

typedef struct manifest_file {
    char *name; /* inside the folder */
    uint64_t n_bytes;
    char hex[LFM2_SHA256_HEX_BYTES];
    manifest_match match;
} manifest_file;

typedef struct manifest {
    char *folder; /* with its slash; "" = the current one */
    manifest_file *files;
    size_t n_files;
    char *list_path; /* NULL = nothing to compare with */
} manifest;

/* Hash the files of a model, in the order of their names: a .gguf file alone; otherwise every .safetensors, .gguf, .json and
 * .jinja file of the folder. These return 0 or an exit code, with the reason printed. */
int manifest_hash(tool *t, const char *model_path, manifest *m);
void manifest_fini(manifest *m); /* accepts a zeroed one */

/* Compare with the list at list_path. Every .safetensors and .gguf file must be in it. */
int manifest_compare(tool *t, manifest *m, const char *list_path);

/* What --manifest and --no-verify ask for before a model is loaded. */
int tool_check_manifest(tool *t, const char *model_path);

#endif
