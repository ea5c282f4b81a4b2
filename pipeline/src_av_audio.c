/* SPDX-License-Identifier: Apache-2.0
 * Sound out of containers, through libavformat and libavcodec: packets decoded one by one, placed on the time line, with silence
 * where something is missing. */
#include <math.h>
#include <string.h>

#include <libavcodec/avcodec.h>

#include "base/runtime_impl.h"
#include "base/str.h"
#include "pipeline/audio_impl.h"
#include "pipeline/src_av.h"

#define MAX_FRAME_SAMPLES (1 << 22) /* that a decoder may give at once */
#define MAX_LOST_S 1.0              /* longest silence for a packet that cannot be decoded: its length is its own claim */
#define END_NEAR_S 0.1              /* a recording that ends this much before its announced end is whole */
#define MAX_ERRORS 8                /* of one packet until it is given up */
#define QUIET_LOG_OFFSET 1000       /* makes every message less than a debug message */

/* Containers of sound and video. Playlists, lists of files, devices and pictures are not among them. */
static const lfm2__av_container containers[] = {
    {"wav", "wav"}, {"w64", "w64"}, {"aiff", "aiff"}, {"au", "au"}, {"caf", "caf"}, {"voc", "voc"}, {"sox", "sox"},
    {"nistsphere", "nist"}, {"iff", "iff"}, {"flac", "flac"}, {"ape", "ape"}, {"wv", "wavpack"}, {"tta", "tta"}, {"tak", "tak"},
    {"mpc", "musepack"}, {"mpc8", "musepack"}, {"mp3", "mp3"}, {"aac", "aac"}, {"loas", "aac"}, {"ac3", "ac3"}, {"eac3", "eac3"},
    {"dts", "dts"}, {"ogg", "ogg"}, {"matroska,webm", "matroska"}, {"mov,mp4,m4a,3gp,3g2,mj2", "mp4"}, {"avi", "avi"},
    {"flv", "flv"}, {"asf", "asf"}, {"rm", "rm"}, {"mpeg", "mpeg"}, {"mpegts", "mpegts"}, {"nut", "nut"}, {"amr", "amr"},
    {"gsm", "gsm"}, {"dss", "dss"},
};

/* A decoded frame and the silence for what could not be decoded before it. */
typedef struct decoded {
    AVFrame *frame;
    double lost_s;
    int is_end; /* there is no frame any more */
} decoded;

typedef struct av_reader {
    lfm2__audio_from from;
    lfm2__av_input in;
    AVStream *stream;
    AVCodecContext *codec;
    AVPacket *packet;
    double packet_s;           /* length of the last packet that is not accounted for: neither decoded nor lost */
    double packets_s;          /* of all packets, what their decoder leaves out at both ends included */
    int packet_is_bad, packets_end, any_decoded;
    decoded current, next;     /* one ahead: a time stamp is believed when the next one agrees */
    lfm2__audio_line line;
    double at_s;               /* where the line stands: at the begin of the current frame */
    int32_t rate_hz;           /* of it, and of the silence before it */
    int64_t n_silence;         /* samples of that silence that are left */
    int32_t n_taken;           /* samples of the current frame */
    int32_t n_channels;
    float *samples;            /* f32 [n_channels + 1, LFM2__AUDIO_PIECE] */
} av_reader;

static int no_memory(const av_reader *r)
{
    return lfm2__fail(r->from.rt, LFM2_ERR_NOMEM, "%s: out of memory", lfm2__infile_name(r->from.file));
}

static double frame_seconds(const AVFrame *f)
{
    return (double)f->nb_samples / f->sample_rate;
}

static double stamp_seconds(const av_reader *r, const AVFrame *f)
{
    const int64_t stamp = f->best_effort_timestamp;
    return stamp == AV_NOPTS_VALUE ? NAN : (double)stamp * av_q2d(r->stream->time_base);
}

/* --- packets to frames --- */

/* A packet that would not decode, or not to its end. */
static void lose_packet(av_reader *r, decoded *d)
{
    if (r->packet_is_bad) return; /* said before */
    r->packet_is_bad = 1;
    r->from.damage->n_bad_packets++;
    d->lost_s += fmin(fmax(r->packet_s, 0), MAX_LOST_S);
}

