/* SPDX-License-Identifier: Apache-2.0
 * Videos and animations through libavformat and libavcodec, and what devices show through libavdevice. A damaged stream gives what
 * can be decoded of it; pictures that damage may have reached say so. */
#include <string.h>

#include <libavcodec/avcodec.h>
#ifdef LFM2_HAVE_AVDEVICE
#include <libavdevice/avdevice.h>
#endif
#include <libavformat/avformat.h>
#include <libavutil/time.h>

#include "base/runtime_impl.h"
#include "pipeline/frames_impl.h"
#include "pipeline/src_av.h"
#include "pipeline/src_av_rgb.h"

#define QUIET_LOG_OFFSET 1000          /* makes every message less than a debug message */
#define MOST_US ((int64_t)1 << 50)
#define FRAME_US 40000                 /* between pictures that have no times */
#define DEVICE_WAIT_US 10000           /* between looks at a device that has nothing yet */
#define MAX_STREAMS 64

static const lfm2__av_container containers[] = {
    {"mov,mp4,m4a,3gp,3g2,mj2", "video"}, {"matroska,webm", "video"}, {"avi", "video"},   {"mpegts", "video"},
    {"mpeg", "video"},                    {"flv", "video"},           {"ogg", "video"},   {"asf", "video"},
    {"h264", "video"},                    {"hevc", "video"},          {"m4v", "video"},   {"mpegvideo", "video"},
    {"ivf", "video"},                     {"yuv4mpegpipe", "video"},  {"gif", "gif"},     {"apng", "png"},
};
static const char decoders[] = "h264,hevc,vp8,vp9,av1,libdav1d,libaom-av1,mpeg4,mpeg2video,mpeg1video,mjpeg,theora,gif,apng,"
                               "png,rawvideo,wrapped_avframe,wmv1,wmv2,wmv3,vc1,flv,h263,msmpeg4v1,msmpeg4v2,msmpeg4,dvvideo,"
                               "prores,ffv1,huffyuv";

typedef struct av_moving {
    lfm2__moving base;
    lfm2__av_input in;      /* of a file; file NULL: a device */
    AVFormatContext *device;
    char *name;             /* of the device */
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    struct SwsContext *sws;
    int stream;
    int32_t orientation;
    int is_over;            /* status from a picture that was asked for and is over the limits */
    int is_flushing;
    int n_bad;              /* packets that could not be decoded since the picture before */
    int is_tainted;         /* a picture behind damage, until one that needs no other */
    int64_t n_pictures;
    int64_t first_us, last_us;
} av_moving;

static AVFormatContext *format_of(const av_moving *m)
{
    return m->device != NULL ? m->device : m->in.format;
}

static int fail_av(const av_moving *m, int av_status, const char *what)
{
    lfm2_runtime *rt = m->base.src.rt;
    if (lfm2__aborted(rt)) return LFM2_ERR_ABORTED;
    if (m->is_over < 0) return m->is_over;
    if (m->in.file != NULL) return lfm2__av_fail(&m->in, av_status, what);
    const int status = lfm2__av_no_memory(av_status)  ? LFM2_ERR_NOMEM
                       : av_status == AVERROR(ENOENT) ? LFM2_ERR_NOT_FOUND
                                                      : LFM2_ERR_IO;
    return lfm2__fail(rt, status, "%s: %s (%d)", m->base.src.name, what, av_status);
}

static int on_interrupt(void *ctx)
{
    const av_moving *m = ctx;
    return lfm2__aborted(m->base.src.rt);
}

/* The last moment to refuse a size that only the decoder knows: before it takes memory for the picture. */
static int on_picture(AVCodecContext *codec, AVFrame *frame, int flags)
{
    av_moving *m = codec->opaque;
    if (frame->width > 0 && frame->height > 0) {
        m->is_over = lfm2__image_check_size(&m->base.src, (uint64_t)frame->width, (uint64_t)frame->height);
        if (m->is_over < 0) return AVERROR(ENOMEM);
    }
    return avcodec_default_get_buffer2(codec, frame, flags);
}

/* --- opening --- */

