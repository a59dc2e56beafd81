#!/usr/bin/env python3
"""What a user may do wrong, or a disk: each case ends with the exit code and
the message that DESIGN promises, and leaves nothing half-written."""
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile

import chain

CASES = []


def case(function):
    CASES.append(function)
    return function


def expect(run, code, *says):
    """The exit code, and every text somewhere in what was printed."""
    text = run.stdout + run.stderr
    if run.returncode != code:
        raise AssertionError(f"exit code {run.returncode}, expected {code}: "
                             f"{text}")
    for want in says:
        if want not in text:
            raise AssertionError(f"no \"{want}\" in: {text}")


def witmill(*args):
    return chain.stage(*args, code=None)


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes()
            for p in sorted(pathlib.Path(folder).rglob("*")) if p.is_file()}


class World:
    """A finished corpus that cases copy, and the site that it came from."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.site = chain.Site(folder, 20)
        self.done = self.folder / "done"
        self.ini = self.site.ini("all.ini")
        chain.stage("run", self.done, self.ini)
        self.number = 0

    def copy(self):
        self.number += 1
        to = self.folder / f"corpus-{self.number}"
        shutil.copytree(self.done, to)
        return to

    def path(self, name, text):
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path


# ---- what is no corpus, no config, no seed ----

@case
def a_directory_that_is_no_corpus(world):
    empty = world.folder / "empty"
    empty.mkdir()
    (empty / "notes.txt").write_text("mine")
    for command in ("match", "gather", "balance", "dedup", "pack", "verify",
                    "coverage", "report"):
        expect(witmill(command, empty), 3, str(empty), "is no corpus",
               "witmill queries")
    expect(witmill("match", world.folder / "nowhere"), 3, "is no corpus")
    expect(witmill("import", empty, "--links", "x"), 3, "is no corpus")
    if files(empty) != {"notes.txt": b"mine"}:
        raise AssertionError("something was written there")


@case
def a_config_with_an_unknown_key(world):
    text = world.ini.read_text()
    new = world.folder / "new"
    bad = world.path("key.ini", text + "[gather]\nmemory = 1G\nmemry = 2G\n")
    line = len(bad.read_text().splitlines())
    expect(witmill("run", new, bad), 2, f"key.ini:{line}",
           'unknown key "memry"', "witmill gather --help")
    for section in ("[gathr]", "[import a b]\n[match x]", "[verify]"):
        bad = world.path("section.ini", text + section + "\n")
        line = len(bad.read_text().splitlines())
        expect(witmill("run", new, bad), 2, f"section.ini:{line}",
               "no stage is called")
    bad = world.path("value.ini", text + "[gather]\nmemory = much\n")
    expect(witmill("run", new, bad), 2, "value.ini:", '"much" is not a size')
    bad = world.path("line.ini", text + "[gather]\nmemory\n")
    expect(witmill("run", new, bad), 2, "line.ini:", "name = value")
    bad = world.path("first.ini", "cap = 3\n" + text)
    expect(witmill("run", new, bad), 2, "first.ini:1", "[section]")
    expect(witmill("run", new, world.folder / "none.ini"), 3, "none.ini")
    if new.exists():
        raise AssertionError("a stage ran before the file was read")


@case
def a_seed_that_is_no_url(world):
    if "crawl" not in witmill("--words").stdout.split():
        return
    new = world.copy()
    before = files(new)
    net = [f"--{k}={v}" if k not in ("no-dns", "resolve") else ""
           for k, v in world.site.net().items()]
    net = [n for n in net if n] + ["--no-dns"]
    for seed in ("not a url", "ftp://a.test/", "/relative", "http://"):
        expect(witmill("crawl", new, "--seed", seed, *net), 2, seed)
    if {k: v for k, v in files(new).items() if k in before} != before:
        raise AssertionError("the corpus was touched")


@case
def options_that_do_not_exist(world):
    expect(witmill("balance", world.done, "--capp", 3), 2, "--capp")
    expect(witmill("balance", world.done, "--cap", "some"), 2, '"some"')
    expect(witmill("balance", world.done, "--cap", 0), 2, "--cap")
    expect(witmill("balance"), 2, "CORPUS is missing")
    expect(witmill("balance", world.done, "--dry-run", "--part", "0/2"), 2,
           "--dry-run")
    expect(witmill("nothing"), 2, 'no command "nothing"')


# ---- damage ----

def truncated(corpus, name, cut):
    path = next(iter(chain.parts(corpus, name)))
    data = path.read_bytes()
    path.write_bytes(data[:cut] if cut >= 0 else data[:len(data) + cut])
    return path


def largest(corpus, pattern):
    return max(chain.parts(corpus, pattern), key=lambda p: p.stat().st_size)


@case
def a_truncated_part(world):
    # (part, what becomes undone so that it is read again, the stage)
    for pattern, undo, command in (
            ("pairs/*/*.zst", "matched", "match"),
            ("matched/*/*.zst", "unique", "gather"),
            ("unique/*.zst", "selected", "balance"),
            ("selected/*/*.zst", "survivors", "dedup")):
        for keep in (0, 1, 9, -1):
            corpus = world.copy()
            part = largest(corpus, pattern)
            shutil.rmtree(corpus / undo)
            data = part.read_bytes()
            part.write_bytes(data[:keep] if keep >= 0 else data[:keep])
            run = witmill(command, corpus)
            expect(run, 3, str(part.relative_to(corpus)))
            # What was found is not passed on, and whole parts are mended.
            part.write_bytes(data)
            expect(witmill(command, corpus), 0)
            kept, want = chain.content_hashes(corpus), \
                chain.content_hashes(world.done)
            wrong = [k for k in kept if k.startswith(undo + "/") and
                     kept[k] != want.get(k)]
            if wrong and undo != "selected":
                raise AssertionError(f"after {command}: {wrong}")
            shutil.rmtree(corpus)


@case
def another_schema_version(world):
    corpus = world.copy()
    path = corpus / "queries.bin"
    data = bytearray(path.read_bytes())
    data[8] = 99
    path.write_bytes(data)
    expect(witmill("match", corpus), 3, "queries.bin", "version 99")
    expect(witmill("coverage", corpus), 3, "queries.bin", "version 99")

    corpus = world.copy()
    db = sqlite3.connect(corpus / "corpus.db")
    db.execute("PRAGMA user_version = 99")
    db.commit()
    db.close()
    expect(witmill("coverage", corpus), 3, "corpus.db", "99")
    expect(witmill("merge", corpus), 3, "corpus.db", "99")

    corpus = world.copy()
    path = corpus / "selected/round-0/caps.bin"
    data = bytearray(path.read_bytes())
    data[8] = 99
    path.write_bytes(data)
    expect(witmill("balance", corpus, "--cap", 6), 3, "caps.bin",
           "version 99")

    corpus = world.copy()
    path = corpus / "unique/counts.bin"
    data = bytearray(path.read_bytes())
    data[8] = 99
    path.write_bytes(data)
    expect(witmill("balance", corpus, "--cap", 6), 3, "counts.bin",
           "version 99")

    corpus = world.copy()
    path = largest(corpus, "pairs/*/*.meta.json")
    path.write_text(path.read_text().replace('"format":1', '"format":99'))
    expect(witmill("match", corpus), 3, path.name, "version 99")


@case
def a_shard_with_a_flipped_byte(world):
    expect(witmill("verify", world.done), 0)
    corpus = world.copy()
    shard = largest(corpus, "shards/*.tar")
    data = bytearray(shard.read_bytes())
    data[len(data) // 3] ^= 1
    shard.write_bytes(data)
    run = witmill("verify", corpus)
    expect(run, 1, f"shards/{shard.name}", "byte")


@case
def a_damaged_sidecar(world):
    for text in ("", "{", "[]", "{\"format\":1}"):
        corpus = world.copy()
        side = largest(corpus, "matched/*/*.meta.json")
        good = side.read_text()
        side.write_text(text)
        expect(witmill("match", corpus), 3, side.name, "--redo")
        expect(witmill("gather", corpus), 3, side.name)
        expect(witmill("match", corpus, "--redo"), 0)
        if side.read_text().split('"run"')[0] != good.split('"run"')[0]:
            raise AssertionError("--redo made another sidecar")
        expect(witmill("gather", corpus), 0)
        shutil.rmtree(corpus)


# ---- what has changed ----

@case
def a_changed_option_without_redo(world):
    corpus = world.copy()
    side = largest(corpus, "matched/*/*.meta.json")
    before = files(corpus / "matched")
    run = witmill("match", corpus, "--max-words", 4)
    expect(run, 3, "fingerprint", "--redo")
    old = side.read_text().split('"fingerprint":"')[1][:16]
    there, now = run.stderr.split("fingerprint ")[1].split(" there, ")
    if there.strip(".") not in {f.read_text().split('"fingerprint":"')[1][:16]
                                for f in chain.parts(corpus,
                                                     "matched/*/*.json")}:
        raise AssertionError(f"{there} is no fingerprint of matched/ ({old})")
    if now[:16] == there[:16]:
        raise AssertionError("both fingerprints are the same")
    if files(corpus / "matched") != before:
        raise AssertionError("refused, but matched/ was touched")
    expect(witmill("match", corpus, "--max-words", 4, "--redo"), 0)
    expect(witmill("match", corpus, "--max-words", 4), 0)
    # What stands behind it is stale now, and says so.
    expect(witmill("gather", corpus), 3, "unique/", "--redo")
    expect(witmill("gather", corpus, "--redo"), 0)
    expect(witmill("balance", corpus, "--cap", 6), 3, "selected/", "--redo")
    # Threads and memory decide about no byte.
    expect(witmill("match", corpus, "--max-words", 4, "--threads", 3,
                   "--memory", "2M"), 0)


@case
def two_processes_on_one_corpus(world):
    want = chain.content_hashes(world.done)
    corpus = world.copy()
    for folder in ("matched", "unique"):
        shutil.rmtree(corpus / folder)
    for command in ("match", "gather"):
        runs = [subprocess.Popen([chain.WITMILL, command, str(corpus)],
                                 stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True)
                for _ in range(4)]
        for run in runs:
            err = run.communicate()[1]
            if run.returncode not in (0, 3) or \
                    run.returncode and "another witmill process" not in err:
                raise AssertionError(f"{command}: {run.returncode} {err}")
        expect(witmill(command, corpus), 0)
    wrong = chain.differences(chain.content_hashes(corpus), want)
    if wrong:
        raise AssertionError(f"not what one process makes: {wrong[:5]}")


def main():
    failed = 0
    folder = tempfile.mkdtemp(dir=os.environ.get("TMPDIR"))
    world = World(folder)
    try:
        for function in CASES:
            try:
                function(world)
                print(f"ok      {function.__name__}", flush=True)
            except AssertionError as wrong:
                failed += 1
                print(f"FAILED  {function.__name__}: {wrong}", flush=True)
    finally:
        world.site.__exit__()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{len(CASES) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
