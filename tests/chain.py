"""What the scripts about whole corpora share: running stages, reading parts,
hashing outputs."""
import hashlib
import json
import os
import pathlib
import sqlite3
import subprocess
import sys

BUILD = pathlib.Path(os.environ.get("BUILD", "build/gcc"))
WITMILL = os.environ.get("WITMILL", str(BUILD / "witmill"))
HERE = pathlib.Path(__file__).resolve().parent


def stage(*args, code=0, **kwargs):
    """Run a command; anything but the exit code expected ends the test."""
    run = subprocess.run([WITMILL, *map(str, args)], capture_output=True,
                         text=True, **kwargs)
    if code is not None and run.returncode != code:
        sys.exit(f"witmill {' '.join(map(str, args))}: exit code "
                 f"{run.returncode}, expected {code}\n{run.stdout}"
                 f"{run.stderr}")
    return run


def records(*paths):
    out = subprocess.run([str(BUILD / "jsonl_cat"), *map(str, paths)],
                         check=True, capture_output=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def parts(corpus, pattern):
    return sorted(pathlib.Path(corpus).glob(pattern))


def queries(corpus):
    """(id, text, norm, group) of the list."""
    db = sqlite3.connect(f"file:{corpus}/corpus.db?mode=ro", uri=True)
    rows = db.execute("SELECT id, text, norm, group_id FROM query "
                      "ORDER BY id").fetchall()
    db.close()
    return rows


def content_hashes(corpus):
    """sha256 of what has to be the same bytes: unique/, selected/, image tars
    and shards (.zst uncompressed)."""
    corpus = pathlib.Path(corpus)
    out = {}
    for pattern in ("unique/*.jsonl.zst", "unique/*.counts",
                    "unique/counts.bin", "selected/*/*.jsonl.zst",
                    "images/*.tar", "survivors/*.jsonl.zst", "shards/*.tar",
                    "shards/*.idx", "shards/*_stats.json",
                    "shards/sizes.json", "shards/counts.tsv"):
        for path in corpus.glob(pattern):
            if path.suffix == ".zst":
                data = subprocess.run([str(BUILD / "jsonl_cat"), str(path)],
                                      check=True, capture_output=True).stdout
            else:
                data = path.read_bytes()
            out[str(path.relative_to(corpus))] = \
                hashlib.sha256(data).hexdigest()
    return out


def differences(a, b):
    return sorted(k for k in a.keys() | b.keys() if a.get(k) != b.get(k))
