#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check what can be checked of the house rules by looking at lines: form, length, and what no file or no library file may contain.

A C file that says "style: table" in its first comment is exempt from the limits of length.

usage: check_style.py ROOT | --self-test
"""
import os
import re

import source_tree

MAX_COLUMNS = 132
MAX_FILE_LINES = 900
MAX_FUNCTION_LINES = 120
COLUMNS_OF = (".c", ".h", ".inc", ".py", ".sh", ".cmake", ".in", ".txt")
LIBRARY = ("lfm2_core/", "tokenizers/", "encoders/", "pipeline/")

# Put together here, so that this file does not contain them. Places and habits of one machine, and what is unfinished.
FORBIDDEN = re.compile("|".join((
    "/wo" "rk/", "/ro" "ot/", "/tm" r"p/w\b", "/ho" "me/", "/fa" "rm/", r"\bTO" r"DO\b", r"\bFIX" r"ME\b", r"\bXX" r"X\b",
    "(?i:iss" r"ue #?\d)", "(?i:co-auth" "ored)",
)))

# pattern, what is said about it, files that may
LIBRARY_RULES = (
    (r"\b(?:exit|_exit|_Exit|quick_exit|abort|at_quick_exit|atexit)\s*\(", "ends the process", ()),
    (r"\b(?:printf|puts|putchar|perror|vprintf)\s*\(|\bfprintf\s*\(\s*std(?:err|out)|\bfputs\s*\([^;]*std(?:err|out)",
     "prints", ()),
    (r"\b(?:getenv|secure_getenv|setenv|putenv|environ)\b", "looks at the environment", ()),
    (r"\bset" r"locale\s*\(", "changes the locale", ()),
    (r"\b(?:sprintf|vsprintf|strcpy|strcat|strtok|gets|alloca|atoi|atol|atof|rand|srand|localtime|gmtime|tmpnam|mktemp)\s*\(",
     "is unsafe or has hidden state", ()),
    (r"(?<![\w>.])(?:malloc|calloc|realloc|free|aligned_alloc|posix_memalign|strdup|strndup)\s*\(", "goes round the allocator",
     ("lfm2_core/base/runtime.c",)),
    (r"__attribute__|__builtin_|__asm__|\basm\b|__typeof__", "is a compiler extension",
     ("lfm2_core/base/compiler.h", "lfm2_core/base/cpu.c", "lfm2_core/kernels/vec_x86.h", "lfm2_core/kernels/vec_neon.h",
      "lfm2_core/kernels/avx2.c", "lfm2_core/kernels/avx512.c", "lfm2_core/kernels/neon.c")),
    (r"^\s*static\s+(?!const\b|inline\b)(?:[\w*]+\s+)+\**\w+(?:\[[^]]*\])*\s*(?:=[^(]*)?;", "is a mutable global",
     ("lfm2_core/base/mapfile.c",)),
    (r"\btypedef\b[^;{]*\w_t\s*;|^\}\s*\w+_t\s*;", "names a type _t", ()),
)


def check_lines(name, lines):
    limit = MAX_COLUMNS if name.endswith(COLUMNS_OF) else 10**9
    for number, line in enumerate(lines, 1):
        if line.endswith("\r"):
            yield number, "ends in a carriage return"
        elif line != line.rstrip():
            yield number, "has blanks at its end"
        if "\t" in line:
            yield number, "has a tab"
        if len(line) > limit:
            yield number, f"has {len(line)} columns, over {limit}"
        match = FORBIDDEN.search(line)
        if match:
            yield number, f"contains the forbidden {match.group(0)!r}"


def check_functions(lines):
    """Functions open with a brace of their own in the first column and end with one."""
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line.startswith("}") and start is not None:
            if number - start - 1 > MAX_FUNCTION_LINES:
                yield start, f"a function of {number - start - 1} lines, over {MAX_FUNCTION_LINES}"
            start = None


def check_c(name, text, lines):
    if not lines[0].startswith("/* SPDX-License-Identifier: Apache-2.0"):
        yield 1, "the first line is not the licence"
    elif len(lines) < 2 or not re.match(r" \* \S", lines[1]):
        yield 2, "the first comment does not say what the file is"
    code = source_tree.without_comments_and_strings(text).split("\n")
    is_table = "style: table" in text.split("*/", 1)[0]
    if not is_table:
        if len(lines) > MAX_FILE_LINES:
            yield len(lines), f"a file of {len(lines)} lines, over {MAX_FILE_LINES}"
        yield from check_functions(code)
    if name.endswith(".h") and not re.search(r"^#ifndef (LFM2_\w*H|\w+_H)$", text, re.M):
        yield 1, "no include guard"
    if name.startswith(LIBRARY):
        for pattern, what, allowed in LIBRARY_RULES:
            if name in allowed:
                continue
            for number, line in enumerate(code, 1):
                match = re.search(pattern, line)
                if match:
                    yield number, f"{match.group(0).strip()!r} {what}"


def check_mode(root, name, text):
    is_script = text.startswith("#!")
    executable = os.access(root / name, os.X_OK)
    if is_script and not executable:
        yield 1, "a script that is not executable"
    if executable and not is_script:
        yield 1, "executable, but no script"


def check(root):
    findings = []
    for name in source_tree.text_files(root):
        text = source_tree.read(root, name)
        if not text:
            findings.append(f"{name}:1: is empty")
            continue
        lines = text.split("\n")
        found = list(check_lines(name, lines)) + list(check_mode(root, name, text))
        if lines[-1] != "" or (len(lines) > 1 and lines[-2] == ""):
            found.append((len(lines), "does not end in exactly one line break"))
        if name.endswith(source_tree.C_SUFFIXES):
            found += check_c(name, text, lines[:-1] or lines)
        findings += [f"{name}:{number}: {what}" for number, what in sorted(found)]
    return findings


HEAD = "/* SPDX-License-Identifier: Apache-2.0\n * A sample. */\n"


def sample(body, name="lfm2_core/model/a.c", head=HEAD):
    return {name: head + body}


def function_of(n_lines):
    return "int f(void)\n{\n" + "    g();\n" * n_lines + "}\n"


BAD = [
    (sample("", head="/* Copyright */\n"), "not the licence"),
    (sample("", head="/* SPDX-License-Identifier: Apache-2.0 */\n"), "what the file is"),
    (sample("int a;\t\n"), "tab"),
    (sample("int a; \n"), "blanks"),
    (sample("int a;\r\n"), "carriage"),
    (sample("int a;"), "line break"),
    (sample("int a;\n\n"), "line break"),
    ({"scripts/empty": ""}, "is empty"),
    (sample("/* " + "x" * 131 + " */\n"), "columns"),
    (sample("int a;\n" * 900), "a file of"),
    (sample(function_of(121)), "a function of 121"),
    (sample("int a;\n", name="include/lfm2/a.h"), "guard"),
    (sample("/* see /wo" "rk/x */\n"), "forbidden"),
    ({"scripts/a": "cd /ro" "ot/x\n"}, "forbidden"),
    ({"README.md": "In /tm" "p/w it is.\n"}, "forbidden"),
    ({"README.md": "Fixes iss" "ue #12.\n"}, "forbidden"),
    (sample("/* TO" "DO: all */\n"), "forbidden"),
    (sample("/* FIX" "ME */\n"), "forbidden"),
    (sample("/* XX" "X */\n"), "forbidden"),
    (sample("    exit(1);\n"), "ends the process"),
    (sample("    abort ();\n"), "ends the process"),
    (sample("    printf(a);\n", name="tokenizers/a.c"), "prints"),
    (sample("    fprintf(stderr, a);\n"), "prints"),
    (sample("    fputs(a, stdout);\n"), "prints"),
    (sample("    x = getenv(a);\n"), "environment"),
    (sample("    strcpy(a, b);\n"), "unsafe"),
    (sample("    p = malloc(8);\n"), "allocator"),
    (sample("    free(p);\n"), "allocator"),
    (sample("__attribute__((cold)) int f(void);\n"), "extension"),
    (sample("static int n_calls;\n"), "mutable global"),
    (sample("    static unsigned char table[256] = {0};\n"), "mutable global"),
    (sample("static lfm2_runtime *runtime = NULL;\n"), "mutable global"),
    (sample("typedef int lfm2_size_t;\n"), "_t"),
    (sample("} lfm2_size_t;\n"), "_t"),
    ({"scripts/a": "#!/bin/sh\n"}, "not executable"),
]
GOOD = {
    "lfm2_core/model/a.c": HEAD + '#include "base/str.h"\n' + function_of(120) + """
/* exit(1) and printf() in a comment; getenv, too */
static const int table[] = {1, 2};
static inline int f(int x)
{
    static const char text[] = "abort() \\" printf(";
    lfm2_runtime_abort(rt);
    lfm2__str_printf(s, "exit(%d)", 1);
    params->free(ctx, p);
    (void)snprintf(line, sizeof line, "x");
    return lfm2__free(rt, p), x;
}
static void g(int x);
static lfm2_status h(const char *text) /* a function, no variable */
{
    return mkstemp("a.XXXXXX");
}
""",
    "lfm2_core/model/table.c": "/* SPDX-License-Identifier: Apache-2.0\n * Numbers. style: table */\n" + "int a;\n" * 1000,
    "lfm2_core/base/runtime.c": HEAD + "    free(p);\n",
    "tools/a.c": HEAD + "    printf(a);\n    exit(1);\n",
    "include/lfm2/a.h": HEAD + "#ifndef LFM2_A_H\n#define LFM2_A_H\n#endif\n",
    "README.md": "A line of any length: " + "x" * 200 + "\n",
}

if __name__ == "__main__":
    source_tree.main(check, BAD, GOOD)
