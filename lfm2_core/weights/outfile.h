/* SPDX-License-Identifier: Apache-2.0
 * A file that appears under its name only when it is complete: written under a temporary name beside the target, flushed to
 * the disk, renamed. */
#ifndef LFM2__OUTFILE_H
#define LFM2__OUTFILE_H

#include <stddef.h>

#include "base/compiler.h"
#include "lfm2/runtime.h"

typedef struct lfm2__outfile lfm2__outfile;

/* Returns 0; LFM2_ERR_IO; LFM2_ERR_NOMEM. */
int lfm2__outfile_create(lfm2_runtime *rt, const char *path, lfm2__outfile **out) LFM2__NODISCARD;

/* Append. An error sticks: later calls, lfm2__outfile_commit() included, return it again. Returns 0 or LFM2_ERR_IO. */
int lfm2__outfile_write(lfm2__outfile *f, const void *data, size_t n) LFM2__NODISCARD;

/* Give the file its name; what stood there is replaced. Returns 0 or LFM2_ERR_IO. Destroy comes after it in any case. */
int lfm2__outfile_commit(lfm2__outfile *f) LFM2__NODISCARD;

/* Without a successful commit, the temporary file is removed. NULL is allowed. */
void lfm2__outfile_destroy(lfm2__outfile *f);

#endif
