#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Microphones through PortAudio and ALSA without hardware: ALSA's file plugin plays a recording into a device of no sound card.

usage: test_mic_devices.py PROBE

It gives sound much faster than time passes, which is what shows that nothing breaks when nobody reads in time.
"""
import json
import math
import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

CONFIG = """
pcm.null {{ type null }}
pcm.!default {{ type plug slave {{ pcm "recording" format S16_LE rate 16000 channels 1 }} }}
pcm.recording {{ type file slave.pcm "null" file "/dev/null" infile "{sound}" format "raw" }}
"""
LEVEL = 9000 / 32768


def run(probe, folder, *args):
    env = {**os.environ, "ALSA_CONFIG_PATH": str(folder / "asound.conf"), "JACK_NO_START_SERVER": "1"}
    done = subprocess.run([probe, *args], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (args, done.returncode, done.stderr[-2000:])
    return [json.loads(line) for line in done.stdout.splitlines()]


def check_reading(probe, folder):
    for device, rate, channels in (("-", 16000, 1), ("default", 16000, 2), ("defau", 16000, 1), ("-", 8000, 1)):
        result, = run(probe, folder, "read", device, str(rate), str(channels), "48000")
        assert result["status"] == "LFM2_OK", (device, result)
        assert result["samples"] >= 48000 and result["not_finite"] == 0, result
        assert result["peak"] <= 1.5 * LEVEL and 0.3 * LEVEL <= result["rms"] <= LEVEL, result
        # All that came is read, lost, or still waiting.
        assert result["position_us"] * rate / 1e6 >= result["samples"] + result["lost"] - 1, result
    result, = run(probe, folder, "read", "no such device", "16000", "1", "1")
    assert result["status"] == "LFM2_ERR_NOT_FOUND", result
    result, = run(probe, folder, "read", "9999", "16000", "1", "1")
    assert result["status"] == "LFM2_ERR_NOT_FOUND", result


def main():
    probe = sys.argv[1]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sound = folder / "sound.raw"
        sound.write_bytes(b"".join(struct.pack("<h", round(9000 * math.sin(0.17 * i))) for i in range(160000)))
        (folder / "asound.conf").write_text(CONFIG.format(sound=sound))
        *devices, end = run(probe, folder, "list")
        if end["status"] == "LFM2_ERR_UNSUPPORTED":
            print("skipped: built without PortAudio")
            return
        assert end["status"] == "LFM2_OK", end
        if "default" not in [d["name"] for d in devices]:
            print("skipped: PortAudio here does not see ALSA's plugins:", devices)
            return
        check_reading(probe, folder)
    print("ok")


if __name__ == "__main__":
    main()
