#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""lfm2-see from outside: tasks, batches, formats, budgets, limits, and everything that is refused. usage: see tool_case.py"""
import json
import os
import re
import shutil
import struct
import subprocess
import threading
import zlib

from tool_case import Case, ORACLE, TOOL, clean_env, main

VL = ORACLE / "golden/vl"
SMALL, GRAY, EXACT, VGA, ALPHA = VL / "small.png", VL / "gray.png", VL / "exact.png", VL / "vga.jpg", VL / "alpha.png"
FRAMES, IMAGES = ORACLE / "frames", ORACLE / "images"
BUDGET = ("--image-max-tokens", "8")  # little to compute


def png(width, height, rgb=(255, 255, 255), body=True):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = (b"\0" + bytes(rgb) * width) * height if body else b""
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


class SeeCase(Case):
    def see(self, *args, code=0, n=2, **kw):
        return self.run_tool("-m", VL, "-n", n, "--temp", "0", *args, code=code, **kw)

    def see_json(self, *args, **kw):
        return json.loads(self.see("--format", "json", *args, **kw)[0])

    def refuse_see(self, code, why, *args, **kw):
        return self.refuse(code, why, "-m", VL, *args, **kw)


class Usage(SeeCase):
    def test_help(self):
        out, err = self.run_tool("--help")
        self.assertEqual(err, "")
        self.assertTrue(out.startswith("usage: lfm2-see [options] IMAGE...\n"))
        self.assertLessEqual(max(map(len, out.splitlines())), 100)
        for name in ("task", "prompt", "prompts", "caption", "layout", "image-min-tokens", "image-max-tokens", "max-tiles",
                     "letterbox", "alpha", "every", "scene", "camera", "max-pixels", "max-scans", "max-seconds", "format",
                     "output", "jobs",
                     "json-schema", "grammar", "progress", "mmproj", "deadline"):
            self.assertRegex(out, rf"--{name}\b")
        self.assertIn("10 schema cannot be honoured", out)
        self.assertRegex(self.run_tool("--version")[0], r"^lfm2-see \d+\.\d+\.\d+\n$")

    def test_bad_options(self):
        self.refuse(1, "no image: give files")
        self.refuse(1, "unknown option --tsak; the nearest is --task", "--tsak", "ocr", SMALL)
        self.refuse(1, "--task: 'ocrr' is none of: caption ocr ask; the nearest is ocr", "--task", "ocrr", SMALL)
        self.refuse(1, "--format: 'jsno' is none of", "--format", "text,jsno", SMALL)
        self.refuse(1, "the nearest is json", "--format", "text,jsno", SMALL)
        self.refuse(1, "several formats need -o", "-m", VL, "--format", "text,json", SMALL)
        self.refuse(1, "--output: empty", "-m", VL, "-o", "", SMALL)
        self.refuse(1, "no question", "--task", "ask", SMALL)
        self.refuse(1, "exclude each other", "-p", "a", "--prompts", "b", SMALL)
        self.refuse(1, "--prompts: questions need --task ask", "--task", "ocr", "--prompts", "b", SMALL)
        self.refuse(1, "--caption needs --task caption", "--task", "ocr", "--caption", "alt", SMALL)
        self.refuse(1, "--layout needs --task ocr", "--layout", "lines", SMALL)
        self.refuse(1, "--each needs --task ask", "--each", SMALL)
        self.refuse(1, "--camera and files exclude each other", "--camera", "x", SMALL)
        self.refuse(1, "--camera-format needs --camera", "--camera-format", "lavfi", SMALL)
        self.refuse(1, "--jobs: files are read one after another", "-j", "2", SMALL)
        self.refuse(1, "--image-max-tokens: 0 is out of range", "--image-max-tokens", "0", SMALL)
        self.refuse_see(1, "no image has at least 9 and at most 4 tokens", "--image-min-tokens", "9", "--image-max-tokens", "4",
                        SMALL)
        self.refuse_see(1, "cap_tok", "--context", "5000", SMALL)
        for option in ("--json-schema", "--grammar"):
            self.refuse(10, "cannot be held to a schema or grammar yet", option, "x", SMALL)

    def test_every_numeric_option_is_refused_out_of_range(self):
        page = " ".join(self.run_tool("--help")[0].split())
        found = re.findall(r"--([a-z-]+) [A-Z]+ (?:(?! --[a-z]).)*?\(((?:above )?[0-9.e+-]+) to ([0-9.e+-]+)\)", page)
        self.assertGreater(len(found), 24)
        for name, lo, hi in found:
            for value in (str(int(float(hi)) * 2 + 1), "-1", "nan", "x", ""):
                self.refuse(1, f"--{name}: ", f"--{name}={value}", SMALL)
            if lo.startswith("above "):
                self.refuse(1, f"--{name}: ", f"--{name}={lo.removeprefix('above ')}", SMALL)

    def test_completion_and_settings(self):
        out, _ = self.run_tool("--completion", "bash")
        script = self.dir / "completion"
        script.write_text(out + "COMP_WORDS=(lfm2-see --task oc); COMP_CWORD=2; _lfm2_see; echo ${COMPREPLY[*]}\n"
                          "COMP_WORDS=(lfm2-see --image-mi); COMP_CWORD=1; _lfm2_see; echo ${COMPREPLY[*]}\n")
        done = subprocess.run(["bash", script], capture_output=True, text=True, check=True)
        self.assertEqual(done.stdout.splitlines(), ["ocr", "--image-min-tokens"])
        config = self.dir / "config.toml"
        config.write_text("[lfm2-model]\ngen = 3\n[lfm2-see]\nmax_tiles = 3\ntask = \"ocr\"\n")
        out, _ = self.run_tool("--config", config, "--print-config", env=clean_env(LFM2_ARG_SLOTS="4"))
        self.assertIn(f"max-tiles = 3 # file: {config}\n", out)
        self.assertIn("slots = 4 # environment: LFM2_ARG_SLOTS\n", out)
        self.assertIn("task = \"ocr\" # file", out)

    def test_models(self):
        self.refuse(2, "no model", SMALL, tool=self.lone_tool())
        self.refuse(2, "missing: this checkpoint sees no images", "-m", ORACLE / "golden/text", SMALL)
        gguf = self.dir / "gguf"
        gguf.mkdir()
        shutil.copy(VL / "model-bf16.gguf", gguf / "model.gguf")
        self.refuse(2, "no mmproj*.gguf beside it", "-m", gguf / "model.gguf", SMALL)
        want, _ = self.see(*BUDGET, SMALL, n=6)
        run = ("-n", 6, "--temp", 0, *BUDGET, SMALL)
        self.assertEqual(self.run_tool("-m", gguf / "model.gguf", "--mmproj", VL / "mmproj-bf16.gguf", *run)[0], want)
        shutil.copy(VL / "mmproj-bf16.gguf", gguf / "mmproj-x.gguf")
        self.assertEqual(self.run_tool("-m", gguf / "model.gguf", *run)[0], want)
        self.assertEqual(self.run_tool("-m", gguf, *run)[0], want)  # a folder with the two
        self.assertEqual(self.run_tool(*run, env=clean_env(LFM2_MODEL=str(gguf)))[0], want)
        shutil.copy(VL / "mmproj-bf16.gguf", gguf / "MMPROJ-Y.GGUF")
        self.refuse(2, "2 mmproj*.gguf beside it", "-m", gguf / "model.gguf", SMALL)
        self.refuse(2, "", "-m", gguf / "model.gguf", "--mmproj", SMALL, SMALL)

    def test_the_model_that_came_with_the_program(self):
        tool = self.lone_tool()
        shipped = self.dir / "share/lfm2"
        shipped.mkdir(parents=True)
        (shipped / "model").symlink_to(VL)
        self.run_tool("-n", 1, *BUDGET, SMALL, tool=tool)


