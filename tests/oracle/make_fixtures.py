#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make the reference checkpoints of tests/oracle/fixtures: random weights, and what Hugging Face transformers computes from them.

usage: make_fixtures.py OUTDIR [NAME...]

Each folder is a checkpoint as published ones are laid out, with two more files:
  cases.json             tokenize, chat and logits cases
  expected.safetensors   logits of the last position; hidden states after the embedding, each layer and the final norm
Weights are stored as BF16 (or in the block types of a GGUF file) and everything is computed from these values in float32.
Needs torch, transformers 5.23, tokenizers, safetensors, gguf.
"""
import itertools
import json
import math
import sys
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import Lfm2Config, Lfm2ForCausalLM, Lfm2MoeConfig, Lfm2MoeForCausalLM, PreTrainedTokenizerFast

Q = gguf.GGMLQuantizationType
N_GREEDY = 24
MIN_GAP = 1e-3         # of the two greatest logits, relative to the greatest magnitude
MIN_ROUTER_GAP = 1e-3  # between the last expert taken and the first one left

PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
           r"|\s*[\r\n]+|\s+(?!\S)|\s+")

SPECIALS = ["<|pad|>", "<|startoftext|>", "<|endoftext|>", "<|fim_pre|>", "<|fim_mid|>", "<|fim_suf|>", "<|im_start|>",
            "<|im_end|>", "<|tool_list_start|>", "<|tool_list_end|>", "<|tool_call_start|>", "<|tool_call_end|>",
            "<|tool_response_start|>", "<|tool_response_end|>"]

# Our own wording of the published conventions: turns only, and turns with a tool list.
CHAT_PLAIN = (
    "{{- bos_token -}}\n{%- for message in messages -%}\n"
    "    {{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' -}}\n{%- endfor -%}\n"
    "{%- if add_generation_prompt -%}\n    {{- '<|im_start|>assistant\\n' -}}\n{%- endif -%}\n")
CHAT_TOOLS = (
    "{{- bos_token -}}\n{%- set system = '' -%}\n{%- set turns = messages -%}\n"
    "{%- if messages[0]['role'] == 'system' -%}\n    {%- set system = messages[0]['content'] -%}\n"
    "    {%- set turns = messages[1:] -%}\n{%- endif -%}\n"
    "{%- if tools -%}\n    {%- set items -%}\n        {%- for tool in tools -%}\n"
    "            {{- tool | tojson -}}{{- '' if loop.last else ', ' -}}\n        {%- endfor -%}\n    {%- endset -%}\n"
    "    {%- set system = system + ('\\n' if system else '') + 'List of tools: <|tool_list_start|>[' + items"
    " + ']<|tool_list_end|>' -%}\n"
    "{%- endif -%}\n"
    "{%- if system -%}\n    {{- '<|im_start|>system\\n' + system + '<|im_end|>\\n' -}}\n{%- endif -%}\n"
    "{%- for message in turns -%}\n    {%- set content = message['content'] -%}\n"
    "    {%- if message['role'] == 'tool' -%}\n"
    "        {%- set content = '<|tool_response_start|>' + content + '<|tool_response_end|>' -%}\n    {%- endif -%}\n"
    "    {{- '<|im_start|>' + message['role'] + '\\n' + content + '<|im_end|>\\n' -}}\n{%- endfor -%}\n"
    "{%- if add_generation_prompt -%}\n    {{- '<|im_start|>assistant\\n' -}}\n{%- endif -%}\n")

# Enough text to learn a few hundred merges from.
TRAINING_TEXT = [
    "The small boat left the harbour at seven in the morning and came back with the evening tide.",
    "She wrote the number 1234567 on the board, then 89, then 0.5, and asked what they had in common.",
    "When the rain stopped, the children ran out to see the river; it had risen by almost a metre.",
    "A list of things to bring: bread, water, a map, two lamps (with batteries), and the blue notebook.",
    "for (int i = 0; i < n; i++) { sum += values[i]; }\n\treturn sum / n;\n",
    "Die Straße führt über die Brücke nach Süden; dort, wo früher die Mühle stand, ist heute ein Café.",
    "El niño preguntó por qué el año tiene doce meses. ¿Quién lo decidió?",
    "L'été dernier, nous avons passé une semaine à la mer, près d'un phare.",
    "東京の天気は晴れです。 北京在下雨。 서울은 흐립니다.",
    "Погода сегодня хорошая. مرحبا بالعالم. שלום עולם. नमस्ते दुनिया",
    "{\"name\": \"Ada\", \"age\": 36, \"tags\": [\"a\", \"b\"], \"ok\": true}\n",
    "It's what they've said, isn't it? We'll see what you're doing; I'd wait. 😀👍🏽 €5 ½ ±3°C",
]

STRINGS = [
    "Hello, world!", "The boat's 1234567 lamps\n\n  came\tback.  ", "Grüße! 北京 😀👍🏽 naïve\r\n½ don't WE'LL", "   ", "a",
    "<|im_start|>user\nhi<|im_end|>\n", "مرحبا שלום नमस्ते e\u0301", "y" * 77, "1 22 333 4444 ,.;:!? \u00a0\u2003\u200b",
    "\u0001\x7f",
]

MESSAGES = [{"role": "system", "content": "You answer briefly."}, {"role": "user", "content": "Who was Ada? 🧮"},
            {"role": "assistant", "content": "A mathematician."}, {"role": "user", "content": "Thanks\n"}]
TOOL = {"type": "function", "function": {"name": "weather", "description": "Wetter für eine Stadt",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}
TOOL_MESSAGES = [{"role": "user", "content": "Weather in Bonn?"},
                 {"role": "assistant", "content": "<|tool_call_start|>[weather(city=\"Bonn\")]<|tool_call_end|>"},
                 {"role": "tool", "content": "{\"temp\": 21}"}]


def make_tokenizer(out, n_ids, chat, specials_last=False):
    """Train a byte-level BPE tokenizer of n_ids ids and write its files; returns the transformers object."""
    tk = Tokenizer(models.BPE(ignore_merges=True))
    tk.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERN), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tk.decoder = decoders.ByteLevel()
    tk.train_from_iterator(TRAINING_TEXT * 4, trainers.BpeTrainer(
        vocab_size=n_ids, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
        special_tokens=[AddedToken(s, special=True, normalized=False) for s in SPECIALS]))
    doc = json.loads(tk.to_str())
    if specials_last:  # ids of special tokens behind all others, as in the extended vocabulary
        n = len(doc["model"]["vocab"])
        moved = {i: (i - len(SPECIALS)) % n for i in range(n)}
        doc["model"]["vocab"] = dict(sorted(((k, moved[v]) for k, v in doc["model"]["vocab"].items()), key=lambda kv: kv[1]))
        for t in doc["added_tokens"]:
            t["id"] = moved[t["id"]]
    assert len(doc["model"]["vocab"]) == n_ids, len(doc["model"]["vocab"])
    out.mkdir(parents=True, exist_ok=True)
    (out / "tokenizer.json").write_text(json.dumps(doc, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
    names = {"bos_token": "<|startoftext|>", "eos_token": "<|im_end|>", "pad_token": "<|pad|>"}
    fast = PreTrainedTokenizerFast(tokenizer_file=str(out / "tokenizer.json"), chat_template=chat, **names)
    write_json(out / "tokenizer_config.json", {"add_bos_token": True, "add_eos_token": False, "clean_up_tokenization_spaces": True,
                                               "tokenizer_class": "PreTrainedTokenizerFast", **names})
    (out / "chat_template.jinja").write_text(chat, encoding="utf-8")
    return fast


def write_json(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def scramble(model, seed):
    """Weights large enough that a wrong operator shows, rounded to what BF16 can hold."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            r = torch.randn(p.shape, generator=g)
            if "norm" in name:
                p.copy_(1 + 0.2 * r)
            elif "embed" in name:
                p.copy_(r / math.sqrt(p.shape[-1]))
            else:
                fan_in = p[0].numel() if p.ndim == 2 or "conv.conv" in name else p.shape[-1]
                p.copy_(r * 1.3 / math.sqrt(fan_in))
            p.copy_(p.bfloat16().float())
        for name, b in model.named_buffers():
            if name.endswith("expert_bias"):
                b.copy_(0.3 * torch.randn(b.shape, generator=g))
    return model.eval()


