#!/usr/bin/env python3
"""Our tokenizer beside open_clip's SimpleTokenizer, one thread each.

usage: tools/bench_tokenizer.py BUILD

The texts are the alt texts of ../shared/data.  Each side reads all of them
once, which fills its cache of words, then in turns; CPU seconds of a round,
the median of ROUNDS.
"""
import gzip
import os
import pathlib
import statistics
import struct
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import peers  # noqa: E402

ROUNDS = 5
SHARED = pathlib.Path(os.environ.get("WITMILL_SHARED", "../shared"))
VOCABULARY = SHARED / "data/clip/bpe_simple_vocab_16e6.txt.gz"
TEXTS = SHARED / "data/alt-text/laion400m-url-text.tsv.gz"


def seconds_of_ours(program, data):
    """Of a round when the cache is warm: the least of the later ones."""
    done = subprocess.run([program, VOCABULARY, "open_clip", "21"],
                          input=data, stdout=subprocess.PIPE, check=True)
    return statistics.median(map(float, done.stdout.split()[1:]))


def main():
    build = pathlib.Path(sys.argv[1])
    if not TEXTS.exists():
        print(f"tokenizer: skipped, no {TEXTS}")
        return
    if not os.environ.get("WITMILL_IN_PEERS") and \
            not peers.works(peers.interpreter()):
        print("tokenizer: skipped, no build/peers/venv (tools/peers.py)")
        return
    peers.enter()
    from open_clip.tokenizer import SimpleTokenizer
    with gzip.open(TEXTS, "rt", encoding="utf-8") as lines:
        texts = [line.rstrip("\n").split("\t", 1)[1] for line in lines]
    raws = [text.encode() for text in texts]
    data = b"".join(struct.pack("<I", len(raw)) + raw for raw in raws)
    theirs = SimpleTokenizer(str(VOCABULARY))
    for text in texts:
        theirs.encode(text)
    rows = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for text in texts:
            theirs.encode(text)
        rows.append((time.process_time() - began,
                     seconds_of_ours(build / "tokenize_records", data)))
    python, ours = (statistics.median(column) for column in zip(*rows))
    ratio = statistics.median(p / o for p, o in rows)
    print(f"tokenizer: {len(texts):,} alt texts, {len(data):,} bytes, one "
          "thread, CPU seconds of a round")
    print(f"  open_clip's {python:.4f} ({len(texts) / python:,.0f} texts/s), "
          f"ours {ours:.4f} ({len(texts) / ours:,.0f} texts/s): "
          f"{ratio:.0f} times")


if __name__ == "__main__":
    main()
