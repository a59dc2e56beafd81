#!/usr/bin/env python3
"""`witmill match` with each text rule: which pairs go, and under which reason;
lists of terms, hosts and URLs and what the fingerprint has of them; the sets
of rules by name; on real alt texts, DataComp's and LAION's rules against the
same in Python.  Languages are skipped in a build without CLD2."""
import gzip
import json
import os
import pathlib
import re
import sys
import time

import chain

H = "http://a.test/"
# URL, text.  Every text holds the word `dog`, which is the query list, but for
# those that a rule of today drops before anybody asks.
PAIRS = [
    (H + "plain.jpg", "a brown dog by the river"),
    (H + "v.svg", "a dog drawn"),
    (H + "x.gif", "a moving dog"),
    ("http://www.bad.test/1.jpg", "a dog on a bad host"),
    ("http://worse.test:81/2.jpg", "a dog on a worse host"),
    (H + "gone/3.jpg", "a dog below a folder"),
    ("https://a.test/exact.jpg?v=1", "a dog at a URL"),
    (H + "exact.jpg?v=2", "a dog at another URL"),
    (H + "4.jpg", "back to top"),
    (H + "5.jpg", "dog_17.JPG dog"),
    (H + "6.jpg", "www.dog.test dog"),
    (H + "7.jpg", "a <b>dog</b> in bold"),
    (H + "8.jpg", "a dog&nbsp;and a cat"),
    (H + "9.jpg", "a dog named {{name}} there"),
    (H + "10.jpg", '{"animal": "dog"}'),
    (H + "11.jpg", "No Image Available"),
    (H + "12.jpg", "dog cat dog cat dog cat dog cat"),
    (H + "13.jpg", "a dog!!!!!!!!!"),
    (H + "14.jpg", "dog 2019-03-12 10:00"),
    (H + "15.jpg", "dog " + "ab" * 30),
    (H + "16.jpg", "dog"),
    (H + "17.jpg", "a dog"),
    (H + "18.jpg", "dog-bed"),
    (H + "19.jpg", "the dog and all that is to be said of it at length, at very "
     "great length indeed, and then some more"),
    (H + "20.jpg", "a Nasty, Word about a dog"),
    (H + "21.jpg", "nasty but a dog, not a wordy one"),
    (H + "22.jpg", "le chien brun (dog) dort devant la vieille maison grise"),
    (H + "23.jpg", "the old dog sleeps in front of the house by the river"),
    (H + "24.jpg", "dog 1234567 1234567 1234567"),
]
DEFAULT = {"svg": 1, "boilerplate": 1, "filename": 1, "repetition": 1,
           "too-few-words": 1, "no-match": 1}
COUNT = [0]


def fail(text):
    sys.exit(text)


def match(corpus, *options):
    """Drops by reason and counts of a run, and the texts kept."""
    run = chain.stage("match", corpus, *options, "--redo")
    meta = json.loads((corpus / "matched/links/part-00000.meta.json")
                      .read_text(encoding="utf-8"))
    kept = [r["text"] for r in chain.records(
        corpus / "matched/links/part-00000.jsonl.zst")]
    return meta["drops"], meta["counts"], kept, run.stdout


def expect(corpus, options, more, gone=(), none=False):
    """--text-rules none and these options: the drops they add, and the texts,
    by a piece of each, that go."""
    base = {"no-match": 2} if none else dict(DEFAULT)
    options = (["--text-rules", "none"] if none else []) + options
    drops, counts, kept, out = match(corpus, *options)
    for reason, n in more.items():
        base[reason] = base.get(reason, 0) + n
    base = {k: v for k, v in base.items() if v}
    if drops != base:
        fail(f"{options}: drops {drops}, expected {base}")
    if counts["read"] != len(PAIRS) or \
            counts["records"] != len(PAIRS) - sum(drops.values()):
        fail(f"{options}: counts {counts}")
    for piece in gone:
        if any(piece in text for text in kept):
            fail(f"{options}: {piece!r} was kept")
    for reason in drops:
        if reason not in out:
            fail(f"{options}: the summary is silent about {reason}:\n{out}")
    COUNT[0] += 1
    return counts


