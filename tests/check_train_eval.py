#!/usr/bin/env python3
"""`witmill train --eval` on shards: asked at the chosen steps, it tells what
`witmill eval` tells of the checkpoint of the step, and the steps stay what they
are; the best checkpoint is kept by the rule, is what --best finds, and is still
there when the run is killed and goes on."""
import json
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tarfile
import time

import events_reader
import resume_runs
import tally
import tiny_shards
from resume_runs import SANITIZED, SHIM, WITMILL, WORK, fresh, must

STEPS, BATCH = 24, 16
ASKED = [5, 10, 15, 20, 24]  # --eval-every 5, and behind the last
DATA, CLASSES, TEMPLATES = WORK / "asked", WORK / "classes", WORK / "templates"
RUN = ["--data", WORK / "shards", "--vocabulary", WORK / "vocabulary",
       "--model", "tiny-vit", "--batch", BATCH, "--steps", STEPS, "--warmup", 4,
       "--lr", 0.002, "--window", 2, "--threads", 1, "--workers", 1]
NAMED = ["--eval-classnames", CLASSES, "--eval-templates", TEMPLATES]
ASK = ["--eval", DATA, *NAMED]
# What stays is the best and the last.
BEST = RUN + ASK + ["--eval-every", 3, "--keep", 1]
counted = tally.Tally()
check = counted.check


def wrong(colours):
    """A class that the left half is not: what learns gets worse at it, so that
    the best is not the last."""
    return (colours[0] + 4) % 8


def make():
    random.seed(3)
    tiny_shards.make(WORK / "shards")
    tiny_shards.make(DATA, 64, 64, label=wrong)
    (WORK / "vocabulary").write_text(tiny_shards.VOCABULARY)
    CLASSES.write_text("\n".join(tiny_shards.NAMES) + "\n")
    TEMPLATES.write_text("\n".join("{} " + n for n in tiny_shards.NAMES) + "\n")


def evals(folder):
    """{step: figures} of the log."""
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return {x["step"]: x["eval"] for x in lines if "eval" in x}


def without_evals(folder):
    return [x for x in resume_runs.curve(folder)[1:] if '"eval"' not in x]


def kept(folder):
    """A kill may leave one that was being written."""
    return [int(name[5:]) for name in resume_runs.steps(folder)
            if not name.endswith(".tmp")]


def ask(model, task="zeroshot", *more):
    names = [] if task == "retrieval" else \
        ["--classnames", CLASSES, "--templates", TEMPLATES]
    done = subprocess.run(
        list(map(str, [WITMILL, "eval", task, "--model", model, "--data", DATA,
                       "--batch", BATCH, "--threads", 1, "--json", *names,
                       *more])), text=True, capture_output=True,
        env=resume_runs.environment(), timeout=100)
    if done.returncode:
        sys.exit(f"eval {task} {model}: {done.stderr}")
    return json.loads(done.stdout)


def figures(told):
    return {f"zeroshot_{name}": told[key] for name, key in
            (("top1", "top1"), ("top5", "top5"),
             ("recall", "mean_per_class_recall"))}


def check_asked():
    plain, asked = fresh("plain"), fresh("with-eval")
    must(plain, RUN, "--checkpoint-every", 6)
    done = must(asked, RUN + ASK, "--eval-every", 5, "--checkpoint-every", 6,
                "--keep", 100)
    check("the steps stay what they are",
          without_evals(plain) == without_evals(asked))
    found = evals(asked)
    check(f"asked behind {ASKED}: {list(found)}", list(found) == ASKED)
    wanted = sorted({6, 12, 18, *ASKED})
    check(f"a checkpoint follows: {kept(asked)}", kept(asked) == wanted)
    for step in ASKED:
        told = figures(ask(asked / f"step-{step:09}"))
        check(f"step {step}: eval says {told}, the log {found[step]}",
              told == found[step])
    series = events_reader.series(asked)
    for name in "zeroshot_top1", "zeroshot_top5", "zeroshot_recall":
        told = series[f"eval/{name}"]
        check(f"the event files' {name}: {told}",
              sorted(told) == ASKED and
              all(abs(told[s] - found[s][name]) < 1e-6 for s in ASKED))
    check("the summary counts them", "in 5 evaluations" in done.stdout)
    best = best_of(found)
    told = re.search(r"of the best +([0-9.]+)  behind step (\d+)\n",
                     done.stdout)
    check(f"and tells the best, of step {best}: {done.stdout}",
          told and told.groups() ==
          (f"{found[best]['zeroshot_top1']:.4f}", str(best)))
    check("and where the model lies",
          re.search(rf"the model +{asked}/step-{STEPS:09}\n", done.stdout))


def check_retrieval():
    """Without class names; and behind the last step alone."""
    folder = fresh("retrieval")
    must(folder, RUN, "--eval", DATA, "--eval-every", 0)
    found, told = evals(folder), ask(folder, "retrieval")
    check(f"--eval-every 0: {list(found)}, {kept(folder)}",
          list(found) == [STEPS] and kept(folder) == [STEPS])
    log = dict(found[STEPS])
    both = (told["image_to_text_r1"] + told["text_to_image_r1"]) / 2
    check(f"the metric is {both}, the mean of both ways",
          abs(log.pop("retrieval_r1") - both) < 1e-9)
    check(f"retrieval: the log says {log}, eval {told}", len(log) == 6 and
          all(abs(told[k] - v) < 1e-9 for k, v in log.items()))


