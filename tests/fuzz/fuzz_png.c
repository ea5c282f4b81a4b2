/* SPDX-License-Identifier: Apache-2.0
 * PNG images; signature and check sums are made right, so that what is behind them is reached. */
#include "fuzz/image_fuzzing.h"

static uint32_t crc(const uint8_t *p, size_t n)
{
    uint32_t c = 0xffffffffu;
    for (size_t i = 0; i < n; i++) {
        c ^= p[i];
        for (int bit = 0; bit < 8; bit++) c = c >> 1 ^ (c & 1 ? 0xedb88320u : 0);
    }
    return ~c;
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static uint8_t png[1 << 16];
    if (n < 8 || n > sizeof png) return 0;
    memcpy(png, data, n);
    memcpy(png, "\x89PNG\r\n\x1a\n", 8);
    for (size_t at = 8; n - at >= 12;) {
        const size_t size = be32(png + at);
        if (size > n - at - 12) break;
        const uint32_t c = crc(png + at + 4, size + 4);
        for (size_t i = 0; i < 4; i++) png[at + 8 + size + i] = (uint8_t)(c >> (24 - 8 * i));
        at += 12 + size;
    }
    decode_image(png, n);
    return 0;
}
