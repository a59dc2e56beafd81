"""Words and bigrams counted in a few lines of Python: what those of the
program have to equal exactly (the rules of DESIGN's words and of
querylist/ngrams.h)."""
import collections
import re
import unicodedata

ALONE = [(0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF),
         (0x2E80, 0x30FF), (0x31F0, 0x31FF), (0x3400, 0x4DBF),
         (0x4E00, 0x9FFF), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F),
         (0xF900, 0xFAFF), (0x1AFF0, 0x1B16F), (0x20000, 0x3FFFD)]
LONGEST = 1024  # bytes of a word that can be an entry
WORD = re.compile("a[am]*(?:'[am]+)*|o")
STOP = re.compile("[^ w\n]|\n *\n")  # between two words: no bigram


def kind(c):
    """a letter, m mark, o a word of its own, white space of ASCII or other,
    line end, ' or else."""
    cat = unicodedata.category(c)
    if cat[0] in "LMN" and any(a <= ord(c) <= b for a, b in ALONE):
        return "o"
    if cat[0] == "M":
        return "m"
    if cat[0] == "L" or cat == "Nd":
        return "a"
    if c in "'\n":
        return c
    if c in " \t\v\f\r":
        return " "
    return "w" if c.isspace() and c not in "\x1c\x1d\x1e\x1f" else "."


class Kinds(dict):
    def __missing__(self, code):
        self[code] = kind(chr(code))
        return self[code]


def count(texts, fold=True):
    """(words, bigrams, how many words): of all texts, each by itself."""
    kinds, words, total = Kinds(), collections.Counter(), 0
    bigrams = collections.Counter()
    for text in texts:
        text = unicodedata.normalize("NFKC", text)
        text = (text.casefold() if fold else text).replace("\u2019", "'")
        shape, last, end = text.translate(kinds), None, 0
        for m in WORD.finditer(shape):
            if STOP.search(shape, end, m.start()):
                last = None
            end, total = m.end(), total + 1
            this = text[m.start():end]
            if len(this.encode()) > LONGEST:
                last = None
                continue
            words[this] += 1
            if last:
                bigrams[f"{last} {this}"] += 1
            last = this
    return words, bigrams, total
