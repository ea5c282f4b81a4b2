/* SPDX-License-Identifier: Apache-2.0
 * Image files that lie, end early, or are none. */
#include "base_testing.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include "file_testing.h"
#include "lfm2/image.h"

#define IMAGES LFM2_TEST_DIR "/oracle/images"
#if defined(LFM2_HAVE_PNG) && defined(LFM2_HAVE_JPEG) && defined(LFM2_HAVE_LIBAV)
#define HAS_ALL 1
#else
#define HAS_ALL 0 /* what is not built is refused for that */
#endif
#define MOST_BYTES ((size_t)64 << 20)

static int status_from_name(const char *name)
{
    static const struct {
        const char *name;
        int status;
    } names[] = {{"FORMAT", LFM2_ERR_FORMAT}, {"LIMIT", LFM2_ERR_LIMIT}, {"UNSUPPORTED", LFM2_ERR_UNSUPPORTED}};
    for (size_t i = 0; i < LFM2__COUNT_OF(names); i++) {
        if (strcmp(names[i].name, name) == 0) return names[i].status;
    }
    return 0;
}

static int refuse_cases(watched *x, const char *folder)
{
    char list[1024];
    size_t n;
    (void)snprintf(list, sizeof list, IMAGES "/%shostile.txt", folder);
    char *cases = read_file(list, &n), *rest = NULL;
    int n_cases = 0;
    for (char *line = strtok_r(cases, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest), n_cases++) {
        char name[128], status[16], path[1024];
        lfm2_image image;
        assert_int_equal(sscanf(line, "%127s %15s", name, status), 2);
        (void)snprintf(path, sizeof path, IMAGES "/%shostile/%s", folder, name);
        const int before = x->log.n_lines, rc = lfm2_image_decode_file(x->rt, path, NULL, &image);
        if (rc != status_from_name(status) && (HAS_ALL || rc != LFM2_ERR_UNSUPPORTED)) {
            fail_msg("%s: %s, not %s", name, lfm2_err_name(rc), status);
        }
        assert_true(x->log.n_lines > before);
        assert_non_null(strstr(x->log.line, name));
        assert_int_equal(x->heap.n_live, x->n_live_before);
    }
    free(cases);
    return n_cases;
}

