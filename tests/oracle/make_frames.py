#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make the small videos, animations and TIFF files that frames are tested with (needs Pillow, numpy and the program ffmpeg).

Writes tests/oracle/frames/. Video: picture k of N is of one grey, 20 + 20 * k, with a brighter left half; 5 pictures a second.
Animations have expected pixels beside them, as NAME.K.ppm, on white, made by Pillow. The bytes of encoders depend on their
version (ffmpeg 5.1).
"""
import io
import pathlib
import struct
import subprocess

import numpy as np
from PIL import Image

OUT = pathlib.Path(__file__).parent / "frames"
WIDTH, HEIGHT, N = 48, 32, 10


def pictures():
    for k in range(N):
        p = np.full((HEIGHT, WIDTH, 3), 20 + 20 * k, np.uint8)
        p[:, :WIDTH // 2] += 30
        p[:HEIGHT // 4] = 255 - p[:HEIGHT // 4] // 4
        yield p


def ffmpeg(name, *args, raw=None):
    raw = raw if raw is not None else b"".join(p.tobytes() for p in pictures())
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-r", "5",
                    "-i", "-", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-map_metadata", "-1", *args, str(OUT / name)],
                   input=raw, check=True)


def rotate(name, source, matrix):
    """The same file with another display matrix in its track header."""
    data = bytearray((OUT / source).read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    data[at:at + 36] = struct.pack(">9i", *matrix)
    (OUT / name).write_bytes(data)


def videos():
    h264 = ["-c:v", "libx264", "-preset", "slow", "-crf", "18", "-pix_fmt", "yuv420p", "-threads", "1"]
    ffmpeg("h264.mp4", *h264, "-g", "5")
    ffmpeg("fast.mp4", *h264, "-movflags", "+faststart")
    ffmpeg("h264.mkv", *h264, "-g", "5")
    ffmpeg("h264.ts", *h264, "-g", "5")
    ffmpeg("vp9.webm", "-c:v", "libvpx-vp9", "-crf", "20", "-b:v", "0", "-threads", "1")
    ffmpeg("vp8.webm", "-c:v", "libvpx", "-crf", "10", "-b:v", "300k", "-threads", "1")
    ffmpeg("mjpeg.avi", "-c:v", "mjpeg", "-q:v", "3")
    ffmpeg("mpeg4.avi", "-c:v", "mpeg4", "-q:v", "3", "-g", "5")
    ffmpeg("theora.ogv", "-c:v", "libtheora", "-q:v", "8")
    ffmpeg("av1.mkv", "-c:v", "libaom-av1", "-crf", "20", "-cpu-used", "8", "-threads", "1")
    ffmpeg("raw.y4m", "-pix_fmt", "yuv420p", "-frames:v", "2")
    one = 65536
    unit = 1 << 30
    rotate("rotate-90.mp4", "h264.mp4", (0, one, 0, -one, 0, 0, HEIGHT * one, 0, unit))
    rotate("rotate-180.mp4", "h264.mp4", (-one, 0, 0, 0, -one, 0, WIDTH * one, HEIGHT * one, unit))
    rotate("rotate-270.mp4", "h264.mp4", (0, -one, 0, one, 0, 0, 0, WIDTH * one, unit))
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "sine=d=0.2", "-fflags", "+bitexact", "-c:a", "aac",
                    str(OUT / "sound-only.mp4")], check=True)


def write_expected(name, images):
    for k, image in enumerate(images):
        rgba = np.array(image.convert("RGBA")).astype(np.int64)
        alpha = rgba[..., 3:]
        rgb = (rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255
        (OUT / f"{name}.{k}.ppm").write_bytes(b"P6 %d %d 255\n" % (rgb.shape[1], rgb.shape[0]) + rgb.astype(np.uint8).tobytes())


def animations():
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:17, :23]
    images = []
    for k in range(3):
        rgba = np.stack([x * 10 + k * 5, y * 14, (x + y) * 5 + k * 20, np.where((x - 11) ** 2 + (y - 8 + k) ** 2 < 40, 255, 0)], -1)
        images.append(Image.fromarray(rgba.astype(np.uint8), "RGBA"))
    few = [i.convert("RGB").quantize(16) for i in images]
    for name, save in (("moving.gif", lambda out: few[0].save(out, "GIF", save_all=True, append_images=few[1:], duration=200)),
                       ("moving.webp", lambda out: images[0].save(out, "WEBP", save_all=True, append_images=images[1:],
                                                                  duration=200,
                                                                   lossless=True, exact=True)),
                       ("moving-alpha.png", lambda out: images[0].save(out, "PNG", save_all=True, append_images=images[1:],
                                                                       duration=200, blend=0, disposal=0))):
        out = io.BytesIO()
        save(out)
        (OUT / name).write_bytes(out.getvalue())
        again = Image.open(io.BytesIO(out.getvalue()))
        shown = []
        for k in range(again.n_frames):
            again.seek(k)
            shown.append(again.convert("RGBA"))
        write_expected(name, shown)
    noise = [Image.fromarray(rng.integers(0, 256, (9, 7 + k, 3), np.uint8)) for k in range(3)]
    for endian, name in (("<", "pages.tif"),):
        noise[0].save(OUT / name, save_all=True, append_images=noise[1:], compression="tiff_lzw")
    write_expected("pages.tif", noise)


def main():
    OUT.mkdir(exist_ok=True)
    videos()
    animations()


if __name__ == "__main__":
    main()
