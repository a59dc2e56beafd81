#!/usr/bin/env python3
"""Counts of words and bigrams equal, exactly, a few lines of Python over the
same text: the real dumps of ../shared, markup and all, folded and with their
case, in memory and with counters that spill."""
import bz2
import os
import pathlib
import re
import subprocess
import sys
import unicodedata

import count_words

PIECE = 700_000  # characters of a dump; the test has seconds


def counted(program, fold, memory, counters, path):
    out = subprocess.run([program, "fold" if fold else "keep", str(memory),
                          str(counters), os.environ.get("TMPDIR", "/tmp"),
                          str(path)],
                         capture_output=True, check=True).stdout.decode()
    words, bigrams, rest = {}, {}, {}
    for line in out.splitlines():
        text, n = line.split("\t")
        to = rest if text in "=#" else bigrams if " " in text else words
        if text in to:
            sys.exit(f"{text!r} comes twice")
        to[text] = int(n)
    return words, bigrams, rest["="], rest["#"]


def texts(shared):
    """The <text> of each dump, without what this Python does not know."""
    for path in sorted((shared / "data/wiki").glob("*.xml.bz2")):
        with bz2.open(path, "rt", encoding="utf-8", newline="\n") as f:
            xml = f.read(PIECE)
        text = "\n\n".join(re.findall(r"<text[^>]*>([^<]*)", xml))
        odd = {c for c in set(text)
               if unicodedata.category(c) == "Cn" or c == "\r"}
        yield path.name, "".join(c for c in text if c not in odd)


def main():
    shared = pathlib.Path(os.environ.get("WITMILL_SHARED", "../shared"))
    program = pathlib.Path(os.environ.get("BUILD", "build/gcc")) / "count_text"
    path = pathlib.Path(os.environ.get("TMPDIR", "/tmp")) / "counts.txt"
    found = list(texts(shared))
    if not found:
        print(f"skipped: no dumps in {shared}/data/wiki")
        return 77
    text = "\n\n".join(t for _, t in found)
    path.write_text(text, encoding="utf-8")
    for fold in (True, False):
        words, bigrams, total = count_words.count([text], fold)
        for memory, counters in ((1 << 30, 1), (1 << 30, 2), (3 << 20, 3),
                                 (1 << 20, 1)):
            w, b, n, runs = counted(program, fold, memory, counters, path)
            for what, got, want in (("words", w, words),
                                    ("bigrams", b, bigrams)):
                if got != want:
                    odd = [(t, got.get(t), want.get(t))
                           for t in sorted(got.keys() | want.keys())
                           if got.get(t) != want.get(t)]
                    sys.exit(f"{what}, {memory} bytes, {counters} counters: "
                             f"{len(odd)} differ: {odd[:5]}")
            if n != total or (runs > 0) != (memory < 1 << 30):
                sys.exit(f"{n} words, not {total}; {runs} runs")
            print(f"{'fold' if fold else 'keep'}: {total} words, {len(words)} "
                  f"distinct, {len(bigrams)} bigrams of {len(found)} dumps, "
                  f"{memory >> 20} MB, {counters} counters, {runs} runs: equal")
    path.unlink()
    return 0


sys.exit(main())
