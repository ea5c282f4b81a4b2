/* SPDX-License-Identifier: Apache-2.0
 * What image.c and the decoders behind it share. */
#ifndef LFM2__IMAGE_IMPL_H
#define LFM2__IMAGE_IMPL_H

#include "base/compiler.h"
#include "lfm2/image.h"

/* An image file in memory and how to decode it. */
typedef struct lfm2__image_src {
    lfm2_runtime *rt;
    const char *name; /* for the log */
    const unsigned char *data;
    size_t n;
    const lfm2_image_params *params;
    const char *format; /* by content */
} lfm2__image_src;

/* What a decoder gives: pixels as stored. */
typedef struct lfm2__raster {
    int32_t width, height;
    int32_t n_channels;  /* 3: RGB; 4: RGB and alpha, not multiplied in */
    lfm2_buf *pixels;    /* u8 [height, width, n_channels] */
    int32_t orientation; /* EXIF, 1..8 */
    int32_t partial;
} lfm2__raster;

/* Numbers in files, of up to 4 bytes: the lowest byte first, or the highest. */
static inline uint32_t lfm2__le(const unsigned char *p, size_t n_bytes)
{
    uint32_t v = 0;
    while (n_bytes-- > 0) v = v << 8 | p[n_bytes];
    return v;
}

static inline uint32_t lfm2__be(const unsigned char *p, size_t n_bytes)
{
    uint32_t v = 0;
    for (size_t i = 0; i < n_bytes; i++) v = v << 8 | p[i];
    return v;
}

/* Each returns what lfm2_image_decode_bytes() does; *out is written only on success. */
int lfm2__png_decode(const lfm2__image_src *src, lfm2__raster *out) LFM2__NODISCARD;
int lfm2__jpeg_decode(const lfm2__image_src *src, lfm2__raster *out) LFM2__NODISCARD;
int lfm2__av_image_decode(const lfm2__image_src *src, lfm2__raster *out) LFM2__NODISCARD; /* the rest; src->format says which */

/* Also the first picture of an animated one. */
int lfm2__webp_decode(const lfm2__image_src *src, lfm2__raster *out) LFM2__NODISCARD;

/* Name of the format that the content has, by its first bytes, or NULL. */
const char *lfm2__image_probe(const unsigned char *d, size_t n);

/* Returns 0 or LFM2_ERR_ARG (in the log). */
int lfm2__image_check_params(lfm2_runtime *rt, const lfm2_image_params *p) LFM2__NODISCARD;

/* What is done to the pixels of every format: transparency, orientation. Takes r->pixels over, also on failure. Returns 0;
 * LFM2_ERR_NOMEM; LFM2_ERR_ABORTED. */
int lfm2__image_finish(const lfm2__image_src *src, lfm2__raster *r, lfm2_image *out) LFM2__NODISCARD;

/* Check a size from a file against the limits, and against 0. Returns 0; LFM2_ERR_FORMAT; LFM2_ERR_LIMIT (in the log). */
int lfm2__image_check_size(const lfm2__image_src *src, uint64_t width, uint64_t height) LFM2__NODISCARD;

/* Set *r up for an image of a checked size, pixels undefined. Returns 0 or LFM2_ERR_NOMEM. */
int lfm2__raster_create(const lfm2__image_src *src, uint32_t width, uint32_t height, int32_t n_channels, lfm2__raster *r)
    LFM2__NODISCARD;

/* White (and opaque) from row y to the last. */
void lfm2__raster_clear_from(lfm2__raster *r, int32_t y);

/* Value of a tag in the first directory of a TIFF structure, which EXIF is, too; `otherwise` if it is not there, is not a single
 * SHORT or LONG, or anything is out of bounds. */
uint32_t lfm2__tiff_tag(const unsigned char *tiff, size_t n, unsigned tag, uint32_t otherwise);

/* What the boxes of an AVIF file say of its picture; 1 where they don't. */
typedef struct lfm2__avif_info {
    uint32_t width, height;
    int32_t orientation; /* as EXIF numbers it */
    int is_composed;     /* of several coded pictures */
    int has_alpha;       /* as a picture of its own */
} lfm2__avif_info;
void lfm2__avif_read(const unsigned char *d, size_t n, lfm2__avif_info *info);

/* EXIF orientation, 1..8, of a TIFF structure with or without "Exif\0\0" before it; 1 if it has none. */
int32_t lfm2__exif_orientation(const unsigned char *exif, size_t n);

#endif