static long peak_rss_kb(void)
{
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

static void refused(void **state)
{
    watched *x = *state;
    const long before = peak_rss_kb();
    assert_true(refuse_cases(x, "") > 40);
    assert_true(refuse_cases(x, "more/") >= 13);
    assert_true(x->heap.peak_bytes < MOST_BYTES);
    const long grown = peak_rss_kb() - before;
    print_message("rejections: at most %zu bytes of the runtime's heap, the process grew by %ld KB\n", x->heap.peak_bytes, grown);
    if (!TEST_HAS_SHADOW) assert_true((size_t)grown < MOST_BYTES / 1024); /* also what the libraries take for themselves */
}

/* Cut after every byte, or of long files at each 1 %: an error, or an image that says it is incomplete. */
static void cut_everywhere(watched *x, const char *name, size_t n_harmless)
{
    char path[1024];
    size_t n;
    int n_partial = 0;
    (void)snprintf(path, sizeof path, IMAGES "/%s", name);
    char *data = read_file(path, &n);
    lfm2_image whole;
    const int rc_whole = lfm2_image_decode_bytes(x->rt, data, n, name, NULL, &whole);
    if (rc_whole == LFM2_ERR_UNSUPPORTED) {
        free(data);
        return;
    }
    assert_int_equal(rc_whole, 0);
    const size_t step = n > 4096 ? n / 100 : 1;
    for (size_t cut = 0; cut + n_harmless < n; cut += step) {
        lfm2_image image;
        char *part = malloc(cut + 1);
        memcpy(part, data, cut);
        const int rc = lfm2_image_decode_bytes(x->rt, part, cut, name, NULL, &image);
        if (rc == 0) {
            if (!image.partial) fail_msg("%s: cut after %zu of %zu bytes: not noticed", name, cut, n);
            n_partial++;
            lfm2_image_fini(&image);
        } else if (rc != LFM2_ERR_FORMAT && (rc != LFM2_ERR_UNSUPPORTED || cut > 32)) {
            fail_msg("%s: cut after %zu of %zu bytes: %s", name, cut, n, lfm2_err_name(rc));
        }
        free(part);
    }
    if (strstr(name, ".png") != NULL || strstr(name, ".jpg") != NULL) assert_true(n_partial > 0);
    lfm2_image_fini(&whole);
    free(data);
}

static void cut_png(void **state)
{
    cut_everywhere(*state, "png-6-16.png", 0);
    cut_everywhere(*state, "png-2-16-interlaced.png", 0);
    cut_everywhere(*state, "png-3-8-trns.png", 0);
    cut_everywhere(*state, "png-0-8-late-exif.png", 0);
}

static void cut_jpeg(void **state)
{
    cut_everywhere(*state, "rgb.jpg", 0);
    cut_everywhere(*state, "progressive.jpg", 0);
    cut_everywhere(*state, "restart.jpg", 0);
    cut_everywhere(*state, "ycck.jpg", 0);
}

static void cut_others(void **state)
{
    cut_everywhere(*state, "lossless.webp", 0);
    cut_everywhere(*state, "grey.webp", 0);
    cut_everywhere(*state, "rgb.bmp", 0);
    cut_everywhere(*state, "palette.gif", 1); /* the trailer */
    cut_everywhere(*state, "rgb-raw.tif", 0);
    cut_everywhere(*state, "rgb-tiff_lzw.tif", 0);
    cut_everywhere(*state, "grey.avif", 0);
}

static void cut_large(void **state)
{
    static const char *const names[] = {"large.png", "large.jpg", "large-progressive.jpg", "large.gif", "large.bmp", "large.tif",
                                        "large.webp", "large.avif"};
    for (size_t i = 0; i < LFM2__COUNT_OF(names); i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "more/%s", names[i]);
        cut_everywhere(*state, name, strcmp(names[i], "large.gif") == 0);
    }
}

/* A progressive JPEG whose last scan comes a hundred thousand times; a PNG with a million chunks that nobody wants. */
static void without_end(void **state)
{
    watched *x = *state;
    enum { N_SCANS = 100000, N_CHUNKS = 1000000 };
    static const unsigned char chunk[] = {0, 0, 0, 1, 't', 'E', 'X', 't', 'a', 0, 0, 0, 0};
    size_t n;
    lfm2_image image;
    char *jpeg = read_file(IMAGES "/progressive.jpg", &n);
    size_t scan = n - 2;
    while (scan > 0 && !((unsigned char)jpeg[scan] == 0xff && (unsigned char)jpeg[scan + 1] == 0xda)) scan--;
    const size_t n_scan = n - 2 - scan;
    char *many = malloc(n + n_scan * N_SCANS);
    assert_non_null(many);
    memcpy(many, jpeg, n - 2);
    for (size_t i = 0; i < N_SCANS; i++) memcpy(many + n - 2 + i * n_scan, jpeg + scan, n_scan);
    int rc = lfm2_image_decode_bytes(x->rt, many, n - 2 + n_scan * N_SCANS, "scans.jpg", NULL, &image);
    assert_true(rc == LFM2_ERR_LIMIT || (!HAS_ALL && rc == LFM2_ERR_UNSUPPORTED));
    free(many);
    free(jpeg);

    char *png = read_file(IMAGES "/png-2-8.png", &n);
    many = malloc(n + sizeof chunk * N_CHUNKS);
    assert_non_null(many);
    memcpy(many, png, 33);
    for (size_t i = 0; i < N_CHUNKS; i++) memcpy(many + 33 + i * sizeof chunk, chunk, sizeof chunk);
    memcpy(many + 33 + sizeof chunk * N_CHUNKS, png + 33, n - 33);
    x->heap.peak_bytes = x->heap.live_bytes;
    rc = lfm2_image_decode_bytes(x->rt, many, n + sizeof chunk * N_CHUNKS, "chunks.png", NULL, &image);
    assert_true(rc == 0 || (!HAS_ALL && rc == LFM2_ERR_UNSUPPORTED));
    if (rc == 0) lfm2_image_fini(&image);
    assert_true(x->heap.peak_bytes < 1 << 20);
    free(many);
    free(png);
}

