#!/usr/bin/env python3
"""Compares witmill's models with open_clip's and transformers', and writes
docs/parity.md.

usage: tools/parity.py truth [MODEL...]    open_clip in float64 and float32
       tools/parity.py edges MODEL...      which batch to take
       tools/parity.py compare [MODEL...]  witmill in float32 against that
       tools/parity.py steps               20 steps of AdamW on both sides
       tools/parity.py files               each side reads the other's files
       tools/parity.py goldens             tests/golden/train from the truth
       tools/parity.py table               docs/parity.md from what there is
       tools/parity.py all

Both sides compute the same weights and batches by formula (tools/trial.py,
tests/trial.h), so nothing is handed over but results.  What was computed
stands in build/parity/ and is not computed again; --redo does.  BUILD is the
build folder with train_replay, build/gcc by default.  The peers stand in an
environment of their own, made on the first run: tools/peers.py.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
sys.dont_write_bytecode = True
import peers  # noqa: E402

# model and pictures of its batch: the large ones take less
MODELS = {
    "tiny-vit": 4, "tiny-vit-quickgelu": 4, "tiny-resnet": 4,
    "ViT-B-32": 4, "ViT-B-32-quickgelu": 4, "ViT-B-16": 4, "RN50": 4,
    "RN101": 4, "RN50x4": 3, "ViT-L-14": 2, "RN50x16": 2, "ViT-L-14-336": 2,
    "RN50x64": 2,
}
# A number that comes nearer to a ReLU's edge than float32 rounds leaves its
# gradient open.  Where that spoils batch 0: the first without (`edges`).
NUMBERS = {"RN50x4": 1, "RN50x64": 2}
EDGE = 1e-6
WORK = pathlib.Path("build/parity")
GOLDEN = pathlib.Path("tests/golden/train")
GOLDEN_MODELS = [name for name in MODELS if name != "ViT-B-32-quickgelu"]


# Whose losses are the truth, then what else is measured against it.
STEP_MODELS = {"tiny-vit": ["float64", "float32"],
               "tiny-resnet": ["float64", "float32"],
               "ViT-B-32": ["float32"], "RN50": ["float32"]}
STEP_BATCH, STEP_LR, STEP_WARMUP = 4, 5e-4, 5
STEPS_HEAD = """\
# witmill golden, version 1: losses before each of 20 steps of AdamW, made by
# tools/parity.py from open_clip: small models in float64, the others in
# float32.  Step s takes the trial's batch s mod 4 of {n} pairs; peak
# rate {lr}, warm-up {warmup}, decay 0.2 (not of gains, biases and the scale),
# betas 0.9 and 0.98 (ViT) or 0.999, epsilon 1e-6 (ViT) or 1e-8.
# A line a model: name, losses."""


def say(text):
    print(time.strftime("%H:%M:%S ") + text, flush=True)


def keep(path, redo, make):
    """A JSON result, made once."""
    if redo or not path.exists():
        result = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result, indent=1) + "\n")
    return json.loads(path.read_text())


def figures(d):
    return (f"features {max(d['image_features'], d['text_features']):.1e} "
            f"logits {d['logits']:.1e} loss {d['loss']:.1e} gradients "
            f"{d['worst']:.2f} of the bound ({d['worst_of']}), "
            f"{d['apart']:.1e} apart ({d['apart_of']})")


def truth(args):
    import parity_peer
    for name in args.models:
        folder = WORK / name
        made = keep(folder / "truth.json", args.redo, lambda: parity_peer
                    .truth(name, MODELS[name], NUMBERS.get(name, 0),
                           folder, name in GOLDEN_MODELS))
        say(f"{name}: float64 in {made['truth_seconds']} s, "
            f"loss {made['loss']:.6f}")
        d = keep(folder / "peer.json", args.redo, lambda: parity_peer
                 .again(name, MODELS[name], NUMBERS.get(name, 0),
                        folder))
        say(f"{name}: open_clip in float32: {figures(d)}")


def edges(args):
    """The first batch whose numbers keep away from the ReLUs' edge."""
    import parity_peer
    for name in args.models:
        for number, near in parity_peer.nearest_edges(name, MODELS[name]):
            say(f"{name} batch {number}: nearest to an edge {near:.1e}")
            if near > EDGE:
                break


