/* SPDX-License-Identifier: Apache-2.0
 * Allocation failure. Each scenario is run once to count what it asks the system for - memory, mappings, threads, locks - and then
 * once for every k with request number k failing, and once more with all requests from k on failing. Every such run must end with
 * LFM2_ERR_NOMEM and leave no block, mapping, thread, file descriptor or file behind. The one exception is made good elsewhere:
 * without memory for PCRE2's machine code its interpreter does the work, and the result must be the same.
 *
 * usage: alloc_fail FIXTURES FOLDER SCENARIO [K]
 *   FOLDER  its own, made if it is not there */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc_wrap.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/mapfile.h"
#include "base/pool.h"
#include "base/runtime_impl.h"
#include "base/str.h"
#include "lfm2/frames.h"
#include "lfm2/lfm2.h"
#include "pipeline/align.h"

#define MANY_REQUESTS 500 /* above that, "all from k on" is tried for every fourth k only */

/* --- scenarios --- */

typedef struct run {
    const char *fixtures;
    lfm2_runtime *rt;
    char line[2048]; /* the last one of the log, at LFM2_LOG_ERROR */
    char path[1024]; /* scratch of fixture() */
    uint64_t digest; /* of what the run has produced */
    long n_requests;
} run;

/* FNV-1a */
static void digest(run *r, const void *data, size_t n)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < n; i++) r->digest = (r->digest ^ bytes[i]) * 0x100000001b3u;
}

static void digest_file(run *r, const char *name)
{
    unsigned char bytes[4096];
    FILE *f = fopen(name, "rb");
    if (f == NULL) return;
    for (size_t n; (n = fread(bytes, 1, sizeof bytes, f)) > 0;) digest(r, bytes, n);
    fclose(f);
}

static void keep_line(void *ctx, lfm2_log_level level, const char *line)
{
    run *r = ctx;
    if (level == LFM2_LOG_ERROR) (void)snprintf(r->line, sizeof r->line, "%s", line);
}

static const char *fixture(run *r, const char *name)
{
    (void)snprintf(r->path, sizeof r->path, "%s/%s", r->fixtures, name);
    return r->path;
}

/* Only the runtime, which every scenario begins with. */
static int nothing(run *r)
{
    (void)r;
    return 0;
}

static int base_json(run *r)
{
    static const lfm2__json_limits limits = {.max_bytes = 100000, .max_depth = 50, .max_values = 10000};
    lfm2__json_doc *doc = NULL;
    char *text = NULL;
    size_t n = 0;
    int rc = lfm2__json_load(r->rt, fixture(r, "vl-wrapper/config.json"), &limits, &doc);
    if (rc == 0) rc = lfm2__json_dumps(r->rt, lfm2__json_root(doc), &text, &n);
    lfm2__json_free(doc);
    lfm2__free(r->rt, text);
    if (rc < 0) return rc;
    /* Every kind of value and of number, and keys enough to make the table grow. */
    static const char sample[] = "{\"a\":1,\"b\":-2.5e-3,\"c\":\"\\u00e9\\n\",\"d\":[true,false,null,[]],\"e\":{\"f\":{}},"
                                 "\"g\":0,\"h\":0,\"i\":0,\"j\":0,\"k\":0,\"l\":0,\"m\":0,\"n\":[1,2,3,4,5,6,7,8,9,10]}";
    rc = lfm2__json_parse(r->rt, "sample", sample, sizeof sample - 1, &limits, &doc);
    if (rc == 0) lfm2__json_free(doc);
    return rc;
}

static int base_files(run *r)
{
    lfm2__map *map = NULL;
    char *data = NULL;
    size_t n = 0;
    int rc = lfm2__map_open(r->rt, fixture(r, "vl-wrapper/config.json"), &map);
    if (rc == 0) rc = lfm2__file_read(r->rt, r->path, 100000, &data, &n);
    lfm2__map_close(map);
    lfm2__free(r->rt, data);
    return rc;
}

