#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check that the documents still speak of this tree: links and named paths exist, and C code shown is code that is compiled.

usage: check_docs.py SOURCE_DIR
"""
import pathlib
import re
import sys

DOCUMENTS = ["README.md", "HACKING.md", "CHANGELOG.md", "lfm2_core/MODEL.md", "encoders/MODEL.md"]
# A path in backticks: has a slash and begins with a folder of the tree. Placeholders (NAME, *) are skipped.
PATH = re.compile(r"`((?:include|lfm2_core|encoders|pipeline|tokenizers|tools|examples|tests|scripts|cmake|samples)/[\w./-]*)`")


def complaints(root, name):
    document = root / name
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if "://" not in target and not (document.parent / target).exists():
            yield f"{name}: link to {target}: no such file"
    for path in PATH.findall(text):
        if not re.search(r"[A-Z]{4}(?!.*\.md$)", path) and not (root / path).exists():
            yield f"{name}: `{path}`: no such file"
    examples = [path.read_text(encoding="utf-8") for path in (root / "examples").glob("*.c")]
    for block in re.findall(r"^```c\n(.*?)^```$", text, flags=re.S | re.M):
        if not any(block in example for example in examples):
            yield f"{name}: a C block is not part of any file of examples/: {block.splitlines()[0].strip()}"


def main():
    root = pathlib.Path(sys.argv[1])
    found = [line for name in DOCUMENTS for line in complaints(root, name)]
    print("\n".join(found) or f"{len(DOCUMENTS)} documents are as they should be")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
