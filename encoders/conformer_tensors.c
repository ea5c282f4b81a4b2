/* SPDX-License-Identifier: Apache-2.0
 * The tensors of the audio encoder: names of both containers side by side, shapes in letters, and where they go. */
#include <stddef.h>

#include "encoders/conformer_impl.h"

typedef enum dim {
    DIM_ONE, DIM_3, DIM_C, DIM_CF, DIM_D, DIM_2D, DIM_H, DIM_HEAD, DIM_FF, DIM_K, DIM_A, DIM_O, DIM_CTC, N_DIMS
} dim;

#define ENC(member) offsetof(lfm2_audio_encoder, member)
#define LAYER(member) offsetof(lfm2__conformer_layer, member)
#define DIMS(...) LFM2__COUNT_OF(((const dim[]){ __VA_ARGS__ })), { __VA_ARGS__ }
#define VEC(st, gguf, place, ...) { st, gguf, DIMS(__VA_ARGS__), LFM2__BIND_F32, (place) + offsetof(lfm2__vec, src) }
#define MAT(st, gguf, place, ...) { st, gguf, DIMS(__VA_ARGS__), 0, place }
#define LINEAR(st, gguf, place, out, in) \
    MAT(st ".weight", gguf ".weight", place + offsetof(lfm2__linear, w), out, in), \
    VEC(st ".bias", gguf ".bias", place + offsetof(lfm2__linear, b), out)
#define NORM(st, gguf, place, n) \
    VEC(st ".weight", gguf ".weight", place + offsetof(lfm2__norm, w), n), \
    VEC(st ".bias", gguf ".bias", place + offsetof(lfm2__norm, b), n)
#define CONV(st, gguf, i) \
    VEC(st ".weight", gguf ".weight", ENC(sub[i].taps), DIM_C, DIM_ONE, DIM_3, DIM_3), \
    VEC(st ".bias", gguf ".bias", ENC(sub[i].bias), DIM_C)

#define ST "conformer.pre_encode."
#define AD "audio_adapter.model."
static const lfm2__table_row ENCODER_ROWS[] = {
    CONV(ST "conv.0", "a.conv1d.0", 0),
    CONV(ST "conv.2", "a.conv1d.2", 1),
    LINEAR(ST "conv.3", "a.conv1d.3", ENC(point[0]), DIM_C, DIM_C),
    CONV(ST "conv.5", "a.conv1d.5", 2),
    LINEAR(ST "conv.6", "a.conv1d.6", ENC(point[1]), DIM_C, DIM_C),
    LINEAR(ST "out", "a.pre_encode.out", ENC(sub_out), DIM_D, DIM_CF),
    NORM(AD "0", "mm.a.mlp.0", ENC(adapter_norm), DIM_D),
    LINEAR(AD "1", "mm.a.mlp.1", ENC(adapter[0]), DIM_A, DIM_D),
    LINEAR(AD "3", "mm.a.mlp.3", ENC(adapter[1]), DIM_O, DIM_A),
};
#undef ST

static const lfm2__table_row CTC_ROWS[] = { LINEAR("ctc_head", "a.ctc", ENC(ctc), DIM_CTC, DIM_D) };