def best_of(found):
    """The largest top-1; of several the first."""
    return max(found, key=lambda s: (found[s]["zeroshot_top1"], -s))


def check_best():
    folder = fresh("calls-reference")
    must(folder, BEST)
    found = evals(folder)
    best = best_of(found)
    top = found[best]["zeroshot_top1"]
    if not check(f"the best of {found} is not the last",
                 best < STEPS and top > found[STEPS]["zeroshot_top1"]):
        sys.exit("that tests nothing")
    check(f"--keep 1: the best, {best}, and the last: {kept(folder)}",
          kept(folder) == [best, STEPS])
    check("--best asks it", ask(folder, "zeroshot", "--best")["top1"] == top)
    check("else the last is asked", ask(folder)["top1"] ==
          found[STEPS]["zeroshot_top1"])
    many = fresh("keep-2")
    must(many, BEST, "--keep", 2, "--keep-every", 9)
    check(f"beside other rules: {kept(many)}",
          kept(many) == sorted({best, 9, 18, STEPS - 3, STEPS}))
    return folder


def check_there(folder):
    """Of what was asked up to the last checkpoint, the best is there."""
    there = kept(folder)
    if there:
        found = {s: v for s, v in evals(folder).items() if s <= there[-1]}
        best = best_of(found) if found else there[-1]
        check(f"killed: the best is {best}, there are {there}", best in there)


def check_killed(reference):
    killed, _ = resume_runs.random_kills(BEST, reference, 6, STEPS, 5,
                                         check_there)
    check(f"killed {killed} times: the same figures and checkpoints",
          killed >= 3)
    folder = WORK / "killed"
    check("and the same best", evals(folder) == evals(reference) and
          figures(ask(folder, "zeroshot", "--best")) ==
          figures(ask(reference, "zeroshot", "--best")))


def without_labels(broken):
    """Pictures with labels; or, for the .cls of classes that have no name, of
    which no one can be used."""
    folder = WORK / f"labels-{broken}"
    tiny_shards.make(folder, 32, 32, label=lambda two: 99 if broken else two[0])
    return folder


def check_useless():
    """What nothing can be asked of is said before the first step."""
    folder = fresh("useless")
    done = resume_runs.run(folder, RUN, "--eval", without_labels(True), *NAMED)
    check(f"useless pictures: exit code {done.returncode}, {done.stderr[-200:]}",
          done.returncode == 3 and "has label 99" in done.stderr)
    check("and no step was taken", not (folder / "log.jsonl").exists())


def check_strangers():
    """Names of another data set: those that they fit tell nothing."""
    few = WORK / "few"
    few.write_text("\n".join(tiny_shards.NAMES[:3]) + "\n")
    done = subprocess.run(
        list(map(str, [WITMILL, "eval", "zeroshot", "--model",
                       WORK / "retrieval", "--data", DATA, "--batch", BATCH,
                       "--threads", 1, "--classnames", few])), text=True,
        capture_output=True, env=resume_runs.environment(), timeout=100)
    check(f"fewer names than labels: exit code {done.returncode}, "
          f"{done.stderr[-200:]}",
          done.returncode == 3 and not done.stdout and
          first_stranger(3) in done.stderr and "names of 3 classes" in
          done.stderr)
    folder = fresh("strangers")
    done = resume_runs.run(folder, RUN, "--eval", DATA, "--eval-classnames",
                           few)
    check(f"train --eval: exit code {done.returncode}, {done.stderr[-200:]}",
          done.returncode == 3 and first_stranger(3) in done.stderr and
          not (folder / "log.jsonl").exists())


def first_stranger(classes):
    """As the message has it."""
    with tarfile.open(DATA / "00000.tar") as tar:
        for member in tar:
            if member.name.endswith(".cls"):
                label = int(tar.extractfile(member).read())
                if label >= classes:
                    return f"sample {member.name[:-4]} has label {label}"
    return None


def check_spoilt():
    """What was there at the start and is not when it is first asked: the run
    ends with code 3, and with a checkpoint of the steps that it took."""
    folder, data = fresh("spoilt"), without_labels(False)
    run = subprocess.Popen(
        resume_runs.command(folder, RUN, "--eval", data, *NAMED, "--steps",
                            120, "--eval-every", 120), text=True,
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
        env=resume_runs.environment())
    log = folder / "log.jsonl"
    while run.poll() is None and not (log.exists() and
                                      '"step"' in log.read_text()):
        time.sleep(0.01)
    shutil.rmtree(data)
    _, said = run.communicate(timeout=100)
    check(f"exit code {run.returncode}: {said[-200:]}",
          run.returncode == 3 and data.name in said)
    check(f"its last step is kept: {kept(folder)}", kept(folder) == [120])


def check_calls():
    """In front of calls that change the disk."""
    if SANITIZED or not SHIM.exists():
        counted.skip("the fault shim does not go with sanitizers")
        return
    tried = resume_runs.killed_at_calls(BEST, None, 61, 5)
    check(f"killed in front of every 61st call: {tried} times", tried >= 3)


def main():
    make()
    check_asked()
    check_retrieval()
    check_useless()
    check_strangers()
    check_spoilt()
    reference = check_best()
    check_killed(reference)
    check_calls()
    return counted.end()


if __name__ == "__main__":
    sys.exit(main())
