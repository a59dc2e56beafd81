#!/usr/bin/env python3
"""Training steps of open_clip on generated pairs, timed: the peer of
tests/train_bench.c, started by tools/bench_train.py.

usage: tools/bench_open_clip.py MODEL fp32|bf16 BATCH STEPS [tokens=N]
       [threads=N] [channels_last=0|1]

bf16 is torch's autocast, as open_clip's --precision amp_bf16.  A step is
forward, loss, backward, AdamW and clamping the scale; prints one JSON object.
"""
import json
import math
import sys
import time

import peers

peers.enter()

import open_clip  # noqa: E402
import torch  # noqa: E402


def settings(argv):
    s = {"tokens": 20, "threads": 0, "channels_last": 0}
    for word in argv:
        name, _, value = word.partition("=")
        if name not in s:
            sys.exit(f"{name}: no such option")
        s[name] = int(value)
    return s


def decays(name, p):
    return p.ndim >= 2 and not any(w in name for w in
                                   ("bn", "ln", "bias", "logit_scale"))


def batch(model, n, tokens):
    text = model.positional_embedding.shape[0]
    size = model.visual.image_size
    size = size[0] if isinstance(size, (tuple, list)) else size
    words = model.vocab_size
    ids = torch.zeros(n, text, dtype=torch.long)
    ids[:, 0] = words - 2
    ids[:, 1:tokens - 1] = torch.randint(0, words - 2, (n, tokens - 2))
    ids[:, tokens - 1] = words - 1
    return torch.rand(n, 3, size, size) * 4 - 2, ids


def main():
    name, precision, n, steps = sys.argv[1:5]
    n, steps, s = int(n), int(steps), settings(sys.argv[5:])
    if s["threads"]:
        torch.set_num_threads(s["threads"])
    torch.manual_seed(1)
    model = open_clip.create_model(name)
    model.train()
    pixels, ids = batch(model, n, s["tokens"])
    if s["channels_last"]:
        model = model.to(memory_format=torch.channels_last)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
    named = list(model.named_parameters())
    optimizer = torch.optim.AdamW(
        [{"params": [p for k, p in named if not decays(k, p)],
          "weight_decay": 0.0},
         {"params": [p for k, p in named if decays(k, p)],
          "weight_decay": 0.2}], lr=5e-7, betas=(0.9, 0.98), eps=1e-6)
    loss_of = open_clip.ClipLoss()
    seconds, loss = [], None
    for i in range(steps + 1):
        began = time.perf_counter()
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16,
                            enabled=precision == "bf16"):
            image, text, scale = model(pixels, ids)
            loss = loss_of(image, text, scale)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, math.log(100))
        if i:
            seconds.append(time.perf_counter() - began)
    ordered = sorted(seconds)
    print(json.dumps({
        "model": name, "precision": precision, "batch": n,
        "tokens": s["tokens"], "step_s": [round(x, 4) for x in seconds],
        "images_per_s": n / ordered[0],
        "images_per_s_median": n / ordered[len(ordered) // 2],
        "loss": float(loss.detach())}))


if __name__ == "__main__":
    main()
