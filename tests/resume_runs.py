"""Runs of `witmill train` that are killed, stopped or out of room, resumed,
and compared with one that was never interrupted."""
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

import events_reader
import tally

WITMILL = os.environ.get("WITMILL", "build/gcc/witmill")
BUILD = pathlib.Path(os.environ.get("BUILD", "build/gcc"))
SHIM = BUILD.resolve() / "faultfs.so"
WORK = tally.scratch("resume")
SANITIZED = "+" in BUILD.name or BUILD.name.endswith("thread")

VIT = ["--generated", "--model", "tiny-vit", "--batch", 8,
       "--caption-tokens", 8, "--lr", 0.001, "--threads", 1, "--feed-threads", 1]
# All that a checkpoint has to carry: statistics, moments and copies that are
# rounded by chance, steps that are left out.
ODD = ["--generated", "--model", "tiny-resnet", "--batch", 8,
       "--caption-tokens", 8, "--lr", 0.03, "--threads", 1, "--feed-threads", 1,
       "--precision", "bf16", "--stochastic", "--moments", "bf16",
       "--skip-spikes", 1.05]
TIMES = {"seconds", "waited", "images_per_second", "useful_tflops",
         "host_bytes", "load", "upload"}


def command(folder, args, *more):
    return [str(x) for x in (WITMILL, "train", "--out", folder, *args,
                             *more)]


def environment(**more):
    return dict(os.environ, OMP_WAIT_POLICY="passive", **more)


def run(folder, args, *more, env=None):
    return subprocess.run(command(folder, args, *more), text=True,
                          capture_output=True, env=env or environment(),
                          timeout=140)


def must(folder, args, *more):
    done = run(folder, args, *more)
    if done.returncode:
        sys.exit(f"{' '.join(command(folder, args, *more))}: exit code "
                 f"{done.returncode}\n{done.stderr}")
    return done


def curve(folder):
    """The log without times: whole lines as they are."""
    lines = []
    for line in (folder / "log.jsonl").read_text().splitlines():
        found = json.loads(line)
        lines.append(json.dumps({k: v for k, v in found.items()
                                 if k not in TIMES}))
    return lines


def steps(folder):
    """Checkpoints that are whole; others are named .tmp."""
    return sorted(p.name for p in folder.glob("step-*")
                  if p.suffix != ".tmp")


def hashes(folder, step):
    return {name: hashlib.sha256((folder / step / name).read_bytes())
            .hexdigest() for name in ("model.safetensors",
                                      "moments.safetensors",
                                      "open_clip_config.json")}


def compare(what, reference, folder):
    """Equal line by line, byte by byte, and as TensorBoard would show it."""
    a, b = curve(reference), curve(folder)
    for number, (x, y) in enumerate(zip(a, b), 1):
        if x != y:
            sys.exit(f"{what}: line {number} of the log\n  {y}\ninstead of\n"
                     f"  {x}")
    if len(a) != len(b):
        sys.exit(f"{what}: {len(b)} lines in the log, not {len(a)}")
    if steps(reference) != steps(folder):
        sys.exit(f"{what}: {steps(folder)}, not {steps(reference)}")
    for step in steps(reference):
        if hashes(reference, step) != hashes(folder, step):
            sys.exit(f"{what}: {step} has other bytes")
    one, two = events_reader.series(reference), events_reader.series(folder)
    for tag in one:
        if tag not in ("train/images_per_second", "train/waited") and \
                one[tag] != two.get(tag):
            sys.exit(f"{what}: {tag} differs in the event files")


def fresh(name):
    folder = WORK / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    return folder


def count_lines(folder):
    try:
        return (folder / "log.jsonl").read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def kill_some_time(folder, args, rng, most_lines):
    """Start, kill -9 once some more lines are there and a while has passed;
    whether it was killed."""
    before = count_lines(folder)
    child = subprocess.Popen(command(folder, args, "--resume"),
                             stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, env=environment())
    wanted = before + rng.randrange(-6, most_lines)
    began = time.monotonic()
    while child.poll() is None and count_lines(folder) < wanted and \
            time.monotonic() - began < 60:
        time.sleep(0.002)
    time.sleep(rng.random() * 0.03)
    child.kill()
    return child.wait() == -signal.SIGKILL


def random_kills(args, reference, kills, total, seed, look=None):
    """look: called with the folder after each kill."""
    folder = fresh("killed")
    rng = random.Random(seed)
    killed = 0
    for _ in range(4 * kills):
        if killed == kills:
            break
        killed += kill_some_time(folder, args, rng, max(2, total // kills))
        if look:
            look(folder)
        if count_lines(folder) > total:
            break
    done = must(folder, args, "--resume")
    compare(f"{killed} kills", reference, folder)
    return killed, done


def killed_at_calls(args, before, every, first=1):
    """Killed in front of every call that changes the disk; how many."""
    folder = WORK / "calls"
    reference = WORK / "calls-reference"
    at, tried = first, 0
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        if before:
            shutil.copytree(before, folder)
        done = run(folder, args, "--resume", env=environment(
            LD_PRELOAD=str(SHIM), FAULT_AT=str(at), FAULT_KILL="1"))
        if done.returncode == 0:
            return tried
        if done.returncode != -signal.SIGKILL:
            sys.exit(f"call {at}: exit code {done.returncode}\n{done.stderr}")
        must(folder, args, "--resume")
        compare(f"killed at call {at}", reference, folder)
        at += every
        tried += 1


def full_at_writes(args, before, every, first=1):
    """A disk without room from the Nth write on; how many."""
    folder = WORK / "full"
    reference = WORK / "calls-reference"
    at, tried = first, 0
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        if before:
            shutil.copytree(before, folder)
        held = steps(folder) if before else []
        done = run(folder, args, "--resume", env=environment(
            LD_PRELOAD=str(SHIM), FAULT_AT=str(at)))
        if done.returncode == 0:
            return tried
        text = done.stderr.lower()
        if done.returncode != 3 or ("no space" not in text and
                                    "disk is full" not in text):
            sys.exit(f"write {at}: exit code {done.returncode}\n{done.stderr}")
        if held and not set(held) & set(steps(folder)):
            if not steps(folder):
                sys.exit(f"write {at}: no checkpoint is left of {held}")
        must(folder, args, "--resume")
        compare(f"full at write {at}", reference, folder)
        at += every
        tried += 1
