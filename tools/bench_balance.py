#!/usr/bin/env python3
"""make bench BENCH=balance: what planning and selecting cost on one thread.

A corpus of made-up pairs of the published shape (tests/make_records.c) is
gathered, then planned and selected in each mode, without the catalogue.  The
limit is unpacking and splitting the same records, in the same minute; ratios
say how much more a mode takes.  What a draw takes: bench_draws.

usage: tools/bench_balance.py BUILD [RECORDS]
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys


def timed(*command):
    """(CPU seconds, peak resident MB)"""
    with open(os.devnull, "wb") as null:
        child = subprocess.Popen(list(map(str, command)), stdout=null,
                                 stderr=null)
        _, status, used = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"{' '.join(map(str, command))}: failed")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def told(*command):
    return json.loads(subprocess.run(
        [*map(str, command), "--json"], check=True, capture_output=True).stdout)


def size_mb(*paths):
    return sum(p.stat().st_size for p in paths) / 1e6


def main():
    build = pathlib.Path(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 1000000
    folder = pathlib.Path("build/bench-balance")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    corpus, witmill = folder / "c", build / "witmill"
    timed(build / "make_records", corpus, "--records", count)
    timed(witmill, "gather", corpus, "--part", "0/1")
    timed(witmill, "gather", corpus, "--finish")
    unique = sorted(corpus.glob("unique/*.zst"))
    pairs = told(witmill, "balance", corpus, "--plan")["pairs"]
    # The cap that keeps about a quarter of the pairs, as the published one.
    quarter = told(witmill, "balance", corpus, "--target", pairs // 4,
                   "--dry-run")
    cap = max(quarter["cap"], 1)
    rows = [("unpack and split", [build / "jsonl_cat", *unique]),
            ("plan --target", ["--target", pairs // 4, "--plan"]),
            ("plan --exact", ["--cap", cap, "--exact", "--plan"]),
            ("  in 16 MB", ["--cap", cap, "--exact", "--plan", "--memory",
                            "16M"]),
            ("--dry-run", ["--cap", cap, "--dry-run"]),
            ("--dry-run --exact", ["--cap", cap, "--exact", "--dry-run"]),
            ("plan --cap", ["--cap", cap, "--plan"]),
            ("select", ["--cap", cap, "--part", "0/1"])]
    print(f"{pairs:,} pairs, {quarter['matches']:,} matches, "
          f"{size_mb(*unique):,.0f} MB; cap {cap}: {quarter['kept']:,} kept")
    print(f"{'one thread':20}{'CPU s':>8}{'records/s':>13}{'ratio':>7}"
          f"{'peak MB':>9}")
    least = 0
    for name, command in rows:
        balance = command[0] != build / "jsonl_cat"
        if balance:
            command = [witmill, "balance", corpus, *command, "--threads", "1"]
        runs = []
        for _ in range(2):
            for path in corpus.glob("selected/round-0/*"):
                if "caps" not in path.name or "--plan" in command:
                    path.unlink()
            runs.append(timed(*command))
        took, peak = min(runs)
        least = least or took
        print(f"{name:20}{took:8.2f}{pairs / took:13,.0f}{took / least:7.1f}"
              f"{peak:9.0f}", flush=True)
    print(f"selected/ {size_mb(*corpus.glob('selected/round-0/*.zst')):.0f} MB")
    print(subprocess.run([build / "bench_draws"], check=True,
                         capture_output=True, text=True).stdout, end="")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
