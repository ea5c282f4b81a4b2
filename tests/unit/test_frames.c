/* SPDX-License-Identifier: Apache-2.0
 * Frames: stills, pages, animations, videos, pipes, devices; what is wanted of them; damage. */
#include "base_testing.h"

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

#include "file_testing.h"
#include "pipeline/frames_impl.h"

#define FRAMES LFM2_TEST_DIR "/oracle/frames"
#define IMAGES LFM2_TEST_DIR "/oracle/images"
#ifndef LFM2_HAVE_LIBAV
#define WITHOUT_LIBAV() skip()
#else
#define WITHOUT_LIBAV() (void)0
#endif

enum { MAX_SEEN = 64 };

typedef struct seen {
    int n, n_partial, last_rc;
    int32_t width, height, page[MAX_SEEN];
    int64_t pts_us[MAX_SEEN];
    int grey[MAX_SEEN]; /* right lower corner, red */
    char format[16];
} seen;

/* All frames until the end or an error. */
static void look(lfm2_frames *f, seen *s)
{
    lfm2_frame frame;
    memset(s, 0, sizeof *s);
    while ((s->last_rc = lfm2_frames_next(f, &frame)) == 0 && s->n < MAX_SEEN) {
        const lfm2_image *image = &frame.image;
        const unsigned char *rgb = lfm2_buf_data(image->rgb);
        s->width = image->width;
        s->height = image->height;
        s->page[s->n] = frame.page;
        s->pts_us[s->n] = frame.pts_us;
        s->grey[s->n] = rgb[(size_t)(image->height - 1) * image->stride_bytes + (size_t)(image->width - 1) * 3];
        s->n_partial += image->partial;
        (void)snprintf(s->format, sizeof s->format, "%s", image->format);
        s->n++;
        lfm2_image_fini(&frame.image);
    }
}

static int look_at(watched *x, const char *path, const lfm2_frames_params *params, seen *s)
{
    lfm2_frames *f = NULL;
    const int rc = lfm2_frames_open(x->rt, path, params, &f);
    if (rc < 0) return rc;
    look(f, s);
    if (s->last_rc == LFM2_EOF) {
        lfm2_frame frame;
        assert_int_equal(lfm2_frames_next(f, &frame), LFM2_EOF); /* stays */
    }
    lfm2_frames_close(f);
    return 0;
}

static lfm2_frames_params every(int64_t us)
{
    lfm2_frames_params p = lfm2_frames_params_default();
    p.every_us = us;
    return p;
}

/* Ten pictures of 5 a second, one of grey 20 + 20 k each. */
static void videos(void **state)
{
    static const char *const names[] = {"h264.mp4", "fast.mp4", "h264.mkv", "h264.ts", "vp9.webm", "vp8.webm", "mjpeg.avi",
                                        "mpeg4.avi", "theora.ogv", "av1.mkv"};
    seen s;
    WITHOUT_LIBAV();
    for (size_t i = 0; i < LFM2__COUNT_OF(names); i++) {
        char path[1024];
        (void)snprintf(path, sizeof path, FRAMES "/%s", names[i]);
        lfm2_frames_params p = every(1);
        const int rc = look_at(*state, path, &p, &s);
        if (rc != 0) fail_msg("%s: %s: %s", names[i], lfm2_err_name(rc), ((watched *)*state)->log.line);
        assert_int_equal(s.last_rc, LFM2_EOF);
        if (s.n != 10) fail_msg("%s: %d pictures", names[i], s.n);
        assert_true(s.width == 48 && s.height == 32 && s.n_partial == 0);
        assert_string_equal(s.format, "video");
        for (int k = 0; k < 10; k++) {
            assert_in_range(s.pts_us[k] + 1000, k * 200000, k * 200000 + 2000);
            assert_in_range(s.grey[k], 20 + 20 * k - 8, 20 + 20 * k + 8);
            assert_int_equal(s.page[k], k);
        }
        assert_int_equal(look_at(*state, path, NULL, &s), 0); /* one each second */
        assert_int_equal(s.n, 2);
        assert_in_range(s.grey[1], 112, 128);
    }
}

