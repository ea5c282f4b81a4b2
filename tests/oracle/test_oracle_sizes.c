/* SPDX-License-Identifier: Apache-2.0
 * Reference check of the vision encoder at awkward sizes: pictures from a formula, of which the reference's plan, pixels and
 * embeddings are known (make_vision_sizes.py).
 *
 *   test_oracle_sizes FOLDER MASK MAX_TOK
 *
 * Of every case: plan, and the checksum of all pixels, which must be the reference's to the last bit. Of every case of at most
 * MAX_TOK tokens, as slow builds have time for no more: eight tokens by their cosine, and all together by 64 sums with random
 * signs, which differ by about as much, relatively, as the embeddings themselves. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lfm2/encoders.h"
#include "oracle/oracle.h"

#define MIN_COSINE 0.9999
#define MAX_RELATIVE 0.0141 /* sqrt(2 * (1 - MIN_COSINE)): what that cosine allows */
#define N_SOME 8
#define N_SUMS 64

typedef struct size_case {
    int width, height, setting, cols, rows, n_inputs, last_rows, last_cols, n_tok;
    unsigned crc;
} size_case;

typedef struct result {
    double worst_cosine, worst_relative;
    int n_cases, n_encoded, n_failed, max_tok;
} result;

static int failed(result *r, const size_case *c, const char *what)
{
    printf("FAILED %d x %d, setting %d: %s\n", c->width, c->height, c->setting, what);
    r->n_failed++;
    return -1;
}

static void *need(void *p)
{
    if (p == NULL) exit(1);
    return p;
}

static uint8_t *picture(int width, int height)
{
    uint8_t *rgb = need(malloc((size_t)width * (size_t)height * 3)), *out = rgb;
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            for (int c = 0; c < 3; c++) *out++ = (uint8_t)(x * 7 + y * 13 + c * 50 + (x * y >> 3) + ((x >> 4 ^ y >> 4) & 1) * 90);
        }
    }
    return rgb;
}

static lfm2_vision_params params_of(const lfm2_vision_params *base, int setting)
{
    lfm2_vision_params p = *base;
    if (setting == 1) p.use_thumbnail = 0;
    if (setting == 2) p.do_split = 0;
    if (setting == 3) p.min_image_tok = 32, p.max_image_tok = 64;
    if (setting == 4) p.min_image_tok = 16, p.max_image_tok = 128, p.max_tiles = 4;
    if (setting == 5) p.min_tiles = 1;
    if (setting == 6) p.letterbox = 1;
    return p;
}

static unsigned checksum(const float *patches, size_t n)
{
    unsigned table[256], crc = 0xffffffffu;
    for (unsigned i = 0; i < 256; i++) {
        table[i] = i;
        for (int bit = 0; bit < 8; bit++) table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320u : 0);
    }
    for (size_t i = 0; i < n; i++) crc = crc >> 8 ^ table[(crc ^ (unsigned)lrintf((patches[i] + 1) * 127.5f)) & 255u];
    return ~crc;
}

/* Relative difference of the sums. */
static double sums_differ(const float *embed, size_t n, const float *want)
{
    double sums[N_SUMS] = {0}, diff = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        for (uint32_t j = 0; j < N_SUMS; j++) {
            uint32_t h = ((uint32_t)i * N_SUMS + j) * 0x9E3779B1u;
            h ^= h >> 15;
            h *= 0x85EBCA77u;
            h ^= h >> 13;
            sums[j] += h & 1 ? -(double)embed[i] : (double)embed[i];
        }
    }
    for (int j = 0; j < N_SUMS; j++) {
        const double d = sums[j] / sqrt((double)n) - (double)want[j];
        diff += d * d;
        size += (double)want[j] * (double)want[j];
    }
    return sqrt(diff / size);
}

static const float *expected(const lfm2_weights *w, const char *kind, int i, int64_t n)
{
    char name[32];
    (void)snprintf(name, sizeof name, "%s.%d", kind, i);
    const lfm2_tensor *t = lfm2_weights_find(w, name);
    return t != NULL && t->n_bytes == (size_t)n * sizeof(float) ? t->data : NULL;
}

