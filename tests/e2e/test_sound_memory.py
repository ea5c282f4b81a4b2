#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A recording of an hour, written into a pipe, takes no more memory than one of a minute.

usage: test_sound_memory.py READ_SOUND TESTS
"""
import os
import random
import struct
import subprocess
import sys

RATE_HZ = 8000
# Freed blocks are kept back by the address sanitizer, which would be all that is seen.
ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": "quarantine_size_mb=0:thread_local_quarantine_size_kb=0:detect_leaks=0"}


def peak_kb(read_sound, seconds, with_header):
    arguments = [read_sound, "-"] if with_header else [read_sound, "-", str(RATE_HZ)]
    reader = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT)
    random.seed(1)
    second = random.randbytes(RATE_HZ * 2)
    if with_header:  # of a length that nobody knows
        reader.stdin.write(b"RIFF\xff\xff\xff\xffWAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, RATE_HZ, RATE_HZ * 2, 2, 16)
                           + b"data\xff\xff\xff\xff")
    for _ in range(seconds):
        reader.stdin.write(second)
    out, errors = reader.communicate(timeout=300)
    status, n_samples, kb = out.decode().split()
    assert reader.returncode == 0 and status == "LFM2_EOF", errors
    assert int(n_samples) == seconds * 16000, n_samples
    assert int(kb) > 0, kb
    return int(kb)


def main():
    failed = False
    for with_header in (False, True):
        short, long = (peak_kb(sys.argv[1], seconds, with_header) for seconds in (60, 3600))
        print(f"{'WAV' if with_header else 'raw'}: {short} KB for a minute, {long} KB for an hour")
        failed = failed or long > short * 1.05
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
