/* SPDX-License-Identifier: Apache-2.0
 * A checkpoint against its own conversions to every type that can be written: each weight within the error of its format, the
 * logits within what these errors can add up to.
 *
 * usage: test_requantised DIR   (a folder of reference cases with a model.safetensors in BF16)
 *
 * Weights. Rounding to a grid of step s leaves at most s / 2 and, spread evenly, s^2 / 12 in the mean. The steps, with m the
 * greatest magnitude and r the range (0 included) of a block:
 *   F32, BF16  0 (the source is BF16)                F16  2^-11 of the value, half of it lost
 *   Q8_0  m / 127 over 32      Q4_0  m / 8 over 32, where the end opposite to the greatest may lose a whole step
 *   Q6_K  m / 32 over 16       Q4_K  r / 15 over 32  (scales of both are themselves rounded to 8 and 6 bits)
 * The mean may be 1.5 times the even one, for these two and for unevenness; single values are held to the limit of their type
 * where the format has one.
 *
 * Logits, exactly: the file computes what its weights, dequantised to F32, compute. So all that differs from the source is what the
 * weights differ by.
 *
 * Logits, as a size: to first order a matrix adds |dW x|^2 / |W x|^2 = NMSE(W) of error energy in the mean, the input projection
 * of a convolution three times, as its three parts are multiplied, the embedding twice, as it is also the head. Later layers
 * amplify an error at most as much as all layers amplify an error of the input, and this gain is measured on the source, by a
 * small random change of the embeddings. So the NMSE of the logits is held to gain * sum of NMSE(W). Types with a limit above 0.5
 * are beyond first order and are held to the exact part alone; so are mixtures, where a small change can select another expert. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/compiler.h"
#include "kernels/kernels_impl.h"
#include "lfm2/convert.h"
#include "oracle/oracle.h"

typedef struct format {
    lfm2_dtype type;
    int32_t block;     /* over which the step is constant */
    double step_share; /* step = share * greatest magnitude (or range) */
    int by_range;
    double single;     /* greatest error of one value in steps; 0 = the format has no such limit */
} format;

/* 2^-11: the block scale is an F16. */
static const format formats[] = {
    {LFM2_DTYPE_F32, 1, 0.0, 0, 0.0},
    {LFM2_DTYPE_BF16, 1, 0.0, 0, 0.0},
    {LFM2_DTYPE_F16, 1, 0x1p-10, 0, 0.5},
    {LFM2_DTYPE_Q8_0, 32, 1.0 / 127, 0, 0.5 + 127 * 0x1p-11},
    {LFM2_DTYPE_Q4_0, 32, 1.0 / 8, 0, 1.0 + 8 * 0x1p-11},
    {LFM2_DTYPE_Q6_K, 16, 1.0 / 32, 0, 0.0},
    {LFM2_DTYPE_Q4_K, 32, 1.0 / 15, 1, 0.0},
};

static int n_bad;

static int check(int ok, const char *type, const char *what, const char *name)
{
    if (ok) return 1;
    n_bad++;
    printf("BAD  %s  %s  %s\n", type, what, name);
    return 0;
}

/* The row of f32 values of a tensor. */
static void read_row(const lfm2__kernels *k, const lfm2_tensor *t, int64_t row, int32_t n, float *out)
{
    size_t row_bytes = lfm2_dtype_row_bytes(t->dtype, n);
    unsigned char *copy = malloc(row_bytes); /* ends where the row ends, so that a sanitizer sees every byte too many */
    if (copy == NULL) exit(1);
    memcpy(copy, (const unsigned char *)t->data + (size_t)row * row_bytes, row_bytes);
    k->dequant[t->dtype](out, copy, n);
    free(copy);
}

/* Step of one block. */
static double step_of(const format *f, const float *x, int32_t n)
{
    double low = 0.0, high = 0.0;
    for (int32_t i = 0; i < n; i++) {
        low = fmin(low, (double)x[i]);
        high = fmax(high, (double)x[i]);
    }
    return f->step_share * (f->by_range ? high - low : fmax(high, -low));
}