class Tasks(SeeCase):
    def test_json(self):
        got = self.see_json("-p", "What is in this image?", SMALL, n=8)
        case = json.loads((VL / "cases.json").read_text("utf-8"))[0]
        self.assertEqual(got["schema_version"], 1)
        self.assertEqual(got["file"], str(SMALL))
        self.assertEqual(got["task"], "ask")
        self.assertEqual(got["stop"], "length")
        self.assertEqual(got["tokens"], {"image": case["n_image_tokens"], "tiles": [1, 1], "prompt": len(case["ids"]), "output": 8})
        self.assertTrue(0 <= got["confidence"] <= 1)
        self.assertEqual(set(got["timing_ms"]), {"load", "decode", "preprocess", "encode", "prefill", "generate"})
        self.assertEqual(got["images"][0]["width"], 200)

    def test_captions_differ(self):
        prompts = {kind: self.see_json(*BUDGET, "--caption", kind, SMALL)["tokens"]["prompt"] for kind in ("short", "long", "alt")}
        self.assertEqual(len(set(prompts.values())), 3)
        self.assertEqual(self.see_json(*BUDGET, SMALL)["tokens"]["prompt"], prompts["short"])
        self.assertEqual(self.see_json(*BUDGET, "--system", "Be kind.", SMALL)["task"], "caption")

    def test_several_images_in_one_question(self):
        got = self.see_json(*BUDGET, "-p", "Which?", SMALL, GRAY, SMALL)
        self.assertEqual(len(got["images"]), 3)
        self.assertEqual(got["images"][2]["cached"], 1)  # seen a moment ago
        self.assertIn("inputs of the encoder: 2 encoded, 1 seen before", self.see("-v", *BUDGET, "-p", "a", SMALL, GRAY, SMALL)[1])
        self.assertEqual(got["tokens"]["image"], sum(i["tokens"] for i in got["images"]))
        got = self.see_json(*BUDGET, "-p", "Which?", "--each", SMALL, GRAY)
        self.assertEqual([len(r["images"]) for r in got], [1, 1])
        out, err = self.see(*BUDGET, "-p", "Which?", SMALL, "none.png", code=7)  # a question about all is not asked of some
        self.assertEqual(out, "")
        self.assertIn("none.png", err)

    def test_prompts_look_once(self):
        questions = self.dir / "questions"
        questions.write_text("What?\n\nAnd where?\r\nWhy?\n")
        lines = self.see(*BUDGET, "--prompts", questions, "--format", "jsonl", SMALL, GRAY)[0].splitlines()
        got = [json.loads(line) for line in lines]
        self.assertEqual([len(r["images"]) for r in got], [2, 0, 0])
        self.assertEqual([r["timing_ms"]["encode"] for r in got[1:]], [0, 0])
        self.assertTrue(all(r["tokens"]["prompt"] < 30 for r in got[1:]))
        questions.write_text("\n\n")
        self.refuse_see(4, "no line with a question", "--prompts", questions, SMALL)
        questions.write_bytes(b"secret\xff\n")
        self.assertNotIn("secret", self.refuse_see(4, "not valid UTF-8", "--prompts", questions, SMALL))
        self.refuse_see(3, "No such file", "--prompts", self.dir / "none", SMALL)

    def test_prompts_and_logs(self):
        """Neither what is asked nor what is written is in the log."""
        done = subprocess.run([TOOL, "-m", VL, "-vv", "-n", "6", "--temp", "0", *BUDGET, "-p", "canary-7431", SMALL],
                              capture_output=True, env=clean_env(), check=True)
        self.assertNotIn(b"canary", done.stderr)
        for word in done.stdout.decode().split():
            if len(word) > 5:
                self.assertNotIn(word, done.stderr.decode())
        self.refuse_see(4, "not valid UTF-8", "-p", b"\xff\xfe".decode("utf-8", "surrogateescape"), SMALL)
        self.refuse_see(4, "--system: not valid UTF-8", "--system", b"\xff".decode("utf-8", "surrogateescape"), SMALL)
        out, _ = self.see(*BUDGET, "-p", "-", SMALL, input=b"What is this?")
        self.assertTrue(out)

    def test_ocr(self):
        page = self.see_json("--task", "ocr", *BUDGET, GRAY)
        self.assertEqual((page["task"], page["lines"]), ("ocr", []))
        got = self.see_json("--task", "ocr", "--layout", "lines", *BUDGET, GRAY)
        self.assertGreater(len(got["lines"]), 1)
        for line in got["lines"]:
            x, y, w, h = line["box"]
            self.assertTrue(x >= 0 and y >= 0 and w > 0 and h > 0 and x + w <= 333 and y + h <= 257)
            self.assertTrue(0 <= line["confidence"] <= 1)
            self.assertEqual(line["stop"], "length")
        one = self.see_json("--task", "ocr", "--layout", "lines", "--slots", "1", *BUDGET, GRAY)
        self.assertEqual([(a["text"], a["box"]) for a in one["lines"]], [(a["text"], a["box"]) for a in got["lines"]])
        self.refuse_see(4, "", "--task", "ocr", "--layout", "lines", "--max-lines", "1", GRAY)

    def test_blank_page(self):
        blank = self.dir / "blank.png"
        blank.write_bytes(png(60, 40))
        for layout in ("page", "lines"):
            out, err = self.see("--task", "ocr", "--layout", layout, blank)
            self.assertEqual(out.strip(), "")
            self.assertIn("blank: no text found", err)
        got = self.see_json("--task", "ocr", blank)
        self.assertEqual((got["text"], got["tokens"]["output"], got["stop"]), ("", 0, "eos"))

    def test_threads_and_seeds(self):
        runs = {self.run_tool("-m", VL, "-n", 6, "--temp", 2, "--seed", 5, *BUDGET, "-t", t, SMALL)[0] for t in (1, 2, 3)}
        self.assertEqual(len(runs), 1)
        self.assertNotEqual(self.run_tool("-m", VL, "-n", 6, "--temp", 2, "--seed", 6, *BUDGET, SMALL)[0], runs.pop())


