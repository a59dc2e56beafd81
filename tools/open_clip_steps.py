#!/usr/bin/env python3
"""Training steps of open_clip on generated pairs, timed: the peer's half of
tools/bench_train.py (processors) and of tools/bench_open_clip.py (GPUs).

usage: tools/open_clip_steps.py MODEL fp32|bf16 BATCH STEPS [tokens=N]
       [threads=N] [channels_last=0|1] [device=cpu|cuda] [compile=0|1]
       [serve=0|1]

bf16 is torch's autocast, as open_clip's --precision amp_bf16.  A step is
forward, loss, backward, AdamW and clamping the scale; prints one JSON object.
On a GPU the optimiser is the fused one, products of floats use TF32, cuDNN
tries its algorithms, attention is whatever fused kernel torch takes, and the
batch lies on the device from the start.  compile=1 is open_clip's
--torchcompile; where that fails it goes on without and says so.

serve=1: compiles and warms up, prints {"ready": ...}, and then takes, for each
line "N" of its input, N steps and prints their JSON.  Between them it gives
back what memory it can, so that others may measure.  While it compiles, others
use the GPU, too: it takes no more than WARM_PART of the memory, and where a
step wants more, the steps before the timed ones are the first.

Needs torch, torchvision (with pillow), numpy, regex and tqdm beside open_clip;
ftfy is stood in for, as nothing is tokenised here.  PEER_SITE names a folder
where they, or some of them, are; without it a run on the processor continues in
the environment of tools/peers.py.  Exits 77 where something is missing.
"""
import importlib.util
import json
import math
import os
import sys
import time
import types

import peers

WARM_PART = 0.1  # of the GPU's memory
WARM_STEPS = 3


def settings(argv):
    s = {"tokens": 20, "threads": 0, "channels_last": 0, "device": "cpu",
         "compile": 0, "serve": 0}
    for word in argv:
        name, _, value = word.partition("=")
        if name not in s:
            sys.exit(f"{name}: no such option")
        s[name] = value if name == "device" else int(value)
    return s


def find_packages(device):
    """Make `import open_clip, torch` work, or leave."""
    site = os.environ.get("PEER_SITE")
    if site:
        sys.path.insert(0, site)
    elif device == "cpu":
        peers.enter()
    if not importlib.util.find_spec("ftfy"):
        sys.modules["ftfy"] = types.ModuleType("ftfy")
        sys.modules["ftfy"].fix_text = lambda text: text
    for name in ("torch", "open_clip"):
        try:
            importlib.import_module(name)
        except ImportError as e:
            print(f"{name} does not import: {e}", file=sys.stderr)
            sys.exit(peers.SKIPPED)


def decays(name, p):
    return p.ndim >= 2 and not any(w in name for w in
                                   ("bn", "ln", "bias", "logit_scale"))


