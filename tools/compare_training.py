#!/usr/bin/env python3
"""Trains the same small CLIP with witmill and with open_clip, seed by seed, and
writes docs/training.md.

usage: tools/compare_training.py [--witmill PROGRAM] [--seeds N] [--threads N]
           [--quick] [--redo] [--out FILE]

The pairs: the captioned and the labelled photographs of ../shared/data
(WITMILL_SHARED names another folder than ../shared), packed as tars in
build/compare/train; what a hash of the key sets aside goes to
build/compare/held and is seen by no training.  Settings are the same, each
side draws its first weights, its order, its crops and its captions by itself.
Both sides' weights are judged by one program, open_clip's model.

Each run's figures stay in build/compare and are not made again with the same
settings; --redo does.  Runs go one by one, on --threads processors (0: all
there are).  --quick: so few steps that nothing is learned, to try the script
out; it writes no page unless --out says where.

open_clip stands in the environment of tools/peers.py.  Exits with 77 where that
or the data is missing, with 1 where the sides differ by more than the seeds do.
"""
import argparse
import hashlib
import json
import math
import os
import pathlib
import subprocess
import sys
import tarfile
from io import BytesIO

sys.path.insert(0, str(pathlib.Path(__file__).parent))
sys.dont_write_bytecode = True
import peers  # noqa: E402

SHARED = pathlib.Path(os.environ.get("WITMILL_SHARED", "../shared"))
DATA = SHARED / "data"
CAPTIONED = ["flickr8k-dev", "coco-mini-train2017-80"]
LABELLED = "cifar10-train-1000"
CLASSES = DATA / "classify/cifar10-classnames.txt"
VOCABULARY = DATA / "clip/bpe_simple_vocab_16e6.txt.gz"
WORK = pathlib.Path("build/compare")
PAGE = pathlib.Path("docs/training.md")
BEHIND = "# Figure 2 of the paper, small"  # what tools/figure2.py writes
HELD_BACK = 15  # of 100
SHARD = 500  # samples

MODEL = {
    "embed_dim": 128,
    "vision_cfg": {"image_size": 32, "layers": 3, "width": 128,
                   "head_width": 64, "patch_size": 8},
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 128,
                 "heads": 2, "layers": 3},
}
SETTINGS = {"batch": 64, "steps": 240, "lr": 1e-3, "warmup": 40, "beta1": 0.9,
            "beta2": 0.98, "eps": 1e-6, "decay": 0.2}
QUICK = {"steps": 6, "warmup": 2}
SIDES = ["witmill", "open_clip"]
# name, what it is, digits, factor
FIGURES = [
    ("train_loss", "training loss, last tenth of the steps", 3, 1),
    ("held_loss", "loss of held-back pairs", 3, 1),
    ("top1", "zero-shot top-1, %", 1, 100),
    ("picture", "R@5 text to picture, %", 1, 100),
    ("caption", "R@5 picture to text, %", 1, 100),
    ("scale", "logit scale at the end", 2, 1),
]


# ---- pairs ----

def held_back(key):
    digest = hashlib.sha256(key.encode()).digest()
    return int.from_bytes(digest[:4], "big") % 100 < HELD_BACK


def members(path):
    """Key to {ending: bytes}."""
    samples = {}
    with tarfile.open(path) as tar:
        for member in tar:
            key, _, kind = member.name.partition(".")
            samples.setdefault(key, {})[kind] = tar.extractfile(member).read()
    return samples


def class_names():
    return CLASSES.read_text().split()


def prompts():
    return [f"a photo of a {name}." for name in class_names()]


def all_samples():
    """Key, and what its members become."""
    for name in CAPTIONED:
        for key, had in members(DATA / f"captions/{name}.tar").items():
            texts = json.loads(had["json"])["captions"]
            lines = [" ".join(t.split()) for t in texts]
            yield key, {"jpg": had["jpg"], "txt": "\n".join(lines).encode()}
    said = prompts()
    for key, had in members(DATA / f"classify/{LABELLED}.tar").items():
        yield key, {"jpg": had["jpg"], "cls": had["cls"],
                    "txt": said[int(had["cls"])].encode()}


