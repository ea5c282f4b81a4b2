/* SPDX-License-Identifier: Apache-2.0
 * Every container of a reference checkpoint against the reference values beside it.
 *
 * usage: test_oracle DIR MASK        MASK: instruction sets, 0 = scalar, "all"
 *        test_oracle --self-test DIR  the checks fail, and name the right layer, when one weight is changed */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/runtime_impl.h"
#include "lfm2/sampler.h"
#include "oracle/oracle.h"

#define NMSE_SCALAR 1e-6
#define NMSE_FAST 1e-4
#define N_GREEDY 24

typedef struct report {
    lfm2_runtime *rt;
    const char *source; /* file under test, for the lines */
    double limit;
    int n_checks;
    int n_bad;
    char first_layer[64]; /* first hidden state that was off */
} report;

static int check(report *r, int ok, const char *what, const char *detail)
{
    r->n_checks++;
    if (ok) return 1;
    r->n_bad++;
    if (r->first_layer[0] == '\0' && strncmp(what, "hidden.", 7) == 0) snprintf(r->first_layer, sizeof(r->first_layer), "%s", what);
    printf("BAD  %s  %s  %s\n", r->source, what, detail);
    return 0;
}

static void check_values(report *r, const char *what, const float *got, const lfm2_weights *expected, int64_t n)
{
    char detail[160];
    const lfm2_tensor *t = lfm2_weights_find(expected, what);
    int64_t n_want = t == NULL ? 0 : (int64_t)(t->n_bytes / sizeof(float));
    if (!check(r, t != NULL && t->dtype == LFM2_DTYPE_F32 && n_want == n, what, "no expected values of this shape")) return;
    float *want = malloc(t->n_bytes); /* the mapping may be unaligned */
    if (want == NULL) exit(1);
    memcpy(want, t->data, t->n_bytes);
    oracle_diff d = oracle_compare(got, want, n, r->limit);
    free(want);
    snprintf(detail, sizeof(detail), "max abs %.3g  nmse %.3g (limit %.0e)  first bad index %lld", d.max_abs, d.nmse, r->limit,
             (long long)d.first_bad);
    if (check(r, d.nmse <= r->limit, what, detail)) printf("ok   %s  %s  %s\n", r->source, what, detail);
}

static int same_ids(const int32_t *a, size_t n_a, const int32_t *b, size_t n_b)
{
    return n_a == n_b && memcmp(a, b, n_a * sizeof(*a)) == 0;
}

/* ---- text */

static void check_tokenize(report *r, const lfm2_tokenizer *tok, const lfm2__json *c)
{
    size_t n_text, n_decoded, n_ids = 0, n_out = 0;
    int32_t n_want;
    char *out = NULL;
    const char *text = lfm2__json_str(lfm2__json_get(c, "text"), &n_text);
    const char *decoded = lfm2__json_str(lfm2__json_get(c, "decoded"), &n_decoded);
    int32_t *want = oracle_ids(lfm2__json_get(c, "ids"), &n_want);
    int32_t *ids = calloc(n_text + 1, sizeof(*ids));
    if (ids == NULL) exit(1);

    int rc = lfm2_tokenizer_encode(tok, text, n_text, LFM2_ENCODE_SPECIAL, ids, n_text + 1, &n_ids);
    check(r, rc == 0 && same_ids(ids, n_ids, want, (size_t)n_want), "tokenize", "other ids");
    rc = lfm2_tokenizer_decode(tok, want, (size_t)n_want, LFM2_DECODE_SPECIAL, &out, &n_out);
    check(r, rc == 0 && n_out == n_decoded && memcmp(out, decoded, n_out) == 0, "detokenize", "other text");
    lfm2_tokenizer_free_text(tok, out);
    free(ids);
    free(want);
}

/* What the renderer takes: the list of messages, or an object of messages and tools. Freed by lfm2__free(). */
static char *chat_input(lfm2_runtime *rt, const lfm2__json *c, size_t *n)
{
    char *messages = NULL, *tools = NULL;
    size_t n_messages, n_tools;
    if (lfm2__json_dumps(rt, lfm2__json_get(c, "messages"), &messages, &n_messages) < 0) exit(1);
    *n = n_messages;
    if (lfm2__json_get(c, "tools") == NULL) return messages;
    if (lfm2__json_dumps(rt, lfm2__json_get(c, "tools"), &tools, &n_tools) < 0) exit(1);
    size_t cap = n_messages + n_tools + 64;
    char *both = lfm2__alloc(rt, cap);
    if (both == NULL) exit(1);
    *n = (size_t)snprintf(both, cap, "{\"messages\": %s, \"tools\": %s}", messages, tools);
    lfm2__free(rt, messages);
    lfm2__free(rt, tools);
    return both;
}

