#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""No sound file makes the library open another file or a socket, whatever it asks for: each is read under strace.

usage: test_no_other_file.py READ_SOUND TESTS
"""
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile

CALLS = "trace=open,openat,openat2,creat,stat,newfstatat,access,socket,connect,execve,fork,vfork"


def atom(name, *content):
    data = b"".join(content)
    return struct.pack(">I4s", 8 + len(data), name) + data


def movie(dref):
    """A QuickTime movie of 16 kHz mono whose samples are said to lie elsewhere."""
    full = bytes(4)
    stsd = full + struct.pack(">I", 1) + atom(b"sowt", bytes(6), struct.pack(">H", 1), bytes(8),
                                              struct.pack(">HHHHI", 1, 16, 0, 0, 16000 << 16))
    stbl = atom(b"stbl", atom(b"stsd", stsd), atom(b"stts", full, struct.pack(">III", 1, 4000, 1)),
                atom(b"stsc", full, struct.pack(">IIII", 1, 1, 4000, 1)), atom(b"stsz", full, struct.pack(">II", 2, 4000)),
                atom(b"stco", full, struct.pack(">II", 1, 44)))
    minf = atom(b"minf", atom(b"smhd", full, bytes(4)), atom(b"dinf", atom(b"dref", full, struct.pack(">I", 1), dref)), stbl)
    mdia = atom(b"mdia", atom(b"mdhd", full, struct.pack(">IIIIHH", 0, 0, 16000, 4000, 0, 0)),
                atom(b"hdlr", full, b"mhlrsoun", bytes(13)), minf)
    tkhd = atom(b"tkhd", b"\0\0\0\7", struct.pack(">IIIII", 0, 0, 1, 0, 4000), bytes(60))
    mvhd = atom(b"mvhd", full, struct.pack(">IIII", 0, 0, 16000, 4000), bytes(80))
    return atom(b"ftyp", b"qt  ", bytes(4), b"qt  ") + atom(b"moov", mvhd, atom(b"trak", tkhd, mdia))


def alias(path):
    """A Macintosh alias with a POSIX path and a path with a volume."""
    record = bytes(10) + bytes([6]) + b"volume".ljust(27, b"\0") + bytes(12) + bytes([10]) + b"secret.wav".ljust(63, b"\0")
    record += bytes(16) + struct.pack(">HH", 1, 1) + bytes(16)
    for kind, text in ((2, "volume:" + path.replace("/", ":")), (18, path)):
        data = text.encode()
        record += struct.pack(">HH", kind, len(data)) + data + b"\0" * (len(data) % 2)
    return atom(b"alis", bytes(4), record, struct.pack(">HH", 0xffff, 0))


def element(ident, data):
    return bytes.fromhex(ident) + struct.pack(">Q", 1 << 56 | len(data)) + data


def matroska(folder):
    """A segment that goes on in others."""
    info = element("2ad7b1", (1000000).to_bytes(4, "big")) + element("73a4", b"A" * 16) + element("3eb923", b"B" * 16)
    info += element("3e83bb", f"{folder}/secret.mkv".encode()) + element("3cb923", b"C" * 16)
    info += element("3c83ab", f"{folder}/secret.mkv".encode())
    audio = element("b5", struct.pack(">d", 16000)) + element("9f", b"\1") + element("6264", b"\x10")
    track = element("d7", b"\1") + element("73c5", b"\1") + element("83", b"\2") + element("86", b"A_PCM/INT/LIT")
    block = element("e7", b"\0") + element("a3", b"\x81\0\0\x80" + bytes(640))
    segment = element("1549a966", info) + element("1654ae6b", element("ae", track + element("e1", audio)))
    segment += element("1f43b675", block)
    return element("1a45dfa3", element("4282", b"matroska")) + element("18538067", segment)


def id3(folder, mp3):
    """Tags with addresses: a picture elsewhere, a link to another file's tags."""
    frames = b""
    url = f"file://{folder}/secret.wav".encode()
    for name, content in ((b"APIC", b"\0-->\0\3\0http://127.0.0.1:1/a.jpg"), (b"LINK", b"TIT" + url + b"\0"),
                          (b"WXXX", b"\0\0http://127.0.0.1:1/"), (b"WOAF", url)):
        frames += name + struct.pack(">I", len(content)) + bytes(2) + content
    n = len(frames)
    return b"ID3\3\0\0" + bytes((n >> 21 & 127, n >> 14 & 127, n >> 7 & 127, n & 127)) + frames + mp3


