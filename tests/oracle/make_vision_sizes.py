#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the reference makes of pictures of many sizes: plan, pixels and embeddings. Of golden/vl and of two other small encoders.

usage: make_vision_sizes.py

The pictures come from a formula (picture() here, picture() in test_oracle_sizes.c), so that only results are stored.
Writes for each checkpoint sizes.txt - a line for each case: width, height, setting, columns and rows of tiles, inputs, rows
and columns of the last input, tokens of all, CRC-32 of the bytes of all patches in their order - and sizes.safetensors: of case
i the embeddings of eight tokens `some.I` and a projection of all of them `all.I` onto 64 random signs. Needs transformers 5.23,
torch, torchvision.
"""
import json
import math
import pathlib
import zlib

import numpy as np
import torch
import torchvision.transforms.v2.functional as tv
from safetensors.torch import load_file, save_file
from transformers import Lfm2Config, Lfm2VlConfig, Lfm2VlForConditionalGeneration
from transformers.models.lfm2_vl.image_processing_lfm2_vl import Lfm2VlImageProcessor

HERE = pathlib.Path(__file__).parent
SETTINGS = {  # numbered as in test_oracle_sizes.c
    0: {},
    1: {"use_thumbnail": False},
    2: {"do_image_splitting": False},
    3: {"min_image_tokens": 32, "max_image_tokens": 64},
    4: {"min_image_tokens": 16, "max_image_tokens": 128, "min_tiles": 2, "max_tiles": 4},
    5: {"min_tiles": 1},
    6: {},  # letterbox
}
SIDES = [512, 513, 1023, 1024, 1025]
NAMED = [(640, 480), (1000, 300), (2048, 1536), (512, 512), (256, 384), (512, 400), (64, 64), (33, 47), (1280, 720), (1920, 1080),
         (1000, 3000), (4000, 300), (100, 1600)]
ODD = [(1, 1), (1, 2), (2, 1), (1, 100), (100, 1), (1, 1024), (1024, 1), (3, 700), (17, 23), (31, 31), (32, 32), (33, 33), (47, 33),
       (63, 65), (240, 32), (16, 16), (48, 48), (400, 512), (720, 720), (724, 724), (1400, 900), (300, 1700), (1500, 37),
       (37, 1500),
       (999, 1001), (1599, 401), (640, 1136), (513, 31)]
MORE = [((640, 480), 3), ((1280, 720), 1), ((1920, 1080), 2), ((1000, 3000), 4), ((1280, 720), 5), ((1400, 900), 6),
        ((1000, 3000), 6),
        ((1025, 1023), 6), ((4000, 300), 6)]


def picture(width, height):
    x, y, c = np.arange(width)[None, :, None], np.arange(height)[:, None, None], np.arange(3)[None, None, :]
    return ((x * 7 + y * 13 + c * 50 + (x * y >> 3) + ((x >> 4 ^ y >> 4) & 1) * 90) & 255).astype(np.uint8)


def letterboxed(rgb, width, height):
    h, w = rgb.shape[:2]
    scale = min(np.float32(width) / np.float32(w), np.float32(height) / np.float32(h))
    inner = [min(int(np.ceil(np.float32(n) * scale)), most) for n, most in ((h, height), (w, width))]
    small = tv.resize(torch.from_numpy(rgb).permute(2, 0, 1), inner, tv.InterpolationMode.BILINEAR, antialias=True)
    out = torch.zeros(3, height, width, dtype=torch.uint8)
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    out[:, top:top + inner[0], left:left + inner[1]] = small
    return out


def projection(embed):
    """Sums with random signs; in double."""
    flat = embed.double().numpy().reshape(-1)
    index = np.arange(flat.size, dtype=np.uint64)[:, None] * 64 + np.arange(64, dtype=np.uint64)
    out = np.zeros(64)
    for at in range(0, flat.size, 1 << 16):
        h = (index[at:at + (1 << 16)] * 0x9E3779B1 & 0xFFFFFFFF).astype(np.uint64)
        h ^= h >> 15
        h = h * 0x85EBCA77 & 0xFFFFFFFF
        h ^= h >> 13
        out += (flat[at:at + (1 << 16), None] * (1.0 - 2.0 * (h & 1))).sum(0)
    return torch.from_numpy(out / math.sqrt(flat.size)).float()


def run(folder, model, base, cases):
    lines, expected = [], {}
    for i, ((width, height), setting) in enumerate(cases):
        ip = Lfm2VlImageProcessor(**{**base, **SETTINGS[setting]})
        rgb = picture(width, height)
        call = dict(return_tensors="pt", return_row_col_info=True)
        out = ip(images=[torch.from_numpy(rgb).permute(2, 0, 1)], **call)
        rows, cols = int(out["image_rows"][0]), int(out["image_cols"][0])
        if setting == 6:
            tile = ip.tile_size
            boxed = ip(images=[letterboxed(rgb, cols * tile, rows * tile)], **call)
            n = rows * cols
            assert n > 1 and boxed["pixel_values"].shape[0] >= n
            out["pixel_values"][:n] = boxed["pixel_values"][:n]
        shapes = out["spatial_shapes"]
        with torch.no_grad():
            embed = model.model.get_image_features(pixel_values=out["pixel_values"], spatial_shapes=shapes,
                                                   pixel_attention_mask=out["pixel_attention_mask"])
        embed = getattr(embed, "pooler_output", embed)
        if isinstance(embed, (list, tuple)):
            embed = torch.cat([e.reshape(-1, e.shape[-1]) for e in embed])
        embed = embed.reshape(-1, embed.shape[-1]).float()
        crc = 0
        for values, (r, c) in zip(out["pixel_values"], shapes.tolist()):
            crc = zlib.crc32(((values[:r * c] + 1) * 127.5).round().to(torch.uint8).numpy().tobytes(), crc)
        n_tok = sum(r * c // 4 for r, c in shapes.tolist())
        assert embed.shape[0] == n_tok
        lines.append(" ".join(map(str, [width, height, setting, cols, rows, len(shapes), *shapes[-1].tolist(), n_tok, crc])))
        expected[f"some.{i}"] = embed[[k * (n_tok - 1) // 7 for k in range(8)]].contiguous()
        expected[f"all.{i}"] = projection(embed)
        print(folder.name, lines[-1], flush=True)
    (folder / "sizes.txt").write_text("\n".join(lines) + "\n")
    save_file(expected, str(folder / "sizes.safetensors"))


def small_text():
    return Lfm2Config(vocab_size=64, hidden_size=32, intermediate_size=32, block_ff_dim=32, num_hidden_layers=2,
                      num_attention_heads=2, num_key_value_heads=1, layer_types=["conv", "full_attention"],
                      block_auto_adjust_ff_dim=False).to_dict()


def small(name, seed, hidden, heads, ff, layers, projector, with_norm, prefixes, processor, in_config):
    """A checkpoint with the peculiarities of a published shape, under names of another time."""
    torch.manual_seed(seed)
    folder = HERE / "fixtures" / name
    folder.mkdir(parents=True, exist_ok=True)
    config = Lfm2VlConfig(text_config=small_text(), vision_config=dict(
        model_type="siglip2_vision_model", hidden_size=hidden, intermediate_size=ff, num_hidden_layers=layers,
        num_attention_heads=heads, num_channels=3, num_patches=256, patch_size=16, hidden_act="gelu_pytorch_tanh",
        layer_norm_eps=1e-6, attention_dropout=0.0, vision_use_head=False), projector_hidden_act="gelu",
        projector_hidden_size=projector, projector_bias=True, projector_use_layernorm=with_norm, downsample_factor=2)
    model = Lfm2VlForConditionalGeneration(config).eval()
    with torch.no_grad():
        for n, p in model.named_parameters():
            if p.ndim >= 2:
                p.copy_(torch.randn_like(p) * 1.3 / math.sqrt(p[0].numel()))
            else:
                p.copy_((1 if n.endswith("weight") and "norm" in n else 0) + 0.15 * torch.randn_like(p))
            p.copy_(p.bfloat16().float())
    tensors = {}
    for n, p in model.state_dict().items():
        for old, new in prefixes:
            if n.startswith(old):
                tensors[new + n[len(old):]] = p.bfloat16().contiguous()
    save_file(tensors, str(folder / "model.safetensors"), metadata={"format": "pt"})
    text = config.to_dict()
    keep = ("model_type", "vision_config", "text_config", "projector_hidden_act", "projector_hidden_size", "projector_bias",
            "downsample_factor")
    out = {k: text[k] for k in keep} | ({} if with_norm else {"projector_use_layernorm": False})
    if in_config:
        out |= processor | {"max_pixels_tolerance": 2.0, "encoder_patch_size": 16}
        (folder / "preprocessor_config.json").write_text(json.dumps({"image_processor_type": "Siglip2ImageProcessor",
                                                                     "do_resize": False}))
    else:
        (folder / "processor_config.json").write_text(json.dumps({"image_processor": processor,
                                                                  "processor_class": "Lfm2VlProcessor"}))
    (folder / "config.json").write_text(json.dumps(out, indent=1) + "\n")
    sizes = [(64, 64), (33, 47), (300, 200), (500, 100), (1, 1), (129, 127), (96, 640)]
    run(folder, model, processor, [(s, 0) for s in sizes])


def main():
    torch.set_num_threads(1)
    golden = HERE / "golden" / "vl"
    config = Lfm2VlConfig.from_pretrained(golden)
    model = Lfm2VlForConditionalGeneration(config).eval()
    tensors = {n.replace("vision_tower.vision_model.", "vision_tower."): t.float()
               for n, t in load_file(str(golden / "model.safetensors")).items()}
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    assert not unexpected and all("lm_head" in m for m in missing), (missing, unexpected)
    pairs = [(w, h) for w in SIDES for h in SIDES]
    cases = [(s, 0) for s in dict.fromkeys(NAMED + pairs + ODD)] + MORE
    small("vl-400m", 5, 144, 2, 88, 2, 40, False,
          [("model.vision_tower.", "model.vision_tower."), ("model.multi_modal_projector.", "model.multi_modal_projector.")],
          {"min_image_tokens": 4, "max_image_tokens": 16, "tile_size": 64, "min_tiles": 1, "max_tiles": 6}, False)
    small("vl-86m", 6, 128, 2, 96, 1, 48, True,
          [("model.vision_tower.", "vision_tower.vision_model."), ("model.multi_modal_projector.", "multi_modal_projector.")],
          {"min_image_tokens": 4, "max_image_tokens": 24, "tile_size": 96, "use_thumbnail": False}, True)
    run(golden, model, {}, cases)


if __name__ == "__main__":
    main()
