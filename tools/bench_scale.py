#!/usr/bin/env python3
"""make bench, BENCH=scale: gather on synthetic records, beside what no sorting
of compressed lines can do without.

Made by make_records: records of the published shape, 15% of them repeated, 10%
further texts of a URL.  Printed, for one and for two threads, and for the least
memory: seconds by the clock, CPU microseconds a record, peak memory, bytes
sorted on disk; and in the same run, in CPU seconds, `zstd -dc` of what is read
and `zstd -3` of what is written (the floor), and with `sort` between them.

usage: tools/bench_scale.py BUILD [--records N] [--parts N] [--folder DIR]
                                  [--memory SIZE] [--only-default] [--keep]

With --records 100000000 it needs some 30 GB in DIR and takes an hour of two
quiet cores; --only-default then leaves out all but the run with gather's own
options.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time


def run(command, **kwargs):
    """(seconds, CPU seconds, peak MiB, its output) of one command."""
    began = time.monotonic()
    child = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, **kwargs)
    out = child.stdout.read()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit code "
                 f"{child.returncode}")
    return (time.monotonic() - began, used.ru_utime + used.ru_stime,
            used.ru_maxrss / 1024, out.decode(errors="replace"))


def size(folder):
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def sums(corpus):
    """What the buckets' sidecars count, and the fingerprint of their bytes."""
    found, files = {}, []
    for path in sorted(corpus.glob("unique/bucket-*.meta.json")):
        side = json.loads(path.read_text())
        files.append(side["sha256"])
        for name, n in {**side["counts"], **side["drops"]}.items():
            found[name] = found.get(name, 0) + n
    return found, files


def spilled(text):
    for line in text.splitlines():
        if "bytes sorted on disk" in line:
            return int(line.split()[-1].replace(",", ""))
    return 0


def gather(build, corpus, told, what, *args):
    """One run, into an empty unique/; prints and returns its CPU seconds and
    the hashes of its outputs."""
    shutil.rmtree(corpus / "unique", ignore_errors=True)
    # As a part, so that what the catalogue costs is not measured with it.
    clock, cpu, peak, out = run([build / "witmill", "gather", corpus,
                                 "--part", "0/1", *args])
    found, files = sums(corpus)
    n = told["records"]
    right = all(found.get(a, 0) == told[b] for a, b in (
        ("read", "records"), ("records", "uids"), ("urls", "urls"),
        ("duplicate-uid", "copies"), ("urls-with-texts", "urls_with_texts")))
    print(f"  {what:34} {clock:8.1f} s {1e6 * cpu / n:7.2f} us CPU a record "
          f"{peak:7.0f} MiB {spilled(out) / 1e9:6.2f} GB sorted on disk"
          f"{'' if right else '  WRONG NUMBERS'}", flush=True)
    if not right:
        sys.exit(f"{found}, made were {told}")
    return cpu, files


def pipe(command):
    """CPU seconds of a shell pipe and all in it."""
    return run(["bash", "-c", f"set -o pipefail; {command}"])[1]


def limits(corpus, told, ours):
    """What other programs take for less than the same."""
    if not shutil.which("zstd"):
        print("  (no zstd to compare with)")
        return
    n = told["records"]
    read = f"zstd -dcq {corpus}/matched/made/*.jsonl.zst"
    floor = pipe(f"{read} > /dev/null") + \
        pipe(f"zstd -dcq {corpus}/unique/bucket-*.jsonl.zst | "
             "zstd -3 -q > /dev/null") - \
        pipe(f"zstd -dcq {corpus}/unique/bucket-*.jsonl.zst > /dev/null")
    peer = pipe(f"{read} | LC_ALL=C sort -S 1G --parallel=1 -T {corpus} | "
                "zstd -3 -q > /dev/null")
    print(f"  zstd -dc, zstd -3: {1e6 * floor / n:.2f} us CPU a record; "
          f"gather takes {ours / floor:.2f} times that\n"
          f"  zstd -dc | sort | zstd -3: {1e6 * peer / n:.2f} us; gather takes "
          f"{ours / peer:.2f} times that", flush=True)


def main():
    args = argparse.ArgumentParser()
    args.add_argument("build", type=pathlib.Path)
    args.add_argument("--records", type=int, default=1000000)
    args.add_argument("--parts", type=int)
    args.add_argument("--folder", type=pathlib.Path)
    args.add_argument("--memory", default="16M")
    args.add_argument("--only-default", action="store_true")
    args.add_argument("--keep", action="store_true")
    args = args.parse_args()
    folder = args.folder or pathlib.Path(tempfile.mkdtemp(prefix="scale-"))
    folder.mkdir(parents=True, exist_ok=True)
    corpus = folder / "corpus"
    parts = args.parts or max(8, args.records // 1000000)
    clock, cpu, _, out = run([args.build / "make_records", corpus, "--records",
                              args.records, "--parts", parts])
    told = json.loads(out)
    print(f"scale: {told['records']:,} records in {parts} parts, made in "
          f"{clock:.0f} s ({1e6 * cpu / args.records:.2f} us CPU each)",
          flush=True)
    if args.only_default:
        gather(args.build, corpus, told, "gather")
    else:
        cpu, first = gather(args.build, corpus, told, "1 thread",
                            "--threads", 1)
        for what, more in (
                ("2 threads", ["--threads", 2]),
                (f"1 thread, --memory {args.memory}",
                 ["--threads", 1, "--memory", args.memory])):
            if gather(args.build, corpus, told, what, *more)[1] != first:
                sys.exit(f"{what}: other bytes")
        limits(corpus, told, cpu)
    print(f"  on disk: matched/ {size(corpus / 'matched') / 1e9:.2f} GB, "
          f"unique/ {size(corpus / 'unique') / 1e9:.2f} GB", flush=True)
    if not args.keep:
        shutil.rmtree(folder if not args.folder else corpus)


if __name__ == "__main__":
    main()
