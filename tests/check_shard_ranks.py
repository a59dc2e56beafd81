#!/usr/bin/env python3
"""Training on shards by 1, 2 and 4 ranks under mpirun: the losses agree to
rounding, broken pictures are replaced by the same ones on any rank, what is
asked on the way is the same, and two that go on in the middle of an epoch
reach the same end."""
import json
import random
import re
import shutil
import subprocess
import sys

import mpi_job
import tally
import tiny_shards

STEPS, BATCH = 18, 16
BOUND = 1e-5  # sums in another order; measured: 2e-7
BROKEN = (5, 40, 41, 77)
WORK = tally.scratch("shard-ranks")
counted = tally.Tally()
check = counted.check
# 18 steps of 16 are 3 epochs of 96
TRAIN = [mpi_job.PROGRAM, "train", "--vocabulary", WORK / "vocabulary",
         "--model", "tiny-vit", "--batch", BATCH, "--steps", STEPS,
         "--lr", 0.001, "--eps", 0.001, "--window", 2, "--crop", "resized",
         "--workers", 1, "--checkpoint-every", 7]


def run(ranks, name, *options):
    """The job's folder, and what it said."""
    folder = WORK / name
    done = subprocess.run(
        mpi_job.command((ranks, [*TRAIN, "--out", folder, *options])),
        env=mpi_job.ENV, text=True, capture_output=True, timeout=100)
    good = check(f"{name}: {ranks} ranks train", done.returncode == 0,
                 done.stdout + done.stderr)
    return (folder if good else None), done.stdout + done.stderr


def lines(folder):
    text = (folder / "log.jsonl").read_text().splitlines()
    return [json.loads(x) for x in text[1:]]


def losses(folder):
    return [x["loss"] for x in lines(folder) if "loss" in x]


def figures(folder):
    return {x["step"]: x["eval"] for x in lines(folder) if "eval" in x}


def apart(what, one, many):
    if not one or not many:
        return
    a, b = losses(one), losses(many)
    worst = max(abs(x - y) / abs(x) for x, y in zip(a, b))
    check(f"{what}: {len(b)} losses, {worst:.1e} from one rank's (bound "
          f"{BOUND:.0e})", len(a) == len(b) == STEPS and worst < BOUND)
    print(f"  {what:40} losses {worst:.1e} apart")


def replaced(text):
    """Samples that could not be used, as the event log names them."""
    return sorted(set(re.findall(r"sample (\d+) cannot be used", text)))


def near(one, many):
    """Ranks of near ties may change places by rounding."""
    return one.keys() == many.keys() and all(
        abs(many[step][k] - v) <= 0.05
        for step, told in one.items() for k, v in told.items())


def compare(what, numbers, *options):
    one, said = run(1, what + "-1", *options)
    for ranks in numbers:
        many, told = run(ranks, f"{what}-{ranks}", *options)
        apart(f"{what}, {ranks} ranks", one, many)
        check(f"{what}, {ranks} ranks leave out what one does: "
              f"{replaced(told)}, {replaced(said)}",
              replaced(told) == replaced(said))
        if one and many:
            check(f"{what}, {ranks} ranks are asked, and answer",
                  near(figures(one), figures(many)))
    return one, said


def check_whole():
    asks = ["--eval", WORK / "asked", "--eval-every", 9]
    one, _ = compare("whole", (2, 4), "--data", WORK / "whole", *asks)
    check("asked behind steps 9 and 18", one and list(figures(one)) == [9, 18])


def check_broken():
    _, said = compare("broken", (2, 4), "--data", WORK / "broken")
    check(f"all broken ones were met: {replaced(said)}",
          replaced(said) == [f"{i:06}" for i in BROKEN])


def check_sources():
    """Two sources by weight, several texts."""
    compare("sources", (4,), "--data", f"{WORK / 'whole'}@0.5",
            "--data", WORK / "broken", "--caption-key", "alt")


def check_goes_on():
    """Behind step 14, in the middle of an epoch."""
    folder = WORK / "again"
    data = ["--data", WORK / "broken"]
    whole = WORK / "broken-2"
    shutil.copytree(whole, folder)
    shutil.rmtree(folder / f"step-{STEPS:09}")
    got, said = run(2, "again", *data, "--resume")
    check("two ranks go on behind step 14", "behind step 14" in said, said)
    check("to the same losses, bit for bit", got and
          losses(got) == losses(whole))
    folder = WORK / "one"
    shutil.copytree(whole, folder)
    shutil.rmtree(folder / f"step-{STEPS:09}")
    got, said = run(1, "one", *data, "--resume")
    check("one rank goes on, and says what that means",
          "ranks 2, now 1" in said, said)
    apart("one goes on for two", whole, got)


def main():
    if not mpi_job.there():
        tally.skip("no MPI (package libopenmpi-dev)")
    random.seed(7)
    tiny_shards.make(WORK / "whole")
    tiny_shards.make(WORK / "broken", broken=BROKEN)
    tiny_shards.make(WORK / "asked", 64, 64)
    (WORK / "vocabulary").write_text(tiny_shards.VOCABULARY)
    check_whole()
    check_broken()
    check_sources()
    check_goes_on()
    return counted.end()


if __name__ == "__main__":
    sys.exit(main())
