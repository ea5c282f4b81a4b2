/* SPDX-License-Identifier: Apache-2.0
 * When the words of a transcript were said: by a CTC head's probabilities, or by the attention that its tokens paid to the sound.
 * Times count from the first frame. Where words cannot be placed reliably, that is said, and no time is given. */
#ifndef LFM2__ALIGN_H
#define LFM2__ALIGN_H

#include "base/compiler.h"
#include "lfm2/runtime.h"

/* A word. In: text, n_bytes. Out, if the alignment is reliable: times, in order and not overlapping; end_us > start_us unless
 * there are more words than frames. */
typedef struct lfm2__align_word {
    const char *text; /* UTF-8, without blanks */
    size_t n_bytes;
    int64_t start_us, end_us;
} lfm2__align_word;

/* What came of an alignment. reliable is what the caller obeys; score, 0..1, is what it was judged by. */
typedef struct lfm2__align_verdict {
    int reliable;
    float score;
} lfm2__align_verdict;

/* By CTC: what lfm2_audio_encode_ctc() wrote for one segment.
 * The words' characters are looked up as they are, then in lower case, then in upper case; those that the alphabet has not are left
 * out, and a word without any gets its time between its neighbours. If the alphabet has a blank (U+0020), one stands between words.
 * Score: the mean over the characters of the greatest probability that they reach in the frames they were given. Reliable: at
 * least LFM2__ALIGN_CTC_MIN, and at least half of the letters and digits could be looked up. */
#define LFM2__ALIGN_CTC_MIN 0.4f
#define LFM2__ALIGN_MAX_CELLS ((size_t)1 << 28) /* of the frames x states table; two bits each */

typedef struct lfm2__align_ctc_in {
    const float *logp;        /* f32 [n_frames, n_classes] */
    int32_t n_frames, n_classes;
    const uint32_t *alphabet; /* [n_classes] */
    int64_t frame_us;         /* 80,000 / ctc_upsample */
} lfm2__align_ctc_in;

/* Returns 0 (look at *verdict); LFM2_ERR_LIMIT (more than LFM2__ALIGN_MAX_CELLS); LFM2_ERR_UTF8; LFM2_ERR_NOMEM;
 * LFM2_ERR_ABORTED. */
int lfm2__align_ctc(lfm2_runtime *rt, const lfm2__align_ctc_in *in, lfm2__align_word *words, int32_t n_words,
                    lfm2__align_verdict *verdict) LFM2__NODISCARD;

/* By attention, for checkpoints without a CTC head. The session writes down what the newest token of a sequence attends to
 * (lfm2_session_watch_attention()); each generated token's row is pushed, then all are placed at once. */
typedef struct lfm2__align_attn lfm2__align_attn;

/* n_heads: of all attention layers together; n_frames: audio positions of the segment; cap_tok: most tokens.
 * Returns 0; LFM2_ERR_LIMIT (more than LFM2__ALIGN_MAX_WEIGHTS values); LFM2_ERR_NOMEM. */
#define LFM2__ALIGN_MAX_WEIGHTS ((size_t)1 << 26) /* one byte each */
int lfm2__align_attn_create(lfm2_runtime *rt, int32_t n_heads, int32_t n_frames, int32_t cap_tok,
                            lfm2__align_attn **out) LFM2__NODISCARD;
void lfm2__align_attn_destroy(lfm2__align_attn *a); /* NULL is allowed */

/* The next generated token. weights: f32 [n_heads, n_frames], the attention in the pass that gave this token. Does not allocate.
 * Returns 0 or LFM2_ERR_RANGE (more than cap_tok). */
int lfm2__align_attn_push(lfm2__align_attn *a, const float *weights) LFM2__NODISCARD;

/* Place the words. word_of_tok: for each token pushed the word that it is a part of, in order; -1 = of none (a special token).
 * frame_us: 80,000. words: only the times are written. Rules in align_attention.c.
 * Returns 0 (look at *verdict); LFM2_ERR_ARG (word_of_tok is out of order or range); LFM2_ERR_NOMEM. */
int lfm2__align_attn_finish(lfm2__align_attn *a, const int32_t *word_of_tok, int64_t frame_us, lfm2__align_word *words,
                            int32_t n_words, lfm2__align_verdict *verdict) LFM2__NODISCARD;

/* Empty, for the next segment of n_frames, at most as many as at create. */
void lfm2__align_attn_reset(lfm2__align_attn *a, int32_t n_frames);

/* Words without times of their own (start_us < 0) share the time between their neighbours, or between 0 and the sound's end. */
void lfm2__align_fill(lfm2__align_word *words, int32_t n_words, int64_t total_us);

#endif
