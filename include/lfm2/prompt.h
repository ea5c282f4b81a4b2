/* SPDX-License-Identifier: Apache-2.0
 * Prompts with images and sounds in them: the slots of a chat prompt are filled with marks and embeddings. */
#ifndef LFM2_PROMPT_H
#define LFM2_PROMPT_H

#include "lfm2/batch.h"
#include "lfm2/encoders.h"
#include "lfm2/tokenizer.h"

LFM2_BEGIN_DECLS

/* What comes into one slot. Everything is borrowed; embeddings are only pointed to, and may be computed later. */
typedef struct lfm2_media {
    int32_t slot;                  /* LFM2_SLOT_IMAGE or LFM2_SLOT_AUDIO */
    const lfm2_vision_plan *plan;  /* of an image */
    int32_t downsample;            /* of the image encoder: patches in a row and in a column that make one token */
    int32_t n_tok;                 /* of a sound */
    const float *const *embed;     /* [plan->n_inputs], of a sound [1]: f32 [tokens of it, d_model] */
} lfm2_media;

typedef struct lfm2_prompt lfm2_prompt;

/* ids [n_ids]: of lfm2_chat_encode() with LFM2_CHAT_MEDIA_SLOTS. media [n_media]: one for each slot, in their order.
 * An image becomes <|image_start|>, then for each tile <|img_row_R_col_C|> and its embeddings, for a thumbnail behind tiles
 * <|img_thumbnail|> and its embeddings, then <|image_end|>; an image in one piece has no mark of its own. A sound becomes its
 * embeddings alone.
 * Returns 0; LFM2_ERR_ARG (slots and media do not agree; no ids); LFM2_ERR_UNSUPPORTED (the tokenizer lacks a mark, which is named
 * in the log); LFM2_ERR_RANGE (more than 2^31 - 1 tokens); LFM2_ERR_NOMEM. */
LFM2_API int lfm2_prompt_create(const lfm2_tokenizer *tok, const int32_t *ids, size_t n_ids, const lfm2_media *media,
                                int32_t n_media, lfm2_prompt **out);
LFM2_API void lfm2_prompt_destroy(lfm2_prompt *p); /* NULL is allowed */

/* For lfm2_job; owned by p. */
LFM2_API const lfm2_prompt_part *lfm2_prompt_parts(const lfm2_prompt *p, int32_t *n_parts);
/* Tokens of all parts together, and those of them that are embeddings. */
LFM2_API int32_t lfm2_prompt_n_tok(const lfm2_prompt *p);
LFM2_API int32_t lfm2_prompt_n_media_tok(const lfm2_prompt *p);

/* The prompt as the reference implementation writes it down: with <image> for each embedding of an image, and nothing for those of
 * sounds. Owned by p. */
LFM2_API const int32_t *lfm2_prompt_ids(const lfm2_prompt *p, int32_t *n_ids);

LFM2_END_DECLS

#endif
