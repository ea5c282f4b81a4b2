# SPDX-License-Identifier: Apache-2.0
"""What the checks of the source tree share: finding files, taking comments and strings out of C, running and testing a check."""
import pathlib
import re
import sys
import tempfile

FOLDERS = ("include", "lfm2_core", "tokenizers", "encoders", "pipeline", "tools", "examples", "tests", "scripts", "training",
           "cmake", ".ci")
C_SUFFIXES = (".c", ".h", ".inc")


def text_files(root):
    """Paths, relative to root, of all files that people write: sources, scripts, build files, documents; no test data."""
    found = [p for p in root.iterdir() if p.is_file()]
    for folder in FOLDERS:
        found += [p for p in (root / folder).rglob("*") if p.is_file()]
    keep = []
    for path in sorted(found):
        name = path.relative_to(root).as_posix()
        if re.search(r"/(?:corpus|fixtures|frames|golden|images|__pycache__)/|^training/model/", name):
            continue
        head = path.open("rb").read(4096)
        if b"\0" not in head:
            keep.append(name)
    return keep


def read(root, name):
    return (root / name).read_bytes().decode("utf-8", errors="replace")


_TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def without_comments_and_strings(text):
    """C code with the same lines, but blanks for comments and for what is inside quotes. Include lines stay."""
    def blank(match):
        token = match.group(0)
        if token[0] in "\"'":
            return token[0] * 2
        return "\n" * token.count("\n") if "\n" in token else " "

    before = text.split("\n")
    after = _TOKEN.sub(blank, text).split("\n")
    return "\n".join(b if re.match(r"\s*#\s*include\b", a) else a for b, a in zip(before, after))


def self_test(check, bad, good):
    """Each bad sample {name: text} must give the finding it is listed with, and no sample of `good` any."""
    failures = []
    for files, expected in bad:
        found = [f.split(": ", 1)[1] for f in in_sample_tree(check, files)]
        if not any(re.search(expected, f) for f in found):
            failures.append(f"not found: {expected} (found: {found})")
    failures += [f"found in a good tree: {f}" for f in in_sample_tree(check, good)]
    return failures


def in_sample_tree(check, files):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode("utf-8"))
        return check(root)


def main(check, bad, good):
    """`PROGRAM ROOT` checks a tree, `PROGRAM --self-test` the check. Findings are lines "file:line: what"."""
    if sys.argv[1:] == ["--self-test"]:
        findings = self_test(check, bad, good)
    elif len(sys.argv) == 2:
        findings = check(pathlib.Path(sys.argv[1]))
    else:
        sys.exit(f"usage: {sys.argv[0]} ROOT | --self-test")
    for finding in findings:
        print(finding)
    print(f"{len(findings)} findings")
    sys.exit(1 if findings else 0)
