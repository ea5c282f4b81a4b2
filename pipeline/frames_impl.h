/* SPDX-License-Identifier: Apache-2.0
 * What frames.c and the sources of pictures behind it share. */
#ifndef LFM2__FRAMES_IMPL_H
#define LFM2__FRAMES_IMPL_H

#include "base/infile.h"
#include "lfm2/frames.h"
#include "pipeline/image_impl.h"

/* lfm2_frames_open() over memory, borrowed until close. */
int lfm2__frames_open_memory(lfm2_runtime *rt, const void *data, size_t n, const char *name, const lfm2_frames_params *params,
                             lfm2_frames **out) LFM2__NODISCARD;

/* --- pages of a TIFF file --- */

typedef struct lfm2__tiff_pages lfm2__tiff_pages;

/* Over a file that can be sought in, borrowed until close. params: borrowed, too. At most max_pages are counted; a ring of pages
 * ends before the first one comes again. Returns 0; LFM2_ERR_FORMAT (no page); LFM2_ERR_IO; LFM2_ERR_NOMEM; LFM2_ERR_ABORTED. */
int lfm2__tiff_open(lfm2_runtime *rt, lfm2__infile *file, const lfm2_image_params *params, int64_t max_pages,
                    lfm2__tiff_pages **out) LFM2__NODISCARD;
void lfm2__tiff_close(lfm2__tiff_pages *t); /* NULL is allowed */

/* The next page: read, alone, and decoded. Returns 0; LFM2_EOF; what lfm2_image_decode_bytes() returns, after which the next call
 * goes on with the next page. */
int lfm2__tiff_next(lfm2__tiff_pages *t, lfm2_image *out) LFM2__NODISCARD;
int32_t lfm2__tiff_page(const lfm2__tiff_pages *t); /* index of the one given last */

/* --- pictures one after another, with times --- */

/* A source steps from picture to picture; whoever wants the one it stands at asks for its pixels. */
typedef struct lfm2__moving lfm2__moving;
typedef struct lfm2__moving_ops {
    /* Returns 0 with *pts_us (not below the one before) from the first picture on; LFM2_EOF; errors of decoding. */
    int (*advance)(lfm2__moving *m, int64_t *pts_us);
    int (*picture)(lfm2__moving *m, lfm2__raster *out);
    void (*close)(lfm2__moving *m);
} lfm2__moving_ops;

struct lfm2__moving {
    const lfm2__moving_ops *ops;
    lfm2__image_src src; /* name, format and limits */
};

/* Whether the content is an animated WebP; the walk ends at the first picture. */
int lfm2__webp_is_animated(const unsigned char *d, size_t n);

/* An animated WebP in memory, borrowed until close. *out: written only on success. */
int lfm2__webp_moving_open(lfm2_runtime *rt, const char *name, const unsigned char *data, size_t n, const lfm2_image_params *params,
                           lfm2__moving **out) LFM2__NODISCARD;

/* A video or an animation through libav, from a file (borrowed) or a device. */
int lfm2__av_moving_open(lfm2_runtime *rt, lfm2__infile *file, const lfm2_image_params *params, lfm2__moving **out) LFM2__NODISCARD;
int lfm2__av_moving_open_device(lfm2_runtime *rt, const char *format, const char *device, const lfm2_image_params *params,
                                lfm2__moving **out) LFM2__NODISCARD;

#endif
