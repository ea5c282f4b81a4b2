/* SPDX-License-Identifier: Apache-2.0
 * Images one after another: what the content is, which source gives its pictures, and which of them are wanted. */
#include "lfm2/frames.h"

#include <stdlib.h>
#include <string.h>

#include "base/runtime_impl.h"
#include "pipeline/frames_impl.h"

#define HEAD_BYTES 65536 /* by which content is known */
#define GREY_SIDE 8
#define MOST_US ((int64_t)1 << 50)
#define DEFAULT_EVERY_US 1000000
#define FIRST_LOAD_BYTES (1u << 20)

struct lfm2_frames {
    lfm2_runtime *rt;
    lfm2_frames_params params;
    lfm2__infile *file;
    unsigned char *data; /* what was read of it into memory, or its head */
    size_t n;
    lfm2__infile *memory; /* over data */
    lfm2__tiff_pages *tiff; /* one of the two, or a single picture in data */
    lfm2__moving *moving;
    int is_over;      /* after an error */
    int is_at_end;
    int64_t n_given;
    int64_t due_us;   /* the next frame by time */
    unsigned char grey[GREY_SIDE * GREY_SIDE]; /* of the one given last */
};

lfm2_frames_params lfm2_frames_params_default(void)
{
    const lfm2_frames_params params = {
        .image = lfm2_image_params_default(), .max_frames = 10000, .max_duration_us = (int64_t)24 * 3600 * 1000000,
    };
    return params;
}

static int create(lfm2_runtime *rt, const lfm2_frames_params *params, lfm2_frames **out)
{
    const lfm2_frames_params p = params != NULL ? *params : lfm2_frames_params_default();
    const char *bad = NULL;
    if (p.every_us < 0 || p.every_us > MOST_US) bad = "every_us";
    if (!(p.scene_change >= 0 && p.scene_change <= 1)) bad = "scene_change";
    if (p.max_frames < 1) bad = "max_frames";
    if (p.max_duration_us < 1) bad = "max_duration_us";
    if (bad != NULL) return lfm2__fail(rt, LFM2_ERR_ARG, "frames: %s: out of range", bad);
    const int rc = lfm2__image_check_params(rt, &p.image);
    if (rc < 0) return rc;
    lfm2_frames *f = lfm2__calloc(rt, 1, sizeof *f);
    if (f == NULL) return lfm2__fail(rt, LFM2_ERR_NOMEM, "frames: out of memory");
    f->rt = rt;
    f->params = p;
    *out = f;
    return 0;
}

/* --- reading the file, as far as it has to be --- */

/* Read on into memory until there are n bytes or no more. */
static int read_until(lfm2_frames *f, size_t n, size_t *cap)
{
    while (f->n < n) {
        if (f->n == *cap) {
            const size_t more = *cap == 0 ? HEAD_BYTES : *cap < FIRST_LOAD_BYTES ? FIRST_LOAD_BYTES : 2 * *cap;
            unsigned char *data = lfm2__grow(f->rt, f->data, f->n, more < n ? more : n);
            if (data == NULL) return lfm2__fail(f->rt, LFM2_ERR_NOMEM, "%s: out of memory", lfm2__infile_name(f->file));
            f->data = data;
            *cap = more < n ? more : n;
        }
        size_t got = 0;
        const int rc = lfm2__infile_read(f->file, f->data + f->n, *cap - f->n, &got);
        if (rc == LFM2_EOF) break;
        if (rc < 0) return rc;
        f->n += got;
    }
    return 0;
}

/* All of it, within the limit. */
static int load(lfm2_frames *f, size_t *cap)
{
    const uint64_t most = f->params.image.max_bytes;
    const int64_t n_bytes = lfm2__infile_bytes(f->file);
    int rc = 0;
    if (n_bytes < 0 || (uint64_t)n_bytes <= most) rc = read_until(f, n_bytes >= 0 ? (size_t)n_bytes : (size_t)most + 1, cap);
    if (rc == 0 && (f->n > most || n_bytes > (int64_t)most)) {
        rc = lfm2__fail(f->rt, LFM2_ERR_LIMIT, "%s: over the limit of %llu bytes", lfm2__infile_name(f->file),
                        (unsigned long long)most);
    }
    return rc;
}

/* The file from its begin, able to seek: itself, or what was loaded of it. */
static int reopen(lfm2_frames *f, size_t *cap, lfm2__infile **out)
{
    *out = f->file;
    if (lfm2__infile_bytes(f->file) >= 0) return lfm2__infile_seek(f->file, 0);
    int rc = load(f, cap);
    if (rc == 0) rc = lfm2__infile_open_memory(f->rt, f->data, f->n, lfm2__infile_name(f->file), &f->memory);
    *out = f->memory;
    return rc;
}

/* --- what it is --- */

static int is(const char *format, const char *wanted)
{
    return format != NULL && strcmp(format, wanted) == 0;
}