class Run:
    """A model, its batch and its optimiser."""

    def __init__(self, name, precision, n, s):
        import open_clip
        import torch
        self.torch, self.n, self.s = torch, n, s
        self.no_room = getattr(torch, "OutOfMemoryError",
                               torch.cuda.OutOfMemoryError)
        self.gpu = s["device"] == "cuda"
        self.bf16 = precision == "bf16"
        if s["threads"]:
            torch.set_num_threads(s["threads"])
        if self.gpu:
            torch.backends.cuda.matmul.allow_tf32 = True
            torch.backends.cudnn.allow_tf32 = True
            torch.backends.cudnn.benchmark = True
        torch.manual_seed(1)
        self.model = open_clip.create_model(name, device=s["device"])
        self.model.train()
        if s["channels_last"]:
            self.model = self.model.to(memory_format=torch.channels_last)
        self.make_batch()
        self.optimizer = self.make_optimizer()
        self.loss_of = open_clip.ClipLoss()
        self.run = torch.compile(self.model) if s["compile"] else self.model
        self.why_eager = None if s["compile"] else "not asked for"
        self.loss = None

    def make_batch(self):
        torch, model, n = self.torch, self.model, self.n
        text = model.positional_embedding.shape[0]
        tokens = min(self.s["tokens"], text)
        size = model.visual.image_size
        size = size[0] if isinstance(size, (tuple, list)) else size
        words = model.vocab_size
        ids = torch.zeros(n, text, dtype=torch.long)
        ids[:, 0] = words - 2
        ids[:, 1:tokens - 1] = torch.randint(0, words - 2, (n, tokens - 2))
        ids[:, tokens - 1] = words - 1
        self.ids = ids.to(self.s["device"])
        self.pixels = torch.rand(n, 3, size, size,
                                 device=self.s["device"]) * 4 - 2
        if self.s["channels_last"]:
            self.pixels = self.pixels.contiguous(
                memory_format=torch.channels_last)

    def make_optimizer(self):
        named = list(self.model.named_parameters())
        return self.torch.optim.AdamW(
            [{"params": [p for k, p in named if not decays(k, p)],
              "weight_decay": 0.0},
             {"params": [p for k, p in named if decays(k, p)],
              "weight_decay": 0.2}], lr=5e-7, betas=(0.9, 0.98), eps=1e-6,
            fused=self.gpu)

    def step(self):
        torch = self.torch
        self.optimizer.zero_grad()
        with torch.autocast(self.s["device"], torch.bfloat16,
                            enabled=self.bf16):
            image, text, scale = self.run(self.pixels, self.ids)
            loss = self.loss_of(image, text, scale)
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            self.model.logit_scale.clamp_(0, math.log(100))
        self.loss = loss.detach()

    def warm(self, steps):
        """Steps that are not timed; without the compiler if it fails."""
        for _ in range(steps):
            try:
                self.step()
            except self.no_room:
                raise
            except Exception as e:
                if self.run is self.model:
                    raise
                print(f"torch.compile: {e}", file=sys.stderr)
                self.why_eager = type(e).__name__
                self.run = self.model
                self.step()
        self.settle()

    def settle(self):
        if self.gpu:
            self.torch.cuda.synchronize()

    def yield_memory(self):
        self.optimizer.zero_grad()
        if self.gpu:
            self.torch.cuda.empty_cache()

    def seconds(self, steps):
        """Of each step."""
        if not self.gpu:
            out = []
            for _ in range(steps):
                began = time.perf_counter()
                self.step()
                out.append(time.perf_counter() - began)
            return out
        marks = [self.torch.cuda.Event(enable_timing=True)
                 for _ in range(steps + 1)]
        self.settle()
        marks[0].record()
        for mark in marks[1:]:
            self.step()
            mark.record()
        self.settle()
        return [a.elapsed_time(b) * 1e-3 for a, b in zip(marks, marks[1:])]

    def report(self, name, precision, seconds):
        ordered = sorted(seconds)
        last = len(ordered) - 1
        out = {"model": name, "precision": precision, "batch": self.n,
               "tokens": self.s["tokens"],
               "compiled": self.why_eager is None, "why": self.why_eager,
               "step_s": [round(x, 5) for x in seconds],
               "images_per_s": self.n / ordered[0],
               "images_per_s_median": self.n / ordered[len(ordered) // 2],
               "fast_s": ordered[round(0.1 * last)],
               "slow_s": ordered[round(0.9 * last)],
               "loss": float(self.loss)}
        if self.gpu:
            out["mib"] = self.torch.cuda.max_memory_reserved() >> 20
        return out


def say(**what):
    print(json.dumps(what), flush=True)


def serve(name, precision, n, s):
    gpu = s["device"] == "cuda"
    began = time.monotonic()
    run = Run(name, precision, n, s)
    if gpu:
        run.torch.cuda.set_per_process_memory_fraction(WARM_PART)
    try:
        run.warm(1)
    except run.no_room:
        print("no room to warm up: later", file=sys.stderr)
    run.yield_memory()
    if gpu:
        run.torch.cuda.set_per_process_memory_fraction(1.0)
    say(ready=True, batch=n, seconds=round(time.monotonic() - began, 1),
        torch=run.torch.__version__)
    for line in sys.stdin:
        try:
            run.warm(WARM_STEPS)
            got = run.report(name, precision, run.seconds(int(line)))
        except run.no_room:
            got = {"out_of_memory": n}
        run.yield_memory()
        say(**got)


def main():
    name, precision, n, steps = sys.argv[1:5]
    n, steps, s = int(n), int(steps), settings(sys.argv[5:])
    find_packages(s["device"])
    if s["serve"]:
        serve(name, precision, n, s)
        return
    run = Run(name, precision, n, s)
    run.warm(1)
    say(**run.report(name, precision, run.seconds(steps)))


if __name__ == "__main__":
    main()
