/* SPDX-License-Identifier: Apache-2.0
 * Raw samples: the first bytes say which kind, how many channels, which rates. */
#include "fuzz/audio_fuzzing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const int32_t rates[] = {1000, 8000, 11025, 16000, 44100, 48000, 384000, 15999};
    if (n < 4) return 0;
    lfm2_audio_params params = lfm2_audio_params_default();
    params.pcm = (lfm2_pcm_format)(1 + data[0] % 4);
    params.pcm_channels = 1 + data[1] % LFM2_AUDIO_MAX_CHANNELS;
    params.pcm_rate_hz = rates[data[2] % 8];
    params.rate_hz = data[3] % 9 == 8 ? 0 : rates[data[3] % 9];
    params.start_us = data[3] / 9 * 1000;
    params.duration_us = data[2] / 8 == 0 ? -1 : data[2] / 8 * 10000;
    read_sound(data + 4, n - 4, params);
    return 0;
}
