# SPDX-License-Identifier: Apache-2.0
"""Pictures of one line of text, as a page is cut into lines: 32 px high, with their truth.

usage: data_lines.py WORK SEED N OUT.png [held]      a sheet of samples to look at"""

import io
import json
import math
import random
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

import text

HEIGHT, STEP, MAX_TOKENS = 32, 32, 96
BASIC = ImageFont.Layout.BASIC


class Fonts:
    def __init__(self, work, held):
        self.dir = Path(work) / "fonts"
        self.families = {}
        for f in json.loads((self.dir / "index.json").read_text()):
            if f["held"] == held:
                f["set"] = set(f["chars"])
                self.families.setdefault((f["kind"] == "segment", f["package"], f["family"]), []).append(f)
        # Packages with many families do not drown the others; everyday faces come more often.
        n_of = {}
        for k in self.families:
            n_of[k[1]] = n_of.get(k[1], 0) + 1
        everyday = (
            "liberation",
            "dejavu",
            "noto",
            "urw",
            "roboto",
            "open-sans",
            "croscore",
            "freefont",
            "texgyre",
            "lmodern",
            "cmu",
            "inter",
            "inconsolata",
            "hack",
            "firacode",
        )
        self.keys = sorted(k for k in self.families if not k[0])
        self.weights = [(3.0 if any(e in k[1] for e in everyday) else 1.0) / math.sqrt(n_of[k[1]]) for k in self.keys]
        self.plain = [k for k in self.keys if any(e in k[1] for e in everyday[:7])]
        self.segment = sorted(k for k in self.families if k[0])
        self.cache = {}

    def pick(self, r, easy=False):
        if easy and self.plain:
            return r.choice(self.families[r.choice(self.plain)])
        if self.segment and r.random() < 0.03:
            return r.choice(self.families[r.choice(self.segment)])
        return r.choice(self.families[r.choices(self.keys, self.weights)[0]])

    def at(self, f, px):
        key = (f["file"], px)
        if key not in self.cache:
            if len(self.cache) > 3000:
                self.cache.clear()
            self.cache[key] = (ImageFont.truetype(str(self.dir / f["file"]), px, layout_engine=BASIC), {})
        return self.cache[key]


def fit_text(r, c, f, held, longest):
    """A text that the font can show."""
    for _ in range(8):
        if f["kind"] == "segment":
            s = r.choice(
                [
                    lambda: text.clock(r),
                    lambda: text.amount(r),
                    lambda: text.digits(r, r.randint(1, 8)),
                    lambda: f"{r.uniform(-40, 999):.1f}",
                    lambda: text.date(r),
                    lambda: text.code(r),
                    lambda: r.choice(c.common).upper(),
                ]
            )().upper()
            s = " ".join("".join(ch for ch in s if ch in f["set"]).split())
        else:
            s = text.line(r, c, held)
            if longest > 80 and r.random() < 0.2:
                s += " " + text.line(r, c, held)
            if f["kind"] == "caps":
                s = s.upper()
        if len(s) > longest:
            cut = s[:longest].rsplit(" ", 1)[0] if " " in s[:longest] else s[:longest]
            s = cut
        if s and set(s) - {" "} <= f["set"]:
            return s
    s = " ".join("".join(ch for ch in s if ch in f["set"]).split())
    return s or "0"


def ink_colours(r, easy=False):
    """Ground and ink that can be told apart."""
    k = r.random() * (0.45 if easy else 1)
    if k < 0.45:
        g = r.randint(215, 255)
        bg = (g, g, g) if r.random() < 0.5 else (g, max(0, g - r.randint(0, 12)), max(0, g - r.randint(0, 35)))
        v = r.randint(0, 90)
        fg = (v, v, v) if r.random() < 0.6 else tuple(min(255, max(0, v + r.randint(-30, 60))) for _ in range(3))
        return bg, fg
    if k < 0.62:
        g, v = r.randint(0, 60), r.randint(170, 255)
        return tuple(min(255, g + r.randint(0, 30)) for _ in range(3)), tuple(max(0, v - r.randint(0, 60)) for _ in range(3))
    lum = lambda c: 0.3 * c[0] + 0.59 * c[1] + 0.11 * c[2]
    while True:
        bg, fg = (tuple(r.randint(0, 255) for _ in range(3)) for _ in range(2))
        if abs(lum(bg) - lum(fg)) > r.choice([60, 80, 110]):
            return bg, fg


