#!/usr/bin/env python3
"""What it costs to count a Wikipedia, beside the tools that do parts of it.

usage: tools/bench_queries.py BUILD [MEGABYTES]

Dumps of ../shared/data are repeated up to MEGABYTES (200) of plain XML; so the
number of distinct words is that of the dumps, and the tables of a whole
Wikipedia are larger (tests/bench_counts has those).  One thread unless said;
CPU seconds of whole processes where one process is timed, seconds of a clock
where two share the machine.  Each figure is the best of ROUNDS turns.

1. `queries --wiki` of plain XML: pages, text, words, bigrams, list.
2. `lbzip2 -dc | queries --wiki -` beside `lbzip2 -dc > /dev/null`.
3. bzip2 by the reader of the stages beside bzcat.
4. gensim's functions with a Counter beside `queries --wiki` of the same file:
   plain XML on both sides, then bzip2 on both, which is mostly libbz2's.
"""
import bz2
import importlib.util
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import peers  # noqa: E402

ROUNDS = 3
GENSIM_BYTES = 24_000_000  # of XML: gensim needs a second for one or two MB
SHARED = pathlib.Path(os.environ.get("WITMILL_SHARED", "../shared"))
WIKI = SHARED / "data/wiki"
MARKED_UP = WIKI / "enwiki-2016-pages-articles1-shortened.xml.bz2"
VOLUME = WIKI / "enwiki-2021-plaintext-rewrapped-dev.xml.bz2"

# (What its WikiCorpus does with a page, without its pool of processes.)
GENSIM = """
import bz2, collections, sys
from gensim.corpora.wikicorpus import extract_pages, filter_wiki, tokenize
counts = collections.Counter()
with (bz2.BZ2File if sys.argv[1].endswith("bz2") else open)(
        sys.argv[1], "rb") as dump:
    for _, text, _ in extract_pages(dump, ("0",)):
        counts.update(tokenize(filter_wiki(text), 1, 1024, True))
print(sum(counts.values()))
"""


def cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(command, clock=cpu, rounds=ROUNDS, **kwargs):
    best = None
    for _ in range(rounds):
        began = clock()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, **kwargs)
        took = clock() - began
        best = took if best is None else min(best, took)
    return best


def repeated(sources, size, to):
    """The pages of some dumps, again and again, between the first one's head
    and foot; their names are the same each time, which counting does not
    mind."""
    dumps = [bz2.decompress(source.read_bytes()) for source in sources]
    head, foot = dumps[0].split(b"<page>", 1)[0], b"</mediawiki>\n"
    pages = [d[d.index(b"<page>"):d.rindex(b"</page>") + len(b"</page>\n")]
             for d in dumps]
    written = 0
    with open(to, "wb") as out:
        out.write(head)
        while written < size:
            for block in pages:
                out.write(block)
                written += len(block)
        out.write(foot)
    return to.stat().st_size


class Queries:
    """Commands that count a dump and make a list, in a fresh corpus each."""

    def __init__(self, build, folder):
        self.program, self.corpus = build / "witmill", folder / "corpus"

    def command(self, dump, threads=1):
        return ["sh", "-c", 'rm -rf "$1"; shift; exec "$@"', "sh",
                str(self.corpus), str(self.program), "queries",
                str(self.corpus), "--wiki", str(dump), "--sources",
                "word,bigram", "--threads", str(threads)]


def through(queries, xml, what):
    took, size = timed(queries.command(xml)), xml.stat().st_size
    print(f"  {what:34}{size / took / 1e6:8.1f} MB/s of plain XML "
          f"(wanted 60)", flush=True)


def piped(queries, packed, size):
    if not shutil.which("lbzip2"):
        print("  lbzip2 is not there (make deps-dev)")
        return
    alone = timed(["lbzip2", "-dc", str(packed)], time.monotonic)
    both = timed(["bash", "-c", 'set -o pipefail; p=$1; shift; '
                  'lbzip2 -dc "$p" | "$@"', "bash", str(packed),
                  *queries.command("-", os.cpu_count())], time.monotonic)
    print(f"  lbzip2 -dc | queries -: {both / alone:.2f} times lbzip2 alone "
          f"(wanted 1.5; all processors, {size / both / 1e6:.1f} MB/s)",
          flush=True)


def unpacked(build, packed):
    ours = timed([str(build / "stream_cat"), "1", str(packed)])
    theirs = timed(["bzcat", str(packed)])
    print(f"  bzip2 by our reader: {ours / theirs:.2f} times bzcat "
          "(wanted 1.5)", flush=True)


def beside_gensim(queries, xml, folder):
    if not importlib.util.find_spec("gensim"):
        print("  gensim: skipped, not in build/peers/venv (tools/peers.py)")
        return
    script = folder / "count.py"
    script.write_text(GENSIM)
    repeated([MARKED_UP], GENSIM_BYTES, xml)
    packed = xml.with_suffix(".xml.bz2")
    packed.write_bytes(bz2.compress(xml.read_bytes()))
    for dump, what, wanted in ((xml, "plain XML", " (wanted 20)"),
                               (packed, "bzip2", "")):
        ours = timed(queries.command(dump))
        theirs = timed([sys.executable, str(script), str(dump)], rounds=1)
        print(f"  gensim's reader with a Counter, {what} on both sides: "
              f"{theirs / ours:.1f} times our CPU seconds{wanted}", flush=True)


def main():
    build = pathlib.Path(sys.argv[1])
    size = int(float(sys.argv[2] if len(sys.argv) > 2 else 200) * 1e6)
    if not VOLUME.exists():
        print(f"queries: skipped, no {WIKI}")
        return
    if peers.works(peers.interpreter()):
        peers.enter()
    folder = pathlib.Path("build/bench-queries")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    queries = Queries(build, folder)
    print(f"queries: {size / 1e6:.0f} MB of XML, best of {ROUNDS}")
    for what, sources in (("marked up, as dumps are", [MARKED_UP]),
                          ("plain text, many distinct words", [VOLUME])):
        repeated(sources, size, folder / "dump.xml")
        through(queries, folder / "dump.xml", what)
    subprocess.run(["bzip2", "-k", str(folder / "dump.xml")], check=True)
    unpacked(build, folder / "dump.xml.bz2")
    piped(queries, folder / "dump.xml.bz2",
          (folder / "dump.xml").stat().st_size)
    beside_gensim(queries, folder / "gensim.xml", folder)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
