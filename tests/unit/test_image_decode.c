/* SPDX-License-Identifier: Apache-2.0
 * Images of every kind decode to the reference's pixels; parameters do what they say. */
#include "base_testing.h"

#include <stdio.h>

#include "file_testing.h"
#include "lfm2/image.h"
#include "pipeline/image_impl.h"

#define IMAGES LFM2_TEST_DIR "/oracle/images"

static int is_built(const char *format)
{
#ifndef LFM2_HAVE_PNG
    if (strcmp(format, "png") == 0) return 0;
#endif
#ifndef LFM2_HAVE_JPEG
    if (strcmp(format, "jpeg") == 0) return 0;
#endif
#ifndef LFM2_HAVE_LIBAV
    if (strcmp(format, "png") != 0 && strcmp(format, "jpeg") != 0) return 0;
#endif
    return format[0] != '\0';
}

/* Compare with a PPM file of the same size. */
static void expect_pixels(const char *name, const lfm2_image *image, const char *ppm_path, int max_diff)
{
    size_t n;
    int width, height, at = 0;
    char *ppm = read_file(ppm_path, &n);
    assert_int_equal(sscanf(ppm, "P6 %d %d 255%n", &width, &height, &at), 2);
    assert_int_equal(image->width, width);
    assert_int_equal(image->height, height);
    assert_true(image->stride_bytes >= (size_t)width * 3);
    assert_int_equal(n, (size_t)at + 1 + (size_t)width * (size_t)height * 3);
    const unsigned char *want = (const unsigned char *)ppm + at + 1, *got = lfm2_buf_data(image->rgb);
    int worst = 0;
    for (int y = 0; y < height; y++) {
        for (int i = 0; i < width * 3; i++) {
            const int diff = abs(want[y * width * 3 + i] - got[(size_t)y * image->stride_bytes + (size_t)i]);
            if (diff > worst) worst = diff;
        }
    }
    if (worst > max_diff) fail_msg("%s: differs by up to %d from %s", name, worst, ppm_path);
    free(ppm);
}

static void decode_case(watched *x, const char *name, const char *format, int max_diff)
{
    char path[1024], ppm[1024];
    lfm2_image image = {0};
    lfm2_image_params params = lfm2_image_params_default();
    (void)snprintf(path, sizeof path, IMAGES "/%s", name);
    int rc = lfm2_image_decode_file(x->rt, path, NULL, &image);
    if (!is_built(format)) {
        assert_int_equal(rc, LFM2_ERR_UNSUPPORTED);
        return;
    }
    if (rc != 0) fail_msg("%s: %s: %s", name, lfm2_err_name(rc), x->log.line);
    assert_string_equal(image.format, format);
    assert_int_equal(image.partial, 0);
    (void)snprintf(ppm, sizeof ppm, IMAGES "/%s.ppm", name);
    expect_pixels(name, &image, ppm, max_diff);
    lfm2_image_fini(&image);
    assert_null(image.rgb);

    params.alpha = LFM2_ALPHA_DROP;
    assert_int_equal(lfm2_image_decode_file(x->rt, path, &params, &image), 0);
    char drop[1024];
    (void)snprintf(drop, sizeof drop, IMAGES "/%s.drop.ppm", name);
    expect_pixels(name, &image, access(drop, R_OK) == 0 ? drop : ppm, max_diff);
    lfm2_image_fini(&image);
}

static int decode_cases(watched *x, const char *folder)
{
    char path[1024];
    size_t n;
    (void)snprintf(path, sizeof path, IMAGES "/%scases.txt", folder);
    char *cases = read_file(path, &n), *rest = NULL;
    int n_cases = 0;
    for (char *line = strtok_r(cases, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest), n_cases++) {
        char name[128], full_name[256], format[16];
        int max_diff;
        assert_int_equal(sscanf(line, "%127s %15s %d", name, format, &max_diff), 3);
        (void)snprintf(full_name, sizeof full_name, "%s%s", folder, name);
        decode_case(x, full_name, format, max_diff);
    }
    free(cases);
    return n_cases;
}

static void reference_pixels(void **state)
{
    assert_true(decode_cases(*state, "") > 60);
    assert_true(decode_cases(*state, "more/") >= 20);
}

