/* SPDX-License-Identifier: Apache-2.0
 * WebP: pictures that move. libav decodes one still picture; here each picture of an animation is made into such a file, decoded
 * and laid onto the canvas as the picture before has left it. */
#include <string.h>

#include "base/runtime_impl.h"
#include "pipeline/frames_impl.h"

enum { FILE_HEADER = 12, CHUNK_HEADER = 8, ANMF_HEADER = 16, VP8X_BYTES = 10, HAS_ANIMATION = 2, HAS_ALPHA = 16 };
enum { DISPOSE_TO_BACKGROUND = 1, DO_NOT_BLEND = 2 };

typedef struct chunk {
    const unsigned char *data;
    size_t n;
    int is_cut; /* the file ends first */
} chunk;

typedef struct area {
    uint32_t x, y, width, height;
} area;

typedef struct webp_moving {
    lfm2__moving base;
    const unsigned char *data;
    size_t n, at;         /* next chunk */
    uint32_t width, height;
    unsigned char *canvas; /* RGBA; from the first picture that could be decoded on */
    area last;             /* the picture before: cleared if it asked for that */
    int clears_last;
    int64_t next_us;
    int is_partial;
} webp_moving;

static void put_le(unsigned char *p, uint32_t v, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++, v >>= 8) p[i] = (unsigned char)v;
}

/* The chunk at *at, which moves behind it; 0 at the end. */
static int next_chunk(const unsigned char *d, size_t n, size_t *at, const unsigned char **name, chunk *c)
{
    if (*at > n || n - *at < CHUNK_HEADER) return 0;
    const size_t size = lfm2__le(d + *at + 4, 4), left = n - *at - CHUNK_HEADER;
    *name = d + *at;
    *c = (chunk){d + *at + CHUNK_HEADER, size < left ? size : left, size > left};
    *at += CHUNK_HEADER + c->n + (size & 1);
    return 1;
}

/* The first chunk of that name. */
static int find_chunk(const unsigned char *d, size_t n, size_t at, const char *wanted, chunk *c)
{
    const unsigned char *name;
    while (next_chunk(d, n, &at, &name, c)) {
        if (memcmp(name, wanted, 4) == 0) return 1;
    }
    return 0;
}

int lfm2__webp_is_animated(const unsigned char *d, size_t n)
{
    const unsigned char *name;
    size_t at = FILE_HEADER;
    chunk c;
    return next_chunk(d, n, &at, &name, &c) && memcmp(name, "VP8X", 4) == 0 && c.n >= VP8X_BYTES
           && (c.data[0] & HAS_ANIMATION) != 0;
}

/* A picture's data as a file of its own, with lfm2__free(). */
static unsigned char *still_file(lfm2_runtime *rt, const chunk *c, const area *a, size_t *n)
{
    static const unsigned char vp8x[] = "RIFF\0\0\0\0WEBPVP8X\12\0\0\0\20\0\0\0";
    chunk alpha;
    const size_t n_data = c->n - ANMF_HEADER;
    const int has_alpha = find_chunk(c->data + ANMF_HEADER, n_data, 0, "ALPH", &alpha);
    const size_t n_header = has_alpha ? FILE_HEADER + CHUNK_HEADER + VP8X_BYTES : FILE_HEADER;
    unsigned char *file = lfm2__calloc(rt, n_header + n_data, 1);
    if (file == NULL) return NULL;
    memcpy(file, vp8x, has_alpha ? sizeof vp8x - 1 : FILE_HEADER);
    put_le(file + 4, (uint32_t)(n_header + n_data - 8), 4);
    if (has_alpha) {
        put_le(file + 24, a->width - 1, 3);
        put_le(file + 27, a->height - 1, 3);
    }
    memcpy(file + n_header, c->data + ANMF_HEADER, n_data);
    *n = n_header + n_data;
    return file;
}

static void clear(webp_moving *m, const area *a)
{
    for (uint32_t y = 0; y < a->height; y++) {
        memset(m->canvas + ((size_t)(a->y + y) * m->width + a->x) * 4, 0, (size_t)a->width * 4);
    }
}

/* One pixel over another, neither multiplied by its alpha. */
static void blend(unsigned char *dst, const unsigned char *src)
{
    const uint32_t a = src[3], under = dst[3] * (255 - a), sum = a * 255 + under; /* of 255 * 255 */
    if (sum == 0) return;
    for (int c = 0; c < 3; c++) dst[c] = (unsigned char)((src[c] * a * 255 + dst[c] * under + sum / 2) / sum);
    dst[3] = (unsigned char)((sum + 127) / 255);
}

static void lay(webp_moving *m, const lfm2__raster *r, const area *a, int blends)
{
    const unsigned char *in = lfm2_buf_data(r->pixels);
    for (uint32_t y = 0; y < a->height; y++) {
        unsigned char *out = m->canvas + ((size_t)(a->y + y) * m->width + a->x) * 4;
        for (uint32_t x = 0; x < a->width; x++, in += r->n_channels, out += 4) {
            const unsigned char px[4] = {in[0], in[1], in[2], r->n_channels == 4 ? in[3] : 255};
            if (blends) blend(out, px);
            else memcpy(out, px, 4);
        }
    }
}

