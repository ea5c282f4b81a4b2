/* SPDX-License-Identifier: Apache-2.0
 * All image formats but PNG and JPEG, through libavformat and libavcodec, from memory. They can open nothing: every protocol is
 * refused. What these decoders pass over in silence - a size over the limit, data that end early - is looked for here. */
#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

#include "base/runtime_impl.h"
#include "pipeline/src_av.h"
#include "pipeline/src_av_rgb.h"

#define IO_BYTES 32768
#define MAX_PACKETS 64       /* until the first picture */
#define QUIET_LOG_OFFSET 1000 /* makes every message less than a debug message */

#define MAX_PACKED_RATIO 1032 /* most that any of the packings of TIFF multiplies bytes by, but for fax */
#define MAX_RUN_PX 128        /* that a byte of a packed BMP makes */

enum { TIFF_WIDTH = 256, TIFF_HEIGHT = 257, TIFF_COMPRESSION = 259 };

/* --- what the files say of themselves --- */

/* Data of the first chunk of that name in a WebP file, its bytes as far as they are there; NULL without one. */
static const unsigned char *webp_chunk(const lfm2__image_src *src, const char *name, size_t *n)
{
    for (size_t at = 12; at + 8 <= src->n;) {
        const size_t left = src->n - at - 8, size = lfm2__le(src->data + at + 4, 4);
        *n = size < left ? size : left;
        if (memcmp(src->data + at, name, 4) == 0) return src->data + at + 8;
        if (size >= left) break;
        at += 8 + size + (size & 1);
    }
    return NULL;
}

static void webp_size(const lfm2__image_src *src, uint64_t *width, uint64_t *height)
{
    size_t n;
    const unsigned char *c = webp_chunk(src, "VP8X", &n);
    if (c != NULL && n >= 10) {
        *width = (uint64_t)lfm2__le(c + 4, 3) + 1;
        *height = (uint64_t)lfm2__le(c + 7, 3) + 1;
    }
}

static void bmp_size(const lfm2__image_src *src, uint64_t *width, uint64_t *height)
{
    const unsigned char *d = src->data;
    if (src->n < 26) return;
    if (lfm2__le(d + 14, 4) == 12) {
        *width = lfm2__le(d + 18, 2);
        *height = lfm2__le(d + 20, 2);
    } else {
        *width = lfm2__le(d + 18, 4);
        *height = lfm2__le(d + 22, 4);
        if (*height > INT32_MAX) *height = ((uint64_t)1 << 32) - *height; /* negative: from top to bottom */
    }
}

/* Whether a BMP file has fewer bytes than its pixels take: libav asks for memory, zeroed, before it looks. */
static int bmp_is_short(const lfm2__image_src *src, uint64_t width, uint64_t height)
{
    const unsigned char *d = src->data;
    if (src->n < 34 || lfm2__le(d + 14, 4) < 40) return 0;
    const uint32_t n_bits = lfm2__le(d + 28, 2), compression = lfm2__le(d + 30, 4); /* 0: none; 3: none, with masks */
    if (compression == 0 || compression == 3) return width * height / 8 * n_bits > src->n;
    return width * height / MAX_RUN_PX > src->n;
}

/* The same of a TIFF file: a pixel takes a bit before it is packed, a row of a fax one behind it. */
static int tiff_is_short(const lfm2__image_src *src, uint64_t width, uint64_t height)
{
    const uint32_t compression = lfm2__tiff_tag(src->data, src->n, TIFF_COMPRESSION, 1);
    const int is_fax = compression >= 2 && compression <= 4;
    return (is_fax ? height / 8 : width * height / 8 / MAX_PACKED_RATIO) > src->n;
}

/* Index behind a chain of GIF sub-blocks that begins at `at`; 0 if the file ends first. */
static size_t gif_skip_blocks(const lfm2__image_src *src, size_t at)
{
    while (at < src->n && src->data[at] != 0) at += 1 + (size_t)src->data[at];
    return at < src->n ? at + 1 : 0;
}

static size_t gif_table_bytes(unsigned flags)
{
    return flags & 0x80 ? (size_t)3 << ((flags & 7) + 1) : 0;
}