static void choice_of_frames(void **state)
{
    static const char path[] = FRAMES "/h264.mp4";
    seen s;
    WITHOUT_LIBAV();
    lfm2_frames_params p = every(500000);
    assert_int_equal(look_at(*state, path, &p, &s), 0);
    assert_int_equal(s.n, 4); /* 0, 0.6, 1.0, 1.6 s: the first one at or behind each half second */
    assert_true(s.pts_us[1] == 600000 && s.pts_us[2] == 1000000 && s.pts_us[3] == 1600000);
    p.max_duration_us = 999999;
    assert_int_equal(look_at(*state, path, &p, &s), 0);
    assert_int_equal(s.n, 2);
    p = every(1);
    p.max_frames = 3;
    assert_int_equal(look_at(*state, path, &p, &s), 0);
    assert_int_equal(s.n, 3);
    p = lfm2_frames_params_default();
    p.scene_change = 0.11; /* a step is 20 / 255 of three quarters of the picture: 0.06 */
    assert_int_equal(look_at(*state, path, &p, &s), 0);
    assert_int_equal(s.n, 5);
    assert_true(s.pts_us[0] == 0 && s.pts_us[1] == 400000 && s.pts_us[4] == 1600000);
    p.every_us = 1000000;
    assert_int_equal(look_at(*state, path, &p, &s), 0);
    assert_in_range(s.n, 5, 6);
    p.every_us = 0;
    p.scene_change = 1;
    assert_int_equal(look_at(*state, path, &p, &s), 0);
    assert_int_equal(s.n, 1);
}

/* The bright strip of the upper edge lies where the rotation puts it. */
static void rotation(void **state)
{
    static const struct {
        const char *name;
        int32_t width, height;
        int right, lower; /* share of the strip among the pixels of the right and lower edge, of 4 */
    } cases[] = {{"rotate-90.mp4", 32, 48, 1, 0}, {"rotate-180.mp4", 48, 32, 0, 1}, {"rotate-270.mp4", 32, 48, 0, 0}};
    watched *x = *state;
    WITHOUT_LIBAV();
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        char path[1024];
        lfm2_frames *f = NULL;
        lfm2_frame frame;
        (void)snprintf(path, sizeof path, FRAMES "/%s", cases[i].name);
        assert_int_equal(lfm2_frames_open(x->rt, path, NULL, &f), 0);
        assert_int_equal(lfm2_frames_next(f, &frame), 0);
        assert_true(frame.image.width == cases[i].width && frame.image.height == cases[i].height);
        const unsigned char *rgb = lfm2_buf_data(frame.image.rgb);
        const size_t stride = frame.image.stride_bytes;
        const size_t mid_x = (size_t)frame.image.width / 2, mid_y = (size_t)frame.image.height / 2;
        const int right = rgb[mid_y * stride + ((size_t)frame.image.width - 2) * 3] > 200;
        const int lower = rgb[((size_t)frame.image.height - 2) * stride + mid_x * 3] > 200;
        assert_true(right == cases[i].right && lower == cases[i].lower);
        lfm2_image_fini(&frame.image);
        lfm2_frames_close(f);
    }
    lfm2_frames_params p = lfm2_frames_params_default();
    seen s;
    p.image.apply_orientation = 0;
    assert_int_equal(look_at(x, FRAMES "/rotate-90.mp4", &p, &s), 0);
    assert_true(s.width == 48 && s.height == 32);
}

static void expect_ppm(const lfm2_image *image, const char *name, int k, int max_diff)
{
    char path[1024];
    size_t n;
    int width, height, at = 0;
    (void)snprintf(path, sizeof path, FRAMES "/%s.%d.ppm", name, k);
    char *ppm = read_file(path, &n);
    assert_int_equal(sscanf(ppm, "P6 %d %d 255%n", &width, &height, &at), 2);
    assert_true(image->width == width && image->height == height);
    const unsigned char *want = (const unsigned char *)ppm + at + 1, *rgb = lfm2_buf_data(image->rgb);
    for (int y = 0; y < height; y++) {
        for (int i = 0; i < width * 3; i++) {
            const int diff = abs(want[y * width * 3 + i] - rgb[(size_t)y * image->stride_bytes + (size_t)i]);
            if (diff > max_diff) fail_msg("%s: picture %d: differs by %d at row %d, byte %d", name, k, diff, y, i);
        }
    }
    free(ppm);
}

