#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make the small images that the decoders are tested with, and what they must decode to (needs Pillow and numpy).

Writes tests/oracle/images/: NAME, NAME.ppm (on white, upright), NAME.drop.ppm where alpha matters, cases.txt with lines of
"NAME FORMAT MAX_DIFF", and hostile/: files that must be refused, hostile.txt with lines of "NAME STATUS".
PNG pixels are computed here from the samples and compared with Pillow's; everything else is as Pillow decodes it.
"""
import io
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

OUT = pathlib.Path(__file__).parent / "images"
BAD = OUT / "hostile"
WIDTH, HEIGHT = 13, 11
RNG = np.random.default_rng(7)
cases, hostile = [], []


def write_ppm(path, rgb):
    path.write_bytes(b"P6 %d %d 255\n" % (rgb.shape[1], rgb.shape[0]) + rgb.astype(np.uint8).tobytes())


def add(name, fmt, data, rgba, max_diff=0):
    """rgba: what it decodes to, upright."""
    (OUT / name).write_bytes(data)
    rgba = rgba.astype(np.int64)
    alpha = rgba[..., 3:]
    write_ppm(OUT / f"{name}.ppm", (rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255)
    if fmt == "gif":  # what is transparent has no colour
        rgba[..., :3] = np.where(alpha == 0, 255, rgba[..., :3])
    if (alpha != 255).any():
        write_ppm(OUT / f"{name}.drop.ppm", rgba[..., :3])
    cases.append(f"{name} {fmt} {max_diff}")


def add_by_pillow(name, fmt, data, max_diff=0):
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    add(name, fmt, data, np.array(image.convert("RGBA")), max_diff)


def saved(image, fmt, **options):
    out = io.BytesIO()
    image.save(out, fmt, **options)
    return out.getvalue()


# --- PNG, written here because no library writes all of it ---

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def scanlines(samples, depth):
    rows = b""
    for row in samples.reshape(samples.shape[0], -1):
        if depth == 16:
            packed = row.astype(">u2").tobytes()
        else:
            bits = "".join(format(int(v), f"0{depth}b") for v in row)
            bits += "0" * (-len(bits) % 8)
            packed = bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))
        rows += b"\0" + packed
    return rows


def png(samples, color, depth, interlaced=False, before=b"", after=b""):
    height, width = samples.shape[:2]
    if interlaced:
        parts = [samples[y::dy, x::dx] for x, y, dx, dy in ADAM7]
        rows = b"".join(scanlines(p, depth) for p in parts if p.size)
    else:
        rows = scanlines(samples, depth)
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, int(interlaced))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(rows, 9)) + after
            + chunk(b"IEND", b""))


def png_rgba(samples, color, depth, palette, transparent):
    """What the samples mean; of 16 bits the upper 8, fewer than 8 spread over the range."""
    to8 = (lambda v: v >> 8) if depth == 16 else (lambda v: v * 255 // (2 ** depth - 1))
    s = samples.astype(np.int64)
    out = np.full(s.shape[:2] + (4,), 255, np.int64)
    if color == 3:
        table = np.full((256, 4), 255)
        table[:len(palette), :3] = palette
        if transparent is not None:
            table[:len(transparent), 3] = transparent
        return table[s[..., 0]]
    out[..., :3] = to8(s[..., :3] if color in (2, 6) else s[..., :1])
    if color in (4, 6):
        out[..., 3] = to8(s[..., -1])
    elif transparent is not None:
        out[..., 3] = np.where((s == np.array(transparent)).all(-1), 0, 255)
    return out


def add_png(color, depth, interlaced=False, with_trns=False, exif=None, late_exif=None):
    samples = RNG.integers(0, 2 ** depth, (HEIGHT, WIDTH, CHANNELS[color]))
    before, palette, transparent = b"", None, None
    if color == 3:
        palette = RNG.integers(0, 256, (2 ** depth, 3))
        before += chunk(b"PLTE", palette.astype(np.uint8).tobytes())
    if with_trns:
        if color == 3:
            transparent = RNG.integers(0, 256, max(1, 2 ** depth // 2))
            before += chunk(b"tRNS", transparent.astype(np.uint8).tobytes())
        else:
            transparent = samples[0, 0].copy()
            samples[1, 1:4] = transparent
            if depth == 16:
                samples[2, 2] = transparent ^ 1  # differs in the lower 8 bits only: not transparent
            before += chunk(b"tRNS", transparent.astype(">u2").tobytes())
    name = f"png-{color}-{depth}" + ("-interlaced" if interlaced else "") + ("-trns" if with_trns else "")
    after = b""
    if exif:
        name += "-exif"
        before += chunk(b"eXIf", exif)
    if late_exif:
        name += "-late-exif"
        after = chunk(b"eXIf", late_exif)
    rgba = png_rgba(samples, color, depth, palette, transparent)
    data = png(samples, color, depth, interlaced, before + chunk(b"gAMA", struct.pack(">I", 45455)), after)
    if depth <= 8 and not with_trns:
        assert (np.array(Image.open(io.BytesIO(data)).convert("RGBA")) == rgba).all(), name
    if exif or late_exif:
        rgba = np.rot90(rgba, -1)  # orientation 6
    add(name + ".png", "png", data, rgba)
    return data


def make_png(exif6):
    for color, depths in {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}.items():
        for depth in depths:
            for interlaced in (False, True):
                add_png(color, depth, interlaced)
            if color in (0, 2, 3):
                add_png(color, depth, with_trns=True)
    add_png(2, 8, exif=exif6)
    add_png(0, 8, late_exif=exif6)
    frames = [Image.fromarray(RNG.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)) for _ in range(3)]
    add_by_pillow("animated.png", "png", saved(frames[0], "PNG", save_all=True, append_images=frames[1:]))


# --- the rest, by Pillow ---

def picture(width=37, height=29):
    y, x = np.mgrid[:height, :width]
    rgb = np.stack([x * 255 // width, y * 255 // height, (x * 7 + y * 5) % 256 // 2 + 60], -1).astype(np.uint8)
    return Image.fromarray(rgb)


def exif_bytes(orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    return exif.tobytes()


def make_jpeg():
    rgb = picture()
    add_by_pillow("rgb.jpg", "jpeg", saved(rgb, "JPEG", quality=85), 1)
    add_by_pillow("rgb-444.jpg", "jpeg", saved(rgb, "JPEG", quality=95, subsampling=0), 1)
    add_by_pillow("progressive.jpg", "jpeg", saved(rgb, "JPEG", quality=85, progressive=True), 1)
    add_by_pillow("restart.jpg", "jpeg", saved(rgb, "JPEG", quality=85, restart_marker_blocks=1), 1)
    add_by_pillow("grey.jpg", "jpeg", saved(rgb.convert("L"), "JPEG", quality=85), 1)
    cmyk = saved(rgb.convert("CMYK"), "JPEG", quality=90)
    add_by_pillow("cmyk.jpg", "jpeg", cmyk, 1)
    at = cmyk.index(b"Adobe")
    add_by_pillow("ycck.jpg", "jpeg", cmyk[:at + 11] + b"\2" + cmyk[at + 12:], 1)
    for o in range(1, 9):
        add_by_pillow(f"exif-{o}.jpg", "jpeg", saved(picture(24, 16), "JPEG", quality=85, exif=exif_bytes(o)), 1)


def make_others():
    noise = Image.fromarray(RNG.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8))
    noise_a = Image.fromarray(RNG.integers(0, 256, (HEIGHT, WIDTH, 4), np.uint8), "RGBA")
    rgb = picture()
    few = rgb.quantize(64)
    add_by_pillow("lossless.webp", "webp", saved(noise, "WEBP", lossless=True))
    add_by_pillow("lossless-alpha.webp", "webp", saved(noise_a, "WEBP", lossless=True, exact=True))
    add_by_pillow("lossless-exif.webp", "webp", saved(noise, "WEBP", lossless=True, exif=exif_bytes(8)))
    add_by_pillow("grey.webp", "webp", saved(rgb.convert("L").convert("RGB"), "WEBP", quality=90), 2)
    add_by_pillow("rgb.bmp", "bmp", saved(noise, "BMP"))
    add_by_pillow("palette.bmp", "bmp", saved(few, "BMP"))
    add_by_pillow("grey.bmp", "bmp", saved(noise.convert("L"), "BMP"))
    add_by_pillow("bits.bmp", "bmp", saved(noise.convert("1"), "BMP"))
    add_by_pillow("palette.gif", "gif", saved(few, "GIF"))
    add_by_pillow("interlaced.gif", "gif", saved(few, "GIF", interlace=1))
    add_by_pillow("transparent.gif", "gif", saved(few, "GIF", transparency=few.getpixel((0, 0))))
    add_by_pillow("animated.gif", "gif", saved(few, "GIF", save_all=True, append_images=[rgb.rotate(180).quantize(64)]))
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
        add_by_pillow(f"rgb-{compression}.tif", "tiff", saved(noise, "TIFF", compression=compression))
    add_by_pillow("grey.tif", "tiff", saved(noise.convert("L"), "TIFF"))
    add_by_pillow("bits.tif", "tiff", saved(noise.convert("1"), "TIFF"))
    add_by_pillow("fax.tif", "tiff", saved(noise.convert("1"), "TIFF", compression="group4"))
    add_by_pillow("palette.tif", "tiff", saved(few, "TIFF"))
    add_by_pillow("alpha.tif", "tiff", saved(noise_a, "TIFF"))
    add_by_pillow("exif-6.tif", "tiff", saved(noise, "TIFF", tiffinfo={0x112: 6}))
    add_by_pillow("pages.tif", "tiff", saved(noise, "TIFF", save_all=True, append_images=[rgb, rgb]))
    add_by_pillow("grey.avif", "avif", saved(rgb.convert("L").convert("RGB"), "AVIF", quality=100, subsampling="4:4:4"), 2)


# --- what must be refused ---

def refuse(name, data, status):
    (BAD / name).write_bytes(data)
    hostile.append(f"{name} {status}")


def png_with_size(width, height, extra=b"", depth=8, color=2):
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(b"\0" * 100))
            + chunk(b"IEND", b""))


def patched(data, at, value):
    return data[:at] + value + data[at + len(value):]


def make_hostile():
    big = 2 ** 31 - 1
    for width, height, status in ((big, big, "LIMIT"), (10 ** 7, 1, "LIMIT"), (1, 10 ** 7, "LIMIT"), (65500, 65500, "LIMIT"),
                                  (0, 5, "FORMAT"), (5, 0, "FORMAT"), (0, 0, "FORMAT"), (2 ** 32 - 1, 1, "FORMAT"),
                                  (13000, 13000, "FORMAT"), (1, 1000000, "FORMAT")):
        refuse(f"{width}x{height}.png", png_with_size(width, height), status)
    bomb = zlib.compress(b"\0" * (16 << 20), 9)
    refuse("ztxt.png", png_with_size(9000, 9000, chunk(b"zTXt", b"a\0\0" + bomb)), "FORMAT")
    refuse("iccp.png", png_with_size(9000, 9000, chunk(b"iCCP", b"a\0\0" + bomb)), "FORMAT")
    refuse("exif-huge.png", png_with_size(5, 5, struct.pack(">I", 0x7fffff00) + b"eXIfMM\0*"), "FORMAT")
    refuse("chunks.png", png_with_size(0, 1, chunk(b"tEXt", b"a\0b") * 1000), "FORMAT")
    baseline = saved(picture(16, 16).convert("L"), "JPEG")
    at = baseline.index(b"\xff\xc0") + 5
    for width, height, status in ((65500, 65500, "LIMIT"), (0, 5, "FORMAT"), (13000, 13000, "FORMAT"), (65535, 1, "LIMIT")):
        refuse(f"{width}x{height}.jpg", patched(baseline, at, struct.pack(">HH", height, width)), status)
    progressive = saved(picture(16, 16).convert("L"), "JPEG", progressive=True)
    last = progressive.rindex(b"\xff\xda")
    refuse("scans.jpg", progressive[:-2] + progressive[last:-2] * 2000 + b"\xff\xd9", "LIMIT")
    bmp = saved(picture(5, 5), "BMP")
    for width, height, status in ((0, 5, "FORMAT"), (5, 0, "FORMAT"), (70000, 70000, "LIMIT"), (2 ** 31 - 1, 2 ** 31 - 1, "LIMIT"),
                                  (10000, 10000, "FORMAT")):
        refuse(f"{width}x{height}.bmp", patched(bmp, 18, struct.pack("<II", width, height)), status)
    webp = saved(picture(5, 5), "WEBP", exif=exif_bytes(1))
    refuse("16777216x16777216.webp", patched(webp, webp.index(b"VP8X") + 12, b"\xff" * 6), "LIMIT")
    gif = saved(picture(5, 5).quantize(4), "GIF")
    refuse("65535x65535.gif", patched(gif, 6, b"\xff" * 4), "LIMIT")
    refuse("0x5.gif", patched(gif, 6, b"\0\0\5\0"), "FORMAT")
    tiff = saved(picture(5, 5), "TIFF")
    entries = struct.unpack_from("<I", tiff, 4)[0] + 2
    for tag in (256, 257):
        at = next(i for i in range(entries, len(tiff), 12) if struct.unpack_from("<H", tiff, i)[0] == tag)
        refuse(f"tag-{tag}-zero.tif", patched(tiff, at + 8, struct.pack("<I", 0)), "FORMAT")
        refuse(f"tag-{tag}-huge.tif", patched(tiff, at + 2, struct.pack("<HII", 4, 1, big)), "LIMIT")
    refuse("video.png", b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + b"\0" * 100, "UNSUPPORTED")
    refuse("script.png", b"#!/bin/sh\necho no\n", "UNSUPPORTED")
    refuse("archive.jpg", b"PK\3\4" + b"\0" * 60, "UNSUPPORTED")
    refuse("playlist.gif", b"#EXTM3U\nhttp://127.0.0.1/a.ts\n", "UNSUPPORTED")
    refuse("svg.png", b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/hostname'/></svg>", "UNSUPPORTED")
    refuse("empty.png", b"", "FORMAT")
    refuse("magic.png", b"\x89PNG\r\n\x1a\n", "FORMAT")
    refuse("magic.jpg", b"\xff\xd8\xff", "FORMAT")
    refuse("magic.webp", b"RIFF\4\0\0\0WEBP", "FORMAT")
    refuse("magic.bmp", b"BM", "FORMAT")
    refuse("magic.gif", b"GIF89a", "FORMAT")
    refuse("magic.tif", b"II*\0", "FORMAT")
    refuse("magic.avif", b"\0\0\0\x14ftypavif\0\0\0\0avif", "FORMAT")


def main():
    BAD.mkdir(parents=True, exist_ok=True)
    make_png(exif_bytes(6)[6:])
    make_jpeg()
    make_others()
    make_hostile()
    (OUT / "cases.txt").write_text("\n".join(cases) + "\n")
    (OUT / "hostile.txt").write_text("\n".join(hostile) + "\n")


if __name__ == "__main__":
    main()
