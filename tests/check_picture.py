#!/usr/bin/env python3
"""Squares of train/picture.h against Pillow's, byte for byte.

usage: tests/check_picture.py [--all] [-v]

Pictures of every mode made here, all of ../shared/data/images that both can
read and every 20th photograph of its other archives (--all: all of them, each
in every way): for evaluation at three sizes as torchvision's Resize, CenterCrop
and convert do it, and for the crops that the two training rules drew, handed to
Pillow as boxes.
What one of the two refuses is counted, with -v named.  Skipped without
python3-pil; without ../shared only the pictures made here are compared.
"""
import collections
import io
import itertools
import os
import pathlib
import random
import struct
import subprocess
import sys
import tarfile
import warnings
import zlib

import debian

debian.need("PIL", "python3-pil")
from PIL import Image  # noqa: E402

MAGIC = 0x63697077
EVAL, SQUARE, RESIZED = range(3)
ASKED = ((EVAL, 224), (EVAL, 288), (SQUARE, 224), (EVAL, 336), (RESIZED, 224))
PIXELS_MAX = 4_000_000  # of one picture: the check has ten seconds
REPLY = struct.Struct("<8I4Q")
SUITES = ("images/*.tar",)
PHOTOGRAPHS = ("captions/*.tar", "classify/*.tar", "shards/*.t*", "sites/*.t*")
EVERY = 20


def members_of(pattern):
    """Every file of the archives; pictures say so by their first bytes."""
    shared = pathlib.Path(os.environ.get("WITMILL_SHARED", "../shared"))
    for path in sorted((shared / "data").glob(pattern)):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.isfile():
                    yield (f"{path.name}:{member.name}",
                           tar.extractfile(member).read())


# ---- pictures of our own ----

def png(width, height, depth, colour, rows, chunks=()):
    def chunk(name, data):
        whole = name + data
        return (struct.pack(">I", len(data)) + whole +
                struct.pack(">I", zlib.crc32(whole)))
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) +
            b"".join(chunk(n, d) for n, d in chunks) +
            chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))


def dark(rng, width):
    """Numbers of 16 bits, all under 512."""
    row = bytearray(rng.randbytes(2 * width))
    row[::2] = bytes(b & 1 for b in row[::2])
    return bytes(row)


def pngs(rng):
    """Every depth and colour type, with and without transparency."""
    for (depth, colour, channels), size in itertools.product(
            ((1, 0, 1), (2, 0, 1), (4, 0, 1), (8, 0, 1), (16, 0, 1), (8, 2, 3),
             (16, 2, 3), (1, 3, 1), (2, 3, 1), (4, 3, 1), (8, 3, 1), (8, 4, 2),
             (16, 4, 2), (8, 6, 4), (16, 6, 4)),
            ((61, 40), (300, 271), (1, 1), (3, 50), (224, 224), (224, 230))):
        width, height = size
        row = (width * depth * channels + 7) // 8
        rows = b"".join(b"\0" + rng.randbytes(row) for _ in range(height))
        if depth == 16 and colour == 0:  # what is over 255 is all white
            rows = b"".join(b"\0" + dark(rng, width) for _ in range(height))
        palette = [(b"PLTE", rng.randbytes(3 << depth))] if colour == 3 else []
        clear = {0: b"\0\1", 2: b"\0\1\0\2\0\3", 3: b"\0\x80"}.get(colour)
        name = f"made:{depth}-{colour}-{width}x{height}.png"
        yield name, png(width, height, depth, colour, rows, palette)
        if clear:
            yield name + "+tRNS", png(width, height, depth, colour, rows,
                                      palette + [(b"tRNS", clear)])


