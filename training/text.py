# SPDX-License-Identifier: Apache-2.0
"""What is written: grammars over own word lists, and the cleaned prose of corpus.py.

Every generator takes a random.Random and is a function of its state alone. `held` sentences and templates belong to the
evaluation sets."""

import re
import string
from pathlib import Path

from lists import *  # noqa: F403


class Corpus:
    def __init__(self, work):
        d = Path(work) / "corpus"
        rows = (d / "prose.txt").read_text().rstrip("\n").split("\n")
        self.held = rows[::40]  # never in training
        self.prose = [r for i, r in enumerate(rows) if i % 40]
        self.words = (d / "words.txt").read_text().rstrip("\n").split("\n")
        self.plain = [s for s in self.prose if re.match(r"^[A-Za-z ,.;?!']+$", s)]
        self.plain_held = [s for s in self.held if re.match(r"^[A-Za-z ,.;?!']+$", s)]
        common = {}
        for s in self.plain:
            for w in re.findall(r"[a-z']+", s):
                common[w] = common.get(w, 0) + 1
        self.common = [w for w, n in sorted(common.items(), key=lambda kv: (-kv[1], kv[0]))[:8000] if len(w) > 1 or w in "ai"]


# ---- Written ----


def digits(r, n):
    return "".join(r.choice(string.digits) for _ in range(n))


def group(s, sizes, sep):
    out, i = [], 0
    for n in sizes:
        out.append(s[i : i + n])
        i += n
    return sep.join(out)


def phone(r):
    d = digits(r, 15)
    return r.choice(
        [
            lambda: f"({d[:3]}) {d[3:6]}-{d[6:10]}",
            lambda: group(d, (3, 3, 4), "-"),
            lambda: group(d, (3, 3, 4), "."),
            lambda: "+1 " + group(d, (3, 3, 4), " "),
            lambda: "+44 20 " + group(d, (4, 4), " "),
            lambda: "0" + group(d, (4, 6), " "),
            lambda: "+49 " + group(d, (3, 7), " "),
            lambda: "1-800-" + group(d, (3, 4), "-"),
            lambda: "+33 " + group(d, (1, 2, 2, 2, 2), " "),
            lambda: d[:10],
        ]
    )()


def card(r):
    d = r.choice("3456") + digits(r, 15)
    return r.choice(
        [
            lambda: group(d, (4, 4, 4, 4), " "),
            lambda: group(d, (4, 4, 4, 4), "-"),
            lambda: d,
            lambda: group(d, (4, 6, 5), " "),
            lambda: "**** **** **** " + d[:4],
            lambda: "XXXX-" + d[:4],
        ]
    )()


def amount(r):
    n = 10 ** r.uniform(0, 5)
    s = r.choice([f"{n:.2f}", f"{n:,.2f}", f"{n:.0f}", f"{n:,.0f}", f"{n:.2f}".replace(".", ",")])
    return r.choice(
        ["$" + s, "€" + s, "£" + s, s + " €", s + " EUR", s + " USD", "USD " + s, s, "-" + s, s + "%", "$ " + s, "¥" + s]
    )


def date(r):
    d, m, y = r.randint(1, 28), r.randint(1, 12), r.randint(1930, 2039)
    M = MONTH[m - 1]
    return r.choice(
        [
            f"{d:02d}/{m:02d}/{y}",
            f"{y}-{m:02d}-{d:02d}",
            f"{d}.{m}.{y}",
            f"{d:02d}.{m:02d}.{y % 100:02d}",
            f"{M} {d}, {y}",
            f"{d} {M} {y}",
            f"{M[:3]} {d}, {y}",
            f"{d} {M[:3]} {y}",
            f"{d}-{M[:3]}-{y}",
            f"{r.choice(DAY)}, {d} {M}",
            f"{M} {y}",
            f"{r.choice(DAY)[:3]} {d:02d} {M[:3]}",
            str(y),
            f"{m:02d}/{y % 100:02d}",
        ]
    )