def layers_of(spec):
    return ["conv" if c == "c" else "full_attention" for c in spec]


def published_tensors(model):
    """State dict under the names of published checkpoints: BF16, experts apart, expert_bias F32, no copy of a tied head."""
    out = {}
    for name, t in model.state_dict().items():
        if name == "lm_head.weight" and model.config.tie_word_embeddings:
            continue
        if name.endswith("experts.gate_up_proj"):
            for e in range(t.shape[0]):
                w1, w3 = t[e].chunk(2, 0)
                stem = name.replace("gate_up_proj", str(e))
                out[stem + ".w1.weight"], out[stem + ".w3.weight"] = w1.bfloat16(), w3.bfloat16()
        elif name.endswith("experts.down_proj"):
            for e in range(t.shape[0]):
                out[name.replace("down_proj", str(e)) + ".w2.weight"] = t[e].bfloat16()
        else:
            out[name] = t.float() if name.endswith("expert_bias") else t.bfloat16()
    return {k: v.contiguous().clone() for k, v in out.items()}


def fused_tensors(model):
    return {k: (v.float() if k.endswith("expert_bias") else v.bfloat16()).contiguous().clone()
            for k, v in model.state_dict().items() if k != "lm_head.weight"}


# ---- GGUF -------------------------------------------------------------------------------------------------------------------