/* The next packet of the stream into the decoder, or the news that there is none. */
static int feed(av_reader *r, decoded *d)
{
    int status;
    for (;;) {
        status = av_read_frame(r->in.format, r->packet);
        if (lfm2__aborted(r->from.rt)) return LFM2_ERR_ABORTED;
        if (lfm2__infile_status(r->from.file) < 0) return lfm2__infile_status(r->from.file);
        if (lfm2__av_no_memory(status)) return lfm2__av_fail(&r->in, status, "out of memory");
        if (status < 0 || r->packet->stream_index == r->stream->index) break;
        av_packet_unref(r->packet);
    }
    if (status < 0) {
        if (status != AVERROR_EOF) r->from.damage->truncated = 1;
        r->packets_end = 1;
        (void)avcodec_send_packet(r->codec, NULL);
        return 0;
    }
    const int is_encrypted = av_packet_get_side_data(r->packet, AV_PKT_DATA_ENCRYPTION_INFO, NULL) != NULL;
    r->packet_s = (double)r->packet->duration * av_q2d(r->stream->time_base);
    r->packets_s += r->packet_s;
    r->packet_is_bad = 0;
    status = is_encrypted ? 0 : avcodec_send_packet(r->codec, r->packet);
    av_packet_unref(r->packet);
    if (is_encrypted) {
        return lfm2__fail(r->from.rt, LFM2_ERR_UNSUPPORTED, "%s: %s: is encrypted", lfm2__infile_name(r->from.file),
                          r->in.container);
    }
    if (lfm2__av_no_memory(status)) return lfm2__av_fail(&r->in, status, "out of memory");
    if (status < 0) lose_packet(r, d);
    return 0;
}

static int check_rate(const av_reader *r, int rate_hz)
{
    if (rate_hz >= LFM2__AUDIO_MIN_HZ && rate_hz <= LFM2__AUDIO_MAX_HZ) return 0;
    return lfm2__fail(r->from.rt, rate_hz <= 0 ? LFM2_ERR_FORMAT : LFM2_ERR_LIMIT, "%s: %s: a rate of %d Hz",
                      lfm2__infile_name(r->from.file), r->in.container, rate_hz);
}

/* The next frame with sound in it. */
static int decode(av_reader *r, decoded *d)
{
    d->lost_s = 0;
    for (int n_errors = 0;;) {
        const int status = avcodec_receive_frame(r->codec, d->frame);
        if (lfm2__aborted(r->from.rt)) return LFM2_ERR_ABORTED;
        if (lfm2__av_no_memory(status)) return lfm2__av_fail(&r->in, status, "out of memory");
        if (status >= 0 && d->frame->nb_samples > 0) {
            r->any_decoded = 1;
            if (r->codec->sample_rate > 0) d->frame->sample_rate = r->codec->sample_rate; /* the frame's may be of the one before */
            r->packet_s -= frame_seconds(d->frame);
            return check_rate(r, d->frame->sample_rate);
        }
        if (status >= 0) continue;
        if (status == AVERROR_EOF || r->packets_end) break;
        if (status != AVERROR(EAGAIN)) {
            lose_packet(r, d);
            if (++n_errors < MAX_ERRORS) continue; /* it may have more of the same packet */
        }
        const int rc = feed(r, d);
        if (rc < 0) return rc;
        n_errors = 0;
    }
    d->is_end = 1;
    return 0;
}

/* --- frames to pieces --- */

/* Samples of a channel in -1..1 as far as the codec keeps to it. */
static void take_samples(const AVFrame *f, int channel, int32_t at, int32_t n, float *out, int64_t *n_bad)
{
    const enum AVSampleFormat format = (enum AVSampleFormat)f->format;
    const int is_planar = av_sample_fmt_is_planar(format);
    const ptrdiff_t step = is_planar ? 1 : f->ch_layout.nb_channels;
    const ptrdiff_t first = is_planar ? at : (ptrdiff_t)at * step + channel;
    const void *plane = f->extended_data[is_planar ? channel : 0];
#define TAKE(type, expression)                                                 \
    do {                                                                       \
        const type *p = (const type *)plane + first;                           \
        for (int32_t i = 0; i < n; i++, p += step) out[i] = (float)(expression); \
    } while (0)
    switch (av_get_packed_sample_fmt(format)) {
    case AV_SAMPLE_FMT_U8: TAKE(uint8_t, (*p - 128) / 128.0f); break;
    case AV_SAMPLE_FMT_S16: TAKE(int16_t, *p / 32768.0f); break;
    case AV_SAMPLE_FMT_S32: TAKE(int32_t, *p / 2147483648.0); break;
    case AV_SAMPLE_FMT_S64: TAKE(int64_t, (double)*p / 9223372036854775808.0); break;
    case AV_SAMPLE_FMT_FLT: TAKE(float, *p); break;
    case AV_SAMPLE_FMT_DBL: TAKE(double, fmin(fmax(*p, -1e30), 1e30)); break; /* a NaN becomes large, and is counted as such */
    default: memset(out, 0, (size_t)n * sizeof *out); break;
    }
#undef TAKE
    lfm2__audio_clean(out, n, n_bad);
}

