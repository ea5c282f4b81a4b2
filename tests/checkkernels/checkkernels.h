/* SPDX-License-Identifier: Apache-2.0
 * checkkernels: what the checks share. Random values, guarded buffers, failures. */
#ifndef LFM2_TESTS_CHECKKERNELS_H
#define LFM2_TESTS_CHECKKERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels_impl.h"

#define CK_EPS 0x1p-24
#define CK_TINY 0x1p-149

/* One implementation under test: the table that this instruction set alone gives, and the reference. */
typedef struct ck_impl {
    const char *name;
    uint32_t flags;
    lfm2__kernels k;
    const lfm2__kernels *ref;
} ck_impl;

/* State of one run. */
typedef struct ck {
    uint64_t seed;
    uint64_t rng;
    int64_t n_checks;
    int64_t n_failed;
    const char *entry; /* now under test, for messages */
    const char *impl;
} ck;

/* Kinds of values. */
typedef enum ck_mode { CK_NORMAL, CK_ZERO, CK_DENORMAL, CK_LARGE, CK_MIXED, CK_N_MODES } ck_mode;

/* Start an entry: the random numbers from here on depend on seed, entry and implementation alone. */
void ck_begin(ck *c, const char *entry, const char *impl);

uint32_t ck_u32(ck *c);
int32_t ck_below(ck *c, int32_t n);        /* 0..n-1 */
float ck_value(ck *c, ck_mode mode);       /* of a vector */
void ck_values(ck *c, float *x, size_t n, ck_mode mode);

/* n bytes of random weights of a type, n_elems elements. raw: any bytes at all; otherwise scales and values are finite and
 * of the given kind. */
void ck_weights(ck *c, uint8_t *w, lfm2_dtype t, int32_t n_elems, ck_mode mode, int raw);

/* Exactly n floats (an over-read is the sanitizer's to find), or n floats between guards that ck_guards() checks. */
float *ck_floats(size_t n);
float *ck_guarded(size_t n);
void ck_guards(ck *c, const float *p, size_t n, const char *what);
void ck_free_guarded(float *p);

/* Count a check; on failure print entry, implementation, seed and the message. */
void ck_expect(ck *c, int ok, const char *fmt, ...) LFM2__PRINTF(3, 4);

/* |got - want| <= tol, or both NaN, or the same infinity. */
void ck_near(ck *c, float got, float want, double tol, const char *what, int64_t index);
/* The same bits, or both NaN. */
int ck_same(float a, float b);

const char *ck_dtype(lfm2_dtype t, const char *op, char *buf, size_t n); /* "gemm_q4_0" */

void ck_check_gemm(ck *c, const ck_impl *impl);
void ck_check_dequant(ck *c, const ck_impl *impl);
void ck_check_layers(ck *c, const ck_impl *impl);
void ck_check_attend(ck *c, const ck_impl *impl);
int ck_check_matmul(ck *c, const ck_impl *impl); /* 0, or an error of the runtime */
void ck_check_blas(ck *c, const ck_impl *impl);

/* Speed of one type's products, or of all (LFM2_DTYPE_COUNT). Returns 0 or an error of the runtime. */
int ck_bench(const ck_impl *impls, size_t n_impls, lfm2_dtype type, int32_t n_threads, int32_t mib);

#endif
