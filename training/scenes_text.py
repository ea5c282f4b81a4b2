# SPDX-License-Identifier: Apache-2.0
"""Prompts of the seeing tasks, and the sentences that describe a scene whose truth is known."""

import random

OCR = "Read the text in the image."
SHORT = "Describe the image in one short sentence."
LONG = "Describe the image in detail."
ALT = "Write alternative text for this image."
PROMPTS = [OCR, SHORT, LONG, ALT]

COLOURS = {
    "red": (212, 38, 38),
    "green": (44, 160, 60),
    "blue": (42, 82, 210),
    "yellow": (240, 210, 40),
    "orange": (242, 135, 30),
    "purple": (130, 50, 170),
    "pink": (245, 130, 180),
    "brown": (125, 80, 45),
    "black": (20, 20, 20),
    "white": (250, 250, 250),
    "gray": (128, 128, 128),
    "cyan": (40, 200, 215),
}
SHAPES = ["circle", "square", "triangle", "star", "rectangle", "diamond", "hexagon", "cross", "heart", "ring", "arrow", "oval"]
PLURAL = {"cross": "crosses", "switch": "switches"}
COUNT = "no one two three four five six seven eight nine ten".split()
PLACES = {
    (0, 0): "at the top left",
    (0, 1): "at the top",
    (0, 2): "at the top right",
    (1, 0): "on the left",
    (1, 1): "in the middle",
    (1, 2): "on the right",
    (2, 0): "at the bottom left",
    (2, 1): "at the bottom",
    (2, 2): "at the bottom right",
}
TITLES = """Sales Revenue Costs Visitors Temperature Rainfall Profit Orders Output Speed Energy Traffic Budget Growth Users Returns
Population Demand Supply Price""".split()
DOCUMENTS = ["receipt", "letter", "invoice", "form", "table", "ticket", "business card", "note"]


def plural(s, n):
    return s if n == 1 else PLURAL.get(s, s + "s")


def article(s):
    return ("an " if s[0] in "aeiou" else "a ") + s


def join(items):
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


def cap(s):
    return s[:1].upper() + s[1:]


def groups(things):
    """[(n, colour, shape)] of a scene, in the order in which they were placed."""
    out = {}
    for t in things:
        out[(t["colour"], t["shape"])] = out.get((t["colour"], t["shape"]), 0) + 1
    return [(n, c, s) for (c, s), n in out.items()]


def noun(n, c, s):
    return article(f"{c} {s}") if n == 1 else f"{COUNT[n]} {c} {plural(s, n)}"


# Each returns {"short", "long", "alt", "qa": [(question, answer)]} for the truth `t` of a scene.


def shapes(r, t):
    g, bg, things = groups(t["things"]), t["background"], t["things"]
    short = cap(join([noun(*x) for x in g])) + f" on {article(bg)} background."
    parts = [f"{article(x['colour'] + ' ' + x['shape'])} {PLACES[x['cell']]}" for x in things]
    n = len(things)
    long_ = f"The image shows {COUNT[n]} {plural('shape', n)} on {article(bg)} background: " + join(parts) + "."
    qa = []
    c, s = r.choice([(x["colour"], x["shape"]) for x in things])
    qa.append(("How many shapes are there?", cap(COUNT[n]) + "."))
    k = sum(x["shape"] == s for x in things)
    qa.append((f"How many {plural(s, 2)} are there?", cap(COUNT[k]) + "."))
    other = r.choice([x for x in SHAPES if all(x != y["shape"] for y in things)])
    qa.append((f"Is there {article(other)}?", "No."))
    qa.append((f"Is there {article(c + ' ' + s)}?", "Yes."))
    qa.append(("What color is the background?", cap(bg) + "."))
    if k == 1:
        x = next(y for y in things if y["shape"] == s)
        qa.append((f"What color is the {s}?", cap(x["colour"]) + "."))
        qa.append((f"Where is the {s}?", cap(PLACES[x["cell"]]) + "."))
    at = r.choice(things)
    qa.append((f"What is {PLACES[at['cell']]}?", cap(article(at["colour"] + " " + at["shape"])) + "."))
    return {"short": short, "long": long_, "alt": cap(join([noun(*x) for x in g])) + ".", "qa": qa}


def panel(r, t):
    """A panel of lamps and switches."""
    items, what = t["items"], {"lamp": ("lamp", "lit", "dark"), "switch": ("switch", "on", "off")}
    words = []
    for x in items:
        n, on, off = what[x["kind"]]
        words.append((f"{x['colour']} " if x["kind"] == "lamp" else "") + f"{n} {on if x['on'] else off}")
    lamps, sw = [x for x in items if x["kind"] == "lamp"], [x for x in items if x["kind"] == "switch"]
    bits = []
    if lamps:
        lit = sum(x["on"] for x in lamps)
        bits.append(f"{COUNT[len(lamps)]} {plural('lamp', len(lamps))}, {COUNT[lit] if lit else 'none'} lit")
    if sw:
        on = sum(x["on"] for x in sw)
        bits.append(f"{COUNT[len(sw)]} {plural('switch', len(sw))}, {COUNT[on] if on else 'none'} on")
    short = "A panel with " + join(bits) + "."
    long_ = "The image shows a panel. From left to right: " + join([article(w) for w in words]) + "."
    qa = [("What is in the image?", "A panel.")]
    if lamps:
        lit = sum(x["on"] for x in lamps)
        qa.append(("How many lamps are lit?", cap(COUNT[lit] if lit else "none") + "."))
        x = r.choice(lamps)
        if sum(y["colour"] == x["colour"] for y in lamps) == 1:
            qa.append((f"Is the {x['colour']} lamp lit?", "Yes." if x["on"] else "No."))
    if sw:
        on = sum(x["on"] for x in sw)
        qa.append(("How many switches are on?", cap(COUNT[on] if on else "none") + "."))
    return {"short": short, "long": long_, "alt": "Panel with " + join(bits) + ".", "qa": qa}


