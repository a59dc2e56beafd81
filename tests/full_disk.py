"""A disk that is full from the Nth write on, for N in turn, in every stage of
the chain on a small corpus: a clear message, nothing finished lost, and the
next run ends with the same bytes.  check_enospc.py takes every 17th write,
long_enospc.py all of them."""
import os
import pathlib
import shutil
import subprocess
import sys

import chain

SHIM = chain.BUILD / "faultfs.so"


def stages(site):
    net = [x for k, v in site.net().items() for word in v.split(" ")
           for x in ([f"--{k}"] if v == "yes" else [f"--{k}", word])]
    image = ["--min-side", 64, "--image-size", 96, "--retries", 0]
    folder = site.folder
    return [
        ["queries", "--queries", folder / "queries.txt", "--sources", "file",
         "--bucket-bits", 1],
        ["crawl", *net, "--seed", "http://a.test/", "--seed",
         "http://b.test/", "--min-delay", 0],
        ["import", "--html", folder / "site/a.test", "--base",
         "http://a.test/"],
        ["match"], ["gather"], ["balance", "--cap", 2],
        ["download", *net, *image], ["balance", "--cap", 2, "--round", 1],
        ["download", *net, *image], ["dedup"], ["pack", "--samples", 10],
        ["report"],
    ]


def run(corpus, args, at):
    env = dict(os.environ, LD_PRELOAD=str(SHIM), FAULT_AT=str(at))
    command = [chain.WITMILL, args[0], str(corpus), *map(str, args[1:])]
    return subprocess.run(command, env=env, capture_output=True, text=True,
                          timeout=120)


def outputs(corpus):
    """What a sidecar vouches for: file -> bytes, for finished outputs."""
    found = {}
    for side in pathlib.Path(corpus).rglob("*.meta.json"):
        stem = side.name[:-len(".meta.json")]
        for path in side.parent.glob(stem + ".*"):
            if not path.name.endswith((".tmp", ".journal", ".todo")):
                found[path] = path.read_bytes()
    return found


def try_stage(name, before, work, args, at, reference):
    """Fail at write `at`, then go on; False when there was no such write."""
    shutil.rmtree(work, ignore_errors=True)
    if before.exists():
        shutil.copytree(before, work)
    held = outputs(work)
    broken = run(work, args, at)
    if broken.returncode == 0:
        return False
    text = broken.stderr.lower()
    where = f"{name}, write {at}"
    if broken.returncode != 3:
        sys.exit(f"{where}: exit code {broken.returncode}\n{broken.stderr}")
    if "no space" not in text and "disk is full" not in text and \
            "disk full" not in text:
        sys.exit(f"{where}: no clear message:\n{broken.stderr}")
    now = outputs(work)
    lost = [str(p) for p in held if now.get(p) != held[p]]
    if lost:
        sys.exit(f"{where}: finished outputs changed: {lost}")
    chain.stage(args[0], work, *args[1:])
    found = chain.differences(reference, chain.content_hashes(work))
    if found:
        sys.exit(f"{where}: other bytes after the next run: {found}")
    return True


def main(step):
    if not SHIM.exists() or "+" in chain.BUILD.name or \
            chain.BUILD.name.endswith("thread"):
        print("skipped: the fault shim does not go with sanitizers")
        sys.exit(77)
    folder = pathlib.Path(os.environ.get("TMPDIR", "/tmp")) / "full"
    folder.mkdir(parents=True, exist_ok=True)
    with chain.Site(folder, 10) as site:
        before = folder / "before"
        for number, args in enumerate(stages(site)):
            after = folder / "after"
            shutil.rmtree(after, ignore_errors=True)
            if before.exists():
                shutil.copytree(before, after)
            chain.stage(args[0], after, *args[1:])
            reference = chain.content_hashes(after)
            at, tried = 1 + number % step, 0
            while try_stage(args[0], before, folder / "work", args, at,
                            reference):
                at += step
                tried += 1
            print(f"{args[0]}: {tried} full disks up to write {at}, always "
                  "said, nothing lost, the same bytes after", flush=True)
            if tried == 0 and step == 1:
                sys.exit(f"{args[0]} writes nothing?")
            shutil.rmtree(before, ignore_errors=True)
            after.rename(before)