/* An animation control chunk stands before the image data of a PNG that moves. */
static int png_is_animated(const unsigned char *d, size_t n)
{
    for (size_t at = 8; n - at >= 12;) {
        const size_t size = (size_t)d[at] << 24 | (size_t)d[at + 1] << 16 | (size_t)d[at + 2] << 8 | d[at + 3];
        if (memcmp(d + at + 4, "acTL", 4) == 0) return 1;
        if (memcmp(d + at + 4, "IDAT", 4) == 0 || size > n - at - 12) return 0;
        at += 12 + size;
    }
    return 0;
}

static int open_video(lfm2_frames *f, lfm2__infile *file)
{
#ifdef LFM2_HAVE_LIBAV
    return lfm2__av_moving_open(f->rt, file, &f->params.image, &f->moving);
#else
    return lfm2__fail(f->rt, LFM2_ERR_UNSUPPORTED, "%s: video: this build is without libav", lfm2__infile_name(file));
#endif
}

static int open_webp(lfm2_frames *f, size_t *cap)
{
    const int rc = load(f, cap);
    if (rc < 0) return rc;
#ifdef LFM2_HAVE_LIBAV
    return lfm2__webp_moving_open(f->rt, lfm2__infile_name(f->file), f->data, f->n, &f->params.image, &f->moving);
#else
    return lfm2__fail(f->rt, LFM2_ERR_UNSUPPORTED, "%s: webp: this build is without libav", lfm2__infile_name(f->file));
#endif
}

/* Set the source up that fits the content. A single picture stays in memory until it is asked for. */
static int open_source(lfm2_frames *f)
{
    size_t cap = 0;
    int rc = read_until(f, HEAD_BYTES, &cap);
    if (rc < 0) return rc;
    if (f->n == 0) return lfm2__fail(f->rt, LFM2_ERR_FORMAT, "%s: is empty", lfm2__infile_name(f->file));
    const char *format = lfm2__image_probe(f->data, f->n);
    const int wants_all = f->params.every_us > 0 || f->params.scene_change > 0;
    const int is_moving = is(format, "gif") || (is(format, "png") && png_is_animated(f->data, f->n));
    const int is_iso = f->n >= 8 && memcmp(f->data + 4, "ftyp", 4) == 0; /* its index may stand at the end */
    lfm2__infile *file = f->file;
    if (is(format, "webp") && wants_all && lfm2__webp_is_animated(f->data, f->n)) return open_webp(f, &cap);
    if (is(format, "tiff") || (format == NULL && is_iso)) {
        rc = reopen(f, &cap, &file);
        if (rc < 0) return rc;
        if (format == NULL) return open_video(f, file);
        return lfm2__tiff_open(f->rt, file, &f->params.image, f->params.max_frames, &f->tiff);
    }
    if (format == NULL || (is_moving && wants_all)) {
        rc = lfm2__infile_unread(f->file, f->data, f->n);
        return rc < 0 ? rc : open_video(f, f->file);
    }
    return load(f, &cap);
}

/* file is taken over, also on failure. */
static int open_file(lfm2_runtime *rt, lfm2__infile *file, const lfm2_frames_params *params, lfm2_frames **out)
{
    lfm2_frames *f = NULL;
    int rc = create(rt, params, &f);
    if (rc < 0) {
        lfm2__infile_close(file);
        return rc;
    }
    f->file = file;
    rc = open_source(f);
    if (rc < 0) {
        lfm2_frames_close(f);
        return rc;
    }
    *out = f;
    return 0;
}

int lfm2_frames_open(lfm2_runtime *rt, const char *path, const lfm2_frames_params *params, lfm2_frames **out)
{
    lfm2__infile *file = NULL;
    if (rt == NULL) return LFM2_ERR_ARG;
    if (path == NULL || out == NULL) return lfm2__fail(rt, LFM2_ERR_ARG, "frames: path or out is NULL");
    const int rc = lfm2__infile_open(rt, path, &file);
    return rc < 0 ? rc : open_file(rt, file, params, out);
}

int lfm2__frames_open_memory(lfm2_runtime *rt, const void *data, size_t n, const char *name, const lfm2_frames_params *params,
                             lfm2_frames **out)
{
    lfm2__infile *file = NULL;
    const int rc = lfm2__infile_open_memory(rt, data, n, name, &file);
    return rc < 0 ? rc : open_file(rt, file, params, out);
}

int lfm2_frames_open_device(lfm2_runtime *rt, const char *format, const char *device, const lfm2_frames_params *params,
                            lfm2_frames **out)
{
    lfm2_frames *f = NULL;
    if (rt == NULL) return LFM2_ERR_ARG;
    if (device == NULL || out == NULL) return lfm2__fail(rt, LFM2_ERR_ARG, "frames: device or out is NULL");
    int rc = create(rt, params, &f);
    if (rc < 0) return rc;
#ifdef LFM2_HAVE_LIBAV
    rc = lfm2__av_moving_open_device(rt, format, device, &f->params.image, &f->moving);
#else
    (void)format;
    rc = lfm2__fail(rt, LFM2_ERR_UNSUPPORTED, "%s: this build is without libav", device);
#endif
    if (rc < 0) {
        lfm2_frames_close(f);
        return rc;
    }
    *out = f;
    return 0;
}

