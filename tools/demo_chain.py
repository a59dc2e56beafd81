#!/usr/bin/env python3
"""Runs `witmill run` for the demo and prints a line a stage, as they end.

usage: tools/demo_chain.py WITMILL CORPUS FILE.ini LOGS

Each line is the figure of that stage that counts, and its seconds.  All that
the stages say goes to LOGS/chain.txt, their events to LOGS/run.log.  The exit
code is witmill's.
"""
import pathlib
import re
import subprocess
import sys
import time

# What a stage is there for, by the labels of its summary.
FIGURES = {
    "queries": ["entries"],
    "crawl": ["pages read", "pairs found"],
    "match": ["matched"],
    "gather": ["unique pairs"],
    "balance": ["pairs kept", "pairs added"],
    "download": ["asked", "images"],
    "dedup": ["images kept"],
    "pack": ["samples"],
}
NUMBER = re.compile(r"^  (\S.*?)\s{2,}([\d,]+)")
ROUND = re.compile(r", round (\d+)")


class Stage:
    def __init__(self, name):
        self.name = name
        self.began = time.monotonic()
        self.figures = []

    def read(self, line):
        number, round_ = NUMBER.match(line), ROUND.search(line)
        if round_ and round_[1] != "0":
            self.name += f", round {round_[1]}"
        if number and number[1] in FIGURES.get(self.name.split(",")[0], []):
            self.figures.append(f"{number[2]} {number[1]}")

    def end(self):
        seconds = time.monotonic() - self.began
        print(f"  {self.name:18} {seconds:6.1f} s  {', '.join(self.figures)}",
              flush=True)


def main():
    witmill, corpus, settings, logs = sys.argv[1:]
    stage = None
    with open(pathlib.Path(logs, "chain.txt"), "w") as chain, \
            open(pathlib.Path(logs, "run.log"), "w") as events, \
            subprocess.Popen([witmill, "run", corpus, settings],
                             stdout=subprocess.PIPE, stderr=events,
                             encoding="utf-8") as child:
        try:
            for line in child.stdout:
                chain.write(line)
                if line.startswith("== "):
                    if stage:
                        stage.end()
                    stage = Stage(line.strip("= \n"))
                elif stage:
                    stage.read(line)
        except KeyboardInterrupt:
            return 130
    if child.returncode == 0 and stage:
        stage.end()
    return child.returncode


if __name__ == "__main__":
    sys.exit(main())
