/* SPDX-License-Identifier: Apache-2.0
 * Reference check of the vision encoder: plan, patches and embeddings of a folder's image cases, from both containers.
 *
 *   test_oracle_vision FOLDER MASK [FOLDER_OF_PIXELS]
 *
 * Pixels of FILE come from FILE.rgb (u8 [height, width, 3]) if there is one, and FILE itself, decoded, must then have the same; or
 * from FILE alone. Cases of a format that is not in the build are left out, but at least three must remain. MASK: instruction
 * sets, "all" or a number; with 0 (scalar) and under sanitizers, which are slow, only images of few tokens are encoded. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "lfm2/encoders.h"
#include "lfm2/image.h"
#include "oracle/oracle.h"

#define MIN_COSINE 0.9999
#define SCALAR_TOK 100
#ifdef LFM2_TEST_SANITIZED
#define MOST_TOK 240
#else
#define MOST_TOK 100000
#endif
#define MAX_OFF (4.0 / 255.0 + 1e-6) /* of a patch of a decoded JPEG: 2 grey levels */

typedef struct result {
    double worst_cosine;
    int64_t n_values, n_off; /* of patches; off: not equal */
    double worst_patch;
    int n_failed, n_cases;
} result;

static uint8_t *read_pixels(const char *dir, const char *file, size_t n)
{
    char name[256];
    (void)snprintf(name, sizeof name, "%s.rgb", file);
    FILE *f = fopen(oracle_path(dir, name), "rb");
    uint8_t *p = malloc(n);
    if (f == NULL || p == NULL || fread(p, 1, n, f) != n || fgetc(f) != EOF) {
        free(p);
        p = NULL;
    }
    if (f != NULL) fclose(f);
    return p;
}

/* The pixels of a file, to be freed; NULL: not there, not decoded in this build, or not those of FILE.rgb (then *differs). */
static uint8_t *pixels_of(lfm2_runtime *rt, const char *dir, const char *file, size_t n, int *differs)
{
    uint8_t *p = read_pixels(dir, file, n);
    lfm2_image image;
    if (lfm2_image_decode_file(rt, oracle_path(dir, file), NULL, &image) < 0) return p;
    *differs = (size_t)image.width * (size_t)image.height * 3 != n || image.stride_bytes != (size_t)image.width * 3;
    if (p == NULL && !*differs) {
        p = malloc(n);
        if (p == NULL) exit(1);
        memcpy(p, lfm2_buf_data(image.rgb), n);
    }
    *differs = *differs || memcmp(p, lfm2_buf_data(image.rgb), n) != 0;
    lfm2_image_fini(&image);
    return p;
}

static int same_shapes(const lfm2_vision_plan *plan, const lfm2__json *shapes)
{
    int same = lfm2__json_size(shapes) == (size_t)plan->n_inputs;
    for (int32_t i = 0; same && i < plan->n_inputs; i++) {
        const lfm2__json *s = lfm2__json_at(shapes, (size_t)i);
        same = lfm2__json_int(lfm2__json_at(s, 0)) == plan->inputs[i].n_rows
               && lfm2__json_int(lfm2__json_at(s, 1)) == plan->inputs[i].n_cols;
    }
    return same;
}

static int fail(result *r, const char *file, const char *what)
{
    printf("FAILED %s: %s\n", file, what);
    r->n_failed++;
    return -1;
}

static void check_patches(result *r, const char *file, const float *got, const lfm2_tensor *want)
{
    const float *w = want->data;
    int64_t off = 0;
    const int64_t n = want->dims[0] * want->dims[1];
    const int is_jpeg = strstr(file, ".jpg") != NULL; /* its decoders are free to round */
    double worst = 0;
    for (int64_t i = 0; i < n; i++) {
        const double d = fabs((double)got[i] - (double)w[i]);
        if (!(d <= 1e-6)) off++; /* a grey level is 8e-3 */
        if (!(d <= worst)) worst = d;
    }
    r->n_values += n;
    r->n_off += off;
    if (worst > r->worst_patch) r->worst_patch = worst;
    if (off > (is_jpeg ? n / 20 : 0) || !(worst <= MAX_OFF)) (void)fail(r, file, "patches");
}

static void check_embeddings(result *r, const char *file, const float *got, const lfm2_tensor *want)
{
    double worst = 1;
    for (int64_t t = 0; t < want->dims[0]; t++) {
        const double c = oracle_cosine(got + t * want->dims[1], (const float *)want->data + t * want->dims[1], want->dims[1]);
        if (!(c >= worst)) worst = c;
    }
    printf("  %-10s worst cosine %.8f\n", file, worst);
    if (worst < r->worst_cosine) r->worst_cosine = worst;
    if (!(worst >= MIN_COSINE)) (void)fail(r, file, "embeddings");
}

