/* SPDX-License-Identifier: Apache-2.0
 * Inside of lfm2_see: what has been looked at, the conversation, and the parts that work on them. */
#ifndef LFM2__SEE_IMPL_H
#define LFM2__SEE_IMPL_H

#include "base/runtime_impl.h"
#include "base/str.h"
#include "lfm2/batch.h"
#include "lfm2/prompt.h"
#include "lfm2/see.h"
#include "lfm2/sha256.h"
#include "pipeline/confidence.h"

/* --- embeddings, by content --- */

/* What an encoder input became. Shared by reference: by the cache, by whoever is about to read it. */
typedef struct lfm2__see_tile {
    unsigned char key[LFM2_SHA256_BYTES];
    int32_t n_refs;
    int32_t n_tok;
    uint64_t n_bytes;
    struct lfm2__see_tile *newer, *older; /* in the cache, by last use */
    struct lfm2__see_tile *next;          /* in its bucket */
    float embed[];                        /* [n_tok, d_model] */
} lfm2__see_tile;

#define LFM2__SEE_N_BUCKETS 1024

typedef struct lfm2__see_cache {
    lfm2_runtime *rt;
    uint64_t cap_bytes, n_bytes;
    lfm2__see_tile *newest, *oldest;
    lfm2__see_tile *buckets[LFM2__SEE_N_BUCKETS];
} lfm2__see_cache;

void lfm2__see_cache_init(lfm2__see_cache *c, lfm2_runtime *rt, uint64_t cap_bytes);
void lfm2__see_cache_fini(lfm2__see_cache *c); /* accepts a zeroed one */

/* A tile of that content with one more reference, now the newest; NULL if it is not there. */
lfm2__see_tile *lfm2__see_cache_find(lfm2__see_cache *c, const unsigned char *key);
/* Keep a tile that is not there yet, if it fits at all; the oldest ones go. Takes a reference of its own. */
void lfm2__see_cache_put(lfm2__see_cache *c, lfm2__see_tile *tile);

/* One reference, embeddings undefined; NULL without memory. */
lfm2__see_tile *lfm2__see_tile_create(lfm2_runtime *rt, int32_t n_tok, int32_t d_model);
void lfm2__see_tile_unref(lfm2_runtime *rt, lfm2__see_tile *tile); /* NULL is allowed */

/* --- pictures --- */

/* An image as the model gets it. */
typedef struct lfm2__see_picture {
    lfm2_vision_plan plan;
    lfm2__see_tile *tiles[LFM2_VISION_MAX_INPUTS]; /* [plan.n_inputs] */
    const float *embed[LFM2_VISION_MAX_INPUTS];    /* of them */
    int32_t n_cached;
} lfm2__see_picture;

/* Inputs that wait for the encoder. Buffers stay from call to call. */
typedef struct lfm2__see_pending {
    float *patches;
    size_t patches_bytes;
    int32_t n_patches, n_tok;
    lfm2_vision_grid *grids;
    lfm2__see_tile **tiles; /* references of their own */
    int32_t n, cap;
    float *embed;
    size_t embed_bytes;
} lfm2__see_pending;

/* Tiles in a row or column that marks exist for. */
#define LFM2__SEE_MAX_SIDE 10

/* ids with a slot for each picture, in their order, become a prompt, which borrows the pictures. As lfm2_prompt_create(). */
int lfm2__see_prompt(const lfm2_see *s, const int32_t *ids, size_t n_ids, const lfm2__see_picture *pictures, int32_t n_pictures,
                     lfm2_prompt **out) LFM2__NODISCARD;

/* --- text on its way out --- */

typedef struct lfm2__see_text {
    const lfm2_tokenizer *tok;
    lfm2__str str;
    lfm2_utf8_stream utf8;
    int (*on_text)(void *ctx, const char *text, size_t n); /* may be NULL */
    void *ctx;
    int called_off; /* on_text said so */
} lfm2__see_text;

void lfm2__see_text_init(lfm2__see_text *t, lfm2_runtime *rt, const lfm2_tokenizer *tok);
void lfm2__see_text_fini(lfm2__see_text *t); /* accepts a zeroed one */
/* Returns non-zero to stop. */
int lfm2__see_text_token(lfm2__see_text *t, int32_t id);
void lfm2__see_text_finish(lfm2__see_text *t);

/* --- the engine --- */

/* What sequence 0 holds: turns, and the ids that the template made of them (slots for images, answers left out). */
typedef struct lfm2__see_talk {
    int is_under_way;
    int has_ended;       /* the last answer's end token is in the sequence */
    lfm2__str messages;  /* JSON, commas between */
    int32_t *ids;
    size_t n_ids;
} lfm2__see_talk;

