/* SPDX-License-Identifier: Apache-2.0
 * Pictures of FFmpeg's libraries as RGB. */
#ifndef LFM2__SRC_AV_RGB_H
#define LFM2__SRC_AV_RGB_H

#include <libavutil/frame.h>
#include <libswscale/swscale.h>

#include "pipeline/image_impl.h"

/* Convert a picture, with its transparency if it has any. *sws: NULL at first, kept from picture to picture, freed by the caller.
 * *out is written only on success. Returns 0; LFM2_ERR_FORMAT; LFM2_ERR_LIMIT; LFM2_ERR_NOMEM; all in the log. */
int lfm2__av_to_rgb(const lfm2__image_src *src, const AVFrame *f, struct SwsContext **sws, lfm2__raster *out) LFM2__NODISCARD;

#endif
