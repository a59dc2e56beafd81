"""gather on synthetic records: what check_gather_scale.py (a few) and
long_gather_scale.py (many) run.  The same bytes for any parts, threads and
memory, also where buckets are sorted on disk; the numbers that make_records
knows; evaluation sets left out as plain loops would; kills and full disks
while records lie on disk."""
import collections
import io
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tarfile

import chain

SHIM = chain.BUILD / "faultfs.so"
SHIM_WORKS = SHIM.exists() and "+" not in chain.BUILD.name and \
    not chain.BUILD.name.endswith("thread")
SMALL = ["--memory", "16M", "--threads", 4]  # 4 MiB each, the least
MIN_WORDS = 5


def make(folder, name, records, parts):
    corpus = folder / name
    out = subprocess.run(
        [str(chain.BUILD / "make_records"), str(corpus), "--records",
         str(records), "--parts", str(parts), "--queries", "5000",
         "--bucket-bits", "1"], check=True, capture_output=True).stdout
    return corpus, json.loads(out)


def counts(corpus):
    """Sums over the buckets' sidecars, counts and drops together."""
    total = collections.Counter()
    for path in corpus.glob("unique/bucket-*.meta.json"):
        side = json.loads(path.read_text())
        total.update(side["counts"])
        total.update(side["drops"])
    return total


def expect(what, found, wanted):
    if found != wanted:
        sys.exit(f"{what}: {found}, expected {wanted}")


def same(what, reference, corpus):
    found = chain.differences(reference, chain.content_hashes(corpus))
    if found:
        sys.exit(f"{what}: other bytes: {found}")


def again(corpus, *args):
    """gather anew; its summary."""
    shutil.rmtree(corpus / "unique", ignore_errors=True)
    return chain.stage("gather", corpus, *args).stdout


def on_disk(summary):
    return "bytes sorted on disk" in summary


# ---- the same bytes ----

def check_same(folder, records):
    corpus, told = make(folder, "seven", records, 7)
    if on_disk(again(corpus, "--threads", 1, "--memory", "1G")):
        sys.exit("that memory was to be enough")
    reference = chain.content_hashes(corpus)
    found = counts(corpus)
    for ours, theirs in (("read", "records"), ("records", "uids"),
                         ("urls", "urls"), ("duplicate-uid", "copies"),
                         ("urls-with-texts", "urls_with_texts")):
        expect(ours, found[ours], told[theirs])
    again(corpus, "--threads", 2)
    same("2 threads", reference, corpus)
    if not on_disk(again(corpus, *SMALL)):
        sys.exit("little memory was to need the disk")
    same("on disk", reference, corpus)
    for n in 2, 7:
        shutil.rmtree(corpus / "unique")
        for i in reversed(range(n)):
            chain.stage("gather", corpus, "--part", f"{i}/{n}", *SMALL)
        told = chain.stage("gather", corpus, "--finish").stdout
        if f" {found['records']:,}\n" not in told:
            sys.exit(f"--finish is to tell of all parts: {told}")
        same(f"{n} parts", reference, corpus)
    for n in 1, 2:  # the same records, cut otherwise on their way here
        other, _ = make(folder, f"in{n}", records, n)
        again(other)
        same(f"from {n} matched parts", reference, other)
        shutil.rmtree(other)
    print(f"{records} records: the same bytes for 1, 2, 7 parts, 1, 2, 4 "
          "threads, in memory and on disk; "
          f"{found['records']} uids of {found['urls']} URLs as made",
          flush=True)
    return corpus, reference


# ---- evaluation sets ----

def words(text):
    return " ".join(re.findall("[a-z0-9]+", text.lower()))


def evaluation_set(folder, unique):
    """A tar and a list that have some of the corpus; what they have of it."""
    texts, urls = set(), set()
    tar_path = folder / "sets/deep/eval.tar"
    tar_path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(tar_path, "w") as tar:
        def put(name, data):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))

        for i, r in enumerate(unique[::97]):
            text = r["text"].upper().replace(" ", ", ") + "!"
            put(f"{i:05}.jpg", b"not looked at")
            put(f"{i:05}.txt", text.encode())
            texts.add(words(text))
    with open(folder / "sets/list.jsonl", "w", encoding="utf-8") as out:
        for r in unique[::89]:
            out.write(json.dumps({"url": r["url"].replace("http", "HTTP", 1)
                                  + "#x", "text": None}) + "\n")
            urls.add(r["url"])
        for r in unique[::83]:
            out.write(json.dumps({"texts": [{"text": r["text"]}, "none"],
                                  "url": ""}) + "\n")
            texts.add(words(r["text"]))
    return {t for t in texts if len(t.split()) >= MIN_WORDS}, urls


