/* SPDX-License-Identifier: Apache-2.0
 * From any kind of pixels to 8 bits of RGB or RGBA. */
#include "pipeline/src_av_rgb.h"

#include <libavutil/pixdesc.h>

#include "base/runtime_impl.h"

/* The formats named J are the same without J in full range; said this way swscale does not complain in the host's log. */
static enum AVPixelFormat plain_format(enum AVPixelFormat f, int *is_full_range)
{
    const enum AVPixelFormat before = f;
    if (f == AV_PIX_FMT_YUVJ420P) f = AV_PIX_FMT_YUV420P;
    if (f == AV_PIX_FMT_YUVJ422P) f = AV_PIX_FMT_YUV422P;
    if (f == AV_PIX_FMT_YUVJ444P) f = AV_PIX_FMT_YUV444P;
    if (f == AV_PIX_FMT_YUVJ440P) f = AV_PIX_FMT_YUV440P;
    if (f != before) *is_full_range = 1;
    return f;
}

int lfm2__av_to_rgb(const lfm2__image_src *src, const AVFrame *f, struct SwsContext **sws, lfm2__raster *out)
{
    int is_full_range = f->color_range == AVCOL_RANGE_JPEG;
    const enum AVPixelFormat format = plain_format((enum AVPixelFormat)f->format, &is_full_range);
    const AVPixFmtDescriptor *about = av_pix_fmt_desc_get(format);
    if (about == NULL || !sws_isSupportedInput(format)) {
        return lfm2__fail(src->rt, LFM2_ERR_FORMAT, "%s: %s: pixels of an unknown kind", src->name, src->format);
    }
    int rc = lfm2__image_check_size(src, (uint64_t)f->width, (uint64_t)f->height);
    if (rc < 0) return rc;
    const int has_alpha = (about->flags & (AV_PIX_FMT_FLAG_ALPHA | AV_PIX_FMT_FLAG_PAL)) != 0;
    const enum AVPixelFormat wanted = has_alpha ? AV_PIX_FMT_RGBA : AV_PIX_FMT_RGB24;
    *sws = sws_getCachedContext(*sws, f->width, f->height, format, f->width, f->height, wanted,
                                SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP, NULL, NULL, NULL);
    if (*sws == NULL) return lfm2__fail(src->rt, LFM2_ERR_NOMEM, "%s: %s: no conversion to RGB", src->name, src->format);
    const int *matrix = sws_getCoefficients(f->colorspace == AVCOL_SPC_UNSPECIFIED ? SWS_CS_DEFAULT : (int)f->colorspace);
    (void)sws_setColorspaceDetails(*sws, matrix, is_full_range, sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, 1 << 16, 1 << 16);
    lfm2__raster raster;
    rc = lfm2__raster_create(src, (uint32_t)f->width, (uint32_t)f->height, has_alpha ? 4 : 3, &raster);
    if (rc < 0) return rc;
    uint8_t *const planes[4] = {lfm2_buf_data(raster.pixels)};
    const int strides[4] = {f->width * raster.n_channels};
    if (sws_scale(*sws, (const uint8_t *const *)f->data, f->linesize, 0, f->height, planes, strides) != f->height) {
        lfm2_buf_unref(&raster.pixels);
        return lfm2__fail(src->rt, LFM2_ERR_FORMAT, "%s: %s: no conversion to RGB", src->name, src->format);
    }
    *out = raster;
    return 0;
}