static int base_memory(run *r)
{
    lfm2__arena arena = {0};
    lfm2_buf *own = NULL, *wrapped = NULL;
    lfm2__pool *pool = NULL;
    lfm2__str s;
    char byte = 0, *text = NULL;
    size_t n = 0;
    lfm2__str_init(&s, r->rt);
    for (int i = 0; i < 100; i++) lfm2__str_printf(&s, "%d ", i);
    int rc = lfm2__str_take(&s, &text, &n);
    lfm2__free(r->rt, text);
    if (rc == 0) rc = lfm2__arena_init(&arena, r->rt, 1000);
    if (rc == 0) rc = lfm2_buf_create(r->rt, 1000, &own);
    if (rc == 0) rc = lfm2_buf_wrap(r->rt, &byte, 1, NULL, NULL, &wrapped);
    if (rc == 0) rc = lfm2__pool_create(r->rt, 4, &pool);
    lfm2__arena_fini(&arena);
    lfm2_buf_unref(&own);
    lfm2_buf_unref(&wrapped);
    lfm2__pool_destroy(pool);
    return rc;
}

/* --- weights --- */

static int open_and_verify(run *r, const char *name)
{
    lfm2_weights *w = NULL;
    int rc = lfm2_weights_open(r->rt, fixture(r, name), &w);
    if (rc == 0) rc = lfm2_weights_verify(w, NULL, NULL);
    lfm2_weights_close(w);
    return rc;
}

static int weights_single(run *r)
{
    return open_and_verify(r, "vl-wrapper");
}

static int weights_sharded(run *r)
{
    return open_and_verify(r, "old-schema");
}

static int weights_gguf(run *r)
{
    return open_and_verify(r, "quant-32");
}

/* --- tokenizer --- */

static int use_tokenizer(run *r, const lfm2_tokenizer *tok)
{
    static const char text[] = "Hello, world! 12345 \xc3\xa9t\xc3\xa9 <|im_end|>";
    static const char chat[] = "[{\"role\":\"system\",\"content\":\"a\\n\"},{\"role\":\"user\",\"content\":\"b <|im_end|>\"}]";
    lfm2_chat_params params = {.variant = LFM2_CHAT_LFM2, .add_generation_prompt = 1};
    int32_t ids[256];
    size_t n = 0;
    char *out = NULL;
    int rc = lfm2_tokenizer_encode(tok, text, sizeof text - 1, LFM2_ENCODE_SPECIAL, ids, 256, &n);
    if (rc == 0) digest(r, ids, n * sizeof *ids);
    if (rc == 0) rc = lfm2_tokenizer_decode(tok, ids, n, 0, &out, &n);
    if (rc == 0) digest(r, out, n);
    lfm2_tokenizer_free_text(tok, out);
    out = NULL;
    if (rc == 0) rc = lfm2_chat_render(tok, chat, sizeof chat - 1, &params, &out, &n);
    if (rc == 0) digest(r, out, n);
    lfm2_tokenizer_free_text(tok, out);
    if (rc == 0) rc = lfm2_chat_encode(tok, chat, sizeof chat - 1, &params, 0, ids, 256, &n);
    if (rc == 0) digest(r, ids, n * sizeof *ids);
    return rc;
}

static int tokenizer_json(run *r)
{
    lfm2_tokenizer *tok = NULL;
    int rc = lfm2_tokenizer_load_json(r->rt, fixture(r, "vl-wrapper/tokenizer.json"), &tok);
    if (rc == 0) rc = use_tokenizer(r, tok);
    lfm2_tokenizer_unload(tok);
    return rc;
}

static int tokenizer_of_weights(run *r, const char *name)
{
    lfm2_weights *w = NULL;
    lfm2_tokenizer *tok = NULL;
    int rc = lfm2_weights_open(r->rt, fixture(r, name), &w);
    if (rc == 0) rc = lfm2_tokenizer_load(r->rt, w, &tok);
    lfm2_weights_close(w);
    if (rc == 0) rc = use_tokenizer(r, tok);
    lfm2_tokenizer_unload(tok);
    return rc;
}

static int tokenizer_gguf(run *r)
{
    return tokenizer_of_weights(r, "dense-odd/model-bf16.gguf");
}

static int tokenizer_folder(run *r)
{
    return tokenizer_of_weights(r, "moe-fused");
}

/* --- model --- */

static int take_token(void *ctx, int32_t id, float logprob)
{
    (void)ctx;
    (void)id;
    return logprob > 0; /* never */
}

