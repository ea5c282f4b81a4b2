#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""lfm2-model from outside: options, text, logits and generation. usage: see tool_case.py"""
import json
import os
import re
import shutil
import subprocess

from tool_case import Case, GOLDEN, HANG_S, MOE, SANITIZED, TOOL, VERBS, call, cases, clean_env, nmse, read_safetensors, main


class Usage(Case):
    def test_help(self):
        out, err = self.run_tool("--help")
        self.assertEqual(err, "")
        for verb in VERBS:
            self.assertRegex(out, rf"(?m)^  {verb} ")
            page, _ = self.run_tool(verb, "-h")
            self.assertTrue(page.startswith(f"usage: lfm2-model {verb} [options]"))
            self.assertLessEqual(max(map(len, page.splitlines())), 100)
            self.assertEqual(self.run_tool(verb, "--nonsense-after", "--help", code=1)[0], "")
        self.assertIn("8 deadline passed", out)

    def test_version(self):
        out, _ = self.run_tool("--version")
        self.assertRegex(out, r"^lfm2-model \d+\.\d+\.\d+\n$")
        out, _ = self.run_tool("-Vv", env=clean_env(OPENBLAS_NUM_THREADS="3"))
        self.assertIn("instruction sets:", out)
        self.assertIn("OPENBLAS_NUM_THREADS: 3", out)
        self.assertIn("OMP_NUM_THREADS: not set", out)
        self.assertIn("threads: 2\n", self.run_tool("-Vv", "-t", "2")[0])
        self.assertIn("instruction sets:\n", self.run_tool("-Vv", "--cpumask", "0")[0])

    def test_unknown_names(self):
        self.refuse(1, "unknown verb 'generte'; the nearest is 'generate'", "generte")
        self.refuse(1, "a verb is missing")
        self.refuse(1, "the verb comes first", "-q", "info")
        self.refuse(1, "unknown option --tmep; the nearest is --temp", "generate", "--tmep", "1")
        self.refuse(1, "the nearest is --max-tokens", "generate", "--max_tokens", "1")
        self.refuse(1, "the nearest is --embed-type", "convert", "--embedtype", "F16")
        self.refuse(1, "unknown option -P; the nearest is -p (--prompt)", "generate", "-P", "x")
        self.refuse(1, "unknown option --temp; the nearest is", "info", "--temp", "1")
        self.refuse(1, "the nearest is Q8_0", "convert", "a", "b", "--type", "Q8")
        self.refuse(1, "the nearest is lfm2\n", "generate", "--chat-template", "lfm3")
        self.refuse(1, "the nearest is plain", "convert", "a", "b", "--progress", "plan")
        for verb in VERBS:
            self.refuse(1, "unknown option --no-such-thing; the nearest is --", verb, "--no-such-thing")

    def test_arguments(self):
        self.refuse(1, "convert needs MODEL OUT.gguf", "convert", "a")
        self.refuse(1, "quantize needs IN OUT.gguf TYPE", "quantize", "a", "b")
        err = self.refuse(1, "at most 1 argument outside of options, not 2", "info", "secret-one", "secret-two")
        self.assertNotIn("secret", err)
        self.refuse(1, "needs a value", "generate", "-n")
        for verb in ("tokenize", "generate", "bench", "info", "verify"):
            more = ["-p", "x"] if verb in ("tokenize", "generate") else []
            self.refuse(2, "no model", verb, *more, tool=self.lone_tool())

    def test_every_numeric_option_is_refused_out_of_range(self):
        """The ranges are read from the help pages, so that no option is left out."""
        ranges = r"--([a-z-]+) [A-Z]+ (?:(?! --[a-z]).)*?\(((?:above )?[0-9.e+-]+) to ([0-9.e+-]+)\)"
        found = set()
        for verb in VERBS:
            page = " ".join(self.run_tool(verb, "--help")[0].split())
            for name, lo, hi in re.findall(ranges, page):
                found.add(name)
                above = lo.startswith("above ")
                low, high = float(lo.removeprefix("above ")), float(hi)
                bad = [str(int(high) * 2 + 1), "1e308", "-1", "99999999999999999999", "-99999999999999999999"]
                bad.append(lo.removeprefix("above ") if above else f"{low - 1:g}")
                for value in bad:
                    err = self.refuse(1, f"--{name}: ", verb, f"--{name}={value}")
                    self.assertRegex(err, "is out of range|is not a whole number")
                for value in ("", "x", "nan", "inf", "1,5", "0x10", " 1", "1 "):
                    err = self.refuse(1, f"--{name}: ", verb, f"--{name}={value}")
                    self.assertRegex(err, "is not a (whole )?number")
        expected = {"max-tokens", "temp", "top-k", "top-p", "min-p", "repeat-penalty", "seed", "context", "deadline", "prompt",
                    "gen", "batch", "reps", "threads"}
        self.assertEqual(found, expected)

    def test_cpumask(self):
        for bad in ("avx3", "0x1ffffffff", "12x", ",", "avx2,,blas", "", "-1"):
            self.refuse(1, "--cpumask: ", "info", GOLDEN, "--cpumask", bad)
        self.refuse(1, "the nearest is avx2", "info", GOLDEN, "--cpumask", "avx3")
        for good in ("0", "0x1", "avx2,blas", "scalar", "all", "AVX2"):
            self.run_tool("info", GOLDEN, "--cpumask", good)

    def test_settings_and_their_order(self):
        config = self.dir / "config.toml"
        config.write_text(f"model = \"{GOLDEN}\"\nthreads = 1\n[lfm2-see]\nmax-tiles = 3\n[lfm2-model]\nmax_tokens = 7\ntemp = 0\n")
        env = clean_env(LFM2_ARG_MAX_TOKENS="6", LFM2_MODEL="weak", LFM2_THREADS="2")
        out, _ = self.run_tool("generate", "--config", config, "--seed", "5", "--print-config", env=env)
        self.assertIn(f"model = \"{GOLDEN}\" # file: {config}\n", out)
        self.assertIn("threads = 1 # file", out)
        self.assertIn("max-tokens = 6 # environment: LFM2_ARG_MAX_TOKENS\n", out)
        self.assertIn("seed = 5 # flag\n", out)
        self.assertIn("# context is not set\n", out)
        out, _ = self.run_tool("generate", "--print-config", env=env)
        self.assertIn("model = \"weak\" # environment: LFM2_MODEL\n", out)
        self.assertIn("threads = 2 # environment: LFM2_THREADS\n", out)

        home = self.dir / "home"
        (home / "lfm2").mkdir(parents=True)
        shutil.copy(config, home / "lfm2" / "config.toml")
        result = self.run_json("generate", "-p", "a", "--json", env=clean_env(XDG_CONFIG_HOME=str(home)))
        self.assertEqual(result["tokens"]["output"], 7)
        self.assertEqual(self.run_json("tokenize", env=clean_env(LFM2_ARG_PROMPT="a", LFM2_ARG_MODEL=str(GOLDEN)))["ids"], [190])
        self.refuse(1, "LFM2_ARG_TEMP: -1 is out of range", "generate", env=clean_env(LFM2_ARG_TEMP="-1"))
        config.write_text("[lfm2-model]\ntmep = 1\n")
        self.refuse(1, "line 2: unknown option 'tmep'; the nearest is 'temp'", "generate", "--config", config)
        self.refuse(1, "No such file", "generate", "--config", self.dir / "none")

    def test_completion(self):
        out, _ = self.run_tool("--completion", "bash")
        script = self.dir / "completion"
        tries = ("convert --embed-type Q4", 3), ("ver", 1), ("bench --ba", 2)
        script.write_text(out + "".join(f"COMP_WORDS=(lfm2-model {words}); COMP_CWORD={n}; _lfm2_model; echo ${{COMPREPLY[*]}}\n"
                                        for words, n in tries))
        done = subprocess.run(["bash", script], capture_output=True, text=True, check=True)
        self.assertEqual(done.stdout.splitlines(), ["Q4_0 Q4_K", "verify", "--batch"])
        self.refuse(1, "the nearest is bash", "--completion", "fish")


