#!/usr/bin/env python3
"""The packages that witmill is compared with, in a virtual environment.

usage: tools/peers.py            make it if need be, print its interpreter
       tools/peers.py --check    only look

The environment is build/peers/venv, or venv in the folder $WITMILL_PEERS.
pip takes the packages from whatever index it is set up for; where none can be
reached this says so and exits with 77, as a skipped test does.  The folder
needs some 6 GB.  Nothing here is needed to build or to use witmill.
"""
import os
import pathlib
import subprocess
import sys

PACKAGES = ["torch", "open_clip_torch", "transformers", "safetensors",
            "webdataset", "gensim"]
MODULES = "import torch, open_clip, transformers, safetensors"
SKIPPED = 77


def folder():
    return pathlib.Path(os.environ.get("WITMILL_PEERS", "build/peers"))


def interpreter():
    return folder() / "venv" / "bin" / "python"


def works(python):
    return python.exists() and subprocess.run(
        [python, "-c", MODULES], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL).returncode == 0


def make(python):
    """None, or why there is none."""
    folder().mkdir(parents=True, exist_ok=True)
    log = folder() / "install.log"
    with open(log, "ab") as out:
        def run(*command):
            return subprocess.run(list(map(str, command)), stdout=out,
                                  stderr=subprocess.STDOUT).returncode
        if not python.exists() and \
                run(sys.executable, "-m", "venv", folder() / "venv"):
            return f"python3 -m venv failed (Debian: python3-venv); see {log}"
        print(f"installing {' '.join(PACKAGES)} into {folder()}/venv ...",
              file=sys.stderr)
        if run(python, "-m", "pip", "install", "--disable-pip-version-check",
               *PACKAGES):
            return ("no package index could be reached, or it lacks one of "
                    f"{', '.join(PACKAGES)}; see {log}")
    return None if works(python) else "the packages do not import"


def enter():
    """Continue the running script in the environment."""
    python = interpreter()
    if os.environ.get("WITMILL_IN_PEERS"):
        return
    if not works(python):
        why = make(python)
        if why:
            print("skipped: " + why, file=sys.stderr)
            sys.exit(SKIPPED)
    os.environ["WITMILL_IN_PEERS"] = "1"
    # On a machine that others use, threads that spin wait for one another.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.execv(python, [str(python), *sys.argv])


def main():
    python = interpreter()
    if not works(python):
        why = "not there" if "--check" in sys.argv else make(python)
        if why:
            print(f"skipped: {python}: {why}", file=sys.stderr)
            return SKIPPED
    print(python)
    return 0


if __name__ == "__main__":
    sys.exit(main())
