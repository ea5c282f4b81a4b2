/* SPDX-License-Identifier: Apache-2.0
 * Sound files of every kind: opened, demuxed, decoded, resampled, put on the time line. */
#include "fuzz/audio_fuzzing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    lfm2_audio_params params = lfm2_audio_params_default();
    params.rate_hz = n % 3 == 0 ? 0 : n % 3 == 1 ? 16000 : 11025;
    params.start_us = n % 5 == 0 ? 30000 : 0;
    params.max_gap_us = 2000000;
    read_sound(data, n, params);
    return 0;
}