def one_by_one(corpus):
    expect(corpus, [], {})
    alone = [
        (["--min-words", 3], {"too-few-words": 6}, ["dog-bed"]),
        (["--max-words", 12], {"too-many-words": 1}, ["very"]),
        (["--min-chars", 6], {"too-few-chars": 2}, ["a dog\0"]),
        (["--max-chars", 80], {"too-many-chars": 1}, ["very"]),
        (["--min-tokens", 2], {"too-few-tokens": 2}, ["dog-bed"]),
        (["--max-word-chars", 45], {"long-word": 1}, ["abab"]),
        (["--max-char-run", 7], {"char-run": 1}, ["!!!"]),
        (["--min-letters", 50], {"few-letters": 3}, ["2019", "1234567", "!!!"]),
        (["--rule-svg"], {"svg": 1}, ["drawn"]),
        (["--rule-boilerplate"], {"boilerplate": 1, "no-match": -1}, []),
        (["--rule-filename"], {"filename": 1}, ["JPG"]),
        (["--rule-repetition"], {"repetition": 1}, ["dog cat"]),
        (["--rule-link"], {"link": 1}, ["www."]),
        (["--rule-markup"], {"markup": 1}, ["<b>"]),
        (["--rule-entity"], {"entity": 1}, ["&nbsp;"]),
        (["--rule-template"], {"template": 1}, ["{{"]),
        (["--rule-code"], {"code": 1}, ['{"']),
        (["--rule-filler"], {"filler": 1, "no-match": -1}, []),
        (["--drop-url-with", ".gif", "--drop-url-with", "/gone/"],
         {"url-contains": 2}, ["moving", "folder"]),
    ]
    for options, more, gone in alone:
        expect(corpus, options, more, gone, none=True)
    print(f"{COUNT[0]} runs: each rule drops its own, counted by its reason")


def lists(corpus, folder):
    terms, hosts, urls = (folder / n for n in ("terms", "hosts", "urls"))
    terms.write_text("# nobody wants\nnasty word\nunheard of\n")
    hosts.write_text("bad.test\r\nWORSE.test # too\n")
    with gzip.open(urls, "wt") as out:
        out.write(f"{H}exact.jpg?v=1\n{H}gone/\n")
    expect(corpus, ["--block-terms", terms], {"block-term": 1}, ["Nasty"])
    expect(corpus, ["--block-hosts", hosts], {"block-host": 2},
           ["bad host", "worse host"])
    expect(corpus, ["--block-urls", urls], {"block-url": 2},
           ["folder", "at a URL"])
    every = ["--block-terms", terms, "--block-hosts", hosts, "--block-urls",
             urls]
    expect(corpus, every, {"block-term": 1, "block-host": 2, "block-url": 2})

    # The bytes are in the fingerprint, the name is not.
    moved = folder / "moved"
    terms.rename(moved)
    every[1] = moved
    run = chain.stage("match", corpus, *every)
    if "already" not in run.stdout and "before" not in run.stdout:
        fail(f"a list of the same bytes elsewhere: {run.stdout}")
    moved.write_text("nasty word\nunheard of\n")
    run = chain.stage("match", corpus, *every, code=3)
    if "block-terms" not in run.stderr:
        fail(f"another list: {run.stderr}")
    run = chain.stage("match", corpus, *every[2:], code=3)

    # A line that is none stops, with its place.
    hosts.write_text("bad.test\nhttp://worse.test\n")
    run = chain.stage("match", corpus, "--block-hosts", hosts, "--redo",
                      code=3)
    if f"{hosts}:2" not in run.stderr:
        fail(f"a bad line: {run.stderr}")
    chain.stage("match", corpus, "--block-urls", folder / "none", "--redo",
                code=3)
    print("lists drop what they name; their bytes are in the fingerprint")


def by_name(corpus):
    """A set of rules is the options it stands for."""
    named = ["--text-rules", "datacomp-basic", "--language", "any"]
    spelled = ["--text-rules", "none", "--min-tokens", 3, "--min-chars", 6]
    match(corpus, *named)
    run = chain.stage("match", corpus, *spelled)
    if "already" not in run.stdout and "before" not in run.stdout:
        fail(f"a set by name and spelled out: {run.stdout}")
    drops = match(corpus, *named)[0]
    if drops != {"too-few-tokens": 6, "too-few-chars": 2, "no-match": 2}:
        fail(f"datacomp-basic: {drops}")
    drops = match(corpus, "--text-rules", "datacomp-caption", "--language",
                  "any")[0]
    if drops != {"too-few-tokens": 1, "too-few-chars": 2, "no-match": 2}:
        fail(f"datacomp-caption: {drops}")
    drops = match(corpus, "--text-rules", "strict")[0]
    if set(drops) != {"svg", "boilerplate", "filename", "link", "markup",
                      "entity", "template", "code", "filler", "repetition",
                      "char-run", "few-letters", "long-word", "too-few-chars"}:
        fail(f"strict: {drops}")
    # What is given wins.
    drops = match(corpus, "--rule-svg", "--text-rules", "none")[0]
    if drops != {"svg": 1, "no-match": 2}:
        fail(f"none and --rule-svg: {drops}")
    print("sets of rules by name are the options they stand for")


