#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fit the weights of the voice activity detector, pipeline/vad_weights.h.

Speech: synthetic voices (flite, espeak-ng), clean, over the telephone, in noise; and real recordings, --real, bent in speed and
colour: without them real voices are missed. The rest: noises, tones, dialling, music of many kinds. Every window of both that
says anything becomes a row; a network of one hidden layer is fitted to tell them apart, mistakes about what is no speech counting
three times. The weights that are checked in came of 272 tracks of speech, 1520 of other sounds (also birds, machines and choirs,
which are not made here any more) and 96 s of films and radio; a run of this script gives other numbers.

usage: fit_vad.py WINDOWS [--real LIST] [--speech N] [--other N] [--seed N] [-o FILE]
  WINDOWS  the program vad_windows of a build with tests
  LIST     lines of: 16 kHz mono WAV, then from and to in seconds of each part with speech
"""

import argparse
import subprocess
import tempfile
import wave
from pathlib import Path

import numpy as np
import torch

RATE, N_FEATURES, N_HIDDEN = 16000, 18, 16
SENTENCES = (
    "Good morning, how may I help you?",
    "I would like to change my booking to the third of May.",
    "Please hold the line.",
    "Yes.",
    "No, thank you.",
    "My number is five five five, one two three four.",
    "Could you repeat that, please?",
    "It rained the whole night, and in the morning the street was full of leaves.",
    "Okay.",
    "The account was opened in nineteen ninety eight by her older brother.",
    "That will be forty two dollars.",
    "She sells sea shells by the sea shore.",
    "Why did nobody tell me about the meeting?",
    "Thank you for calling.",
)
VOICES = [("flite", "-voice", v) for v in ("kal16", "awb", "rms", "slt")] + [
    ("espeak-ng", "-v", v) for v in ("en-us", "en-gb+f3", "en-us+m5")
]
PARTIALS = {
    "sine": [1],
    "organ": [1, 0.8, 0.5, 0.4, 0, 0.3, 0, 0.2],
    "flute": [1, 0.3, 0.1, 0.05],
    "saw": [1 / k for k in range(1, 40)],
    "square": [k % 2 / k for k in range(1, 40)],
    "brass": [np.exp(-(((k - 3) / 3) ** 2)) for k in range(1, 20)],
    "string": [1 / k * (1 + 0.5 * np.cos(k)) for k in range(1, 40)],
    "piano": [np.exp(-0.6 * k) for k in range(1, 20)],
}


# ---- sounds


def resample(x, to):
    return np.interp(np.linspace(0, len(x) - 1, to), np.arange(len(x)), x)


def coloured(rng, n, slope):
    f = np.fft.rfftfreq(n, 1 / RATE)
    y = np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) * np.maximum(f, 20) ** -slope, n)
    return y / np.sqrt((y**2).mean())


def telephone(x):
    spectrum, f = np.fft.rfft(x), np.fft.rfftfreq(len(x), 1 / RATE)
    y = np.clip(np.fft.irfft(spectrum * ((f > 280) & (f < 3450)), len(x)), -1, 1)
    code = np.round(np.sign(y) * np.log1p(255 * np.abs(y)) / np.log(256) * 127) / 127
    return np.sign(code) * (256 ** np.abs(code) - 1) / 255


def spoil(rng, x, how):
    """how: 0 clean, 1 telephone, 2 noise, 3 both, 4 quiet telephone."""
    if how in (2, 3):
        power = (x[np.abs(x) > 0.01] ** 2).mean() if (np.abs(x) > 0.01).any() else 0
        x = x + coloured(rng, len(x), rng.choice([0, 0.5, 1])) * np.sqrt(power) * 10 ** (-rng.uniform(10, 22) / 20)
    if how in (1, 3, 4):
        x = telephone(x * (rng.uniform(0.03, 0.2) if how == 4 else 1))
    return x


def read_wav(path):
    with wave.open(str(path)) as f:
        x = np.frombuffer(f.readframes(f.getnframes()), "<i2") / 32768
        return resample(x, int(len(x) * RATE / f.getframerate())) if f.getframerate() != RATE else x


def said(folder, voice, text, known={}):
    if (voice, text) not in known:
        path = Path(folder) / "say.wav"
        subprocess.run([*voice, "-o", path, "-t", text] if voice[0] == "flite" else [*voice, "-w", path, text], check=True)
        x = read_wav(path)
        loud = np.where(np.abs(x) > np.abs(x).max() / 56)[0]
        known[voice, text] = x[loud[0] : loud[-1] + 1]
    return known[voice, text]


def speech(rng, folder, i):
    track, spans, n = [], [], 0
    for k in rng.permutation(len(SENTENCES))[:8]:
        gap = np.zeros(int(rng.uniform(0.6, 2) * RATE))
        x = said(folder, VOICES[i % len(VOICES)], SENTENCES[k])
        spans.append((n + len(gap), n + len(gap) + len(x)))
        track += [gap, x / np.abs(x).max() * rng.uniform(0.1, 0.8)]
        n = spans[-1][1]
    return spoil(rng, np.concatenate([*track, np.zeros(RATE)]), i % 5), spans


def real(rng, path, spans, i):
    stretch = rng.choice([0.85, 0.9, 0.95, 1, 1, 1.05, 1.1, 1.18]) if i else 1
    x = read_wav(path)
    x = resample(x, int(len(x) * stretch))
    x = x + rng.uniform(-0.6, 0.6) * (i > 0) * np.concatenate([[0], x[:-1]])
    return spoil(rng, x / np.abs(x).max() * rng.uniform(0.1, 0.9), i % 3), [
        (int(a * stretch * RATE), int(b * stretch * RATE)) for a, b in spans
    ]


def note(rng, hz, seconds, kind, vibrato, slide):
    t = np.arange(int(seconds * RATE)) / RATE
    bend = vibrato / 1200 * np.sin(2 * np.pi * rng.uniform(4.5, 7) * t) + slide * np.clip(t / seconds - 0.5, 0, 1)
    phase, y = 2 * np.pi * np.cumsum(hz * 2**bend) / RATE, np.zeros(len(t))
    for k, a in enumerate(PARTIALS[kind], 1):
        if k * hz < 7500:
            y += a * np.sin(k * phase + rng.uniform(0, 6)) * (np.exp(-1.2 * k * t) if kind == "piano" else 1)
    return y / (np.abs(y).max() + 1e-9) * np.minimum(1, t / rng.uniform(0.005, 0.05)) * np.minimum(1, (seconds - t) / 0.03)


def part(rng, n, beat, style):
    y, t, degree, kind = np.zeros(n + 4 * RATE), 0.0, 7, rng.choice(list(PARTIALS))
    scale, root = rng.choice([[0, 2, 4, 5, 7, 9, 11], [0, 2, 3, 5, 7, 8, 10]]), rng.integers(40, 60)
    vibrato, slides = rng.uniform(20, 100) * (rng.random() < 0.5), rng.random() < 0.3
    while t < n / RATE:
        length = beat * (rng.choice([2, 4]) if style == "chords" else 0.5 if style == "arpeggio" else rng.choice([0.5, 0.5, 1, 2]))
        degree = int(np.clip(degree + rng.integers(-3, 4), 0, 14))
        for step in (0, 2, 4) if style == "chords" else (degree % 3 * 2,) if style == "arpeggio" else (0,):
            d = degree + step
            hz = 440 * 2 ** ((root + 12 * (d // 7) + scale[d % 7] - 69) / 12)
            slide = rng.choice([-2, -1, 1, 2]) / 12 if slides and rng.random() < 0.7 else 0
            x = note(rng, hz, length * rng.uniform(0.8, 1.2), kind, vibrato, slide)
            k = int(t * RATE)
            y[k : k + len(x)] += x[: len(y) - k] / (3 if style == "chords" else 1)
        t += length
    return y[:n]


def drums(rng, n, beat):
    y, m = np.zeros(n + RATE), int(0.3 * RATE)
    t = np.arange(m) / RATE
    for i in range(int(n / RATE / beat * 2)):
        k = int(i * beat / 2 * RATE)
        hit = 0.3 * rng.standard_normal(m) * np.exp(-t / 0.04)
        if i % 4 == 0:
            hit = hit + np.sin(2 * np.pi * 52 * t) * np.exp(-t / 0.12)
        if i % 4 == 2:
            hit = hit + 0.6 * rng.standard_normal(m) * np.exp(-t / 0.08)
        y[k : k + m] += hit
    return y[:n]


def music(rng, n):
    beat = 60 / rng.uniform(60, 140)
    styles = [s for s in ("chords", "arpeggio", "melody", "melody") if rng.random() < 0.5] or ["melody"]
    y = sum(rng.uniform(0.4, 1) * part(rng, n, beat, s) for s in styles)
    return y + rng.uniform(0.2, 0.8) * drums(rng, n, beat) * (rng.random() < 0.4)


def tones(rng, n):
    t, kind = np.arange(n) / RATE, rng.integers(0, 7)
    if kind == 0:
        return np.sin(2 * np.pi * 350 * t) + np.sin(2 * np.pi * 440 * t)
    if kind == 1:
        return np.sin(2 * np.pi * rng.uniform(200, 1500) * t) * ((t % rng.uniform(0.5, 5)) < 0.4)
    if kind == 2:
        k = (t / 0.2).astype(int) * 7 % 16
        rows, columns = np.array([697, 770, 852, 941]), np.array([1209, 1336, 1477, 1633])
        return (np.sin(2 * np.pi * rows[k // 4] * t) + np.sin(2 * np.pi * columns[k % 4] * t)) * ((t % 0.2) < 0.1)
    if kind == 3:
        turns = np.arange(0, n / RATE + 2, 0.7)
        hz = 2 ** np.interp(t, turns, rng.uniform(6.5, 8.6, len(turns)))
        return sum(np.sin(h * 2 * np.pi * np.cumsum(hz) / RATE) / h for h in range(1, 8))
    if kind == 4:
        hz = 600 + rng.uniform(50, 500) * np.sin(2 * np.pi * t * rng.uniform(0.3, 6))
        return np.sin(2 * np.pi * np.cumsum(hz) / RATE)
    if kind == 5:
        return sum(np.sin(2 * np.pi * 50 * h * t + h) / h for h in range(1, 12))
    bits = np.repeat(rng.integers(0, 2, n // 53 + 1), 53)[:n]
    return np.sin(2 * np.pi * np.cumsum(1200 + 1000 * bits) / RATE)


def noises(rng, n):
    t, y = np.arange(n) / RATE, coloured(rng, n, rng.choice([0, 0.5, 1]))
    kind = rng.integers(0, 4)
    if kind == 1:
        y = y * (1 + 0.9 * np.sin(2 * np.pi * t * rng.uniform(0.5, 8)))
    if kind == 2:
        y = y * ((t * rng.uniform(1, 6) % 1) < rng.uniform(0.1, 0.6))
    if kind == 3:
        y = 0.02 * y + (rng.random(n) < 0.002) * rng.uniform(-1, 1, n)
    return y


def other(rng, i):
    n = 20 * RATE
    y = (music, music, music, tones, noises)[i % 5](rng, n)
    y = y / (np.abs(y).max() + 1e-9) * rng.uniform(0.05, 0.9)
    return spoil(rng, y, rng.choice([0, 0, 0, 1, 2]))


# ---- rows


def windows(program, x):
    done = subprocess.run([program], input=np.asarray(x, "<f4").tobytes(), stdout=subprocess.PIPE, check=True)
    return np.frombuffer(done.stdout, "<f4").reshape(-1, 1 + N_FEATURES)


def speech_rows(rows, spans):
    """Windows of 1.5 s with at least 0.2 s of speech in them."""
    keep = [sum(max(0, min(b, end) - max(a, end - 24000)) for a, b in spans) >= 3200 for end in rows[:, 0] * 160]
    return rows[np.array(keep, bool), 1:]


def fit(x, y, seed, n_steps=2500):
    torch.manual_seed(seed)
    mean, scale = x.mean(0), x.std(0) + 1e-3
    inputs, wanted = torch.tensor((x - mean) / scale, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
    net = torch.nn.Sequential(torch.nn.Linear(N_FEATURES, N_HIDDEN), torch.nn.Tanh(), torch.nn.Linear(N_HIDDEN, 1))
    steps = torch.optim.Adam(net.parameters(), 0.02, weight_decay=1e-4)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(steps, n_steps)
    weight = torch.where(wanted > 0, 1.0, 3.0)
    for _ in range(n_steps):
        rows = torch.randint(0, len(inputs), (4096,))
        noisy = inputs[rows] + 0.05 * torch.randn(len(rows), N_FEATURES)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(net(noisy)[:, 0], wanted[rows], weight=weight[rows])
        steps.zero_grad()
        loss.backward()
        steps.step()
        rate.step()
    w, b, out, bias = (p.detach().numpy().astype(float) for p in net.parameters())
    w = w / scale
    return w, b - w @ mean, out[0], float(bias[0])


def rows_of(values):
    lines, line = [], ""
    for text in (f"{v:.4f}f," for v in values):
        if len(line) + len(text) > 120:
            lines.append(line)
            line = ""
        line += " " * bool(line) + text
    return [*lines, line]


def header(w, b, out, bias):
    rows = ",\n".join("    {" + "\n     ".join(rows_of(r)).rstrip(",") + "}" for r in w)
    plain = ["\n".join("    " + line for line in rows_of(v)) for v in (b, out)]
    return f"""/* SPDX-License-Identifier: Apache-2.0
 * Weights of the network that judges how much a window is like speech; made by training/fit_vad.py. */
