/* SPDX-License-Identifier: Apache-2.0
 * Sound out of files: what a reader gives, at the wanted rate, between the wanted times. */
#include "lfm2/audio.h"

#include <math.h>
#include <string.h>

#include "base/runtime_impl.h"
#include "pipeline/audio_impl.h"

#define MAX_LEVEL 16.0f /* beyond it a sample is no sound but damage */

/* A stretch of one rate. */
typedef struct run {
    lfm2__resampler *resampler; /* NULL: the rate is the wanted one */
    int32_t rate_hz;
    int64_t n_in, n_out;
    double begin;   /* on the line, in samples that come out */
    int is_drained; /* no more goes in */
} run;

struct lfm2_audio_source {
    lfm2_runtime *rt;
    lfm2__infile *file;
    lfm2__audio_reader reader;
    lfm2_audio_params params;
    lfm2_audio_info info;
    lfm2_audio_damage damage;
    lfm2__audio_piece piece;
    int32_t n_taken;               /* samples of the piece */
    int has_ended;                 /* there is no piece any more */
    run run;
    int64_t n_line;                /* samples that came out, those before the start included */
    int64_t start, end, limit;     /* on the line */
    int status;                    /* LFM2_EOF or an error: for every later call */
};

/* --- samples and times --- */

int64_t lfm2__audio_us_to_samples(int64_t us, int32_t rate_hz)
{
    return us / 1000000 * rate_hz + (us % 1000000 * rate_hz + 500000) / 1000000;
}

int64_t lfm2__audio_samples_to_us(int64_t n_samples, int32_t rate_hz)
{
    return n_samples / rate_hz * 1000000 + (n_samples % rate_hz * 1000000 + rate_hz / 2) / rate_hz;
}

void lfm2__audio_clean(float *x, int32_t n, int64_t *n_bad)
{
    for (int32_t i = 0; i < n; i++) {
        if (x[i] >= -MAX_LEVEL && x[i] <= MAX_LEVEL) continue;
        x[i] = x[i] > MAX_LEVEL ? 1.0f : x[i] < -MAX_LEVEL ? -1.0f : 0.0f; /* the last: NaN */
        ++*n_bad;
    }
}

/* --- opening --- */

lfm2_audio_params lfm2_audio_params_default(void)
{
    const lfm2_audio_params params = {
        .rate_hz = 16000, .duration_us = -1, .max_duration_us = INT64_C(7) * 24 * 3600 * 1000000,
        .max_gap_us = INT64_C(2) * 3600 * 1000000,
    };
    return params;
}

static int is_rate(int32_t rate_hz)
{
    return rate_hz >= LFM2__AUDIO_MIN_HZ && rate_hz <= LFM2__AUDIO_MAX_HZ;
}

static int check_params(lfm2_runtime *rt, const lfm2_audio_params *p)
{
    const char *bad = NULL;
    if (p->rate_hz != 0 && !is_rate(p->rate_hz)) bad = "rate_hz";
    if (p->start_us < 0) bad = "start_us";
    if (p->duration_us < -1) bad = "duration_us";
    if (p->max_duration_us < 1) bad = "max_duration_us";
    if (p->max_gap_us < 0) bad = "max_gap_us";
    if (p->pcm < LFM2_PCM_NONE || p->pcm > LFM2_PCM_ALAW) bad = "pcm";
    if (p->pcm != LFM2_PCM_NONE && !is_rate(p->pcm_rate_hz)) bad = "pcm_rate_hz";
    if (p->pcm != LFM2_PCM_NONE && (p->pcm_channels < 1 || p->pcm_channels > LFM2_AUDIO_MAX_CHANNELS)) bad = "pcm_channels";
    return bad == NULL ? 0 : lfm2__fail(rt, LFM2_ERR_ARG, "audio: %s: out of range", bad);
}

#ifndef LFM2_HAVE_LIBAV
int lfm2__audio_av_open(const lfm2__audio_from *from, lfm2_audio_info *info, lfm2__audio_reader *out)
{
    (void)info, (void)out;
    return lfm2__fail(from->rt, LFM2_ERR_UNSUPPORTED, "%s: this build is without libav: it reads raw samples only",
                      lfm2__infile_name(from->file));
}

int lfm2__resampler_create(lfm2_runtime *rt, int32_t n_channels, int32_t from_hz, int32_t to_hz, lfm2__resampler **out)
{
    (void)n_channels, (void)out;
    return lfm2__fail(rt, LFM2_ERR_UNSUPPORTED, "resampler: this build is without libav: no way from %d to %d Hz", (int)from_hz,
                      (int)to_hz);
}

void lfm2__resampler_destroy(lfm2__resampler *r)
{
    (void)r;
}

int lfm2__resampler_run(lfm2__resampler *r, const float *const *in, int32_t n_in, float *const *out, int32_t cap, int32_t *n_out)
{
    (void)r, (void)in, (void)n_in, (void)out, (void)cap, (void)n_out;
    return LFM2_ERR_UNSUPPORTED;
}
#endif

