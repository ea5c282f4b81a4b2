# SPDX-License-Identifier: Apache-2.0
"""Pictures to describe and to ask about, drawn from a known truth, and small pages to read.

usage: data_scenes.py WORK SEED OUT.png      a sheet of samples to look at
Pictures of one batch have one size, at most 96 tokens of 32 x 32 px."""

import io
import math
import random
import sys

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

import data_lines
import scenes_text as st
import text

SIZES = [
    (256, 256),
    (320, 256),
    (256, 320),
    (288, 288),
    (320, 288),
    (352, 256),
    (224, 224),
    (320, 192),
    (192, 320),
    (384, 256),
    (256, 384),
]  # height, width


def polygon(n, r, turn, inner=None):
    k = n if inner is None else 2 * n
    return [
        (
            (r if inner is None or i % 2 == 0 else inner) * math.sin(turn + 2 * math.pi * i / k),
            -(r if inner is None or i % 2 == 0 else inner) * math.cos(turn + 2 * math.pi * i / k),
        )
        for i in range(k)
    ]


def draw_shape(d, shape, x, y, r, colour, turn, outline):
    at = lambda pts: [(x + a, y + b) for a, b in pts]
    kw = {"fill": colour, "outline": outline}
    if shape == "circle":
        d.ellipse([x - r, y - r, x + r, y + r], **kw)
    elif shape == "oval":
        d.ellipse([x - r, y - r * 0.55, x + r, y + r * 0.55], **kw)
    elif shape == "ring":
        d.ellipse([x - r, y - r, x + r, y + r], outline=colour, width=max(3, int(r * 0.35)))
    elif shape == "square":
        d.polygon(at(polygon(4, r * 1.15, math.pi / 4 + turn * 0.15)), **kw)
    elif shape == "diamond":
        d.polygon(at([(0, -r), (r * 0.7, 0), (0, r), (-r * 0.7, 0)]), **kw)
    elif shape == "rectangle":
        d.rectangle([x - r, y - r * 0.5, x + r, y + r * 0.5], **kw)
    elif shape == "triangle":
        d.polygon(at(polygon(3, r, turn * 0.4)), **kw)
    elif shape == "hexagon":
        d.polygon(at(polygon(6, r, turn)), **kw)
    elif shape == "star":
        d.polygon(at(polygon(5, r, turn * 0.4, r * 0.42)), **kw)
    elif shape == "cross":
        w = r * 0.35
        d.polygon(
            at([(-w, -r), (w, -r), (w, -w), (r, -w), (r, w), (w, w), (w, r), (-w, r), (-w, w), (-r, w), (-r, -w), (-w, -w)]), **kw
        )
    elif shape == "heart":
        pts = [
            (16 * math.sin(t) ** 3, -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)))
            for t in np.linspace(0, 2 * math.pi, 40)
        ]
        d.polygon(at([(a * r / 16, b * r / 16) for a, b in pts]), **kw)
    else:  # arrow
        pts = [
            (-r, -r * 0.25),
            (r * 0.2, -r * 0.25),
            (r * 0.2, -r * 0.6),
            (r, 0),
            (r * 0.2, r * 0.6),
            (r * 0.2, r * 0.25),
            (-r, r * 0.25),
        ]
        k = round(turn / (math.pi / 2)) * math.pi / 2
        d.polygon(at([(a * math.cos(k) - b * math.sin(k), a * math.sin(k) + b * math.cos(k)) for a, b in pts]), **kw)


def shade(r, colour, spread=18):
    return tuple(min(255, max(0, v + r.randint(-spread, spread))) for v in colour)


