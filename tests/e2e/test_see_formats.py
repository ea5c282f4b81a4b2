#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The formats of seeing against their definitions: ALTO against its schema, hOCR against XHTML's document type and its own rules,
JSON and TSV by reading them back. usage: test_see_formats.py WRITE_SEE_SAMPLES TESTS_FOLDER

Without xmllint, or without the document type (Debian: w3c-sgml-lib), what needs them is skipped and the reason stated."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

SAMPLES, TESTS = sys.argv[1], pathlib.Path(sys.argv[2])
ALTO = TESTS / "e2e/fixtures/alto"
XHTML_CATALOG = pathlib.Path("/usr/share/xml/w3c-sgml-lib/schema/dtd/catalog.xml")
HTML = "{http://www.w3.org/1999/xhtml}"
ALTO_NS = "{http://www.loc.gov/standards/alto/ns-v4#}"

WORD, STRING = r'[!-:<-~]+', r'"[ -!#-~]+"'
PROPERTY = rf"[a-z]\w* (?:{STRING}|{WORD})(?: (?:{STRING}|{WORD}))*"
PROPERTIES = re.compile(rf"{PROPERTY}(?:; {PROPERTY})*")
NEEDED = {"ocr_page": "bbox", "ocr_carea": "bbox", "ocr_par": "bbox", "ocr_line": "bbox", "ocrx_word": "bbox"}
INSIDE = {"ocr_carea": "ocr_page", "ocr_par": "ocr_carea", "ocr_line": "ocr_par", "ocrx_word": "ocr_line"}
KNOWN = {"bbox", "image", "ppageno", "x_wconf", "x_conf", "x_stop", "x_blank", "x_partial"}


def properties(title):
    return dict(p.split(" ", 1) for p in re.findall(r'[a-z]\w* (?:"[^"]*"|[^;"])+', title))


def hocr_complaints(text):
    """What is wrong with an hOCR document, by version 1.2 of its specification."""
    root = ElementTree.fromstring(text)
    metas = [m.get("name") for m in root.iter(HTML + "meta")]
    for name in ("ocr-system", "ocr-capabilities"):
        if metas.count(name) != 1:
            yield f"{metas.count(name)} meta {name}"
    capabilities = next(m.get("content") for m in root.iter(HTML + "meta") if m.get("name") == "ocr-capabilities").split()
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    if len(ids) != len(set(ids)):
        yield "an id twice"

    def walk(element, outer, outer_box):
        name = element.get("class", "")
        box = outer_box
        if name.startswith("ocr"):
            title = element.get("title", "")
            if name not in capabilities:
                yield f"{name} is no capability"
            if not PROPERTIES.fullmatch(title):
                yield f"no properties: {title!r}"
            found = properties(title)
            for p in found.keys() - KNOWN:
                yield f"property {p} is not known"
            if NEEDED[name] not in found:
                yield f"{name} without {NEEDED[name]}"
            if INSIDE.get(name) != outer:
                yield f"{name} in {outer}"
            if not re.fullmatch(r"\d+ \d+ \d+ \d+", found["bbox"]):
                yield f"bbox {found['bbox']}"
            box = tuple(map(int, found["bbox"].split()))
            if box[0] > box[2] or box[1] > box[3]:
                yield f"bbox {box} is turned round"
            if outer_box and not (outer_box[0] <= box[0] and outer_box[1] <= box[1] and box[2] <= outer_box[2]
                                  and box[3] <= outer_box[3]):
                yield f"{name} {box} is not in {outer_box}"
            if "x_wconf" in found and not 0 <= float(found["x_wconf"]) <= 100:
                yield f"x_wconf {found['x_wconf']}"
            if "x_wconf" in found and "ocrp_wconf" not in capabilities:
                yield "ocrp_wconf is no capability"
            outer = name
        for inner in element:
            yield from walk(inner, outer, box)

    yield from walk(root, None, None)


