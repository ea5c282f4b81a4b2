#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check who includes whom: layers only what is below them, tools only public headers, a third party only where it belongs.

usage: check_layers.py ROOT | --self-test
"""
import re

import source_tree

# folder: layers whose internal headers it may include (itself always), and its own public headers
LAYERS = {
    "lfm2_core/base": ((), ("status", "runtime", "media", "sha256")),
    "lfm2_core/weights": (("base",), ("weights",)),
    "lfm2_core/kernels": (("base", "weights"), ()),
    "tokenizers": (("base", "weights"), ("tokenizer",)),
    "lfm2_core/model": (("base", "weights", "kernels"), ("batch", "model", "sampler")),
    "encoders": (("base", "weights", "kernels"), ("audio_encoder", "encoders")),
    "pipeline": (("base", "weights", "kernels", "tokenizers", "model", "encoders"),
                 ("audio", "constrain", "frames", "hear", "image", "layout", "live", "prompt", "see", "vad")),
    "lfm2_core/convert": (("base", "weights", "kernels", "model", "tokenizers", "encoders"), ("convert",)),
}
PUBLIC_ONLY = ("tools", "examples", "tests/consumer")

# header: the files that may include it
THIRD_PARTY = {
    "jansson.h": ("lfm2_core/base/json.c",),
    "pcre2.h": ("tokenizers/pretok.c",),
    "openssl/evp.h": ("lfm2_core/base/sha256.c",),
    "cblas.h": ("lfm2_core/kernels/blas.c",),
    "pthread.h": ("lfm2_core/base/pool.c", "lfm2_core/base/mapfile.c"),  # mapfile: pthread_once()
    "leptonica/allheaders.h": ("pipeline/layout_lines.c",),
    "png.h": ("pipeline/src_png.c",),
    "jpeglib.h": ("pipeline/src_jpeg.c",),
    "jerror.h": ("pipeline/src_jpeg.c",),
    "libavcodec/avcodec.h": ("pipeline/src_av_audio.c", "pipeline/src_av_image.c", "pipeline/src_av_video.c"),
    "libavdevice/avdevice.h": ("pipeline/src_av_video.c",),
    "libavformat/avformat.h": ("pipeline/src_av.h", "pipeline/src_av_image.c", "pipeline/src_av_video.c"),
    "libavutil/frame.h": ("pipeline/src_av_rgb.h",),
    "libavutil/opt.h": ("pipeline/src_swr.c",),
    "libswresample/swresample.h": ("pipeline/src_swr.c",),
    "libavutil/pixdesc.h": ("pipeline/src_av_rgb.c",),
    "libavutil/time.h": ("pipeline/src_av_video.c",),
    "libswscale/swscale.h": ("pipeline/src_av_rgb.h",),
    "portaudio.h": ("pipeline/src_mic.c",),
    "threads.h": (),
    "cpuid.h": ("lfm2_core/base/cpu.c",),
    "sys/auxv.h": ("lfm2_core/base/cpu.c",),
    "sched.h": ("lfm2_core/base/cpu.c",),
    "immintrin.h": ("lfm2_core/kernels/",),
    "arm_neon.h": ("lfm2_core/kernels/",),
    "sys/socket.h": (),
    "netdb.h": (),
    "dlfcn.h": (),
}
C11 = set("assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign stdarg stdatomic "
          "stdbool stddef stdint stdio stdlib stdnoreturn string tgmath time uchar wchar wctype".split())
POSIX = set("dirent fcntl ftw getopt poll strings termios unistd sys/ioctl sys/mman sys/resource sys/stat sys/time sys/types "
            "sys/wait".split())
POSIX_FOLDERS = ("lfm2_core/base/", "lfm2_core/weights/", "lfm2_core/convert/", "tokenizers/", "tools/", "examples/", "tests/")

# Not of a layer: the umbrella, for the version number in it.
EXCEPTIONS = {("lfm2_core/base/version.c", "lfm2/lfm2.h"), ("pipeline/write_see_boxes.c", "lfm2/lfm2.h")}

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:<([^>]*)>|"([^"]*)")')


def layer_of(name):
    return next((folder for folder in LAYERS if name.startswith(folder + "/")), None)


def folder_of(layer):
    return next(f for f in LAYERS if f.split("/")[-1] == layer)


def public_headers(folder):
    """Public headers that a layer may include: its own and those of the layers below."""
    below, own = LAYERS[folder]
    names = {"api", *own}
    for layer in below:
        names |= set(LAYERS[folder_of(layer)][1])
    return names


def check_system(name, header):
    if header in THIRD_PARTY:
        allowed = THIRD_PARTY[header]
        if not name.startswith("tests/") and not any(name == a or (a.endswith("/") and name.startswith(a)) for a in allowed):
            return f"<{header}> is not for this file"
        return None
    stem = header[:-2] if header.endswith(".h") else header
    if stem in C11:
        return None
    if stem in POSIX:
        return None if name.startswith(POSIX_FOLDERS) else f"<{header}> (POSIX) is not for this folder"
    if name.startswith("tests/"):
        return None
    return f"<{header}> is no header of C11 or POSIX that is known here"


def check_public_header(name, header, quoted):
    if not quoted:
        return None if header in ("stddef.h", "stdint.h") else f"a public header includes <{header}>"
    own = name.split("/")[-1][:-2]
    if not re.fullmatch(r"lfm2/\w+\.h", header):
        return f'a public header includes "{header}"'
    folder = next((f for f in LAYERS if own in LAYERS[f][1]), None)
    if folder and header[5:-2] not in public_headers(folder):
        return f'"{header}" is of a layer above'
    return None


def check_quoted(root, name, header):
    if (name, header) in EXCEPTIONS:
        return None
    top = header.split("/")[0]
    if name.startswith(PUBLIC_ONLY):
        if top == "lfm2" or (top == name.split("/")[0] and (root / header).is_file()):
            return None
        return f'"{header}" is not public'
    folder = layer_of(name)
    if folder is None:
        return None  # tests see everything
    if top == "lfm2":
        stem = header[5:-2]
        return None if stem in public_headers(folder) else f'"{header}" is of a layer above'
    if "/" not in header or top not in [f.split("/")[-1] for f in LAYERS]:
        return f'"{header}" names no layer'
    target = folder_of(top)
    if target != folder and top not in LAYERS[folder][0]:
        return f'"{header}" is of a layer that is not below'
    if not (root / target / "/".join(header.split("/")[1:])).is_file():
        return f'"{header}" does not exist'
    return None


def check(root):
    findings = []
    build = source_tree.read(root, "CMakeLists.txt") if (root / "CMakeLists.txt").is_file() else ""
    for name in source_tree.text_files(root):
        if not name.endswith(source_tree.C_SUFFIXES):
            continue
        if layer_of(name) and name.endswith(".c") and name not in build:
            findings.append(f"{name}:1: is not in CMakeLists.txt")
        text = source_tree.without_comments_and_strings(source_tree.read(root, name))
        for number, line in enumerate(text.split("\n"), 1):
            match = INCLUDE.match(line)
            if not match:
                if re.match(r"\s*#\s*include\b", line) and not name.startswith("tests/"):
                    findings.append(f"{name}:{number}: an include that is neither <> nor \"\"")
                continue
            system, quoted = match.groups()
            if name.startswith("include/lfm2/"):
                problem = check_public_header(name, system or quoted, quoted is not None)
            elif system is not None:
                if re.match(r"lfm2/", system):
                    problem = None if name.startswith(PUBLIC_ONLY) else f"<{system}>: our own headers are quoted"
                else:
                    problem = check_system(name, system)
            else:
                problem = check_quoted(root, name, quoted)
            if problem:
                findings.append(f"{name}:{number}: {problem}")
    return findings


def tree(name, *lines, **more):
    return {"CMakeLists.txt": name + "\n", name: "\n".join(lines) + "\n", **more}


BAD = [
    (tree("lfm2_core/base/a.c", '#include "weights/bind.h"'), "not below"),
    (tree("lfm2_core/base/a.c", '#include "lfm2/weights.h"'), "layer above"),
    (tree("lfm2_core/base/a.c", '#include "lfm2/lfm2.h"'), "layer above"),
    (tree("lfm2_core/weights/a.c", '#include "kernels/kernels_impl.h"'), "not below"),
    (tree("lfm2_core/kernels/a.h", '#include "model/model_impl.h"'), "not below"),
    (tree("lfm2_core/kernels/a.inc", '#  include  "tokenizers/bpe.h"'), "not below"),
    (tree("tokenizers/a.c", '#include "kernels/kernels_impl.h"'), "not below"),
    (tree("tokenizers/a.c", '#include "lfm2/model.h"'), "layer above"),
    (tree("lfm2_core/model/a.c", '#include "tokenizers/bpe.h"'), "not below"),
    (tree("lfm2_core/model/a.c", '#include "lfm2/convert.h"'), "layer above"),
    (tree("lfm2_core/model/a.c", '#include "tools/cli.h"'), "names no layer"),
    (tree("lfm2_core/model/a.c", '#include "model_impl.h"'), "names no layer"),
    (tree("lfm2_core/model/a.c", '#include "model/absent.h"'), "does not exist"),
    (tree("lfm2_core/model/a.c", "#include <lfm2/model.h>"), "are quoted"),
    (tree("lfm2_core/model/a.c", "#include HEADER"), "neither"),
    (tree("lfm2_core/model/a.c", "#include <pthread.h>"), "not for this file"),
    (tree("lfm2_core/base/str.c", "#include <threads.h>"), "not for this file"),
    (tree("lfm2_core/base/str.c", "#include <jansson.h>"), "not for this file"),
    (tree("tokenizers/bpe.c", "#include <pcre2.h>"), "not for this file"),
    (tree("lfm2_core/kernels/scalar.c", "#include <cblas.h>"), "not for this file"),
    (tree("pipeline/image.c", "#include <png.h>"), "not for this file"),
    (tree("pipeline/src_png.c", "#include <jpeglib.h>"), "not for this file"),
    (tree("lfm2_core/model/a.c", '#include "pipeline/image_impl.h"'), "not below"),
    (tree("encoders/a.c", '#include "model/model_impl.h"'), "not below"),
    (tree("encoders/a.c", '#include "lfm2/model.h"'), "layer above"),
    (tree("lfm2_core/model/a.c", "#include <immintrin.h>"), "not for this file"),
    (tree("tools/a.c", "#include <sys/socket.h>"), "not for this file"),
    (tree("tools/a.c", "#include <curl/curl.h>"), "known here"),
    (tree("lfm2_core/kernels/a.c", "#include <unistd.h>"), "POSIX"),
    (tree("tools/a.c", '#include "base/str.h"'), "not public"),
    (tree("tools/a.c", '#include "lfm2_core/base/str.h"'), "not public"),
    (tree("examples/a.c", '#include "weights/bind.h"'), "not public"),
    (tree("tests/consumer/a.c", '#include "base/str.h"'), "not public"),
    (tree("include/lfm2/a.h", "#include <stdio.h>"), "a public header"),
    (tree("include/lfm2/a.h", '#include "base/compiler.h"'), "a public header"),
    (tree("include/lfm2/weights.h", '#include "lfm2/model.h"'), "layer above"),
    ({"CMakeLists.txt": "", "lfm2_core/base/a.c": ""}, "not in CMakeLists"),
]
GOOD = {
    "CMakeLists.txt": "lfm2_core/base/json.c lfm2_core/base/version.c lfm2_core/model/a.c lfm2_core/convert/b.c "
                      "tokenizers/pretok.c",
    "lfm2_core/base/json.h": '#include <stddef.h>\n#include "lfm2/runtime.h"\n',
    "lfm2_core/base/json.c": '#include "base/json.h"\n#include <jansson.h>\n#include <unistd.h>\n',
    "lfm2_core/base/version.c": '#include "lfm2/lfm2.h"\n',
    "lfm2_core/kernels/kernels_impl.h": '#include "base/json.h"\n#include "lfm2/weights.h"\n',
    "lfm2_core/model/a.c": '#include "kernels/kernels_impl.h"\n#include "lfm2/sampler.h"\n#include <math.h>\n'
                           '/*\n#include "tools/cli.h"\n*/\n',
    "lfm2_core/convert/b.c": '#include "lfm2/convert.h"\n#include "lfm2/tokenizer.h"\n#include "kernels/kernels_impl.h"\n',
    "tokenizers/pretok.c": '#include <pcre2.h>\n#include "base/json.h"\n#include "lfm2/tokenizer.h"\n',
    "tools/cli.h": "",
    "tools/cli.c": '#include "tools/cli.h"\n#include "lfm2/lfm2.h"\n#include <getopt.h>\n',
    "tests/unit/a.c": '#include "base/json.h"\n#include <cmocka.h>\n#include <pthread.h>\n#include "model/anything.h"\n',
    "include/lfm2/model.h": '#include "lfm2/weights.h"\n#include <stdint.h>\n',
}

if __name__ == "__main__":
    source_tree.main(check, BAD, GOOD)