static int check_embeddings(result *r, const size_case *c, const float *embed, int32_t d, const lfm2_weights *want, int i)
{
    const float *some = expected(want, "some", i, (int64_t)N_SOME * d), *all = expected(want, "all", i, N_SUMS);
    if (some == NULL || all == NULL) return failed(r, c, "no expected values");
    for (int k = 0; k < N_SOME; k++) {
        const double cos = oracle_cosine(embed + (int64_t)(k * (c->n_tok - 1) / 7) * d, some + (int64_t)k * d, d);
        if (!(cos >= r->worst_cosine)) r->worst_cosine = cos;
        if (!(cos >= MIN_COSINE)) return failed(r, c, "cosine of a token");
    }
    const double relative = sums_differ(embed, (size_t)c->n_tok * (size_t)d, all);
    if (!(relative <= r->worst_relative)) r->worst_relative = relative;
    return relative <= MAX_RELATIVE ? 0 : failed(r, c, "sums of all tokens");
}

static int run_case(result *r, lfm2_runtime *rt, const lfm2_vision *v, lfm2_vision_run *run, const size_case *c,
                    const lfm2_weights *want, int i)
{
    const lfm2_vision_params p = params_of(lfm2_vision_get_params(v), c->setting);
    const int32_t d = lfm2_vision_get_config(v)->d_model;
    lfm2_vision_plan plan;
    r->n_cases++;
    if (lfm2_vision_plan_image(&p, c->width, c->height, &plan) < 0) return failed(r, c, "no plan");
    const lfm2_vision_grid *last = &plan.inputs[plan.n_inputs - 1];
    if (plan.tile_cols != c->cols || plan.tile_rows != c->rows || plan.n_inputs != c->n_inputs || last->n_rows != c->last_rows
        || last->n_cols != c->last_cols || plan.n_tok != c->n_tok) {
        return failed(r, c, "plan");
    }
    uint8_t *rgb = picture(c->width, c->height);
    float *patches = need(malloc((size_t)plan.n_patches * 768 * sizeof(float)));
    float *out = need(malloc((size_t)plan.n_tok * (size_t)d * sizeof(float)));
    int rc = lfm2_vision_patches(rt, &p, &plan, rgb, (size_t)c->width * 3, patches, plan.n_patches);
    if (rc < 0) (void)failed(r, c, lfm2_strerror(rc));
    else if (checksum(patches, (size_t)plan.n_patches * 768) != c->crc) (void)failed(r, c, "pixels");
    if (rc == 0 && plan.n_tok <= r->max_tok) {
        rc = lfm2_vision_encode(run, patches, plan.inputs, plan.n_inputs, out, plan.n_tok, NULL);
        if (rc < 0) (void)failed(r, c, lfm2_strerror(rc));
        else (void)check_embeddings(r, c, out, d, want, i);
        r->n_encoded++;
    }
    free(out);
    free(patches);
    free(rgb);
    return 0;
}

int main(int argc, char **argv)
{
    lfm2_vision *v = NULL;
    lfm2_vision_run *run = NULL;
    lfm2_weights *want = NULL;
    result r = {.worst_cosine = 1};
    size_case c;
    if (argc != 4) {
        fprintf(stderr, "usage: test_oracle_sizes FOLDER MASK MAX_TOK\n");
        return 2;
    }
    r.max_tok = atoi(argv[3]);
    lfm2_runtime *rt = oracle_runtime(strcmp(argv[2], "all") == 0 ? LFM2_CPU_MASK_ALL : (uint32_t)strtoul(argv[2], NULL, 0));
    FILE *f = fopen(oracle_path(argv[1], "sizes.txt"), "r");
    if (f == NULL || lfm2_weights_open(rt, oracle_path(argv[1], "sizes.safetensors"), &want) < 0
        || lfm2_vision_load(rt, oracle_path(argv[1], "model.safetensors"), &v) < 0 || lfm2_vision_run_create(v, 2048, &run) < 0) {
        printf("FAILED: cannot be loaded\n");
        return 1;
    }
    while (fscanf(f, "%d %d %d %d %d %d %d %d %d %u", &c.width, &c.height, &c.setting, &c.cols, &c.rows, &c.n_inputs, &c.last_rows,
                  &c.last_cols, &c.n_tok, &c.crc) == 10) {
        (void)run_case(&r, rt, v, run, &c, want, r.n_cases);
    }
    printf("%d sizes, %d encoded: worst cosine %.8f, sums differ by at most %.2e, %d failed\n", r.n_cases, r.n_encoded,
           r.worst_cosine, r.worst_relative, r.n_failed);
    fclose(f);
    lfm2_vision_run_destroy(run);
    lfm2_vision_unload(v);
    lfm2_weights_close(want);
    lfm2_runtime_destroy(rt);
    return r.n_failed > 0 || r.n_cases < 7 || r.n_encoded < 7;
}
