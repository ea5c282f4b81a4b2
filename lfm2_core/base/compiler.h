/* SPDX-License-Identifier: Apache-2.0
 * The only place for compiler extensions. */
#ifndef LFM2__COMPILER_H
#define LFM2__COMPILER_H

#if defined(__GNUC__)
#define LFM2__PRINTF(fmt_arg, first_arg) __attribute__((format(printf, fmt_arg, first_arg)))
#define LFM2__NODISCARD __attribute__((warn_unused_result))
#define LFM2__ALWAYS_INLINE static inline __attribute__((always_inline))
#else
#define LFM2__PRINTF(fmt_arg, first_arg)
#define LFM2__NODISCARD
#define LFM2__ALWAYS_INLINE static inline
#endif

/* Before a loop with a small constant count: unroll it whole, so that arrays indexed by it can live in registers. */
#if defined(__clang__)
#define LFM2__UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define LFM2__UNROLL _Pragma("GCC unroll 32")
#else
#define LFM2__UNROLL
#endif

/* Keep gcc from loading a vector anew for each of its uses; reg: the constraint letter of its registers. */
#if defined(__GNUC__) && !defined(__clang__)
#define LFM2__KEEP_IN_REGISTER(v, reg) __asm__("" : "+" reg(v))
#else
#define LFM2__KEEP_IN_REGISTER(v, reg) ((void)0)
#endif

/* For the body of a loop that waits for another thread. */
#if defined(__GNUC__) && defined(__x86_64__)
#define LFM2__SPIN_PAUSE() __builtin_ia32_pause()
#elif defined(__GNUC__) && defined(__aarch64__)
#define LFM2__SPIN_PAUSE() __asm__ volatile("yield")
#else
#define LFM2__SPIN_PAUSE() ((void)0)
#endif

#define LFM2__COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#endif