/* Two sequences at once, a copy, a state saved and restored, and a few tokens sampled. */
static int use_model(run *r, lfm2_model *m)
{
    static const int32_t ids[] = {5, 9, 30, 31, 7};
    const lfm2_span spans[] = {{.seq = 0, .n_tok = 5, .ids = ids, .logits = LFM2_LOGITS_LAST},
                               {.seq = 1, .n_tok = 3, .ids = ids, .logits = LFM2_LOGITS_LAST}};
    lfm2_session_params params = lfm2_session_params_default(m);
    params.n_seqs = 3;
    params.cap_tok = 64;
    params.cap_batch = 16;
    const int32_t n_vocab = lfm2_model_config(m)->n_vocab;
    lfm2_session *session = NULL;
    lfm2_sampler *sampler = NULL;
    void *state = NULL;
    size_t state_n = 0;
    float *logits = lfm2__alloc(r->rt, 2 * (size_t)n_vocab * sizeof *logits);
    int rc = logits == NULL ? lfm2__fail(r->rt, LFM2_ERR_NOMEM, "the scenario's own logits") : 0;
    if (rc == 0) rc = lfm2_session_create(m, &params, &session);
    if (rc == 0) rc = lfm2_session_forward(session, spans, 2, logits, 2);
    if (rc == 0) rc = lfm2_session_clone(session, 0, 2);
    if (rc == 0) {
        state = lfm2__alloc(r->rt, lfm2_session_save_bytes(session, 1));
        if (state == NULL) rc = lfm2__fail(r->rt, LFM2_ERR_NOMEM, "the scenario's own state");
    }
    if (rc == 0) rc = lfm2_session_save(session, 1, state, lfm2_session_save_bytes(session, 1), &state_n);
    if (rc == 0) rc = lfm2_session_restore(session, 2, state, state_n);
    lfm2_sampler_params sampling = lfm2_sampler_params_default();
    sampling.temperature = 0.7f;
    sampling.top_k = 20;
    sampling.top_p = 0.9f;
    sampling.min_p = 0.01f;
    sampling.repeat_penalty = 1.1f;
    if (rc == 0) rc = lfm2_sampler_create(r->rt, &sampling, n_vocab, NULL, NULL, &sampler);
    lfm2_generate_params how = lfm2_generate_params_default();
    how.max_tok = 4;
    lfm2_generation result;
    if (rc == 0) rc = lfm2_generate(session, 2, ids, 2, sampler, &how, logits, take_token, NULL, &result);
    lfm2_sampler_destroy(sampler);
    lfm2_session_destroy(session);
    lfm2__free(r->rt, state);
    lfm2__free(r->rt, logits);
    return rc;
}

static void note_job(void *ctx, int status, const lfm2_generation *g)
{
    run *r = ctx;
    digest(r, &status, sizeof status);
    digest(r, &g->n_tok, sizeof g->n_tok);
    digest(r, &g->sum_logprob, sizeof g->sum_logprob);
}

/* Three generations through two sequences. */
static int model_batch(run *r)
{
    static const int32_t ids[] = {5, 9, 30, 31, 7, 8, 4};
    const lfm2_prompt_part parts[2] = {{.n_tok = 5, .ids = ids}, {.n_tok = 2, .ids = ids + 5}};
    lfm2_model *m = NULL;
    lfm2_session *session = NULL;
    lfm2_batch *batch = NULL;
    lfm2_sampler *samplers[3] = {NULL};
    int rc = lfm2_model_load(r->rt, fixture(r, "moe-fused"), &m);
    lfm2_session_params params = lfm2_session_params_default(m);
    params.n_seqs = 2;
    params.cap_tok = 64;
    params.cap_batch = 4;
    if (rc == 0) rc = lfm2_session_create(m, &params, &session);
    if (rc == 0) rc = lfm2_batch_create(session, 0, 2, &batch);
    for (int i = 0; rc == 0 && i < 3; i++) {
        lfm2_sampler_params sampling = lfm2_sampler_params_default();
        rc = lfm2_sampler_create(r->rt, &sampling, lfm2_model_config(m)->n_vocab, NULL, NULL, &samplers[i]);
        lfm2_job job = {.seq = -1, .parts = parts, .n_parts = 1 + i % 2, .sampler = samplers[i], .done = note_job, .ctx = r};
        job.params = lfm2_generate_params_default();
        job.params.max_tok = 3 + i;
        while (rc == 0 && (rc = lfm2_batch_submit(batch, &job)) == LFM2_AGAIN) rc = lfm2_batch_step(batch);
    }
    while (rc == 0) rc = lfm2_batch_step(batch);
    lfm2_batch_destroy(batch);
    for (int i = 0; i < 3; i++) lfm2_sampler_destroy(samplers[i]);
    lfm2_session_destroy(session);
    lfm2_model_unload(m);
    return rc == LFM2_EOF ? 0 : rc;
}

