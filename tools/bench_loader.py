#!/usr/bin/env python3
"""The loader's images a second beside webdataset and torchvision's, and beside
libjpeg-turbo alone.

usage: tools/bench_loader.py BUILD [--workers N] [--batches N] [--rounds N]

Shards of 512-pixel JPEGs are made, once, in build/bench/loader from the
pictures in ../shared/data/captions (WITMILL_SHARED), by Pillow; the vocabulary
is the published one there.  All run in turns with as many workers, so that
they meet the same machine; of the rounds the best counts, for everybody.
bare: as many processes that only decode the same files (full size, one buffer
each).  Without the peers (tools/peers.py) there are no pictures: skipped.
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
    """The JSON a command prints, None when it is skipped."""
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE,
                          text=True)
    if done.returncode == peers.SKIPPED:
        return None
    if done.returncode:
        sys.exit(f"{command[0]} failed ({done.returncode})")
    return json.loads(done.stdout.splitlines()[-1])


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
    rest = [DATA, vocabulary, a.workers, a.batches]
    bench = a.build / "loader_bench"
    listed = [("webdataset, torchvision", [sys.executable,
                                           HERE / "bench_webdataset.py"]),
              ("libjpeg-turbo alone", [bench, "bare"]),
              ("witmill, exact", [bench, "exact"]),
              ("witmill, --fast-decode", [bench, "fast"])]
    best = {}
    for _ in range(a.rounds):
        for name, command in listed:
            got = run(command + rest)
            if got:
                best[name] = max(best.get(name, 0), got["images_per_s"])
    peer = best.get("webdataset, torchvision", 0)
    bare = best["libjpeg-turbo alone"]
    print(f"{'512-pixel JPEGs to 224, ' + str(a.workers) + ' workers':32} "
          f"{'images/s':>9} {'of peer':>8} {'of bare':>8}")
    for name, rate in best.items():
        print(f"{name:32} {rate:9.1f} "
              f"{rate / peer if peer else 0:8.2f} {rate / bare:8.2f}")


if __name__ == "__main__":
    main()
