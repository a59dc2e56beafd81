#!/usr/bin/env python3
"""`witmill train` on shards, end to end: tars of PNGs made here whose captions
name their colours.  The model learns; the weights do not depend on workers;
what is wrong is said, with the right exit code."""
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import time

import tally
from tiny_shards import VOCABULARY, add, make, png

WITMILL = os.environ.get("WITMILL", "build/gcc/witmill")
WORK = tally.scratch("train-shards")
BATCH, SAMPLES = 16, 96
counted = tally.Tally()
check = counted.check


def command(*more):
    return [WITMILL, "train", "--model", "tiny-vit", "--batch", str(BATCH),
            "--threads", "1", "--lr", "0.002", "--window", "2",
            "--vocabulary", str(WORK / "vocabulary"), *map(str, more)]


def run(*more):
    """Of --data alone a run wants to be kept somewhere."""
    if more[:1] == ("--data",) and \
            not {"--out", "--log", "--save"} & set(map(str, more)):
        more += "--log", os.devnull
    done = subprocess.run(command(*more), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True,
                          env=dict(os.environ, OMP_WAIT_POLICY="passive"))
    return done.returncode, done.stdout, done.stderr


def learns():
    log = WORK / "log"
    code, out, err = run(WORK / "whole", "--epochs", "12", "--log", log,
                         "--save", WORK / "a.safetensors",
                         "--checkpoint-every", "50")
    check(f"it trains: {err[-300:]}", code == 0)
    if code:
        return
    lines = [json.loads(x) for x in log.read_text().splitlines()][1:]
    check("12 epochs of 96 samples are 72 steps", len(lines) == 72)
    first = sum(x["loss"] for x in lines[:6]) / 6
    last = sum(x["loss"] for x in lines[-6:]) / 6
    check(f"it learns: {first:.3f} to {last:.3f}", last < 0.8 * first)
    load = lines[-1]["load"]
    check("a line says what its pairs took",
          load["samples"] == BATCH and load["replaced"] == 0 and
          all(load[k] > 0 for k in ("read", "tokenise", "copy", "decode",
                                    "resize", "bytes")))
    check("the summary says what was read",
          "epochs" in out and "in 4 shards" in out and "decoding" in out)
    code, _, err = run(WORK / "whole", "--samples", SAMPLES * 12,
                       "--workers", "1", "--save", WORK / "b.safetensors",
                       "--out", WORK / "b")
    check("again with one worker", code == 0)
    check("the weights are the same",
          (WORK / "a.safetensors").read_bytes() ==
          (WORK / "b.safetensors").read_bytes())
    goes_on()
    code, _, err = run("--data", WORK / "whole/{00000..00003}.tar",
                       "--caption-key", "alt", "--steps", "3")
    check(f"captions from .json, names in braces: {err[-200:]}", code == 0)
    code, out, err = run("--data", f"{WORK / 'whole'}@0.5",
                         "--data", WORK / "whole/00000.tar",
                         "--epochs", "1", "--crop", "resized",
                         "--fast-decode")
    check("half of 96 and 24 are an epoch of 72", "of 72 samples" in out)
    check("a third of 1,024 is near enough to be no news", "asked" not in err)
    code, out, err = run("--data", WORK / "whole",
                         "--data", f"{WORK / 'whole/00000.tar'}@0.006",
                         "--steps", "1")
    check(f"a share of 1.5 of 1,024 that becomes 2 is: {err[-200:]}",
          code == 0 and "seen 1.3" in err)


def goes_on():
    """From the checkpoint of step 50, in the middle of an epoch, to the same
    weights; a corpus keeps its runs in models/."""
    folder = WORK / "whole/models/tiny-vit"
    last = folder / "step-000000072"
    check("a checkpoint carries its vocabulary",
          (last / "vocabulary.txt").exists())
    code, _, err = run(WORK / "whole", "--epochs", "12")
    check("a second run does not begin over it",
          code == 2 and "up to step 72" in err)
    shutil.rmtree(last)
    code, _, err = run(WORK / "whole", "--epochs", "12", "--workers", "1",
                       "--resume", "--log", WORK / "log",
                       "--save", WORK / "c.safetensors")
    check(f"resumed: {err[-300:]}", code == 0)
    check("the weights of a run that never stopped",
          (WORK / "a.safetensors").read_bytes() ==
          (WORK / "c.safetensors").read_bytes())
    shutil.rmtree(last)
    moved = WORK / "moved"
    shutil.move(WORK / "whole/models", WORK / "models")
    shutil.copytree(WORK / "whole", moved)
    shutil.copytree(WORK / "models", moved / "models")
    code, _, err = run(moved, "--epochs", "12", "--resume")
    check(f"a corpus may be moved: {err[-300:]}", code == 0)
    out = ["--epochs", "2", "--checkpoint-every", "6", "--out", WORK / "out",
           "--data"]
    code, _, err = run(*out, WORK / "whole")
    check(f"shards by name: {err[-300:]}", code == 0)
    shutil.rmtree(WORK / "out/step-000000012")
    code, _, err = run(*out, moved, "--resume")
    check(f"shards may be moved, too: {err[-300:]}",
          code == 0 and "going on behind step 6" in err)
    shutil.rmtree(moved / "models")
    shutil.move(WORK / "models", moved / "models")
    with tarfile.open(moved / "00003.tar", "a") as tar:
        add(tar, "more.txt", b"more")
        add(tar, "more.png", png((1, 2)))
    code, _, err = run(moved, "--epochs", "12", "--resume")
    check(f"other shards are not gone on with: {err[-300:]}",
          code == 3 and '--data and --vocabulary that hold "96 samples in 4 tars' in err)


