/* SPDX-License-Identifier: Apache-2.0
 * Whatever has pictures one after another: videos, animations, pages of TIFF files. The last byte chooses what is asked for. */
#include "fuzz/fuzzing.h"
#include "pipeline/frames_impl.h"

enum { MAX_PIXELS = 1 << 14, MAX_FRAMES = 6 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    lfm2_runtime *rt = fuzz_runtime(800);
    lfm2_frames_params params = lfm2_frames_params_default();
    lfm2_frames *frames = NULL;
    if (n == 0) return 0;
    const unsigned choice = data[--n];
    params.image.max_pixels = MAX_PIXELS;
    params.image.max_bytes = 1 << 20;
    params.image.max_scans = 20;
    params.max_frames = MAX_FRAMES;
    if (choice & 1) params.every_us = 1;
    if (choice & 2) params.scene_change = 0.05;
    int rc = lfm2__frames_open_memory(rt, data, n, "fuzz", &params, &frames);
    CHECK(rc == 0 || rc == LFM2_ERR_FORMAT || rc == LFM2_ERR_LIMIT || rc == LFM2_ERR_UNSUPPORTED);
    int64_t last_us = 0;
    int32_t n_frames = 0;
    for (int n_errors = 0; rc == 0 && n_errors < 4;) {
        lfm2_frame frame;
        const int got = lfm2_frames_next(frames, &frame);
        if (got == LFM2_EOF || got == LFM2_ERR_STATE) break;
        CHECK(got == 0 || got == LFM2_ERR_FORMAT || got == LFM2_ERR_LIMIT || got == LFM2_ERR_UNSUPPORTED);
        if (got < 0) {
            n_errors++;
            continue;
        }
        const lfm2_image *image = &frame.image;
        CHECK(image->width > 0 && image->height > 0 && (int64_t)image->width * image->height <= MAX_PIXELS);
        CHECK(frame.pts_us >= last_us && ++n_frames <= MAX_FRAMES);
        last_us = frame.pts_us;
        unsigned long long sum = 0;
        const unsigned char *rgb = lfm2_buf_data(image->rgb);
        for (int32_t y = 0; y < image->height; y++) {
            for (int32_t i = 0; i < image->width * 3; i++) sum += rgb[(size_t)y * image->stride_bytes + (size_t)i];
        }
        CHECK(sum <= 255ull * 3 * MAX_PIXELS);
        lfm2_image_fini(&frame.image);
    }
    lfm2_frames_close(frames);
    return 0;
}
