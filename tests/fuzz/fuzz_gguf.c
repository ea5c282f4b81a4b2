/* SPDX-License-Identifier: Apache-2.0
 * GGUF reader: any bytes, then every value and element that they gave. */
#include "fuzz/weights_fuzzing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (lfm2__is_gguf(data, n)) (void)fuzz_weights(data, n);
    return 0;
}
