#!/usr/bin/env python3
"""Makes train/clean_garbled.inc: the code points of the single-byte sets that
UTF-8 is most often misread in, with their byte in each, from Python's codecs.

usage: tools/gen_garbled.py > train/clean_garbled.inc
"""
SETS = ["cp1252", "cp1251", "cp1250", "cp1253", "cp1254", "cp1257",
        "iso-8859-2", "mac-roman", "cp437"]


def main():
    rows = {}
    for place, name in enumerate(SETS):
        for byte in range(0x80, 0x100):
            try:
                cp = ord(bytes([byte]).decode(name))
            except UnicodeDecodeError:
                cp = byte  # what a set lacks stands for itself
            rows.setdefault(cp, [0] * len(SETS))[place] = byte
    print("/* Made by tools/gen_garbled.py from Python's codecs: "
          + ", ".join(SETS) + ". */")
    for cp in sorted(rows):
        print(f"{{{cp:#x}, {{{', '.join(f'{b:#x}' for b in rows[cp])}}}}},")


main()
