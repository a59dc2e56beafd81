#!/usr/bin/env python3
"""The loader's images a second beside webdataset and torchvision's, and beside
libjpeg-turbo alone.

usage: tools/bench_loader.py BUILD [--workers N] [--batches N] [--rounds N]

Shards of 512-pixel JPEGs are made, once, in build/bench/loader from the
pictures in ../shared/data/captions (WITMILL_SHARED), by Pillow; the vocabulary
is the published one there.  All run in turns with as many workers, so that
they meet the same machine; of the rounds the best counts, for everybody.
bare: as many processes that only decode the same files (full size, one buffer
each).  cpu ms: processor time an image, of all processes together, the
least of the rounds; on a machine that others use, the steadier number.
Without the peers (tools/peers.py) there are no pictures: skipped.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys

import peers

HERE = pathlib.Path(__file__).parent
DATA = pathlib.Path("build/bench/loader")


def run(command):
    """The JSON a command prints, None when it is skipped; and the processor
    time of it and all that it started."""
    child = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE,
                             text=True)
    out = child.stdout.read()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = code = os.waitstatus_to_exitcode(status)
    if code == peers.SKIPPED:
        return None, 0
    if code:
        sys.exit(f"{command[0]} failed ({code})")
    return json.loads(out.splitlines()[-1]), used.ru_utime + used.ru_stime


def measure(command, rest, batches):
    """A peer counts its own processor time, which its imports would hide; of
    ours, what the batches behind the first cost."""
    got, used = run(command + rest + [batches])
    if got and "cpu_ms" not in got:
        _, first = run(command + rest + [1])
        got["cpu_ms"] = 1000 * (used - first) / (64 * (batches - 1))
    return got


def prepare():
    shared = pathlib.Path(os.environ.get("WITMILL_SHARED", "../shared"))
    tars = sorted((shared / "data/captions").glob("*.tar"))
    vocabulary = shared / "data/clip/bpe_simple_vocab_16e6.txt.gz"
    if not tars or not vocabulary.exists():
        print(f"skipped: no pictures or vocabulary in {shared}/data")
        return None
    if not (DATA / "made").exists():
        code = subprocess.run([sys.executable, HERE / "bench_webdataset.py",
                               "--make", DATA, *tars]).returncode
        if code == peers.SKIPPED:
            return None
        if code:
            sys.exit("making the shards failed")
        (DATA / "made").touch()
    return vocabulary


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("build", type=pathlib.Path)
    p.add_argument("--workers", type=int,
                   default=len(os.sched_getaffinity(0)))
    p.add_argument("--batches", type=int, default=10)
    p.add_argument("--rounds", type=int, default=3)
    a = p.parse_args()
    vocabulary = prepare()
    if not vocabulary:
        return
    rest = [DATA, vocabulary, a.workers]
    bench = a.build / "loader_bench"
    listed = [("webdataset, torchvision", [sys.executable,
                                           HERE / "bench_webdataset.py"]),
              ("libjpeg-turbo alone", [bench, "bare"]),
              ("witmill, exact", [bench, "exact"]),
              ("witmill, --fast-decode", [bench, "fast"])]
    rate, cpu = {}, {}
    for _ in range(a.rounds):
        for name, command in listed:
            got = measure(command, rest, a.batches)
            if got:
                rate[name] = max(rate.get(name, 0), got["images_per_s"])
                cpu[name] = min(cpu.get(name, 1e9), got["cpu_ms"])
    print(f"{'512-pixel JPEGs to 224, ' + str(a.workers) + ' workers':32} "
          f"{'images/s':>9} {'of peer':>8} {'of bare':>8} "
          f"{'cpu ms':>8} {'of peer':>8} {'of bare':>8}")
    peer, bare = listed[0][0], listed[1][0]
    for name in rate:
        base = rate.get(peer)
        times = cpu[peer] / cpu[name] if peer in cpu else 0
        print(f"{name:32} {rate[name]:9.1f} "
              f"{rate[name] / base if base else 0:8.2f} "
              f"{rate[name] / rate[bare]:8.2f} {cpu[name]:8.2f} "
              f"{times:8.2f} {cpu[bare] / cpu[name]:8.2f}")


if __name__ == "__main__":
    main()
