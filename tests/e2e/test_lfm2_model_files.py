#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""lfm2-model from outside: signals, bad files, conversion, measuring, verification. usage: see tool_case.py"""
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

from tool_case import Case, GOLDEN, HANG_S, MOE, QUANT_K, SANITIZED, TOOL, cases, clean_env, nmse, main


class Interrupted(Case):
    def start(self, *args, **kw):
        kw.setdefault("stdin", subprocess.DEVNULL)
        p = subprocess.Popen([TOOL, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_env(), **kw)
        self.addCleanup(p.stderr.close)
        self.addCleanup(p.stdout.close)
        self.addCleanup(p.kill)
        return p

    def wait_for_handler(self, p, sig):
        """Until main() has set its handlers."""
        while True:
            status = Path(f"/proc/{p.pid}/status").read_text()
            if int(re.search(r"SigCgt:\s*([0-9a-f]+)", status)[1], 16) >> (sig - 1) & 1:
                return
            time.sleep(0.001)

    def test_while_generating(self):
        for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            p = self.start("generate", "-m", GOLDEN, "-p", "a", "-n", "4000", "--temp", "3", "--repeat-penalty", "1")
            self.assertTrue(p.stdout.read(1))  # text comes while it is made
            p.send_signal(sig)
            self.assertEqual(p.wait(HANG_S), 128 + sig)
            self.assertEqual(p.stderr.read(), b"")

    def test_while_waiting_for_input(self):
        for args in (["generate", "-m", GOLDEN, "--chat"], ["tokenize", "-m", GOLDEN, "-p", "-"]):
            p = self.start(*args, stdin=subprocess.PIPE)
            self.wait_for_handler(p, signal.SIGINT)
            p.send_signal(signal.SIGINT)
            self.assertEqual(p.wait(HANG_S), 130)
            p.stdin.close()

    def test_while_measuring(self):
        p = self.start("bench", "-m", GOLDEN, "--prompt", "3000", "--reps", "1000")
        self.wait_for_handler(p, signal.SIGTERM)
        p.send_signal(signal.SIGTERM)
        self.assertEqual(p.wait(HANG_S), 143)
        self.assertEqual(p.stdout.read(), b"")

    def test_while_converting(self):
        """At many instants: the exit code, and either the whole file or none."""
        out = self.dir / "out.gguf"
        self.run_tool("convert", GOLDEN, out, "--type", "Q4_0", "-q")
        whole = out.read_bytes()
        for i in range(12):
            out.unlink(missing_ok=True)
            p = self.start("convert", GOLDEN, out, "--type", "Q4_0", "--progress", "plain")
            for _ in range(i):
                p.stderr.readline()
            p.send_signal(signal.SIGINT)
            self.assertIn(p.wait(HANG_S), (0, 130, -signal.SIGINT))  # the last: before main() could set a handler
            self.assertIn(sorted(self.dir.iterdir()), ([], [out]))
            if out.exists():
                self.assertEqual(out.read_bytes(), whole)

    def test_no_core_files(self):
        p = self.start("generate", "-m", GOLDEN, "--chat", "-n", "1", stdin=subprocess.PIPE)
        p.stdin.write(b"a\n")
        p.stdin.flush()
        self.assertTrue(p.stdout.readline())
        limits = Path(f"/proc/{p.pid}/limits").read_text()
        self.assertRegex(limits, r"Max core file size +0 +0")
        p.stdin.close()
        self.assertEqual(p.wait(HANG_S), 0)


class Output(Case):
    def run_into(self, stdout, *args):
        return subprocess.run([TOOL, *map(str, args)], stdout=stdout, stderr=subprocess.PIPE, env=clean_env(), timeout=HANG_S,
                              check=False)

    def test_reader_has_gone(self):
        """A closed pipe: quiet, exit 5, no death by SIGPIPE."""
        for args in (["info", GOLDEN], ["generate", "-m", GOLDEN, "-p", "a", "-n", "300"], ["--help"], ["verify", "-q", GOLDEN]):
            r, w = os.pipe()
            os.close(r)
            done = self.run_into(w, *args)
            os.close(w)
            self.assertEqual(done.returncode, 5, args)
            self.assertEqual(done.stderr, b"")

    def test_full_device(self):
        for args in (["info", GOLDEN], ["info", GOLDEN, "--json"], ["generate", "-m", GOLDEN, "-p", "a"], ["--help"],
                     ["bench", "-m", GOLDEN, "--prompt", "4", "--gen", "1", "-r", "1"], ["tokenize", "-m", GOLDEN, "-p", "a"]):
            with open("/dev/full", "wb") as full:
                done = self.run_into(full, *args)
            self.assertEqual(done.returncode, 5, args)
            self.assertEqual(done.stderr, b"lfm2-model: standard output: No space left on device\n")


class BadModels(Case):
    def refuse_verify(self, code, why, *args):
        _, err = self.run_tool(*args, code=code)  # the hashes of files that can be read are printed all the same
        self.assertEqual(len(err.splitlines()), 1, err)
        self.assertIn(why, err)

    def each_verb(self, model, why, code=2):
        for args in (["info", model], ["tokenize", "-m", model, "-p", "a"], ["generate", "-m", model, "-p", "a"],
                     ["bench", "-m", model], ["convert", model, self.dir / "out.gguf", "--type", "F16"]):
            self.refuse(code, why, *args)
        self.refuse_verify(code, why, "verify", model)
        self.assertFalse((self.dir / "out.gguf").exists())

    def test_not_a_file_of_weights(self):
        self.each_verb(self.dir / "none", "none")
        self.each_verb(self.dir / "none.gguf", "none.gguf")
        empty = self.dir / "empty.gguf"
        empty.write_bytes(b"")
        self.each_verb(empty, "empty.gguf")
        os.mkfifo(self.dir / "fifo.gguf")
        self.each_verb(self.dir / "fifo.gguf", "fifo.gguf")
        os.symlink("loop.gguf", self.dir / "loop.gguf")
        self.each_verb(self.dir / "loop.gguf", "loop.gguf")
        (self.dir / "folder").mkdir()
        self.each_verb(self.dir / "folder", "folder")
        self.each_verb("/dev/zero", "/dev/zero")
        self.each_verb("", "")

    def test_names_that_would_break_a_line(self):
        err = self.refuse(2, "", "info", "a\nb\x1b[31m.gguf")
        self.assertNotIn("\x1b", err)

    def test_truncated(self):
        data = (GOLDEN / "model-bf16.gguf").read_bytes()
        path = self.dir / "short.gguf"
        for n in (1, 4, 23, 24, 100, 5000, len(data) // 2, len(data) - 1):
            path.write_bytes(data[:n])
            self.refuse(2, "short.gguf", "info", path)

    def test_another_architecture(self):
        model = self.copy_model()
        config = json.loads((model / "config.json").read_text())
        (model / "config.json").write_text(json.dumps({**config, "model_type": "llama", "architectures": ["LlamaForCausalLM"]}))
        self.refuse(2, "llama", "info", model)

    def test_bad_tokenizer(self):
        model = self.copy_model()
        (model / "tokenizer.json").write_text("{\"model\": 1}")
        self.refuse(2, "tokenizer.json", "generate", "-m", model, "-p", "a")
        (model / "tokenizer.json").unlink()
        self.refuse(2, "tokenizer.json", "tokenize", "-m", model, "-p", "a")

    def test_more_ids_than_rows(self):
        model = self.copy_model()
        tokenizer = json.loads((model / "tokenizer.json").read_text())
        beyond = {**tokenizer["added_tokens"][-1], "id": 1600, "content": "<|beyond|>"}
        (model / "tokenizer.json").write_text(json.dumps({**tokenizer, "added_tokens": tokenizer["added_tokens"] + [beyond]}))
        self.refuse(2, "1601 ids", "generate", "-m", model, "-p", "a")
        self.refuse_verify(2, "1601 ids", "verify", model)

    def test_not_finite(self):
        model = self.copy_model()
        self.poison(model)
        for verb in (["info", model], ["generate", "-m", model, "-p", "a"], ["bench", "-m", model]):
            self.refuse(2, "model.layers.1.feed_forward.w3.weight", *verb, "--check-model")
        self.refuse_verify(2, "model.layers.1.feed_forward.w3.weight", "verify", model)
        self.refuse(2, "finite", "generate", "-m", model, "-p", "a")
        self.refuse(2, "finite", "logits", "-m", model, "--ids", "1", "-o", self.dir / "x")
        self.refuse(2, "blk.1.ffn_up.weight", "convert", model, self.dir / "x.gguf", "--type", "Q8_0", "-q")
        self.assertEqual(sorted(p.name for p in self.dir.iterdir()), ["copy"])
        self.run_tool("info", GOLDEN, "--check-model")

    def test_cut_short_while_in_use(self):
        for source in (GOLDEN / "model-bf16.gguf", GOLDEN / "model.safetensors"):
            model = self.dir / "model"
            model.mkdir(exist_ok=True)
            if source.suffix == ".safetensors":
                shutil.rmtree(model)
                model = self.copy_model("model")
                path = model / source.name
            else:
                path = model / source.name
                shutil.copyfile(source, path)
            p = subprocess.Popen([TOOL, "generate", "-m", model, "--chat", "-n", "4"], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_env())
            p.stdin.write(b"a\n")
            p.stdin.flush()
            self.assertTrue(p.stdout.readline())
            os.truncate(path, 100000)
            out, err = p.communicate(b"b\n", timeout=HANG_S)
            self.assertEqual(p.returncode, 2, err)
            self.assertIn(source.name.encode(), err)
            self.assertNotIn(b"Sanitizer", err)
            path.unlink()


class Convert(Case):
    def test_logits_stay(self):
        case = cases("logits")[3]
        (_, want), greedy = self.logits(GOLDEN, case["ids"], "--cpumask", "0", n=24)
        ids = self.run_json("tokenize", "-m", GOLDEN, "-p", "a b")["ids"]
        for kind in ("F32", "F16", "BF16", "Q8_0", "Q4_0"):
            out, plain = self.dir / f"{kind}.gguf", self.dir / f"{kind}-F32.gguf"
            self.assertEqual(self.run_tool("convert", GOLDEN, out, "--type", kind, "--embed-type", kind, "-q"), ("", ""))
            (_, got), after = self.logits(out, case["ids"], "--cpumask", "0", n=24)
            # what the blocks say: multiplied as they are, and decoded to F32 first
            self.run_tool("convert", out, plain, "--type", "F32", "-q")
            (_, decoded), after_decoded = self.logits(plain, case["ids"], "--cpumask", "0", n=24)
            self.assertLessEqual(nmse(got, decoded), 1e-10, kind)
            self.assertEqual(after, after_decoded)
            if kind in ("F32", "BF16"):  # nothing is lost
                self.assertEqual(got, want)
            if kind == "F16":  # but for subnormals
                self.assertLessEqual(nmse(got, want), 1e-10)
                self.assertEqual(after, greedy)
            self.assertEqual(set(self.run_json("info", out, "--json")["quantisation"]), {kind, "F32"})
            self.assertEqual(self.run_json("tokenize", "-m", out, "-p", "a b")["ids"], ids)

    def test_k_types(self):
        for kind, embed in (("Q4_K", "Q6_K"), ("Q6_K", "Q6_K"), ("Q4_0", "Q6_K")):
            out = self.dir / f"{kind}.gguf"
            self.run_tool("convert", QUANT_K, out, "--type", kind, "-q")
            quantisation = self.run_json("info", out, "--json")["quantisation"]
            self.assertEqual(set(quantisation), {kind, embed, "F32"})
            self.run_tool("generate", "-m", out, "-p", "a", "-n", "2")

    def test_rows_that_fit_no_block(self):
        out = self.dir / "out.gguf"
        _, err = self.run_tool("convert", GOLDEN, out, "--type", "Q4_0", "--progress", "none")
        self.assertEqual(err, "lfm2-model: token_embd.weight: rows of 128 do not fit blocks of Q6_K: written as F16\n")

    def test_quantize_is_the_same(self):
        a, b = self.dir / "a.gguf", self.dir / "b.gguf"
        self.run_tool("convert", GOLDEN, a, "--type", "Q8_0", "--embed-type", "F16", "-q")
        self.run_tool("quantize", GOLDEN, b, "q8_0", "--embed-type", "F16", "-q")
        self.assertEqual(a.read_bytes(), b.read_bytes())
        self.run_tool("quantize", a, b, "Q4_0", "--embed-type", "Q8_0", "-q")  # from blocks
        self.assertEqual(set(self.run_json("info", b, "--json")["quantisation"]), {"Q4_0", "Q8_0", "F32"})
        self.refuse(1, "type: 'Q9_0' is none of: F32 F16 BF16 Q8_0 Q4_0 Q4_K Q6_K; the nearest is", "quantize", a, b, "Q9_0")
        self.refuse(1, "no type", "convert", GOLDEN, a)

    def test_experts(self):
        out = self.dir / "moe.gguf"
        self.run_tool("convert", MOE, out, "--type", "BF16", "-q")
        ids = [1, 50, 60, 70]
        a, b = self.logits(MOE, ids, "--cpumask", "0", n=8), self.logits(out, ids, "--cpumask", "0", n=8)
        self.assertEqual(a[1], b[1])
        self.assertLessEqual(nmse(a[0][1], b[0][1]), 1e-9)

    def test_progress(self):
        out = self.dir / "out.gguf"
        _, err = self.run_tool("convert", GOLDEN, out, "--type", "F16", "--progress", "plain")
        self.assertRegex(err, r"\Alfm2-model: convert: \d+ %\n(.*\n)*lfm2-model: convert: 100 %\n\Z")
        _, err = self.run_tool("convert", GOLDEN, out, "--type", "F16")  # no terminal: the first seconds pass in silence
        self.assertRegex(err, r"\A(lfm2-model: convert: \d+ %\n)*\Z")
        _, err = self.run_tool("convert", GOLDEN, out, "--type", "F16", "--progress", "jsonl")
        lines = [json.loads(line) for line in err.splitlines()]
        self.assertEqual(lines[-1], {"job": "convert", "percent": 100})
        self.assertEqual([x["percent"] for x in lines], sorted({x["percent"] for x in lines}))
        self.assertEqual(self.run_tool("convert", GOLDEN, out, "--type", "F16", "--progress", "none")[1], "")
        self.assertEqual(self.run_tool("convert", GOLDEN, out, "--type", "F16", "-q")[1], "")

    def test_output_that_cannot_be_written(self):
        for path in (self.dir / "none" / "x.gguf", self.dir, "/dev/null/x"):
            self.refuse(5, str(path), "convert", GOLDEN, path, "--type", "F16", "-q")
        self.assertEqual(list(self.dir.iterdir()), [])
        self.refuse(1, "not to standard output", "convert", GOLDEN, "-", "--type", "F16")

    def test_no_room(self):
        """The write fails half-way: exit 5, the earlier file as it was, nothing beside it."""
        out = self.dir / "out.gguf"
        out.write_bytes(b"earlier")

        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (300000, 300000))

        self.refuse(5, "out.gguf", "convert", GOLDEN, out, "--type", "F16", "-q", preexec_fn=limit)
        self.refuse(5, "x", "logits", "-m", MOE, "--ids", "1", "-o", self.dir / "x", preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_FSIZE, (100, 100)))
        self.assertEqual(out.read_bytes(), b"earlier")
        self.assertEqual(list(self.dir.iterdir()), [out])