#ifndef LFM2__VAD_WEIGHTS_H
#define LFM2__VAD_WEIGHTS_H

#define VAD_HIDDEN {len(out)}

static const float vad_hidden[VAD_HIDDEN][LFM2__VAD_N_FEATURES] = {{
{rows},
}};
static const float vad_hidden_bias[VAD_HIDDEN] = {{
{plain[0]}
}};
static const float vad_out[VAD_HIDDEN] = {{
{plain[1]}
}};
static const float vad_out_bias = {bias:.4f}f;

#endif
"""


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("windows")
    p.add_argument("--real")
    p.add_argument("--speech", type=int, default=100)
    p.add_argument("--other", type=int, default=400)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("-o", "--output", default="vad_weights.h")
    args = p.parse_args()
    rng = np.random.default_rng(args.seed)
    yes, no = [], []
    with tempfile.TemporaryDirectory() as folder:
        for i in range(args.speech):
            x, spans = speech(rng, folder, i)
            yes.append(speech_rows(windows(args.windows, x), spans))
    for line in Path(args.real).read_text("utf-8").splitlines() if args.real else ():
        path, *times = line.split()
        spans = list(zip(map(float, times[::2]), map(float, times[1::2])))
        for i in range(10):
            x, moved = real(rng, path, spans, i)
            yes += [speech_rows(windows(args.windows, x), moved)] * 3
    for i in range(args.other):
        no.append(windows(args.windows, other(rng, i))[:, 1:])
    yes, no = np.concatenate(yes), np.concatenate(no)
    x, y = np.concatenate([yes, no]), np.concatenate([np.ones(len(yes)), np.zeros(len(no))])
    w, b, out, bias = fit(x, y, args.seed)
    odds = np.tanh(x @ w.T + b) @ out + bias
    print(
        f"{len(yes)} windows with speech, {100 * (odds[y > 0] > 0).mean():.1f} % found; "
        f"{len(no)} without, {100 * (odds[y == 0] > 0).mean():.2f} % taken for speech"
    )
    Path(args.output).write_text(header(w, b, out, bias), "utf-8")


if __name__ == "__main__":
    main()
