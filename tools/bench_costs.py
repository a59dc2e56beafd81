#!/usr/bin/env python3
"""make bench, BENCH=costs: what each stage costs, and the bill of a corpus.

Texts: synthetic pairs of the published shape (tests/make_records) in three
sizes, each four times the one before, through match, gather and balance.
Pictures: as many bytes as photographs have (tests/make_photos), in three
sizes, from our own server on loopback through download and pack; and ten times
as many thumbnails, as what dedup takes of one is little.  One thread a stage
(the download has its decoder beside); CPU seconds, so that other work on the
machine counts less.  A line through the two largest sizes gives what a stage
takes to start and what an item costs; from these the machines and days for the
paper's corpus and for all of Common Crawl.

usage: tools/bench_costs.py BUILD [TEXTS [PICTURES]]
       the largest sizes (4000000 and 2400)
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys

FOLDER = pathlib.Path("build/bench-costs")
SIZES = 3
GROWTH = 4

# What the bill is of; facts of the published corpora.
CORES = 16               # of a machine
POOL = 1.6e9             # matched pairs of the paper's size (MetaCLIP, pool 1)
MATCHED_SHARE = 0.5      # of English texts match a query (the same)
KEPT = 400e6             # pairs of the corpus
USABLE = 0.42            # of URLs give an image (DataComp)
CRAWL_TEXTS = 300e9      # texts of Common Crawl (MetaCLIP, pool 2)
CRAWL_MATCHED = 10.7e9   # of them match
CRAWL_KEPT = 1e9         # of these a cap of 20,000 keeps
LINE = 10e9 / 8 * 0.8    # bytes a second of a machine's 10 Gb/s


class Cost:
    """One stage on one size: CPU seconds, peak MB, bytes it left."""

    def __init__(self, items, cpu, peak, out):
        self.items, self.cpu, self.peak, self.out = items, cpu, peak, out


class Line:
    """A stage's costs as a line through the two largest sizes: what it takes
    to start, and what every further item does."""

    def __init__(self, costs):
        less, more = costs[-2:]
        items = more.items - less.items
        self.each = (more.cpu - less.cpu) / items
        self.start = more.cpu - self.each * more.items
        self.out = (more.out - less.out) / items


def run(command):
    """(CPU seconds, peak MB) of one command."""
    child = subprocess.Popen(list(map(str, command)),
                             stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE)
    words = child.stderr.read()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit code "
                 f"{child.returncode}\n{words.decode()[-2000:]}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def size_of(folder):
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def stage(table, witmill, corpus, name, items, *options):
    out = {"import": "pairs", "match": "matched", "gather": "unique",
           "balance": "selected", "download": "images", "dedup": "survivors",
           "pack": "shards"}[name]
    cost = Cost(items, *run([witmill, name, corpus, *options]),
                size_of(corpus / out))
    table.setdefault(name, []).append(cost)
    print(f"  {name:9}{items:12,}{cost.cpu:11,.2f}{cost.out / items:12,.0f}"
          f"{cost.peak:10,.0f}", flush=True)


def heading(what):
    print(f"\n{what}\n  {'stage':9}{'items':>12}{'CPU s':>11}{'bytes each':>12}"
          f"{'peak MB':>10}")


def write_list(build, corpus):
    """The pairs that were made, as a list of links."""
    parts = sorted((corpus / "pairs/made").glob("*.zst"))
    with subprocess.Popen([build / "jsonl_cat", *parts],
                          stdout=subprocess.PIPE) as cat, \
            open(FOLDER / "list.tsv", "w", encoding="utf-8") as out:
        for line in cat.stdout:
            pair = json.loads(line)
            out.write(f"{pair['url']}\t{pair['text']}\n")


def texts(build, largest):
    table = {}
    heading("texts: records in, synthetic, of the published shape")
    for k in reversed(range(SIZES)):
        n, corpus = largest // GROWTH ** k, FOLDER / f"texts-{k}"
        run([build / "make_records", corpus, "--records", n, "--pairs"])
        write_list(build, corpus)
        shutil.rmtree(corpus / "matched")
        shutil.rmtree(corpus / "pairs")
        for name, options in [
                ("import", ["--links", FOLDER / "list.tsv"]),
                ("match", []), ("gather", []),
                ("balance", ["--cap", max(1, n // 80000)])]:
            stage(table, build / "witmill", corpus, name, n, "--threads", "1",
                  *options)
        if k:
            shutil.rmtree(corpus)
    return table


def serve(build, photos):
    server = subprocess.Popen([build / "httpd", "--host",
                               f"photos.test={photos}", "--die-with-parent"],
                              stdout=subprocess.PIPE, text=True)
    return server, int(server.stdout.readline())


def pictures(build, largest, *side):
    """Costs of the stages, and the bytes of a picture."""
    table, photos = {}, FOLDER / "photos"
    run([build / "make_photos", photos, largest, *side])
    each = size_of(photos) / largest
    (FOLDER / "limits").write_text("photos.test 64\n")
    server, port = serve(build, photos)
    heading(f"pictures: {each / 1e3:.0f} KB each, over loopback")
    for k in reversed(range(SIZES)):
        n, corpus = largest // GROWTH ** k, FOLDER / f"pictures-{k}"
        (FOLDER / "list.tsv").write_text("".join(
            f"http://photos.test/p{i:06}.jpg\ta dog and the number {i} of all "
            f"houses\n" for i in range(n)))
        run([build / "witmill", "queries", corpus, "--sources",
             "wordnet,numeral"])
        for name, options in [
                ("import", ["--links", FOLDER / "list.tsv", "--threads", 1]),
                ("match", ["--threads", 1]), ("gather", ["--threads", 1]),
                ("balance", ["--threads", 1]),
                ("download", ["--contact", "https://example.org/",
                              "--no-dns", "--allow-net", "127.0.0.0/8",
                              "--resolve", f"photos.test:80:127.0.0.1:{port}",
                              "--host-limit", FOLDER / "limits"]),
                ("dedup", ["--threads", 1]), ("pack", ["--threads", 1])]:
            stage(table, build / "witmill", corpus, name, n, *options)
        shutil.rmtree(corpus)
    server.kill()
    server.wait()
    shutil.rmtree(photos)
    return table, each


def lines(table, *names):
    """What a stage takes to start, and a million items, by the two largest
    sizes; and by the two before, for how straight the line is."""
    print(f"\n{'stage':11}{'start s':>9}{'s/million':>11}"
          f"{'before':>9}{'bytes each':>12}")
    out = {}
    for name in names:
        costs = table[name]
        line, before = Line(costs), Line(costs[:-1])
        print(f"{name:11}{line.start:9.2f}{line.each * 1e6:11.2f}"
              f"{before.each * 1e6:9.2f}{line.out:12,.0f}")
        out[name] = line
    return out


def bill(title, rows, bytes_in):
    """rows: (stage, items, cost).  Bytes of a network come beside: they pass
    while the machine computes."""
    print(f"\n{title}\n  {'stage':9}{'items':>10}{'core hours':>13}"
          f"{'TB left':>9}")
    cores = 0.0
    for name, items, cost in rows:
        hours = items * cost.each / 3600
        cores += hours
        print(f"  {name:9}{items:10.2g}{hours:13,.0f}"
              f"{items * cost.out / 1e12:9,.1f}")
    days = cores / CORES / 24
    print(f"  {cores:,.0f} core hours: {days:,.1f} days of one machine of "
          f"{CORES} cores, {days / 10:,.1f} of ten")
    if bytes_in:
        line = bytes_in / LINE / 86400
        print(f"  {bytes_in / 1e12:,.0f} TB to fetch: {line:,.1f} days of one "
              f"machine's 10 Gb/s at 80%, {line / 10:,.1f} of ten")


def bills(t, p, thumbnails, image):
    """Lines of the texts, of photographs and of thumbnails; image: bytes of a
    photograph."""
    asked = KEPT / USABLE
    bill("the paper's corpus: 400 million pairs out of 1.6 billion that match",
         [("import", POOL / MATCHED_SHARE, t["import"]),
          ("match", POOL / MATCHED_SHARE, t["match"]),
          ("gather", POOL, t["gather"]), ("balance", POOL, t["balance"]),
          ("download", KEPT, p["download"]), ("dedup", KEPT, thumbnails["dedup"]),
          ("pack", KEPT, p["pack"])], KEPT * image)
    print(f"  (for {KEPT:.2g} images about {asked:.2g} URLs are asked; those "
          "that give none cost a request)")
    bill("Common Crawl: 300 billion texts, 10.7 billion match, a billion kept",
         [("import", CRAWL_TEXTS, t["import"]),
          ("match", CRAWL_TEXTS, t["match"]),
          ("gather", CRAWL_MATCHED, t["gather"]),
          ("balance", CRAWL_MATCHED, t["balance"]),
          ("download", CRAWL_KEPT, p["download"]),
          ("dedup", CRAWL_KEPT, thumbnails["dedup"]), ("pack", CRAWL_KEPT, p["pack"])],
         CRAWL_KEPT * image)


def main():
    build = pathlib.Path(sys.argv[1])
    largest_text = int(sys.argv[2]) if len(sys.argv) > 2 else 4000000
    largest_picture = int(sys.argv[3]) if len(sys.argv) > 3 else 2400
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    text = texts(build, largest_text)
    photographs, image = pictures(build, largest_picture)
    thumbnails, _ = pictures(build, 10 * largest_picture, 160, 120)
    print("\ntexts, by the two largest sizes", end="")
    t = lines(text, "import", "match", "gather", "balance")
    print("\nphotographs", end="")
    p = lines(photographs, "download", "pack")
    print("\nthumbnails", end="")
    bills(t, p, lines(thumbnails, "download", "dedup", "pack"), image)
    shutil.rmtree(FOLDER)


if __name__ == "__main__":
    main()
