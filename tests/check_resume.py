#!/usr/bin/env python3
"""Training that is interrupted in every way goes on as if it never was: kill -9
at random times and in front of calls that change the disk, full disks, SIGTERM,
damage to the last checkpoint; and what must be refused is."""
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import chain
import events_reader
import mpi_job
import resume_runs
import tally
from resume_runs import (ODD, SANITIZED, SHIM, VIT, WORK, command, compare,
                         curve, environment, fresh, must, run, steps)

STEPS = 48
VENV = tally.PEERS / "venv/bin/python"

passed = 0


def done(what):
    global passed
    passed += 1
    print(f"ok: {what}", flush=True)


def expect(what, found, code, *words):
    if found.returncode != code:
        sys.exit(f"{what}: exit code {found.returncode}, not {code}\n"
                 f"{found.stderr}")
    for word in words:
        if word not in found.stderr:
            sys.exit(f"{what}: {word!r} is not said:\n{found.stderr}")
    done(what)


def check_kills():
    args = VIT + ["--steps", STEPS, "--checkpoint-every", 3]
    reference = fresh("reference")
    must(reference, args)
    killed, _ = resume_runs.random_kills(args, reference, 10, STEPS, 1)
    if killed < 5:
        sys.exit(f"only {killed} of the runs were killed in time")
    done(f"{killed} random kills, the curve of {STEPS} steps is the same")
    return args, reference


def check_odd():
    """Everything that has to travel, killed twice."""
    args = ODD + ["--steps", 60, "--checkpoint-every", 7]
    reference = fresh("odd")
    must(reference, args)
    left = sum('"left_out": true' in line for line in curve(reference))
    if not 2 <= left < 25:
        sys.exit(f"{left} of 60 steps were left out: that tests nothing")
    resume_runs.random_kills(args, reference, 2, 60, 2)
    done(f"bf16 by chance, half moments, statistics, {left} steps left out")


def drop_last(reference, name):
    """A copy without its last checkpoint."""
    folder = fresh(name)
    shutil.copytree(reference, folder)
    shutil.rmtree(folder / steps(folder)[-1])
    return folder


def check_objectives():
    for objective in "bow", "caption":
        args = VIT + ["--objective", objective, "--steps", 8,
                      "--checkpoint-every", 5]
        reference = fresh(objective)
        must(reference, args)
        folder = drop_last(reference, objective + "-again")
        must(folder, args, "--resume")
        compare(objective, reference, folder)
    done("other objectives go on, too")


def check_calls():
    if SANITIZED or not SHIM.exists():
        print("skipped: the fault shim does not go with sanitizers")
        return
    args = VIT + ["--steps", 6, "--checkpoint-every", 2, "--keep", 1]
    must(fresh("calls-reference"), args)
    tried = resume_runs.killed_at_calls(args, None, 23)
    if tried < 3:
        sys.exit(f"only {tried} calls changed the disk?")
    done(f"killed in front of every 23rd call: {tried} times")
    tried = resume_runs.full_at_writes(args, None, 11)
    if tried < 2:
        sys.exit(f"only {tried} writes?")
    done(f"full at every 11th write: {tried} times")


def check_asked(args, reference, asked):
    """To stop, by a signal."""
    folder = fresh(asked.name)
    child = subprocess.Popen(command(folder, args), stderr=subprocess.PIPE,
                             stdout=subprocess.DEVNULL, text=True,
                             env=environment())
    began = time.monotonic()
    while resume_runs.count_lines(folder) < 5 and \
            time.monotonic() - began < 60 and child.poll() is None:
        time.sleep(0.002)
    child.send_signal(asked)
    text = child.communicate(timeout=60)[1]
    if child.returncode != 3 or "stopped on request" not in text:
        sys.exit(f"{asked.name}: exit code {child.returncode}\n{text}")
    lines = resume_runs.count_lines(folder) - 1
    last = int(steps(folder)[-1][5:])
    if lines != last:
        sys.exit(f"{asked.name}: {lines} steps in the log, checkpoint of "
                 f"{last}")
    must(folder, args, "--resume")
    compare(asked.name, reference, folder)
    done(f"{asked.name} behind step {last}: saved, and the same curve")