static void check_chat(report *r, const lfm2_tokenizer *tok, const lfm2__json *c)
{
    const lfm2_chat_params params = {.variant = LFM2_CHAT_AUTO, .add_generation_prompt = 1, .keep_thinking = 0};
    char *text = NULL;
    size_t n_json, n_text = 0, n_want, n_ids = 0;
    const char *want = lfm2__json_str(lfm2__json_get(c, "text"), &n_want);
    char *json = chat_input(r->rt, c, &n_json);

    int rc = lfm2_chat_render(tok, json, n_json, &params, &text, &n_text);
    check(r, rc == 0 && n_text == n_want && memcmp(text, want, n_want) == 0, "chat", "other text");
    lfm2_tokenizer_free_text(tok, text);

    if (lfm2__json_get(c, "ids") != NULL) {
        int32_t n_want_ids;
        int32_t *want_ids = oracle_ids(lfm2__json_get(c, "ids"), &n_want_ids);
        int32_t *ids = calloc(n_want + 1, sizeof(*ids));
        if (ids == NULL) exit(1);
        rc = lfm2_chat_encode(tok, json, n_json, &params, LFM2_CHAT_TRUST_CONTENT, ids, n_want + 1, &n_ids);
        check(r, rc == 0 && same_ids(ids, n_ids, want_ids, (size_t)n_want_ids), "chat ids", "other ids");
        free(ids);
        free(want_ids);
    }
    lfm2__free(r->rt, json);
}

/* ---- numbers */

#define MAX_POINTS (LFM2_MAX_LAYERS + 2)

/* Hidden states of one prompt by point, collected from as many parts as the pass is cut into. */
typedef struct points {
    char name[MAX_POINTS][16];
    float *x[MAX_POINTS];
    int64_t n_got[MAX_POINTS];
    int64_t n_each;
    int n;
    int n_wrong; /* more values than the prompt has */
} points;

static void collect(void *ctx, const char *point, const float *x, int32_t n_tok, int32_t d_model)
{
    points *p = ctx;
    int64_t n = (int64_t)n_tok * d_model;
    int i = 0;
    while (i < p->n && strcmp(p->name[i], point) != 0) i++;
    if (i == p->n) {
        if (i == MAX_POINTS || strlen(point) >= sizeof(p->name[0])) {
            p->n_wrong++;
            return;
        }
        snprintf(p->name[i], sizeof(p->name[0]), "%s", point);
        p->x[i] = calloc((size_t)p->n_each, sizeof(float));
        if (p->x[i] == NULL) exit(1);
        p->n++;
    }
    if (n > p->n_each - p->n_got[i]) {
        p->n_wrong++;
        return;
    }
    memcpy(p->x[i] + p->n_got[i], x, (size_t)n * sizeof(float));
    p->n_got[i] += n;
}

static void check_hidden(report *r, lfm2_session *s, const lfm2_span *span, const char *prefix, const lfm2_weights *expected,
                         const lfm2_config *cfg, float *logits)
{
    char what[64];
    points p = {.n_each = (int64_t)span->n_tok * cfg->d_model};
    lfm2_session_probe(s, collect, &p);
    int rc = lfm2_session_forward(s, span, 1, logits, 1);
    lfm2_session_probe(s, NULL, NULL);
    check(r, rc == 0 && p.n_wrong == 0 && p.n == cfg->n_layers + 2, "probe", "not one call for each point");
    for (int i = 0; i < p.n; i++) {
        snprintf(what, sizeof(what), "%s.%s", prefix, p.name[i]);
        check_values(r, what, p.x[i], expected, p.n_got[i]);
        free(p.x[i]);
    }
}

static int defined(void *ctx, int32_t id)
{
    return lfm2_tokenizer_is_defined(ctx, id);
}

static int keep_id(void *ctx, int32_t id, float logprob)
{
    int32_t **at = ctx;
    (void)logprob;
    *(*at)++ = id;
    return 0;
}

static void check_greedy(report *r, lfm2_session *s, lfm2_tokenizer *tok, const int32_t *ids, int32_t n_ids, const lfm2__json *want,
                         const lfm2_config *cfg, float *logits)
{
    char detail[64];
    int32_t got[N_GREEDY] = {0}, *at = got, n_want = 0, n_same = 0;
    int32_t *want_ids = oracle_ids(want, &n_want);
    lfm2_sampler *sampler = NULL;
    lfm2_generation g = {0};
    lfm2_generate_params p = lfm2_generate_params_default();
    lfm2_sampler_params sp = lfm2_sampler_params_default();
    p.max_tok = N_GREEDY;
    p.loop_min_reps = 0;
    int rc = lfm2_sampler_create(r->rt, &sp, cfg->n_vocab, defined, tok, &sampler);
    if (rc == 0) rc = lfm2_generate(s, 0, ids, n_ids, sampler, &p, logits, keep_id, &at, &g);
    while (n_same < n_want && n_same < g.n_tok && got[n_same] == want_ids[n_same]) n_same++;
    snprintf(detail, sizeof(detail), "%s; %d of %d", rc == 0 ? "other ids" : lfm2_strerror(rc), (int)n_same, (int)n_want);
    check(r, rc == 0 && n_want == N_GREEDY && g.n_tok == N_GREEDY && n_same == n_want, "greedy", detail);
    lfm2_sampler_destroy(sampler);
    free(want_ids);
}

