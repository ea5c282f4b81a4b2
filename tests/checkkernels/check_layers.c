/* SPDX-License-Identifier: Apache-2.0
 * checkkernels: everything but matrix products, against the scalar version. Tolerances: kernels_impl.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkkernels/checkkernels.h"

static const int32_t sizes[] = {1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 33, 64, 127, 128, 129, 200, 1024, 1500};

static float *copy_guarded(const float *x, size_t n)
{
    float *y = ck_guarded(n);
    memcpy(y, x, n * sizeof *x);
    return y;
}

static void check_rms_norm(ck *c, const ck_impl *impl)
{
    ck_begin(c, "rms_norm", impl->name);
    for (size_t i = 0; i < CK_N_MODES * LFM2__COUNT_OF(sizes); i++) {
        const int32_t n = sizes[i / CK_N_MODES];
        const ck_mode mode = (ck_mode)(i % CK_N_MODES);
        float *x = ck_floats((size_t)n), *w = ck_floats((size_t)n), *want = ck_guarded((size_t)n);
        ck_values(c, x, (size_t)n, mode);
        ck_values(c, w, (size_t)n, CK_MIXED);
        float *got = copy_guarded(x, (size_t)n);
        impl->ref->rms_norm(want, x, w, n, 1e-5f);
        impl->k.rms_norm(got, got, w, n, 1e-5f); /* y may be x */
        ck_guards(c, got, (size_t)n, "y");
        for (int32_t j = 0; j < n; j++) {
            const double tol = 16 * CK_EPS * fabs((double)want[j]) + CK_TINY * (1 + fabs((double)w[j]));
            ck_near(c, got[j], want[j], tol, "y", j);
        }
        ck_free_guarded(got);
        ck_free_guarded(want);
        free(x);
        free(w);
    }
}

static void check_silu_mul(ck *c, const ck_impl *impl)
{
    static const float edges[] = {0.0f, -0.0f, 1e-30f, -1e-30f, 87.0f, -87.0f, 88.8f, -88.8f, 103.0f, -103.0f, -110.0f, 1e30f,
                                  -1e30f, INFINITY, NAN};
    ck_begin(c, "silu_mul", impl->name);
    for (size_t i = 0; i < 4 * LFM2__COUNT_OF(sizes); i++) {
        const int32_t n = sizes[i / 4];
        float *gate = ck_floats((size_t)n), *up = ck_floats((size_t)n), *want = ck_guarded((size_t)n);
        ck_values(c, gate, (size_t)n, i % 4 == 1 ? CK_MIXED : CK_NORMAL);
        ck_values(c, up, (size_t)n, i % 4 == 2 ? CK_DENORMAL : CK_NORMAL);
        for (int32_t j = 0; j < n && i % 4 == 3; j++) gate[j] = edges[ck_below(c, (int32_t)LFM2__COUNT_OF(edges))];
        for (int32_t j = 0; j < n && i % 4 == 0; j++) gate[j] *= 30.0f;
        impl->ref->silu_mul(want, gate, up, n);
        for (int alias = 0; alias < 2; alias++) { /* y may be gate or up */
            float *got = copy_guarded(alias ? up : gate, (size_t)n);
            impl->k.silu_mul(got, alias ? gate : got, alias ? got : up, n);
            ck_guards(c, got, (size_t)n, "y");
            for (int32_t j = 0; j < n; j++) {
                const double v = gate[j], silu = v / (1 + exp(-v));
                ck_near(c, got[j], want[j], 16 * CK_EPS * fabs((double)up[j]) * fmax(fabs(silu), CK_EPS) + CK_TINY, "y", j);
            }
            ck_free_guarded(got);
        }
        ck_free_guarded(want);
        free(gate);
        free(up);
    }
}

/* How far y may be off at x. */
typedef double activation_tolerance(double x);

static double silu_tolerance(double x)
{
    return 16 * CK_EPS * fmax(fabs(x / (1 + exp(-x))), CK_EPS) + CK_TINY;
}

static double gelu_tanh_tolerance(double x)
{
    const double t = 2 * 0.79788456080286536 * (x + 0.044715 * x * x * x), y = x / (1 + exp(-t));
    return (16 + 8 * fabs(t)) * CK_EPS * fmax(fabs(y), CK_EPS * fabs(x)) + CK_TINY;
}

