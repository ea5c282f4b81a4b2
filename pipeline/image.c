/* SPDX-License-Identifier: Apache-2.0
 * Decoding an image: what it is, which decoder reads it, and what is done to all alike (transparency, orientation). */
#include "lfm2/image.h"

#include <string.h>

#include "base/mapfile.h"
#include "base/mathsafe.h"
#include "base/runtime_impl.h"
#include "pipeline/image_impl.h"

#define ROWS_BETWEEN_POLLS 16

/* --- what it is --- */

typedef struct decoder {
    const char *format;
    const char *library;                                           /* that it needs */
    int (*decode)(const lfm2__image_src *src, lfm2__raster *out); /* NULL: not in this build */
} decoder;

#ifdef LFM2_HAVE_PNG
#define PNG_DECODE lfm2__png_decode
#else
#define PNG_DECODE NULL
#endif
#ifdef LFM2_HAVE_JPEG
#define JPEG_DECODE lfm2__jpeg_decode
#else
#define JPEG_DECODE NULL
#endif
#ifdef LFM2_HAVE_LIBAV
#define AV_DECODE lfm2__av_image_decode
#define WEBP_DECODE lfm2__webp_decode
#else
#define AV_DECODE NULL
#define WEBP_DECODE NULL
#endif

static const decoder decoders[] = {
    {"png", "libpng", PNG_DECODE}, {"jpeg", "libjpeg", JPEG_DECODE}, {"webp", "libav", WEBP_DECODE}, {"bmp", "libav", AV_DECODE},
    {"gif", "libav", AV_DECODE},   {"tiff", "libav", AV_DECODE},     {"avif", "libav", AV_DECODE},
    {"heif", "a HEIF decoder", NULL},
};

/* Whether the file type box of an ISO base media file has the brand among its first. */
static int has_brand(const unsigned char *d, size_t n, const char *brand)
{
    if (n < 16 || memcmp(d + 4, "ftyp", 4) != 0) return 0;
    size_t box = (size_t)d[2] << 8 | d[3];
    if (d[0] != 0 || d[1] != 0) return 0;
    if (box > n) box = n;
    for (size_t i = 8; i + 4 <= box; i += 4) {
        if (i != 12 && memcmp(d + i, brand, 4) == 0) return 1; /* 12: the version */
    }
    return 0;
}

static int begins(const unsigned char *d, size_t n, const char *magic, size_t n_magic)
{
    return n >= n_magic && memcmp(d, magic, n_magic) == 0;
}

const char *lfm2__image_probe(const unsigned char *d, size_t n)
{
    if (begins(d, n, "\x89PNG\r\n\x1a\n", 8)) return "png";
    if (begins(d, n, "\xff\xd8\xff", 3)) return "jpeg";
    if (begins(d, n, "RIFF", 4) && n >= 12 && memcmp(d + 8, "WEBP", 4) == 0) return "webp";
    if (begins(d, n, "GIF87a", 6) || begins(d, n, "GIF89a", 6)) return "gif";
    if (begins(d, n, "II*\0", 4) || begins(d, n, "MM\0*", 4)) return "tiff";
    if (begins(d, n, "BM", 2)) return "bmp";
    if (has_brand(d, n, "avif") || has_brand(d, n, "avis")) return "avif";
    if (has_brand(d, n, "heic") || has_brand(d, n, "heix") || has_brand(d, n, "mif1")) return "heif";
    return NULL;
}

static const decoder *find_decoder(const char *format)
{
    for (size_t i = 0; format != NULL && i < LFM2__COUNT_OF(decoders); i++) {
        if (strcmp(decoders[i].format, format) == 0) return &decoders[i];
    }
    return NULL;
}

/* --- rasters --- */

int lfm2__image_check_size(const lfm2__image_src *src, uint64_t width, uint64_t height)
{
    const lfm2_image_params *p = src->params;
    if (width == 0 || height == 0) {
        return lfm2__fail(src->rt, LFM2_ERR_FORMAT, "%s: %s: a side of 0 pixels", src->name, src->format);
    }
    if (width > (uint64_t)p->max_side || height > (uint64_t)p->max_side || width * height > (uint64_t)p->max_pixels) {
        return lfm2__fail(src->rt, LFM2_ERR_LIMIT, "%s: %s: %llu x %llu pixels are over the limit of %lld, or %d a side", src->name,
                          src->format, (unsigned long long)width, (unsigned long long)height, (long long)p->max_pixels,
                          (int)p->max_side);
    }
    return 0;
}