def goldens(args):
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for name in GOLDEN_MODELS:
        text = (WORK / name / "golden.txt").read_text()
        (GOLDEN / f"{name}.txt").write_text(text)
        say(f"{GOLDEN}/{name}.txt: {len(text)} bytes")


def replay(args, *command):
    """Standard output of train_replay."""
    return subprocess.run(
        [args.build / "train_replay", *map(str, command)], check=True,
        text=True, stdout=subprocess.PIPE).stdout


def ours(args, name):
    """witmill's step on the CPU in float32, and its distance."""
    import parity_compare
    from safetensors import safe_open
    out = WORK / name / "ours.safetensors"
    text = replay(args, name, "--batch", MODELS[name], "--out", out,
                  "--number", NUMBERS.get(name, 0), "--packed", "--reduce",
                  *(["--recompute"] if MODELS[name] < 4 else []))
    with safe_open(out, "np") as f:
        keys = set(f.keys())
        small = {k: f.get_tensor(k) for k in keys if "grad/" not in k}
        d = parity_compare.distance(
            WORK / name / "truth.safetensors", small,
            ((k[5:], f.get_tensor(k)) for k in sorted(keys - set(small))))
        with safe_open(WORK / name / "truth.safetensors", "np") as truth_file:
            odd = keys ^ set(truth_file.keys())
    if odd:
        raise ValueError(f"{name}: only one side has {sorted(odd)[:5]}")
    out.unlink()
    say(f"{name}: {text.strip()}")
    return dict(d, passed=bool(d["worst"] <= 1 and max(
        d["image_features"], d["text_features"], d["logits"]) <= 1e-4))


def compare(args):
    for name in args.models:
        d = keep(WORK / name / "ours.json", args.redo,
                 lambda: ours(args, name))
        say(f"{name}: witmill: {figures(d)}"
            f"{'' if d['passed'] else ' FAILED'}")


def steps(args):
    """20 steps of AdamW: open_clip's, then witmill's."""
    import parity_peer
    import torch
    lines = [STEPS_HEAD.format(n=STEP_BATCH, lr=STEP_LR, warmup=STEP_WARMUP)]
    for name, kinds in STEP_MODELS.items():
        for kind in kinds:
            made = keep(WORK / f"steps-{name}-{kind}.json", args.redo,
                        lambda: parity_peer.steps(
                            name, STEP_BATCH, getattr(torch, kind), STEP_LR,
                            STEP_WARMUP))
            say(f"{name} open_clip {kind}: {made[0]:.6f} .. {made[-1]:.6f}")
        want = json.loads((WORK / f"steps-{name}-{kinds[0]}.json").read_text())
        lines.append(name + "".join(f" {x:.7f}" for x in want))
        got = keep(WORK / f"steps-{name}-ours.json", args.redo, lambda: [
            float(x) for x in replay(
                args, name, "--batch", STEP_BATCH, "--steps", 20, "--lr",
                STEP_LR, "--warmup", STEP_WARMUP).split()])
        say(f"{name} witmill: off by {off(got, want):.1e}")
    GOLDEN.mkdir(parents=True, exist_ok=True)
    (GOLDEN / "steps.txt").write_text("\n".join(lines) + "\n")


def off(a, b):
    return max(abs(x - y) for x, y in zip(a, b, strict=True))


def files(args):
    import parity_files
    for name in parity_files.MODELS:
        for row in keep(WORK / f"files-{name}.json", args.redo,
                        lambda: parity_files.rows(
                            args.build / "train_replay", WORK, name)):
            say(f"{name}: {row['what']}: {row['apart']:.1e}")


def table(args):
    import parity_table
    pathlib.Path("docs/parity.md").write_text(
        parity_table.page(WORK, MODELS, STEP_MODELS, off, NUMBERS, EDGE))
    say("docs/parity.md")


def everything(args):
    for mode in (truth, goldens, compare, steps, files, table):
        mode(args)


def main():
    modes = {"truth": truth, "edges": edges, "compare": compare,
             "steps": steps, "files": files, "goldens": goldens,
             "table": table, "all": everything}
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=modes)
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--redo", action="store_true")
    parser.add_argument("--build", type=pathlib.Path, default="build/gcc")
    args = parser.parse_args()
    args.models = args.models or list(MODELS)
    peers.enter()
    return modes[args.mode](args)


if __name__ == "__main__":
    sys.exit(main())