static void check_logits(report *r, lfm2_model *m, lfm2_tokenizer *tok, const lfm2__json *c, const lfm2_weights *expected,
                         int32_t cap_batch)
{
    const lfm2_config *cfg = lfm2_model_config(m);
    lfm2_session_params p = lfm2_session_params_default(m);
    lfm2_session *s = NULL;
    int32_t n_ids;
    int32_t *ids = oracle_ids(lfm2__json_get(c, "ids"), &n_ids);
    float *logits = calloc((size_t)cfg->n_vocab, sizeof(float));
    if (logits == NULL) exit(1);
    p.cap_tok = n_ids + N_GREEDY + 1;
    p.cap_batch = cap_batch;
    int rc = lfm2_session_create(m, &p, &s);
    if (!check(r, rc == 0, "session", lfm2_strerror(rc))) goto done;

    lfm2_span span = {.seq = 0, .n_tok = n_ids, .ids = ids, .embed = NULL, .logits = LFM2_LOGITS_LAST};
    const char *prefix = lfm2__json_str(lfm2__json_get(c, "hidden"), NULL);
    if (prefix != NULL) {
        check_hidden(r, s, &span, prefix, expected, cfg, logits);
    } else {
        rc = lfm2_session_forward(s, &span, 1, logits, 1);
        check(r, rc == 0, "forward", lfm2_strerror(rc));
    }
    check_values(r, lfm2__json_str(lfm2__json_get(c, "tensor"), NULL), logits, expected, cfg->n_vocab);
    /* The greedy run takes the prompt's last token again, or all of it where the prompt is short. */
    int32_t n_keep = prefix == NULL ? n_ids - 1 : 0;
    rc = lfm2_session_truncate(s, 0, n_keep);
    check(r, rc == 0, "truncate", lfm2_strerror(rc));
    check_greedy(r, s, tok, ids + n_keep, n_ids - n_keep, lfm2__json_get(c, "greedy"), cfg, logits);

done:
    lfm2_session_destroy(s);
    free(logits);
    free(ids);
}

/* ---- one container, one folder */

static void check_container(report *r, const char *path, const lfm2__json *cases, const lfm2_weights *expected)
{
    lfm2_model *m = NULL;
    lfm2_tokenizer *tok = NULL;
    int n_logits = 0;
    r->source = path;
    int rc = lfm2_model_load(r->rt, path, &m);
    if (!check(r, rc == 0, "load", lfm2_strerror(rc))) goto done;
    rc = lfm2_tokenizer_load(r->rt, lfm2_model_weights(m), &tok);
    if (!check(r, rc == 0, "tokenizer", lfm2_strerror(rc))) goto done;
    for (size_t i = 0; i < lfm2__json_size(cases); i++) {
        const lfm2__json *c = lfm2__json_at(cases, i);
        const char *kind = lfm2__json_str(lfm2__json_get(c, "kind"), NULL);
        if (strcmp(kind, "tokenize") == 0) {
            check_tokenize(r, tok, c);
        } else if (strcmp(kind, "chat") == 0) {
            check_chat(r, tok, c);
        } else if (strcmp(kind, "logits") == 0) {
            check_logits(r, m, tok, c, expected, 512);
            if (lfm2__json_get(c, "hidden") != NULL) check_logits(r, m, tok, c, expected, 5); /* cut into parts */
            n_logits++;
        } else {
            check(r, 0, kind, "unknown kind of case");
        }
    }
    check(r, n_logits > 0, "cases", "none with logits");
done:
    lfm2_tokenizer_unload(tok);
    lfm2_model_unload(m);
}

