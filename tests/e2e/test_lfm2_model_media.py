# SPDX-License-Identifier: Apache-2.0
"""lfm2-model with pictures and recordings, against what the reference implementation made of them. Usage: see tool_case.py"""
import json
import math
import shutil
import unittest

from tool_case import GOLDEN, ORACLE, SANITIZED, Case, main, nmse, read_safetensors

VL = ORACLE / "golden/vl"
AUDIO = ORACLE / "golden/audio"
SLOW = {"large.png", "wide.jpg", "vga.jpg", "tall.png"}  # with sanitizers
PROMPT = "What is in this image?"


def cases(folder):
    found = json.loads((folder / "cases.json").read_text("utf-8"))
    return [c for c in found if not (SANITIZED and c["file"] in SLOW)]


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


class MediaCase(Case):
    def checkpoint(self, folder):
        """The folder as it is published: with the tokenizer, which all reference checkpoints share."""
        to = self.dir / folder.name
        if to.exists():
            return to
        self.copy_model(folder.name, of=folder)
        for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            shutil.copy(GOLDEN / name, to / name)
        return to

    def as_gguf(self, folder):
        """The language model as GGUF, beside the reference's own encoder file."""
        to = self.dir / f"{folder.name}-gguf"
        to.mkdir()
        self.run_tool("convert", self.checkpoint(folder), to / "model.gguf", "--type", "BF16", "-q")
        for written in to.glob("mmproj*"):
            written.unlink()
        shutil.copy(folder / "mmproj-bf16.gguf", to)
        return to / "model.gguf"

    def media(self, model, *args, n=16):
        out = self.dir / "out.safetensors"
        printed = self.run_json("logits", "-m", model, *args, "-n", n, "-o", out)
        self.assertEqual(list(printed), ["ids", "n_media_tokens", "greedy"])
        return printed, read_safetensors(out)

    def check(self, printed, tensors, case, expected):
        self.assertEqual(printed["n_media_tokens"], len(expected[case["embed"]][1]) // 128)
        shape, got = tensors["embed"]
        self.assertEqual(shape, expected[case["embed"]][0])
        want = expected[case["embed"]][1]
        for t in range(0, len(want), 128):
            self.assertGreaterEqual(cosine(got[t:t + 128], want[t:t + 128]), 0.9999, f"{case['file']}: token {t // 128}")
        self.assertLessEqual(nmse(tensors["logits"][1], expected[case["logits"]][1]), 1e-3)
        self.assertEqual(printed["greedy"], case["greedy"])


class Pictures(MediaCase):
    def test_golden(self):
        expected = read_safetensors(VL / "expected.safetensors")
        for model in (self.checkpoint(VL), self.as_gguf(VL)):
            for case in cases(VL):
                printed, tensors = self.media(model, "--image", VL / case["file"], "-p", PROMPT)
                self.assertEqual(printed["ids"], case["ids"])
                self.check(printed, tensors, case, expected)
                n_patches = sum(rows * cols for rows, cols in case["spatial_shapes"])
                shape, got = tensors["patches"]
                self.assertEqual(shape, [n_patches, 768])
                want = expected[case["patches"]][1]  # of the first patches
                off = [abs(a - b) for a, b in zip(got, want)]
                limit = 1e-6 if case["file"] == "exact.png" else 2 / 255
                self.assertLessEqual(sum(x > limit for x in off), 0 if case["file"] == "exact.png" else len(want) * 0.05)

    def test_encoder_named_and_found(self):
        model = self.as_gguf(VL)
        args = ["--image", VL / "small.png", "-p", PROMPT]
        found = self.media(model, *args)
        moved = self.dir / "elsewhere.gguf"
        shutil.move(model.parent / "mmproj-bf16.gguf", moved)
        self.assertEqual(self.media(model, *args, "--mmproj", moved), found)
        self.assertEqual(self.media(model.parent, *args, "--mmproj", moved), found)
        out = ["-o", self.dir / "x"]
        self.refuse(2, "no mmproj*.gguf beside it", "logits", "-m", model, *args, *out)
        for name in ("mmproj-a.gguf", "mmproj-b.gguf"):
            shutil.copy(moved, model.parent / name)
        self.refuse(2, "2 mmproj*.gguf beside it", "logits", "-m", model, *args, *out)
        shutil.copy(moved, model.parent / "mmproj-model.gguf")  # its own comes before others
        self.assertEqual(self.media(model, *args), found)
        self.refuse(2, "clip", "logits", "-m", model, *args, "--mmproj", AUDIO / "mmproj-bf16.gguf", *out)
        self.refuse(2, str(model), "logits", "-m", model, *args, "--mmproj", model, *out)

    def test_turns(self):
        model = self.checkpoint(VL)
        plain, _ = self.media(model, "--image", VL / "small.png", n=0)
        named, _ = self.media(model, "--image", VL / "small.png", "-p", "", n=0)
        self.assertEqual(plain["ids"], named["ids"])
        told, _ = self.media(model, "--image", VL / "small.png", "--system", "Be brief.", "-p", "<image> <|im_end|>", n=0)
        self.assertEqual(told["n_media_tokens"], plain["n_media_tokens"])
        text = self.run_json("detokenize", "-m", model, "--ids", json.dumps(told["ids"]))["text"]
        seen = "<|image_start|>" + "<image>" * told["n_media_tokens"] + "<|image_end|>"
        self.assertEqual(text, f"<|startoftext|><|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n{seen}<image> <|im_end|>"
                               "<|im_end|>\n<|im_start|>assistant\n")
        self.assertEqual(told["ids"].count(22), told["n_media_tokens"])  # what the user typed is no picture

    def test_refused(self):
        model = self.checkpoint(VL)
        out = self.dir / "x"
        tail = ["-p", "a", "-o", out]
        self.refuse(3, "none.png", "logits", "-m", model, "--image", self.dir / "none.png", *tail)
        self.refuse(4, "cases.json", "logits", "-m", model, "--image", VL / "cases.json", *tail)
        self.refuse(4, "0x0.png", "logits", "-m", model, "--image", ORACLE / "images/hostile/0x0.png", *tail)
        self.refuse(2, str(model), "logits", "-m", model, "--audio", AUDIO / "jfk.wav", *tail)
        self.refuse(2, str(GOLDEN), "logits", "-m", GOLDEN, "--image", VL / "small.png", *tail)
        both = ["--image", VL / "small.png", "--audio", AUDIO / "jfk.wav"]
        self.refuse(1, "exclude each other", "logits", "-m", model, *both, *tail)
        self.refuse(1, "exclude each other", "logits", "-m", model, "--image", VL / "small.png", "--ids", "1", "-o", out)
        self.refuse(4, "tokens and 4090 to come", "logits", "-m", model, "--image", VL / "small.png", *tail, "-n", "4090")
        self.assertFalse(out.exists())

    def test_a_damaged_picture_is_said_to_be_one(self):
        cut = self.dir / "cut.png"
        cut.write_bytes((VL / "exact.png").read_bytes()[:30000])
        _, err = self.run_tool("logits", "-m", self.checkpoint(VL), "--image", cut, "-p", "a", "-o", self.dir / "x")
        self.assertIn("damaged or cut short", err)


class Info(MediaCase):
    def test_encoders_are_shown(self):
        image = {"kind": "image", "d_model": 96, "n_layers": 3, "n_heads": 4, "d_ff": 192, "patch_px": 16, "d_projector": 160,
                 "d_out": 128, "min_image_tokens": 64, "max_image_tokens": 256, "tile_px": 512, "max_tiles": 10, "thumbnail": True}
        audio = {"kind": "audio", "d_model": 64, "n_layers": 7, "n_heads": 4, "d_ff": 256, "n_mels": 128, "n_taps": 9, "d_out": 128,
                 "ctc_classes": 0}
        for folder, want in ((VL, image), (AUDIO, audio)):
            published, gguf = self.checkpoint(folder), self.as_gguf(folder)
            for model, file in ((published, published), (gguf, gguf.parent / "mmproj-bf16.gguf")):
                (got,) = self.run_json("info", model, "--json")["encoders"]
                self.assertEqual(got.pop("file"), str(file))
                self.assertEqual(got, want)
                text, _ = self.run_tool("info", model)
                self.assertIn(f"{want['kind']} encoder {want['n_layers']} layers of width {want['d_model']}", text)
            (gguf.parent / "mmproj-bf16.gguf").unlink()
            self.assertEqual(self.run_json("info", gguf, "--json")["encoders"], [])
        self.assertEqual(self.run_json("info", GOLDEN, "--json")["encoders"], [])
        self.refuse(2, "none.gguf", "info", gguf, "--mmproj", self.dir / "none.gguf")


class Convert(MediaCase):
    def test_encoders_go_beside_the_model(self):
        for folder, medium in ((VL, ["--image", VL / "small.png", "-p", PROMPT]),
                               (AUDIO, ["--audio", AUDIO / "8s_do_you_live_here.wav"])):
            published = self.checkpoint(folder)
            want, tensors = self.media(published, *medium)
            to = self.dir / f"out-{folder.name}"
            to.mkdir()
            _, err = self.run_tool("convert", published, to / "m.gguf", "--type", "BF16", "--progress", "none")
            self.assertEqual(err, f"lfm2-model: {to}/mmproj-m.gguf: {'image' if folder == VL else 'audio'} encoder\n")
            self.assertEqual(sorted(p.name for p in to.iterdir()), ["m.gguf", "mmproj-m.gguf"])
            got, again = self.media(to / "m.gguf", *medium)
            self.assertEqual(got, want)
            self.assertLessEqual(nmse(again["embed"][1], tensors["embed"][1]), 1e-10)
            self.run_tool("quantize", published, to / "q.gguf", "Q4_0", "-q")
            self.run_tool("quantize", to / "mmproj-m.gguf", to / "again.gguf", "Q8_0", "-q")
            self.assertEqual((to / "again.gguf").read_bytes()[-5000:], (to / "mmproj-q.gguf").read_bytes()[-5000:])
            got, again = self.media(to / "q.gguf", *medium, n=0)
            self.assertEqual(got["n_media_tokens"], want["n_media_tokens"])
            self.assertLessEqual(nmse(again["embed"][1], tensors["embed"][1]), 1e-3)

    def test_refused(self):
        out = self.dir / "out.gguf"
        self.refuse(2, "wrong", "convert", self.broken(), out, "--type", "F16", "--progress", "none")
        self.assertFalse(out.exists())

    def broken(self):
        path = self.dir / "wrong.gguf"
        path.write_bytes((VL / "mmproj-bf16.gguf").read_bytes()[:100000])
        return path


class Bench(MediaCase):
    def test_steps(self):
        for folder, medium in ((VL, ["--image", VL / "small.png"]), (AUDIO, ["--audio", AUDIO / "8s_do_you_live_here.wav"])):
            for model in (["-m", self.checkpoint(folder)], ["--shape", folder / "config.json"]):
                got = self.run_json("bench", *model, *medium, "--prompt", 4, "--gen", 1, "-r", 2, "--json")
                step = got["image" if folder == VL else "audio"]
                self.assertEqual(list(step["ms"]), ["decode", "preprocess", "encode", "project", "prefill"])
                for ms in step["ms"].values():
                    self.assertEqual(list(ms), ["min", "median", "max"])
                    self.assertTrue(0 <= ms["min"] <= ms["median"] <= ms["max"])
                self.assertEqual(step["tokens"], 77 if folder == VL else 101)
                if folder == AUDIO:
                    for key in ("min", "median", "max"):
                        self.assertAlmostEqual(step["real_time_factor"][key], step["ms"]["encode"][key] / step["seconds"] / 1e3, 5)
        text, _ = self.run_tool("bench", *model, *medium, "--prompt", 4, "--gen", 1, "-r", 1)
        self.assertIn("801 frames, 101 tokens", text)
        self.assertRegex(text, r"\nspeed .* times real time")

    def test_refused(self):
        once = ["-r", 1, "--gen", 1, "--prompt", 4]
        self.refuse(2, "vision_config", "bench", "--shape", GOLDEN / "config.json", "--image", VL / "small.png", *once)
        self.refuse(3, "none.png", "bench", "--shape", VL / "config.json", "--image", self.dir / "none.png", *once)


class Recordings(MediaCase):
    def test_golden(self):
        expected = read_safetensors(AUDIO / "expected.safetensors")
        for model in (self.checkpoint(AUDIO), self.as_gguf(AUDIO)):
            for case in cases(AUDIO):
                printed, tensors = self.media(model, "--audio", AUDIO / case["file"], "--system", "Perform ASR.", n=12)
                self.assertEqual(printed["ids"], case["prefix"] + case["suffix"])
                self.assertEqual(printed["n_media_tokens"], case["n_audio_tokens"])
                self.check(printed, tensors, case, expected)
                shape, got = tensors["mel"]
                self.assertEqual(shape, [case["mel_frames"], 128])
                self.assertLessEqual(max(abs(a - b) for a, b in zip(got, expected[case["mel"]][1])), 1e-3)

    def test_a_recording_alone_is_to_be_transcribed(self):
        model = self.checkpoint(AUDIO)
        file = AUDIO / "8s_do_you_live_here.wav"
        alone, _ = self.media(model, "--audio", file, n=0)
        told, _ = self.media(model, "--audio", file, "--system", "Perform ASR.", n=0)
        asked, _ = self.media(model, "--audio", file, "-p", "What is said?", n=0)
        self.assertEqual(alone, told)
        text = self.run_json("detokenize", "-m", model, "--ids", json.dumps(asked["ids"]))["text"]
        self.assertEqual(text, "<|startoftext|><|im_start|>user\nWhat is said?<|im_end|>\n<|im_start|>assistant\n")

    def test_refused(self):
        model = self.checkpoint(AUDIO)
        tail = ["-o", self.dir / "x"]
        short = self.dir / "short.wav"
        data = (AUDIO / "jfk.wav").read_bytes()
        short.write_bytes(data[:4] + (636).to_bytes(4, "little") + data[8:40] + (600).to_bytes(4, "little") + data[44:644])
        self.refuse(4, "the encoder takes 320 to", "logits", "-m", model, "--audio", short, *tail)
        self.refuse(3, "none.wav", "logits", "-m", model, "--audio", self.dir / "none.wav", *tail)
        self.refuse(4, "cases.json", "logits", "-m", model, "--audio", AUDIO / "cases.json", *tail)
        self.refuse(2, str(model), "logits", "-m", model, "--image", VL / "small.png", *tail)


if __name__ == "__main__":
    main()