/* The wanted number of channels: one goes to all, many to one are their mean, otherwise the first ones stand for themselves. */
static void map_channels(av_reader *r, int32_t n)
{
    const AVFrame *f = r->current.frame;
    const int n_from = f->ch_layout.nb_channels, n_to = r->n_channels;
    int64_t *n_bad = &r->from.damage->n_bad_samples;
    float *spare = r->samples + (size_t)n_to * LFM2__AUDIO_PIECE;
    for (int c = 0; c < n_to; c++) {
        float *out = r->samples + (size_t)c * LFM2__AUDIO_PIECE;
        if (n_from == 1 && c > 0) {
            memcpy(out, r->samples, (size_t)n * sizeof *out);
        } else if (c < n_from) {
            take_samples(f, c, r->n_taken, n, out, n_bad);
        } else {
            memset(out, 0, (size_t)n * sizeof *out);
        }
    }
    if (n_to > 1 || n_from <= 1) return;
    for (int c = 1; c < n_from; c++) {
        take_samples(f, c, r->n_taken, n, spare, n_bad);
        for (int32_t i = 0; i < n; i++) r->samples[i] += spare[i];
    }
    for (int32_t i = 0; i < n; i++) r->samples[i] /= (float)n_from;
}

/* Where the current frame belongs. */
static void place(av_reader *r)
{
    double silence_s = r->current.lost_s;
    if (!r->current.is_end) {
        const AVFrame *f = r->current.frame;
        const double next_s = r->next.is_end ? NAN : stamp_seconds(r, r->next.frame) - r->next.lost_s;
        silence_s += lfm2__audio_line_place(&r->line, r->at_s + silence_s, stamp_seconds(r, f), frame_seconds(f), next_s);
        r->rate_hz = f->sample_rate;
    }
    r->n_silence = llround(silence_s * r->rate_hz);
    r->at_s += (double)r->n_silence / r->rate_hz;
    r->n_taken = 0;
}

/* The frame ahead becomes the current one. */
static int advance(av_reader *r)
{
    const decoded used = r->current;
    r->at_s += frame_seconds(used.frame);
    r->current = r->next;
    r->next = used;
    av_frame_unref(r->next.frame);
    if (r->current.is_end) {
        r->next.is_end = 1;
    } else {
        const int rc = decode(r, &r->next);
        if (rc < 0) return rc;
    }
    place(r);
    return 0;
}

static int end(av_reader *r)
{
    const AVStream *s = r->stream;
    double end_s = NAN;
    if (r->in.format->duration_estimation_method != AVFMT_DURATION_FROM_BITRATE) {
        if (s->duration != AV_NOPTS_VALUE) {
            end_s = (double)s->duration * av_q2d(s->time_base);
        } else if (r->in.format->duration != AV_NOPTS_VALUE && r->in.format->nb_streams == 1) {
            end_s = (double)r->in.format->duration / AV_TIME_BASE;
        }
    }
    if (!isnan(end_s) && fmax(r->at_s, r->packets_s) < end_s - END_NEAR_S) r->from.damage->truncated = 1;
    if (lfm2__audio_is_cut(r->from.file)) r->from.damage->truncated = 1;
    if (r->any_decoded || (r->from.damage->n_bad_packets == 0 && !r->from.damage->truncated)) return LFM2_EOF;
    return lfm2__fail(r->from.rt, LFM2_ERR_FORMAT, "%s: %s: none of the sound that it announces is there and can be decoded",
                      lfm2__infile_name(r->from.file), r->in.container);
}