def clock(r):
    h, m = r.randint(0, 23), r.randint(0, 59)
    return r.choice(
        [
            f"{h:02d}:{m:02d}",
            f"{h % 12 + 1}:{m:02d} {r.choice(['AM', 'PM', 'am', 'pm', 'a.m.', 'p.m.'])}",
            f"{h:02d}:{m:02d}:{r.randint(0, 59):02d}",
            f"{h:02d}.{m:02d}",
            f"{h % 12 + 1} {r.choice(['AM', 'PM'])}",
        ]
    )


def name(r):
    f, l = r.choice(FIRST), r.choice(LAST)
    return r.choice(
        [
            f"{f} {l}",
            f"{f} {l}",
            f"{f} {r.choice(string.ascii_uppercase)}. {l}",
            f"{l}, {f}",
            f"{r.choice(['Mr.', 'Mrs.', 'Ms.', 'Dr.', 'Prof.'])} {l}",
            f"{f[0]}. {l}",
            f"{f.upper()} {l.upper()}",
            f,
        ]
    )


def email(r):
    f, l = r.choice(FIRST).lower(), re.sub(r"[^a-z]", "", r.choice(LAST).lower())
    user = r.choice(
        [
            f"{f}.{l}",
            f"{f}{l}",
            f"{f[0]}{l}",
            f"{f}_{l}",
            f"{f}{digits(r, r.randint(1, 4))}",
            f"{f}-{l}",
            "info",
            f"{l}.{f}{digits(r, 2)}",
        ]
    )
    return f"{user}@{r.choice(DOMAIN)}.{r.choice(TLD)}"


def url(r, c):
    w = r.choice(c.words).lower().replace("'", "")
    return (
        r.choice(["https://www.", "www.", "http://", "https://", ""])
        + w
        + "."
        + r.choice(TLD)
        + r.choice(["", "", "/" + r.choice(c.words).lower(), f"/{r.choice(c.words).lower()}?id={digits(r, 3)}", "/index.html"])
    )


def address(r):
    k = r.choice(STREET_KIND)
    k = r.choice([k, STREET_SHORT.get(k, k)])
    s = f"{r.randint(1, 9999)} {r.choice(STREET)} {k}"
    z = digits(r, 5)
    i = r.randrange(len(STATE2))
    return r.choice(
        [
            s,
            f"{s}, Apt. {r.randint(1, 99)}",
            f"{r.choice(CITY)}, {STATE2[i]} {z}",
            f"{s}, {r.choice(CITY)}, {STATE2[i]} {z}",
            f"{z} {r.choice(CITY)}",
            f"{r.choice(CITY).upper()} {STATE2[i]} {z}-{digits(r, 4)}",
            f"P.O. Box {digits(r, r.randint(2, 5))}",
            f"{r.choice(CITY)} {r.choice('BELMNSW')}{r.randint(1, 20)} {r.randint(1, 9)}{r.choice('ABDEFGH')}{r.choice('ABDEFGH')}",
            f"{r.choice(CITY)}, {STATE[i]}",
        ]
    )


