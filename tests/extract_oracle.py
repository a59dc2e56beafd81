#!/usr/bin/env python3
"""The rules of extraction once more, on html5lib's trees.

Written from the rules alone, in another language and on another parser, so
that equal pairs mean something.  extract_compare.py runs it beside the C
reader; by itself:  tests/extract_oracle.py FOLDER BASE  prints a JSON object a
page, like the test program extract_dump.
"""
import codecs
import json
import os
import re
import sys
import unicodedata

import html5lib
import webencodings

# html5lib 1.1 is older than the standard's present list of special elements.
XHTML = "http://www.w3.org/1999/xhtml"
html5lib.html5parser.specialElements = frozenset(
    set(html5lib.constants.specialElements) |
    {(XHTML, n) for n in "figcaption hgroup keygen main search source summary "
     "track".split()})
HTML = "{http://www.w3.org/1999/xhtml}"
LAZY_URL = ["data-src", "data-lazy-src", "data-original", "data-lazy"]
LAZY_SET = ["data-srcset", "data-lazy-srcset"]
CAPTION_CLASSES = set("caption wp-caption-text thumbcaption tr-caption "
                      "gallerytext image-caption img-caption "
                      "gallery-caption".split())
INLINE = set("a abbr acronym b bdi bdo big cite code data del dfn em font i "
             "ins kbd label mark nobr q rp rt ruby s samp small span strike "
             "strong sub sup time tt u var wbr".split())
SILENT = {"script", "style", "template", "svg"}
WHITE = ("\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
         "\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000")
WHITE_RUN = re.compile("[%s]+" % WHITE)
HTML_SPACE = " \t\n\f\r"


# ---- rule 18 and DESIGN section 3: URLs ----

def remove_dots(path):
    out = []
    segments = path.split("/")[1:]
    for i, s in enumerate(segments):
        last = i == len(segments) - 1
        if s == "..":
            if out:
                out.pop()
            if last:
                out.append("")
        elif s == ".":
            if last:
                out.append("")
        else:
            out.append(s)
    return "/" + "/".join(out)


def encode(s):
    return "".join(
        "%%%02X" % b if b <= 32 or b >= 127 or chr(b) in '"<>\\^`{}|'
        else chr(b) for b in s.encode())


def canonical_host(host):
    if host.startswith("["):
        return host.lower() if re.fullmatch(r"\[[0-9A-Fa-f:.]+\]", host) \
            else None
    labels = []
    for label in host.split("."):
        if not label.isascii():
            label = unicodedata.normalize("NFKC", label).casefold()
            # a folded label may hold dots of its own
        labels.append(label)
    labels = ".".join(labels).split(".")
    labels = [x if x.isascii() else "xn--" + x.encode("punycode").decode()
              for x in labels]
    host = ".".join(labels).lower()
    return host if re.fullmatch(r"[a-z0-9._-]+", host) else None


SPLIT = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?://([^/?]*))?"
                   r"([^?]*)(\?.*)?", re.S)


def canonical(base, ref):
    """The canonical form of ref against base (canonical), or None."""
    ref = ref.strip("".join(map(chr, range(33))))
    ref = re.sub("[\r\n\t]", "", ref)
    if ref in ("", "#") or "\ufffd" in ref:
        return None
    ref = ref.split("#", 1)[0]
    scheme, authority, path, query = SPLIT.fullmatch(ref).groups()
    if scheme is None:
        bscheme, bauthority, bpath, bquery = SPLIT.fullmatch(base).groups()
        scheme = bscheme
        if authority is None:
            authority = bauthority
            if path == "":
                path = bpath
                if query is None:
                    query = bquery
            elif not path.startswith("/"):
                path = bpath[:bpath.rindex("/") + 1] + path
    elif authority is None:
        return None
    scheme = scheme.lower()
    if scheme not in ("http", "https"):
        return None
    authority = authority.rsplit("@", 1)[-1]
    m = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::(\d*))?", authority)
    if not m:
        return None
    host = canonical_host(m.group(1))
    if not host:
        return None
    port = m.group(2)
    if port and int(port) > 65535:
        return None
    if port and int(port) != {"http": 80, "https": 443}[scheme]:
        host += ":%d" % int(port)
    path = remove_dots(path or "/")
    url = scheme + "://" + host + encode(path) + encode(query or "")
    return url if len(url) <= 2048 else None


# ---- rule 17: characters ----

