#!/usr/bin/env python3
"""Counts of words and bigrams equal, exactly, a few lines of Python over the
same text: the real dumps of ../shared, markup and all, folded and with their
case, in memory and with counters that spill."""
import bz2
import collections
import os
import pathlib
import re
import subprocess
import sys
import unicodedata

PIECE = 700_000  # characters of a dump; the test has seconds
ONE_CHARACTER = [(0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF),
                 (0x2E80, 0x30FF), (0x31F0, 0x31FF), (0x3400, 0x4DBF),
                 (0x4E00, 0x9FFF), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F),
                 (0xF900, 0xFAFF), (0x1AFF0, 0x1B16F), (0x20000, 0x3FFFD)]
BLANK = " \t\n\v\f\r"
WHITE = BLANK + "\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + \
    "".join(map(chr, range(0x2000, 0x200B)))
LONGEST = 1024  # bytes of a word that can be an entry


def word_pattern(text):
    """A word, of the characters that the text has."""
    joins, marks, alone = "", "", ""
    for c in set(text):
        cat = unicodedata.category(c)
        if cat[0] in "LMN" and any(a <= ord(c) <= b for a, b in ONE_CHARACTER):
            alone += c
        elif cat[0] == "L" or cat == "Nd":
            joins += c
        elif cat[0] == "M":
            marks += c
    return re.compile(f"[{alone}]|" * bool(alone) +
                      f"[{joins}][{joins + marks}]*"
                      f"(?:'[{joins + marks}]+)*")


def count(text, fold):
    form = unicodedata.normalize("NFKC", text)
    if fold:
        form = form.casefold()
    form = form.replace("\u2019", "'")
    pattern = word_pattern(form)
    words, bigrams, total, last = (collections.Counter(),
                                   collections.Counter(), 0, None)
    for line in form.split("\n"):
        at = 0
        if not line.strip(BLANK):
            last = None
        for m in pattern.finditer(line):
            word = m.group()
            if line[at:m.start()].strip(WHITE):
                last = None
            at = m.end()
            total += 1
            if len(word.encode()) > LONGEST:
                last = None
                continue
            words[word] += 1
            if last is not None:
                bigrams[f"{last} {word}"] += 1
            last = word
        if line[at:].strip(WHITE):
            last = None
    return words, bigrams, total


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
        words, bigrams, total = count(text, fold)
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