#define ST "conformer.layers.%d."
#define GG "a.blk.%d."
#define BN ST "conv.batch_norm."
static const lfm2__table_row LAYER_ROWS[] = {
    NORM(ST "norm_feed_forward1", GG "ffn_norm", LAYER(ff[0].norm), DIM_D),
    LINEAR(ST "feed_forward1.linear1", GG "ffn_up", LAYER(ff[0].up), DIM_FF, DIM_D),
    LINEAR(ST "feed_forward1.linear2", GG "ffn_down", LAYER(ff[0].down), DIM_D, DIM_FF),
    NORM(ST "norm_self_att", GG "ln1", LAYER(norm_attn), DIM_D),
    LINEAR(ST "self_attn.linear_q", GG "attn_q", LAYER(q), DIM_D, DIM_D),
    LINEAR(ST "self_attn.linear_k", GG "attn_k", LAYER(k), DIM_D, DIM_D),
    LINEAR(ST "self_attn.linear_v", GG "attn_v", LAYER(v), DIM_D, DIM_D),
    LINEAR(ST "self_attn.linear_out", GG "attn_out", LAYER(out), DIM_D, DIM_D),
    MAT(ST "self_attn.linear_pos.weight", GG "linear_pos.weight", LAYER(pos), DIM_D, DIM_D),
    VEC(ST "self_attn.pos_bias_u", GG "pos_bias_u", LAYER(pos_u), DIM_H, DIM_HEAD),
    VEC(ST "self_attn.pos_bias_v", GG "pos_bias_v", LAYER(pos_v), DIM_H, DIM_HEAD),
    NORM(ST "norm_conv", GG "norm_conv", LAYER(norm_conv), DIM_D),
    LINEAR(ST "conv.pointwise_conv1", GG "conv_pw1", LAYER(conv_in), DIM_2D, DIM_D),
    VEC(ST "conv.depthwise_conv.weight", GG "conv_dw.weight", LAYER(taps), DIM_D, DIM_ONE, DIM_K),
    VEC(ST "conv.depthwise_conv.bias", GG "conv_dw.bias", LAYER(taps_bias), DIM_D),
    VEC(BN "weight", GG "conv_norm.weight", LAYER(bn_weight), DIM_D),
    VEC(BN "bias", GG "conv_norm.bias", LAYER(bn_bias), DIM_D),
    VEC(BN "running_mean", NULL, LAYER(bn_mean), DIM_D),
    VEC(BN "running_var", NULL, LAYER(bn_var), DIM_D),
    { BN "num_batches_tracked", NULL, 0, { DIM_ONE }, LFM2__BIND_UNREAD, LAYER(bn_count) },
    LINEAR(ST "conv.pointwise_conv2", GG "conv_pw2", LAYER(conv_out), DIM_D, DIM_D),
    NORM(ST "norm_feed_forward2", GG "ffn_norm_1", LAYER(ff[1].norm), DIM_D),
    LINEAR(ST "feed_forward2.linear1", GG "ffn_up_1", LAYER(ff[1].up), DIM_FF, DIM_D),
    LINEAR(ST "feed_forward2.linear2", GG "ffn_down_1", LAYER(ff[1].down), DIM_D, DIM_FF),
    NORM(ST "norm_out", GG "ln2", LAYER(norm_out), DIM_D),
};

int lfm2__audio_tensors(lfm2_audio_encoder *enc, lfm2__tensor_fn *fn, void *ctx)
{
    const lfm2_audio_config *c = &enc->cfg;
    const int64_t dims[N_DIMS] = { [DIM_ONE] = 1, [DIM_3] = 3, [DIM_C] = c->n_channels,
                                   [DIM_CF] = (int64_t)c->n_channels * lfm2__audio_n_freq(c, 3), [DIM_D] = c->d_model,
                                   [DIM_2D] = 2 * (int64_t)c->d_model, [DIM_H] = c->n_heads,
                                   [DIM_HEAD] = c->d_model / c->n_heads, [DIM_FF] = c->d_ff, [DIM_K] = c->n_taps,
                                   [DIM_A] = c->d_adapter, [DIM_O] = c->d_out,
                                   [DIM_CTC] = (int64_t)c->ctc_upsample * c->n_ctc_classes };
    const lfm2__table_walk w = { .dims = dims, .fn = fn, .ctx = ctx };
    int rc = LFM2__WALK_TABLE(&w, ENCODER_ROWS, enc, -1, -1);
    if (rc == 0 && c->n_ctc_classes > 0) rc = LFM2__WALK_TABLE(&w, CTC_ROWS, enc, -1, -1);
    for (int32_t l = 0; rc == 0 && l < c->n_layers; l++) rc = LFM2__WALK_TABLE(&w, LAYER_ROWS, &enc->layers[l], l, -1);
    return rc;
}
