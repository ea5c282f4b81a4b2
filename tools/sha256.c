/* SPDX-License-Identifier: Apache-2.0
 * SHA-256 by libcrypto, which uses the processor's own instructions for it: model files are gigabytes. */
#include "tools/sha256.h"

#include <openssl/evp.h>
#include <stdio.h>

int sha256_init(sha256 *s)
{
    s->context = EVP_MD_CTX_new();
    if (!s->context) return -1;
    if (EVP_DigestInit_ex(s->context, EVP_sha256(), NULL) == 1) return 0;
    EVP_MD_CTX_free(s->context);
    s->context = NULL;
    return -1;
}

int sha256_add(sha256 *s, const void *data, size_t n)
{
    return EVP_DigestUpdate(s->context, data, n) == 1 ? 0 : -1;
}

int sha256_finish(sha256 *s, char hex[SHA256_HEX_BYTES])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    const int ok = EVP_DigestFinal_ex(s->context, digest, &n) == 1 && 2 * n + 1 == SHA256_HEX_BYTES;

    EVP_MD_CTX_free(s->context);
    s->context = NULL;
    for (unsigned i = 0; ok && i < n; i++) snprintf(hex + (size_t)2 * i, 3, "%02x", digest[i]);
    return ok ? 0 : -1;
}