/* Animations: the first picture, or all if they are asked for; pages: always all. */
static void pictures_of_files(void **state)
{
    static const struct {
        const char *name, *format;
        int moves, max_diff;
    } cases[] = {{"moving.gif", "gif", 1, 0}, {"moving.webp", "webp", 1, 1}, {"moving-alpha.png", "png", 1, 0},
                 {"pages.tif", "tiff", 0, 0}};
    watched *x = *state;
    WITHOUT_LIBAV();
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        for (int asks = 0; asks < 2; asks++) {
            char path[1024];
            lfm2_frames *f = NULL;
            lfm2_frame frame;
            int n = 0;
            const lfm2_frames_params p = every(asks);
            (void)snprintf(path, sizeof path, FRAMES "/%s", cases[i].name);
            assert_int_equal(lfm2_frames_open(x->rt, path, &p, &f), 0);
            for (; lfm2_frames_next(f, &frame) == 0; n++) {
                assert_string_equal(frame.image.format, cases[i].format);
                assert_int_equal(frame.image.partial, 0);
                assert_int_equal(frame.page, n);
                if (cases[i].moves) assert_int_equal(frame.pts_us, n * 200000);
                assert_int_equal(frame.is_timed, cases[i].moves && asks);
                expect_ppm(&frame.image, cases[i].name, n, cases[i].max_diff);
                lfm2_image_fini(&frame.image);
            }
            assert_int_equal(n, cases[i].moves && !asks ? 1 : 3);
            lfm2_frames_close(f);
        }
    }
}

/* A still by any name; and the first picture of an animated WebP as an image. */
static void stills(void **state)
{
    static const char *const names[] = {"png-2-8.png", "rgb.jpg", "lossless.webp", "rgb.bmp", "palette.gif", "rgb-raw.tif",
                                        "grey.avif"};
    watched *x = *state;
    seen s;
    for (size_t i = 0; i < LFM2__COUNT_OF(names); i++) {
        char path[1024];
        (void)snprintf(path, sizeof path, IMAGES "/%s", names[i]);
        const int rc = look_at(x, path, NULL, &s);
        if (rc == LFM2_ERR_UNSUPPORTED || s.last_rc == LFM2_ERR_UNSUPPORTED) continue;
        assert_int_equal(rc, 0);
        assert_int_equal(s.last_rc, LFM2_EOF);
        assert_int_equal(s.n, 1);
        assert_int_equal(s.pts_us[0], 0);
    }
    WITHOUT_LIBAV();
    lfm2_image image;
    assert_int_equal(lfm2_image_decode_file(x->rt, FRAMES "/moving.webp", NULL, &image), 0);
    expect_ppm(&image, "moving.webp", 0, 1);
    lfm2_image_fini(&image);
}

