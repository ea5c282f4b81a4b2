# SPDX-License-Identifier: Apache-2.0
"""Which fonts there are: every Latin font of the packages in fonts.list, cut down to the characters in use, into WORK/fonts.

usage: fonts.py WORK        writes WORK/fonts/{index.json,NNNN.ttf|otf}
Families of the packages marked "held" in fonts.list are for evaluation only."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
from fontTools import subset
from fontTools.ttLib import TTFont
from PIL import Image, ImageDraw, ImageFont

import text

HERE = Path(__file__).parent
NEED = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.,-")
SEGMENT = {"DSEG7": "0123456789-:. ", "DSEG14": "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-:. "}
SKIP = (
    "wingding",
    "webding",
    "symbol",
    "dingbat",
    "math",
    "ornament",
    "emoji",
    "feats",
    "arkpandora-",
    "smallcaps",
    "small caps",
    "barcode",
    "weather",
    "condnobn",
    "signwriting",
    "braille",
    "orthos",
    "ostorah",
    "keyboard",
    "keyfont",
    "initials",
    "jsmath",
    "circos",
    "ellhnikh",
    "alfa-beta",
    "d050000l",
    "phonet",
    "babel",
    "humor",
    "ubuntu-title",
    "museum",
    "elegante",
    "femkeklaver",
    "cupola",
    "abecedario_",
    "wargames",
    "emerita",
)
MAX_STYLES = 6  # files of one family


def listed():
    """{package: held}"""
    out = {}
    for row in (HERE / "fonts.list").read_text().split("\n"):
        row = row.split("#")[0].split()
        if row:
            out[row[0]] = len(row) > 1 and row[1] == "held"
    return out


def files(package):
    r = subprocess.run(["dpkg", "-L", package], capture_output=True, text=True)
    return sorted(p for p in r.stdout.split("\n") if p.lower().endswith((".ttf", ".otf")) and not Path(p).is_symlink())


def glyph(font, ch):
    im = Image.new("L", (96, 96))
    ImageDraw.Draw(im).text((20, 12), ch, fill=255, font=font)
    box = im.getbbox()
    return None if box is None else np.asarray(im.crop(box).resize((24, 24), Image.BILINEAR), np.float32)


def letters_look_alike(path):
    """Small letters drawn as capitals: of all letters, or as small capitals."""
    f = ImageFont.truetype(path, 48, layout_engine=ImageFont.Layout.BASIC)
    same = 0
    for ch in "abdegrtnqh":
        a, b = glyph(f, ch), glyph(f, ch.upper())
        if a is None or b is None:
            return None
        same += float(np.abs(a - b).mean()) < 26
    return same >= 7


def cut(path, out, hints=True):
    opt = subset.Options(
        hinting=hints,
        layout_features=[],
        name_IDs=[1, 2],
        notdef_outline=True,
        drop_tables=["GSUB", "GPOS", "GDEF", "DSIG", "FFTM", "morx", "mort", "PfEd", "EBDT", "EBLC", "EBSC"],
        glyph_names=False,
        legacy_kern=True,
    )
    font = subset.load_font(path, opt)
    s = subset.Subsetter(opt)
    s.populate(text=text.CHARS)
    s.subset(font)
    subset.save_font(font, out, opt)


def main():
    logging.disable(logging.WARNING)
    out = Path(sys.argv[1]) / "fonts"
    out.mkdir(parents=True, exist_ok=True)
    index, per_family = [], {}
    for package, held in listed().items():
        for path in files(package):
            low = Path(path).name.lower()
            if any(s in low for s in SKIP) or (
                "noto" in low
                and not low.startswith(
                    ("notosans-", "notoserif-", "notosansmono-", "notosansdisplay-", "notoserifdisplay-", "notomono")
                )
            ):
                continue
            try:
                font = TTFont(path, lazy=True)
                if "fvar" in font or "CBDT" in font:
                    continue
                cmap, family = font.getBestCmap() or {}, font["name"].getDebugName(16) or font["name"].getDebugName(1) or low
                if any(s in family.lower() for s in SKIP):
                    continue
                chars = "".join(c for c in text.CHARS if ord(c) in cmap)
                kind = "plain"
                for prefix, allowed in SEGMENT.items():
                    if family.startswith(prefix):
                        kind, chars = "segment", allowed
                if kind == "plain" and not NEED <= set(chars):
                    continue
                key = (package, family)
                if per_family.get(key, 0) >= MAX_STYLES:
                    continue
                alike = letters_look_alike(path) if kind == "plain" else False
                if alike is None:
                    continue
                if alike:
                    kind = "caps"
                name = f"{len(index):04d}{Path(path).suffix.lower()}"
                if font.sfntVersion == "OTTO":
                    name = name[:4] + ".otf"
                cut(path, str(out / name))
                if (out / name).stat().st_size > 40000:  # mostly instructions
                    cut(path, str(out / name), hints=False)
                ImageFont.truetype(str(out / name), 20, layout_engine=ImageFont.Layout.BASIC).getmask(
                    "Ag1" if kind != "segment" else "12"
                )
            except Exception as e:  # a font that cannot be read or cut is left out, and named
                print("left out:", path, type(e).__name__)
                continue
            per_family[key] = per_family.get(key, 0) + 1
            index.append({"file": name, "package": package, "family": family, "kind": kind, "held": held, "chars": chars})
    (out / "index.json").write_text(json.dumps(index, ensure_ascii=False))
    fam = {(f["package"], f["family"]) for f in index}
    print(len(index), "fonts", len(fam), "families", sum(f["held"] for f in index), "held")


if __name__ == "__main__":
    main()
