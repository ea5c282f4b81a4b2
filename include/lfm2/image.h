/* SPDX-License-Identifier: Apache-2.0
 * Decoding still images to RGB: PNG, JPEG, WebP, BMP, GIF, TIFF, AVIF, as far as the build has their libraries. */
#ifndef LFM2_IMAGE_H
#define LFM2_IMAGE_H

#include "lfm2/media.h"

LFM2_BEGIN_DECLS

/* What becomes of transparency. */
typedef enum lfm2_alpha {
    LFM2_ALPHA_WHITE = 0, /* the image lies on white paper */
    LFM2_ALPHA_DROP = 1   /* the stored colours, whatever was hidden, as the reference implementation does; GIF: white */
} lfm2_alpha;

typedef struct lfm2_image_params {
    int64_t max_pixels;        /* width * height above it is refused before it is decoded; 1..2^31-1 */
    int32_t max_side;          /* so is a longer side; 1..2^30 */
    int32_t max_scans;         /* of a JPEG; 1..2^30 */
    uint64_t max_bytes;        /* a larger file is not read; 1..2^40 */
    lfm2_alpha alpha;
    int32_t apply_orientation; /* 1: turned as its EXIF orientation says; 0: as stored */
} lfm2_image_params;

/* 178,956,970 pixels, sides of 1,000,000, 500 scans, 256 MiB, on white, turned. */
LFM2_API lfm2_image_params lfm2_image_params_default(void);

typedef struct lfm2_image {
    int32_t width, height; /* px, after turning */
    size_t stride_bytes;   /* from row to row, >= 3 * width */
    lfm2_buf *rgb;         /* u8 [height, stride_bytes]: red, green, blue; one reference, the owner of this struct's */
    const char *format;    /* what the content was: "png", "jpeg", "webp", "bmp", "gif", "tiff", "avif"; static storage */
    int32_t partial;       /* 1: the file is cut short or damaged, and some of the pixels are not the picture's */
} lfm2_image;

/* Decode a regular file, or n bytes of memory (borrowed for the call; name: what to call them in the log). What it is, is decided
 * by its content, never by its name; of several frames or pages the first is taken. params: NULL = defaults. *out: written only on
 * success, release with lfm2_image_fini().
 * Returns 0 (look at out->partial); LFM2_ERR_ARG; LFM2_ERR_NOT_FOUND; LFM2_ERR_IO (not a regular file, unreadable);
 * LFM2_ERR_FORMAT (empty, malformed, or cut short with nothing to show); LFM2_ERR_LIMIT; LFM2_ERR_UNSUPPORTED (no image, or one
 * that this build cannot decode); LFM2_ERR_NOMEM; LFM2_ERR_ABORTED (asked for between rows; WebP and the rest: between steps).
 * Thread-safe. */
LFM2_API int lfm2_image_decode_file(lfm2_runtime *rt, const char *path, const lfm2_image_params *params, lfm2_image *out);
LFM2_API int lfm2_image_decode_bytes(lfm2_runtime *rt, const void *data, size_t n, const char *name,
                                     const lfm2_image_params *params, lfm2_image *out);

/* Give the pixels back and zero the struct; NULL and a zeroed one are allowed. */
LFM2_API void lfm2_image_fini(lfm2_image *image);

LFM2_END_DECLS

#endif
