"""parity_table - docs/parity.md from the results under build/parity."""
import json
import pathlib

PAGE = """\
# Against open_clip and transformers

`tools/parity.py` writes this page. Both sides compute the same random weights,
pictures and captions by formula ([tools/trial.py](../tools/trial.py),
[tests/trial.h](../tests/trial.h)): no weight is zero, captions are of different
lengths, BatchNorm works on the batch. The truth is open_clip in PyTorch in
float64; beside witmill's float32 on the CPU (captions packed, last block
reduced to the row that is read) stands open_clip's own float32.

{versions}

## One step of every model

Features and logits: largest difference by the largest number; limit 1e-4.
Gradients: the largest |a-b| / (1e-3 |b| + 1e-6 L) over all numbers of all
tensors, L the norm of the largest gradient; limit 1. Apart: the largest
||a-b|| / ||b|| of a tensor whose norm is over 1e-5 L. Tensors are counted with
query, key and value parts apart. Statistics: BatchNorm's running ones behind
the step, and what the picture tower gives by them before it (eval).

| model | batch | tensors | | features | logits | loss | gradients | apart | statistics | eval |
|---|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|
{steps}

The worst tensor of each: {worst}

A number that enters a ReLU nearer to 0 than float32 rounds has a gradient that
two correct programs may disagree about. The weights keep most numbers away from
there, but large ResNets have hundreds of millions. On batch 0 RN50x4 was at 17
times the bound and RN50x64 at 1.5 times; float64 has a number 4.8e-7 and one
6.3e-8 from 0 there (`tools/parity.py edges`). Both take the first batch that has
none nearer than {edge:g}: {numbers}.

## Twenty steps of AdamW

The same four batches of four pairs in turn, decay 0.2 but for gains, biases
and the scale, peak rate 5e-4 behind five steps of warm-up. Largest difference
of a step's loss from the truth's; limit 1e-3.

| model | truth: open_clip in | first loss | last loss | open_clip, float32 | witmill, float32 |
|---|---|--:|--:|--:|--:|
{training}

## Files

The features that a file's model gives on one side and on the other, float32,
largest difference by the largest number. Their files hold other weights than
those that the reader had before.

| model | file | features |
|---|---|--:|
{files}
"""


def load(path):
    return json.loads(path.read_text()) if path.exists() else None


def small(x):
    return "-" if x is None else f"{x:.1e}"


def step_row(who, d, first):
    features = max(d["image_features"], d["text_features"])
    resnet = "image_features_eval" in d
    return "| " + " | ".join([
        *first, who, small(features), small(d["logits"]), small(d["loss"]),
        f"{d['worst']:.2f}", small(d["apart"]),
        small(d["statistics"]) if resnet else "-",
        small(d.get("image_features_eval"))]) + " |"


def versions():
    import open_clip
    import torch
    import transformers
    return (f"open_clip {open_clip.__version__}, PyTorch "
            f"{torch.__version__.split('+')[0]}, transformers "
            f"{transformers.__version__}.")


def page(work, models, step_models, off, numbers, edge):
    work = pathlib.Path(work)
    steps, worst, training, files = [], [], [], []
    for name, n in models.items():
        theirs = load(work / name / "peer.json")
        ours = load(work / name / "ours.json")
        if ours:
            steps.append(step_row("witmill", ours,
                                  [name, str(n), str(ours["tensors"])]))
            worst.append(f"{name} `{ours['worst_of']}`")
        if theirs:
            steps.append(step_row("open_clip", theirs, ["", "", ""]))
    for name, kinds in step_models.items():
        made = {kind: load(work / f"steps-{name}-{kind}.json")
                for kind in ("float64", "float32", "ours")}
        truth = made[kinds[0]]
        if truth:
            others = [made[k] if k != kinds[0] else None
                      for k in ("float32", "ours")]
            training.append(
                f"| {name} | {kinds[0]} | {truth[0]:.4f} | {truth[-1]:.4f} | "
                + " | ".join(small(off(x, truth)) if x else "-"
                             for x in others) + " |")
    for row in (r for name in models
                for r in load(work / f"files-{name}.json") or []):
        files.append(f"| {row['model']} | {row['what']} | "
                     f"{small(row['apart'])} |")
    return PAGE.format(versions=versions(), steps="\n".join(steps),
                       worst=", ".join(worst) + ".", edge=edge,
                       numbers=", ".join(f"batch {number} for {name}" for
                                         name, number in numbers.items()),
                       training="\n".join(training), files="\n".join(files))
