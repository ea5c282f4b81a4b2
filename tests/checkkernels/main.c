/* SPDX-License-Identifier: Apache-2.0
 * checkkernels: every kernel of every instruction set of this machine against the scalar version.
 *
 *   checkkernels [--seed N] [--cpumask N] [--list] [--bench [--type NAME] [--threads N] [--mib N]]
 *
 * Exit status: 0 all passed, 1 a check failed, 2 usage. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "checkkernels/checkkernels.h"

#define MAX_IMPLS 8

typedef struct options {
    uint64_t seed;
    uint32_t cpu_mask;
    int32_t n_threads, mib;
    lfm2_dtype type; /* LFM2_DTYPE_COUNT = all */
    int list, bench;
} options;

static int parse_number(const char *text, uint64_t max, uint64_t *out)
{
    char *end;
    if (!text || *text < '0' || *text > '9') return -1;
    const unsigned long long v = strtoull(text, &end, 0);
    if (*end || v > max) return -1;
    *out = v;
    return 0;
}

static int parse_options(int argc, char **argv, options *o)
{
    for (int i = 1; i < argc; i++) {
        uint64_t v;
        if (strcmp(argv[i], "--list") == 0) {
            o->list = 1;
            continue;
        }
        if (strcmp(argv[i], "--bench") == 0) {
            o->bench = 1;
            continue;
        }
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--seed") == 0 && parse_number(value, UINT64_MAX, &v) == 0) o->seed = v;
        else if (strcmp(argv[i], "--cpumask") == 0 && parse_number(value, UINT32_MAX, &v) == 0) o->cpu_mask = (uint32_t)v;
        else if (strcmp(argv[i], "--threads") == 0 && parse_number(value, 256, &v) == 0) o->n_threads = (int32_t)v;
        else if (strcmp(argv[i], "--mib") == 0 && parse_number(value, 8192, &v) == 0 && v >= 8) o->mib = (int32_t)v;
        else if (strcmp(argv[i], "--type") != 0 || (o->type = lfm2_dtype_from_name(value)) >= LFM2_DTYPE_N_COMPUTE) return -1;
        i++;
    }
    return 0;
}

/* The scalar table first, then one table for each instruction set alone. */
static size_t make_impls(ck_impl *impls, uint32_t cpu_mask)
{
    static const uint32_t isas[] = {LFM2_CPU_AVX2, LFM2_CPU_AVX512, LFM2_CPU_NEON};
    const uint32_t found = lfm2__cpu_detect() & cpu_mask, blas = found & LFM2_CPU_BLAS;
    size_t n = 0;
    impls[n++] = (ck_impl){.name = "scalar", .flags = 0};
    for (size_t i = 0; i < LFM2__COUNT_OF(isas); i++) {
        if (found & isas[i]) impls[n++] = (ck_impl){.name = lfm2_cpu_flag_name(isas[i]), .flags = isas[i]};
    }
    for (size_t i = 0; i < n; i++) {
        lfm2__kernels_init(&impls[i].k, impls[i].flags);
        impls[i].ref = &impls[0].k;
    }
    if (blas) {
        impls[n] = (ck_impl){.name = "blas", .flags = blas, .ref = &impls[0].k};
        lfm2__kernels_init(&impls[n].k, blas);
        n++;
    }
    return n;
}

static void print_entry(void *ctx, const char *entry, const char *impl)
{
    printf("%-16s %s\n", entry, impl);
    (void)ctx;
}

static int check_all(const ck_impl *impls, size_t n_impls, uint64_t seed)
{
    ck c = {.seed = seed};
    for (size_t i = 0; i < n_impls; i++) {
        const ck_impl *impl = &impls[i];
        const int64_t n = c.n_checks, n_failed = c.n_failed;
        if (!impl->k.gemm_blas) {
            ck_check_dequant(&c, impl);
            ck_check_gemm(&c, impl);
            ck_check_layers(&c, impl);
        }
        ck_check_blas(&c, impl);
        const int rc = ck_check_matmul(&c, impl);
        if (rc < 0) {
            fprintf(stderr, "checkkernels: %s\n", lfm2_strerror(rc));
            return 1;
        }
        printf("%-8s %10lld checks, %lld failed\n", impl->name, (long long)(c.n_checks - n), (long long)(c.n_failed - n_failed));
    }
    return c.n_failed ? 1 : 0;
}

int main(int argc, char **argv)
{
    static ck_impl impls[MAX_IMPLS];
    options o = {.seed = 1, .cpu_mask = LFM2_CPU_MASK_ALL, .mib = 512, .type = LFM2_DTYPE_COUNT};
    if (parse_options(argc, argv, &o) < 0) {
        fprintf(stderr, "usage: checkkernels [--seed N] [--cpumask N] [--list] [--bench [--type NAME] [--threads N] [--mib N]]\n");
        return 2;
    }
    const size_t n = make_impls(impls, o.cpu_mask);
    if (o.list) {
        lfm2__kernels k;
        lfm2__kernels_init(&k, lfm2__cpu_detect() & o.cpu_mask);
        lfm2__kernels_report(&k, UINT32_MAX, print_entry, NULL);
        return 0;
    }
    if (o.bench) return ck_bench(impls, n, o.type, o.n_threads, o.mib) < 0 ? 1 : 0;
    return check_all(impls, n, o.seed);
}
