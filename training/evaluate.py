# SPDX-License-Identifier: Apache-2.0
"""Error rates of a checkpoint in PyTorch on held-out sets.

usage: evaluate.py WORK CHECKPOINT [--device cpu] [--n 500] [--kinds lines,speech,scenes] ...
Lines: seen and unseen fonts, texts of held sentences and templates. Speech: seen and unseen voices. Scenes: short, long, alt and
questions, right or wrong as a whole."""

import argparse
import json
from pathlib import Path

import torch

import batches
import speech_text
import text
from arrays import patches, tensors
from mel import Mel

EVAL_SEED = 900001


def distance(a, b):
    """Edits between two sequences."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


def error_rate(pairs, words=False):
    """Edits over length of [(truth, said)]."""
    if words:
        pairs = [(speech_text.ctc_text(a).split(), speech_text.ctc_text(b).split()) for a, b in pairs]
    n = sum(len(a) for a, _ in pairs)
    return sum(distance(a, b) for a, b in pairs) / max(1, n)


def ctc_texts(logits, n_frames, alphabet):
    best = logits.argmax(-1).cpu()
    out = []
    for row, n in zip(best, n_frames):
        last, s = 0, ""
        for k in row[:n].tolist():
            if k and k != last:
                s += alphabet[k - 1]
            last = k
        out.append(s)
    return out


@torch.no_grad()
def media_of(model, b, mel_of):
    """Embeddings, auxiliary texts of a batch."""
    if b["kind"] == "speech":
        mel, n = mel_of(b["wave"].float() / 32768, b["n"])
        x, emb, n = model.hear(mel, n)
        return emb, ctc_texts(model.audio_ctc(x), (4 * n).tolist(), " abcdefghijklmnopqrstuvwxyz'")
    feats, emb = model.see(patches(b["image"]), b["rows"], b["cols"])
    aux = None
    if b["kind"] == "lines":
        aux = ctc_texts(model.vision_ctc(feats)[0], [4 * c for c in b["cols"]], text.CHARS)
    return emb.flatten(1, 2), aux


@torch.no_grad()
def generate(model, prompts, rows, media, limit=128):
    """Greedy answers and the mean log-probability of their tokens. rows: (before, n_media, after) of each sample; samples of
    one length go together."""
    lm, out = model.lm, [None] * len(rows)
    lengths = {}
    for i, (b, m, a) in enumerate(rows):
        lengths.setdefault(len(b) + m + len(a), []).append(i)
    for n, group in lengths.items():
        x = torch.stack(
            [
                torch.cat(
                    [
                        lm.embed_tokens(torch.tensor(rows[i][0], device=media.device)),
                        media[i, : rows[i][1]],
                        lm.embed_tokens(torch.tensor(rows[i][2], device=media.device)),
                    ]
                )
                for i in group
            ]
        )
        h, states = lm(x)
        ids, done, logp = [[] for _ in group], torch.zeros(len(group), dtype=torch.bool), [[] for _ in group]
        for k in range(limit):
            p, best = (t.cpu() for t in lm.logits(h[:, -1]).float().log_softmax(-1).max(-1))
            for j, t in enumerate(best.tolist()):
                if not done[j]:
                    logp[j].append(float(p[j]))
                    if t in (batches.IM_END, 2):
                        done[j] = True
                    else:
                        ids[j].append(t)
            if done.all():
                break
            h, states = lm(lm.embed_tokens(best.to(media.device))[:, None], states, n + k)
        for j, i in enumerate(group):
            out[i] = (prompts.tk.decode(ids[j]), sum(logp[j]) / len(logp[j]))
    return out


def answers(model, prompts, b, mel_of):
    media, aux = media_of(model, b, mel_of)
    if b["kind"] == "speech":
        before, after = prompts.hear()
        rows = [(before, (1 + int(n) // 160 + 7) // 8, after) for n in b["n"]]
    else:
        asked = b.get("asked") or ["Read the text in the image."] * len(b["texts"])
        rows = [(*prompts.see(q)[:1], r * c // 4, prompts.see(q)[1]) for q, r, c in zip(asked, b["rows"], b["cols"])]
    return generate(model, prompts, rows, media), aux


SETS = {
    "lines": [("lines seen fonts", {"kind": "lines"}, "fonts"), ("lines unseen fonts", {"kind": "lines"}, True)],
    "speech": [
        ("speech seen voices", {"kind": "speech", "voices": "seen"}, True),
        ("speech seen voices 8 kHz noise", {"kind": "speech", "voices": "seen", "level": "phone"}, True),
        ("speech unseen voices", {"kind": "speech", "voices": "unseen"}, True),
        ("digits in runs", {"kind": "speech", "voices": "digits"}, True),
        ("no speech", {"kind": "speech", "voices": "nothing"}, True),
    ],
    "scenes": [("scenes", {"kind": "scenes"}, True)],
}
_cache = {}


def eval_batches(work, name, spec, held, n):
    key = (name, n)
    if key not in _cache:
        maker = batches.Maker(work)
        spec = {**spec, "seed": EVAL_SEED, "batch": min(n, 50), "pool": n, "longest_s": 12, "eval": True}
        if held == "fonts":  # seen fonts, held texts
            maker.fonts[True] = maker.font_set(False)
        _cache[key] = maker.job(spec, 0, held=bool(held))
    return _cache[key]


def transcribe(model, b, mel_of, prompts, lm):
    """[(truth, said or None, CTC or None, mean log-probability)] of a batch."""
    if lm:
        said, aux = answers(model, prompts, b, mel_of)
    else:
        said, aux = [(None, 0.0)] * len(b["texts"]), media_of(model, b, mel_of)[1]
    return [(t, s, a, p) for t, (s, p), a in zip(b["texts"], said, aux or [None] * len(said))]


def scores(kind, name, rows, seconds):
    """[(what, value)] of a set. value: a share, but for words an hour."""
    words = [(speech_text.ctc_text(t), speech_text.ctc_text(s or ""), a) for t, s, a, _ in rows]
    if kind == "scenes":
        return [(f"{name} exact", sum(t == s for t, s, _, _ in rows) / len(rows))]
    if name == "no speech":
        return [("no speech: words an hour", sum(len(s.split()) for _, s, _ in words) / seconds * 3600)]
    out = []
    if rows[0][1] is not None:
        if name == "digits in runs":
            out.append((f"{name} exact", sum(t == s for t, s, _ in words) / len(rows)))
        else:
            pairs = [(t, s) for t, s, _, _ in rows]
            out.append((name + (" WER" if kind == "speech" else " CER"), error_rate(pairs, kind == "speech")))
            out.append((f"{name} exact", sum(t == s for t, s, _, _ in rows) / len(rows)))
    aux = [(t, a) for t, _, a in words] if kind == "speech" else [(t, a) for t, _, a, _ in rows]
    return out + [(f"{name} CTC CER", error_rate(aux))]


def measure(model, work, device, kind, n, lm=True, sets=None):
    """[(what, value, n)] for the sets of a kind, and all their rows."""
    mel_of, prompts, out, everything = Mel(device), batches.Prompts(), [], []
    model.eval()
    for name, spec, held in sets or SETS[kind]:
        rows, seconds = [], 0.0
        for raw in eval_batches(work, name, spec, held, n):
            b = tensors(raw, device)
            rows += transcribe(model, b, mel_of, prompts, lm)
            seconds += float(b["n"].sum()) / 16000 if kind == "speech" else 0.0
        out += [(what, value, len(rows)) for what, value in scores(kind, name, rows, seconds)]
        everything += rows
    return out, everything


def quick(model, work, device, kinds, stage):
    """A look at a few of each kind, while training."""
    out = []
    for k in kinds:
        lm = stage["mode"].get(k, "lm") == "lm"
        if k != "scenes" or lm:
            out += measure(model, work, device, k, 60 if lm else 100, lm, SETS[k][:3])[0]
    return out


def calibrate(rows):
    """a, b of p = 1 / (1 + exp(-(a x + b))): the chance that an answer is right, from its mean log-probability x."""
    x = torch.tensor([[p, 1.0] for _, _, _, p in rows], dtype=torch.float64)
    y = torch.tensor([float(t == s) for t, s, _, _ in rows], dtype=torch.float64)
    w = torch.zeros(2, dtype=torch.float64)
    for _ in range(50):  # Newton, held back by a weak prior
        p = torch.sigmoid(x @ w)
        grad = x.T @ (p - y) + 0.01 * w
        hess = (x * (p * (1 - p))[:, None]).T @ x + 0.01 * torch.eye(2, dtype=torch.float64)
        w = w - torch.linalg.solve(hess, grad)
    return [round(float(v), 4) for v in w]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("work")
    p.add_argument("checkpoint")
    p.add_argument("--device", default="cpu")
    p.add_argument("--n", type=int, default=500)
    p.add_argument("--kinds", default="lines,speech,scenes")
    p.add_argument("--calibrate", help="file for the calibration of confidences (export.py takes it)")
    p.add_argument("--show", type=int, default=0, help="print so many answers of each kind")
    a = p.parse_args()
    from export import load

    model, fits = load(a.checkpoint).to(a.device), {}
    for k in a.kinds.split(","):
        values, rows = measure(model, a.work, torch.device(a.device), k, a.n)
        for what, value, n in values:
            print(
                f"{what:40} {value:8.1f}    of {n}" if "an hour" in what else f"{what:40} {100 * value:7.2f} % of {n}", flush=True
            )
        for t, s, c, _ in rows[: a.show]:
            print(f"  {t!r}\n  {s!r}\n  {c!r}")
        if k != "scenes":
            fits["see" if k == "lines" else "hear"] = calibrate(rows)
    if a.calibrate:
        Path(a.calibrate).write_text(json.dumps(fits) + "\n")


if __name__ == "__main__":
    main()