class Bench(Case):
    FIELDS = ["schema_version", "file", "architecture", "parameters", "threads", "instruction_sets", "batch", "reps", "load_ms",
              "prefill", "decode", "memory", "kernels"]

    def check(self, result, n_prefill, n_decode):
        for key, n in (("prefill", n_prefill), ("decode", n_decode)):
            self.assertEqual(result[key]["tokens"], n)
            for what in ("ms", "tokens_per_s"):
                s = result[key][what]
                self.assertTrue(0 < s["min"] <= s["median"] <= s["max"], s)
        self.assertTrue(result["load_ms"]["min"] <= result["load_ms"]["median"] <= result["load_ms"]["max"])
        self.assertGreater(result["memory"]["peak_bytes"], result["memory"]["weights_bytes"])

    def test_model(self):
        result = self.run_json("bench", "-m", GOLDEN, "--prompt", "20", "--gen", "3", "--batch", "2", "-t2", "-r2", "--json")
        self.assertEqual(list(result), self.FIELDS)
        self.assertEqual([result[k] for k in ("threads", "batch", "reps")], [2, 2, 2])
        self.check(result, 40, 6)
        result = self.run_json("bench", "-m", GOLDEN, "--prompt", "4", "--gen", "1", "-r", "1", "--json", "--cpumask", "0")
        self.assertEqual(set(result["kernels"].values()) - {"none", "-"}, {"scalar"})
        self.assertEqual(result["instruction_sets"], [])

    def test_shape(self):
        shape = GOLDEN / "config.json"
        result = self.run_json("bench", "--shape", shape, "--type", "Q8_0", "--prompt", "8", "--gen", "2", "--json")
        self.assertEqual(list(result), ["schema_version", "shape", "type", *self.FIELDS[2:]])
        self.assertEqual(result["parameters"], 1158400)
        self.check(result, 8, 2)

    def test_text(self):
        out, err = self.run_tool("bench", "-m", GOLDEN, "--prompt", "4", "--gen", "2", "-r", "1")
        self.assertEqual(err, "")
        for part in ("prefill", "decode", "tokens/s", "memory:", "gemm_bf16"):
            self.assertIn(part, out)

    def test_refusals(self):
        self.refuse(1, "4097 tokens together, but the model's context holds 4096", "bench", "-m", GOLDEN, "--prompt", "4000",
                    "--gen", "97")
        self.refuse(1, "--type is for --shape", "bench", "-m", GOLDEN, "--type", "F16")
        self.refuse(2, "none.json", "bench", "--shape", self.dir / "none.json")
        (self.dir / "bad.json").write_text("{}")
        self.refuse(2, "bad.json", "bench", "--shape", self.dir / "bad.json")
        self.refuse(2, "", "bench", "--shape", GOLDEN / "config.json", "--type", "Q4_K")  # rows of 128

    def test_out_of_memory(self):
        if SANITIZED:
            self.skipTest("the sanitizer's shadow memory is address space")
        self.refuse(6, "", "bench", "-m", GOLDEN, "--prompt", "3900", "--batch", "1024", "-t", "1",
                    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30)))


