/* SPDX-License-Identifier: Apache-2.0
 * Kernels for AVX-512 F, BW, DQ, VL: the generic bodies over vec_avx512.h. */
#if !defined(__AVX512F__) || !defined(__AVX512BW__) || !defined(__AVX512DQ__) || !defined(__AVX512VL__)
#error "avx512.c must be compiled with -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mf16c"
#endif

#include <stdint.h>
#include <string.h>

#include "kernels/kernels_impl.h"
#include "kernels/vec_avx512.h"

#include "kernels/gemm.inc"

#include "kernels/layers.inc"

void lfm2__kernels_init_avx512(lfm2__kernels *k)
{
    init_gemm(k);
    init_layers(k);
}
