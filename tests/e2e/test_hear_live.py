#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""lfm2-hear live, with a recording replayed in real time: what was confirmed is never taken back, each segment has its latency, a
signal ends the sound but not the text.

usage: test_hear_live.py TOOL TESTS
"""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONFIG = """
pcm.null {{ type null }}
pcm.!default {{ type plug slave {{ pcm "recording" format S16_LE rate 16000 channels 1 }} }}
pcm.recording {{ type file slave.pcm "null" file "/dev/null" infile "{sound}" format "raw" }}
"""


def checkpoint(folder, golden):
    for source in ("audio/config.json", "audio/model.safetensors", "text/tokenizer.json", "text/tokenizer_config.json",
                   "text/chat_template.jinja"):
        (folder / Path(source).name).symlink_to(golden / source)


def events_of(text):
    return [json.loads(line) for line in text.splitlines()]


def check_events(events):
    confirmed, n_partial, n_confirmed = "", 0, 0
    segments = [e for e in events if e["type"] == "segment"]
    for e in events:
        if e["type"] == "partial":
            n_partial += 1
            n_confirmed += e["confirmed"] != ""
            assert e["confirmed"].startswith(confirmed), (confirmed, e)
            confirmed = e["confirmed"]
        elif e["type"] == "segment":
            assert e["text"].startswith(confirmed.strip()), (confirmed, e["text"])
            confirmed = ""
    latencies = [e for e in events if e["type"] == "latency"]
    assert [e["id"] for e in latencies] == [s["id"] for s in segments], events
    live, transcript = events[-2:]
    assert (live["type"], transcript["type"]) == ("live", "transcript"), events[-2:]
    assert live["n_segments"] == len(segments)
    assert live["latency_ms"]["max"] == max(e["latency_ms"] for e in latencies)
    return segments, n_partial, n_confirmed, live


def main():
    tool, tests = sys.argv[1], Path(sys.argv[2]).resolve()
    golden = tests / "oracle/golden"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        checkpoint(folder, golden)
        base = [tool, "-m", str(folder), "-t", "1", "--mic"]
        replay = [*base, "--replay", str(golden / "audio/jfk.wav"), "--format", "jsonl"]

        done = subprocess.run(replay, capture_output=True, text=True, timeout=250)
        assert done.returncode == 0, done.stderr
        segments, n_partial, n_confirmed, live = check_events(events_of(done.stdout))
        assert len(segments) >= 2 and n_partial >= 3 and n_confirmed >= 1, done.stdout
        assert live["duration"] == 11 and live["n_lost"] == 0, live

        done = subprocess.run([*replay, "--duration", "2"], capture_output=True, text=True, timeout=250)
        assert done.returncode == 0 and check_events(events_of(done.stdout))[3]["duration"] == 2, (done.stdout, done.stderr)

        process = subprocess.Popen(replay, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        rest, error = process.communicate(timeout=60)
        assert process.returncode == 130 and time.monotonic() - begun < 30, (process.returncode, error)
        assert error == "" and json.loads(first)["type"] in ("partial", "segment"), (error, first)

        sound = folder / "sound.raw"
        sound.write_bytes(bytes(320000))
        (folder / "asound.conf").write_text(CONFIG.format(sound=sound))
        env = {**os.environ, "ALSA_CONFIG_PATH": str(folder / "asound.conf"), "JACK_NO_START_SERVER": "1"}
        done = subprocess.run([tool, "--list-devices"], env=env, capture_output=True, text=True, timeout=60)
        assert done.stderr == "" or done.returncode != 0, done.stderr  # the system's libraries are kept quiet
        if done.returncode == 0 and "default" in done.stdout:
            done = subprocess.run([*base, "--duration", "1"], env=env, capture_output=True, text=True, timeout=120)
            assert done.returncode == 0 and done.stdout == "", (done.returncode, done.stdout, done.stderr)
            done = subprocess.run([*base, "no such microphone"], env=env, capture_output=True, text=True, timeout=120)
            assert done.returncode == 3 and done.stderr.count("\n") == 1, (done.returncode, done.stderr)
    print("ok")


if __name__ == "__main__":
    main()
