#!/usr/bin/env python3
"""Squares a second as Python makes them: the peer of tests/bench_picture.c.

usage: tools/bench_torchvision.py [-r ROUNDS] JPEG...

One thread's processor time, the best of ROUNDS over all the files.  `pillow`
stops where witmill's square is ready, at bytes; `torchvision` is open_clip's
evaluation as it stands, to the normalised tensor; `torchvision-resized` its
training.  Prints "NAME PICTURES-A-SECOND" lines.
"""
import argparse
import io
import pathlib
import time

import peers


def main():
    peers.enter()
    import torch
    import torchvision.transforms as T
    from PIL import Image

    args = argparse.ArgumentParser()
    args.add_argument("-r", type=int, default=3)
    args.add_argument("files", nargs="+")
    args = args.parse_args()
    torch.set_num_threads(1)
    files = [pathlib.Path(f).read_bytes() for f in args.files]
    bicubic = T.InterpolationMode.BICUBIC
    tail = [T.ToTensor(), T.Normalize((0.48145466, 0.4578275, 0.40821073),
                                      (0.26862954, 0.26130258, 0.27577711))]
    to_rgb = T.Lambda(lambda image: image.convert("RGB"))
    square = T.Compose([T.Resize(224, bicubic), T.CenterCrop(224), to_rgb])
    whole = T.Compose([square] + tail)
    resized = T.Compose([to_rgb, T.RandomResizedCrop(
        224, (0.9, 1.0), interpolation=bicubic)] + tail)

    def opened(data):
        return Image.open(io.BytesIO(data))

    rows = {"pillow": lambda data: square(opened(data)).tobytes(),
            "torchvision": lambda data: whole(opened(data)),
            "torchvision-resized": lambda data: resized(opened(data))}
    best = {}
    for _ in range(args.r):
        for name, make in rows.items():
            began = time.process_time()
            for data in files:
                make(data)
            took = time.process_time() - began
            best[name] = min(took, best.get(name, took))
    for name, took in best.items():
        print(f"{name} {len(files) / took:.1f}")


main()
