#!/usr/bin/env python3
"""Token ids equal those of the Python tokenizer.

usage: tests/check_tokenizer.py [--all] [--list N]

Compares tokenize_records with open_clip's SimpleTokenizer (and its ftfy and
regex) in build/peers/venv on captions, alt texts, texts of shards, sentences
of Wikipedia, generated noise and references nested in each other: a few
thousand texts, or with --all 100,000 real ones and as many of noise.

Where ids differ, the Python tokenizer is asked again without ftfy's repair of
misread encodings, which ours leaves out: if that makes them equal, the text is
counted and listed as repaired.  A text with code points that are unassigned in
Python's Unicode is counted apart: the regex module, Python and utf8proc each
have a Unicode of their own.  Any other difference fails.
"""
import argparse
import bz2
import gzip
import html
import io
import os
import pathlib
import random
import re
import struct
import subprocess
import sys
import tarfile
import unicodedata

from tally import ROOT, SHARED, enter_peers, skip

BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build/gcc"))
VOCABULARY = SHARED / "data/clip/bpe_simple_vocab_16e6.txt.gz"
REAL, FEW = 100000, 2400
SEED = 20210226


# ---- real texts ----

def of_tar(path):
    """The text files of a tar, of tars and gzip files in it, too."""
    with tarfile.open(path) as tar:
        for member in tar:
            if not member.isfile():
                continue
            raw = tar.extractfile(member).read()
            name = member.name
            if name.endswith(".gz"):
                raw, name = gzip.decompress(raw), name[:-3]
            if name.endswith((".txt", ".json", ".cls", ".mp")):
                yield from raw.decode("utf-8", "replace").split("\n")
                yield raw.decode("utf-8", "replace")


def captions():
    for path in sorted((SHARED / "data/captions").glob("*.tar")):
        yield from of_tar(path)


def alt_texts():
    path = SHARED / "data/alt-text/laion400m-url-text.tsv.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield line.rstrip("\n").split("\t", 1)[1]


def shards():
    for path in sorted((SHARED / "data/shards").glob("*.t*")):
        yield from of_tar(path)


def sentences():
    for path in sorted((SHARED / "data/wiki").glob("*.xml.bz2")):
        with bz2.open(path, "rt", encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines):
                # as the dump escapes it, and as it was written
                text = html.unescape(line) if number % 2 else line
                for sentence in re.split(r"(?<=[.!?]) ", text.strip()):
                    if len(sentence) > 20:
                        yield sentence


def spread(texts, count):
    texts = list(texts)
    step = max(1, len(texts) / count) if count else 1
    return [texts[int(i * step)] for i in range(min(count, len(texts)))]


# ---- noise ----