typedef struct lfm2__see_lines lfm2__see_lines;

struct lfm2_see {
    lfm2_runtime *rt;
    lfm2_model *model;
    const lfm2_tokenizer *tok;
    const lfm2_vision *vision;
    lfm2_see_params params;
    lfm2_vision_params image_params; /* budgets of the caller and the checkpoint together */
    int32_t d_model, n_vocab, cap_tok;
    lfm2__confidence confidence;
    lfm2__see_cache cache;
    lfm2__see_pending pending;
    lfm2_vision_run *run;
    int64_t n_encoded, n_cached;

    lfm2_session *session; /* of the conversation */
    lfm2_batch *batch;
    lfm2__see_talk talk;
    lfm2__see_lines *lines; /* made for the first page that is read line by line */
};

/* A result with its runtime. */
typedef struct lfm2__see_outcome {
    lfm2_see_result r;
    lfm2_runtime *rt;
} lfm2__see_outcome;

typedef struct lfm2__see_times {
    int64_t preprocess_us, encode_us;
} lfm2__see_times;

/* What becomes of an image of that size within what was asked for; p becomes what the plan was made by. Returns 0 or
 * LFM2_ERR_LIMIT, with all numbers in the log. */
int lfm2__see_plan(const lfm2_see *s, lfm2_vision_params *p, int32_t width, int32_t height,
                   lfm2_vision_plan *plan) LFM2__NODISCARD;
/* The same without a word about why not. */
int lfm2__see_try_plan(const lfm2_see *s, lfm2_vision_params *p, int32_t width, int32_t height,
                       lfm2_vision_plan *plan) LFM2__NODISCARD;

/* Prepare an image; what the encoder has not seen yet becomes pending. After that the tiles are there, but of pending ones the
 * embeddings only after lfm2__see_encode(). On failure everything pending must be dropped. fini accepts a zeroed picture. */
int lfm2__see_look(lfm2_see *s, const lfm2_vision_params *p, const lfm2_image *image, lfm2__see_picture *picture,
                   lfm2__see_times *times) LFM2__NODISCARD;
int lfm2__see_encode(lfm2_see *s, lfm2__see_times *times) LFM2__NODISCARD;
void lfm2__see_drop_pending(lfm2_see *s);
void lfm2__see_picture_fini(lfm2_see *s, lfm2__see_picture *picture);
void lfm2__see_pending_fini(lfm2_see *s);

/* The request's prompt, or its task's. */
const char *lfm2__see_prompt_text(const lfm2_see_request *request);
/* JSON of a user's turn: images, then text. */
void lfm2__see_put_user(lfm2__str *json, int32_t n_images, const char *text);
void lfm2__see_put_system(lfm2__str *json, const char *text);
/* Ids of messages (JSON objects with commas between) with slots. *ids: freed by lfm2__free(). */
int lfm2__see_encode_messages(const lfm2_see *s, const lfm2__str *messages, int32_t **ids, size_t *n_ids) LFM2__NODISCARD;

/* A sampler of the request for this model. */
int lfm2__see_sampler(lfm2_see *s, const lfm2_see_request *request, lfm2_sampler **out) LFM2__NODISCARD;
/* Its generation parameters, with the tokenizer's end ids where it has none; start_us: when the deadline began to count. */
lfm2_generate_params lfm2__see_generation(const lfm2_see *s, const lfm2_see_request *request, int64_t start_us);

/* One turn of the conversation; one page, line by line. out->r: what is there is released by the caller, also on failure. */
int lfm2__see_run_talk(lfm2_see *s, const lfm2_image *images, int32_t n_images, const lfm2_see_request *request,
                       lfm2__see_outcome *out) LFM2__NODISCARD;
int lfm2__see_run_lines(lfm2_see *s, const lfm2_image *image, const lfm2_see_request *request,
                        lfm2__see_outcome *out) LFM2__NODISCARD;
void lfm2__see_lines_destroy(lfm2_see *s); /* s->lines */
void lfm2__see_talk_reset(lfm2_see *s);

/* 1 if there is nothing to see: one colour, but for noise. */
int lfm2__see_is_blank(const lfm2_image *image);

/* Scaled to width x height (each side 1..LFM2_MAX_IMAGE_SIDE_PX), as the reference scales. *out: release with lfm2_image_fini(). */
int lfm2__see_scale(lfm2_runtime *rt, const lfm2_image *image, int32_t width, int32_t height, lfm2_image *out) LFM2__NODISCARD;

#endif