GGUF_LAYER = {
    "operator_norm.weight": "attn_norm.weight", "ffn_norm.weight": "ffn_norm.weight",
    "conv.in_proj.weight": "shortconv.in_proj.weight", "conv.conv.weight": "shortconv.conv.weight",
    "conv.out_proj.weight": "shortconv.out_proj.weight",
    "self_attn.q_proj.weight": "attn_q.weight", "self_attn.k_proj.weight": "attn_k.weight",
    "self_attn.v_proj.weight": "attn_v.weight", "self_attn.out_proj.weight": "attn_output.weight",
    "self_attn.q_layernorm.weight": "attn_q_norm.weight",
    "self_attn.k_layernorm.weight": "attn_k_norm.weight",
    "feed_forward.w1.weight": "ffn_gate.weight", "feed_forward.w3.weight": "ffn_up.weight",
    "feed_forward.w2.weight": "ffn_down.weight", "feed_forward.gate.weight": "ffn_gate_inp.weight",
    "feed_forward.expert_bias": "exp_probs_b.bias",
    "feed_forward.experts.down_proj": "ffn_down_exps.weight",
}


def gguf_tensors(model):
    """(GGUF name, f32 array, parameter to write a rounded value back to) of every tensor."""
    for name, t in model.state_dict().items():
        if name == "lm_head.weight":
            if not model.config.tie_word_embeddings:
                yield "output.weight", t
        elif name == "model.embed_tokens.weight":
            yield "token_embd.weight", t
        elif name == "model.embedding_norm.weight":
            yield "token_embd_norm.weight", t
        else:
            _, _, layer, rest = name.split(".", 3)
            if rest == "feed_forward.experts.gate_up_proj":
                w1, w3 = t.chunk(2, 1)
                yield f"blk.{layer}.ffn_gate_exps.weight", w1
                yield f"blk.{layer}.ffn_up_exps.weight", w3
            else:
                yield f"blk.{layer}.{GGUF_LAYER[rest]}", t


K_TYPES = {Q.Q4_K, Q.Q5_K, Q.Q6_K, Q.IQ4_NL}