def languages(corpus):
    """False where the build has none."""
    run = chain.stage("match", corpus, "--language", "en", "--redo",
                      code=None)
    if run.returncode == 3 and "built without CLD2" in run.stderr:
        chain.stage("match", corpus, "--text-rules", "laion", code=3)
        print("skipped: this build has no CLD2; languages are refused")
        return False
    if run.returncode:
        fail(run.stderr)
    # Those without a match are not asked about.
    short = sum(len(text.encode()) < 20 for _, text in PAIRS
                if re.search(r"(?i)(?<![a-z])dog(?![a-z])", text))
    drops, counts, kept, out = match(corpus, "--text-rules", "none",
                                     "--language", "en")
    if drops.get("language") is None or any("chien" in t for t in kept):
        fail(f"--language en: {drops}")
    if not any("old dog sleeps" in t for t in kept) or \
            counts["language-unknown"] < short or \
            "language not told" not in out:
        fail(f"--language en: {counts}\n{out}")
    drops, counts, kept, _ = match(corpus, "--text-rules", "none",
                                   "--language", "fr", "--language-unknown",
                                   "drop")
    if len(kept) != 1 or "chien" not in kept[0] or \
            "language-unknown" in counts or drops["no-match"] != 2:
        fail(f"--language fr: {kept} {counts} {drops}")
    match(corpus, "--language", "en,fr", "--language-percent", 50,
          "--language-reliable")
    chain.stage("match", corpus, "--language", "xx", "--redo", code=2)
    print("languages are told, and what cannot be told is counted")
    return True


# ---- published rules on real texts ----

def real(folder, cld2):
    """LAION's sample, by DataComp's rules as Python has them."""
    shared = pathlib.Path(os.environ.get("WITMILL_SHARED", "../shared"))
    source = shared / "data/alt-text/laion400m-url-text.tsv.gz"
    if not source.exists():
        print(f"skipped: {source} is not there")
        return
    corpus = folder / "real"
    # So common that half of the texts match: the others' language is not
    # asked for.
    (folder / "common.txt").write_text("the\nof\na\nin\nand\nfor\nwith\nde\n")
    chain.stage("queries", corpus, "--queries", folder / "common.txt",
                "--sources", "file", "--policy", "metaclip")
    chain.stage("import", corpus, "--links", source, "--as", "links",
                "--url-column", "1", "--text-column", "2")
    pairs = [(r["url"], r["text"]) for r in chain.records(
        corpus / "pairs/links/part-00000.jsonl.zst")]
    for name, tokens in (("datacomp-basic", 3), ("datacomp-caption", 2)):
        drops = match(corpus, "--text-rules", name, "--language", "any")[0]
        theirs = sum(len(t.split()) < tokens or len(t) < 6 for _, t in pairs)
        ours = drops.get("too-few-tokens", 0) + drops.get("too-few-chars", 0)
        if ours != theirs or not ours:
            fail(f"{name}: drops {ours} of {len(pairs)}, Python {theirs}")
        print(f"{name}: {ours} of {len(pairs)} real texts go, as in Python")
    drops = match(corpus, "--text-rules", "laion", "--language", "any")[0]
    theirs = sum(any(x in u for x in (".svg", ".gif", ".ico"))
                 for u, _ in pairs)
    if drops.get("url-contains", 0) != theirs:
        fail(f"laion: {drops}, {theirs} URLs")
    if cld2:
        drops, counts, _, _ = match(corpus, "--text-rules", "none",
                                    "--language", "en")
        asked = len(pairs) - drops["no-match"]
        if asked < 1000 or not 0 < drops["language"] < asked * 0.03:
            fail(f"LAION's English sample: {drops} of {len(pairs)}")
        same_with_threads(corpus, "--language", "en")
        print(f"of {asked} texts of LAION's English sample CLD2 calls "
              f"{drops['language']} otherwise and cannot tell "
              f"{counts['language-unknown']}")


def same_with_threads(corpus, *options):
    """Counts and bytes do not depend on the number of threads."""
    seen = set()
    for threads in (1, 2, 7):
        match(corpus, "--text-rules", "strict", *options, "--threads", threads)
        meta = json.loads((corpus / "matched/links/part-00000.meta.json")
                          .read_text(encoding="utf-8"))
        seen.add(json.dumps([meta[k] for k in ("sha256", "drops", "counts")]))
    if len(seen) != 1:
        fail(f"threads change the result: {seen}")


def main():
    began = time.monotonic()
    folder = pathlib.Path(os.environ.get("TMPDIR", "/tmp")) / "rules"
    folder.mkdir(parents=True, exist_ok=True)
    corpus = folder / "corpus"
    (folder / "queries.txt").write_text("dog\n")
    with open(folder / "pairs.tsv", "w", encoding="utf-8") as out:
        for url, text in PAIRS:
            out.write(f"{url}\t{text}\n")
    chain.stage("queries", corpus, "--queries", folder / "queries.txt",
                "--sources", "file", "--bucket-bits", 2)
    for path in (folder / "pairs.tsv", f"{folder}/./pairs.tsv"):
        chain.stage("import", corpus, "--links", path, "--as", "links",
                    "--format", "tsv", "--header", "no")
    one_by_one(corpus)
    lists(corpus, folder)
    by_name(corpus)
    same_with_threads(corpus)
    cld2 = languages(corpus)
    real(folder, cld2)
    print(f"{time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main()