def code(r):
    pool = r.choice(
        [
            string.ascii_uppercase + string.digits,
            string.digits,
            string.hexdigits[:16],
            string.hexdigits[16:] + string.digits,
            string.ascii_letters + string.digits,
            string.ascii_uppercase,
        ]
    )
    g = lambda n: "".join(r.choice(pool) for _ in range(n))
    return r.choice(
        [
            lambda: g(r.randint(3, 12)),
            lambda: "-".join(g(r.randint(2, 5)) for _ in range(r.randint(2, 4))),
            lambda: f"{g(3)}/{g(4)}",
            lambda: f"#{g(5)}",
            lambda: f"{g(2)}.{g(3)}.{g(2)}",
            lambda: f"v{r.randint(0, 9)}.{r.randint(0, 30)}.{r.randint(0, 9)}",
            lambda: ".".join(str(r.randint(0, 255)) for _ in range(4)),
            lambda: f"{r.choice('ABDEF')}{r.choice('ETSR')}{digits(r, 2)} "
            + " ".join(digits(r, 4) for _ in range(r.randint(3, 5))),
            lambda: ":".join("".join(r.choice("0123456789ABCDEF") for _ in range(2)) for _ in range(6)),
            lambda: f"{digits(r, 3)}-{digits(r, 2)}-{digits(r, 4)}",
            lambda: f"ISBN 978-{digits(r, 1)}-{digits(r, 4)}-{digits(r, 4)}-{digits(r, 1)}",
        ]
    )()


def noise_string(r):
    pool = r.choice(
        [
            string.printable[:94],
            string.ascii_letters + string.digits + ".,-",
            CHARS.replace(" ", ""),
            string.ascii_lowercase,
            ACCENTED + string.ascii_letters,
        ]
    )
    return " ".join("".join(r.choice(pool) for _ in range(r.randint(1, 9))) for _ in range(r.randint(1, 5)))


def quantity(r):
    n = r.choice(
        [
            str(r.randint(0, 999)),
            f"{r.uniform(0, 100):.1f}",
            f"{r.uniform(0, 10):.2f}",
            f"{r.uniform(0, 2000):,.0f}",
            f"±{r.uniform(0, 5):.1f}",
            f"-{r.randint(1, 40)}",
            f"{r.randint(1, 99)}×{r.randint(1, 99)}",
        ]
    )
    return n + r.choice(["", " "]) + r.choice(UNIT)


SUMS = ["TOTAL", "Total", "SUBTOTAL", "Tax", "VAT 20%", "CASH", "Change", "Balance due", "VISA", "Discount", "Tip"]


def receipt(r):
    it = " ".join(r.sample(ITEM, r.randint(1, 2)))
    p = f"{r.uniform(0.2, 120):.2f}"
    return r.choice(
        [
            f"{r.randint(1, 12)} x {it} {p}",
            f"{it} {p}",
            f"{it} ${p}",
            f"{it} {r.randint(1, 9)} @ {p} {float(p) * 2:.2f}",
            f"{it.upper()} {p}",
            f"{it} {p} {r.choice('ABT')}",
            f"{r.choice(SUMS)} {r.choice(['', '$', '€', '-'])}{p}",
            f"{r.randint(1, 9)} {it} € {p}",
            f"{digits(r, 6)} {it} {p}",
        ]
    )


def accent(r, s):
    table = {
        "a": "àáâãäå",
        "e": "èéêë",
        "i": "ìíîï",
        "o": "òóôõöø",
        "u": "ùúûü",
        "c": "ç",
        "n": "ñ",
        "s": "šß",
        "z": "ž",
        "y": "ýÿ",
        "A": "ÀÁÂÃÄÅ",
        "E": "ÈÉÊË",
        "I": "ÌÍÎÏ",
        "O": "ÒÓÔÕÖØ",
        "U": "ÙÚÛÜ",
        "C": "Ç",
        "N": "Ñ",
        "S": "Š",
        "Z": "Ž",
        "Y": "Ý",
    }
    return "".join(r.choice(table[ch]) if ch in table and r.random() < 0.3 else ch for ch in s)


def sentence(r, s):
    s = s.strip()
    if r.random() < 0.6:
        s = s[:1].upper() + s[1:]
        if s[-1].isalnum() and r.random() < 0.7:
            s += r.choice("....?!:;")
    return s