def gauge(r, t):
    """A dial or a bar gauge; its reading in tenths of the scale."""
    kind, v, top, unit = t["kind"], t["value"], t["top"], t["unit"]
    name = {"dial": "dial", "bar": "bar gauge", "thermometer": "thermometer"}[kind]
    part = (
        "empty"
        if v <= 0.05 * top
        else "full" if v >= 0.95 * top else "low" if v < 0.35 * top else "high" if v > 0.65 * top else "near the middle"
    )
    val = f"{v} {unit}".strip()
    short = f"A {name} reading about {val}."
    long_ = f"The image shows a {name} with a scale from 0 to {top}. It reads about {val}, which is {part}."
    return {
        "short": short,
        "long": long_,
        "alt": cap(name) + f" at about {val}.",
        "qa": [
            ("What does the gauge read?", f"About {val}."),
            ("What is in the image?", f"A {name}."),
            ("What is the highest value of the scale?", f"{top}."),
            ("Is the reading high or low?", cap(part) + "."),
        ],
    }


def chart(r, t):
    kind, title, bars = t["kind"], t["title"], t["bars"]
    best = max(bars, key=lambda b: b[1])[0]
    least = min(bars, key=lambda b: b[1])[0]
    n = len(bars)
    short = f"A {kind} chart titled {title}."
    unit = {"bar": "bars", "line": "points", "pie": "slices"}[kind]
    long_ = f"The image shows a {kind} chart titled {title} with {COUNT[n]} {unit}. {best} is the highest and {least} the lowest."
    return {
        "short": short,
        "long": long_,
        "alt": cap(kind) + f" chart: {title}.",
        "qa": [
            ("What is the title of the chart?", f"{title}."),
            ("What kind of chart is this?", f"A {kind} chart."),
            (f"How many {unit} are there?", cap(COUNT[n]) + "."),
            ("Which is the highest?", f"{best}."),
            ("Which is the lowest?", f"{least}."),
            ("What is in the image?", f"A {kind} chart."),
        ],
    }


def document(r, t):
    kind, head, n = t["kind"], t["head"], t["n_lines"]
    short = cap(article(kind)) + (f" with the heading {head}." if head else ".")
    size = "a few lines" if n < 5 else "several lines" if n < 10 else "many lines"
    long_ = f"The image shows {article(kind)} with {size} of text" + (f" under the heading {head}." if head else ".")
    qa = [("What kind of document is this?", cap(article(kind)) + "."), ("What is in the image?", cap(article(kind)) + ".")]
    if head:
        qa.append(("What is the heading?", f"{head}."))
    return {"short": short, "long": long_, "alt": cap(kind) + (f": {head}." if head else "."), "qa": qa}


DESCRIBE = {"shapes": shapes, "panel": panel, "gauge": gauge, "chart": chart, "document": document}


def random_truth(r):
    """A truth without a picture, for the tokenizer's corpus."""
    k = r.choice(sorted(DESCRIBE))
    if k == "shapes":
        cells = r.sample(sorted(PLACES), r.randint(1, 6))
        return k, {
            "background": r.choice(sorted(COLOURS)),
            "things": [{"colour": r.choice(sorted(COLOURS)), "shape": r.choice(SHAPES), "cell": c} for c in cells],
        }
    if k == "panel":
        return k, {
            "items": [
                {
                    "kind": r.choice(["lamp", "switch"]),
                    "colour": r.choice(["red", "green", "yellow", "blue", "white", "orange"]),
                    "on": r.random() < 0.5,
                }
                for _ in range(r.randint(2, 6))
            ]
        }
    if k == "gauge":
        return k, {"kind": r.choice(["dial", "bar", "thermometer"]), "value": r.randrange(0, 101, 5), "top": 100, "unit": ""}
    if k == "chart":
        return k, {
            "kind": r.choice(["bar", "line", "pie"]),
            "title": r.choice(TITLES),
            "bars": [(ch, r.random()) for ch in "ABCDEF"[: r.randint(3, 6)]],
        }
    return k, {"kind": r.choice(DOCUMENTS), "head": r.choice(TITLES), "n_lines": r.randint(3, 14)}


def sample_sentence(r):
    k, t = random_truth(r)
    d = DESCRIBE[k](r, t)
    q, a = r.choice(d["qa"])
    return r.choice([d["short"], d["long"], d["alt"], q, a])


if __name__ == "__main__":
    rng = random.Random(5)
    for _ in range(12):
        print(sample_sentence(rng))