static void refused(void **state)
{
    static const struct {
        const char *path;
        int rc;
    } cases[] = {
        {FRAMES "/absent.mp4", LFM2_ERR_NOT_FOUND},
        {FRAMES, LFM2_ERR_IO},
        {IMAGES "/hostile/empty.png", LFM2_ERR_FORMAT},
        {IMAGES "/hostile/script.png", LFM2_ERR_UNSUPPORTED},
        {IMAGES "/hostile/playlist.gif", LFM2_ERR_UNSUPPORTED},
        {IMAGES "/hostile/archive.jpg", LFM2_ERR_UNSUPPORTED},
        {IMAGES "/hostile/svg.png", LFM2_ERR_UNSUPPORTED},
#ifdef LFM2_HAVE_LIBAV
        {FRAMES "/sound-only.mp4", LFM2_ERR_UNSUPPORTED},
        {IMAGES "/hostile/magic.tif", LFM2_ERR_FORMAT},
#endif
    };
    watched *x = *state;
    lfm2_frames *f = NULL;
    for (size_t i = 0; i < LFM2__COUNT_OF(cases); i++) {
        const int before = x->log.n_lines;
        const int rc = lfm2_frames_open(x->rt, cases[i].path, NULL, &f);
        if (rc != cases[i].rc) fail_msg("%s: %s", cases[i].path, lfm2_err_name(rc));
        assert_true(x->log.n_lines > before);
        assert_null(f);
    }
    /* A file that names other files, whatever it says it is. */
    static const char *const texts[] = {"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n",
                                        "ffconcat version 1.0\nfile /etc/hostname\n", "concat:a.ts|b.ts",
                                        "data:image/png;base64,AA==",
                                        "subfile,,start,0,end,9,,:/etc/hostname"};
    for (size_t i = 0; i < LFM2__COUNT_OF(texts); i++) {
        const int rc = lfm2__frames_open_memory(x->rt, texts[i], strlen(texts[i]), "a.mp4", NULL, &f);
        assert_int_equal(rc, LFM2_ERR_UNSUPPORTED);
    }
    lfm2_frames_params bad[10];
    for (size_t i = 0; i < LFM2__COUNT_OF(bad); i++) bad[i] = lfm2_frames_params_default();
    bad[0].every_us = -1;
    bad[1].every_us = ((int64_t)1 << 50) + 1;
    bad[2].scene_change = -0.1;
    bad[3].scene_change = 1.5;
    bad[4].scene_change = (double)NAN;
    bad[5].max_frames = 0;
    bad[6].max_duration_us = 0;
    bad[7].image.max_pixels = 0;
    bad[8].image.max_bytes = 0;
    bad[9].max_frames = -1;
    for (size_t i = 0; i < LFM2__COUNT_OF(bad); i++) {
        assert_int_equal(lfm2_frames_open(x->rt, IMAGES "/rgb.bmp", &bad[i], &f), LFM2_ERR_ARG);
        assert_int_equal(lfm2_frames_open_device(x->rt, "lavfi", "testsrc", &bad[i], &f), LFM2_ERR_ARG);
    }
    assert_int_equal(lfm2_frames_open(NULL, "a", NULL, &f), LFM2_ERR_ARG);
    assert_int_equal(lfm2_frames_open(x->rt, NULL, NULL, &f), LFM2_ERR_ARG);
    assert_int_equal(lfm2_frames_open(x->rt, "a", NULL, NULL), LFM2_ERR_ARG);
    assert_int_equal(lfm2_frames_open_device(NULL, "a", "b", NULL, &f), LFM2_ERR_ARG);
    assert_int_equal(lfm2_frames_open_device(x->rt, "a", NULL, NULL, &f), LFM2_ERR_ARG);
    assert_int_equal(lfm2_frames_open_device(x->rt, "a", "b", NULL, NULL), LFM2_ERR_ARG);
    assert_int_equal(lfm2_frames_next(NULL, NULL), LFM2_ERR_ARG);
    assert_null(f);
    lfm2_frames_close(NULL);
}

/* Limits on pixels hold for videos and pages, at exactly their value. */
static void limits(void **state)
{
    watched *x = *state;
    lfm2_frames_params p = lfm2_frames_params_default();
    lfm2_frames *f = NULL;
    seen s;
    WITHOUT_LIBAV();
    p.image.max_pixels = 48 * 32;
    assert_int_equal(look_at(x, FRAMES "/vp9.webm", &p, &s), 0);
    assert_int_equal(s.n, 2);
    p.image.max_pixels--;
    assert_int_equal(lfm2_frames_open(x->rt, FRAMES "/vp9.webm", &p, &f), LFM2_ERR_LIMIT);
    p.image.max_pixels = 9 * 8; /* the second page has as many, the third one more */
    assert_int_equal(lfm2_frames_open(x->rt, FRAMES "/pages.tif", &p, &f), 0);
    lfm2_frame frame;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(lfm2_frames_next(f, &frame), 0);
        lfm2_image_fini(&frame.image);
    }
    assert_int_equal(lfm2_frames_next(f, &frame), LFM2_ERR_LIMIT);
    assert_int_equal(lfm2_frames_next(f, &frame), LFM2_EOF);
    lfm2_frames_close(f);
}

/* --- damage --- */

static int frames_of(watched *x, const void *data, size_t n, seen *s)
{
    lfm2_frames *f = NULL;
    const lfm2_frames_params p = every(1);
    const int rc = lfm2__frames_open_memory(x->rt, data, n, "damaged", &p, &f);
    memset(s, 0, sizeof *s);
    if (rc < 0) return rc;
    look(f, s);
    lfm2_frames_close(f);
    return s->n > 0 ? 0 : s->last_rc;
}

