/* SPDX-License-Identifier: Apache-2.0
 * SHA-256 in pieces, for comparing model files with a list of hashes. OpenSSL's libcrypto is behind sha256.c only. */
#ifndef LFM2_TOOLS_SHA256_H
#define LFM2_TOOLS_SHA256_H

#include <stddef.h>

#define SHA256_HEX_BYTES 65 /* 64 digits and a NUL */

typedef struct sha256 {
    void *context;
} sha256;

/* All return 0, or -1 when memory runs out; after a success of init, finish must follow, also after a failed add. */
int sha256_init(sha256 *s);
int sha256_add(sha256 *s, const void *data, size_t n);
/* The digest in lower-case hex; frees what init took. */
int sha256_finish(sha256 *s, char hex[SHA256_HEX_BYTES]);

#endif