static void as_stored(void **state)
{
    watched *x = *state;
    lfm2_image_params params = lfm2_image_params_default();
    params.apply_orientation = 0;
    for (int o = 1; is_built("jpeg") && o <= 8; o++) {
        char path[1024];
        lfm2_image image;
        (void)snprintf(path, sizeof path, IMAGES "/exif-%d.jpg", o);
        assert_int_equal(lfm2_image_decode_file(x->rt, path, &params, &image), 0);
        expect_pixels(path, &image, IMAGES "/exif-1.jpg.ppm", 1);
        lfm2_image_fini(&image);
    }
}

/* libav decodes no transparency of AVIF: said, not passed over. */
static void avif_alpha_is_said(void **state)
{
    watched *x = *state;
    lfm2_image image;
    if (!is_built("avif")) skip();
    assert_int_equal(lfm2_image_decode_file(x->rt, IMAGES "/grey.avif", NULL, &image), 0);
    lfm2_image_fini(&image);
    assert_int_equal(x->log.n_lines, 0);
    assert_int_equal(lfm2_image_decode_file(x->rt, IMAGES "/more/alpha.avif", NULL, &image), 0);
    lfm2_image_fini(&image);
    assert_non_null(strstr(x->log.line, "transparency"));
}

/* Limits hold at exactly their value. */
static void limits(void **state)
{
    watched *x = *state;
    static const char *const names[] = {"png-2-8.png", "rgb.jpg", "rgb.bmp", "lossless.webp", "rgb-raw.tif", "palette.gif"};
    static const char *const formats[] = {"png", "jpeg", "bmp", "webp", "tiff", "gif"};
    for (size_t i = 0; i < LFM2__COUNT_OF(names); i++) {
        if (!is_built(formats[i])) continue;
        char path[1024];
        size_t n;
        lfm2_image image;
        (void)snprintf(path, sizeof path, IMAGES "/%s", names[i]);
        char *data = read_file(path, &n);
        lfm2_image_params params = lfm2_image_params_default();
        assert_int_equal(lfm2_image_decode_bytes(x->rt, data, n, "a", &params, &image), 0);
        const int32_t width = image.width, height = image.height;
        lfm2_image_fini(&image);
        params.max_pixels = (int64_t)width * height;
        params.max_side = width > height ? width : height;
        params.max_bytes = n;
        assert_int_equal(lfm2_image_decode_bytes(x->rt, data, n, "a", &params, &image), 0);
        lfm2_image_fini(&image);
        params.max_pixels--;
        assert_int_equal(lfm2_image_decode_bytes(x->rt, data, n, "a", &params, &image), LFM2_ERR_LIMIT);
        params.max_pixels++;
        params.max_side--;
        assert_int_equal(lfm2_image_decode_bytes(x->rt, data, n, "a", &params, &image), LFM2_ERR_LIMIT);
        params.max_side++;
        params.max_bytes--;
        assert_int_equal(lfm2_image_decode_bytes(x->rt, data, n, "a", &params, &image), LFM2_ERR_LIMIT);
        assert_int_equal(lfm2_image_decode_file(x->rt, path, &params, &image), LFM2_ERR_LIMIT);
        free(data);
    }
}

static void scan_limit(void **state)
{
    watched *x = *state;
    lfm2_image image;
    lfm2_image_params params = lfm2_image_params_default();
    if (!is_built("jpeg")) skip();
    params.max_scans = 10; /* as many as libjpeg's usual progression of three components has */
    assert_int_equal(lfm2_image_decode_file(x->rt, IMAGES "/progressive.jpg", &params, &image), 0);
    lfm2_image_fini(&image);
    params.max_scans = 9;
    assert_int_equal(lfm2_image_decode_file(x->rt, IMAGES "/progressive.jpg", &params, &image), LFM2_ERR_LIMIT);
}

