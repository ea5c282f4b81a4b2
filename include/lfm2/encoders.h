/* SPDX-License-Identifier: Apache-2.0
 * Encoders: what a model sees, as vectors that stand among the embeddings of its text.
 *
 * An image goes three steps: lfm2_vision_plan() decides sizes and tiles, lfm2_vision_patches() makes the patches of all
 * encoder inputs of the image, lfm2_vision_encode() turns them into embeddings. */
#ifndef LFM2_ENCODERS_H
#define LFM2_ENCODERS_H

#include "lfm2/weights.h"

LFM2_BEGIN_DECLS

/* Which encoders opened weights hold: bits. */
#define LFM2_ENCODER_VISION 1u /* lfm2_vision_load() */
#define LFM2_ENCODER_AUDIO 2u  /* lfm2_audio_encoder_load() */
LFM2_API unsigned lfm2_encoders_of(const lfm2_weights *w);

/* ---- Vision: preparation ---- */

#define LFM2_MAX_IMAGE_SIDE_PX (1 << 20)

/* How images are cut and scaled. Every field may be changed before a plan is made; the plan checks them. */
typedef struct lfm2_vision_params {
    int32_t patch_px;        /* side of a patch; 1..64 */
    int32_t downsample;      /* patches in a row and in a column that make one token; 1..8 */
    int32_t min_image_tok;   /* what one image (not a tile) is scaled to: 1 <= min <= max <= 4096 */
    int32_t max_image_tok;
    int32_t do_split;        /* 1 = large images are cut into tiles */
    int32_t tile_px;         /* side of a tile: a multiple of patch_px * downsample, at most 128 patches */
    int32_t min_tiles;       /* 1 <= min <= max <= 64 */
    int32_t max_tiles;
    int32_t use_thumbnail;   /* 1 = behind the tiles comes the whole image, scaled as if it were not tiled */
    int32_t letterbox;       /* 1 = a tiled image keeps its shape and lies in the middle of its tiles, black around it, as
                              * llama.cpp has it; 0 = it is stretched over them, as the reference has it. Never in a file */
    int32_t line_height_px;  /* a picture of one text line is scaled to this height before it is planned; 0 = left as it is
                              * cut; 0..4096. Says what the model was made for; lfm2_vision_patches() does not look at it */
    double max_pixels_tolerance; /* an image is large beyond this times the pixels of max_image_tok; 0..1000 */
    float mean[3], std[3];   /* of red, green, blue in 0..1; std > 0 */
} lfm2_vision_params;

/* Patches of 16 pixels, 2 by 2 to a token, 64 to 256 tokens, 2 to 10 tiles of 512 pixels and a thumbnail. */
LFM2_API lfm2_vision_params lfm2_vision_params_default(void);

/* One input of the encoder: a tile, or a whole image. */
typedef struct lfm2_vision_grid {
    int32_t n_rows, n_cols; /* of patches, multiples of downsample */
} lfm2_vision_grid;

#define LFM2_VISION_MAX_INPUTS 65 /* tiles and a thumbnail */

typedef struct lfm2_vision_plan {
    int32_t width_px, height_px;             /* of the image */
    int32_t smart_width_px, smart_height_px; /* of the image when it is encoded as a whole, and of the thumbnail */
    int32_t tile_cols, tile_rows;            /* 1 x 1 = not tiled */
    int32_t has_thumbnail;                   /* the last input is one */
    int32_t n_inputs;                        /* tiles row by row, then the thumbnail; or the whole image */
    lfm2_vision_grid inputs[LFM2_VISION_MAX_INPUTS];
    int32_t n_patches, n_tok;                /* of all inputs together */
} lfm2_vision_plan;

/* Decide what becomes of an image of that size. Pure arithmetic. plan: the caller's, written only on success.
 * Returns 0; LFM2_ERR_ARG (NULL, a size below 1, a parameter out of range); LFM2_ERR_LIMIT: a side over
 * LFM2_MAX_IMAGE_SIDE_PX, or so long and thin that the whole image would be an input of more than twice the patches of
 * max_image_tok tokens or of a tile, whichever is more. (Up to there n_tok may exceed max_image_tok, as in the reference.) */
LFM2_API int lfm2_vision_plan_image(const lfm2_vision_params *p, int32_t width_px, int32_t height_px, lfm2_vision_plan *plan);

/* Scale, cut and normalise an image into patches.
 * rgb: u8 [height_px, width_px, 3] of the size that was planned, rows stride_bytes apart; borrowed for the call.
 * out: caller's f32 [cap_patches, patch_px * patch_px * 3]; the patches of one input row by row, inputs in their order; within a
 * patch dy, dx, channel. Undefined on failure. Allocates some rows of the scaled image for each thread.
 * Returns 0; LFM2_ERR_ARG (NULL, stride too small, a plan that is not of these parameters); LFM2_ERR_RANGE (cap_patches below
 * plan->n_patches); LFM2_ERR_NOMEM; LFM2_ERR_ABORTED. Uses the runtime's threads; the bits do not depend on their number. */
