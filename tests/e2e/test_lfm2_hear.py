# SPDX-License-Identifier: Apache-2.0
"""lfm2-hear: every flag, format, channel arrangement and failure, on a checkpoint of random weights. Usage: see tool_case.py"""
import json
import math
import shutil
import struct
import unittest
import wave

from tool_case import GOLDEN, ORACLE, Case, main

AUDIO = ORACLE / "golden/audio"
JFK = AUDIO / "jfk.wav"
OTHER = AUDIO / "8s_do_you_live_here.wav"
FORMATS = ("text", "srt", "vtt", "json", "jsonl", "csv")


def samples(path):
    with wave.open(str(path)) as f:
        return list(struct.unpack(f"<{f.getnframes()}h", f.readframes(f.getnframes())))


def write_wav(path, channels, rate=16000):
    n = max(map(len, channels))
    channels = [c + [0] * (n - len(c)) for c in channels]
    with wave.open(str(path), "wb") as f:
        f.setnchannels(len(channels))
        f.setsampwidth(2)
        f.setframerate(rate)
        f.writeframes(struct.pack(f"<{n * len(channels)}h", *[v for frame in zip(*channels) for v in frame]))
    return path


class HearCase(Case):
    def setUp(self):
        super().setUp()
        self.model = self.copy_model("speech", of=AUDIO)
        for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            shutil.copy(GOLDEN / name, self.model / name)

    def hear(self, *args, code=0, **kw):
        return self.run_tool("-m", self.model, "-t", 1, "-n", 6, "--progress", "none", *args, code=code, **kw)

    def json(self, *args, **kw):
        return json.loads(self.hear("--format", "json", *args, **kw)[0])

    def no(self, code, why, *args, **kw):
        return self.refuse(code, why, "-m", self.model, "-t", 1, "-n", 6, "--progress", "none", *args, **kw)


