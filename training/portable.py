# SPDX-License-Identifier: Apache-2.0
"""What the generators need on a machine without these Debian packages: corpus, cut fonts, flite and espeak-ng, in one archive.

usage: portable.py WORK OUT.tar.xz       unpack it as WORK there (same processor family, not an older C library)"""

import subprocess
import sys
import tarfile
from pathlib import Path

LEAVE = ("libc.so", "libm.so", "ld-linux", "libpthread", "libdl.so")


def libraries(binary):
    out = subprocess.run(["ldd", binary], capture_output=True, text=True, check=True).stdout
    return [p for p in (row.split("=>")[1].split("(")[0].strip() for row in out.split("\n") if "=>" in row) if p]


def main():
    work, out = Path(sys.argv[1]), sys.argv[2]
    data = next(p for p in Path("/usr/lib").glob("*/espeak-ng-data"))
    with tarfile.open(out, "w:xz", preset=6) as tar:
        tar.add(work / "corpus", "corpus")
        tar.add(work / "fonts", "fonts")
        seen = set()
        for name in ("flite", "espeak-ng"):
            tar.add(f"/usr/bin/{name}", f"tts/bin/{name}")
            for lib in libraries(f"/usr/bin/{name}"):
                if lib not in seen and not any(s in lib for s in LEAVE):
                    seen.add(lib)
                    tar.add(Path(lib).resolve(), f"tts/lib/{Path(lib).name}")
        for p in sorted(data.rglob("*")):
            rel = p.relative_to(data)
            if (
                p.is_file()
                and (
                    rel.parts[0] in ("voices", "phondata", "phonindex", "phontab", "intonations", "en_dict")
                    or rel.parts[:2] == ("lang", "gmw")
                )
                and rel.parts[:2] != ("voices", "mb")
            ):
                tar.add(p, f"tts/espeak-ng-data/{rel}")
    print(out, Path(out).stat().st_size)


if __name__ == "__main__":
    main()
