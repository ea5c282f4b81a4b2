/* SPDX-License-Identifier: Apache-2.0
 * Images one after another: the single picture of a file, the pages of a TIFF, frames of an animation or a video by time or by
 * scene change, frames of a camera or a screen. */
#ifndef LFM2_FRAMES_H
#define LFM2_FRAMES_H

#include "lfm2/image.h"

LFM2_BEGIN_DECLS

typedef struct lfm2_frames_params {
    lfm2_image_params image;  /* limits and treatment of each */
    int64_t every_us;         /* of a video: a frame every so often, counted from the first; 0..2^50. 0 = each second of a video or
                               * device (unless scene_change is given), and of an animation (GIF, WebP, APNG) the first picture */
    double scene_change;      /* of a video or animation: a frame whenever the picture differs from the last one given by this share
                               * of its range, mean absolute difference of an 8 x 8 grey reduction, 0 < x <= 1; 0 = off. Both given:
                               * either makes a frame. The first picture always is one */
    int64_t max_frames;       /* after so many LFM2_EOF; >= 1 */
    int64_t max_duration_us;  /* of a video: frames later than this are not looked at; >= 1 */
} lfm2_frames_params;

/* Images as lfm2_image_params_default(), every_us 0, no scenes, 10,000 frames, 24 hours. */
LFM2_API lfm2_frames_params lfm2_frames_params_default(void);

typedef struct lfm2_frames lfm2_frames;

/* Open a file; what it is, is decided by its content. path "-" is standard input, which may be a pipe (a slow one, too).
 * A video is read as it is watched, and a TIFF file page by page; anything else, and what comes through a pipe but cannot be read
 * from begin to end (TIFF, MP4), is read into memory up to image.max_bytes.
 * *out: written only on success. Returns 0; LFM2_ERR_ARG; and what lfm2_image_decode_file() returns, but any kind of file is read,
 * not only regular ones. No other file and no network address is ever opened, whatever the file asks for. */
LFM2_API int lfm2_frames_open(lfm2_runtime *rt, const char *path, const lfm2_frames_params *params, lfm2_frames **out);

/* Open a device through libavdevice: `format` is "v4l2", "x11grab", "lavfi" ..., or NULL for the one that `device` looks like
 * ("/dev/video0", ":0.0"). Returns 0; LFM2_ERR_UNSUPPORTED (built without it, no such format); LFM2_ERR_NOT_FOUND; LFM2_ERR_IO;
 * LFM2_ERR_ARG; LFM2_ERR_NOMEM; LFM2_ERR_ABORTED. */
LFM2_API int lfm2_frames_open_device(lfm2_runtime *rt, const char *format, const char *device, const lfm2_frames_params *params,
                                     lfm2_frames **out);
LFM2_API void lfm2_frames_close(lfm2_frames *f); /* NULL is allowed */

typedef struct lfm2_frame {
    lfm2_image image;  /* release with lfm2_image_fini() */
    int32_t page;      /* of a TIFF file: which page, 0..; otherwise 0.. in the order given out */
    int32_t is_timed;  /* 1: of a video or device */
    int64_t pts_us;    /* from the start of the video; 0 if not timed */
} lfm2_frame;

/* The next image; image.format is "video" for frames of one, image.partial is 1 for frames made of damaged data. Of a damaged video
 * what can be decoded is given. Returns 0; LFM2_EOF; LFM2_ERR_ABORTED; errors of decoding. After an error only close is legal, but
 * for pages of a TIFF file: LFM2_ERR_FORMAT, LFM2_ERR_LIMIT and LFM2_ERR_UNSUPPORTED are about one page, and the next call goes on
 * with the next. out: written only on success. */
LFM2_API int lfm2_frames_next(lfm2_frames *f, lfm2_frame *out);

LFM2_END_DECLS

#endif
