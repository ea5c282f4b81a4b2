/* SPDX-License-Identifier: Apache-2.0
 * The vision encoder: load, unload, runs, and the call that encodes. */
#include <math.h>

#include "encoders/vision_impl.h"

int lfm2_vision_load(lfm2_runtime *rt, const char *path, lfm2_vision **out)
{
    if (!rt || !path || !out) return LFM2_ERR_ARG;
    lfm2_vision *v = lfm2__calloc(rt, 1, sizeof *v);
    if (!v) return LFM2_ERR_NOMEM;
    v->rt = rt;
    lfm2__kernels_init(&v->k, lfm2_runtime_cpu_flags(rt));
    int rc = lfm2_weights_open(rt, path, &v->w);
    if (rc == 0) rc = lfm2__vision_read_config(v);
    if (rc == 0) rc = lfm2__vision_read_params(v);
    if (rc == 0) rc = lfm2__vision_bind(v);
    if (rc == 0) rc = lfm2_weights_check(v->w);
    if (rc < 0) goto fail;
    *out = v;
    return 0;
fail:
    lfm2_vision_unload(v);
    return rc;
}

void lfm2_vision_unload(lfm2_vision *v)
{
    if (!v) return;
    lfm2__free(v->rt, v->vectors);
    lfm2__free(v->rt, v->random);
    lfm2__free(v->rt, v->layers);
    lfm2_weights_close(v->w);
    lfm2__free(v->rt, v);
}

const lfm2_vision_config *lfm2_vision_get_config(const lfm2_vision *v)
{
    return v ? &v->cfg : NULL;
}

const lfm2_vision_params *lfm2_vision_get_params(const lfm2_vision *v)
{
    return v ? &v->params : NULL;
}

/* The features, and the larger of what tower and projector need. No overflow: widths and patches are at most 2^16. */
static size_t scratch_bytes(const lfm2_vision *v, int32_t cap_patches)
{
    const size_t tower = lfm2__vision_tower_bytes(v, cap_patches, lfm2_runtime_n_threads(v->rt));
    const size_t project = lfm2__vision_project_bytes(v, cap_patches);
    const size_t x = lfm2__arena_bytes((size_t)cap_patches, (size_t)v->cfg.d_vision * sizeof(float));
    return x + (tower > project ? tower : project);
}

static int cap_ok(int32_t cap_patches)
{
    return cap_patches >= 1 && cap_patches <= LFM2__VISION_MAX_RUN_PATCHES;
}

uint64_t lfm2_vision_run_bytes(const lfm2_vision *v, int32_t cap_patches)
{
    return v && cap_ok(cap_patches) ? sizeof(lfm2_vision_run) + (uint64_t)scratch_bytes(v, cap_patches) : 0;
}

int lfm2_vision_run_create(const lfm2_vision *v, int32_t cap_patches, lfm2_vision_run **out)
{
    if (!v || !out || !cap_ok(cap_patches)) return LFM2_ERR_ARG;
    lfm2_vision_run *r = lfm2__calloc(v->rt, 1, sizeof *r);
    if (!r) return LFM2_ERR_NOMEM;
    r->v = v;
    r->cap_patches = cap_patches;
    r->n_threads = lfm2_runtime_n_threads(v->rt);
    const int rc = lfm2__arena_init(&r->scratch, v->rt, scratch_bytes(v, cap_patches));
    if (rc < 0) {
        lfm2_vision_run_destroy(r);
        return rc;
    }
    *out = r;
    return 0;
}

void lfm2_vision_run_destroy(lfm2_vision_run *r)
{
    if (!r) return;
    lfm2_runtime *rt = r->v->rt;
    lfm2__arena_fini(&r->scratch);
    lfm2__free(rt, r);
}

int64_t lfm2_vision_run_project_us(const lfm2_vision_run *r)
{
    return r ? r->project_us : 0;
}

