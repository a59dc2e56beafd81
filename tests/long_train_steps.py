#!/usr/bin/env python3
"""Twenty steps of AdamW on the CPU, losses beside open_clip's
(tests/golden/train/steps.txt): within 1e-3 each."""
import os
import pathlib
import re
import subprocess
import sys

LIMIT = 1e-3


def main():
    text = pathlib.Path("tests/golden/train/steps.txt").read_text()
    rate, warmup = re.search(r"rate (\S+), warm-up (\d+)", text).groups()
    pairs = re.search(r"of (\d+) pairs", text).group(1)
    failed = 0
    rows = [line.split() for line in text.splitlines() if line[0] != "#"]
    for name, *want in rows:
        got = subprocess.run(
            [pathlib.Path(os.environ["BUILD"]) / "train_replay", name,
             "--batch", pairs, "--steps", str(len(want)), "--lr", rate,
             "--warmup", warmup], check=True, text=True,
            stdout=subprocess.PIPE).stdout.split()
        off = max(abs(float(a) - float(b))
                  for a, b in zip(got, want, strict=True))
        failed += not off <= LIMIT
        print(f"{name}: {len(got)} losses within {off:.1e}")
    print(f"{len(rows) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
