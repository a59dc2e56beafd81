#!/usr/bin/env python3
"""Finding near duplicates beside faiss (where the venv of the peers has it):
the same phashes, and the same answer: of each image the first one within 4
bits.

usage: bench_dedup.py BUILD"""
import os
import subprocess
import sys
import tempfile
import time

build = sys.argv[1]
bench = os.path.join(build, "bench_dedup")
peers = os.path.join(os.path.dirname(build), "peers", "venv", "bin", "python")
RADIUS = 4

# argv: phashes, answers, n, index
PEER = """
import sys, time
import numpy as np
import faiss
faiss.omp_set_num_threads(1)
n, kind = int(sys.argv[3]), sys.argv[4]
x = np.fromfile(sys.argv[1], dtype=np.uint8).reshape(n, 8)
want = np.fromfile(sys.argv[2], dtype=np.uint32)
from_ = time.process_time()
if kind == "flat":
    index = faiss.IndexBinaryFlat(64)
else:
    # Five tables of 12 bits: two within 4 bits agree in one of them.
    index = faiss.IndexBinaryMultiHash(64, 5, 12)
index.add(x)
none = 2 ** 32 - 1
got = np.full(n, none, dtype=np.uint32)
for at in range(0, n, 4096):
    lims, _, ids = index.range_search(x[at:at + 4096], %d + 1)
    for i in range(len(lims) - 1):
        near = ids[lims[i]:lims[i + 1]]
        near = near[near < at + i]
        if len(near):
            got[at + i] = near.min()
took = time.process_time() - from_
print(took, int((got != want).sum()))
""" % RADIUS


def run(*args):
    return subprocess.run(args, check=True, capture_output=True,
                          text=True).stdout


def peer(folder, n, kind, index):
    """One line: the peer's time beside ours for the same rows."""
    phashes = os.path.join(folder, "phashes")
    answers = os.path.join(folder, "answers")
    run(bench, "write", str(n), kind, phashes)
    ours = float(run(bench, "answer", str(n), kind, answers))
    theirs, differ = run(peers, "-c", PEER, phashes, answers, str(n),
                         index).split()
    print(f"  faiss {index:9} {n:8,} rows of {kind:6}  {theirs:>8.8} s of a "
          f"core, ours {ours:.3f}: {float(theirs) / ours:.0f} times; "
          f"{differ} answers differ", flush=True)
    return differ == "0"


def main():
    begin = time.monotonic()
    print(run(bench), end="", flush=True)
    if not os.path.exists(peers) or subprocess.run(
            [peers, "-c", "import faiss, numpy"], capture_output=True,
            check=False).returncode:
        print("  faiss: skipped, not in the venv of the peers")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        same = [peer(folder, n, kind, index)
                for index, n, kind in (("flat", 40000, "near"),
                                       ("multihash", 200000, "near"),
                                       ("multihash", 100000, "crowds"))]
    print(f"  in {time.monotonic() - begin:.0f} s")
    return 0 if all(same) else 1


if __name__ == "__main__":
    sys.exit(main())
