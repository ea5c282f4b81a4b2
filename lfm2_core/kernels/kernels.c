/* SPDX-License-Identifier: Apache-2.0
 * The init ladder (scalar, each instruction set, BLAS) and the report of what was chosen.
 *
 * OpenBLAS stands in only where no vector kernels are allowed or known. With them it is no faster where it has kernels for the
 * processor, three times slower where it does not recognise it, and it has no invariance to offer. */
#include "kernels/kernels_impl.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

typedef struct ladder_step {
    const char *name;
    uint32_t flag; /* of lfm2_cpu_flag; 0 = always */
    void (*init)(lfm2__kernels *k);
} ladder_step;

static const ladder_step ladder[] = {
    {"scalar", 0, lfm2__kernels_init_scalar},
#if defined(__x86_64__)
    {"avx2", LFM2_CPU_AVX2, lfm2__kernels_init_avx2},
    {"avx512", LFM2_CPU_AVX512, lfm2__kernels_init_avx512},
#elif defined(__aarch64__)
    {"neon", LFM2_CPU_NEON, lfm2__kernels_init_neon},
#endif
};

void lfm2__kernels_init(lfm2__kernels *k, uint32_t cpu_flags)
{
    memset(k, 0, sizeof *k);
    for (size_t i = 0; i < LFM2__COUNT_OF(ladder); i++) {
        if ((cpu_flags & ladder[i].flag) == ladder[i].flag) ladder[i].init(k);
    }
#if defined(LFM2_HAVE_OPENBLAS)
    const uint32_t vectors = LFM2_CPU_AVX2 | LFM2_CPU_AVX512 | LFM2_CPU_NEON;
    if ((cpu_flags & (vectors | LFM2_CPU_BLAS)) == LFM2_CPU_BLAS) lfm2__kernels_init_blas(k);
#endif
}

void lfm2__kernels_report(const lfm2__kernels *k, uint32_t dtypes, void (*line)(void *ctx, const char *entry, const char *impl),
                          void *ctx)
{
    lfm2__kernels steps[LFM2__COUNT_OF(ladder)]; /* what each step alone fills in */
    memset(steps, 0, sizeof steps);
    for (size_t i = 0; i < LFM2__COUNT_OF(ladder); i++) ladder[i].init(&steps[i]);

    const char *impl;
#define REPORT(text, field)                                                                                          \
    do {                                                                                                             \
        impl = "none";                                                                                               \
        for (size_t i_step = 0; i_step < LFM2__COUNT_OF(ladder); i_step++) {                                         \
            if (k->field && steps[i_step].field == k->field) impl = ladder[i_step].name;                             \
        }                                                                                                            \
        line(ctx, text, impl);                                                                                        \
    } while (0)

    for (int t = 0; t < LFM2_DTYPE_N_COMPUTE; t++) {
        char dtype[16], entry[32];
        if (!(dtypes >> t & 1u)) continue;
        (void)snprintf(dtype, sizeof dtype, "%s", lfm2_dtype_name((lfm2_dtype)t));
        for (char *c = dtype; *c; c++) *c = (char)tolower((unsigned char)*c);
        (void)snprintf(entry, sizeof entry, "gemm_%s", dtype);
        REPORT(entry, gemm[t]);
        (void)snprintf(entry, sizeof entry, "dequant_%s", dtype);
        REPORT(entry, dequant[t]);
    }
    if (dtypes >> LFM2_DTYPE_F32 & 1u)
        line(ctx, "gemm_blas", k->gemm_blas ? "blas" : "none"); /* not by its init, which changes OpenBLAS's settings */
    REPORT("rms_norm", rms_norm);
    REPORT("silu_mul", silu_mul);
    REPORT("layer_norm", layer_norm);
    REPORT("silu", silu);
    REPORT("gelu_tanh", gelu_tanh);
    REPORT("gelu_erf", gelu_erf);
    REPORT("softmax", softmax);
    REPORT("add", add);
    REPORT("axpy", axpy);
    REPORT("rope", rope);
    REPORT("shortconv", shortconv);
    REPORT("attend", attend);
#undef REPORT
}
