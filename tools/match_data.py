"""The list and the texts that matching is measured and checked with.

make(program, folder, shared, size, texts) writes, unless they are there:
  folder/metaclip, folder/words   corpora of one list under either policy
  folder/entries.txt              its entries, an entry a line, by query id
  folder/texts.txt                a text a line, UTF-8

The list: WordNet's names and numerals, a frequency list's words, bigrams and
titles of Wikipedia's articles, titles by views, words of another Wikipedia for
what is missing.  The texts: alt texts and captions of the web, sentences of
Wikipedia in windows of a caption's length, and noise of many scripts.  Where
`shared` is absent both are of generated words beside WordNet's.  All of it is
a function of the files and of a fixed seed.
"""
import bz2
import functools
import gzip
import json
import pathlib
import random
import re
import shutil
import subprocess
import tarfile

WORDS, BIGRAMS = 251_465, 100_646  # as published
SEED = 7
FULL = 500_000  # entries; a shorter list is every k-th of them
NOISE = 20_000  # of 200,000 texts

DUMPS = ["enwiki-2021-plaintext-rewrapped-dev", "enwiki-2013-export08-44pages",
         "enwiki-2016-pages-articles1-shortened", "ltgwiki-2018-full"]


def lines_of(path):
    with gzip.open(path, "rt", encoding="utf-8") as f:
        yield from f


@functools.lru_cache
def dump_text(shared, name):
    return bz2.decompress((shared / f"data/wiki/{name}.xml.bz2")
                          .read_bytes()).decode()


# ---- entries ----

def titles(shared):
    for name in DUMPS:
        yield from (unescape(t) for t in
                    re.findall("<title>([^<]*)</title>",
                               dump_text(shared, name)))
    path = shared / "data/pageviews/enwiki-top-monthly-202306.pageviews.gz"
    for line in lines_of(path):
        yield line.split(" ")[1].replace("_", " ")


def unescape(text):
    for name, char in ("quot", '"'), ("lt", "<"), ("gt", ">"), ("amp", "&"):
        text = text.replace(f"&{name};", char)
    return text