static double gelu_erf_tolerance(double x)
{
    return 8 * CK_EPS * fabs(x) + CK_TINY;
}

static void check_activation(ck *c, const char *impl, const char *entry, void (*fn)(float *, const float *, int32_t),
                             void (*ref)(float *, const float *, int32_t), activation_tolerance *tolerance)
{
    static const float edges[] = {0.0f, -0.0f, 1e-30f, -1e-30f, 5.0f, -5.0f, 13.0f, -13.0f, 87.0f, -87.0f, 110.0f, -110.0f, 1e19f,
                                  -1e19f, 1e30f, -1e30f, NAN};
    ck_begin(c, entry, impl);
    for (size_t i = 0; i < 4 * LFM2__COUNT_OF(sizes); i++) {
        const int32_t n = sizes[i / 4];
        float *x = ck_floats((size_t)n), *want = ck_guarded((size_t)n), *apart = ck_guarded((size_t)n);
        ck_values(c, x, (size_t)n, i % 4 == 1 ? CK_MIXED : i % 4 == 2 ? CK_DENORMAL : CK_NORMAL);
        for (int32_t j = 0; j < n && i % 4 == 3; j++) x[j] = edges[ck_below(c, (int32_t)LFM2__COUNT_OF(edges))];
        for (int32_t j = 0; j < n && i % 4 == 0; j++) x[j] *= 5.0f;
        float *got = copy_guarded(x, (size_t)n);
        ref(want, x, n);
        fn(apart, x, n);
        fn(got, got, n); /* y may be x */
        ck_guards(c, got, (size_t)n, "y");
        ck_guards(c, apart, (size_t)n, "y");
        for (int32_t j = 0; j < n; j++) {
            ck_near(c, got[j], want[j], tolerance((double)x[j]), "y", j);
            ck_expect(c, ck_same(got[j], apart[j]), "in place [%d]: %.9g, apart %.9g", (int)j, (double)got[j], (double)apart[j]);
        }
        ck_free_guarded(got);
        ck_free_guarded(apart);
        ck_free_guarded(want);
        free(x);
    }
}

static void check_layer_norm_case(ck *c, const ck_impl *impl, int32_t n, ck_mode mode, float offset)
{
    const float eps = 1e-6f;
    float *x = ck_floats((size_t)n), *w = ck_floats((size_t)n), *b = ck_floats((size_t)n), *want = ck_guarded((size_t)n);
    ck_values(c, x, (size_t)n, mode);
    ck_values(c, w, (size_t)n, CK_MIXED);
    ck_values(c, b, (size_t)n, CK_MIXED);
    double mean = 0, mag = 0, var = 0;
    for (int32_t j = 0; j < n; j++) {
        x[j] += offset;
        mean += (double)x[j] / n;
        mag += fabs((double)x[j]) / n;
    }
    for (int32_t j = 0; j < n; j++) var += ((double)x[j] - mean) * ((double)x[j] - mean) / n;
    float *got = copy_guarded(x, (size_t)n);
    impl->ref->layer_norm(want, x, w, b, n, eps);
    impl->k.layer_norm(got, got, w, b, n, eps); /* y may be x */
    ck_guards(c, got, (size_t)n, "y");
    const double r = 1 / sqrt(var + (double)eps), dm = 14 * CK_EPS * mag;
    for (int32_t j = 0; j < n; j++) {
        const double wj = fabs((double)w[j]), d = fabs((double)x[j] - mean);
        const double tol = wj * r * (dm + d * (16 * CK_EPS + r * dm * r * dm)) + 4 * CK_EPS * fabs((double)b[j]);
        ck_near(c, got[j], want[j], tol + CK_TINY * (2 + wj * (2 + 2 * r)), "y", j);
    }
    ck_free_guarded(got);
    ck_free_guarded(want);
    free(x);
    free(w);
    free(b);
}

