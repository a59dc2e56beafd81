#!/usr/bin/env python3
"""Lists in and out of `queries`: a JSON array as Python writes it comes back
byte for byte; TSV carries the numbers; what looks at a list makes none; --check
counts class names."""
import json
import os
import pathlib
import random
import sys
import tempfile
import threading

import chain

# What the published list has of everything: plain words, dots, quotes, other
# scripts, what lies outside the first plane, odd spaces.
PIECES = ["dog", "St. Louis", "\"Heroes\"", "back\\slash", "café", "東京", "😀",
          "𐀀", "a/b", "it's", "\u2028", "\x7f", "\xa0", " ", "é", "<i>",
          "½", "\ufffd", "\U0010ffff", "Z", "0", "!", "&amp;"]


def same(what, ours, theirs):
    if ours != theirs:
        sys.exit(f"{what}: {ours!r} is not {theirs!r}")


def arrays(folder):
    r = random.Random(7)
    for n in (0, 1, 2, 20000):
        entries = []
        while len(entries) < n:
            e = "".join(r.choice(PIECES) for _ in range(r.randint(1, 6)))
            entries.append(f"{e}{len(entries)}" if n > 2 else e)
        entries = list(dict.fromkeys(entries))
        path = folder / "metadata.json"
        with open(path, "w", encoding="ascii") as f:
            json.dump(entries, f)
        corpus = folder / f"json-{n}"
        chain.stage("queries", corpus, "--queries", path, "--policy",
                    "metaclip", "--export", folder / "back.json")
        same(f"array of {n}", (folder / "back.json").read_bytes(),
             path.read_bytes())
        # Not ASCII: the same entries, whatever the spelling.
        path.write_text(json.dumps(entries, ensure_ascii=False, indent=1),
                        encoding="utf-8")
        chain.stage("queries", folder / f"utf8-{n}", "--queries", path,
                    "--export", folder / "utf8.json")
        same(f"array of {n} in UTF-8", (folder / "utf8.json").read_bytes(),
             (folder / "back.json").read_bytes())
        print(f"a JSON array of {len(entries)} entries comes back unchanged")


def table(folder):
    first, second = folder / "first.tsv", folder / "second.tsv"
    text = "id\ttext\tcount\tpmi\tviews\n"
    text += "0\tSt. Louis\t\t\t70\n1\thong kong\t120\t12.5\t\n2\t犬\t\t\t\n"
    text += "3\tback\\\\slash\t1\t\t\n4\tbad\tx\t\t\n5\tshort\n"
    first.write_text(text, encoding="utf-8")
    run = chain.stage("queries", folder / "table", "--queries", first,
                      "--export", second)
    for reason in ("list-number", "list-fields"):
        same(reason, f"{reason} " in run.stdout, True)
    rows = [line.split("\t") for line in
            second.read_text(encoding="utf-8").splitlines()]
    same("header", rows[0], "id text norm group sources count pmi views "
         "synset flags".split())
    same("rows", [(r[1], r[5], r[6], r[7]) for r in rows[1:]],
         [("St. Louis", "", "", "70"), ("hong kong", "120", "12.5", ""),
          ("犬", "", "", ""), ("back\\\\slash", "1", "", "")])
    chain.stage("queries", folder / "again", "--queries", second, "--export",
                folder / "third.tsv")
    same("TSV, read and written", (folder / "third.tsv").read_bytes(),
         second.read_bytes())
    print("a TSV comes back unchanged")


def looking(folder):
    corpus = folder / "look"
    words = folder / "words.txt"
    words.write_text("golden retriever\nSt. Louis\nDog\ncat\n",
                     encoding="utf-8")
    chain.stage("queries", corpus, "--queries", words, "--size", 3)
    before = (corpus / "queries.meta.json").read_bytes()
    out = chain.stage("queries", corpus, "--export", "-").stdout
    same("text", out, "golden retriever\nSt. Louis\nDog\n")
    out = chain.stage("queries", corpus, "--export", "-", "--export-as",
                      "json").stdout
    same("json", out, '["golden retriever", "St. Louis", "Dog"]')
    classes = folder / "classes.json"
    classes.write_text('["Golden_Retriever", "Dog", "dog", "cat", "st louis"]')
    out = chain.stage("queries", corpus, "--check", classes, "--check",
                      words, code=1).stdout.splitlines()
    same("check", [line.rsplit("/", 1)[-1] for line in out],
         ["classes.json: 4 of 5 class names are in the list, 1 of them letter "
          "for letter", "  missing  cat",
          "words.txt: 3 of 4 class names are in the list, 3 of them letter "
          "for letter", "  missing  cat"])
    classes.write_text('["Golden_Retriever", "dog"]')
    out = chain.stage("queries", corpus, "--check", classes).stdout
    same("none is missing", out.split(": ", 1)[1], "2 of 2 class names are in "
         "the list, 0 of them letter for letter\n")
    same("the list", (corpus / "queries.meta.json").read_bytes(), before)
    out = chain.stage("queries", corpus, "--threads", 1, "--memory", "64M",
                      "--export", "-").stdout
    same("what changes no byte asks for no other list", out,
         "golden retriever\nSt. Louis\nDog\n")
    os.mkfifo(folder / "pipe")
    chain.stage("queries", corpus, "--export", folder / "pipe", code=2)
    same("a pipe stays", (folder / "pipe").is_fifo(), True)
    # An option that makes a list means a list to be made.
    chain.stage("queries", corpus, "--queries", words, "--size", 4, "--export",
                "-", code=3)
    chain.stage("queries", corpus, "--check", classes, "--export", "-", code=2)
    chain.stage("queries", corpus, "--export", folder / "l.json.gz", code=2)
    for name in ("queries.bin", "queries.meta.json", "corpus.db"):
        for option in ("--export", "--dump-text"):
            chain.stage("queries", corpus, option,
                        folder / "." / "look" / name, code=2)
    chain.stage("queries", corpus, "--dump-text", folder / "t.jsonl.gz", code=2)
    chain.stage("queries", corpus, "--export", corpus / "list.txt")
    chain.stage("queries", corpus, "--check", folder / "absent", code=3)
    chain.stage("queries", folder / "made", "--queries", words, "--size", 3,
                "--check", words, code=1)
    same("made all the same", (folder / "made/queries.bin").exists(), True)
    new = folder / "new"
    chain.stage("queries", new, "--queries", words, "--export", new / "queries.x",
                code=2)
    chain.stage("queries", new, "--queries", words, "--export", new / "l.txt")
    same("a list beside the one just made", (new / "l.txt").read_text(),
         words.read_text())
    chain.stage("queries", new, "--queries", words, "--export", folder / "x",
                "--dump-text", folder / "x", code=2)
    never = chain.stage("queries", folder / "never", "--queries", words,
                        "--policy", "metaclip").stdout
    same("entries that cannot match", "cannot match" in never, True)
    print("--export and --check look at the list that is there")