void lfm2_frames_close(lfm2_frames *f)
{
    if (f == NULL) return;
    if (f->moving != NULL) f->moving->ops->close(f->moving);
    lfm2__tiff_close(f->tiff);
    lfm2__infile_close(f->memory);
    lfm2__infile_close(f->file);
    lfm2__free(f->rt, f->data);
    lfm2__free(f->rt, f);
}

/* --- which are wanted --- */

/* Mean grey of each field of 8 x 8. */
static void reduce(const lfm2_image *image, unsigned char *grey)
{
    const unsigned char *rgb = lfm2_buf_data(image->rgb);
    for (int64_t i = 0; i < GREY_SIDE * GREY_SIDE; i++) {
        const int64_t row = i / GREY_SIDE, col = i % GREY_SIDE;
        const int64_t y0 = row * image->height / GREY_SIDE, y1 = (row + 1) * image->height / GREY_SIDE;
        const int64_t x0 = col * image->width / GREY_SIDE, x1 = (col + 1) * image->width / GREY_SIDE;
        uint64_t sum = 0, n = 0;
        for (int64_t y = y0; y < y1 || y == y0; y++) {
            const unsigned char *px = rgb + (size_t)y * image->stride_bytes + (size_t)x0 * 3;
            for (int64_t x = x0; x < x1 || x == x0; x++, px += 3, n++) sum += 299u * px[0] + 587u * px[1] + 114u * px[2];
        }
        grey[i] = (unsigned char)((sum / n + 500) / 1000);
    }
}

static double difference(const unsigned char *a, const unsigned char *b)
{
    int sum = 0;
    for (int i = 0; i < GREY_SIDE * GREY_SIDE; i++) sum += abs(a[i] - b[i]);
    return (double)sum / (255.0 * GREY_SIDE * GREY_SIDE);
}

static int take_picture(lfm2_frames *f, lfm2_image *out)
{
    lfm2__raster r;
    const int rc = f->moving->ops->picture(f->moving, &r);
    return rc < 0 ? rc : lfm2__image_finish(&f->moving->src, &r, out);
}

/* Step to the next wanted picture of a moving source. */
static int next_moving(lfm2_frames *f, lfm2_frame *out)
{
    const lfm2_frames_params *p = &f->params;
    const int64_t every = p->every_us > 0 ? p->every_us : p->scene_change > 0 ? 0 : DEFAULT_EVERY_US;
    for (;;) {
        unsigned char grey[GREY_SIDE * GREY_SIDE];
        int64_t pts_us = 0;
        if (lfm2__aborted(f->rt)) return LFM2_ERR_ABORTED;
        int rc = f->moving->ops->advance(f->moving, &pts_us);
        if (rc != 0) return rc;
        if (pts_us > p->max_duration_us) return LFM2_EOF;
        int is_wanted = f->n_given == 0 || (every > 0 && pts_us >= f->due_us);
        if (!is_wanted && p->scene_change <= 0) continue;
        rc = take_picture(f, &out->image);
        if (rc < 0) return rc;
        if (p->scene_change > 0) {
            reduce(&out->image, grey);
            is_wanted |= difference(grey, f->grey) >= p->scene_change;
        }
        if (is_wanted) {
            if (p->scene_change > 0) memcpy(f->grey, grey, sizeof grey);
            if (every > 0) f->due_us = (pts_us / every + 1) * every;
            out->is_timed = 1;
            out->pts_us = pts_us;
            return 0;
        }
        lfm2_image_fini(&out->image);
    }
}

/* The one picture there is. */
static int next_single(lfm2_frames *f, lfm2_frame *out)
{
    if (f->n_given > 0) return LFM2_EOF;
    const int rc = lfm2_image_decode_bytes(f->rt, f->data, f->n, lfm2__infile_name(f->file), &f->params.image, &out->image);
    lfm2__free(f->rt, f->data);
    f->data = NULL;
    return rc;
}

int lfm2_frames_next(lfm2_frames *f, lfm2_frame *out)
{
    lfm2_frame frame = {.page = 0};
    if (f == NULL || out == NULL) return LFM2_ERR_ARG;
    if (f->is_over) return LFM2_ERR_STATE;
    if (f->is_at_end || f->n_given >= f->params.max_frames) return LFM2_EOF;
    int rc;
    if (lfm2__aborted(f->rt)) rc = LFM2_ERR_ABORTED;
    else if (f->moving != NULL) rc = next_moving(f, &frame);
    else if (f->tiff != NULL) rc = lfm2__tiff_next(f->tiff, &frame.image);
    else rc = next_single(f, &frame);
    const int is_page_error = f->tiff != NULL && (rc == LFM2_ERR_FORMAT || rc == LFM2_ERR_LIMIT || rc == LFM2_ERR_UNSUPPORTED);
    if (rc < 0 && !is_page_error) f->is_over = 1;
    f->is_at_end = rc == LFM2_EOF;
    if (rc != 0) return rc;
    frame.page = f->tiff != NULL ? lfm2__tiff_page(f->tiff) : (int32_t)(f->n_given < INT32_MAX ? f->n_given : INT32_MAX);
    f->n_given++;
    *out = frame;
    return 0;
}
