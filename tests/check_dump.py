#!/usr/bin/env python3
"""Pages of real dumps, as tests/dump_pages.c prints them, against Python's own
XML parser: number, namespace, id, title, redirect, sha256 of the text.  Skipped
without ../shared (WITMILL_SHARED).

usage: BUILD=build/gcc tests/check_dump.py
"""
import bz2
import hashlib
import os
import pathlib
import subprocess
import sys
import xml.etree.ElementTree as tree

SIZES = [[], ["4099", "10"]]  # of reads and blocks; as in earnest, and small


def pages(file):
    number = 0
    for _, element in tree.iterparse(file):
        space, _, tag = element.tag.rpartition("}")
        if tag != "page":
            continue
        number += 1
        space += "}"
        revision = element.findall(space + "revision")[-1]
        text = revision.findtext(space + "text") or ""
        redirect = element.find(space + "redirect")
        target = "" if redirect is None else redirect.get("title", "")
        yield (f"{number}\t{element.findtext(space + 'ns')}\t"
               f"{element.findtext(space + 'id')}\tnone\t"
               f"{hashlib.sha256(text.encode()).hexdigest()}\t"
               f"{element.findtext(space + 'title')}\t{target}\n")
        element.clear()


def main():
    build = pathlib.Path(os.environ.get("BUILD", "build/gcc"))
    here = pathlib.Path(__file__).resolve().parent
    shared = pathlib.Path(os.environ.get("WITMILL_SHARED",
                                         here.parent.parent / "shared"))
    files = sorted((shared / "data" / "wiki").glob("*.xml.bz2"))
    if not files:
        print("skipped: no dumps in", shared / "data" / "wiki")
        return 0
    wrong = 0
    for path in files:
        with bz2.open(path) as file:
            want = "".join(pages(file))
        for sizes in SIZES:
            got = subprocess.run([build / "dump_pages", path, *sizes],
                                 check=True, capture_output=True,
                                 text=True, encoding="utf-8").stdout
            if got == want:
                continue
            wrong += 1
            pairs = zip(got.splitlines(), want.splitlines())
            first = next(((g, w) for g, w in pairs if g != w), None)
            print(f"{path.name} {sizes}: first difference {first}")
        print(f"{path.name}: {want.count(chr(10))} pages")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