def read_once(folder):
    """What a pipe gives is there once: names are checked, and not before;
    what a list is made from would be gone with its hash."""
    corpus, words = folder / "look", folder / "words.txt"
    pipe = folder / "names"
    os.mkfifo(pipe)

    def filled(*args, **kwargs):
        writer = threading.Thread(target=pipe.write_bytes,
                                  args=(words.read_bytes(),))
        writer.start()
        run = chain.stage(*args, **kwargs)
        writer.join()
        return run

    want = chain.stage("queries", corpus, "--check", words, code=1).stdout
    want = want.split(": ", 1)[1]
    out = filled("queries", corpus, "--check", pipe, code=1).stdout
    same("a pipe of names", out.split(": ", 1)[1], want)
    with open(words, "rb") as f:
        out = chain.stage("queries", corpus, "--check", "-", stdin=f,
                          code=1).stdout
    same("names by standard input", out, "standard input: " + want)
    for more in (["--check", "-"], ["--wiki", "-"]):
        chain.stage("queries", corpus, "--check", "-", *more, code=2)
    for option in ("--queries", "--text", "--wiki", "--pageviews"):
        run = chain.stage("queries", folder / "piped", option, pipe, code=2)
        same(option, "pipe" in run.stderr, True)
    same("no list", (folder / "piped/queries.bin").exists(), False)
    print("pipes: read once, or refused")


def lost(folder):
    """queries.bin removed or damaged: the same command makes it anew."""
    corpus, words = folder / "lost", folder / "words.txt"
    args = ["queries", corpus, "--queries", words]
    chain.stage(*args)
    whole = (corpus / "queries.bin").read_bytes()
    for bad in (None, b"", whole[:100], whole[:-1], whole[:-9] +
                bytes([whole[-9] ^ 1]) + whole[-8:]):
        (corpus / "queries.bin").unlink()
        if bad is not None:
            (corpus / "queries.bin").write_bytes(bad)
            chain.stage("queries", corpus, "--export", "-", code=3)
        run = chain.stage(*args)
        same("said", ("made anew" in run.stderr, "queries: made" in
                      run.stdout), (True, True))
        same("the list", (corpus / "queries.bin").read_bytes(), whole)
    same("whole", "done before" in chain.stage(*args).stdout, True)
    # An option that asks for another list is stale, whatever the damage.
    (corpus / "queries.bin").write_bytes(b"")
    chain.stage(*args, "--size", 1, code=3)
    print("a list that was lost or damaged is made anew")


def wrong_options(folder):
    """Usage is looked at before anything is read or made."""
    words, corpus = folder / "words.txt", folder / "wrong"
    for args, code in ((["--project", "X"], 2), (["--project", "en.x"], 2),
                       (["--sources", "words"], 2), (["--redirects", "both"], 2),
                       (["--wiki", "-", "--wiki", "-"], 2),
                       (["--memory", "1K"], 2), (["--size", "0"], 2),
                       (["--export", folder / "l.tsv.zst"], 2),
                       (["--export", folder / "pipe"], 2),
                       (["--export", folder], 2),
                       (["--export", words], 2), (["--dump-text", words], 2),
                       (["--export", folder / "no/such/folder"], 3),
                       (["--check", folder / "absent"], 3),
                       (["--check", folder], 3)):
        run = chain.stage("queries", corpus, "--queries", words, *args,
                          code=code)
        same(f"{args}: one line", run.stderr.count("\n"), 1)
        same(f"{args}: nothing was made", corpus.exists(), False)
    chain.stage("queries", "", "--queries", words, code=2)
    ini = folder / "run.ini"
    ini.write_text(f"[queries]\nqueries = {words}\nproject = X\n")
    chain.stage("run", corpus, ini, code=2)
    same("run: nothing was made", corpus.exists(), False)
    (folder / "names.txt").write_text("dog\nzebra\n")
    ini.write_text(f"[queries]\nqueries = {words}\ncheck = {folder}/names.txt\n"
                   "[download]\ncontact = a@manual.test\n")
    run = chain.stage("run", corpus, ini, code=3)  # there are no pairs
    same("run goes on behind names that miss",
         ("missing  zebra" in run.stdout, "== match ==" in run.stdout),
         (True, True))
    print("wrong options: exit 2, or 3 for files, before anything is made")


def main():
    with tempfile.TemporaryDirectory() as t:
        folder = pathlib.Path(t)
        arrays(folder)
        table(folder)
        looking(folder)
        read_once(folder)
        lost(folder)
        wrong_options(folder)


if __name__ == "__main__":
    main()
