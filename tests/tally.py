"""What a script checked, counted as tests/run.py reads it, and its folder."""
import atexit
import os
import pathlib
import shutil
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PEERS = pathlib.Path(os.environ.get("WITMILL_PEERS", ROOT / "build/peers"))
SHARED = pathlib.Path(os.environ.get("WITMILL_SHARED", ROOT / "../shared"))


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def check(self, what, good, told=""):
        """told: what was seen, for who looks after a failure."""
        self.passed += bool(good)
        self.failed += not good
        if not good:
            print(f"FAILED: {what}")
            if told:
                print(told)
        sys.stdout.flush()
        return bool(good)

    def skip(self, why):
        self.skipped += 1
        print("skipped: " + why, flush=True)

    def end(self):
        """The last line, and the exit code."""
        print(f"{self.passed} passed, {self.failed} failed, "
              f"{self.skipped} skipped")
        return 1 if self.failed else 0


def skip(why):
    """There is nothing else to do."""
    tally = Tally()
    tally.skip(why)
    sys.exit(tally.end())


def scratch(name):
    """A new folder: in $TMPDIR, whose owner looks after it, or one that goes
    when the script ends."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"witmill-{name}-"))
    if not os.environ.get("TMPDIR"):
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def enter_peers(*paths):
    """Continue in the peers' environment; skipped without one of the paths."""
    python = PEERS / "venv/bin/python"
    if os.environ.get("WITMILL_IN_PEERS"):
        return
    if not python.exists():
        skip("no build/peers/venv (tools/peers.py makes it)")
    for path in paths:
        if not path.exists():
            skip(f"no {path}")
    os.environ["WITMILL_IN_PEERS"] = "1"
    os.execv(python, [str(python), *map(str, sys.argv)])