/* Compare one tensor with its exact values; returns its NMSE. */
static double check_tensor(const lfm2__kernels *k, const format *asked, const lfm2_tensor *exact, const lfm2_tensor *t)
{
    const char *type = lfm2_dtype_name(asked->type);
    const int32_t n = (int32_t)exact->dims[exact->n_dims - 1];
    int64_t n_rows = 1;
    for (int32_t i = 0; i < exact->n_dims - 1; i++) n_rows *= exact->dims[i];
    const format *f = asked;
    /* Rows that no block divides; vectors and taps. */
    if (t->dtype != asked->type) f = t->dtype == LFM2_DTYPE_F16 ? &formats[2] : &formats[0];
    if (!check(f->type == t->dtype, type, "type", t->name)) return 0.0;
    if (f != asked && exact->n_dims > 1 && lfm2_dtype_row_bytes(asked->type, n) > 0) {
        int f32_by_rule = strstr(t->name, "shortconv.conv.") != NULL || strstr(t->name, "ffn_gate_inp") != NULL;
        check(f32_by_rule, type, "fell back without need", t->name);
    }

    float *want = calloc((size_t)n, sizeof(float)), *got = calloc((size_t)n, sizeof(float));
    if (want == NULL || got == NULL) exit(1);
    double error = 0.0, energy = 0.0, allowed = 0.0;
    int n_over = 0;
    for (int64_t row = 0; row < n_rows; row++) {
        read_row(k, exact, row, n, want);
        read_row(k, t, row, n, got);
        for (int32_t from = 0; from < n; from += f->block) {
            double step = step_of(f, want + from, f->block);
            allowed += f->block * step * step / 12.0;
            for (int32_t i = from; i < from + f->block; i++) {
                double e = fabs((double)got[i] - (double)want[i]);
                if (f->single > 0.0 && e > f->single * step + 0x1p-25) n_over++;
                error += e * e;
                energy += (double)want[i] * (double)want[i];
            }
        }
    }
    check(n_over == 0, type, "a weight beyond the format's error", t->name);
    check(error <= 1.5 * allowed + (f->type == LFM2_DTYPE_F16 ? 0x1p-50 * (double)(n * n_rows) : 0.0), type, "mean error", t->name);
    free(want);
    free(got);
    return energy > 0.0 ? error / energy : 0.0;
}

/* How often the error of a matrix enters the logits. */
static double weight_of(const char *name)
{
    if (strcmp(name, "token_embd.weight") == 0) return 2.0;
    return strstr(name, "shortconv.in_proj") != NULL ? 3.0 : 1.0;
}

/* All tensors; returns the sum of their errors. */
static double check_weights(lfm2_runtime *rt, const format *f, const char *exact_path, const char *path)
{
    lfm2__kernels k;
    lfm2_weights *exact = NULL, *w = NULL;
    double sum = 0.0, greatest = 0.0;
    lfm2__kernels_init(&k, 0);
    if (lfm2_weights_open(rt, exact_path, &exact) < 0 || lfm2_weights_open(rt, path, &w) < 0) exit(1);
    check(lfm2_weights_n_tensors(exact) == lfm2_weights_n_tensors(w), lfm2_dtype_name(f->type), "number of tensors", "");
    for (size_t i = 0; i < lfm2_weights_n_tensors(exact); i++) {
        const lfm2_tensor *e = lfm2_weights_tensor(exact, i), *t = lfm2_weights_find(w, e->name);
        if (!check(t != NULL, lfm2_dtype_name(f->type), "missing", e->name)) continue;
        double nmse = check_tensor(&k, f, e, t);
        sum += weight_of(e->name) * nmse;
        greatest = fmax(greatest, nmse);
    }
    lfm2_weights_close(exact);
    lfm2_weights_close(w);
    printf("%-5s greatest NMSE of a tensor %.3g\n", lfm2_dtype_name(f->type), greatest);
    return sum;
}

