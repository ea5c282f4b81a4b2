/* SPDX-License-Identifier: Apache-2.0
 * What this processor can do: CPUID and XGETBV on x86-64, the auxiliary vector on AArch64. */
#define _GNU_SOURCE /* sched_getaffinity() */
#include "base/cpu.h"

#include <sched.h>
#include <unistd.h>

#include "lfm2/runtime.h"

#if defined(__x86_64__)

#include <cpuid.h>

/* Register state that the operating system saves and restores (XCR0). */
#define XCR0_YMM 0x06u /* SSE and AVX */
#define XCR0_ZMM 0xe6u /* those, opmask, both halves of ZMM */

static uint32_t read_xcr0(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    (void)high;
    return low;
}

static int has(uint32_t reg, uint32_t bits)
{
    return (reg & bits) == bits;
}

static uint32_t detect_isa(void)
{
    unsigned eax, ebx, ecx, edx;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx)) return 0;
    if (!has(ecx, bit_OSXSAVE | bit_AVX | bit_FMA | bit_F16C)) return 0;
    const uint32_t xcr0 = read_xcr0();
    if (!has(xcr0, XCR0_YMM) || !__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return 0;

    uint32_t flags = 0;
    if (!has(ebx, bit_AVX2)) return flags;
    flags |= LFM2_CPU_AVX2;
    if (!has(xcr0, XCR0_ZMM) || !has(ebx, bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL)) return flags;
    flags |= LFM2_CPU_AVX512;
    if (has(ecx, bit_AVX512VNNI)) flags |= LFM2_CPU_AVX512VNNI;
    if (__get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && has(eax, 1u << 5)) flags |= LFM2_CPU_AVX512BF16;
    return flags;
}

#elif defined(__aarch64__) && defined(__linux__)

#include <sys/auxv.h>

/* Bits of the kernel's interface (arch/arm64 hwcap), named here because old headers lack some. */
#define CAP_ASIMD (1ul << 1)
#define CAP_ASIMDDP (1ul << 20)
#define CAP2_I8MM (1ul << 13)

static uint32_t detect_isa(void)
{
    const unsigned long cap = getauxval(AT_HWCAP), cap2 = getauxval(AT_HWCAP2);
    if (!(cap & CAP_ASIMD)) return 0;
    uint32_t flags = LFM2_CPU_NEON;
    if (cap & CAP_ASIMDDP) flags |= LFM2_CPU_DOTPROD;
    if (cap2 & CAP2_I8MM) flags |= LFM2_CPU_I8MM;
    return flags;
}

#else

static uint32_t detect_isa(void)
{
    return 0;
}

#endif

uint32_t lfm2__cpu_detect(void)
{
    uint32_t flags = detect_isa();
#if defined(LFM2_HAVE_OPENBLAS)
    flags |= LFM2_CPU_BLAS;
#endif
    return flags;
}

int32_t lfm2__cpu_n_cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        const int n = CPU_COUNT(&set);
        if (n > 0) return n;
    }
    const long n = sysconf(_SC_NPROCESSORS_ONLN); /* more cores than a cpu_set_t holds */
    return n > 0 && n <= INT32_MAX ? (int32_t)n : 1;
}