/* A name decides nothing. */
static void wrong_extension(void **state)
{
    watched *x = *state;
    static const char *const files[][2] = {{"png-2-8.png", "png"}, {"rgb.jpg", "jpeg"}, {"lossless.webp", "webp"},
                                           {"rgb-raw.tif", "tiff"}};
    static const char *const names[] = {"a.jpg", "a.png", "a.mp4", "a", "a.txt", "..gif"};
    char folder[64];
    make_folder(folder, sizeof folder);
    for (size_t f = 0; f < LFM2__COUNT_OF(files); f++) {
        char path[1024];
        size_t n;
        (void)snprintf(path, sizeof path, IMAGES "/%s", files[f][0]);
        char *data = read_file(path, &n);
        for (size_t i = 0; i < LFM2__COUNT_OF(names); i++) {
            lfm2_image image;
            write_file_in(folder, names[i], data, n);
            (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
            const int rc = lfm2_image_decode_file(x->rt, path, NULL, &image);
            if (rc == LFM2_ERR_UNSUPPORTED) continue;
            assert_int_equal(rc, 0);
            assert_string_equal(image.format, files[f][1]);
            lfm2_image_fini(&image);
        }
        free(data);
    }
    remove_folder(folder);
}

static void no_regular_file(void **state)
{
    watched *x = *state;
    char folder[64], path[128];
    lfm2_image image;
    make_folder(folder, sizeof folder);
    assert_int_equal(lfm2_image_decode_file(x->rt, folder, NULL, &image), LFM2_ERR_IO);
    (void)snprintf(path, sizeof path, "%s/fifo.png", folder);
    assert_int_equal(lfm2_image_decode_file(x->rt, path, NULL, &image), LFM2_ERR_NOT_FOUND);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(lfm2_image_decode_file(x->rt, path, NULL, &image), LFM2_ERR_IO);
    remove_folder(folder);
}

static void aborted(void **state)
{
    watched *x = *state;
    static const char *const names[] = {"png-2-8.png", "rgb.jpg", "rgb.bmp"};
    lfm2_runtime_abort(x->rt);
    for (size_t i = 0; i < LFM2__COUNT_OF(names); i++) {
        char path[1024];
        lfm2_image image;
        (void)snprintf(path, sizeof path, IMAGES "/%s", names[i]);
        assert_int_equal(lfm2_image_decode_file(x->rt, path, NULL, &image), LFM2_ERR_ABORTED);
    }
}

/* Every allocation that the runtime sees fails once. */
static void without_memory(void **state)
{
    watched *x = *state;
    static const char *const names[] = {"png-6-8-interlaced.png", "png-2-8-exif.png", "cmyk.jpg", "exif-5.jpg",
                                        "lossless-exif.webp", "palette.gif"};
    for (size_t i = 0; i < LFM2__COUNT_OF(names); i++) {
        char path[1024];
        (void)snprintf(path, sizeof path, IMAGES "/%s", names[i]);
        for (long k = 0; test_fail_next(&x->heap, &k);) {
            lfm2_image image;
            const int rc = lfm2_image_decode_file(x->rt, path, NULL, &image);
            if (rc == LFM2_ERR_UNSUPPORTED) continue;
            assert_int_equal(rc, test_has_failed(&x->heap) ? LFM2_ERR_NOMEM : 0);
            if (rc == 0) lfm2_image_fini(&image);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(refused, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(cut_png, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(cut_jpeg, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(cut_others, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(cut_large, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(without_end, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(wrong_extension, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(no_regular_file, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(aborted, watch_setup, watch_teardown),
        cmocka_unit_test_setup_teardown(without_memory, watch_setup, watch_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
