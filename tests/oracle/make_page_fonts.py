#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write bitmaps of letters, from which test_layout sets its pages: FONT.pbm (all letters in one row, 1 bit a pixel) and FONT.txt
(height and foot of the row, em; then for each letter: code point, x, width, where it begins beside the pen, how far the pen goes
on).

usage: make_page_fonts.py OUT   (Pillow; Debian packages fonts-dejavu-core, fonts-dejavu-extra, fonts-liberation2)
"""
import pathlib
import sys

from PIL import Image, ImageDraw, ImageFont

SIZE = 64  # px of an em
TEXT = "".join(map(chr, range(33, 127))) + "ÄÖÜäöüßÉÀÅÇÑéèêàçñåøæí„“–—€§"
FONTS = {
    "sans": "dejavu/DejaVuSans.ttf",
    "sans-bold": "dejavu/DejaVuSans-Bold.ttf",
    "serif": "dejavu/DejaVuSerif.ttf",
    "serif-italic": "dejavu/DejaVuSerif-Italic.ttf",
    "mono": "dejavu/DejaVuSansMono.ttf",
    "roman": "liberation2/LiberationSerif-Regular.ttf",
    "grotesque": "liberation2/LiberationSans-Regular.ttf",
    "narrow": "dejavu/DejaVuSansCondensed-Oblique.ttf",
}


def make(out, name, path):
    font = ImageFont.truetype("/usr/share/fonts/truetype/" + path, SIZE)
    boxes = {c: font.getbbox(c, anchor="ls") for c in TEXT}
    top = min(b[1] for b in boxes.values())
    height = max(b[3] for b in boxes.values()) - top
    row = Image.new("L", (sum(b[2] - b[0] + 1 for b in boxes.values()), height), 0)
    draw, x = ImageDraw.Draw(row), 0
    lines = [f"{height} {-top} {SIZE}"]
    for c, (left, _, right, _) in boxes.items():
        draw.text((x - left, -top), c, font=font, fill=255, anchor="ls")
        lines.append(f"{ord(c)} {x} {right - left} {left} {round(font.getlength(c))}")
        x += right - left + 1
    row.point(lambda v: 255 if v < 128 else 0).convert("1").save(out / f"{name}.pbm")
    (out / f"{name}.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for font_name, font_path in FONTS.items():
        make(folder, font_name, font_path)