/* Check all grids; *n_tok: tokens of all of them. */
static int check_inputs(const lfm2_vision_run *r, const lfm2_vision_grid *inputs, int32_t n_inputs, int32_t cap_tok, int32_t *n_tok)
{
    lfm2_runtime *rt = r->v->rt;
    const int32_t f = r->v->cfg.downsample;
    int64_t tok = 0;
    for (int32_t i = 0; i < n_inputs; i++) {
        const lfm2_vision_grid *g = &inputs[i];
        if (g->n_rows < 1 || g->n_cols < 1 || g->n_rows % f != 0 || g->n_cols % f != 0)
            return lfm2__fail(rt, LFM2_ERR_ARG, "image input %d: %d x %d patches are not whole tokens", (int)i, (int)g->n_rows,
                              (int)g->n_cols);
        if ((int64_t)g->n_rows * g->n_cols > r->cap_patches)
            return lfm2__fail(rt, LFM2_ERR_RANGE, "image input %d: more than %d patches", (int)i, (int)r->cap_patches);
        tok += (int64_t)(g->n_rows / f) * (g->n_cols / f);
        if (tok > cap_tok) return lfm2__fail(rt, LFM2_ERR_RANGE, "image inputs: more than %d tokens", (int)cap_tok);
    }
    *n_tok = (int32_t)tok;
    return 0;
}

/* As many of the next inputs as fit a run. */
static lfm2__vision_batch next_batch(const lfm2_vision_run *r, const lfm2_vision_grid *inputs, int32_t n_inputs)
{
    lfm2__vision_batch b = { .inputs = inputs };
    while (b.n_inputs < n_inputs) {
        const int32_t n = inputs[b.n_inputs].n_rows * inputs[b.n_inputs].n_cols;
        if (n > r->cap_patches - b.n_patches) break;
        b.n_patches += n;
        b.n_inputs++;
    }
    return b;
}

static int all_finite(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return 0;
    return 1;
}

int lfm2_vision_encode(lfm2_vision_run *r, const float *patches, const lfm2_vision_grid *inputs, int32_t n_inputs, float *out,
                       int32_t cap_tok, int32_t *n_tok)
{
    if (!r || !patches || !inputs || n_inputs < 1 || !out) return LFM2_ERR_ARG;
    const lfm2_vision *v = r->v;
    const int32_t f2 = v->cfg.downsample * v->cfg.downsample;
    const size_t patch_n = 3 * (size_t)v->cfg.patch_px * (size_t)v->cfg.patch_px;
    int32_t total = 0;
    r->project_us = 0;
    int rc = check_inputs(r, inputs, n_inputs, cap_tok, &total);
    if (rc == 0 && v->w) rc = lfm2_weights_check(v->w);
    for (int32_t done = 0; rc == 0 && done < n_inputs;) {
        const size_t mark = lfm2__arena_mark(&r->scratch);
        const lfm2__vision_batch b = next_batch(r, inputs + done, n_inputs - done);
        float *x = lfm2__arena_alloc(&r->scratch, (size_t)b.n_patches, (size_t)v->cfg.d_vision * sizeof(float));
        rc = lfm2__vision_tower(r, &b, patches, x);
        const int64_t start_us = lfm2__now_us();
        if (rc == 0) rc = lfm2__vision_project(r, &b, x, out);
        r->project_us += lfm2__now_us() - start_us;
        lfm2__arena_release(&r->scratch, mark);
        const size_t n = (size_t)(b.n_patches / f2) * (size_t)v->cfg.d_model;
        if (rc == 0 && !all_finite(out, n)) rc = lfm2__fail(v->rt, LFM2_ERR_NONFINITE, "image encoder: a value is not finite");
        out += n;
        patches += (size_t)b.n_patches * patch_n;
        done += b.n_inputs;
    }
    if (rc == 0 && v->w) rc = lfm2_weights_check(v->w);
    if (rc == 0 && n_tok) *n_tok = total;
    return rc;
}
