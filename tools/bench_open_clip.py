#!/usr/bin/env python3
"""Steps of training beside open_clip's: the same models, batch and synthetic
input on the same device, in turns, in one call.

usage: tools/bench_open_clip.py --witmill PROGRAM [--device cuda|cpu]
       [--models A,B] [--batch N|A=N,B=N] [--tokens 77,20] [--steps N]
       [--rounds N] [--precision bf16|fp32] [--no-compile] [--peak TFLOPS]
       [--seconds N] [--patience N] [--json FILE] [--ready FILE --go FILE]

open_clip (tools/open_clip_steps.py, which says what it needs and how it is set)
runs with bf16 autocast, torch.compile and fused attention, and computes all 77
places of a caption whatever stands there: it is timed once a round for all
--tokens.  Ours is `witmill train --generated`, pictures made on the host and
sent to the device in every step, which open_clip is spared.

For each model: theirs, ours with each number of tokens, theirs again, so many
rounds; compilation and first steps are left out; a figure is the median step,
beside it how far apart 8 of 10 steps lie.  Where either does not fit into the
device, both are given half the batch, and the line says so.  Useful operations
are those of the model with captions padded, for both.

The peers compile at once, side by side, --patience seconds at most; then
--ready is written, and nothing is timed before --go exists.  --json gets a line
for each result as soon as there is one.  Past --seconds from then on, what is
left is not measured.

Exits 77 where open_clip is not installed, 1 where something was not measured.
"""
import argparse
import json
import pathlib
import queue
import re
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).parent
SKIPPED = 77
BATCH = {"ViT-B-32": 2048, "ViT-B-16": 512, "ViT-L-14": 512,
         "ViT-L-14-336": 256, "RN50": 512, "RN101": 512, "RN50x4": 256}
WANTED = {("ViT-B-32", 77): 2.0, ("ViT-L-14", 77): 1.4, ("ViT-B-32", 20): 2.5}
# TFLOP/s of dense bf16 products by NVIDIA's datasheets
CLAIMED = {"H200": 989, "H100": 989, "A100": 312}


class NoRoom(Exception):
    pass


class Failed(Exception):
    pass


class Peer:
    """open_clip's process for one model and batch."""

    def __init__(self, a, model, n, log):
        self.model, self.n, self.log = model, n, log
        words = [f"device={a.device}", "serve=1", "tokens=77",
                 f"compile={int(a.compile)}",
                 f"channels_last={int(model.startswith('RN'))}"]
        # its lines go to the end of a file that nobody waits for
        self.process = subprocess.Popen(
            [*a.peer.split(), model, a.precision, str(n), "0", *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=open(log, "w", encoding="utf-8"), text=True)
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def line(self, seconds):
        """The next JSON, past what libraries print; None behind the last."""
        ends = time.monotonic() + max(seconds, 0.1)
        while True:
            try:
                line = self.lines.get(timeout=max(ends - time.monotonic(), 0))
            except queue.Empty:
                raise Failed("open_clip did not answer in time") from None
            if line is None or line.startswith("{"):
                return line

    def answer(self, seconds):
        line = self.line(seconds)
        if line is None:
            code = self.process.wait()
            said = pathlib.Path(self.log).read_text("utf-8").splitlines()
            if code == SKIPPED:
                raise ImportError(said[-1] if said else "")
            raise Failed(f"open_clip ended ({code}): "
                         f"{said[-1] if said else 'no word'}")
        got = json.loads(line)
        if "out_of_memory" in got:
            raise NoRoom("open_clip")
        return got

    def steps(self, n, seconds):
        self.process.stdin.write(f"{n}\n")
        self.process.stdin.flush()
        return self.answer(seconds)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def ours(a, model, n, tokens, seconds):
    """What `witmill train` says of some steps."""
    command = [*a.witmill.split(), "train", "--generated", "--device",
               a.our_device or a.device, "--model", model, "--precision",
               a.precision, "--batch", str(n), "--steps", str(a.steps + 4),
               "--caption-tokens", str(tokens)]
    if a.tune:
        command.append("--tune")
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True,
                              timeout=max(seconds, 1))
    except subprocess.TimeoutExpired:
        raise Failed("witmill took too long") from None
    if done.returncode:
        if "no room" in done.stderr or "out of memory" in done.stderr:
            raise NoRoom("witmill")
        said = done.stderr.splitlines()
        raise Failed(f"witmill: {said[-1] if said else done.returncode}")
    found = dict(re.findall(r"^  (\S.*?)  +(-?[\d.]+)(?: .*)?$", done.stdout,
                            re.M))
    spread = re.search(r"^  seconds of 8 steps in 10 +([\d.]+) to ([\d.]+)",
                       done.stdout, re.M)
    mean = float(found["seconds a step"])
    return {"on": done.stdout.splitlines()[0].split(" on ", 1)[-1],
            "images_per_s_median": float(found["by the median step"]),
            "fast_s": float(spread[1]), "slow_s": float(spread[2]),
            "useful_flop": float(found["useful TFLOP/s"]) * mean * 1e12,
            "mib": float(found["MiB of activations"]) +
            float(found["MiB of weights and moments"])}