class Budgets(SeeCase):
    def test_most_and_least(self):
        for most in (6, 20, 300):
            got = self.see_json("--image-max-tokens", most, SMALL, GRAY)
            for r in got:
                self.assertLessEqual(r["tokens"]["image"], most)
        got = self.see_json("--image-min-tokens", 90, "--image-max-tokens", 110, SMALL)
        self.assertTrue(90 <= got["tokens"]["image"] <= 110)
        _, err = self.see("-v", *BUDGET, SMALL)
        self.assertRegex(err, r"small.png: 200 x 120 pixels, 1 x 1 tiles, [1-8] tokens")
        self.refuse_see(4, "cannot be made 7 to 7 tokens", "--image-min-tokens", 7, "--image-max-tokens", 7, EXACT)

    def test_tiles(self):
        got = self.see_json("--max-tiles", 2, "-n", 1, VL / "large.png")
        self.assertEqual(got["tokens"]["tiles"], [2, 1])
        got = self.see_json("--max-tiles", 1, "-n", 1, VL / "large.png")
        self.assertEqual(got["tokens"]["tiles"], [1, 1])
        self.assertLessEqual(got["tokens"]["image"], 256)

    def test_letterbox_and_alpha(self):
        stretched, boxed = (self.see_json("-n", 1, "--max-tiles", 2, *more, VL / "large.png") for more in ((), ("--letterbox",)))
        self.assertEqual(stretched["tokens"], boxed["tokens"])
        white, drop = (self.see("--alpha", how, ALPHA, n=8)[0] for how in ("white", "drop"))
        self.assertNotEqual(white, drop)

    def test_context(self):
        self.refuse_see(4, "50", "--context", "50", SMALL)


