/* SPDX-License-Identifier: Apache-2.0
 * Many generations at once: every step decodes one token of each in one forward pass, so that the weights are read once for
 * all of them. Lines of a page, segments of a recording and files of a batch are jobs of it. */
#ifndef LFM2_BATCH_H
#define LFM2_BATCH_H

#include "lfm2/sampler.h"

LFM2_BEGIN_DECLS

/* A piece of a prompt: token ids, or what an encoder made of an image or of sound. */
typedef struct lfm2_prompt_part {
    int32_t n_tok;      /* >= 1 */
    const int32_t *ids; /* [n_tok], or NULL with embed */
    const float *embed; /* f32 [n_tok, d_model], or NULL with ids */
} lfm2_prompt_part;

typedef struct lfm2_job {
    int32_t seq;                   /* a sequence that this job continues where it stands, of those given to lfm2_batch_create();
                                    * -1: any free one, emptied first; what it holds afterwards is not said */
    const lfm2_prompt_part *parts; /* [n_parts >= 1]; they and what they point to are borrowed until the job is done */
    int32_t n_parts;
    lfm2_sampler *sampler;         /* borrowed until the job is done; no two jobs at a time may have the same */
    lfm2_generate_params params;   /* the deadline counts from lfm2_batch_submit() */
    lfm2_token_fn *fn;             /* as in lfm2_generate(); may be NULL */
    /* Called once, from lfm2_batch_step(): status 0 with what came of it, or the error that ended this job (g then holds the tokens
     * so far). The batch takes no calls in it, nor in fn. May be NULL. */
    void (*done)(void *ctx, int status, const lfm2_generation *g);
    void *ctx;                     /* of fn and done */
} lfm2_job;

typedef struct lfm2_batch lfm2_batch;

/* A scheduler over the sequences first_seq .. first_seq + n_seqs - 1 of a session, which are its own while it lives. Nothing after
 * create allocates. Returns 0; LFM2_ERR_ARG (sequences that the session does not have); LFM2_ERR_NOMEM. */
LFM2_API int lfm2_batch_create(lfm2_session *s, int32_t first_seq, int32_t n_seqs, lfm2_batch **out);

/* Jobs that are under way are forgotten without a call of done. NULL is allowed. */
LFM2_API void lfm2_batch_destroy(lfm2_batch *b);

/* Take a job in. Returns 0; LFM2_AGAIN (the sequence it asks for, or all of them, are busy: step first); LFM2_ERR_ARG (also if
 * another job has the sampler) and LFM2_ERR_RANGE as lfm2_generate(); LFM2_ERR_STATE (called from within a step): with nothing
 * changed. */
LFM2_API int lfm2_batch_submit(lfm2_batch *b, const lfm2_job *job);

/* One forward pass. Every sequence that has been read decodes a token; the room that this leaves in the session's cap_batch is for
 * prompts, in the order in which they came, so that a long one holds up nobody. Which jobs run together has no influence on what
 * comes of any, but for rounding where LFM2_CPU_BLAS multiplies.
 * Returns 0 (there is more to do); LFM2_EOF (no job is under way any more); LFM2_ERR_ARG; LFM2_ERR_STATE; or an error that concerns
 * all jobs, which have then ended with it, their sequences empty (LFM2_ERR_IO). lfm2_runtime_abort() is no error: all jobs end with
 * LFM2_STOP_ABORT, those with nothing but their last token to append as they would have, and all sequences are empty. A job that
 * fails alone (LFM2_ERR_NONFINITE) does not disturb the others. */
LFM2_API int lfm2_batch_step(lfm2_batch *b);

/* Jobs under way. */
LFM2_API int32_t lfm2_batch_n_jobs(const lfm2_batch *b);

LFM2_END_DECLS

#endif