static float *logits_of_embed(lfm2_model *m, const float *embed, int32_t n_tok)
{
    lfm2_session_params p = lfm2_session_params_default(m);
    lfm2_span span = {.seq = 0, .n_tok = n_tok, .ids = NULL, .embed = embed, .logits = LFM2_LOGITS_LAST};
    lfm2_session *s = NULL;
    float *logits = calloc((size_t)lfm2_model_config(m)->n_vocab, sizeof(float));
    if (logits == NULL || lfm2_session_create(m, &p, &s) < 0 || lfm2_session_forward(s, &span, 1, logits, 1) < 0) exit(1);
    lfm2_session_destroy(s);
    return logits;
}

/* Greatest amplification of a small relative error of the embeddings, over a few random ones. */
static double input_gain(lfm2_model *m, const lfm2_weights *exact, const int32_t *ids, int32_t n_ids, const float *want)
{
    const lfm2_config *cfg = lfm2_model_config(m);
    const lfm2_tensor *t = lfm2_weights_find(exact, "token_embd.weight");
    const size_t d = (size_t)cfg->d_model, n = d * (size_t)n_ids;
    float *embed = calloc(n, sizeof(float)), *changed = calloc(n, sizeof(float));
    double gain = 0.0;
    if (embed == NULL || changed == NULL || t == NULL) exit(1);
    for (int32_t i = 0; i < n_ids; i++) {
        memcpy(embed + (size_t)i * d, (const unsigned char *)t->data + (size_t)ids[i] * d * sizeof(float), d * sizeof(float));
    }
    uint32_t x = 1;
    for (int32_t round = 0; round < 5; round++) {
        double error = 0.0, energy = 0.0;
        for (size_t i = 0; i < n; i++) {
            x = x * 1664525u + 1013904223u;
            double e = round == 0 ? 0.0 : ((double)(x >> 8) / 8388608.0 - 1.0) * 1e-3 * fabs((double)embed[i]);
            changed[i] = (float)((double)embed[i] + e);
            error += e * e;
            energy += (double)embed[i] * (double)embed[i];
        }
        float *got = logits_of_embed(m, changed, n_ids);
        double nmse = oracle_compare(got, want, cfg->n_vocab, 1.0).nmse;
        if (round == 0) check(nmse <= 0.0, "F32", "embeddings in place of ids", "");
        else gain = fmax(gain, nmse / (error / energy));
        free(got);
    }
    free(embed);
    free(changed);
    return gain;
}

typedef struct prompt {
    int32_t *ids;
    int32_t n_ids;
    float *want; /* logits of the source */
    double gain;
} prompt;

#define MAX_PROMPTS 8
#define MAX_PROMPT_TOK 12

static int load_prompts(lfm2_model *source, const lfm2_weights *exact, const lfm2__json *cases, prompt *prompts)
{
    int n = 0;
    for (size_t i = 0; i < lfm2__json_size(cases) && n < MAX_PROMPTS; i++) {
        const lfm2__json *c = lfm2__json_at(cases, i);
        if (strcmp(lfm2__json_str(lfm2__json_get(c, "kind"), NULL), "logits") != 0) continue;
        if (lfm2__json_size(lfm2__json_get(c, "ids")) > MAX_PROMPT_TOK) continue;
        prompt *p = &prompts[n++];
        p->ids = oracle_ids(lfm2__json_get(c, "ids"), &p->n_ids);
        p->want = oracle_last_logits(source, p->ids, p->n_ids);
        if (p->want == NULL) exit(1);
        p->gain = input_gain(source, exact, p->ids, p->n_ids, p->want);
    }
    return n;
}