def shapes(r, d, im, w, h, fonts):
    bg = r.choice(
        ["white", "white", "gray", "black", "yellow", "blue", "green", "pink", "brown", "cyan", "purple", "orange", "red"]
    )
    d.rectangle([0, 0, w, h], fill=shade(r, st.COLOURS[bg], 8))
    n = min(9, 1 + int(r.expovariate(1 / 2.4)))
    cells = sorted(r.sample(sorted(st.PLACES), n))
    colours = [c for c in st.COLOURS if c != bg]
    pool = [(r.choice(colours), r.choice(st.SHAPES)) for _ in range(r.randint(1, n))]
    things = []
    for row, col in cells:
        c, s = r.choice(pool)
        cw, ch = w / 3, h / 3
        big = min(cw, ch) * r.uniform(0.26, 0.44)
        x, y = (col + 0.5) * cw + r.uniform(-0.06, 0.06) * cw, (row + 0.5) * ch + r.uniform(-0.06, 0.06) * ch
        draw_shape(
            d,
            s,
            x,
            y,
            big,
            shade(r, st.COLOURS[c]),
            r.uniform(-math.pi, math.pi) if s == "arrow" else r.uniform(-1, 1),
            r.choice([None, None, (0, 0, 0)]),
        )
        things.append({"colour": c, "shape": s, "cell": (row, col)})
    return {"background": bg, "things": things}


def panel(r, d, im, w, h, fonts):
    base = r.randint(40, 210)
    d.rectangle([0, 0, w, h], fill=(base, base, min(255, base + r.randint(0, 15))))
    n = r.randint(2, 6)
    items, step = [], w / n
    for i in range(n):
        x, y, q = (i + 0.5) * step, h * r.uniform(0.42, 0.58), min(step * 0.36, h * 0.2)
        if r.random() < 0.55:
            c, on = r.choice(["red", "green", "yellow", "blue", "white", "orange"]), r.random() < 0.5
            v = st.COLOURS[c]
            d.ellipse([x - q * 1.2, y - q * 1.2, x + q * 1.2, y + q * 1.2], fill=(70, 70, 70))
            if on:
                d.ellipse([x - q, y - q, x + q, y + q], fill=shade(r, v, 8))
                d.ellipse([x - q * 0.4, y - q * 0.5, x, y - q * 0.1], fill=(255, 255, 255))
            else:
                d.ellipse([x - q, y - q, x + q, y + q], fill=tuple(int(a * 0.32) for a in v))
            items.append({"kind": "lamp", "colour": c, "on": on})
        else:
            on = r.random() < 0.5
            d.rectangle([x - q * 0.6, y - q * 1.4, x + q * 0.6, y + q * 1.4], fill=(30, 30, 30))
            t = y - q * 0.7 if on else y + q * 0.7
            d.rectangle([x - q * 0.45, t - q * 0.5, x + q * 0.45, t + q * 0.5], fill=(225, 225, 225))
            items.append({"kind": "switch", "colour": "", "on": on})
    return {"items": items}


def label(d, fonts, f, x, y, s, px, fill, anchor="mm"):
    d.text((x, y), s, font=fonts.at(f, px)[0], fill=fill, anchor=anchor)


def plain_font(r, fonts):
    for _ in range(40):
        f = fonts.pick(r)
        if f["kind"] == "plain" and any(
            k in f["package"]
            for k in (
                "liberation",
                "dejavu",
                "noto",
                "urw",
                "roboto",
                "open-sans",
                "croscore",
                "freefont",
                "texgyre",
                "inter",
                "lato",
                "cabin",
                "karla",
                "carlito",
            )
        ):
            return f
    return f


