#!/usr/bin/env python3
"""What was made from something that has changed since is refused, and with
--redo replaced, all the way down the chain: no stage takes an output that its
own stage would refuse."""
import os
import pathlib
import shutil
import sys

import chain


def rounds(corpus):
    return sorted(p.name for p in (corpus / "selected").iterdir())


def refused(what, *args):
    """A stage stops with exit code 3 and says how to go on."""
    run = chain.stage(*args, code=None)
    if run.returncode != 3 or what not in run.stderr:
        sys.exit(f"{' '.join(map(str, args))}: exit code {run.returncode}, "
                 f"expected 3 and {what!r}\n{run.stdout}{run.stderr}")


def fewer_rounds(corpus):
    """Survivors of one round are not packed beside the caps of two."""
    last = corpus / "selected" / rounds(corpus)[-1]
    shutil.move(last, corpus.with_name("last"))
    chain.stage("dedup", corpus, "--redo")
    chain.stage("pack", corpus, "--samples", 50, "--redo")
    shutil.move(corpus.with_name("last"), last)
    refused("dedup", "pack", corpus, "--samples", 50, "--redo")
    print("survivors of fewer rounds are not packed")


def later_rounds(corpus):
    """A redone round takes along the rounds that came from it."""
    shutil.copytree(corpus, corpus.with_name("copy"))
    chain.stage("balance", corpus, "--cap", 2, "--redo")
    if rounds(corpus) != ["round-0"]:
        sys.exit(f"rounds left by a smaller cap: {rounds(corpus)}")
    # The rounds of two makings, as a kill or a copied folder leaves them.
    old = corpus.with_name("copy") / "selected/round-1"
    shutil.copytree(old, corpus / "selected/round-1")
    refused("balance --round 1", "dedup", corpus, "--redo")
    refused("balance --round 1", "download", corpus, "--round", 1,
            "--contact", "test@example.org")
    shutil.rmtree(corpus / "selected/round-1")
    # Buckets of another plan.
    for path in old.parent.joinpath("round-0").glob("bucket-0000*"):
        shutil.copy(path, corpus / "selected/round-0" / path.name)
    refused("balance --round 0", "dedup", corpus, "--redo")
    print("rounds of two makings are refused, and go with --redo")


def query_list(corpus, folder):
    """Another list makes matched/ and all behind it stale."""
    (folder / "other.txt").write_text("\n".join(reversed(chain.LIST)) + "\n",
                                      encoding="utf-8")
    other = ["queries", corpus, "--queries", folder / "other.txt",
             "--sources", "file", "--redo", "--bucket-bits"]
    chain.stage(*other, 3)
    refused("match", "gather", corpus)
    refused("gather", "balance", corpus, "--cap", 6, "--redo")
    refused("gather", "balance", corpus, "--part", "0/2", "--cap", 6, "--redo")
    chain.stage("match", corpus, "--part", "0/2", "--redo")
    refused("match", "gather", corpus, "--redo")
    chain.stage("match", corpus, "--redo")
    chain.stage("gather", corpus, "--redo")
    # Fewer buckets: the others go.
    chain.stage(*other, 1)
    chain.stage("match", corpus, "--redo")
    refused("--redo", "gather", corpus)
    chain.stage("gather", corpus, "--redo")
    chain.stage("balance", corpus, "--cap", 6, "--redo")
    for pattern in ("unique/bucket-*.meta.json",
                    "selected/*/bucket-*.meta.json"):
        if len(chain.parts(corpus, pattern)) != 2:
            sys.exit(f"{pattern}: {chain.parts(corpus, pattern)}")
    # A part selects by the plan, and may not say that it had other options.
    refused("--cap 6, now 7", "balance", corpus, "--part", "0/2", "--cap", 7,
            "--redo")
    chain.stage("balance", corpus, "--part", "0/2", "--cap", 6)
    print("another query list is noticed by every stage behind it")


def batches(corpus, folder):
    """A batch that nobody matched is not left out in silence."""
    (folder / "more.tsv").write_text("http://c.test/x.jpg\ta dog at night\n",
                                     encoding="utf-8")
    chain.stage("import", corpus, "--links", folder / "more.tsv", "--as",
                "more")
    refused("match", "gather", corpus, "--redo")
    chain.stage("match", corpus)
    chain.stage("gather", corpus, "--redo")
    (folder / "more.tsv").write_text("http://c.test/y.jpg\ta cat at night\n",
                                     encoding="utf-8")
    chain.stage("import", corpus, "--links", folder / "more.tsv", "--as",
                "more", "--redo")
    refused("match", "gather", corpus, "--redo")
    print("a batch not matched, or matched before it changed, is refused")


def gaps(corpus, folder):
    """Parts need not be numbered without gaps: a crawl in parts is not."""
    lists = []
    for i in range(4):
        path = folder / f"gap-{i}.tsv"
        path.write_text(f"http://d.test/{i}.jpg\ta dog at night\n",
                        encoding="utf-8")
        lists += ["--links", path]
    chain.stage("import", corpus, *lists, "--as", "gaps")
    for path in (corpus / "pairs/gaps").glob("part-00001*"):
        path.unlink()
    chain.stage("match", corpus, "--redo")
    chain.stage("match", corpus)
    if len(chain.parts(corpus, "matched/gaps/*.meta.json")) != 3:
        sys.exit(f"{chain.parts(corpus, 'matched/gaps/*')}")
    for path in (corpus / "pairs/gaps").glob("part-00003*"):
        path.unlink()
    refused("part-00003", "match", corpus)
    chain.stage("match", corpus, "--redo")
    if len(chain.parts(corpus, "matched/gaps/*.meta.json")) != 2:
        sys.exit(f"{chain.parts(corpus, 'matched/gaps/*')}")
    print("parts with gaps are matched and kept")


def main():
    folder = pathlib.Path(os.environ.get("TMPDIR", "/tmp")) / "stale"
    folder.mkdir(parents=True, exist_ok=True)
    corpus = folder / "corpus"
    with chain.Site(folder, 24, missing=4) as site:
        chain.stage("run", corpus, site.ini("site.ini"), "--rounds", 2)
    if len(rounds(corpus)) < 2:
        sys.exit("the site is too good: no second round")
    fewer_rounds(corpus)
    later_rounds(corpus)
    query_list(corpus, folder)
    batches(corpus, folder)
    gaps(corpus, folder)


if __name__ == "__main__":
    main()