def prescan(data):
    """The first meta in 64 KiB, by the algorithm of the HTML standard."""
    data = data[:65536].decode("latin-1")
    at = 0
    space = " \t\n\f\r"
    lower = data.lower()

    def attribute():
        nonlocal at
        while at < len(data) and data[at] in space + "/":
            at += 1
        if at >= len(data) or data[at] == ">":
            return None
        name = value = ""
        while at < len(data):
            c = lower[at]
            if c == "=" and name:
                break
            if c in space or c in "/>":
                break
            name += c
            at += 1
        mark = at
        while at < len(data) and data[at] in space:
            at += 1
        if at >= len(data) or data[at] != "=":
            at = mark
            return name, value
        at += 1
        while at < len(data) and data[at] in space:
            at += 1
        if at < len(data) and data[at] in "\"'":
            end = data.find(data[at], at + 1)
            end = len(data) if end < 0 else end
            value = lower[at + 1:end]
            at = end + 1
            return name, value
        while at < len(data) and data[at] not in space + ">":
            value += lower[at]
            at += 1
        return name, value

    while at < len(data):
        if data.startswith("<!--", at):
            at = data.find("-->", at + 2)
            if at < 0:
                return None
            at += 3
        elif re.match(r"<meta[\s/]", lower[at:at + 6]):
            at += 5
            attrs = {}
            while (a := attribute()) is not None:
                attrs.setdefault(a[0], a[1])
            label = None
            if at >= len(data):
                return None
            if "charset" in attrs:
                label = attrs["charset"]
            elif attrs.get("http-equiv") == "content-type":
                m = re.search(r"charset[ \t\n\f\r]*=[ \t\n\f\r]*"
                              r"(?:\"([^\"]*)\"|'([^']*)'|([^\"'; \t\n\f\r]"
                              r"[^; \t\n\f\r]*))", attrs.get("content", ""))
                if m:
                    label = next(g for g in m.groups() if g is not None)
            found = webencodings.lookup(label) if label is not None else None
            if found:
                return found
        elif re.match(r"</?[a-z]", lower[at:at + 3]):
            while at < len(data) and data[at] not in space + ">":
                at += 1
            while attribute() is not None:
                pass
        elif re.match(r"<[!/?]", lower[at:at + 2]):
            at = data.find(">", at)
            if at < 0:
                return None
            at += 1
        else:
            at += 1
    return None


def decode(data, label=None):
    for mark, codec in ((b"\xef\xbb\xbf", "utf-8"), (b"\xfe\xff", "utf-16-be"),
                        (b"\xff\xfe", "utf-16-le")):
        if data.startswith(mark):
            return data[len(mark):].decode(codec, "replace"), codec
    if not data.isascii():
        try:
            return data.decode("utf-8"), "utf-8"
        except UnicodeDecodeError:
            pass
    found = webencodings.lookup(label) if label else None
    if not found:
        found = prescan(data)
        if not found:
            m = re.match(rb"<\?xml[^>]*?encoding[\0- ]*=[\0- ]*"
                         rb"(?:\"([^\">]*)\"|'([^'>]*)')", data)
            if m:
                text = (m.group(1) or m.group(2)).decode("latin-1")
                found = webencodings.lookup(text)
        if found and found.name.startswith("utf-16"):
            found = webencodings.lookup("utf-8")
        if found and found.name == "x-user-defined":
            found = None
    if data.startswith(b"<\0?\0x\0"):
        found = webencodings.lookup("utf-16le")
    found = found or webencodings.lookup("windows-1252")
    if found.name == "windows-1252":
        # the standard gives the five unassigned bytes to C1
        table = {b: chr(b) for b in range(0x80, 0xa0)}
        text = "".join(
            bytes([b]).decode("cp1252") if b not in (0x81, 0x8d, 0x8f, 0x90,
                                                     0x9d) else table[b]
            for b in data) if not data.isascii() else data.decode()
        return text, "windows-1252"
    return codecs.decode(data, found.codec_info.name, "replace"), found.name


# ---- texts: rule 6 and DESIGN's Readings ----

def collapse(s):
    s = WHITE_RUN.sub(" ", s)
    s = re.sub("[\0-\x1f]", "", s)
    return s.strip(" ")


def storable(text):
    return "\ufffd" not in text and 1 <= len(text.encode()) <= 4096


# ---- rules 2 and 3 ----

def usable(base, value):
    stripped = value.lstrip("".join(map(chr, range(33))))
    if stripped[:1] in ("{", "[", "<"):
        return None
    if "{{" in value or "${" in value or "<%" in value:
        return None
    return canonical(base, value)


