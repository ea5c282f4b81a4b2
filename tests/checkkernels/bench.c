/* SPDX-License-Identifier: Apache-2.0
 * checkkernels --bench: speed of the matrix products. Best of several passes; GB/s of weights read, beside what a plain read of
 * the same memory reaches; GFLOP/s of many tokens. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/runtime_impl.h"
#include "checkkernels/checkkernels.h"

#define N_COLS 2048
#define N_TOK 512
#define ROWS_MANY 256 /* short passes: the best of them may run undisturbed on a busy machine */
#define MIN_PASSES 3
#define MIN_SECONDS 0.3

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct stream {
    const uint64_t *p;
    size_t n; /* words of a task */
    uint64_t sink[256];
} stream;

/* Four places at once, as the products read four rows. */
static void read_words(void *ctx, int32_t task, int32_t worker)
{
    stream *s = ctx;
    const size_t part = s->n / 4;
    const uint64_t *p = s->p + (size_t)task * s->n;
    uint64_t sum[4][4] = {{0}};
    for (size_t i = 0; i + 4 <= part; i += 4) {
        for (size_t k = 0; k < 4; k++) {
            for (size_t j = 0; j < 4; j++) sum[k][j] ^= p[k * part + i + j];
        }
    }
    for (int j = 1; j < 16; j++) sum[0][0] ^= sum[j / 4][j % 4];
    s->sink[worker % 256] ^= sum[0][0];
}

static double bench_stream(lfm2__pool *pool, const uint8_t *data, size_t n_bytes)
{
    const int32_t n_tasks = 64;
    stream s = {.p = (const uint64_t *)(const void *)data, .n = n_bytes / 8 / (size_t)n_tasks};
    double best = 1e30;
    for (int i = 0; i < 7; i++) {
        const double t0 = now();
        lfm2__pool_run(pool, read_words, &s, n_tasks);
        const double t = now() - t0;
        if (t < best) best = t;
    }
    return (double)n_bytes / best;
}

typedef struct bench_case {
    const lfm2__kernels *k;
    lfm2__pool *pool;
    float *y, *x;
    const uint8_t *w;
    lfm2_dtype t;
    int32_t n_tok, n_rows;
} bench_case;

/* Seconds of the best pass. */
static double bench_matmul(const bench_case *b)
{
    const size_t row_bytes = lfm2_dtype_row_bytes(b->t, N_COLS);
    double best = 1e30;
    const double start = now();
    for (int i = 0; i < MIN_PASSES || now() - start < MIN_SECONDS; i++) {
        const double t0 = now();
        lfm2__matmul(b->k, b->pool, b->y, b->x, b->n_tok, b->w, b->t, row_bytes, b->n_rows, N_COLS);
        const double t = now() - t0;
        if (t < best) best = t;
    }
    return best;
}

static void bench_type(const ck_impl *impl, bench_case b, size_t n_bytes, double stream_rate)
{
    char name[32];
    const size_t row_bytes = lfm2_dtype_row_bytes(b.t, N_COLS);
    const int slow = impl->flags == 0; /* the reference */
    if (slow || impl->k.gemm_blas) n_bytes /= 32;
    b.k = &impl->k;
    b.n_tok = 1;
    b.n_rows = (int32_t)(n_bytes / row_bytes);
    const double gemv = bench_matmul(&b);
    const double rate = (double)b.n_rows * (double)row_bytes / gemv;

    b.n_tok = slow ? 4 : N_TOK;
    b.n_rows = ROWS_MANY;
    const double flops = 2.0 * b.n_tok * b.n_rows * N_COLS;
    printf("%-12s %-12s %8.1f %7.0f%% %10.1f %12.1f\n", ck_dtype(b.t, "gemm", name, sizeof name), impl->name, rate * 1e-9,
           100 * rate / stream_rate, 2e-9 * N_COLS * rate / (double)row_bytes, flops / bench_matmul(&b) * 1e-9);
    (void)fflush(stdout);
}

int ck_bench(const ck_impl *impls, size_t n_impls, lfm2_dtype type, int32_t n_threads, int32_t mib)
{
    lfm2_runtime *rt = NULL;
    lfm2_runtime_params params = lfm2_runtime_params_default();
    params.n_threads = n_threads;
    int rc = lfm2_runtime_create(&params, &rt);
    if (rc < 0) return rc;

    const size_t n_bytes = (size_t)mib << 20, max_rows = n_bytes / lfm2_dtype_row_bytes(LFM2_DTYPE_Q4_0, N_COLS) + 1;
    const size_t n_y = max_rows > (size_t)N_TOK * ROWS_MANY ? max_rows : (size_t)N_TOK * ROWS_MANY;
    ck c = {.seed = 1};
    ck_begin(&c, "bench", "");
    bench_case b = {.pool = lfm2__runtime_pool(rt)};
    b.x = lfm2__alloc(rt, (size_t)N_TOK * N_COLS * sizeof(float)); /* aligned, as the scratch of a forward pass is */
    b.y = lfm2__alloc(rt, n_y * sizeof(float));
    uint8_t *w = lfm2__alloc(rt, n_bytes);
    b.w = w;
    if (!b.x || !b.y || !w) {
        rc = LFM2_ERR_NOMEM;
        goto end;
    }
    memset(w, 0, n_bytes);
    memset(b.y, 0, n_y * sizeof(float));
    ck_values(&c, b.x, (size_t)N_TOK * N_COLS, CK_NORMAL);
    const double stream_rate = bench_stream(b.pool, w, n_bytes);
    printf("threads %d, %d MiB of weights, %d columns; plain read %.1f GB/s\n", lfm2__pool_n_threads(b.pool), mib, N_COLS,
           stream_rate * 1e-9);
    printf("%-12s %-12s %8s %8s %10s %12s\n", "entry", "impl", "GB/s", "of read", "GFLOP/s", "GFLOP/s x512");
    for (int t = 0; t < LFM2_DTYPE_N_COMPUTE; t++) {
        if (type != LFM2_DTYPE_COUNT && (int)type != t) continue;
        b.t = (lfm2_dtype)t;
        const int32_t sample = 64 * N_COLS; /* real values, repeated: a NaN or a denormal would be another speed */
        const size_t sample_bytes = lfm2_dtype_row_bytes(b.t, sample);
        ck_weights(&c, w, b.t, sample, CK_NORMAL, 0);
        for (size_t ofs = sample_bytes; ofs < n_bytes; ofs += sample_bytes) {
            memcpy(w + ofs, w, n_bytes - ofs < sample_bytes ? n_bytes - ofs : sample_bytes);
        }
        for (size_t i = 0; i < n_impls; i++) {
            if (!impls[i].k.gemm_blas || b.t == LFM2_DTYPE_F32) bench_type(&impls[i], b, n_bytes, stream_rate);
        }
    }
end:
    lfm2__free(rt, w);
    lfm2__free(rt, b.x);
    lfm2__free(rt, b.y);
    lfm2_runtime_destroy(rt);
    return rc;
}
