#!/usr/bin/env python3
"""tools/bench_open_clip.py: turns, halved batches, an absent peer, no time;
with a stand-in for open_clip and the reference for a GPU."""
import json
import os
import pathlib
import subprocess
import sys
import time

BENCH = [sys.executable, "tools/bench_open_clip.py", "--peer",
         f"{sys.executable} tests/peer_stand_in.py", "--our-device", "ref",
         "--precision", "fp32", "--models", "tiny-vit", "--steps", "2"]


def command(*more):
    return [*BENCH, "--witmill", os.environ["WITMILL"], *more]


def run(*more, way=""):
    done = subprocess.run(command(*more), text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=120,
                          env=dict(os.environ, STAND_IN=way))
    return done.returncode, done.stdout


def check_turns(folder):
    out = folder / "out.json"
    code, text = run("--batch", "4", "--tokens", "16,tiny-vit=8", "--peak",
                     "0.5", "--json", str(out))
    assert code == 0, text
    got = [json.loads(line) for line in out.read_text().splitlines()]
    assert [r["tokens"] for r in got] == [16, 8], got
    for r in got:
        assert r["batch"] == 4 and r["open_clip"]["images_per_s"] == 4, r
        assert abs(r["ratio"] - r["witmill"]["images_per_s"] / 4) < 1e-9, r
        assert r["witmill"]["images_per_s"] > 0, r
        assert r["open_clip"]["of_claimed"] is None, r
    assert "not compiled" in text and text.count("open_clip ") == 2, text


def check_halved(folder):
    out = folder / "small.json"
    code, text = run("--batch", "8", "--tokens", "16", "--json", str(out),
                     way="small")
    assert code == 0 and "batch 4 did not fit (open_clip); halved" in text, text
    got = json.loads(out.read_text())
    assert got["batch"] == 2 and "halved" in got["note"], got


def check_absent(folder):
    code, text = run("--batch", "4", way="absent")
    assert code == 77, text
    assert "open_clip not installed: not measured" in text, text


def check_no_time(folder):
    out = folder / "late.json"
    code, text = run("--batch", "4", "--seconds", "-1", "--json", str(out))
    assert code == 1 and "no time left" in text, text
    assert "no time left" in json.loads(out.read_text())["not_measured"]


def check_waits(folder):
    ready, go = folder / "ready", folder / "go"
    process = subprocess.Popen(
        command("--batch", "4", "--tokens", "16", "--ready", str(ready),
                "--go", str(go)), text=True, stdout=subprocess.PIPE)
    try:
        for _ in range(300):
            if ready.exists():
                break
            time.sleep(0.1)
        assert ready.exists() and process.poll() is None
        go.write_text("")
        text = process.communicate(timeout=120)[0]
    finally:
        process.kill()
    assert process.returncode == 0 and "witmill" in text, text


def main():
    folder = pathlib.Path(os.environ.get("TMPDIR", "/tmp"))
    checks = [check_turns, check_halved, check_absent, check_no_time,
              check_waits]
    for check in checks:
        check(folder)
    print(f"{len(checks)} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
