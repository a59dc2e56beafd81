#!/usr/bin/env python3
"""Data parallel over MPI, on this machine's processors.

1, 2 and 4 ranks get from their shares of a batch what one process gets from
all of it, on the reference and the cpu backend (tests/mpi_ranks.c compares, on
every rank).  Then the program itself, as MPI=1 builds it: `train` by as many
ranks has the losses and weights of one, to rounding, and the same bits when it
is run again; a rank that cannot begin, differs, fails or is killed ends all of
them, with what it had to say and an exit code that is not 0."""
import json
import os
import re
import signal
import struct
import subprocess
import sys
import time

import mpi_job
import tally

# Sums of other lengths in another order, in float, through STEPS steps of
# Adam, whose eps is so large that it does not make steps of noise: the bias of
# keys has no gradient but rounding.  Measured: losses 2e-7 apart, weights 2e-4
# of a tensor's largest or, where that is more, of the way that Adam can go.
STEPS = 6
RATE = 0.001
LOSS_BOUND = 5e-6
WEIGHT_BOUND = 1e-3

WORK = tally.scratch("ranks")
ENV, PROGRAM, mpirun = mpi_job.ENV, mpi_job.PROGRAM, mpi_job.command
counted = tally.Tally()
check = counted.check


def train(*options):
    return [PROGRAM, "train", "--generated", "--batch", "16", "--steps", STEPS,
            "--lr", RATE, "--eps", "0.001",
            "--caption-tokens", "12", *options]


def run(command):
    done = subprocess.run(command, env=ENV, text=True, timeout=100,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return done.returncode, done.stdout, done.stderr


# ---- the library: every rank compares for itself ----

def library():
    for ranks in 1, 2, 4:
        code, out, err = run(mpirun((ranks, [mpi_job.BUILD / "mpi_ranks"])))
        good = len(re.findall(r"^\[  PASSED  \] 3 test", out + err, re.M))
        check(f"{ranks} ranks agree with the batch alone",
              code == 0 and good == ranks, out + err)


# ---- the program ----

def read_log(path):
    lines = [json.loads(x) for x in path.read_text().splitlines()]
    return lines[0], lines[1:]


def read_weights(path):
    data = path.read_bytes()
    n, = struct.unpack_from("<Q", data)
    head = json.loads(data[8:8 + n])
    tensors = {}
    for name, t in head.items():
        if name == "__metadata__" or t["dtype"] != "F32":
            continue
        begin, end = t["data_offsets"]
        tensors[name] = struct.unpack_from(f"<{(end - begin) // 4}f", data,
                                           8 + n + begin)
    return tensors


def apart(a, b):
    """How far tensors are apart, of the largest number in each or of the sum
    of the rates (a half cosine from RATE to 0)."""
    worst = 0
    for name, x in a.items():
        y = b[name]
        size = max(RATE * STEPS / 2, max(map(abs, x)))
        worst = max(worst, max(abs(p - q) for p, q in zip(x, y)) / size)
    return worst


def one(model, ranks, name):
    log, save = WORK / f"{name}.log", WORK / f"{name}.safetensors"
    more = ["--bn-batch", "4"] if model == "tiny-resnet" else []
    code, out, err = run(mpirun((ranks, train(
        "--model", model, "--log", log, "--save", save, *more))))
    spoke = len(re.findall(r"^train: ", out, re.M))
    check(f"{model}: {ranks} ranks train, one speaks",
          code == 0 and spoke == 1, out + err)
    if code:
        return None
    head, steps = read_log(log)
    check(f"{model}: the log of {ranks} ranks has {STEPS} steps",
          head["ranks"] == ranks and len(steps) == STEPS, log.read_text())
    if ranks > 1:
        check(f"{model}: the summary says how many",
              re.search(rf"ranks +{ranks}  over mpi", out), out)
    return steps, save


def equal(model):
    alone = one(model, 1, f"{model}-1")
    for ranks in 2, 4:
        got = one(model, ranks, f"{model}-{ranks}")
        if not alone or not got:
            continue
        worst = max(abs(a["loss"] - b["loss"]) / abs(a["loss"])
                    for a, b in zip(alone[0], got[0]))
        check(f"{model}: losses of {ranks} ranks are {worst:.1e} from one's "
              f"(bound {LOSS_BOUND:.0e})", worst < LOSS_BOUND)
        worst = apart(read_weights(alone[1]), read_weights(got[1]))
        check(f"{model}: weights of {ranks} ranks are {worst:.1e} from one's "
              f"(bound {WEIGHT_BOUND:.0e})", worst < WEIGHT_BOUND)
    again = one(model, 4, f"{model}-again")
    check(f"{model}: 4 ranks again: the same bits", got and again and
          [s["loss"] for s in got[0]] == [s["loss"] for s in again[0]] and
          got[1].read_bytes() == again[1].read_bytes())


def refused(what, said, *parts):
    """All ranks end with exit code 3, and one says why."""
    code, out, err = run(mpirun(*parts))
    check(what, code == 3 and len(re.findall(said, err)) == 1 and
          "train:" not in out, f"exit {code}\n{out}{err}")


def refusals():
    tiny = train("--model", "tiny-vit")
    refused("a rank of another seed is named",
            "rank 2 of 4 was started with another --seed than rank 0",
            (2, tiny), (1, tiny + ["--seed", 3]), (1, tiny))
    refused("a rank without its model is named",
            "rank 3 of 4: open .*none.json: No such file", (3, tiny),
            (1, tiny + ["--model", WORK / "none.json"]))
    refused("nowhere to save", "rank 0 of 4: write into .*/none: No such file",
            (1, tiny + ["--save", WORK / "none" / "x.safetensors"]), (3, tiny))
    refused("a batch that is not shared out",
            "16 pairs is not shared out evenly among 3 ranks; 15 or 18 is",
            (3, tiny))
    refused("BatchNorm groups lie whole on a rank",
            "groups of 8 reach over ranks of 4 pairs",
            (4, train("--model", "tiny-resnet", "--bn-batch", 8)))
    refused("a full disk in the middle", "rank 0 of 2: write /dev/full",
            (2, tiny + ["--log", "/dev/full"]))
    refused("a loss that is not finite ends all, said once",
            "the loss is not finite",
            (2, tiny + ["--lr", "100", "--warmup", "1", "--beta1", "0.0001",
                        "--decay", "100", "--steps", "40"]))


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def killed():
    log = WORK / "killed.log"
    log.unlink(missing_ok=True)
    job = subprocess.Popen(
        mpirun((4, train("--model", "tiny-vit", "--steps", 1000000, "--log",
                         log))), env=ENV,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while time.monotonic() < until and \
            not (log.exists() and '"step":3,' in log.read_text()):
        time.sleep(0.05)
    ranks = mpi_job.children(job.pid)
    os.kill(ranks[2], signal.SIGKILL)
    code = job.wait(timeout=60)
    until = time.monotonic() + 20
    while any(map(alive, ranks)) and time.monotonic() < until:
        time.sleep(0.1)
    check("kill -9 of one rank ends all four",
          len(ranks) == 4 and code != 0 and not any(map(alive, ranks)),
          f"exit {code}, {ranks}")


def main():
    if not mpi_job.there():
        tally.skip("no MPI (package libopenmpi-dev)")
    library()
    for model in "tiny-vit", "tiny-resnet":
        equal(model)
    refusals()
    killed()
    return counted.end()


if __name__ == "__main__":
    sys.exit(main())