class Recordings(HearCase):
    def test_json(self):
        got = self.json(JFK)
        for key in ("schema_version", "file", "task", "language", "duration", "text", "segments", "words", "stop", "timing_ms"):
            self.assertIn(key, got)
        self.assertEqual((got["schema_version"], got["task"], got["language"]), (1, "transcribe", "en"))
        self.assertAlmostEqual(got["duration"], 11.0, places=2)
        self.assertEqual(got["stop"], "length")
        self.assertGreaterEqual(len(got["segments"]), 3)
        last = 0
        for i, s in enumerate(got["segments"]):
            self.assertEqual(s["id"], i)
            self.assertLessEqual(last, s["start"])
            self.assertLess(s["start"], s["end"])
            last = s["end"]

    def test_every_format_is_the_same_as_alone(self):
        to = self.dir / "all"
        self.hear(JFK, "--format", ",".join(FORMATS), "-o", f"{to}/")
        endings = {"text": "txt"}
        for form in FORMATS:
            alone, _ = self.hear(JFK, "--format", form)
            got = (to / f"jfk.{endings.get(form, form)}").read_text("utf-8")
            if form in ("json", "jsonl"):  # measured times differ
                alone, got = (list(map(json.loads, t.splitlines() if form == "jsonl" else [t])) for t in (alone, got))
                for x in alone + got:
                    x.pop("timing_ms", None)
            self.assertEqual(alone, got)
        self.assertEqual(len(list(to.iterdir())), len(FORMATS))

    def test_raw_samples_from_standard_input(self):
        want = self.json(JFK)["segments"]
        raw = JFK.read_bytes()
        raw = raw[raw.index(b"data") + 8:]
        got = self.json("--pcm", "s16le", "-", input=raw)["segments"]
        self.assertEqual(got, want)
        got = self.json("-", input=JFK.read_bytes())["segments"]  # a container
        self.assertEqual(got, want)
        two = struct.pack(f"<{len(raw)}h", *[v for x in struct.unpack(f"<{len(raw) // 2}h", raw) for v in (x, x)])
        got = self.json("--pcm", "s16le", "--rate", 16000, "--pcm-channels", 2, "-", input=two)
        self.assertEqual((got["segments"], got["channels"]), (want, 1))

    def test_start_and_duration(self):
        got = self.json(JFK, "--start", 3, "--duration", 2)
        self.assertAlmostEqual(got["duration"], 2.0, places=2)
        self.assertEqual(len(got["segments"]), 1)

    def test_silence_has_no_words(self):
        for name, x in (("silence", [0] * 80000), ("tone", [int(9000 * math.sin(i * 0.2)) for i in range(80000)]), ("nothing", [])):
            path = write_wav(self.dir / f"{name}.wav", [x])
            if x:
                out, err = self.hear("--format", "json", path)
                got = json.loads(out)
                self.assertEqual((got["text"], got["segments"], got["stop"]), ("", [], "eos"))
                self.assertIn("no speech found", err)
            else:
                self.assertIn(self.hear(path, code=0)[0], ("", "\n"))

    def test_progress_names_any_file(self):
        path = shutil.copy(JFK, self.dir / 'a "b"\n\x1b[31m.wav')
        _, err = self.run_tool("-m", self.model, "-n", 2, "--progress", "jsonl", "-q", path)
        self.assertEqual(err, "")
        _, err = self.run_tool("-m", self.model, "-n", 2, "--progress", "jsonl", path)
        lines = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
        self.assertEqual({line["job"] for line in lines}, {str(path)})
        self.assertEqual(lines[-1]["percent"], 100)
        _, err = self.run_tool("-m", self.model, "-n", 2, "--progress", "plain", path)
        self.assertNotIn("\x1b", err)

    def test_vad_off_reads_everything(self):
        path = write_wav(self.dir / "silence.wav", [[0] * 80000])
        got = self.json(path, "--vad", "off", "--max-segment", 2)
        self.assertEqual([(s["start"], s["end"]) for s in got["segments"]], [(0, 2), (2, 4), (4, 5)])

    def test_vad_settings(self):
        n = len(self.json(JFK)["segments"])
        self.assertEqual(self.json(JFK, "--vad-min-level", 0)["segments"], [])
        self.assertEqual(self.json(JFK, "--vad-min-speech", 5)["segments"], [])
        self.assertEqual(len(self.json(JFK, "--vad-min-silence", 3)["segments"]), 1)
        self.assertGreater(len(self.json(JFK, "--max-segment", 1, "--vad-pad", 0)["segments"]), n)
        for s in self.json(JFK, "--max-segment", 1, "--vad-pad", 0)["segments"]:
            self.assertLessEqual(s["end"] - s["start"], 1.02)
        self.assertLessEqual(len(self.json(JFK, "--vad-threshold", 1)["segments"]), n)

    def test_slots_and_threads_change_nothing(self):
        want = self.json(JFK)["segments"]
        self.assertEqual(self.json(JFK, "--slots", 1)["segments"], want)
        self.assertEqual(self.json(JFK, "-t", 2)["segments"], want)

    def test_timestamps(self):
        for s in self.json(JFK, "--timestamps", "segment")["segments"]:
            self.assertEqual(s["times"], "segment")

    def test_prompt_system_and_sampling(self):
        want = self.hear(JFK)[0]
        self.assertNotEqual(self.hear(JFK, "-p", "Names: Ann")[0], want)
        self.assertNotEqual(self.hear(JFK, "-p", "-", input=b"Names: Ann")[0], want)
        self.assertNotEqual(self.hear(JFK, "--system", "Listen.")[0], want)
        hot = self.hear(JFK, "--temp", 2, "--seed", 3)[0]
        self.assertNotEqual(hot, want)
        self.assertEqual(self.hear(JFK, "--temp", 2, "--seed", 3)[0], hot)

    def test_glossary(self):
        words = self.dir / "words.txt"
        words.write_text("Zebra\n", "utf-8")
        self.assertNotIn("Zebra", self.hear(JFK, "--max-segment", 30)[0])
        words.write_text("An Zebra\n", "utf-8")  # it says "An" by itself
        got = self.hear(JFK, "--glossary", words, "--glossary-weight", 20)[0]
        self.assertIn("An Zebra", got)

    def test_max_tokens(self):
        done = self.run_tool("-m", self.model, "-t", 1, JFK, "-n", 2, "--format", "json", "-q")
        self.assertEqual({s["n_tokens"] for s in json.loads(done[0])["segments"]}, {2})

    def test_damage_is_said(self):
        path = self.dir / "cut.wav"
        path.write_bytes(JFK.read_bytes()[:200000])
        out, err = self.hear("--format", "json", path)
        got = json.loads(out)
        self.assertIn("ends early", got["damage"])
        self.assertIn("ends early", err)
        self.assertGreater(len(got["segments"]), 0)
        self.assertIsNone(self.json(JFK)["damage"])