def mask_of(r, f_at, s, px, spread):
    """Ink of a line with room around it, and where each character's middle is."""
    font, widths = f_at
    for ch in s:
        if ch not in widths:
            widths[ch] = font.getlength(ch)
    pad = int(px * 0.9) + 2
    if spread:
        xs, x = [], 0.0
        gap = r.uniform(-0.03, 0.25) * px
        wide = r.randrange(len(s)) if " " in s and r.random() < 0.5 else -1
        for i, ch in enumerate(s):
            xs.append(x)
            x += widths[ch] + gap + (r.uniform(1, 6) * px if ch == " " and i >= wide >= 0 else 0)
            if ch == " " and i >= wide >= 0:
                wide = -1
        im = Image.new("L", (int(x) + 2 * pad, int(px * 1.6) + 2 * pad))
        d = ImageDraw.Draw(im)
        for ch, p in zip(s, xs):
            if ch != " ":
                d.text((pad + p, pad), ch, fill=255, font=font)
        mid = [pad + p + widths[ch] / 2 for ch, p in zip(s, xs)]
    else:
        total = font.getlength(s)
        im = Image.new("L", (int(total) + 2 * pad, int(px * 1.6) + 2 * pad))
        d = ImageDraw.Draw(im)
        d.text((pad, pad), s, fill=255, font=font, stroke_width=1 if px > 22 and r.random() < 0.03 else 0)
        plain = sum(widths[ch] for ch in s) or 1
        k, x, mid = total / plain, pad, []
        for ch in s:
            mid.append(x + k * widths[ch] / 2)
            x += k * widths[ch]
    return im, np.array(mid, np.float32), pad


def texture(r, g, h, w):
    """A slowly varying field around 0, at most about 1."""
    small = g.standard_normal((r.randint(2, 5), r.randint(2, 12))).astype(np.float32)
    im = Image.fromarray(small, "F").resize((w, h), Image.BICUBIC)
    return np.asarray(im) * 0.6


def neighbours(r, fonts, c, f, px, im, held):
    """Feet of the line above and heads of the line below."""
    font, _ = fonts.at(f, px)
    d = ImageDraw.Draw(im)
    lead = px * r.uniform(1.05, 1.5)
    s = fit_text(r, c, f, held, 60)
    for k in (-1, 1):
        if r.random() < 0.7:
            d.text((r.randint(0, px), int(px * 0.9) + 2 + k * lead), s, fill=255, font=font)


