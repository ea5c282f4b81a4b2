#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the reference image processor makes of images of many sizes.

usage: make_vision_plan.py > vision_plan.txt

A line for each size and setting: width, height, setting, columns and rows of tiles, inputs, rows and columns of patches of the last
input, tokens of all inputs. All inputs but the last are 32 x 32 patches. Needs transformers 5.23, torch, torchvision, Pillow.
"""
import itertools
import random

import torch
from transformers.models.lfm2_vl.image_processing_lfm2_vl import Lfm2VlImageProcessor

SETTINGS = {  # numbered as in test_vision_plan.c
    0: {},
    1: {"use_thumbnail": False},
    2: {"do_image_splitting": False},
    3: {"min_image_tokens": 32, "max_image_tokens": 64},
    4: {"min_image_tokens": 16, "max_image_tokens": 128, "min_tiles": 2, "max_tiles": 4},
}
SIDES = [1, 31, 33, 100, 300, 512, 513, 704, 720, 724, 1023, 1024, 1025, 1600]
NAMED = [(640, 480), (1000, 300), (2048, 1536), (512, 512), (256, 384), (512, 400), (64, 64), (33, 47), (1280, 720), (1920, 1080),
         (1000, 3000), (4000, 300), (100, 1600), (300, 4000), (3000, 2000), (752, 688), (720, 720), (724, 724)]


def main():
    rng = random.Random(1)
    sizes = NAMED + list(itertools.product(SIDES, SIDES))
    sizes += [(rng.randint(1, 1500), rng.randint(1, 1500)) for _ in range(60)]
    cases = [(size, 0) for size in sizes] + [(size, s) for size in NAMED for s in (1, 2, 3, 4)]
    for (w, h), setting in cases:
        ip = Lfm2VlImageProcessor(**SETTINGS[setting])
        try:
            out = ip(images=[torch.zeros(3, h, w, dtype=torch.uint8)], return_tensors="pt", return_row_col_info=True)
        except RuntimeError:  # inputs of one image are of different lengths: too long and thin for its tiles
            continue
        shapes = out["spatial_shapes"].tolist()
        assert all(s == [32, 32] for s in shapes[:-1])
        rows, cols = int(out["image_rows"][0]), int(out["image_cols"][0])
        print(w, h, setting, cols, rows, len(shapes), *shapes[-1], sum(a * b // 4 for a, b in shapes))


if __name__ == "__main__":
    main()
