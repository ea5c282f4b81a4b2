#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write schema_suite.list from the tests of the JSON-Schema-Test-Suite (MIT licence), draft 2020-12 and draft 7.

usage: make_schema_suite.py SUITE/tests > schema_suite.list

Lines: "G draft/keyword description", "S schema", and for each instance "V text..." or "I text..." (valid or not): its spellings
as we write JSON, one for each order of keys, with "<|>" between them. An instance is producible if one of them is. Left out are
groups about formats as annotations and vocabularies: formats are enforced here."""
import itertools
import json
import os
import sys
from decimal import Decimal

LEFT_OUT = {"format", "vocabulary"}


def number(v):
    if isinstance(v, float):
        return str(int(v)) if v == int(v) and abs(v) < 1e30 else format(Decimal(repr(v)), "f")
    return str(v)


def spell(v, order):
    if isinstance(v, bool) or v is None or isinstance(v, str):
        return json.dumps(v, ensure_ascii=False)
    if isinstance(v, (int, float)):
        return number(v)
    if isinstance(v, list):
        return "[" + ", ".join(spell(x, order) for x in v) + "]"
    keys = sorted(v, key=lambda k: order.index(k) if k in order else len(order))
    return "{" + ", ".join(json.dumps(k, ensure_ascii=False) + ": " + spell(v[k], order) for k in keys) + "}"


def names(schema, out):
    """The names of properties in the order in which the schema speaks of them."""
    if isinstance(schema, dict):
        for key in list(schema.get("properties", {})) if isinstance(schema.get("properties"), dict) else []:
            out.append(key)
        for key, inner in schema.items():
            if key == "required" and isinstance(inner, list):
                out.extend(k for k in inner if isinstance(k, str))
            names(inner, out)
    elif isinstance(schema, list):
        for inner in schema:
            names(inner, out)
    return out


def spellings(v, order):
    found = [spell(v, order)]
    if isinstance(v, dict) and 1 < len(v) <= 4:
        found += [spell(v, list(keys)) for keys in itertools.permutations(v)]
    return list(dict.fromkeys(found))


def main():
    for draft in ("draft2020-12", "draft7"):
        folder = os.path.join(sys.argv[1], draft)
        for file in sorted(os.listdir(folder)):
            keyword = file[:-5]
            if not file.endswith(".json") or keyword in LEFT_OUT:
                continue
            with open(os.path.join(folder, file), encoding="utf-8") as f:
                groups = json.load(f)
            for group in groups:
                schema = group["schema"]
                if draft == "draft7" and isinstance(schema, dict):
                    schema = {"$schema": "http://json-schema.org/draft-07/schema#", **schema}
                order = names(schema, [])
                print(f"G {draft}/{keyword} {group['description']}")
                print("S " + json.dumps(schema))
                for test in group["tests"]:
                    if isinstance(test["data"], float) and abs(test["data"]) > 1e300:
                        continue
                    print(("V " if test["valid"] else "I ") + "<|>".join(spellings(test["data"], order)))


main()
