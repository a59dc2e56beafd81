#!/usr/bin/env python3
"""make bench, BENCH=views: an hour of page views beside gzip -dc.

A made-up hourly file, sorted and spread over projects like a real one: about
half of its lines are of en and en.m, most titles are viewed once or twice, few
often.  Printed: MB of text per CPU second of `queries --pageviews` (hashing of
the file and the catalogue included) and of `gzip -dc`, and how many times its
time that takes; then the same where 24 such hours are read at once, whose
titles are much the same; and by the clock what two threads make of these.

usage: tools/bench_views.py BUILD [LINES]
"""
import gzip
import os
import pathlib
import random
import resource
import shutil
import subprocess
import sys
import time

# Share of lines by project, in bytewise order as in a real file.
PROJECTS = [("ar", 2), ("commons.m", 2), ("de", 5), ("de.m", 6), ("en", 22),
            ("en.d", 4), ("en.m", 27), ("es", 3), ("es.m", 5), ("fr", 4),
            ("fr.m", 5), ("it.m", 3), ("ja", 3), ("ja.m", 5), ("ru.m", 4)]
PARTS = ["river", "New", "of_the", "station", "(film)", "John", "list",
         "19", "season", "County,", "battle", "São", "album"]


def cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(command):
    """CPU seconds of a command: other work on the machine counts less."""
    began = cpu()
    subprocess.run(list(map(str, command)), check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return cpu() - began


def clocked(command):
    began = time.monotonic()
    subprocess.run(list(map(str, command)), check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - began


def title(r):
    n = r.randint(1, 3)
    return "_".join([*(r.choice(PARTS) for _ in range(n)),
                     str(r.randrange(10 ** 6))]).capitalize()


def write_hour(path, lines):
    """Returns its bytes."""
    r = random.Random(1)
    whole, size = sum(n for _, n in PROJECTS), 0
    with gzip.open(path, "wb", 6) as out:
        for project, share in PROJECTS:
            names = sorted({title(r) for _ in range(lines * share // whole)})
            text = "".join(f"{project} {t} {int(r.paretovariate(0.9))} 0\n"
                           for t in names).encode()
            out.write(text)
            size += len(text)
    return size


def main():
    build = pathlib.Path(sys.argv[1])
    lines = int(sys.argv[2]) if len(sys.argv) > 2 else 2000000
    folder = pathlib.Path("build/bench-views")
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "day").mkdir(parents=True)
    hour = folder / "pageviews-20240101-000000.gz"
    mb = write_hour(hour, lines) / 1e6
    for h in range(24):
        os.link(hour, folder / f"day/pageviews-20240101-{h:02}0000.gz")
    least = min(timed(["gzip", "-dc", hour]) for _ in range(3))
    print(f"page views, {mb:.0f} MB of text an hour")
    print(f"  gzip -dc          {mb / least:7.0f} MB per CPU second")
    for what, path, hours in (("an hour", hour, 1),
                              ("24 hours", folder / "day", 24)):
        took = timed([build / "witmill", "queries", folder / f"c{hours}",
                      "--sources", "title", "--pageviews", path])
        print(f"  {what:10}{mb * hours / took:15.0f} MB per CPU second, "
              f"{took / hours / least:.2f} times gzip -dc")
    alone, two = (clocked([build / "witmill", "queries", folder / f"t{n}",
                           "--sources", "title", "--pageviews", folder / "day",
                           "--threads", n]) for n in (1, 2))
    print(f"  24 hours by two threads: {alone / two:.2f} times as fast as by "
          "one")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