class Verify(Case):
    def hashes(self, folder):
        names = sorted(p.name for p in folder.iterdir() if p.suffix in (".safetensors", ".gguf", ".json", ".jinja"))
        return {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in names}

    def test_good(self):
        out, err = self.run_tool("verify", GOLDEN)
        self.assertEqual(out, "".join(f"{h}  {n}\n" for n, h in self.hashes(GOLDEN).items()))
        self.assertIn("complete and finite", err)
        one = self.run_json("verify", GOLDEN / "model-bf16.gguf", "--json", "-q")
        self.assertEqual(one, {"schema_version": 1, "ok": True, "files": [
            {"name": "model-bf16.gguf", "bytes": (GOLDEN / "model-bf16.gguf").stat().st_size,
             "sha256": self.hashes(GOLDEN)["model-bf16.gguf"], "match": None}],
            "manifest": None, "complete": True, "tensors": 56, "not_finite": []})

    def test_list_of_hashes(self):
        model = self.copy_model()
        listing, _ = self.run_tool("verify", model, "-q")
        sums = model / "SHA256SUMS"
        listing = listing.replace("  model.safetensors", " *./model.safetensors")
        sums.write_text(f"# made on a good day\n{listing}\n{'0' * 64}  README.md\n")
        result = self.run_json("verify", model, "--json", "-q")
        self.assertTrue(result["ok"])
        self.assertEqual({f["match"] for f in result["files"]}, {True})
        self.assertIn("hashes as listed", self.run_tool("verify", model)[1])

        data = bytearray((model / "model.safetensors").read_bytes())
        data[-1] ^= 1
        (model / "model.safetensors").write_bytes(data)
        result = self.run_json("verify", model, "--json", "-q", code=2)
        self.assertFalse(result["ok"])
        self.assertEqual([f["name"] for f in result["files"] if not f["match"]], ["model.safetensors"])
        _, err = self.run_tool("verify", model, code=2)
        self.assertIn("model.safetensors: sha256 is not the one in", err)
        self.run_tool("verify", model, "--no-verify")
        listed = self.dir / "list"
        shutil.move(sums, listed)
        self.run_tool("verify", model)
        self.run_tool("verify", model, "--manifest", listed, code=2)

    def test_manifest_before_use(self):
        model = self.copy_model()
        listed = self.dir / "list"
        lines = self.run_tool("verify", model, "-q")[0]
        uses = (["generate", "-p", "a", "-n", "1"], ["tokenize", "-p", "a"], ["info"],
                ["bench", "--prompt", "4", "--gen", "1", "-r1"])
        listed.write_text("".join(f"{line[:64].upper()}{line[64:]}\n" for line in lines.splitlines()))
        for args in uses:
            self.run_tool(*args, "-m", model, "--manifest", listed)
        (model / "config.json").write_text((model / "config.json").read_text() + "\n")
        for args in uses:
            self.refuse(2, "config.json: sha256 is not the one in", *args, "-m", model, "--manifest", listed)
            self.run_tool(*args, "-m", model, "--manifest", listed, "--no-verify")
        self.refuse(2, "config.json: sha256", "convert", model, self.dir / "x.gguf", "--type", "F16", "--manifest", listed)

    def test_bad_lists(self):
        model = self.copy_model()
        lines = self.run_tool("verify", model, "-q")[0].splitlines(keepends=True)
        listed = self.dir / "list"

        def refuse(code, why):
            self.assertIn(why, self.run_tool("verify", model, "--manifest", listed, code=code)[1])

        listed.write_text("".join(x for x in lines if "model.safetensors" not in x))
        refuse(2, "model.safetensors: not listed in")
        listed.write_text("".join(lines) + "0" * 64 + "  model-2.safetensors\n")
        refuse(2, "model-2.safetensors: listed in")
        for bad in ("x", "0" * 63 + "  a", "0" * 64 + " a", "0" * 64 + "  ", "g" * 64 + "  a"):
            listed.write_text("".join(lines) + bad + "\n")
            refuse(4, f"line {len(lines) + 1}: not `sha256  name`")
        listed.unlink()
        refuse(3, "No such file")

    def test_not_finite_and_incomplete(self):
        model = self.copy_model()
        self.poison(model)
        result = self.run_json("verify", model, "--json", "-q", code=2)
        self.assertEqual(result["not_finite"], [{"name": "model.layers.1.feed_forward.w3.weight", "n_bad": 1}])
        self.assertFalse(result["ok"])
        path = model / "model.safetensors"
        data = path.read_bytes()
        path.write_bytes(data.replace(b"layers.1.feed_forward.w3", b"layers.1.feed_forward.wX", 1))
        result = self.run_json("verify", model, "--json", "-q", code=2)
        self.assertFalse(result["complete"])
        self.assertIn("w3", self.run_tool("verify", model, "-q", code=2)[1])


if __name__ == "__main__":
    main()
