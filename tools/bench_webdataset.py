#!/usr/bin/env python3
"""What open_clip loads with - webdataset, Pillow, torchvision, its tokenizer in
torch's DataLoader - timed on shards: the peer of tests/loader_bench.c, started
by tools/bench_loader.py.

usage: tools/bench_webdataset.py DATA VOCABULARY WORKERS BATCHES
       tools/bench_webdataset.py --make FOLDER TAR...

A square of 224 pixels at random from the picture resized to that side, to a
tensor, normalised; batches of 64.  Prints one JSON object.  With --make it
writes shards of 512-pixel JPEGs from the pictures of the tars instead.
"""
import io
import json
import os
import pathlib
import sys
import tarfile
import time

import peers

peers.enter()

try:
    import webdataset
except ImportError:
    why = peers.make(peers.interpreter())
    try:
        import webdataset
    except ImportError:
        print(f"skipped: no webdataset: {why}", file=sys.stderr)
        sys.exit(peers.SKIPPED)

import open_clip  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402
from torchvision import transforms  # noqa: E402

BATCH, SIZE, WARM = 64, 224, 2
SAMPLES, EACH, SIDE = 768, 128, 512
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


def pictures(tars):
    for path in tars:
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith((".jpg", ".jpeg")):
                    yield tar.extractfile(member).read()


def make(folder, tars):
    """The shorter side 512, quality 95, as `witmill pack` stores them."""
    folder.mkdir(parents=True, exist_ok=True)
    stored = []
    for data in pictures(tars):
        picture = Image.open(io.BytesIO(data)).convert("RGB")
        by = SIDE / min(picture.size)
        picture = picture.resize([round(x * by) for x in picture.size],
                                 Image.BICUBIC)
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=95, optimize=True)
        stored.append(out.getvalue())
        if len(stored) == SAMPLES:
            break
    for k in range(SAMPLES // EACH):
        with tarfile.open(folder / f"{k:05}.tar", "w") as tar:
            for i in range(k * EACH, (k + 1) * EACH):
                text = f"a photo of number {i}, two dogs on a meadow".encode()
                for ext, data in (("jpg", stored[i % len(stored)]),
                                  ("txt", text)):
                    info = tarfile.TarInfo(f"{i:08}.{ext}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))


def one_thread(_):
    torch.set_num_threads(1)


def processor(pids):
    """Seconds of processor time that these processes have had."""
    ticks = 0
    for pid in pids:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
        ticks += sum(map(int, stat.rsplit(")", 1)[1].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(data, workers, batches):
    prepare = transforms.Compose([
        transforms.Resize(SIZE, transforms.InterpolationMode.BICUBIC),
        transforms.RandomCrop(SIZE), transforms.ToTensor(),
        transforms.Normalize(MEAN, STD)])
    tokenizer = open_clip.tokenizer.SimpleTokenizer()
    tars = sorted(map(str, pathlib.Path(data).glob("*.tar")))
    dataset = webdataset.WebDataset(
        tars, resampled=True, shardshuffle=False,
        nodesplitter=webdataset.split_by_node, empty_check=False
    ).shuffle(500).decode("pilrgb").rename(
        image="jpg", text="txt").map_dict(
        image=prepare, text=lambda t: tokenizer(t)[0]).to_tuple(
        "image", "text").batched(BATCH, partial=False)
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=None, num_workers=workers,
        worker_init_fn=one_thread, prefetch_factor=2)
    got = iter(loader)
    for _ in range(WARM * workers):
        next(got)
    pids = [os.getpid()] + [w.pid for w in got._workers]
    began, before = time.monotonic(), processor(pids)
    for _ in range(batches):
        next(got)
    took, used = time.monotonic() - began, processor(pids) - before
    return {"images_per_s": batches * BATCH / took,
            "cpu_ms": 1000 * used / (batches * BATCH)}


def main():
    if sys.argv[1] == "--make":
        make(pathlib.Path(sys.argv[2]), sys.argv[3:])
        return
    data, _, workers, batches = sys.argv[1:]
    torch.set_num_threads(1)
    print(json.dumps(measure(data, int(workers), int(batches))))


main()
