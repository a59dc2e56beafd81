"""Tars of small PNGs whose captions name their colours: shards that a tiny
model learns in seconds."""
import io
import json
import random
import struct
import tarfile
import zlib

NAMES = ["black", "blue", "green", "cyan", "red", "pink", "yellow", "white"]
VOCABULARY = "#witmill-vocabulary 1 514\n"  # bytes, and nothing merged


def png(colours, side=24):
    """Two halves, each of a colour of three bits."""
    rows = b""
    for _ in range(side):
        row = b"\0"
        for x in range(side):
            bits = colours[2 * x // side]
            row += bytes(200 * (bits >> c & 1) + random.randrange(40)
                         for c in (2, 1, 0))
        rows += row

    def chunk(name, data):
        whole = name + data
        return struct.pack(">I", len(data)) + whole + \
            struct.pack(">I", zlib.crc32(whole))
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + \
        chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


def add(tar, name, data):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def make(folder, samples=96, each=24, broken=(), label=None):
    """samples in tars of `each`; those in broken are cut short.  label: of
    (left, right), a number for a .cls."""
    folder.mkdir(parents=True)
    for first in range(0, samples, each):
        with tarfile.open(folder / f"{first // each:05}.tar", "w") as tar:
            for i in range(first, min(first + each, samples)):
                two = (i % 8, i // 8 % 8)
                picture = png(two)
                text = f"{NAMES[two[0]]} {NAMES[two[1]]}"
                add(tar, f"{i:06}.png", picture[:60] if i in broken
                    else picture)
                add(tar, f"{i:06}.json",
                    json.dumps({"alt": [text, text]}).encode())
                add(tar, f"{i:06}.txt", text.encode())
                if label:
                    add(tar, f"{i:06}.cls", str(label(two)).encode())
