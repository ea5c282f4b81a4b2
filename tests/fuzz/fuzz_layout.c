/* SPDX-License-Identifier: Apache-2.0
 * Layout of any image: width, height, parameters and how the rest of the bytes make pixels come from the first ten. */
#include <math.h>

#include "fuzz/fuzzing.h"
#include "lfm2/layout.h"

enum { HEAD = 10, MAX_W = 240, MAX_H = 120 };

static void fill(lfm2_image *image, int kind, const uint8_t *data, size_t n)
{
    uint8_t *rgb = lfm2_buf_data(image->rgb);
    for (int32_t y = 0; y < image->height; y++) {
        for (int32_t x = 0; x < image->width; x++) {
            uint8_t *p = rgb + (size_t)y * image->stride_bytes + (size_t)x * 3;
            const size_t at = (size_t)y * (size_t)image->width + (size_t)x;
            uint8_t v = 255;
            if (n > 0 && kind == 0) v = data[at % n];
            if (n > 0 && kind == 1) v = data[at / 8 % n] >> at % 8 & 1 ? 255 : 0; /* bits */
            if (n > 0 && kind == 2) v = data[((size_t)(y / 7) * 97 + (size_t)(x / 5)) % n]; /* blocks of letters' size */
            if (n > 0 && kind == 3) v = (uint8_t)(x + y * 2 + (data[(at / 16) % n] > 200 ? 120 : 0)); /* on a slope */
            p[0] = v;
            p[1] = kind == 0 && n > 0 ? data[(at + 1) % n] : v;
            p[2] = v;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    lfm2_runtime *rt = fuzz_runtime(200);
    if (n < HEAD) return 0;
    lfm2_image image = {.width = 1 + (data[0] | data[1] << 8) % MAX_W, .height = 1 + (data[2] | data[3] << 8) % MAX_H};
    image.stride_bytes = (size_t)image.width * 3 + data[4] % 4;
    image.format = "png";
    lfm2_layout_params params = lfm2_layout_params_default();
    params.min_line_px = 1 + data[5] % 20;
    params.max_lines = 1 + data[6] * 10;
    params.max_skew_deg = data[7] % 46;
    CHECK(lfm2_buf_create(rt, image.stride_bytes * (size_t)image.height, &image.rgb) == 0);
    memset(lfm2_buf_data(image.rgb), 0, lfm2_buf_bytes(image.rgb));
    fill(&image, data[8] % 4, data + HEAD, n - HEAD);
    lfm2_layout *l = NULL;
    const int rc = lfm2_layout_find(rt, &image, &params, &l);
    CHECK(rc == 0 || rc == LFM2_ERR_LIMIT || rc == LFM2_ERR_UNSUPPORTED);
    if (rc == 0) {
        const int32_t n_found = lfm2_layout_n_lines(l);
        int32_t block = 0;
        CHECK(n_found >= 0 && n_found <= params.max_lines);
        CHECK(fabs(lfm2_layout_skew_deg(l)) <= params.max_skew_deg);
        for (int32_t i = 0; i < n_found; i++) {
            const lfm2_text_box *b = lfm2_layout_box(l, i);
            CHECK(b->x >= 0 && b->y >= 0 && b->w > 0 && b->h > 0);
            CHECK(b->x + b->w <= image.width && b->y + b->h <= image.height);
            CHECK(b->block == block || (i > 0 && b->block == block + 1));
            block = b->block;
            lfm2_image line;
            CHECK(lfm2_layout_line_image(l, i, &line) == 0);
            CHECK(line.width > 0 && line.height > 0 && line.width <= 2 * (image.width + image.height));
            lfm2_buf_unref(&line.rgb);
        }
        lfm2_layout_destroy(l);
    }
    lfm2_buf_unref(&image.rgb);
    return 0;
}