static void check_logits(lfm2_runtime *rt, const format *f, lfm2_model *source, const char *path, const char *plain_path,
                         const prompt *prompts, int n_prompts, double sum)
{
    lfm2_model *m = NULL, *plain = NULL;
    const char *type = lfm2_dtype_name(f->type);
    const lfm2_config *cfg = lfm2_model_config(source);
    if (!check(lfm2_model_load(rt, path, &m) == 0, type, "load", "")) return;
    check(lfm2_convert(rt, path, plain_path, LFM2_DTYPE_F32, LFM2_DTYPE_F32, NULL, NULL) == 0, type, "convert back", "");
    if (!check(lfm2_model_load(rt, plain_path, &plain) == 0, type, "load what was converted back", "")) exit(1);
    for (int i = 0; i < n_prompts; i++) {
        const prompt *p = &prompts[i];
        float *got = oracle_last_logits(m, p->ids, p->n_ids), *exact = oracle_last_logits(plain, p->ids, p->n_ids);
        if (got == NULL || exact == NULL) exit(1);
        double same = oracle_compare(got, exact, cfg->n_vocab, 1e-10).nmse;
        check(same <= 1e-10, type, "logits of the dequantised weights", ""); /* another kernel, another order of f32 sums */
        double nmse = oracle_compare(got, p->want, cfg->n_vocab, 1.0).nmse, limit = p->gain * sum;
        int first_order = limit <= 0.5 && cfg->n_experts == 0;
        printf("%-5s %3d tokens: NMSE to its dequantised weights %.2g, to the source %.3g, limit %.3g (gain %.2f)\n", type,
               (int)p->n_ids, same, nmse, limit, p->gain);
        if (first_order) check(nmse <= fmax(limit, 1e-10), type, "logits", "");
        check(sum <= 0.0 || nmse > 0.0, type, "nothing was rounded", "");
        free(got);
        free(exact);
    }
    lfm2_model_unload(m);
    lfm2_model_unload(plain);
}

int main(int argc, char **argv)
{
    char tmp[] = "/tmp/lfm2-requantised-XXXXXX", exact_path[64], path[64], plain_path[64];
    lfm2_model *source = NULL;
    lfm2_weights *exact = NULL;
    prompt prompts[MAX_PROMPTS] = {0};
    if (argc != 2 || mkdtemp(tmp) == NULL) return 1;
    lfm2_runtime *rt = oracle_runtime(0);
    lfm2__json_doc *doc = oracle_cases(rt, argv[1]);
    if (doc == NULL || lfm2_model_load(rt, argv[1], &source) < 0) return 1;
    snprintf(exact_path, sizeof(exact_path), "%s/exact.gguf", tmp);
    snprintf(path, sizeof(path), "%s/model.gguf", tmp);
    snprintf(plain_path, sizeof(plain_path), "%s/plain.gguf", tmp);
    check(lfm2_convert(rt, argv[1], exact_path, LFM2_DTYPE_F32, LFM2_DTYPE_F32, NULL, NULL) == 0, "F32", "convert", "");
    if (lfm2_weights_open(rt, exact_path, &exact) < 0) return 1;
    int n_prompts = load_prompts(source, exact, lfm2__json_root(doc), prompts);
    check(n_prompts > 0, "cases", "none with logits", "");
    for (size_t i = 0; i < LFM2__COUNT_OF(formats); i++) {
        const format *f = &formats[i];
        int rc = lfm2_convert(rt, argv[1], path, f->type, f->type, NULL, NULL);
        if (!check(rc == 0, lfm2_dtype_name(f->type), "convert", lfm2_strerror(rc))) continue;
        double sum = check_weights(rt, f, exact_path, path);
        check_logits(rt, f, source, path, plain_path, prompts, n_prompts, sum);
        unlink(path);
        unlink(plain_path);
    }
    lfm2_weights_close(exact);
    unlink(exact_path);
    rmdir(tmp);
    for (int i = 0; i < n_prompts; i++) {
        free(prompts[i].ids);
        free(prompts[i].want);
    }
    lfm2__json_free(doc);
    lfm2_model_unload(source);
    lfm2_runtime_destroy(rt);
    printf("%d bad\n", n_bad);
    return n_bad == 0 ? 0 : 1;
}
