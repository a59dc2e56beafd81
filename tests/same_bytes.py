"""The same bytes for any number of threads and parts, and after kills: what
check_same.py (a few) and long_same.py (all) run and compare."""
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import chain


def report(what, reference, corpus):
    found = chain.differences(reference, chain.content_hashes(corpus))
    shards = sum(name.startswith("shards/") and name.endswith(".tar")
                 for name in reference)
    print(f"{what}: {len(reference)} outputs, {shards} shards: "
          f"{'all equal' if not found else 'DIFFER: ' + ' '.join(found)}",
          flush=True)
    return not found


def in_parts(site, corpus, n, rounds):
    """Every stage that takes parts, in n parts, the last part first."""
    net = [x for k, v in site.net().items() for word in v.split(" ")
           for x in ([f"--{k}"] if v == "yes" else [f"--{k}", word])]
    folder = site.folder

    def parts(*args):
        for i in reversed(range(n)):
            chain.stage(*args, "--part", f"{i}/{n}")

    chain.stage("queries", corpus, "--queries", folder / "queries.txt",
                "--sources", "file", "--bucket-bits", 3)
    for host in ("a", "b"):
        parts("import", corpus, "--as", host, "--html",
              folder / "site" / f"{host}.test", "--base",
              f"http://{host}.test/")
    parts("match", corpus)
    parts("gather", corpus)
    chain.stage("gather", corpus, "--finish")
    for r in range(rounds):
        chain.stage("balance", corpus, "--cap", 6, "--round", r, "--plan")
        parts("balance", corpus, "--cap", 6, "--round", r)
        if r + 1 < rounds or rounds == 4:
            parts("download", corpus, "--round", r, *net, "--min-side", 64,
                  "--image-size", 96, "--retries", 0)
    chain.stage("dedup", corpus)
    parts("pack", corpus, "--samples", 50)
    chain.stage("merge", corpus)


def killed(corpus, ini, kills, seed):
    """Run the chain, killed at random instants until it has died `kills`
    times; then to its end."""
    chance = random.Random(seed)
    done = 0
    span = 0.05
    while done < kills:
        run = subprocess.Popen([chain.WITMILL, "run", str(corpus), str(ini)],
                               stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL,
                               start_new_session=True)
        try:
            run.wait(timeout=chance.uniform(0.01, span))
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
            done += 1
            span = min(span * 1.15, 2.0)
            continue
        if run.returncode:
            sys.exit(f"after {done} kills the run failed: exit code "
                     f"{run.returncode}")
        # It came to its end: kill an earlier instant of a fresh start.
        subprocess.run(["rm", "-rf", str(corpus)], check=True)
    began = time.monotonic()
    chain.stage("run", corpus, ini)
    print(f"killed {done} times, then finished in "
          f"{time.monotonic() - began:.1f} s")


def main(pictures, thread_counts, part_counts, kills):
    """Threads and kills on a chain that begins with a crawl; parts on one that
    begins with an import, since a crawl's parts share their work by host."""
    folder = pathlib.Path(os.environ.get("TMPDIR", "/tmp")) / "same"
    folder.mkdir(parents=True, exist_ok=True)
    good = True
    with chain.Site(folder, pictures) as site:
        ini = site.ini("crawl.ini", how="crawl")
        chain.stage("run", folder / "first", ini, "--threads", 1)
        reference = chain.content_hashes(folder / "first")
        for n in thread_counts:
            chain.stage("run", folder / f"threads{n}", ini, "--threads", n)
            good &= report(f"{n} threads", reference, folder / f"threads{n}")
        if kills:
            killed(folder / "killed", ini, kills, 1)
            good &= report(f"{kills} kills", reference, folder / "killed")
        chain.stage("run", folder / "whole", site.ini("import.ini"))
        reference = chain.content_hashes(folder / "whole")
        rounds = len(chain.parts(folder / "whole", "selected/round-*"))
        for n in part_counts:
            in_parts(site, folder / f"parts{n}", n, rounds)
            good &= report(f"{n} parts", reference, folder / f"parts{n}")
    sys.exit(0 if good else 1)
