#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make the small model files of tests/oracle/containers with the reference packages of both formats.

usage: make_containers.py GOLDEN_TEXT_FOLDER OUTDIR

  types.gguf          a tensor of every element type, metadata of every value type
  types.safetensors   a tensor of every element type
  sharded/            three of these tensors in two shards with an index
  pair.safetensors, pair.gguf   the same values: the small tensors of one checkpoint in both containers

Byte i of tensor number k (in the order of its file) is (5 i + 3 k) % 96: finite in every type.
Needs gguf, safetensors, numpy, torch.
"""
import json
import sys
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

Q = gguf.GGMLQuantizationType
BLOCK_TYPES = [Q.Q8_0, Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1, Q.Q4_K, Q.Q5_K, Q.Q6_K, Q.IQ4_NL]
GGUF_SCALARS = [Q.F32, Q.F16, Q.BF16, Q.F64, Q.I8, Q.I16, Q.I32, Q.I64]
ST_SCALARS = ["float32", "float16", "bfloat16", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
PAIR = {  # safetensors name -> GGUF name
    "model.embedding_norm.weight": "token_embd_norm.weight",
    "model.layers.0.conv.conv.weight": "blk.0.shortconv.conv.weight",
    "model.layers.0.operator_norm.weight": "blk.0.attn_norm.weight",
    "model.layers.0.ffn_norm.weight": "blk.0.ffn_norm.weight",
}
MATRIX = ("model.layers.0.conv.out_proj.weight", "blk.0.shortconv.out_proj.weight")  # first rows only
MATRIX_ROWS = 4


def pattern(n_bytes, k):
    return ((5 * np.arange(n_bytes) + 3 * k) % 96).astype(np.uint8)


def make_types_gguf(path):
    w = gguf.GGUFWriter(str(path), "lfm2")
    w.add_name("types")
    w.add_key_value("test.u8", 200, gguf.GGUFValueType.UINT8)
    w.add_key_value("test.i8", -100, gguf.GGUFValueType.INT8)
    w.add_key_value("test.u16", 60000, gguf.GGUFValueType.UINT16)
    w.add_key_value("test.i16", -30000, gguf.GGUFValueType.INT16)
    w.add_key_value("test.u32", 4000000000, gguf.GGUFValueType.UINT32)
    w.add_key_value("test.i32", -2000000000, gguf.GGUFValueType.INT32)
    w.add_key_value("test.u64", 9000000000, gguf.GGUFValueType.UINT64)
    w.add_key_value("test.i64", -9000000000, gguf.GGUFValueType.INT64)
    w.add_key_value("test.u64_max", 2**64 - 1, gguf.GGUFValueType.UINT64)
    w.add_key_value("test.f32", 1e-5, gguf.GGUFValueType.FLOAT32)
    w.add_key_value("test.f64", 1e300, gguf.GGUFValueType.FLOAT64)
    w.add_key_value("test.f32_nan", float("nan"), gguf.GGUFValueType.FLOAT32)
    w.add_key_value("test.f64_inf", float("inf"), gguf.GGUFValueType.FLOAT64)
    w.add_bool("test.true", True)
    w.add_bool("test.false", False)
    w.add_string("test.string", "d\u00e9j\u00e0 vu")
    w.add_array("test.strings", ["one", "two words", "\u00fc"])
    w.add_array("test.i32s", [0, -1, 2147483647])
    w.add_array("test.f32s", [0.5, -2.0])
    w.add_key_value("test.u8s", [1, 2, 255], gguf.GGUFValueType.ARRAY, sub_type=gguf.GGUFValueType.UINT8)
    w.add_key_value("test.u64s", [1, 2**63 + 5], gguf.GGUFValueType.ARRAY, sub_type=gguf.GGUFValueType.UINT64)
    for k, t in enumerate(GGUF_SCALARS + BLOCK_TYPES):
        block_elems, block_bytes = gguf.GGML_QUANT_SIZES[t]
        n_cols = block_bytes * (256 // block_elems if block_elems > 1 else 5)
        w.add_tensor(f"{t.name.lower()}.weight", pattern(3 * n_cols, k).reshape(3, n_cols), raw_dtype=t)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def st_tensor(dtype, k):
    size = torch.empty(0, dtype=dtype).element_size()
    return torch.from_numpy(pattern(15 * size, k).copy()).view(dtype).reshape(3, 5)


def make_types_safetensors(path):
    tensors = {f"{name}.weight": st_tensor(getattr(torch, name), k) for k, name in enumerate(ST_SCALARS)}
    tensors["bool.weight"] = torch.tensor([[True, False, True]])
    tensors["scalar"] = torch.tensor(7, dtype=torch.int64)
    tensors["empty"] = torch.zeros(0, 3)
    save_file(tensors, path, metadata={"format": "pt"})


def make_sharded(folder):
    folder.mkdir(exist_ok=True)
    shards = {
        "model-00001-of-00002.safetensors": {"a.weight": st_tensor(torch.float32, 0), "b.weight": st_tensor(torch.bfloat16, 1)},
        "model-00002-of-00002.safetensors": {"c.weight": st_tensor(torch.float16, 2)},
    }
    for name, tensors in shards.items():
        save_file(tensors, folder / name, metadata={"format": "pt"})
    index = {"metadata": {"total_size": 120}, "weight_map": {t: name for name, tensors in shards.items() for t in tensors}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def make_pair(golden, out):
    read = {t.name: t for t in gguf.GGUFReader(golden / "model-bf16.gguf").tensors}
    w = gguf.GGUFWriter(str(out / "pair.gguf"), "lfm2")
    tensors = {}
    with safe_open(golden / "model.safetensors", "pt") as f:
        for st_name, gguf_name in PAIR.items():
            tensors[st_name] = f.get_tensor(st_name).contiguous()
            w.add_tensor(gguf_name, np.array(read[gguf_name].data))
        tensors[MATRIX[0]] = f.get_tensor(MATRIX[0])[:MATRIX_ROWS].contiguous()
    w.add_tensor(MATRIX[1], np.array(read[MATRIX[1]].data[:MATRIX_ROWS]), raw_dtype=Q.BF16)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    save_file(tensors, out / "pair.safetensors", metadata={"format": "pt"})


def main():
    golden, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    make_types_gguf(out / "types.gguf")
    make_types_safetensors(out / "types.safetensors")
    make_sharded(out / "sharded")
    make_pair(golden, out)
    for path in out.rglob("*.safetensors"):
        path.chmod(0o644)


if __name__ == "__main__":
    main()
