# SPDX-License-Identifier: Apache-2.0
"""Train the model through the stages of a recipe. Stops and resumes at any step.

usage: train.py WORK RUN [--recipe cpu] [--device cpu] [--threads 2] [--workers 1] [--minutes M] [--steps N] ...
WORK/RUN/ gets last.pt (weights, optimiser, place in the data), STAGE.pt at the end of each stage, log.csv, eval.csv."""

import argparse
import csv
import math
import os
import random
import time
from pathlib import Path

import torch
import torch.nn.functional as F

import batches
import evaluate
import text
from arrays import load_weights, patches, save_parts, tensors
from mel import Mel
from model import Model, load_config
from recipes import RECIPES

SAVE_S, EVAL_S, LOG_STEPS = 240, 1800, 50


def vary(image, g):
    """Another light and other noise for a batch that is seen again."""
    b = image.shape[0]
    rand = lambda lo, hi: (torch.rand((b, 1, 1, 1), generator=g) * (hi - lo) + lo).to(image.device)
    x = image.float()
    x = 127.5 + (x - 127.5) * rand(0.6, 1.15) + rand(-20, 20)
    turned = (torch.rand((b, 1, 1, 1), generator=g) < 0.2).to(image.device)
    x = torch.where(turned, 255 - x, x)
    x = x + torch.randn(image.shape[:3] + (1,), device=image.device) * rand(0, 8)
    return x.clamp(0, 255)


def answer_loss(model, b, media):
    """Cross-entropy of the answers, given the embeddings [B, K, d] that stand in the prompts."""
    lm = model.lm
    emb = lm.embed_tokens(b["ids"])
    x = torch.cat([emb, media.to(emb.dtype)], 1)
    x = x.gather(1, b["src"][..., None].expand(-1, -1, x.shape[2]))
    h, _ = lm(x)
    return F.cross_entropy(lm.logits(h.flatten(0, 1)[b["at"]]).float(), b["target"], label_smoothing=0.02)


def ctc_loss(logits, n_frames, b):
    lp = logits.float().log_softmax(-1).transpose(0, 1)
    return F.ctc_loss(lp, b["chars"], n_frames, b["n_chars"], zero_infinity=True)


def spec_augment(mel, n, g):
    """A few bands and stretches of time set to zero, other ones in each batch and sound."""
    b, t, m = mel.shape
    for _ in range(2):
        w, a = torch.randint(0, 18, (b, 1), generator=g), torch.randint(0, m, (b, 1), generator=g)
        band = torch.arange(m)[None]
        mel = mel.masked_fill(((band >= a) & (band < a + w)).to(mel.device)[:, None, :], 0.0)
        w, a = (torch.rand((b, 1), generator=g) * 0.05 * n.cpu()[:, None]).long(), (
            torch.rand((b, 1), generator=g) * n.cpu()[:, None]
        ).long()
        time_ = torch.arange(t)[None]
        mel = mel.masked_fill(((time_ >= a) & (time_ < a + w)).to(mel.device)[:, :, None], 0.0)
    return mel


