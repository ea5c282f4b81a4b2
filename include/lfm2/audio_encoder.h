/* SPDX-License-Identifier: Apache-2.0
 * Hearing: log-mel features of 16 kHz sound, whole or piece by piece, and the encoder that turns them into embeddings for the
 * backbone. */
#ifndef LFM2_AUDIO_ENCODER_H
#define LFM2_AUDIO_ENCODER_H

#include "lfm2/weights.h"

LFM2_BEGIN_DECLS

#define LFM2_MEL_RATE_HZ 16000
#define LFM2_MEL_HOP_SAMPLES 160      /* a frame every 10 ms */
#define LFM2_MEL_MIN_SAMPLES 320      /* the shortest sound that can be normalised */
#define LFM2_MEL_MAX_FRAMES (1 << 20) /* of one sound: almost three hours */

/* Frames of a sound: 1 + floor(n_samples / 160), the last of which is zero after normalisation; 0 for fewer than
 * LFM2_MEL_MIN_SAMPLES or more than LFM2_MEL_MAX_FRAMES frames. */
LFM2_API int32_t lfm2_mel_n_frames(int64_t n_samples);

typedef struct lfm2_mel lfm2_mel;

/* A log-mel front end for one sound at a time. n_mels: 1..256 (lfm2_audio_config).
 * Returns 0; LFM2_ERR_ARG; LFM2_ERR_NOMEM. Not thread-safe; nothing after create allocates. */
LFM2_API int lfm2_mel_create(lfm2_runtime *rt, int32_t n_mels, lfm2_mel **out);
LFM2_API void lfm2_mel_destroy(lfm2_mel *mel);

/* Whole sound: f32 mono 16 kHz samples in, normalised frames f32 [n_frames, n_mels] out; *n_frames as lfm2_mel_n_frames() says.
 * Leaves mel as after lfm2_mel_reset(). Returns 0; LFM2_ERR_ARG; LFM2_ERR_RANGE (too short, too long, or cap_frames too small);
 * LFM2_ERR_NONFINITE (a sample is no number, or beyond 1e30); LFM2_ERR_ABORTED. After the last two, frames are undefined. */
LFM2_API int lfm2_mel_compute(lfm2_mel *mel, const float *samples, int64_t n_samples, float *frames, int32_t cap_frames,
                              int32_t *n_frames);

/* Piece by piece: push samples in pieces of any size and collect the frames that each completes; finish gives the rest; then
 * lfm2_mel_normalize() over all of them gives the very bits of lfm2_mel_compute(). */

/* Frames that a push of n_samples would complete. */
LFM2_API int32_t lfm2_mel_n_ready(const lfm2_mel *mel, int64_t n_samples);

/* frames: f32 [cap_frames, n_mels], not yet normalised; *n_frames of them are written. n_samples may be 0.
 * Returns 0; LFM2_ERR_ARG; LFM2_ERR_RANGE (cap_frames < lfm2_mel_n_ready(), or the sound has become too long);
 * LFM2_ERR_NONFINITE (a sample is no number, or beyond 1e30); after a failure no sample was taken. */
LFM2_API int lfm2_mel_push(lfm2_mel *mel, const float *samples, int64_t n_samples, float *frames, int32_t cap_frames,
                           int32_t *n_frames);

/* End of the sound: at most 2 frames more. Then mel is as after reset.
 * Returns 0; LFM2_ERR_ARG; LFM2_ERR_RANGE (cap_frames too small, or fewer than LFM2_MEL_MIN_SAMPLES; nothing changes). */
LFM2_API int lfm2_mel_finish(lfm2_mel *mel, float *frames, int32_t cap_frames, int32_t *n_frames);

/* Forget the sound begun. */
LFM2_API void lfm2_mel_reset(lfm2_mel *mel);

/* Normalise all frames of one sound in place: each feature to mean 0 and deviation 1 over all frames but the last, which becomes
 * zero. n_frames >= 3. Returns 0 or LFM2_ERR_ARG. */
LFM2_API int lfm2_mel_normalize(float *frames, int32_t n_frames, int32_t n_mels);

typedef struct lfm2_audio_config {
    int32_t n_mels;     /* features of a frame */
    int32_t n_layers;
    int32_t d_model;    /* width of the encoder */
    int32_t n_heads;
    int32_t d_ff;
    int32_t n_taps;     /* of the convolution module; odd */
    int32_t n_channels; /* of the subsampling convolutions */
    int32_t d_adapter;  /* hidden width of the adapter */
    int32_t d_out;      /* width of the embeddings: d_model of the backbone */
    int32_t n_ctc_classes; /* of the CTC head, the blank included; 0 = the checkpoint has none */
    int32_t ctc_upsample;  /* CTC frames of each embedding; 0 without the head */
} lfm2_audio_config;

