# SPDX-License-Identifier: Apache-2.0
"""Sentences and words from Debian packages (DATA.md), cleaned, into WORK/corpus/{prose,words}.txt.

usage: corpus.py WORK"""

import gzip
import re
import sys
from pathlib import Path

WORDNET = Path("/usr/share/wordnet")
DEVIL = Path("/usr/share/dictd/devil.dict.dz")
WORDS = Path("/usr/share/dict/american-english")
SENTENCE = re.compile(r"^[A-Za-z0-9 ,.;:'\"!?()/&%$-]+$")


def wordnet():
    for part in ("noun", "verb", "adj", "adv"):
        for row in open(WORDNET / f"data.{part}", encoding="utf-8", errors="replace"):
            if " | " not in row:
                continue
            gloss = row.split(" | ", 1)[1].strip()
            yield from re.findall(r'"([^"]{8,200})"', gloss)
            head = gloss.split('"')[0].strip(" ;")
            for piece in head.split(";"):
                yield piece.strip()


def devil():
    text = gzip.open(DEVIL, "rt", encoding="latin-1").read()
    for paragraph in re.split(r"\n\s*\n", text):
        if re.search(r"^\s{4,}", paragraph, re.M) and "n." not in paragraph:
            paragraph = re.sub(r"\n\s+", "\n", paragraph)
        flat = " ".join(paragraph.split())
        yield from re.split(r"(?<=[.!?])\s+(?=[A-Z])", flat)


def main():
    out = Path(sys.argv[1]) / "corpus"
    out.mkdir(parents=True, exist_ok=True)
    seen, rows = set(), []
    for s in list(wordnet()) + list(devil()):
        s = s.replace("`", "'").replace("--", "-").strip()
        if 8 <= len(s) <= 220 and SENTENCE.match(s) and s not in seen:
            seen.add(s)
            rows.append(s)
    (out / "prose.txt").write_text("\n".join(rows) + "\n")
    words = [w for w in WORDS.read_text().split("\n") if re.match(r"^[A-Za-z][A-Za-z']*$", w) and len(w) <= 16]
    (out / "words.txt").write_text("\n".join(words) + "\n")
    print(len(rows), "sentences", len(words), "words")


if __name__ == "__main__":
    main()
