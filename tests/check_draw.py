#!/usr/bin/env python3
"""The draw, recomputed: words, matches, unique records, counts, s, keep and the
kept set of small corpora agree with oracle_chain.py in every pair, by draws,
by --exact ranks and by --target, under two seeds."""
import json
import math
import os
import pathlib
import sys

import chain
import oracle_chain as oracle

SUBJECTS = ["a red dog", "two dogs", "the dog's bowl", "Café au lait",
            "cafe", "犬の写真 tokyo", "Olive oil, extra virgin", "olive OIL",
            "a cat and a dog", "can't stop", "ＤＯＧ show", "street 12",
            "Straße und Strasse", "the the the dog"]
QUERIES = ["dog", "dogs", "a dog", "red", "olive oil", "Olive Oil", "café",
           "cafe", "tokyo", "犬", "写真", "can't", "straße", "12", "the",
           "street", "a", "?!", "au lait", "dog show", "the dog's"]


def write_inputs(folder):
    (folder / "queries.txt").write_text("\n".join(QUERIES) + "\n",
                                        encoding="utf-8")
    lines = []
    for i in range(600):
        text = SUBJECTS[i * 7 % len(SUBJECTS)]
        text += f" number {i % 41}" if i % 3 else ""
        host = f"host{i % 5}.test"
        # Some URLs come with several texts, some pairs twice.
        lines.append(f"http://{host}/p/{i % 450}.jpg\t{text}")
    for name, part in (("one.tsv", lines[:350]), ("two.tsv", lines[300:])):
        (folder / name).write_text("\n".join(part) + "\n", encoding="utf-8")
    page = "".join(f'<p><img src="/p/{i}.jpg" alt="{SUBJECTS[i % 14]}" '
                   f'title="picture {i} of a dog"></p>' for i in range(60))
    (folder / "site").mkdir()
    (folder / "site/index.html").write_text(page, encoding="utf-8")
    (folder / "site/again.html").write_text(page, encoding="utf-8")


def build(folder, seed):
    corpus = folder / f"c{seed}"
    chain.stage("queries", corpus, "--queries", folder / "queries.txt",
                "--sources", "file", "--seed", seed, "--bucket-bits", 3)
    chain.stage("import", corpus, "--links", folder / "one.tsv", "--links",
                folder / "two.tsv", "--html", folder / "site", "--base",
                "http://host0.test/", "--as", "lists")
    chain.stage("match", corpus)
    chain.stage("gather", corpus)
    return corpus


def same(what, ours, theirs):
    if ours != theirs:
        for a, b in zip(ours, theirs):
            if a != b:
                sys.exit(f"{what} differ:\n  witmill {a}\n  oracle  {b}")
        sys.exit(f"{what}: {len(ours)} against {len(theirs)}")


def check(corpus, seed):
    rows = chain.queries(corpus)
    for _, text, norm, _ in rows:
        same(f"norm of {text!r}", norm or "", " ".join(oracle.words(text)))
    norms = {g: n for i, _, n, g in rows if i == g}
    trie = {tuple(n.split(" ")): g for g, n in norms.items()}
    pairs = chain.records(*chain.parts(corpus, "pairs/*/part-*.zst"))
    for p in pairs:
        same("uid", p["uid"], oracle.uid_of(p["text"], p["url"]))
    matched = [dict(p, q=oracle.matches(p["text"], trie)) for p in pairs
               if len(oracle.words(p["text"])) >= 2]
    matched = [p for p in matched if p["q"]]
    unique, counts = oracle.gather(matched, seed)
    same("unique records", chain.records(
        *chain.parts(corpus, "unique/*.jsonl.zst")), unique)
    buckets = [p.name for p in chain.parts(corpus, "unique/*.jsonl.zst")]
    for k, name in enumerate(buckets):
        for r in chain.records(corpus / "unique" / name):
            same("bucket", oracle.url_hash(r["url"], seed) >> 61, k)
    return unique, counts, norms


