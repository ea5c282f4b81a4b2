/* SPDX-License-Identifier: Apache-2.0
 * EXIF blocks, and single tags of TIFF directories. */
#include "fuzz/fuzzing.h"
#include "pipeline/image_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    uint8_t *exact = malloc(n + 1); /* ends where the block does, so that a read behind it is seen */
    CHECK(exact != NULL);
    memcpy(exact + 1, data, n);
    const int32_t orientation = lfm2__exif_orientation(exact + 1, n);
    CHECK(orientation >= 1 && orientation <= 8);
    (void)lfm2__tiff_tag(exact + 1, n, 256, 1);
    (void)lfm2__tiff_tag(exact + 1, n, n > 1 ? data[1] : 0, 7);
    free(exact);
    return 0;
}
