/* SPDX-License-Identifier: Apache-2.0
 * From logits to tokens: sampling, and the generation loop with honest stop reasons. */
#ifndef LFM2_SAMPLER_H
#define LFM2_SAMPLER_H

#include "lfm2/model.h"

LFM2_BEGIN_DECLS

/* Applied in this order: repetition penalty (to the logits, biases included), temperature, top-k, top-p, min-p, draw. Among equal
 * logits the lower id comes first. From the same logits the same seed gives the same ids on every machine. */
typedef struct lfm2_sampler_params {
    float temperature;    /* 0 = greedy; 0..100 */
    int32_t top_k;        /* 0 = off */
    float top_p;          /* 1 = off; 0 < top_p <= 1: keep the fewest, from the top, that reach this share of what top-k left */
    float min_p;          /* 0 = off; 0 <= min_p <= 1: keep probabilities >= min_p * the greatest, after temperature */
    float repeat_penalty; /* 1 = off; 0.01..100: logit > 0 ? logit / p : logit * p, once for every id in prompt or output */
    uint64_t seed;
} lfm2_sampler_params;

/* Greedy, nothing else. */
LFM2_API lfm2_sampler_params lfm2_sampler_params_default(void);

typedef struct lfm2_sampler lfm2_sampler;

/* n_vocab: length of the logits. allowed(ctx, id) says which ids may ever be sampled (NULL = all): asked here, once for each id.
 * Returns 0; LFM2_ERR_ARG (a parameter out of range, named in the log; or nothing allowed); LFM2_ERR_NOMEM. */
LFM2_API int lfm2_sampler_create(lfm2_runtime *rt, const lfm2_sampler_params *p, int32_t n_vocab,
                                 int (*allowed)(void *ctx, int32_t id), void *ctx, lfm2_sampler **out);
LFM2_API void lfm2_sampler_destroy(lfm2_sampler *s);

/* Ids seen so far (the prompt), for the repetition penalty. Ids out of range are ignored. */
LFM2_API void lfm2_sampler_accept(lfm2_sampler *s, int32_t id);
LFM2_API void lfm2_sampler_reset(lfm2_sampler *s); /* forget ids, restart the seed, no biases */

/* Make some ids more or less likely: `add` goes to their logits, before everything else; for an id that stands twice, both do. The
 * log-probability stays the model's own. */
typedef struct lfm2_bias {
    int32_t id;
    float add; /* finite */
} lfm2_bias;

/* biases [n]: borrowed until they are replaced (n = 0: none) or s is reset; may be changed between two tokens. Ids out of range or
 * not allowed have no influence. */
LFM2_API void lfm2_sampler_set_biases(lfm2_sampler *s, const lfm2_bias *biases, int32_t n);

/* Choose an id. logits f32 [n_vocab]; those of ids that are not allowed have no influence. *logprob (may be NULL): natural log of
 * the probability of the chosen id under the model itself (softmax of the logits over the allowed ids). The chosen id is accepted.
 * Returns 0; LFM2_ERR_ARG; LFM2_ERR_NONFINITE (NaN or +inf, or no finite logit). No heap allocation. */
LFM2_API int lfm2_sampler_next(lfm2_sampler *s, const float *logits, int32_t *id, float *logprob);

#define LFM2_STOP_MAP(X)                                                       \
    X(EOS, "eos")           /* an end token: the only complete ending */       \
    X(LENGTH, "length")     /* max_tok or the context was reached */           \
    X(LOOP, "loop")         /* degenerate repetition */                        \
    X(DEADLINE, "deadline") /* the time was up */                              \
    X(ABORT, "abort")       /* lfm2_runtime_abort() or the callback */

typedef enum lfm2_stop {
#define LFM2_STOP_ENUM(name, text) LFM2_STOP_##name,
    LFM2_STOP_MAP(LFM2_STOP_ENUM)
#undef LFM2_STOP_ENUM
} lfm2_stop;

/* "eos", "length", ... Static storage. */
LFM2_API const char *lfm2_stop_name(lfm2_stop stop);

typedef struct lfm2_generate_params {
    int32_t max_tok;        /* >= 1 */
    int64_t deadline_us;    /* from the start of the call; 0 = none */
    int32_t loop_min_tok;   /* a loop is a unit of at most loop_max_unit tokens that was repeated without any change for */
    int32_t loop_min_reps;  /* at least loop_min_tok tokens and loop_min_reps times; 0 = guard off, otherwise >= 2. True repeats */
    int32_t loop_max_unit;  /* (equal rows of a list) are shorter than that. 1..512 */
    const int32_t *end_ids; /* ids that end a generation (lfm2_tokenizer_end_ids()); NULL = none. Borrowed for the call */
    size_t n_end_ids;
} lfm2_generate_params;

/* max_tok 512, no deadline, loop guard 384 tokens, 24 times, unit <= 96, no end ids. */
LFM2_API lfm2_generate_params lfm2_generate_params_default(void);

/* Called for each new id that is not an end token; returning non-zero stops with LFM2_STOP_ABORT. */
typedef int lfm2_token_fn(void *ctx, int32_t id, float logprob);

typedef struct lfm2_generation {
    lfm2_stop stop;
    int32_t n_tok;         /* ids given to the callback */
    double sum_logprob;    /* over them */
} lfm2_generation;

/* Continue a sequence: prompt ids are appended (and accepted by the sampler), then tokens are sampled until something stops it.
 * The generated ids are in the sequence afterwards, the last one and an end token included, so that the next turn can be appended;
 * a deadline while the prompt is read leaves a part of it, and lfm2_runtime_abort() an empty sequence.
 * A token takes a place in the context: a full one means LFM2_STOP_LENGTH. logits: scratch f32 [n_vocab]. Many at once: batch.h.
 * Returns 0 with *out written; LFM2_ERR_RANGE if the prompt does not fit the context (both numbers in the log);
 * LFM2_ERR_ARG; LFM2_ERR_NONFINITE; LFM2_ERR_IO. An abort while the prompt is read is LFM2_STOP_ABORT, too. */
LFM2_API int lfm2_generate(lfm2_session *s, int32_t seq, const int32_t *prompt, int32_t n_prompt, lfm2_sampler *sampler,
                           const lfm2_generate_params *p, float *logits, lfm2_token_fn *fn, void *ctx,
                           lfm2_generation *out);

LFM2_END_DECLS

#endif