int lfm2__raster_create(const lfm2__image_src *src, uint32_t width, uint32_t height, int32_t n_channels, lfm2__raster *r)
{
    size_t n_bytes;
    if (lfm2__mul_size((size_t)width * (size_t)n_channels, height, &n_bytes) < 0) n_bytes = SIZE_MAX; /* refused below */
    lfm2_buf *pixels;
    const int rc = lfm2_buf_create(src->rt, n_bytes, &pixels);
    if (rc < 0) return rc;
    *r = (lfm2__raster){(int32_t)width, (int32_t)height, n_channels, pixels, 1, 0};
    return 0;
}

void lfm2__raster_clear_from(lfm2__raster *r, int32_t y)
{
    const size_t row_bytes = (size_t)r->width * (size_t)r->n_channels;
    memset((unsigned char *)lfm2_buf_data(r->pixels) + row_bytes * (size_t)y, 0xff, row_bytes * (size_t)(r->height - y));
}

/* Take the fourth channel off, in place. The row length of the result is 3 * width. */
static int flatten(const lfm2__image_src *src, lfm2__raster *r)
{
    const int on_white = src->params->alpha == LFM2_ALPHA_WHITE;
    const unsigned char *in = lfm2_buf_data(r->pixels);
    unsigned char *out = lfm2_buf_data(r->pixels);
    for (int32_t y = 0; y < r->height; y++) {
        if (y % ROWS_BETWEEN_POLLS == 0 && lfm2__aborted(src->rt)) return LFM2_ERR_ABORTED;
        for (int32_t x = 0; x < r->width; x++, in += 4, out += 3) {
            const unsigned a = on_white ? in[3] : 255;
            for (int c = 0; c < 3; c++) out[c] = (unsigned char)((in[c] * a + 255 * (255 - a) + 127) / 255);
        }
    }
    r->n_channels = 3;
    return 0;
}

/* Turn and mirror an RGB raster upright, into a new buffer. */
static int turn(const lfm2__image_src *src, lfm2__raster *r)
{
    const int o = r->orientation;
    const int transpose = o >= 5, flip_x = o == 2 || o == 3 || o == 7 || o == 8, flip_y = o == 3 || o == 4 || o == 6 || o == 7;
    lfm2__raster t;
    const uint32_t width = (uint32_t)(transpose ? r->height : r->width), height = (uint32_t)(transpose ? r->width : r->height);
    const int rc = lfm2__raster_create(src, width, height, 3, &t);
    if (rc < 0) return rc;
    const ptrdiff_t row = (ptrdiff_t)r->width * 3;
    const unsigned char *begin = lfm2_buf_data(r->pixels);
    if (flip_x) begin += row - 3;
    if (flip_y) begin += row * (r->height - 1);
    const ptrdiff_t along_x = flip_x ? -3 : 3, along_y = flip_y ? -row : row;
    const ptrdiff_t step = transpose ? along_y : along_x, line = transpose ? along_x : along_y;
    unsigned char *out = lfm2_buf_data(t.pixels);
    for (int32_t y = 0; y < t.height; y++) {
        if (y % ROWS_BETWEEN_POLLS == 0 && lfm2__aborted(src->rt)) {
            lfm2_buf_unref(&t.pixels);
            return LFM2_ERR_ABORTED;
        }
        for (int32_t x = 0; x < t.width; x++, out += 3) memcpy(out, begin + y * line + x * step, 3);
    }
    t.partial = r->partial;
    lfm2_buf_unref(&r->pixels);
    *r = t;
    return 0;
}

/* --- decoding --- */

lfm2_image_params lfm2_image_params_default(void)
{
    const lfm2_image_params params = {
        .max_pixels = 178956970, .max_side = 1000000, .max_scans = 500, .max_bytes = (uint64_t)256 << 20, .apply_orientation = 1,
    };
    return params;
}

