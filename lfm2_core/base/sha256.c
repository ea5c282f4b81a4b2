/* SPDX-License-Identifier: Apache-2.0
 * SHA-256 by libcrypto, which uses the processor's own instructions for it: model files are gigabytes. */
#include "lfm2/sha256.h"

#include <openssl/evp.h>

int lfm2_sha256_init(lfm2_sha256 *s)
{
    s->context = EVP_MD_CTX_new();
    if (s->context == NULL) return LFM2_ERR_NOMEM;
    if (EVP_DigestInit_ex(s->context, EVP_sha256(), NULL) == 1) return 0;
    EVP_MD_CTX_free(s->context);
    s->context = NULL;
    return LFM2_ERR_NOMEM;
}

int lfm2_sha256_add(lfm2_sha256 *s, const void *data, size_t n)
{
    return EVP_DigestUpdate(s->context, data, n) == 1 ? 0 : LFM2_ERR_NOMEM;
}

int lfm2_sha256_finish(lfm2_sha256 *s, unsigned char digest[LFM2_SHA256_BYTES])
{
    unsigned char all[EVP_MAX_MD_SIZE];
    unsigned n = 0, i;
    const int ok = EVP_DigestFinal_ex(s->context, all, &n) == 1 && n == LFM2_SHA256_BYTES;

    EVP_MD_CTX_free(s->context);
    s->context = NULL;
    for (i = 0; ok && i < LFM2_SHA256_BYTES; i++) digest[i] = all[i];
    return ok ? 0 : LFM2_ERR_NOMEM;
}

void lfm2_sha256_hex(const unsigned char digest[LFM2_SHA256_BYTES], char hex[LFM2_SHA256_HEX_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    size_t i;

    for (i = 0; i < LFM2_SHA256_BYTES; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[2 * LFM2_SHA256_BYTES] = '\0';
}
