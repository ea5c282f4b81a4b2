/* SPDX-License-Identifier: Apache-2.0
 * Containers through libavformat. It reads through our own file and has no protocol at all, so that no content can make it open
 * another file or an address. */
#include "pipeline/src_av.h"

#include <string.h>

#include "base/runtime_impl.h"

#define IO_BYTES 32768
#define MAX_PROBE_BYTES (1 << 20)
#define MAX_STREAMS 64
#define PROBE_MEMORY_BYTES ((size_t)1 << 24)
#define MAX_STREAM_INFO_BYTES (5 << 20) /* read in search of what the header does not say */

void lfm2__av_quiet(void)
{
    if (av_log_get_level() == AV_LOG_INFO) av_log_set_level(AV_LOG_QUIET);
}

int lfm2__av_refuse_open(AVFormatContext *format, AVIOContext **io, const char *url, int flags, AVDictionary **options)
{
    (void)format, (void)io, (void)url, (void)flags, (void)options;
    return AVERROR(EACCES);
}

static int on_read(void *ctx, uint8_t *out, int n)
{
    lfm2__av_input *in = ctx;
    size_t n_got = 0;
    const int rc = lfm2__infile_read(in->file, out, (size_t)n, &n_got);
    if (rc == LFM2_EOF) return AVERROR_EOF;
    if (rc == LFM2_ERR_ABORTED) return AVERROR_EXIT;
    return rc < 0 ? AVERROR(EIO) : (int)n_got;
}

static int64_t on_seek(void *ctx, int64_t offset, int whence)
{
    lfm2__av_input *in = ctx;
    const int64_t n_bytes = lfm2__infile_bytes(in->file);
    whence &= ~AVSEEK_FORCE;
    if (whence == AVSEEK_SIZE) return n_bytes;
    if (offset < -n_bytes || offset > n_bytes) return AVERROR(EINVAL);
    if (whence == SEEK_CUR) offset += lfm2__infile_tell(in->file);
    if (whence == SEEK_END) offset += n_bytes;
    return lfm2__infile_seek(in->file, offset) < 0 ? AVERROR(EINVAL) : offset;
}

static int on_interrupt(void *ctx)
{
    const lfm2__av_input *in = ctx;
    return lfm2__aborted(in->rt);
}

int lfm2__av_no_memory(int av_status)
{
    if (av_status != AVERROR(ENOMEM)) return 0;
    void *p = av_malloc(PROBE_MEMORY_BYTES);
    const int is_none = p == NULL;
    av_free(p);
    return is_none;
}

int lfm2__av_fail(const lfm2__av_input *in, int av_status, const char *what)
{
    if (lfm2__aborted(in->rt)) return LFM2_ERR_ABORTED;
    if (lfm2__infile_status(in->file) < 0) return lfm2__infile_status(in->file); /* in the log already */
    int status = LFM2_ERR_FORMAT;
    if (lfm2__av_no_memory(av_status)) status = LFM2_ERR_NOMEM;
    if (av_status == AVERROR_PATCHWELCOME || av_status == AVERROR(ENOSYS) || av_status == AVERROR_DECODER_NOT_FOUND
        || av_status == AVERROR(EACCES)) {
        status = LFM2_ERR_UNSUPPORTED;
    }
    return lfm2__fail(in->rt, status, "%s: %s%s%s (%d)", lfm2__infile_name(in->file), in->container != NULL ? in->container : "",
                      in->container != NULL ? ": " : "", what, av_status);
}

/* The demuxer for the content, if it is one of ours. */
static int probe(lfm2__av_input *in, const lfm2__av_container *containers, size_t n_containers, const AVInputFormat **out)
{
    const AVInputFormat *demuxer = NULL;
    const int status = av_probe_input_buffer2(in->io, &demuxer, "", NULL, 0, MAX_PROBE_BYTES);
    if (lfm2__infile_tell(in->file) == 0 && lfm2__infile_status(in->file) == 0 && !lfm2__aborted(in->rt)) {
        return lfm2__fail(in->rt, LFM2_ERR_FORMAT, "%s: is empty", lfm2__infile_name(in->file));
    }
    if (lfm2__av_no_memory(status) || lfm2__aborted(in->rt) || lfm2__infile_status(in->file) < 0) {
        return lfm2__av_fail(in, status, "cannot be read");
    }
    for (size_t i = 0; demuxer != NULL && i < n_containers; i++) {
        if (strcmp(demuxer->name, containers[i].demuxer) != 0) continue;
        in->container = containers[i].name;
        *out = demuxer;
        return 0;
    }
    return lfm2__fail(in->rt, LFM2_ERR_UNSUPPORTED, "%s: %s%s is not a kind of file that is read here", lfm2__infile_name(in->file),
                      demuxer != NULL ? "libav's " : "what it is", demuxer != NULL ? demuxer->name : "");
}

int lfm2__av_input_init(lfm2__av_input *in, const lfm2__av_container *containers, size_t n_containers, const char *decoders)
{
    const int can_seek = lfm2__infile_bytes(in->file) >= 0;
    const AVInputFormat *demuxer = NULL;
    lfm2__av_quiet();
    unsigned char *buffer = av_malloc(IO_BYTES);
    in->io = buffer != NULL ? avio_alloc_context(buffer, IO_BYTES, 0, in, on_read, NULL, can_seek ? on_seek : NULL) : NULL;
    if (in->io == NULL) {
        av_free(buffer);
        return lfm2__fail(in->rt, LFM2_ERR_NOMEM, "%s: out of memory", lfm2__infile_name(in->file));
    }
    const int rc = probe(in, containers, n_containers, &demuxer);
    if (rc < 0) return rc;
    in->format = avformat_alloc_context();
    if (in->format == NULL) return lfm2__fail(in->rt, LFM2_ERR_NOMEM, "%s: out of memory", lfm2__infile_name(in->file));
    AVFormatContext *f = in->format;
    f->pb = in->io;
    f->flags |= AVFMT_FLAG_CUSTOM_IO;
    f->io_open = lfm2__av_refuse_open;
    f->interrupt_callback = (AVIOInterruptCB){on_interrupt, in};
    f->max_streams = MAX_STREAMS;
    f->probesize = MAX_STREAM_INFO_BYTES;
    f->protocol_whitelist = av_strdup(""); /* none */
    f->format_whitelist = av_strdup(demuxer->name);
    f->codec_whitelist = decoders != NULL ? av_strdup(decoders) : NULL;
    if (f->protocol_whitelist == NULL || f->format_whitelist == NULL || (decoders != NULL && f->codec_whitelist == NULL)) {
        return lfm2__fail(in->rt, LFM2_ERR_NOMEM, "%s: out of memory", lfm2__infile_name(in->file));
    }
    const int status = avformat_open_input(&in->format, NULL, demuxer, NULL);
    return status < 0 ? lfm2__av_fail(in, status, "not readable") : 0;
}

void lfm2__av_input_fini(lfm2__av_input *in)
{
    avformat_close_input(&in->format);
    if (in->io != NULL) av_freep(&in->io->buffer);
    avio_context_free(&in->io);
}
