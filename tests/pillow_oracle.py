#!/usr/bin/env python3
"""What Pillow makes of pictures, for tests/test_image.c to compare with.

  pillow_oracle.py probe                   exit 0 if Pillow is here, else 77
  pillow_oracle.py decode TAR              "NAME WIDTH HEIGHT\\n" and RGB bytes
  pillow_oracle.py resize FILTER W H W2 H2 RGB bytes of the LCG picture reduced

Animations give the first frame, alpha is composited on white; what Pillow does
not read, or what is not 8 bits a channel there, is left out.
"""
import io
import sys
import tarfile

try:
    from PIL import Image
except ImportError:
    sys.exit(77)


def lcg_picture(width, height):
    """The same pseudo-random picture as lcg_picture() in test_image.c."""
    state, out = 12345, bytearray()
    for _ in range(width * height * 3):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        out.append(state >> 16 & 255)
    return Image.frombytes("RGB", (width, height), bytes(out))


def to_rgb(image):
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        return None
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def decode(tar):
    out = sys.stdout.buffer
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
                out.write(b"%s %d %d\n" % ((member.name.encode(),) + rgb.size))
                out.write(rgb.tobytes())


def main(args):
    if args[0] == "decode":
        decode(args[1])
    elif args[0] == "resize":
        width, height, to_width, to_height = map(int, args[2:])
        resized = lcg_picture(width, height).resize(
            (to_width, to_height), getattr(Image, args[1].upper()))
        sys.stdout.buffer.write(resized.tobytes())


main(sys.argv[1:])
