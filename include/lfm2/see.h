/* SPDX-License-Identifier: Apache-2.0
 * Seeing: images in, captions, text and answers out. One lfm2_see holds a conversation and a cache of what it has looked at. */
#ifndef LFM2_SEE_H
#define LFM2_SEE_H

#include "lfm2/encoders.h"
#include "lfm2/image.h"
#include "lfm2/layout.h"
#include "lfm2/sampler.h"
#include "lfm2/tokenizer.h"

LFM2_BEGIN_DECLS

/* ---- What comes out ---- */

typedef enum lfm2_see_task { LFM2_SEE_CAPTION = 0, LFM2_SEE_OCR = 1, LFM2_SEE_ASK = 2 } lfm2_see_task;
typedef enum lfm2_see_caption { LFM2_SEE_SHORT = 0, LFM2_SEE_LONG = 1, LFM2_SEE_ALT = 2 } lfm2_see_caption;
typedef enum lfm2_see_layout { LFM2_SEE_PAGE = 0, LFM2_SEE_LINES = 1 } lfm2_see_layout;

typedef struct lfm2_see_line {
    char *text;         /* UTF-8 without line breaks */
    lfm2_text_box box;
    float confidence;   /* 0..1, from the probabilities of its tokens; -1 if it has none. See lfm2_see_is_calibrated() */
    lfm2_stop stop;
    int32_t n_tok;      /* written by the model */
} lfm2_see_line;

typedef struct lfm2_see_image_info {
    int32_t width, height;        /* px */
    int32_t tile_cols, tile_rows; /* 1, 1 = not tiled */
    int32_t n_tok;                /* embeddings of this image, markers not counted */
    int32_t n_inputs;             /* tiles and thumbnail that the encoder would have to see ... */
    int32_t n_cached;             /* ... and those of them that it had seen before */
    int32_t partial;              /* as in lfm2_image */
} lfm2_see_image_info;

typedef struct lfm2_see_result {
    lfm2_see_task task;
    lfm2_see_layout layout;
    char *text;                   /* UTF-8, "" if nothing was found. Lines: one line each, paragraphs apart by an empty one */
    lfm2_stop stop;               /* of lines: the worst of all, only EOS means complete */
    float confidence;             /* 0..1; -1 if no token was written */
    int32_t blank;                /* 1: ocr found no text, and the model was not asked to invent any */
    lfm2_see_line *lines;         /* layout lines only */
    int32_t n_lines;
    lfm2_see_image_info *images;
    int32_t n_images;
    int32_t n_image_tok, n_prompt_tok, n_output_tok; /* prompt: all tokens read, those of images included */
    int64_t preprocess_us, encode_us, prefill_us, generate_us;
} lfm2_see_result;

LFM2_API void lfm2_see_result_destroy(lfm2_see_result *r); /* NULL is allowed */

/* ---- Asking ---- */

typedef struct lfm2_see lfm2_see;

typedef struct lfm2_see_params {
    int32_t min_image_tok, max_image_tok; /* for every image, its tiles together; 0 = as the checkpoint has it (whose max
                                           * holds for an image or thumbnail, tiles come on top). An image whose tiles
                                           * would be over max is not tiled; one that cannot be made to fit is refused */
    int32_t max_tiles;                    /* 1 = never tiled; 0 = as the checkpoint has it */
    int32_t letterbox;                    /* 1: keep the aspect of tiled images and fill up with black, as llama.cpp does;
                                           * 0: stretch them, as the reference implementation does */
    int32_t n_slots;                      /* lines read together, 1..64 */
    int32_t cap_tok;                      /* context, in tokens; 0 = what the model has, at most 4096. Lines have one each */
    uint64_t cache_bytes;                 /* embeddings kept, oldest go first; 0 = none */
} lfm2_see_params;

/* The checkpoint's settings, 8 slots, 256 MiB of cache. */
LFM2_API lfm2_see_params lfm2_see_params_default(void);

/* model, tok and vision (of one runtime) are borrowed as long as the lfm2_see lives; any number may share them, one caller at a
 * time each. Returns 0; LFM2_ERR_ARG (a field out of range, a budget that no image can meet; named in the log);
 * LFM2_ERR_UNSUPPORTED (encoder and backbone do not belong together, no chat template, no image tokens); LFM2_ERR_FORMAT,
 * LFM2_ERR_IO (the checkpoint's calibration); LFM2_ERR_NOMEM. */
LFM2_API int lfm2_see_create(lfm2_model *model, const lfm2_tokenizer *tok, const lfm2_vision *vision, const lfm2_see_params *params,
                             lfm2_see **out);
LFM2_API void lfm2_see_destroy(lfm2_see *s); /* NULL is allowed */

/* How images are cut and scaled: the checkpoint's settings with the caller's wishes. Owned by s. */
LFM2_API const lfm2_vision_params *lfm2_see_image_params(const lfm2_see *s);

