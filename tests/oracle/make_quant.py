#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write tests/oracle/quant/*.bin: what the Python `gguf` package makes of blocks and of rows. Usage: make_quant.py OUT_FOLDER

dequant_TYPE.bin: blocks of random bytes (any scale, infinities and NaN among them) -> f32.
quantize_TYPE.bin: f32 -> blocks.
A file is u32 input bytes, u32 output bytes (little-endian), the input, the output."""
import struct
import sys
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as T

SEED = 20250901
# type, blocks, offsets of the f16 scales in a block
DEQUANT = [
    (T.F16, 1024, []), (T.BF16, 1024, []), (T.Q8_0, 60, [0]), (T.Q4_0, 60, [0]), (T.Q4_1, 60, [0, 2]), (T.Q5_0, 60, [0]),
    (T.Q5_1, 60, [0, 2]), (T.Q4_K, 14, [0, 2]), (T.Q5_K, 14, [0, 2]), (T.Q6_K, 14, [208]), (T.IQ4_NL, 60, [0]),
]
QUANTIZE = [T.F16, T.BF16, T.Q8_0, T.Q4_0]
# Scales that are subnormal, infinite, not a number, the largest, zeros of both signs.
EDGE_SCALES = [0x0001, 0x83ff, 0x7c00, 0xfc00, 0x7e01, 0x7bff, 0x0000, 0x8000]


def write(path, given, expected):
    given, expected = given.tobytes(), expected.tobytes()
    path.write_bytes(struct.pack("<II", len(given), len(expected)) + given + expected)


def random_blocks(rng, n_blocks, n_bytes, scales):
    """All bytes at random; the scales of most blocks finite and near those of a model, of a few at the edges."""
    blocks = rng.integers(0, 256, (n_blocks, n_bytes), dtype=np.uint8)
    for ofs in scales:
        usual = (rng.standard_normal(n_blocks) * 0.01).astype(np.float16)
        blocks[: n_blocks // 2, ofs : ofs + 2] = usual.view(np.uint8).reshape(-1, 2)[: n_blocks // 2]
        edges = np.array(EDGE_SCALES, dtype=np.uint16)[: n_blocks // 3]
        blocks[-len(edges) :, ofs : ofs + 2] = edges.view(np.uint8).reshape(-1, 2)
    return blocks


def rows_to_quantize(rng):
    """Rows of 32: gaussian of many sizes, zeros, ties of magnitude, halves between two codes, one lone value, tiny values."""
    rows = [rng.standard_normal(32) * 2.0**e for e in range(-20, 12)]
    rows += [np.zeros(32), -np.zeros(32), np.where(np.arange(32) % 2, 1.0, -1.0), np.where(np.arange(32) % 2, -3.0, 3.0)]
    rows += [np.linspace(-127, 127, 32), np.arange(32) - 16.0, (np.arange(32) - 16.5) * 0.5, np.arange(32) * 8.0 + 0.5]
    rows += [np.eye(32)[5] * -7.25, np.eye(32)[31] * 1e-4, rng.standard_normal(32) * 1e-9, rng.standard_normal(32) * 1e-37]
    rows += [rng.uniform(-60000, 60000, 32), rng.uniform(-1, 1, 32) ** 9]
    return np.array(rows).astype(np.float32)


def main():
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    np.seterr(all="ignore")
    for qtype, n_blocks, scales in DEQUANT:
        blocks = random_blocks(rng, n_blocks, gguf.GGML_QUANT_SIZES[qtype][1], scales)
        values = np.asarray(gguf.quants.dequantize(blocks, qtype), dtype=np.float32)
        write(out / f"dequant_{qtype.name.lower()}.bin", blocks, values)
    rows = rows_to_quantize(rng)
    for qtype in QUANTIZE:
        write(out / f"quantize_{qtype.name.lower()}.bin", rows, np.asarray(gguf.quants.quantize(rows, qtype)))


main()
