/* SPDX-License-Identifier: Apache-2.0
 * lfm2-model bench --image and --audio: decoding, preprocessing, encoder, projector, prefill. */
#include <stdlib.h>

#include "tools/model_bench.h"

enum { STEP_ENCODE = 2 };
static const char *const step_names[BENCH_N_STEPS] = {"decode", "preprocess", "encode", "project", "prefill"};

/* The embeddings read by the language model. */
static int prefill(bench_media *b, double *ms)
{
    const model_media *m = &b->media;
    const lfm2_span span = {.n_tok = m->n_tok, .embed = m->embed};
    lfm2_session_params sp = lfm2_session_params_default(m->t->model);
    lfm2_session *session = NULL;
    int64_t start_us;
    int rc;

    sp.cap_tok = m->n_tok;
    sp.cap_rewind = 0;
    rc = lfm2_session_create(m->t->model, &sp, &session);
    start_us = tool_now_us();
    if (rc == 0) rc = lfm2_session_forward(session, &span, 1, NULL, 0);
    *ms = (double)(tool_now_us() - start_us) / 1e3;
    lfm2_session_destroy(session);
    return rc < 0 ? tool_fail_status(m->t, rc, TOOL_AT_RUN, m->path) : 0;
}

static int measure_once(bench_media *b, int32_t rep)
{
    int rc = model_media_compute(&b->media);
    int i;

    if (rc == 0) rc = prefill(b, &b->ms[MEDIA_N_STEPS][rep]);
    for (i = 0; rc == 0 && i < MEDIA_N_STEPS; i++) b->ms[i][rep] = (double)b->media.us[i] / 1e3;
    return rc;
}

int bench_media_run(bench_media *b, const char *path, const char *shape, lfm2_dtype type, int32_t n_reps)
{
    const int32_t d_model = lfm2_model_config(b->media.t->model)->d_model;
    int32_t i;
    int rc;

    if (!b->media.slot) return 0;
    b->n_reps = n_reps;
    for (i = 0; i < BENCH_N_STEPS; i++) {
        b->ms[i] = calloc((size_t)n_reps, sizeof *b->ms[i]);
        if (!b->ms[i]) return tool_fail(b->media.t, TOOL_NOMEM, "bench: %s", lfm2_strerror(LFM2_ERR_NOMEM));
    }
    rc = shape ? model_media_load_random(&b->media, shape, type, BENCH_SEED, d_model) : model_media_load(&b->media, path);
    if (rc == 0) rc = measure_once(b, 0); /* so that pages and caches are warm */
    for (i = 0; rc == 0 && i < n_reps; i++) rc = measure_once(b, i);
    for (i = 0; rc == 0 && i < BENCH_N_STEPS; i++) b->stats[i] = bench_stats(b->ms[i], n_reps);
    return rc;
}

/* What encoding takes of the time that the sound does. */
static stat3 real_time_factor(const bench_media *b)
{
    const double sound_ms = 1e3 * (double)b->media.n_samples / LFM2_MEL_RATE_HZ;
    const stat3 encode = b->stats[STEP_ENCODE];
    return (stat3){encode.min / sound_ms, encode.median / sound_ms, encode.max / sound_ms};
}

void bench_media_put(const bench_media *b, json_out *j)
{
    const model_media *m = &b->media;
    int i;

    if (!m->slot) return;
    json_begin_object(j, m->vision ? "image" : "audio");
    json_put_text(j, "file", m->path);
    json_put_int(j, m->vision ? "patches" : "frames", m->n_input);
    if (m->vision) {
        json_put_int(j, "width", m->image.width);
        json_put_int(j, "height", m->image.height);
        json_put_int(j, "inputs", m->plan.n_inputs);
    } else {
        json_put_real(j, "seconds", (double)m->n_samples / LFM2_MEL_RATE_HZ);
        bench_put_stat(j, "real_time_factor", real_time_factor(b));
    }
    json_put_int(j, "tokens", m->n_tok);
    json_begin_object(j, "ms");
    for (i = 0; i < BENCH_N_STEPS; i++) bench_put_stat(j, step_names[i], b->stats[i]);
    json_end_object(j);
    json_end_object(j);
}

void bench_media_print(const bench_media *b)
{
    const model_media *m = &b->media;
    char line[400], shown[256];
    int i, n;

    if (!m->slot) return;
    cli_printable(m->path, shown, sizeof shown);
    if (m->vision) {
        n = snprintf(line, sizeof line, "\n%s: %d x %d pixels, %d inputs, %d patches, %d tokens\n", shown, (int)m->image.width,
                     (int)m->image.height, (int)m->plan.n_inputs, (int)m->n_input, (int)m->n_tok);
    } else {
        n = snprintf(line, sizeof line, "\n%s: %.2f s, %d frames, %d tokens\n", shown, (double)m->n_samples / LFM2_MEL_RATE_HZ,
                     (int)m->n_input, (int)m->n_tok);
    }
    tool_write(m->t, line, (size_t)n);
    for (i = 0; i < BENCH_N_STEPS; i++) bench_print_stat(m->t, step_names[i], b->stats[i], "ms");
    if (!m->vision) { /* as a speed: a factor of some hundredths would lose its digits here */
        const stat3 f = real_time_factor(b);
        bench_print_stat(m->t, "speed", (stat3){1 / f.max, 1 / f.median, 1 / f.min}, "times real time, to encode");
    }
}

void bench_media_fini(bench_media *b)
{
    int i;

    for (i = 0; i < BENCH_N_STEPS; i++) free(b->ms[i]);
    model_media_fini(&b->media);
}
