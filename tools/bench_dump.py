#!/usr/bin/env python3
"""make bench, how fast dumps are read: cut and taken apart beside memchr and
libxml2 (tests/bench_dump.c), bzip2 unpacked beside bzcat and, where it is
there, lbzip2.  CPU seconds, so that other work on the machine counts less.

Real dumps out of ../shared (WITMILL_SHARED), or one made up here.

usage: tools/bench_dump.py BUILD
"""
import bz2
import os
import pathlib
import random
import re
import resource
import shutil
import subprocess
import sys

FILES = ["enwiki-2016-pages-articles1-shortened.xml.bz2",
         "enwiki-2021-plaintext-rewrapped-dev.xml.bz2"]


def cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(command):
    began = cpu()
    subprocess.run(list(map(str, command)), check=True,
                   stdout=subprocess.DEVNULL)
    return cpu() - began


def made_up(path):
    """Pages of words with links, templates and references."""
    chance = random.Random(1)
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz",
                                    k=chance.randrange(2, 10)))
             for _ in range(5000)]
    marks = ["[[{}]]", "'''{}'''", "&lt;ref name=&quot;{}&quot;/&gt;",
             "{{{{{}|x=1}}}}", "\n== {} ==\n", "{},"]
    with bz2.open(path, "wt", encoding="utf-8") as out:
        out.write('<mediawiki version="0.11" xml:lang="en"><siteinfo>'
                  "<dbname>madeup</dbname></siteinfo>\n")
        for i in range(2500):
            text = " ".join(
                chance.choice(marks).format(word) if chance.random() < .1
                else word for word in chance.choices(words, k=1200))
            out.write(f"<page><title>Page {i}</title><ns>0</ns><id>{i}</id>"
                      f"<revision><id>{i}</id><text>{text}</text></revision>"
                      "</page>\n")
        out.write("</mediawiki>\n")


def dumps(folder):
    shared = pathlib.Path(os.environ.get("WITMILL_SHARED", "../shared"))
    found = [shared / "data" / "wiki" / name for name in FILES]
    found = [path for path in found if path.exists()]
    if not found:
        found = [folder / "made-up.xml.bz2"]
        made_up(found[0])
    return found


def in_streams(packed, path):
    """The same, as multistream: the head, then 100 pages each."""
    parts = re.split(rb"(?=<page>)", bz2.decompress(packed.read_bytes()))
    with open(path, "wb") as out:
        for i in range(0, len(parts), 100):
            out.write(bz2.compress(b"".join(parts[i:i + 100])))


def main():
    build = pathlib.Path(sys.argv[1])
    folder = pathlib.Path("build/bench-dump")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    files = dumps(folder)
    subprocess.run([build / "bench_dump", "200", *files], check=True)
    single, multi = files[-1], folder / "multistream.xml.bz2"
    in_streams(single, multi)
    tools = {"bzcat": ["bzcat"], "one thread": [build / "stream_cat", "1"],
             "two threads": [build / "stream_cat", "2"]}
    if shutil.which("lbzip2"):
        tools["lbzip2 -n 2"] = ["lbzip2", "-n", "2", "-dc"]
    for name, path in [("one stream", single), ("100 pages a stream", multi)]:
        took = {tool: min(timed([*command, path]) for _ in range(2))
                for tool, command in tools.items()}
        print(f"bzip2, {name}: " + ", ".join(
            f"{tool} {seconds:.2f} s ({seconds / took['bzcat']:.2f})"
            for tool, seconds in took.items()))


if __name__ == "__main__":
    main()
