# SPDX-License-Identifier: Apache-2.0
"""What is said, as its transcript has it: calls with every kind of personal datum, everyday sentences, prose, numbers."""

import re
import string

from lists import *  # noqa: F403
from text import digits, email


def cardinal(n):
    if n < 10:
        return DIGIT[n]
    if n < 20:
        return TEENS[n - 10]
    if n < 100:
        return TENS[n // 10] + (" " + DIGIT[n % 10] if n % 10 else "")
    if n < 1000:
        return DIGIT[n // 100] + " hundred" + (" " + cardinal(n % 100) if n % 100 else "")
    if n < 1000000:
        return cardinal(n // 1000) + " thousand" + (" " + cardinal(n % 1000) if n % 1000 else "")
    return cardinal(n // 1000000) + " million" + (" " + cardinal(n % 1000000) if n % 1000000 else "")


def ordinal(n):
    if n <= 20:
        return ORD[n - 1]
    return (TENS[n // 10] + " " + ORD[n % 10 - 1]) if n % 10 else {30: "thirtieth"}.get(n, "twentieth")


def say_digits(r, s, style=None):
    """A run of digits as it is read out."""
    style = style or r.choice(["plain", "plain", "grouped", "double", "pairs", "oh"])
    zero = r.choice(["oh", "oh", "zero"]) if style != "plain" else r.choice(["zero", "zero", "oh"])
    one = lambda d: zero if d == "0" else DIGIT[int(d)]
    if style == "pairs" and len(s) % 2 == 0:
        out = []
        for i in range(0, len(s), 2):
            p = s[i : i + 2]
            out.append(one(p[0]) + " " + one(p[1]) if p[0] == "0" else cardinal(int(p)))
        return r.choice([" ", ", "]).join(out)
    if style == "double":
        out, i = [], 0
        while i < len(s):
            n = 1
            while i + n < len(s) and s[i + n] == s[i] and n < 3:
                n += 1
            out.append(one(s[i]) if n == 1 else ("double " if n == 2 else "triple ") + one(s[i]))
            i += n
        return " ".join(out)
    words = [one(d) for d in s]
    if style == "plain" or len(s) < 6:
        return " ".join(words)
    n = r.choice([3, 4, 4])
    return ", ".join(" ".join(words[i : i + n]) for i in range(0, len(words), n))


def spell(r, w):
    w = re.sub(r"[^A-Za-z]", "", w).upper()
    k = r.random()
    if k < 0.6:
        return r.choice([" ", " ", ", "]).join(w)
    if k < 0.8:
        return ", ".join(f"{ch} as in {NATO[ord(ch) - 65]}" for ch in w[:6])
    return " ".join(NATO[ord(ch) - 65] for ch in w[:7])


def say_alnum(r, s):
    return " ".join(DIGIT[int(ch)] if ch.isdigit() else ch.upper() for ch in s if ch.isalnum())


def repeats(r, n):
    """Digits with doubles and triples more often than by chance."""
    out = ""
    while len(out) < n:
        out += r.choice(string.digits) * r.choice([1, 1, 1, 1, 2, 3])
    return out[:n]


def say_phone(r):
    d = repeats(r, r.choice([7, 10, 10, 10, 11]))
    if len(d) == 10 and r.random() < 0.5:
        a, b, c_ = d[:3], d[3:6], d[6:]
        st = r.choice(["plain", "double", "oh"])
        tail = say_digits(r, c_, r.choice([st, "pairs"]))
        return f"{say_digits(r, a, st)}, {say_digits(r, b, st)}, {tail}"
    return say_digits(r, d)


def say_card(r):
    d = r.choice("3456") + repeats(r, r.choice([15, 15, 15, 14]))
    if r.random() < 0.6:
        st = r.choice(["plain", "double", "pairs", "oh"])
        return ", ".join(say_digits(r, d[i : i + 4], st) for i in range(0, len(d), 4))
    return say_digits(r, d)


def say_year(r, y):
    if y >= 2000:
        return (
            "two thousand" + (r.choice([" ", " and "]) + cardinal(y % 100) if y % 100 else "")
            if y < 2010 or r.random() < 0.3
            else "twenty " + cardinal(y % 100)
        )
    return cardinal(y // 100) + " " + ("oh " + DIGIT[y % 10] if 0 < y % 100 < 10 else cardinal(y % 100) if y % 100 else "hundred")


def say_date(r, lo=1935, hi=2030):
    d, m, y = r.randint(1, 28), r.randint(1, 12), r.randint(lo, hi)
    M, Y = MONTH[m - 1], say_year(r, y)
    return r.choice(
        [
            f"{M} {ordinal(d)}, {Y}",
            f"the {ordinal(d)} of {M}, {Y}",
            f"{M} {ordinal(d)} {Y}",
            f"{M} the {ordinal(d)}",
            f"{cardinal(m)} slash {cardinal(d)} slash {Y}",
            f"{cardinal(d)} {cardinal(m)} {Y}",
            f"{ordinal(d)} {M} {Y}",
        ]
    )


def say_time(r):
    h, m = r.randint(1, 12), r.choice([0, 0, 5, 10, 15, 20, 25, 30, 40, 45, 50, r.randint(1, 59)])
    ap = (
        r.choice(["", "", " a.m.", " p.m.", " in the morning", " in the evening", " o'clock" if m == 0 else ""])
        .replace("a.m.", "A M")
        .replace("p.m.", "P M")
    )
    return cardinal(h) + ("" if m == 0 else " oh " + DIGIT[m] if m < 10 else " " + cardinal(m)) + ap


def say_amount(r):
    n = int(10 ** r.uniform(0, 4.3))
    u = r.choice(["dollars", "pounds", "euros", "dollars"])
    return (
        cardinal(n)
        + " "
        + u
        + (f" and {cardinal(r.randint(1, 99))} {'pence' if u == 'pounds' else 'cents'}" if r.random() < 0.35 else "")
    )


def say_email(r):
    e = email(r)
    user, dom = e.split("@")

    def part(s):
        s = re.sub(r"\d", lambda m: f" {DIGIT[int(m.group())]} ", s)
        s = s.replace(".", " dot ").replace("_", " underscore ").replace("-", r.choice([" dash ", " hyphen "]))
        return s

    u = part(user)
    if r.random() < 0.2:
        u = " ".join(
            (
                spell(r, w)
                if len(w) < 9 and w not in ("dot", "underscore", "dash", "hyphen") + tuple(DIGIT) and r.random() < 0.6
                else w
            )
            for w in u.split()
        )
    return re.sub(r" +", " ", f"{u} at {part(dom)}").strip().replace(" uk", " U K").replace(" de", " D E")


def say_address(r):
    n = r.choice([r.randint(1, 99), r.randint(100, 999), r.randint(1000, 9999)])
    num = cardinal(n) if n < 100 or r.random() < 0.3 else say_digits(r, str(n), r.choice(["plain", "pairs"]))
    s = f"{num} {r.choice(STREET)} {r.choice(STREET_KIND)}"
    if r.random() < 0.25:
        s += f", {r.choice(['apartment', 'flat', 'unit', 'suite'])} {cardinal(r.randint(1, 60))}"
    if r.random() < 0.7:
        s += f", {r.choice(CITY)}"
        if r.random() < 0.6:
            s += f", {r.choice(STATE)}" + (f", {say_digits(r, digits(r, 5), 'plain')}" if r.random() < 0.6 else "")
    return s


def say_ssn(r):
    d = repeats(r, 9)
    return ", ".join(say_digits(r, p, r.choice(["plain", "oh", "double"])) for p in (d[:3], d[3:5], d[5:]))


def say_code(r):
    s = "".join(r.choice(string.ascii_uppercase + string.digits * 2) for _ in range(r.randint(4, 9)))
    return say_alnum(r, s)


def say_expiry(r):
    m = r.choice([cardinal(r.randint(1, 12)), r.choice(MONTH), "oh " + DIGIT[r.randint(1, 9)]])
    century = r.choice(["twenty ", "two thousand and ", ""])
    return f"{m} {r.choice(['', 'slash ', 'of '])}{century}{cardinal(r.randint(24, 39))}"


def full_name(r):
    return f"{r.choice(FIRST)} {r.choice(LAST)}"


SLOTS = {
    "name": full_name,
    "first": lambda r: r.choice(FIRST),
    "last": lambda r: r.choice(LAST),
    "phone": say_phone,
    "card": say_card,
    "date": say_date,
    "dob": lambda r: say_date(r, 1930, 2010),
    "time": say_time,
    "amount": say_amount,
    "email": say_email,
    "address": say_address,
    "ssn": say_ssn,
    "code": say_code,
    "city": lambda r: r.choice(CITY),
    "state": lambda r: r.choice(STATE),
    "zip": lambda r: say_digits(r, digits(r, 5), r.choice(["plain", "oh", "double"])),
    "n": lambda r: cardinal(r.randint(1, 200)),
    "cvv": lambda r: say_digits(r, repeats(r, 3), r.choice(["plain", "oh", "double"])),
    "last4": lambda r: say_digits(r, repeats(r, 4)),
    "expiry": lambda r: say_expiry(r),
    "acct": lambda r: say_digits(r, repeats(r, r.choice([6, 8, 8, 9, 10, 12]))),
    "sort": lambda r: ", ".join(say_digits(r, digits(r, 2), "plain") for _ in range(3)),
    "day": lambda r: r.choice(DAY),
    "month": lambda r: r.choice(MONTH),
    "item": lambda r: r.choice(ITEM).lower(),
    "street": lambda r: f"{r.choice(STREET)} {r.choice(STREET_KIND)}",
    "spell_last": lambda r: (lambda l: f"{l}, {spell(r, l)}")(r.choice(LAST)),
    "spell_first": lambda r: (lambda l: f"{l}, {spell(r, l)}")(r.choice(FIRST)),
    "nato": lambda r: " ".join(r.choice(NATO) for _ in range(r.randint(3, 6))),
    "ssn4": lambda r: say_digits(r, repeats(r, 4), r.choice(["plain", "oh"])),
}


def fill(r, t):
    return re.sub(r"\{(\w+)\}", lambda m: SLOTS[m.group(1)](r), t)


def everyday(r):
    k = r.random()
    s, v, o, t = r.choice(SUBJECT), r.choice(VERB_PAST), r.choice(OBJECT), r.choice(TAIL)
    if k < 0.5:
        out = f"{s} {v} {o} {t}."
    elif k < 0.65:
        out = f"{r.choice(['did', 'why did', 'when did', 'how did', 'where did'])} {s} {r.choice(VERB)} {o}?"
    elif k < 0.8:
        ask = ["please", "you should", "can you", "we have to", "do not", "I want to", "let us", "they will", "she is going to"]
        out = f"{r.choice(ask)} {r.choice(VERB)} {o} {t}."
    else:
        also = f"{r.choice(SUBJECT)} {r.choice(VERB_PAST)} {r.choice(OBJECT)}"
        out = f"{s} {v} {o} {t}, {r.choice(['and', 'but', 'so', 'because', 'while'])} {also}."
    return out


def plain_prose(r, c, held=False, longest=16):
    pool = c.plain_held if held else c.plain
    for _ in range(20):
        s = r.choice(pool).strip(" ,;")
        if 2 <= len(s.split()) <= longest:
            break
    return s


def salad(r, c):
    n = r.randint(2, 9)
    return " ".join(r.choice(c.common) if r.random() < 0.8 else r.choice(c.words).lower() for _ in range(n))


def digit_run(r):
    """A run as of a card or a telephone, as a sentence."""
    s = say_digits(r, repeats(r, r.randint(4, 19)))
    return s[:1].upper() + s[1:] + "."


def spoken(r, c, held=False, short=False):
    """What is said, as its transcript has it: a sentence with capitals and full stop, every number in words."""
    k = r.random()
    if short:
        if k < 0.35:
            s = " ".join(r.choice(c.common) for _ in range(r.randint(1, 3)))
        elif k < 0.6:
            s = say_digits(r, repeats(r, r.randint(1, 5)), r.choice(["plain", "oh", "double"]))
        elif k < 0.7:
            s = " ".join(r.choice(string.ascii_uppercase) for _ in range(r.randint(1, 4)))
        elif k < 0.8:
            s = full_name(r)
        else:
            s = plain_prose(r, c, held, 4)
    elif k < 0.40:
        s = fill(r, r.choice(CALL_HELD if held and r.random() < 0.5 else CALL))
        if r.random() < 0.25:
            s += " " + fill(r, r.choice(CALL))
    elif k < 0.50:
        s = everyday(r)
    elif k < 0.78:
        s = plain_prose(r, c, held)
    elif k < 0.84:
        s = salad(r, c)
    elif k < 0.93:
        s = say_digits(r, repeats(r, r.randint(3, 19)))
    else:
        s = SLOTS[r.choice(sorted(SLOTS))](r)
    s = re.sub(r"[;]", ",", s)
    s = re.sub(r"\s+", " ", s).strip(" ,")
    s = s[:1].upper() + s[1:]
    return s if s[-1:] in ".?!" else s + "."


def ctc_text(s):
    """A transcript in the alphabet of the CTC head."""
    return re.sub(r" +", " ", re.sub(r"[^a-z' ]", " ", s.lower().replace("’", "'"))).strip()
