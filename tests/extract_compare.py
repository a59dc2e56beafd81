#!/usr/bin/env python3
"""All pages and sites of the shared data, read by the C reader and by the
html5lib oracle: the sets of (url, from, text) of each page must be equal.

usage: tests/extract_compare.py EXTRACT_DUMP [--sample N] [--work FOLDER]
                                [--jobs N] [--show] [--mutate N]
--sample N takes N pages, evenly spread (make check); without it all of them
(make check-long).  --mutate N reads instead N pages cut from those and broken
by a fixed random choice of tags taken out, put in and exchanged.  Exit 1 on a difference that is not explained below, 77 when
data or html5lib are missing.
"""
import argparse
import json
import multiprocessing
import os
import random
import re
import shutil
import subprocess
import sys
import tarfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import debian  # noqa: E402

debian.need("html5lib", "python3-html5lib")
import extract_oracle  # noqa: E402

# (archive, path) of pages that are known to differ, and why.
EXPLAINED = {
}


def unpack(shared, work):
    """Folders of pages, unpacked once."""
    found = []
    for sub, ends in (("html", ".tar.xz"), ("sites", ".tar.gz")):
        folder = os.path.join(shared, "data", sub)
        if not os.path.isdir(folder):
            continue
        for name in sorted(os.listdir(folder)):
            if not name.endswith(ends):
                continue
            to = os.path.join(work, name[:-len(ends)])
            if not os.path.exists(to + ".done"):
                with tarfile.open(os.path.join(folder, name)) as tar:
                    tar.extractall(to)
                open(to + ".done", "w").close()
            found.append((name[:-len(ends)], to))
    return found


# What a mutation puts in.  Not select, which html5lib and older browsers empty
# of images, nor template, which html5lib does not know.
TAGS = """<div> </div> <p> </p> <a%href=x%title=LT> </a> <figure> </figure>
<figcaption>cap%<b>t</b>x</figcaption> <table> </table> <tr> <td> </td> </tr>
<svg> </svg> <span> </span> <b> </b> <li> </li> <ul> </ul> <noscript>
</noscript> <img%src=q.jpg%alt=ZZ> <img%src=r.jpg> <p%class=caption>CC <picture>
<source%srcset=s.png> </picture> <math> <mi> </math> <foreignObject> <title>
</title> <h2> </h2> <form> </form> <object> </object> <button> <caption> <dl>
<dt> <dd> <i> </i> <font%color=red> <nobr> <amp-img%src=amp.gif%alt=amp>
</amp-img> <br> </br> <center> <article> </article> <section> </section> <label>
</label> <iframe> </iframe> <desc> </desc> <!-- --> <style> </style> <textarea>
</textarea> <base%href=/b/> <em> </em>""".split()
MUTANT_MAX = 150000  # bytes of a page that is cut from


def mutate(folders, n, work):
    """A folder of n broken pages, the same ones each time."""
    rng = random.Random(17)
    sources = []
    for _, folder in folders:
        for path in extract_oracle.page_paths(folder):
            path = os.path.join(folder, path.decode())
            if os.path.getsize(path) < MUTANT_MAX:
                sources.append(path)
    to = os.path.join(work, "mutants")
    shutil.rmtree(to, ignore_errors=True)
    os.makedirs(to)
    for i in range(n):
        with open(rng.choice(sources), "rb") as f:
            page = f.read().decode("utf-8", "replace")
        tokens = re.findall(r"<[^>]*>|[^<]+|<", page) or [""]
        at = rng.randrange(max(1, len(tokens) - 400))
        tokens = tokens[at:at + 400]
        for _ in range(rng.choice((1, 3, 10, 40))):
            a, b = rng.randrange(len(tokens)), rng.randrange(len(tokens))
            kind = rng.random()
            if kind < .3:
                tokens[a] = ""
            elif kind < .8:
                tokens.insert(a, rng.choice(TAGS).replace("%", " "))
            else:
                tokens[a], tokens[b] = tokens[b], tokens[a]
        page = re.sub("</?(select|option|optgroup|template)", "<b", "".join(
            tokens), flags=re.I)
        with open(os.path.join(to, "%05d.html" % i), "w",
                  encoding="utf-8", newline="") as f:
            f.write(page)
    return [("mutants", to)]


def check(job):
    archive, folder, page = job
    with open(os.path.join(folder, page["path"]), "rb") as f:
        data = f.read()
    charset, want = extract_oracle.read(data, page["url"])
    got = {tuple(p) for p in page["pairs"]}
    if len(got) != len(page["pairs"]):
        return archive, page["path"], "the C reader repeats a pair", [], []
    return (archive, page["path"], None, sorted(got - want),
            sorted(want - got), len(want), charset, page["charset"])


def main():
    args = argparse.ArgumentParser()
    args.add_argument("dump")
    args.add_argument("--sample", type=int, default=0)
    args.add_argument("--jobs", type=int, default=os.cpu_count())
    args.add_argument("--work", default="build/extract")
    args.add_argument("--mutate", type=int, default=0)
    args.add_argument("--show", action="store_true")
    args = args.parse_args()
    shared = os.environ.get("WITMILL_SHARED", "../shared")
    os.makedirs(args.work, exist_ok=True)
    jobs = []
    folders = unpack(shared, args.work)
    if args.mutate and folders:
        folders = mutate(folders, args.mutate, args.work)
    for archive, folder in folders:
        base = "http://%s.test/pages" % archive
        out = subprocess.run([args.dump, folder, base], check=True,
                             stdout=subprocess.PIPE).stdout
        pages = [json.loads(line) for line in out.splitlines()]
        paths = [p.decode() for p in extract_oracle.page_paths(folder)]
        if [p["path"] for p in pages] != paths:
            print("%s: the lists of pages differ" % archive)
            return 1
        for p in pages:
            if p["url"] != extract_oracle.page_url(base, p["path"].encode()):
                print("%s %s: URL %s" % (archive, p["path"], p["url"]))
                return 1
        jobs += [(archive, folder, p) for p in pages]
    if not jobs:
        print("skipped: no pages under %s" % shared)
        return 77
    total = len(jobs)
    if args.sample and args.sample < total:
        jobs = [jobs[i * total // args.sample] for i in range(args.sample)]
    pairs = differing = unexplained = 0
    with multiprocessing.Pool(args.jobs) as pool:
        for r in pool.imap_unordered(check, jobs, 4):
            if r[2] is None:
                pairs += r[5]
                if not r[3] and not r[4]:
                    continue
            differing += 1
            why = EXPLAINED.get(r[:2])
            unexplained += why is None
            print("%s %s: %s" % (r[0], r[1], why or r[2] or "differs (%s, %s)"
                                 % r[6:8]))
            for sign, rows in (("+", r[3]), ("-", r[4])):
                for row in rows[:None if args.show else 3]:
                    print("  %s %s" % (sign, " | ".join(row)[:300]))
    print("extraction: %d of %d pages, %d pairs, %d pages differ, %d of them "
          "unexplained" % (len(jobs), total, pairs, differing, unexplained))
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