def median(values):
    return sorted(values)[len(values) // 2]


def summary(got, n):
    """Of one side's rounds: images/s and how far apart steps lie."""
    speed = median([g["images_per_s_median"] for g in got])
    apart = (max(g["slow_s"] for g in got) - min(g["fast_s"] for g in got)) \
        * speed / n
    return {"images_per_s": speed, "spread": apart,
            "mib": max(g.get("mib", 0) for g in got)}


def result(a, model, n, note, theirs, mine, tokens):
    r = {"model": model, "batch": n, "tokens": tokens, "note": note,
         "compiled": all(t["compiled"] for t in theirs),
         "open_clip": summary(theirs, n), "witmill": summary(mine, n),
         "wanted": WANTED.get((model, tokens))}
    r["ratio"] = r["witmill"]["images_per_s"] / r["open_clip"]["images_per_s"]
    claimed = next((v for k, v in CLAIMED.items() if k in mine[0]["on"]), 0)
    for side in ("open_clip", "witmill"):
        s = r[side]
        s["tflops"] = mine[0]["useful_flop"] * s["images_per_s"] / n * 1e-12
        s["of_measured"] = s["tflops"] / a.peak if a.peak else None
        s["of_claimed"] = s["tflops"] / claimed if claimed else None
    return r


def measure(a, model, peer, ends):
    """Rounds of one model at the peer's batch."""
    theirs, mine = [], {t: [] for t in a.tokens}
    left = lambda: ends - time.monotonic()  # noqa: E731
    for _ in range(a.rounds):
        theirs.append(peer.steps(a.steps, left()))
        for tokens in a.tokens_of(model):
            mine[tokens].append(ours(a, model, peer.n, tokens, left()))
        theirs.append(peer.steps(a.steps, left()))
        if left() < 0:
            break
    return theirs, {t: m for t, m in mine.items() if m}


HEAD = (f"{'model':13} {'batch':>6} {'tokens':>6}  {'':9} {'images/s':>9} "
        f"{'+-':>6} {'TFLOP/s':>8} {'measured':>9} {'claimed':>8} {'MiB':>8}  "
        "ratio")


def part(x):
    return "" if x is None else f"{100 * x:.1f}%"


def show(r):
    for side in ("open_clip", "witmill"):
        s = r[side]
        end = ""
        if side == "witmill":
            wanted = f" (wanted {r['wanted']})" if r["wanted"] else ""
            end = f"{r['ratio']:.2f}{wanted}"
        elif not r["compiled"]:
            end = "not compiled"
        print(f"{r['model']:13} {r['batch']:6} {r['tokens']:6}  {side:9} "
              f"{s['images_per_s']:9.4g} {part(s['spread']):>6} "
              f"{s['tflops']:8.4g} {part(s['of_measured']):>9} "
              f"{part(s['of_claimed']):>8} {s['mib']:8.0f}  {end}")
    if r["note"]:
        print(f"    {r['note']}")
    sys.stdout.flush()


class Bench:
    def __init__(self, a, folder):
        self.a, self.folder, self.bad = a, folder, 0
        self.json = open(a.json, "w", encoding="utf-8") if a.json else None

    def put(self, r):
        if self.json:
            self.json.write(json.dumps(r) + "\n")
            self.json.flush()

    def miss(self, model, why):
        self.bad = 1
        print(f"{model}: not measured: {why}", flush=True)
        self.put({"model": model, "not_measured": str(why)})

    def start(self, model, n):
        return Peer(self.a, model, n, f"{self.folder}/{model}.{n}.log")

    def one(self, model, peer, ends):
        """Halve the batch until both fit."""
        note = ""
        while True:
            try:
                theirs, mine = measure(self.a, model, peer, ends)
                for tokens, got in mine.items():
                    r = result(self.a, model, peer.n, note, theirs, got,
                               tokens)
                    show(r)
                    self.put(r)
                return
            except NoRoom as e:
                note = f"batch {peer.n} did not fit ({e}); halved for both"
                peer.close()
                if peer.n < 2:
                    raise Failed(note) from None
                peer = self.start(model, peer.n // 2)
                peer.answer(min(self.a.patience, ends - time.monotonic()))
            finally:
                self.peer = peer

    def wait_ready(self, peers):
        ends = time.monotonic() + self.a.patience
        for model, peer in list(peers.items()):
            try:
                got = peer.answer(ends - time.monotonic())
                print(f"{model}: ready after {got['seconds']} s, torch "
                      f"{got['torch']}", flush=True)
            except (Failed, NoRoom) as e:
                self.miss(model, e)
                peer.close()
                del peers[model]

    def run(self):
        a = self.a
        peers = {m: self.start(m, a.batch_of(m)) for m in a.models}
        try:
            self.wait_ready(peers)
            if a.ready:
                pathlib.Path(a.ready).write_text("ready\n", "ascii")
            while a.go and not pathlib.Path(a.go).exists():
                time.sleep(0.2)
            ends = time.monotonic() + a.seconds
            if peers:
                print(HEAD, flush=True)
            for model, peer in peers.items():
                self.peer = peer
                try:
                    if time.monotonic() > ends:
                        raise Failed(f"no time left of {a.seconds} s")
                    self.one(model, peer, ends)
                except Failed as e:
                    self.miss(model, e)
                self.peer.close()
        except ImportError as e:
            print(f"open_clip not installed: not measured ({e})")
            return SKIPPED
        finally:
            for peer in peers.values():
                peer.close()
        return self.bad


def arguments():
    p = argparse.ArgumentParser(
        usage=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--witmill", required=True)
    p.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    p.add_argument("--our-device", help="witmill's, where it is another")
    p.add_argument("--models", default="ViT-B-32,ViT-L-14,RN50")
    p.add_argument("--batch", default="")
    p.add_argument("--tokens", default="77,20",
                   help="or of single models: 77,ViT-B-32=20")
    p.add_argument("--steps", type=int, default=10)
    p.add_argument("--rounds", type=int, default=1)
    p.add_argument("--precision", default="bf16", choices=["bf16", "fp32"])
    p.add_argument("--no-compile", dest="compile", action="store_false")
    p.add_argument("--tune", action="store_true")
    p.add_argument("--peak", type=float, default=0)
    p.add_argument("--seconds", type=float, default=3600)
    p.add_argument("--patience", type=float, default=240)
    p.add_argument("--json")
    p.add_argument("--ready")
    p.add_argument("--go")
    p.add_argument("--peer", default=f"{sys.executable} "
                   f"{HERE / 'open_clip_steps.py'}", help="for its tests")
    a = p.parse_args()
    a.models = a.models.split(",")
    given = [w.partition("=") for w in a.batch.split(",") if w]
    whole = next((int(n) for n, equals, _ in given if not equals), None)
    single = {m: int(n) for m, equals, n in given if equals}
    a.batch_of = lambda m: single.get(m, whole or BATCH.get(m, 256))
    listed = [w.rpartition("=") for w in a.tokens.split(",")]
    a.tokens = list(dict.fromkeys(int(n) for _, _, n in listed))
    a.tokens_of = lambda m: list(dict.fromkeys(
        int(n) for of, _, n in listed if of in ("", m)))
    return a


def main():
    a = arguments()
    with tempfile.TemporaryDirectory() as folder:
        return Bench(a, folder).run()


if __name__ == "__main__":
    sys.exit(main())
