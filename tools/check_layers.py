#!/usr/bin/env python3
"""The dependency law: which folder may include which, and which file is the
one door to an external library.  Exits 1 with a line per violation."""
import pathlib
import re
import sys

LAW = {
    "base": [],
    "catalog": ["base"],
    "querylist": ["base"],
    "filter": ["base", "querylist"],
    "shards": ["base"],
    "crawler": ["base", "catalog"],
    "train": ["base", "shards"],
}
FREE = ["tools", "tests"]

# header prefix -> files that may include it
DOORS = {
    r"curl/|ares": r"crawler/(fetch|dns)[a-z0-9_]*\.[ch]",
    r"libpsl": r"crawler/[a-z_]+\.c",
    r"libxml/": r"base/markup[a-z0-9_]*\.c",
    r"sqlite3": r"catalog/[a-z_]+\.[ch]",
    r"jpeglib|jerror|turbojpeg|png\.h|webp/|gif_lib|avif/|lcms2":
        r"base/image[a-z0-9_]*\.[ch]",
    r"archive": r"shards/[a-z_]+\.c",
    r"utf8proc": r"base/fold\.c",
    r"cld2/": r"filter/language_cld2\.cc",
    r"xxhash|openssl/": r"base/hash\.c",
    r"zlib|bzlib|zstd|libdeflate": r"(base/(stream|jsonl)|crawler/fetch)[a-z0-9_]*\.[ch]",
    r"seccomp": r"base/jail[a-z0-9_]*\.c",
    r"oneapi/|dnnl": r"train/cpu/products[a-z0-9_]*\.[ch]",
    r"cuda|cublas|cudnn|nccl": r"train/cuda/[a-z_]+\.(c|h|cu|cuh)",
    r"mpi\.h": r"train/[a-z_]+\.c",
}

SOURCES = {".c", ".h", ".cu", ".cuh", ".cc", ".hh"}
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')
MAIN = re.compile(r"^int\s+main\s*\(", re.M)


def check(path, wrong):
    folder = path.parts[0]
    text = path.read_text(encoding="utf-8")
    if folder not in FREE and MAIN.search(text):
        wrong.append(f"{path}: main() stands only in tools/ and tests/")
    for number, line in enumerate(text.splitlines(), 1):
        hit = INCLUDE.match(line)
        if not hit:
            continue
        quoted, name = hit.group(1) == '"', hit.group(2)
        if quoted:
            target = name.split("/")[0]
            if "/" not in name:
                wrong.append(f"{path}:{number}: include {name} by its full "
                             "path from the root")
            elif folder in LAW and target != folder and \
                    target not in LAW[folder]:
                wrong.append(f"{path}:{number}: {folder}/ may not include "
                             f"{target}/")
            continue
        if folder in FREE:
            continue
        for library, door in DOORS.items():
            if re.match(library, name) and not re.fullmatch(door, str(path)):
                wrong.append(f"{path}:{number}: <{name}> has its door at "
                             f"{door}")


def main():
    wrong, files = [], 0
    for folder in list(LAW) + FREE:
        for path in sorted(p for p in pathlib.Path(folder).rglob("*")
                           if p.suffix in SOURCES):
            check(path, wrong)
            files += 1
    for line in wrong:
        print(line)
    print(f"layers: {files} files, {len(wrong)} violations")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
