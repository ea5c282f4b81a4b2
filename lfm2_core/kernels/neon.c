/* SPDX-License-Identifier: Apache-2.0
 * Kernels for AArch64 Advanced SIMD: the generic bodies over vec_neon.h. */
#if !defined(__aarch64__) || !defined(__ARM_NEON)
#error "neon.c is for AArch64 with Advanced SIMD"
#endif

#include <stdint.h>
#include <string.h>

#include "kernels/kernels_impl.h"
#include "kernels/vec_neon.h"

#include "kernels/gemm.inc"

#include "kernels/layers.inc"

void lfm2__kernels_init_neon(lfm2__kernels *k)
{
    init_gemm(k);
    init_layers(k);
}
