#!/usr/bin/env python3
"""match, gather, balance (its four modes) and dedup leave the same files, byte
for byte as they lie on disk, for 1, 2 and 7 parts, 1 and 2 threads.

usage: check_parts.py [RECORDS [few]]

RECORDS (30,000) synthetic pairs (make_records) are matched from pairs/, then
gathered, balanced and, behind ledgers that make_ledgers writes for what was
selected, searched for duplicates; the parts in falling order.  dedup takes no
--part: its parts are those of the stages that made what it reads.  The first
way, one part on one thread, says what the others have to be; stages that can
sort on disk do it in the ways that have little memory, where that is more than
it holds.  With `few` three ways and the two modes of --target, for sizes at
which each costs minutes.
"""
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

import chain

WAYS = [(1, 1, "1G"), (1, 2, "16M"), (2, 1, "16M"), (2, 2, "1G"),
        (7, 1, "1G"), (7, 2, "16M")]
FEW_WAYS = [(1, 1, "1G"), (2, 2, "256M"), (7, 2, "1G")]


def hashes(corpus, folder):
    """sha256 of the files as they are; a sidecar has dates."""
    out = {}
    for path in sorted((corpus / folder).rglob("*")):
        if path.is_file() and not path.name.endswith(".meta.json"):
            out[str(path.relative_to(corpus))] = hashlib.sha256(
                path.read_bytes()).hexdigest()
    return out


def in_parts(n, *args):
    for i in reversed(range(n)):
        chain.stage(*args, *(["--part", f"{i}/{n}"] if n > 1 else []))


def made(corpus, parts, threads, memory, modes):
    """What every stage left, by (stage, mode)."""
    out = {}
    for folder in "matched", "unique", "survivors":
        shutil.rmtree(corpus / folder, ignore_errors=True)
    how = ["--threads", threads]
    limit = [*how, "--memory", memory]
    in_parts(parts, "match", corpus, *how)
    out["match"] = hashes(corpus, "matched")
    in_parts(parts, "gather", corpus, *limit)
    if parts > 1:
        chain.stage("gather", corpus, "--finish")
    out["gather"] = hashes(corpus, "unique")
    for mode in modes:
        for folder in "selected", "images", "survivors":
            shutil.rmtree(corpus / folder, ignore_errors=True)
        if parts > 1:
            chain.stage("balance", corpus, *mode, *limit, "--plan")
        in_parts(parts, "balance", corpus, *mode, *limit)
        out["balance", *mode] = hashes(corpus, "selected")
        subprocess.run([chain.BUILD / "make_ledgers", corpus, "--kind",
                        "crowds"], check=True, stdout=subprocess.DEVNULL)
        chain.stage("dedup", corpus, *limit)
        out["dedup", *mode] = hashes(corpus, "survivors")
    return out


def refuses_mixed(corpus):
    """A part of a batch that was matched otherwise than the one before."""
    chain.stage("match", corpus, "--redo", "--part", "3/7", "--min-words", 3)
    told = chain.stage("gather", corpus, code=3).stderr
    if "was matched with other options" not in told:
        sys.exit(f"gather took parts of two kinds: {told}")
    chain.stage("match", corpus, "--redo", "--part", "3/7")
    chain.stage("gather", corpus)
    print("parts of one batch, matched with two options: refused")


def main(records=30000, few=False):
    folder = pathlib.Path(os.environ.get("TMPDIR", "/tmp")) / "parts"
    shutil.rmtree(folder, ignore_errors=True)
    corpus = folder / "corpus"
    told = json.loads(subprocess.run(
        [chain.BUILD / "make_records", corpus, "--records", str(records),
         "--parts", "14", "--queries", "3000" if records < 1e6 else "500000",
         "--bucket-bits", "3", "--hosts", "12", "--pairs"], check=True,
        capture_output=True).stdout)  # few hosts are few ledgers
    # A catalogue of counts alone: pairs in it would cost more than all else.
    chain.stage("merge", corpus, "--catalog", "none")
    target = ["--target", told["uids"] // 4]
    modes = [target, [*target, "--exact"]] + \
        ([] if few else [["--cap", 20], ["--cap", 20, "--exact"]])
    first = None
    for parts, threads, memory in FEW_WAYS if few else WAYS:
        found = made(corpus, parts, threads, memory, modes)
        first = first or found
        for what, files in first.items():
            if not files:
                sys.exit(f"{what}: nothing")
            wrong = chain.differences(files, found[what])
            if wrong:
                sys.exit(f"{what}, {parts} parts, {threads} threads, {memory}:"
                         f" other bytes: {' '.join(wrong)}")
        print(f"{parts} parts, {threads} threads, {memory}: "
              f"{sum(len(f) for f in found.values())} files as the first way",
              flush=True)
    if len({tuple(sorted(first[what].items())) for what in first}) < len(first):
        sys.exit("two modes gave one selection: that tests little")
    print(f"{records} records, {len(modes)} modes of balance: all equal")
    refuses_mixed(corpus)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]), *(a == "few" for a in sys.argv[2:3]))