static int load_and_use(run *r, const char *name)
{
    lfm2_model *m = NULL;
    int rc = lfm2_model_load(r->rt, fixture(r, name), &m);
    if (rc == 0) rc = use_model(r, m);
    lfm2_model_unload(m);
    return rc;
}

static int model_folder(run *r)
{
    return load_and_use(r, "vl-wrapper");
}

static int model_sharded(run *r)
{
    return load_and_use(r, "old-schema");
}

static int model_moe(run *r)
{
    return load_and_use(r, "moe-fused");
}

static int model_gguf(run *r)
{
    return load_and_use(r, "quant-32");
}

static int model_random(run *r)
{
    lfm2_model *m = NULL;
    int rc = lfm2_model_create_random(r->rt, fixture(r, "moe-fused/config.json"), LFM2_DTYPE_Q8_0, 1, &m);
    if (rc == 0) rc = use_model(r, m);
    lfm2_model_unload(m);
    return rc;
}

/* --- sound --- */

/* Raw samples at their own rate: what lies within libav is not counted here. */
static int audio_pcm(run *r)
{
    static float samples[2][500];
    float *const planes[2] = {samples[0], samples[1]};
    lfm2_audio_params params = lfm2_audio_params_default();
    lfm2_audio_source *a = NULL;
    params.pcm = LFM2_PCM_S16LE;
    params.pcm_rate_hz = 16000;
    params.pcm_channels = 2;
    int rc = lfm2_audio_open(r->rt, fixture(r, "vl-wrapper/config.json"), &params, &a);
    while (rc == 0) {
        int32_t n = 0;
        rc = lfm2_audio_read(a, planes, 500, &n);
        digest(r, samples[0], (size_t)n * sizeof **samples);
    }
    lfm2_audio_close(a);
    return rc < 0 ? rc : 0;
}

static int digest_bytes(void *ctx, const char *bytes, size_t n)
{
    digest(ctx, bytes, n);
    return 0;
}

static int transcript(run *r)
{
    static lfm2_word words[] = {{(char *)(uintptr_t)"Hello", 0, 500000, 0.5f}, {(char *)(uintptr_t)"there.", 500000, 900000, 1}};
    static const lfm2_segment segment = {.end_us = 900000, .text = (char *)(uintptr_t)"Hello there. \xff <&>\n", .n_tok = 3,
                                         .times = LFM2_TIMES_WORD, .words = words, .n_words = 2};
    const lfm2_transcript_info info = {.file = "a.wav", .n_channels = 2, .times = LFM2_TIMES_WORD};
    int rc = 0;
    for (int format = 0; rc == 0 && format <= LFM2_HEAR_FORMAT_CSV; format++) {
        lfm2_transcript_writer *w = NULL;
        rc = lfm2_transcript_writer_create(r->rt, (lfm2_hear_format)format, digest_bytes, r, &w);
        if (rc == 0) rc = lfm2_transcript_begin(w, &info);
        for (int i = 0; rc == 0 && i < 20; i++) rc = lfm2_transcript_segment(w, &segment);
        if (rc == 0) rc = lfm2_transcript_end(w, &info);
        lfm2_transcript_writer_destroy(w);
    }
    return rc;
}

/* --- writing --- */

/* Names in the current folder, which is the test's own; nothing but what a run has written is in it. */
static int count_and_remove_files(void)
{
    int n = 0;
    DIR *dir = opendir(".");
    if (dir == NULL) return -1;
    for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        n++;
        if (strstr(e->d_name, "out.") != NULL) (void)unlink(e->d_name); /* whatever the folder is: no other file */
    }
    closedir(dir);
    return n;
}

