# SPDX-License-Identifier: Apache-2.0
"""The held-out sets as files, for the commands: pictures, sounds, and what they say.

usage: eval_files.py WORK OUT N
OUT/SET/NNNN.png|wav and OUT/SET/truth.tsv: file, question (scenes) or nothing, truth. In OUT/times, truth.tsv has word times of
voices of festival: file, then word:start:end in seconds."""

import random
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import data_lines
import data_scenes
import data_speech
import evaluate
import speech_text
import text

DUMP = """(define (dump u path) (let ((f (fopen path "w"))) (mapcar (lambda (w) (format f "%s %f %f\\n" (item.name w)
 (item.feat w 'word_start) (item.feat w 'word_end))) (utt.relation.items u 'Word)) (fclose f)))\n"""


def write_wave(path, x):
    with wave.open(str(path), "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(data_speech.RATE)
        w.writeframes(x.astype(np.int16).tobytes())


def cells(s):
    return s.replace("\\", "\\\\").replace("\t", " ").replace("\n", "\\n")


def a_set(work, out, kind, name, spec, held, n):
    folder = out / name.replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    rows, k = [], 0
    for b in evaluate.eval_batches(work, name, spec, held, n):
        for i, truth in enumerate(b["texts"]):
            path = folder / (f"{k:04d}.wav" if kind == "speech" else f"{k:04d}.png")
            if kind == "speech":
                write_wave(path, b["wave"][i][: b["n"][i]])
            else:
                Image.fromarray(b["image"][i][: 16 * b["rows"][i], : 16 * b["cols"][i]]).save(path)
            rows.append("\t".join((path.name, cells(b.get("asked", [""] * len(b["texts"]))[i]), cells(truth))))
            k += 1
    (folder / "truth.tsv").write_text("\n".join(rows) + "\n")
    print(folder, k, flush=True)


def page(r, c, fonts):
    """A page of 3 to 12 lines in one to three fonts, and its text."""
    w, bg = r.randint(700, 1400), r.randint(225, 255)
    ink, used, rows = (r.randint(0, 70),) * 3, [data_scenes.plain_font(r, fonts) for _ in range(r.randint(1, 3))], []
    im = Image.new("RGB", (w, 1200), (bg, bg, max(0, bg - r.randint(0, 12))))
    d, y, margin, px = ImageDraw.Draw(im), r.randint(30, 80), r.randint(30, 90), r.randint(18, 34)
    for _ in range(r.randint(3, 12)):
        f = r.choice(used)
        size = px if r.random() < 0.8 else int(px * r.uniform(1.2, 1.7))
        font = fonts.at(f, size)[0]
        s = data_lines.fit_text(r, c, f, True, 80)
        words = s.split()
        while len(words) > 1 and font.getlength(" ".join(words)) > w - 2 * margin:
            words.pop()
        s = " ".join(words)
        if font.getlength(s) <= w - 2 * margin:
            d.text((margin, y), s, font=font, fill=ink)
            rows.append(s)
            y += int(size * r.uniform(1.25, 1.7))
    return im.crop((0, 0, w, y + r.randint(20, 80))), "\n".join(rows)


def pages(work, out, n, held):
    folder = out / ("pages-unseen-fonts" if held else "pages-seen-fonts")
    folder.mkdir(parents=True, exist_ok=True)
    r, g, c, fonts, rows = random.Random("pages"), np.random.default_rng(7), text.Corpus(work), data_lines.Fonts(work, held), []
    for i in range(n):
        im, truth = page(r, c, fonts)
        if r.random() < 0.5:
            im = data_scenes.finish(r, g, im)
        im.save(folder / f"{i:04d}.png")
        rows.append(f"{i:04d}.png\t\t{cells(truth)}")
    (folder / "truth.tsv").write_text("\n".join(rows) + "\n")
    print(folder, n, flush=True)


def times(work, out, n):
    folder = out / "times"
    folder.mkdir(parents=True, exist_ok=True)
    r, c, rows = random.Random("times"), text.Corpus(work), []
    with tempfile.TemporaryDirectory() as t:
        script = [DUMP]
        for i in range(n):
            s = speech_text.spoken(r, c, held=True).replace('"', "").replace("\\", "")
            voice = r.choice(["kal_diphone", "cmu_us_slt_arctic_hts", "ked_diphone"])
            script.append(
                f'(voice_{voice}) (set! u (SynthText "{s}")) (utt.save.wave u "{t}/{i}.wav" \'riff) (dump u "{t}/{i}.txt")\n'
            )
        Path(t, "say.scm").write_text("".join(script))
        subprocess.run(["festival", "-b", f"{t}/say.scm"], check=True, stdout=subprocess.DEVNULL)
        for i in range(n):
            write_wave(folder / f"{i:04d}.wav", data_speech.read_wave(f"{t}/{i}.wav") * 32767)
            words = []
            for row in Path(t, f"{i}.txt").read_text().split("\n"):
                if row:
                    w, a, b = row.split()
                    if w.startswith("'") and words:  # 's belongs to the word before it
                        words[-1][0] += w
                    else:
                        words.append([w.lower(), a, b])
            rows.append("\t".join([f"{i:04d}.wav"] + [":".join(w) for w in words]))
    (folder / "truth.tsv").write_text("\n".join(rows) + "\n")
    print(folder, n, flush=True)


def main():
    work, out, n = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    for kind, sets in evaluate.SETS.items():
        for name, spec, held in sets:
            a_set(work, out, kind, name, spec, held, n)
    for held in (False, True):
        pages(work, out, -(-n // 10), held)
    times(work, out, min(n, 200))


if __name__ == "__main__":
    main()