def random_blocks(qtype, shape, scale, rng):
    """Blocks of a type that the gguf package reads but does not write: random bits under scales of the wanted size."""
    elems, size = gguf.GGML_QUANT_SIZES[qtype]
    n = int(np.prod(shape)) // elems
    raw = rng.integers(0, 256, (n, size), dtype=np.uint8)

    def f16(lo, hi):
        return rng.uniform(lo, hi, n).astype(np.float16).view(np.uint8).reshape(n, 2)
    if qtype == Q.Q6_K:
        raw[:, 208:210] = f16(0.5, 1.5) if scale is None else f16(0.5 * scale / 1400, 1.5 * scale / 1400)
    elif qtype == Q.IQ4_NL:
        raw[:, 0:2] = f16(0.5 * scale / 69, 1.5 * scale / 69)
    else:  # d of Q4_K and Q5_K, then dmin so that the values are centred
        top = 15 if qtype == Q.Q4_K else 31
        d = rng.uniform(0.5, 1.5, n) * scale / (32 * top / 3.2)
        raw[:, 0:2] = d.astype(np.float16).view(np.uint8).reshape(n, 2)
        raw[:, 2:4] = (d * top / 2).astype(np.float16).view(np.uint8).reshape(n, 2)
    return raw.reshape(*shape[:-1], -1)


def write_gguf(path, model, tok, chat, type_of, seed=0):
    """type_of(name) names the type of each matrix. Block types are rounded, and the model takes the rounded values over."""
    c = model.config
    moe = c.model_type == "lfm2_moe"
    w = gguf.GGUFWriter(str(path), "lfm2moe" if moe else "lfm2")
    w.add_name("fixture")
    w.add_context_length(c.max_position_embeddings)
    w.add_embedding_length(c.hidden_size)
    w.add_block_count(c.num_hidden_layers)
    mlp = next(l.feed_forward for l in model.model.layers if hasattr(l.feed_forward, "w1"))
    w.add_feed_forward_length(mlp.w1.weight.shape[0])
    w.add_head_count(c.num_attention_heads)
    w.add_head_count_kv([0 if t == "conv" else c.num_key_value_heads for t in c.layer_types])
    w.add_rope_freq_base(c.rope_parameters["rope_theta"])
    w.add_layer_norm_rms_eps(c.norm_eps)
    w.add_vocab_size(c.vocab_size)
    w.add_shortconv_l_cache(c.conv_L_cache)
    w.add_quantization_version(gguf.GGML_QUANT_VERSION)
    if moe:
        w.add_expert_count(c.num_experts)
        w.add_expert_used_count(c.num_experts_per_tok)
        w.add_expert_feed_forward_length(c.moe_intermediate_size)
        w.add_leading_dense_block_count(c.num_dense_layers)
        w.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)
    doc = json.loads(tok.backend_tokenizer.to_str())
    tokens = sorted(doc["model"]["vocab"], key=doc["model"]["vocab"].get)
    special = {t["content"] for t in doc["added_tokens"]}
    types = [gguf.TokenType.CONTROL if t in special else gguf.TokenType.NORMAL for t in tokens]
    for i in range(len(tokens), c.vocab_size):
        tokens.append(f"[PAD{i}]")
        types.append(gguf.TokenType.UNUSED)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("lfm2")
    w.add_token_list(tokens)
    w.add_token_types(types)
    w.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in doc["model"]["merges"]])
    w.add_bos_token_id(tok.bos_token_id)
    w.add_eos_token_id(tok.eos_token_id)
    w.add_pad_token_id(tok.pad_token_id)
    w.add_add_bos_token(True)
    w.add_add_eos_token(False)
    w.add_chat_template(chat)
    rng = np.random.default_rng(seed)
    for name, t in gguf_tensors(model):
        if name.endswith("shortconv.conv.weight"):
            w.add_tensor(name, t.squeeze(1).contiguous().numpy().copy())
            continue
        qtype = type_of(name)
        if t.ndim < 2 or "ffn_gate_inp" in name:
            qtype = Q.F32
        a = t.detach().contiguous().numpy()
        if qtype in K_TYPES:
            raw = random_blocks(qtype, a.shape, 1.3 / math.sqrt(a.shape[-1]), rng)
        else:
            raw = gguf.quants.quantize(a, qtype)
        with torch.no_grad():
            t.copy_(torch.from_numpy(np.array(gguf.quants.dequantize(raw, qtype), dtype=np.float32)).reshape(t.shape))
        w.add_tensor(name, raw, raw_dtype=qtype)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


# ---- Cases ------------------------------------------------------------------------------------------------------------------

