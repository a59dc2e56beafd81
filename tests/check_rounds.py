#!/usr/bin/env python3
"""The whole chain on a small site whose pictures are partly missing or broken:
the rounds' caps and pairs agree with oracle_chain.py, by draws and by ranks;
what survives agrees with oracle_dedup.py;
the shards read back with tarfile alone."""
import io
import json
import os
import pathlib
import sys
import tarfile

import chain
import oracle_chain as oracle
import oracle_dedup


def fail(text):
    sys.exit(text)


def images(corpus, passes):
    """URLs that gave an image in passes below `passes`."""
    found = set()
    for path in chain.parts(corpus, "images/*.ledger.jsonl.zst"):
        if int(path.name[4:6]) < passes:
            found |= {r["url"] for r in chain.records(path)
                      if r["outcome"] == "image"}
    return found


def check_rounds(corpus, cap, exact):
    norms = {g: n for i, _, n, g in chain.queries(corpus) if i == g}
    unique = chain.records(*chain.parts(corpus, "unique/*.jsonl.zst"))
    counts = {}
    for r in unique:
        for q in r["q"]:
            counts[q] = counts.get(q, 0) + 1
    d = oracle.draws(unique, counts, norms, 0, exact)
    t, before, added = dict.fromkeys(norms, cap), {}, []
    for number in range(4):
        if number:
            before = t
            t = oracle.raise_caps(unique, d, cap, t, counts,
                                  images(corpus, number))
        ours = chain.records(*chain.parts(
            corpus, f"selected/round-{number}/*.jsonl.zst"))
        theirs = oracle.select(unique, d, t, before)
        if ours != theirs:
            fail(f"round {number}, exact {exact}: {len(ours)} pairs against "
                 f"{len(theirs)}")
        added.append(len(ours))
        if t == before:
            break
    if len(added) < 2 or not added[1]:
        fail("no round found replacements: the site is too good")
    print(f"{'ranks' if exact else 'draws'}: rounds added {added}, all equal")
    return d, t


def check_survivors(corpus, exact):
    """exact: None, or (ranks, cap, the caps after the last round)."""
    rows, gone = oracle_dedup.survivors(
        chain.records(*chain.parts(corpus, "selected/*/*.jsonl.zst")),
        chain.records(*chain.parts(corpus, "images/*.ledger.jsonl.zst")),
        0, exact=exact)
    ours = [(r["url"], [(t["uid"], t["s"], t["keep"]) for t in r["texts"]])
            for r in chain.records(*chain.parts(corpus,
                                                "survivors/bucket-*.zst"))]
    if ours != rows:
        fail(f"{len(ours)} survivors against {len(rows)}")
    ours = {r["url"]: (r["reason"], r["by"]) for r in chain.records(
        *chain.parts(corpus, "survivors/duplicates.jsonl.zst"))}
    if ours != gone:
        fail(f"{len(ours)} duplicates against {len(gone)}")
    print(f"{len(rows)} survivors, {len(gone)} duplicates, all equal")


def check_shards(corpus, samples):
    total, keys = 0, []
    shards = chain.parts(corpus, "shards/*.tar")
    for k, path in enumerate(shards):
        with tarfile.open(path) as tar:
            members = tar.getmembers()
            data = {m.name: tar.extractfile(m).read() for m in members}
        names = [m.name for m in members]
        if len(names) % 3:
            fail(f"{path}: {len(names)} members")
        for i in range(0, len(names), 3):
            key = names[i].split(".")[0]
            if names[i:i + 3] != [key + ".jpg", key + ".json", key + ".txt"]:
                fail(f"{path}: {names[i:i + 3]} are not adjacent")
            meta = json.loads(data[key + ".json"])
            jpeg = data[key + ".jpg"]
            if jpeg[:3] != b"\xff\xd8\xff" or jpeg[-2:] != b"\xff\xd9":
                fail(f"{path}: {key}.jpg is no JPEG")
            check_jpeg(jpeg, path, key, meta)
            text = data[key + ".txt"].decode()
            best = min(meta["texts"], key=lambda x: (x["s"], x["uid"]))
            if text != meta["caption"] or text != best["text"] or \
                    meta["uid"] != best["uid"] or \
                    meta["uid"] != oracle.uid_of(text, meta["url"]):
                fail(f"{path}: {key}: the caption is not its smallest text")
            keys.append((oracle.url_hash(meta["url"], 0), meta["url"]))
            total += 1
        if k + 1 < len(shards) and len(names) != 3 * samples:
            fail(f"{path}: {len(names) // 3} samples, {samples} expected")
    if keys != sorted(keys) or len(set(keys)) != len(keys):
        fail("the samples are not in (H(url), url) order, or not distinct")
    if total < 50:
        fail(f"only {total} samples")
    print(f"{total} samples in {len(shards)} shards, as they should be")


def check_jpeg(jpeg, path, key, meta):
    """Decode with Pillow where there is one."""
    try:
        from PIL import Image
    except ImportError:
        return
    picture = Image.open(io.BytesIO(jpeg))
    picture.load()
    if picture.size != (meta["width"], meta["height"]):
        fail(f"{path}: {key}: {picture.size}, the json says otherwise")


def sidecars(corpus):
    return {p: p.read_bytes() for p in corpus.rglob("*.meta.json")}


def main():
    folder = pathlib.Path(os.environ.get("TMPDIR", "/tmp")) / "rounds"
    folder.mkdir(parents=True, exist_ok=True)
    with chain.Site(folder, 60) as site:
        for exact in (False, True):
            corpus = folder / ("ranks" if exact else "draws")
            ini = site.ini(corpus.name + ".ini", {
                "balance": {"exact": "yes"} if exact else {}})
            chain.stage("run", corpus, ini)
            d, t = check_rounds(corpus, 6, exact)
            check_survivors(corpus, (d, 6, t) if exact else None)
            check_shards(corpus, 50)
            made = sidecars(corpus)
            chain.stage("run", corpus, ini)
            if sidecars(corpus) != made:
                fail("a second run made something anew")


if __name__ == "__main__":
    main()
