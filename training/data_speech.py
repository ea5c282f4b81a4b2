# SPDX-License-Identifier: Apache-2.0
"""Speech: shards of utterances spoken by voices of Debian packages (DATA.md), and what rooms, noise and telephones do to them.

usage: data_speech.py WORK KIND FROM TO [JOBS]     KIND: short | long, or for evaluation: seen | unseen | digits
Writes WORK/speech/KIND-NNNN.npz: one after the other, 16 kHz."""

import functools
import multiprocessing as mp
import os
import random
import shutil
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

import numpy as np
from scipy import signal

import speech_text
import text

RATE = 16000
N_SHARD = {"short": 500, "long": 250, "seen": 250, "unseen": 250, "digits": 250}
HELD_KINDS = ("seen", "unseen", "digits")
N_SHORT_SHARDS_PER_LONG = 0.25
ESPEAK_ACCENTS = [
    "en-us",
    "en-us",
    "en-us",
    "en-gb",
    "en-gb",
    "en-gb-x-rp",
    "en-gb-scotland",
    "en-gb-x-gbclan",
    "en-gb-x-gbcwmd",
    "en-029",
]
ESPEAK_VARIANTS = """m1 m2 m3 m4 m5 m6 m7 f1 f2 f3 f4 Alex Alicia Andrea Andy Annie Denis Gene Hugo Lee Marco Mario Michael Mike
adam anika antonio belinda benjamin boris david ed edward grandpa iven john klatt klatt2 klatt4 max michel
miguel norbert pablo paul pedro quincy rob robert sandro shelby steph steph2 travis victor zac""".split()
HELD_ESPEAK = [
    ("en-us-nyc", "f5"),
    ("en-us-nyc", "m8"),
    ("en-gb", "linda"),
    ("en-gb-x-rp", "aunty"),
    ("en-us", "caleb"),
]  # and rms, ked


def pick_voice(r, held):
    """(engine, voice, settings)"""
    k = r.random()
    if held:
        return (
            ("flite", "rms", {"stretch": r.uniform(0.85, 1.2)})
            if k < 0.5
            else (
                ("festival", "ked_diphone", {"stretch": r.uniform(0.9, 1.15)})
                if k < 0.7
                else ("espeak", r.choice(HELD_ESPEAK), {"speed": r.randint(130, 190), "pitch": r.randint(30, 70)})
            )
        )
    if k < 0.56:
        v = r.choice(["kal16", "awb", "awb", "slt", "slt"])
        return (
            "flite",
            v,
            {"stretch": r.uniform(0.75, 1.3), "f0": r.uniform(0.75, 1.35) if r.random() < 0.6 else 1.0, "std": r.uniform(0.6, 1.5)},
        )
    if k < 0.70:
        return (
            "festival",
            r.choice(["kal_diphone", "cmu_us_slt_arctic_hts", "cmu_us_slt_arctic_hts"]),
            {"stretch": r.uniform(0.8, 1.2)},
        )
    return (
        "espeak",
        (r.choice(ESPEAK_ACCENTS), r.choice(ESPEAK_VARIANTS)),
        {"speed": r.randint(115, 215), "pitch": r.randint(20, 80)},
    )