static int run_case(result *r, lfm2_runtime *rt, const lfm2_vision *v, lfm2_vision_run *run, const lfm2__json *c,
                    const lfm2_weights *want, const char *pixel_dir)
{
    const char *file = lfm2__json_str(lfm2__json_get(c, "file"), NULL);
    const lfm2__json *size = lfm2__json_get(c, "size");
    const int32_t w = (int32_t)lfm2__json_int(lfm2__json_at(size, 0)), h = (int32_t)lfm2__json_int(lfm2__json_at(size, 1));
    int differs = 0;
    uint8_t *rgb = pixels_of(rt, pixel_dir, file, (size_t)w * (size_t)h * 3, &differs);
    if (differs) (void)fail(r, file, "decoded pixels");
    if (rgb == NULL) return 0;
    const lfm2_tensor *patches_want = lfm2_weights_find(want, lfm2__json_str(lfm2__json_get(c, "patches"), NULL));
    const lfm2_tensor *embed_want = lfm2_weights_find(want, lfm2__json_str(lfm2__json_get(c, "embed"), NULL));
    const int32_t d = lfm2_vision_get_config(v)->d_model;
    lfm2_vision_plan plan;
    int32_t n_tok = 0;
    r->n_cases++;
    if (lfm2_vision_plan_image(lfm2_vision_get_params(v), w, h, &plan) < 0) return fail(r, file, "no plan");
    if (!same_shapes(&plan, lfm2__json_get(c, "spatial_shapes"))) return fail(r, file, "grids");
    if (plan.n_tok != lfm2__json_int(lfm2__json_get(c, "n_image_tokens"))) return fail(r, file, "number of tokens");
    if (!patches_want || !embed_want || embed_want->dims[0] != plan.n_tok || embed_want->dims[1] != d)
        return fail(r, file, "shapes");
    float *patches = malloc((size_t)plan.n_patches * 768 * sizeof(float));
    float *out = malloc((size_t)plan.n_tok * (size_t)d * sizeof(float));
    if (patches == NULL || out == NULL) exit(1);
    int rc = lfm2_vision_patches(rt, lfm2_vision_get_params(v), &plan, rgb, (size_t)w * 3, patches, plan.n_patches);
    const int encodes = plan.n_tok <= (lfm2_runtime_cpu_flags(rt) != 0 ? MOST_TOK : SCALAR_TOK);
    if (rc == 0 && encodes) rc = lfm2_vision_encode(run, patches, plan.inputs, plan.n_inputs, out, plan.n_tok, &n_tok);
    if (rc < 0 || n_tok != (encodes ? plan.n_tok : 0)) {
        (void)fail(r, file, lfm2_strerror(rc));
    } else {
        check_patches(r, file, patches, patches_want);
        if (encodes) check_embeddings(r, file, out, embed_want);
    }
    free(patches);
    free(out);
    free(rgb);
    return 0;
}

static void run_container(result *r, lfm2_runtime *rt, const char *dir, const char *name, const char *pixel_dir)
{
    lfm2_vision *v = NULL;
    lfm2_vision_run *run = NULL;
    lfm2_weights *want = NULL;
    lfm2__json_doc *cases = oracle_cases(rt, dir);
    printf("%s\n", name);
    const int before = r->n_cases;
    if (cases == NULL || lfm2_weights_open(rt, oracle_path(dir, "expected.safetensors"), &want) < 0
        || lfm2_vision_load(rt, oracle_path(dir, name), &v) < 0 || lfm2_vision_run_create(v, 2048, &run) < 0) {
        (void)fail(r, name, "cannot be loaded");
    } else {
        const lfm2__json *list = lfm2__json_root(cases);
        for (size_t i = 0; i < lfm2__json_size(list); i++) (void)run_case(r, rt, v, run, lfm2__json_at(list, i), want, pixel_dir);
        if (r->n_cases - before < 3) (void)fail(r, name, "fewer than three cases");
    }
    lfm2_vision_run_destroy(run);
    lfm2_vision_unload(v);
    lfm2_weights_close(want);
    lfm2__json_free(cases);
}

int main(int argc, char **argv)
{
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: test_oracle_vision FOLDER MASK [FOLDER_OF_PIXELS]\n");
        return 2;
    }
    const char *pixel_dir = argc > 3 ? argv[3] : argv[1];
    lfm2_runtime *rt = oracle_runtime(strcmp(argv[2], "all") == 0 ? LFM2_CPU_MASK_ALL : (uint32_t)strtoul(argv[2], NULL, 0));
    result r = {.worst_cosine = 1};
    run_container(&r, rt, argv[1], "model.safetensors", pixel_dir);
    run_container(&r, rt, argv[1], "mmproj-bf16.gguf", pixel_dir);
    printf("%d cases: worst cosine %.8f; %lld of %lld patch values differ, at most by %.4f\n", r.n_cases, r.worst_cosine,
           (long long)r.n_off, (long long)r.n_values, r.worst_patch);
    lfm2_runtime_destroy(rt);
    return r.n_failed > 0;
}