static void check_layer_norm(ck *c, const ck_impl *impl)
{
    static const ck_mode modes[] = {CK_NORMAL, CK_ZERO, CK_DENORMAL, CK_LARGE};
    ck_begin(c, "layer_norm", impl->name);
    for (size_t i = 0; i < LFM2__COUNT_OF(modes) * LFM2__COUNT_OF(sizes); i++) {
        const int32_t n = sizes[i / LFM2__COUNT_OF(modes)];
        check_layer_norm_case(c, impl, n, modes[i % LFM2__COUNT_OF(modes)], 0);
        check_layer_norm_case(c, impl, n, CK_NORMAL, 30); /* the mean outweighs the rest */
    }
}

static void check_softmax(ck *c, const ck_impl *impl)
{
    static const ck_mode modes[] = {CK_NORMAL, CK_ZERO, CK_DENORMAL};
    ck_begin(c, "softmax", impl->name);
    for (size_t i = 0; i < 6 * LFM2__COUNT_OF(sizes); i++) {
        const int32_t n = sizes[i / 6];
        const float scale = i % 2 ? 0.125f : 40.0f;
        float *x = ck_floats((size_t)n);
        ck_values(c, x, (size_t)n, modes[i / 2 % 3]);
        float *got = copy_guarded(x, (size_t)n), *want = copy_guarded(x, (size_t)n);
        impl->k.softmax(got, n, scale);
        impl->ref->softmax(want, n, scale);
        ck_guards(c, got, (size_t)n, "x");
        double max = 0;
        for (int32_t j = 0; j < n; j++) max = fmax(max, fabs((double)x[j] * (double)scale));
        for (int32_t j = 0; j < n; j++) {
            const double tol = (8 * CK_EPS * max + 4 * CK_EPS * (sqrt(n) + 8)) * (double)want[j] + n * CK_TINY;
            ck_near(c, got[j], want[j], tol, "x", j);
        }
        ck_free_guarded(got);
        ck_free_guarded(want);
        free(x);
    }
}

static void check_add_axpy(ck *c, const ck_impl *impl)
{
    for (size_t i = 0; i < 2 * CK_N_MODES * LFM2__COUNT_OF(sizes); i++) {
        const int is_axpy = (int)(i & 1);
        const int32_t n = sizes[i / (2 * CK_N_MODES)];
        if (i < 2) ck_begin(c, is_axpy ? "axpy" : "add", impl->name);
        c->entry = is_axpy ? "axpy" : "add";
        const float a = is_axpy ? ck_value(c, CK_MIXED) : 1.0f;
        float *x = ck_floats((size_t)n), *y = ck_floats((size_t)n);
        ck_values(c, x, (size_t)n, (ck_mode)(i / 2 % CK_N_MODES));
        ck_values(c, y, (size_t)n, (ck_mode)(i / 2 % CK_N_MODES));
        float *got = copy_guarded(y, (size_t)n), *want = copy_guarded(y, (size_t)n);
        if (is_axpy) {
            impl->k.axpy(got, a, x, n);
            impl->ref->axpy(want, a, x, n);
        } else {
            impl->k.add(got, x, n);
            impl->ref->add(want, x, n);
        }
        ck_guards(c, got, (size_t)n, "y");
        for (int32_t j = 0; j < n; j++) {
            ck_near(c, got[j], want[j], 4 * CK_EPS * (fabs((double)y[j]) + fabs((double)a * (double)x[j])) + 2 * CK_TINY, "y", j);
        }
        ck_free_guarded(got);
        ck_free_guarded(want);
        free(x);
        free(y);
    }
}

static void check_rope(ck *c, const ck_impl *impl)
{
    static const int32_t dims[] = {2, 4, 6, 14, 32, 34, 64, 80, 128, 130};
    ck_begin(c, "rope", impl->name);
    for (size_t i = 0; i < CK_N_MODES * LFM2__COUNT_OF(dims); i++) {
        const int32_t n = dims[i / CK_N_MODES], m = n / 2;
        float *x = ck_floats((size_t)n), *cs = ck_floats((size_t)m), *sn = ck_floats((size_t)m);
        ck_values(c, x, (size_t)n, (ck_mode)(i % CK_N_MODES));
        for (int32_t j = 0; j < m; j++) {
            const float angle = 10.0f * ck_value(c, CK_NORMAL);
            cs[j] = cosf(angle);
            sn[j] = sinf(angle);
        }
        float *got = copy_guarded(x, (size_t)n), *want = copy_guarded(x, (size_t)n);
        impl->k.rope(got, cs, sn, n);
        impl->ref->rope(want, cs, sn, n);
        ck_guards(c, got, (size_t)n, "x");
        for (int32_t j = 0; j < n; j++) {
            const double a = x[j], b = x[(j + m) % n], co = cs[j % m], si = sn[j % m];
            ck_near(c, got[j], want[j], 4 * CK_EPS * (fabs(a * co) + fabs(b * si)) + 2 * CK_TINY, "x", j);
        }
        ck_free_guarded(got);
        ck_free_guarded(want);
        free(x);
        free(cs);
        free(sn);
    }
}