def replaces():
    code, out, err = run(WORK / "broken", "--epochs", "2")
    check("broken pictures do not end the run", code == 0)
    check("they are counted by reason",
          "samples replaced" in out and '{"image-truncated":' in out)
    check("and logged with tar and key",
          "sample 000005 cannot be used: image-truncated" in err and
          "00000.tar" in err)


def refuses():
    cases = [
        ([], 2, "what to train on"),
        ([WORK / "whole", "--generated"], 2, "reads no corpus"),
        (["--generated"], 2, "--vocabulary: says how shards are read"),
        ([WORK / "whole", "--stochastic"], 2, "--precision is fp32"),
        ([WORK / "whole", "--batch", "1"], 2, "2 are the least"),
        (["--steps", "1", "--data", WORK / "whole"], 2, "would be kept"),
        ([WORK / "whole", "--steps", "1", "--epochs", "1"], 2, "give one"),
        ([WORK / "whole", "--epochs", "0"], 2, "--epochs"),
        ([WORK / "nowhere"], 3, "nowhere"),
        ([WORK / "whole", "--batch", "97"], 3, "twice"),
        ([WORK / "whole", "--balance", "10"], 3, "counts.tsv"),
        ([WORK / "whole", "--vocabulary", WORK / "no"], 3, "open "),
        (["--data", f"{WORK / 'whole'}@0"], 2, "weight"),
        (["--data", WORK / "whole/{1..2"], 2, "brace"),
        (["--data", f"{WORK / 'whole'}@x"], 2, '"x" is no weight'),
        (["--data", WORK / "whole", "--save", WORK / "x.txt"], 2,
         "end in .safetensors"),
    ]
    for arguments, want, says in cases:
        code, _, err = run(*arguments)
        check(f"{arguments}: exit code {want}, not {code}: {err[-200:]}",
              code == want and says in err)


def says_early():
    """What is missing is said before tars are read through; an index that was
    damaged later, when its turn comes, with what helps."""
    folder = WORK / "unread"
    make(folder)
    done = subprocess.run([WITMILL, "train", "--data", folder, "--model",
                           "tiny-vit", "--log", os.devnull],
                          stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    check("a vocabulary is asked for: exit code 2",
          done.returncode == 2 and "--vocabulary" in done.stderr)
    check("and no index was made before", not list(folder.glob("*.idx")))
    code, _, err = run("--data", folder, "--steps", "1")
    check(f"indexes are made: {err[-200:]}",
          code == 0 and len(list(folder.glob("*.idx"))) == 4)
    index = folder / "00002.idx"
    damaged = bytearray(index.read_bytes())
    damaged[-1] ^= 1
    index.write_bytes(damaged)
    code, _, err = run("--data", folder, "--epochs", "1")
    check(f"a damaged index is named, and what helps: {err[-200:]}",
          code == 3 and "00002.idx" in err and "remove" in err)
    index.unlink()
    code, _, err = run("--data", folder, "--epochs", "1")
    check(f"and does: {err[-200:]}", code == 0 and index.exists())


def curve(log):
    """Of a log that is being written the whole lines."""
    text = log.read_text() if log.exists() else ""
    lines = map(json.loads, text[:text.rfind("\n") + 1].splitlines())
    return [[x[k] for k in ("step", "samples", "loss", "norm")]
            for x in lines if "loss" in x]


def begin(log, *more):
    return subprocess.Popen(command("--steps", "100000", "--log", log,
                                    "--checkpoint-minutes", "0", *more),
                            stderr=subprocess.PIPE,
                            stdout=subprocess.DEVNULL, text=True)


def wait_for(steps, log):
    for _ in range(600):
        if len(curve(log)) >= steps:
            break
        time.sleep(0.1)


def follow(steps, log, *more):
    """A run that is asked to stop behind so many."""
    child = begin(log, *more)
    wait_for(steps, log)
    child.send_signal(signal.SIGTERM)
    return child.communicate(timeout=120)[1]


def stops():
    """A tar goes while the run reads others: what was learned is kept, and is
    gone on from once the tar is back, to the curve of a run that never met
    it."""
    shutil.copytree(WORK / "whole", WORK / "going")
    log = WORK / "going.log"
    child = begin(log, WORK / "going")
    wait_for(3, log)
    tar = WORK / "going/00002.tar"
    tar.rename(WORK / "gone.tar")
    _, err = child.communicate(timeout=120)
    check("a shard that vanishes ends the run: exit code 3",
          child.returncode == 3)
    check("and is named", "going/00002.tar" in err)
    last = len(curve(log))
    kept = [x.name for x in (WORK / "going/models/tiny-vit").glob("step-*")]
    check(f"its {last} steps are kept, and that is said: {err[-300:]}",
          kept == [f"step-{last:09}"] and
          f"behind step {last}, with a checkpoint" in err)
    goes_on_once_back(tar, last)


def goes_on_once_back(tar, step):
    (WORK / "gone.tar").rename(tar)
    log, never = WORK / "going.log", WORK / "never.log"
    err = follow(step + 8, log, tar.parent, "--resume")
    check(f"it goes on from there: {err[-300:]}",
          f"going on behind step {step}" in err)
    follow(step + 8, never, tar.parent, "--out", WORK / "never")
    both = list(zip(curve(log), curve(never)))
    check(f"the {len(both)} steps are those of a run that never met it",
          len(both) >= step + 8 and all(a == b for a, b in both))


def main():
    random.seed(1)
    (WORK / "vocabulary").write_text(VOCABULARY)
    make(WORK / "whole", SAMPLES)
    make(WORK / "broken", SAMPLES, broken=(5, 40, 41))
    for part in (learns, replaces, refuses, says_early, stops):
        part()
    return counted.end()


sys.exit(main())