/* Cut at each 1 %, and a byte in each KB changed: an error, or pictures; none that is not there; no status but these. */
static void damaged_videos(void **state)
{
    static const char *const names[] = {"fast.mp4", "h264.mkv", "h264.ts", "vp9.webm", "mjpeg.avi", "mpeg4.avi", "moving.gif",
                                        "moving.webp", "moving-alpha.png", "pages.tif"};
    watched *x = *state;
    int n_marked = 0;
    WITHOUT_LIBAV();
    for (size_t i = 0; i < LFM2__COUNT_OF(names); i++) {
        char path[1024];
        size_t n;
        seen s;
        int most = 0;
        (void)snprintf(path, sizeof path, FRAMES "/%s", names[i]);
        char *data = read_file(path, &n);
        for (int percent = 1; percent <= 100; percent++) {
            const size_t cut = n * (size_t)percent / 100;
            char *part = malloc(cut + 1);
            memcpy(part, data, cut);
            const int rc = frames_of(x, part, cut, &s);
            assert_true(rc == 0 || rc == LFM2_ERR_FORMAT || rc == LFM2_ERR_UNSUPPORTED);
            assert_true(s.n <= 10);
            const int is_apng = strstr(names[i], ".png") != NULL; /* its demuxer gives up a picture whose end is missing */
            if (s.n < most && !is_apng) fail_msg("%s: %d pictures at %d %%, %d before", names[i], s.n, percent, most);
            if (rc == 0) most = s.n;
            free(part);
        }
        for (size_t at = 700; at < n; at += 1024) {
            data[at] = (char)(data[at] ^ 0x55);
            const int rc = frames_of(x, data, n, &s);
            assert_true(rc == 0 || rc == LFM2_ERR_FORMAT || rc == LFM2_ERR_UNSUPPORTED || rc == LFM2_ERR_LIMIT);
            n_marked += s.n_partial;
            data[at] = (char)(data[at] ^ 0x55);
        }
        memset(data + n / 2, 0xff, n / 4); /* more than can be concealed */
        const int rc = frames_of(x, data, n, &s);
        const int is_short = s.n < (i < 6 ? 10 : 3);
        const int is_noticed = rc < 0 || s.last_rc < 0 || s.n_partial > 0 || x->log.level == LFM2_LOG_WARN || is_short;
        if (!is_noticed) fail_msg("%s: a quarter is overwritten, and nothing says so", names[i]);
        n_marked += s.n_partial;
        free(data);
    }
    assert_true(n_marked > 0);
}

/* --- TIFF --- */

static void put32(unsigned char *p, uint32_t v)
{
    for (int i = 0; i < 4; i++) p[i] = (unsigned char)(v >> (8 * i));
}

static unsigned char *put_entry(unsigned char *p, unsigned tag, unsigned type, uint32_t value)
{
    p[0] = (unsigned char)tag, p[1] = (unsigned char)(tag >> 8);
    p[2] = (unsigned char)type, p[3] = 0;
    put32(p + 4, 1);
    put32(p + 8, value);
    return p + 12;
}

enum { PAGE_ENTRIES = 8, PAGE_BYTES = 2 + 12 * PAGE_ENTRIES + 4 + 2 };

/* Pages of 2 x 1 grey pixels, k and k >> 8, whose pixels stand behind their directory. Entry 1 can be wrong. */
static unsigned char *many_pages(int n_pages, size_t *n)
{
    *n = 8 + (size_t)n_pages * PAGE_BYTES;
    unsigned char *d = calloc(*n, 1);
    assert_non_null(d);
    memcpy(d, "II*\0\10\0\0\0", 8);
    for (int k = 0; k < n_pages; k++) {
        const size_t at = 8 + (size_t)k * PAGE_BYTES;
        unsigned char *p = d + at;
        p[0] = PAGE_ENTRIES;
        p = put_entry(p + 2, 256, 3, 2);
        p = put_entry(p, 257, 3, 1);
        p = put_entry(p, 258, 3, 8);
        p = put_entry(p, 259, 3, 1);
        p = put_entry(p, 262, 3, 1);
        p = put_entry(p, 273, 4, (uint32_t)(at + PAGE_BYTES - 2));
        p = put_entry(p, 278, 3, 1);
        p = put_entry(p, 279, 3, 2);
        put32(p, k + 1 < n_pages ? (uint32_t)(at + PAGE_BYTES) : 0);
        p[4] = (unsigned char)k;
        p[5] = (unsigned char)(k >> 8);
    }
    return d;
}