int lfm2__image_check_params(lfm2_runtime *rt, const lfm2_image_params *p)
{
    const char *bad = NULL;
    if (p->max_pixels < 1 || p->max_pixels > INT32_MAX) bad = "max_pixels";
    if (p->max_side < 1 || p->max_side > 1 << 30) bad = "max_side";
    if (p->max_scans < 1 || p->max_scans > 1 << 30) bad = "max_scans";
    if (p->max_bytes < 1 || p->max_bytes > (uint64_t)1 << 40) bad = "max_bytes";
    if (p->alpha != LFM2_ALPHA_WHITE && p->alpha != LFM2_ALPHA_DROP) bad = "alpha";
    if (p->apply_orientation != 0 && p->apply_orientation != 1) bad = "apply_orientation";
    return bad == NULL ? 0 : lfm2__fail(rt, LFM2_ERR_ARG, "image: %s: out of range", bad);
}

int lfm2__image_finish(const lfm2__image_src *src, lfm2__raster *r, lfm2_image *out)
{
    int rc = 0;
    if (r->n_channels == 4) rc = flatten(src, r);
    if (rc == 0 && src->params->apply_orientation && r->orientation != 1) rc = turn(src, r);
    if (rc < 0) {
        lfm2_buf_unref(&r->pixels);
        return rc;
    }
    if (r->partial) lfm2__log(src->rt, LFM2_LOG_WARN, "%s: %s: cut short or damaged; a part is missing", src->name, src->format);
    *out = (lfm2_image){r->width, r->height, (size_t)r->width * 3, r->pixels, src->format, r->partial};
    return 0;
}

static int decode(lfm2__image_src *src, lfm2_image *out)
{
    if (src->n == 0) return lfm2__fail(src->rt, LFM2_ERR_FORMAT, "%s: is empty", src->name);
    if (lfm2__aborted(src->rt)) return LFM2_ERR_ABORTED;
    const decoder *d = find_decoder(lfm2__image_probe(src->data, src->n));
    if (d == NULL) return lfm2__fail(src->rt, LFM2_ERR_UNSUPPORTED, "%s: not an image of a kind that is known here", src->name);
    if (d->decode == NULL) {
        return lfm2__fail(src->rt, LFM2_ERR_UNSUPPORTED, "%s: %s: this build is without %s", src->name, d->format, d->library);
    }
    src->format = d->format;
    lfm2__raster r;
    const int rc = d->decode(src, &r);
    return rc < 0 ? rc : lfm2__image_finish(src, &r, out);
}

int lfm2_image_decode_bytes(lfm2_runtime *rt, const void *data, size_t n, const char *name, const lfm2_image_params *params,
                            lfm2_image *out)
{
    if (rt == NULL) return LFM2_ERR_ARG;
    if ((data == NULL && n > 0) || name == NULL || out == NULL) {
        return lfm2__fail(rt, LFM2_ERR_ARG, "image: data, name or out is NULL");
    }
    const lfm2_image_params defaults = lfm2_image_params_default();
    lfm2__image_src src = {.rt = rt, .name = name, .data = data, .n = n, .params = params != NULL ? params : &defaults};
    const int rc = lfm2__image_check_params(rt, src.params);
    if (rc < 0) return rc;
    if (n > src.params->max_bytes) {
        return lfm2__fail(rt, LFM2_ERR_LIMIT, "%s: %zu bytes are over the limit of %llu", name, n,
                          (unsigned long long)src.params->max_bytes);
    }
    return decode(&src, out);
}

int lfm2_image_decode_file(lfm2_runtime *rt, const char *path, const lfm2_image_params *params, lfm2_image *out)
{
    if (rt == NULL) return LFM2_ERR_ARG;
    if (path == NULL || out == NULL) return lfm2__fail(rt, LFM2_ERR_ARG, "image: path or out is NULL");
    const lfm2_image_params defaults = lfm2_image_params_default();
    if (params == NULL) params = &defaults;
    int rc = lfm2__image_check_params(rt, params);
    if (rc < 0) return rc;
    char *data;
    size_t n;
    rc = lfm2__file_read(rt, path, (size_t)params->max_bytes, &data, &n);
    if (rc < 0) return rc;
    rc = lfm2_image_decode_bytes(rt, data, n, path, params, out);
    lfm2__free(rt, data);
    return rc;
}

void lfm2_image_fini(lfm2_image *image)
{
    if (image == NULL) return;
    lfm2_buf_unref(&image->rgb);
    memset(image, 0, sizeof *image);
}
