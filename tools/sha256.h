/* SPDX-License-Identifier: Apache-2.0
 * SHA-256 (FIPS 180-4), for comparing model files with a list of hashes. */
#ifndef LFM2_TOOLS_SHA256_H
#define LFM2_TOOLS_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_HEX_BYTES 65 /* 64 digits and a NUL */

typedef struct sha256 {
    uint32_t state[8];
    uint64_t n_bytes;
    unsigned char block[64];
} sha256;

void sha256_init(sha256 *s);
void sha256_add(sha256 *s, const void *data, size_t n);
/* The digest in lower-case hex; s must be set up again before further use. */
void sha256_finish(sha256 *s, char hex[SHA256_HEX_BYTES]);

#endif