/* Ten thousand pages stream: memory is that of one. */
static void ten_thousand_pages(void **state)
{
    watched *x = *state;
    enum { N = 10000 };
    char folder[64], path[128];
    size_t n;
    lfm2_frames *f = NULL;
    lfm2_frame frame;
    WITHOUT_LIBAV();
    unsigned char *d = many_pages(N, &n);
    make_folder(folder, sizeof folder);
    write_file_in(folder, "many.tif", d, n);
    (void)snprintf(path, sizeof path, "%s/many.tif", folder);
    assert_int_equal(lfm2_frames_open(x->rt, path, NULL, &f), 0);
    for (int k = 0; k < 600; k++) {
        assert_int_equal(lfm2_frames_next(f, &frame), 0);
        const unsigned char *rgb = lfm2_buf_data(frame.image.rgb);
        assert_true(frame.page == k && rgb[0] == (k & 255) && rgb[3] == k >> 8);
        lfm2_image_fini(&frame.image);
    }
    assert_true(x->heap.peak_bytes < 1 << 20);
    lfm2_runtime_abort(x->rt);
    assert_int_equal(lfm2_frames_next(f, &frame), LFM2_ERR_ABORTED);
    lfm2_runtime_clear_abort(x->rt);
    assert_int_equal(lfm2_frames_next(f, &frame), LFM2_ERR_STATE);
    lfm2_frames_close(f);

    /* Nothing decoded, the chain alone: all of its pages, and no more than are wanted. */
    lfm2__infile *file = NULL;
    lfm2__tiff_pages *t = NULL;
    lfm2_image_params p = lfm2_image_params_default();
    assert_int_equal(lfm2__infile_open(x->rt, path, &file), 0);
    p.max_pixels = 1; /* every page is refused before it is decoded */
    assert_int_equal(lfm2__tiff_open(x->rt, file, &p, 1 << 20, &t), 0);
    lfm2_image image;
    int n_pages = 0, rc;
    while ((rc = lfm2__tiff_next(t, &image)) == LFM2_ERR_LIMIT) n_pages++;
    assert_int_equal(rc, LFM2_EOF);
    assert_int_equal(n_pages, N);
    lfm2__tiff_close(t);
    lfm2__infile_close(file);
    remove_folder(folder);
    free(d);
}

/* A file of 3 GB whose one page stands at its end is read as far as the page goes; as a single image it is over the limit. */
static void page_behind_gigabytes(void **state)
{
    watched *x = *state;
    const uint32_t AT = 3000000000u;
    char folder[64], path[128];
    size_t n;
    seen s;
    lfm2_image image;
    WITHOUT_LIBAV();
    unsigned char *d = many_pages(1, &n);
    unsigned char *entry = d + 8 + 2 + 5 * 12;
    put32(d + 4, AT);
    put32(entry + 8, AT + (uint32_t)PAGE_BYTES - 2);
    d[n - 2] = 77;
    make_folder(folder, sizeof folder);
    (void)snprintf(path, sizeof path, "%s/far.tif", folder);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(d, 1, 8, f), 8);
    assert_int_equal(fseek(f, (long)AT, SEEK_SET), 0);
    assert_int_equal(fwrite(d + 8, 1, n - 8, f), n - 8);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(look_at(x, path, NULL, &s), 0);
    assert_true(s.n == 1 && s.width == 2 && s.height == 1 && s.n_partial == 0);
    assert_true(x->heap.peak_bytes < 1 << 20);
    assert_int_equal(lfm2_image_decode_file(x->rt, path, NULL, &image), LFM2_ERR_LIMIT);
    remove_folder(folder);
    free(d);
}