def srcset(value):
    """The candidate with the largest w, else the largest x."""
    best, at = None, 0
    while True:
        while at < len(value) and value[at] in HTML_SPACE + ",":
            at += 1
        if at >= len(value):
            return best[2] if best else None
        start = at
        while at < len(value) and value[at] not in HTML_SPACE:
            at += 1
        url, words = value[start:at], []
        if url.endswith(","):
            url = url.rstrip(",")
        else:
            word, nested = "", False
            while at < len(value):
                c = value[at]
                if c == "," and not nested:
                    break
                if c in HTML_SPACE and not nested:
                    words.append(word)
                    word = ""
                else:
                    word += c
                    nested = c == "(" or (nested and c != ")")
                at += 1
            words.append(word)
        w = x = h = None
        good = True
        for word in filter(None, words):
            if re.fullmatch(r"\d+w", word, re.A):
                good = good and w is None and x is None and int(word[:-1]) > 0
                w = int(word[:-1])
            elif re.fullmatch(r"-?(\d+(\.\d+)?|\.\d+)([eE][-+]?\d+)?x", word,
                              re.A):
                good = good and w is None and x is None and h is None and \
                    float(word[:-1]) >= 0
                x = float(word[:-1])
            elif re.fullmatch(r"\d+h", word, re.A):
                good = good and h is None and x is None and int(word[:-1]) > 0
                h = int(word[:-1])
            else:
                good = False
        if h is not None and w is None:
            good = False
        if not good:
            continue
        rank = (w or 0, 0 if w else (1.0 if x is None else x))
        if best is None or rank > best[:2]:
            best = rank + (url,)


# ---- the tree ----

def local(tag):
    return tag.rsplit("}", 1)[-1].lower() if isinstance(tag, str) else None


class Page:
    def __init__(self, text, url):
        self.url = url
        self.root = html5lib.parse(text, treebuilder="etree")
        self.order, self.parent = [], {}
        self.flow = []  # ("text", characters) and ("in"/"out", element)
        self.number()
        self.base = url
        self.find_base()

    def number(self):
        """Elements in document order with their parents, and the flow of
        characters and tags outside the silent elements."""
        stack = [(self.root, None, False, False)]
        while stack:
            el, parent, silent, done = stack.pop()
            if done:
                self.flow.append(("out", el))
                continue
            if isinstance(el, str):
                if not silent:
                    self.flow.append(("text", el))
                continue
            name = local(el.tag)
            if name is not None:
                self.order.append(el)
                self.parent[el] = parent
                self.flow.append(("in", el))
                stack.append((el, parent, silent, True))
            below = silent or name in SILENT
            rest = []
            if name is not None and el.text:
                rest.append((el.text, el, below, False))
            for child in (el if name is not None else ()):
                rest.append((child, el, below, False))
                if child.tail:
                    rest.append((child.tail, el, below, False))
            stack.extend(reversed(rest))

    def ancestors(self, el):
        while (el := self.parent[el]) is not None:
            yield el

    def nearest(self, el, name):
        for a in self.ancestors(el):
            if a.tag == HTML + name:
                return a
        return None

    def in_template(self, el):
        return any(local(a.tag) == "template" for a in self.ancestors(el))

    def html_elements(self, name):
        for el in self.order:
            if el.tag == HTML + name and not self.in_template(el):
                yield el

    def find_base(self):
        for el in self.html_elements("base"):
            if el.get("href") is not None:
                self.base = canonical(self.url, el.get("href")) or self.url
                return

    # -- rule 13
    def is_image(self, el):
        if not el.tag.startswith(HTML) or self.in_template(el):
            return False
        name = local(el.tag)
        return name == "img" or name.endswith("-img") or \
            name.endswith("-image")

    # -- rules 1, 4, 5
    def from_lazy(self, el, names, parse):
        for n in names:
            v = el.get(n)
            if v is None or "is-pending-load=1" in v:
                continue
            v = parse(v)
            u = usable(self.base, v) if v is not None else None
            if u:
                return u
        return None

    def plain(self, el, name, parse=lambda v: v):
        v = el.get(name)
        v = parse(v) if v is not None else None
        return usable(self.base, v) if v is not None else None

    def image_url(self, el):
        url = self.from_lazy(el, LAZY_URL, lambda v: v) or \
            self.from_lazy(el, LAZY_SET, srcset) or \
            self.plain(el, "src") or self.plain(el, "srcset", srcset)
        if url:
            return url
        picture = self.nearest(el, "picture")
        if picture is not None:
            for source in picture.iter(HTML + "source"):
                if self.nearest(source, "picture") is not picture or \
                        self.in_template(source):
                    continue
                url = self.from_lazy(source, ["data-srcset"], srcset) or \
                    self.plain(source, "srcset", srcset)
                if url:
                    return url
        for name, value in el.attrib.items():
            if not isinstance(name, str) or not name.startswith("data-") or \
                    len(name) == 5 or name in LAZY_URL + LAZY_SET:
                continue
            url = usable(self.base, value)
            if url and re.search(r"\.(jpg|jpeg|png|gif|webp|avif)$",
                                 url.split("?")[0], re.I):
                return url
        return None

    # -- rule 14
    @staticmethod
    def pixel(el):
        for name in ("width", "height"):
            m = re.match(r"[ \t\n\f\r]*([+-]?)([0-9]+)", el.get(name, ""))
            if not m or int(m.group(2)) > 1 or \
                    (m.group(1) == "-" and int(m.group(2))):
                return False
        return True

    # -- rule 10
    def caption_text(self, el):
        i = self.flow.index(("in", el))
        out = []
        for kind, what in self.flow[i + 1:]:
            if kind == "out" and what is el:
                break
            if kind == "text":
                out.append(what)
            elif local(what.tag) not in INLINE:
                out.append(" ")
        return collapse("".join(out))

    def figure_captions(self):
        """Rule 8: figure -> its first figcaption with text."""
        found = {}
        for el in self.html_elements("figcaption"):
            figure = self.nearest(el, "figure")
            if figure is None or figure in found:
                continue
            text = self.caption_text(el)
            if text:
                found[figure] = text
        return found

    def loose_captions(self):
        """Rule 9: image -> captions behind it, outside figures."""
        found = {}
        last, clean = None, False
        for kind, el in self.flow:
            if kind == "text":
                clean = clean and not collapse_white(el)
            elif kind == "in":
                if self.is_image(el):
                    last, clean = el, True
                elif clean and el.tag.startswith(HTML) and (
                        local(el.tag) == "figcaption" or CAPTION_CLASSES &
                        set(re.split("[ \t\n\f\r]+", el.get("class", "")))):
                    if self.in_template(el) or \
                            self.nearest(el, "figure") is not None or \
                            any(self.is_image(x) for x in el.iter()
                                if isinstance(x.tag, str)):
                        continue
                    text = self.caption_text(el)
                    if text:
                        found.setdefault(last, []).append(text)
        return found

    # -- rule 11
    def og(self):
        metas = []
        for el in self.html_elements("meta"):
            keys = {(el.get(k) or "").strip().lower()
                    for k in ("property", "name")}
            if el.get("content") is not None:
                metas.append((keys, el.get("content")))
        url = None
        for key in ("og:image", "og:image:url", "og:image:secure_url"):
            for keys, content in metas:
                if key in keys and not url:
                    url = usable(self.base, content)
        for key in ("og:description", "og:image:alt"):
            texts = [c for keys, c in metas if key in keys]
            if url and texts:
                yield url, "og", collapse(texts[0])

    def pairs(self):
        out = list(self.og())
        figures, loose = self.figure_captions(), self.loose_captions()
        for el in self.order:
            if not self.is_image(el) or self.pixel(el):
                continue
            texts = [(n, collapse(el.get(n, "")))
                     for n in ("alt", "title", "aria-label")]
            if not any(t for _, t in texts):
                a = self.nearest(el, "a")
                if a is not None:
                    texts = [(n, collapse(a.get(n, "")))
                             for n in ("title", "aria-label")]
            figure = self.nearest(el, "figure")
            if figure in figures and self.nearest(el, "figcaption") is None:
                texts.append(("figcaption", figures[figure]))
            texts += [("figcaption", t) for t in loose.get(el, [])]
            texts = [(n, t) for n, t in texts if t]
            if not texts:
                continue
            url = self.image_url(el)
            if url:
                out += [(url, n, t) for n, t in texts]
        out = {p for p in out if storable(p[2])}
        names = {}
        for url, origin, text in out:
            if origin in ("alt", "title", "aria-label"):
                names.setdefault(url, set()).add(text)
        return {p for p in out if len(names.get(p[0], ())) < 8}