class Info(Case):
    def test_json(self):
        for path, container in ((GOLDEN, "safetensors"), (GOLDEN / "model-bf16.gguf", "gguf")):
            info = self.run_json("info", path, "--json")
            self.assertEqual(info["schema_version"], 1)
            self.assertEqual(info["file"], str(path))
            self.assertEqual(info["container"], container)
            self.assertEqual(info["architecture"], "lfm2")
            self.assertEqual(info["parameters"], 1158400)
            self.assertEqual(info["tensors"], 56)
            shapes = info["shapes"]
            self.assertEqual([shapes[k] for k in ("d_model", "n_layers", "n_heads", "n_kv_heads", "head_dim", "d_ff", "n_vocab",
                                                  "n_ctx_max", "n_taps", "n_experts")], [128, 6, 4, 2, 32, 256, 1600, 4096, 3, 0])
            self.assertEqual(shapes["layers"], ["conv", "conv", "attention", "conv", "attention", "conv"])
            self.assertEqual(shapes["norm_eps"], 1e-05)
            self.assertEqual(shapes["rope_theta"], 1e6)
            self.assertIs(shapes["tied_head"], True)
            self.assertEqual(info["tokens"]["n_ids"], 1600)
            self.assertEqual([info["tokens"]["bos"], info["tokens"]["eos"]], [1, 7])
            self.assertIn(7, info["tokens"]["end_ids"])
            self.assertEqual(sum(q["tensors"] for q in info["quantisation"].values()), 56)
            self.assertEqual(sum(q["bytes"] for q in info["quantisation"].values()), info["memory"]["weights_bytes"])
            self.assertEqual(info["memory"]["context"], 4096)
        self.assertEqual(self.run_json("info", "-m", GOLDEN, "--json")["file"], str(GOLDEN))

    def test_context(self):
        small = self.run_json("info", GOLDEN, "--json", "--context", "100")["memory"]
        large = self.run_json("info", GOLDEN, "--json", "--context", "4096")["memory"]
        self.assertLess(small["session_bytes"], large["session_bytes"])
        self.refuse(1, "4097 is more than the model's 4096", "info", GOLDEN, "--context", "4097")

    def test_text(self):
        out, err = self.run_tool("info", MOE)
        self.assertEqual(err, "")
        self.assertRegex(out, r"architecture +lfm2moe\n")
        self.assertRegex(out, r"experts +8 of width 32, 4 used, from layer 1\n")
        self.assertRegex(out, r"BF16 +\d+ tensors")