/* 1 if confidences are calibrated: the checkpoint says how probabilities of tokens have become probabilities of being right on a
 * held-out set. 0: a confidence is the geometric mean of its tokens' probabilities, and orders results rather than promising. */
LFM2_API int lfm2_see_is_calibrated(const lfm2_see *s);

typedef struct lfm2_see_request {
    lfm2_see_task task;
    lfm2_see_caption caption;
    lfm2_see_layout layout;           /* of ocr */
    lfm2_layout_params layout_params;
    const char *prompt;               /* UTF-8; NULL = the task's own (not for ASK) */
    const char *system;               /* UTF-8; NULL = none. Of a conversation, the first turn's counts */
    int32_t keep;                     /* 1: go on with the conversation: images may then be none, and are not encoded again.
                                       * Lines are no part of it, and leave it alone */
    lfm2_sampler_params sampler;
    lfm2_generate_params generate;    /* end ids: those of the tokenizer, when NULL. Of lines: for each of them */
    /* Text as it is written (of lines: whole lines in order), in pieces of whole code points. Non-zero stops. May be NULL. */
    int (*on_text)(void *ctx, const char *text, size_t n);
    void *ctx;
} lfm2_see_request;

/* Caption, short, page, 512 tokens, greedy. */
LFM2_API lfm2_see_request lfm2_see_request_default(void);

/* What the model is told when no prompt is given. Static storage. */
LFM2_API const char *lfm2_see_task_prompt(lfm2_see_task task, lfm2_see_caption caption);

/* Look at images (in their order, before the prompt) and write. Layout lines: one image. What a picture says is never obeyed
 * beyond the text that is written. ocr of one image that is of one colour, but for noise, or in which no lines were found, asks
 * nobody: blank. *out: written only on success, also when generation stopped early (look at stop).
 * Returns 0; LFM2_ERR_ARG; LFM2_ERR_RANGE (does not fit the context; both numbers logged); LFM2_ERR_LIMIT (an image that needs more
 * tokens than max_image_tok and tiles allow, more tiles in a row than there are marks for, too many lines); LFM2_ERR_UNSUPPORTED
 * (lines, in a build without leptonica); LFM2_ERR_NOMEM; LFM2_ERR_NONFINITE; LFM2_ERR_IO; LFM2_ERR_ABORTED (while looking; while
 * writing it is a stop reason); LFM2_ERR_UTF8. On failure the conversation is as before, or over if it was being read. */
LFM2_API int lfm2_see_run(lfm2_see *s, const lfm2_image *images, int32_t n_images, const lfm2_see_request *request,
                          lfm2_see_result **out);

/* Forget the conversation; the cache of embeddings stays. */
LFM2_API void lfm2_see_reset(lfm2_see *s);

/* Tiles encoded and tiles taken from the cache since create. */
LFM2_API void lfm2_see_counts(const lfm2_see *s, int64_t *n_encoded, int64_t *n_cached);

/* ---- Writing it down ---- */

#define LFM2_SEE_FORMAT_MAP(X)                                                 \
    X(TEXT, "text") X(JSON, "json") X(JSONL, "jsonl") X(MD, "md") X(HOCR, "hocr") X(ALTO, "alto") X(TSV, "tsv")

typedef enum lfm2_see_format {
#define LFM2_SEE_FORMAT_ENUM(name, text) LFM2_SEE_FORMAT_##name,
    LFM2_SEE_FORMAT_MAP(LFM2_SEE_FORMAT_ENUM)
#undef LFM2_SEE_FORMAT_ENUM
} lfm2_see_format;

/* A result and where it comes from. */
typedef struct lfm2_see_item {
    const char *file;       /* as the user named it */
    int32_t page;           /* -1 = the file has but one */
    int64_t pts_us;         /* of a frame; -1 = none */
    const lfm2_see_result *result;
    int64_t load_us, decode_us; /* -1 = not measured */
} lfm2_see_item;

/* Write items as one document. Nothing that a model has read can break out of its format: control characters come through in JSON
 * only, as escapes; the model's own Markdown keeps its form, but neither HTML nor images that a viewer would fetch.
 * TEXT: the texts alone; ocr: form feeds between them. MD: a heading for each item if there are several, notes about what is
 * missing. JSONL: a line for each item; JSON: one object, or an array of them if n_items != 1; page counts from 1. hOCR, ALTO, TSV:
 * a page for each item, a word for each line, boxes from layout lines: without them all have the page as their box. TSV has no
 * stop reason. Confidence: hOCR and TSV in percent.
 * write() gets the bytes in pieces and returns 0, or non-zero to fail with LFM2_ERR_IO. Returns 0; LFM2_ERR_ARG; LFM2_ERR_IO;
 * LFM2_ERR_NOMEM (what was written so far is no whole document). */
LFM2_API int lfm2_see_write(lfm2_runtime *rt, lfm2_see_format format, const lfm2_see_item *items, int32_t n_items,
                            int (*write)(void *ctx, const char *bytes, size_t n), void *ctx);

LFM2_END_DECLS

#endif