def greedy(model, ids, n_ids):
    """N_GREEDY ids, and the smallest relative gap between the two greatest logits on the way."""
    ids, gap = list(ids), math.inf
    n_prompt = len(ids)
    for _ in range(N_GREEDY):
        with torch.no_grad():
            lg = model(torch.tensor([ids]), use_cache=False).logits[0, -1, :n_ids]
        top = lg.topk(2)
        gap = min(gap, float(top.values[0] - top.values[1]) / float(lg.abs().max()))
        ids.append(int(top.indices[0]))
    return ids[n_prompt:], gap


class RouterGap:
    """Watches how close expert selection comes to a tie."""

    def __init__(self, model):
        self.gap = math.inf
        for layer in model.model.layers:
            if hasattr(layer.feed_forward, "gate"):
                layer.feed_forward.gate.register_forward_hook(self.look)

    def look(self, module, args, output):
        score = output[0].sigmoid() + args[1]
        s = score.sort(-1, descending=True).values
        self.gap = min(self.gap, float((s[:, module.top_k - 1] - s[:, module.top_k]).min()))


def hidden_states(model, ids):
    """What the probe of a session shows: embed, layer.N, norm."""
    seen, hooks = {}, []

    def keep(name):
        def hook(_module, _args, out):
            seen[name] = (out[0] if isinstance(out, tuple) else out)[0].detach().float().contiguous().clone()
        return hook
    m = model.model
    hooks.append(m.embed_tokens.register_forward_hook(keep("embed")))
    for i, layer in enumerate(m.layers):
        hooks.append(layer.register_forward_hook(keep(f"layer.{i}")))
    hooks.append(m.embedding_norm.register_forward_hook(keep("norm")))
    with torch.no_grad():
        logits = model(torch.tensor([ids]), use_cache=False).logits[0, -1].float().contiguous()
    for h in hooks:
        h.remove()
    return seen, logits


def write_cases(out, model, tok, n_ids, lengths, seed, tools=False):
    cases, expected = [], {}
    for s in STRINGS:
        ids = tok(s, add_special_tokens=False)["input_ids"]
        cases.append({"kind": "tokenize", "text": s, "ids": ids, "decoded": tok.decode(ids, clean_up_tokenization_spaces=False)})
    rng = np.random.default_rng(seed)
    router = RouterGap(model)
    for i, n in enumerate(lengths):
        for attempt in range(200):
            router.gap = math.inf
            ids = rng.integers(0, n_ids, n).tolist()
            if n > 1 or attempt == 0:
                ids[0] = tok.bos_token_id
            out_ids, gap = greedy(model, ids, n_ids)
            if gap > MIN_GAP and router.gap > MIN_ROUTER_GAP:
                break
        else:
            raise SystemExit(f"{out.name}: no prompt of {n} tokens has clear margins")
        hidden, logits = hidden_states(model, ids)
        expected[f"logits.{i}"] = logits
        case = {"kind": "logits", "ids": ids, "tensor": f"logits.{i}", "greedy": out_ids}
        if n == max(m for m in lengths if m <= 12):
            case["hidden"] = f"hidden.{i}"
            expected.update({f"hidden.{i}.{k}": v for k, v in hidden.items()})
        cases.append(case)
        print(f"  {out.name}: {n} tokens, logit gap {gap:.1e}, router gap {router.gap:.1e}")
    chats = [(MESSAGES, None)] + ([(TOOL_MESSAGES, [TOOL])] if tools else [])
    for messages, tool_list in chats:
        text = tok.apply_chat_template(messages, tools=tool_list, tokenize=False, add_generation_prompt=True)
        case = {"kind": "chat", "messages": messages, "text": text, "ids": tok(text, add_special_tokens=False)["input_ids"]}
        if tool_list:
            case["tools"] = tool_list
        cases.append(case)
    save_tensors(out / "expected.safetensors", expected)
    write_json(out / "cases.json", cases)


def write_config(out, model, **change):
    c = json.loads(model.config.to_json_string())
    c["architectures"] = [type(model).__name__]
    c["dtype"] = "bfloat16"
    for k, v in change.items():
        if v is None:
            c.pop(k, None)
        else:
            c[k] = v
    write_json(out / "config.json", c)
    write_json(out / "generation_config.json", {k: c[k] for k in ("bos_token_id", "eos_token_id", "pad_token_id")})
    return c