static int begin_run(lfm2_audio_source *a, int32_t rate_hz)
{
    const double begin = a->run.begin + (double)a->run.n_in * a->info.rate_hz / (a->run.rate_hz > 0 ? a->run.rate_hz : 1);
    lfm2__resampler_destroy(a->run.resampler);
    a->run = (run){.rate_hz = rate_hz, .begin = begin};
    if (rate_hz == a->info.rate_hz) return 0;
    return lfm2__resampler_create(a->rt, a->info.n_channels, rate_hz, a->info.rate_hz, &a->run.resampler);
}

/* Takes the file over, also when it fails. */
static int open_source(lfm2_runtime *rt, lfm2__infile *file, const lfm2_audio_params *params, lfm2_audio_source **out)
{
    int rc;
    lfm2_audio_source *a = lfm2__calloc(rt, 1, sizeof *a);
    if (a == NULL) {
        rc = lfm2__fail(rt, LFM2_ERR_NOMEM, "%s: out of memory", lfm2__infile_name(file));
        lfm2__infile_close(file);
        return rc;
    }
    a->rt = rt;
    a->file = file;
    a->params = *params;
    const lfm2__audio_from from = {rt, file, &a->params, &a->damage};
    rc = params->pcm != LFM2_PCM_NONE ? lfm2__audio_pcm_open(&from, &a->info, &a->reader)
                                      : lfm2__audio_av_open(&from, &a->info, &a->reader);
    if (rc < 0) goto fail;
    a->info.rate_hz = params->rate_hz != 0 ? params->rate_hz : a->info.source_rate_hz;
    a->start = lfm2__audio_us_to_samples(params->start_us, a->info.rate_hz);
    a->limit = lfm2__audio_us_to_samples(params->max_duration_us, a->info.rate_hz);
    a->end = INT64_MAX;
    if (params->duration_us >= 0 && params->duration_us <= INT64_MAX - params->start_us) {
        a->end = lfm2__audio_us_to_samples(params->start_us + params->duration_us, a->info.rate_hz);
    }
    rc = begin_run(a, a->info.source_rate_hz); /* so that what cannot be resampled is known now */
    if (rc < 0) goto fail;
    *out = a;
    return 0;

fail:
    lfm2_audio_close(a);
    return rc;
}

int lfm2_audio_open(lfm2_runtime *rt, const char *path, const lfm2_audio_params *params, lfm2_audio_source **out)
{
    if (rt == NULL) return LFM2_ERR_ARG;
    if (path == NULL || out == NULL) return lfm2__fail(rt, LFM2_ERR_ARG, "audio: path or out is NULL");
    const lfm2_audio_params defaults = lfm2_audio_params_default();
    if (params == NULL) params = &defaults;
    int rc = check_params(rt, params);
    if (rc < 0) return rc;
    lfm2__infile *file;
    rc = lfm2__infile_open(rt, path, &file);
    return rc < 0 ? rc : open_source(rt, file, params, out);
}

int lfm2__audio_open_memory(lfm2_runtime *rt, const void *data, size_t n, const char *name, const lfm2_audio_params *params,
                            lfm2_audio_source **out)
{
    int rc = check_params(rt, params);
    if (rc < 0) return rc;
    lfm2__infile *file;
    rc = lfm2__infile_open_memory(rt, data, n, name, &file);
    return rc < 0 ? rc : open_source(rt, file, params, out);
}

void lfm2_audio_close(lfm2_audio_source *a)
{
    if (a == NULL) return;
    if (a->reader.close != NULL) a->reader.close(a->reader.ctx);
    lfm2__resampler_destroy(a->run.resampler);
    lfm2__infile_close(a->file);
    lfm2__free(a->rt, a);
}

void lfm2_audio_get_info(const lfm2_audio_source *a, lfm2_audio_info *out)
{
    *out = a->info;
}

void lfm2_audio_get_damage(const lfm2_audio_source *a, lfm2_audio_damage *out)
{
    *out = a->damage;
}

/* --- reading --- */

static int32_t min_i32(int64_t a, int32_t b)
{
    return a < b ? (int32_t)a : b;
}

/* Samples that the run still owes when nothing more goes in: so many as its length makes on the line. */
static int64_t n_owed(const lfm2_audio_source *a)
{
    const run *r = &a->run;
    const double end = r->begin + (double)r->n_in * a->info.rate_hz / r->rate_hz;
    return llround(end) - llround(r->begin) - r->n_out;
}

/* What the run has ready, 0 samples if it needs more. */
static int from_run(lfm2_audio_source *a, float *const *planes, int32_t cap, int32_t *n)
{
    run *r = &a->run;
    *n = 0;
    if (r->is_drained) cap = min_i32(n_owed(a), cap);
    if (r->resampler == NULL || cap <= 0) return 0;
    const float *const *no_more = r->is_drained ? NULL : a->piece.planes;
    const int rc = lfm2__resampler_run(r->resampler, no_more, 0, planes, cap, n);
    if (rc < 0) return rc;
    if (*n == 0 && r->is_drained) { /* its last sample is rounded down */
        for (int32_t c = 0; c < a->info.n_channels; c++) memset(planes[c], 0, (size_t)cap * sizeof(float));
        *n = cap;
    }
    return 0;
}