def read_wave(path):
    with wave.open(str(path)) as w:
        x, rate = np.frombuffer(w.readframes(w.getnframes()), np.int16).astype(np.float32) / 32768, w.getframerate()
    if rate != RATE:
        g = np.gcd(rate, RATE)
        x = signal.resample_poly(x, RATE // g, rate // g).astype(np.float32)
    return x


F0 = {"kal16": 105, "awb": 130, "slt": 180, "rms": 100, "kal": 105}


def engine(work, name):
    """Path and environment of an engine: the portable one in WORK/tts, or the installed one; None without either."""
    own = Path(work) / "tts"
    if (own / "bin" / name).exists():
        return str(own / "bin" / name), {**os.environ, "LD_LIBRARY_PATH": str(own / "lib"), "ESPEAK_DATA_PATH": str(own)}
    return (shutil.which(name), None) if shutil.which(name) else None


def say_flite(tool, said, voice, s, path):
    args = [tool[0], "-voice", voice, "--setf", f"duration_stretch={s['stretch']:.3f}"]
    if s.get("f0", 1.0) != 1.0:
        args += ["--setf", f"int_f0_target_mean={F0[voice] * s['f0']:.1f}"]
    subprocess.run(
        args + ["-t", said, "-o", str(path)], check=True, env=tool[1], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def say_espeak(tool, said, voice, s, path):
    subprocess.run(
        [tool[0], "-v", f"{voice[0]}+{voice[1]}", "-s", str(s["speed"]), "-p", str(s["pitch"]), "-w", str(path), said],
        check=True,
        env=tool[1],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def say_festival(tool, jobs, folder):
    """One process for many utterances: [(said, voice, settings, path)]"""
    rows = []
    for said, voice, s, path in jobs:
        q = said.replace("\\", "").replace('"', "")
        rows.append(
            f"(voice_{voice}) (Parameter.set 'Duration_Stretch {s['stretch']:.3f}) "
            f'(set! u (SynthText "{q}")) (utt.save.wave u "{path}" \'riff)'
        )
    script = Path(folder) / "say.scm"
    script.write_text("\n".join(rows))
    subprocess.run([tool[0], "-b", str(script)], env=tool[1], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def trim(x):
    """Without the silence around it."""
    e = np.convolve(np.abs(x), np.ones(160) / 160, "same")
    on = np.flatnonzero(e > max(1e-3, 0.02 * e.max()))
    return x[max(0, on[0] - 800) : on[-1] + 800] if on.size else x[:0]


def make_shard(work, kind, number):
    out = Path(work) / "speech" / f"{kind}-{number:04d}.npz"
    if out.exists():
        return out
    out.parent.mkdir(parents=True, exist_ok=True)
    r, c = random.Random(f"speech {kind} {number}"), text.Corpus(work)
    held = kind in HELD_KINDS
    tools = {name: engine(work, name) for name in ("flite", "espeak-ng", "festival")}
    rows, festival = [], []
    with tempfile.TemporaryDirectory() as folder:
        for i in range(N_SHARD[kind]):
            s = speech_text.digit_run(r) if kind == "digits" else speech_text.spoken(r, c, held, short=kind == "short")
            maker, voice, settings = pick_voice(r, kind == "unseen")
            if maker == "festival" and tools["festival"] is None:
                maker, voice = "flite", "rms" if kind == "unseen" else "slt"
            path = Path(folder) / f"{i}.wav"
            rows.append((s, f"{maker}:{voice if isinstance(voice, str) else '+'.join(voice)}", path))
            if maker == "festival":
                festival.append((s, voice, settings, path))
            else:
                try:
                    if maker == "flite":
                        say_flite(tools["flite"], s, voice, settings, path)
                    else:
                        say_espeak(tools["espeak-ng"], s, voice, settings, path)
                except subprocess.CalledProcessError:
                    pass
        if festival:
            say_festival(tools["festival"], festival, folder)
        waves, texts, voices = [], [], []
        for s, voice, path in rows:
            x = trim(read_wave(path)) if path.exists() and path.stat().st_size > 1000 else np.zeros(0)
            if not 0.15 * RATE < len(x) < 20 * RATE:
                continue
            waves.append((np.clip(x / np.abs(x).max() * 0.9, -1, 1) * 32767).astype(np.int16))
            texts.append(s)
            voices.append(voice)
    new = out.with_suffix(f".{os.getpid()}.new.npz")
    np.savez(new, wave=np.concatenate(waves), n=np.array([len(x) for x in waves]), text=np.array(texts), voice=np.array(voices))
    new.rename(out)
    return out


def load_shard(work, kind, number):
    z = np.load(make_shard(work, kind, number))
    ends = np.cumsum(z["n"])
    x = z["wave"]
    return [{"wave": x[e - n : e], "text": str(t), "voice": str(v)} for e, n, t, v in zip(ends, z["n"], z["text"], z["voice"])]


# ---- Rooms, noise, telephones ----


def coloured(g, n, slope):
    """Noise of power 1 / f^slope, of deviation 1."""
    f = np.fft.rfftfreq(n, 1 / RATE)
    spec = (g.standard_normal(f.size) + 1j * g.standard_normal(f.size)) / np.maximum(f, 30) ** (slope / 2)
    x = np.fft.irfft(spec, n)
    return (x / (x.std() + 1e-9)).astype(np.float32)


def music(r, g, n):
    """Chords and a tune."""
    t, x = np.arange(n) / RATE, np.zeros(n)
    at, beat = 0, int(RATE * r.uniform(0.15, 0.6))
    root = r.choice([110, 130.8, 146.8, 164.8, 196, 220])
    while at < n:
        for k in r.sample([0, 3, 4, 5, 7, 9, 12, 16], r.randint(1, 3)):
            f = root * 2 ** (k / 12) * r.choice([1, 1, 2])
            m = min(n - at, beat * r.choice([1, 2, 4]))
            env = np.exp(-t[:m] * r.uniform(1, 8))
            x[at : at + m] += env * sum(np.sin(2 * np.pi * f * h * t[:m]) / h ** r.uniform(1, 2) for h in range(1, r.randint(2, 7)))
        at += beat
    return (x / (x.std() + 1e-9)).astype(np.float32)


def noise(r, g, n, others):
    k = r.random()
    if k < 0.35:
        return g.standard_normal(n).astype(np.float32)
    if k < 0.65:
        return coloured(g, n, r.choice([1, 1, 2]))
    if k < 0.75:
        f = r.choice([50, 60, 100, 120])
        t = np.arange(n) / RATE
        x = sum(np.sin(2 * np.pi * f * h * t + r.random() * 6) / h for h in range(1, 8)) + 0.1 * g.standard_normal(n)
        return (x / x.std()).astype(np.float32)
    if k < 0.85 or not others:
        return music(r, g, n)
    x = np.zeros(n, np.float32)
    for o in r.sample(others, min(len(others), r.randint(2, 5))):
        w = np.resize(o["wave"], n).astype(np.float32)
        x += np.roll(w, r.randrange(n)) / (w.std() + 1)
    return x / (x.std() + 1e-9)


def mu_law(x):
    y = np.sign(x) * np.log1p(255 * np.abs(x)) / np.log(256)
    y = np.round(y * 127) / 127
    return (np.sign(y) * (256 ** np.abs(y) - 1) / 255).astype(np.float32)


def a_law(x):
    a, ax = 87.6, np.abs(x)
    y = np.where(ax < 1 / a, a * ax, 1 + np.log(np.maximum(a * ax, 1e-9))) / (1 + np.log(a))
    y = np.round(y * 127) / 127
    ay = y * (1 + np.log(a))
    return (np.sign(x) * np.where(ay < 1, ay / a, np.exp(ay - 1) / a)).astype(np.float32)


def telephone(r, x):
    y = signal.resample_poly(x, 1, 2)
    if r.random() < 0.6:
        sos = signal.butter(4, [r.uniform(150, 350), r.uniform(3000, 3700)], "bandpass", fs=8000, output="sos")
        y = signal.sosfilt(sos, y)
    y = np.clip(y, -1, 1)
    k = r.random()
    y = mu_law(y) if k < 0.4 else a_law(y) if k < 0.7 else y
    return signal.resample_poly(y, 2, 1).astype(np.float32)


def room(r, g, x):
    n = int(RATE * r.uniform(0.05, 0.4))
    h = g.standard_normal(n) * np.exp(-6.9 * np.arange(n) / n) * r.uniform(0.02, 0.15)
    h[:80] *= np.linspace(0, 1, 80)
    h[0] = 1
    return signal.fftconvolve(x, h)[: len(x)].astype(np.float32)


def tilt(r, x):
    """Another microphone: the spectrum bent by some dB."""
    f = np.fft.rfftfreq(len(x), 1 / RATE)
    knots = np.array([0, 150, 400, 1000, 2500, 5000, 8000])
    gain = 10 ** (np.interp(f, knots, [r.uniform(-8, 8) for _ in knots]) / 20)
    return np.fft.irfft(np.fft.rfft(x) * gain, len(x)).astype(np.float32)


def speed(x, k):
    """k > 1: faster and higher."""
    n = int(len(x) / k)
    return np.interp(np.arange(n) * k, np.arange(len(x)), x).astype(np.float32)


def augment(r, g, wave_, others, level="train"):
    """int16 in and out. level: train, clean, phone (8 kHz with noise)."""
    x = wave_.astype(np.float32) / 32768
    if level == "train" and r.random() < 0.55:
        x = speed(x, r.uniform(0.86, 1.16))
    a, b = int(RATE * r.uniform(0.0, 0.5)), int(RATE * r.uniform(0.05, 0.5))
    x = np.concatenate([np.zeros(a, np.float32), x, np.zeros(b, np.float32)])
    if level != "clean":
        if level == "train" and r.random() < 0.25:
            x = room(r, g, x)
        if level == "train" and r.random() < 0.25:
            x = tilt(r, x)
        if level == "phone" or r.random() < 0.6:
            snr = r.uniform(12, 25) if level == "phone" else r.uniform(4, 40)
            x = x + noise(r, g, len(x), others) * (np.sqrt((x**2).mean()) + 1e-6) * 10 ** (-snr / 20)
        if level == "phone" or r.random() < 0.33:
            x = telephone(r, x / max(1.0, np.abs(x).max()))
    if level == "train" and r.random() < 0.03:
        x = np.clip(x * r.uniform(1.5, 4), -0.9, 0.9)
    x = x / (np.abs(x).max() + 1e-6) * (0.7 if level == "clean" else 10 ** r.uniform(-1.6, -0.03))
    return (np.clip(x, -1, 1) * 32767).astype(np.int16)


def nothing(r, g, others):
    """No speech: silence, noise, music."""
    n = int(RATE * r.uniform(0.5, 5))
    k = r.random()
    x = np.zeros(n, np.float32) if k < 0.1 else music(r, g, n) if k < 0.4 else noise(r, g, n, [])
    x = x / (np.abs(x).max() + 1e-6) * 10 ** r.uniform(-3, -0.1) + g.standard_normal(n).astype(np.float32) * 1e-4
    if r.random() < 0.3:
        x = telephone(r, x)
    return (np.clip(x, -1, 1) * 32767).astype(np.int16)


def pool(r, g, work, spec, number):
    """Samples of one job."""
    n, longest = spec["pool"], int(spec.get("longest_s", 12) * RATE)
    if spec.get("eval"):
        kind, level = spec["voices"], spec.get("level", "clean")
        if kind == "nothing":
            return [{"wave": nothing(r, g, []), "text": ""} for _ in range(n)]
        rows = [x for k in range(-(-n // N_SHARD[kind])) for x in load_shard(work, kind, k)][:n]
        return [{"wave": augment(r, g, x["wave"], rows, level), "text": x["text"]} for x in rows]
    kinds = [
        ("short", max(2, int(spec["shards"] * N_SHORT_SHARDS_PER_LONG)), spec["short"]),
        ("long", spec["shards"], 1 - spec["short"]),
    ]
    have = []
    for kind, n_shards, share in kinds:
        want = round(n * share)
        if want:
            rows = [
                x
                for k in r.sample(range(n_shards), min(n_shards, -(-want // N_SHARD[kind]) + 1))
                for x in load_shard(work, kind, k)
            ]
            have += r.sample(rows, min(want, len(rows)))
    short_enough = [x for x in have if len(x["wave"]) < longest * 0.85] or have
    out = []
    while len(out) < n:
        if r.random() < 0.03:
            out.append({"wave": nothing(r, g, have), "text": ""})
            continue
        x = r.choice(short_enough)
        w, s = x["wave"], x["text"]
        if longest > 5 * RATE and r.random() < 0.2:  # two, one after the other
            y = r.choice(short_enough)
            if len(w) + len(y["wave"]) < longest * 0.8:
                w = np.concatenate(
                    [w, np.zeros(int(RATE * r.uniform(0.15, 0.7)), np.int16), (y["wave"] * r.uniform(0.4, 1)).astype(np.int16)]
                )
                s = s + " " + y["text"]
        out.append({"wave": augment(r, g, w, have), "text": s})
    return out


def main():
    work, kind, lo, hi = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    jobs = int(sys.argv[5]) if len(sys.argv) > 5 else 1
    with mp.get_context("fork").Pool(jobs) as p:
        for path in p.imap_unordered(functools.partial(make_shard, work, kind), range(lo, hi)):
            print(path, flush=True)


if __name__ == "__main__":
    main()
