/* SPDX-License-Identifier: Apache-2.0
 * For the fuzz targets of sound. */
#ifndef AUDIO_FUZZING_H
#define AUDIO_FUZZING_H

#include "fuzz/fuzzing.h"
#include "pipeline/audio_impl.h"

enum { MAX_SECONDS = 20, CAP_SAMPLES = 1000 };

static float fuzz_planes[LFM2_AUDIO_MAX_CHANNELS][CAP_SAMPLES];

static inline void check_samples(const lfm2_audio_info *info, int32_t n)
{
    CHECK(n >= 1 && n <= CAP_SAMPLES);
    for (int32_t c = 0; c < info->n_channels; c++) {
        for (int32_t i = 0; i < n; i++) CHECK(fuzz_planes[c][i] >= -1 && fuzz_planes[c][i] <= 1); /* no NaN either */
    }
}

/* Open it, read it to the end, and look at every sample. */
static inline void read_sound(const uint8_t *data, size_t n, lfm2_audio_params params)
{
    lfm2_audio_source *a;
    params.max_duration_us = (int64_t)MAX_SECONDS * 1000000;
    int rc = lfm2__audio_open_memory(fuzz_runtime(400), data, n, "fuzz", &params, &a);
    CHECK(rc == 0 || rc == LFM2_ERR_FORMAT || rc == LFM2_ERR_LIMIT || rc == LFM2_ERR_UNSUPPORTED);
    if (rc < 0) return;
    lfm2_audio_info info;
    lfm2_audio_get_info(a, &info);
    CHECK(info.n_channels >= 1 && info.n_channels <= LFM2_AUDIO_MAX_CHANNELS);
    CHECK(info.rate_hz >= 1000 && info.rate_hz <= 384000 && info.source_rate_hz >= 1000 && info.source_rate_hz <= 384000);
    CHECK(info.duration_us >= -1 && info.container != NULL && info.codec != NULL);
    float *planes[LFM2_AUDIO_MAX_CHANNELS];
    for (int c = 0; c < LFM2_AUDIO_MAX_CHANNELS; c++) planes[c] = fuzz_planes[c];
    int64_t n_read = 0;
    for (int32_t n_got = 0; (rc = lfm2_audio_read(a, planes, CAP_SAMPLES, &n_got)) == 0; n_read += n_got) {
        check_samples(&info, n_got);
    }
    CHECK(rc == LFM2_EOF || rc == LFM2_ERR_FORMAT || rc == LFM2_ERR_LIMIT || rc == LFM2_ERR_UNSUPPORTED);
    CHECK(n_read <= (int64_t)MAX_SECONDS * info.rate_hz);
    lfm2_audio_damage d;
    lfm2_audio_get_damage(a, &d);
    CHECK(d.n_bad_packets >= 0 && d.n_bad_samples >= 0 && d.n_gaps >= 0 && d.gap_us >= 0 && d.n_backwards >= 0);
    lfm2_audio_close(a);
}

#endif
