/* SPDX-License-Identifier: Apache-2.0
 * What all that read through FFmpeg's libraries share: a container opened over our own file, that can open nothing else. */
#ifndef LFM2__SRC_AV_H
#define LFM2__SRC_AV_H

#include <libavformat/avformat.h>

#include "base/infile.h"

/* A container that may be read: what libavformat calls its demuxer, and what we call it. */
typedef struct lfm2__av_container {
    const char *demuxer, *name;
} lfm2__av_container;

typedef struct lfm2__av_input {
    lfm2_runtime *rt;
    lfm2__infile *file;        /* borrowed */
    AVIOContext *io;
    AVFormatContext *format;
    const char *container;     /* our name of it; static storage */
} lfm2__av_input;

/* Demuxers tell standard error what they find, through one log of the whole process: this makes it quiet, unless its level was set
 * by somebody. Call it before anything else of libav. */
void lfm2__av_quiet(void);

/* For AVFormatContext.io_open: files that name other files get none. */
int lfm2__av_refuse_open(AVFormatContext *format, AVIOContext **io, const char *url, int flags, AVDictionary **options);

/* Open what the file holds, if it is one of the containers; only decoders on the whitelist (libavcodec's names with commas; NULL =
 * all) may look into it. in->rt and in->file are set by the caller. Always fini after init, also when it failed. Returns 0;
 * LFM2_ERR_FORMAT; LFM2_ERR_UNSUPPORTED; LFM2_ERR_IO; LFM2_ERR_NOMEM; LFM2_ERR_ABORTED. */
int lfm2__av_input_init(lfm2__av_input *in, const lfm2__av_container *containers, size_t n_containers, const char *decoders)
    LFM2__NODISCARD;
void lfm2__av_input_fini(lfm2__av_input *in); /* zeroed is allowed */

/* Whether libav has failed for want of memory. It says so of an absurd size in a file, too: then there is memory, and it is the
 * file that is bad. */
int lfm2__av_no_memory(int av_status);

/* Our status for libav's, with a line in the log: "name: container: what (code)". */
int lfm2__av_fail(const lfm2__av_input *in, int av_status, const char *what);

#endif