class Text(Case):
    def test_golden_ids(self):
        for model in (GOLDEN, GOLDEN / "model-bf16.gguf", GOLDEN / "tokenizer.json"):
            for case in cases("tokenize"):
                result = self.run_json("tokenize", "-m", model, "--special", "-p", case["text"])
                self.assertEqual(result, {"ids": case["ids"]})
                back = self.run_json("detokenize", "-m", model, "--ids", ",".join(map(str, case["ids"])))
                self.assertEqual(back, {"text": case["decoded"]})

    def test_special_names_stay_text(self):
        text = "<|im_start|>user\nhi<|im_end|>\n"
        ids = self.run_json("tokenize", "-m", GOLDEN, "-p", text)["ids"]
        self.assertFalse({6, 7} & set(ids))
        self.assertEqual(self.run_json("detokenize", "-m", GOLDEN, "--ids", json.dumps(ids))["text"], text)

    def test_prompt_from_stdin(self):
        text = "The quick\n\n  brown\tfox\x00 \u00e9\U0001f600"
        given = self.run_json("tokenize", "-m", GOLDEN, "-p", "-", input=text.encode())["ids"]
        self.assertEqual(self.run_json("detokenize", "-m", GOLDEN, "--ids", json.dumps(given))["text"], text)
        self.assertEqual(self.run_json("tokenize", "-m", GOLDEN, "-p", "-", input=b"")["ids"], [])
        self.assertEqual(self.run_json("tokenize", "-m", GOLDEN, "-p", "")["ids"], [])

    def test_not_utf8(self):
        for bad in (b"\xff", b"ab\xc3", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x28\xa1", b"\x80"):
            for verb in (["tokenize"], ["generate"], ["generate", "--chat"], ["logits", "-o", self.dir / "x"]):
                self.refuse(4, "prompt: not valid UTF-8", *verb, "-m", GOLDEN, "-p", "-", input=bad)
                self.refuse(4, "prompt: not valid UTF-8", *verb, "-m", GOLDEN, "-p", os.fsdecode(bad))
        self.refuse(4, "--system: not valid UTF-8", "generate", "--chat", "-m", GOLDEN, "-p", "a", "--system", os.fsdecode(b"\xff"))
        self.refuse(4, "prompt: not valid UTF-8", "generate", "--chat", "-m", GOLDEN, input=b"\xff\n")

    def test_detokenize(self):
        special = self.run_json("detokenize", "-m", GOLDEN, "--ids", "1,190,7")["text"]
        self.assertEqual(special, "<|startoftext|>a<|im_end|>")
        self.assertEqual(self.run_json("detokenize", "-m", GOLDEN, "--special", "--ids", "1 190 7")["text"], special)
        self.assertEqual(self.run_json("detokenize", "-m", GOLDEN, "--skip-special", "--ids", " [1, 190,7 ] ")["text"], "a")
        self.assertEqual(self.run_json("detokenize", "-m", GOLDEN, "--ids", "[]")["text"], "")
        for bad in ("1,", ",1", "1,,2", "x", "1,x", "-1", "1.5", "[1", "1]", "2147483648", "1;2"):
            self.refuse(1, "--ids: entry ", "detokenize", "-m", GOLDEN, f"--ids={bad}")
        self.refuse(4, "", "detokenize", "-m", GOLDEN, "--ids", "1600")
        self.refuse(1, "no ids", "detokenize", "-m", GOLDEN)
        self.refuse(1, "exclude each other", "detokenize", "-m", GOLDEN, "--ids", "1", "--special", "--skip-special")

    def test_template(self):
        for case in cases("chat"):
            path = self.dir / "messages.json"
            want = {"text": case["text"]}
            path.write_text(json.dumps(case["messages"]), "utf-8")
            for model in (GOLDEN, GOLDEN / "model-bf16.gguf"):
                self.assertEqual(self.run_json("template", "-m", model, "--messages", path), want)
                self.assertEqual(self.run_json("template", "-m", model, "--messages", "-", input=path.read_bytes()), want)
            for name in ("lfm2", "lfm2.5", "lfm2.5-moe", "vl"):
                self.assertEqual(self.run_json("template", "-m", GOLDEN, "--messages", path, "--chat-template", name), want)

    def test_thinking(self):
        texts = ["1", "<think>a</think>2", "3", "<think>b</think>4", "5"]
        messages = [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]
        args = ["template", "-m", GOLDEN, "--chat-template", "lfm2.5", "--messages", "-"]
        data = json.dumps(messages).encode()
        self.assertNotIn("<think>a", self.run_json(*args, input=data)["text"])
        self.assertIn("<think>a", self.run_json(*args, "--keep-thinking", input=data)["text"])

    def test_bad_messages(self):
        self.refuse(1, "no messages", "template", "-m", GOLDEN)
        self.refuse(3, "none.json: No such file", "template", "-m", GOLDEN, "--messages", self.dir / "none.json")
        self.refuse(3, "not a regular file", "template", "-m", GOLDEN, "--messages", self.dir)
        os.mkfifo(self.dir / "fifo")
        self.refuse(3, "not a regular file", "template", "-m", GOLDEN, "--messages", self.dir / "fifo")
        for bad in (b"", b"{", b"[1]", b"[{\"role\":\"user\"}]", b"[{\"role\":1,\"content\":\"a\"}]", b"\xff", b"[" * 5000,
                    b"[{\"role\":\"user\",\"content\":\"a\"}] x"):
            err = self.run_tool("template", "-m", GOLDEN, "--messages", "-", input=bad, code=4)[1]
            self.assertEqual(len(err.splitlines()), 1)

    def test_unknown_template(self):
        model = self.copy_model()
        (model / "chat_template.jinja").write_text("{{ something_else }}")
        data = json.dumps([{"role": "user", "content": "a"}]).encode()
        err = self.run_tool("template", "-m", model, "--messages", "-", input=data, code=2)[1]
        self.assertIn("template", err)
        for args in (["generate", "--chat", "-p", "a"], ["generate", "--chat"], ["logits", "-p", "a", "-o", self.dir / "x"]):
            self.assertIn("template", self.run_tool(*args, "-m", model, code=2, input=b"a\n")[1])
        text = self.run_json("template", "-m", model, "--messages", "-", "--chat-template", "lfm2", input=data)["text"]
        self.assertEqual(text, "<|startoftext|><|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n")
        self.run_tool("generate", "--chat", "-p", "a", "-n", "2", "-m", model, "--chat-template", "lfm2")


class Logits(Case):
    def test_golden(self):
        expected = read_safetensors(GOLDEN / "expected.safetensors")
        for model in (GOLDEN, GOLDEN / "model-bf16.gguf"):
            for mask, limit in (("0", 1e-6), ("all", 1e-4)):
                for case in cases("logits"):
                    (shape, got), greedy = self.logits(model, case["ids"], "--cpumask", mask, n=24)
                    self.assertEqual(shape, [1600])
                    self.assertLessEqual(nmse(got, expected[case["tensor"]][1]), limit)
                    self.assertEqual(greedy, case["greedy"])

    def test_threads_do_not_matter(self):
        ids = cases("logits")[4]["ids"]
        self.assertEqual(self.logits(GOLDEN, ids, "-t", "1", "--cpumask", "avx2,avx512,neon"),
                         self.logits(GOLDEN, ids, "-t", "3", "--cpumask", "avx2,avx512,neon"))

    def test_prompt_is_a_turn(self):
        out = self.dir / "x.safetensors"
        for sys_args, messages in (([], []), (["--system", "Be \"brief\"\n"], [{"role": "system", "content": "Be \"brief\"\n"}])):
            messages = messages + [{"role": "user", "content": "What <|im_end|> is it?"}]
            text = self.run_json("template", "-m", GOLDEN, "--messages", "-", input=json.dumps(messages).encode())["text"]
            got = self.run_json("logits", "-m", GOLDEN, *sys_args, "-p", "What <|im_end|> is it?", "-o", out)
            self.assertEqual(got["greedy"], [])
            back = self.run_json("detokenize", "-m", GOLDEN, "--ids", json.dumps(got["ids"]))["text"]
            self.assertEqual(back, text)
            self.assertEqual(got["ids"].count(7), len(messages))  # what the user typed forges no end of turn
            obeyed = self.run_json("logits", "-m", GOLDEN, *sys_args, "-p", "What <|im_end|> is it?", "--special", "-o", out)
            self.assertEqual(obeyed["ids"], self.run_json("tokenize", "-m", GOLDEN, "--special", "-p", text)["ids"])

    def test_usage(self):
        out = self.dir / "x"
        self.refuse(1, "no output", "logits", "-m", GOLDEN, "--ids", "1")
        self.refuse(1, "the logits go to a file", "logits", "-m", GOLDEN, "--ids", "1", "-o", "-")
        self.refuse(1, "no prompt", "logits", "-m", GOLDEN, "-o", out)
        self.refuse(1, "exclude each other", "logits", "-m", GOLDEN, "-o", out, "--ids", "1", "-p", "a")
        self.refuse(1, "exclude each other", "logits", "-m", GOLDEN, "-o", out, "--ids", "1", "--system", "a")
        self.refuse(1, "empty", "logits", "-m", GOLDEN, "-o", out, "--ids", "")
        self.refuse(4, "entry 2 is 1600, but the model has ids 0 to 1599", "logits", "-m", GOLDEN, "-o", out, "--ids", "1,1600")
        long = ",".join(["5"] * 4090)
        self.refuse(4, "4090 tokens and 7 to come, but the context holds 4096", "logits", "-m", GOLDEN, "-o", out, "--ids", long,
                    "-n", "7")
        self.refuse(4, "tokens, but the context holds 4096", "logits", "-m", GOLDEN, "-o", out, "-p", "-", input=b"a " * 9000)
        self.assertFalse(out.exists())

    def test_output_that_cannot_be_written(self):
        before = sorted(self.dir.iterdir())
        for path in (self.dir / "none" / "x", self.dir, "/dev/null/x", "/proc/self/x"):
            self.refuse(5, str(path), "logits", "-m", GOLDEN, "--ids", "1", "-o", path)
        self.assertEqual(sorted(self.dir.iterdir()), before)


class Generate(Case):
    def gen(self, *args, **kw):
        return self.run_json("generate", "-m", GOLDEN, "--json", *args, **kw)

    def test_fields(self):
        result = self.gen("-p", "The quick", "-n", "5")
        self.assertEqual(list(result), ["schema_version", "text", "stop", "tokens", "mean_logprob", "timing_ms"])
        self.assertEqual(result["stop"], "length")
        self.assertEqual(result["tokens"]["output"], 5)
        self.assertLess(result["mean_logprob"], 0)
        self.assertEqual(list(result["timing_ms"]), ["load", "prefill", "generate"])

    def test_raw_is_a_continuation_after_bos(self):
        ids = [1, *self.run_json("tokenize", "-m", GOLDEN, "-p", "The quick")["ids"]]
        _, greedy = self.logits(GOLDEN, ids, n=20)
        self.assertFalse({2, 7} & set(greedy))
        text = self.run_json("detokenize", "-m", GOLDEN, "--skip-special", "--ids", json.dumps(greedy))["text"]
        result = self.gen("-p", "The quick", "-n", "20", "--temp", "0")
        self.assertEqual(result["text"], text)
        self.assertEqual(result["tokens"], {"prompt": len(ids), "output": 20})
        out, err = self.run_tool("generate", "-m", GOLDEN, "-p", "-", "-n", "20", "--temp", "0", input=b"The quick")
        self.assertEqual(out, text + "\n")
        self.assertEqual(err, "")

    def test_special_tokens_in_the_output(self):
        prompt = None
        for c in cases("logits"):
            if any(8 <= i < 126 for i in c["greedy"]):
                prompt = c
                break
        self.assertIsNotNone(prompt)
        text = self.run_json("detokenize", "-m", GOLDEN, "--ids", json.dumps(prompt["ids"][1:]))["text"]
        if "\ufffd" in text:
            self.skipTest("the reference prompt is no text")
        self.assertIn("<|", self.gen("-p", text, "--special", "-n", "24", "--temp", "0")["text"])

    def test_verbose(self):
        out, err = self.run_tool("generate", "-m", GOLDEN, "-p", "a", "-n", "3", "-v")
        self.assertRegex(err, r"stop: length; tokens: 2 prompt \(2 new\), 3 output\n")
        self.assertRegex(err, r"sampling: temp 0\.1, top-k 0, top-p 1, min-p 0\.15, repeat-penalty 1\.05, seed 0\n")
        self.assertNotIn(out.strip(), err)

    def test_seed_and_sampling(self):
        hot = ["-p", "a", "-n", "30", "--temp", "2"]
        self.assertEqual(self.gen(*hot, "--seed", "1")["text"], self.gen(*hot, "--seed", "1")["text"])
        self.assertEqual(self.gen(*hot, "--seed", "1", "-t", "1")["text"], self.gen(*hot, "--seed", "1", "-t", "2")["text"])
        self.assertNotEqual(self.gen(*hot, "--seed", "1")["text"], self.gen(*hot, "--seed", "2")["text"])
        greedy = self.gen("-p", "a", "-n", "30", "--temp", "0")["text"]
        for one in (["--top-k", "1"], ["--top-p", "1e-9"], ["--min-p", "1"]):
            self.assertEqual(self.gen(*hot, "--repeat-penalty", "1", *one)["text"], greedy, one)
        self.assertNotEqual(self.gen("-p", "a", "-n", "60", "--temp", "0", "--repeat-penalty", "100")["text"],
                            self.gen("-p", "a", "-n", "60", "--temp", "0")["text"])

    def test_stop_at_an_end_token(self):
        case = cases("logits")[1]
        model = self.copy_model()
        prompt = self.run_json("detokenize", "-m", GOLDEN, "--ids", json.dumps(case["ids"][1:]))["text"]
        ids = [1, *self.run_json("tokenize", "-m", GOLDEN, "-p", prompt)["ids"]]
        _, greedy = self.logits(GOLDEN, ids, n=4)
        config = json.loads((model / "generation_config.json").read_text())
        config["eos_token_id"] = [7, greedy[3]]
        (model / "generation_config.json").write_text(json.dumps(config))
        result = self.run_json("generate", "-m", model, "-p", prompt, "--temp", "0", "--json")
        self.assertEqual(result["stop"], "eos")
        self.assertEqual(result["tokens"]["output"], greedy.index(greedy[3]))
        _, after = self.logits(model, ids, n=6)  # end tokens do not end `logits`
        self.assertEqual(len(after), 6)

    def test_context(self):
        n = self.gen("-p", "a b c d", "-n", "1")["tokens"]["prompt"]
        for cap in (n - 1, 1):
            self.refuse(4, f"prompt: {n} tokens, but the context holds {cap}", "generate", "-m", GOLDEN, "-p", "a b c d",
                        "--context", cap)
        result = self.gen("-p", "a b c d", "--context", n + 3)
        self.assertEqual(result["stop"], "length")
        self.assertLessEqual(result["tokens"]["output"], 3)
        self.assertEqual(self.gen("-p", "a b c d", "--context", n)["tokens"]["output"], 0)
        self.refuse(1, "4097 is more than the model's 4096", "generate", "-m", GOLDEN, "-p", "a", "--context", "4097")
        self.refuse(4, "tokens, but the context holds 4096", "generate", "--chat", "-m", GOLDEN, "-p", "-", input=b"a " * 9000)

    def test_huge_prompt(self):
        n = (4 if SANITIZED else 64) << 20
        err = self.refuse(4, "tokens, but the context holds 4096", "generate", "-m", GOLDEN, "-p", "-",
                          input=b"lorem ipsum " * (n // 12))
        self.assertLess(len(err), 200)
        self.refuse(4, "the limit of 268435456 bytes", "tokenize", "-m", GOLDEN, "-p", "-", input=b"a" * (256 << 20) + b"b")

    def test_empty_prompt(self):
        self.assertEqual(self.gen("-p", "", "-n", "1")["tokens"]["prompt"], 1)  # BOS alone
        self.refuse(1, "no prompt", "generate", "-m", GOLDEN)
        self.refuse(1, "need --chat", "generate", "-m", GOLDEN, "-p", "a", "--system", "b")
        self.refuse(1, "need --chat", "generate", "-m", GOLDEN, "-p", "a", "--chat-template", "vl")

    def test_deadline(self):
        result = self.run_json("generate", "-m", GOLDEN, "--json", "-p", "a", "-n", "4000", "--deadline", "0.000001", code=8)
        self.assertEqual(result["stop"], "deadline")
        _, err = self.run_tool("generate", "-m", GOLDEN, "-p", "a", "-n", "4000", "--deadline", "0.000001", code=8)
        self.assertEqual(err, "lfm2-model: generate: deadline passed\n")
        self.refuse(8, "deadline passed", "logits", "-m", GOLDEN, "--ids", ",".join(["5"] * 4000), "-o", self.dir / "x",
                    "--deadline", "0.000001")
        self.assertFalse((self.dir / "x").exists())
        self.gen("-p", "a", "-n", "2", "--deadline", "1000")

    def test_deadline_while_waiting_for_a_turn(self):
        with subprocess.Popen([TOOL, "generate", "-m", GOLDEN, "--chat", "--deadline", "0.3"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_env()) as p:
            self.assertEqual(p.wait(HANG_S), 8)
            self.assertIn(b"deadline passed", p.stderr.read())

    def render(self, messages):
        text = self.run_json("template", "-m", GOLDEN, "--messages", "-", input=json.dumps(messages).encode())["text"]
        return self.run_json("tokenize", "-m", GOLDEN, "--special", "-p", text)["ids"]

    def test_chat_keeps_the_conversation(self):
        out, _ = self.run_tool("generate", "-m", GOLDEN, "--chat", "--system", "Be brief.", "-n", "12", "--temp", "0", "--json",
                               input=b"Hello there\n\nAnd now?\r\nBye")
        turns = [json.loads(line) for line in out.splitlines()]
        self.assertEqual(len(turns), 3)
        messages = [{"role": "system", "content": "Be brief."}]
        for text, turn in zip(("Hello there", "And now?", "Bye"), turns):
            messages.append({"role": "user", "content": text})
            ids = self.render(messages)
            self.assertEqual(turn["tokens"]["prompt"], len(ids))
            _, greedy = self.logits(GOLDEN, ids, n=12)
            shown = self.run_json("detokenize", "-m", GOLDEN, "--skip-special", "--ids", json.dumps(greedy))["text"]
            self.assertEqual(turn["text"], shown)
            reply = self.run_json("detokenize", "-m", GOLDEN, "--ids", json.dumps(greedy))["text"]
            messages.append({"role": "assistant", "content": reply})
        one = self.gen("--chat", "--system", "Be brief.", "-n", "12", "--temp", "0", "-p", "Hello there")
        self.assertEqual(one["text"], turns[0]["text"])

    def test_chat_reuses_what_it_has_read(self):
        _, err = self.run_tool("generate", "-m", GOLDEN, "--chat", "-n", "1", "--temp", "0", "-v",
                               input=b"some words to read\nmore\n")
        counts = [tuple(map(int, m)) for m in re.findall(r"tokens: (\d+) prompt \((\d+) new\)", err)]
        (first, new_first), (second, new_second) = counts
        self.assertEqual(first, new_first)
        self.assertLessEqual(new_second, second - first)

    def test_chat_limits(self):
        self.assertEqual(self.run_tool("generate", "-m", GOLDEN, "--chat", input=b""), ("", ""))
        self.refuse(4, "over the limit of 1048576", "generate", "-m", GOLDEN, "--chat", input=b"a" * ((1 << 20) + 1) + b"\n")

    def test_output_is_utf8(self):
        for seed in range(6):
            done = call(["generate", "-m", GOLDEN, "-p", "\U0001f600", "-n", "100", "--temp", "3", "--seed", seed])
            self.assertEqual(done.returncode, 0)
            done.stdout.decode("utf-8")

    def test_nothing_of_the_prompt_in_messages(self):
        canary = "canary4711 zebra"
        runs = [(["generate", "-m", GOLDEN, "-vv", "-n", "3", "-p", canary], 0),
                (["generate", "-m", GOLDEN, "-vv", "--context", "1", "-p", canary], 4),
                (["generate", "-m", GOLDEN, "-vv", "--chat", "--context", "4", "-p", canary], 4),
                (["generate", "-m", self.dir, "-vv", "-p", canary], 2),
                (["logits", "-m", GOLDEN, "-vv", "-o", self.dir / "no" / "x", "-p", canary], 5),
                (["generate", "-m", GOLDEN, "-vv", canary, canary], 1),
                (["tokenize", "-m", GOLDEN, "-vv", "-p", canary + os.fsdecode(b"\xff")], 4),
                (["template", "-m", GOLDEN, "-vv", "--messages", "-"], 4)]
        for args, code in runs:
            _, err = self.run_tool(*args, code=code, input=f"[{{\"role\": \"user\", \"{canary}\": 1}}]".encode())
            self.assertNotIn("canary", err)
            self.assertNotIn("zebra", err)

    def test_locale(self):
        args = ["generate", "-m", GOLDEN, "-p", "I\u0130\u0131i 1.5", "-n", "20", "--temp", "0.7", "--seed", "3"]
        plain = self.run_tool(*args)[0]
        info = self.run_tool("info", GOLDEN, "--json")[0]
        for name in ("C", "tr_TR.UTF-8", "tr_TR", "de_DE.UTF-8", "ar_SA.UTF-8", "no_such_locale"):
            env = clean_env(LC_ALL=name, LANG=name, LC_NUMERIC=name, TZ="Asia/Tokyo")
            self.assertEqual(self.run_tool(*args, env=env)[0], plain)
            self.assertEqual(self.run_tool("info", GOLDEN, "--json", env=env)[0], info)


if __name__ == "__main__":
    main()