def special_ids(tok):
    return {"bos_token_id": tok.bos_token_id, "eos_token_id": tok.eos_token_id, "pad_token_id": tok.pad_token_id}


def save_tensors(path, tensors):
    save_file(tensors, str(path), metadata={"format": "pt"})
    path.chmod(0o644)


# ---- Fixtures ---------------------------------------------------------------------------------------------------------------

def dense_config(tok, **kw):
    c = dict(vocab_size=len(tok), hidden_size=64, intermediate_size=192, num_attention_heads=2, num_key_value_heads=1,
             conv_L_cache=3, conv_bias=False, block_multiple_of=32, block_ffn_dim_multiplier=1.0, block_auto_adjust_ff_dim=True,
             max_position_embeddings=2048, norm_eps=1e-5, rope_parameters={"rope_theta": 1000000.0, "rope_type": "default"},
             tie_word_embeddings=True, **special_ids(tok))
    c.update(kw)
    c["layer_types"] = layers_of(c.pop("layers"))
    c["num_hidden_layers"] = len(c["layer_types"])
    return Lfm2Config(**c)


def moe_config(tok, **kw):
    c = dict(vocab_size=len(tok), hidden_size=64, intermediate_size=96, moe_intermediate_size=32, num_attention_heads=4,
             num_key_value_heads=2, conv_L_cache=3, num_experts=8, num_experts_per_tok=4, num_dense_layers=1, use_expert_bias=True,
             norm_topk_prob=True, routed_scaling_factor=1.0, max_position_embeddings=2048, norm_eps=1e-5,
             rope_parameters={"rope_theta": 5000000.0, "rope_type": "default"}, tie_word_embeddings=True, **special_ids(tok))
    c.update(kw)
    c["layer_types"] = layers_of(c.pop("layers"))
    c["num_hidden_layers"] = len(c["layer_types"])
    return Lfm2MoeConfig(**c)


def dense_odd(out):
    """Attention first and last, heads of 24, four taps, an FFN width that no block divides, a head of its own, padding rows."""
    tok = make_tokenizer(out, 470, CHAT_TOOLS)
    cfg = dense_config(tok, vocab_size=500, hidden_size=96, intermediate_size=120, num_attention_heads=4, num_key_value_heads=2,
                       layers="aca", conv_L_cache=4, block_multiple_of=8, tie_word_embeddings=False, norm_eps=2e-5,
                       rope_parameters={"rope_theta": 10000.0, "rope_type": "default"})
    model = scramble(Lfm2ForCausalLM(cfg), 11)
    assert model.model.layers[0].feed_forward.w1.weight.shape[0] == 80
    write_config(out, model)
    save_tensors(out / "model.safetensors", published_tensors(model))
    write_gguf(out / "model-bf16.gguf", model, tok, CHAT_TOOLS, lambda name: Q.BF16)
    write_cases(out, model, tok, 470, [1, 3, 12, 70], 1, tools=True)


def moe(out):
    """Experts on disk one by one, a selection bias, special tokens at the end of the vocabulary."""
    tok = make_tokenizer(out, 430, CHAT_PLAIN, specials_last=True)
    model = scramble(Lfm2MoeForCausalLM(moe_config(tok, layers="cac")), 12)
    write_config(out, model)
    tensors = published_tensors(model)
    save_tensors(out / "model.safetensors", tensors)
    check_names(model, tensors)
    write_gguf(out / "model-bf16.gguf", model, tok, CHAT_PLAIN, lambda name: Q.BF16)
    write_cases(out, model, tok, len(tok), [1, 12, 40], 2)


def check_names(model, tensors):
    """Our layout is what the library itself writes."""
    import tempfile
    from safetensors import safe_open
    with tempfile.TemporaryDirectory() as d:
        model.save_pretrained(d)
        with safe_open(d + "/model.safetensors", "pt") as f:
            assert set(f.keys()) == set(tensors), set(f.keys()) ^ set(tensors)


