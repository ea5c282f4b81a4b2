/* SPDX-License-Identifier: Apache-2.0
 * For the fuzz targets of the image decoders. */
#ifndef IMAGE_FUZZING_H
#define IMAGE_FUZZING_H

#include "fuzz/fuzzing.h"
#include "lfm2/image.h"

enum { MAX_PIXELS = 1 << 16, MAX_SCANS = 20 };

/* Decode, and read every pixel of what comes out. */
static inline void decode_image(const uint8_t *data, size_t n)
{
    lfm2_image_params params = lfm2_image_params_default();
    params.max_pixels = MAX_PIXELS;
    params.max_scans = MAX_SCANS;
    params.alpha = n % 2 ? LFM2_ALPHA_DROP : LFM2_ALPHA_WHITE;
    lfm2_image image;
    const int rc = lfm2_image_decode_bytes(fuzz_runtime(400), data, n, "fuzz", &params, &image);
    CHECK(rc == 0 || rc == LFM2_ERR_FORMAT || rc == LFM2_ERR_LIMIT || rc == LFM2_ERR_UNSUPPORTED);
    if (rc < 0) return;
    CHECK(image.width > 0 && image.height > 0 && (int64_t)image.width * image.height <= MAX_PIXELS);
    CHECK(image.partial == 0 || image.partial == 1);
    unsigned long long sum = 0;
    const unsigned char *rgb = lfm2_buf_data(image.rgb);
    for (int32_t y = 0; y < image.height; y++) {
        for (int32_t i = 0; i < image.width * 3; i++) sum += rgb[(size_t)y * image.stride_bytes + (size_t)i];
    }
    CHECK(sum <= 255ull * 3 * MAX_PIXELS);
    lfm2_image_fini(&image);
}

#endif