static int convert(run *r)
{
    const int rc = lfm2_convert(r->rt, fixture(r, "vl-wrapper"), "out.gguf", LFM2_DTYPE_Q8_0, LFM2_DTYPE_COUNT, NULL, NULL);
    if (rc == 0) digest_file(r, "out.gguf");
    return rc;
}

static int convert_gguf(run *r)
{
    return lfm2_convert(r->rt, fixture(r, "quant-32"), "out.gguf", LFM2_DTYPE_F16, LFM2_DTYPE_F32, NULL, NULL);
}

static int convert_encoders(run *r)
{
    return lfm2_convert_encoders(r->rt, fixture(r, "../golden/vl"), "out.gguf", LFM2_DTYPE_F16, NULL, NULL);
}

static int save_tensors(run *r)
{
    static const float data[6] = {1, 2, 3, 4, 5, 6};
    static const lfm2_tensor tensors[] = {
        {.name = "a", .dtype = LFM2_DTYPE_F32, .n_dims = 2, .dims = {2, 3}, .data = data, .n_bytes = sizeof data},
        {.name = "b", .dtype = LFM2_DTYPE_F32, .n_dims = 1, .dims = {2}, .data = data, .n_bytes = 2 * sizeof *data},
    };
    return lfm2_safetensors_save(r->rt, "out.safetensors", tensors, 2);
}

/* --- images --- */

/* One of each format, with transparency, turning and a second decoding among them. */
static int images(run *r)
{
    static const char *const names[] = {"png-6-8-interlaced.png", "png-2-8-exif.png", "exif-5.jpg", "cmyk.jpg", "progressive.jpg",
                                        "lossless-exif.webp", "lossless-alpha.webp", "palette.bmp", "transparent.gif", "fax.tif",
                                        "alpha.tif", "more/turned-6.avif", "../frames/moving.webp"};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof names / sizeof *names; i++) {
        lfm2_image image;
        char name[64];
        (void)snprintf(name, sizeof name, "../images/%s", names[i]);
        rc = lfm2_image_decode_file(r->rt, fixture(r, name), NULL, &image);
        if (rc == 0) {
            digest(r, lfm2_buf_data(image.rgb), lfm2_buf_bytes(image.rgb));
            lfm2_image_fini(&image);
        }
        if (rc == LFM2_ERR_UNSUPPORTED) rc = 0; /* not in this build */
    }
    return rc;
}

static int frames(run *r)
{
    static const char *const names[] = {"pages.tif", "moving.webp", "moving.gif", "moving-alpha.png", "mjpeg.avi", "rotate-90.mp4"};
    lfm2_frames_params params = lfm2_frames_params_default();
    int rc = 0;
    params.every_us = 400000;
    for (size_t i = 0; rc == 0 && i < sizeof names / sizeof *names; i++) {
        lfm2_frames *f = NULL;
        lfm2_frame frame;
        char name[64];
        (void)snprintf(name, sizeof name, "../frames/%s", names[i]);
        rc = lfm2_frames_open(r->rt, fixture(r, name), &params, &f);
        while (rc == 0 && (rc = lfm2_frames_next(f, &frame)) == 0) {
            digest(r, lfm2_buf_data(frame.image.rgb), lfm2_buf_bytes(frame.image.rgb));
            lfm2_image_fini(&frame.image);
        }
        if (rc == LFM2_EOF || rc == LFM2_ERR_UNSUPPORTED) rc = 0;
        lfm2_frames_close(f);
    }
    return rc;
}