def dots(im, r):
    """The mask as a dot matrix shows it."""
    n = r.choice([2, 3])
    small = im.resize((max(1, im.width // n), max(1, im.height // n)), Image.BOX).point(lambda v: 255 if v > 110 else 0)
    big = np.asarray(small.resize((small.width * n, small.height * n), Image.NEAREST)).copy()
    big[::n] = big[::n] // 4
    big[:, ::n] = big[:, ::n] // 4
    return Image.fromarray(big), n


def render(r, g, c, fonts, held=False, longest=80, wide_px=1024, ease=0.0):
    """{"image": u8 [32, W, 3], "text", "mid": middles of the characters in px, "tokens"}. ease: share of lines in everyday fonts
    with little done to them."""
    easy = r.random() < ease
    now = lambda share: r.random() < (share * 0.1 if easy else share)
    f = fonts.pick(r, easy)
    s = fit_text(r, c, f, held, longest)
    px = int(round(math.exp(r.uniform(math.log(10), math.log(48)))))
    if f["kind"] == "segment":
        px = max(px, 16)
    spread = now(0.10)
    im, mid, pad = mask_of(r, fonts.at(f, px), s, px, spread)
    if now(0.03) and f["kind"] == "plain" and px >= 20:
        im, _ = dots(im, r)
    w, h = im.size
    box = im.getbbox() or (0, 0, w, h)
    if now(0.12):
        neighbours(r, fonts, c, f, px, im, held)
    if now(0.04):
        d = ImageDraw.Draw(im)
        y = box[3] + r.randint(0, max(1, px // 8))
        d.line([(box[0], y), (box[2], y)], fill=255, width=max(1, px // 16))
        box = (box[0], box[1], box[2], min(h, y + 2))
    if now(0.5):  # turned and slanted a little
        a, sh = math.radians(r.gauss(0, 0.7)), r.gauss(0, 0.04) if r.random() < 0.4 else 0.0
        if r.random() < 0.02:
            sh = r.uniform(-0.25, 0.25)
        cx, cy = w / 2, (box[1] + box[3]) / 2
        # Output x, y come from input x + sh (y - cy) + a (y - cy), y - a (x - cx)
        im = im.transform((w, h), Image.AFFINE, (1, sh + a, -(sh + a) * cy, -a, 1, a * cx), Image.BILINEAR)
        box = (
            im.getbbox()
            if r.random() < 0.5 and im.getbbox()
            else (box[0], max(0, box[1] - int(abs(a) * w / 2)), box[2], min(h, box[3] + int(abs(a) * w / 2)))
        )
    lh = max(4, box[3] - box[1])
    if r.random() < 0.25:  # boxes of the whole line's height, not of its ink
        top, bottom = min(box[1], pad + int(px * 0.2)), max(box[3], pad + int(px * 1.2))
    else:
        top, bottom = box[1], box[3]
    m = lambda lo, hi: int(round(lh * r.uniform(lo, hi)))
    big = now(0.15)
    crop = (
        box[0] - m(0.0, 0.9),
        top - m(-0.02, 0.5 if big else 0.22),
        box[2] + m(0.0, 0.9),
        bottom + m(-0.02, 0.5 if big else 0.22),
    )
    crop = (crop[0], crop[1], crop[2], max(crop[3], crop[1] + 6))
    im = im.crop(crop)
    mid = mid - crop[0]
    w, h = im.size
    # Grounds and ink
    a = np.asarray(im, np.float32)[..., None] / 255
    bg, fg = ink_colours(r, easy)
    contrast = abs(sum(bg) - sum(fg)) / 3
    grey = bg[0] == bg[1] == bg[2] and fg[0] == fg[1] == fg[2]
    bgc, fgc = (np.array(v[:1] if grey else v, np.float32) for v in (bg, fg))
    ground = np.broadcast_to(bgc, (h, w, bgc.size))
    if now(0.35):
        ground = ground + texture(r, g, h, w)[..., None] * r.uniform(3, 22)
    x = ground + a * (fgc - ground) * (1 if r.random() < 0.8 else r.uniform(0.6, 1))
    if now(0.08):  # a rule or the edge of a box
        v = r.choice([0, 1])
        p = r.randrange(h if v else w)
        t = max(1, px // 20)
        if v and not (h * 0.15 < p < h * 0.85):
            x[p : p + t] = fgc
        elif not v and not (crop[2] - crop[0] > 0 and mid.size and mid[0] - px * 0.6 < p < mid[-1] + px * 0.6):
            x[:, p : p + t] = fgc
    if now(0.2):
        x = x * (1 + texture(r, g, h, w)[..., None] * r.uniform(0.02, 0.2))
    pic = Image.fromarray(np.clip(x[..., 0] if grey else x, 0, 255).astype(np.uint8))
    k = r.random() * (5 if easy else 1)
    if k < 0.30:
        pic = pic.filter(ImageFilter.GaussianBlur(r.uniform(0.2, 0.03 * px + 0.2)))
    elif k < 0.35:
        n = r.uniform(0.5, 0.9)
        pic = pic.resize((max(4, int(w * n)), max(7, int(h * n))), Image.BILINEAR)
    y = np.asarray(pic, np.float32)
    k = r.random() * (5 if easy else 1)
    if k < 0.40:
        y = y + g.standard_normal(y.shape, np.float32) * r.choice([2, 4, 6, 10, min(16, 0.13 * contrast)])
        pic = Image.fromarray(np.clip(y, 0, 255).astype(np.uint8))
    elif k < 0.44:
        salt = g.random(y.shape[:2]) < r.uniform(0.002, 0.02)
        y = y.copy()
        y[salt] = r.choice([0, 255])
        pic = Image.fromarray(y.astype(np.uint8))
    if now(0.30):
        buf = io.BytesIO()
        pic.save(buf, "JPEG", quality=r.choice([25, 40, 60, 75, 85, 92]))
        pic = Image.open(buf)
    if now(0.04):  # black and white, as a fax
        t = (0.3 * (bg[0] + fg[0]) + 0.59 * (bg[1] + fg[1]) + 0.11 * (bg[2] + fg[2])) / 2
        pic = pic.convert("L").point(lambda v: 255 if v > t else 0)
    wide = pic.width * HEIGHT / pic.height
    tokens = max(1, round(wide / STEP))
    if tokens * STEP > wide_px:
        return render(r, g, c, fonts, held, max(4, int(longest * 0.6)), wide_px, ease)
    mid = mid * (tokens * STEP / w)
    out = pic.convert("RGB").resize((tokens * STEP, HEIGHT), Image.BILINEAR)
    return {"image": np.asarray(out), "text": s, "mid": mid, "tokens": tokens}


def main():
    work, seed, n, out = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    held = "held" in sys.argv
    r, g, c, fonts = random.Random(seed), np.random.default_rng(seed), text.Corpus(work), Fonts(work, held)
    rows = [render(r, g, c, fonts, held) for _ in range(n)]
    sheet = Image.new("RGB", (1500, 52 * n), (255, 255, 255))
    d = ImageDraw.Draw(sheet)
    for i, row in enumerate(rows):
        sheet.paste(Image.fromarray(row["image"]), (0, 52 * i))
        d.text((4, 52 * i + 34), row["text"], fill=(200, 0, 0), font=ImageFont.truetype("DejaVuSans.ttf", 12))
        for m in row["mid"]:
            d.line([(m, 52 * i + 31), (m, 52 * i + 34)], fill=(0, 0, 255))
    sheet.save(out)


if __name__ == "__main__":
    main()
