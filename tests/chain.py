"""What the scripts about whole corpora share: running stages, reading parts,
hashing outputs."""
import hashlib
import json
import os
import pathlib
import signal
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


def heed_signals():
    """Under nohup, or behind a script's &, signals are ignored, and so they
    would be by the commands that are started."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


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


# ---- the small site of make_site, served by httpd ----

LIST = ["dog", "cat", "house", "red car", "car", "tree", "olive oil", "boat",
        "bird", "street", "mountain", "cup of tea", "tea", "photo", "painting",
        "tokyo", "winter", "bridge", "sea", "night", "garden", "old", "two",
        "seen again", "never seen"]


class Site:
    """Two hosts with `pictures` pictures each, of which every seventh is
    missing and one folder of none; a server of our own on loopback."""

    def __init__(self, folder, pictures, missing=7):
        self.folder = pathlib.Path(folder)
        subprocess.run([str(BUILD / "make_site"), str(self.folder / "site"),
                        str(pictures)], check=True)
        (self.folder / "queries.txt").write_text("\n".join(LIST) + "\n",
                                                 encoding="utf-8")
        hosts = [a for h in ("a.test", "b.test")
                 for a in ("--host", f"{h}={self.folder}/site/{h}")]
        self.server = subprocess.Popen(
            [str(BUILD / "httpd"), *hosts, "--missing-every", str(missing),
             "--die-with-parent"], stdout=subprocess.PIPE, text=True)
        self.port = int(self.server.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.server.kill()
        self.server.wait()

    def net(self):
        """Options that reach the server and nothing else."""
        return {"contact": "test@example.org", "allow-net": "127.0.0.0/8",
                "no-dns": "yes", "resolve":
                f"a.test:80:127.0.0.1:{self.port} "
                f"b.test:80:127.0.0.1:{self.port}"}

    def ini(self, name, extra=None, how="import"):
        """An INI file of the whole chain."""
        sections = {
            "queries": {"queries": self.folder / "queries.txt",
                        "sources": "file", "bucket-bits": 3},
            "balance": {"cap": 6},
            "download": dict(self.net(), **{"min-side": 64, "image-size": 96,
                                            "retries": 0}),
            "pack": {"samples": 50},
        }
        if how == "import":
            for host in ("a", "b"):
                sections[f"import {host}"] = {
                    "html": self.folder / "site" / f"{host}.test",
                    "base": f"http://{host}.test/"}
        else:
            sections["crawl"] = dict(self.net(), **{
                "seed": "http://a.test/ http://b.test/", "min-delay": 0})
        for section, options in (extra or {}).items():
            sections.setdefault(section, {}).update(options)
        path = self.folder / name
        path.write_text("".join(
            f"[{s}]\n" + "".join(f"{k} = {v}\n" for k, v in o.items())
            for s, o in sections.items()), encoding="utf-8")
        return path