def gauge(r, d, im, w, h, fonts):
    f = plain_font(r, fonts)
    kind, top, unit = r.choice(["dial", "dial", "bar", "thermometer"]), r.choice([10, 50, 100, 100, 200]), ""
    part = r.randint(0, 20) / 20
    value = top * part
    value = int(value) if value == int(value) else round(value, 1)
    dark = r.random() < 0.3
    bg, ink = ((r.randint(15, 50),) * 3, (235, 235, 235)) if dark else ((r.randint(225, 255),) * 3, (20, 20, 20))
    d.rectangle([0, 0, w, h], fill=bg)
    hot = st.COLOURS[r.choice(["red", "blue", "green", "orange"])]
    if kind == "dial":
        x, y, q = w / 2, h * 0.55, min(w, h) * 0.4
        d.ellipse([x - q, y - q, x + q, y + q], outline=ink, width=3)
        lo, hi = math.radians(-130), math.radians(130)
        for i in range(11):
            a = lo + (hi - lo) * i / 10
            d.line(
                [
                    (x + q * 0.85 * math.sin(a), y - q * 0.85 * math.cos(a)),
                    (x + q * 0.97 * math.sin(a), y - q * 0.97 * math.cos(a)),
                ],
                fill=ink,
                width=2,
            )
            if i in (0, 5, 10):
                label(
                    d,
                    fonts,
                    f,
                    x + q * 0.66 * math.sin(a),
                    y - q * 0.66 * math.cos(a),
                    f"{top * i / 10:g}",
                    max(12, int(q * 0.17)),
                    ink,
                )
        a = lo + (hi - lo) * part
        d.line([(x, y), (x + q * 0.8 * math.sin(a), y - q * 0.8 * math.cos(a))], fill=hot, width=max(3, int(q * 0.05)))
        d.ellipse([x - 6, y - 6, x + 6, y + 6], fill=ink)
    else:
        across = kind == "bar" and r.random() < 0.5
        x0, y0, x1, y1 = (w * 0.08, h * 0.38, w * 0.92, h * 0.58) if across else (w * 0.38, h * 0.08, w * 0.56, h * 0.92)
        d.rectangle([x0, y0, x1, y1], outline=ink, width=2)
        if across:
            d.rectangle([x0 + 2, y0 + 2, x0 + 2 + (x1 - x0 - 4) * part, y1 - 2], fill=hot)
        else:
            d.rectangle([x0 + 2, y1 - 2 - (y1 - y0 - 4) * part, x1 - 2, y1 - 2], fill=hot)
            if kind == "thermometer":
                q = (x1 - x0) * 0.75
                d.ellipse([(x0 + x1) / 2 - q, y1 - q * 0.6, (x0 + x1) / 2 + q, y1 + q * 1.0], fill=hot, outline=ink)
        for i in range(0, 11):
            p = i / 10
            if across:
                d.line([(x0 + (x1 - x0) * p, y1), (x0 + (x1 - x0) * p, y1 + 6)], fill=ink)
                if i in (0, 5, 10):
                    label(d, fonts, f, x0 + (x1 - x0) * p, y1 + 18, f"{top * p:g}", 15, ink)
            else:
                d.line([(x1, y1 - (y1 - y0) * p), (x1 + 6, y1 - (y1 - y0) * p)], fill=ink)
                if i in (0, 5, 10):
                    label(d, fonts, f, x1 + 12, y1 - (y1 - y0) * p, f"{top * p:g}", 15, ink, "lm")
    return {"kind": kind, "value": value, "top": top, "unit": unit}


def chart(r, d, im, w, h, fonts):
    f = plain_font(r, fonts)
    kind, title, n = r.choice(["bar", "line", "pie"]), r.choice(st.TITLES), r.randint(3, 6)
    d.rectangle([0, 0, w, h], fill=(r.randint(235, 255),) * 3)
    names = (
        list("ABCDEF"[:n])
        if r.random() < 0.5
        else [m[:3] for m in text.MONTH[:n]] if r.random() < 0.5 else [f"Q{i + 1}" for i in range(n)]
    )
    values = r.sample(range(2, 21), n)  # all different
    px = max(14, int(h * 0.075))
    label(d, fonts, f, w / 2, h * 0.07, title, px, (10, 10, 10))
    colours = r.sample([c for c in st.COLOURS if c not in ("white", "black", "gray", "yellow")], n)
    x0, y0, x1, y1 = w * 0.1, h * 0.16, w * 0.95, h * 0.86
    if kind == "pie":
        q, cx, cy, a = min(w, h) * 0.33, w / 2, h * 0.55, r.uniform(0, 360)
        for v, c, s in zip(values, colours, names):
            e = a + 360 * v / sum(values)
            d.pieslice([cx - q, cy - q, cx + q, cy + q], a, e, fill=st.COLOURS[c], outline=(255, 255, 255))
            m = math.radians((a + e) / 2)
            label(d, fonts, f, cx + q * 1.18 * math.cos(m), cy + q * 1.18 * math.sin(m), s, 14, (10, 10, 10))
            a = e
    else:
        d.line([(x0, y0), (x0, y1), (x1, y1)], fill=(0, 0, 0), width=2)
        one = r.random() < 0.5
        pts = []
        for i, v in enumerate(values):
            x, y = x0 + (x1 - x0) * (i + 0.5) / n, y1 - (y1 - y0) * v / 21
            pts.append((x, y))
            if kind == "bar":
                bw = (x1 - x0) / n * 0.32
                d.rectangle([x - bw, y, x + bw, y1], fill=st.COLOURS[colours[0 if one else i]])
            label(d, fonts, f, x, y1 + h * 0.05, names[i], 14, (10, 10, 10))
        if kind == "line":
            d.line(pts, fill=st.COLOURS[colours[0]], width=3)
            for x, y in pts:
                d.ellipse([x - 4, y - 4, x + 4, y + 4], fill=st.COLOURS[colours[0]])
    return {"kind": kind, "title": title, "bars": list(zip(names, values))}


