#!/usr/bin/env python3
"""Training speed on this machine's processor beside open_clip's.

usage: tools/bench_train.py BUILD [--models A,B] [--precisions fp32,bf16]
       [--batch N] [--steps N] [--rounds N]

For each model and precision, in turns so that both meet the same machine:
open_clip in PyTorch (plain, and in channels_last for a ResNet: the better of
both counts), ours with captions padded as open_clip has them, ours with
captions packed.  Captions have 20 tokens.  A run's figure is its median step;
of the rounds the best counts, for everybody.  Without the peers (see
tools/peers.py) our own figures are printed alone.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys

import peers

HERE = pathlib.Path(__file__).parent


def run(command):
    """The JSON a command prints, None when it is skipped."""
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE,
                          text=True)
    if done.returncode == peers.SKIPPED:
        return None
    if done.returncode:
        sys.exit(f"{command[0]} failed ({done.returncode})")
    return json.loads(done.stdout.splitlines()[-1])


def variants(build, model, precision, batch, steps, threads):
    common = [model, precision, batch, steps, "tokens=20",
              f"threads={threads}"]
    ours = [build / "train_bench", *common]
    peer = [sys.executable, HERE / "open_clip_steps.py", *common]
    listed = [("open_clip", peer)]
    if model.startswith("RN"):
        listed.append(("open_clip, channels_last",
                       peer + ["channels_last=1"]))
    return listed + [("witmill, padded", ours + ["packed=0"]),
                     ("witmill, packed", ours + ["packed=1"])]


def measure(listed, rounds):
    best = {}
    for _ in range(rounds):
        for name, command in listed:
            got = run(command)
            if got and got["images_per_s_median"] > \
                    best.get(name, {}).get("images_per_s_median", 0):
                best[name] = got
    return best


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("build", type=pathlib.Path)
    p.add_argument("--models", default="ViT-B-32,RN50")
    p.add_argument("--precisions", default="fp32,bf16")
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--steps", type=int, default=3)
    p.add_argument("--rounds", type=int, default=3)
    a = p.parse_args()
    threads = len(os.sched_getaffinity(0))
    with_peer = peers.works(peers.interpreter())
    if not with_peer:
        print("open_clip is not there (tools/peers.py makes it): "
              "our own figures alone")
    print(f"{'model':10} {'':5} {'way':25} {'images/s':>9} {'GFLOP/s':>8} "
          f"{'ratio':>6}")
    for model in a.models.split(","):
        for precision in a.precisions.split(","):
            listed = variants(a.build, model, precision, a.batch, a.steps,
                              threads)
            if not with_peer:
                listed = [v for v in listed if v[0].startswith("witmill")]
            best = measure(listed, a.rounds)
            base = max((b["images_per_s_median"] for n, b in best.items()
                        if n.startswith("open_clip")), default=0)
            for name, got in best.items():
                speed = got["images_per_s_median"]
                ratio = f"{speed / base:6.2f}" if base else f"{'':6}"
                rate = got.get("gflop_per_s")
                print(f"{model:10} {precision:5} {name:25} {speed:9.3f} "
                      f"{rate if rate else '':>8} {ratio}", flush=True)


if __name__ == "__main__":
    main()
