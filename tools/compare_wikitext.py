#!/usr/bin/env python3
"""Our text of wiki pages beside WikiExtractor's and mwparserfromhell's.

usage: tools/compare_wikitext.py BUILD [--words N]
       tools/compare_wikitext.py --make   a virtual environment for the peers

For every dump in ../shared/data/wiki, all of its articles: the words of each
side, cut by the same regular expression, and their count-weighted overlap,
2 sum(min) / (ours + theirs).  Ours are what `witmill queries --dump-text`
writes of the dump itself; the peers get its articles as an XML parser of
another kind reads them.  A peer is asked as it comes and once more for each
thing that it decides otherwise by design (docs/wikitext.md), so that what is
left shows.  Our speed comes first, for which no peer is needed; without the
environment, or the data, the rest says "skipped".  It takes some minutes: the
peers are slow.  --words N prints the N words in which they differ most.
"""
import bz2
import collections
import html
import json
import multiprocessing
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as tree

SHARED = pathlib.Path(os.environ.get("WITMILL_SHARED", "../shared"))
WIKI = SHARED / "data/wiki"
FOLDER = pathlib.Path(os.environ.get("WITMILL_PEERS", "build/peers")) / "wiki"
PACKAGES = ["wikiextractor", "mwparserfromhell"]
WORD = re.compile(r"[^\W_]+")
COMMENT = re.compile(r"<!--.*?-->", re.S)
REFERENCE = re.compile(r"<ref\b[^<>]*/>|<ref(?=[\s>])[^<>]*>.*?</ref\s*>|"
                       r"<references\b[^<>]*/>|"
                       r"<references\b[^<>]*>.*?</references\s*>", re.S | re.I)
WANTED = 0.97


def words(text):
    return collections.Counter(WORD.findall(text.lower()))


def pages(path):
    """Names of namespaces, and the wikitext of the articles."""
    names, texts = [], []
    with bz2.open(path) as file:
        for _, element in tree.iterparse(file):
            tag = element.tag.split("}")[-1]
            if tag == "namespace" and element.text:
                names.append((int(element.get("key")), element.text))
            elif tag == "page":
                part = {p.tag.split("}")[-1]: p for p in element.iter()}
                if part["ns"].text == "0" and "redirect" not in part:
                    texts.append(part["text"].text or "")
                element.clear()
    return names, texts


# ---- the sides ----

def records(names, texts):
    parts = [f"ns {number} {name}\n".encode() for number, name in names]
    for text in texts:
        raw = text.encode()
        parts += [b"page %d\n" % len(raw), raw]
    return b"".join(parts)


def ours(build, path):
    with tempfile.TemporaryDirectory() as corpus:
        done = subprocess.run(
            [build / "witmill", "queries", corpus, "--wiki", path, "--sources",
             "word", "--dump-text", "-"], check=True, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL)
    return [json.loads(line)["text"] for line in done.stdout.splitlines()]


class WikiExtractor:
    """Its Extractor without templates.  A page is XML-escaped when it comes."""

    name = "WikiExtractor"
    variants = ["as it comes", "with list items",
                "with more tags and links, without formula_1"]

    def __init__(self, names, variant):
        from wikiextractor import extract
        self.extract = extract
        if not hasattr(self, "saved"):
            WikiExtractor.saved = list(extract.discardElements)
        kept = {"ref", "references", "gallery", "timeline", "imagemap",
                "source", "table", "includeonly", "inputbox", "categorytree"}
        extract.discardElements[:] = [
            tag for tag in self.saved if variant < 2 or tag in kept]
        # (With both it writes headings twice.)
        self.options = {"HtmlFormatting": variant >= 1,
                        "keepSections": variant < 1}
        self.variant = variant
        if variant >= 2:
            self.options["acceptedNamespaces"] = Anything(
                [name for number, name in names if number in (6, 14)] +
                ["File", "Image", "Category"])

    def text(self, source):
        e = self.extract
        page = e.Extractor(1, 1, "", "T", [], **self.options)
        source = html.escape(source, quote=True).replace("&#x27;", "'")
        lines = page.clean_text(source, expand_templates=False)
        text = "\n".join(lines)
        if self.options["HtmlFormatting"]:
            text = re.sub(r"&lt;/?[a-z][^&]*?&gt;|</?[a-z][^<>]*>", " ", text)
            text = html.unescape(html.unescape(text))
        if self.variant >= 2:
            text = re.sub(r"\b(formula|codice)_\d+", "", text)
        return html.unescape(text)


class Anything:
    """All namespaces but those of files and categories and languages."""

    def __init__(self, without):
        self.without = {name.lower() for name in without}

    def __contains__(self, name):
        name = name.strip().lower()
        return name not in self.without and \
            not re.fullmatch(r"[a-z]{2,3}(-[a-z-]+)?|simple", name)