static int is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static void check_folder(report *r, const char *dir)
{
    lfm2_weights *expected = NULL;
    lfm2__json_doc *doc = oracle_cases(r->rt, dir);
    r->source = dir;
    int rc = lfm2_weights_open(r->rt, oracle_path(dir, "expected.safetensors"), &expected);
    if (check(r, rc == 0 && doc != NULL, "expected values", lfm2_strerror(rc))) {
        int n_containers = 0;
        if (is_file(oracle_path(dir, "model.safetensors")) || is_file(oracle_path(dir, "model.safetensors.index.json"))) {
            check_container(r, dir, lfm2__json_root(doc), expected);
            n_containers++;
        }
        DIR *d = opendir(dir);
        for (struct dirent *e = d == NULL ? NULL : readdir(d); e != NULL; e = readdir(d)) {
            size_t n = strlen(e->d_name);
            if (n < 5 || strcmp(e->d_name + n - 5, ".gguf") != 0) continue;
            char *path = strdup(oracle_path(dir, e->d_name));
            if (path == NULL) exit(1);
            check_container(r, path, lfm2__json_root(doc), expected);
            free(path);
            n_containers++;
        }
        if (d != NULL) closedir(d);
        r->source = dir;
        check(r, n_containers > 0, "containers", "none found");
    }
    lfm2_weights_close(expected);
    lfm2__json_free(doc);
}

/* ---- self-test */

static void copy_file(const char *from, const char *to, const char *name)
{
    char buf[4096];
    size_t n;
    FILE *in = fopen(oracle_path(from, name), "rb"), *out = fopen(oracle_path(to, name), "wb");
    if (in == NULL || out == NULL) {
        fprintf(stderr, "cannot copy %s\n", name);
        exit(1);
    }
    while ((n = fread(buf, 1, sizeof(buf), in)) > 0) {
        if (fwrite(buf, 1, n, out) != n) exit(1);
    }
    fclose(in);
    if (fclose(out) != 0) exit(1);
}

/* Turn the sign of one element of a BF16 tensor, in the file. */
static void flip_sign(lfm2_runtime *rt, const char *path, const char *tensor)
{
    lfm2_weights *w = NULL;
    long offset = -1;
    if (lfm2_weights_open(rt, path, &w) < 0) exit(1);
    const lfm2_tensor *t = lfm2_weights_find(w, tensor);
    const unsigned char *first = NULL;
    for (size_t i = 0; i < lfm2_weights_n_tensors(w); i++) {
        const unsigned char *data = lfm2_weights_tensor(w, i)->data;
        if (first == NULL || data < first) first = data;
    }
    FILE *f = fopen(path, "r+b");
    unsigned char head[8], byte;
    if (f == NULL || t == NULL || fread(head, 1, 8, f) != 8) exit(1);
    offset = 8 + (long)(head[0] | head[1] << 8 | head[2] << 16) + (long)((const unsigned char *)t->data - first) + 1;
    byte = ((const unsigned char *)t->data)[1] ^ 0x80;
    lfm2_weights_close(w);
    if (fseek(f, offset, SEEK_SET) != 0 || fwrite(&byte, 1, 1, f) != 1 || fclose(f) != 0) exit(1);
}

static int self_test(const char *dir)
{
    static const char *const files[] = {"config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json",
                                        "chat_template.jinja", "cases.json", "expected.safetensors", "model.safetensors"};
    char tmp[] = "/tmp/lfm2-oracle-XXXXXX";
    lfm2_runtime *rt = oracle_runtime(0);
    report clean = {.rt = rt, .limit = NMSE_SCALAR}, changed = clean;
    if (mkdtemp(tmp) == NULL) exit(1);
    for (size_t i = 0; i < LFM2__COUNT_OF(files); i++) copy_file(dir, tmp, files[i]);
    check_folder(&clean, tmp);
    flip_sign(rt, oracle_path(tmp, "model.safetensors"), "model.layers.1.conv.conv.weight");
    check_folder(&changed, tmp);
    for (size_t i = 0; i < LFM2__COUNT_OF(files); i++) unlink(oracle_path(tmp, files[i]));
    rmdir(tmp);
    lfm2_runtime_destroy(rt);

    const char *dot = strstr(changed.first_layer, ".layer.");
    int named = dot != NULL && strcmp(dot, ".layer.1") == 0;
    printf("self-test: %d bad before, %d after one sign was turned, first in %s\n", clean.n_bad, changed.n_bad,
           changed.first_layer);
    return clean.n_bad == 0 && clean.n_checks > 20 && changed.n_bad > 0 && named ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: test_oracle DIR MASK | --self-test DIR\n");
        return 1;
    }
    if (strcmp(argv[1], "--self-test") == 0) return self_test(argv[2]);
    uint32_t mask = strcmp(argv[2], "all") == 0 ? LFM2_CPU_MASK_ALL : (uint32_t)strtoul(argv[2], NULL, 0);
    report r = {.rt = oracle_runtime(mask), .limit = mask == 0 ? NMSE_SCALAR : NMSE_FAST};
    check_folder(&r, argv[1]);
    lfm2_runtime_destroy(r.rt);
    printf("%d checks, %d bad\n", r.n_checks, r.n_bad);
    return r.n_bad == 0 && r.n_checks > 0 ? 0 : 1;
}
