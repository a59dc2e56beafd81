#!/usr/bin/env python3
"""`witmill tokenizer` by hand: a vocabulary made of texts, ids and back, and
what it says to wrong input.

usage: tests/check_tokenizer_command.py
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import tally

WITMILL = os.environ.get("WITMILL", "build/gcc/witmill")
TEXTS = "a photo of a cat\n\na photo of two dogs\n" * 5
counted = tally.Tally()
check = counted.check


def run(*arguments, given=""):
    done = subprocess.run([WITMILL, "tokenizer", *map(str, arguments)],
                          input=given.encode(), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    return (done.returncode, done.stdout.decode(),
            done.stderr.decode("utf-8", "replace"))


def works(v):
    code, out, err = run("train", "--size", 560, "--output", v, given=TEXTS)
    check(f"train: {err}", code == 0 and "texts" in out)
    head = v.read_text().splitlines()[0].split()
    check("the head line says how many ids",
          head[0] == "#witmill-vocabulary" and 514 < int(head[2]) <= 560)
    again = v.with_name("again")
    run("train", "--size", 560, "--output", again,
        given="\n".join(reversed(TEXTS.split("\n"))))
    check("the order of texts is nothing",
          again.read_bytes() == v.read_bytes())
    code, ids, err = run("encode", "--vocabulary", v, given=TEXTS)
    check(f"a line for a line, empty ones too: {err}",
          code == 0 and len(ids.splitlines()) == len(TEXTS.splitlines()))
    code, back, err = run("decode", "--vocabulary", v, given=ids)
    check(f"and back: {err}", code == 0 and
          [x.rstrip() for x in back.splitlines()] == TEXTS.splitlines())
    code, rows, _ = run("encode", "--vocabulary", v, "--context", 6, "--json",
                        given=TEXTS)
    rows = [json.loads(x) for x in rows.splitlines()]
    eot = int(head[2]) - 1
    check("captions have SOT, EOT and zeros to the context",
          code == 0 and all(len(r) == 6 and r[0] == eot - 1 and eot in r
                            for r in rows) and rows[1][2:] == [0] * 4)


def long_lines(v):
    long = "a cat\n" + 70000 * "x" + "\na cat\n"
    code, _, err = run("encode", "--vocabulary", v, given=long)
    check(f"encode ends at a line that is too long, and names it: {err}",
          code == 3 and "-:2: more than 65536 bytes" in err)
    code, _, err = run("encode", "--vocabulary", v, given=3 * "a cat\n" +
                       2 * (200000 * "x" + "\n") + 70000 * "y")
    check(f"of several the first: {err}", code == 3 and "-:4: more" in err)
    code, _, err = run("encode", "--vocabulary", v, given=70000 * "y")
    check(f"also the last one: {err}", code == 3 and "-:1: more" in err)
    for more in (long, long.rstrip("\n") + "\n" + 70000 * "y"):
        code, out, err = run("train", "--output", v.with_name("long"),
                             given=more)
        rows = dict(x.rsplit(None, 1) for x in out.splitlines())
        rows = {k.strip(): x for k, x in rows.items()}
        check(f"train leaves it out and counts it: {out} {err}",
              code == 0 and rows.get("texts") == "2" and
              rows.get("too long") == str(more.count("x" * 70000) +
                                          more.count("y" * 70000)))


def empty(v):
    """Texts without a word make no vocabulary."""
    for given in "", "\n \n", 70000 * "y":
        to = v.with_name("empty")
        code, out, err = run("train", "--output", to, given=given)
        check(f"train on {given[:9]!r}: {code}, {err}", code == 3 and
              "no word" in err and not out and not to.exists())


def refuses(v):
    cases = [
        (["encode"], 2, "--vocabulary is missing"),
        (["train"], 2, "--output is missing"),
        (["encode", "--vocabulary", v, "--output", "x"], 2, "--output"),
        (["train", "--vocabulary", v, "--output", "x"], 2, "--vocabulary"),
        (["encode", "--vocabulary", v, "--context", 1], 2, "--context"),
        (["encode", "--vocabulary", v.with_name("none")], 3, "No such file"),
        (["encode", "--vocabulary", __file__], 3, "no head line"),
        (["decode", "--vocabulary", v], 3, "-:1: 600 is no id"),
    ]
    for arguments, want, says in cases:
        code, _, err = run(*arguments, given="600\n")
        check(f"{arguments}: exit code {want}, not {code}: {err}",
              code == want and says in err)
    with open("/dev/full", "w") as full:
        done = subprocess.run([WITMILL, "tokenizer", "encode", "--vocabulary",
                               str(v)], input=TEXTS.encode(), stdout=full,
                              stderr=subprocess.PIPE)
    check("a full disk is told", done.returncode == 3 and
          b"No space" in done.stderr)


def main():
    with tempfile.TemporaryDirectory() as folder:
        v = pathlib.Path(folder) / "vocabulary"
        for part in (works, long_lines, empty, refuses):
            part(v)
    return counted.end()


if __name__ == "__main__":
    sys.exit(main())
