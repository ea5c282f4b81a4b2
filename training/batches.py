# SPDX-License-Identifier: Apache-2.0
"""Batches from samples. A job is a pure function of (kind, seed, number): it makes a pool of samples, sorts it by length and cuts
it into batches; worker processes run jobs ahead of the trainer, which takes them in their order."""

import multiprocessing as mp
import os
import random
import zlib
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

import scenes_text
import speech_text
import text

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
IM_END = 7
SHM = Path("/dev/shm")


class Prompts:
    """Token ids around the media and the answer."""

    def __init__(self):
        self.tk = Tokenizer.from_file(str(Path(__file__).parent / "model" / "tokenizer.json"))
        enc = lambda s: self.tk.encode(s, add_special_tokens=False).ids
        self.enc = enc
        self.see_before = enc("<|startoftext|><|im_start|>user\n<|image_start|>")
        self.after_image = enc("<|image_end|>")
        self.see_end = enc("<|im_end|>\n<|im_start|>assistant\n")
        self.hear_before = enc("<|startoftext|><|im_start|>system\nPerform ASR.<|im_end|>\n<|im_start|>user\n")
        self.vocab = self.tk.get_vocab_size()

    def see(self, question):
        return self.see_before, self.after_image + self.enc(question) + self.see_end

    def hear(self):
        return self.hear_before, self.see_end


def sequences(rows, cap_media):
    """rows: (before, n_media, after, answer) ids. The tokens of the backbone's input; for each position where it comes from
    (a token, or T + k: the k-th embedding of the sample's media); the answer's positions in [B * T] and their targets."""
    n = [len(b) + m + len(a) + len(t) for b, m, a, t in rows]
    T = max(n)
    ids, src = np.zeros((len(rows), T), np.int64), np.tile(np.arange(T), (len(rows), 1))
    at, target = [], []
    for i, (b, m, a, t) in enumerate(rows):
        p = len(b)
        ids[i, :p] = b
        src[i, p : p + m] = T + np.arange(m)
        p += m
        ids[i, p : p + len(a)] = a
        p += len(a)
        ids[i, p : p + len(t)] = t
        k = np.arange(p - 1, p + len(t))
        at.append(i * T + k)
        target.append(np.array(list(t) + [IM_END]))
    return {"ids": ids, "src": src, "at": np.concatenate(at), "target": np.concatenate(target)}


def noisy(g, p, batch, share=0.05):
    """Wrong tokens in what the teacher shows, so that the model looks instead of only continuing."""
    ids = batch["ids"].reshape(-1)
    first = np.r_[True, np.diff(batch["at"]) != 1]
    pos = batch["at"][~first]  # inputs at these places are answer tokens
    hit = pos[g.random(pos.size) < share]
    ids[hit] = g.integers(160, p.vocab, hit.size)


def pad_images(images):
    h, w = max(x.shape[0] for x in images), max(x.shape[1] for x in images)
    out = np.zeros((len(images), h, w, 3), np.uint8)
    for i, x in enumerate(images):
        out[i, : x.shape[0], : x.shape[1]] = x
    return out