class Files(SeeCase):
    def test_a_file_that_fails_does_not_stop_the_others(self):
        cut = self.dir / "cut.png"
        cut.write_bytes(SMALL.read_bytes()[:40])
        out, err = self.see(*BUDGET, "--format", "jsonl", "none.png", SMALL, cut, GRAY, code=7)
        self.assertEqual([json.loads(line)["file"] for line in out.splitlines()], [str(SMALL), str(GRAY)])
        self.assertIn("none.png: ", err)
        self.assertIn("cut.png: ", err)
        self.assertIn("2 of 4 files failed", err)
        self.refuse_see(3, "none.png: ", "none.png")
        self.refuse_see(4, "cut.png: ", cut)

    def test_folders(self):
        folder = self.dir / "in"
        (folder / "sub").mkdir(parents=True)
        shutil.copy(SMALL, folder / "b.png")
        shutil.copy(GRAY, folder / "sub/a.jpeg")  # the content counts, not the name
        shutil.copy(SMALL, folder / ".hidden.png")
        (folder / "note.png").write_text("#!/bin/sh\necho no image\n")
        (folder / "loop").symlink_to(folder)
        out, err = self.see(*BUDGET, "--format", "jsonl", folder)
        self.assertEqual([json.loads(line)["file"] for line in out.splitlines()], [f"{folder}/b.png", f"{folder}/sub/a.jpeg"])
        self.assertIn("note.png: skipped: no image", err)
        self.refuse_see(4, "note.png: ", folder / "note.png")  # named, it is an error
        to = self.dir / "out/"
        self.see(*BUDGET, "--format", "text,json", "-o", f"{to}/", folder)
        self.assertEqual(sorted(str(p.relative_to(to)) for p in to.rglob("*.*")), ["b.json", "b.txt", "sub/a.json", "sub/a.txt"])
        self.assertEqual(json.loads((to / "b.json").read_text())["file"], f"{folder}/b.png")
        (self.dir / "empty").mkdir()
        self.refuse_see(3, "no files", self.dir / "empty")

    def test_names_of_results(self):
        for name in ("x.png", "x.jpg"):
            shutil.copy(SMALL, self.dir / name)
        to = self.dir / "out"
        to.mkdir()
        self.see(*BUDGET, "-o", to, self.dir / "x.png", self.dir / "x.jpg")
        self.assertEqual(sorted(p.name for p in to.iterdir()), ["x.jpg.txt", "x.png.txt"])
        self.refuse_see(1, "would have the same name", "-o", to, SMALL, SMALL)

    def test_output_files(self):
        to = self.dir / "result"
        self.assertEqual(self.see(*BUDGET, "--format", "json", "-o", to, SMALL, GRAY)[0], "")
        self.assertEqual(len(json.loads(to.read_text())), 2)
        self.see(*BUDGET, "--format", "json,tsv", "--task", "ocr", "-o", to, GRAY)
        self.assertTrue((self.dir / "result.json").exists() and (self.dir / "result.tsv").exists())
        before = to.read_text()
        self.see(*BUDGET, "--format", "json", "-o", to, "none.png", code=3)
        self.assertEqual(to.read_text(), before)  # what failed leaves the old one
        self.assertEqual([p.name for p in self.dir.iterdir() if p.name.startswith("result") and len(p.suffix) > 5], [])
        err = self.see(*BUDGET, "-o", self.dir / "no/such/folder", SMALL, code=5)[1]
        self.assertIn("No such file or directory", err)
        self.see(*BUDGET, "-o", "/dev/full", SMALL, code=5)
        self.see(*BUDGET, "-o", "/dev/null", SMALL)

    def test_formats(self):
        marks = {"text": "", "json": "{", "jsonl": "{", "md": "", "hocr": "<?xml", "alto": "<?xml", "tsv": "level"}
        for fmt, mark in marks.items():
            out, _ = self.see("--task", "ocr", "--format", fmt, *BUDGET, GRAY)
            self.assertTrue(out.startswith(mark), (fmt, out[:60]))
            self.assertTrue(out.endswith("\n"), fmt)

    def test_standard_input(self):
        got = self.see_json(*BUDGET, "-", input=SMALL.read_bytes())
        self.assertEqual(got["images"][0]["width"], 200)
        self.refuse_see(4, "standard input: ", "-", input=b"no image at all")
        self.refuse_see(4, "standard input: ", "-", input=b"")

    def test_slow_pipe(self):
        fifo = self.dir / "fifo"
        os.mkfifo(fifo)
        data = SMALL.read_bytes()

        def feed():
            with open(fifo, "wb", buffering=0) as f:
                for i in range(0, len(data), 999):
                    f.write(data[i:i + 999])

        thread = threading.Thread(target=feed)
        thread.start()
        self.see(*BUDGET, fifo)
        thread.join()

    def test_damage_is_said(self):
        cut = self.dir / "cut.png"
        cut.write_bytes(EXACT.read_bytes()[:30000])
        _, err = self.see(*BUDGET, cut)
        self.assertIn("cut short or damaged", err)


