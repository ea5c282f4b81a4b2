#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the sound files in tests/oracle/sounds and the corpus of fuzz_audio out of tests/oracle/golden/audio/jfk.wav.

Needs ffmpeg (5.1 was used) with libmp3lame, libopus, libvorbis, libspeex, libgsm. What it writes is checked in; nobody needs it to
run the tests. AMR, for which that ffmpeg has no encoder, is put together by hand: frames of the right length with random bits.

usage: make_sounds.py
"""
import pathlib
import random
import subprocess

HERE = pathlib.Path(__file__).parent
SOUNDS = HERE / "sounds"
CORPUS = HERE.parent / "fuzz" / "corpus" / "audio"
SPEECH = HERE / "golden" / "audio" / "jfk.wav"

# name: options of ffmpeg behind the input. 1.5 s of speech each.
FORMATS = {
    "s16.w64": "-c:a pcm_s16le -ar 8000",
    "s16.aiff": "-c:a pcm_s16be -ar 8000",
    "mulaw.au": "-c:a pcm_mulaw -ar 8000",
    "s16.caf": "-c:a pcm_s16le -ar 8000",
    "rf64.wav": "-c:a pcm_s16le -ar 8000 -rf64 always",
    "u8.wav": "-c:a pcm_u8 -ar 8000",
    "s24.wav": "-c:a pcm_s24le -ar 8000",
    "s32.wav": "-c:a pcm_s32le -ar 8000",
    "f32.wav": "-c:a pcm_f32le -ar 8000",
    "f64.wav": "-c:a pcm_f64le -ar 8000",
    "mulaw.wav": "-c:a pcm_mulaw -ar 8000",
    "alaw.wav": "-c:a pcm_alaw -ar 8000",
    "gsm.wav": "-c:a libgsm_ms -ar 8000",
    "gsm.gsm": "-c:a libgsm -ar 8000",
    "ima.wav": "-c:a adpcm_ima_wav -ar 8000",
    "ms.wav": "-c:a adpcm_ms -ar 8000",
    "g722.wav": "-c:a g722",
    "flac.flac": "-c:a flac",
    "flac.mkv": "-c:a flac",
    "mp3.mp3": "-c:a libmp3lame -b:a 24k",
    "mp3-plain.mp3": "-c:a libmp3lame -b:a 24k -write_xing 0 -id3v2_version 0",
    "mp3-stereo.mp3": "-c:a libmp3lame -b:a 32k -ar 22050 -ac 2 -write_xing 0 -id3v2_version 0",
    "opus.ogg": "-c:a libopus -b:a 16k",
    "opus.webm": "-c:a libopus -b:a 16k",
    "vorbis.ogg": "-c:a libvorbis",
    "speex.ogg": "-c:a libspeex",
    "aac.m4a": "-c:a aac -b:a 24k -movflags +faststart",
    "aac-index-last.m4a": "-c:a aac -b:a 24k",
    "aac-fragments.mp4": "-c:a aac -b:a 24k -movflags +frag_keyframe+empty_moov -frag_duration 300000",
    "alac.m4a": "-c:a alac -movflags +faststart",
    "s16.mov": "-c:a pcm_s16le -ar 8000",
    "aac.aac": "-c:a aac -b:a 24k",
    "aac.ts": "-c:a aac -b:a 24k",
    "mp3.flv": "-c:a libmp3lame -ar 22050 -b:a 32k",
    "mp3.avi": "-c:a libmp3lame -ar 22050 -b:a 32k",
    "wma.wma": "-c:a wmav2 -b:a 24k",
    "ac3.ac3": "-c:a ac3 -ar 32000 -b:a 32k",
    "mp2.mpg": "-c:a mp2 -ar 32000 -b:a 32k",
    "wavpack.wv": "-c:a wavpack -ar 8000",
    "tta.tta": "-c:a tta -ar 8000",
}
PICTURES = ["-f", "lavfi", "-i", "testsrc=s=32x32:r=5:d=1.5"]
FILMS = {
    "film.mp4": "-c:v mpeg4 -c:a aac -b:a 24k",
    "film.mkv": "-c:v mpeg4 -c:a aac -b:a 24k",
    "film.webm": "-c:v libvpx -b:v 20k -c:a libopus -b:a 16k",
}


def ffmpeg(*arguments):
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *map(str, arguments)], check=True)


def exact(name):
    """No times, names and the like of the one who writes."""
    options = ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:a", "+bitexact"]
    return options + (["-flags:v", "+bitexact"] if "film" in name else [])


def amr(path, n_frames):
    random.seed(7)
    frames = b"".join(bytes([0x3c]) + random.randbytes(31) for _ in range(n_frames))  # 12.2 kbit/s, 20 ms each
    path.write_bytes(b"#!AMR\n" + frames)


def make(folder, seconds):
    folder.mkdir(parents=True, exist_ok=True)
    for name, options in FORMATS.items():
        ffmpeg("-t", seconds, "-i", SPEECH, *options.split(), *exact(name), folder / name)
    amr(folder / "amr.amr", round(seconds / 0.02))


def main():
    make(SOUNDS, 1.5)
    for name, options in FILMS.items():
        ffmpeg("-t", 1.5, "-i", SPEECH, *PICTURES, *options.split(), *exact(name), SOUNDS / name)
    # the sound begins 0.7 s behind the picture
    ffmpeg("-itsoffset", 0.7, "-t", 1.5, "-i", SPEECH, *PICTURES, "-c:v", "mpeg4", "-c:a", "flac", *exact("film"),
           SOUNDS / "film-late.mkv")
    # its second half of the stereo pair is the first, half as loud; two sound streams, the second is the default one
    ffmpeg("-t", 1.5, "-i", SPEECH, "-f", "lavfi", "-t", 1.5, "-i", "sine=440:r=16000", "-map", "1:a", "-map", "0:a", "-c:a",
           "flac", "-disposition:a:0", "0", "-disposition:a:1", "default", *exact("two"), SOUNDS / "two-streams.mkv")
    make(CORPUS, 0.12)


if __name__ == "__main__":
    main()