class Channels(HearCase):
    def test_two_speakers(self):
        path = write_wav(self.dir / "two.wav", [samples(JFK), samples(OTHER)])
        got = self.json(path, "-v")
        self.assertEqual(got["channels"], 2)
        self.assertEqual({s["channel"] for s in got["segments"]}, {0, 1})
        starts = [s["start"] for s in got["segments"]]
        self.assertEqual(starts, sorted(starts))
        want = [s["text"] for s in self.json(JFK)["segments"]]
        self.assertEqual([s["text"] for s in got["segments"] if s["channel"] == 0], want)
        self.assertEqual(self.json(path, "--channels", "mix")["channels"], 1)
        self.assertEqual(self.json(path, "--channels", "split")["segments"], got["segments"])

    def test_dual_mono_is_read_once(self):
        x = samples(JFK)
        path = write_wav(self.dir / "same.wav", [[v // 2 for v in x], x])
        got = self.json(path)
        self.assertEqual(got["channels"], 1)
        self.assertEqual([s["text"] for s in got["segments"]], [s["text"] for s in self.json(JFK)["segments"]])
        self.assertEqual(self.json(path, "--channels", "split")["channels"], 2)
        self.assertIn("the same sound", self.hear(path, "-v")[1])

    def test_one_silent_channel(self):
        path = write_wav(self.dir / "half.wav", [[0] * 1000, samples(JFK)])
        got = self.json(path)
        self.assertEqual([s["text"] for s in got["segments"]], [s["text"] for s in self.json(JFK)["segments"]])

    def test_more_are_mixed(self):
        path = write_wav(self.dir / "three.wav", [samples(JFK)] * 3)
        self.assertEqual(self.json(path)["channels"], 1)
        self.assertEqual(self.json(path, "--channels", "split")["channels"], 3)


class Batches(HearCase):
    def test_one_failure_does_not_stop_the_others(self):
        to = self.dir / "out"
        bad = self.dir / "bad.wav"
        bad.write_bytes(b"RIFF\0\0\0\0WAVEfmt ")
        _, err = self.hear(JFK, bad, self.dir / "missing.wav", OTHER, "-o", f"{to}/", code=7)
        self.assertEqual(sorted(p.name for p in to.iterdir()), ["8s_do_you_live_here.txt", "jfk.txt"])
        self.assertIn("2 of 4 files failed", err)

    def test_folders(self):
        inbox = self.dir / "in"
        (inbox / "deep").mkdir(parents=True)
        shutil.copy(JFK, inbox / "deep/a.wav")
        shutil.copy(OTHER, inbox / "b.wav")
        (inbox / "notes.txt").write_text("no sound")
        self.hear(inbox, "-o", f"{self.dir}/out/")
        out = self.dir / "out"
        self.assertEqual(sorted(str(p.relative_to(out)) for p in out.rglob("*.txt")), ["b.txt", "deep/a.txt"])

    def test_several_on_standard_output(self):
        one, two = self.hear(JFK)[0], self.hear(OTHER)[0]
        self.assertEqual(self.hear(JFK, OTHER)[0], one + two)

    def test_an_output_that_was_there_stays_after_a_failure(self):
        kept = self.dir / "kept.srt"
        kept.write_text("old")
        bad = self.dir / "bad.wav"
        bad.write_bytes(b"nothing")
        self.hear(bad, "--format", "srt", "-o", kept, code=4)
        self.assertEqual(kept.read_text(), "old")


class Refused(HearCase):
    def test_usage(self):
        for why, *args in (
            ("no input", ),
            ("--channels", JFK, "--channels", "left"),
            ("--language", JFK, "--language", "de"),
            ("--vad", JFK, "--vad", "maybe"),
            ("--vad-threshold", JFK, "--vad-threshold", 1.5),
            ("--vad-min-silence", JFK, "--vad-min-silence", 0.05),
            ("--vad-pad", JFK, "--vad-pad", 1, "--max-segment", 2),
            ("--max-segment", JFK, "--max-segment", 61),
            ("--timestamps", JFK, "--timestamps", "letters"),
            ("--start", JFK, "--start", -1),
            ("--duration", JFK, "--duration", 0),
            ("--pcm", JFK, "--pcm", "s24"),
            ("--rate", JFK, "--rate", 8000),
            ("--pcm-channels", JFK, "--pcm-channels", 2),
            ("--slots", JFK, "--slots", 65),
            ("--glossary-weight", JFK, "--glossary-weight", 21),
            ("--replay", JFK, "--replay", JFK),
            ("--mic takes one", "--mic", "a", "b"),
            ("--vad on", "--mic", "--vad", "off"),
            ("--format", JFK, "--format", "docx"),
            ("several formats", JFK, "--format", "srt,vtt"),
            ("need a folder", JFK, OTHER, "-o", self.dir / "one.txt"),
            ("--jobs", JFK, "--jobs", 2),
            ("nearest is --glossary", JFK, "--glosary", "x"),
        ):
            with self.subTest(args=args):
                self.no(1, why, *args)

    def test_inputs(self):
        self.no(3, "missing.wav", self.dir / "missing.wav")
        text = self.dir / "text.wav"
        text.write_text("this is no sound")
        self.no(4, "text.wav", text)
        self.no(4, "limit", JFK, "--max-duration", 2)
        self.no(3, "words.txt", JFK, "--glossary", self.dir / "words.txt")
        words = self.dir / "bad.txt"
        words.write_bytes(b"\xff")
        self.no(4, "UTF-8", JFK, "--glossary", words)

    def test_models(self):
        self.refuse(2, "audio", "-m", GOLDEN, JFK, "--progress", "none")
        self.refuse(2, "nowhere", "-m", self.dir / "nowhere", JFK)
        self.refuse(10, "schema", "-m", self.model, JFK, "--json-schema", "x.json")

    def test_output(self):
        self.no(5, "no/such", JFK, "-o", "/no/such/place.txt")

    def test_deadline(self):
        self.hear(JFK, "--deadline", 0.001, code=8)


class Live(HearCase):
    def test_replay_is_a_microphone(self):
        short = write_wav(self.dir / "short.wav", [samples(JFK)[:48000]])
        got = self.json("--mic", "--replay", short)
        self.assertEqual(got["file"], "microphone")
        self.assertEqual(len(got["segments"]), 1)
        self.assertEqual(got["segments"][0]["text"], self.json(short)["segments"][0]["text"])

    def test_a_device_that_is_not_there(self):
        _, err = self.hear("--mic", "no such microphone", code=3)
        self.assertIn("lfm2-hear: ", err)


if __name__ == "__main__":
    main()