def check_summary(corpus, unique, counts, norms):
    """What --json tells, from counts and pairs alone."""
    t = 7
    told = json.loads(chain.stage("balance", corpus, "--cap", t, "--dry-run",
                                  "--json").stdout)
    c = {q: counts.get(q, 0) for q in norms}
    picks = sum(min(n, t) for n in c.values())
    expected = {
        "cap": t, "cap_by": "cap", "groups": len(c),
        "zero": sum(n == 0 for n in c.values()),
        "tail": sum(0 < n <= t for n in c.values()),
        "head": sum(n > t for n in c.values()),
        "matches": sum(c.values()),
        "head_matches": sum(n for n in c.values() if n > t),
        "tail_matches": sum(n for n in c.values() if n <= t),
        "picks_expected": picks, "pairs": len(unique),
        "kept_if_independent":
            round(len(unique) * -math.expm1(-picks / len(unique))),
        "top": [{"id": q, "norm": norms[q], "matches": n, "cap": t}
                for q, n in sorted(c.items(), key=lambda x: (-x[1], x[0]))[:20]
                if n]}
    for name, value in expected.items():
        same(f"--json {name}", told[name], value)
    chance = sum(1 - math.prod(1 - min(1, t / c[q]) for q in r["q"])
                 for r in unique)
    if abs(told["kept_expected"] - chance) > 4:  # rounded bucket by bucket
        sys.exit(f"{told['kept_expected']} expected, by hand {chance}")
    share = 0.3
    order, best, total = sorted(c.values()), None, sum(c.values())
    for i, n in enumerate(order):
        off = abs(sum(order[:i + 1]) / total - share)
        if best is None or off < best[0]:
            best = off, n
    told = json.loads(chain.stage("balance", corpus, "--tail-share", share,
                                  "--dry-run", "--json").stdout)
    same("--tail-share", (told["cap"], told["cap_by"]),
         (best[1], "tail-share"))
    for options in (["--cap", 5, "--target", 5], ["--cap", 5, "--tail-share",
                    0.5], ["--target", 5, "--tail-share", 0.5]):
        if "only one" not in chain.stage("balance", corpus, *options,
                                         code=2).stderr:
            sys.exit(f"{options} were not refused")


def check_smallest(corpus, unique, d, exact):
    """A target that no cap is small enough for keeps nothing, and says how few
    can be kept."""
    least = sum(min(d[q, r["uid"]] for q in r["q"]) == 0 for r in unique)
    args = ["balance", corpus, "--dry-run", "--json",
            *(["--exact"] if exact else [])]
    for target, cap, kept in ((least, None, least), (least - 1, 0, 0),
                              (1, 0, 0)):
        run = chain.stage(*args, "--target", target)
        told = json.loads(run.stdout)
        same(f"kept of --target {target}", told["kept"], kept)
        if cap is not None:
            same(f"cap of --target {target}", told["cap"], cap)
        if (f"--target {least} is the smallest" in run.stderr) != (not kept):
            sys.exit(f"--target {target} warns: {run.stderr}")
    if "target" not in chain.stage("balance", corpus, "--target", 0,
                                   code=2).stderr:
        sys.exit("--target 0 was not refused")
    print(f"--target {least} is the smallest, and less is told")


def main():
    folder = pathlib.Path(os.environ.get("TMPDIR", "/tmp")) / "draw"
    folder.mkdir(parents=True, exist_ok=True)
    write_inputs(folder)
    for seed in (0, 12345678901234567890):
        corpus = build(folder, seed)
        unique, counts, norms = check(corpus, seed)
        for exact in (False, True):
            d = oracle.draws(unique, counts, norms, seed, exact)
            for option, t in (("--cap", 7), ("--cap", 1),
                              ("--target", len(unique) // 3),
                              ("--target", 10 ** 6)):
                cap = t if option == "--cap" else \
                    oracle.target_cap(unique, d, t)
                run = chain.stage("balance", corpus, option, t, "--redo",
                                  *(["--exact"] if exact else []))
                kept = oracle.select(unique, d, dict.fromkeys(norms, cap), {})
                same("selected", chain.records(*chain.parts(
                    corpus, "selected/round-0/*.jsonl.zst")), kept)
                if f"cap {cap}" not in run.stdout:
                    sys.exit(f"cap {cap} not printed:\n{run.stdout}")
                print(f"seed {seed}, {'ranks' if exact else 'draws'}, "
                      f"{option} {t}: cap {cap}, {len(kept)} of "
                      f"{len(unique)} pairs kept, all equal")
            check_smallest(corpus, unique, d, exact)
        check_summary(corpus, unique, counts, norms)
        plain = len(chain.records(*chain.parts(
            corpus, "selected/round-0/*.jsonl.zst")))
        dry = chain.stage("balance", corpus, "--target", 10 ** 6, "--exact",
                          "--dry-run").stdout
        if f"{plain:,}" not in dry:
            sys.exit("--dry-run says something else:\n" + dry)


if __name__ == "__main__":
    main()