def write_tars(folder, samples):
    folder.mkdir(parents=True)
    for begin in range(0, len(samples), SHARD):
        with tarfile.open(folder / f"{begin // SHARD:05}.tar", "w") as tar:
            for key, files in samples[begin:begin + SHARD]:
                for kind, data in files.items():
                    info = tarfile.TarInfo(f"{key}.{kind}")
                    info.size = len(data)
                    tar.addfile(info, BytesIO(data))


def make_pairs():
    """How many of which kind there are; made once."""
    counts = WORK / "counts.json"
    if not counts.exists():
        samples = sorted(all_samples(), key=lambda x: hashlib.sha256(
            b"shard " + x[0].encode()).digest())
        parts = {"train": [x for x in samples if not held_back(x[0])],
                 "held": [x for x in samples if held_back(x[0])]}
        made = {}
        for name, part in parts.items():
            write_tars(WORK / name, part)
            labelled = sum("cls" in files for _, files in part)
            made[name] = {"captioned": len(part) - labelled,
                          "labelled": labelled}
        counts.write_text(json.dumps(made))
    return json.loads(counts.read_text())


# ---- runs ----

def witmill_command(a, s, seed, save, log):
    return [a.witmill, "train", "--data", WORK / "train",
            "--vocabulary", VOCABULARY, "--model", WORK / "compare.json",
            "--crop", "resized", "--texts", "draw", "--precision", "fp32",
            "--decay-rule", "paper", "--batch", s["batch"],
            "--steps", s["steps"], "--lr", s["lr"], "--warmup", s["warmup"],
            "--beta1", s["beta1"], "--beta2", s["beta2"], "--eps", s["eps"],
            "--decay", s["decay"], "--seed", seed, "--threads", a.threads,
            "--save", save, "--log", log]


def witmill_train(a, s, seed, save):
    log, out = save.with_suffix(".jsonl"), save.with_suffix(".out")
    command = list(map(str, witmill_command(a, s, seed, save, log)))
    log.unlink(missing_ok=True)
    with open(out, "wb") as said:
        subprocess.run(command, check=True, stdout=said,
                       stderr=subprocess.STDOUT)
    lines = [json.loads(x) for x in log.read_text().splitlines()]
    lines = [x for x in lines if "loss" in x]
    return {"losses": [x["loss"] for x in lines],
            "seconds": sum(x["seconds"] for x in lines)}


