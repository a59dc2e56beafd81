#!/usr/bin/env python3
"""make bench: how fast the text stages are, beside the limit of the same run.

A list of made-up captions (WordNet's names put into sentences, skewed so that
few words are everywhere) goes through import, match, gather and balance on one
thread.  The limit of a stage is reading its input: decompressing and splitting
the same records, by the same machine in the same minute.  Ratios say how much
of the time is more than that.  Each stage ends with its merge into corpus.db;
balance's loads the pairs.

usage: tools/bench.py BUILD [RECORDS]
"""
import pathlib
import random
import shutil
import resource
import subprocess
import sys

PATTERNS = ["a photo of the {} near a {}", "{} and {}", "the old {} of {}",
            "my {} with two {} in the garden", "buy {} online, {} for sale",
            "{}: an image of a {} taken at night in the city"]


def cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(command, **kwargs):
    """CPU seconds of a command: other work on the machine counts less."""
    began = cpu()
    subprocess.run(list(map(str, command)), check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   **kwargs)
    return cpu() - began


def names(corpus):
    import sqlite3
    db = sqlite3.connect(corpus / "corpus.db")
    rows = [r[0] for r in db.execute("SELECT norm FROM query "
                                     "WHERE norm <> '' ORDER BY id")]
    db.close()
    return rows


def write_list(path, words, count):
    chance = random.Random(1)
    with open(path, "w", encoding="utf-8") as out:
        for i in range(count):
            # Zipf-like: the k-th word about 1/k as often as the first.
            a = words[int(len(words) ** chance.random()) - 1]
            b = words[int(len(words) ** chance.random()) - 1]
            out.write(f"http://host{i % 997}.test/{i}.jpg\t"
                      f"{PATTERNS[i % len(PATTERNS)].format(a, b)}\n")


def main():
    build = pathlib.Path(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 400000
    folder = pathlib.Path("build/bench")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    corpus, witmill, cat = folder / "c", build / "witmill", build / "jsonl_cat"
    timed([witmill, "queries", corpus, "--sources", "wordnet,numeral"])
    write_list(folder / "list.tsv", names(corpus), count)
    rows = [("import", ["wc", "-l", folder / "list.tsv"],
             ["--links", folder / "list.tsv"]),
            ("match", "pairs/import/*.zst", []),
            ("gather", "matched/import/*.zst", []),
            ("balance", "unique/*.zst", ["--cap", "2000"])]
    print(f"{count:,} records, one thread, CPU seconds")
    print(f"{'stage':10}{'seconds':>9}{'records/s':>12}{'limit s':>9}"
          f"{'ratio':>7}")
    for stage, limit, options in rows:
        if isinstance(limit, str):
            limit = [cat, *sorted(corpus.glob(limit))]
        least = min(timed(limit) for _ in range(3))
        took = timed([witmill, stage, corpus, *options, "--threads", "1"])
        print(f"{stage:10}{took:9.2f}{count / took:12,.0f}{least:9.2f}"
              f"{took / least:7.1f}", flush=True)


if __name__ == "__main__":
    main()
