#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make tests/oracle/audio_shapes: what the reference encoder computes in shapes other than golden/audio's.

usage: make_audio.py OUTDIR LIQUID_AUDIO
LIQUID_AUDIO: an unpacked tree of the reference package liquid-audio. Needs torch, transformers, safetensors, librosa.

No weights are stored: they come from a formula that test_audio_shapes computes as well (weight() there, formula() here), in values
that BF16 holds exactly. Of the frames every MEL_STRIDE-th feature is kept. The greedy ids are those of golden/audio's backbone.
"""
import json
import sys
import types
import wave
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import Lfm2Config, Lfm2Model

HERE = Path(__file__).parent
GOLDEN = HERE / "golden/audio"
MEL_STRIDE = 4
N_GREEDY = 12
PREPROCESSOR = dict(sample_rate=16000, normalize="per_feature", window_size=0.025, window_stride=0.01, window="hann", n_fft=512,
                    log=True, frame_splicing=1, dither=1e-5, pad_to=0, pad_value=0.0)
ENCODER = dict(feat_out=-1, subsampling="dw_striding", subsampling_factor=8, causal_downsampling=False, reduction=None,
               reduction_position=None, reduction_factor=1, self_attention_model="rel_pos", att_context_size=[-1, -1],
               xscaling=False, untie_biases=True, pos_emb_max_len=5000, conv_norm_type="batch_norm", conv_context_size=None,
               dropout=0.1, dropout_pre_encoder=0.1, dropout_emb=0.0, dropout_att=0.1)
SHAPES = {
    "published": dict(feat_in=128, n_layers=17, d_model=512, n_heads=8, ff_expansion_factor=4, conv_kernel_size=9,
                      subsampling_conv_channels=256, d_adapter=2048, d_out=128, first_sample=8000, n_samples=24000),
    "other": dict(feat_in=80, n_layers=5, d_model=96, n_heads=6, ff_expansion_factor=2, conv_kernel_size=15,
                  subsampling_conv_channels=40, d_adapter=160, d_out=128, first_sample=40001, n_samples=79999,
                  ctc=dict(upsample=4, alphabet=" 'abcdefghijklmnopqrstuvwxyzäß")),
}


def formula(name, shape):
    """Pseudo-random values of a tensor from its name alone."""
    seed = 2166136261
    for byte in name.encode():
        seed = (seed ^ byte) * 16777619 & 0xFFFFFFFF
    n = int(np.prod(shape))
    x = (np.arange(n, dtype=np.uint64) * 0x9E3779B1 + seed & 0xFFFFFFFF).astype(np.uint32)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846CA68B)
    x ^= x >> np.uint32(16)
    top8, top4 = (x >> np.uint32(24)).astype(np.float64), (x >> np.uint32(28)).astype(np.float64)
    signed = (top8 - 127.5) / 128
    if name.endswith("running_var"):
        v = 0.5 + top4 / 16
    elif name.endswith(("bias", "running_mean", "pos_bias_u", "pos_bias_v")):
        v = signed / 8
    elif len(shape) == 1:
        v = 1 + (top4 - 8) / 32
    else:
        n_in, scale = int(np.prod(shape[1:])), 1.0
        while scale * scale * n_in > 3:
            scale /= 2
        v = signed * scale
    return torch.from_numpy(v.astype(np.float32).reshape(shape))


def load_reference(root):
    for name, path in (("liquid_audio", "src/liquid_audio"), ("liquid_audio.model", "src/liquid_audio/model")):
        module = types.ModuleType(name)
        module.__path__ = [f"{root}/{path}"]
        sys.modules[name] = module
    from liquid_audio.model.conformer.encoder import ConformerEncoder
    from liquid_audio.model.conformer.processor import AudioToMelSpectrogramPreprocessor
    from liquid_audio.model.mlp import MLP
    return ConformerEncoder, AudioToMelSpectrogramPreprocessor, MLP


def read_samples(path, first, n):
    with wave.open(str(path)) as w:
        assert (w.getframerate(), w.getnchannels(), w.getsampwidth()) == (16000, 1, 2)
        x = np.frombuffer(w.readframes(w.getnframes()), np.int16)
    assert len(x) >= first + n
    return torch.from_numpy(x[first:first + n].astype(np.float32) / 32768)[None]


def load_backbone():
    config = json.loads((GOLDEN / "config.json").read_text())["lfm"]
    model = Lfm2Model(Lfm2Config(**config)).eval()
    state = load_file(str(GOLDEN / "model.safetensors"))
    model.load_state_dict({k[4:]: t.float() for k, t in state.items() if k.startswith("lfm.")})
    return model


def greedy(backbone, prefix, embed, suffix):
    words = lambda ids: backbone.embed_tokens(torch.tensor([ids]))
    ids = []
    with torch.no_grad():
        h = torch.cat([words(prefix), embed[None], words(suffix)], 1)
        for _ in range(N_GREEDY):
            logits = backbone(inputs_embeds=h).last_hidden_state[0, -1] @ backbone.embed_tokens.weight.T
            top = logits.topk(2).values
            if top[0] - top[1] < 1e-3 * logits.abs().max():  # decided by a hair: rounding may decide otherwise
                break
            ids.append(int(logits.argmax()))
            h = torch.cat([h, words(ids[-1:])], 1)
    assert len(ids) >= 6, "move first_sample"
    return ids


def make(name, shape, reference, backbone, expected):
    conformer, front, mlp = reference
    shape = dict(shape)
    own = {k: shape.pop(k, None) for k in ("d_adapter", "d_out", "first_sample", "n_samples", "ctc")}
    config = {"preprocessor": {**PREPROCESSOR, "features": shape["feat_in"]}, "encoder": {**ENCODER, **shape}}
    if own["ctc"]:
        config["ctc"] = own["ctc"]

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conformer = conformer(**config["encoder"])
            self.audio_adapter = mlp(self.conformer._feat_out, own["d_out"], [own["d_adapter"]])
            if own["ctc"]:
                self.ctc_head = torch.nn.Linear(shape["d_model"], own["ctc"]["upsample"] * (1 + len(own["ctc"]["alphabet"])))

    model = Model().eval()
    state = {k: formula(k, tuple(t.shape)) if t.is_floating_point() else t for k, t in model.state_dict().items()}
    assert all(torch.equal(t, t.bfloat16().float()) for t in state.values() if t.is_floating_point())
    model.load_state_dict(state)
    sound = read_samples(GOLDEN / "jfk.wav", own["first_sample"], own["n_samples"])
    with torch.no_grad():
        mel, _ = front(**config["preprocessor"]).eval()(sound, torch.tensor([sound.shape[1]]))
        hidden, n = model.conformer(mel, torch.tensor([mel.shape[2]]))
        hidden = hidden[0].mT[:int(n[0])]
        embed = model.audio_adapter(hidden)
        expected[f"{name}.mel"] = mel[0].T[:, ::MEL_STRIDE].contiguous()
        expected[f"{name}.embed"] = embed.contiguous()
        if own["ctc"]:
            rows = model.ctc_head(hidden).reshape(-1, 1 + len(own["ctc"]["alphabet"]))
            expected[f"{name}.ctc"] = rows.log_softmax(-1).contiguous()
    prompt = json.loads((GOLDEN / "cases.json").read_text())[0]
    prefix, suffix = prompt["prefix"], prompt["suffix"]
    print(name, "mel", tuple(mel.shape), "embed", tuple(embed.shape), "spread", float(embed.std()),
          "least cosine of two tokens", float(torch.nn.functional.cosine_similarity(embed[:, None], embed[None], dim=-1).min()))
    return {"name": name, "config": config, "d_adapter": own["d_adapter"], "d_out": own["d_out"], "file": "golden/audio/jfk.wav",
            "first_sample": own["first_sample"], "n_samples": own["n_samples"], "mel_stride": MEL_STRIDE,
            "mel_frames": mel.shape[2], "n_audio_tokens": len(embed), "prefix": prefix, "suffix": suffix,
            "greedy": greedy(backbone, prefix, embed, suffix)}


def main():
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    reference, backbone, expected = load_reference(sys.argv[2]), load_backbone(), {}
    cases = [make(name, shape, reference, backbone, expected) for name, shape in SHAPES.items()]
    save_file(expected, str(out / "expected.safetensors"))
    (out / "cases.json").write_text(json.dumps(cases, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