/* Some of the piece through the run. */
static int from_piece(lfm2_audio_source *a, float *const *planes, int32_t cap, int32_t *n)
{
    const int32_t n_left = a->piece.n_samples - a->n_taken;
    const float *in[LFM2_AUDIO_MAX_CHANNELS];
    for (int32_t c = 0; c < a->info.n_channels; c++) in[c] = a->piece.planes[c] + a->n_taken;
    if (a->run.resampler == NULL) {
        *n = n_left < cap ? n_left : cap;
        for (int32_t c = 0; c < a->info.n_channels; c++) memcpy(planes[c], in[c], (size_t)*n * sizeof(float));
        a->n_taken += *n;
        a->run.n_in += *n;
        return 0;
    }
    a->n_taken += n_left;
    a->run.n_in += n_left;
    return lfm2__resampler_run(a->run.resampler, in, n_left, planes, cap, n);
}

/* The next samples on the line, at least one. */
static int produce(lfm2_audio_source *a, float *const *planes, int32_t cap, int32_t *n)
{
    for (;;) {
        int rc = from_run(a, planes, cap, n);
        if (rc < 0 || *n > 0) return rc;
        if (a->n_taken == a->piece.n_samples) {
            if (a->has_ended) return LFM2_EOF;
            rc = a->reader.next(a->reader.ctx, &a->piece);
            if (rc < 0) return rc;
            a->n_taken = 0;
            if (rc == LFM2_EOF) {
                a->piece.n_samples = 0;
                a->run.is_drained = 1;
                a->has_ended = 1;
                continue;
            }
        }
        if (a->piece.rate_hz != a->run.rate_hz) {
            if (!a->run.is_drained) {
                a->run.is_drained = 1;
                continue;
            }
            rc = begin_run(a, a->piece.rate_hz);
            if (rc < 0) return rc;
        }
        rc = from_piece(a, planes, cap, n);
        if (rc < 0 || *n > 0) return rc;
    }
}

static void say_damage(const lfm2_audio_source *a)
{
    const lfm2_audio_damage *d = &a->damage;
    if (d->n_bad_packets == 0 && d->n_bad_samples == 0 && d->n_gaps == 0 && d->n_backwards == 0 && !d->truncated) return;
    lfm2__log(a->rt, LFM2_LOG_WARN,
              "%s: %s: damaged: %lld packets not decodable, %lld samples not finite or too large, %lld holes of %lld ms in all, "
              "%lld time stamps out of order%s", lfm2__infile_name(a->file), a->info.container, (long long)d->n_bad_packets,
              (long long)d->n_bad_samples, (long long)d->n_gaps, (long long)(d->gap_us / 1000), (long long)d->n_backwards,
              d->truncated ? ", ends early" : "");
}

static int read_some(lfm2_audio_source *a, float *const *planes, int32_t cap, int32_t *n_samples)
{
    for (;;) {
        if (lfm2__aborted(a->rt)) return LFM2_ERR_ABORTED;
        if (a->n_line >= a->end) return LFM2_EOF;
        if (a->n_line > a->limit) {
            return lfm2__fail(a->rt, LFM2_ERR_LIMIT, "%s: %s: is longer than the limit of %lld s", lfm2__infile_name(a->file),
                              a->info.container, (long long)(a->params.max_duration_us / 1000000));
        }
        int32_t n = 0;
        const int rc = produce(a, planes, cap, &n);
        if (rc != 0) return rc;
        const int64_t begin = a->n_line, from = begin > a->start ? begin : a->start;
        a->run.n_out += n;
        a->n_line += n;
        int64_t stop = a->n_line < a->end ? a->n_line : a->end;
        if (stop > a->limit) stop = a->limit;
        if (from >= stop) continue;
        *n_samples = (int32_t)(stop - from);
        for (int32_t c = 0; c < a->info.n_channels; c++) {
            memmove(planes[c], planes[c] + (from - begin), (size_t)*n_samples * sizeof(float));
            for (int32_t i = 0; i < *n_samples; i++) planes[c][i] = fminf(fmaxf(planes[c][i], -1.0f), 1.0f);
        }
        return 0;
    }
}

int lfm2_audio_read(lfm2_audio_source *a, float *const *planes, int32_t cap_samples, int32_t *n_samples)
{
    if (a == NULL) return LFM2_ERR_ARG;
    if (planes == NULL || cap_samples < 1 || n_samples == NULL) {
        return lfm2__fail(a->rt, LFM2_ERR_ARG, "audio: planes, cap_samples or n_samples");
    }
    for (int32_t c = 0; c < a->info.n_channels; c++) {
        if (planes[c] == NULL) return lfm2__fail(a->rt, LFM2_ERR_ARG, "audio: plane %d is NULL", (int)c);
    }
    if (a->status != 0) return a->status;
    const int rc = read_some(a, planes, cap_samples, n_samples);
    if (rc != 0 && rc != LFM2_ERR_ABORTED) a->status = rc;
    if (rc == LFM2_EOF) say_damage(a);
    return rc;
}
