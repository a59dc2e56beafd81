#!/usr/bin/env python3
"""Views by title equal those of a few lines of Python, exactly.

Over ../shared/data/pageviews and over generated files of every form: hours
and days, plain, gzip and bzip2, desktop and mobile, escaped and quoted names,
lines of other projects, bad lines; for several floors, for a memory that
spills, and for several threads.
"""
import bz2
import gzip
import itertools
import os
import pathlib
import random
import re
import sys
import tempfile
import unicodedata
import urllib.parse

import chain

SHARED = pathlib.Path(os.environ.get("WITMILL_SHARED", "../shared"))
CODES = {"en", "en.m", "en.zero", "en.z", "en.m.z", "en.zero.z",
         "en.wikipedia"}
BLANKS = re.compile("[ _\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
NAMES = ["Dog", "dog", "New_York_City", "new_York_City", "Caf%C3%A9", "Café",
         "Cafe\u0301", "école", "\u00e9cole", "ßeta", "100%", "50%_off",
         "\"Heroes\"", "\"Weird_Al\"_Yankovic", "a\\b", "Main_Page", "-", "_",
         "Special:Search", "Talk:Dog", "Star_Trek:_X", "C#", "A|b", "ǆ",
         "αβ", "犬", "😀", "ა", "x" * 255, "x" * 256, "é" * 127, "é" * 128,
         "A%3AB", "%FF", "\udcff", "Two__spaces", "thin\u2009space", "\x7f",
         "A\x01", "A\ufffd", "1337x", ".xxx", "&_Juliet", "ŉ", "ﬁsh"]


def normal(raw):
    """A name's bytes as this project keeps it, or None."""
    raw = urllib.parse.unquote_to_bytes(raw)
    try:
        s = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    s = unicodedata.normalize("NFC", BLANKS.sub(" ", s).strip(" "))
    up = s[:1].upper()
    if len(up) == 1 and not "\u10d0" <= s[0] <= "\u10ff":
        s = up + s[1:]
    b = s.encode()
    if s in ("", "-", "Main Page") or ":" in s or len(b) > 255 or \
            re.search("[\x00-\x1f\x7f#<>\\[\\]{}|\ufffd]", s):
        return None
    return b


def unquoted(t):
    if len(t) > 2 and t[:1] == t[-1:] == b'"' and b"\\" in t and \
            not re.search(rb'(?<!\\)"', re.sub(rb"\\\\", b"", t[1:-1])):
        return re.sub(rb'\\([\\"])', rb"\1", t[1:-1])
    return t


def lines_of(path):
    data = path.read_bytes()
    data = gzip.decompress(data) if path.suffix == ".gz" else data
    return (bz2.decompress(data) if path.suffix == ".bz2" else
            data).split(b"\n")


def views(paths, hour_floor, floor):
    hours = {}
    for path in paths:
        when = re.match(r"pageviews-(\d{8}-\d\d|\d{8}|\d{6})", path.name)
        when = when.group(1) if when else path.name
        for line in lines_of(path):
            f = line.split(b" ")
            if f[0].decode("latin-1") not in CODES or not 4 <= len(f) <= 6:
                continue
            if len(f) == 4 and re.fullmatch(rb"\d+", f[3]):
                each = [(0, f[2])]
            elif re.fullmatch(rb"([A-_]\d+)+", f[-1]):
                each = [(s[0] - 65, s[1:])
                        for s in re.findall(rb"[A-_]\d+", f[-1])]
                if len(when) == 8 and each[-1][0] > 23 or \
                        f[-2] != b"%d" % sum(int(n) for _, n in each):
                    continue
            else:
                continue
            title = normal(unquoted(f[1]))
            for slot, n in each if title and n_ok(each) else ():
                key = title, when, slot
                hours[key] = hours.get(key, 0) + int(n)
    sums = {}
    for (title, _, _), n in hours.items():
        if n >= hour_floor:
            sums[title] = sums.get(title, 0) + n
    return sorted(((t, n) for t, n in sums.items() if n >= floor),
                  key=lambda x: (-x[1], x[0]))


def n_ok(each):
    return all(re.fullmatch(rb"\d+", n) and int(n) <= 10 ** 10
               for _, n in each)


def ours(corpus, paths, hour_floor, floor, *more):
    chain.stage("queries", corpus, "--sources", "title", "--size", 10 ** 7,
                "--min-hour-views", hour_floor, "--min-views", floor, "--redo",
                *itertools.chain(*(("--pageviews", p) for p in paths)), *more)
    run = chain.stage("queries", corpus, "--export", corpus / "list.tsv")
    del run
    rows = (corpus / "list.tsv").read_bytes().split(b"\n")[1:-1]
    rows = [r.split(b"\t") for r in rows]
    return [(re.sub(rb"\\(.)", rb"\1", r[1]), int(r[7] or 0)) for r in rows]


def compare(folder, what, paths, hour_floor, floor, *more):
    a = ours(folder / "corpus", paths, hour_floor, floor, *more)
    b = views(paths, hour_floor, floor)
    if a != b:
        for x, y in itertools.zip_longest(a, b):
            if x != y:
                sys.exit(f"{what}: witmill {x}, Python {y}")
    print(f"{what}: {len(a)} titles, {sum(n for _, n in a)} views, equal")


# ---- generated files ----

def name(r):
    if r.random() < 0.4:
        return r.choice(NAMES).encode("utf-8", "surrogateescape")
    return b"Title_%d" % int(r.paretovariate(0.6) % 3000)


def hour_file(r, lines):
    out = []
    for _ in range(lines):
        code = r.choice([b"en", b"en.m", b"en.zero", b"de", b"en.b", b"enm",
                         b"en.z", b"fr.m"])
        n = b"%d" % int(r.paretovariate(0.7) % 10 ** 6)
        line = b" ".join([code, name(r), n, b"0"])
        if r.random() < 0.02:
            line = r.choice([line + b" 1", line[:-2], line[:-2] + b"x", b"en",
                             b"en ", b"", code + b" Dog 99999999999 0",
                             line + b"x"])
        out.append(line)
    return b"\n".join(out) + r.choice([b"", b"\n"])


def day_file(r, lines):
    out = []
    for _ in range(lines):
        code = r.choice([b"en.wikipedia", b"en.z", b"de.wikipedia", b"en.b",
                         b"en.wikibooks"])
        title = name(r)
        if b'"' in title:
            title = b'"' + re.sub(rb'([\\"])', rb"\\\1", title) + b'"'
        letters = sorted(r.sample(range(24), r.randint(1, 24)))
        each = [(65 + i, int(r.paretovariate(0.8) % 10 ** 5)) for i in letters]
        slots = b"".join(b"%c%d" % x for x in each)
        total = sum(n for _, n in each) + (r.random() < 0.02)
        middle = [r.choice([b"null", b"%d" % r.randrange(10 ** 8)]),
                  r.choice([b"desktop", b"mobile-web", b"mobile-app"])]
        if r.random() < 0.1:
            middle.pop(r.randrange(2))
        if r.random() < 0.02:
            slots = r.choice([slots + b"Y1", b"1", b"A", slots + b"A"])
        out.append(b" ".join([code, title, *middle, b"%d" % total, slots]))
    return b"\n".join(out) + b"\n"


def generate(folder, seed):
    r = random.Random(seed)
    paths = []
    for day, hour in itertools.product((1, 2), range(3)):
        path = folder / f"pageviews-2024020{day}-{hour:02}0000.gz"
        path.write_bytes(gzip.compress(hour_file(r, 4000)))
        paths.append(path)
    for kind in ("user", "automated"):
        path = folder / f"pageviews-20240203-{kind}.bz2"
        path.write_bytes(bz2.compress(day_file(r, 3000)))
        paths.append(path)
    for plain in ("one", "two"):
        path = folder / plain
        path.write_bytes(hour_file(r, 3000))
        paths.append(path)
    r.shuffle(paths)
    return paths


def in_folder(folder):
    """A folder stands for the files in it that are named like Wikimedia's."""
    named = sorted(folder.glob("pageviews-*"))
    a = ours(folder / "corpus", [folder], 50, 70)
    if a != views(named, 50, 70) or a == views(named + [folder / "one"], 50,
                                               70):
        sys.exit("a folder is not its pageviews-* files")
    (folder / "empty").mkdir()
    for code, *args in ((3, "--pageviews", folder / "empty"),
                        (3, "--pageviews", folder / "absent"),
                        (2, "--pageviews", folder, "--project", "EN"),
                        (2, "--sources", "title")):
        chain.stage("queries", folder / "refused", *args, code=code)
    print(f"a folder: its {len(named)} files")


def main():
    with tempfile.TemporaryDirectory() as t:
        folder = pathlib.Path(t)
        for seed in (1, 2):
            paths = generate(folder, seed)
            for hour_floor, floor, *more in (
                    (50, 70), (1, 1), (0, 0),
                    (20, 100, "--memory", "1M"),
                    (20, 100, "--threads", 3)):
                compare(folder, f"generated {seed}, floors {hour_floor} and "
                        f"{floor}", paths, hour_floor, floor, *more)
        in_folder(folder)
        real = sorted((SHARED / "data/pageviews").glob("*.pageviews.gz"))
        if real:
            compare(folder, "real titles", real, 50, 70)
            compare(folder, "real titles, often", real, 10 ** 5, 10 ** 5)
        else:
            print("real titles: skipped, no ../shared/data/pageviews")


if __name__ == "__main__":
    main()
