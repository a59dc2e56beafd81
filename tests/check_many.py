#!/usr/bin/env python3
"""Two pictures with thousands of texts each: no stage's time grows with their
square, and each sample's json stays within 256 KiB and says how many texts
there are."""
import json
import os
import pathlib
import sys
import tarfile

import chain

TEXTS, JSON_MAX = 6000, 256 << 10
LIMIT_S = 75  # the run takes a few seconds; with a square in it, minutes


def write_list(folder):
    rows = []
    for picture in ("p007.jpg", "p003.jpg"):
        for i in range(TEXTS):
            words = " ".join(f"w{i * 7919 % 9973}x{k}\\\"é" for k in range(9))
            rows.append(f"http://a.test/{picture}\ta dog number {i} {words}")
    path = folder / "many.tsv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def check(corpus):
    cut = 0
    for shard in chain.parts(corpus, "shards/*.tar"):
        with tarfile.open(shard) as tar:
            for member in tar:
                if not member.name.endswith(".json"):
                    continue
                data = tar.extractfile(member).read()
                meta = json.loads(data)
                order = [(t["s"], t["uid"]) for t in meta["texts"]]
                if len(data) > JSON_MAX or order != sorted(order) or \
                        meta["texts_total"] < len(order):
                    sys.exit(f"{shard}: {member.name}: {len(data)} bytes, "
                             f"{len(order)} of {meta['texts_total']} texts")
                if meta["texts_total"] < TEXTS:
                    continue
                cut += len(order) < meta["texts_total"]
                # The next text would not have fitted.
                if len(data) < JSON_MAX - 5000:
                    sys.exit(f"{member.name}: only {len(data)} bytes")
    if cut != 2:
        sys.exit(f"{cut} of 2 samples have more texts than their json")
    print(f"2 samples of over {TEXTS} texts, cut at 256 KiB")


def main():
    folder = pathlib.Path(os.environ.get("TMPDIR", "/tmp")) / "many"
    folder.mkdir(parents=True, exist_ok=True)
    corpus = folder / "corpus"
    with chain.Site(folder, 8) as site:
        ini = site.ini("many.ini", {"import l": {"links": write_list(folder)},
                                    "balance": {"cap": 20000}})
        chain.stage("run", corpus, ini, timeout=LIMIT_S)
    check(corpus)


if __name__ == "__main__":
    main()