static int decode_onto_canvas(webp_moving *m, const chunk *c, const area *a)
{
    lfm2__image_src src = m->base.src;
    lfm2__raster r;
    unsigned char *file = still_file(src.rt, c, a, &src.n);
    if (file == NULL) return lfm2__fail(src.rt, LFM2_ERR_NOMEM, "%s: webp: out of memory", src.name);
    src.data = file;
    int rc = lfm2__av_image_decode(&src, &r);
    lfm2__free(src.rt, file);
    if (rc < 0) return rc;
    if ((uint32_t)r.width != a->width || (uint32_t)r.height != a->height) {
        rc = lfm2__fail(src.rt, LFM2_ERR_FORMAT, "%s: webp: a picture of another size than it was said to have", src.name);
    } else if (m->canvas == NULL && (m->canvas = lfm2__calloc(src.rt, (size_t)m->width * m->height, 4)) == NULL) {
        rc = lfm2__fail(src.rt, LFM2_ERR_NOMEM, "%s: webp: out of memory", src.name);
    } else {
        if (m->clears_last) clear(m, &m->last);
        lay(m, &r, a, (c->data[15] & DO_NOT_BLEND) == 0);
        m->last = *a;
        m->clears_last = (c->data[15] & DISPOSE_TO_BACKGROUND) != 0;
        m->is_partial |= r.partial;
    }
    lfm2_buf_unref(&r.pixels);
    return rc;
}

static int webp_advance(lfm2__moving *base, int64_t *pts_us)
{
    webp_moving *m = (webp_moving *)base;
    const lfm2__image_src *src = &base->src;
    const unsigned char *name;
    chunk c;
    do {
        if (lfm2__aborted(src->rt)) return LFM2_ERR_ABORTED;
        if (!next_chunk(m->data, m->n, &m->at, &name, &c)) return LFM2_EOF;
    } while (memcmp(name, "ANMF", 4) != 0);
    if (c.n < ANMF_HEADER) return lfm2__fail(src->rt, LFM2_ERR_FORMAT, "%s: webp: ANMF: too short", src->name);
    const area a = {2 * lfm2__le(c.data, 3), 2 * lfm2__le(c.data + 3, 3), lfm2__le(c.data + 6, 3) + 1, lfm2__le(c.data + 9, 3) + 1};
    if (a.x + a.width > m->width || a.y + a.height > m->height) {
        return lfm2__fail(src->rt, LFM2_ERR_FORMAT, "%s: webp: ANMF: a picture outside of its canvas", src->name);
    }
    m->is_partial |= c.is_cut;
    const int rc = decode_onto_canvas(m, &c, &a);
    if (rc < 0) return rc;
    *pts_us = m->next_us;
    m->next_us += (int64_t)lfm2__le(c.data + 12, 3) * 1000;
    return 0;
}

static int webp_picture(lfm2__moving *base, lfm2__raster *out)
{
    webp_moving *m = (webp_moving *)base;
    const int rc = lfm2__raster_create(&base->src, m->width, m->height, 4, out);
    if (rc < 0) return rc;
    memcpy(lfm2_buf_data(out->pixels), m->canvas, (size_t)m->width * m->height * 4);
    chunk exif;
    if (find_chunk(m->data, m->n, FILE_HEADER, "EXIF", &exif)) out->orientation = lfm2__exif_orientation(exif.data, exif.n);
    out->partial = m->is_partial;
    return 0;
}

static void webp_close(lfm2__moving *base)
{
    webp_moving *m = (webp_moving *)base;
    lfm2_runtime *rt = base->src.rt;
    lfm2__free(rt, m->canvas);
    lfm2__free(rt, m);
}

int lfm2__webp_moving_open(lfm2_runtime *rt, const char *name, const unsigned char *data, size_t n, const lfm2_image_params *params,
                           lfm2__moving **out)
{
    static const lfm2__moving_ops ops = {webp_advance, webp_picture, webp_close};
    const lfm2__image_src src = {.rt = rt, .name = name, .params = params, .format = "webp"};
    chunk c = {0};
    if (!find_chunk(data, n, FILE_HEADER, "VP8X", &c) || c.n < VP8X_BYTES) {
        return lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: webp: no VP8X", name);
    }
    const uint32_t width = lfm2__le(c.data + 4, 3) + 1, height = lfm2__le(c.data + 7, 3) + 1;
    int rc = lfm2__image_check_size(&src, width, height);
    if (rc == 0 && !find_chunk(data, n, FILE_HEADER, "ANMF", &c)) {
        rc = lfm2__fail(rt, LFM2_ERR_FORMAT, "%s: webp: an animation without a picture", name);
    }
    if (rc < 0) return rc;
    webp_moving *m = lfm2__calloc(rt, 1, sizeof *m);
    if (m == NULL) return lfm2__fail(rt, LFM2_ERR_NOMEM, "%s: webp: out of memory", name);
    m->base = (lfm2__moving){&ops, src};
    m->data = data;
    m->n = n;
    m->at = FILE_HEADER;
    m->width = width;
    m->height = height;
    m->is_partial = (uint64_t)lfm2__le(data + 4, 4) + 8 > n;
    *out = &m->base;
    return 0;
}

int lfm2__webp_decode(const lfm2__image_src *src, lfm2__raster *out)
{
    lfm2__moving *m = NULL;
    int64_t pts_us;
    if (!lfm2__webp_is_animated(src->data, src->n)) return lfm2__av_image_decode(src, out);
    int rc = lfm2__webp_moving_open(src->rt, src->name, src->data, src->n, src->params, &m);
    if (rc < 0) return rc;
    rc = m->ops->advance(m, &pts_us);
    if (rc == LFM2_EOF) rc = lfm2__fail(src->rt, LFM2_ERR_FORMAT, "%s: webp: holds no picture", src->name);
    if (rc == 0) rc = m->ops->picture(m, out);
    m->ops->close(m);
    return rc;
}