class Frames(SeeCase):
    def test_video(self):
        got = self.see_json(*BUDGET, "--every", "0.2", "--max-frames", "3", FRAMES / "mjpeg.avi")
        self.assertEqual(len(got), 3)
        self.assertEqual([r["page"] for r in got], [1, 2, 3])
        self.assertTrue(got[0]["time_ms"] < got[1]["time_ms"] < got[2]["time_ms"])
        more = self.see(*BUDGET, "--scene", "0.01", "--format", "jsonl", "-n", 1, FRAMES / "mjpeg.avi")[0].splitlines()
        self.assertGreaterEqual(len(more), 1)
        short = self.see(*BUDGET, "--every", "0.2", "--max-seconds", "0.1", "--format", "jsonl", FRAMES / "mjpeg.avi")[0]
        self.assertEqual(short.count("\n"), 1)

    def test_pages(self):
        got = self.see_json(*BUDGET, FRAMES / "pages.tif")
        self.assertGreater(len(got), 1)
        self.assertEqual([r["page"] for r in got], list(range(1, len(got) + 1)))

    def test_camera(self):
        got = self.see(*BUDGET, "--camera", "testsrc=size=64x48:rate=4", "--camera-format", "lavfi", "--max-frames", "2",
                       "--every", "0.5", "--format", "jsonl")[0].splitlines()
        self.assertEqual(len(got), 2)
        self.see("--camera", "/dev/video99", code=3)
        self.see("--camera", "/dev/no-such-camera", code=4)  # nobody knows what kind of device that would be
        self.see("--camera", "x", "--camera-format", "no-such-format", code=4)