static int av_next(void *ctx, lfm2__audio_piece *out)
{
    av_reader *r = ctx;
    while (r->n_silence == 0) {
        if (r->current.is_end) return end(r);
        if (r->n_taken < r->current.frame->nb_samples) break;
        const int rc = advance(r);
        if (rc < 0) return rc;
    }
    if (r->n_silence > 0) {
        out->n_samples = (int32_t)(r->n_silence < LFM2__AUDIO_PIECE ? r->n_silence : LFM2__AUDIO_PIECE);
        memset(r->samples, 0, (size_t)r->n_channels * LFM2__AUDIO_PIECE * sizeof(float));
        r->n_silence -= out->n_samples;
    } else {
        const int32_t n_left = r->current.frame->nb_samples - r->n_taken;
        out->n_samples = n_left < LFM2__AUDIO_PIECE ? n_left : LFM2__AUDIO_PIECE;
        map_channels(r, out->n_samples);
        r->n_taken += out->n_samples;
    }
    for (int32_t c = 0; c < r->n_channels; c++) out->planes[c] = r->samples + (size_t)c * LFM2__AUDIO_PIECE;
    out->rate_hz = r->rate_hz;
    return 0;
}

/* --- opening --- */

/* Names of all decoders of sound: no other may look into the file. */
static int sound_decoders(lfm2_runtime *rt, lfm2__str *out)
{
    void *state = NULL;
    lfm2__str_init(out, rt);
    for (const AVCodec *c = av_codec_iterate(&state); c != NULL; c = av_codec_iterate(&state)) {
        if (c->type == AVMEDIA_TYPE_AUDIO && av_codec_is_decoder(c)) lfm2__str_printf(out, "%s%s", out->n > 0 ? "," : "", c->name);
    }
    return out->status;
}

static int open_container(av_reader *r)
{
    lfm2__str decoders;
    int rc = sound_decoders(r->from.rt, &decoders);
    if (rc < 0) rc = no_memory(r);
    if (rc == 0) rc = lfm2__av_input_init(&r->in, containers, LFM2__COUNT_OF(containers), decoders.data);
    lfm2__str_fini(&decoders);
    if (rc < 0) return rc;
    AVFormatContext *format = r->in.format;
    const int status = avformat_find_stream_info(format, NULL);
    if (status < 0) return lfm2__av_fail(&r->in, status, "not readable");
    const int stream = av_find_best_stream(format, AVMEDIA_TYPE_AUDIO, -1, -1, NULL, 0);
    if (stream < 0) return lfm2__av_fail(&r->in, AVERROR_PATCHWELCOME, "holds no sound");
    r->stream = format->streams[stream];
    for (unsigned i = 0; i < format->nb_streams; i++) {
        if (i != (unsigned)stream) format->streams[i]->discard = AVDISCARD_ALL;
    }
    return 0;
}

static int open_decoder(av_reader *r)
{
    const AVCodecParameters *p = r->stream->codecpar;
    const AVCodec *codec = avcodec_find_decoder(p->codec_id);
    if (codec == NULL || codec->type != AVMEDIA_TYPE_AUDIO) {
        return lfm2__av_fail(&r->in, AVERROR_DECODER_NOT_FOUND, "libav has no decoder for its sound");
    }
    r->codec = avcodec_alloc_context3(codec);
    r->packet = av_packet_alloc();
    r->current.frame = av_frame_alloc();
    r->next.frame = av_frame_alloc();
    if (r->codec == NULL || r->packet == NULL || r->current.frame == NULL || r->next.frame == NULL) {
        return no_memory(r);
    }
    int status = avcodec_parameters_to_context(r->codec, p);
    if (status < 0) return lfm2__av_fail(&r->in, status, "no decoder");
    r->codec->log_level_offset = QUIET_LOG_OFFSET;
    r->codec->thread_count = 1;
    r->codec->pkt_timebase = r->stream->time_base;
    r->codec->err_recognition = AV_EF_CRCCHECK;
    const AVCodecDescriptor *about = avcodec_descriptor_get(p->codec_id);
    if (about != NULL && (about->props & AV_CODEC_PROP_LOSSY) == 0) r->codec->err_recognition |= AV_EF_EXPLODE; /* wrong is noise */
    r->codec->max_samples = MAX_FRAME_SAMPLES;
    status = avcodec_open2(r->codec, codec, NULL);
    return status < 0 ? lfm2__av_fail(&r->in, status, "no decoder") : 0;
}

