#!/usr/bin/env python3
"""make bench BENCH=picture: squares for the models, a second, beside decoding
alone and beside Pillow and torchvision.

usage: tools/bench_picture.py BUILD [JPEG...]

Without files: pictures of ../shared/data with a shorter side of 512 to 999
pixels, and of 1000 and more; where there are none, smooth noise made by
python3-pil.  All rows of a table are of one run: ours and the peers' take
turns, the best round of each counts, in processor time of one thread.
"""
import io
import os
import pathlib
import random
import subprocess
import sys
import tarfile
import tempfile

import peers

HERE = pathlib.Path(__file__).parent
FILES_MAX = 12  # of a table
TURNS, ROUNDS = 2, 4
SUITES = ("captions/*.tar", "sites/*.t*")


def sides(data):
    """Width and height of a JPEG, by its frame header."""
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        marker, size = data[at + 1], data[at + 2] << 8 | data[at + 3]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return (data[at + 7] << 8 | data[at + 8],
                    data[at + 5] << 8 | data[at + 6])
        at += 2 + size
    return 0, 0


def shared():
    root = pathlib.Path(os.environ.get("WITMILL_SHARED", "../shared"))
    for suite in SUITES:
        for path in sorted((root / "data").glob(suite)):
            with tarfile.open(path) as tar:
                for member in tar:
                    if member.isfile() and member.size > 10000:
                        data = tar.extractfile(member).read()
                        if data[:3] == b"\xff\xd8\xff":
                            yield data


def made(width, height, seed):
    try:
        from PIL import Image
    except ImportError:
        sys.exit("no pictures: neither ../shared/data nor python3-pil")
    rng, out = random.Random(seed), io.BytesIO()
    small = Image.frombytes("RGB", (width // 6, height // 6),
                            rng.randbytes(width // 6 * (height // 6) * 3))
    small.resize((width, height), Image.BICUBIC).save(out, "JPEG", quality=90)
    return out.getvalue()


def chosen(folder):
    """Lists of files: 512 to 999 pixels, 1000 and more."""
    lists = ([], [])
    for data in shared():
        shorter = min(sides(data))
        if shorter >= 512:
            lists[shorter >= 1000].append(data)
    for k, (width, height) in enumerate(((800, 600), (1600, 1200))):
        if len(lists[k]) < 3:
            lists[k].extend(made(width, height, s) for s in range(6))
    names = []
    for k, pictures in enumerate(lists):
        step = max(1, len(pictures) // FILES_MAX)
        names.append([])
        for i, data in enumerate(pictures[::step][:FILES_MAX]):
            path = folder / f"{k}-{i}.jpg"
            path.write_bytes(data)
            names[k].append(path)
    return names


def rates(command):
    """{name: pictures a second}; empty where the peer is not to be had."""
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE,
                          text=True)
    if done.returncode == 77:
        return {}
    if done.returncode:
        sys.exit(f"{command[0]} failed ({done.returncode})")
    return {line.split()[0]: float(line.split()[1])
            for line in done.stdout.splitlines()}


def peer():
    """The peers' interpreter, without asking again whether it works."""
    python = peers.interpreter()
    if python.exists():
        os.environ["WITMILL_IN_PEERS"] = "1"
        return [python, HERE / "bench_torchvision.py"]
    return [sys.executable, HERE / "bench_torchvision.py"]


def table(build, title, files):
    best = {}
    for _ in range(TURNS):
        for command in ([build / "bench_picture", "-r", ROUNDS],
                        peer() + ["-r", ROUNDS]):
            for name, rate in rates(command + list(files)).items():
                best[name] = max(rate, best.get(name, 0))
    bare = best["libjpeg-turbo"]
    print(f"{title}: {len(files)} files")
    print(f"  {'':20} {'pictures/s':>10} {'of bare':>8} {'of its peer':>12}")
    for name, rate in best.items():
        theirs = best.get("torchvision-resized" if "resized" in name
                          else "torchvision")
        print(f"  {name:20} {rate:10.1f} {rate / bare:8.2f} " +
              (f"{rate / theirs:12.2f}" if theirs else f"{'-':>12}"))


def main():
    build = pathlib.Path(sys.argv[1])
    if sys.argv[2:]:
        table(build, "named", sys.argv[2:])
        return
    with tempfile.TemporaryDirectory() as folder:
        titles = ("512 to 999 pixels", "1000 pixels and more")
        for title, files in zip(titles, chosen(pathlib.Path(folder))):
            table(build, title, files)
            sys.stdout.flush()


main()
