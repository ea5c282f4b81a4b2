#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make more images for the decoders, beside those of make_images.py (needs Pillow and numpy).

Writes tests/oracle/images/more/: NAME, NAME.ppm, cases.txt as make_images.py does; large-* are files of some ten KB that the test
cuts at each 1 % of their length; hostile/ and hostile.txt likewise.
"""
import io
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

import make_images as base

OUT = base.OUT / "more"


def turned_avif():
    for o in range(1, 9):
        data = base.saved(base.picture(24, 16).convert("L").convert("RGB"), "AVIF", quality=95, subsampling="4:4:4",
                          exif=base.exif_bytes(o))
        shown = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
        base.add(f"turned-{o}.avif", "avif", data, np.array(shown.convert("RGBA")), 2)


def transparent_avif():
    half = base.picture(24, 16).convert("RGBA")
    half.putalpha(128)
    (OUT / "alpha.avif").write_bytes(base.saved(half, "AVIF"))


def bad_profiles():
    rgb = base.picture(24, 16)
    png = base.saved(rgb, "PNG")
    at = 33
    base.add_by_pillow("bad-icc.png", "png", png[:at] + base.chunk(b"iCCP", b"a\0\0" + b"\x78\x9c garbage") + png[at:])
    base.add_by_pillow("bad-icc.jpg", "jpeg", base.saved(rgb, "JPEG", quality=85, icc_profile=b"no profile at all " * 9), 1)


def bombs():
    """What a small image carries along: read past, not unpacked."""
    zeros = zlib.compress(b"\0" * (16 << 20), 9)
    black = np.zeros((5, 5, 4), np.uint8)
    black[..., 3] = 255
    header = b"\x89PNG\r\n\x1a\n" + base.chunk(b"IHDR", struct.pack(">IIBBBBB", 5, 5, 8, 2, 0, 0, 0))
    rows, end = base.chunk(b"IDAT", zlib.compress(b"\0" * 80)), base.chunk(b"IEND", b"")
    base.add("idat-bomb.png", "png", header + base.chunk(b"IDAT", zeros) + end, black)
    for kind, head in ((b"iTXt", b"a\0\1\0\0\0"), (b"iCCP", b"a\0\0"), (b"zTXt", b"a\0\0")):
        base.add(f"{kind.decode().lower()}-bomb.png", "png", header + base.chunk(kind, head + zeros) + rows + end, black)


def large():
    rng = np.random.default_rng(11)
    y, x = np.mgrid[:90, :120]
    noisy = np.stack([x * 2, y * 2, x + y], -1) + rng.integers(0, 40, (90, 120, 3))
    rgb = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
    for name, fmt, data in (
            ("large.png", "png", base.saved(rgb, "PNG")),
            ("large.jpg", "jpeg", base.saved(rgb, "JPEG", quality=92)),
            ("large-progressive.jpg", "jpeg", base.saved(rgb, "JPEG", quality=92, progressive=True)),
            ("large.gif", "gif", base.saved(rgb.quantize(64), "GIF")),
            ("large.bmp", "bmp", base.saved(rgb.quantize(64), "BMP")),
            ("large.tif", "tiff", base.saved(rgb, "TIFF", compression="tiff_lzw"))):
        base.add_by_pillow(name, fmt, data, 1 if fmt == "jpeg" else 0)
    base.add_by_pillow("large.webp", "webp", base.saved(rgb, "WEBP", lossless=True))
    base.add_by_pillow("large.avif", "avif", base.saved(rgb.convert("L").convert("RGB"), "AVIF", quality=90, subsampling="4:4:4"),
                       2)


def hostile():
    bmp = bytearray(base.saved(base.picture(5, 5).quantize(4), "BMP"))
    struct.pack_into("<II", bmp, 18, 13000, 13000)
    struct.pack_into("<I", bmp, 30, 1)
    base.refuse("rle-13000.bmp", bytes(bmp), "FORMAT")
    struct.pack_into("<II", bmp, 18, 70000, 70000)
    base.refuse("rle-70000.bmp", bytes(bmp), "LIMIT")
    gif = bytearray(base.saved(base.picture(5, 5).quantize(4), "GIF"))
    struct.pack_into("<HH", gif, 6, 13000, 13000)
    base.refuse("nothing-13000.gif", bytes(gif[:30]), "FORMAT")
    tiff = base.saved(base.picture(5, 5), "TIFF", compression="tiff_lzw")
    entries = struct.unpack_from("<I", tiff, 4)[0] + 2
    for tag in (256, 257):
        at = next(i for i in range(entries, len(tiff), 12) if struct.unpack_from("<H", tiff, i)[0] == tag)
        tiff = base.patched(tiff, at + 2, struct.pack("<HII", 4, 1, 13000))
    base.refuse("lzw-13000.tif", tiff, "FORMAT")
    avif = base.saved(base.picture(16, 16), "AVIF")
    at = avif.index(b"ispe") + 8
    for side in (0, 70000, 2 ** 31):
        base.refuse(f"ispe-{side}.avif", base.patched(avif, at, struct.pack(">II", side, side)), "LIMIT" if side else "FORMAT")
    at = avif.index(b"av01", avif.index(b"infe"))
    base.refuse("grid.avif", base.patched(avif, at, b"grid"), "UNSUPPORTED")
    base.refuse("heic.jpg", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 40, "UNSUPPORTED")
    animated = bytearray(base.saved(base.picture(8, 8), "WEBP", save_all=True, append_images=[base.picture(8, 8).rotate(90)],
                                    lossless=True))
    at = animated.index(b"VP8X") + 12
    base.refuse("canvas-huge.webp", base.patched(bytes(animated), at, b"\xff" * 6), "LIMIT")
    base.refuse("canvas-small.webp", base.patched(bytes(animated), at, b"\0" * 6), "FORMAT")
    anmf = animated.index(b"ANMF")
    base.refuse("no-picture.webp", bytes(animated[:anmf]), "FORMAT")
    base.refuse("outside.webp", base.patched(bytes(animated), anmf + 8, b"\xff" * 6), "FORMAT")


def main():
    base.OUT, base.BAD = OUT, OUT / "hostile"
    base.BAD.mkdir(parents=True, exist_ok=True)
    turned_avif()
    transparent_avif()
    bad_profiles()
    bombs()
    large()
    hostile()
    (OUT / "cases.txt").write_text("\n".join(base.cases) + "\n")
    (OUT / "hostile.txt").write_text("\n".join(base.hostile) + "\n")


if __name__ == "__main__":
    main()
