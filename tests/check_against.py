#!/usr/bin/env python3
"""`dedup --against` and `gather --against` on a corpus that was downloaded: an
evaluation set with one picture's bytes and one picture encoded anew; what they
count and list, what `explain` says, and a set that changes."""
import io
import os
import pathlib
import sys
import tarfile

import chain

EXACT = "http://a.test/p003.jpg"
NEAR = "http://a.test/p011.jpg"  # p012 is the same picture, encoded anew
OTHER = "http://a.test/p005.jpg"
TEXT = "words that stand on none of all these pages"


def expect(what, got, wanted):
    if got != wanted:
        sys.exit(f"{what}: {got}, expected {wanted}")


def make_set(path, members):
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def lines(corpus, pattern):
    return chain.records(*chain.parts(corpus, pattern))


def listed(corpus):
    return {r["url"]: (r["reason"], r["by"])
            for r in lines(corpus, "survivors/against.jsonl.zst")}


def rows(corpus):
    return [r["url"] for r in lines(corpus, "survivors/bucket-*.jsonl.zst")]


def count_of(run, reason):
    """Of the summary's lines, the number behind the reason; 0: no line."""
    for line in run.stdout.splitlines():
        if line.split()[:1] == [reason]:
            return int(line.split()[1].replace(",", ""))
    return 0


def told(corpus, url, by):
    out = chain.stage("explain", corpus, url).stdout
    if by not in out:
        sys.exit(f"explain {url} without {by}:\n{out}")


def check_dedup(corpus, sets, eval_tar, members):
    args = ["dedup", corpus, "--against", sets]
    before = rows(corpus)
    for url in EXACT, NEAR, OTHER:
        if url not in before:
            sys.exit(f"{url} does not survive, which tests nothing")
    chain.stage(*args, code=3)  # survivors were made without a set
    run = chain.stage(*args, "--redo")
    wanted = {EXACT: ("against-exact", f"{eval_tar}/one"),
              NEAR: ("against-near", f"{eval_tar}/two")}
    expect("listed", listed(corpus), wanted)
    for reason in "against-exact", "against-near":
        expect(reason, count_of(run, reason), 1)
    expect("survivors", rows(corpus),
           [u for u in before if u not in wanted])
    for url, (_, by) in wanted.items():
        told(corpus, url, by)
    first = chain.content_hashes(corpus)
    chain.stage(*args)  # nothing is left to do
    chain.stage(*args[:-1], f"{sets}/../{sets.name}/.")  # nor by another path
    chain.stage(*args, "--threads", 2, "--memory", "16M", "--redo")
    expect("changed", chain.differences(first, chain.content_hashes(corpus)),
           [])
    make_set(eval_tar, [*members, ("three.jpg", picture(sets.parent, OTHER))])
    chain.stage(*args, code=3)
    chain.stage(*args, "--redo")
    expect("the larger set", listed(corpus), dict(
        wanted, **{OTHER: ("against-exact", f"{eval_tar}/three")}))
    chain.stage("dedup", corpus, code=3)
    chain.stage("dedup", corpus, "--redo")
    expect("without a set", rows(corpus), before)
    print(f"dedup: {len(wanted)} of {len(before)} survivors left out and back")


def check_gather(corpus, sets):
    unique = lines(corpus, "unique/bucket-????.jsonl.zst")
    text = next(r["text"] for r in unique if r["url"] == OTHER and
                len(r["text"].split()) >= 3)
    make_set(sets / "eval.tar", [
        ("one.txt", TEXT.encode()), ("one.json",
                                     f'{{"url": "{EXACT}"}}'.encode()),
        ("two.txt", text.upper().encode())])
    args = ["gather", corpus, "--against", sets, "--against-min-words", 3]
    chain.stage(*args, code=3)
    run = chain.stage(*args, "--redo")
    chain.stage(*args[:3], f"{sets}/../{sets.name}/.", *args[4:])

    def why(r):
        if r["url"] == EXACT:
            return "against-url"
        return "against-text" if r["text"] == text else None

    gone = {r["uid"]: why(r) for r in unique if why(r)}
    expect("listed pairs", {r["uid"]: r["why"] for r in lines(
        corpus, "unique/*.against.jsonl.zst")}, gone)
    expect("left pairs", lines(corpus, "unique/bucket-????.jsonl.zst"),
           [r for r in unique if r["uid"] not in gone])
    for reason in "against-url", "against-text":
        expect(reason, count_of(run, reason),
               list(gone.values()).count(reason))
        if reason not in gone.values():
            sys.exit(f"no pair is {reason}, which tests nothing")
    told(corpus, EXACT, f"{sets}/eval.tar/one")
    print(f"gather: {len(gone)} of {len(unique)} pairs left out")


def picture(folder, url):
    return (folder / "site" / "a.test" / url.split("/")[-1]).read_bytes()


def main():
    folder = pathlib.Path(os.environ.get("TMPDIR", "/tmp")) / "against"
    sets = folder / "sets"
    sets.mkdir(parents=True, exist_ok=True)
    with chain.Site(folder, 60, missing=1000000) as site:
        members = [("one.jpg", picture(folder, EXACT)),
                   ("two.jpg", picture(folder, "p012.jpg"))]
        (folder / "site/a.test/p012.jpg").unlink()
        make_set(sets / "eval.tar", members)
        corpus = folder / "corpus"
        chain.stage("run", corpus, site.ini("chain.ini", {
            "balance": {"cap": 1000}}))
        check_dedup(corpus, sets, sets / "eval.tar", members)
        check_gather(corpus, sets)


if __name__ == "__main__":
    main()