def export(program, folder, name, *options):
    """The entries of a list that witmill makes."""
    out = folder / f"{name}.txt"
    subprocess.run([program, "queries", folder / name, *options, "--redo",
                    "--export", out], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    entries_ = out.read_bytes().decode().split("\n")[:-1]
    shutil.rmtree(folder / name)
    out.unlink()
    return entries_


def bigrams(program, folder, shared):
    """Those of high mutual information, as CLIP's list has them."""
    return export(program, folder, "bigrams", "--wiki",
                  shared / f"data/wiki/{DUMPS[0]}.xml.bz2", "--sources",
                  "bigram", "--min-bigram-count", "3", "--bigram-budget",
                  str(BIGRAMS), "--count-case", "keep")


def made_up(draw, n):
    """n distinct words of plain letters."""
    seen = {}
    while len(seen) < n:
        seen["".join(draw.choices("etaoinshrdlcumwfgypbvk",
                                  k=draw.randint(2, 12)))] = None
    return list(seen)


def entries(program, folder, shared, size):
    draw = random.Random(SEED)
    seen = dict.fromkeys(export(program, folder, "wordnet", "--sources",
                                "wordnet,numeral"))
    if shared.is_dir():
        frequent = [line.split("\t")[0] for line in
                    lines_of(shared / "data/wiki/wordfreq-large-en.tsv.gz")]
        seen.update(dict.fromkeys(frequent[:WORDS]))
        if size == FULL:
            seen.update(dict.fromkeys(bigrams(program, folder, shared)))
        seen.update(dict.fromkeys(titles(shared)))
        seen.update(dict.fromkeys(
            line.rsplit(" ", 1)[0] for line in
            lines_of(shared / "data/wiki/wordcounts-afwiki-2024-02-20.txt.gz")))
    else:
        words = made_up(draw, WORDS)
        seen.update(dict.fromkeys(words))
        while len(seen) < FULL:
            k = 2 if draw.random() < .8 else 3
            seen[" ".join(word(draw, words) for _ in range(k))] = None
    good = [e for e in seen if e and e == e.strip() and len(e.encode()) <= 1024
            and len(e.splitlines()) == 1 and min(e) >= " "]
    if len(good) < size:
        raise SystemExit(f"only {len(good)} entries for a list of {size}")
    good = good[:FULL]
    return good[::len(good) // size][:size]


# ---- texts ----

def word(draw, words):
    """Low indexes often, as in any language."""
    return words[int(len(words) ** draw.random()) - 1]


def alt_texts(shared):
    for line in lines_of(shared / "data/alt-text/laion400m-url-text.tsv.gz"):
        yield line.rstrip("\n").split("\t", 1)[1]


def captions(shared):
    for path in sorted((shared / "data/captions").glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                if not member.name.endswith(".json"):
                    continue
                meta = json.load(tar.extractfile(member))
                yield from (c if isinstance(c, str) else c["caption"]
                            for c in meta.get("captions", []))


def sentences(shared, draw):
    """Windows of 4 to 11 words, with their punctuation, from the articles in
    turn; as many as anybody asks for."""
    text = unescape(re.sub("<[^>]*>", "\n", dump_text(shared, DUMPS[0])))
    for line in text.split("\n"):
        tokens = line.split()
        at = 0
        while len(tokens) - at > 11:
            k = draw.randint(4, 11)
            yield " ".join(tokens[at:at + k])
            at += k


NOISE_RANGES = [(0x20, 0x7e), (0x20, 0x40), (0x61, 0x7a), (0xa0, 0x17f),
                (0x300, 0x36f), (0x370, 0x4ff), (0x5d0, 0x6ff),
                (0x900, 0x97f), (0xe00, 0xe7f), (0x1000, 0x109f),
                (0x1e00, 0x1fff), (0x2000, 0x206f), (0x3000, 0x30ff),
                (0x4e00, 0x4fff), (0xac00, 0xadff), (0xfb00, 0xfdff),
                (0xff00, 0xffef), (0x1f300, 0x1f5ff)]


def noise(draw, words):
    """Characters of some scripts, words of the list between them, spaces in
    ones and twos."""
    out = []
    for _ in range(draw.randint(1, 12)):
        if draw.random() < .5:
            out.append(word(draw, words))
        else:
            low, high = draw.choice(NOISE_RANGES)
            out.append("".join(chr(draw.randint(low, high))
                               for _ in range(draw.randint(1, 6))))
    return "".join(w + draw.choice([" ", " ", "  ", ", ", "; ", ".", "\t",
                                    "-", "`", "\u3000", "\u2019"])
                   for w in out)


def texts(list_, shared, n):
    draw = random.Random(SEED)
    found = [noise(draw, list_) for _ in range(n * NOISE // 200_000)]
    if shared.is_dir():
        found += alt_texts(shared)
        found += captions(shared)
        more = sentences(shared, draw)
        found = found[:n]
        found += (next(more) for _ in range(n - len(found)))
    else:
        singles = [e for e in list_ if " " not in e]
        while len(found) < n:
            found.append(" ".join(word(draw, singles)
                                  for _ in range(draw.randint(3, 13))) + ".")
    draw.shuffle(found)
    return [re.sub("[\r\n]", " ", t) or " " for t in found]


# ---- files ----

def make(program, folder, shared, size=FULL, count=200_000):
    folder, shared = pathlib.Path(folder), pathlib.Path(shared)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "texts.txt").exists():
        list_ = entries(program, folder, shared, size)
        (folder / "entries.txt").write_bytes(
            "".join(e + "\n" for e in list_).encode())
        for policy in "metaclip", "words":
            subprocess.run([program, "queries", folder / policy, "--queries",
                            folder / "entries.txt", "--sources", "file",
                            "--policy", policy, "--redo"], check=True,
                           stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
        made = texts(list_, shared, count)
        (folder / "texts.part").write_bytes(
            "".join(t + "\n" for t in made).encode())
        (folder / "texts.part").rename(folder / "texts.txt")
    return folder
