# SPDX-License-Identifier: Apache-2.0
"""The byte-level BPE tokenizer of the model: LFM2's special tokens, pre-tokeniser and files, own merges.

usage: tokenizer.py WORK        writes model/{tokenizer.json,tokenizer_config.json} beside this file
They are checked in: a model belongs to its tokenizer. Digits never merge: a number is a token a digit,
which a small model reads better.
"""

import json
import random
import re
import sys
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

import scenes_text
import speech_text
import text

VOCAB = 1280
SPECIAL = [
    "<|pad|>",
    "<|startoftext|>",
    "<|endoftext|>",
    "<|fim_pre|>",
    "<|fim_mid|>",
    "<|fim_suf|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|tool_list_start|>",
    "<|tool_list_end|>",
    "<|tool_call_start|>",
    "<|tool_call_end|>",
    "<|tool_response_start|>",
    "<|tool_response_end|>",
    "<|cot_start|>",
    "<|cot_end|>",
    "<|review_start|>",
    "<|review_end|>",
    "<|audio_start|>",
    "<|text_start|>",
    "<|text_end|>",
    "<|reserved_0|>",
    "<image>",
    "<|image_start|>",
    "<|image_end|>",
    "<|image_split|>",
    "<|img_thumbnail|>",
] + [f"<|img_row_{r}_col_{c}|>" for r in range(1, 11) for c in range(1, 11)]
PIECES = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def corpus(work):
    r, c = random.Random(11), text.Corpus(work)
    for _ in range(60000):
        yield text.line(r, c)
    for _ in range(60000):
        yield speech_text.spoken(r, c)
    for _ in range(400):
        yield from ["system\nPerform ASR.", "user\n", "assistant\n"] + scenes_text.PROMPTS
    for _ in range(20000):
        yield scenes_text.sample_sentence(r)


def build(work):
    tk = Tokenizer(models.BPE(ignore_merges=True))
    split = pre_tokenizers.Split(Regex(PIECES), "isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tk.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    tk.decoder = decoders.ByteLevel()
    tk.train_from_iterator(
        (re.sub(r"(\d)(?=\d)", "\\1\n", s) for s in corpus(work)),
        trainers.BpeTrainer(
            vocab_size=VOCAB,
            special_tokens=[AddedToken(s, special=True, normalized=False) for s in SPECIAL],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            max_token_length=12,
            show_progress=False,
        ),
    )
    return tk


def main():
    out = Path(__file__).parent / "model"
    build(sys.argv[1]).save(str(out / "tokenizer.json"))
    (out / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "bos_token": "<|startoftext|>",
                "eos_token": "<|im_end|>",
                "pad_token": "<|pad|>",
                "add_bos_token": True,
                "add_eos_token": False,
                "model_max_length": 4096,
                "clean_up_tokenization_spaces": False,
                "processor_class": "Lfm2VlProcessor",
                "tokenizer_class": "PreTrainedTokenizerFast",
            },
            indent=1,
        )
    )
    tk = Tokenizer.from_file(str(out / "tokenizer.json"))
    for s in ["Read the text in the image.", "My phone number is four double oh, seven.", "Total: $1234.56"]:
        print(tk.encode(s).tokens)
    print(tk.get_vocab_size())


if __name__ == "__main__":
    main()
