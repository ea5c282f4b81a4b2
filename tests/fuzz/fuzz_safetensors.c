/* SPDX-License-Identifier: Apache-2.0
 * safetensors reader: any bytes, then every element that they gave. Tried as they are, and as a header and data whose length the
 * first two bytes say, so that changes to the header keep it whole. */
#include "fuzz/weights_fuzzing.h"

static void with_right_length(const uint8_t *data, size_t n)
{
    if (n < 2) return;
    size_t n_data = (size_t)(data[0] | data[1] << 8);
    if (n_data > n - 2) return;
    size_t header_n = n - 2 - n_data;
    uint8_t *file = malloc(8 + n - 2); /* of exactly this size, so that a read behind the end is seen */
    CHECK(file);
    for (size_t i = 0; i < 8; i++) file[i] = (uint8_t)((uint64_t)header_n >> (8 * i) & 0xff);
    memcpy(file + 8, data + 2, n - 2);
    (void)fuzz_weights(file, 8 + n - 2);
    free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (!lfm2__is_gguf(data, n)) (void)fuzz_weights(data, n);
    with_right_length(data, n);
    return 0;
}