class Trainer:
    def __init__(self, a):
        self.a, self.work, self.out = a, Path(a.work), Path(a.work) / a.run
        self.out.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(1)
        torch.set_num_threads(a.threads)
        self.device = torch.device(a.device)
        self.bf16 = bool(a.bf16) if a.bf16 is not None else self.device.type == "cuda"
        self.recipe = RECIPES[a.recipe]
        self.pool = batches.workers(a.work, a.workers)
        self.prompts = batches.Prompts()
        self.model = Model(load_config(self.prompts.vocab), len(text.CHARS)).to(self.device)
        self.mel = Mel(self.device)
        decay = [p for p in self.model.parameters() if p.ndim >= 2]
        rest = [p for p in self.model.parameters() if p.ndim < 2]
        self.opt = torch.optim.AdamW(
            [{"params": decay, "weight_decay": 0.02}, {"params": rest, "weight_decay": 0.0}],
            lr=1e-3,
            betas=(0.9, 0.98),
            fused=self.device.type == "cuda",
        )
        self.stage, self.step, self.seconds, self.samples, self.places = 0, 0, 0.0, 0, {}
        if (self.out / "last.pt").exists():
            s = torch.load(self.out / "last.pt", map_location=self.device, weights_only=True)
            self.model.load_state_dict(s["model"])
            self.opt.load_state_dict(s["opt"])
            self.stage, self.step, self.seconds, self.samples, self.places = (
                s["stage"],
                s["step"],
                s["seconds"],
                s["samples"],
                s["places"],
            )
        elif a.start:
            self.model.load_state_dict(load_weights(a.start))
        if a.stage and self.stage == 0 and self.step == 0:
            self.stage = [s["name"] for s in self.recipe].index(a.stage)
        self.sums = {}

    def save(self, name="last.pt"):
        s = {
            "model": self.model.state_dict(),
            "opt": self.opt.state_dict(),
            "stage": self.stage,
            "step": self.step,
            "seconds": self.seconds,
            "samples": self.samples,
            "places": {k: list(v) for k, v in self.places.items()},
        }
        torch.save(s, self.out / (name + ".new"))
        os.replace(self.out / (name + ".new"), self.out / name)

    def loss(self, b, mode, index, again=False):
        m, on = self.model, self.device.type
        with torch.autocast(on, torch.bfloat16, enabled=self.bf16):
            if b["kind"] == "speech":
                with torch.autocast(on, enabled=False):
                    mel, n = self.mel(b["wave"].float() / 32768, b["n"])
                    mel = spec_augment(mel, n, torch.Generator().manual_seed(index))
                x, emb, n = m.hear(mel, n)
                ctc = ctc_loss(m.audio_ctc(x), 4 * n, b)
                if mode == "ctc":
                    return ctc, {"ctc": ctc}
                lm = answer_loss(m, b, emb)
                return lm + 0.3 * ctc, {"ctc": ctc, "lm": lm}
            image = b["image"]
            if again and b["kind"] == "lines":
                image = vary(image, torch.Generator().manual_seed(index))
            x = patches(image)
            feats, emb = m.see(x, b["rows"], b["cols"])
            emb = emb.flatten(1, 2)
            if b["kind"] == "scenes":
                lm = answer_loss(m, b, emb)
                return lm, {"lm": lm}
            logits, count = m.vision_ctc(feats)
            cols = torch.tensor(b["cols"], device=x.device)
            ok = torch.arange(count.shape[1], device=x.device) < cols[:, None]
            side = 0.1 * F.smooth_l1_loss(count[ok].float(), b["count"][ok])
            if mode == "frames":
                ok = torch.arange(logits.shape[1], device=x.device) < 4 * cols[:, None]
                y = b["frames"][ok]
                ce = F.cross_entropy(logits[ok].float(), y, reduction="none") * torch.where(y == 0, 0.3, 1.0)
                ce = ce.mean()
                return ce + side, {"frames": ce}
            ctc = ctc_loss(logits, 4 * cols, b)
            if mode == "ctc":
                return ctc + side, {"ctc": ctc}
            lm = answer_loss(m, b, emb)
            return lm + 0.3 * ctc + 0.1 * side, {"ctc": ctc, "lm": lm}

    def log(self, stage, lr):
        path = self.out / "log.csv"
        new = not path.exists()
        with open(path, "a", newline="") as f:
            w = csv.writer(f)
            if new:
                w.writerow(["stage", "step", "seconds", "samples", "lr", "what", "loss"])
            for k in sorted(self.sums):
                s, n = self.sums[k]
                w.writerow([stage["name"], self.step, f"{self.seconds:.0f}", self.samples, f"{lr:.2e}", k, f"{s / n:.4f}"])
        print(
            f"{stage['name']} {self.step} {self.seconds:.0f} s {self.samples} samples "
            + " ".join(f"{k} {s / n:.3f}" for k, (s, n) in sorted(self.sums.items())),
            flush=True,
        )
        self.sums = {}

    def evaluate(self, stage):
        if self.a.no_eval:
            return
        rows = evaluate.quick(self.model, self.work, self.device, list(stage["mix"]), stage)
        with open(self.out / "eval.csv", "a", newline="") as f:
            for what, value, n in rows:
                csv.writer(f).writerow([stage["name"], self.step, f"{self.seconds:.0f}", what, f"{value:.4f}", n])
        print("eval", " ".join(f"{w} {v:.4f}" for w, v, _ in rows), flush=True)

    def run(self):
        began, base = time.monotonic(), self.seconds
        saved = evaluated = began
        left = self.a.steps
        while self.stage < len(self.recipe):
            stage = self.recipe[self.stage]
            steps = max(1, int(stage["steps"] * self.a.share))
            kinds = sorted(stage["mix"])
            sources = {}
            for k in kinds:
                spec = {**stage["data"].get(k, {}), "kind": k, "seed": 100 + self.stage}
                sources[k] = batches.Source(
                    self.pool, spec, tuple(self.places.get(k, (0, 0))), ahead=1 if self.a.workers == 1 else 2 * self.a.workers
                )
            self.model.train()
            while self.step < steps:
                k = random.Random(self.stage * 10**9 + self.step).choices(kinds, [stage["mix"][x] for x in kinds])[0]
                raw = next(sources[k])
                again, raw["seen"] = raw.get("seen", 0) > 0, raw.get("seen", 0) + 1
                b = tensors(raw, self.device)
                mode = stage["mode"].get(k, "lm")
                if isinstance(mode, list):  # [[share of the stage, mode], ...]
                    mode = next(m for until, m in mode if self.step < until * steps)
                lr = stage["lr"] * min(1.0, (self.step + 1) / stage.get("warmup", 200))
                end = stage.get("lr_end", 0.1)
                lr *= end + (1 - end) * 0.5 * (1 + math.cos(math.pi * self.step / steps))
                for group in self.opt.param_groups:
                    group["lr"] = lr
                loss, parts = self.loss(b, mode, self.step, again)
                self.opt.zero_grad(set_to_none=True)
                loss.backward()
                norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
                if torch.isfinite(norm):
                    self.opt.step()
                for name, v in parts.items():
                    s, n = self.sums.get(f"{k}.{name}", (0.0, 0))
                    self.sums[f"{k}.{name}"] = (s + v.detach(), n + 1)
                self.step += 1
                self.samples += len(b["texts"])
                self.places[k] = sources[k].state
                now = time.monotonic()
                self.seconds = base + now - began
                if self.step % LOG_STEPS == 0:
                    self.log(stage, lr)
                if now - saved > SAVE_S:
                    self.save()
                    saved = now
                if now - evaluated > EVAL_S:
                    self.evaluate(stage)
                    self.model.train()
                    evaluated = time.monotonic()
                left -= 1
                if left == 0 or self.a.minutes and now - began > 60 * self.a.minutes:
                    self.save()
                    self.evaluate(stage)
                    return
            if self.sums:
                self.log(stage, lr)
            print(f"{stage['name']} done after {self.seconds:.0f} s", flush=True)
            self.evaluate(stage)
            self.stage, self.step, self.places = self.stage + 1, 0, {}
            self.save(stage["name"] + ".pt")
            self.save()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("work")
    p.add_argument("run")
    p.add_argument("--recipe", default="cpu")
    p.add_argument("--device", default="cpu")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--workers", type=int, default=1)
    p.add_argument("--minutes", type=float, default=0, help="stop after so long, ready to go on")
    p.add_argument("--steps", type=int, default=0, help="stop after so many, ready to go on")
    p.add_argument("--share", type=float, default=1.0, help="of the recipe's steps")
    p.add_argument("--start", help="weights to begin with, when there is nothing to resume")
    p.add_argument("--bf16", type=int, help="default: on a GPU; on CPUs without bf16 matrix units it is slower")
    p.add_argument("--no-eval", action="store_true")
    p.add_argument("--stage", default="", help="begin with this stage, when there is nothing to resume")
    p.add_argument("--parts", help="folder for the weights in parts, at the end")
    a = p.parse_args()
    t = Trainer(a)
    t.run()
    if a.parts:
        save_parts(t.model, a.parts)
    t.pool.terminate()


if __name__ == "__main__":
    main()