def document(r, d, im, w, h, fonts):
    """A page seen as a whole: its text too small to read but for the heading."""
    f, kind = plain_font(r, fonts), r.choice(st.DOCUMENTS)
    d.rectangle([0, 0, w, h], fill=(r.randint(235, 255),) * 3)
    ink = (r.randint(0, 60),) * 3
    head = (
        {"receipt": "Receipt", "invoice": "Invoice", "ticket": "Ticket", "form": "Form"}.get(kind, "")
        if r.random() < 0.5
        else r.choice(st.TITLES)
    )
    n = {"note": r.randint(2, 4), "business card": r.randint(3, 4), "ticket": r.randint(3, 6)}.get(kind, r.randint(6, 14))
    px, y = 8, h * 0.06
    if kind == "receipt":
        x0, x1 = w * 0.28, w * 0.72
        d.rectangle([0, 0, x0 - 8, h], fill=(120, 110, 100))
        d.rectangle([x1 + 8, 0, w, h], fill=(120, 110, 100))
    elif kind == "business card":
        x0, x1, y = w * 0.12, w * 0.88, h * 0.3
        d.rectangle([w * 0.06, h * 0.2, w * 0.94, h * 0.8], outline=ink, width=2)
    elif kind == "ticket":
        x0, x1, y = w * 0.1, w * 0.7, h * 0.3
        d.rectangle([w * 0.04, h * 0.2, w * 0.96, h * 0.8], outline=ink, width=3)
        for k in range(12):
            d.line([(w * 0.75, h * (0.22 + 0.047 * k)), (w * 0.75, h * (0.24 + 0.047 * k))], fill=ink, width=2)
    elif kind == "note":
        x0, x1 = w * 0.1, w * 0.9
        d.rectangle([0, 0, w, h], fill=(250, 240, 150))
    else:
        x0, x1 = w * 0.1, w * 0.9
    if head:
        label(
            d,
            fonts,
            f,
            (x0 + x1) / 2 if kind in ("receipt", "invoice") else x0,
            y + 8,
            head,
            19,
            ink,
            "mm" if kind in ("receipt", "invoice") else "lm",
        )
        y += 28
    step = min(17, (h * (0.76 if kind in ("ticket", "business card") else 0.95) - y) / n)
    for i in range(n):
        if kind == "table":
            for k in range(4):
                xa = x0 + (x1 - x0) * k / 4
                d.rectangle([xa, y, xa + (x1 - x0) / 4, y + step], outline=ink)
                d.text((xa + 3, y + 2), text.digits(r, r.randint(2, 4)), font=fonts.at(f, px)[0], fill=ink)
        elif kind == "form":
            d.text((x0, y), r.choice(text.FIELDS)[:10], font=fonts.at(f, px)[0], fill=ink)
            d.rectangle([x0 + (x1 - x0) * 0.4, y, x1, y + step * 0.75], outline=ink)
        elif kind in ("receipt", "invoice"):
            d.text((x0, y), r.choice(text.ITEM), font=fonts.at(f, px)[0], fill=ink)
            d.text((x1, y), f"{r.uniform(1, 99):.2f}", font=fonts.at(f, px)[0], fill=ink, anchor="ra")
        else:
            n_chars = int((x1 - x0) / 4.2 * (r.uniform(0.85, 1) if kind == "letter" and i < n - 1 else r.uniform(0.3, 0.7)))
            d.text((x0, y), " ".join(r.choice(text.ITEM).lower() for _ in range(20))[:n_chars], font=fonts.at(f, px)[0], fill=ink)
        y += step
    return {"kind": kind, "head": head, "n_lines": n}


DRAW = {"shapes": shapes, "panel": panel, "gauge": gauge, "chart": chart, "document": document}


