/* SPDX-License-Identifier: Apache-2.0
 * Kernels for AVX2 + FMA + F16C: the generic bodies over vec_avx2.h. */
#if !defined(__AVX2__) || !defined(__FMA__) || !defined(__F16C__)
#error "avx2.c must be compiled with -mavx2 -mfma -mf16c"
#endif

#include <stdint.h>
#include <string.h>

#include "kernels/kernels_impl.h"
#include "kernels/vec_avx2.h"

#include "kernels/gemm.inc"

#include "kernels/layers.inc"

void lfm2__kernels_init_avx2(lfm2__kernels *k)
{
    init_gemm(k);
    init_layers(k);
}
