"""Published matching, written from its rule, for checks and measurements.

usage: matcher_peer.py ids ENTRIES TEXTS [FIRST]   by pyahocorasick
       matcher_peer.py loop ENTRIES TEXTS FIRST    by the published loop's rule
       matcher_peer.py time ENTRIES TEXTS [ROUNDS] pyahocorasick's cost
       matcher_peer.py time-loop ENTRIES TEXTS N   the loop's, on N texts

An entry matches when it stands between two spaces in the text, of which each of
, . ; : ? ! ` got a space on both sides and TAB, LF and CR became spaces, with a
space at either end.  ids and loop print a line a text: the ascending numbers of
the entries found.  The costs are CPU seconds of one thread, spacing, searching
and sorting, of slices of SLICE texts the best of ROUNDS each.
"""
import sys
import time

SLICE = 512


def lines(path):
    with open(path, "rb") as f:
        return f.read().decode().split("\n")[:-1]


def spacing(text):
    for c in ",.;:?!`":
        text = text.replace(c, f" {c} ")
    for c in "\t\n\r":
        text = text.replace(c, " ")
    return f" {text} "


def automaton(entries):
    import ahocorasick
    found = ahocorasick.Automaton()
    for i, entry in enumerate(entries):
        found.add_word(f" {entry} ", i)
    found.make_automaton()
    return found


def by_automaton(found, text):
    return sorted({i for _, i in found.iter(spacing(text))})


def by_loop(padded, text):
    text = spacing(text)
    return [i for i, entry in enumerate(padded) if entry in text]


def best(function, what, texts, rounds):
    total = 0
    for at in range(0, len(texts), SLICE):
        times = []
        for _ in range(rounds):
            began = time.thread_time()
            for text in texts[at:at + SLICE]:
                function(what, text)
            times.append(time.thread_time() - began)
        total += min(times)
    return total


def main():
    what, entries, texts = sys.argv[1], lines(sys.argv[2]), lines(sys.argv[3])
    number = int(sys.argv[4]) if len(sys.argv) > 4 else None
    loop = "loop" in what
    search = [f" {e} " for e in entries] if loop else automaton(entries)
    function = by_loop if loop else by_automaton
    if what.startswith("time"):
        rounds = 1 if loop else number or 3
        texts = texts[:number] if loop else texts
        print(f"texts={len(texts)}")
        print(f"cpu_s={best(function, search, texts, rounds):.6f}")
        return
    out = []
    for text in texts[:number]:
        out.append(" ".join(map(str, function(search, text))) + "\n")
    sys.stdout.writelines(out)


if __name__ == "__main__":
    main()
