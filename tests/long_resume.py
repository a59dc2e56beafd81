#!/usr/bin/env python3
"""A short run killed in front of every call that changes the disk, and with a
disk that is full from every write on, each time resumed: the curve of a run
that never stopped.  check_resume.py takes some of them."""
import sys

import resume_runs
from resume_runs import ODD, SANITIZED, SHIM, VIT, fresh, must


def main():
    if SANITIZED or not SHIM.exists():
        print("skipped: the fault shim does not go with sanitizers")
        sys.exit(77)
    for what, args in ("fp32", VIT), ("bf16, all by chance", ODD):
        args = args + ["--steps", 6, "--checkpoint-every", 2, "--keep", 1]
        must(fresh("calls-reference"), args)
        calls = resume_runs.killed_at_calls(args, None, 1)
        print(f"{what}: killed in front of each of {calls} calls", flush=True)
        writes = resume_runs.full_at_writes(args, None, 1)
        print(f"{what}: full at each of {writes} writes", flush=True)
        if calls < 100 or writes < 20:
            sys.exit("that is too few")


if __name__ == "__main__":
    main()