class Mwparserfromhell:
    """strip_code() without tables, files, categories and references."""

    name = "mwparserfromhell"
    variants = ["without tables, files, categories", "and references",
                "and links to other languages, bare addresses, code"]

    def __init__(self, names, variant):
        import mwparserfromhell
        self.parse = mwparserfromhell.parse
        self.variant = variant
        cut = {name.lower() for number, name in names if number in (6, 14)}
        self.cut = cut | {"file", "image", "category"}

    def goes(self, node):
        kind = type(node).__name__
        if kind == "Tag":
            tag = str(node.tag).strip().lower()
            drop = {"table"}
            if self.variant >= 2:
                drop |= {"source", "syntaxhighlight", "includeonly", "ce",
                         "chem", "hiero"}
            return tag in drop
        if kind == "Wikilink":
            prefix = str(node.title).split(":")[0].strip().lower()
            if prefix in self.cut and ":" in str(node.title):
                return True
            return self.variant >= 2 and ":" in str(node.title) and bool(
                re.fullmatch(r"[a-z]{2,3}(-[a-z-]+)?|simple", prefix))
        return self.variant >= 2 and kind == "ExternalLink" and \
            not node.brackets

    def text(self, source):
        # (References as nodes may end far behind: where they hold an odd ''.)
        if self.variant >= 1:
            source = REFERENCE.sub("", COMMENT.sub("", source))
        code = self.parse(source)
        for node in code.ifilter(recursive=True, matches=self.goes):
            try:
                code.remove(node)
            except ValueError:
                pass  # it went with what held it
        return code.strip_code(normalize=True, collapse=True)


PEERS = [WikiExtractor, Mwparserfromhell]


# ---- the comparison ----

def compare(mine, theirs):
    shared = sum((mine & theirs).values())
    n, m = sum(mine.values()), sum(theirs.values())
    return 2 * shared / max(1, n + m), shared / max(1, m), shared / max(1, n)


def differences(mine, theirs, n):
    diff = {w: mine[w] - theirs[w] for w in mine | theirs}
    for word, d in sorted(diff.items(), key=lambda x: -abs(x[1]))[:n]:
        print(f"        {d:+7d}  {word}")


def count(job):
    """A side's words over a dump, the seconds that it took, how many articles
    and how many bytes of wikitext it had."""
    build, path, peer, variant = job
    if peer is None:
        texts = result = ours(build, path)
        began = time.process_time()
    else:
        names, texts = pages(path)
        began = time.process_time()
        result = map(peer(names, variant).text, texts)
    counts = collections.Counter()
    for text in result:
        counts.update(words(text))
    size = sum(len(text.encode()) for text in texts)
    return counts, time.process_time() - began, len(texts), size


def speed(build, path):
    """Ours alone, by the processor's time, and memcpy in the same run."""
    done = subprocess.run([build / "wikitext_dump", "bench"], check=True,
                          input=records(*pages(path)), stdout=subprocess.PIPE)
    of = json.loads(done.stdout)
    strip, copy = of["strip_ns_per_byte"], of["memcpy_ns_per_byte"]
    print(f"{path.name}: {of['pages']:,} articles, {of['bytes']:,} bytes: "
          f"{1e3 / strip:.0f} MB/s, {strip:.2f} ns a byte, "
          f"{strip / copy:.0f} times memcpy", flush=True)


def report(path, answers, n_words):
    """The lines of one dump; names of peers below what is wanted."""
    mine, _, n_mine, _ = answers[path, None, 0]
    n_texts, size = answers[path, PEERS[0], 0][2:]
    print(f"{path.name}: {n_texts:,} articles, {size:,} bytes; of ours "
          f"{n_mine:,} with text, {sum(mine.values()):,} words")
    below = []
    for peer in PEERS:
        for variant, says in enumerate(peer.variants):
            theirs, took = answers[path, peer, variant][:2]
            overlap, of_theirs, of_ours = compare(mine, theirs)
            print(f"  {overlap:7.2%}  {peer.name} {says}: "
                  f"{sum(theirs.values()):,} words, of which "
                  f"{of_theirs:.2%} ours; of ours {of_ours:.2%} theirs; "
                  f"{size / took / 1e6:.2f} MB/s")
            differences(mine, theirs, n_words)
        if overlap < WANTED:
            below.append(peer.name)
    return below


def make():
    subprocess.run([sys.executable, "-m", "venv", FOLDER], check=True)
    subprocess.run([FOLDER / "bin/python", "-m", "pip", "install",
                    "--disable-pip-version-check", *PACKAGES], check=True)


def enter():
    """Go on in the environment, or say why not."""
    python = FOLDER / "bin/python"
    if os.environ.get("WITMILL_IN_WIKI_PEERS"):
        return None
    if not python.exists():
        return f"no {FOLDER} (tools/compare_wikitext.py --make)"
    if subprocess.run([python, "-c", "import wikiextractor, mwparserfromhell"],
                      stderr=subprocess.DEVNULL).returncode:
        return f"the packages in {FOLDER} do not import"
    os.execve(python, [str(python), *sys.argv],
              {**os.environ, "WITMILL_IN_WIKI_PEERS": "1"})
    return None


def main():
    if sys.argv[1:] == ["--make"]:
        return make()
    dumps = sorted(WIKI.glob("*.xml.bz2"))
    build = pathlib.Path(sys.argv[1])
    why = enter() if dumps else f"no dumps in {WIKI}"
    for path in dumps:
        speed(build, path)
    if why:
        print(f"wikitext: comparison skipped, {why}")
        return None
    n_words = int(sys.argv[3]) if sys.argv[2:3] == ["--words"] else 0
    # (The largest dump, and the slowest peer, first.)
    keys = [(path, peer, variant)
            for path in sorted(dumps, key=lambda p: -p.stat().st_size)
            for peer in reversed(PEERS)
            for variant in range(len(peer.variants))]
    keys += [(path, None, 0) for path in dumps]
    with multiprocessing.Pool() as pool:
        answers = dict(zip(keys, pool.map(
            count, [(build, *key) for key in keys], 1)))
    below = [(path.name, peer) for path in dumps
             for peer in report(path, answers, n_words)]
    for name, peer in below:
        print(f"below {WANTED:.0%}: {peer} on {name}")
    return 1 if below else None


if __name__ == "__main__":
    sys.exit(main())