def lines_batch(rows, p, g=None):
    b = {
        "kind": "lines",
        "image": pad_images([x["image"] for x in rows]),
        "rows": [2] * len(rows),
        "cols": [2 * x["tokens"] for x in rows],
        "texts": [x["text"] for x in rows],
    }
    before, after = p.see(scenes_text.OCR)
    b.update(sequences([(before, x["tokens"], after, p.enc(x["text"])) for x in rows], b["image"].shape[2] // 32))
    if g is not None:
        noisy(g, p, b)
    cls = [[text.CLASS[ch] for ch in x["text"]] for x in rows]
    b["chars"], b["n_chars"] = np.concatenate(cls), np.array([len(x) for x in cls])
    frames = np.zeros((len(rows), b["image"].shape[2] // 4), np.int64)
    count = np.zeros((len(rows), b["image"].shape[2] // 16), np.float32)
    for i, x in enumerate(rows):
        f = np.clip((x["mid"] / 4).astype(int), 0, 8 * x["tokens"] - 1)
        frames[i, f] = cls[i]
        count[i] = np.searchsorted(x["mid"], np.arange(count.shape[1]) * 16 + 16) / 16
    b["frames"], b["count"] = frames, count
    return b


def scenes_batch(rows, p, g=None):
    b = {
        "kind": "scenes",
        "image": np.stack([x["image"] for x in rows]),
        "texts": [x["answer"] for x in rows],
        "asked": [x["question"] for x in rows],
    }
    h, w = b["image"].shape[1:3]
    b["rows"], b["cols"] = [h // 16] * len(rows), [w // 16] * len(rows)
    b.update(
        sequences(
            [(*p.see(x["question"])[:1], h * w // 1024, p.see(x["question"])[1], p.enc(x["answer"])) for x in rows], h * w // 1024
        )
    )
    if g is not None:
        noisy(g, p, b, 0.03)
    return b


def speech_batch(rows, p, g=None):
    n = np.array([len(x["wave"]) for x in rows])
    wave = np.zeros((len(rows), n.max()), np.int16)
    for i, x in enumerate(rows):
        wave[i, : len(x["wave"])] = x["wave"]
    b = {"kind": "speech", "wave": wave, "n": n, "texts": [x["text"] for x in rows]}
    media = [(1 + k // 160 + 7) // 8 for k in n]
    before, after = p.hear()
    b.update(sequences([(before, m, after, p.enc(x["text"])) for m, x in zip(media, rows)], max(media)))
    if g is not None:
        noisy(g, p, b)
    alphabet = {ch: i + 1 for i, ch in enumerate(" abcdefghijklmnopqrstuvwxyz'")}
    cls = [[alphabet[ch] for ch in speech_text.ctc_text(x["text"])] for x in rows]
    b["chars"], b["n_chars"] = np.array([v for x in cls for v in x], np.int64), np.array([len(x) for x in cls])
    return b


class Maker:
    """What a worker needs; made once in each process."""

    def __init__(self, work):
        self.work, self.p, self.c = work, Prompts(), text.Corpus(work)
        self.fonts, self.voices = {}, None

    def font_set(self, held):
        import data_lines

        if held not in self.fonts:
            self.fonts[held] = data_lines.Fonts(self.work, held)
        return self.fonts[held]

    def job(self, spec, number, held=False):
        """The batches of one job. spec: kind, seed, batch, pool, and what the kind needs."""
        seed = hash_of(spec["kind"], spec["seed"], number)
        r, g = random.Random(seed), np.random.default_rng(seed)
        kind, n = spec["kind"], spec["pool"]
        if kind == "lines":
            import data_lines

            size = (spec.get("longest", 80), spec.get("wide_px", 1024), spec.get("ease", 0.0))
            rows = [data_lines.render(r, g, self.c, self.font_set(held), held, *size) for _ in range(n)]
            rows.sort(key=lambda x: x["tokens"])
            make = lines_batch
        elif kind == "scenes":
            import data_scenes

            rows = [
                x for k in range(n // spec["batch"]) for x in data_scenes.batch(r, g, self.c, self.font_set(held), spec["batch"])
            ]
            make = scenes_batch
        else:
            import data_speech

            rows = data_speech.pool(r, g, self.work, spec, number)
            rows.sort(key=lambda x: len(x["wave"]))
            make = speech_batch
        out = [make(rows[i : i + spec["batch"]], self.p, g) for i in range(0, len(rows) - spec["batch"] + 1, spec["batch"])]
        r.shuffle(out)
        return out


def hash_of(kind, seed, number):
    return zlib.crc32(f"{kind} {seed} {number}".encode()) + (number << 32)


_maker = None


def _start(work):
    global _maker
    os.nice(1)
    _maker = Maker(work)


def _run(args):
    """A job in a worker. Large arrays go through files in memory: a pipe would keep the trainer busy unpacking them."""
    out = _maker.job(*args)
    if SHM.is_dir():
        for b in out:
            for k in ("image", "wave"):
                if k in b and b[k].nbytes > 1 << 20:
                    path = SHM / f"lfm2-{os.getpid()}-{zlib.crc32(os.urandom(8)):08x}.npy"
                    np.save(path, b[k])
                    b[k] = path
    return out


def arrived(batch):
    """The batch with its large arrays in place; their files are gone."""
    for k in ("image", "wave"):
        if isinstance(batch.get(k), Path):
            path = batch[k]
            batch[k] = np.load(path)
            path.unlink()
    return batch


class Source:
    """Batches of one kind in their order, made ahead by the workers. state is where the next batch stands.
    spec["reuse"] > 1: each is seen about so many times, the later ones at random among the last `keep` (and begins anew
    after a resume)."""

    def __init__(self, pool, spec, state=(0, 0), ahead=2, keep=150):
        self.reuse, self.keep, self.seen, self.r = (
            spec.get("reuse", 1),
            keep,
            [],
            random.Random(hash_of("reuse", spec["seed"], state[0])),
        )
        self.pool, self.spec, (self.job, self.at) = pool, spec, state
        self.ahead, self.waiting, self.batches = ahead, [], None

    def __next__(self):
        if len(self.seen) > 20 and self.r.random() > 1 / self.reuse:
            return self.r.choice(self.seen)
        b = arrived(self.fresh())
        if self.reuse > 1:
            self.seen = self.seen[-self.keep + 1 :] + [b]
        return b

    def fresh(self):
        while self.batches is None or self.at >= len(self.batches):
            if self.batches is not None:
                self.job, self.at = self.job + 1, 0
            while len(self.waiting) <= self.ahead:
                self.waiting.append(self.pool.apply_async(_run, ((self.spec, self.job + len(self.waiting)),)))
            self.batches = self.waiting.pop(0).get()
        self.at += 1
        return self.batches[self.at - 1]

    @property
    def state(self):
        return (self.job, self.at)


def sweep():
    """Remove what workers that are gone have left in memory."""
    for path in SHM.glob("lfm2-*-*.npy"):
        if not Path("/proc", path.name.split("-")[1]).exists():
            path.unlink(missing_ok=True)


def workers(work, n):
    sweep()
    return mp.get_context("fork").Pool(n, _start, (str(work),))
