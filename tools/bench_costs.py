#!/usr/bin/env python3
"""make bench, BENCH=costs: what each stage costs, and the bill of a corpus.

Texts: link lists of synthetic pairs of the published shape (make_records) in
four sizes, each four times the one before, through import, match (of texts of
which all match, and of others of which none does), gather, balance in both
modes; and, on the three smaller ones, behind ledgers for all that was selected
(make_ledgers), dedup and the catalogue.  Pictures: as many bytes as photographs
have (make_photos), in three sizes, from our own server on loopback through
download and pack, and ten times as many URLs that are not there.

One thread a stage (the download has its decoder beside); CPU seconds, so that
other work on the machine counts less; bytes that the process read and wrote, by
the kernel's count of its calls (sockets among them).  Differences of one size
and the one before give what a further item costs, without the start; from the
last one the machines and days for the paper's corpus and for Common Crawl.

Printed is Markdown; --page FILE puts it between the lines `<!-- costs:begin -->`
and `<!-- costs:end -->` of FILE, docs/costs.md.

usage: tools/bench_costs.py BUILD [--texts N] [--pictures N] [--page FILE]
       N: the largest sizes, 4,000,000 and 2,400, about ten minutes and 4 GB of
       disk
"""
import argparse
import fcntl
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

from costs_bill import bills, number

FOLDER = pathlib.Path("build/bench-costs")
GROWTH = 4
TEXT_SIZES = 4
IMAGE_SIZES = 3          # of these, from the smallest
PICTURE_SIZES = 3
GONE = 10                # URLs that are gone for each picture: they cost little
MERGE_SAMPLE = 1000


class Cost:
    """One stage on one size: items, CPU seconds, peak MiB, bytes read and
    written by its calls, bytes that lie on disk afterwards."""

    def __init__(self, items, used, left):
        self.items, self.left = items, left
        self.cpu, self.peak, self.read, self.written = used


class Stage:
    """Costs by size, smallest first."""

    def __init__(self, costs):
        self.costs = sorted(costs, key=lambda c: c.items)

    def each(self, field, step=-1):
        """Of a further item, between a size and the one before."""
        less, more = self.costs[step - 1], self.costs[step]
        return (getattr(more, field) - getattr(less, field)) / \
            (more.items - less.items)

    def steps(self):
        return range(1, len(self.costs))


def run(*command):
    """(CPU seconds, peak MiB, bytes read, bytes written)"""
    child = subprocess.Popen(list(map(str, command)),
                             stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE)
    words = child.stderr.read()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    calls = dict(line.split(": ") for line in pathlib.Path(
        f"/proc/{child.pid}/io").read_text().splitlines())
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit code "
                 f"{child.returncode}\n{words.decode()[-2000:]}")
    return (used.ru_utime + used.ru_stime, used.ru_maxrss / 1024,
            int(calls["rchar"]), int(calls["wchar"]))


def size_of(*folders):
    return sum(p.stat().st_size for folder in folders
               for p in folder.rglob("*") if p.is_file())


