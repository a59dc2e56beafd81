#!/usr/bin/env python3
"""Match sets equal the published ones, entry for entry, under --policy metaclip:
those of pyahocorasick with the published spacing, and those of the published
loop's rule, which needs nothing installed.

usage: check_matcher.py [ENTRIES TEXTS LOOP [FOLDER]]

A list of ENTRIES, as many TEXTS, the loop on the first LOOP of them; small
numbers unless asked (tests/long_matcher.py asks for 500,000, 200,000, 2,000).
Lists and texts are tools/match_data.py's, of ../shared where that is there; in
FOLDER they are kept, or found.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import match_data  # noqa: E402
import peers  # noqa: E402

WITMILL = os.environ.get("WITMILL", "build/gcc/witmill")
SHARED = pathlib.Path(os.environ.get("WITMILL_SHARED", "../shared"))
PEER = ROOT / "tests/matcher_peer.py"


def ours(folder):
    """Ids of each text, by the program."""
    with open(folder / "texts.txt", "rb") as texts, subprocess.Popen(
            [WITMILL, "match", folder / "metaclip", "--stdin"], stdin=texts,
            stdout=subprocess.PIPE) as run:
        for line in run.stdout:
            # (The entries behind q are not read: it is quicker.)
            end = line.index(b"]") + 1
            yield json.loads(line[len(b'{"q":'):end])
    if run.returncode:
        sys.exit(f"match --stdin: exit code {run.returncode}")


def compare(found, python, what, folder, *more):
    """How many texts and matches were equal; else the end."""
    command = [python, PEER, what, folder / "entries.txt",
               folder / "texts.txt", *map(str, more)]
    texts = matches = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE) as peer:
        for k, line in enumerate(peer.stdout):
            theirs = list(map(int, line.split()))
            if theirs != found[k]:
                text = (folder / "texts.txt").read_bytes().split(b"\n")[k]
                sys.exit(f"text {k} {text!r}: {found[k]}, {what} {theirs}")
            texts += 1
            matches += len(theirs)
    if peer.returncode:
        sys.exit(f"{what}: exit code {peer.returncode}")
    return texts, matches


def has_automaton(python):
    return python.exists() and subprocess.run(
        [python, "-c", "import ahocorasick"], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL).returncode == 0


def main(entries=60_000, count=12_000, loop=60, folder=None):
    if not SHARED.is_dir():
        print(f"no {SHARED}: words and texts are made up")
    folder = pathlib.Path(folder or tempfile.mkdtemp())
    match_data.make(WITMILL, folder, SHARED, entries, count)
    found = list(ours(folder))
    if len(found) != count:
        sys.exit(f"{len(found)} answers to {count} texts")
    texts, matches = compare(found, sys.executable, "loop", folder, loop)
    if texts != loop or not matches:
        sys.exit(f"the loop: {texts} texts, {matches} matches")
    print(f"the published loop: {texts} texts, {matches} matches, all equal")
    if not has_automaton(peers.interpreter()):
        print("skipped: pyahocorasick is not installed")
        return
    texts, matches = compare(found, peers.interpreter(), "ids", folder)
    if texts != count or not matches:
        sys.exit(f"pyahocorasick: {texts} texts, {matches} matches")
    print(f"pyahocorasick: {texts} texts, {matches} matches, all equal")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]), *sys.argv[4:])