def collapse_white(s):
    return WHITE_RUN.sub("", s)


def read(data, url, label=None):
    """charset and the set of (url, from, text) of one page."""
    text, charset = decode(data, label)
    page = Page(text, url)
    return charset, page.pairs()


# ---- rule 19 ----

def page_paths(folder):
    found = []
    for top, _, names in os.walk(os.fsencode(folder)):
        for n in names:
            path = os.path.join(top, n)
            if re.search(rb"\.(html|htm|xhtml|xht)$", n, re.I) and \
                    os.path.isfile(path) and not os.path.islink(path):
                found.append(os.path.relpath(path, os.fsencode(folder)))
    return sorted(found)


def page_url(base, path):
    path = path.decode()
    for c, e in (("%", "%25"), ("?", "%3F"), ("#", "%23")):
        path = path.replace(c, e)
    return canonical(None, base + ("" if base.endswith("/") else "/") + path)


def main():
    folder, base = sys.argv[1:3]
    for path in page_paths(folder):
        url = page_url(base, path)
        with open(os.path.join(os.fsencode(folder), path), "rb") as f:
            charset, pairs = read(f.read(), url)
        print(json.dumps({"path": path.decode(), "url": url,
                          "charset": charset, "pairs": sorted(pairs)}))


if __name__ == "__main__":
    main()
