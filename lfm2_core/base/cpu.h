/* SPDX-License-Identifier: Apache-2.0
 * What this processor can do. */
#ifndef LFM2__CPU_H
#define LFM2__CPU_H

#include <stdint.h>

/* Bits of lfm2_cpu_flag that the processor and the operating system support (CPUID and XGETBV; HWCAP on AArch64),
 * and that kernels were built for. */
uint32_t lfm2__cpu_detect(void);

/* Cores this process may run on (>= 1). */
int32_t lfm2__cpu_n_cores(void);

#endif
