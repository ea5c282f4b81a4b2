/* SPDX-License-Identifier: Apache-2.0
 * WebP, BMP, GIF, TIFF and AVIF images. */
#include "fuzz/image_fuzzing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n >= 2 && (data[0] == 0x89 || data[0] == 0xff)) return 0; /* PNG and JPEG have their own targets */
    decode_image(data, n);
    return 0;
}
