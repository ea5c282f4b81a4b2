#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compare what the shared library exports with what the public headers promise: the two sets must be equal.

usage: check_exports.py LIBRARY INCLUDE_DIR
"""
import pathlib
import re
import subprocess
import sys

# Added by the compilers' sanitizers to instrumented libraries.
INSTRUMENTATION = re.compile(r"^(__(odr_)?asan|__ubsan|__tsan|__sancov|___asan)")


def promised(include_dir):
    names = set()
    for header in sorted(pathlib.Path(include_dir, "lfm2").glob("*.h")):
        text = re.sub(r"/\*.*?\*/", " ", header.read_text(encoding="utf-8"), flags=re.S)
        for declaration in re.findall(r"\bLFM2_API\b([^;]*);", text):
            names.add(re.search(r"\b(lfm2_\w+)\s*\(", declaration).group(1))
    return names


def exported(library):
    out = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True).stdout
    names = {line.split()[-1].split("@")[0] for line in out.splitlines()}
    return {name for name in names if not INSTRUMENTATION.match(name)}


def main():
    library, include_dir = sys.argv[1:]
    in_headers, in_library = promised(include_dir), exported(library)
    for name in sorted(in_headers - in_library):
        print(f"declared but not exported: {name}")
    for name in sorted(in_library - in_headers):
        print(f"exported but not declared: {name}")
    print(f"{len(in_headers)} functions declared, {len(in_library)} symbols exported")
    return 1 if in_headers != in_library or not in_headers else 0


if __name__ == "__main__":
    sys.exit(main())