static void check_shortconv_case(ck *c, const ck_impl *impl, int32_t d, int32_t n_taps, ck_mode mode)
{
    const size_t n = (size_t)d;
    float *bcx = ck_floats(3 * n), *taps = ck_floats((size_t)n_taps * n), *past = ck_floats((size_t)n_taps * n);
    const float *hist[4] = {NULL};
    ck_values(c, bcx, 3 * n, mode);
    ck_values(c, taps, (size_t)n_taps * n, CK_NORMAL);
    ck_values(c, past, (size_t)n_taps * n, mode);
    for (int32_t j = 0; j < n_taps - 1; j++) hist[j] = past + (size_t)(n_taps - 2 - j) * n;

    float *y = ck_guarded(n), *u = ck_guarded(n), *want_y = ck_guarded(n), *want_u = ck_guarded(n);
    impl->k.shortconv(y, u, bcx, hist, taps, d, n_taps);
    impl->ref->shortconv(want_y, want_u, bcx, hist, taps, d, n_taps);
    ck_guards(c, y, n, "y");
    ck_guards(c, u, n, "u");
    for (size_t i = 0; i < n; i++) {
        double sum = 0, max_tap = 0;
        for (int32_t j = 0; j < n_taps; j++) {
            const double tap = taps[(size_t)j * n + i];
            const double v = j < n_taps - 1 ? (double)hist[j][i] : (double)bcx[i] * (double)bcx[2 * n + i];
            sum += fabs(tap * v);
            max_tap = fmax(max_tap, fabs(tap));
        }
        const double gate = fabs((double)bcx[n + i]), u_mag = fabs((double)bcx[i] * (double)bcx[2 * n + i]);
        ck_near(c, u[i], want_u[i], 4 * CK_EPS * u_mag + 2 * CK_TINY, "u", (int64_t)i);
        const double tiny = (n_taps + 2) * CK_TINY * (1 + gate) * (1 + max_tap);
        ck_near(c, y[i], want_y[i], 2 * (n_taps + 2) * CK_EPS * gate * sum + tiny, "y", (int64_t)i);
    }
    ck_free_guarded(y);
    ck_free_guarded(u);
    ck_free_guarded(want_y);
    ck_free_guarded(want_u);
    free(bcx);
    free(taps);
    free(past);
}

static void check_shortconv(ck *c, const ck_impl *impl)
{
    static const ck_mode modes[] = {CK_NORMAL, CK_ZERO, CK_DENORMAL, CK_MIXED};
    ck_begin(c, "shortconv", impl->name);
    for (size_t i = 0; i < LFM2__COUNT_OF(sizes); i++) {
        for (int32_t n_taps = 1; n_taps <= 4; n_taps++) {
            check_shortconv_case(c, impl, sizes[i], n_taps, modes[(i + (size_t)n_taps) % 4]);
        }
    }
}

/* Tolerance of one output, from the scalar version's probabilities: see kernels_impl.h. */
typedef struct attend_case {
    int32_t n_ctx, head_dim;
    size_t stride;
    float scale;
    const float *q, *k, *v, *p;
    double sum_p, ds;
} attend_case;

static void score_error(attend_case *a)
{
    for (int32_t t = 0; t < a->n_ctx; t++) {
        double mag = 0;
        for (int32_t i = 0; i < a->head_dim; i++) mag += fabs((double)a->q[i] * (double)a->k[(size_t)t * a->stride + (size_t)i]);
        a->ds = fmax(a->ds, 4 * CK_EPS * (sqrt(a->head_dim) + 8) * fabs((double)a->scale) * mag);
        a->sum_p += (double)a->p[t];
    }
}