/* Whether a GIF file ends before the data of its first picture do: 1, or 2 if it ends before they begin. */
static int gif_is_cut(const lfm2__image_src *src)
{
    const unsigned char *d = src->data;
    if (src->n < 13) return 2;
    for (size_t at = 13 + gif_table_bytes(d[10]); at + 2 <= src->n;) {
        if (d[at] == 0x21) {
            at = gif_skip_blocks(src, at + 2);
            if (at == 0) return 2;
        } else if (d[at] == 0x2c) {
            if (src->n - at < 10) return 2;
            return gif_skip_blocks(src, at + 10 + gif_table_bytes(d[at + 9]) + 1) == 0;
        } else {
            return 2;
        }
    }
    return 2;
}

/* Refuse sizes before any of it is decoded. */
static int check_claims(const lfm2__image_src *src, lfm2__raster *claims)
{
    uint64_t width = 1, height = 1;
    int is_short = 0;
    *claims = (lfm2__raster){.orientation = 1};
    if (strcmp(src->format, "webp") == 0) {
        size_t n = 0;
        const unsigned char *exif = webp_chunk(src, "EXIF", &n);
        if (exif != NULL) claims->orientation = lfm2__exif_orientation(exif, n);
        claims->partial = (uint64_t)lfm2__le(src->data + 4, 4) + 8 > src->n;
        webp_size(src, &width, &height);
    } else if (strcmp(src->format, "bmp") == 0) {
        claims->partial = src->n >= 6 && lfm2__le(src->data + 2, 4) > src->n;
        bmp_size(src, &width, &height);
        is_short = bmp_is_short(src, width, height);
    } else if (strcmp(src->format, "gif") == 0) {
        is_short = gif_is_cut(src) == 2;
        claims->partial = gif_is_cut(src) != 0;
        if (src->n >= 10) {
            width = lfm2__le(src->data + 6, 2);
            height = lfm2__le(src->data + 8, 2);
        }
    } else if (strcmp(src->format, "tiff") == 0) {
        claims->orientation = lfm2__exif_orientation(src->data, src->n);
        width = lfm2__tiff_tag(src->data, src->n, TIFF_WIDTH, 1);
        height = lfm2__tiff_tag(src->data, src->n, TIFF_HEIGHT, 1);
        is_short = tiff_is_short(src, width, height);
    } else if (strcmp(src->format, "avif") == 0) {
        lfm2__avif_info info;
        lfm2__avif_read(src->data, src->n, &info);
        claims->orientation = info.orientation;
        width = info.width;
        height = info.height;
        if (info.has_alpha) lfm2__log(src->rt, LFM2_LOG_WARN, "%s: avif: its transparency is left out", src->name);
        if (info.is_composed) {
            return lfm2__fail(src->rt, LFM2_ERR_UNSUPPORTED, "%s: avif: put together of several pictures", src->name);
        }
    }
    const int rc = lfm2__image_check_size(src, width, height);
    if (rc == 0 && is_short) {
        return lfm2__fail(src->rt, LFM2_ERR_FORMAT, "%s: %s: too few bytes for an image of its size", src->name, src->format);
    }
    return rc;
}

/* --- reading from memory --- */

typedef struct av_reader {
    const lfm2__image_src *src;
    size_t at; /* next byte of src->data */
    AVIOContext *io;
    AVFormatContext *format;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    struct SwsContext *sws;
    int is_over;   /* status from a picture that was asked for and is over the limits */
    int is_strict; /* give up at the first oddity */
    int is_trial;  /* and without a word */
    int fill;      /* if not strict: what the picture's memory holds before it is decoded */
} av_reader;

static int on_read(void *ctx, uint8_t *out, int n)
{
    av_reader *r = ctx;
    const size_t left = r->src->n - r->at;
    if (lfm2__aborted(r->src->rt)) return AVERROR_EXIT;
    if (left == 0) return AVERROR_EOF;
    const size_t n_bytes = (size_t)n < left ? (size_t)n : left;
    memcpy(out, r->src->data + r->at, n_bytes);
    r->at += n_bytes;
    return (int)n_bytes;
}

static int64_t on_seek(void *ctx, int64_t offset, int whence)
{
    av_reader *r = ctx;
    const int64_t n = (int64_t)r->src->n;
    whence &= ~AVSEEK_FORCE;
    if (whence == AVSEEK_SIZE) return n;
    if (offset < -n || offset > n) return AVERROR(EINVAL);
    if (whence == SEEK_CUR) offset += (int64_t)r->at;
    if (whence == SEEK_END) offset += n;
    if (offset < 0 || offset > n) return AVERROR(EINVAL);
    r->at = (size_t)offset;
    return offset;
}

static int on_interrupt(void *ctx)
{
    const av_reader *r = ctx;
    return lfm2__aborted(r->src->rt);
}