def saved(rng):
    """What Pillow itself writes."""
    def noise(mode, width, height):
        n = len(Image.new(mode, (1, 1)).tobytes())
        small = Image.frombytes(mode, (width // 4 + 1, height // 4 + 1),
                                rng.randbytes((width // 4 + 1) *
                                              (height // 4 + 1) * n))
        return small.resize((width, height), Image.BICUBIC)
    grey = Image.frombytes("L", (90, 70), rng.randbytes(6300))
    for size in ((640, 427), (97, 301), (224, 224), (17, 5), (1500, 40)):
        for form, mode, options in (
                ("JPEG", "RGB", {}), ("JPEG", "L", {}), ("JPEG", "CMYK", {}),
                ("JPEG", "RGB", {"subsampling": 0}),
                ("JPEG", "RGB", {"subsampling": 1, "progressive": True}),
                ("WEBP", "RGB", {}), ("WEBP", "RGBA", {}),
                ("WEBP", "RGBA", {"lossless": True, "exact": True}),
                ("GIF", "RGB", {})):
            out = io.BytesIO()
            noise(mode, *size).save(out, form, **options)
            yield f"made:{form}-{mode}-{size}-{options}", out.getvalue()
    for options in ({}, {"transparency": 3}, {"interlace": 1}):
        out = io.BytesIO()
        grey.save(out, "GIF", **options)
        yield f"made:grey-{options}.gif", out.getvalue()


# ---- the two sides ----

def resized_whole(image, size):
    """torchvision's Resize(size, BICUBIC) for one number."""
    width, height = image.size
    short, long = min(width, height), max(width, height)
    other = int(size * long / short)
    to = (size, other) if width <= height else (other, size)
    return image.resize(to, Image.BICUBIC)


def wanted(image, rule, size, plan):
    """Pillow's square, given what was drawn; plan as in train/picture.h."""
    x, y, width, height, to_width, to_height, to_x, to_y = plan
    if rule == RESIZED:
        image = image.convert("RGB").crop((x, y, x + width, y + height))
        return image.resize((size, size), Image.BICUBIC).tobytes()
    image = resized_whole(image, size)
    if rule == EVAL:  # CenterCrop: round() takes halves to the even side
        to_x = int(round((image.size[0] - size) / 2.0))
        to_y = int(round((image.size[1] - size) / 2.0))
    return image.crop((to_x, to_y, to_x + size, to_y + size)) \
                .convert("RGB").tobytes()


def plan_is_possible(rule, size, width, height, plan):
    x, y, part_width, part_height, to_width, to_height, to_x, to_y = plan
    if rule == RESIZED:
        return (x + part_width <= width and y + part_height <= height and
                (to_width, to_height, to_x, to_y) == (size, size, 0, 0))
    return ((x, y, part_width, part_height) == (0, 0, width, height) and
            to_x + size <= to_width and to_y + size <= to_height and
            min(to_width, to_height) == size)


class Ours:
    """make_pictures, asked one picture after the other."""

    def __init__(self):
        self.process = subprocess.Popen(
            [os.environ.get("BUILD", "build/gcc") + "/make_pictures"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, data, rule, size, draw, fast=0):
        # It reads all of a request before it answers: no pipe can fill up.
        self.process.stdin.write(
            struct.pack("<4IQI", MAGIC, size, rule, fast, draw, len(data)) +
            data)
        self.process.stdin.flush()
        head = self.process.stdout.read(REPLY.size)
        if len(head) != REPLY.size:
            raise RuntimeError("make_pictures has ended")
        reason, _, width, height, *plan = REPLY.unpack(head)
        pixels = b"" if reason else self.process.stdout.read(size * size * 3)
        return reason, width, height, plan, pixels

    def close(self):
        self.process.stdin.close()
        return self.process.wait()


def looks_like_picture(data):
    return data[:4] in (b"GIF8", b"\x89PNG", b"RIFF") or \
        data[:3] == b"\xff\xd8\xff"


class Tally:
    def __init__(self):
        self.compared = collections.Counter()
        self.seen = collections.Counter()
        self.refused = {"ours": [], "pillow": []}
        self.differ = []


def compare(ours, name, data, tally, draw):
    try:
        image = Image.open(io.BytesIO(data))
        if image.size[0] * image.size[1] > PIXELS_MAX:
            return
        image.load()
        mode = f"{image.format} {image.mode}"
    except Exception:  # whatever Pillow raises on a broken file
        mode = None
    # the first and two of the others, in turns
    asked = ASKED if "--all" in sys.argv else \
        (ASKED[0],) + ASKED[1:3] if draw % 2 else (ASKED[0],) + ASKED[3:]
    for rule, size in asked:
        reason, width, height, plan, pixels = ours.ask(data, rule, size, draw)
        if mode is None or reason:
            if mode or not reason:
                tally.refused["ours" if reason else "pillow"].append(
                    f"{name} {mode or ''}")
            return
        if not plan_is_possible(rule, size, width, height, plan):
            tally.differ.append(f"{name}: impossible plan {plan}")
        if max(plan[4:6]) > 20 * size:
            continue  # gigabytes in Pillow
        try:
            want = wanted(image, rule, size, plan)
        except MemoryError:
            continue
        tally.compared[rule, size] += 1
        if pixels != want:
            off = sum(a != b for a, b in zip(pixels, want))
            tally.differ.append(f"{name} {mode} {width}x{height}: rule {rule} "
                                f"size {size}: {off} bytes differ")
    tally.seen[mode] += 1


def main():
    warnings.simplefilter("ignore")
    rng = random.Random(5)
    ours, tally = Ours(), Tally()
    shared = 0
    for name, data in itertools.chain(pngs(rng), saved(rng)):
        compare(ours, name, data, tally, rng.getrandbits(64))
    for suite in SUITES + PHOTOGRAPHS:
        every = 1 if suite in SUITES or "--all" in sys.argv else EVERY
        for name, data in itertools.islice(members_of(suite), 0, None, every):
            if looks_like_picture(data):
                shared += 1
                compare(ours, name, data, tally, rng.getrandbits(64))
    code = ours.close()
    for mode, n in sorted(tally.seen.items()):
        print(f"{n:5} {mode}")
    for who, names in tally.refused.items():
        print(f"{len(names)} refused by {who} alone")
        for name in names if "-v" in sys.argv else ():
            print(f"    {name}")
    for line in tally.differ:
        print(line)
    squares = sum(tally.compared.values())
    print(f"{squares} squares of {sum(tally.seen.values())} pictures compared, "
          f"{shared} files of ../shared read, {len(tally.differ)} differ")
    if not shared:
        print("skipped: no pictures of ../shared")
    return 1 if tally.differ or code or squares < 500 else 0


sys.exit(main())
