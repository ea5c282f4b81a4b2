# SPDX-License-Identifier: Apache-2.0
"""Error rates of a checkpoint in PyTorch on held-out sets.

usage: evaluate.py WORK CHECKPOINT [--device cpu] [--n 500] [--kinds lines,speech,scenes]
Lines: seen and unseen fonts, texts of held sentences and templates. Speech: seen and unseen voices. Scenes: short, long, alt and
questions, right or wrong as a whole."""

import argparse

import torch

import batches
import speech_text
import text

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
    from train import patches

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
    """Greedy answers. rows: (before, n_media, after) of each sample; samples of one length go together."""
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
        ids, done = [[] for _ in group], torch.zeros(len(group), dtype=torch.bool)
        for k in range(limit):
            best = lm.logits(h[:, -1]).argmax(-1).cpu()
            for j, t in enumerate(best.tolist()):
                if not done[j]:
                    if t in (batches.IM_END, 2):
                        done[j] = True
                    else:
                        ids[j].append(t)
            if done.all():
                break
            h, states = lm(lm.embed_tokens(best.to(media.device))[:, None], states, n + k)
        for j, i in enumerate(group):
            out[i] = prompts.tk.decode(ids[j])
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


def measure(model, work, device, kind, n, lm=True):
    """[(what, value, n)] for the sets of a kind."""
    from mel import Mel
    from train import tensors

    mel_of, prompts, rows = Mel(device), batches.Prompts(), []
    model.eval()
    for name, spec, held in SETS[kind]:
        pairs, aux_pairs = [], []
        for raw in eval_batches(work, name, spec, held, n):
            b = tensors(raw, device)
            if lm:
                said, aux = answers(model, prompts, b, mel_of)
                pairs += list(zip(b["texts"], said))
            else:
                aux = media_of(model, b, mel_of)[1]
            if aux:
                aux_pairs += list(zip(b["texts"], aux))
        if kind == "scenes":
            rows.append((name + " exact", sum(a == b for a, b in pairs) / max(1, len(pairs)), len(pairs)))
            continue
        if pairs:
            rows.append((name + (" WER" if kind == "speech" else " CER"), error_rate(pairs, kind == "speech"), len(pairs)))
        if kind == "speech":
            aux_pairs = [(speech_text.ctc_text(a), b) for a, b in aux_pairs]
        rows.append((name + " CTC CER", error_rate(aux_pairs), len(aux_pairs)))
    return rows


def quick(model, work, device, pool, kinds, stage):
    out = []
    for k in kinds:
        lm = stage["mode"].get(k, "lm") == "lm"
        if k == "scenes" and not lm:
            continue
        out += measure(model, work, device, k, 100, lm)
    return out


def main():
    p = argparse.ArgumentParser()
    p.add_argument("work")
    p.add_argument("checkpoint")
    p.add_argument("--device", default="cpu")
    p.add_argument("--n", type=int, default=500)
    p.add_argument("--kinds", default="lines,speech,scenes")
    a = p.parse_args()
    from export import load

    model = load(a.checkpoint).to(a.device)
    for k in a.kinds.split(","):
        for what, value, n in measure(model, a.work, torch.device(a.device), k, a.n):
            print(f"{what:40} {100 * value:7.2f} % of {n}", flush=True)


if __name__ == "__main__":
    main()