class Formats(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="lfm2-formats-"))
        subprocess.run([SAMPLES, str(cls.folder)], check=True)
        cls.numbers = sorted(int(p.stem) for p in cls.folder.glob("*.json"))
        assert len(cls.numbers) >= 40

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def read(self, number, form):
        return (self.folder / f"{number}.{form}").read_bytes().decode("utf-8")  # strict

    def results(self, number):
        found = json.loads(self.read(number, "json"))
        return found if isinstance(found, list) else [found]

    def lint(self, catalogs, *args):
        env = dict(os.environ, XML_CATALOG_FILES=" ".join(map(str, catalogs)))
        p = subprocess.run(["xmllint", "--nonet", "--noout", *map(str, args)], env=env, capture_output=True, text=True, check=False)
        self.assertEqual(p.returncode, 0, p.stderr[-2000:])

    def files(self, form):
        return [self.folder / f"{n}.{form}" for n in self.numbers]

    @unittest.skipUnless(shutil.which("xmllint"), "no xmllint here")
    def test_alto_schema(self):
        self.lint([ALTO / "catalog.xml"], "--schema", ALTO / "alto-4-4.xsd", *self.files("alto"))
        broken = self.folder / "broken.alto"
        broken.write_text(self.read(1, "alto").replace("MeasurementUnit", "Unit"))
        with self.assertRaises(AssertionError):  # the schema does look
            self.lint([ALTO / "catalog.xml"], "--schema", ALTO / "alto-4-4.xsd", broken)

    @unittest.skipUnless(shutil.which("xmllint"), "no xmllint here")
    @unittest.skipUnless(XHTML_CATALOG.exists(), "no document type of XHTML here (w3c-sgml-lib)")
    def test_hocr_document_type(self):
        self.lint([XHTML_CATALOG], "--valid", *self.files("hocr"))
        broken = self.folder / "broken.hocr"
        broken.write_text(self.read(1, "hocr").replace("<body>", "<body><unknown/>"))
        with self.assertRaises(AssertionError):
            self.lint([XHTML_CATALOG], "--valid", broken)

    def test_hocr_rules(self):
        for n in self.numbers:
            self.assertEqual(list(hocr_complaints(self.read(n, "hocr"))), [], n)
        good = self.read(1, "hocr")
        for a, b in ((" x_stop", " stop"), ("bbox 0", "bbox -1"), ('name="ocr-system"', 'name="system"'),
                     ('class="ocr_page"', 'class="ocr_sheet"')):
            self.assertIn(a, good)
            try:
                found = list(hocr_complaints(good.replace(a, b)))
            except (KeyError, ValueError):
                found = ["not readable"]
            self.assertNotEqual(found, [], b)

    def texts(self, number):
        """Of each page the texts of its lines, as far as XML can hold them."""
        for r in self.results(number):
            lines = [line["text"] for line in r["lines"]]
            if not lines and r["text"]:
                lines = [t for t in re.split(r"[\r\n]+", r["text"]) if t]
            yield [re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]", "\ufffd", t) for t in lines]

    def test_texts_come_through(self):
        n_compared = 0
        for n in self.numbers:
            alto = ElementTree.fromstring(self.read(n, "alto"))
            hocr = ElementTree.fromstring(self.read(n, "hocr"))
            pages = [[s.get("CONTENT") for s in p.iter(ALTO_NS + "String")] for p in alto.iter(ALTO_NS + "Page")]
            words = [[w.text or "" for w in d.iter(HTML + "span") if w.get("class") == "ocrx_word"]
                     for d in hocr.iter(HTML + "div") if d.get("class") == "ocr_page"]
            for k, want in enumerate(self.texts(n)):
                if not pages[k] and want:
                    continue  # layout lines of which there are none
                self.assertEqual(pages[k], want, n)
                self.assertEqual(words[k], want, n)
                n_compared += len(want)
        self.assertGreater(n_compared, 200)

    def test_stop_reasons(self):
        for n in self.numbers:
            alto = ElementTree.fromstring(self.read(n, "alto"))
            settings = [e.text.split()[0] for e in alto.iter(ALTO_NS + "processingStepSettings")]
            self.assertEqual(settings, ["stop=" + r["stop"] for r in self.results(n)])
            hocr = ElementTree.fromstring(self.read(n, "hocr"))
            titles = [d.get("title") for d in hocr.iter(HTML + "div") if d.get("class") == "ocr_page"]
            self.assertEqual([properties(t)["x_stop"] for t in titles], [r["stop"] for r in self.results(n)])
            incomplete = sum(r["stop"] != "eos" for r in self.results(n))
            self.assertEqual(len(re.findall("^> Incomplete: stopped by [a-z]+\\.$", self.read(n, "md"), re.M)), incomplete)

    def test_json(self):
        for n in self.numbers:
            rows = [json.loads(line) for line in self.read(n, "jsonl").split("\n") if line]
            self.assertEqual(rows, self.results(n))
            for r in rows:
                self.assertEqual(r["schema_version"], 1)
                self.assertLessEqual({"file", "task", "text", "stop", "tokens", "confidence", "lines", "timing_ms"}, r.keys())
                self.assertEqual(list(r["tokens"]), ["image", "tiles", "prompt", "output"])
                self.assertEqual(list(r["timing_ms"]), ["load", "decode", "preprocess", "encode", "prefill", "generate"])

    def test_tsv(self):
        for n in self.numbers:
            rows = self.read(n, "tsv").split("\n")
            self.assertEqual(rows.pop(), "")
            self.assertEqual(rows[0].split("\t"), "level page_num block_num par_num line_num word_num left top width height conf "
                                                  "text".split())
            for row in rows[1:]:
                cells = row.split("\t")
                self.assertEqual(len(cells), 12)
                self.assertEqual([int(c) > 0 for c in cells[1:6]], [level <= int(cells[0]) for level in range(1, 6)])
                self.assertTrue(0 <= float(cells[10]) <= 100 or (cells[10] == "-1" and int(cells[0]) < 5))

    def test_no_control_characters(self):
        for n in self.numbers:
            for form in ("text", "md", "tsv", "hocr", "alto"):
                self.assertNotRegex(self.read(n, form).replace("\f", "") if form == "text" else self.read(n, form),
                                    "[\x00-\x08\x0b\x0c\x0d\x0e-\x1f\x7f-\x9f]")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