LFM2_API int lfm2_vision_patches(lfm2_runtime *rt, const lfm2_vision_params *p, const lfm2_vision_plan *plan, const uint8_t *rgb,
                                 size_t stride_bytes, float *out, int32_t cap_patches);

/* ---- Vision: encoder ---- */

typedef struct lfm2_vision_config {
    int32_t d_vision, d_ff, n_layers, n_heads; /* of the tower */
    int32_t table_side;     /* the position table is table_side x table_side */
    int32_t patch_px, downsample;
    int32_t d_projector;    /* width between the two projector layers */
    int32_t has_projector_norm;
    int32_t d_model;        /* of the language model: width of what comes out */
    float norm_eps;
} lfm2_vision_config;

typedef struct lfm2_vision lfm2_vision; /* immutable after load; shared by any number of lfm2_vision_runs */

/* Load tower and projector from an image checkpoint (safetensors with config.json beside it) or a GGUF encoder file.
 * path: as for lfm2_weights_open(). *out: written only on success.
 * Returns 0; what lfm2_weights_open() returns; LFM2_ERR_UNSUPPORTED (no image encoder, or a variant that computes something
 * else); LFM2_ERR_FORMAT (every missing or misshapen tensor named in one log line). */
LFM2_API int lfm2_vision_load(lfm2_runtime *rt, const char *path, lfm2_vision **out);
/* An encoder of the shape in a config.json with seeded random weights of type t (F32, F16, BF16, Q8_0) for a language model of
 * width d_model: for measuring what a shape costs. Returns 0; LFM2_ERR_ARG; LFM2_ERR_IO; LFM2_ERR_FORMAT; LFM2_ERR_LIMIT;
 * LFM2_ERR_UNSUPPORTED; LFM2_ERR_NOMEM; LFM2_ERR_ABORTED. */
LFM2_API int lfm2_vision_create_random(lfm2_runtime *rt, const char *config_path, lfm2_dtype t, uint64_t seed, int32_t d_model,
                                       lfm2_vision **out);
LFM2_API void lfm2_vision_unload(lfm2_vision *v); /* NULL is allowed; all runs must be gone */

LFM2_API const lfm2_vision_config *lfm2_vision_get_config(const lfm2_vision *v);

/* The checkpoint's own parameters: from processor_config.json, preprocessor_config.json or config.json beside the weights, or
 * from the keys lfm2.vision.* of a GGUF file; what none of them has is the default. */
LFM2_API const lfm2_vision_params *lfm2_vision_get_params(const lfm2_vision *v);

/* Scratch memory of one caller. Any number of runs may encode at once. */
typedef struct lfm2_vision_run lfm2_vision_run;

/* cap_patches: patches that go through the encoder together, 1..65536. More in one call are taken in groups of whole inputs.
 * Returns 0; LFM2_ERR_ARG; LFM2_ERR_NOMEM. */
LFM2_API int lfm2_vision_run_create(const lfm2_vision *v, int32_t cap_patches, lfm2_vision_run **out);
LFM2_API void lfm2_vision_run_destroy(lfm2_vision_run *r); /* NULL is allowed */

/* Bytes that such a run takes; 0 for a bad argument. */
LFM2_API uint64_t lfm2_vision_run_bytes(const lfm2_vision *v, int32_t cap_patches);

/* Encode inputs (tiles and images, of one picture or of many) to embeddings.
 * patches: from lfm2_vision_patches(), f32 [sum of n_rows * n_cols, patch_px * patch_px * 3]. out: caller's
 * f32 [cap_tok, d_model]: of each input (n_rows / downsample) * (n_cols / downsample) tokens, row by row; undefined on failure.
 * *n_tok (may be NULL): written only on success. No allocation. What an input becomes depends on nothing but its patches.
 * Returns 0; LFM2_ERR_ARG (NULL, no input, a grid that is not of whole tokens); LFM2_ERR_RANGE (an input of more than
 * cap_patches, cap_tok too small); LFM2_ERR_ABORTED; LFM2_ERR_IO (the file was cut short); LFM2_ERR_NONFINITE. */
LFM2_API int lfm2_vision_encode(lfm2_vision_run *r, const float *patches, const lfm2_vision_grid *inputs, int32_t n_inputs,
                                float *out, int32_t cap_tok, int32_t *n_tok);

/* Microseconds of the last lfm2_vision_encode() with r that went into the projector. */
LFM2_API int64_t lfm2_vision_run_project_us(const lfm2_vision_run *r);

LFM2_END_DECLS

#endif
