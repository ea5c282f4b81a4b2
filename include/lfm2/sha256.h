/* SPDX-License-Identifier: Apache-2.0
 * SHA-256 in pieces: of model files, and of what an encoder has seen before. */
#ifndef LFM2_SHA256_H
#define LFM2_SHA256_H

#include <stddef.h>

#include "lfm2/status.h"

LFM2_BEGIN_DECLS

#define LFM2_SHA256_BYTES 32
#define LFM2_SHA256_HEX_BYTES 65 /* 64 digits and a NUL */

typedef struct lfm2_sha256 {
    void *context; /* NULL between finish and init */
} lfm2_sha256;

/* Both return 0 or LFM2_ERR_NOMEM. After a success of init, finish must follow, also after a failed add. */
LFM2_API int lfm2_sha256_init(lfm2_sha256 *s);
LFM2_API int lfm2_sha256_add(lfm2_sha256 *s, const void *data, size_t n);
/* The digest; frees what init took. Returns 0 or LFM2_ERR_NOMEM. */
LFM2_API int lfm2_sha256_finish(lfm2_sha256 *s, unsigned char digest[LFM2_SHA256_BYTES]);

/* Digits in lower case, with a NUL. */
LFM2_API void lfm2_sha256_hex(const unsigned char digest[LFM2_SHA256_BYTES], char hex[LFM2_SHA256_HEX_BYTES]);

LFM2_END_DECLS

#endif