def moe_fused(out):
    """Experts in one tensor for each layer, not normalised, scaled, no dense layer but the first two."""
    tok = make_tokenizer(out, 300, CHAT_PLAIN)
    model = scramble(Lfm2MoeForCausalLM(moe_config(
        tok, layers="cac", hidden_size=32, num_attention_heads=2, num_key_value_heads=1, num_experts=6, num_experts_per_tok=2,
        num_dense_layers=2, norm_topk_prob=False, routed_scaling_factor=1.5)), 13)
    write_config(out, model)
    save_tensors(out / "model.safetensors", fused_tensors(model))
    write_cases(out, model, tok, len(tok), [2, 11], 3)


def old_schema(out):
    """Config keys of 2025, no leading `model.`, two shards, theta 5e6."""
    tok = make_tokenizer(out, 400, CHAT_PLAIN)
    model = scramble(Lfm2ForCausalLM(dense_config(
        tok, layers="cac", rope_parameters={"rope_theta": 5000000.0, "rope_type": "default"})), 14)
    old = {
        "architectures": ["Lfm2ForCausalLM"], "model_type": "lfm2", "block_dim": 64, "hidden_size": 64, "block_ff_dim": 192,
        "block_auto_adjust_ff_dim": True, "block_ffn_dim_multiplier": 1.0, "block_multiple_of": 32, "block_norm_eps": 1e-5,
        "norm_eps": 1e-5, "conv_dim": 64, "conv_L_cache": 3, "conv_bias": False, "full_attn_idxs": [1], "num_heads": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "num_hidden_layers": 3, "rope_theta": 5000000.0, "theta": 5000000.0,
        "tie_embedding": True, "max_position_embeddings": 2048, "vocab_size": len(tok), "torch_dtype": "bfloat16",
        **special_ids(tok)}
    write_json(out / "config.json", old)
    write_json(out / "generation_config.json", {"bos_token_id": 1, "eos_token_id": [7, 2]})
    tensors = {k.removeprefix("model."): v for k, v in published_tensors(model).items()}
    names = sorted(tensors)
    half = len(names) // 2
    shards = {"model-00001-of-00002.safetensors": names[:half], "model-00002-of-00002.safetensors": names[half:]}
    for file, keys in shards.items():
        save_tensors(out / file, {k: tensors[k] for k in keys})
    write_json(out / "model.safetensors.index.json", {
        "metadata": {"total_size": sum(t.numel() * 2 for t in tensors.values())},
        "weight_map": {k: file for file, keys in shards.items() for k in keys}})
    write_cases(out, model, tok, len(tok), [1, 12, 33], 4)


def noise(seed, **shapes):
    g = torch.Generator().manual_seed(seed)
    return {k: torch.randn(s, generator=g).bfloat16() for k, s in shapes.items()}


def vl_wrapper(out):
    """The backbone inside an image model: other tensors beside it."""
    tok = make_tokenizer(out, 300, CHAT_PLAIN)
    cfg = dense_config(tok, layers="ca", hidden_size=32, num_attention_heads=1, num_key_value_heads=1)
    model = scramble(Lfm2ForCausalLM(cfg), 15)
    text = json.loads(model.config.to_json_string())
    write_json(out / "config.json", {
        "architectures": ["Lfm2VlForConditionalGeneration"], "model_type": "lfm2_vl", "dtype": "bfloat16", "downsample_factor": 2,
        "image_token_id": 299, "projector_hidden_act": "gelu", "projector_hidden_size": 16, "projector_use_layernorm": False,
        "tie_word_embeddings": True, "text_config": text, "vision_config": {
            "model_type": "siglip2_vision_model", "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1,
            "num_attention_heads": 1, "num_channels": 3, "num_patches": 4, "patch_size": 16, "layer_norm_eps": 1e-6}})
    write_json(out / "generation_config.json", {"bos_token_id": 1, "eos_token_id": 7})
    tensors = {k.replace("model.", "model.language_model.", 1): v for k, v in published_tensors(model).items()}
    v = "model.vision_tower.vision_model."
    tensors.update(noise(5, **{
        v + "embeddings.patch_embedding.weight": (8, 768), v + "embeddings.patch_embedding.bias": (8,),
        v + "embeddings.position_embedding.weight": (4, 8), v + "encoder.layers.0.self_attn.q_proj.weight": (8, 8),
        v + "encoder.layers.0.layer_norm1.weight": (8,), v + "post_layernorm.weight": (8,),
        "model.multi_modal_projector.linear_1.weight": (16, 32), "model.multi_modal_projector.linear_1.bias": (16,),
        "model.multi_modal_projector.linear_2.weight": (32, 16)}))
    save_tensors(out / "model.safetensors", tensors)
    write_cases(out, model, tok, len(tok), [2, 12], 5)


