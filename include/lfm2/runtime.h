/* SPDX-License-Identifier: Apache-2.0
 * The runtime: everything that would otherwise be a global. Allocator, log callback, threads, CPU mask, abort flag.
 * Every other object is made from a runtime and must be destroyed before it. */
#ifndef LFM2_RUNTIME_H
#define LFM2_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#include "lfm2/status.h"

LFM2_BEGIN_DECLS

typedef struct lfm2_runtime lfm2_runtime;

typedef enum lfm2_log_level {
    LFM2_LOG_ERROR = 0, /* why a call failed: file, field, offset; never content */
    LFM2_LOG_WARN = 1,
    LFM2_LOG_INFO = 2,
    LFM2_LOG_DEBUG = 3
} lfm2_log_level;

/* Instruction sets that kernels exist for; a bit of cpu_mask each. Bits mean the same on every machine. */
typedef enum lfm2_cpu_flag {
    LFM2_CPU_AVX2 = 1 << 0,       /* AVX2 + FMA + F16C */
    LFM2_CPU_AVX512 = 1 << 1,     /* AVX-512 F, BW, DQ, VL */
    LFM2_CPU_AVX512VNNI = 1 << 2, /* AVX-512 VNNI */
    LFM2_CPU_AVX512BF16 = 1 << 3, /* AVX-512 BF16 */
    LFM2_CPU_NEON = 1 << 8,       /* AArch64 Advanced SIMD */
    LFM2_CPU_DOTPROD = 1 << 9,    /* AArch64 dot product */
    LFM2_CPU_I8MM = 1 << 10,      /* AArch64 int8 matrix multiply */
    LFM2_CPU_BLAS = 1 << 16       /* OpenBLAS behind the f32 matrix product, where it was built in */
} lfm2_cpu_flag;

#define LFM2_CPU_MASK_ALL 0xffffffffu

typedef struct lfm2_runtime_params {
    /* Allocator: `align` is a power of two <= 4096; alloc returns NULL on failure. Both NULL = the C library. Called from
     * the threads that call the library (never from its workers), so it needs to be thread-safe only if they are many. */
    void *(*alloc)(void *ctx, size_t n_bytes, size_t align);
    void (*free)(void *ctx, void *p);
    void *alloc_ctx;
    /* Receives one line without a newline. NULL = silent. May be called from any thread that calls the library. */
    void (*log)(void *ctx, lfm2_log_level level, const char *line);
    void *log_ctx;
    int32_t n_threads;        /* compute threads, the caller's included; 0 = one for each core this process may use; <= 256 */
    uint32_t cpu_mask;        /* instruction sets that may be used, bits of lfm2_cpu_flag; 0 = scalar reference only */
    int32_t guard_mapped;     /* 1 = take over SIGBUS for mapped model files, so that a file cut short while in use becomes
                               * LFM2_ERR_IO; the handler is process-wide, hence off by default. 0 = sizes are re-checked
                               * before each forward pass only. */
    uint32_t reserved[8];     /* zero */
} lfm2_runtime_params;

/* Defaults: C library allocator, no log, all cores, all instruction sets, no SIGBUS handler. */
LFM2_API lfm2_runtime_params lfm2_runtime_params_default(void);

/* Create a runtime and its thread pool. params: borrowed for the call; NULL = defaults. *out: written only on success,
 * destroy with lfm2_runtime_destroy(). Returns 0; LFM2_ERR_ARG (a field out of range); LFM2_ERR_NOMEM. */
LFM2_API int lfm2_runtime_create(const lfm2_runtime_params *params, lfm2_runtime **out);

/* Destroy a runtime; NULL is allowed. All objects made from it must be gone. */
LFM2_API void lfm2_runtime_destroy(lfm2_runtime *rt);

/* Ask every call that is computing on this runtime to end with LFM2_ERR_ABORTED; stays set until cleared.
 * Async-signal-safe, callable from any thread. */
LFM2_API void lfm2_runtime_abort(lfm2_runtime *rt);
LFM2_API void lfm2_runtime_clear_abort(lfm2_runtime *rt);

/* Compute threads in use, the caller's included (>= 1). */
LFM2_API int32_t lfm2_runtime_n_threads(const lfm2_runtime *rt);

/* Instruction sets found on this machine and allowed by the mask: bits of lfm2_cpu_flag. */
LFM2_API uint32_t lfm2_runtime_cpu_flags(const lfm2_runtime *rt);

/* Short name of one lfm2_cpu_flag bit, e.g. "avx2"; NULL for a bit that has none. Static storage. */
LFM2_API const char *lfm2_cpu_flag_name(uint32_t flag);

LFM2_END_DECLS

#endif