static void rings_and_bad_pages(void **state)
{
    watched *x = *state;
    size_t n;
    seen s;
    WITHOUT_LIBAV();
    static const int ring_to[] = {0, 2, 6};
    for (size_t i = 0; i < LFM2__COUNT_OF(ring_to); i++) {
        unsigned char *d = many_pages(7, &n);
        put32(d + n - 6, (uint32_t)(8 + ring_to[i] * PAGE_BYTES));
        assert_int_equal(frames_of(x, d, n, &s), 0);
        assert_int_equal(s.n, 7);
        assert_int_equal(s.last_rc, LFM2_EOF);
        free(d);
    }
    unsigned char *d = many_pages(4, &n);
    unsigned char *second = d + 8 + PAGE_BYTES;
    lfm2_frames *f = NULL;
    lfm2_frame frame;
    put32(second + 2 + 8, 0); /* no width */
    assert_int_equal(lfm2__frames_open_memory(x->rt, d, n, "bad page", NULL, &f), 0);
    static const int want[] = {0, LFM2_ERR_FORMAT, 0, 0, LFM2_EOF};
    for (size_t i = 0; i < LFM2__COUNT_OF(want); i++) {
        assert_int_equal(lfm2_frames_next(f, &frame), want[i]);
        if (want[i] != 0) continue;
        assert_int_equal(frame.page, i);
        lfm2_image_fini(&frame.image);
    }
    lfm2_frames_close(f);
    /* Strips behind the end of the file, and lengths over any limit. */
    put32(second + 2 + 8, 2);
    put32(second + 2 + 5 * 12 + 8, 0x7fffffff);
    assert_int_equal(lfm2__frames_open_memory(x->rt, d, n, "bad page", NULL, &f), 0);
    assert_int_equal(lfm2_frames_next(f, &frame), 0);
    lfm2_image_fini(&frame.image);
    const int rc = lfm2_frames_next(f, &frame);
    assert_true(rc == LFM2_ERR_FORMAT || (rc == 0 && frame.image.partial));
    if (rc == 0) lfm2_image_fini(&frame.image);
    lfm2_frames_close(f);
    memset(second + 2 + 7 * 12 + 2, 0, 2);
    second[2 + 7 * 12 + 2] = 4;
    put32(second + 2 + 7 * 12 + 8, 0xfffffff0u);
    assert_int_equal(lfm2__frames_open_memory(x->rt, d, n, "bad page", NULL, &f), 0);
    assert_int_equal(lfm2_frames_next(f, &frame), 0);
    lfm2_image_fini(&frame.image);
    assert_int_equal(lfm2_frames_next(f, &frame), LFM2_ERR_LIMIT);
    lfm2_frames_close(f);
    free(d);
}

/* --- pipes --- */

typedef struct feeder {
    const char *path, *data;
    size_t n, step;
    long pause_ns;
} feeder;

static void *feed(void *arg)
{
    const feeder *d = arg;
    const int fd = open(d->path, O_WRONLY);
    for (size_t at = 0; fd >= 0 && at < d->n; at += d->step) {
        const struct timespec pause = {0, d->pause_ns};
        const size_t n = d->n - at < d->step ? d->n - at : d->step;
        if (write(fd, d->data + at, n) != (ssize_t)n) break;
        nanosleep(&pause, NULL);
    }
    if (fd >= 0) close(fd);
    return NULL;
}

