#!/usr/bin/env python3
"""`witmill queries --wiki` as a whole, on dumps of our own and real ones.

- However a dump is packed, for 1 and 2 threads, and for a memory that spills:
  the same queries.bin.
- Words and bigrams equal, exactly, a few lines of Python over --dump-text.
- --redirects moves views; what is cut off, damaged or no dump is said so.
- Done before, stale, --redo; killed and gone on with; a full disk.
"""
import bz2
import gzip
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import chain
import count_words

SHARED = pathlib.Path(os.environ.get("WITMILL_SHARED", "../shared"))
SHIM = chain.BUILD / "faultfs.so"
ALL = ["--sources", "word,bigram", "--min-word-count", 1, "--min-bigram-count",
       1, "--word-budget", 10 ** 8, "--bigram-budget", 10 ** 8, "--min-pmi",
       -100, "--size", 10 ** 8]
HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/" \
version="0.10" xml:lang="en">
 <siteinfo><dbname>testwiki</dbname><case>first-letter</case><namespaces>
  <namespace key="0" /><namespace key="1">Talk</namespace>
 </namespaces></siteinfo>
"""
END = "</mediawiki>\n"


def fail(text):
    sys.exit(text)


# ---- dumps of our own ----

def page(number, title, text, ns=0, redirect=None):
    where = f"<redirect title=\"{redirect}\" />" if redirect else ""
    return (f" <page><title>{title}</title><ns>{ns}</ns><id>{number}</id>"
            f"{where}<revision><id>1</id><text xml:space=\"preserve\">{text}"
            "</text></revision></page>\n")


PIECES = ["{} {}", "[[{}|{}]]", "[[{} {}]]", "''{}'' {}", "{{{{t|{}}}}} {}",
          "{}&lt;ref&gt;{}&lt;/ref&gt;", "{}, {}", "{}. The {}", "{}\n\n{}",
          "\n== {} {} ==\n", "\n* {}\n* {}\n", "{}&amp;nbsp;{}", "{}-{}",
          "don't {} {}", "{}\u2019s {}", "\u00c9{} \ufb01{}",
          "\u72ac\u732b{} {}", "{} \u0e2b\u0e21\u0e32 {}",
          "&lt;!-- {} --&gt;{}", "(the {} of {})", "of the {} {}",
          "{} {} 1999", "&lt;b&gt;{}&lt;/b&gt; {}",
          "\n{{| class=\"{}\"\n| {}\n|}}\n", "{}&quot;{}&quot;", "{}\r\n{}"]


def word(r):
    n = int(r.paretovariate(0.45)) % 40000
    text = ""
    while True:
        text += "kestrivoamu"[n % 11]
        n //= 11
        if not n:
            return text.capitalize() if r.random() < 0.2 else text


def own_pages(seed, n):
    r = random.Random(seed)
    for i in range(n):
        if i % 9 == 4:
            yield page(i, f"Way {i}", "#REDIRECT", redirect=f"Page {i // 2}")
        elif i % 10 == 7:
            yield page(i, f"Talk:Page {i}", "talk talk", ns=1)
        else:
            text = " ".join(r.choice(PIECES).format(word(r), word(r))
                            for _ in range(r.randrange(600)))
            yield page(i, f"Page {i}", text)
    yield page(n, "Bad", "&#1;")


def streams(pages, at_once):
    """As a multistream dump: head, some pages at a time, the end."""
    pages = list(pages)
    parts = [HEAD] + ["".join(pages[i:i + at_once])
                      for i in range(0, len(pages), at_once)] + [END]
    return [bz2.compress(p.encode(), 1) for p in parts]


# ---- running ----

def queries(corpus, *args, code=0, **kwargs):
    return chain.stage("queries", corpus, *args, code=code, **kwargs)


def bytes_of(corpus):
    return (corpus / "queries.bin").read_bytes()


def number(run, label):
    """What the summary says behind label, or None."""
    found = re.search(rf"^  {label} +([\d,]+)", run.stdout, re.M)
    return int(found.group(1).replace(",", "")) if found else None


def names(corpus):
    return sorted(p.name for p in corpus.iterdir())


def expect(run, *texts):
    for text in texts:
        if text not in run.stderr:
            fail(f"{run.args}: no {text!r} in\n{run.stderr}")


# ---- the same for all ----

def packings(folder):
    pages = list(own_pages(1, 150))
    xml = (HEAD + "".join(pages) + END).encode()
    made = {"plain": xml, "gzip": gzip.compress(xml, 1),
            "bzip2": bz2.compress(xml, 1),
            "bzip2 of many streams": b"".join(streams(pages, 25))}
    zstd = shutil.which("zstd")
    if zstd:
        made["zstd"] = subprocess.run([zstd, "-qc"], input=xml,
                                      capture_output=True, check=True).stdout
    else:
        print("zstd: skipped, no such command")
    paths = {}
    for name, data in made.items():
        paths[name] = folder / f"dump-{len(paths)}"
        paths[name].write_bytes(data)
    return paths


def same_for_all(folder):
    paths, want, tried = packings(folder), None, 0
    spill = ["--memory", "1M"]
    runs = [("plain", False, 1, spill), ("plain", False, 2, spill),
            ("bzip2 of many streams", True, 2, spill)]
    for name in paths:
        runs[:0] = [(name, False, 1, []), (name, True, 2, [])]
    for name, stdin, threads, more in runs:
        corpus = folder / f"same-{tried}"
        tried += 1
        with open(paths[name], "rb") as f:
            run = queries(corpus, *ALL, "--wiki", "-" if stdin else
                          paths[name], "--threads", threads, *more, stdin=f)
        if bool(number(run, "runs written to disk")) != bool(more):
            fail(f"{name} {more}: runs\n{run.stdout}")
        want = want or bytes_of(corpus)
        if bytes_of(corpus) != want:
            fail(f"{name}, {threads} threads {more}: other bytes")
    print(f"{len(paths)} packings, from files and standard input, 1 and 2 "
          f"threads, in memory and with runs: {tried} times the same list")


def parts(folder):
    """Several files, or one of several exports, are the whole."""
    pages = list(own_pages(4, 90))
    made = {"whole": [pages], "two files": [pages[:40], pages[40:]]}
    few = ["--sources", "word,bigram", "--min-word-count", 5,
           "--min-bigram-count", 2]
    got = {}
    for name, shares in made.items():
        args, packed = [], b""
        for i, share in enumerate(shares):
            path = folder / f"part-{i}.xml"
            data = (HEAD + "".join(share) + END).encode()
            path.write_bytes(data)
            packed += bz2.compress(data, 1)
            args += ["--wiki", path]
        queries(folder / name, *few, *args)
        got[name] = bytes_of(folder / name)
    (folder / "parts.bz2").write_bytes(packed)
    queries(folder / "one file", *few, "--wiki", folder / "parts.bz2")
    got["one file of both"] = bytes_of(folder / "one file")
    if len(set(got.values())) != 1:
        fail(f"parts: {[(k, hash(v)) for k, v in got.items()]}")
    print("parts: as files, and behind each other in one, are the whole")


# ---- exact counts ----

def exact(folder, name, path, *more, fold=True):
    corpus, text = folder / "exact", folder / "text.jsonl"
    run = queries(corpus, *ALL, "--wiki", path, "--dump-text", text,
                  "--redo", *more)
    queries(corpus, "--export", folder / "list.tsv")
    rows = (folder / "list.tsv").read_text(encoding="utf-8").split("\n")[1:-1]
    got = {}
    for row in (r.split("\t") for r in rows):
        got[row[1]] = int(row[5])
    if len(got) != len(rows):
        fail(f"{name}: an entry comes twice")
    lines = text.read_text(encoding="utf-8").split("\n")[:-1]
    words, bigrams, total = count_words.count(
        (json.loads(x)["text"] for x in lines), fold)
    want = {k: n for k, n in (*words.items(), *bigrams.items())}
    if got != want:
        odd = [(k, got.get(k), want.get(k)) for k in {**got, **want}
               if got.get(k) != want.get(k)]
        fail(f"{name}: {len(odd)} differ, {odd[:5]}")
    if number(run, "words counted") != total or \
            number(run, "articles") != len(lines):
        fail(f"{name}: {total} words, {len(lines)} articles\n{run.stdout}")
    print(f"{name}: {total} words, {len(words)} distinct, {len(bigrams)} "
          f"bigrams, {number(run, 'runs written to disk') or 0} runs: equal")


def exact_counts(folder, most=1 << 20):
    """most: bytes of a real dump, as packed."""
    exact(folder, "own dump", folder / "dump-0")
    exact(folder, "own dump, cases kept", folder / "dump-0", "--count-case",
          "keep", "--memory", "1M", fold=False)
    real = sorted((SHARED / "data/wiki").glob("*.xml.bz2"))
    if not real:
        print("real dumps: skipped, no ../shared/data/wiki")
    for path in real:
        if path.stat().st_size <= most:
            exact(folder, path.name, path, "--memory", "1M")


# ---- redirects ----

def titles(corpus, *args):
    queries(corpus, "--sources", "title", "--redo", *args)
    rows = queries(corpus, "--export", "-", "--export-as", "tsv").stdout
    rows = [r.split("\t") for r in rows.split("\n")[1:-1]]
    return {r[1]: int(r[7]) for r in rows}


def redirects(folder):
    dump, hour = folder / "dump.xml", folder / "pageviews-20240101-000000"
    dump.write_text(HEAD + page(1, "Dog", "a") + page(2, "Hound", "",
                    redirect="Dog") + page(3, "Cur", "", redirect="Hound") +
                    page(4, "Mutt", "", redirect="List of dogs: M") +
                    page(5, "Fido", "", redirect="Rex") + END)
    hour.write_text("en Cur 40 0\nen Dog 60 0\nen.m Hound 30 0\n"
                    "en Mutt 90 0\nen Cat 80 0\nen Fido 75 0\n")
    views = ["--pageviews", hour, "--min-hour-views", 50]
    alone = {"Mutt": 90, "Cat": 80, "Fido": 75}
    for args, want in (
            # 40 and 30 stay below the floor of an hour, each by itself.
            (["--redirects", "own"], alone),
            (["--redirects", "target", "--wiki", dump],
             {"Dog": 130, "Cat": 80, "Rex": 75}),
            (["--redirects", "both", "--wiki", dump],
             {"Dog": 130, "Rex": 75, **alone})):
        got = titles(folder / "titles", *views, *args)
        if got != want:
            fail(f"{args}: {got}, not {want}")
    queries(folder / "titles", "--sources", "title", "--redo", *views,
            "--redirects", "target", code=2)
    dump, hour = folder / "exact.xml", folder / "pageviews-20240102-000000"
    dump.write_text((HEAD + page(1, "dog", "a") + page(2, "hound", "",
                     redirect="dog") + END).replace("first-letter",
                                                    "case-sensitive"))
    hour.write_text("en.d dog 60 0\nen.d Dog 80 0\nen.m.d hound 70 0\n")
    got = titles(folder / "titles", "--pageviews", hour, "--project",
                 "en.wiktionary", "--redirects", "target", "--wiki", dump)
    if got != {"dog": 130, "Dog": 80}:
        fail(f"a wiki with exact case: {got}")
    print("redirects: own, target, both; of a wiki with exact case")


def warnings(folder):
    """What is counted twice, and what is no view file, is said."""
    dump, hour = folder / "dump.xml", folder / "pageviews-20240101-000000"
    page_404 = folder / "404.html"
    page_404.write_text("<html>Not found\n")
    for args, text in (
            (["--wiki", dump, "--wiki", folder / "." / "dump.xml", "--sources",
              "word"], "are the same bytes"),
            (["--pageviews", hour, "--pageviews", hour, "--sources", "title"],
             "are the same bytes"),
            (["--pageviews", page_404, "--sources", "title"],
             "no line of --project en"),
            (["--pageviews", hour, "--project", "fr", "--sources", "title"],
             "no line of --project fr"),
            (["--pageviews", hour, "--wiki", dump, "--sources", "title,word"],
             None)):
        run = queries(folder / "warnings", *args, "--redo")
        if text:
            expect(run, text)
        elif '"warning"' in run.stderr:
            fail(f"{args}: {run.stderr}")
    print("warnings: what is given twice, what is no view file")


# ---- summaries ----

def summaries(folder):
    """Each speaks of what it was made from, and of nothing else."""
    dump, hour = folder / "dump.xml", folder / "pageviews-20240101-000000"
    texts, views = ["--wiki", dump], ["--pageviews", hour]
    for sources, args, has_texts, has_views in (
            ("word,bigram", texts, True, False), ("title", views, False, True),
            ("word,bigram,title", texts + views, True, True),
            ("numeral", [], False, False)):
        corpus = folder / "summary"
        run = queries(corpus, *args, "--sources", sources)
        for labels, is_there in (
                (("pages of dumps", "articles", "redirects", "words counted",
                  "words that occur 100 times"), has_texts),
                (("files of page views", "titles viewed"), has_views)):
            for label in labels:
                if (number(run, label) is not None) != is_there:
                    fail(f"{args}: {label}?\n{run.stdout}")
        shutil.rmtree(corpus)
    print("summaries: of texts, of views, of both, of neither")


# ---- what is wrong with a dump ----

def cut_off(folder):
    pages = list(own_pages(2, 60))
    whole = HEAD + "".join(pages)
    path, corpus = folder / "cut.xml", folder / "cut"
    at = len((HEAD + "".join(pages[:40])).encode()) + 60
    data = whole.encode()[:at]
    path.write_text(HEAD + "".join(pages[:40]) + END)
    queries(corpus, *ALL, "--wiki", path)
    want = bytes_of(corpus)
    packed = gzip.compress(data, 1)
    for name, content in (("plain", data), ("bzip2", bz2.compress(data)),
                          ("gzip, cut itself", packed[:-9])):
        corpus = folder / f"cut-{name[:2]}"
        path.write_bytes(content)
        run = queries(corpus, *ALL, "--wiki", path, code=3)
        expect(run, str(path), "byte ", "page 41")
        if names(corpus) not in ([], ["queries.lock"]):
            fail(f"{name}: {names(corpus)} left")
        run = queries(corpus, *ALL, "--wiki", path, "--allow-truncated")
        expect(run, "page 41")
        if number(run, "truncated-dump") != 1 or number(run, "pages of dumps") \
                != 40 or bytes_of(corpus) != want:
            fail(f"{name}: not the 40 whole pages\n{run.stdout}")
    print("cut-off dumps: byte and page; --allow-truncated takes 40 pages")


def refused(folder):
    path, corpus = folder / "bad.xml", folder / "bad"
    good = HEAD + page(1, "A", "b")
    doctype = "<!DOCTYPE mediawiki [<!ENTITY x \"y\">]>\n"
    bomb = "<!DOCTYPE m [<!ENTITY a SYSTEM \"file:///etc/passwd\">]>"
    multi = streams(own_pages(3, 200), 50)
    multi[2] = multi[2][:300] + bytes(b ^ 0x5a for b in multi[2][300:304]) + \
        multi[2][304:]
    for content, *texts in (
            (doctype + good + END, "DOCTYPE"),
            (bomb + HEAD + page(1, "A", "&a;") + END, "DOCTYPE"),
            (good + page(2, "B", "&x;") + END, "page 2 \"B\"", "&x"),
            (good + doctype + page(2, "B", "c") + END, "byte"),
            (good + "<page><title>B</title></wrong>" + END, "page 2"),
            ("", "bad.xml"), ("[]", "bad.xml"),
            ("<rss></rss>", "bad.xml"), (b"".join(multi), "bad.xml", "byte")):
        path.write_bytes(content if isinstance(content, bytes) else
                         content.encode())
        run = queries(corpus, *ALL, "--wiki", path, "--dump-text",
                      folder / "bad.text", code=3)
        expect(run, *texts)
        if names(corpus) not in ([], ["queries.lock"]) or \
                list(folder.glob("bad.text*")):
            fail(f"{names(corpus)} left, {list(folder.glob('bad.text*'))}")
    queries(corpus, *ALL, "--wiki", folder / "absent", code=3)
    queries(corpus, *ALL, "--wiki", "-", "--wiki", "-", code=2)
    queries(corpus, *ALL, code=2)
    queries(corpus, "--sources", "wordnet", "--wiki", path, code=2)
    queries(corpus, "--dump-text", "-", code=2)
    queries(corpus, *ALL, "--wiki", path, "--dump-text", "-", "--export", "-",
            code=2)
    print("refused: DOCTYPE, entities, what is no dump, damaged bzip2")


# ---- again ----

def again(folder):
    dump, other = folder / "dump-0", folder / "other.xml"
    corpus, stream = folder / "exact-0", folder / "stream"
    queries(corpus, *ALL, "--wiki", dump)
    before = bytes_of(corpus)
    other.write_text(HEAD + page(1, "A", "another dump") + END)
    run = queries(corpus, *ALL, "--wiki", dump)
    first = run.stdout.split("\n")[0]
    if "done before" not in first or not number(run, "articles"):
        fail(f"not done before:\n{run.stdout}")
    text = queries(corpus, *ALL, "--wiki", dump, "--dump-text", "-").stdout
    if text.count("\n") != number(run, "articles"):
        fail("--dump-text does not show what a list was made from")
    queries(corpus, *ALL, "--wiki", other, code=3)
    if bytes_of(corpus) != before:
        fail("a stale list was touched")
    queries(corpus, *ALL, "--wiki", other, "--redo")
    if bytes_of(corpus) == before:
        fail("--redo made nothing")
    for path, args, code, word in (
            (dump, [], 0, "made"), (folder / "dump-2", [], 0, "done before"),
            (other, [], 3, ""), (other, ["--redo"], 0, "made"),
            (other, [], 0, "done before")):
        with open(path, "rb") as f:
            run = queries(stream, *ALL, "--wiki", "-", *args, stdin=f,
                          code=code)
        if word not in run.stdout.split("\n")[0]:
            fail(f"standard input: not {word}\n{run.stdout}")
    # Other options are told before anything is read: the pipe stays open.
    run = subprocess.Popen([chain.WITMILL, "queries", stream, "--wiki", "-"],
                           stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        code = run.wait(60)
    except subprocess.TimeoutExpired:
        run.kill()
        fail("standard input was read for a list of other options")
    if code != 3 or b"--redo" not in run.stderr.read():
        fail(f"other options: {code}")
    run.stdin.close()
    run.stderr.close()
    print("again: done before; another dump is stale, --redo")


# ---- killed, and a full disk ----

def text_killed(folder):
    """FILE.tmp of --dump-text goes with whoever is asked to end, and is
    replaced where one was killed."""
    out, tmp = folder / "articles", folder / "articles.tmp"
    some = "some words of an article, again and again. " * 500
    part = (HEAD + "".join(page(i, f"P {i}", some)
                           for i in range(300))).encode()
    args = ["--sources", "word", "--wiki", "-", "--dump-text", out]
    for how in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL):
        run = subprocess.Popen([chain.WITMILL, "queries", folder / "asked",
                                *map(str, args)], stdin=subprocess.PIPE,
                               stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
        run.stdin.write(part)
        run.stdin.flush()
        until = time.monotonic() + 60
        while not (tmp.exists() and tmp.stat().st_size):
            if time.monotonic() > until:
                fail("no articles after a minute")
            time.sleep(0.01)
        run.send_signal(how)
        if run.wait(60) != -how:
            fail(f"{how}: {run.returncode}")
        run.stdin.close()
        if tmp.exists() != (how == signal.SIGKILL) or out.exists():
            fail(f"{how}: {list(folder.glob('articles*'))}")
    whole = folder / "whole.xml"
    whole.write_bytes(part + END.encode())
    with open(whole, "rb") as f:
        run = queries(folder / "asked", *args, stdin=f)
    if tmp.exists() or out.read_bytes().count(b"\n") != \
            number(run, "articles"):
        fail("the text of a killed run was not replaced")
    print("--dump-text: asked to end, no FILE.tmp; killed, it is replaced")


def shimmed(corpus, args, **env):
    env = dict(os.environ, LD_PRELOAD=str(SHIM),
               **{k: str(v) for k, v in env.items()})
    return subprocess.run([chain.WITMILL, "queries", str(corpus),
                           *map(str, args)], env=env, capture_output=True,
                          text=True, timeout=120)


def at_moments(folder):
    """Time, and every few changes of the disk."""
    args = ["--sources", "word,bigram", "--min-word-count", 50, "--wiki",
            folder / "dump-0", "--threads", 2, "--memory", "1M"]
    clean = folder / "clean"
    began = time.monotonic()
    queries(clean, *args)
    took = time.monotonic() - began
    want, left = bytes_of(clean), names(clean)

    def go_on(corpus, how):
        queries(corpus, *args)
        if bytes_of(corpus) != want or names(corpus) != left:
            fail(f"{how}: other bytes, or {names(corpus)} left")
        shutil.rmtree(corpus)

    for i in range(4):
        run = subprocess.Popen([chain.WITMILL, "queries", folder / "killed",
                                *map(str, args)], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
        time.sleep(took * (i + 0.5) / 5)
        run.kill()
        run.wait()
        (folder / "killed").mkdir(exist_ok=True)
        go_on(folder / "killed", f"killed {i}")
    if not SHIM.exists() or "+" in chain.BUILD.name or \
            chain.BUILD.name.endswith("thread"):
        print("full disk: skipped, the fault shim does not go with sanitizers")
        return
    shimmed(folder / "counted", args, FAULT_COUNT=folder / "writes")
    writes = int((folder / "writes").read_text())
    runs = 0
    for at in sorted({1 + writes * i // 8 for i in range(7)} | {2, 3, 4}):
        run = shimmed(folder / "killed", args, FAULT_KILL=1, FAULT_AT=at)
        if run.returncode != -9:
            fail(f"not killed at {at}: {run.returncode}")
        go_on(folder / "killed", f"killed at change {at}")
        run = shimmed(folder / "full", args, FAULT_AT=at)
        if run.returncode == 0 and bytes_of(folder / "full") == want:
            pass  # SQLite tidied up later, or there were fewer writes
        elif run.returncode != 3 or "No space" not in run.stderr:
            fail(f"full at write {at} of {writes}: {run.returncode}\n"
                 f"{run.stderr}")
        runs += "queries.bin" not in names(folder / "full")
        # What SQLite leaves (catalog/db.h) is gone once it could go on.
        if any(x not in left and not x.startswith("corpus.db-")
               for x in names(folder / "full")):
            fail(f"full at write {at}: {names(folder / 'full')} left")
        go_on(folder / "full", f"full at write {at}")
    if runs < 3:
        fail("no disk was full while counting")
    print(f"killed at 4 times and 10 changes of the disk, full at 10 of "
          f"{writes} writes ({runs} before there was a list): said, nothing "
          "left, the same bytes after")


def main():
    with tempfile.TemporaryDirectory() as t:
        folder = pathlib.Path(t)
        for test in (same_for_all, parts, exact_counts, redirects, warnings,
                     summaries, cut_off, refused, again, text_killed,
                     at_moments):
            began, before = time.monotonic(), sum(os.times()[:4])
            test(folder)
            print(f"  {time.monotonic() - began:.1f} s, "
                  f"{sum(os.times()[:4]) - before:.1f} s of processors",
                  flush=True)


if __name__ == "__main__":
    main()