/* What the container does not say is looked for in its first packets; pictures over the limit are not decoded there either. */
static int find_stream_info(av_moving *m)
{
    AVDictionary *options[MAX_STREAMS] = {0};
    const unsigned n = m->in.format->nb_streams < MAX_STREAMS ? m->in.format->nb_streams : MAX_STREAMS;
    int status = 0;
    for (unsigned i = 0; i < n && status >= 0; i++) {
        status = av_dict_set_int(&options[i], "max_pixels", m->base.src.params->max_pixels, 0);
    }
    if (status >= 0) status = avformat_find_stream_info(m->in.format, m->in.format->nb_streams <= MAX_STREAMS ? options : NULL);
    for (unsigned i = 0; i < n; i++) av_dict_free(&options[i]);
    return status < 0 ? fail_av(m, status, "its streams cannot be told apart") : 0;
}

/* EXIF's number for what a display matrix does to a picture: the signs of its upper left part say it. */
static int32_t orientation_of(const int32_t *matrix)
{
    const int32_t a = matrix[0], b = matrix[1], c = matrix[3], d = matrix[4];
    if (b == 0 && c == 0) return a < 0 ? (d < 0 ? 3 : 2) : (d < 0 ? 4 : 1);
    if (a != 0 || d != 0) return 1; /* by no right angle */
    return b > 0 ? (c > 0 ? 5 : 6) : (c > 0 ? 8 : 7);
}

static int32_t stream_orientation(const AVStream *stream)
{
#if LIBAVFORMAT_VERSION_MAJOR >= 61
    const AVPacketSideData *side = av_packet_side_data_get(stream->codecpar->coded_side_data, stream->codecpar->nb_coded_side_data,
                                                           AV_PKT_DATA_DISPLAYMATRIX);
    const uint8_t *data = side != NULL ? side->data : NULL;
    const size_t n = side != NULL ? side->size : 0;
#else
    size_t n = 0;
    const uint8_t *data = av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, &n);
#endif
    int32_t matrix[9];
    if (data == NULL || n < sizeof matrix) return 1;
    memcpy(matrix, data, sizeof matrix);
    return orientation_of(matrix);
}

static int check_sizes(const av_moving *m)
{
    const AVFormatContext *format = format_of(m);
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < format->nb_streams; i++) {
        const AVCodecParameters *p = format->streams[i]->codecpar;
        if (p->codec_type != AVMEDIA_TYPE_VIDEO || p->width <= 0 || p->height <= 0) continue;
        rc = lfm2__image_check_size(&m->base.src, (uint64_t)p->width, (uint64_t)p->height);
    }
    return rc;
}

