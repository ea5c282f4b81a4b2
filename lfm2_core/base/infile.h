/* SPDX-License-Identifier: Apache-2.0
 * A file that is read piece by piece: regular, a pipe, standard input, or bytes in memory. A slow pipe keeps no abort waiting. */
#ifndef LFM2__INFILE_H
#define LFM2__INFILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "lfm2/runtime.h"

typedef struct lfm2__infile lfm2__infile;

/* Open a file; "-" is standard input, from where it stands. A folder is refused; a FIFO is not waited for, reading it is.
 * Returns 0; LFM2_ERR_NOT_FOUND; LFM2_ERR_IO; LFM2_ERR_NOMEM. */
int lfm2__infile_open(lfm2_runtime *rt, const char *path, lfm2__infile **out) LFM2__NODISCARD;

/* The same over n bytes that stay the caller's. name: for the log. Returns 0 or LFM2_ERR_NOMEM. */
int lfm2__infile_open_memory(lfm2_runtime *rt, const void *data, size_t n, const char *name, lfm2__infile **out) LFM2__NODISCARD;

void lfm2__infile_close(lfm2__infile *f); /* NULL is allowed */

/* Up to n >= 1 bytes, as soon as there are any. Returns 0 with *n_got >= 1; LFM2_EOF; LFM2_ERR_IO (logged); LFM2_ERR_ABORTED. */
int lfm2__infile_read(lfm2__infile *f, void *out, size_t n, size_t *n_got) LFM2__NODISCARD;

/* Size in bytes from where it was opened; -1: it cannot be sought in. */
int64_t lfm2__infile_bytes(const lfm2__infile *f);

/* The next byte will be the one at `offset`, 0..size. Returns 0 or LFM2_ERR_IO (not logged: whoever seeks decides). */
int lfm2__infile_seek(lfm2__infile *f, int64_t offset) LFM2__NODISCARD;
/* The last n bytes that were read come once more, also from a pipe. They stay the caller's and must live until they are read
 * again or the file is closed. Returns 0 or LFM2_ERR_IO. */
int lfm2__infile_unread(lfm2__infile *f, const void *data, size_t n) LFM2__NODISCARD;
int64_t lfm2__infile_tell(const lfm2__infile *f);

/* The first error that reading has met, for callers behind a library that does not hand it on; otherwise 0. */
int lfm2__infile_status(const lfm2__infile *f);

const char *lfm2__infile_name(const lfm2__infile *f);

#endif