def small_page(r, g, c, fonts, w, h, held):
    """A few lines large enough to be read in the whole picture."""
    f = plain_font(r, fonts)
    bg, fg = data_lines.ink_colours(r)
    im = Image.new("RGB", (w, h), bg)
    d = ImageDraw.Draw(im)
    px, y, rows = r.randint(15, 26), r.randint(6, 30), []
    font = fonts.at(f, px)[0]
    while y < h - px * 1.4 and len(rows) < 7:
        s = text.line(r, c, held)
        if set(s) - {" "} <= f["set"]:
            words = s.split()
            while words and font.getlength(" ".join(words)) > w - 16:
                words.pop()
            if words:
                s = " ".join(words)
                d.text((r.choice([8, 8, max(8, int((w - font.getlength(s)) / 2))]), y), s, font=font, fill=fg)
                rows.append(s)
                y += int(px * r.uniform(1.25, 1.6))
        if rows and r.random() < 0.12:
            break
    return im, "\n".join(rows)


def finish(r, g, im):
    """Noise, blur and JPEG."""
    if r.random() < 0.25:
        im = im.filter(ImageFilter.GaussianBlur(r.uniform(0.2, 0.9)))
    if r.random() < 0.4:
        y = np.asarray(im, np.float32) + g.standard_normal(
            (im.height, im.width, 1 if r.random() < 0.6 else 3), np.float32
        ) * r.choice([2, 5, 9])
        im = Image.fromarray(np.clip(y, 0, 255).astype(np.uint8))
    if r.random() < 0.4:
        buf = io.BytesIO()
        im.save(buf, "JPEG", quality=r.choice([40, 60, 80, 92]))
        im = Image.open(buf).convert("RGB")
    return im


def sample(r, g, c, fonts, w, h, held=False):
    k = r.random()
    if k < 0.14:
        im, answer = small_page(r, g, c, fonts, w, h, held)
        return {"image": np.asarray(finish(r, g, im)), "question": st.OCR, "answer": answer, "kind": "page"}
    kind = "shapes" if k < 0.5 else "panel" if k < 0.6 else "gauge" if k < 0.74 else "chart" if k < 0.88 else "document"
    im = Image.new("RGB", (w * 2, h * 2))  # drawn large, for smooth edges
    if kind in ("shapes", "panel"):
        truth = DRAW[kind](r, ImageDraw.Draw(im), im, 2 * w, 2 * h, fonts)
        im = im.resize((w, h), Image.BOX)
    else:
        im = Image.new("RGB", (w, h))
        truth = DRAW[kind](r, ImageDraw.Draw(im), im, w, h, fonts)
    said = st.DESCRIBE[kind](r, truth)
    k = r.random()
    q, a = (
        (st.SHORT, said["short"])
        if k < 0.25
        else (st.LONG, said["long"]) if k < 0.42 else (st.ALT, said["alt"]) if k < 0.55 else r.choice(said["qa"])
    )
    return {"image": np.asarray(finish(r, g, im)), "question": q, "answer": a, "kind": kind}


def batch(r, g, c, fonts, n, held=False):
    h, w = r.choice(SIZES)
    return [sample(r, g, c, fonts, w, h, held) for _ in range(n)]


def main():
    work, seed, out = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    r, g, c, fonts = random.Random(seed), np.random.default_rng(seed), text.Corpus(work), data_lines.Fonts(work, False)
    sheet = Image.new("RGB", (1600, 1500), (255, 255, 255))
    d = ImageDraw.Draw(sheet)
    small = ImageFont.truetype("DejaVuSans.ttf", 10)
    for i in range(20):
        row = sample(r, g, c, fonts, 288, 256)
        x, y = i % 5 * 320, i // 5 * 370
        sheet.paste(Image.fromarray(row["image"]), (x, y))
        words, lines = (row["question"] + " | " + row["answer"]).replace("\n", " / ").split(), [""]
        for wd in words:
            if len(lines[-1]) + len(wd) > 52:
                lines.append("")
            lines[-1] += " " + wd
        for k, ln in enumerate(lines[:9]):
            d.text((x, y + 258 + 12 * k), ln, fill=(180, 0, 0), font=small)
    sheet.save(out)


if __name__ == "__main__":
    main()