/* The last moment to refuse a size that only the decoder knows: before it takes memory for the picture. */
static int on_picture(AVCodecContext *codec, AVFrame *frame, int flags)
{
    av_reader *r = codec->opaque;
    if (frame->width > 0 && frame->height > 0) {
        r->is_over = lfm2__image_check_size(r->src, (uint64_t)frame->width, (uint64_t)frame->height);
        if (r->is_over < 0) return AVERROR(ENOMEM);
    }
    const int status = avcodec_default_get_buffer2(codec, frame, flags);
    if (r->is_strict) return status;
    for (int i = 0; status == 0 && i < AV_NUM_DATA_POINTERS && frame->buf[i] != NULL; i++) {
        memset(frame->buf[i]->data, r->fill, frame->buf[i]->size);
    }
    return status;
}

/* --- decoding --- */

static int fail_av(const av_reader *r, int av_status, const char *what)
{
    if (lfm2__aborted(r->src->rt)) return LFM2_ERR_ABORTED;
    if (r->is_over < 0) return r->is_over;
    const int status = lfm2__av_no_memory(av_status) ? LFM2_ERR_NOMEM : LFM2_ERR_FORMAT;
    if (r->is_trial && status == LFM2_ERR_FORMAT) return status;
    return lfm2__fail(r->src->rt, status, "%s: %s: %s (%d)", r->src->name, r->src->format, what, av_status);
}

static int open_container(av_reader *r)
{
    static const struct {
        const char *format, *demuxer;
    } demuxers[] = {{"webp", "webp_pipe"}, {"bmp", "bmp_pipe"}, {"gif", "gif"}, {"tiff", "tiff_pipe"}, {"avif", "mov"}};
    const AVInputFormat *demuxer = NULL;
    for (size_t i = 0; i < LFM2__COUNT_OF(demuxers); i++) {
        if (strcmp(demuxers[i].format, r->src->format) == 0) demuxer = av_find_input_format(demuxers[i].demuxer);
    }
    if (demuxer == NULL) {
        return lfm2__fail(r->src->rt, LFM2_ERR_UNSUPPORTED, "%s: %s: libav has no demuxer for it", r->src->name, r->src->format);
    }
    unsigned char *buffer = av_malloc(IO_BYTES);
    r->io = buffer != NULL ? avio_alloc_context(buffer, IO_BYTES, 0, r, on_read, NULL, on_seek) : NULL;
    r->format = avformat_alloc_context();
    if (r->io == NULL) av_free(buffer);
    if (r->io == NULL || r->format == NULL) return fail_av(r, AVERROR(ENOMEM), "out of memory");
    r->format->pb = r->io;
    r->format->flags |= AVFMT_FLAG_CUSTOM_IO;
    r->format->io_open = lfm2__av_refuse_open;
    r->format->interrupt_callback = (AVIOInterruptCB){on_interrupt, r};
    r->format->max_streams = 16;
    r->format->protocol_whitelist = av_strdup(""); /* none */
    if (r->format->protocol_whitelist == NULL) return fail_av(r, AVERROR(ENOMEM), "out of memory");
    const int status = avformat_open_input(&r->format, NULL, demuxer, NULL);
    if (status < 0) return fail_av(r, status, "not readable");
    return 0;
}

static int open_decoder(av_reader *r, int *stream)
{
    for (unsigned i = 0; i < r->format->nb_streams && r->codec == NULL; i++) {
        const AVCodecParameters *p = r->format->streams[i]->codecpar;
        if (p->codec_type != AVMEDIA_TYPE_VIDEO) continue;
        const AVCodec *codec = avcodec_find_decoder(p->codec_id);
        if (codec == NULL) {
            return lfm2__fail(r->src->rt, LFM2_ERR_UNSUPPORTED, "%s: %s: libav has no decoder for it", r->src->name,
                              r->src->format);
        }
        r->codec = avcodec_alloc_context3(codec);
        if (r->codec == NULL) return fail_av(r, AVERROR(ENOMEM), "out of memory");
        int status = avcodec_parameters_to_context(r->codec, p);
        if (status < 0) return fail_av(r, status, "no decoder");
        r->codec->log_level_offset = QUIET_LOG_OFFSET;
        r->codec->thread_count = 1;
        r->codec->err_recognition = AV_EF_CRCCHECK | AV_EF_BUFFER | (r->is_strict ? AV_EF_EXPLODE : 0);
        r->codec->opaque = r;
        r->codec->get_buffer2 = on_picture;
        status = avcodec_open2(r->codec, codec, NULL);
        if (status < 0) return fail_av(r, status, "no decoder");
        *stream = (int)i;
    }
    return r->codec != NULL ? 0 : fail_av(r, AVERROR_INVALIDDATA, "holds no picture");
}

