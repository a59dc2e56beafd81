#!/usr/bin/env python3
"""`witmill match --stdin`: as a co-process that is asked line by line, in bulk,
and with lines that cannot be matched."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

WITMILL = os.environ.get("WITMILL", "build/gcc/witmill")
LIST = "Dog\nolive oil\nDOG\n...\nred car\ncaf\u00e9\n"
LONGEST = 1 << 20


def fail(text):
    sys.exit(text)


def corpus(folder, policy):
    path = folder / "list.txt"
    path.write_text(LIST, encoding="utf-8")
    subprocess.run([WITMILL, "queries", folder / policy, "--queries", path,
                    "--sources", "file", "--policy", policy], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return folder / policy


def bulk(where, data):
    run = subprocess.run([WITMILL, "match", where, "--stdin"], input=data,
                         stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in run.stdout.splitlines()]


def ids(answers):
    return [a.get("q", a.get("error")) for a in answers]


def expect(got, want, what):
    if got != want:
        fail(f"{what}: {got}, expected {want}")


def check_answers(words, metaclip):
    answers = bulk(words, "A DOG, olive-oil\n\nthe red car\n".encode())
    expect(answers, [
        {"q": [0, 1], "queries": [
            {"id": 0, "text": "Dog", "group": 0},
            {"id": 2, "text": "DOG", "group": 0},
            {"id": 1, "text": "olive oil", "group": 1}]},
        {"q": [], "queries": []},
        {"q": [4], "queries": [{"id": 4, "text": "red car", "group": 4}]},
    ], "answers")
    expect(ids(bulk(metaclip, b"A Dog, DOG\nolive-oil dog\nred\tcar\n")),
           [[0, 2], [], [4]], "metaclip")


def check_lines(words):
    expect(bulk(words, b""), [], "nothing asked")
    expect(ids(bulk(words, b"dog")), [[0]], "no newline")
    expect(ids(bulk(words, b"dog\n\xff\ncaf\xc3\x89\n")),
           [[0], "malformed input", [5]], "bad UTF-8")
    for n in LONGEST - 3, LONGEST - 4, 3 * LONGEST:
        line = b"dog " + b"x" * n + b" olive oil\n"
        want = [0, 1] if len(line) - 1 <= LONGEST else "over a ceiling"
        expect(ids(bulk(words, b"red car\n" + line + b"dog\n" + line[:-1])),
               [[4], want, [0], want], f"a line of {len(line)} bytes")
    line = b"x" * (LONGEST - 4) + b" dog\n"
    expect(ids(bulk(words, line + line[1:] + b"x" + line)),
           [[0], [0], "over a ceiling"], "lines at the ceiling")
    many = [b"dog", b"no", b"red car", b"\xff"] * 2500
    expect(ids(bulk(words, b"\n".join(many) + b"\n")),
           [[0], [], [4], "malformed input"] * 2500, "many lines")


def check_one_by_one(words):
    with subprocess.Popen([WITMILL, "match", words, "--stdin"],
                          stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as ask:
        for k in range(100):
            ask.stdin.write(b"dog\n" if k % 2 else b"olive oil\n")
            ask.stdin.flush()
            got = json.loads(ask.stdout.readline())["q"]
            expect(got, [0] if k % 2 else [1], "one by one")
        ask.stdin.write(b"red ")
        ask.stdin.flush()
        ask.stdin.write(b"car\ndog\n")
        ask.stdin.flush()
        for want in [4], [0]:
            expect(json.loads(ask.stdout.readline())["q"], want, "in pieces")
        ask.stdin.close()
        if ask.wait():
            fail("exit code")


def main():
    folder = pathlib.Path(tempfile.mkdtemp())
    words, metaclip = (corpus(folder, p) for p in ("words", "metaclip"))
    before = sorted(words.iterdir())
    check_answers(words, metaclip)
    check_lines(words)
    check_one_by_one(words)
    expect(sorted(words.iterdir()), before, "the corpus' files")
    missing = subprocess.run([WITMILL, "match", folder / "none", "--stdin"],
                             stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE)
    if missing.returncode != 3 or b"no corpus" not in missing.stderr:
        fail(f"no corpus: {missing.returncode} {missing.stderr}")
    print("answers, lines that cannot be matched, one by one: as expected")


main()