static double attend_tolerance(const attend_case *a, int32_t i)
{
    double mag = 0, max = 0;
    for (int32_t t = 0; t < a->n_ctx; t++) {
        const double v = fabs((double)a->v[(size_t)t * a->stride + (size_t)i]);
        mag += (double)a->p[t] / a->sum_p * v;
        max = fmax(max, v);
    }
    return (2 * a->ds + 4 * CK_EPS * (sqrt(a->n_ctx) + 8)) * mag + a->n_ctx * CK_TINY * (1 + max);
}

static void check_attend_case(ck *c, const ck_impl *impl, int32_t n_ctx, int32_t head_dim, ck_mode mode)
{
    const size_t stride = (size_t)(head_dim + (ck_below(c, 2) ? 0 : 3 * head_dim));
    const size_t n = (size_t)(n_ctx - 1) * stride + (size_t)head_dim;
    const float scale = 1.0f / sqrtf((float)head_dim);
    float *q = ck_floats((size_t)head_dim), *k = ck_floats(n), *v = ck_floats(n);
    ck_values(c, q, (size_t)head_dim, mode == CK_LARGE ? CK_NORMAL : mode);
    ck_values(c, k, n, mode == CK_LARGE ? CK_NORMAL : mode);
    ck_values(c, v, n, mode);
    float *got = ck_guarded((size_t)head_dim), *want = ck_guarded((size_t)head_dim);
    float *scores = ck_guarded((size_t)n_ctx), *p = ck_guarded((size_t)n_ctx);
    impl->k.attend(got, q, k, v, stride, n_ctx, head_dim, scale, scores);
    impl->ref->attend(want, q, k, v, stride, n_ctx, head_dim, scale, p);
    ck_guards(c, got, (size_t)head_dim, "out");
    ck_guards(c, scores, (size_t)n_ctx, "scores");

    attend_case a = {.n_ctx = n_ctx, .head_dim = head_dim, .stride = stride, .scale = scale, .q = q, .k = k, .v = v, .p = p};
    score_error(&a);
    for (int32_t i = 0; i < head_dim; i++) {
        char what[64];
        (void)snprintf(what, sizeof what, "n_ctx %d head_dim %d mode %d out", n_ctx, head_dim, (int)mode);
        ck_near(c, got[i], want[i], attend_tolerance(&a, i), what, i);
    }
    ck_free_guarded(got);
    ck_free_guarded(want);
    ck_free_guarded(scores);
    ck_free_guarded(p);
    free(q);
    free(k);
    free(v);
}

void ck_check_attend(ck *c, const ck_impl *impl)
{
    static const int32_t ctxs[] = {1, 2, 3, 5, 15, 16, 17, 100, 301}, dims[] = {2, 6, 16, 20, 64, 72, 80, 128};
    static const ck_mode modes[] = {CK_NORMAL, CK_ZERO, CK_DENORMAL, CK_LARGE};
    ck_begin(c, "attend", impl->name);
    for (size_t i = 0; i < LFM2__COUNT_OF(ctxs); i++) {
        for (size_t j = 0; j < LFM2__COUNT_OF(dims); j++) check_attend_case(c, impl, ctxs[i], dims[j], modes[(i + j) % 4]);
    }
}

void ck_check_layers(ck *c, const ck_impl *impl)
{
    check_rms_norm(c, impl);
    check_silu_mul(c, impl);
    check_layer_norm(c, impl);
    check_activation(c, impl->name, "silu", impl->k.silu, impl->ref->silu, silu_tolerance);
    check_activation(c, impl->name, "gelu_tanh", impl->k.gelu_tanh, impl->ref->gelu_tanh, gelu_tanh_tolerance);
    check_activation(c, impl->name, "gelu_erf", impl->k.gelu_erf, impl->ref->gelu_erf, gelu_erf_tolerance);
    check_softmax(c, impl);
    check_add_axpy(c, impl);
    check_rope(c, impl);
    check_shortconv(c, impl);
    ck_check_attend(c, impl);
}