static int open_decoder(av_moving *m)
{
    AVFormatContext *format = format_of(m);
    const lfm2__image_src *src = &m->base.src;
    m->stream = av_find_best_stream(format, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    if (m->stream < 0) return lfm2__fail(src->rt, LFM2_ERR_UNSUPPORTED, "%s: holds no pictures", src->name);
    const AVStream *stream = format->streams[m->stream];
    const AVCodecParameters *p = stream->codecpar;
    const AVCodec *codec = avcodec_find_decoder(p->codec_id);
    if (codec == NULL) {
        return lfm2__fail(src->rt, LFM2_ERR_UNSUPPORTED, "%s: %s: libav has no decoder for it", src->name, src->format);
    }
    m->codec = avcodec_alloc_context3(codec);
    m->packet = av_packet_alloc();
    m->frame = av_frame_alloc();
    if (m->codec == NULL || m->packet == NULL || m->frame == NULL) return fail_av(m, AVERROR(ENOMEM), "out of memory");
    int status = avcodec_parameters_to_context(m->codec, p);
    if (status < 0) return fail_av(m, status, "no decoder");
    m->codec->codec_whitelist = av_strdup(decoders);
    if (m->codec->codec_whitelist == NULL) return fail_av(m, AVERROR(ENOMEM), "out of memory");
    m->codec->log_level_offset = QUIET_LOG_OFFSET;
    m->codec->thread_count = 1;
    m->codec->err_recognition = AV_EF_CRCCHECK;
    m->codec->opaque = m;
    m->codec->get_buffer2 = on_picture;
    m->codec->pkt_timebase = stream->time_base;
    status = avcodec_open2(m->codec, codec, NULL);
    if (status == AVERROR(EINVAL)) {
        return lfm2__fail(src->rt, LFM2_ERR_UNSUPPORTED, "%s: %s: not decoded here: %s", src->name, src->format, codec->name);
    }
    if (status < 0) return fail_av(m, status, "no decoder");
    for (unsigned i = 0; i < format->nb_streams; i++) {
        if ((int)i != m->stream) format->streams[i]->discard = AVDISCARD_ALL;
    }
    m->orientation = stream_orientation(stream);
    return 0;
}

/* --- pictures --- */

/* Whether a failure to decode is no damage of the stream. */
static int cannot_go_on(const av_moving *m, int av_status)
{
    return m->is_over < 0 || lfm2__aborted(m->base.src.rt) || lfm2__av_no_memory(av_status);
}

/* Send the next packet, or the end. Returns 0 or an error of ours; what cannot be decoded is counted. */
static int send_packet(av_moving *m)
{
    int status = av_read_frame(format_of(m), m->packet);
    if (status == AVERROR(EAGAIN)) {
        av_usleep(DEVICE_WAIT_US);
        return 0;
    }
    if (status < 0) {
        const int rc = status == AVERROR_EOF ? 0 : fail_av(m, status, "cannot be read further");
        if (rc < 0 && (rc != LFM2_ERR_FORMAT || m->n_pictures == 0)) return rc;
        m->is_flushing = 1;
        (void)avcodec_send_packet(m->codec, NULL);
        return 0;
    }
    if (m->packet->stream_index == m->stream) {
        if (m->packet->flags & AV_PKT_FLAG_CORRUPT) m->n_bad++;
        status = avcodec_send_packet(m->codec, m->packet);
    }
    av_packet_unref(m->packet);
    if (status >= 0) return 0;
    if (cannot_go_on(m, status)) return fail_av(m, status, "cannot be decoded");
    m->n_bad++;
    return 0;
}

/* Time of the picture from the first one on, never backwards. */
static int64_t picture_time(av_moving *m)
{
    const AVRational us = {1, 1000000}, base = format_of(m)->streams[m->stream]->time_base;
    const int64_t t = m->frame->best_effort_timestamp;
    int64_t at = m->n_pictures == 0 ? 0 : m->last_us + FRAME_US;
    if (t != AV_NOPTS_VALUE && base.num > 0 && base.den > 0) {
        const int64_t wide = av_rescale_q_rnd(t, base, us, AV_ROUND_NEAR_INF | AV_ROUND_PASS_MINMAX);
        const int64_t abs_us = wide > MOST_US ? MOST_US : wide < -MOST_US ? -MOST_US : wide;
        if (m->n_pictures == 0) m->first_us = abs_us;
        at = abs_us - m->first_us;
    }
    if (at < m->last_us) at = m->last_us;
    return at < MOST_US ? at : MOST_US;
}

static int av_advance(lfm2__moving *base, int64_t *pts_us)
{
    av_moving *m = (av_moving *)base;
    for (;;) {
        if (lfm2__aborted(base->src.rt)) return LFM2_ERR_ABORTED;
        const int status = avcodec_receive_frame(m->codec, m->frame);
        if (status == 0) break;
        if (status == AVERROR_EOF) {
            if (m->n_bad > 0) {
                lfm2__log(base->src.rt, LFM2_LOG_WARN, "%s: %s: ends in damaged data", base->src.name, base->src.format);
            }
            return m->n_pictures > 0 ? LFM2_EOF : fail_av(m, AVERROR_INVALIDDATA, "holds no picture that can be decoded");
        }
        if (status != AVERROR(EAGAIN)) {
            if (cannot_go_on(m, status)) return fail_av(m, status, "cannot be decoded");
            m->n_bad++;
            if (m->is_flushing) continue;
        }
        const int rc = send_packet(m);
        if (rc < 0) return rc;
    }
    const int is_bad = m->n_bad > 0 || (m->frame->flags & AV_FRAME_FLAG_CORRUPT) != 0 || m->frame->decode_error_flags != 0;
    m->is_tainted = is_bad || (m->is_tainted && m->frame->pict_type != AV_PICTURE_TYPE_I);
    m->n_bad = 0;
    m->last_us = picture_time(m);
    m->n_pictures++;
    *pts_us = m->last_us;
    return 0;
}

static int av_picture(lfm2__moving *base, lfm2__raster *out)
{
    av_moving *m = (av_moving *)base;
    const int rc = lfm2__av_to_rgb(&base->src, m->frame, &m->sws, out);
    if (rc < 0) return rc;
    out->orientation = m->orientation;
    out->partial = m->is_tainted;
    return 0;
}

static void av_close(lfm2__moving *base)
{
    av_moving *m = (av_moving *)base;
    lfm2_runtime *rt = base->src.rt;
    sws_freeContext(m->sws);
    av_frame_free(&m->frame);
    av_packet_free(&m->packet);
    avcodec_free_context(&m->codec);
    avformat_close_input(&m->device);
    lfm2__av_input_fini(&m->in);
    lfm2__free(rt, m->name);
    lfm2__free(rt, m);
}

static av_moving *create(lfm2_runtime *rt, const char *name, const lfm2_image_params *params)
{
    static const lfm2__moving_ops ops = {av_advance, av_picture, av_close};
    av_moving *m = lfm2__calloc(rt, 1, sizeof *m);
    if (m == NULL) return NULL;
    m->base.ops = &ops;
    m->base.src = (lfm2__image_src){.rt = rt, .name = name, .params = params, .format = "video"};
    m->orientation = 1;
    return m;
}

int lfm2__av_moving_open(lfm2_runtime *rt, lfm2__infile *file, const lfm2_image_params *params, lfm2__moving **out)
{
    av_moving *m = create(rt, lfm2__infile_name(file), params);
    if (m == NULL) return lfm2__fail(rt, LFM2_ERR_NOMEM, "%s: out of memory", lfm2__infile_name(file));
    m->in = (lfm2__av_input){.rt = rt, .file = file};
    int rc = lfm2__av_input_init(&m->in, containers, LFM2__COUNT_OF(containers), decoders);
    if (rc == 0) {
        m->base.src.format = m->in.container;
        rc = check_sizes(m);
    }
    if (rc == 0) rc = find_stream_info(m);
    if (rc == 0) rc = check_sizes(m);
    if (rc == 0) rc = open_decoder(m);
    if (rc < 0) {
        av_close(&m->base);
        return rc;
    }
    *out = &m->base;
    return 0;
}

/* --- devices --- */

#ifdef LFM2_HAVE_AVDEVICE

static const char *guess_format(const char *device)
{
    if (strncmp(device, "/dev/video", 10) == 0) return "v4l2";
    return device[0] == ':' && device[1] >= '0' && device[1] <= '9' ? "x11grab" : "";
}

static int open_device(av_moving *m, const char *format)
{
    lfm2__av_quiet();
    avdevice_register_all();
    const AVInputFormat *demuxer = av_find_input_format(format);
    if (demuxer == NULL || (demuxer->flags & AVFMT_NOFILE) == 0) {
        return lfm2__fail(m->base.src.rt, LFM2_ERR_UNSUPPORTED, "%s: no device of a kind that is known here", m->name);
    }
    m->device = avformat_alloc_context();
    if (m->device == NULL) return fail_av(m, AVERROR(ENOMEM), "out of memory");
    m->device->interrupt_callback = (AVIOInterruptCB){on_interrupt, m};
    m->device->flags |= AVFMT_FLAG_NONBLOCK;
    m->device->io_open = lfm2__av_refuse_open;
    const int status = avformat_open_input(&m->device, m->name, demuxer, NULL);
    if (status < 0) return fail_av(m, status, "cannot be opened");
    const int rc = check_sizes(m);
    return rc < 0 ? rc : open_decoder(m);
}

int lfm2__av_moving_open_device(lfm2_runtime *rt, const char *format, const char *device, const lfm2_image_params *params,
                                lfm2__moving **out)
{
    av_moving *m = create(rt, device, params);
    if (m != NULL) m->name = lfm2__strndup(rt, device, strlen(device));
    if (m == NULL || m->name == NULL) {
        lfm2__free(rt, m);
        return lfm2__fail(rt, LFM2_ERR_NOMEM, "%s: out of memory", device);
    }
    m->base.src.name = m->name;
    const int rc = open_device(m, format != NULL ? format : guess_format(device));
    if (rc < 0) {
        av_close(&m->base);
        return rc;
    }
    *out = &m->base;
    return 0;
}

#else

int lfm2__av_moving_open_device(lfm2_runtime *rt, const char *format, const char *device, const lfm2_image_params *params,
                                lfm2__moving **out)
{
    (void)format, (void)params, (void)out;
    return lfm2__fail(rt, LFM2_ERR_UNSUPPORTED, "%s: this build is without libavdevice", device);
}

#endif
