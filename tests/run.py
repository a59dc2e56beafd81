#!/usr/bin/env python3
"""Runs the tests and counts them.

usage: tests/run.py BUILD [--long] [--only WORD] [--jobs N]

BUILD is the variant's folder (build/gcc).  Tests are its test_* programs
(cmocka), the fuzz targets over their corpora, and the scripts
tests/check_*.{py,sh}; with --long also tests/long_*.{py,sh}.  A script passes
with exit code 0, is skipped with 77 and fails with anything else; a line
"N passed, N failed, N skipped" of its own counts instead of one.
Scripts get WITMILL, BUILD and WITMILL_SHARED in their environment and a
folder of their own to work in as TMPDIR.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

LIMIT_S = {"check": 150, "long": 3000}
SANITIZED = 4  # times as long: a build whose folder is named COMPILER-SANITIZERS
CMOCKA = re.compile(r"^\[  (PASSED|FAILED|SKIPPED)\s*\]\s+(\d+) test", re.M)
PLAIN = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?", re.M)


def count(name, code, text):
    """(passed, failed, skipped) of one program's run."""
    if name.startswith("test_"):
        n = {"PASSED": 0, "FAILED": 0, "SKIPPED": 0}
        for word, number in CMOCKA.findall(text):
            n[word] += int(number)
        if code and not n["FAILED"]:
            n["FAILED"] = 1
        if not code and not any(n.values()):
            n["FAILED"] = 1
        return n["PASSED"], n["FAILED"], n["SKIPPED"]
    plain = PLAIN.findall(text)
    if plain and code in (0, 1):
        passed, failed, skipped = (int(x or 0) for x in plain[-1])
        return passed, max(failed, 1 if code else 0), skipped
    if code == 77:
        return 0, 0, 1
    return (1, 0, 0) if code == 0 else (0, 1, 0)


def run(job, build, scratch):
    name, command, limit = job
    folder = scratch / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    env = dict(os.environ, BUILD=str(build), WITMILL=str(build / "witmill"),
               TMPDIR=str(folder))
    # Tests run beside each other: threads that wait must not spin.
    env.setdefault("OMP_WAIT_POLICY", "passive")
    env.setdefault("WITMILL_SHARED", str(pathlib.Path("../shared").resolve()))
    began = time.monotonic()
    log = folder.parent / (name + ".log")
    with open(log, "wb") as out:
        try:
            code = subprocess.run(command, stdout=out, env=env,
                                  stdin=subprocess.DEVNULL,
                                  stderr=subprocess.STDOUT,
                                  timeout=limit).returncode
        except subprocess.TimeoutExpired:
            out.write(f"\nstopped after {limit} s\n".encode())
            code = 124
    text = log.read_text(encoding="utf-8", errors="replace")
    if code == 0:
        shutil.rmtree(folder, ignore_errors=True)
    return name, count(name, code, text), time.monotonic() - began, text


def jobs_of(build, args):
    jobs = []
    kinds = ["check"] + (["long"] if args.long else [])
    slow = SANITIZED if re.search("-(address|thread)", build.name) else 1
    for kind in kinds:
        for script in sorted(pathlib.Path("tests").glob(kind + "_*")):
            if script.suffix in (".py", ".sh"):
                jobs.append((script.stem, [str(script.resolve())],
                             slow * LIMIT_S[kind]))
    for program in sorted(build.glob("test_*")):
        if os.access(program, os.X_OK) and program.is_file():
            jobs.append((program.name, [str(program)],
                         slow * LIMIT_S["check"]))
    for program in sorted(build.glob("replay_fuzz_*")):
        name = program.name[len("replay_fuzz_"):]
        inputs = sorted(str(p) for p in
                        pathlib.Path("tests/fuzz/corpus", name).glob("*"))
        jobs.append((program.name, [str(program)] + inputs,
                     slow * LIMIT_S["check"]))
    return [j for j in jobs if args.only in j[0]]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    build = args.build.resolve()
    scratch = build / "tests-run"
    total = [0, 0, 0]
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        waiting = [pool.submit(run, job, build, scratch)
                   for job in jobs_of(build, args)]
        for done in concurrent.futures.as_completed(waiting):
            name, counts, seconds, text = done.result()
            total = [a + b for a, b in zip(total, counts)]
            word = "FAILED" if counts[1] else \
                "skipped" if not counts[0] and counts[2] else "ok"
            print(f"{word:8} {name:36} {counts[0]:5} passed "
                  f"{seconds:7.1f} s", flush=True)
            if counts[2] and not counts[1]:
                reasons = [line.strip() for line in text.splitlines()
                           if line.strip().startswith("skipped")]
                for reason in dict.fromkeys(reasons):
                    print("         " + reason)
            if counts[1]:
                print("\n".join("    " + line
                                for line in text.splitlines()[-60:]))
    print(f"{total[0]} passed, {total[1]} failed, {total[2]} skipped")
    return 1 if total[1] or not total[0] else 0


if __name__ == "__main__":
    sys.exit(main())
