#!/usr/bin/env python3
"""make bench, BENCH=match-disk: pairs/ to matched/ on disk, and where it goes.

usage: tools/bench_match_disk.py BUILD [RECORDS]

A list of 500,000 entries (tools/match_data.py) and RECORDS (2,000,000) pairs as
`import` makes them of link lists: URLs of ../shared/data's list of alt texts
with other numbers in them, texts spliced of its texts, of captions and of
Wikipedia's sentences, so that no frame holds a text twice that the web would
not.  Without ../shared all of it is of generated words.

Printed: records a second of CPU time (user and system, the whole process but
for opening the list, which is timed on a part of one record), bytes of a
record, and by tests/bench_records, in the same run and of the same records,
what decoding alone, decoding and encoding again, and copying would take, and
what each step adds.  Every figure is the best of ROUNDS.
"""
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import match_data  # noqa: E402

ROUNDS = 3
PARTS = 4
SHARED = pathlib.Path(os.environ.get("WITMILL_SHARED", "../shared"))
WANTED = 600_000


def cpu_s(*command):
    """CPU seconds of a command."""
    process = subprocess.Popen([str(c) for c in command],
                               stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command}: exit code {process.returncode}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss


# ---- records ----

def sources(draw, list_):
    """(URLs, texts): endless, but for repetition."""
    if SHARED.is_dir():
        urls = [line.split("\t")[0] for line in match_data.lines_of(
            SHARED / "data/alt-text/laion400m-url-text.tsv.gz")]
        texts = [*match_data.alt_texts(SHARED)] * 8
        texts += match_data.captions(SHARED)
        # Prose quotes more than alt texts do, and a quote is an escape.
        texts += (t for t in match_data.sentences(SHARED, draw)
                  if '"' not in t)
    else:
        urls = [f"https://{a}.example.com/images/{b}/{i}.jpg"
                for i, (a, b) in enumerate(zip(list_[::97], list_[::101]))
                if re.fullmatch("[a-z0-9]+", a + b)]
        texts = [" ".join(match_data.word(draw, list_)
                          for _ in range(draw.randint(3, 13)))
                 for _ in range(50_000)]
    return urls, [t.replace("\t", " ").split(" ") for t in texts]


def rows(draw, list_, n):
    urls, texts = sources(draw, list_)
    digits = ["".join(draw.sample("0123456789", 10)) for _ in range(5_000)]
    tables = [str.maketrans("0123456789", d) for d in digits]
    for i in range(n):
        host, slash, path = draw.choice(urls).partition("://")
        first, second = draw.choice(texts), draw.choice(texts)
        text = first[:len(first) // 2 + 1] + second[len(second) // 2:]
        mark = "" if sum(c.isdigit() for c in path) > 5 else f"?v={i * 7919}"
        yield (f"{host}{slash}{path.translate(draw.choice(tables))}{mark}\t"
               f"{' '.join(text)}\n")


def corpus(program, folder, n):
    """A corpus with the list, PARTS parts of pairs/ and a batch of one."""
    made = match_data.make(program, folder / "data", SHARED)
    list_ = (made / "entries.txt").read_text().splitlines()
    draw = random.Random(match_data.SEED)
    at = folder / "corpus"
    at.mkdir()
    for name in ("corpus.db", "queries.bin"):
        shutil.copy(made / "words" / name, at / name)
    lists = [folder / f"links-{k}.tsv" for k in range(PARTS)]
    found = rows(draw, list_, n)
    for path in lists:
        with path.open("w", encoding="utf-8") as out:
            out.writelines(next(found) for _ in range(n // PARTS))
    (folder / "one.tsv").write_text("http://a.test/\ta dog at the sea\n")
    for name, paths in (("links", lists), ("one", [folder / "one.tsv"])):
        subprocess.run([program, "import", at, "--as", name, "--header", "no",
                        *[x for p in paths for x in ("--links", p)]],
                       check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
    for path in lists:
        path.unlink()
    return at


# ---- the stage ----

def matched(program, at, batch):
    best, memory = None, 0
    for _ in range(ROUNDS):
        shutil.rmtree(at / "matched", ignore_errors=True)
        took, memory = cpu_s(program, "match", at, "--batch", batch,
                             "--threads", 1, "--part", "0/1")
        best = took if best is None else min(best, took)
    return best, memory


def main():
    build = pathlib.Path(sys.argv[1])
    n = int(sys.argv[2]) if len(sys.argv) > 2 else 2_000_000
    folder = pathlib.Path("build/bench-match-disk")
    if not SHARED.is_dir():
        print(f"match-disk: no {SHARED}, words are made up")
    shutil.rmtree(folder / "corpus", ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    program = build / "witmill"
    at = corpus(program, folder, n)
    start, _ = matched(program, at, "one")
    took, memory = matched(program, at, "links")
    rate = n / (took - start)
    disk = sum(p.stat().st_size for p in at.glob("matched/links/*.zst"))
    print(f"match, {n:,} records, one thread: {rate:,.0f} records a CPU second "
          f"(wanted {WANTED:,}), {1e6 / rate:.2f} us each")
    print(f"  to open the list {start:.2f} s; peak memory "
          f"{memory / 1024:.0f} MiB; {disk / n:.0f} bytes a record on disk")
    sys.stdout.flush()
    subprocess.run([build / "bench_records", at, "links/part-00000"],
                   check=True)
    shutil.rmtree(folder / "corpus")


if __name__ == "__main__":
    main()
