#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write fixtures/vad/telephone.ulaw and .txt: sentences of synthetic voices, 8 kHz G.711, and between which samples each lies.

Needs flite and espeak-ng; nobody needs them to run the tests. usage: make_vad_speech.py
"""
import array
import random
import subprocess
import tempfile
import wave
from pathlib import Path

OUT = Path(__file__).resolve().parent / "fixtures/vad/telephone"
SENTENCES = ("Good morning, how may I help you?", "I would like to change my booking.", "Please hold the line.", "No, thank you.",
             "My number is five five one two.", "Could you repeat that, please?", "We have sent the parcel on Monday.",
             "It should arrive before the weekend.", "Right, let me look that up for you.", "That will be forty two dollars.",
             "Is there anything else?", "Thank you for calling.")
VOICES = (("flite", "-voice", "slt", "-o"), ("flite", "-voice", "rms", "-o"), ("flite", "-voice", "awb", "-o"),
          ("flite", "-voice", "kal16", "-o"), ("espeak-ng", "-v", "en-us", "-w"))
RATE = 8000


def mulaw(v):
    sign, v = (0x80, -v) if v < 0 else (0, v)
    v = min(v, 32635) + 132
    exponent = v.bit_length() - 8
    return ~(sign | exponent << 4 | v >> (exponent + 3) & 15) & 0xFF


def say(folder, voice, text):
    """Samples at RATE without the silence around them."""
    path = Path(folder) / "say.wav"
    subprocess.run([*voice, path, "-t", text] if voice[0] == "flite" else [*voice, path, text], check=True)
    with wave.open(str(path)) as f:
        rate, x = f.getframerate(), array.array("h", f.readframes(f.getnframes()))
    step = rate / RATE
    half = max(1, round(step))  # a mean over a sample's time keeps most of what RATE cannot hold out
    y = [sum(x[int(i * step):int(i * step) + half]) // half for i in range(int((len(x) - half) / step))]
    loud = max(map(abs, y)) / 56  # -35 dB
    heard = [i for i, v in enumerate(y) if abs(v) > loud]
    y = y[heard[0]:heard[-1] + 1]
    gain = 12000 / max(map(abs, y))
    return [int(v * gain) for v in y]


def main():
    rng = random.Random(1)
    track, lines = [], []
    with tempfile.TemporaryDirectory() as folder:
        for i, text in enumerate(SENTENCES):
            track += [rng.randint(-8, 8) for _ in range(int(RATE * rng.uniform(0.6, 1.2)))]
            said = say(folder, VOICES[i % len(VOICES)], text)
            lines.append(f"{len(track)} {len(track) + len(said)}\n")
            track += said
    track += [rng.randint(-8, 8) for _ in range(RATE)]
    OUT.with_suffix(".ulaw").write_bytes(bytes(map(mulaw, track)))
    OUT.with_suffix(".txt").write_text("".join(lines))


if __name__ == "__main__":
    main()