def prose(r, c, held=False):
    s = sentence(r, r.choice(c.held if held else c.prose))
    if r.random() < 0.15:
        s += " " + sentence(r, r.choice(c.held if held else c.prose))
    if r.random() < 0.12:
        q = r.choice(
            [
                "“{}”",
                "‘{}’",
                '"{}"',
                "„{}“",
                "«{}»",
                "({})",
                "— {}",
                "• {}",
                "- {}",
                "{}…",
                "* {}",
                "1. {}",
                "a) {}",
                "§ {}",
                "[{}]",
            ]
        )
        s = q.format(s)
    if "'" in s and r.random() < 0.3:
        s = s.replace("'", "’")
    words = s.split()
    n = min(len(words), 1 + int(r.expovariate(1 / 6)))
    i = r.randint(0, len(words) - n)
    return " ".join(words[i : i + n])


def word_salad(r, c):
    out = []
    for _ in range(min(9, 1 + int(r.expovariate(1 / 2.5)))):
        w = r.choice(c.words)
        k = r.random()
        w = w.upper() if k < 0.12 else w.capitalize() if k < 0.3 else accent(r, w) if k < 0.4 else w
        k = r.random()
        w = (
            w + r.choice(",.;:!?")
            if k < 0.12
            else f"({w})" if k < 0.14 else f'"{w}"' if k < 0.16 else w + "-" + r.choice(c.words) if k < 0.19 else w
        )
        out.append(
            w if r.random() > 0.08 else r.choice([digits(r, r.randint(1, 5)), amount(r), r.choice(FOREIGN), "&", "/", "+", "="])
        )
    return " ".join(out)


def labelled(r, c):
    v = r.choice(
        [
            lambda: name(r),
            lambda: date(r),
            lambda: phone(r),
            lambda: email(r),
            lambda: amount(r),
            lambda: code(r),
            lambda: address(r),
            lambda: quantity(r),
            lambda: clock(r),
            lambda: card(r),
        ]
    )()
    f = r.choice(FIELDS)
    if r.random() < 0.2:
        f = f.upper()
    return r.choice(["{}: {}", "{}: {}", "{} {}", "{} # {}", "{}. {}", "{} = {}", "{}:{}", "{} - {}", "{} | {}"]).format(f, v)


HELD_LINES = [
    lambda r, c: f"Ref. {code(r)} of {date(r)}",
    lambda r, c: f"{name(r)} <{email(r)}>",
    lambda r, c: f"{amount(r)} paid by {name(r)}",
    lambda r, c: f"{clock(r)} {r.choice(CITY)} - {r.choice(CITY)}",
    lambda r, c: f"{quantity(r)} / {quantity(r)}",
]


def line(r, c, held=False):
    """One printed line."""
    if held and r.random() < 0.3:
        s = r.choice(HELD_LINES)(r, c)
    else:
        k = r.random()
        s = (
            prose(r, c, held)
            if k < 0.30
            else (
                word_salad(r, c)
                if k < 0.46
                else (
                    labelled(r, c)
                    if k < 0.60
                    else (
                        receipt(r)
                        if k < 0.67
                        else (
                            r.choice(
                                [
                                    lambda: name(r),
                                    lambda: date(r),
                                    lambda: phone(r),
                                    lambda: email(r),
                                    lambda: amount(r),
                                    lambda: address(r),
                                    lambda: card(r),
                                    lambda: clock(r),
                                    lambda: url(r, c),
                                    lambda: quantity(r),
                                    lambda: r.choice(HEADINGS),
                                ]
                            )()
                            if k < 0.84
                            else (
                                code(r)
                                if k < 0.91
                                else (
                                    noise_string(r)
                                    if k < 0.96
                                    else (
                                        accent(r, prose(r, c, held))
                                        if k < 0.98
                                        else " ".join(r.choice(FOREIGN) for _ in range(r.randint(1, 5)))
                                    )
                                )
                            )
                        )
                    )
                )
            )
        )
    if r.random() < 0.05:
        s = s.upper()
    s = "".join(ch for ch in s if ch in CLASS)
    return re.sub(r" +", " ", s).strip() or "-"