/* Mel frames, the encoder with its CTC head, words placed by it and by attention. */
static int hearing(run *r)
{
    static float sound[4000], mel[26 * 8], embed[4 * 4], ctc[8 * 4], weights[2 * 40];
    lfm2_audio_encoder *enc = NULL;
    lfm2_audio_scratch *scratch = NULL;
    lfm2_mel *front = NULL;
    lfm2__align_attn *attn = NULL;
    lfm2__align_word words[] = {{.text = "a", .n_bytes = 1}, {.text = "\xc3\xa4", .n_bytes = 2}};
    lfm2__align_verdict verdict = {0, 0};
    int32_t n_frames = 0, n_tok = 0;
    for (int i = 0; i < 4000; i++) sound[i] = (float)(i % 97) / 100;
    int rc = lfm2_mel_create(r->rt, 8, &front);
    if (rc == 0) rc = lfm2_mel_compute(front, sound, 4000, mel, 26, &n_frames);
    if (rc == 0) rc = lfm2_audio_encoder_load(r->rt, fixture(r, "../../fuzz/corpus/audio_config/ctc.gguf"), &enc);
    if (rc == 0) rc = lfm2_audio_scratch_create(enc, 4, &scratch);
    const lfm2_audio_segment seg = {mel, n_frames};
    if (rc == 0) rc = lfm2_audio_encode_ctc(enc, &seg, 1, scratch, embed, ctc, 4, &n_tok);
    const lfm2__align_ctc_in in = {ctc, 2 * n_tok, 4, lfm2_audio_ctc_alphabet(enc), 40000};
    if (rc == 0) rc = lfm2__align_ctc(r->rt, &in, words, 2, &verdict);
    digest(r, embed, sizeof embed);
    digest(r, &verdict, sizeof verdict);
    if (rc == 0) rc = lfm2__align_attn_create(r->rt, 2, 40, 9, &attn);
    for (int i = 0; rc == 0 && i < 9; i++) {
        for (int t = 0; t < 80; t++) weights[t] = t % 40 / 4 == i ? 0.2f : 0.001f;
        rc = lfm2__align_attn_push(attn, weights);
    }
    const int32_t word_of[9] = {0, 0, 0, 0, 0, 1, 1, 1, 1};
    if (rc == 0) rc = lfm2__align_attn_finish(attn, word_of, 80000, words, 2, &verdict);
    if (rc == 0) digest(r, &words[1].start_us, sizeof words[1].start_us);
    lfm2__align_attn_destroy(attn);
    lfm2_audio_scratch_destroy(scratch);
    lfm2_audio_encoder_unload(enc);
    lfm2_mel_destroy(front);
    return rc;
}

static int constrain(run *r)
{
    static const char schema[] = "{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"string\", \"pattern\": "
                                 "\"^[a-c]+$\"}, "
                                 "\"b\": {\"enum\": [1, \"x\"]}}, \"required\": [\"a\"], \"additionalProperties\": false}";
    static const char rules[] = "root ::= \"a\" [b-d]{2} | \"(\" root \")\"", *const choices[] = {"yes", "no"};
    lfm2_grammar *g[3] = {NULL};
    int rc = lfm2_grammar_from_json_schema(r->rt, schema, sizeof schema - 1, &g[0]);
    if (rc == 0) rc = lfm2_grammar_from_gbnf(r->rt, rules, sizeof rules - 1, &g[1]);
    if (rc == 0) rc = lfm2_grammar_from_choices(r->rt, choices, 2, &g[2]);
    if (rc == 0) rc = lfm2_grammar_matches(g[1], "(abc)", 5);
    if (rc > 0) rc = 0;
    for (int i = 0; i < 3; i++) lfm2_grammar_destroy(g[i]);
    return rc;
}

typedef struct scenario {
    const char *name;
    int (*fn)(run *r);
    int n_survive; /* most failures of a single request that may be made good */
} scenario;

static const scenario scenarios[] = {
    {"runtime", nothing, 0},
    {"json", base_json, 0},
    {"files", base_files, 0},
    {"memory", base_memory, 0},
    {"weights_single", weights_single, 0},
    {"weights_sharded", weights_sharded, 0},
    {"weights_gguf", weights_gguf, 0},
    {"tokenizer_json", tokenizer_json, 30},
    {"tokenizer_gguf", tokenizer_gguf, 30},
    {"tokenizer_folder", tokenizer_folder, 30},
    {"model_folder", model_folder, 0},
    {"model_sharded", model_sharded, 0},
    {"model_moe", model_moe, 0},
    {"model_gguf", model_gguf, 0},
    {"model_random", model_random, 0},
    {"model_batch", model_batch, 0},
    {"convert", convert, 30},
    {"convert_gguf", convert_gguf, 0},
    {"convert_encoders", convert_encoders, 0},
    {"save_tensors", save_tensors, 0},
    {"audio_pcm", audio_pcm, 0},
    {"transcript", transcript, 0},
    {"images", images, 0},
    {"frames", frames, 0},
    {"hearing", hearing, 0},
    {"constrain", constrain, 0},
};

/* --- the loop --- */

