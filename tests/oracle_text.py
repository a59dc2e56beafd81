#!/usr/bin/env python3
"""What Python's unicodedata says about folding, classes and words.

    oracle_text.py fold            folded forms of every assigned code point
                                   and of random strings
    oracle_text.py nfc             NFC of the same
    oracle_text.py class           general categories, one letter a code point
    oracle_text.py case            simple mappings of case, NFKC, and how a
                                   code point bears on a final sigma
    oracle_text.py words [FILE..]  texts of the files, plain, gzip or tar (a
                                   line a text, HTML tags and all), and random
                                   ones, cut into words
    oracle_text.py kept [FILE..]   the same with their case
    oracle_text.py spacing [FILE..]  the same texts under MetaCLIP's spacing

Written to standard output for a C test to compare with: records of a 32-bit
little-endian length and that many bytes, input and expectation in turn.
It is written from the design's sentences, not from the C code.
"""
import gzip
import random
import struct
import sys
import tarfile
import unicodedata

ASSIGNED = [c for c in range(0x110000)
            if unicodedata.category(chr(c)) not in ("Cn", "Cs")]

PICTURES = (".jpg", ".jpeg", ".png", ".gif", ".webp")

ONE_CHARACTER = [(0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF),
                 (0x2E80, 0x30FF), (0x31F0, 0x31FF), (0x3400, 0x4DBF),
                 (0x4E00, 0x9FFF), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F),
                 (0xF900, 0xFAFF), (0x1AFF0, 0x1B16F), (0x20000, 0x3FFFD)]


def put(text):
    raw = text if isinstance(text, bytes) else text.encode()
    sys.stdout.buffer.write(struct.pack("<I", len(raw)) + raw)


def fold(text):
    return unicodedata.normalize("NFKC", text).casefold()


def keep(text):
    return unicodedata.normalize("NFKC", text)


def words(text, form=fold):
    text = form(text).replace("\u2019", "'")
    found, word = [], ""
    for i, c in enumerate(text):
        cat = unicodedata.category(c)
        alone = cat[0] in "LMN" and any(a <= ord(c) <= b
                                        for a, b in ONE_CHARACTER)
        if alone:
            found += [word, c]
            word = ""
        elif cat[0] == "L" or cat == "Nd" or (cat[0] == "M" and word):
            word += c
        elif c == "'" and word and inner(text, i):
            word += c
        else:
            found.append(word)
            word = ""
    return [w for w in found + [word] if w]


def inner(text, i):
    """The apostrophe at i, behind an open word, has a word character next."""
    if text[i - 1] == "'" or i + 1 == len(text):
        return False
    c = text[i + 1]
    cat = unicodedata.category(c)
    return ((cat[0] in "LM" or cat == "Nd") and
            not any(a <= ord(c) <= b for a, b in ONE_CHARACTER))


def spacing(text):
    for c in ",.;:?!`":
        text = text.replace(c, " " + c + " ")
    for c in "\t\n\r":
        text = text.replace(c, " ")
    return text


def random_texts(count):
    rng = random.Random(20210103)
    decomposing = [c for c in ASSIGNED if unicodedata.decomposition(chr(c))]
    combining = [c for c in ASSIGNED if unicodedata.combining(chr(c))]
    jamo = list(range(0x1100, 0x1200)) + list(range(0xAC00, 0xAC80))
    ascii_ = list(range(32, 127)) + [0x27, 0x2019, 0x20] * 8
    alone = [c for a, b in ONE_CHARACTER for c in range(a, min(b + 1, a + 99))
             if unicodedata.category(chr(c)) not in ("Cn", "Cs")]
    pools = [decomposing, combining, jamo, ascii_, ascii_, alone, ASSIGNED]
    for _ in range(count):
        mix = rng.sample(pools, rng.randint(1, 3))
        yield "".join(chr(rng.choice(rng.choice(mix)))
                      for _ in range(rng.randint(1, 12)))


def file_texts(names):
    """Lines of plain or gzipped files and of every file in a tar."""
    for name in names:
        if ".tar" in name:
            with tarfile.open(name) as tar:
                for member in tar:
                    if member.isfile() and not member.name.endswith(PICTURES):
                        yield from lines_of(tar.extractfile(member).read())
        elif name.endswith(".gz"):
            with gzip.open(name) as f:
                yield from lines_of(f.read())
        else:
            with open(name, "rb") as f:
                yield from lines_of(f.read())


def lines_of(raw):
    """Whatever its charset was: as UTF-8, without what is not.  Code points
    that Python does not know yet are left out as well.  A long file gives
    every fortieth line: the test has seconds, not minutes."""
    lines = raw.decode("utf-8", "ignore").split("\n")
    for line in lines[::40] if len(lines) > 200 else lines:
        line = "".join(c for c in line if unicodedata.category(c) != "Cn")
        if line:
            yield line[:4000]


def case(c):
    """A full mapping of several code points is not the simple one: left out."""
    lower, upper = c.lower(), c.upper()
    sigma = "C" if (c + "\u03a3").lower()[-1] == "\u03c2" else \
        "I" if ("a" + c + "\u03a3").lower()[-1] == "\u03c2" else "U"
    return " ".join([sigma,
                     f"{ord(lower):x}" if len(lower) == 1 else "-",
                     f"{ord(upper):x}" if len(upper) == 1 else "-",
                     *(f"{ord(k):x}" for k in
                       unicodedata.normalize("NFKC", c))])


def main():
    what = sys.argv[1]
    if what in ("fold", "nfc"):
        form = fold if what == "fold" else \
            lambda text: unicodedata.normalize("NFC", text)
        for c in ASSIGNED:
            texts = [chr(c)]
            # Between others where something may come of it; a sample else.
            if (unicodedata.decomposition(chr(c)) or c % 16 == 0 or
                    unicodedata.combining(chr(c))):
                texts += ["a" + chr(c) + "\u0301\u0327",
                          "\u0915" + chr(c) + "e" + chr(c)]
            for text in texts:
                put(text)
                put(form(text))
        for text in random_texts(50000):
            put(text)
            put(form(text))
    elif what == "class":
        for c in ASSIGNED:
            cat = unicodedata.category(chr(c))
            put(chr(c))
            put({"L": "L", "M": "M", "N": "D" if cat == "Nd" else "N"}
                .get(cat[0], "-"))
    elif what == "case":
        for c in ASSIGNED:
            put(chr(c))
            put(case(chr(c)))
    else:
        cut = {"words": lambda t: " ".join(words(t)),
               "kept": lambda t: " ".join(words(t, keep)),
               "spacing": spacing}[what]
        for text in list(file_texts(sys.argv[2:])) + list(random_texts(40000)):
            put(text)
            put(cut(text))


main()