/* Read and decode until there is a picture in r->frame. */
static int decode_first(av_reader *r, int stream, int *is_damaged)
{
    r->packet = av_packet_alloc();
    r->frame = av_frame_alloc();
    if (r->packet == NULL || r->frame == NULL) return fail_av(r, AVERROR(ENOMEM), "out of memory");
    for (int i = 0; i < MAX_PACKETS; i++) {
        int status = av_read_frame(r->format, r->packet);
        const int at_end = status < 0;
        if (at_end && status != AVERROR_EOF) return fail_av(r, status, "cannot be read");
        if (!at_end && r->packet->stream_index != stream) {
            av_packet_unref(r->packet);
            continue;
        }
        if (!at_end && r->packet->flags & AV_PKT_FLAG_CORRUPT) *is_damaged = 1;
        status = avcodec_send_packet(r->codec, at_end ? NULL : r->packet);
        av_packet_unref(r->packet);
        if (status < 0 && status != AVERROR_EOF) return fail_av(r, status, "cannot be decoded");
        status = avcodec_receive_frame(r->codec, r->frame);
        if (status == 0) {
            if (r->frame->flags & AV_FRAME_FLAG_CORRUPT || r->frame->decode_error_flags) *is_damaged = 1;
            return 0;
        }
        if (status != AVERROR(EAGAIN)) return fail_av(r, status, "cannot be decoded");
    }
    return fail_av(r, AVERROR_INVALIDDATA, "holds no picture near its begin");
}

static void reader_fini(av_reader *r)
{
    sws_freeContext(r->sws);
    av_frame_free(&r->frame);
    av_packet_free(&r->packet);
    avcodec_free_context(&r->codec);
    avformat_close_input(&r->format);
    if (r->io != NULL) av_freep(&r->io->buffer);
    avio_context_free(&r->io);
}

/* Decode once. *is_damaged is set, never cleared. */
static int decode_with(const lfm2__image_src *src, int is_strict, int is_trial, int fill, int *is_damaged, lfm2__raster *out)
{
    int stream = 0;
    av_reader r = {.src = src, .is_strict = is_strict, .is_trial = is_trial, .fill = fill};
    int rc = open_container(&r);
    if (rc == 0) rc = open_decoder(&r, &stream);
    if (rc == 0) rc = decode_first(&r, stream, is_damaged);
    if (rc == 0) rc = lfm2__av_to_rgb(src, r.frame, &r.sws, out);
    reader_fini(&r);
    return rc;
}

/* TIFF's decoder, when strict, also refuses every tag that it does not know, and otherwise leaves out data that it cannot read. So
 * it decodes twice, into memory of unlike content: where the results differ nothing was decoded. */
static int decode_lenient(const lfm2__image_src *src, int *is_damaged, lfm2__raster *out)
{
    lfm2__raster first, second;
    int rc = decode_with(src, 0, 0, 0xff, is_damaged, &first);
    if (rc < 0) return rc;
    rc = decode_with(src, 0, 0, 0, is_damaged, &second);
    if (rc < 0) {
        lfm2_buf_unref(&first.pixels);
        return rc;
    }
    const size_t n_bytes = lfm2_buf_bytes(first.pixels);
    if (n_bytes != lfm2_buf_bytes(second.pixels)
        || memcmp(lfm2_buf_data(first.pixels), lfm2_buf_data(second.pixels), n_bytes) != 0) {
        *is_damaged = 1;
    }
    lfm2_buf_unref(&second.pixels);
    *out = first;
    return 0;
}

int lfm2__av_image_decode(const lfm2__image_src *src, lfm2__raster *out)
{
    lfm2__raster claims, raster;
    int rc = check_claims(src, &claims);
    if (rc < 0) return rc;
    lfm2__av_quiet();
    const int is_tiff = strcmp(src->format, "tiff") == 0;
    rc = decode_with(src, 1, is_tiff, 0, &claims.partial, &raster);
    if (is_tiff && rc == LFM2_ERR_FORMAT) rc = decode_lenient(src, &claims.partial, &raster);
    if (rc < 0) return rc;
    raster.orientation = claims.orientation;
    raster.partial = claims.partial;
    *out = raster;
    return 0;
}