class Limits(SeeCase):
    def test_limits_are_flags(self):
        self.refuse_see(4, "", "--max-pixels", 23999, SMALL)
        self.see(*BUDGET, "--max-pixels", 24000, SMALL)
        self.refuse_see(4, "", "--max-side", 199, SMALL)
        self.refuse_see(4, "", "--max-bytes", 1000, SMALL)
        bomb = self.dir / "bomb.png"
        bomb.write_bytes(png(65000, 65000, body=False))
        self.refuse_see(4, "bomb.png", bomb)
        thin = self.dir / "thin.png"
        thin.write_bytes(png(60000, 1))
        self.refuse_see(4, "too long and thin", thin)

    def test_deadline(self):
        got = self.see("--deadline", "0.15", "-n", 4000, "--format", "json", VL / "large.png", code=8)
        self.assertNotIn("Traceback", got[1])
        self.refuse_see(8, "deadline", "--deadline", "0.001", SMALL)

    def test_picture_is_no_instruction(self):
        """Whatever is written: nothing happens but text on standard output."""
        before = sorted(p.name for p in self.dir.iterdir())
        self.see(*BUDGET, "--task", "ocr", VGA, cwd=self.dir)
        self.assertEqual(sorted(p.name for p in self.dir.iterdir()), before)


if __name__ == "__main__":
    main()