class Noise:
    def __init__(self):
        self.rng = random.Random(SEED)
        assigned = [c for c in range(0x110000)
                    if unicodedata.category(chr(c)) not in ("Cn", "Cs")]
        planes = {}
        for c in assigned:
            planes.setdefault(c >> 16 if c > 0xffff else c >> 12 << 20,
                              []).append(c)
        self.planes = list(planes.values())
        self.pools = {
            "marks": [c for c in assigned
                      if unicodedata.category(chr(c))[0] == "M"],
            "cased": [c for c in assigned
                      if chr(c).lower() != chr(c) or chr(c).upper() != chr(c)],
            "decomposing": [c for c in assigned
                            if unicodedata.decomposition(chr(c))],
            "width": list(range(0xff00, 0xfff0)) + [0x3000, 0xff1a] * 9,
            "quotes": [0x27, 0x2bc, 0x60, *range(0x2018, 0x2020), 0x22] * 3,
            "controls": [*range(0, 32), *range(0x7f, 0xa0), 0x206a, 0x206f,
                         0xfeff, 0xfff9, 0xfffc, 0xfffd, 0x2028, 0x2029],
            "spaces": [c for c in assigned if chr(c).isspace()],
            "ascii": list(range(32, 127)),
            "latin": list(range(0xa0, 0x250)),
            "sigma": [0x3a3, 0x3a3, 0x3c3, 0x391, 0x2e, 0x27, 0x301, 0x20,
                      0x130, 0x345, 0xaa, 0x2160, 0x24b6, 0x17f],
            "digits": [c for c in assigned
                       if unicodedata.category(chr(c))[0] == "N"],
            "hangul": [*range(0x1100, 0x1200), *range(0xac00, 0xac80)],
        }
        self.names = sorted(html.entities.html5)

    def entity(self):
        rng, kind = self.rng, self.rng.randrange(8)
        name = rng.choice(self.names)
        if kind == 0:
            name = name.upper()
        elif kind == 1:
            name = name[:rng.randint(1, len(name))]
        elif kind == 2:
            name = "#%d%s" % (rng.choice([rng.randrange(0x120),
                                          rng.randrange(0x120000)]),
                              rng.choice(";; x"))
        elif kind == 3:
            name = "#%s%x%s" % (rng.choice("xX"), rng.randrange(0x3000),
                                rng.choice(";; g"))
        elif kind == 4:
            name = rng.choice(["amp;", "AMP;", "amp", "amp;amp;"]) + name
        elif kind == 5:
            name += rng.choice("abc;1 ")
        return "&" + name

    def word(self):
        rng, kind = self.rng, self.rng.randrange(14)
        if kind == 0:
            return self.entity()
        if kind == 1:
            return rng.choice([
                "'s", "'S", "'\u017f", "'RE", "'ll", "'d ", "''t", "'",
                "<", "<start_of_text>", "<END_OF_TEXT>", "<\u017ftart_of_text>",
                "<|endoftext|>", "</w>", "\x1b[31m", "\x1b[1;2", "\r\n", "\r",
                "\n", "\x1b[\u0663m", "\x1b\uff3b0m", "I\u0307", "&", "&#",
                "\ufb03", "\u0149", "\u01c4", "\u1e9e", "\u00df", "\u0131"])
        if kind == 2:
            plane = rng.choice(self.planes)
            return "".join(chr(rng.choice(plane))
                           for _ in range(rng.randint(1, 8)))
        if kind == 3:
            return rng.choice(["photo", "Cats", "DOG", "a", "of", "caf\u00e9",
                               "na\u00efve", "\u65e5\u672c", "2024", "x" * 60])
        mix = rng.sample(sorted(self.pools), rng.randint(1, 3))
        return "".join(chr(rng.choice(self.pools[rng.choice(mix)]))
                       for _ in range(rng.randint(1, 8)))

    def misread(self, text):
        codec = self.rng.choice(["latin-1", "cp1252", "cp1251", "cp1250",
                                 "mac-roman", "cp437", "iso-8859-2", "cp1253"])
        return text.encode("utf-8").decode(codec, "replace")

    def text(self):
        rng = self.rng
        words = [self.word() for _ in range(rng.randint(1, 10))]
        text = rng.choice([" ", " ", "", "\t"]).join(words)
        if rng.random() < 0.04:
            text = self.misread(text)
        return text

    def raw(self):
        """UTF-8, one in ten texts damaged."""
        raw = bytearray(self.text().encode("utf-8"))
        for _ in range(self.rng.randint(1, 4) * (self.rng.random() < 0.1)):
            if raw:
                at = self.rng.randrange(len(raw))
                raw[at:at + self.rng.randrange(3)] = bytes(
                    [self.rng.randrange(256)])
        return bytes(raw)


def nested(count):
    """References in references, up to some dozens of levels."""
    rng = random.Random(SEED)
    parts = ["&", "&", "amp;", "amp;", "#38;", "#x26;", "#xff06;", "&#x37e",
             "&#x37e;", "&#xff1b;", ";", "lt;", "lt", "&#1", "&#1;", "&#xfef",
             "f;", "EACUTE;", "eacute;", "#49;", "#", "3", "K", "&#x212a;",
             "cy;", "\x1b[", "\x1b", "m", "\uff06", "\uff1b", "\u037e",
             "\u0301", "&#x301;", "&acute;", "e", "\xe9", "&Atilde;", "&#13;",
             "\x01", "&#xff41;", "&fflig;", "&#x2029;", "x" * 24]
    for _ in range(count):
        text = ""
        for _ in range(rng.randint(1, 6)):
            block = "".join(rng.choice(parts)
                            for _ in range(rng.randint(1, 3)))
            text += block * rng.choice([1, 1, 2, rng.randint(1, 40)])
        yield text.encode()


