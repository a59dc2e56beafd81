#!/usr/bin/env python3
"""make bench, BENCH=scale: gather on synthetic records, beside what no sorting
of compressed lines can do without.

Made by make_records: records of the published shape, 15% of them repeated, 10%
further texts of a URL.  Printed, for one and for two threads, and for four in
the least memory: CPU seconds, microseconds a record, seconds by the clock,
peak memory, bytes sorted on disk; and in the same run, in CPU seconds,
`zstd -dc` of what is read and `zstd --fast=50` of what is written (the floor), and
with `sort` between them.

usage: tools/bench_scale.py BUILD [--records N] [--parts N] [--folder DIR]
           [--memory SIZE] [--threads N] [--chain] [--made] [--keep]

--chain is for sizes at which once is enough: gather with its own options, then
what follows on the same records, each under 2 GiB: balance in both modes
(--target, a quarter of the pairs; plan and buckets), and the search of dedup
over as many phashes (bench_dedup, with and without crowds).  Of what lies in
unlinked files meanwhile the largest that was seen is told.

    tools/bench_scale.py build/gcc --chain --records 100000000 --folder DIR

needs 45 GB in DIR and an hour or two of two cores.  matched/ goes when unique/
is there and has the right numbers.  --made begins behind gather, with what
--keep left in DIR.
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


PEAK_MIB = 2048


class Run:
    """One command: seconds, CPU seconds, peak MiB, bytes it held in unlinked
    files, its output."""

    def __init__(self, command, watch=False):
        began = time.monotonic()
        self.hidden = 0
        with tempfile.TemporaryFile() as out:
            child = subprocess.Popen(list(map(str, command)), stdout=out,
                                     stderr=subprocess.DEVNULL)
            while watch and os.waitid(os.P_PID, child.pid, os.WEXITED |
                                      os.WNOHANG | os.WNOWAIT) is None:
                self.hidden = max(self.hidden, unlinked(child.pid))
                time.sleep(0.25)
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            self.out = out.read().decode(errors="replace")
        if child.returncode:
            sys.exit(f"{' '.join(map(str, command))}: exit code "
                     f"{child.returncode}")
        self.clock = time.monotonic() - began
        self.cpu = used.ru_utime + used.ru_stime
        self.peak = used.ru_maxrss / 1024

    def told(self, what, n):
        print(f"  {what:34} {self.cpu:8.0f} s CPU {1e6 * self.cpu / n:6.2f} us "
              f"each {self.clock:7.0f} s {self.peak:6.0f} MiB"
              + (f" {self.hidden / 1e9:5.2f} GB unlinked" if self.hidden
                 else ""), flush=True)
        if self.peak > PEAK_MIB:
            sys.exit(f"{what}: more than {PEAK_MIB} MiB")


def unlinked(pid):
    """Bytes on disk of the files that a process has open and no folder
    names."""
    files = {}
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            if os.readlink(entry.path).endswith(" (deleted)"):
                found = os.stat(entry.path)
                files[found.st_ino] = found.st_blocks * 512
    except OSError:  # it ended meanwhile
        pass
    return sum(files.values())


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


def right(corpus, told):
    found = sums(corpus)[0]
    if any(found.get(a, 0) != told[b] for a, b in (
            ("read", "records"), ("records", "uids"), ("urls", "urls"),
            ("duplicate-uid", "copies"),
            ("urls-with-texts", "urls_with_texts"))):
        sys.exit(f"gather: wrong numbers, {found}; made were {told}")


def gather(build, corpus, told, what, *args):
    """One run, into an empty unique/; prints and returns its CPU seconds and
    the hashes of its outputs."""
    shutil.rmtree(corpus / "unique", ignore_errors=True)
    # As a part, so that what the catalogue costs is not measured with it.
    took = Run([build / "witmill", "gather", corpus, "--part", "0/1", *args])
    took.hidden = spilled(took.out)
    took.told(what, told["records"])
    right(corpus, told)
    return took.cpu, sums(corpus)[1]


def balance(build, corpus, pairs, what, *args):
    """Plan and buckets, as a part: no catalogue."""
    shutil.rmtree(corpus / "selected", ignore_errors=True)
    args = [build / "witmill", "balance", corpus, "--target", pairs // 4,
            *args]
    plan = Run([*args, "--plan", "--json"], True)
    plan.told(f"balance --target{what}, plan", pairs)
    Run([*args, "--part", "0/1"], True).told(
        f"balance --target{what}, buckets", pairs)
    kept = sum(json.loads(p.read_text())["counts"].get("records", 0)
               for p in corpus.glob("selected/round-0/bucket-*.meta.json"))
    print(f"    cap {json.loads(plan.out)['cap']:,}: {kept:,} of {pairs:,} "
          f"pairs kept; selected/ {size(corpus / 'selected') / 1e9:.2f} GB",
          flush=True)
    if kept > pairs // 4 or (not kept and json.loads(plan.out)["cap"]):
        sys.exit("that is not what was asked for")


def chain(build, corpus, told, threads, made):
    args = ["--threads", threads] if threads else []
    if not made:
        gather(build, corpus, told, "gather", *args)
        print(f"    matched/ {size(corpus / 'matched') / 1e9:.2f} GB, unique/ "
              f"{size(corpus / 'unique') / 1e9:.2f} GB", flush=True)
    right(corpus, told)
    Run([build / "witmill", "gather", corpus, "--finish"]).told(
        "gather --finish", told["uids"])
    shutil.rmtree(corpus / "matched", ignore_errors=True)
    balance(build, corpus, told["uids"], "", *args)
    balance(build, corpus, told["uids"], " --exact", "--exact", *args)
    for kind in "near", "crowds":
        took = Run([build / "bench_dedup", told["records"], kind, 1024,
                    threads or os.cpu_count()], True)
        took.told(f"search of dedup, {kind}", told["records"])
        print(f"    {' '.join(took.out.split())}", flush=True)


def pipe(command):
    """CPU seconds of a shell pipe and all in it."""
    return Run(["bash", "-c", f"set -o pipefail; {command}"]).cpu


def limits(corpus, told, ours):
    """What other programs take for less than the same."""
    if not shutil.which("zstd"):
        print("  (no zstd to compare with)")
        return
    n = told["records"]
    read = f"zstd -dcq {corpus}/matched/made/*.jsonl.zst"
    floor = pipe(f"{read} > /dev/null") + \
        pipe(f"zstd -dcq {corpus}/unique/bucket-*.jsonl.zst | "
             "zstd --fast=50 -q > /dev/null") - \
        pipe(f"zstd -dcq {corpus}/unique/bucket-*.jsonl.zst > /dev/null")
    peer = pipe(f"{read} | LC_ALL=C sort -S 1G --parallel=1 -T {corpus} | "
                "zstd --fast=50 -q > /dev/null")
    print(f"  zstd -dc, zstd --fast=50: {1e6 * floor / n:.2f} us CPU a record; "
          f"gather takes {ours / floor:.2f} times that\n"
          f"  zstd -dc | sort | zstd --fast=50: {1e6 * peer / n:.2f} us; gather takes "
          f"{ours / peer:.2f} times that", flush=True)


def make(args, corpus, made):
    """The records; what gather has to find stands in `made` as well."""
    if args.made:
        return json.loads(made.read_text())
    parts = args.parts or max(8, args.records // 1000000)
    took = Run([args.build / "make_records", corpus, "--records",
                args.records, "--parts", parts])
    made.write_text(took.out)
    print(f"scale: {args.records:,} records in {parts} parts", flush=True)
    took.told("make_records", args.records)
    return json.loads(took.out)


def three_ways(args, corpus, told):
    cpu, first = gather(args.build, corpus, told, "gather, 1 thread",
                        "--threads", 1)
    for what, more in (
            ("2 threads", ["--threads", 2]),
            (f"4 threads, --memory {args.memory}",
             ["--threads", 4, "--memory", args.memory])):
        if gather(args.build, corpus, told, what, *more)[1] != first:
            sys.exit(f"{what}: other bytes")
    limits(corpus, told, cpu)
    print(f"  on disk: matched/ {size(corpus / 'matched') / 1e9:.2f} GB, "
          f"unique/ {size(corpus / 'unique') / 1e9:.2f} GB", flush=True)


def main():
    args = argparse.ArgumentParser()
    args.add_argument("build", type=pathlib.Path)
    args.add_argument("--records", type=int, default=1000000)
    args.add_argument("--parts", type=int)
    args.add_argument("--folder", type=pathlib.Path)
    args.add_argument("--memory", default="16M")
    args.add_argument("--threads", type=int)
    args.add_argument("--chain", action="store_true")
    args.add_argument("--made", action="store_true")
    args.add_argument("--keep", action="store_true")
    args = args.parse_args()
    folder = args.folder or pathlib.Path(tempfile.mkdtemp(prefix="scale-"))
    folder.mkdir(parents=True, exist_ok=True)
    corpus = folder / "corpus"
    told = make(args, corpus, folder / "made.json")
    if args.chain:
        chain(args.build, corpus, told, args.threads, args.made)
    else:
        three_ways(args, corpus, told)
    if not args.keep:
        shutil.rmtree(folder if not args.folder else corpus)


if __name__ == "__main__":
    main()
