# SPDX-License-Identifier: Apache-2.0
"""What the tests of the commands share: running the tool, reading what it wrote, the reference checkpoints.

The test programs are called with: TOOL TESTS_FOLDER [unittest arguments]
"""
import json
import os
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

if len(sys.argv) < 3:
    raise SystemExit(f"usage: {sys.argv[0]} TOOL TESTS_FOLDER [unittest arguments]")
TOOL = str(Path(sys.argv[1]).resolve())
NAME = Path(TOOL).name
ORACLE = Path(sys.argv[2]).resolve() / "oracle"
GOLDEN = ORACLE / "golden/text"
MOE = ORACLE / "fixtures/moe"
QUANT_K = ORACLE / "fixtures/quant-k/model.gguf"
SANITIZED = any(name in Path(TOOL).read_bytes() for name in (b"__asan_init", b"__tsan_init"))
HANG_S = 120  # a guard against hangs; nothing is timed

VERBS = ["info", "tokenize", "detokenize", "template", "logits", "generate", "convert", "quantize", "bench", "verify"]


def clean_env(**more):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("LFM2_", "LC_", "LANG", "XDG_"))}
    env["HOME"] = "/nonexistent"
    env.update(more)
    return env


def call(args, **kw):
    kw.setdefault("env", clean_env())
    kw.setdefault("timeout", HANG_S)
    return subprocess.run([kw.pop("tool", TOOL), *map(str, args)], capture_output=True, check=False, **kw)


def read_safetensors(path):
    data = Path(path).read_bytes()
    (n,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + n])
    out = {}
    for name, info in header.items():
        if name == "__metadata__":
            continue
        begin, end = info["data_offsets"]
        raw = data[8 + n + begin:8 + n + end]
        out[name] = (info["shape"], struct.unpack(f"<{len(raw) // 4}f", raw)) if info["dtype"] == "F32" else None
    return out


def nmse(got, want):
    return sum((a - b) ** 2 for a, b in zip(got, want)) / sum(b * b for b in want)


class Case(unittest.TestCase):
    maxDiff = 2000

    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="lfm2_e2e_"))
        self.addCleanup(shutil.rmtree, self.dir)
        self.model = GOLDEN

    def check_stderr(self, done):
        err = done.stderr.decode("utf-8", "replace")
        for bad in ("Sanitizer", "runtime error"):
            self.assertNotIn(bad, err)
        return err

    def run_tool(self, *args, code=0, **kw):
        """Returns (stdout, stderr) as text; the exit code must be the given one."""
        done = call(args, **kw)
        err = self.check_stderr(done)
        self.assertEqual(done.returncode, code, f"{args}\n{done.stdout[:500]}\n{err[:2000]}")
        return done.stdout.decode("utf-8"), err

    def refuse(self, code, why, *args, **kw):
        """The exit code, one line that says why, no result."""
        out, err = self.run_tool(*args, code=code, **kw)
        self.assertEqual(out, "")
        self.assertEqual(len(err.splitlines()), 1, err)
        self.assertTrue(err.startswith(f"{NAME}: "), err)
        self.assertIn(why, err)
        return err

    def run_json(self, *args, **kw):
        out, _ = self.run_tool(*args, **kw)
        self.assertEqual(out.count("\n"), 1)
        return json.loads(out)

    def lone_tool(self):
        """A copy of the tool in a folder of its own, far from any model that came with it."""
        to = self.dir / NAME
        if not to.exists():
            shutil.copy(TOOL, to)
        return to

    def copy_model(self, name="copy", of=None):
        to = self.dir / name
        shutil.copytree(of or GOLDEN, to, ignore=shutil.ignore_patterns("*.gguf", "expected*", "cases*"))
        for p in [to, *to.iterdir()]:
            p.chmod(p.stat().st_mode | stat.S_IWUSR)
        return to

    def poison(self, model, tensor="model.layers.1.feed_forward.w3.weight", value=b"\xc0\x7f"):
        """Make one BF16 element of a tensor something else: NaN unless told."""
        path = model / "model.safetensors"
        data = bytearray(path.read_bytes())
        (n,) = struct.unpack("<Q", data[:8])
        begin = json.loads(data[8:8 + n])[tensor]["data_offsets"][0]
        data[8 + n + begin:8 + n + begin + 2] = value
        path.write_bytes(data)

    def logits(self, model, ids, *args, n=0):
        out = self.dir / "logits.safetensors"
        printed = self.run_json("logits", "-m", model, "--ids", ",".join(map(str, ids)), "-n", n, "-o", out, *args)
        self.assertEqual(printed["ids"], list(ids))
        self.assertEqual(printed["n_media_tokens"], 0)
        self.assertEqual(list(printed), ["ids", "n_media_tokens", "greedy"])
        return read_safetensors(out)["logits"], printed["greedy"]


def cases(kind):
    return [c for c in json.loads((GOLDEN / "cases.json").read_text("utf-8")) if c["kind"] == kind]


def main():
    unittest.main(module="__main__", argv=[sys.argv[0], *sys.argv[3:]])
