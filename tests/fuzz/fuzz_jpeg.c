/* SPDX-License-Identifier: Apache-2.0
 * JPEG images; whatever it is, it begins as one. */
#include "fuzz/image_fuzzing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static uint8_t jpeg[1 << 16];
    if (n < 3 || n > sizeof jpeg) return 0;
    memcpy(jpeg, data, n);
    memcpy(jpeg, "\xff\xd8\xff", 3);
    decode_image(jpeg, n);
    return 0;
}
