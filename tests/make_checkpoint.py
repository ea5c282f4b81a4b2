#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make a checkpoint with random weights in the shape of a published model, for demonstrations and measurements.

usage: make_checkpoint.py SHAPE OUTDIR [--seed N]

Writes model.safetensors (BF16; shards and an index above 4.5 GB), config.json, generation_config.json, tokenizer.json,
tokenizer_config.json and chat_template.jinja. The same seed gives the same bytes. `tiny` is built so that what it says is
printable: it has learned nothing, but it speaks in syllables. Needs Python 3.9 and nothing else.
"""
import argparse
import json
import math
import random
import struct
import sys
from pathlib import Path

ATTN_16 = (2, 5, 8, 10, 12, 14)
# d, layers, attention layers, heads, kv heads, FFN width, rows of the embedding; mixture: experts, used, width, dense layers
SHAPES = {
    "tiny": dict(d=128, n=6, attn=(2, 4), heads=2, kv=1, ff=256, vocab=1024),
    "lfm2-230m": dict(d=1024, n=14, attn=(2, 4, 6, 8, 10, 12), heads=16, kv=8, ff=2560, vocab=65536),
    "lfm2-350m": dict(d=1024, n=16, attn=ATTN_16, heads=16, kv=8, ff=4608, vocab=65536),
    "lfm2-700m": dict(d=1536, n=16, attn=ATTN_16, heads=24, kv=8, ff=6912, vocab=65536),
    "lfm2-1.2b": dict(d=2048, n=16, attn=ATTN_16, heads=32, kv=8, ff=8192, vocab=65536),
    "lfm2-2.6b": dict(d=2048, n=30, attn=(2, 6, 9, 13, 17, 21, 24, 27), heads=32, kv=8, ff=10752, vocab=65536),
    "lfm2-8b-a1b": dict(d=2048, n=24, attn=(2, 6, 10, 14, 18, 21), heads=32, kv=8, ff=7168, vocab=65536,
                        experts=32, used=4, ff_expert=1792, dense=2),
}
MAX_SHARD_BYTES = 4_500_000_000
PIECE = 1 << 22  # values made at once

CHAT_TEMPLATE = (
    "{{- bos_token -}}\n{%- for message in messages -%}\n"
    "    {{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' -}}\n{%- endfor -%}\n"
    "{%- if add_generation_prompt -%}\n    {{- '<|im_start|>assistant\\n' -}}\n{%- endif -%}\n")
PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
           r"|\s*[\r\n]+|\s+(?!\S)|\s+")


# ---- Weights ----------------------------------------------------------------------------------------------------------------

def tensors(s):
    """(name, shape, root mean square; 0 = all ones) of every tensor."""
    d, kv_width = s["d"], s["kv"] * (s["d"] // s["heads"])

    def matrix(name, rows, cols):
        return name, (rows, cols), 1.3 / math.sqrt(cols)

    def ffn(stem, width):
        return [matrix(stem + "w1.weight", width, d), matrix(stem + "w2.weight", d, width), matrix(stem + "w3.weight", width, d)]
    out = [("model.embed_tokens.weight", (s["vocab"], d), 1 / math.sqrt(d)), ("model.embedding_norm.weight", (d,), 0)]
    for i in range(s["n"]):
        p = f"model.layers.{i}."
        out += [(p + "operator_norm.weight", (d,), 0), (p + "ffn_norm.weight", (d,), 0)]
        if i in s["attn"]:
            a = p + "self_attn."
            out += [matrix(a + "q_proj.weight", d, d), matrix(a + "k_proj.weight", kv_width, d),
                    matrix(a + "v_proj.weight", kv_width, d), matrix(a + "out_proj.weight", d, d),
                    (a + "q_layernorm.weight", (d // s["heads"],), 0), (a + "k_layernorm.weight", (d // s["heads"],), 0)]
        else:
            out += [matrix(p + "conv.in_proj.weight", 3 * d, d), (p + "conv.conv.weight", (d, 1, 3), 0.75),
                    matrix(p + "conv.out_proj.weight", d, d)]
        f = p + "feed_forward."
        if i < s.get("dense", s["n"]):
            out += ffn(f, s["ff"])
        else:
            out += [matrix(f + "gate.weight", s["experts"], d), (f + "expert_bias", (s["experts"],), None)]
            for e in range(s["experts"]):
                out += ffn(f"{f}experts.{e}.", s["ff_expert"])
    return out


def high_byte_table(rms):
    """Map of random bytes to upper bytes of BF16 numbers (sign, upper 7 bits of the exponent), so that with random lower
    bytes the numbers have about this root mean square: a mixture of two neighbouring upper bytes."""
    def mean_square(high):  # half of the numbers in [a, 2a), half in [2a, 4a); the mean of x^2 over [a, 2a) is 7/3 a^2
        a = 2.0 ** (2 * high - 127)
        return 7 / 6 * (a * a + 4 * a * a)
    high = 0x20
    while mean_square(high + 1) <= rms * rms:
        high += 1
    share = (rms * rms - mean_square(high)) / (mean_square(high + 1) - mean_square(high))
    n_upper = round(128 * share)
    positive = [high + 1] * n_upper + [high] * (128 - n_upper)
    return bytes(positive + [0x80 | b for b in positive])


def random_pieces(rng, n_values, rms):
    """Bytes of n_values BF16 numbers, piece by piece."""
    table = high_byte_table(rms)
    while n_values > 0:
        n = min(n_values, PIECE)
        piece = bytearray(2 * n)
        piece[0::2] = rng.randbytes(n)
        piece[1::2] = rng.randbytes(n).translate(table)
        yield piece
        n_values -= n


def pieces_of(rng, name, shape, rms):
    n = math.prod(shape)
    if rms is None:
        return [struct.pack(f"<{n}f", *(rng.uniform(-0.1, 0.1) for _ in range(n)))]
    if rms == 0:
        return [b"\x80\x3f" * n]
    return random_pieces(rng, n, rms)


def write_weights(out, shape_name, s, seed, sayable):
    rng = random.Random(seed)
    todo = tensors(s)
    shards, used = [[]], 0
    for t in todo:
        n_bytes = math.prod(t[1]) * (4 if t[2] is None else 2)
        if used + n_bytes > MAX_SHARD_BYTES and shards[-1]:
            shards.append([])
            used = 0
        shards[-1].append((t, n_bytes))
        used += n_bytes
    weight_map = {}
    for i, shard in enumerate(shards):
        file = "model.safetensors" if len(shards) == 1 else f"model-{i + 1:05}-of-{len(shards):05}.safetensors"
        header, at = {"__metadata__": {"format": "pt"}}, 0
        for (name, shape, rms), n_bytes in shard:
            header[name] = {"dtype": "F32" if rms is None else "BF16", "shape": list(shape), "data_offsets": [at, at + n_bytes]}
            weight_map[name] = file
            at += n_bytes
        head = json.dumps(header, separators=(",", ":")).encode()
        head += b" " * (-len(head) % 8)
        with open(out / file, "wb") as f:
            f.write(struct.pack("<Q", len(head)) + head)
            for (name, shape, rms), _ in shard:
                pieces = pieces_of(rng, name, shape, rms)
                if shape_name == "tiny":
                    pieces = [steer(name, shape, bytearray(b"".join(pieces)), sayable)]
                for piece in pieces:
                    f.write(piece)
    if len(shards) > 1:
        total = sum(n for shard in shards for _, n in shard)
        write_json(out / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": weight_map})


def steer(name, shape, data, sayable):
    """Make the tiny model prefer ids in `sayable`, with two channels of the residual stream that nothing else touches:
    channel 0 is 1 for every token; layer 0 turns it into a large channel 1; and the (tied) head reads channel 1 with a weight
    of 1 for sayable ids and -1 for the others."""
    def put(at, value):
        data[2 * at:2 * at + 2] = struct.pack("<f", value)[2:]
    rows, cols = shape[0], shape[-1]
    if name == "model.embed_tokens.weight":
        for row in range(rows):
            put(row * cols, 1.0)
            put(row * cols + 1, 1.0 if row in sayable else -1.0)
    elif name == "model.embedding_norm.weight":
        put(1, 4.0)
    elif name.endswith(("out_proj.weight", "w2.weight")):  # they write to the residual stream
        data[0:4 * cols] = bytes(4 * cols)
        if name == "model.layers.0.conv.out_proj.weight":
            put(cols, 6.0)
    elif name.endswith(("in_proj.weight", "q_proj.weight", "k_proj.weight", "v_proj.weight", "w1.weight", "w3.weight")):
        for row in range(rows):
            put(row * cols, 0.0)
            put(row * cols + 1, 0.0)
        if name == "model.layers.0.conv.in_proj.weight":  # channel 0 of B, C and X: about 1 each
            for part in range(3):
                data[2 * part * cols * cols:2 * (part * cols + 1) * cols] = bytes(2 * cols)
                put(part * cols * cols, 0.15)
    elif name == "model.layers.0.conv.conv.weight":
        for tap in range(3):
            put(tap, 1.0 if tap == 2 else 0.0)
    return data


# ---- Tokenizer --------------------------------------------------------------------------------------------------------------

def special_names():
    """Ids 0..500 of the classic vocabulary: (text, registered as special)."""
    head = ["<|pad|>", "<|startoftext|>", "<|endoftext|>", "<|fim_pre|>", "<|fim_mid|>", "<|fim_suf|>", "<|im_start|>",
            "<|im_end|>", "<|tool_list_start|>", "<|tool_list_end|>", "<|tool_call_start|>", "<|tool_call_end|>",
            "<|tool_response_start|>", "<|tool_response_end|>"]
    reserved = [f"<|reserved_{i}|>" for i in range(4, 386)]
    image = ["<image>"] + [f"<|img_row_{r}_col_{c}|>" for r in range(1, 11) for c in range(1, 11)] + [
        "<|img_thumbnail|>", "<|image_start|>", "<|image_end|>", "<|image_split|>"]
    return [(t, t not in ("<|reserved_4|>", "<|reserved_5|>")) for t in head + reserved + image]


LATE_SPECIALS = ["<|cot_start|>", "<|cot_end|>", "<|review_start|>", "<|review_end|>", "<|file_start|>", "<|file_end|>",
                 "<think>", "</think>"]


def byte_symbols():
    """Symbol of each byte in byte-level BPE: itself where printable, otherwise the next of U+0100..."""
    plain = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    symbols, extra = {}, 0
    for b in range(256):
        if b in plain:
            symbols[b] = chr(b)
        else:
            symbols[b] = chr(256 + extra)
            extra += 1
    return symbols


def merges_tiny():
    """Syllables, with and without a space before them."""
    space = byte_symbols()[32]
    syllables = [(c, v) for c in "bcdfghjklmnprstvwz" for v in "aeiou"]
    return syllables + [(space, c) for c in "bcdfghjklmnprstvwz"] + [(space + c, v) for c, v in syllables]


def merges_large(n):
    """Letter pairs, then triples, then pairs of pairs: enough to cut text into pieces of about the usual length."""
    space, low, up = byte_symbols()[32], "etaoinshrdlcumwfgypbvkjxqz", "TAISCBMWPHDROEFLGNYUVJKQZX"
    pairs = [a + b for a in low for b in low]
    out = [(a, b) for a, b in pairs] + [(a, b) for a in up for b in low] + [(space, a) for a in low + up]
    out += [(space, space), (space * 2, space * 2)] + [(p, c) for p in pairs for c in low]
    out += [(space + a, p) for a in low for p in pairs] + [(p, q) for p in pairs for q in pairs]
    return out[:n]


def make_tokenizer(s):
    """tokenizer.json as an object, and the ids of the tiny vocabulary that are worth saying."""
    names = special_names()
    tiny = s["vocab"] < 65536
    vocab = {text: i for i, (text, _) in enumerate(names)}
    added = [{"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
             for i, (t, special) in enumerate(names) if special]
    for b in byte_symbols().values():
        vocab[b] = len(vocab)
    merges = merges_tiny() if tiny else merges_large(64394 - len(vocab))
    for a, b in merges:
        vocab[a + b] = len(vocab)
    sayable = {i for t, i in vocab.items() if i >= len(names) and len(t) > 1} | {vocab[c] for c in ".,aeiou"}
    for t in LATE_SPECIALS:
        vocab[t] = len(vocab)
        added.append({**added[0], "id": vocab[t], "content": t})
    assert len(vocab) <= s["vocab"], len(vocab)
    split = {"type": "Split", "pattern": {"Regex": PATTERN}, "behavior": "Isolated", "invert": False}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]}, "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False, "ignore_merges": True, "vocab": vocab,
                  "merges": [f"{a} {b}" for a, b in merges]},
    }, sayable


# ---- Config -----------------------------------------------------------------------------------------------------------------

def make_config(s):
    mixture = "experts" in s
    c = {
        "architectures": ["Lfm2MoeForCausalLM" if mixture else "Lfm2ForCausalLM"], "model_type": "lfm2_moe" if mixture else "lfm2",
        "hidden_size": s["d"], "num_hidden_layers": s["n"], "num_attention_heads": s["heads"], "num_key_value_heads": s["kv"],
        "layer_types": ["full_attention" if i in s["attn"] else "conv" for i in range(s["n"])],
        "intermediate_size": s["ff"], "conv_L_cache": 3, "conv_bias": False, "norm_eps": 1e-5,
        "max_position_embeddings": 4096 if s["vocab"] < 65536 else 128000, "rope_theta": 1000000.0, "vocab_size": s["vocab"],
        "tie_word_embeddings": True, "bos_token_id": 1, "eos_token_id": 7, "pad_token_id": 0, "torch_dtype": "bfloat16",
        "initializer_range": 0.02, "use_cache": True,
    }
    if mixture:
        c.update({"num_experts": s["experts"], "num_experts_per_tok": s["used"], "moe_intermediate_size": s["ff_expert"],
                  "num_dense_layers": s["dense"], "use_expert_bias": True, "norm_topk_prob": True, "routed_scaling_factor": 1.0})
    else:
        c["block_auto_adjust_ff_dim"] = False
    return c


def write_json(path, value, **layout):
    path.write_text(json.dumps(value, ensure_ascii=False, **(layout or {"indent": 2})) + "\n", encoding="utf-8")


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("shape", choices=sorted(SHAPES), metavar="SHAPE", help=", ".join(SHAPES))
    ap.add_argument("outdir", type=Path, metavar="OUTDIR")
    ap.add_argument("--seed", type=int, default=1, metavar="N")
    args = ap.parse_args()
    s = SHAPES[args.shape]
    args.outdir.mkdir(parents=True, exist_ok=True)
    tokenizer, sayable = make_tokenizer(s)
    write_json(args.outdir / "config.json", make_config(s))
    write_json(args.outdir / "generation_config.json", {"bos_token_id": 1, "eos_token_id": 7, "pad_token_id": 0})
    write_json(args.outdir / "tokenizer.json", tokenizer, separators=(",", ":"))
    write_json(args.outdir / "tokenizer_config.json", {
        "add_bos_token": True, "add_eos_token": False, "bos_token": "<|startoftext|>", "eos_token": "<|im_end|>",
        "pad_token": "<|pad|>",
        "clean_up_tokenization_spaces": True, "model_max_length": 1000000000000000019884624838656,
        "tokenizer_class": "PreTrainedTokenizerFast"})
    (args.outdir / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
    write_weights(args.outdir, args.shape, s, args.seed, sayable)
    return 0


if __name__ == "__main__":
    sys.exit(main())