/* Through a slow FIFO come the same pictures as from the file. */
static void slow_pipes(void **state)
{
    static const char *const names[] = {FRAMES "/h264.mkv", FRAMES "/h264.mp4", FRAMES "/pages.tif", FRAMES "/moving.webp",
                                        FRAMES "/moving.gif", IMAGES "/rgb.jpg", IMAGES "/png-2-8.png"};
    watched *x = *state;
    char folder[64], path[128];
    WITHOUT_LIBAV();
    make_folder(folder, sizeof folder);
    (void)snprintf(path, sizeof path, "%s/pipe", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    for (size_t i = 0; i < LFM2__COUNT_OF(names); i++) {
        const lfm2_frames_params p = every(1);
        seen direct, piped;
        size_t n;
        pthread_t thread;
        char *data = read_file(names[i], &n);
        feeder d = {path, data, n, 400, 1000000};
        assert_int_equal(look_at(x, names[i], &p, &direct), 0);
        assert_int_equal(pthread_create(&thread, NULL, feed, &d), 0);
        const int rc = look_at(x, path, &p, &piped);
        pthread_join(thread, NULL);
        if (rc != 0) fail_msg("%s: %s: %s", names[i], lfm2_err_name(rc), x->log.line);
        assert_true(piped.n == direct.n && piped.n > 0 && piped.last_rc == direct.last_rc);
        assert_memory_equal(piped.grey, direct.grey, sizeof piped.grey);
        assert_memory_equal(piped.pts_us, direct.pts_us, sizeof piped.pts_us);
        free(data);
    }
    remove_folder(folder);
}

static void *abort_soon(void *arg)
{
    const struct timespec pause = {0, 100000000};
    nanosleep(&pause, NULL);
    lfm2_runtime_abort(arg);
    return NULL;
}

/* A pipe that says nothing holds no abort up; one that says too much is refused. */
static void silent_and_endless_pipes(void **state)
{
    watched *x = *state;
    char folder[64], path[128];
    lfm2_frames *f = NULL;
    pthread_t thread;
    make_folder(folder, sizeof folder);
    (void)snprintf(path, sizeof path, "%s/pipe", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(pthread_create(&thread, NULL, abort_soon, x->rt), 0);
    assert_int_equal(lfm2_frames_open(x->rt, path, NULL, &f), LFM2_ERR_ABORTED);
    pthread_join(thread, NULL);
    lfm2_runtime_clear_abort(x->rt);
    char *much = calloc(1, 200000);
    assert_non_null(much);
    memcpy(much, "BM", 2);
    feeder d = {path, much, 200000, 50000, 0};
    lfm2_frames_params p = lfm2_frames_params_default();
    p.image.max_bytes = 100000;
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pthread_create(&thread, NULL, feed, &d), 0);
    assert_int_equal(lfm2_frames_open(x->rt, path, &p, &f), LFM2_ERR_LIMIT);
    pthread_join(thread, NULL);
    free(much);
    remove_folder(folder);
}

/* --- devices --- */

static void devices(void **state)
{
    watched *x = *state;
    lfm2_frames *f = NULL;
    seen s;
    lfm2_frames_params p = every(100000);
    p.max_frames = 5;
    const int rc = lfm2_frames_open_device(x->rt, "lavfi", "testsrc=size=64x48:rate=20", &p, &f);
#ifndef LFM2_HAVE_AVDEVICE
    assert_int_equal(rc, LFM2_ERR_UNSUPPORTED);
    return;
#endif
    assert_int_equal(rc, 0);
    look(f, &s);
    assert_true(s.n == 5 && s.last_rc == LFM2_EOF && s.width == 64 && s.height == 48);
    for (int k = 0; k < 5; k++) assert_int_equal(s.pts_us[k], k * 100000);
    lfm2_frames_close(f);
    f = NULL;
    assert_int_equal(lfm2_frames_open_device(x->rt, "lavfi", "testsrc=size=64x48", NULL, &f), 0);
    lfm2_runtime_abort(x->rt);
    lfm2_frame frame;
    assert_int_equal(lfm2_frames_next(f, &frame), LFM2_ERR_ABORTED);
    lfm2_runtime_clear_abort(x->rt);
    lfm2_frames_close(f);
    f = NULL;
    assert_int_equal(lfm2_frames_open_device(x->rt, "nothing of that name", "a", NULL, &f), LFM2_ERR_UNSUPPORTED);
    assert_int_equal(lfm2_frames_open_device(x->rt, NULL, "what is it", NULL, &f), LFM2_ERR_UNSUPPORTED);
    assert_int_equal(lfm2_frames_open_device(x->rt, "mov", FRAMES "/h264.mp4", NULL, &f), LFM2_ERR_UNSUPPORTED);
    assert_int_equal(lfm2_frames_open_device(x->rt, NULL, "/dev/video4711", NULL, &f), LFM2_ERR_NOT_FOUND);
    assert_true(lfm2_frames_open_device(x->rt, "lavfi", "no such filter", NULL, &f) < 0);
    assert_null(f);
}

/* Every allocation that the runtime sees fails once. */
static void without_memory(void **state)
{
    static const char *const names[] = {FRAMES "/moving.webp", FRAMES "/pages.tif", FRAMES "/mjpeg.avi", FRAMES "/moving.gif",
                                        IMAGES "/rgb.jpg"};
    watched *x = *state;
    WITHOUT_LIBAV();
    for (size_t i = 0; i < LFM2__COUNT_OF(names); i++) {
        for (long k = 0; test_fail_next(&x->heap, &k);) {
            const lfm2_frames_params p = every(500000);
            seen s = {0};
            const int rc = look_at(x, names[i], &p, &s);
            if (test_has_failed(&x->heap)) assert_true(rc == LFM2_ERR_NOMEM || (rc == 0 && s.last_rc == LFM2_ERR_NOMEM));
            else assert_true(rc == 0 && s.last_rc == LFM2_EOF);
        }
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, watch_setup, watch_teardown)
    const struct CMUnitTest tests[] = {
        TEST(videos),         TEST(choice_of_frames),   TEST(rotation),            TEST(pictures_of_files),
        TEST(stills),         TEST(refused),            TEST(limits),              TEST(damaged_videos),
        TEST(page_behind_gigabytes),
        TEST(ten_thousand_pages), TEST(rings_and_bad_pages), TEST(slow_pipes),     TEST(silent_and_endless_pipes),
        TEST(devices),        TEST(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