class Table:
    def __init__(self, witmill):
        self.witmill, self.costs = witmill, {}

    def add(self, name, items, used, left):
        self.costs.setdefault(name, []).append(Cost(items, used, left))
        print(f"  {name:24}{items:12,}{used[0]:9.2f} s{used[1]:7.0f} MiB",
              file=sys.stderr, flush=True)

    def stage(self, name, corpus, items, folder, *args):
        """A command of witmill; folder is what it leaves.  While this holds
        the catalogue's lock, what is no part leaves the merge to later."""
        with open(corpus / "merge.lock", "a", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            used = run(self.witmill, *args)
        self.add(name, items, used, size_of(corpus / folder))

    def stages(self):
        return {name: Stage(costs) for name, costs in self.costs.items()}


# ---- texts ----

def fresh(corpus, *folders):
    for folder in folders:
        shutil.rmtree(corpus / folder, ignore_errors=True)


def links(build, corpus, n, unmatched):
    """The lists' names as options; what was made, counted."""
    fresh(corpus, "links", "pairs", "matched")
    told = json.loads(subprocess.run(
        [build / "make_records", corpus, "--records", str(n), "--parts", "8",
         "--links", "--unmatched", str(unmatched)], check=True,
        capture_output=True).stdout)
    return [x for p in sorted((corpus / "links").glob("*.tsv"))
            for x in ("--links", p)], told


def images(table, build, corpus, pairs):
    """Everything selected, as if a download had asked for it."""
    fresh(corpus, "selected")
    for what in ["--plan"], ["--part", "0/1"]:
        run(table.witmill, "balance", corpus, "--cap", 10 ** 9, *what)
    urls = json.loads(subprocess.run(
        [build / "make_ledgers", corpus], check=True,
        capture_output=True).stdout)["urls"]
    table.stage("dedup", corpus, urls, "survivors", "dedup", corpus,
                "--threads", 1)
    table.add("merge", pairs, run(table.witmill, "merge", corpus, "--catalog",
                                  f"sample:{MERGE_SAMPLE}"), 0)


def texts(table, build, n, with_images):
    corpus = FOLDER / "texts"
    one = ["--threads", 1, "--part", "0/1"]
    lists, _ = links(build, corpus, n, 1000000)
    run(table.witmill, "import", corpus, *lists, *one)
    table.stage("match: none does", corpus, n, "matched", "match", corpus, *one)
    lists, told = links(build, corpus, n, 0)
    table.stage("import", corpus, n, "pairs", "import", corpus, *lists, *one)
    fresh(corpus, "links")
    table.stage("match: all do", corpus, n, "matched", "match", corpus, *one)
    table.stage("gather", corpus, n, "unique", "gather", corpus, *one)
    run(table.witmill, "gather", corpus, "--finish")
    fresh(corpus, "pairs", "matched")
    pairs = told["uids"]
    target = ["balance", corpus, "--target", pairs // 4, "--threads", 1]
    table.stage("balance", corpus, pairs, "selected", *target)
    fresh(corpus, "selected")
    table.stage("balance --exact", corpus, pairs, "selected", *target,
                "--exact")
    if with_images:
        images(table, build, corpus, pairs)
    shutil.rmtree(corpus)


# ---- pictures ----

def pictures(table, build, n, port, name, net):
    corpus = FOLDER / "pictures"
    links = FOLDER / "list.tsv"
    links.write_text("".join(
        f"http://photos.test/{name}{i:06}.jpg\ta dog and the number {i} of all "
        f"houses\n" for i in range(n)))
    run(table.witmill, "queries", corpus, "--sources", "wordnet,numeral")
    run(table.witmill, "import", corpus, "--links", links)
    for stage in "match", "gather", "balance":
        run(table.witmill, stage, corpus)
    net = [*net, "--resolve", f"photos.test:80:127.0.0.1:{port}"]
    found = name == "p"
    table.stage("download: images" if found else "download: gone", corpus, n,
                "images", "download", corpus, *net)
    if found:
        run(table.witmill, "dedup", corpus)
        table.stage("pack", corpus, n, "shards", "pack", corpus, "--threads",
                    1)
    shutil.rmtree(corpus)


def all_pictures(table, build, largest):
    """The bytes of a picture."""
    photos, limits = FOLDER / "photos", FOLDER / "limits"
    run(build / "make_photos", photos, largest)
    each = size_of(photos) / largest
    limits.write_text("photos.test 64\n")
    net = ["--contact", "https://example.org/", "--no-dns", "--allow-net",
           "127.0.0.0/8", "--host-limit", limits]
    with subprocess.Popen(
            [build / "httpd", "--host", f"photos.test={photos}",
             "--die-with-parent"], stdout=subprocess.PIPE, text=True) as server:
        port = int(server.stdout.readline())
        for k in reversed(range(PICTURE_SIZES)):
            n = largest // GROWTH ** k
            pictures(table, build, n, port, "p", net)
            pictures(table, build, GONE * n, port, "gone", net)
        server.kill()
    return each


# ---- the page ----

def amount(n):
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if n >= size:
            return f"{n / size:.3g}{unit}"
    return str(n)


def machine():
    return (f"Of {time.strftime('%Y-%m-%d', time.gmtime())}, on "
            f"{os.cpu_count()} processors; while it ran "
            f"{os.getloadavg()[2]:.1f} processes were running on average.")


def table_of(stages):
    """Markdown: CPU seconds a million by size, bytes, memory."""
    yield ("| stage | items | CPU s a further million, by size | last / first "
           "| bytes read | written | left | peak MiB |")
    yield "|---|---|---|---|---|---|---|---|"
    for name, s in stages.items():
        by_size = [s.each("cpu", k) * 1e6 for k in s.steps()]
        yield (f"| {name} | {' '.join(amount(c.items) for c in s.costs)} | "
               f"{' '.join(map(number, by_size))} | "
               f"{by_size[-1] / by_size[0]:.2f} | {s.each('read'):,.0f} | "
               f"{s.each('written'):,.0f} | {s.each('left'):,.0f} | "
               f"{' '.join(f'{c.peak:.0f}' for c in s.costs)} |")


def put_on_page(path, lines):
    begin, end = "<!-- costs:begin -->\n", "<!-- costs:end -->"
    text = path.read_text(encoding="utf-8")
    before, rest = text.split(begin)
    path.write_text(before + begin + "\n".join(lines) + "\n" + end +
                    rest.split(end)[1], encoding="utf-8")


def main():
    args = argparse.ArgumentParser()
    args.add_argument("build", type=pathlib.Path)
    args.add_argument("--texts", type=int, default=4000000)
    args.add_argument("--pictures", type=int, default=2400)
    args.add_argument("--page", type=pathlib.Path)
    args = args.parse_args()
    began = time.monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    table = Table(args.build / "witmill")
    for k in reversed(range(TEXT_SIZES)):
        texts(table, args.build, args.texts // GROWTH ** k,
              k >= TEXT_SIZES - IMAGE_SIZES)
    picture = all_pictures(table, args.build, args.pictures)
    shutil.rmtree(FOLDER)
    stages = table.stages()
    lines = [machine(), "", *table_of(stages), "", *bills(stages, picture)]
    if args.page:
        put_on_page(args.page, lines)
    print("\n".join(lines))
    print(f"({time.monotonic() - began:.0f} s)", file=sys.stderr)


if __name__ == "__main__":
    main()
