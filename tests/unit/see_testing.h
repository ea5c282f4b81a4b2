/* SPDX-License-Identifier: Apache-2.0
 * For the tests of seeing: the reference image checkpoint, and pictures made up on the spot. */
#ifndef SEE_TESTING_H
#define SEE_TESTING_H

#include "base_testing.h"

#include "lfm2/image.h"
#include "lfm2/prompt.h"
#include "lfm2/see.h"

#define GOLDEN_VL LFM2_TEST_DIR "/oracle/golden/vl"

typedef struct see_fixture {
    test_heap heap;
    test_log log;
    lfm2_runtime *rt;
    lfm2_model *model;
    lfm2_tokenizer *tok;
    lfm2_vision *vision;
} see_fixture;

static inline int see_setup(void **state)
{
    see_fixture *f = test_calloc(1, sizeof *f);
    f->rt = test_runtime(2, &f->heap, &f->log);
    assert_int_equal(lfm2_model_load(f->rt, GOLDEN_VL, &f->model), 0);
    assert_int_equal(lfm2_tokenizer_load(f->rt, lfm2_model_weights(f->model), &f->tok), 0);
    assert_int_equal(lfm2_vision_load(f->rt, GOLDEN_VL, &f->vision), 0);
    *state = f;
    return 0;
}

static inline int see_teardown(void **state)
{
    see_fixture *f = *state;
    lfm2_vision_unload(f->vision);
    lfm2_tokenizer_unload(f->tok);
    lfm2_model_unload(f->model);
    lfm2_runtime_destroy(f->rt);
    assert_int_equal(f->heap.n_live, 0);
    test_free(f);
    return 0;
}

static inline lfm2_see *see_make(see_fixture *f, lfm2_see_params p)
{
    lfm2_see *s = NULL;
    assert_int_equal(lfm2_see_create(f->model, f->tok, f->vision, &p, &s), 0);
    return s;
}

/* Stripes and a gradient, different for every seed. */
static inline lfm2_image see_picture(lfm2_runtime *rt, int32_t width, int32_t height, unsigned seed)
{
    lfm2_image image = {.width = width, .height = height, .stride_bytes = (size_t)width * 3 + 5, .format = "made up"};
    assert_int_equal(lfm2_buf_create(rt, image.stride_bytes * (size_t)height, &image.rgb), 0);
    uint8_t *px = lfm2_buf_data(image.rgb);
    for (int32_t y = 0; y < height; y++) {
        for (int32_t x = 0; x < width; x++) {
            uint8_t *at = px + (size_t)y * image.stride_bytes + (size_t)x * 3;
            at[0] = (uint8_t)((unsigned)x * (seed + 1) + seed * 37);
            at[1] = (uint8_t)((unsigned)y * 3 + seed * 11);
            at[2] = (uint8_t)((x / 7 + y / 5) % 2 ? 200 : 20);
        }
    }
    return image;
}

static inline void see_fill(const lfm2_image *image, int32_t x0, int32_t y0, int32_t w, int32_t h, uint8_t value)
{
    uint8_t *px = lfm2_buf_data(image->rgb);
    for (int32_t y = y0; y < y0 + h; y++) memset(px + (size_t)y * image->stride_bytes + (size_t)x0 * 3, value, (size_t)w * 3);
}

/* A request of n tokens that asks something. */
static inline lfm2_see_request see_question(const char *prompt, int32_t n_tok)
{
    lfm2_see_request r = lfm2_see_request_default();
    r.task = LFM2_SEE_ASK;
    r.prompt = prompt;
    r.generate.max_tok = n_tok;
    return r;
}

/* For on_text: keeps what it is told, and stops or aborts at a call, counted from 1. */
typedef struct listener {
    lfm2_runtime *rt;
    int n_calls, stop_at, abort_at;
    char text[4096];
} listener;

static inline int listen(void *ctx, const char *text, size_t n)
{
    listener *l = ctx;
    assert_true(strlen(l->text) + n < sizeof l->text);
    strncat(l->text, text, n);
    l->n_calls++;
    if (l->n_calls == l->abort_at) lfm2_runtime_abort(l->rt);
    return l->n_calls == l->stop_at;
}

#endif