def audio_wrapper(out):
    """The backbone inside a speech model: prefix `lfm.`, config under "lfm", integer tensors beside it."""
    tok = make_tokenizer(out, 300, CHAT_PLAIN)
    cfg = dense_config(tok, layers="ac", hidden_size=32, num_attention_heads=1, num_key_value_heads=1)
    model = scramble(Lfm2ForCausalLM(cfg), 16)
    text = {**json.loads(model.config.to_json_string()), "architectures": ["Lfm2ForCausalLM"]}
    write_json(out / "config.json", {
        "architectures": ["Lfm2AudioForConditionalGeneration"], "codebooks": 8,
        "preprocessor": {"sample_rate": 16000, "features": 128},
        "encoder": {"feat_in": 128, "n_layers": 1, "d_model": 8, "n_heads": 1, "conv_kernel_size": 9}, "lfm": text})
    tensors = {k.replace("model.", "lfm.", 1): v for k, v in published_tensors(model).items()}
    tensors.update(noise(6, **{
        "conformer.pre_encode.out.weight": (8, 16), "conformer.layers.0.conv.batch_norm.running_mean": (8,),
        "conformer.layers.0.self_attn.pos_bias_u": (1, 8), "audio_adapter.model.1.weight": (32, 8),
        "audio_embedding.embedding.weight": (24, 32), "audio_embedding.embedding_norm.weight": (32,),
        "depth_linear.weight": (16, 32), "depthformer.layers.0.operator_norm.weight": (16,)}))
    tensors["conformer.layers.0.conv.batch_norm.num_batches_tracked"] = torch.tensor(7)
    tensors["codebook_offsets"] = torch.arange(8) * 3
    save_tensors(out / "model.safetensors", tensors)
    write_cases(out, model, tok, len(tok), [2, 12], 6)


def quant_32(out):
    """GGUF only: every type with blocks of 32, one after the other."""
    types = [Q.Q8_0, Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1, Q.IQ4_NL, Q.F16, Q.F32]
    quantised(out, 17, 64, 192, "caca", types, Q.Q8_0)


def quant_k(out):
    """GGUF only: the types with blocks of 256."""
    quantised(out, 18, 256, 256, "ca", [Q.Q4_K, Q.Q5_K, Q.Q6_K], Q.Q6_K)


def quantised(out, seed, d, ff, layers, types, embed):
    tok = make_tokenizer(out, 300, CHAT_PLAIN)
    model = scramble(Lfm2ForCausalLM(dense_config(tok, layers=layers, hidden_size=d, intermediate_size=ff,
                                                  block_multiple_of=256 if d == 256 else 32)), seed)
    turn = itertools.cycle(types)
    write_gguf(out / "model.gguf", model, tok, CHAT_PLAIN, lambda name: embed if name == "token_embd.weight" else next(turn), seed)
    write_cases(out, model, tok, len(tok), [1, 12, 33], seed)
    for f in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (out / f).unlink()


FIXTURES = {"dense-odd": dense_odd, "moe": moe, "moe-fused": moe_fused, "old-schema": old_schema, "vl-wrapper": vl_wrapper,
            "audio-wrapper": audio_wrapper, "quant-32": quant_32, "quant-k": quant_k}


def main():
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    torch.set_num_threads(1)
    for name in sys.argv[2:] or FIXTURES:
        out = Path(sys.argv[1]) / name
        out.mkdir(parents=True, exist_ok=True)
        FIXTURES[name](out)


if __name__ == "__main__":
    main()