def check_against(folder, corpus, reference):
    again(corpus)
    unique = chain.records(*chain.parts(corpus, "unique/bucket-*.jsonl.zst"))
    texts, urls = evaluation_set(folder, unique)
    kept, gone = [], {}
    for r in unique:
        if r["url"] in urls:
            gone[r["uid"]] = "against-url"
        elif words(r["text"]) in texts:
            gone[r["uid"]] = "against-text"
        else:
            kept.append(r)
    args = ["--against", folder / "sets"]
    chain.stage("gather", corpus, *args, code=3)  # another making
    chain.stage("gather", corpus, *args, "--redo")
    first = chain.content_hashes(corpus)
    expect("kept", chain.records(*chain.parts(
        corpus, "unique/bucket-????.jsonl.zst")), kept)
    listed = chain.records(*chain.parts(corpus, "unique/*.against.jsonl.zst"))
    expect("listed", {r["uid"]: r["why"] for r in listed}, gone)
    expect("listed once", len(listed), len(gone))
    for r in listed:
        name = "deep/eval.tar/" if "eval.tar" in r["by"] else "list.jsonl:"
        if not r["by"].startswith(f"{folder / 'sets'}/{name}"):
            sys.exit(f"by {r['by']}")
    found = counts(corpus)
    for why in "against-url", "against-text":
        expect(why, found[why], list(gone.values()).count(why))
        if found[why] < 20:
            sys.exit(f"{found[why]} of {why}: that tests little")
    expect("urls", found["urls"], len({r["url"] for r in kept}))
    chain.stage("verify", corpus)
    for why, word in ("against-url", "URL"), ("against-text", "text"):
        r = next(r for r in listed if r["why"] == why)
        told = chain.stage("explain", corpus, r["url"]).stdout
        if f"its {word} is in an evaluation set: {r['by']}" not in told:
            sys.exit(f"explain {r['url']}:\n{told}")
    again(corpus, *args, *SMALL)
    same("evaluation sets, on disk", first, corpus)
    # The set's bytes are an input, and what it listed goes with it.
    with open(folder / "sets/list.jsonl", "a", encoding="utf-8") as out:
        out.write("{}\n")
    chain.stage("gather", corpus, *args, code=3)
    chain.stage("gather", corpus, "--redo")
    same("without evaluation sets again", reference, corpus)
    chain.stage("gather", corpus, "--part", "0/2", "--redo", *args)
    run = chain.stage("gather", corpus, "--finish", "--redo", code=3)
    if "other options or inputs" not in run.stderr:
        sys.exit(f"buckets of two makings: {run.stderr}")
    chain.stage("gather", corpus, "--redo")
    print(f"evaluation sets: {len(gone)} of {len(unique)} left out, as plain "
          "loops would", flush=True)


# ---- kills, full disks ----

def broken(corpus, at, kill):
    """Die, or have no room, at call `at` while sorting on disk; False when
    there was no such call."""
    env = dict(os.environ, LD_PRELOAD=str(SHIM), FAULT_AT=str(at))
    if kill:
        env["FAULT_KILL"] = "1"
    shutil.rmtree(corpus / "unique", ignore_errors=True)
    run = subprocess.run([chain.WITMILL, "gather", str(corpus),
                          *map(str, SMALL)], env=env, capture_output=True,
                         text=True)
    if run.returncode == 0:
        return False
    where = f"{'killed' if kill else 'no room'} at {at}"
    if run.returncode != (-signal.SIGKILL if kill else 3):
        sys.exit(f"{where}: exit code {run.returncode}\n{run.stderr}")
    if not kill and "no space" not in run.stderr.lower() and \
            "disk is full" not in run.stderr.lower():
        sys.exit(f"{where}: no clear message\n{run.stderr}")
    left = [p.name for p in (corpus / "unique").glob("*")
            if not p.name.startswith(("bucket-", "counts."))]
    left += [p.name for p in (corpus / "unique").glob(".*")]
    if left:
        sys.exit(f"{where}: left behind: {left}")
    return True


def check_faults(corpus, reference, step):
    if not SHIM_WORKS:
        print("skipped: the fault shim does not go with sanitizers")
        return
    for kill in True, False:
        at, tried = 1, 0
        while broken(corpus, at, kill):
            chain.stage("gather", corpus, *SMALL)
            same(f"after call {at}", reference, corpus)
            at += step
            tried += 1
        if tried < 3:
            sys.exit(f"only {tried} calls?")
        print(f"{tried} {'kills' if kill else 'full disks'} up to call {at}: "
              "nothing left behind, then the same bytes", flush=True)


def main(records, step):
    folder = pathlib.Path(os.environ.get("TMPDIR", "/tmp")) / "gather"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    corpus, reference = check_same(folder, records)
    check_against(folder, corpus, reference)
    check_faults(corpus, reference, step)
    shutil.rmtree(folder)