/* Returns the status of one run, in which requests from..to fail. */
static int run_once(const scenario *s, run *r, long from, long to)
{
    lfm2_runtime_params params = lfm2_runtime_params_default();
    params.n_threads = 2;
    params.log = keep_line;
    params.log_ctx = r;
    r->rt = NULL;
    r->digest = 0xcbf29ce484222325u;
    r->line[0] = '\0';
    alloc_wrap_start(from, to);
    int rc = lfm2_runtime_create(&params, &r->rt);
    if (rc == 0) rc = s->fn(r);
    lfm2_runtime_destroy(r->rt);
    r->n_requests = alloc_wrap_stop();
    return rc;
}

typedef struct outcome {
    uint64_t digest;  /* without failures */
    int n_files;      /* open at the start */
    int n_survived;
} outcome;

/* What the run that has just ended left alive, in words; NULL if nothing. */
static const char *leftovers(const outcome *o, char *text, size_t cap)
{
    const alloc_alive alive = alloc_wrap_alive();
    const int files = alive.files - o->n_files;
    if (alive.blocks == 0 && alive.maps == 0 && alive.threads == 0 && files == 0) return NULL;
    (void)snprintf(text, cap, "left %ld blocks, %ld mappings, %ld threads, %d open files", alive.blocks, alive.maps, alive.threads,
                   files);
    return text;
}

/* One run in which requests from..to fail. Returns 0 if all is well, otherwise says what is not. */
static int check_run(const scenario *s, run *r, outcome *o, long from, long to)
{
    char text[200];
    const char *problem = NULL;
    const int rc = run_once(s, r, from, to);
    const int survived = rc == 0 && from == to && r->digest == o->digest && o->n_survived < s->n_survive;
    const int n_written = count_and_remove_files();
    if (r->n_requests < from) {
        problem = "was not reached";
    } else if (survived) {
        o->n_survived++;
    } else if (rc != LFM2_ERR_NOMEM) {
        problem = lfm2_err_name(rc);
    } else if (n_written != 0) {
        problem = "left a file in the folder";
    }
    const char *left = leftovers(o, text, sizeof text);
    if (problem == NULL) problem = left;
    if (problem == NULL) return 0;
    fprintf(stderr, "%s: request %ld%s: %s\n    last line of the log: %s\n", s->name, from, from == to ? "" : " and all later ones",
            problem, r->line);
    return 1;
}

static int check_scenario(const scenario *s, const char *fixtures, long only)
{
    run r = {.fixtures = fixtures};
    outcome o = {.n_files = alloc_wrap_alive().files};
    char text[200];
    (void)count_and_remove_files();
    const int rc = run_once(s, &r, 0, 0); /* also lets the C library allocate what it keeps */
    if (rc != 0) {
        fprintf(stderr, "%s: without failures: %s: %s\n", s->name, lfm2_err_name(rc), r.line);
        return 1;
    }
    const long n = r.n_requests;
    const char *left = leftovers(&o, text, sizeof text);
    if (left != NULL) {
        fprintf(stderr, "%s: without failures: %s\n", s->name, left);
        return 1;
    }
    (void)count_and_remove_files();
    o.digest = r.digest;
    int n_faults = 0;
    for (long k = only > 0 ? only : 1; k <= (only > 0 ? only : n) && n_faults < 20; k++) {
        n_faults += check_run(s, &r, &o, k, k);
        if (n <= MANY_REQUESTS || k % 4 == 0 || k == only) n_faults += check_run(s, &r, &o, k, LONG_MAX);
    }
    printf("%s: %ld requests, %d made good, %d faults\n", s->name, n, o.n_survived, n_faults);
    return n_faults > 0;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: alloc_fail FIXTURES FOLDER SCENARIO [K]\n");
        return 2;
    }
    if ((mkdir(argv[2], 0700) != 0 && errno != EEXIST) || chdir(argv[2]) != 0) {
        fprintf(stderr, "%s: %s\n", argv[2], strerror(errno));
        return 2;
    }
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        if (strcmp(argv[3], scenarios[i].name) == 0) return check_scenario(&scenarios[i], argv[1], argc > 4 ? atol(argv[4]) : 0);
    }
    fprintf(stderr, "no scenario %s\n", argv[3]);
    return 2;
}