def one_run(a, s, side, seed):
    import compare_model
    save = WORK / f"{side}-{seed}.safetensors"
    if side == "witmill":
        made = witmill_train(a, s, seed, save)
    else:
        made = compare_model.train(
            WORK / "compare.json", WORK / "train", s, seed,
            a.threads or os.cpu_count(), save)
    losses = made["losses"]
    if len(losses) != s["steps"]:
        raise ValueError(f"{side} {seed}: {len(losses)} steps logged")
    last = losses[-max(s["steps"] // 10, 1):]
    return {**compare_model.judge(WORK / "compare.json", save, WORK / "held",
                                  prompts(), s),
            "train_loss": sum(last) / len(last),
            "first_loss": losses[0], "seconds": made["seconds"],
            "losses": losses, **compare_model.versions()}


def result_of(a, s, side, seed):
    """One run's figures: those there are of the same settings, or new ones."""
    path = WORK / f"{side}-{seed}.json"
    asked = {"settings": s, "model": MODEL}
    got = json.loads(path.read_text()) if path.exists() else {}
    if a.redo or got.get("asked") != asked:
        got = {**one_run(a, s, side, seed), "asked": asked}
        path.write_text(json.dumps(got) + "\n")
    print(f"{side} {seed}: " + ", ".join(
        f"{name} {got[name] * factor:.{digits}f}"
        for name, _, digits, factor in FIGURES) +
        f"; {got['seconds']:.0f} s", file=sys.stderr, flush=True)
    return got


def ours_says(a, side, seed):
    """Top-1 by `witmill eval` of the same weights."""
    done = subprocess.run(
        [a.witmill, "eval", "zeroshot", "--json", "--model",
         WORK / f"{side}-{seed}.safetensors", "--data", WORK / "held",
         "--vocabulary", VOCABULARY, "--classnames", CLASSES,
         "--threads", str(a.threads)],
        check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return json.loads(done.stdout)["top1"]


# ---- the page ----

def spread(values):
    return max(values) - min(values)


def mean(values):
    return sum(values) / len(values)


def compared(results):
    """Of each figure: both sides' values, and whether the means lie no
    further apart than the seeds of the side that varies more."""
    rows = []
    for name, what, digits, factor in FIGURES:
        sides = [[r[name] * factor for r in results[side]] for side in SIDES]
        apart = abs(mean(sides[0]) - mean(sides[1]))
        rows.append((what, digits, sides, apart,
                     apart <= max(map(spread, sides))))
    return rows


def chance(counts):
    """Top-1 and R@5 (one picture in all, five captions in all), in percent."""
    n = counts["held"]["captioned"]
    miss = 1.0
    for i in range(5):
        miss *= (5 * n - 5 - i) / (5 * n - i)
    return 100 / len(class_names()), 500 / n, 100 * (1 - miss)


HEAD = """\
# Training beside open_clip

`tools/compare_training.py` writes this page: the same small model, trained from
fresh weights by `witmill train` and by open_clip, {seeds} seeds each, on the
processor, in float32. Nothing is handed from one side to the other: each draws
its first weights by its own published rule, its order of samples, its crops and
which of a picture's captions is read.

witmill at {commit}; open_clip {open_clip}, PyTorch {torch}: its
`CLIP`, `ClipLoss`, tokenizer and transforms, the AdamW groups of
`open_clip_train`'s main.py and its `cosine_lr`. Both go from epoch to epoch
without leaving out what does not fill a batch.

## What was trained on

{train_captioned} photographs of Flickr8k and COCO with five captions each and
{train_labelled} of CIFAR-10 with "a photo of a CLASS.". Held back by a hash of
the key, seen by no training: {held_captioned} and {held_labelled}.
About two thirds of a batch share ten captions, so no model comes near a loss
of 0.

    witmill {command}

Model (compare.json): `{model}`

## What came out

Both sides' weights are judged by one program: open_clip's model, its tokenizer
and its evaluation transform, on the held-back pairs. The loss there is of whole
batches of {batch}, each picture with its first caption. A cell is the mean over
seeds, behind it the least and the most; apart are the two means.

| | witmill | open_clip | apart | by chance |
|---|--:|--:|--:|--:|
"""


def cell(values, digits):
    return (f"{mean(values):.{digits}f} ({min(values):.{digits}f} to "
            f"{max(values):.{digits}f})")


def table(s, counts, results):
    top1, picture, caption = chance(counts)
    even = math.log(s["batch"])
    by_chance = [f"{even:.3f}", f"{even:.3f}", f"{top1:.1f}",
                 f"{picture:.1f}", f"{caption:.1f}", "-"]
    return "".join(
        f"| {what} | {cell(sides[0], digits)} | {cell(sides[1], digits)} | "
        f"{apart:.{digits}f} | {at} |\n"
        for (what, digits, sides, apart, _), at in
        zip(compared(results), by_chance))


def curve(s, results):
    """Mean loss of tenths of the run, side by side."""
    tenth = max(s["steps"] // 10, 1)
    rows = []
    for begin in range(0, s["steps"] - tenth + 1, tenth):
        cells = [cell([mean(r["losses"][begin:begin + tenth])
                       for r in results[side]], 3) for side in SIDES]
        rows.append(f"| {begin + 1} to {begin + tenth} | "
                    f"{cells[0]} | {cells[1]} |\n")
    return ("\nTraining loss on the way, a tenth of the steps at a time:\n\n"
            "| steps | witmill | open_clip |\n|---|--:|--:|\n" +
            "".join(rows))


def verdict(results):
    rows = compared(results)
    outside = [(what, digits, apart)
               for what, digits, _, apart, within in rows if not within]
    if outside:
        return "\n**Outside the spread of the seeds**: " + "; ".join(
            f"{what} ({apart:.{digits}f} apart)"
            for what, digits, apart in outside) + ".\n"
    return ("\n**Within the spread**: of every figure the two means lie no "
            "further apart than\nthe seeds of the side that varies more. A "
            "difference smaller than that spread\nwould not be seen with so "
            "few seeds; of single steps [parity.md](parity.md) says\nmore: "
            "there both sides begin with the same weights and batches.\n")


def own_judge(a, results):
    """Whether `witmill eval` agrees with the judge."""
    apart = [abs(ours_says(a, side, seed) - r["top1"])
             for side in SIDES for seed, r in enumerate(results[side])]
    same = sum(x < 1e-6 for x in apart)
    return (f"\n`witmill eval zeroshot` on the same {len(apart)} files of "
            f"weights: the same top-1 for {same}" +
            (f", at most\n{100 * max(apart):.2f} points apart"
             if same < len(apart) else "") + ".\n")


def shown_command(s, threads):
    a = argparse.Namespace(witmill="", threads=threads)
    words = [str(w) for w in witmill_command(
        a, s, "N", pathlib.Path("N.safetensors"), "N.jsonl")][1:]
    return wrapped(words)


def wrapped(words):
    """A command's words without folders, several lines."""
    words = [pathlib.Path(w).name if "/" in w else w for w in words]
    lines = [words.pop(0)]
    for option in " ".join(words).replace(" --", "\n--").split("\n"):
        if len(lines[-1]) + len(option) > 61:
            lines.append("   ")
        lines[-1] += f" {option}"
    return " \\\n    ".join(lines)


def commit():
    done = subprocess.run(["git", "log", "-1", "--format=%h of %cs", "--",
                           "train", "base", "shards", "tools/cmd_train.c"],
                          stdout=subprocess.PIPE, text=True)
    return done.stdout.strip() or "an unknown commit"


def page(a, s, counts, results):
    flat = {f"{part}_{kind}": n for part, kinds in counts.items()
            for kind, n in kinds.items()}
    theirs = results["open_clip"][0]
    torch = theirs["torch"].split("+")[0]
    text = HEAD.format(
        seeds=a.seeds, commit=commit(), batch=s["batch"], torch=torch,
        open_clip=theirs["open_clip"], command=shown_command(s, a.threads),
        model=json.dumps(MODEL), **flat)
    return (text + table(s, counts, results) + verdict(results) +
            own_judge(a, results) + curve(s, results))


def write_page(path, text, behind):
    """The page, or what stands behind it; None: as it was."""
    was = path.read_text() if path.exists() else ""
    at = was.find(BEHIND)
    if text is None:
        text = was if at < 0 else was[:at]
    if behind is None:
        behind = "" if at < 0 else was[at:]
    path.write_text(text.rstrip("\n") + "\n" +
                    ("\n" + behind if behind else ""))


# ---- the whole ----

def missing(a):
    files = [CLASSES, VOCABULARY, DATA / f"classify/{LABELLED}.tar",
             *(DATA / f"captions/{name}.tar" for name in CAPTIONED)]
    for path in [*files, pathlib.Path(a.witmill)]:
        if not path.exists():
            return f"{path} is not there"
    return None


def arguments():
    p = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1][7:])
    p.add_argument("--witmill", default="build/gcc/witmill")
    p.add_argument("--seeds", type=int, default=3)
    p.add_argument("--threads", type=int, default=0)
    p.add_argument("--quick", action="store_true")
    p.add_argument("--redo", action="store_true")
    p.add_argument("--out", type=pathlib.Path)
    return p.parse_args()


def main():
    a = arguments()
    why = missing(a)
    if why:
        print("skipped: " + why, file=sys.stderr)
        return peers.SKIPPED
    peers.enter()
    s = {**SETTINGS, **(QUICK if a.quick else {})}
    WORK.mkdir(parents=True, exist_ok=True)
    counts = make_pairs()
    (WORK / "compare.json").write_text(json.dumps(MODEL) + "\n")
    results = {side: [] for side in SIDES}
    for seed in range(a.seeds):
        for side in SIDES:
            results[side].append(result_of(a, s, side, seed))
    text = page(a, s, counts, results)
    print(text)
    out = a.out or (None if a.quick else PAGE)
    if out:
        write_page(out, text, None)
    return 0 if all(row[-1] for row in compared(results)) else 1


if __name__ == "__main__":
    sys.exit(main())