/* What zero on the time line means: the begin of the first sound, or of a film. */
static double line_offset(const av_reader *r)
{
    const AVFormatContext *f = r->in.format;
    const double first_s = r->current.is_end ? NAN : stamp_seconds(r, r->current.frame) - r->current.lost_s;
    for (unsigned i = 0; i < f->nb_streams; i++) {
        const AVStream *s = f->streams[i];
        const int is_film = s->codecpar->codec_type == AVMEDIA_TYPE_VIDEO && !(s->disposition & AV_DISPOSITION_ATTACHED_PIC);
        if (is_film && f->start_time != AV_NOPTS_VALUE) return fmax((double)f->start_time / AV_TIME_BASE, 0);
    }
    return isnan(first_s) ? 0 : first_s;
}

static int start(av_reader *r, lfm2_audio_info *info)
{
    int rc = decode(r, &r->current);
    if (rc == 0 && r->current.is_end) r->next.is_end = 1;
    if (rc == 0 && !r->current.is_end) rc = decode(r, &r->next);
    if (rc < 0) return rc;
    const AVFrame *f = r->current.frame;
    const int n_channels = r->current.is_end ? r->codec->ch_layout.nb_channels : f->ch_layout.nb_channels;
    r->rate_hz = r->current.is_end ? r->codec->sample_rate : f->sample_rate;
    rc = check_rate(r, r->rate_hz);
    if (rc < 0) return rc;
    if (n_channels < 1 || n_channels > LFM2_AUDIO_MAX_CHANNELS) {
        return lfm2__fail(r->from.rt, n_channels < 1 ? LFM2_ERR_FORMAT : LFM2_ERR_LIMIT, "%s: %s: %d channels",
                          lfm2__infile_name(r->from.file), r->in.container, n_channels);
    }
    r->n_channels = n_channels;
    r->samples = lfm2__calloc(r->from.rt, ((size_t)n_channels + 1) * LFM2__AUDIO_PIECE, sizeof(float));
    if (r->samples == NULL) return no_memory(r);
    lfm2__audio_line_init(&r->line, line_offset(r), r->from.params->max_gap_us, r->from.damage);
    place(r);
    int64_t duration_us = r->in.format->duration != AV_NOPTS_VALUE ? r->in.format->duration : -1; /* AV_TIME_BASE is 1,000,000 */
    const int64_t duration = r->stream->duration;
    if (duration != AV_NOPTS_VALUE) duration_us = av_rescale_q(duration, r->stream->time_base, AV_TIME_BASE_Q);
    *info = (lfm2_audio_info){
        .n_channels = n_channels, .source_rate_hz = r->rate_hz, .container = r->in.container,
        .codec = avcodec_get_name(r->codec->codec_id), .duration_us = duration_us >= 0 ? duration_us : -1,
    };
    return 0;
}

static void av_close(void *ctx)
{
    av_reader *r = ctx;
    if (r == NULL) return;
    av_frame_free(&r->current.frame);
    av_frame_free(&r->next.frame);
    av_packet_free(&r->packet);
    avcodec_free_context(&r->codec);
    lfm2__av_input_fini(&r->in);
    lfm2__free(r->from.rt, r->samples);
    lfm2__free(r->from.rt, r);
}

int lfm2__audio_av_open(const lfm2__audio_from *from, lfm2_audio_info *info, lfm2__audio_reader *out)
{
    av_reader *r = lfm2__calloc(from->rt, 1, sizeof *r);
    if (r == NULL) return lfm2__fail(from->rt, LFM2_ERR_NOMEM, "%s: out of memory", lfm2__infile_name(from->file));
    r->from = *from;
    r->in.rt = from->rt;
    r->in.file = from->file;
    int rc = open_container(r);
    if (rc == 0) rc = open_decoder(r);
    if (rc == 0) rc = start(r, info);
    if (rc < 0) {
        av_close(r);
        return rc;
    }
    *out = (lfm2__audio_reader){r, av_next, av_close};
    return 0;
}