def cases(folder, tests):
    secret = f"{folder}/secret.wav"
    mp3 = (tests / "oracle/sounds/mp3-plain.mp3").read_bytes()
    urls = (f"file://{secret}", secret, "secret.wav", "http://127.0.0.1:9/a.wav", f"concat:{secret}",
            f"subfile,,start,0,end,99,,:{secret}", "data:audio/wav;base64,UklGRiQAAABXQVZF", f"crypto:{secret}",
            f"async:file:{secret}", "tcp://127.0.0.1:9", "pipe:0")
    for number, url in enumerate(urls):
        yield f"list{number}.m3u8", f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{url}\n#EXT-X-ENDLIST\n".encode()
        yield f"key{number}.m3u8", (f'#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-KEY:METHOD=AES-128,URI="{url}"\n#EXTINF:4,\n{url}\n'
                                    "#EXT-X-ENDLIST\n").encode()
        yield f"list{number}.ffconcat", f"ffconcat version 1.0\nfile '{url}'\n".encode()
        yield f"movie{number}.mov", movie(atom(b"url ", bytes(4), url.encode() + b"\0"))
        yield f"reference{number}.mov", atom(b"moov", atom(b"rmra", atom(b"rmda", atom(
            b"rdrf", bytes(4), b"url ", struct.pack(">I", len(url) + 1), url.encode() + b"\0"))))
    yield "alias.mov", movie(alias(secret))
    yield "linked.mkv", matroska(folder)
    yield "tags.mp3", id3(folder, mp3)
    yield "dash.mpd", ('<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet>'
                       f'<Representation id="1"><BaseURL>file://{secret}</BaseURL></Representation></AdaptationSet></Period>'
                       '</MPD>\n').encode()
    yield "session.sdp", b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n"
    yield "list.pls", f"[playlist]\nFile1={secret}\nNumberOfEntries=1\nVersion=2\n".encode()
    yield "list.asx", f'<asx version="3.0"><entry><ref href="file://{secret}"/></entry></asx>\n'.encode()
    yield "list.wpl", f'<?wpl version="1.0"?><smil><body><seq><media src="{secret}"/></seq></body></smil>\n'.encode()
    yield "sheet.cue", f'FILE "{secret}" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n'.encode()
    yield "image%03d.wav", (tests / "oracle/sounds/mulaw.wav").read_bytes()


def run(read_sound, folder, name):
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0", "LC_ALL": "C"}  # the leak check cannot be traced
    trace = f"{folder}/trace"
    result = subprocess.run(["strace", "-f", "-o", trace, "-s", "4096", "-e", f"{CALLS},write", read_sound, name], cwd=folder,
                            env=environment, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    lines = pathlib.Path(trace).read_text(errors="replace").split("\n")
    os.unlink(trace)
    begin = next((i for i, line in enumerate(lines) if 'write(2, "begin\\n"' in line), None)
    end = next((i for i, line in enumerate(lines) if 'write(2, "end\\n"' in line), None)
    return result, lines[begin + 1:end] if begin is not None and end is not None else None


def check(read_sound, folder, name):
    result, lines = run(read_sound, folder, name)
    if result.returncode != 0 or lines is None:
        return f"{name}: exit code {result.returncode}: {result.stderr[-500:]}"
    opened = []
    for line in lines:
        call = re.search(r"\b(\w+)\((.*)", line)
        if not call or call.group(1) in ("write", "exit"):
            continue
        path = re.search(r'"((?:[^"\\]|\\.)*)"', call.group(2))
        path = path.group(1) if path else ""
        if call.group(1) == "openat" and path == name:
            opened.append(path)
        elif call.group(1) == "newfstatat" and path == "":  # of an open file
            continue
        else:
            return f"{name}: {line.strip()}"
    return None if opened == [name] else f"{name}: was opened {len(opened)} times"


def main():
    read_sound, tests = pathlib.Path(sys.argv[1]).absolute(), pathlib.Path(sys.argv[2])
    if not shutil.which("strace"):
        print("skipped: no strace here")
        return 0
    if subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True).returncode != 0:
        print("skipped: processes may not be traced here")
        return 0
    failures, n = [], 0
    with tempfile.TemporaryDirectory() as folder:
        speech = (tests / "oracle/sounds/mulaw.wav").read_bytes()
        for secret in ("secret.wav", "secret.mkv", "image001.wav"):
            pathlib.Path(folder, secret).write_bytes(speech)
        for name, content in cases(folder, tests):
            pathlib.Path(folder, name).write_bytes(content)
            problem = check(str(read_sound), folder, name)
            if problem:
                failures.append(problem)
            n += 1
        for name in ("http://127.0.0.1:9/a.wav", "concat:secret.wav", "file:secret.wav", "subfile,,start,0,end,9,,:secret.wav",
                     "data:audio/wav;base64,UklGRg==", "tcp://127.0.0.1:9", "pipe:0", "lavfi:sine"):
            problem = check(str(read_sound), folder, name)  # names of files that are not there
            if problem:
                failures.append(problem)
            n += 1
        for name in ("mp3.mp3", "film.mp4", "opus.webm", "aac-fragments.mp4", "wma.wma", "opus.ogg"):
            shutil.copy(tests / "oracle/sounds" / name, folder)
            result, _ = run(str(read_sound), folder, name)
            if not result.stdout.startswith("LFM2_EOF "):
                failures.append(f"{name}: {result.stdout}")
            problem = check(str(read_sound), folder, name)
            if problem:
                failures.append(problem)
            n += 1
    print("\n".join(failures))
    print(f"{n} files, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
