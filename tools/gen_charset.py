#!/usr/bin/env python3
"""Write base/charset_tables.inc: the upper halves of the single-byte encodings
of the Encoding Standard, from Python's codecs and the standard's differences
(unassigned C1 bytes of windows-* are themselves; four letters elsewhere).

usage: tools/gen_charset.py > base/charset_tables.inc
"""

TABLES = [
    ("ibm866", "cp866"), ("iso-8859-2", None), ("iso-8859-3", None),
    ("iso-8859-4", None), ("iso-8859-5", None), ("iso-8859-6", None),
    ("iso-8859-7", None), ("iso-8859-8", None), ("iso-8859-10", None),
    ("iso-8859-13", None), ("iso-8859-14", None), ("iso-8859-15", None),
    ("iso-8859-16", None), ("koi8-r", None), ("koi8-u", None),
    ("macintosh", "mac_roman"), ("windows-874", "cp874"),
    ("windows-1250", None), ("windows-1251", None), ("windows-1252", None),
    ("windows-1253", None), ("windows-1254", None), ("windows-1255", None),
    ("windows-1256", None), ("windows-1257", None), ("windows-1258", None),
    ("x-mac-cyrillic", "mac_cyrillic"),
]
OTHERWISE = {
    ("koi8-u", 0xae): 0x045e, ("koi8-u", 0xbe): 0x040e,
    ("windows-1255", 0xca): 0x05ba,
    ("x-mac-cyrillic", 0xa2): 0x0490, ("x-mac-cyrillic", 0xb6): 0x0491,
    ("x-mac-cyrillic", 0xff): 0x20ac, ("macintosh", 0xdb): 0x20ac,
}


def point(name, codec, byte):
    if (name, byte) in OTHERWISE:
        return OTHERWISE[name, byte]
    try:
        return ord(bytes([byte]).decode(codec or name))
    except UnicodeDecodeError:
        return byte if name.startswith("windows") and byte < 0xa0 else 0


def main():
    print("/* Made by tools/gen_charset.py: code points of bytes 0x80 to 0xff,"
          " 0 for none. */")
    for name, codec in TABLES:
        ident = name.replace("-", "_")
        print("static const uint16_t table_%s[128] = {" % ident)
        cells = ["0x%x," % point(name, codec, b) for b in range(0x80, 0x100)]
        line = "   "
        for cell in cells:
            if len(line) + 1 + len(cell) > 79:
                print(line)
                line = "   "
            line += " " + cell
        print(line)
        print("};")


if __name__ == "__main__":
    main()