static void bad_arguments(void **state)
{
    watched *x = *state;
    lfm2_image image;
    const lfm2_image_params good = lfm2_image_params_default();
    lfm2_image_params bad[12];
    for (size_t i = 0; i < LFM2__COUNT_OF(bad); i++) bad[i] = good;
    bad[0].max_pixels = 0;
    bad[1].max_pixels = (int64_t)INT32_MAX + 1;
    bad[2].max_side = 0;
    bad[3].max_side = (1 << 30) + 1;
    bad[4].max_scans = 0;
    bad[5].max_scans = (1 << 30) + 1;
    bad[6].max_bytes = 0;
    bad[7].max_bytes = ((uint64_t)1 << 40) + 1;
    bad[8].alpha = (lfm2_alpha)2;
    bad[9].apply_orientation = 2;
    bad[10].apply_orientation = -1;
    bad[11].max_pixels = -1;
    for (size_t i = 0; i < LFM2__COUNT_OF(bad); i++) {
        assert_int_equal(lfm2_image_decode_bytes(x->rt, "BM", 2, "a", &bad[i], &image), LFM2_ERR_ARG);
        assert_int_equal(lfm2_image_decode_file(x->rt, IMAGES "/rgb.bmp", &bad[i], &image), LFM2_ERR_ARG);
    }
    assert_int_equal(lfm2_image_decode_bytes(NULL, "BM", 2, "a", NULL, &image), LFM2_ERR_ARG);
    assert_int_equal(lfm2_image_decode_bytes(x->rt, NULL, 2, "a", NULL, &image), LFM2_ERR_ARG);
    assert_int_equal(lfm2_image_decode_bytes(x->rt, "BM", 2, NULL, NULL, &image), LFM2_ERR_ARG);
    assert_int_equal(lfm2_image_decode_bytes(x->rt, "BM", 2, "a", NULL, NULL), LFM2_ERR_ARG);
    assert_int_equal(lfm2_image_decode_bytes(x->rt, NULL, 0, "a", NULL, &image), LFM2_ERR_FORMAT);
    assert_int_equal(lfm2_image_decode_file(NULL, "a", NULL, &image), LFM2_ERR_ARG);
    assert_int_equal(lfm2_image_decode_file(x->rt, NULL, NULL, &image), LFM2_ERR_ARG);
    assert_int_equal(lfm2_image_decode_file(x->rt, "a", NULL, NULL), LFM2_ERR_ARG);
    lfm2_image_fini(NULL);
}

/* The directory of a TIFF structure with one entry, in both byte orders. */
static void exif_tags(void **state)
{
    (void)state;
    unsigned char little[] = "Exif\0\0II*\0\10\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0";
    unsigned char big[] = "Exif\0\0MM\0*\0\0\0\10\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0";
    const size_t n = 6 + 8 + 2 + 12;
    assert_int_equal(lfm2__exif_orientation(little, n), 6);
    assert_int_equal(lfm2__exif_orientation(big, n), 6);
    assert_int_equal(lfm2__exif_orientation(little + 6, n - 6), 6);
    assert_int_equal(lfm2__exif_orientation(big + 6, n - 6), 6);
    for (size_t cut = 0; cut < n; cut++) {
        unsigned char *part = malloc(cut + 1);
        memcpy(part + 1, little, cut); /* ends where the block does, so that a read behind it is seen */
        assert_int_equal(lfm2__exif_orientation(part + 1, cut), 1);
        free(part);
    }
    for (unsigned v = 0; v < 256; v++) {
        little[24] = (unsigned char)v;
        assert_int_equal(lfm2__exif_orientation(little, n), v >= 1 && v <= 8 ? v : 1);
    }
    little[24] = 6;
    little[18] = 2; /* text */
    assert_int_equal(lfm2__exif_orientation(little, n), 1);
    little[18] = 4;
    assert_int_equal(lfm2__exif_orientation(little, n), 6);
    little[20] = 2; /* two values */
    assert_int_equal(lfm2__exif_orientation(little, n), 1);
    little[20] = 1;
    memset(little + 10, 0xff, 4); /* a directory far outside */
    assert_int_equal(lfm2__exif_orientation(little, n), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reference_pixels, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(as_stored, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(avif_alpha_is_said, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(limits, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(scan_limit, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(bad_arguments, watch_setup, watch_teardown),
        cmocka_unit_test(exif_tags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