def check_damage(args, reference):
    folder = fresh("damaged")
    must(folder, VIT + ["--steps", STEPS, "--checkpoint-every", 24])
    last = folder / f"step-{STEPS:09}" / "moments.safetensors"
    data = bytearray(last.read_bytes())
    data[len(data) // 2] ^= 4
    last.write_bytes(data)
    found = must(folder, args, "--resume")
    for word in (str(last), "damaged", "going back to step 24"):
        if word not in found.stderr:
            sys.exit(f"damage: {word!r} is not said:\n{found.stderr}")
    # only the last checkpoints of the other rule are older ones
    a, b = curve(reference), curve(folder)
    if a != b or resume_runs.hashes(reference, last.parent.name) != \
            resume_runs.hashes(folder, last.parent.name):
        sys.exit("damage: another curve")
    done("a damaged checkpoint: the one before, said aloud, the same curve")


def check_refusals(args, reference):
    expect("begun over an old run", run(reference, args), 2,
           f"up to step {STEPS}", "--resume")
    expect("resumed with another batch",
           run(reference, args, "--resume", "--batch", 4), 3,
           "--batch 8, now 4")
    expect("resumed with another rate and model",
           run(reference, args, "--resume", "--lr", 0.1, "--model",
               "tiny-resnet"), 3, "--lr 0.001, now 0.1",
           '--model "tiny-vit", now "tiny-resnet"')
    found = run(reference, args, "--resume")
    if found.returncode or "all 48 steps have been taken" not in found.stdout:
        sys.exit(f"resumed at its end:\n{found.stdout}{found.stderr}")
    done("resumed at its end: nothing to do")
    saved = WORK / "saved.safetensors"
    expect("resumed at its end, to be saved",
           run(reference, args, "--resume", "--save", saved), 0)
    if saved.read_bytes() != (reference / steps(reference)[-1] /
                              "model.safetensors").read_bytes():
        sys.exit("what was saved is not the last checkpoint's")
    done("killed before it saved: saved when resumed")
    weights = WORK / "init.safetensors"
    must(fresh("init-first"), VIT + ["--steps", 2, "--save", weights])
    begun = VIT + ["--steps", 6, "--checkpoint-every", 3, "--init", weights]
    whole = fresh("init")
    must(whole, begun)
    weights.unlink()
    folder = drop_last(whole, "init-again")
    must(folder, begun, "--resume")
    compare("--init", whole, folder)
    done("the weights it began with may be gone when it goes on")
    folder = drop_last(whole, "init-elsewhere")
    must(folder, begun[:-1] + ["elsewhere.safetensors"], "--resume")
    compare("--init elsewhere", whole, folder)
    done("or named by another path")
    for start in whole, whole / steps(whole)[-1]:
        begun = fresh("init-" + start.name)
        must(begun, VIT + ["--steps", 1, "--init", start])
        first = json.loads(curve(begun)[1])["loss"]
        file = whole / steps(whole)[-1] / "model.safetensors"
        same = fresh("init-file")
        must(same, VIT + ["--steps", 1, "--init", file])
        if first != json.loads(curve(same)[1])["loss"]:
            sys.exit(f"--init {start} is not its last checkpoint's weights")
    done("--init takes a run's folder, and a checkpoint's")
    bare = fresh("bare")
    bare.mkdir()
    expect("--init of a folder with neither",
           run(fresh("init-bare"), VIT, "--init", bare), 3,
           "neither weights nor a run's checkpoints")
    check_model_file(whole / steps(whole)[-1] / "open_clip_config.json")
    folder = fresh("elses")
    folder.mkdir()
    (folder / "log.jsonl").write_text("my notes\n")
    expect("begun over somebody's notes", run(folder, args), 2,
           "log.jsonl is not the log of a run", "move it away")
    if (folder / "log.jsonl").read_text() != "my notes\n":
        sys.exit("they are gone")
    found = subprocess.run([os.environ.get("WITMILL", resume_runs.WITMILL),
                            "train", "--generated", "--resume"], text=True,
                           capture_output=True)
    expect("resumed without a folder", found, 2, "--out")


def check_model_file(config):
    """A model's JSON may have moved, but not say something else."""
    here, there = WORK / "model.json", WORK / "moved.json"
    here.write_bytes(config.read_bytes())
    args = VIT + ["--steps", 6, "--checkpoint-every", 3]
    whole = fresh("model")
    must(whole, args, "--model", here)
    here.rename(there)
    folder = drop_last(whole, "model-again")
    must(folder, args, "--model", there, "--resume")
    compare("--model moved", whole, folder)
    done("a model's JSON may have moved when the run goes on")
    said = json.loads(there.read_bytes())
    said["model_cfg"]["text_cfg"]["layers"] += 1
    there.write_text(json.dumps(said))
    expect("resumed with a JSON that says another model",
           run(drop_last(whole, "model-other"), args, "--model", there,
               "--resume"), 3, "step-000000003", "text")
    told = must(fresh("model-named"), args, "--model", there).stdout
    if f"train: {there}, 6 steps" not in told:
        sys.exit(f"a model that has no name is not told by its file:\n{told}")


def check_not_finite():
    found = run(fresh("not-finite"), VIT, "--steps", 40, "--lr", 100,
                "--warmup", 1, "--skip-spikes", 1000)
    expect("a loss that is not finite is told in words", found, 3,
           "loss not finite, waited")


def check_threads(args, reference):
    """Other threads: not bit for bit, and that is said."""
    folder = drop_last(reference, "threads")
    found = must(folder, args, "--threads", 2, "--resume")
    if "1 threads" not in found.stderr or "equal to rounding" not in \
            found.stderr:
        sys.exit(f"other threads: not said\n{found.stderr}")
    a, b = curve(reference), curve(folder)
    if len(a) != len(b):
        sys.exit(f"other threads: {len(b)} lines, not {len(a)}")
    done("other threads: goes on, and says what that means")


def check_busy(args):
    folder = fresh("busy")
    child = subprocess.Popen(command(folder, args, "--steps", 100000),
                             stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, env=environment())
    began = time.monotonic()
    while resume_runs.count_lines(folder) < 2 and \
            time.monotonic() - began < 60:
        time.sleep(0.01)
    found = run(folder, args, "--steps", 100000, "--resume")
    child.kill()
    child.wait()
    expect("two processes of one run", found, 3, "in use by another")


def check_log_lost(args, reference):
    """Without its log the run goes on, and says what is missing."""
    folder = drop_last(reference, "lost")
    (folder / "log.jsonl").write_bytes(
        (folder / "log.jsonl").read_bytes()[:1000])
    found = must(folder, args, "--resume")
    if "steps will be missing" not in found.stderr:
        sys.exit(f"a lost log: not said\n{found.stderr}")
    a, b = curve(reference), curve(folder)
    if len(b) >= len(a) or a[-3:] != b[-3:]:
        sys.exit("a lost log: another end")
    done("a log that was cut: said, whole lines behind it")


def check_ranks():
    """Two ranks over MPI, killed and stopped: as two that were not."""
    if SANITIZED or not mpi_job.there():
        print("skipped: no MPI")
        return

    args = VIT + ["--steps", 30, "--checkpoint-every", 4]

    def ranks(folder, *more):
        return mpi_job.command((2, [mpi_job.PROGRAM,
                                    *command(folder, args, *more)[1:]]))

    def wait_lines(child, folder, n):
        began = time.monotonic()
        while resume_runs.count_lines(folder) < n and \
                time.monotonic() - began < 60 and child.poll() is None:
            time.sleep(0.002)

    reference = fresh("ranks-reference")
    subprocess.run(ranks(reference), env=mpi_job.ENV, check=True, timeout=100,
                   capture_output=True)
    folder = fresh("ranks")
    child = subprocess.Popen(ranks(folder), env=mpi_job.ENV, text=True,
                             stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    wait_lines(child, folder, 11)
    for pid in mpi_job.children(child.pid):
        os.kill(pid, signal.SIGKILL)
    killed = child.wait(timeout=60)
    child = subprocess.Popen(ranks(folder, "--resume"), env=mpi_job.ENV, text=True,
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    wait_lines(child, folder, 20)
    rank = mpi_job.children(child.pid)
    if rank:
        os.kill(rank[-1], signal.SIGTERM)  # one is asked, all stop
    text = child.communicate(timeout=60)[1]
    stopped = "on request, behind step" in text
    subprocess.run(ranks(folder, "--resume"), env=mpi_job.ENV, check=True, timeout=100,
                   capture_output=True)
    compare("two ranks", reference, folder)
    if not killed or not stopped:
        sys.exit(f"two ranks: killed {killed}, stopped {stopped}\n{text}")
    done("two ranks, killed, then stopped by one: the curve of two")
    one = drop_last(reference, "ranks-one")
    found = run(one, args, "--resume")
    expect("as one rank", found, 0, "ranks 2, now 1",
           "equal to rounding")


def check_events(reference):
    found = events_reader.series(reference)
    lines = curve(reference)[1:]
    if len(found["train/loss"]) != STEPS or len(lines) != STEPS:
        sys.exit(f"{len(found['train/loss'])} losses in the event files")
    if sorted(found) != ["train/images_per_second", "train/logit_scale",
                         "train/loss", "train/lr", "train/norm",
                         "train/waited"]:
        sys.exit(f"tags {sorted(found)}")
    done("event files hold every step")
    script = """
import sys
from tensorboard.backend.event_processing.event_accumulator import \\
    EventAccumulator
for folder in sys.argv[1:]:
    a = EventAccumulator(folder, size_guidance={"scalars": 0})
    a.Reload()
    print([(x.step, x.value) for x in a.Scalars("train/loss")])
"""
    killed = WORK / "killed"
    peer = VENV.exists() and subprocess.run(
        [VENV, "-c", script, reference, killed], text=True,
        capture_output=True)
    if not peer or "No module named" in peer.stderr:
        print("skipped: no tensorboard in build/peers/venv")
        return
    one, two = peer.stdout.splitlines()
    mine = str(sorted(found["train/loss"].items()))
    if one != mine or two != mine:
        sys.exit(f"tensorboard reads\n{one}\n{two}\ninstead of\n{mine}\n"
                 f"{peer.stderr}")
    done("tensorboard reads the same, of the killed run, too")


def main():
    args, reference = check_kills()
    check_events(reference)
    check_odd()
    check_objectives()
    check_calls()
    chain.heed_signals()
    for asked in signal.SIGTERM, signal.SIGHUP, signal.SIGINT:
        check_asked(args, reference, asked)
    check_damage(args, reference)
    check_threads(args, reference)
    check_log_lost(args, reference)
    check_refusals(args, reference)
    check_busy(args)
    check_not_finite()
    check_ranks()
    print(f"{passed} passed, 0 failed")


if __name__ == "__main__":
    main()
