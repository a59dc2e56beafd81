#!/usr/bin/env python3
"""What Pillow makes of pictures, for tests of base/image to compare with.

  oracle_image.py decode TAR   pairs "NAME WIDTH HEIGHT", RGB bytes
  oracle_image.py resize       pairs "FILTER W H W2 H2", RGB bytes of the LCG
                               picture of W x H, resized to W2 x H2

Records are a 32-bit little-endian length and that many bytes.  Animations give
the first frame, alpha is composited on white; what Pillow does not read, or does
not keep in 8 bits a channel, is left out.  Without Pillow: nothing, exit 77.
"""
import io
import struct
import sys
import tarfile
import warnings

try:
    from PIL import Image
except ImportError:
    sys.exit(77)

FILTERS = ("box", "bilinear", "bicubic", "lanczos")
SIZES = (
    (64, 48, 64, 48), (64, 48, 32, 24), (64, 48, 31, 17), (64, 48, 64, 7),
    (64, 48, 5, 48), (97, 61, 20, 60), (100, 75, 224, 168), (7, 5, 50, 60),
    (1, 1, 3, 2), (3, 200, 1, 1), (640, 427, 336, 224), (333, 500, 224, 336),
)


def put(*records):
    for record in records:
        sys.stdout.buffer.write(struct.pack("<I", len(record)) + record)


def lcg_picture(width, height):
    """The same pseudo-random picture as lcg_picture() in the C tests."""
    state, out = 12345, bytearray()
    for _ in range(width * height * 3):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        out.append(state >> 16 & 255)
    return Image.frombytes("RGB", (width, height), bytes(out))


def resize():
    for width, height, to_width, to_height in SIZES:
        picture = lcg_picture(width, height)
        for name in FILTERS:
            resized = picture.resize((to_width, to_height),
                                     getattr(Image, name.upper()))
            put(b"%s %d %d %d %d" % (name.encode(), width, height, to_width,
                                     to_height), resized.tobytes())


def to_rgb(image):
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        return None
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def decode(tar):
    with tarfile.open(tar) as members:
        for member in members:
            if not member.isfile():
                continue
            try:
                data = members.extractfile(member).read()
                rgb = to_rgb(Image.open(io.BytesIO(data)))
            except Exception:  # whatever Pillow raises on a broken file
                continue
            if rgb:
                put(b"%s %d %d" % ((member.name.encode(),) + rgb.size),
                    rgb.tobytes())


warnings.simplefilter("ignore")
if sys.argv[1] == "decode":
    decode(sys.argv[2])
else:
    resize()
