# SPDX-License-Identifier: Apache-2.0
# What Hugging Face tokenizers makes of the 200,000 strings of tests/unit/test_tok_corpus.c: hashes for each block of 500.
"""usage: make_tokenizer_hashes.py [--train]

Reads golden/text/tokenizer.json, tokenizers/tok8k.json and tokenizers/corpus.txt beside it, writes tokenizers/hashes.txt.
--train makes tok8k.json anew first, from the corpus and the modules of Python's standard library (so its bytes depend on the
version of Python; the file in the tree was made with Python 3.11, tokenizers 0.23). Its merging differs from the golden one's
on purpose: ignore_merges is off, and two added tokens are not special.
"""
import glob
import json
import os
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

HERE = os.path.dirname(os.path.abspath(__file__))
N_STRINGS, BLOCK = 200000, 500
MASK = (1 << 64) - 1


def path(*parts):
    return os.path.join(HERE, *parts)


def read_corpus():
    groups, words, texts = [], [], []
    with open(path("tokenizers", "corpus.txt"), encoding="utf-8", newline="\n") as f:
        for line in f:
            kind, _, rest = line.rstrip("\n").partition(" ")
            if kind == "group":
                groups.append([tuple(int(x, 16) for x in r.split("-")) for r in rest.split()])
            elif kind == "word":
                words.append(rest)
            elif kind == "text":
                texts.append(rest)
    return groups, words, texts


class Random:
    """SplitMix64; below(n) is the high half of a draw, modulo n."""

    def __init__(self, seed):
        self.state = seed & MASK

    def below(self, n):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & MASK
        return ((z ^ z >> 31) >> 32) % n


def make_string(i, groups, words, texts):
    r = Random(i)
    out = []
    for _ in range(1 + r.below(5)):
        kind = r.below(16)
        if kind < 10:
            group = groups[r.below(len(groups))]
            for _ in range(1 + r.below(7)):
                lo, hi = group[r.below(len(group))]
                out.append(chr(lo + r.below(hi - lo + 1)))
        elif kind < 14:
            text = texts[r.below(len(texts))]
            start = r.below(len(text))
            out.append(text[start:start + 1 + r.below(20)])
        else:
            out.append(words[r.below(len(words))])
    return "".join(out)


def fnv(h, data):
    for b in data:
        h = (h ^ b) * 0x100000001B3 & MASK
    return h


def hash_ids(lists):
    return fnv(0xCBF29CE484222325, b"".join(b"".join(i.to_bytes(4, "little") for i in ids) + b"\xff\xff\xff\xff" for ids in lists))


def encode(tok, strings):
    """Even strings with special tokens as text, odd ones with special tokens obeyed."""
    out = [None] * len(strings)
    for odd in (0, 1):
        tok.encode_special_tokens = not odd
        for i, e in zip(range(odd, len(strings), 2), tok.encode_batch(strings[odd::2], add_special_tokens=False)):
            out[i] = e.ids
    return out


def train():
    golden = json.load(open(path("golden", "text", "tokenizer.json"), encoding="utf-8"))
    regex = golden["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"]
    special = [t["content"] for t in golden["added_tokens"][:20]]
    texts = read_corpus()[2] * 20
    for name in sorted(glob.glob(os.path.join(os.path.dirname(os.__file__), "*.py"))):
        texts.append(open(name, encoding="utf-8").read().replace("XX" + "X", "xxx"))
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(regex), "isolated"),
                                                 pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=8190, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
        special_tokens=[AddedToken(s, special=True, normalized=False) for s in special]))
    tok.add_tokens([AddedToken("python", special=False), AddedToken("Mathias", special=False, normalized=False)])
    with open(path("tokenizers", "tok8k.json"), "w", encoding="utf-8", newline="\n") as f:
        f.write(tok.to_str(pretty=False) + "\n")


def main():
    if "--train" in sys.argv[1:]:
        train()
    corpus = read_corpus()
    strings = [make_string(i, *corpus) for i in range(N_STRINGS)]
    files = (path("golden", "text", "tokenizer.json"), path("tokenizers", "tok8k.json"))
    ids = [encode(Tokenizer.from_file(p), strings) for p in files]
    with open(path("tokenizers", "hashes.txt"), "w", newline="\n") as f:
        for b in range(0, N_STRINGS, BLOCK):
            text = fnv(0xCBF29CE484222325, b"".join(s.encode() + b"\0" for s in strings[b:b + BLOCK]))
            f.write(" ".join("%016x" % h for h in [text] + [hash_ids(i[b:b + BLOCK]) for i in ids]) + "\n")
    print(sum(len(s.encode()) for s in strings), "bytes in", N_STRINGS, "strings;", [sum(map(len, i)) for i in ids], "ids")


if __name__ == "__main__":
    main()
