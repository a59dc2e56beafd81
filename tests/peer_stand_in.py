#!/usr/bin/env python3
"""Answers as tools/open_clip_steps.py with serve=1 does, without PyTorch: what
tools/bench_open_clip.py makes of the answers is tested by it, and by
`tools/gpu_check.sh --dry-run`.  Its figures measure nothing.

usage: peer_stand_in.py MODEL PRECISION BATCH 0 [option...]

STAND_IN=absent: as where open_clip is not installed; STAND_IN=small: with room
for batches of 2.
"""
import json
import os
import sys


def say(**what):
    print(json.dumps(what), flush=True)


def main():
    n, way = int(sys.argv[3]), os.environ.get("STAND_IN")
    assert "serve=1" in sys.argv and "tokens=77" in sys.argv, sys.argv
    if way == "absent":
        print("open_clip does not import: it is not there", file=sys.stderr)
        return 77
    say(ready=True, batch=n, seconds=0.1, torch="none")
    for line in sys.stdin:
        steps = int(line)
        if way == "small" and n > 2:
            say(out_of_memory=n)
            continue
        say(model=sys.argv[1], batch=n, compiled=False, why="a stand-in",
            step_s=[1.0] * steps, images_per_s=n, images_per_s_median=n,
            fast_s=1.0, slow_s=1.0, loss=0.0, mib=0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