# ---- both tokenizers ----

def ours(raws):
    """(ids, looks garbled) of each."""
    data = b"".join(struct.pack("<I", len(r)) + r for r in raws)
    done = subprocess.run([BUILD / "tokenize_records", VOCABULARY,
                           "open_clip"], input=data, stdout=subprocess.PIPE,
                          check=True)
    out, at = io.BytesIO(done.stdout), []
    while head := out.read(4):
        n = struct.unpack("<I", head)[0]
        size = n & 0x7fffffff
        at.append((list(struct.unpack(f"<{size}i", out.read(4 * size))),
                   bool(n >> 31)))
    return at


class Theirs:
    def __init__(self):
        try:
            import ftfy
            from open_clip import tokenizer
        except ImportError as why:
            skip(f"the peers' environment: {why}")
        self.module, self.ftfy, self.repair = tokenizer, ftfy, True
        self.tokenizer = tokenizer.SimpleTokenizer(str(VOCABULARY))
        fix = ftfy.fix_text
        ftfy.fix_text = lambda text: fix(text, fix_encoding=self.repair)

    def encode(self, text, repair=True):
        self.repair = repair
        return self.tokenizer.encode(text)


def has_new(text):
    text = html.unescape(html.unescape(text))
    return any(unicodedata.category(c) == "Cn" for c in text)


def compare(name, raws, theirs, limit):
    """Number of differences that nothing explains."""
    equal = new = flagged = noticed = 0
    repaired, others = [], []
    for raw, (ids, garbled) in zip(raws, ours(raws), strict=True):
        text = raw.decode("utf-8", "replace")
        flagged += garbled
        if theirs.encode(text) == ids:
            equal += 1
        elif theirs.encode(text, repair=False) == ids:
            repaired.append(text)
            noticed += garbled
        elif has_new(text):
            new += 1
        else:
            others.append(text)
    print(f"{name}: {len(raws)} texts, {equal} equal, {len(repaired)} "
          f"different because of mojibake repair ({noticed} of them told as "
          f"garbled; {flagged} told in all), {new} with code points newer "
          f"than Python's Unicode, {len(others)} others", flush=True)
    for text in repaired[:limit]:
        print(f"    repaired: {text!r:.200}")
    if len(repaired) > limit:
        print(f"    and {len(repaired) - limit} more (--list N)")
    for text in others[:20]:
        print(f"    OTHER: {text!r}")
        print(f"        ours   {ours([text.encode()])[0][0]}")
        print(f"        theirs {theirs.encode(text, repair=False)}")
    return len(others)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--list", type=int, default=10)
    args = parser.parse_args()
    enter_peers()
    theirs, noise = Theirs(), Noise()
    failed = passed = 0

    def check(name, raws):
        nonlocal failed, passed
        if compare(name, raws, theirs, args.list):
            failed += 1
        else:
            passed += 1

    if VOCABULARY.exists():
        pairs = [t.encode() for source in (captions(), alt_texts(), shards())
                 for t in source]
        rest = REAL - len(pairs)
        wiki = spread((t.encode() for t in sentences()), rest)
        if not args.all:
            pairs, wiki = spread(pairs, FEW), spread(wiki, FEW // 2)
        check("captions, alt texts, shards", pairs)
        check("Wikipedia", wiki)
        check("noise", [noise.raw() for _ in range(REAL if args.all
                                                   else FEW)])
        check("nested references", list(nested(10 * FEW if args.all else FEW)))
    else:
        skip(f"no {VOCABULARY}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