#define LFM2_AUDIO_MAX_LAYERS 128
#define LFM2_AUDIO_MAX_TOK 8192 /* in one call: almost eleven minutes */

typedef struct lfm2_audio_encoder lfm2_audio_encoder;

/* Load the encoder of a checkpoint: safetensors with its config.json, or a GGUF encoder file (see lfm2_weights_open for path).
 * The files stay mapped until unload. Immutable: may be shared by threads. Returns 0; LFM2_ERR_ARG; LFM2_ERR_NOT_FOUND;
 * LFM2_ERR_IO; LFM2_ERR_FORMAT; LFM2_ERR_LIMIT; LFM2_ERR_UNSUPPORTED (no audio encoder, or a variant, named in the log);
 * LFM2_ERR_NONFINITE (batch statistics that cannot be); LFM2_ERR_NOMEM. */
LFM2_API int lfm2_audio_encoder_load(lfm2_runtime *rt, const char *path, lfm2_audio_encoder **out);
/* As lfm2_vision_create_random(). */
LFM2_API int lfm2_audio_encoder_create_random(lfm2_runtime *rt, const char *config_path, lfm2_dtype t, uint64_t seed,
                                              int32_t d_model, lfm2_audio_encoder **out);
LFM2_API void lfm2_audio_encoder_unload(lfm2_audio_encoder *enc);

LFM2_API const lfm2_audio_config *lfm2_audio_encoder_config(const lfm2_audio_encoder *enc);

/* Embeddings of n_frames frames: ceil(n_frames / 8); 0 for n_frames < 1. */
LFM2_API int32_t lfm2_audio_n_tok(int32_t n_frames);

/* Memory of a call: for at most cap_tok embeddings (1..LFM2_AUDIO_MAX_TOK) over all segments. One call at a time uses it.
 * Returns 0; LFM2_ERR_ARG; LFM2_ERR_NOMEM. Destroy before the encoder is unloaded. */
typedef struct lfm2_audio_scratch lfm2_audio_scratch;
LFM2_API int lfm2_audio_scratch_create(const lfm2_audio_encoder *enc, int32_t cap_tok, lfm2_audio_scratch **out);
LFM2_API void lfm2_audio_scratch_destroy(lfm2_audio_scratch *s);
/* Microseconds of the last encoding with s that went into the adapter. */
LFM2_API int64_t lfm2_audio_scratch_adapter_us(const lfm2_audio_scratch *s);

typedef struct lfm2_audio_segment {
    const float *mel; /* f32 [n_frames, n_mels], normalised */
    int32_t n_frames; /* >= 1 */
} lfm2_audio_segment;

/* Encode segments, none of which sees another, in one ragged pass. out: caller's f32 [cap_tok, d_out]: lfm2_audio_n_tok() rows of
 * each segment in order, *n_tok in all; undefined after a failure, while *n_tok is written only on success. No heap allocation.
 * Returns 0; LFM2_ERR_ARG; LFM2_ERR_RANGE (more rows than cap_tok or scratch have room for); LFM2_ERR_NONFINITE; LFM2_ERR_IO
 * (file cut short); LFM2_ERR_ABORTED. */
LFM2_API int lfm2_audio_encode(const lfm2_audio_encoder *enc, const lfm2_audio_segment *segments, int32_t n_segments,
                               lfm2_audio_scratch *scratch, float *out, int32_t cap_tok, int32_t *n_tok);

/* Code points of the CTC head's classes: [n_ctc_classes], class 0 (the blank) is 0; NULL without the head. Owned by enc. */
LFM2_API const uint32_t *lfm2_audio_ctc_alphabet(const lfm2_audio_encoder *enc);

/* The same, and from the same pass what the CTC head hears: natural logarithms of the classes' probabilities.
 * ctc: caller's f32 [cap_tok ctc_upsample, n_ctc_classes], ctc_upsample consecutive rows for each embedding; NULL = not wanted.
 * Undefined after a failure. Also LFM2_ERR_UNSUPPORTED (ctc, but the encoder has no head). */
LFM2_API int lfm2_audio_encode_ctc(const lfm2_audio_encoder *enc, const lfm2_audio_segment *segments, int32_t n_segments,
                                   lfm2_audio_scratch *scratch, float *out, float *ctc, int32_t cap_tok, int32_t *n_tok);

LFM2_END_DECLS

#endif
