/* SPDX-License-Identifier: Apache-2.0
 * Read-only mapping of a regular file that knows its size and notices when the file is cut short; reading small files whole. */
#ifndef LFM2__MAPFILE_H
#define LFM2__MAPFILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "lfm2/runtime.h"

typedef struct lfm2__map lfm2__map;

/* Map the whole file. Anything but a regular file (FIFO, folder, device) is refused without blocking; an empty file gives
 * n_bytes 0 and data NULL. Returns 0; LFM2_ERR_NOT_FOUND; LFM2_ERR_IO; LFM2_ERR_NOMEM. */
int lfm2__map_open(lfm2_runtime *rt, const char *path, lfm2__map **out) LFM2__NODISCARD;
void lfm2__map_close(lfm2__map *m);

const unsigned char *lfm2__map_data(const lfm2__map *m);
size_t lfm2__map_bytes(const lfm2__map *m);

/* Returns LFM2_ERR_IO (and logs the path) once the file is shorter than when it was mapped, or a read of it has faulted
 * under the SIGBUS guard; otherwise 0. One fstat(): cheap enough for every forward pass. */
int lfm2__map_check(const lfm2__map *m) LFM2__NODISCARD;

/* Read a whole regular file into memory, for small files. *out: NUL behind the last byte; free with lfm2__free().
 * Returns 0; LFM2_ERR_NOT_FOUND; LFM2_ERR_IO; LFM2_ERR_LIMIT (over max_bytes); LFM2_ERR_NOMEM. */
int lfm2__file_read(lfm2_runtime *rt, const char *path, size_t max_bytes, char **out, size_t *out_n) LFM2__NODISCARD;

#endif
